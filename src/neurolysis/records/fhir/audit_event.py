"""The audit trail as AuditEvent, by the patterns of IHE Basic Audit Log Patterns (BALP).

A row becomes a pattern of BALP where one fits: create, read, update, delete and query, each with or without
a patient. The client is the person's program (its address is the row's origin), the server is this
workstation. Refused requests keep their form with a failed outcome, and so claim no profile: the patterns
are of successes.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from datetime import datetime
from typing import Protocol

from neurolysis.records.fhir.terms import (
    DCM,
    HL7,
    OWN,
    Resource,
    extensions,
    instant,
    patient_key,
    reference,
    without_nothing,
)

BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
ACTIONS = {"create": "C", "read": "R", "update": "U", "delete": "D", "execute": "E"}
SOURCE_ROLE, DESTINATION_ROLE = ("110153", "Source Role ID"), ("110152", "Destination Role ID")
APPLICATION = ("110150", "Application")
CUSTODIAN: Resource = {
    "type": {
        "coding": [
            {
                "system": HL7 + "provenance-participant-type",
                "code": "custodian",
                "display": "Custodian",
            }
        ]
    }
}
QUERIES = ("list", "search", "query")
"""First words of the methods that are queries; other executed ones are operations."""


class AuditLine(Protocol):
    """One line of the store's audit trail, as far as it is mapped."""

    @property
    def seq(self) -> int:
        """Its place in the trail."""

    @property
    def at(self) -> datetime:
        """When."""

    @property
    def user_id(self) -> str:
        """Who, by id."""

    @property
    def user_name(self) -> str:
        """Who, by name."""

    @property
    def role(self) -> str:
        """In which role."""

    @property
    def mode(self) -> str:
        """Whether the name was proven."""

    @property
    def origin(self) -> str:
        """Where the request came from."""

    @property
    def action(self) -> str:
        """create, read, update, delete or execute."""

    @property
    def what(self) -> str:
        """The store's method."""

    @property
    def kind(self) -> str:
        """Kind of the object."""

    @property
    def case_id(self) -> str:
        """Case, or nothing."""

    @property
    def object(self) -> str:
        """Version or number within the case."""

    @property
    def outcome(self) -> str:
        """done or refused."""

    @property
    def detail(self) -> str:
        """More in words."""

    @property
    def hash(self) -> str:
        """The line's hash in the chain."""

    @property
    def previous(self) -> str:
        """The hash of the line before."""


def audit_event(line: AuditLine, server: str) -> Resource:
    """The AuditEvent of one line; ``server`` is the address this server is reached at."""
    name = _interaction(line)
    profile = _profile(name, bool(line.case_id)) if line.outcome == "done" else None
    return without_nothing(
        {
            "resourceType": "AuditEvent",
            "id": f"audit-{line.seq}",
            "meta": without_nothing(
                {"lastUpdated": instant(line.at), "profile": [BALP + profile] if profile else []}
            ),
            "type": {"system": HL7 + "audit-event-type", "code": "rest", "display": "Restful Operation"},
            "subtype": list(_subtypes(line, name)),
            "action": ACTIONS["execute" if name == "search-type" else line.action],
            "recorded": instant(line.at),
            "outcome": "0" if line.outcome == "done" else "4",
            "outcomeDesc": "" if line.outcome == "done" else "refused",
            "agent": [_client(line, name), _server(server, name), _user(line, name)],
            "source": {
                "site": server,
                "observer": {"display": "neurolysis workstation"},
                "type": [
                    {"system": HL7 + "security-source-type", "code": "4", "display": "Application Server"}
                ],
            },
            "entity": list(_entities(line, name)),
            **extensions(audit_hash=line.hash, audit_previous_hash=line.previous),
        }
    )


def _interaction(line: AuditLine) -> str:
    """The restful interaction of a line."""
    if line.action != "execute":
        return line.action if not _is_query(line) else "search-type"
    return "search-type" if _is_query(line) else "operation"


