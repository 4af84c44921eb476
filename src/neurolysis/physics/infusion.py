"""An injection over its whole time: pressure, transport, uptake, and what is kept of it.

Each step solves the pressure for the viscosity and density of the moment, carries the agent with those
fluxes in as many smaller steps as its speed asks for, then lets still water and blood take it up. Volume
and agent are accounted for term by term; no term is a residual.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import SolverError
from neurolysis.physics.backend import load_jax
from neurolysis.physics.flow import SCALE, Flow, FlowArrays, flow_arrays, outflow, solve_flow
from neurolysis.physics.porous import Infusion, links
from neurolysis.physics.transport import Carried, Gone, Stream, advance

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
LEAST_ROOM = 0.5
"""No step may leave a cell with less than this part of its pores' rest volume."""
CUBIC_MM = 1e-3
"""mm3 per 1e-12 m3."""


@dataclass(frozen=True)
class StepRule:
    """How time is cut: the first step, its growth, and the longest while fluid flows in and after."""

    first_share: float = 1 / 100
    growth: float = 1.3
    injection_share: float = 1 / 20
    after_growth: float = 1.4
    after_longest_s: float = 90.0
    tolerance: float = 3e-3


class Kept(NamedTuple):
    """Per cell: highest part, its time integral (s); per threshold seconds above, arrival (s, inf: never)."""

    peak: Array
    dose: Array
    above: Array
    arrival: Array


@dataclass(frozen=True)
class Trace:
    """One value a step. Volumes are of injected mixture, mm3; pressure in Pa.

    ``agent`` holds the terms of the agent's balance: mobile, still, taken by blood, leaked, crossed.
    """

    time_s: NDArray[np.float64]
    injected_mm3: NDArray[np.float64]
    highest_pressure_pa: NDArray[np.float64]
    agent_mm3: dict[str, NDArray[np.float64]]
    volume_above_mm3: NDArray[np.float64]
    substeps: NDArray[np.int64]
    iterations: NDArray[np.int64]


@dataclass(frozen=True)
class Spread:
    """The answer: fields per cell (parts of the injected concentration) and both balances."""

    part: NDArray[np.float32]
    still: NDArray[np.float32]
    peak: NDArray[np.float32]
    dose_s: NDArray[np.float32]
    above_s: NDArray[np.float32]
    arrival_s: NDArray[np.float32]
    pressure_pa: NDArray[np.float32]
    trace: Trace
    volume_error: float
    mass_error: float
    elapsed_s: float
    bounds: tuple[float, float] = field(default=(0.0, 1.0))


class _Masses(NamedTuple):
    mobile: float
    still: float
    blood: float
    leaked: float
    crossed: float

    def total(self) -> float:
        return sum(self)


def steps_of(problem: Infusion, rule: StepRule) -> list[tuple[float, float]]:
    """Start and length of every step; starts and ends of injections are step boundaries."""
    marks = sorted(
        {0.0, problem.total_s, *[s.start_s for s in problem.sources], *[s.end_s for s in problem.sources]}
    )
    found: list[tuple[float, float]] = []
    for begin, end in pairwise(marks):
        flowing = any(s.start_s < end and s.end_s > begin for s in problem.sources)
        longest = rule.injection_share * (end - begin) if flowing else rule.after_longest_s
        growth = rule.growth if flowing else rule.after_growth
        step, now = (rule.first_share * (end - begin) if flowing else min(1.0, end - begin)), begin
        lengths = []
        while now < end - 1e-9:
            lengths.append(min(step, longest))
            now += lengths[-1]
            step *= growth
        scale = (end - begin) / sum(lengths)
        now = begin
        for length in lengths:
            found.append((now, length * scale))
            now += length * scale
    return found


def run_infusion(
    problem: Infusion,
    *,
    rule: StepRule | None = None,
    progress: Callable[[float, str], None] = lambda fraction, message: None,
) -> Spread:
    """Solve the injection.

    Raises:
        SolverError: the pressure does not converge, or the flow is too fast for the grid.
    """
    rule = rule or StepRule()
    began = time.perf_counter()
    arrays = flow_arrays(problem)
    book = _Book.open(problem, arrays)
    steps = steps_of(problem, rule)
    for number, (now, length) in enumerate(steps):
        progress(number / len(steps), "spread of the agent")
        book.step(now, length, rule)
    return book.close(time.perf_counter() - began)


