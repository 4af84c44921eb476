"""A transaction that becomes a case: what it may ask for, and the answer entry by entry."""

from __future__ import annotations

from typing import Any

from neurolysis.case_fhir import Ignored
from neurolysis.errors import InputError
from neurolysis.records.fhir.case_bundle import ReadCase, checked_bundle, read_case, without_files
from neurolysis.records.fhir.issues import NotSupportedError, issue, outcome
from neurolysis.records.fhir.terms import Resource, patient_key

TYPES = ("transaction", "collection")


def read_transaction(bundle: Any, *, strict: bool = False) -> ReadCase:
    """The case in a transaction (or a collection) of one patient.

    Args:
        strict: refuse the bundle if anything in it would be left out.

    Raises:
        InputError: see :func:`read_case`; also an entry that asks for anything but a plain create.
    """
    checked = checked_bundle(bundle)
    if checked.get("type") not in TYPES:
        raise InputError(
            "not a bundle to import", where="Bundle.type", found=checked.get("type"), allowed=TYPES
        )
    if checked["type"] == "transaction":
        for number, entry in enumerate(checked["entry"]):
            _require_create(entry, f"Bundle.entry[{number}].request")
    found = read_case(checked)
    if strict and found.ignored:
        raise InputError(
            "not everything in the bundle can be kept", where="Bundle.entry", found=_summary(found)
        )
    return found


def _require_create(entry: Resource, where: str) -> None:
    request = entry.get("request")
    if not isinstance(request, dict):
        raise InputError("an entry of a transaction needs its request", where=where)
    kind = entry["resource"]["resourceType"]
    if request.get("method") != "POST" or request.get("url") != kind:
        asked = f"{request.get('method')} {request.get('url')}"
        raise NotSupportedError("only a create is possible", where=where, found=asked, allowed=f"POST {kind}")
    conditional = [name for name in request if name.startswith("if")]
    if conditional:
        raise NotSupportedError("no conditions are possible", where=where, found=", ".join(conditional))


def _summary(found: ReadCase) -> str:
    return "; ".join(f"{item.resource} ({len(item.ids)}): {item.reason}" for item in found.ignored)


def transaction_response(bundle: Resource, found: ReadCase, case_id: str, version: int) -> Resource:
    """The answer: every entry in order; one that was left out says so and why.

    The Patient's entry carries where the case is now. Other resources of the case are read by searching:
    their ids come from what they say.
    """
    key = patient_key(case_id)
    reasons = _reasons(found.ignored)
    entries = [_answer(entry, number, reasons, key, version) for number, entry in enumerate(bundle["entry"])]
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


def _reasons(ignored: tuple[Ignored, ...]) -> dict[tuple[str, str], str]:
    return {(item.resource, id): item.reason for item in ignored for id in item.ids}


def _answer(
    entry: Resource, number: int, reasons: dict[tuple[str, str], str], key: str, version: int
) -> Resource:
    resource = entry["resource"]
    kind = resource["resourceType"]
    url = str(entry.get("fullUrl") or f"{kind}/{resource.get('id', number)}")
    why = reasons.get((kind, str(resource.get("id", url)))) or reasons.get((kind, url))
    if kind == "Patient":
        location = f"Patient/{key}/_history/{version}"
        remarks = {"outcome": outcome([issue("warning", "not-supported", why)])} if why else {}
        return {
            "response": {"status": "201 Created", "location": location, "etag": f'W/"{version}"', **remarks}
        }
    if why:
        left = outcome([issue("warning", "not-supported", f"not kept: {why}")])
        return {"response": {"status": "202 Accepted", "outcome": left}}
    return {"response": {"status": "201 Created", "location": f"Patient/{key}/$everything"}}


def remarks_of(found: ReadCase) -> tuple[str, ...]:
    """What a person must know of an import, in words."""
    left = (f"{item.resource} ({len(item.ids)}): {item.reason}" for item in found.ignored)
    return (*left, *file_remarks(found))


def file_remarks(found: ReadCase) -> tuple[str, ...]:
    """What a person must know of a case file that came along: files left behind, fields changed elsewhere."""
    gone, remarks = without_files(found.case)[1], []
    if gone:
        remarks.append(f"files are not in a bundle, so these were left out: {', '.join(gone)}")
    if found.changed:
        remarks.append(f"changed elsewhere since the case file was written: {', '.join(found.changed)}")
    return tuple(remarks)
