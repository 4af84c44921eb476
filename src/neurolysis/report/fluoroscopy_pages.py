"""Simulated X-rays of a plan: from the front or back, from the side, and down the needle."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurolysis.case import PatientPosition
from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.fluoroscopy.carm import VIEWS, Angles, CArm, angles_towards, dicom_angles
from neurolysis.localization.fluoroscopy.drr import Attenuation, shades, simulated_xray
from neurolysis.plan import Placement
from neurolysis.planning.needle import needle_path
from neurolysis.planning.result import PlanResult
from neurolysis.report import palette, svg, text
from neurolysis.report.document import Figure, FigureRow, Paragraph, Section
from neurolysis.scene import Scene

FIELD_MM, PIXELS = 200.0, 360
SOURCE_DETECTOR_MM, SOURCE_ISOCENTRE_MM = 1000.0, 600.0
"""Distances of a common C-arm: an assumption that sets magnification only."""
TITLES = {"ap": "Straight", "lateral": "From the side", "tunnel": "Down the needle (tunnel view)"}
Kind = Literal["needle", "tip", "nerve"]
Asked = tuple[str, str, Angles, tuple[Placement, ...]]
"""Name, title, angles, and the needles on whose tips the picture is centred."""


@dataclass(frozen=True)
class Overlay:
    """A line (n, 2) in pixels of the X-ray, or one point."""

    kind: Kind
    points: FloatArray
    label: str = ""


def named_angles(
    name: str, placements: Sequence[Placement], position: PatientPosition | None, number: int = 0
) -> Angles:
    """The angles of a named view; 'tunnel' looks down a needle from its hub.

    Raises:
        InputError: a tunnel view without a needle, or along the body.
    """
    if name != "tunnel":
        return VIEWS[name]
    if not placements:
        raise InputError("a tunnel view needs a needle", where="case.yaml: treatment")
    return angles_towards(placements[number].direction_to_hub, position)


def fitted_carm(
    scene: Scene,
    placements: Sequence[Placement],
    angles: Angles,
    position: PatientPosition | None,
    *,
    pixels: int = PIXELS,
) -> CArm:
    """A C-arm whose picture is :data:`FIELD_MM` wide at the tips, or at the target without needles."""
    points = [p.tip_mm for p in placements] or [
        nerve.curve.as_array().mean(axis=0) for nerve in scene.nerves if nerve.is_target
    ]
    middle = np.mean(np.asarray(points, float), axis=0) if points else _centre(scene.image)
    magnified = FIELD_MM * SOURCE_DETECTOR_MM / SOURCE_ISOCENTRE_MM
    return CArm.at(
        middle,
        angles,
        position,
        source_detector_mm=SOURCE_DETECTOR_MM,
        source_isocentre_mm=SOURCE_ISOCENTRE_MM,
        pixel_mm=magnified / pixels,
        columns=pixels,
        rows=pixels,
    )


def _centre(image: Volume) -> FloatArray:
    return image.to_lps((np.array(image.shape) - 1) / 2)


def overlays(scene: Scene, placements: Sequence[Placement], carm: CArm) -> Iterator[Overlay]:
    """Nerves that are targets, needles from tip to hub, and tips, as the beam shows them."""
    for nerve in scene.nerves:
        if nerve.is_target:
            yield Overlay("nerve", carm.project(nerve.curve.resample(1.0)[1]), nerve.name)
    for number, placement in enumerate(placements, start=1):
        yield Overlay("needle", carm.project(needle_path(placement).all_mm[::8]))
        yield Overlay("tip", carm.project([placement.tip_mm]), str(number))


@lru_cache(maxsize=2)
def _attenuation(image: Volume) -> Attenuation:
    return Attenuation.of(image)


def xray_of(scene: Scene, carm: CArm) -> NDArray[np.uint8]:
    """Grey values (rows, columns) of the simulated X-ray."""
    return shades(simulated_xray(_attenuation(scene.image), carm))


def drawn_picture(scene: Scene, placements: Sequence[Placement], carm: CArm, out: Path) -> None:
    """Write the X-ray with its overlays as PNG.

    Raises:
        OSError: it cannot be written.
    """
    from PIL import Image, ImageDraw

    twice = 2
    grey = Image.fromarray(xray_of(scene, carm)).resize((carm.columns * twice, carm.rows * twice))
    picture = grey.convert("RGB")
    pen = ImageDraw.Draw(picture)
    for one in overlays(scene, placements, carm):
        points = [tuple(float(v) for v in (p + 0.5) * twice) for p in one.points]
        if one.kind == "tip":
            x, y = points[0]
            pen.ellipse((x - 9, y - 9, x + 9, y + 9), outline=palette.DANGER, width=3)
            pen.text((x + 12, y - 6), one.label, fill=palette.DANGER)
        elif len(points) > 1:
            colour = palette.NERVE if one.kind == "nerve" else "#FFFFFF"
            pen.line(points, fill=palette.INK if one.kind == "needle" else "#FFFFFF", width=7)
            pen.line(points, fill=colour, width=3)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    out.write_bytes(buffer.getvalue())


def fluoroscopy_section(result: PlanResult) -> Section | None:
    """Straight, lateral and tunnel views of every needle; None where the image is no CT."""
    image = result.case.image
    if image is None or image.modality != "CT" or min(result.scene.image.shape) < 2:
        return None
    position = result.plan.position
    needles = result.plan.placements
    asked: list[Asked] = [(name, TITLES[name], VIEWS[name], needles) for name in ("ap", "lateral")]
    unseen = []
    for number in range(len(result.plan.placements)):
        try:
            angles = named_angles("tunnel", result.plan.placements, position, number)
        except InputError as error:
            unseen.append(f"Needle {number + 1}: {error.problem}.")
            continue
        title = TITLES["tunnel"] if len(result.plan.placements) == 1 else f"Down needle {number + 1}"
        asked.append((f"tunnel-{number + 1}", title, angles, needles[number : number + 1]))
    figures = tuple(_figure(result, *one) for one in asked)
    note = (
        "Simulated from the CT: rays from a point, no scatter, 1000 mm from source to detector (assumed). "
        "LAO turns the detector to the patient's left, cranial to the head; zero stands straight above the "
        "patient "
        f"({position or 'position not given: taken as supine'}). Seen from the detector, head up. "
        "White: needle; ring: tip; blue: target."
    )
    notes = tuple(Paragraph(words, note=True) for words in (note, *unseen))
    return Section("fluoroscopy", "As fluoroscopy would show it", (FigureRow(figures), *notes), new_page=True)


def _figure(
    result: PlanResult, name: str, title: str, angles: Angles, centred: tuple[Placement, ...]
) -> Figure:
    scene, placements = result.scene, result.plan.placements
    carm = fitted_carm(scene, centred, angles, result.plan.position)
    size = palette.HALF_WIDTH
    scale = size / carm.columns
    layers = [_picture(xray_of(scene, carm), size)]
    for one in overlays(scene, placements, carm):
        layers.append(_drawn(one, scale, carm.rows * scale))
    body = svg.clipped(f"clip-xray-{name}", size, size, *layers, *_letters(carm, size))
    frame = svg.rectangle(0, 0, size, size, fill="none", stroke=palette.MUTED, stroke_width=1)
    primary, secondary = dicom_angles(angles, result.plan.position)
    words = f"Simulated X-ray, {angles.words}, with needle, tip and target."
    caption = f"{angles.words} (positioner angles {primary:.0f}, {secondary:.0f})."
    return Figure(
        f"xray-{name}",
        svg.drawing(size, size, body, frame, title=words),
        text.sentence(caption),
        words,
        title,
    )


def _picture(grey: NDArray[np.uint8], size: float) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(grey).save(buffer, "PNG", compress_level=9)
    data = base64.b64encode(buffer.getvalue()).decode("ascii")
    return svg.element(
        "image", href=f"data:image/png;base64,{data}", x=0, y=0, width=size, height=size,
        preserveAspectRatio="none",
    )  # fmt: skip


def _drawn(one: Overlay, scale: float, height: float) -> str:
    points = (one.points + 0.5) * scale
    if one.kind == "tip":
        x, y = points[0]
        ring = svg.element("circle", cx=x, cy=y, r=6, fill="none", stroke=palette.DANGER, stroke_width=1.8)
        return ring + svg.text(x + 9, y - 6, one.label, size=11, fill=palette.DANGER)
    data = svg.path_data([points])
    if one.kind == "nerve":
        return svg.cased(data, stroke=palette.NERVE, width=1.8)
    return svg.cased(data, stroke=palette.WHITE, width=2.2, casing=palette.INK)


def _letters(carm: CArm, size: float) -> Iterator[str]:
    """Which way the picture's right and top point, by the patient's own directions."""
    right, up = np.array(carm.right), -np.array(carm.down)
    for vector, x, y in ((right, size - 12, size / 2), (-right, 12, size / 2), (up, size / 2, 16)):
        yield svg.text(x, y, _towards(vector), size=13, fill=palette.INK)


def _towards(vector: FloatArray) -> str:
    names = (("R", "L"), ("A", "P"), ("I", "S"))
    axis = int(np.argmax(np.abs(vector)))
    return names[axis][int(vector[axis] > 0)]
