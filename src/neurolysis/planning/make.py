"""A plan from a case: instrument, generator, protocol and place, with the rules that fired."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TypeVar

import numpy as np

from neurolysis import __version__
from neurolysis.case import Case, GivenPlacement, Target, Treatment
from neurolysis.delivery.technique import Technique, techniques
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.instruments import generator, instrument
from neurolysis.evidence.store import evidence_version as shipped_version
from neurolysis.instrument import Generator, ReturnPad
from neurolysis.plan import Numerics, Placement, Plan, Protocol, TargetName
from neurolysis.planning.anaesthesia import anaesthesia_text
from neurolysis.planning.needle import needle_path
from neurolysis.planning.rules import case_notices
from neurolysis.planning.surroundings import share_of
from neurolysis.quantity import Quantity, parse
from neurolysis.scene import AIR, Scene

WHERE = "case.yaml"

T = TypeVar("T")


def make_plan(
    case: Case,
    scene: Scene,
    *,
    evidence_version: str | None = None,
    software_version: str = __version__,
    registry: Mapping[str, Technique] | None = None,
    numerics: Numerics | None = None,
) -> Plan:
    """The plan a case asks for.

    Args:
        evidence_version: None takes the version of the shipped evidence.
        registry: techniques by name; None takes every one that is installed.
        numerics: numbers of the solver; None takes the technique's own.

    Raises:
        InputError: naming the field of ``case.yaml``: no target or treatment, no placement, a protocol's
            field, an active tip outside the image or mostly in air.
        UnknownNameError: an instrument, generator, technique or nerve that is not there; lists what is.
    """
    target, treatment = _required(case)
    chosen = _technique(treatment.technique, techniques() if registry is None else registry)
    placements = _placements(treatment, scene) if chosen.places_instrument else _none_placed(treatment)
    plan = Plan(
        case_id=case.id,
        case_hash=case.content_hash(),
        scene_hash=scene.content_hash(),
        evidence_version=evidence_version or shipped_version(),
        software_version=software_version,
        target=TargetName(**target.model_dump(include=set(TargetName.model_fields))),
        anaesthesia=anaesthesia_text(case),
        protocol=_protocol(treatment, chosen),
        placements=placements,
        generator=_generator(treatment),
        return_pad=_return_pad(treatment),
        implants=case.implants,
        fluid_at_tip_ml=treatment.fluid_at_tip_ml,
        fluid_name=treatment.fluid_name,
        position=treatment.position,
        position_tilt_deg=treatment.position_tilt_deg,
        declared_approach=treatment.declared_approach,
        numerics=numerics or chosen.default_numerics,
    )
    with _at("target.nerve"):
        fired = case_notices(case, scene, placements)
    return plan.replace(notices=(*fired, *chosen.notices(scene, plan)))


@contextmanager
def _at(field: str) -> Iterator[None]:
    """Puts the field of ``case.yaml`` on an error that does not name a place."""
    try:
        yield
    except InputError as error:
        if error.where:
            raise
        where = f"{WHERE}: {field}"
        raise type(error)(error.problem, where=where, found=error.found, allowed=error.allowed) from error


def _required(case: Case) -> tuple[Target, Treatment]:
    if case.target is None:
        raise InputError("a plan needs a target", where=f"{WHERE}: target")
    if case.treatment is None:
        raise InputError("a plan needs a treatment", where=f"{WHERE}: treatment")
    return case.target, case.treatment


def _technique(name: str, registry: Mapping[str, Technique]) -> Technique:
    if name not in registry:
        raise UnknownNameError(
            "unknown technique", where=f"{WHERE}: treatment.technique", found=name, allowed=sorted(registry)
        )
    return registry[name]


def _protocol(treatment: Treatment, chosen: Technique) -> Protocol:
    given = treatment.protocol
    if given.get("technique", chosen.name) != chosen.name:
        raise InputError(
            "the protocol is one of another technique",
            where=f"{WHERE}: treatment.protocol.technique",
            found=given["technique"],
            allowed=chosen.name,
        )
    return parse(chosen.protocol, {"technique": chosen.name, **given}, f"{WHERE}: treatment.protocol")


def _placements(treatment: Treatment, scene: Scene) -> tuple[Placement, ...]:
    if not treatment.placements:
        raise InputError(
            "a plan needs at least one placement (tip and a point towards the hub)",
            where=f"{WHERE}: treatment.placements",
        )
    if treatment.instrument is None:
        raise InputError("a plan needs an instrument", where=f"{WHERE}: treatment.instrument")
    with _at("treatment.instrument"):
        instrument(treatment.instrument)
    made = tuple(_placement(one, k) for k, one in enumerate(treatment.placements))
    if all(one.instrument != treatment.instrument for one in treatment.placements):
        raise InputError(
            "the treatment's instrument is in none of its placements",
            where=f"{WHERE}: treatment.instrument",
            found=treatment.instrument,
            allowed=sorted({one.instrument for one in treatment.placements}),
        )
    for number, placement in enumerate(made):
        _require_tip_in_tissue(scene, placement, f"{WHERE}: treatment.placements.{number}.tip_mm")
    return made


def _none_placed(treatment: Treatment) -> tuple[Placement, ...]:
    """Nothing, for a technique without an instrument; a placement or instrument given is a mistake."""
    for field in ("instrument", "placements", "generator", "return_pad_site"):
        if getattr(treatment, field):
            raise InputError("this technique places no instrument", where=f"{WHERE}: treatment.{field}")
    return ()


def _placement(given: GivenPlacement, number: int) -> Placement:
    field = f"treatment.placements.{number}"
    with _at(f"{field}.instrument"):
        cannula = instrument(given.instrument)
    with _at(f"{field}.towards_hub_mm"):
        return Placement.between(
            cannula, given.tip_mm, given.towards_hub_mm, rotation_deg=given.rotation_deg, role=given.role
        )


def _require_tip_in_tissue(scene: Scene, placement: Placement, where: str) -> None:
    """Refuse what cannot be simulated: an active tip beyond the image, or more in air than in tissue."""
    points = needle_path(placement).active_mm
    if not scene.image.contains(points).all():
        raise InputError(
            "the active tip lies outside the image (the shaft may leave it)",
            where=where,
            found=placement.tip_mm,
            allowed=_extent(scene),
        )
    if share_of(scene.tissues, points, {AIR}) > 0.5:
        raise InputError("the active tip lies in air: outside the body", where=where, found=placement.tip_mm)


def _extent(scene: Scene) -> str:
    ends = [(-0.5, n - 0.5) for n in scene.image.shape]
    corners = scene.image.to_lps(np.array(list(itertools.product(*ends))))
    low, high = corners.min(axis=0), corners.max(axis=0)
    return "LPS mm within " + ", ".join(
        f"{name} {a:.1f} to {b:.1f}" for name, a, b in zip("xyz", low, high, strict=True)
    )


def _optional(field: str, name: str | None, look_up: Callable[[str], T]) -> T | None:
    if name is None:
        return None
    with _at(field):
        return look_up(name)


def _generator(treatment: Treatment) -> Generator | None:
    return _optional("treatment.generator", treatment.generator, generator)


def _return_pad(treatment: Treatment) -> ReturnPad | None:
    """The pad, if its site is given; without a resistance of the path none is added, as an assumption."""
    if treatment.return_pad_site is None:
        return None
    resistance = treatment.return_path_resistance_ohm or Quantity(
        value=0.0,
        unit="ohm",
        basis="assumption",
        source="assumption: no resistance of the path to the pad was entered; the impedance leaves it out",
    )
    return ReturnPad(site=treatment.return_pad_site, path_resistance_ohm=resistance)
