"""Linear interpolation on a tensor-product grid.

Own code and not ``scipy.interpolate``: importing that takes longer than a whole axisymmetric treatment.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def sample_linear(axes: Sequence[Array], values: Array, points: ArrayLike, outside: float = np.nan) -> Array:
    """Values at points, linear between the grid's nodes.

    Args:
        axes: d ascending arrays of node coordinates, at least two nodes each.
        values: (n1, ..., nd, ...); trailing dimensions are carried along.
        points: (..., d), in the axes' unit.
        outside: what a point beyond the first or last node of any axis gets.

    Returns:
        (..., trailing dimensions of ``values``).
    """
    where = np.asarray(points, float)
    inside = np.ones(where.shape[:-1], bool)
    cells, shares = [], []
    for d, axis in enumerate(axes):
        x = where[..., d]
        inside &= (x >= axis[0]) & (x <= axis[-1])
        cell = np.clip(np.searchsorted(axis, x, side="right") - 1, 0, len(axis) - 2)
        cells.append(cell)
        shares.append((x - axis[cell]) / (axis[cell + 1] - axis[cell]))
    found = _corners(values, cells, shares)
    found[~inside] = outside
    return found


def _corners(values: Array, cells: Sequence[NDArray[np.intp]], shares: Sequence[Array]) -> Array:
    trailing = values.ndim - len(cells)
    total = np.zeros(cells[0].shape + values.shape[len(cells) :])
    for corner in product((0, 1), repeat=len(cells)):
        weight = np.ones(cells[0].shape)
        for side, share in zip(corner, shares, strict=True):
            weight = weight * (share if side else 1.0 - share)
        index = tuple(cell + side for cell, side in zip(cells, corner, strict=True))
        total += weight.reshape(weight.shape + (1,) * trailing) * values[index]
    return total
