"""Procedure: what happened in the room, from time-out to the last check; and the patient's consent.

It is written while things happen, so nearly everything may be missing; what is missing is unknown, never
"fine". It is a record: nothing here is corrected to what was planned, and nothing given can be refused.
Whether it may go on is said by the rules of the room (``planning``).
"""

from __future__ import annotations

import itertools
from datetime import date, datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.case import Side
from neurolysis.delivered import Delivered, DeliveredStep
from neurolysis.quantity import Value

Sedation = Literal["none", "minimal", "moderate", "deep", "general"]


class Identifier(Value):
    """One way the patient was recognised; the value itself stays on the wristband, not here."""

    kind: Literal["name", "date of birth", "record number", "wristband", "address", "photograph"]
    matches: bool | None = None


class TimeOut(Value):
    """The pause before anything is given: each item as it was said aloud; None was not said."""

    time: datetime | None = None
    led_by: str = ""
    present: tuple[str, ...] = ()
    identifiers: tuple[Identifier, ...] = ()
    side: Side | None = Field(default=None, description="as the patient and the team say it")
    side_marked: bool | None = None
    level: str | None = Field(default=None, description="bony level or joint, as the team says it")
    consent: bool | None = None
    allergies_read: bool | None = Field(default=None, description="whether allergies were asked for aloud")
    allergies: tuple[str, ...] | None = Field(default=None, description="as said; empty: none known")
    anticoagulant: Literal["none", "paused as agreed", "not paused", "continued as agreed"] | None = None
    implant: Literal["none", "settled", "not settled"] | None = None


class Agent(Value):
    """A vial, ampoule or bag that was opened."""

    name: str = Field(min_length=1)
    purpose: Literal["local anaesthetic", "neurolytic", "contrast", "steroid", "saline", "sedative", "other"]
    strength: str = ""
    lot: str = ""
    expires: date | None = None
    checked_by: str = ""


class Stimulation(Value):
    """A test of the needle's place; thresholds in volts as the generator shows them, None not tested.

    ``motor_none_up_to_v``: no movement was seen up to this voltage.
    """

    time: datetime
    needle: int = Field(ge=1)
    sensory_threshold_v: float | None = Field(default=None, ge=0, le=10)
    sensory_where_the_pain_is: bool | None = None
    motor_threshold_v: float | None = Field(default=None, ge=0, le=10)
    motor_none_up_to_v: float | None = Field(default=None, ge=0, le=10)
    motor_of_limb: bool | None = Field(
        default=None, description="movement of a limb, not of the muscle nearby"
    )
    impedance_ohm: float | None = Field(default=None, ge=0, le=10_000)

    @model_validator(mode="after")
    def _either(self) -> Self:
        seen, none = self.motor_threshold_v, self.motor_none_up_to_v
        if seen is not None and none is not None and seen <= none:
            raise ValueError(f"movement at {seen:g} V, but none up to {none:g} V")
        return self


class GivenStep(DeliveredStep):
    """One burn or injection as given; ``settings`` and ``log`` hold what the technique or device says."""

    kind: Literal["local anaesthetic", "lesion", "injection", "contrast"]
    needle: int = Field(default=1, ge=1)
    place: Literal["skin", "track", "target"] | None = Field(
        default=None, description="where a local anaesthetic or contrast went"
    )
    nerve: str = Field(default="", description="target or nerve id; empty: the case's target")
    side: Side | None = None
    level: str | None = None
    agent: str = Field(default="", description="name of one of the agents")
    volume_ml: float | None = Field(default=None, gt=0, le=500)
    aspiration: Literal["negative", "blood", "cerebrospinal fluid", "air", "not done"] | None = None
    contrast_pattern: (
        Literal[
            "as expected",
            "into a vessel",
            "epidural",
            "intrathecal",
            "into the nerve",
            "other",
            "no contrast",
        ]
        | None
    ) = None
    impedance_ohm: float | None = Field(default=None, ge=0, le=10_000, description="just before this step")
    duration_s: float | None = Field(default=None, ge=0, le=86_400)
    peak_temperature_c: float | None = Field(default=None, ge=-273.15, le=200)
    note: str = ""

    @model_validator(mode="after")
    def _abort_has_its_reason(self) -> Self:
        if self.aborted and not self.abort_reason.strip():
            raise ValueError("an aborted step needs its abort_reason")
        return self


class ImageView(Value):
    """A view that was looked at or kept."""

    kind: Literal["fluoroscopy", "ultrasound", "CT", "MR"]
    name: str = Field(min_length=1)
    time: datetime | None = None
    lao_deg: float | None = Field(default=None, ge=-180, le=180)
    cranial_deg: float | None = Field(default=None, ge=-90, le=90)
    kept: bool | None = None
    shows: str = ""