@dataclass
class _Book:
    """The state of a run and its accounts."""

    problem: Infusion
    arrays: FlowArrays
    state: Carried
    still: Array
    pressure: Array
    kept: Kept
    spread_links: tuple[Array, ...]
    lowest: float = 0.0
    highest: float = 0.0
    injected: float = 0.0
    drained: float = 0.0
    masses: _Masses = field(default_factory=lambda: _Masses(0, 0, 0, 0, 0))
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def open(cls, problem: Infusion, arrays: FlowArrays) -> _Book:
        zeros = jnp.zeros(problem.grid.shape, jnp.float32)
        count = len(problem.thresholds)
        kept = Kept(zeros, zeros, jnp.zeros((count, *zeros.shape), jnp.float32),
                    jnp.full((count, *zeros.shape), jnp.inf, jnp.float32))  # fmt: skip
        return cls(problem, arrays, Carried(arrays.pores, zeros), zeros, zeros, kept, _spread_links(problem))

    def step(self, now: float, length: float, rule: StepRule) -> None:
        """One pressure step with its transport, uptake and accounts."""
        source, flowing = _source_field(self.problem, now, length)
        flow = self._solve(source, now, length, rule.tolerance * (1.0 if flowing else self._slack), flowing)
        stream = Stream(flow.flux, flow.leak, source, self.spread_links, flow.pressure)
        moved, gone, count = advance(self.state, stream, length)
        self.state = Carried(jnp.asarray(moved.pores), jnp.asarray(moved.part))
        self._take_up(length, gone)
        self.pressure = flow.pressure
        self._account(now + length, length, flow, source, count)

    def _solve(self, source: Array, now: float, length: float, tolerance: float, flowing: bool) -> Flow:
        """Pressure and fluxes, solved more closely where what is left over would empty a cell's pores."""
        share = jnp.float32(self.problem.rest_share)
        eased = jnp.float32(1.0) if flowing else share
        for finer in (1.0, 0.1, 0.01, 0.001):
            flow: Flow = solve_flow(
                self.arrays, self.state.part, self.state.pores, self.pressure, source, jnp.float32(length),
                jnp.float32(finer * tolerance), eased, share,
            )  # fmt: skip
            residual = float(flow.residual)
            if not np.isfinite(residual) or residual > 100 * finer * tolerance:
                break
            if float(_least_room(self.arrays, self.state.pores, flow, source, length)) > LEAST_ROOM:
                return flow
        raise SolverError(
            "the pressure does not converge", where=f"infusion, {now:.1f} s", found=float(flow.residual)
        )

    @property
    def _slack(self) -> float:
        """How much coarser the pressure may be once nothing flows in: only gravity then moves anything."""
        return 50.0 if any(self.problem.gravity) else 100.0

    def _take_up(self, length: float, gone: Gone) -> None:
        medium, fluid = self._uptake_arrays
        part, still, blood = _exchange(
            self.state, self.still, medium, jnp.float32(fluid), jnp.float32(length)
        )
        self.state, self.still = Carried(self.state.pores, part), still
        self.kept = _keep(
            self.kept, part, jnp.float32(length), jnp.float32(self._clock + length),
            jnp.asarray(self.problem.thresholds, jnp.float32),
        )  # fmt: skip
        self._clock += length
        self.masses = self.masses._replace(
            blood=self.masses.blood + float(blood),
            leaked=self.masses.leaked + gone.leaked,
            crossed=self.masses.crossed + gone.crossed,
        )

    _clock: float = 0.0

    @cached_property
    def _uptake_arrays(self) -> tuple[tuple[Array, Array], float]:
        """Room of the still water and blood flow per cell (1e-12 m3, 1e-12 m3/s)."""
        medium, volumes = self.problem.medium, self.problem.grid.volumes
        still = np.where(medium.open, np.maximum(medium.water - medium.porosity, 0), 0) * volumes
        blood = np.where(medium.open, medium.perfusion, 0) * volumes
        arrays = (jnp.asarray(SCALE * still, jnp.float32), jnp.asarray(SCALE * blood, jnp.float32))
        return arrays, self.problem.fluid.exchange_per_s

    def _account(self, now: float, length: float, flow: Any, source: Array, count: int) -> None:
        part, pores = self.state.part, self.state.pores
        still_room = self._uptake_arrays[0][0]
        self.injected += length * float(jnp.sum(source, dtype=jnp.float64))
        self.drained += length * float(
            jnp.sum(flow.leak, dtype=jnp.float64) + jnp.sum(outflow(flow.flux), dtype=jnp.float64)
        )
        self.masses = self.masses._replace(
            mobile=float(jnp.sum(pores * part, dtype=jnp.float64)),
            still=float(jnp.sum(still_room * self.still, dtype=jnp.float64)),
        )
        self.lowest = min(self.lowest, float(part.min()))
        self.highest = max(self.highest, float(part.max()))
        self.rows.append(
            {
                "time_s": now,
                "injected": self.injected,
                "pressure": float(flow.pressure.max()),
                "masses": self.masses,
                "above": _volume_above(part, self._volumes, self.problem.thresholds),
                "substeps": count,
                "iterations": int(flow.iterations),
            }
        )

    @cached_property
    def _volumes(self) -> Array:
        """Volume of open cells, 1e-12 m3."""
        return jnp.asarray(SCALE * self.problem.grid.volumes * self.problem.medium.open, jnp.float32)

    def close(self, elapsed_s: float) -> Spread:
        """Balances and fields as plain arrays."""
        held = float(jnp.sum(self.state.pores.astype(jnp.float64) - self.arrays.pores.astype(jnp.float64)))
        volume_error = abs(self.injected - self.drained - held) / self.injected
        mass_error = abs(self.injected - self.masses.total()) / self.injected
        return Spread(
            part=np.asarray(self.state.part),
            still=np.asarray(self.still),
            peak=np.asarray(self.kept.peak),
            dose_s=np.asarray(self.kept.dose),
            above_s=np.asarray(self.kept.above),
            arrival_s=np.asarray(self.kept.arrival),
            pressure_pa=np.asarray(self.pressure),
            trace=_trace(self.rows),
            volume_error=volume_error,
            mass_error=mass_error,
            elapsed_s=elapsed_s,
            bounds=(self.lowest, self.highest),
        )


