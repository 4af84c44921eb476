"""What is numbed, in which order, and the room cards."""

from __future__ import annotations

import math
from datetime import date
from typing import Any

import pytest

from neurolysis.anesthesia.block import (
    Path,
    TargetNerve,
    cylinder_radius_mm,
    plan_block,
    sphere_radius_mm,
)
from neurolysis.anesthesia.cards import cards, lipid_dose, room_cards
from neurolysis.anesthesia.order import order_needs, order_notices
from neurolysis.anesthesia.prepare import prepare
from neurolysis.case import Anaesthesia, Case, GivenInjection, Patient

PATH = Path(length_mm=80, text="", needle_radius_mm=0.64)
UNKNOWN_PATH = Path(length_mm=None, text="skin outside image")
MEDIAL_BRANCH = TargetNerve(name="L2 medial branch", diameter_mm=1.0)
KNOWN = {"heart_failure": False, "liver_disease": False, "renal_failure": False, "debilitated": False}


def injection(purpose: str, volume_ml: float, minutes: float = 0.0, **changes: Any) -> GivenInjection:
    known: dict[str, Any] = {
        "agent": "lidocaine",
        "concentration_percent": 1.0,
        "volume_ml": volume_ml,
        "dose_mg": 10 * volume_ml,
        "purpose": purpose,
        "site": "infiltration",
        "minutes": minutes,
    }
    return GivenInjection(**{**known, **changes})


ALL = (injection("skin", 1), injection("track", 4), injection("target", 0.5, 5))


def block(
    injections: tuple[GivenInjection, ...] = ALL,
    path: Path = PATH,
    nerve: TargetNerve = MEDIAL_BRANCH,
    **times: Any,
) -> Any:
    known = {"lesion_minutes": 30.0, "lesion_lasts_min": 20.0}
    return plan_block(injections, path, nerve, **{**known, **times})


def codes(found: Any) -> set[str]:
    return {notice.code for notice in found}


@pytest.mark.parametrize(("volume", "radius"), [(0.25, 3.9), (0.5, 4.9), (1, 6.2), (2, 7.8), (20, 16.8)])
def test_the_radii_of_the_notes(volume: float, radius: float) -> None:
    assert sphere_radius_mm(volume) == pytest.approx(radius, abs=0.05)


def test_a_cylinder_holds_its_volume() -> None:
    radius = cylinder_radius_mm(4, 80)
    assert math.pi * radius**2 * 80 == pytest.approx(4000)
    assert cylinder_radius_mm(4, 80, share=0.25) == pytest.approx(2 * radius)


def test_a_nerve_of_one_millimetre() -> None:
    """ED95 0.11 mL/mm2 (0.08 to 0.14) times pi/4 mm2."""
    found = block().nerve
    assert found.needed_ml == pytest.approx(0.11 * math.pi / 4)
    assert (found.needed_low_ml, found.needed_high_ml) == pytest.approx(
        (0.08 * math.pi / 4, 0.14 * math.pi / 4)
    )
    assert found.enough is True
    assert "block.spread" in codes(block().notices)
    little = block((*ALL[:2], injection("target", 0.1)))
    assert little.nerve.enough is False
    assert "block.nerve" in codes(little.notices)


def test_all_is_ready() -> None:
    found = block()
    assert found.track.covers is True
    assert found.needs == ()
    assert codes(found.notices) == {"block.spread"}
    assert found.motor_test == "not reliable"
    assert block(ALL[:2]).motor_test == "possible"


def test_what_cannot_be_said() -> None:
    found = block(path=UNKNOWN_PATH, nerve=TargetNerve(name="N"), lesion_minutes=None, lesion_lasts_min=None)
    assert found.track.covers is None
    assert found.nerve.needed_ml is None
    assert {
        "the length of the needle path (skin outside image)",
        "the diameter of N",
        "anaesthesia.lesion_minutes, when the painful part begins",
    } <= set(found.needs)
    assert found.motor_test == "cannot say"


def test_too_early_and_too_long() -> None:
    assert "block.early" in codes(block(lesion_minutes=8.0).notices)
    assert "block.short" in codes(block(lesion_lasts_min=200.0).notices)
    assert {"block.track", "block.skin"} <= codes(block(ALL[2:]).notices)


def test_the_order_is_checked() -> None:
    right = Anaesthesia(order=("stimulation", "anaesthetic", "lesion"), stimulation=True)
    assert order_notices(right) == ()
    wrong = Anaesthesia(order=("anaesthetic", "stimulation", "lesion"), stimulation=True)
    assert codes(order_notices(wrong)) == {"order.wrong"}
    assert order_notices(wrong)[0].severity == "stop"
    assert codes(order_notices(Anaesthesia(order=("lesion", "anaesthetic")))) == {"order.wrong"}
    assert codes(order_notices(Anaesthesia(order=("lesion", "lesion")))) == {"order.twice"}
    assert codes(order_notices(Anaesthesia(order=("anaesthetic", "lesion"), stimulation=True))) == {
        "order.stimulation_missing"
    }
    late = Anaesthesia(
        order=("anaesthetic", "lesion"), injections=(injection("target", 1, 40),), lesion_minutes=30
    )
    assert codes(order_notices(late)) == {"order.late_injection"}


