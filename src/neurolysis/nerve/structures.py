"""What each structure at risk suffers: worst values, distance to the lesion, and its limits.

A mask's voxels may be coarser or finer than the grid. The field is therefore read both at points spread
through the voxels (faces and corners included) and at every grid cell that lies in a voxel, and the worse
counts: a peak between voxel centres, or between sample points, is not missed.

Where part of a structure lies beyond the grid, the highest value on the grid's outer cells stands for it:
heat only flows outwards there, so that value bounds what lies beyond. Where tissue is cooled, "highest"
and "hottest" here mean the lowest temperature: the worse side.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurolysis.evidence.kinetics import cem43_record
from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray
from neurolysis.injury import LimitCheck, StructureInjury
from neurolysis.nerve.along import CEM43, LOWEST, PEAK, SHARE, Sampler, main_measure, worse
from neurolysis.nerve.lesion import Lesion, largest_lesion
from neurolysis.nerve.limits import cannot_say, check_limit, nothing_to_reach
from neurolysis.nerve.masks import Mask
from neurolysis.scene import Limit, Nerve, Review, Structure

HOTTEST_VOXELS = 8000
"""Voxels looked into in detail; all others are colder at their centre and covered by the cells in them."""
DISTANCE = "distance_to_lesion_mm"
DIRECTIONS = np.array([d for d in itertools.product((-1, 0, 1), repeat=3) if any(d)], dtype=float)
METRICS = (PEAK, LOWEST, CEM43, SHARE)
"""Fields that limits may be on; ``NAME_...`` holds the same under other assumptions."""


@dataclass(frozen=True)
class Ground:
    """One exposure with what every structure needs from it."""

    exposure: Exposure

    @cached_property
    def lesion(self) -> Lesion | None:
        """The largest lesion by any criterion."""
        return largest_lesion(self.exposure)

    @cached_property
    def cells_mm(self) -> FloatArray:
        """Cell centres, (nx * ny * nz, 3) LPS mm."""
        mesh = np.meshgrid(*self.exposure.axes_mm, indexing="ij")
        return self.exposure.frame.apply(np.stack(mesh, axis=-1).reshape(-1, 3))

    def values(self, name: str) -> FloatArray:
        """A field's cell values, flat."""
        return np.asarray(self.exposure.field(name).array, dtype=np.float64).ravel()

    def rim(self, name: str) -> float:
        """The worst value of a field on the outermost cells."""
        array = self.exposure.field(name).array
        faces = (np.take(array, end, axis=axis) for axis in range(3) for end in (0, -1))
        sign = worse(name)
        return sign * float(max((sign * face).max() for face in faces))

    @property
    def alternatives(self) -> dict[str, str]:
        """Names of other assumptions under which the main measure was computed, and their fields."""
        main = main_measure(self.exposure)
        return {n.removeprefix(f"{main}_"): n for n in self.exposure.fields if n.startswith(f"{main}_")}


@dataclass(frozen=True)
class Worst:
    """A field's worst value in a structure; ``point_mm`` None where it bounds what lies beyond the grid."""

    value: float
    point_mm: FloatArray | None


@dataclass(frozen=True)
class Body:
    """A structure as points and grid cells: where a field is to be read for it.

    Attributes:
        points_mm: (n, 3) LPS points in the structure, all within the grid.
        cells: flat indices of the grid cells inside the structure.
        beyond: part (0 to 1) of the structure that lies outside the grid.
    """

    ground: Ground
    points_mm: FloatArray
    cells: NDArray[np.int64]
    beyond: float
    sampler: Sampler = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sampler", Sampler.at(self.ground.exposure, self.points_mm))

    def worst(self, name: str) -> Worst:
        """Worst value of a field over points, cells and, if need be, the grid's rim."""
        sign = worse(name)
        at_points = self.sampler.values(name, outside=None)
        at_cells = self.ground.values(name)[self.cells]
        found = [Worst(self.ground.rim(name), None)] if self.beyond > 0 else []
        if at_points.size:
            k = int((sign * at_points).argmax())
            found.append(Worst(float(at_points[k]), self.points_mm[k]))
        if at_cells.size:
            k = int((sign * at_cells).argmax())
            found.append(Worst(float(at_cells[k]), self.ground.cells_mm[self.cells[k]]))
        return max(found, key=lambda item: (sign * item.value, item.point_mm is not None))

    @property
    def all_points_mm(self) -> FloatArray:
        """Points and cells together, (n, 3) LPS."""
        return np.concatenate([self.points_mm, self.ground.cells_mm[self.cells]])


