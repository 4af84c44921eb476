"""The nerve as a band in its bed: exact solutions, conserved quantities, cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from neurolysis.errors import InputError
from neurolysis.physics.mechanics import (
    Band,
    Motion,
    Relaxation,
    continuation_n_per_m,
    curve_pressure_pa,
    solve_band,
    solve_history,
    stations,
)

EA, K, LENGTH = 1.2, 5e4, 0.1
LAG = float(np.sqrt(EA / K))


def uniform(count: int, *, bed_pa: float = K, pre: float = 0.0, length: float = LENGTH) -> Band:
    """A band of one stiffness on one bed."""
    nodes = np.linspace(0, length, count + 1)
    return Band(nodes, np.full(count, EA), np.full(count, bed_pa), np.full(count, pre), np.zeros(count + 1))


def still(band: Band, **rest: float | None) -> Motion:
    """A bed that does not move."""
    return Motion(np.zeros(len(band.nodes_m)), **rest)  # type: ignore[arg-type]


# ---------------------------------------------------------------- exact solutions


def pulled_error(count: int) -> tuple[float, float]:
    """Errors of displacement and strain of a bound nerve pulled at its end: U cosh(s/l) / cosh(L/l)."""
    band = uniform(count)
    found = solve_band(band, still(band, end_m=1e-3))
    exact = 1e-3 * np.cosh(band.nodes_m / LAG) / np.cosh(LENGTH / LAG)
    strain = 1e-3 * np.sinh(band.middles_m / LAG) / LAG / np.cosh(LENGTH / LAG)
    return float(np.abs(found.displacement_m - exact).max()), float(np.abs(found.strain - strain).max())


def test_a_bound_nerve_pulled_at_its_end_converges_with_the_square_of_the_step() -> None:
    errors = np.array([pulled_error(count) for count in (100, 200, 400, 800)])
    rates = np.log2(errors[:-1] / errors[1:])
    assert np.all(rates[1:] > 1.9), rates
    assert errors[-1, 0] < 2e-5 * 1e-3


def test_the_force_at_the_pulled_end_is_that_of_shear_lag() -> None:
    band = uniform(1600)
    found = solve_band(band, still(band, end_m=1e-3))
    exact = EA * 1e-3 / LAG * np.tanh(LENGTH / LAG)
    assert found.held_n.sum() == pytest.approx(-exact, rel=1e-4)


def test_a_stretched_bed_hands_its_strain_over_within_the_lag_length() -> None:
    band = uniform(800)
    found = solve_band(band, Motion(0.1 * band.nodes_m))
    half = LENGTH / 2
    exact = 0.1 * (1 - np.cosh((band.middles_m - half) / LAG) / np.cosh(half / LAG))
    assert np.abs(found.strain - exact).max() < 1e-5


def test_a_tether_in_a_long_nerve_takes_its_share() -> None:
    """Bed and tether against an end pull: two half-infinite nerves of spring sqrt(EA k) beside the tether."""
    count, spring = 4000, 300.0
    band = uniform(count, bed_pa=2000.0, length=1.0)
    springs = np.zeros(count + 1)
    springs[count // 2] = spring
    bed = np.zeros(count + 1)
    tethered = replace(band, springs_n_per_m=springs)
    bed[count // 2] = 0.0
    pulled = solve_band(tethered, replace(Motion(bed), end_n=0.5))
    lag = np.sqrt(EA / 2000.0)
    end = continuation_n_per_m(EA, 2000.0)
    arriving = 0.5 / end * np.exp(-0.5 / lag)  # the pull alone, halfway along a long nerve
    exact = arriving * 2 * end / (2 * end + spring)
    assert pulled.displacement_m[count // 2] == pytest.approx(exact, rel=2e-3)


def test_the_spring_at_an_end_stands_for_an_endless_nerve() -> None:
    """A short piece with springs answers like the middle of a long nerve."""
    bed_pa = 500.0
    long = uniform(6000, bed_pa=bed_pa, length=3.0)
    bed = 0.005 * np.clip((long.nodes_m - 1.45) / 0.1, 0, 1) - 0.0025
    whole = solve_band(long, Motion(bed))
    inside = (long.nodes_m >= 1.4 - 1e-9) & (long.nodes_m <= 1.6 + 1e-9)
    nodes = long.nodes_m[inside]
    n = len(nodes) - 1
    springs = np.zeros(n + 1)
    springs[[0, -1]] = continuation_n_per_m(EA, bed_pa)
    short = Band(nodes, np.full(n, EA), np.full(n, bed_pa), np.zeros(n), springs)
    part = solve_band(short, Motion(bed[inside]))
    assert np.abs(part.displacement_m - whole.displacement_m[inside]).max() < 2e-3 * 0.0025


def test_patch_a_free_gliding_nerve_stretches_evenly_on_any_mesh() -> None:
    nodes = np.array([0.0, 0.001, 0.011, 0.012, 0.05, 0.1])
    n = len(nodes) - 1
    band = Band(nodes, np.full(n, EA), np.zeros(n), np.full(n, 0.02), np.zeros(n + 1))
    found = solve_band(band, still(band, start_m=0.0, end_m=0.004))
    assert np.allclose(found.displacement_m, 0.04 * nodes, rtol=1e-12)
    assert np.allclose(found.tension_n, EA * 0.06, rtol=1e-12)


def test_unequal_pieces_in_a_row_share_the_force_not_the_strain() -> None:
    band = replace(uniform(2, bed_pa=0.0), stiffness_n=np.array([1.0, 3.0]))
    found = solve_band(band, still(band, start_m=0.0, end_m=0.004))
    assert found.tension_n == pytest.approx([0.06, 0.06])
    assert found.strain == pytest.approx([0.06, 0.02])


# ---------------------------------------------------------------- slack


def test_a_shortened_nerve_folds_and_carries_nothing() -> None:
    band = uniform(50, bed_pa=0.0)
    found = solve_band(band, still(band, start_m=0.0, end_m=-0.01))
    assert found.tension_n.max() == 0.0
    assert float((found.strain * band.lengths_m).sum()) == pytest.approx(-0.01)


def test_resting_strain_is_used_up_before_slack() -> None:
    band = uniform(50, bed_pa=0.0, pre=0.05)
    taut = solve_band(band, still(band, start_m=0.0, end_m=-0.004))
    slack = solve_band(band, still(band, start_m=0.0, end_m=-0.006))
    assert taut.tension_n == pytest.approx(EA * 0.01)
    assert slack.tension_n.max() == pytest.approx(0.0, abs=1e-12)


def test_a_tight_piece_beside_a_slack_one_by_hand() -> None:
    """A band tied in its middle: the right half is pulled by 2 mm, the left half pushed together by 1 mm."""
    band = uniform(100, bed_pa=0.0)
    springs = np.zeros(101)
    springs[50] = 1e9
    found = solve_band(replace(band, springs_n_per_m=springs), still(band, start_m=0.001, end_m=0.002))
    assert found.tension_n[50:] == pytest.approx(EA * 0.04, rel=1e-6)
    assert found.tension_n[:50].max() == pytest.approx(0.0, abs=1e-9)
    assert found.strain[:50].mean() == pytest.approx(-0.02, rel=1e-4)


def test_a_cut_nerve_draws_back_by_its_resting_strain() -> None:
    band = uniform(100, bed_pa=0.0, pre=0.1).cut(0.045, 0.055)
    found = solve_band(band, still(band, start_m=0.0, end_m=0.0))
    assert found.tension_n.max() == pytest.approx(0.0, abs=1e-9)
    assert found.displacement_m[45] == pytest.approx(-0.1 * 0.045, rel=1e-6)
    assert found.displacement_m[55] == pytest.approx(0.1 * 0.045, rel=1e-6)


# ---------------------------------------------------------------- conserved


def test_work_done_is_energy_stored() -> None:
    """Along a growing movement the work of end and bed goes into nerve and bed."""

    def gap(parts: int) -> float:
        band = replace(uniform(80), bed_pa=np.where(np.arange(80) < 30, 4e4, 50.0))
        whole = Motion(0.05 * band.nodes_m * np.sin(40 * band.nodes_m), end_m=0.003)
        work, before = 0.0, None
        for share in np.linspace(0, 1, parts + 1):
            motion = whole.scaled(float(share))
            now = solve_band(band, motion)
            pull = -float(now.held_n.sum())
            if before is not None:
                state, bed, old_pull = before
                work += 0.5 * float((state.held_n + now.held_n) @ (motion.bed_m - bed))
                end = now.displacement_m[-1] - state.displacement_m[-1]
                work += 0.5 * (old_pull + pull) * float(end)
            before = (now, motion.bed_m, pull)
        assert before is not None
        return abs(work - before[0].energy_j) / before[0].energy_j

    errors = [gap(parts) for parts in (20, 80)]
    assert errors[-1] < 1e-3
    assert errors[-1] <= errors[0] + 1e-12


@settings(max_examples=60, deadline=None)
@given(
    arrays(float, 30, elements=st.floats(0.05, 50)),
    arrays(float, 30, elements=st.one_of(st.just(0.0), st.floats(1e-2, 1e6))),
    arrays(float, 30, elements=st.floats(-0.05, 0.2)),
    arrays(float, 31, elements=st.floats(-0.01, 0.01)),
    st.floats(-0.02, 0.02),
)
def test_forces_balance_and_no_element_pushes(
    stiffness: np.ndarray, bed: np.ndarray, pre: np.ndarray, moved: np.ndarray, end: float
) -> None:
    nodes = np.linspace(0, 0.1, 31)
    band = Band(nodes, stiffness, bed, pre, np.where(np.arange(31) == 10, 500.0, 0.0))
    found = solve_band(band, Motion(moved, end_m=end))
    assert found.balance_error < 1e-6
    assert found.tension_n.min() >= 0.0
    slack = found.strain < 0
    assert np.all(found.tension_n[slack] <= 1e-9 * max(1.0, stiffness.max()))
    again = solve_band(band, Motion(moved, end_m=end), start=np.full(31, 0.05))
    assert np.abs(again.tension_n - found.tension_n).max() <= 1e-5 * max(found.tension_n.max(), 1e-6)


@settings(max_examples=30, deadline=None)
@given(st.floats(0.1, 1e6), st.floats(0.0, 0.1), st.floats(0.01, 0.09))
def test_freeing_the_whole_scar_is_the_unscarred_nerve_and_more_scar_never_lowers_the_peak(
    scar: float, low: float, width: float
) -> None:
    nodes = np.linspace(0, 0.2, 101)
    plain = Band(nodes, np.full(100, EA), np.full(100, 50.0), np.zeros(100), np.zeros(101))
    part = plain.between(low, low + width)
    held = replace(plain, bed_pa=np.where(part, 50.0 + scar, 50.0))
    bed = 0.008 * np.clip((nodes - 0.07) / 0.05, 0, 1)
    assert np.array_equal(held.freed(low, low + width, 50.0).bed_pa, plain.bed_pa)
    free, bound = (solve_band(band, Motion(bed)) for band in (plain, held))
    assert bound.energy_j >= free.energy_j - 1e-12  # a stiffer bed stores more: minimum of a larger energy


# ---------------------------------------------------------------- relaxation


def test_a_held_strain_relaxes_exactly_whatever_the_steps() -> None:
    solid = Relaxation.through(0.48, 3600.0, 600.0)
    band = uniform(10, bed_pa=0.0)
    held = still(band, start_m=0.0, end_m=0.006)
    for times in ([0.0, 3600.0], [0.0, 10.0, 100.0, 1000.0, 3600.0]):
        states = list(solve_history(band, [held] * len(times), times, solid))
        shares = [float(s.tension_n[0] / states[0].tension_n[0]) for s in states]
        assert shares == pytest.approx([solid.left(t) for t in times], rel=1e-9)
    assert solid.left(3600.0) == pytest.approx(0.52)


def test_a_ramp_gives_the_exact_stress_of_the_solid() -> None:
    """Strain rate r from rest: N = EA (r t (1 - share) + share r T (1 - exp(-t / T)))."""
    solid, rate = Relaxation(0.4, 50.0), 1e-3
    band = uniform(4, bed_pa=0.0)
    times = [0.0, 7.0, 30.0, 120.0]
    motions = [still(band, start_m=0.0, end_m=rate * t * LENGTH) for t in times]
    found = [float(s.tension_n[0]) for s in solve_history(band, motions, times, solid)]
    exact = [EA * rate * (t * 0.6 + 0.4 * 50.0 * (1 - np.exp(-t / 50.0))) for t in times]
    assert found == pytest.approx(exact, rel=1e-9, abs=1e-15)


def test_a_divided_nerve_draws_back_partly_at_once_then_fully() -> None:
    solid = Relaxation(0.3, 100.0)
    band = uniform(20, bed_pa=0.0, pre=0.1)
    times = [0.0, *np.linspace(5.0, 2000.0, 400).tolist()]
    states = list(solve_history(band, [still(band, start_m=0.0)] * len(times), times, solid))
    at_once, later = (float(states[k].displacement_m[-1]) for k in (0, -1))
    assert at_once == pytest.approx(-0.7 * 0.1 * LENGTH)
    assert later == pytest.approx(-0.1 * LENGTH, rel=1e-5)


def test_without_memory_a_history_is_a_row_of_elastic_answers() -> None:
    band = uniform(40)
    motions = [Motion(share * 0.1 * band.nodes_m) for share in (0.2, 1.0, 0.5)]
    for state, motion in zip(
        solve_history(band, motions, [0, 1, 2], Relaxation(0.0, 1.0)), motions, strict=True
    ):
        assert state.tension_n == pytest.approx(solve_band(band, motion).tension_n, rel=1e-9, abs=1e-15)


# ---------------------------------------------------------------- bends, nodes, bad input


def test_pressure_of_a_string_round_a_bend() -> None:
    """Half a circle: the force on the bed is twice the tension, the pressure's sum over the diameter."""
    radius, width, tension = 0.02, 0.003, 0.4
    pressure = curve_pressure_pa(np.array([tension]), np.array([1 / radius]), np.array([width]))[0]
    angle = np.linspace(0, np.pi, 2001)
    across = np.trapezoid(pressure * width * radius * np.sin(angle), angle)
    assert across == pytest.approx(2 * tension, rel=1e-6)


