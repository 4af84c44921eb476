"""Conservative transport of the agent through the pores: implicit near the needle, limited elsewhere.

Advection and diffusion by finite volumes. Inside a window round the needle, where a cell is flushed many
times a step, upwind fluxes are solved implicitly; outside it a second-order flux (Lax and Wendroff) is cut
back to the upwind one wherever it would pass the values around it (Zalesak's flux-corrected transport), so
that the concentration stays between 0 and the injected one. Pore volumes follow the very fluxes that carry
the agent, so a constant concentration stays constant.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

from neurolysis.physics.backend import load_jax
from neurolysis.physics.flow import _pair, outflow

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any

SWEEPS = 400
SETTLED = 1e-6
"""The implicit window is solved to this change of concentration."""
TINY = 1e-20


class Carried(NamedTuple):
    """Pore volume (1e-12 m3) and concentration (part of the injected one) of every cell."""

    pores: Array
    part: Array


class Gone(NamedTuple):
    """Agent that left by the leak and through the box's faces, 1e-12 m3 of injected mixture (float64)."""

    leaked: Array
    crossed: Array


class Stream(NamedTuple):
    """Fluxes (1e-12 m3/s) of one flow step; ``spread`` are diffusive conductances of inner faces."""

    flux: tuple[Array, ...]
    leak: Array
    source: Array
    spread: tuple[Array, ...]


def face_states(part: Array, axis: int) -> tuple[Array, Array]:
    """Concentration below and above every face (n + 1); fresh fluid outside the box."""
    width = [(1, 1) if k == axis else (0, 0) for k in range(part.ndim)]
    return _pair(jnp.pad(part, width), axis)


def upwind(flow: Array, below: Array, above: Array) -> Array:
    """Agent carried through faces by the cell that the flow comes from."""
    return jnp.where(flow > 0, flow * below, flow * above)


def _explicit(mask: Array | None, axis: int) -> Array | None:
    """1 at faces that are not inside the window, along an axis; None where there is no window."""
    if mask is None:
        return None
    width = [(1, 1) if k == axis else (0, 0) for k in range(mask.ndim)]
    low, high = _pair(jnp.pad(mask, width), axis)
    return 1.0 - low * high


def mark_window(shape: tuple[int, ...], start: Array, size: tuple[int, ...]) -> Array:
    """1 in the window of ``size`` cells from ``start``, 0 elsewhere."""
    inside = jnp.ones(shape, bool)
    for axis, count in enumerate(shape):
        at = jnp.arange(count)
        line = (at >= start[axis]) & (at < start[axis] + size[axis])
        inside = inside & line.reshape([-1 if k == axis else 1 for k in range(len(shape))])
    return inside.astype(jnp.float32)


def advance(
    state: Carried, stream: Stream, start: Array, dt: float, count: int, *, size: tuple[int, ...] | None
) -> tuple[Carried, Gone]:
    """``count`` steps of ``dt`` seconds under one set of fluxes; ``size`` None: no implicit window.

    The parts of a step are compiled apart: as one program each neighbour's value would be computed again
    wherever it is used, twenty times the work.
    """
    mask = None if size is None else mark_window(state.part.shape, start, size)
    length = jnp.float32(dt)
    gone = Gone(0.0, 0.0)
    for _ in range(count):
        fresh, low, lost = _low_order(state, stream, mask, start, length, size=size)
        moves, room, stock = _limits(low, state, fresh, stream, mask, length)
        state = Carried(fresh, _apply(low, fresh, moves, room, stock))
        gone = Gone(gone.leaked + lost.leaked, gone.crossed + lost.crossed)
    return state, gone


@partial(jax.jit, static_argnames=("size",))
def _low_order(
    state: Carried,
    stream: Stream,
    mask: Array | None,
    start: Array,
    dt: Array,
    *,
    size: tuple[int, ...] | None,
) -> tuple[Array, Array, Gone]:
    """New pores, and the concentration by upwind and diffusion; inside the window upwind is implicit."""
    pores, part = state
    fresh = pores + dt * (stream.source - outflow(stream.flux) - stream.leak)
    amount = pores * part + dt * stream.source
    crossed: Array = 0.0
    taken = jnp.maximum(stream.leak, 0.0)
    for axis, flow in enumerate(stream.flux):
        below, above = face_states(part, axis)
        carried = upwind(flow, below, above)
        if mask is not None:
            carried = carried * _explicit(mask, axis)
        first = jnp.take(carried, 0, axis=axis)
        last = jnp.take(carried, -1, axis=axis)
        crossed = crossed + jnp.sum(last, dtype=jnp.float64) - jnp.sum(first, dtype=jnp.float64)
        low, high = _pair(part, axis)
        diffused = jnp.pad(
            stream.spread[axis] * (low - high),
            [(1, 1) if k == axis else (0, 0) for k in range(part.ndim)],
        )
        a, b = _pair(carried + diffused, axis)
        amount = amount - dt * (b - a)
    if mask is None or size is None:
        found = amount / (fresh + dt * taken)
    else:
        outside = amount / (fresh + dt * taken)
        inside = _solve_window(amount, fresh + dt * taken, stream, start, dt, size, part)
        found = jax.lax.dynamic_update_slice(outside, inside, tuple(start[k] for k in range(part.ndim)))
    leaked = dt * jnp.sum(taken * found, dtype=jnp.float64)
    return fresh, found, Gone(leaked, dt * crossed)


