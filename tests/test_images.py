"""DICOM series as volumes in LPS mm, and every reason to refuse one (NIfTI: ``test_geometry.py``)."""

from __future__ import annotations

import csv
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import Dataset, FileMetaDataset, dcmread, uid
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence as Items
from pydicom.valuerep import DSfloat

from neurolysis.errors import ImageError, UnknownNameError
from neurolysis.localization import dicom_series
from neurolysis.localization.images import read_image, read_image_details, read_labels, series_in

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"
AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
PET = uid.PositronEmissionTomographyImageStorage
OBLIQUE = (0.8, 0.0, 0.6, 0.36, 0.8, -0.48)
SHAPE = (16, 12, 8)


def decimals(values: Sequence[float]) -> list[DSfloat]:
    return [DSfloat(float(value), auto_format=True) for value in values]


def phantom_hu(shape: tuple[int, int, int] = SHAPE) -> np.ndarray:
    """CT numbers without any symmetry, (columns, rows, slices)."""
    return np.random.default_rng(7).integers(-1000, 3000, shape).astype(np.int16)


def phantom_affine(cosines=AXIAL, spacing=(0.7, 0.9, 2.5), origin=(-40.0, 25.5, 310.0)) -> np.ndarray:
    """Affine from (column, row, slice) to LPS, slices along the normal; spacing between columns first."""
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    affine = np.eye(4)
    affine[:3, :3] = np.column_stack([row, column, np.cross(row, column)]) * np.array(spacing)
    affine[:3, 3] = origin
    return affine


def phantom(hu: np.ndarray | None = None, affine: np.ndarray | None = None) -> list[Dataset]:
    """One CT slice a dataset, in order along the normal."""
    hu = phantom_hu() if hu is None else hu
    affine = phantom_affine() if affine is None else affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    cosines = (affine[:3, :2] / spacing[:2]).T.ravel()
    slices = []
    for k in range(hu.shape[2]):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID = uid.CTImageStorage, f"1.2.3.4.{k + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = "1.2.3.1", "1.2.3.2", "1.2.3.3"
        one.PatientID, one.PatientName, one.PatientPosition = "P1", "Secret^Name", "HFS"
        one.Modality, one.SeriesDescription, one.ImageType = "CT", "phantom", ["ORIGINAL", "PRIMARY", "AXIAL"]
        one.KVP, one.SliceThickness, one.GantryDetectorTilt = "120", decimals(spacing[2:])[0], "0"
        one.ImageOrientationPatient = decimals(cosines)
        one.ImagePositionPatient = decimals(affine[:3, 3] + k * affine[:3, 2])
        one.PixelSpacing = decimals([spacing[1], spacing[0]])
        one.Columns, one.Rows = hu.shape[:2]
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 0
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.RescaleSlope, one.RescaleIntercept = "1", "-1024"
        one.PixelData = (hu[:, :, k].T.astype(np.int32) + 1024).astype("<u2").tobytes()
        slices.append(one)
    return slices


def save(datasets: Sequence[Dataset], folder: Path, order: Sequence[int] | None = None) -> Path:
    """Files named in the given order of slices, with two files that are not DICOM beside them."""
    folder.mkdir(exist_ok=True)
    for number, index in enumerate(order or range(len(datasets))):
        one = datasets[index]
        one.file_meta = FileMetaDataset()
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        one.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        one.save_as(folder / f"IM{number:03d}.dcm", enforce_file_format=True)
    (folder / "README.md").write_text("About these images, a text long enough to hold a preamble. " * 4)
    (folder / "LICENSE").write_text("Free to use.")
    return folder


def refused(path: Path, says: str, **choice: str) -> str:
    """Reading refuses it with this text, names the place and tells no name of the patient."""
    with pytest.raises(ImageError, match=says) as caught:
        read_image(path, **choice)
    assert caught.value.where.startswith(str(path))
    assert "Secret" not in str(caught.value)
    return str(caught.value)


