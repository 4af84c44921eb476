"""Commands of fluoroscopy: ``view``, ``triangulate`` and ``register``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from neurolysis.cli.localization import CasePath
from neurolysis.cli.reply import STOPPED, Json, Reply, progress_bar

Views = Annotated[Path, typer.Argument(help="Views file (YAML): X-rays, their geometry, picked tips.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("view")(view)
    app.command("triangulate")(triangulate)
    app.command("register")(register_xrays)


def view(
    case: CasePath,
    out: Annotated[Path, typer.Option("--out", help="PNG to write.")],
    carm: Annotated[
        str, typer.Option("--carm", help="lao=20,cranial=10 (rao, caudal), or ap, lateral, oblique, tunnel.")
    ] = "ap",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")] = False,
    json_: Json = False,
) -> Reply:
    """Write a simulated X-ray of a case's CT with needle, target and nerve drawn in."""
    from neurolysis.app.fluoroscopy import view_case

    found = view_case(case, carm, out, overwrite=overwrite)
    primary, secondary = found.dicom_deg
    lines = [
        f"{found.angles.words} (DICOM positioner angles {primary:.1f}, {secondary:.1f})",
        *(f"tip of needle {k}: column {x:.1f}, row {y:.1f}" for k, (x, y) in enumerate(found.tips, start=1)),
        f"  picture {out}",
    ]
    return Reply(data={**found.data(), "picture": str(out)}, text="\n".join(lines))


def triangulate(views: Views, json_: Json = False) -> Reply:
    """The needle's tip in space from its pixel in two or more X-rays, with its error."""
    from neurolysis.app.fluoroscopy import triangulate_file

    found = triangulate_file(views)
    x, y, z = found["point_mm"]
    lines = [
        f"tip at ({x:.2f}, {y:.2f}, {z:.2f}) mm, LPS; 95 % of repeats within {found['error_95_mm']:.2f} mm",
        f"rays {found['angle_deg']:.0f} degrees apart, passing {found['miss_mm']:.2f} mm from it "
        f"({found['expected_miss_mm']:.2f} mm explained by the stated errors)",
        *(f"WARN {line}" for line in found["warnings"]),
        found["research_use"],
    ]
    return Reply(data=found, text="\n".join(lines))


def register_xrays(
    case: CasePath,
    views: Views,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the starts.")] = 0,
    json_: Json = False,
) -> Reply:
    """Bring X-rays to a case's CT. The verdict may be "failed": then there is no pose to use."""
    from neurolysis.app.fluoroscopy import register_file

    with progress_bar() as progress:
        found = register_file(case, views, seed=seed, progress=progress)
    turn, shift = found["rotation_deg"], found["shift_mm"]
    lines = [f"{found['verdict'].upper()}: {found['reason']}"]
    if found["verdict"] == "found":
        lines.append(
            f"turn {turn[0]:.2f}, {turn[1]:.2f}, {turn[2]:.2f} degrees, "
            f"shift {shift[0]:.2f}, {shift[1]:.2f}, {shift[2]:.2f} mm"
        )
    if "tip" in found:
        x, y, z = found["tip"]["point_mm"]
        lines.append(
            f"tip in the CT at ({x:.2f}, {y:.2f}, {z:.2f}) mm; 95 % of repeats within "
            f"{found['tip']['error_95_mm']:.2f} mm, the registration's own error not counted"
        )
    lines.append(found["research_use"])
    return Reply(data=found, text="\n".join(lines), exit_code=0 if found["verdict"] == "found" else STOPPED)
