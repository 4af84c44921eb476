"""Axes of charts: tick values, scales, grid lines."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from neurolysis.geometry import FloatArray
from neurolysis.report import palette, svg, text

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


def ticks(low: float, high: float, about: int = 5) -> FloatArray:
    """Round numbers that span low to high, about that many of them."""
    span = high - low if high > low else max(abs(high), 1.0)
    power = 10.0 ** math.floor(math.log10(span / about))
    step = next(s * power for s in STEPS if span / (s * power) <= about * 1.2 or s == STEPS[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    return np.asarray(np.arange(first, last + 1) * step, dtype=np.float64)


@dataclass(frozen=True)
class Axis:
    """One axis: values from low to high drawn from ``start`` to ``end`` (figure units)."""

    low: float
    high: float
    start: float
    end: float

    def place(self, values: ArrayLike) -> FloatArray:
        """Figure coordinates (n,) of values (n,)."""
        share = (np.asarray(values, float) - self.low) / (self.high - self.low)
        result: FloatArray = self.start + share * (self.end - self.start)
        return result

    def at(self, value: float) -> float:
        """Figure coordinate of one value."""
        return float(self.place(value))


@dataclass(frozen=True)
class Frame:
    """A plot's rectangle with its two axes and the values that carry ticks."""

    x: Axis
    y: Axis
    x_ticks: FloatArray
    y_ticks: FloatArray

    def grid(self) -> str:
        """Pale lines and numbers; the horizontal ones are all a reader needs to read off values."""
        parts = []
        for value in self.y_ticks:
            at = self.y.at(value)
            parts.append(svg.line(self.x.start, at, self.x.end, at, stroke=palette.RULE, width=0.8))
            parts.append(_number(self.x.start - 6, at + 3.5, value, "end"))
        for value in self.x_ticks:
            at = self.x.at(value)
            parts.append(svg.line(at, self.y.start, at, self.y.start + 4, stroke=palette.MUTED, width=0.8))
            parts.append(_number(at, self.y.start + 16, value, "middle"))
        base = svg.line(self.x.start, self.y.start, self.x.end, self.y.start, stroke=palette.MUTED, width=1.0)
        return "".join(parts) + base

    def line(self, xs: ArrayLike, ys: ArrayLike, *, stroke: str, width: float = 1.8, dash: str = "") -> str:
        """A line through (n,) points; gaps where a value is not a number."""
        points = np.column_stack([self.x.place(xs), self.y.place(ys)])
        good = np.isfinite(points).all(axis=1)
        runs = np.split(points, np.flatnonzero(~good))
        pieces = [run[np.isfinite(run).all(axis=1)] for run in runs]
        return svg.path(
            svg.path_data(pieces),
            fill="none", stroke=stroke, stroke_width=width, stroke_dasharray=dash, stroke_linejoin="round",
        )  # fmt: skip


def _number(x: float, y: float, value: float, anchor: str) -> str:
    return svg.text(x, y, text.number(float(value), 4), size=palette.SMALL, fill=palette.MUTED, anchor=anchor)
