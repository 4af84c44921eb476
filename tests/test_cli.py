"""The command line: one JSON object on standard output, exit codes, generated options, and the main job."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from neurolysis import __version__
from neurolysis.app.demo import demo_case
from neurolysis.app.plan_record import read_plan_record
from neurolysis.app.schema import json_schema
from neurolysis.approval import DRAFT, RESEARCH_USE
from neurolysis.cli import run
from neurolysis.delivery.technique import techniques

COMMAND = [sys.executable, "-m", "neurolysis"]
NAMES = sorted(techniques())


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of one command run in this process."""
    code = run(arguments)
    out, err = capsys.readouterr()
    return code, out, err


def one_object(text: str) -> dict[str, Any]:
    """The text as the one JSON object it must be, on one line."""
    assert text.endswith("\n")
    assert text.count("\n") == 1
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


# ---------------------------------------------------------------- words and codes


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, "--help")
    assert (code, err) == (0, "")
    for command in ("plan", "demo", "simulate", "validate", "schema", "doctor"):
        assert f"\n  {command} " in out
    assert answer(capsys, "--version") == (0, f"neurolysis {__version__}\n", "")


def test_no_command_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys)
    assert (code, out) == (2, "")
    assert err.startswith("Usage: neurolysis")


@pytest.mark.parametrize(
    ("arguments", "code", "kind", "says"),
    [
        (("plan",), 2, "UsageError", "Missing argument"),
        (("nonsense",), 2, "UsageError", "No such command"),
        (("plan", "/nowhere", "--out", "out"), 2, "InputError", "no case here"),
        (("plan", "/nowhere", "--colour"), 2, "UsageError", "colour"),
        (("schema", "nope"), 2, "UnknownNameError", "case"),
        (("validate", "nope"), 2, "UnknownNameError", NAMES[0]),
        (("simulate",), 2, "UnknownNameError", NAMES[0]),
        (("simulate", "nope"), 2, "UnknownNameError", NAMES[0]),
        (("simulate", NAMES[0], "--case", "/nowhere.json"), 2, "InputError", "nowhere.json"),
        (("simulate", NAMES[0], "--set", "x"), 2, "InputError", "name=value"),
    ],
)
def test_errors_in_words_and_as_json(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], code: int, kind: str, says: str
) -> None:
    found, out, err = answer(capsys, *arguments)
    assert (found, out) == (code, "")
    assert err.startswith("neurolysis: ")
    assert says in err
    found, out, err = answer(capsys, *arguments, "--json")
    assert found == code
    error = one_object(out)["error"]
    assert error["type"] == kind
    assert error["exit_code"] == code
    assert says in " ".join(str(value) for value in error.values())


def test_an_unexpected_error_is_short_unless_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> dict[str, Any]:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("neurolysis.app.schema.json_schema", broken)
    code, out, err = answer(capsys, "schema", "case")
    assert (code, out) == (1, "")
    assert err == "neurolysis: unexpected ZeroDivisionError: oh (NEUROLYSIS_DEBUG=1 shows where)\n"
    code, out, _ = answer(capsys, "schema", "case", "--json")
    assert code == 1
    assert one_object(out)["error"]["type"] == "ZeroDivisionError"
    monkeypatch.setenv("NEUROLYSIS_DEBUG", "1")
    assert "Traceback" in answer(capsys, "schema", "case")[2]


def test_what_a_library_prints_stays_off_standard_output(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def chatty(name: str) -> dict[str, Any]:
        print("hello from below")
        return {"type": "object"}

    monkeypatch.setattr("neurolysis.app.schema.json_schema", chatty)
    code, out, err = answer(capsys, "schema", "case", "--json")
    assert (code, one_object(out)) == (0, {"type": "object"})
    assert "hello from below" in err


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "schema", "case", "--json")
    assert (code, one_object(out)) == (0, json_schema("case"))
    code, out, _ = answer(capsys, "schema", "case")
    assert json.loads(out) == json_schema("case")


def test_a_reader_that_goes_away_is_no_error() -> None:
    done = subprocess.run(
        [
            "bash",
            "-c",
            f"{sys.executable} -m neurolysis schema plan-result | head -c 10; exit ${{PIPESTATUS[0]}}",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stdout), done.stderr) == (0, 10, "")


# ---------------------------------------------------------------- generated from the techniques


@pytest.mark.parametrize("name", NAMES)
def test_the_options_of_simulate_come_from_the_technique(
    capsys: pytest.CaptureFixture[str], name: str
) -> None:
    code, out, _ = answer(capsys, "simulate", name, "--help")
    assert code == 0
    for option in techniques()[name].options:
        assert f"--{option.name.replace('_', '-')}" in out
    for common in ("--case", "--set", "--axisymmetric", "--json"):
        assert common in out


