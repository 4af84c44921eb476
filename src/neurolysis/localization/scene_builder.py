"""From a case folder to its scene: image, tissues, nerves, structures, landmarks, in one frame."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from neurolysis.case import Case, GivenNerve, ImageSource, Target
from neurolysis.errors import InputError
from neurolysis.evidence.limits import limits_for
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.geometry import Curve, Volume
from neurolysis.localization.images import read_image, read_labels
from neurolysis.localization.landmarks import Junction, check_side, find_junction
from neurolysis.localization.medial_branch import derive_medial_branch
from neurolysis.localization.schemes import Labels, read_label_map
from neurolysis.localization.structures import Surroundings, find_structures
from neurolysis.localization.targets.locate import FoundTarget, locate_target
from neurolysis.localization.targets.rules import findable_targets
from neurolysis.localization.tissues import map_tissues
from neurolysis.localization.vertebra import BodySide, find_vertebra
from neurolysis.nerve.catalogue import NerveEntry, nerve_entry, nerve_ids
from neurolysis.nerve.targets import TargetEntry, target_ids, target_of
from neurolysis.quantity import parse
from neurolysis.scene import AIR, Landmark, Nerve, Scene, Structure

WHERE = "case.yaml"


def build_scene(case: Case, folder: Path) -> Scene:
    """The anatomy of a case; paths in the case start from ``folder``.

    Nerves given in the case are used as they are. A target nerve that is not among them is derived
    from labels where the catalogue knows how (lumbar medial branches). What could not be told stands
    in the scene's notes, or as a structure without a mask.

    Raises:
        InputError: naming the field of ``case.yaml``: no image, a nerve without length, a target that
            is neither given nor derivable.
        ImageError, FrameMismatchError: an image that cannot be trusted, labels in another frame.
        UnknownNameError: a label scheme, nerve or kind of structure that is not known.
    """
    source = _image_source(case)
    image = read_image(folder / source.path, series_uid=source.series_uid)
    labels = _read_labels(case, folder, image)
    tissues = map_tissues(image, labels, source)
    nerves, marks = _nerves(case, labels, image)
    return Scene(
        image=image,
        labels={m.source.path: m.volume for m in labels.maps},
        tissues=tissues,
        properties={name: tissue_properties(name) for name in tissues.names if name != AIR},
        nerves=nerves,
        structures=find_structures(
            case, _surroundings(case, labels, image, nerves), _given_structures(case, folder, image)
        ),
        landmarks=(*marks, *_picked(case, image)),
        level_names=labels.levels(),
        notes=(*tissues.notes, *_notes(case, labels, nerves, image)),
    )


def _picked(case: Case, image: Volume) -> tuple[Landmark, ...]:
    """Landmarks picked by hand, each within the image; a side stands before the name."""
    found = []
    for number, one in enumerate(case.landmarks):
        if not image.contains([one.point_mm])[0]:
            raise InputError(
                "a landmark lies outside the image",
                where=f"{WHERE}: landmarks.{number}.point_mm",
                found=one.point_mm,
            )
        found.append(
            Landmark(
                name=f"{one.side} {one.name}" if one.side else one.name,
                point_mm=one.point_mm,
                spread_mm=one.position_sd_mm,
                review="reviewed" if one.reviewed else "picked, unreviewed",
                derivation=f"picked by {one.picked_by}" if one.picked_by else "picked by hand",
            )
        )
    return tuple(found)


def derive_target(target: Target, labels: Labels, image: Volume) -> tuple[Nerve, Junction]:
    """The target nerve and its landmark from labels.

    Raises:
        InputError: no labels, no rule for this kind of nerve, no side, or parts missing in the labels.
    """
    entry = nerve_entry(target.nerve)
    if entry.kind != "medial branch":
        raise _not_derivable(target, f"there is no rule for a {entry.kind}")
    if not labels.maps:
        raise _not_derivable(target, "the case has no label map")
    if target.side == "midline":
        raise InputError(
            "this nerve is paired", where=f"{WHERE}: target.side", found="midline", allowed="left, right"
        )
    level = _level(target)
    junction = find_junction(labels, level, target.side, image)
    return derive_medial_branch(junction, target.nerve, is_target=True), junction


def _image_source(case: Case) -> ImageSource:
    if case.image is None:
        raise InputError("a scene needs an image", where=f"{WHERE}: image")
    return case.image


def _read_labels(case: Case, folder: Path, image: Volume) -> Labels:
    maps = [read_label_map(one, read_labels(folder / one.path, image)) for one in case.labels]
    return Labels(maps=tuple(maps))


def given_target(case: Case) -> Nerve | None:
    """The target nerve as drawn in the case; None where it is not."""
    given = (_given_nerve(one, case.target, k) for k, one in enumerate(case.nerves))
    return next((nerve for nerve in given if nerve.is_target), None)


def _nerves(case: Case, labels: Labels, image: Volume) -> tuple[tuple[Nerve, ...], tuple[Landmark, ...]]:
    """The scene's nerves, and the landmarks that were found for them beside the picked ones."""
    given = tuple(_given_nerve(one, case.target, k) for k, one in enumerate(case.nerves))
    if case.target is None:
        return given, ()
    targets = [nerve for nerve in given if nerve.is_target]
    if targets:
        _check_given_side(targets[0], case.target, labels, image)
        return given, ()
    found = _found_target(case.target, case, labels, image)
    derived = found.landmarks if found.how == "labels" else ()
    return (*found.nerves, *given), derived


