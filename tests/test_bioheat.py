"""Heat: exact solutions of Pennes' equation, orders of convergence, boiling, metal."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from neurolysis.physics import bioheat
from neurolysis.physics.cells import end_faces
from neurolysis.physics.grid import Axis, graded_faces
from neurolysis.physics.potential import steam_fraction
from neurolysis.physics.rods import Rod
from neurolysis.physics.schedule import OFF, Phase, make_steps

from .simple_problems import (
    BODY_C,
    at_face,
    box,
    control,
    double,
    half_space,
    insulated,
    march,
    order,
    steady,
)

K, CAPACITY, LENGTH = 0.5, 4e6, 0.02
WAVES = (1, 2, 1)


def cosines(grid):
    """A cosine along each axis, no slope on the walls of the box (0, LENGTH)^3."""
    centres = grid.centres()
    parts = [np.cos(n * np.pi * centres[..., a] / LENGTH) for a, n in enumerate(WAVES)]
    return parts[0] * parts[1] * parts[2]


def uneven(cells):
    """Faces whose widths vary smoothly by a factor of seven."""
    u = np.linspace(0, 1, cells + 1)
    return LENGTH * (u + 0.12 * np.sin(2 * np.pi * u))


# --- exact solutions ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def decaying():
    """A perfused box with insulated walls, its cosine, and the rate at which the discrete mode decays."""
    faces = np.linspace(0, LENGTH, 13)
    problem, grid = box(faces, faces, faces, perfusion=2e3)
    h = LENGTH / 12
    wave = sum((2 - 2 * np.cos(n * np.pi * h / LENGTH)) / h**2 for n in WAVES)
    return double(insulated(problem)), cosines(grid), (K * wave + 2e3) / CAPACITY


def test_second_order_in_time_with_a_restart_on_the_way(decaying):
    """On even cells the cosine is an exact mode: what is left is the error of the steps alone.

    A breakpoint in the middle: the scheme begins twice with backward Euler, and the order survives it.
    """
    problem, mode, rate = decaying
    sizes, errors = (2.0, 1.0, 0.5, 0.25), []
    for step in sizes:
        twice = double(make_steps((Phase(20.0, OFF, 0.0, 0.0), Phase(20.0, OFF, 0.0, 0.0)), step))
        found = march(problem, 10 * mode, twice).temperature
        errors.append(np.abs(found - 10 * mode * np.exp(-rate * 40.0)).max() / (10 * np.exp(-rate * 40.0)))
    assert errors[1] < 1e-4
    assert order(errors, sizes) > 1.8


@pytest.mark.parametrize("faces", [lambda n: np.linspace(0, LENGTH, n + 1), uneven])
def test_second_order_in_space_on_even_and_on_graded_cells(faces):
    """Heated by a cosine: T = q / (k wave^2 + perfusion), steady."""
    sizes, errors = (16, 32), []
    exact = 1e5 / (K * sum((n * np.pi / LENGTH) ** 2 for n in WAVES) + 2e3)
    for cells in sizes:
        axis = Axis(faces(cells))
        centres = [np.cos(n * np.pi * axis.centres / LENGTH) for n in WAVES]
        mode = centres[0][:, None, None] * centres[1][None, :, None] * centres[2][None, None, :]
        problem, grid = box(axis, axis, axis, perfusion=2e3, metabolic=1e5 * mode)
        error = steady(double(insulated(problem))).rise / exact - mode
        errors.append(np.sqrt((error**2 * grid.volumes).sum() / (mode**2 * grid.volumes).sum()))
    assert errors[1] < 0.01
    assert np.log2(errors[0] / errors[1]) > 1.9


def test_a_warm_spot_spreads_and_is_washed_away_as_the_exact_solution_says():
    """Row A1: a Gaussian in endless perfused tissue stays one; graded grid, single precision, 0.3 mm."""
    faces = graded_faces([0.0], -0.03, 0.03, finest=3e-4, growth=1.15, coarsest=4e-3, centred=True)
    problem, grid = box(faces, faces, faces, perfusion=2.7e3)
    spread, alpha, washout, seconds = 2e-3, K / CAPACITY, 2.7e3 / CAPACITY, 60.0
    square = (grid.centres() ** 2).sum(axis=-1)

    def exact(time):
        wide = spread**2 + 2 * alpha * time
        return 40 * np.exp(-washout * time) * (spread**2 / wide) ** 1.5 * np.exp(-0.5 * square / wide)

    steps = make_steps((Phase(seconds, OFF, 0.0, 0.0),), 1.0)
    found = march(problem, exact(0.0), steps, tolerance=1e-5).temperature
    assert np.abs(found - exact(seconds)).max() < 0.01 * exact(seconds).max()
    # Nothing in the box makes or takes heat but perfusion.
    ratio = (found * grid.volumes).sum() / (exact(0.0) * grid.volumes).sum()
    assert ratio == pytest.approx(np.exp(-washout * seconds), rel=2e-3)


def test_two_layers_one_of_them_perfused():
    """37 C below, 47 C above: linear in the dry layer, sinh / cosh in the perfused one, flux continuous."""
    z, x = np.linspace(0, 20e-3, 81), np.linspace(0, 2e-3, 3)
    dry = 0.5 * (z[1:] + z[:-1]) < 10e-3
    k, sink = np.where(dry, 0.2, 0.6), np.where(dry, 0.0, 2e4)
    shape = (2, 2, 80)
    problem, grid = box(
        x, x, z, thermal_conductivity=np.broadcast_to(k, shape), perfusion=np.broadcast_to(sink, shape)
    )
    edge, warm = np.zeros(grid.shape), np.zeros(grid.shape)
    for axis, sign, conductance, _ in end_faces(grid):
        if axis == 2:
            edge[..., 0 if sign < 0 else -1] = conductance * (0.2 if sign < 0 else 0.6)
    warm[..., -1] = 10.0
    problem = double(problem)._replace(heat_ground=edge, heat_ground_k=warm, needle_end=0 * edge)
    found = steady(problem).rise[1, 1]
    m, d = np.sqrt(2e4 / 0.6), 10e-3
    # Dry: g z. Perfused: g d cosh(m s) + (0.2 g / (0.6 m)) sinh(m s), s = z - d, 10 K at s = d.
    slope = 10.0 / (d * np.cosh(m * d) + 0.2 / (0.6 * m) * np.sinh(m * d))
    s = grid.axes[2].centres - d
    wet = slope * d * np.cosh(m * s) + 0.2 * slope / (0.6 * m) * np.sinh(m * s)
    np.testing.assert_allclose(found, np.where(dry, slope * grid.axes[2].centres, wet), atol=0.01)


def test_tissue_against_air_loses_heat_through_its_film():
    """Body temperature below, air at 22 C above: conduction and film in series, exact on any cells."""
    z, x = np.linspace(0, 12e-3, 7), np.linspace(0, 2e-3, 3)
    inside = np.broadcast_to(np.arange(6) < 5, (2, 2, 6))
    problem, grid = box(x, x, z, domain=inside)
    # Walls are set by hand: held below, nothing sideways; what else the cells below the air lose is film.
    edge, walls = np.zeros(grid.shape), np.zeros(grid.shape)
    for axis, sign, conductance, _ in end_faces(grid):
        at = [slice(None)] * 3
        at[axis] = 0 if sign < 0 else -1
        (edge if axis == 2 and sign < 0 else walls)[tuple(at)] += conductance * K
    edge[..., 4] = (problem.heat_ground - walls)[..., 4]
    air = np.zeros(grid.shape)
    air[..., 4] = 22.0 - BODY_C
    found = steady(double(problem)._replace(heat_ground=edge, heat_ground_k=air)).rise[0, 0, :5]
    flux = (22.0 - BODY_C) / (10e-3 / K + 1 / 10.0)
    np.testing.assert_allclose(found, flux / K * grid.axes[2].centres[:5], rtol=1e-4)


# --- a heated sphere ------------------------------------------------------------------------------

RADIUS = 1e-3
BALL = Rod(np.array([[0, 0, 0], [0, 0, 5e-3]]), RADIUS, (0.0, 1.0))
"""Its lower half, the only part below z = 0, is half a sphere."""


def ball_in(exact, finest, **rest):
    """Problem, radii of cell centres, and which cells are tissue; ``exact`` holds on the outer faces."""
    problem, grid = half_space(BALL, [-RADIUS, 0.0], finest, **rest)
    warm, total = np.zeros(grid.shape), np.zeros(grid.shape)
    for axis, sign, conductance, points in end_faces(grid):
        if axis == 1 and sign == 1:
            continue
        at = at_face(axis, sign)
        warm[at] += conductance * exact(np.linalg.norm(points, axis=-1))
        total[at] += conductance
    problem = problem._replace(heat_ground_k=warm / np.where(total > 0, total, 1.0))
    return problem, np.linalg.norm(grid.centres(), axis=-1), problem.free > 0


def test_a_sphere_heated_by_its_own_current():
    """Row A8 with an adiabatic electrode: (sigma V^2 / 2k) (2 a/r - (a/r)^2), the metal at the top of it."""
    volts = 5.0
    top = 0.4 * volts**2 / (2 * K)

    def exact(r):
        return top * (2 * RADIUS / r - (RADIUS / r) ** 2)

    sizes, errors = (2e-4, 5e-5), []
    for finest in sizes:
        problem, r, in_tissue = ball_in(exact, finest)
        found = steady(problem, volts=volts)
        assert found.conductance == pytest.approx(2 * np.pi * 0.4 * RADIUS, rel=1e-3)
        np.testing.assert_allclose(found.potential[in_tissue], (RADIUS / r)[in_tissue], atol=4e-3)
        np.testing.assert_allclose(found.rise[~in_tissue], top, rtol=2e-3)
        errors.append(np.abs(found.rise - exact(r))[in_tissue].max() / top)
    assert errors[0] < 4e-3
    assert errors[1] < 6e-4
    assert order(errors, sizes) > 1.4


def test_a_hot_sphere_in_perfused_tissue():
    """Row A8, conduction only: T_a (a/r) exp(-(r - a) / lambda)."""
    reach = np.sqrt(K / 2e4)

    def exact(r):
        return 10 * RADIUS / r * np.exp(-(r - RADIUS) / reach)

    problem, r, in_tissue = ball_in(exact, 2e-4, perfusion=2e4)
    # The metal is held by a coolant far stronger than the tissue.
    problem = problem._replace(coolant=np.where(in_tissue, 0.0, 1e3), coolant_k=10.0)
    found = steady(problem).rise
    away = in_tissue & (r > 1.5 * RADIUS)
    # Metal and tissue share cells at the surface: first order there, about 1 % in the heat given off.
    np.testing.assert_allclose(found[away], exact(r[away]), atol=0.06)
    share = found / exact(r)
    shell = [share[(r > a) & (r < a + 1e-3)].mean() for a in (2e-3, 4e-3, 8e-3)]
    np.testing.assert_allclose(shell, shell[0], rtol=3e-3)


@pytest.mark.parametrize("shaft", [0.0, 6e-3])
def test_temperature_follows_potential_whatever_the_shape(shaft):
    """Row A7: rise / top = 1 - (1 - u)^2, top = sigma V0^2 / 2k, at every point of the tissue.

    Shape: a bare capsule, or one with an insulated stretch in its middle that lets no heat through
    either. The tip's metal conducts and is at the top everywhere.
    """
    radius, tip = 0.5e-3, 4e-3
    end = tip + shaft
    bare = Rod(np.array([[0, 0, radius - end], [0, 0, -shaft]]), radius, (0.0, tip))
    rods = (bare, Rod(np.array([[0, 0, -shaft], [0, 0, 9e-3]]), radius, (-1.0, -0.5), conductivity=1e-7))
    if not shaft:
        rods = (Rod(np.array([[0, 0, radius - end], [0, 0, 9e-3]]), radius, (0.0, 1.0)),)
    scale = {"finest": 1e-4, "growth": 1.1, "coarsest": 1e-3}
    r = Axis(graded_faces([0.0, radius], 0.0, 30e-3, **scale), radial=True)
    z = Axis(graded_faces([-end, -shaft], -30e-3, 0.0, **scale))
    problem, grid = box(r, z, rods=rods, electric="grounded")
    problem = double(problem)
    ground, edge = problem.ground.copy(), problem.heat_ground.copy()
    for axis, sign, conductance, _ in end_faces(grid):
        if axis == 1 and sign == 1:
            ground[:, -1] -= conductance * problem.free[:, -1]
            edge[:, -1] -= conductance * K * (problem.free[:, -1])
    edge[problem.free == 0] = 0.0
    problem = problem._replace(
        ground=np.maximum(ground, 0), heat_ground=np.maximum(edge, 0), needle_end=0 * edge
    )
    volts = 9.0
    top = 0.4 * volts**2 / (2 * K)
    found = steady(problem, volts=volts, tolerance=1e-12)
    centres = grid.centres()
    surface, arc, _ = rods[0].foot(centres)
    tissue = (problem.free > 0) & (surface > 0.3e-3)
    error = found.rise / top - (1 - (1 - found.potential) ** 2)
    assert np.abs(error[tissue]).max() < 0.02
    metal = (problem.free == 0) & (surface < 0) & (arc < tip - 2 * radius)
    np.testing.assert_allclose(found.rise[metal], top, rtol=0.02)


# --- boiling --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def water():
    """One insulated cell, doubled: 4 MJ/m3 K, boiling over 2 K at 100 C with 400 MJ/m3."""
    faces = np.linspace(0, 1e-2, 3)
    problem, _ = box(faces, faces, faces, latent=4e8, control=control(boil_c=100.0, boil_width_c=2.0))
    return jax.tree.map(jnp.asarray, double(insulated(problem)))


def test_enthalpy_rises_by_the_latent_heat_across_boiling(water):
    rises = [61.0, 62.0, 63.0, 64.0, 65.0]
    heat = [float(bioheat.enthalpy(water, jnp.full((2, 2, 2), r))[0, 0, 0]) for r in rises]
    volume = 1.25e-7
    np.testing.assert_allclose(
        np.diff(heat), volume * np.array([CAPACITY, CAPACITY + 2e8, CAPACITY + 2e8, CAPACITY]), rtol=1e-9
    )
    assert float(steam_fraction(water, jnp.full((2, 2, 2), 63.0))[0, 0, 0]) == pytest.approx(0.5)


@pytest.mark.parametrize("joules", [20.0, 60.0, 300.0, 600.0])
def test_one_implicit_step_lands_on_the_enthalpy_curve(water, joules):
    """Heat put in = heat content gained, whether the step ends below, in or above boiling."""
    zero = jnp.zeros((2, 2, 2))
    begin = jnp.full((2, 2, 2), 50.0)
    heat = bioheat.heat_operator(water, water.materials.perfusion, 1.0)
    content = bioheat.enthalpy(water, begin)
    source = jnp.full((2, 2, 2), joules / 8)

    def fixed(_sensed, _per_v2):
        return jnp.asarray(1.0)

    step = jax.jit(bioheat.step_temperature, static_argnums=(5, 8))
    found = step(water, heat, content, source, begin, fixed, zero, 1e-12, True)
    gained = bioheat.enthalpy(water, found.temperature) - content
    np.testing.assert_allclose(np.asarray(gained).sum(), joules, rtol=1e-4)
    # From 87 C: 48 J to boiling, then 408 J until the water is gone.
    rise = 50.0 + joules / 4 if joules < 48 else 62.0 + (joules - 48) / 204
    rise = 64.0 + (joules - 456) / 4 if joules > 456 else rise
    np.testing.assert_allclose(found.temperature, rise, rtol=1e-4)
