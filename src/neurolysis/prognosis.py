"""Prognosis: benefit, harms and duration; each number carries an interval and where it came from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.exposure import Provenance
from neurolysis.quantity import Value


class Prediction(Value):
    """One predicted number with its interval; ``value`` None says "none found"."""

    outcome: str
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    at_months: float | None = Field(default=None, ge=0)
    provenance: Provenance
    sources: tuple[str, ...] = ()
    statement: str = ""

    @model_validator(mode="after")
    def _interval_holds_value(self) -> Self:
        if self.value is None:
            return self
        if self.low is None or self.high is None:
            raise ValueError("a predicted value needs its interval (low and high)")
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value} outside its interval [{self.low}, {self.high}]")
        return self


class Prognosis(Value):
    """Benefit and harms of one plan."""

    schema_version: Literal[1] = 1
    plan_hash: str
    evidence_version: str
    benefits: tuple[Prediction, ...] = ()
    harms: tuple[Prediction, ...] = ()
    duration: tuple[Prediction, ...] = ()
    caveats: tuple[str, ...] = ()
