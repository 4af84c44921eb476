"""Who may do what: every route of the published interface, by every role, on an own, a foreign and no case.

The rows below are the specification; a route that has none fails the test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from neurolysis.records.store import Principal, Store
from neurolysis.records.store.values import Role

from . import store_kit
from .server_kit import ROLES, Server, people, serving, small_case

CLINICIAN: tuple[Role, ...] = ("clinician",)
STAFF: tuple[Role, ...] = ("clinician", "planner", "registrar")
EDITORS: tuple[Role, ...] = ("clinician", "planner")
WRITERS: tuple[Role, ...] = ("clinician", "registrar", "patient")
HOLDERS: tuple[Role, ...] = ("clinician", "planner", "registrar", "patient")
ADMINISTRATOR: tuple[Role, ...] = ("administrator",)
EVERYBODY: tuple[Role, ...] = ROLES  # type: ignore[assignment]


@dataclass(frozen=True)
class Row:
    """One route: who may use it, and a request that is whole.

    Attributes:
        on: what it acts on: a "case", a "job", or "nothing" in particular.
        open: answers without a session too.
    """

    may: tuple[Role, ...]
    on: str = "case"
    open: bool = False
    json: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    query: str = ""
    body: bytes | None = None
    files: Any = None


CASE = "/api/cases/{case_id}"
MATCH = {"if-match": "999"}
DOSE = {"agent": "lidocaine", "dose_mg": 50, "site": "subcutaneous"}
BUNDLE = json.dumps(
    {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:00000000-0000-4000-8000-000000000001",
                "resource": {"resourceType": "Patient", "id": "p1", "gender": "female"},
                "request": {"method": "POST", "url": "Patient"},
            }
        ],
    }
).encode()
FILE = {"file": ("x.bin", b"\x00\x01\x02")}
ROWS: dict[str, Row] = {
    "GET /": Row(EVERYBODY, "nothing", open=True),
    "GET /favicon.ico": Row(EVERYBODY, "nothing", open=True),
    "GET /static/{name}": Row(EVERYBODY, "nothing", open=True),
    "GET /openapi.json": Row(EVERYBODY, "nothing"),
    "GET /api/health": Row(EVERYBODY, "nothing", open=True),
    "GET /api/session": Row(EVERYBODY, "nothing", open=True),
    "POST /api/session": Row(EVERYBODY, "nothing", open=True, json={}),
    "DELETE /api/session": Row(EVERYBODY, "nothing", open=True),
    "GET /api/oidc/login": Row(EVERYBODY, "nothing", open=True),
    "GET /api/oidc/callback": Row(EVERYBODY, "nothing", open=True),
    "GET /api/catalogue": Row(EVERYBODY, "nothing"),
    "GET /api/cases": Row(HOLDERS, "nothing"),
    "POST /api/cases": Row(EDITORS, "nothing", json={"case": small_case("made")}),
    "POST /api/cases/import": Row(EDITORS, "nothing", files=FILE),
    f"GET {CASE}": Row(HOLDERS),
    f"PUT {CASE}": Row(EDITORS, json={"case": small_case("{id}")}, headers=MATCH),
    f"DELETE {CASE}": Row(CLINICIAN),
    f"POST {CASE}/restore": Row(CLINICIAN),
    f"GET {CASE}/versions": Row(HOLDERS),
    f"POST {CASE}/share": Row(CLINICIAN, json={"user_id": "nobody"}),
    f"GET {CASE}/share": Row(CLINICIAN),
    f"DELETE {CASE}/share/{{user_id}}": Row(CLINICIAN),
    f"PUT {CASE}/patient-name": Row(CLINICIAN, json={"name": "N"}),
    f"GET {CASE}/export": Row(("clinician", "registrar")),
    f"GET {CASE}/draft/{{kind}}": Row(HOLDERS),
    f"PUT {CASE}/draft/{{kind}}": Row(HOLDERS, json={"a": 1}),
    f"DELETE {CASE}/draft/{{kind}}": Row(HOLDERS),
    f"POST {CASE}/image": Row(EDITORS, files=FILE, headers=MATCH),
    f"GET {CASE}/image": Row(HOLDERS),
    f"GET {CASE}/image/voxels": Row(HOLDERS),
    f"GET {CASE}/labels/{{number}}/voxels": Row(HOLDERS),
    f"GET {CASE}/scene": Row(HOLDERS),
    f"GET {CASE}/evaluation": Row(HOLDERS),
    f"GET {CASE}/localization": Row(HOLDERS),
    f"GET {CASE}/anesthesia": Row(HOLDERS),
    f"GET {CASE}/aftercare": Row(HOLDERS),
    f"GET {CASE}/aftercare/patient-sheet": Row(HOLDERS),
    f"GET {CASE}/decision-aid": Row(HOLDERS),
    f"POST {CASE}/anesthetic-curve": Row(HOLDERS, json=DOSE),
    f"POST {CASE}/fluoroscopy": Row(HOLDERS, json={}),
    f"GET {CASE}/tunnel-view": Row(HOLDERS),
    f"GET {CASE}/preview": Row(HOLDERS),
    f"POST {CASE}/simulate": Row(EDITORS, json={"case_version": 999}),
    "GET /api/jobs": Row(EVERYBODY, "nothing"),
    "GET /api/jobs/{job_id}": Row(STAFF, "job"),
    "DELETE /api/jobs/{job_id}": Row(EDITORS, "job"),
    "GET /api/jobs/{job_id}/events": Row(STAFF, "job"),
    f"GET {CASE}/plans": Row(STAFF),
    f"GET {CASE}/plans/{{number}}": Row(STAFF),
    f"GET {CASE}/plans/{{number}}/report.html": Row(STAFF),
    f"GET {CASE}/plans/{{number}}/report.pdf": Row(STAFF),
    f"GET {CASE}/plans/{{number}}/fields": Row(STAFF),
    f"GET {CASE}/plans/{{number}}/fields/{{name}}": Row(STAFF),
    f"GET {CASE}/plans/{{number}}/dicom.zip": Row(STAFF),
    f"GET {CASE}/plans/{{number}}/fhir.json": Row(STAFF),
    f"GET {CASE}/compare": Row(STAFF, query="?a=1&b=1"),
    f"POST {CASE}/plans/{{number}}/approval": Row(CLINICIAN, json={"name": "someone else"}),
    f"GET {CASE}/stops": Row(STAFF),
    f"GET {CASE}/procedure": Row(HOLDERS),
    f"PUT {CASE}/procedure": Row(CLINICIAN, json={"value": {}}, headers=MATCH),
    f"GET {CASE}/procedure/sheet": Row(STAFF),
    f"GET {CASE}/outcome": Row(HOLDERS),
    f"PUT {CASE}/outcome": Row(WRITERS, json={"value": {}}, headers=MATCH),
    f"GET {CASE}/consent": Row(HOLDERS),
    f"PUT {CASE}/consent": Row(CLINICIAN, json={"value": {}}, headers=MATCH),
    "GET /api/users": Row(ADMINISTRATOR, "nothing"),
    "POST /api/users": Row(ADMINISTRATOR, "nothing", json={"name": "new", "role": "planner"}),
    "PUT /api/users/{user_id}/role": Row(ADMINISTRATOR, "nothing", json={"role": "planner"}),
    "PUT /api/users/{user_id}/disabled": Row(ADMINISTRATOR, "nothing", json={"disabled": True}),
    "PUT /api/users/{user_id}/password": Row(
        ADMINISTRATOR, "nothing", json={"password": "long enough for a password"}
    ),
    "GET /api/audit": Row(ADMINISTRATOR, "nothing"),
    "GET /api/audit/check": Row(ADMINISTRATOR, "nothing"),
    "GET /fhir/metadata": Row(EVERYBODY, "nothing"),
    "POST /fhir": Row(EDITORS, "nothing", body=BUNDLE),
    "GET /fhir/Patient/{id}/$everything": Row(HOLDERS, "patient"),
    "GET /fhir/{kind}": Row(HOLDERS, "nothing"),
    "POST /fhir/{kind}/_search": Row(HOLDERS, "nothing", body=b""),
    "GET /fhir/{kind}/{id}": Row(HOLDERS, "patient"),
    "GET /cds-services": Row(EVERYBODY, "nothing"),
    "POST /cds-services/{service}": Row(EVERYBODY, "nothing", body=b"{}"),
}
"""Method and path of each route: what it takes and who may use it on a case that is theirs."""


@dataclass
class House:
    """A server with people, a case of each kind, a plan and a job in each case."""

    server: Server
    clients: dict[str, httpx.Client]
    jobs: dict[str, str]
    patients: dict[str, str]
    described: dict[str, Any]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("matrix")
    ids = people(folder)
    jobs = _fill(folder, ids)
    with serving(folder, "--accounts") as server:
        clients = {role: server.login(role) for role in ROLES}
        clients["nobody"] = server.anonymous()
        stranger = server.login("stranger")
        patients = {
            "own": _patient(clients["clinician"]), "foreign": _patient(stranger), "missing": "nobody-at-all"
        }  # fmt: skip
        described = clients["clinician"].get("/openapi.json").json()
        yield House(server, clients, jobs, patients, described)
        for client in (*clients.values(), stranger):
            client.close()


def _patient(client: httpx.Client) -> str:
    bundle = client.get("/fhir/Patient").json()
    return str(bundle["entry"][0]["resource"]["id"])


def _fill(folder: Path, ids: dict[str, str]) -> dict[str, str]:
    """The clinician's case, shared with everybody but the stranger, and the stranger's; a job in each."""
    from neurolysis.workstation.jobs import JobBook, job_urls

    store = Store.open(None, folder)
    book = JobBook(job_urls(None, folder)[0])
    jobs = {"missing": "00000000-0000-4000-8000-000000000000"}
    for case_id, name in (("own", "clinician"), ("foreign", "stranger")):
        who = Principal(user_id=ids[name], name=name, role="clinician", mode="accounts", origin="test")
        made = store.create_case(who, store_kit.case(case_id), store_kit.files(folder / "in"))
        store.add_plan(who, case_id, 1, store_kit.record(made.case))
        jobs[case_id] = book.add("plan", case_id, ids[name], {}).id
        if case_id == "own":
            for role in ("planner", "registrar", "patient", "administrator"):
                store.share_case(who, case_id, ids[role])
    book.close()
    store.close()
    return jobs


def _operations(described: dict[str, Any]) -> list[str]:
    methods = ("get", "put", "post", "delete", "patch")
    return [f"{m.upper()} {path}" for path, item in described["paths"].items() for m in item if m in methods]


def _ask(house: House, operation: str, role: str, on: str) -> httpx.Response:
    """One request that is whole, on a case that is one's own, foreign or missing."""
    row = ROWS[operation]
    method, path = operation.split(" ", 1)
    for name, value in {
        "{case_id}": on, "{job_id}": house.jobs[on], "{number}": "1", "{name}": "temperature_c",
        "{kind}": "Patient" if "/fhir" in path else "x", "{user_id}": "nobody", "{id}": house.patients[on],
        "{service}": "none",
    }.items():  # fmt: skip
        path = path.replace(name, value)
    body = row.json if row.json is None else _filled(row.json, on)
    headers = {**row.headers, **({"content-type": "application/fhir+json"} if row.body is not None else {})}
    if "_search" in path:
        headers["content-type"] = "application/x-www-form-urlencoded"
    content = {"json": body} if row.body is None and row.files is None else {"content": row.body}
    if row.files is not None:
        content = {"files": row.files}
    client = house.clients[role]
    if operation.startswith("DELETE /api/session"):
        with house.server.anonymous() as other:  # the sessions of the others are still needed
            return other.request(method, path)
    return client.request(method, path + row.query, headers=headers, **content)


