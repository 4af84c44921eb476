"""The skin of the back, where the image reaches it."""

from __future__ import annotations

import numpy as np

from neurolysis.evidence.tissues import hu_ranges
from neurolysis.geometry import Volume
from neurolysis.localization.schemes import BoolArray
from neurolysis.scene import AIR

SEEN_SHARE = 0.5
THICKNESS_MM = 2.0


def skin_mask(image: Volume) -> BoolArray | None:
    """The outermost 2 mm of the body towards the back, on the image grid; None when it is not seen.

    Needles enter from the back, so each line of voxels towards the back is followed to the last voxel of
    the body: the largest piece that is not air, so that table and cushion are left out. The skin counts as
    seen when on at least half of the lines that meet the body some air follows before the image ends.
    """
    solid = np.asarray(image.array >= _air_limit(), dtype=bool)
    axis, step = _dorsal_axis(image)
    dorsal_last = np.moveaxis(_largest_piece(solid), axis, -1)[..., ::step]
    depth = np.argmax(dorsal_last[..., ::-1], axis=-1)
    meets = dorsal_last.any(axis=-1)
    seen = meets & (depth > 0)
    if not meets.any() or float(seen.sum()) < SEEN_SHARE * float(meets.sum()):
        return None
    layers = max(1, round(THICKNESS_MM / float(image.spacing_mm[axis])))
    below = np.arange(dorsal_last.shape[-1])[::-1] - depth[..., None]
    skin = dorsal_last & (below >= 0) & (below < layers) & seen[..., None]
    return np.ascontiguousarray(np.moveaxis(skin[..., ::step], -1, axis))


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


def _dorsal_axis(image: Volume) -> tuple[int, int]:
    """The index axis nearest to the back-front line, and 1 if it runs to the back, -1 if to the front."""
    axis = int(np.argmax(np.abs(image.affine[1, :3])))
    return axis, 1 if image.affine[1, axis] > 0 else -1