def _spread_links(problem: Infusion) -> tuple[Array, ...]:
    """Diffusive conductance of all faces, 1e-12 m3/s: porosity times diffusivity over distance; 0 outside."""
    medium = problem.medium
    free = np.where(medium.open, medium.porosity * medium.diffusivity, 0.0)
    along = [free] * free.ndim
    found = []
    for axis in range(free.ndim):
        ends = [(1, 1) if k == axis else (0, 0) for k in range(free.ndim)]
        found.append(np.pad(SCALE * links(problem.grid, along, axis), ends).astype(np.float32))
    return tuple(found)


def _source_field(problem: Infusion, now: float, length: float) -> tuple[Array, bool]:
    """Inflow per cell over a step (1e-12 m3/s), and whether there is any."""
    field_ = np.zeros(problem.grid.shape)
    middle = now + 0.5 * length
    flowing = False
    for source in problem.sources:
        if source.start_s <= middle < source.end_s:
            np.add.at(field_, tuple(source.cells.T), SCALE * source.rate_m3_per_s * source.shares)
            flowing = True
    return jnp.asarray(field_, jnp.float32), flowing


@jax.jit  # type: ignore[untyped-decorator]
def _least_room(arrays: FlowArrays, pores: Array, flow: Flow, source: Array, length: float) -> Array:
    """Smallest pore volume after a step, part of the one at rest, among cells that fluid can enter."""
    after = pores + length * (source - outflow(flow.flux) - flow.leak)
    return jnp.min(jnp.where(arrays.wall | (arrays.pores <= 0), jnp.inf, after / arrays.pores))


@jax.jit  # type: ignore[untyped-decorator]
def _exchange(
    state: Carried, still: Array, medium: tuple[Array, Array], rate: Array, dt: Array
) -> tuple[Array, Array, Array]:
    """Still water and blood take agent up; both implicit, so that nothing overshoots."""
    room, perfusion = medium
    moving = rate * dt / (1.0 + rate * dt)
    mixed = (state.pores * state.part + moving * room * still) / (state.pores + moving * room)
    part = jnp.where(room > 0, mixed, state.part)
    still = still + moving * (part - still)
    taken = dt * perfusion
    left = state.pores * part / (state.pores + taken)
    blood = jnp.sum(taken * left, dtype=jnp.float64)
    return left, still, blood


@jax.jit  # type: ignore[untyped-decorator]
def _keep(kept: Kept, part: Array, dt: Array, now: Array, thresholds: Array) -> Kept:
    above = part[None] >= thresholds.reshape((-1, *(1,) * part.ndim))
    return Kept(
        jnp.maximum(kept.peak, part),
        kept.dose + dt * part,
        kept.above + dt * above,
        jnp.where(above & jnp.isinf(kept.arrival), now, kept.arrival),
    )


def _volume_above(part: Array, volumes: Array, thresholds: Sequence[float]) -> list[float]:
    """Tissue volume at or above each threshold now, 1e-12 m3."""
    return [float(jnp.sum(jnp.where(part >= t, volumes, 0.0), dtype=jnp.float64)) for t in thresholds]


def _trace(rows: list[dict[str, Any]]) -> Trace:
    def column(name: str) -> NDArray[np.float64]:
        return np.array([row[name] for row in rows], dtype=float)

    return Trace(
        time_s=column("time_s"),
        injected_mm3=CUBIC_MM * column("injected"),
        highest_pressure_pa=column("pressure"),
        agent_mm3={
            name: CUBIC_MM * np.array([getattr(row["masses"], name) for row in rows])
            for name in _Masses._fields
        },
        volume_above_mm3=CUBIC_MM * np.array([row["above"] for row in rows]),
        substeps=column("substeps").astype(int),
        iterations=column("iterations").astype(int),
    )
