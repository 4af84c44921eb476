"""Prognosis: benefit, harms and duration; each number carries an interval and where it came from."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.exposure import Provenance
from neurolysis.quantity import Value


class StudyFigure(Value):
    """One published figure as it entered a prediction: ``row`` is its id in the evidence base."""

    row: str
    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None
    design: str = ""
    definition: str = ""
    source: str
    confidence: str = ""


class Prediction(Value):
    """One predicted number with its interval; ``value`` None is a printed range alone, or "none found".

    ``outcome`` is an outcome family of the evidence base; ``definition`` and ``denominator`` say what
    was counted and among whom: figures that differ in either are never pooled. ``basis`` is how the
    number came about. ``interval`` says what ``low`` and ``high`` are.
    """

    outcome: str
    title: str = ""
    unit: str
    value: float | None
    low: float | None = None
    high: float | None = None
    interval: str = ""
    at_months: float | None = Field(default=None, ge=0)
    definition: str = ""
    denominator: str = ""
    design: str = ""
    basis: Literal["pooled", "single study", "as printed", "none found"] = "as printed"
    provenance: Provenance
    studies: tuple[StudyFigure, ...] = ()
    sources: tuple[str, ...] = ()
    statement: str = ""

    @model_validator(mode="after")
    def _interval_holds_value(self) -> Self:
        if self.value is None and self.low is not None and self.high is not None:
            if not self.interval or self.low > self.high:
                raise ValueError("a range without a value says in 'interval' what it is, low first")
            return self
        if self.value is None:
            if self.basis != "none found":
                raise ValueError(f"no value, so the basis is 'none found', not '{self.basis}'")
            return self
        if (self.low is None) != (self.high is None):
            raise ValueError("an interval needs both its ends")
        if self.low is None or self.high is None:
            if not self.interval:
                raise ValueError("a value without interval says in 'interval' why it has none")
            return self
        if not self.low <= self.value <= self.high:
            raise ValueError(f"value {self.value} outside its interval [{self.low}, {self.high}]")
        return self


class Return(Value):
    """When feeling and pain may come back: the earliest by regrowth, beside published returns."""

    applies: bool
    reason: str
    distance_mm: float | None = None
    rate_mm_per_day: tuple[float, float] | None = None
    earliest_months: tuple[float, float] | None = None
    published: tuple[StudyFigure, ...] = ()
    sources: tuple[str, ...] = ()


class Prognosis(Value):
    """Benefit and harms of one technique for one condition, for a plan if there is one.

    ``technique`` is a modality id of the evidence base; ``coverage_link`` states how simulated coverage
    entered, or that it did not.
    """

    schema_version: Literal[1] = 1
    technique: str
    condition: str
    target: str
    plan_hash: str | None
    evidence_version: str
    benefits: tuple[Prediction, ...] = ()
    harms: tuple[Prediction, ...] = ()
    duration: tuple[Prediction, ...] = ()
    other: tuple[Prediction, ...] = ()
    regrowth: Return | None = None
    coverage_link: str = ""
    general_claim: str = ""
    caveats: tuple[str, ...] = ()
