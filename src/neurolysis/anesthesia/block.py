"""What the planned local anaesthetic numbs: skin, needle track and target nerve, and for how long.

Spread is given as a range: how far a volume reaches depends on the share of tissue it can fill, which no
source read states for skin, fat or muscle. The smallest reach (every part of the tissue replaced) is the
one the checks use.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from neurolysis.anesthesia.agents import agent, highest, lowest
from neurolysis.case import GivenInjection
from neurolysis.evidence.readings import reading
from neurolysis.plan import Notice
from neurolysis.quantity import Value

ED95, ED50 = "D-25", "D-24"
SPARING = "H-05"
FIBRES = ("D-05", "D-06", "D-07", "D-08", "D-09")
FIBRE_CONFLICT = (
    "The order in which fibres are lost is not settled: in rats in vivo C fibres were the least sensitive "
    "(D-01 to D-10), in dorsal roots small and large were alike (D-11, D-12), one nerve study found the "
    "opposite. No class is said to be numbed first."
)
ED95_NOTE = "volume per nerve cross-section was read for 1 % mepivacaine at the ulnar nerve"


class TrackBlock(Value):
    """Skin and track: how far the planned volume reaches at least.

    ``track_radius_mm`` is that of a cylinder of the planned volume along the whole path, the tissue
    replaced outright; None where the length or the volume is not known.
    """

    path_mm: float | None
    path_text: str
    skin_ml: float
    skin_radius_mm: float | None
    track_ml: float
    track_radius_mm: float | None
    needle_radius_mm: float | None
    covers: bool | None
    text: str


class NerveBlock(Value):
    """Target nerve: volume planned against volume needed for its cross-section, mL."""

    nerve: str
    cross_section_mm2: float | None
    planned_ml: float
    needed_ml: float | None
    needed_low_ml: float | None
    needed_high_ml: float | None
    enough: bool | None
    text: str
    sources: tuple[str, ...]


class Timing(Value):
    """One agent at the target or on the track: when it works, against when it is needed. Minutes."""

    agent: str
    purpose: str
    given_at: float
    onset: tuple[float, float] | None
    wears_off: tuple[float, float] | None
    ready: bool | None
    lasts: bool | None
    text: str


class Block(Value):
    """Everything the planned local anaesthetic numbs, and what must be said about it."""

    track: TrackBlock
    nerve: NerveBlock
    timing: tuple[Timing, ...]
    motor_test: Literal["possible", "not reliable", "cannot say"]
    fibres: str = FIBRE_CONFLICT
    notices: tuple[Notice, ...] = ()
    needs: tuple[str, ...] = ()


OperationBy = Literal["general", "regional", "local", "not named"]
NO_TRACK = "An open operation: there is no needle track to numb."


class Path(Value):
    """Length of the needle path from skin to target, mm; None with the reason in ``text``.

    ``operation`` is the anaesthesia that an open operation names: there is no needle path then.
    """

    length_mm: float | None = Field(default=None, gt=0)
    text: str
    needle_radius_mm: float | None = Field(default=None, gt=0)
    operation: OperationBy | None = None

    @property
    def numbed_otherwise(self) -> bool:
        """Whether the operation's own anaesthesia numbs skin and nerve, not the injections."""
        return self.operation in ("general", "regional")


class TargetNerve(Value):
    """The nerve to be numbed: its name and diameter, mm, where known."""

    name: str
    diameter_mm: float | None = Field(default=None, gt=0)
    diameter_source: str = ""


def plan_block(
    injections: Sequence[GivenInjection],
    path: Path,
    nerve: TargetNerve,
    *,
    lesion_minutes: float | None,
    lesion_lasts_min: float | None,
) -> Block:
    """What the planned injections numb.

    Args:
        path: the needle path; nerve: the target; both may be unknown.
        lesion_minutes: when the painful part begins, on the clock of the injections.
        lesion_lasts_min: how long it lasts.
    """
    track = _track(injections, path)
    needed = _nerve(injections, nerve)
    times = tuple(_timings(injections, lesion_minutes, lesion_lasts_min))
    return Block(
        track=track,
        nerve=needed,
        timing=times,
        motor_test=_motor_test(injections, lesion_minutes),
        notices=tuple(_notices(track, needed, times, numbed_otherwise=path.numbed_otherwise)),
        needs=tuple(_needs(path, needed, lesion_minutes, lesion_lasts_min, times)),
    )


