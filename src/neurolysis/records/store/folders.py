"""A case as a folder for a while: ``case.yaml``, its documents, and links to its files."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from neurolysis.errors import OutputError
from neurolysis.records.store.blobs import Blobs, alive
from neurolysis.records.store.values import StoredCase

WORK = "work"


@contextmanager
def working_folder(
    store: Path, blobs: Blobs, stored: StoredCase, documents: Mapping[str, Mapping[str, Any] | None]
) -> Iterator[Path]:
    """The folder; it lies beside the blobs so that files can be links. What stands in it is read only."""
    folder = store / WORK / f"{os.getpid()}-{uuid4().hex}"
    try:
        try:
            _fill(folder, blobs, stored, documents)
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror or error}", where=str(folder.parent)) from error
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _fill(
    folder: Path, blobs: Blobs, stored: StoredCase, documents: Mapping[str, Mapping[str, Any] | None]
) -> None:
    folder.parent.mkdir(exist_ok=True)
    _clear(folder.parent)
    folder.mkdir()
    for name, sha256 in stored.files.items():
        blobs.link(sha256, folder / name)
    _write(folder / "case.yaml", stored.case.model_dump(mode="json"))
    for kind, data in documents.items():
        if data is not None:
            _write(folder / f"{kind}.yaml", data)


def _write(file: Path, data: Any) -> None:
    """Plain data as JSON, which is YAML too: no text can turn into a number on the way."""
    file.write_text(json.dumps(data, ensure_ascii=False, allow_nan=False, indent=1), "utf-8")


def _clear(place: Path) -> None:
    """Remove what processes that are gone have left."""
    for left in place.iterdir():
        if not alive(left.name):
            shutil.rmtree(left, ignore_errors=True)
