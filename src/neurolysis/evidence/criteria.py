"""When tissue counts as lesioned: the definitions read, side by side."""

from __future__ import annotations

from functools import cache
from typing import Literal

from neurolysis.errors import UnknownNameError
from neurolysis.evidence.store import load_yaml, read_value
from neurolysis.exposure import LesionCriterion


@cache
def lesion_criteria(purpose: Literal["plan", "bench", "cold"]) -> tuple[LesionCriterion, ...]:
    """Lesion criteria of a patient's plan (peak temperature), of the bench format (end of power), or of cold.

    Damage fields hold the natural log of Omega, so Omega >= 1 is a threshold of zero.

    Raises:
        UnknownNameError: another purpose; lists them.
    """
    table = load_yaml("criteria.yaml")["criteria"]
    if purpose not in table:
        raise UnknownNameError("unknown purpose of lesion criteria", found=purpose, allowed=sorted(table))
    rows = table[purpose]
    return tuple(read_value(LesionCriterion, row, f"criteria.yaml: {purpose}") for row in rows)