def mask_body(ground: Ground, mask: Mask) -> Body:
    """The points and cells of a mask."""
    sampler = Sampler.at(ground.exposure, mask.centres())
    inside = sampler.inside
    hottest = _hottest(ground, sampler, inside)
    points = mask.sub_points(mask.voxels[hottest])
    points = points[ground.exposure.covers(points)]
    cells = np.flatnonzero(mask.contains(ground.cells_mm))
    return Body(ground, points, cells, beyond=float(1 - inside.mean()))


def _hottest(ground: Ground, sampler: Sampler, inside: NDArray[np.bool_]) -> NDArray[np.int64]:
    candidates = np.flatnonzero(inside)
    main = main_measure(ground.exposure)
    if len(candidates) <= HOTTEST_VOXELS or main is None:
        return candidates
    sign = worse(main)
    order = np.argsort(sign * sampler.values(main, outside=-sign * np.inf)[candidates])
    chosen: NDArray[np.int64] = candidates[order[-HOTTEST_VOXELS:]]
    return chosen


def applies(limit: Limit, exposure: Exposure) -> bool:
    """Limits on heat say nothing of cold or of an injected agent, nor the other way round."""
    kinds = {PEAK: "heat", LOWEST: "cold", CEM43: "heat", SHARE: "agent"}
    main = main_measure(exposure)
    if main is None:
        return limit.applies_to == "any"
    meant = kinds.get(limit.metric, limit.applies_to)
    return meant in ("any", kinds[main])


def assess_structure(ground: Ground, structure: Structure) -> StructureInjury:
    """Worst values of one structure, its distance to the largest lesion, and every limit checked.

    ``distance_to_lesion_mm`` is the smallest signed distance of any of its points to the lesion's edge:
    negative as deep as the structure reaches into the lesion. A structure whose place is uncertain is
    also read within one standard deviation of it; that may turn "ok" into "warn", never into "stop".
    """
    if structure.mask is None:
        checks = tuple(
            cannot_say(limit, structure.unknown_reason)
            for limit in structure.limits
            if applies(limit, ground.exposure)
        )
        return StructureInjury(
            structure=structure.name,
            kind=structure.kind,
            review=structure.review,
            checks=checks,
            note=structure.unknown_reason,
        )
    mask = Mask(structure.mask)
    body = mask_body(ground, mask)
    found = Readings.of(ground, body, _mask_distance(ground, mask, body))
    found = found.moved(mask, structure.position_sd_mm)
    return found.injury(structure.name, structure.kind, structure.review, structure.limits)


def assess_neighbour(ground: Ground, nerve: Nerve, limits: tuple[Limit, ...]) -> StructureInjury:
    """A nerve that is not the target, as a structure at risk: a tube of its radius.

    One standard deviation of its place is read as a wider tube.
    """
    found = Readings.of(ground, *_tube(ground, nerve, nerve.radius_mm.value))
    spread = nerve.position_sd_mm.value
    if spread > 0:
        wider = Readings.of(ground, *_tube(ground, nerve, nerve.radius_mm.value + spread))
        found = found.with_spread(spread, wider)
    return found.injury(nerve.name, "nerve_neighbour", nerve.review, limits)


def _tube(ground: Ground, nerve: Nerve, radius_mm: float) -> tuple[Body, float | None]:
    stations = nerve.curve.resample(0.5)[1]
    directions = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    ring = stations[:, None, :] + radius_mm * np.vstack([np.zeros(3), directions])[None, :, :]
    points = ring.reshape(-1, 3)
    inside = ground.exposure.covers(points)
    cells = np.flatnonzero(nerve.curve.distance_mm(ground.cells_mm) <= radius_mm)
    body = Body(ground, points[inside], cells, beyond=float(1 - inside.mean()))
    if ground.lesion is None:
        return body, None
    depth = _depth_in_lesion(ground.lesion, body)
    if depth is not None:
        return body, -depth
    return body, float(nerve.curve.distance_mm(ground.lesion.edge_mm).min() - radius_mm)


