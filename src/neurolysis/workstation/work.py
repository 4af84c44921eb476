"""What workers do: a plan simulated in durable steps, each of which is done once.

Each step leaves its result in the job's folder and its end in the database of durable steps (DBOS). A
worker that dies is started again, and goes on after the last finished step. Steps answer with plain data
and never raise, so that what is recorded can be read by any version of the program.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.app.plan_stages import STAGES, PlanStages
from neurolysis.errors import NeurolysisError
from neurolysis.plan import Numerics
from neurolysis.quantity import parse
from neurolysis.workstation.compute import plain

if TYPE_CHECKING:
    from neurolysis.records.store import Principal, Store
    from neurolysis.workstation.jobs import Claimed, JobBook

LEAST_SECONDS = 0.2
"""Between two notes of progress that say the same."""
LOG = "steps.log"


class StoppedError(Exception):
    """The job was asked to stop, or another worker goes on with it."""


class Notes:
    """A progress that writes into the book, not more often than people can read.

    Args:
        worker: whose hands the job is in.
    """

    def __init__(self, book: JobBook, job_id: str, worker: str) -> None:
        self._book, self._job_id, self._worker = book, job_id, worker
        self._at, self._message = 0.0, ""

    def __call__(self, fraction: float, message: str) -> None:
        """Write it down.

        Raises:
            StoppedError: the job was asked to stop, or is in another worker's hands now.
        """
        now = time.monotonic()
        if now - self._at < LEAST_SECONDS and message == self._message:
            return
        self._at, self._message = now, message
        if not self._book.progress(self._job_id, self._worker, round(fraction, 4), message):
            raise StoppedError


class PlanWork:
    """The steps of one job that makes a plan, in one worker's hands."""

    def __init__(self, store: Store, book: JobBook, folder: Path, job: Claimed, worker: str) -> None:
        self._store, self._book, self._job, self._worker = store, book, job, worker
        self._work = folder / job.id
        self._open = ExitStack()
        self._stages: PlanStages | None = None

    def __enter__(self) -> PlanWork:
        return self

    def __exit__(self, *error: object) -> None:
        self._open.close()

    def step(self, name: str) -> dict[str, Any]:
        """Do one step; what it answers is recorded."""
        return self._answered(lambda: self._stage(name))

    def keep(self) -> dict[str, Any]:
        """The last step: the plan goes into the store, once."""
        return self._answered(self._keep)

    def tidy(self) -> None:
        """Remove the folder of the job."""
        self._open.close()
        shutil.rmtree(self._work, ignore_errors=True)

    def _stage(self, name: str) -> dict[str, Any]:
        if not self._book.wanted(self._job.id, self._worker):
            raise StoppedError
        self._do(STAGES[: STAGES.index(name) + 1])
        return {"step": name}

    def _do(self, names: tuple[str, ...]) -> None:
        """What is there already is not done again; what another machine did and kept to itself is."""
        for name in names:
            if (self._work / name).is_dir():
                continue
            (self._stages or self._begin()).run(name)
            with (self._work / LOG).open("a") as log:
                log.write(f"{name}\n")

    def _begin(self) -> PlanStages:
        asked = self._job.asked
        folder = self._open.enter_context(
            self._store.case_folder(principal_of(asked), self._job.case_id, asked["case_version"])
        )
        numerics = parse(Numerics, asked["numerics"], "numerics") if asked.get("numerics") else None
        self._stages = PlanStages(
            folder,
            self._work,
            numerics=numerics,
            progress=Notes(self._book, self._job.id, self._worker),
        )
        return self._stages

    def _keep(self) -> dict[str, Any]:
        if not self._book.held_by(self._job.id, self._worker):
            raise StoppedError
        self._do(STAGES)
        asked, made = self._job.asked, self._work / "report"
        record = json.loads((made / "plan.json").read_text("utf-8"))
        summary = json.loads((made / "summary.json").read_text("utf-8"))
        files = {one.name: one for one in sorted(made.iterdir()) if one.name != "summary.json"}
        row = self._store.add_plan(
            principal_of(asked), self._job.case_id, asked["case_version"], record, files, key=self._job.id
        )
        return {"plan_number": row.number, "summary": summary}

    def _answered(self, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return work()
        except StoppedError:
            return {"stopped": True}
        except NeurolysisError as error:
            return {"error": plain(error)}
        except Exception as error:  # what nobody foresaw must end the job, not the worker
            return {"error": {"type": type(error).__name__, "problem": "the program failed unexpectedly"}}


def principal_of(asked: dict[str, Any]) -> Principal:
    """Who asked for a job."""
    from neurolysis.records.store import Principal

    return parse(Principal, asked["principal"], "job: principal")


def finish(book: JobBook, job_id: str, worker: str, answer: dict[str, Any]) -> None:
    """Write the end of a worker's job from what its last step answered; of another's nothing is written."""
    if "plan_number" in answer:
        book.end(job_id, worker, "done", "done", plan_number=answer["plan_number"])
    elif answer.get("stopped"):
        book.end(job_id, worker, "cancelled", "cancelled")
    else:
        error = answer["error"]
        book.end(job_id, worker, "failed", str(error.get("problem", "failed")), error=error)


__all__ = ["STAGES", "Notes", "PlanWork", "StoppedError", "finish", "principal_of"]
