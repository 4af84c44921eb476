"""Evaluation: predicates with three answers, red flags, causes, blocks, disagreements, suitability."""

from __future__ import annotations

from datetime import date
from itertools import product
from typing import Any

import pytest

from neurolysis.case import (
    Case,
    DiagnosticBlock,
    Finding,
    Medication,
    PainArea,
    Patient,
    ResolvedFlag,
    Target,
)
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evaluation.blocks import read_blocks
from neurolysis.evaluation.body_map import body_areas
from neurolysis.evaluation.causes import candidate_causes
from neurolysis.evaluation.disagreement import disagreements
from neurolysis.evaluation.evaluate import evaluate
from neurolysis.evaluation.facts import Facts, vocabulary
from neurolysis.evaluation.predicates import compile_predicate
from neurolysis.evaluation.red_flags import flag_ids, red_flags
from neurolysis.evaluation.suitability import rules, suitability
from neurolysis.nerve.conditions import conditions

ON = date(2026, 11, 1)


def finding(name: str, result: str = "present", **changes: Any) -> Finding:
    return Finding(**{"kind": "history", "name": name, "result": result, **changes})


def case(**changes: Any) -> Case:
    known = {"id": "c", "patient": Patient(id="p", birth_year=1970, sex="male")}
    return Case(**{**known, **changes})


def block(**changes: Any) -> DiagnosticBlock:
    known: dict[str, Any] = {
        "target": "lumbar_medial_branch_L2",
        "side": "left",
        "performed": date(2026, 9, 1),
        "kind": "local anaesthetic",
        "agent": "lidocaine",
        "baseline_pain": 8,
        "volume_ml": 0.25,
        "steroid": False,
        "sedation": False,
        "diary": [
            {"hours_after": 0.5, "pain": 2},
            {"hours_after": 2, "pain": 3},
            {"hours_after": 4, "pain": 7},
        ],
    }
    return DiagnosticBlock(**{**known, **changes})


def answer(data: Any, one: Case) -> tuple[bool | None, tuple[str, ...]]:
    found = compile_predicate(data, "test")(Facts(one, ON))
    return found.value, found.needs


STATES = {"present": True, "absent": False, "unclear": None}


@pytest.mark.parametrize(("first", "second"), list(product(STATES, STATES)))
def test_three_valued_logic(first: str, second: str) -> None:
    """Kleene: and is the least, or the greatest, of no < unknown < yes."""
    one = case(findings=(finding("smoking", first), finding("fever", second)))
    parts = [{"finding": "smoking"}, {"finding": "fever"}]
    order = [False, None, True]
    a, b = (order.index(STATES[state]) for state in (first, second))
    assert answer({"all": parts}, one)[0] is order[min(a, b)]
    assert answer({"any": parts}, one)[0] is order[max(a, b)]
    assert answer({"not": parts[0]}, one)[0] is order[2 - a]


def test_what_is_unknown_is_asked_for() -> None:
    assert answer({"finding": "smoking"}, case()) == (None, ("whether the patient smokes",))
    assert answer({"takes": "doac"}, case())[0] is None
    assert answer({"takes": "doac"}, case(medications_complete=True))[0] is False
    assert answer({"takes": "doac"}, case(medications=(Medication(name="Apixaban 5 mg"),)))[0] is True
    stopped = Medication(name="Apixaban 5 mg", stopped=date(2026, 1, 1))
    assert answer({"takes": "doac"}, case(medications=(stopped,), medications_complete=True))[0] is False
    assert answer({"allergy": "contrast"}, case())[0] is None
    assert answer({"allergy": "contrast"}, case(allergies=("Iodinated contrast",)))[0] is True
    assert answer({"implant": "electronic"}, case(implants=()))[0] is False
    assert answer({"pregnant": True}, case())[0] is False, "a man"
    assert answer({"pregnant": True}, case(patient=Patient(id="p", sex="female")))[0] is None


