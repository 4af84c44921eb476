"""``/cds-services``: CDS Hooks 2.0, suitability cards inside another record system."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import Body, Path
from fastapi.responses import JSONResponse

from neurolysis.app.cds_hooks import answer_call
from neurolysis.errors import UnknownNameError
from neurolysis.records.cds import PrefetchMissingError, discovery
from neurolysis.workstation.depends import Records, Who
from neurolysis.workstation.openapi import router as make_router
from neurolysis.workstation.replies import error_body

router = make_router("cds")
Service = Annotated[str, Path(max_length=80, description="id of a service")]
Call = Annotated[dict[str, Any], Body(description="hook, hookInstance, context and prefetch")]


@router.get("/cds-services")
def services(who: Who) -> dict[str, Any]:
    """The services there are (discovery)."""
    return discovery()


@router.post(
    "/cds-services/{service}", responses={412: {"description": "the Patient did not come as prefetch"}}
)
def call(who: Who, store: Records, service: Service, body: Call) -> JSONResponse:
    """Cards for one call."""
    try:
        return JSONResponse(answer_call(store, who, service, body, datetime.now(UTC).date()))
    except PrefetchMissingError as error:
        return JSONResponse(error_body(error), 412)
    except UnknownNameError as error:
        return JSONResponse(error_body(error), 404)
