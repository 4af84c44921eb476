"""The facade over a real store: reading, searching, paging, importing, and what is somebody else's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from neurolysis.records.fhir.case_bundle import read_case, transaction
from neurolysis.records.fhir.resources import BUILDERS, KINDS
from neurolysis.records.fhir.terms import patient_key
from neurolysis.records.store import Store

from .fhir_client import Facade, facade, fill, person
from .fhir_records import SYNTHEA_PART, example, validate
from .store_kit import record as plan_record

OURS = ("lumbar-facet", "celiac", "knee", "trigeminal")
LUMBAR = patient_key("example-lumbar-facet")


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, httpx.Client]]:
    with facade(tmp_path_factory.mktemp("fhir")) as (store, client):
        fill(store, "ana", *OURS)
        fill(store, "ben", "meralgia")
        stored = store.read_case(person("ana"), "example-lumbar-facet")
        store.add_plan(person("ana"), stored.id, stored.version, plan_record(stored.case))
        store.share_case(person("ana"), "example-celiac", "id-pia")
        yield store, client


@pytest.fixture
def ana(opened: tuple[Store, httpx.Client]) -> Facade:
    return Facade(opened[1], "ana")


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[tuple[Store, Facade]]:
    with facade(tmp_path) as (store, client):
        yield store, Facade(client, "ana")


# ---------------------------------------------------------------- reading


def test_metadata(ana: Facade) -> None:
    statement = ana.get("/fhir/metadata")
    validate(statement)
    assert statement["implementation"]["url"] == f"{ana.base}/fhir"


def test_everything_of_a_patient_can_be_read_one_by_one(ana: Facade) -> None:
    whole = ana.get(f"/fhir/Patient/{LUMBAR}/$everything")
    validate(whole)
    kinds = {entry["resource"]["resourceType"] for entry in whole["entry"]}
    assert kinds == set(BUILDERS) - {"AdverseEvent", "ImagingStudy"}
    for entry in whole["entry"]:
        resource = entry["resource"]
        answer = ana.send("GET", f"/fhir/{resource['resourceType']}/{resource['id']}")
        assert answer.json() == resource
        assert answer.headers["etag"] == f'W/"{resource["meta"]["versionId"]}"'
        assert entry["fullUrl"] == f"{ana.base}/fhir/{resource['resourceType']}/{resource['id']}"


def test_questionnaires_are_for_everybody(opened: tuple[Store, httpx.Client]) -> None:
    ben = Facade(opened[1], "ben")
    assert [form["id"] for form in ben.found("/fhir/Questionnaire?title=phq")] == ["phq-9"]
    assert ben.get("/fhir/Questionnaire/nrs")["title"] == "Pain, 0 to 10"
    assert len(ben.found("/fhir/Questionnaire?url=urn:neurolysis:questionnaire:gad-7")) == 1


@pytest.mark.parametrize(
    "path", ["Patient/nobody", "Observation/x", "Nothing/x", "Patient/-h", "Questionnaire/odi", "Patient/%00"]
)
def test_what_is_not_there_is_404(ana: Facade, path: str) -> None:
    body = ana.get(f"/fhir/{path}", status=404)
    validate(body)
    assert body["issue"][0]["code"] == "not-found"


def test_a_foreign_patient_is_not_there(opened: tuple[Store, httpx.Client]) -> None:
    """Every resource of another user's case answers exactly as one that does not exist."""
    ana, ben = Facade(opened[1], "ana"), Facade(opened[1], "ben")
    for entry in ana.get(f"/fhir/Patient/{LUMBAR}/$everything")["entry"]:
        kind, id = entry["resource"]["resourceType"], entry["resource"]["id"]
        foreign = ben.get(f"/fhir/{kind}/{id}", status=404)
        missing = ben.get(f"/fhir/{kind}/{id.replace('example', 'examplf')}", status=404)
        assert json.dumps(foreign).replace("example", "examplf") == json.dumps(missing)
    ben.get(f"/fhir/Patient/{LUMBAR}/$everything", status=404)
    for kind in BUILDERS:
        name = (
            "patient" if kind not in ("Patient", "AdverseEvent") else {"Patient": "_id"}.get(kind, "subject")
        )
        assert ben.get(f"/fhir/{kind}?{name}={LUMBAR}")["total"] == 0
    assert {p["id"] for p in ben.found("/fhir/Patient")} == {patient_key("example-meralgia")}