def test_numbers_have_a_unit_and_an_age() -> None:
    inr = finding("inr", "2.0", kind="laboratory", value=2.0, unit="INR", observed=date(2026, 10, 20))
    data = {"number": "inr", "above": 1.8, "within_days": 30}
    assert answer(data, case(findings=(inr,)))[0] is True
    assert answer(data, case(findings=(inr.replace(observed=date(2026, 8, 1)),)))[0] is None
    assert answer(data, case(findings=(inr.replace(observed=None),)))[0] is None
    newer = inr.replace(value=1.1, observed=date(2026, 10, 25))
    assert answer(data, case(findings=(newer, inr)))[0] is False
    with pytest.raises(InputError, match="one unit only"):
        answer(data, case(findings=(inr.replace(unit="s"),)))


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        [],
        {"finding": "no_such_finding"},
        {"finding": "fever", "not": {"finding": "smoking"}},
        {"finding": "fever", "extra": 1},
        {"number": "inr"},
        {"number": "fever", "above": 1},
        {"takes": "sweets"},
        {"any": []},
        {"unknown_kind": 1},
    ],
)
def test_a_bad_predicate_is_refused(wrong: Any) -> None:
    with pytest.raises((InputError, UnknownNameError)):
        compile_predicate(wrong, "test")


# ---------------------------------------------------------------- red flags


RAISING = {
    "cauda_equina": "saddle_numbness",
    "infection": "spinal_infection_suspected",
    "fracture": "fracture_suspected",
    "cancer": "cancer_suspected",
    "progressive_deficit": "progressive_deficit",
}


@pytest.mark.parametrize("flag", sorted(RAISING))
def test_each_red_flag_stops_until_it_is_resolved(flag: str) -> None:
    one = case(condition="lumbar_facet_pain", findings=(finding(RAISING[flag]),))
    found = evaluate(one, ON)
    assert found.stopped
    assert found.suitability == ()
    assert [f.id for f in found.red_flags] == [flag]
    resolved = ResolvedFlag(
        flag=flag, resolved_by="Dr A", resolved_on=date(2026, 10, 30), reason="MR is normal"
    )
    after = evaluate(one.replace(resolved_flags=(resolved,)), ON)
    assert not after.stopped
    assert after.red_flags[0].state == "resolved"
    assert "Dr A" in after.red_flags[0].resolution


def test_flags_are_all_of_the_issue() -> None:
    assert set(flag_ids()) == set(RAISING)


def test_a_known_cancer_is_an_indication_not_a_stop() -> None:
    one = case(findings=(finding("cancer_suspected"), finding("malignancy_source")))
    assert [flag.state for flag in red_flags(one, ON)] == ["indication"]
    assert not evaluate(one, ON).stopped


def test_a_flag_cannot_be_resolved_tomorrow_or_by_another_name() -> None:
    later = ResolvedFlag(flag="cancer", resolved_by="Dr A", resolved_on=date(2027, 1, 1), reason="none")
    with pytest.raises(InputError, match="has not come"):
        red_flags(case(resolved_flags=(later,)), ON)
    with pytest.raises(UnknownNameError, match="cauda_equina"):
        red_flags(case(resolved_flags=(later.replace(flag="x", resolved_on=ON),)), ON)


# ---------------------------------------------------------------- causes


@pytest.mark.parametrize(
    ("area", "findings", "expected"),
    [
        ("face_v2", ("electric_attacks", "attacks_triggered"), "trigeminal_neuralgia"),
        ("occiput", ("tinel",), "occipital_neuralgia"),
        ("lower_back", ("facet_tenderness", "pain_over_3_months"), "lumbar_facet_pain"),
        ("lower_back", ("modic_1_or_2", "pain_over_6_months"), "vertebrogenic_pain"),
        ("buttock", ("sacroiliac_provocation",), "sacroiliac_pain"),
        ("neck", ("facet_tenderness",), "cervical_facet_pain"),
        ("knee_front", ("knee_osteoarthritis_imaging",), "knee_osteoarthritis"),
        ("foot_sole_interdigital", ("click_interdigital",), "morton_neuroma"),
        ("lateral_thigh", ("dermatomal_sensory_loss",), "meralgia_paresthetica"),
        ("chest_wall", ("zoster_history", "allodynia"), "post_herpetic_neuralgia"),
        ("chest_wall", ("thoracotomy",), "intercostal_neuralgia"),
        ("upper_abdomen", ("malignancy_source", "visceral_pain"), "cancer_pain_upper_abdomen"),
        ("hand", ("crps_criteria", "swelling_colour_change"), "crps_upper_limb"),
        ("foot", ("polyneuropathy", "nerve_conduction_abnormal"), "peripheral_neuropathy"),
    ],
)
def test_the_pattern_leads_to_its_condition(area: str, findings: tuple[str, ...], expected: str) -> None:
    side = "left" if body_areas()[area].sided else None
    one = case(
        pain=(PainArea(area=area, side=side, main=True),), findings=tuple(finding(name) for name in findings)
    )
    found = candidate_causes(one, ON)
    assert found[0].condition == expected
    assert found[0].reasons
    assert [item.rank for item in found] == list(range(1, len(found) + 1))
    assert found[0].targets == conditions()[expected].targets


