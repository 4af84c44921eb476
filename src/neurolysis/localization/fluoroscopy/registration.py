"""Where the CT lies in the C-arm's frame: simulated X-rays are moved until they match the taken ones.

Derivative-free, from several starts, coarse to fine. The measure is the correlation of gradients mixed with
that of values. The verdict is "failed" unless the match is good, and starts that differ end at the same
place; a single good-looking end proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Point, RigidTransform
from neurolysis.localization.fluoroscopy.carm import CArm
from neurolysis.localization.fluoroscopy.drr import Attenuation, simulated_xray
from neurolysis.localization.fluoroscopy.triangulation import rotation_about
from neurolysis.quantity import Value

COARSE, MIDDLE, FINE = 40, 80, 128
"""Columns of the images at the three levels."""
GRADIENT_SHARE = 0.7
STARTS, KEPT = 10, 3
SCALE = np.array([4.0, 4.0, 4.0, 5.0, 5.0, 5.0])
"""First steps of the search: degrees and mm."""
LEAST_MATCH = 0.6
AGREE_MM = 1.5
"""Found: gradient correlation at the finest level at least this, and the best two ends this near."""

Verdict = Literal["found", "failed"]
Progress = Callable[[float, str], None]


@dataclass(frozen=True)
class TakenView:
    """A taken X-ray: line integrals (rows, columns) and the C-arm's geometry as stated."""

    carm: CArm
    xray: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.xray.shape != (self.carm.rows, self.carm.columns):
            raise InputError(
                "the image's size is not the detector's", found=self.xray.shape,
                allowed=str((self.carm.rows, self.carm.columns)),
            )  # fmt: skip


class Registered(Value):
    """What a registration gave.

    ``move`` takes places of the C-arm's frame to the CT's. ``match`` is the gradient correlation (1: equal)
    at the finest level; ``spread_mm`` how far the best two ends lie apart at points 50 mm round the centre.
    """

    verdict: Verdict
    reason: str
    move: RigidTransform
    rotation_deg: Point
    shift_mm: Point
    match: float
    spread_mm: float
    starts: int = Field(gt=0)
    evaluations: int
    views: int


class _Level:
    """Taken images and the attenuation at one size, with the measure."""

    def __init__(self, views: Sequence[TakenView], attenuation: Attenuation, columns: int) -> None:
        self.attenuation = attenuation
        self.carms = [view.carm.scaled(min(columns, view.carm.columns)) for view in views]
        self.taken = [_resized(v.xray, c.rows, c.columns) for v, c in zip(views, self.carms, strict=True)]
        self.count = 0

    def match(self, move: RigidTransform) -> tuple[float, float]:
        """Mean correlation of values and of gradients over the views."""
        self.count += 1
        values, gradients = [], []
        for carm, taken in zip(self.carms, self.taken, strict=True):
            made = simulated_xray(self.attenuation, carm.moved(move), every=2)
            values.append(_correlation(made, taken))
            gradients.append(
                0.5 * sum(_correlation(np.diff(made, axis=a), np.diff(taken, axis=a)) for a in (0, 1))
            )
        return float(np.mean(values)), float(np.mean(gradients))

    def cost(self, move: RigidTransform) -> float:
        """Low where the images are alike."""
        value, gradient = self.match(move)
        return -(1 - GRADIENT_SHARE) * value - GRADIENT_SHARE * gradient


