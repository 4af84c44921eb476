"""Skin whose depth the case gives: one point up the needle, assessed like any structure."""

from __future__ import annotations

import numpy as np

from neurolysis.case import Case
from neurolysis.evidence.limits import limits_for
from neurolysis.exposure import Exposure
from neurolysis.injury import Injury, StructureInjury
from neurolysis.nerve.structures import Ground, assess_point
from neurolysis.plan import Placement, Plan
from neurolysis.scene import Scene

SKIN = "skin"


def with_skin(case: Case, scene: Scene, plan: Plan, exposure: Exposure, injury: Injury) -> Injury:
    """The injury with the skin judged by the depth given in the case, where the image does not hold it."""
    if case.skin_depth_mm is None or any(s.kind == SKIN and s.mask is not None for s in scene.structures):
        return injury
    found = [
        skin_at_depth(exposure, placement, case.skin_depth_mm)
        for placement in plan.placements
        if placement.role == "active"
    ]
    worst = max(found, key=_how_bad)
    others = tuple(s for s in injury.structures if s.kind != SKIN)
    return injury.replace(structures=(*others, worst))


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