def test_what_speaks_against_moves_a_cause_down() -> None:
    back = (PainArea(area="lower_back", side="left"),)
    facet = candidate_causes(case(pain=back, findings=(finding("facet_tenderness"),)), ON)[0]
    root = candidate_causes(
        case(pain=back, findings=(finding("facet_tenderness"), finding("radicular_pattern"))), ON
    )
    assert facet.condition == "lumbar_facet_pain"
    assert "lumbar_facet_pain" not in [cause.condition for cause in root]


def test_no_area_no_cause_and_wrong_areas_are_refused() -> None:
    assert candidate_causes(case(), ON) == ()
    with pytest.raises(UnknownNameError, match="lower_back"):
        candidate_causes(case(pain=(PainArea(area="elbow"),)), ON)
    with pytest.raises(InputError, match="two sides"):
        candidate_causes(case(pain=(PainArea(area="lower_back"),)), ON)
    with pytest.raises(InputError, match="no sides"):
        candidate_causes(case(pain=(PainArea(area="perineum", side="left"),)), ON)


# ---------------------------------------------------------------- blocks


def test_a_block_is_read_by_hand() -> None:
    """Baseline 8, lowest 2: 75 %; at most 4 until 2 h; lidocaine 100 to 180 min were read."""
    (found,), (series,) = read_blocks(case(blocks=(block(),)), ON)
    assert (found.relief_percent, found.relief_hours) == (75, 2)
    assert found.agent_hours == (pytest.approx(100 / 60), pytest.approx(240 / 60))
    assert found.concordant is True
    assert "positive" in found.reads
    assert series.design == "single"
    assert "33, 39 and 64" in series.reads
    assert "33, 16 and 22" in series.reads
    met = {rule.id: rule.severity for rule in series.thresholds}
    assert met == {"block.commission_50": "for", "block.summary_80": "against", "block.asipp_75": "for"}


def test_relief_that_outlasts_the_agent_is_doubted() -> None:
    long = block(diary=[{"hours_after": 1, "pain": 1}, {"hours_after": 30, "pain": 1}])
    (found,), _ = read_blocks(case(blocks=(long,)), ON)
    assert found.concordant is False
    assert "longer than the agent lasts" in found.reads


def test_dual_and_placebo_blocks() -> None:
    second = block(agent="bupivacaine", performed=date(2026, 9, 15))
    placebo = block(kind="placebo", agent="saline", performed=date(2026, 9, 20))
    assert read_blocks(case(blocks=(block(), second)), ON)[1][0].design == "dual, different agents"
    assert read_blocks(case(blocks=(block(), block(performed=date(2026, 9, 9)))), ON)[1][0].design == "dual"
    results, (series,) = read_blocks(case(blocks=(block(), placebo)), ON)
    assert series.design == "placebo-controlled"
    assert "1 of 1 placebo injections as well" in series.reads
    assert "response to placebo" in results[1].reads


def test_a_block_that_says_nothing() -> None:
    (found,), _ = read_blocks(case(blocks=(block(diary=()),)), ON)
    assert (found.relief_percent, found.relief_hours, found.concordant) == (None, None, None)
    with pytest.raises(InputError, match="in the future"):
        read_blocks(case(blocks=(block(performed=date(2027, 1, 1)),)), ON)
    with pytest.raises(InputError, match="hours of a diary rise"):
        read_blocks(
            case(blocks=(block(diary=[{"hours_after": 2, "pain": 1}, {"hours_after": 1, "pain": 1}]),)), ON
        )
    with pytest.raises(UnknownNameError):
        read_blocks(case(blocks=(block(target="elbow_nerve"),)), ON)


