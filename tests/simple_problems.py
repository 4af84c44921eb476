"""Small problems with known answers, put together from the solver's own parts."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from neurolysis.physics.assemble import assemble
from neurolysis.physics.bioheat import heat_operator, solve_heat
from neurolysis.physics.cells import end_faces
from neurolysis.physics.grid import Axis, TensorGrid, graded_faces
from neurolysis.physics.potential import conductivity, solve_potential
from neurolysis.physics.problem import Damage, Limits, Problem, Steps
from neurolysis.physics.rods import Rod
from neurolysis.physics.schedule import OFF, Phase, make_steps
from neurolysis.physics.setup import Boundary, Control, Tissue
from neurolysis.physics.treatment import CHUNK, State, initial_state, pad_steps, run_chunk

BODY_C = 37.0
FREE = Limits(1e9, 1e9, 1e9, 0.0, 1e9, 0.0)
BENCH_DAMAGE = Damage(float(np.log(7.39e39)), 2.577e5 / 8.314, -np.inf)
NO_NEEDLE = (Rod(np.array([[9.0, 9.0, 9.0], [9.0, 9.0, 9.5]]), 1e-3, (0.0, 0.01)),)
"""A rod nine metres away: the box holds tissue only."""


def tissue(shape, **changes) -> Tissue:
    """One tissue everywhere, round numbers; changes are numbers or arrays of the grid's shape."""
    values = {
        "conductivity": 0.4,
        "slope": 0.0,
        "thermal_conductivity": 0.5,
        "heat_capacity": 4e6,
        "perfusion": 0.0,
        "metabolic": 0.0,
        "latent": 0.0,
        "perfusion_stops": False,
        "domain": True,
    }
    kinds = {"perfusion_stops": bool, "domain": bool}
    return Tissue(
        **{
            name: np.broadcast_to(np.asarray(value, kinds.get(name, float)), shape).copy()
            for name, value in {**values, **changes}.items()
        }
    )


def control(sensor=(0.0, 0.0, 0.0), **changes) -> Control:
    """One sensor, the damage pair of the reference case."""
    return Control(np.array([sensor]), changes.pop("damages", (BENCH_DAMAGE,)), **changes)


def box(
    *axes, rods=NO_NEEDLE, electric="grounded", centre=(0.0, 0.0, 0.0), **rest
) -> tuple[Problem, TensorGrid]:
    """Problem and grid of tissue in a box given by its faces (m)."""
    grid = TensorGrid(
        tuple(axis if isinstance(axis, Axis) else Axis(np.asarray(axis, float)) for axis in axes)
    )
    made = rest.pop("control", control())
    boundary = Boundary(electric, BODY_C, centre=centre)
    return assemble(grid, rods, tissue(grid.shape, **rest), boundary, made), grid


def half_space(rod: Rod, ends, finest: float, *, out: float = 20e-3, **rest) -> tuple[Problem, TensorGrid]:
    """Lower half of an electrode that is its own mirror image in z = 0, axisymmetric, in double precision.

    The plane of symmetry lets nothing through; the field goes on beyond the other faces. All cell
    sizes shrink with ``finest``, so that orders of convergence show.
    """
    scale = finest / 4e-4
    grading = {"finest": finest, "growth": 1 + 0.2 * scale, "coarsest": 2e-3 * scale}
    r = Axis(graded_faces([0.0, rod.radius], 0.0, out, **grading), radial=True)
    z = Axis(graded_faces(ends, -out, 0.0, **grading))
    problem, grid = box(r, z, rods=(rod,), electric="open", **rest)
    ground, edge = np.zeros(grid.shape), np.zeros(grid.shape)
    for axis, sign, conductance, points in end_faces(grid):
        if axis == 1 and sign == 1:
            continue
        at = at_face(axis, sign)
        section = np.take(np.broadcast_to(grid.cross_section(axis), grid.shape), 0, axis=axis)
        area = section * grid.axes[axis].face_weight[0 if sign < 0 else -1]
        normal = points[..., 2 * axis] * sign
        ground[at] += 1.0 / (1.0 / conductance + (points**2).sum(-1) / (normal * area))
        edge[at] += conductance * rest.get("thermal_conductivity", 0.5)
    wide = double(problem)
    return wide._replace(ground=ground * wide.free, heat_ground=edge, needle_end=0 * edge), grid


def at_face(axis: int, sign: int) -> tuple[Any, ...]:
    """Index of the cells of an (r, z) grid at one of its outer faces."""
    return tuple(slice(None) if n != axis else (0 if sign < 0 else -1) for n in range(2))


def insulated(problem: Problem) -> Problem:
    """No heat leaves through the outer faces."""
    none = np.zeros_like(problem.heat_ground)
    return problem._replace(heat_ground=none, needle_end=none)


def double(values: Any) -> Any:
    """Every single-precision array in double precision, so that rounding hides nothing."""

    def wide(x):
        return np.asarray(x, np.float64) if np.asarray(x).dtype == np.float32 else x

    return jax.tree.map(wide, values)


def march(
    problem: Problem, rise: Any, steps: Steps, *, limits: Limits = FREE, tolerance: float = 1e-10
) -> State:
    """The state (temperatures as rises, K) after steps that begin from a given rise."""
    device = jax.tree.map(jnp.asarray, problem)
    rise = jnp.asarray(rise, problem.volumes.dtype)
    state = initial_state(device)._replace(temperature=rise, before=rise, peak=rise)
    whole = pad_steps(steps)
    for start in range(0, len(whole.dt), CHUNK):
        part = Steps(*[jnp.asarray(x[start : start + CHUNK]) for x in whole])
        state, _ = run_chunk(device, limits, tolerance, state, part, vaporises=False)
    return jax.tree.map(np.asarray, state)


def power_off(duration_s: float, step_s: float) -> Steps:
    """Double-precision steps with the generator off."""
    return double(make_steps((Phase(duration_s, OFF, 0.0, 0.0),), step_s))


class Steady(NamedTuple):
    """Potential for 1 V, conductance (S) and the steady rise (K) at a given voltage."""

    potential: Any
    conductance: float
    rise: Any


@partial(jax.jit, static_argnames="with_potential")
def _steady(problem: Problem, volts: float, tolerance: float, with_potential: bool) -> Steady:
    zero = jnp.zeros_like(problem.volumes)
    potential, joule, conductance = zero, zero, jnp.zeros(())
    if with_potential:
        sigma = conductivity(problem, zero)
        potential, joule, conductance, _ = solve_potential(problem, sigma, zero, tolerance)
    # Not quite for ever: cells of air have nothing else on their diagonal.
    heat = heat_operator(problem, problem.materials.perfusion, 1e-12)
    rhs = problem.heat_free * (heat.constant + volts**2 * joule)
    rise, _, _ = solve_heat(problem, heat, zero, rhs, zero, tolerance)
    return Steady(potential, conductance, rise)


def steady(
    problem: Problem, *, volts: float = 0.0, with_potential: bool = False, tolerance: float = 1e-10
) -> Steady:
    """The steady state at a voltage, properties as at the start."""
    found = _steady(jax.tree.map(jnp.asarray, problem), volts, tolerance, with_potential or volts > 0)
    return jax.tree.map(np.asarray, found)


def order(errors, sizes) -> float:
    """Observed order: slope of log error against log size."""
    return float(np.polyfit(np.log(sizes), np.log(errors), 1)[0])
