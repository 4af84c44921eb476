"""What lies behind the lines of a picture: the image in grey, bone edges, scale bar, directions."""

from __future__ import annotations

import base64
import io

import numpy as np

from neurolysis.geometry import FloatArray
from neurolysis.report import palette, svg, text
from neurolysis.report.contour import Raster
from neurolysis.report.plane import Plane, View, read_mask, read_volume
from neurolysis.scene import Scene

CT_WINDOW_HU = (-300.0, 700.0)
"""Grey values from fat-dark to cortical-bright, wide enough for bone, narrow enough for muscle and fat."""
GREY = (38.0, 226.0)
"""Darkest and brightest grey used, so that dark and pale lines can both be read on it."""
PIXELS = 300


def image(scene: Scene, view: View, *, modality: str = "CT") -> str:
    """The image on the plane as an embedded PNG, hatched where the plane leaves the image."""
    width, height = view.size
    step = 2 * view.plane.half_mm[0] / PIXELS
    _, _, points = view.plane.grid(step)
    grey = read_volume(scene.image, points)
    inside = scene.image.contains(points)
    png = _png(_windowed(grey, inside, modality), inside)
    picture = svg.element(
        "image",
        href=f"data:image/png;base64,{png}",
        x=0, y=0, width=width, height=height, preserveAspectRatio="none",
    )  # fmt: skip
    return (hatch(width, height) if not inside.all() else "") + picture


def _windowed(values: FloatArray, inside: np.ndarray, modality: str) -> FloatArray:
    low, high = CT_WINDOW_HU
    if modality != "CT" and inside.any():
        low, high = np.percentile(values[inside], [1, 99])
    return np.clip((values - low) / max(high - low, 1e-9), 0, 1)


def _png(shades: FloatArray, inside: np.ndarray) -> str:
    from PIL import Image

    grey = (GREY[0] + shades * (GREY[1] - GREY[0])).round().astype(np.uint8)[::-1]
    if inside.all():
        picture = Image.fromarray(grey)
    else:
        picture = Image.merge(
            "LA", (Image.fromarray(grey), Image.fromarray((inside[::-1] * 255).astype(np.uint8)))
        )
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", compress_level=6)
    return base64.b64encode(buffer.getvalue()).decode("ascii")


def hatch(width: float, height: float) -> str:
    """Slanted lines over a pale ground: nothing is known here."""
    ground = svg.rectangle(0, 0, width, height, fill="#E4E8EB")
    lines = "".join(f"M{svg.number(x)} {svg.number(height)}L{svg.number(x + height)} 0"
                    for x in np.arange(-height, width, 14.0))  # fmt: skip
    return ground + svg.path(lines, stroke="#B4BDC4", stroke_width=1.2, fill="none")


def bone(scene: Scene, view: View, step_mm: float) -> str:
    """Edges of everything the tissue map calls bone."""
    members = np.array(["bone" in name for name in scene.tissues.names])
    if not members.any():
        return ""
    across, along, points = view.plane.grid(step_mm)
    data = Raster(view, across, along, read_mask(scene.tissues.volume, members, points)).line_data(0.5)
    shape: dict[str, svg.Attribute] = {"fill": "none", "stroke_linejoin": "round"}
    return svg.path(data, stroke=palette.INK, stroke_width=2.0, stroke_opacity=0.45, **shape) + svg.path(
        data, stroke=palette.BONE, stroke_width=0.9, **shape
    )


def scale_bar(view: View, length_mm: float = 10.0) -> str:
    """A bar of a stated length in the lower left corner."""
    _, height = view.size
    x, y, long = 12.0, height - 12.0, length_mm * view.scale
    return (
        svg.line(x - 1.5, y, x + long + 1.5, y, stroke=palette.INK, width=5.0)
        + svg.line(x, y, x + long, y, stroke=palette.WHITE, width=2.4)
        + _on_image(x, y - 7, f"{length_mm:g} mm")
    )


def orientation(view: View) -> str:
    """Which way the four sides of the picture face: L/R, A/P, S/I."""
    width, height = view.size
    plane = view.plane
    places = (
        (plane.right, width - 7, height / 2 + 4, "end"),
        (-plane.right, 7.0, height / 2 + 4, "start"),
        (plane.up, width / 2 - 26, 16.0, "middle"),
        (-plane.up, width / 2 - 26, height - 8, "middle"),
    )
    return "".join(
        _on_image(x, y, "".join(text.directions(direction.tolist())), anchor, weight="700", size=13.0)
        for direction, x, y, anchor in places
    )


def _on_image(
    x: float, y: float, content: str, anchor: str = "start", *, weight: str | None = None, size: float = 11.0
) -> str:
    return svg.text(
        x, y, content, anchor=anchor, fill=palette.WHITE, halo=palette.INK, weight=weight, size=size
    )


def tag(x: float, y: float, label: str, colour: str) -> str:
    """A small numbered disc that names a thing in the picture."""
    disc = svg.element("circle", cx=x, cy=y, r=8, fill=colour, stroke=palette.WHITE, stroke_width=1.4)
    return disc + svg.text(x, y + 3.6, label, size=10.5, fill=palette.WHITE, anchor="middle", weight="700")


def facing(plane: Plane) -> str:
    """The plane's directions in words, for captions: what is up and what is to the right."""
    words = {"L": "left", "R": "right", "A": "front", "P": "back", "S": "head", "I": "feet"}

    def spoken(direction: FloatArray) -> str:
        first, second = text.directions(direction.tolist())
        return words[first] + (f" and {words[second]}" if second else "")

    return f"up: {spoken(plane.up)}; right: {spoken(plane.right)}"
