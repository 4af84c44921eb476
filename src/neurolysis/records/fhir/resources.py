"""Every kind of resource the facade shows, and how it is made from the record of a case."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType

from neurolysis.records.fhir import (
    clinical,
    documents,
    orders,
    outcomes,
    procedures,
    questionnaires,
    risks,
    room,
)
from neurolysis.records.fhir.record import Record
from neurolysis.records.fhir.terms import Resource, unique

Builder = Callable[[Record], Iterable[Resource]]


def _patient(record: Record) -> Iterator[Resource]:
    yield clinical.patient(record)


def _recorded(kind: str) -> Builder:
    return lambda record: clinical.recorded(record, kind)


BUILDERS: Mapping[str, tuple[Builder, ...]] = MappingProxyType(
    {
        "Patient": (_patient,),
        "Condition": (clinical.conditions,),
        "AllergyIntolerance": (_recorded("AllergyIntolerance"),),
        "MedicationStatement": (_recorded("MedicationStatement"),),
        "Observation": (
            clinical.observations,
            questionnaires.derived_scores,
            procedures.block_diaries,
            room.room_observations,
            outcomes.outcome_observations,
            risks.limit_observations,
        ),
        "QuestionnaireResponse": (questionnaires.responses,),
        "ServiceRequest": (orders.service_requests,),
        "Procedure": (procedures.procedures,),
        "CarePlan": (orders.care_plans, outcomes.aftercare_plans),
        "RiskAssessment": (risks.risk_assessments,),
        "AdverseEvent": (outcomes.adverse_events,),
        "ImagingStudy": (documents.imaging_studies,),
        "Consent": (orders.consents,),
        "DocumentReference": (documents.document_references,),
    }
)
"""By resource type: the kinds that belong to a patient."""

SHARED = ("Questionnaire",)
"""Kinds that belong to no patient."""
TRAIL = ("AuditEvent",)
"""Kinds made from the audit trail."""
KINDS = (*BUILDERS, *SHARED, *TRAIL)
"""Every kind the facade knows."""


def resources_of(record: Record, kind: str) -> list[Resource]:
    """The resources of one kind, each id once.

    Raises:
        KeyError: a kind that belongs to no patient.
    """
    return unique(resource for build in BUILDERS[kind] for resource in build(record))


def everything(record: Record) -> list[Resource]:
    """All resources of a case, the Patient first."""
    return [resource for kind in BUILDERS for resource in resources_of(record, kind)]