def test_disagreements_are_shown_side_by_side() -> None:
    both = (finding("tinel", "present", side="left"), finding("tinel", "absent", side="left"))
    assert [d.about for d in disagreements(case(findings=both))] == ["tinel"]
    other_side = (both[0], both[1].replace(side="right"))
    assert disagreements(case(findings=other_side)) == ()
    pair = (finding("root_compression_imaging", "present"), finding("radicular_pattern", "absent"))
    assert [d.about for d in disagreements(case(findings=pair))] == ["root compression"]
    results, _ = read_blocks(
        case(blocks=(block(), block(performed=date(2026, 9, 9), diary=[{"hours_after": 1, "pain": 8}]))), ON
    )
    assert len(disagreements(case(), results)) == 1


# ---------------------------------------------------------------- suitability

FINE = {
    "absent": (
        "infection_systemic", "infection_local", "bleeding_tendency", "prior_surgery_at_target",
        "immunosuppression", "spinal_metalwork", "device_plan",
    ),
    "present": (
        "can_lie_prone", "can_cooperate", "psychological_screening_done", "conservative_care_failed",
        "pain_over_6_months",
    ),
}  # fmt: skip


def sound(**changes: Any) -> Case:
    known: dict[str, Any] = {
        "condition": "lumbar_facet_pain",
        "findings": tuple(finding(name, result) for result, names in FINE.items() for name in names),
        "medications_complete": True,
        "allergies": (),
        "implants": (),
        "blocks": (block(),),
    }
    return case(**{**known, **changes})


def suits(one: Case, modality: str = "rf_conventional", target: str = "lumbar_medial_branch") -> Any:
    return suitability(one, target, modality, ON)


def with_finding(name: str, result: str, **changes: Any) -> Case:
    one = sound()
    others = tuple(f for f in one.findings if f.name != name)
    return one.replace(findings=(*others, finding(name, result, **changes)))


def test_everything_known_and_fine_is_indicated() -> None:
    found = suits(sound())
    assert (found.verdict, found.needs) == ("indicated", ())
    assert {rule.id for rule in found.rules} == {"facet_conservative", "facet_duration", "facet_block"}
    assert "figures in" in found.evidence


@pytest.mark.parametrize("name", [name for names in FINE.values() for name in names if name != "device_plan"])
def test_each_missing_fact_is_asked_for_and_never_fine(name: str) -> None:
    one = sound()
    found = suits(one.replace(findings=tuple(f for f in one.findings if f.name != name)))
    assert found.verdict != "indicated"
    assert vocabulary()[name].question in found.needs


@pytest.mark.parametrize(
    ("changes", "rule", "verdict"),
    [
        ({"allergies": ("lidocaine",)}, "allergy_anaesthetic", "contraindicated"),
        ({"allergies": ("iodine contrast",)}, "allergy_contrast", "possible with conditions"),
        (
            {"patient": Patient(id="p", sex="female", birth_year=1990, pregnant=True)},
            "pregnancy",
            "contraindicated",
        ),
        (
            {"implants": ({"name": "pacemaker", "electronic": True, "distance_mm": 300},)},
            "device",
            "contraindicated",
        ),
        (
            {"implants": ({"name": "screw", "electronic": False, "distance_mm": 5},)},
            "metal",
            "possible with conditions",
        ),
        ({"medications": (Medication(name="aspirin 100"),)}, "asipp_aspirin_low", "possible with conditions"),
        ({"medications": (Medication(name="Warfarin"),)}, "warfarin_unread", "possible with conditions"),
        ({"patient": Patient(id="p", sex="male", birth_year=2010)}, "under_18", "contraindicated"),
        (
            {"patient": Patient(id="p", sex="male", birth_year=1950, deceased=True)},
            "deceased",
            "contraindicated",
        ),
    ],
)
def test_a_fact_fires_its_rule(changes: dict[str, Any], rule: str, verdict: str) -> None:
    found = suits(sound(**changes))
    assert rule in {fired.id for fired in found.rules}
    assert found.verdict == verdict


