"""Heat damage along a step: Arrhenius integrals in log form and cumulative equivalent minutes (CEM43).

Within a step temperature goes linearly from old to new, so the exponent is nearly linear and its
integral is known in closed form; ln Omega never overflows.
CEM43 = sum of R^(43 - T) dt (Sapareto and Dewey's form, with R from the evidence base).
"""

from __future__ import annotations

from typing import Any

from neurolysis.physics.backend import load_jax
from neurolysis.physics.problem import Problem

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any

KELVIN = 273.15
NOTHING = -1e30
"""ln Omega of tissue that has suffered nothing."""


def ln_rate_integral(a: Array, b: Array, dt: Array) -> Array:
    """ln of the integral over dt of exp(linear from a to b)."""
    gap = jnp.abs(b - a)
    small = gap < 1e-3
    safe = jnp.where(small, 1.0, gap)
    mean = jnp.where(small, -0.5 * gap, jnp.log(-jnp.expm1(-safe) / safe))
    return jnp.log(dt) + jnp.maximum(a, b) + mean


def accumulate_damage(p: Problem, ln_damage: Array, old: Array, new: Array, dt: Array) -> Array:
    """ln Omega (k, grid) after a step in which T went linearly from old to new."""

    def one(ln_omega: Array, ln_frequency: Array, activation: Array, start_c: Array) -> Array:
        rate_old = ln_frequency - activation / (old + KELVIN)
        rate_new = ln_frequency - activation / (new + KELVIN)
        gain = ln_rate_integral(rate_old, rate_new, dt)
        gain = jnp.where(jnp.maximum(old, new) > start_c, gain, NOTHING)
        return jnp.logaddexp(ln_omega, gain)

    dtype = ln_damage.dtype
    rows = [
        one(
            ln_damage[k],
            p.damage_ln_frequency[k].astype(dtype),
            p.damage_activation_k[k].astype(dtype),
            p.damage_start_c[k].astype(dtype),
        )
        for k in range(ln_damage.shape[0])
    ]
    return jnp.stack(rows)


def accumulate_cem(p: Problem, old: Array, new: Array, dt: Array) -> Array:
    """Cumulative equivalent minutes at 43 C gained in a step; the rate is held above its sourced range."""
    middle = jnp.minimum(0.5 * (old + new), p.cem_limit_c)
    above = jnp.exp((middle - 43.0) * -jnp.log(p.cem_r_above))
    below = jnp.exp((middle - 43.0) * -jnp.log(p.cem_r_below))
    return jnp.where(middle >= 43.0, above, below) * dt / 60.0
