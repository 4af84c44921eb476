"""Freezing and thawing of tissue: heat in enthalpy form with a cold probe, on the tensor grid. SI units.

dH/dt = div(k(T) grad T) + s(T) [w (T_blood - T) + metabolic] - probe. H holds latent heat spread evenly
over the freezing range; k and c go linearly across it from the unfrozen to the frozen value; s closes
perfusion and metabolism as tissue freezes. A link's conductivity is the mean of k between the
temperatures of its ends (Kirchhoff's transform), so that a front inside one link carries the right flux.

Time: TR-BDF2, with backward Euler steps after every breakpoint (BDF2 overshoots at a front). Each stage
H(T) + a A(T) = known is solved by Newton with the update held at the edges of the freezing range, and
conjugate gradients.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from neurolysis.physics.backend import load_jax
from neurolysis.physics.linear import apply_operator, conjugate_gradients, graph_laplacian

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any

NEWTON_STEPS = 40
NEWTON_TOLERANCE = 1.5e-3
"""Last change of a Newton solve, part of the freezing range's width; at most :data:`COARSEST_K`."""
COARSEST_K = 1e-2
PATIENCE = 12
"""Newton steps after which updates are halved."""
NUDGE_K = 1e-3
INNER_TOLERANCE = 0.02
"""Residual of the inner solve, part of its start: Newton only needs a direction."""
GAMMA = 2.0 - math.sqrt(2.0)
STAGE = 0.5 * GAMMA
"""Implicit weight of both stages of TR-BDF2, part of the step."""
OUTER = math.sqrt(2.0) / 4.0
"""Weight of the flux at the start and at the middle stage in the whole step."""
RATES = ("probe", "metabolic", "boundary", "perfusion", "needle")
"""What :func:`rates` returns, W: into the probe, made by the tissue, and out at the other places."""


class Freezing(NamedTuple):
    """The problem as plain arrays; temperatures are rises above ``zero_c`` (names in ``_k``).

    Attributes:
        warm_k, cold_k: conductivity unfrozen and frozen, W/(m K), grid shape.
        warm_capacity, cold_capacity: J/K per cell (metal counts in both); latent: J per cell.
        perfusion: W/K per cell; metabolic: W per cell.
        fixed, low, high: per axis, what a link resists by itself (K/W) and the geometric resistance of
            its two sides (1/m): conductance 1 / (fixed + low / k + high / k). Blocked links have
            ``fixed`` infinite.
        edge, edge_k: W/K to the outer faces and the air, and their temperature; needle_end: W/K.
        free: 1 where temperature is unknown.
        film: W/K from each cell to the probe's gas; film_share: its part of the probe's power.
        range_k: lower and upper end of freezing; perfusion_k: perfusion none and full.
        after_thaw: part of perfusion that comes back in tissue that was frozen.
        levels_k: thresholds whose time below is counted, (n,).
        tolerance_k: last change of temperature at which a solve ends.
    """

    volumes: Array
    warm_k: Array
    cold_k: Array
    warm_capacity: Array
    cold_capacity: Array
    latent: Array
    perfusion: Array
    metabolic: Array
    fixed: tuple[Array, ...]
    low: tuple[Array, ...]
    high: tuple[Array, ...]
    edge: Array
    edge_k: Array
    needle_end: Array
    free: Array
    film: Array
    film_share: Array
    tissue: Array
    range_k: tuple[float, float]
    perfusion_k: tuple[float, float]
    after_thaw: float
    blood_k: float
    zero_c: float
    levels_k: Array
    tolerance_k: float


class Probe(NamedTuple):
    """What the probe does in a step: flow (0 off, 1 on), gas temperature as a rise (K), most power (W),
    and whether it may also give heat (1: warming to thaw)."""

    flow: Array
    gas_k: Array
    power: Array
    heats: Array


class Moved(NamedTuple):
    """One step's answer: rise, content (J per cell), energies (5,) J as in :data:`RATES`, iterations, last
    Newton change (K)."""

    temperature: Array
    content: Array
    energy: Array
    newton: Array
    inner: Array
    change: Array


def tolerance_k(range_k: tuple[float, float]) -> float:
    """The last change of temperature a solve may end at: small against the freezing range."""
    return min(COARSEST_K, NEWTON_TOLERANCE * (range_k[1] - range_k[0]))


def enthalpy(p: Freezing, t: Array) -> Array:
    """Heat content per cell, J, zero at the start (which must not lie below the freezing range)."""
    low, high = p.range_k
    mushy = 0.5 * (p.warm_capacity + p.cold_capacity) + p.latent / (high - low)
    return (
        p.warm_capacity * jnp.maximum(t, high)
        + mushy * (jnp.clip(t, low, high) - high)
        + p.cold_capacity * (jnp.minimum(t, low) - low)
    )


