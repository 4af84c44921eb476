"""A target as uncertain nerve curves: as given in the case, from picked landmarks, or from labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurolysis.case import GivenLandmark, Side, Target
from neurolysis.errors import InputError
from neurolysis.geometry import Curve, FloatArray, Volume
from neurolysis.localization.landmarks import find_junction
from neurolysis.localization.medial_branch import derive_medial_branch
from neurolysis.localization.schemes import Labels
from neurolysis.localization.targets import from_labels as build
from neurolysis.localization.targets.checks import (
    check_pairs,
    check_point_level,
    check_point_side,
    find_midline,
)
from neurolysis.localization.targets.needs import TargetNeeds, landmark_needs, wrong_sides
from neurolysis.localization.targets.rules import (
    Approach,
    TargetRule,
    construction,
    rule_for,
    target_level,
)
from neurolysis.localization.targets.uncertainty import ErrorPart, as_quantity, picking_error
from neurolysis.localization.vertebra import BodySide
from neurolysis.nerve.catalogue import nerve_entry, nerve_ids
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import Landmark, Nerve


class FoundTarget(Value):
    """A target that was found.

    Attributes:
        nerves: one curve, or one for each place of a target of several places; the first is the target.
        landmarks: what the curves were made from.
        errors: the parts of the spread; those without a number are unknown.
        has_course: False where the curve is only a mark at a place and says nothing of a direction.
        how: given, picked landmarks, or labels.
        checks: what could and could not be said of side and level.
    """

    target: str
    rule: str
    title: str
    side: Side
    level: str
    nerves: tuple[Nerve, ...]
    landmarks: tuple[Landmark, ...]
    errors: tuple[ErrorPart, ...]
    unknown: tuple[str, ...]
    has_course: bool
    approach: Approach | None
    approach_source: str
    entry: str
    how: str
    checks: tuple[str, ...]
    source: str

    @property
    def nerve(self) -> Nerve:
        """The first curve: the one a plan treats."""
        return self.nerves[0]

    @property
    def landmark(self) -> Landmark:
        """The landmark of the first curve."""
        return self.landmarks[0]


def locate_target(
    target: Target,
    labels: Labels,
    image: Volume,
    landmarks: Sequence[GivenLandmark] = (),
    given: Nerve | None = None,
) -> FoundTarget:
    """Find a target: the nerve given in the case, else picked landmarks, else labels.

    Args:
        given: the target as drawn in the case; side and level are checked all the same.

    Raises:
        UnknownNameError: no rule for this target; lists what has one.
        InputError: names that contradict each other, a place on the wrong side or at another vertebra,
            or landmarks that are missing (it lists them).
    """
    rule = rule_for(target.nerve)
    needs = landmark_needs(target, landmarks)
    check_pairs(landmarks)
    used = _used(needs, landmarks, image)
    if given is not None:
        found = _given(rule, target, given, used)
    elif used and not needs.missing:
        found = _from_landmarks(rule, target, used, landmarks, image)
    else:
        found = _from_labels(rule, target, labels, image, needs, landmarks)
    return _checked(found, rule, target, labels, image, _given_sds(found, landmarks))


def _used(needs: TargetNeeds, landmarks: Sequence[GivenLandmark], image: Volume) -> tuple[Landmark, ...]:
    """The picked landmarks of this target, in the rule's order."""
    by_name = {(one.name, one.side): one for one in landmarks}
    found = [by_name[(one.name, one.side)] for one in needs.landmarks if (one.name, one.side) in by_name]
    for one in found:
        if not image.contains([one.point_mm])[0]:
            raise InputError(
                f"landmark '{one.name}' lies outside the image",
                where="case.yaml: landmarks",
                found=one.point_mm,
            )
    return tuple(_landmark(one) for one in found)


def _landmark(one: GivenLandmark) -> Landmark:
    return Landmark(
        name=f"{one.side} {one.name}" if one.side else one.name,
        point_mm=one.point_mm,
        spread_mm=one.position_sd_mm,
        review="reviewed" if one.reviewed else "picked, unreviewed",
        derivation=f"picked by {one.picked_by}" if one.picked_by else "picked by hand",
    )


