"""The smallest stretch to free: every stretch on a fine ladder of places is tried, shortest first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from neurolysis.delivery.surgical.model import KPA, MM, Course, Member, Span
from neurolysis.geometry import FloatArray

RUNG_MM = 1.0
MOST_RUNGS = 60


@dataclass(frozen=True)
class Smallest:
    """The shortest single stretch whose freeing keeps the change of strain at or below a threshold.

    ``span_mm`` None: nothing has to be freed. ``rung_mm`` is the ladder's spacing: how exact the length is.
    """

    threshold_percent: float
    span_mm: Span | None
    change_percent: float
    rung_mm: float
    tried: int

    @property
    def length_mm(self) -> float:
        """Length to free."""
        return 0.0 if self.span_mm is None else self.span_mm[1] - self.span_mm[0]


def ladder(course: Course) -> FloatArray:
    """Places where a stretch may begin or end: from the first to the last that holds the nerve."""
    bound = course.bound_mm
    if bound is None:
        return np.zeros(0)
    low, high = max(bound[0] - 0.5 * RUNG_MM, 0.0), min(bound[1] + 0.5 * RUNG_MM, course.length_mm)
    if not course.tethers:
        low, high = bound
    count = int(np.clip(np.ceil((high - low) / RUNG_MM), 1, MOST_RUNGS))
    return np.linspace(low, high, count + 1)


def smallest(course: Course, member: Member, thresholds_percent: Sequence[float]) -> tuple[Smallest, ...]:
    """The shortest stretch for each threshold, exact on the ladder: no shorter one on it does.

    Freeing everything leaves the nerve as it is without scar, so there always is one.
    """
    from neurolysis.physics.mechanics import solve_band

    rungs = ladder(course)
    nodes = course.nodes_m(rungs.tolist())
    motion, plain, scarred = course.motion(nodes), course.band(nodes, None), course.band(nodes, member)
    free = solve_band(plain, motion)
    base = np.maximum(free.strain, 0.0)
    guess = free.displacement_m
    left = sorted(thresholds_percent)
    found: dict[float, Smallest] = {}
    spacing = float(rungs[1] - rungs[0]) if len(rungs) else RUNG_MM
    whole = (float(rungs[0]), float(rungs[-1])) if len(rungs) else None
    for tried, span in enumerate(_stretches(rungs), start=1):
        band = scarred if span is None else scarred.freed(MM * span[0], MM * span[1], course.bed_kpa * KPA)
        state = solve_band(band, motion, guess)
        guess = state.displacement_m
        change = 100 * float(np.max(np.maximum(state.strain, 0.0) - base))
        # all freed is the unscarred nerve itself: what is left of a change is the solver's tolerance
        for threshold in [t for t in left if change <= t or span == whole]:
            found[threshold] = Smallest(threshold, span, change, spacing, tried)
            left.remove(threshold)
        if not left:
            break
    return tuple(found[threshold] for threshold in sorted(thresholds_percent))


def _stretches(rungs: FloatArray) -> Iterator[Span | None]:
    """Nothing, then every stretch between two rungs, shortest first, from the first end on."""
    yield None
    for steps in range(1, len(rungs)):
        for k in range(len(rungs) - steps):
            yield float(rungs[k]), float(rungs[k + steps])
