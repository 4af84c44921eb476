"""The book of jobs: what was asked, how far it is, and every step of its progress, kept on disk.

The book is the inbox of the workers: a job is in it before the server answers, and a worker claims it
by one conditional update, so that none is lost and none is claimed twice.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import sqlalchemy as sa

from neurolysis.errors import NotFoundError
from neurolysis.quantity import Value

State = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]
ENDED = ("done", "failed", "cancelled")
MOST_ATTEMPTS = 5
"""A job that ended its worker this often is given up."""

_TABLES = sa.MetaData()
_JOB = sa.Table(
    "workstation_job",
    _TABLES,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(40), nullable=False),
    sa.Column("case_id", sa.String(200), nullable=False, index=True),
    sa.Column("owner", sa.String(200), nullable=False),
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("worker", sa.String(200)),
    sa.Column("attempts", sa.Integer, nullable=False, default=0),
    sa.Column("fraction", sa.Float, nullable=False, default=0.0),
    sa.Column("message", sa.Text, nullable=False, default=""),
    sa.Column("plan_number", sa.Integer),
    sa.Column("error", sa.Text),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("updated_at", sa.Float, nullable=False),
)
_EVENT = sa.Table(
    "workstation_job_event",
    _TABLES,
    sa.Column("job_id", sa.String(36), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("fraction", sa.Float, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
)
_WORKER = sa.Table(
    "workstation_worker",
    _TABLES,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("beat", sa.BigInteger, nullable=False),
)
"""A count that each worker raises while it lives. Who sees one stand still knows without comparing clocks."""


class Job(Value):
    """One job as the page sees it."""

    id: str
    kind: str
    case_id: str
    state: State
    fraction: float
    message: str
    plan_number: int | None = None
    error: dict[str, Any] | None = None
    created_at: datetime
    updated_at: datetime


class JobEvent(Value):
    """One step of a job's progress; numbers count up from 1 without gaps."""

    number: int
    at: datetime
    state: State
    fraction: float
    message: str


class Claimed(Value):
    """A job in a worker's hands, with what it was asked to do and for whom."""

    id: str
    kind: str
    case_id: str
    asked: dict[str, Any]
    attempts: int


