"""Aftercare as FHIR R4: a CarePlan with one activity a contact, and Appointments once days are known."""

from __future__ import annotations

import uuid
from datetime import date
from typing import Any

from neurolysis.aftercare.care import AftercarePlan, FollowUp

OWN = "urn:neurolysis:"
SUBJECT = {"reference": "Patient/subject"}


def care_plan(plan: AftercarePlan) -> dict[str, Any]:
    """An R4 Bundle (collection): the Patient by pseudonym of the case, the CarePlan and its Appointments."""
    dated = [item for item in plan.follow_up if item.date_from and item.date_to]
    appointments = [_appointment(plan, item) for item in dated]
    resources = [_patient(plan), _plan(plan), *appointments]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": {"system": f"{OWN}aftercare", "value": plan.case_id},
        "entry": [{"fullUrl": f"urn:uuid:{_uuid(plan, r['id'])}", "resource": r} for r in resources],
    }


def _uuid(plan: AftercarePlan, name: str) -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_URL, f"{OWN}{plan.case_id}:{name}")


def _patient(plan: AftercarePlan) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": "subject",
        "identifier": [{"system": f"{OWN}case", "value": plan.case_id}],
    }


def _plan(plan: AftercarePlan) -> dict[str, Any]:
    return {
        "resourceType": "CarePlan",
        "id": "aftercare",
        "status": "active" if plan.performed else "draft",
        "intent": "plan",
        "title": "Aftercare of a neurolysis",
        "subject": SUBJECT,
        "created": plan.on.isoformat(),
        "note": [{"text": advice.text} for advice in plan.red_flags],
        "activity": [{"detail": _detail(item)} for item in plan.follow_up],
    }


def _detail(item: FollowUp) -> dict[str, Any]:
    detail: dict[str, Any] = {
        "kind": "Appointment",
        "code": {"text": item.title},
        "status": "scheduled" if item.date_from else "not-started",
        "description": item.what,
    }
    if item.date_from and item.date_to:
        detail["scheduledPeriod"] = {"start": item.date_from.isoformat(), "end": item.date_to.isoformat()}
    else:
        detail["scheduledString"] = f"day {item.day_from} to {item.day_to} after the procedure"
    return detail


def _appointment(plan: AftercarePlan, item: FollowUp) -> dict[str, Any]:
    """A proposed appointment: the days it should fall on, no hour yet."""
    return {
        "resourceType": "Appointment",
        "id": f"follow-up-{item.id.replace('_', '-')}",
        "status": "proposed",
        "description": f"{item.title}: {item.what}",
        "requestedPeriod": [{"start": _day(item.date_from), "end": _day(item.date_to)}],
        "participant": [{"actor": SUBJECT, "status": "needs-action"}],
    }


def _day(day: date | None) -> str:
    return "" if day is None else day.isoformat()
