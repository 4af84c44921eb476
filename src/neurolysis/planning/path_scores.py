"""Ten thousand straight candidates scored on distance maps, what rules each out, and their ranking."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolysis.geometry import Curve, FloatArray, Point, unit_vector
from neurolysis.planning.path_limits import PathLimits, path_numbers
from neurolysis.planning.path_maps import SEEN_MM, PathMaps, skin_seen

STEP_MM = 1.0
CANDIDATES = 10_000
BATCH = 2_500
THROUGH_MM = 1e3
"""Stands as slack for a path that runs through an obstacle: a point of it lies in one of its voxels."""


@dataclass(frozen=True)
class Scores:
    """Candidates on the distance maps, one row each; internal to the search."""

    tips_mm: FloatArray
    directions: FloatArray
    aims_mm: FloatArray
    angles_deg: FloatArray
    lengths_mm: FloatArray
    bone_mm: FloatArray
    slack_mm: FloatArray
    worst: NDArray[np.int64]
    seen: NDArray[np.bool_]
    too_long: NDArray[np.bool_]


def directions(count: int, up: Point | None) -> FloatArray:
    """Unit vectors (count, 3) spread evenly over the sphere, or over the half of it around ``up``.

    A Fibonacci spiral: heights in even steps, each turned by the golden angle.
    """
    low = -1.0 if up is None else 0.0
    height = low + (1.0 - low) * (np.arange(count) + 0.5) / count
    turn = np.pi * (3.0 - np.sqrt(5.0)) * np.arange(count)
    ring = np.sqrt(1.0 - height**2)
    local = np.column_stack([ring * np.cos(turn), ring * np.sin(turn), height])
    axis = unit_vector((0.0, 0.0, 1.0) if up is None else up)
    helper = np.array([0.0, 0.0, 1.0]) if abs(axis[2]) < 0.9 else np.array([1.0, 0.0, 0.0])
    first = unit_vector(np.cross(helper, axis))
    result: FloatArray = local @ np.array([first, np.cross(axis, first), axis])
    return result


def aims_on(nerve: Curve, count: int = 5) -> tuple[FloatArray, FloatArray]:
    """Places (m, 3) on a nerve to aim at, evenly spaced, and its direction (m, 3) at each."""
    arc, points = nerve.resample(max(nerve.length_mm() / 40.0, 0.1))
    at = np.linspace(0.0, arc[-1], count + 2)[1:-1] if nerve.length_mm() > 5.0 else np.array([0.5 * arc[-1]])
    places = np.column_stack([np.interp(at, arc, points[:, k]) for k in range(3)])
    before = np.column_stack([np.interp(at - 0.5, arc, points[:, k]) for k in range(3)])
    after = np.column_stack([np.interp(at + 0.5, arc, points[:, k]) for k in range(3)])
    along = after - before
    return places, along / np.linalg.norm(along, axis=1, keepdims=True)


def score_paths(
    maps: PathMaps, limits: PathLimits, aims_mm: FloatArray, along: FloatArray, count: int = CANDIDATES
) -> Scores:
    """Score ``count`` straight candidates on the distance maps.

    Args:
        aims_mm: places (m, 3) on the nerve; ``along`` (m, 3) its direction at each.
    """
    each = int(np.ceil(count / len(aims_mm)))
    towards = np.concatenate([directions(each, limits.up)] * len(aims_mm))[:count]
    aims = np.repeat(aims_mm, each, axis=0)[:count]
    cosine = np.abs(np.sum(towards * np.repeat(along, each, axis=0)[:count], axis=1))
    angles = np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0)))
    tips = aims - limits.beyond_mm * towards
    parts = [
        score_lines(maps, limits, tips[k : k + BATCH], towards[k : k + BATCH]) for k in range(0, count, BATCH)
    ]
    length, bone, slack, worst, seen, too_long = (
        np.concatenate(column) for column in zip(*parts, strict=True)
    )
    return Scores(
        tips_mm=tips,
        directions=towards,
        aims_mm=aims,
        angles_deg=angles,
        lengths_mm=length,
        bone_mm=bone,
        slack_mm=slack,
        worst=worst,
        seen=seen,
        too_long=too_long,
    )


def score_lines(
    maps: PathMaps, limits: PathLimits, tips: FloatArray, towards: FloatArray
) -> tuple[NDArray[np.generic], ...]:
    """Length, bone, slack, worst obstacle, skin seen and too long of candidates (n, 3)."""
    depth = np.arange(0.0, limits.length_mm + SEEN_MM + 2 * STEP_MM, STEP_MM, dtype=np.float32)
    flat, inside = _lookup(maps, tips, towards, depth)
    body = np.take(maps.body, flat) & inside
    last, seen = skin_seen(body, np.take(maps.air, flat), inside, STEP_MM)
    too_long = body.any(axis=1) & (depth[last] + STEP_MM > limits.length_mm)
    used = np.arange(len(depth))[None, :] <= last[:, None]
    bone = STEP_MM * np.sum(np.take(maps.bone, flat) & inside & used, axis=1)
    slack = np.full(len(tips), np.inf, np.float32)
    worst = np.full(len(tips), -1, np.int64)
    for k, one in enumerate(maps.obstacles):
        near = np.where(used & inside, np.take(maps.gaps[k], flat), np.float32(np.inf)).min(axis=1)
        spare = np.where(
            near > 0, near - np.float32(limits.radius_mm + one.margin_mm), np.float32(-THROUGH_MM)
        )
        worst = np.where(spare < slack, k, worst)
        slack = np.minimum(slack, spare)
    length = depth[last] + 0.5 * STEP_MM
    return length.astype(np.float64), bone.astype(np.float64), slack.astype(np.float64), worst, seen, too_long


def _lookup(
    maps: PathMaps, tips: FloatArray, towards: FloatArray, depth: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """Flat voxel and whether it is in the maps, both (n, m), of points every step along candidates."""
    start = maps.box.to_index(tips).astype(np.float32)
    step = (towards @ maps.box.inverse_affine[:3, :3].T).astype(np.float32)
    flat = np.zeros((len(tips), len(depth)), np.int32)
    inside = np.ones(flat.shape, bool)
    for axis, size in enumerate(maps.box.shape):
        index = np.rint(start[:, axis, None] + depth[None, :] * step[:, axis, None]).astype(np.int32)
        inside &= (index >= 0) & (index < size)
        flat *= size
        flat += index
    flat[~inside] = 0
    return flat, inside


def ruled_out(scores: Scores, maps: PathMaps, limits: PathLimits) -> NDArray[np.object_]:
    """The first thing that rules each candidate out, in words, (n,); empty text: nothing does."""
    off = 90.0 - scores.angles_deg if limits.approach == "perpendicular" else scores.angles_deg
    reason = np.full(len(scores.seen), "", dtype=object)
    named = np.array([f"{one.name} is in the way" for one in maps.obstacles] + [""], dtype=object)
    checks: list[tuple[NDArray[np.bool_], str | NDArray[np.object_]]] = [
        (~scores.seen & ~scores.too_long, "no skin: the path leaves the image inside the body"),
        (scores.too_long, "the instrument is too short"),
        (off > limits.within_deg if limits.approach else np.zeros(len(off), bool), f"not {limits.approach}"),
        (_too_tilted(scores.directions, limits), "beyond the angle limits"),
        (scores.bone_mm > limits.bone_mm, "bone is in the way"),
        (scores.slack_mm < -maps.coarse_mm, named[scores.worst]),
    ]
    for broken, words in checks:
        open_ = broken & (reason == "")
        reason[open_] = words[open_] if isinstance(words, np.ndarray) else words
    return reason


def tilt_deg(towards: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Angles (n,) of directions (n, 3): to head or feet, and sideways off straight back or front, degrees."""
    head = np.degrees(np.arcsin(np.clip(np.abs(towards[..., 2]), 0.0, 1.0)))
    sideways = np.degrees(np.arctan2(np.abs(towards[..., 0]), np.abs(towards[..., 1])))
    return head, sideways


