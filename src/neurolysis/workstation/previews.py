"""Previews of lesions: computed in the background, once for each protocol, and kept on disk."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.app.view_preview import preview, preview_key
from neurolysis.errors import NeurolysisError
from neurolysis.workstation.compute import Compute

if TYPE_CHECKING:
    from neurolysis.records.store import Principal, Store

SECONDS = 900.0


class Previews:
    """One preview is computed at a time, in a process of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "previews"
        self._compute = Compute(1, SECONDS)
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="previews")
        self._lock = threading.Lock()
        self._running: set[str] = set()
        self._failed: dict[str, NeurolysisError] = {}

    def find(self, who: Principal, store: Store, case_id: str, compute: Compute) -> dict[str, Any] | None:
        """The preview of a case as it is stored; None while it is being computed.

        Raises:
            NotFoundError: no such case. InputError: there is nothing to preview yet.
            NeurolysisError: the computation failed; the next call tries again.
        """
        with store.case_folder(who, case_id) as folder:
            key = compute.run(preview_key, folder)
        file = self._folder / f"{key}.json"
        if file.is_file():
            found: dict[str, Any] = json.loads(file.read_text("utf-8"))
            return found
        with self._lock:
            failed = self._failed.pop(key, None)
            if failed is not None:
                raise failed
            if key not in self._running:
                self._running.add(key)
                self._threads.submit(self._make, who, store, case_id, key)
        return None

    def close(self) -> None:
        """Give up what is being computed."""
        self._compute.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _make(self, who: Principal, store: Store, case_id: str, key: str) -> None:
        try:
            with store.case_folder(who, case_id) as folder:
                found = self._compute.run(preview, folder)
            self._folder.mkdir(parents=True, exist_ok=True)
            fresh = self._folder / f".{key}.new"
            fresh.write_text(json.dumps(found), "utf-8")
            fresh.replace(self._folder / f"{found['protocol_hash']}.json")
        except NeurolysisError as error:
            with self._lock:
                self._failed[key] = error
        finally:
            with self._lock:
                self._running.discard(key)