def register(
    image: Attenuation,
    views: Sequence[TakenView],
    centre_mm: FloatArray,
    *,
    seed: int = 0,
    progress: Progress = lambda fraction, message: None,
) -> Registered:
    """Find the CT in the C-arm's frame.

    Args:
        centre_mm: a point (3,) that the stated geometry puts near its true place; turns are about it.

    Raises:
        InputError: no view, or an image without contrast.
    """
    if not views:
        raise InputError("a registration needs one X-ray or more", found=0)
    for number, view in enumerate(views, start=1):
        if not np.isfinite(view.xray).all() or float(np.ptp(view.xray)) < 1e-6:
            raise InputError("the X-ray shows nothing", where=f"view {number}")
    centre, half = np.asarray(centre_mm, float), image.halved()

    def move(pose: FloatArray) -> RigidTransform:
        return rotation_about(pose[:3], centre, pose[3:])

    levels = [_Level(views, half, COARSE), _Level(views, half, MIDDLE), _Level(views, image, FINE)]
    ends = _coarse_ends(levels[0], move, np.random.default_rng(seed))
    progress(0.3, "registration, middle")
    ends = [_search(levels[1], move, end, SCALE / 4, 160) for end in ends[:KEPT]]
    ends.sort(key=lambda end: end[1])
    progress(0.7, "registration, fine")
    finest = [_search(levels[2], move, (pose, 0.0), SCALE / 16, 110) for pose, _ in ends[:2]]
    finest.sort(key=lambda end: end[1])
    best = finest[0][0]
    match = levels[2].match(move(best))[1]
    spread = _apart(move(best), move(finest[1][0]), centre)
    verdict, reason = _judged(match, spread)
    return Registered(
        verdict=verdict,
        reason=reason,
        move=move(best),
        rotation_deg=_point(best[:3]),
        shift_mm=_point(best[3:]),
        match=match,
        spread_mm=spread,
        starts=STARTS,
        evaluations=sum(level.count for level in levels),
        views=len(views),
    )


End = tuple[FloatArray, float]


def _coarse_ends(
    level: _Level, move: Callable[[FloatArray], RigidTransform], rng: np.random.Generator
) -> list[End]:
    """Ends of short searches from the stated pose and from starts round it, best first."""
    starts = [np.zeros(6), *(2.0 * SCALE * rng.uniform(-1, 1, 6) for _ in range(STARTS - 1))]
    ends = [_search(level, move, (start, 0.0), SCALE, 90) for start in starts]
    ends.sort(key=lambda end: end[1])
    return ends


def _search(
    level: _Level, move: Callable[[FloatArray], RigidTransform], start: End, scale: FloatArray, most: int
) -> End:
    from scipy.optimize import minimize

    def cost(x: FloatArray) -> float:
        return level.cost(move(start[0] + scale * x))

    simplex = np.vstack([np.zeros(6), np.eye(6)])
    found = minimize(
        cost, np.zeros(6), method="Nelder-Mead",
        options={"maxfev": most, "initial_simplex": simplex, "xatol": 1e-3, "fatol": 1e-5, "adaptive": True},
    )  # fmt: skip
    return start[0] + scale * found.x, float(found.fun)


def _judged(match: float, spread: float) -> tuple[Verdict, str]:
    if match < LEAST_MATCH:
        return (
            "failed",
            f"the images do not match: gradient correlation {match:.2f}, at least {LEAST_MATCH} wanted",
        )
    if spread > AGREE_MM:
        return "failed", f"two searches end {spread:.1f} mm apart, at most {AGREE_MM:g} mm wanted"
    return "found", f"gradient correlation {match:.2f}; two searches end {spread:.2f} mm apart"


def _apart(a: RigidTransform, b: RigidTransform, centre: FloatArray) -> float:
    """Mean distance between where two moves put points 50 mm from the centre along the axes."""
    points = centre + 50.0 * np.vstack([np.eye(3), -np.eye(3)])
    return float(np.linalg.norm(a.apply(points) - b.apply(points), axis=1).mean())


def target_error_mm(move: RigidTransform, truth: RigidTransform, points_mm: FloatArray) -> float:
    """Mean target registration error over points (n, 3) of the CT, mm."""
    back = truth.inverse().apply(points_mm)
    return float(np.linalg.norm(move.apply(back) - points_mm, axis=1).mean())


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    x, y = a - a.mean(), b - b.mean()
    size = float(np.sqrt((x * x).sum() * (y * y).sum()))
    return float((x * y).sum()) / size if size > 0 else 0.0


def _resized(xray: NDArray[np.float32], rows: int, columns: int) -> NDArray[np.float32]:
    """Averaged into other pixels of the same detector."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    ratio = np.array(xray.shape) / np.array([rows, columns])
    smooth = gaussian_filter(xray.astype(np.float32), 0.4 * np.maximum(ratio - 1, 0))
    at = np.meshgrid(
        (np.arange(rows) + 0.5) * ratio[0] - 0.5, (np.arange(columns) + 0.5) * ratio[1] - 0.5, indexing="ij"
    )
    return np.asarray(map_coordinates(smooth, at, order=1, mode="nearest"), np.float32)


def _point(vector: FloatArray) -> Point:
    x, y, z = (float(c) for c in vector)
    return x, y, z
