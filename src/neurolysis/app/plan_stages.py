"""A plan made in stages, each of which leaves its result in a folder, so that none is done twice.

``plan`` lays the plan down, ``simulate`` runs the solver, ``report`` assesses and writes. A stage that
finds its own result does nothing; results appear whole or not at all.
"""

from __future__ import annotations

import json
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from neurolysis.app.atomic import written_whole
from neurolysis.app.cases import load_case
from neurolysis.app.exposure_files import load_exposure, save_exposure, save_for_page
from neurolysis.app.files import read_json
from neurolysis.app.plan_again import EXPOSURE, pack_exposure
from neurolysis.app.plan_case import PLAN_FILE
from neurolysis.app.plan_record import plan_record
from neurolysis.app.steps import Steps
from neurolysis.case import Case
from neurolysis.delivery.technique import Progress, protocol_models, silent
from neurolysis.plan import Numerics, Plan

if TYPE_CHECKING:
    from neurolysis.scene import Scene

STAGES = ("plan", "simulate", "report")
SHARES = (("plan", 1.5), ("simulate", 6.0), ("report", 3.0))
LAID = "laid.json"


class PlanStages:
    """One plan in the making.

    Args:
        case_path: the case folder; it must hold the same files whenever a stage runs.
        work: where the stages leave their results; one folder for one plan.
        numerics: numbers of the solver; None takes the technique's own.
        progress: called with the done fraction of the whole and what is being done; may raise to cancel.
    """

    def __init__(
        self, case_path: Path, work: Path, *, numerics: Numerics | None = None, progress: Progress = silent
    ) -> None:
        self._case_path = case_path
        self._work = work
        self._numerics = numerics
        self._steps = Steps(progress, SHARES)

    def run(self, stage: str) -> Path:
        """Run one stage, or find that it has been run; returns its folder.

        Raises:
            InputError: the case; SafetyStop, SolverError: no plan, or no solution; OutputError: no space.
        """
        target = self._work / stage
        if not target.is_dir():
            self._work.mkdir(parents=True, exist_ok=True)
            with written_whole(target) as fresh:
                getattr(self, f"_{stage}")(fresh)
                _to_disk(fresh)
        return target

    @cached_property
    def _case(self) -> tuple[Case, Path]:
        return load_case(self._case_path)

    @cached_property
    def _scene(self) -> Scene:
        from neurolysis.localization.scene_builder import build_scene

        return build_scene(*self._case)

    @cached_property
    def _laid(self) -> Plan:
        file = self._work / "plan" / LAID
        return Plan.read(read_json(file), protocol_models(), LAID)

    def _plan(self, fresh: Path) -> None:
        from neurolysis.planning.make import make_plan

        with self._steps.part("plan", "reading images and planning"):
            plan = make_plan(self._case[0], self._scene, numerics=self._numerics)
            (fresh / LAID).write_text(plan.canonical_json(), "utf-8")

    def _simulate(self, fresh: Path) -> None:
        from neurolysis.planning.simulate import expose_plan

        with self._steps.part("simulate", "simulating") as within:
            exposure = expose_plan(self._scene, self._laid, within)
            save_exposure(exposure, fresh)

    def _report(self, fresh: Path) -> None:
        from neurolysis.planning.simulate import assess_plan
        from neurolysis.report.build import write_report

        exposure = load_exposure(self._work / "simulate")
        with self._steps.part("report", "injury of nerves, and the report"):
            result = assess_plan(self._case[0], self._scene, self._laid, exposure)
            write_report(result, fresh)
            save_for_page(exposure, fresh)
            pack_exposure(self._work / "simulate", fresh / EXPOSURE)
        (fresh / PLAN_FILE).write_text(plan_record(result, self._steps.seconds).text(), "utf-8")
        summary = {
            "coverage": result.injury.target().coverage,
            "stops": [notice.code for notice in result.notices if notice.severity == "stop"],
            "technique": result.plan.protocol.technique,
        }
        (fresh / "summary.json").write_text(json.dumps(summary), "utf-8")


def _to_disk(folder: Path) -> None:
    """Wait until every file is on the disk: what is called done must survive a power cut."""
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
