"""A PostgreSQL server of its own for the tests: fresh cluster, socket in a folder, no network, no root."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg

NOT_ROOT = "postgres"


def find_programs() -> Path | None:
    """The folder of initdb and postgres, the newest version first."""
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda p: int(p.parent.name), reverse=True
    )
    found = [folder for folder in folders if (folder / "initdb").exists()]
    on_path = shutil.which("initdb")
    return found[0] if found else Path(on_path).resolve().parent if on_path else None


def _as_user() -> dict[str, Any]:
    """The server refuses to run as root; then it runs as the user the package makes."""
    return {"user": NOT_ROOT, "group": NOT_ROOT, "extra_groups": []} if os.geteuid() == 0 else {}


@dataclass
class PostgresServer:
    """The running server; ``database()`` gives the URL of an empty database."""

    folder: Path
    made: list[str] = field(default_factory=list)

    @classmethod
    @contextmanager
    def started(cls, programs: Path) -> Iterator[PostgresServer]:
        folder = Path(tempfile.mkdtemp(prefix="nl-pg-", dir=_memory()))
        if os.geteuid() == 0:
            shutil.chown(folder, NOT_ROOT, NOT_ROOT)
        data = folder / "data"
        subprocess.run(
            [programs / "initdb", "-D", data, "-U", "tests", "--auth=trust", "--encoding=UTF8", "--locale=C"],
            check=True, capture_output=True, cwd="/", **_as_user(),
        )  # fmt: skip
        options = [
            "-c",
            "listen_addresses=",
            "-c",
            f"unix_socket_directories={folder}",
            "-c",
            "shared_buffers=32MB",
        ]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [programs / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd="/", **_as_user()
            )
        server = cls(folder)
        try:
            server._wait(process)
            yield server
        finally:
            process.send_signal(signal.SIGQUIT)  # immediate: its data are thrown away
            process.wait(60)
            shutil.rmtree(folder, ignore_errors=True)

    def _wait(self, process: subprocess.Popen[bytes]) -> None:
        for _ in range(600):
            assert process.poll() is None, (self.folder / "log").read_text()
            try:
                self._execute("SELECT 1")
                return
            except psycopg.OperationalError:
                time.sleep(0.1)
        raise AssertionError("the server did not start: " + (self.folder / "log").read_text())

    def _execute(self, text: str) -> None:
        with psycopg.connect(
            host=str(self.folder), user="tests", dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(text)  # type: ignore[call-overload]

    def database(self) -> str:
        """URL of a new empty place: a schema of its own, which is made much faster than a database."""
        name = f"t{uuid4().hex}"
        self._execute(f"CREATE SCHEMA {name}")
        return f"postgresql://tests@/postgres?host={self.folder}&options=-csearch_path%3D{name}"


def _memory() -> str | None:
    """A folder in memory, where there is one with room: the cluster is thrown away."""
    place = Path("/dev/shm")  # noqa: S108 (a fresh folder is made in it)
    return str(place) if place.is_dir() and shutil.disk_usage(place).free > 1 << 29 else None
