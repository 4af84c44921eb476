"""The actions behind the doors: files read strictly, outputs whole or not at all, schemas that hold."""

from __future__ import annotations

import itertools
import json
import os
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings

from neurolysis.app.atomic import require_target, written_whole
from neurolysis.app.cases import load_case
from neurolysis.app.doctor import _reaches, doctor, required_packages
from neurolysis.app.files import read_json, read_yaml, yaml_text
from neurolysis.app.plan_case import _why_keep
from neurolysis.app.schema import json_schema, schema_models
from neurolysis.app.simulate import complete_values, flag, read_settings
from neurolysis.app.steps import Steps
from neurolysis.app.texts import outline, validation_text
from neurolysis.app.validate import Validation
from neurolysis.delivery.technique import Option, ValidationRow, techniques
from neurolysis.errors import InputError, OutputError, UnknownNameError

from .strategies import CASES

ROOT = Path(__file__).resolve().parents[1]
MINIMAL = "id: case-1\npatient:\n  id: p1\n"


def never(folder: Path) -> str:
    """A target that must not be replaced."""
    return "it is not ours"


def always(folder: Path) -> str:
    """A target that may be replaced."""
    return ""


def content(folder: Path) -> dict[str, str]:
    """Names and texts of all files below a folder."""
    return {str(p.relative_to(folder)): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


# ---------------------------------------------------------------- outputs


def test_a_new_folder_appears_whole(tmp_path: Path) -> None:
    target = tmp_path / "a" / "b" / "out"
    with written_whole(target) as fresh:
        (fresh / "one.txt").write_text("1")
        assert not target.exists()
    assert content(tmp_path) == {"a/b/out/one.txt": "1"}
    assert [p.name for p in target.parent.iterdir()] == ["out"]


def test_an_existing_folder_keeps_its_other_files(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with written_whole(tmp_path) as fresh:
        (fresh / "one.txt").write_text("new")
        (fresh / "two.txt").write_text("2")
    assert content(tmp_path) == {"notes.txt": "mine", "one.txt": "new", "two.txt": "2"}


def write(target: Path, texts: dict[str, str], last: Callable[[Path], None] = lambda fresh: None) -> None:
    """Write files into a target, then do one last thing before they are moved."""
    with written_whole(target) as fresh:
        for name, text in texts.items():
            (fresh / name).write_text(text)
        last(fresh)


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
@pytest.mark.parametrize("exists", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path: Path, error: type[BaseException], exists: bool) -> None:
    def fail(fresh: Path) -> None:
        raise error

    target = tmp_path / "new" / "out"
    if exists:
        target.mkdir(parents=True)
        (target / "one.txt").write_text("old")
    before = content(tmp_path)
    with pytest.raises(error):
        write(target, {"one.txt": "half"}, fail)
    assert content(tmp_path) == before
    assert target.parent.exists() is exists


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_an_output_error_and_leaves_nothing(tmp_path: Path) -> None:
    def overflow(fresh: Path) -> None:
        with Path("/dev/full").open("w") as full:
            full.write("x" * 100_000)

    with pytest.raises(OutputError, match="No space left on device") as caught:
        write(tmp_path / "out", {"one.txt": "1"}, overflow)
    assert caught.value.exit_code == 5
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fails_at", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("error", [OSError("disk gone"), KeyboardInterrupt()], ids=["OSError", "Ctrl-C"])
def test_a_failure_at_any_move_puts_the_old_files_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int, error: BaseException
) -> None:
    (tmp_path / "a.txt").write_text("old a")
    (tmp_path / "b.txt").write_text("old b")
    (tmp_path / "notes.txt").write_text("mine")
    before = content(tmp_path)
    moves = itertools.count(1)
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if next(moves) == fails_at:
            raise error
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises((OutputError, KeyboardInterrupt)):
        write(tmp_path, {"a.txt": "new a", "b.txt": "new b", "c.txt": "new c"})
    assert content(tmp_path) == before


def test_targets_that_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(InputError, match="must be a folder"):
        require_target(file, replaceable=always, overwrite=True)
    full = tmp_path / "full"
    full.mkdir()
    (full / "x").write_text("x")
    with pytest.raises(InputError, match=r"it is not ours.*--overwrite"):
        require_target(full, replaceable=never, overwrite=False)
    require_target(full, replaceable=never, overwrite=True)
    require_target(full, replaceable=always, overwrite=False)
    require_target(tmp_path / "new" / "deep", replaceable=never, overwrite=False)
    empty = tmp_path / "empty"
    empty.mkdir()
    require_target(empty, replaceable=never, overwrite=False)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_target_without_permission_is_refused_first(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="no permission"):
        require_target(tmp_path / "out", replaceable=always, overwrite=False)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "holds no plan.json"),
        ("{", "not of this program"),
        ('{"schema": "other"}', "not of this program"),
        ("[]", "not of this program"),
        ('{"schema": "neurolysis-plan-result", "mark": "APPROVED by Dr A"}', "approved plan"),
        ('{"schema": "neurolysis-plan-result", "mark": "DRAFT"}', ""),
    ],
)
def test_only_an_earlier_draft_of_ours_is_replaced(tmp_path: Path, text: str | None, says: str) -> None:
    if text is not None:
        (tmp_path / "plan.json").write_text(text)
    found = _why_keep(tmp_path)
    assert says in found
    assert bool(found) is bool(says)


