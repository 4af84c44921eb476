"""Settings and fixtures that hold for every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import settings

from .postgres import PostgresServer, find_programs

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