@pytest.mark.parametrize("name", ["infection_systemic", "infection_local", "bleeding_tendency"])
def test_a_stop_contraindicates(name: str) -> None:
    assert suits(with_finding(name, "present")).verdict == "contraindicated"


def test_what_belongs_to_a_technique_stays_with_it() -> None:
    flush = with_finding("aldh_deficiency", "present").replace(condition="cancer_pain_upper_abdomen")
    assert "aldh" in {r.id for r in suits(flush, "alcohol", "celiac_plexus").rules}
    assert "aldh" not in {r.id for r in suits(flush, "phenol", "celiac_plexus").rules}
    cold = with_finding("cold_disease", "present")
    assert suits(cold, "cryo").verdict == "contraindicated"
    assert suits(cold, "rf_conventional").verdict == "indicated"
    pacemaker = sound(implants=({"name": "ICD", "electronic": True},))
    assert "device" not in {r.id for r in suits(pacemaker, "cryo").rules}


def test_societies_stand_side_by_side() -> None:
    one = sound(
        condition="trigeminal_neuralgia",
        medications=(Medication(name="apixaban"),),
    )
    found = suits(one, "rf_conventional", "trigeminal_ganglion")
    sets = {rule.rule_set for rule in rules_of(found, "condition", "missing", "stop") if rule.rule_set}
    assert {"SIR 2019", "ASIPP 2024"} <= sets
    assert all(
        not rule.first_hand for rule in found.rules if rule.rule_set.startswith(("ASIPP", "SIR", "ASRA"))
    )


def rules_of(found: Any, *severities: str) -> list[Any]:
    return [rule for rule in found.rules if rule.severity in severities]


def test_a_hold_needs_its_restart_and_who_agreed() -> None:
    drug = Medication(name="apixaban")
    held = drug.replace(
        hold={"last_dose": date(2026, 10, 30), "restart": date(2026, 11, 2), "agreed_by": "Dr B"}
    )
    base = sound(condition="trigeminal_neuralgia")

    def ids(one: Medication) -> set[str]:
        found = suits(base.replace(medications=(one,)), "rf_conventional", "trigeminal_ganglion")
        return {rule.id for rule in found.rules if rule.severity != "missing"}

    assert "asipp_doac_high" not in ids(held)
    late = held.replace(
        hold={"last_dose": date(2026, 10, 31), "restart": date(2026, 11, 2), "agreed_by": "Dr B"}
    )
    assert "asipp_doac_high" in ids(late)
    needs = suits(base.replace(medications=(drug,)), "rf_conventional", "trigeminal_ganglion").needs
    assert any("when apixaban is stopped, when it restarts and who agreed" in need for need in needs)


def test_no_evidence_is_never_indicated() -> None:
    found = suits(sound(), "laser")
    assert found.evidence == "none found"
    assert found.verdict != "indicated"


def test_evaluate_judges_every_listed_technique_and_refuses_future_dates() -> None:
    one = sound(target=Target(nerve="lumbar_medial_branch_L2", side="left", bony_level="L3", joint="L3-4"))
    found = evaluate(one, ON)
    assert {s.technique for s in found.suitability} == set(conditions()["lumbar_facet_pain"].techniques)
    assert {s.target for s in found.suitability} == {"lumbar_medial_branch"}
    with pytest.raises(InputError, match="date in the future"):
        evaluate(with_finding("fever", "absent", observed=date(2026, 12, 1)), ON)
    with pytest.raises(UnknownNameError):
        evaluate(sound(condition="gout"), ON)


def test_a_child_and_a_record_of_the_dead_have_no_plan() -> None:
    for patient in (Patient(id="p", birth_year=2012), Patient(id="p", birth_year=1930, deceased=True)):
        found = evaluate(sound(patient=patient), ON)
        assert found.stopped
        assert found.out_of_scope
        assert found.suitability == ()


def test_every_rule_has_a_source_and_every_group_is_spelt_out() -> None:
    assert len(rules()) > 50
    for one in rules():
        assert one.rule.source
        assert isinstance(one.rule.modalities, tuple)