def test_stations_hold_every_break_and_no_longer_step() -> None:
    nodes = stations(0.1, [0.0331, 0.0333, 0.2, -1.0], 0.002)
    assert nodes[0] == 0
    assert nodes[-1] == 0.1
    assert np.diff(nodes).max() <= 0.002 + 1e-12
    assert {0.0331, 0.0333} <= set(nodes.tolist())


def test_nothing_that_holds_is_an_error() -> None:
    band = uniform(5, bed_pa=0.0)
    with pytest.raises(InputError, match="nothing holds the nerve"):
        solve_band(band, still(band, end_n=1.0))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("stiffness_n", np.full(5, -1.0), "may not be negative"),
        ("bed_pa", np.full(5, np.nan), "one finite number each"),
        ("springs_n_per_m", np.zeros(5), "one finite number each"),
        ("nodes_m", np.zeros(6), "grow along its course"),
    ],
)
def test_an_impossible_band_is_refused(field: str, value: np.ndarray, says: str) -> None:
    with pytest.raises(InputError, match=says):
        replace(uniform(5), **{field: value})


@pytest.mark.parametrize(("share", "time_s"), [(1.0, 5.0), (-0.1, 5.0), (0.5, 0.0)])
def test_an_impossible_solid_is_refused(share: float, time_s: float) -> None:
    with pytest.raises(InputError, match="relaxation"):
        Relaxation(share, time_s)


def test_a_length_must_be_positive() -> None:
    with pytest.raises(InputError, match="must be positive"):
        stations(0.0, [], 0.001)
