"""Findings that cannot all be right: they are shown side by side, and nobody is said to be wrong."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from neurolysis.assessment import BlockResult, Disagreement
from neurolysis.case import Case, Finding

OPPOSITES = {"present": "absent", "positive": "negative", "yes": "no"}
CONFLICTS = (
    ("root compression", "root_compression_imaging", "radicular_pattern"),
    ("nerve damage", "nerve_conduction_abnormal", "dermatomal_sensory_loss"),
    ("sacroiliac joint", "sacroiliac_provocation", "facet_loading"),
)
"""(about, finding, finding): the two are expected to go together, or to point to different places."""
APART = frozenset({"sacroiliac joint"})
"""Pairs of which both being present points to two different sources of the pain."""


def disagreements(case: Case, blocks: tuple[BlockResult, ...] = ()) -> tuple[Disagreement, ...]:
    """Contradicting statements about one thing, pairs that do not fit, and blocks that differ."""
    return (*_same_name(case), *_pairs(case), *_blocks(blocks))


def _same_name(case: Case) -> Iterator[Disagreement]:
    """One finding of one side and level stated both ways."""
    groups: dict[tuple[str, str, str], list[Finding]] = defaultdict(list)
    for finding in case.findings:
        groups[finding.name, finding.side or "", finding.level or ""].append(finding)
    for (name, *_), found in groups.items():
        results = {f.result.strip().casefold() for f in found}
        if any(yes in results and no in results for yes, no in OPPOSITES.items()):
            yield Disagreement(about=name, statements=tuple(_said(f) for f in found))


def _pairs(case: Case) -> Iterator[Disagreement]:
    for about, first, second in CONFLICTS:
        states = {name: _state(case, name) for name in (first, second)}
        both = [f for f in case.findings if f.name in states]
        differ = set(states.values()) == {True, False}
        point_apart = about in APART and all(states.values())
        if (differ and about not in APART) or point_apart:
            yield Disagreement(about=about, statements=tuple(_said(f) for f in both))


def _state(case: Case, name: str) -> bool | None:
    results = {f.result.strip().casefold() for f in case.findings if f.name == name}
    if results & set(OPPOSITES):
        return True
    return False if results & set(OPPOSITES.values()) else None


def _blocks(blocks: tuple[BlockResult, ...]) -> Iterator[Disagreement]:
    groups: dict[tuple[str, str], list[BlockResult]] = defaultdict(list)
    for block in blocks:
        if block.relief_percent is not None:
            groups[block.target, block.side].append(block)
    for (target, side), found in groups.items():
        reliefs = [b.relief_percent or 0.0 for b in found]
        if min(reliefs) < 50 <= max(reliefs):
            said = tuple(f"{b.performed}: {b.kind} {b.agent}, {b.relief_percent:.0f} %" for b in found)
            yield Disagreement(about=f"blocks of {target}, {side}", statements=said)


def _said(finding: Finding) -> str:
    where = " ".join(filter(None, (finding.side, finding.level)))
    day = f", {finding.observed}" if finding.observed else ", no date"
    return f"{finding.kind}{': ' + where if where else ''}: {finding.name} {finding.result}{day}"
