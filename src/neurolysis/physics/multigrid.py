"""A multigrid cycle for ``sum of links (x - neighbour) + extra x`` on tensor grids: a preconditioner.

Cells are merged two by two along every axis, so that a coarse link is the sum of the fine links it
replaces and a coarse diagonal the sum of its cells': the coarse operator conserves what the fine one does.
Constant prolongation makes coarse gradients too stiff by the ratio of cell widths, which the halved links
undo. Smoothing is damped Jacobi, the same before and after, so that the cycle is symmetric and may
precondition conjugate gradients whatever the jumps of the coefficient are.
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
DAMPING = 0.8
STIFFNESS = 0.5
"""A coarse link spans twice the distance of the fine ones whose areas it sums."""
COARSEST_SWEEPS = 24


class Level(NamedTuple):
    """One grid: diagonal and padded links of the operator, and 1 / diagonal (0 for cells left out)."""

    diagonal: Array
    padded: tuple[Array, ...]
    inverse: Array


def build_levels(links: tuple[Array, ...], extra: Array) -> tuple[Level, ...]:
    """Operators from fine to coarse; ``links[a]`` has one entry less than cells along axis ``a``.

    Every cell needs a diagonal above zero: cells outside the domain get ``extra`` 1 and no links.
    """
    levels = [_level(links, extra)]
    while min(extra.shape) > SMALLEST:
        links, extra = _coarsen(links, extra)
        levels.append(_level(links, extra))
    return tuple(levels)


def _level(links: tuple[Array, ...], extra: Array) -> Level:
    diagonal, padded = graph_laplacian(links, extra)
    return Level(diagonal, padded, 1.0 / diagonal)


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


def v_cycle(levels: tuple[Level, ...], rhs: Array) -> Array:
    """One symmetric cycle from a start of zero: an approximate inverse of the finest operator."""
    level = levels[0]
    if len(levels) == 1:
        return _smooth(level, rhs, DAMPING * level.inverse * rhs, COARSEST_SWEEPS)
    x = _smooth(level, rhs, DAMPING * level.inverse * rhs, SWEEPS - 1)
    rest = jax.lax.optimization_barrier(rhs - apply_operator(level.diagonal, level.padded, x))
    for axis in range(rest.ndim):
        rest = merge(rest, axis)
    x = x + spread(v_cycle(levels[1:], rest), rhs.shape)
    return _smooth(level, rhs, x, SWEEPS)


def _smooth(level: Level, rhs: Array, x: Array, sweeps: int) -> Array:
    # A loop, not a list of statements: the compiler would fuse consecutive stencils and compute each
    # neighbour again and again.
    def once(_: int, x: Array) -> Array:
        return x + DAMPING * level.inverse * (rhs - apply_operator(level.diagonal, level.padded, x))

    return jax.lax.fori_loop(0, sweeps, once, x)
