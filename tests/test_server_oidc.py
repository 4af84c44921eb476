"""Single sign-on against a real provider on this machine, which signs with its own key."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import RSAKey

from .server_kit import Server, serving

CLIENT = "station"


class Provider:
    """An OpenID Connect provider; what it says can be bent by a test."""

    def __init__(self) -> None:
        self.key = RSAKey.generate_key(2048, {"kid": "one", "use": "sig", "alg": "RS256"})
        self.claims: dict[str, Any] = {}
        self.signing = self.key
        self.codes: dict[str, dict[str, str]] = {}
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.issuer = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                split = urlsplit(self.path)
                if split.path == "/.well-known/openid-configuration":
                    self._json(provider.about())
                elif split.path == "/keys":
                    self._json({"keys": [provider.key.as_dict(private=False)]})
                else:
                    self._redirect(provider.authorize(dict(parse_qs(split.query))))

            def do_POST(self) -> None:
                form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                status, answer = provider.token({name: values[0] for name, values in form.items()})
                self._json(answer, status)

            def _json(self, data: Any, status: int = 200) -> None:
                body = json.dumps(data).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def _redirect(self, address: str) -> None:
                self.send_response(302)
                self.send_header("location", address)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *arguments: Any) -> None:
                """Nothing."""

        return Handler

    def about(self) -> dict[str, str]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
        }

    def authorize(self, query: dict[str, list[str]]) -> str:
        """Everybody is signed in at once."""
        asked = {name: values[0] for name, values in query.items()}
        assert asked["code_challenge_method"] == "S256"
        code = f"code-{len(self.codes)}"
        self.codes[code] = asked
        return asked["redirect_uri"] + "?" + urlencode({"code": code, "state": asked["state"]})

    def token(self, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        """A token for a code, if the verifier is the one of the challenge."""
        import base64
        import hashlib

        asked = self.codes.pop(form.get("code", ""), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if asked is None or base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != asked["code_challenge"]:
            return 400, {"error": "invalid_grant"}
        now = int(time.time())
        claims = {
            "iss": self.issuer, "aud": CLIENT, "sub": "ada", "nonce": asked["nonce"], "iat": now,
            "exp": now + 300, **self.claims,
        }  # fmt: skip
        token = jwt.encode({"alg": "RS256", "kid": "one"}, claims, self.signing)
        return 200, {"access_token": "x", "token_type": "Bearer", "id_token": token}


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    found = Provider()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def server(provider: Provider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    from neurolysis.records.store import Store, local_principal

    folder: Path = tmp_path_factory.mktemp("oidc")
    store = Store.open(None, folder)
    store.add_user(local_principal(), "Ada", "planner", identity=f"{provider.issuer}|ada")
    store.close()
    options = ("--accounts", "--oidc-issuer", provider.issuer, "--oidc-client", CLIENT)
    with serving(folder, *options) as running:
        yield running


@pytest.fixture(autouse=True)
def honest(provider: Provider) -> None:
    provider.claims, provider.signing = {}, provider.key


def signed_in(server: Server) -> httpx.Response:
    """The end of a sign-in as a browser goes through it."""
    with server.anonymous() as client:
        return _walk(client)


def _walk(client: httpx.Client) -> httpx.Response:
    begun = client.get("/api/oidc/login")
    assert begun.status_code == 302, begun.text
    back = httpx.get(begun.headers["location"]).headers["location"]
    return client.get(back)


def test_who_the_provider_vouches_for_is_let_in(server: Server) -> None:
    with server.anonymous() as client:
        assert client.get("/api/session").json()["sign_on"] == "single sign-on"
        end = _walk(client)
        assert (end.status_code, end.headers["location"]) == (302, "/")
        me = client.get("/api/session").json()
        assert (me["user"], me["role"], me["mode"]) == ("Ada", "planner", "accounts")


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "mallory"},
        {"aud": "another"},
        {"iss": "http://127.0.0.1:1"},
        {"exp": 1},
        {"nonce": "of another sign-in"},
    ],
)
def test_a_word_that_is_not_good_is_refused(
    server: Server, provider: Provider, claims: dict[str, Any]
) -> None:
    provider.claims = claims
    end = signed_in(server)
    assert end.status_code == 401
    assert "set-cookie" not in end.headers


def test_another_key_is_refused(server: Server, provider: Provider) -> None:
    provider.signing = RSAKey.generate_key(2048, {"kid": "one"})
    assert signed_in(server).status_code == 401


def test_the_answer_belongs_to_the_browser_that_asked(server: Server) -> None:
    with server.anonymous() as attacker, server.anonymous() as victim:
        back = httpx.get(attacker.get("/api/oidc/login").headers["location"]).headers["location"]
        assert victim.get(back).status_code == 401
        assert victim.get("/api/session").json()["user"] is None


def test_an_answer_is_good_once(server: Server) -> None:
    with server.anonymous() as client:
        back = httpx.get(client.get("/api/oidc/login").headers["location"]).headers["location"]
        assert client.get(back).status_code == 302
        assert client.get(back).status_code == 401


@pytest.mark.parametrize("query", ["", "?error=access_denied", "?code=x", "?code=x&state=y"])
def test_rubbish_is_refused(server: Server, query: str) -> None:
    with server.anonymous() as client:
        assert client.get(f"/api/oidc/callback{query}").status_code == 401


def test_a_server_without_a_provider_says_so(tmp_path: Path) -> None:
    with serving(tmp_path) as plain, plain.anonymous() as client:
        assert client.get("/api/oidc/login").status_code == 404
