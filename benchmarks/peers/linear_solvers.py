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


def conjugate_gradients(
    matrix: sp.csr_matrix, b: Array, guess: Array, precondition: Any, goal: float
) -> tuple[Array, int]:
    """Preconditioned conjugate gradients; stops when r.Mr < goal. Returns x and the count."""
    x = guess.copy()
    r = b - matrix @ x
    z = precondition(r)
    p = z.copy()
    rz, count = float(r @ z), 0
    while rz > goal and count < 5000:
        q = matrix @ p
        step = rz / float(p @ q)
        x += step * p
        r -= step * q
        z = precondition(r)
        new = float(r @ z)
        p *= new / rz
        p += z
        rz, count = new, count + 1
    return x, count


class JacobiCG:
    """Conjugate gradients with the diagonal, started from the guess."""

    name = "CG, Jacobi, warm start"

    def __init__(self, tolerance: float = 1e-5) -> None:
        self.tolerance, self.iterations, self.solves = tolerance, 0, 0
        self._ratio = 0.0

    def update(self, matrix: sp.csr_matrix) -> None:
        """Take the matrix and its diagonal."""
        self._matrix, self._inverse = matrix, 1 / matrix.diagonal()

    def _precondition(self, r: Array) -> Array:
        return self._inverse * r

    def solve(self, b: Array, guess: Array) -> Array:
        """Solve to r.Mr < tolerance^2 b.Mb, where b.Mb / b.b is known from the first three solves."""
        if self.solves < 3:  # the first may be an adjoint, whose load is unlike the others
            self._ratio = float(b @ self._precondition(b)) / float(b @ b)
        goal = self.tolerance**2 * self._ratio * float(b @ b)
        x, count = conjugate_gradients(self._matrix, b, guess, self._precondition, goal)
        self.iterations, self.solves = self.iterations + count, self.solves + 1
        return x


class TwoLevelCG(JacobiCG):
    """Conjugate gradients with the diagonal plus a direct solve on first-order elements."""

    name = "CG, Jacobi + first-order elements by Cholesky (MKL Pardiso), warm start"

    def __init__(self, interpolation: sp.csr_matrix, tolerance: float = 1e-5) -> None:
        super().__init__(tolerance)
        self._up, self._down = interpolation, interpolation.T.tocsr()
        self._coarse: PardisoSolver | None = None

    def update(self, matrix: sp.csr_matrix) -> None:
        """Take the matrix; the coarse one is that of the first matrix, scaled by the diagonals."""
        super().update(matrix)
        if self._coarse is None:
            self._coarse, self._first = PardisoSolver(), matrix.diagonal()
            self._coarse.update((self._down @ matrix @ self._up).tocsr())
        self._scale = np.sqrt(self._first / matrix.diagonal())

    def _precondition(self, r: Array) -> Array:
        assert self._coarse is not None
        coarse = self._coarse.solve(self._down @ (self._scale * r), r)
        return self._inverse * r + self._scale * (self._up @ coarse)


class SciPyCG:
    """SciPy's conjugate gradients with a diagonal preconditioner, as one would write it first."""

    name = "scipy.sparse.linalg.cg, Jacobi, rtol 1e-8"

    def update(self, matrix: sp.csr_matrix) -> None:
        """Take the matrix and its diagonal."""
        self._matrix = matrix
        self._inverse = sp.diags(1 / matrix.diagonal())

    def solve(self, b: Array, guess: Array) -> Array:
        """Solve from zero."""
        x, failed = spla.cg(self._matrix, b, rtol=1e-8, M=self._inverse)
        if failed:
            raise RuntimeError("conjugate gradients did not converge")
        return x
