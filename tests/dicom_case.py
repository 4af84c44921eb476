"""A DICOM case made from the chest scan of tests/data/xrays: series, case file, and a real Orthanc."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset

from neurolysis.geometry import Volume
from neurolysis.localization.images import read_image

from .xrays import FOLDER

ORTHANC = "/usr/sbin/Orthanc"
STUDY, SERIES, FRAME = (
    "1.2.826.0.1.3680043.8.498.1",
    "1.2.826.0.1.3680043.8.498.2",
    "1.2.826.0.1.3680043.8.498.3",
)


def cropped() -> Volume:
    """64 x 56 x 24 voxels of the chest scan round T11."""
    whole = read_image(FOLDER / "ct.nii.gz")
    index = np.rint(whole.to_index([3.0, 86.0, -187.0])).astype(int)
    low = np.clip(index - np.array([32, 28, 12]), 0, np.array(whole.shape) - np.array([64, 56, 24]))
    part = whole.array[low[0] : low[0] + 64, low[1] : low[1] + 56, low[2] : low[2] + 24]
    affine = np.array(whole.affine)
    affine[:3, 3] = whole.to_lps(low)
    return Volume(array=part, affine=affine, name="part")


def write_series(folder: Path, image: Volume) -> None:
    """CT slices, one a file; the volume's axes must be column, row, slice up to sign."""
    spacing = image.spacing_mm
    turn = image.affine[:3, :3] / spacing
    for k in range(image.shape[2]):
        one = Dataset()
        one.SOPClassUID, one.SOPInstanceUID = uid.CTImageStorage, f"{SERIES}.{k + 1}"
        one.StudyInstanceUID, one.SeriesInstanceUID, one.FrameOfReferenceUID = STUDY, SERIES, FRAME
        one.PatientName, one.PatientID, one.PatientBirthDate, one.PatientSex = (
            "Test^Nobody",
            "NOBODY-7",
            "",
            "O",
        )
        one.StudyID, one.StudyDate, one.StudyTime, one.AccessionNumber = "1", "20260101", "120000", ""
        one.ReferringPhysicianName, one.Modality, one.SeriesNumber, one.InstanceNumber = "", "CT", 1, k + 1
        one.ImageType, one.Manufacturer, one.KVP = ["DERIVED", "SECONDARY", "AXIAL"], "test", "120"
        one.SliceThickness, one.PatientPosition, one.PositionReferenceIndicator = str(spacing[2]), "HFS", ""
        one.Rows, one.Columns = image.shape[1], image.shape[0]
        one.PixelSpacing = [f"{spacing[1]:.6g}", f"{spacing[0]:.6g}"]
        one.ImageOrientationPatient = [f"{v:.6g}" for v in (*turn[:, 0], *turn[:, 1])]
        one.ImagePositionPatient = [f"{v:.6g}" for v in image.to_lps([0, 0, k])]
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PixelRepresentation = 1, "MONOCHROME2", 1
        one.BitsAllocated, one.BitsStored, one.HighBit = 16, 16, 15
        one.RescaleSlope, one.RescaleIntercept, one.RescaleType = "1", "0", "HU"
        one.PixelData = np.ascontiguousarray(image.array[:, :, k].T).astype("<i2").tobytes()
        one.file_meta = FileMetaDataset()
        one.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        one.file_meta.MediaStorageSOPClassUID = one.SOPClassUID
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        one.save_as(folder / f"{k:03d}.dcm", enforce_file_format=True)


def write_case(folder: Path) -> Path:
    """A case folder: the series, a drawn intercostal nerve, one radiofrequency needle."""
    image = cropped()
    (folder / "ct").mkdir(parents=True)
    write_series(folder / "ct", image)
    middle = image.to_lps((np.array(image.shape) - 1) / 2)
    along = [middle + np.array([x, 0, 0]) for x in (-25.0, 0.0, 25.0)]
    assumed = {"unit": "mm", "basis": "assumption", "source": "assumption: made up for a test"}
    case = {
        "schema_version": 1, "id": "dicom-case", "demonstration": True, "patient": {"id": "nobody"},
        "image": {"path": "ct", "modality": "CT", "attribution": "LIDC-IDRI, CC BY 3.0"},
        "nerves": [
            {
                "name": "intercostal_nerves", "side": "left", 
                "points_mm": [[float(v) for v in p] for p in along],
                "radius_mm": {"value": 1.5, **assumed}, "position_sd_mm": {"value": 1.0, **assumed},
            }
        ],
        "target": {"nerve": "intercostal_nerves", "side": "left"},
        "treatment": {
            "technique": "radiofrequency", "position": "prone", "instrument": "cannula_20g_10mm",
            "protocol": {"set_temperature_c": 80, "duration_s": 20},
            "placements": [
                {
                    "instrument": "cannula_20g_10mm", "tip_mm": [float(v) for v in middle],
                    "towards_hub_mm": [float(v) for v in middle + np.array([0, 60, 0])],
                }
            ],
        },
    }  # fmt: skip
    (folder / "case.yaml").write_text(yaml.safe_dump(case), "utf-8")
    return folder


@dataclass(frozen=True)
class Pacs:
    """A running Orthanc on this machine."""

    web: str
    port: int


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        found: int = one.getsockname()[1]
        return found


@contextmanager
def orthanc(folder: Path) -> Iterator[Pacs]:
    """Start Orthanc with DICOMweb on loopback; a missing program is a failure, not a skip."""
    if not os.path.exists(ORTHANC):
        raise AssertionError("Orthanc is not installed: apt-get install orthanc orthanc-dicomweb")
    http, dimse = free_port(), free_port()
    plugin = next(Path("/usr/share/orthanc/plugins").glob("*DicomWeb*"), None)
    if plugin is None:
        raise AssertionError("the DICOMweb plugin is not installed: apt-get install orthanc-dicomweb")
    config = {
        "Name": "test", "StorageDirectory": str(folder / "store"), "IndexDirectory": str(folder / "store"),
        "HttpPort": http, "DicomPort": dimse, "DicomAet": "TEST", "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False, "DicomAlwaysAllowStore": True, "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
    }  # fmt: skip
    (folder / "orthanc.json").write_text(json.dumps(config), "utf-8")
    with (folder / "orthanc.log").open("wb") as log:
        running = subprocess.Popen([ORTHANC, str(folder / "orthanc.json")], stdout=log, stderr=log)
    try:
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                socket.create_connection(("127.0.0.1", http), 0.2).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError((folder / "orthanc.log").read_text("utf-8")[-2000:])
        yield Pacs(f"http://127.0.0.1:{http}/dicom-web", dimse)
    finally:
        running.terminate()
        running.wait(20)
        shutil.rmtree(folder / "store", ignore_errors=True)
