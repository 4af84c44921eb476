"""What a server is told at its start: where it listens, where it keeps things, and its limits."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import Field, model_validator

from neurolysis.quantity import Value

MIB = 2**20


class Oidc(Value):
    """An OpenID Connect provider; the secret is read from the environment, never from a file here."""

    issuer: str = Field(pattern=r"^https?://")
    client_id: str = Field(min_length=1)
    client_secret: str = Field(default="", repr=False)
    title: str = "single sign-on"


class Limits(Value):
    """Sizes and rates that a request may not pass."""

    body_bytes: int = Field(default=8 * MIB, gt=0)
    upload_bytes: int = Field(default=2048 * MIB, gt=0)
    requests_per_second: float = Field(default=60.0, gt=0, description="for each session or address")
    requests_at_once: int = Field(default=400, gt=0, description="how many may come in one burst")
    logins_per_minute: float = Field(default=6.0, gt=0, description="for each address")
    logins_at_once: int = Field(default=10, gt=0)
    compute_seconds: float = Field(default=180.0, gt=0)


class Settings(Value):
    """One server.

    ``accounts`` asks everybody for a name and a password (or single sign-on); without it the one user of
    this machine enters by the launch link. ``public_url`` is the address people type when it differs from
    the one that is listened on (a proxy that speaks HTTPS).
    """

    host: str = "127.0.0.1"
    port: int = Field(default=8717, ge=0, le=65535)
    database_url: str | None = Field(default=None, repr=False)
    folder: Path | None = None
    accounts: bool = False
    public_url: str | None = Field(default=None, pattern=r"^https?://[^/]+$")
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    workers: int = Field(default=1, ge=0, le=256)
    compute: int = Field(default=1, ge=1, le=64)
    session_hours: float = Field(default=12.0, gt=0, le=24 * 31)
    oidc: Oidc | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _safe_to_open(self) -> Self:
        if is_loopback(self.host):
            return self
        if not self.accounts:
            raise ValueError(
                f"listening on {self.host} lets other machines in: accounts are needed then (--accounts)"
            )
        if not (self.public_url or "").startswith("https://"):
            raise ValueError(
                f"listening on {self.host} would send passwords in clear text: give the https address that "
                "people type (--public-url), with a certificate (--tls-certificate, --tls-key) or a proxy"
            )
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers reach this server by HTTPS."""
        return self.tls_certificate is not None or (self.public_url or "").startswith("https://")

    def origins(self) -> frozenset[str]:
        """The origins (scheme, host, port) this server answers as."""
        if self.public_url:
            return frozenset({self.public_url.rstrip("/")})
        scheme = "https" if self.tls_certificate else "http"
        names = {"127.0.0.1", "localhost", "[::1]", f"[{self.host}]" if ":" in self.host else self.host}
        plain = {f"{scheme}://{name}" for name in names} if self.port in (80, 443) else set()
        return frozenset({f"{scheme}://{name}:{self.port}" for name in names} | plain)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
