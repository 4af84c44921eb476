"""Targets from landmarks and labels: rules, needs, side and level, spread, exact constructions."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import neurolysis
from neurolysis.app.cases import load_case
from neurolysis.case import GivenLandmark, LabelSource, Side, Target
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.geometry import Volume
from neurolysis.localization.images import read_image, read_labels
from neurolysis.localization.scene_builder import build_scene
from neurolysis.localization.schemes import Labels, read_label_map
from neurolysis.localization.targets.checks import check_point_side, find_midline
from neurolysis.localization.targets.from_labels import (
    anterolateral_course,
    promontory_course,
    subcostal_course,
)
from neurolysis.localization.targets.locate import FoundTarget, locate_target
from neurolysis.localization.targets.needs import landmark_needs
from neurolysis.localization.targets.rules import findable_targets, rule_for, rule_ids
from neurolysis.localization.targets.uncertainty import ErrorPart, carry_error, combined_mm
from neurolysis.nerve.catalogue import nerve_ids
from neurolysis.nerve.targets import target_ids

DATA = Path(neurolysis.__file__).parent / "data"
ORIGIN = (0.0, 0.0, 0.0)
ANY_LEVEL = {
    "sacral_lateral_branches": "S2", "cervical_medial_branch": "C5", "third_occipital_nerve": "C3",
    "splanchnic_nerves": "T12", "intercostal_nerves": "T7", "stellate_ganglion": "C6",
    "lumbar_sympathetic_chain": "L3", "lumbar_medial_branch_L1": "L2", "lumbar_medial_branch_L2": "L3",
    "lumbar_medial_branch_L3": "L4", "lumbar_medial_branch_L4": "L5", "lumbar_dorsal_ramus_L5": "sacral ala",
}  # fmt: skip


def a_target(nerve: str, side: Side | None = None, **rest: str) -> Target:
    own: Side = "left" if rule_for(nerve).paired else "midline"
    return Target(nerve=nerve, side=side or own, **({"bony_level": ANY_LEVEL.get(nerve)} | rest))


def block(
    shape: tuple[int, int, int] = (80, 80, 60), spacing: float = 2.0, shift: tuple[float, ...] = ORIGIN
) -> Volume:
    """An image of zeros centred at ``shift``, axes along LPS."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = np.array(shift) - 0.5 * spacing * (np.array(shape) - 1)
    return Volume(array=np.zeros(shape, np.int16), affine=affine, name="block")


def centres(image: Volume, shift: tuple[float, ...] = ORIGIN) -> np.ndarray:
    return image.to_lps(np.moveaxis(np.indices(image.shape), 0, -1)) - np.array(shift)


def labelled(image: Volume, parts: dict[int, np.ndarray]) -> Labels:
    array = np.zeros(image.shape, np.uint8)
    for number, mask in parts.items():
        array[mask] = number
    source = LabelSource(path="labels.nii.gz", scheme="totalsegmentator_v2")
    return Labels(maps=(read_label_map(source, image.with_array(array, "labels")),))


def spine(
    shift: tuple[float, ...] = ORIGIN, mirror: bool = False, spacing: float = 2.0
) -> tuple[Volume, Labels]:
    """T12 (32) and L1 (31) as cylinders of 20 mm radius with an arch, the cord (79), a left 12th rib."""
    image = block(spacing=spacing, shape=(80, 80, 60), shift=shift)
    p = centres(image, shift)
    if mirror:
        p = p * np.array([-1.0, 1.0, 1.0])
    x, y, z = np.moveaxis(p, -1, 0)
    body = x**2 + y**2 <= 20.0**2
    arch = (np.abs(x) < 16) & (y > 26) & (y < 44)
    bone = body | arch
    radius = np.hypot(x, y - 10.0)
    rib = (np.abs(radius - 55.0) <= 4.0) & (x > 10.0) & (np.abs(z + 20.0) <= 5.0)
    masks = {
        32: bone & (z > 2) & (z < 34),
        31: bone & (z < -2) & (z > -34),
        79: (x**2 + (y - 32) ** 2 <= 36) & (np.abs(z) < 50),
        115 if mirror else 103: rib,
    }
    masks[32] &= ~masks[79]
    masks[31] &= ~masks[79]
    return image, labelled(image, masks)


def picked(
    name: str, point: tuple[float, float, float], side: Side | None = None, sd: float | None = 2.0
) -> GivenLandmark:
    return GivenLandmark(name=name, side=side, point_mm=point, position_sd_mm=sd)


# ------------------------------------------------------------------------------------------------ the rules


