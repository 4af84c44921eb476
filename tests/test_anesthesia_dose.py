"""The dose check: caps kept side by side, weight rules, modifiers, and no slip by ten unnoticed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neurolysis.anesthesia.agents import agent, agents
from neurolysis.anesthesia.dose import Person, check_session, usable_weight
from neurolysis.case import GivenInjection
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.readings import reading, readings

ON = date(2026, 11, 1)
HEALTHY = {"heart_failure": False, "liver_disease": False, "renal_failure": False, "debilitated": False}


def person(**changes: Any) -> Person:
    known: dict[str, Any] = {
        "weight_kg": 80,
        "weight_date": date(2026, 10, 1),
        "height_cm": 180,
        "sex": "male",
        "age": 50,
        "pregnant": False,
        "conditions": HEALTHY,
    }
    return Person(**{**known, **changes})


def injection(**changes: Any) -> GivenInjection:
    known: dict[str, Any] = {
        "agent": "lidocaine",
        "concentration_percent": 1.0,
        "volume_ml": 5.0,
        "dose_mg": 50.0,
        "purpose": "skin",
        "site": "infiltration",
    }
    return GivenInjection(**{**known, **changes})


def codes(found: Any) -> set[str]:
    return {notice.code for notice in found.notices}


def test_every_agent_names_readings_that_exist() -> None:
    assert set(agents()) == {
        "lidocaine", "bupivacaine", "levobupivacaine", "ropivacaine", "mepivacaine", "chloroprocaine",
    }  # fmt: skip
    for item in agents().values():
        for cap in item.caps:
            numbers = [cap.per_kg, cap.absolute_mg, cap.per_day_mg, cap.repeat_h]
            printed = " ".join(
                f"{reading(id).text} {reading(id).low} {reading(id).high} {reading(id).conditions}"
                for id in cap.readings
            )
            for number in numbers:
                assert number is None or f"{number:g}" in printed, (item.id, cap)


def test_a_small_dose_of_a_known_patient_is_within_every_limit() -> None:
    found = check_session([injection()], person(), ON)
    assert found.answer == "within every limit"
    assert found.needs == ()
    assert found.total_mg == {"lidocaine": 50}
    # the lower of 80 kg and 50 + 0.91 (180 - 152.4) = 75.1 kg
    assert found.weight_used_kg == pytest.approx(75.116)
    caps = {check.text: check for check in found.caps}
    assert caps["300 mg and 4.5 mg/kg of 75.1 kg, plain"].limit_mg == 300
    governs = [check for check in found.caps if check.governs]
    assert [check.limit_mg for check in governs] == [pytest.approx(3 * 70)]  # the nomogram, ideal up to 70 kg


def test_the_lowest_of_conflicting_caps_governs_and_all_are_shown() -> None:
    found = check_session([injection(volume_ml=22, dose_mg=220)], person(), ON)
    assert found.answer == "over a limit"
    assert {"dose.cap", "dose.over"} <= codes(found)
    over = {check.who for check in found.caps if (check.share or 0) > 1}
    assert over == {"nomogram of Williams and Walker"}
    assert len(found.caps) == 2


def test_epinephrine_caps_hold_only_where_every_dose_has_it() -> None:
    both = [injection(epinephrine_mcg_per_ml=5, volume_ml=20, dose_mg=200), injection(minutes=5)]
    assert all("plain" in check.text for check in check_session(both, person(), ON).caps)
    assert all("with epinephrine" in check.text for check in check_session(both[:1], person(), ON).caps)


def test_agents_and_earlier_doses_add_up() -> None:
    lidocaine = injection(volume_ml=12, dose_mg=120)
    bupivacaine = injection(
        agent="bupivacaine", concentration_percent=0.5, volume_ml=20, dose_mg=100, site="epidural"
    )
    alone = [check_session([one], person(), ON) for one in (lidocaine, bupivacaine)]
    together = check_session([lidocaine, bupivacaine], person(), ON)
    assert all(one.answer == "within every limit" for one in alone)
    assert together.cap_share == pytest.approx(sum(one.cap_share or 0 for one in alone))
    assert together.answer == "over a limit"
    assert "dose.mixed" in codes(together)
    earlier = check_session([injection(minutes=-30, volume_ml=12, dose_mg=120), lidocaine], person(), ON)
    assert earlier.answer == "over a limit"


@pytest.mark.parametrize(
    ("changes", "needs"),
    [
        ({"weight_kg": None}, "a weight, measured within 90 days"),
        ({"weight_date": date(2026, 7, 1)}, "a weight, measured within 90 days"),
        ({"weight_date": date(2026, 12, 1)}, "a weight, measured within 90 days"),
        ({"weight_date": None}, "the date of the weight"),
        ({"height_cm": None}, "height and sex of an adult, for the ideal weight"),
        ({"age": None}, "age"),
        ({"conditions": {**HEALTHY, "liver_disease": None}}, "liver disease"),
        ({"sex": "female", "pregnant": None}, "pregnancy"),
        ({"sex": "female", "pregnant": True}, "by how much to reduce for pregnancy (amount unknown)"),
        (
            {"conditions": {**HEALTHY, "renal_failure": True}},
            "by how much to reduce for kidney failure (amount unknown)",
        ),
    ],
)
def test_what_is_not_known_withholds_the_green_answer(changes: dict[str, Any], needs: str) -> None:
    found = check_session([injection()], person(**changes), ON)
    assert found.answer == "cannot say"
    assert needs in found.needs


def test_a_weight_of_ninety_days_counts_and_of_ninety_one_does_not() -> None:
    assert usable_weight(person(weight_date=date(2026, 8, 3)), ON)[0] is not None
    assert usable_weight(person(weight_date=date(2026, 8, 2)), ON)[0] is None


def test_known_modifiers_lower_the_cap_once() -> None:
    old = check_session([injection()], person(age=70, conditions={**HEALTHY, "liver_disease": True}), ON)
    governing = next(check for check in old.caps if check.governs)
    assert governing.reduced_mg == pytest.approx(0.7 * 210)
    assert old.answer == "within every limit"


def test_chloroprocaine_has_caps_but_no_green_answer() -> None:
    found = check_session(
        [injection(agent="chloroprocaine", concentration_percent=2, volume_ml=5, dose_mg=100)], person(), ON
    )
    assert found.answer == "cannot say"
    assert "plasma kinetics of chloroprocaine (none were read)" in found.needs


def test_a_strength_nobody_was_read_to_use() -> None:
    assert "dose.strength" in codes(
        check_session([injection(concentration_percent=10, dose_mg=500)], person(), ON)
    )
    with pytest.raises(UnknownNameError, match="novocaine"):
        check_session([injection(agent="novocaine")], person(), ON)


def test_strength_is_given_once_and_agrees_with_the_dose() -> None:
    assert injection(concentration_percent=None, concentration_mg_per_ml=10).mg == 50
    for wrong in (
        {"concentration_mg_per_ml": 10},
        {"concentration_percent": None},
        {"dose_mg": 500.0},
        {"concentration_percent": 0.0, "dose_mg": None},
        {"concentration_percent": 101.0, "dose_mg": None},
        {"volume_ml": -5.0},
    ):
        with pytest.raises(ValidationError):
            injection(**wrong)


REAL = st.sampled_from([(name, s.percent) for name, item in agents().items() for s in item.strengths])


@settings(max_examples=200, deadline=None)
@given(
    real=REAL,
    volume=st.floats(0.2, 40),
    slip=st.sampled_from(["concentration_percent", "volume_ml", "dose_mg"]),
    factor=st.sampled_from([0.1, 10.0]),
)
def test_no_slip_by_ten_passes_unnoticed(
    real: tuple[str, float], volume: float, slip: str, factor: float
) -> None:
    name, percent = real
    right = {"concentration_percent": percent, "volume_ml": volume, "dose_mg": 10 * percent * volume}
    wrong = {**right, slip: right[slip] * factor}
    assume(wrong["volume_ml"] <= 200)
    with pytest.raises(ValidationError):
        injection(agent=name, **wrong)
    # without the dose there is nothing to agree with: then the answer is never green
    unconfirmed = (
        injection(agent=name, **{**wrong, "dose_mg": None}) if wrong["concentration_percent"] <= 10 else None
    )
    if unconfirmed is not None:
        found = check_session([unconfirmed], person(), ON)
        assert found.answer != "within every limit"
        assert codes(found) & {"dose.unconfirmed", "dose.strength"}


def test_a_bad_table_is_refused(tmp_path: Any) -> None:
    from neurolysis.errors import InputError
    from neurolysis.evidence.readings import COLUMNS, read_table

    row = next(iter(readings().values()))
    assert row.id == "A1-01"
    head = ",".join(COLUMNS)
    source = '"Lui ACP et al. 1998 Can J Anaesth 45:297 | doi 10.1007/BF03012018 (abstract)"'
    good = f"X-1,{source},what,1,0,2,u,c"
    assert read_table(f"{head}\n{good}\n")["X-1"].number == 1
    for text, says in (
        (f"id,what\n{good}", "wrong columns"),
        (f"{head}\n{good}\n{good}", "given twice"),
        (f"{head}\nX-1,,what,1,0,2,u,c", "needs a source"),
        (f"{head}\nX-1,my memory,what,1,0,2,u,c", "needs a source"),
        (f"{head}\nX-1,{source},what,1,3,2,u,c", "low is above high"),
        (f"{head}\nX-1,{source},what,1,few,2,u,c", "a bound is a number"),
    ):
        with pytest.raises(InputError, match=says):
            read_table(text)
    assert agent("lidocaine").minutes("onset", epinephrine=False) == (10, 20)


def test_a_body_that_no_adult_has_is_never_green() -> None:
    """A height slip (50 cm) gives no ideal weight; nothing is predicted for 28 kg or 260 kg."""
    assert usable_weight(person(height_cm=50), ON)[2] == ("height and sex of an adult, for the ideal weight",)
    for weight in (28, 260):
        found = check_session([injection()], person(weight_kg=weight, height_cm=None), ON)
        assert found.answer == "cannot say"
        assert any(f"plasma kinetics for {weight} kg" in need for need in found.needs)
        assert found.levels == ()


def test_every_cap_counts_on_the_lower_of_actual_and_ideal_weight() -> None:
    """A tall thin patient: the nomogram's ideal weight (75 kg, cut at 70) gives way to the actual 52 kg."""
    thin = check_session([injection(volume_ml=16, dose_mg=160)], person(weight_kg=52), ON)
    assert {check.limit_mg for check in thin.caps} == {4.5 * 52, 3 * 52}
    assert thin.answer == "over a limit"
    unweighed = check_session([injection()], person(weight_kg=None), ON)
    assert [check.limit_mg for check in unweighed.caps] == [300, 3 * 70]


def test_limits_in_mg_hold_without_a_weight() -> None:
    """Nothing is known of the patient: 400 mg of plain lidocaine still passes the printed 300 mg."""
    much = injection(volume_ml=40, dose_mg=400)
    found = check_session([much], Person(), ON)
    assert found.answer == "over a limit"
    assert "dose.cap" in codes(found)
    assert check_session([injection()], Person(), ON).answer == "cannot say"


def test_no_injection_is_no_green_answer() -> None:
    assert check_session([], person(), ON).answer == "cannot say"


def test_the_days_limit_says_the_labels_interval() -> None:
    given = injection(agent="bupivacaine", concentration_percent=0.5, dose_mg=25)
    found = check_session([given], person(), ON)
    assert "400 mg in 24 h; label: not repeated within 3 h" in {check.text for check in found.caps}