def sphere_radius_mm(volume_ml: float, share: float = 1.0) -> float:
    """Radius of the ball that a volume fills, if ``share`` of the tissue can be filled."""
    return float((3.0 * 1000.0 * volume_ml / (4.0 * math.pi * share)) ** (1.0 / 3.0))


def cylinder_radius_mm(volume_ml: float, length_mm: float, share: float = 1.0) -> float:
    """Radius of the cylinder that a volume fills along a length, if ``share`` of the tissue can be filled."""
    return math.sqrt(1000.0 * volume_ml / (math.pi * length_mm * share))


def _volume(injections: Sequence[GivenInjection], *purposes: str) -> float:
    return float(sum(i.volume_ml for i in injections if i.purpose in purposes))


def _track(injections: Sequence[GivenInjection], path: Path) -> TrackBlock:
    skin, track = _volume(injections, "skin"), _volume(injections, "track")
    radius = cylinder_radius_mm(track, path.length_mm) if track and path.length_mm else None
    needle = path.needle_radius_mm
    covers = None if radius is None or needle is None else radius > needle
    if path.operation is not None and not track:
        text = f"{NO_TRACK} Its anaesthesia: {path.operation}."
    elif not track:
        text = "No injection along the track is planned."
        covers = False
    elif radius is None:
        text = f"{track:g} mL along the track; how far it reaches cannot be said: {path.text}."
    else:
        text = f"{track:g} mL along {path.length_mm:.0f} mm reach at least {radius:.1f} mm round the needle."
    return TrackBlock(
        path_mm=path.length_mm,
        path_text=path.text,
        skin_ml=skin,
        skin_radius_mm=sphere_radius_mm(skin) if skin else None,
        track_ml=track,
        track_radius_mm=radius,
        needle_radius_mm=needle,
        covers=covers,
        text=text,
    )


def _nerve(injections: Sequence[GivenInjection], nerve: TargetNerve) -> NerveBlock:
    planned = _volume(injections, "target", "with the agent", "diagnostic block")
    row = reading(ED95)
    if nerve.diameter_mm is None:
        return NerveBlock(
            nerve=nerve.name,
            cross_section_mm2=None,
            planned_ml=planned,
            needed_ml=None,
            needed_low_ml=None,
            needed_high_ml=None,
            enough=None,
            text=f"The diameter of {nerve.name} is not known: the volume it needs cannot be said.",
            sources=(row.id,),
        )
    area = math.pi * (nerve.diameter_mm / 2) ** 2
    needed, low, high = (area * x for x in (row.middle(), lowest(row), highest(row)))
    enough = None if not planned else planned >= high
    text = (
        f"{nerve.name}: {area:.2f} mm2 across; {needed:.2f} mL ({low:.2f}-{high:.2f}) numb it in 95 % "
        f"({row.id}: {ED95_NOTE}); {planned:g} mL are planned."
    )
    return NerveBlock(
        nerve=nerve.name,
        cross_section_mm2=area,
        planned_ml=planned,
        needed_ml=needed,
        needed_low_ml=low,
        needed_high_ml=high,
        enough=enough,
        text=text,
        sources=(row.id, ED50, *([nerve.diameter_source] if nerve.diameter_source else [])),
    )


def _timings(
    injections: Sequence[GivenInjection], start: float | None, lasts: float | None
) -> Iterator[Timing]:
    for injection in injections:
        if injection.minutes < 0 and injection.purpose not in ("target", "track", "skin"):
            continue
        yield _timing(injection, start, lasts)


