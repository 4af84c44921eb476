"""The lumbar medial branch where it crosses the junction, and a needle laid along it.

No label shows the nerve. Its course is the published direction of needles that lie along it, through
the landmark, bent so that it follows the bone. Everything here is "derived, unreviewed".
"""

from __future__ import annotations

import numpy as np

from neurolysis.case import GivenPlacement
from neurolysis.errors import InputError
from neurolysis.geometry import Curve, FloatArray, Volume, unit_vector
from neurolysis.instrument import Cannula
from neurolysis.localization.landmarks import Junction
from neurolysis.localization.vertebra import outward
from neurolysis.nerve.catalogue import approach_angles, nerve_entry
from neurolysis.plan import Placement
from neurolysis.quantity import Quantity
from neurolysis.scene import Nerve

HALF_LENGTH_MM = 10.0
STEP_MM = 1.0
LARGEST_SHIFT_MM = 3.0
REACH_MM = 60.0
"""Length of shaft that must clear the bone; beyond it the needle is in the back muscles."""
CLEARANCE_MM = 0.1
POSITION_SD_MM = Quantity(
    value=2.0,
    low=1.0,
    high=3.0,
    unit="mm",
    basis="assumption",
    source=(
        "assumption: no accuracy is known, as no expert marked the nerve; the contact cluster it starts "
        "from spreads 1-3 mm in the sample"
    ),
)


def course_direction(junction: Junction, nerve_id: str) -> FloatArray:
    """Unit vector (3,) LPS along which the branch runs on: dorsal, caudal and lateral.

    The middle of the published ranges of two angles of needles that lie along the nerve: lateral of
    the parasagittal plane (turned about the normal of the superior endplate) and caudal of that
    endplate. That the angles are meant in this order is this project's reading.

    Raises:
        InputError: the catalogue holds no angles for this nerve.
    """
    angles = {angle.name: np.deg2rad(angle.middle) for angle in approach_angles(nerve_id)}
    wanted = ("lateral_of_parasagittal", "caudal_of_superior_endplate")
    if not all(name in angles for name in wanted):
        raise InputError(
            "no course was read for this nerve", found=nerve_id, allowed=f"a nerve with {wanted}"
        )
    lateral, caudal = (angles[name] for name in wanted)
    vertebra = junction.vertebra
    flat = np.cos(lateral) * vertebra.axis("posterior") + np.sin(lateral) * junction.lateral()
    return unit_vector(np.cos(caudal) * flat - np.sin(caudal) * vertebra.axis("cranial"))


def derive_medial_branch(junction: Junction, nerve_id: str, *, is_target: bool) -> Nerve:
    """The branch as an uncertain curve of about 20 mm through the landmark, along the bone.

    The line through the landmark along :func:`course_direction` is moved, by at most 3 mm a point,
    to lie one nerve radius off the surface of the labelled bone.
    """
    entry = nerve_entry(nerve_id)
    radius = _radius(entry.diameter_mm)
    direction = course_direction(junction, nerve_id)
    along = np.arange(-HALF_LENGTH_MM, HALF_LENGTH_MM + STEP_MM / 2, STEP_MM)
    line = np.array(junction.landmark.point_mm) + along[:, None] * direction
    points = follow_bone(junction.distance, line, radius.value)
    return Nerve(
        name=f"{entry.title}, {junction.side}",
        catalogue_id=nerve_id,
        side=junction.side,
        curve=Curve.from_array(points),
        radius_mm=radius,
        position_sd_mm=POSITION_SD_MM,
        fibres=entry.fibre_classes,
        fibres_source=entry.fibres_note,
        is_target=is_target,
        review="derived, unreviewed",
        derivation=_derivation(junction, nerve_id),
    )