def test_every_target_of_the_issue_has_a_rule_and_is_in_a_catalogue() -> None:
    named = {
        "sacral_lateral_branches", "cervical_medial_branch", "third_occipital_nerve", "splanchnic_nerves",
        "celiac_plexus", "superior_hypogastric_plexus", "ganglion_impar", "intercostal_nerves",
        "genicular_nerves", "stellate_ganglion", "lumbar_sympathetic_chain", "occipital_nerves",
        "trigeminal_ganglion", *nerve_ids(),
    }  # fmt: skip
    assert named == set(findable_targets())
    assert set(findable_targets()) <= set(target_ids()) | set(nerve_ids())


def test_no_rule_holds_a_distance_or_a_spread_that_nobody_read() -> None:
    for name in rule_ids():
        rule = rule_for(next(t for t in findable_targets() if rule_for(t).id == name))
        assert rule.offset_mm is None
        assert rule.anatomy_sd_mm is None
        assert len(rule.unknown()) == 2
        assert rule.source.startswith("assumption:")


@pytest.mark.parametrize("nerve", findable_targets())
def test_one_call_lists_what_is_missing(nerve: str) -> None:
    needs = landmark_needs(a_target(nerve))
    assert needs.missing
    assert all("{" not in one.name + one.find for one in needs.landmarks)
    rule = rule_for(nerve)
    if rule.paired:
        assert {one.side for one in needs.missing} == {"left"}
    given_all = [picked(one.name, ORIGIN, one.side) for one in needs.landmarks]
    assert landmark_needs(a_target(nerve), given_all).missing == ()


@pytest.mark.parametrize(
    ("nerve", "bony"), [("lumbar_medial_branch_L1", "L2"), ("lumbar_medial_branch_L4", "L5")]
)
def test_lumbar_branch_crosses_the_vertebra_below(nerve: str, bony: str) -> None:
    assert landmark_needs(a_target(nerve)).missing[0].name == f"sap_tp_junction_{bony}"
    with pytest.raises(InputError, match=f"crosses {bony}"):
        landmark_needs(a_target(nerve, bony_level=nerve[-2:]))


def test_contradicting_level_and_joint_are_refused() -> None:
    landmark_needs(a_target("cervical_medial_branch", joint="C5/6"))
    with pytest.raises(InputError, match=r"contradict.*C4-5, C5-6"):
        landmark_needs(a_target("cervical_medial_branch", joint="C6-7"))
    with pytest.raises(InputError, match="not treated at this level"):
        landmark_needs(a_target("stellate_ganglion", bony_level="T4"))
    with pytest.raises(InputError, match="paired"):
        landmark_needs(a_target("stellate_ganglion", side="midline"))
    with pytest.raises(UnknownNameError, match="ganglion_impar"):
        landmark_needs(Target(nerve="sciatic", side="left"))


def test_a_landmark_picked_twice_is_refused() -> None:
    twice = [picked("foramen_ovale", ORIGIN, "left")] * 2
    with pytest.raises(InputError, match="picked twice"):
        landmark_needs(a_target("trigeminal_ganglion"), twice)


# ------------------------------------------------------------------------------------------------ picked


def test_a_nerve_runs_through_its_picked_landmarks_with_their_spread() -> None:
    image = block()
    marks = [
        picked("foramen_ovale", (20, 0, 0), "left", 1.5),
        picked("trigeminal_cistern", (16, 14, 10), "left", 2.5),
    ]
    found = locate_target(a_target("trigeminal_ganglion"), Labels(), image, marks)
    assert np.allclose(found.nerve.curve.as_array(), [[20, 0, 0], [16, 14, 10]])
    assert found.nerve.position_sd_mm.value == 2.5
    assert found.nerve.position_sd_mm.basis == "site"
    assert found.has_course
    assert any(part.standard_deviation_mm is None for part in found.errors)


def test_an_unstated_picking_error_is_a_visible_assumption() -> None:
    image = block(spacing=2.0)
    mark = picked("longus_colli_C6", (20, 0, 0), "left", None)
    found = locate_target(a_target("stellate_ganglion"), Labels(), image, [mark])
    assert found.nerve.position_sd_mm.value == pytest.approx(np.sqrt(3.0), abs=1e-3)
    assert found.nerve.position_sd_mm.basis == "assumption"
    assert not found.has_course
    assert np.allclose(found.nerve.curve.as_array().mean(axis=0), [20, 0, 0])


def test_missing_landmarks_are_named_with_where_to_find_them() -> None:
    with pytest.raises(InputError, match=r"trigeminal_cistern \(side left\): the middle of the trigeminal"):
        locate_target(
            a_target("trigeminal_ganglion"), Labels(), block(), [picked("foramen_ovale", ORIGIN, "left")]
        )
    with pytest.raises(InputError, match="picked with side 'right', the target is on the left"):
        locate_target(
            a_target("stellate_ganglion"), Labels(), block(), [picked("longus_colli_C6", ORIGIN, "right")]
        )
    with pytest.raises(InputError, match="outside the image"):
        locate_target(
            a_target("stellate_ganglion"), Labels(), block(), [picked("longus_colli_C6", (999, 0, 0), "left")]
        )


