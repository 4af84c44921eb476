"""Injury under a delivery that acts along nerves: what was found along each, and what lies near its work.

There is no lesion, so there is no covered length, no killed share and no limit of heat or agent to check.
Structures are listed with their distance to the stretch that is operated on.
"""

from __future__ import annotations

import numpy as np

from neurolysis.exposure import Exposure, LineFields
from neurolysis.injury import Grade, Injury, NerveInjury, StructureInjury
from neurolysis.nerve.masks import Mask
from neurolysis.scene import Nerve, Review, Scene, Structure

NO_VERDICT = "This delivery makes no lesion: there is no length to cover."
GRADE = Grade(
    grade="indeterminate",
    rule="Strain, pressure and dissection are not tied to a Sunderland grade by anything that was read.",
    source="assumption: rule of this program, what no source grades is not graded",
)
NO_FIBRES = "What strain and pressure do to single fibre classes was not read; none is computed."
SCAR = "scar"
"""Kind of a structure that is the reason for the work, not at risk by it."""


def assess_along(scene: Scene, exposure: Exposure) -> Injury:
    """Every nerve and structure of a scene under fields along nerves."""
    return Injury(
        exposure_hash=exposure.content_hash(),
        damage_start="no damage is counted: strain and pressure are held against thresholds",
        nerves=tuple(_nerve(exposure, nerve) for nerve in scene.nerves),
        structures=_structures(scene, exposure),
        notes=(NO_FIBRES,),
    )


def _nerve(exposure: Exposure, nerve: Nerve) -> NerveInjury:
    line = exposure.along.get(nerve.name)
    arc, points = (line.arc_mm, line.points_mm) if line else nerve.curve.resample(1.0)
    fields = line.fields if line else {}
    return NerveInjury(
        nerve=nerve.name,
        is_target=nerve.is_target,
        review=nerve.review,
        arc_mm=tuple(arc.tolist()),
        points_mm=tuple(map(tuple, points.tolist())),
        profiles={name: tuple(field.array.tolist()) for name, field in fields.items()},
        profile_units={name: field.unit for name, field in fields.items()},
        killed_fraction={},
        selectivity_note=NO_FIBRES,
        by_criterion=(),
        criteria_disagree=False,
        coverage="no verdict",
        coverage_reason=NO_VERDICT,
        grade=GRADE,
    )


def _structures(scene: Scene, exposure: Exposure) -> tuple[StructureInjury, ...]:
    found = []
    for nerve in scene.nerves:
        line = exposure.along.get(nerve.name)
        if line is None or not len(line.operated_mm()):
            continue
        found += [_structure(line, nerve, item) for item in scene.structures if item.kind != SCAR]
        found += [_neighbour(line, nerve, other) for other in scene.nerves if other.name != nerve.name]
    return tuple(found)


def _structure(line: LineFields, nerve: Nerve, item: Structure) -> StructureInjury:
    if item.mask is None:
        return StructureInjury(
            structure=item.name, kind=item.kind, review=item.review, note=item.unknown_reason
        )
    gap = float(Mask(item.mask).distance_mm(line.operated_mm()).min()) - nerve.radius_mm.value
    return _found(item.name, item.kind, item.review, gap, item.position_sd_mm, nerve)


def _neighbour(line: LineFields, nerve: Nerve, other: Nerve) -> StructureInjury:
    to_axis = float(np.min(other.curve.distance_mm(line.operated_mm())))
    gap = to_axis - nerve.radius_mm.value - other.radius_mm.value
    return _found(other.name, "nerve_neighbour", other.review, gap, other.position_sd_mm.value, nerve)


def _found(
    name: str, kind: str, review: Review, gap_mm: float, sd_mm: float, nerve: Nerve
) -> StructureInjury:
    spread = float(np.hypot(sd_mm, nerve.position_sd_mm.value))
    return StructureInjury(
        structure=name,
        kind=kind,
        review=review,
        distance_to_course_mm=max(gap_mm, 0.0),
        note=f"surface to surface; both places together are uncertain by {spread:.1f} mm (one SD)",
    )
