"""Where a case stands, and the row the list shows: both derived from what is kept, never entered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

import sqlalchemy as sa

from neurolysis.case import Case
from neurolysis.records.store.tables import approvals, case_versions, clean, documents, patients, plans
from neurolysis.records.store.values import CaseRow, State

DUE: State = "follow-up due"


def newest_document(connection: sa.Connection, case_id: str, kind: str) -> Mapping[str, Any] | None:
    """Plain data of the newest version of a document; None where there is none."""
    query = (
        sa.select(documents.c.body)
        .where(documents.c.case_id == case_id, documents.c.kind == kind)
        .order_by(documents.c.version.desc())
        .limit(1)
    )
    body = connection.execute(query).scalar()
    return None if body is None else dict(json.loads(body))


def _newest(kind: str) -> sa.ScalarSelect[str]:
    """The newest version of a document of the case at hand."""
    query = (
        sa.select(documents.c.body)
        .where(documents.c.case_id == case_versions.c.case_id, documents.c.kind == kind)
        .order_by(documents.c.version.desc())
        .limit(1)
    )
    return query.scalar_subquery()


def _any(table: sa.Table) -> sa.Exists:
    return sa.exists().where(table.c.case_id == case_versions.c.case_id)


_EVERYTHING = (
    sa.select(
        case_versions.c.body,
        case_versions.c.version,
        _newest("outcome").label("outcome"),
        _newest("procedure").label("procedure"),
        _any(plans).label("planned"),
        _any(approvals).label("approved"),
    )
    .where(case_versions.c.case_id == sa.bindparam("id"))
    .order_by(case_versions.c.version.desc())
    .limit(1)
)
"""What a case's row follows from, in one question."""


def derived_row(connection: sa.Connection, case_id: str) -> dict[str, Any]:
    """Every column of the case's row that follows from the rest of the store."""
    found = connection.execute(_EVERYTHING, {"id": case_id}).mappings().one()
    case = Case.model_validate_json(found["body"])
    state, due = _state(dict(found))
    target = case.target
    technique = case.treatment.technique if case.treatment else ""
    row = {
        "title": case.title,
        "patient_id": case.patient.id,
        "nerve": target.nerve if target else "",
        "side": target.side if target else "",
        "level": (target.bony_level or target.joint or "") if target else "",
        "technique": technique,
        "demonstration": int(case.demonstration),
        "version": found["version"],
        "state": state,
        "follow_up_from": due.isoformat() if due else "",
    }
    name = patient_name(connection, case.patient.id)
    words = (case_id, case.title, case.patient.id, name, row["nerve"], row["side"], row["level"], technique)
    row["search"] = " ".join(str(word) for word in words).casefold()
    return {name: clean(value) if isinstance(value, str) else value for name, value in row.items()}


def _state(found: Mapping[str, Any]) -> tuple[State, date | None]:
    """State without regard to the day, and the first day of the next contact."""
    outcome, procedure = (json.loads(found[kind] or "{}") for kind in ("outcome", "procedure"))
    performed = _performed(procedure, outcome)
    if performed is not None:
        return "delivered", next_contact(performed, outcome)
    if found["approved"]:
        return "approved", None
    return ("planned" if found["planned"] else "to evaluate"), None


def patient_name(connection: sa.Connection, patient_id: str) -> str:
    """The name this site put to a pseudonym; empty where it put none."""
    query = sa.select(patients.c.name).where(patients.c.patient_id == clean(patient_id))
    return str(connection.execute(query).scalar() or "")


def _performed(procedure: Mapping[str, Any], outcome: Mapping[str, Any]) -> date | None:
    """The day something was given: of the first burn or injection, else as the outcome says."""
    given = [str(step["start"]) for step in procedure.get("steps") or ()]
    done = (outcome.get("procedure") or {}).get("performed")
    text = min(given) if given else done
    return date.fromisoformat(str(text)[:10]) if text else None


def next_contact(performed: date, outcome: Mapping[str, Any]) -> date | None:
    """The first day of the first planned contact that no visit has met; None when all are done."""
    from neurolysis.aftercare.care import follow_up

    visits, diary = (_days(outcome.get(part)) for part in ("visits", "diary"))
    for contact in follow_up(performed):
        first, seen = contact.date_from, visits + (diary if contact.how == "phone" else [])
        if first is not None and not any(day >= first for day in seen):
            return first
    return None


def _days(entries: Any) -> list[date]:
    return [date.fromisoformat(str(entry["day"])[:10]) for entry in entries or ()]


def state_on(row: Mapping[str, Any], day: date) -> State:
    """The state as of a day: what was delivered is due for follow-up once its contact's days begin."""
    due = row["follow_up_from"]
    return DUE if row["state"] == "delivered" and due and due <= day.isoformat() else row["state"]


def case_row(row: Mapping[str, Any], name: str, day: date) -> CaseRow:
    """A table's row as the list shows it."""
    return CaseRow(
        id=row["id"],
        title=row["title"],
        patient_id=row["patient_id"],
        patient_name=name,
        nerve=row["nerve"],
        side=row["side"] or None,
        level=row["level"],
        technique=row["technique"],
        state=state_on(row, day),
        version=row["version"],
        updated_at=row["updated_at"],
        demonstration=bool(row["demonstration"]),
        follow_up_from=row["follow_up_from"] or None,
    )
