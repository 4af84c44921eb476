"""Structures at risk: labelled ones as they are, the canal and the segmental nerves from bone, the skin.

What cannot be told keeps its place in the list with no mask and the reason.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.evidence.limits import kind_title, limits_for
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization import canal, foramen
from neurolysis.localization.schemes import BoolArray, Labels
from neurolysis.localization.skin import Skin, cut_mm, find_skin
from neurolysis.localization.vertebra import BodySide, find_vertebra
from neurolysis.scene import Review, Structure

CANAL, SEGMENTAL, SKIN = "spinal_canal", "segmental_nerve", "skin"
CANAL_SD_MM = 2.0
FORAMEN_SD_MM = 3.0
NEAR_MM = 80.0
"""Labelled structures further from the target than this are left out: the solver's box ends at 40 mm."""
SKIN_NEAR_MM = 40.0
"""An edge of the image that cuts the body matters for the skin when it lies within the solver's box."""


@dataclass(frozen=True)
class Surroundings:
    """What structures are found from: image and labels, and where the target is.

    ``centre_mm`` (3,) is None without a target, ``level`` and ``side`` without a vertebra it crosses.
    """

    image: Volume
    labels: Labels
    centre_mm: FloatArray | None = None
    level: str | None = None
    side: BodySide | None = None

    @cached_property
    def rings(self) -> tuple[canal.Ring, ...]:
        """The bone around the canal of every vertebra whose labels show it."""
        found = []
        for level in self.labels.levels():
            try:
                found.append(
                    canal.find_ring(self.labels, find_vertebra(self.labels, level, self.image), self.image)
                )
            except InputError:
                continue
        return tuple(found)


def find_structures(
    case: Case, around: Surroundings, given: Sequence[Structure] = ()
) -> tuple[Structure, ...]:
    """All structures at risk: those given in the case, labelled, derived, and the skin."""
    listed = [*given, *labelled_structures(around)]
    kinds = {structure.kind for structure in listed}
    if CANAL not in kinds:
        listed.append(derived_canal(around))
    if SEGMENTAL not in kinds:
        listed.extend(derived_segmental_nerves(around))
    if SKIN not in kinds:
        listed.append(skin_structure(case, around))
    return tuple(listed)


def labelled_structures(around: Surroundings) -> Iterator[Structure]:
    """Structures that a label map shows and its scheme calls a structure at risk, near the target."""
    for label_map in around.labels.maps:
        review: Review = "reviewed" if label_map.source.reviewed else "given"
        present = set(np.unique(label_map.volume.array).tolist())
        for number, record in label_map.scheme.labels.items():
            if record.structure is None or number not in present:
                continue
            mask = np.asarray(label_map.volume.array == number)
            if _is_near(mask, around):
                yield Structure(
                    name=record.title,
                    kind=record.structure,
                    mask=_as_mask(mask, around.image, record.title),
                    limits=limits_for(record.structure),
                    fluid_filled=record.fluid,
                    review=review,
                    derivation=f"label {number} of {label_map.source.path} ({label_map.scheme.title})",
                )


def derived_canal(around: Surroundings) -> Structure:
    """The bony canal from body and arch, or the reason why it cannot be told."""

    def build() -> BoolArray:
        if not around.rings:
            raise InputError("no vertebra with body, arch and both pedicles is labelled")
        return canal.canal_mask(around.rings, around.labels.bone(around.image), around.image)

    return _derived(
        "spinal canal (bony)",
        CANAL,
        build,
        around.image,
        sd_mm=CANAL_SD_MM,
        fluid=True,
        derivation="assumption: the space behind the bodies, before the laminae and between the pedicles of "
        f"{', '.join(ring.vertebra.level for ring in around.rings)}; the dural sac is not seen; its spread "
        "is about one voxel of the sample CT and unlabelled cortex",
    )


