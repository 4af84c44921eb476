"""Pressure-driven flow of one step: Darcy's law with storage, leak, gravity and walls, on JAX.

``storage V dp/dt + div(T grad p) + leak V p = source``, backward Euler, with the pressure in excess of the
still tissue fluid's. Face conductances T hold permeability over the viscosity of the mixture there. Flow
out of a cell is positive; what the solver leaves over is carried in the pore volume, so that fluxes, pores
and concentration always agree.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from neurolysis.physics.backend import load_jax
from neurolysis.physics.linear import apply_operator, conjugate_gradients
from neurolysis.physics.multigrid import build_levels, cycle
from neurolysis.physics.pockets import Pockets, find_pockets, with_pockets
from neurolysis.physics.porous import Infusion, end_links, links

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
LIMIT = 400
SCALE = 1e12
"""Flows are solved in units of 1e-12 m3/s, so that single precision does not underflow."""


class FlowArrays(NamedTuple):
    """What the pressure solver needs of a problem, as arrays in single precision.

    ``inner``: per axis, conductance of inner faces for a viscosity of 1 Pa s, 1e-12 m3 (times SCALE);
    ``ends``: the same of the box's low and high faces, grid-shaped without that axis;
    ``fall``: per axis, gravity times the distance between cell centres at inner faces, m2/s2;
    ``pockets``: groups of cells whose level the multigrid cycle alone would find slowly.
    """

    inner: tuple[Array, ...]
    ends: tuple[tuple[Array, Array], ...]
    fall: tuple[Array, ...]
    pockets: Pockets | None
    storage: Array
    leak: Array
    wall: Array
    pores: Array
    viscosity: Array
    density: Array


def flow_arrays(problem: Infusion) -> FlowArrays:
    """Arrays of a problem; conductances hold geometry, permeability and face factors."""
    grid, medium = problem.grid, problem.medium
    along = [np.where(medium.open, k, 0.0) for k in medium.permeability]
    factors = medium.faces or tuple(np.ones(1) for _ in along)
    axes = range(len(along))
    inner = tuple(_single(SCALE * links(grid, along, a) * factors[a]) for a in axes)
    open_end = 0.0 if problem.sealed else SCALE
    ends = tuple(
        (
            _single(open_end * end_links(grid, along, a, 0)),
            _single(open_end * end_links(grid, along, a, -1)),
        )
        for a in axes
    )
    gravity = problem.gravity or (0.0,) * len(along)
    fall = tuple(_single(_fall(grid.axes[a].centres, gravity[a], a, len(along))) for a in axes)
    volumes = grid.volumes
    return FlowArrays(
        inner=inner,
        ends=ends,
        fall=fall,
        pockets=find_pockets(inner),
        storage=_single(SCALE * medium.storage * volumes),
        leak=_single(SCALE * medium.leak * volumes * medium.open),
        wall=jnp.asarray(~medium.open),
        pores=_single(SCALE * medium.porosity * volumes),
        viscosity=_single(problem.fluid.viscosity),
        density=_single(problem.fluid.density),
    )


def _single(x: Any) -> Array:
    return jnp.asarray(x, jnp.float32)


def _fall(centres: np.ndarray, gravity: float, axis: int, ndim: int) -> np.ndarray:
    return (gravity * np.diff(centres)).reshape([-1 if k == axis else 1 for k in range(ndim)])


def look_up(table: Array, part: Array) -> Array:
    """Values of an evenly spaced table over 0 to 1, linear between its points."""
    last = table.shape[0] - 1
    place = jnp.clip(part, 0.0, 1.0) * last
    low = jnp.minimum(place.astype(jnp.int32), last - 1)
    share = place - low
    return table[low] * (1 - share) + table[low + 1] * share


def _pair(x: Array, axis: int) -> tuple[Array, Array]:
    count = x.shape[axis]
    return (
        jax.lax.slice_in_dim(x, 0, count - 1, axis=axis),
        jax.lax.slice_in_dim(x, 1, count, axis=axis),
    )


class Flow(NamedTuple):
    """Pressure (Pa), flux through every face (n + 1 along its axis), leak, all 1e-12 m3/s, and iterations."""

    pressure: Array
    flux: tuple[Array, ...]
    leak: Array
    iterations: Array
    residual: Array


@jax.jit  # type: ignore[untyped-decorator]
def solve_flow(
    a: FlowArrays, part: Array, pores: Array, pressure: Array, source: Array, dt: Array, tolerance: Array,
    eased: Array, rest: Array,
) -> Flow:  # fmt: skip
    """Pressure and fluxes at the end of a step.

    Args:
        part: concentration, part of the injected one; pores: fluid volume of each cell, 1e-12 m3.
        pressure: of the last step, where the search begins; source: 1e-12 m3/s per cell.
        eased: share of the permeability that pressure meets now; rest: share that weight meets, always.
    """
    thickness = look_up(a.viscosity, part)
    heavy = look_up(a.density, part) - a.density[0]
    inner, pull = [], []
    for axis, link in enumerate(a.inner):
        low, high = _pair(thickness, axis)
        light, dense = _pair(heavy, axis)
        conductance = 2.0 * link / (low + high)
        inner.append(eased * conductance)
        pull.append(rest * conductance * 0.5 * (light + dense) * a.fall[axis])
    ends = [
        (eased * lo / jnp.take(thickness, 0, axis=k), eased * hi / jnp.take(thickness, -1, axis=k))
        for k, (lo, hi) in enumerate(a.ends)
    ]
    extra = a.storage / dt + a.leak
    for axis, (lo, hi) in enumerate(ends):
        extra = _add_at(_add_at(extra, lo, axis, 0), hi, axis, -1)
    extra = jnp.where(a.wall, 0.0, extra)
    rhs = source + _stored(a, pores, dt)
    for axis, flow in enumerate(pull):
        width = [(1, 1) if k == axis else (0, 0) for k in range(flow.ndim)]
        low, high = _pair(jnp.pad(flow, width), axis)
        rhs = rhs + low - high
    rhs = jnp.where(a.wall, 0.0, rhs)
    levels = jax.lax.optimization_barrier(build_levels(tuple(inner), extra))
    found, count, rest = conjugate_gradients(
        partial(apply_operator, levels[0].diagonal, levels[0].padded),
        with_pockets(a.pockets, tuple(inner), extra, partial(cycle, levels)),
        rhs,
        pressure,
        tolerance,
        LIMIT,
        energy=True,
    )
    found = jnp.where(a.wall, 0.0, found)
    flux = []
    for axis, link in enumerate(inner):
        low, high = _pair(found, axis)
        middle = link * (low - high) + pull[axis]
        first = -ends[axis][0] * jnp.take(found, 0, axis=axis)
        last = ends[axis][1] * jnp.take(found, -1, axis=axis)
        flux.append(
            jnp.concatenate([jnp.expand_dims(first, axis), middle, jnp.expand_dims(last, axis)], axis=axis)
        )
    return Flow(found, tuple(flux), a.leak * found, count, rest)


def _stored(a: FlowArrays, pores: Array, dt: Array) -> Array:
    """What the pores already hold beyond their rest volume, per second of the step."""
    return (pores - a.pores) / dt


def _add_at(x: Array, values: Array, axis: int, end: int) -> Array:
    index: list[Any] = [slice(None)] * x.ndim
    index[axis] = end
    return x.at[tuple(index)].add(values)


def outflow(flux: tuple[Array, ...]) -> Array:
    """Net flow out of every cell, grid-shaped."""
    total = 0.0
    for axis, flow in enumerate(flux):
        low, high = _pair(flow, axis)
        total = total + high - low
    return total