@pytest.mark.parametrize("name", NAMES)
def test_a_case_file_stands_alone(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    file = tmp_path / "case.json"
    file.write_text("{}")
    code, _, err = answer(capsys, "simulate", name, "--case", str(file), "--set", "a=1")
    assert code == 2
    assert "a case file holds every number" in err
    code, out, _ = answer(capsys, "simulate", name, "--case", str(file), "--json")
    assert code == 2
    assert str(file) in one_object(out)["error"]["where"]


SIMULATE = ("simulate", "radiofrequency", "--axisymmetric")


def test_simulate_gives_lesion_trace_and_balance(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, *SIMULATE, "--gauge", "18", "--tip-mm", "10", "--json")
    assert code == 0
    found = one_object(out)
    for criterion in ("isotherm_50c", "isotherm_45c", "arrhenius_1"):
        sizes = found["lesion"][criterion]
        assert {"width_mm", "length_mm", "volume_mm3", "distal_extent_mm", "proximal_extent_mm"} <= set(sizes)
    trace = found["trace"]
    names = ("time_s", "tip_temperature_c", "power_w", "impedance_ohm", "voltage_v")
    assert len({len(trace[name]) for name in names}) == 1
    assert trace["time_s"][-1] == pytest.approx(90.0)
    assert found["energy_balance_error"] < 0.01
    assert found["grid"]["cells"] > 100
    assert found["elapsed_s"] > 0
    assert found["compile_s"] >= 0
    assert found["research_use"] == RESEARCH_USE


def test_a_property_that_is_set_changes_the_result(capsys: pytest.CaptureFixture[str]) -> None:
    plain = one_object(answer(capsys, *SIMULATE, "--json")[1])
    other = one_object(answer(capsys, *SIMULATE, "--set", "conductivity_s_per_m=0.1", "--json")[1])
    ratio = other["trace"]["impedance_ohm"][0] / plain["trace"]["impedance_ohm"][0]
    assert ratio > 3
    code, out, _ = answer(capsys, *SIMULATE, "--set", "colour=1", "--json")
    assert code == 2
    assert "conductivity_s_per_m" in one_object(out)["error"]["allowed"]


def test_simulate_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, *SIMULATE)
    assert (code, err) == (0, "")
    assert "lesion.isotherm_50c.width_mm" in out
    assert RESEARCH_USE in out


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = answer(capsys, "doctor", "--json")
    found = one_object(out)
    assert (code, found["problems"]) == (0, [])
    assert found["pdf"]["engine"]
    code, out, _ = answer(capsys, "doctor")
    assert code == 0
    assert out.endswith("nothing is missing\n")


# ---------------------------------------------------------------- the main job


