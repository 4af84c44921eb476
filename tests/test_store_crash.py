"""kill -9 while writing: no acknowledged write is lost, nothing is half there; and writes that fail."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from neurolysis.errors import NeurolysisError, OutputError
from neurolysis.records.store import Store

from .store_kit import LOCAL, case, files

ROOT = Path(__file__).resolve().parents[1]


class Writer:
    """The writing process, its acknowledgements, and its end by kill -9."""

    def __init__(self, url: str, folder: Path, scratch: Path, number: int) -> None:
        scratch.mkdir(parents=True, exist_ok=True)
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        self.process = subprocess.Popen(
            [sys.executable, ROOT / "tests/store_writer.py", url, folder, scratch, str(number)],
            stdout=subprocess.PIPE, env=environment,
        )  # fmt: skip

    def run_and_kill(self, chance: random.Random) -> list[dict[str, Any]]:
        """Let it acknowledge a few writes and kill it in one of the next; every whole line it said."""
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(chance.randrange(2, 14))]
        time.sleep(chance.uniform(0.0, 0.05))
        self.process.send_signal(signal.SIGKILL)
        lines += self.process.stdout.read().splitlines(keepends=True)
        self.process.wait()
        self.process.stdout.close()
        return [json.loads(line) for line in lines if line.endswith(b"\n")][1:]

    def kill_while_opening(self, chance: random.Random) -> None:
        """Kill it at a moment before its first write, perhaps while it makes the tables."""
        time.sleep(chance.uniform(0.0, 2.0))
        self.process.send_signal(signal.SIGKILL)
        self.process.communicate()


def check_all(store: Store, told: list[dict[str, Any]]) -> None:
    """The store is whole and holds everything that was acknowledged."""
    assert [problem for problem in store.check() if problem.severity == "error"] == []
    for line in told:
        if "version" in line:
            stored = store.read_case(LOCAL, line["id"], line["version"])
            assert stored.case.notes == line["notes"]
            text = f"{line['id']} {line['version']} ".encode() * 20_000
            assert store.blobs.read(stored.files["image"]) == text
        elif "document" in line:
            found = store.read_document(LOCAL, line["id"], "outcome", line["document"])
            assert found is not None
            assert found.value["clinician"] == line["id"]
        else:
            draft = store.read_draft(LOCAL, line["id"], "case-evaluate")
            assert draft is not None
            assert draft.data == {"typed": line["draft"]}


def no_case_is_half_there(store: Store) -> None:
    """Every case in the list can be read, opened as a folder, and has all its versions and files."""
    page = store.list_cases(LOCAL, limit=500)
    for row in page.rows[:20]:
        versions = store.case_versions(LOCAL, row.id)
        assert [v.version for v in versions] == list(range(row.version, 0, -1))
        with store.case_folder(LOCAL, row.id) as folder:
            assert (folder / "image").is_file()


def kill_often(url: str, folder: Path, scratch: Path, kills: int) -> int:
    """Kill a writer again and again at random moments on one store; how many writes were checked."""
    chance = random.Random(7)  # noqa: S311 (no secret)
    told: list[dict[str, Any]] = []
    for number in range(kills):
        if number % 4 == 0:
            Writer(url, folder, scratch, number).kill_while_opening(chance)
        writers = [
            Writer(url, folder, scratch / f"{k}", number + k * kills) for k in (1, 2)[: 1 + number % 2]
        ]
        for writer in writers:
            told += writer.run_and_kill(chance)
        store = Store.open(url or None, folder)
        assert store.list_cases(LOCAL, limit=1).total >= len({line["id"] for line in told})
        if number % 20 == kills % 20 or number == kills - 1:
            check_all(store, told)
            no_case_is_half_there(store)
        store.close()
    assert len(told) > kills, "the writer wrote hardly anything: this test shows nothing"
    return len(told)


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_kill_nine_loses_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres").database() if kind == "postgresql" else ""
    kill_often(url, tmp_path / "store", tmp_path / "scratch", 4)


@pytest.mark.verify
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_two_hundred_kills_lose_nothing(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = request.getfixturevalue("postgres").database() if kind == "postgresql" else ""
    kills = int(os.environ.get("NEUROLYSIS_TEST_KILLS", "200"))
    told = kill_often(url, tmp_path / "store", tmp_path / "scratch", kills)
    print(f"{kind}: {kills} kills, {told} acknowledged writes checked, 0 lost")


# ---------------------------------------------------------------- writes that fail


def test_a_full_disk_leaves_the_old_state(tmp_path: Path) -> None:
    """The system itself refuses every byte beyond a limit, as a full disk does."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = _with_a_limit(tmp_path)
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    store = Store.open(folder=tmp_path / "store")
    assert store.read_case(LOCAL, "case-1").version == 1
    assert store.list_cases(LOCAL).total == 1
    assert store.check() == ()


def _with_a_limit(tmp_path: Path) -> int:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    store = Store.open(folder=tmp_path / "store")
    store.create_case(LOCAL, case(), files(tmp_path / "in"))
    big = tmp_path / "big"
    big.write_bytes(os.urandom(4_000_000))
    used = (tmp_path / "store/store.sqlite").stat().st_size
    resource.setrlimit(resource.RLIMIT_FSIZE, (used + 300_000, used + 300_000))
    refused = 0
    for attempt in (
        lambda: store.save_case(LOCAL, "case-1", case(), 1, {"big": big}),
        lambda: store.create_case(LOCAL, case("case-2", notes="x" * 5_000_000), files(tmp_path / "in2")),
    ):
        try:
            attempt()
        except OutputError:
            refused += 1
    return 0 if refused == 2 else 2


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    """Makes the n-th call of one system function fail, as a device with an error does."""

    def arm(name: str, number: int) -> None:
        real = getattr(os, name)
        count = 0

        def call(*args: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                raise OSError(5, "Input/output error")
            return real(*args, **options)

        monkeypatch.setattr(os, name, call)

    return arm


@pytest.mark.parametrize("name", ["fsync", "replace", "mkdir", "chmod", "open", "link"])
@pytest.mark.parametrize("number", [1, 2, 3])
def test_an_error_of_the_device_is_typed_and_leaves_old_or_new(
    tmp_path: Path,
    failing: Callable[[str, int], None],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    number: int,
) -> None:
    store = Store.open(folder=tmp_path / "store")
    store.create_case(LOCAL, case(), files(tmp_path / "in"))
    fresh = files(tmp_path / "other", "other")
    failing(name, number)
    saved = True
    try:
        store.save_case(LOCAL, "case-1", case(notes="new"), 1, fresh)
        with store.case_folder(LOCAL, "case-1"):
            pass
    except NeurolysisError:
        saved = False
    monkeypatch.undo()
    found = store.read_case(LOCAL, "case-1")
    assert found.version in ((2,) if saved else (1, 2))
    assert found.case.notes == ("new" if found.version == 2 else "")
    assert [p for p in store.check() if p.severity == "error"] == []
    store.close()
