"""What routes ask for: who is asking, the store, and the processes that compute.

A route takes ``Who``, ``Records``, ``Heavy``, ``Kept`` or ``Jobs``; the framework fills them in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Request

from neurolysis.errors import InputError
from neurolysis.records.store import Principal, Store
from neurolysis.workstation.answers import Answers
from neurolysis.workstation.compute import Compute
from neurolysis.workstation.jobs import JobBook
from neurolysis.workstation.previews import Previews
from neurolysis.workstation.replies import SignInError
from neurolysis.workstation.sessions import Doorkeeper, cookie_name
from neurolysis.workstation.settings import Settings


@dataclass(frozen=True)
class Station:
    """Everything one server holds; there is no other global state."""

    settings: Settings
    store: Store
    compute: Compute
    answers: Answers
    jobs: JobBook
    door: Doorkeeper
    previews: Previews


def station(request: Request) -> Station:
    """The server's own things."""
    found: Station = request.app.state.station
    return found


Here = Annotated[Station, Depends(station)]


def session_token(request: Request) -> str:
    """The cookie of the session; empty when there is none."""
    settings = station(request).settings
    return request.cookies.get(cookie_name(settings), "")


Token = Annotated[str, Depends(session_token)]


def principal(here: Here, token: Token) -> Principal:
    """Who is asking.

    Raises:
        SignInError: nobody is signed in.
    """
    who = here.door.who(token)
    if who is None:
        raise SignInError("sign in first")
    return who


def _store(here: Here) -> Store:
    return here.store


def _compute(here: Here) -> Compute:
    return here.compute


def _answers(here: Here) -> Answers:
    return here.answers


def _jobs(here: Here) -> JobBook:
    return here.jobs


Who = Annotated[Principal, Depends(principal)]
Records = Annotated[Store, Depends(_store)]
Heavy = Annotated[Compute, Depends(_compute)]
Kept = Annotated[Answers, Depends(_answers)]
Jobs = Annotated[JobBook, Depends(_jobs)]


def if_match(value: Annotated[str | None, Header(alias="If-Match")] = None) -> int:
    """The version a change was made from, of the header If-Match.

    Raises:
        InputError: none, or not a whole number.
    """
    text = (value or "").strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdecimal() or len(text) > 9:
        raise InputError(
            "say which version you changed",
            where="If-Match",
            found=value,
            allowed="its number, for instance 3",
        )
    return int(text)


IfMatch = Annotated[int, Depends(if_match)]
