"""Plans as DICOM, and a round trip through a real Orthanc by DICOMweb and C-STORE."""

from __future__ import annotations

import json
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from neurolysis.app.dicom import export_dicom, fetch, list_series
from neurolysis.cli import run
from neurolysis.errors import FrameMismatchError, ImageError, InputError, OutputError
from neurolysis.localization.images import read_image
from neurolysis.records.dicom.objects import Region, encapsulated_pdf, parametric_map, segmentation
from neurolysis.records.dicom.source import read_source, require_one_origin
from neurolysis.records.dicom.web import store_web

from .dicom_case import FRAME, SERIES, STUDY, Pacs, orthanc, write_case


@pytest.fixture(scope="module")
def case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The case folder."""
    return write_case(tmp_path_factory.mktemp("dicom") / "case")


@pytest.fixture(scope="module")
def exported(case: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its DICOM objects."""
    out = tmp_path_factory.mktemp("dicom") / "out"
    found = export_dicom(case, out)
    assert found["frame_of_reference_uid"] == FRAME
    return out


@pytest.fixture(scope="module")
def pacs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pacs]:
    """A running Orthanc."""
    with orthanc(tmp_path_factory.mktemp("pacs")) as running:
        yield running


def test_every_object_keeps_patient_study_and_frame(exported: Path) -> None:
    """SEG, maps, SR and PDF of one patient and study; images in the source's frame."""
    names = sorted(one.name for one in exported.iterdir())
    assert {"segments.dcm", "measurements.dcm", "report.dcm"} < set(names)
    assert any(name.startswith("map-") for name in names)
    for name in names:
        one = dcmread(exported / name)
        assert (one.PatientID, one.StudyInstanceUID) == ("NOBODY-7", STUDY)
        if name.startswith(("seg", "map")):
            assert one.FrameOfReferenceUID == FRAME
    assert bytes(dcmread(exported / "report.dcm").EncapsulatedDocument).startswith(b"%PDF-")


def test_segments_and_maps_lie_where_the_plan_put_them(exported: Path, case: Path) -> None:
    """The lesion's segment is the map's region above its threshold; the nerve runs through its points."""
    import highdicom as hd

    image = read_image(case / "ct")
    found = hd.seg.segread(exported / "segments.dcm")
    labels = [found.get_segment_description(k).segment_label for k in found.segment_numbers]
    assert labels[0] == "intercostal_nerves" or "ntercostal" in labels[0]
    assert any(label.startswith("lesion") for label in labels)
    volume = found.get_volume(combine_segments=False)
    nerve = volume.array[..., 0]
    where = np.argwhere(nerve > 0)
    lps = np.c_[where, np.ones(len(where))] @ volume.affine.T
    middle = image.to_lps((np.array(image.shape) - 1) / 2)
    assert np.abs(lps[:, 1:3] - middle[1:]).max() < 4
    assert np.ptp(lps[:, 0]) == pytest.approx(50, abs=6)


def test_the_report_holds_needle_and_sizes(exported: Path) -> None:
    """TID 1500: one group for the needle with a line in space, one for the lesion."""
    import highdicom as hd

    report = hd.sr.srread(exported / "measurements.dcm")
    groups = report.content.get_planar_roi_measurement_groups()
    assert len(groups) == 1
    values = {m.name.meaning: m.value for m in groups[0].get_measurements()}
    assert values["bare tip"] == 10
    assert groups[0].roi.graphic_type.value == "POLYLINE"


