"""Rules of case, scene and place that hold for every technique, checked before anything is simulated.

Each rule is one function from :class:`Facts` to the notices it raises; :data:`RULES` is the list. What
belongs to one technique (return pad, electronic implants, fluid at the tip) is in that technique.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from functools import cached_property

import numpy as np

from neurolysis.case import Case
from neurolysis.evaluation.red_flags import red_flags
from neurolysis.evaluation.suitability import before_a_plan, out_of_scope
from neurolysis.nerve.catalogue import joint_notes, nerve_entry, nerve_ids, target_problems
from neurolysis.nerve.masks import Mask
from neurolysis.nerve.targets import target_of
from neurolysis.plan import Notice, Placement, Severity
from neurolysis.planning.anaesthesia import anaesthesia_notices
from neurolysis.planning.needle import STEP_MM, NeedlePath, needle_path
from neurolysis.planning.surroundings import bone_depth, bone_names, share_of, touches, uncertain_share
from neurolysis.scene import AIR, Scene, Structure

PROJECT_RULE = "clinical rule laid down for this project; no source gives its number"
CROSSED_ON_THE_WAY = frozenset({"skin", "scar"})
"""Kinds of structure a needle has to pass, or may."""
INTRAOSSEOUS = frozenset({"intraosseous nerve"})
"""Kinds of target that lie in bone, so that a tip in bone is meant."""
DECLARED_APPROACHES = {"trans-aortic": "aorta", "intrathecal": "spinal canal"}
"""Approaches that cross a structure on purpose, by the word that its name must hold."""
UNCERTAIN_REACH_MM = 15.0
"""How far around the bare parts uncertain tissue is counted; most lesions read are smaller."""
OUTSIDE_IMAGE = "tip.outside_image"
IN_AIR = "tip.in_air"


@dataclass(frozen=True)
class Facts:
    """What the rules look at."""

    case: Case
    scene: Scene
    placements: tuple[Placement, ...]

    @cached_property
    def paths(self) -> tuple[NeedlePath, ...]:
        """Points along every instrument."""
        return tuple(needle_path(placement) for placement in self.placements)

    def named_paths(self) -> Iterator[tuple[str, NeedlePath]]:
        """Each path with the words for it."""
        for number, path in enumerate(self.paths, start=1):
            yield ("The needle" if len(self.paths) == 1 else f"Needle {number}"), path


Rule = Callable[[Facts], Iterable[Notice]]


def case_notices(case: Case, scene: Scene, placements: tuple[Placement, ...]) -> tuple[Notice, ...]:
    """Everything the rules say, in the order of :data:`RULES`.

    Raises:
        UnknownNameError: the target's nerve is not in the catalogue.
    """
    facts = Facts(case, scene, placements)
    return tuple(notice for rule in RULES for notice in rule(facts))


def _notice(severity: Severity, code: str, text: str, source: str = "", overridable: bool = True) -> Notice:
    return Notice(severity=severity, code=code, text=text, source=source, overridable=overridable)


# --- what is treated ---------------------------------------------------------------------------------


def target_rule(facts: Facts) -> Iterator[Notice]:
    """Nerve, side, bony level and joint must agree, among themselves and with the scene."""
    if facts.case.target is None:
        yield _notice("stop", "target.missing", "The case names no target.", overridable=False)
        return
    yield from target_problems(facts.case.target)
    yield from joint_notes(facts.case.target)
    yield from _scene_target(facts)
    yield from _seen_level(facts)


def _scene_target(facts: Facts) -> Iterator[Notice]:
    target = facts.case.target
    nerves = [nerve for nerve in facts.scene.nerves if nerve.is_target]
    if len(nerves) != 1:
        text = f"The scene holds {len(nerves)} target nerves; a plan needs exactly one."
        yield _notice("stop", "target.not_one", text, overridable=False)
    elif target and (nerves[0].catalogue_id, nerves[0].side) != (target.nerve, target.side):
        found = f"{nerves[0].catalogue_id}, {nerves[0].side}"
        text = f"The target is {target.nerve}, {target.side}; the nerve in the scene is {found}."
        yield _notice("stop", "target.scene_mismatch", text, overridable=False)


def _seen_level(facts: Facts) -> Iterator[Notice]:
    target, seen = facts.case.target, facts.scene.level_names
    if not target or not seen or target.nerve not in nerve_ids():
        return
    entry = nerve_entry(target.nerve)
    names = {name.casefold() for name in (entry.bony_level, *entry.bony_level_names)}
    if names.isdisjoint(name.casefold() for name in seen):
        text = f"{entry.bony_level} is not among the vertebrae seen in the labels ({', '.join(seen)})."
        yield _notice("warn", "level.not_seen", text)


def unknown_facts_rule(facts: Facts) -> Iterator[Notice]:
    """What the case does not say is unknown, never "fine"."""
    if facts.case.allergies is None:
        yield _notice("warn", "allergies.unknown", "The case does not say whether there are allergies.")
    if facts.case.implants is None:
        text = "The case does not say whether there are implants, electronic ones or metal."
        yield _notice("warn", "implants.unknown", text)
    if facts.case.demonstration:
        yield _notice("info", "case.demonstration", "A demonstration: not a patient to be treated.")


# --- what the images say -----------------------------------------------------------------------------


def contrast_rule(facts: Facts) -> Iterator[Notice]:
    """On a contrast scan brightness alone never makes bone; unknown is treated as contrast."""
    image = facts.case.image
    if image is not None and image.modality == "CT" and image.contrast is not False:
        known = "is a contrast scan" if image.contrast else "may be a contrast scan (the case does not say)"
        text = (
            f"The image {known}: brightness alone never makes bone; bright soft tissue without a label "
            "is uncertain."
        )
        yield _notice("info" if image.contrast else "warn", "image.contrast", text)
    yield from _uncertain_tissue(facts)


def _uncertain_tissue(facts: Facts) -> Iterator[Notice]:
    for name, path in facts.named_paths():
        share = uncertain_share(facts.scene.tissues, path.active_mm, UNCERTAIN_REACH_MM)
        if share > 0:
            text = (
                f"{name}: {share:.1%} of the tissue within {UNCERTAIN_REACH_MM:g} mm of the active tip could "
                "not be told."
            )
            yield _notice("warn", "tissue.uncertain", text)


def review_rule(facts: Facts) -> Iterator[Notice]:
    """Labels nobody reviewed, and anatomy derived from them, are named."""
    unreviewed = [label.path for label in facts.case.labels if not label.reviewed]
    if unreviewed:
        text = f"Nobody has reviewed these label maps: {', '.join(unreviewed)}."
        yield _notice("warn", "labels.unreviewed", text)
    derived = [n.name for n in facts.scene.nerves if n.review == "derived, unreviewed"]
    derived += [s.name for s in facts.scene.structures if s.review == "derived, unreviewed" and s.mask]
    if derived:
        text = f"Derived by the program and not reviewed: {', '.join(derived)}."
        yield _notice("warn", "anatomy.derived", text)


def skin_rule(facts: Facts) -> Iterator[Notice]:
    """Skin is always a structure at risk; without it in the image its depth has to be given."""
    if not facts.placements:
        return  # an open operation goes in where the skin is nearest; its depth is measured with the result
    skins = [s for s in facts.scene.structures if s.kind == "skin"]
    if any(skin.mask is not None for skin in skins) or facts.case.skin_depth_mm is not None:
        return
    reason = skins[0].unknown_reason if skins else "skin outside image"
    text = f"Distance to the skin: cannot say ({reason}). Give skin_depth_mm in the case."
    yield _notice("warn", "skin.unknown", text, PROJECT_RULE)


# --- where the needle lies ---------------------------------------------------------------------------


def image_rule(facts: Facts) -> Iterator[Notice]:
    """The active tip must lie in the image; the shaft may leave it."""
    for name, path in facts.named_paths():
        outside = 1 - facts.scene.image.contains(path.active_mm).mean()
        if outside > 0:
            text = f"{name}: {outside:.0%} of the active tip lies outside the image."
            yield _notice("stop", OUTSIDE_IMAGE, text, PROJECT_RULE, overridable=False)
        elif not facts.scene.image.contains(path.shaft_mm).all():
            text = (
                f"{name}: the shaft leaves the image; what lies beyond is taken as "
                f"{facts.scene.tissues.outside.replace('_', ' ')}."
            )
            yield _notice("info", "shaft.leaves_image", text)


def air_rule(facts: Facts) -> Iterator[Notice]:
    """No part of the active tip may lie in air: outside the body, or in gas within it."""
    for name, path in facts.named_paths():
        share = share_of(facts.scene.tissues, path.active_mm, {AIR})
        if share > 0:
            text = f"{name}: {share:.0%} of the active tip lies in air (outside the body, or in gas)."
            yield _notice("stop", IN_AIR, text, PROJECT_RULE, overridable=False)


def bone_rule(facts: Facts) -> Iterator[Notice]:
    """A tip on or in bone warns with its depth; beyond one voxel's diagonal it stops a soft-tissue target."""
    target = facts.case.target
    meant = target is not None and _kind_of(target.nerve) in INTRAOSSEOUS
    diagonal = float(np.linalg.norm(facts.scene.tissues.volume.spacing_mm))
    for name, path in facts.named_paths():
        depth = bone_depth(facts.scene.tissues, path.active_mm)
        yield from bone_notice(name, depth, diagonal, meant)
        crossed = share_of(facts.scene.tissues, path.shaft_mm, bone_names(facts.scene.tissues))
        if crossed * len(path.shaft_mm) * STEP_MM > diagonal:
            text = f"{name}: {crossed * len(path.shaft_mm) * STEP_MM:.1f} mm of the shaft run through bone."
            yield _notice("warn", "shaft.in_bone", text, PROJECT_RULE)


