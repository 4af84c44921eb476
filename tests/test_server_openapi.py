"""The published interface against the server itself: whatever is sent, no request makes the program fail."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .server_kit import Server, serving, small_case

SKIPPED = ("/api/session", "/api/oidc")
"""Signing out in the middle would end the test's own session."""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, httpx.Client]]:
    with serving(tmp_path_factory.mktemp("openapi")) as server:
        client = server.client()
        client.post("/api/cases", json={"case": small_case("known")})
        yield server, client
        client.close()


def test_every_route_says_what_it_does_and_how_it_fails(house: tuple[Server, httpx.Client]) -> None:
    _, client = house
    document = client.get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["session"]["in"] == "cookie"
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert operation.get("description"), f"{method} {path} says nothing"
            if path.startswith("/api/"):
                assert "422" in operation["responses"], f"{method} {path}"
                assert "404" in operation["responses"], f"{method} {path}"


EXAMPLES = int(os.environ.get("NEUROLYSIS_TEST_EXAMPLES", "200"))
"""Of schemathesis for each operation, in the long run."""


def _no_server_error(house: tuple[Server, httpx.Client], examples: int) -> dict[str, int]:
    """Requests made from the published interface; the codes of the answers, counted."""
    import schemathesis
    from hypothesis import HealthCheck, Phase, given, settings

    server, client = house
    schema = schemathesis.openapi.from_dict(_asked(client.get("/openapi.json").json()))
    codes: dict[str, int] = {}
    (cookie,) = client.cookies.jar
    for result in schema.get_all_operations():
        operation: Any = result.ok()

        @settings(max_examples=examples, deadline=None, database=None, phases=[Phase.generate],
                  suppress_health_check=list(HealthCheck))  # fmt: skip
        @given(case=operation.as_strategy())
        def send(case: Any) -> None:
            answer = case.call(base_url=server.url, cookies={cookie.name: cookie.value}, timeout=60)
            codes[str(answer.status_code)] = codes.get(str(answer.status_code), 0) + 1
            assert answer.status_code < 500, f"{case.as_curl_command()}: {answer.text[:300]}"
            assert answer.status_code != 401, "the session was lost"

        send()
    return codes


def _asked(document: dict[str, Any]) -> dict[str, Any]:
    paths = {path: item for path, item in document["paths"].items() if not path.startswith(SKIPPED)}
    return {**document, "paths": paths}


def test_whatever_is_sent_the_program_does_not_fail(house: tuple[Server, httpx.Client]) -> None:
    codes = _no_server_error(house, examples=2)
    assert sum(codes.values()) > 100
    assert "200" in codes


@pytest.mark.verify
def test_much_is_sent_and_the_program_does_not_fail(house: tuple[Server, httpx.Client]) -> None:
    _no_server_error(house, examples=EXAMPLES)
