"""The clinical rules of case, scene and place, each with a case where it fires and one where it does not."""

from __future__ import annotations

import numpy as np
import pytest

from neurolysis.case import Case
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.instruments import find_cannula, instrument, instrument_ids
from neurolysis.geometry import Curve, Volume
from neurolysis.plan import Placement
from neurolysis.planning.needle import centre_line_mm, needle_path
from neurolysis.planning.rules import bone_notice, case_notices
from neurolysis.planning.surroundings import bone_depth, share_of
from neurolysis.quantity import Quantity
from neurolysis.scene import Nerve, Scene, Structure, TissueMap, TissueProperties

NAMES = ("muscle", "air", "bone_cortical")
NEEDLE = "cannula_18g_10mm"
TARGET = {
    "nerve": "lumbar_medial_branch_L2",
    "side": "left",
    "bony_level": "L3",
    "joint": "L3-4",
    "level_counted": "counted from the sacrum on the planning CT",
    "transitional_vertebra": False,
}


def quantity(value, unit="mm"):
    return Quantity(value=value, unit=unit, source="x")


def properties(name):
    fields = [f for f in TissueProperties.model_fields if f not in ("name", "note")]
    return TissueProperties(name=name, **{field: quantity(1.0, "1") for field in fields})


def image(shape=(60, 60, 60), spacing=1.5):
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -0.5 * spacing * (np.array(shape) - 1)
    return Volume(array=np.zeros(shape, np.int16), affine=affine)


def where(volume, condition):
    points = volume.to_lps(np.moveaxis(np.indices(volume.shape), 0, -1))
    return condition(*np.moveaxis(points, -1, 0))


def a_scene(bone=None, air=None, structures=(), uncertain=None, **rest):
    volume = image()
    tissue = np.zeros(volume.shape, np.uint8)
    for index, condition in ((2, bone), (1, air)):
        if condition is not None:
            tissue[where(volume, condition)] = index
    nerve = Nerve(
        name="left L2 medial branch",
        catalogue_id="lumbar_medial_branch_L2",
        side="left",
        curve=Curve.from_array([[0, -5, 0], [0, 5, 0]]),
        radius_mm=quantity(1.0),
        position_sd_mm=quantity(1.0),
        is_target=True,
    )
    mask = None if uncertain is None else volume.with_array(where(volume, uncertain).astype(np.uint8))
    values = {
        "image": volume,
        "tissues": TissueMap(volume=volume.with_array(tissue), names=NAMES, outside="muscle", uncertain=mask),
        "properties": {name: properties(name) for name in ("muscle", "bone_cortical")},
        "nerves": (nerve,),
        "structures": structures,
    }
    return Scene(**{**values, **rest})


def structure(condition, **rest):
    volume = image()
    values = {
        "name": "spinal canal",
        "kind": "spinal_canal",
        "mask": volume.with_array(where(volume, condition).astype(np.uint8)),
    }
    return Structure(**{**values, **rest})


def a_case(**changes):
    values = {
        "id": "case-1",
        "patient": {"id": "p1"},
        "image": {"path": "ct.nii.gz", "contrast": False},
        "target": TARGET,
        "allergies": [],
        "implants": [],
        "skin_depth_mm": 60.0,
    }
    return Case.model_validate({**values, **changes})


def needle(tip=(0, 0, 0), hub=(0, 0, 80), name=NEEDLE, **rest):
    return Placement.between(instrument(name), tip, hub, **rest)


def codes(case=None, scene=None, *placements):
    found = case_notices(case or a_case(), scene or a_scene(), placements or (needle(),))
    return {notice.code: notice for notice in found}


def test_a_sound_case_raises_no_warning():
    found = codes()
    assert found.pop("anaesthesia.missing").severity == "warn", "step 3 is asked for, not assumed"
    assert {notice.severity for notice in found.values()} == {"info"}
    assert set(found) == {"joint.other_branch", "shaft.leaves_image"}


