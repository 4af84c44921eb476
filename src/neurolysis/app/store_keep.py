"""Keeping the store: check it, back it up, put a backup back, take single cases out and in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError

if TYPE_CHECKING:
    from neurolysis.records.store import Principal, Store
    from neurolysis.records.store.values import Problem, StoredCase


@dataclass(frozen=True)
class StoreReport:
    """What a check found; ``head`` is the number and hash of the trail's last line, to be noted elsewhere."""

    folder: Path
    database: str
    cases: int
    problems: tuple[Problem, ...]
    head: tuple[int, str]

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong; notes are no fault."""
        return not any(problem.severity == "error" for problem in self.problems)


@contextmanager
def opened(folder: Path | None, *, new: bool = False) -> Iterator[Store]:
    """The store, closed at the end.

    Args:
        new: whether one may be made where there is none.

    Raises:
        InputError: there is none. OutputError: it cannot be opened.
    """
    from neurolysis.records.store import Store
    from neurolysis.records.store.engine import exists

    if not new and not exists(None, folder):
        raise InputError(
            "no store here", where=str(folder or "the user's data folder"), allowed="--store FOLDER"
        )
    store = Store.open(None, folder)
    try:
        yield store
    finally:
        store.close()


def local_user() -> Principal:
    """Who works at this machine: the name of the system's user, typed by nobody and proven by nobody here."""
    import getpass

    from neurolysis.records.store import local_principal

    try:
        return local_principal(getpass.getuser())
    except (KeyError, OSError):
        return local_principal()


def check_store(folder: Path | None = None, *, known_head: str = "") -> StoreReport:
    """Check database, seals, files and trail.

    Args:
        known_head: "number:hash" of a line of the trail, as an earlier check printed it.

    Raises:
        InputError: a head of another form. OutputError: the store cannot be opened.
    """
    heads = _head(known_head)
    with opened(folder) as store:
        problems = store.check(heads)
        return StoreReport(
            store.folder,
            store.engine.url.render_as_string(hide_password=True),
            store.count_cases(),
            problems,
            store.audit_head(),
        )


def _head(text: str) -> dict[int, str]:
    if not text:
        return {}
    number, _, hash_ = text.partition(":")
    if not number.isdigit() or len(hash_) != 64:
        raise InputError(
            "not a line of the trail", where="--head", found=text, allowed="number:hash, as printed"
        )
    return {int(number): hash_}


def backup_store(out: Path, folder: Path | None = None) -> dict[str, Any]:
    """Back up into a folder; others may go on writing. InputError, OutputError."""
    with opened(folder) as store:
        made = store.backup(out)
    return {"backup": str(out), **made}


def restore_store(backup: Path, folder: Path | None = None) -> dict[str, Any]:
    """Put a backup into an empty store, then check it.

    Raises:
        InputError: no backup, a damaged one, or the store is not empty.
    """
    with opened(folder, new=True) as store:
        made = store.restore_backup(backup)
        seq, hash_ = made["head"]
        problems = store.check({seq: hash_} if seq else None)
    return {**made, "problems": [problem.model_dump(mode="json") for problem in problems]}


def export_case(id: str, out: Path, folder: Path | None = None) -> Path:
    """One case with all its history as one file. NotFoundError, OutputError."""
    with opened(folder) as store:
        return store.export_case(local_user(), id, out)


def import_case(path: Path, folder: Path | None = None) -> StoredCase:
    """Take in an exported case, or a case folder as a new case.

    Raises:
        InputError: neither, or damaged. ConflictError: the id of an exported case is taken.
    """
    from neurolysis.app.case_files import collected
    from neurolysis.app.cases import load_case

    with opened(folder, new=True) as store:
        if path.is_dir() or path.suffix in (".yaml", ".yml"):
            case, files = collected(*load_case(path))
            return store.create_case(local_user(), case, files)
        return store.import_case(local_user(), path)


def approve_stored(
    id: str,
    number: int,
    *,
    name: str,
    reason: str,
    overrides: Mapping[str, str],
    folder: Path | None = None,
) -> dict[str, Any]:
    """Approve a plan of the store at this machine; the report is written anew with the approval.

    Args:
        overrides: reason by code of each stop set aside.

    Raises:
        SafetyStop: stops remain, or the case has changed. ForbiddenError, InputError, ConflictError.
    """
    from neurolysis.app.approve import approve

    rows = [{"code": code, "reason": why} for code, why in overrides.items()]
    with opened(folder) as store:
        status = approve(store, local_user(), id, number, name=name, reason=reason, overrides=rows)
    return status.model_dump(mode="json")


# ---------------------------------------------------------------- in words and as data


def report_data(found: StoreReport) -> dict[str, Any]:
    """The check as plain data."""
    return {
        "folder": str(found.folder),
        "database": found.database,
        "cases": found.cases,
        "whole": found.whole,
        "problems": [problem.model_dump(mode="json") for problem in found.problems],
        "head": {"line": found.head[0], "hash": found.head[1]},
        "research_use": RESEARCH_USE,
    }


def report_text(found: StoreReport) -> str:
    """The check in words."""
    lines = [f"{p.severity.upper():<5}  {p.where}: {p.text}" for p in found.problems]
    state = "the store is whole" if found.whole else "THE STORE IS DAMAGED: restore a backup"
    lines += [
        f"{state} ({found.cases} cases, {found.database})",
        f"audit trail ends at {found.head[0]}:{found.head[1]}",
        "  Note this line outside the store: `check-store --head` then proves that nothing was rewritten.",
    ]
    return "\n".join(lines)