def _kind_of(nerve: str) -> str:
    return nerve_entry(nerve).kind if nerve in nerve_ids() else target_of(nerve).kind


def bone_notice(
    name: str, depth_mm: np.ndarray | None, diagonal_mm: float, intraosseous: bool
) -> Iterator[Notice]:
    """The notice for depths (n,) of the active tip in bone, 0 on its surface; None: not at bone."""
    if depth_mm is None:
        return
    share, deepest = float((depth_mm > 0).mean()), float(depth_mm.max())
    where = f"{share:.0%} of the active tip lies in bone" if share else "the active tip lies on bone"
    text = f"{name}: {where} (apex {depth_mm[0]:.1f} mm deep, deepest {deepest:.1f} mm)"
    if deepest > diagonal_mm and not intraosseous:
        text += f", more than one voxel's diagonal ({diagonal_mm:.1f} mm), and the target is not in bone."
        yield _notice("stop", "tip.in_bone", text, PROJECT_RULE)
        return
    text += f"; depths below one voxel's diagonal ({diagonal_mm:.1f} mm) may be partial volume."
    yield _notice("warn", "tip.at_bone", text, PROJECT_RULE)


def path_rule(facts: Facts) -> Iterator[Notice]:
    """A needle through a structure at risk stops; one that passes within a structure's spread warns."""
    structures = [s for s in facts.scene.structures if s.kind not in CROSSED_ON_THE_WAY]
    declared = facts.case.treatment.declared_approach if facts.case.treatment else ""
    for name, path in facts.named_paths():
        for structure in structures:
            yield from _passes(name, path, structure, declared)


