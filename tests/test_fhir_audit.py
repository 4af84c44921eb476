"""The audit trail as AuditEvents, held against what the BALP profiles ask for."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from neurolysis.records.fhir.audit_event import BALP, audit_event
from neurolysis.records.store.values import AuditRow

from .fhir_peer import Peer
from .fhir_records import validate
from .server_kit import serving

DCM = "http://dicom.nema.org/resources/ontology/DCM"
SERVER = "http://127.0.0.1:8717"


def row(action: str, what: str, **changes: Any) -> AuditRow:
    """A line of the trail."""
    data = {
        "seq": 7,
        "at": datetime(2026, 11, 27, 8, 30, 15, 250000, tzinfo=UTC),
        "user_id": "u1",
        "user_name": "Dr A",
        "role": "clinician",
        "mode": "accounts",
        "origin": "192.0.2.7",
        "action": action,
        "what": what,
        "kind": "case",
        "case_id": "case-1",
        "patient_id": "p",
        "object": "version 3",
        "outcome": "done",
        "detail": "",
        "previous": "0" * 64,
        "hash": "1" * 64,
    }
    return AuditRow.model_validate({**data, **changes})


ROWS = {
    "PatientCreate": row("create", "create_case"),
    "PatientRead": row("read", "read_case"),
    "PatientUpdate": row("update", "save_case"),
    "PatientDelete": row("delete", "trash_case"),
    "PatientQuery": row("read", "list_plans", detail="2 shown"),
    "Create": row("create", "add_user", case_id="", kind="user"),
    "Read": row("read", "audit_rows", case_id="", kind="audit"),
    "Update": row("update", "set_role", case_id="", kind="user"),
    "Delete": row("delete", "close_session", case_id="", kind="session"),
    "Query": row("read", "list_cases", case_id="", detail="5 shown"),
}
"""By the profile each line becomes."""

AGENTS = {
    "Read": (("client", DCM, "110152"), ("server", DCM, "110153")),
    "Delete": (
        ("client", DCM, "110150"),
        ("server", "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "custodian"),
    ),
    "Create": (("client", DCM, "110153"), ("server", DCM, "110152")),
    "Update": (("client", DCM, "110153"), ("server", DCM, "110152")),
    "Query": (("client", DCM, "110153"), ("server", DCM, "110152")),
}
"""Types of the client and server agents that the profiles fix."""
ACTIONS = {"Create": "C", "Read": "R", "Update": "U", "Delete": "D", "Query": "E"}
SUBTYPES = {
    "Create": "create",
    "Read": "read",
    "Update": "update",
    "Delete": "delete",
    "Query": "search-type",
}


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with Peer() as running:
        yield running


@pytest.mark.parametrize("profile", ROWS)
def test_a_line_is_what_its_profile_asks(profile: str, peer: Peer) -> None:
    event = audit_event(ROWS[profile], SERVER)
    validate(event)
    assert peer.problems([event]) == {}
    pattern = profile.removeprefix("Patient")
    assert event["meta"]["profile"] == [BALP + profile]
    assert event["type"]["code"] == "rest"
    assert event["subtype"][0]["code"] == SUBTYPES[pattern]
    assert len(event["subtype"]) == (1 if pattern == "Delete" else 2)
    assert (event["action"], event["outcome"]) == (ACTIONS[pattern], "0")
    assert event["recorded"] == "2026-11-27T08:30:15.250+00:00"
    found = [(c["system"], c["code"]) for agent in event["agent"] for c in agent["type"]["coding"]]
    assert found[:2] == [(system, code) for _, system, code in AGENTS[pattern]]
    for agent in event["agent"][:2]:
        assert agent["who"]
        assert agent["network"]["address"]
        assert agent["requestor"] is False
    _check_user(event["agent"][2], pattern)
    _check_entities(event["entity"], profile)


def _check_user(user: dict[str, Any], pattern: str) -> None:
    assert user["requestor"] is True
    assert user["type"]["coding"][0]["code"] in (
        ["IRCP"] if pattern in ("Read", "Query") else ["AUT", "INF", "CST"]
    )
    assert user["name"] == "Dr A"
    assert "network" not in user


def _check_entities(entities: list[dict[str, Any]], profile: str) -> None:
    roles = [(entity["type"]["code"], entity["role"]["code"]) for entity in entities]
    last = ("2", "24") if profile.endswith("Query") else ("2", "4")
    assert roles == ([("1", "1"), last] if profile.startswith("Patient") else [last])
    if profile.startswith("Patient"):
        assert entities[0]["what"]["reference"] == "Patient/case--1"
    if profile.endswith("Query"):
        assert set(entities[-1]) == {"type", "role", "query"}
        assert b"shown" in base64.b64decode(entities[-1]["query"])
    else:
        assert entities[-1]["what"]
    if profile.endswith("Delete"):
        assert not {"name", "query", "detail"} & set(entities[-1])


def test_a_refused_request_claims_no_profile(peer: Peer) -> None:
    event = audit_event(row("read", "read_case", outcome="refused"), SERVER)
    validate(event)
    assert peer.problems([event]) == {}
    assert "profile" not in event["meta"]
    assert (event["outcome"], event["outcomeDesc"]) == ("4", "refused")


def test_an_operation_has_no_pattern_and_a_typed_name_says_so() -> None:
    event = audit_event(row("execute", "approve_plan", mode="single-user", origin="command line"), SERVER)
    validate(event)
    assert "profile" not in event["meta"]
    assert event["subtype"][0]["code"] == "operation"
    assert event["agent"][2]["who"]["display"] == "Dr A (name typed, not authenticated)"
    assert event["agent"][0]["network"] == {"address": "command line", "type": "1"}


def test_the_chain_can_be_followed_in_the_events() -> None:
    event = audit_event(ROWS["PatientRead"], SERVER)
    said = {item["url"].rsplit(":", 1)[-1]: item["valueString"] for item in event["extension"]}
    assert said == {"audit-hash": "1" * 64, "audit-previous-hash": "0" * 64}


def test_the_facade_of_a_real_server(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Started as users start it: nothing without a session; with one the facade and the hooks answer."""
    with serving(tmp_path_factory.mktemp("store")) as server:
        with server.anonymous() as nobody:
            for path in ("/fhir/metadata", "/fhir/Patient", "/fhir/Patient/a", "/fhir/AuditEvent"):
                answer = nobody.get(path)
                assert answer.status_code == 401
                assert answer.json()["issue"][0]["code"] == "login"
            assert nobody.get("/cds-services").status_code == 401
        with contextlib.closing(server.client()) as client:
            statement = client.get("/fhir/metadata").json()
            validate(statement)
            assert statement["implementation"]["url"] == f"{server.url}/fhir"
            made = client.post("/api/cases", json={"case": {"id": "x", "patient": {"id": "p"}}})
            assert made.status_code == 201, made.text
            assert client.get("/fhir/Patient/x").json()["identifier"][0]["value"] == "p"
            for event in client.get("/fhir/AuditEvent?_count=500").json()["entry"]:
                validate(event["resource"])
            assert len(client.get("/cds-services").json()["services"]) == 3
            assert "/fhir/{kind}" in client.get("/openapi.json").json()["paths"]
