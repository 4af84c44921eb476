"""The files a case names, gathered under names inside its own folder, so that the case can move."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from neurolysis.case import Case
from neurolysis.errors import InputError

MOST_FILES = 5000


def collected(case: Case, folder: Path, within: Path | None = None) -> tuple[Case, dict[str, Path]]:
    """The case with its paths inside one folder, and each file by its name there.

    A file that lies outside ``folder`` gets its bare name. ``within`` is given for a case that came from
    elsewhere: then nothing outside it is looked at, not even whether it is there.

    Raises:
        InputError: a file that is not there or outside ``within``, or two files of one name.
    """
    if within is not None:
        for where, path in named_files(case):
            if not (folder / path).resolve().is_relative_to(within.resolve()):
                raise InputError(
                    "the case names a file outside its folder", where=f"case.yaml: {where}", found=path
                )
    files: dict[str, Path] = {}
    moved = {where: _add(files, path, folder, where) for where, path in named_files(case)}
    return with_named_files(case, moved), files


def named_files(case: Case) -> Iterator[tuple[str, str]]:
    """Every field of a case that names a file or folder, with the path it names."""
    if case.image is not None:
        yield "image", case.image.path
    yield from ((f"labels.{number}", one.path) for number, one in enumerate(case.labels))
    yield from ((f"structures.{number}", one.label_path) for number, one in enumerate(case.structures))


def with_named_files(case: Case, paths: Mapping[str, str]) -> Case:
    """The case with other paths, by the fields of :func:`named_files`."""
    changes: dict[str, object] = {
        "labels": tuple(one.replace(path=paths[f"labels.{n}"]) for n, one in enumerate(case.labels)),
        "structures": tuple(
            one.replace(label_path=paths[f"structures.{n}"]) for n, one in enumerate(case.structures)
        ),
    }
    if case.image is not None:
        changes["image"] = case.image.replace(path=paths["image"])
    return case.replace(**changes)


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
