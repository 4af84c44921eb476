"""Landmarks: named places found in the labels."""

from __future__ import annotations

import numpy as np
from pydantic import BaseModel, ConfigDict

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.schemes import BoolArray, Labels
from neurolysis.localization.vertebra import (
    BodySide,
    Vertebra,
    bone_distance,
    crop,
    find_vertebra,
    outward,
    points_of,
)
from neurolysis.scene import Landmark

CLUSTER = 10
"""Contact voxels that make the landmark, as in the survey that measured the sample."""
NEAR_MM = 60.0
MIDLINE = ("corpus", "spinous_process", "arcus")


class Junction(BaseModel):
    """The junction of superior articular and transverse process, with what was needed to find it.

    ``contacts_mm`` (n, 3) are the voxels of either process that touch the other at the bone's surface;
    ``distance`` is the signed distance to labelled bone around the vertebra.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    vertebra: Vertebra
    side: BodySide
    landmark: Landmark
    gap_mm: float
    contacts_mm: FloatArray
    distance: Volume

    def lateral(self) -> FloatArray:
        """Unit vector (3,) away from the midline on this side, LPS."""
        return self.vertebra.axis("left") * (1.0 if self.side == "left" else -1.0)


def find_junction(labels: Labels, level: str, side: BodySide, grid: Volume) -> Junction:
    """Where the superior articular process meets the transverse process, on the surface of the bone.

    The voxels of the two processes that touch form the contact; of those on the bone's surface the ten
    that lie furthest dorsal and cranial are the groove the medial branch crosses. Their mean, moved out
    to the surface, is the landmark; ``spread_mm`` is their root mean square distance from it.

    Raises:
        InputError: a process is not in the labels, the two do not touch, or the landmark lies on the
            wrong side of the vertebra's midline.
    """
    vertebra = find_vertebra(labels, level, grid)
    process, articular = _processes(labels, level, side, grid)
    small, inside = crop(
        grid, labels.bone(grid), 0.5 * (process.mean(axis=0) + articular.mean(axis=0)), NEAR_MM
    )
    distance = bone_distance(inside, small)
    contacts, gap = _contacts(process, articular, grid)
    rim = contacts[_at_surface(contacts, distance, grid)]
    if len(rim) < 3:
        raise InputError("the two processes do not meet at the surface", where=f"labels: {level} {side}")
    groove = _dorsal_cranial(rim, vertebra)
    point = to_surface(distance, groove.mean(axis=0))
    check_side(vertebra, point, side, labels, grid)
    return Junction(
        vertebra=vertebra,
        side=side,
        landmark=_landmark(level, side, point, groove, gap),
        gap_mm=gap,
        contacts_mm=rim,
        distance=distance,
    )


def to_surface(distance: Volume, point_mm: FloatArray, offset_mm: float = 0.0) -> FloatArray:
    """The point (3,) moved along the way out of (or in to) bone until ``offset_mm`` from its surface."""
    point = np.array(point_mm, dtype=float)
    for _ in range(20):
        short = offset_mm - float(distance.sample(point, outside=offset_mm))
        if abs(short) < 0.02:
            break
        point = point + np.clip(short, -1.0, 1.0) * outward(distance, point[None])[0]
    return point


def _processes(labels: Labels, level: str, side: BodySide, grid: Volume) -> tuple[FloatArray, FloatArray]:
    process = points_of(labels, "transverse_process", side, level, grid)
    articular = points_of(labels, "superior_articular_process", side, level, grid)
    if len(process) < CLUSTER or len(articular) < CLUSTER:
        raise InputError(
            "the junction needs both processes in the labels",
            where=f"labels: {level} {side}",
            found=f"transverse {len(process)} voxels, superior articular {len(articular)} voxels",
            allowed=f"at least {CLUSTER} voxels each",
        )
    return process, articular


def _contacts(process: FloatArray, articular: FloatArray, grid: Volume) -> tuple[FloatArray, float]:
    """Voxels (n, 3) mm of either process that touch the other, and the smallest gap between centres, mm."""
    from scipy.spatial import cKDTree

    to_articular = cKDTree(articular).query(process)[0]
    to_process = cKDTree(process).query(articular)[0]
    gap = float(to_articular.min())
    if gap > 3 * float(grid.spacing_mm.max()):
        raise InputError("the two processes do not touch", where="labels", found=f"gap {gap:.1f} mm")
    reach = gap + 0.5 * float(grid.spacing_mm.min())
    return np.concatenate([process[to_articular <= reach], articular[to_process <= reach]]), gap


def _at_surface(contacts: FloatArray, distance: Volume, grid: Volume) -> BoolArray:
    """Which contacts (n,) lie within a voxel of the bone's outer surface."""
    result: BoolArray = distance.sample(contacts) > -float(grid.spacing_mm.mean())
    return result


def _dorsal_cranial(rim: FloatArray, vertebra: Vertebra) -> FloatArray:
    """The ten contacts that lie furthest dorsal and cranial, and any level with the tenth, (m, 3)."""
    score = rim @ (vertebra.axis("posterior") + vertebra.axis("cranial"))
    tenth = np.sort(score)[-min(CLUSTER, len(score))]
    result: FloatArray = rim[score >= tenth - 1e-6]
    return result


def check_side(vertebra: Vertebra, point: FloatArray, side: BodySide, labels: Labels, grid: Volume) -> None:
    """Refuse a point (3,) on the other side of the midline of body, arch and spinous process.

    Raises:
        InputError: saying where the point lies; also when the labels' own left and right are mixed up.
    """
    parts = [points_of(labels, part, None, vertebra.level, grid) for part in MIDLINE]
    local = [float(vertebra.to_local(one)[:, 0].mean()) for one in parts if len(one)]
    lateral = float(vertebra.to_local(point)[0]) - float(np.mean(local))
    patient_left = float(point[0]) - float(np.mean([one[:, 0].mean() for one in parts if len(one)]))
    if (lateral > 0) != (side == "left") or (patient_left > 0) != (side == "left"):
        raise InputError(
            "the place lies on the other side of the midline than it should",
            where=f"{vertebra.level} {side}",
            found=f"{patient_left:+.1f} mm to the patient's left of the vertebra's midline",
            allowed=f"{side}; are left and right mixed up in the image or its labels?",
        )


def _landmark(level: str, side: BodySide, point: FloatArray, groove: FloatArray, gap: float) -> Landmark:
    spread = float(np.sqrt(np.mean(np.sum((groove - groove.mean(axis=0)) ** 2, axis=1))))
    return Landmark(
        name=f"junction of superior articular and transverse process, {level} {side}",
        point_mm=tuple(float(c) for c in point),
        spread_mm=spread,
        derivation=(
            f"mean of the {len(groove)} most dorsal and cranial surface voxels where the two labels touch "
            f"(gap {gap:.1f} mm), moved to the bone's surface; no expert has marked it"
        ),
    )
