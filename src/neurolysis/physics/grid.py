"""Graded tensor grids, Cartesian (x, y, z) or axisymmetric (r, z), in metres.

A tensor grid is a list of axes. Each axis carries what its coordinate system makes of it: the
``measure`` of a cell (dx, or the ring pi (ro^2 - ri^2)) and the geometric conductance of the face
between two cells (1/dx, or 2 pi r/dr). Volumes are products of measures, so that every solver is
written once over axes and runs in two or three dimensions.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError

Array = NDArray[np.float64]

CELL_COUNTS = (16, 24, 32, 40, 48, 52, 56, 60, 64, 72, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 512)
"""Cells along an axis come from this list, so that few programs have to be compiled."""


@dataclass(frozen=True)
class Axis:
    """One axis: face positions (n + 1,) in metres; ``radial`` for the r axis of (r, z)."""

    faces: Array
    radial: bool = False

    def __post_init__(self) -> None:
        if self.faces.ndim != 1 or len(self.faces) < 3 or np.any(np.diff(self.faces) <= 0):
            raise InputError("faces of an axis must rise, at least three of them", found=self.faces.shape)

    @cached_property
    def centres(self) -> Array:
        """Cell centres (n,), metres."""
        centres: Array = 0.5 * (self.faces[1:] + self.faces[:-1])
        return centres

    @cached_property
    def widths(self) -> Array:
        """Cell widths (n,), metres."""
        return np.diff(self.faces)

    @cached_property
    def measure(self) -> Array:
        """What a cell contributes to the volume: width (m), or ring area (m2) on a radial axis."""
        return np.pi * np.diff(self.faces**2) if self.radial else self.widths

    @cached_property
    def face_weight(self) -> Array:
        """What a face contributes to the area (n + 1,): 1, or 2 pi r (m) on a radial axis."""
        return 2 * np.pi * self.faces if self.radial else np.ones(len(self.faces))

    def half_resistances(self) -> tuple[Array, Array]:
        """Geometric resistance from a cell's centre to its low and its high face, (n,) each.

        On a radial axis that of the ring between them, ln(r2 / r1) / (2 pi): exact round a wire.
        """
        if not self.radial:
            return 0.5 * self.widths, 0.5 * self.widths
        with np.errstate(divide="ignore"):
            logs, face_logs = np.log(self.centres), np.log(self.faces)
        return (logs - face_logs[:-1]) / (2 * np.pi), (face_logs[1:] - logs) / (2 * np.pi)


@dataclass(frozen=True)
class TensorGrid:
    """Axes of a grid; the last axis is z, along the needle."""

    axes: tuple[Axis, ...]

    @property
    def axisymmetric(self) -> bool:
        """True for (r, z)."""
        return self.axes[0].radial

    @property
    def shape(self) -> tuple[int, ...]:
        """Cells along each axis."""
        return tuple(len(axis.centres) for axis in self.axes)

    @cached_property
    def volumes(self) -> Array:
        """Cell volumes, m3, in the grid's shape."""
        volumes: Array = reduce(np.multiply.outer, [axis.measure for axis in self.axes])
        return volumes

    def cross_section(self, along: int) -> Array:
        """Product of the other axes' measures, shaped to broadcast over the grid."""
        parts = [np.ones(1) if i == along else axis.measure for i, axis in enumerate(self.axes)]
        section: Array = reduce(np.multiply.outer, parts)
        return section

    def centres(self) -> Array:
        """Cell centres as Cartesian points (*shape, 3), metres; (r, z) lies in the plane y = 0."""
        return self.points([axis.centres for axis in self.axes])

    def points(self, coordinates: Sequence[Array]) -> Array:
        """Cartesian points (..., 3) of the tensor product of coordinates along each axis."""
        mesh = list(np.meshgrid(*coordinates, indexing="ij"))
        if self.axisymmetric:
            mesh = [mesh[0], np.zeros_like(mesh[0]), mesh[1]]
        return np.stack(mesh, axis=-1)


def graded_faces(
    anchors: Sequence[float],
    low: float,
    high: float,
    *,
    finest: float,
    growth: float,
    coarsest: float,
    centred: bool = False,
) -> Array:
    """Faces (n + 1,) from ``low`` to ``high``, finest at the anchors, growing away from them.

    Cell size follows geometric growth, ``growth`` per cell, up to ``coarsest``. Every anchor is a
    face, or the middle of a cell when ``centred``. The number of cells comes from :data:`CELL_COUNTS`
    where it fits; what is added goes to refine the whole axis evenly.
    """
    points = np.unique(np.asarray(anchors, float))
    marks = np.concatenate([points - finest / 2, points + finest / 2]) if centred and len(points) else points
    marks = np.unique(np.concatenate([[low], marks[(marks > low) & (marks < high)], [high]]))
    natural = _cell_counts(marks, points, finest, growth, coarsest, 1.0)
    target = next((n for n in CELL_COUNTS if n >= natural.sum()), int(natural.sum()))
    counts = _counts_for_total(marks, points, finest, growth, coarsest, natural, target)
    parts = [
        _spread(a, b, int(n), points, finest, growth, coarsest)
        for a, b, n in zip(marks[:-1], marks[1:], counts, strict=True)
    ]
    return np.concatenate([[low], *[part[1:] for part in parts]])


def _size(x: Array, anchors: Array, finest: float, growth: float, coarsest: float) -> Array:
    distance = np.abs(x[:, None] - anchors[None, :]).min(axis=1) if len(anchors) else np.zeros_like(x)
    slope = np.log(growth)
    size: Array = np.minimum(coarsest, (finest + (growth - 1) * distance) * slope / (growth - 1))
    return size


def _density(
    a: float, b: float, anchors: Array, finest: float, growth: float, coarsest: float
) -> tuple[Array, Array]:
    x = np.linspace(a, b, 2001)
    density = 1.0 / _size(x, anchors, finest, growth, coarsest)
    cells = np.concatenate([[0.0], np.cumsum(0.5 * (density[1:] + density[:-1]) * np.diff(x))])
    return x, cells


def _cell_counts(
    marks: Array, anchors: Array, finest: float, growth: float, coarsest: float, factor: float
) -> NDArray[np.int64]:
    totals = [_density(a, b, anchors, finest, growth, coarsest)[1][-1] for a, b in itertools.pairwise(marks)]
    return np.maximum(1, np.round(factor * np.array(totals) - 1e-6)).astype(np.int64)


def _counts_for_total(
    marks: Array,
    anchors: Array,
    finest: float,
    growth: float,
    coarsest: float,
    natural: NDArray[np.int64],
    target: int,
) -> NDArray[np.int64]:
    counts = natural.copy()
    single = np.diff(marks) <= finest * 1.001
    while counts.sum() < target:
        load = np.where(single, -np.inf, natural / counts)
        outer = np.argmax(load)
        counts[outer] += 1
    return counts


def _spread(
    a: float, b: float, count: int, anchors: Array, finest: float, growth: float, coarsest: float
) -> Array:
    x, cells = _density(a, b, anchors, finest, growth, coarsest)
    faces = np.interp(np.linspace(0.0, cells[-1], count + 1), cells, x)
    faces[0], faces[-1] = a, b
    return faces
