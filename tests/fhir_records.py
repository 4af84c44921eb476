"""Records of cases for the tests of the facade: shipped examples with a plan, an outcome and a consent."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from neurolysis.app.aftercare import load_outcome
from neurolysis.app.cases import load_case
from neurolysis.procedure import Consent, Procedure
from neurolysis.records.fhir.record import CaseRecord, PlanItem

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
SYNTHEA_PART = DATA / "synthea" / "jessi_parisian_part.json"
SYNTHEA = ROOT.parent / "shared" / "data" / "synthea"
WHEN = datetime(2026, 11, 20, 14, 30, tzinfo=UTC)
CONSENT = {"given": True, "signed_on": "2026-11-20", "by": "Dr Example", "document": "form 7"}
ROOM: dict[str, Any] = {
    "plan_number": 1,
    "operator": "Dr Example",
    "started": "2026-11-21T09:10:00+01:00",
    "agents": [{"name": "lidocaine", "purpose": "local anaesthetic", "strength": "2 %", "lot": "L-7"}],
    "stimulation": [
        {"time": "2026-11-21T09:25:00+01:00", "needle": 1, "sensory_threshold_v": 0.4}
    ],
    "steps": [
        {
            "kind": "lesion", "start": "2026-11-21T09:30:00+01:00", "technique": "warming",
            "instrument": "18G cannula", "settings": {"temperature_c": 80.0}, "duration_s": 90,
            "impedance_ohm": 240, "aspiration": "negative",
        }
    ],
    "checks": [{"time": "2026-11-21T10:30:00+01:00", "strength": "as before", "feeling": "as intended"}],
    "radiation": {"fluoroscopy_s": 40, "dose_area_product_gy_cm2": 1.5},
}  # fmt: skip
"""A record of the room while the procedure is still going on."""
FOLDERS = sorted(
    path.parent
    for place in (ROOT / "examples", ROOT / "src" / "neurolysis" / "data")
    for path in place.glob("*/case.yaml")
)


def plan_data() -> dict[str, Any]:
    """A real plan.json, without its long profiles."""
    data: dict[str, Any] = json.loads((DATA / "fhir_plan.json").read_text("utf-8"))
    return data


def plan(number: int = 1, mark: str = "DRAFT", recheck: tuple[str, ...] = ()) -> PlanItem:
    """A plan of a record."""
    return PlanItem(number, mark, WHEN, plan_data(), recheck, ("plan.json", "report.html", "report.pdf"))


@cache
def record(folder: Path, *, approved: bool = False, room: bool = False) -> CaseRecord:
    """The record of an example."""
    case, place = load_case(folder)
    mark = "APPROVED by Dr Example, 2026-11-20 14:00" if approved else "DRAFT"
    return CaseRecord(
        case_id=case.id,
        version=3,
        updated_at=WHEN,
        case=case,
        plans=(plan(mark=mark),),
        outcome=load_outcome(place),
        procedure=Procedure.model_validate({"case_id": case.id, **ROOM}) if room else None,
        consent=Consent.model_validate({"case_id": case.id, **CONSENT}),
    )


def example(name: str, **options: bool) -> CaseRecord:
    """The record of the example of this name."""
    return record(next(folder for folder in FOLDERS if folder.name == name), **options)


def validate(resource: dict[str, Any]) -> None:
    """Check a resource with the R4B models (pydantic.ValidationError otherwise)."""
    kind = resource["resourceType"]
    getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind).model_validate(resource)
