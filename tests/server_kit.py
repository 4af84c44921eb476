"""Real servers on this machine, for tests: started as users start them, spoken to over HTTP."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

ROOT = Path(__file__).resolve().parents[1]
ROLES = ("clinician", "planner", "registrar", "patient", "administrator")
PASSWORD = "correct horse battery staple"  # noqa: S105 (of people who do not exist)
COARSE = {"finest_mm": 1.5, "extent_mm": 20.0, "coarsest_mm": 5.0, "time_step_s": 5.0}
"""Numbers of the solver that make a simulation short; no result of them is judged."""
LINK = re.compile(r"http://\S+:(\d+)/(?:#token=(\S+))?")


class Server:
    """One server process on a store."""

    def __init__(
        self, folder: Path, *more: str, workers: int = 0, env: Mapping[str, str] | None = None
    ) -> None:
        self.folder = folder
        self.started = time.perf_counter()
        self._more = (*more, "--workers", str(workers))
        command = [
            sys.executable,
            "-m",
            "neurolysis",
            "serve",
            "--port",
            "0",
            "--store",
            str(folder),
            "--verbose",
        ]
        self.process = subprocess.Popen(
            [*command, *self._more],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(env or {}), "PYTHONUNBUFFERED": "1"},
        )
        self.log: list[str] = []
        self._readers: list[threading.Thread] = []
        self.port, self.token = self._link()
        self.ready_s = time.perf_counter() - self.started
        self.url = f"http://127.0.0.1:{self.port}"

    def _link(self) -> tuple[int, str]:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._reads(self._read_log)
        for line in self.process.stdout:
            found = LINK.search(line)
            if found:
                self._reads(self.process.stdout.read)
                return int(found[1]), found[2] or ""
        self.process.wait()
        raise AssertionError(f"the server did not start: {''.join(self.log)}")

    def _reads(self, work: Callable[[], object]) -> None:
        self._readers.append(threading.Thread(target=work, daemon=True))
        self._readers[-1].start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        self.log.extend(self.process.stderr)

    def anonymous(self) -> httpx.Client:
        """A client without a session."""
        return httpx.Client(base_url=self.url, timeout=120)

    def client(self) -> httpx.Client:
        """A client with a session: by the launch link, which works once, or as the one who holds it."""
        client = self.anonymous()
        answer = client.post("/api/session", json={"token": self.token})
        assert answer.status_code == 200, answer.text
        return client

    def login(self, name: str) -> httpx.Client:
        """A client signed in by name."""
        client = self.anonymous()
        answer = client.post("/api/session", json={"name": name, "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        return client

    def worker_pids(self) -> list[int]:
        """Processes of the server's workers."""
        found = []
        for pid in _children(self.process.pid):
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"neurolysis.workstation.worker" in command:
                found.append(pid)
        return found

    def kill(self) -> None:
        """As a power cut would."""
        self.process.kill()
        self.process.wait()
        self._close()

    def stop(self) -> int:
        """As Ctrl-C does; the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(timeout=30)
        self._close()
        return code

    def _close(self) -> None:
        for thread in self._readers:
            thread.join(timeout=10)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def _children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    if not tasks.is_dir():
        return []
    return [int(p) for task in tasks.iterdir() for p in (task / "children").read_text().split()]


@contextmanager
def serving(folder: Path, *more: str, workers: int = 0) -> Iterator[Server]:
    """A server that is stopped at the end."""
    server = Server(folder, *more, workers=workers)
    try:
        yield server
    finally:
        server.kill()


def people(folder: Path) -> dict[str, str]:
    """Accounts of every role, and a second clinician; user ids by name. All have the same password."""
    from neurolysis.records.store import Store, local_principal

    store = Store.open(None, folder)
    try:
        wanted = {**{role: role for role in ROLES}, "stranger": "clinician"}
        return {
            name: store.add_user(local_principal(), name, role, PASSWORD).id  # type: ignore[arg-type]
            for name, role in wanted.items()
        }
    finally:
        store.close()


def small_case(case_id: str = "small", **more: Any) -> dict[str, Any]:
    """A case without images."""
    return {"id": case_id, "patient": {"id": "p1", "birth_year": 1960}, **more}


def wait_for_job(client: httpx.Client, job_id: str, *, seconds: float = 240) -> dict[str, Any]:
    """The job, once it has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        job: dict[str, Any] = client.get(f"/api/jobs/{job_id}").json()
        if job["state"] in ("done", "failed", "cancelled"):
            return job
        time.sleep(0.2)
    raise AssertionError(f"the job did not end: {job}")
