"""The plane of an ultrasound image in the scene, and how a needle lies to it."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field, model_validator

from neurolysis.errors import InputError
from neurolysis.geometry import ORTHONORMAL_TOLERANCE, FloatArray, Point, unit_vector
from neurolysis.quantity import Value

Approach = Literal["in-plane", "out-of-plane", "oblique"]
IN_PLANE_DEG, OUT_OF_PLANE_DEG = 10.0, 70.0
"""In-plane: at most so far off the plane. Out-of-plane: seen from above, the needle crosses the face at so
large an angle, however steeply it goes down. Oblique: what lies between. Our words."""


class Probe(Value):
    """A linear probe: the middle of its face, the way along the face, and the way into the body.

    Points are LPS millimetres, ``across`` (image left to right) and ``beam`` (down the image) unit vectors
    square to each other. ``slice_mm`` is the thickness of the plane, ``pixel_mm`` the size of a pixel.
    """

    face_mm: Point
    across: Point
    beam: Point
    width_mm: float = Field(default=38.0, gt=5, le=120)
    depth_mm: float = Field(default=40.0, gt=5, le=300)
    slice_mm: float = Field(default=2.0, gt=0, le=20)
    pixel_mm: float = Field(default=0.1, gt=0, le=2)

    @model_validator(mode="after")
    def _is_square(self) -> Self:
        across, beam = np.array(self.across), np.array(self.beam)
        if abs(np.linalg.norm(across) - 1) > ORTHONORMAL_TOLERANCE:
            raise ValueError("across must have length 1")
        if abs(np.linalg.norm(beam) - 1) > ORTHONORMAL_TOLERANCE:
            raise ValueError("beam must have length 1")
        if abs(float(across @ beam)) > ORTHONORMAL_TOLERANCE:
            raise ValueError("across and beam must be square to each other")
        return self

    @classmethod
    def at(cls, face_mm: ArrayLike, across: ArrayLike, beam: ArrayLike, **more: float) -> Self:
        """A probe whose beam is exact and whose ``across`` is made square to it.

        Raises:
            InputError: the two directions are parallel.
        """
        down = unit_vector(beam)
        side = np.asarray(across, float) - (np.asarray(across, float) @ down) * down
        if np.linalg.norm(side) < 1e-6:
            raise InputError("the way across the probe runs along its beam", found=list(np.asarray(across)))
        return cls.model_validate(
            {"face_mm": face_mm, "across": unit_vector(side).tolist(), "beam": down.tolist(), **more}
        )

    @property
    def normal(self) -> FloatArray:
        """Unit normal (3,) of the plane: across x beam."""
        across, beam = np.array(self.across), np.array(self.beam)
        normal: FloatArray = np.cross(across, beam).astype(np.float64)
        return normal

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of its image."""
        return max(2, round(self.depth_mm / self.pixel_mm)), max(2, round(self.width_mm / self.pixel_mm))

    def to_lps(self, pixel: ArrayLike) -> FloatArray:
        """Pixels (..., 2) as (column, row), counted from the middle of the first, to points (..., 3)."""
        at = np.asarray(pixel, float)
        columns = self.shape[1]
        side = (at[..., :1] - (columns - 1) / 2) * self.pixel_mm
        down = (at[..., 1:] + 0.5) * self.pixel_mm
        places: FloatArray = (
            np.array(self.face_mm) + side * np.array(self.across) + down * np.array(self.beam)
        )
        return places

    def to_pixel(self, points_mm: ArrayLike) -> tuple[FloatArray, FloatArray]:
        """Points (..., 3) to pixels (..., 2) of their foot on the plane, and their distance from it (...)."""
        away = np.asarray(points_mm, float) - np.array(self.face_mm)
        column = away @ np.array(self.across) / self.pixel_mm + (self.shape[1] - 1) / 2
        row = away @ np.array(self.beam) / self.pixel_mm - 0.5
        return np.stack([column, row], axis=-1), away @ self.normal


class NeedleSight(Value):
    """How a needle lies to the plane. Lengths in mm, angles in degrees.

    ``face_angle_deg`` is between shaft and probe face (0: along the face, the brightest), ``seen_length_mm``
    the part of the shaft inside the plane's thickness and the image, ``mirrored_share`` the share of that
    part whose mirror reflection falls back on the probe's face (geometry only: straight beams, a smooth
    straight shaft; a rough or echogenic tip is seen beyond it).
    """

    approach: Approach
    plane_angle_deg: float
    face_angle_deg: float
    tip_depth_mm: float
    tip_off_plane_mm: float
    tip_in_image: bool
    target_depth_mm: float | None = None
    target_off_plane_mm: float | None = None
    tip_to_target_mm: float | None = None
    seen_length_mm: float
    mirrored_share: float
    words: str


