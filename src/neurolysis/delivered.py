"""Delivered: what was really given, as logged; never corrected to what was planned."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from neurolysis.geometry import Point
from neurolysis.quantity import Value


class DeliveredStep(Value):
    """One burn or injection as given. Lists of the log run over ``time_s``."""

    start: datetime
    technique: str
    instrument: str
    tip_mm: Point | None = None
    direction_to_hub: Point | None = None
    settings: dict[str, str | float | int | bool | None] = Field(default_factory=dict)
    time_s: tuple[float, ...] = ()
    log: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    aborted: bool = False
    abort_reason: str = ""


class Delivered(Value):
    """The procedure as given, tied to the plan it followed."""

    schema_version: Literal[1] = 1
    case_id: str
    plan_hash: str | None = Field(description="None: given without a plan of this program")
    steps: tuple[DeliveredStep, ...] = Field(min_length=1)
    operator: str = ""
    remarks: str = ""
