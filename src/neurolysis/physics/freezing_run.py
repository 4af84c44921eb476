"""A whole treatment by cold: cycles of freezing and thawing cut into steps, run in compiled chunks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from neurolysis.errors import SolverError
from neurolysis.physics.backend import load_jax
from neurolysis.physics.freezing import (
    Freezing,
    Probe,
    enthalpy,
    take_step,
)

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
CHUNK = 16
"""Steps per compiled chunk."""
UNLIMITED_W = 1e9
EULER_STEPS = 4
"""Backward Euler steps after a breakpoint, before TR-BDF2 goes on."""
LOOSE_K = 0.25
"""A Newton change above this at the end of a step ends the run."""


@dataclass(frozen=True)
class Stretch:
    """A stretch between two breakpoints: gas temperature (C) linear from ``start_c`` to ``end_c``.

    ``flow`` False: no gas flows, tissue warms by itself. ``power_w`` is the most the probe can take (or
    give, where it ``heats``; else it never warms tissue that is colder than its gas).
    """

    duration_s: float
    flow: bool
    start_c: float = 0.0
    end_c: float = 0.0
    power_w: float = UNLIMITED_W
    heats: bool = False


class Steps(NamedTuple):
    """One value per step: length (s), flow, gas (C), power (W), may heat, second order, padding or not."""

    dt: Array
    flow: Array
    gas_c: Array
    power: Array
    heats: Array
    second: Array
    active: Array


class State(NamedTuple):
    """Rise, heat content (J per cell), lowest rise, seconds below each level (n, grid), energies (5,) J;

    seconds since the start, and when each cell first came down to each level (n, grid; infinite: never).
    """

    temperature: Array
    content: Array
    lowest: Array
    below_s: Array
    energy: Array
    passed_s: Array
    reached_s: Array


class Trace(NamedTuple):
    """Per step: probe C, coldest tissue C, power into the probe W, m3 now colder than each level,
    Newton steps, inner iterations, last Newton change (K)."""

    probe_c: Array
    coldest_c: Array
    power: Array
    volume: Array
    newton: Array
    inner: Array
    change: Array


class Result(NamedTuple):
    """Final state (temperatures in C), traces, times (s), stored heat (J), seconds solving, compiling."""

    state: State
    trace: Trace
    time_s: Array
    stored_j: float
    elapsed_s: float
    compile_s: float


def step_lengths(duration_s: float, first_s: float, longest_s: float, growth: float = 1.3) -> Array:
    """Lengths (n,) that sum to the duration: short after the breakpoint, growing, then even."""
    first = min(first_s, duration_s / 4)
    lengths: list[float] = []
    while sum(lengths) + first < duration_s and first < longest_s:
        lengths.append(first)
        if len(lengths) >= EULER_STEPS:
            first = min(first * growth, longest_s)
    rest = duration_s - sum(lengths)
    count = max(1, int(np.ceil(rest / longest_s - 1e-9)))
    return np.array([*lengths, *[rest / count] * count])


def make_steps(
    stretches: tuple[Stretch, ...], longest_s: float, *, first_s: float = 0.1, second_order: bool = True
) -> Steps:
    """All steps of a treatment, one stretch after the other.

    Where the gas changes its temperature every step is backward Euler: the trapezoid would take the new gas
    against the old tissue through a film that hardly resists.
    """
    rows = []
    for stretch in stretches:
        lengths = step_lengths(stretch.duration_s, first_s, longest_s)
        ends = np.cumsum(lengths) / stretch.duration_s
        for number, (dt, end) in enumerate(zip(lengths, ends, strict=True)):
            gas = stretch.start_c + min(float(end), 1.0) * (stretch.end_c - stretch.start_c)
            steady = not stretch.flow or stretch.start_c == stretch.end_c
            second = float(second_order and steady and number >= EULER_STEPS)
            rows.append((dt, float(stretch.flow), gas, stretch.power_w, float(stretch.heats), second, 1.0))
    table = np.array(rows, np.float32)
    return Steps(*table.T)


def initial_state(p: Freezing) -> State:
    """Everything at the starting temperature."""
    zero = jnp.zeros(p.volumes.shape, p.volumes.dtype)
    below = jnp.zeros((len(p.levels_k), *p.volumes.shape), p.volumes.dtype)
    start, never = jnp.zeros((), p.volumes.dtype), jnp.full_like(below, jnp.inf)
    return State(zero, enthalpy(p, zero), zero, below, jnp.zeros(5, jnp.float64), start, never)


def _time_below(level: Array, old: Array, new: Array, dt: Array) -> Array:
    """Part of a step spent below a level, temperature linear in time."""
    gap = jnp.abs(new - old)
    share = jnp.clip((level - jnp.minimum(old, new)) / jnp.maximum(gap, 1e-6), 0.0, 1.0)
    return dt * share


def _reached(level: Array, old: Array, new: Array, known: Array, passed: Array, dt: Array) -> Array:
    """When a level was first met, temperature linear in time; what is known already stays."""
    share = jnp.clip((old - level) / jnp.maximum(old - new, 1e-6), 0.0, 1.0)
    now = jnp.where(new <= level, passed + dt * share, jnp.inf)
    return jnp.where(jnp.isfinite(known), known, now)


def _advance(p: Freezing, state: State, step: Steps) -> tuple[State, Trace]:
    probe = Probe(step.flow, step.gas_c - p.zero_c, step.power, step.heats)
    old = state.temperature
    moved = take_step(p, probe, state.lowest, old, state.content, step.dt, step.second)
    new = moved.temperature
    below = jnp.stack(
        [state.below_s[k] + _time_below(p.levels_k[k], old, new, step.dt) for k in range(len(p.levels_k))]
    ) if len(p.levels_k) else state.below_s  # fmt: skip
    reached = jnp.stack(
        [
            _reached(p.levels_k[k], old, new, state.reached_s[k], state.passed_s, step.dt)
            for k in range(len(p.levels_k))
        ]
    ) if len(p.levels_k) else state.reached_s  # fmt: skip
    lowest = jnp.minimum(state.lowest, new)
    energy, passed = state.energy + moved.energy, state.passed_s + step.dt
    after = State(new, moved.content, lowest, below, energy, passed, reached)
    return after, _traced(p, new, moved, step)


def _traced(p: Freezing, new: Array, moved: Any, step: Steps) -> Trace:
    weight = jnp.where(p.film_share > 0, p.film_share, 0.0)
    cold = jnp.where(p.tissue > 0, new, jnp.inf)
    inside = p.volumes * p.free
    return Trace(
        probe_c=jnp.sum(weight * new) / jnp.maximum(jnp.sum(weight), 1e-30) + p.zero_c,
        coldest_c=jnp.min(cold) + p.zero_c,
        power=moved.energy[0] / step.dt.astype(jnp.float64),
        volume=jnp.stack([jnp.sum(inside * (new <= level)) for level in p.levels_k])
        if len(p.levels_k)
        else jnp.zeros(0, new.dtype),
        newton=moved.newton,
        inner=moved.inner,
        change=moved.change,
    )


def _run_chunk(p: Freezing, state: State, steps: Steps) -> tuple[State, Trace]:
    def idle(carry: State) -> tuple[State, Trace]:
        zero, none = jnp.zeros((), p.volumes.dtype), jnp.asarray(0)
        volume = jnp.zeros(len(p.levels_k), p.volumes.dtype)
        return carry, Trace(zero, zero, jnp.zeros((), jnp.float64), volume, none, none, zero)

    def body(carry: State, step: Steps) -> tuple[State, Trace]:
        found: tuple[State, Trace] = jax.lax.cond(
            step.active > 0, lambda: _advance(p, carry, step), lambda: idle(carry)
        )
        return found

    done: tuple[State, Trace] = jax.lax.scan(body, state, steps)
    return done


run_chunk = jax.jit(_run_chunk)


def _padded(steps: Steps) -> Steps:
    missing = -len(steps.dt) % CHUNK
    filled = Steps(*[np.concatenate([x, np.repeat(x[-1:], missing)]) for x in steps])
    active = filled.active.copy()
    active[len(steps.dt) :] = 0
    return filled._replace(active=active)


def run_freezing(
    p: Freezing,
    steps: Steps,
    *,
    progress: Callable[[float, str], None] | None = None,
    stop: Callable[[State], bool] | None = None,
) -> Result:
    """Run the steps.

    Args:
        stop: asked after every chunk whether to end early (a validation that waits for a size).

    Raises:
        SolverError: a step that did not converge, or a field that is not finite.
    """
    device = jax.tree.map(jnp.asarray, p)
    state = initial_state(device)
    before = _content(device, state)
    filled = _padded(steps)
    began = time.perf_counter()
    program = run_chunk.lower(device, state, _part(filled, 0)).compile()
    compile_s = time.perf_counter() - began
    began = time.perf_counter()
    traces, kept = [], []
    for start in range(0, len(filled.dt), CHUNK):
        part = _part(filled, start)
        state, trace = program(device, state, part)
        traces.append(jax.tree.map(np.asarray, trace))
        kept.append(part)
        _require_converged(traces[-1], part)
        if progress is not None:
            progress(min(1.0, (start + CHUNK) / len(filled.dt)), "freezing and thawing")
        if stop is not None and stop(in_celsius(p, jax.tree.map(np.asarray, state))):
            break
    stored = _content(device, state) - before
    elapsed = time.perf_counter() - began
    return _collect(p, state, traces, kept, stored, elapsed, compile_s)


def _part(steps: Steps, start: int) -> Steps:
    return Steps(*[np.asarray(x)[start : start + CHUNK] for x in steps])


def _content(p: Freezing, state: State) -> float:
    return float(jnp.sum((p.free * enthalpy(p, state.temperature)).astype(jnp.float64)))


def _require_converged(trace: Trace, part: Steps) -> None:
    change = trace.change[part.active > 0]
    if not np.isfinite(change).all() or change.max(initial=0.0) > LOOSE_K:
        raise SolverError(
            "a step of freezing did not converge",
            where="freezing solver",
            found=f"last change {change.max():.3g} K",
            allowed=f"at most {LOOSE_K:g} K",
        )


def in_celsius(p: Freezing, state: State) -> State:
    """The state with its temperatures in Celsius."""
    return state._replace(temperature=state.temperature + p.zero_c, lowest=state.lowest + p.zero_c)


def _collect(
    p: Freezing,
    state: State,
    traces: list[Trace],
    parts: list[Steps],
    stored: float,
    elapsed: float,
    compile_s: float,
) -> Result:
    active = np.concatenate([part.active for part in parts]) > 0
    joined = Trace(*[np.concatenate(rows)[active] for rows in zip(*traces, strict=True)])
    dt = np.concatenate([part.dt for part in parts])[active].astype(np.float64)
    final = in_celsius(p, jax.tree.map(np.asarray, state))
    if not np.isfinite(final.temperature).all():
        raise SolverError("the temperature field is not finite", where="freezing solver")
    return Result(final, joined, np.cumsum(dt), stored, elapsed, compile_s)


def energy_error(result: Result) -> float:
    """|made - stored - out| / sum of all that gave heat (tissue, blood, what lies beyond, a warming probe).

    It shows bugs and loose solves, not accuracy.
    """
    probe, metabolic, boundary, perfusion, needle = (float(x) for x in result.state.energy)
    outputs = (result.stored_j, probe, boundary, perfusion, needle)
    gap = metabolic - sum(outputs)
    return abs(gap) / max(metabolic + sum(max(0.0, -x) for x in outputs), 1e-9)
