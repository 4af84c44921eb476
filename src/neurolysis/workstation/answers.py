"""Answers that were worked out before, kept in memory: the same case, files and day give the same answer.

Only functions of a case folder and plain arguments are asked through here. What is kept is found by the
contents of the folder, so nothing has to be thrown away when a case changes.
"""

from __future__ import annotations

import hashlib
import json
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

from neurolysis.workstation.compute import Compute

T = TypeVar("T")
MOST_BYTES = 64 << 20
TEXTS = (".yaml", ".json")


class Answers:
    """Answers of functions of a case folder, the oldest given up when there are too many.

    Args:
        most_bytes: together; an answer larger than a quarter of it is not kept.
    """

    def __init__(self, compute: Compute, most_bytes: int = MOST_BYTES) -> None:
        self._compute, self._most = compute, most_bytes
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._asked: dict[str, Future[Any]] = {}

    def of(self, function: Callable[..., T], folder: Path, *args: Any, **more: Any) -> T:
        """What ``function(folder, *args, **more)`` returns; who asks the same meanwhile waits for it.

        Nobody may change what is returned.

        Raises:
            NeurolysisError: as the function raised it; errors are not kept. BusyError.
        """
        key = _key(function, folder, args, more)
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                kept: T = self._kept[key][0]
                return kept
            asked = self._asked.get(key)
            mine = asked is None
            if asked is None:
                asked = self._asked[key] = Future()
        if mine:
            self._work_out(asked, key, lambda: self._compute.run(function, folder, *args, **more))
        found: T = asked.result()
        return found

    def json(self, function: Callable[..., Any], folder: Path, *args: Any, **more: Any) -> bytes:
        """The same as JSON text, written in the process that computes."""
        return self.of(as_json, folder, function, *args, **more)

    def _work_out(self, asked: Future[Any], key: str, work: Callable[[], Any]) -> None:
        try:
            found = work()
        except BaseException as error:
            with self._lock:
                del self._asked[key]
            asked.set_exception(error)
            return
        with self._lock:
            self._keep(key, found)
            del self._asked[key]
        asked.set_result(found)

    def _keep(self, key: str, found: Any) -> None:
        size = len(found) if isinstance(found, bytes) else len(pickle.dumps(found))
        if size > self._most // 4:
            return
        self._kept[key] = found, size
        self._bytes += size
        while self._bytes > self._most:
            _, (_, gone) = self._kept.popitem(last=False)
            self._bytes -= gone


def as_json(folder: Path, function: Callable[..., Any], *args: Any, **more: Any) -> bytes:
    """What a function of a case folder returns, as JSON text."""
    return json_text(function(folder, *args, **more))


def json_text(data: Any) -> bytes:
    """Plain data as JSON; what is no number is an error, never a gap."""
    from pydantic_core import to_jsonable_python

    text = json.dumps(
        data, ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=to_jsonable_python
    )
    return text.encode()


def _key(function: Callable[..., Any], folder: Path, args: Any, more: Any) -> str:
    """Of the function, what it is told, the day, and all that stands in the folder."""
    told = [repr(one) for one in (function, *args, *sorted(more.items()))]
    parts = [*told, date.today().isoformat(), *_contents(folder)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _contents(folder: Path) -> list[str]:
    """Texts by what they say; the images, which are links to files that never change, by their state."""
    found = []
    for file in sorted(folder.rglob("*")):
        if not file.is_file():
            continue
        state = file.stat()
        if file.parent == folder and file.suffix in TEXTS:
            said = hashlib.sha256(file.read_bytes()).hexdigest()
        else:
            said = f"{state.st_dev} {state.st_ino} {state.st_size} {state.st_mtime_ns}"
        found.append(f"{file.relative_to(folder)} {said}")
    return found
