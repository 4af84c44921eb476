"""A whole treatment: steps of potential, heat, controller and damage, in compiled chunks.

The host loops over chunks of equal length (one compiled program for any duration), so that progress
can be shown and the run cancelled or ended between chunks.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from neurolysis.errors import SolverError
from neurolysis.physics.backend import load_jax
from neurolysis.physics.bioheat import (
    Drive,
    Heat,
    allowed_v2,
    enthalpy,
    heat_operator,
    living_perfusion,
    sensor_adjoint,
    sensor_values,
    step_temperature,
)
from neurolysis.physics.damage import NOTHING, accumulate_cem, accumulate_damage
from neurolysis.physics.linear import apply_operator
from neurolysis.physics.potential import conductivity, solve_potential, steam_fraction
from neurolysis.physics.problem import Limits, Problem, Steps

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
CHUNK = 8
"""Steps per compiled chunk."""


class State(NamedTuple):
    """What is carried from step to step; ``energy`` float64 (6,) J: supplied, metabolic, and out at
    the boundary, by perfusion, by coolant, by the needle's end."""

    temperature: Array
    before: Array
    dt_before: Array
    unit_potential: Array
    joule: Array
    conductance: Array
    adjoint: Array
    ln_damage: Array
    cem: Array
    peak: Array
    tripped: Array
    energy: Array
    rates: Array
    """float64 (6,) W: the terms of ``energy`` at the end of the last step."""


class Trace(NamedTuple):
    """Reported for each step: sensors C, then circuit voltage V, power W and impedance ohm."""

    sensors: Array
    voltage: Array
    power: Array
    impedance: Array
    hottest: Array
    potential_iterations: Array
    heat_iterations: Array
    residual: Array


def initial_state(p: Problem) -> State:
    """Everything at the starting temperature, nothing applied yet."""
    dtype = p.volumes.dtype
    zero = jnp.zeros(p.volumes.shape, dtype)
    damage = jnp.full((len(p.damage_activation_k), *p.volumes.shape), NOTHING, dtype)
    one = jnp.ones((), dtype)
    return State(
        temperature=zero,
        before=zero,
        dt_before=one,
        unit_potential=jnp.asarray(p.held, dtype),
        joule=zero,
        conductance=one,
        adjoint=zero,
        ln_damage=damage,
        cem=zero,
        peak=zero,
        tripped=jnp.asarray(False),
        energy=jnp.zeros(6, jnp.float64),
        rates=jnp.zeros(6, jnp.float64),
    )


def _energy_rates(p: Problem, heat: Heat, power: Array, t: Array) -> Array:
    def total(x: Array) -> Array:
        return jnp.sum((p.heat_free * x).astype(jnp.float64))

    # Cells held at the boundary temperature take heat through the links to them.
    moved = _held_flux(p, heat, t)
    return jnp.stack(
        [
            power.astype(jnp.float64),
            total(p.materials.metabolic),
            total(p.heat_ground * (t - p.heat_ground_k)) + moved,
            total(heat.perfusion * (t - p.blood_k)),
            total(p.coolant * (t - p.coolant_k)),
            total(p.needle_end * t),
        ]
    )


def _held_flux(p: Problem, heat: Heat, t: Array) -> Array:
    flux = apply_operator(heat.diagonal - _own(p, heat), heat.padded, t)
    return -jnp.sum(((1 - p.heat_free) * flux).astype(jnp.float64))


def _own(p: Problem, heat: Heat) -> Array:
    return heat.perfusion + p.heat_ground + p.needle_end + p.coolant


def _extrapolated(p: Problem, state: State, step: Steps, vaporises: bool) -> Array:
    ratio = jnp.where(step.history[2] != 0, step.dt / state.dt_before, 0.0)
    guess = state.temperature + ratio * (state.temperature - state.before)
    if vaporises:
        # Across boiling an extrapolation overshoots; start from where the tissue is.
        guess = jnp.where(steam_fraction(p, guess) > 0, state.temperature, guess)
    return guess


