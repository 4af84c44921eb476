"""Paths to a case's target, and the path of an instrument that is already laid, both with clearances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.evidence.instruments import instrument
from neurolysis.geometry import FloatArray, Point
from neurolysis.localization.scene_builder import given_target
from neurolysis.localization.schemes import Labels, read_label_map
from neurolysis.localization.structures import Surroundings, labelled_structures
from neurolysis.localization.targets.locate import FoundTarget, locate_target
from neurolysis.localization.targets.rules import findable_targets
from neurolysis.plan import Placement
from neurolysis.planning.needle import needle_path
from neurolysis.planning.path_hits import Probability, nerve_distances, probability, structure_hits
from neurolysis.planning.path_limits import PathLimits, path_numbers
from neurolysis.planning.path_maps import (
    SEEN_MM,
    Obstacle,
    PathMaps,
    exact_gaps,
    make_maps,
    obstacles_of,
    skin_seen,
)
from neurolysis.planning.path_scores import CANDIDATES
from neurolysis.planning.paths import (
    NEAR_MM,
    Clearance,
    PathSearch,
    find_paths,
    path_clearances,
    reach_for,
    with_chances,
)
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import Nerve, Scene, Structure

SHARES = (0.5, 0.8, 0.95)
"""Shares of placements for which the reach a treatment needs is told."""
ROOM_MM = 10.0
PROFILES = 4
"""How many of the nearest structures get a curve of clearance along the path."""
PROFILE_STEP_MM = 2.0


@dataclass(frozen=True)
class PathChoices:
    """What the user may choose for a search; None takes the shipped number or the case's own.

    Attributes:
        margins_mm: least distance to keep by kind of structure, beside the spread of its place.
        reach_mm: distance from the bare tip's axis at which the nerve counts as met.
        placement_sd_mm: standard deviation of the tip in each direction.
    """

    instrument: str | None = None
    margins_mm: Mapping[str, float] | None = None
    reach_mm: float | None = None
    placement_sd_mm: float | None = None
    largest_head_feet_deg: float | None = None
    largest_sideways_deg: float | None = None
    candidates: int = CANDIDATES
    offers: int = 5


class TargetPaths(Value):
    """A search with what it was made from.

    ``needed_reach_mm`` says for shares of placements how far a treatment must reach to meet a straight
    nerve, from the spreads of tip and nerve alone. ``unseen`` are structures whose place is not known:
    no path is clear of them.
    """

    instrument: str
    limits: PathLimits
    search: PathSearch
    placement_sd_mm: Quantity
    target_sd_mm: Quantity
    reach_mm: float
    reach_note: str
    needed_reach_mm: Mapping[str, float]
    unseen: tuple[str, ...]


def all_structures(case: Case, scene: Scene) -> tuple[Structure, ...]:
    """The scene's structures and every labelled one further off, which a needle may still meet."""
    far = labelled_structures(Surroundings(image=scene.image, labels=labels_of(case, scene)))
    known = {one.name for one in scene.structures}
    return (*scene.structures, *(one for one in far if one.name not in known))


def labels_of(case: Case, scene: Scene) -> Labels:
    """The label maps that a scene holds, with their schemes."""
    held = [one for one in case.labels if one.path in scene.labels]
    return Labels(maps=tuple(read_label_map(one, scene.labels[one.path]) for one in held))


def located(case: Case, scene: Scene) -> FoundTarget | None:
    """The case's target by the rules of targets; None without a target or without a rule for it.

    Raises:
        InputError: the target lies on the wrong side or at another level.
    """
    if case.target is None or case.target.nerve not in findable_targets():
        return None
    return locate_target(case.target, labels_of(case, scene), scene.image, case.landmarks, given_target(case))


def maps_around(
    scene: Scene, obstacles: Sequence[Obstacle], centre_mm: FloatArray, reach_mm: float
) -> PathMaps:
    """Distance maps of a scene within a reach of a point (3,)."""
    return make_maps(scene.image, scene.tissues, obstacles, centre_mm, reach_mm)


def paths_to_target(
    case: Case, scene: Scene, found: FoundTarget, choices: PathChoices | None = None
) -> TargetPaths:
    """Search needle paths from the skin to a case's target.

    Raises:
        InputError: no instrument is named, the image is no CT (the skin is told by air), a margin for a
            kind that is not there, or the skin is not in the image.
        UnknownNameError: the instrument.
    """
    asked = choices or PathChoices()
    if case.image is not None and case.image.modality != "CT":
        raise InputError(
            "no needle path: the skin is found on CT only", where="case.yaml: image.modality",
            found=case.image.modality, allowed="CT",
        )  # fmt: skip
    structures = all_structures(case, scene)
    _check_margins(asked.margins_mm or {}, structures)
    limits, name = _limits(case, scene, found, asked)
    nerve = found.nerve
    tip_sd = placement_sd(asked.placement_sd_mm)
    reach, note = reach_of(asked.reach_mm, limits.radius_mm, nerve)
    sds = (tip_sd.value, nerve.position_sd_mm.value)
    obstacles = obstacles_of(structures, {**path_numbers().margins_mm, **(asked.margins_mm or {})})
    centre = nerve.curve.as_array().mean(axis=0)
    room = 0.5 * nerve.curve.length_mm() + limits.length_mm + ROOM_MM
    maps = maps_around(scene, obstacles, centre, room)
    search = find_paths(
        maps, scene.tissues, limits, nerve.curve,
        has_course=found.has_course, count=asked.candidates, offers=asked.offers,
    )  # fmt: skip
    offers = tuple(with_chances(one, maps, limits, nerve.curve, sds, reach) for one in search.offers)
    return TargetPaths(
        instrument=name,
        limits=limits,
        search=search.replace(offers=offers),
        placement_sd_mm=tip_sd,
        target_sd_mm=nerve.position_sd_mm,
        reach_mm=reach,
        reach_note=note,
        needed_reach_mm=needed_reach(*sds),
        unseen=tuple(f"{one.name}: {one.unknown_reason}" for one in structures if one.mask is None),
    )


