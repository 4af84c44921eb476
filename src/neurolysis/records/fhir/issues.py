"""Errors and remarks as OperationOutcome, with the HTTP status that belongs to each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from neurolysis.errors import (
    ConflictError,
    ForbiddenError,
    InputError,
    NeurolysisError,
    NotFoundError,
    SafetyStop,
    UnknownNameError,
)
from neurolysis.records.fhir.terms import Resource

Severity = Literal["error", "warning", "information"]

_KINDS: tuple[tuple[type[NeurolysisError], int, str], ...] = (
    (NotFoundError, 404, "not-found"),
    (ConflictError, 409, "conflict"),
    (ForbiddenError, 403, "forbidden"),
    (UnknownNameError, 400, "not-supported"),
    (SafetyStop, 422, "business-rule"),
    (InputError, 400, "invalid"),
)
"""The first that fits counts."""


class TooCostlyError(InputError):
    """A search that would read more than this server reads for one answer."""


class NotSupportedError(InputError):
    """An interaction this server does not have."""


def issue(severity: Severity, code: str, text: str, expression: str = "") -> Resource:
    """One issue of an OperationOutcome."""
    where = {"expression": [expression]} if expression else {}
    return {"severity": severity, "code": code, "diagnostics": text, **where}


def outcome(issues: Iterable[Resource]) -> Resource:
    """An OperationOutcome."""
    return {"resourceType": "OperationOutcome", "issue": list(issues)}


def outcome_of(error: NeurolysisError) -> tuple[int, Resource]:
    """(HTTP status, OperationOutcome) of an error."""
    if isinstance(error, TooCostlyError):
        status, code = 400, "too-costly"
    elif isinstance(error, NotSupportedError):
        status, code = 405, "not-supported"
    else:
        known = ((status, code) for kind, status, code in _KINDS if isinstance(error, kind))
        status, code = next(known, (500, "exception"))
    return status, outcome([issue("error", code, str(error), error.where)])
