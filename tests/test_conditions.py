"""The catalogues of conditions and targets, and plans for targets that are no single catalogued nerve."""

from pathlib import Path

import pytest

from neurolysis.case import Target
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence import store, vocabulary
from neurolysis.evidence.clinical import evidence_row, evidence_rows, find_evidence
from neurolysis.nerve import catalogue, conditions, targets

CONDITIONS = {
    "cancer_pain_upper_abdomen": ("celiac_plexus", "splanchnic_nerves"),
    "cancer_pain_pelvis": ("superior_hypogastric_plexus",),
    "cancer_pain_perineum": ("ganglion_impar", "intrathecal_roots"),
    "cancer_pain_chest_wall": ("intercostal_nerves",),
    "cancer_pain_intrathecal": ("intrathecal_roots",),
    "crps_upper_limb": ("stellate_ganglion",),
    "crps_lower_limb": ("lumbar_sympathetic_chain",),
    "trigeminal_neuralgia": ("trigeminal_ganglion",),
    "occipital_neuralgia": ("occipital_nerves",),
    "third_occipital_headache": ("third_occipital_nerve",),
    "lumbar_facet_pain": ("lumbar_medial_branch",),
    "sacroiliac_pain": ("sacral_lateral_branches",),
    "vertebrogenic_pain": ("basivertebral_nerve",),
    "cervical_facet_pain": ("cervical_medial_branch", "third_occipital_nerve"),
    "knee_osteoarthritis": ("genicular_nerves", "infrapatellar_branch"),
    "peripheral_neuropathy": ("peripheral_nerve",),
    "morton_neuroma": ("common_digital_plantar_nerve",),
    "meralgia_paresthetica": ("lateral_femoral_cutaneous_nerve",),
    "post_herpetic_neuralgia": ("dorsal_root_ganglion", "peripheral_nerve"),
    "intercostal_neuralgia": ("intercostal_nerves",),
    "coccyx_pain": ("ganglion_impar",),
    "phantom_limb_pain": ("peripheral_nerve",),
}
TECHNIQUES = {
    "alcohol", "phenol", "glycerol", "rf_conventional", "rf_cooled", "rf_pulsed", "laser", "cryo",
    "surgical_release", "neurectomy",
}  # fmt: skip
GANGLIA = {
    "trigeminal_ganglion", "stellate_ganglion", "dorsal_root_ganglion", "ganglion_impar",
    "lumbar_sympathetic_chain", "celiac_plexus",
}  # fmt: skip


# ---------------------------------------------------------------- conditions


def test_conditions_with_their_targets():
    assert {id: entry.targets for id, entry in conditions.conditions().items()} == CONDITIONS
    assert conditions.condition_ids() == tuple(CONDITIONS)


def test_twelve_groups_and_none_is_empty():
    groups = conditions.condition_groups()
    assert len(groups) == 12
    members = [entry.id for group in groups for entry in conditions.conditions_of_group(group)]
    assert sorted(members) == sorted(CONDITIONS)
    assert all(conditions.conditions_of_group(group) for group in groups)
    with pytest.raises(UnknownNameError, match="cancer_pain"):
        conditions.conditions_of_group("headache")


def test_every_treatment_with_evidence_is_listed_and_every_technique_somewhere():
    listed = {name for entry in conditions.conditions().values() for name in entry.techniques}
    assert listed >= TECHNIQUES
    for row in evidence_rows():
        if row.is_rule or row.arm == "comparator":
            continue
        for id in row.conditions:
            entry = conditions.condition(id)
            for name in row.modalities:
                found = vocabulary.modality(name)
                if found.kind == "treatment":
                    assert {name, *found.covers} & set(entry.techniques), (row.id, name)
            if len(row.conditions) == 1:
                assert set(row.targets) <= set(entry.targets), row.id


def test_evidence_names_lead_every_result_to_a_condition_or_outside():
    outside = set(vocabulary.names().outside_the_catalogue)
    named = {name for entry in conditions.conditions().values() for name in entry.evidence_names}
    results = {row.condition for row in evidence_rows() if not row.is_rule}
    assert results == named | outside
    assert not named & outside
    for row in evidence_rows():
        owners = {id for id, e in conditions.conditions().items() if row.condition in e.evidence_names}
        assert owners <= set(row.conditions), row.id


