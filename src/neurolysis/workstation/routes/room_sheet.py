"""The printable sheet for the room."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from neurolysis.report.room_sheet import room_sheet_html
from neurolysis.workstation.depends import Heavy, Records, Who
from neurolysis.workstation.models import CaseId
from neurolysis.workstation.openapi import page
from neurolysis.workstation.openapi import router as make_router

router = make_router("documents")
HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}}, "description": "One page."}}


@router.get("/api/cases/{case_id}/procedure/sheet", responses=HTML, response_class=Response)
def room_sheet(case_id: CaseId, who: Who, store: Records, heavy: Heavy) -> Response:
    """One page for the room: patient, side, level, plan, stops, and what was given so far."""
    case = store.read_case(who, case_id).case
    document = store.read_document(who, case_id, "procedure")
    plans = store.list_plans(who, case_id)
    plan = store.read_plan(who, case_id, plans[-1].number) if plans else None
    record = dict(plan.record) if plan else None
    mark = plan.row.mark if plan else "DRAFT"
    given = dict(document.value) if document else None
    return page(heavy.run(room_sheet_html, case, record, given, mark).encode())
