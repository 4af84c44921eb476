"""Step 1 whole: red flags first, then questionnaires, blocks, causes and suitability, and what is missing."""

from __future__ import annotations

from datetime import date

from neurolysis.assessment import Assessment, ScoreResult, TechniqueSuitability
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.evaluation.blocks import read_blocks
from neurolysis.evaluation.body_map import check_areas
from neurolysis.evaluation.causes import candidate_causes
from neurolysis.evaluation.disagreement import disagreements
from neurolysis.evaluation.red_flags import red_flags, unasked
from neurolysis.evaluation.suitability import out_of_scope, suitability
from neurolysis.evidence.store import evidence_version
from neurolysis.nerve.conditions import condition
from neurolysis.nerve.targets import target_of
from neurolysis.scores.scoring import read_total, score


def evaluate(case: Case, on: date) -> Assessment:
    """Evaluate a case on a day.

    Suitability is judged for the named condition, else for the first candidate; with an open red flag or
    out of scope it is not judged at all.

    Raises:
        UnknownNameError: a condition, target, area or questionnaire that is not in its catalogue.
        InputError: a finding of a later day, or an impossible score.
    """
    _check_days(case, on)
    check_areas(case.pain)
    if case.condition is not None:
        condition(case.condition)
    outside, flags = out_of_scope(case, on), red_flags(case, on)
    stopped = bool(outside) or any(flag.state == "open" for flag in flags)
    blocks, series = read_blocks(case, on)
    causes = candidate_causes(case, on)
    named = case.condition or (causes[0].condition if causes else None)
    suits = () if stopped or named is None else _suits(case.replace(condition=named), on)
    return Assessment(
        case_id=case.id,
        case_hash=case.content_hash(),
        evidence_version=evidence_version(),
        evaluated=on,
        stopped=stopped,
        out_of_scope=outside,
        red_flags=flags,
        scores=_scores(case),
        blocks=blocks,
        block_series=series,
        causes=causes,
        suitability=suits,
        disagreements=disagreements(case, blocks),
        missing=_missing(case, on, named),
    )


def _suits(case: Case, on: date) -> tuple[TechniqueSuitability, ...]:
    """Each technique of the condition at its target: the case's own target, or every one listed."""
    entry = condition(case.condition or "")
    own = target_of(case.target.nerve).id if case.target else None
    targets = (own,) if own in entry.targets else entry.targets
    return tuple(
        suitability(case, target, technique, on)
        for target in targets
        if target is not None
        for technique in entry.techniques
    )


def _scores(case: Case) -> tuple[ScoreResult, ...]:
    found = [*(score(answers) for answers in case.questionnaires), *(read_total(one) for one in case.scores)]
    return tuple(sorted(found, key=lambda item: (item.instrument, item.observed or date.min)))


def _missing(case: Case, on: date, named: str | None) -> tuple[str, ...]:
    missing = list(unasked(case, on))
    if not case.pain:
        missing.append("the areas of pain on the body outline")
    if named is None:
        missing.append("a condition: none is named and none could be found")
    if case.patient.birth_year is None:
        missing.append("the year of birth")
    return tuple(dict.fromkeys(missing))


def _check_days(case: Case, on: date) -> None:
    dated = [(f"findings: {f.name}", f.observed) for f in case.findings]
    dated += [(f"scores: {s.instrument}", s.observed) for s in case.scores]
    dated += [(f"questionnaires: {a.questionnaire}", a.answered) for a in case.questionnaires]
    dated += [(f"prior_procedures: {p.technique}", p.performed) for p in case.prior_procedures]
    for where, day in dated:
        if day is not None and day > on:
            raise InputError("a date in the future", where=where, found=day, allowed=f"up to {on}")
