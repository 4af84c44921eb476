"""The C-arm's signs, drawn by hand, its projection, and X-ray files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.xrays import carm_of, entry, lps

from neurolysis.case import PatientPosition
from neurolysis.errors import ImageError, InputError
from neurolysis.geometry import RigidTransform
from neurolysis.localization.fluoroscopy.carm import (
    Angles,
    CArm,
    angles_of_dicom,
    angles_towards,
    detector_direction,
    dicom_angles,
)
from neurolysis.localization.fluoroscopy.xa import integrals, read_xa

# Drawn by hand, LPS: +x is the patient's left, +y the back, +z the head.
#
#            supine, seen from the feet            prone, seen from the feet
#                 detector (LAO 30)                (LAO 30) detector
#                        \                                 /
#   patient's right  --- chest up ---  left      left  --- back up ---  right
#        (viewer's left)      (viewer's right)    (viewer's left)   (viewer's right)
BY_HAND: list[tuple[PatientPosition, float, float, tuple[float, float, float]]] = [
    ("supine", 0, 0, (0, -1, 0)),
    ("supine", 90, 0, (1, 0, 0)),
    ("supine", -90, 0, (-1, 0, 0)),
    ("supine", 30, 0, (0.5, -np.sqrt(0.75), 0)),
    ("supine", 0, 30, (0, -np.sqrt(0.75), 0.5)),
    ("supine", 0, -30, (0, -np.sqrt(0.75), -0.5)),
    ("prone", 0, 0, (0, 1, 0)),
    ("prone", 90, 0, (1, 0, 0)),
    ("prone", 30, 0, (0.5, np.sqrt(0.75), 0)),
    ("prone", -30, 0, (-0.5, np.sqrt(0.75), 0)),
    ("prone", 0, 30, (0, np.sqrt(0.75), 0.5)),
]


@pytest.mark.parametrize(("position", "lao", "cranial", "towards"), BY_HAND)
def test_signs_are_those_drawn_by_hand(
    position: PatientPosition, lao: float, cranial: float, towards: tuple[float, float, float]
) -> None:
    """Left is left and head is head, however the patient lies."""
    found = detector_direction(Angles(lao_deg=lao, cranial_deg=cranial), position)
    assert found == pytest.approx(np.array(towards), abs=1e-12)


def test_dicom_counts_from_the_chest_through_the_left() -> None:
    """Supine as it is; prone LAO 20 is 160, RAO 20 is -160, straight is 180."""
    assert dicom_angles(Angles(lao_deg=20, cranial_deg=5), "supine") == (20, 5)
    assert dicom_angles(Angles(lao_deg=20), "prone") == (160, 0)
    assert dicom_angles(Angles(lao_deg=-20), "prone") == (-160, 0)
    assert dicom_angles(Angles(), "prone") == (180, 0)


@settings(max_examples=60, deadline=None)
@given(st.floats(-179, 179), st.floats(-80, 80), st.sampled_from(["prone", "supine", "sitting", None]))
def test_angles_come_back(lao: float, cranial: float, position: PatientPosition | None) -> None:
    """Direction to angles, and through DICOM's own angles, and back."""
    angles = Angles(lao_deg=lao, cranial_deg=cranial)
    towards = detector_direction(angles, position)
    assert detector_direction(angles_towards(towards, position), position) == pytest.approx(towards, abs=1e-9)
    again = angles_of_dicom(*dicom_angles(angles, position), position)
    assert detector_direction(again, position) == pytest.approx(towards, abs=1e-9)


def test_the_picture_is_seen_from_the_detector_with_the_head_up() -> None:
    """Supine: the patient's left is on the right; prone: on the left. The head is up in both."""
    left, head = np.array([10.0, 0, 0]), np.array([0, 0, 10.0])
    for position, sign in (("supine", 1), ("prone", -1)):
        carm = CArm.at((0, 0, 0), Angles(), position)  # type: ignore[arg-type]
        middle = carm.project([0.0, 0, 0])
        assert middle == pytest.approx([127.5, 127.5])
        assert sign * (carm.project(left) - middle)[0] > 0
        assert (carm.project(head) - middle)[1] < 0


def test_magnification_is_the_ratio_of_distances() -> None:
    """10 mm at the isocentre are 10 x 1000 / 600 mm on the detector."""
    carm = CArm.at((5, 6, 7), Angles(lao_deg=33, cranial_deg=12), "prone", pixel_mm=0.5)
    right = 10 * np.array(carm.right)
    away = carm.project(np.array([5, 6, 7]) + right) - carm.project([5.0, 6, 7])
    assert away == pytest.approx([10 * 1000 / 600 / 0.5, 0], abs=1e-9)


