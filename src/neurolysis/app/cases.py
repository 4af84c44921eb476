"""Load a case folder: ``case.yaml`` and the images it names."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from neurolysis.app.case_files import named_files, with_named_files
from neurolysis.app.files import read_yaml
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.quantity import parse

CASE_FILE = "case.yaml"
IMAGES_FROM = "images_from"


def load_case(path: Path) -> tuple[Case, Path]:
    """The case at ``path`` (its folder, or the file itself) and the folder its paths start from.

    A file that says ``images_from: NAME`` takes its images and label maps from the case folder NAME beside
    its own, so that two cases on one image need no second copy; the case then holds the paths to there.

    Raises:
        InputError: no such file, not YAML (with the line), a key given twice, or a wrong field.
    """
    file = path / CASE_FILE if path.is_dir() else path
    if not file.is_file():
        raise InputError(
            "no case here", where=str(path), allowed=f"a folder with {CASE_FILE}, or the file itself"
        )
    data = read_yaml(file)
    if not isinstance(data, dict):
        raise InputError("a case is a mapping of fields", where=str(file), found=type(data).__name__)
    shared = data.pop(IMAGES_FROM, None)
    case = parse(Case, data, str(file))
    return (case if shared is None else _with_images_of(case, file, shared)), file.parent


def _with_images_of(case: Case, file: Path, name: object) -> Case:
    """The case with every path leading to the case folder of this name beside that of ``file``."""
    bare = isinstance(name, str) and Path(name).name == name
    if not bare or not (file.parent / ".." / str(name) / CASE_FILE).is_file():
        raise InputError(
            "no such case folder beside this one",
            where=f"{file}: {IMAGES_FROM}",
            found=name,
            allowed=f"the bare name of a folder with a {CASE_FILE}",
        )
    moved = {where: _moved(path, str(name), f"{file}: {where}") for where, path in named_files(case)}
    return with_named_files(case, moved)


def _moved(path: str, name: str, where: str) -> str:
    parts = PurePosixPath(path).parts
    if PurePosixPath(path).is_absolute() or ".." in parts:
        raise InputError(
            f"with {IMAGES_FROM}, a path starts from that folder and stays in it", where=where, found=path
        )
    return f"../{name}/{path}"