def test_roles_see_what_they_may(opened: tuple[Store, httpx.Client]) -> None:
    pia, ada = Facade(opened[1], "pia"), Facade(opened[1], "ada")
    assert [p["id"] for p in pia.found("/fhir/Patient")] == [patient_key("example-celiac")]
    assert ada.get("/fhir/Patient", status=403)["issue"][0]["code"] == "forbidden"
    ada.get(f"/fhir/Patient/{LUMBAR}", status=404)
    Facade(opened[1], "ana").get("/fhir/AuditEvent", status=403)


def test_a_patient_sees_the_own_record_without_plans(opened: tuple[Store, httpx.Client]) -> None:
    opened[0].share_case(person("ana"), "example-lumbar-facet", "id-eve")
    eve, ana = Facade(opened[1], "eve"), Facade(opened[1], "ana")
    mine = [entry["resource"] for entry in eve.get(f"/fhir/Patient/{LUMBAR}/$everything")["entry"]]
    whole = [entry["resource"] for entry in ana.get(f"/fhir/Patient/{LUMBAR}/$everything")["entry"]]
    plans = [resource for resource in whole if ".plan-" in resource["id"] or "risk-plan" in resource["id"]]
    assert plans
    assert mine == [resource for resource in whole if resource not in plans]


def test_a_case_in_the_trash_is_not_there(empty: tuple[Store, Facade]) -> None:
    store, ana = empty
    fill(store, "ana", "knee")
    id = patient_key("example-knee")
    ana.get(f"/fhir/Patient/{id}")
    store.trash_case(person("ana"), "example-knee")
    ana.get(f"/fhir/Patient/{id}", status=404)
    assert ana.get("/fhir/Patient")["total"] == 0


# ---------------------------------------------------------------- searching


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        (f"Patient?_id={LUMBAR}", {"example-lumbar-facet"}),
        ("Patient?identifier=example-celiac-person", {"example-celiac"}),
        ("Patient?identifier=urn:neurolysis:patient|example-celiac-person", {"example-celiac"}),
        ("Patient?identifier=urn:other|example-celiac-person", set()),
        ("Patient?identifier=example-celiac", set()),
        ("Patient?birthdate=lt1956&gender=male", {"example-celiac"}),
        ("Patient?gender:not=male,female", set()),
        ("Patient?birthdate=1955", {"example-celiac"}),
    ],
)
def test_patients_are_found(ana: Facade, query: str, ids: set[str]) -> None:
    assert {p["id"] for p in ana.found(f"/fhir/{query}")} == {patient_key(id) for id in ids}


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("Observation?patient={}&category=laboratory", 2),
        ("Observation?patient=Patient/{}&code=http://loinc.org|29463-7", 1),
        ("Observation?subject=http://elsewhere/fhir/Patient/{}&code=29463-7,8302-2", 2),
        ("Observation?patient={}&code:text=INR", 1),
        ("Observation?patient={}&category=laboratory&date=ge2026-10-28", 2),
        ("Observation?patient={}&category=laboratory&date=gt2026-10-28", 0),
        ("Observation?patient={}&category=laboratory&date=2026-10", 2),
        ("Observation?patient={}&date:missing=true&code=8302-2", 1),
        ("AdverseEvent?subject={}&event:text=DIARRH", 1),
        ("AdverseEvent?subject={}&date=2026-11-05", 1),
        ("Condition?patient={}&code=urn:neurolysis:condition|cancer_pain_upper_abdomen", 1),
        ("Condition?patient={}&clinical-status=active", 2),
        ("Condition?patient={}&clinical-status:not=active", 0),
        ("MedicationStatement?patient={}&status=active", 2),
        ("AllergyIntolerance?patient={}", 1),
        ("QuestionnaireResponse?patient={}&questionnaire=urn:neurolysis:questionnaire:nrs", 1),
        ("ServiceRequest?patient={}&status=draft&intent=proposal", 1),
        ("Procedure?patient={}&date=2026-11-04&status=completed", 1),
        ("CarePlan?patient={}&category=aftercare", 1),
        ("Consent?patient={}&status=active&scope=treatment", 1),
        ("DocumentReference?patient={}&type=case-file", 1),
        ("DocumentReference?patient={}&contenttype=application/json", 1),
        ("RiskAssessment?patient={}&method=evidence", 0),
        ("Observation?patient={},nobody&code=29463-7", 1),
        ("Observation?patient={}&patient=nobody", 0),
        ("Observation?_id={}.nothing", 0),
    ],
)
def test_searches(ana: Facade, query: str, count: int) -> None:
    bundle = ana.get("/fhir/" + query.format(patient_key("example-celiac")))
    validate(bundle)
    assert bundle["total"] == count
    assert len(bundle.get("entry", [])) == count


