"""``/fhir``: the FHIR R4 facade. Errors are OperationOutcomes, whatever went wrong."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Path, Request
from fastapi.exceptions import HTTPException, RequestValidationError
from fastapi.responses import Response
from fastapi.routing import APIRoute

from neurolysis.app import fhir_records
from neurolysis.errors import NeurolysisError
from neurolysis.records.fhir.capability import capability_statement
from neurolysis.records.fhir.issues import NotSupportedError, issue, outcome, outcome_of
from neurolysis.records.fhir.terms import FHIR_JSON, Resource
from neurolysis.workstation.depends import Records, Who
from neurolysis.workstation.replies import status_of

Handler = Callable[[Request], Coroutine[Any, Any, Response]]
BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            FHIR_JSON: {
                "schema": {
                    "type": "object",
                    "properties": {"resourceType": {"const": "Bundle"}},
                    "required": ["resourceType"],
                }
            }
        },
    }
}
OUTCOME: dict[str, Any] = {
    "description": "OperationOutcome",
    "content": {FHIR_JSON: {"schema": {"type": "object"}}},
}
ERRORS: dict[int | str, dict[str, Any]] = dict.fromkeys((400, 401, 403, 404, 413, 422, 429), OUTCOME)
ANSWER: dict[int | str, dict[str, Any]] = {200: {**OUTCOME, "description": "the resource, or a Bundle"}}


def reply(resource: Resource, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A resource as FHIR JSON."""
    text = json.dumps(resource, ensure_ascii=False, allow_nan=False)
    kept = {"cache-control": "no-store", **(headers or {})}
    return Response(text, status, headers=kept, media_type=FHIR_JSON)


class FhirRoute(APIRoute):
    """A route whose errors are OperationOutcomes."""

    def get_route_handler(self) -> Handler:
        """The handler, with errors put in FHIR's form."""
        inner = super().get_route_handler()

        async def handler(request: Request) -> Response:
            try:
                return await inner(request)
            except NeurolysisError as error:
                return _refusal(error)
            except RequestValidationError as error:
                found = "; ".join(str(item.get("msg")) for item in error.errors())
                return reply(outcome([issue("error", "invalid", found)]), 400)
            except HTTPException as error:
                return reply(outcome([issue("error", "processing", str(error.detail))]), error.status_code)

        return handler


def _refusal(error: NeurolysisError) -> Response:
    status, resource = outcome_of(error)
    if status == 500:  # an error of the workstation itself: who asks, how often, how much
        status = status_of(error)
        code = {401: "login", 403: "forbidden", 413: "too-long", 429: "throttled"}.get(status, "exception")
        resource = outcome([issue("error", code, str(error))])
    return reply(resource, status)


async def _raw(request: Request) -> bytes:
    return await request.body()


def _base(request: Request) -> str:
    return f"{str(request.base_url).rstrip('/')}/fhir"


Raw = Annotated[bytes, Depends(_raw)]
Base = Annotated[str, Depends(_base)]
Kind = Annotated[str, Path(max_length=40, description="resource type, for instance Observation")]
Id = Annotated[str, Path(max_length=64, description="id of the resource")]

router = APIRouter(prefix="/fhir", tags=["fhir"], route_class=FhirRoute, responses={**ANSWER, **ERRORS})


@router.get("/metadata", response_class=Response)
def metadata(who: Who, base: Base) -> Response:
    """What this facade can do (CapabilityStatement)."""
    return reply(capability_statement(base))


@router.post("", response_class=Response, openapi_extra=BODY)
def transaction(who: Who, store: Records, request: Request, raw: Raw) -> Response:
    """A transaction of one patient becomes a new case, whole or not at all.

    What a case cannot hold is named in the answer of its entry. With ``Prefer: handling=strict`` it is
    a reason to refuse the bundle.
    """
    store.check_first(who, "import_bundle", "case", "create", "")  # before anything is said of the bundle
    strict = "handling=strict" in request.headers.get("prefer", "").replace(" ", "")
    done = fhir_records.import_bundle(store, who, fhir_records.parse_json(raw), strict=strict)
    return reply(done.response)


@router.get("/Patient/{id}/$everything", response_class=Response)
def everything(who: Who, store: Records, base: Base, id: Id) -> Response:
    """All resources of one Patient."""
    return reply(fhir_records.everything_of(store, who, id, base))


@router.get("/{kind}", response_class=Response)
def search(who: Who, store: Records, request: Request, base: Base, kind: Kind) -> Response:
    """Search; an unknown parameter is an error."""
    return reply(fhir_records.search(store, who, kind, request.query_params.multi_items(), base))


@router.post("/{kind}/_search", response_class=Response)
def search_by_post(who: Who, store: Records, request: Request, base: Base, kind: Kind, raw: Raw) -> Response:
    """Search with the parameters in the body, so that they stand in no address."""
    try:
        body = parse_qsl(raw.decode("ascii"), keep_blank_values=True, max_num_fields=100)
    except ValueError as error:
        raise NotSupportedError("parameters of a form are needed", where="body") from error
    return reply(fhir_records.search(store, who, kind, [*request.query_params.multi_items(), *body], base))


@router.get("/{kind}/{id}", response_class=Response)
def read(who: Who, store: Records, base: Base, kind: Kind, id: Id) -> Response:
    """One resource."""
    resource = fhir_records.read_resource(store, who, kind, id, base.removesuffix("/fhir"))
    version = resource.get("meta", {}).get("versionId")
    return reply(resource, headers={"etag": f'W/"{version}"'} if version else None)


@router.api_route("/{kind}", methods=["POST"], include_in_schema=False)
@router.api_route("/{kind}/{id}", methods=["PUT", "PATCH", "DELETE"], include_in_schema=False)
def not_supported(who: Who, request: Request) -> Response:
    """Single resources are not written: a case changes through the workstation, or comes as a transaction."""
    raise NotSupportedError(
        "not possible here", found=request.method, allowed="GET, or a transaction to /fhir"
    )
