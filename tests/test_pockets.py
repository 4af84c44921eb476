"""Pockets of permeable cells: how they are found, and what correcting their level does to the solver."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from neurolysis.physics.backend import load_jax
from neurolysis.physics.linear import apply_operator, conjugate_gradients
from neurolysis.physics.multigrid import build_levels, cycle
from neurolysis.physics.pockets import find_pockets, with_pockets

jax = load_jax()
jnp = jax.numpy


def links_of(permeability: np.ndarray) -> tuple[np.ndarray, ...]:
    """Harmonic means of the two cells of every inner face, of even cells of size 1."""
    found = []
    for axis in range(permeability.ndim):
        count = permeability.shape[axis]
        low = permeability.take(range(count - 1), axis)
        high = permeability.take(range(1, count), axis)
        both = low + high
        mean = np.divide(2 * low * high, both, out=np.zeros_like(both), where=both > 0)
        found.append(jnp.asarray(mean, jnp.float32))
    return tuple(found)


def spotted(count: int = 24, contrast: float = 1e4) -> np.ndarray:
    """A tight cube with pockets of three cells, in no step with the grid's pairs."""
    k = np.ones((count,) * 3)
    for i, j, m in np.ndindex(4, 4, 4):
        k[3 + 5 * i, 2 + 5 * j : 5 + 5 * j, 4 + 5 * m] = contrast
    return k


def test_pockets_are_what_hangs_together_inside() -> None:
    """Two cells, an L of three; a cell alone is none, and neither is the large rest."""
    k = np.ones((80, 80))
    k[10, 10:12] = k[20:22, 30] = k[20, 31] = 1e3
    k[40, 40] = 1e3
    found = find_pockets(links_of(k))
    assert found is not None
    pairs = zip(np.asarray(found.cells), np.asarray(found.pocket), strict=True)
    assert {(divmod(int(c), 80), int(p)) for c, p in pairs} == {
        ((10, 10), 0), ((10, 11), 0), ((20, 30), 1), ((20, 31), 1), ((21, 30), 1),
    }  # fmt: skip
    assert sorted(np.concatenate([b.pocket for b in found.borders]).tolist()) == [0] * 6 + [1] * 8


def test_even_tissue_has_no_pockets() -> None:
    """One component, larger than a pocket; and nothing to correct."""
    assert find_pockets(links_of(np.ones((20, 20, 20)))) is None
    assert with_pockets(None, (), jnp.zeros(1), abs) is abs


def parts(k: np.ndarray) -> tuple[Any, Any, Any]:
    """Operator, plain cycle and corrected cycle of a tissue that leaks a little everywhere."""
    links, extra = links_of(k), jnp.full(k.shape, 0.1, jnp.float32)
    levels = build_levels(links, extra)
    plain = partial(cycle, levels)
    operator = partial(apply_operator, levels[0].diagonal, levels[0].padded)
    return operator, plain, with_pockets(find_pockets(links), links, extra, plain)


def solve(operator: Any, cycle: Any, rhs: Any, tolerance: float) -> Any:
    """Solution and iterations from a start of zero."""
    run = jax.jit(lambda b: conjugate_gradients(operator, cycle, b, 0 * b, tolerance, 300, energy=True))
    return run(rhs)


def test_the_corrected_cycle_is_symmetric_and_positive() -> None:
    """What conjugate gradients ask of a preconditioner."""
    _, _, corrected = parts(spotted())
    noise = np.random.default_rng(1)
    u, v = (jnp.asarray(noise.standard_normal((24, 24, 24)), jnp.float32) for _ in range(2))
    mu, mv = (np.asarray(jax.jit(corrected)(x), float) for x in (u, v))
    size = np.linalg.norm(mu) * np.linalg.norm(np.asarray(v))
    assert abs((mu * np.asarray(v)).sum() - (mv * np.asarray(u)).sum()) < 1e-5 * size
    assert (mu * np.asarray(u)).sum() > 0


def test_pockets_cost_the_corrected_solver_nothing() -> None:
    """At most twice those without any contrast, where the plain cycle needs several times as many."""

    def count(contrast: float, *, correct: bool) -> int:
        operator, plain, corrected = parts(spotted(contrast=contrast))
        rhs = jnp.zeros((24, 24, 24), jnp.float32).at[12, 12, 12].set(1.0)
        return int(solve(operator, corrected if correct else plain, rhs, 1e-4)[1])

    even = count(1.0, correct=True)
    assert count(1e4, correct=True) <= 2 * even
    assert count(1e4, correct=False) > 2 * count(1e4, correct=True)


def test_both_cycles_find_the_same_pressure() -> None:
    """The correction changes how fast, not what."""
    operator, plain, corrected = parts(spotted())
    rhs = jnp.asarray(np.random.default_rng(2).random((24, 24, 24)), jnp.float32)
    found = [np.asarray(solve(operator, m, rhs, 1e-5)[0]) for m in (plain, corrected)]
    assert np.abs(found[0] - found[1]).max() < 1e-3 * np.abs(found[0]).max()