def test_genicular_places_are_targets_of_their_own() -> None:
    names = ("genicular_superolateral", "genicular_superomedial", "genicular_inferomedial")
    marks = [picked(name, (10.0 * k, 5, 0), "left") for k, name in enumerate(names, start=1)]
    found = locate_target(a_target("genicular_nerves"), Labels(), block(), marks)
    assert [nerve.is_target for nerve in found.nerves] == [True, False, False]
    assert [round(float(n.curve.as_array()[:, 0].mean())) for n in found.nerves] == [10, 20, 30]
    one = locate_target(a_target("genicular_nerves"), Labels(), block(), marks[1:2])
    assert len(one.nerves) == 1


# ------------------------------------------------------------------------------------------------ side, level


def test_a_left_target_on_the_right_is_an_error() -> None:
    image, labels = spine()
    right = picked("anterolateral_body_T12", (-15, -14, 18), "left")
    with pytest.raises(InputError, match="other side of the midline"):
        locate_target(a_target("splanchnic_nerves"), labels, image, [right])
    left = picked("anterolateral_body_T12", (15, -14, 18), "left")
    found = locate_target(a_target("splanchnic_nerves"), labels, image, [left])
    assert any("15.0 mm to the left" in text for text in found.checks)


def test_swapped_pairs_are_an_error() -> None:
    marks = [picked("longus_colli_C6", (-20, 0, 0), "left"), picked("longus_colli_C6", (20, 0, 0), "right")]
    with pytest.raises(InputError, match="does not lie to the left of the right one"):
        locate_target(a_target("stellate_ganglion"), Labels(), block(), marks)


def test_the_body_s_middle_tells_the_side_where_no_label_does() -> None:
    image = block()
    x = centres(image)[..., 0]
    body = image.with_array(np.where(np.abs(x - 7.0) < 50, 40, -1000).astype(np.int16))
    midline = find_midline(np.zeros(3), Labels(), body)
    assert midline is not None
    assert midline.x_mm == pytest.approx(7.0, abs=1.1)
    with pytest.raises(InputError, match="middle of the body"):
        check_point_side(np.array([2.0, 0, 0]), "left", "it", midline)
    cut = image.with_array(np.where(x > -30, 40, -1000).astype(np.int16))
    assert find_midline(np.zeros(3), Labels(), cut) is None
    assert "could not be checked" in check_point_side(np.zeros(3), "left", "it", None)


def test_a_landmark_at_another_vertebra_is_an_error() -> None:
    image, labels = spine()
    at_l1 = picked("anterolateral_body_T12", (15, -14, -18), "left", 1.0)
    with pytest.raises(InputError, match=r"lies at L1 in the labels, not at T12"):
        locate_target(a_target("splanchnic_nerves"), labels, image, [at_l1])
    blind = locate_target(
        a_target("stellate_ganglion"), labels, image, [picked("longus_colli_C6", (15, 0, 0), "left")]
    )
    assert any("level could not be checked" in text for text in blind.checks)


# ------------------------------------------------------------------------------------------------ from labels


def test_front_side_of_a_round_body_lies_at_45_degrees() -> None:
    image, labels = spine(spacing=1.5)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        course = anterolateral_course(labels, "T12", "left" if side == "left" else "right", image)
        truth = 20.0 * np.sqrt(0.5)
        assert np.allclose(course[:, :2], [sign * truth, -truth], atol=2.0)
        assert course[0, 2] < course[-1, 2]
        assert 8 < course[:, 2].min() < course[:, 2].max() < 30


def test_promontory_and_rib_are_where_they_were_built() -> None:
    image = block()
    x, y, z = np.moveaxis(centres(image), -1, 0)
    box = (np.abs(x - 6) < 25) & (y > -20) & (y < 20)
    bones = {27: box & (z > 4) & (z < 34), 25: box & (z < -4) & (z > -40)}
    course = promontory_course(labelled(image, bones), image)
    assert np.allclose(course[:, 0], 6, atol=1.5)
    assert np.allclose(course[:, 1], -19, atol=1.5)
    assert course[0, 2] == pytest.approx(6.0, abs=3.0)
    assert course[1, 2] == pytest.approx(-7.0, abs=4.0)
    image, labels = spine()
    edge = subcostal_course(labels, "T12", "left", image)
    assert np.all(np.abs(np.hypot(edge[:, 0], edge[:, 1] - 10.0) - 55.0) < 5.0)
    assert np.all(np.abs(edge[:, 2] + 24.0) < 1.6)
    assert edge[:, 0].max() > 50
    with pytest.raises(InputError, match="rib is not in the labels"):
        subcostal_course(labels, "T12", "right", image)