def _advance(
    p: Problem, limits: Limits, tolerance: Array, vaporises: bool, state: State, step: Steps
) -> tuple[State, Trace]:
    guess = _extrapolated(p, state, step, vaporises)
    u, joule, conductance, potential_iterations = jax.lax.cond(
        step.refresh > 0,
        lambda: solve_potential(p, conductivity(p, guess), state.unit_potential, tolerance),
        lambda: (state.unit_potential, state.joule, state.conductance, jnp.asarray(0)),
    )
    a0, a1, a2 = step.history[0], step.history[1], step.history[2]
    heat = heat_operator(p, living_perfusion(p, state.ln_damage), a0 / step.dt)
    content = (a1 * enthalpy(p, state.temperature) + a2 * enthalpy(p, state.before)) / step.dt
    adjoint = sensor_adjoint(p, heat, state.adjoint, tolerance)

    whole = 1.0 / conductance + limits.path_ohm
    out_of_range = (whole < limits.low_ohm) | (whole > limits.high_ohm)
    tripped = state.tripped | (out_of_range & (step.mode > 0))
    drive = Drive(step.mode, step.value, step.ceiling, step.duty, jnp.where(tripped, 0.0, 1.0))
    drive = drive._replace(on=drive.on.astype(guess.dtype))

    def choose(sensed: Array, per_v2: Array) -> Array:
        v2 = allowed_v2(limits, drive, conductance, (drive.value - p.zero_c - sensed) / per_v2) * drive.duty
        below_ceiling = jnp.maximum((drive.ceiling - p.zero_c - sensed) / per_v2, 0.0)
        return jnp.minimum(v2, below_ceiling).astype(guess.dtype)

    solved = step_temperature(p, heat, content, joule, guess, choose, adjoint, tolerance, vaporises)
    new = solved.temperature
    old_c, new_c = state.temperature + p.zero_c, new + p.zero_c
    at_tip = solved.v2 * conductance
    rates = _energy_rates(p, heat, at_tip, new)
    # Second order in time as the scheme is: trapezoid, but end values in a backward Euler step,
    # which follows a jump of the power.
    mean = jnp.where(a2 != 0, 0.5 * (rates + state.rates), rates)
    after = State(
        temperature=new,
        before=state.temperature,
        dt_before=step.dt,
        unit_potential=u,
        joule=joule,
        conductance=conductance,
        adjoint=adjoint,
        ln_damage=accumulate_damage(p, state.ln_damage, old_c, new_c, step.dt),
        cem=state.cem + accumulate_cem(p, old_c, new_c, step.dt),
        peak=jnp.maximum(state.peak, new),
        tripped=tripped,
        energy=state.energy + mean * step.dt.astype(jnp.float64),
        rates=rates,
    )
    series = 1 + limits.path_ohm * conductance
    trace = Trace(
        sensors=sensor_values(p, new) + p.zero_c,
        voltage=jnp.sqrt(solved.v2 / jnp.maximum(step.duty, 1e-6)) * series,
        power=at_tip * series,
        impedance=whole,
        hottest=jnp.max(new_c),
        potential_iterations=potential_iterations,
        heat_iterations=solved.iterations,
        residual=solved.residual,
    )
    return after, trace


def _run_chunk(
    p: Problem, limits: Limits, tolerance: Array, state: State, steps: Steps, *, vaporises: bool
) -> tuple[State, Trace]:
    def body(carry: State, step: Steps) -> tuple[State, Trace]:
        zero, none = jnp.zeros((), p.volumes.dtype), jnp.asarray(0)
        idle = Trace(sensor_values(p, carry.temperature) + p.zero_c, zero, zero, zero, zero, none, none, zero)
        result: tuple[State, Trace] = jax.lax.cond(
            step.active > 0,
            lambda: _advance(p, limits, tolerance, vaporises, carry, step),
            lambda: (carry, idle),
        )
        return result

    done: tuple[State, Trace] = jax.lax.scan(body, state, steps)
    return done


run_chunk = jax.jit(_run_chunk, static_argnames=("vaporises",))


def pad_steps(steps: Steps, multiple: int = CHUNK) -> Steps:
    """Steps padded with inactive ones to a multiple of the chunk length."""
    missing = -len(steps.dt) % multiple

    def padded(x: Array) -> Array:
        return np.concatenate([x, np.repeat(x[-1:], missing, axis=0)]) if missing else x

    filled = Steps(*[padded(np.asarray(x)) for x in steps])
    active = filled.active.copy()
    active[len(steps.dt) :] = 0
    return filled._replace(active=active)


class Result(NamedTuple):
    """Fields at the end (NumPy, grid shape) and traces (n_steps, ...); seconds solving and compiling.

    ``peaks`` is the highest temperature so far, C, at the times ``peak_times_s`` (ends of chunks), first axis
    time: how the heated region grew.
    """

    state: State
    trace: Trace
    time_s: Array
    stored_j: float
    elapsed_s: float
    compile_s: float
    peaks: Array
    peak_times_s: Array


