"""Injury against fields made by hand: balls whose chords, distances and chances are known exactly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation
from scipy.special import ndtr
from scipy.stats import ncx2

from neurolysis.errors import InputError
from neurolysis.evidence.kinetics import kinetics
from neurolysis.exposure import LabelledField, LesionCriterion
from neurolysis.geometry import RigidTransform
from neurolysis.injury import CriterionInjury
from neurolysis.nerve.along import Sampler, lesioned_lengths, normal_samples
from neurolysis.nerve.coverage import coverage
from neurolysis.nerve.injury import assess, size_error
from neurolysis.nerve.injury_rules import InjuryRules, injury_rules
from neurolysis.scene import Structure

from .made_by_hand import (
    AXIS,
    LIMITS,
    RADIUS_MM,
    SECONDS,
    SLOPE_C_PER_MM,
    ball,
    block,
    by,
    exposure,
    nerve,
    quantity,
    scene,
    straight,
)

# --- along the nerve ---------------------------------------------------------------------------------


@pytest.mark.parametrize("offset", [0.0, 1.0, 2.5, 3.7])
def test_lesioned_length_of_a_straight_nerve_is_the_chord_of_the_ball(offset):
    found = assess(scene([straight(offset)]), exposure()).target()
    chord = 2 * np.sqrt(RADIUS_MM**2 - offset**2)
    assert by(found, "isotherm_50c").longest_lesioned_mm == pytest.approx(chord, abs=0.06)
    wider = RADIUS_MM + 5 / SLOPE_C_PER_MM
    assert by(found, "isotherm_45c").longest_lesioned_mm == pytest.approx(
        2 * np.sqrt(wider**2 - offset**2), abs=0.06
    )


def test_a_nerve_beyond_the_ball_is_not_touched():
    found = assess(scene([straight(RADIUS_MM + 3)]), exposure()).target()
    assert [item.lesioned_mm for item in found.by_criterion] == [0, 0, 0, 0]
    assert found.coverage == "not covered"
    assert found.grade.grade == "none"
    assert not found.criteria_disagree


def test_the_nerve_fit_reaches_where_its_rate_says():
    fit = kinetics("nerve_heat")
    slope = fit.activation_energy.value / fit.gas_constant_j_per_mol_k
    needed = np.log(1 / SECONDS) - np.log(fit.rate_at_44c.value / 60)
    temperature = 1 / (1 / 317.15 - needed / slope) - 273.15
    reach = RADIUS_MM + (50 - temperature) / SLOPE_C_PER_MM
    found = assess(scene([straight(0.0)]), exposure()).target()
    assert 45 < temperature < 50
    assert by(found, "nerve_arrhenius_1").longest_lesioned_mm == pytest.approx(2 * reach, abs=0.03)


def test_two_lesions_on_one_nerve_do_not_add_up_to_a_continuous_length():
    peak = np.maximum(ball(centre=(-6, 0, 0), radius=2), ball(centre=(6, 0, 0), radius=3))
    found = by(assess(scene([straight(0.0)]), exposure(peak)).target(), "isotherm_50c")
    assert found.longest_lesioned_mm == pytest.approx(6, abs=0.06)
    assert found.lesioned_mm == pytest.approx(10, abs=0.1)


def test_lengths_are_exact_between_stations():
    arc = np.linspace(0, 10, 5)
    values = np.array([[0, 4, 4, 0, 0], [4, 4, 0, 4, 4], [0, 0, 0, 0, 0], [4, 0, 4, 0, 4]], dtype=float)
    longest, total = lesioned_lengths(values, 1.0, arc)
    np.testing.assert_allclose(longest, [2.5 + 2 * 1.875, 2.5 + 1.875, 0, 2 * 1.875])
    np.testing.assert_allclose(total, [6.25, 8.75, 0, 4 * 1.875])


def test_a_station_beyond_the_grid_is_never_lesioned():
    values = np.array([np.nan, 5.0, 5.0, np.nan])
    longest, total = lesioned_lengths(values, 1.0, np.array([0.0, 1.0, 2.0, 3.0]))
    assert (longest, total) == (1.0, 1.0)


def test_parts_beyond_the_grid_are_counted():
    hot = np.full((len(AXIS),) * 3, 60.0)
    found = assess(scene([straight(0.0, half=20)]), exposure(hot)).target()
    assert found.outside_grid_mm == pytest.approx(16, abs=0.26)
    assert by(found, "isotherm_50c").longest_lesioned_mm == pytest.approx(24, abs=0.26)
    inside = np.array(found.profiles["inside_grid"], bool)
    assert set(np.array(found.profiles["peak_temperature_c"])[~inside]) == {37.0}
    assert np.array(found.profiles["omega_nerve_heat"])[~inside].max() < 1e-3


def test_a_nerve_wholly_beyond_the_grid_is_not_covered():
    far = nerve([[50, 0, 0], [60, 0, 0]], sd=1.0)
    found = assess(scene([far]), exposure()).target()
    assert found.outside_grid_mm == pytest.approx(10)
    assert found.coverage == "not covered"
    assert all(item.probability_any == 0 for item in found.by_criterion)


def test_cem43_is_flagged_as_a_lower_bound_and_takes_no_part_in_the_verdict():
    found = assess(scene([straight(0.0)]), exposure()).target()
    held = np.array(found.profiles["cem43_lower_bound"], bool)
    peak = np.array(found.profiles["peak_temperature_c"])
    np.testing.assert_array_equal(held, peak > 45.0)
    assert max(found.profiles["cem43_min"]) == pytest.approx(6.0)
    dose = by(found, "cem43_50")
    assert dose.longest_lesioned_mm == 0
    assert "lower bound" in dose.label
    assert found.coverage == "covered"


def test_a_dose_is_interpolated_in_its_logarithm():
    axis = np.arange(-8.0, 8.1, 2.0)
    mesh = np.meshgrid(axis, axis, axis, indexing="ij")
    dose = np.exp(5 - mesh[0])
    field = {"cem43_min": LabelledField(name="cem43_min", unit="min", array=dose)}
    made = exposure(np.full(dose.shape, 44.0), axis, fields=field)
    at = np.array([[0.7, 0, 0], [-3.3, 1, 1]])
    np.testing.assert_allclose(Sampler.at(made, at).values("cem43_min"), np.exp(5 - at[:, 0]))


def test_killed_fraction_is_that_of_the_nerve_fit_and_the_same_for_every_class():
    peak = np.full((len(AXIS),) * 3, 44.0)
    target = straight(0.0, fibres=("A-delta", "C"))
    found = assess(scene([target]), exposure(peak)).target()
    omega = kinetics("nerve_heat").rate_at_44c.value * SECONDS / 60
    assert set(found.killed_fraction) == {"A-delta", "C"}
    assert found.killed_fraction["C"] == found.killed_fraction["A-delta"]
    np.testing.assert_allclose(found.killed_fraction["C"], 1 - np.exp(-omega), rtol=1e-6)
    assert "dog_rf_histology" in found.selectivity_note
    assert "xu_pollock_1994" in found.selectivity_note


def test_unknown_fibres_get_every_class():
    found = assess(scene([straight(0.0)]), exposure()).target()
    assert set(found.killed_fraction) == {"A-alpha", "A-beta", "A-delta", "B", "C"}
    assert max(found.killed_fraction["C"]) == 1.0


def test_the_grade_is_indeterminate_where_the_nerve_is_reached():
    found = assess(scene([straight(0.0)]), exposure()).target()
    assert found.grade.grade == "indeterminate"
    assert "choi_2016" in found.grade.source
    assert "practice" in found.grade.rule


def test_criteria_disagree_only_beyond_the_stated_amount():
    steep = np.maximum(37.0, 50 + 60 * (ball() - 50) / SLOPE_C_PER_MM)
    flat = assess(scene([straight(0.0)]), exposure()).target()
    sharp = assess(scene([straight(0.0)]), exposure(steep)).target()
    assert flat.criteria_disagree
    assert not sharp.criteria_disagree


def test_damage_start_is_taken_from_the_simulation():
    assert assess(scene([straight(0.0)]), exposure()).damage_start == "43 C"


# --- position ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("offset", "sd"), [(0.0, 2.0), (3.0, 1.5), (5.0, 2.0)])
def test_chances_agree_with_the_closed_form(offset, sd):
    """The moved nerve passes the ball's centre at a distance whose square is non-central chi squared."""
    found = by(assess(scene([straight(offset, sd=sd)]), exposure()).target(), "isotherm_50c")
    centrality = (offset / sd) ** 2
    reach_critical = RADIUS_MM**2 - 2.5**2
    any_chance = ncx2.cdf((RADIUS_MM / sd) ** 2, 2, max(centrality, 1e-12))
    critical = ncx2.cdf(reach_critical / sd**2, 2, max(centrality, 1e-12))
    assert found.probability_any == pytest.approx(any_chance, abs=0.015)
    assert found.probability_critical == pytest.approx(critical, abs=0.015)
    worst = ncx2.ppf(0.95, 2, max(centrality, 1e-12)) * sd**2
    expected = 2 * np.sqrt(max(RADIUS_MM**2 - worst, 0))
    assert found.length_p5_mm == pytest.approx(expected, abs=0.25)