def _check_margins(margins: Mapping[str, float], structures: Sequence[Structure]) -> None:
    kinds = sorted({one.kind for one in structures if one.mask is not None})
    unknown = sorted(set(margins) - set(kinds))
    if unknown:
        raise InputError("a margin for a kind that is not in this scene", found=unknown, allowed=kinds)
    if any(value < 0 for value in margins.values()):
        raise InputError("a margin is a distance of at least 0 mm", found=dict(margins))


def _limits(case: Case, scene: Scene, found: FoundTarget, asked: PathChoices) -> tuple[PathLimits, str]:
    treatment = case.treatment
    name = asked.instrument or (treatment.instrument if treatment else None)
    if name is None:
        raise InputError(
            "no needle path without an instrument", where="case.yaml: treatment.instrument",
            allowed="the id of a listed instrument",
        )  # fmt: skip
    entry = found.entry
    limits = PathLimits.of(
        instrument(name),
        scene.tissues,
        approach=found.approach,
        position=treatment.position if treatment else None,
        entry="back" if entry == "back" else "front" if entry == "front" else "any",
        largest_head_feet_deg=asked.largest_head_feet_deg,
        largest_sideways_deg=asked.largest_sideways_deg,
    )
    return limits, name


def placement_sd(given_mm: float | None = None) -> Quantity:
    """The spread of the tip in each direction: the user's, or the shipped one with its source."""
    if given_mm is None:
        return path_numbers().placement_sd_mm
    if given_mm < 0:
        raise InputError("a standard deviation is at least 0 mm", found=given_mm)
    return Quantity(value=given_mm, unit="mm", basis="site", source="entered by the user")


def reach_of(given_mm: float | None, radius_mm: float, nerve: Nerve) -> tuple[float, str]:
    """The reach at which the nerve counts as met, mm, and what it is: entered, or needle touches nerve."""
    if given_mm is not None:
        if given_mm <= 0:
            raise InputError("a reach is above 0 mm", found=given_mm)
        return given_mm, "entered by the user: how far the treatment reaches from the tip's axis"
    return radius_mm + nerve.radius_mm.value, "the needle touches the nerve (radius of both)"


def needed_reach(tip_sd_mm: float, target_sd_mm: float) -> dict[str, float]:
    """Reach (mm) by share of placements, for a straight nerve and the combined spread."""
    together = float(np.hypot(tip_sd_mm, target_sd_mm))
    return {f"{share:g}": reach_for(share, together) for share in SHARES}


class PlacedPath(Value):
    """The path of an instrument that is already laid.

    ``entry_mm`` None: the skin is not in the image along it. ``clearances`` are of the whole instrument
    in the image; ``unseen`` structures have no known place. ``profiles_mm`` hold the clearance from the
    tip upwards (at ``profile_depth_mm``) for the nearest structures.
    """

    number: int = Field(ge=1)
    instrument: str
    tip_mm: Point
    entry_mm: Point | None
    length_mm: float | None
    direction_to_hub: Point
    angle_deg: float
    nearest_to_nerve_mm: float
    bone_mm: float
    clearances: tuple[Clearance, ...]
    unseen: tuple[str, ...]
    met: Probability
    reach_mm: float
    placement_sd_mm: Quantity
    needed_reach_mm: Mapping[str, float]
    profile_depth_mm: tuple[float, ...]
    profiles_mm: Mapping[str, tuple[float, ...]]


def placed_paths(
    case: Case, scene: Scene, placements: Sequence[Placement], reach_mm: float | None = None
) -> tuple[PlacedPath, ...]:
    """Each placement measured: entry, clearances, chance to meet the target nerve and to touch structures.

    Raises:
        ValueError: the scene holds no target nerve, or several.
    """
    structures = all_structures(case, scene)
    obstacles = obstacles_of(structures)
    unseen = tuple(f"{one.name}: {one.unknown_reason}" for one in structures if one.mask is None)
    found = []
    for number, placement in enumerate(placements, start=1):
        reach = placement.instrument.shaft_length_mm + ROOM_MM
        maps = maps_around(scene, obstacles, np.array(placement.tip_mm), reach)
        found.append(_placed(number, scene, placement, maps, unseen, reach_mm))
    return tuple(found)


