"""Series against time, as the technique lists them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from neurolysis.delivery.technique import Chart
from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray
from neurolysis.report import palette, svg, text
from neurolysis.report.axes import Axis, Frame, ticks
from neurolysis.report.document import Figure

HEIGHT = 205.0
LEFT, RIGHT, TOP, BOTTOM = 44.0, 8.0, 12.0, 36.0
LABEL_STEP = 13.0
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
    """Each line's name beside it, where the lines lie furthest apart in the right part of the chart."""
    at = _best_time(frame, time_s, series)
    heights = np.array([frame.y.at(float(item.values[at])) for item in series])
    places = _apart(heights - 5.0)
    x = frame.x.at(float(time_s[at]))
    return "".join(
        svg.text(x, float(y), item.label, fill=item.colour, halo=palette.WHITE, anchor="middle", weight="700")
        for item, y in zip(series, places, strict=True)
    )


def _best_time(frame: Frame, time_s: FloatArray, series: tuple[Series, ...]) -> int:
    share = time_s / time_s[-1]
    candidates = np.flatnonzero((share > 0.3) & (share < 0.72))
    if len(candidates) == 0:
        return len(time_s) // 2
    stacked = np.sort(np.array([frame.y.place(item.values[candidates]) for item in series]), axis=0)
    gaps = np.diff(stacked, axis=0).min(axis=0)
    return int(candidates[int(np.nan_to_num(gaps, nan=-1.0).argmax())])


def _apart(places: FloatArray) -> FloatArray:
    """Label heights pushed up so that no two are nearer than a line of text."""
    result = places.copy()
    order = np.argsort(-places)
    for lower, upper in zip(order[:-1], order[1:], strict=True):
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
