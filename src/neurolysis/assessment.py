"""Evaluation's answer: candidate causes, suitability per technique, and what is still missing."""

from __future__ import annotations

from typing import Literal

from neurolysis.quantity import Value

Suitability = Literal["indicated", "possible with conditions", "contraindicated", "cannot say"]


class FiredRule(Value):
    """A rule that fired: its message, source, and what would change it."""

    id: str
    message: str
    severity: Literal["for", "against", "condition", "stop", "missing"]
    source: str
    would_change: str = ""


class TechniqueSuitability(Value):
    """Whether one technique suits the patient; missing data is "cannot say", never "fine"."""

    technique: str
    verdict: Suitability
    rules: tuple[FiredRule, ...]
    needs: tuple[str, ...] = ()


class CandidateCause(Value):
    """A condition with its target nerve, and the reasons for and against it."""

    condition: str
    nerve: str
    reasons: tuple[FiredRule, ...]
    rank: int


class Assessment(Value):
    """Step 1 of one case."""

    schema_version: Literal[1] = 1
    case_hash: str
    evidence_version: str
    red_flags: tuple[FiredRule, ...] = ()
    causes: tuple[CandidateCause, ...] = ()
    suitability: tuple[TechniqueSuitability, ...] = ()
    missing: tuple[str, ...] = ()
