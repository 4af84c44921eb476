"""Simulate an operation on the target nerve of a scene."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from neurolysis.delivery.surgical.model import (
    MEMBERS,
    Course,
    Found,
    Held,
    Member,
    Span,
    solve_member,
    tension_over_time,
)
from neurolysis.delivery.surgical.protocol import ReleaseProtocol, Scar
from neurolysis.delivery.surgical.search import Smallest, smallest
from neurolysis.delivery.technique import Progress
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.nerve_mechanics import nerve_mechanics
from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray
from neurolysis.nerve.masks import Mask
from neurolysis.plan import Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import Nerve, Scene

WHERE = "treatment.protocol"
JOIN_MM = 2.0
"""Stations of labelled scar closer together than this are one stretch."""


@dataclass(frozen=True)
class Operation:
    """Everything found for one plan; ``ends``: middle scar at the least and the largest movement stated."""

    nerve: Nerve
    course: Course
    freed_mm: tuple[Span, ...]
    found: dict[Member, Found]
    smallest: dict[Member, tuple[Smallest, ...]]
    ends: dict[str, Found]
    time_s: FloatArray
    tension_n: dict[str, FloatArray]

    @property
    def middle(self) -> Found:
        """The middle member."""
        return self.found["middle"]


def recipe(plan: Plan) -> ReleaseProtocol:
    """The plan's protocol as what it is; TypeError for another technique's plan."""
    if not isinstance(plan.protocol, ReleaseProtocol):
        raise TypeError(f"not a plan of this technique: {plan.protocol.technique}")
    return plan.protocol


def course_of(scene: Scene, protocol: ReleaseProtocol, step_mm: float) -> Course:
    """The target nerve with all that holds it.

    Raises:
        InputError: a place beyond the nerve, or a structure of scar that does not touch it.
        UnknownNameError: a structure or published movement that is not there.
    """
    record, nerve = nerve_mechanics(), scene.target()
    scars = tuple(held for scar in protocol.scars for held in _scar(scene, nerve, scar))
    pulls = {pull.end: record.motion(pull.motion).excursion_mm.value for pull in protocol.pulls}
    rest = protocol.pre_strain_percent
    course = Course(
        length_mm=nerve.curve.length_mm(),
        radius_mm=nerve.radius_mm.value,
        modulus_mpa=(protocol.modulus_mpa or record.modulus_mpa).value,
        bed_kpa=(protocol.bed_kpa or record.bed_kpa).value,
        scars=scars,
        tethers=tuple((tether.at_mm, tether.n_per_mm) for tether in protocol.tethers),
        joints=tuple(((j.from_mm, j.to_mm), j.elongation_mm.value) for j in protocol.joints),
        pull_first_mm=pulls.get("first"),
        pull_last_mm=pulls.get("last"),
        pre_strain=(record.pre_strain_percent.value if rest is None else rest) / 100,
        relaxed=(record.relaxed_share.value, record.relaxed_after_s, record.relaxation_time_s.value),
        step_mm=step_mm,
    )
    for name in ("freed", "tunnels"):
        _require_on_nerve(name, [s.to_mm for s in getattr(protocol, name)], course.length_mm)
    return course


def _require_on_nerve(name: str, ends_mm: list[float], length_mm: float) -> None:
    beyond = [end for end in ends_mm if end > length_mm + 1e-6]
    if beyond:
        raise InputError(
            "a place beyond the end of the nerve", where=f"{WHERE}.{name}", found=f"{max(beyond):g} mm",
            allowed=f"0 to {length_mm:.1f} mm",
        )  # fmt: skip


def scar_record(scar: Scar) -> Quantity:
    """Shear stiffness of a scar: as entered, else the record's."""
    return scar.shear_kpa or nerve_mechanics().scar_kpa


def _scar(scene: Scene, nerve: Nerve, scar: Scar) -> Iterator[Held]:
    if scar.from_mm is not None and scar.to_mm is not None:
        yield Held.of((scar.from_mm, scar.to_mm), scar_record(scar))
        return
    masks = {s.name: s.mask for s in scene.structures if s.mask is not None}
    if scar.structure not in masks:
        raise UnknownNameError(
            "no structure of this name with a known place", where=f"{WHERE}.scars", found=scar.structure,
            allowed=sorted(masks),
        )  # fmt: skip
    spans = list(touched(nerve, Mask(masks[scar.structure])))
    if not spans:
        raise InputError(
            "this structure does not touch the nerve", where=f"{WHERE}.scars", found=scar.structure
        )
    yield from (Held.of(span, scar_record(scar)) for span in spans)


def touched(nerve: Nerve, mask: Mask) -> Iterator[Span]:
    """Stretches of a nerve whose surface meets a mask, mm; gaps below :data:`JOIN_MM` are bridged."""
    arc, points = nerve.curve.resample(0.5)
    near = arc[mask.distance_mm(points) <= nerve.radius_mm.value]
    if not len(near):
        return
    for part in np.split(near, np.flatnonzero(np.diff(near) > JOIN_MM) + 1):
        low, high = max(float(part[0]) - 0.25, 0.0), min(float(part[-1]) + 0.25, float(arc[-1]))
        yield low, high


def solve(scene: Scene, plan: Plan, progress: Progress) -> Operation:
    """All members before and after the operation, and the smallest stretch to free for each."""
    protocol = recipe(plan)
    course = course_of(scene, protocol, plan.numerics.finest_mm or 0.5)
    spans = tuple((stretch.from_mm, stretch.to_mm) for stretch in protocol.freed)
    remove = protocol.mode == "neurectomy"
    thresholds = [threshold.percent for threshold in nerve_mechanics().strain_thresholds]
    found: dict[Member, Found] = {}
    least: dict[Member, tuple[Smallest, ...]] = {}
    for number, member in enumerate(MEMBERS):
        progress(0.9 * number / len(MEMBERS), f"strain along the nerve ({member} scar)")
        found[member] = solve_member(course, member, spans, remove=remove, again=protocol.rescar_share)
        least[member] = smallest(course, member, thresholds)
    progress(0.9, "fall of tension")
    times, tension = tension_over_time(course, found["middle"], 60 * protocol.hold_min)
    ends = {
        words: solve_member(one, "middle", spans, remove=remove, again=protocol.rescar_share)
        for words, one in _movement_ends(course, protocol).items()
    }
    return Operation(scene.target(), course, spans, found, least, ends, times, tension)


def _movement_ends(course: Course, protocol: ReleaseProtocol) -> dict[str, Course]:
    """The course under the least and the largest movement, where a range is stated."""
    record = nerve_mechanics()
    found = {}
    for words, end in (("least movement", "low"), ("largest movement", "high")):
        pulls = {p.end: _end(record.motion(p.motion).excursion_mm, end) for p in protocol.pulls}
        joints = tuple(((j.from_mm, j.to_mm), _end(j.elongation_mm, end)) for j in protocol.joints)
        found[words] = replace(
            course, joints=joints, pull_first_mm=pulls.get("first"), pull_last_mm=pulls.get("last")
        )
    same = all(one == course for one in found.values())
    return {} if same else found


def _end(number: Quantity, end: str) -> float:
    value: float | None = getattr(number, end)
    return number.value if value is None else value


def expose(scene: Scene, plan: Plan, progress: Progress) -> Exposure:
    """Simulate the plan; fields lie along the target nerve."""
    from neurolysis.delivery.surgical.wrap import wrap

    operation = solve(scene, plan, progress)
    progress(1.0, "measuring")
    return wrap(scene, plan, recipe(plan), operation)
