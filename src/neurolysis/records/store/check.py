"""The whole store checked against itself: database, seals, hashes, files and the audit trail."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from neurolysis.records.store import audit, state
from neurolysis.records.store.base import StoreBase
from neurolysis.records.store.engine import snapshot
from neurolysis.records.store.tables import (
    SEALED,
    approvals,
    blobs,
    case_versions,
    cases,
    documents,
    plans,
    sealed,
)
from neurolysis.records.store.values import Problem

PAGE = 500


class CheckMethods(StoreBase):
    """Looking for damage."""

    def check(self, known_heads: Mapping[int, str] | None = None) -> tuple[Problem, ...]:
        """Everything that is wrong; empty when the store is whole. Nothing is changed, others may write.

        Args:
            known_heads: number and hash of lines of the trail noted elsewhere.
        """
        parts: tuple[Callable[[sa.Connection], Iterator[Problem]], ...] = (
            _database, _seals, _versions, _lists, _plans, _documents, self._file_problems,
            lambda connection: audit.verify(connection, known_heads),
        )  # fmt: skip
        found: list[Problem] = []
        with snapshot(self.engine) as connection:
            for part in parts:
                try:
                    found.extend(part(connection))
                except Exception as error:  # damage can surface anywhere, and is then the finding itself
                    if connection.dialect.name == "postgresql" and isinstance(error, sa.exc.DBAPIError):
                        connection.rollback()
                    name = getattr(part, "__name__", "part").strip("_")
                    text = f"cannot be read: {type(error).__name__}"
                    found.append(Problem(where=f"check of {name}", text=text))
        return tuple(found)

    def _file_problems(self, connection: sa.Connection) -> Iterator[Problem]:
        known: set[str] = set()
        for row in _rows(connection, blobs):
            known.add(row["sha256"])
            problem = self.blobs.problem(row["sha256"], row["size"])
            if problem:
                yield Problem(where=f"file {row['sha256']}", text=problem)
        for sha256 in _named(connection) - known:
            yield Problem(where=f"file {sha256}", text="is named by a row, and unknown")
        extra = sum(name not in known for name in self.blobs.names())
        if extra:
            text = f"{extra} files are named by no row (writing was cut off); they do no harm"
            yield Problem(severity="note", where="files", text=text)


def _database(connection: sa.Connection) -> Iterator[Problem]:
    if connection.dialect.name != "sqlite":
        return
    for (text,) in connection.exec_driver_sql("PRAGMA integrity_check"):
        if text != "ok":
            yield Problem(where="database", text=str(text))
    for row in connection.exec_driver_sql("PRAGMA foreign_key_check"):
        yield Problem(where="database", text=f"a row of {row[0]} belongs to nothing")


def _seals(connection: sa.Connection) -> Iterator[Problem]:
    for table in SEALED:
        for row in _rows(connection, table):
            if sealed(row)["seal"] != row["seal"]:
                yield Problem(where=_place(table, row), text="was changed after it was written")


def _versions(connection: sa.Connection) -> Iterator[Problem]:
    case_id, version = "", 0
    for row in _rows(connection, case_versions):
        version = version + 1 if row["case_id"] == case_id else 1
        case_id = row["case_id"]
        if row["version"] != version:
            yield Problem(where=f"case {case_id}", text=f"version {version} is missing")
            version = row["version"]
        if _sha(row["body"]) != row["hash"]:
            yield Problem(where=_place(case_versions, row), text="its text does not fit its hash")


def _lists(connection: sa.Connection) -> Iterator[Problem]:
    for row in _rows(connection, cases):
        derived = state.derived_row(connection, row["id"])
        wrong = [name for name, value in derived.items() if row[name] != value]
        if wrong:
            text = f"the list is not what follows from the case: {', '.join(wrong)}"
            yield Problem(where=f"case {row['id']}", text=text)


def _plans(connection: sa.Connection) -> Iterator[Problem]:
    hashes: dict[tuple[str, int], str] = {}
    for row in _rows(connection, plans):
        hashes[row["case_id"], row["number"]] = row["hash"]
    for row in _rows(connection, approvals):
        if json.loads(row["body"])["plan_hash"] != hashes.get((row["case_id"], row["number"])):
            yield Problem(
                where=_place(approvals, row), text="approves another plan than the one it stands on"
            )


def _documents(connection: sa.Connection) -> Iterator[Problem]:
    for row in _rows(connection, documents):
        if _sha(row["body"]) != row["hash"]:
            yield Problem(where=_place(documents, row), text="its text does not fit its hash")


def _named(connection: sa.Connection) -> set[str]:
    """Every file that a row names."""
    found: set[str] = set()
    for table in (case_versions, plans, approvals):
        for row in _rows(connection, table):
            found.update(json.loads(row["files"]).values())
            found.update({row["record"]} if "record" in row else ())
    return found


def _rows(connection: sa.Connection, table: sa.Table) -> Iterator[dict[str, Any]]:
    """Every row in the order of its key, a page at a time."""
    key = list(table.primary_key)
    query = sa.select(table).order_by(*key).limit(PAGE)
    page = connection.execute(query).mappings().all()
    while page:
        yield from (dict(row) for row in page)
        last = sa.tuple_(*(sa.literal(page[-1][column.name], column.type) for column in key))
        page = connection.execute(query.where(sa.tuple_(*key) > last)).mappings().all()


def _place(table: sa.Table, row: Mapping[str, Any]) -> str:
    key = " ".join(str(row[column.name]) for column in table.primary_key)
    return f"{table.name} {key}"


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
