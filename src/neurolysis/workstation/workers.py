"""The worker processes of a server: started, watched, and started again when one dies."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

WATCH_SECONDS = 0.5
LONGEST_PAUSE_S = 30.0


def worker_names(count: int) -> tuple[str, ...]:
    """Names of this machine's workers, the same at every start."""
    machine = re.sub(r"[^A-Za-z0-9]+", ".", platform.node()) or "machine"
    return tuple(f"{machine}-{number}" for number in range(count))


class Workers:
    """``count`` processes that do jobs; the server itself computes nothing."""

    def __init__(self, count: int, database_url: str | None, folder: Path) -> None:
        self._names = worker_names(count)
        self._told = {"database_url": database_url, "folder": str(folder)}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._starts: dict[str, list[float]] = {name: [] for name in self._names}
        self._ended = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True, name="workers")

    def start(self) -> None:
        """Start all and watch over them."""
        self._watcher.start()

    def stop(self) -> None:
        """End all; what they had in hand goes on at the next start."""
        self._ended.set()
        if self._watcher.is_alive():
            self._watcher.join(timeout=5)
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()

    def pids(self) -> dict[str, int]:
        """Process ids by name, of those that run."""
        return {name: one.pid for name, one in self._running.items() if one.poll() is None}

    def _watch(self) -> None:
        while not self._ended.is_set():
            for name in self._names:
                process = self._running.get(name)
                if (process is None or process.poll() is not None) and self._may_start(name):
                    self._running[name] = self._spawn(name)
            self._ended.wait(WATCH_SECONDS)

    def _may_start(self, name: str) -> bool:
        """At once the first times; then with longer and longer pauses, so that a broken one does no harm."""
        now = time.monotonic()
        recent = [at for at in self._starts[name] if now - at < 120]
        self._starts[name] = recent
        pause = min(LONGEST_PAUSE_S, 2.0 ** (len(recent) - 4)) if len(recent) > 3 else 0.0
        return not recent or now - recent[-1] >= pause

    def _spawn(self, name: str) -> subprocess.Popen[bytes]:
        self._starts[name].append(time.monotonic())
        process = subprocess.Popen(
            [sys.executable, "-m", "neurolysis.workstation.worker"], stdin=subprocess.PIPE
        )
        assert process.stdin is not None  # noqa: S101 (for the type checker)
        with suppress(BrokenPipeError):
            told = {"name": name, "again": name in self._running, **self._told}
            process.stdin.write(json.dumps(told).encode() + b"\n")
            process.stdin.flush()
        return process
