"""Cases: list, make, read, save, trash, history, share, export; and what was typed but not saved."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import Body, Query
from fastapi.responses import FileResponse
from pydantic import Field, JsonValue
from starlette.background import BackgroundTask

from neurolysis.app.case_files import collected, named_files
from neurolysis.app.cases import load_case
from neurolysis.app.view_notices import notice_citations, shown
from neurolysis.errors import ForbiddenError, InputError, NotFoundError
from neurolysis.records.store import Principal, Store
from neurolysis.records.store.values import CasePage, CaseVersion, StoredCase
from neurolysis.workstation.depends import Heavy, IfMatch, Records, Who
from neurolysis.workstation.models import (
    CaseAnswer,
    CaseId,
    Done,
    DraftAnswer,
    NameRequest,
    NewCase,
    SaveCase,
    ShareRequest,
)
from neurolysis.workstation.openapi import raw
from neurolysis.workstation.openapi import router as make_router

router = make_router("cases")
UserId = Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$", max_length=200)]
JsonBody = Annotated[JsonValue, Body()]
DraftKind = Annotated[str, Field(pattern=r"^[a-z0-9-]{1,40}$")]
States = Literal["to evaluate", "planned", "approved", "delivered", "follow-up due"]


@router.get("/api/cases")
def list_cases(
    who: Who,
    store: Records,
    query: Annotated[str, Query(max_length=200)] = "",
    state: Annotated[States | None, Query()] = None,
    offset: Annotated[int, Query(ge=0, le=10**7)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    trash: bool = False,
) -> CasePage:
    """The cases one may see, newest first; with trash=1 those in the trash."""
    return store.list_cases(who, query, state, offset, limit, trashed=trash)


@router.post("/api/cases", status_code=201)
def make_case(body: NewCase, who: Who, store: Records, heavy: Heavy) -> CaseAnswer:
    """A new case: a demonstration, or as given (without images: those come by import)."""
    if (body.demo is None) == (body.case is None):
        raise InputError("give either a demonstration or a case", where="body", allowed="demo, or case")
    if body.case is not None:
        return answer(store, who, store.create_case(who, without_files(body.case)))
    from neurolysis.app.demo import demo_case

    case, folder = heavy.run(load_case, demo_case(body.demo or ""))
    case, files = collected(case, folder)
    return answer(store, who, store.create_case(who, case, files))


def without_files(case: Any) -> Any:
    """The case, unless it names files: those cannot come along as text.

    Raises:
        InputError: naming the first field with a file.
    """
    for where, path in named_files(case):
        raise InputError("a new case from text has no files: import them", where=f"case.{where}", found=path)
    return case


@router.get("/api/cases/{case_id}")
def read_case(
    case_id: CaseId, who: Who, store: Records, version: Annotated[int | None, Query(ge=1, le=10**9)] = None
) -> CaseAnswer:
    """One case, as it is now or as it was at a version."""
    return answer(store, who, store.read_case(who, case_id, version))


@router.put("/api/cases/{case_id}")
def save_case(case_id: CaseId, body: SaveCase, version: IfMatch, who: Who, store: Records) -> CaseAnswer:
    """Save a case as a new version; If-Match says which version it was made from."""
    return answer(store, who, store.save_case(who, case_id, body.case, version, reason=body.reason))


@router.delete("/api/cases/{case_id}")
def trash_case(case_id: CaseId, who: Who, store: Records) -> Done:
    """Put a case into the trash."""
    store.trash_case(who, case_id)
    return Done()


@router.post("/api/cases/{case_id}/restore")
def restore_case(case_id: CaseId, who: Who, store: Records) -> CaseAnswer:
    """Take a case out of the trash."""
    return answer(store, who, store.restore_case(who, case_id))


@router.get("/api/cases/{case_id}/versions")
def versions(case_id: CaseId, who: Who, store: Records) -> list[CaseVersion]:
    """The history of a case, newest first."""
    return list(store.case_versions(who, case_id))


@router.post("/api/cases/{case_id}/share")
def share(case_id: CaseId, body: ShareRequest, who: Who, store: Records) -> Done:
    """Let somebody else see a case."""
    store.share_case(who, case_id, body.user_id)
    return Done()


@router.get("/api/cases/{case_id}/share")
def holders(case_id: CaseId, who: Who, store: Records) -> list[str]:
    """Ids of those who may see a case."""
    return sorted(store.case_holders(who, case_id))


@router.delete("/api/cases/{case_id}/share/{user_id}")
def unshare(case_id: CaseId, user_id: UserId, who: Who, store: Records) -> Done:
    """Let somebody see a case no longer."""
    store.unshare_case(who, case_id, user_id)
    return Done()


@router.put("/api/cases/{case_id}/patient-name")
def name_patient(case_id: CaseId, body: NameRequest, who: Who, store: Records) -> Done:
    """The patient's name as this site writes it; it stays in the store and in no case file."""
    store.name_patient(who, case_id, body.name)
    return Done()


