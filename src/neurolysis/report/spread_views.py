"""How far an agent has come, in three dimensions: one small picture a moment, all from one side."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray, unit_vector
from neurolysis.nerve.along import Sampler
from neurolysis.plan import Plan
from neurolysis.planning.result import PlanResult
from neurolysis.report import backdrop, needle, palette, svg, text
from neurolysis.report.document import Figure
from neurolysis.report.plane import Plane, View, read_mask

ARRIVAL = "arrival_min"
SHARES = (0.25, 0.5, 0.75, 1.0)
"""Parts of all tissue that is ever reached, for which a moment is drawn."""
STEPS = 140
"""Samples across a picture, and along the line of sight."""
SMOOTH_STEPS = 1.0
ROOM_MM = 5.0
GAP = 8.0
HEAD = 16.0
BONE_OVER = 0.4
"""How much of bone before the agent is seen: the agent shows through it."""
LIGHT = np.array([-0.45, 0.5, 0.74])
"""Direction to the light: right, up, towards the reader."""
DIM = 0.38
"""Brightness of what faces away from the light."""


@dataclass(frozen=True)
class Moment:
    """``minutes`` after the start of the injection, and the tissue reached by then, mL."""

    minutes: float
    volume_ml: float


def spread_figure(result: PlanResult) -> Figure | None:
    """The tissue reached by the least effective concentration at four moments; None where nothing is."""
    found = moments(result.exposure)
    if not found:
        return None
    width = (palette.FULL_WIDTH - GAP * (len(found) - 1)) / len(found)
    view = View.of_width(sight(result.plan, result.exposure), width)
    solid = _Solids(result, view)
    panels = [
        svg.element(
            "g",
            _head(moment, width),
            svg.element("g", _panel(result, solid, k, moment), transform=f"translate(0 {HEAD:g})"),
            transform=f"translate({svg.number(k * (width + GAP))} 0)",
        )
        for k, moment in enumerate(found)
    ]
    told = text.listed([f"{_volume(m)} after {_minutes(m)}" for m in found])
    alt = (
        f"Four views of the same anatomy from one side, with the tissue the agent has reached: {told}. "
        "Bone is pale and lets the agent shine through."
    )
    caption = (
        "Tissue where the least neurolytic concentration has been by then (middle member; the others are in "
        f"the table), when a quarter, half, three quarters and all of it were reached. "
        f"{text.sentence(backdrop.facing(view.plane))}. Bone before the agent is drawn through."
    )
    height = view.size[1] + HEAD
    return Figure(
        "spread-in-time",
        svg.drawing(palette.FULL_WIDTH, height, *panels, title=alt),
        caption,
        alt,
        "The spread in time",
    )


def moments(exposure: Exposure) -> tuple[Moment, ...]:
    """When a quarter, half, three quarters and all of the tissue that is ever reached was reached."""
    if ARRIVAL not in exposure.fields:
        return ()
    when, volume = _reached(exposure)
    if not len(when):
        return ()
    order = np.argsort(when)
    grown = np.cumsum(volume[order])
    places = np.searchsorted(grown, np.array(SHARES) * grown[-1] * (1 - 1e-9))
    times = when[order][places]
    return tuple(Moment(float(t), float(volume[when <= t].sum()) / 1000) for t in times)


def _reached(exposure: Exposure) -> tuple[FloatArray, FloatArray]:
    """Minutes and cell volumes, mm3, of every cell that is ever reached within the run, (n,) each."""
    arrival = exposure.field(ARRIVAL).array
    inside = (arrival <= exposure.time_s[-1] / 60) & ~exposure.instrument
    return np.asarray(arrival[inside], float), np.asarray(exposure.cell_volume_mm3[inside], float)


def sight(plan: Plan, exposure: Exposure) -> Plane:
    """The plane of the pictures: looked at from the needle's side, from above and half from the side."""
    first = plan.placements[0]
    hub = np.array(first.direction_to_hub)
    level = np.array([hub[0], hub[1], 0.0])
    back = unit_vector(level) if np.linalg.norm(level) > 0.1 else np.array([0.0, 1.0, 0.0])
    aside = np.array([-back[1], back[0], 0.0])
    outwards = -1.0 if plan.target.side == "right" else 1.0
    aside = aside if aside[0] * outwards >= 0 else -aside
    towards = unit_vector(back + 0.8 * aside + np.array([0.0, 0.0, 0.6]))
    right = unit_vector(np.cross([0.0, 0.0, 1.0], towards))
    points = _reached_points(exposure)
    centre = 0.5 * (points.min(axis=0) + points.max(axis=0))
    half = float(np.linalg.norm(points - centre, axis=1).max()) + ROOM_MM
    return Plane(centre, right, np.cross(towards, right), (half, half))


def _reached_points(exposure: Exposure) -> FloatArray:
    """Centres of the cells that are ever reached, (n, 3) LPS mm."""
    inside = (exposure.field(ARRIVAL).array <= exposure.time_s[-1] / 60) & ~exposure.instrument
    index = np.argwhere(inside)
    local = np.stack([axis[index[:, k]] for k, axis in enumerate(exposure.axes_mm)], axis=-1)
    points: FloatArray = exposure.frame.apply(local)
    return points


