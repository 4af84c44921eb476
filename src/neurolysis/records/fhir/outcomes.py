"""What was seen afterwards: AdverseEvent, Observations of signs, visits and diary, the aftercare CarePlan."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from neurolysis.aftercare.care import AftercarePlan, care
from neurolysis.aftercare.course import grade
from neurolysis.errors import NeurolysisError
from neurolysis.outcome import AdverseEvent, Complication, DiaryDay, Outcome, Visit, VitalSigns
from neurolysis.planning.modality import planned_modality
from neurolysis.records.careplan import care_plan
from neurolysis.records.fhir.clinical import addressed, loinc_pain
from neurolysis.records.fhir.record import Record, head, key_of, subject
from neurolysis.records.fhir.room import procedure_id
from neurolysis.records.fhir.terms import (
    HL7,
    LOINC,
    UCUM,
    Resource,
    concept,
    extensions,
    moment,
    own,
    part_id,
    reference,
    without_nothing,
)

SIGNS = (
    ("systolic_mmhg", "8480-6", "Systolic blood pressure", "mm[Hg]"),
    ("heart_rate_per_min", "8867-4", "Heart rate", "/min"),
    ("oxygen_saturation_percent", "2708-6", "Oxygen saturation", "%"),
    ("temperature_c", "8310-5", "Body temperature", "Cel"),
)
"""Vital signs with the LOINC codes that the vital signs profiles of FHIR R4 fix for them."""


# ---------------------------------------------------------------- adverse events


def adverse_events(record: Record) -> Iterator[Resource]:
    """Every harm of the outcome; the grade stands with the name of its scale."""
    seen = record.outcome
    if seen is None:
        return
    yield from (_adverse_event(record, item) for item in seen.complications)
    yield from (_adverse_event(record, item) for visit in seen.visits for item in visit.events)


def _adverse_event(record: Record, item: AdverseEvent) -> Resource:
    done = record.outcome.procedure if record.outcome else None
    cause = [{"instance": reference("Procedure", procedure_id(record))}] if done else []
    died = isinstance(item, Complication) and item.died
    outcome = "fatal" if died else "resolved" if item.resolved else "unknown"
    system = HL7 + "adverse-event-outcome"
    return addressed(
        record,
        without_nothing(
            {
                "resourceType": "AdverseEvent",
                "actuality": "actual",
                "event": concept(item.name),
                "date": item.onset.isoformat() if item.onset else None,
                "outcome": {"coding": [{"system": system, "code": outcome}]},
                "suspectEntity": cause,
                **extensions(
                    grade=item.grade,
                    grading_scale=item.grading_scale,
                    resolved=item.resolved,
                    **_graded(item),
                ),
            }
        ),
    )


def _graded(item: AdverseEvent) -> dict[str, object]:
    if not isinstance(item, Complication):
        return {}
    found = grade(item)
    return {
        "ctcae_grade": found.ctcae,
        "clavien_dindo_grade": found.clavien_dindo,
        "grade_needs": ", ".join(found.needs),
        "most_that_was_done": item.treatment,
    }


# ---------------------------------------------------------------- observations


def outcome_observations(record: Record) -> Iterator[Resource]:
    """Vital signs, recovery checks, diary and visits."""
    seen = record.outcome
    if seen is None:
        return
    for signs in seen.vital_signs:
        yield from _signs(record, seen, signs)
    for check in seen.recovery:
        points = [{"code": concept(name), "valueInteger": value} for name, value in check.items.items()
                  if value is not None]  # fmt: skip
        code = concept(f"Recovery check ({check.scale})", own("observation", "recovery-check"))
        when = _after(seen, check.minutes)
        said = extensions(minutes_after=check.minutes)
        yield _observation(record, "exam", code, when, without_nothing({"component": points}) | said)
    for day in seen.diary:
        yield from _diary(record, day)
    for visit in seen.visits:
        yield from _visit(record, visit)


def _observation(record: Record, category: str, code: Resource, when: str | None, rest: Resource) -> Resource:
    done = record.outcome.procedure if record.outcome else None
    part = [reference("Procedure", procedure_id(record))] if done else []
    return addressed(
        record,
        without_nothing(
            {
                "resourceType": "Observation",
                "status": "final",
                "partOf": part,
                "category": [concept("", {"system": HL7 + "observation-category", "code": category})],
                "code": code,
                "effectiveDateTime": when,
                **rest,
            }
        ),
    )


def _after(seen: Outcome, minutes: float) -> str | None:
    """The time some minutes after the procedure; its day where the procedure has no time zone."""
    return None if seen.procedure is None else moment(seen.procedure.performed + timedelta(minutes=minutes))


def _signs(record: Record, seen: Outcome, signs: VitalSigns) -> Iterator[Resource]:
    for field, code, text, unit in SIGNS:
        value = getattr(signs, field)
        if value is None:
            continue
        quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
        said = extensions(minutes_after=signs.minutes, on_oxygen=signs.on_oxygen)
        named = concept(text, {"system": LOINC, "code": code})
        yield _observation(
            record, "vital-signs", named, _after(seen, signs.minutes), {"valueQuantity": quantity, **said}
        )


def _diary(record: Record, day: DiaryDay) -> Iterator[Resource]:
    note = [{"text": day.note}] if day.note else []
    if day.pain is not None:
        code = concept("Pain, from the diary", loinc_pain(), own("observation", "diary-pain"))
        yield _score(record, code, day.day, day.pain, note)
    if day.function is not None:
        code = concept("Function 0-10, from the diary", own("observation", "diary-function"))
        yield _score(record, code, day.day, day.function, note)


def _score(record: Record, code: Resource, day: date, value: float, note: list[Resource]) -> Resource:
    quantity = {"valueQuantity": {"value": value, "unit": "{score}"}, "note": note}
    return _observation(record, "survey", code, day.isoformat(), quantity)


def _visit(record: Record, visit: Visit) -> Iterator[Resource]:
    note = [{"text": visit.note}] if visit.note else []
    for score in visit.scores:
        code = concept(score.instrument, own("observation", "visit-score"))
        yield _score(record, code, score.observed or visit.day, score.total, note)
    numbers = (
        ("relief", "Pain relief", visit.relief_percent, "%"),
        ("opioid-dose", "Opioid dose, morphine milligram equivalents", visit.opioid_mme_per_day, "mg/d"),
    )
    for name, text, value, unit in numbers:
        if value is not None:
            quantity = {"value": value, "unit": unit, "system": UCUM, "code": unit}
            rest = {"valueQuantity": quantity, "note": note}
            yield _observation(
                record, "survey", concept(text, own("observation", name)), visit.day.isoformat(), rest
            )


# ---------------------------------------------------------------- aftercare


def aftercare_plans(record: Record) -> Iterator[Resource]:
    """The CarePlan of the aftercare, where technique and target are known."""
    plan = aftercare_of(record)
    if plan is None:
        return
    resources = [entry["resource"] for entry in care_plan(plan)["entry"]]
    found = next(item for item in resources if item["resourceType"] == "CarePlan")
    yield without_nothing(
        {
            **found,
            **head(record, "CarePlan", part_id(key_of(record), "aftercare")),
            "category": [concept("Aftercare of a neurolysis", own("care-plan", "aftercare"))],
            "subject": subject(record),
            "activity": found["activity"],
        }
    )


def aftercare_of(record: Record) -> AftercarePlan | None:
    """The aftercare on the newest day that the outcome knows; None where it cannot be made."""
    done = record.outcome.procedure if record.outcome else None
    technique = done.modality if done else planned_modality(record.case)
    target = done.target if done else record.case.target.nerve if record.case.target else None
    if technique is None or target is None:
        return None
    try:
        return care(record.case, record.outcome, _day_of(record), technique=technique, target=target)
    except NeurolysisError:
        return None


def _day_of(record: Record) -> date:
    seen: Any = record.outcome
    days: list[date] = [record.case.evaluated or record.updated_at.date()]
    if seen is not None:
        days += [day.day for day in seen.diary] + [visit.day for visit in seen.visits]
        days += [item.onset for item in seen.complications if item.onset]
        days += [seen.procedure.performed.date()] if seen.procedure else []
    return max(days)
