"""Which modality of the evidence base a case's treatment stands for."""

from __future__ import annotations

from neurolysis.case import Case
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.vocabulary import modalities, modality


def planned_modality(case: Case) -> str | None:
    """The modality that the case's treatment plans; None where none can be told.

    Of the modalities of its technique it is the one of its mode, else the first. A technique without any is
    told by a word of its protocol that is the name of a modality (of an agent, for instance).
    """
    if case.treatment is None:
        return None
    fitting = [item.id for item in modalities().values() if item.technique == case.treatment.technique]
    mode = str(case.treatment.protocol.get("mode") or "")
    of_mode = [name for name in fitting if mode and name.endswith(mode)]
    words = [value for value in case.treatment.protocol.values() if isinstance(value, str)]
    return next(iter((*of_mode, *fitting)), None) or next(filter(None, map(_named, words)), None)


def _named(word: str) -> str | None:
    try:
        return modality(word).id
    except UnknownNameError:
        return None
