"""A case folder becomes a scene: structures from bone, given anatomy, and what cannot be told."""

from __future__ import annotations

import re
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import neurolysis
from neurolysis.app.cases import load_case
from neurolysis.case import Case
from neurolysis.errors import FrameMismatchError, InputError, UnknownNameError
from neurolysis.evidence.instruments import instrument
from neurolysis.localization.canal import canal_mask, find_ring
from neurolysis.localization.foramen import HEIGHT_MM, zone_below
from neurolysis.localization.medial_branch import as_given, parallel_placement
from neurolysis.localization.scene_builder import build_scene, derive_target
from neurolysis.localization.schemes import Labels, read_label_map
from neurolysis.localization.structures import Surroundings, find_structures
from neurolysis.localization.vertebra import find_vertebra
from neurolysis.planning.make import make_plan
from neurolysis.quantity import hash_file, parse
from neurolysis.scene import Scene, Structure

from . import phantoms
from .phantoms import CANAL, STRAIGHT, TILTED, phantom

DEMO = Path(neurolysis.__file__).parent / "data" / "demo"


@cache
def demo() -> tuple[Case, Scene]:
    case, folder = load_case(DEMO)
    return case, build_scene(case, folder)


def changed(**fields: Any) -> Case:
    """The demo case with some fields changed, as plain data would change them."""
    data = demo()[0].model_dump(mode="json")
    return parse(Case, {**data, **fields}, "case.yaml")


def structure(scene: Scene, kind: str, start: str = "") -> Structure:
    found = [s for s in scene.structures if s.kind == kind and s.name.startswith(start)]
    assert len(found) == 1
    return found[0]


def points(found: Structure) -> np.ndarray:
    assert found.mask is not None
    return found.mask.to_lps(np.argwhere(found.mask.array))


# --- the demo ----------------------------------------------------------------------------------------


def test_demo_scene_holds_target_structures_and_notes() -> None:
    case, scene = demo()
    target = scene.target()
    assert (target.catalogue_id, target.side, target.review) == (
        "lumbar_medial_branch_L2", "left", "derived, unreviewed",
    )  # fmt: skip
    assert scene.level_names == ("L2", "L3", "L4")
    assert [s.kind for s in scene.structures] == [
        "spinal_canal",
        "segmental_nerve",
        "segmental_nerve",
        "skin",
    ]
    assert len(scene.landmarks) == 1
    for label in case.labels:
        assert any(label.path in note and "not been reviewed" in note for note in scene.notes)
    assert any("uncertain" in note for note in scene.notes)
    assert any("not counted" in note for note in scene.notes)


def test_demo_needle_is_the_computed_one_and_its_plan_has_no_stop() -> None:
    case, scene = demo()
    assert case.target is not None
    assert case.treatment is not None
    labels = Labels(maps=tuple(read_label_map(one, scene.labels[one.path]) for one in case.labels))
    nerve, junction = derive_target(case.target, labels, scene.image)
    computed = as_given(parallel_placement(nerve, junction, instrument(case.treatment.instrument)))
    (given,) = case.treatment.placements
    assert np.allclose(given.tip_mm, computed.tip_mm, atol=0.02)
    assert np.allclose(given.towards_hub_mm, computed.towards_hub_mm, atol=0.02)
    plan = make_plan(case, scene, evidence_version="e", software_version="s")
    assert [n.code for n in plan.notices if n.severity == "stop"] == []
    assert {"skin.unknown", "tip.at_bone", "anatomy.derived", "labels.unreviewed"} <= {
        n.code for n in plan.notices
    }


def test_demo_files_are_those_the_attribution_names() -> None:
    text = (DEMO / "ATTRIBUTION.md").read_text(encoding="utf-8")
    named = dict(reversed(line.split("  ")) for line in re.findall(r"^[0-9a-f]{64}  \S+$", text, re.M))
    assert set(named) == {path.name for path in DEMO.glob("*.nii.gz")}
    for name, digest in named.items():
        assert hash_file(DEMO / name) == digest
    assert "Apache" in text
    assert "CC BY-SA 4.0" in text


def test_demo_canal_lies_between_body_and_arch() -> None:
    _, scene = demo()
    canal = structure(scene, "spinal_canal")
    assert canal.mask is not None
    parts = scene.labels["labels_subregion.nii.gz"].array
    inside = canal.mask.array.astype(bool)
    assert not np.any(inside & (parts > 0))
    assert canal.fluid_filled
    assert canal.position_sd_mm > 0
    assert canal.review == "derived, unreviewed"
    # at the height of the pedicles: bone to the left, right, front and back of the canal's middle
    row = _axial(scene, inside, -62.0)
    middle = np.median(row, axis=0)
    bone = scene.labels["labels_subregion.nii.gz"]
    for step in ((1, 0), (-1, 0), (0, 1), (0, -1)):
        line = middle + np.arange(0, 25)[:, None] * np.array([*step, 0.0])
        assert (bone.sample(line, order=0) > 0).any()
    area = len(row) * 1.5**2
    assert 200 < area < 450