def test_a_search_by_id_and_by_post(ana: Facade) -> None:
    (case_file,) = ana.found(f"/fhir/DocumentReference?patient={LUMBAR}&type=case-file")
    assert ana.found(f"/fhir/DocumentReference?_id={case_file['id']}") == [case_file]
    form = {"content": f"patient={LUMBAR}&type=case-file".encode()}
    posted = ana.send("POST", "/fhir/DocumentReference/_search", **form).json()
    assert [entry["resource"] for entry in posted["entry"]] == [case_file]


@pytest.mark.parametrize(
    ("query", "code", "says"),
    [
        ("Observation?patient=a&colour=red", "not-supported", "no such search parameter"),
        ("Observation?patient.name=a", "not-supported", "no such search parameter"),
        ("Observation?_include=Observation:subject", "not-supported", "no such search parameter"),
        ("Observation?code:above=a", "invalid", "modifier"),
        ("Observation?date=yesterday", "invalid", "not a date"),
        ("Observation?date=2026-13", "invalid", "not a date"),
        ("Observation?date=ap2026", "invalid", "not a date"),
        ("Observation?code=", "invalid", "a value is needed"),
        ("Observation?code:missing=maybe", "invalid", "missing"),
        ("Observation?_count=-1", "invalid", "whole number"),
        ("Observation?_count=many", "invalid", "whole number"),
        ("Observation?_sort=colour", "invalid", "cannot sort"),
        ("Observation?_format=xml", "invalid", "not supported"),
        ("Observation?code=" + "x" * 3000, "invalid", "too long"),
        ("AdverseEvent?patient=a", "not-supported", "subject"),
        ("Patient?identifier=%00", "invalid", "control characters"),
    ],
)
def test_a_search_that_is_not_understood_is_an_error(ana: Facade, query: str, code: str, says: str) -> None:
    body = ana.get(f"/fhir/{query}", status=400)
    validate(body)
    assert body["issue"][0]["code"] == code
    assert says in body["issue"][0]["diagnostics"]


def test_pages_hold_everything_once(ana: Facade) -> None:
    whole = ana.found(f"/fhir/Observation?patient={LUMBAR}&_count=500&_sort=-date")
    seen: list[Any] = []
    url = f"/fhir/Observation?patient={LUMBAR}&_count=7&_sort=-date"
    relations = []
    while url:
        page = ana.get(url)
        validate(page)
        assert page["total"] == len(whole)
        seen += [entry["resource"] for entry in page["entry"]]
        links = {link["relation"]: link["url"] for link in page["link"]}
        relations.append(sorted(links))
        url = links.get("next", "").removeprefix(ana.base)
    assert seen == whole
    assert relations[0] == ["first", "last", "next", "self"]
    assert relations[-1] == ["first", "last", "previous", "self"]
    dates = [r["effectiveDateTime"][:10] for r in whole if "effectiveDateTime" in r]
    assert dates == sorted(dates, reverse=True)
    assert ana.get(f"/fhir/Observation?patient={LUMBAR}&_summary=count") == {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(whole),
        "link": [{"relation": "self", "url": f"{ana.base}/fhir/Observation?patient={LUMBAR}&_summary=count"}],
    }