def _timing(injection: GivenInjection, start: float | None, lasts: float | None) -> Timing:
    item, epinephrine = agent(injection.agent), bool(injection.epinephrine_mcg_per_ml)
    onset = item.minutes("onset", epinephrine=epinephrine)
    duration = item.minutes("duration", epinephrine=epinephrine)
    at = injection.minutes
    works = None if onset is None else (at + onset[0], at + onset[1])
    ends = None if duration is None else (at + duration[0], at + duration[1])
    ready = None if works is None or start is None else works[1] <= start
    end = None if start is None or lasts is None else start + lasts
    holds = None if ends is None or end is None else ends[0] >= end
    words = [f"{item.title} ({injection.purpose}) at {at:g} min"]
    words.append("onset not read" if works is None else f"works from {works[0]:g} to {works[1]:g} min")
    words.append("duration not read" if ends is None else f"wears off at {ends[0]:g} to {ends[1]:g} min")
    if start is not None:
        words.append(f"needed at {start:g} min")
    return Timing(
        agent=injection.agent,
        purpose=injection.purpose,
        given_at=at,
        onset=works,
        wears_off=ends,
        ready=ready,
        lasts=holds,
        text=", ".join(words) + ".",
    )


def _motor_test(
    injections: Sequence[GivenInjection], start: float | None
) -> Literal["possible", "not reliable", "cannot say"]:
    """Whether stimulation can tell a motor nerve: not once the target is numb, nor while it still is."""
    still = [_still_numb(i) for i in injections if i.purpose == "diagnostic block"]
    if "not reliable" in still:
        return "not reliable"
    at_target = [i for i in injections if i.purpose in ("target", "with the agent")]
    if at_target and start is not None:
        return "not reliable"
    return "cannot say" if at_target or "cannot say" in still else "possible"


def _still_numb(injection: GivenInjection) -> Literal["possible", "not reliable", "cannot say"]:
    """What a diagnostic block leaves of a motor test as the session begins, by its longest duration."""
    lasts = agent(injection.agent).minutes("duration", epinephrine=bool(injection.epinephrine_mcg_per_ml))
    if lasts is None:
        return "cannot say"
    return "not reliable" if injection.minutes + lasts[1] > 0 else "possible"


def _notices(
    track: TrackBlock, nerve: NerveBlock, times: Sequence[Timing], *, numbed_otherwise: bool
) -> Iterator[Notice]:
    if track.covers is False:
        yield Notice(severity="warn", code="block.track", text=f"The track is not numbed. {track.text}")
    if not track.skin_ml and not numbed_otherwise:
        yield Notice(severity="warn", code="block.skin", text="No injection under the skin is planned.")
    if nerve.enough is False:
        text = f"The target's volume may not be enough. {nerve.text}"
        yield Notice(severity="warn", code="block.nerve", text=text, source=ED95)
    if nerve.needed_high_ml is not None and nerve.planned_ml > 2 * nerve.needed_high_ml:
        text = (
            f"{nerve.planned_ml:g} mL is more than twice what {nerve.nerve} needs: in cadavers more than "
            f"0.25 mL coated structures that a medial branch lesion does not treat ({SPARING})."
        )
        yield Notice(severity="info", code="block.spread", text=text, source=SPARING)
    for item in times:
        if item.ready is False:
            text = f"Not enough time before the painful part: {item.text}"
            yield Notice(severity="warn", code="block.early", text=text)
        if item.lasts is False:
            text = f"It may wear off before the end: {item.text}"
            yield Notice(severity="warn", code="block.short", text=text)


def _needs(
    path: Path,
    nerve: NerveBlock,
    start: float | None,
    lasts: float | None,
    times: Sequence[Timing],
) -> Iterator[str]:
    if path.operation is None and path.length_mm is None:
        yield f"the length of the needle path ({path.text})"
    if path.operation == "not named":
        yield "the anaesthesia of the operation: general, regional or local (treatment.protocol.anaesthesia)"
    if path.numbed_otherwise:
        return
    if nerve.cross_section_mm2 is None:
        yield f"the diameter of {nerve.nerve}"
    if start is None:
        yield "anaesthesia.lesion_minutes, when the painful part begins"
    if lasts is None:
        yield "anaesthesia.lesion_lasts_min, how long it lasts"
    for item in times:
        if item.onset is None or item.wears_off is None:
            yield f"onset and duration of {item.agent} (not read)"