def _passes(name: str, path: NeedlePath, structure: Structure, declared: str) -> Iterator[Notice]:
    if structure.mask is None:
        return
    gap = float(Mask(structure.mask).distance_mm(path.all_mm).min()) - path.radius_mm
    if gap <= 0 and _is_declared(structure, declared):
        text = f"{name} runs through {structure.name}: declared as '{declared}'."
        yield _notice("warn", "path.declared", text, PROJECT_RULE)
    elif gap <= 0:
        text = f"{name} runs through {structure.name} ({structure.review})."
        yield _notice("stop", "path.through_structure", text, PROJECT_RULE)
    elif gap <= structure.position_sd_mm:
        text = (
            f"{name} passes {gap:.1f} mm from {structure.name}, within the spread of its place "
            f"({structure.position_sd_mm:.1f} mm)."
        )
        yield _notice("warn", "path.near_structure", text, PROJECT_RULE)


def _is_declared(structure: Structure, declared: str) -> bool:
    """Whether a named approach means to go through this structure; where the tip ends is another rule."""
    return any(
        declared.casefold() == approach and part in structure.name.casefold()
        for approach, part in DECLARED_APPROACHES.items()
    )


def metal_between_needles_rule(facts: Facts) -> Iterator[Notice]:
    """Two instruments may not touch."""
    for number, first in enumerate(facts.paths):
        for other in facts.paths[number + 1 :]:
            if touches(first.all_mm, other.all_mm, first.radius_mm + other.radius_mm):
                yield _notice("stop", "needles.touch", "Two needles touch each other.", overridable=False)


def scope_rule(facts: Facts) -> Iterator[Notice]:
    """No plan out of scope or with an open red flag; without a day of the case its age is not judged."""
    day = facts.case.evaluated or date.max
    for rule in out_of_scope(facts.case, day):
        yield _notice("stop", f"scope.{rule.id}", rule.message, rule.source, overridable=False)
    for flag in red_flags(facts.case, day):
        if flag.state == "open":
            yield _notice("stop", f"red_flag.{flag.id}", flag.message, flag.source, overridable=False)


def technique_rule(facts: Facts) -> Iterator[Notice]:
    """What stands against the technique chosen, asked again here; what is not known is said."""
    target, treatment = facts.case.target, facts.case.treatment
    if target is None or treatment is None:
        return
    day = facts.case.evaluated or date.max
    for rule in before_a_plan(facts.case, target.nerve, treatment.technique, day):
        stops = rule.severity == "stop"
        text = (
            rule.message
            if rule.severity != "missing"
            else f"Cannot say whether this stands against it. {rule.message}"
        )
        yield _notice("stop" if stops else "warn", f"suitability.{rule.id}", text, rule.source)


def anaesthesia_rule(facts: Facts) -> Iterator[Notice]:
    """A plan stops where its anaesthesia does, and says when it is missing or cannot be judged."""
    yield from anaesthesia_notices(facts.case, facts.scene, facts.placements)


RULES: tuple[Rule, ...] = (
    scope_rule,
    target_rule,
    image_rule,
    air_rule,
    bone_rule,
    path_rule,
    metal_between_needles_rule,
    skin_rule,
    contrast_rule,
    review_rule,
    unknown_facts_rule,
    technique_rule,
    anaesthesia_rule,
)
