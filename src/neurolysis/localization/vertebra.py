"""A vertebra's own axes and the surface of bone, both from labels: the ground for every derived place."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, RigidTransform, Volume, unit_vector
from neurolysis.localization.schemes import BoolArray, Labels

PAIRED = ("transverse_process", "superior_articular_process", "inferior_articular_process")
CORPUS = ("corpus", "corpus_border")
POSTERIOR = ("arcus", "spinous_process", *PAIRED)
CENTRAL_SHARE = 0.6
"""Part of the endplate's footprint (by squared radius) that its plane is fitted to, so that the rim
and its bony spurs stay out."""

BodySide = Literal["left", "right"]


class Vertebra(BaseModel):
    """One vertebra in its own frame.

    ``frame`` maps local to LPS mm: origin at the centroid of the body, x to the patient's left along
    the paired processes, y to posterior, z square to the superior endplate (cranial).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    level: str
    frame: RigidTransform

    def to_local(self, points_mm: FloatArray) -> FloatArray:
        """LPS mm (..., 3) to local mm (..., 3)."""
        return self.frame.inverse().apply(points_mm)

    def axis(self, name: Literal["left", "posterior", "cranial"]) -> FloatArray:
        """A local axis as an LPS unit vector (3,)."""
        column = {"left": 0, "posterior": 1, "cranial": 2}[name]
        vector: FloatArray = np.array(self.frame.rotation)[:, column]
        return vector


def find_vertebra(labels: Labels, level: str, grid: Volume) -> Vertebra:
    """The frame of one vertebra from its labelled parts.

    The cranial axis is the normal of a plane fitted (least squares) to the top of the body's central
    part; the left axis the mean of the right-to-left lines of the paired processes, made square to it.

    Raises:
        InputError: the vertebra or a part it needs is not in the labels; says which.
    """
    body = np.concatenate([points_of(labels, part, None, level, grid) for part in CORPUS])
    if len(body) < 100:
        raise InputError(
            "the label maps do not show this vertebra's body with parts",
            where=f"labels: {level}",
            found=f"{len(body)} voxels of corpus; vertebrae seen: {', '.join(labels.levels()) or 'none'}",
            allowed="a map of vertebra parts and one of vertebrae",
        )
    _check_whole(body, level, grid)
    left = _left_axis(labels, level, grid)
    cranial = _endplate_normal(body, left)
    left = unit_vector(left - (left @ cranial) * cranial)
    rotation = np.column_stack([left, np.cross(cranial, left), cranial])
    return Vertebra(level=level, frame=RigidTransform.from_arrays(rotation, body.mean(axis=0)))


def _check_whole(body: FloatArray, level: str, grid: Volume) -> None:
    """Refuse a body whose top lies in the last layers of the image: its endplate cannot be seen."""
    top = body[body[:, 2] >= np.quantile(body[:, 2], 0.95)]
    above = top + np.array([0.0, 0.0, 1.5 * float(grid.spacing_mm.max())])
    if not np.mean(grid.contains(above)) > 0.5:
        raise InputError(
            "the body of this vertebra is cut by the image's upper edge, so its endplate cannot be seen",
            where=f"labels: {level}",
        )


def points_of(
    labels: Labels, part: str, side: BodySide | None, level: str | None, grid: Volume
) -> FloatArray:
    """Voxel centres (n, 3) LPS mm of a part; (0, 3) when no map shows it."""
    mask = labels.mask(part, side, level)
    if mask is None:
        return np.zeros((0, 3))
    return grid.to_lps(np.argwhere(mask))


def _left_axis(labels: Labels, level: str, grid: Volume) -> FloatArray:
    """Unit vector (3,) from the right processes to the left ones, the mean of the pairs that are there."""
    axes = []
    for part in PAIRED:
        left = points_of(labels, part, "left", level, grid)
        right = points_of(labels, part, "right", level, grid)
        if len(left) and len(right):
            axes.append(left.mean(axis=0) - right.mean(axis=0))
    if not axes:
        raise InputError(
            "no pair of processes is labelled, so left and right of this vertebra cannot be told",
            where=f"labels: {level}",
            allowed=f"left and right of one of: {', '.join(PAIRED)}",
        )
    return unit_vector(np.sum(axes, axis=0))


