"""Backup while others write, and taking it back into an empty store of either kind of database.

A backup is a folder: ``rows.jsonl`` with every row of one moment, its last line a hash over all before, and
``blobs/`` with the files those rows name. A second backup into the same folder copies only what is new.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa

from neurolysis.errors import InputError, OutputError
from neurolysis.quantity import canonical_json
from neurolysis.records.store import audit
from neurolysis.records.store.base import StoreBase, time_text
from neurolysis.records.store.blobs import Blobs, sync_folder
from neurolysis.records.store.engine import newest_revision, snapshot
from neurolysis.records.store.tables import audit_head, metadata, sessions

ROWS = "rows.jsonl"
FORMAT, FORMAT_VERSION = "neurolysis-backup", 1
AT_ONCE = 500
KEPT = [table for table in metadata.sorted_tables if table not in (sessions, audit_head)]
"""In the order rows can be put back; sessions end with the store, the trail's head is derived."""


class BackupMethods(StoreBase):
    """Backup and restore."""

    def backup(self, path: Path) -> dict[str, Any]:
        """Write a backup of this moment into a folder; others may go on writing.

        Returns:
            what it holds: rows, blobs and the trail's head.

        Raises:
            InputError: the folder holds something else, or a file of the store is damaged.
            OutputError: it could not be written; an older backup in the folder stays whole.
        """
        _require_ours(path)
        try:
            there = Blobs(path / "blobs")
            fresh = path / f".{ROWS}.{os.getpid()}.new"
            with fresh.open("w", encoding="utf-8", newline="\n") as stream:
                made = self._write_rows(stream)
                stream.flush()
                os.fsync(stream.fileno())
            made["copied"] = sum(self._copy(there, sha256, size) for sha256, size in _blobs_in(fresh))
            fresh.replace(path / ROWS)
            sync_folder(path)
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror or error}", where=str(path)) from error
        return made

    def restore_backup(self, path: Path) -> dict[str, Any]:
        """Put a backup into this store, which must be empty. The whole of it, or nothing.

        Raises:
            InputError: no backup, a damaged one, or one of a newer program; or the store is not empty.
        """
        head = _checked_head(path / ROWS)
        there, copied = Blobs(path / "blobs"), 0
        for sha256, size in _blobs_in(path / ROWS):
            problem = there.problem(sha256, size)
            if problem:
                raise InputError(f"a file of the backup {problem}", where=f"blobs/{sha256[:2]}/{sha256}")
            copied += self._bring(there, sha256)
        with self.engine.begin() as connection:
            if any(connection.execute(sa.select(table).limit(1)).first() for table in KEPT):
                raise InputError("a backup is put back into an empty store only", where=str(self.folder))
            rows = _put_back(connection, path / ROWS)
            seq, hash_ = head["head"]
            connection.execute(audit_head.update().values(seq=seq, hash=hash_))
        return {"rows": rows, "copied": copied, "head": head["head"]}

    def _write_rows(self, stream: IO[str]) -> dict[str, Any]:
        digest, count = hashlib.sha256(), 0
        with snapshot(self.engine) as connection:
            head = {
                "format": FORMAT, "format_version": FORMAT_VERSION, "revision": newest_revision(),
                "made_at": time_text(self.clock()), "head": list(audit.head(connection)),
            }  # fmt: skip
            for line in (canonical_json(head), *_lines(connection)):
                stream.write(line + "\n")
                digest.update(line.encode() + b"\n")
                count += 1
        stream.write(canonical_json({"end": digest.hexdigest()}) + "\n")
        return {"rows": count - 1, "head": head["head"]}

    def _copy(self, there: Blobs, sha256: str, size: int) -> int:
        if not there.problem(sha256, size):
            return 0
        problem = self.blobs.problem(sha256, size)
        if problem:
            raise InputError(f"a file of the store {problem}", where=sha256)
        there.add_file(self.blobs.place(sha256))
        return 1

    def _bring(self, there: Blobs, sha256: str) -> int:
        if self.blobs.place(sha256).exists():
            return 0
        self.blobs.add_file(there.place(sha256))
        return 1


def _lines(connection: sa.Connection) -> Iterator[str]:
    for table in KEPT:
        query = sa.select(table).order_by(*table.primary_key)
        result = connection.execution_options(yield_per=AT_ONCE).execute(query)
        for row in result.mappings():
            yield canonical_json({"table": table.name, "row": dict(row)})


def _require_ours(path: Path) -> None:
    if (
        path.is_dir()
        and any(path.iterdir())
        and not (path / ROWS).is_file()
        and not (path / "blobs").is_dir()
    ):
        raise InputError(
            "the folder holds something else", where=str(path), allowed="a new folder, or a backup"
        )
    if path.exists() and not path.is_dir():
        raise InputError("a backup is a folder", where=str(path))


def _checked_head(file: Path) -> dict[str, Any]:
    """The first line, once the whole file was read and fits its last line. InputError."""
    digest, first, last = hashlib.sha256(), b"", b""
    try:
        with file.open("rb") as stream:
            for line in stream:
                if last:
                    digest.update(last)
                first, last = first or line, line
    except OSError as error:
        raise InputError(f"no backup here: {error.strerror}", where=str(file)) from error
    try:
        head, end = json.loads(first or b"null"), json.loads(last or b"null")
        good = end == {"end": digest.hexdigest()}
    except ValueError:
        good = False
    if not good or not isinstance(head, dict):
        raise InputError("the backup is damaged or was not finished", where=str(file))
    if (head.get("format"), head.get("format_version")) != (FORMAT, FORMAT_VERSION):
        raise InputError("not a backup of this program", where=str(file), found=head.get("format"))
    if head["revision"] != newest_revision():
        raise InputError(
            "the backup is of another version of the tables",
            where=str(file), found=head["revision"], allowed=newest_revision(),
        )  # fmt: skip
    return head


def _rows_in(file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    with file.open("rb") as stream:
        for line in stream:
            data = json.loads(line)
            if "table" in data:
                yield data["table"], data["row"]


def _blobs_in(file: Path) -> Iterator[tuple[str, int]]:
    return ((row["sha256"], row["size"]) for table, row in _rows_in(file) if table == "blobs")


def _put_back(connection: sa.Connection, file: Path) -> int:
    count, name = 0, ""
    waiting: list[dict[str, Any]] = []
    for table, row in _rows_in(file):
        if waiting and (table != name or len(waiting) >= AT_ONCE):
            connection.execute(metadata.tables[name].insert(), waiting)
            waiting = []
        name = table
        waiting.append(row)
        count += 1
    if waiting:
        connection.execute(metadata.tables[name].insert(), waiting)
    return count