def test_without_spread_every_position_is_the_drawn_one():
    found = by(assess(scene([straight(2.0, sd=0)]), exposure()).target(), "isotherm_50c")
    assert (found.probability_any, found.probability_critical) == (1.0, 1.0)
    assert found.length_p5_mm == found.length_p95_mm == pytest.approx(found.longest_lesioned_mm, abs=1e-9)


def test_the_models_own_error_widens_the_chances():
    """Offset 4.4 mm outside a 4 mm ball: reached only where the size error enlarges it by a tenth."""
    error = quantity(8.0, "%", conditions="lesion size against the bench", standard_deviation=8.0)
    made = exposure(model_errors=(error,))
    found = by(assess(scene([straight(4.4)]), made).target(), "isotherm_50c")
    assert size_error(made) == pytest.approx(0.08)
    assert found.longest_lesioned_mm == 0
    assert found.probability_any == pytest.approx(1 - ndtr(0.1 / 0.08), abs=0.02)


def test_a_size_error_in_millimetres_is_one_of_the_width():
    error = quantity(0.5, "mm", conditions="lesion width", low=-0.5, high=0.5)
    other = quantity(5.0, "ohm", conditions="lesion impedance")
    assert size_error(exposure(model_errors=(error.replace(value=0.0), other))) == pytest.approx(0.25 / 8)