def _too_tilted(towards: FloatArray, limits: PathLimits) -> NDArray[np.bool_]:
    head, sideways = tilt_deg(towards)
    tilted = np.zeros(len(towards), bool)
    if limits.largest_head_feet_deg is not None:
        tilted |= head > limits.largest_head_feet_deg
    if limits.largest_sideways_deg is not None:
        tilted |= sideways > limits.largest_sideways_deg
    return tilted


def enough_mm() -> float:
    """Slack beyond which more is not better: three standard deviations of placement, mm."""
    return 3.0 * path_numbers().placement_sd_mm.value


def ranking(scores: Scores, reason: NDArray[np.object_], limits: PathLimits) -> NDArray[np.int64]:
    """Candidates that nothing rules out, best first.

    By slack in whole millimetres up to :func:`enough_mm`, then by the angle off the approach in steps
    of 5 degrees, then by length.
    """
    free = np.flatnonzero(reason == "")
    off = np.zeros(len(scores.seen))
    if limits.approach:
        off = 90.0 - scores.angles_deg if limits.approach == "perpendicular" else scores.angles_deg
    slack = np.floor(np.minimum(scores.slack_mm[free], enough_mm()))
    order = np.lexsort((scores.lengths_mm[free], np.floor(off[free] / 5.0), -slack))
    result: NDArray[np.int64] = free[order]
    return result
