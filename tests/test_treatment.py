"""Steps of a protocol, the controller's limits, and energy that is accounted for in every mode."""

from __future__ import annotations

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurolysis.delivery.radiofrequency.geometry import build_grid
from neurolysis.delivery.radiofrequency.wrap import energy_of
from neurolysis.errors import SolverError
from neurolysis.physics import treatment
from neurolysis.physics.assemble import assemble
from neurolysis.physics.bioheat import Drive, allowed_v2
from neurolysis.physics.grid import Axis, TensorGrid, graded_faces
from neurolysis.physics.potential import solve_potential
from neurolysis.physics.problem import Limits
from neurolysis.physics.rods import straight_rod
from neurolysis.physics.schedule import (
    NO_CEILING_C,
    OFF,
    POWER,
    START_FRACTIONS,
    TEMPERATURE,
    VOLTAGE,
    Phase,
    bdf_coefficients,
    make_steps,
    power_off_steps,
    step_lengths,
)
from neurolysis.physics.setup import Boundary
from neurolysis.physics.treatment import CHUNK, pad_steps, run
from neurolysis.plan import Numerics

from .simple_problems import BODY_C, FREE, control, tissue

# --- steps ----------------------------------------------------------------------------------------


@given(st.floats(0.01, 2000), st.floats(0.01, 5))
def test_steps_fill_the_phase_and_none_is_too_long(duration, step):
    lengths = step_lengths(duration, step)
    assert lengths.sum() == pytest.approx(duration, rel=1e-12)
    assert lengths.min() > 0
    assert lengths.max() <= step * (1 + 1e-9)
    assert lengths[0] == pytest.approx(START_FRACTIONS[0] * min(step, duration / 2))


@given(st.floats(0.01, 10), st.floats(0.01, 10), st.floats(-5, 5), st.floats(-5, 5))
def test_coefficients_are_exact_for_what_they_should_be(dt, before, slope, bend):
    """Backward differences of second order: constants, straight lines and parabolas."""
    a0, a1, a2 = bdf_coefficients(dt, before)
    assert a0 - a1 - a2 == pytest.approx(0.0, abs=1e-9 * (a0 + a1))
    y = [slope * t + bend * t * t for t in (dt, 0.0, -before)]
    found = (a0 * y[0] - a1 * y[1] - a2 * y[2]) / dt
    assert found == pytest.approx(slope + 2 * bend * dt, abs=1e-6 * (1 + dt + before))


def test_the_first_step_after_a_breakpoint_is_backward_euler():
    steps = make_steps((Phase(5.0, TEMPERATURE, 37, 80), Phase(6.0, TEMPERATURE, 80, 80)), 1.0)
    first = np.flatnonzero((steps.history == [1.0, 1.0, 0.0]).all(axis=1))
    np.testing.assert_array_equal(first, [0, len(step_lengths(5.0, 1.0))])
    ends = np.cumsum(steps.dt)
    np.testing.assert_allclose(steps.value, np.minimum(37 + 43 * ends / 5, 80), rtol=1e-5)
    assert steps.refresh.all()


def test_the_potential_is_refreshed_as_often_as_asked():
    steps = make_steps((Phase(40.0, TEMPERATURE, 80, 80, refresh_s=4.0),), 1.0)
    times = np.cumsum(steps.dt)[steps.refresh > 0]
    assert np.diff(times).max() == pytest.approx(4.0, abs=1e-3)
    assert len(times) == len(START_FRACTIONS) + 9


@pytest.mark.parametrize("count", [1, CHUNK - 1, CHUNK, CHUNK + 1])
def test_padding_fills_the_last_chunk_with_steps_that_do_nothing(count):
    steps = make_steps((Phase(1.0, OFF, 0, 0),), 1.0)
    cut = type(steps)(*[np.resize(x, (count, *x.shape[1:])) for x in steps])
    filled = pad_steps(cut)
    assert len(filled.dt) % CHUNK == 0
    assert len(filled.dt) < count + CHUNK
    assert filled.active.sum() == count
    assert cut.active.sum() == count