def test_down_the_needle_tip_and_hub_fall_together() -> None:
    """The tunnel view: every place on the needle is one pixel."""
    along = np.array([0.3, 0.8, -0.4]) / np.linalg.norm([0.3, 0.8, -0.4])
    carm = CArm.at((1, 2, 3), angles_towards(along, "prone"), "prone")
    places = carm.project(np.array([1.0, 2, 3]) + np.outer([0, 30, 90], along))
    assert np.ptp(places, axis=0) == pytest.approx([0, 0], abs=1e-9)


def test_a_pixel_s_ray_meets_what_was_projected() -> None:
    """Projection and ray are inverse; moving the C-arm moves what it sees."""
    carm = CArm.at((0, 0, 0), Angles(lao_deg=-40, cranial_deg=20), "supine")
    point = np.array([12.0, -30, 18])
    ray = carm.ray(carm.project(point))
    away = point - np.array(carm.source_mm)
    assert np.linalg.norm(np.cross(ray, away)) < 1e-9
    turn = RigidTransform.along_axis((3, 4, 5), (1, 2, 3))
    assert carm.moved(turn).project(turn.apply(point)) == pytest.approx(carm.project(point), abs=1e-6)


def test_an_independent_program_puts_the_tip_at_the_same_pixel() -> None:
    """geometry.json was written elsewhere."""
    for key in ("img04", "img05"):
        needle = entry(key)["needle"]
        found = carm_of(key).project(lps(needle["tip_ras"]))
        assert found == pytest.approx(needle["tip_pixel_col_row"], abs=1e-6)


def write_xa(path: Path, **changes: object) -> Path:
    """A small XA file of our own making."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, XRayAngiographicImageStorage, generate_uid

    pixels = np.tile(np.arange(16, dtype=np.uint16) * 100 + 5, (12, 1))
    one = Dataset()
    one.SOPClassUID, one.SOPInstanceUID = XRayAngiographicImageStorage, generate_uid()
    one.Modality, one.Rows, one.Columns = "XA", 12, 16
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated, one.BitsStored, one.HighBit, one.PixelRepresentation = 16, 12, 11, 0
    one.PositionerPrimaryAngle, one.PositionerSecondaryAngle = "160", "-10"
    one.DistanceSourceToDetector, one.DistanceSourceToPatient = "1100", "700"
    one.ImagerPixelSpacing = ["0.4", "0.4"]
    one.PixelData = pixels.tobytes()
    for name, value in changes.items():
        if value is None:
            del one[name]
        else:
            setattr(one, name, value)
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    one.save_as(path, enforce_file_format=True)
    return path


def test_an_xa_file_gives_its_geometry(tmp_path: Path) -> None:
    """160 degrees of a prone patient are LAO 20; high counts are little attenuation."""
    carm, image = read_xa(write_xa(tmp_path / "a.dcm"), (1, 2, 3), "prone")
    expected = CArm.at(
        (1, 2, 3), Angles(lao_deg=20, cranial_deg=-10), "prone", source_detector_mm=1100,
        source_isocentre_mm=700, pixel_mm=0.4, columns=16, rows=12,
    )  # fmt: skip
    assert np.array(carm.source_mm) == pytest.approx(np.array(expected.source_mm))
    assert np.array(carm.right) == pytest.approx(np.array(expected.right))
    assert image.shape == (12, 16)
    assert image[0, 0] > image[0, -1] == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Modality": "CT"}, "not a fluoroscopic image"),
        ({"PositionerPrimaryAngle": None}, "geometry is not in the file"),
        ({"ImagerPixelSpacing": ["0.4", "0.5"]}, "square"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PixelData": b"12"}, "cannot be decoded"),
    ],
)
def test_bad_xa_files_are_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    """Each with its reason."""
    with pytest.raises(ImageError, match=words):
        read_xa(write_xa(tmp_path / "a.dcm", **changes), (0, 0, 0), "prone")
    (tmp_path / "b.dcm").write_bytes(b"nothing")
    with pytest.raises(ImageError, match="no DICOM"):
        read_xa(tmp_path / "b.dcm", (0, 0, 0), "prone")


def test_bad_geometry_is_refused() -> None:
    """An isocentre behind the detector, skew axes, a view along the body, an empty picture."""
    with pytest.raises(InputError, match="between source and detector"):
        CArm.at((0, 0, 0), Angles(), "prone", source_isocentre_mm=1200)
    with pytest.raises(ValueError, match="square"):
        carm_of("img00").replace(down=(1.0, 0.0, 0.0))
    with pytest.raises(InputError, match="along the body"):
        angles_towards((0, 0, 1), "prone")
    with pytest.raises(InputError, match="nothing"):
        integrals(np.zeros((4, 4)))
