"""When a treated nerve may have grown back, at the earliest; beside when pain was published to return."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from neurolysis.errors import InputError
from neurolysis.evidence.clinical import EvidenceRow, find_evidence
from neurolysis.evidence.store import load_yaml, read_value
from neurolysis.evidence.vocabulary import modality_id
from neurolysis.nerve.targets import target_of
from neurolysis.prognosis import Return, StudyFigure
from neurolysis.quantity import Quantity

DATA = Path(__file__).parent / "data"
FILE = "regrowth.yaml"
DAYS_A_MONTH = 30.4375
GRADES_THAT_REGROW = ("II", "III", "indeterminate", "")
NO_REGROWTH = "Nerve cell bodies lie in this target: lost ones do not grow back, so distance says nothing."


def earliest_return(
    target: str, modality: str, *, grade: str = "", distance_mm: float | None = None
) -> Return:
    """The earliest return of fibres, by rate times distance, and the returns that were published.

    Args:
        target: a target or nerve of the catalogue.
        modality: id or name of the treatment: only returns published after it, there, are listed.
        grade: Sunderland grade of the injury, empty where it is not known.
        distance_mm: from the lesion to what the nerve serves; None where it is not known.

    Raises:
        UnknownNameError: no such target or treatment.
        InputError: a distance that is not above zero.
    """
    if distance_mm is not None and not distance_mm > 0:
        raise InputError("a distance of regrowth", found=distance_mm, allowed="above 0 mm")
    entry, published = target_of(target), published_returns(target, modality)
    rates = regrowth_rates()
    span = (min(r.low or r.value for r in rates), max(r.high or r.value for r in rates))
    sources = tuple(dict.fromkeys(rate.source for rate in rates))
    reason = _why_not(entry.cell_bodies, entry.kind, grade)
    applies = not reason
    months = None
    if applies and distance_mm is not None:
        months = (distance_mm / span[1] / DAYS_A_MONTH, distance_mm / span[0] / DAYS_A_MONTH)
    if applies:
        reason = str(_data()["text"])
        if distance_mm is None:
            reason += " The distance is not known, so no time is given."
    return Return(
        applies=applies,
        reason=reason,
        distance_mm=distance_mm,
        rate_mm_per_day=span if applies else None,
        earliest_months=months,
        published=published,
        sources=sources if applies else (entry.cell_bodies_source,),
    )


def _why_not(cell_bodies: bool | None, kind: str, grade: str) -> str:
    if cell_bodies is True or kind == "ganglion":
        return NO_REGROWTH
    if cell_bodies is None:
        return "Whether nerve cell bodies lie in this target was not read: regrowth is not computed."
    if grade in ("none", "I"):
        return "The nerve is not interrupted by this grade of injury: function returns without regrowth."
    if grade not in GRADES_THAT_REGROW:
        return f"After injury of grade {grade} regrowth without repair is not to be counted on."
    return ""


@cache
def regrowth_rates() -> tuple[Quantity, ...]:
    """Rates of growth that were read, mm a day."""
    rows = _data()["rates"]
    return tuple(read_value(Quantity, row, f"{FILE}: rates.{k}") for k, row in enumerate(rows))


def published_returns(target: str, modality: str) -> tuple[StudyFigure, ...]:
    """How long relief was published to last at a target after this treatment of it, and no other figure."""
    technique = modality_id(modality)
    rows = [
        row
        for family in ("duration", "recurrence")
        for row in find_evidence(target=target_of(target).id, modality=technique, outcome=family)
        if row.arm == "treatment" and technique in row.modalities
    ]
    return tuple(_figure(row) for row in dict.fromkeys(rows))


def _figure(row: EvidenceRow) -> StudyFigure:
    return StudyFigure(
        row=row.id,
        value=row.value,
        low=row.low,
        high=row.high,
        n=row.n,
        design=row.design,
        definition=f"{row.definition} [{row.unit}; {row.modality}; {row.target}]",
        source=row.source,
        confidence=row.confidence,
    )


def _data() -> Any:
    return load_yaml(FILE, DATA)
