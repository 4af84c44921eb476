"""The published interface: errors every route may answer, and how one signs in."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from neurolysis.workstation.replies import DOCUMENT_POLICY

_TEXT = {
    400: "The request cannot be read.",
    401: "Nobody is signed in.",
    403: "The role may not do this, or the request comes from another web site.",
    404: "There is no such thing, or it is not this user's.",
    409: "It was changed since it was read.",
    413: "The request is too large.",
    422: "Something in the request is wrong, or a rule of safety forbids it.",
    429: "Requests come too fast.",
    503: "A computation was given up.",
    507: "It could not be written; nothing was.",
}
ERROR_SCHEMA = "ErrorAnswer"
_ERROR = {"application/json": {"schema": {"$ref": f"#/components/schemas/{ERROR_SCHEMA}"}}}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"description": text, "content": _ERROR} for status, text in _TEXT.items()
}
"""By reference: given as models, the framework would build ten validators for every route at each start."""
COOKIE = {"session": {"type": "apiKey", "in": "cookie", "name": "neurolysis-8717"}}


def error_schemas() -> dict[str, Any]:
    """The schemas that :data:`ERRORS` refers to, by name."""
    from neurolysis.workstation.models import ErrorAnswer

    found = ErrorAnswer.model_json_schema(ref_template="#/components/schemas/{model}")
    return {**found.pop("$defs", {}), ERROR_SCHEMA: found}


def router(tag: str) -> APIRouter:
    """A router whose routes publish their errors."""
    return APIRouter(tags=[tag], responses=ERRORS)


def raw(media_type: str, description: str) -> dict[int | str, dict[str, Any]]:
    """The published answer of a route that answers bytes."""
    return {
        200: {
            "content": {media_type: {"schema": {"type": "string", "format": "binary"}}},
            "description": description,
        }
    }


def page(content: bytes) -> Response:
    """A page the program wrote: no script in it ever runs."""
    return Response(
        content, media_type="text/html; charset=utf-8", headers={"content-security-policy": DOCUMENT_POLICY}
    )


def plain_json(content: bytes) -> Response:
    """JSON that was written where it was computed."""
    return Response(content, media_type="application/json")


def packed(content: bytes) -> Response:
    """Bytes that are compressed already."""
    return Response(content, media_type="application/octet-stream", headers={"content-encoding": "gzip"})
