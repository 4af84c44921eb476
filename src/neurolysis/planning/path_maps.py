"""Distance maps of everything a needle must keep clear of, on one small grid around the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.skin import air_mask, body_mask
from neurolysis.nerve.masks import Mask
from neurolysis.planning.surroundings import bone_names
from neurolysis.scene import Structure, TissueMap

FAR_MM = 1e3
"""Stands for "nothing near" in the maps."""
LEAST_MM = 0.01
"""The maps hold zero inside an obstacle and nowhere else."""
SEEN_MM = 5.0
"""How much of the image must follow beyond the body for its edge to be the skin."""
CROSSED = frozenset({"skin"})
"""Kinds of structure every needle has to pass."""

Single = NDArray[np.float32]


@dataclass(frozen=True)
class Obstacle:
    """A structure to keep clear of.

    Attributes:
        margin_mm: least distance from the needle's surface to it.
        sd_mm: spread of its own place, one standard deviation.
        review: whether somebody has looked at it.
    """

    name: str
    kind: str
    mask: Volume
    margin_mm: float
    sd_mm: float
    review: str


def obstacles_of(
    structures: Sequence[Structure], margins: Mapping[str, float] | None = None
) -> tuple[Obstacle, ...]:
    """Structures with a known place as obstacles; the skin is crossed and is none.

    The margin is the spread of the structure's own place, or what ``margins`` says for its kind if that
    is more.
    """
    given = margins or {}
    return tuple(
        Obstacle(
            name=one.name,
            kind=one.kind,
            mask=one.mask,
            margin_mm=max(one.position_sd_mm, given.get(one.kind, 0.0)),
            sd_mm=one.position_sd_mm,
            review=one.review,
        )
        for one in structures
        if one.mask is not None and one.kind not in CROSSED
    )


@dataclass(frozen=True)
class PathMaps:
    """The part of the image that paths may touch, ready to be looked up by voxel.

    Attributes:
        box: an empty volume that says where the part lies.
        gaps: (K, n) distance in mm from each voxel of the part (flat) to each obstacle, 0 inside it.
        bone: (n,) whether a voxel is bone.
        body: (n,) whether a voxel is body; ``air`` (n,) whether it is air.
        image: the whole image, whose edges are where nothing is known beyond.
    """

    obstacles: tuple[Obstacle, ...]
    box: Volume
    gaps: Single
    bone: NDArray[np.bool_]
    body: NDArray[np.bool_]
    air: NDArray[np.bool_]
    image: Volume

    @property
    def coarse_mm(self) -> float:
        """How far a looked-up distance may be off: half a voxel's diagonal at either end."""
        return float(np.linalg.norm(self.box.spacing_mm))

    def flat_index(self, points_mm: FloatArray) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Flat voxel of LPS points (..., 3) and whether they lie in the part, both (...,)."""
        turn = self.box.inverse_affine.astype(np.float32)
        index = np.rint(points_mm.astype(np.float32) @ turn[:3, :3].T + turn[:3, 3]).astype(np.int32)
        return self.flat_of(index)

    def flat_of(self, index: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Flat voxel of voxel indices (..., 3) and whether they lie in the part, both (...,)."""
        ni, nj, nk = self.box.shape
        i, j, k = index[..., 0], index[..., 1], index[..., 2]
        inside = (i >= 0) & (i < ni) & (j >= 0) & (j < nj) & (k >= 0) & (k < nk)
        flat = (i * nj + j) * nk + k
        return np.where(inside, flat, 0).astype(np.int32), inside


def make_maps(
    image: Volume,
    tissues: TissueMap,
    obstacles: Sequence[Obstacle],
    centre_mm: FloatArray,
    reach_mm: float,
) -> PathMaps:
    """Maps of the part of an image within ``reach_mm`` of a point (3,).

    Distances are Euclidean between voxel centres, less half a mean voxel, so to the faces on average;
    an obstacle that reaches beyond the part is cut at its edge.
    """
    box = _box(image, centre_mm, reach_mm)
    bone = np.isin(tissues.volume.array[box], [tissues.names.index(n) for n in bone_names(tissues)])
    affine = image.affine.copy()
    affine[:3, 3] = image.to_lps([one.start for one in box])
    part = Volume(array=bone.astype(np.uint8), affine=affine, name="around the target")
    gaps = [_gap(np.asarray(one.mask.array[box] != 0), part.spacing_mm) for one in obstacles]
    stacked = np.stack(gaps) if gaps else np.zeros((0, bone.size), np.float32)
    body, air = body_mask(image)[box].ravel(), air_mask(image)[box].ravel()
    return PathMaps(tuple(obstacles), part, stacked, bone.ravel(), body, air, image)


def skin_seen(
    body: NDArray[np.bool_], air: NDArray[np.bool_], inside: NDArray[np.bool_], step_mm: float
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Last point in the body of each line, and whether the skin is seen there.

    It is seen where at least 5 mm of the image follow and half of that is air: a speck of noise, or the
    image's edge within the body, is no skin.

    Args:
        body, air, inside: (n, m) at points every ``step_mm`` along n lines, from within outwards.
    """
    rows, count = np.arange(len(body)), max(1, round(SEEN_MM / step_mm))
    last = body.shape[1] - 1 - np.argmax(body[:, ::-1], axis=1)
    end = np.minimum(last + count, body.shape[1] - 1)
    totals = np.cumsum(air & inside, axis=1)
    air_after = totals[rows, end] - totals[rows, last]
    seen = body.any(axis=1) & (last + count < body.shape[1]) & inside[rows, end]
    return last, seen & (air_after >= 0.5 * count)


def _box(image: Volume, centre_mm: FloatArray, reach_mm: float) -> tuple[slice, slice, slice]:
    index, reach = image.to_index(centre_mm), np.ceil(reach_mm / image.spacing_mm)
    low = np.clip(np.floor(index - reach), 0, np.array(image.shape) - 1).astype(int)
    high = np.clip(np.ceil(index + reach) + 1, low + 1, image.shape).astype(int)
    first, second, third = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return first, second, third


def _gap(mask: NDArray[np.bool_], spacing_mm: FloatArray) -> Single:
    """Distance (n,) from each voxel to a mask, mm."""
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return np.full(mask.size, FAR_MM, np.float32)
    distance = distance_transform_edt(~mask, sampling=spacing_mm)
    half = 0.5 * float(spacing_mm.mean())
    return np.where(mask, 0.0, np.maximum(distance - half, LEAST_MM)).astype(np.float32).ravel()


def exact_gaps(obstacle: Obstacle, points_mm: FloatArray, near_mm: float) -> FloatArray:
    """Exact distance (n,) from LPS points (n, 3) to an obstacle's voxel faces, mm.

    Only voxels within ``near_mm`` of the points' box are looked at; further off reads as ``near_mm``.
    """
    volume = obstacle.mask
    index, reach = volume.to_index(points_mm), np.ceil(near_mm / volume.spacing_mm)
    low = np.clip(np.floor(index.min(axis=0) - reach), 0, np.array(volume.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0) + reach) + 1, low + 1, volume.shape).astype(int)
    array = volume.array[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    if not array.any():
        return np.full(len(points_mm), near_mm)
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps(low)
    part = Volume(array=array, affine=affine, name=volume.name)
    return np.minimum(Mask(part).distance_mm(points_mm), near_mm)
