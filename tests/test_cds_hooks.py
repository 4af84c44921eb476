"""CDS Hooks: discovery, calls that are refused, and cards that say what the evaluation says."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.app.cds_hooks import answer_call
from neurolysis.case import Case
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evaluation.evaluate import evaluate
from neurolysis.records.cds import (
    PREFETCH,
    SELECT,
    SIGN,
    SUITABILITY,
    PrefetchMissingError,
    discovery,
    parse_call,
)
from neurolysis.records.cds_cards import LONGEST_SUMMARY, VERDICTS, source_of
from neurolysis.records.fhir.resources import everything
from neurolysis.records.fhir.terms import patient_key
from neurolysis.records.store import Store

from .fhir_client import Facade, facade, fill, person
from .fhir_records import SYNTHEA_PART, example

INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
ON = date(2026, 11, 20)
WHO = {"userId": "Practitioner/1", "patientId": "p"}
KEYS = {
    "Condition": "conditions",
    "AllergyIntolerance": "allergies",
    "MedicationStatement": "medications",
    "Observation": "observations",
    "QuestionnaireResponse": "questionnaires",
}


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, httpx.Client]]:
    with facade(tmp_path_factory.mktemp("cds")) as (store, client):
        fill(store, "ana", "lumbar-facet")
        yield store, client


def prefetch(name: str) -> dict[str, Any]:
    """What another record system would send of an example."""
    found: dict[str, Any] = {
        key: {"resourceType": "Bundle", "type": "searchset", "entry": []} for key in KEYS.values()
    }
    for resource in everything(example(name)):
        if resource["resourceType"] == "Patient":
            found["patient"] = resource
        elif resource["resourceType"] in KEYS:
            found[KEYS[resource["resourceType"]]]["entry"].append({"resource": resource})
    return json.loads(json.dumps(found))  # type: ignore[no-any-return]


def call(
    service: str, data: dict[str, Any] | None = None, patient: str = "", **context: Any
) -> dict[str, Any]:
    """A call of a hook."""
    hook = {SUITABILITY: "patient-view", SELECT: "order-select", SIGN: "order-sign"}[service]
    id = patient or ((data or {}).get("patient") or {}).get("id", "p")
    body = {
        "hook": hook,
        "hookInstance": INSTANCE,
        "context": {"userId": "Practitioner/1", "patientId": id, **context},
    }
    return {**body, **({} if data is None else {"prefetch": data})}


def order(
    id: str = "o1", technique: str | None = "rf_conventional", target: str | None = "lumbar_medial_branch"
) -> Any:
    """A draft order."""
    code = (
        {"coding": [{"system": "urn:neurolysis:modality", "code": technique}]} if technique else {"text": "x"}
    )
    site = {"bodySite": [{"coding": [{"system": "urn:neurolysis:target", "code": target}]}]} if target else {}
    resource = {
        "resourceType": "ServiceRequest",
        "id": id,
        "status": "draft",
        "intent": "order",
        "code": code,
        **site,
    }
    return {"resource": resource}


def orders(*entries: Any) -> dict[str, Any]:
    """Draft orders of a context."""
    return {"draftOrders": {"resourceType": "Bundle", "type": "collection", "entry": list(entries)}}


def cards(store: Store, service: str, body: dict[str, Any], on: date = ON) -> list[dict[str, Any]]:
    """The cards of a call, each checked against what CDS Hooks 2.0 asks of a card."""
    answer = answer_call(store, person("ana"), service, body, on)
    assert set(answer) == {"cards"}
    found: list[dict[str, Any]] = answer["cards"]
    for card in found:
        assert {"uuid", "summary", "detail", "indicator", "source"} <= set(card)
        assert 0 < len(card["summary"]) <= LONGEST_SUMMARY
        assert card["indicator"] in ("info", "warning", "critical")
        assert card["source"]["label"].startswith("neurolysis")
        assert "research use" in card["detail"]
        for link in card.get("links", []):
            assert set(link) == {"label", "url", "type"}
            assert link["url"].startswith("http")
    assert len({card["uuid"] for card in found}) == len(found)
    return found


# ---------------------------------------------------------------- over HTTP


def test_discovery_and_a_call(opened: tuple[Store, httpx.Client]) -> None:
    ana = Facade(opened[1], "ana")
    services = ana.send("GET", "/cds-services").json()["services"]
    assert [(s["id"], s["hook"]) for s in services] == [
        (SUITABILITY, "patient-view"), (SELECT, "order-select"), (SIGN, "order-sign"),
    ]  # fmt: skip
    for service in services:
        assert service["prefetch"] == dict(PREFETCH)
        assert service["title"]
        assert service["description"]
    assert discovery() == {"services": services}
    answer = ana.send(
        "POST", f"/cds-services/{SUITABILITY}", json=call(SUITABILITY, prefetch("lumbar-facet"))
    )
    assert answer.status_code == 200
    assert answer.json()["cards"]


@pytest.mark.parametrize(
    ("service", "body", "status"),
    [
        ("other", call(SUITABILITY, {}), 404),
        (SUITABILITY, call(SUITABILITY), 412),
        (SUITABILITY, call(SUITABILITY, {"patient": None}), 412),
        (SUITABILITY, {"hook": "patient-view"}, 422),
        (SUITABILITY, [], 422),
    ],
)
def test_a_bad_call_over_http(
    opened: tuple[Store, httpx.Client], service: str, body: Any, status: int
) -> None:
    answer = Facade(opened[1], "ana").send("POST", f"/cds-services/{service}", json=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["problem"]


def test_a_patient_of_this_store_needs_no_prefetch_and_a_foreign_one_is_not_told(
    opened: tuple[Store, httpx.Client],
) -> None:
    body = call(SUITABILITY, patient=patient_key("example-lumbar-facet"))
    ana = Facade(opened[1], "ana").send("POST", f"/cds-services/{SUITABILITY}", json=body)
    assert "Lumbar medial branch" in ana.json()["cards"][0]["summary"]
    ben = Facade(opened[1], "ben").send("POST", f"/cds-services/{SUITABILITY}", json=body)
    missing = {**body, "context": {**body["context"], "patientId": "nobody"}}
    nobody = Facade(opened[1], "ben").send("POST", f"/cds-services/{SUITABILITY}", json=missing)
    assert (ben.status_code, ben.text) == (nobody.status_code, nobody.text) == (412, nobody.text)


# ---------------------------------------------------------------- calls that are refused


@pytest.mark.parametrize(
    ("service", "change", "where"),
    [
        (SUITABILITY, {"hook": "order-sign"}, "hook"),
        (SUITABILITY, {"hookInstance": "1"}, "hookInstance"),
        (SUITABILITY, {"context": None}, "context"),
        (SUITABILITY, {"context": {"patientId": "p"}}, "context.userId"),
        (SUITABILITY, {"context": {"userId": "Practitioner/1", "patientId": 5}}, "context.patientId"),
        (SUITABILITY, {"context": {"userId": "Practitioner/1", "patientId": ""}}, "context.patientId"),
        (SUITABILITY, {"prefetch": []}, "prefetch"),
        (SUITABILITY, {"prefetch": {"patient": {"resourceType": "Patient"}}}, "prefetch.patient.id"),
        (SUITABILITY, {"prefetch": {"conditions": {"resourceType": "Patient"}}}, "prefetch.conditions"),
        (SIGN, {}, "context.draftOrders"),
        (SELECT, {"context": {**WHO, **orders()}}, "context.selections"),
        (SELECT, {"context": {**WHO, "selections": [5], **orders()}}, "context.selections"),
        (SIGN, {"context": {**WHO, **orders(5)}}, "context.draftOrders.entry[0]"),
        (SIGN, {"context": {**WHO, "draftOrders": {"resourceType": "List"}}}, "context.draftOrders"),
    ],
)  # fmt: skip
def test_a_bad_call_says_where(service: str, change: dict[str, Any], where: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_call(service, {**call(service), **change})
    assert caught.value.where == where


def test_an_unknown_service_lists_the_known() -> None:
    with pytest.raises(UnknownNameError, match=SIGN):
        parse_call("other", call(SIGN))


def test_no_address_of_a_call_is_asked_for_anything(opened: tuple[Store, httpx.Client]) -> None:
    body = {
        **call(SUITABILITY),
        "fhirServer": "http://192.0.2.1/fhir",
        "fhirAuthorization": {"access_token": "secret"},
    }
    with pytest.raises(PrefetchMissingError) as caught:
        answer_call(opened[0], person("ana"), SUITABILITY, body, ON)
    assert "secret" not in str(caught.value)


# ---------------------------------------------------------------- cards


def test_the_cards_say_what_the_evaluation_says(opened: tuple[Store, httpx.Client]) -> None:
    case = example("lumbar-facet").case
    (card,) = cards(opened[0], SUITABILITY, call(SUITABILITY, prefetch("lumbar-facet")))
    resources_only = case.replace(
        implants=None, blocks=(), prior_procedures=(), anaesthesia=None, treatment=None, target=None,
        medications_complete=None, resolved_flags=(), expected_survival=None, notes="", title="",
        complaint="", demonstration=False, evaluated=None,
    )  # fmt: skip
    found = evaluate(resources_only, ON)
    for verdict in VERDICTS:
        count = sum(item.verdict == verdict for item in found.suitability)
        assert (f"{count} {verdict}" in card["summary"]) == (count > 0)
    for item in found.suitability:
        assert f": {item.verdict}** (evidence: {item.evidence})" in card["detail"]
        for need in item.needs:
            assert html.escape(need, quote=False) in card["detail"]
    cited = {
        s.citation
        for i in found.suitability
        for r in i.rules
        if (s := source_of(r.source)) and (s.url or s.doi)
    }
    assert {link["label"] for link in card["links"]} <= cited
    assert card["links"]


def test_a_patient_of_the_store_is_judged_with_all_that_is_known(opened: tuple[Store, httpx.Client]) -> None:
    (card,) = cards(opened[0], SUITABILITY, call(SUITABILITY, patient=patient_key("example-lumbar-facet")))
    for item in evaluate(example("lumbar-facet").case, ON).suitability:
        assert f": {item.verdict}** (evidence: {item.evidence})" in card["detail"]


def test_an_open_red_flag_is_critical_and_nothing_is_judged(opened: tuple[Store, httpx.Client]) -> None:
    data = prefetch("lumbar-facet")
    for entry in data["observations"]["entry"]:
        if entry["resource"]["code"].get("text") == "saddle_numbness":
            entry["resource"]["valueString"] = "present"
    found = cards(opened[0], SUITABILITY, call(SUITABILITY, data))
    assert {card["indicator"] for card in found} == {"critical"}
    assert all(card["summary"].startswith(("Red flag", "Neurolysis: stop")) for card in found)


def test_a_foreign_record_without_a_known_condition_is_not_judged(opened: tuple[Store, httpx.Client]) -> None:
    bundle = json.loads(SYNTHEA_PART.read_text("utf-8"))
    about = bundle["entry"][0]["resource"]
    text = json.dumps(bundle).replace(bundle["entry"][0]["fullUrl"], f"Patient/{about['id']}")
    entries = [entry for entry in json.loads(text)["entry"] if entry["resource"]["resourceType"] in KEYS]
    data = {"patient": about, "conditions": {"resourceType": "Bundle", "type": "searchset", "entry": entries}}
    (card,) = cards(opened[0], SUITABILITY, call(SUITABILITY, data))
    assert card["summary"] == "Neurolysis: suitability cannot be judged yet"
    assert card["indicator"] == "info"
    assert "not sent: allergies, medications" in card["detail"]


def test_a_part_of_a_list_is_said(opened: tuple[Store, httpx.Client]) -> None:
    data = prefetch("lumbar-facet")
    data["observations"]["link"] = [{"relation": "next", "url": "http://elsewhere"}]
    data["medicationRequests"] = {"resourceType": "OperationOutcome", "issue": []}
    (card,) = cards(opened[0], SUITABILITY, call(SUITABILITY, data))
    assert "only a part was sent: observations" in card["detail"]
    assert "not sent: medicationRequests" in card["detail"]


def test_what_cannot_be_evaluated_gives_one_card(opened: tuple[Store, httpx.Client]) -> None:
    (card,) = cards(opened[0], SUITABILITY, call(SUITABILITY, prefetch("lumbar-facet")), on=date(2020, 1, 1))
    assert card["summary"] == "Neurolysis: suitability cannot be judged"
    assert "future" in card["detail"]


def test_an_order_is_judged_by_technique_and_target(opened: tuple[Store, httpx.Client]) -> None:
    data = prefetch("lumbar-facet")
    body = call(
        SIGN,
        data,
        **orders(order(), order("o2", "phenol"), {"resource": {"resourceType": "MedicationRequest"}}),
    )
    found = cards(opened[0], SIGN, body)
    assert len(found) == 2
    for card in found:
        verdict = card["summary"].rsplit(": ", 1)[1]
        assert card["indicator"] == VERDICTS[verdict]
    selected = call(SELECT, data, selections=["ServiceRequest/o2"], **orders(order(), order("o2", "phenol")))
    (card,) = cards(opened[0], SELECT, selected)
    assert card["summary"] == found[1]["summary"]
    assert "Phenol" in card["summary"]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (order(technique=None), "names no technique"),
        (order(target=None), "names no target"),
        (order(technique="magic"), "magic"),
        (order(target="elbow"), "elbow"),
    ],
)
def test_an_order_that_is_not_understood_says_so(
    opened: tuple[Store, httpx.Client], entry: Any, says: str
) -> None:
    (card,) = cards(opened[0], SIGN, call(SIGN, prefetch("lumbar-facet"), **orders(entry)))
    assert card["indicator"] == "info"
    assert says in card["detail"]


def test_an_order_for_something_else_gives_no_card(opened: tuple[Store, httpx.Client]) -> None:
    body = call(SIGN, prefetch("lumbar-facet"), **orders(order(technique=None, target=None)))
    assert cards(opened[0], SIGN, body) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["entry", "resource", "resourceType", "id", "patientId", "userId", "link"])
            | st.text(max_size=3),
            inner | st.sampled_from(["Bundle", "Patient", "Observation", "p"]),
            max_size=4,
        )
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(
    service=st.sampled_from([SUITABILITY, SELECT, SIGN]),
    context=JSON,
    data=JSON | st.dictionaries(st.sampled_from(list(PREFETCH)), JSON),
)
def test_any_call_is_answered_or_refused(service: str, context: Any, data: Any) -> None:
    from neurolysis.records.cds import bundle_of, incomplete
    from neurolysis.records.fhir.case_bundle import read_case

    body = {**call(service), "prefetch": data}
    if isinstance(context, dict):
        body["context"] |= context
    try:
        found = parse_call(service, body)
        assert isinstance(incomplete(found), tuple)
        case = read_case(bundle_of(found)).case
    except InputError:
        return
    assert isinstance(case, Case)


def test_texts_of_a_record_are_no_markup(opened: tuple[Store, httpx.Client]) -> None:
    entry = order(technique="<script>alert(1)</script>")
    (card,) = cards(opened[0], SIGN, call(SIGN, prefetch("lumbar-facet"), **orders(entry)))
    assert "<script>" not in card["detail"]
    assert "&lt;script&gt;" in card["detail"]
