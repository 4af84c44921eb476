"""Linear solvers for the scikit-fem peers: SciPy's, PyAMG's and MKL Pardiso where installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
import scipy.sparse.linalg as spla
from common import Array


class SuperLUSolver:
    """SciPy's direct solver, with the ordering for symmetric matrices."""

    name = "SuperLU"

    def update(self, matrix: sp.csr_matrix) -> None:
        """Factorise."""
        options = {"SymmetricMode": True}
        self._lu = spla.splu(
            matrix.tocsc(), permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=0.0, options=options
        )

    def solve(self, b: Array, guess: Array) -> Array:
        """Two triangular solves; the guess is not needed."""
        return self._lu.solve(b)


class PardisoSolver:
    """MKL Pardiso, Cholesky; the ordering is kept while the sparsity is the same."""

    name = "MKL Pardiso"

    def __init__(self) -> None:
        from pypardiso import PyPardisoSolver

        self._solver: Any = PyPardisoSolver(mtype=2)
        self._upper: sp.csr_matrix | None = None

    def update(self, matrix: sp.csr_matrix) -> None:
        """Factorise (the symbolic part only the first time)."""
        upper = sp.triu(matrix, format="csr")
        upper.sort_indices()
        first = self._upper is None
        self._upper = upper
        self._solver._check_A(upper)
        self._solver.set_phase(12 if first else 22)
        self._solver._call_pardiso(upper, np.zeros(upper.shape[0]))
        self._solver.set_phase(33)

    def solve(self, b: Array, guess: Array) -> Array:
        """Two triangular solves; the guess is not needed."""
        return self._solver._call_pardiso(self._upper, b)