def _filled(data: Any, on: str) -> Any:
    if isinstance(data, dict):
        return {key: _filled(value, on) for key, value in data.items()}
    return on if data == "{id}" else data


def _says(answer: httpx.Response) -> str:
    return f"{answer.request.method} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}"


def test_every_route_has_a_row_and_every_row_a_route(house: House) -> None:
    assert set(_operations(house.described)) == set(ROWS)


def test_without_a_session_only_what_is_open_answers(house: House) -> None:
    for operation, row in ROWS.items():
        answer = _ask(house, operation, "nobody", "own")
        if row.open:
            assert answer.status_code < 500, _says(answer)
        else:
            assert answer.status_code == 401, _says(answer)


@pytest.mark.parametrize("role", ROLES)
def test_a_foreign_case_is_not_there(house: House, role: str) -> None:
    for on in ("foreign", "missing"):
        for operation, row in ROWS.items():
            if row.on != "nothing":
                answer = _ask(house, operation, role, on)
                assert answer.status_code == 404, _says(answer)


def test_foreign_and_missing_are_told_in_the_same_words(house: House) -> None:
    for operation, row in ROWS.items():
        if row.on == "nothing":
            continue
        texts = []
        for on in ("foreign", "missing"):
            answer = _ask(house, operation, "clinician", on)
            names = (on, house.jobs[on], house.patients[on])
            text = answer.text
            for name in names:
                text = text.replace(name, "*")
            texts.append(text)
        assert texts[0] == texts[1], operation


@pytest.mark.parametrize("role", ROLES)
def test_roles_that_may_not_are_refused(house: House, role: str) -> None:
    for operation, row in ROWS.items():
        if role in row.may:
            continue
        answer = _ask(house, operation, role, "own")
        # an administrator sees no patient's data: to that role cases do not exist
        refused = (404,) if role == "administrator" and row.on != "nothing" else (403,)
        assert answer.status_code in refused, _says(answer)


@pytest.mark.parametrize("role", ROLES)
def test_roles_that_may_are_let_in(house: House, role: str) -> None:
    last = (f"DELETE {CASE}", f"POST {CASE}/restore")  # the case goes into the trash and comes out again
    for operation in (*(one for one in ROWS if one not in last), *last):
        row = ROWS[operation]
        if role not in row.may:
            continue
        answer = _ask(house, operation, role, "own")
        signing_in = row.open and answer.status_code == 401
        assert answer.status_code not in (401, 403) or signing_in, _says(answer)
        assert answer.status_code < 500, _says(answer)
        if answer.status_code == 404 and row.on != "nothing":
            assert answer.json().get("error", {}).get("problem") not in ("no such case", "no such job"), (
                _says(answer)
            )