def test_patients_come_in_pages_of_the_list_of_cases(ana: Facade) -> None:
    first = ana.get("/fhir/Patient?_count=3")
    assert first["total"] == len(OURS)
    rest = ana.found(first["link"][2]["url"].removeprefix(ana.base))
    assert len(first["entry"]) == 3
    ids = {entry["resource"]["id"] for entry in first["entry"]} | {r["id"] for r in rest}
    assert ids == {patient_key(f"example-{name}") for name in OURS}


def test_a_search_over_too_many_cases_says_so(ana: Facade, monkeypatch: pytest.MonkeyPatch) -> None:
    from neurolysis.app import fhir_records

    assert ana.get("/fhir/Condition?code:text=pain")["total"] > 2
    monkeypatch.setattr(fhir_records, "MOST_CASES", 2)
    assert ana.get("/fhir/Condition?code:text=pain", status=400)["issue"][0]["code"] == "too-costly"
    assert ana.get(f"/fhir/Condition?code:text=pain&patient={LUMBAR}")["total"] > 0


# ---------------------------------------------------------------- importing


def send(ana: Facade, bundle: Any, status: int = 200, **headers: str) -> Any:
    """The answer to a transaction."""
    content = bundle if isinstance(bundle, bytes) else json.dumps(bundle).encode()
    answer = ana.send(
        "POST", "/fhir", content=content, headers={"content-type": "application/fhir+json", **headers}
    )
    assert answer.status_code == status, answer.text
    body = answer.json()
    validate(body)
    return body


@pytest.mark.parametrize("name", ["lumbar-facet", "celiac", "trigeminal"])
def test_a_case_goes_out_and_comes_in_equal(name: str, ana: Facade, empty: tuple[Store, Facade]) -> None:
    out = ana.get(f"/fhir/Patient/{patient_key(f'example-{name}')}/$everything")
    store, other = empty
    answer = send(other, {**out, "type": "collection"})
    assert answer["entry"][0]["response"]["location"].startswith("Patient/")
    stored = store.read_case(person("ana"), f"example-{name}")
    assert stored.case == example(name).case
    assert other.get(f"/fhir/Patient/{patient_key(stored.id)}")["gender"] == stored.case.patient.sex


def test_a_real_record_comes_in_and_is_there(empty: tuple[Store, Facade]) -> None:
    store, ana = empty
    bundle = json.loads(SYNTHEA_PART.read_text("utf-8"))
    answer = send(ana, bundle)
    assert len(answer["entry"]) == len(bundle["entry"])
    (stored,) = store.list_cases(person("ana")).rows
    case = store.read_case(person("ana"), stored.id).case
    assert case == read_case(bundle).case
    location = next(e["response"]["location"] for e in answer["entry"] if "Patient/" in str(e["response"]))
    person_ = ana.get("/fhir/" + location.split("/_history")[0])
    assert person_["birthDate"] == "1988"
    assert ana.get(f"/fhir/Condition?patient={person_['id']}")["total"] == len(case.conditions)


def test_what_cannot_be_taken_whole_leaves_nothing(empty: tuple[Store, Facade]) -> None:
    store, ana = empty
    bundle = json.loads(SYNTHEA_PART.read_text("utf-8"))
    body = send(ana, bundle, 400, prefer="handling=strict")
    assert "Claim" in body["issue"][0]["diagnostics"]
    last = bundle["entry"][-1]
    for entry in ({"resource": 5}, {**last, "request": {"method": "DELETE", "url": "Observation/1"}}, last):
        send(
            ana,
            {**bundle, "entry": [*bundle["entry"], entry]},
            405 if "request" in entry and entry is not last else 400,
        )
    for text in (
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff",
        b"null",
        b'"x"',
        b'{"a": "\\ud800"}',
        b'{"a": "\\u0000"}',
    ):
        send(ana, text, 400)
    assert store.list_cases(person("ana")).total == 0
    send(Facade(ana.client, "rob"), bundle, 403)
    wrong = Facade(ana.client, "rob").send("POST", "/fhir", content=b"no bundle at all")
    assert wrong.status_code == 403, "who may not write is not told what is wrong with the bundle"
    assert store.list_cases(person("ana")).total == 0


