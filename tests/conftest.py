"""Settings and fixtures that hold for every test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from .postgres import PostgresServer, find_programs

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from neurolysis.records.store import Store

    from .page_kit import Desk
    from .server_kit import Server

# How long one example takes depends on the machine and on what else it does; a test must not.
settings.register_profile("house", deadline=None)
settings.load_profile("house")


LONGEST = (
    "test_page_browser", "test_server_jobs", "test_verification", "test_cli", "test_technique",
    "test_freezing", "test_laser", "test_infusion", "test_bench_case", "test_server_strings",
    "test_registration_2d3d", "test_image_registration", "test_bioheat", "test_server_openapi",
    "test_treatment", "test_cryo", "test_celiac", "test_agents", "test_report", "test_paths",
    "test_demo_plan", "test_batch", "test_fhir_round_trip", "test_store_exchange",
)  # fmt: skip
"""Files that take longest, begun first: else one worker ends alone with a long one."""


def pytest_configure(config: pytest.Config) -> None:
    """Files go to the workers in the order of collection, not by their number of tests."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first, the others as they were."""
    rank = {name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path.stem, len(rank)))


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A real PostgreSQL of this test run, from the Debian package; skipped where that is not installed."""
    programs = find_programs()
    if programs is None:
        pytest.skip("needs the Debian package postgresql")
    with PostgresServer.started(programs) as server:
        yield server


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, one a file of tests."""
    from .page_kit import chromium

    with chromium() as started:
        yield started


@pytest.fixture
def desk(browser: Browser, server: Server) -> Iterator[Desk]:
    """Somebody at the workstation of the file's own ``server``; at the end nothing may have failed there."""
    from .page_kit import Desk

    made = Desk(browser, server)
    yield made
    made.close()


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
