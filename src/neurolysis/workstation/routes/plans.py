"""Plans: what was made, its report and fields, side by side, approval, and what stops it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Annotated, Any

from fastapi import Path, Query
from fastapi.responses import FileResponse
from starlette.responses import Response

from neurolysis.app.exposure_files import HEAD, field_file
from neurolysis.app.view_notices import notice_citations, shown
from neurolysis.app.view_sources import citations_of
from neurolysis.approval import Approval
from neurolysis.plan import Notice
from neurolysis.records.store.values import PlanRow, PlanStatus
from neurolysis.workstation.depends import Heavy, Records, Who
from neurolysis.workstation.models import ApprovalRequest, CaseId, PlanAnswer, Stops
from neurolysis.workstation.openapi import page, raw
from neurolysis.workstation.openapi import router as make_router

router = make_router("plans")
Number = Annotated[int, Path(ge=1, le=10**9)]
FieldName = Annotated[str, Path(pattern=r"^[A-Za-z0-9_.-]+$", max_length=100)]


@router.get("/api/cases/{case_id}/plans")
def list_plans(case_id: CaseId, who: Who, store: Records) -> list[PlanRow]:
    """The plans of a case, oldest first."""
    return list(store.list_plans(who, case_id))


@router.get("/api/cases/{case_id}/plans/{number}")
def read_plan(case_id: CaseId, number: Number, who: Who, store: Records) -> PlanAnswer:
    """One plan and where it stands."""
    plan = store.read_plan(who, case_id, number)
    status = store.plan_status(who, case_id, number)
    return PlanAnswer(
        record=dict(plan.record),
        status=status.model_dump(mode="json"),
        row=plan.row.model_dump(mode="json"),
        citations=citations_of(plan.record),
    )


@router.get("/api/cases/{case_id}/plans/{number}/report.html", response_class=Response)
def report_page(case_id: CaseId, number: Number, who: Who, store: Records) -> Response:
    """The report as a page."""
    return page(store.plan_file(who, case_id, number, "report.html").read_bytes())


@router.get(
    "/api/cases/{case_id}/plans/{number}/report.pdf",
    responses=raw("application/pdf", "The report for printing."),
    response_class=FileResponse,
)
def report_pdf(case_id: CaseId, number: Number, who: Who, store: Records) -> FileResponse:
    """The report for printing."""
    file = store.plan_file(who, case_id, number, "report.pdf")
    name = f"{case_id}-plan-{number}.pdf"
    return FileResponse(file, media_type="application/pdf", filename=name, content_disposition_type="inline")


@router.get("/api/cases/{case_id}/plans/{number}/fields", response_model=dict[str, Any])
def fields(case_id: CaseId, number: Number, who: Who, store: Records) -> Any:
    """What the simulation gave: fields with their units, axes, frame, times and series."""
    head = json.loads(store.plan_file(who, case_id, number, HEAD).read_text("utf-8"))
    listed = [{"name": name, **about, "shape": head["shape"]} for name, about in head["fields"].items()]
    return {**head, "fields": listed}


@router.get(
    "/api/cases/{case_id}/plans/{number}/fields/{name}",
    responses=raw("application/octet-stream", "32-bit little-endian floats, C order over (x, y, z)."),
    response_class=FileResponse,
)
def field(case_id: CaseId, number: Number, name: FieldName, who: Who, store: Records) -> FileResponse:
    """The values of one field."""
    file = store.plan_file(who, case_id, number, field_file(name))
    return FileResponse(file, media_type="application/octet-stream")


@router.get("/api/cases/{case_id}/compare", response_model=dict[str, Any])
def compare(
    case_id: CaseId,
    who: Who,
    store: Records,
    a: Annotated[int, Query(ge=1, le=10**9)],
    b: Annotated[int, Query(ge=1, le=10**9)],
) -> Any:
    """Two plans of a case side by side, and what differs in their settings."""
    first, second = (store.read_plan(who, case_id, number) for number in (a, b))
    return {
        "a": dict(first.record),
        "b": dict(second.record),
        "settings": _different(first.record.get("setting", ()), second.record.get("setting", ())),
    }


def _different(a: Any, b: Any) -> list[dict[str, Any]]:
    one, other = (dict(pairs) for pairs in (a, b))
    labels = dict.fromkeys((*one, *other))
    return [
        {
            "label": label,
            "a": one.get(label),
            "b": other.get(label),
            "same": one.get(label) == other.get(label),
        }
        for label in labels
    ]


@router.post("/api/cases/{case_id}/plans/{number}/approval")
def approve(
    case_id: CaseId, number: Number, body: ApprovalRequest, who: Who, store: Records, heavy: Heavy
) -> PlanStatus:
    """Approve a plan; what stops it must be overridden with a reason where that is allowed at all.

    The report is written anew, with the approval and every override on its first page.
    """
    from neurolysis.app.plan_again import EXPOSURE, approved_report

    overrides = [one.model_dump() for one in body.overrides]
    version = store.read_plan(who, case_id, number).row.case_version
    with store.case_folder(who, case_id, version) as folder:

        def report(approval: Approval, files: Mapping[str, FilePath]) -> dict[str, bytes]:
            known = EXPOSURE in files  # a plan made elsewhere keeps the report it has
            return heavy.run(approved_report, folder, dict(files), approval) if known else {}

        return store.approve_plan(who, case_id, number, body.name, body.reason, overrides, render=report)


@router.get("/api/cases/{case_id}/stops")
def stops(case_id: CaseId, who: Who, store: Records) -> Stops:
    """What stops approval now."""
    plans = store.list_plans(who, case_id)
    status = store.plan_status(who, case_id, plans[-1].number) if plans else None
    if status is None:
        text = "There is no plan yet: run a simulation."
        none = Notice(severity="stop", code="no_plan", text=text, overridable=False)
        return Stops(plan=None, stops=shown([none]), recheck=[], mark="DRAFT", overridable=[], citations={})
    return Stops(
        plan=status.number,
        stops=shown(status.open_stops),
        recheck=list(status.recheck),
        mark=status.mark,
        overridable=list(status.overridable),
        citations=notice_citations(status.open_stops),
    )