# ------------------------------------------------------------------ DICOM that is read


@pytest.mark.parametrize("cosines", [AXIAL, OBLIQUE, (0, 1, 0, 0, 0, -1), (-1, 0, 0, 0, -1, 0)])
def test_a_series_in_any_file_order_gives_the_same_volume(tmp_path: Path, cosines: Sequence[float]) -> None:
    hu, affine = phantom_hu(), phantom_affine(cosines)
    order = np.random.default_rng(1).permutation(SHAPE[2]).tolist()
    image = read_image(save(phantom(hu, affine), tmp_path / "scan", order))
    assert image.array.dtype == np.int16
    assert image.name == "scan"
    np.testing.assert_array_equal(image.array, hu)
    np.testing.assert_allclose(image.affine, affine, atol=1e-9)
    again = read_image(save(phantom(hu, affine), tmp_path / "again"))
    assert image.content_hash() == again.content_hash()


@st.composite
def cosines_of_a_rotation(draw: st.DrawFn) -> list[float]:
    matrix = draw(st.lists(st.floats(-1, 1), min_size=9, max_size=9).map(lambda v: np.reshape(v, (3, 3))))
    turned, size = np.linalg.qr(matrix + 2 * np.eye(3))
    return (turned * np.sign(np.diag(size))).T[:2].ravel().tolist()


@settings(max_examples=20, deadline=None)
@given(
    cosines=cosines_of_a_rotation(),
    spacing=st.tuples(st.floats(0.3, 2), st.floats(0.3, 2), st.floats(0.5, 6)),
    origin=st.tuples(*[st.floats(-400, 400)] * 3),
    order=st.permutations(range(5)),
    marker=st.tuples(st.integers(0, 5), st.integers(0, 6), st.integers(0, 4)),
)
def test_a_marker_is_found_at_its_place_in_the_patient(cosines, spacing, origin, order, marker) -> None:
    row, column = np.array(cosines[:3]), np.array(cosines[3:])
    place = np.array(origin) + marker[0] * spacing[0] * row + marker[1] * spacing[1] * column
    place += marker[2] * spacing[2] * np.cross(row, column)
    hu = np.full((6, 7, 5), -1000, dtype=np.int16)
    hu[marker] = 1234
    with tempfile.TemporaryDirectory() as folder:
        slices = phantom(hu, phantom_affine(cosines, spacing, origin))
        image = read_image(save(slices, Path(folder), order))
    (found,) = np.argwhere(image.array == 1234)
    np.testing.assert_allclose(image.to_lps(found), place, atol=1e-6)
    assert image.sample(place, order=0) == 1234


def test_each_slice_has_its_own_slope_and_intercept(tmp_path: Path) -> None:
    slices = phantom()
    stored = np.stack([np.frombuffer(s.PixelData, "<u2").reshape(12, 16).T for s in slices], axis=-1)
    slopes, intercepts = np.linspace(0.5, 1.2, 8).round(3), np.linspace(-1024, -900, 8).round(1)
    for one, slope, intercept in zip(slices, slopes, intercepts, strict=True):
        one.RescaleSlope, one.RescaleIntercept = str(slope), str(intercept)
    image = read_image(save(slices, tmp_path))
    assert image.array.dtype == np.float32
    np.testing.assert_array_equal(image.array, (stored * slopes + intercepts).astype(np.float32))
    for one in slices:
        one.RescaleSlope, one.RescaleIntercept = "2", "-4000"
    whole = read_image(save(slices, tmp_path))
    assert whole.array.dtype == np.int16
    np.testing.assert_array_equal(whole.array, stored.astype(int) * 2 - 4000)
    for one in slices:
        one.RescaleSlope, one.RescaleIntercept = "20", "-20000"
    beyond = read_image(save(slices, tmp_path))
    assert beyond.array.dtype == np.float32
    np.testing.assert_array_equal(beyond.array, stored.astype(int) * 20 - 20000)


