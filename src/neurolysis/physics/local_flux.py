"""What the potential does next to a needle, put into the links, so that coarse cells tell the truth.

Round the bare shaft the potential follows ln(rho), round its hemispherical end 1/rho (rho: distance
from the axis or the end's centre): a link there carries the flux of that function through its face
rather than that of a straight line. Where the bare part ends the potential goes with the square
root of the distance, K sqrt(s) sin(t/2) with t from the bare side (the junction of a held and an
insulated boundary, as of a crack tip); a two-point link underestimates its flux by a third.
Both factors tend to one as cells shrink, so the order of convergence stays and its constant falls.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.grid import TensorGrid
from neurolysis.physics.rods import Rod

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

REACH = 4.0
"""Links within this many radii of the surface follow the local solution."""
BOUNDS = (0.6, 1.8)


def shape_function(rod: Rod, points: Array) -> tuple[Array, Array, Array]:
    """Local solution at points (n, 3): psi, d psi / d rho and the unit vector away from the rod."""
    distance, arc, foot = rod.foot(points)
    rho = distance + rod.radius
    away = (points - foot) / np.maximum(rho, 1e-12)[:, None]
    round_end = arc < rod.radius
    psi = np.where(round_end, (1.0 - rod.radius / rho), np.log(rho / rod.radius))
    slope = np.where(round_end, rod.radius / rho**2, 1.0 / rho)
    return psi, slope, away


def curvature_factor(rod: Rod, inner: Array, outer: Array, face: Array, straight: Array) -> Array:
    """Flux of the local solution through a face, over that of a straight line: (n,).

    Args:
        inner, outer, face: points (n, 3) m: link ends (``inner`` nearer to or on the surface) and the
            middle of the face between them.
        straight: geometric conductance per face area of the plain link, 1/m.
    """
    psi_in, _, _ = shape_function(rod, inner)
    psi_out, _, _ = shape_function(rod, outer)
    _, slope, away = shape_function(rod, face)
    step = outer - inner
    direction = step / np.linalg.norm(step, axis=1, keepdims=True)
    cosine = (away * direction).sum(axis=1)
    rise = psi_out - psi_in
    usable = (np.abs(cosine) > 0.5) & (rise * cosine > 0)
    flux = slope * cosine / np.where(usable, rise, 1.0)
    return np.clip(np.where(usable, flux / straight, 1.0), *BOUNDS)


def junction_factor_normal(length: Array, depth: Array) -> Array:
    """Last bare cell, ``length`` m along the surface, its centre ``depth`` m off it: (n,)."""
    s = np.hypot(0.5 * length, depth)
    sine = np.sin(0.5 * np.arctan2(depth, 0.5 * length))
    factor: Array = depth / (np.sqrt(length) * np.sqrt(s) * sine)
    return factor


def junction_factor_tangential(bare: Array, shaft: Array, depth: Array, height: Array) -> Array:
    """Link across the junction between cells of lengths ``bare`` and ``shaft``, centres ``depth`` off
    the surface, through a face that reaches ``height`` above it: (n,)."""

    def value(along: Array, angle: Array) -> Array:
        result: Array = np.sqrt(np.hypot(along, depth)) * np.sin(0.5 * angle)
        return result

    over_bare = value(0.5 * bare, np.arctan2(depth, 0.5 * bare))
    over_shaft = value(0.5 * shaft, np.pi - np.arctan2(depth, 0.5 * shaft))
    exact = np.sqrt(0.5 * height)
    factor: Array = exact * 0.5 * (bare + shaft) / (height * (over_shaft - over_bare))
    return factor


def bare_stretch(rod: Rod, arc: Array) -> Mask:
    """Which arc lengths lie on the bare part (with its round end)."""
    mask: Mask = (arc >= rod.active[0] - 1e-9) & (arc <= rod.active[1] + 1e-9)
    return mask


def junction_plane(grid: TensorGrid, rod: Rod) -> int | None:
    """Index of the z face at the end of the bare part of a rod along +z; None for any other rod."""
    along = rod.points[-1] - rod.points[0]
    straight = len(rod.points) == 2 and np.allclose(along[:2], 0.0, atol=1e-9) and along[2] > 0
    if not straight or rod.active[0] > 0:
        return None
    height = rod.points[0, 2] - rod.radius + rod.active[1] - rod.arc_offset
    faces = grid.axes[-1].faces
    nearest = int(np.argmin(np.abs(faces - height)))
    return nearest if abs(faces[nearest] - height) < 1e-7 else None


def scale_links(low: Array, high: Array, which: Any, factor: Array) -> None:
    """Multiply the conductance of chosen links by ``factor`` (both half resistances shrink)."""
    low[which] = low[which] / factor
    high[which] = high[which] / factor