def test_sedation_fasting_and_escort() -> None:
    assert "sedation.not_fasted" in codes(
        order_notices(Anaesthesia(sedation="moderate", fasting_confirmed=False))
    )
    assert "sedation.no_escort" in codes(
        order_notices(Anaesthesia(sedation="minimal", escort_arranged=False))
    )
    assert "sedation.no_answer" in codes(order_notices(Anaesthesia(sedation="deep", stimulation=True)))
    assert "access.none" in codes(order_notices(Anaesthesia(intravenous_access=False)))
    assert len(order_needs(Anaesthesia())) == 5
    assert len(order_needs(Anaesthesia(sedation="deep"))) == 5


@pytest.mark.parametrize(
    ("weight", "bolus", "infusion", "ceiling"),
    [
        (90, 100, "200 to 250 mL over 15 to 20 min", 1080),
        (70, 100, "200 to 250 mL over 15 to 20 min", 840),
        (69.9, 104.9, "17.5 mL/min", 838.8),
        (50, 75, "12.5 mL/min", 600),
    ],
)
def test_lipid_by_weight(weight: float, bolus: float, infusion: str, ceiling: float) -> None:
    found = lipid_dose(weight)
    assert found.bolus_ml == pytest.approx(bolus, abs=0.06)
    assert found.infusion_text == infusion
    assert found.ceiling_ml == pytest.approx(ceiling)
    assert ("exactly 70 kg" in found.rule) == (weight == 70)


def test_every_card_names_its_sources() -> None:
    always = {card.id for card in room_cards(None, {})}
    assert always == {"last", "anaphylaxis", "intravascular", "vasovagal"}
    assert set(cards()) == always | {"hypotension_celiac", "pneumothorax", "spill_fire"}
    everything = room_cards(62, {"celiac": True, "chest": True, "neurolytic": True})
    assert len(everything) == 7
    last = next(card for card in everything if card.id == "last")
    assert "93 mL over 2 to 3 min" in last.doses[0]
    assert "Weight not known" in room_cards(None, {})[0].doses[0]
    others = [card for card in everything if card.id != "last"]
    assert all(card.doses == () for card in others), "no dose was read for them"


def case(**changes: Any) -> Case:
    known: dict[str, Any] = {
        "id": "c",
        "patient": Patient(
            id="p",
            birth_year=1970,
            sex="male",
            weight_kg=80,
            weight_date=date(2026, 10, 1),
            height_cm=180,
            pregnant=False,
        ),
        "allergies": (),
        "anaesthesia": Anaesthesia(
            injections=ALL,
            sedation="none",
            fasting_confirmed=True,
            escort_arranged=True,
            stimulation=True,
            order=("stimulation", "anaesthetic", "lesion"),
            intravenous_access=True,
            lesion_minutes=30,
            lesion_lasts_min=20,
        ),
    }
    return Case(**{**known, **changes})


def prepared(one: Case, **changes: Any) -> Any:
    known: dict[str, Any] = {
        "path": PATH,
        "nerve": MEDIAL_BRANCH,
        "conditions": KNOWN,
        "evidence_version": "e",
    }
    return prepare(one, date(2026, 11, 1), **{**known, **changes})


def test_a_complete_case_is_ready() -> None:
    found = prepared(case())
    assert (found.answer, found.needs) == ("ready", ())
    assert found.dose.answer == "within every limit"


def test_a_missing_fact_is_never_ready() -> None:
    assert prepared(case(allergies=None)).answer == "cannot say"
    assert prepared(case(anaesthesia=None)).answer == "cannot say"
    assert prepared(case(), conditions={}).answer == "cannot say"


def test_an_allergy_to_the_agent_stops() -> None:
    found = prepared(case(allergies=("Lidocaine (rash)",)))
    assert found.answer == "stop"
    assert "allergy.anaesthetic" in codes(found.notices)
    assert prepared(case(allergies=("penicillin",))).answer == "ready"


def test_too_much_stops() -> None:
    heavy = case().anaesthesia.replace(injections=(injection("track", 60),))  # type: ignore[union-attr]
    assert prepared(case(anaesthesia=heavy)).answer == "stop"


@pytest.mark.parametrize(
    ("allergy", "stops"),
    [("Lignocaine", True), ("bupivacaine: rash", True), ("amide anaesthetics", True), ("novocaine", False),
     ("Nesacaine", False), ("local anesthetic (dentist)", True)],
)  # fmt: skip
def test_an_allergy_counts_by_other_names_and_by_class(allergy: str, stops: bool) -> None:
    """Lidocaine is planned: its other name and another amide stand against it, an ester does not."""
    found = codes(prepared(case(allergies=(allergy,))).notices)
    assert ("allergy.anaesthetic" in found) == stops