class RadiationDose(Value):
    """As the device shows it at the end."""

    fluoroscopy_s: float | None = Field(default=None, ge=0, le=36_000)
    dose_area_product_gy_cm2: float | None = Field(default=None, ge=0, le=10_000)
    air_kerma_mgy: float | None = Field(default=None, ge=0, le=100_000)


class Abort(Value):
    """The whole procedure was stopped before its end."""

    time: datetime | None = None
    reason: str = Field(min_length=3)
    decided_by: str = ""


class NeurologicalCheck(Value):
    """Strength, feeling and bladder after the procedure, compared with before; None was not examined."""

    time: datetime
    strength: Literal["as before", "weaker"] | None = None
    feeling: Literal["as before", "as intended", "new loss"] | None = None
    bladder: Literal["as before", "new trouble"] | None = None
    examined_by: str = ""
    note: str = ""

    @property
    def new_deficit(self) -> bool:
        """Whether something is lost that was not meant to be."""
        return self.strength == "weaker" or self.feeling == "new loss" or self.bladder == "new trouble"


class Procedure(Value):
    """The record of the room."""

    schema_version: Literal[1] = 1
    case_id: str
    plan_number: int | None = Field(default=None, ge=1, description="None: without a plan of this program")
    plan_hash: str | None = None
    operator: str = ""
    assistants: tuple[str, ...] = ()
    started: datetime | None = None
    ended: datetime | None = None
    time_out: TimeOut = TimeOut()
    sedation: Sedation | None = None
    pain_before: float | None = Field(default=None, ge=0, le=10)
    systolic_before_mmhg: float | None = Field(default=None, gt=20, lt=350)
    agents: tuple[Agent, ...] = ()
    stimulation: tuple[Stimulation, ...] = ()
    steps: tuple[GivenStep, ...] = ()
    views: tuple[ImageView, ...] = ()
    radiation: RadiationDose = RadiationDose()
    abort: Abort | None = None
    checks: tuple[NeurologicalCheck, ...] = ()
    signed_by: str = ""
    remarks: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        for name, times in (
            ("stimulation", [item.time for item in self.stimulation]),
            ("steps", [item.start for item in self.steps]),
            ("checks", [item.time for item in self.checks]),
        ):
            for earlier, later in itertools.pairwise(times):
                if _after(earlier, later):
                    raise ValueError(f"{name}: in order of time, {earlier} stands before {later}")
        if self.started and self.ended and _after(self.started, self.ended):
            raise ValueError(f"ended {self.ended} before it was started {self.started}")
        return self

    @property
    def treating(self) -> tuple[GivenStep, ...]:
        """The burns and injections that treat; numbing and contrast are none."""
        return tuple(step for step in self.steps if step.kind in ("lesion", "injection"))

    def delivered(self) -> Delivered | None:
        """What was given as a Delivered; None where nothing that treats was."""
        if not self.treating:
            return None
        fields = set(DeliveredStep.model_fields)
        steps = tuple(DeliveredStep(**step.model_dump(include=fields)) for step in self.treating)
        return Delivered(
            case_id=self.case_id, plan_hash=self.plan_hash, steps=steps, operator=self.operator,
            remarks=self.remarks,
        )  # fmt: skip


class Consent(Value):
    """The patient's consent; ``document`` names the paper or file, which is kept elsewhere.

    ``signed_on`` is the day it was signed or refused; ``language`` that of the talk (``en``, ``de-CH``).
    """

    schema_version: Literal[1] = 1
    case_id: str
    given: bool | None = None
    signed_on: date | None = None
    by: str = ""
    language: str = Field(default="", pattern=r"^([a-z]{2,3}(-[A-Za-z0-9]{2,8})*)?$")
    document: str = ""
    revoked_on: date | None = None
    notes: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.signed_on and self.revoked_on and self.revoked_on < self.signed_on:
            raise ValueError(f"revoked {self.revoked_on} before it was signed {self.signed_on}")
        return self

    @property
    def stands(self) -> bool:
        """Whether consent was given and not taken back."""
        return bool(self.given) and self.revoked_on is None


def _after(first: datetime, second: datetime) -> bool:
    """Whether the first time is later; a time with a zone and one without are compared by the clock."""
    if (first.tzinfo is None) != (second.tzinfo is None):
        return first.replace(tzinfo=None) > second.replace(tzinfo=None)
    return first > second
