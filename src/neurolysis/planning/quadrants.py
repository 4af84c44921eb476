"""Coverage round the celiac artery as clinicians judge it: four quadrants, each filled or not.

Quadrants are right and left, above and below the artery's origin, before and beside the aorta. Without the
picked origin, or without the aorta in the labels, there is no verdict.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurolysis.evidence.readings import reading
from neurolysis.evidence.store import load_yaml, read_value
from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray
from neurolysis.nerve.along import SHARE
from neurolysis.nerve.masks import Mask
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import Landmark, Scene, Structure

DATA = Path(__file__).parent / "data"
QUADRANTS = ("upper right", "upper left", "lower right", "lower left")
MEMBERS = {"little": "_narrow", "middle": "", "far": "_wide"}
"""How the agent spreads, by the tail of its field's name."""
Side = Literal["cephalad", "caudad"]


class QuadrantRules(Value):
    """What a quadrant is, and the readings that go with a number of filled ones."""

    landmark: str
    crus_landmark: str
    vessel: str
    targets: tuple[str, ...]
    reach_mm: Quantity
    height_mm: Quantity
    behind_mm: Quantity
    filled_share: Quantity
    fills: tuple[str, ...]
    relief: Mapping[str, Mapping[int, str]]
    position: Mapping[str, str]


class QuadrantCoverage(Value):
    """Filled share (0 to 1) of each quadrant by how the agent spreads.

    ``filled`` counts those at the rule's share.

    ``relief`` are the readings for that count in the middle member, in words; ``needles`` says for each tip
    whether it lies above or below the artery's origin, and before or behind the crus where one is picked.
    """

    shares: Mapping[str, Mapping[str, float]]
    filled: Mapping[str, int]
    relief: tuple[str, ...]
    sources: tuple[str, ...]
    needles: tuple[str, ...]
    missing: str = ""
    review: str = ""


@cache
def quadrant_rules() -> QuadrantRules:
    """The shipped rules."""
    return read_value(QuadrantRules, load_yaml("quadrants.yaml", DATA), "planning/data/quadrants.yaml")


def quadrant_coverage(scene: Scene, plan: Plan, exposure: Exposure) -> QuadrantCoverage | None:
    """Quadrants of a plan at the celiac artery; None for another target or another kind of treatment."""
    rules = quadrant_rules()
    if plan.target.nerve not in rules.targets or SHARE not in exposure.fields:
        return None
    origin = _landmark(scene, rules.landmark)
    vessel = _vessel(scene, rules.vessel)
    if origin is None or vessel is None or vessel.mask is None:
        what = f"the landmark '{rules.landmark}'" if origin is None else f"the {rules.vessel} in the labels"
        return QuadrantCoverage(
            shares={}, filled={}, relief=(), sources=(), needles=(), missing=f"no verdict without {what}"
        )
    zones = _zones(scene, exposure, Mask(vessel.mask), np.array(origin.point_mm), rules)
    shares = {
        member: {name: _share(exposure, zone, tail) for name, zone in zones.items()}
        for member, tail in MEMBERS.items()
    }
    filled = {
        member: sum(share >= rules.filled_share.value for share in found.values())
        for member, found in shares.items()
    }
    used = [table[filled["middle"]] for table in rules.relief.values() if filled["middle"] in table]
    return QuadrantCoverage(
        shares=shares,
        filled=filled,
        relief=tuple(_in_words(id_) for id_ in used),
        sources=tuple(dict.fromkeys(reading(id_).source for id_ in used)),
        needles=tuple(_needle(scene, plan, k, origin, rules) for k in range(len(plan.placements))),
        review=origin.review,
    )


def _landmark(scene: Scene, name: str) -> Landmark | None:
    return next((mark for mark in scene.landmarks if mark.name == name), None)


def _vessel(scene: Scene, name: str) -> Structure | None:
    return next((s for s in scene.structures if name in s.name.casefold() and s.mask is not None), None)


