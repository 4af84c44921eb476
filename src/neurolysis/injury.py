"""Injury: what each nerve and structure suffers along its length."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.geometry import Point
from neurolysis.quantity import Value
from neurolysis.scene import FibreClass, Limit, Review

Coverage = Literal["covered", "partly covered", "not covered", "no verdict"]


class CriterionInjury(Value):
    """A nerve by one lesion criterion.

    ``probability_any`` and ``probability_critical`` hold the chance, under the nerve's positional
    spread, that some of it is lesioned and that at least the critical length is; ``None`` where it
    was not computed.
    """

    criterion: str
    label: str
    longest_lesioned_mm: float = Field(ge=0)
    lesioned_mm: float = Field(ge=0)
    length_p5_mm: float | None = None
    length_p95_mm: float | None = None
    probability_any: float | None = Field(default=None, ge=0, le=1)
    probability_critical: float | None = Field(default=None, ge=0, le=1)


class Grade(Value):
    """Sunderland grade, or "indeterminate" with the reason; never guessed."""

    grade: Literal["I", "II", "III", "IV", "V", "indeterminate", "none"]
    rule: str
    source: str


class NerveInjury(Value):
    """One nerve: profiles along its course and what follows from them.

    Profiles are lists over ``arc_mm``. ``killed_fraction`` holds one profile per fibre class; where
    the sources show no selectivity all classes carry the same values and ``selectivity_note`` says so.
    """

    nerve: str
    is_target: bool
    review: Review
    arc_mm: tuple[float, ...]
    points_mm: tuple[Point, ...]
    profiles: Mapping[str, tuple[float, ...]]
    profile_units: Mapping[str, str]
    killed_fraction: Mapping[FibreClass, tuple[float, ...]]
    selectivity_note: str
    by_criterion: tuple[CriterionInjury, ...]
    criteria_disagree: bool
    critical_length_mm: float | None = None
    critical_length_source: str = ""
    coverage: Coverage
    coverage_reason: str
    grade: Grade
    outside_grid_mm: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _same_length(self) -> Self:
        for name, values in {**self.profiles, **{str(k): v for k, v in self.killed_fraction.items()}}.items():
            if len(values) != len(self.arc_mm):
                raise ValueError(f"profile '{name}' has {len(values)} values for {len(self.arc_mm)} stations")
        return self


class LimitCheck(Value):
    """One limit held against the value found; ``value`` None is "cannot say" with its reason."""

    limit: Limit
    value: float | None
    verdict: Literal["ok", "warn", "stop", "cannot say"]
    margin: float | None = None
    reason: str = ""


class StructureInjury(Value):
    """One structure at risk: its worst values and its limits.

    ``distance_to_lesion_mm`` is from the structure to the nearest edge of the largest lesion, negative
    where they overlap. ``alternatives`` holds peak temperatures under other boundary treatments of a
    fluid-filled space, by name.
    """

    structure: str
    kind: str
    review: Review
    peak_temperature_c: float | None = None
    lowest_temperature_c: float | None = Field(default=None, description="where tissue is cooled")
    peak_point_mm: Point | None = None
    cem43_min: float | None = None
    agent_share: float | None = Field(
        default=None, description="highest concentration of an agent, part of the least neurolytic one"
    )
    distance_to_lesion_mm: float | None = None
    distance_to_course_mm: float | None = Field(
        default=None, description="to the surface of a nerve's operated stretch, where there is no lesion"
    )
    alternatives: Mapping[str, float] = Field(default_factory=dict)
    checks: tuple[LimitCheck, ...] = ()
    note: str = ""

    @property
    def distance_mm(self) -> float | None:
        """Distance to what was treated: the lesion, else the operated stretch."""
        if self.distance_to_lesion_mm is not None:
            return self.distance_to_lesion_mm
        return self.distance_to_course_mm


class Injury(Value):
    """All nerves and structures of a scene under one exposure."""

    schema_version: Literal[1] = 1
    exposure_hash: str
    damage_start: str = Field(
        description="where damage starts: '43 C', 'baseline subtracted', or the agent's lethal dose"
    )
    nerves: tuple[NerveInjury, ...]
    structures: tuple[StructureInjury, ...]
    notes: tuple[str, ...] = ()

    def target(self) -> NerveInjury:
        """The target nerve's injury; ValueError when there is not exactly one."""
        targets = [nerve for nerve in self.nerves if nerve.is_target]
        if len(targets) != 1:
            raise ValueError(f"exactly one target nerve expected, found {len(targets)}")
        return targets[0]
