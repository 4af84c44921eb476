"""Step 1 of a case: what causes the pain, where, which technique suits, and what is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from neurolysis.app.anesthetize import day_of
from neurolysis.app.cases import load_case
from neurolysis.approval import RESEARCH_USE
from neurolysis.assessment import Assessment, TechniqueSuitability

WEIGHTS_NOTE = "weights order the list; they are no probability"


@dataclass(frozen=True)
class Evaluated:
    """What the command answers."""

    assessment: Assessment
    remarks: tuple[str, ...]
    html: Path | None = None
    pdf: Path | None = None


def evaluate_case(case_path: Path, *, on: date | None = None, out: Path | None = None) -> Evaluated:
    """Evaluate the case at ``case_path``; with ``out`` also write evaluation.html and evaluation.pdf there.

    Raises:
        InputError: the case, or a date in the future.
        UnknownNameError: a name that is not in its catalogue.
        OutputError: the pages could not be written; nothing is left.
    """
    from neurolysis.evaluation.evaluate import evaluate

    case, _ = load_case(case_path)
    day, remarks = day_of(case, on)
    assessment = evaluate(case, day)
    if out is None:
        return Evaluated(assessment, remarks)
    from neurolysis.app.pages import write_pages
    from neurolysis.report.evaluation_pages import evaluation_document

    html, pdf = write_pages(evaluation_document(case, assessment), out, "evaluation")
    return Evaluated(assessment, remarks, html, pdf)


def evaluated_data(found: Evaluated) -> dict[str, Any]:
    """The answer as plain data for ``--json``."""
    return {
        **found.assessment.model_dump(mode="json"),
        "remarks": list(found.remarks),
        "html": str(found.html) if found.html else None,
        "pdf": str(found.pdf) if found.pdf else None,
        "research_use": RESEARCH_USE,
    }


def evaluated_text(found: Evaluated) -> str:
    """The answer in words for the terminal."""
    return "\n".join(_lines(found))


def _lines(found: Evaluated) -> Iterator[str]:
    item = found.assessment
    yield f"Evaluation of {item.case_id} on {item.evaluated}: {'STOPPED' if item.stopped else 'not stopped'}"
    for rule in item.out_of_scope:
        yield f"  STOP     {rule.message}"
    for flag in item.red_flags:
        yield f"  {flag.state.upper():<10} {flag.message} {flag.resolution}".rstrip()
    for one in item.scores:
        total = "withheld" if one.total is None else f"{one.total:g}"
        said = "; ".join(filter(None, (one.band, one.reading, one.problem)))
        yield f"  score    {one.title}: {total} of {one.maximum:g}. {said}".rstrip()
    for block in item.blocks:
        yield f"  block    {block.performed} {block.target}, {block.side}: {block.reads}"
    for series in item.block_series:
        yield f"  blocks   {series.target}, {series.side}: {series.reads}"
    for cause in item.causes:
        yield (
            f"  cause {cause.rank}  {cause.condition}: for {cause.weight_for:g}, against "
            f"{cause.weight_against:g} ({WEIGHTS_NOTE}); targets {', '.join(cause.targets)}"
        )
        yield from (f"             {reason.severity}: {reason.message}" for reason in cause.reasons)
    for suits in item.suitability:
        yield from _suits(suits)
    for difference in item.disagreements:
        yield f"  differ   {difference.about}: {' | '.join(difference.statements)}"
    if item.missing:
        yield "  missing:"
        yield from (f"    - {text}" for text in item.missing)
    if found.html:
        yield f"  pages    {found.html}, {found.pdf}"
    yield RESEARCH_USE


def _suits(item: TechniqueSuitability) -> Iterator[str]:
    yield f"  {item.technique} at {item.target}: {item.verdict.upper()} (evidence: {item.evidence})"
    for rule in item.rules:
        if rule.severity == "missing":
            continue
        whose = f" [{rule.rule_set}]" if rule.rule_set else ""
        second_hand = "" if rule.first_hand else " (not read at first hand)"
        change = f" Would change: {rule.would_change}." if rule.would_change else ""
        yield f"             {rule.severity}: {rule.message}{whose}{second_hand} ({rule.source}){change}"
    if item.needs:
        yield f"             needs: {'; '.join(item.needs)}"
