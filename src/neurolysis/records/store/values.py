"""What the store takes and gives: principals, rows, pages and problems."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any, Literal

from pydantic import Field, JsonValue

from neurolysis.approval import Approval
from neurolysis.case import Case, Side
from neurolysis.plan import Notice
from neurolysis.quantity import Value

Role = Literal["clinician", "planner", "registrar", "patient", "administrator"]
Mode = Literal["single-user", "accounts"]
State = Literal["to evaluate", "planned", "approved", "delivered", "follow-up due"]
DocumentKind = Literal["procedure", "outcome", "consent"]
DOCUMENT_KINDS: tuple[DocumentKind, ...] = ("procedure", "outcome", "consent")
LOCAL_USER = "local"
"""User id of the one person of a store without accounts."""


class Principal(Value):
    """Who asks. ``mode`` "single-user": one person on one machine, whose name is typed, not checked.

    ``origin`` is where the request came from (an address, "command line"); it goes into the audit trail.
    """

    user_id: str = Field(min_length=1)
    name: str = Field(min_length=1)
    role: Role
    mode: Mode = "accounts"
    origin: str = ""

    @property
    def authenticated(self) -> bool:
        """Whether the name was proven by a login."""
        return self.mode == "accounts"


def local_principal(name: str = "local user", origin: str = "command line") -> Principal:
    """The one user of a store without accounts."""
    return Principal(user_id=LOCAL_USER, name=name, role="clinician", mode="single-user", origin=origin)


class CaseRow(Value):
    """One line of the list of cases."""

    id: str
    title: str
    patient_id: str
    patient_name: str = Field(default="", description="as entered at this site; a case file holds none")
    nerve: str = ""
    side: Side | None = None
    level: str = ""
    technique: str = ""
    state: State
    version: int
    updated_at: datetime
    demonstration: bool
    follow_up_from: date | None = Field(default=None, description="first day of the next contact")


class CasePage(Value):
    """Part of a list; ``total`` counts all that fit."""

    total: int
    rows: tuple[CaseRow, ...]


class StoredCase(Value):
    """One version of a case. ``files`` maps each name in the case folder to its SHA-256."""

    id: str
    version: int
    case: Case
    files: Mapping[str, str]
    state: State
    updated_at: datetime
    updated_by: str
    reason: str = ""
    trashed: bool = False


class CaseVersion(Value):
    """One line of a case's history."""

    version: int
    made_at: datetime
    made_by: str
    reason: str
    hash: str


class Draft(Value):
    """What a user had typed, as it was."""

    case_id: str
    kind: str
    data: JsonValue
    updated_at: datetime


class Document(Value):
    """One version of a procedure, outcome or consent."""

    case_id: str
    kind: DocumentKind
    version: int
    value: Mapping[str, Any]
    made_at: datetime
    made_by: str
    hash: str


class PlanRow(Value):
    """One line of a case's plans. ``mark`` is DRAFT, or who approved this very plan."""

    number: int
    case_version: int
    hash: str
    mark: str
    made_at: datetime
    made_by: str
    files: tuple[str, ...]
    summary: Mapping[str, Any]


class StoredPlan(Value):
    """A plan with its record as it is now: mark and approval are of today, the rest never changes."""

    row: PlanRow
    record: Mapping[str, Any]
    approval: Approval | None = None


class PlanStatus(Value):
    """Where a plan stands. ``recheck`` says in words what has changed since it was made."""

    number: int
    mark: str
    approved: bool
    recheck: tuple[str, ...]
    open_stops: tuple[Notice, ...]
    overridable: tuple[str, ...] = Field(description="codes this user may override, with a reason")
    overrides: tuple[Mapping[str, str], ...] = ()


class User(Value):
    """A person with an account; the password's hash never leaves the store."""

    id: str
    name: str
    role: Role
    disabled: bool = False


class Session(Value):
    """A server-side session, without its token."""

    principal: Principal
    opened_at: datetime
    expires_at: datetime


class AuditRow(Value):
    """One line of the audit trail. ``hash`` covers the line and the hash of the line before."""

    seq: int
    at: datetime
    user_id: str
    user_name: str
    role: str
    mode: str
    origin: str
    action: Literal["create", "read", "update", "delete", "execute"]
    what: str = Field(description="the method in a word, for instance approve_plan")
    kind: str
    case_id: str
    patient_id: str
    object: str = Field(description="version or number within the case")
    outcome: Literal["done", "refused"]
    detail: str
    previous: str
    hash: str


class Problem(Value):
    """Something a check found wrong; ``severity`` "note" loses nothing."""

    severity: Literal["error", "note"] = "error"
    where: str
    text: str
