"""Outcome: how the patient fared, at dated visits."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import Field

from neurolysis.case import Score
from neurolysis.quantity import Value


class AdverseEvent(Value):
    """A harm, as reported; the grading scale is named with the grade."""

    name: str = Field(min_length=1)
    onset: date | None = None
    resolved: date | None = None
    grade: str = ""
    grading_scale: str = ""


class Visit(Value):
    """One follow-up contact."""

    day: date
    scores: tuple[Score, ...] = ()
    relief_percent: float | None = Field(default=None, ge=-100, le=100)
    opioid_mme_per_day: float | None = Field(default=None, ge=0)
    events: tuple[AdverseEvent, ...] = ()
    note: str = ""


class Outcome(Value):
    """Everything seen after one delivery."""

    schema_version: Literal[1] = 1
    case_id: str
    delivered_hash: str | None = None
    visits: tuple[Visit, ...] = ()