class _Solids:
    """Bone and the agent's front, sampled once along every line of sight of one view."""

    def __init__(self, result: PlanResult, view: View) -> None:
        plane = view.plane
        self.view, self.half_mm = view, plane.half_mm[0]
        across = np.linspace(-self.half_mm, self.half_mm, STEPS)
        # Rows from the top of the picture, depth from the reader away.
        up, right, depth = np.meshgrid(across[::-1], across, across[::-1], indexing="ij")
        points = plane.origin_mm + (
            right[..., None] * plane.right + up[..., None] * plane.up + depth[..., None] * plane.normal
        )
        early = -np.log(np.clip(Sampler.at(result.exposure, points).values(ARRIVAL), 1e-2, 1e2))
        self.early = _smooth(np.where(np.isfinite(early), early, -np.log(1e2)))
        members = np.array(["bone" in name for name in result.scene.tissues.names])
        bone = read_mask(result.scene.tissues.volume, members, points) if members.any() else 0 * self.early
        self.bone = surface(_smooth(bone - 0.5))

    def picture(self, minutes: float) -> NDArray[np.uint8]:
        """(STEPS, STEPS, 3) colours: the agent's front at a moment, and bone."""
        agent = surface(self.early + np.log(minutes))
        colours = np.broadcast_to(_rgb(palette.PANEL), (STEPS, STEPS, 3)).copy()
        seen, bony = np.isfinite(agent), np.isfinite(self.bone)
        bone_colour = _rgb(palette.BONE) * shading(self.bone)[..., None]
        agent_colour = _rgb(palette.LESION) * shading(agent)[..., None]
        colours[bony] = bone_colour[bony]
        colours[seen] = agent_colour[seen]
        before = seen & bony & (np.nan_to_num(self.bone, nan=np.inf) < np.nan_to_num(agent, nan=np.inf))
        colours[before] = (BONE_OVER * bone_colour + (1 - BONE_OVER) * agent_colour)[before]
        return np.clip(colours, 0, 255).round().astype(np.uint8)


def _smooth(values: FloatArray) -> FloatArray:
    """Less of the steps between cells, which would be drawn as facets."""
    from scipy.ndimage import gaussian_filter

    smooth: FloatArray = gaussian_filter(values.astype(np.float32), SMOOTH_STEPS)
    return smooth


def surface(values: FloatArray) -> FloatArray:
    """Steps from the reader to the first place where values (rows, columns, depth) are above zero.

    The place within a step is found by linear interpolation; NaN where a line of sight meets nothing.
    """
    inside = values > 0
    first = inside.argmax(axis=-1)
    here = np.take_along_axis(values, first[..., None], axis=-1)[..., 0]
    ahead = np.take_along_axis(values, np.maximum(first - 1, 0)[..., None], axis=-1)[..., 0]
    back = np.where(first > 0, here / np.where(first > 0, here - ahead, 1.0), 0.0)
    return np.where(inside.any(axis=-1), first - back, np.nan)


def shading(depth: FloatArray) -> FloatArray:
    """Brightness (rows, columns) of a surface given by its depth in steps: matt, lit by one lamp."""
    across = np.gradient(depth, axis=1)
    down = np.gradient(depth, axis=0)
    # An edge beside nothing has no slope of its own: it is taken to face sideways.
    slope = [np.where(np.isfinite(one), one, 3.0) for one in (across, down)]
    normal = np.stack([slope[0], -slope[1], np.ones_like(depth)], axis=-1)
    lit = (normal @ LIGHT) / np.linalg.norm(normal, axis=-1) / np.linalg.norm(LIGHT)
    bright: FloatArray = DIM + (1 - DIM) * np.clip(lit, 0, 1)
    return bright


def _rgb(colour: str) -> FloatArray:
    return np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)], float)


def _panel(result: PlanResult, solid: _Solids, number: int, moment: Moment) -> str:
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(solid.picture(moment.minutes)).save(buffer, "PNG", compress_level=9)
    view = solid.view
    width, height = view.size
    picture = svg.element(
        "image",
        href=f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}",
        x=0, y=0, width=width, height=height, preserveAspectRatio="none",
    )  # fmt: skip
    courses = [svg.path_data([view.points(nerve.curve.as_array())]) for nerve in result.scene.nerves]
    marks = (
        *(needle.drawn(view, placement) for placement in result.plan.placements),
        *(svg.cased(course, stroke=palette.NERVE, width=1.6) for course in courses),
        backdrop.scale_bar(view, 10.0),
        backdrop.orientation(view),
    )
    frame = svg.rectangle(0, 0, width, height, fill="none", stroke=palette.MUTED, stroke_width=1)
    return svg.clipped(f"clip-spread-{number}", width, height, picture, *marks) + frame


def _head(moment: Moment, width: float) -> str:
    return svg.text(0, 11, _minutes(moment), weight="700") + svg.text(
        width, 11, _volume(moment), anchor="end", fill=palette.MUTED
    )


def _minutes(moment: Moment) -> str:
    return f"{text.number(round(moment.minutes, 1))} min"


def _volume(moment: Moment) -> str:
    return f"{text.number(round(moment.volume_ml, 1))} mL"
