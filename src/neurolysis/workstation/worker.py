"""A worker process: claims jobs from the book and does them in durable steps.

It ends at once when the server that started it is gone: the next server starts its own.
"""

from __future__ import annotations

import fcntl
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

from neurolysis.records.store import Store
from neurolysis.workstation.compute import single_threaded
from neurolysis.workstation.jobs import MOST_ATTEMPTS, Claimed, JobBook, job_urls
from neurolysis.workstation.work import STAGES, PlanWork, finish

IDLE_SECONDS = 0.25
STEPS_VERSION = "1"
"""Of the durable steps; raised when their order or meaning changes, never with each release."""


class Worker:
    """One worker.

    Args:
        name: of this worker; unique among those that run, the same after each start.
        others: names this machine's workers have now; jobs of any other name of this machine are adopted.
    """

    def __init__(self, name: str, others: tuple[str, ...], database_url: str | None, folder: Path) -> None:
        self._name, self._others, self._folder = name, others, folder
        book_url, self._steps_url = job_urls(database_url, folder)
        self._lock = _alone(folder / "jobs" / f"{name}.lock")
        self._store = Store.open(database_url, folder)
        self._book = JobBook(book_url)

    def run(self) -> None:
        """Work until the process is ended."""
        self._launch()
        for left in self._left_over():
            self._do(left)
        while True:
            job = self._book.claim(self._name)
            if job is None:
                time.sleep(IDLE_SECONDS)
            else:
                self._do(job)

    def _launch(self) -> None:
        from dbos import DBOS

        DBOS(
            config={
                "name": "neurolysis",
                "system_database_url": self._steps_url,
                "application_version": STEPS_VERSION,
                "executor_id": self._name,
                "log_level": "ERROR",
                "use_listen_notify": False,
            }
        )
        self._workflow = self._registered()
        if self._steps_url.startswith("sqlite"):
            _settle(self._steps_url.removeprefix("sqlite:///"))
        DBOS.launch()

    def _registered(self) -> Any:
        """The durable work: its steps are recorded by name and order."""
        from dbos import DBOS

        @DBOS.workflow(name="make_plan", max_recovery_attempts=1000)
        def make_plan(job: dict[str, Any]) -> dict[str, Any]:
            with PlanWork(self._store, self._book, self._folder / "jobs", Claimed(**job)) as work:
                for name in STAGES:
                    answer = DBOS.run_step({"name": name}, work.step, name)
                    if "step" not in answer:
                        return answer
                return DBOS.run_step({"name": "keep"}, work.keep)

        return make_plan

    def _left_over(self) -> tuple[Claimed, ...]:
        """Jobs that were in hand when this worker, or one that is no more, ended."""
        machine = self._name.rsplit("-", 1)[0]
        if self._name == self._others[0]:
            for name in self._book.abandoned(f"{machine}-", self._others):
                self._adopt(name)
        return self._book.unfinished(self._name)

    def _adopt(self, name: str) -> None:
        """Take over the jobs of a worker that is not started any more."""
        from dbos import DBOS

        for job_id in self._book.adopt(name, self._name):
            if DBOS.get_workflow_status(job_id) is not None:  # else it had not begun
                DBOS.resume_workflow(job_id)

    def _do(self, job: Claimed) -> None:
        """Do a job, or go on with it, and write its end."""
        if job.attempts >= MOST_ATTEMPTS:
            problem = f"its worker ended {job.attempts} times; it is not tried again"
            finish(self._book, job.id, {"error": {"type": "WorkerEnded", "problem": problem}})
            return
        finish(self._book, job.id, self._durable(job))
        PlanWork(self._store, self._book, self._folder / "jobs", job).tidy()

    def _durable(self, job: Claimed) -> dict[str, Any]:
        from dbos import DBOS, SetWorkflowID

        # attempts change from start to start; what is recorded for a job must not
        data = job.model_copy(update={"attempts": 0}).model_dump(mode="json")
        try:
            with SetWorkflowID(job.id):
                handle = DBOS.start_workflow(self._workflow, data)
            answer: dict[str, Any] = handle.get_result()
        except Exception as error:  # a record that cannot be read, a database that is gone
            return {"error": {"type": type(error).__name__, "problem": "the durable steps failed"}}
        return answer


def _settle(file: str) -> None:
    """Readers and writers of the durable steps do not wait for each other; what is written survives."""
    import sqlite3

    connection = sqlite3.connect(file)
    connection.execute("PRAGMA journal_mode=WAL").close()
    connection.close()


def _alone(file: Path) -> int:
    """Wait until no other process has this worker's name; held until the process ends."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(handle, fcntl.LOCK_EX)
    return handle


def _end_with_parent() -> None:
    """The server holds the other end of standard input; when it closes, the server is gone."""
    sys.stdin.buffer.read()
    os._exit(0)


def main() -> None:
    """Entry point: one line of JSON on standard input says what to be."""
    single_threaded()
    told = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Worker(told["name"], tuple(told["others"]), told["database_url"], Path(told["folder"])).run()


if __name__ == "__main__":
    main()
