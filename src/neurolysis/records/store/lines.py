"""Lines for the audit trail that stand by themselves; threads that come at once share one write to disk."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

Line = dict[str, Any]


class Lines:
    """Who comes first writes the lines of all who wait; each goes on once its own line is on disk.

    Args:
        write: keeps the lines in one transaction, or raises and keeps none.
    """

    def __init__(self, write: Callable[[list[Line]], None]) -> None:
        self._write = write
        self._turn = threading.Lock()
        self._waiting: list[_Waiting] = []
        self._adding = threading.Lock()

    def add(self, line: Line) -> None:
        """Keep one line; when this returns it is on disk. Raises what the write raised."""
        mine = _Waiting(line)
        with self._adding:
            self._waiting.append(mine)
        with self._turn:
            if not mine.done:
                self._write_all()
        if mine.error is not None:
            raise mine.error

    def _write_all(self) -> None:
        with self._adding:
            batch, self._waiting = self._waiting, []
        error: Exception | None = None
        try:
            self._write([one.line for one in batch])
        except Exception as raised:
            error = raised
        for one in batch:
            one.done, one.error = True, error


class _Waiting:
    """A line and what became of it."""

    def __init__(self, line: Line) -> None:
        self.line = line
        self.done = False
        self.error: Exception | None = None
