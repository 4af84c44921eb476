"""Planes through the anatomy, and volumes, fields and curves read on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.geometry import FloatArray, Volume, unit_vector
from neurolysis.plan import Plan

BELOW_ALL = -1e30
"""Stands for "no value here" in fields that are about to be contoured."""


@dataclass(frozen=True)
class Plane:
    """A rectangle in space, looked at square on.

    Attributes:
        origin_mm: (3,) LPS, the middle of the picture.
        right: (3,) unit vector, LPS, to the right of the picture.
        up: (3,) unit vector, LPS, to its top.
        half_mm: half width and half height.
    """

    origin_mm: FloatArray
    right: FloatArray
    up: FloatArray
    half_mm: tuple[float, float]

    @property
    def normal(self) -> FloatArray:
        """(3,) unit vector towards the reader."""
        normal: FloatArray = np.cross(self.right, self.up)
        return normal

    def grid(self, step_mm: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Offsets to the right (nx,) and up (ny,), mm, and their LPS points (ny, nx, 3)."""
        across, along = (
            np.linspace(-half, half, max(2, round(2 * half / step_mm) + 1)) for half in self.half_mm
        )
        points = self.origin_mm + across[None, :, None] * self.right + along[:, None, None] * self.up
        return across, along, points

    def project(self, points_mm: FloatArray) -> FloatArray:
        """LPS points (..., 3) as offsets right, up and towards the reader, (..., 3) mm."""
        offset = np.asarray(points_mm, float) - self.origin_mm
        result: FloatArray = np.stack([offset @ axis for axis in (self.right, self.up, self.normal)], axis=-1)
        return result


@dataclass(frozen=True)
class View:
    """A plane drawn to scale.

    Attributes:
        scale: figure units for each millimetre.
    """

    plane: Plane
    scale: float

    @classmethod
    def of_width(cls, plane: Plane, width: float) -> View:
        """The plane drawn ``width`` figure units wide."""
        return cls(plane, width / (2 * plane.half_mm[0]))

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in figure units."""
        return 2 * self.plane.half_mm[0] * self.scale, 2 * self.plane.half_mm[1] * self.scale

    def place(self, offsets_mm: FloatArray) -> FloatArray:
        """Offsets (..., 2 or 3) in the plane, mm, as figure coordinates (..., 2)."""
        x = (offsets_mm[..., 0] + self.plane.half_mm[0]) * self.scale
        y = (self.plane.half_mm[1] - offsets_mm[..., 1]) * self.scale
        return np.stack([x, y], axis=-1)

    def points(self, points_mm: FloatArray) -> FloatArray:
        """LPS points (..., 3) projected onto the figure, (..., 2)."""
        return self.place(self.plane.project(points_mm))


def needle_frame(plan: Plan) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Apex (3,) of the first needle and the axes x, y, z (3,) of its frame, LPS.

    With a second needle, x is turned towards that needle's tip, so that one plane shows both.
    """
    first = plan.placements[0]
    rotation = np.array(first.frame().rotation)
    apex, x, z = np.array(first.tip_mm), rotation[:, 0], rotation[:, 2]
    for other in plan.placements[1:]:
        across = np.array(other.tip_mm) - apex
        across = across - (across @ z) * z
        if np.linalg.norm(across) > 0.5:
            x = unit_vector(across)
            break
    return apex, x, np.cross(z, x), z


def needle_planes(plan: Plan, half_mm: float) -> tuple[Plane, Plane, Plane]:
    """Two planes that hold the first needle's axis, and one square to it at mid active tip.

    In the square one the head end of the body is up where the needle's course allows it.
    """
    apex, x, y, z = needle_frame(plan)
    tips = np.array([placement.tip_mm for placement in plan.placements])
    middle = apex + 0.5 * plan.placements[0].instrument.active_tip_mm * z
    centre = middle + ((tips.mean(axis=0) - apex) @ x) * x
    half = (half_mm, half_mm)
    head_right = y if y[2] >= 0 else -y
    return (
        Plane(centre, x, z, half),
        Plane(middle, head_right, z, half),
        Plane(centre, x, head_right, half),
    )


def read_volume(
    volume: Volume, points_mm: FloatArray, *, order: int = 1, outside: float = 0.0
) -> NDArray[Any]:
    """Values (...,) of a volume at LPS points (..., 3); only the part of the volume near them is touched."""
    part = _part(volume, points_mm)
    if part is None:
        return np.full(points_mm.shape[:-1], outside)
    values: NDArray[Any] = part.sample(points_mm, order=order, outside=outside)
    return np.where(volume.contains(points_mm), values, outside)


def _part(volume: Volume, points_mm: FloatArray) -> Volume | None:
    """The voxels around some points as a volume of their own; None where there are none."""
    index = volume.to_index(points_mm.reshape(-1, 3))
    low = np.clip(np.floor(index.min(axis=0)).astype(int) - 1, 0, np.array(volume.shape))
    high = np.clip(np.ceil(index.max(axis=0)).astype(int) + 2, 0, np.array(volume.shape))
    if np.any(high <= low):
        return None
    affine = volume.affine.copy()
    affine[:3, 3] = volume.to_lps(low)
    box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    return Volume(array=volume.array[box], affine=affine, name=volume.name)


def read_mask(volume: Volume, members: NDArray[np.bool_] | None, points_mm: FloatArray) -> FloatArray:
    """How far inside a mask (0 to 1, linear between voxels) LPS points (..., 3) lie.

    ``members`` says for each voxel value whether it belongs to the mask (None: every value but 0).
    """
    part = _part(volume, points_mm)
    if part is None:
        return np.zeros(points_mm.shape[:-1])
    inside = part.array != 0 if members is None else members[part.array.astype(int)]
    if not inside.any():
        return np.zeros(points_mm.shape[:-1])
    result: FloatArray = part.with_array(inside.astype(np.float32)).sample(points_mm, order=1)
    return result
