"""The one shape of every error answer, and the headers every answer carries."""

from __future__ import annotations

import json
from typing import Any

from neurolysis import errors
from neurolysis.errors import NeurolysisError
from neurolysis.workstation.wire import Send

STATUS: dict[str, int] = {
    "NotFoundError": 404,
    "ForbiddenError": 403,
    "ConflictError": 409,
    "SignInError": 401,
    "RefusedError": 403,
    "TooLargeError": 413,
    "TooManyError": 429,
    "OutputError": 507,
    "BusyError": 503,
    "FailedError": 500,
}
"""HTTP status by type of error; any other error the user can cause is 422."""

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
DOCUMENT_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-modals allow-popups"
)
"""For pages the program writes (reports, forms): drawn with inline styles, and no script ever runs."""


class SignInError(NeurolysisError):
    """Nobody is signed in, or the password, link or token is wrong."""


class TooLargeError(NeurolysisError):
    """A request is larger than this server accepts."""


class TooManyError(NeurolysisError):
    """Requests come faster than this server answers them."""


class RefusedError(NeurolysisError):
    """The request comes from a place that may not ask: another host name or another web site."""


class FailedError(NeurolysisError):
    """The program failed in a way nobody foresaw."""


class BusyError(NeurolysisError):
    """The computation was given up: it took too long, or its process ended."""


def status_of(error: NeurolysisError) -> int:
    """The HTTP status of an error; a subclass without a status of its own takes its parent's."""
    for kind in type(error).__mro__:
        if kind.__name__ in STATUS:
            return STATUS[kind.__name__]
    return 422


def error_body(error: NeurolysisError) -> dict[str, Any]:
    """``{"error": {...}}`` with the version that stands where the error is a conflict."""
    body: dict[str, Any] = dict(error.as_dict())
    if isinstance(error, errors.ConflictError) and error.current is not None:
        body["version"] = error.current
    return {"error": body}


async def send_error(send: Send, error: NeurolysisError, extra: dict[str, str] | None = None) -> None:
    """Answer an error below the framework."""
    content = json.dumps(error_body(error), ensure_ascii=False).encode()
    headers = {"content-type": "application/json", "content-length": str(len(content)), **(extra or {})}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status_of(error), "headers": pairs})
    await send({"type": "http.response.body", "body": content})


def common_headers(secure: bool) -> dict[str, str]:
    """Headers every answer carries unless it says otherwise itself."""
    headers = {
        "content-security-policy": PAGE_POLICY,
        "x-content-type-options": "nosniff",
        "x-frame-options": "SAMEORIGIN",
        "referrer-policy": "no-referrer",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
        "cache-control": "no-store",
    }
    if secure:
        headers["strict-transport-security"] = "max-age=31536000"
    return headers
