"""Probes as rods, and the grid that resolves them and the ice round them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurolysis.delivery.heat.grids import MM, apart, graded
from neurolysis.errors import InputError
from neurolysis.instrument import Cannula
from neurolysis.plan import Numerics, Placement

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.rods import Rod

BEYOND_BOX_MM = 20.0
"""A shaft is drawn this far beyond the box, so that it leaves through the face."""
PARALLEL_DEG = 1.0


def rods_of(placements: tuple[Placement, ...], reach_mm: float) -> tuple[Rod, ...]:
    """The probes (metres) in the frame of the first placement.

    Raises:
        InputError: a probe that is not straight, or not parallel to the first.
    """
    to_grid = placements[0].frame().inverse()
    return tuple(_rod(placement, k, to_grid, reach_mm) for k, placement in enumerate(placements))


def _rod(placement: Placement, number: int, to_grid: object, reach_mm: float) -> Rod:
    from neurolysis.geometry import RigidTransform
    from neurolysis.physics.rods import Rod

    assert isinstance(to_grid, RigidTransform)  # noqa: S101
    probe: Cannula = placement.instrument
    if probe.shape != "straight":
        raise InputError(
            "a probe that freezes must be straight", where=f"placements.{number}", found=probe.shape
        )
    radius = probe.outer_radius_mm.value
    frame = to_grid.compose(placement.frame())
    line = frame.apply(np.array([[0.0, 0.0, radius], [0.0, 0.0, reach_mm]]))
    along = (line[1] - line[0]) / np.linalg.norm(line[1] - line[0])
    if along[2] < np.cos(np.deg2rad(PARALLEL_DEG)):
        angle = float(np.degrees(np.arccos(np.clip(along[2], -1, 1))))
        raise InputError(
            "probes of one plan must be parallel",
            where=f"placements.{number}",
            found=f"{angle:.1f}° to the first",
            allowed=f"at most {PARALLEL_DEG:g}°",
        )
    line[1, :2] = line[0, :2]
    return Rod(
        line * MM,
        radius * MM,
        (0.0, probe.active_tip_mm * MM),
        conductivity=probe.thermal_conductivity_w_per_m_k.value,
        capacity=probe.heat_capacity_j_per_m3_k.value,
    )


def build_grid(rods: tuple[Rod, ...], finest: float, numerics: Numerics) -> TensorGrid:
    """A Cartesian grid (metres), finest (mm) at every probe's axis and at both ends of its cold part.

    It reaches ``extent_mm`` beyond the probes' cold parts in every direction.
    """
    from neurolysis.physics.grid import Axis, TensorGrid

    axes = []
    for axis in range(3):
        marks = _marks(rods, axis, finest * MM)
        reach = numerics.extent_mm * MM
        middle = [0.5 * (marks[0] + marks[-1])] * 2 if axis == 2 else [marks[0], marks[-1]]
        axes.append(Axis(graded(marks, middle[0] - reach, middle[1] + reach, finest, numerics, axis < 2)))
    return TensorGrid(tuple(axes))


def _marks(rods: tuple[Rod, ...], axis: int, finest: float) -> list[float]:
    """Where an axis must be finest; places nearer to each other than ``finest`` (m) are merged."""
    if axis < 2:
        places = sorted(float(rod.points[0, axis]) for rod in rods)
    else:
        apexes = [float(rod.points[0, 2]) - rod.radius for rod in rods]
        ends = [apex + rod.active[1] for apex, rod in zip(apexes, rods, strict=True)]
        places = sorted([*apexes, *ends])
    return apart(places, finest)
