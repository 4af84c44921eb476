"""The skin, on every side where the image reaches it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from neurolysis.evidence.tissues import hu_ranges
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.schemes import BoolArray
from neurolysis.scene import AIR

SEEN_SHARE = 0.5
THICKNESS_MM = 2.0
OUTSIDE_HU = -900.0
"""assumption: what lies beyond the body is air when half of it is below this. Air is -1000 HU by the
definition of the scale; a lung cut by the edge of the image holds tissue and blood, and lies above."""

TOWARDS = (("left", "right"), ("back", "front"), ("head", "feet"))
"""Names of the two directions of each patient axis, along it and against it."""


@dataclass(frozen=True)
class Skin:
    """The outermost 2 mm of the body on the image grid, the sides it was seen on, and the whole body."""

    mask: BoolArray
    sides: tuple[str, ...]
    body: BoolArray


def find_skin(image: Volume) -> Skin | None:
    """The skin on every side the image reaches; None when it reaches it on none.

    Lines of voxels along the six directions of the grid are followed to the last voxel of the body: the
    largest piece that is not air, so that table and cushion are left out. A side is seen when at least half
    of its lines that meet the body end outside it, and what lies there is mostly air.
    """
    body = body_mask(image)
    found = np.zeros_like(body)
    sides = []
    for axis, step, name in _directions(image):
        skin = _skin_towards(image, body, axis, step)
        if skin is not None:
            found |= skin
            sides.append(name)
    return Skin(found, tuple(sides), body) if sides else None


def _skin_towards(image: Volume, body: BoolArray, axis: int, step: int) -> BoolArray | None:
    """The skin on one side, or None when the image ends before it."""
    outwards = np.moveaxis(body, axis, -1)[..., ::step]
    beyond = np.argmax(outwards[..., ::-1], axis=-1)
    meets = outwards.any(axis=-1)
    seen = meets & (beyond > 0)
    if not meets.any() or float(seen.sum()) < SEEN_SHARE * float(meets.sum()):
        return None
    below = np.arange(outwards.shape[-1])[::-1] - beyond[..., None]
    values = np.moveaxis(image.array, axis, -1)[..., ::step]
    if np.median(values[(below < 0) & seen[..., None]]) > OUTSIDE_HU:
        return None
    layers = max(1, round(THICKNESS_MM / float(image.spacing_mm[axis])))
    skin = outwards & (below >= 0) & (below < layers) & seen[..., None]
    return np.ascontiguousarray(np.moveaxis(skin[..., ::step], -1, axis))


def _directions(image: Volume) -> Iterator[tuple[int, int, str]]:
    """Index axis, 1 along it or -1 against it, and the nearest of the patient's six directions."""
    for axis in range(3):
        column = image.affine[:3, axis]
        patient = int(np.argmax(np.abs(column)))
        for step in (1, -1):
            yield axis, step, TOWARDS[patient][0 if column[patient] * step > 0 else 1]


def cut_mm(image: Volume, body: BoolArray, point_mm: FloatArray) -> float | None:
    """Distance from a point to the nearest place where the body runs out of the image's sides, mm.

    The ends towards head and feet do not count: there the body goes on. None where no side cuts the body.

    Args:
        body: on the image grid.
        point_mm: (3,) LPS.
    """
    nearest: float | None = None
    for axis, step, name in _directions(image):
        if name in TOWARDS[2]:
            continue
        last = image.shape[axis] - 1 if step > 0 else 0
        cut = np.insert(np.argwhere(np.take(body, last, axis=axis)), axis, last, axis=1)
        if len(cut):
            gap = float(np.linalg.norm(image.to_lps(cut) - point_mm, axis=1).min())
            nearest = gap if nearest is None else min(nearest, gap)
    return nearest


def body_mask(image: Volume) -> BoolArray:
    """Voxels of the body: the largest piece that is not air. Lungs and gas inside are not part of it."""
    return _largest_piece(np.asarray(image.array >= _air_limit(), dtype=bool))


def air_mask(image: Volume) -> BoolArray:
    """Voxels whose CT number is that of air."""
    return np.asarray(image.array < _air_limit(), dtype=bool)


def _largest_piece(solid: BoolArray) -> BoolArray:
    """The largest connected piece; bridges of one or two voxels (a cushion that touches) are cut."""
    from scipy.ndimage import binary_dilation, binary_erosion, label

    core = binary_erosion(solid, iterations=2, border_value=1)
    pieces, count = label(binary_dilation(core, iterations=2))
    if count == 0:
        return np.zeros_like(solid)
    largest: BoolArray = pieces == 1 + int(np.argmax(np.bincount(pieces.ravel())[1:]))
    return largest


def _air_limit() -> float:
    """CT number below which a voxel is air, HU."""
    high = next(one.high_hu for one in hu_ranges() if one.tissue == AIR)
    return -np.inf if high is None else high
