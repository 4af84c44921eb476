"""A vertebra of boxes, turned any way, with every place known exactly: the yardstick for derived anatomy.

Local axes: x to the patient's left, y to posterior, z cranial; the body is centred at the origin.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from neurolysis.case import LabelSource
from neurolysis.geometry import RigidTransform, Volume
from neurolysis.localization.schemes import Labels, read_label_map

CANAL = (-10.0, 10.0), (15.0, 30.0)
"""The canal's walls in x and y, mm: a square tube along z."""
PEDICLE_LOW_MM = 0.0
JUNCTION = np.array([18.0, 34.0, 8.0])
"""Left: the corner where the lateral face of the superior articular process, the dorsal face and the
top of the transverse process meet."""
PARTS: tuple[tuple[int, tuple[float, float], tuple[float, float], tuple[float, float]], ...] = (
    (50, (-20, 20), (-15, 15), (-13, 13)),
    (41, (10, 18), (15, 30), (0, 10)),
    (41, (-18, -10), (15, 30), (0, 10)),
    (41, (-18, 18), (30, 36), (-12, 10)),
    (42, (-3, 3), (36, 58), (-14, 4)),
    (47, (8, 16), (30, 38), (-26, -12)),
    (48, (-16, -8), (30, 38), (-26, -12)),
    (43, (18, 42), (26, 34), (0, 8)),
    (44, (-42, -18), (26, 34), (0, 8)),
    (45, (10, 18), (26, 38), (2, 24)),
    (46, (-18, -10), (26, 38), (2, 24)),
)
"""Label, and the box in x, y and z, mm; later boxes lie over earlier ones."""
TILTED = RigidTransform.from_arrays(
    [[0.9848077530, -0.1736481777, 0.0], [0.1631759112, 0.9254165784, -0.3420201433],
     [0.0593911746, 0.3368240888, 0.9396926208]],
    [30.0, 180.0, -60.0],
)  # fmt: skip
"""10 degrees about z, then 20 about x: a patient who lies askew."""
STRAIGHT = RigidTransform(translation_mm=(30.0, 180.0, -60.0))
SWAPPED = {43: 44, 44: 43, 45: 46, 46: 45, 47: 48, 48: 47}
"""Left and right of every paired part exchanged."""


def grid(pose: RigidTransform, spacing_mm: float = 1.0) -> Volume:
    """An empty image around the phantom, axes as in a PIR file (posterior, inferior, right)."""
    centre = pose.apply([0.0, 18.0, 0.0])
    half = np.array([50.0, 48.0, 58.0])
    count = np.ceil(2 * half / spacing_mm).astype(int)
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2] = spacing_mm, -spacing_mm, -spacing_mm
    affine[:3, 3] = centre + np.array([half[2], -half[0], half[1]])
    affine[3, 3] = 1.0
    return Volume(array=np.zeros(tuple(count), dtype=np.int16), affine=affine, name="phantom")


def local_points(image: Volume, pose: RigidTransform) -> np.ndarray:
    """Voxel centres in the phantom's own axes, (ni, nj, nk, 3) mm."""
    return pose.inverse().apply(image.to_lps(np.moveaxis(np.indices(image.shape), 0, -1)))


def subregions(image: Volume, pose: RigidTransform) -> np.ndarray:
    """The part labels of the phantom, numbered as in scheme ``tptbox_subregion``."""
    local = local_points(image, pose)
    result = np.zeros(image.shape, dtype=np.uint8)
    for number, *box in PARTS:
        inside = np.ones(image.shape, dtype=bool)
        for axis, (low, high) in enumerate(box):
            inside &= (local[..., axis] >= low) & (local[..., axis] < high)
        result[inside] = number
    return result


def label_maps(image: Volume, parts: np.ndarray, *, level: int = 22) -> Labels:
    """Both label maps of the phantom: parts, and one vertebra (22 is L3)."""
    vertebra = np.where(parts > 0, level, 0).astype(np.uint8)
    return Labels(
        maps=(
            read_label_map(
                LabelSource(path="parts.nii.gz", scheme="tptbox_subregion"), image.with_array(parts, "parts")
            ),
            read_label_map(
                LabelSource(path="vertebra.nii.gz", scheme="tptbox_vertebra"), image.with_array(vertebra, "v")
            ),
        )
    )


@cache
def phantom(pose: RigidTransform = TILTED, spacing_mm: float = 1.5) -> tuple[Volume, Labels]:
    """The image grid and the label maps of the phantom in a pose."""
    image = grid(pose, spacing_mm)
    return image, label_maps(image, subregions(image, pose))


def swapped_sides(labels: Labels) -> Labels:
    """The same label maps with left and right of every paired part exchanged."""
    maps = []
    for one in labels.maps:
        array = one.volume.array.copy()
        if one.scheme.id == "tptbox_subregion":
            for old, new in SWAPPED.items():
                array[one.volume.array == old] = new
        maps.append(read_label_map(one.source, one.volume.with_array(array)))
    return Labels(maps=tuple(maps))


def flipped(volume: Volume, axis: int) -> Volume:
    """The same image stored the other way round along one index axis: every voxel keeps its place."""
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, axis] * (volume.shape[axis] - 1)
    affine[:3, axis] *= -1
    return Volume(array=np.flip(volume.array, axis).copy(), affine=affine, name=volume.name)


def flipped_labels(labels: Labels, axis: int) -> Labels:
    """Every label map stored the other way round along one index axis."""
    return Labels(maps=tuple(read_label_map(m.source, flipped(m.volume, axis)) for m in labels.maps))