def test_cooling_takes_longer_steps_the_longer_it_lasts():
    lengths = [power_off_steps(n, 1.0).dt[-1] for n in range(4)]
    assert lengths == [1.0, 2.0, 4.0, 4.0]
    for number in range(4):
        rest = power_off_steps(number, 1.0)
        np.testing.assert_allclose(rest.history @ [1, -1, -1], 0, atol=1e-6)
        assert (rest.mode == OFF).all()
    assert power_off_steps(1, 1.0).history[0] == pytest.approx(bdf_coefficients(2.0, 1.0))


# --- the controller -------------------------------------------------------------------------------

CONDUCTANCE = 0.01
TARGETS = {OFF: 0.0, TEMPERATURE: 400.0, POWER: 4.0, VOLTAGE: 30.0}


def v2(mode, limits=FREE, value=None, target=400.0):
    drive = Drive(mode, jnp.asarray(value or TARGETS[mode]), NO_CEILING_C, 1.0, 1.0)
    return float(allowed_v2(limits, drive, jnp.asarray(CONDUCTANCE), jnp.asarray(target)))


def test_each_mode_asks_for_what_it_says():
    assert v2(OFF) == 0.0
    assert v2(TEMPERATURE) == pytest.approx(400.0)
    assert v2(POWER) * CONDUCTANCE == pytest.approx(4.0)
    assert v2(VOLTAGE) == pytest.approx(900.0)
    assert v2(TEMPERATURE, target=-50.0) == 0.0


@given(
    st.sampled_from([TEMPERATURE, POWER, VOLTAGE]),
    st.floats(0.1, 100),
    st.floats(1, 100),
    st.floats(0.01, 2),
    st.floats(0, 200),
    st.floats(0, 1e4),
)
def test_limits_of_the_whole_circuit_are_never_passed(mode, power, voltage, current, path, target):
    """100 ohm of tissue and the path in series: at the generator V = U (1 + path G), I = U G, P = V I."""
    limits = Limits(power, voltage, current, 0.0, 1e9, path)
    tip = np.sqrt(v2(mode, limits, target=target))
    whole = tip * (1 + path * CONDUCTANCE)
    amperes = tip * CONDUCTANCE
    assert whole <= voltage * (1 + 1e-5)
    assert amperes <= current * (1 + 1e-5)
    assert whole * amperes <= power * (1 + 1e-5)


def test_power_and_voltage_are_those_at_the_generator():
    path = Limits(1e9, 1e9, 1e9, 0.0, 1e9, 50.0)
    tip = np.sqrt(v2(POWER, path))
    assert tip * 1.5 * tip * CONDUCTANCE == pytest.approx(4.0, rel=1e-5)
    assert np.sqrt(v2(VOLTAGE, path)) * 1.5 == pytest.approx(30.0, rel=1e-5)


# --- whole runs, axisymmetric ---------------------------------------------------------------------

STEP_S = 0.5


@cache
def needle(cooled=False, latent=0.0):
    """18G, 6 mm tip in muscle-like perfused tissue; (r, z)."""
    radius, tip = 0.6e-3, 6e-3
    grading = {"finest": 3e-4, "growth": 1.2, "coarsest": 4e-3}
    r = Axis(graded_faces([0.0, radius], 0.0, 0.03, **grading), radial=True)
    z = Axis(graded_faces([0.0, tip], -0.03, 0.036, **grading))
    grid = TensorGrid((r, z))
    rod = straight_rod(radius, tip, 0.1)
    made = control(
        (0.0, 0.0, 1e-3), coolant_film=3000.0 if cooled else 0.0, coolant_c=10.0, coolant_length=tip
    )
    substance = tissue(grid.shape, slope=0.015, perfusion=2.5e3, perfusion_stops=True, latent=latent)
    boundary = Boundary("open", BODY_C, centre=(0, 0, tip / 2))
    return assemble(grid, (rod,), substance, boundary, made)


def phases(mode, value, seconds, ramp=5.0, **rest):
    if mode == TEMPERATURE:
        return (
            Phase(ramp, mode, BODY_C, value),
            Phase(seconds - ramp, mode, value, value, refresh_s=2.0),
        )
    return (Phase(seconds, mode, value, value, refresh_s=2.0, **rest),)


