"""The surface of one structure in both images: iterative closest points, and whether the shape holds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, RigidTransform, Volume
from neurolysis.localization.registration.result import (
    ImageRegistration,
    nested,
    point_jacobian,
    turned,
)

POINTS, LEAST_POINTS, STEPS = 1500, 60, 60
KEPT_SHARE = 0.9
"""Share of the pairs with the smallest gaps that are used: labels end differently in two images."""
LARGEST_GAP_MM, FAR_MM = 2.0, 1e3
PATCH_MM = 5.0
"""Neighbouring surface points share their error; one in a patch of this size counts (our choice)."""
LEAST_HOLD = 0.01
"""Mean square share of the normals along the motion the shape holds least, below which it does not hold:
balls and tubes reach 0.0002, vertebrae 0.08 to 0.15, organs 0.015 to 0.09 (our choice between them)."""
STARTS_DEG = (0.0, 12.0, -12.0)


@dataclass(frozen=True)
class Surface:
    """Points (n, 3) mm on a surface, the outward normals (n, 3) there, and the longest voxel edge."""

    points: FloatArray
    normals: FloatArray
    voxel_mm: float


def surface_of(mask: Volume, seed: int = 0) -> Surface:
    """Where a mask (0 and 1) ends: points half-way across its faces, normals by its smoothed slope.

    Raises:
        InputError: fewer than 60 faces.
    """
    from scipy.ndimage import gaussian_filter, map_coordinates

    inside = np.asarray(mask.array > 0)
    smooth = gaussian_filter(inside.astype(float), 1.5 * mask.spacing_mm.min() / mask.spacing_mm)
    slope = np.stack(np.gradient(smooth), axis=-1)
    places = []
    for axis in range(3):
        ahead = np.diff(inside.astype(np.int8), axis=axis) != 0
        at = np.argwhere(ahead).astype(float)
        at[:, axis] += 0.5
        places.append(at)
    index = np.concatenate(places)
    if len(index) < LEAST_POINTS:
        raise InputError(
            "too little surface to register by", where=mask.name, found=f"{len(index)} faces",
            allowed=f"at least {LEAST_POINTS}",
        )  # fmt: skip
    chosen = np.random.default_rng(seed).permutation(len(index))[:POINTS]
    index = index[np.sort(chosen)]
    steps = np.stack([map_coordinates(slope[..., k], index.T, order=1) for k in range(3)], axis=-1)
    normals = -(steps / mask.spacing_mm) @ (mask.affine[:3, :3] / mask.spacing_mm).T
    size = np.linalg.norm(normals, axis=1, keepdims=True)
    good = size[:, 0] > 1e-9
    return Surface(
        mask.to_lps(index)[good], (normals / np.maximum(size, 1e-12))[good], float(mask.spacing_mm.max())
    )


def register_surfaces(
    moving: Surface, fixed: Surface, start: RigidTransform | None = None
) -> ImageRegistration:
    """Bring a surface to another, point to plane, from several turns about a start.

    Without a start the middles are laid on each other. Failed: the gaps that are left are large, or the shape
    does not hold the move (a ball can turn, a tube can slide).
    """
    first = start or RigidTransform.from_arrays(
        np.eye(3), fixed.points.mean(axis=0) - moving.points.mean(axis=0)
    )
    centre = fixed.points.mean(axis=0)
    tried = [_closest(moving, fixed, _begun(first, centre, turn)) for turn in _turns()]
    move, gaps, jacobian = min(tried, key=lambda one: float(np.abs(one[1]).mean()))
    spread = float(np.sqrt((gaps**2).mean()))
    # A face of voxels stands anywhere within an edge of the true surface: edge / sqrt(12) in each image.
    point_sd = float(np.sqrt(spread**2 + (moving.voxel_mm**2 + fixed.voxel_mm**2) / 12))
    information = jacobian.T @ jacobian * _independent(moving.points) / len(jacobian)
    inverse: FloatArray = np.asarray(np.linalg.pinv(information, rcond=1e-10, hermitian=True), np.float64)
    covariance = point_sd**2 * inverse
    held = _held(jacobian, fixed.points - centre)
    reason = _reason(spread, held)
    return ImageRegistration(
        method="surface",
        verdict="failed" if reason else "found",
        reason=reason or f"surfaces lie {spread:.2f} mm from each other (root mean square)",
        move=move,
        centre_mm=tuple(float(v) for v in centre),
        covariance=nested(covariance),
        covariance_from=f"first-order spread of a fit of surfaces, one point in {PATCH_MM:g} mm counted, "
        f"{point_sd:.2f} mm a point with the voxels' edges",
        blind_spots="an outline drawn too large or too small alike, and change of shape between the images",
        measures={
            "gap_rms_mm": spread,
            "hold": held,
            "points": float(len(moving.points)),
        },
    )


def _turns() -> list[FloatArray]:
    """Rotation vectors (3,) of the starts, rad: none, and to either side about each axis."""
    made = [np.zeros(3)]
    for axis in range(3):
        made += [np.radians(angle) * np.eye(3)[axis] for angle in STARTS_DEG[1:]]
    return made


def _begun(first: RigidTransform, centre: FloatArray, turn: FloatArray) -> RigidTransform:
    rotation = turned(turn)
    return RigidTransform.from_arrays(rotation, centre - rotation @ centre).compose(first)


def _closest(
    moving: Surface, fixed: Surface, move: RigidTransform
) -> tuple[RigidTransform, FloatArray, FloatArray]:
    """The move, the signed gaps (n,) of the pairs kept, and their Jacobian (n, 6) about the fixed middle."""
    from scipy.spatial import cKDTree

    tree, centre = cKDTree(fixed.points), fixed.points.mean(axis=0)
    gaps, jacobian = np.zeros(0), np.zeros((0, 6))
    for _ in range(STEPS):
        at = move.apply(moving.points)
        far, near = tree.query(at)
        alike = np.einsum("ij,ij->i", fixed.normals[near], moving.normals @ np.array(move.rotation).T) > 0
        kept = (far <= np.quantile(far, KEPT_SHARE)) & alike
        if kept.sum() < LEAST_POINTS // 2:
            return move, np.full(1, FAR_MM), np.zeros((1, 6))
        normals = fixed.normals[near[kept]]
        gaps = np.einsum("ij,ij->i", at[kept] - fixed.points[near[kept]], normals)
        jacobian = np.einsum("ij,ijk->ik", normals, point_jacobian(at[kept] - centre))
        step = np.linalg.lstsq(jacobian, -gaps, rcond=1e-8)[0]
        rotation = turned(step[:3])
        move = RigidTransform.from_arrays(rotation, centre - rotation @ centre + step[3:]).compose(move)
        if np.abs(step[3:]).max() < 1e-4 and np.abs(step[:3]).max() < 1e-6:
            break
    return move, gaps, jacobian


def _independent(points: FloatArray) -> int:
    """How many patches of :data:`PATCH_MM` the points (n, 3) lie in."""
    cells: NDArray[np.int64] = np.floor(points / PATCH_MM).astype(np.int64)
    return len(np.unique(cells, axis=0))


def _held(jacobian: FloatArray, away: FloatArray) -> float:
    """Mean square share of the normals along the motion held least; turns count at the mean radius."""
    size = float(np.sqrt((away**2).sum(axis=1).mean()))
    scaled = jacobian @ np.diag([1 / size] * 3 + [1.0] * 3)
    return max(float(np.linalg.eigvalsh(scaled.T @ scaled / len(scaled)).min()), 0.0)


def _reason(spread: float, held: float) -> str:
    if not spread <= LARGEST_GAP_MM:
        return f"the surfaces stay {min(spread, 999):.1f} mm apart (at most {LARGEST_GAP_MM:g} mm)"
    if held < LEAST_HOLD:
        return f"the shape does not hold the move: it can slide or turn ({held:.4f}, at least {LEAST_HOLD:g})"
    return ""
