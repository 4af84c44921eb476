"""The freezing solver against exact solutions: Stefan, Neumann, line and point sinks; orders and balances."""

from __future__ import annotations

from functools import cache
from math import pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from tests.frozen import (
    Water,
    front,
    line_grid,
    line_sink,
    neumann,
    neumann_temperature,
    point_sink,
    problem,
)

from neurolysis.errors import InputError, SolverError
from neurolysis.physics import freezing
from neurolysis.physics.cells import locate_cells
from neurolysis.physics.freezing import Probe
from neurolysis.physics.freezing_run import (
    Stretch,
    Trace,
    _require_converged,
    energy_error,
    make_steps,
    run_freezing,
    step_lengths,
)
from neurolysis.physics.freezing_setup import FreezingTissue, _plain, assemble_freezing
from neurolysis.physics.grid import Axis, TensorGrid, graded_faces
from neurolysis.physics.heat_links import heat_links
from neurolysis.physics.lesion import measure
from neurolysis.physics.rods import straight_rod
from neurolysis.physics.setup import Boundary

WATER = Water()
STILL = 1e-4
"""Energy balance every run must keep (measured 1e-5 and below)."""


def no_flow(seconds: float) -> tuple[Stretch, ...]:
    return (Stretch(seconds, False),)


@cache
def plane(cells: int, start_c: float = 20.0, wall_c: float = -40.0, seconds: float = 200.0):
    grid = line_grid(0.03, cells)
    result = run_freezing(
        problem(grid, WATER, start_c, wall_c=wall_c), make_steps(no_flow(seconds), 60.0 / cells)
    )
    return grid, result


# ---------------------------------------------------------------- exact solutions


@pytest.mark.parametrize("start_c", [0.0, 20.0])
def test_one_and_two_phase_stefan_problems(start_c):
    grid, result = plane(240, start_c)
    exact = 2 * neumann(WATER, start_c, -40.0) * sqrt(WATER.cold_a * 200.0)
    assert front(grid, result.state.temperature, -0.5 * WATER.width) == pytest.approx(exact, rel=0.008)
    assert energy_error(result) < STILL


def test_the_field_of_the_two_phase_problem_converges():
    errors = []
    for cells in (60, 120, 240):
        grid, result = plane(cells)
        exact = neumann_temperature(WATER, 20.0, -40.0, grid.axes[0].centres, 200.0)
        errors.append(float(np.abs(result.state.temperature - exact).mean()))
    assert errors[2] < 0.02
    assert errors[0] / errors[2] > 4.0  # first order would give 4; measured 5 and above


def test_the_time_a_level_is_reached_follows_the_similarity_of_the_two_phase_problem():
    """x / sqrt(t) is one number for each temperature: where -20 C stands after 200 s gives it for all."""
    grid = line_grid(0.03, 240)
    stiff = problem(grid, WATER, 20.0, wall_c=-40.0, levels_c=(-20.0, -60.0))
    result = run_freezing(stiff, make_steps(no_flow(200.0), 0.25))
    x = grid.axes[0].centres
    stands = brentq(
        lambda at: neumann_temperature(WATER, 20.0, -40.0, np.array([at]), 200.0)[0] + 20, 1e-5, 0.02
    )
    exact = 200.0 * (x / stands) ** 2
    when = result.state.reached_s[0]
    inner = (exact > 20.0) & (exact < 195.0)
    assert inner.sum() > 10
    np.testing.assert_allclose(when[inner], exact[inner], rtol=0.02)
    assert np.isfinite(when[exact < 195.0]).all()
    assert np.isinf(when[exact > 205.0]).all()
    assert np.isinf(result.state.reached_s[1]).all(), "colder than the wall nothing gets"
    assert float(result.state.passed_s) == pytest.approx(200.0, rel=1e-5)


def test_freezing_round_a_line_sink():
    watt_per_m, seconds = 600.0, 150.0
    exact = 2 * line_sink(WATER, 37.0, watt_per_m) * sqrt(WATER.cold_a * seconds)
    grid = line_grid(0.03, 240, radial=True)
    cold = (Stretch(seconds, True, -1e4, -1e4, power_w=watt_per_m),)
    result = run_freezing(problem(grid, WATER, 37.0, sink=0), make_steps(cold, 1.0))
    assert front(grid, result.state.temperature, -0.5 * WATER.width) == pytest.approx(exact, rel=0.015)
    assert result.trace.power[-1] == pytest.approx(watt_per_m, rel=1e-4)
    assert energy_error(result) < STILL


