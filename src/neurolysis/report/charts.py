"""Series against time, as the technique lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurolysis.delivery.technique import Chart
from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray
from neurolysis.report import palette, svg, text
from neurolysis.report.axes import Axis, Frame, ticks
from neurolysis.report.document import Figure

HEIGHT = 205.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 12.0, 36.0
LABEL_STEP = 13.0
LABEL_HALF = 0.12
"""Half the width of a label, as a part of the chart's time."""
MOST_POINTS = 400


@dataclass(frozen=True)
class Series:
    """One line: label, values over the exposure's times, colour and dash pattern."""

    label: str
    values: FloatArray
    colour: str
    dash: str


def chart_figures(exposure: Exposure, charts: Sequence[Chart]) -> tuple[Figure, ...]:
    """One figure for each chart that has at least one series in this exposure."""
    found = [(chart, _series(exposure, chart)) for chart in charts]
    return tuple(
        _figure(f"chart-{k}", chart, exposure.time_s, series)
        for k, (chart, series) in enumerate(found, start=1)
        if series and len(exposure.time_s) > 1
    )


def _series(exposure: Exposure, chart: Chart) -> tuple[Series, ...]:
    held = [(name, label) for name, label in chart.series if name in exposure.series]
    return tuple(
        Series(label, np.asarray(exposure.series[name], float), *palette.LINES[k % len(palette.LINES)])
        for k, (name, label) in enumerate(held)
    )


def _figure(name: str, chart: Chart, time_s: FloatArray, series: tuple[Series, ...]) -> Figure:
    frame = _frame(time_s, series)
    every = max(1, len(time_s) // MOST_POINTS)
    keep = np.unique(np.r_[np.arange(0, len(time_s), every), len(time_s) - 1])
    lines = "".join(
        frame.line(time_s[keep], item.values[keep], stroke=item.colour, dash=item.dash)
        for item in reversed(series)
    )
    middle = 0.5 * (frame.x.start + frame.x.end)
    time_name = svg.text(
        middle, HEIGHT - 4, "time, s", size=palette.SMALL, fill=palette.MUTED, anchor="middle"
    )
    title = f"{chart.title}, {chart.unit}" if chart.unit else chart.title
    alt = f"{title} against time. " + "; ".join(_in_words(item, time_s, chart.unit) for item in series) + "."
    labels = _labels(frame, time_s, series) if len(series) > 1 else ""
    drawing = svg.drawing(palette.HALF_WIDTH, HEIGHT, frame.grid(), lines, labels, time_name, title=alt)
    return Figure(name, drawing, "", alt, title)


def _frame(time_s: FloatArray, series: tuple[Series, ...]) -> Frame:
    values = np.concatenate([item.values[np.isfinite(item.values)] for item in series])
    low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    low = 0.0 if 0 <= low < 0.6 * high else low
    y_ticks, x_ticks = ticks(low, high), ticks(0.0, float(time_s[-1]), 6)
    y = Axis(float(y_ticks[0]), float(y_ticks[-1]), HEIGHT - BOTTOM, TOP)
    x = Axis(0.0, float(time_s[-1]), LEFT, palette.HALF_WIDTH - RIGHT)
    return Frame(x, y, x_ticks[x_ticks <= time_s[-1] * 1.001], y_ticks)


def _labels(frame: Frame, time_s: FloatArray, series: tuple[Series, ...]) -> str:
    """Each line's name beside it, below the lowest and above the others, where lines are far apart."""
    heights = np.array([frame.y.place(item.values) for item in series])
    at, near = _roomiest(time_s, heights)
    lowest = int(heights[:, at].argmax())
    above, below = np.nanmin(heights[:, near], axis=1) - 5.0, np.nanmax(heights[:, near], axis=1) + LABEL_STEP
    places = _apart(np.where(np.arange(len(series)) == lowest, below, above))
    x = frame.x.at(float(time_s[at]))
    return "".join(
        svg.text(x, float(y), item.label, fill=item.colour, halo=palette.WHITE, anchor="middle", weight="700")
        for item, y in zip(series, places, strict=True)
    )


def _roomiest(time_s: FloatArray, heights: FloatArray) -> tuple[int, NDArray[np.int64]]:
    """The time (index) where labels fit best between the lines (k, n), and the times they cover there."""
    share = time_s / time_s[-1]
    gaps = np.nan_to_num(np.diff(np.sort(heights, axis=0), axis=0).min(axis=0), nan=-1.0)
    candidates = np.flatnonzero((share > LABEL_HALF) & (share < 1 - LABEL_HALF))
    covered = [np.flatnonzero(np.abs(share - share[k]) <= LABEL_HALF) for k in candidates]
    if not covered:
        return len(time_s) // 2, np.arange(len(time_s))
    best = max(range(len(covered)), key=lambda k: _room(heights[:, covered[k]], gaps[covered[k]]))
    return int(candidates[best]), covered[best]


def _room(heights: FloatArray, gaps: FloatArray) -> float:
    """How well labels fit between lines over some times: wide gaps are good, steep lines are not."""
    return float(gaps.min()) - float(np.nan_to_num(np.ptp(heights, axis=1)).max())


def _apart(places: FloatArray) -> FloatArray:
    """Label heights pushed up so that no two are nearer than a line of text."""
    result = places.copy()
    order = np.argsort(-places)
    for lower, upper in pairwise(order.tolist()):
        result[upper] = min(result[upper], result[lower] - LABEL_STEP)
    return result


def _in_words(item: Series, time_s: FloatArray, unit: str) -> str:
    good = np.flatnonzero(np.isfinite(item.values))
    if len(good) == 0:
        return f"{item.label}: no values"
    top = int(good[item.values[good].argmax()])
    last = text.with_unit(text.number(float(item.values[good[-1]])), unit)
    peak = text.with_unit(text.number(float(item.values[top])), unit)
    return f"{item.label}: highest {peak} at {text.number(float(time_s[top]))} s, {last} at the end"
