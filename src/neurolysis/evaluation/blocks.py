"""Diagnostic blocks read: how much relief, how long against the agent, single, dual or placebo-controlled."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cache
from typing import Any, Literal

from neurolysis.assessment import BlockResult, BlockSeries, FiredRule
from neurolysis.case import Case, DiagnosticBlock
from neurolysis.errors import InputError
from neurolysis.evaluation.facts import DATA, best_relief
from neurolysis.evidence.citing import known_source
from neurolysis.evidence.readings import Reading, readings
from neurolysis.evidence.store import load_yaml
from neurolysis.nerve.targets import target_of

FILE = "blocks.yaml"
PLACEBO = "placebo"
SLACK = 1.5
"""Relief may last this many times the agent's longest duration and still be said to fit it."""


Design = Literal["single", "dual", "dual, different agents", "placebo-controlled"]


def read_blocks(case: Case, on: date) -> tuple[tuple[BlockResult, ...], tuple[BlockSeries, ...]]:
    """Every block of a case read alone, and the blocks of each target and side together.

    Raises:
        UnknownNameError: a target that is not in the catalogue.
        InputError: a block in the future, or a diary whose hours do not rise.
    """
    for block in case.blocks:
        _check(block, on)
    ordered = sorted(case.blocks, key=lambda block: block.performed)
    together: dict[tuple[str, str], list[DiagnosticBlock]] = defaultdict(list)
    for block in ordered:
        together[target_of(block.target).id, block.side].append(block)
    series = tuple(_series(target, side, blocks) for (target, side), blocks in together.items())
    return tuple(_result(block) for block in ordered), series


def _check(block: DiagnosticBlock, on: date) -> None:
    where = f"blocks: {block.target}, {block.performed}"
    if block.performed > on:
        raise InputError("a block in the future", where=where, found=block.performed, allowed=f"up to {on}")
    hours = [entry.hours_after for entry in block.diary]
    if any(later <= earlier for earlier, later in itertools.pairwise(hours)):
        raise InputError("hours of a diary rise, each once", where=where, found=hours)


def _result(block: DiagnosticBlock) -> BlockResult:
    relief, hours = best_relief(block), _relief_hours(block)
    expected = None if block.kind == PLACEBO else _agent_hours(block.agent)
    fits = None if hours is None or expected is None else hours <= SLACK * expected[1]
    return BlockResult(
        target=block.target,
        side=block.side,
        performed=block.performed,
        kind=block.kind,
        agent=block.agent,
        relief_percent=relief,
        relief_hours=hours,
        agent_hours=expected,
        concordant=fits,
        reads=_reads(block, relief, hours, expected, fits),
        source=_positive()["source"],
        doubts=tuple(_doubts(block, fits)),
    )


def _relief_hours(block: DiagnosticBlock) -> float | None:
    """Hours to the last entry at which pain is at most half of the baseline; None without any diary."""
    if not block.diary or block.baseline_pain <= 0:
        return None
    half = 0.01 * (100 - _positive()["value"]) * block.baseline_pain
    low = [entry.hours_after for entry in block.diary if entry.pain <= half]
    return max(low, default=0.0)


def _reads(
    block: DiagnosticBlock,
    relief: float | None,
    hours: float | None,
    expected: tuple[float, float] | None,
    fits: bool | None,
) -> str:
    if relief is None:
        return "The diary is empty, or there was no pain before the block: nothing can be read from it."
    positive = relief >= _positive()["value"]
    said = f"{relief:.0f} % relief at best"
    said += f", at least half less pain for {hours:g} h" if hours else ""
    if block.kind == PLACEBO:
        verdict = (
            "a response to placebo: relief after other blocks proves less"
            if positive
            else "no response to placebo"
        )
        return f"{said}: {verdict}."
    if expected is not None:
        said += f"; {block.agent} lasts {expected[0]:.2g} to {expected[1]:.2g} h"
    verdict = "positive" if positive else "negative"
    if positive and fits is False:
        verdict = "positive, but longer than the agent lasts"
    return f"{said}: {verdict} (guidelines ask for {_positive()['low']} to {_positive()['high']} %)."


