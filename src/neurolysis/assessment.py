"""Evaluation's answer: candidate causes, suitability per technique, and what is still missing."""

from __future__ import annotations

from datetime import date
from typing import Literal

from neurolysis.quantity import Value

Suitability = Literal["indicated", "possible with conditions", "contraindicated", "cannot say"]


class FiredRule(Value):
    """A rule that fired: its message, source, and what would change it.

    ``rule_set`` names the society or document whose rule it is, where several stand side by side;
    ``grade`` is the strength the source itself gives, ``read_on`` when it was read; ``first_hand`` False
    marks a rule whose guideline was not read itself.
    """

    id: str
    message: str
    severity: Literal["for", "against", "condition", "stop", "missing"]
    source: str
    would_change: str = ""
    rule_set: str = ""
    grade: str = ""
    read_on: date | None = None
    first_hand: bool = True


class TechniqueSuitability(Value):
    """Whether one technique suits the patient; missing data is "cannot say", never "fine".

    ``technique`` is a modality id of the evidence base, ``target`` an id of the nerve catalogue.
    """

    technique: str
    target: str
    verdict: Suitability
    rules: tuple[FiredRule, ...]
    needs: tuple[str, ...] = ()
    evidence: str = ""


class CandidateCause(Value):
    """A condition with its target nerves, and the reasons for and against it.

    ``weight_for`` and ``weight_against`` count what fired; they order the list and are no probability.
    """

    condition: str
    targets: tuple[str, ...]
    reasons: tuple[FiredRule, ...]
    weight_for: float
    weight_against: float
    rank: int
    asked: tuple[str, ...] = ()


class RedFlag(Value):
    """A warning sign: open until a named clinician resolves it; an open one stops the flow."""

    id: str
    message: str
    state: Literal["open", "resolved", "indication"]
    source: str
    because: str = ""
    resolution: str = ""


class ScoreResult(Value):
    """A questionnaire's total with its reading; ``total`` None where too many items are missing."""

    instrument: str
    title: str
    observed: date | None
    total: float | None
    minimum: float
    maximum: float
    band: str = ""
    reading: str = ""
    source: str = ""
    missing_items: tuple[str, ...] = ()
    problem: str = ""


class BlockResult(Value):
    """One diagnostic block, read: best relief, how long, and whether that fits the agent.

    ``relief_percent`` None: the diary cannot say. ``reads`` is one sentence for the clinician.
    """

    target: str
    side: str
    performed: date
    kind: str
    agent: str
    relief_percent: float | None
    relief_hours: float | None
    agent_hours: tuple[float, float] | None = None
    concordant: bool | None = None
    reads: str
    source: str = ""
    doubts: tuple[str, ...] = ()


class BlockSeries(Value):
    """All blocks of one target together: single, dual or placebo-controlled."""

    target: str
    side: str
    design: Literal["single", "dual", "dual, different agents", "placebo-controlled"]
    reads: str
    thresholds: tuple[FiredRule, ...] = ()


class Disagreement(Value):
    """Findings that cannot all be right, shown side by side."""

    about: str
    statements: tuple[str, ...]


class Assessment(Value):
    """Step 1 of one case on one day."""

    schema_version: Literal[1] = 1
    case_id: str
    case_hash: str
    evidence_version: str
    evaluated: date
    stopped: bool
    out_of_scope: tuple[FiredRule, ...] = ()
    red_flags: tuple[RedFlag, ...] = ()
    scores: tuple[ScoreResult, ...] = ()
    blocks: tuple[BlockResult, ...] = ()
    block_series: tuple[BlockSeries, ...] = ()
    causes: tuple[CandidateCause, ...] = ()
    suitability: tuple[TechniqueSuitability, ...] = ()
    disagreements: tuple[Disagreement, ...] = ()
    missing: tuple[str, ...] = ()
