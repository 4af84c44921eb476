"""The command ``localize``: text, JSON, what is missing, and choices that are refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from neurolysis.app.demo import demo_case
from neurolysis.cli import run


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error."""
    code = run(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def test_the_first_demonstration_has_a_target_but_no_skin(capsys: pytest.CaptureFixture[str]) -> None:
    """Its image ends inside the body: the target is found, and no path is invented."""
    code, out, _ = answer(capsys, "localize", str(demo_case()))
    assert code == 0
    assert "spread 2.0 mm" in out
    assert "the skin is not in the image" in out


def test_celiac_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """One object on one line; offers with clearances, chances and what rules the others out."""
    code, out, _ = answer(capsys, "localize", str(demo_case("celiac")), "--offers", "2", "--json")
    assert code == 0
    assert out.count("\n") == 1
    found = json.loads(out)
    offers = found["paths"]["search"]["offers"]
    assert len(offers) == 2
    assert {"tip_mm", "entry_mm", "clearances", "met", "slack_mm"} <= set(offers[0])
    assert found["paths"]["search"]["candidates"] == 10_000


def test_missing_landmarks_are_listed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Without labels, drawing or picks the command lists what to pick, and stops."""
    folder = tmp_path / "case"
    shutil.copytree(demo_case("celiac"), folder)
    case = yaml.safe_load((folder / "case.yaml").read_text("utf-8"))
    for name in ("landmarks", "nerves", "labels", "treatment"):
        case.pop(name, None)
    (folder / "case.yaml").write_text(yaml.safe_dump(case), "utf-8")
    code, out, _ = answer(capsys, "localize", str(folder))
    assert code == 3
    assert "celiac_artery_origin" in out
    assert "MISSING" in out or "missing" in out


@pytest.mark.parametrize("bad", [["--margin", "vessel"], ["--margin", "vessel=wide"], ["--reach", "-1"]])
def test_bad_choices_leave_nothing(capsys: pytest.CaptureFixture[str], bad: list[str]) -> None:
    """Exit code 2, nothing on standard output."""
    code, out, err = answer(capsys, "localize", str(demo_case("celiac")), *bad)
    assert (code, out) == (2, "")
    assert err
