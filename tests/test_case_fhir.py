"""Case from and to FHIR R4: round trip, real bundles, and everything that must not be guessed."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.app.cases import load_case
from neurolysis.app.from_fhir import case_from_bundle
from neurolysis.case import Case, Medication
from neurolysis.case_fhir import CARRIED, PAIN_SCORE, case_from_fhir, case_to_fhir, not_carried
from neurolysis.errors import InputError
from neurolysis.evaluation.evaluate import evaluate

from .strategies import CASES

SYNTHEA = Path(__file__).resolve().parents[2] / "shared" / "data" / "synthea"
ME = "urn:uuid:me"


def bundle(*resources: dict[str, Any], **patient: Any) -> dict[str, Any]:
    """A bundle of one patient and resources about that patient."""
    person = {"resourceType": "Patient", "id": "p1", **patient}
    entries = [{"fullUrl": ME, "resource": person}]
    for resource in resources:
        key = "patient" if resource["resourceType"] == "AllergyIntolerance" else "subject"
        entries.append({"resource": {key: {"reference": ME}, **resource}})
    for number, entry in enumerate(entries[1:]):
        entry["resource"].setdefault("id", f"r{number}")
    return {"resourceType": "Bundle", "type": "collection", "entry": entries}


def observation(code: str, value: float, unit: str, **more: Any) -> dict[str, Any]:
    """A final observation with a LOINC code and a number."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": f"code {code}"},
        "valueQuantity": {"value": value, "unit": unit},
        **more,
    }


def coded(status: str) -> dict[str, Any]:
    """A status as a CodeableConcept."""
    return {"coding": [{"code": status}]}


@settings(max_examples=60)
@given(case=CASES)
def test_what_fhir_carries_comes_back(case: Case) -> None:
    back, ignored = case_from_fhir(json.loads(json.dumps(case_to_fhir(case))))
    assert ignored == ()
    for field in CARRIED:
        if field != "patient":
            assert getattr(back, field) == getattr(case, field)
    patient = case.patient
    expected_date = patient.weight_date if patient.weight_kg is not None else None
    assert back.patient == patient.replace(pregnant=None, weight_date=expected_date)


def test_what_is_not_carried_is_named() -> None:
    case = Case(id="a", patient={"id": "p", "pregnant": True}, notes="stiff", implants=())
    assert not_carried(case) == ("implants", "notes", "patient.pregnant")
    assert not_carried(Case(id="a", patient={"id": "p"})) == ()


def test_every_field_of_a_case_is_carried_or_named() -> None:
    full = Case(
        id="a",
        title="t",
        demonstration=True,
        patient={"id": "p"},
        complaint="c",
        implants=(),
        image={"path": "ct"},
        labels=({"path": "l", "scheme": "s"},),
        nerves=(
            {
                "name": "n",
                "points_mm": [[0, 0, 0], [1, 0, 0]],
                "radius_mm": {"value": 1, "unit": "mm", "source": "s"},
                "position_sd_mm": {"value": 1, "unit": "mm", "source": "s"},
            },
        ),
        structures=({"name": "s", "kind": "k", "label_path": "l", "label_values": [1]},),
        skin_depth_mm=30,
        target={"nerve": "n", "side": "left", "bony_level": "L3", "joint": "L3-4"},
        treatment={"technique": "t", "instrument": "i"},
        notes="n",
        evaluated="2026-01-01",
        condition="lumbar_facet_pain",
        pain=({"area": "lower_back"},),
        medications_complete=True,
        questionnaires=({"questionnaire": "nrs", "answered": "2026-01-01"},),
        blocks=(
            {
                "target": "n",
                "side": "left",
                "performed": "2026-01-01",
                "kind": "placebo",
                "baseline_pain": 5,
            },
        ),
        prior_procedures=({"technique": "cryo", "performed": "2026-01-01"},),
        resolved_flags=({"flag": "c", "resolved_by": "a", "resolved_on": "2026-01-01", "reason": "why"},),
        expected_survival={"low_months": 1, "high_months": 2, "said_by": "a", "said_on": "2026-01-01"},
        landmarks=({"name": "l", "point_mm": [0, 0, 0]},),
        anaesthesia={},
    )
    assert set(not_carried(full)) | set(CARRIED) == set(Case.model_fields)


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the synthetic bundles are not beside this checkout")
@pytest.mark.parametrize("file", sorted(SYNTHEA.glob("*_*.json")), ids=lambda file: file.name.split("_")[0])
def test_real_bundles_are_read_and_come_back(file: Path) -> None:
    data = json.loads(file.read_text("utf-8"))
    case, ignored = case_from_fhir(data)
    used = len(case.conditions) + len(case.medications) + len(case.findings) + len(case.scores)
    used += len(case.allergies or ())
    unused = sum(len(item.ids) for item in ignored if item.resource != "Patient")
    vital = ("29463-7", "8302-2")
    measured = sum(
        1
        for entry in data["entry"]
        if entry["resource"]["resourceType"] == "Observation"
        and entry["resource"]["code"]["coding"][0]["code"] in vital
    )
    twice = sum(len(item.ids) for item in ignored if "already" in item.reason)
    assert used + unused + measured - len(data["entry"]) + 1 in range(twice + 1)
    assert all(item.reason for item in ignored)
    again, left = case_from_fhir(json.loads(json.dumps(case_to_fhir(case))))
    assert (again, left) == (case, ())


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the synthetic bundles are not beside this checkout")
def test_one_real_bundle_by_hand() -> None:
    file = next(SYNTHEA.glob("Jessi_Parisian*"))
    case, _ = case_from_fhir(json.loads(file.read_text("utf-8")))
    assert case.patient.birth_year == 1988
    assert case.patient.sex == "female"
    assert case.patient.weight_kg == pytest.approx(78.416, abs=1e-3)
    assert case.patient.deceased is None
    assert "Chronic pain" in case.conditions
    assert case.allergies is None
    pain = [score for score in case.scores if score.instrument == PAIN_SCORE]
    assert len(pain) == 4
    assert all(0 <= score.total <= 10 and score.total != round(score.total) for score in pain)


