"""Current: exact resistances, links cut at the needle's surface, the fast preconditioner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ellipk

from neurolysis.delivery.radiofrequency.geometry import build_grid
from neurolysis.physics import local_flux
from neurolysis.physics.assemble import assemble
from neurolysis.physics.cells import end_faces
from neurolysis.physics.fast_diagonal import axis_modes
from neurolysis.physics.grid import Axis, graded_faces
from neurolysis.physics.linear import apply_operator, fast_inverse, graph_laplacian
from neurolysis.physics.potential import conductivity, solve_potential, steam_fraction
from neurolysis.physics.rods import Rod, straight_rod
from neurolysis.physics.setup import Boundary
from neurolysis.plan import Numerics

from .simple_problems import box, control, double, order, tissue

SIGMA = 0.4
solve = jax.jit(solve_potential)


def potential(problem, tolerance=1e-10):
    """Potential for 1 V, Joule heat, conductance and iterations, properties as at the start."""
    device = jax.tree.map(jnp.asarray, problem)
    sigma = conductivity(device, jnp.zeros_like(device.volumes))
    u, joule, conductance, count = solve(device, sigma, device.held, tolerance)
    return np.asarray(u), np.asarray(joule), float(conductance), int(count)


# --- shapes whose resistance is known -------------------------------------------------------------


@dataclass(frozen=True)
class Spheroid(Rod):
    """A prolate spheroid, half its length ``half``, thickest in z = 0; no local solution is assumed."""

    half: float = 1e-3

    def foot(self, x):
        rho = np.hypot(x[..., 0], x[..., 1]) / self.radius
        distance = (np.hypot(rho, x[..., 2] / self.half) - 1) * self.radius
        return distance, np.zeros(x.shape[:-1]), x


def spheroid_resistance(p, b):
    """Row A9: semi-axes p > b, to infinity."""
    c = np.sqrt(p * p - b * b)
    return np.log((p + c) / (p - c)) / (8 * np.pi * SIGMA * c)


def in_open_space(rod, ends, finest, out=20e-3):
    """The electrode alone in a box whose faces continue the field to infinity, axisymmetric, double."""
    scale = finest / 4e-4
    grading = {"finest": finest, "growth": 1 + 0.15 * scale, "coarsest": 2e-3 * scale}
    r = Axis(graded_faces([0.0, rod.radius], 0.0, out, **grading), radial=True)
    z = Axis(graded_faces(ends, -out, out, **grading))
    problem, grid = box(r, z, rods=(rod,), electric="open", conductivity=SIGMA)
    return double(problem), grid


def test_a_prolate_spheroid_has_its_exact_resistance_and_the_error_falls_with_the_cells():
    rod = Spheroid(np.array([[0, 0, -1e-9], [0, 0, 1e-9]]), 0.8e-3, (0.0, 1.0), half=4e-3)
    exact = spheroid_resistance(4e-3, 0.8e-3)
    sizes, errors = (0.2e-3, 0.1e-3), []
    for finest in sizes:
        problem, _ = in_open_space(rod, [-4e-3, 4e-3], finest)
        errors.append(abs(1 / potential(problem)[2] / exact - 1))
    assert errors[0] < 0.006
    assert errors[1] < 0.002
    assert order(errors, sizes) > 1.5


def capsule_resistance(radius, length, panels=400):
    """A capsule by rings of charge on its surface (collocation with elliptic integrals), to infinity."""
    quarter = np.pi / 2 * radius
    total = 2 * quarter + length
    s = (np.arange(panels) + 0.5) * total / panels
    angle = np.where(s < quarter, s / radius, np.pi / 2)
    angle = np.where(s > quarter + length, np.pi / 2 + (s - quarter - length) / radius, angle)
    rho = radius * np.sin(angle)
    z = np.where(s < quarter, -length / 2 - radius * np.cos(angle), s - quarter - length / 2)
    z = np.where(s > quarter + length, length / 2 - radius * np.cos(angle), z)
    step = total / panels
    near = (rho[:, None] + rho[None, :]) ** 2 + (z[:, None] - z[None, :]) ** 2
    kernel = np.zeros((panels, panels))
    off = ~np.eye(panels, dtype=bool)
    modulus = np.where(off, 4 * rho[:, None] * rho[None, :] / near, 0.0)
    kernel[off] = ((2 / np.pi) * ellipk(modulus) / np.sqrt(near))[off]
    # On a ring's own panel: (ln(16 rho / step) + 1) / (pi rho), the kernel's logarithm integrated.
    kernel[~off] = (np.log(16 * rho / step) + 1) / (np.pi * rho)
    charge = np.linalg.solve(kernel * (rho * step)[None, :] * 0.5, np.ones(panels))
    return 1.0 / (SIGMA * 2 * np.pi * (charge * rho * step).sum())


def test_the_boundary_integral_is_right_where_the_answer_is_known():
    assert capsule_resistance(1e-3, 0.0) == pytest.approx(1 / (4 * np.pi * SIGMA * 1e-3), rel=2e-3)


@pytest.mark.parametrize(("finest", "limit"), [(0.3e-3, 0.02), (0.15e-3, 0.005)])
def test_a_bare_needle_resists_as_an_integral_equation_says(finest, limit):
    """20G, 10 mm, wholly bare, 1.5 and 3 cells a radius."""
    radius, length = 0.45e-3, 10e-3
    rod = Rod(np.array([[0, 0, -length / 2], [0, 0, length / 2]]), radius, (0.0, 1.0))
    problem, _ = in_open_space(rod, [-length / 2 - radius, length / 2 + radius], finest, 40e-3)
    _, joule, found, _ = potential(problem)
    assert 1 / found == pytest.approx(capsule_resistance(radius, length), rel=limit)
    assert joule.sum() == pytest.approx(found, rel=1e-6)


# --- layers, contrast, pairs ----------------------------------------------------------------------


def slab(values, cells=12):
    """Two layers between an electrode that fills the bottom and the grounded top."""
    z = np.linspace(0.0, 12e-3, cells + 1)
    x = np.linspace(0.0, 4e-3, 5)
    sigma = np.where(0.5 * (z[1:] + z[:-1]) < 6e-3, *values)
    problem, grid = box(x, x, z, conductivity=np.broadcast_to(sigma, (4, 4, cells)))
    bottom = np.zeros(grid.shape)
    bottom[..., 0] = 1.0
    only_top = np.zeros(grid.shape)
    for axis, sign, conductance, _ in end_faces(grid):
        if axis == 2 and sign == 1:
            only_top[..., -1] = conductance
    low = [item.copy() for item in problem.electric_low]
    low[2][..., 0] = 0.0
    return double(
        problem._replace(free=1.0 - bottom, held=bottom, ground=only_top, electric_low=tuple(low))
    ), grid


@pytest.mark.parametrize("contrast", [1.0, 45.0, 1 / 45.0])
def test_two_layers_in_series_carry_the_same_current(contrast):
    """Exact by hand: the potential is linear in each layer, current density the same in both."""
    problem, grid = slab((0.4, 0.4 * contrast))
    u, _, found, _ = potential(problem)
    # The held cell's upper face is the electrode.
    first = grid.axes[2].faces[1]
    resistance = ((6e-3 - first) / 0.4 + 6e-3 / (0.4 * contrast)) / 16e-6
    assert 1 / found == pytest.approx(resistance, rel=1e-6)
    drop = np.diff(u[1, 1])
    flux = -drop * np.array([0.4] * 5 + [np.nan] + [0.4 * contrast] * 5)
    np.testing.assert_allclose(flux[np.isfinite(flux)][1:], flux[1], rtol=1e-5)


def test_a_pair_in_an_insulated_box_takes_in_what_it_gives_out():
    pair = tuple(
        Rod(np.array([[x, 0, 0.5e-3], [x, 0, 60e-3]]), 0.5e-3, (0.0, 5e-3), potential=share)
        for x, share in ((-4e-3, 0.5), (4e-3, -0.5))
    )
    grid = build_grid(pair, 0.4, Numerics(extent_mm=20.0))
    problem = double(
        assemble(grid, pair, tissue(grid.shape), Boundary("insulated", 37.0), control((-4e-3, 0, 1e-3)))
    )
    u, joule, found, _ = potential(problem)
    assert joule.sum() == pytest.approx(found, rel=1e-6)
    middle = np.array([np.interp(0.0, grid.axes[0].centres, row) for row in u.reshape(len(u), -1).T])
    np.testing.assert_allclose(middle, 0.0, atol=0.01)
    alone, _ = in_open_space(straight_rod(0.5e-3, 5e-3, 60e-3), [0.0, 5e-3], 0.2e-3, 40e-3)
    # Two needles in series, eased a little by each other: well below twice one needle's resistance.
    assert 1.4 < (1 / found) * potential(alone)[2] < 2.0


def test_conductivity_rises_is_held_and_falls_with_steam():
    faces = np.linspace(0, 1e-2, 4)
    problem, _ = box(faces, faces, faces, slope=0.015, latent=1e9, control=control(steam_conductivity=0.01))
    rise = jnp.zeros((3, 3, 3)).at[0, 0, 0].set(30.0).at[1, 0, 0].set(63.0).at[2, 0, 0].set(70.0)
    sigma = np.asarray(conductivity(problem, rise)) / 0.4
    np.testing.assert_allclose(sigma[2, 2, 2], 1.0, rtol=1e-6)
    np.testing.assert_allclose(sigma[0, 0, 0], 1 + 0.015 * 30, rtol=1e-6)
    steam = np.asarray(steam_fraction(problem, rise))
    assert steam[1, 0, 0] == pytest.approx(0.5, abs=1e-5)
    np.testing.assert_allclose(sigma[1, 0, 0], (1 + 0.015 * 63) * (0.5 + 0.5 * 0.01), rtol=1e-5)
    np.testing.assert_allclose(sigma[2, 0, 0], (1 + 0.015 * 63) * 0.01, rtol=1e-5)


# --- links cut close to the metal -----------------------------------------------------------------

DIRECTIONS = {"upright": (0, 0, 1), "tilted": (1, 0, 2), "diagonal": (1, 1, 1)}


@cache
def needle_in_direction(name):
    """A 20G needle through the middle of its grid, single precision as in a run."""
    along = np.array(DIRECTIONS[name], float) / np.linalg.norm(DIRECTIONS[name])
    apex = -along * 5e-3
    rod = Rod(np.array([apex + along * 0.45e-3, apex + along * 0.1]), 0.45e-3, (0.0, 10e-3))
    grid = build_grid((rod,), 0.3, Numerics(extent_mm=30.0))
    return assemble(grid, (rod,), tissue(grid.shape), Boundary("open", 37.0), control(tuple(apex)))


@pytest.mark.parametrize("name", list(DIRECTIONS))
def test_the_solvers_tolerance_means_the_same_in_every_direction(name):
    """Cell centres can lie almost on the surface; such links must not decide when a solve is done.

    Along the diagonal of 0.3 mm cells they do so in rows, and the impedance came out 6 % wrong.
    """
    problem = needle_in_direction(name)
    _, joule, found, count = potential(problem, 1e-4)
    _, _, exact, _ = potential(problem, 1e-6)
    assert found == pytest.approx(exact, rel=2e-3)
    assert joule.sum() == pytest.approx(exact, rel=2e-3)
    assert count <= 25
    assert 1 / exact == pytest.approx(1 / potential(needle_in_direction("upright"), 1e-6)[2], rel=0.015)


# --- the local solution in the links --------------------------------------------------------------


def test_factor_of_the_last_bare_cell_by_hand():
    """Depth h / 2, length h: sqrt(2) / (2 cos(pi/8) ... ) = h/2 / (sqrt(h) sqrt(h / sqrt 2) sin(pi/8))."""
    by_hand = 0.5 / (np.sqrt(1 / np.sqrt(2)) * np.sin(np.pi / 8))
    found = local_flux.junction_factor_normal(np.array([1.0, 1e-4]), np.array([0.5, 0.5e-4]))
    np.testing.assert_allclose(found, by_hand, rtol=1e-12)
    assert by_hand == pytest.approx(1.554, abs=1e-3)


def test_a_flat_cell_far_from_the_junction_needs_no_factor():
    """Seen from a link much shorter than the cell, sqrt(s) is all but straight across it."""
    found = local_flux.junction_factor_normal(np.array([1.0]), np.array([1e-4]))
    s = 0.5
    exact = 1e-4 / (np.sqrt(s) * np.sin(0.5 * np.arctan2(1e-4, 0.5)))
    np.testing.assert_allclose(found, exact, rtol=1e-6)


@pytest.mark.parametrize("place", ["shaft", "end"])
def test_curvature_factor_is_exact_for_the_local_solution_and_tends_to_one(place):
    rod = straight_rod(1e-3, 1e-2, 6e-2)
    for h, near in ((1e-3, 0.35), (1e-4, 0.06), (1e-5, 0.006)):
        rho = 1e-3 + np.array([0.0, h, 0.5 * h])
        if place == "shaft":
            points = [np.array([[r, 0.0, 5e-3]]) for r in rho]
            exact = h / ((1e-3 + h / 2) * np.log(1 + h / 1e-3))
        else:
            points = [np.array([[0.0, 0.0, 1e-3 - r]]) for r in rho]
            exact = (1e-3 / (1e-3 + h / 2) ** 2) * h / (1 - 1e-3 / (1e-3 + h))
        found = local_flux.curvature_factor(rod, *points, np.array([1 / h]))
        assert found[0] == pytest.approx(exact, rel=1e-9)
        assert abs(found[0] - 1) < near


# --- fast diagonalisation -------------------------------------------------------------------------


@pytest.mark.parametrize("ends", [(0.0, 300.0), (500.0, 500.0), (0.0, 0.0)])
def test_modes_of_an_axis_are_orthonormal_in_its_measure(ends):
    for radial in (False, True):
        axis = Axis(graded_faces([0.0], 0.0, 0.02, finest=3e-4, growth=1.2, coarsest=2e-3), radial=radial)
        values, modes = axis_modes(axis, *ends)
        np.testing.assert_allclose(modes.T @ (axis.measure[:, None] * modes), np.eye(len(values)), atol=1e-9)
        assert (values >= 0).all()
        assert (values < 1e-9 * values.max()).sum() == (1 if ends == (0.0, 0.0) else 0)


@pytest.mark.parametrize("radial", [False, True])
def test_the_fast_inverse_inverts_exactly(radial):
    axis = Axis(graded_faces([0.0], 0.0, 0.02, finest=3e-4, growth=1.2, coarsest=2e-3))
    axes = (Axis(axis.faces, radial=True), axis) if radial else (axis, axis, axis)
    problem, grid = box(*axes, conductivity=1.0)
    problem = double(problem)
    links = tuple(1.0 / (a + b) for a, b in zip(problem.electric_low, problem.electric_high, strict=True))
    diagonal, padded = graph_laplacian(tuple(map(jnp.asarray, links)), jnp.asarray(problem.ground))
    x = np.random.default_rng(2).standard_normal(grid.shape)
    back = fast_inverse(problem.modes, problem.inverse, apply_operator(diagonal, padded, jnp.asarray(x)))
    np.testing.assert_allclose(np.asarray(back), x, atol=1e-4)


def test_the_boundary_of_an_open_box_continues_the_field():
    """A sphere's resistance to infinity in a box of eight radii, whose shell beyond holds an eighth of it."""
    rod = Rod(np.array([[0, 0, -1e-9], [0, 0, 1e-9]]), 1e-3, (0.0, 1.0))
    exact = 1 / (4 * np.pi * SIGMA * 1e-3)
    problem, _ = in_open_space(rod, [-1e-3, 1e-3], 0.1e-3, 8e-3)
    assert 1 / potential(problem)[2] == pytest.approx(exact, rel=2e-3)