RUNS = {
    "temperature": (phases(TEMPERATURE, 80.0, 60.0), {}),
    "short": (phases(TEMPERATURE, 80.0, 15.0), {}),
    "power": (phases(POWER, 1.5, 30.0), {}),
    "voltage": (phases(VOLTAGE, 12.0, 30.0), {}),
    "pulsed": (phases(VOLTAGE, 45.0, 60.0, duty=0.04, ceiling_c=42.0), {}),
    "cooled": (phases(POWER, 4.0, 30.0), {"cooled": True}),
    "boiling": (phases(POWER, 8.0, 20.0), {"latent": 1.8e9}),
}


@cache
def treated(name, limits=FREE):
    stretch, kind = RUNS[name]
    boils = "latent" in kind
    return run(needle(**kind), limits, make_steps(stretch, STEP_S), tolerance=1e-4, vaporises=boils)


@pytest.mark.parametrize("name", list(RUNS))
def test_what_goes_in_stays_or_comes_out(name):
    found = energy_of(treated(name))
    assert found.error < 0.01
    assert found.supplied_j > 5.0
    assert found.stored_j > 0
    trace, times = treated(name).trace, treated(name).time_s
    dt = np.diff(np.concatenate([[0.0], times]))
    # Volts and amperes of the trace tell the same story as the balance, to the order of the steps.
    amperes = trace.voltage / trace.impedance
    duty = 0.04 if name == "pulsed" else 1.0
    np.testing.assert_allclose(trace.voltage * amperes * duty, trace.power, rtol=2e-3, atol=1e-4)
    assert (trace.power * dt).sum() == pytest.approx(found.supplied_j, rel=0.1)


def test_no_term_of_the_balance_is_a_residual():
    """Spoil any one of them and the error says so."""
    found = treated("cooled")
    for term in (0, 3, 4, 5):
        energy = found.state.energy.copy()
        energy[term] += 0.03 * energy[0]
        spoilt = found._replace(state=found.state._replace(energy=energy))
        assert energy_of(spoilt).error > 0.015
    assert energy_of(found._replace(stored_j=1.1 * found.stored_j)).error > 0.01


def test_a_solver_that_loses_heat_is_found_out(monkeypatch):
    """Three per cent of the Joule heat left out: current and voltage still say what went in."""

    def leaky(p, sigma, start, tolerance):
        u, joule, conductance, count = solve_potential(p, sigma, start, tolerance)
        return u, 0.97 * joule, conductance, count

    def chunk(*args, vaporises):
        return treatment._run_chunk(*args, vaporises=vaporises)

    monkeypatch.setattr(treatment, "solve_potential", leaky)
    monkeypatch.setattr(treatment, "run_chunk", jax.jit(chunk, static_argnames=("vaporises",)))
    found = run(needle(), FREE, make_steps(RUNS["power"][0], STEP_S), tolerance=1e-4)
    assert energy_of(found).error == pytest.approx(0.03, abs=0.005)


def test_the_sensor_follows_its_ramp_and_holds():
    found = treated("temperature")
    np.testing.assert_allclose(
        found.trace.sensors[:, 0], np.minimum(37 + 43 * found.time_s / 5, 80), atol=0.15
    )


def test_power_and_voltage_stay_as_set():
    np.testing.assert_allclose(treated("power").trace.power, 1.5, rtol=1e-3)
    np.testing.assert_allclose(treated("voltage").trace.voltage, 12.0, rtol=1e-4)


def test_pulses_heat_by_their_duty_and_the_ceiling_holds():
    trace = treated("pulsed").trace
    assert trace.sensors.max() <= 42.05
    assert trace.sensors.max() > 41.9
    assert trace.voltage[0] == pytest.approx(45.0, rel=1e-4)
    assert trace.voltage[-1] < 45.0


def test_a_cooled_tip_takes_heat_out_and_stays_below_the_tissue():
    found, plain = treated("cooled"), energy_of(treated("cooled"))
    assert plain.out_coolant_j > 0.1 * plain.supplied_j
    assert found.state.temperature.max() > found.trace.sensors[-1, 0] + 5


