"""Small pockets of permeable cells in tight tissue: what a multigrid cycle cannot see, corrected apart.

Merging cells two by two mixes a pocket of a few well-connected cells with the wall round it, and smoothing
moves the pocket's level only as fast as its weak links let it: such levels are the slowest part of the error.
A pocket's level is one unknown. It is corrected before and after the cycle by what its cells are left with
together over all that links them to outside (the Galerkin operator's diagonal); both corrections are the
same, so that the whole stays symmetric and may precondition conjugate gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from neurolysis.physics.backend import load_jax

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
STRONG = 0.02
"""A link joins two cells when it is more than this part of either one's sum of links."""
LARGEST = 4096
"""Components of more cells are not pockets: a coarser grid sees them."""


class Border(NamedTuple):
    """Links along one axis that leave a pocket: cell inside, cell outside, place among the links, pocket."""

    inside: Array
    outside: Array
    link: Array
    pocket: Array


class Pockets(NamedTuple):
    """``cells``: flat places of all pocket cells; ``pocket``: the number of each one's pocket."""

    cells: Array
    pocket: Array
    borders: tuple[Border, ...]
    marks: Array
    """One entry a pocket."""


def find_pockets(links: tuple[Array, ...]) -> Pockets | None:
    """The pockets of a grid whose inner faces have these conductances (one less than cells along each axis).

    Only the pattern of strong and weak links counts, so that it is found once and holds while the viscosity
    changes by what an agent changes it.
    """
    plain = [np.asarray(link, np.float32) for link in links]
    ndim = plain[0].ndim
    shape = tuple(n + 1 if axis == 0 else n for axis, n in enumerate(plain[0].shape))
    total = np.zeros(shape, np.float32)
    for axis, link in enumerate(plain):
        total[_lower(ndim, axis)] += link
        total[_upper(ndim, axis)] += link
    places = np.arange(total.size, dtype=np.int64).reshape(shape)
    parents = np.arange(total.size, dtype=np.int64)
    for axis, link in enumerate(plain):
        low, high = total[_lower(ndim, axis)], total[_upper(ndim, axis)]
        strong = (link > STRONG * np.maximum(low, high)) & (link > 0)
        _join(parents, places[_lower(ndim, axis)][strong], places[_upper(ndim, axis)][strong])
    pocket = _numbered(parents, LARGEST)
    if pocket.max() < 0:
        return None
    return _listed(pocket.reshape(shape), places, plain)


def _lower(ndim: int, axis: int) -> tuple[slice, ...]:
    return tuple(slice(None, -1) if k == axis else slice(None) for k in range(ndim))


def _upper(ndim: int, axis: int) -> tuple[slice, ...]:
    return tuple(slice(1, None) if k == axis else slice(None) for k in range(ndim))


@njit(cache=True)
def _root(parents: NDArray[np.int64], cell: int) -> int:
    while parents[cell] != cell:
        parents[cell] = parents[parents[cell]]
        cell = parents[cell]
    return cell


@njit(cache=True)
def _join(parents: NDArray[np.int64], first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """Joins the components of each pair of cells; a component's root is its first cell."""
    for n in range(len(first)):
        a, b = _root(parents, first[n]), _root(parents, second[n])
        parents[max(a, b)] = min(a, b)


@njit(cache=True)
def _numbered(parents: NDArray[np.int64], largest: int) -> NDArray[np.int64]:
    """Number of the pocket of every cell; -1 for cells alone and for components larger than ``largest``."""
    count = np.zeros(len(parents), np.int64)
    for cell in range(len(parents)):
        count[_root(parents, cell)] += 1
    number = np.full(len(parents), -1, np.int64)
    found = 0
    for cell in range(len(parents)):
        root = _root(parents, cell)
        if 2 <= count[root] <= largest:
            if root == cell:
                number[cell] = found
                found += 1
            else:
                number[cell] = number[root]
    return number


def _listed(
    pocket: NDArray[np.int64], places: NDArray[np.int64], links: list[NDArray[np.float32]]
) -> Pockets:
    ndim = pocket.ndim
    borders = []
    for axis, link in enumerate(links):
        sides = (_lower(ndim, axis), _upper(ndim, axis))
        leaves = (pocket[sides[0]] != pocket[sides[1]]) & (link > 0)
        faces = np.arange(link.size).reshape(link.shape)
        rows = []
        for here, there in (sides, sides[::-1]):
            at = leaves & (pocket[here] >= 0)
            rows.append((places[here][at], places[there][at], faces[at], pocket[here][at]))
        borders.append(Border(*(jnp.asarray(np.concatenate(x), jnp.int32) for x in zip(*rows, strict=True))))
    cells = np.flatnonzero(pocket.reshape(-1) >= 0)
    return Pockets(
        jnp.asarray(cells, jnp.int32),
        jnp.asarray(pocket.reshape(-1)[cells], jnp.int32),
        tuple(borders),
        jnp.zeros(int(pocket.max()) + 1, jnp.int32),
    )


def with_pockets(
    pockets: Pockets | None, links: tuple[Array, ...], extra: Array, cycle: Callable[[Array], Array]
) -> Callable[[Array], Array]:
    """A symmetric cycle for ``sum of links (x - neighbour) + extra x`` with the pockets' levels corrected."""
    if pockets is None:
        return cycle
    count = pockets.marks.shape[0]
    weights = [link.reshape(-1)[b.link] for link, b in zip(links, pockets.borders, strict=True)]
    own = extra.reshape(-1)[pockets.cells]

    def per_pocket(values: Array, pocket: Array) -> Array:
        return jax.ops.segment_sum(values, pocket, count)

    held = per_pocket(own, pockets.pocket)
    for weight, border in zip(weights, pockets.borders, strict=True):
        held = held + per_pocket(weight, border.pocket)
    share = jnp.where(held > 0, 1.0 / held, 0.0)

    def apply(rest: Array) -> Array:
        flat = rest.reshape(-1)
        level = share * per_pocket(flat[pockets.cells], pockets.pocket)
        flat = flat.at[pockets.cells].add(-own * level[pockets.pocket])
        for weight, border in zip(weights, pockets.borders, strict=True):
            flow = weight * level[border.pocket]
            flat = flat.at[border.inside].add(-flow).at[border.outside].add(flow)
        x = cycle(flat.reshape(rest.shape)).reshape(-1)
        left = per_pocket(flat[pockets.cells] - own * x[pockets.cells], pockets.pocket)
        for weight, border in zip(weights, pockets.borders, strict=True):
            left = left - per_pocket(weight * (x[border.inside] - x[border.outside]), border.pocket)
        level = level + share * left
        return x.at[pockets.cells].add(level[pockets.pocket]).reshape(rest.shape)

    return apply
