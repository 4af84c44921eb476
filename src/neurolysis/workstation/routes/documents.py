"""What is written during and after a procedure: procedure, outcome, consent, each with every version."""

from __future__ import annotations

from typing import Literal

from neurolysis.errors import ForbiddenError
from neurolysis.records.store import Principal, Store
from neurolysis.workstation.depends import IfMatch, Records, Who
from neurolysis.workstation.models import CaseId, DocumentAnswer, DocumentBody
from neurolysis.workstation.openapi import router as make_router

router = make_router("documents")
Kind = Literal["procedure", "outcome", "consent"]


@router.get("/api/cases/{case_id}/procedure")
def read_procedure(case_id: CaseId, who: Who, store: Records) -> DocumentAnswer:
    """The procedure as given so far; version 0 when nothing is written yet."""
    return _with_check(store, who, case_id, _read(store, who, case_id, "procedure"))


@router.put("/api/cases/{case_id}/procedure")
def save_procedure(
    case_id: CaseId, body: DocumentBody, version: IfMatch, who: Who, store: Records
) -> DocumentAnswer:
    """Write the procedure down; If-Match 0 for the first time."""
    return _with_check(store, who, case_id, _save(store, who, case_id, "procedure", body, version))


@router.get("/api/cases/{case_id}/outcome")
def read_outcome(case_id: CaseId, who: Who, store: Records) -> DocumentAnswer:
    """How the patient fares; version 0 when nothing is written yet."""
    return _read(store, who, case_id, "outcome")


@router.put("/api/cases/{case_id}/outcome")
def save_outcome(
    case_id: CaseId, body: DocumentBody, version: IfMatch, who: Who, store: Records
) -> DocumentAnswer:
    """Write the outcome down; If-Match 0 for the first time."""
    return _save(store, who, case_id, "outcome", body, version)


@router.get("/api/cases/{case_id}/consent")
def read_consent(case_id: CaseId, who: Who, store: Records) -> DocumentAnswer:
    """The consent; version 0 when nothing is written yet."""
    return _read(store, who, case_id, "consent")


@router.put("/api/cases/{case_id}/consent")
def save_consent(
    case_id: CaseId, body: DocumentBody, version: IfMatch, who: Who, store: Records
) -> DocumentAnswer:
    """Write the consent down; If-Match 0 for the first time."""
    return _save(store, who, case_id, "consent", body, version)


def _read(store: Store, who: Principal, case_id: str, kind: Kind) -> DocumentAnswer:
    found = store.read_document(who, case_id, kind)
    if found is None:
        return DocumentAnswer(kind=kind, version=0, value=None)
    return DocumentAnswer(
        kind=kind,
        version=found.version,
        value=dict(found.value),
        updated_at=found.made_at,
        updated_by=found.made_by,
    )


def _save(
    store: Store, who: Principal, case_id: str, kind: Kind, body: DocumentBody, version: int
) -> DocumentAnswer:
    store.check_first(who, "save_document", kind, "write", case_id)
    store.save_document(who, case_id, kind, body.value, version)
    return _read(store, who, case_id, kind)


def _with_check(store: Store, who: Principal, case_id: str, found: DocumentAnswer) -> DocumentAnswer:
    """The procedure with what the rules of the room say of it."""
    from neurolysis.app.procedure import check_stored_procedure, room_data
    from neurolysis.app.view_sources import citations_of

    try:
        check = room_data(check_stored_procedure(store, who, case_id))
    except ForbiddenError:  # who may not see plans is not told how the procedure stands to one
        return found
    return found.model_copy(update={"check": {**check, "citations": citations_of(check)}})
