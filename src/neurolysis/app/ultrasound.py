"""Ultrasound: nerve and vessel in an image, and a simulated image of a case to rehearse the needle on."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError, OutputError

if TYPE_CHECKING:
    from PIL.Image import Image

    from neurolysis.localization.ultrasound.bmode import Sonogram
    from neurolysis.localization.ultrasound.pictures import UltrasoundImage
    from neurolysis.localization.ultrasound.placing import LaidProbe
    from neurolysis.localization.ultrasound.segment import Segmentation
    from neurolysis.plan import Placement
    from neurolysis.scene import Scene

PALETTE = (0, 0, 0, 230, 200, 40, 60, 110, 255)
"""Background, nerve, vessel: red, green, blue of each."""
LEAST_MM, MOST_MM = 0.005, 2.0
HUB_MM = 200.0
"""How far up the needle a point is taken to give its way."""


def segment_ultrasound(
    path: Path,
    out: Path,
    *,
    overlay: Path | None = None,
    frame: int = 0,
    pixel_mm: float | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write the mask of an ultrasound image (palette PNG: 0 background, 1 nerve, 2 vessel) and describe it.

    Args:
        overlay: also write the image with the outlines drawn in.
        pixel_mm: the size of a pixel, where the file states none and the user knows it.

    Raises:
        ImageError: the image cannot be read, or is none that the network was made for.
        InputError: a name that is no PNG, or a pixel size that is none.
        OutputError: a file exists, or cannot be written.
    """
    from neurolysis.localization.ultrasound.pictures import read_ultrasound
    from neurolysis.localization.ultrasound.segment import card, segment

    for target in filter(None, (out, overlay)):
        _require_free(target, overwrite)
    image = _scaled(read_ultrasound(path, frame), pixel_mm)
    found = segment(image)
    known = card()
    _write(_palette(found.mask), out)
    if overlay is not None:
        _write(_outlined(found), overlay)
    parts = found.parts()
    return {
        "image": path.name,
        "size_px": [found.mask.shape[1], found.mask.shape[0]],
        "scale": image.scale_from,
        "pixel_mm": None if image.pixel_mm is None else list(image.pixel_mm),
        "parts": parts,
        "found": {name: sum(part["class"] == name for part in parts) for name in ("nerve", "vessel")},
        "network": known.name,
        "dice_on_unseen_images": {name: one.model_dump(mode="json") for name, one in known.test.items()},
        "dice_in_cross_validation": {
            name: one.model_dump(mode="json") for name, one in known.cross_validation.items()
        },
        "trained_on": known.trained_on,
        "not_for": list(known.not_for),
        "mask": str(out),
        "overlay": None if overlay is None else str(overlay),
        "research_use": RESEARCH_USE,
    }


def _scaled(image: UltrasoundImage, pixel_mm: float | None) -> UltrasoundImage:
    from dataclasses import replace

    if pixel_mm is None:
        return image
    if not LEAST_MM <= pixel_mm <= MOST_MM:
        allowed = f"{LEAST_MM} to {MOST_MM} mm"
        raise InputError("no size of a pixel", where="--pixel-mm", found=pixel_mm, allowed=allowed)
    if image.pixel_mm is not None:
        stated = f"{image.pixel_mm[0]:g} x {image.pixel_mm[1]:g} mm"
        raise InputError("the file states its own scale", where="--pixel-mm", found=pixel_mm, allowed=stated)
    return replace(image, pixel_mm=(pixel_mm, pixel_mm), scale_from="entered by the user")


def _require_free(target: Path, overwrite: bool) -> None:
    if target.suffix.casefold() != ".png":
        raise InputError("the picture is a PNG", where="--out", found=target.name, allowed="a .png name")
    if target.exists() and not overwrite:
        raise OutputError("the file exists", where=str(target), allowed="another name, or --overwrite")


def _palette(mask: np.ndarray) -> Image:
    from PIL import Image

    picture = Image.fromarray(mask)
    picture.putpalette(list(PALETTE))
    return picture


def _outlined(found: Segmentation) -> Image:
    """The image with each region's outline, two pixels wide."""
    from PIL import Image
    from scipy.ndimage import binary_dilation, binary_erosion

    pixels = found.image.pixels.copy()
    for number in (1, 2):
        inside = found.mask == number
        edge = binary_dilation(inside) & ~binary_erosion(inside)
        pixels[edge] = PALETTE[3 * number : 3 * number + 3]
    return Image.fromarray(pixels)


