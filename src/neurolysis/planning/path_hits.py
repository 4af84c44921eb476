"""How often a needle aimed at a nerve meets it, and what it meets on the way, when placement is not exact.

The error moves the tip by a normal error that is the same in every direction; the place where the needle
enters the skin stays. The nerve is moved by its own spread. The closed forms are the yardstick of the
sampling: for a point and for a straight line without end.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurolysis.geometry import Curve, FloatArray
from neurolysis.planning.path_maps import PathMaps
from neurolysis.quantity import Value

SAMPLES = 4000
Z_95 = 1.959964
STEP_MM = 1.0
BATCH = 500


class Probability(Value):
    """A share of samples with its 95 % interval (Wilson), for the sampling alone."""

    value: float = Field(ge=0, le=1)
    low: float = Field(ge=0, le=1)
    high: float = Field(ge=0, le=1)
    samples: int = Field(gt=0)


def probability(hits: NDArray[np.bool_]) -> Probability:
    """The share of true values with Wilson's interval."""
    n, p = len(hits), float(hits.mean())
    scale = 1.0 + Z_95**2 / n
    middle = (p + Z_95**2 / (2 * n)) / scale
    half = Z_95 * math.sqrt(p * (1 - p) / n + Z_95**2 / (4 * n * n)) / scale
    return Probability(value=p, low=max(0.0, middle - half), high=min(1.0, middle + half), samples=n)


def hit_of_line(reach_mm: float, sd_mm: float) -> float:
    """Chance that a point with a normal error comes within reach of a straight line without end.

    The distance to the line has two normal parts: Rayleigh, ``1 - exp(-r^2 / 2 s^2)``.
    """
    return -math.expm1(-(reach_mm**2) / (2.0 * sd_mm**2)) if sd_mm > 0 else 1.0


def hit_of_point(reach_mm: float, sd_mm: float) -> float:
    """Chance that a point with a normal error comes within reach of the point it was aimed at.

    Three normal parts: Maxwell, ``erf(x) - 2 x exp(-x^2) / sqrt(pi)`` with ``x = r / (s sqrt 2)``.
    """
    if sd_mm <= 0:
        return 1.0
    x = reach_mm / (sd_mm * math.sqrt(2.0))
    return math.erf(x) - 2.0 * x * math.exp(-x * x) / math.sqrt(math.pi)


def moved_tips(
    tip_mm: FloatArray, sd_mm: float, samples: int, seed: int
) -> tuple[FloatArray, np.random.Generator]:
    """Tips (samples, 3) with a normal error, and the generator for what is drawn next."""
    rng = np.random.default_rng(seed)
    return tip_mm + sd_mm * rng.standard_normal((samples, 3)), rng


def nerve_distances(
    tip_mm: FloatArray,
    entry_mm: FloatArray,
    active_mm: float,
    nerve: Curve,
    sds_mm: tuple[float, float],
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> FloatArray:
    """Distance (samples,) from the axis of the bare tip to the nerve's line in each sample, mm.

    Args:
        active_mm: length of the bare tip.
        sds_mm: standard deviation in each direction of the tip's place, and of the nerve's.
    """
    tips, rng = moved_tips(tip_mm, sds_mm[0], samples, seed)
    shift = sds_mm[1] * rng.standard_normal((samples, 3))
    along = entry_mm - tips
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    depth = np.linspace(0.0, active_mm, max(2, int(np.ceil(active_mm / STEP_MM)) + 1))
    points = tips[:, None, :] + depth[None, :, None] * along[:, None, :] - shift[:, None, :]
    result: FloatArray = nerve.distance_mm(points).min(axis=1)
    return result


def structure_hits(
    maps: PathMaps,
    tip_mm: FloatArray,
    entry_mm: FloatArray,
    radius_mm: float,
    sd_mm: float,
    *,
    samples: int = SAMPLES,
    seed: int = 0,
) -> tuple[Probability, ...]:
    """Chance that the needle touches each obstacle of the maps, (K,).

    Distances come from the maps, so they are off by up to a voxel; each obstacle's own spread is added
    as a normal error of its distance.
    """
    tips, rng = moved_tips(tip_mm, sd_mm, samples, seed)
    steps = np.arange(0.0, float(np.linalg.norm(entry_mm - tip_mm)), STEP_MM)
    share = (steps / max(float(steps[-1]), STEP_MM))[None, :, None] if len(steps) else np.zeros((1, 1, 1))
    nearest = np.empty((len(maps.obstacles), samples), np.float32)
    for start in range(0, samples, BATCH):
        part = tips[start : start + BATCH]
        points = part[:, None, :] + share * (entry_mm - part)[:, None, :]
        flat, inside = maps.flat_index(points)
        for k, gap in enumerate(maps.gaps):
            near = np.where(inside, np.take(gap, flat), np.float32(1e3))
            nearest[k, start : start + BATCH] = near.min(axis=1)
    spreads = np.array([one.sd_mm for one in maps.obstacles])
    moved = nearest + spreads[:, None] * rng.standard_normal(nearest.shape)
    return tuple(probability(row <= radius_mm) for row in moved)
