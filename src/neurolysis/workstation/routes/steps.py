"""The steps of a case: evaluation, localization, anaesthesia, aftercare, decision aid."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Query
from starlette.responses import Response

from neurolysis.app.anesthetic import simulate_anesthetic
from neurolysis.app.view_steps import decision_aid_view, patient_sheet, step_data, step_page
from neurolysis.workstation.depends import Heavy, Kept, Records, Who
from neurolysis.workstation.models import CaseId, CurveRequest
from neurolysis.workstation.openapi import page, plain_json
from neurolysis.workstation.openapi import router as make_router

router = make_router("steps")
Format = Annotated[Literal["json", "html"], Query()]
Language = Annotated[str, Query(pattern=r"^[a-z]{2,3}$")]
HTML: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/html": {}}, "description": "The data, or with format=html the page."}
}


@router.get("/api/cases/{case_id}/evaluation", response_model=dict[str, Any], responses=HTML)
def evaluation(case_id: CaseId, who: Who, store: Records, kept: Kept, format: Format = "json") -> Any:
    """Causes, red flags, suitability, and what is missing."""
    return _step("evaluation", case_id, who, store, kept, format)


@router.get("/api/cases/{case_id}/localization", response_model=dict[str, Any])
def localization(case_id: CaseId, who: Who, store: Records, kept: Kept) -> Any:
    """The target and needle paths to it."""
    return _step("localization", case_id, who, store, kept, "json")


@router.get("/api/cases/{case_id}/anesthesia", response_model=dict[str, Any], responses=HTML)
def anesthesia(case_id: CaseId, who: Who, store: Records, kept: Kept, format: Format = "json") -> Any:
    """Doses, caps, plasma, block and room cards."""
    return _step("anesthesia", case_id, who, store, kept, format)


@router.get("/api/cases/{case_id}/aftercare", response_model=dict[str, Any], responses=HTML)
def aftercare(
    case_id: CaseId,
    who: Who,
    store: Records,
    kept: Kept,
    format: Format = "json",
    language: Language = "en",
) -> Any:
    """Recovery, what to watch, follow-up, course, repeat."""
    return _step("aftercare", case_id, who, store, kept, format, language=language)


@router.get("/api/cases/{case_id}/aftercare/patient-sheet", responses=HTML, response_class=Response)
def sheet(case_id: CaseId, who: Who, store: Records, kept: Kept, language: Language = "en") -> Response:
    """The patient's sheet for going home, as a page."""
    with store.case_folder(who, case_id) as folder:
        return page(kept.of(patient_sheet, folder, language))


@router.get("/api/cases/{case_id}/decision-aid", response_model=dict[str, Any], responses=HTML)
def decision_aid(
    case_id: CaseId,
    who: Who,
    store: Records,
    kept: Kept,
    format: Format = "json",
    language: Language = "en",
) -> Any:
    """The decision aid for the patient."""
    with store.case_folder(who, case_id) as folder:
        data, html = kept.of(decision_aid_view, folder, language, None)
    return page(html) if format == "html" else data


@router.post("/api/cases/{case_id}/anesthetic-curve", response_model=dict[str, Any])
def anesthetic_curve(case_id: CaseId, body: CurveRequest, who: Who, store: Records, heavy: Heavy) -> Any:
    """Plasma levels after one dose; the weight is the case's where none is given."""
    asked = body.model_dump()
    weight = store.read_case(who, case_id).case.patient.weight_kg
    return heavy.run(simulate_anesthetic, **{**asked, "weight_kg": asked["weight_kg"] or weight})


def _step(
    step: str, case_id: str, who: Who, store: Records, kept: Kept, format: str, **choices: Any
) -> Response:
    with store.case_folder(who, case_id) as folder:
        if format == "html":
            return page(kept.of(step_page, folder, step, **choices))
        return plain_json(kept.json(step_data, folder, step, **choices))