def test_open_red_flags_and_patients_out_of_scope_stop_a_plan():
    dead = codes(a_case(patient={"id": "p", "deceased": True}))
    assert dead["scope.deceased"].severity == "stop"
    assert not dead["scope.deceased"].overridable
    child = codes(a_case(patient={"id": "p", "birth_year": 2012}, evaluated="2026-01-01"))
    assert child["scope.under_18"].severity == "stop"
    flag = {"kind": "exam", "name": "saddle_numbness", "result": "present"}
    assert codes(a_case(findings=[flag]))["red_flag.cauda_equina"].severity == "stop"
    looked = {
        "flag": "cauda_equina",
        "resolved_by": "Dr A",
        "resolved_on": "2026-01-01",
        "reason": "MR normal",
    }
    assert "red_flag.cauda_equina" not in codes(a_case(findings=[flag], resolved_flags=[looked]))


# --- target ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"bony_level": "L2"}, "level.mismatch"),
        ({"joint": "L4-5"}, "joint.mismatch"),
        ({"side": "midline"}, "side.missing"),
        ({"level_counted": None}, "level.uncounted"),
        ({"transitional_vertebra": True}, "level.transitional"),
    ],
)
def test_a_wrong_or_unsure_level_stops_and_cannot_be_overridden(change, code):
    notice = codes(a_case(target={**TARGET, **change}))[code]
    assert notice.severity == "stop"
    assert not notice.overridable


def test_an_unknown_nerve_lists_the_catalogue():
    with pytest.raises(UnknownNameError, match="lumbar_medial_branch_L2"):
        codes(a_case(target={**TARGET, "nerve": "sciatic"}))


def test_a_case_without_target_stops():
    assert codes(a_case(target=None))["target.missing"].severity == "stop"


def test_the_scene_must_hold_the_nerve_that_is_named():
    other = codes(a_case(target={**TARGET, "side": "right"}))["target.scene_mismatch"]
    assert (other.severity, other.overridable) == ("stop", False)
    assert codes(scene=a_scene(nerves=()))["target.not_one"].severity == "stop"


def test_a_level_the_labels_do_not_show_warns():
    assert codes(scene=a_scene(level_names=("L4", "L5")))["level.not_seen"].severity == "warn"
    assert "level.not_seen" not in codes(scene=a_scene(level_names=("L2", "L3")))


def test_what_the_case_leaves_out_is_unknown():
    found = codes(a_case(allergies=None, implants=None))
    assert found["allergies.unknown"].severity == found["implants.unknown"].severity == "warn"


# --- images ------------------------------------------------------------------------------------------


def test_contrast_is_said_and_unknown_contrast_warns():
    known = codes(a_case(image={"path": "ct.nii.gz", "contrast": True}))["image.contrast"]
    unknown = codes(a_case(image={"path": "ct.nii.gz"}))["image.contrast"]
    assert (known.severity, unknown.severity) == ("info", "warn")
    assert "never makes bone" in unknown.text


def test_uncertain_tissue_counts_only_near_the_tip():
    near = codes(scene=a_scene(uncertain=lambda x, y, z: x > 10))
    far = codes(scene=a_scene(uncertain=lambda x, y, z: x > 20))
    assert near["tissue.uncertain"].severity == "warn"
    assert "tissue.uncertain" not in far


def test_unreviewed_labels_and_derived_anatomy_are_named():
    canal = structure(lambda x, y, z: x > 30, review="derived, unreviewed")
    labels = [{"path": "labels.nii.gz", "scheme": "subregion"}]
    found = codes(a_case(labels=labels), a_scene(structures=(canal,)))
    assert "labels.nii.gz" in found["labels.unreviewed"].text
    assert "spinal canal" in found["anatomy.derived"].text