# ---------------------------------------------------------------- inputs


def test_a_case_is_its_folder_or_its_file(tmp_path: Path) -> None:
    file = tmp_path / "case.yaml"
    file.write_text(MINIMAL)
    assert load_case(tmp_path) == load_case(file)
    case, folder = load_case(tmp_path)
    assert (case.id, folder) == ("case-1", tmp_path)


@settings(max_examples=40)
@given(case=CASES)
def test_every_case_can_be_written_as_yaml(case: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("case") / "case.yaml"
    file.write_text(yaml_text(case.model_dump(mode="json")), "utf-8")
    assert load_case(file)[0] == case


@pytest.mark.parametrize("text", ["0E0", "1e5", "010", "no", "1:30", ".5", "true", "2026-01-01", "", "~"])
def test_a_text_stays_a_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.yaml").write_text(yaml_text({"value": text}))
    assert read_yaml(tmp_path / "x.yaml") == {"value": text}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("id: a\nid: b\npatient: {id: p}\n", r"line 2, column 1: .*key 'id' is given twice"),
        ("id: a\npatient: {id: p, id: q}\n", r"line 2, column 18: .*key 'id' is given twice"),
        ("id: a\n  patient: p\n", r"line 2"),
        ("id: [a\n", r"line 2"),
        ("1: a\n", r"keys are texts, found '1'"),
        ("- a\n", r"a case is a mapping of fields; found: list"),
        ("", r"a case is a mapping of fields; found: NoneType"),
        (MINIMAL + "colour: blue\n", r"case.yaml: field 'colour': .*allowed here: allergies"),
        (MINIMAL + "skin_depth_mm: 1:30\n", r"field 'skin_depth_mm': .*found: '1:30'"),
        (MINIMAL + "skin_depth_mm: .nan\n", r"field 'skin_depth_mm'"),
        (MINIMAL + "demonstration: no idea\n", r"field 'demonstration'"),
        (MINIMAL + "x: !!python/object/apply:os.getcwd []\n", r"line 4.*could not determine a constructor"),
        ("id: &a [*a]\n", r"not readable as YAML"),
        ("schema_version: 2\n" + MINIMAL, r"field 'schema_version': Input should be 1 \(found: 2\)"),
    ],
)
def test_a_wrong_case_file_is_named_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "case.yaml").write_text(text)
    with pytest.raises(InputError, match=says) as caught:
        load_case(tmp_path)
    assert "case.yaml" in str(caught.value)


