"""Pooling against closed forms and simulation; prognosis cell by cell; regrowth by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import beta, betabinom

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.clinical import evidence_row
from neurolysis.evidence.vocabulary import modalities
from neurolysis.nerve.conditions import conditions
from neurolysis.nerve.regeneration import earliest_return
from neurolysis.nerve.targets import targets
from neurolysis.planning.pooling import pooled_mean, pooled_rate, posterior, single_rate
from neurolysis.planning.prognosis import coverage_link, options_for, prognose

HARMS = (
    "Numbness or altered feeling, temporary",
    "Numbness or altered feeling, permanent",
    "Weakness or paralysis",
    "Infection",
    "Bleeding",
    "Allergic reaction",
    "Unintended nerve injury or new nerve pain",
    "Return of the pain",
)


# ---------------------------------------------------------------- pooling


@pytest.mark.parametrize(("events", "counted"), [(0, 10), (5, 10), (10, 10), (58, 62), (1562, 1600)])
def test_one_study_has_the_jeffreys_interval(events: int, counted: int) -> None:
    found = single_rate(events, counted, 0.05)
    expected = beta(events + 0.5, counted - events + 0.5).ppf([0.025, 0.975])
    assert found.value == events / counted
    assert found.low == pytest.approx(min(expected[0], found.value), abs=1e-9)
    assert found.high == pytest.approx(max(expected[1], found.value), abs=1e-9)
    assert found.new_low <= found.low
    assert found.new_high >= found.high
    assert single_rate(events, counted, 0.0)[3:] == pytest.approx((found.low, found.high))


def test_many_alike_studies_pool_to_their_total() -> None:
    """Without spread between them the pooled mean is that of one beta posterior."""
    found = pooled_rate([(30, 100)] * 30)
    low, middle, high = beta(901, 2101).ppf([0.025, 0.5, 0.975])
    assert found.value == pytest.approx(middle, abs=0.003)
    assert (found.low, found.high) == (pytest.approx(low, abs=0.005), pytest.approx(high, abs=0.005))


def test_the_weights_are_the_posterior() -> None:
    """Against the likelihood of another library, at chosen points of the grid."""
    studies = [(3, 20), (10, 25), (4, 9)]
    mean, spread, weight = posterior(studies)

    def expected(i: int, j: int) -> float:
        size = 1 / spread[j] - 1
        a, b = mean[i] * size, (1 - mean[i]) * size
        likelihood = np.prod([betabinom(n, a, b).pmf(x) for x, n in studies])
        return float(likelihood * (1 - spread[j]) ** 2 * np.sqrt(spread[j]))

    pairs = [(80, 5), (120, 20), (200, 40), (160, 60)]
    ratios = [weight[pair] / expected(*pair) for pair in pairs]
    assert ratios == pytest.approx([ratios[0]] * 4, rel=1e-6)


def test_intervals_cover_what_made_the_data() -> None:
    """Of 120 simulated sets of five trials about 95 % of intervals hold the mean they were made with."""
    random = np.random.default_rng(7)
    inside = 0
    for _ in range(120):
        mean, spread = random.uniform(0.02, 0.98), random.beta(1, 3)
        size = 1 / spread - 1
        rates = random.beta(mean * size, (1 - mean) * size, 5)
        _, low, high = pooled_mean([(int(random.binomial(40, rate)), 40) for rate in rates])
        inside += low <= mean <= high
    assert 107 <= inside <= 120


@settings(max_examples=8, deadline=None)
@given(studies=st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=2, max_size=6))
def test_pooled_rates_are_ordered_and_wider_for_a_new_study(studies: list[tuple[int, int]]) -> None:
    found = pooled_rate([(min(x, n + 1), n + 1) for x, n in studies])
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.new_low <= found.low + 0.01
    assert found.new_high >= found.high - 0.01


@pytest.mark.parametrize("wrong", [[(1, 2)], [(3, 2), (1, 2)], [(-1, 2), (1, 2)], [(0, 0), (1, 2)]])
def test_impossible_counts_are_refused(wrong: list[tuple[int, int]]) -> None:
    with pytest.raises(InputError):
        pooled_rate(wrong)


# ---------------------------------------------------------------- prognosis


def test_every_listed_harm_has_a_rate_or_none_found() -> None:
    for name, entry in conditions().items():
        for option in options_for(name):
            titles = [item.title for item in option.harms]
            assert [title for title in HARMS if title not in titles] == [], name
            for item in option.harms:
                assert item.value is not None or item.basis in ("none found", "as printed")
            assert option.technique in entry.techniques
            assert "50 to 90 %" in option.general_claim


def test_months_are_never_filled_in() -> None:
    found = prognose("lumbar_facet_pain", "lumbar_medial_branch", "rf_conventional")
    relief = [item for item in found.benefits if item.outcome == "responder_50"]
    by_month = {month: [item.value for item in relief if item.at_months == month] for month in (1, 3, 6, 12)}
    assert by_month == {1: [None], 3: [33, 39, 64], 6: [26, 49], 12: [None]}
    assert all(len(item.studies) <= 1 for item in relief), "different selections are never pooled"
    assert "33, 16 and 22 %" in " ".join(found.caveats)


def test_one_cell_is_pooled_and_by_the_stated_method() -> None:
    found = prognose("cancer_pain_upper_abdomen", "celiac_plexus", "alcohol")
    pooled = [item for item in (*found.benefits, *found.harms, *found.other) if item.basis == "pooled"]
    assert [item.outcome for item in pooled] == ["harm_any"]
    rows = [evidence_row(study.row) for study in pooled[0].studies]
    assert len({row.study for row in rows}) == len(rows) == 5
    assert len({row.pooling_key for row in rows}) == 1
    expected = pooled_rate([row.fraction for row in rows if row.fraction])
    assert pooled[0].value == pytest.approx(100 * expected.value, rel=1e-4)


def test_survival_is_said_in_words_where_it_applies() -> None:
    for target in ("celiac_plexus", "splanchnic_nerves"):
        said = " ".join(prognose("cancer_pain_upper_abdomen", target, "alcohol").caveats)
        assert "stage IV" in said
        assert "stage III no difference" in said
        assert "still alive" in said
    assert "stage IV" not in " ".join(
        prognose("trigeminal_neuralgia", "trigeminal_ganglion", "glycerol").caveats
    )


def test_comparators_are_no_result_of_the_technique() -> None:
    for name in conditions():
        for option in options_for(name):
            for item in (*option.benefits, *option.harms, *option.duration, *option.other):
                for study in item.studies:
                    row = evidence_row(study.row)
                    assert row.arm in ("treatment", "difference")
                    assert row.modalities == (option.technique,)


def test_nothing_found_stays_nothing() -> None:
    found = prognose("trigeminal_neuralgia", "trigeminal_ganglion", "laser")
    assert all(item.basis == "none found" for item in (*found.benefits, *found.harms, *found.other))
    assert any("No figure was found" in text for text in found.caveats)
    with pytest.raises(UnknownNameError):
        prognose("gout", "trigeminal_ganglion", "laser")


def test_coverage_only_lowers_and_says_how() -> None:
    whole = prognose("trigeminal_neuralgia", "trigeminal_ganglion", "rf_conventional", covered_share=0.5)
    half = prognose(
        "trigeminal_neuralgia",
        "trigeminal_ganglion",
        "rf_conventional",
        covered_share=0.5,
        link="proportional",
    )
    pairs = [
        (a, b) for a, b in zip(whole.benefits, half.benefits, strict=True) if a.unit == "percent" and a.value
    ]
    assert pairs
    for before, after in pairs:
        assert after.value == pytest.approx(0.5 * (before.value or 0))
        assert after.provenance == "assumption"
    assert "Nothing read supports proportion" in half.coverage_link
    assert whole.harms == half.harms
    assert coverage_link("proportional").factor(3.0) == 1.0
    with pytest.raises(UnknownNameError, match="proportional"):
        coverage_link("magic")


# ---------------------------------------------------------------- regrowth

RF = "rf_conventional"


@pytest.mark.parametrize("target", sorted(targets()))
def test_published_returns_are_of_this_target_and_treatment(target: str) -> None:
    """A figure of another target (cervical branches at the celiac plexus) is not listed anywhere."""
    for technique in modalities():
        for figure in earliest_return(target, technique).published:
            row = evidence_row(figure.row)
            assert target in row.targets
            assert technique in row.modalities
            assert row.family in ("duration", "recurrence")


def test_regrowth_by_hand() -> None:
    """90 mm at 1 to 3 mm a day: 30 to 90 days."""
    found = earliest_return("cervical_medial_branch", RF, distance_mm=90)
    assert found.rate_mm_per_day == (1, 3)
    assert found.earliest_months == (pytest.approx(30 / 30.4375), pytest.approx(90 / 30.4375))
    assert "earliest" in found.reason
    assert any(study.row == "EV186" and study.value == 263 for study in found.published)


@pytest.mark.parametrize(
    "target", ["trigeminal_ganglion", "stellate_ganglion", "dorsal_root_ganglion", "ganglion_impar"]
)
def test_regrowth_does_not_apply_to_ganglia(target: str) -> None:
    found = earliest_return(target, RF, distance_mm=50)
    assert not found.applies
    assert found.earliest_months is None
    assert targets()[target].kind == "ganglion"


def test_regrowth_needs_a_distance_and_an_interrupted_nerve() -> None:
    assert earliest_return("genicular_nerves", RF).earliest_months is None
    assert not earliest_return("genicular_nerves", RF, grade="I", distance_mm=20).applies
    assert not earliest_return("genicular_nerves", RF, grade="V", distance_mm=20).applies
    with pytest.raises(InputError, match="above 0 mm"):
        earliest_return("genicular_nerves", RF, distance_mm=0)
