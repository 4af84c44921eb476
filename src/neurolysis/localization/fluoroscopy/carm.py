"""The C-arm and its angles: the one place where signs are settled.

Angles are the patient's, whatever the table does: **LAO positive** turns the detector towards the patient's
left, **cranial positive** towards the head. Zero is straight away from the table: the detector stands before
the chest of a supine patient and behind the back of a prone one. DICOM counts its Positioner Primary Angle
from the chest through the left side to the back, so that a prone patient's LAO 20 is stored as 160
(:func:`dicom_angles`). On their side and sitting, zero is before the chest as for supine.

An image is seen from the detector with the head up: its right side is ``up x detector``. Before the chest the
patient's left is on the right of the picture; behind the back it is on the left.
"""

from __future__ import annotations

import math
from typing import Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from neurolysis.case import PatientPosition
from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Point, RigidTransform, unit_vector
from neurolysis.quantity import Value

HEAD = np.array([0.0, 0.0, 1.0])
SQUARE = 1e-3


class Angles(Value):
    """LAO (to the left) and cranial angle of the detector, degrees; RAO and caudal are negative."""

    lao_deg: float = Field(default=0.0, ge=-180, le=180)
    cranial_deg: float = Field(default=0.0, ge=-89, le=89)

    @property
    def words(self) -> str:
        """As they are said at the table."""
        side = "LAO" if self.lao_deg >= 0 else "RAO"
        tilt = "cranial" if self.cranial_deg >= 0 else "caudal"
        return f"{side} {abs(self.lao_deg):.0f}°, {tilt} {abs(self.cranial_deg):.0f}°"


VIEWS = {"ap": Angles(), "lateral": Angles(lao_deg=90.0), "oblique": Angles(lao_deg=25.0)}
"""Views by name; 'tunnel' follows from a needle (:func:`angles_towards`)."""


def zero_direction(position: PatientPosition | None) -> FloatArray:
    """Where the detector stands at zero, LPS unit vector (3,)."""
    return np.array([0.0, 1.0, 0.0] if position == "prone" else [0.0, -1.0, 0.0])


def detector_direction(angles: Angles, position: PatientPosition | None) -> FloatArray:
    """From the isocentre to the detector, LPS unit vector (3,)."""
    lao, tilt = math.radians(angles.lao_deg), math.radians(angles.cranial_deg)
    left = np.array([1.0, 0.0, 0.0])
    level = math.cos(lao) * zero_direction(position) + math.sin(lao) * left
    result: FloatArray = math.cos(tilt) * level + math.sin(tilt) * HEAD
    return result


def angles_towards(direction: ArrayLike, position: PatientPosition | None) -> Angles:
    """The angles that put the detector in a direction (3,), for a needle's hub: the view down the needle."""
    x, y, z = unit_vector(np.asarray(direction, float))
    lao = math.degrees(math.atan2(x, y * zero_direction(position)[1]))
    tilt = math.degrees(math.asin(float(np.clip(z, -1, 1))))
    if abs(tilt) > 89:
        raise InputError(
            "no C-arm looks along the body", found=f"{tilt:.0f} degrees", allowed="-89 to 89 degrees"
        )
    return Angles(lao_deg=lao, cranial_deg=tilt)


def dicom_angles(angles: Angles, position: PatientPosition | None) -> tuple[float, float]:
    """Positioner Primary and Secondary Angle (0018,1510 and 1511), degrees."""
    if position != "prone":
        return angles.lao_deg, angles.cranial_deg
    return _wrapped(180.0 - angles.lao_deg), angles.cranial_deg


def angles_of_dicom(primary_deg: float, secondary_deg: float, position: PatientPosition | None) -> Angles:
    """The inverse of :func:`dicom_angles`."""
    lao = primary_deg if position != "prone" else 180.0 - primary_deg
    return Angles(lao_deg=_wrapped(lao), cranial_deg=secondary_deg)


def _wrapped(degrees: float) -> float:
    """Between -180 (left out) and 180."""
    return 180.0 - (180.0 - degrees) % 360.0