def test_objects_come_back_bit_equal_by_dicomweb_and_c_store(
    exported: Path, pacs: Pacs, tmp_path: Path
) -> None:
    """Sent by STOW and by C-STORE, fetched by WADO: pixels equal to the last bit."""
    from dicomweb_client.api import DICOMwebClient

    from neurolysis.records.dicom.web import store_dimse

    objects = {path.name: dcmread(path) for path in sorted(exported.iterdir())}
    web = [one for name, one in objects.items() if not name.startswith("map")]
    rest = [one for name, one in objects.items() if name.startswith("map")]
    store_web(pacs.web, web)
    store_dimse("127.0.0.1", pacs.port, "TEST", rest)
    asked = DICOMwebClient(pacs.web)
    for one in objects.values():
        back = asked.retrieve_instance(one.StudyInstanceUID, one.SeriesInstanceUID, one.SOPInstanceUID)
        for keyword in ("PixelData", "FloatPixelData", "EncapsulatedDocument", "ContentSequence"):
            assert (keyword in one) == (keyword in back)
            if keyword in one:
                assert one[keyword].value == back[keyword].value
        assert back.get("FrameOfReferenceUID") == one.get("FrameOfReferenceUID")


def test_a_series_is_found_and_fetched(
    case: Path, pacs: Pacs, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """QIDO lists it, WADO brings it, and the volume is the same; the folder is not overwritten."""
    store_web(pacs.web, [dcmread(path) for path in sorted((case / "ct").iterdir())])
    assert SERIES in [row["series_uid"] for row in list_series(pacs.web, "NOBODY-7")]
    out = tmp_path / "fetched"
    command = ["fetch", pacs.web, "--study", STUDY, "--series", SERIES, "--out", str(out), "--json"]
    assert run(command) == 0
    assert json.loads(capsys.readouterr().out)["files"] == 24
    assert np.array_equal(read_image(out).array, read_image(case / "ct").array)
    assert run(command) == 2
    with pytest.raises(ImageError, match="no such series"):
        fetch(pacs.web, tmp_path / "none", study_uid=STUDY, series_uid="1.2.3")
    assert not (tmp_path / "none").exists()


def test_addresses_that_are_not_safe_are_refused(tmp_path: Path) -> None:
    """Plain http to another machine, other schemes, nobody there."""
    for bad in ("http://example.org/dicom-web", "ftp://127.0.0.1/", "nonsense"):
        with pytest.raises(InputError):
            list_series(bad)
    with pytest.raises(ImageError, match="does not answer"):
        list_series("http://127.0.0.1:9/dicom-web")
    with pytest.raises(OutputError):
        store_web("http://127.0.0.1:9/dicom-web", [])


def test_mixed_patients_and_frames_are_refused(case: Path) -> None:
    """Nothing is written that says two things."""
    source = read_source(case / "ct")
    for keyword in ("PatientID", "FrameOfReferenceUID", "StudyInstanceUID"):
        slices = [deepcopy(one) for one in source.slices]
        setattr(slices[3], keyword, "1.2.9")
        with pytest.raises(FrameMismatchError, match=keyword):
            require_one_origin(tuple(slices))
    bare = [deepcopy(one) for one in source.slices]
    for one in bare:
        one.FrameOfReferenceUID = ""
    with pytest.raises(FrameMismatchError, match="no frame"):
        require_one_origin(tuple(bare))


def test_bad_regions_and_maps_are_refused(case: Path) -> None:
    """Empty, of another shape, not finite, not a PDF."""
    source = read_source(case / "ct")
    with pytest.raises(InputError, match="empty"):
        segmentation(source, [Region("x", np.zeros(source.shape, bool), "nerve")])
    with pytest.raises(InputError, match="shape"):
        segmentation(source, [Region("x", np.ones((2, 2, 2), bool), "nerve")])
    with pytest.raises(InputError, match="needs a region"):
        segmentation(source, [])
    with pytest.raises(InputError, match="finite"):
        parametric_map(source, "t", np.full(source.shape, np.nan), "°C")
    with pytest.raises(InputError, match="PDF"):
        encapsulated_pdf(source, b"hello", "x")


def test_export_needs_a_dicom_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The shipped demonstration is NIfTI: it has no patient and frame to keep."""
    from neurolysis.app.demo import demo_case

    assert run(["export-dicom", str(demo_case()), "--out", str(tmp_path / "o")]) == 2
    assert "DICOM folder" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()
    assert run(["export-dicom", str(demo_case()), "--out", str(tmp_path / "o"), "--to", "nobody"]) == 2
