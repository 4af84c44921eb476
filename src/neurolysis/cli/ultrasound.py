"""Commands of ultrasound: ``segment-ultrasound`` and ``simulate-ultrasound``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from neurolysis.cli.localization import CasePath
from neurolysis.cli.reply import Json, Reply

Replace = Annotated[bool, typer.Option("--overwrite", help="Replace an existing file.")]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("segment-ultrasound")(segment_ultrasound)
    app.command("simulate-ultrasound")(simulate_ultrasound)


def segment_ultrasound(
    image: Annotated[Path, typer.Argument(help="Ultrasound image: PNG, JPEG, BMP or DICOM.")],
    out: Annotated[Path, typer.Option("--out", help="PNG of the mask: 0 background, 1 nerve, 2 vessel.")],
    overlay: Annotated[
        Path | None, typer.Option("--overlay", help="PNG to write with the outlines drawn in.")
    ] = None,
    frame: Annotated[int, typer.Option("--frame", min=0, help="Which frame of a DICOM file.")] = 0,
    pixel_mm: Annotated[
        float | None, typer.Option("--pixel-mm", help="Size of a pixel, where the file states none.")
    ] = None,
    overwrite: Replace = False,
    json_: Json = False,
) -> Reply:
    """Mark nerve and vessel in an ultrasound image of arm or leg, by the shipped network."""
    from neurolysis.app.ultrasound import segment_ultrasound as run

    found = run(image, out, overlay=overlay, frame=frame, pixel_mm=pixel_mm, overwrite=overwrite)
    lines = [_part(part) for part in found["parts"]] or ["neither nerve nor vessel found"]
    scores = "; ".join(
        f"{name} {one['mean']:.2f} ({one['missed']} of {one['marked']} missed)"
        for name, one in found["dice_on_unseen_images"].items()
    )
    lines += [
        f"scale: {found['scale']}",
        f"mean overlap (Dice) on unseen images of the same machine: {scores}",
        f"not for: {'; '.join(found['not_for'])}",
        f"  mask {out}",
        *([f"  picture {overlay}"] if overlay else []),
        found["research_use"],
    ]
    return Reply(data=found, text="\n".join(lines))


def _part(part: dict[str, Any]) -> str:
    x, y = part["middle_px"]
    size = part["size_px"]
    mm = f", {part['size_mm'][0]:.1f} x {part['size_mm'][1]:.1f} mm" if "size_mm" in part else ""
    return (
        f"{part['class']}: middle at column {x:.0f}, row {y:.0f}, {size[0]} x {size[1]} px{mm}, "
        f"mean probability {part['mean_probability']:.2f}"
    )


def simulate_ultrasound(
    case: CasePath,
    out: Annotated[Path, typer.Option("--out", help="PNG to write.")],
    approach: Annotated[
        str, typer.Option("--approach", help="in-plane or out-of-plane: how the probe lies to the needle.")
    ] = "in-plane",
    shift: Annotated[
        float, typer.Option("--shift", min=-30, max=30, help="Probe moved off the needle, mm.")
    ] = 0.0,
    frequency: Annotated[float, typer.Option("--frequency", help="Of the probe, MHz.")] = 10.0,
    gain: Annotated[float, typer.Option("--gain", min=-40, max=40, help="Gain, dB.")] = 0.0,
    marks: Annotated[bool, typer.Option("--marks", help="Draw nerve and tip over the picture.")] = False,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the speckle.")] = 0,
    overwrite: Replace = False,
    json_: Json = False,
) -> Reply:
    """Write a simulated ultrasound image of a case with its needle, to rehearse where to hold the probe."""
    from neurolysis.app.ultrasound import rehearse

    found = rehearse(
        case, out, approach=approach, shift_mm=shift, frequency_mhz=frequency, gain_db=gain, marks=marks,
        seed=seed, overwrite=overwrite,
    )  # fmt: skip
    sight = found["sight"]
    lines = [
        sight["words"],
        f"needle {sight['face_angle_deg']:.0f} degrees to the probe's face, {sight['plane_angle_deg']:.0f} "
        f"degrees to the plane; tip {sight['tip_depth_mm']:.1f} mm deep, "
        f"{abs(sight['tip_off_plane_mm']):.1f} mm off the plane",
        f"target {sight['target_depth_mm']:.1f} mm deep, {sight['tip_to_target_mm']:.1f} mm from the tip",
        *(["WARN the tip lies behind bone or air: it is not seen"] if found["tip_hidden"] else []),
        f"probe's face {found['face']}; a pixel is {found['pixel_mm']:.2f} mm",
        f"simulated: {found['simulated']}",
        f"  picture {out}",
        found["research_use"],
    ]
    return Reply(data=found, text="\n".join(lines))
