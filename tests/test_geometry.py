"""The one frame: transforms, curves, volumes and hashes; NIfTI images and label maps brought into it."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pydantic import ValidationError

from neurolysis.case import GivenPlacement
from neurolysis.errors import FrameMismatchError, ImageError, InputError
from neurolysis.geometry import Curve, RigidTransform, Volume, segment_distance_mm, unit_vector
from neurolysis.localization import dicom_series
from neurolysis.localization.images import read_image, read_image_details, read_labels
from neurolysis.quantity import parse

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared" / "data"
RAS = np.array([[0, 0, 1.5, -78], [-1.4, 0, 0, -135], [0, -1.6, 0, -34.2], [0, 0, 0, 1]])  # axes P, I, R
LPS = np.diag([-1, -1, 1, 1]) @ RAS

brief = settings(deadline=None, max_examples=40)
coordinate = st.floats(-500, 500, allow_nan=False, width=32)
points = arrays(np.float64, (3,), elements=coordinate)
directions = points.filter(lambda v: np.linalg.norm(v) > 1e-3)


def nearest_rotation(matrix: np.ndarray) -> np.ndarray:
    left, _, right = np.linalg.svd(matrix)
    return left @ np.diag([1, 1, np.linalg.det(left @ right)]) @ right


rotations = arrays(np.float64, (3, 3), elements=st.floats(-1, 1)).map(nearest_rotation)
transforms = st.builds(RigidTransform.from_arrays, rotations, points)


@st.composite
def affines(draw: st.DrawFn) -> np.ndarray:
    spacing = draw(arrays(np.float64, (3,), elements=st.floats(0.2, 5)))
    flips = draw(arrays(np.float64, (3,), elements=st.sampled_from([-1.0, 1.0])))
    affine = np.eye(4)
    affine[:3, :3] = draw(rotations) * spacing * flips
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
@given(transforms, points)
def test_the_inverse_undoes_a_transform(transform: RigidTransform, point: np.ndarray) -> None:
    np.testing.assert_allclose(transform.inverse().apply(transform.apply(point)), point, atol=1e-9)


@brief
@given(transforms, transforms, points)
def test_composition_applies_the_first_and_then_the_second(second, first, point) -> None:
    whole = second.compose(first).apply(point)
    np.testing.assert_allclose(whole, second.apply(first.apply(point)), atol=1e-9)


@brief
@given(transforms, arrays(np.float64, (2, 5, 3), elements=coordinate))
def test_a_rigid_transform_keeps_distances(transform, grid) -> None:
    moved = np.linalg.norm(np.diff(transform.apply(grid), axis=1), axis=-1)
    np.testing.assert_allclose(moved, np.linalg.norm(np.diff(grid, axis=1), axis=-1), atol=1e-9)


def test_a_quarter_turn_about_z_takes_x_to_y() -> None:
    quarter = RigidTransform.from_arrays([[0, -1, 0], [1, 0, 0], [0, 0, 1]], [10, 0, 0])
    np.testing.assert_allclose(quarter.apply([1, 0, 0]), [10, 1, 0])


@brief
@given(directions, points)
def test_a_frame_along_an_axis_has_that_z_and_origin(direction: np.ndarray, origin: np.ndarray) -> None:
    frame = RigidTransform.along_axis(origin, direction)
    np.testing.assert_allclose(frame.apply([0, 0, 0]), origin, atol=1e-9)
    np.testing.assert_allclose(frame.apply([0, 0, 2]) - origin, 2 * unit_vector(direction), atol=1e-9)
    assert np.linalg.det(np.array(frame.rotation)) == pytest.approx(1)


@pytest.mark.parametrize(("diagonal", "says"), [([1, 1, -1], "right-handed"), ([1, 1, 2], "orthonormal")])
def test_what_is_no_rotation_is_refused(diagonal: list[float], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        RigidTransform.from_arrays(np.diag(diagonal), [0, 0, 0])


NO_POINTS = [5, None, "123", [1, 2], [1, 2, 3, 4], [None, 1, 2], [np.nan, 0, 0], [True, 0, 0], {"x": 1}]


@pytest.mark.parametrize("point", NO_POINTS)
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
    assert segment_distance_mm(np.array([13.0, 4, 0]), *curve.as_array()[:2]) == 5


@brief
@given(transforms, arrays(np.float64, (6, 3), elements=coordinate))
def test_distance_to_a_curve_is_never_more_than_to_its_points(transform, asked) -> None:
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


# ------------------------------------------------------------------ volumes and hashes


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


NO_GRIDS = [(np.diag([1, 0, 1, 1]), "above zero"), (np.eye(3), "4 x 4"), (np.full((4, 4), np.nan), "finite")]
NO_GRIDS += [(np.tri(4), "last row"), (np.tri(4).T, "square to each other")]


@pytest.mark.parametrize(("affine", "says"), NO_GRIDS)
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
    with pytest.raises(ValueError, match="read-only"):
        one.array[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        one.affine[0] = 1


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


def test_the_hash_changes_with_voxels_affine_and_type() -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    changed = array.copy()
    changed[1, 2, 3] += 1
    moved = np.diag([2.0, 3.0, 4.0, 1.0])
    moved[0, 3] = 1e-12
    voxels = [array, changed, array.astype(np.int32), array.reshape(4, 3, 5)]
    hashes = {volume(one).content_hash() for one in voxels} | {volume(affine=moved).content_hash()}
    assert len(hashes) == 5


def test_the_hash_does_not_change_with_byte_order_memory_layout_name_or_minus_zero() -> None:
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    minus = np.diag([2.0, 3.0, 4.0, 1.0])
    minus[0, 1] = -0.0
    same = [volume(array.astype(">i2")), volume(np.asfortranarray(array)), volume(affine=minus, name="other")]
    assert {one.content_hash() for one in same} == {volume(array).content_hash()}


@brief
@given(arrays(np.int16, (2, 3, 2)), arrays(np.int16, (2, 3, 2)))
def test_volumes_are_equal_just_when_their_voxels_are(one: np.ndarray, other: np.ndarray) -> None:
    assert (volume(one.copy()) == volume(other.copy())) is np.array_equal(one, other)
    assert volume(one.copy()) == volume(one.astype(">i2"))
    assert volume(one.copy()) != volume(one.copy(), name="other")
    assert len({volume(one.copy()), volume(one.copy())}) == 1
    assert volume(one.copy()) != "an image"


# ------------------------------------------------------------------ NIfTI


def nifti(file: Path, array: Any = None, sform: Any = RAS, qform: Any = None, **header: Any) -> Path:
    """Write a NIfTI file with these forms (None: code 0); ``header`` sets raw fields last."""
    array = np.arange(60, dtype=np.int16).reshape(3, 4, 5) - 20 if array is None else array
    image = nibabel.Nifti1Image(array, None)
    image.header.set_xyzt_units("mm")
    image.header.set_sform(sform, code=0 if sform is None else 1)
    image.header.set_qform(qform, code=0 if qform is None else 1)
    image.to_filename(file)
    if header:
        content = bytearray(file.read_bytes())
        for field, value in header.items():
            np.ndarray((), nibabel.nifti1.header_dtype, content)[field] = value
        file.write_bytes(content)
    return file


def refused(file: Path, says: str) -> None:
    with pytest.raises(ImageError, match=says) as caught:
        read_image(file)
    assert caught.value.where == str(file)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz", "CT.NII.GZ"])
@pytest.mark.parametrize("forms", [(RAS, None), (None, RAS), (RAS, RAS)])
def test_a_nifti_image_is_brought_from_ras_to_lps(tmp_path: Path, name: str, forms: Any) -> None:
    image = read_image(nifti(tmp_path / name, None, *forms))
    assert (image.array.dtype, image.name) == (np.int16, name)
    np.testing.assert_array_equal(image.array.ravel(), np.arange(60) - 20)
    np.testing.assert_allclose(image.affine, LPS, atol=1e-4)
    details = read_image_details(tmp_path / name)
    assert (details.format, details.contrast, details.notes) == ("NIfTI", None, ())


@pytest.mark.parametrize("dtype", ["u1", "i2", ">i2", "i4", "f4", ">f8"])
def test_whole_values_come_as_int16_whatever_the_file_stores(tmp_path: Path, dtype: str) -> None:
    array = np.arange(60).reshape(3, 4, 5, 1).astype(dtype)
    image = read_image(nifti(tmp_path / "ct.nii", array))
    assert (image.shape, image.array.dtype) == ((3, 4, 5), np.dtype(np.int16))
    np.testing.assert_array_equal(image.array, array[..., 0])


def test_other_values_and_scalings_come_as_float32(tmp_path: Path) -> None:
    stored = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    image = read_image(nifti(tmp_path / "ct.nii", stored, scl_slope=0.25, scl_inter=-7))
    assert image.array.dtype == np.float32
    np.testing.assert_array_equal(image.array, stored * 0.25 - 7)
    beyond = read_image(nifti(tmp_path / "ct.nii", stored.astype(np.int32) * 1000))
    assert beyond.array.dtype == np.float32
    assert beyond.array.max() == 59000


HOLES = np.ones((3, 4, 5), np.float32)
HOLES[1, 2, 3], HOLES[2, 0, 0] = np.nan, np.inf
SHEARED, FLAT, AWAY = RAS.copy(), RAS.copy(), RAS.copy()
SHEARED[1, 1], FLAT[:, 1], AWAY[0, 3] = 0.1, 0, -77
NIFTI_REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no form": ({"sform": None}, "neither qform nor sform is set.*qform_code 0, sform_code 0"),
    "two places": ({"qform": AWAY}, "place the image differently; found: 1 mm apart"),
    "shear": ({"sform": SHEARED}, r"a sheared image; found: 3\.\d\d degrees off"),
    "no spacing": ({"sform": FLAT}, "spacing must be finite and above zero"),
    "nan affine": ({"srow_x": [np.nan, 0, 1, 0]}, "spacing must be finite and above zero"),
    "not finite": ({"array": HOLES}, r"2 voxels not a finite number; found: nan at voxel index \(1, 2, 3\)"),
    "time": ({"array": np.zeros((3, 4, 5, 2), np.int16)}, r"three-dimensional.*\(3, 4, 5, 2\)"),
    "plane": ({"array": np.zeros((3, 4), np.int16)}, r"three-dimensional.*\(3, 4\)"),
    "one slice": ({"array": np.zeros((3, 4, 1), np.int16)}, "single slice has no thickness direction"),
    "complex": ({"array": np.zeros((3, 4, 5), np.complex64)}, "voxels are not single numbers"),
    "metres": ({"xyzt_units": 1}, "unit of length is not millimetres; found: metre; allowed: mm"),
    "no unit": ({"xyzt_units": 13}, "unit of length is not millimetres; found: code 5"),
    "huge": ({"dim": [3, 2000, 2000, 2000, 1, 1, 1, 1]}, "size is refused; found: 2000 x 2000 x 2000"),
    "no type": ({"datatype": 9999}, "cannot be read"),
}


@pytest.mark.parametrize("name", NIFTI_REFUSALS)
def test_a_nifti_image_that_cannot_be_trusted_is_refused(tmp_path: Path, name: str) -> None:
    change, says = NIFTI_REFUSALS[name]
    refused(nifti(tmp_path / "ct.nii", **change), says)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
@pytest.mark.parametrize("kept", [-1, 700, 200, 0])
def test_a_nifti_file_cut_short_is_refused(tmp_path: Path, name: str, kept: int) -> None:
    array = np.random.default_rng(1).integers(0, 999, (9, 9, 9)).astype(np.int16)
    whole = nifti(tmp_path / name, array).read_bytes()
    (tmp_path / name).write_bytes(whole[:kept])
    refused(tmp_path / name, "cannot be read")


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    file = nifti(tmp_path / "ct.nii.gz", np.ones((20, 20, 20), np.int16))
    whole = gzip.decompress(file.read_bytes())
    damaged = bytearray(gzip.compress(whole, 0))
    damaged[-20] ^= 1  # a voxel, not the checksum
    file.write_bytes(damaged)
    refused(file, "cannot be read .*CRC")
    file.write_bytes(gzip.compress(whole + bytes(2**21)))
    refused(file, "unpacks to more than its header declares; allowed: 16352 bytes")


def test_other_faults_of_a_nifti_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(tmp_path / "nowhere.nii", "no such file")
    file = nifti(tmp_path / "ct.nii", xyzt_units=0)
    assert "millimetres are assumed" in read_image_details(file).notes[0]
    with pytest.raises(ImageError, match="holds no series to choose"):
        read_image(file, series_uid="1.2.3")
    monkeypatch.setattr(dicom_series, "MAX_VOXELS", 59)
    refused(file, "size is refused; found: 3 x 4 x 5; allowed: 1 to 59 voxels")


# ------------------------------------------------------------------ label maps


@pytest.mark.parametrize(("top", "dtype"), [(59, np.uint8), (300, np.int16), (70000, np.int32)])
@pytest.mark.parametrize("stored", [np.int32, np.float32])
def test_labels_come_in_the_smallest_type(tmp_path: Path, top: int, dtype: Any, stored: Any) -> None:
    array = np.arange(60).reshape(3, 4, 5).astype(stored)
    array[0, 0, 0] = top
    labels = read_labels(nifti(tmp_path / "labels.nii", array), read_image(nifti(tmp_path / "ct.nii")))
    assert labels.array.dtype == dtype
    np.testing.assert_array_equal(labels.array, array)


@pytest.mark.parametrize(("value", "what"), [(2.5, "label"), (-1, "label"), (np.nan, "voxel")])
def test_what_is_no_label_is_refused(tmp_path: Path, value: float, what: str) -> None:
    array = np.zeros((3, 4, 5), np.float32)
    array[2, 1, 0] = value
    with pytest.raises(ImageError, match=rf"1 {what} not a .*found: {value:g} at voxel index \(2, 1, 0\)"):
        read_labels(nifti(tmp_path / "labels.nii", array), read_image(nifti(tmp_path / "ct.nii")))
    with pytest.raises(ImageError, match="a label map is a NIfTI file"):
        read_labels(tmp_path, read_image(nifti(tmp_path / "ct.nii")))


@pytest.mark.parametrize("change", ["moved", "mirrored", "cropped", "coarser"])
def test_labels_in_another_frame_are_refused(tmp_path: Path, change: str) -> None:
    affine, shape = RAS.copy(), (3, 4, 4) if change == "cropped" else (3, 4, 5)
    affine[0, 3] += 0.02 * (change == "moved")
    affine[:3, 0] *= {"mirrored": -1, "coarser": 1.01}.get(change, 1)
    file = nifti(tmp_path / "labels.nii", np.zeros(shape, np.uint8), affine)
    with pytest.raises(FrameMismatchError, match=r"labels\.nii"):
        read_labels(file, read_image(nifti(tmp_path / "ct.nii")))


@brief
@given(st.permutations(range(3)), st.tuples(*[st.booleans()] * 3))
def test_labels_stored_in_another_order_are_turned_to_the_image(tmp_path_factory, axes, flips) -> None:
    folder = tmp_path_factory.mktemp("turned")
    image = read_image(nifti(folder / "ct.nii"))
    array, affine = np.arange(60, dtype=np.uint8).reshape(3, 4, 5).transpose(axes), RAS.copy()
    affine[:3, :3] = RAS[:3, list(axes)]
    for axis in np.flatnonzero(flips):
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
        array = np.flip(array, axis)
    labels = read_labels(nifti(folder / "labels.nii", array, affine), image)
    np.testing.assert_array_equal(labels.array.ravel(), np.arange(60))


# ------------------------------------------------------------------ real images


def real(folder: Path, name: str) -> tuple[Volume, Volume]:
    if not (folder / name).is_file():
        pytest.skip(f"the image set is not at {folder}")
    image = read_image(folder / "ct.nii.gz")
    return image, read_labels(folder / name, image)


def centre(labels: Volume, *numbers: int) -> np.ndarray:
    return labels.to_lps(np.argwhere(np.isin(labels.array, numbers)).mean(axis=0))


@pytest.mark.parametrize("folder", [ROOT / "src/neurolysis/data/demo", SHARED / "ct_lumbar_subregions"])
def test_the_lumbar_ct_lies_as_anatomy_says(folder: Path) -> None:
    image, parts = real(folder, "labels_subregion.nii.gz")
    body, spinous = centre(parts, 49, 50), centre(parts, 42)
    left, right = centre(parts, 43), centre(parts, 44)
    assert spinous[1] > body[1] + 40  # behind the body
    assert left[0] > right[0] + 40  # transverse processes
    assert left[0] > spinous[0] > right[0]
    vertebrae = read_labels(folder / "labels_vertebra.nii.gz", image)
    third = parts.with_array(np.where(vertebrae.array == 22, parts.array, 0))
    assert centre(third, 45, 46)[2] > centre(third, 47, 48)[2] + 15  # upper and lower articular processes
    assert centre(vertebrae, 21)[2] > centre(vertebrae, 22)[2] > centre(vertebrae, 23)[2]  # L2, L3, L4
    assert image.sample(spinous) > image.sample(body) + 50  # cortical process, spongy body (HU)