def test_conditions_by_any_of_their_names():
    assert conditions.condition("chronic_low_back_pain_facet").id == "lumbar_facet_pain"
    assert conditions.condition("CRPS_lower_limb").id == "crps_lower_limb"
    assert conditions.condition("Trigeminal neuralgia").id == "trigeminal_neuralgia"
    with pytest.raises(UnknownNameError, match="phantom_limb_pain"):
        conditions.condition("fibromyalgia")


def test_no_evidence_is_a_state_of_its_own():
    assert conditions.condition("peripheral_neuropathy").evidence_names == ()
    assert find_evidence(condition="peripheral_neuropathy") == ()


def test_notes_say_what_must_not_be_left_out():
    def notes(id):
        return {note.rows: note for note in conditions.condition(id).notes}

    survival = notes("cancer_pain_upper_abdomen")[("EV015", "EV016", "EV017")]
    assert "less long with neurolysis overall and in stage IV" in survival.text
    assert "stage III no difference" in survival.text
    assert [evidence_row(id).value for id in survival.rows] == [1.56, 1.94, 1.08]
    for id, row in {
        "lumbar_facet_pain": "EV159", "sacroiliac_pain": "EV239", "knee_osteoarthritis": "EV255",
        "phantom_limb_pain": "EV303", "cancer_pain_chest_wall": "EV075", "morton_neuroma": "EV277",
    }.items():  # fmt: skip
        assert any(row in rows for rows in notes(id)), id
    for entry in conditions.conditions().values():
        for note in entry.notes:
            cited = {evidence_row(id).source for id in note.rows}
            assert not cited or note.source in cited, (entry.id, note.text)


def test_numbers_of_the_notes_are_those_of_their_rows():
    import re

    for entry in conditions.conditions().values():
        for note in entry.notes:
            if not note.rows:
                continue
            rows = [evidence_row(id) for id in note.rows]
            known = " ".join(f"{r.value} {r.n} {r.timepoint_months} {r.events} {r.counted} {r.definition}"
                             for r in rows)  # fmt: skip
            numbers = {abs(float(text)) for text in re.findall(r"\d+(?:\.\d+)?", known)}
            said = {float(text) for text in re.findall(r"(?<![A-Z\d])\d+(?:\.\d+)?", note.text)}
            rounded = {round(number, digits) for number in numbers for digits in (0, 1)}
            assert said <= numbers | rounded | {10.0}, (entry.id, said - numbers)


# ---------------------------------------------------------------- targets


def test_targets_are_those_of_the_evidence_base():
    assert targets.target_ids() == vocabulary.names().targets
    assert {name for listed in CONDITIONS.values() for name in listed} == set(targets.target_ids())
    with pytest.raises(UnknownNameError, match="ganglion_impar"):
        targets.target_entry("vagus_nerve")


def test_a_nerve_of_the_catalogue_belongs_to_its_target():
    assert set(targets.target_entry("lumbar_medial_branch").nerves) == set(catalogue.nerve_ids())
    for nerve in catalogue.nerve_ids():
        assert targets.target_of(nerve).id == "lumbar_medial_branch"
    assert targets.target_of("celiac_plexus").id == "celiac_plexus"
    with pytest.raises(UnknownNameError, match="lumbar_medial_branch_L2"):
        targets.target_of("lumbar_medial_branch_L9")


def test_regrowth_is_not_asked_of_ganglia_nor_where_it_is_unknown():
    entries = targets.targets()
    assert {id for id, entry in entries.items() if entry.cell_bodies} == GANGLIA
    assert {id for id, entry in entries.items() if entry.cell_bodies is None} == {
        "superior_hypogastric_plexus",
        "intrathecal_roots",
    }
    for id, entry in entries.items():
        assert entry.regrowth_applies == (entry.cell_bodies is False), id
    assert store.source_text(entries["trigeminal_ganglion"].cell_bodies_source)
    assert not entries["intrathecal_roots"].regrowth_applies


def test_what_rests_on_no_source_says_so():
    for id, entry in targets.targets().items():
        assumed = entry.assumptions()
        for source in (entry.motor_source, entry.cell_bodies_source, entry.source):
            if source.startswith(store.ASSUMPTION):
                assert any(text.endswith(source.removeprefix(store.ASSUMPTION).strip()) for text in assumed)
            else:
                assert source in store.sources(), id
    motor = targets.target_entry("intercostal_nerves")
    assert (motor.motor, motor.motor_source) == ("some", "intercostal_cryo_ct")
    assert "motor function" not in " ".join(motor.assumptions())
    assert any("motor" in text for text in targets.target_entry("lumbar_medial_branch").assumptions())


