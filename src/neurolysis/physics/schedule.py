"""From a protocol to time steps: breakpoints, short first steps, BDF2 coefficients, refreshes.

After every breakpoint (start, end of the ramp, power off) the scheme restarts with one backward
Euler step, else the ramp's kink rings; that step and the next two are shorter, so that its first
order does not show.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.problem import Steps
from neurolysis.physics.treatment import CHUNK

OFF, TEMPERATURE, POWER, VOLTAGE = 0, 1, 2, 3
NO_CEILING_C = 1e6
START_FRACTIONS = (0.25, 0.25, 0.5)
"""First steps after a breakpoint, in units of the ordinary step."""


@dataclass(frozen=True)
class Phase:
    """A stretch of the protocol between two breakpoints.

    ``start`` and ``end`` are the set value (C, W or V) at its ends, linear between; ``ceiling_c`` caps
    the control sensor; ``duty`` is the share of time a pulsed source is on. ``refresh_s`` is how often
    the potential is solved anew (0: every step).
    """

    duration_s: float
    mode: int
    start: float
    end: float
    duty: float = 1.0
    ceiling_c: float = NO_CEILING_C
    refresh_s: float = 0.0


def step_lengths(duration_s: float, step_s: float) -> NDArray[np.float64]:
    """Lengths that sum to ``duration_s``: short first ones, then even ones of at most ``step_s``."""
    first = np.array(START_FRACTIONS) * min(step_s, duration_s / 2)
    rest = duration_s - first.sum()
    count = int(np.ceil(rest / step_s - 1e-9))
    return np.concatenate([first, np.full(count, rest / count)]) if count else first


def bdf_coefficients(dt: float, before: float | None) -> tuple[float, float, float]:
    """(a0, a1, a2) of (a0 y - a1 y' - a2 y'') / dt: variable-step BDF2, or backward Euler to start."""
    if before is None:
        return 1.0, 1.0, 0.0
    w = dt / before
    return (1 + 2 * w) / (1 + w), 1 + w, -w * w / (1 + w)


def make_steps(phases: tuple[Phase, ...], step_s: float) -> Steps:
    """All steps of a protocol, one after the other."""
    rows = [row for phase in phases for row in _phase_rows(phase, step_s)]
    return _as_steps(rows)


def _phase_rows(phase: Phase, step_s: float) -> list[tuple[float, ...]]:
    rows: list[tuple[float, ...]] = []
    time, since, before = 0.0, np.inf, None
    for number, dt in enumerate(step_lengths(phase.duration_s, step_s)):
        time += dt
        since += dt
        fresh = since >= phase.refresh_s - 1e-9 or number < len(START_FRACTIONS)
        since = 0.0 if fresh else since
        share = min(1.0, time / phase.duration_s)
        value = phase.start + share * (phase.end - phase.start)
        history = bdf_coefficients(dt, before)
        rows.append((dt, *history, phase.mode, value, phase.duty, phase.ceiling_c, float(fresh)))
        before = dt
    return rows


def _as_steps(rows: list[tuple[float, ...]]) -> Steps:
    table = np.array(rows, np.float64)
    return Steps(
        dt=table[:, 0].astype(np.float32),
        history=table[:, 1:4].astype(np.float32),
        mode=table[:, 4].astype(np.int32),
        value=table[:, 5].astype(np.float32),
        duty=table[:, 6].astype(np.float32),
        ceiling=table[:, 7].astype(np.float32),
        refresh=table[:, 8].astype(np.int32),
        active=np.ones(len(table), np.int32),
    )


def power_off_steps(number: int, step_s: float) -> Steps:
    """One chunk of steps with the power off; the first chunk restarts the scheme.

    Cooling slows down, so from the second chunk on steps are twice, then four times as long.
    """
    long = step_s * min(4, 2**number)
    lengths = [long] * CHUNK
    if number == 0:
        lengths[: len(START_FRACTIONS)] = [f * step_s for f in START_FRACTIONS]
    rows: list[tuple[float, ...]] = []
    before = None if number == 0 else step_s * min(4, 2 ** (number - 1))
    for dt in lengths:
        rows.append((dt, *bdf_coefficients(dt, before), OFF, 0.0, 1.0, NO_CEILING_C, 0.0))
        before = dt
    return _as_steps(rows)