def _axial(scene: Scene, mask: np.ndarray, z_mm: float) -> np.ndarray:
    found = scene.image.to_lps(np.argwhere(mask))
    return found[np.abs(found[:, 2] - z_mm) < 0.76]


def test_demo_segmental_zones_lie_below_pedicles_and_off_the_target() -> None:
    _, scene = demo()
    upper, lower = structure(scene, "segmental_nerve", "L2"), structure(scene, "segmental_nerve", "L3")
    landmark = np.array(scene.landmarks[0].point_mm)
    assert points(upper)[:, 2].min() > landmark[2] + 5 > points(lower)[:, 2].max() + 5
    for zone in (upper, lower):
        nearest = float(np.linalg.norm(points(zone) - landmark, axis=1).min())
        assert 8 < nearest < 25
        assert points(zone)[:, 0].min() > points(structure(scene, "spinal_canal"))[:, 0].mean() + 8
    assert "not seen" in upper.derivation
    assert "not seen" not in lower.derivation


def test_skin_of_the_demo_cannot_be_said() -> None:
    skin = structure(demo()[1], "skin")
    assert skin.mask is None
    assert skin.unknown_reason == "skin outside image"


# --- known anatomy -----------------------------------------------------------------------------------


@pytest.mark.parametrize("pose", [STRAIGHT, TILTED])
def test_canal_of_the_phantom_is_its_tube(pose: phantoms.RigidTransform) -> None:
    image, labels = phantom(pose)
    ring = find_ring(labels, find_vertebra(labels, "L3", image), image)
    found = canal_mask([ring], labels.bone(image), image)
    local = phantoms.local_points(image, pose)
    truth = np.abs(local[..., 2]) < 12
    for axis, (low, high) in enumerate(CANAL):
        truth &= (local[..., axis] > low) & (local[..., axis] < high)
    near = np.abs(local[..., 2]) < 12
    overlap = 2 * np.sum(found & truth & near) / (np.sum(found & near) + np.sum(truth))
    assert overlap > 0.9
    assert not np.any(found & labels.bone(image))


def test_zone_of_the_phantom_hangs_below_its_pedicle() -> None:
    image, labels = phantom(TILTED)
    ring = find_ring(labels, find_vertebra(labels, "L3", image), image)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        zone = zone_below(ring, "left" if side == "left" else "right", labels, image)
        local = phantoms.local_points(image, TILTED)[zone]
        assert local[:, 2].max() == pytest.approx(phantoms.PEDICLE_LOW_MM, abs=2.0)
        assert local[:, 2].min() == pytest.approx(phantoms.PEDICLE_LOW_MM - HEIGHT_MM, abs=2.0)
        assert (sign * local[:, 0]).min() == pytest.approx(10.0, abs=2.0)
        assert local[:, 1].max() < 31.5
        assert np.median(local[:, 1]) == pytest.approx(20.0, abs=4.0)


def test_without_parts_the_canal_is_unknown_with_its_reason() -> None:
    image, labels = phantom(STRAIGHT)
    around = Surroundings(image=image, labels=Labels(maps=labels.maps[1:]), level="L3", side="left")
    found = {s.kind: s for s in find_structures(changed(labels=[], target=None), around)}
    assert found["spinal_canal"].mask is None
    assert "both pedicles" in found["spinal_canal"].unknown_reason
    assert found["segmental_nerve"].mask is None


# --- given anatomy -----------------------------------------------------------------------------------

NERVE = {
    "name": "lumbar_medial_branch_L2",
    "points_mm": [[50, 190, -52], [50, 200, -60]],
    "radius_mm": {"value": 0.5, "unit": "mm", "basis": "site", "source": "drawn by hand"},
    "position_sd_mm": {"value": 1.0, "unit": "mm", "basis": "site", "source": "drawn by hand"},
}


def test_a_given_target_is_used_as_it_is() -> None:
    scene = build_scene(changed(nerves=[NERVE]), DEMO)
    (nerve,) = scene.nerves
    assert nerve.is_target
    assert nerve.side == "left"
    assert nerve.review == "given"
    assert nerve.curve.as_array().tolist() == NERVE["points_mm"]
    assert nerve.position_sd_mm.value == 1.0
    assert scene.landmarks == ()


