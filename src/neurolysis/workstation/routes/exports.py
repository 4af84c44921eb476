"""Exports of a plan: DICOM objects and FHIR; whatever is not approved says DRAFT."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from starlette.responses import Response

from neurolysis.workstation.depends import Heavy, Records, Who
from neurolysis.workstation.models import CaseId
from neurolysis.workstation.openapi import raw
from neurolysis.workstation.openapi import router as make_router

router = make_router("exports")
Number = Annotated[int, Path(ge=1, le=10**9)]


@router.get(
    "/api/cases/{case_id}/plans/{number}/dicom.zip",
    responses=raw("application/zip", "SEG, parametric maps, measurements (TID 1500) and the report."),
    response_class=Response,
)
def dicom(case_id: CaseId, number: Number, who: Who, store: Records, heavy: Heavy) -> Response:
    """The plan as DICOM objects beside its CT."""
    from neurolysis.app.plan_again import EXPOSURE, dicom_objects

    plan = store.read_plan(who, case_id, number)
    needed = ("plan.json", EXPOSURE)
    files = {name: store.plan_file(who, case_id, number, name) for name in plan.row.files if name in needed}
    with store.case_folder(who, case_id, plan.row.case_version) as folder:
        content = heavy.run(dicom_objects, folder, files, plan.approval)
    name = f'attachment; filename="{case_id}-plan-{number}-dicom.zip"'
    return Response(content, media_type="application/zip", headers={"content-disposition": name})


@router.get("/api/cases/{case_id}/plans/{number}/fhir.json", response_model=dict[str, Any])
def fhir(case_id: CaseId, number: Number, who: Who, store: Records) -> Any:
    """The case with its plans as one FHIR R4 bundle."""
    from neurolysis.app.fhir_records import case_collection

    store.read_plan(who, case_id, number)
    return case_collection(store, who, case_id)
