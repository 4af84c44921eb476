"""Needle paths from the skin to a target: the best candidates of the distance maps, measured exactly.

Only paths that keep every limit when measured against the voxels' faces are offered, and none without skin
in the image.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurolysis.errors import InputError
from neurolysis.geometry import Curve, FloatArray, Point
from neurolysis.planning.path_hits import Probability, nerve_distances, probability, structure_hits
from neurolysis.planning.path_limits import PathLimits
from neurolysis.planning.path_maps import PathMaps, exact_gaps
from neurolysis.planning.path_scores import (
    CANDIDATES,
    Scores,
    aims_on,
    enough_mm,
    ranking,
    ruled_out,
    score_paths,
)
from neurolysis.planning.surroundings import bone_names, share_of
from neurolysis.quantity import Value
from neurolysis.scene import TissueMap

FINE_STEP_MM = 0.5
NEAR_MM = 30.0
"""Clearances are measured up to this distance; more reads as this much."""
ENTRIES_APART_MM = 10.0
"""Offered paths enter the skin at least this far from each other, so that they are really different."""
TRIED = 400
"""How many of the best by the maps are measured exactly before giving up."""


class Clearance(Value):
    """What one path keeps from one structure: from the needle's surface to the nearest voxel face.

    ``depth_mm`` is how far from the tip the nearest place lies; ``gap_mm`` below zero is inside.
    """

    name: str
    kind: str
    gap_mm: float
    depth_mm: float
    margin_mm: float
    touched: Probability | None = None
    review: str = ""


class NeedlePathOffer(Value):
    """One path that keeps every limit.

    Attributes:
        aim_mm: the place on the nerve it is made for.
        angle_deg: between needle and nerve; None where the nerve's course is not known.
        slack_mm: smallest clearance beyond its margin.
        reach_mm: distance from the bare tip's axis at which the nerve counts as met.
    """

    rank: int = Field(ge=1)
    tip_mm: Point
    entry_mm: Point
    aim_mm: Point
    direction_to_hub: Point
    length_mm: float
    angle_deg: float | None
    bone_mm: float
    slack_mm: float
    clearances: tuple[Clearance, ...]
    met: Probability | None = None
    reach_mm: float | None = None


class PathSearch(Value):
    """What a search gave.

    ``ruled_out`` counts candidates by the first thing that rules them out; ``passed`` is how many the
    distance maps let through; ``remarks`` say what the search rests on.
    """

    candidates: int
    ruled_out: Mapping[str, int]
    passed: int
    offers: tuple[NeedlePathOffer, ...]
    remarks: tuple[str, ...]


def find_paths(
    maps: PathMaps,
    tissues: TissueMap,
    limits: PathLimits,
    nerve: Curve,
    *,
    has_course: bool = True,
    count: int = CANDIDATES,
    offers: int = 5,
) -> PathSearch:
    """The best paths to a nerve, measured exactly; none where nothing keeps every limit.

    Raises:
        InputError: the skin is not in the image where paths would enter.
    """
    asked = limits if has_course else limits.replace(approach=None)
    aims, along = aims_on(nerve)
    scores = score_paths(maps, asked, aims, along, count)
    if not (scores.seen & ~scores.too_long).any():
        raise InputError(
            "no needle path: the skin is not in the image within the instrument's length",
            where="image",
            found="every candidate leaves the image, or ends, inside the body",
            allowed="an image that reaches the skin on the side needles come from, or a longer instrument",
        )
    reason = ruled_out(scores, maps, asked)
    chosen = _chosen(scores, ranking(scores, reason, asked), maps, tissues, asked, offers, has_course)
    counts = {str(word): int((reason == word).sum()) for word in dict.fromkeys(reason) if word}
    return PathSearch(
        candidates=count,
        ruled_out=dict(sorted(counts.items(), key=lambda item: -item[1])),
        passed=int((reason == "").sum()),
        offers=chosen,
        remarks=_remarks(limits, has_course),
    )


def _remarks(limits: PathLimits, has_course: bool) -> tuple[str, ...]:
    found = []
    if limits.approach and not has_course:
        found.append(
            f"The course of the nerve is not known, so the approach '{limits.approach}' was not asked for."
        )
    if limits.largest_head_feet_deg is None and limits.largest_sideways_deg is None:
        found.append("No limit on the needle's angles was given.")
    if limits.up is None:
        found.append("The patient's position is not given: needles may come from any side.")
    return tuple(found)


def _point(point: FloatArray) -> Point:
    """A place as three plain numbers, rounded to a hundredth of a millimetre."""
    x, y, z = (round(float(c), 2) for c in point)
    return x, y, z


def _chosen(
    scores: Scores,
    order: NDArray[np.int64],
    maps: PathMaps,
    tissues: TissueMap,
    limits: PathLimits,
    wanted: int,
    has_course: bool,
) -> tuple[NeedlePathOffer, ...]:
    """The first paths of a ranking that pass exactly and enter apart from each other, best first."""
    found: list[NeedlePathOffer] = []
    for number in order[:TRIED]:
        entry = scores.tips_mm[number] + scores.lengths_mm[number] * scores.directions[number]
        if any(np.linalg.norm(entry - np.array(one.entry_mm)) < ENTRIES_APART_MM for one in found):
            continue
        offer = measured(scores, int(number), maps, tissues, limits, has_course)
        if offer.slack_mm >= 0 and offer.bone_mm <= limits.bone_mm:
            found.append(offer)
        if len(found) == wanted:
            break
    best = sorted(found, key=lambda one: (-np.floor(min(one.slack_mm, enough_mm())), one.length_mm))
    return tuple(one.replace(rank=k) for k, one in enumerate(best, start=1))


def measured(
    scores: Scores, number: int, maps: PathMaps, tissues: TissueMap, limits: PathLimits, has_course: bool
) -> NeedlePathOffer:
    """One candidate measured exactly: every clearance to voxel faces, bone along the path."""
    tip, along = scores.tips_mm[number], scores.directions[number]
    length = float(scores.lengths_mm[number])
    depth = np.arange(0.0, length + FINE_STEP_MM / 2, FINE_STEP_MM)
    points = tip + depth[:, None] * along
    clearances = path_clearances(maps, points, depth, limits.radius_mm)
    bone = share_of(tissues, points, bone_names(tissues)) * length
    slack = min((one.gap_mm - one.margin_mm for one in clearances), default=NEAR_MM)
    return NeedlePathOffer(
        rank=1,
        tip_mm=_point(tip),
        entry_mm=_point(tip + length * along),
        aim_mm=_point(scores.aims_mm[number]),
        direction_to_hub=tuple(along.tolist()),
        length_mm=length,
        angle_deg=float(scores.angles_deg[number]) if has_course else None,
        bone_mm=bone,
        slack_mm=slack,
        clearances=clearances,
    )


def path_clearances(
    maps: PathMaps, points_mm: FloatArray, depth_mm: FloatArray, radius_mm: float
) -> tuple[Clearance, ...]:
    """Clearance of points (n, 3) along a needle, ``depth_mm`` (n,) from its tip, to every obstacle.

    Nearest first. Exact to voxel faces up to 30 mm; further off reads as 30 mm.
    """
    found = []
    for one in maps.obstacles:
        gap = exact_gaps(one, points_mm, NEAR_MM)
        at = int(np.argmin(gap))
        found.append(
            Clearance(
                name=one.name,
                kind=one.kind,
                gap_mm=float(gap[at]) - radius_mm,
                depth_mm=float(depth_mm[at]),
                margin_mm=one.margin_mm,
                review=one.review,
            )
        )
    return tuple(sorted(found, key=lambda one: one.gap_mm))


def with_chances(
    offer: NeedlePathOffer,
    maps: PathMaps,
    limits: PathLimits,
    nerve: Curve,
    sds_mm: tuple[float, float],
    reach_mm: float,
    *,
    seed: int = 0,
) -> NeedlePathOffer:
    """The path with the chance of meeting the nerve and of touching each structure.

    Args:
        sds_mm: standard deviations in each direction of the tip and of the nerve's place.
        reach_mm: distance from the bare tip's axis at which the nerve counts as met.
    """
    tip, entry = np.array(offer.tip_mm), np.array(offer.entry_mm)
    away = nerve_distances(tip, entry, limits.active_mm, nerve, sds_mm, seed=seed)
    touched = structure_hits(maps, tip, entry, limits.radius_mm, sds_mm[0], seed=seed)
    by_name = {one.name: chance for one, chance in zip(maps.obstacles, touched, strict=True)}
    return offer.replace(
        met=probability(away <= reach_mm),
        reach_mm=reach_mm,
        clearances=tuple(one.replace(touched=by_name[one.name]) for one in offer.clearances),
    )


def reach_for(share: float, sd_mm: float) -> float:
    """The reach (mm) a treatment needs to meet a straight nerve in this share of placements.

    The inverse of :func:`neurolysis.planning.path_hits.hit_of_line`.
    """
    if not 0 < share < 1:
        raise InputError("a share lies between 0 and 1", found=share)
    return float(sd_mm * np.sqrt(-2.0 * np.log(1.0 - share)))