def assess_point(
    ground: Ground, point_mm: FloatArray, name: str, kind: str, limits: tuple[Limit, ...]
) -> StructureInjury:
    """A structure of which only one LPS point (3,) is known."""
    points = np.asarray(point_mm, dtype=np.float64)[None, :]
    inside = ground.exposure.covers(points)
    body = Body(ground, points[inside], np.empty(0, dtype=np.int64), beyond=float(1 - inside.mean()))
    distance = None
    if ground.lesion is not None:
        away = float(ground.lesion.distance_to_edge_mm(points)[0])
        distance = -away if bool(ground.lesion.contains(points)[0]) else away
    return Readings.of(ground, body, distance).injury(name, kind, "given", limits)


def _mask_distance(ground: Ground, mask: Mask, body: Body) -> float | None:
    if ground.lesion is None:
        return None
    depth = _depth_in_lesion(ground.lesion, body)
    return -depth if depth is not None else float(mask.distance_mm(ground.lesion.edge_mm).min())


def _depth_in_lesion(lesion: Lesion, body: Body) -> float | None:
    """How deep (mm) the structure reaches into the lesion; None where it does not."""
    points = body.all_points_mm
    inside = points[lesion.contains(points)] if len(points) else points
    return float(lesion.distance_to_edge_mm(inside).max()) if len(inside) else None


@dataclass(frozen=True)
class Readings:
    """Everything read for one structure; ``spread`` holds the same metrics within one SD of its place."""

    ground: Ground
    body: Body
    distance_mm: float | None
    worst: Mapping[str, Worst]
    alternatives: Mapping[str, float]
    spread_mm: float = 0.0
    spread: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, ground: Ground, body: Body, distance_mm: float | None) -> Readings:
        """Read all metrics of a body."""
        worst = {name: body.worst(name) for name in METRICS if name in ground.exposure.fields}
        others = {name: body.worst(full).value for name, full in ground.alternatives.items()}
        return cls(ground, body, distance_mm, worst, others)

    def with_spread(self, spread_mm: float, other: Readings) -> Readings:
        """With the metrics of the structure grown by one standard deviation."""
        values = {name: item.value for name, item in other.worst.items()}
        if other.distance_mm is not None:
            values[DISTANCE] = other.distance_mm
        return Readings(
            self.ground, self.body, self.distance_mm, self.worst, self.alternatives, spread_mm, values
        )

    def moved(self, mask: Mask, spread_mm: float) -> Readings:
        """With the metrics within ``spread_mm`` of a mask."""
        if spread_mm <= 0:
            return self
        values = {
            name: worst_within(self.ground, mask, name, spread_mm, item.value)
            for name, item in self.worst.items()
        }
        if self.distance_mm is not None:
            values[DISTANCE] = self.distance_mm - spread_mm
        return Readings(
            self.ground, self.body, self.distance_mm, self.worst, self.alternatives, spread_mm, values
        )

    def injury(self, name: str, kind: str, review: Review, limits: tuple[Limit, ...]) -> StructureInjury:
        """The record of one structure."""
        peak, lowest, dose, share = (self.worst.get(name) for name in METRICS)
        main = peak or lowest or share
        point = None if main is None or main.point_mm is None else tuple(main.point_mm.tolist())
        return StructureInjury(
            structure=name,
            kind=kind,
            review=review,
            peak_temperature_c=None if peak is None else peak.value,
            lowest_temperature_c=None if lowest is None else lowest.value,
            peak_point_mm=point,
            cem43_min=None if dose is None else dose.value,
            agent_share=None if share is None else share.value,
            distance_to_lesion_mm=self.distance_mm,
            alternatives=self.alternatives,
            checks=tuple(self._check(limit) for limit in limits if applies(limit, self.ground.exposure)),
            note=self._note(),
        )

    def _check(self, limit: Limit) -> LimitCheck:
        if limit.metric == DISTANCE:
            return self._check_distance(limit)
        if limit.metric not in self.worst:
            return cannot_say(limit, f"'{limit.metric}' is not computed for this treatment")
        value = self.worst[limit.metric].value
        what_if = {}
        if limit.metric in self.spread:
            what_if[self._spread_name] = self.spread[limit.metric]
        if limit.metric == main_measure(self.ground.exposure):
            what_if |= {n.replace("_", " "): v for n, v in self.alternatives.items()}
        return check_limit(limit, value, what_if=what_if, optimistic=self._held(limit.metric))

    def _check_distance(self, limit: Limit) -> LimitCheck:
        if self.distance_mm is None or self.ground.lesion is None:
            return nothing_to_reach(limit, "no lesion by any criterion")
        what_if = {self._spread_name: self.spread[DISTANCE]} if DISTANCE in self.spread else {}
        cut = "the lesion runs out of the computed box" if self.ground.lesion.reaches_border else ""
        return check_limit(limit, self.distance_mm, what_if=what_if, optimistic=cut)

    @property
    def _spread_name(self) -> str:
        return f"within one standard deviation of its place ({self.spread_mm:.1f} mm)"

    def _held(self, metric: str) -> str:
        """Why CEM43 is a lower bound here, or nothing."""
        high = cem43_record().valid_high_c
        if metric != CEM43 or PEAK not in self.worst or self.worst[PEAK].value <= high:
            return ""
        return f"CEM43 is a lower bound: above {high:g} °C its rate is held, for lack of a source"

    def _note(self) -> str:
        parts = [self._held(CEM43)] if CEM43 in self.worst else []
        if self.body.beyond > 0:
            share = f"{100 * self.body.beyond:.0f} %"
            parts.append(f"{share} of it lies outside the computed box, where the box's edge bounds it")
        if self.spread and PEAK in self.spread:
            parts.append(f"{self._spread_name} the peak is {self.spread[PEAK]:.1f} °C")
        if self.spread and LOWEST in self.spread:
            parts.append(f"{self._spread_name} the lowest temperature is {self.spread[LOWEST]:.1f} °C")
        if self.spread and SHARE in self.spread:
            parts.append(f"{self._spread_name} the share is {self.spread[SHARE]:.2f}")
        return "; ".join(part for part in parts if part)


