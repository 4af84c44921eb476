"""Types of the interface between server and application (ASGI)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def header(scope: Scope, name: str) -> str:
    """A request header, empty when it is absent; of one sent several times, all with commas."""
    wanted = name.lower().encode()
    return ", ".join(value.decode("latin-1") for key, value in scope["headers"] if key == wanted)