def _endplate_normal(body: FloatArray, left: FloatArray) -> FloatArray:
    """Cranial unit normal (3,) of the superior endplate of body voxels (n, 3)."""
    up = unit_vector(np.array([0.0, 0.0, 1.0]) - left[2] * left)
    for _ in range(2):
        up = _refit(body, left, up)
    return up


def _refit(body: FloatArray, left: FloatArray, up: FloatArray) -> FloatArray:
    """One least-squares plane through the topmost voxels of each column along ``up``."""
    forward = np.cross(up, left)
    local = (body - body.mean(axis=0)) @ np.column_stack([left, forward, up])
    top = topmost(local)
    middle = 0.5 * (top[:, :2].min(axis=0) + top[:, :2].max(axis=0))
    half = 0.5 * np.ptp(top[:, :2], axis=0)
    top = top[np.sum(((top[:, :2] - middle) / half) ** 2, axis=1) < CENTRAL_SHARE]
    slope = np.linalg.lstsq(np.column_stack([top[:, :2], np.ones(len(top))]), top[:, 2], rcond=None)[0]
    return unit_vector(up - slope[0] * left - slope[1] * forward)


def topmost(local: FloatArray, column_mm: float = 2.0) -> FloatArray:
    """The highest point (z) of each column of ``column_mm`` in the x-y plane, (m, 3)."""
    order = np.argsort(-local[:, 2])
    columns = np.round(local[order, :2] / column_mm).astype(np.int64)
    _, first = np.unique(columns, axis=0, return_index=True)
    result: FloatArray = local[order][first]
    return result


def bone_distance(bone: BoolArray, grid: Volume) -> Volume:
    """Signed distance to the surface of labelled bone, mm: above zero outside, below zero inside.

    The surface is taken half a voxel from the outermost voxel centres, and the steps between voxels
    are smoothed over half a voxel.
    """
    from scipy.ndimage import distance_transform_edt, gaussian_filter

    spacing = grid.spacing_mm
    half = 0.5 * float(spacing.mean())
    outside = distance_transform_edt(~bone, sampling=spacing) - half
    inside = distance_transform_edt(bone, sampling=spacing) - half
    distance = np.where(bone, -inside, outside)
    return grid.with_array(gaussian_filter(distance, 0.5), "distance to bone")


def crop(grid: Volume, mask: BoolArray, centre_mm: FloatArray, half_mm: float) -> tuple[Volume, BoolArray]:
    """A volume of ``mask`` (as 0/1) and the mask itself, cut to ``half_mm`` around a point."""
    index = grid.to_index(centre_mm)
    reach = np.ceil(half_mm / grid.spacing_mm).astype(int)
    low = np.clip(np.round(index).astype(int) - reach, 0, np.array(grid.shape) - 1)
    high = np.clip(np.round(index).astype(int) + reach + 1, 1, np.array(grid.shape))
    part = mask[tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))]
    affine = grid.affine.copy()
    affine[:3, 3] = grid.to_lps(low)
    return Volume(array=part.astype(np.uint8), affine=affine, name=grid.name), part


def outward(distance: Volume, points_mm: FloatArray, step_mm: float = 0.75) -> FloatArray:
    """Unit vectors (n, 3) away from bone at LPS points (n, 3): the gradient of the signed distance."""
    steps = step_mm * np.eye(3)
    ends = [distance.sample(points_mm + step) - distance.sample(points_mm - step) for step in steps]
    gradient = np.stack(ends, axis=-1)
    norm = np.linalg.norm(gradient, axis=-1, keepdims=True)
    result: FloatArray = gradient / np.maximum(norm, 1e-9)
    return result
