"""A multigrid cycle for ``sum of links (x - neighbour) + extra x`` on tensor grids: a preconditioner.

Cells are merged two by two along every axis, so that a coarse link is the sum of the fine links it
replaces and a coarse diagonal the sum of its cells': the coarse operator conserves what the fine one does.
Constant prolongation makes coarse gradients too stiff by the ratio of cell widths, which the halved links
undo. Every level is visited twice as often as the finer one (a W-cycle: constant prolongation loses too
much in one visit). Smoothing is a Chebyshev polynomial of the Jacobi-scaled operator, the same before and
after, so that the cycle is symmetric and may precondition conjugate gradients whatever the jumps of the
coefficient are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from neurolysis.physics.backend import load_jax
from neurolysis.physics.linear import apply_operator, graph_laplacian

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any

SMALLEST = 4
"""Axes are merged down to this many cells."""
SWEEPS = 2
ROUGH = (0.25, 2.0)
"""What smoothing is to damp: eigenvalues of the Jacobi-scaled operator; Gershgorin bounds them by 2."""
VISITS = 2
"""Visits of the next coarser level."""
STIFFNESS = 0.5
"""A coarse link spans twice the distance of the fine ones whose areas it sums."""
COARSEST_ROUNDS = 12


class Level(NamedTuple):
    """One grid: diagonal and padded links of the operator, and 1 / diagonal (0 outside the domain)."""

    diagonal: Array
    padded: tuple[Array, ...]
    inverse: Array


def build_levels(links: tuple[Array, ...], extra: Array) -> tuple[Level, ...]:
    """Operators from fine to coarse; ``links[a]`` has one entry less than cells along axis ``a``.

    Cells outside the domain have neither links nor ``extra``: their diagonal is zero, no sweep moves them,
    and a coarse cell counts only its cells inside. (A diagonal invented for them would weigh on every
    coarse cell at a wall.)
    """
    levels = [_level(links, extra)]
    while min(extra.shape) > SMALLEST:
        links, extra = _coarsen(links, extra)
        levels.append(_level(links, extra))
    return tuple(levels)


def _level(links: tuple[Array, ...], extra: Array) -> Level:
    diagonal, padded = graph_laplacian(links, extra)
    return Level(diagonal, padded, jnp.where(diagonal > 0, 1.0 / diagonal, 0.0))


def _coarsen(links: tuple[Array, ...], extra: Array) -> tuple[tuple[Array, ...], Array]:
    """Links and extra term with cells merged two by two; an odd last cell stays alone."""
    coarse = []
    for axis, link in enumerate(links):
        kept = jnp.take(link, jnp.arange(1, link.shape[axis], 2), axis=axis)
        for other in range(link.ndim):
            if other != axis:
                kept = merge(kept, other)
        coarse.append(STIFFNESS * kept)
    for axis in range(extra.ndim):
        extra = merge(extra, axis)
    return tuple(coarse), extra


def merge(x: Array, axis: int) -> Array:
    """Sums of neighbouring pairs along an axis, (n + 1) // 2 of them."""
    if x.shape[axis] % 2:
        x = jnp.pad(x, [(0, 1) if k == axis else (0, 0) for k in range(x.ndim)])
    shape = (*x.shape[:axis], x.shape[axis] // 2, 2, *x.shape[axis + 1 :])
    return x.reshape(shape).sum(axis=axis + 1)


def spread(x: Array, shape: tuple[int, ...]) -> Array:
    """Each value given to the cells it was merged from."""
    for axis, count in enumerate(shape):
        x = jnp.repeat(x, 2, axis=axis)
        x = jax.lax.slice_in_dim(x, 0, count, axis=axis)
    return x


def cycle(levels: tuple[Level, ...], rhs: Array) -> Array:
    """One symmetric cycle from a start of zero: an approximate inverse of the finest operator."""
    first = levels[0].inverse * rhs / _MEAN
    return _improve(levels, rhs, _smooth(levels[0], rhs, first, first, 1))


def _improve(levels: tuple[Level, ...], rhs: Array, x: Array) -> Array:
    """What follows the first smoothing: the coarser levels' correction and the last smoothing."""
    level, coarser = levels[0], levels[1:]
    nothing = jnp.zeros_like(rhs)
    if not coarser:
        return jax.lax.fori_loop(0, COARSEST_ROUNDS, lambda _, x: _smooth(level, rhs, x, nothing, 0), x)
    rest = jax.lax.optimization_barrier(rhs - apply_operator(level.diagonal, level.padded, x))
    for axis in range(rest.ndim):
        rest = merge(rest, axis)

    def visit(_: int, y: Array) -> Array:
        return _improve(coarser, rest, _smooth(coarser[0], rest, y, jnp.zeros_like(y), 0))

    y = jax.lax.fori_loop(0, VISITS, visit, jnp.zeros_like(rest))
    return _smooth(level, rhs, x + spread(y, rhs.shape), nothing, 0)


_MEAN, _HALF = 0.5 * (ROUGH[1] + ROUGH[0]), 0.5 * (ROUGH[1] - ROUGH[0])


def _factors() -> tuple[list[float], list[float]]:
    """Weights of the last move and of the scaled residual in each sweep."""
    ratio = _MEAN / _HALF
    keep, move = [0.0], [1 / _MEAN]
    rho = 1 / ratio
    for _ in range(SWEEPS - 1):
        following = 1 / (2 * ratio - rho)
        keep.append(following * rho)
        move.append(2 * following / _HALF)
        rho = following
    return keep, move


def _smooth(level: Level, rhs: Array, x: Array, moved: Array, done: int) -> Array:
    """Sweeps ``done`` to the last of the polynomial; ``moved`` is what the sweep before added."""
    keep, move = (jnp.asarray(f, jnp.float32) for f in _factors())

    # A loop, not a list of statements: the compiler would fuse consecutive stencils and compute each
    # neighbour again and again.
    def once(number: int, state: tuple[Array, Array]) -> tuple[Array, Array]:
        x, moved = state
        rest = rhs - apply_operator(level.diagonal, level.padded, x)
        moved = keep[number] * moved + move[number] * level.inverse * rest
        return x + moved, moved

    return jax.lax.fori_loop(done, SWEEPS, once, (x, moved))[0]
