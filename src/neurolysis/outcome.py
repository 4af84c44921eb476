"""Outcome: how the patient fared: recovery on the day, the diary, complications and dated visits."""

from __future__ import annotations

import itertools
from datetime import date, datetime
from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.case import Medication, Score, Side
from neurolysis.quantity import Value


class AdverseEvent(Value):
    """A harm, as reported; the grading scale is named with the grade."""

    name: str = Field(min_length=1)
    onset: date | None = None
    resolved: date | None = None
    grade: str = ""
    grading_scale: str = ""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.onset and self.resolved and self.resolved < self.onset:
            raise ValueError(f"resolved {self.resolved} before its onset {self.onset}")
        return self


class Complication(AdverseEvent):
    """A harm with what grading asks for; None is not said.

    ``treatment`` is the most that was done: nothing, simple drugs (of the first class of Clavien and
    Dindo), other drugs, intervention without or with general anaesthesia, intensive care of one or
    several organs. ``limits`` is what it keeps the patient from.
    """

    treatment: Literal[
        "none", "simple drugs", "other drugs", "intervention", "intervention under general anaesthesia",
        "intensive care, one organ", "intensive care, several organs",
    ] | None = None  # fmt: skip
    limits: Literal["nothing", "instrumental activities", "self-care"] | None = None
    hospital: bool | None = None
    life_threatening: bool | None = None
    died: bool | None = None
    disability_at_discharge: bool | None = None


class Visit(Value):
    """One follow-up contact."""

    day: date
    scores: tuple[Score, ...] = ()
    relief_percent: float | None = Field(default=None, ge=-100, le=100)
    opioid_mme_per_day: float | None = Field(default=None, ge=0)
    events: tuple[AdverseEvent, ...] = ()
    note: str = ""


class DoneProcedure(Value):
    """What was done; ``modality`` is an id of the evidence base, ``target`` of the nerve catalogue."""

    modality: str = Field(min_length=1)
    target: str = Field(min_length=1)
    side: Side
    performed: datetime
    sedation: Literal["none", "minimal", "moderate", "deep", "general"] = "none"
    baseline_pain: float | None = Field(default=None, ge=0, le=10)
    baseline_systolic_mmhg: float | None = Field(default=None, gt=20, lt=350)


class VitalSigns(Value):
    """One reading after the procedure; None was not measured."""

    minutes: float = Field(ge=0, le=2880)
    systolic_mmhg: float | None = Field(default=None, gt=20, lt=350)
    heart_rate_per_min: float | None = Field(default=None, gt=10, lt=300)
    oxygen_saturation_percent: float | None = Field(default=None, ge=30, le=100)
    on_oxygen: bool | None = None
    temperature_c: float | None = Field(default=None, gt=25, lt=45)


class RecoveryCheck(Value):
    """One scored recovery check: points by item of the scale."""

    minutes: float = Field(ge=0, le=2880)
    scale: Literal["aldrete", "padss", "modified_padss"]
    items: dict[str, int | None] = Field(default_factory=dict)


class DiaryDay(Value):
    """One day of the patient's diary; ``function`` 0 (nothing possible) to 10 (everything)."""

    day: date
    pain: float | None = Field(default=None, ge=0, le=10)
    function: float | None = Field(default=None, ge=0, le=10)
    medications: tuple[Medication, ...] | None = None
    note: str = ""


class Outcome(Value):
    """Everything seen after one delivery."""

    schema_version: Literal[1] = 1
    case_id: str
    delivered_hash: str | None = None
    procedure: DoneProcedure | None = None
    vital_signs: tuple[VitalSigns, ...] = ()
    recovery: tuple[RecoveryCheck, ...] = ()
    diary: tuple[DiaryDay, ...] = ()
    complications: tuple[Complication, ...] = ()
    discharged: datetime | None = None
    visits: tuple[Visit, ...] = ()
    clinician: str = Field(default="", description="who confirms what only a clinician may")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        done, left = self.procedure, self.discharged
        if done and left and left < done.performed:
            raise ValueError(f"discharged {left} before the procedure {done.performed}")
        for name, times in (
            ("vital_signs", [v.minutes for v in self.vital_signs]),
            ("diary", [float(d.day.toordinal()) for d in self.diary]),
        ):
            if any(later <= earlier for earlier, later in itertools.pairwise(times)):
                raise ValueError(f"{name}: in order of time, each once")
        return self
