"""Which modality of the evidence base a case's treatment stands for."""

from __future__ import annotations

from neurolysis.case import Case
from neurolysis.evidence.vocabulary import modalities


def planned_modality(case: Case) -> str | None:
    """The modality that the case's treatment plans: the one of its mode, else the first of its technique."""
    if case.treatment is None:
        return None
    fitting = [item.id for item in modalities().values() if item.technique == case.treatment.technique]
    mode = str(case.treatment.protocol.get("mode") or "")
    of_mode = [name for name in fitting if mode and name.endswith(mode)]
    return next(iter((*of_mode, *fitting)), None)