class CArm(Value):
    """One exposure's geometry, LPS millimetres.

    A pixel (column, row), counted from the centre of the first one, lies at ``detector_mm + (column -
    (columns - 1) / 2) pixel_mm right + (row - (rows - 1) / 2) pixel_mm down``.
    """

    source_mm: Point
    detector_mm: Point
    right: Point
    down: Point
    pixel_mm: float = Field(gt=0, le=10)
    columns: int = Field(ge=8, le=8192)
    rows: int = Field(ge=8, le=8192)

    @model_validator(mode="after")
    def _is_a_detector(self) -> Self:
        right, down = np.array(self.right), np.array(self.down)
        beam = np.array(self.detector_mm) - np.array(self.source_mm)
        if abs(np.linalg.norm(right) - 1) > SQUARE or abs(np.linalg.norm(down) - 1) > SQUARE:
            raise ValueError("right and down are unit vectors")
        if abs(float(right @ down)) > SQUARE:
            raise ValueError("right and down must be square to each other")
        if abs(float(np.cross(right, down) @ beam)) < 10.0:
            raise ValueError("the source lies in the detector's plane")
        return self

    @classmethod
    def at(
        cls,
        isocentre_mm: ArrayLike,
        angles: Angles,
        position: PatientPosition | None,
        *,
        source_detector_mm: float = 1000.0,
        source_isocentre_mm: float = 600.0,
        pixel_mm: float = 1.0,
        columns: int = 256,
        rows: int = 256,
    ) -> Self:
        """A C-arm turned round an isocentre (3,).

        Raises:
            InputError: the isocentre does not lie between source and detector.
        """
        if not 0 < source_isocentre_mm < source_detector_mm:
            raise InputError(
                "the isocentre lies between source and detector",
                found=source_isocentre_mm,
                allowed=f"0 to {source_detector_mm:g} mm",
            )
        towards, centre = detector_direction(angles, position), np.asarray(isocentre_mm, float)
        right = unit_vector(np.cross(HEAD, towards))
        down = np.cross(towards, right) * -1.0
        return cls(
            source_mm=_point(centre - source_isocentre_mm * towards),
            detector_mm=_point(centre + (source_detector_mm - source_isocentre_mm) * towards),
            right=_point(right),
            down=_point(down),
            pixel_mm=pixel_mm,
            columns=columns,
            rows=rows,
        )

    def project(self, points_mm: ArrayLike) -> FloatArray:
        """Where points (..., 3) fall: (..., 2) columns and rows, in pixels."""
        source, right, down = (np.array(v) for v in (self.source_mm, self.right, self.down))
        normal = np.cross(right, down)
        away = np.asarray(points_mm, float) - source
        to_detector = np.array(self.detector_mm) - source
        scale = float(to_detector @ normal) / (away @ normal)
        hit = away * scale[..., None] - to_detector
        middle = np.array([self.columns - 1, self.rows - 1]) / 2
        result: FloatArray = np.stack([hit @ right, hit @ down], axis=-1) / self.pixel_mm + middle
        return result

    def pixel_points(self, pixels: ArrayLike) -> FloatArray:
        """Places on the detector (..., 3) of pixels (..., 2), LPS mm."""
        middle = np.array([self.columns - 1, self.rows - 1]) / 2
        away = (np.asarray(pixels, float) - middle) * self.pixel_mm
        result: FloatArray = (
            np.array(self.detector_mm)
            + away[..., :1] * np.array(self.right)
            + away[..., 1:] * np.array(self.down)
        )
        return result

    def ray(self, pixel: ArrayLike) -> FloatArray:
        """Unit vector (3,) from the source through a pixel (2,)."""
        return unit_vector(self.pixel_points(pixel) - np.array(self.source_mm))

    def moved(self, move: RigidTransform) -> CArm:
        """The same C-arm with source and detector moved."""
        turn = np.array(move.rotation)
        return self.replace(
            source_mm=_point(move.apply(self.source_mm)),
            detector_mm=_point(move.apply(self.detector_mm)),
            right=_point(turn @ np.array(self.right)),
            down=_point(turn @ np.array(self.down)),
        )

    def scaled(self, columns: int) -> CArm:
        """The same detector with other pixels, so many in a row; rows in proportion."""
        ratio = columns / self.columns
        rows = max(8, round(self.rows * ratio))
        return self.replace(pixel_mm=self.pixel_mm / ratio, columns=columns, rows=rows)


def _point(vector: FloatArray) -> Point:
    x, y, z = (float(c) + 0.0 for c in vector)
    return x, y, z