def apparent_capacity(p: Freezing, t: Array) -> Array:
    """dH/dT per cell, J/K; inside the freezing range with the latent heat."""
    low, high = p.range_k
    mushy = 0.5 * (p.warm_capacity + p.cold_capacity) + p.latent / (high - low)
    return jnp.where(t > high, p.warm_capacity, jnp.where(t < low, p.cold_capacity, mushy))


def conductivity_integral(p: Freezing, warm: Array, cold: Array, t: Array) -> Array:
    """Integral of k from the lower end of freezing to t, W/m (Kirchhoff's transform)."""
    low, high = p.range_k
    inside = jnp.clip(t, low, high) - low
    across = cold * inside + 0.5 * (warm - cold) * inside**2 / (high - low)
    return across + cold * jnp.minimum(t - low, 0.0) + warm * jnp.maximum(t - high, 0.0)


def conductivity(p: Freezing, warm: Array, cold: Array, t: Array) -> Array:
    """k at a temperature, W/(m K)."""
    low, high = p.range_k
    share = jnp.clip((t - low) / (high - low), 0.0, 1.0)
    return cold + share * (warm - cold)


def mean_conductivity(p: Freezing, warm: Array, cold: Array, a: Array, b: Array) -> Array:
    """Mean of k between two temperatures, W/(m K)."""
    gap = b - a
    near = jnp.abs(gap) < 1e-2
    rise = conductivity_integral(p, warm, cold, b) - conductivity_integral(p, warm, cold, a)
    return jnp.where(near, conductivity(p, warm, cold, 0.5 * (a + b)), rise / jnp.where(near, 1.0, gap))


def links(p: Freezing, t: Array) -> tuple[Array, ...]:
    """Conductance of every link at these temperatures, W/K, per axis."""
    found = []
    for axis in range(t.ndim):
        below, above = _ends(t, axis)
        low = mean_conductivity(p, _low(p.warm_k, axis), _low(p.cold_k, axis), below, above)
        high = mean_conductivity(p, _high(p.warm_k, axis), _high(p.cold_k, axis), below, above)
        found.append(1.0 / (p.fixed[axis] + p.low[axis] / low + p.high[axis] / high))
    return tuple(found)


def _low(x: Array, axis: int) -> Array:
    return jax.lax.slice_in_dim(x, 0, x.shape[axis] - 1, axis=axis)


def _high(x: Array, axis: int) -> Array:
    return jax.lax.slice_in_dim(x, 1, x.shape[axis], axis=axis)


def _ends(x: Array, axis: int) -> tuple[Array, Array]:
    return _low(x, axis), _high(x, axis)


def living(p: Freezing, t: Array, lowest: Array) -> Array:
    """Part of perfusion and metabolism at work: none once frozen, full when warm, less after a thaw."""
    stop, full = p.perfusion_k
    share = jnp.clip((t - stop) / (full - stop), 0.0, 1.0)
    return share * jnp.where(lowest <= stop, p.after_thaw, 1.0)


def probe_heat(p: Freezing, probe: Probe, t: Array) -> tuple[Array, Array]:
    """Heat into the probe per cell (W) and its slope (W/K): through the film, up to each cell's power."""
    asked = probe.flow * p.film * (t - probe.gas_k)
    most = probe.power * p.film_share
    least = -most * probe.heats
    held = (asked > most) | (asked < least)
    return jnp.clip(asked, least, most), jnp.where(held, 0.0, probe.flow * p.film)


def outflow(p: Freezing, probe: Probe, lowest: Array, t: Array) -> tuple[Array, Array, tuple[Array, ...]]:
    """A(T): heat leaving each cell (W); its diagonal and links with coefficients held (W/K)."""
    alive = living(p, t, lowest)
    taken, slope = probe_heat(p, probe, t)
    loss = alive * p.perfusion + p.edge + p.needle_end
    diagonal, padded = graph_laplacian(links(p, t), loss)
    leaving = apply_operator(diagonal, padded, t) + taken
    leaving = leaving - alive * (p.perfusion * p.blood_k + p.metabolic) - p.edge * p.edge_k
    return leaving, diagonal + slope, padded


def rates(p: Freezing, probe: Probe, lowest: Array, t: Array) -> Array:
    """float64 (5,) W, as :data:`RATES` names them."""
    alive = living(p, t, lowest)

    def total(x: Array) -> Array:
        return jnp.sum((p.free * x).astype(jnp.float64))

    return jnp.stack(
        [
            total(probe_heat(p, probe, t)[0]),
            total(alive * p.metabolic),
            total(p.edge * (t - p.edge_k)) + _to_held(p, t),
            total(alive * p.perfusion * (t - p.blood_k)),
            total(p.needle_end * t),
        ]
    )


def _to_held(p: Freezing, t: Array) -> Array:
    """Heat through links into cells whose temperature is held, W."""
    diagonal, padded = graph_laplacian(links(p, t), jnp.zeros_like(t))
    return -jnp.sum(((1.0 - p.free) * apply_operator(diagonal, padded, t)).astype(jnp.float64))


