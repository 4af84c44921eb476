"""The gate of the server: host, origin, launch link, cookie, headers, sizes, rates, who may listen where."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurolysis.errors import InputError
from neurolysis.quantity import parse
from neurolysis.workstation.guard import Guard
from neurolysis.workstation.rates import Rates
from neurolysis.workstation.sessions import LaunchToken
from neurolysis.workstation.settings import Settings, is_loopback

from .server_kit import ROOT, Server, people, serving, small_case


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with serving(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture(scope="module")
def client(server: Server) -> Iterator[httpx.Client]:
    found = server.client()
    yield found
    found.close()


def problem(answer: httpx.Response) -> dict[str, str]:
    """The error of an answer, which has the one shape."""
    body = answer.json()
    assert set(body) == {"error"}
    assert {"type", "problem", "where", "found", "allowed"} <= set(body["error"])
    found: dict[str, str] = body["error"]
    return found


# ---------------------------------------------------------------- signing in


def test_without_a_session_nothing_is_told(server: Server, client: httpx.Client) -> None:
    with server.anonymous() as nobody:
        assert problem(nobody.get("/api/cases"))["type"] == "SignInError"
        assert nobody.get("/openapi.json").status_code == 401
        assert nobody.get("/api/health").json()["status"] == "ok"
        assert nobody.get("/api/session").json()["user"] is None


def test_the_launch_link_opens_one_session(server: Server, client: httpx.Client) -> None:
    with server.anonymous() as second:
        answer = second.post("/api/session", json={"token": server.token})
        assert answer.status_code == 401
        assert "set-cookie" not in answer.headers


def test_the_cookie_is_hidden_from_scripts_and_other_sites(tmp_path: Path) -> None:
    with serving(tmp_path) as own, own.anonymous() as client:
        answer = client.post("/api/session", json={"token": own.token})
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=strict" in cookie
        assert answer.json()["mode"] == "single-user"
        stored = b"".join(file.read_bytes() for file in tmp_path.glob("store.sqlite*"))
        secret = cookie.split("=", 1)[1].split(";")[0]
        assert secret.encode() not in stored, "the store keeps only a hash"
        assert client.get("/api/cases").status_code == 200
        client.delete("/api/session")
        client.cookies.set(f"neurolysis-{own.port}", secret)
        assert client.get("/api/cases").status_code == 401, "the session has ended on the server"
        assert own.stop() == 0


def test_a_session_of_the_other_mode_is_worth_nothing(tmp_path: Path) -> None:
    """The one user of a store may do everything: once there are accounts, that session opens nothing."""
    people(tmp_path)
    with serving(tmp_path) as own:
        client = own.client()
        (secret,) = [cookie.value for cookie in client.cookies.jar]
        client.close()
        own.stop()
    with serving(tmp_path, "--accounts") as guarded, guarded.anonymous() as client:
        client.cookies.set(f"neurolysis-{guarded.port}", secret or "")
        assert client.get("/api/cases").status_code == 401
        assert client.get("/api/audit").status_code == 401
        assert client.get("/api/session").json()["user"] is None


def test_guessing_the_link_is_slowed_down(tmp_path: Path) -> None:
    with serving(tmp_path) as own, own.anonymous() as client:
        codes = [client.post("/api/session", json={"token": f"guess {n}"}).status_code for n in range(14)]
        assert codes[0] == 401
        assert codes[-1] == 429
        assert "token" not in "".join(own.log)


def test_a_token_is_good_once() -> None:
    token = LaunchToken()
    assert not token.use("other")
    assert token.use(token.text)
    assert not token.use(token.text)


# ---------------------------------------------------------------- where a request comes from


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "localhost:1", "127.0.0.1.evil.example:{port}", ""]
)
def test_another_host_name_is_refused(server: Server, client: httpx.Client, host: str) -> None:
    answer = client.get("/api/cases", headers={"host": host.format(port=server.port)})
    assert answer.status_code in (400, 403)


def test_own_names_are_answered(server: Server, client: httpx.Client) -> None:
    for name in (f"localhost:{server.port}", f"127.0.0.1:{server.port}", f"LOCALHOST:{server.port}"):
        assert client.get("/api/health", headers={"host": name}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:1"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
def test_another_site_can_change_nothing(client: httpx.Client, headers: dict[str, str]) -> None:
    before = client.get("/api/cases").json()["total"]
    answer = client.post("/api/cases", json={"case": small_case("forged")}, headers=headers)
    assert answer.status_code == 403
    assert problem(answer)["type"] == "RefusedError"
    assert client.get("/api/cases").json()["total"] == before


def test_another_site_can_read_nothing_but_the_page(client: httpx.Client) -> None:
    cross = {"sec-fetch-site": "cross-site"}
    assert client.get("/api/cases", headers=cross).status_code == 403
    assert client.get("/", headers=cross).status_code == 200
    preflight = client.options(
        "/api/cases", headers={"origin": "https://evil.example", "access-control-request-method": "GET"}
    )
    assert "access-control-allow-origin" not in preflight.headers


def test_own_origin_may_write(server: Server, client: httpx.Client) -> None:
    headers = {"origin": server.url, "sec-fetch-site": "same-origin"}
    assert client.post("/api/cases", json={"case": small_case("own")}, headers=headers).status_code == 201


def test_a_form_of_another_type_is_no_json(client: httpx.Client) -> None:
    body = b'{"case": {"id": "form", "patient": {"id": "p"}}}'
    answer = client.post("/api/cases", content=body, headers={"content-type": "text/plain"})
    assert answer.status_code == 422


# ---------------------------------------------------------------- headers


@pytest.mark.parametrize("path", ["/", "/api/health", "/api/cases", "/api/nothing", "/static/nothing.js"])
def test_every_answer_is_guarded(client: httpx.Client, path: str) -> None:
    headers = client.get(path).headers
    assert headers["content-security-policy"].startswith("default-src 'self'")
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


def test_answers_about_patients_are_not_kept_by_browsers(client: httpx.Client) -> None:
    assert client.get("/api/cases").headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    "name", ["../settings.py", "%2e%2e/settings.py", "..%2fsettings.py", "a%00b", "/etc/passwd"]
)
def test_static_files_stay_in_their_folder(client: httpx.Client, name: str) -> None:
    answer = client.get(f"/static/{name}")
    assert answer.status_code == 404


# ---------------------------------------------------------------- sizes


def test_a_declared_size_is_refused_before_it_is_sent(server: Server) -> None:
    for declared in (str(4 * 2**30), "1e3", "+5"):
        head = (
            f"POST /api/cases HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {declared}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(head.encode())
            answer = connection.recv(100).decode()
        assert answer.startswith(("HTTP/1.1 413", "HTTP/1.1 400")), answer


def test_a_body_without_a_size_is_counted(client: httpx.Client) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(20):
            yield b" " * 2**20

    # Only the head is read: the server hangs up on the rest, which may cut its own answer short.
    kind = {"content-type": "application/json"}
    with client.stream("POST", "/api/cases", content=endless(), headers=kind) as answer:
        assert answer.status_code == 413
    assert client.get("/api/health").status_code == 200


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b"nonsense", b"\xff\xfe", b"NaN", b""])
def test_what_is_no_json_is_an_error_with_a_place(client: httpx.Client, body: bytes) -> None:
    answer = client.post("/api/cases", content=body, headers={"content-type": "application/json"})
    assert answer.status_code in (400, 422)
    problem(answer)


def test_an_error_never_repeats_a_password(client: httpx.Client) -> None:
    answer = client.post("/api/session", json={"name": "x", "password": ["secret-canary"]})
    assert answer.status_code == 422
    assert "secret-canary" not in answer.text


# ---------------------------------------------------------------- rates


def test_a_bucket_lets_through_what_fits_and_fills_again() -> None:
    now = 0.0
    rates = Rates(2.0, 3, clock=lambda: now)
    assert [rates.wait_seconds("a") for _ in range(3)] == [0, 0, 0]
    assert rates.wait_seconds("a") == pytest.approx(0.5)
    assert rates.wait_seconds("b") == 0, "each client has its own"
    now = 0.5
    assert rates.wait_seconds("a") == 0
    assert rates.wait_seconds("a") > 0


@given(st.lists(st.floats(min_value=0, max_value=2), min_size=1, max_size=60))
def test_never_more_than_the_rate_allows(gaps: list[float]) -> None:
    now, passed = 0.0, 0

    def clock() -> float:
        return now

    rates = Rates(1.5, 4, clock=clock)
    for gap in gaps:
        now += gap
        passed += rates.wait_seconds("x") == 0
    assert passed <= 4 + 1.5 * sum(gaps) + 1e-6


def test_the_gate_refuses_who_asks_too_fast() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    told = {"port": 80, "limits": {"requests_per_second": 0.001, "requests_at_once": 3}}
    guard = Guard(app, parse(Settings, told, "test"), "session")

    async def ask() -> list[int]:
        transport = httpx.ASGITransport(app=guard)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return [(await client.get("/x", headers={"cookie": "session=one"})).status_code for _ in range(5)]

    assert asyncio.run(ask()) == [204, 204, 204, 429, 429]


# ---------------------------------------------------------------- who may listen where


def _serve(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "neurolysis", "serve", "--port", "0", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)


def test_other_machines_need_accounts(tmp_path: Path) -> None:
    done = _serve("--store", str(tmp_path), "--host", "0.0.0.0")  # noqa: S104 (it is refused)
    assert done.returncode == 2
    assert "accounts" in done.stderr
    assert not list(tmp_path.iterdir()), "nothing was made"


def test_other_machines_need_encryption() -> None:
    with pytest.raises(InputError, match="https"):
        parse(Settings, {"host": "192.0.2.1", "accounts": True}, "serve")
    found = parse(
        Settings, {"host": "192.0.2.1", "accounts": True, "public_url": "https://station.example"}, "serve"
    )
    assert found.secure
    assert found.origins() == {"https://station.example"}


def test_accounts_need_a_user(tmp_path: Path) -> None:
    done = _serve("--store", str(tmp_path), "--accounts")
    assert done.returncode == 2
    assert "user add" in done.stderr


def test_one_store_has_one_server(server: Server) -> None:
    done = _serve("--store", str(server.folder))
    assert done.returncode == 2
    assert "another server" in done.stderr


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False),  # noqa: S104
     ("::", False), ("192.168.1.2", False), ("example.org", False), ("", False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(host: str, own: bool) -> None:
    assert is_loopback(host) is own


# ---------------------------------------------------------------- what is logged


def test_the_log_tells_nothing_of_a_patient(server: Server, client: httpx.Client) -> None:
    canary = "canary-patient-4711"
    client.post("/api/cases", json={"case": small_case("logged", complaint=canary, patient={"id": canary})})
    client.get(f"/api/cases?query={canary}")
    client.put(
        "/api/cases/logged", json={"case": {"id": "logged", "patient": canary}}, headers={"if-match": "1"}
    )
    client.get(f"/api/cases/{canary}")
    log = "".join(server.log)
    assert "/api/cases/{case_id}" in log
    assert canary not in log
    assert server.token not in log