def test_the_latest_weight_counts_and_other_units_do_not() -> None:
    case, ignored = case_from_fhir(
        bundle(
            observation("29463-7", 70.0, "kg", effectiveDateTime="2020-05-01T08:00:00+02:00"),
            observation("29463-7", 80.0, "kg", effectiveDateTime="2023-05-01"),
            observation("29463-7", 75.0, "kg"),
            observation("29463-7", 160.0, "[lb_av]", effectiveDateTime="2024-01-01"),
            observation("29463-7", 900.0, "kg", effectiveDateTime="2024-01-01"),
            observation("8302-2", 1.8, "m"),
        )
    )
    assert case.patient.weight_kg == 80.0
    assert str(case.patient.weight_date) == "2023-05-01"
    assert case.patient.height_cm is None
    assert [item.ids for item in ignored] == [("r3",), ("r4",), ("r5",)]
    assert "exact value in kg" in ignored[0].reason
    assert "less than or equal to 400" in ignored[1].reason


def test_a_value_with_a_comparator_is_no_number() -> None:
    lab = observation("1-1", 0.5, "mg/L", category=[{"coding": [{"code": "laboratory"}]}])
    lab["valueQuantity"]["comparator"] = "<"
    case, ignored = case_from_fhir(bundle(lab))
    assert ignored == ()
    assert case.findings[0].value is None
    assert case.findings[0].result == "< 0.5 mg/L"


@pytest.mark.parametrize(
    ("resources", "allergies", "reason"),
    [
        ([], None, ""),
        ([{"code": {"coding": [{"system": "http://snomed.info/sct", "code": "716186003"}]}}], (), ""),
        ([{"code": {"text": "Latex"}}], ("Latex",), ""),
        (
            [{"code": {"text": "Latex"}, "verificationStatus": coded("unconfirmed")}],
            ("Latex (unconfirmed)",),
            "",
        ),
        ([{"code": {"text": "Latex"}, "verificationStatus": coded("refuted")}], None, "refuted"),
        ([{"code": {"text": "Latex"}, "clinicalStatus": coded("resolved")}], None, "resolved"),
        ([{"code": {"text": "No known drug allergy"}}], None, "less than"),
    ],
)
def test_allergies_are_unknown_unless_said(resources: list[Any], allergies: Any, reason: str) -> None:
    case, ignored = case_from_fhir(bundle(*({"resourceType": "AllergyIntolerance", **r} for r in resources)))
    assert case.allergies == allergies
    assert [reason in item.reason for item in ignored] == ([True] if reason else [])


