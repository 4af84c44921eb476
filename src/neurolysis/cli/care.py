"""Commands round the patient: anaesthesia."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

from neurolysis.cli.reply import STOPPED, Json, Reply

CasePath = Annotated[Path, typer.Argument(help="Case folder, or its case.yaml.")]
Day = Annotated[
    datetime | None,
    typer.Option("--on", formats=["%Y-%m-%d"], help="The day it is for; the case's own, else today."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(anesthetize)


def anesthetize(case: CasePath, on: Day = None, json_: Json = False) -> Reply:
    """Check the planned anaesthesia of a case: dose, what it numbs, order, what is missing, room cards."""
    from neurolysis.app.anesthetize import anesthetize as run
    from neurolysis.app.anesthetize import anesthetized_data, anesthetized_text

    found = run(case, on=on.date() if on else None)
    return Reply(
        data=anesthetized_data(found),
        text=anesthetized_text(found),
        remarks="\n".join(found.remarks),
        exit_code=STOPPED if found.stopped else 0,
    )
