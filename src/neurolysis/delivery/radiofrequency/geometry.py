"""Cannulae as rods, and the grid that resolves them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neurolysis.delivery.heat import grids
from neurolysis.delivery.heat.grids import MM
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.instrument import Cannula
from neurolysis.plan import Numerics, Placement

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.rods import Rod

BEYOND_BOX = 20.0
"""A shaft is drawn this far (mm) beyond the box, so that it leaves through the face."""

FINE_BEYOND_BARE = 6.0
"""A needle across the grid stays finely resolved this many radii beyond its bare part: in cells wider
than itself its shaft would not conduct heat (the 45 C isotherm came out 3 % short without)."""


def finest_mm(cannula: Cannula, numerics: Numerics) -> float:
    """Cell size at the tip: as asked, else min(0.3 mm, radius / 1.5) of the thinnest bare wire."""
    radii = [cannula.outer_radius_mm.value, *[tine.radius_mm for tine in cannula.tines]]
    return grids.finest_mm(min(radii), numerics)


def centre_line(cannula: Cannula, reach_mm: float) -> FloatArray:
    """Centre line (m, 3) mm in the cannula's frame (apex at the origin, hub along +z).

    A curved tip bends at ``bend_length_mm`` from the apex: the shaft keeps its line along +z and the
    tip leaves it by the bend angle, in the x direction.
    """
    radius = cannula.outer_radius_mm.value
    if cannula.shape != "curved":
        return np.array([[0.0, 0.0, radius], [0.0, 0.0, reach_mm]])
    angle = np.deg2rad(cannula.bend_angle_deg)
    # The apex stays at the origin; the tip stretch points from the apex to the bend.
    tip = np.array([-np.sin(angle), 0.0, np.cos(angle)])
    bend = tip * cannula.bend_length_mm
    return np.array([tip * radius, bend, bend + np.array([0.0, 0.0, reach_mm])])


def rods_of(cannula: Cannula, frame: RigidTransform, potential: float, reach_mm: float) -> list[Rod]:
    """The rods (metres) of one cannula; ``frame`` maps the cannula's frame to the grid's (mm)."""
    from neurolysis.physics.rods import Rod

    conductivity = cannula.thermal_conductivity_w_per_m_k.value
    capacity = cannula.heat_capacity_j_per_m3_k.value
    line = frame.apply(centre_line(cannula, reach_mm)) * MM
    shaft = Rod(
        line,
        cannula.outer_radius_mm.value * MM,
        (0.0, cannula.active_tip_mm * MM),
        potential,
        conductivity,
        capacity,
    )
    tines = [
        Rod(
            frame.apply(np.array([tine.end_mm, tine.start_mm])) * MM,
            tine.radius_mm * MM,
            (0.0, 1.0),
            potential,
            conductivity,
            capacity,
        )
        for tine in cannula.tines
    ]
    return [shaft, *tines]


def placed_rods(placements: tuple[Placement, ...], bipolar: bool, reach_mm: float) -> tuple[Rod, ...]:
    """All rods in the frame of the first placement, metres.

    A bipolar pair is held at +1/2 and -1/2 of the applied voltage.
    """
    to_grid = placements[0].frame().inverse()
    rods: list[Rod] = []
    for placement in placements:
        share = 1.0 if not bipolar else (0.5 if placement.role == "active" else -0.5)
        frame = to_grid.compose(placement.frame())
        rods += rods_of(placement.instrument, frame, share, reach_mm)
    return tuple(rods)


def sensor_point(placement: Placement, to_grid: RigidTransform) -> FloatArray:
    """The thermocouple (3,), metres in the grid's frame."""
    cannula = placement.instrument
    along = cannula.thermocouple_from_apex_mm.value
    line = centre_line(cannula, 100.0)
    direction = (line[1] - line[0]) / np.linalg.norm(line[1] - line[0])
    point = direction * along
    return to_grid.compose(placement.frame()).apply(point) * MM


def build_grid(rods: tuple[Rod, ...], finest: float, numerics: Numerics) -> TensorGrid:
    """A Cartesian grid (metres) graded round every bare part.

    The box reaches ``extent_mm`` beyond the middle of the first rod's bare part in every direction,
    and further where another rod lies further.
    """
    from neurolysis.physics.grid import Axis, TensorGrid

    anchors = [_anchors(rods, axis, finest * MM) for axis in range(3)]
    axes = []
    for axis, (marks, centred) in enumerate(anchors):
        middle = 0.5 * (min(marks) + max(marks)) if axis == 2 or len(rods) > 1 else marks[0]
        half = 0.5 * (max(marks) - min(marks)) if len(rods) > 1 and axis < 2 else 0.0
        extent = numerics.extent_mm * MM + half
        axes.append(Axis(grids.graded(marks, middle - extent, middle + extent, finest, numerics, centred)))
    return TensorGrid(tuple(axes))


def _anchors(rods: tuple[Rod, ...], axis: int, finest: float) -> tuple[list[float], bool]:
    """Where an axis must be finest, and whether cells (True) or faces (False) sit on those places."""
    if all(_is_upright(rod) for rod in rods):
        if axis < 2:
            places = sorted({round(float(rod.points[0, axis]), 7) for rod in rods})
            return grids.apart(places, finest), True
        ends = []
        for rod in rods:
            apex = float(rod.points[0, 2]) - rod.radius
            ends += [round(apex + rod.active[0], 7), round(apex + rod.active[1], 7)]
        return grids.apart(sorted(set(ends)), finest * 0.5), False
    low = min(float(_bare_line(rod)[:, axis].min()) for rod in rods)
    high = max(float(_bare_line(rod)[:, axis].max()) for rod in rods)
    count = max(2, int(np.ceil((high - low) / (2 * finest))) + 1)
    if high - low < finest:
        return [0.5 * (low + high)], True
    return list(np.linspace(low, high, count)), False


def _is_upright(rod: Rod) -> bool:
    along = rod.points[-1] - rod.points[0]
    return len(rod.points) == 2 and bool(np.abs(along[:2]).max() < 1e-7) and along[2] > 0


def _bare_line(rod: Rod) -> FloatArray:
    """Sampled centre line of the bare part and a little beyond, (n, 3) metres."""
    steps = np.linalg.norm(np.diff(rod.points, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    fine = rod.active[1] + (FINE_BEYOND_BARE - 1) * rod.radius
    stop = min(float(arc[-1]), max(0.0, fine))
    at = np.linspace(max(0.0, rod.active[0] - rod.radius), stop, 20)
    return np.column_stack([np.interp(at, arc, rod.points[:, axis]) for axis in range(3)])