def _zones(
    scene: Scene, exposure: Exposure, vessel: Mask, origin: FloatArray, rules: QuadrantRules
) -> dict[str, NDArray[np.bool_]]:
    """Cells of each quadrant that an injectate fills (loose tissue), grid-shaped."""
    shape = tuple(len(axis) for axis in exposure.axes_mm)
    mesh = np.meshgrid(*exposure.axes_mm, indexing="ij")
    points = exposure.frame.apply(np.stack(mesh, axis=-1))
    away = points - origin
    box = (np.abs(away[..., 2]) <= rules.height_mm.value) & (away[..., 1] <= rules.behind_mm.value)
    box &= np.abs(away[..., :2]).max(axis=-1) <= rules.reach_mm.value + 40.0
    near = np.zeros(shape, bool)
    distance = vessel.distance_mm(points[box])
    names = scene.tissues.names
    outside = names.index(scene.tissues.outside)
    tissue = scene.tissues.volume.sample(points[box], order=0, outside=outside).astype(int)
    loose = np.isin(tissue, [k for k, name in enumerate(names) if name in rules.fills])
    near[box] = (distance > 0) & (distance <= rules.reach_mm.value) & loose
    left, above = away[..., 0] > 0, away[..., 2] > 0
    return {
        "upper right": near & ~left & above,
        "upper left": near & left & above,
        "lower right": near & ~left & ~above,
        "lower left": near & left & ~above,
    }


def _share(exposure: Exposure, zone: NDArray[np.bool_], tail: str) -> float:
    """Part of a quadrant's loose tissue at or above the least neurolytic concentration."""
    volumes = np.asarray(exposure.cell_volume_mm3, dtype=np.float64)
    total = float(volumes[zone].sum())
    held = exposure.field(SHARE + tail).array >= 1.0
    return float(volumes[zone & held].sum()) / total if total > 0 else 0.0


def _in_words(id_: str) -> str:
    row = reading(id_)
    band = (
        f" ({100 * row.low:.0f} to {100 * row.high:.0f} %)"
        if row.low is not None and row.high is not None
        else ""
    )
    value = "" if row.number is None else f"{100 * row.number:.0f} %"
    return f"{row.what}: {value}{band}, {row.conditions}"


def _needle(scene: Scene, plan: Plan, number: int, origin: Landmark, rules: QuadrantRules) -> str:
    tip = plan.placements[number].tip_mm
    side = "left" if tip[0] > origin.point_mm[0] else "right"
    above = tip[2] - origin.point_mm[2]
    where: Side = "cephalad" if above > 0 else "caudad"
    share = reading(rules.position[where]).quantity().value
    text = (
        f"needle {number + 1} ({side}): {abs(above):.0f} mm {where} of the artery's origin (a "
        f"single {where} tip filled four "
        f"quadrants in {100 * share:.0f} % of patients)"
    )
    crus = _landmark(scene, f"{side} {rules.crus_landmark}")
    if crus is None:
        return f"{text}; antecrural or retrocrural: cannot say, the {side} crus is not picked"
    gap = crus.point_mm[1] - tip[1]
    spread = crus.spread_mm or 0.0
    if abs(gap) <= spread:
        return f"{text}; antecrural or retrocrural: cannot say, within the crus's spread"
    return f"{text}; {'antecrural' if gap > 0 else 'retrocrural'} ({abs(gap):.0f} mm from the picked crus)"


def quadrant_notices(found: QuadrantCoverage | None) -> tuple[Notice, ...]:
    """What the quadrants say, for the list of notices."""
    if found is None:
        return ()
    if found.missing:
        return (Notice(severity="warn", code="quadrants.unknown", text=f"Quadrants: {found.missing}."),)
    little, middle, far = (found.filled[name] for name in MEMBERS)
    text = f"{middle} of 4 quadrants are filled ({little} if the agent spreads little, {far} if far)."
    if found.relief:
        text += f" {'; '.join(found.relief)}."
    severity: Literal["info", "warn"] = "info" if middle == 4 else "warn"
    source = found.sources[0] if found.sources else ""
    return (Notice(severity=severity, code="quadrants.filled", text=text, source=source),)
