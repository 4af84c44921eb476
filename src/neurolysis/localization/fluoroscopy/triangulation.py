"""A point from its place in two or more X-rays, with its error."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from pydantic import Field

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Point, RigidTransform
from neurolysis.localization.fluoroscopy.carm import CArm
from neurolysis.quantity import Value

REFUSED_BELOW_DEG, WARNED_BELOW_DEG = 10.0, 30.0
"""Between the rays. Under 30 degrees the error of the table in docs/fluoroscopy.md passes 2 mm (95 %)."""
SAMPLES = 2000
CHI2_95_3 = 7.815
"""95th percentile of chi-square with three degrees of freedom."""


class Errors(Value):
    """Standard deviations: of a picked pixel, and of a view's pose (turn about each axis, shift along)."""

    pixel: float = Field(default=1.0, ge=0)
    angle_deg: float = Field(default=0.5, ge=0)
    shift_mm: float = Field(default=0.0, ge=0)


class Triangulated(Value):
    """The point and how sure it is.

    ``covariance_mm2`` (3, 3) and ``error_95_mm`` (95 % of simulated repeats lie nearer) follow from the
    stated errors; ``miss_mm`` is how far the rays pass from the point, which those errors should explain.
    """

    point_mm: Point
    covariance_mm2: tuple[Point, Point, Point]
    error_95_mm: float
    miss_mm: float
    expected_miss_mm: float
    angle_deg: float
    warnings: tuple[str, ...]


def triangulate(
    views: Sequence[tuple[CArm, tuple[float, float]]], errors: Errors | None = None, *, seed: int = 0
) -> Triangulated:
    """The point nearest to the rays through the picked pixels.

    Args:
        views: each C-arm with (column, row) of the point in its image.

    Raises:
        InputError: fewer than two views, a pixel outside its image, or rays less than 10 degrees apart.
    """
    if len(views) < 2:
        raise InputError("a point needs two views or more", found=len(views))
    for number, (carm, pixel) in enumerate(views, start=1):
        if not (-0.5 <= pixel[0] <= carm.columns - 0.5 and -0.5 <= pixel[1] <= carm.rows - 0.5):
            raise InputError(
                "the picked pixel lies outside the image", where=f"view {number}", found=pixel,
                allowed=f"0 to {carm.columns - 1}, 0 to {carm.rows - 1}",
            )  # fmt: skip
    sources, rays = _rays(views)
    angle = _widest(rays)
    if angle < REFUSED_BELOW_DEG:
        raise InputError(
            "the views are too alike to give a depth", found=f"{angle:.1f} degrees between the rays",
            allowed=f"{REFUSED_BELOW_DEG:g} degrees or more, {WARNED_BELOW_DEG:g} to 90 wanted",
        )  # fmt: skip
    point = nearest_point(sources, rays)
    taken = errors or Errors()
    repeats, misses = _repeats(views, taken, seed)
    away = np.linalg.norm(repeats - point, axis=1)
    covariance = np.cov((repeats - point).T)
    miss, expected = _miss(sources, rays, point), float(np.percentile(misses, 95))
    return Triangulated(
        point_mm=_point(point),
        covariance_mm2=(_point(covariance[0]), _point(covariance[1]), _point(covariance[2])),
        error_95_mm=float(np.percentile(away, 95)),
        miss_mm=miss,
        expected_miss_mm=expected,
        angle_deg=angle,
        warnings=_warnings(angle, miss, expected),
    )


def _warnings(angle: float, miss: float, expected: float) -> tuple[str, ...]:
    found = []
    if angle < WARNED_BELOW_DEG:
        found.append(
            f"The views are only {angle:.0f} degrees apart: depth is poorly known; take another view."
        )
    if miss > max(expected, 0.05):
        found.append(
            f"The rays pass {miss:.1f} mm from the point, more than the stated errors explain "
            f"({expected:.1f} mm): a wrong pixel, a moved patient or wrong angles."
        )
    return tuple(found)


