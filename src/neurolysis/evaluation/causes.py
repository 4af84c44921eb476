"""From the marked pain areas and the findings to a ranked list of candidate conditions, with reasons."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Literal, NamedTuple

from neurolysis.assessment import CandidateCause, FiredRule
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.evaluation.body_map import body_areas, check_areas
from neurolysis.evaluation.facts import DATA, Facts
from neurolysis.evaluation.predicates import Predicate, compile_predicate
from neurolysis.evidence.citing import known_source
from neurolysis.evidence.store import load_yaml
from neurolysis.nerve.conditions import condition, condition_ids

FILE = "causes.yaml"
FOR_MIN = 2.0
"""A condition is a candidate when what speaks for it weighs at least this much."""


class Clue(NamedTuple):
    """One line of a cause: its predicate, weight and the rule it fires."""

    when: Predicate
    weight: float
    rule: FiredRule


class Cause(NamedTuple):
    """Everything that speaks for and against one condition, and the areas it may be felt in."""

    areas: frozenset[str]
    clues: tuple[Clue, ...]


def candidate_causes(case: Case, on: date) -> tuple[CandidateCause, ...]:
    """Conditions that fit the marked areas and findings, best first; empty without a marked area.

    Raises:
        UnknownNameError: an area of the case that is not on the body map.
    """
    check_areas(case.pain)
    marked = {area.area for area in case.pain}
    facts = Facts(case, on)
    found = [_weigh(id, cause, facts) for id, cause in _causes().items() if cause.areas & marked]
    fitting = [item for item in found if item.weight_for >= FOR_MIN and item.weight_for > item.weight_against]
    fitting.sort(
        key=lambda item: (item.weight_against - item.weight_for, condition_ids().index(item.condition))
    )
    return tuple(item.replace(rank=rank) for rank, item in enumerate(fitting, start=1))


def _weigh(id: str, cause: Cause, facts: Facts) -> CandidateCause:
    fired, asked = [], []
    weights = {"for": 0.0, "against": 0.0}
    for clue in cause.clues:
        answer = clue.when(facts)
        if answer.value is None:
            asked += list(answer.needs)
        elif answer.value:
            fired.append(clue.rule)
            weights[clue.rule.severity] += clue.weight
    return CandidateCause(
        condition=id,
        targets=condition(id).targets,
        reasons=tuple(fired),
        weight_for=weights["for"],
        weight_against=weights["against"],
        rank=0,
        asked=tuple(dict.fromkeys(asked)),
    )


@cache
def _causes() -> Mapping[str, Cause]:
    rows = load_yaml(FILE, DATA)["causes"]
    if set(rows) != set(condition_ids()):
        astray = sorted(set(rows) ^ set(condition_ids()))
        raise InputError("causes and conditions differ", where=FILE, found=astray)
    return {id: _cause(id, row) for id, row in rows.items()}


def _cause(id: str, row: Mapping[str, list[Mapping[str, object]]]) -> Cause:
    unknown = set(row["needs_area"]) - set(body_areas())
    if unknown:
        raise InputError("unknown areas", where=f"{FILE}: {id}", found=sorted(map(str, unknown)))
    sides: tuple[Literal["for", "against"], ...] = ("for", "against")
    clues = tuple(_clue(id, side, line) for side in sides for line in row[side])
    return Cause(frozenset(map(str, row["needs_area"])), clues)


def _clue(id: str, side: Literal["for", "against"], line: Mapping[str, object]) -> Clue:
    where = f"{FILE}: {id}.{side}.{line['id']}"
    source = known_source(str(line["source"]), where)
    rule = FiredRule(
        id=f"{id}.{line['id']}",
        message=str(line["message"]),
        severity=side,
        source=source,
        grade="not graded",
    )
    return Clue(compile_predicate(line["when"], where), float(str(line["weight"])), rule)
