"""The gate in front of every route: host, origin, rate, size, headers, one log line."""

from __future__ import annotations

import logging
import time
import traceback
from pathlib import Path
from urllib.parse import urlsplit

from neurolysis.workstation.rates import Rates
from neurolysis.workstation.replies import (
    FailedError,
    RefusedError,
    TooLargeError,
    TooManyError,
    common_headers,
    send_error,
)
from neurolysis.workstation.settings import Settings
from neurolysis.workstation.wire import App, Message, Receive, Scope, Send, header

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
UPLOADS = ("/api/cases/import",)
OPEN_TO_LINKS = ("/", "/static/", "/favicon.ico", "/api/oidc/callback")
"""What a link on another site may open; nothing there answers with a patient's data."""

SHARED = 20
"""Sessions that one address may have before its own limit is felt."""

log = logging.getLogger("neurolysis.workstation")


class Guard:
    """Wraps the application; refuses before any route runs."""

    def __init__(self, app: App, settings: Settings, cookie: str) -> None:
        self.app = app
        self.settings = settings
        self.cookie = cookie
        self.origins = settings.origins()
        self.hosts = {urlsplit(origin).netloc for origin in self.origins}
        self.headers = common_headers(settings.secure)
        limits = settings.limits
        self.sessions = Rates(limits.requests_per_second, limits.requests_at_once)
        self.addresses = Rates(SHARED * limits.requests_per_second, SHARED * limits.requests_at_once)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        answer = _Answer(send, self.headers)
        started = time.perf_counter()
        try:
            await self._guarded(scope, receive, answer)
        except Exception as error:
            _log_place(error)
            if not answer.status:
                await send_error(answer, FailedError("the program failed; nothing was written"))
        finally:
            _log(scope, answer.status, time.perf_counter() - started)

    async def _guarded(self, scope: Scope, receive: Receive, answer: _Answer) -> None:
        problem = self._refusal(scope)
        if problem is not None:
            await send_error(answer, problem)
            return
        wait = self._wait_seconds(scope)
        if wait > 0:
            too_many = TooManyError("too many requests", allowed=f"again in {wait:.0f} s")
            await send_error(answer, too_many, {"retry-after": f"{max(wait, 1):.0f}"})
            return
        await _Sized(self.app, self._most_bytes(scope))(scope, receive, answer)

    def _refusal(self, scope: Scope) -> RefusedError | None:
        host = header(scope, "host").casefold()
        if host not in self.hosts:
            return RefusedError("this server does not answer by that name", where="Host", found=host[:100])
        origin = header(scope, "origin")
        if scope["method"] not in SAFE and origin and origin not in self.origins:
            return RefusedError(
                "requests from another web site are refused", where="Origin", found=origin[:100]
            )
        site = header(scope, "sec-fetch-site")
        if site in ("cross-site", "same-site") and not self._linkable(scope):
            return RefusedError(
                "requests from another web site are refused", where="Sec-Fetch-Site", found=site
            )
        return None

    def _linkable(self, scope: Scope) -> bool:
        path = scope["path"]
        opened = any(
            path == one or (one.endswith("/") and one != "/" and path.startswith(one))
            for one in OPEN_TO_LINKS
        )
        return scope["method"] in SAFE and opened

    def _wait_seconds(self, scope: Scope) -> float:
        """Counts for the address, which many sessions may share, and for the session that is claimed."""
        client = scope.get("client")
        wait = self.addresses.wait_seconds(client[0] if client else "unknown")
        for part in header(scope, "cookie").split(";"):
            name, _, value = part.strip().partition("=")
            if name == self.cookie:
                wait = max(wait, self.sessions.wait_seconds(value[:64]))
        return wait

    def _most_bytes(self, scope: Scope) -> int:
        limits = self.settings.limits
        return limits.upload_bytes if scope["path"] in UPLOADS else limits.body_bytes


class _Answer:
    """Passes messages on, with the common headers, and remembers the status."""

    def __init__(self, send: Send, headers: dict[str, str]) -> None:
        self.send = send
        self.headers = headers
        self.status = 0

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            own = list(message.get("headers", []))
            named = {name.lower() for name, _ in own}
            more = [(n.encode(), v.encode()) for n, v in self.headers.items() if n.encode() not in named]
            message = {**message, "headers": [*own, *more]}
        await self.send(message)


class _Sized:
    """Ends a request whose body is larger than allowed, declared or not."""

    def __init__(self, app: App, most: int) -> None:
        self.app = app
        self.most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        declared = header(scope, "content-length")
        if declared and (not declared.isdecimal() or int(declared) > self.most):
            await send_error(send, self._error(declared), {"connection": "close"})
            return
        read, too_large, refused = 0, False, False

        async def counted() -> Message:
            nonlocal read, too_large
            message = await receive()
            read += len(message.get("body", b""))
            if read > self.most:
                too_large = True
                return {"type": "http.disconnect"}
            return message

        async def replaced(message: Message) -> None:
            nonlocal refused
            if too_large and not refused:
                refused = True
                await send_error(send, self._error(f"over {self.most}"), {"connection": "close"})
            if not too_large:
                await send(message)

        await self.app(scope, counted, replaced)
        if too_large and not refused:
            await send_error(send, self._error(f"over {self.most}"), {"connection": "close"})

    def _error(self, found: str) -> TooLargeError:
        return TooLargeError(
            "the request is too large",
            where="body",
            found=f"{found[:40]} bytes",
            allowed=f"{self.most} bytes",
        )


def _log_place(error: Exception) -> None:
    """Where the program failed; never the message, which may hold what a patient's record says."""
    places = [f"{Path(one.filename).name}:{one.lineno}" for one in traceback.extract_tb(error.__traceback__)]
    log.error("unexpected %s at %s", type(error).__name__, " > ".join(places[-12:]))


def _log(scope: Scope, status: int, seconds: float) -> None:
    """Method, the route's pattern (never its values), status and time: nothing of a patient."""
    route = getattr(scope.get("route"), "path", "(no route)")
    log.info("%s %s %d %.0f ms", scope["method"], route, status, 1000 * seconds)