@router.get(
    "/api/cases/{case_id}/export",
    responses=raw("application/zip", "The case with every version, plan and document, as one file."),
    response_class=FileResponse,
)
def export_case(case_id: CaseId, who: Who, store: Records) -> FileResponse:
    """One case as one file, which an import brings back bit by bit."""
    folder = tempfile.TemporaryDirectory(prefix="neurolysis-")
    file = Path(folder.name) / f"{case_id}.zip"
    try:
        store.export_case(who, case_id, file)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        file, media_type="application/zip", filename=file.name, background=BackgroundTask(folder.cleanup)
    )


@router.get("/api/cases/{case_id}/draft/{kind}")
def read_draft(case_id: CaseId, kind: DraftKind, who: Who, store: Records) -> DraftAnswer:
    """What this user had typed and not saved; null when there is nothing."""
    draft = store.read_draft(who, case_id, kind)
    if draft is None:
        return DraftAnswer(kind=kind, data=None, saved_at=None)
    return DraftAnswer(kind=kind, data=draft.data, saved_at=draft.updated_at)


@router.put("/api/cases/{case_id}/draft/{kind}")
def save_draft(case_id: CaseId, kind: DraftKind, body: JsonBody, who: Who, store: Records) -> Done:
    """Keep what was typed, as it is."""
    store.save_draft(who, case_id, kind, body)
    return Done()


@router.delete("/api/cases/{case_id}/draft/{kind}")
def drop_draft(case_id: CaseId, kind: DraftKind, who: Who, store: Records) -> Done:
    """Forget what was typed."""
    store.drop_draft(who, case_id, kind)
    return Done()


def answer(store: Store, who: Principal, stored: StoredCase) -> CaseAnswer:
    """A case with where its newest plan stands and which drafts there are."""
    status = newest_status(store, who, stored.id)
    stops = status.open_stops if status else ()
    return CaseAnswer(
        id=stored.id,
        version=stored.version,
        state=stored.state,
        updated_at=stored.updated_at,
        updated_by=stored.updated_by,
        trashed=stored.trashed,
        case=stored.case.model_dump(mode="json"),
        files=dict(stored.files),
        stops=shown(stops),
        citations=notice_citations(stops),
        approval=status.model_dump(mode="json") if status else None,
        draft=_drafts(store, who, stored),
    )


def _drafts(store: Store, who: Principal, stored: StoredCase) -> dict[str, DraftAnswer]:
    if stored.trashed:
        return {}
    found = store.read_drafts(who, stored.id)
    return {
        kind: DraftAnswer(kind=kind, data=one.data, saved_at=one.updated_at) for kind, one in found.items()
    }


def newest_status(store: Store, who: Principal, case_id: str) -> Any:
    """Where the newest plan of a case stands; None where there is no plan, or the role may not see it."""
    try:
        plans = store.list_plans(who, case_id)
    except (NotFoundError, ForbiddenError):
        return None
    return store.plan_status(who, case_id, plans[-1].number) if plans else None
