"""Geometry in one frame: DICOM patient coordinates, LPS (x to the Left, y to Posterior, z to the
Superior), millimetres.

Everything inside the program lives in this frame; readers convert at the edge
(:mod:`neurolysis.localization.images`). Shapes are stated in every docstring.
"""

from __future__ import annotations

import hashlib
import itertools
from functools import cached_property
from typing import Annotated, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from neurolysis.errors import FrameMismatchError, InputError
from neurolysis.quantity import Value, canonical_json

FloatArray = NDArray[np.float64]


def _plain_numbers(value: Any) -> Any:
    """Numbers of an array as plain ones; what is no list of numbers is left for pydantic to refuse."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if not isinstance(value, list | tuple):
        return value
    if any(isinstance(one, bool | np.bool_) for one in value):
        raise ValueError("a point needs three numbers, not true or false")
    return tuple(one.item() if isinstance(one, np.generic) else one for one in value)


Point = Annotated[tuple[float, float, float], BeforeValidator(_plain_numbers)]
"""A place in LPS millimetres."""

ORTHONORMAL_TOLERANCE = 1e-4
FRAME_TOLERANCE_MM = 1e-2


def unit_vector(vector: ArrayLike) -> FloatArray:
    """``vector`` (3,) scaled to length one; a zero vector is an InputError."""
    array = np.asarray(vector, dtype=float)
    norm = float(np.linalg.norm(array))
    if not np.isfinite(norm) or norm < 1e-12:
        raise InputError("a direction needs a finite length above zero", found=array.tolist())
    return array / norm


class RigidTransform(Value):
    """Rotation then translation: ``y = R x + t``; both sides in millimetres.

    ``rotation`` is row-major (3, 3), right-handed and orthonormal; ``translation_mm`` is (3,).
    """

    rotation: tuple[Point, Point, Point] = ((1, 0, 0), (0, 1, 0), (0, 0, 1))
    translation_mm: Point = (0, 0, 0)

    @model_validator(mode="after")
    def _is_rotation(self) -> Self:
        matrix = np.array(self.rotation)
        if not np.allclose(matrix @ matrix.T, np.eye(3), atol=ORTHONORMAL_TOLERANCE):
            raise ValueError("rotation must be orthonormal")
        if np.linalg.det(matrix) < 0:
            raise ValueError("rotation must be right-handed (determinant +1)")
        return self

    @classmethod
    def from_arrays(cls, rotation: ArrayLike, translation_mm: ArrayLike) -> Self:
        """From a (3, 3) rotation and a (3,) translation in millimetres."""
        rows = np.asarray(rotation, dtype=float).tolist()
        return cls.model_validate(
            {"rotation": rows, "translation_mm": np.asarray(translation_mm, float).tolist()}
        )

    @classmethod
    def along_axis(cls, origin_mm: ArrayLike, z_direction: ArrayLike) -> Self:
        """Local frame whose origin is ``origin_mm`` (3,) and whose z axis is ``z_direction`` (3,).

        Maps local to LPS. The local x axis is chosen square to z and closest to patient left,
        or to posterior when z runs left-right, so that the frame is the same every time.
        """
        z = unit_vector(z_direction)
        helper = np.array([1.0, 0, 0]) if abs(z[0]) < 0.9 else np.array([0, 1.0, 0])
        x = unit_vector(helper - np.dot(helper, z) * z)
        return cls.from_arrays(np.column_stack([x, np.cross(z, x), z]), origin_mm)

    def apply(self, points_mm: ArrayLike) -> FloatArray:
        """Points (..., 3) mapped to (..., 3)."""
        result: FloatArray = np.asarray(points_mm, float) @ np.array(self.rotation).T + np.array(
            self.translation_mm
        )
        return result

    def inverse(self) -> RigidTransform:
        """The transform that undoes this one."""
        rotation = np.array(self.rotation).T
        return RigidTransform.from_arrays(rotation, -rotation @ np.array(self.translation_mm))

    def compose(self, first: RigidTransform) -> RigidTransform:
        """``self.compose(first).apply(x) == self.apply(first.apply(x))``."""
        rotation = np.array(self.rotation)
        return RigidTransform.from_arrays(
            rotation @ np.array(first.rotation), self.apply(first.translation_mm)
        )


class Curve(Value):
    """A polyline in LPS millimetres: at least two different points, (n, 3)."""

    points_mm: tuple[Point, ...] = Field(min_length=2)

    @field_validator("points_mm")
    @classmethod
    def _has_length(cls, points: tuple[Point, ...]) -> tuple[Point, ...]:
        steps = np.linalg.norm(np.diff(np.array(points), axis=0), axis=1)
        if np.any(steps < 1e-9):
            raise ValueError("neighbouring points of a curve must differ")
        return points

    @classmethod
    def from_array(cls, points_mm: ArrayLike) -> Self:
        """From an (n, 3) array in millimetres."""
        return cls.model_validate({"points_mm": np.asarray(points_mm, float).tolist()})

    def as_array(self) -> FloatArray:
        """The points, (n, 3) mm."""
        return np.array(self.points_mm, dtype=float)

    def arc_length_mm(self) -> FloatArray:
        """Distance along the curve at each point, (n,) mm, starting at zero."""
        steps = np.linalg.norm(np.diff(self.as_array(), axis=0), axis=1)
        return np.concatenate([[0.0], np.cumsum(steps)])

    def length_mm(self) -> float:
        """Whole length, mm."""
        return float(self.arc_length_mm()[-1])

    def resample(self, step_mm: float) -> tuple[FloatArray, FloatArray]:
        """Arc lengths (m,) and points (m, 3) at even steps of at most ``step_mm``, ends included."""
        if not step_mm > 0:
            raise InputError("a resampling step must be above zero", found=step_mm)
        arc = self.arc_length_mm()
        count = max(2, int(np.ceil(arc[-1] / step_mm)) + 1)
        at = np.linspace(0.0, arc[-1], count)
        points = self.as_array()
        return at, np.column_stack([np.interp(at, arc, points[:, axis]) for axis in range(3)])

    def distance_mm(self, points_mm: ArrayLike) -> FloatArray:
        """Shortest distance (...,) mm from points (..., 3) to the curve."""
        points = np.asarray(points_mm, float)
        best = np.full(points.shape[:-1], np.inf)
        vertices = self.as_array()
        for start, end in itertools.pairwise(vertices):
            best = np.minimum(best, segment_distance_mm(points, start, end))
        return best


def segment_distance_mm(points_mm: FloatArray, start_mm: FloatArray, end_mm: FloatArray) -> FloatArray:
    """Distance (...,) mm from points (..., 3) to the segment from start (3,) to end (3,)."""
    along = end_mm - start_mm
    t = np.clip((points_mm - start_mm) @ along / float(along @ along), 0.0, 1.0)
    result: FloatArray = np.linalg.norm(points_mm - start_mm - t[..., None] * along, axis=-1)
    return result


def _can_change(owner: Any) -> bool:
    """Whether the memory behind a view may still be written through ``owner``."""
    while isinstance(owner, np.ndarray):
        if owner.flags.writeable:
            return True
        owner = owner.base
    return owner is not None


class Volume(BaseModel):
    """A sampled scalar field: voxel array (i, j, k) and the affine from voxel index to LPS mm.

    Args:
        array: (ni, nj, nk), made read-only. Integers for labels, floats for intensities.
        affine: (4, 4); its columns must be square to each other (no shear), spacing above zero.
        name: what the user sees in errors (usually the file).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    array: NDArray[Any]
    affine: FloatArray
    name: str = "volume"

    @field_validator("array")
    @classmethod
    def _three_dimensional(cls, array: NDArray[Any]) -> NDArray[Any]:
        if array.ndim != 3 or min(array.shape) < 1:
            raise ValueError(f"a volume needs three dimensions, got shape {array.shape}")
        array = np.ascontiguousarray(array)
        if _can_change(array.base):
            array = array.copy()
        array.setflags(write=False)
        return array

    @field_validator("affine", mode="before")
    @classmethod
    def _proper_affine(cls, affine: ArrayLike) -> FloatArray:
        matrix = np.array(affine, dtype=float) + 0.0  # minus zero becomes zero: equal affines, equal hashes
        if matrix.shape != (4, 4) or not np.all(np.isfinite(matrix)):
            raise ValueError("an affine is a finite 4 x 4 matrix")
        if matrix[3].tolist() != [0, 0, 0, 1]:
            raise ValueError(f"the last row of an affine is 0, 0, 0, 1, got {matrix[3].tolist()}")
        spacing = np.linalg.norm(matrix[:3, :3], axis=0)
        if np.any(spacing <= 0):
            raise ValueError(f"voxel spacing must be above zero, got {spacing.tolist()}")
        axes = matrix[:3, :3] / spacing
        if not np.allclose(axes.T @ axes, np.eye(3), atol=1e-3):
            raise ValueError("the axes of a volume must be square to each other (shear or tilt found)")
        matrix.setflags(write=False)
        return matrix

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Volume):
            return NotImplemented
        return self.name == other.name and self.content_hash() == other.content_hash()

    def __hash__(self) -> int:
        return hash((self.name, self.content_hash()))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along each index axis."""
        ni, nj, nk = self.array.shape
        return ni, nj, nk

    @cached_property
    def spacing_mm(self) -> FloatArray:
        """Voxel size along each index axis, (3,) mm."""
        spacing: FloatArray = np.linalg.norm(self.affine[:3, :3], axis=0)
        return spacing

    @cached_property
    def inverse_affine(self) -> FloatArray:
        """(4, 4) from LPS mm to voxel index."""
        inverse: FloatArray = np.asarray(np.linalg.inv(self.affine), dtype=np.float64)
        return inverse

    def to_lps(self, index: ArrayLike) -> FloatArray:
        """Voxel indices (..., 3) to LPS mm (..., 3)."""
        result: FloatArray = np.asarray(index, float) @ self.affine[:3, :3].T + self.affine[:3, 3]
        return result

    def to_index(self, points_mm: ArrayLike) -> FloatArray:
        """LPS mm (..., 3) to fractional voxel indices (..., 3)."""
        result: FloatArray = (
            np.asarray(points_mm, float) @ self.inverse_affine[:3, :3].T + self.inverse_affine[:3, 3]
        )
        return result

    def contains(self, points_mm: ArrayLike) -> NDArray[np.bool_]:
        """Which points (..., 3) lie within the voxels' outer faces, (...,)."""
        index = self.to_index(points_mm)
        inside: NDArray[np.bool_] = np.all((index >= -0.5) & (index <= np.array(self.shape) - 0.5), axis=-1)
        return inside

    def sample(self, points_mm: ArrayLike, *, order: int = 1, outside: float = 0.0) -> NDArray[Any]:
        """Values (...,) at LPS points (..., 3): ``order`` 0 nearest (labels), 1 linear.

        Points outside the voxels get ``outside``; points inside the outermost half voxel take the
        edge value.
        """
        from scipy.ndimage import map_coordinates

        index = self.to_index(points_mm)
        data = self.array if order == 0 else self.array.astype(np.float64)
        flat = map_coordinates(data, index.reshape(-1, 3).T, order=order, mode="nearest")
        values = flat.reshape(index.shape[:-1])
        return np.where(self.contains(points_mm), values, outside)

    def require_same_frame(self, other: Volume) -> None:
        """Raise FrameMismatchError unless both have the same shape and affine (0.01 mm)."""
        if self.shape != other.shape:
            raise FrameMismatchError(
                f"shape of '{other.name}' differs from '{self.name}'",
                found=other.shape,
                allowed=str(self.shape),
            )
        corners = np.array(np.meshgrid(*[(0, n) for n in self.shape])).reshape(3, -1).T
        gap = float(np.abs(self.to_lps(corners) - other.to_lps(corners)).max())
        if gap > FRAME_TOLERANCE_MM:
            raise FrameMismatchError(
                f"'{other.name}' lies up to {gap:.3g} mm from '{self.name}'",
                found=np.round(other.affine, 4).tolist(),
                allowed=str(np.round(self.affine, 4).tolist()),
            )

    def with_array(self, array: NDArray[Any], name: str | None = None) -> Volume:
        """The same frame with other voxels of the same shape."""
        if array.shape != self.array.shape:
            raise InputError("new voxels must keep the shape", found=array.shape, allowed=[self.shape])
        return Volume(array=array, affine=self.affine, name=name or self.name)

    def content_hash(self) -> str:
        """SHA-256 (hex) over element type, shape, affine and voxels."""
        header = {
            "dtype": self.array.dtype.newbyteorder("<").str,
            "shape": list(self.shape),
            "affine": self.affine.tolist(),
        }
        digest = hashlib.sha256(canonical_json(header).encode())
        digest.update(self.array.astype(header["dtype"], copy=False).tobytes())
        return digest.hexdigest()
