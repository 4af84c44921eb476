"""Aftercare by hand-made courses: alarms, scores, return of pain, opioids, grades, calendar, bad input."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from neurolysis.aftercare.calendar import calendar, escaped, folded
from neurolysis.aftercare.care import care, follow_up
from neurolysis.aftercare.course import grade, read_course, sign_alarms
from neurolysis.aftercare.rules import instructions, patient_red_flags, watch_list
from neurolysis.app.aftercare import aftercare
from neurolysis.case import Anaesthesia, Case, Medication, Patient
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.outcome import Complication, DiaryDay, Outcome, VitalSigns
from neurolysis.records.careplan import care_plan

ROOT = Path(__file__).resolve().parents[1]
DONE = datetime(2026, 3, 2, 10, 0)
ON = date(2026, 6, 30)
CASE = Case(id="c", patient=Patient(id="p", birth_year=1970), condition="lumbar_facet_pain")


def procedure(**changes: Any) -> dict[str, Any]:
    known = {
        "modality": "rf_conventional",
        "target": "lumbar_medial_branch_L2",
        "side": "left",
        "performed": DONE,
        "baseline_pain": 8,
        "baseline_systolic_mmhg": 120,
    }
    return {**known, **changes}


def diary(*pains: float, start: int = 1) -> tuple[DiaryDay, ...]:
    return tuple(
        DiaryDay(day=DONE.date() + timedelta(days=start + k), pain=pain) for k, pain in enumerate(pains)
    )


def outcome(**changes: Any) -> Outcome:
    return Outcome(**{"case_id": "c", "procedure": procedure(), **changes})


def plan(one: Outcome | None = None, case: Case = CASE, **changes: Any) -> Any:
    known: dict[str, Any] = {"technique": "rf_conventional", "target": "lumbar_medial_branch_L2"}
    return care(case, one, ON, **{**known, **changes})


# ---------------------------------------------------------------- recovery


@pytest.mark.parametrize(
    ("sign", "expected"),
    [
        ({"systolic_mmhg": 145}, ["watch"]),  # 20.8 % above 120
        ({"systolic_mmhg": 144}, []),  # 20 % exactly
        ({"systolic_mmhg": 59}, ["alarm"]),  # 50.8 % below
        ({"oxygen_saturation_percent": 92}, ["watch"]),
        ({"oxygen_saturation_percent": 93}, []),
        ({"oxygen_saturation_percent": 89}, ["alarm"]),
        ({"temperature_c": 38.1}, ["alarm"]),
        ({"temperature_c": 38.0}, []),
        ({"heart_rate_per_min": 180}, []),  # no limit was read
    ],
)
def test_vital_signs(sign: dict[str, float], expected: list[str]) -> None:
    found = sign_alarms((VitalSigns(minutes=5, **sign),), outcome().procedure)
    assert [alarm.level for alarm in found] == expected


def test_no_pressure_alarm_without_a_baseline() -> None:
    without = outcome(procedure=procedure(baseline_systolic_mmhg=None))
    assert sign_alarms((VitalSigns(minutes=5, systolic_mmhg=60),), without.procedure) == ()


def recovered(scale: str, low: int = 0) -> Outcome:
    from neurolysis.scores.recovery import scales

    items: dict[str, int | None] = dict.fromkeys(scales()[scale].items, 2)
    for name in list(items)[:low]:
        items[name] = 1
    return outcome(recovery=({"minutes": 60, "scale": scale, "items": items},))


def test_nobody_goes_home_without_a_score_and_an_escort() -> None:
    escort = CASE.replace(anaesthesia=Anaesthesia(escort_arranged=True))
    alone = CASE.replace(anaesthesia=Anaesthesia(escort_arranged=False))
    assert plan().may_go_home is None
    assert plan(recovered("padss")).may_go_home is None
    assert plan(recovered("padss"), escort).may_go_home is True
    assert plan(recovered("padss", low=2), escort).may_go_home is False
    assert plan(recovered("padss"), alone).may_go_home is False
    room = plan(recovered("aldrete"), blood_pressure_unit="percent")
    assert (room.may_leave_recovery, room.may_go_home) == (True, None)
    with pytest.raises(InputError, match="the site must choose"):
        plan(recovered("aldrete"))


# ---------------------------------------------------------------- course


def test_relief_and_return_by_hand() -> None:
    """Baseline 8, best 2: half of the relief is lost at 5. A return is 14 days in a row at 5 or more."""
    steady = read_course(outcome(diary=diary(*[2] * 40)))
    assert (steady.best_relief_percent, steady.relief_percent, steady.returned) == (75, 75, False)
    back = read_course(outcome(diary=diary(*[2] * 30, *[5] * 14)))
    assert back.returned is True
    assert back.returned_on == DONE.date() + timedelta(days=31)
    short = read_course(outcome(diary=diary(*[2] * 30, *[5] * 13)))
    assert short.returned is False
    broken = read_course(outcome(diary=diary(*[2] * 20, *[6] * 10, 4.9, *[6] * 10)))
    assert broken.returned is False


def test_a_flare_in_the_first_two_weeks_is_no_return() -> None:
    assert read_course(outcome(diary=diary(*[9] * 14, *[2] * 20))).returned is False
    early = read_course(outcome(diary=diary(*[2] * 10)))
    assert early.returned is None
    assert "cannot be judged yet" in early.text


def test_relief_needs_its_baseline() -> None:
    found = read_course(outcome(procedure=procedure(baseline_pain=None), diary=diary(3)))
    assert (found.relief_percent, found.returned) == (None, None)


def test_opioids_before_and_now_and_no_invented_taper() -> None:
    before = CASE.replace(medications=(Medication(name="oxycodone", daily_dose=40, daily_dose_unit="mg"),))
    now = Medication(name="oxycodone", daily_dose=20, daily_dose_unit="mg")
    day = DiaryDay(day=date(2026, 4, 1), pain=2, medications=(now,))
    found = plan(outcome(diary=(day,)), before).opioids
    assert (found.before.total, found.now.total, found.change_percent) == (60, 30, -50)
    assert "the clinician decides" in found.taper.lower()
    assert not any(character.isdigit() for character in found.taper)
    assert any("slow breathing" in text for text in found.watch)
    assert any("withdrawal" in text for text in found.watch)
    ids = {item.id for item in plan(None, before).watch}
    assert "opioid_unchanged" in ids
    assert "opioid_unchanged" not in {item.id for item in plan().watch}


def complication(**changes: Any) -> Complication:
    known: dict[str, Any] = {
        "name": "x",
        "treatment": "none",
        "limits": "nothing",
        "hospital": False,
        "life_threatening": False,
        "died": False,
    }
    return Complication(**{**known, **changes})


@pytest.mark.parametrize(
    ("changes", "ctcae", "clavien"),
    [
        ({}, "1", "I"),
        ({"treatment": "other drugs"}, "2", "II"),
        ({"limits": "instrumental activities"}, "2", "I"),
        ({"limits": "self-care"}, "3", "I"),
        ({"hospital": True, "treatment": "intervention"}, "3", "IIIa"),
        ({"hospital": True, "treatment": "intervention under general anaesthesia"}, "3", "IIIb"),
        ({"life_threatening": True, "treatment": "intensive care, one organ"}, "4", "IVa"),
        ({"treatment": "intensive care, several organs", "life_threatening": True}, "4", "IVb"),
        ({"died": True}, "5", "V"),
        ({"disability_at_discharge": True, "treatment": "other drugs"}, "2", "IId"),
        ({"treatment": None}, "cannot grade", "cannot grade"),
        ({"died": None, "hospital": True}, "at least 3", "cannot grade"),
    ],
)
def test_complications_are_graded(changes: dict[str, Any], ctcae: str, clavien: str) -> None:
    found = grade(complication(**changes))
    assert (found.ctcae, found.clavien_dindo) == (ctcae, clavien)
    assert bool(found.needs) == ("cannot" in f"{ctcae} {clavien}")


# ---------------------------------------------------------------- lists


@pytest.mark.parametrize(
    ("technique", "target", "ids"),
    [
        ("alcohol", "celiac_plexus", {"celiac_pressure", "celiac_diarrhoea", "celiac_aorta"}),
        ("rf_conventional", "trigeminal_ganglion", {"cornea", "chewing", "observation_rf"}),
        ("cryo", "intercostal_nerves", {"pneumothorax", "motor_mixed", "observation_cryo"}),
        ("phenol", "intrathecal_roots", {"bladder", "motor_mixed"}),
    ],
)
def test_the_watch_list_is_of_the_technique_and_target(technique: str, target: str, ids: set[str]) -> None:
    found = {item.id for item in plan(technique=technique, target=target).watch}
    assert ids <= found
    assert "neuro_first_hour" in found
    others = {item.id for item in watch_list()} - found
    assert others


def test_every_line_has_a_source_and_red_flags_fit() -> None:
    for item in (*watch_list(), *instructions(), *patient_red_flags()):
        assert item.source
    face = {item.id for item in plan(technique="rf_conventional", target="trigeminal_ganglion").red_flags}
    back = {item.id for item in plan().red_flags}
    assert "eye" in face - back
    assert {"fever", "legs", "bladder", "sleepy"} <= back


def test_repeat_advice_is_of_the_evidence_or_none_found() -> None:
    assert any("EV172" in row for row in plan().repeat.rows)
    assert "none found" in plan(technique="laser").repeat.text


# ---------------------------------------------------------------- schedule


def test_follow_up_days_and_files() -> None:
    contacts = list(follow_up(DONE.date()))
    assert contacts[0].date_from == date(2026, 3, 3)
    assert contacts[1].date_to == date(2026, 3, 16)
    assert all(item.date_from is None for item in follow_up(None))
    assert all(a.day_from <= a.day_to for a in contacts)


def unfold(text: str) -> list[str]:
    return text.replace("\r\n ", "").split("\r\n")[:-1]


def test_the_calendar_keeps_to_its_standard() -> None:
    made = datetime(2026, 3, 2, tzinfo=UTC)
    text = calendar(plan(outcome()), made)
    assert text.endswith("END:VCALENDAR\r\n")
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    lines = unfold(text)
    assert lines.count("BEGIN:VEVENT") == lines.count("END:VEVENT") == 6
    assert "DTSTART;VALUE=DATE:20260303" in lines
    assert "DTEND;VALUE=DATE:20260304" in lines
    uids = [line for line in lines if line.startswith("UID:")]
    assert len(set(uids)) == 6
    assert uids == [line for line in unfold(calendar(plan(outcome()), made)) if line.startswith("UID:")]
    assert "BEGIN:VEVENT" not in calendar(plan(), made)
    assert escaped("a;b,c\\d\ne") == "a\\;b\\,c\\\\d\\ne"
    long = "SUMMARY:" + "é" * 100
    assert "".join(part[1:] if k else part for k, part in enumerate(folded(long))) == long


def test_the_care_plan_holds_every_contact() -> None:
    bundle = care_plan(plan(outcome()))
    kinds = [entry["resource"]["resourceType"] for entry in bundle["entry"]]
    assert kinds == ["Patient", "CarePlan", *["Appointment"] * 6]
    detail = bundle["entry"][1]["resource"]["activity"][0]["detail"]
    assert detail["scheduledPeriod"] == {"start": "2026-03-03", "end": "2026-03-03"}
    undone = care_plan(plan())
    assert [e["resource"]["resourceType"] for e in undone["entry"]] == ["Patient", "CarePlan"]
    assert undone["entry"][1]["resource"]["activity"][0]["detail"]["scheduledString"].startswith("day 1")
    json.dumps(bundle, allow_nan=False)


# ---------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "wrong",
    [
        {"discharged": DONE - timedelta(hours=1)},
        {"diary": (*diary(2, start=3), *diary(2, start=2))},
        {"diary": (*diary(2, start=3), *diary(2, start=3))},
        {"vital_signs": ({"minutes": 10}, {"minutes": 5})},
        {"vital_signs": ({"minutes": -1},)},
        {"vital_signs": ({"minutes": 1, "oxygen_saturation_percent": 120},)},
        {"diary": ({"day": "2026-04-01", "pain": 11},)},
        {"diary": ({"day": "2026-04-01", "medications": ({"name": "x", "daily_dose": -1},)},)},
        {"complications": ({"name": "x", "onset": "2026-04-02", "resolved": "2026-04-01"},)},
        {"recovery": ({"minutes": 1, "scale": "mine"},)},
        {"surprise": 1},
    ],
)
def test_an_impossible_outcome_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        outcome(**wrong)


@pytest.mark.parametrize(
    ("one", "says"),
    [
        (outcome(diary=(DiaryDay(day=date(2026, 12, 1), pain=1),)), "in the future"),
        (outcome(diary=(DiaryDay(day=date(2026, 1, 1), pain=1),)), "before the procedure"),
        (outcome(procedure=procedure(performed=datetime(2027, 1, 1))), "in the future"),
        (outcome(visits=({"day": date(2026, 1, 1)},)), "before the procedure"),
        (outcome(case_id="other"), "of another case"),
        (
            outcome(recovery=({"minutes": 1, "scale": "padss", "items": {"bleeding": 7}},)),
            "points of an item",
        ),
    ],
)
def test_what_cannot_be_is_an_error(one: Outcome, says: str) -> None:
    with pytest.raises(InputError, match=says):
        plan(one)


def test_names_are_checked() -> None:
    with pytest.raises(UnknownNameError):
        plan(technique="magic")
    with pytest.raises(UnknownNameError):
        plan(target="elbow")


def test_the_command_writes_everything_or_nothing(tmp_path: Path) -> None:
    example = ROOT / "examples" / "trigeminal"
    found = aftercare(example, out=tmp_path / "a", blood_pressure_unit="percent")
    assert sorted(path.name for path in found.files) == [
        "aftercare.html",
        "aftercare.pdf",
        "care-plan.fhir.json",
        "follow-up.ics",
        "going-home.html",
        "going-home.pdf",
    ]
    assert found.plan.on == date(2026, 11, 25)
    german = aftercare(example, out=tmp_path / "g", blood_pressure_unit="percent", language="de")
    sheet = next(path for path in german.files if path.name == "going-home.de.html").read_text()
    assert "Fieber über 38 Grad" in sheet
    assert "nicht von Fachleuten geprüft" in sheet
    with pytest.raises(UnknownNameError):
        aftercare(example, out=tmp_path / "b", blood_pressure_unit="percent", language="xx")
    with pytest.raises(InputError):
        aftercare(example, out=tmp_path / "b")
    assert not (tmp_path / "b").exists()
