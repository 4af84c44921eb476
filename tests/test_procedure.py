"""The record of the room: what stops the team, what is missing, and that aftercare follows what was given."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neurolysis.app.aftercare import aftercare
from neurolysis.app.files import yaml_text
from neurolysis.app.procedure import check_procedure, check_stored_procedure, given_modality, with_given
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.outcome import DoneProcedure, Outcome
from neurolysis.planning.room import RULES, Room, may_begin, room_notices
from neurolysis.procedure import Consent, GivenStep, NeurologicalCheck, Procedure, Stimulation
from neurolysis.quantity import parse
from neurolysis.records.store import Store

from .store_kit import LOCAL, plan, record

NINE = datetime(2026, 3, 4, 9, 0)
TARGET = {"nerve": "lumbar_medial_branch_L2", "side": "left", "bony_level": "L3", "joint": "L2-3"}
CASE = Case.model_validate(
    {"id": "c", "patient": {"id": "p"}, "target": TARGET, "allergies": ["penicillin"], "implants": []}
)
TIME_OUT: dict[str, Any] = {
    "time": NINE,
    "identifiers": [{"kind": "name", "matches": True}, {"kind": "date of birth", "matches": True}],
    "side": "left",
    "side_marked": True,
    "level": "L3",
    "consent": True,
    "allergies_read": True,
    "allergies": ["penicillin"],
    "anticoagulant": "none",
    "implant": "none",
}
CONSENT = Consent(case_id="c", given=True, signed_on=date(2026, 3, 1))
LESION = {
    "kind": "lesion",
    "start": NINE + timedelta(minutes=20),
    "technique": "radiofrequency",
    "instrument": "i",
}
LIDOCAINE = {"name": "lidocaine", "purpose": "local anaesthetic", "lot": "A1", "expires": "2027-01-31"}


def room(**changes: Any) -> Procedure:
    """A record whose time-out is complete; ``time_out`` changes part of it."""
    said = {**TIME_OUT, **changes.pop("time_out", {})}
    return parse(Procedure, {"case_id": "c", "time_out": said, **changes}, "procedure")


def codes(procedure: Procedure, case: Case = CASE, **more: Any) -> dict[str, str]:
    """Severity by code of everything the rules say."""
    found = room_notices(
        case, procedure, **{"consent": CONSENT, "plan": plan(case), "approved": True, **more}
    )
    return {notice.code: notice.severity for notice in found}


def test_a_complete_time_out_lets_the_team_begin() -> None:
    assert codes(room()) == {}
    assert may_begin(room_notices(CASE, room(), consent=CONSENT, plan=plan(CASE), approved=True))


def test_an_empty_record_stops_for_everything_that_was_not_said() -> None:
    found = codes(Procedure(case_id="c"), consent=None)
    assert {code for code, severity in found.items() if severity == "stop"} == {
        "identity.unconfirmed", "side.not_said", "level.not_said", "consent.unconfirmed", "allergy.not_asked",
        "anticoagulant.not_asked", "implant.not_asked",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"identifiers": [{"kind": "name", "matches": True}]}, "identity.unconfirmed"),
        ({"identifiers": [{"kind": "name", "matches": True}] * 2}, "identity.unconfirmed"),
        (
            {"identifiers": [*TIME_OUT["identifiers"], {"kind": "address", "matches": False}]},
            "identity.mismatch",
        ),
        ({"side": "right"}, "side.mismatch"),
        ({"side": None}, "side.not_said"),
        ({"level": "L4"}, "level.mismatch"),
        ({"level": "L3-4"}, "level.mismatch"),
        ({"level": ""}, "level.not_said"),
        ({"consent": False}, "consent.unconfirmed"),
        ({"allergies_read": False}, "allergy.not_asked"),
        ({"allergies": ["penicillin", "latex"]}, "allergy.new"),
        ({"anticoagulant": "not paused"}, "anticoagulant.not_paused"),
        ({"implant": "not settled"}, "implant.not_settled"),
    ],
)
def test_each_item_of_the_time_out_stops(changes: dict[str, Any], code: str) -> None:
    assert codes(room(time_out=changes)).get(code) == "stop"


@pytest.mark.parametrize("level", ["L3", "l3", "L2-3", "L2/L3"])
def test_the_level_may_be_said_by_bone_or_joint(level: str) -> None:
    assert codes(room(time_out={"level": level})) == {}


def test_what_the_case_knows_is_held_against_what_is_said() -> None:
    with_pacemaker = CASE.replace(implants=({"name": "pacemaker", "electronic": True},))
    assert codes(room(), with_pacemaker)["implant.mismatch"] == "stop"
    assert codes(room(), consent=CONSENT.replace(revoked_on=date(2026, 3, 3)))["consent.revoked"] == "stop"
    assert codes(room(), consent=None)["consent.no_document"] == "warn"
    assert codes(room(), approved=False)["plan.not_approved"] == "warn"
    assert codes(room(), recheck=("laboratory values were added",))["plan.recheck"] == "stop"
    assert codes(room(), plan=None)["plan.none"] == "warn"
    assert codes(room(), CASE.replace(target=None))["target.missing"] == "stop"


@pytest.mark.parametrize("allergy", ["Lidocaine (rash)", "all local anaesthetics", "local anesthetic"])
def test_an_opened_agent_that_an_allergy_names_stops(allergy: str) -> None:
    case = CASE.replace(allergies=(allergy,))
    found = codes(room(agents=[LIDOCAINE], time_out={"allergies": [allergy]}), case)
    assert found["allergy.agent"] == "stop"
    assert "allergy.agent" not in codes(room(agents=[LIDOCAINE]))


def test_agents_need_a_lot_and_an_expiry_that_has_not_passed() -> None:
    assert codes(room(agents=[LIDOCAINE])) == {}
    assert codes(room(agents=[{**LIDOCAINE, "expires": "2026-03-03"}]))["agent.expired"] == "stop"
    assert "agent.expired" not in codes(room(agents=[{**LIDOCAINE, "expires": "2026-03-04"}]))
    assert codes(room(agents=[{**LIDOCAINE, "expires": None, "lot": " "}])) == {
        "agent.no_expiry": "warn", "agent.no_lot": "warn",
    }  # fmt: skip
    given_step = {**LESION, "kind": "injection", "agent": "phenol"}
    assert codes(room(steps=[given_step]))["agent.not_listed"] == "warn"


@pytest.mark.parametrize("found", ["blood", "cerebrospinal fluid", "air"])
def test_what_comes_back_on_aspiration_stops(found: str) -> None:
    step = {**LESION, "kind": "injection", "aspiration": found, "contrast_pattern": "as expected"}
    assert codes(room(steps=[step]))["aspiration.positive"] == "stop"
    assert "aspiration.positive" not in codes(room(steps=[{**step, "aspiration": "negative"}]))


@pytest.mark.parametrize("pattern", ["into a vessel", "intrathecal", "into the nerve"])
def test_where_contrast_goes_stops(pattern: str) -> None:
    step = {**LESION, "kind": "injection", "aspiration": "negative", "contrast_pattern": pattern}
    assert codes(room(steps=[step]))["contrast.pattern"] == "stop"


def test_stimulation_comes_before_numbing_and_a_moving_limb_stops() -> None:
    case = CASE.replace(anaesthesia={"stimulation": True})
    test = {
        "time": NINE + timedelta(minutes=10),
        "needle": 1,
        "sensory_threshold_v": 0.4,
        "impedance_ohm": 250,
    }
    numb = {**LESION, "kind": "local anaesthetic", "place": "target", "start": NINE + timedelta(minutes=5)}
    done = {"checks": [{"time": NINE + timedelta(hours=1), "strength": "as before"}]}
    assert codes(room(steps=[LESION], **done), case)["stimulation.missing"] == "warn"
    assert codes(room(steps=[LESION], stimulation=[test], **done), case) == {}
    late = codes(room(steps=[{**numb, "aspiration": "negative"}, LESION], stimulation=[test], **done), case)
    assert late == {"stimulation.late": "warn"}
    skin = {**numb, "place": "skin", "aspiration": "negative"}
    assert codes(room(steps=[skin, LESION], stimulation=[test], **done), case) == {}
    assert codes(room(stimulation=[{**test, "motor_of_limb": True}]))["stimulation.limb"] == "stop"
    with pytest.raises(ValidationError, match="none up to"):
        Stimulation(time=NINE, needle=1, motor_threshold_v=0.5, motor_none_up_to_v=1.0)


def test_what_was_given_at_the_wrong_place_is_said_and_kept() -> None:
    wrong = room(steps=[{**LESION, "side": "right", "level": "L4", "nerve": "lumbar_medial_branch_L3"}])
    found = codes(wrong)
    assert {found[code] for code in ("side.given", "level.given", "target.given")} == {"stop"}
    assert wrong.steps[0].side == "right"


def test_differences_from_the_plan_are_said() -> None:
    steps = [
        {**LESION, "settings": {"duration_s": 60, "set_temperature_c": 80}},
        {**LESION, "technique": "other"},
    ]
    steps[1] = {**steps[1], "aborted": True, "abort_reason": "pain", "start": NINE + timedelta(minutes=30)}
    found = [n.text for n in room_notices(CASE, room(steps=steps), plan=plan(CASE), approved=True)]
    assert "Treatment 1: duration_s 60, planned 90.0." in found
    assert not any("set_temperature_c" in text for text in found)
    assert any(text.startswith("Treatment 2: other was given") for text in found)
    assert "Treatment 2 was cut short: pain" in found


def test_a_check_follows_and_a_new_deficit_is_an_emergency() -> None:
    after = NINE + timedelta(hours=1)
    assert codes(room(steps=[LESION]))["check.missing"] == "warn"
    early = room(steps=[LESION], checks=[{"time": NINE, "strength": "as before"}])
    assert codes(early)["check.missing"] == "warn", "a check before the treatment is none after it"
    weak = room(steps=[LESION], checks=[{"time": after, "strength": "weaker"}])
    assert codes(weak)["check.new_deficit"] == "stop"
    intended = NeurologicalCheck(time=after, feeling="as intended", bladder="as before")
    assert not intended.new_deficit


def test_radiation_time_out_and_signature_are_missed() -> None:
    view = {"kind": "fluoroscopy", "name": "AP"}
    assert codes(room(views=[view]))["radiation.missing"] == "warn"
    assert codes(room(views=[view], radiation={"fluoroscopy_s": 31})) == {}
    late = room(steps=[LESION], time_out={"time": NINE + timedelta(hours=2)})
    assert codes(late)["time_out.late"] == "warn"
    assert codes(room(ended=NINE))["record.unsigned"] == "warn"
    assert codes(room(abort={"reason": "patient asked"}))["procedure.aborted"] == "warn"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"steps": [{**LESION, "aborted": True}]}, "needs its abort_reason"),
        ({"abort": {"reason": ""}}, "abort.reason"),
        ({"steps": [LESION, {**LESION, "start": NINE}]}, "in order of time"),
        ({"started": NINE, "ended": NINE - timedelta(hours=1)}, "before it was started"),
        ({"time_out": {"side": "up"}}, "time_out.side"),
        ({"radiation": {"dose": 3}}, "radiation.dose"),
        ({"steps": [{**LESION, "volume_ml": -1}]}, "volume_ml"),
    ],
)
def test_a_wrong_field_is_named(data: dict[str, Any], says: str) -> None:
    with pytest.raises(InputError, match=says):
        parse(Procedure, {"case_id": "c", **data}, "procedure")


ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "side": st.sampled_from(["left", "right", "midline", None]),
        "level": st.sampled_from(["L3", "L4", "L2-3", "", None]),
        "consent": st.sampled_from([True, False, None]),
        "allergies": st.sampled_from([None, [], ["penicillin"], ["latex"]]),
        "allergies_read": st.sampled_from([True, False, None]),
        "anticoagulant": st.sampled_from(
            ["none", "paused as agreed", "not paused", "continued as agreed", None]
        ),
        "implant": st.sampled_from(["none", "settled", "not settled", None]),
        "identifiers": st.lists(
            st.fixed_dictionaries(
                {
                    "kind": st.sampled_from(["name", "wristband"]),
                    "matches": st.sampled_from([True, False, None]),
                }
            ),
            max_size=3,
        ),
    },
)


@given(ITEMS)
def test_the_team_begins_only_when_every_item_is_right(said: dict[str, Any]) -> None:
    begin = may_begin(
        room_notices(CASE, parse(Procedure, {"case_id": "c", "time_out": said}, "p"), consent=CONSENT)
    )
    kinds = {i["kind"] for i in said.get("identifiers", ()) if i["matches"]}
    right = (
        len(kinds) == 2 and all(i["matches"] is not False for i in said["identifiers"])
        and said.get("side") == "left" and said.get("level") in ("L3", "L2-3") and said.get("consent") is True
        and said.get("allergies_read") is True and said.get("allergies") in ([], ["penicillin"])
        and said.get("anticoagulant") in ("none", "paused as agreed", "continued as agreed")
        and said.get("implant") in ("none", "settled")
    )  # fmt: skip
    assert begin == right


def test_every_rule_answers_an_empty_record() -> None:
    bare = Case.model_validate({"id": "c", "patient": {"id": "p"}})
    for rule in RULES:
        assert isinstance(list(rule(Room(bare, Procedure(case_id="c")))), list)


# ---------------------------------------------------------------- what was given counts


def case_folder(folder: Path, **documents: Any) -> Path:
    """A case that plans a lesion at L2, with its documents beside it."""
    data = CASE.replace(
        treatment={"technique": "radiofrequency", "instrument": "x", "protocol": {"mode": "conventional"}},
        anaesthesia={"sedation": "moderate"},
    )
    folder.mkdir(exist_ok=True)
    (folder / "case.yaml").write_text(yaml_text(data.model_dump(mode="json")))
    for name, value in documents.items():
        plain = value if isinstance(value, dict) else value.model_dump(mode="json")
        (folder / f"{name}.yaml").write_text(yaml_text(plain))
    return folder


def given_step(**changes: Any) -> GivenStep:
    """A burn as given."""
    return parse(GivenStep, {**LESION, **changes}, "step")


def test_aftercare_follows_what_was_given(tmp_path: Path) -> None:
    planned = aftercare(case_folder(tmp_path / "a"), on=date(2026, 3, 10)).plan
    assert (planned.technique, planned.performed) == ("rf_conventional", None)
    assert any(line.id == "sedation" for line in planned.instructions)
    pulsed = room(steps=[{**LESION, "settings": {"mode": "pulsed"}}], sedation="none", pain_before=7)
    found = aftercare(case_folder(tmp_path / "b", procedure=pulsed), on=date(2026, 3, 10))
    assert (found.plan.technique, found.plan.performed) == ("rf_pulsed", date(2026, 3, 4))
    assert not any(line.id == "sedation" for line in found.plan.instructions), "none was given"
    assert found.plan.follow_up[0].date_from == date(2026, 3, 5)
    check = check_procedure(tmp_path / "b")
    assert "check.missing" in {notice.code for notice in check.notices}


def test_the_room_counts_against_the_outcome_and_says_so(tmp_path: Path) -> None:
    said = DoneProcedure(
        modality="rf_conventional", target="lumbar_medial_branch_L2", side="left",
        performed=datetime(2026, 3, 4, 8, 0), baseline_pain=8,
    )  # fmt: skip
    outcome = Outcome(case_id="c", procedure=said)
    other = room(steps=[{**LESION, "nerve": "lumbar_medial_branch_L3", "side": "right"}])
    seen, remarks = with_given(CASE, outcome, other)
    assert seen is not None
    assert seen.procedure is not None
    assert (seen.procedure.target, seen.procedure.side) == ("lumbar_medial_branch_L3", "right")
    assert seen.procedure.baseline_pain == 8, "what only the outcome knows is kept"
    assert seen.delivered_hash == other.delivered().content_hash()  # type: ignore[union-attr]
    assert len(remarks) == 3
    found = aftercare(case_folder(tmp_path, outcome=outcome, procedure=other), on=date(2026, 3, 5))
    assert "Aftercare follows what was given." in " ".join(found.remarks)


def test_nothing_given_is_nothing_done(tmp_path: Path) -> None:
    stopped = room(abort={"reason": "the patient withdrew"}, steps=[{**LESION, "kind": "contrast"}])
    found = aftercare(case_folder(tmp_path, procedure=stopped), on=date(2026, 3, 5))
    assert found.plan.performed is None
    assert found.remarks == ("The procedure was aborted before anything was given: the patient withdrew.",)
    assert stopped.delivered() is None


@pytest.mark.parametrize(
    ("step", "modality"),
    [
        ({"technique": "radiofrequency"}, "rf_conventional"),
        ({"technique": "radiofrequency", "settings": {"mode": "pulsed"}}, "rf_pulsed"),
        ({"technique": "chemical", "kind": "injection", "agent": "phenol"}, "phenol"),
        (
            {"technique": "chemical", "kind": "injection", "settings": {"agent": "ethanol_absolute"}},
            "alcohol",
        ),
        ({"technique": "chemical", "kind": "injection"}, "neurolytic_unnamed"),
        ({"technique": "cryoablation"}, "cryo"),
    ],
)
def test_a_step_as_given_has_its_modality(step: dict[str, Any], modality: str) -> None:
    assert given_modality(given_step(**step)) == modality


def test_an_unknown_technique_is_an_error_that_lists_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no such technique.*rf_pulsed"):
        given_modality(given_step(technique="magic"))
    other = room(steps=[LESION]).replace(case_id="another")
    with pytest.raises(InputError, match="another case"):
        aftercare(case_folder(tmp_path, procedure=other))


def test_the_stored_record_is_held_against_the_plan_that_was_followed(tmp_path: Path) -> None:
    store = Store.open(folder=tmp_path / "s")
    made = store.create_case(LOCAL, CASE)
    store.add_plan(LOCAL, "c", 1, record(made.case))
    assert "plan.none" in {n.code for n in check_stored_procedure(store, LOCAL, "c").notices}
    store.save_document(LOCAL, "c", "procedure", room(plan_number=1), 0)
    store.save_document(LOCAL, "c", "consent", CONSENT, 0)
    assert {n.code for n in check_stored_procedure(store, LOCAL, "c").notices} == {"plan.not_approved"}
    store.approve_plan(LOCAL, "c", 1, "Dr A", "all looked at together")
    assert check_stored_procedure(store, LOCAL, "c").notices == ()
    changed = made.case.replace(allergies=("penicillin", "latex"))
    store.save_case(LOCAL, "c", changed, 1)
    assert check_stored_procedure(store, LOCAL, "c").stopped
    with store.case_folder(LOCAL, "c") as folder:
        assert aftercare(folder, on=date(2026, 3, 5), technique="rf_conventional").plan.performed is None
    store.close()
