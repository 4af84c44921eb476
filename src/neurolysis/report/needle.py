"""Instruments as drawn: the shaft grey, the end that acts white with a dark edge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurolysis.delivery.technique import InstrumentUse, techniques
from neurolysis.geometry import FloatArray
from neurolysis.plan import Placement, Plan
from neurolysis.planning.needle import centre_line_mm
from neurolysis.report import palette, svg
from neurolysis.report.plane import View


@dataclass(frozen=True)
class Rod:
    """One wire of a needle: centre line (m, 3) in LPS from its tip, bare up to ``bare_mm`` along it."""

    points_mm: FloatArray
    radius_mm: float
    bare_mm: float


def rods(placement: Placement, end_mm: float | None = None) -> tuple[Rod, ...]:
    """The cannula and its tines, LPS; bare over ``end_mm`` where that is not the instrument's own tip."""
    cannula, frame = placement.instrument, placement.frame()
    bare = cannula.active_tip_mm if end_mm is None else end_mm
    shaft = Rod(frame.apply(centre_line_mm(cannula)), cannula.outer_radius_mm.value, bare)
    tines = [
        Rod(frame.apply(np.array([tine.end_mm, tine.start_mm])), tine.radius_mm, float("inf"))
        for tine in cannula.tines
    ]
    return (shaft, *tines)


def instrument_use(plan: Plan) -> InstrumentUse | None:
    """What the plan's technique says of its instrument; None where it says nothing."""
    found = techniques().get(plan.protocol.technique)
    return found.instrument if found else None


def drawn(view: View, plan: Plan) -> str:
    """Every instrument in a view: projected where it lies in the plane or crosses it at an angle."""
    use = instrument_use(plan)
    end_mm = use.end_mm(plan.protocol) if use else None
    return "".join(_rod(view, rod) for placement in plan.placements for rod in rods(placement, end_mm))


def _rod(view: View, rod: Rod) -> str:
    points = view.points(rod.points_mm)
    if float(np.ptp(points, axis=0).max()) < 2.0:
        return _cross_section(view, points[0], rod)
    arc = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(rod.points_mm, axis=0), axis=1))])
    split = min(rod.bare_mm, float(arc[-1]))
    at_split = np.array([np.interp(split, arc, points[:, k]) for k in range(2)])
    bare = np.vstack([points[arc < split], at_split])
    rest = np.vstack([at_split, points[arc > split]])
    width = max(2 * rod.radius_mm * view.scale, 2.5)
    edge, shaft, tip = (
        (palette.INK, width + 2.4),
        (palette.SHAFT, width),
        (palette.TIP, width),
    )
    return (
        _stroke(np.vstack([bare, rest[1:]]), *edge)
        + _stroke(rest, *shaft, cap="butt")
        + _stroke(bare, *tip)
        + _ring(at_split, rest, width)
    )


def _stroke(points: FloatArray, colour: str, width: float, cap: str = "round") -> str:
    return svg.path(
        svg.path_data([points]), fill="none", stroke=colour, stroke_width=width, stroke_linecap=cap,
        stroke_linejoin="round",
    )  # fmt: skip


def _ring(at: FloatArray, rest: FloatArray, width: float) -> str:
    """A short dark bar across the needle where the active tip ends."""
    if len(rest) < 2:
        return ""
    along = rest[1] - rest[0]
    length = float(np.linalg.norm(along))
    if length < 1e-6:
        return ""
    across = np.array([-along[1], along[0]]) / length * (width / 2 + 1.2)
    (x1, y1), (x2, y2) = at - across, at + across
    return svg.line(x1, y1, x2, y2, stroke=palette.INK, width=1.6)


def _cross_section(view: View, at: FloatArray, rod: Rod) -> str:
    radius = max(rod.radius_mm * view.scale, 2.0)
    return svg.element(
        "circle", cx=at[0], cy=at[1], r=radius, fill=palette.TIP, stroke=palette.INK, stroke_width=1.6
    )