def nearest_point(sources: FloatArray, rays: FloatArray) -> FloatArray:
    """The point (3,) with the least sum of squared distances to rays: sources and directions (n, 3)."""
    across = np.eye(3) - rays[:, :, None] * rays[:, None, :]
    result: FloatArray = np.linalg.solve(across.sum(axis=0), np.einsum("nij,nj->i", across, sources))
    return result


def _rays(views: Sequence[tuple[CArm, tuple[float, float]]]) -> tuple[FloatArray, FloatArray]:
    return (
        np.array([carm.source_mm for carm, _ in views]),
        np.array([carm.ray(pixel) for carm, pixel in views]),
    )


def _beams(views: Sequence[tuple[CArm, tuple[float, float]]]) -> FloatArray:
    """Unit vectors (n, 3) along the central beams, which meet at the isocentre."""
    along = np.array([np.array(carm.detector_mm) - np.array(carm.source_mm) for carm, _ in views])
    result: FloatArray = along / np.linalg.norm(along, axis=1, keepdims=True)
    return result


def _widest(rays: FloatArray) -> float:
    """Largest angle between two of the rays' lines, 0 to 90 degrees."""
    cosines = [abs(float(a @ b)) for a, b in combinations(rays, 2)]
    return float(np.degrees(np.arccos(np.clip(min(cosines), 0, 1))))


def _miss(sources: FloatArray, rays: FloatArray, point: FloatArray) -> float:
    away = point - sources
    along = np.sum(away * rays, axis=1, keepdims=True) * rays
    return float(np.sqrt(np.mean(np.sum((away - along) ** 2, axis=1))))


def _repeats(
    views: Sequence[tuple[CArm, tuple[float, float]]], errors: Errors, seed: int
) -> tuple[FloatArray, FloatArray]:
    """Points (n, 3) and misses (n,) of simulated repeats with every pixel and every pose in error."""
    rng = np.random.default_rng(seed)
    sources0, rays0 = _rays(views)
    point = nearest_point(sources0, rays0)
    exact = [carm.project(point) for carm, _ in views]
    turned_about = nearest_point(sources0, _beams(views))
    found, misses = np.empty((SAMPLES, 3)), np.empty(SAMPLES)
    for n in range(SAMPLES):
        sources, rays = np.empty_like(sources0), np.empty_like(rays0)
        for k, (carm, _) in enumerate(views):
            pixel = exact[k] + errors.pixel * rng.standard_normal(2)
            turn = _small_turn(np.radians(errors.angle_deg) * rng.standard_normal(3))
            shift = errors.shift_mm * rng.standard_normal(3)
            # A wrong angle turns the whole C-arm about its isocentre, so it hurts more further from there.
            sources[k] = turn @ (sources0[k] - turned_about) + turned_about + shift
            ray = carm.pixel_points(pixel) - sources0[k]
            rays[k] = turn @ (ray / np.linalg.norm(ray))
        found[n] = nearest_point(sources, rays)
        misses[n] = _miss(sources, rays, found[n])
    return found, misses


def _small_turn(vector: FloatArray) -> FloatArray:
    """Rotation (3, 3) about a vector by its length (rad), Rodrigues."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-12:
        return np.eye(3)
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    result: FloatArray = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return result


def rotation_about(vector_deg: FloatArray, centre_mm: FloatArray, shift_mm: FloatArray) -> RigidTransform:
    """A turn (rotation vector, degrees) about a point followed by a shift, both (3,)."""
    turn = _small_turn(np.radians(np.asarray(vector_deg, float)))
    centre = np.asarray(centre_mm, float)
    return RigidTransform.from_arrays(turn, centre - turn @ centre + np.asarray(shift_mm, float))


def _point(vector: FloatArray) -> Point:
    x, y, z = (float(c) for c in vector)
    return x, y, z