def _held_at_edges(p: Freezing, old: Array, new: Array) -> Array:
    """Stop a Newton update just past the edge of the freezing range that it would jump across."""
    low, high = p.range_k
    nudge = 1e-3 * (high - low)
    above, below = old > high, old < low
    inside = ~above & ~below
    held = jnp.where(above & (new < high), high - nudge, new)
    held = jnp.where(inside & (new < low), low - nudge, held)
    held = jnp.where(inside & (new > high), high + nudge, held)
    held = jnp.where(below & (new > low), low + nudge, held)
    return jnp.where(p.latent > 0, held, new)


def _held_at_probe(p: Freezing, probe: Probe, old: Array, new: Array) -> Array:
    """Stop an update just inside the band in which the film decides (between no heat and most heat).

    The band is narrow where the film is good: full updates would jump across it for ever.
    """
    film = probe.flow * p.film
    band = probe.power * p.film_share / jnp.maximum(film, 1e-30)
    low, high = probe.gas_k - probe.heats * band, probe.gas_k + band
    nudge = jnp.minimum(0.5 * (high - low), NUDGE_K)
    held = jnp.where((old > high) & (new < high), high - nudge, new)
    held = jnp.where((old < low) & (new > low), low + nudge, held)
    return jnp.where(film > 0, held, new)


def solve_stage(
    p: Freezing, probe: Probe, lowest: Array, known: Array, weight: Array, guess: Array
) -> tuple[Array, Array, Array, Array]:
    """Solve H(T) + weight A(T) = known: T, Newton steps, inner iterations, last change (K)."""

    def going(carry: Any) -> Array:
        _, count, _, change = carry
        return (change > p.tolerance_k) & (count < NEWTON_STEPS)

    def advance(carry: Any) -> Any:
        t, count, inner, _ = carry
        leaving, diagonal, padded = outflow(p, probe, lowest, t)
        defect = p.free * (known - enthalpy(p, t) - weight * leaving) / weight
        diagonal = diagonal + apparent_capacity(p, t) / weight
        inverse = p.free / diagonal

        def operator(x: Array) -> Array:
            return p.free * apply_operator(diagonal, padded, x)

        def precondition(r: Array) -> Array:
            return inverse * r

        tolerance = jnp.asarray(INNER_TOLERANCE, t.dtype)
        update, used, _ = conjugate_gradients(
            operator, precondition, defect, jnp.zeros_like(t), tolerance, 500
        )
        # Where many cells change phase at once a full update may cycle; a shorter one does not.
        damping = jnp.where(count < PATIENCE, 1.0, 0.5).astype(t.dtype)
        new = _held_at_probe(p, probe, t, _held_at_edges(p, t, t + damping * update))
        return new, count + 1, inner + used, jnp.max(jnp.abs(new - t))

    start = (guess, 0, 0, jnp.asarray(jnp.inf, guess.dtype))
    t, count, inner, change = jax.lax.while_loop(going, advance, start)
    return t, count, inner, change


def take_step(
    p: Freezing, probe: Probe, lowest: Array, t: Array, content: Array, dt: Array, second: Array
) -> Moved:
    """One step: backward Euler, or both stages of TR-BDF2 where ``second`` is above zero.

    ``content`` (J per cell) is what the fluxes left, not H(t): what a solve leaves undone is carried to the
    next step, so that heat is conserved. One loop runs both stages, so that the solve is compiled once.
    """
    twice = second > 0
    implicit = jnp.where(twice, STAGE, 1.0).astype(t.dtype)
    seconds = dt.astype(jnp.float64)
    first = outflow(p, probe, lowest, t)[0]

    def stage(number: Array, carry: Any) -> Any:
        now, left, energy, count, inner, change = carry
        half = content - STAGE * dt * first
        known = jnp.where(twice & (number == 0), half, left)
        new, more, others, last = solve_stage(p, probe, lowest, known, implicit * dt, now)
        outer = jnp.where(twice & (number == 0), OUTER, implicit).astype(t.dtype)
        left = left - outer * dt * outflow(p, probe, lowest, new)[0]
        energy = energy + outer.astype(jnp.float64) * seconds * rates(p, probe, lowest, new)
        return new, left, energy, count + more, inner + others, jnp.maximum(change, last)

    outer = jnp.where(twice, OUTER, 0.0).astype(t.dtype)
    start = (
        t,
        content - outer * dt * first,
        outer.astype(jnp.float64) * seconds * rates(p, probe, lowest, t),
        0,
        0,
        jnp.zeros((), t.dtype),
    )
    new, left, energy, count, inner, change = jax.lax.fori_loop(0, jnp.where(twice, 2, 1), stage, start)
    return Moved(new, left, energy, count, inner, change)
