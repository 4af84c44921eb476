"""The edge of a lesion on its grid, found between cells, and distances to it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolysis.exposure import Exposure, LesionCriterion
from neurolysis.geometry import FloatArray
from neurolysis.nerve.along import Sampler, excess, scaled


@dataclass(frozen=True)
class Lesion:
    """The region where one criterion is reached."""

    exposure: Exposure
    criterion: LesionCriterion

    @cached_property
    def _above(self) -> FloatArray:
        """How far each cell lies beyond the threshold, (nx, ny, nz), on the interpolation scale."""
        values = scaled(self.criterion.field, self.exposure.field(self.criterion.field).array)
        return excess(self.criterion, values)

    @cached_property
    def mask(self) -> NDArray[np.bool_]:
        """Cells in the lesion, (nx, ny, nz)."""
        found: NDArray[np.bool_] = self._above >= 0
        return found

    @property
    def volume_mm3(self) -> float:
        """Volume of the lesion's cells."""
        return float(np.sum(self.exposure.cell_volume_mm3, where=self.mask, dtype=np.float64))

    @property
    def exists(self) -> bool:
        """Whether any cell reaches the criterion."""
        return bool(self.mask.any())

    @property
    def reaches_border(self) -> bool:
        """Whether the lesion runs out of the grid, so that its true edge lies further out."""
        inner = self.mask[1:-1, 1:-1, 1:-1]
        return int(self.mask.sum()) > int(inner.sum())

    @cached_property
    def centre_mm(self) -> FloatArray:
        """Centre of the lesion's volume, (3,) LPS; of the cell nearest to it if there is none."""
        weights = np.where(self.mask, self.exposure.cell_volume_mm3, 0.0)
        if not self.exists:
            weights = (self._above == self._above.max()).astype(float)
        totals = [weights.sum(axis=tuple(set(range(3)) - {k})) for k in range(3)]
        local = [np.average(axis, weights=w) for axis, w in zip(self.exposure.axes_mm, totals, strict=True)]
        return self.exposure.frame.apply(local)

    def contains(self, points_mm: ArrayLike) -> NDArray[np.bool_]:
        """Which LPS points (..., 3) lie in the lesion; never beyond the grid."""
        found = Sampler.at(self.exposure, points_mm).scaled(self.criterion.field)
        return np.asarray(excess(self.criterion, found) >= 0)

    @cached_property
    def edge_mm(self) -> FloatArray:
        """Points of the lesion's edge, (n, 3) LPS: threshold crossings between neighbouring cells.

        Where the lesion runs out of the grid, the cells at the grid's border count as its edge.
        """
        local = [self._crossings(axis) for axis in range(3)] + [self._border()]
        return self.exposure.frame.apply(np.concatenate(local))

    def _crossings(self, axis: int) -> FloatArray:
        above = np.moveaxis(self._above, axis, 0)
        first, second = above[:-1], above[1:]
        crossing = np.argwhere((first >= 0) != (second >= 0))
        low, high = first[tuple(crossing.T)], second[tuple(crossing.T)]
        share = low / (low - high)
        order = [axis, *[k for k in range(3) if k != axis]]
        points = np.empty((len(crossing), 3))
        for column, k in enumerate(order):
            points[:, k] = self.exposure.axes_mm[k][crossing[:, column]]
        steps = np.diff(self.exposure.axes_mm[axis])
        points[:, axis] += share * steps[crossing[:, 0]]
        return points

    def _border(self) -> FloatArray:
        rim = self.mask.copy()
        rim[1:-1, 1:-1, 1:-1] = False
        index = np.argwhere(rim)
        return np.stack([axis[index[:, k]] for k, axis in enumerate(self.exposure.axes_mm)], axis=-1)

    @cached_property
    def _tree(self) -> Any:
        from scipy.spatial import cKDTree

        return cKDTree(self.edge_mm)

    def distance_to_edge_mm(self, points_mm: ArrayLike) -> FloatArray:
        """Unsigned distance (...,) from LPS points (..., 3) to the lesion's edge; the lesion must exist."""
        distance: FloatArray = np.asarray(self._tree.query(points_mm)[0], dtype=np.float64)
        return distance


def largest_lesion(exposure: Exposure) -> Lesion | None:
    """The lesion of the criterion with the largest volume; None where no criterion is reached."""
    found = [Lesion(exposure, criterion) for criterion in exposure.criteria]
    existing = [lesion for lesion in found if lesion.exists]
    return max(existing, key=lambda lesion: lesion.volume_mm3, default=None)
