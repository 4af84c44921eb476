"""Which landmarks a target needs, where to find each, and which of them are missing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from neurolysis.case import GivenLandmark, Side, Target
from neurolysis.errors import InputError
from neurolysis.localization.targets.rules import (
    LandmarkRule,
    TargetRule,
    check_names,
    rule_for,
    target_level,
)
from neurolysis.quantity import Value

State = Literal["picked", "missing", "not picked, not needed", "from labels", "not needed, nerve given"]


class LandmarkNeed(Value):
    """One landmark of a target: its name and side in ``case.yaml``, where to find it, and its state."""

    name: str
    side: Side | None
    find: str
    needed: bool
    state: State


class TargetNeeds(Value):
    """What a target is found from.

    ``labels`` says whether and how labels can give it instead; ``unknown`` what no source was read for.
    """

    target: str
    rule: str
    title: str
    side: Side
    level: str
    landmarks: tuple[LandmarkNeed, ...]
    labels: str
    unknown: tuple[str, ...]
    source: str

    @property
    def missing(self) -> tuple[LandmarkNeed, ...]:
        """The needed landmarks that are neither picked nor given by labels."""
        return tuple(one for one in self.landmarks if one.state == "missing")


LABELS_GIVE = {
    None: "",
    "junction": "labels of the processes of the vertebra",
    "anterolateral_body": "labels of the vertebra, with its body, the canal or the cord",
    "promontory": "labels of L5 and the sacrum",
    "subcostal": "labels of the ribs",
}
"""What the labels must show for each construction."""


def landmark_needs(
    target: Target, landmarks: Sequence[GivenLandmark] = (), *, found_by: str = ""
) -> TargetNeeds:
    """The landmarks of a target with their state.

    Args:
        landmarks: those the case gives.
        found_by: how the target was found, once it was: by labels or as given nothing needs to be picked.

    Raises:
        UnknownNameError: no rule for this target; lists what has one.
        InputError: side, level or joint that the rule does not know, or a landmark picked twice.
    """
    rule = rule_for(target.nerve)
    check_names(target, rule)
    level = target_level(target)
    picked = {(one.name, one.side) for one in landmarks}
    if len(picked) < len(landmarks):
        twice = sorted(str(one.name) for one in landmarks if _count(one, landmarks) > 1)
        raise InputError("a landmark is picked twice", where="case.yaml: landmarks", found=twice)
    needs = [_need(one.at(level), target, picked, found_by) for one in rule.landmarks]
    if (
        rule.course == "each"
        and not found_by.startswith("given")
        and not any(one.state == "picked" for one in needs)
    ):
        needs = [one.replace(state="missing", needed=True) for one in needs]
    return TargetNeeds(
        target=target.nerve,
        rule=rule.id,
        title=rule.title,
        side=target.side,
        level=level,
        landmarks=tuple(needs),
        labels=LABELS_GIVE[rule.labels],
        unknown=rule.unknown(),
        source=rule.source,
    )


def _count(one: GivenLandmark, landmarks: Sequence[GivenLandmark]) -> int:
    return sum((other.name, other.side) == (one.name, one.side) for other in landmarks)


def _need(
    rule: LandmarkRule, target: Target, picked: set[tuple[str, Side | None]], found_by: str
) -> LandmarkNeed:
    side = rule.side_for(target)
    there = (rule.name, side) in picked
    state: State = "picked" if there else "missing" if rule.needed else "not picked, not needed"
    if state == "missing" and found_by.startswith("labels"):
        state = "from labels"
    elif state == "missing" and found_by.startswith("given"):
        state = "not needed, nerve given"
    return LandmarkNeed(name=rule.name, side=side, find=rule.find, needed=rule.needed, state=state)


def wrong_sides(rule: TargetRule, target: Target, landmarks: Sequence[GivenLandmark]) -> tuple[str, ...]:
    """Landmarks of this target that carry the other side, or none, so that they were not used."""
    level = target_level(target)
    wanted = {one.at(level).name: one.side_for(target) for one in rule.landmarks if one.side == "own"}
    return tuple(
        f"landmark '{one.name}' is picked with side '{one.side}', the target is on the {wanted[one.name]}"
        for one in landmarks
        if one.name in wanted and one.side != wanted[one.name]
    )