def test_signed_and_run_length_coded_values_are_read(tmp_path: Path) -> None:
    slices = phantom()
    for k, one in enumerate(slices):
        one.PixelRepresentation, one.RescaleIntercept = 1, "0"
        one.PixelData = phantom_hu()[:, :, k].T.astype("<i2").tobytes()
    save(slices, tmp_path)
    np.testing.assert_array_equal(read_image(tmp_path).array, phantom_hu())
    for file in tmp_path.glob("*.dcm"):
        one = dcmread(file)
        one.compress(uid.RLELossless)
        one.save_as(file)
    np.testing.assert_array_equal(read_image(tmp_path).array, phantom_hu())
    (coded,) = generate_frames(one.PixelData, number_of_frames=1)
    for frames, says in (([coded[: len(coded) // 2]], ""), ([coded, coded], "UserWarning: 2 frames")):
        one.PixelData = encapsulate(frames)
        one.save_as(file)
        refused(tmp_path, f"{file.name}: cannot be read .*{says}")


def test_an_mr_needs_no_rescaling(tmp_path: Path) -> None:
    slices = phantom()
    for one in slices:
        one.SOPClassUID, one.Modality = uid.MRImageStorage, "MR"
        del one.RescaleSlope, one.RescaleIntercept
    assert read_image(save(slices, tmp_path)).array.min() >= 0
    assert read_image_details(tmp_path).modality == "MR"


def test_several_series_are_listed_and_one_is_chosen(tmp_path: Path) -> None:
    slices, other = phantom(), phantom(phantom_hu((4, 4, 3)))
    for one in other:
        one.SeriesInstanceUID, one.SeriesDescription = "1.2.3.9", "thin"
    save(slices + other, tmp_path)
    text = refused(tmp_path, "2 series: choose one")
    assert "1.2.3.2 (phantom, CT, 8 slices); 1.2.3.9 (thin, CT, 3 slices)" in text
    assert read_image(tmp_path, series_uid="1.2.3.9").shape == (4, 4, 3)
    assert read_image(tmp_path, series_uid="1.2.3.2").shape == SHAPE
    with pytest.raises(UnknownNameError, match=r"no such series.*1\.2\.3\.2 .*1\.2\.3\.9"):
        read_image(tmp_path, series_uid="1.2.3")
    listed = [(one.uid, one.description, one.modality, one.slices) for one in series_in(tmp_path)]
    assert listed == [("1.2.3.2", "phantom", "CT", 8), ("1.2.3.9", "thin", "CT", 3)]


CONTRAST = [((None,), None), (("",), None), (("IV", None), True), (("NONE",), False), (("no", ""), None)]


@pytest.mark.parametrize(("agents", "flag"), CONTRAST)
def test_details_say_whether_contrast_was_given(tmp_path: Path, agents: Any, flag: bool | None) -> None:
    slices = phantom()
    for k, one in enumerate(slices):
        agent = agents[k % len(agents)]
        if agent is not None:
            one.ContrastBolusAgent = agent
    assert read_image_details(save(slices, tmp_path)).contrast is flag


def test_details_hold_what_planning_needs_and_no_name(tmp_path: Path) -> None:
    details = read_image_details(save(phantom(), tmp_path))
    assert (details.format, details.modality, details.kvp) == ("DICOM", "CT", 120)
    assert (details.patient_id, details.patient_position) == ("P1", "HFS")
    assert (details.series_uid, details.frame_of_reference_uid) == ("1.2.3.2", "1.2.3.3")
    assert (details.slice_thickness_mm, details.notes) == (2.5, ())
    assert details.ignored_files == ("LICENSE", "README.md")
    assert "Secret" not in details.model_dump_json()


def test_details_tell_doubts_that_do_not_stop_the_reading(tmp_path: Path) -> None:
    slices = phantom()[::2]
    for one in slices:
        one.LossyImageCompression = "01"
        del one.FrameOfReferenceUID
    notes = " ".join(read_image_details(save(slices, tmp_path)).notes)
    texts = ("5 mm apart and 2.5 mm thick", "no frame of reference", "compressed with loss")
    assert all(text in notes for text in texts)


def test_a_directory_file_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    folder = save(phantom(), tmp_path / "scan")
    directory = Dataset()
    directory.SOPClassUID, directory.SOPInstanceUID = uid.MediaStorageDirectoryStorage, "1.2.3.77"
    shutil.copy(save([directory], tmp_path / "other") / "IM000.dcm", folder / "DICOMDIR")
    (folder / "._IM000.dcm").write_bytes(b"\x00\x05\x16\x07 a desktop's own notes")
    (folder / "deeper").mkdir()
    assert read_image(folder).shape == SHAPE
    assert set(read_image_details(folder).ignored_files) >= {"._IM000.dcm", "DICOMDIR", "deeper/"}


# ------------------------------------------------------------------ enhanced multi-frame


def item(**elements: Any) -> Items:
    one = Dataset()
    for keyword, value in elements.items():
        setattr(one, keyword, value)
    return Items([one])


def enhanced(order: Sequence[int]) -> Dataset:
    """The phantom as one multi-frame file, frames in the given order."""
    slices = phantom()
    whole = slices[0]
    frames = [slices[index] for index in order]
    positions = [item(ImagePositionPatient=list(one.ImagePositionPatient)) for one in frames]
    whole.SharedFunctionalGroupsSequence = item(
        PixelMeasuresSequence=item(PixelSpacing=whole.PixelSpacing, SliceThickness="2.5"),
        PlaneOrientationSequence=item(ImageOrientationPatient=whole.ImageOrientationPatient),
        PixelValueTransformationSequence=item(RescaleSlope="1", RescaleIntercept="-1024", RescaleType="HU"),
    )
    whole.PerFrameFunctionalGroupsSequence = Items([item(PlanePositionSequence=p)[0] for p in positions])
    whole.PixelData = b"".join(slices[index].PixelData for index in order)
    whole.SOPClassUID, whole.NumberOfFrames = uid.EnhancedCTImageStorage, len(frames)
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, keyword)
    return whole


def test_an_enhanced_ct_equals_its_single_slices(tmp_path: Path) -> None:
    single = read_image(save(phantom(), tmp_path / "single"))
    file = save([enhanced([3, 0, 7, 1, 2, 6, 5, 4])], tmp_path / "many") / "IM000.dcm"
    for path in (file, file.parent):
        image = read_image(path)
        assert image.content_hash() == single.content_hash()
        assert read_image_details(path).slice_thickness_mm == 2.5
    assert series_in(file.parent)[0].slices == 8


def test_an_enhanced_ct_without_its_groups_is_refused(tmp_path: Path) -> None:
    whole = enhanced(range(8))
    del whole.PerFrameFunctionalGroupsSequence[5].PlanePositionSequence
    refused(save([whole], tmp_path), "frame 6 lacks its functional group PlanePositionSequence")
    refused(save([enhanced([0, 1, 2, 4, 5])], tmp_path), "1 slice missing")
    refused(save([enhanced([0, 1, 1, 2])], tmp_path), "two slices at the same position")


# ------------------------------------------------------------------ DICOM that is refused


def put(slices: list[Dataset], which: int | None = None, **elements: Any) -> None:
    """Set elements of one slice or all; None removes one."""
    for one in slices if which is None else [slices[which]]:
        for keyword, value in elements.items():
            delattr(one, keyword) if value is None else setattr(one, keyword, value)


def move(slices: list[Dataset], which: int, *offset: float) -> None:
    slices[which].ImagePositionPatient = decimals(np.add(slices[which].ImagePositionPatient, offset))


def drop(slices: list[Dataset], *which: int) -> None:
    slices[:] = [one for index, one in enumerate(slices) if index not in which]


def shear(slices: list[Dataset]) -> None:
    for k in range(len(slices)):
        move(slices, k, 0, 0.2 * k, 0)


REFUSALS: dict[str, tuple[Callable[[list[Dataset]], None], str]] = {
    "tilt": (lambda s: put(s, GantryDetectorTilt="-12.5"), r"gantry was tilted.*-12\.5 degrees"),
    "shear": (shear, r"not stacked along their normal.*4\.57 degrees"),
    "one missing": (
        lambda s: drop(s, 3),
        r"1 slice missing after IM002.*\(-40\.00, 25\.50, 317\.50\).*2\.5 mm",
    ),
    "two missing": (lambda s: [drop(s, 2, 3), move(s, 2, 0, 0, 0.004)], r"2 slices .* IM001.*7\.504 mm.*; "),
    "missing of three": (lambda s: drop(s, 2, 4, 5, 6, 7), "1 slice missing after IM001"),
    "uneven": (lambda s: move(s, 4, 0, 0, 0.1), r"IM004.*uneven.*2\.4 to 2\.6 mm.*0\.1 mm off.*0\.0125 mm"),
    "one aside": (lambda s: move(s, 4, 0.1, 0, 0), r"IM004\.dcm: uneven spacing"),
    "two phases": (lambda s: move(s, 4, 0, 0, -2.5), r"two slices at the same position.*IM00\d.dcm at \(-40"),
    "orientation": (lambda s: put(s, 4, ImageOrientationPatient=list(OBLIQUE)), "OrientationPatient differs"),
    "rows": (lambda s: put(s, 4, Rows=11), r"Rows and Columns differs.*\(11, 16\).*\(12, 16\) as in IM000"),
    "pixel spacing": (
        lambda s: put(s, 4, PixelSpacing=[0.9, 0.71]),
        r"PixelSpacing differs.*\(0\.9, 0\.71\)",
    ),
    "frames": (lambda s: put(s, 4, FrameOfReferenceUID="1.2.8"), "2 frames of reference in one series"),
    "patients": (lambda s: put(s, 4, PatientID="P2"), "2 patients in one series"),
    "studies": (lambda s: put(s, 4, StudyInstanceUID="1.2.8"), "2 studies in one series"),
    "no pixels": (lambda s: put(s, 4, PixelData=None), r"IM004\.dcm: no pixel data"),
    "few pixels": (lambda s: put(s, 4, PixelData=bytes(380)), r"IM004\.dcm: .*shorter.*380 bytes.*384 bytes"),
    "many pixels": (lambda s: put(s, 4, PixelData=bytes(768)), "pixel data longer.*768 bytes"),
    "class": (
        lambda s: put(s, SOPClassUID=PET),
        "found: Positron Emission.*allowed: CT Image, Enhanced CT.*MR",
    ),
    "mixed classes": (
        lambda s: put(s, 4, SOPClassUID=uid.MRImageStorage),
        "kinds .*found: CT Image, MR Image",
    ),
    "one slice": (lambda s: drop(s, *range(1, 8)), "single slice has no thickness direction"),
    "localizer": (lambda s: put(s, 2, ImageType=["ORIGINAL", "LOCALIZER"]), r"IM002\.dcm: a localizer"),
    "colour": (lambda s: put(s, SamplesPerPixel=3), "colour images"),
    "no slope": (
        lambda s: put(s, 3, RescaleSlope=None),
        r"IM003.dcm: .*lacks a usable RescaleSlope.*1 number",
    ),
    "zero slope": (lambda s: put(s, 3, RescaleSlope="0"), "RescaleSlope is zero"),
    "nan slope": (
        lambda s: s[3].add_new(0x00281053, "LO", "nan"),
        "IM003.*RescaleSlope is not a finite number",
    ),
    "text slope": (lambda s: s[3].add_new(0x00281053, "LO", "one"), "IM003.*cannot be read .ValueError.*one"),
    "not HU": (lambda s: put(s, RescaleType="US"), "not Hounsfield units; found: US; allowed: HU"),
    "table": (lambda s: put(s, ModalityLUTSequence=item(LUTExplanation="x")), "modality look-up table"),
    "zero spacing": (lambda s: put(s, PixelSpacing=[0.0, 0.7]), "PixelSpacing must be above zero"),
    "one spacing": (lambda s: put(s, PixelSpacing=0.7), "lacks a usable PixelSpacing.*2 numbers"),
    "no position": (
        lambda s: put(s, 3, ImagePositionPatient=None),
        "ImagePositionPatient.*nothing.*3 numbers",
    ),
    "skew": (
        lambda s: put(s, ImageOrientationPatient=[1, 0, 0, 0.1, 0.995, 0]),
        "not two square unit vectors",
    ),
    "long": (lambda s: put(s, ImageOrientationPatient=[2, 0, 0, 0, 1, 0]), "not two square unit vectors"),
    "huge": (
        lambda s: put(s, Rows=65535, Columns=65535),
        r"IM000\.dcm: .*size is refused; found: 65535 x 65535",
    ),
    "no rows": (lambda s: put(s, Rows=0), "declared image size is refused"),
    "plain frames": (lambda s: put(s, NumberOfFrames=2), "plain CT or MR image holds one frame; found: 2"),
    "no series": (lambda s: put(s, 5, SeriesInstanceUID=None), r"IM005\.dcm: .*lacks SeriesInstanceUID"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_series_that_cannot_be_trusted_is_refused(tmp_path: Path, name: str) -> None:
    slices, (change, says) = phantom(), REFUSALS[name]
    change(slices)
    refused(save(slices, tmp_path), says)


@pytest.mark.parametrize(("value", "word"), [(np.nan, "nan"), (-np.inf, "-inf")])
def test_voxels_that_are_no_numbers_are_counted(tmp_path: Path, value: float, word: str) -> None:
    slices = phantom()
    stored = np.ones((12, 16), "<f4")
    stored[5, 9] = stored[6, 9] = value
    slices[4].FloatPixelData, slices[4].BitsAllocated = stored.tobytes(), 32
    del slices[4].PixelData, slices[4].BitsStored, slices[4].HighBit, slices[4].PixelRepresentation
    says = rf"2 voxels not a finite number; found: {word} at voxel index \(9, 5, 4\)"
    refused(save(slices, tmp_path), says)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("IM009.dcm", b"", "the file is empty"),
        ("IM009", b"", "the file is empty"),
        ("IM009.dcm", b"just text", "preamble and mark"),
        ("bare", b"\x08\x00\x16\x00UI\x1a\x001.2.840", "preamble and mark"),
        ("IM009", bytes(128) + b"DICM" + b"junk" * 9, "cannot be read|lacks SOPClassUID"),
    ],
)
def test_a_broken_dicom_is_never_passed_over(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (save(phantom(), tmp_path) / name).write_bytes(content)
    refused(tmp_path, rf"{name}: .*({says})")
    with pytest.raises(ImageError, match=says):
        series_in(tmp_path)


@pytest.mark.parametrize("kept", [0.999, 0.7, 0.5, 0.45, 0.4, 0.35, 0.3, 0.25, 0.2])
def test_a_file_cut_short_is_refused(tmp_path: Path, kept: float) -> None:
    file = save(phantom(), tmp_path) / "IM007.dcm"
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * kept)])
    refused(tmp_path, r"IM007\.dcm: ")
    if kept < 0.55:  # cut within the header: its series may be unknown, so none is read beside it
        with pytest.raises(ImageError, match="IM007"):
            series_in(tmp_path)


SYNTAXES = {uid.DeflatedExplicitVRLittleEndian: "deflated", uid.JPEGLosslessSV1: "cannot be read .*JPEG Loss"}


@pytest.mark.parametrize(("syntax", "says"), SYNTAXES.items())
def test_a_transfer_syntax_that_is_not_decoded_is_named(tmp_path: Path, syntax: str, says: str) -> None:
    file = save(phantom(), tmp_path) / "IM003.dcm"
    one = dcmread(file)
    one.file_meta.TransferSyntaxUID = syntax
    one.PixelData = encapsulate([one.PixelData])
    one.save_as(file)
    refused(tmp_path, rf"IM003\.dcm: {says}")


def test_the_whole_series_has_a_size_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicom_series, "MAX_VOXELS", 16 * 12 * 8 - 1)
    refused(save(phantom(), tmp_path), "size is refused; found: 16 x 12 x 8; allowed: 1 to 1535 voxels")


