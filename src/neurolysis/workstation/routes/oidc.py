"""Single sign-on: to the provider and back."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request
from starlette.responses import RedirectResponse

from neurolysis.errors import NotFoundError
from neurolysis.workstation.depends import Here
from neurolysis.workstation.oidc import MINUTES, Provider
from neurolysis.workstation.openapi import router as make_router
from neurolysis.workstation.replies import SignInError
from neurolysis.workstation.sessions import cookie_name, set_cookie

router = make_router("session")
CALLBACK = "/api/oidc/callback"
Text = Annotated[str, Query(max_length=4000)]


@router.get("/api/oidc/login", status_code=302, response_class=RedirectResponse)
def begin(request: Request, here: Here) -> RedirectResponse:
    """Send the browser to the provider; needs no session."""
    address, state = _provider(request, here).begin()
    answer = RedirectResponse(address, 302)
    answer.set_cookie(
        _state_cookie(here), state, max_age=60 * MINUTES, path=CALLBACK, httponly=True, samesite="lax",
        secure=here.settings.secure,
    )  # fmt: skip
    return answer


@router.get(CALLBACK, status_code=302, response_class=RedirectResponse)
def end(
    request: Request, here: Here, state: Text = "", code: Text = "", error: Text = ""
) -> RedirectResponse:
    """The provider's answer; opens a session and goes to the page. Needs no session."""
    if error or not code:
        raise SignInError("the provider did not sign you in", found=error[:100])
    provider = _provider(request, here)
    subject = provider.end(state, request.cookies.get(_state_cookie(here), ""), code)
    address = request.client.host if request.client else "unknown"
    _, token = here.door.by_identity(provider.issuer, subject, address)
    answer = RedirectResponse("/", 302)
    set_cookie(answer, here.settings, token)
    answer.delete_cookie(_state_cookie(here), path=CALLBACK)
    return answer


def _state_cookie(here: Here) -> str:
    return f"{cookie_name(here.settings).removeprefix('__Host-')}-sign-on"


def _provider(request: Request, here: Here) -> Provider:
    """The provider of this server, made once.

    Raises:
        NotFoundError: there is none.
    """
    settings = here.settings
    if settings.oidc is None or not settings.accounts:
        raise NotFoundError("this server has no single sign-on")
    state = request.app.state
    if getattr(state, "provider", None) is None:
        origin = settings.public_url or f"http://{settings.host}:{settings.port}"
        state.provider = Provider(settings.oidc, origin + CALLBACK)
    found: Provider = state.provider
    return found
