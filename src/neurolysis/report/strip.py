"""The target nerve from end to end: temperature, killed fraction, and where each criterion is met."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolysis.exposure import Exposure, LesionCriterion
from neurolysis.geometry import FloatArray
from neurolysis.injury import CriterionInjury, NerveInjury
from neurolysis.nerve.along import LOWEST, PEAK, Sampler, excess, thermal_measure, worse
from neurolysis.report import palette, svg, text
from neurolysis.report.axes import Axis, Frame, ticks
from neurolysis.report.decided import undecided_on
from neurolysis.report.document import Figure
from neurolysis.report.slices import dashes

LEFT, RIGHT = 196.0, 112.0
TOP, HEAT_HEIGHT, KILL_HEIGHT, GAP = 10.0, 118.0, 54.0, 26.0
BAND, BAND_GAP = 13.0, 9.0
LABEL_APART = 9.5
SHOWN_BEYOND_MM = 6.0
"""Length of untouched nerve shown on either side of the heated or cooled part."""
WARM_C = 2.0
"""A station counts as heated or cooled this far from the one that is least so."""


@dataclass(frozen=True)
class Window:
    """The stations of a nerve that are drawn."""

    injury: NerveInjury
    keep: NDArray[np.int64]

    @classmethod
    def of(cls, injury: NerveInjury) -> Window:
        """The heated or cooled part with some nerve on either side; everything where there is none."""
        arc, name = np.array(injury.arc_mm), thermal_measure(injury.profiles)
        heat = np.zeros(len(arc)) if name is None else worse(name) * np.array(injury.profiles[name], float)
        warm = np.flatnonzero(heat > heat.min() + WARM_C)
        if len(warm) == 0:
            return cls(injury, np.arange(len(arc)))
        inside = (arc >= arc[warm[0]] - SHOWN_BEYOND_MM) & (arc <= arc[warm[-1]] + SHOWN_BEYOND_MM)
        return cls(injury, np.flatnonzero(inside))

    @property
    def arc_mm(self) -> FloatArray:
        """Arc length at the stations drawn, (m,)."""
        return np.array(self.injury.arc_mm)[self.keep]

    def profile(self, values: tuple[float, ...]) -> FloatArray:
        """A profile at the stations drawn, (m,)."""
        return np.array(values, float)[self.keep]

    def axis(self) -> Axis:
        """Arc length across the figure."""
        return Axis(float(self.arc_mm[0]), float(self.arc_mm[-1]), LEFT, palette.FULL_WIDTH - RIGHT)


def strip_figure(exposure: Exposure, injury: NerveInjury) -> Figure:
    """The strip of one nerve."""
    window = Window.of(injury)
    x = window.axis()
    parts, y = [], TOP
    measure = thermal_measure(injury.profiles)
    if measure is not None:
        parts.append(_heat(window, x, exposure, y, measure))
        y += HEAT_HEIGHT + GAP
    if injury.killed_fraction:
        parts.append(_killed(window, x, y))
        y += KILL_HEIGHT + GAP
    bands, y = _bands(window, x, exposure, y)
    parts += [bands, _foot(window, x, y)]
    alt = _alt(injury)
    drawing = svg.drawing(palette.FULL_WIDTH, y + 34, *parts, title=alt)
    caption = (
        "Places along the nerve run in the direction it is drawn. Bars show where each criterion is met; "
        "the number beside a bar is the longest stretch without a gap, in brackets the 5th to 95th "
        "percentile under the nerve's uncertain place; ≥ marks a lower bound."
    )
    return Figure("nerve-strip", drawing, caption, alt, f"{injury.nerve} from end to end")


def _heat(window: Window, x: Axis, exposure: Exposure, top: float, measure: str) -> str:
    values = window.profile(window.injury.profiles[measure])
    levels = sorted({c.threshold for c in exposure.criteria if c.field == measure})
    lowest = [40.0] if worse(measure) > 0 else levels
    y_ticks = ticks(min(float(values.min()), *lowest), max(float(values.max()), *levels, *_REACH[measure]), 4)
    frame = Frame(
        x, Axis(float(y_ticks[0]), float(y_ticks[-1]), top + HEAT_HEIGHT, top), np.array([]), y_ticks
    )
    marks = "".join(
        _level(frame, level, at) for level, at in zip(levels, _spread(frame, levels), strict=True)
    )
    edge = frame.line(window.arc_mm, values, stroke=palette.INK, width=3.4)
    line = frame.line(window.arc_mm, values, stroke=palette.ISOTHERM, width=2.0)
    return _heading(f"{text.sentence(text.name(measure))}, °C", top) + frame.grid() + marks + edge + line


_REACH = {PEAK: (50.0,), LOWEST: (37.0,)}
"""What the axis of temperature reaches at least."""


def _level(frame: Frame, level: float, label: float) -> str:
    at = frame.y.at(level)
    return svg.line(
        frame.x.start, at, frame.x.end, at, stroke=palette.LESION, width=1.1, dash="5 3"
    ) + svg.text(
        frame.x.end + 6, label + 3.5, f"{text.number(level)} °C", size=palette.SMALL, fill=palette.INK
    )


def _spread(frame: Frame, levels: Sequence[float]) -> list[float]:
    """Heights of the levels' labels, lowest level first, moved up where they would overlap."""
    found: list[float] = []
    for level in levels:
        at = frame.y.at(level)
        found.append(min(at, found[-1] - LABEL_APART) if found else at)
    return found


