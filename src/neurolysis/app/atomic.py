"""Outputs that appear whole or not at all.

Files are written into a temporary folder and moved into place at the end; on any failure, Ctrl-C
included, what stood there before stands there again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from neurolysis.errors import InputError, OutputError


def require_target(target: Path, *, replaceable: Callable[[Path], str], overwrite: bool) -> None:
    """Refuse a target folder that must not be written into, before any long computation.

    Args:
        target: the folder to be made, or an existing one.
        replaceable: called with an existing folder that is not empty; returns why its content must
            not be replaced, or an empty text when it may.
        overwrite: replace files of the same name whatever ``replaceable`` says.

    Raises:
        InputError: the target is a file, or holds something that must not be replaced.
        OutputError: the place cannot be written to.
    """
    if target.exists() and not target.is_dir():
        raise InputError("the output must be a folder, this is a file", where=str(target))
    place = _first_existing(target)
    if not os.access(place, os.W_OK | os.X_OK):
        raise OutputError("no permission to write here", where=str(place))
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        reason = replaceable(target)
        if reason:
            raise InputError(
                reason, where=str(target), allowed="a new or empty folder, an earlier result, or --overwrite"
            )


def _first_existing(path: Path) -> Path:
    """The path itself, or its nearest parent that exists."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A temporary folder whose files are moved to ``target`` when the block ends without an error.

    A new target appears by one rename. In an existing folder each file takes the place of its
    namesake, other files stay, and a failure half-way puts the old files back.

    Raises:
        OutputError: for any error of the file system (disk full, permission), after cleaning up.
    """
    exists = target.is_dir()
    made: list[Path] = []
    work: Path | None = None
    try:
        made = _make_parents(target if exists else target.parent)
        work = Path(tempfile.mkdtemp(prefix=".neurolysis-", suffix=".tmp", dir=_beside(target, exists)))
        fresh = work / "new"
        fresh.mkdir()
        yield fresh
        _move_in(fresh, target, work / "old") if exists else fresh.rename(target)
    except OutputError as error:
        _remove(work, made)
        raise OutputError(f"{error.problem}; nothing was left", where=str(target)) from error
    except OSError as error:
        _remove(work, made)
        reason = error.strerror or error
        raise OutputError(f"cannot write: {reason}; nothing was left", where=str(target)) from error
    except BaseException:
        _remove(work, made)
        raise
    _remove(work, [])


def _beside(target: Path, exists: bool) -> Path:
    """Where the temporary folder goes: on the file system of the target, so that a rename is enough."""
    return target if exists else target.parent


def _make_parents(folder: Path) -> list[Path]:
    """Make ``folder`` and what is missing above it; returns what was made, deepest first."""
    missing = []
    place = folder.absolute()
    while not place.exists():
        missing.append(place)
        place = place.parent
    folder.mkdir(parents=True, exist_ok=True)
    return missing


def _move_in(fresh: Path, target: Path, old: Path) -> None:
    """Move every entry of ``fresh`` into ``target``; undo all of it on any failure."""
    old.mkdir()
    moved: list[str] = []
    try:
        for entry in sorted(fresh.iterdir()):
            place = target / entry.name
            moved.append(entry.name)
            if place.exists():
                place.rename(old / entry.name)
            entry.rename(place)
    except BaseException:
        for name in moved:
            if not (fresh / name).exists():
                (target / name).rename(fresh / name)
            if (old / name).exists():
                (old / name).rename(target / name)
        raise


def _remove(work: Path | None, made: list[Path]) -> None:
    """Remove the temporary folder and the empty parents made for it."""
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    for folder in made:
        with suppress(OSError):
            folder.rmdir()
