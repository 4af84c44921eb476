"""The CT or MR series that outputs refer to: one patient, one frame of reference, its slices in order."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neurolysis import __version__
from neurolysis.errors import FrameMismatchError, InputError
from neurolysis.geometry import FloatArray, Volume

MAKER = "neurolysis project"
MODEL = "neurolysis"
ONE_OF_EACH = {
    "PatientID": "patients",
    "StudyInstanceUID": "studies",
    "FrameOfReferenceUID": "frames of reference",
}


@dataclass(frozen=True)
class SourceSeries:
    """Headers of the slices (pydicom datasets without pixels) in the volume's order, and its affine."""

    slices: tuple[Any, ...]
    affine: FloatArray

    @property
    def shape(self) -> tuple[int, int, int]:
        """Slices, rows, columns: the order of highdicom's pixel arrays."""
        first = self.slices[0]
        return len(self.slices), int(first.Rows), int(first.Columns)

    def points_mm(self) -> FloatArray:
        """Voxel centres (slices, rows, columns, 3), LPS mm."""
        slices, rows, columns = self.shape
        k, j, i = np.meshgrid(np.arange(slices), np.arange(rows), np.arange(columns), indexing="ij")
        index = np.stack([i, j, k], axis=-1)
        result: FloatArray = index @ self.affine[:3, :3].T + self.affine[:3, 3]
        return result

    def require_frame(self, image: Volume) -> None:
        """FrameMismatchError unless a scene's image is this series."""
        slices, rows, columns = self.shape
        here = Volume(
            array=np.zeros((columns, rows, slices), np.uint8), affine=self.affine, name="source series"
        )
        here.require_same_frame(image)


def read_source(path: Path, series_uid: str | None = None) -> SourceSeries:
    """The series at a folder, checked as every image is; outputs then carry its patient and frame.

    Raises:
        InputError: not a DICOM folder, an enhanced multi-frame file, or no frame of reference.
        ImageError: the series cannot be trusted (mixed patients, studies and frames among other reasons).
    """
    from neurolysis.localization.dicom_series import load_series

    if not path.is_dir():
        raise InputError(
            "DICOM output needs the image as a DICOM folder", where=str(path), found=path.name,
            allowed="a folder of CT or MR slices",
        )  # fmt: skip
    series = load_series(path, series_uid)
    datasets = {header.file: header.dataset for header in series.headers}
    if len(datasets) != len(series.slices):
        raise InputError("multi-frame sources are not supported for output", where=str(path))
    slices = tuple(datasets[one.file] for one in series.slices)
    require_one_origin(slices)
    return SourceSeries(slices, np.array(series.affine))


def require_one_origin(datasets: tuple[Any, ...]) -> None:
    """One patient, one study, one frame of reference; identities are never printed.

    Raises:
        FrameMismatchError: several, or no frame of reference.
    """
    for keyword, what in ONE_OF_EACH.items():
        found = {str(one.get(keyword, "")) for one in datasets}
        if len(found) > 1:
            raise FrameMismatchError(f"{len(found)} {what} in one output ({keyword} differs)")
        if keyword == "FrameOfReferenceUID" and not found.pop():
            raise FrameMismatchError("the source states no frame of reference: nothing can be placed in it")


def identity(number: int) -> dict[str, Any]:
    """Series and instance fields shared by all outputs; ``number`` is the series number."""
    import highdicom

    return {
        "series_instance_uid": highdicom.UID(),
        "series_number": number,
        "sop_instance_uid": highdicom.UID(),
        "instance_number": 1,
        "manufacturer": MAKER,
        "manufacturer_model_name": MODEL,
        "software_versions": __version__,
        "device_serial_number": __version__,
    }
