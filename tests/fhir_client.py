"""The facade's routes over a real store, with the person who asks named in a header instead of a cookie."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI, Request

from neurolysis.records.store import Principal, Store
from neurolysis.records.store.values import Role
from neurolysis.workstation import depends
from neurolysis.workstation.routes import cds, fhir
from neurolysis.workstation.server import _errors

from .fhir_records import FOLDERS
from .fhir_records import record as example_record
from .store_kit import enrol

PEOPLE: dict[str, Role] = {
    "ana": "clinician",
    "ben": "clinician",
    "pia": "planner",
    "rob": "registrar",
    "eve": "patient",
    "ada": "administrator",
}


def person(name: str) -> Principal:
    """One of the people of the tests."""
    return Principal(user_id=f"id-{name}", name=name, role=PEOPLE[name], mode="accounts", origin="127.0.0.1")


class Facade:
    """The facade as one person sees it."""

    def __init__(self, client: httpx.Client, name: str) -> None:
        self.client, self._name = client, name
        self.base = str(client.base_url).rstrip("/")

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        """The answer as it comes."""
        headers = {"x-person": self._name, **more.pop("headers", {})}
        answer: httpx.Response = self.client.request(method, path, headers=headers, **more)
        return answer

    def get(self, path: str, status: int = 200) -> Any:
        """The body of an answer with this status; an error is an OperationOutcome."""
        answer = self.send("GET", path)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/fhir+json"
        body = answer.json()
        assert (body["resourceType"] == "OperationOutcome") == (status >= 400)
        return body

    def found(self, path: str) -> list[Any]:
        """The resources of a search."""
        return [entry["resource"] for entry in self.get(path).get("entry", [])]


@contextmanager
def facade(folder: Path) -> Iterator[tuple[Store, httpx.Client]]:
    """A store in a folder, and a client of the routes over it."""
    store = Store.open(None, folder)
    enrol(store, *map(person, PEOPLE))
    app = FastAPI()
    app.include_router(fhir.router)
    app.include_router(cds.router)
    _errors(app)
    app.dependency_overrides[depends.principal] = _named
    app.dependency_overrides[depends._store] = lambda: store
    with (
        contextlib.closing(store),
        _listening(app) as port,
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client,
    ):
        yield store, client


@contextmanager
def _listening(app: FastAPI) -> Iterator[int]:
    """A real server in a thread; its port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", lifespan="off", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive(), "the server did not start"
            time.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def _named(request: Request) -> Principal:
    return person(request.headers["x-person"])


def fill(store: Store, name: str, *examples: str) -> None:
    """Cases of a person, from the examples, with what was seen afterwards."""
    who = person(name)
    for folder in FOLDERS:
        if folder.name in examples and folder.parent.name == "examples":
            found = example_record(folder, room=folder.name == "knee")
            store.create_case(who, found.case)
            if found.outcome is not None:
                store.save_document(who, found.case.id, "outcome", found.outcome, 0)
            if found.procedure is not None:
                store.save_document(who, found.case.id, "procedure", found.procedure, 0)
            if found.consent is not None:
                store.save_document(who, found.case.id, "consent", found.consent, 0)