class JobBook:
    """Jobs in a database of their own.

    Args:
        url: of SQLAlchemy; SQLite for one machine, PostgreSQL for several.
    """

    def __init__(self, url: str) -> None:
        self._engine = sa.create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
        if url.startswith("sqlite"):
            sa.event.listen(self._engine, "connect", _prepare_sqlite)
        _TABLES.create_all(self._engine)

    def close(self) -> None:
        """Close the connections."""
        self._engine.dispose()

    # ------------------------------------------------------------- asked by the server

    def add(self, kind: str, case_id: str, owner: str, asked: Mapping[str, Any]) -> Job:
        """Write a new job down; it is safe once this returns."""
        now, job_id = time.time(), str(uuid.uuid4())
        with self._engine.begin() as connection:
            connection.execute(
                _JOB.insert().values(
                    id=job_id, kind=kind, case_id=case_id, owner=owner, asked=json.dumps(asked), attempts=0,
                    state="queued", fraction=0.0, message="waiting", created_at=now, updated_at=now,
                )
            )  # fmt: skip
            _note(connection, job_id, "queued", 0.0, "waiting", now)
        return self.read(job_id)

    def read(self, job_id: str) -> Job:
        """One job.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._engine.connect() as connection:
            row = connection.execute(sa.select(_JOB).where(_JOB.c.id == job_id)).one_or_none()
        if row is None:
            raise NotFoundError("no such job", found=job_id)
        return _job(row)

    def of_case(self, case_id: str, limit: int = 50) -> tuple[Job, ...]:
        """The jobs of a case, newest first."""
        query = sa.select(_JOB).where(_JOB.c.case_id == case_id).order_by(_JOB.c.created_at.desc())
        with self._engine.connect() as connection:
            return tuple(map(_job, connection.execute(query.limit(limit))))

    def of_owner(self, owner: str, limit: int = 50) -> tuple[Job, ...]:
        """The jobs somebody has asked for, newest first."""
        query = sa.select(_JOB).where(_JOB.c.owner == owner).order_by(_JOB.c.created_at.desc())
        with self._engine.connect() as connection:
            return tuple(map(_job, connection.execute(query.limit(limit))))

    def events(self, job_id: str, after: int = 0) -> tuple[JobEvent, ...]:
        """The steps of a job's progress with numbers above ``after``, in order."""
        query = sa.select(_EVENT).where(_EVENT.c.job_id == job_id, _EVENT.c.number > after)
        with self._engine.connect() as connection:
            rows = connection.execute(query.order_by(_EVENT.c.number)).all()
        return tuple(_event(row) for row in rows)

    def cancel(self, job_id: str) -> Job:
        """Ask a job to stop: one that waits is cancelled at once, one that runs at its next step.

        Raises:
            NotFoundError: there is none of that id.
        """
        with self._engine.begin() as connection:
            for state, new in (("queued", "cancelled"), ("running", "cancelling")):
                changed = self._change(connection, job_id, (state,), state=new, message=new)
                if changed:
                    break
        return self.read(job_id)

    # ------------------------------------------------------------- asked by the workers

    def claim(self, worker: str) -> Claimed | None:
        """Take the oldest job that waits; None when there is none."""
        with self._engine.begin() as connection:
            waiting = (
                sa.select(_JOB.c.id).where(_JOB.c.state == "queued").order_by(_JOB.c.created_at).limit(8)
            )
            for job_id in connection.execute(waiting).scalars().all():
                if self._change(
                    connection, job_id, ("queued",), state="running", worker=worker, message="starting"
                ):
                    return self._claimed(connection, job_id)
        return None

    def unfinished(self, worker: str, *, counts: bool = True) -> tuple[Claimed, ...]:
        """Jobs that this worker had in hand when it ended.

        Args:
            counts: whether that is one more attempt; not where the whole server ended, for no job did that.
        """
        mine = sa.and_(_JOB.c.worker == worker, _JOB.c.state.in_(("running", "cancelling")))
        with self._engine.begin() as connection:
            if counts:
                connection.execute(_JOB.update().where(mine).values(attempts=_JOB.c.attempts + 1))
            ids = (
                connection.execute(sa.select(_JOB.c.id).where(mine).order_by(_JOB.c.created_at))
                .scalars()
                .all()
            )
            return tuple(self._claimed(connection, job_id) for job_id in ids)

    def beat(self, worker: str) -> None:
        """Say that a worker lives."""
        mine = _WORKER.c.name == worker
        with self._engine.begin() as connection:
            done = connection.execute(_WORKER.update().where(mine).values(beat=_WORKER.c.beat + 1))
            if done.rowcount == 0:
                connection.execute(_WORKER.insert().values(name=worker, beat=1))

    def busy(self) -> dict[str, int]:
        """The beats of the workers that have a job in hand, by name; 0 of one that never told any."""
        query = (
            sa.select(_JOB.c.worker, sa.func.coalesce(_WORKER.c.beat, 0))
            .select_from(_JOB.outerjoin(_WORKER, _WORKER.c.name == _JOB.c.worker))
            .where(_JOB.c.state.in_(("running", "cancelling")))
            .distinct()
        )
        with self._engine.connect() as connection:
            return {name: beat for name, beat in connection.execute(query) if name}

    def adopt(self, name: str, worker: str) -> tuple[str, ...]:
        """Give the unfinished jobs of a worker that is gone to another; ids of those it got."""
        left = sa.and_(_JOB.c.worker == name, _JOB.c.state.in_(("running", "cancelling")))
        with self._engine.begin() as connection:
            ids = connection.execute(sa.select(_JOB.c.id).where(left)).scalars().all()
            return tuple(
                one
                for one in ids  # two that adopt at once: each job goes to one of them
                if connection.execute(
                    _JOB.update().where(_JOB.c.id == one, left).values(worker=worker)
                ).rowcount
            )

    def held_by(self, job_id: str, worker: str) -> bool:
        """Whether a job is in this worker's hands; another adopts it when this one is thought gone."""
        query = sa.select(_JOB.c.worker).where(_JOB.c.id == job_id)
        with self._engine.connect() as connection:
            return connection.execute(query).scalar_one_or_none() == worker

    def progress(self, job_id: str, worker: str, fraction: float, message: str) -> bool:
        """Write down how far a job is; False when it was asked to stop, or is another worker's now."""
        told = {"fraction": fraction, "message": message}
        with self._engine.begin() as connection:
            return self._change(connection, job_id, ("running",), by=worker, **told)

    def wanted(self, job_id: str, worker: str) -> bool:
        """Whether a job is still to run, by this worker."""
        query = sa.select(_JOB.c.id).where(
            _JOB.c.id == job_id, _JOB.c.state == "running", _JOB.c.worker == worker
        )
        with self._engine.connect() as connection:
            return connection.execute(query).first() is not None

    def end(
        self,
        job_id: str,
        worker: str,
        state: Literal["done", "failed", "cancelled"],
        message: str,
        *,
        plan_number: int | None = None,
        error: Mapping[str, Any] | None = None,
    ) -> None:
        """Write the end of a worker's job; one that has ended, or is another's, stays as it is."""
        more: dict[str, Any] = {"plan_number": plan_number, "error": json.dumps(error) if error else None}
        if state == "done":
            more["fraction"] = 1.0
        with self._engine.begin() as connection:
            known = ("running", "cancelling")
            self._change(connection, job_id, known, by=worker, state=state, message=message, **more)

    # ------------------------------------------------------------- inside

    def _change(
        self,
        connection: sa.Connection,
        job_id: str,
        states: Iterable[str],
        *,
        by: str | None = None,
        **values: Any,
    ) -> bool:
        """Change a job that is in one of ``states``, and in this worker's hands, and note it; else False."""
        now = time.time()
        where = sa.and_(_JOB.c.id == job_id, _JOB.c.state.in_(tuple(states)))
        where = where if by is None else sa.and_(where, _JOB.c.worker == by)
        done = connection.execute(_JOB.update().where(where).values(updated_at=now, **values))
        if done.rowcount != 1:
            return False
        row = connection.execute(sa.select(_JOB).where(_JOB.c.id == job_id)).one()
        _note(connection, job_id, row.state, row.fraction, row.message, now)
        return True

    def _claimed(self, connection: sa.Connection, job_id: str) -> Claimed:
        row = connection.execute(sa.select(_JOB).where(_JOB.c.id == job_id)).one()
        return Claimed(
            id=row.id, kind=row.kind, case_id=row.case_id, asked=json.loads(row.asked), attempts=row.attempts
        )