def test_quasi_random_numbers_are_normal_and_the_same_every_time():
    numbers = normal_samples(512, 7)
    np.testing.assert_array_equal(numbers, normal_samples(512, 7))
    np.testing.assert_allclose(numbers.mean(axis=0), 0, atol=0.02)
    np.testing.assert_allclose(numbers.std(axis=0), 1, atol=0.03)


# --- verdict -----------------------------------------------------------------------------------------


def injuries(*rows):
    return [
        CriterionInjury(
            criterion=name,
            label=name,
            longest_lesioned_mm=length,
            lesioned_mm=length,
            probability_critical=chance,
        )
        for name, length, chance in rows
    ]


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([("a", 6, 0.99), ("b", 9, 1.0)], "covered"),
        ([("a", 6, 0.94), ("b", 9, 1.0)], "partly covered"),
        ([("a", 4.9, 0.99), ("b", 9, 1.0)], "partly covered"),
        ([("a", 0, 0.0), ("b", 9, 1.0)], "not covered"),
    ],
)
def test_the_strictest_criterion_rules(rows, expected):
    verdict_found, reason = coverage(
        injuries(*rows), frozenset(), injury_rules(), verdict_allowed=True, outside_mm=0
    )
    assert verdict_found == expected
    assert reason.endswith(f"Hence {expected}.")


