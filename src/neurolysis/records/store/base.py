"""What every part of the store shares: one transaction for a deed and its line in the audit trail."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, Self

import sqlalchemy as sa

from neurolysis.errors import ConflictError, ForbiddenError, NotFoundError, OutputError
from neurolysis.records.store import audit
from neurolysis.records.store.blobs import Blobs
from neurolysis.records.store.engine import database_url, default_folder, make_engine, snapshot, upgrade
from neurolysis.records.store.lines import Lines
from neurolysis.records.store.permissions import Action, Kind, require
from neurolysis.records.store.tables import cases, clean, sealed, shares
from neurolysis.records.store.values import Principal

Deed = Literal["create", "read", "update", "delete", "execute"]
Clock = Callable[[], datetime]
LONGEST_TEXT = 500
LARGEST = 2**31 - 1
"""Numbers of versions and plans beyond this are not asked of the database."""


def utc_now() -> datetime:
    """The time now, in UTC."""
    return datetime.now(UTC)


def time_text(moment: datetime) -> str:
    """A time as the tables hold it: ISO in UTC with microseconds, so that texts sort as times do."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass
class Work:
    """One deed on the store: its transaction, and what the audit trail will say of it."""

    principal: Principal
    what: str
    deed: Deed
    kind: Kind
    action: Action
    now: datetime
    case_id: str = ""
    patient_id: str = ""
    object: str = ""
    detail: str = ""
    locks: bool = True
    connection: sa.Connection = field(init=False)

    @property
    def at(self) -> str:
        """The time of this deed as the tables hold it."""
        return time_text(self.now)

    def require(self) -> None:
        """Refuse what the role may not do to things without an owner. ForbiddenError."""
        require(self.principal, self.action, self.kind, None, self.kind)

    def case_row(self, *, trashed: bool = False) -> dict[str, Any]:
        """The case's row, locked by a deed that writes, if the deed is allowed on it.

        Args:
            trashed: whether a case in the trash is meant too.

        Raises:
            NotFoundError: there is none, it is not this user's, or it is in the trash.
            ForbiddenError: the role may not.
        """
        query = sa.select(cases).where(cases.c.id == clean(self.case_id))
        if self.locks and self.deed != "read":
            query = query.with_for_update()
        row = self.connection.execute(query).mappings().one_or_none()
        if row is None:
            raise NotFoundError("no such case", where=self.case_id)
        require(self.principal, self.action, self.kind, self.holders(row["owner_id"]), self.case_id)
        self.patient_id = row["patient_id"]
        if row["trashed_at"] and not trashed:
            raise NotFoundError("the case is in the trash; take it out first", where=self.case_id)
        return dict(row)

    def holders(self, owner_id: str) -> frozenset[str]:
        """User ids of the case's owner and of those it is shared with."""
        query = sa.select(shares.c.user_id).where(shares.c.case_id == self.case_id)
        return frozenset((owner_id, *self.connection.execute(query).scalars()))

    def insert(self, table: sa.Table, **values: Any) -> None:
        """A new row, sealed."""
        self.connection.execute(table.insert(), sealed(values))

    def put(self, table: sa.Table, **values: Any) -> None:
        """A row in the place of the one with its key, or a new one; sealed."""
        key = [column == values[column.name] for column in table.primary_key]
        done = self.connection.execute(table.update().where(*key).values(**sealed(values)))
        if done.rowcount == 0:
            self.connection.execute(table.insert(), sealed(values))

    def line(self, outcome: Literal["done", "refused"]) -> dict[str, Any]:
        """This deed as a line of the audit trail, still without number and hashes."""
        who = self.principal
        told: dict[str, str] = {
            "at": self.at, "user_id": who.user_id, "user_name": who.name, "role": who.role, "mode": who.mode,
            "origin": who.origin, "action": self.deed, "what": self.what, "kind": self.kind,
            "case_id": self.case_id, "patient_id": self.patient_id, "object": self.object,
            "outcome": outcome, "detail": self.detail,
        }  # fmt: skip
        return {name: clean(text)[:LONGEST_TEXT] for name, text in told.items()}