def _note(
    connection: sa.Connection, job_id: str, state: str, fraction: float, message: str, at: float
) -> None:
    last = sa.select(sa.func.coalesce(sa.func.max(_EVENT.c.number), 0)).where(_EVENT.c.job_id == job_id)
    number = connection.execute(last).scalar_one() + 1
    connection.execute(
        _EVENT.insert().values(
            job_id=job_id, number=number, at=at, state=state, fraction=fraction, message=message
        )
    )


def _job(row: sa.Row[Any]) -> Job:
    return Job(
        id=row.id,
        kind=row.kind,
        case_id=row.case_id,
        state=row.state,
        fraction=row.fraction,
        message=row.message,
        plan_number=row.plan_number,
        error=json.loads(row.error) if row.error else None,
        created_at=_time(row.created_at),
        updated_at=_time(row.updated_at),
    )


def _event(row: sa.Row[Any]) -> JobEvent:
    return JobEvent(
        number=row.number, at=_time(row.at), state=row.state, fraction=row.fraction, message=row.message
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _prepare_sqlite(connection: Any, record: Any) -> None:
    """Writers wait for each other instead of failing, and what was acknowledged survives a power cut."""
    connection.isolation_level = "IMMEDIATE"
    for line in ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=30000"):
        connection.execute(f"PRAGMA {line}").close()


def job_urls(database_url: str | None, folder: Path) -> tuple[str, str]:
    """(the book's database, the database of durable steps) beside a store.

    With PostgreSQL both live in the store's database; with SQLite in files of their own, so that progress
    never waits for a case that is being saved.
    """
    if database_url and not database_url.startswith("sqlite"):
        return database_url, database_url
    return f"sqlite:///{folder / 'jobs.sqlite'}", f"sqlite:///{folder / 'steps.sqlite'}"