def test_the_same_bundle_twice_makes_two_cases(empty: tuple[Store, Facade]) -> None:
    store, ana = empty
    bundle = json.loads(json.dumps(transaction(example("celiac"))))
    first, second = send(ana, bundle), send(ana, bundle)
    places = [answer["entry"][0]["response"]["location"] for answer in (first, second)]
    assert places[0] != places[1]
    assert store.list_cases(person("ana")).total == 2
    assert len(ana.found("/fhir/Patient?identifier=example-celiac-person")) == 2


def test_files_stay_behind_and_the_case_says_so(empty: tuple[Store, Facade]) -> None:
    store, ana = empty
    send(ana, json.loads(json.dumps(transaction(example("demo")))))
    (row,) = store.list_cases(person("ana")).rows
    stored = store.read_case(person("ana"), row.id)
    assert stored.case.image is None
    assert stored.case.target == example("demo").case.target


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/fhir/Observation"),
        ("PUT", "/fhir/Patient/a"),
        ("DELETE", "/fhir/Patient/a"),
        ("PATCH", "/fhir/Patient/a"),
    ],
)
def test_single_resources_are_not_written(ana: Facade, method: str, path: str) -> None:
    answer = ana.send(method, path, content=b"{}")
    assert answer.status_code == 405
    assert answer.json()["issue"][0]["code"] == "not-supported"


# ---------------------------------------------------------------- the trail


def test_every_access_leaves_its_trail_as_audit_events(empty: tuple[Store, Facade]) -> None:
    store, ana = empty
    fill(store, "ana", "knee")
    id = patient_key("example-knee")
    ana.get(f"/fhir/Patient/{id}")
    ana.get("/fhir/Patient")
    Facade(ana.client, "ben").get(f"/fhir/Patient/{id}", status=404)
    ada = Facade(ana.client, "ada")
    events = ada.found("/fhir/AuditEvent?_count=500")
    for event in events:
        validate(event)
    profiles = [event["meta"].get("profile", ["none"])[0].rsplit(".", 1)[-1] for event in events]
    assert profiles[:4] == ["PatientCreate", "PatientUpdate", "PatientUpdate", "PatientRead"]
    assert "Query" in profiles
    refused = [event for event in events if event["outcome"] == "4"]
    assert {event["agent"][2]["name"] for event in refused} == {"ben"}
    assert all("profile" not in event["meta"] for event in refused)
    about = ada.found(f"/fhir/AuditEvent?patient={id}&_count=500")
    assert len(about) < len(events)
    assert all(f"Patient/{id}" in str(event["entity"]) for event in about)
    assert ada.get(f"/fhir/AuditEvent/{events[3]['id']}") == events[3]
    assert {e["agent"][2]["name"] for e in ada.found("/fhir/AuditEvent?agent-name=ben")} == {"ben"}
    assert len(ada.found("/fhir/AuditEvent?action=C&outcome=0")) == 1
    ada.get("/fhir/AuditEvent/audit-99999", status=404)
    ada.get("/fhir/AuditEvent/other", status=404)


def test_the_published_interface_names_every_kind() -> None:
    assert set(KINDS) >= {
        "Patient", "Condition", "Questionnaire", "QuestionnaireResponse", "Observation", "ServiceRequest",
        "Procedure", "CarePlan", "RiskAssessment", "AdverseEvent", "ImagingStudy", "Consent",
        "DocumentReference", "AuditEvent",
    }  # fmt: skip
