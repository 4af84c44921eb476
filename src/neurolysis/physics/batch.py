"""Many variants of one treatment at once: one program, vectorised over what differs between them.

Variants share grid, steps in time and generator; tissue constants and set values may differ. Arrays
that are equal in all variants are kept once. Conjugate gradients run until the slowest variant has
converged.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from neurolysis.errors import InputError
from neurolysis.physics.backend import load_jax
from neurolysis.physics.problem import Limits, Problem, Steps
from neurolysis.physics.treatment import (
    CHUNK,
    State,
    Trace,
    in_celsius,
    initial_state,
    pad_steps,
    run_chunk,
)

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
SHARED_STEPS = ("dt", "history", "mode", "refresh", "active")


class BatchResult(NamedTuple):
    """Final states and traces with the variant as leading axis; seconds solving and compiling."""

    state: State
    trace: Trace
    time_s: Array
    elapsed_s: float
    compile_s: float


def stack(values: Sequence[Any]) -> tuple[Any, Any]:
    """Equal leaves once (axis None), different ones stacked (axis 0): (tree, tree of axes)."""
    leaves, structures = zip(*[jax.tree.flatten(value) for value in values], strict=True)
    if any(structure != structures[0] for structure in structures):
        raise InputError("variants of a batch must have the same parts", where="batch")
    joined, axes = [], []
    for parts in zip(*leaves, strict=True):
        same = all(part is parts[0] or np.array_equal(part, parts[0]) for part in parts)
        joined.append(jnp.asarray(parts[0]) if same else jnp.stack([jnp.asarray(p) for p in parts]))
        axes.append(None if same else 0)
    is_leaf = structures[0]
    return jax.tree.unflatten(is_leaf, joined), jax.tree.unflatten(is_leaf, axes)


def run_batch(
    problems: Sequence[Problem],
    limits: Limits,
    steps: Sequence[Steps],
    *,
    tolerance: float = 1e-4,
    vaporises: bool = False,
) -> BatchResult:
    """Run all variants together.

    Raises:
        InputError: an empty batch, other grids, or steps that differ in more than set values.
    """
    _require_alike(problems, steps)
    problem, problem_axes = stack(problems)
    states = [initial_state(item) for item in jax.tree.map(jnp.asarray, list(problems))]
    state = jax.tree.map(lambda *parts: jnp.stack(parts), *states)
    padded = [pad_steps(item) for item in steps]

    def program(p: Problem, s: State, part: Steps) -> tuple[State, Trace]:
        done: tuple[State, Trace] = run_chunk(p, limits, tolerance, s, part, vaporises=vaporises)
        return done

    first, step_axes = _chunk(padded, 0)
    mapped = jax.jit(jax.vmap(program, in_axes=(problem_axes, 0, step_axes)))
    began = time.perf_counter()
    compiled = mapped.lower(problem, state, first).compile()
    compile_s = time.perf_counter() - began
    began = time.perf_counter()
    traces = []
    for start in range(0, len(padded[0].dt), CHUNK):
        part, _ = _chunk(padded, start, step_axes)
        state, trace = compiled(problem, state, part)
        traces.append(jax.tree.map(np.asarray, trace))
    elapsed = time.perf_counter() - began
    kept = len(steps[0].dt)
    joined = Trace(*[np.concatenate(parts, axis=1)[:, :kept] for parts in zip(*traces, strict=True)])
    final = in_celsius(problems[0], jax.tree.map(np.asarray, state))
    return BatchResult(final, joined, np.cumsum(steps[0].dt), elapsed, compile_s)


def _require_alike(problems: Sequence[Problem], steps: Sequence[Steps]) -> None:
    if not problems or len(problems) != len(steps):
        raise InputError(
            "a batch needs as many step lists as problems, at least one",
            where="batch",
            found=(len(problems), len(steps)),
        )
    if len({problem.zero_c for problem in problems}) > 1:
        raise InputError("variants of a batch must start at one temperature", where="batch")
    shapes = {problem.volumes.shape for problem in problems}
    if len(shapes) > 1:
        raise InputError("variants of a batch must share the grid", where="batch", found=sorted(shapes))
    for name in SHARED_STEPS:
        if any(not np.array_equal(getattr(item, name), getattr(steps[0], name)) for item in steps):
            raise InputError("variants of a batch must share their time steps", where="batch", found=name)


def _chunk(padded: Sequence[Steps], start: int, axes: Steps | None = None) -> tuple[Steps, Steps]:
    """One chunk of all variants; ``axes`` fixes which parts are stacked, so the program stays the same."""
    parts: dict[str, Any] = {}
    chosen: dict[str, Any] = {}
    for name in Steps._fields:
        rows = [np.asarray(getattr(item, name))[start : start + CHUNK] for item in padded]
        whole = [np.asarray(getattr(item, name)) for item in padded]
        stacked = any(not np.array_equal(row, whole[0]) for row in whole)
        parts[name] = jnp.stack([jnp.asarray(r) for r in rows]) if stacked else jnp.asarray(rows[0])
        chosen[name] = 0 if stacked else None
    return Steps(**parts), axes or Steps(**chosen)
