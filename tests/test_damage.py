"""Heat damage and dose over whole histories: closed forms, quadrature, no overflow, monotone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad

from neurolysis.delivery.heat import reactions
from neurolysis.physics.damage import NOTHING, accumulate_cem, accumulate_damage, ln_rate_integral
from neurolysis.physics.problem import Damage

from .simple_problems import BENCH_DAMAGE, box, control, double

PAIRS = {"bench": BENCH_DAMAGE, "nerve": reactions.damage("nerve_heat", None)}


def process(*damages, **rest):
    """A problem of eight cells that knows these processes."""
    faces = np.linspace(0, 1e-2, 3)
    return double(box(faces, faces, faces, control=control(damages=damages, **rest))[0])


PROBLEMS = {name: process(pair) for name, pair in PAIRS.items()}
LIKE_A_RUN = process(reactions.damage("nerve_heat", 43.0), **reactions.dose_constants())


@jax.jit
def _history(problem, temperatures, steps):
    def body(carry, item):
        old, new, dt = item
        damage, dose = carry
        full = jnp.ones((2, 2, 2))
        damage = accumulate_damage(problem, damage, old * full, new * full, dt)
        return (damage, dose + accumulate_cem(problem, old * full, new * full, dt)), None

    start = (jnp.full((1, 2, 2, 2), NOTHING), jnp.zeros((2, 2, 2)))
    (damage, dose), _ = jax.lax.scan(body, start, (temperatures[:-1], temperatures[1:], steps))
    return damage[0, 0, 0, 0], dose[0, 0, 0]


def history(problem, times, temperatures):
    """ln Omega and CEM43 (min) of a temperature that goes straight between samples."""
    found = _history(
        jax.tree.map(jnp.asarray, problem), jnp.asarray(temperatures), jnp.diff(jnp.asarray(times))
    )
    return float(found[0]), float(found[1])


def omega(pair: Damage, temperature, seconds):
    """Omega by adaptive quadrature."""
    rate = lambda t: np.exp(pair.ln_frequency - pair.activation_k / (temperature(t) + 273.15))  # noqa: E731
    return quad(rate, 0, seconds, epsabs=0, epsrel=1e-10, limit=200)[0]


@pytest.mark.parametrize("name", list(PAIRS))
@pytest.mark.parametrize("celsius", [37.0, 45.0, 60.0, 95.0])
def test_constant_temperature_is_rate_times_time(name, celsius):
    pair = PAIRS[name]
    times = np.array([0, 0.25, 0.5, 1.0, 2.0, 30.0, 90.0])
    found, _ = history(PROBLEMS[name], times, np.full(7, celsius))
    assert found == pytest.approx(pair.ln_frequency - pair.activation_k / (celsius + 273.15) + np.log(90))


@pytest.mark.parametrize("name", list(PAIRS))
def test_a_ramp_like_a_generators_in_steps_of_one_second(name):
    """37 to 80 C in 10 s, 80 s at 80 C: within 1 % of quadrature."""
    times = np.arange(0.0, 91.0)
    course = lambda t: 37 + 43 * np.minimum(t / 10, 1)  # noqa: E731
    found, _ = history(PROBLEMS[name], times, course(times))
    exact = np.log(omega(PAIRS[name], course, 10) + omega(PAIRS[name], lambda t: 80.0, 80))
    assert found == pytest.approx(exact, abs=0.01)
    ramp, _ = history(PROBLEMS[name], times[:11], course(times[:11]))
    assert ramp == pytest.approx(np.log(omega(PAIRS[name], course, 10)), abs=0.01)


def test_cooling_counts_like_warming():
    times = np.arange(0.0, 21.0)
    up, _ = history(PROBLEMS["bench"], times, np.linspace(37, 70, 21))
    down, _ = history(PROBLEMS["bench"], times, np.linspace(70, 37, 21))
    assert up == pytest.approx(down, abs=1e-9)


def test_nothing_overflows_at_120_degrees_with_the_nerve_pair_even_in_single_precision():
    single = jax.tree.map(
        lambda x: np.asarray(x, np.float32) if np.asarray(x).dtype == np.float64 else x, PROBLEMS["nerve"]
    )
    hot = jnp.full((2, 2, 2), 120.0, jnp.float32)
    damage = jnp.full((1, 2, 2, 2), NOTHING, jnp.float32)
    for _ in range(5):
        damage = accumulate_damage(single, damage, hot, hot, jnp.float32(90.0))
    pair = PAIRS["nerve"]
    exact = pair.ln_frequency - pair.activation_k / 393.15 + np.log(450.0)
    assert exact > 20
    np.testing.assert_allclose(np.asarray(damage), exact, rtol=1e-4)


def test_below_the_gate_nothing_counts_and_above_it_all_does():
    gated = LIKE_A_RUN
    cold, _ = history(gated, np.array([0.0, 1e6]), np.array([42.9, 42.9]))
    assert cold <= NOTHING / 2
    # The dose passes its gate over a few tenths of a degree.
    assert history(gated, np.array([0.0, 1e6]), np.array([42.5, 42.5]))[1] < 1e-6
    warm, _ = history(gated, np.array([0.0, 60.0]), np.array([44.0, 44.0]))
    assert warm == pytest.approx(history(PROBLEMS["nerve"], np.array([0.0, 60.0]), np.array([44.0] * 2))[0])


def test_dose_of_a_slow_ramp_against_its_integral():
    """CEM43 = integral of 2^(T - 43), nothing below 43 C, held from 45 C on."""
    times = np.arange(0.0, 601.0)
    course = 40 + times / 100
    _, found = history(LIKE_A_RUN, times, course)
    exact = (3 / np.log(2)) * 100 / 60 + 100 / 60 * 4
    assert found == pytest.approx(exact, rel=2e-3)


def test_dose_of_a_generators_ramp_is_right_to_a_second_or_two():
    """4.3 K/s in steps of 1 s: the rate is taken at the middle of the step."""
    times = np.arange(0.0, 11.0)
    _, found = history(LIKE_A_RUN, times, 37 + 4.3 * times)
    exact = (3 / np.log(2) / 4.3 + (80 - 45) / 4.3 * 4) / 60
    assert found == pytest.approx(exact, abs=2.0 / 60)


COURSES = st.lists(st.floats(30.0, 110.0), min_size=3, max_size=3)


@settings(max_examples=60)
@given(COURSES, st.lists(st.floats(0.0, 15.0), min_size=3, max_size=3), st.sampled_from(list(PAIRS)))
def test_hotter_never_counts_less(course, more, name):
    times = np.array([0.0, 4.0, 9.0])
    low = np.array(course)
    for problem in (PROBLEMS[name], LIKE_A_RUN):
        damage, dose = history(problem, times, low)
        hot_damage, hot_dose = history(problem, times, low + np.array(more))
        assert hot_damage >= damage - 1e-9 * abs(damage)
        assert hot_dose >= dose - 1e-12


@settings(max_examples=100)
@given(st.floats(-200, 50), st.floats(-200, 50), st.floats(1e-3, 1e3))
def test_integral_of_a_straight_exponent(a, b, dt):
    found = float(ln_rate_integral(jnp.asarray(a), jnp.asarray(b), jnp.asarray(dt)))
    top = max(a, b)
    exact = quad(lambda s: np.exp(a + (b - a) * s - top), 0, 1, limit=200, points=[0.0, 1.0])[0]
    if abs(a - b) < 50:
        assert found == pytest.approx(np.log(dt) + top + np.log(exact), abs=1e-3)
    assert np.isfinite(found)
