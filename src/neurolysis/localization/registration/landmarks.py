"""Landmarks picked in both images: the rigid move in closed form, and the error to expect at a target."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.localization.registration.result import ImageRegistration, nested, point_jacobian

LEAST_SPREAD_MM = 5.0
"""Root mean square distance of the landmarks from a line: below it a turn about that line is not held."""
LARGEST_SD_MM = 10.0
"""A picking error above this is a mistake, not a spread: our choice, no source."""


def fitted_move(moving_mm: FloatArray, fixed_mm: FloatArray) -> RigidTransform:
    """The rigid move with the least sum of squares from points (n, 3) to points (n, 3), no mirror image.

    The rotation comes from the singular value decomposition of the cross-covariance, with the sign of the
    last singular vector turned where the best orthogonal matrix would be a reflection.
    """
    middle_moving, middle_fixed = moving_mm.mean(axis=0), fixed_mm.mean(axis=0)
    u, _, vt = np.linalg.svd((moving_mm - middle_moving).T @ (fixed_mm - middle_fixed))
    sign = np.diag([1.0, 1.0, np.linalg.det(vt.T @ u.T)])
    rotation = vt.T @ sign @ u.T
    return RigidTransform.from_arrays(rotation, middle_fixed - rotation @ middle_moving)


def pose_covariance(points_mm: FloatArray, sd_mm: float) -> FloatArray:
    """Covariance (6, 6) of turn and shift from independent errors at points (n, 3) away from their middle.

    ``sd_mm`` is the error of a pair in each direction. First order: with the Jacobian J of all points and
    equal weights the estimate has covariance sd^2 (J^T J)^-1.
    """
    jacobian = point_jacobian(points_mm).reshape(-1, 6)
    return sd_mm**2 * np.asarray(np.linalg.inv(jacobian.T @ jacobian))


def register_landmarks(
    moving_mm: ArrayLike, fixed_mm: ArrayLike, picking_sd_mm: float | None = None
) -> ImageRegistration:
    """Bring picked points of the moving image (n, 3) to the same points in the fixed image (n, 3), n >= 3.

    Args:
        picking_sd_mm: error of a picked point in each direction in either image; without it, it is estimated
            from what is left after the fit, which needs five points or more to mean much.

    Raises:
        InputError: fewer than three pairs, numbers that are none, points in a line, or an error out of range.
    """
    moving, fixed = np.asarray(moving_mm, float), np.asarray(fixed_mm, float)
    _check(moving, fixed, picking_sd_mm)
    move = fitted_move(moving, fixed)
    left = fixed - move.apply(moving)
    n = len(moving)
    residual_sd = float(np.sqrt((left**2).sum() / (3 * n - 6)))
    pair_sd = residual_sd if picking_sd_mm is None else np.sqrt(2) * picking_sd_mm
    centre = fixed.mean(axis=0)
    covariance = pose_covariance(fixed - centre, pair_sd)
    largest = float(np.linalg.norm(left, axis=1).max())
    bad = _misfit(residual_sd, picking_sd_mm, n, int(np.linalg.norm(left, axis=1).argmax()), largest)
    how = (
        f"first-order spread of {n} landmark pairs, {pair_sd:.2f} mm a pair "
        + ("from what the fit left over" if picking_sd_mm is None else "from the picking error entered")
    )  # fmt: skip
    return ImageRegistration(
        method="landmarks",
        verdict="failed" if bad else "found",
        reason=bad or f"{n} pairs fit to {residual_sd:.2f} mm in each direction",
        move=move,
        centre_mm=tuple(float(v) for v in centre),
        covariance=nested(covariance),
        covariance_from=how,
        blind_spots="a place that is mistaken alike in both images, and change of shape between them",
        measures={
            "pairs": float(n),
            "residual_sd_mm": residual_sd,
            "largest_residual_mm": largest,
            "pair_sd_mm": float(pair_sd),
        },
    )


def _check(moving: FloatArray, fixed: FloatArray, sd: float | None) -> None:
    if moving.ndim != 2 or moving.shape != fixed.shape or moving.shape[1:] != (3,) or len(moving) < 3:
        found = f"{moving.shape} and {fixed.shape}"
        raise InputError("landmarks come in pairs", found=found, allowed="three pairs or more")
    if not (np.isfinite(moving).all() and np.isfinite(fixed).all()):
        raise InputError("a landmark is not a finite point")
    if sd is not None and not 0 < sd <= LARGEST_SD_MM:
        raise InputError("no picking error", found=sd, allowed=f"above 0, at most {LARGEST_SD_MM:g} mm")
    for points in (moving, fixed):
        spread = np.linalg.svd(points - points.mean(axis=0), compute_uv=False) / np.sqrt(len(points))
        if spread[1] < LEAST_SPREAD_MM:
            raise InputError(
                "the landmarks lie on a line: the turn about it is not held",
                found=f"{spread[1]:.1f} mm off it", allowed=f"at least {LEAST_SPREAD_MM:g} mm",
            )  # fmt: skip


def _misfit(residual_sd: float, picking_sd: float | None, n: int, worst: int, largest: float) -> str:
    """Why the pairs do not fit; empty if they do."""
    from scipy.stats import chi2

    if picking_sd is None:
        return (
            "" if residual_sd <= LARGEST_SD_MM / 2 else f"the pairs do not fit: {residual_sd:.1f} mm are left"
        )
    freedom = 3 * n - 6
    value = freedom * residual_sd**2 / (2 * picking_sd**2)
    if value <= chi2.ppf(0.999, freedom):
        return ""
    return (
        f"what the fit leaves ({residual_sd:.1f} mm) is far above the picking error entered "
        f"({picking_sd:.1f} mm); pair {worst + 1} is {largest:.1f} mm off: swapped or misplaced?"
    )
