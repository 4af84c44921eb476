"""From what holds a nerve to its strain: the bands without scar, with it, freed, and scarred again.

Everything is computed for three members of scar, loose, middle and tight, since no stiffness of a nerve's
adhesion was read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray
from neurolysis.quantity import Quantity

if TYPE_CHECKING:
    from neurolysis.physics.mechanics import Band, Motion, State

Member = Literal["loose", "middle", "tight"]
MEMBERS: tuple[Member, ...] = ("loose", "middle", "tight")
MM, KPA, MPA = 1e-3, 1e3, 1e6
Span = tuple[float, float]


@dataclass(frozen=True)
class Held:
    """Scar along a span (mm) with its shear stiffness for each member, kPa."""

    span_mm: Span
    shear_kpa: tuple[float, float, float]

    @classmethod
    def of(cls, span_mm: Span, shear: Quantity) -> Held:
        """From a record: its range gives the loose and the tight member."""
        low = shear.value if shear.low is None else shear.low
        high = shear.value if shear.high is None else shear.high
        return cls(span_mm, (low, shear.value, high))


@dataclass(frozen=True)
class Course:
    """One nerve, all that holds it, and the movement; millimetres, kPa and MPa.

    Attributes:
        tethers: (place, N/mm). joints: (span, elongation of the bed).
        pull_first_mm, pull_last_mm: outward displacement of an end; None leaves it to the nerve beyond.
        relaxed: (share of stress lost, after seconds, time constant).
    """

    length_mm: float
    radius_mm: float
    modulus_mpa: float
    bed_kpa: float
    scars: tuple[Held, ...] = ()
    tethers: tuple[tuple[float, float], ...] = ()
    joints: tuple[tuple[Span, float], ...] = ()
    pull_first_mm: float | None = None
    pull_last_mm: float | None = None
    pre_strain: float = 0.0
    relaxed: tuple[float, float, float] = (0.0, 3600.0, 600.0)
    step_mm: float = 0.5

    def __post_init__(self) -> None:
        spans = [held.span_mm for held in self.scars] + [span for span, _ in self.joints]
        places = [place for span in spans for place in span] + [place for place, _ in self.tethers]
        beyond = [place for place in places if not -1e-6 <= place <= self.length_mm + 1e-6]
        if beyond:
            raise InputError(
                "a place beyond the ends of the nerve", found=f"{max(beyond):g} mm",
                allowed=f"0 to {self.length_mm:.1f} mm",
            )  # fmt: skip

    @property
    def axial_n(self) -> float:
        """Axial stiffness EA, N."""
        return self.modulus_mpa * MPA * np.pi * (self.radius_mm * MM) ** 2

    def nodes_m(self, more_mm: Sequence[float] = ()) -> FloatArray:
        """Nodes with every edge among them."""
        from neurolysis.physics.mechanics import stations

        edges = [place for held in self.scars for place in held.span_mm]
        edges += [place for span, _ in self.joints for place in span]
        edges += [place for place, _ in self.tethers]
        return stations(self.length_mm * MM, [MM * place for place in (*edges, *more_mm)], self.step_mm * MM)

    def band(self, nodes_m: FloatArray, member: Member | None) -> Band:
        """The band with the scar of one member; None: without scar and tethers."""
        from neurolysis.physics.mechanics import Band, continuation_n_per_m

        count = len(nodes_m) - 1
        axial, bed = self.axial_n, self.bed_kpa * KPA
        springs = np.zeros(count + 1)
        springs[[0, -1]] = continuation_n_per_m(axial, bed)
        band = Band(
            nodes_m, np.full(count, axial), np.full(count, bed), np.full(count, self.pre_strain), springs
        )
        return band if member is None else self._with_scar(band, MEMBERS.index(member))

    def _with_scar(self, band: Band, member: int) -> Band:
        bed, springs = band.bed_pa.copy(), band.springs_n_per_m.copy()
        for held in self.scars:
            part = band.between(*(MM * place for place in held.span_mm))
            bed[part] = np.maximum(bed[part], KPA * held.shear_kpa[member])
        for place, stiffness in self.tethers:
            springs[int(np.argmin(np.abs(band.nodes_m - MM * place)))] += stiffness / MM
        return replace(band, bed_pa=bed, springs_n_per_m=springs)

    def motion(self, nodes_m: FloatArray) -> Motion:
        """What the movement imposes; half of each joint's elongation lies to either side of its middle.

        The nerve beyond an end pulls on it with the tension of rest.
        """
        from neurolysis.physics.mechanics import Motion

        bed = np.zeros(len(nodes_m))
        for (low, high), elongation in self.joints:
            share = np.clip((nodes_m / MM - low) / (high - low), 0, 1)
            bed += MM * elongation * (share - 0.5)
        rest = self.axial_n * self.pre_strain
        first = None if self.pull_first_mm is None else float(bed[0]) - MM * self.pull_first_mm
        last = None if self.pull_last_mm is None else float(bed[-1]) + MM * self.pull_last_mm
        return Motion(
            bed, first, last, 0.0 if first is not None else -rest, 0.0 if last is not None else rest
        )

    @property
    def bound_mm(self) -> Span | None:
        """From the first to the last place where anything holds the nerve; None where nothing does."""
        places = [p for held in self.scars for p in held.span_mm] + [p for p, _ in self.tethers]
        return (min(places), max(places)) if places else None


@dataclass(frozen=True)
class Found:
    """One member: the moved nerve without scar, with it, after the operation, and scarred again.

    ``gap_mm`` is the distance between the stumps where the nerve was cut.
    """

    member: Member
    nodes_m: FloatArray
    free: State
    before: State
    after: State
    again: State
    band_before: Band
    band_after: Band
    motion: Motion
    cut: FloatArray = field(default_factory=lambda: np.zeros(0))
    gap_mm: float | None = None

    @property
    def arc_mm(self) -> FloatArray:
        """Middles of the elements, (n,) mm."""
        return 0.5 * (self.nodes_m[1:] + self.nodes_m[:-1]) / MM

    def strain_percent(self, state: State) -> FloatArray:
        """Strain (n,), %; a slack nerve has none, nor has a part that was removed."""
        return self._but_removed(state, 100 * np.maximum(state.strain, 0.0))

    def change_percent(self, state: State) -> FloatArray:
        """Change of strain (n,) against the nerve without scar, percentage points."""
        return self._but_removed(state, self.strain_percent(state) - self.strain_percent(self.free))

    def _but_removed(self, state: State, values: FloatArray) -> FloatArray:
        """Values (n,), nought where the nerve was removed."""
        if not len(self.cut) or state is self.free or state is self.before:
            return values
        return np.where(self.cut > 0, 0.0, values)

    def excursion_mm(self, state: State) -> FloatArray:
        """Movement against the bed at the middles, (n,) mm."""
        moved = state.excursion_m / MM
        return 0.5 * (moved[1:] + moved[:-1])


def solve_member(
    course: Course, member: Member, freed_mm: Sequence[Span], *, remove: bool = False, again: float = 1.0
) -> Found:
    """One member before and after freeing (or removing) stretches, and with ``again`` of the scar back."""
    from neurolysis.physics.mechanics import solve_band

    nodes = course.nodes_m([place for span in freed_mm for place in span])
    motion, plain = course.motion(nodes), course.band(nodes, None)
    before = course.band(nodes, member)
    after = freed_band(course, before, freed_mm)
    back = _scarred_again(after, before, again)
    cut = np.zeros(0)
    if remove:
        low, high = (MM * place for place in freed_mm[0])
        cut = before.between(low, high).astype(float)
        after = back = before.freed(low, high, course.bed_kpa * KPA).cut(low, high)
    free = solve_band(plain, motion)
    at_first, then, again_ = (solve_band(band, motion, free.displacement_m) for band in (before, after, back))
    gap = _gap_mm(then, nodes, cut) if remove else None
    return Found(member, nodes, free, at_first, then, again_, before, after, motion, cut, gap)


def freed_band(course: Course, band: Band, freed_mm: Sequence[Span]) -> Band:
    """The band with all stretches freed."""
    for low, high in freed_mm:
        band = band.freed(MM * low, MM * high, course.bed_kpa * KPA)
    return band


def _scarred_again(after: Band, before: Band, share: float) -> Band:
    """Scar over all that was freed, as a share of the stiffest that was there."""
    freed = after.bed_pa < before.bed_pa
    lost = before.bed_pa[freed]
    back = share * float(lost.max()) if lost.size else 0.0
    return replace(after, bed_pa=np.where(freed, np.maximum(after.bed_pa, back), after.bed_pa))


def _gap_mm(state: State, nodes_m: FloatArray, cut: FloatArray) -> float:
    gone = np.flatnonzero(cut)
    first, last = int(gone[0]), int(gone[-1]) + 1
    at = nodes_m + state.displacement_m
    return float(at[last] - at[first]) / MM


def tension_over_time(
    course: Course, found: Found, hold_s: float
) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Highest tension (m,), N, before and after the operation while the movement is held; times (m,) s.

    The movement is made at once; then only the nerve relaxes, not what holds it.
    """
    from neurolysis.physics.mechanics import Relaxation, solve_history

    share, after_s, constant_s = course.relaxed
    solid = Relaxation.through(share, after_s, constant_s)
    times = np.concatenate([[0.0], np.geomspace(min(1.0, hold_s / 2), hold_s, 40)])
    motions = [found.motion] * len(times)
    held = {"before": found.band_before, "after": found.band_after}
    curves = {
        name: np.array(
            [state.tension_n.max() for state in solve_history(band, motions, times.tolist(), solid)]
        )
        for name, band in held.items()
    }
    return times, curves
