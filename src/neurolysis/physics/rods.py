"""Needles as rods: capsules along polylines, with a bare (active) part near the tip. Metres.

A rod's surface is the set of points one radius from its centre line, so its end is a hemisphere.
Arc length runs from the apex (0) towards the hub.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rod:
    """One rod.

    Attributes:
        points: centre line (m, 3) from the tip end to the hub, metres; the apex lies one radius
            before ``points[0]``.
        radius: metres.
        active: arc interval (from, to) that is bare, metres from the apex.
        potential: what this rod is held at per unit of applied voltage.
        conductivity: thermal, W/(m K).
        capacity: volumetric heat capacity, J/(m3 K).
        arc_offset: added to the arc length (a tine that starts somewhere along its cannula).
    """

    points: Array
    radius: float
    active: tuple[float, float]
    potential: float = 1.0
    conductivity: float = 16.0
    capacity: float = 4.0e6
    arc_offset: float = 0.0

    def __post_init__(self) -> None:
        if self.points.ndim != 2 or self.points.shape[1] != 3 or len(self.points) < 2:
            raise InputError("a rod needs a centre line of at least two points", found=self.points.shape)
        if not self.radius > 0:
            raise InputError("a rod needs a radius above zero", found=self.radius, allowed="> 0 m")

    def foot(self, x: Array) -> tuple[Array, Array, Array]:
        """Signed distance to the surface (negative inside), arc length and nearest point of the centre
        line (..., 3), for points (..., 3)."""
        best = np.full(x.shape[:-1], np.inf)
        arc, foot = np.zeros(x.shape[:-1]), np.zeros(x.shape)
        start = self.radius + self.arc_offset
        for a, b in pairwise(self.points):
            length = float(np.linalg.norm(b - a))
            along = (b - a) / length
            raw = (x - a) @ along
            t = np.clip(raw, 0.0, length)
            near = a + t[..., None] * along
            distance = np.linalg.norm(x - near, axis=-1)
            closer = distance < best
            best = np.where(closer, distance, best)
            foot = np.where(closer[..., None], near, foot)
            # Beyond the first point the hemisphere continues the arc below one radius.
            before = np.maximum(raw, -self.radius)
            arc = np.where(closer, start + np.where(raw < 0, before, t), arc)
            start += length
        return best - self.radius, arc, foot

    def locate(self, x: Array) -> tuple[Array, Array]:
        """Signed distance to the surface (negative inside) and arc length, for points (..., 3)."""
        distance, arc, _ = self.foot(x)
        return distance, arc


def straight_rod(radius: float, active: float, length: float, **rest: float) -> Rod:
    """A straight rod along +z with its apex at the origin, bare for ``active`` metres."""
    points = np.array([[0.0, 0.0, radius], [0.0, 0.0, length]])
    return Rod(points=points, radius=radius, active=(0.0, active), **rest)


def nearest_rod(rods: tuple[Rod, ...], x: Array) -> tuple[Array, Array, NDArray[np.int64]]:
    """Signed distance to the union, arc length and index of the nearest rod, for points (..., 3)."""
    distances, arcs = zip(*[rod.locate(x) for rod in rods], strict=True)
    stacked = np.stack(distances)
    index = stacked.argmin(axis=0)
    pick = index[None]
    return (
        np.take_along_axis(stacked, pick, 0)[0],
        np.take_along_axis(np.stack(arcs), pick, 0)[0],
        index,
    )


def inside_fraction(rods: tuple[Rod, ...], points: Array) -> Array:
    """Share of points (..., s, 3) that lie inside a rod, averaged over s: (...,)."""
    result: Array = (nearest_rod(rods, points)[0] < 0).mean(axis=-1)
    return result


def surface_distance(rods: tuple[Rod, ...], outside: Array, inside: Array) -> Array:
    """Distance from points outside (n, 3) to the surface on the way to points inside (n, 3).

    Bisection to 2^-30 of the way: exact for any shape of rod.
    """
    low, high = np.zeros(len(outside)), np.ones(len(outside))
    for _ in range(30):
        middle = 0.5 * (low + high)
        inner = nearest_rod(rods, outside + middle[:, None] * (inside - outside))[0] < 0
        low, high = np.where(inner, low, middle), np.where(inner, middle, high)
    distance: Array = 0.5 * (low + high) * np.linalg.norm(inside - outside, axis=-1)
    return distance