def _given_sds(found: FoundTarget, landmarks: Sequence[GivenLandmark]) -> float:
    """The slack of the checks: three standard deviations of the place, at least 3 mm."""
    return max(3.0, 3.0 * found.nerve.position_sd_mm.value)


def _given(rule: TargetRule, target: Target, nerve: Nerve, used: tuple[Landmark, ...]) -> FoundTarget:
    spread = nerve.position_sd_mm
    part = ErrorPart(
        name="place as drawn",
        standard_deviation_mm=spread.value,
        basis=spread.basis,
        source=spread.source,
    )
    return _found(rule, target, (nerve,), used, (part,), "given: drawn in the case", has_course=True)


def _from_landmarks(
    rule: TargetRule,
    target: Target,
    used: tuple[Landmark, ...],
    landmarks: Sequence[GivenLandmark],
    image: Volume,
) -> FoundTarget:
    error = picking_error([one.spread_mm for one in used], image)
    courses = _courses(rule, np.array([one.point_mm for one in used]))
    nerves = tuple(
        _nerve(rule, target, points, (error,), _picked_words(rule, used), first=k == 0)
        for k, points in enumerate(courses)
    )
    has_course = rule.course == "through" and len(used) > 1
    return _found(rule, target, nerves, used, (error,), "picked landmarks", has_course=has_course)


def _courses(rule: TargetRule, points: FloatArray) -> list[FloatArray]:
    """Curves (each (n, 3)) through the picked points: one, or one for each place."""
    if rule.course == "through" and len(points) > 1:
        return [points]
    half = construction().place_half_length_mm.value
    mark = np.array([[0.0, 0.0, half], [0.0, 0.0, -half]])
    return [point + mark for point in points]


