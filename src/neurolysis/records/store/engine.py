"""Opening the database: SQLite in WAL with full sync, or PostgreSQL; and bringing its tables up to date."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from neurolysis.errors import InputError

URL_VARIABLE = "NEUROLYSIS_DATABASE_URL"
FOLDER_VARIABLE = "NEUROLYSIS_STORE"
SQLITE_FILE = "store.sqlite"
LOCK_WAIT_S = 60
MIGRATIONS = Path(__file__).parent / "migrations"
BEGIN = "sqlite_begin"
"""Execution option: how a transaction begins on SQLite; writers take the lock at once."""


def default_folder() -> Path:
    """Where the store lies when nothing is said."""
    import platformdirs

    given = os.environ.get(FOLDER_VARIABLE)
    return Path(given) if given else Path(platformdirs.user_data_dir("neurolysis", appauthor=False)) / "store"


def database_url(url: str | None, folder: Path) -> sa.URL:
    """The URL as given, of the environment, or SQLite in the folder.

    Raises:
        InputError: not a URL, or of another kind of database.
    """
    text = url or os.environ.get(URL_VARIABLE) or f"sqlite:///{folder / SQLITE_FILE}"
    try:
        found = sa.make_url(text)
    except sa.exc.ArgumentError as error:
        raise InputError(
            "not a database URL", where=URL_VARIABLE, allowed="postgresql://, sqlite:///"
        ) from error
    kind = found.get_backend_name()
    if kind not in ("sqlite", "postgresql"):
        raise InputError("this database is not supported", found=kind, allowed=("postgresql", "sqlite"))
    return found.set(drivername="postgresql+psycopg") if kind == "postgresql" else found


def exists(url: str | None, folder: Path | None) -> bool:
    """Whether there is a store already; of another server this is not asked."""
    found = database_url(url, (folder or default_folder()).absolute())
    return found.get_backend_name() != "sqlite" or Path(found.database or "").is_file()


def make_engine(url: sa.URL) -> sa.Engine:
    """An engine whose every connection keeps what it acknowledges."""
    if url.get_backend_name() == "postgresql":
        engine = sa.create_engine(url, pool_pre_ping=True, pool_size=10, max_overflow=20)
        sa.event.listen(engine, "connect", _postgresql_settings)
        return engine
    engine = sa.create_engine(url, connect_args={"timeout": LOCK_WAIT_S}, pool_size=10, max_overflow=30)
    sa.event.listen(engine, "connect", _sqlite_settings)
    sa.event.listen(engine, "begin", _sqlite_begin)
    return engine


def _postgresql_settings(connection: Any, record: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET synchronous_commit TO on")
        cursor.execute("SET lock_timeout TO '60s'")
    connection.commit()


def _sqlite_settings(connection: Any, record: Any) -> None:
    connection.isolation_level = None  # the driver's own BEGIN would take no lock until the first write
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "trusted_schema=OFF"):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite_begin(connection: sa.Connection) -> None:
    how = connection.get_execution_options().get(BEGIN, "IMMEDIATE")
    connection.exec_driver_sql(f"BEGIN {how}")


@contextmanager
def snapshot(engine: sa.Engine) -> Iterator[sa.Connection]:
    """A connection that sees one moment of the whole database and blocks nobody."""
    if engine.dialect.name == "postgresql":
        options: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
    else:
        options = {BEGIN: "DEFERRED"}
    with engine.connect().execution_options(**options) as connection, connection.begin():
        yield connection


def upgrade(engine: sa.Engine) -> None:
    """Bring the tables to this program's version; does nothing when they are there.

    Raises:
        InputError: the database was made by a newer version of the program.
    """
    newest = newest_revision()
    found = _revision(engine)
    if found == newest:
        return
    if found is not None and found not in _known():
        raise InputError("the store was made by a newer version of this program", found=found, allowed=newest)
    with engine.begin() as connection:
        _alembic(connection, "upgrade", "head")


def downgrade(engine: sa.Engine, revision: str) -> None:
    """Take the tables back to an older revision ("base": none at all)."""
    with engine.begin() as connection:
        _alembic(connection, "downgrade", revision)


def _alembic(connection: sa.Connection, what: str, revision: str) -> None:
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":  # two first starts at once: one makes, the other waits
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(7206175)"))
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    getattr(command, what)(config, revision)


def _known() -> list[str]:
    return sorted(path.stem for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def newest_revision() -> str:
    """The version of the tables that this program makes."""
    return _known()[-1]


def _revision(engine: sa.Engine) -> str | None:
    with snapshot(engine) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
        return found
