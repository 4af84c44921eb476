"""Contours of fields on a plane, as lines in figure coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurolysis.geometry import FloatArray
from neurolysis.report.plane import BELOW_ALL, View
from neurolysis.report.svg import path_data

SIMPLIFY = 0.12
"""Points of a contour nearer than this to the line through their neighbours are dropped (figure units)."""


@dataclass(frozen=True)
class Raster:
    """Values (ny, nx) over offsets right (nx,) and up (ny,), mm, of one view."""

    view: View
    across_mm: FloatArray
    along_mm: FloatArray
    values: FloatArray

    def lines(self, level: float) -> list[FloatArray]:
        """Where the values cross ``level``: polylines (n, 2) in figure coordinates, longest first."""
        from contourpy import contour_generator

        low, high = float(self.values.min()), float(self.values.max())
        if not low < level <= high:
            return []
        masked = np.ma.masked_where(np.abs(self.values) >= -BELOW_ALL / 2, self.values)
        found = contour_generator(self.across_mm, self.along_mm, masked).lines(level)
        placed = [_simplified(self.view.place(np.asarray(line, dtype=float))) for line in found]
        return sorted(placed, key=len, reverse=True)

    def line_data(self, level: float) -> str:
        """Path data of the contour at ``level``."""
        return path_data(self.lines(level))

    def area_data(self, level: float) -> str:
        """Path data of the region at or above ``level``, closed along the picture's edge; fill even-odd."""
        step_x, step_y = self.across_mm[1] - self.across_mm[0], self.along_mm[1] - self.along_mm[0]
        floor = min(level - 1.0, float(self.values.min()))
        padded = Raster(
            self.view,
            np.concatenate([[self.across_mm[0] - step_x], self.across_mm, [self.across_mm[-1] + step_x]]),
            np.concatenate([[self.along_mm[0] - step_y], self.along_mm, [self.along_mm[-1] + step_y]]),
            np.pad(np.maximum(self.values, level - 50.0), 1, constant_values=max(floor, level - 50.0)),
        )
        return path_data(padded.lines(level), close=True)


def _simplified(points: FloatArray) -> FloatArray:
    """The polyline without points that lie on the line through their neighbours (two passes)."""
    for _ in range(2):
        if len(points) < 8:
            return points
        before, here, after = points[:-2], points[1:-1], points[2:]
        chord = after - before
        length = np.maximum(np.linalg.norm(chord, axis=1), 1e-9)
        away = np.abs(chord[:, 0] * (here - before)[:, 1] - chord[:, 1] * (here - before)[:, 0]) / length
        keep = np.ones(len(points), dtype=bool)
        keep[1:-1] = (away > SIMPLIFY) | (np.arange(len(away)) % 2 == 0)
        points = points[keep]
    return points