def _from_labels(
    rule: TargetRule,
    target: Target,
    labels: Labels,
    image: Volume,
    needs: TargetNeeds,
    landmarks: Sequence[GivenLandmark],
) -> FoundTarget:
    if rule.labels is None or not labels.maps:
        why = f"there is no rule for a {_kind(target, rule)} from labels"
        why = why if rule.labels is None else "the case has no label map"
        raise missing_landmarks(rule, target, needs, landmarks, why)
    if rule.labels == "junction":
        return _junction(rule, target, labels, image)
    try:
        points = _constructed(rule, target, labels, image)
    except InputError as error:
        why = f"labels do not give it: {error.problem}"
        raise missing_landmarks(rule, target, needs, landmarks, why) from error
    words = f"from labels: {needs.labels}; unreviewed"
    sd = construction().label_sd_mm
    part = ErrorPart(name="labels", standard_deviation_mm=sd.value, basis=sd.basis, source=sd.source)
    point = points[len(points) // 2] if len(points) > 2 else points.mean(axis=0)
    mark = Landmark(
        name=f"{rule.title}, middle of the derived course",
        point_mm=tuple(float(c) for c in point),
        spread_mm=sd.value,
        derivation=words,
    )
    nerve = _nerve(rule, target, points, (part,), words, first=True)
    return _found(rule, target, (nerve,), (mark,), (part,), "labels", has_course=True)


def _kind(target: Target, rule: TargetRule) -> str:
    return nerve_entry(target.nerve).kind if target.nerve in nerve_ids() else rule.title


def _constructed(rule: TargetRule, target: Target, labels: Labels, image: Volume) -> FloatArray:
    level, side = target_level(target), target.side
    if rule.labels == "promontory":
        return build.promontory_course(labels, image)
    own: BodySide = "left" if side == "left" else "right"
    if rule.labels == "subcostal":
        return build.subcostal_course(labels, level, own, image)
    return build.anterolateral_course(labels, level, own, image)


def _junction(rule: TargetRule, target: Target, labels: Labels, image: Volume) -> FoundTarget:
    side: BodySide = "left" if target.side == "left" else "right"
    junction = find_junction(labels, target_level(target), side, image)
    nerve = derive_medial_branch(junction, target.nerve, is_target=True)
    sd = nerve.position_sd_mm
    part = ErrorPart(name="derivation", standard_deviation_mm=sd.value, basis=sd.basis, source=sd.source)
    return _found(rule, target, (nerve,), (junction.landmark,), (part,), "labels", has_course=True)


def missing_landmarks(
    rule: TargetRule,
    target: Target,
    needs: TargetNeeds,
    landmarks: Sequence[GivenLandmark],
    why: str = "",
) -> InputError:
    """The error that lists which landmarks are to be picked, and where."""
    wanted = [
        f"{one.name}{f' (side {one.side})' if one.side else ''}: {one.find}"
        for one in needs.landmarks
        if one.state == "missing"
    ]
    astray = wrong_sides(rule, target, landmarks)
    either = f"; or {needs.labels}" if needs.labels else ""
    return InputError(
        "; ".join(filter(None, ("the target cannot be found: landmarks are missing", why, *astray))),
        where="case.yaml: landmarks",
        found=[one.name for one in landmarks],
        allowed="; ".join(wanted) + either,
    )


def _nerve(
    rule: TargetRule,
    target: Target,
    points: FloatArray,
    parts: Sequence[ErrorPart],
    words: str,
    *,
    first: bool,
) -> Nerve:
    known = nerve_entry(target.nerve) if target.nerve in nerve_ids() else None
    title = known.title if known else rule.title
    return Nerve(
        name=title if target.side == "midline" else f"{title}, {target.side}",
        catalogue_id=target.nerve,
        side=target.side,
        curve=Curve.from_array(points),
        radius_mm=rule.radius_mm if known is None else _half(known.diameter_mm),
        position_sd_mm=as_quantity(parts),
        fibres=known.fibre_classes if known else (),
        fibres_source=known.fibres_note if known else "",
        is_target=first,
        review="derived, unreviewed" if words.startswith("from labels") else "picked, unreviewed",
        derivation="; ".join((words, *rule.unknown())),
    )


def _half(diameter: Quantity) -> Quantity:
    fields = ("value", "low", "high", "standard_deviation")
    known = {name: getattr(diameter, name) for name in fields}
    return diameter.replace(**{name: None if value is None else 0.5 * value for name, value in known.items()})


def _picked_words(rule: TargetRule, used: Sequence[Landmark]) -> str:
    names = ", ".join(one.name for one in used)
    shape = "through" if rule.course == "through" and len(used) > 1 else "at"
    return f"{shape} picked landmarks ({names})"


def _found(
    rule: TargetRule,
    target: Target,
    nerves: tuple[Nerve, ...],
    marks: tuple[Landmark, ...],
    parts: tuple[ErrorPart, ...],
    how: str,
    *,
    has_course: bool,
) -> FoundTarget:
    unknown = ErrorPart(
        name="place of the nerve from person to person",
        standard_deviation_mm=None,
        basis="assumption",
        source="assumption: no source that gives it was read, so it is not in the spread",
    )
    return FoundTarget(
        target=target.nerve,
        rule=rule.id,
        title=nerves[0].name,
        side=target.side,
        level=target_level(target),
        nerves=nerves,
        landmarks=marks,
        errors=(*parts, *(() if rule.anatomy_sd_mm else (unknown,))),
        unknown=rule.unknown(),
        has_course=has_course,
        approach=rule.approach,
        approach_source=rule.approach_source,
        entry=rule.entry,
        how=how,
        checks=(),
        source=rule.source,
    )


def _checked(
    found: FoundTarget, rule: TargetRule, target: Target, labels: Labels, image: Volume, slack_mm: float
) -> FoundTarget:
    """The target with what its side and level were held against; errors where they contradict the image."""
    words: list[str] = []
    for nerve in found.nerves:
        middle = nerve.curve.resample(1.0)[1].mean(axis=0)
        if rule.paired and nerve.side != "midline":
            line = find_midline(middle, labels, image) if rule.trunk else None
            sd = nerve.position_sd_mm.value
            words.append(check_point_side(middle, nerve.side, nerve.name, line, sd))
        if not found.how.startswith("labels"):
            bones = rule.bones_at(found.level)
            words.append(check_point_level(middle, bones, nerve.name, labels, image, slack_mm))
    words.extend(_rule_notes(rule))
    return found.replace(checks=tuple(filter(None, words)))


def _rule_notes(rule: TargetRule) -> tuple[str, ...]:
    """What the rule itself leaves open about level names."""
    return (rule.level_source.removeprefix("assumption:").strip(),) if rule.level_source else ()
