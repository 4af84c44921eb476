"""Aftercare of one case: recovery, what to watch, what the patient is told, follow-up, course and repeat."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any, Literal

from neurolysis.aftercare.course import (
    Course,
    Graded,
    OpioidCourse,
    SignAlarm,
    check_days,
    grade,
    opioid_course,
    read_course,
    sign_alarms,
)
from neurolysis.aftercare.rules import (
    Advice,
    contacts,
    fitting,
    instructions,
    patient_red_flags,
    rules,
    watch_list,
)
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.evidence.clinical import find_evidence
from neurolysis.evidence.store import evidence_version
from neurolysis.evidence.vocabulary import modality as find_modality
from neurolysis.nerve.regeneration import earliest_return
from neurolysis.nerve.targets import target_of
from neurolysis.outcome import DiaryDay, Outcome, VitalSigns
from neurolysis.prognosis import Return
from neurolysis.quantity import Value
from neurolysis.scores.mme import daily_mme
from neurolysis.scores.recovery import RecoveryScore, recovery_score

LEAVE_ROOM, GO_HOME = "aldrete", ("padss", "modified_padss")


class FollowUp(Value):
    """One contact with its days; ``days`` None while the day of the procedure is not known."""

    id: str
    title: str
    how: Literal["phone", "visit"]
    what: str
    day_from: int
    day_to: int
    date_from: date | None
    date_to: date | None
    source: str


class RepeatAdvice(Value):
    """What the evidence says of doing it again; ``rows`` are its figures in words."""

    text: str
    rows: tuple[str, ...] = ()


class AftercarePlan(Value):
    """Step 5 of a case on one day."""

    schema_version: Literal[1] = 1
    case_id: str
    case_hash: str
    evidence_version: str
    on: date
    technique: str
    target: str
    performed: date | None
    watch: tuple[Advice, ...]
    signs: tuple[VitalSigns, ...]
    diary: tuple[DiaryDay, ...]
    alarms: tuple[SignAlarm, ...]
    alarm_note: str
    recovery: tuple[RecoveryScore, ...]
    may_leave_recovery: bool | None
    may_go_home: bool | None
    home_needs: tuple[str, ...]
    instructions: tuple[Advice, ...]
    red_flags: tuple[Advice, ...]
    follow_up: tuple[FollowUp, ...]
    course: Course | None
    opioids: OpioidCourse
    complications: tuple[Graded, ...]
    regrowth: Return
    repeat: RepeatAdvice


def care(
    case: Case,
    outcome: Outcome | None,
    on: date,
    *,
    technique: str,
    target: str,
    blood_pressure_unit: Literal["mmHg", "percent"] | None = None,
    sedated: bool | None = None,
) -> AftercarePlan:
    """The aftercare of a case.

    Args:
        outcome: what was seen so far; None before the procedure.
        technique: modality id; target: target or nerve id: of the plan, or of what was done.
        blood_pressure_unit: of the Aldrete score; the site's choice, needed where one was scored.
        sedated: whether sedation was given, as recorded; None: by the outcome, or else as planned.

    Raises:
        UnknownNameError: no such technique, target or recovery scale.
        InputError: a date in the future or before the procedure, impossible scores, an outcome of
            another case.
    """
    seen = outcome or Outcome(case_id=case.id)
    if seen.case_id != case.id:
        raise InputError(
            "the outcome is of another case", where="outcome.yaml", found=seen.case_id, allowed=case.id
        )
    check_days(seen, on)
    modality_id, group = find_modality(technique).id, target_of(target).id
    return AftercarePlan(
        case_id=case.id,
        case_hash=case.content_hash(),
        evidence_version=evidence_version(),
        on=on,
        technique=modality_id,
        target=group,
        performed=seen.procedure.performed.date() if seen.procedure else None,
        regrowth=earliest_return(group, modality_id),
        repeat=repeat_advice(case.condition, group, modality_id),
        **_in_recovery(case, seen, blood_pressure_unit),
        **_told(case, seen, modality_id, group, sedated),
        **_afterwards(case, seen),
    )


def _in_recovery(
    case: Case, seen: Outcome, blood_pressure_unit: Literal["mmHg", "percent"] | None
) -> dict[str, Any]:
    """Signs, alarms, scores and who may leave."""
    scores = tuple(
        recovery_score(check.scale, check.items, blood_pressure_unit=blood_pressure_unit)
        for check in seen.recovery
    )
    home = _ready(scores, GO_HOME)
    return {
        "signs": seen.vital_signs,
        "alarms": sign_alarms(seen.vital_signs, seen.procedure),
        "alarm_note": rules()["site_alarms"],
        "recovery": scores,
        "may_leave_recovery": _ready(scores, (LEAVE_ROOM,)),
        "may_go_home": _with_escort(case, home),
        "home_needs": tuple(_home_needs(case, home)),
    }


def _told(
    case: Case, seen: Outcome, technique: str, target: str, sedated: bool | None
) -> dict[str, tuple[Advice, ...]]:
    """What to watch for and what the patient is told, as far as it fits."""
    done = seen.procedure
    if sedated is None:
        sedated = bool(done and done.sedation != "none") or _sedated(case)
    which = {
        "sedation": sedated,
        "opioids": bool(daily_mme(case.medications, clinician=seen.clinician).parts),
    }
    lists = {"watch": watch_list(), "instructions": instructions(), "red_flags": patient_red_flags()}
    return {name: fitting(items, technique, target, **which) for name, items in lists.items()}


def _afterwards(case: Case, seen: Outcome) -> dict[str, Any]:
    """Contacts, diary, course of pain and opioids, complications."""
    before = daily_mme(case.medications, clinician=seen.clinician)
    return {
        "diary": seen.diary,
        "follow_up": tuple(follow_up(seen.procedure.performed.date() if seen.procedure else None)),
        "course": read_course(seen) if seen.diary else None,
        "opioids": opioid_course(seen, before if before.parts else None),
        "complications": tuple(grade(item) for item in seen.complications),
    }


def follow_up(performed: date | None) -> Iterator[FollowUp]:
    """Every contact, with its days once the day of the procedure is known."""
    for item in contacts():
        first = None if performed is None else performed + timedelta(days=item.day_from)
        last = None if performed is None else performed + timedelta(days=item.day_to)
        yield FollowUp(
            id=item.id,
            title=item.title,
            how=item.how,
            what=item.what,
            day_from=item.day_from,
            day_to=item.day_to,
            date_from=first,
            date_to=last,
            source=item.source,
        )


def repeat_advice(condition: str | None, group: str, technique: str) -> RepeatAdvice:
    """What was read on repeating, as printed; "none found" where nothing was."""
    rows = [
        row
        for family in ("repeat", "further_treatment")
        for row in find_evidence(condition=condition, target=group, modality=technique, outcome=family)
        if technique in row.modalities
    ]
    if not rows:
        return RepeatAdvice(text="On repeating this technique here: none found.")
    said = tuple(
        f"{row.definition}: {_number(row.value, row.low, row.high)} {row.unit} [{row.id}]" for row in rows
    )
    return RepeatAdvice(text="What was read on repeating; a clinician decides with the patient.", rows=said)


def _number(value: float | None, low: float | None, high: float | None) -> str:
    span = "" if low is None or high is None else f"{low:g} to {high:g}"
    return span if value is None else f"{value:g}" + (f", {span}" if span else "")


def _ready(scores: tuple[RecoveryScore, ...], scales: tuple[str, ...]) -> bool | None:
    """The newest score of these scales; None where there is none, or it is not complete."""
    own = [score for score in scores if score.scale in scales]
    return own[-1].ready if own else None


def _with_escort(case: Case, home: bool | None) -> bool | None:
    """Nobody goes home without an adult escort, however good the score (the scale's own rule)."""
    escort = case.anaesthesia.escort_arranged if case.anaesthesia else None
    if home is False or escort is False:
        return False
    return None if escort is None else home


def _home_needs(case: Case, home: bool | None) -> Iterator[str]:
    if home is None:
        yield "a complete PADSS or modified PADSS score"
    escort = case.anaesthesia.escort_arranged if case.anaesthesia else None
    if escort is None:
        yield "whether an adult escort is there"
    elif not escort:
        yield "an adult escort"


def _sedated(case: Case) -> bool:
    return case.anaesthesia is not None and case.anaesthesia.sedation not in (None, "none")