def _solve_window(
    amount: Array, held: Array, stream: Stream, start: Array, dt: Array, size: tuple[int, ...], part: Array
) -> Array:
    """Implicit upwind among the window's cells: ``(held + dt out) c = amount + dt (inflow of c)``.

    Repeated substitution follows the flow outwards, so it ends after as many sweeps as cells in a row.
    """
    at = tuple(start[k] for k in range(part.ndim))
    rhs = jax.lax.dynamic_slice(amount, at, size)
    diagonal = jax.lax.dynamic_slice(held, at, size)
    flows = []
    for axis, flow in enumerate(stream.flux):
        inner = tuple(n - 1 if k == axis else n for k, n in enumerate(size))
        begin = tuple(s + 1 if k == axis else s for k, s in enumerate(at))
        flows.append(dt * jax.lax.dynamic_slice(flow, begin, inner))
    for axis, flow in enumerate(flows):
        diagonal = diagonal + _ahead(jnp.maximum(flow, 0.0), axis) + _behind(jnp.maximum(-flow, 0.0), axis)

    def going(carry: tuple[Array, Array, Array]) -> Array:
        _, change, count = carry
        return (change > SETTLED) & (count < SWEEPS)

    def once(carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        c, _, count = carry
        total = rhs
        for axis, flow in enumerate(flows):
            low, high = _pair(c, axis)
            total = total + _behind(jnp.maximum(flow, 0.0) * low, axis)
            total = total + _ahead(jnp.maximum(-flow, 0.0) * high, axis)
        new = total / diagonal
        return new, jnp.max(jnp.abs(new - c)), count + 1

    begin_with = jax.lax.dynamic_slice(part, at, size)
    found, _, _ = jax.lax.while_loop(going, once, (begin_with, jnp.float32(1.0), 0))
    return found


def _ahead(x: Array, axis: int) -> Array:
    """Face values given to the cell below each face."""
    return jnp.pad(x, [(0, 1) if k == axis else (0, 0) for k in range(x.ndim)])


def _behind(x: Array, axis: int) -> Array:
    """Face values given to the cell above each face."""
    return jnp.pad(x, [(1, 0) if k == axis else (0, 0) for k in range(x.ndim)])


@jax.jit  # type: ignore[untyped-decorator]
def _limits(
    low: Array, state: Carried, fresh: Array, stream: Stream, mask: Array | None, dt: Array
) -> tuple[tuple[Array, ...], Array, Array]:
    """Second-order moves through inner faces, and the share of gains and losses that each cell can bear."""
    pores, part = state
    top, bottom = _around(jnp.maximum(low, part), jnp.maximum), _around(jnp.minimum(low, part), jnp.minimum)
    moves = tuple(_second_order(part, pores, flow, mask, axis, dt) for axis, flow in enumerate(stream.flux))
    gain, loss = 0.0, 0.0
    for axis, move in enumerate(moves):
        forward, backward = jnp.maximum(move, 0.0), jnp.maximum(-move, 0.0)
        gain = gain + _behind(forward, axis) + _ahead(backward, axis)
        loss = loss + _ahead(forward, axis) + _behind(backward, axis)
    room = jnp.clip((top - low) * fresh / jnp.maximum(gain, TINY), 0.0, 1.0)
    stock = jnp.clip((low - bottom) * fresh / jnp.maximum(loss, TINY), 0.0, 1.0)
    return moves, room, stock


def _around(x: Array, pick: Any) -> Array:
    """The highest (or lowest) value of each cell and its neighbours along the axes."""
    found = x
    for axis, count in enumerate(x.shape):
        wide = jnp.pad(x, [(1, 1) if k == axis else (0, 0) for k in range(x.ndim)], mode="edge")
        for first in (0, 2):
            found = pick(found, jax.lax.slice_in_dim(wide, first, first + count, axis=axis))
    return found


@jax.jit  # type: ignore[untyped-decorator]
def _apply(low: Array, fresh: Array, moves: tuple[Array, ...], room: Array, stock: Array) -> Array:
    """The low-order result with as much of the second-order moves as keeps it within the values around."""
    change = 0.0
    for axis, move in enumerate(moves):
        room_low, room_high = _pair(room, axis)
        stock_low, stock_high = _pair(stock, axis)
        share = jnp.where(move > 0, jnp.minimum(room_high, stock_low), jnp.minimum(room_low, stock_high))
        change = change + _behind(share * move, axis) - _ahead(share * move, axis)
    return low + change / fresh


def _second_order(part: Array, pores: Array, flow: Array, mask: Array | None, axis: int, dt: Array) -> Array:
    """Agent that the second-order flux moves through inner faces beyond the upwind one, over the step."""
    middle = jax.lax.slice_in_dim(flow, 1, flow.shape[axis] - 1, axis=axis)
    low, high = _pair(part, axis)
    a, b = _pair(pores, axis)
    size = jnp.abs(middle)
    courant = dt * size / jnp.maximum(jnp.minimum(a, b), TINY)
    move = 0.5 * dt * size * jnp.maximum(1.0 - courant, 0.0) * (high - low)
    if mask is None:
        return move
    first, last = _pair(mask, axis)
    return move * (1.0 - first * last)


@partial(jax.jit, static_argnames=("size",))
def cut(state: Carried, stream: Stream, start: Array, *, size: tuple[int, ...]) -> tuple[Carried, Stream]:
    """State and fluxes in the box of ``size`` cells from ``start``; beyond it there must be no agent."""

    def part_of(x: Array, axis: int | None = None, extra: int = 0) -> Array:
        counts = tuple(n + (extra if k == axis else 0) for k, n in enumerate(size))
        return jax.lax.dynamic_slice(x, tuple(start[k] for k in range(x.ndim)), counts)

    near = Carried(part_of(state.pores), part_of(state.part))
    flows = Stream(
        tuple(part_of(flow, axis, 1) for axis, flow in enumerate(stream.flux)),
        part_of(stream.leak),
        part_of(stream.source),
        tuple(part_of(link, axis, -1) for axis, link in enumerate(stream.spread)),
    )
    return near, flows


@jax.jit  # type: ignore[untyped-decorator]
def put(state: Carried, stream: Stream, near: Carried, start: Array, length: Array) -> Carried:
    """The whole grid after a step of ``length`` seconds: pores follow their fluxes, the box is set in."""
    at = tuple(start[k] for k in range(state.part.ndim))
    pores = state.pores + length * (stream.source - outflow(stream.flux) - stream.leak)
    return Carried(
        jax.lax.dynamic_update_slice(pores, near.pores, at),
        jax.lax.dynamic_update_slice(state.part, near.part, at),
    )


@jax.jit  # type: ignore[untyped-decorator]
def neighbourhood(mask: Array) -> Array:
    """Cells of a mask and their neighbours along the axes."""
    grown = mask
    for axis, count in enumerate(mask.shape):
        wide = jnp.pad(mask, [(1, 1) if k == axis else (0, 0) for k in range(mask.ndim)])
        for first in (0, 2):
            grown = grown | jax.lax.slice_in_dim(wide, first, first + count, axis=axis)
    return grown


@jax.jit  # type: ignore[untyped-decorator]
def fastest(state: Carried, stream: Stream, start: Array, size: Array, wall: Array, reached: Array) -> Array:
    """Highest rate (1/s) at which a reached cell outside the window is flushed or evened out."""
    out = jnp.maximum(stream.leak, 0.0)
    for axis, flow in enumerate(stream.flux):
        low, high = _pair(flow, axis)
        out = out + jnp.maximum(-low, 0.0) + jnp.maximum(high, 0.0)
        spread = stream.spread[axis]
        out = out + _ahead(spread, axis) + _behind(spread, axis)
    rate = out / state.pores
    inside = jnp.ones(rate.shape, bool)
    for axis, count in enumerate(rate.shape):
        at = jnp.arange(count)
        line = (at >= start[axis]) & (at < start[axis] + size[axis])
        inside = inside & line.reshape([-1 if k == axis else 1 for k in range(rate.ndim)])
    counts = ~inside & ~wall & reached
    return jnp.max(jnp.where(counts, rate, 0.0))