def test_a_frozen_sphere_round_a_point_sink():
    """An octant in three dimensions: mirrors are the box's own insulated faces, the sink fills the corner."""
    at, seconds, start_c = 0.35, 100.0, 37.0
    strength = 4 * pi * WATER.cold_k * point_sink(WATER, start_c, at) * sqrt(WATER.cold_a) / 8
    faces = graded_faces([0.0], 0.0, 0.03, finest=6e-4, growth=1.08, coarsest=2e-3)
    grid = TensorGrid((Axis(faces),) * 3)
    steps = make_steps((Stretch(seconds, True, -1e5, -1e5),), 2.0, first_s=0.05)
    end = np.cumsum(steps.dt.astype(float))
    mean = strength * (end**1.5 - (end - steps.dt) ** 1.5) * 2 / 3 / steps.dt
    result = run_freezing(
        problem(grid, WATER, start_c, sink=0), steps._replace(power=mean.astype(np.float32))
    )
    size = measure(
        tuple(a.centres for a in grid.axes), grid.volumes, -result.state.temperature, 0.5 * WATER.width
    )
    radius = (6 * size.volume / pi) ** (1 / 3)
    assert radius == pytest.approx(2 * at * sqrt(WATER.cold_a * seconds), rel=0.03)
    assert energy_error(result) < STILL


def test_the_scheme_is_of_second_order_in_time_and_euler_of_first():
    soft = Water(width=8.0)
    grid = line_grid(0.03, 60)
    p = problem(grid, soft, 20.0, wall_c=-40.0)

    def run(step_s, second):
        steps = make_steps(no_flow(120.0), step_s, first_s=0.02, second_order=second)
        return run_freezing(p, steps).state.temperature

    reference = run(0.1, True)
    errors = {
        second: [float(np.abs(run(step, second) - reference).mean()) for step in (8.0, 2.0)]
        for second in (True, False)
    }
    order = {second: np.log(pair[0] / pair[1]) / np.log(4) for second, pair in errors.items()}
    assert 0.7 < order[False] < 1.3
    assert order[True] > 1.5
    assert errors[True][1] < 0.02 * errors[False][1]


def test_perfused_tissue_beside_a_cold_wall_comes_to_rest_at_the_exact_profile():
    """Pennes at rest, unfrozen: T = far + (wall - far) exp(-x sqrt(w / k)), far = blood + metabolic / w."""
    flow, made = 4000.0, 2000.0
    water = Water(warm_c=4e5)
    grid = line_grid(0.08, 240)
    p = problem(grid, water, 37.0, wall_c=10.0, perfusion=flow, metabolic=made)
    p = p._replace(edge=p.edge * water.warm_k / water.cold_k)
    result = run_freezing(p, make_steps(no_flow(3000.0), 20.0))
    far = 37.0 + made / flow
    exact = far + (10.0 - far) * np.exp(-grid.axes[0].centres * sqrt(flow / water.warm_k))
    assert np.abs(result.state.temperature - exact).max() < 0.05
    probe, metabolic, _, _, needle = result.state.energy
    assert metabolic == pytest.approx(made * 0.08 * 3000.0, rel=1e-3)
    assert probe == needle == 0.0
    assert energy_error(result) < STILL


# ---------------------------------------------------------------- parts


@given(t=st.floats(-80, 40), step=st.floats(0.01, 0.05))
@settings(max_examples=30, deadline=None)
def test_capacity_and_conductivity_are_slopes_of_their_integrals(t, step):
    p = problem(line_grid(0.01, 2), Water(width=7.0), 37.0)
    a, b = np.full(2, t - 37.0), np.full(2, t - 37.0 + step)
    slope = (np.asarray(freezing.enthalpy(p, b)) - np.asarray(freezing.enthalpy(p, a))) / step
    lower, upper = sorted(float(freezing.apparent_capacity(p, x)[0]) for x in (a, b))
    assert lower * 0.98 - 2 <= slope[0] <= upper * 1.02 + 2
    mean = freezing.mean_conductivity(p, p.warm_k, p.cold_k, a, b)[0]
    ends = sorted(float(freezing.conductivity(p, p.warm_k, p.cold_k, x)[0]) for x in (a, b))
    assert ends[0] - 1e-3 <= mean <= ends[1] + 1e-3


