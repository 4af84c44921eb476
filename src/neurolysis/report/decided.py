"""Which lesion criteria decide, and which are only a lower bound for lack of a source."""

from __future__ import annotations

import numpy as np

from neurolysis.evidence.kinetics import cem43_record
from neurolysis.exposure import Exposure, LesionCriterion
from neurolysis.injury import CriterionInjury, NerveInjury
from neurolysis.nerve.along import CEM43, PEAK

LOWER_BOUND = "a lower bound"


def undecided_in(exposure: Exposure) -> frozenset[str]:
    """Ids of dose criteria missed in tissue that was hotter than the range their rate has a source in."""
    if CEM43 not in exposure.fields or PEAK not in exposure.fields:
        return frozenset()
    hot = exposure.field(PEAK).array > cem43_record().valid_high_c
    dose = exposure.field(CEM43).array
    return frozenset(c.id for c in _of_dose(exposure) if bool(np.any(hot & (dose < c.threshold))))


def undecided_on(exposure: Exposure, injury: NerveInjury) -> frozenset[str]:
    """The same along one nerve."""
    dose, heat = injury.profiles.get(CEM43), injury.profiles.get(PEAK)
    if dose is None or heat is None:
        return frozenset()
    hot = np.array(heat) > cem43_record().valid_high_c
    return frozenset(c.id for c in _of_dose(exposure) if bool(np.any(hot & (np.array(dose) < c.threshold))))


def _of_dose(exposure: Exposure) -> list[LesionCriterion]:
    return [criterion for criterion in exposure.criteria if criterion.field == CEM43]


def deciding(exposure: Exposure) -> tuple[LesionCriterion, ...]:
    """The criteria that decide about tissue; all of them where none is left."""
    left_out = undecided_in(exposure)
    return tuple(c for c in exposure.criteria if c.id not in left_out) or exposure.criteria


def strictest(exposure: Exposure, injury: NerveInjury) -> CriterionInjury | None:
    """The nerve by the deciding criterion that gives the shortest length."""
    left_out = undecided_on(exposure, injury)
    kept = [item for item in injury.by_criterion if item.criterion not in left_out]
    return min(kept, key=lambda item: item.longest_lesioned_mm, default=None)