def _write(picture: Image, out: Path) -> None:
    """A PNG that appears whole or not at all."""
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    try:
        number, name = tempfile.mkstemp(dir=out.parent, prefix=".neurolysis-", suffix=".png")
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(buffer.getvalue())
            Path(name).chmod(0o644)
            Path(name).replace(out)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError("the picture cannot be written", where=str(out), found=str(error)) from error


def rehearse(
    case_path: Path,
    out: Path,
    *,
    approach: str = "in-plane",
    shift_mm: float = 0.0,
    frequency_mhz: float = 10.0,
    gain_db: float = 0.0,
    marks: bool = False,
    seed: int = 0,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Write a simulated B-mode image of a case with its needle, and how the needle lies to the plane.

    Args:
        approach: "in-plane" (the plane holds the needle's way) or "out-of-plane" (square to it).
        shift_mm: move the probe so far along its normal: what a slip of the hand does to the picture.
        marks: draw nerve and tip as the scene knows them over the picture.

    Raises:
        InputError: the case has no treatment or placement, or an approach that is none.
        OutputError: the file exists, or cannot be written.
    """
    from PIL import Image

    from neurolysis.localization.ultrasound.bmode import sonogram
    from neurolysis.localization.ultrasound.placing import probe_over

    _require_free(out, overwrite)
    scene, placement = _laid_needle(case_path)
    hub = np.array(placement.tip_mm) + HUB_MM * np.array(placement.direction_to_hub)
    held = probe_over(scene, np.array(placement.tip_mm), hub, approach=approach, shift_mm=shift_mm)
    made = sonogram(
        scene,
        held.probe,
        (placement.tip_mm, tuple(hub)),
        frequency_mhz=frequency_mhz,
        gain_db=gain_db,
        seed=seed,
    )
    picture = Image.fromarray(made.picture).convert("RGB")
    if marks:
        _mark(picture, made)
    _write(picture, out)
    return {"picture": str(out), "frequency_mhz": frequency_mhz, **_seen(scene, placement, held, made)}


def _laid_needle(case_path: Path) -> tuple[Scene, Placement]:
    """The scene of a case and the first needle laid in it."""
    from neurolysis.app.cases import load_case
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.planning.make import make_plan

    case, folder = load_case(case_path)
    if case.treatment is None or not case.treatment.placements:
        raise InputError(
            "no needle is laid in this case", where="case.yaml: treatment", allowed="placements with a tip"
        )
    scene = build_scene(case, folder)
    return scene, make_plan(case, scene).placements[0]


def _seen(scene: Scene, placement: Placement, held: LaidProbe, made: Sonogram) -> dict[str, Any]:
    """How the needle lies to the plane, and what of needle and nerve the picture shows."""
    from neurolysis.localization.ultrasound.bmode import echo_settings
    from neurolysis.localization.ultrasound.probe import needle_sight

    tip = np.array(placement.tip_mm)
    hub = tip + HUB_MM * np.array(placement.direction_to_hub)
    middle = scene.target().curve.as_array().mean(axis=0)
    return {
        "size_px": [made.picture.shape[1], made.picture.shape[0]],
        "pixel_mm": held.probe.pixel_mm,
        "probe": held.probe.model_dump(mode="json"),
        "face": held.words,
        "sight": needle_sight(held.probe, tip, hub, middle).model_dump(mode="json"),
        "tip_px": None if made.tip_px is None else list(made.tip_px),
        "tip_hidden": made.tip_hidden(),
        "nerve_px": int(made.nerve.sum()),
        "nerve_hidden_share": float(made.shadow[made.nerve].mean()) if made.nerve.any() else None,
        "simulated": echo_settings().note,
        "research_use": RESEARCH_USE,
    }


def _mark(picture: Image, made: Any) -> None:
    """The nerve's outline and a ring round the tip, as the scene knows them."""
    from PIL import ImageDraw
    from scipy.ndimage import binary_dilation

    edge = binary_dilation(made.nerve, iterations=2) & ~made.nerve
    pen = ImageDraw.Draw(picture)
    pen.point([(int(x), int(y)) for y, x in np.argwhere(edge)], fill=tuple(PALETTE[3:6]))
    if made.tip_px is not None:
        x, y = made.tip_px
        pen.ellipse((x - 6, y - 6, x + 6, y + 6), outline=(255, 90, 60), width=2)