def test_perfusion_and_metabolism_stop_in_ice_and_may_stay_away():
    p = problem(line_grid(0.01, 3), WATER, 37.0, after_thaw=0.25)
    now = np.array([20.0, -1.65, -5.0]) - 37.0
    np.testing.assert_allclose(freezing.living(p, now, now), [1.0, 0.5, 0.0], atol=1e-5)
    np.testing.assert_allclose(freezing.living(p, now * 0, np.full(3, -45.0)), 0.25)


@pytest.mark.parametrize(
    ("gas_c", "heats", "expected"),
    [(-60.0, 0.0, 5.0), (36.0, 0.0, 1.0), (40.0, 0.0, 0.0), (40.0, 1.0, -3.0), (90.0, 1.0, -5.0)],
)
def test_the_probe_takes_what_its_film_and_power_allow(gas_c, heats, expected):
    p = problem(line_grid(0.01, 2), WATER, 37.0, sink=0)
    probe = Probe(np.float32(1), np.float32(gas_c - 37.0), np.float32(5.0), np.float32(heats))
    taken, _ = freezing.probe_heat(p, probe, np.zeros(2, np.float32))
    assert float(taken[0]) == pytest.approx(expected)
    assert float(taken[1]) == 0.0


@given(duration=st.floats(0.5, 2000), longest=st.floats(0.2, 10))
@settings(deadline=None)
def test_steps_fill_a_stretch(duration, longest):
    lengths = step_lengths(duration, 0.1, longest)
    assert lengths.sum() == pytest.approx(duration)
    assert lengths.min() > 0
    assert lengths.max() <= longest * 1.0001
    assert lengths[0] <= 0.1


@given(
    latent=st.floats(0, 3.3e8), width=st.floats(0.3, 12.0), cold_k=st.floats(0.3, 2.5),
    wall_c=st.floats(-150, -2), start_c=st.floats(1, 40),
)  # fmt: skip
@settings(max_examples=8, deadline=None)
def test_any_substance_keeps_its_energy_and_stays_between_wall_and_start(
    latent, width, cold_k, wall_c, start_c
):
    water = Water(latent=latent, width=width, cold_k=cold_k)
    grid = line_grid(0.02, 60)
    result = run_freezing(problem(grid, water, start_c, wall_c=wall_c), make_steps(no_flow(60.0), 3.0))
    t = result.state.temperature
    assert energy_error(result) < STILL
    assert t.min() >= wall_c - 0.02
    assert t.max() <= start_c + 0.02
    assert (np.diff(t) > -0.02).all()


def test_time_below_a_level_and_the_lowest_temperature_survive_the_thaw():
    """A thin layer goes down and up with the gas: the time below -20 C is known from the ramps."""
    thin = Water(latent=0.0, warm_k=1e-9, cold_k=1e-9)
    grid = line_grid(0.03, 60)
    p = problem(grid, thin, 37.0, sink=0, levels_c=(-20.0,))
    p = p._replace(film=np.full(60, 1e5, np.float32), film_share=np.full(60, 1 / 60, np.float32))
    parts = (Stretch(40.0, True, 0.0, -40.0), Stretch(40.0, True, -40.0, 0.0, heats=True))
    result = run_freezing(p, make_steps(parts, 0.5))
    np.testing.assert_allclose(result.state.lowest, -40.0, atol=0.02)
    np.testing.assert_allclose(result.state.below_s[0], 40.0, atol=0.1)
    np.testing.assert_allclose(result.state.reached_s[0], 20.0, atol=0.1)
    np.testing.assert_allclose(result.state.temperature, 0.0, atol=0.02)


# ---------------------------------------------------------------- probes on grids


def muscle_like(shape, **changes):
    full = np.ones(shape)
    values = {
        "conductivity": 0.5 * full,
        "frozen_conductivity": 2.0 * full,
        "heat_capacity": 3.7e6 * full,
        "frozen_heat_capacity": 1.9e6 * full,
        "latent": 2.7e8 * full,
        "perfusion": 2500.0 * full,
        "metabolic": 0.0 * full,
        "domain": np.ones(shape, bool),
        "freezing_c": (-8.15, -1.15),
        "perfusion_c": (-2.15, -1.15),
    }
    return FreezingTissue(**{**values, **changes})


