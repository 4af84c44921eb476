"""Skin whose depth the case gives: one point up the needle, assessed like any structure."""

from __future__ import annotations

import numpy as np

from neurolysis.case import Case
from neurolysis.evidence.limits import limits_for
from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray
from neurolysis.injury import Injury, StructureInjury
from neurolysis.localization.skin import body_mask
from neurolysis.nerve.structures import Ground, assess_point
from neurolysis.plan import Placement, Plan
from neurolysis.scene import Scene

SKIN = "skin"


def with_skin(case: Case, scene: Scene, plan: Plan, exposure: Exposure, injury: Injury) -> Injury:
    """The injury with the skin judged by the depth given in the case, where the image does not hold it."""
    if not exposure.has_grid:
        return injury.replace(structures=(*_not_skin(injury), *skin_over(case, scene, exposure)))
    active = [placement for placement in plan.placements if placement.role == "active"]
    if (
        case.skin_depth_mm is None
        or not active
        or any(s.kind == SKIN and s.mask is not None for s in scene.structures)
    ):
        return injury
    found = [skin_at_depth(exposure, placement, case.skin_depth_mm) for placement in active]
    worst = max(found, key=_how_bad)
    return injury.replace(structures=(*_not_skin(injury), worst))


def _not_skin(injury: Injury) -> tuple[StructureInjury, ...]:
    return tuple(s for s in injury.structures if s.kind != SKIN)


def skin_over(case: Case, scene: Scene, exposure: Exposure) -> tuple[StructureInjury, ...]:
    """Skin over each operated stretch: the depth given in the case, else the nearest air outside the body."""
    found = []
    for line in exposure.along.values():
        points = line.operated_mm()
        if not len(points):
            continue
        depth, note = case.skin_depth_mm, "the depth given in the case"
        if depth is None:
            depth, note = _to_air_mm(scene, points)
        found.append(
            StructureInjury(
                structure="skin over the operated stretch",
                kind=SKIN,
                review="derived, unreviewed" if case.skin_depth_mm is None else "given",
                distance_to_course_mm=depth,
                note=note,
            )
        )
    return tuple(found)


def _to_air_mm(scene: Scene, points_mm: FloatArray) -> tuple[float | None, str]:
    """Least distance (mm) from LPS points (n, 3) to the air outside the body, and how it was found."""
    from scipy.ndimage import distance_transform_edt, label

    pieces, count = label(~body_mask(scene.image))
    if count == 0:
        return None, "no air outside the body is in the image"
    sizes = np.bincount(pieces.ravel())[1:]
    outside = pieces == 1 + int(np.argmax(sizes))
    depth = scene.image.with_array(distance_transform_edt(~outside, sampling=scene.image.spacing_mm))
    inside = points_mm[scene.image.contains(points_mm)]
    if not len(inside):
        return None, "the operated stretch lies outside the image"
    least = float(depth.sample(inside, order=1).min())
    return least, "to the nearest air outside the body, within a voxel; the operation goes through it"


def _how_bad(item: StructureInjury) -> float:
    """The hotter, or the colder where tissue is cooled, the worse."""
    if item.lowest_temperature_c is not None:
        return -item.lowest_temperature_c
    return item.peak_temperature_c or -np.inf


def skin_at_depth(exposure: Exposure, placement: Placement, depth_mm: float) -> StructureInjury:
    """Skin as the point ``depth_mm`` from the apex along the shaft."""
    point = np.array(placement.tip_mm) + depth_mm * np.array(placement.direction_to_hub)
    found = assess_point(Ground(exposure), point, SKIN, SKIN, limits_for(SKIN))
    note = (
        f"taken as one point {depth_mm:g} mm up the needle, the depth given in the case; "
        "beside the needle the skin may be nearer to the lesion"
    )
    return found.replace(note="; ".join(part for part in (found.note, note) if part))
