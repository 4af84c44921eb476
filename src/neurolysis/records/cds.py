"""CDS Hooks 2.0: which services there are, what a call must hold, and cards from the evaluation.

Pure: a call and a day give cards. No address of a call is ever asked for anything: what a service needs
comes as prefetch (or is a case of this store), and what did not come stays unknown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.records.fhir.terms import Resource

SUITABILITY, SELECT, SIGN = "neurolysis-suitability", "neurolysis-order-select", "neurolysis-order-sign"
PREFETCH: Mapping[str, str] = {
    "patient": "Patient/{{context.patientId}}",
    "conditions": "Condition?patient={{context.patientId}}",
    "allergies": "AllergyIntolerance?patient={{context.patientId}}",
    "medications": "MedicationStatement?patient={{context.patientId}}&status=active",
    "medicationRequests": "MedicationRequest?patient={{context.patientId}}&status=active",
    "observations": "Observation?patient={{context.patientId}}&category=laboratory,vital-signs,survey,exam",
    "questionnaires": "QuestionnaireResponse?patient={{context.patientId}}",
}
_HOOKS = {SUITABILITY: "patient-view", SELECT: "order-select", SIGN: "order-sign"}


class PrefetchMissingError(InputError):
    """A call without the data its service needs (HTTP 412)."""


@dataclass(frozen=True)
class HookCall:
    """A call, checked.

    Attributes:
        patient_id: of the caller's server; with prefetch it is the prefetched Patient's.
        orders: ServiceRequests among the draft orders; of order-select only the selected ones.
        prefetch: what came, by key; a key that did not come, or came as an error, is not here.
        missing: keys that did not come.
    """

    service: str
    hook_instance: str
    patient_id: str
    orders: tuple[Resource, ...]
    prefetch: Mapping[str, Resource]
    missing: tuple[str, ...]


def discovery() -> Resource:
    """The answer of the discovery endpoint."""
    texts = {
        SUITABILITY: (
            "Suitability for a neurolysis",
            "Whether techniques that destroy or disrupt nerves suit this patient, each rule with its source.",
        ),
        SELECT: (
            "Neurolysis order, while it is chosen",
            "Rules that speak for or against a selected neurolysis.",
        ),
        SIGN: (
            "Neurolysis order, before it is signed",
            "Rules that speak for or against an ordered neurolysis.",
        ),
    }
    services = [
        {"id": id, "hook": _HOOKS[id], "title": title, "description": text, "prefetch": dict(PREFETCH)}
        for id, (title, text) in texts.items()
    ]
    return {"services": services}


def parse_call(service: str, body: Any) -> HookCall:
    """A call to a service.

    Raises:
        UnknownNameError: no such service.
        InputError: another hook, no UUID, or a context that the hook does not have.
    """
    if service not in _HOOKS:
        raise UnknownNameError("no such service", where="cds-services", found=service, allowed=_HOOKS)
    data = _mapping(body, "body")
    if data.get("hook") != _HOOKS[service]:
        raise InputError("another hook", where="hook", found=data.get("hook"), allowed=_HOOKS[service])
    context = _mapping(data.get("context"), "context")
    _text(context, "userId")
    patient_id = _text(context, "patientId").removeprefix("Patient/")
    orders = () if service == SUITABILITY else tuple(_orders(service, context))
    prefetch = _prefetch(data.get("prefetch"))
    _require_patient(prefetch, patient_id)
    missing = tuple(key for key in PREFETCH if key not in prefetch)
    return HookCall(service, _instance(data), patient_id, orders, prefetch, missing)


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise InputError("an object is needed", where=where, found=type(value).__name__)
    return value


def _text(data: Mapping[str, Any], name: str) -> str:
    value = data.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise InputError("a text is needed", where=f"context.{name}", found=type(value).__name__)
    return value


def _instance(data: Mapping[str, Any]) -> str:
    found = data.get("hookInstance")
    try:
        return str(UUID(str(found)))
    except ValueError as error:
        raise InputError("a UUID is needed", where="hookInstance", found=str(found)[:80]) from error


def _orders(service: str, context: Mapping[str, Any]) -> Iterator[Resource]:
    """ServiceRequests of the draft orders, as selected."""
    bundle = _mapping(context.get("draftOrders"), "context.draftOrders")
    if bundle.get("resourceType") != "Bundle" or not isinstance(bundle.get("entry", []), list):
        raise InputError("a Bundle is needed", where="context.draftOrders", found=bundle.get("resourceType"))
    selected = context.get("selections", [])
    given = isinstance(selected, list) and "selections" in context
    if service == SELECT and not (given and all(isinstance(item, str) for item in selected)):
        raise InputError(
            "a list of references is needed", where="context.selections", found=type(selected).__name__
        )
    for number, entry in enumerate(bundle.get("entry", [])):
        where = f"context.draftOrders.entry[{number}]"
        resource = _mapping(_mapping(entry, where).get("resource"), f"{where}.resource")
        chosen = service == SIGN or f"{resource.get('resourceType')}/{resource.get('id')}" in selected
        if chosen and resource.get("resourceType") == "ServiceRequest":
            yield dict(resource)


def _prefetch(value: Any) -> dict[str, Resource]:
    """What came and is usable. Null means there is none, which for lists says nothing more than not sent."""
    found = {}
    for key, item in _mapping({} if value is None else value, "prefetch").items():
        if key not in PREFETCH or item is None:
            continue
        resource = _mapping(item, f"prefetch.{key}")
        wanted = "Patient" if key == "patient" else "Bundle"
        if resource.get("resourceType") == "OperationOutcome":
            continue
        if resource.get("resourceType") != wanted:
            raise InputError(
                "another resource",
                where=f"prefetch.{key}",
                found=resource.get("resourceType"),
                allowed=wanted,
            )
        found[key] = dict(resource)
    return found


def _require_patient(prefetch: Mapping[str, Resource], patient_id: str) -> None:
    patient = prefetch.get("patient")
    if patient is not None and patient.get("id") != patient_id:
        raise InputError(
            "the prefetched Patient is another one", where="prefetch.patient.id",
            found=patient.get("id"), allowed=patient_id,
        )  # fmt: skip


# ---------------------------------------------------------------- the case behind a call


def bundle_of(call: HookCall) -> Resource:
    """The prefetched resources as one Bundle.

    Raises:
        PrefetchMissingError: without the Patient nothing can be said.
        InputError: an entry without a resource.
    """
    if "patient" not in call.prefetch:
        raise PrefetchMissingError("the service needs the Patient as prefetch", where="prefetch.patient")
    entries = [{"resource": call.prefetch["patient"]}]
    for key, bundle in call.prefetch.items():
        if key == "patient":
            continue
        for number, entry in enumerate(bundle.get("entry") or []):
            resource = entry.get("resource") if isinstance(entry, dict) else None
            if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
                raise InputError("not an entry with a resource", where=f"prefetch.{key}.entry[{number}]")
            if resource["resourceType"] not in ("Patient", "OperationOutcome"):
                entries.append({"resource": resource})
    return {"resourceType": "Bundle", "type": "collection", "entry": _once(entries)}


def _once(entries: list[Resource]) -> list[Resource]:
    """Each resource once, by type and id (two searches may give the same one)."""
    found: dict[str, Resource] = {}
    for number, entry in enumerate(entries):
        resource = entry["resource"]
        found.setdefault(f"{resource['resourceType']}/{resource.get('id', number)}", entry)
    return list(found.values())


def incomplete(call: HookCall) -> tuple[str, ...]:
    """What the service did not see, in words."""
    words = [f"not sent: {', '.join(call.missing)}"] if call.missing and call.prefetch else []
    for key, bundle in call.prefetch.items():
        links = bundle.get("link") or []
        if key != "patient" and any(isinstance(one, dict) and one.get("relation") == "next" for one in links):
            words.append(f"only a part was sent: {key}")
    return tuple(words)