def needle_grid(flat: bool, finest: float = 4e-4):
    along = Axis(graded_faces([0.0, 5e-3], -0.015, 0.02, finest=finest, growth=1.25, coarsest=3e-3))
    if flat:
        across = graded_faces([0.0, 1e-3], 0.0, 0.016, finest=finest, growth=1.25, coarsest=3e-3)
        return TensorGrid((Axis(across, radial=True), along))
    across = graded_faces([0.0], -0.016, 0.016, finest=finest, growth=1.25, coarsest=3e-3, centred=True)
    return TensorGrid((Axis(across), Axis(across.copy()), along))


ROD = straight_rod(1e-3, 5e-3, 0.1, conductivity=5.0)


def needle(flat=False, tissue=None, start_c=37.0, boundary=None):
    grid = needle_grid(flat)
    return grid, assemble_freezing(
        grid, (ROD,), tissue or muscle_like(grid.shape), boundary or Boundary("grounded", start_c, 0.016),
        1e6, start_c=start_c, blood_c=start_c, levels_c=(-20.0, 0.0),
    )  # fmt: skip


@pytest.mark.parametrize(("k", "within"), [(0.5, 1e-4), (2.0, 1e-4), (1.0, 0.15)])
def test_links_beside_metal_follow_the_tissue(k, within):
    """Exact where they were measured (tissue unfrozen, muscle frozen), between them near."""
    grid, p = needle()
    cells = locate_cells(grid, (ROD,), Boundary("grounded", 37.0, 0.016))
    wanted = heat_links(
        grid, (ROD,), cells, _plain(np.full(grid.shape, k), np.ones(grid.shape, bool)),
        Boundary("grounded", 37.0, 0.016),
    )  # fmt: skip
    for axis in range(3):
        got = 1.0 / (p.fixed[axis] + (p.low[axis] + p.high[axis]) / k)
        np.testing.assert_allclose(got, np.maximum(wanted[axis], 1e-30), rtol=within, atol=1e-12)


def test_three_dimensions_agree_with_two_and_the_power_is_capped():
    sizes, steps = {}, make_steps((Stretch(30.0, True, -70.0, -70.0, power_w=8.0),), 5.0, first_s=0.2)
    for flat in (True, False):
        grid, p = needle(flat)
        result = run_freezing(p, steps)
        axes = tuple(axis.centres for axis in grid.axes)
        sizes[flat] = measure(axes, grid.volumes, -result.state.lowest, 0.0)
        assert energy_error(result) < STILL
        assert result.trace.power.max() <= 8.0 * 1.0001
        assert result.trace.power[0] == pytest.approx(8.0, rel=1e-3)
        assert result.trace.probe_c.min() >= -70.1
    assert sizes[False].width == pytest.approx(sizes[True].width, rel=0.05)
    assert sizes[False].length == pytest.approx(sizes[True].length, rel=0.05)


@pytest.mark.parametrize(
    ("changes", "start_c", "says"),
    [
        ({}, -3.0, "must start unfrozen"),
        ({"freezing_c": (0.0, -5.0)}, 37.0, "range of freezing must rise"),
        ({"perfusion_c": (1.0, 1.0)}, 37.0, "range of perfusion must rise"),
    ],
)
def test_impossible_tissue_is_refused(changes, start_c, says):
    shape = needle_grid(True).shape
    with pytest.raises(InputError, match=says):
        needle(True, muscle_like(shape, **changes), start_c)


def test_a_probe_thinner_than_the_grid_is_refused():
    grid = needle_grid(False, finest=2e-3)
    thin = straight_rod(1e-4, 5e-3, 0.1)
    thin = type(thin)(thin.points + np.array([9e-4, 9e-4, 0.0]), thin.radius, thin.active)
    with pytest.raises(InputError, match="no cell of the grid lies inside"):
        assemble_freezing(
            grid, (thin,), muscle_like(grid.shape), Boundary("open", 37.0), 1e6,
            start_c=37.0, blood_c=37.0, levels_c=(0.0,),
        )  # fmt: skip


@pytest.mark.parametrize("change", [3.0, np.nan])
def test_a_loose_or_broken_step_ends_the_run(change):
    steps = make_steps(no_flow(1.0), 1.0)
    trace = Trace(*[np.full(len(steps.dt), change)] * 7)
    with pytest.raises(SolverError, match="did not converge"):
        _require_converged(trace, steps)