def test_an_undecided_criterion_takes_no_part():
    rows = injuries(("a", 0, 0.0), ("b", 9, 1.0))
    assert coverage(rows, frozenset("a"), injury_rules(), verdict_allowed=True, outside_mm=0)[0] == "covered"
    assert (
        coverage(rows, frozenset("ab"), injury_rules(), verdict_allowed=True, outside_mm=0)[0] == "no verdict"
    )


def test_a_delivery_without_verdict_gets_none():
    found = assess(scene([straight(0.0)]), exposure(verdict_allowed=False)).target()
    assert found.coverage == "no verdict"


def test_the_rules_name_sources_and_assumptions():
    rules = injury_rules()
    assert rules.critical_length.basis == "assumption"
    assert "wondergem_1988" in rules.critical_length.source
    with pytest.raises(ValueError, match="power of two"):
        InjuryRules.model_validate({**rules.model_dump(), "samples": 500})


# --- properties --------------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(low=st.floats(41, 60), high=st.floats(41, 60), offset=st.floats(0, 5), sd=st.floats(0.0, 3.0))
def test_a_higher_threshold_never_lesions_more(low, high, offset, sd):
    low, high = min(low, high), max(low, high)
    criteria = tuple(
        LesionCriterion(
            id=name, label=name, field="peak_temperature_c", threshold=value, unit="°C", source="x"
        )
        for name, value in (("low", low), ("high", high))
    )
    axis = np.arange(-12.0, 12.1, 1.0)
    made = exposure(ball(axis), axis, criteria=criteria)
    found = assess(scene([straight(offset, sd=sd)]), made).target()
    loose, strict = by(found, "low"), by(found, "high")
    for name in (
        "longest_lesioned_mm",
        "lesioned_mm",
        "length_p5_mm",
        "probability_any",
        "probability_critical",
    ):
        assert getattr(loose, name) >= getattr(strict, name) - 1e-9


@settings(max_examples=15, deadline=None)
@given(
    angles=st.tuples(*[st.floats(-180, 180)] * 3),
    move=st.tuples(*[st.floats(-300, 300)] * 3),
    offset=st.floats(0, 5),
)
def test_nothing_changes_when_everything_moves_together(angles, move, offset):
    matrix = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    motion = RigidTransform.from_arrays(matrix, move)
    axis = np.arange(-12.0, 12.1, 1.0)
    points = np.array([[-9.0, offset, 1], [0, offset, 0], [9, offset + 1, 0]])
    results = []
    for frame in (RigidTransform(), motion):
        affine = np.eye(4)
        affine[:3, :3] = np.array(frame.rotation)
        affine[:3, 3] = frame.apply([-14.5, -14.5, -14.5])
        image = block(affine=affine)
        mask = np.zeros(image.shape, np.uint8)
        mask[21:25, 10:20, 12:18] = 1
        wall = Structure(
            name="canal", kind="spinal_canal", mask=image.with_array(mask), limits=LIMITS, position_sd_mm=1.0
        )
        made = exposure(ball(axis), axis, frame=frame)
        found = assess(scene([nerve(frame.apply(points), sd=1.5)], [wall], image), made)
        results.append((found.target(), found.structures[0]))
    (still, fixed), (moved, carried) = results
    assert moved.coverage == still.coverage
    for first, second in zip(still.by_criterion, moved.by_criterion, strict=True):
        assert second.longest_lesioned_mm == pytest.approx(first.longest_lesioned_mm, abs=1e-6)
        assert second.probability_any == pytest.approx(first.probability_any, abs=0.005)
        assert second.length_p95_mm == pytest.approx(first.length_p95_mm, abs=1e-3)
    assert carried.peak_temperature_c == pytest.approx(fixed.peak_temperature_c, abs=1e-6)
    assert carried.distance_to_lesion_mm == pytest.approx(fixed.distance_to_lesion_mm, abs=1e-6)


def test_a_nerve_with_one_point_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        nerve([[0, 0, 0]])


def test_a_bad_step_is_refused():
    with pytest.raises(InputError):
        straight(0.0).curve.resample(0)
