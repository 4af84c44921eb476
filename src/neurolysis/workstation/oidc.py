"""Single sign-on by OpenID Connect: authorization code with PKCE, the answer bound to this browser."""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from neurolysis.workstation.replies import BusyError, SignInError
from neurolysis.workstation.settings import Oidc

MINUTES = 10
MOST_PENDING = 1000
ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "ES256", "ES384", "EdDSA"]
LEEWAY_S = 60


@dataclass(frozen=True)
class Pending:
    """A sign-in that has begun."""

    nonce: str
    verifier: str
    began: float


class Provider:
    """One OpenID Connect provider.

    Args:
        told: issuer, client id and secret.
        redirect: the address people come back to; the provider must know it.
    """

    def __init__(self, told: Oidc, redirect: str) -> None:
        self._told = told
        self._redirect = redirect
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, Pending] = OrderedDict()

    @property
    def issuer(self) -> str:
        """Who vouches for people."""
        return self._told.issuer

    def begin(self) -> tuple[str, str]:
        """(address to send the browser to, state to bind to it).

        Raises:
            BusyError: the provider does not answer.
        """
        state, pending = (
            secrets.token_urlsafe(32),
            Pending(secrets.token_urlsafe(32), secrets.token_urlsafe(48), time.monotonic()),
        )
        with self._lock:
            self._pending[state] = pending
            while len(self._pending) > MOST_PENDING:
                self._pending.popitem(last=False)
        with self._client() as client:
            address, _ = client.create_authorization_url(
                self._about()["authorization_endpoint"],
                state=state,
                code_verifier=pending.verifier,
                nonce=pending.nonce,
            )
        return str(address), state

    def end(self, state: str, bound: str, code: str) -> str:
        """The subject the provider vouches for.

        Args:
            state: as the provider gave it back; bound: as this browser kept it.

        Raises:
            SignInError: another browser began it, it is too old, or the provider's word is not good.
            BusyError: the provider does not answer.
        """
        with self._lock:
            pending = self._pending.pop(state, None)
        same = secrets.compare_digest(state.encode(), bound.encode())
        if pending is None or not same or time.monotonic() - pending.began > 60 * MINUTES:
            raise SignInError("this sign-in was not begun here, or is too old: begin again")
        about = self._about()
        token = self._token(about, code, pending)
        return self._subject(token, about, pending)

    def _token(self, about: dict[str, Any], code: str, pending: Pending) -> str:
        from authlib.common.errors import AuthlibBaseError  # type: ignore[import-untyped]
        from httpx import HTTPError

        try:
            with self._client() as client:
                answer = client.fetch_token(
                    about["token_endpoint"], code=code, code_verifier=pending.verifier,
                    grant_type="authorization_code",
                )  # fmt: skip
        except AuthlibBaseError as error:
            raise SignInError("the provider refused this sign-in") from error
        except HTTPError as error:
            raise BusyError("the provider does not answer", where=self.issuer) from error
        return str(answer.get("id_token", ""))

    def _subject(self, token: str, about: dict[str, Any], pending: Pending) -> str:
        from joserfc import jwt
        from joserfc.errors import JoseError
        from joserfc.jwk import KeySet

        rules = jwt.JWTClaimsRegistry(
            leeway=LEEWAY_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self._told.client_id},
            exp={"essential": True},
            nonce={"essential": True, "value": pending.nonce},
            sub={"essential": True},
        )
        try:
            known: Any = self._fetched(about["jwks_uri"])
            keys = KeySet.import_key_set(known)
            found = jwt.decode(token, keys, algorithms=ALGORITHMS)
            rules.validate(found.claims)
        except (JoseError, ValueError, KeyError) as error:
            raise SignInError("the provider's word is not good", found=type(error).__name__) from error
        return str(found.claims["sub"])

    def _about(self) -> dict[str, Any]:
        """The provider's own description, which must be of the issuer that was asked for."""
        found = self._fetched(f"{self.issuer.rstrip('/')}/.well-known/openid-configuration")
        if found.get("issuer") != self.issuer:
            raise SignInError(
                "the provider calls itself by another name", found=str(found.get("issuer"))[:200]
            )
        return found

    def _fetched(self, address: str) -> dict[str, Any]:
        import httpx

        try:
            answer = httpx.get(address, timeout=10, follow_redirects=False)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise BusyError("the provider does not answer", where=self.issuer) from error
        return found

    def _client(self) -> Any:
        from authlib.integrations.httpx_client import OAuth2Client  # type: ignore[import-untyped]

        return OAuth2Client(
            client_id=self._told.client_id,
            client_secret=self._told.client_secret or None,
            scope="openid",
            redirect_uri=self._redirect,
            code_challenge_method="S256",
            timeout=10,
        )