def derived_segmental_nerves(around: Surroundings) -> Iterator[Structure]:
    """Zones of the two segmental nerves above and below the pedicle of the target's vertebra."""
    level, side = around.level, around.side
    if level is None or side is None:
        return
    levels = around.labels.levels()
    above = levels[levels.index(level) - 1] if level in levels and levels.index(level) > 0 else None
    for name in (above, level):
        title = f"{name or 'upper'} segmental nerve, {side} ({kind_title(SEGMENTAL)})"
        yield _derived(
            title,
            SEGMENTAL,
            _zone_builder(around, name, level, side),
            around.image,
            sd_mm=FORAMEN_SD_MM,
            derivation=f"assumption: {foramen.CONSTRUCTION}{_borrowed(around, name, level)}",
        )


def skin_structure(case: Case, around: Surroundings) -> Structure:
    """The skin where the image reaches it; else unknown, unless the case gives its depth."""
    image = around.image
    readable = case.image is None or case.image.modality == "CT"
    skin = find_skin(image) if readable else None
    reason = "skin outside image"
    if skin is not None and (unseen := _skin_unseen_nearer(skin, around)):
        skin, reason = None, unseen
    if case.skin_depth_mm is not None:
        reason += f"; the case gives {case.skin_depth_mm:g} mm from skin to target along the needle"
    return Structure(
        name="skin",
        kind=SKIN,
        mask=None if skin is None else _as_mask(skin.mask, image, "skin"),
        unknown_reason="" if skin is not None else reason,
        limits=limits_for(SKIN),
        review="derived, unreviewed",
        derivation=f"outermost layer of the body towards {', '.join(skin.sides)}, told by air beyond it"
        if skin is not None
        else "",
    )


def _skin_unseen_nearer(skin: Skin, around: Surroundings) -> str:
    """Why the skin in the image may not be the nearest one; empty where it is, or the other is far."""
    if around.centre_mm is None:
        return ""
    cut = cut_mm(around.image, skin.body, around.centre_mm)
    shown = around.image.to_lps(np.argwhere(skin.mask))
    gap = float(np.linalg.norm(shown - around.centre_mm, axis=1).min())
    if cut is None or cut >= min(gap, SKIN_NEAR_MM):
        return ""
    return (
        f"the image ends inside the body {cut:.0f} mm from the target: the skin there is not seen, "
        f"and that in the image, {gap:.0f} mm away, need not be the nearest"
    )


def _zone_builder(
    around: Surroundings, name: str | None, level: str, side: BodySide
) -> Callable[[], BoolArray]:
    def build() -> BoolArray:
        rings = {ring.vertebra.level: ring for ring in around.rings}
        if name in rings:
            return foramen.zone_below(rings[name], side, around.labels, around.image)
        if name is None or level not in rings:
            raise InputError("the vertebra above or its pedicle is not labelled")
        return foramen.zone_above(rings[level], name, side, around.labels, around.image)

    return build


def _borrowed(around: Surroundings, name: str | None, level: str) -> str:
    """What to add where a vertebra's own pedicle is not seen."""
    if name in {ring.vertebra.level for ring in around.rings}:
        return ""
    return (
        f"; the pedicle of {name or 'the vertebra above'} is not seen: its lower border is taken to lie as "
        f"far above the lower endplate as that of {level} does"
    )


def _derived(
    name: str,
    kind: str,
    build: Callable[[], BoolArray],
    image: Volume,
    *,
    sd_mm: float,
    derivation: str,
    fluid: bool = False,
) -> Structure:
    """A structure made by ``build``; an InputError of it, or an empty mask, becomes the reason."""
    mask, reason = None, "its place lies outside the image"
    try:
        found = build()
        mask = _as_mask(found, image, name) if found.any() else None
    except InputError as error:
        reason = error.problem
    return Structure(
        name=name,
        kind=kind,
        mask=mask,
        unknown_reason="" if mask is not None else reason,
        limits=limits_for(kind),
        fluid_filled=fluid,
        position_sd_mm=sd_mm,
        review="derived, unreviewed",
        derivation=derivation,
    )


def _as_mask(mask: BoolArray, image: Volume, name: str) -> Volume:
    return image.with_array(mask.astype(np.uint8), name)


def _is_near(mask: BoolArray, around: Surroundings) -> bool:
    if around.centre_mm is None:
        return True
    points = around.image.to_lps(np.argwhere(mask))
    return bool(np.min(np.linalg.norm(points - around.centre_mm, axis=1)) <= NEAR_MM)
