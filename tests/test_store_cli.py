"""The commands that keep the store, as people run them."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from neurolysis.app.cases import load_case
from neurolysis.app.demo import demo_case
from neurolysis.cli import run
from neurolysis.records.store import Store

from .store_kit import LOCAL, record, stop

REASON = "reviewed on the planning images"


@pytest.fixture
def kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A store with the demonstration in it, taken in by the command."""
    assert run(["case", "import", str(demo_case()), "--store", str(tmp_path / "s")]) == 0
    assert "to evaluate" in capsys.readouterr().out
    return tmp_path / "s"


def answer(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, object]:
    """What a command says with --json."""
    assert run([*arguments, "--json"]) == code
    found: dict[str, object] = json.loads(capsys.readouterr().out)
    return found


def test_a_case_goes_from_store_to_store_by_file(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    id, file, other = load_case(demo_case())[0].id, tmp_path / "case.zip", str(tmp_path / "other")
    answer(capsys, "case", "export", id, "--out", str(file), "--store", str(kept))
    assert answer(capsys, "case", "import", str(file), "--store", other)["case"] == id
    assert answer(capsys, "case", "import", str(file), "--store", other, code=2)["error"]
    answer(capsys, "case", "export", id, "--out", str(tmp_path / "again.zip"), "--store", other)
    assert (tmp_path / "again.zip").read_bytes() == file.read_bytes()


def test_check_backup_damage_and_restore(
    kept: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = answer(capsys, "check-store", "--store", str(kept))
    assert (found["whole"], found["cases"]) == (True, 1)
    head = f"{found['head']['line']}:{found['head']['hash']}"  # type: ignore[index]
    answer(capsys, "backup", str(tmp_path / "b"), "--store", str(kept))
    assert answer(capsys, "check-store", "--head", head, "--store", str(kept))["whole"]
    with sqlite3.connect(kept / "store.sqlite") as connection:
        connection.execute("UPDATE cases SET title = 'changed by somebody'")
    connection.close()
    damaged = answer(capsys, "check-store", "--store", str(kept), code=1)
    assert not damaged["whole"]
    made = answer(capsys, "restore", str(tmp_path / "b"), "--store", str(tmp_path / "fresh"))
    assert made["problems"] == []
    assert answer(capsys, "check-store", "--head", head, "--store", str(tmp_path / "fresh"))["whole"]
    other = head[:-1] + ("0" if head[-1] != "0" else "1")
    assert not answer(capsys, "check-store", "--head", other, "--store", str(kept), code=1)["whole"]


def test_what_is_not_there_is_said_and_not_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    none = str(tmp_path / "none")
    for arguments in (
        ["check-store"], ["backup", str(tmp_path / "b")],
        ["case", "export", "x", "--out", str(tmp_path / "x")],
        ["approve", "x", "1", "--name", "A", "--reason", REASON],
    ):  # fmt: skip
        assert run([*arguments, "--store", none]) == 2
        assert "no store here" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    assert run(["check-store", "--head", "x", "--store", none]) == 2


def test_the_command_approves_by_the_same_rules(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = Store.open(folder=kept)
    of = store.list_cases(LOCAL).rows[0].id
    case = store.read_case(LOCAL, of).case
    store.add_plan(LOCAL, of, 1, record(case, stop("limit.temperature_c")))
    store.add_plan(LOCAL, of, 1, record(case, stop("side.missing", overridable=True)))
    store.close()
    common = ["--name", "Dr A", "--reason", REASON, "--store", str(kept)]
    stopped = answer(capsys, "approve", of, "1", *common, code=3)
    assert "limit.temperature_c" in str(stopped["error"])
    assert answer(capsys, "approve", of, "1", "--override", "nonsense", *common, code=2)["error"]
    side = answer(capsys, "approve", of, "2", "--override", f"side.missing={REASON}", *common, code=3)
    assert "cannot be set aside by anybody" in str(side["error"])
    done = answer(capsys, "approve", of, "1", "--override", f"limit.temperature_c={REASON}", *common)
    assert str(done["mark"]).startswith("APPROVED by Dr A (name typed, not authenticated)")
    assert answer(capsys, "approve", of, "1", *common, code=2)["error"], "an approval stays"