def test_an_anaesthetic_mixed_into_the_agent_must_be_counted() -> None:
    """What is mixed in is part of the session's dose; contrast is not asked for."""
    missing = prepared(case(), mixed_in="lidocaine 2 % and contrast")
    assert missing.answer == "cannot say"
    assert any("mixed into the agent" in need for need in missing.needs)
    assert prepared(case(), mixed_in="iodinated contrast").answer == "ready"
    plan = case().anaesthesia
    assert plan is not None
    mixed = plan.replace(injections=(*ALL, injection("with the agent", 1, 30)))
    counted = prepared(case(anaesthesia=mixed), mixed_in="lidocaine 2 %")
    assert not any("mixed into the agent" in need for need in counted.needs)
    assert counted.dose.total_mg == {"lidocaine": 65}


def test_a_diagnostic_block_of_the_same_day_spoils_the_motor_test() -> None:
    """Half an hour ago the nerve is still numb; two days ago it is not; without a duration: cannot say."""
    track = (injection("skin", 1), injection("track", 4))
    assert block(track).motor_test == "possible"
    assert block((*track, injection("diagnostic block", 0.5, -30))).motor_test == "not reliable"
    assert block((*track, injection("diagnostic block", 0.5, -2880))).motor_test == "possible"
    unknown = injection("diagnostic block", 0.5, -30, agent="levobupivacaine", concentration_percent=0.5,
                        dose_mg=2.5)  # fmt: skip
    assert block((*track, unknown)).motor_test == "cannot say"


def test_the_cards_asked_for_are_there() -> None:
    """Each emergency has its card; those of a place or an agent only where they belong."""
    always = {"last", "anaphylaxis", "intravascular", "vasovagal"}
    assert {card.id for card in room_cards(70.0, {})} == always
    wanted = {"celiac": True, "chest": True, "neurolytic": True}
    found = {card.id: card for card in room_cards(70.0, wanted)}
    assert set(found) == always | {"hypotension_celiac", "pneumothorax", "spill_fire"}
    assert "exactly 70 kg" in " ".join(found["last"].doses)


def test_pages_and_words_say_why_a_limit_is_lower_and_what_is_arranged() -> None:
    """An old patient's limits are reduced, with the reason; order, fasting and escort stand on the page."""
    from neurolysis.app.anesthetize import Anesthetized, anesthetized_text
    from neurolysis.report.anesthesia_pages import anesthesia_document
    from neurolysis.report.html import page

    old = case(patient=case().patient.replace(birth_year=1940))
    step = prepared(old)
    assert step.dose.applied()[0].name == "age"
    assert "reduce  Elderly: amides are reduced by 30 % (E2-20" in anesthetized_text(Anesthetized(step, ()))
    shown = page(anesthesia_document(old, step))
    for words in ("reduced by 30 %", "stimulation, then anaesthetic, then lesion", "Fasting", "Escort"):
        assert words in shown


# ---------------------------------------------------------------- an open operation


def operated(by: str, **changes: Any) -> Any:
    """A complete case whose treatment is an operation under ``by`` anaesthesia."""
    return prepared(case(**changes), path=Path(text="an open operation", operation=by))  # type: ignore[arg-type]


SKIN_ONLY = Anaesthesia(
    injections=(injection("skin", 5),),
    sedation="general",
    fasting_confirmed=True,
    escort_arranged=True,
    stimulation=False,
    intravenous_access=True,
)


def test_an_operation_is_asked_for_no_needle_path() -> None:
    for by in ("general", "regional", "local"):
        found = operated(by)
        assert found.answer == "ready"
        assert "block.track" not in codes(found.notices)
    assert any("needle path" in need for need in prepared(case(), path=UNKNOWN_PATH).needs)


def test_an_operation_without_named_anaesthesia_is_asked_for_it() -> None:
    found = operated("not named")
    assert found.answer == "cannot say"
    assert [need for need in found.needs if "treatment.protocol.anaesthesia" in need]


def test_general_anaesthesia_needs_no_injections_order_or_times() -> None:
    found = operated("general", anaesthesia=SKIN_ONLY)
    assert (found.answer, codes(found.notices)) == ("ready", set())
    assert (
        found.block.track.text
        == "An open operation: there is no needle track to numb. Its anaesthesia: general."
    )
    none = operated("general", anaesthesia=SKIN_ONLY.replace(injections=()))
    assert not [need for need in none.needs if "injections" in need]
    assert "block.skin" not in codes(none.notices)
    awake = operated("local", anaesthesia=SKIN_ONLY.replace(sedation="none"))
    assert [need for need in awake.needs if "lesion_minutes" in need]


def test_operation_and_plan_of_anaesthesia_may_not_differ() -> None:
    assert "anaesthesia.differs" in codes(operated("local", anaesthesia=SKIN_ONLY).notices)
    assert "anaesthesia.differs" in codes(operated("general").notices)
    assert "anaesthesia.differs" not in codes(operated("regional").notices)
