"""The commands round the patient, run as a user runs them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from neurolysis.cli import run

CASE = """
schema_version: 1
id: small
evaluated: 2026-11-01
patient:
  {id: p, birth_year: 1970, sex: male, weight_kg: 80, weight_date: 2026-10-01, height_cm: 180}
allergies: []
findings:
  - {kind: history, name: heart_failure, result: absent}
  - {kind: history, name: liver_disease, result: absent}
  - {kind: history, name: renal_failure, result: absent}
  - {kind: history, name: debilitated, result: absent}
skin_depth_mm: 60
anaesthesia:
  sedation: none
  escort_arranged: true
  intravenous_access: true
  stimulation: false
  order: [anaesthetic, lesion]
  lesion_minutes: 30
  lesion_lasts_min: 20
  injections:
    - agent: lidocaine
      concentration_percent: 1
      volume_ml: 4
      dose_mg: 40
      purpose: skin
      site: infiltration
"""


@pytest.fixture
def case(tmp_path: Path) -> Path:
    (tmp_path / "case.yaml").write_text(CASE)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any, str]:
    code = run([*arguments, "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out), err


def test_anesthetize_says_what_is_missing(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = answer(capsys, "anesthetize", str(case))
    assert (code, found["answer"]) == (0, "cannot say")
    assert found["dose"]["answer"] == "within every limit"
    assert found["needs"] == ["the diameter of the target (none is named)"]
    assert found["block"]["track"]["path_mm"] == 60
    assert found["research_use"]


def test_anesthetize_stops_over_a_limit(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = CASE.replace("volume_ml: 4\n      dose_mg: 40", "volume_ml: 50\n      dose_mg: 500")
    (case / "case.yaml").write_text(text)
    code, found, _ = answer(capsys, "anesthetize", str(case))
    assert (code, found["answer"]) == (3, "stop")
    assert run(["anesthetize", str(case)]) == 3
    assert "STOP [dose.over]" in capsys.readouterr().out


def test_anesthetize_refuses_a_slip_by_ten(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (case / "case.yaml").write_text(CASE.replace("concentration_percent: 1\n", "concentration_percent: 10\n"))
    code, found, _ = answer(capsys, "anesthetize", str(case))
    assert code == 2
    assert "does not agree with strength times volume" in found["error"]["problem"]


def test_without_a_day_today_is_used_and_said(case: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (case / "case.yaml").write_text(CASE.replace("evaluated: 2026-11-01\n", ""))
    _, found, err = answer(capsys, "anesthetize", str(case))
    assert "today's date was used" in err
    assert found["remarks"]
    _, found, _ = answer(capsys, "anesthetize", str(case), "--on", "2026-11-01")
    assert found["remarks"] == []


def test_simulate_anesthetic(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "simulate",
        "anesthetic",
        "--agent",
        "ropivacaine",
        "--dose-mg",
        "400",
        "--site",
        "intercostal",
    ]
    code, found, _ = answer(capsys, *arguments)
    assert code == 0, "simulate computes any valid dose"
    assert len(found["warnings"]) >= 3
    for name in ("cmax_mg_per_l", "free_cmax_mg_per_l", "tmax_min"):
        assert found[name]["p5"] < found[name]["median"] < found[name]["p95"]
    assert len(found["curve"]["time_min"]) == len(found["curve"]["median_mg_per_l"])
    assert min(found["curve"]["p5_mg_per_l"]) >= 0


def test_a_wrong_name_lists_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = answer(
        capsys, "simulate", "anesthetic", "--agent", "x", "--dose-mg", "1", "--site", "tap"
    )
    assert code == 2
    assert "ropivacaine" in found["error"]["allowed"]
    code, found, _ = answer(capsys, "simulate", "x")
    assert "anesthetic" in found["error"]["allowed"]


def test_validate_anesthesia(capsys: pytest.CaptureFixture[str]) -> None:
    code, found, _ = answer(capsys, "validate", "anesthesia")
    assert code == 0
    assert set(found["rows"]) == {"anesthesia"}
    assert found["counts"]["fail"] > 0
