"""Where each cell of a grid lies: in tissue, in metal, or beyond the boundary; and small grid helpers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.grid import TensorGrid
from neurolysis.physics.rods import Rod, inside_fraction, nearest_rod
from neurolysis.physics.setup import Boundary

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Cells:
    """Where each cell lies: signed distance to metal (m), arc, nearest rod, metal and outside masks."""

    centres: Array
    distance: Array
    arc: Array
    rod: NDArray[np.int64]
    metal: Mask
    beyond: Mask
    metal_share: Array


def locate_cells(grid: TensorGrid, rods: tuple[Rod, ...], boundary: Boundary) -> Cells:
    """Classify every cell of the grid against the rods and the boundary."""
    centres = grid.centres()
    distance, arc, rod = nearest_rod(rods, centres)
    radius = np.hypot(centres[..., 0], centres[..., 1])
    beyond = np.zeros(grid.shape, bool)
    if boundary.cylinder_radius is not None and not grid.axisymmetric:
        beyond = radius > boundary.cylinder_radius
    share = (distance < 0).astype(float)
    near = np.abs(distance) < 0.51 * cell_diagonal(grid)
    share[near] = _volume_share(grid, rods, near)
    return Cells(centres, distance, arc, rod, distance < 0, beyond, share)


def cell_diagonal(grid: TensorGrid) -> Array:
    """Length of each cell's diagonal (grid shape), metres."""
    squares = np.zeros(grid.shape)
    for along, axis in enumerate(grid.axes):
        squares = squares + along_axis(axis.widths, along, len(grid.axes)) ** 2
    diagonal: Array = np.sqrt(squares)
    return diagonal


def along_axis(values: Array, axis: int, ndim: int) -> Array:
    """Values (n,) shaped to broadcast along one axis of an ndim grid."""
    shape = [1] * ndim
    shape[axis] = len(values)
    return values.reshape(shape)


def cartesian(grid: TensorGrid, coordinates: list[Array]) -> Array:
    """Points (..., 3) from one coordinate array per axis, (r, z) put in the plane y = 0."""
    if grid.axisymmetric:
        return np.stack([coordinates[0], np.zeros_like(coordinates[0]), coordinates[1]], -1)
    return np.stack(coordinates, -1)


def _volume_share(grid: TensorGrid, rods: tuple[Rod, ...], near: Mask) -> Array:
    index = np.nonzero(near)
    offsets = (np.arange(6) + 0.5) / 6 - 0.5
    mesh = np.stack(np.meshgrid(*[offsets] * len(grid.axes), indexing="ij"), -1).reshape(-1, len(grid.axes))
    coordinates = [
        axis.centres[i][:, None] + axis.widths[i][:, None] * mesh[None, :, n]
        for n, (axis, i) in enumerate(zip(grid.axes, index, strict=True))
    ]
    return inside_fraction(rods, cartesian(grid, coordinates))


def pair(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """Views of a cell array at the low and the high end of each link along ``axis``."""
    low = [slice(None)] * array.ndim
    high = [slice(None)] * array.ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return array[tuple(low)], array[tuple(high)]


def pair_points(points: Array, axis: int) -> tuple[Array, Array]:
    """As :func:`pair`, for points (*shape, 3)."""
    low = [slice(None)] * points.ndim
    high = [slice(None)] * points.ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return points[tuple(low)], points[tuple(high)]


def cylinder_share(inside: Array, outside: Array, radius: float) -> Array:
    """Share of the way from points inside (n, 3) to points outside at which the cylinder is met."""
    step = (outside - inside)[:, :2]
    a = (step**2).sum(axis=1)
    b = (inside[:, :2] * step).sum(axis=1)
    c = (inside[:, :2] ** 2).sum(axis=1) - radius**2
    share: Array = (-b + np.sqrt(np.maximum(b**2 - a * c, 0.0))) / np.maximum(a, 1e-30)
    return np.clip(share, 1e-3, 1.0)


def end_faces(grid: TensorGrid) -> list[tuple[int, int, Array, Array]]:
    """The box's outer faces: (axis, -1 or 1, geometric conductance (m) to the face, face centres)."""
    faces = []
    for axis, item in enumerate(grid.axes):
        low, high = item.half_resistances()
        section = np.broadcast_to(grid.cross_section(axis), grid.shape)
        for sign, resistance, at in ((-1, low[0], item.faces[0]), (1, high[-1], item.faces[-1])):
            if not np.isfinite(resistance):
                continue
            edge = np.take(section, 0 if sign < 0 else -1, axis=axis)
            coordinates = [a.centres for a in grid.axes]
            coordinates[axis] = np.array([at])
            points = np.squeeze(grid.points(coordinates), axis=axis)
            faces.append((axis, sign, edge / resistance, points))
    return faces
