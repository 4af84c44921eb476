"""Fast diagonalisation: the exact inverse of a constant-coefficient operator on a tensor grid.

On each axis the generalised eigenproblem K q = lambda M q is solved once (K: links between cells,
M: cell measures). The operator sum over axes of K with the other axes' M then has the inverse
Q (1 / sum of lambdas) Q^T, two small matrix products per axis. It preconditions the potential.
(Lynch, Rice and Thomas's tensor-product method.)
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.grid import Axis, TensorGrid

Array = NDArray[np.float64]


def axis_modes(axis: Axis, low_open: float, high_open: float) -> tuple[Array, Array]:
    """Eigenvalues (n,) and modes (n, n) with ``Q^T M Q = 1``.

    ``low_open`` and ``high_open`` are geometric conductances from the end cells to a grounded
    boundary (0: insulated).
    """
    low, high = axis.half_resistances()
    link = 1.0 / (high[:-1] + low[1:])
    diagonal = np.zeros(len(low))
    diagonal[:-1] += link
    diagonal[1:] += link
    diagonal[0] += low_open
    diagonal[-1] += high_open
    scale = 1.0 / np.sqrt(axis.measure)
    matrix = np.diag(diagonal) - np.diag(link, 1) - np.diag(link, -1)
    values, vectors = np.linalg.eigh(scale[:, None] * matrix * scale[None, :])
    return np.maximum(values, 0.0), scale[:, None] * vectors


def factorise(grid: TensorGrid, open_ends: Sequence[tuple[float, float]]) -> tuple[tuple[Array, ...], Array]:
    """Modes of each axis and the inverse eigenvalues on the whole grid (1/m for unit conductivity).

    A zero eigenvalue (all boundaries insulated) gets inverse 0: the constant mode is projected out.
    """
    pairs = [axis_modes(axis, *ends) for axis, ends in zip(grid.axes, open_ends, strict=True)]
    total = reduce(np.add.outer, [values for values, _ in pairs])
    floor = 1e-9 * total.max()
    inverse = np.where(total > floor, 1.0 / np.maximum(total, floor), 0.0)
    return tuple(modes for _, modes in pairs), inverse