def test_boiling_tissue_stays_at_a_hundred_degrees_while_it_dries():
    found, times = treated("boiling"), treated("boiling").time_s
    warms = np.interp([80.0, 90.0], found.trace.hottest[:9], times[:9])
    steaming = times[(found.trace.hottest > 99.0) & (found.trace.hottest < 101.0)]
    # Without latent heat two kelvin would take a fifth of what ten took before.
    assert np.ptp(steaming) > 10 * 0.2 * np.ptp(warms)
    # Steam holds back the current: impedance falls with warmth, then rises.
    lowest = int(found.trace.impedance.argmin())
    assert found.trace.impedance[-1] > 1.05 * found.trace.impedance[lowest]
    latent = needle(latent=1.8e9).materials.latent
    steam = np.clip((found.state.temperature - 100.0) / 2.0 + 0.5, 0, 1)
    assert 0.1 < (latent * steam).sum() / found.stored_j < 0.6


@pytest.mark.parametrize(
    ("field", "value"), [("power", 1.0), ("voltage", 9.0), ("current", 0.08), ("path_ohm", 200.0)]
)
def test_a_limited_generator_stays_within_its_limit_and_is_slower(field, value):
    limits = FREE._replace(**{field: value})
    found, free = treated("short", limits).trace, treated("short").trace
    if field == "path_ohm":
        np.testing.assert_allclose(found.sensors, free.sensors, atol=0.2)
        np.testing.assert_allclose(found.impedance - 200.0, free.impedance, rtol=2e-3)
        assert found.power.max() > 1.5 * free.power.max()
        return
    seen = {"power": found.power, "voltage": found.voltage, "current": found.voltage / found.impedance}
    assert seen[field].max() <= value * 1.001
    assert seen[field].max() > value * 0.999
    assert found.sensors.max() < free.sensors.max() - 1.0


@pytest.mark.parametrize("limits", [FREE._replace(low_ohm=500.0), FREE._replace(high_ohm=50.0)])
def test_impedance_out_of_range_stops_the_power_for_good(limits):
    found = treated("short", limits)
    assert bool(found.state.tripped)
    assert found.trace.power.max() == 0.0
    assert found.trace.sensors.max() == pytest.approx(BODY_C, abs=1e-3)


def test_progress_is_told_and_the_run_goes_on_until_the_tip_is_cool():
    told = []
    stretch, _ = RUNS["short"]
    found = run(
        needle(),
        FREE,
        make_steps(stretch, STEP_S),
        progress=lambda share, text: told.append((share, text)),
        cooldown=lambda number: power_off_steps(number, STEP_S),
        cooldown_to_c=43.0,
    )
    assert told[-1][0] == 1.0
    assert [share for share, _ in told] == sorted(share for share, _ in told)
    assert found.trace.sensors[-1, 0] <= 43.0
    assert found.time_s[-1] > 15.0
    assert (found.trace.power[found.time_s > 15.01] == 0).all()
    assert energy_of(found).error < 0.01


def test_a_field_that_is_not_finite_is_an_error_not_a_result():
    problem = needle()
    broken = problem.materials._replace(capacity=problem.materials.capacity * np.float32(np.nan))
    with pytest.raises(SolverError, match="not finite"):
        run(problem._replace(materials=broken), FREE, make_steps(RUNS["short"][0], STEP_S))


def test_steps_of_a_second_are_short_enough():
    """Steps of 1 s against 0.25 s."""
    ends = [
        run(needle(), FREE, make_steps(phases(TEMPERATURE, 80.0, 30.0), step), tolerance=1e-5)
        for step in (1.0, 0.25)
    ]
    np.testing.assert_allclose(ends[0].state.temperature, ends[1].state.temperature, atol=0.25)
    np.testing.assert_allclose(ends[0].trace.power[-1], ends[1].trace.power[-1], rtol=0.01)


def test_a_grid_of_the_plan_is_that_of_its_rods():
    grid = build_grid((straight_rod(0.6e-3, 6e-3, 0.1),), 0.4, Numerics(extent_mm=30.0))
    faces = grid.axes[2].faces
    assert np.abs(faces).min() < 1e-9
    assert np.abs(faces - 6e-3).min() < 1e-9
    for axis in grid.axes[:2]:
        assert np.abs(axis.centres).min() < 1e-9
