"""The solver against exact solutions, conservation, convergence rates and an independent reference."""

from __future__ import annotations

import csv
import json
from functools import cache
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.integrate import quad

from neurolysis.delivery.heat import reactions
from neurolysis.delivery.radiofrequency import bench, geometry, phases
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.physics import linear, potential, treatment
from neurolysis.physics.assemble import assemble
from neurolysis.physics.bioheat import heat_operator, solve_heat
from neurolysis.physics.damage import accumulate_cem, accumulate_damage
from neurolysis.physics.fast_diagonal import factorise
from neurolysis.physics.grid import Axis, TensorGrid, graded_faces
from neurolysis.physics.problem import Damage, Steps
from neurolysis.physics.rods import Rod, straight_rod
from neurolysis.physics.schedule import bdf_coefficients, make_steps
from neurolysis.physics.setup import Boundary, Control, Tissue
from neurolysis.plan import Numerics

K, RHO_C, SIGMA, SINK = 0.5, 3.8e6, 0.4, 2500.0
FAR = Rod(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 1.1]]), 1e-4, (0.0, 0.01))
REFERENCE = Path(__file__).parents[1] / "benchmarks" / "peers" / "rf_case_1.json"


def tissue(shape, k=K, perfusion=0.0, **changes):
    ones = np.ones(shape)
    values = {
        "conductivity": SIGMA * ones, "slope": 0 * ones, "thermal_conductivity": k * ones,
        "heat_capacity": RHO_C * ones, "perfusion": perfusion * ones, "metabolic": 0 * ones,
        "latent": 0 * ones, "perfusion_stops": np.zeros(shape, bool), "domain": np.ones(shape, bool),
    }  # fmt: skip
    return Tissue(**{**values, **changes})


def even_box(cells, length):
    axis = Axis(np.linspace(0.0, length, cells + 1))
    return TensorGrid((axis, axis, axis))


def control(sensor=(0.001, 0.001, 0.001), **rest):
    return Control(np.array([sensor]), (Damage(90.0, 31000.0, 43.0),), **rest)


ROWS = 64


