"""Totals of questionnaires from answers, and what a typed-in total was read to mean."""

from __future__ import annotations

from datetime import date

from neurolysis.assessment import ScoreResult
from neurolysis.case import Answers, Score
from neurolysis.errors import InputError
from neurolysis.scores.registry import Instrument, instrument, instruments, item_values


def score(answers: Answers) -> ScoreResult:
    """The total of an answered questionnaire; withheld (None) where an item is missing and no rule was read.

    Raises:
        UnknownNameError: no such questionnaire.
        InputError: its items are not shipped, an item that does not exist, or a value that is no answer.
    """
    item = instrument(answers.questionnaire)
    allowed = item_values(item.id)
    where = f"questionnaires: {item.id}"
    unknown = sorted(set(answers.items) - set(allowed))
    if unknown:
        raise InputError("no such item", where=where, found=unknown, allowed=allowed)
    for name, value in answers.items.items():
        if value is not None and value not in allowed[name]:
            raise InputError("no such answer", where=f"{where}.{name}", found=value, allowed=allowed[name])
    given = {name: answers.items.get(name) for name in allowed}
    missing = tuple(name for name, value in given.items() if value is None)
    total = None if missing else float(sum(value for value in given.values() if value is not None))
    problem = "" if not missing else "items are missing and no rule for them was read: the total is withheld"
    alert = item.alert
    if alert and (given.get(alert.item) or 0) > alert.above:
        problem = " ".join(filter(None, (alert.text, problem)))
    return _result(item, total, answers.answered, missing, problem)


def read_total(total: Score) -> ScoreResult:
    """A typed-in total with its reading; an instrument that is not in the list keeps its own range.

    Raises:
        InputError: the total lies outside the instrument's range.
    """
    if total.instrument not in instruments():
        return ScoreResult(
            instrument=total.instrument,
            title=total.instrument,
            observed=total.observed,
            total=total.total,
            minimum=total.minimum,
            maximum=total.maximum,
            problem="not an instrument of the list: the total is shown as entered",
        )
    item = instrument(total.instrument)
    if not item.minimum <= total.total <= item.maximum:
        raise InputError(
            f"no possible total of {item.title}",
            where="scores",
            found=total.total,
            allowed=f"{item.minimum:g} to {item.maximum:g}",
        )
    return _result(item, total.total, total.observed, (), "")


def _result(
    item: Instrument, total: float | None, day: date | None, missing: tuple[str, ...], problem: str
) -> ScoreResult:
    reading = ""
    if total is not None and item.cut_off:
        side = "at or above" if total >= item.cut_off.at_least else "below"
        reading = f"{side} the cut-off read ({item.cut_off.text})"
    return ScoreResult(
        instrument=item.id,
        title=item.title,
        observed=day,
        total=total,
        minimum=item.minimum,
        maximum=item.maximum,
        band="" if total is None else item.band(total),
        reading=reading,
        source=", ".join(item.rows) or item.source,
        missing_items=missing,
        problem=problem,
    )
