"""One implicit step of Pennes' bioheat equation with boiling, and the controller's voltage in it.

C dT/dt = div(k grad T) + w (T_blood - T) + metabolic + V^2 q. Backward differences in enthalpy, so
that latent heat is conserved; Newton with the update held at the edges of the boiling range.
The sensor's temperature is linear in V^2 while coefficients are frozen, so one adjoint solve gives
the voltage of a perfect controller; boiling repeats the step with a corrected V^2.
Pennes, J Appl Physiol 1948.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from neurolysis.physics.backend import load_jax
from neurolysis.physics.linear import apply_operator, conjugate_gradients, graph_laplacian
from neurolysis.physics.potential import steam_fraction
from neurolysis.physics.problem import Limits, Problem

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
NEWTON_STEPS = 12
NEWTON_TOLERANCE_C = 0.02


class Heat(NamedTuple):
    """Operator and sources of one step (W/K and W per cell); ``rate`` is a0 / dt (1/s)."""

    diagonal: Array
    padded: tuple[Array, ...]
    constant: Array
    perfusion: Array
    rate: Array


class Drive(NamedTuple):
    """What the generator asks for in this step: mode, value, sensor ceiling (C) and duty (0 to 1)."""

    mode: Array
    value: Array
    ceiling: Array
    duty: Array
    on: Array


class Solved(NamedTuple):
    """New rise (K), V^2 at the electrode, inner iterations, relative residual."""

    temperature: Array
    v2: Array
    iterations: Array
    residual: Array


def enthalpy(p: Problem, temperature: Array) -> Array:
    """Heat content per cell above the start, J: capacity times rise plus latent heat of steam."""
    return p.materials.capacity * temperature + p.materials.latent * steam_fraction(p, temperature)


def living_perfusion(p: Problem, ln_damage: Array) -> Array:
    """Perfusion per cell, W/K; where it stops with coagulation it falls as exp(-Omega)."""
    omega = jnp.exp(jnp.minimum(ln_damage[0], 3.0))
    return p.materials.perfusion * jnp.where(p.perfusion_damage > 0, jnp.exp(-omega), 1.0)


def heat_operator(p: Problem, perfusion: Array, rate: Array) -> Heat:
    """Operator and constant sources of a step with ``rate`` = a0 / dt."""
    loss = perfusion + p.heat_ground + p.needle_end + p.coolant
    diagonal, padded = graph_laplacian(p.heat_links, loss)
    constant = (
        perfusion * p.blood_k
        + p.heat_ground * p.heat_ground_k
        + p.coolant * p.coolant_k
        + p.materials.metabolic
    )
    return Heat(diagonal, padded, constant, perfusion, rate)


def solve_heat(
    p: Problem, heat: Heat, extra: Array, rhs: Array, start: Array, tolerance: Array
) -> tuple[Array, Array, Array]:
    """Solve (operator + capacity rate + extra) x = rhs on the free cells: x, iterations, residual."""
    diagonal = heat.diagonal + (p.materials.capacity + extra) * heat.rate
    inverse = p.heat_free / diagonal

    def operator(x: Array) -> Array:
        return p.heat_free * apply_operator(diagonal, heat.padded, x)

    return conjugate_gradients(operator, lambda r: inverse * r, rhs, start, tolerance, 2000)


def sensor_values(p: Problem, temperature: Array) -> Array:
    """Rise at each sensor, K (n_sensors,)."""
    return jnp.sum(temperature.ravel()[p.sensors] * p.sensor_weights.astype(temperature.dtype), axis=-1)


def sensor_adjoint(p: Problem, heat: Heat, start: Array, tolerance: Array) -> Array:
    """Response of the control sensor (the first) to heat in each cell, K/W."""
    weights = p.sensor_weights[0].astype(start.dtype)
    load = jnp.zeros(start.size, start.dtype).at[p.sensors[0]].add(weights).reshape(start.shape)
    zero = jnp.zeros_like(start)
    solution, _, _ = solve_heat(p, heat, zero, load * p.heat_free, start, tolerance)
    return solution


def allowed_v2(limits: Limits, drive: Drive, conductance: Array, to_target: Array) -> Array:
    """V^2 at the electrode: what the mode asks, within power, voltage, current and sensor ceiling.

    ``to_target`` (K) / sensitivity is handled by the caller: here it is already V^2 for temperature
    control. Limits hold for the whole circuit; the path resistance is in series.
    """
    divider = 1.0 / (1.0 + limits.path_ohm * conductance)
    asked = jnp.stack(
        [
            jnp.zeros_like(to_target),
            to_target,
            drive.value * divider / conductance,
            (drive.value * divider) ** 2,
        ]
    )[drive.mode]
    ceiling = jnp.minimum(limits.power * divider / conductance, (limits.voltage * divider) ** 2)
    ceiling = jnp.minimum(ceiling, (limits.current / conductance) ** 2)
    return drive.on * jnp.clip(asked, 0.0, ceiling)


def _steam_slope(p: Problem, temperature: Array) -> Array:
    m = p.materials
    inside = jnp.abs(temperature + p.zero_c - m.boil_c) <= 0.5 * m.boil_width_c
    return jnp.where(inside, m.latent / m.boil_width_c, 0.0)


def _held_at_edges(p: Problem, old: Array, new: Array) -> Array:
    """Stop a Newton update just past the edge of the boiling range it would jump across."""
    m = p.materials
    middle = m.boil_c - p.zero_c
    low, high = middle - 0.5 * m.boil_width_c, middle + 0.5 * m.boil_width_c
    nudge = 1e-3 * m.boil_width_c
    below, above = old < low, old > high
    inside = ~below & ~above
    held = jnp.where(below & (new > low), low + nudge, new)
    held = jnp.where(inside & (new > high), high + nudge, held)
    held = jnp.where(inside & (new < low), low - nudge, held)
    held = jnp.where(above & (new < high), high - nudge, held)
    return jnp.where(m.latent > 0, held, new)


def step_temperature(
    p: Problem,
    heat: Heat,
    content: Array,
    joule: Array,
    guess: Array,
    choose_v2: Callable[[Array, Array], Array],
    adjoint: Array,
    tolerance: Array,
    vaporises: bool,
) -> Solved:
    """Advance one step.

    Args:
        content: heat content carried from earlier steps, W per cell.
        joule: heat per cell for V^2 = 1, W.
        choose_v2: (sensor's rise at V^2 = 0, sensor sensitivity per V^2) -> V^2.
        vaporises: static; without it the problem is linear and one solve is exact.
    """
    base = p.heat_free * (heat.constant + content)
    per_v2 = jnp.vdot(adjoint, joule)
    if not vaporises:
        v2 = choose_v2(jnp.vdot(adjoint, base), per_v2)
        rhs = base + p.heat_free * v2 * joule
        new, count, residual = solve_heat(p, heat, jnp.zeros_like(guess), rhs, p.heat_free * guess, tolerance)
        return Solved(new, v2, count, residual)
    v2 = choose_v2(jnp.vdot(adjoint, base), per_v2)
    return _newton(p, heat, base, joule, p.heat_free * guess, v2, choose_v2, per_v2, tolerance)


def _newton(
    p: Problem,
    heat: Heat,
    base: Array,
    joule: Array,
    guess: Array,
    first_v2: Array,
    choose_v2: Callable[[Array, Array], Array],
    per_v2: Array,
    tolerance: Array,
) -> Solved:
    """Where nothing boils the second pass finds the first already solved and costs one residual."""

    def going(carry: Any) -> Array:
        _, _, count, change, _, _ = carry
        return (change > NEWTON_TOLERANCE_C) & (count < NEWTON_STEPS)

    def advance(carry: Any) -> Any:
        t, v2, count, _, inner, _ = carry
        slope = _steam_slope(p, t)
        latent = p.materials.latent * steam_fraction(p, t)
        rhs = base + p.heat_free * (v2 * joule - (latent - slope * t) * heat.rate)
        new, iterations, residual = solve_heat(p, heat, slope, rhs, p.heat_free * t, tolerance)
        new = _held_at_edges(p, t, new)
        sensed = sensor_values(p, new)[0]
        better = choose_v2(sensed - v2 * per_v2, per_v2)
        # The sensor moves with V^2: a change of V^2 still to come counts as a change of temperature.
        change = jnp.maximum(jnp.max(jnp.abs(new - t)), jnp.abs(better - v2) * per_v2)
        return new, better, count + 1, change, inner + iterations, residual

    start = (guess, first_v2, 0, jnp.asarray(jnp.inf, guess.dtype), 0, jnp.zeros((), guess.dtype))
    t, v2, _, _, inner, residual = jax.lax.while_loop(going, advance, start)
    return Solved(t, v2, inner, residual)