def decay(cells, dt, steps, length=0.02, perfusion=SINK):
    """Amplitude of the first sine mode after ``steps`` of BDF2, and what is exact."""
    grid = even_box(cells, length)
    p = assemble(grid, (FAR,), tissue(grid.shape, perfusion=perfusion), Boundary("grounded", 37.0), control())
    x = [np.sin(np.pi * axis.centres / length) for axis in grid.axes]
    mode = 20.0 * x[0][:, None, None] * x[1][None, :, None] * x[2][None, None, :]
    rate = (3 * K * (np.pi / length) ** 2 + perfusion) / RHO_C
    device = p._replace(**{})
    state = treatment.initial_state(device)
    before = mode * np.exp(rate * dt)
    state = state._replace(
        temperature=jnp.asarray(mode, jnp.float32),
        before=jnp.asarray(before, jnp.float32),
        dt_before=jnp.asarray(dt, jnp.float32),
    )
    # Always as many rows, those beyond the last step idle: one compiled program for every number of steps.
    row = Steps(
        dt=np.full(ROWS, dt, np.float32),
        history=np.tile(bdf_coefficients(dt, dt), (ROWS, 1)).astype(np.float32),
        mode=np.zeros(ROWS, np.int32),
        value=np.zeros(ROWS, np.float32),
        duty=np.ones(ROWS, np.float32),
        ceiling=np.full(ROWS, 1e6, np.float32),
        refresh=np.zeros(ROWS, np.int32),
        active=(np.arange(ROWS) < steps).astype(np.int32),
    )
    state, _ = treatment.run_chunk(device, phases.limits(None, 0.0), 1e-6, state, row, vaporises=False)
    middle = tuple(n // 2 for n in grid.shape)
    return float(state.temperature[middle] / mode[middle]), float(np.exp(-rate * dt * steps))


def test_a_sine_mode_decays_as_pennes_says():
    found, exact = decay(cells=32, dt=1.0, steps=16)
    assert found == pytest.approx(exact, rel=2e-3)


def test_second_order_in_time():
    errors = [np.subtract(*decay(cells=32, dt=dt, steps=n)) for dt, n in ((16.0, 8), (8.0, 16))]
    space = np.subtract(*decay(cells=32, dt=2.0, steps=64))
    assert np.log2((errors[0] - space) / (errors[1] - space)) == pytest.approx(2.0, abs=0.35)


def test_second_order_in_space():
    errors = [abs(np.subtract(*decay(cells=n, dt=0.5, steps=64))) for n in (8, 16)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(2.0, abs=0.2)


def test_heat_through_two_layers_in_series():
    """Steady slab held at 37 C on the faces, heated evenly in the left half only; exact by hand."""
    n, length = 64, 0.01
    grid = TensorGrid((Axis(np.linspace(0, length, n + 1)), *[Axis(np.linspace(0, 1.0, 3))] * 2))
    left = (np.arange(n) < n // 2)[:, None, None] * np.ones(grid.shape)
    k = np.where(left > 0, 0.2, 0.6)
    source = 1e6 * left
    p = assemble(
        grid,
        (FAR,),
        tissue(grid.shape, thermal_conductivity=k, metabolic=source),
        Boundary("grounded", 37.0),
        control(),
    )
    heat = heat_operator(p, p.materials.perfusion, jnp.float32(0.0))
    theta, _, _ = solve_heat(p, heat, 0 * p.volumes, heat.constant, jnp.asarray(0 * p.volumes), 1e-7)
    # -k u'' = q on the left, 0 on the right; u = 0 at both ends; u and k u' continuous in the middle.
    half, q = length / 2, 1e6
    flux = q * half**2 / 2 / 0.2 / (half / 0.2 + half / 0.6)
    x = grid.axes[0].centres
    exact = np.where(
        x < half,
        (q * half - flux) * x / 0.2 - q * x**2 / 0.4,
        flux * (length - x) / 0.6,
    )
    np.testing.assert_allclose(np.asarray(theta)[:, 1, 1], exact, atol=0.004 * exact.max())


def capsule(radius, length, extent, cells_per_radius=3.0):
    """A bare capsule with no shaft in a graded box."""
    rod = Rod(np.array([[0, 0, -length / 2], [0, 0, length / 2]]), radius, (0.0, 1.0), conductivity=400.0)
    finest = radius / cells_per_radius
    grading = {"finest": finest, "growth": 1.15, "coarsest": extent / 8}
    across = Axis(graded_faces([-radius, 0.0, radius], -extent, extent, **grading))
    ends = [-length / 2 - radius, length / 2 + radius]
    return rod, TensorGrid((across, across, Axis(graded_faces(ends, -extent, extent, **grading))))


def conductance(rod, grid, electric):
    p = assemble(grid, (rod,), tissue(grid.shape), Boundary(electric, 37.0), control())
    sigma = jnp.full(grid.shape, SIGMA, jnp.float32)
    u, joule, found, _ = potential.solve_potential(p, sigma, jnp.asarray(p.held), 1e-6)
    return p, np.asarray(u), np.asarray(joule), float(found)


def test_resistance_of_a_sphere():
    """R = 1 / (4 pi sigma a) to infinity (row A9's limit)."""
    radius = 1e-3
    rod, grid = capsule(radius, 1e-7, 0.04)
    _, _, joule, found = conductance(rod, grid, "open")
    assert 1 / found == pytest.approx(1 / (4 * np.pi * SIGMA * radius), rel=0.01)
    assert joule.sum() == pytest.approx(found, rel=1e-3)


def test_resistance_of_a_capsule_lies_between_spheroids():
    """Row A9: a prolate spheroid inside the capsule resists more, one round it less."""

    def spheroid(p, b):
        c = np.sqrt(p * p - b * b)
        return np.log((p + c) / (p - c)) / (8 * np.pi * SIGMA * c)

    radius, length = 0.5e-3, 9e-3
    rod, grid = capsule(radius, length, 0.05)
    _, _, _, found = conductance(rod, grid, "open")
    half = length / 2 + radius
    assert spheroid(half * 1.1, radius * 1.3) < 1 / found < spheroid(half, radius)


def test_temperature_follows_potential_in_steady_unperfused_tissue():
    """Row A7: dT / dT0 = 1 - (1 - V/V0)^2 with dT0 = sigma V0^2 / 2k, for any shape of electrode."""
    rod, grid = capsule(0.8e-3, 4e-3, 0.03)
    p, u, joule, _ = conductance(rod, grid, "grounded")
    heat = heat_operator(p, p.materials.perfusion, jnp.float32(0.0))
    start = jnp.asarray(0 * p.volumes)
    volt = 9.0
    theta, _, _ = solve_heat(p, heat, 0 * p.volumes, volt**2 * jnp.asarray(joule), start, 1e-6)
    top = SIGMA * volt**2 / (2 * K)
    expected = top * (1 - (1 - u) ** 2)
    outside = np.asarray(p.free) > 0
    error = np.abs(np.asarray(theta) - expected)[outside] / top
    assert error.max() < 0.02
    assert np.sqrt((error**2).mean()) < 0.004


def test_fast_diagonalisation_is_the_exact_inverse():
    faces = graded_faces([0.0], -0.01, 0.012, finest=3e-4, growth=1.2, coarsest=2e-3)
    grid = TensorGrid((Axis(faces), Axis(faces), Axis(faces)))
    p = assemble(grid, (FAR,), tissue(grid.shape), Boundary("grounded", 37.0), control())
    links = tuple(1.0 / (a + b) for a, b in zip(p.electric_low, p.electric_high, strict=True))
    diagonal, padded = linear.graph_laplacian(tuple(map(jnp.asarray, links)), jnp.asarray(p.ground))
    x = np.random.default_rng(1).standard_normal(grid.shape).astype(np.float32)
    back = linear.fast_inverse(
        p.modes, p.inverse * p.scale, linear.apply_operator(diagonal, padded, jnp.asarray(x))
    )
    np.testing.assert_allclose(np.asarray(back), x, atol=2e-3)


def test_with_insulated_walls_the_constant_is_projected_out():
    grid = even_box(12, 0.01)
    modes, inverse = factorise(grid, [(0.0, 0.0)] * 3)
    ones = jnp.ones(grid.shape, jnp.float32)
    single = tuple(jnp.asarray(m, jnp.float32) for m in modes)
    found = linear.fast_inverse(
        single, jnp.asarray(inverse, jnp.float32), ones * jnp.asarray(grid.volumes, jnp.float32)
    )
    assert np.abs(np.asarray(found)).max() < 1e-3
    assert (inverse == 0).sum() == 1


# --- the independent finite-element reference -----------------------------------------------------


@cache
def reference(axisymmetric, ratio=None):
    case = bench.RadiofrequencyBench.model_validate(json.loads(REFERENCE.read_text()))
    finest = None if ratio is None else case.cannula.radius_mm / ratio
    result, grid = bench.run_case(case, axisymmetric=axisymmetric, numerics=Numerics(finest_mm=finest))
    return bench.report_case(case, result, grid)


LADDER = [
    (True, None), (False, None), (False, 2.0),
    pytest.param(False, 3.0, marks=pytest.mark.verify), pytest.param(False, 4.0, marks=pytest.mark.verify),
]  # fmt: skip


@pytest.mark.parametrize(("axisymmetric", "ratio"), LADDER)
def test_reference_case(axisymmetric, ratio):
    found = reference(axisymmetric, ratio)
    for name, width, length in (("isotherm_50c", 9.188, 16.116), ("arrhenius_1", 8.253, 15.715)):
        assert found["lesion"][name]["width_mm"] == pytest.approx(width, rel=0.02)
        assert found["lesion"][name]["length_mm"] == pytest.approx(length, rel=0.02)
    trace = {name: np.array(values) for name, values in found["trace"].items()}
    assert trace["impedance_ohm"][0] == pytest.approx(121.77, rel=0.02)
    for time, ohm in ((10, 100.80), (30, 95.81), (60, 93.66), (90, 92.61)):
        assert np.interp(time, trace["time_s"], trace["impedance_ohm"]) == pytest.approx(ohm, rel=0.02)
    for time, watt in ((2, 2.319), (5, 3.570), (10, 5.442), (30, 2.231), (60, 1.862), (90, 1.713)):
        assert np.interp(time, trace["time_s"], trace["power_w"]) == pytest.approx(watt, rel=0.03)
    np.testing.assert_allclose(
        found["profile"]["temperature_c"][:6], [74.44, 65.72, 58.44, 52.73, 48.36, 45.08], atol=0.5
    )
    assert found["energy_balance_error"] < 0.01


def test_three_dimensions_agree_with_two():
    solid, plane = reference(False), reference(True)
    for name in solid["lesion"]:
        for key in ("width_mm", "length_mm", "volume_mm3"):
            assert solid["lesion"][name][key] == pytest.approx(plane["lesion"][name][key], rel=0.02)


@pytest.mark.parametrize(
    ("radius", "tip", "set_c", "duration", "conductivity"),
    [(0.36, 5.0, 70.0, 60.0, 0.2), pytest.param(0.8, 4.0, 90.0, 120.0, 0.6, marks=pytest.mark.verify)],
)
def test_other_cases_agree_between_the_two_paths(radius, tip, set_c, duration, conductivity):
    data = json.loads(REFERENCE.read_text())
    data["cannula"] |= {"radius_mm": radius, "active_tip_mm": tip}
    data["tissue"] |= {"conductivity_s_per_m": conductivity}
    data["protocol"] |= {"set_temperature_c": set_c, "duration_s": duration}
    case = bench.RadiofrequencyBench.model_validate(data)
    both = [bench.report_case(case, *bench.run_case(case, axisymmetric=flat)) for flat in (True, False)]
    for key in ("width_mm", "length_mm"):
        sizes = [found["lesion"]["isotherm_50c"][key] for found in both]
        assert sizes[1] == pytest.approx(sizes[0], rel=0.02)
    ohms = [found["trace"]["impedance_ohm"][0] for found in both]
    assert ohms[1] == pytest.approx(ohms[0], rel=0.02)


# --- orientation and box --------------------------------------------------------------------------


def tilted(degrees, azimuth=0.0, extent_mm=30.0):
    """Impedance (ohm), mean width and length (mm) of a needle tilted inside the grid."""
    radius, tip = 0.636e-3, 10e-3
    angle = np.deg2rad(degrees)
    along = np.array([np.sin(angle) * np.cos(azimuth), np.sin(angle) * np.sin(azimuth), np.cos(angle)])
    middle = np.array([0, 0, 5e-3])
    apex = middle - along * tip / 2
    rod = Rod(np.array([apex + along * radius, apex + along * 0.12]), radius, (0.0, tip))
    grid = geometry.build_grid((rod,), 0.36, Numerics(extent_mm=extent_mm))
    p = assemble(
        grid,
        (rod,),
        tissue(grid.shape, perfusion=SINK, slope=np.full(grid.shape, 0.015)),
        Boundary("open", 37.0, centre=tuple(middle)),
        control(tuple(apex + along * 1e-3)),
    )
    protocol = RadiofrequencyProtocol(set_temperature_c=80, duration_s=20, ramp_s=5)
    steps = make_steps(phases.phases(protocol, 37.0, 4.0), 1.0)
    result = treatment.run(p, phases.limits(None, 0.0), steps, tolerance=1e-4)
    from scipy.interpolate import RegularGridInterpolator

    field = RegularGridInterpolator(
        [axis.centres for axis in grid.axes], result.state.temperature, bounds_error=False, fill_value=37.0
    )
    reach = np.linspace(-0.012, 0.012, 961)
    side = np.cross(along, [0, 1.0, 0])
    side /= np.linalg.norm(side)
    other = np.cross(along, side)
    turns = np.arange(0, np.pi, np.pi / 6)
    widths = [
        (field(middle + reach[:, None] * (np.cos(t) * side + np.sin(t) * other)) >= 50).sum() for t in turns
    ]
    length = (field(middle + reach[:, None] * along) >= 50).sum()
    step_mm = (reach[1] - reach[0]) * 1e3
    return np.array([result.trace.impedance[-1], np.mean(widths) * step_mm, length * step_mm])


UPRIGHT = cache(lambda: tilted(0.0))


@pytest.mark.parametrize(("degrees", "azimuth"), [(15.0, 0.0), (30.0, 0.0), (45.0, 0.6)])
def test_the_result_does_not_depend_on_the_direction(degrees, azimuth):
    np.testing.assert_allclose(tilted(degrees, azimuth), UPRIGHT(), rtol=0.03)


def test_a_box_of_40_mm_is_large_enough():
    small, large = tilted(0.0, extent_mm=40.0), tilted(0.0, extent_mm=60.0)
    np.testing.assert_allclose(small[1:], large[1:], rtol=0.01)
    assert small[0] == pytest.approx(large[0], rel=0.02)


# --- damage ---------------------------------------------------------------------------------------


def one_cell(damage):
    grid = even_box(2, 0.01)
    settings = Control(np.array([[0.001] * 3]), (damage,), **reactions.dose_constants())
    return assemble(grid, (FAR,), tissue(grid.shape), Boundary("grounded", 37.0), settings)


@pytest.mark.parametrize(("old", "new", "dt"), [(60.0, 60.0, 5.0), (45.0, 52.0, 1.0), (85.0, 79.0, 1.0)])
@pytest.mark.parametrize("name", ["nerve_heat", "reference_bench"])
def test_damage_of_a_step_against_quadrature(name, old, new, dt):
    process = reactions.damage(name, None)
    p = one_cell(process)
    full = np.full(p.volumes.shape, 1.0, np.float32)
    found = accumulate_damage(
        p, np.full((1, *p.volumes.shape), -1e30, np.float32), old * full, new * full, np.float32(dt)
    )

    def rate(t):
        kelvin = old + (new - old) * t / dt + 273.15
        return np.exp(process.ln_frequency - process.activation_k / kelvin)

    assert float(found[0, 0, 0, 0]) == pytest.approx(np.log(quad(rate, 0, dt)[0]), abs=0.02)


def test_no_damage_below_its_start_and_none_is_infinite_when_hot():
    p = one_cell(reactions.damage("nerve_heat", 43.0))
    none = np.full((1, *p.volumes.shape), -1e30, np.float32)
    full = np.ones(p.volumes.shape, np.float32)
    assert float(accumulate_damage(p, none, 42.0 * full, 42.9 * full, np.float32(60))[0, 0, 0, 0]) < -1e29
    hot = accumulate_damage(p, none, 120.0 * full, 120.0 * full, np.float32(60))
    assert np.isfinite(np.asarray(hot)).all()


def test_nerve_kinetics_give_the_doses_they_were_fitted_to():
    """Row NI-16: fitted ED50 (Omega = ln 2) of 61.9, 28.1 and 12.8 min at 43, 44 and 45 C."""
    p = one_cell(reactions.damage("nerve_heat", None))
    full = np.ones(p.volumes.shape, np.float32)
    for celsius, minutes in ((43.0, 61.9), (44.0, 28.1), (45.0, 12.8)):
        none = np.full((1, *p.volumes.shape), -1e30, np.float32)
        found = accumulate_damage(p, none, celsius * full, celsius * full, np.float32(60 * minutes))
        assert np.exp(float(found[0, 0, 0, 0])) == pytest.approx(np.log(2), rel=0.02)


def test_cem43_halves_per_degree_and_is_held_above_its_source():
    p = one_cell(reactions.damage("nerve_heat", 43.0))
    full = np.ones(p.volumes.shape, np.float32)

    def minutes(celsius):
        return float(accumulate_cem(p, celsius * full, celsius * full, np.float32(60.0))[0, 0, 0])

    assert minutes(43.0) == pytest.approx(1.0, rel=1e-5)
    assert minutes(44.0) == pytest.approx(2.0, rel=1e-4)
    assert minutes(45.0) == pytest.approx(4.0, rel=1e-4)
    assert minutes(80.0) == pytest.approx(4.0, rel=1e-4)
    assert minutes(42.0) == pytest.approx(0.0, abs=1e-6)


# --- the bench format refuses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("section", "change", "word"),
    [
        ("cannula", {"active_tip_mm": 0}, "active_tip_mm"),
        ("cannula", {"radius_mm": -1}, "radius_mm"),
        ("cannula", {"thermocouple_from_apex_mm": 50}, "thermocouple_from_apex_mm"),
        ("protocol", {"set_temperature_c": 200}, "set_temperature_c"),
        ("protocol", {"ramp_s": 100}, "ramp_s"),
        ("protocol", {"set_temperature_c": 20}, "set_temperature_c"),
        ("tissue", {"colour": 1}, "colour"),
        ("tissue", {"conductivity_s_per_m": float("nan")}, "conductivity_s_per_m"),
        ("domain", {"half_length_mm": 5.5}, "half_length_mm|half length"),
    ],
)
def test_a_bad_bench_case_names_its_field(section, change, word):
    from neurolysis.delivery.technique import silent
    from neurolysis.errors import InputError

    data = json.loads(REFERENCE.read_text())
    data[section] |= change
    with pytest.raises(InputError, match=word):
        bench.simulate_case(data, True, "file.json", silent)


def test_the_trace_follows_the_reference_trace():
    file = Path(__file__).parent / "data" / "rf_case_1_trace.csv"
    rows = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    table = [(float(r["t_s"]), float(r["P_W"]), float(r["Z_ohm"])) for r in csv.DictReader(rows)]
    times, power, ohm = np.array(table).T
    found = reference(False)["trace"]
    at = np.arange(2.0, 90.1, 1.0)
    mine = np.interp(at, found["time_s"], found["impedance_ohm"])
    np.testing.assert_allclose(mine, np.interp(at, times, ohm), rtol=0.02)
    late = np.arange(12.0, 90.1, 1.0)
    mine = np.interp(late, found["time_s"], found["power_w"])
    np.testing.assert_allclose(mine, np.interp(late, times, power), rtol=0.03)


def test_a_straight_rod_is_a_capsule():
    rod = straight_rod(0.5e-3, 10e-3, 60e-3)
    points = np.array([[0, 0, -1e-3], [0, 0, 0], [2e-3, 0, 5e-3], [0, 0, 20e-3]])
    distance, arc = rod.locate(points)
    np.testing.assert_allclose(distance, [1e-3, 0, 1.5e-3, -0.5e-3], atol=1e-9)
    np.testing.assert_allclose(arc, [0, 0, 5e-3, 20e-3], atol=1e-9)
