"""What may be expected: benefit by time, harms, duration and more, from the evidence rows that fit.

Rows are pooled only where all that was counted is the same (``EvidenceRow.pooling_key``) and the studies
differ; everything else stands alone, and an empty cell says "none found". Nothing is interpolated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from neurolysis.evidence.clinical import EvidenceRow, find_evidence
from neurolysis.evidence.store import evidence_version, load_yaml, pick, read_value
from neurolysis.evidence.vocabulary import family as find_family
from neurolysis.evidence.vocabulary import modality as find_modality
from neurolysis.evidence.vocabulary import wider_modalities
from neurolysis.nerve.conditions import condition as find_condition
from neurolysis.nerve.regeneration import earliest_return
from neurolysis.nerve.targets import target_of
from neurolysis.planning.pooling import METHOD, SINGLE, pooled_rate, single_rate
from neurolysis.prognosis import Prediction, Prognosis, StudyFigure
from neurolysis.quantity import Quantity, Value, parse

DATA = Path(__file__).parent / "data"
FILE = "prognosis.yaml"
PERCENT = "percent"


class CoverageLink(Value):
    """How simulated coverage enters a prognosis; replaceable, and its weakness is always said."""

    id: str
    title: str
    text: str
    weakness: str = Field(min_length=1)
    basis: Literal["", "assumption"] = ""

    def factor(self, covered_share: float | None) -> float:
        """What benefit is multiplied by; never above 1."""
        if self.id != "proportional" or covered_share is None:
            return 1.0
        return min(1.0, max(0.0, covered_share))


def prognose(
    condition: str,
    target: str,
    modality: str,
    *,
    plan_hash: str | None = None,
    covered_share: float | None = None,
    grade: str = "",
    distance_mm: float | None = None,
    link: str = "none",
) -> Prognosis:
    """The prognosis of one technique for one condition at one target.

    Args:
        covered_share: lesioned length over the critical length, from a simulation; None without one.
        grade: Sunderland grade of the target's injury; distance_mm: from lesion to what it serves.
        link: how coverage enters; ``none`` or ``proportional``.

    Raises:
        UnknownNameError: a name that is not in its catalogue.
    """
    entry, place, technique = find_condition(condition), target_of(target).id, find_modality(modality).id
    rows = _rows(entry.id, place, technique)
    chosen = coverage_link(link)
    factor = chosen.factor(covered_share)
    return Prognosis(
        technique=technique,
        condition=entry.id,
        target=place,
        plan_hash=plan_hash,
        evidence_version=evidence_version(),
        benefits=tuple(_scaled(item, factor) for item in _benefits(rows)),
        harms=tuple(_harms(rows)),
        duration=tuple(_listed(rows, _data()["duration"])),
        other=tuple(_always(rows, _data()["other"])),
        regrowth=earliest_return(place, technique, grade=grade, distance_mm=distance_mm),
        coverage_link=f"{chosen.title}: {chosen.text} {chosen.weakness}",
        general_claim=_data()["general_claim"],
        caveats=tuple(_caveats(entry.id, place, technique, rows)),
    )


def options_for(condition: str, target: str | None = None) -> tuple[Prognosis, ...]:
    """One prognosis for each technique listed for a condition, also where nothing was found.

    Args:
        target: a target or nerve; None takes for each technique the first target with evidence.
    """
    entry = find_condition(condition)
    found = []
    for technique in entry.techniques:
        places = (target_of(target).id,) if target else entry.targets
        with_rows = [place for place in places if _rows(entry.id, place, technique)]
        found.append(prognose(entry.id, (with_rows or list(places))[0], technique))
    return tuple(found)


def coverage_link(id: str) -> CoverageLink:
    """One link; UnknownNameError lists them."""
    table = {name: parse(CoverageLink, {"id": name, **row}, FILE) for name, row in _data()["links"].items()}
    return pick(table, id, "link between coverage and benefit")


# ---------------------------------------------------------------- rows


def _rows(condition: str, target: str, technique: str) -> tuple[EvidenceRow, ...]:
    """Rows of this technique alone, for this condition and target: results and differences."""
    return tuple(
        row
        for row in find_evidence(condition=condition, target=target, modality=technique)
        if row.arm in ("treatment", "difference") and row.modalities == (technique,)
    )


def _families(rows: Iterable[EvidenceRow], family: str) -> list[EvidenceRow]:
    return [row for row in rows if family in (row.family, *row.also)]


def _grouped(rows: Iterable[EvidenceRow]) -> Iterator[list[EvidenceRow]]:
    """Rows that may be pooled, together; all others alone."""
    groups: dict[tuple[str, ...], list[EvidenceRow]] = {}
    for row in rows:
        groups.setdefault(row.pooling_key, []).append(row)
    for group in groups.values():
        studies: dict[str, EvidenceRow] = {}
        for row in group:
            if row.fraction is None or row.study in studies:
                yield [row]
            else:
                studies[row.study] = row
        if studies:
            yield list(studies.values())


# ---------------------------------------------------------------- predictions


def _benefits(rows: Sequence[EvidenceRow]) -> Iterator[Prediction]:
    """Half relief at each month (none found where empty), at other times, then the other measures."""
    relief = _families(rows, _data()["relief_family"])
    months = _data()["relief_months"]
    for month in months:
        here = [row for row in relief if row.timepoint_months == month]
        if here:
            yield from (_prediction(group) for group in _grouped(here))
        else:
            yield _none_found(_data()["relief_family"], month)
    rest = [row for row in relief if row.timepoint_months not in months]
    yield from (_prediction(group) for group in _grouped(rest))
    yield from _listed(rows, _data()["other_benefits"])


def _harms(rows: Sequence[EvidenceRow]) -> Iterator[Prediction]:
    for item in _data()["harms"]:
        found = [row for row in _families(rows, item["family"]) if _lasts(row, item["lasting"])]
        if found:
            yield from (_prediction(group, item["title"], item["family"]) for group in _grouped(found))
        else:
            yield _none_found(item["family"], None, item["title"])
    yield from _listed(rows, _data()["more_harms"])


def _lasts(row: EvidenceRow, wanted: str) -> bool:
    """Temporary and permanent are told apart; what the source leaves open counts as temporary and says so."""
    if not wanted:
        return True
    return row.lasting == wanted or (wanted == "temporary" and row.lasting == "not stated")


def _listed(rows: Sequence[EvidenceRow], families: Sequence[str]) -> Iterator[Prediction]:
    """Every figure of these families; nothing where there is none."""
    for family in families:
        yield from (_prediction(group) for group in _grouped(_families(rows, family)))


def _always(rows: Sequence[EvidenceRow], families: Sequence[str]) -> Iterator[Prediction]:
    for family in families:
        found = _families(rows, family)
        if found:
            yield from (_prediction(group) for group in _grouped(found))
        else:
            yield _none_found(family, None)


def _none_found(family: str, month: float | None, title: str = "") -> Prediction:
    return Prediction(
        outcome=family,
        title=title or find_family(family).title,
        unit=PERCENT,
        value=None,
        at_months=month,
        basis="none found",
        provenance="evidence",
        statement="none found",
    )


def _prediction(group: Sequence[EvidenceRow], title: str = "", family: str = "") -> Prediction:
    first = group[0]
    common: dict[str, Any] = {
        "outcome": family or first.family,
        "title": title or find_family(first.family).title,
        "unit": first.unit,
        "at_months": first.timepoint_months,
        "definition": first.definition,
        "denominator": first.denominator,
        "design": first.design,
        "provenance": "evidence",
        "studies": tuple(map(_figure, group)),
        "sources": tuple(dict.fromkeys(row.source for row in group)),
    }
    counts = [row.fraction for row in group if row.fraction is not None]
    if first.unit == PERCENT and len(counts) == len(group):
        return Prediction(**common, **_from_counts(counts, first))
    return Prediction(**common, **_as_printed(first))


def _from_counts(counts: Sequence[tuple[int, int]], row: EvidenceRow) -> dict[str, Any]:
    if len(counts) > 1:
        rate = pooled_rate(counts)
        text = (
            f"{len(counts)} studies pooled; a new study may find {rate.new_low:.0%} to {rate.new_high:.0%}."
        )
        return {
            **_percent(rate.value, rate.low, rate.high),
            "interval": METHOD,
            "basis": "pooled",
            "statement": text,
        }
    spread = single_study_spread()
    rate = single_rate(*counts[0], spread.value)
    text = (
        f"Single study, {counts[0][0]} of {counts[0][1]}. Another place may find {rate.new_low:.0%} to "
        f"{rate.new_high:.0%} (assumed spread between studies {spread.value:g})."
    )
    return {
        **_percent(rate.value, rate.low, rate.high, printed=row.value),
        "interval": SINGLE,
        "basis": "single study",
        "statement": _with_problems(text, row),
    }


def _percent(value: float, low: float, high: float, printed: float | None = None) -> dict[str, float]:
    """Per cent; the printed value is kept, and the interval holds it."""
    shown = 100 * value if printed is None else printed
    return {
        "value": float(f"{shown:.6g}"),
        "low": float(f"{min(100 * low, shown):.4g}"),
        "high": float(f"{max(100 * high, shown):.4g}"),
    }


def _as_printed(row: EvidenceRow) -> dict[str, Any]:
    both = row.low is not None and row.high is not None
    text = "Single study, as printed." if row.value is not None else "Only a range is printed."
    if both:
        interval = "interval or range as the source prints it"
    else:
        interval = "no interval: the source prints none, and no number it was counted among"
    inside = not both or row.value is None or (row.low or 0) <= row.value <= (row.high or 0)
    return {
        "value": row.value,
        "low": row.low if both and inside else None,
        "high": row.high if both and inside else None,
        "interval": interval
        if inside
        else f"printed range {row.low:g} to {row.high:g} does not hold the value",
        "basis": "as printed" if row.value is not None or both else "none found",
        "statement": _with_problems(text, row),
    }


def _with_problems(text: str, row: EvidenceRow) -> str:
    extra = [f"Selected: {row.selection}."] if row.selection else []
    extra += [f"Beware: {problem}." for problem in row.problems]
    if row.lasting == "not stated" and row.family == "harm_numbness":
        extra.append("Whether it lasts is not stated.")
    return " ".join([text, *extra])


def _figure(row: EvidenceRow) -> StudyFigure:
    return StudyFigure(
        row=row.id,
        value=row.value,
        low=row.low,
        high=row.high,
        n=row.n,
        design=row.design,
        definition=row.definition,
        source=row.source,
        confidence=f"{row.confidence}: {row.confidence_note}",
    )


def _scaled(item: Prediction, factor: float) -> Prediction:
    """Benefit lowered by the link; only responder percentages can be."""
    if factor == 1.0 or item.unit != PERCENT or item.value is None:
        return item
    return item.replace(
        value=item.value * factor,
        low=None if item.low is None else item.low * factor,
        high=item.high,
        statement=f"{item.statement} Multiplied by {factor:.2f} for coverage (assumption).",
        provenance="assumption",
    )


# ---------------------------------------------------------------- what must be said


def _caveats(condition: str, target: str, technique: str, rows: Sequence[EvidenceRow]) -> Iterator[str]:
    said: set[tuple[str, ...]] = set()
    for note in find_condition(condition).notes:
        said.add(note.rows)
        yield f"{note.text} [{', '.join(note.rows) or note.source}]"
    survival, selection = _data()["survival"], _data()["selection"]
    heard = tuple(survival["rows"]) in said
    if technique in survival["modalities"] and target in survival["targets"] and not heard:
        yield f"{survival['text']} [{', '.join(survival['rows'])}]"
    if target in selection["targets"] and tuple(selection["rows"]) not in said:
        yield f"{selection['text']} [{', '.join(selection['rows'])}]"
    if condition.startswith("cancer"):
        yield _data()["cancer_survivors"]
    if not rows:
        yield "No figure was found for this technique, condition and target."
    for wider in wider_modalities(technique):
        ids = [
            r.id
            for r in find_evidence(condition=condition, target=target, modality=wider)
            if wider in r.modalities
        ]
        if ids:
            title = find_modality(wider).title
            text = f"{len(ids)} further figures are of a wider group ({title}) and are not counted here"
            yield f"{text}: {', '.join(ids)}."
    negative = [row.id for row in rows if row.design == "randomised sham-controlled"]
    if negative:
        yield f"Sham-controlled figures are among them: {', '.join(negative)}. They are usually far smaller."


@cache
def single_study_spread() -> Quantity:
    """Assumed spread between studies where only one was found."""
    return read_value(Quantity, _data()["single_study_spread"], f"{FILE}: single_study_spread")


def _data() -> Mapping[str, Any]:
    table: Mapping[str, Any] = load_yaml(FILE, DATA)
    return table
