"""Find a case's target and the needle paths to it, and say what is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.app.cases import load_case
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError

if TYPE_CHECKING:
    from neurolysis.case import Case
    from neurolysis.localization.targets.locate import FoundTarget
    from neurolysis.localization.targets.needs import TargetNeeds
    from neurolysis.planning.path_hits import Probability
    from neurolysis.planning.paths import NeedlePathOffer
    from neurolysis.planning.target_paths import PathChoices, TargetPaths
    from neurolysis.scene import Scene


@dataclass(frozen=True)
class Localized:
    """What was found for a case.

    Attributes:
        found: None where landmarks are missing; ``why_not`` then says so.
        paths: None where no path could be searched; ``no_paths`` then says why.
    """

    case: Case
    needs: TargetNeeds
    found: FoundTarget | None
    why_not: str
    paths: TargetPaths | None
    no_paths: str

    @property
    def missing(self) -> bool:
        """Whether the target could not be found."""
        return self.found is None


def localize(case_path: Path, choices: PathChoices | None = None) -> Localized:
    """Find the target of the case at ``case_path`` and search needle paths to it.

    Raises:
        InputError: the case; a target on the wrong side or at another level; a choice out of range.
        UnknownNameError: a nerve without a rule, an instrument; lists what there is.
        ImageError: an image that cannot be trusted.
    """
    from neurolysis.localization.scene_builder import build_scene, given_target
    from neurolysis.localization.targets.needs import landmark_needs
    from neurolysis.planning.target_paths import located

    case, folder = load_case(case_path)
    if case.target is None:
        raise InputError("there is no target to find", where="case.yaml: target")
    needs = landmark_needs(case.target, case.landmarks)
    picked_or_given = not needs.missing or given_target(case) is not None
    if not picked_or_given and not (needs.labels and case.labels):
        return Localized(case, needs, None, _missing_words(needs), None, "")
    try:
        scene = build_scene(case, folder)
    except InputError as error:
        if error.where != "case.yaml: landmarks":
            raise
        return Localized(case, needs, None, str(error), None, "")
    found = located(case, scene)
    if found is None:  # landmark_needs has refused a target without a rule
        raise InputError("there is no rule for this target", found=case.target.nerve)
    settled = landmark_needs(case.target, case.landmarks, found_by=found.how)
    return Localized(case, settled, found, "", *_paths(case, scene, found, choices))


def parse_margins(texts: Iterable[str]) -> dict[str, float]:
    """``kind=mm`` texts as numbers.

    Raises:
        InputError: a text that is no such pair.
    """
    found: dict[str, float] = {}
    for text in texts:
        kind, _, value = text.partition("=")
        try:
            found[kind.strip()] = float(value)
        except ValueError as error:
            raise InputError(
                "a margin is written kind=mm", found=text, allowed="for instance vessel=3"
            ) from error
    return found


def _paths(
    case: Case, scene: Scene, found: FoundTarget, choices: PathChoices | None
) -> tuple[TargetPaths | None, str]:
    """The paths, or why there are none; errors in what the user chose are raised."""
    from neurolysis.planning.target_paths import paths_to_target

    try:
        return paths_to_target(case, scene, found, choices), ""
    except InputError as error:
        if not error.problem.startswith("no needle path"):
            raise
        return None, str(error)


def _missing_words(needs: TargetNeeds) -> str:
    names = ", ".join(f"{one.name}{f' ({one.side})' if one.side else ''}" for one in needs.missing)
    return f"landmarks are missing: {names}"


def localized_data(found: Localized) -> dict[str, Any]:
    """The answer as plain data for ``--json``."""
    return {
        "case_id": found.case.id,
        "needs": found.needs.model_dump(mode="json"),
        "missing": [one.name for one in found.needs.missing],
        "target": found.found.model_dump(mode="json") if found.found else None,
        "why_not": found.why_not,
        "paths": found.paths.model_dump(mode="json") if found.paths else None,
        "no_paths": found.no_paths,
        "research_use": RESEARCH_USE,
    }


def localized_text(found: Localized) -> str:
    """The answer in words for the terminal."""
    return "\n".join(_lines(found))


def _lines(item: Localized) -> Iterator[str]:
    needs = item.needs
    level = f", {needs.level}" if needs.level else ""
    yield f"Target of {item.case.id}: {needs.title}, {needs.side}{level}"
    yield "  Landmarks"
    for one in needs.landmarks:
        side = f" ({one.side})" if one.side else ""
        yield f"    {one.state.upper():<24}{one.name}{side}: {one.find}"
    if needs.labels:
        yield f"    or from {needs.labels}"
    if item.found is None:
        yield f"  NOT FOUND: {item.why_not}"
    else:
        yield from _target_lines(item.found)
        yield from _path_lines(item)
    yield RESEARCH_USE


def _target_lines(found: FoundTarget) -> Iterator[str]:
    yield f"  Found ({found.how})"
    for nerve in found.nerves:
        middle = nerve.curve.resample(1.0)[1].mean(axis=0)
        place = ", ".join(f"{name} {c:.1f}" for name, c in zip("LPS", middle, strict=True))
        yield (
            f"    {nerve.name}: middle at {place} mm (to the left, back, head), "
            f"{nerve.curve.length_mm():.0f} mm long, spread {nerve.position_sd_mm.value:.1f} mm "
            f"({nerve.review})"
        )
    for part in found.errors:
        number = "unknown" if part.standard_deviation_mm is None else f"{part.standard_deviation_mm:.1f} mm"
        yield f"    spread by {part.name}: {number}; {part.source}"
    yield from (f"    not known: {text}" for text in found.unknown if not text.startswith("spread"))
    yield from (f"    checked: {text}" for text in found.checks)
    yield f"    from: {found.source}"


def _path_lines(item: Localized) -> Iterator[str]:
    if item.paths is None:
        yield f"  No paths: {item.no_paths}"
        return
    paths, search = item.paths, item.paths.search
    limits = paths.limits
    yield (
        f"  Paths with {paths.instrument}: {search.candidates} candidates, {search.passed} kept by the "
        f"distance maps; shaft {limits.length_mm:g} mm"
        + (f", {limits.approach} within {limits.within_deg:g} degrees" if limits.approach else "")
    )
    yield from (f"    ruled out {count:>6}: {reason}" for reason, count in search.ruled_out.items())
    if not search.offers:
        yield "  NO PATH keeps every limit when measured exactly."
    for offer in search.offers:
        yield from _offer_lines(offer)
    spread = paths.placement_sd_mm
    yield f"  Placement error taken: {spread.value:g} mm in each direction ({spread.source})"
    needed = ", ".join(f"{float(k):.0%}: {v:.1f} mm" for k, v in paths.needed_reach_mm.items())
    yield f"  Reach a treatment needs to meet a straight nerve in this share of placements: {needed}"
    yield from (f"  Not seen, so no path is known to be clear of it: {text}" for text in paths.unseen)
    yield from (f"  {text}" for text in search.remarks)


def _offer_lines(offer: NeedlePathOffer) -> Iterator[str]:
    tip, entry = (", ".join(f"{c:.1f}" for c in point) for point in (offer.tip_mm, offer.entry_mm))
    angle = "" if offer.angle_deg is None else f", {offer.angle_deg:.0f} degrees to the nerve"
    yield f"  {offer.rank}. {offer.length_mm:.0f} mm from the skin at ({entry}) to the tip at ({tip}){angle}"
    met = f"{_chance(offer.met)} meet the nerve within {offer.reach_mm:.1f} mm" if offer.met else ""
    yield f"     smallest clearance beyond its margin {offer.slack_mm:.1f} mm; bone {offer.bone_mm:.1f} mm"
    yield f"     with placement error: {met}"
    for one in offer.clearances[:5]:
        chance = f", touched in {_chance(one.touched)}" if one.touched else ""
        far = "over " if one.gap_mm > 29 else ""
        yield f"       {one.name}: {far}{one.gap_mm:.1f} mm, {one.depth_mm:.0f} mm up the needle{chance}"


def _chance(found: Probability | None) -> str:
    if found is None:
        return "unknown"
    if found.value == 0:
        return f"under {found.high:.1%}"
    return f"{found.value:.1%} ({found.low:.1%} to {found.high:.1%})"