def _killed(window: Window, x: Axis, top: float) -> str:
    frame = Frame(x, Axis(0.0, 1.0, top + KILL_HEIGHT, top), np.array([]), np.array([0.0, 0.5, 1.0]))
    curves = {values: name for name, values in window.injury.killed_fraction.items()}
    areas = []
    for values in curves:
        ys = window.profile(values)
        points = np.column_stack([x.place(window.arc_mm), frame.y.place(ys)])
        closed = np.vstack([[points[0, 0], frame.y.start], points, [points[-1, 0], frame.y.start]])
        areas.append(svg.path(svg.path_data([closed], close=True), fill=palette.NERVE, fill_opacity=0.25))
        areas.append(frame.line(window.arc_mm, ys, stroke=palette.NERVE, width=1.8))
    which = (
        "the same for all fibre classes" if len(curves) == 1 else text.listed(str(n) for n in curves.values())
    )
    return _heading("Killed fraction", top, which) + frame.grid() + "".join(areas)


def _heading(title: str, top: float, below: str = "") -> str:
    first = svg.text(2, top + 11, title, weight="700")
    return first + (svg.text(2, top + 26, below, size=palette.SMALL, fill=palette.MUTED) if below else "")


def _bands(window: Window, x: Axis, exposure: Exposure, top: float) -> tuple[str, float]:
    parts, y = [svg.text(2, top + 4, "Lesioned, by criterion", weight="700")], top + 14
    sampler = Sampler.at(exposure, np.array(window.injury.points_mm)[window.keep])
    for criterion, dash in dashes(exposure.criteria):
        parts.append(_band(window, x, exposure, criterion, sampler, y, dash))
        y += BAND + BAND_GAP
    return "".join(parts), y


def _band(
    window: Window,
    x: Axis,
    exposure: Exposure,
    criterion: LesionCriterion,
    sampler: Sampler,
    y: float,
    dash: str,
) -> str:
    found = next((c for c in window.injury.by_criterion if c.criterion == criterion.id), None)
    values = excess(criterion, sampler.scaled(criterion.field, outside=-criterion.sign * np.inf))
    base = svg.rectangle(x.start, y, x.end - x.start, BAND, fill=palette.PANEL)
    bars = "".join(
        svg.rectangle(
            x.at(low),
            y + 1,
            x.at(high) - x.at(low),
            BAND - 2,
            fill=palette.LESION,
            fill_opacity=0.55,
            stroke=palette.LESION,
            stroke_dasharray=dash,
        )
        for low, high in runs(window.arc_mm, values, 0.0)
    )
    label = svg.text(2, y + BAND - 3, shortened(criterion.label), size=palette.FONT)
    bound = criterion.id in undecided_on(exposure, window.injury)
    result = "" if found is None else _length(found, bound)
    return base + bars + label + svg.text(x.end + 6, y + BAND - 3, result, size=palette.FONT)


