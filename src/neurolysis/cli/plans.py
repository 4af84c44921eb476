"""Commands round a plan: plan, demo, validate, schema, doctor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from neurolysis.cli.reply import STOPPED, UNEXPECTED, Json, Overwrite, Reply, progress_bar

if TYPE_CHECKING:
    from neurolysis.app.plan_case import PlannedFiles


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    for command in (plan, demo, validate, schema, doctor):
        app.command()(command)


def plan(
    case: Annotated[Path, typer.Argument(help="Case folder, or its case.yaml.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and plan.json.")],
    overwrite: Overwrite = False,
    json_: Json = False,
) -> Reply:
    """Plan a case, simulate it, and write report.html, report.pdf and plan.json."""
    from neurolysis.app.plan_case import plan_case

    with progress_bar() as progress:
        files = plan_case(case, out, overwrite=overwrite, progress=progress)
    return _planned(files)


def demo(
    name: Annotated[
        str,
        typer.Argument(
            help="medial-branch, celiac, phenol, freezing, light or meralgia; an unknown name lists all."
        ),
    ] = "medial-branch",
    out: Annotated[Path, typer.Option("--out", help="Folder for the report and plan.json.")] = Path(
        "neurolysis-demo"
    ),
    overwrite: Overwrite = False,
    json_: Json = False,
) -> Reply:
    """Plan a case that is shipped with the program."""
    from neurolysis.app.demo import run_demo

    with progress_bar() as progress:
        files = run_demo(out, name, overwrite=overwrite, progress=progress)
    return _planned(files)


def _planned(files: PlannedFiles) -> Reply:
    from neurolysis.app.texts import notices_text, planned_data, planned_text

    stopped = bool(files.stops) and not files.demonstration
    return Reply(
        data=planned_data(files),
        text=planned_text(files),
        remarks=notices_text((*files.stops, *files.warnings)),
        exit_code=STOPPED if stopped else 0,
    )


def validate(
    name: Annotated[str | None, typer.Argument(help="A technique; all of them when left out.")] = None,
    json_: Json = False,
) -> Reply:
    """Run the published measurements the models are held against; failures are shown."""
    from neurolysis.app.texts import validation_data, validation_text
    from neurolysis.app.validate import validate as run

    with progress_bar() as progress:
        found = run(name, progress=progress)
    return Reply(data=validation_data(found), text=validation_text(found))


def schema(
    name: Annotated[str, typer.Argument(help="A noun, such as case; an unknown name lists all.")],
    json_: Json = False,
) -> Reply:
    """Print the JSON Schema of a noun, or of a technique's files."""
    from neurolysis.app.schema import json_schema

    found = json_schema(name)
    return Reply(data=found, text=json.dumps(found, indent=2, ensure_ascii=False))


def doctor(json_: Json = False) -> Reply:
    """Tell what this installation has and what is missing."""
    from neurolysis.app.doctor import doctor as look
    from neurolysis.app.texts import doctor_text

    with progress_bar() as progress:
        found = look(progress)
    return Reply(data=found.data, text=doctor_text(found), exit_code=UNEXPECTED if found.problems else 0)