@pytest.mark.parametrize(("level", "count"), [(None, 0), (" ", 0), ("L3", 2)])
def test_only_a_target_at_a_vertebra_has_segmental_nerves_to_spare(level: str | None, count: int) -> None:
    """Without a vertebra nothing is listed as an "upper segmental nerve" whose place is unknown."""
    target = {"nerve": "lateral_femoral_cutaneous_nerve", "side": "left", "bony_level": level}
    scene = build_scene(changed(target=target, nerves=[{**NERVE, "name": target["nerve"]}]), DEMO)
    assert [s.kind for s in scene.structures].count("segmental_nerve") == count


def test_another_nerve_stands_beside_the_derived_target() -> None:
    other = {**NERVE, "name": "ventral ramus", "side": "left"}
    scene = build_scene(changed(nerves=[other]), DEMO)
    assert [(n.name, n.is_target) for n in scene.nerves] == [
        ("L2 medial branch, left", True),
        ("ventral ramus", False),
    ]
    with pytest.raises(InputError, match=r"nerves\.0\.side: .*needs its side"):
        build_scene(changed(nerves=[{**other, "side": None}]), DEMO)


@pytest.mark.parametrize("wrong", [[[50, 190, -52]], [[50, 190, -52], [50, 190, -52]]])
def test_a_nerve_with_one_point_names_the_field(wrong: list[list[float]]) -> None:
    with pytest.raises(InputError, match=r"nerves\.0\.points_mm"):
        build_scene(changed(nerves=[{**NERVE, "points_mm": wrong}]), DEMO)


def test_a_given_nerve_on_the_wrong_side_is_refused() -> None:
    right = [[0, 190, -52], [0, 200, -60]]
    with pytest.raises(InputError, match="other side of the midline"):
        build_scene(changed(nerves=[{**NERVE, "points_mm": right}]), DEMO)


def test_a_given_structure_keeps_its_labels_and_gets_its_limits() -> None:
    given = {"name": "drawn canal", "kind": "spinal_canal", "label_path": "labels_subregion.nii.gz"}
    scene = build_scene(changed(structures=[{**given, "label_values": [49, 50]}]), DEMO)
    found = structure(scene, "spinal_canal")
    assert found.name == "drawn canal"
    assert found.review == "given"
    assert found.limits
    assert found.mask is not None
    assert found.mask.array.sum() == np.isin(scene.labels["labels_subregion.nii.gz"].array, [49, 50]).sum()
    with pytest.raises(InputError, match=r"structures\.0\.label_values.*\[99\]"):
        build_scene(changed(structures=[{**given, "label_values": [99]}]), DEMO)
    with pytest.raises(UnknownNameError, match="spinal_canal"):
        build_scene(changed(structures=[{**given, "kind": "ganglion", "label_values": [50]}]), DEMO)


def test_skin_depth_of_the_case_is_in_the_reason() -> None:
    skin = structure(build_scene(changed(skin_depth_mm=62.0), DEMO), "skin")
    assert skin.mask is None
    assert "62 mm" in skin.unknown_reason


# --- what is wrong is said ---------------------------------------------------------------------------


def test_unknown_scheme_and_missing_image_and_labels() -> None:
    labels = [{"path": "labels_subregion.nii.gz", "scheme": "mine"}]
    with pytest.raises(UnknownNameError, match="totalsegmentator_118"):
        build_scene(changed(labels=labels), DEMO)
    with pytest.raises(InputError, match=r"case\.yaml: image"):
        build_scene(changed(image=None), DEMO)
    with pytest.raises(InputError, match="no label map"):
        build_scene(changed(labels=[]), DEMO)


def test_a_nerve_without_a_rule_must_be_given() -> None:
    target = {"nerve": "lumbar_dorsal_ramus_L5", "side": "left", "bony_level": "S1", "joint": "L5-S1"}
    with pytest.raises(InputError, match="no rule for a dorsal ramus"):
        build_scene(changed(target=target), DEMO)
    with pytest.raises(InputError, match=r"target\.side.*left, right"):
        build_scene(changed(target={**target, "nerve": "lumbar_medial_branch_L2", "side": "midline"}), DEMO)


def test_labels_in_another_frame_are_refused(tmp_path: Path) -> None:
    shutil.copytree(DEMO, tmp_path / "case")
    path = tmp_path / "case" / "labels_vertebra.nii.gz"
    file = nibabel.load(path)
    affine = file.affine.copy()
    affine[0, 3] += 3.0
    nibabel.save(nibabel.Nifti1Image(np.asarray(file.dataobj), affine), path)
    case, folder = load_case(tmp_path / "case")
    with pytest.raises(FrameMismatchError, match="labels_vertebra"):
        build_scene(case, folder)


def test_a_case_without_target_is_a_scene_without_one() -> None:
    scene = build_scene(changed(target=None, treatment=None), DEMO)
    assert scene.nerves == ()
    assert any("no target" in note for note in scene.notes)
    assert [s.kind for s in scene.structures] == ["spinal_canal", "skin"]