def _length(found: CriterionInjury, lower_bound: bool) -> str:
    if lower_bound:
        return f"≥ {text.millimetres(found.longest_lesioned_mm)}"
    spread = text.interval(found.length_p5_mm, found.length_p95_mm)
    return text.millimetres(found.longest_lesioned_mm) + (f" ({spread})" if spread else "")


def shortened(label: str, most: int = 34) -> str:
    """A label without what stands in brackets, cut to what fits beside the strip."""
    plain = label.split(" (")[0]
    return plain if len(plain) <= most else plain[: most - 1].rstrip() + "…"


def runs(arc_mm: FloatArray, values: FloatArray, threshold: float) -> Iterator[tuple[float, float]]:
    """Stretches (from, to) in mm where values (m,) reach the threshold; ends are found between stations."""
    above = values >= threshold
    edges = np.flatnonzero(np.diff(above.astype(int)))
    ends = [_crossing(arc_mm, values, threshold, int(k)) for k in edges]
    if above.size and above[0]:
        ends = [float(arc_mm[0]), *ends]
    if above.size and above[-1]:
        ends = [*ends, float(arc_mm[-1])]
    yield from zip(ends[::2], ends[1::2], strict=True)


def _crossing(arc_mm: FloatArray, values: FloatArray, threshold: float, k: int) -> float:
    before, after = float(values[k]), float(values[k + 1])
    if not (np.isfinite(before) and np.isfinite(after)):
        return float(arc_mm[k + 1] if after >= threshold else arc_mm[k])
    share = (threshold - before) / (after - before)
    return float(arc_mm[k] + share * (arc_mm[k + 1] - arc_mm[k]))


def _foot(window: Window, x: Axis, y: float) -> str:
    """The axis below everything, with the critical length to scale."""
    found = ticks(x.low, x.high, 8)
    found = found[(found >= x.low - 1e-9) & (found <= x.high + 1e-9)]
    parts = [svg.line(x.start, y, x.end, y, stroke=palette.MUTED)]
    for value in found:
        at = x.at(float(value))
        parts.append(svg.line(at, y, at, y + 4, stroke=palette.MUTED, width=0.8))
        parts.append(
            svg.text(
                at, y + 15, text.number(float(value)), size=palette.SMALL, fill=palette.MUTED, anchor="middle"
            )
        )
    name = "along the nerve, mm"
    middle = 0.5 * (x.start + x.end)
    parts.append(svg.text(middle, y + 29, name, size=palette.SMALL, fill=palette.MUTED, anchor="middle"))
    return "".join(parts) + _critical(window, x, y)


def _critical(window: Window, x: Axis, y: float) -> str:
    length = window.injury.critical_length_mm
    if length is None or length > x.high - x.low:
        return ""
    long = x.at(x.low + length) - x.start
    start = x.start - 12 - long
    if start < 4:
        return ""
    bar = svg.line(start, y + 4, start + long, y + 4, stroke=palette.INK, width=2.0)
    ends = "".join(svg.line(at, y, at, y + 8, stroke=palette.INK, width=1.4) for at in (start, start + long))
    words = f"critical length {length:g} mm"
    return bar + ends + svg.text(start + long, y + 20, words, size=palette.SMALL, anchor="end")


def _alt(injury: NerveInjury) -> str:
    measure = thermal_measure(injury.profiles)
    worst = ""
    if measure is not None:
        found = injury.profiles[measure]
        edge = max(found) if worse(measure) > 0 else min(found)
        most = "Highest peak temperature" if worse(measure) > 0 else "Lowest temperature"
        worst = f"{most} {text.celsius(edge)}. "
    lengths = "; ".join(
        f"{item.label}: {text.millimetres(item.longest_lesioned_mm)}" for item in injury.by_criterion
    )
    return f"{injury.nerve} from end to end. {worst}Longest lesioned stretch by criterion: {lengths}."
