"""Vertebra axes, the SAP/TP junction, the branch laid over it and the needle laid along it."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest

import neurolysis
from neurolysis.app.cases import load_case
from neurolysis.errors import InputError
from neurolysis.evidence.instruments import find_cannula
from neurolysis.geometry import Volume
from neurolysis.localization import medial_branch
from neurolysis.localization.images import read_image, read_labels
from neurolysis.localization.landmarks import Junction, check_side, find_junction
from neurolysis.localization.medial_branch import (
    LARGEST_SHIFT_MM,
    as_given,
    course_direction,
    derive_medial_branch,
    follow_bone,
    parallel_placement,
)
from neurolysis.localization.schemes import Labels, read_label_map
from neurolysis.localization.vertebra import bone_distance, find_vertebra

from . import phantoms
from .phantoms import JUNCTION, STRAIGHT, TILTED, flipped, flipped_labels, phantom, swapped_sides

DEMO = Path(neurolysis.__file__).parent / "data" / "demo"
BRANCH = "lumbar_medial_branch_L2"


@cache
def demo() -> tuple[Volume, Labels]:
    case, folder = load_case(DEMO)
    image = read_image(folder / "ct.nii.gz")
    maps = tuple(read_label_map(one, read_labels(folder / one.path, image)) for one in case.labels)
    return image, Labels(maps=maps)


@cache
def demo_junction(side: str) -> Junction:
    image, labels = demo()
    return find_junction(labels, "L3", "left" if side == "left" else "right", image)


@pytest.mark.parametrize("pose", [STRAIGHT, TILTED])
def test_axes_of_a_turned_vertebra_are_its_own(pose: phantoms.RigidTransform) -> None:
    image, labels = phantom(pose)
    vertebra = find_vertebra(labels, "L3", image)
    angles = np.degrees(
        np.arccos(np.clip(np.sum(np.array(vertebra.frame.rotation) * pose.rotation, 0), -1, 1))
    )
    assert np.all(angles < 1.5)
    assert np.allclose(vertebra.frame.translation_mm, pose.apply([0, 0, 0]), atol=0.6)


@pytest.mark.parametrize("pose", [STRAIGHT, TILTED])
@pytest.mark.parametrize("side", ["left", "right"])
def test_junction_of_the_phantom_is_the_corner(pose: phantoms.RigidTransform, side: str) -> None:
    image, labels = phantom(pose)
    junction = find_junction(labels, "L3", "left" if side == "left" else "right", image)
    truth = pose.apply(JUNCTION * ([1, 1, 1] if side == "left" else [-1, 1, 1]))
    assert np.linalg.norm(np.array(junction.landmark.point_mm) - truth) < 3.0
    assert abs(float(junction.distance.sample(np.array(junction.landmark.point_mm)))) < 0.05


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_landmark_does_not_depend_on_how_the_image_is_stored(axis: int) -> None:
    image, labels = demo()
    other = find_junction(flipped_labels(labels, axis), "L3", "left", flipped(image, axis))
    assert np.allclose(other.landmark.point_mm, demo_junction("left").landmark.point_mm, atol=0.3)


def test_demo_landmarks_lie_as_measured_before() -> None:
    left, right = demo_junction("left"), demo_junction("right")
    assert left.gap_mm == right.gap_mm == 1.5
    for junction in (left, right):
        assert junction.landmark.spread_mm is not None
        assert 1.0 <= junction.landmark.spread_mm <= 3.0
    apart = np.subtract(left.landmark.point_mm, right.landmark.point_mm)
    assert apart[0] > 0
    assert 43 < np.linalg.norm(apart) < 53


def test_swapped_labels_are_refused() -> None:
    image, labels = demo()
    with pytest.raises(InputError, match="other side of the midline"):
        find_junction(swapped_sides(labels), "L3", "left", image)


def test_a_point_on_the_wrong_side_is_refused() -> None:
    image, labels = demo()
    left, right = demo_junction("left"), demo_junction("right")
    check_side(left.vertebra, np.array(left.landmark.point_mm), "left", labels, image)
    with pytest.raises(InputError, match="other side of the midline"):
        check_side(left.vertebra, np.array(right.landmark.point_mm), "left", labels, image)


def test_missing_parts_and_cut_vertebrae_are_named() -> None:
    image, labels = demo()
    with pytest.raises(InputError, match=r"L2.*upper edge|upper edge.*"):
        find_junction(labels, "L2", "left", image)
    with pytest.raises(InputError, match="vertebrae seen: L2, L3, L4"):
        find_junction(labels, "L5", "left", image)
    parts, vertebra = labels.maps
    array = np.where(parts.volume.array == 43, 0, parts.volume.array)
    bare = Labels(maps=(read_label_map(parts.source, parts.volume.with_array(array)), vertebra))
    with pytest.raises(InputError, match="transverse 0 voxels"):
        find_junction(bare, "L3", "left", image)


def test_processes_that_do_not_touch_make_no_junction() -> None:
    image, labels = phantom(STRAIGHT)
    parts, vertebra = labels.maps
    local = phantoms.local_points(image, STRAIGHT)
    near = (parts.volume.array == 43) & (local[..., 0] < 24)
    cut = parts.volume.with_array(np.where(near, 0, parts.volume.array))
    with pytest.raises(InputError, match="do not touch"):
        find_junction(Labels(maps=(read_label_map(parts.source, cut), vertebra)), "L3", "left", image)


def test_distance_to_a_flat_bone_is_exact() -> None:
    image = phantoms.grid(STRAIGHT)
    index = np.indices(image.shape)[0]
    distance = bone_distance(index < 30, image)
    assert np.allclose(distance.array[[20, 29, 30, 40], 50, 50], [-9.5, -0.5, 0.5, 10.5], atol=0.06)


def test_course_has_the_published_angles_in_the_vertebra_s_own_axes() -> None:
    for side, sign in (("left", 1.0), ("right", -1.0)):
        junction = demo_junction(side)
        along = course_direction(junction, BRANCH)
        left, back, up = (along @ junction.vertebra.axis(name) for name in ("left", "posterior", "cranial"))
        assert np.degrees(np.arctan2(sign * left, back)) == pytest.approx(38.0)
        assert np.degrees(np.arcsin(-up)) == pytest.approx(41.5)


def test_no_course_is_invented_where_none_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medial_branch, "approach_angles", lambda _: ())
    with pytest.raises(InputError, match="no course was read"):
        course_direction(demo_junction("left"), BRANCH)


@pytest.mark.parametrize("side", ["left", "right"])
def test_branch_runs_on_the_bone_through_the_landmark(side: str) -> None:
    junction = demo_junction(side)
    nerve = derive_medial_branch(junction, BRANCH, is_target=True)
    points = nerve.curve.as_array()
    gap = junction.distance.sample(points)
    landmark = np.array(junction.landmark.point_mm)
    assert np.all(gap > 0.5)
    assert np.quantile(gap, 0.75) < 1.5
    assert float(nerve.curve.distance_mm(landmark)) < nerve.radius_mm.value + 0.5
    assert np.all(np.linalg.norm(points - _line(junction), axis=1) <= LARGEST_SHIFT_MM + 1e-9)
    assert 18 < nerve.curve.length_mm() < 24
    assert nerve.side == side
    assert nerve.review == "derived, unreviewed"
    assert nerve.position_sd_mm.basis == "assumption"


def _line(junction: Junction) -> np.ndarray:
    along = np.arange(-10.0, 10.5, 1.0)[:, None]
    return np.array(junction.landmark.point_mm) + along * course_direction(junction, BRANCH)


def test_a_line_in_a_flat_bone_comes_out_to_the_offset() -> None:
    image = phantoms.grid(STRAIGHT)
    distance = bone_distance(np.indices(image.shape)[0] < 30, image)
    index = np.column_stack([np.full(21, 28.0), np.full(21, 50.0), np.arange(40.0, 61.0)])
    laid = follow_bone(distance, image.to_lps(index), 1.0)
    assert np.allclose(distance.sample(laid), 1.0, atol=0.05)
    assert np.allclose(image.to_index(laid)[:, 2], index[:, 2], atol=0.05)


@pytest.mark.parametrize(("gauge", "tip_mm"), [(18, 10.0), (22, 5.0)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_needle_lies_along_the_branch_beside_it_and_off_the_bone(
    side: str, gauge: int, tip_mm: float
) -> None:
    junction, cannula = demo_junction(side), find_cannula(gauge, tip_mm)
    nerve = derive_medial_branch(junction, BRANCH, is_target=True)
    placement = parallel_placement(nerve, junction, cannula)
    tip, along = np.array(placement.tip_mm), np.array(placement.direction_to_hub)
    shaft = tip + np.arange(0, 50, 0.5)[:, None] * along
    radius = cannula.outer_radius_mm.value
    assert along @ course_direction(junction, BRANCH) == pytest.approx(1.0, abs=1e-6)
    assert (np.array(junction.landmark.point_mm) - tip) @ along == pytest.approx(tip_mm / 2, abs=0.02)
    assert junction.distance.sample(shaft, outside=99.0).min() >= radius
    reach = nerve.curve.distance_mm(shaft[shaft @ along <= tip @ along + tip_mm])
    assert reach.min() >= radius + nerve.radius_mm.value - 0.05
    assert reach.max() < 3.0


def test_given_placement_keeps_place_and_direction() -> None:
    junction = demo_junction("left")
    nerve = derive_medial_branch(junction, BRANCH, is_target=True)
    placement = parallel_placement(nerve, junction, find_cannula(18, 10))
    given = as_given(placement)
    along = np.subtract(given.towards_hub_mm, given.tip_mm)
    assert given.tip_mm == placement.tip_mm
    assert given.instrument == placement.instrument.id
    assert np.allclose(along / np.linalg.norm(along), placement.direction_to_hub, atol=2e-4)