def test_skin_is_always_asked_for():
    unknown = Structure(name="skin", kind="skin", mask=None, unknown_reason="not in view")
    assert "cannot say" in codes(a_case(skin_depth_mm=None))["skin.unknown"].text
    named = codes(a_case(skin_depth_mm=None), a_scene(structures=(unknown,)))["skin.unknown"]
    assert "not in view" in named.text
    seen = structure(lambda x, y, z: z > 40, name="skin", kind="skin")
    assert "skin.unknown" not in codes(a_case(skin_depth_mm=None), a_scene(structures=(seen,)))


# --- place -------------------------------------------------------------------------------------------


def test_the_active_tip_must_lie_in_the_image_and_the_shaft_may_leave_it():
    partly = codes(None, None, needle(tip=(0, 0, 40), hub=(0, 0, 90)))["tip.outside_image"]
    assert (partly.severity, partly.overridable) == ("stop", False)
    leaving = codes(None, None, needle(tip=(0, 0, 30), hub=(0, 0, 90)))
    assert "tip.outside_image" not in leaving
    assert "muscle" in leaving["shaft.leaves_image"].text


def test_a_tip_in_air_stops():
    notice = codes(scene=a_scene(air=lambda x, y, z: z > 4))["tip.in_air"]
    assert (notice.severity, notice.overridable) == ("stop", False)
    assert "tip.in_air" not in codes(scene=a_scene(air=lambda x, y, z: z > 14))


def test_a_tip_on_bone_warns_and_a_tip_deep_in_bone_stops():
    """The bone's surface lies at z = 0; its depth there is that of the apex."""
    on_bone = codes(None, a_scene(bone=lambda x, y, z: z < 0), needle(tip=(0, 0, 0.4)))
    assert on_bone["tip.at_bone"].severity == "warn"
    assert "apex 0.0 mm" in on_bone["tip.at_bone"].text
    shallow = codes(None, a_scene(bone=lambda x, y, z: z < 0), needle(tip=(0, 0, -2)))
    assert "apex 2.0 mm" in shallow["tip.at_bone"].text
    deep = codes(None, a_scene(bone=lambda x, y, z: z < 0), needle(tip=(0, 0, -3)))["tip.in_bone"]
    assert deep.severity == "stop"
    assert "apex 3.0 mm" in deep.text
    assert "tip.at_bone" not in codes(None, a_scene(bone=lambda x, y, z: z < -5), needle())


def test_the_deepest_part_of_the_active_tip_counts():
    """The apex is free, but the bare part behind it runs through a block of bone 9 mm thick."""
    block = a_scene(bone=lambda x, y, z: (z > 1.5) & (z < 10.5))
    assert codes(scene=block)["tip.in_bone"].severity == "stop"


def test_depth_in_bone_is_exact_to_the_voxel_faces():
    points = np.array([[0, 0, 1.0], [0, 0, -0.5], [0.2, 0.1, -4.25]])
    depth = bone_depth(a_scene(bone=lambda x, y, z: z < 0).tissues, points)
    np.testing.assert_allclose(depth, [0, 0.5, 4.25], atol=1e-9)
    assert bone_depth(a_scene().tissues, points) is None


def test_a_tip_deep_in_a_solid_block_of_bone_is_still_measured():
    depth = bone_depth(a_scene(bone=lambda x, y, z: z < 1000).tissues, np.zeros((1, 3)))
    assert depth[0] == pytest.approx(15)


def test_a_target_in_bone_is_only_warned():
    depth = np.array([9.0, 9.0])
    (inside,) = bone_notice("The needle", depth, 2.6, intraosseous=True)
    (other,) = bone_notice("The needle", depth, 2.6, intraosseous=False)
    assert (inside.severity, other.severity) == ("warn", "stop")


def test_a_shaft_through_bone_warns():
    found = codes(scene=a_scene(bone=lambda x, y, z: (z > 20) & (z < 30)))
    assert found["shaft.in_bone"].severity == "warn"
    assert "10.5 mm" in found["shaft.in_bone"].text or "9.0 mm" in found["shaft.in_bone"].text
    assert "tip.in_bone" not in found