def worst_within(ground: Ground, mask: Mask, name: str, reach_mm: float, at_least: float) -> float:
    """Worst value of a field within ``reach_mm`` of a mask, no better than ``at_least``.

    Read at cells from hot to cold until one lies within reach, and at the outermost points of the grown
    mask in 26 directions from its hottest surface voxels.
    """
    sign = worse(name)
    values, at_least = sign * ground.values(name), sign * at_least
    hotter = np.flatnonzero(values > at_least)
    hotter = hotter[_near_box(ground.cells_mm[hotter], mask, reach_mm)]
    hotter = hotter[np.argsort(-values[hotter])]
    best = at_least
    for start in range(0, len(hotter), 2048):
        chunk = hotter[start : start + 2048]
        near = mask.distance_mm(ground.cells_mm[chunk]) <= reach_mm
        if near.any():
            best = float(values[chunk[int(np.argmax(near))]])
            break
    return sign * max(best, _outermost(ground, mask, name, reach_mm, best))


def _near_box(points_mm: FloatArray, mask: Mask, reach_mm: float) -> NDArray[np.bool_]:
    index = mask.volume.to_index(points_mm)
    reach = reach_mm / mask.volume.spacing_mm + 0.5
    low, high = mask.voxels.min(axis=0) - reach, mask.voxels.max(axis=0) + reach
    near: NDArray[np.bool_] = np.all((index >= low) & (index <= high), axis=-1)
    return near


def _outermost(ground: Ground, mask: Mask, name: str, reach_mm: float, at_least: float) -> float:
    """Worst value times :func:`worse` (so that more is worse), not below ``at_least`` on that scale."""
    centres, sign = mask.centres(mask.surface), worse(name)
    heat = sign * Sampler.at(ground.exposure, centres).values(name, outside=-sign * np.inf)
    chosen = centres[np.argsort(heat)[-1000:]]
    axes = mask.volume.affine[:3, :3] / mask.volume.spacing_mm
    units = DIRECTIONS / np.linalg.norm(DIRECTIONS, axis=1, keepdims=True)
    support = (DIRECTIONS * mask.volume.spacing_mm / 2 + units * reach_mm) @ axes.T
    points = (chosen[:, None, :] + support[None, :, :]).reshape(-1, 3)
    values = sign * Sampler.at(ground.exposure, points).values(name, outside=sign * at_least)
    return float(values.max(initial=at_least))
