"""A structure's mask as a set of boxes: exact distances, and points that miss no corner of a voxel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolysis.geometry import FloatArray, Volume

SUB_STEP_MM = 0.5
"""Largest distance between neighbouring sample points inside a voxel."""
NEAREST_BOXES = 16


@dataclass(frozen=True)
class Mask:
    """The voxels of a volume that are not zero, as boxes in LPS mm."""

    volume: Volume

    @cached_property
    def _inside(self) -> NDArray[np.bool_]:
        found: NDArray[np.bool_] = self.volume.array != 0
        return found

    @cached_property
    def voxels(self) -> NDArray[np.int64]:
        """Indices of the masked voxels, (n, 3)."""
        return np.argwhere(self._inside)

    @cached_property
    def surface(self) -> NDArray[np.int64]:
        """Indices of masked voxels with a face, edge or corner neighbour that is not masked, (n, 3)."""
        from scipy.ndimage import binary_erosion

        core = binary_erosion(self._inside, np.ones((3, 3, 3)), border_value=0)
        return np.argwhere(self._inside & ~core)

    def centres(self, voxels: NDArray[np.int64] | None = None) -> FloatArray:
        """Voxel centres, (n, 3) LPS mm."""
        return self.volume.to_lps(self.voxels if voxels is None else voxels)

    def contains(self, points_mm: ArrayLike) -> NDArray[np.bool_]:
        """Which LPS points (..., 3) lie in a masked voxel, (...,)."""
        return np.asarray(self._ones.sample(points_mm, order=0) != 0)

    @cached_property
    def _ones(self) -> Volume:
        return self.volume.with_array(self._inside.astype(np.uint8))

    def sub_points(self, voxels: NDArray[np.int64], step_mm: float = SUB_STEP_MM) -> FloatArray:
        """Points spread through voxels (n, 3), faces and corners included: (n * k, 3) LPS mm."""
        counts = [max(3, int(np.ceil(size / step_mm)) + 1) for size in self.volume.spacing_mm]
        offsets = np.stack(
            np.meshgrid(*[np.linspace(-0.5, 0.5, n) for n in counts], indexing="ij"), axis=-1
        ).reshape(-1, 3)
        return self.volume.to_lps((voxels[:, None, :] + offsets[None, :, :]).reshape(-1, 3))

    @cached_property
    def _boxes(self) -> tuple[Any, FloatArray, FloatArray]:
        """Search tree of near-cubic boxes covering the surface voxels, their centres and half sizes (3,)."""
        from scipy.spatial import cKDTree

        spacing = self.volume.spacing_mm
        cuts = np.maximum(1, np.round(spacing / spacing.min())).astype(int)
        parts = [(np.arange(n) + 0.5) / n - 0.5 for n in cuts]
        offsets = np.stack(np.meshgrid(*parts, indexing="ij"), axis=-1).reshape(-1, 3)
        index = (self.surface[:, None, :] + offsets[None, :, :]).reshape(-1, 3)
        centres = self.volume.to_lps(index)
        return cKDTree(centres), centres, spacing / cuts / 2

    def distance_mm(self, points_mm: ArrayLike) -> FloatArray:
        """Distance (n,) from LPS points (n, 3) to the mask, 0 inside it.

        Exact to the faces of the voxels, not to their centres: the nearest boxes by centre are searched
        for the nearest by face.
        """
        points = np.asarray(points_mm, dtype=np.float64)
        tree, centres, half = self._boxes
        count = min(NEAREST_BOXES, len(centres))
        nearest = np.asarray(tree.query(points, k=count)[1]).reshape(len(points), count)
        axes = self.volume.affine[:3, :3] / self.volume.spacing_mm
        gap = np.abs((points[:, None, :] - centres[nearest]) @ axes) - half
        distance: FloatArray = np.linalg.norm(np.maximum(gap, 0.0), axis=-1).min(axis=-1)
        return np.where(self.contains(points), 0.0, distance)