def needle_sight(
    probe: Probe, tip_mm: ArrayLike, hub_mm: ArrayLike, target_mm: ArrayLike | None = None
) -> NeedleSight:
    """How the needle from ``hub_mm`` (3,) to ``tip_mm`` (3,) is seen by a probe.

    Raises:
        InputError: tip and hub are the same place.
    """
    tip, hub = np.asarray(tip_mm, float), np.asarray(hub_mm, float)
    way = unit_vector(tip - hub)
    plane = np.degrees(np.arcsin(np.clip(abs(way @ probe.normal), 0, 1)))
    face = np.degrees(np.arcsin(np.clip(abs(way @ np.array(probe.beam)), 0, 1)))
    approach = _approach(probe, way, float(plane))
    pixel, off = probe.to_pixel(tip)
    inside = _inside(probe, pixel) & (abs(off) <= probe.slice_mm / 2)
    places = hub + np.linspace(0, 1, 2001)[:, None] * (tip - hub)
    pixels, away = probe.to_pixel(places)
    seen = _inside(probe, pixels) & (np.abs(away) <= probe.slice_mm / 2)
    share = float(_mirrored(probe, places[seen], way).mean()) if seen.any() else 0.0
    length = float(seen.mean() * np.linalg.norm(tip - hub))
    target = {} if target_mm is None else _target(probe, tip, np.asarray(target_mm, float))
    return NeedleSight(
        approach=approach,
        plane_angle_deg=float(plane),
        face_angle_deg=float(face),
        tip_depth_mm=float((tip - np.array(probe.face_mm)) @ np.array(probe.beam)),
        tip_off_plane_mm=float(off),
        tip_in_image=bool(inside),
        seen_length_mm=length,
        mirrored_share=share,
        words=_words(approach, bool(inside), length, share),
        **target,
    )


def _approach(probe: Probe, way: FloatArray, plane_deg: float) -> Approach:
    """In-plane, out-of-plane or oblique, for a needle (3,) so far off the plane."""
    if plane_deg <= IN_PLANE_DEG:
        return "in-plane"
    crossing = np.degrees(np.arctan2(abs(way @ probe.normal), abs(way @ np.array(probe.across))))
    return "out-of-plane" if crossing >= OUT_OF_PLANE_DEG else "oblique"


def _inside(probe: Probe, pixels: FloatArray) -> np.ndarray:
    rows, columns = probe.shape
    column, row = pixels[..., 0], pixels[..., 1]
    return np.asarray((column >= -0.5) & (column <= columns - 0.5) & (row >= -0.5) & (row <= rows - 0.5))


def _mirrored(probe: Probe, places: FloatArray, way: FloatArray) -> np.ndarray:
    """Whether a straight beam down to each place (n, 3), mirrored at the shaft, comes back to the face."""
    beam = np.array(probe.beam)
    outward = beam - (beam @ way) * way
    size = np.linalg.norm(outward)
    if size < 1e-9:
        return np.zeros(len(places), bool)
    outward /= size
    back = beam - 2 * (beam @ outward) * outward
    rise = -back @ beam
    if rise <= 1e-9:
        return np.zeros(len(places), bool)
    depth = (places - np.array(probe.face_mm)) @ beam
    landed = places + (depth / rise)[:, None] * back - np.array(probe.face_mm)
    sideways = np.abs(landed @ np.array(probe.across)) <= probe.width_mm / 2
    return np.asarray(sideways & (np.abs(landed @ probe.normal) <= max(probe.slice_mm, 4.0) / 2))


def _target(probe: Probe, tip: FloatArray, target: FloatArray) -> dict[str, float]:
    _, off = probe.to_pixel(target)
    return {
        "target_depth_mm": float((target - np.array(probe.face_mm)) @ np.array(probe.beam)),
        "target_off_plane_mm": float(off),
        "tip_to_target_mm": float(np.linalg.norm(tip - target)),
    }


def _words(approach: Approach, inside: bool, length: float, share: float) -> str:
    tip = "the tip is in the image" if inside else "the tip is NOT in the image"
    if length < 1:
        return f"{approach}: no part of the shaft is in the plane; {tip}"
    if approach == "out-of-plane":
        return f"out-of-plane: only a dot of {length:.1f} mm crosses the plane, which may be shaft; {tip}"
    mirror = "mirrors its echo back to the probe" if share > 0.5 else "mirrors most of its echo away"
    return f"{approach}: {length:.0f} mm of shaft in the plane, which {mirror}; {tip}"
