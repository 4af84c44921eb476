"""Settings and fixtures that hold for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from .postgres import PostgresServer, find_programs

if TYPE_CHECKING:
    from neurolysis.records.store import Store

# How long one example takes depends on the machine and on what else it does; a test must not.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL of this test run, from the Debian package; skipped where that is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("needs the Debian package postgresql")
    with PostgresServer.started(programs) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def new_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Makes stores of one kind; the same tests run on both."""
    from neurolysis.records.store import Store

    opened: list[Store] = []

    def make(name: str = "store", clock: Any = None) -> Store:
        url = None
        if request.param == "postgresql":
            url = request.getfixturevalue("postgres").database()
        store = Store.open(url, tmp_path / name, **({"clock": clock} if clock else {}))
        opened.append(store)
        return store

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(new_store: Callable[..., Store]) -> Store:
    """An empty store."""
    return new_store()