def _doubts(block: DiagnosticBlock, fits: bool | None) -> Iterator[str]:
    if block.steroid:
        yield "Steroid was injected as well: relief beyond the anaesthetic says nothing about the nerve."
    if block.sedation:
        yield "Sedation was given: it can lower pain by itself."
    if block.steroid is None or block.sedation is None:
        yield "Whether steroid or sedation was given is not recorded."
    if block.volume_ml is None:
        yield "The volume is not recorded; over 0.25 mL at a medial branch coats other structures (H-05)."
    if fits is False:
        yield "Relief outlasted the agent: a placebo response or a flare that settled cannot be told apart."
    if len(block.diary) < 3 and block.diary:
        yield "Fewer than three diary entries."


def _series(target: str, side: str, blocks: Sequence[DiagnosticBlock]) -> BlockSeries:
    real = [block for block in blocks if block.kind != PLACEBO]
    placebo = [block for block in blocks if block.kind == PLACEBO]
    reliefs = [relief for block in real if (relief := best_relief(block)) is not None]
    design: Design = "single"
    if placebo and real:
        design = "placebo-controlled"
    elif len(real) > 1:
        design = "dual, different agents" if len({block.agent for block in real}) > 1 else "dual"
    return BlockSeries(
        target=target,
        side=side,
        design=design,
        reads=_series_reads(design, real, placebo, reliefs),
        thresholds=tuple(_thresholds(reliefs)),
    )


def _series_reads(
    design: Design,
    real: Sequence[DiagnosticBlock],
    placebo: Sequence[DiagnosticBlock],
    reliefs: Sequence[float],
) -> str:
    positive = sum(relief >= _positive()["value"] for relief in reliefs)
    text = f"{positive} of {len(real)} anaesthetic blocks positive ({design})."
    responded = [
        r for block in placebo if (r := best_relief(block)) is not None and r >= _positive()["value"]
    ]
    if placebo:
        text += f" {len(responded)} of {len(placebo)} placebo injections as well."
    if design == "single":
        text += f" {_data()['false_positive']['message']} {_data()['saline_positive']['message']}"
    return f"{text} {_data()['cost_of_choosing']['message']}"


def _thresholds(reliefs: Sequence[float]) -> Iterator[FiredRule]:
    for row in _data()["thresholds"]:
        if not reliefs:
            continue
        met = sum(relief >= row["percent"] for relief in reliefs)
        yield FiredRule(
            id=f"block.{row['id']}",
            message=f"{row['message']} Met by {met} of {len(reliefs)} blocks.",
            severity="for" if met == len(reliefs) else "against",
            source=row["source"],
            rule_set=row["rule_set"],
            first_hand=row.get("first_hand", True),
        )


def _agent_hours(agent: str) -> tuple[float, float] | None:
    """Range of every duration read for an agent, hours; None where none was read."""
    name = agent.strip().casefold()
    rows = [row for row in readings().values() if _is_duration(row, name)]
    if not name or not rows:
        return None
    low = min(row.low if row.low is not None else row.middle() for row in rows)
    high = max(row.high if row.high is not None else row.middle() for row in rows)
    return low / 60, high / 60


def _is_duration(row: Reading, agent: str) -> bool:
    title = row.what.casefold()
    return (
        bool(agent)
        and row.id.startswith("E1-")
        and title.startswith(agent)
        and "duration" in title
        and row.unit == "min"
    )


def _positive() -> Any:
    return _data()["positive_percent"]


@cache
def _data() -> Any:
    data = load_yaml(FILE, DATA)
    for row in (
        data["positive_percent"],
        *data["thresholds"],
        data["false_positive"],
        data["saline_positive"],
    ):
        known_source(row["source"], FILE)
    for row_id in data["cost_of_choosing"]["rows"]:
        known_source(row_id, FILE)
    return data