def test_medications() -> None:
    drug = {"medicationCodeableConcept": {"text": "Warfarin 5 mg"}}
    period = {"effectivePeriod": {"start": "2020-01-01", "end": "2024-02-03"}}
    structured = {
        "doseAndRate": [{"doseQuantity": {"value": 1.5, "unit": "tablet"}}],
        "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
        "asNeededBoolean": True,
    }
    referred = {"medicationReference": {"reference": "#m"}, "contained": [{"id": "m", "code": {"text": "X"}}]}
    case, ignored = case_from_fhir(
        bundle(
            {
                "resourceType": "MedicationRequest",
                "status": "active",
                **drug,
                "dosageInstruction": [structured],
            },
            {"resourceType": "MedicationStatement", "status": "completed", **drug, **period},
            {"resourceType": "MedicationStatement", "status": "active", **referred, **period},
            {"resourceType": "MedicationRequest", "status": "stopped", **drug},
            {"resourceType": "MedicationRequest", "status": "entered-in-error", **drug},
            {
                "resourceType": "MedicationRequest",
                "status": "active",
                "medicationReference": {"reference": "?"},
            },
        )
    )
    assert case.medications == (
        Medication(name="Warfarin 5 mg", dose="1.5 tablet, 2 times per 1 d, as needed"),
        Medication(name="Warfarin 5 mg", stopped="2024-02-03"),
        Medication(name="X"),
    )
    assert [item.ids for item in ignored] == [("r3",), ("r4",), ("r5",)]


def test_resources_about_somebody_else_are_not_used() -> None:
    other = {"resourceType": "Condition", "code": {"text": "Pain"}, "subject": {"reference": "Patient/other"}}
    case, ignored = case_from_fhir(bundle(other))
    assert case.conditions == ()
    assert "another one" in ignored[0].reason


def test_identity_stays_outside_and_is_named() -> None:
    case, ignored = case_from_fhir(bundle(name=[{"family": "Muster"}], address=[{"city": "Bern"}]))
    assert "Muster" not in case.canonical_json()
    assert ignored[0].reason == "a case holds no identity: name, address"


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"resourceType": "Patient", "id": "p"},
        {"resourceType": "Bundle", "entry": []},
        {
            "resourceType": "Bundle",
            "entry": [{"resource": {"resourceType": "Patient", "id": i}} for i in "ab"],
        },
        {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient"}}]},
        bundle(birthDate="1700-01-01"),
        bundle(gender="woman"),
        {"resourceType": "Bundle", "entry": 2 * [{"fullUrl": ME, "resource": {"resourceType": "Patient"}}]},
    ],
)
def test_what_is_no_case_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        case_from_fhir(data)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("active") | st.just(ME),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(
        st.sampled_from(["code", "coding", "text", "value", "unit", "status", "system", "reference"]), inner
    ),
    max_leaves=6,
)  # fmt: skip


ELEMENTS = ("code", "status", "clinicalStatus", "verificationStatus", "category", "valueQuantity",
            "extension", "dosageInstruction", "medicationCodeableConcept", "medicationReference", "contained",
            "effectiveDateTime", "effectivePeriod")  # fmt: skip


@settings(max_examples=150)
@given(
    kind=st.sampled_from(["Condition", "AllergyIntolerance", "MedicationRequest", "Observation"]),
    elements=st.dictionaries(
        st.sampled_from(ELEMENTS),
        JSON_VALUES,
    ),
)
def test_malformed_resources_are_used_or_ignored_with_a_reason(kind: str, elements: dict[str, Any]) -> None:
    case, ignored = case_from_fhir(bundle({"resourceType": kind, **elements}))
    used = len(case.conditions) + len(case.medications) + len(case.findings) + len(case.scores)
    used += case.allergies is not None
    assert used + sum(len(item.ids) for item in ignored) == 1


@pytest.mark.skipif(not SYNTHEA.is_dir(), reason="the synthetic bundles are not beside this checkout")
@pytest.mark.parametrize("file", sorted(SYNTHEA.glob("*_*.json")), ids=lambda file: file.name.split("_")[0])
def test_every_bundle_becomes_a_case_folder(file: Path, tmp_path: Path) -> None:
    found = case_from_bundle(file, tmp_path / "out")
    case, _ = load_case(tmp_path / "out")
    assert case == found.case
    assert found.used["Patient"] == 1
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    assert all(item["reason"] for item in record["ignored"])
    again = case_from_bundle(file, tmp_path / "out")
    assert again.case == case, "an import may be replaced by an import"
    assert evaluate(case, date(2026, 11, 1)).stopped == bool(case.patient.deceased)


def test_an_import_replaces_no_work_of_a_person(tmp_path: Path) -> None:
    bundle = tmp_path / "b.json"
    bundle.write_text(json.dumps(case_to_fhir(Case(id="a", patient={"id": "p"}))))
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "case.yaml").write_text("id: mine\n")
    with pytest.raises(InputError, match="not made by an import"):
        case_from_bundle(bundle, tmp_path / "out")
    assert (tmp_path / "out" / "case.yaml").read_text() == "id: mine\n"
    assert case_from_bundle(bundle, tmp_path / "new").case.id == "a"
    bundle.write_text("[]")
    with pytest.raises(InputError, match="not a FHIR bundle"):
        case_from_bundle(bundle, tmp_path / "other")
    assert not (tmp_path / "other").exists()