def test_a_needle_through_the_canal_stops():
    canal = structure(lambda x, y, z: (abs(x) < 4) & (z > 20) & (z < 26))
    notice = codes(scene=a_scene(structures=(canal,)))["path.through_structure"]
    assert notice.severity == "stop"
    assert "spinal canal" in notice.text


def test_a_needle_within_the_canals_spread_warns():
    canal = {"condition": lambda x, y, z: (x > 3) & (x < 10) & (z > 20)}
    sure = codes(scene=a_scene(structures=(structure(**canal),)))
    unsure = codes(scene=a_scene(structures=(structure(**canal, position_sd_mm=3.0),)))
    assert "path.near_structure" not in sure
    assert unsure["path.near_structure"].severity == "warn"


def test_the_skin_may_be_crossed():
    skin = structure(lambda x, y, z: z > 40, name="skin", kind="skin")
    assert "path.through_structure" not in codes(scene=a_scene(structures=(skin,)))


def test_two_needles_may_not_touch():
    apart = codes(None, None, needle(), needle(tip=(6, 0, 0), hub=(6, 0, 80)))
    crossing = codes(None, None, needle(), needle(tip=(6, 0, 0), hub=(-6, 0, 40)))
    assert "needles.touch" not in apart
    assert crossing["needles.touch"].severity == "stop"


# --- the needle as points ----------------------------------------------------------------------------


def test_a_straight_needle_runs_from_apex_to_hub():
    path = needle_path(needle(tip=(1, 2, 3), hub=(1, 2, 50)))
    np.testing.assert_allclose(path.active_mm[0], [1, 2, 3])
    np.testing.assert_allclose(path.active_mm[-1], [1, 2, 13], atol=1e-9)
    np.testing.assert_allclose(path.shaft_mm[-1], [1, 2, 103], atol=1e-9)
    assert np.linalg.norm(np.diff(path.all_mm, axis=0), axis=1).max() <= 0.25 + 1e-9


def test_a_curved_needle_keeps_its_length_and_bends_by_its_angle():
    cannula = find_cannula(18, 10, "curved")
    line = centre_line_mm(cannula)
    tip, shaft = line[1] - line[0], line[2] - line[1]
    assert np.linalg.norm(tip) + np.linalg.norm(shaft) == pytest.approx(cannula.shaft_length_mm)
    angle = np.degrees(np.arccos(tip @ shaft / np.linalg.norm(tip) / np.linalg.norm(shaft)))
    assert angle == pytest.approx(cannula.bend_angle_deg)


def test_turning_a_curved_needle_moves_its_shaft_and_not_its_apex():
    cannula = find_cannula(18, 10, "curved")
    paths = [
        needle_path(Placement.between(cannula, (0, 0, 0), (0, 0, 9), rotation_deg=turn)) for turn in (0, 180)
    ]
    np.testing.assert_allclose(paths[0].active_mm[0], paths[1].active_mm[0], atol=1e-9)
    apart = np.linalg.norm(paths[0].shaft_mm[-1] - paths[1].shaft_mm[-1])
    assert apart == pytest.approx(2 * 10 * np.sin(np.radians(cannula.bend_angle_deg)), abs=1e-6)


def test_tines_belong_to_the_active_part():
    name = next(name for name in instrument_ids() if name.startswith("tined"))
    placed = needle(name=name)
    path = needle_path(placed)
    for end in placed.frame().apply([tine.end_mm for tine in instrument(name).tines]):
        assert np.linalg.norm(path.active_mm - end, axis=1).min() < 1e-9


def test_share_of_tissue_counts_only_the_image():
    tissues = a_scene(air=lambda x, y, z: z > 0).tissues
    points = np.array([[0, 0, 5.0], [0, 0, -5.0], [0, 0, 500.0], [0, 0, 6.0]])
    assert share_of(tissues, points, {"air"}) == 0.5
