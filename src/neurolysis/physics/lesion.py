"""Size of a lesion from a field on a tensor grid: width, length, volume, in the grid's units.

Sizes are sub-cell: the field is taken linear between cell centres. They include the needle's
interior, as bench measurements of a lesion do.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.sample import sample_linear

Array = NDArray[np.float64]

DIRECTIONS = 24
RADIAL_SAMPLES = 400
FLOOR = 60.0
"""Fields are clipped this far below the threshold before interpolation (ln Omega starts at -1e30)."""


class Size(NamedTuple):
    """Width (twice the largest mean radius over all z), length along z with its ends, volume."""

    width: float
    length: float
    low: float
    high: float
    volume: float
    reaches_boundary: bool


NONE = Size(0.0, 0.0, np.nan, np.nan, 0.0, False)


def measure(axes: tuple[Array, ...], volumes: Array, field: Array, threshold: float) -> Size:
    """Measure ``field >= threshold``.

    Args:
        axes: cell centres along (x, y, z) or (r, z).
        volumes: cell volumes, grid shape.
    """
    level = np.maximum(np.asarray(field, float) - threshold, -FLOOR)
    if not (level >= 0).any():
        return NONE
    low, high = _extent(axes[-1], level.reshape(-1, level.shape[-1]).max(axis=0))
    width = 2.0 * _largest_radius(axes, level)
    inside = _inside_share(axes, level)
    volume = float((inside * volumes).sum())
    return Size(width, high - low, low, high, volume, _touches_edge(level, len(axes)))


def _extent(z: Array, profile: Array) -> tuple[float, float]:
    """First and last z at which the profile crosses zero, linear between centres."""
    inside = np.nonzero(profile >= 0)[0]
    first, last = int(inside[0]), int(inside[-1])
    low = z[0] if first == 0 else _crossing(z, profile, first - 1, first)
    high = z[-1] if last == len(z) - 1 else _crossing(z, profile, last, last + 1)
    return float(low), float(high)


def _crossing(z: Array, profile: Array, i: int, j: int) -> float:
    share = profile[i] / (profile[i] - profile[j])
    return float(z[i] + share * (z[j] - z[i]))


def _largest_radius(axes: tuple[Array, ...], level: Array) -> float:
    """Largest over z of the radius, averaged over directions (Cartesian) or as it is (r, z)."""
    if len(axes) == 2:
        r = np.concatenate([[0.0], axes[0]])
        rays = np.concatenate([level[:1], level])[None]
    else:
        r, rays = _rays(axes, level)
    radius = _ray_radius(r, rays)
    return float(radius.mean(axis=0).max())


def _rays(axes: tuple[Array, ...], level: Array) -> tuple[Array, Array]:
    """Radii (n,) and levels (directions, n, nz) on rays square to z."""
    widest = _reach(axes, level)
    r = np.linspace(0.0, widest, RADIAL_SAMPLES)
    angle = np.arange(DIRECTIONS) * 2 * np.pi / DIRECTIONS
    plane = np.stack([np.outer(np.cos(angle), r), np.outer(np.sin(angle), r)], axis=-1)
    return r, sample_linear(axes[:2], level, plane, outside=-FLOOR)


def _reach(axes: tuple[Array, ...], level: Array) -> float:
    inside = np.nonzero((level >= 0).any(axis=2))
    widest = np.hypot(axes[0][inside[0]], axes[1][inside[1]]).max()
    spacing = max(np.diff(axes[0]).max(), np.diff(axes[1]).max())
    limit = max(abs(axes[0][0]), abs(axes[0][-1]), abs(axes[1][0]), abs(axes[1][-1]))
    return float(min(widest + spacing, limit))


def _ray_radius(r: Array, rays: Array) -> Array:
    """Outermost crossing (directions, nz) on each ray, linear between samples."""
    inside = rays >= 0
    any_inside = inside.any(axis=1)
    last = rays.shape[1] - 1 - inside[:, ::-1].argmax(axis=1)
    nxt = np.minimum(last + 1, rays.shape[1] - 1)
    here = np.take_along_axis(rays, last[:, None], axis=1)[:, 0]
    there = np.take_along_axis(rays, nxt[:, None], axis=1)[:, 0]
    share = np.where(nxt > last, here / np.where(here - there == 0, 1.0, here - there), 0.0)
    return np.where(any_inside, r[last] + share * (r[nxt] - r[last]), 0.0)


def _inside_share(axes: tuple[Array, ...], level: Array) -> Array:
    """Share of each cell inside, from the level and its slope across the cell."""
    across = np.zeros(level.shape)
    for axis, centres in enumerate(axes):
        slope = np.gradient(level, centres, axis=axis)
        shape = [1] * level.ndim
        shape[axis] = -1
        across += np.abs(slope) * np.gradient(centres).reshape(shape)
    share: Array = np.clip(0.5 + level / np.maximum(across, 1e-12), 0.0, 1.0)
    return share


def _touches_edge(level: Array, ndim: int) -> bool:
    inside = level >= 0
    first_axis = 1 if ndim == 2 else 0
    ends = [inside.take([-1], axis=0).any()] if ndim == 2 else []
    ends += [inside.take([0, -1], axis=axis).any() for axis in range(first_axis, ndim)]
    return bool(any(ends))