def test_places_without_dicom_are_refused(tmp_path: Path) -> None:
    refused(tmp_path / "nowhere", "no such file or folder")
    refused(tmp_path, "no DICOM file here.*found: nothing")
    (tmp_path / "ct.nii.gz").write_text("x")
    (tmp_path / "deeper").mkdir()
    refused(tmp_path, "no DICOM file here .subfolders are not searched.*ct.nii.gz, deeper/.*NIfTI file")
    (tmp_path / "notes.txt").write_text("x")
    refused(tmp_path / "notes.txt", "no DICOM file here")


# ------------------------------------------------------------------ a real scan


def test_a_real_series_equals_its_nifti_copy_voxel_by_voxel() -> None:
    folder, file = SHARED / "dicom_ct_series_lidc", SHARED / "ct_thoracolumbar_lidc" / "ct.nii.gz"
    if not (folder.is_dir() and file.is_file()):
        pytest.skip(f"the shared LIDC scan is not at {SHARED}")
    series, nifti = read_image(folder), read_image(file)
    assert (series.array.dtype, nifti.array.dtype) == (np.int16, np.int16)
    indices = np.moveaxis(np.indices(nifti.shape), 0, -1)
    _, _, slices = np.nonzero(series.contains(nifti.to_lps(indices[:1, :1])))
    index = series.to_index(nifti.to_lps(indices[:, :, slices]))
    assert slices.size == 20
    np.testing.assert_allclose(index, np.rint(index), atol=1e-4)
    i, j, k = np.moveaxis(np.rint(index).astype(int), -1, 0)
    clipped = np.clip(series.array[i, j, k], -1024, 3071)  # as the copy's maker did
    np.testing.assert_array_equal(clipped, nifti.array[:, :, slices])
    assert np.std(clipped) > 300
    assert read_image_details(folder).contrast is True


def test_a_real_scan_lies_as_anatomy_says() -> None:
    folder = SHARED / "ct_thoracolumbar_lidc"
    if not folder.is_dir():
        pytest.skip(f"the shared LIDC scan is not at {SHARED}")
    image = read_image(folder / "ct.nii.gz")
    labels = read_labels(folder / "labels.nii.gz", image).array
    with (folder / "structures.csv").open(newline="") as stream:
        number = {row["structure"]: int(row["id"]) for row in csv.DictReader(stream)}
    names = ("spleen", "aorta", "liver", "heart", "spinal_cord", "vertebrae_T1", "vertebrae_L1")
    places = [image.to_lps(np.argwhere(labels == number[name]).mean(axis=0)) for name in names]
    spleen, aorta, liver, heart, cord, t1, l1 = places
    assert spleen[0] > aorta[0] > liver[0]  # from left to right
    assert cord[1] > aorta[1] > heart[1]  # from back to front
    assert t1[2] > heart[2] > l1[2]  # from head to foot
    assert np.median(image.array[labels == number["aorta"]]) > 300  # an enhanced vessel (HU)
    assert 0 < image.sample(liver) < 160