@pytest.fixture(scope="module")
def planned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], str]:
    """The demonstration, run once as a user runs it: its folder, its JSON answer and standard error."""
    out = tmp_path_factory.mktemp("demo") / "result"
    done = subprocess.run([*COMMAND, "demo", "--out", str(out), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out, one_object(done.stdout), done.stderr


def test_the_demo_writes_three_files_and_says_where(planned: tuple[Path, dict[str, Any], str]) -> None:
    out, said, _ = planned
    assert sorted(path.name for path in out.iterdir()) == ["plan.json", "report.html", "report.pdf"]
    assert sorted(path.name for path in out.parent.iterdir()) == ["result"]
    assert said["report_html"] == str(out / "report.html")
    assert said["report_pdf"] == str(out / "report.pdf")
    assert said["plan"] == str(out / "plan.json")
    assert said["mark"] == DRAFT
    assert said["research_use"] == RESEARCH_USE
    assert (out / "report.pdf").read_bytes().startswith(b"%PDF-")
    assert "</html>" in (out / "report.html").read_text("utf-8")[-20:]


def test_stops_and_warnings_are_said_on_standard_error(planned: tuple[Path, dict[str, Any], str]) -> None:
    _, said, err = planned
    for notice in (*said["stops"], *said["warnings"]):
        assert f"{notice['severity'].upper()} [{notice['code']}] {notice['text']}" in err


def test_the_record_is_read_back_without_loss(planned: tuple[Path, dict[str, Any], str]) -> None:
    file = planned[0] / "plan.json"
    record = read_plan_record(file)
    assert record.text() == file.read_text("utf-8")
    assert record.mark == DRAFT
    assert record.demonstration
    assert record.hashes.plan == record.plan.content_hash()
    assert record.hashes.injury == record.injury.content_hash()
    assert record.hashes.case == record.plan.case_hash
    assert record.energy_balance is not None
    assert record.energy_balance.error < 0.01
    assert {size.criterion for size in record.lesions} == {criterion.id for criterion in record.criteria}
    assert len(record.trace.time_s) > 10
    assert all(len(values) == len(record.trace.time_s) for values in record.trace.series.values())
    assert set(record.trace.units) == set(record.trace.series)
    assert all(item.number.basis == "assumption" for item in record.assumptions)
    assert set(record.timing_s) == {"scene", "plan", "simulate", "report"}


def test_the_record_fits_its_published_schema(planned: tuple[Path, dict[str, Any], str]) -> None:
    data = json.loads((planned[0] / "plan.json").read_text("utf-8"))
    jsonschema.validate(data, json_schema("plan-result"))
    jsonschema.validate(data["plan"], json_schema("plan"))
    data["plan"]["protocol"]["colour"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, json_schema("plan-result"))


def _read_until(terminal: int, text: str, seconds: float) -> str:
    """What a terminal shows until ``text`` appears."""
    seen, deadline = "", time.monotonic() + seconds
    while text not in seen:
        ready, _, _ = select.select([terminal], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"'{text}' was not shown within {seconds} s, but: {seen}"
        seen += os.read(terminal, 65536).decode("utf-8", "replace")
    return seen


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_leaves_nothing(tmp_path: Path, sent: signal.Signals) -> None:
    """On a terminal the progress bar says how far it is; that is when the signal is sent."""
    command = [*COMMAND, "demo", "--out", str(tmp_path / "result"), "--json"]
    terminal, theirs = pty.openpty()
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, text=True) as process:
        shown = _read_until(terminal, "sampling tissue", 60)
        process.send_signal(sent)
        shown += _read_until(terminal, "interrupted", 60)
        out, _ = process.communicate(timeout=60)
    os.close(theirs)
    os.close(terminal)
    assert process.returncode == 130
    assert "reading images and anatomy" in shown
    assert one_object(out)["error"]["type"] == "Interrupted"
    assert list(tmp_path.iterdir()) == []


def _case_with(folder: Path, *changes: tuple[str, str]) -> Path:
    """The demonstration's case with some patterns of its text replaced; images are linked."""
    folder.mkdir()
    for file in demo_case().glob("*.nii.gz"):
        os.symlink(file, folder / file.name)
    text = (demo_case() / "case.yaml").read_text("utf-8")
    for old, new in changes:
        text, count = re.subn(old, new, text)
        assert count, f"'{old}' is not in the demonstration's case"
    (folder / "case.yaml").write_text(text, "utf-8")
    return folder


def test_a_disk_that_fills_up_leaves_nothing(tmp_path: Path) -> None:
    case = _case_with(tmp_path / "case", ("duration_s: 90", "duration_s: 12"))
    out = tmp_path / "deep" / "result"
    limited = ["bash", "-c", 'ulimit -f 20; exec "$@"', "bash"]  # no file above 20 kB, as on a full disk
    command = [*limited, *COMMAND, "plan", str(case), "--out", str(out), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert one_object(done.stdout)["error"]["type"] == "OutputError"
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_real_case_with_stops_is_written_as_a_draft_and_exits_3(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    case = _case_with(
        tmp_path / "case",
        ("demonstration: true", "demonstration: false"),
        ("transitional_vertebra: null", "transitional_vertebra: true"),
        ("duration_s: 90", "duration_s: 12"),
    )
    out = tmp_path / "out"
    code, text, err = answer(capsys, "plan", str(case), "--out", str(out), "--json")
    said = one_object(text)
    assert code == 3
    assert said["stops"]
    assert said["mark"] == DRAFT
    assert "STOP [" in err
    assert sorted(path.name for path in out.iterdir()) == ["plan.json", "report.html", "report.pdf"]
    assert set(read_plan_record(out / "plan.json").stops) == {stop["code"] for stop in said["stops"]}
    (out / "plan.json").write_text(json.dumps({"schema": "neurolysis-plan-result", "mark": "APPROVED by X"}))
    code, text, _ = answer(capsys, "plan", str(case), "--out", str(out), "--json")
    assert code == 2
    assert "approved plan" in one_object(text)["error"]["problem"]


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("id: demo-l2-medial-branch", "id: demo-l2-medial-branch\nid: b", "given twice"),
        ("path: ct.nii.gz", "path: none.nii.gz", "none.nii.gz"),
        ("set_temperature_c: 80", "set_temperature_c: 200", "set_temperature_c"),
        ("set_temperature_c: 80", "set_temprature_c: 80", "set_temprature_c"),
        ("instrument: cannula_18g_10mm", "instrument: cannula_99g", "cannula_18g_10mm"),
        ("technique: radiofrequency", "technique: magic", "radiofrequency"),
        (r"tip_mm: \[.*\]", "tip_mm: [49.5, 1195.1, -52.1]", "image"),
        (r"tip_mm: \[.*\]", "tip_mm: [49.5, 195.1]", "tip_mm"),
    ],
)
def test_a_wrong_case_is_refused_and_nothing_is_written(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, old: str, new: str, says: str
) -> None:
    case = _case_with(tmp_path / "case", (old, new))
    code, text, _ = answer(capsys, "plan", str(case), "--out", str(tmp_path / "out"), "--json")
    error = one_object(text)["error"]
    assert code == 2
    assert says in " ".join(str(value) for value in error.values())
    assert not (tmp_path / "out").exists()
