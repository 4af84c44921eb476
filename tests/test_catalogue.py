"""The nerve catalogue: levels, joints, and targets that contradict themselves."""

import pytest

from neurolysis.case import Target
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.store import check_sources
from neurolysis.nerve import catalogue

LEVELS = {
    "lumbar_medial_branch_L1": ("L2", ("L1-2", "L2-3")),
    "lumbar_medial_branch_L2": ("L3", ("L2-3", "L3-4")),
    "lumbar_medial_branch_L3": ("L4", ("L3-4", "L4-5")),
    "lumbar_medial_branch_L4": ("L5", ("L4-5", "L5-S1")),
    "lumbar_dorsal_ramus_L5": ("S1", ("L5-S1",)),
}


def target(**changes) -> Target:
    good = {
        "nerve": "lumbar_medial_branch_L2",
        "side": "left",
        "bony_level": "L3",
        "joint": "L3-4",
        "level_counted": "from the sacrum on the lateral view",
        "transitional_vertebra": False,
    }
    return Target(**{**good, **changes})


def problems(**changes) -> dict[str, tuple[str, bool]]:
    return {n.code: (n.severity, n.overridable) for n in catalogue.target_problems(target(**changes))}


@pytest.mark.parametrize("name", LEVELS)
def test_each_branch_crosses_the_level_below_and_serves_its_joints(name):
    bony_level, joints = LEVELS[name]
    assert catalogue.expected_bony_level(name) == bony_level
    assert catalogue.joints_served(name) == joints
    entry = catalogue.nerve_entry(name)
    check_sources(entry, name)
    assert entry.diameter_mm.value == entry.diameter_mm.high == 2.0
    assert entry.fibre_classes == ()
    assert "not in what was read" in entry.fibres_note


def test_catalogue_lists_only_these_nerves():
    assert set(catalogue.nerve_ids()) == set(LEVELS)
    with pytest.raises(UnknownNameError, match="lumbar_dorsal_ramus_L5"):
        catalogue.nerve_entry("cervical_medial_branch_C3")


def test_each_joint_has_two_branches_and_both_directions_agree():
    assert catalogue.joint_names() == ("L1-2", "L2-3", "L3-4", "L4-5", "L5-S1")
    for joint in catalogue.joint_names():
        supply = catalogue.joint_supply(joint)
        assert len(supply.branches) + len(supply.not_in_catalogue) == 2
        serving = {name for name in catalogue.nerve_ids() if joint in catalogue.joints_served(name)}
        assert serving == set(supply.branches)
    assert catalogue.joint_supply("L3-4").branches == ("lumbar_medial_branch_L2", "lumbar_medial_branch_L3")
    assert catalogue.joint_supply("L1-2").not_in_catalogue
    with pytest.raises(ValueError, match="two branches"):
        catalogue.JointSupply(joint="L3-4", branches=("lumbar_medial_branch_L2",))


@pytest.mark.parametrize("written", ["L3-4", "L3-L4", "L3/4", "l3/L4", " L3 - 4 "])
def test_joint_names_are_read_in_their_usual_forms(written):
    assert catalogue.normal_joint(written) == "L3-4"
    assert problems(joint=written) == {}


def test_lumbosacral_joint_keeps_its_letter():
    assert catalogue.normal_joint("l5/s1") == "L5-S1"
    with pytest.raises(UnknownNameError, match="L5-S1"):
        catalogue.joint_supply("L5-6")


def test_a_consistent_target_has_no_problem():
    assert problems() == {}
    assert problems(nerve="lumbar_dorsal_ramus_L5", bony_level="sacral ala", joint="L5-S1") == {}


STOP = ("stop", False)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"bony_level": "L2"}, {"level.mismatch": STOP}),
        ({"bony_level": "L4"}, {"level.mismatch": STOP}),
        ({"joint": "L4-5"}, {"joint.mismatch": STOP}),
        ({"joint": "nonsense"}, {"joint.mismatch": STOP}),
        ({"side": "midline"}, {"side.missing": STOP}),
        ({"level_counted": None}, {"level.uncounted": STOP}),
        ({"level_counted": "  "}, {"level.uncounted": STOP}),
        ({"transitional_vertebra": True}, {"level.transitional": STOP}),
        ({"transitional_vertebra": None}, {"level.transitional_unknown": ("warn", True)}),
        (
            {"nerve": "lumbar_medial_branch_L4"},
            {"level.mismatch": STOP, "joint.mismatch": STOP},
        ),
    ],
)
def test_a_target_that_contradicts_itself_is_stopped(changes, expected):
    assert problems(**changes) == expected


def test_notices_say_what_was_found_and_what_was_expected():
    (notice,) = catalogue.target_problems(target(bony_level="L2"))
    assert "L2 medial branch crosses L3" in notice.text
    assert "says L2" in notice.text
    assert notice.source


def test_an_unknown_nerve_is_an_error():
    with pytest.raises(UnknownNameError, match="lumbar_medial_branch_L1"):
        catalogue.target_problems(target(nerve="lumbar_medial_branch_L9"))


def test_the_other_branch_of_the_joint_is_named():
    (note,) = catalogue.joint_notes(target())
    assert note.severity == "info"
    assert "the L3 medial branch at L4" in note.text
    (first,) = catalogue.joint_notes(target(nerve="lumbar_medial_branch_L1", bony_level="L2", joint="L1-2"))
    assert "not in the catalogue" in first.text
    assert catalogue.joint_notes(target(joint="nonsense")) == ()


def test_approach_angles_are_ranges_as_read():
    angles = {row.name: row for row in catalogue.approach_angles("lumbar_medial_branch_L2")}
    lateral, caudal = angles["lateral_of_parasagittal"], angles["caudal_of_superior_endplate"]
    assert (lateral.low, lateral.high, lateral.sd_low, lateral.sd_high) == (29, 47, 16, 18)
    assert (caudal.low, caudal.high) == (34, 49)
    assert lateral.middle == 38
    assert {row.source for row in angles.values()} == {"tran_2023"}
