"""Conservative transport of the agent through the pores: implicit where it is fast, limited elsewhere.

Advection and diffusion by finite volumes. Cells that a step would flush more than once (near the needle)
are fast: what leaves them is carried at their new concentration, solved implicitly (an adaptive implicit
method). From all others a second-order flux (Lax and Wendroff) is cut back to the upwind one wherever it
would pass the values around it (Zalesak's flux-corrected transport), so that the concentration stays between
0 and the injected one. Pore volumes follow the very fluxes that carry the agent, so a constant concentration
stays constant. The loops are in :mod:`neurolysis.physics.upstream`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
from numba import get_num_threads, set_num_threads

from neurolysis.errors import SolverError
from neurolysis.physics import upstream

Array = Any
COURANT = 0.9
DIFFUSIVE = 0.5
"""Share of it that diffusion alone may use up: the rest is left to flow, or every cell of a diffusing grid
would count as fast and be carried to first order only."""
loops: Any = upstream
"""Compiled: the checker would hold them to their Python signatures' exact types."""
SUBSTEPS = 6
"""A step is cut into at most this many on account of flow; cells that would need more are fast."""
MOST_SUBSTEPS = 5000
CELLS_A_THREAD = 50_000
"""A thread that has less to do costs more than it brings: each of a step's six loops waits until the slowest
has begun, which on a busy machine takes milliseconds, longer than 50,000 cells take on one."""
SEEN = 1e-9
"""Less than this part of the injected concentration is left where it is: it is not carried further."""


class Carried(NamedTuple):
    """Pore volume (1e-12 m3) and concentration (part of the injected one) of every cell, float32."""

    pores: Array
    part: Array


class Gone(NamedTuple):
    """Agent that left by the leak and through the box's faces, 1e-12 m3 of injected mixture."""

    leaked: float
    crossed: float


class Stream(NamedTuple):
    """Flows (1e-12 m3/s) of one flow step, grid-shaped; per axis n + 1 faces.

    ``flux``: volume through the faces; ``spread``: diffusive conductances of the faces, 0 at the box's;
    ``pressure`` orders the implicit sweeps.
    """

    flux: tuple[Array, ...]
    leak: Array
    source: Array
    spread: tuple[Array, ...]
    pressure: Array


def advance(
    state: Carried, stream: Stream, length: float, *, count: int | None = None
) -> tuple[Carried, Gone, int]:
    """The state after ``length`` seconds under one set of flows, what left, and in how many steps.

    Args:
        count: number of steps; None: as many as flow and diffusion ask for.

    Raises:
        SolverError: diffusion is too fast for the grid.
    """
    line = _Line.of(state, stream)
    flow, spread = line.rates()
    if count is None:
        count = _steps(length, flow, spread)
    dt = length / count
    line.mark_fast(flow, spread, dt)
    leaked = crossed = 0.0
    with _threads(line.part.size):
        for number in range(count):
            left = line.step(number * dt, dt)
            leaked, crossed = leaked + left.leaked, crossed + left.crossed
    shape = np.shape(state.part)
    pores = line.pores + np.float32(length) * line.growth
    return Carried(pores.reshape(shape), line.part.reshape(shape)), Gone(leaked, crossed), count