def _found_target(target: Target, case: Case, labels: Labels, image: Volume) -> FoundTarget:
    """The target from picked landmarks or labels, by the rules of :mod:`neurolysis.localization.targets`."""
    if target.nerve not in findable_targets():
        kind = target_of(target.nerve).kind
        raise _not_derivable(target, f"there is no rule for a {kind}")
    return locate_target(target, labels, image, case.landmarks)


def _given_nerve(given: GivenNerve, target: Target | None, number: int) -> Nerve:
    where = f"{WHERE}: nerves.{number}"
    is_target = target is not None and given.name == target.nerve
    side = target.side if target is not None and is_target else given.side
    if side is None:
        raise InputError("a nerve that is not the target needs its side", where=f"{where}.side")
    known = nerve_entry(given.name) if given.name in nerve_ids() else None
    listed = target_of(given.name) if known is None and given.name in target_ids() else None
    return Nerve(
        name=_nerve_name(given.name, known, listed, side),
        catalogue_id=known.id if known else (listed.id if listed else ""),
        side=side,
        curve=parse(Curve, {"points_mm": given.points_mm}, f"{where}.points_mm"),
        radius_mm=given.radius_mm,
        position_sd_mm=given.position_sd_mm,
        fibres=known.fibre_classes if known else (),
        fibres_source=known.fibres_note if known else "",
        is_target=is_target,
        review="picked, unreviewed" if given.picked_by else "given",
        derivation=f"picked by {given.picked_by}" if given.picked_by else f"given in {where}",
    )


def _nerve_name(name: str, known: NerveEntry | None, listed: TargetEntry | None, side: str) -> str:
    entry = known or listed
    if entry is None:
        return name
    return entry.title if side == "midline" else f"{entry.title}, {side}"


def _check_given_side(nerve: Nerve, target: Target, labels: Labels, image: Volume) -> None:
    """Refuse a given target on the other side of its vertebra, where the labels can tell."""
    if nerve.side == "midline" or _level(target) not in labels.levels():
        return
    try:
        vertebra = find_vertebra(labels, _level(target), image)
    except InputError:
        return
    check_side(vertebra, nerve.curve.as_array().mean(axis=0), nerve.side, labels, image)


def _given_structures(case: Case, folder: Path, image: Volume) -> tuple[Structure, ...]:
    return tuple(_given_structure(case, k, folder, image) for k in range(len(case.structures)))


def _given_structure(case: Case, number: int, folder: Path, image: Volume) -> Structure:
    given, where = case.structures[number], f"{WHERE}: structures.{number}"
    limits = limits_for(given.kind)
    volume = read_labels(folder / given.label_path, image)
    mask = np.isin(volume.array, given.label_values)
    if not mask.any():
        raise InputError(
            "none of these labels is in the label map",
            where=f"{where}.label_values",
            found=list(given.label_values),
            allowed=[int(n) for n in np.unique(volume.array) if n],
        )
    return Structure(
        name=given.name,
        kind=given.kind,
        mask=image.with_array(mask.astype(np.uint8), given.name),
        limits=limits,
        derivation=f"labels {', '.join(map(str, given.label_values))} of {given.label_path}",
    )


def _surroundings(case: Case, labels: Labels, image: Volume, nerves: tuple[Nerve, ...]) -> Surroundings:
    centres = [nerve.curve.as_array().mean(axis=0) for nerve in nerves if nerve.is_target]
    side: BodySide | None = None
    if case.target is not None and case.target.side != "midline":
        side = case.target.side
    return Surroundings(
        image=image,
        labels=labels,
        centre_mm=centres[0] if centres else None,
        level=(_level(case.target) or None) if case.target else None,
        side=side,
    )


def _level(target: Target) -> str:
    return (target.bony_level or "").strip().upper()


def _not_derivable(target: Target, why: str) -> InputError:
    return InputError(
        f"the target nerve is not given, and cannot be derived: {why}",
        where=f"{WHERE}: nerves",
        found=target.nerve,
        allowed="the nerve's points, radius and position_sd_mm, or label maps of the vertebra it crosses",
    )


def _notes(case: Case, labels: Labels, nerves: tuple[Nerve, ...], image: Volume) -> tuple[str, ...]:
    notes = []
    for m in labels.maps:
        if not m.source.reviewed:
            origin = m.source.origin or "not stated"
            notes.append(f"Label map {m.source.path} has not been reviewed; its origin: {origin}.")
    if labels.levels():
        notes.append(f"Vertebrae named by the labels, not counted here: {', '.join(labels.levels())}.")
    for nerve in nerves:
        if nerve.review == "derived, unreviewed":
            notes.append(f"{nerve.name}: {nerve.derivation}.")
        if not image.contains(nerve.curve.as_array()).all():
            notes.append(f"{nerve.name}: part of its course lies outside the image.")
    if case.target is None:
        notes.append("The case names no target, so no nerve was derived.")
    return tuple(notes)
