"""What a registration of two images says, and how its error is told at a place."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.localization.targets.uncertainty import ErrorPart
from neurolysis.quantity import Value

Method = Literal["images", "landmarks", "surface"]


class ImageRegistration(Value):
    """A rigid move with a verdict; ``move`` takes points of the moving image to the fixed one, LPS mm.

    ``covariance`` (6, 6) is that of a small turn (rad) about ``centre_mm`` of the fixed image and a small
    shift (mm), as far as the method can see it; ``blind_spots`` says in words what it cannot see. A failed
    registration keeps its move for looking at only.
    """

    method: Method
    verdict: Literal["found", "failed"]
    reason: str
    move: RigidTransform
    centre_mm: tuple[float, float, float]
    covariance: tuple[tuple[float, ...], ...] = Field(min_length=6, max_length=6)
    covariance_from: str
    blind_spots: str
    measures: dict[str, float]

    def error_sd_mm(self, point_mm: ArrayLike) -> float:
        """Standard deviation in each direction (root mean square of the three) at a point of the fixed image.

        First order: a small turn w about the centre moves a point at d from it by w x d.
        """
        jacobian = point_jacobian(np.asarray(point_mm, float) - np.array(self.centre_mm))
        spread = jacobian @ np.array(self.covariance) @ jacobian.T
        return float(np.sqrt(max(np.trace(spread), 0.0) / 3))

    def error_part(self, point_mm: ArrayLike) -> ErrorPart:
        """The registration as one cause of doubt about a place in the fixed image; unknown when it failed."""
        known = self.verdict == "found"
        return ErrorPart(
            name=f"registration by {self.method}",
            standard_deviation_mm=round(self.error_sd_mm(point_mm), 3) if known else None,
            basis="assumption" if "assumption" in self.covariance_from else "computed",
            source=f"{self.covariance_from}; not in it: {self.blind_spots}",
        )


def point_jacobian(away_mm: FloatArray) -> FloatArray:
    """(..., 3, 6) change of points at ``away_mm`` (..., 3) from the centre with a small turn and shift."""
    x, y, z = away_mm[..., 0], away_mm[..., 1], away_mm[..., 2]
    made = np.zeros((*away_mm.shape[:-1], 3, 6))
    made[..., 0, 1], made[..., 0, 2] = z, -y
    made[..., 1, 0], made[..., 1, 2] = -z, x
    made[..., 2, 0], made[..., 2, 1] = y, -x
    made[..., 0, 3] = made[..., 1, 4] = made[..., 2, 5] = 1.0
    return made


def nested(matrix: FloatArray) -> tuple[tuple[float, ...], ...]:
    """A matrix as tuples of numbers."""
    return tuple(tuple(float(v) for v in row) for row in matrix)


def turned(turn_rad: FloatArray) -> FloatArray:
    """Rotation matrix (3, 3) of a rotation vector (3,)."""
    from scipy.spatial.transform import Rotation

    return np.asarray(Rotation.from_rotvec(turn_rad).as_matrix(), float)


def turn_deg(move: RigidTransform) -> float:
    """Angle of a move's rotation, degrees."""
    cosine = (np.trace(np.array(move.rotation)) - 1) / 2
    return float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
