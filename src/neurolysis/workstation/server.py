"""The application: routes, the gate in front of them, one shape of error; and running it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from neurolysis import __version__
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError, NeurolysisError
from neurolysis.workstation.depends import Station, Who
from neurolysis.workstation.guard import Guard
from neurolysis.workstation.openapi import COOKIE, error_schemas
from neurolysis.workstation.replies import FailedError, error_body, status_of
from neurolysis.workstation.sessions import cookie_name

ROUTES = "neurolysis.workstation.routes."
PARTS = (
    "session", "oidc", "catalogue", "cases", "imports", "steps", "images", "jobs", "plans", "exports",
    "documents", "room_sheet", "accounts", "fhir", "cds", "pages",
)  # fmt: skip
"""The modules of routes, in this order; each has a ``router``."""


def make_app(station: Station, started: Callable[[], None] = lambda: None) -> FastAPI:
    """The application of one server.

    Args:
        started: called once it accepts requests.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        import anyio.to_thread

        anyio.to_thread.current_default_thread_limiter().total_tokens = 64
        started()
        yield

    app = FastAPI(
        title="neurolysis workstation",
        version=__version__,
        description=RESEARCH_USE,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
    )
    app.state.station = station
    for name in PARTS:
        if find_spec(ROUTES + name):
            app.include_router(import_module(ROUTES + name).router)
    _publish(app)
    _errors(app)
    return app


def guarded(app: FastAPI, station: Station) -> Guard:
    """The application behind its gate."""
    return Guard(app, station.settings, cookie_name(station.settings))


def _publish(app: FastAPI) -> None:
    """The description of the interface; for those who are signed in."""

    @app.get("/openapi.json", response_model=dict[str, Any], tags=["session"])
    def openapi_document(who: Who) -> Any:
        """This document."""
        return described(app)


def described(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document, with how one signs in."""
    document = app.openapi()
    components = document.setdefault("components", {})
    components["securitySchemes"] = COOKIE
    components["schemas"] = {**components.get("schemas", {}), **error_schemas()}
    document["security"] = [{"session": []}]
    return document


def _errors(app: FastAPI) -> None:
    @app.exception_handler(NeurolysisError)
    async def known(request: Request, error: NeurolysisError) -> JSONResponse:
        return JSONResponse(error_body(error), status_of(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(error_body(_invalid(error)), 422)

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        kind = {404: "NotFoundError", 405: "MethodError"}.get(error.status_code, "RequestError")
        detail = {"type": kind, "problem": str(error.detail), "where": "", "found": "", "allowed": ""}
        return JSONResponse({"error": detail}, error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        """The gate logs where it happened."""
        return JSONResponse(error_body(FailedError("the program failed; nothing was written")), 500)


def _invalid(error: RequestValidationError) -> InputError:
    """What is wrong with a request; of what was found only its kind, for it may be a secret."""
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    more = len(error.errors()) - 1
    problem = first["msg"] + (f" (and {more} more)" if more else "")
    allowed = str((first.get("ctx") or {}).get("expected", ""))
    return InputError(problem, where=where, found=type(first.get("input")).__name__, allowed=allowed)


def static_folder() -> Path:
    """Where the page's built files are."""
    return Path(__file__).parent / "static"


__all__ = ["Response", "described", "guarded", "make_app", "static_folder"]
