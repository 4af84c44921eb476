"""Where in the body: two plain cuts through the target, seen as on a film."""

from __future__ import annotations

import numpy as np

from neurolysis.geometry import FloatArray
from neurolysis.planning.result import PlanResult
from neurolysis.report import backdrop, needle, palette, svg, text
from neurolysis.report.document import Figure
from neurolysis.report.plane import Plane, View
from neurolysis.report.slices import view_half_mm

SMALLEST_HALF_MM, LARGEST_HALF_MM = 30.0, 75.0
RIGHT = np.array([1.0, 0.0, 0.0])
UP = {"axial": np.array([0.0, -1.0, 0.0]), "coronal": np.array([0.0, 0.0, 1.0])}
TITLES = {"axial": "Axial, seen from the feet", "coronal": "Coronal, seen from the front"}


def overview_figures(result: PlanResult) -> tuple[Figure, ...]:
    """An axial and a coronal cut through the middle of the active tip."""
    placement = result.plan.placements[0]
    frame = placement.frame()
    middle = frame.apply([0.0, 0.0, placement.instrument.active_tip_mm / 2])
    return tuple(_figure(result, name, middle) for name in UP)


def _figure(result: PlanResult, name: str, middle: FloatArray) -> Figure:
    view = View.of_width(_plane(result, name, middle), palette.HALF_WIDTH)
    width, height = view.size
    modality = result.case.image.modality if result.case.image else "CT"
    target = result.scene.target()
    layers = (
        backdrop.image(result.scene, view, modality=modality),
        _course(view, target.curve.as_array()),
        needle.drawn(view, result.plan),
        _box(view, result, middle),
        backdrop.scale_bar(view, 20.0),
        backdrop.orientation(view),
    )
    words = f"{TITLES[name]}: needle, course of {target.name} and the part shown enlarged."
    body = svg.clipped(f"clip-overview-{name}", width, height, *layers)
    frame = svg.rectangle(0, 0, width, height, fill="none", stroke=palette.MUTED, stroke_width=1)
    drawing = svg.drawing(width, height, body, frame, title=words)
    return Figure(
        f"overview-{name}", drawing, f"{text.sentence(backdrop.facing(view.plane))}.", words, TITLES[name]
    )


def _plane(result: PlanResult, name: str, middle: FloatArray) -> Plane:
    """The cut through ``middle``, centred on the image where the image is small enough to be seen whole."""
    image = result.scene.image
    corners = image.to_lps(np.array(np.meshgrid(*[(-0.5, n - 0.5) for n in image.shape])).reshape(3, -1).T)
    low, high = corners.min(axis=0), corners.max(axis=0)
    axes = [int(np.argmax(np.abs(axis))) for axis in (RIGHT, UP[name])]
    size, between = 0.5 * (high - low)[axes], 0.5 * (low + high)[axes]
    half = np.clip(size, SMALLEST_HALF_MM, LARGEST_HALF_MM)
    room = np.maximum(size - half, 0.0)
    centre = middle.copy()
    centre[axes] = np.clip(middle[axes], between - room, between + room)
    return Plane(centre, RIGHT, UP[name], (float(half[0]), float(half[1])))


def _course(view: View, points_mm: FloatArray) -> str:
    data = svg.path_data([view.points(points_mm)])
    return svg.cased(data, stroke=palette.NERVE, width=2.2)


def _box(view: View, result: PlanResult, middle: FloatArray) -> str:
    """A circle round what the enlarged pictures show."""
    x, y = view.points(middle)
    radius = view_half_mm(result.exposure) * view.scale
    shape: dict[str, svg.Attribute] = {"cx": x, "cy": y, "r": radius, "fill": "none"}
    return svg.element(
        "circle", stroke=palette.INK, stroke_width=3, stroke_opacity=0.5, **shape
    ) + svg.element("circle", stroke=palette.WHITE, stroke_width=1.4, stroke_dasharray="5 4", **shape)