def test_rows_named_in_a_targets_notes_exist_and_concern_it():
    import re

    named = 0
    for id, entry in targets.targets().items():
        for text in (entry.motor_note, entry.cell_bodies_note, entry.areas_note):
            for row in re.findall(r"EV\d{3}", text):
                named += 1
                elsewhere = {"infrapatellar_branch": {"EV304"}, "splanchnic_nerves": set()}
                assert id in evidence_row(row).targets or row in elsewhere.get(id, set()), (id, row)
    assert named > 12


def test_areas_are_those_of_the_body_map():
    body_map = Path(store.__file__).parents[1] / "evaluation" / "data"
    known = set(store.load_yaml("body_map.yaml", body_map))
    for id, entry in targets.targets().items():
        assert {*entry.numb_areas, *entry.weak_areas} <= known, id
    assert targets.target_entry("trigeminal_ganglion").numb_areas == ("face_v1", "face_v2", "face_v3")


# ---------------------------------------------------------------- plans for such targets


def problems(nerve: str, side: str, **more) -> dict[str, tuple[str, bool]]:
    found = catalogue.target_problems(Target(nerve=nerve, side=side, **more))
    return {notice.code: (notice.severity, notice.overridable) for notice in found}


@pytest.mark.parametrize(
    ("nerve", "side"),
    [
        ("celiac_plexus", "midline"),
        ("celiac_plexus", "left"),
        ("splanchnic_nerves", "midline"),
        ("splanchnic_nerves", "right"),
        ("ganglion_impar", "midline"),
        ("trigeminal_ganglion", "left"),
        ("genicular_nerves", "right"),
        ("lateral_femoral_cutaneous_nerve", "left"),
        ("peripheral_nerve", "left"),
    ],
)
def test_a_target_without_spinal_level_needs_neither_level_nor_joint(nerve, side):
    assert problems(nerve, side) == {}


def test_a_paired_target_needs_its_side():
    assert problems("trigeminal_ganglion", "midline") == {"side.missing": ("stop", False)}
    assert problems("genicular_nerves", "midline") == {"side.missing": ("stop", False)}


@pytest.mark.parametrize("nerve", ["cervical_medial_branch", "dorsal_root_ganglion", "intercostal_nerves"])
def test_an_uncatalogued_level_is_a_warning(nerve):
    assert problems(nerve, "left", bony_level="C5") == {"level.unchecked": ("warn", True)}


def test_several_nerves_are_no_target_of_a_plan():
    (notice,) = catalogue.target_problems(Target(nerve="lumbar_medial_branch", side="left", bony_level="L3"))
    assert (notice.code, notice.severity, notice.overridable) == ("target.not_one_nerve", "stop", False)
    assert "lumbar_medial_branch_L2" in notice.text
    assert catalogue.joint_notes(Target(nerve="celiac_plexus", side="left", joint="L3-4")) == ()


def test_unknown_targets_list_nerves_and_targets():
    with pytest.raises(UnknownNameError, match=r"celiac_plexus.*lumbar_dorsal_ramus_L5"):
        catalogue.target_problems(Target(nerve="vagus_nerve", side="left"))


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"group": "headache"}, "unknown group"),
        ({"targets": ["vagus_nerve"]}, "unknown target"),
        ({"techniques": ["sham"]}, "a technique is a treatment"),
        ({"techniques": ["acupuncture"]}, "unknown modality"),
        ({"notes": [{"text": "x", "source": "nobody_2030"}]}, "unknown source"),
        ({"notes": [{"text": "x", "source": "assumption: y"}]}, "needs its reason"),
        ({"notes": [{"text": "x", "source": "lord_acpjc_1997", "rows": ["EV999"]}]}, "unknown evidence row"),
        ({"cure": True}, "cure"),
    ],
)
def test_a_bad_condition_is_refused(changes, says):
    row = store.load_yaml(conditions.FILE, conditions.DATA)["conditions"]["cervical_facet_pain"]
    with pytest.raises(InputError, match=says):
        conditions._read("cervical_facet_pain", {**row, **changes}, ("cervical_facet_pain",))
