"""What lies around a needle: shares of tissue, depth in bone, uncertain tissue."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from neurolysis.geometry import FloatArray, Volume
from neurolysis.nerve.masks import Mask
from neurolysis.scene import TissueMap

BONE_PREFIX = "bone"
MARROW = "marrow_yellow"
BONE_MARGIN_MM = 15.0
"""How far around a needle bone is looked at; a greater depth in bone reads as this much."""


def bone_names(tissues: TissueMap) -> frozenset[str]:
    """The tissues of a map that are bone or lie within it."""
    return frozenset(n for n in tissues.names if n.startswith(BONE_PREFIX) or n == MARROW)


def share_of(tissues: TissueMap, points_mm: FloatArray, names: Collection[str]) -> float:
    """Share (0 to 1) of LPS points (n, 3) that lie in one of the tissues; beyond the image none does."""
    inside = tissues.volume.contains(points_mm)
    index = tissues.volume.sample(points_mm, order=0)
    wanted = [k for k, name in enumerate(tissues.names) if name in names]
    return float(np.mean(inside & np.isin(index, wanted)))


def bone_depth(tissues: TissueMap, points_mm: FloatArray) -> FloatArray | None:
    """Depth (n,) of LPS points (n, 3) in bone, mm; None where none lies in bone or on it.

    Depth is the distance to the nearest voxel that is not bone; a point outside bone has 0. "On bone"
    is within half a voxel's diagonal of it.
    """
    near = _crop(tissues.volume, points_mm, BONE_MARGIN_MM)
    if near is None:
        return None
    bone = np.isin(near.array, [k for k, n in enumerate(tissues.names) if n in bone_names(tissues)])
    if not bone.any():
        return None
    on_bone = float(np.linalg.norm(near.spacing_mm)) / 2
    inside = near.contains(points_mm)
    if Mask(near.with_array(bone)).distance_mm(points_mm[inside]).min(initial=np.inf) > on_bone:
        return None
    depth = np.zeros(len(points_mm))
    depth[inside] = BONE_MARGIN_MM
    if not bone.all():
        free = Mask(near.with_array(~bone)).distance_mm(points_mm[inside])
        depth[inside] = np.minimum(free, BONE_MARGIN_MM)
    return depth


def uncertain_share(tissues: TissueMap, points_mm: FloatArray, reach_mm: float) -> float:
    """Share of the voxels within ``reach_mm`` of LPS points (n, 3) whose tissue could not be told."""
    from scipy.spatial import cKDTree

    if tissues.uncertain is None:
        return 0.0
    near = _crop(tissues.uncertain, points_mm, reach_mm)
    if near is None:
        return 0.0
    centres = near.to_lps(np.argwhere(np.ones(near.shape, dtype=bool)))
    close = cKDTree(points_mm).query(centres)[0] <= reach_mm
    return float((near.array.ravel()[close] != 0).mean()) if close.any() else 0.0


def touches(first_mm: FloatArray, second_mm: FloatArray, reach_mm: float) -> bool:
    """Whether two sets of LPS points (n, 3) come within ``reach_mm`` of each other."""
    from scipy.spatial import cKDTree

    distance: NDArray[np.float64] = cKDTree(first_mm).query(second_mm)[0]
    return bool(distance.min() <= reach_mm)


def _crop(volume: Volume, points_mm: FloatArray, margin_mm: float) -> Volume | None:
    """The part of a volume within a margin of those points (n, 3) that lie in it; None if none does."""
    points = points_mm[volume.contains(points_mm)]
    if not len(points):
        return None
    index, margin = volume.to_index(points), np.ceil(margin_mm / volume.spacing_mm)
    low = np.clip(np.floor(index.min(axis=0) - margin), 0, None).astype(int)
    high = np.minimum(np.ceil(index.max(axis=0) + margin).astype(int) + 1, volume.shape)
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps(low)
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    return Volume(array=volume.array[box], affine=affine, name=volume.name)
