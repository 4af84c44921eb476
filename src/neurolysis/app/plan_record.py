"""``plan.json``: a planned and simulated case as one versioned JSON object."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, Field

from neurolysis import __version__
from neurolysis.app.files import read_json
from neurolysis.approval import RESEARCH_USE, Approval, open_stops
from neurolysis.delivery.technique import protocol_models, technique
from neurolysis.errors import InputError
from neurolysis.exposure import (
    Answer,
    EnergyBalance,
    Exposure,
    LesionCriterion,
    LesionSize,
    LineFields,
    ResultTable,
)
from neurolysis.geometry import Point
from neurolysis.injury import Injury
from neurolysis.plan import Notice, Plan
from neurolysis.planning.quadrants import QuadrantCoverage
from neurolysis.planning.result import PlanResult
from neurolysis.quantity import Quantity, Value, parse

SCHEMA_NAME = "neurolysis-plan-result"


class Assumption(Value):
    """A number no source supports, and where this result uses it."""

    where: str
    number: Quantity


class Hashes(Value):
    """SHA-256 of everything the result rests on, so that it can be traced back."""

    case: str
    scene: str
    plan: str
    exposure: str
    injury: str
    evidence_version: str


class Trace(Value):
    """What the generator and the tissue did: one value a time step; null where there is none."""

    time_s: tuple[float, ...]
    series: Mapping[str, tuple[float | None, ...]]
    units: Mapping[str, str]


class LineTrace(Value):
    """What was found along one nerve: one value a station, ``arc_mm`` from its first point."""

    nerve: str
    arc_mm: tuple[float, ...]
    points_mm: tuple[Point, ...]
    series: Mapping[str, tuple[float | None, ...]]
    units: Mapping[str, str]
    stretches_mm: Mapping[str, tuple[tuple[float, float], ...]] = Field(default_factory=dict)


class PlanRecord(Value):
    """A plan with its simulation, its injury assessment and everything that must be said with it.

    ``mark`` is DRAFT, or who approved this very plan. ``stops`` are the codes of the notices that
    forbid approval. Two runs on one machine differ only in times: ``timing_s`` (seconds of each part)
    and those of ``solver``.
    """

    model_config = ConfigDict(serialize_by_alias=True, validate_by_name=True, validate_by_alias=True)

    schema_name: Literal["neurolysis-plan-result"] = Field(default="neurolysis-plan-result", alias="schema")
    schema_version: Literal[1] = 1
    mark: str = Field(min_length=1)
    research_use: str = RESEARCH_USE
    software_version: str
    demonstration: bool
    hashes: Hashes
    setting: tuple[tuple[str, str], ...] = Field(description="the setting in words, as label and value")
    plan: Plan
    approval: Approval | None = None
    stops: tuple[str, ...]
    notices: tuple[Notice, ...]
    criteria: tuple[LesionCriterion, ...]
    lesions: tuple[LesionSize, ...]
    lesion_outside_image_fraction: float = Field(ge=0, le=1)
    injury: Injury
    quadrants: QuadrantCoverage | None = None
    answer: Answer | None = None
    tables: tuple[ResultTable, ...] = ()
    trace: Trace
    along: tuple[LineTrace, ...] = Field(default=(), description="of a delivery that acts along nerves")
    assumptions: tuple[Assumption, ...]
    model_errors: tuple[Quantity, ...]
    energy_balance: EnergyBalance | None
    solver: Mapping[str, float | int | str]
    timing_s: Mapping[str, float] = Field(default_factory=dict)

    def text(self) -> str:
        """The file's text: fields in the order of the model, shortest round-trip floats, no NaN."""
        data = self.model_dump(mode="json")
        return json.dumps(data, indent=1, allow_nan=False, ensure_ascii=False) + "\n"


def plan_record(result: PlanResult, timing_s: Mapping[str, float]) -> PlanRecord:
    """The record of a result; ``timing_s`` holds the seconds of each part."""
    exposure = result.exposure
    return PlanRecord(
        mark=result.mark,
        software_version=__version__,
        demonstration=result.case.demonstration,
        hashes=_hashes(result),
        setting=technique(exposure.technique).summary(result.plan),
        plan=result.plan,
        approval=result.approval,
        stops=tuple(notice.code for notice in remaining_stops(result)),
        notices=result.notices,
        criteria=exposure.criteria,
        lesions=exposure.lesions,
        lesion_outside_image_fraction=exposure.outside_image_fraction,
        injury=result.injury,
        quadrants=result.quadrants,
        answer=exposure.answer,
        tables=exposure.tables,
        trace=_trace(exposure),
        along=tuple(map(_line, exposure.along.values())),
        assumptions=tuple(Assumption(where=where, number=number) for where, number in result.assumptions),
        model_errors=exposure.model_errors,
        energy_balance=exposure.energy,
        solver=dict(exposure.solver),
        timing_s=timing_s,
    )


def remaining_stops(result: PlanResult) -> tuple[Notice, ...]:
    """The stops that forbid approval of this result."""
    overrides = result.approval.overrides if result.approval else ()
    return open_stops(result.notices, overrides)


def _hashes(result: PlanResult) -> Hashes:
    return Hashes(
        case=result.plan.case_hash,
        scene=result.plan.scene_hash,
        plan=result.plan.content_hash(),
        exposure=result.exposure.content_hash(),
        injury=result.injury.content_hash(),
        evidence_version=result.plan.evidence_version,
    )


def _trace(exposure: Exposure) -> Trace:
    return Trace(
        time_s=tuple(exposure.time_s.tolist()),
        series={name: _finite(values.tolist()) for name, values in exposure.series.items()},
        units=dict(exposure.series_units),
    )


def _line(line: LineFields) -> LineTrace:
    return LineTrace(
        nerve=line.nerve,
        arc_mm=tuple(line.arc_mm.tolist()),
        points_mm=tuple(map(tuple, line.points_mm.tolist())),
        series={name: _finite(field.array.tolist()) for name, field in line.fields.items()},
        units={name: field.unit for name, field in line.fields.items()},
        stretches_mm=line.stretches_mm,
    )


def _finite(values: Iterable[float]) -> tuple[float | None, ...]:
    return tuple(value if math.isfinite(value) else None for value in values)


def read_plan_record(file: Path) -> PlanRecord:
    """The record in a ``plan.json``.

    Raises:
        InputError: naming the file and the field.
    """
    data = read_json(file)
    if not isinstance(data, dict) or data.get("schema") != SCHEMA_NAME:
        raise InputError("not a plan of this program", where=str(file), allowed=f'"schema": "{SCHEMA_NAME}"')
    plan = Plan.read(data.get("plan") or {}, protocol_models(), f"{file}: plan")
    return parse(PlanRecord, {**data, "plan": plan}, str(file))
