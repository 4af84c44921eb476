"""Command ``localize``: where the target is, and how a needle gets there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurolysis.cli.reply import STOPPED, Json, Reply

CasePath = Annotated[Path, typer.Argument(help="Case folder, or its case.yaml.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("localize")(localize)


def localize(
    case: CasePath,
    instrument: Annotated[
        str | None, typer.Option("--instrument", help="Needle; the case's own without it.")
    ] = None,
    margin: Annotated[
        list[str] | None, typer.Option("--margin", help="kind=mm to keep free; may stand several times.")
    ] = None,
    reach: Annotated[
        float | None, typer.Option("--reach", help="How far the treatment reaches from the tip's axis, mm.")
    ] = None,
    placement_sd: Annotated[
        float | None, typer.Option("--placement-sd", help="Error of the tip in each direction, mm (SD).")
    ] = None,
    head_feet: Annotated[
        float | None, typer.Option("--head-feet", help="Largest angle to head or feet, degrees.")
    ] = None,
    sideways: Annotated[
        float | None, typer.Option("--sideways", help="Largest angle off straight back or front, degrees.")
    ] = None,
    offers: Annotated[int, typer.Option("--offers", min=1, max=20, help="How many paths to show.")] = 5,
    json_: Json = False,
) -> Reply:
    """Find the target of a case, what is missing for it, and ranked needle paths with clearances."""
    from neurolysis.app.localize import localize as run
    from neurolysis.app.localize import localized_data, localized_text, parse_margins
    from neurolysis.planning.target_paths import PathChoices

    choices = PathChoices(
        instrument=instrument,
        margins_mm=parse_margins(margin or ()),
        reach_mm=reach,
        placement_sd_mm=placement_sd,
        largest_head_feet_deg=head_feet,
        largest_sideways_deg=sideways,
        offers=offers,
    )
    found = run(case, choices)
    return Reply(
        data=localized_data(found), text=localized_text(found), exit_code=STOPPED if found.missing else 0
    )