def _is_query(line: AuditLine) -> bool:
    return line.what.split("_")[0] in QUERIES


def _subtypes(line: AuditLine, name: str) -> Iterator[Resource]:
    """The interaction, and the store's method beside it; the pattern of a delete allows one only."""
    yield {"system": "http://hl7.org/fhir/restful-interaction", "code": name, "display": name}
    if name != "delete":
        yield {"system": OWN + "store-method", "code": line.what.replace(" ", "-") or "unnamed"}


def _profile(name: str, with_patient: bool) -> str | None:
    """The BALP profile of an interaction; None where there is none (operations)."""
    words = {
        "create": "Create",
        "read": "Read",
        "update": "Update",
        "delete": "Delete",
        "search-type": "Query",
    }
    if name not in words:
        return None
    return ("Patient" if with_patient else "") + words[name]


# ---------------------------------------------------------------- agents


def _client(line: AuditLine, name: str) -> Resource:
    """The user's program: the data's destination in a read, their source otherwise, as BALP has it."""
    role = {"read": DESTINATION_ROLE, "delete": APPLICATION}.get(name, SOURCE_ROLE)
    address = line.origin or "not recorded"
    return {
        **_dicom_role(role),
        "who": {"display": address},
        "requestor": False,
        "network": {"address": address, "type": "5" if "://" in address else "2" if _is_ip(address) else "1"},
    }


def _server(server: str, name: str) -> Resource:
    role = _dicom_role(SOURCE_ROLE if name == "read" else DESTINATION_ROLE)
    return {
        **(CUSTODIAN if name == "delete" else role),
        "who": {"display": "neurolysis workstation"},
        "requestor": False,
        "network": {"address": server, "type": "5"},
    }


def _user(line: AuditLine, name: str) -> Resource:
    """The person; in a write BALP takes author, informant or custodian."""
    code = (
        ("IRCP", "information recipient")
        if name in ("read", "search-type", "operation")
        else ("AUT", "author")
    )
    proven = "" if line.mode == "accounts" else " (name typed, not authenticated)"
    type_ = {"system": HL7 + "v3-ParticipationType", "code": code[0], "display": code[1]}
    return {
        "type": {"coding": [type_]},
        "role": [{"coding": [{"system": OWN + "role", "code": line.role}]}],
        "who": {
            "identifier": {"system": OWN + "user", "value": line.user_id},
            "display": line.user_name + proven,
        },
        "name": line.user_name,
        "requestor": True,
    }


def _dicom_role(role: tuple[str, str]) -> Resource:
    return {"type": {"coding": [{"system": DCM, "code": role[0], "display": role[1]}]}}


def _is_ip(address: str) -> bool:
    from ipaddress import ip_address

    try:
        ip_address(address)
    except ValueError:
        return False
    return True


# ---------------------------------------------------------------- entities


def _entities(line: AuditLine, name: str) -> Iterator[Resource]:
    """What it was about: the patient where there is one, and the data or the query."""
    if line.case_id:
        yield {
            **_entity("1", "Person", "1", "Patient"),
            "what": reference("Patient", patient_key(line.case_id)),
        }
    if name == "search-type":
        asked = base64.b64encode((line.detail or line.what).encode()).decode()
        yield {**_entity("2", "System Object", "24", "Query"), "query": asked}
    else:
        words = " ".join(filter(None, (line.kind, line.case_id, line.object)))
        what = {"identifier": {"system": OWN + "object", "value": words or line.what}, "display": words}
        data = {**_entity("2", "System Object", "4", "Domain Resource"), "what": without_nothing(what)}
        yield without_nothing({**data, "description": line.detail})


def _entity(type_: str, type_name: str, role: str, role_name: str) -> Resource:
    return {
        "type": {"system": HL7 + "audit-entity-type", "code": type_, "display": type_name},
        "role": {"system": HL7 + "object-role", "code": role, "display": role_name},
    }
