"""The rules of every target that can be found, read from data and checked.

A rule says which landmarks a target needs, whether labels can give it, at which levels it exists and how
a needle lies to it. Numbers without a source are null (unknown) or assumptions that say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from neurolysis.case import Target
from neurolysis.errors import InputError
from neurolysis.evidence.store import ASSUMPTION, load_yaml, pick, read_value, sources
from neurolysis.nerve.catalogue import nerve_entry, nerve_ids, normal_joint
from neurolysis.quantity import Quantity, Value

DATA = Path(__file__).parent / "data"
FILE = "target_rules.yaml"
WHERE = "case.yaml: target"

Construction = Literal["junction", "anterolateral_body", "promontory", "subcostal"]
Approach = Literal["parallel", "perpendicular"]


class LandmarkRule(Value):
    """One landmark of a rule: its name in ``case.yaml`` and where to find it.

    ``{level}`` in either text is the target's bony level. ``side`` own is the target's side, none the
    midline. A landmark that is not ``needed`` makes the course better known.
    """

    name: str = Field(min_length=1)
    side: Literal["own", "left", "right", "none"]
    find: str = Field(min_length=1)
    needed: bool = True

    def at(self, level: str) -> LandmarkRule:
        """The same with the level written in."""
        return self.replace(name=self.name.format(level=level), find=self.find.format(level=level))

    def side_for(self, target: Target) -> Literal["left", "right"] | None:
        """The side it must carry for a target; None in the midline."""
        if self.side == "own":
            return None if target.side == "midline" else target.side
        return None if self.side == "none" else self.side


class TargetRule(Value):
    """How one kind of target is found; see the head of the data file for every field."""

    id: str
    title: str
    targets: tuple[str, ...] = Field(min_length=1)
    paired: bool
    trunk: bool = True
    levels: Mapping[str, tuple[str, ...]] = Field(default_factory=dict)
    level_source: str = ""
    same_bone: bool
    bones: tuple[str, ...] = ()
    near_levels: tuple[str, ...] = ()
    labels: Construction | None
    landmarks: tuple[LandmarkRule, ...] = Field(min_length=1)
    course: Literal["through", "each", "place"]
    approach: Approach | None
    approach_source: str = Field(min_length=1)
    entry: Literal["back", "front", "any"]
    radius_mm: Quantity
    offset_mm: Quantity | None
    anatomy_sd_mm: Quantity | None
    source: str = Field(min_length=1)

    def bones_at(self, level: str) -> tuple[str, ...]:
        """Vertebrae one of which the landmark must lie nearest to; empty: nothing is asked."""
        if self.same_bone:
            return self.bones or (level,)
        return self.near_levels

    def unknown(self) -> tuple[str, ...]:
        """What no source was read for and what is therefore not in the target's place or spread."""
        found = []
        if self.offset_mm is None:
            found.append(
                "distance from the landmark to the nerve: not read; the target is the landmark itself"
            )
        if self.anatomy_sd_mm is None:
            found.append("spread of the nerve's place from person to person: not read and not counted")
        return tuple(found)


class ConstructionNumbers(Value):
    """Numbers of the constructions from labels; all assumptions, shown where they are used."""

    anterolateral_deg: Quantity
    place_half_length_mm: Quantity
    label_sd_mm: Quantity


def rule_ids() -> tuple[str, ...]:
    """Ids of the rules."""
    return tuple(_rules())


def findable_targets() -> tuple[str, ...]:
    """Every id of a nerve or target that has a rule."""
    return tuple(_by_target())


def rule_for(target_id: str) -> TargetRule:
    """The rule of a nerve or target id; UnknownNameError lists what has one."""
    return pick(_by_target(), target_id, "target with a rule")


def target_level(target: Target) -> str:
    """The target's bony level in capitals, as labels name it; empty without one."""
    level = (target.bony_level or "").strip()
    return level.upper() if level[:1].upper() in "CTLS" and level[1:].isdigit() else level.casefold()


def check_names(target: Target, rule: TargetRule) -> None:
    """Refuse a side, level or joint that the rule does not know.

    Raises:
        InputError: naming the field and what it may be.
    """
    if rule.paired and target.side == "midline":
        raise InputError(
            "this target is paired", where=f"{WHERE}.side", found=target.side, allowed="left, right"
        )
    if target.nerve in nerve_ids():
        _check_catalogue_level(target)
        return
    level = target_level(target)
    if rule.levels and level not in rule.levels:
        raise InputError(
            f"the {rule.title} is not treated at this level",
            where=f"{WHERE}.bony_level",
            found=target.bony_level,
            allowed=sorted(rule.levels),
        )
    joints = rule.levels.get(level, ())
    if target.joint and joints and normal_joint(target.joint) not in joints:
        raise InputError(
            f"level and joint contradict each other: {rule.title} at {level}",
            where=f"{WHERE}.joint",
            found=target.joint,
            allowed=joints,
        )


def _check_catalogue_level(target: Target) -> None:
    entry = nerve_entry(target.nerve)
    names = {name.casefold() for name in (entry.bony_level, *entry.bony_level_names)}
    if (target.bony_level or "").strip().casefold() not in names:
        raise InputError(
            f"the {entry.title} crosses {entry.bony_level}",
            where=f"{WHERE}.bony_level",
            found=target.bony_level,
            allowed=(entry.bony_level, *entry.bony_level_names),
        )


@cache
def construction() -> ConstructionNumbers:
    """The numbers of the constructions."""
    return read_value(ConstructionNumbers, load_yaml(FILE, DATA)["construction"], FILE)


@cache
def _rules() -> Mapping[str, TargetRule]:
    rows = load_yaml(FILE, DATA)["rules"]
    found = {id: read_value(TargetRule, {"id": id, **row}, f"{FILE}: {id}") for id, row in rows.items()}
    for rule in found.values():
        for text in filter(None, (rule.approach_source, rule.level_source)):
            if not text.startswith(ASSUMPTION) and text not in sources():
                raise InputError("unknown source", where=f"{FILE}: {rule.id}", found=text)
    return MappingProxyType(found)


@cache
def _by_target() -> Mapping[str, TargetRule]:
    return MappingProxyType({name: rule for rule in _rules().values() for name in rule.targets})