def run(
    p: Problem,
    limits: Limits,
    steps: Steps,
    *,
    tolerance: float = 1e-5,
    vaporises: bool = False,
    progress: Callable[[float, str], None] | None = None,
    cooldown: Callable[[int], Steps] | None = None,
    cooldown_to_c: float | None = None,
    between: Callable[[State, float], State] | None = None,
) -> Result:
    """Run the steps; then, with ``cooldown``, go on power-off until the first sensor is cool.

    Args:
        cooldown: chunk number -> steps (CHUNK of them) with the power off.
        between: called before every chunk of the protocol with the state and the time (s); what it returns is
            gone on with. A heat source of its own goes into ``joule`` (W a cell for a drive of 1) and its sum
            into ``conductance``; with steps of voltage that never refresh, the drive is the voltage squared.

    Raises:
        SolverError: when a solve did not converge or a field is not finite.
    """
    device = jax.tree.map(jnp.asarray, p)
    state = initial_state(device)
    first = _enthalpy_sum(device, state)
    filled = pad_steps(steps)
    began = time.perf_counter()
    program = _compiled(device, limits, tolerance, state, _chunk(filled, 0), vaporises)
    compile_s = time.perf_counter() - began
    began = time.perf_counter()
    traces, dts, peaks = [], [], [np.asarray(state.peak)]
    for start in range(0, len(filled.dt), CHUNK):
        part = _chunk(filled, start)
        if between is not None:
            state = between(state, float(filled.dt[:start].sum()))
        state, trace = program(device, limits, tolerance, state, part)
        traces.append(jax.tree.map(np.asarray, trace))
        dts.append(np.where(part.active > 0, part.dt, np.nan))
        peaks.append(np.asarray(state.peak))
        if progress is not None:
            progress(min(1.0, (start + CHUNK) / len(filled.dt)), "heating")
    for number in range(64 if cooldown and cooldown_to_c is not None else 0):
        if float(traces[-1].sensors[-1, 0]) <= float(cooldown_to_c or 0):
            break
        part = cooldown(number)  # type: ignore[misc]
        state, trace = program(device, limits, tolerance, state, part)
        traces.append(jax.tree.map(np.asarray, trace))
        dts.append(np.asarray(part.dt))
        peaks.append(np.asarray(state.peak))
    stored = _enthalpy_sum(device, state) - first
    elapsed = time.perf_counter() - began
    result = _collect(p, state, traces, np.concatenate(dts), stored, elapsed, compile_s)
    ends = np.cumsum([0.0, *(float(np.nansum(part)) for part in dts)])
    return result._replace(peaks=np.stack(peaks) + p.zero_c, peak_times_s=ends)


def _chunk(steps: Steps, start: int) -> Steps:
    return Steps(*[np.asarray(x)[start : start + CHUNK] for x in steps])


def _compiled(
    p: Problem, limits: Limits, tolerance: float, state: State, part: Steps, vaporises: bool
) -> Any:
    lowered = run_chunk.lower(p, limits, tolerance, state, part, vaporises=vaporises)
    return partial(lowered.compile())


def _enthalpy_sum(p: Problem, state: State) -> float:
    return float(jnp.sum((p.heat_free * enthalpy(p, state.temperature)).astype(jnp.float64)))


def in_celsius(p: Problem, state: State) -> State:
    """The state with its temperatures in Celsius instead of as rises."""
    return state._replace(
        temperature=state.temperature + p.zero_c,
        before=state.before + p.zero_c,
        peak=state.peak + p.zero_c,
    )


def _collect(
    p: Problem, state: State, traces: list[Trace], dts: Array, stored: float, elapsed: float, compile_s: float
) -> Result:
    joined = Trace(*[np.concatenate(parts) for parts in zip(*traces, strict=True)])
    kept = ~np.isnan(dts)
    trace = Trace(*[x[kept] for x in joined])
    final = in_celsius(p, jax.tree.map(np.asarray, state))
    if not np.isfinite(final.temperature).all() or not np.isfinite(trace.power).all():
        raise SolverError("the temperature field is not finite", where="heat solver")
    none = np.zeros(0)
    return Result(final, trace, np.cumsum(dts[kept]), stored, elapsed, compile_s, none, none)


def first_reached_s(result: Result, threshold_c: float) -> Array:
    """When each cell first reached a temperature, s (grid shape); infinity where it never did.

    Between the kept times the highest temperature so far is taken as a straight line.
    """
    reached = result.peaks >= threshold_c
    later = np.argmax(reached, axis=0)
    earlier = np.maximum(later - 1, 0)
    high = np.take_along_axis(result.peaks, later[None], axis=0)[0]
    low = np.take_along_axis(result.peaks, earlier[None], axis=0)[0]
    share = np.clip((threshold_c - low) / np.maximum(high - low, 1e-9), 0.0, 1.0)
    times = result.peak_times_s
    when = times[earlier] + share * (times[later] - times[earlier])
    return np.where(reached.any(axis=0), when, np.inf)
