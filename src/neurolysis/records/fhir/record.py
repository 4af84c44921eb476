"""What the mappings read of one case: a small view that the store fills, part by part when asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from neurolysis.approval import DRAFT
from neurolysis.case import Case
from neurolysis.outcome import Outcome
from neurolysis.procedure import Consent, Procedure
from neurolysis.records.fhir.terms import Resource, instant, patient_key, reference


@dataclass(frozen=True)
class PlanItem:
    """One plan of a case: ``record`` is its plan.json; ``mark`` is DRAFT or who approved it."""

    number: int
    mark: str
    made_at: datetime
    record: Mapping[str, Any]
    recheck: tuple[str, ...] = ()
    files: tuple[str, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether somebody approved this very plan."""
        return self.mark != DRAFT


class Record(Protocol):
    """Everything about one case that has a FHIR form."""

    @property
    def case_id(self) -> str:
        """The store's id of the case."""

    @property
    def version(self) -> int:
        """Version of the case."""

    @property
    def updated_at(self) -> datetime:
        """When this version was saved, with its zone."""

    @property
    def case(self) -> Case:
        """The case itself."""

    @property
    def plans(self) -> tuple[PlanItem, ...]:
        """Its plans, oldest first."""

    @property
    def outcome(self) -> Outcome | None:
        """What was seen after delivery, if anything."""

    @property
    def procedure(self) -> Procedure | None:
        """The record of the room, if there is one."""

    @property
    def consent(self) -> Consent | None:
        """The consent, if there is one."""


@dataclass(frozen=True)
class CaseRecord:
    """A :class:`Record` with all its parts in hand."""

    case_id: str
    version: int
    updated_at: datetime
    case: Case
    plans: tuple[PlanItem, ...] = ()
    outcome: Outcome | None = None
    procedure: Procedure | None = None
    consent: Consent | None = None


def key_of(record: Record) -> str:
    """The FHIR id of the record's Patient."""
    return patient_key(record.case_id)


def subject(record: Record) -> Resource:
    """The reference to the record's Patient."""
    return reference("Patient", key_of(record))


def meta(record: Record) -> Resource:
    """Version and time of the case, which are those of every resource made from it."""
    return {"versionId": str(record.version), "lastUpdated": instant(record.updated_at)}


def head(record: Record, kind: str, id: str) -> Resource:
    """Type, id and meta of a resource."""
    return {"resourceType": kind, "id": id, "meta": meta(record)}