def test_a_case_that_is_not_there_or_not_text(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no case here.*case.yaml"):
        load_case(tmp_path)
    with pytest.raises(InputError, match="no case here"):
        load_case(tmp_path / "nowhere")
    (tmp_path / "case.yaml").write_bytes(b"id: \xff\xfe")
    with pytest.raises(InputError, match="not readable as YAML text"):
        load_case(tmp_path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e5", 1e5),
        ("1.5", 1.5),
        (".5", 0.5),
        ("-3", -3),
        ("010", "010"),
        ("1:30", "1:30"),
        ("1_000", "1_000"),
        ("0x10", "0x10"),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("null", None),
        (".inf", ".inf"),
    ],
)
def test_only_plain_numbers_are_numbers(tmp_path: Path, text: str, value: object) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(f"a: {text}\n")
    found = read_yaml(file)["a"]
    assert found == value
    assert type(found) is type(value)


def test_merge_keys_work(tmp_path: Path) -> None:
    file = tmp_path / "x.yaml"
    file.write_text("base: &b {a: 1, c: 2}\nmore:\n  <<: *b\n  a: 3\n")
    assert read_yaml(file)["more"] == {"a": 3, "c": 2}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('{"a": 1,}', r"x.json, line 1, column"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": -Infinity}', "-Infinity is not a number"),
        ('{"a": {"b": 1, "b": 2}}', "key 'b' is given twice"),
        ("[" * 100_000, "not readable as JSON"),
        ("\udcff", "not readable as JSON"),
    ],
)
def test_json_is_read_strictly(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "x.json"
    file.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=says):
        read_json(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_json(tmp_path / "none.json")


# ---------------------------------------------------------------- progress


def test_steps_share_one_progress_that_only_rises() -> None:
    seen: list[tuple[float, str]] = []
    steps = Steps(lambda fraction, message: seen.append((fraction, message)), (("a", 1.0), ("b", 3.0)))
    with steps.part("a", "first") as within:
        within(0.5, "half")
    with steps.part("b", "second") as within:
        within(2.0, "beyond")
    assert seen[1] == (0.125, "half")
    assert seen[-1] == (1.0, "second")
    assert [fraction for fraction, _ in seen] == sorted(fraction for fraction, _ in seen)
    assert set(steps.seconds) == {"a", "b"}


# ---------------------------------------------------------------- schemas


@pytest.mark.parametrize("name", sorted(schema_models()))
def test_every_schema_is_a_valid_schema(name: str) -> None:
    schema = json_schema(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["$id"].startswith(f"urn:neurolysis:schema:{name}:")


CASE_VALIDATOR = jsonschema.Draft202012Validator(json_schema("case"))


@settings(max_examples=40)
@given(case=CASES)
def test_what_is_saved_fits_its_schema(case: Any) -> None:
    CASE_VALIDATOR.validate(case.model_dump(mode="json"))


def test_the_schema_refuses_what_the_model_refuses() -> None:
    with pytest.raises(jsonschema.ValidationError):
        CASE_VALIDATOR.validate({"id": "a", "patient": {"id": "p"}, "colour": 1})
    with pytest.raises(jsonschema.ValidationError):
        CASE_VALIDATOR.validate({"id": "a", "patient": {"id": "p", "weight_kg": 0}})


def test_an_unknown_schema_lists_all() -> None:
    with pytest.raises(UnknownNameError, match=r"found: nope; allowed: aftercare, .*approval, .*plan-result"):
        json_schema("nope")


def test_published_schemas_and_pages_are_current() -> None:
    files = runpy.run_path(str(ROOT / "scripts" / "generate_docs.py"))["generated"]()
    stale = [
        str(p.relative_to(ROOT)) for p, text in files.items() if not p.is_file() or p.read_text() != text
    ]
    assert stale == [], "run `make generated`"
    assert {p for p in files if p.suffix == ".json"} == set((ROOT / "docs" / "schemas").glob("*.json"))


# ---------------------------------------------------------------- simulate, validate, doctor


def test_settings() -> None:
    assert read_settings(["a=1", " b = x=y "]) == {"a": "1", "b": "x=y"}
    for wrong in ("a", "=1", "a=", ""):
        with pytest.raises(InputError, match="name=value"):
            read_settings([wrong])
    with pytest.raises(InputError, match="twice"):
        read_settings(["a=1", "a=2"])


@pytest.mark.parametrize("name", sorted(techniques()))
def test_option_values_are_completed_and_checked(name: str) -> None:
    item = techniques()[name]
    required = [option for option in item.options if option.required and option.default is None]
    values = {option.name: _some_value(option) for option in required}
    complete = complete_values(item, values)
    assert set(complete) == {option.name for option in item.options}
    assert {key: complete[key] for key in values} == values
    for option in required:
        rest = {key: value for key, value in values.items() if key != option.name}
        with pytest.raises(InputError, match=f"must be given.*{flag(option)}"):
            complete_values(item, rest)
    with pytest.raises(UnknownNameError, match="no such option"):
        complete_values(item, {**values, "colour": 1})
    for option in (option for option in item.options if option.choices):
        with pytest.raises(UnknownNameError, match=flag(option)):
            complete_values(item, {**values, option.name: "nonsense"})


def _some_value(option: Option) -> object:
    return option.choices[0] if option.choices else option.kind(1)


ROW = ValidationRow(
    id="A1",
    source="X90",
    quantity="width",
    measured="5 mm",
    simulated={"21 C": "4 mm", "37 C": "6 mm"},
    criterion="within 10 %",
    verdict="fail",
    reason="start unknown",
)


def test_validation_shows_failures() -> None:
    validation = Validation(rows={"t": (ROW, ROW.replace(id="A2", verdict="pass", reason=""))})
    assert validation.counts() == {"pass": 1, "fail": 1, "cannot say": 0, "not computable": 0}
    text = validation_text(validation)
    assert "FAIL            A1  width" in text
    assert "21 C: 4 mm; 37 C: 6 mm" in text
    assert "start unknown" in text
    assert text.endswith("totals: 1 pass, 1 fail, 0 cannot say, 0 not computable")


def test_outline() -> None:
    data = {"a": {"b": 1.23456789, "c": None}, "long": [1.0, 2, 3, 4, 5], "few": ["x", "y"], "none": []}
    assert outline(data) == "\n".join(
        ["a.b   1.2346", "a.c   unknown", "long  5 values, 1 to 5", "few   x, y", "none  none"]
    )


def test_doctor_knows_every_requirement() -> None:
    packages = {package.name: package for package in required_packages()}
    assert {"jax", "numpy", "pydantic", "pydicom", "typst", "typer"} <= set(packages)
    assert "xarray" not in packages
    assert all(package.ok for package in packages.values())


@pytest.mark.parametrize(
    ("installed", "wanted", "fine"),
    [("3.0.2", ">=3.0.2", True), ("3.0.10", ">=3.0.2", True), ("2.9", ">=3.0.2", False), ("1", "", True)],
)
def test_versions_are_compared_as_numbers(installed: str, wanted: str, fine: bool) -> None:
    assert _reaches(installed, wanted) is fine


def test_doctor_answers_in_plain_data() -> None:
    found = doctor()
    assert json.loads(json.dumps(found.data, allow_nan=False)) == found.data
    assert found.data["ok"] is not bool(found.problems)
    assert found.data["devices"]
    assert found.data["cache"]["folder"]
    assert found.data["disk"]["free_mb"] > 0


def test_doctor_sees_a_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neurolysis.app.doctor.SMALLEST_FREE_MB", 10**12)
    found = doctor()
    assert any(problem.startswith("disk: ") for problem in found.problems)
    assert found.data["ok"] is False
