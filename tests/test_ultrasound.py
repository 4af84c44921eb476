"""Segmentation of ultrasound on real images no network was trained on, and refusal of what is none."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom import dcmread, uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import RLELossless

from neurolysis.app.ultrasound import segment_ultrasound
from neurolysis.cli import run
from neurolysis.errors import ImageError, InputError, OutputError
from neurolysis.localization.images import read_image
from neurolysis.localization.ultrasound.check_image import reasons_against
from neurolysis.localization.ultrasound.pictures import UltrasoundImage, read_ultrasound
from neurolysis.localization.ultrasound.segment import (
    LEAST_PIXELS,
    SIDE,
    calibrated,
    card,
    segment,
    without_specks,
)

DATA = Path(__file__).parent / "data/ultrasound"
GOOD, MISSED = DATA / "0128.png", DATA / "0201.png"


def mask_of(path: Path) -> np.ndarray:
    with Image.open(path.with_name(f"{path.stem}-mask.png")) as mask:
        return np.asarray(mask)


def dice(answer: np.ndarray, truth: np.ndarray, number: int) -> float:
    a, b = answer == number, truth == number
    return 2 * float((a & b).sum()) / float(a.sum() + b.sum())


def test_nerve_and_vessel_are_found_in_an_unseen_image() -> None:
    """The image's own size, the scores of the card's kind, probabilities that are some."""
    found = segment(read_ultrasound(GOOD))
    truth = mask_of(GOOD)
    assert found.mask.shape == truth.shape
    assert dice(found.mask, truth, 1) > 0.75
    assert dice(found.mask, truth, 2) > 0.85
    assert np.allclose(found.chance.sum(axis=0), 1, atol=1e-4)
    assert found.chance.min() >= 0
    vessels = [part for part in found.parts() if part["class"] == "vessel"]
    assert sum(part["area_px"] for part in vessels) == (found.mask == 2).sum()
    for part in vessels:
        column, row = (round(v) for v in part["middle_px"])
        assert truth[row, column] == 2
        assert part["mean_probability"] > 0.5


def test_a_failure_stays_visible() -> None:
    """The vessel of this image is missed; the card counts such images, and its interval holds its mean."""
    found = segment(read_ultrasound(MISSED))
    assert dice(found.mask, mask_of(MISSED), 2) == 0
    test = card().test["vessel"]
    assert test.missed >= 1
    assert test.interval_95[0] < test.mean < test.interval_95[1]
    assert test.marked - test.missed > 0
    assert card().cross_validation["nerve"].images > card().test["nerve"].images


def test_left_and_right_are_alike() -> None:
    """The mirror image has the mirrored mask: nothing in the chain prefers a side."""
    image = read_ultrasound(GOOD)
    other = UltrasoundImage("mirrored", np.ascontiguousarray(image.pixels[:, ::-1]))
    straight, mirrored = segment(image).mask, segment(other).mask[:, ::-1]
    assert (straight == mirrored).mean() > 0.999


def test_calibration_keeps_order_and_sums() -> None:
    """More said is never less likely; certain ends stay; the error on the test fold is not made larger."""
    said = np.linspace(0, 1, 101, dtype=np.float32)
    for number, name in ((1, "nerve"), (2, "vessel")):
        raw = np.zeros((3, 1, 101), np.float32)
        raw[number], raw[0] = said, 1 - said
        made = calibrated(raw)[number, 0]
        assert np.all(np.diff(made) >= -1e-6)
        assert made[0] == 0
        assert made[-1] == 1
        before, after = card().calibration_error[name]
        assert after <= before


def test_specks_become_background() -> None:
    """Just below the limit goes, at the limit stays, in pixels of the network."""
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10, 10 : 10 + LEAST_PIXELS - 1] = 1
    mask[50, 10 : 10 + LEAST_PIXELS] = 2
    made = without_specks(mask)
    assert not (made == 1).any()
    assert (made == 2).sum() == LEAST_PIXELS
    assert (mask == 1).sum() == LEAST_PIXELS - 1, "the mask given is left as it was"


def doppler() -> np.ndarray:
    pixels = read_ultrasound(GOOD).pixels.copy()
    pixels[200:260, 200:280] = (220, 40, 20)
    return pixels


def ct_slice() -> np.ndarray:
    import neurolysis

    image = read_image(Path(neurolysis.__file__).parent / "data/demo/ct.nii.gz")
    grey = np.clip((image.array[:, :, 30].T + 200) / 600 * 255, 0, 255).astype(np.uint8)
    return np.repeat(np.asarray(Image.fromarray(grey).resize((530, 512)))[:, :, None], 3, axis=2)


def noise() -> np.ndarray:
    made = np.random.default_rng(0).integers(0, 255, (512, 534, 1), dtype=np.uint8)
    return np.repeat(made, 3, axis=2)


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (doppler, "coloured"),
        (lambda: read_ultrasound(GOOD).pixels[:200], "width to height"),
        (ct_slice, "unlike"),
        (noise, "unlike"),
        (lambda: np.zeros((512, 534, 3), np.uint8), "unlike"),
        (lambda: np.ascontiguousarray(read_ultrasound(GOOD).pixels[::-1]), "unlike"),
    ],
)
def test_other_images_are_refused(pixels, words: str) -> None:
    """Colour Doppler, a cut-out, a CT slice, noise, black, an image upside down."""
    with pytest.raises(ImageError, match=words):
        segment(UltrasoundImage("other", pixels()))


def test_images_of_the_kind_are_not_refused() -> None:
    """Neither of the two unseen images."""
    for path in (GOOD, MISSED):
        assert not reasons_against(read_ultrasound(path).pixels, card().limits)


def us_file(path: Path, pixels: np.ndarray, *, packed: bool = False, **changes: object) -> Path:
    """A DICOM US image with one region of 0.1 x 0.2 mm a pixel; ``changes`` set or (None) delete elements."""
    one = Dataset()
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    one.SOPClassUID, one.SOPInstanceUID = uid.UltrasoundImageStorage, "1.2.826.0.1.3680043.8.498.9"
    one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
    one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
    one.Modality, one.PatientID = "US", "NOBODY"
    one.Rows, one.Columns = pixels.shape[:2]
    one.SamplesPerPixel, one.PhotometricInterpretation = 1, "MONOCHROME2"
    one.BitsAllocated = one.BitsStored = 8
    one.HighBit, one.PixelRepresentation = 7, 0
    one.PixelData = pixels.tobytes() + b"\0" * (pixels.size % 2)
    region = Dataset()
    region.RegionLocationMinX0, region.RegionLocationMinY0 = 0, 0
    region.RegionLocationMaxX1, region.RegionLocationMaxY1 = pixels.shape[1] - 1, pixels.shape[0] - 1
    region.PhysicalUnitsXDirection = region.PhysicalUnitsYDirection = 3
    region.PhysicalDeltaX, region.PhysicalDeltaY, region.RegionDataType = 0.01, 0.02, 1
    one.SequenceOfUltrasoundRegions = [region]
    for name, value in changes.items():
        setattr(one, name, value)
    one.save_as(path, enforce_file_format=True)
    if packed:
        one = dcmread(path)
        one.compress(RLELossless)
        one.save_as(path, enforce_file_format=True)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_dicom_gives_pixels_and_their_size(tmp_path: Path, packed: bool) -> None:
    """Compressed pixels, decoded in another process, are the same; parts come in mm."""
    grey = read_ultrasound(GOOD).pixels[:, :, 0]
    image = read_ultrasound(us_file(tmp_path / "a.dcm", grey, packed=packed))
    assert np.array_equal(image.pixels[:, :, 1], grey)
    assert image.pixel_mm == pytest.approx((0.1, 0.2))
    part = segment(image).parts()[0]
    assert part["area_mm2"] == pytest.approx(part["area_px"] * 0.02)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Modality": "CT"}, "not an ultrasound"),
        ({"Rows": 65535, "Columns": 65535}, "size"),
        ({"Rows": 1000}, "cannot be decoded"),
        ({"SamplesPerPixel": 2}, "neither grey nor colour"),
    ],
)
def test_bad_dicom_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    """Each with its reason."""
    path = us_file(tmp_path / "a.dcm", np.zeros((200, 210), np.uint8), **changes)
    with pytest.raises(ImageError, match=words):
        read_ultrasound(path)


@pytest.mark.parametrize("name", ["a.png", "a.dcm", "a.tif"])
def test_files_that_are_no_image_are_refused(tmp_path: Path, name: str) -> None:
    """Noise under any name, and no file at all."""
    with pytest.raises(ImageError, match="no such file"):
        read_ultrasound(tmp_path / name)
    (tmp_path / name).write_bytes(b"\x89PNG nothing" * 30)
    with pytest.raises(ImageError):
        read_ultrasound(tmp_path / name)


def test_the_command_writes_a_mask_like_the_shared_ones(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Palette image of the same size with the values 0, 1, 2; JSON says the same; a scale gives mm."""
    out, over = tmp_path / "m.png", tmp_path / "o.png"
    argv = ["segment-ultrasound", str(GOOD), "--out", str(out), "--overlay", str(over), "--json"]
    assert run([*argv, "--pixel-mm", "0.08"]) == 0
    said = json.loads(capsys.readouterr().out)
    with Image.open(out) as mask, Image.open(GOOD) as given, Image.open(over) as drawn:
        assert mask.mode == "P"
        assert mask.size == given.size == drawn.size == tuple(said["size_px"])
        assert set(np.unique(np.asarray(mask))) == {0, 1, 2}
    assert said["scale"] == "entered by the user"
    assert said["parts"][0]["size_mm"][0] == pytest.approx(0.08 * said["parts"][0]["size_px"][0])
    assert any("genicular" in line for line in said["not_for"])
    assert run(argv) == OutputError.exit_code


