"""Which tissue each voxel is: labels first, CT numbers where no label says better.

On a contrast scan (or one of which that is unknown) brightness alone never makes bone: unlabelled
bright voxels keep the constants of soft tissue and are marked uncertain.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from neurolysis.case import ImageSource
from neurolysis.errors import ImageError
from neurolysis.evidence.tissues import HuRange, hu_ranges, hu_warning
from neurolysis.geometry import Volume
from neurolysis.localization.schemes import BoolArray, LabelMap, Labels
from neurolysis.scene import AIR, TissueMap

SOFT = "muscle"
"""The tissue of unlabelled soft tissue, and of what lies beyond the image."""
BASE = (AIR, "fat", SOFT, "bone_cancellous", "bone_cortical")
HALF_GAS_HU = -500.0
"""Half way between gas (-1000) and water (0), both by definition of the scale."""
BONES = ("bone_cancellous", "bone_cortical")

IndexArray = NDArray[np.uint8]


def map_tissues(image: Volume, labels: Labels, source: ImageSource) -> TissueMap:
    """The tissue map of an image, on its grid.

    Args:
        image: CT numbers (HU), or MR intensities, from which nothing is told.
        labels: label maps on the same grid; may be empty. Where two maps speak, the first wins.
        source: says the modality and whether the scan has contrast (``None``: taken as contrast).

    Raises:
        ImageError: the image holds a value that is not a number.
    """
    if not np.all(np.isfinite(image.array)):
        raise ImageError("the image holds values that are not finite numbers", where=image.name)
    names = _names(labels)
    labelled = np.zeros(image.shape, dtype=bool)
    by_hu = _index_by_hu(image, source)
    index = by_hu.copy()
    for label_map in labels.maps:
        new = _write_labels(index, by_hu, labelled, label_map, names)
        labelled |= new
    uncertain = _demote_bright(index, labelled, source)
    return TissueMap(
        volume=image.with_array(index, "tissues"),
        names=names,
        uncertain=image.with_array(uncertain.astype(np.uint8), "uncertain tissue")
        if uncertain.any()
        else None,
        outside=SOFT,
        notes=_notes(labels, uncertain, source),
    )


def tissue_fractions(
    tissues: TissueMap, point_mm: tuple[float, float, float], radius_mm: float
) -> dict[str, float]:
    """Share of each tissue among the voxels within ``radius_mm`` of an LPS point."""
    grid = np.moveaxis(np.indices(tissues.volume.shape), 0, -1)
    near = np.linalg.norm(tissues.volume.to_lps(grid) - np.array(point_mm), axis=-1) <= radius_mm
    counts = np.bincount(tissues.volume.array[near], minlength=len(tissues.names))
    total = max(int(counts.sum()), 1)
    return {name: int(count) / total for name, count in zip(tissues.names, counts, strict=True) if count}


def _names(labels: Labels) -> tuple[str, ...]:
    used = {r.tissue for m in labels.maps for r in m.scheme.labels.values()} - {"bone", "soft"}
    return BASE + tuple(sorted(used - set(BASE)))


def _index_by_hu(image: Volume, source: ImageSource) -> IndexArray:
    """Tissue index by CT number alone; an MR image says nothing, so all of it is soft tissue."""
    if source.modality != "CT":
        return np.full(image.shape, BASE.index(SOFT), dtype=np.uint8)
    ranges = sorted(hu_ranges(), key=_low)
    edges = [_low(one) for one in ranges[1:]]
    table = np.array([BASE.index(one.tissue) for one in ranges], dtype=np.uint8)
    index: IndexArray = table[np.digitize(image.array, edges)]
    index[_noise_in_fat(image, index == BASE.index(AIR))] = BASE.index("fat")
    return index


def _noise_in_fat(image: Volume, air: BoolArray) -> BoolArray:
    """Voxels called air in pockets without any voxel that is more than half gas: noise in fat."""
    from scipy.ndimage import label

    pockets, _ = label(air)
    with_gas = np.unique(pockets[air & (image.array < HALF_GAS_HU)])
    return air & ~np.isin(pockets, with_gas)


def _low(one: HuRange) -> float:
    return -np.inf if one.low_hu is None else one.low_hu


def _write_labels(
    index: IndexArray, by_hu: IndexArray, labelled: BoolArray, m: LabelMap, names: tuple[str, ...]
) -> BoolArray:
    """Write the tissues of one map where none spoke before; returns where it spoke."""
    highest = max(m.scheme.labels, default=0)
    lookup = np.full(highest + 1, -1, dtype=np.int16)
    kinds = {"bone": -2, "soft": -3}
    for number, record in m.scheme.labels.items():
        lookup[number] = kinds[record.tissue] if record.tissue in kinds else names.index(record.tissue)
    code = np.where(labelled, -1, lookup[np.clip(m.volume.array.astype(np.int64), 0, highest)])
    cortical, soft = BASE.index("bone_cortical"), BASE.index(SOFT)
    bone = np.where(by_hu == cortical, cortical, BASE.index("bone_cancellous"))
    index[code == -2] = bone[code == -2]
    index[code == -3] = np.minimum(by_hu, soft)[code == -3]
    index[code >= 0] = code[code >= 0]
    new: BoolArray = code != -1
    return new


def _demote_bright(index: IndexArray, labelled: BoolArray, source: ImageSource) -> BoolArray:
    """Unlabelled voxels whose tissue cannot be told, their bone turned into soft tissue in place."""
    if source.modality != "CT":
        return ~labelled
    if source.contrast is False:
        return np.zeros_like(labelled)
    bright: BoolArray = ~labelled & np.isin(index, [BASE.index(bone) for bone in BONES])
    index[bright] = BASE.index(SOFT)
    return bright


def _notes(labels: Labels, uncertain: BoolArray, source: ImageSource) -> tuple[str, ...]:
    notes = []
    if source.modality != "CT":
        notes.append(
            "MR intensities do not tell tissues: what no label names is taken as soft tissue, uncertain."
        )
    elif not labels.maps:
        notes.append(f"Tissues are told by CT numbers alone. {hu_warning()}")
    else:
        notes.append("Tissues: labels first, CT numbers elsewhere (thresholds are assumptions).")
    if source.modality == "CT" and uncertain.any():
        why = "is a contrast scan" if source.contrast else "is not said to be free of contrast"
        notes.append(
            f"{int(uncertain.sum())} unlabelled bright voxels could be bone or an enhanced vessel, "
            f"as the image {why}: taken as soft tissue, uncertain."
        )
    return tuple(notes)