@contextmanager
def _threads(cells: int) -> Iterator[None]:
    """As many threads as a grid of so many cells is worth, within; the result does not depend on them."""
    before = get_num_threads()
    set_num_threads(min(before, max(1, cells // CELLS_A_THREAD)))
    try:
        yield
    finally:
        set_num_threads(before)


def _steps(length: float, flow: Array, spread: Array) -> int:
    """Steps that flow (capped: fast cells are implicit) and diffusion (never implicit) need."""
    quickest = float((flow + spread).max())
    widest = float(spread.max())
    needed = int(np.ceil(length * quickest / COURANT))
    count = max(1, min(needed, SUBSTEPS), int(np.ceil(length * widest / (DIFFUSIVE * COURANT))))
    if count > MOST_SUBSTEPS:
        raise SolverError(
            "diffusion is too fast for this grid",
            found=f"{count} transport steps in {length:.2g} s",
            allowed=f"at most {MOST_SUBSTEPS}: a coarser finest cell",
        )
    return count


class _Line:
    """The arrays of one flow step, as (planes, lines, cells), and the work space of its transport steps."""

    def __init__(
        self, part: Array, pores: Array, flux: list[Array], spread: list[Array], rest: list[Array]
    ) -> None:
        self.part, self.pores, self.flux, self.spread = part, pores, flux, spread
        leak, self.source, self.pressure = rest
        self.taken = np.maximum(leak, np.float32(0))
        out = sum(np.diff(flow, axis=axis) for axis, flow in enumerate(flux))
        self.growth = np.ascontiguousarray(self.source - out - leak, np.float32)
        planes, lines, cells = part.shape
        wide = (planes, lines, cells + 2)
        self.carry, self.low = np.zeros(wide, np.float32), np.zeros(wide, np.float32)
        self.carry[..., 1:-1] = self.low[..., 1:-1] = part
        self.low[..., 0], self.low[..., -1] = part[..., 0], part[..., -1]
        self.top, self.bottom = self.low.copy(), self.low.copy()
        self.room, self.stock = np.zeros(wide, np.float32), np.zeros(wide, np.float32)
        self.slow = np.zeros(wide, np.float32)
        self.moves = [np.zeros(flow.shape, np.float32) for flow in flux]
        self.first = np.full((planes, lines), cells, np.int64)
        self.last = np.zeros((planes, lines), np.int64)
        self.leaked = np.zeros((planes, lines))

    @classmethod
    def of(cls, state: Carried, stream: Stream) -> _Line:
        """Grids of one or two axes become planes of one line or cell."""
        shape = np.shape(state.part)
        missing = 3 - len(shape)
        full = (1,) * missing + tuple(shape)

        def faces(given: tuple[Array, ...]) -> list[Array]:
            empty = [
                np.zeros(tuple(n + (k == axis) for k, n in enumerate(full)), np.float32)
                for axis in range(missing)
            ]
            shaped = [
                np.ascontiguousarray(face, np.float32).reshape((1,) * missing + np.shape(face))
                for face in given
            ]
            return empty + shaped

        rest = [
            np.ascontiguousarray(x, np.float32).reshape(full)
            for x in (stream.leak, stream.source, stream.pressure)
        ]
        part = np.array(state.part, np.float32).reshape(full)
        pores = np.ascontiguousarray(state.pores, np.float32).reshape(full)
        return cls(part, pores, faces(stream.flux), faces(stream.spread), rest)

    def rates(self) -> tuple[Array, Array]:
        """Rate (1/s) at which every cell is flushed by flow, and at which diffusion evens it out."""
        out, even = self.taken.copy(), np.zeros_like(self.pores)
        for axis, (flow, spread) in enumerate(zip(self.flux, self.spread, strict=True)):
            low, high = _ends(flow, axis)
            out += np.maximum(-low, 0) + np.maximum(high, 0)
            even += sum(_ends(spread, axis))
        held = np.maximum(self.pores, upstream.TINY)
        return out / held, even / held

    def mark_fast(self, flow: Array, spread: Array, dt: float) -> None:
        """The cells that one step would flush too often, down the pressure."""
        self.fast = (flow + spread) * dt > COURANT
        self.slow[..., 1:-1] = ~self.fast
        found = np.flatnonzero(self.fast)
        self.order = found[np.argsort(-self.pressure.reshape(-1)[found], kind="stable")]
        self.keep = self.fast | (self.source > 0)

    def step(self, since: float, dt: float) -> Gone:
        """One transport step, ``since`` seconds after the flow step began."""
        when, step = np.float32(since), np.float32(dt)
        first, last = np.empty_like(self.first), np.empty_like(self.last)
        loops.stretches(self.part, self.keep, np.float32(SEEN), first, last)
        loops.grow_stretches(first, last, self.part.shape[2], self.first, self.last)
        where = (self.first, self.last)
        tissue = (self.part, self.pores, self.growth, *self.flux, *self.spread, self.taken, self.source)
        self.carry[..., 1:-1] = self.part
        if len(self.order):
            loops.solve_fast(self.order, self.carry, *tissue, when, step)
        loops.low_order(
            *where, self.carry, self.slow, *tissue, when, step, self.low, self.top, self.bottom, self.leaked
        )
        loops.second_order(*where, self.slow, self.part, self.pores, *self.flux, step, *self.moves)
        held = (self.pores, self.growth, when + step)
        loops.limits(*where, *held, self.low, self.top, self.bottom, *self.moves, self.room, self.stock)
        loops.apply_moves(*where, *held, self.low, self.room, self.stock, *self.moves, self.part)
        return Gone(float(dt) * float(self.leaked.sum()), float(dt) * self._crossed())

    def _crossed(self) -> float:
        """Agent that leaves through the faces of the box, 1e-12 m3/s; what enters there carries none."""
        carried, total = self.carry[..., 1:-1], 0.0
        for axis, flow in enumerate(self.flux):
            for end, sign in ((0, -1.0), (-1, 1.0)):
                here = _at(carried, axis, end)
                if here.any():
                    out = np.maximum(sign * _at(flow, axis, end), 0)
                    total += float(np.sum(out * here, dtype=np.float64))
        return total


def _at(values: Array, axis: int, end: int) -> Array:
    return values[(slice(None),) * axis + (end,)]


def _ends(faces: Array, axis: int) -> tuple[Array, Array]:
    """Values at the lower and at the upper face of every cell."""
    before = (slice(None),) * axis
    return faces[(*before, slice(None, -1))], faces[(*before, slice(1, None))]
