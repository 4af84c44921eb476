"""Plan a case: load, build the scene, plan, simulate, and write the result whole."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from neurolysis.app.atomic import require_target, written_whole
from neurolysis.app.cases import load_case
from neurolysis.app.files import read_json
from neurolysis.app.plan_record import SCHEMA_NAME, plan_record, remaining_stops
from neurolysis.app.steps import Steps
from neurolysis.approval import DRAFT
from neurolysis.case import Case
from neurolysis.delivery.technique import Progress, silent
from neurolysis.errors import InputError
from neurolysis.plan import Notice
from neurolysis.planning.result import PlanResult

PLAN_FILE, HTML_FILE, PDF_FILE = "plan.json", "report.html", "report.pdf"
SHARES = (("scene", 1.0), ("plan", 0.5), ("simulate", 6.0), ("report", 3.0))
"""The parts of a plan and about how long each takes, for the progress bar."""


@dataclass(frozen=True)
class PlannedFiles:
    """What a plan wrote, and what the user must know of it without opening it.

    Attributes:
        pdf: None where no PDF could be made.
        mark: DRAFT, or who approved the plan.
        coverage: the verdict on the target nerve; answer: the delivery's own, where it has one.
        stops: notices that forbid approval; the files are written all the same, marked DRAFT.
        demonstration: the case is an example, so its stops are no failure of the command.
        timing_s: seconds of each part.
    """

    folder: Path
    html: Path
    pdf: Path | None
    plan: Path
    mark: str
    coverage: str
    stops: tuple[Notice, ...]
    warnings: tuple[Notice, ...]
    demonstration: bool
    timing_s: dict[str, float]
    answer: str = ""


def plan_case(
    case_path: Path, out: Path, *, overwrite: bool = False, progress: Progress = silent
) -> PlannedFiles:
    """Plan and simulate the case at ``case_path`` and write plan.json, report.html and report.pdf.

    Args:
        case_path: the case folder, or its ``case.yaml``.
        out: a folder that is new, empty, or holds an earlier unapproved result of this program.
        overwrite: replace an approved plan, or files of the same names that are not ours.
        progress: called with the done fraction and what is being done; may raise to cancel.

    Raises:
        InputError: the case, or the output folder.
        SafetyStop: no plan can be made at all.
        SolverError: the simulation failed.
        OutputError: the result could not be written; nothing is left.
    """
    case, folder = load_case(case_path)
    require_target(out, replaceable=_why_keep, overwrite=overwrite)
    steps = Steps(progress, SHARES)
    result = _compute(case, folder, steps)
    with written_whole(out) as fresh:
        _write(result, fresh, steps)
    return _summary(result, out, steps)


def _compute(case: Case, folder: Path, steps: Steps) -> PlanResult:
    """Scene, plan and simulation of a case whose paths start from ``folder``."""
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.planning.make import make_plan
    from neurolysis.planning.simulate import simulate_plan

    with steps.part("scene", "reading images and anatomy"):
        scene = build_scene(case, folder)
    with steps.part("plan", "planning"):
        plan = make_plan(case, scene)
    with steps.part("simulate", "simulating") as within:
        return simulate_plan(case, scene, plan, within)


def _write(result: PlanResult, folder: Path, steps: Steps) -> None:
    """Report and plan.json into ``folder``; plan.json last, as it carries the time of the report."""
    from neurolysis.report.build import write_report

    with steps.part("report", "writing the report"):
        write_report(result, folder)
    (folder / PLAN_FILE).write_text(plan_record(result, steps.seconds).text(), "utf-8")


def _summary(result: PlanResult, out: Path, steps: Steps) -> PlannedFiles:
    pdf = out / PDF_FILE
    return PlannedFiles(
        folder=out,
        html=out / HTML_FILE,
        pdf=pdf if pdf.exists() else None,
        plan=out / PLAN_FILE,
        mark=result.mark,
        coverage=result.injury.target().coverage,
        stops=remaining_stops(result),
        warnings=tuple(notice for notice in result.notices if notice.severity == "warn"),
        demonstration=result.case.demonstration,
        timing_s=steps.seconds,
        answer=_answer(result),
    )


def _answer(result: PlanResult) -> str:
    found = result.exposure.answer
    return "" if found is None else f"{found.answer}: {found.number} ({found.number_note})"


def _why_keep(folder: Path) -> str:
    """Why the content of an existing folder must not be replaced; empty when it may."""
    file = folder / PLAN_FILE
    if not file.is_file():
        return f"the folder is not empty and holds no {PLAN_FILE} of this program"
    try:
        data = read_json(file)
    except InputError:
        data = None
    if not isinstance(data, dict) or data.get("schema") != SCHEMA_NAME:
        return f"its {PLAN_FILE} is not of this program"
    if data.get("mark") != DRAFT:
        return "it holds an approved plan"
    return ""
