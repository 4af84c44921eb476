"""Load a case folder: ``case.yaml`` and the images it names."""

from __future__ import annotations

from pathlib import Path

from neurolysis.app.files import read_yaml
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.quantity import parse

CASE_FILE = "case.yaml"


def load_case(path: Path) -> tuple[Case, Path]:
    """The case at ``path`` (its folder, or the file itself) and the folder its paths start from.

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
    return parse(Case, data, str(file)), file.parent
