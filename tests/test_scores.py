"""Questionnaires, recovery scores and opioid counting, each against totals made by hand."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from neurolysis.case import Answers, Medication, Score
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.scores.mme import daily_mme, factors, opioid_name
from neurolysis.scores.recovery import recovery_score, scales
from neurolysis.scores.registry import form, instruments, item_values
from neurolysis.scores.scoring import read_total, score

DAY = date(2026, 10, 1)


def answers(name: str, **items: float | None) -> Answers:
    return Answers(
        questionnaire=name, answered=DAY, items={key.lstrip("q"): value for key, value in items.items()}
    )


def filled(name: str, value: float) -> Answers:
    return Answers(questionnaire=name, answered=DAY, items=dict.fromkeys(item_values(name), value))


@pytest.mark.parametrize(
    ("name", "items", "top"), [("phq-9", 9, 3), ("gad-7", 7, 3), ("nrs", 1, 10), ("pgic", 1, 7)]
)
def test_the_highest_answers_give_the_highest_total(name: str, items: int, top: int) -> None:
    assert len(item_values(name)) == items
    found = score(filled(name, top))
    assert found.total == items * top == instruments()[name].maximum


def test_phq_9_by_hand() -> None:
    found = score(answers("phq-9", q1=1, q2=2, q3=3, q4=1, q5=0, q6=2, q7=1, q8=0, q9=0))
    assert (found.total, found.band) == (10, "10-14")
    assert found.reading.startswith("at or above the cut-off")
    assert found.problem == ""
    assert "ask the patient today" in score(answers("phq-9", q9=1)).problem
    assert score(filled("phq-9", 1)).band == "5-9"


def test_gad_7_starts_at_not_at_all() -> None:
    first = form("gad-7")["item"][0]["answerOption"][0]["valueCoding"]
    assert (first["display"], first["code"]) == ("Not at all", "0")


def test_a_missing_item_withholds_the_total() -> None:
    found = score(answers("phq-9", q1=1, q2=None))
    assert found.total is None
    assert found.missing_items == tuple("23456789")
    assert "withheld" in found.problem


def test_wrong_answers_are_refused() -> None:
    with pytest.raises(InputError, match="no such answer"):
        score(answers("phq-9", q1=4))
    with pytest.raises(InputError, match="no such answer"):
        score(answers("nrs", q1=5.5))
    with pytest.raises(InputError, match="no such item"):
        score(answers("phq-9", q10=1))
    with pytest.raises(InputError, match="items of DN4"):
        score(answers("dn4", q1=1))
    with pytest.raises(UnknownNameError, match="phq-9"):
        score(answers("phq9", q1=1))


def typed(name: str, total: float) -> Any:
    item = instruments()[name]
    return read_total(Score(instrument=name, total=total, minimum=item.minimum, maximum=item.maximum))


@pytest.mark.parametrize(
    ("name", "total", "says"),
    [
        ("painDETECT".lower(), 12, "unlikely"),
        ("paindetect", 13, "unclear"),
        ("paindetect", 19, "likely"),
        ("odi", 20, "minimal"),
        ("odi", 21, "moderate"),
        ("odi", 60, "severe"),
        ("odi", 81, "bed-bound"),
        ("dn4", 5, "at or above"),
        ("dn4", 4, "below"),
        ("s-lanss", 12, "at or above"),
    ],
)
def test_typed_totals_read_as_their_sources(name: str, total: float, says: str) -> None:
    found = typed(name, total)
    assert says in f"{found.band} {found.reading}"
    assert found.source


def test_totals_out_of_range_and_unknown_instruments() -> None:
    with pytest.raises(InputError, match="no possible total of DN4"):
        read_total(Score(instrument="dn4", total=12, minimum=0, maximum=20))
    kept = read_total(Score(instrument="our own scale", total=3, minimum=0, maximum=5))
    assert "as entered" in kept.problem


def test_no_item_text_of_a_protected_instrument_is_shipped() -> None:
    shipped = {name for name, item in instruments().items() if item.form}
    assert shipped == {"nrs", "pgic", "phq-9", "gad-7"}
    for name in set(instruments()) - shipped:
        with pytest.raises(InputError, match="not shipped"):
            form(name)


@pytest.mark.parametrize("name", ["aldrete", "padss", "modified_padss"])
def test_recovery_scores(name: str) -> None:
    items = dict.fromkeys(scales()[name].items, 2)
    unit: Any = {"blood_pressure_unit": "percent"} if name == "aldrete" else {}
    found = recovery_score(name, items, **unit)
    assert (found.total, found.ready) == (10, True)
    first, second = list(items)[:2]
    assert recovery_score(name, {**items, first: 1}, **unit).ready is True
    low = recovery_score(name, {**items, first: 1, second: 1}, **unit)
    assert (low.total, low.ready) == (8, False)
    open_score = recovery_score(name, {**items, first: None}, **unit)
    assert (open_score.total, open_score.ready, open_score.missing) == (None, None, (first,))
    for wrong in (3, -1, 1.5, True):
        with pytest.raises(InputError, match="points of an item"):
            recovery_score(name, {**items, first: wrong}, **unit)
    with pytest.raises(InputError, match="no such item"):
        recovery_score(name, {**items, "mood": 1}, **unit)


def test_the_aldrete_unit_is_the_sites_choice() -> None:
    with pytest.raises(InputError, match="the site must choose"):
        recovery_score("aldrete", {})


def drug(name: str, dose: float | None, unit: Any = "mg") -> Medication:
    return Medication(name=name, daily_dose=dose, daily_dose_unit=unit)


def test_mme_by_hand() -> None:
    """30 mg oxycodone x 1.5 + 8 mg hydromorphone x 5 + 200 mg tramadol x 0.2 = 125."""
    found = daily_mme(
        [drug("Oxycodone", 30), drug("hydromorphone", 8), drug("Tramadol SR", 200), drug("ibuprofen", 1200)]
    )
    assert found.total == pytest.approx(125)
    assert found.complete
    assert [part.row for part in found.parts] == ["EV331", "EV328", "EV334"]
    assert "must never be used" in found.warning


def test_methadone_patches_and_buprenorphine_need_a_clinician() -> None:
    drugs = [drug("methadone", 10), drug("fentanyl patch", 25, "mcg/h"), drug("buprenorphine", 8)]
    found = daily_mme(drugs)
    assert (found.total, found.complete) == (0, False)
    assert all(part.reason for part in found.parts)
    signed = daily_mme(drugs, clinician="Dr A")
    assert signed.total == pytest.approx(47 + 60)
    assert not signed.complete, "buprenorphine has no factor"
    with pytest.raises(InputError, match="another unit"):
        daily_mme([drug("fentanyl patch", 25, "mg")], clinician="Dr A")
    with pytest.raises(InputError, match="another unit"):
        daily_mme([drug("morphine", 25, "mcg/h")])
    assert daily_mme([drug("morphine", None)]).parts[0].reason == "the daily dose is not stated"


def test_names_are_told_apart() -> None:
    assert opioid_name("Hydromorphone 2 mg") == "hydromorphone"
    assert opioid_name("Oxymorphone ER") == "oxymorphone"
    assert opioid_name("Fentanyl 25 mcg/h patch") == "fentanyl_transdermal"
    assert opioid_name("Fentanyl lozenge") == "fentanyl"
    assert opioid_name("Pregabalin") is None
    assert factors()["codeine"].value == 0.15