def _placed(
    number: int,
    scene: Scene,
    placement: Placement,
    maps: PathMaps,
    unseen: tuple[str, ...],
    reach_mm: float | None,
) -> PlacedPath:
    nerve, cannula = scene.target(), placement.instrument
    radius = cannula.outer_radius_mm.value
    tip, along = np.array(placement.tip_mm), np.array(placement.direction_to_hub)
    length = skin_depth_along(maps, tip, along, cannula.shaft_length_mm)
    pivot = tip + (length or cannula.shaft_length_mm) * along
    points = _points_in_body(placement, length, maps)
    sd, (reach, _) = placement_sd(), reach_of(reach_mm, radius, nerve)
    sds = (sd.value, nerve.position_sd_mm.value)
    away = nerve_distances(tip, pivot, cannula.active_tip_mm, nerve.curve, sds)
    touched = structure_hits(maps, tip, pivot, radius, sd.value)
    names = {one.name: chance for one, chance in zip(maps.obstacles, touched, strict=True)}
    clear = path_clearances(maps, points, np.linalg.norm(points - tip, axis=1), radius)
    return PlacedPath(
        number=number,
        instrument=cannula.name,
        tip_mm=placement.tip_mm,
        entry_mm=None if length is None else tuple(float(c) for c in pivot),
        length_mm=length,
        direction_to_hub=placement.direction_to_hub,
        angle_deg=_angle(nerve, tip, along),
        nearest_to_nerve_mm=float(nerve.curve.distance_mm(needle_path(placement).active_mm).min()),
        bone_mm=_bone(maps, points),
        clearances=tuple(one.replace(touched=names[one.name]) for one in clear),
        unseen=unseen,
        met=probability(away <= reach),
        reach_mm=reach,
        placement_sd_mm=sd,
        needed_reach_mm=needed_reach(*sds),
        profile_depth_mm=tuple(float(d) for d in _depths(points, tip)[1]),
        profiles_mm=_profiles(maps, points, tip, radius, [one.name for one in clear[:PROFILES]]),
    )


def _depths(points: FloatArray, tip: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Points (m, 3) of a path about every 2 mm from its tip upwards, and how far up each lies (m,)."""
    away = np.linalg.norm(points - tip, axis=1)
    _, first = np.unique(np.floor(away / PROFILE_STEP_MM), return_index=True)
    return points[first], away[first]


def _profiles(
    maps: PathMaps, points: FloatArray, tip: FloatArray, radius: float, names: Sequence[str]
) -> dict[str, tuple[float, ...]]:
    """Clearance (mm) along a path of the named obstacles, at the depths of :func:`_depths`."""
    at = _depths(points, tip)[0]
    by_name = {one.name: one for one in maps.obstacles}
    return {n: tuple((exact_gaps(by_name[n], at, NEAR_MM) - radius).tolist()) for n in names}


def skin_depth_along(
    maps: PathMaps, tip_mm: FloatArray, along: FloatArray, longest_mm: float
) -> float | None:
    """Way from a tip (3,) along a direction (3,) to the skin, mm; None where the skin is not seen."""
    depth = np.arange(0.0, longest_mm + SEEN_MM + 1.0, 0.5)
    flat, inside = maps.flat_index(tip_mm + depth[:, None] * along)
    body, air = maps.body[flat] & inside, maps.air[flat]
    last, seen = skin_seen(body[None], air[None], inside[None], 0.5)
    reached = float(depth[last[0]]) + 0.25
    return reached if seen[0] and reached <= longest_mm else None


def _points_in_body(placement: Placement, length: float | None, maps: PathMaps) -> FloatArray:
    """Points (n, 3) of an instrument between its tip and the skin, or the image's edge."""
    points = needle_path(placement).all_mm
    away = np.linalg.norm(points - np.array(placement.tip_mm), axis=1)
    keep = maps.image.contains(points) if length is None else away <= length
    return points[keep] if keep.any() else points[:1]


def _bone(maps: PathMaps, points: FloatArray) -> float:
    """Length of the points (n, 3) that lie in bone, mm; they are a quarter of a millimetre apart."""
    flat, inside = maps.flat_index(points)
    return float(np.mean(maps.bone[flat] & inside) * np.linalg.norm(points - points[0], axis=1).max())


def _angle(nerve: Nerve, tip: FloatArray, along: FloatArray) -> float:
    """Angle between a needle and the nerve where the nerve is nearest to the tip, degrees (0 to 90)."""
    points = nerve.curve.resample(0.5)[1]
    at = (
        int(np.clip(np.argmin(np.linalg.norm(points - tip, axis=1)), 1, len(points) - 2))
        if len(points) > 2
        else 0
    )
    course = points[at + 1] - points[max(at - 1, 0)]
    cosine = abs(float(course @ along)) / float(np.linalg.norm(course))
    return float(np.degrees(np.arccos(np.clip(cosine, 0.0, 1.0))))
