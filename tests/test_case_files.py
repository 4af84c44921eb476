"""The files a case names: shared with a neighbour by a checked field, and nothing outside what was sent."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurolysis.app.case_files import collected, named_files, with_named_files
from neurolysis.app.case_import import Brought, arrived
from neurolysis.app.cases import load_case
from neurolysis.app.demo import DEMOS, demo_case
from neurolysis.errors import InputError

HEAD = "id: one\npatient: {id: p}\n"
WITH_ALL = (
    HEAD + "image: {path: ct.nii.gz}\n"
    "labels: [{path: deep/labels.nii.gz, scheme: spine}]\n"
    "structures: [{name: s, kind: skin, label_path: s.nii.gz, label_values: [1]}]\n"
)


def case_folder(root: Path, name: str, text: str, *files: str) -> Path:
    for one in ("case.yaml", *files):
        (root / name / one).parent.mkdir(parents=True, exist_ok=True)
        (root / name / one).write_text(text if one == "case.yaml" else one, "utf-8")
    return root / name


def test_every_file_of_a_demonstration_is_there_and_none_is_named_by_a_way_up() -> None:
    for name in DEMOS:
        folder = demo_case(name)
        assert "../" not in (folder / "case.yaml").read_text("utf-8")
        case, start = load_case(folder)
        assert start == folder, "what lies beside the case (outcome, record of the room) is its own"
        assert all((start / path).is_file() for _, path in named_files(case))


def test_images_of_a_neighbour(tmp_path: Path) -> None:
    case_folder(tmp_path, "first", HEAD, "ct.nii.gz", "deep/labels.nii.gz", "s.nii.gz")
    second = case_folder(tmp_path, "second", "images_from: first\n" + WITH_ALL)
    case, start = load_case(second)
    assert [path for _, path in named_files(case)] == [
        "../first/ct.nii.gz", "../first/deep/labels.nii.gz", "../first/s.nii.gz",
    ]  # fmt: skip
    moved, files = collected(case, start)
    assert dict(named_files(moved)) == {
        "image": "ct.nii.gz", "labels.0": "labels.nii.gz", "structures.0": "s.nii.gz",
    }  # fmt: skip
    assert files["labels.nii.gz"].read_text("utf-8") == "deep/labels.nii.gz"
    assert with_named_files(moved, dict(named_files(case))) == case


@pytest.mark.parametrize("name", ["absent", "../first", "first/", ".", "..", "[first]", "''", "7", "plain"])
def test_a_neighbour_that_is_none(tmp_path: Path, name: str) -> None:
    case_folder(tmp_path, "first", HEAD, "ct.nii.gz")
    (tmp_path / "plain").mkdir()
    second = case_folder(tmp_path, "second", f"images_from: {name}\n{HEAD}image: {{path: ct.nii.gz}}\n")
    with pytest.raises(InputError, match="images_from") as caught:
        load_case(second)
    assert "no such case folder" in caught.value.problem


@pytest.mark.parametrize("path", ["../second/ct.nii.gz", "/ct.nii.gz", "a/../../ct.nii.gz"])
def test_a_path_that_leaves_the_neighbour(tmp_path: Path, path: str) -> None:
    case_folder(tmp_path, "first", HEAD, "ct.nii.gz")
    second = case_folder(tmp_path, "second", f"images_from: first\n{HEAD}image: {{path: {path}}}\n")
    with pytest.raises(InputError, match="stays in it"):
        load_case(second)


@pytest.mark.parametrize("there", [True, False])
def test_a_case_sent_as_text_learns_nothing_of_this_machines_files(tmp_path: Path, there: bool) -> None:
    """The same answer whether the file it names is there or not."""
    secret = tmp_path / "secret.txt"
    if there:
        secret.write_text("s", "utf-8")
    sent = tmp_path / "sent"
    sent.write_text(f"{HEAD}image: {{path: {secret}}}\n", "utf-8")
    (tmp_path / "work").mkdir()
    with pytest.raises(InputError, match="bring its whole folder"):
        arrived([Brought("case.yaml", sent)], tmp_path / "work")


@pytest.mark.parametrize("path", ["/", "..", "../../other"])
def test_a_folder_outside_what_was_sent_is_not_walked(tmp_path: Path, path: str, monkeypatch) -> None:
    """Refused before anything is listed: a walk over the whole disk would hold the server up."""
    sent = tmp_path / "sent"
    sent.write_text(f"{HEAD}image: {{path: {path}}}\n", "utf-8")
    (tmp_path / "image").write_text("x", "utf-8")
    (tmp_path / "work").mkdir()
    walked: list[Path] = []
    walk = Path.rglob
    monkeypatch.setattr(Path, "rglob", lambda self, pattern: (walked.append(self), walk(self, pattern))[1])
    brought = [Brought("case.yaml", sent), Brought("ct.nii.gz", tmp_path / "image")]
    with pytest.raises(InputError, match="outside its folder"):
        arrived(brought, tmp_path / "work")
    assert all(place.is_relative_to(tmp_path / "work" / "case") for place in walked)
