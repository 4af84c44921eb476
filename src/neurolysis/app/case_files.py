"""The files a case names, gathered under names inside its own folder, so that the case can move."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from neurolysis.case import Case
from neurolysis.errors import InputError

MOST_FILES = 5000


def collected(case: Case, folder: Path) -> tuple[Case, dict[str, Path]]:
    """The case with its paths inside one folder, and each file by its name there.

    A file that lies outside ``folder``, as the demonstrations share, gets its bare name.

    Raises:
        InputError: a file that is not there, or two files of one name.
    """
    files: dict[str, Path] = {}
    changes: dict[str, object] = {}
    if case.image is not None:
        changes["image"] = case.image.replace(path=_add(files, case.image.path, folder, "image"))
    changes["labels"] = tuple(
        one.replace(path=_add(files, one.path, folder, f"labels.{number}"))
        for number, one in enumerate(case.labels)
    )
    changes["structures"] = tuple(
        one.replace(label_path=_add(files, one.label_path, folder, f"structures.{number}"))
        for number, one in enumerate(case.structures)
    )
    return case.replace(**changes), files


def _add(files: dict[str, Path], path: str, folder: Path, where: str) -> str:
    place = (folder / path).resolve()
    inside = place.is_relative_to(folder.resolve())
    name = place.relative_to(folder.resolve()).as_posix() if inside else place.name
    found = list(_below(place, name))
    if not found:
        raise InputError("the case names a file that is not there", where=f"case.yaml: {where}", found=path)
    for one, file in found:
        if files.setdefault(one, file) != file:
            raise InputError("two files of the case have one name", where=f"case.yaml: {where}", found=one)
    if len(files) > MOST_FILES:
        raise InputError("the case has too many files", found=len(files), allowed=f"up to {MOST_FILES}")
    return name


def _below(place: Path, name: str) -> Iterator[tuple[str, Path]]:
    """A file, or every file below a folder; links are not followed."""
    if place.is_file():
        yield name, place
    elif place.is_dir():
        for file in sorted(place.rglob("*")):
            if file.is_file() and not file.is_symlink():
                yield f"{name}/{file.relative_to(place).as_posix()}", file
