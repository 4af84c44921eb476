"""Patient, Condition, AllergyIntolerance, MedicationStatement and Observation of what the case records."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.case import PainArea
from neurolysis.case_fhir import case_to_fhir
from neurolysis.nerve.conditions import condition, condition_ids
from neurolysis.records.fhir.record import Record, head, key_of, meta, subject
from neurolysis.records.fhir.terms import (
    HL7,
    LOINC,
    Resource,
    concept,
    content_part,
    extensions,
    own,
    part_id,
    without_nothing,
)

PAIN_AREA = "pain-area"
TREATED = "condition"
"""Kind of the own coding that marks the condition to be treated."""


def patient(record: Record) -> Resource:
    """The Patient: a pseudonym, year of birth and sex; a case holds no name."""
    resource = case_to_fhir(record.case)["entry"][0]["resource"]
    return {**head(record, "Patient", key_of(record)), **resource, "active": True}


def recorded(record: Record, kind: str) -> Iterator[Resource]:
    """Resources of one kind as :func:`case_to_fhir` writes them, with ids and the record's Patient."""
    for entry in case_to_fhir(record.case)["entry"][1:]:
        resource = entry["resource"]
        if resource["resourceType"] == kind:
            yield addressed(record, resource)


def addressed(record: Record, resource: Resource) -> Resource:
    """The resource with id, meta and subject of the record; its id says what it says."""
    kind = resource["resourceType"]
    about = "patient" if kind in ("AllergyIntolerance", "Consent") else "subject"
    said = {key: value for key, value in resource.items() if key != about}
    id = part_id(key_of(record), content_part(said))
    return {"resourceType": kind, "id": id, "meta": meta(record), **said, about: subject(record)}


def conditions(record: Record) -> Iterator[Resource]:
    """Diagnoses as recorded, and the painful condition to be treated with its id of the catalogue."""
    yield from recorded(record, "Condition")
    if record.case.condition is not None:
        yield addressed(record, treated_condition(record.case.condition))


def treated_condition(id: str) -> Resource:
    """The Condition to be treated, by its id of the catalogue of conditions."""
    title = condition(id).title if id in condition_ids() else ""
    return {
        "resourceType": "Condition",
        "clinicalStatus": concept("", {"system": HL7 + "condition-clinical", "code": "active"}),
        "category": [concept("", {"system": HL7 + "condition-category", "code": "problem-list-item"})],
        "code": concept(title or id, own(TREATED, id, title)),
    }


def pain_observation(area: PainArea) -> Resource:
    """One marked area of the body outline, with its intensity 0-10 where it was said."""
    value = {} if area.intensity is None else {"valueQuantity": {"value": area.intensity, "unit": "{score}"}}
    site = " ".join(filter(None, (area.side, area.area.replace("_", " "))))
    return without_nothing(
        {
            "resourceType": "Observation",
            "status": "final",
            "category": [concept("", {"system": HL7 + "observation-category", "code": "survey"})],
            "code": concept("Pain marked on the body outline", own("observation", PAIN_AREA)),
            "bodySite": concept(site, own("body-area", area.area)),
            "component": [
                {"code": concept("Character of the pain"), "valueString": text} for text in area.character
            ],
            **value,
            **extensions(pain_side=area.side, pain_since=area.since, pain_main=area.main or None),
        }
    )


def observations(record: Record) -> Iterator[Resource]:
    """Weight, height, scores, findings, and the marked areas of pain."""
    yield from recorded(record, "Observation")
    yield from (addressed(record, pain_observation(area)) for area in record.case.pain)


def loinc_pain() -> Resource:
    """LOINC 72514-3, pain severity 0-10."""
    return {"system": LOINC, "code": "72514-3"}