class StoreBase:
    """Database, files and clock."""

    def __init__(self, engine: sa.Engine, folder: Path, clock: Clock = utc_now) -> None:
        self.engine = engine
        self.folder = folder
        self.blobs = Blobs(folder / "blobs")
        self.clock = clock
        one_writer = engine.dialect.name == "sqlite"
        self.turn: AbstractContextManager[Any] = threading.Lock() if one_writer else nullcontext()
        """SQLite has one writer, and who waits asks again and again: threads stand in line here instead."""
        self.told = Lines(self._write_lines)

    @classmethod
    def open(cls, url: str | None = None, folder: Path | None = None, *, clock: Clock = utc_now) -> Self:
        """Open the store, making it and bringing it up to date where need be.

        Args:
            url: of the database; else that of the environment, else SQLite in the folder.
            folder: for blobs and the SQLite file; else the user's data folder.

        Raises:
            InputError: no such kind of database, or a newer version of the program made it.
            OutputError: the database cannot be reached or written.
        """
        place = (folder or default_folder()).absolute()
        try:
            place.mkdir(mode=0o700, parents=True, exist_ok=True)
            engine = make_engine(database_url(url, place))
            upgrade(engine)
        except OSError as error:
            raise OutputError(f"cannot make the store: {error.strerror}", where=str(place)) from error
        except sa.exc.DBAPIError as error:
            raise database_error(error, str(place)) from error
        return cls(engine, place, clock)

    def close(self) -> None:
        """Let go of every connection."""
        self.engine.dispose()

    def today(self) -> date:
        """The day now, as the clock of this machine shows it."""
        return self.clock().astimezone().date()

    @contextmanager
    def work(
        self, principal: Principal, what: str, deed: Deed, kind: Kind, action: Action, case_id: str = ""
    ) -> Iterator[Work]:
        """One deed: everything in the block and its line in the trail are kept together, or nothing is.

        A deed that only reads sees one moment of the database and blocks nobody; its line is on disk before
        anybody gets to see what was read. A refusal is put into the trail as well, by itself.
        """
        work = Work(principal, what, deed, kind, action, self.clock(), case_id)
        try:
            if deed == "read":
                with snapshot(self.engine) as work.connection:
                    yield work
                self.told.add(work.line("done"))
            else:
                with self.turn, self.engine.begin() as work.connection:
                    yield work
                    audit.append(work.connection, [work.line("done")])
        except (NotFoundError, ForbiddenError) as error:
            self._refused(work, error)
            raise
        except sa.exc.IntegrityError as error:
            raise ConflictError(
                "somebody else wrote the same at this moment; try again", where=case_id
            ) from error
        except sa.exc.DBAPIError as error:
            raise database_error(error, case_id) from error

    def _refused(self, work: Work, error: NotFoundError | ForbiddenError) -> None:
        work.detail = type(error).__name__
        self.told.add(work.line("refused"))

    def _write_lines(self, lines: list[dict[str, Any]]) -> None:
        with self.turn, self.engine.begin() as connection:
            audit.append(connection, lines)

    def check_first(self, principal: Principal, what: str, kind: Kind, action: Action, case_id: str) -> None:
        """Refuse before anything slow is done; the deed itself looks again."""
        work = Work(principal, what, "execute", kind, action, self.clock(), case_id, locks=False)
        try:
            with snapshot(self.engine) as work.connection:
                work.case_row() if case_id else work.require()
        except (NotFoundError, ForbiddenError) as error:
            self._refused(work, error)
            raise


def database_error(error: sa.exc.DBAPIError, where: str) -> OutputError:
    """A database's error in words, without the values that were being written."""
    told = getattr(getattr(error.orig, "diag", None), "message_primary", None) or str(error.orig)
    said = " ".join(told.split())[:200]
    return OutputError(f"the database refused: {said}; nothing was written", where=where)
