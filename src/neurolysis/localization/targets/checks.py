"""Side and level of a place held against the image: a left target on the right is an error.

What tells the sides apart, in this order: the same landmark picked on both sides, the spine in the
labels, the middle of the body in the image. What tells levels apart: the labelled vertebrae.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import Field

from neurolysis.case import GivenLandmark
from neurolysis.errors import InputError
from neurolysis.evidence.tissues import hu_ranges
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.schemes import Labels
from neurolysis.localization.vertebra import BodySide
from neurolysis.quantity import Value
from neurolysis.scene import AIR

SLAB_MM = 20.0
MIDLINE_PARTS = ("spinal_cord", "spinal_canal", "corpus", "spinous_process", "vertebra", "sacrum")


class Midline(Value):
    """Where the body's middle lies at a height: x in LPS mm, and what told it."""

    x_mm: float
    told_by: str = Field(min_length=1)


def find_midline(point_mm: FloatArray, labels: Labels, image: Volume) -> Midline | None:
    """The midline at the height of a point (3,), from labels of the spine or the body's own middle."""
    for part in MIDLINE_PARTS:
        mask = labels.mask(part)
        if mask is None or not mask.any():
            continue
        points = image.to_lps(np.argwhere(mask))
        near = points[np.abs(points[:, 2] - point_mm[2]) <= SLAB_MM]
        if len(near):
            middle = 0.5 * (near[:, 0].min() + near[:, 0].max()) if part == "sacrum" else near[:, 0].mean()
            return Midline(x_mm=float(middle), told_by=f"the {part.replace('_', ' ')} in the labels")
    return _body_middle(point_mm, image)


def _body_middle(point_mm: FloatArray, image: Volume) -> Midline | None:
    """Middle of the body in the slices near a point, where air is seen on both sides of it; else None."""
    axis = int(np.argmax(np.abs(image.affine[0, :3])))
    up = int(np.argmax(np.abs(image.affine[2, :3])))
    limit = next(one.high_hu for one in hu_ranges() if one.tissue == AIR)
    if axis == up or limit is None:
        return None
    at = int(np.clip(round(float(image.to_index(point_mm)[up])), 0, image.shape[up] - 1))
    solid = np.take(image.array, at, axis=up) >= limit
    columns = np.moveaxis(solid, axis - (axis > up), 0).mean(axis=1) > 0.1
    if not columns.any() or columns[0] or columns[-1]:
        return None
    ends = np.flatnonzero(columns)[[0, -1]]
    index = image.to_index(np.asarray(point_mm, float))
    index[axis] = ends.mean()
    return Midline(x_mm=float(image.to_lps(index)[0]), told_by="the middle of the body in the image")


def check_point_side(
    point_mm: FloatArray, side: BodySide, name: str, midline: Midline | None, sd_mm: float = 0.0
) -> str:
    """Refuse a point (3,) on the other side of the midline; returns what could be said, in words.

    Raises:
        InputError: the point lies on the other side.
    """
    if midline is None:
        return f"{name}: its side could not be checked (neither spine in the labels nor the whole body seen)"
    away = (float(point_mm[0]) - midline.x_mm) * (1.0 if side == "left" else -1.0)
    if away <= 0:
        raise InputError(
            f"'{name}' is to be on the {side} but lies {-away:.1f} mm on the other side of the midline",
            where="case.yaml: target.side",
            found=side,
            allowed=f"the side of {midline.told_by}; are left and right mixed up?",
        )
    if away < sd_mm:
        return f"{name}: only {away:.1f} mm from the midline ({midline.told_by}), within its own spread"
    return f"{name}: {away:.1f} mm to the {side} of the midline, told by {midline.told_by}"


def check_pairs(landmarks: Sequence[GivenLandmark]) -> None:
    """Refuse landmarks picked on both sides whose left one lies to the right of the right one.

    Raises:
        InputError: naming the landmark.
    """
    left = {one.name: one.point_mm for one in landmarks if one.side == "left"}
    right = {one.name: one.point_mm for one in landmarks if one.side == "right"}
    for name in left.keys() & right.keys():
        if left[name][0] <= right[name][0]:
            raise InputError(
                "the left landmark does not lie to the left of the right one",
                where=f"case.yaml: landmarks ({name})",
                found=f"left at x = {left[name][0]:g}, right at x = {right[name][0]:g}",
                allowed="x grows to the patient's left",
            )


def check_point_level(
    point_mm: FloatArray, wanted: Sequence[str], name: str, labels: Labels, image: Volume, slack_mm: float
) -> str:
    """Refuse a point (3,) that lies clearly nearer to another labelled vertebra; returns words.

    Raises:
        InputError: another vertebra is nearer by more than ``slack_mm``.
    """
    distances = _distances(point_mm, labels, image)
    own = {level: gap for level, gap in distances.items() if level in wanted}
    if not own or not wanted:
        seen = ", ".join(labels.levels()) or "none"
        return f"{name}: its level could not be checked (labels show {seen})" if wanted else ""
    nearest = min(distances, key=lambda level: distances[level])
    if nearest not in own and min(own.values()) > distances[nearest] + slack_mm:
        raise InputError(
            f"'{name}' lies at {nearest} in the labels, not at {' or '.join(own)}",
            where="case.yaml: target.bony_level",
            found=f"{distances[nearest]:.1f} mm from {nearest}, {min(own.values()):.1f} mm from {min(own)}",
            allowed=f"the vertebra within {slack_mm:.1f} mm of the nearest",
        )
    return f"{name}: {min(own.values()):.1f} mm from labelled {min(own, key=lambda level: own[level])}"


def _distances(point_mm: FloatArray, labels: Labels, image: Volume) -> dict[str, float]:
    """Distance from a point to the nearest voxel centre of every labelled vertebra, mm."""
    masks = {level: labels.level_mask(level) for level in labels.levels()}
    masks["sacrum"] = labels.mask("sacrum")
    found = {}
    for level, mask in masks.items():
        if mask is not None and mask.any():
            points = image.to_lps(np.argwhere(mask))
            found[level] = float(np.linalg.norm(points - point_mm, axis=1).min())
    return found