def follow_bone(distance: Volume, line_mm: FloatArray, offset_mm: float) -> FloatArray:
    """A line (n, 3) laid onto bone: ``offset_mm`` off its surface where that is near enough.

    Points inside bone come out to the offset; points further off come in by at most 3 mm. Between
    the moves the curve (but for its two ends) is smoothed, so that it does not follow single voxels.
    """
    points = line_mm.copy()
    for _ in range(30):
        points[1:-1] = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]
        gap = distance.sample(points, outside=offset_mm) - offset_mm
        moved = points - 0.5 * gap[:, None] * outward(distance, points)
        shift = moved - line_mm
        length = np.linalg.norm(shift, axis=-1, keepdims=True)
        limit = np.minimum(1.0, LARGEST_SHIFT_MM / np.maximum(length, 1e-9))
        points = line_mm + shift * limit
    return points


def parallel_placement(nerve: Nerve, junction: Junction, instrument: Cannula) -> Placement:
    """A straight needle laid along the branch: beside the nerve, against but not in labelled bone.

    Its direction is :func:`course_direction`; the middle of the active tip stands level with the
    landmark, so that the apex lies half an active tip past it. Of all parallel shifts that keep the
    needle's wall off the bone (along its first 60 mm) and off the nerve, the one nearest to the nerve.

    Raises:
        InputError: no such place within 8 mm of the landmark.
    """
    direction = course_direction(junction, nerve.catalogue_id)
    radius, active = instrument.outer_radius_mm.value, instrument.active_tip_mm
    across = _shifts(direction)
    apex = np.array(junction.landmark.point_mm) - 0.5 * active * direction + across
    shaft = apex[:, None, :] + np.arange(0.0, REACH_MM, 1.0)[None, :, None] * direction
    off_bone = junction.distance.sample(shaft, outside=REACH_MM).min(axis=1) - radius
    beside = nerve.curve.distance_mm(shaft[:, : int(active) + 1])
    off_nerve = nerve.curve.distance_mm(shaft).min(axis=1) - radius - nerve.radius_mm.value
    allowed = (off_bone >= CLEARANCE_MM) & (off_nerve >= 0.0)
    if not allowed.any():
        raise InputError(
            "no place for the needle along the nerve", where=nerve.name, found=f"bone within {radius} mm"
        )
    best = int(np.argmin(np.where(allowed, beside.mean(axis=1), np.inf)))
    tip = tuple(round(float(c), 2) for c in apex[best])
    hub = tuple(float(c) for c in np.array(tip) + instrument.shaft_length_mm * direction)
    return Placement.between(instrument, (tip[0], tip[1], tip[2]), (hub[0], hub[1], hub[2]))


def as_given(placement: Placement) -> GivenPlacement:
    """A placement as a case states it: apex and a point up the shaft, rounded to 0.01 mm."""
    tip = np.array(placement.tip_mm)
    hub = tip + placement.instrument.shaft_length_mm * np.array(placement.direction_to_hub)
    return GivenPlacement(
        instrument=placement.instrument.id,
        tip_mm=tuple(np.round(tip, 2)),
        towards_hub_mm=tuple(np.round(hub, 2)),
    )


def _shifts(direction: FloatArray) -> FloatArray:
    """Shifts (n, 3) mm square to a direction, on a raster of 0.25 mm out to 8 mm."""
    steps = np.arange(-8.0, 8.01, 0.25)
    first = unit_vector(np.cross(direction, [0.0, 0.0, 1.0]))
    second = np.cross(direction, first)
    u, v = np.meshgrid(steps, steps)
    shifts: FloatArray = u.reshape(-1, 1) * first + v.reshape(-1, 1) * second
    return shifts


def _radius(diameter: Quantity) -> Quantity:
    """Half a diameter with everything that is known of it."""
    halves = {
        field: None if getattr(diameter, field) is None else 0.5 * getattr(diameter, field)
        for field in ("value", "low", "high", "standard_deviation")
    }
    return diameter.replace(**halves)


def _derivation(junction: Junction, nerve_id: str) -> str:
    text = ", ".join(f"{a.middle:g}° {a.name.replace('_', ' ')}" for a in approach_angles(nerve_id))
    return (
        f"through the {junction.landmark.name}; course from needles that lay along the nerve in a "
        f"published series ({text}: middle of the range over L1-L5), then laid onto the labelled bone; "
        "the turn to the midline after the junction is not modelled"
    )
