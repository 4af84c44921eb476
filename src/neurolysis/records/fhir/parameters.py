"""Search parameters by resource type, as FHIR R4 defines them: kind and the elements they look at."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

Kind = Literal["token", "string", "reference", "date", "uri"]


class Parameter(NamedTuple):
    """One search parameter: its kind, and paths into the resource (dots go down, through lists)."""

    kind: Kind
    paths: tuple[str, ...]


def _token(*paths: str) -> Parameter:
    return Parameter("token", paths)


def _date(*paths: str) -> Parameter:
    return Parameter("date", paths)


def _reference(*paths: str) -> Parameter:
    return Parameter("reference", paths)


def _string(*paths: str) -> Parameter:
    return Parameter("string", paths)


COMMON: Mapping[str, Parameter] = MappingProxyType(
    {"_id": _token("id"), "_lastUpdated": _date("meta.lastUpdated")}
)
_SUBJECT = {"patient": _reference("subject"), "subject": _reference("subject")}
_STATUS, _CODE, _CATEGORY = (
    {"status": _token("status")},
    {"code": _token("code")},
    {"category": _token("category")},
)

PARAMETERS: Mapping[str, Mapping[str, Parameter]] = MappingProxyType(
    {
        "Patient": {
            "identifier": _token("identifier"),
            "gender": _token("gender"),
            "birthdate": _date("birthDate"),
            "active": _token("active"),
            "deceased": _token("deceasedBoolean"),
        },
        "Condition": {
            **_SUBJECT, **_CODE, **_CATEGORY,
            "clinical-status": _token("clinicalStatus"),
        },
        "AllergyIntolerance": {
            "patient": _reference("patient"), **_CODE,
            "clinical-status": _token("clinicalStatus"),
        },
        "MedicationStatement": {
            **_SUBJECT, **_STATUS,
            "code": _token("medicationCodeableConcept"),
            "effective": _date("effectivePeriod"),
        },
        "Observation": {
            **_SUBJECT, **_STATUS, **_CODE, **_CATEGORY,
            "date": _date("effectiveDateTime"),
            "based-on": _reference("basedOn"),
            "part-of": _reference("partOf"),
            "derived-from": _reference("derivedFrom"),
            "value-string": _string("valueString", "valueCodeableConcept.text"),
        },
        "Questionnaire": {
            **_STATUS,
            "url": Parameter("uri", ("url",)),
            "name": _string("name"),
            "title": _string("title"),
            "version": _token("version"),
            "subject-type": _token("subjectType"),
        },
        "QuestionnaireResponse": {
            **_SUBJECT, **_STATUS,
            "questionnaire": _reference("questionnaire"),
            "authored": _date("authored"),
        },
        "ServiceRequest": {
            **_SUBJECT, **_STATUS, **_CODE, **_CATEGORY,
            "intent": _token("intent"),
            "body-site": _token("bodySite"),
        },
        "Procedure": {
            **_SUBJECT, **_STATUS, **_CODE, **_CATEGORY,
            "date": _date("performedDateTime"),
            "based-on": _reference("basedOn"),
            "reason-reference": _reference("reasonReference"),
        },
        "CarePlan": {
            **_SUBJECT, **_STATUS, **_CATEGORY,
            "intent": _token("intent"),
            "identifier": _token("identifier"),
            "condition": _reference("addresses"),
            "activity-reference": _reference("activity.reference"),
        },
        "RiskAssessment": {
            **_SUBJECT,
            "date": _date("occurrenceDateTime"),
            "method": _token("method"),
            "condition": _reference("condition"),
        },
        "AdverseEvent": {
            "subject": _reference("subject"),
            "actuality": _token("actuality"),
            "date": _date("date"),
            "event": _token("event"),
        },
        "ImagingStudy": {
            **_SUBJECT, **_STATUS,
            "modality": _token("series.modality"),
            "series": _token("series.uid"),
        },
        "Consent": {
            "patient": _reference("patient"), **_STATUS, **_CATEGORY,
            "scope": _token("scope"),
            "date": _date("dateTime"),
        },
        "DocumentReference": {
            **_SUBJECT, **_STATUS,
            "type": _token("type"),
            "date": _date("date"),
            "contenttype": _token("content.attachment.contentType"),
            "description": _string("description"),
        },
        "AuditEvent": {
            "patient": _reference("entity.what"),
            "date": _date("recorded"),
            "action": _token("action"),
            "outcome": _token("outcome"),
            "type": _token("type"),
            "subtype": _token("subtype"),
            "agent-name": _string("agent.name"),
            "agent-role": _token("agent.role"),
            "address": _string("agent.network.address"),
        },
    }
)  # fmt: skip
"""What each type can be searched by, beside :data:`COMMON`."""

RESULT = ("_count", "_offset", "_sort", "_summary", "_total", "_format")
"""Parameters that shape the answer. ``_offset`` is this server's own, for the links between pages."""


def parameters_of(kind: str) -> Mapping[str, Parameter]:
    """Every search parameter of a type."""
    return {**COMMON, **PARAMETERS[kind]}
