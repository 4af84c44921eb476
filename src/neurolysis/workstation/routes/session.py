"""Signing in and out, and whether the server answers."""

from __future__ import annotations

from fastapi import Request, Response

from neurolysis import __version__
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError
from neurolysis.workstation.depends import Here, Token
from neurolysis.workstation.models import Done, Health, SessionAnswer, SessionRequest
from neurolysis.workstation.openapi import router as make_router
from neurolysis.workstation.sessions import drop_cookie, set_cookie

router = make_router("session")


@router.get("/api/health")
def health() -> Health:
    """Whether the server answers; needs no session."""
    return Health(status="ok", version=__version__)


@router.get("/api/session")
def who_am_i(here: Here, token: Token) -> SessionAnswer:
    """Who is signed in, and how one signs in here; needs no session."""
    who = here.door.who(token)
    return _answer(here, who)


@router.post("/api/session")
def sign_in(body: SessionRequest, request: Request, response: Response, here: Here) -> SessionAnswer:
    """Open a session by the launch link's token, or by name and password."""
    address = request.client.host if request.client else "unknown"
    if body.token is not None:
        who, token = here.door.by_link(body.token, address)
    elif body.name is not None and body.password is not None:
        who, token = here.door.by_password(body.name, body.password, address)
    else:
        raise InputError("nothing to sign in with", where="body", allowed="token, or name and password")
    set_cookie(response, here.settings, token)
    return _answer(here, who)


@router.delete("/api/session")
def sign_out(response: Response, here: Here, token: Token) -> Done:
    """End the session."""
    here.door.leave(token)
    drop_cookie(response, here.settings)
    return Done()


def _answer(here: Here, who: object) -> SessionAnswer:
    settings = here.settings
    return SessionAnswer(
        user=getattr(who, "name", None),
        role=getattr(who, "role", None),
        mode="accounts" if settings.accounts else "single-user",
        notice=RESEARCH_USE,
        version=__version__,
        sign_on=settings.oidc.title if settings.oidc else None,
    )
