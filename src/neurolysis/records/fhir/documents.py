"""DocumentReference of the case file and of each plan's files, and ImagingStudy of the planning image."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.quantity import parse
from neurolysis.records.fhir.orders import plan_resource_id
from neurolysis.records.fhir.record import PlanItem, Record, head, key_of, subject
from neurolysis.records.fhir.terms import (
    DCM,
    Resource,
    concept,
    extension_value,
    extensions,
    instant,
    listed,
    notes,
    own,
    part_id,
    reference,
    without_nothing,
)

CASE_FILE = "case-file"
REPORTS = {"report.html": "text/html", "report.pdf": "application/pdf", "plan.json": "application/json"}


# ---------------------------------------------------------------- the case file


def case_document(case: Case) -> Resource:
    """The whole case as an attachment with its hash: it carries what no other resource has a place for."""
    data = case.model_dump(mode="json", exclude_defaults=True)
    text = json.dumps({"schema_version": case.schema_version, **data}, ensure_ascii=False).encode()
    digest = hashlib.sha1(text, usedforsecurity=False).digest()  # Attachment.hash is SHA-1 in R4
    attachment = {
        "contentType": "application/json",
        "data": base64.b64encode(text).decode(),
        "size": len(text),
        "hash": base64.b64encode(digest).decode(),
        "title": "case.json",
    }
    return {
        "resourceType": "DocumentReference",
        "status": "current",
        "type": concept("Case file of neurolysis", own("document", CASE_FILE)),
        "content": [{"attachment": attachment}],
        **extensions(case_hash=case.content_hash()),
    }


def is_case_document(resource: Mapping[str, Any]) -> bool:
    """Whether a resource is a case file of this program."""
    codings = listed(resource, "type", "coding")
    wanted = own("document", CASE_FILE)
    return resource.get("resourceType") == "DocumentReference" and wanted in codings


def case_of_document(resource: Mapping[str, Any]) -> Case:
    """The case in a case file.

    Raises:
        InputError: no data, not a case, or a case that is not the one its hash says.
    """
    where = f"DocumentReference/{resource.get('id', '')}"
    try:
        text = base64.b64decode(resource["content"][0]["attachment"]["data"], validate=True)
        data = json.loads(text)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        raise InputError("the case file cannot be read", where=where, found=type(error).__name__) from error
    case = parse(Case, data, where)
    said, found = extension_value(resource, "case-hash"), case.content_hash()
    if said != found:
        raise InputError(
            "the case file is not the one its hash says", where=where, found=found, allowed=str(said)
        )
    return case


# ---------------------------------------------------------------- what the facade shows


def document_references(record: Record) -> Iterator[Resource]:
    """The case file, and the files of each plan."""
    yield {
        **head(record, "DocumentReference", part_id(key_of(record), CASE_FILE)),
        **case_document(record.case),
        "subject": subject(record),
        "date": instant(record.updated_at),
    }
    for plan in record.plans:
        yield from (_report(record, plan, name) for name in plan.files if name in REPORTS)


def _report(record: Record, plan: PlanItem, name: str) -> Resource:
    url = f"/api/cases/{record.case_id}/plans/{plan.number}/{name}"
    if name == "plan.json":
        url = f"/api/cases/{record.case_id}/plans/{plan.number}"
    id = part_id(key_of(record), f"plan-{plan.number}-{name.replace('.', '-')}")
    attachment = {"contentType": REPORTS[name], "url": url, "title": f"Plan {plan.number}: {plan.mark}"}
    return {
        **head(record, "DocumentReference", id),
        "status": "current",
        "docStatus": "final" if plan.approved else "preliminary",
        "type": concept("Plan of a neurolysis", own("document", "plan")),
        "subject": subject(record),
        "date": instant(plan.made_at),
        "description": plan.mark,
        "content": [{"attachment": attachment}],
        "context": {"related": [reference("CarePlan", plan_resource_id(record, plan))]},
    }


def imaging_studies(record: Record) -> Iterator[Resource]:
    """The planning image. Its series appears only with a DICOM UID: none is made up for other files."""
    image = record.case.image
    if image is None:
        return
    modality = {"system": DCM, "code": image.modality}
    series = [{"uid": image.series_uid, "modality": modality}] if image.series_uid else []
    contrast = {True: "with contrast", False: "without contrast", None: "contrast not known"}[image.contrast]
    yield without_nothing(
        {
            **head(record, "ImagingStudy", part_id(key_of(record), "image")),
            "status": "available",
            "modality": [modality],
            "subject": subject(record),
            "description": f"Planning image, {image.modality}, {contrast}",
            "numberOfSeries": len(series) or None,
            "series": series,
            **notes(image.attribution),
        }
    )
