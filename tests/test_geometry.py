"""Rigid transforms, curves and volumes: round trips, distances, sampling and hashes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from neurolysis.case import GivenPlacement
from neurolysis.errors import FrameMismatchError, InputError
from neurolysis.geometry import Curve, RigidTransform, Volume, segment_distance_mm, unit_vector
from neurolysis.quantity import parse

brief = settings(deadline=None, max_examples=40)
coordinate = st.floats(-500, 500, allow_nan=False, width=32)
points = arrays(np.float64, (3,), elements=coordinate)
directions = points.filter(lambda v: np.linalg.norm(v) > 1e-3)


@st.composite
def rotations(draw: st.DrawFn) -> np.ndarray:
    quaternion = draw(
        arrays(np.float64, (4,), elements=st.floats(-1, 1)).filter(lambda q: np.linalg.norm(q) > 0.1)
    )
    w, x, y, z = quaternion / np.linalg.norm(quaternion)
    return np.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
            [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
            [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
        ]
    )


@st.composite
def transforms(draw: st.DrawFn) -> RigidTransform:
    return RigidTransform.from_arrays(draw(rotations()), draw(points))


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    spacing = draw(arrays(np.float64, (3,), elements=st.floats(0.2, 5)))
    flips = draw(arrays(np.float64, (3,), elements=st.sampled_from([-1.0, 1.0])))
    affine = np.eye(4)
    affine[:3, :3] = draw(rotations()) * spacing * flips
    affine[:3, 3] = draw(points)
    return affine


def volume(array: np.ndarray | None = None, affine: np.ndarray | None = None, name: str = "test") -> Volume:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5) if array is None else array
    return Volume(array=array, affine=np.diag([2.0, 3.0, 4.0, 1.0]) if affine is None else affine, name=name)


# ------------------------------------------------------------------ directions and transforms


@brief
@given(directions)
def test_a_unit_vector_has_length_one_and_the_same_direction(vector: np.ndarray) -> None:
    unit = unit_vector(vector)
    assert np.linalg.norm(unit) == pytest.approx(1)
    assert unit @ vector == pytest.approx(np.linalg.norm(vector))


@pytest.mark.parametrize("vector", [[0, 0, 0], [np.nan, 0, 1], [np.inf, 0, 0]])
def test_a_direction_without_a_length_is_refused(vector: list[float]) -> None:
    with pytest.raises(InputError, match="finite length above zero"):
        unit_vector(vector)


@brief
@given(transforms(), points)
def test_the_inverse_undoes_a_transform(transform: RigidTransform, point: np.ndarray) -> None:
    np.testing.assert_allclose(transform.inverse().apply(transform.apply(point)), point, atol=1e-9)


@brief
@given(transforms(), transforms(), points)
def test_composition_applies_the_first_and_then_the_second(
    second: RigidTransform, first: RigidTransform, point: np.ndarray
) -> None:
    whole = second.compose(first).apply(point)
    np.testing.assert_allclose(whole, second.apply(first.apply(point)), atol=1e-9)


@brief
@given(transforms(), points, points)
def test_a_rigid_transform_keeps_distances(
    transform: RigidTransform, one: np.ndarray, other: np.ndarray
) -> None:
    moved = np.linalg.norm(transform.apply(one) - transform.apply(other))
    assert moved == pytest.approx(np.linalg.norm(one - other), abs=1e-9)


def test_apply_keeps_the_leading_axes() -> None:
    quarter = RigidTransform.from_arrays([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [10, 0, 0])
    grid = np.zeros((2, 5, 3))
    grid[..., 0] = 1
    assert quarter.apply(grid).shape == (2, 5, 3)
    np.testing.assert_allclose(quarter.apply([1, 0, 0]), [10, 1, 0])


@brief
@given(directions, points)
def test_a_frame_along_an_axis_has_that_z_and_origin(direction: np.ndarray, origin: np.ndarray) -> None:
    frame = RigidTransform.along_axis(origin, direction)
    np.testing.assert_allclose(frame.apply([0, 0, 0]), origin, atol=1e-9)
    np.testing.assert_allclose(frame.apply([0, 0, 2]) - origin, 2 * unit_vector(direction), atol=1e-9)
    assert np.linalg.det(np.array(frame.rotation)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("rotation", "says"),
    [
        (np.diag([1, 1, -1]), "right-handed"),
        (np.diag([1, 1, 2]), "orthonormal"),
        (np.ones((3, 3)), "orthonormal"),
    ],
)
def test_what_is_no_rotation_is_refused(rotation: np.ndarray, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RigidTransform.from_arrays(rotation, [0, 0, 0])


@pytest.mark.parametrize(
    "point",
    [5, None, "123", [1, 2], [1, 2, 3, 4], [None, 1, 2], [float("nan"), 0, 0], [True, 0, 0], {"x": 1}],
)
def test_what_is_no_point_is_an_input_error_that_names_the_field(point: object) -> None:
    data = {"instrument": "needle", "tip_mm": point, "towards_hub_mm": [0, 0, 1]}
    with pytest.raises(InputError, match="tip_mm"):
        parse(GivenPlacement, data, "case.yaml")


def test_a_point_may_be_an_array_of_any_number_type() -> None:
    given_point = (np.float32(1.5), np.int64(2), 3)
    placement = GivenPlacement(instrument="needle", tip_mm=given_point, towards_hub_mm=np.array([0, 0, 1]))
    assert placement.tip_mm == (1.5, 2.0, 3.0)
    assert placement.towards_hub_mm == (0.0, 0.0, 1.0)
    assert all(type(value) is float for value in placement.tip_mm + placement.towards_hub_mm)


# ------------------------------------------------------------------ curves


def test_length_and_resampling_of_a_bent_curve() -> None:
    curve = Curve.from_array([[0, 0, 0], [3, 0, 0], [3, 4, 0]])
    assert curve.length_mm() == 7
    assert curve.arc_length_mm().tolist() == [0, 3, 7]
    arc, places = curve.resample(2.0)
    assert np.max(np.diff(arc)) <= 2.0
    np.testing.assert_allclose(np.diff(arc), arc[1])
    np.testing.assert_allclose(places[[0, -1]], [[0, 0, 0], [3, 4, 0]])
    np.testing.assert_allclose(curve.distance_mm(places), 0, atol=1e-12)


@brief
@given(arrays(np.float64, (4, 3), elements=coordinate), st.floats(0.5, 500))
def test_resampled_points_lie_on_the_curve_at_their_arc_length(array: np.ndarray, step_mm: float) -> None:
    if np.min(np.linalg.norm(np.diff(array, axis=0), axis=1)) < 1e-3:
        return
    curve = Curve.from_array(array)
    arc, places = curve.resample(step_mm)
    assert arc[0] == 0
    assert arc[-1] == curve.length_mm()
    assert np.max(np.diff(arc)) <= step_mm * (1 + 1e-12)
    np.testing.assert_allclose(curve.distance_mm(places), 0, atol=1e-6)
    assert np.all(np.linalg.norm(np.diff(places, axis=0), axis=1) <= np.diff(arc) * (1 + 1e-9) + 1e-9)


def test_distance_beside_beyond_and_at_the_bend() -> None:
    curve = Curve.from_array([[0, 0, 0], [10, 0, 0], [10, 10, 0]])
    asked = np.array([[[5, -2, 0], [-3, -4, 0]], [[13, 4, 4], [10, 12, 0]]], dtype=float)
    np.testing.assert_allclose(curve.distance_mm(asked), [[2, 5], [5, 2]])
    start, end = curve.as_array()[:2]
    assert segment_distance_mm(np.array([13.0, 4, 0]), start, end) == 5


@brief
@given(transforms(), arrays(np.float64, (6, 3), elements=coordinate))
def test_distance_to_a_curve_is_never_more_than_to_its_points(
    transform: RigidTransform, asked: np.ndarray
) -> None:
    shape = np.array([[0.0, 0, 0], [20, 5, 0], [30, -10, 8]])
    distance = Curve.from_array(shape).distance_mm(asked)
    to_points = np.linalg.norm(asked[:, None] - shape, axis=-1).min(axis=1)
    assert np.all(distance <= to_points + 1e-9)
    turned = Curve.from_array(transform.apply(shape)).distance_mm(transform.apply(asked))
    np.testing.assert_allclose(turned, distance, atol=1e-6)


@pytest.mark.parametrize("bad", [[[0, 0, 0]], [[0, 0, 0], [0, 0, 0]], [[0, 0, 0], [np.nan, 0, 0]], [0, 0, 0]])
def test_a_curve_without_two_different_points_is_refused(bad: list[object]) -> None:
    with pytest.raises(ValidationError):
        Curve.from_array(bad)


@pytest.mark.parametrize("step_mm", [0, -1, np.nan])
def test_a_resampling_step_must_be_above_zero(step_mm: float) -> None:
    with pytest.raises(InputError, match="above zero"):
        Curve.from_array([[0, 0, 0], [1, 0, 0]]).resample(step_mm)


# ------------------------------------------------------------------ volumes


@brief
@given(affines(), points)
def test_voxel_index_and_place_round_trip(affine: np.ndarray, index: np.ndarray) -> None:
    one = volume(affine=affine)
    np.testing.assert_allclose(one.to_index(one.to_lps(index)), index, atol=1e-6)
    np.testing.assert_allclose(one.spacing_mm, np.linalg.norm(affine[:3, :3], axis=0))
    np.testing.assert_allclose(one.to_lps([0, 0, 0]), affine[:3, 3])


@brief
@given(affines())
def test_sampling_at_voxel_centres_gives_the_voxels(affine: np.ndarray) -> None:
    one = volume(affine=affine)
    centres = one.to_lps(np.moveaxis(np.indices(one.shape), 0, -1))
    np.testing.assert_array_equal(one.sample(centres, order=0), one.array)
    np.testing.assert_allclose(one.sample(centres), one.array, atol=1e-6)


@brief
@given(affines(), arrays(np.float64, (7, 3), elements=st.floats(0, 1)))
def test_linear_sampling_of_a_linear_field_is_exact(affine: np.ndarray, share: np.ndarray) -> None:
    i, j, k = np.indices((4, 5, 6))
    one = volume((2.0 * i - 3.0 * j + 0.5 * k + 7).astype(np.float64), affine)
    index = share * [3, 4, 5]
    np.testing.assert_allclose(one.sample(one.to_lps(index)), index @ [2, -3, 0.5] + 7, atol=1e-6)


def test_sampling_outside_and_in_the_outermost_half_voxel() -> None:
    one = volume()
    asked = one.to_lps([[-0.5, 0, 0], [-0.51, 0, 0], [2.49, 3.49, 4.49], [2.51, 3, 4]])
    assert one.contains(asked).tolist() == [True, False, True, False]
    np.testing.assert_allclose(one.sample(asked, outside=-1), [0, -1, 59, -1])
    assert one.sample(asked, order=0, outside=-1).tolist() == [0, -1, 59, -1]
    assert one.sample(np.zeros((0, 3))).shape == (0,)


@pytest.mark.parametrize(
    ("affine", "says"),
    [
        (np.diag([1, 0, 1, 1]), "above zero"),
        (np.array([[1, 0.1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]), "square to each other"),
        (np.full((4, 4), np.nan), "finite"),
        (np.eye(3), "4 x 4"),
        (np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]), "last row"),
    ],
)
def test_an_affine_that_is_no_grid_is_refused(affine: np.ndarray, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        volume(affine=affine)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 5, 1), (3, 0, 5)])
def test_a_volume_has_three_axes_with_voxels(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="three dimensions"):
        volume(np.zeros(shape))


def test_a_volume_cannot_be_changed_from_outside() -> None:
    base = np.zeros((4, 4, 4))
    one = volume(base[:2])
    base[:] = 7
    assert one.array.max() == 0
    for target in (one.array, one.affine):
        with pytest.raises(ValueError, match="read-only"):
            target[0] = 1


def test_the_same_frame_is_required_within_a_hundredth_of_a_millimetre() -> None:
    one = volume()
    near, far = one.affine.copy(), one.affine.copy()
    near[0, 3] += 0.009
    far[2, 2] += 0.004  # 5 slices further: 0.02 mm
    one.require_same_frame(volume(affine=near))
    with pytest.raises(FrameMismatchError, match=r"'labels' lies up to 0.02 mm from 'test'"):
        one.require_same_frame(volume(affine=far, name="labels"))
    with pytest.raises(FrameMismatchError, match=r"shape of 'labels'.*found: \(3, 4, 4\); allowed: .*5"):
        one.require_same_frame(volume(np.zeros((3, 4, 4)), name="labels"))
    turned = np.diag([2.0, 3.0, -4.0, 1.0])
    turned[2, 3] = 16  # the same voxels in the other order along z
    with pytest.raises(FrameMismatchError):
        one.require_same_frame(volume(affine=turned))


def test_other_voxels_in_the_same_frame_keep_the_shape() -> None:
    one = volume()
    other = one.with_array(np.ones(one.shape, np.uint8), "mask")
    one.require_same_frame(other)
    assert other.name == "mask"
    with pytest.raises(InputError, match="keep the shape"):
        one.with_array(np.ones((2, 2, 2)))


# ------------------------------------------------------------------ hashes


def test_the_hash_changes_with_voxels_affine_and_type() -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    changed = array.copy()
    changed[1, 2, 3] += 1
    moved = np.diag([2.0, 3.0, 4.0, 1.0])
    moved[0, 3] = 1e-12
    others = [
        volume(changed),
        volume(array.astype(np.int32)),
        volume(affine=moved),
        volume(array.reshape(4, 3, 5)),
    ]
    hashes = {one.content_hash() for one in [volume(array), *others]}
    assert len(hashes) == 5


def test_the_hash_does_not_change_with_byte_order_memory_layout_name_or_minus_zero() -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    minus = np.diag([2.0, 3.0, 4.0, 1.0])
    minus[0, 1] = -0.0
    same = [
        volume(array.astype(">i2")),
        volume(np.asfortranarray(array)),
        volume(name="other"),
        volume(affine=minus),
    ]
    assert {one.content_hash() for one in same} == {volume(array).content_hash()}


@brief
@given(arrays(np.int16, (2, 3, 2)), arrays(np.int16, (2, 3, 2)))
def test_volumes_are_equal_just_when_their_voxels_are(one: np.ndarray, other: np.ndarray) -> None:
    equal = bool(np.array_equal(one, other))
    assert (volume(one.copy()) == volume(other.copy())) is equal
    assert volume(one.copy()) == volume(one.astype(">i2"))
    assert volume(one.copy()) != volume(one.copy(), name="other")
    assert len({volume(one.copy()), volume(one.copy())}) == 1
    assert volume(one.copy()) != "an image"
