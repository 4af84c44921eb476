"""Names of files in a case folder: relative, plain, and the same on every system."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from neurolysis.case import Case
from neurolysis.errors import InputError

LONGEST = 240
RESERVED = frozenset({"case.yaml", "outcome.yaml", "procedure.yaml", "consent.yaml"})
"""Written by the store itself."""
_DEVICE = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_BAD = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')


def checked_name(name: str) -> str:
    """The name, if it stays in the folder and can be written everywhere.

    Raises:
        InputError: saying what is wrong with it.
    """
    parts = name.split("/")
    whole = not name or len(name) > LONGEST or _BAD.search(name) or name.casefold() in RESERVED
    if whole or any(_is_bad_part(part) for part in parts):
        raise InputError(
            "not a name for a file of a case", where="files", found=repr(name[:80]),
            allowed=f"a relative path with '/', up to {LONGEST} characters, no '..', no control characters",
        )  # fmt: skip
    return name


def _is_bad_part(part: str) -> bool:
    return (
        part in ("", ".", "..") or part != part.strip(" ") or part[-1] == "." or bool(_DEVICE.fullmatch(part))
    )


def checked_names(names: Iterable[str]) -> tuple[str, ...]:
    """Names that can all stand in one folder, also where upper and lower case are the same.

    Raises:
        InputError: a bad name, two that are the same, or one that is a folder of another.
    """
    found = tuple(checked_name(name) for name in names)
    folded = {name.casefold() for name in found}
    folders = {"/".join(name.split("/")[:k]) for name in folded for k in range(1, name.count("/") + 1)}
    if len(folded) < len(found) or folded & folders:
        raise InputError(
            "two files of the case have the same name", where="files", found=", ".join(found)[:200]
        )
    return found


def flat(files: Mapping[str, Path]) -> Iterator[tuple[str, Path]]:
    """Each file by its name; a folder stands for everything in it.

    Raises:
        InputError: a file is not there.
    """
    for name, path in files.items():
        if path.is_dir():
            inside = sorted(p for p in path.rglob("*") if p.is_file() and not p.is_symlink())
            yield from ((f"{name}/{p.relative_to(path).as_posix()}", p) for p in inside)
        elif path.is_file():
            yield name, path
        else:
            raise InputError("no such file", where=f"files: {name}", found=str(path))


def named_in(case: Case) -> Iterator[tuple[str, str]]:
    """Field and path of every file or folder a case names."""
    if case.image is not None:
        yield "image.path", case.image.path
    for k, label in enumerate(case.labels):
        yield f"labels.{k}.path", label.path
    for k, structure in enumerate(case.structures):
        yield f"structures.{k}.label_path", structure.label_path


def require_files(case: Case, names: Iterable[str]) -> None:
    """Refuse a case that names a file which is not with it. InputError."""
    there = tuple(names)
    for field, path in named_in(case):
        plain = path.removeprefix("./").rstrip("/")
        if plain not in there and not any(name.startswith(f"{plain}/") for name in there):
            raise InputError(
                "the case names a file that is not with it", where=field, found=path,
                allowed=there or "none: no file came with the case",
            )  # fmt: skip


def files_of(case: Case, folder: Path) -> dict[str, Path]:
    """The files of a case folder that the case names, by name; a path outside the folder is an error.

    Raises:
        InputError: a path leaves the folder, or is not there.
    """
    found: dict[str, Path] = {}
    for field, path in named_in(case):
        plain = path.removeprefix("./").rstrip("/")
        place = folder / checked_name(plain)
        if not place.resolve().is_relative_to(folder.resolve()):
            raise InputError("a path of the case leaves its folder", where=field, found=path)
        if not place.exists():
            raise InputError("a file that the case names is not there", where=field, found=path)
        found[plain] = place
    return found
