"""A worker process: claims jobs from the book and does them in durable steps.

It ends at once when the server that started it is gone: the next server starts its own.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import threading
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from neurolysis.records.store import Store
from neurolysis.workstation.compute import single_threaded
from neurolysis.workstation.jobs import MOST_ATTEMPTS, Claimed, JobBook, job_urls
from neurolysis.workstation.work import STAGES, PlanWork, finish

IDLE_SECONDS = 0.25
LEASE_SECONDS = 30.0
"""A worker that is not heard for so long is thought gone, and its jobs are taken over."""
BEATS = 6
"""How often a worker is heard within that time."""
STEPS_VERSION = "1"
"""Of the durable steps; raised when their order or meaning changes, never with each release."""


class Worker:
    """One worker.

    Args:
        name: of this worker; unique among those that run, the same after each start.
        lease_s: how long another worker may be silent before its jobs are taken over.
        again: whether it was started anew by a server that goes on: then a job may have ended it.
    """

    def __init__(
        self,
        name: str,
        database_url: str | None,
        folder: Path,
        *,
        lease_s: float = LEASE_SECONDS,
        again: bool = False,
    ) -> None:
        self._name, self._folder, self._lease_s, self._again = name, folder, lease_s, again
        self._heard: dict[str, tuple[int, float]] = {}
        self._looked = 0.0
        book_url, self._steps_url = job_urls(database_url, folder)
        self._lock = _alone(folder / "jobs" / f"{name}.lock")
        self._store = Store.open(database_url, folder)
        self._book = JobBook(book_url)

    def run(self) -> None:
        """Work until the process is ended."""
        threading.Thread(target=self._beat, daemon=True).start()
        self._launch()
        for left in self._book.unfinished(self._name, counts=self._again):
            self._do(left)
        while True:
            job = self._book.claim(self._name)
            if job is not None:
                self._do(job)
            elif not self._took_over():
                time.sleep(IDLE_SECONDS)

    def _beat(self) -> None:
        """Be heard while the process lives."""
        while True:
            with suppress(SQLAlchemyError):  # a database that is away for a moment
                self._book.beat(self._name)
            time.sleep(self._lease_s / BEATS)

    def _launch(self) -> None:
        from dbos import DBOS

        DBOS(
            config={
                "name": f"neurolysis-{_house(self._name)}",
                "system_database_url": self._steps_url,
                "application_version": f"{STEPS_VERSION}-{_house(self._name)}",
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
        def make_plan(job: dict[str, Any], worker: str) -> dict[str, Any]:
            with self._work(Claimed(**job), worker) as work:
                for name in STAGES:
                    answer = DBOS.run_step({"name": name}, work.step, name)
                    if "step" not in answer:
                        return answer
                return DBOS.run_step({"name": "keep"}, work.keep)

        return make_plan

    def _took_over(self) -> bool:
        """Go on with the jobs of workers that are gone, here or elsewhere; whether there were any."""
        taken = [one for name in self._silent() for one in self._book.adopt(name, self._name)]
        for job in self._book.unfinished(self._name) if taken else ():
            self._do(job)
        return bool(taken)

    def _silent(self) -> list[str]:
        """Other workers with jobs in hand whose beat has stood still for the length of a lease."""
        now = time.monotonic()
        if now - self._looked < self._lease_s / BEATS:
            return []
        self._looked, busy = now, self._book.busy()
        busy.pop(self._name, None)
        self._heard = {
            name: known if (known := self._heard.get(name)) and known[0] == beat else (beat, now)
            for name, beat in busy.items()
        }
        return [name for name, (_, since) in self._heard.items() if now - since > self._lease_s]

    def _do(self, job: Claimed) -> None:
        """Do a job, or go on with it, and write its end."""
        if job.attempts >= MOST_ATTEMPTS:
            problem = f"its worker ended {job.attempts} times; it is not tried again"
            finish(self._book, job.id, self._name, {"error": {"type": "WorkerEnded", "problem": problem}})
            return
        answer = self._durable(job, f"{job.id} {self._name}")
        while answer.get("stopped") and self._book.wanted(job.id, self._name):
            # so it was recorded when this worker had been thought gone; now the job is in its hands again
            answer = self._durable(job, f"{job.id} {self._name} {uuid.uuid4()}")
        if self._book.held_by(job.id, self._name):
            finish(self._book, job.id, self._name, answer)
            self._work(job, self._name).tidy()

    def _work(self, job: Claimed, worker: str) -> PlanWork:
        return PlanWork(self._store, self._book, self._folder / "jobs", job, worker)

    def _durable(self, job: Claimed, name: str) -> dict[str, Any]:
        """The answer of the last step of the work of this name.

        Work is named by job and worker: one that takes a job over finds what is done in the job's folder,
        and what the first one may still record troubles nobody.
        """
        from dbos import DBOS, SetWorkflowID

        # attempts change from start to start; what is recorded for a job must not
        data = job.model_copy(update={"attempts": 0}).model_dump(mode="json")
        try:
            with SetWorkflowID(name):
                handle = DBOS.start_workflow(self._workflow, data, self._name)
            answer: dict[str, Any] = handle.get_result()
        except Exception as error:  # a record that cannot be read, a database that is gone
            return {"error": {"type": type(error).__name__, "problem": "the durable steps failed"}}
        return answer


def _house(name: str) -> str:
    """The workers of one machine share the queue on which broken off work waits; others do not see it.

    A short form of the machine's name, as the names of applications and versions may only be.
    """
    return hashlib.sha256(name.rsplit("-", 1)[0].encode()).hexdigest()[:8]


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
    while os.read(sys.stdin.fileno(), 4096):  # not through the buffer, which is locked when Python ends
        pass
    os._exit(0)


def main() -> None:
    """Entry point: one line of JSON on standard input says what to be."""
    single_threaded()
    told = json.loads(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    Worker(
        told["name"],
        told["database_url"],
        Path(told["folder"]),
        lease_s=told.get("lease_s", LEASE_SECONDS),
        again=told.get("again", False),
    ).run()


if __name__ == "__main__":
    main()
