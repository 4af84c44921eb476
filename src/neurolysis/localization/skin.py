"""The body's surface, where the image reaches it."""

from __future__ import annotations

import numpy as np

from neurolysis.evidence.tissues import hu_ranges
from neurolysis.geometry import Volume
from neurolysis.localization.schemes import BoolArray
from neurolysis.scene import AIR

BACK_SHARE = 0.5
"""Part of the image's dorsal face that must be air before it counts as the room behind the patient."""


def skin_mask(image: Volume) -> BoolArray | None:
    """Voxels of the body's outermost layer that face the air behind the patient; None when none is seen.

    Needles enter from the back: the room's air is the air that reaches the image's dorsal face over at
    least half of it. Lungs and bowel cut by another face of the image are not taken for the room. What
    floats in that air (table, cushion) is left out as the smaller piece.
    """
    from scipy.ndimage import binary_dilation, binary_opening, label

    air = np.asarray(image.array < _air_limit(), dtype=bool)
    if float(np.mean(_dorsal_face(air, image))) < BACK_SHARE:
        return None
    pieces, _ = label(air)
    touching = np.unique(_dorsal_face(pieces, image))
    room = np.isin(pieces, touching[touching > 0])
    solid, count = label(binary_opening(~room, iterations=2))
    if count == 0:
        return None
    body = solid == 1 + int(np.argmax(np.bincount(solid.ravel())[1:]))
    skin: BoolArray = body & binary_dilation(room, iterations=2) & ~room
    return skin if skin.any() else None


def _air_limit() -> float:
    """CT number below which a voxel is air, HU."""
    high = next(one.high_hu for one in hu_ranges() if one.tissue == AIR)
    return -np.inf if high is None else high


def _dorsal_face(array: BoolArray, image: Volume) -> BoolArray:
    """The outermost layer of voxels towards the patient's back."""
    axis = int(np.argmax(np.abs(image.affine[1, :3])))
    last = -1 if image.affine[1, axis] > 0 else 0
    face: BoolArray = np.take(array, last, axis=axis)
    return face
