"""What routes take and answer, so that the published interface says it all."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from neurolysis.app.view_xray import Needle
from neurolysis.case import Case
from neurolysis.plan import Notice, Numerics

Plain = dict[str, Any]
CaseId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200)]
Words = Annotated[str, Field(max_length=4000)]


class Body(BaseModel):
    """A request; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ErrorDetail(BaseModel):
    """What is wrong, where, what was found and what is allowed."""

    type: str
    problem: str
    where: str = ""
    found: str = ""
    allowed: str = ""
    version: int | None = Field(default=None, description="of a conflict: the version that stands now")


class ErrorAnswer(BaseModel):
    """Every error has this shape."""

    error: ErrorDetail


class Health(BaseModel):
    """Whether the server answers."""

    status: Literal["ok"]
    version: str


class SessionRequest(Body):
    """Either the token of the launch link, or a name and a password."""

    token: str | None = Field(default=None, max_length=200)
    name: str | None = Field(default=None, max_length=200)
    password: str | None = Field(default=None, max_length=1000)


class SessionAnswer(BaseModel):
    """Who is signed in; ``user`` is null when nobody is."""

    user: str | None
    role: str | None
    mode: Literal["single-user", "accounts"]
    notice: str
    version: str
    sign_on: str | None = Field(description="title of the single sign-on that is offered")


class Done(BaseModel):
    """It was done."""

    ok: Literal[True] = True


class NewCase(Body):
    """A new case: a demonstration by name, or the case itself."""

    demo: str | None = Field(default=None, max_length=100)
    case: Case | None = None


class SaveCase(Body):
    """The case as it is to be; ``reason`` stands in its history."""

    case: Case
    reason: Words = ""


class DraftAnswer(BaseModel):
    """What was typed, and when."""

    kind: str
    data: JsonValue
    saved_at: datetime | None


class CaseAnswer(BaseModel):
    """One version of a case, with what stops its newest plan and where that plan stands."""

    id: str
    version: int
    state: str
    updated_at: datetime
    updated_by: str
    trashed: bool = False
    case: Plain
    files: dict[str, str]
    stops: list[Notice]
    citations: dict[str, str]
    approval: Plain | None
    draft: dict[str, DraftAnswer]


class ImportAnswer(BaseModel):
    """What an import made, and what was left out and why."""

    id: str
    version: int
    notes: list[str]


class CurveRequest(Body):
    """One dose of a local anaesthetic."""

    agent: str = Field(max_length=100)
    dose_mg: float = Field(gt=0, le=5000)
    site: str = Field(max_length=100)
    epinephrine: bool = False
    weight_kg: float | None = Field(default=None, gt=0, le=400)


class XrayRequest(Body):
    """A simulated X-ray; ``placements`` null takes those of the saved case."""

    lao_deg: float = Field(default=0.0, ge=-180, le=180)
    cranial_deg: float = Field(default=0.0, ge=-89, le=89)
    placements: list[Needle] | None = Field(default=None, max_length=12)
    columns: int = Field(default=360, ge=64, le=768)
    rows: int | None = Field(
        default=None, ge=64, le=768, description="the picture is square; same as columns"
    )


class Angles(BaseModel):
    """Of the C-arm, degrees."""

    lao_deg: float
    cranial_deg: float


class SimulateRequest(Body):
    """Simulate one version of a case."""

    case_version: int = Field(ge=1, le=10**9)
    numerics: Numerics | None = None


class JobAnswer(BaseModel):
    """How far a job is."""

    job_id: str
    case_id: str
    state: Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]
    fraction: float
    message: str
    plan_number: int | None = None
    error: Plain | None = None
    created_at: datetime
    updated_at: datetime


class PlanAnswer(BaseModel):
    """A plan's record and where it stands now."""

    record: Plain
    status: Plain
    row: Plain
    citations: dict[str, str] = Field(
        default_factory=dict, description="what stands behind the source ids of the record"
    )


class OverrideRequest(Body):
    """A stop that is set aside, and why."""

    code: str = Field(min_length=1, max_length=200)
    reason: Words


class ApprovalRequest(Body):
    """Who approves and why; with accounts the name is the user's own."""

    name: str = Field(min_length=1, max_length=200)
    reason: Words = ""
    overrides: list[OverrideRequest] = Field(default_factory=list, max_length=100)


class DocumentBody(Body):
    """A procedure, outcome or consent as plain data; it is checked against its schema."""

    value: Plain
    reason: Words = ""


class DocumentAnswer(BaseModel):
    """One version of a document; version 0 is none yet."""

    kind: str
    version: int
    value: Plain | None
    updated_at: datetime | None = None
    updated_by: str = ""
    check: Plain | None = Field(default=None, description="of a procedure: what the rules of the room say")


class Stops(BaseModel):
    """What stops approval now, in words; ``plan`` is the plan that was looked at.

    ``citations`` are those of the sources the stops name; a stop without one says ``assumption: ...``.
    """

    plan: int | None
    stops: list[Notice]
    recheck: list[str]
    mark: str
    overridable: list[str]
    citations: dict[str, str]


class NewUser(Body):
    """A new account; identity is "issuer|subject" of single sign-on."""

    name: str = Field(min_length=1, max_length=200)
    role: Literal["clinician", "planner", "registrar", "patient", "administrator"]
    password: str = Field(default="", max_length=1000)
    identity: str = Field(default="", max_length=1000)


class RoleRequest(Body):
    """The role somebody gets."""

    role: Literal["clinician", "planner", "registrar", "patient", "administrator"]


class DisabledRequest(Body):
    """Whether an account is closed."""

    disabled: bool


class PasswordRequest(Body):
    """A new password."""

    password: str = Field(min_length=1, max_length=1000)


class ShareRequest(Body):
    """Who is to see a case."""

    user_id: str = Field(min_length=1, max_length=200)


class NameRequest(Body):
    """The patient's name as this site writes it; a case file never holds it."""

    name: str = Field(max_length=200)
