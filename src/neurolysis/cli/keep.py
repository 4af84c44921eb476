"""Commands that keep the store: check, backup, restore, approve; and cases in and out as one file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurolysis.cli.reply import Json, Reply
from neurolysis.errors import InputError

Folder = Annotated[
    Path | None, typer.Option("--store", help="Folder of the store; the user's data folder without it.")
]
BROKEN = 1


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("check-store")(check_store)
    app.command("backup")(backup)
    app.command("restore")(restore)
    app.command("approve")(approve)


def register_cases(cases: typer.Typer) -> None:
    """Add the commands of ``case``."""
    cases.command("export")(export_case)
    cases.command("import")(import_case)


def check_store(
    store: Folder = None,
    head: Annotated[
        str, typer.Option("--head", help="number:hash of a line of the audit trail noted earlier.")
    ] = "",
    json_: Json = False,
) -> Reply:
    """Check the store: database, every row and file, and the audit trail. Exit code 1 where it is damaged."""
    from neurolysis.app.store_keep import check_store as check
    from neurolysis.app.store_keep import report_data, report_text

    found = check(store, known_head=head)
    return Reply(data=report_data(found), text=report_text(found), exit_code=0 if found.whole else BROKEN)


def backup(
    out: Annotated[Path, typer.Argument(help="Folder of the backup: new, or an earlier backup.")],
    store: Folder = None,
    json_: Json = False,
) -> Reply:
    """Back up the store while it is in use; a second time copies only what is new."""
    from neurolysis.app.store_keep import backup_store

    made = backup_store(out, store)
    seq, hash_ = made["head"]
    text = f"{made['rows']} rows and {made['copied']} new files in {out}\naudit trail ends at {seq}:{hash_}"
    return Reply(data=made, text=text)


def restore(
    backup: Annotated[Path, typer.Argument(help="Folder of a backup.")],
    store: Folder = None,
    json_: Json = False,
) -> Reply:
    """Put a backup into an empty store, of either kind of database, and check it."""
    from neurolysis.app.store_keep import restore_store

    made = restore_store(backup, store)
    state = "DAMAGED, see check-store" if made["problems"] else "whole"
    text = f"{made['rows']} rows and {made['copied']} files restored; the store is {state}"
    return Reply(data=made, text=text, exit_code=BROKEN if made["problems"] else 0)


def export_case(
    id: Annotated[str, typer.Argument(help="Id of the case in the store.")],
    out: Annotated[Path, typer.Option("--out", help="The file to write.")],
    store: Folder = None,
    json_: Json = False,
) -> Reply:
    """Write one case of the store, with every version, plan, approval, document and file, as one file."""
    from neurolysis.app.store_keep import export_case as export

    made = export(id, out, store)
    return Reply(data={"case": id, "file": str(made)}, text=f"{id}: {made}")


def import_case(
    path: Annotated[Path, typer.Argument(help="An exported case, or a case folder.")],
    store: Folder = None,
    json_: Json = False,
) -> Reply:
    """Take an exported case into the store with all its history, or a case folder as a new case."""
    from neurolysis.app.store_keep import import_case as take

    made = take(path, store)
    data = {"case": made.id, "version": made.version, "state": made.state}
    return Reply(data=data, text=f"{made.id}, version {made.version}: {made.state}")


def approve(
    id: Annotated[str, typer.Argument(help="Id of the case in the store.")],
    number: Annotated[int, typer.Argument(help="Number of the plan.")],
    name: Annotated[str, typer.Option("--name", help="Who approves; typed, not proven.")],
    reason: Annotated[str, typer.Option("--reason", help="Why.")],
    override: Annotated[
        list[str] | None, typer.Option("--override", help="CODE=REASON for a stop set aside; may repeat.")
    ] = None,
    store: Folder = None,
    json_: Json = False,
) -> Reply:
    """Approve a plan of the store; stops must be set aside with a reason, where that is allowed at all."""
    from neurolysis.app.store_keep import approve_stored

    overrides = dict(_code_and_reason(text) for text in override or ())
    made = approve_stored(id, number, name=name, reason=reason, overrides=overrides, folder=store)
    return Reply(data=made, text=made["mark"])


def _code_and_reason(text: str) -> tuple[str, str]:
    code, equals, why = text.partition("=")
    if not equals or not code.strip():
        raise InputError("not an override", where="--override", found=text, allowed="CODE=REASON")
    return code.strip(), why.strip()