def test_a_refused_image_leaves_nothing(tmp_path: Path) -> None:
    """No mask, no picture, no temporary file."""
    Image.fromarray(doppler()).save(tmp_path / "doppler.png")
    with pytest.raises(ImageError, match="coloured"):
        segment_ultrasound(tmp_path / "doppler.png", tmp_path / "m.png", overlay=tmp_path / "o.png")
    assert [path.name for path in tmp_path.iterdir()] == ["doppler.png"]


def test_bad_choices_are_refused(tmp_path: Path) -> None:
    """A pixel size that is none, or beside the file's own; no PNG; a frame that is not there."""
    with pytest.raises(InputError, match="no size of a pixel"):
        segment_ultrasound(GOOD, tmp_path / "m.png", pixel_mm=50)
    own = us_file(tmp_path / "a.dcm", read_ultrasound(GOOD).pixels[:, :, 0])
    with pytest.raises(InputError, match="its own scale"):
        segment_ultrasound(own, tmp_path / "m.png", pixel_mm=0.1)
    with pytest.raises(InputError, match="PNG"):
        segment_ultrasound(GOOD, tmp_path / "m.jpg")
    with pytest.raises(ImageError, match="one frame"):
        segment_ultrasound(GOOD, tmp_path / "m.png", frame=3)
    with pytest.raises(ImageError, match="no such frame"):
        read_ultrasound(own, frame=1)


def test_the_network_is_small_and_whole() -> None:
    """At most 20 MB, with the checksum of its card."""
    import hashlib
    from importlib.resources import files

    raw = files("neurolysis.localization.ultrasound").joinpath("data/us_nerve_vessel.onnx").read_bytes()
    assert len(raw) <= 20_000_000
    assert hashlib.sha256(raw).hexdigest() == card().sha256
