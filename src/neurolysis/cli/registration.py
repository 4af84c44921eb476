"""Command ``register-images``: an image before the procedure to one during it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurolysis.cli.reply import STOPPED, Json, Reply, progress_bar


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("register-images")(register_images)


def register_images(
    fixed: Annotated[Path, typer.Argument(help="Image of the procedure: NIfTI or DICOM, CT or MR.")],
    moving: Annotated[
        Path, typer.Argument(help="Image before it, or a case: then its target is carried along.")
    ],
    method: Annotated[str, typer.Option("--method", help="images, landmarks or surface.")] = "images",
    pairs: Annotated[
        Path | None, typer.Option("--pairs", help="Landmark pairs (YAML), for landmarks.")
    ] = None,
    fixed_labels: Annotated[
        Path | None, typer.Option("--fixed-labels", help="Label map of the fixed image, for surface.")
    ] = None,
    moving_labels: Annotated[
        Path | None, typer.Option("--moving-labels", help="Label map of the moving image, for surface.")
    ] = None,
    label: Annotated[int | None, typer.Option("--label", help="The label, for surface.")] = None,
    picture: Annotated[
        Path | None, typer.Option("--picture", help="PNG of both images in one chequerboard.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="JSON with the move, if one was found.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of starts and samples.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    json_: Json = False,
) -> Reply:
    """Bring an image taken before the procedure to one taken during it. The verdict may be "failed"."""
    from neurolysis.app.registration import Asked
    from neurolysis.app.registration import register_images as run

    asked = Asked(
        fixed, moving, method, pairs, fixed_labels, moving_labels, label, picture, out, seed, overwrite
    )
    with progress_bar() as progress:
        found = run(asked, progress)
    good = found["verdict"] == "found"
    lines = [f"{found['verdict'].upper()}: {found['reason']}"]
    if good:
        lines.append(
            f"error at the middle {found['error_at_centre_mm']:.2f} mm (one standard deviation in each "
            f"direction; {found['covariance_from']})"
        )
    lines.append(f"not seen by it: {found['blind_spots']}")
    if "target" in found:
        one = found["target"]
        lines.append(
            f"{one['nerve']}: spread {one['position_sd_before_mm']:.2f} mm before, "
            f"{one['position_sd_mm']['value']:.2f} mm in the image of the procedure"
            + ("" if one["inside_fixed_image"] else "; WARN it lies outside that image")
        )
    lines += [f"  {name} {found[name]}" for name in ("picture", "file") if name in found]
    return Reply(
        data=found, text="\n".join([*lines, found["research_use"]]), exit_code=0 if good else STOPPED
    )
