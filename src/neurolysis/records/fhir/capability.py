"""The CapabilityStatement: what the facade can do, made from the same tables that do it."""

from __future__ import annotations

from datetime import date

from neurolysis import __version__
from neurolysis.approval import RESEARCH_USE
from neurolysis.records.fhir.parameters import parameters_of
from neurolysis.records.fhir.resources import BUILDERS, KINDS
from neurolysis.records.fhir.terms import FHIR_JSON, Resource

SINCE = date(2026, 11, 27)
"""When this statement was last changed."""
_DEFINITION = "http://hl7.org/fhir/OperationDefinition/Patient-everything"


def capability_statement(base: str) -> Resource:
    """The CapabilityStatement of a facade at the address ``base``."""
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": SINCE.isoformat(),
        "kind": "instance",
        "fhirVersion": "4.0.1",
        "format": [FHIR_JSON, "json"],
        "software": {"name": "neurolysis", "version": __version__},
        "implementation": {"description": f"Records of neurolysis. {RESEARCH_USE}", "url": base},
        "rest": [
            {
                "mode": "server",
                "documentation": (
                    "One Patient for each case. Reading and searching; a transaction with one Patient "
                    "becomes a new case, whole or not at all. An unknown search parameter is an error."
                ),
                "security": {"description": "The session of the workstation; see its documentation."},
                "resource": [_resource(kind) for kind in KINDS],
                "interaction": [{"code": "transaction"}],
            }
        ],
    }


def _resource(kind: str) -> Resource:
    names = sorted(parameters_of(kind).items())
    operations = [{"name": "everything", "definition": _DEFINITION}] if kind == "Patient" else []
    return {
        "type": kind,
        "interaction": [{"code": "read"}, {"code": "search-type"}],
        "versioning": "versioned" if kind in BUILDERS else "no-version",
        "searchParam": [{"name": name, "type": parameter.kind} for name, parameter in names],
        **({"operation": operations} if operations else {}),
    }