def found_in_spine(shift: tuple[float, ...], mirror: bool, nerve: str, level: str) -> FoundTarget:
    image, labels = spine(shift, mirror)
    return locate_target(a_target(nerve, "right" if mirror else "left", bony_level=level), labels, image)


@pytest.mark.parametrize(("nerve", "level"), [("splanchnic_nerves", "T12"), ("intercostal_nerves", "T12")])
def test_the_mirrored_patient_has_the_mirrored_target(nerve: str, level: str) -> None:
    left = found_in_spine(ORIGIN, False, nerve, level).nerve.curve.as_array()
    right = found_in_spine(ORIGIN, True, nerve, level).nerve.curve.as_array()
    assert left.shape == right.shape
    assert np.allclose(left * [-1, 1, 1], right, atol=1e-6)


@settings(max_examples=5)
@given(st.tuples(*[st.floats(-300, 300).map(lambda v: round(v, 1))] * 3))
def test_a_moved_patient_has_the_moved_target(shift: tuple[float, float, float]) -> None:
    at_home = found_in_spine(ORIGIN, False, "splanchnic_nerves", "L1").nerve.curve.as_array()
    moved = found_in_spine(shift, False, "splanchnic_nerves", "L1").nerve.curve.as_array()
    assert np.allclose(moved - np.array(shift), at_home, atol=1e-6)


@cache
def celiac() -> tuple[Volume, Labels]:
    case, folder = load_case(DATA / "celiac")
    assert case.image is not None
    image = read_image(folder / case.image.path)
    maps = tuple(read_label_map(one, read_labels(folder / one.path, image)) for one in case.labels)
    return image, Labels(maps=maps)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize(
    ("nerve", "level"),
    [("splanchnic_nerves", "T11"), ("splanchnic_nerves", "T12"), ("splanchnic_nerves", "L1"),
     ("lumbar_sympathetic_chain", "L2"), ("intercostal_nerves", "T11")],
)  # fmt: skip
def test_targets_of_a_real_ct_lie_at_their_bone_and_on_their_side(nerve: str, level: str, side: str) -> None:
    image, labels = celiac()
    target = a_target(nerve, "left" if side == "left" else "right", bony_level=level)
    found = locate_target(target, labels, image)
    points = found.nerve.curve.as_array()
    assert image.contains(points).all()
    mask = labels.mask("rib_11", target.side) if nerve.startswith("inter") else labels.level_mask(level)
    assert mask is not None
    bone = image.to_lps(np.argwhere(mask))
    gaps = np.array([np.linalg.norm(bone - point, axis=1).min() for point in points])
    assert gaps.max() < 4.0
    assert found.nerve.review == "derived, unreviewed"
    assert found.nerve.position_sd_mm.basis == "assumption"


def test_a_scene_takes_its_target_from_the_rules() -> None:
    case, folder = load_case(DATA / "demo")
    chain = Target(nerve="lumbar_sympathetic_chain", side="left", bony_level="L3")
    scene = build_scene(case.replace(target=chain), folder)
    assert scene.target().catalogue_id == "lumbar_sympathetic_chain"
    # an S1 notch picked at L3 is at another vertebra, but the labels show no sacrum: said, not refused
    ramus = Target(nerve="lumbar_dorsal_ramus_L5", side="left", bony_level="S1", joint="L5-S1")
    mark = picked("sacral_ala_notch", (49.0, 199.0, -56.0), "left")
    scene = build_scene(case.replace(target=ramus, landmarks=(mark,)), folder)
    assert np.allclose(scene.target().curve.as_array().mean(axis=0), mark.point_mm)


# ------------------------------------------------------------------------------------------------ spread


def test_errors_of_registration_flow_into_the_spread() -> None:
    image = block()
    nerve = locate_target(
        a_target("stellate_ganglion"), Labels(), image, [picked("longus_colli_C6", (20, 0, 0), "left", 3.0)]
    ).nerve
    part = ErrorPart(
        name="registration", standard_deviation_mm=4.0, basis="computed", source="landmark residuals"
    )
    grown = carry_error(nerve, part)
    assert grown.position_sd_mm.value == pytest.approx(5.0)
    assert "registration" in grown.derivation
    assert grown.curve == nerve.curve
    unknown = carry_error(nerve, part.replace(standard_deviation_mm=None))
    assert unknown.position_sd_mm == nerve.position_sd_mm
    assert "not counted: registration" in unknown.derivation


@given(st.lists(st.floats(0, 20), min_size=1, max_size=5))
def test_spreads_add_as_squares(values: list[float]) -> None:
    parts = [ErrorPart(name="p", standard_deviation_mm=v, basis="site", source="s") for v in values]
    assert combined_mm(parts) ** 2 == pytest.approx(sum(v * v for v in values), abs=1e-9)
