"""The decision aid of a case: pages for the patient, made from the evidence and the patient's own plan."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.app.anesthetize import day_of
from neurolysis.app.cases import load_case
from neurolysis.app.files import read_json
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError, SafetyStop
from neurolysis.prognosis import Prediction, Prognosis

if TYPE_CHECKING:
    from neurolysis.case import Case
    from neurolysis.report.decision_about import Plan

NAME = "decision-aid"


@dataclass(frozen=True)
class DecisionAid:
    """What was made."""

    case_id: str
    condition: str
    language: str
    options: tuple[Prognosis, ...]
    html: Path
    pdf: Path
    remarks: tuple[str, ...]


def make_decision_aid(
    case_path: Path, out: Path, *, on: date | None = None, language: str = "en", plan: Path | None = None
) -> DecisionAid:
    """Write decision-aid.html and decision-aid.pdf of the case at ``case_path`` into ``out``.

    Args:
        on: the day it is made; the case's own, else today.
        language: a language of the catalogues; files of other languages carry it in their names.
        plan: the folder or ``plan.json`` of the patient's own plan.

    Raises:
        InputError: the case, no condition, or a plan of another case.
        SafetyStop: an open red flag, or a patient out of scope: there is nothing to choose yet.
        OutputError: the pages could not be written; nothing is left.
    """
    from neurolysis.app.pages import write_pages
    from neurolysis.evaluation.evaluate import evaluate
    from neurolysis.planning.prognosis import options_for
    from neurolysis.report.decision_aid import decision_aid

    case, _ = load_case(case_path)
    day, remarks = day_of(case, on)
    assessment = evaluate(case, day)
    if assessment.stopped:
        reasons = [r.message for r in assessment.out_of_scope]
        reasons += [f.message for f in assessment.red_flags if f.state == "open"]
        raise SafetyStop(
            "no decision aid while something stops the flow", where=case.id, found=" ".join(reasons)
        )
    name = case.condition or (assessment.causes[0].condition if assessment.causes else None)
    if name is None:
        raise InputError("a decision aid needs a condition", where="case.yaml: condition")
    options = options_for(name, _own_target(case, name))
    document = decision_aid(case, options, assessment, on=day, language=language, plan=_own_plan(plan, case))
    stem = NAME if language == "en" else f"{NAME}.{language}"
    html, pdf = write_pages(document, out, stem)
    return DecisionAid(case.id, name, language, options, html, pdf, remarks)


def _own_target(case: Case, condition_id: str) -> str | None:
    """The case's target, where it is one of the condition's."""
    from neurolysis.nerve.conditions import condition
    from neurolysis.nerve.targets import target_of

    if case.target is None:
        return None
    group = target_of(case.target.nerve).id
    return group if group in condition(condition_id).targets else None


def _own_plan(path: Path | None, case: Case) -> Plan | None:
    from neurolysis.app.plan_case import PLAN_FILE
    from neurolysis.report.decision_about import Plan

    if path is None:
        return None
    file = path / PLAN_FILE if path.is_dir() else path
    data: Any = read_json(file)
    try:
        owner, plan_hash = data["plan"]["case_id"], data["plan_hash"]
        coverage = next(n["coverage"] for n in data["injury"]["nerves"] if n["is_target"])
    except (KeyError, TypeError, StopIteration) as error:
        raise InputError("not a plan of this program", where=str(file)) from error
    if owner != case.id:
        raise InputError("the plan is of another case", where=str(file), found=owner, allowed=case.id)
    return Plan(hash=plan_hash, coverage=coverage)


def decision_aid_data(found: DecisionAid) -> dict[str, Any]:
    """What was made, as plain data for ``--json``."""
    return {
        "case_id": found.case_id,
        "condition": found.condition,
        "language": found.language,
        "html": str(found.html),
        "pdf": str(found.pdf),
        "options": [option.model_dump(mode="json") for option in found.options],
        "remarks": list(found.remarks),
        "research_use": RESEARCH_USE,
    }


def decision_aid_text(found: DecisionAid) -> str:
    """What was made, in words for the terminal."""
    return "\n".join(_lines(found))


def _lines(found: DecisionAid) -> Iterator[str]:
    yield f"Decision aid for {found.condition} ({found.language}):"
    yield f"  page   {found.html}"
    yield f"  print  {found.pdf}"
    for option in found.options:
        known = [item for item in option.benefits if item.value is not None]
        yield f"  {option.technique} at {option.target}: {len(known) or 'no'} figures of benefit"
        yield from (f"      {_figure(item)}" for item in known[:6])
    yield RESEARCH_USE


def _figure(item: Prediction) -> str:
    when = "time not stated" if item.at_months is None else f"{item.at_months:g} months"
    span = "" if item.low is None else f" ({item.low:g} to {item.high:g})"
    rows = ", ".join(study.row for study in item.studies)
    return f"{when}: {item.title} {item.value:g}{span} {item.unit}, {item.basis} [{rows}]"
