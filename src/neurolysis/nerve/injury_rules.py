"""The rules of the injury assessment as data: ``rules/injury.yaml``, validated once."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.evidence.store import load_yaml, read_value, sources
from neurolysis.injury import Grade
from neurolysis.quantity import Quantity, Value

RULES = Path(__file__).parent / "rules"
"""Folder of the rule files; part of the evidence version."""


class Selectivity(Value):
    """What the sources say about fibre classes."""

    note: str
    sources: tuple[str, ...] = Field(min_length=1)
    conflicting: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = {*self.sources, *self.conflicting} - set(sources())
        if unknown:
            raise ValueError(f"unknown sources {sorted(unknown)}")
        return self


class GradeRule(Value):
    """One statement about the Sunderland grade; only a rule with ``decides`` gives an answer.

    A rule ``after`` cold speaks of nerves that were cooled, "no cold" of others; ``lowest_from_c`` to
    ``lowest_to_c`` is the lowest temperature it speaks of (open where not given).
    """

    id: str
    after: Literal["any", "cold", "no cold"] = "any"
    lowest_from_c: float | None = None
    lowest_to_c: float | None = None
    condition: Literal["reached", "not reached"]
    decides: bool
    grade: Literal["I", "II", "III", "IV", "V", "indeterminate", "none"]
    rule: str
    source: str

    def fits(self, condition: str, lowest_c: float | None) -> bool:
        """Whether the rule speaks of this nerve; ``lowest_c`` None where nothing was cooled."""
        cooled = "no cold" if lowest_c is None else "cold"
        if self.condition != condition or self.after not in ("any", cooled):
            return False
        low, high = self.lowest_from_c, self.lowest_to_c
        if lowest_c is None:
            return low is None and high is None
        return (low is None or lowest_c >= low) and (high is None or lowest_c <= high)


class InjuryRules(Value):
    """All numbers and rules of the injury assessment.

    ``samples`` is a power of two, because the quasi-random sequence is balanced only there.
    """

    schema_version: Literal[1] = 1
    critical_length: Quantity
    length_source: str
    covered_probability: Quantity
    disagreement: Quantity
    samples: int = Field(ge=64, le=65536)
    seed: int
    station_step_mm: float = Field(gt=0, le=0.25)
    selectivity: Selectivity
    cold_selectivity: Selectivity
    cold_return: Selectivity
    grades: tuple[GradeRule, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.samples & (self.samples - 1):
            raise ValueError(f"samples must be a power of two, is {self.samples}")
        decided = {rule.condition for rule in self.grades if rule.decides}
        if decided != {"reached", "not reached"}:
            raise ValueError("each condition needs a grade rule that decides")
        return self

    def grade(self, reached: bool, lowest_c: float | None = None) -> Grade:
        """The grade of a nerve that some criterion reaches (or none does), with every statement quoted.

        ``lowest_c``: lowest temperature on the nerve, where the treatment cools.
        """
        condition = "reached" if reached else "not reached"
        fitting = [rule for rule in self.grades if rule.fits(condition, lowest_c)]
        deciding = next(rule for rule in fitting if rule.decides)
        quoted = [rule.rule for rule in fitting if not rule.decides]
        cited = dict.fromkeys(rule.source for rule in fitting)
        return Grade(grade=deciding.grade, rule=" ".join([deciding.rule, *quoted]), source="; ".join(cited))


@cache
def injury_rules() -> InjuryRules:
    """The shipped rules; every source they name is checked."""
    return read_value(InjuryRules, load_yaml("injury.yaml", RULES), "nerve/rules/injury.yaml")
