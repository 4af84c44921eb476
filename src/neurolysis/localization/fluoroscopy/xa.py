"""Taken X-rays in: DICOM XA and RF images with their geometry, or a picture with stated geometry."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolysis.case import PatientPosition
from neurolysis.errors import ImageError, InputError, NeurolysisError
from neurolysis.localization.decoding import one_frame
from neurolysis.localization.fluoroscopy.carm import CArm, angles_of_dicom

KINDS = ("XA", "RF")
NEEDED = {
    "PositionerPrimaryAngle": "Positioner Primary Angle (0018,1510)",
    "PositionerSecondaryAngle": "Positioner Secondary Angle (0018,1511)",
    "DistanceSourceToDetector": "Distance Source to Detector (0018,1110)",
    "DistanceSourceToPatient": "Distance Source to Patient (0018,1111)",
    "ImagerPixelSpacing": "Imager Pixel Spacing (0018,1164)",
}
MOST_PIXELS = 4096 * 4096
DARKEST = 1e-4


def read_xa(
    path: Path, isocentre_mm: ArrayLike, position: PatientPosition | None
) -> tuple[CArm, NDArray[np.float32]]:
    """One XA or RF frame: its C-arm and line integrals (rows, columns) up to scale and offset.

    The isocentre's place in the patient is not in these files; it is stated, and a registration corrects it.
    Only the first frame of a run is read.

    Raises:
        ImageError: no XA or RF image, angles or distances missing, several values a pixel, or no pixels.
    """
    import pydicom

    where = path.name
    try:
        found = pydicom.dcmread(path, stop_before_pixels=True, defer_size=2**20)
    except Exception as error:  # pydicom raises many kinds on a broken file; each is one refusal here
        raise ImageError("no DICOM file", where=where, found=str(error)[:120]) from error
    try:
        return _read_xa(path, found, isocentre_mm, position)
    except NeurolysisError:
        raise
    except Exception as error:  # elements are only converted when asked for, and may be broken anywhere
        raise ImageError("the file cannot be read", where=where, found=str(error)[:120]) from error


def _read_xa(
    path: Path, found: Any, isocentre_mm: ArrayLike, position: PatientPosition | None
) -> tuple[CArm, NDArray[np.float32]]:
    where = path.name
    if found.get("Modality") not in KINDS:
        raise ImageError("not a fluoroscopic image", where=where, found=found.get("Modality"), allowed=KINDS)
    missing = [words for name, words in NEEDED.items() if found.get(name) in (None, "")]
    if missing:
        raise ImageError(
            "the geometry is not in the file", where=where, found=f"without {', '.join(missing)}",
            allowed="a views file that states it",
        )  # fmt: skip
    if int(found.get("SamplesPerPixel", 1)) != 1:
        raise ImageError("a colour image is no X-ray", where=where, found=found.SamplesPerPixel)
    if int(found.Rows) * int(found.Columns) > MOST_PIXELS:
        raise ImageError("more pixels than a detector has", where=where, found=(found.Rows, found.Columns))
    spacing = [float(v) for v in found.ImagerPixelSpacing]
    if abs(spacing[0] - spacing[1]) > 1e-3 * spacing[0]:
        raise ImageError("pixels must be square", where=where, found=spacing)
    angles = angles_of_dicom(
        float(found.PositionerPrimaryAngle), float(found.PositionerSecondaryAngle), position
    )
    carm = CArm.at(
        isocentre_mm,
        angles,
        position,
        source_detector_mm=float(found.DistanceSourceToDetector),
        source_isocentre_mm=float(found.DistanceSourceToPatient),
        pixel_mm=spacing[0],
        columns=int(found.Columns),
        rows=int(found.Rows),
    )
    packed = bool(found.file_meta.TransferSyntaxUID.is_encapsulated)
    pixels = one_frame(path, 0, (int(found.Rows), int(found.Columns)), compressed=packed)
    return carm, integrals(pixels, _is_inverted(found))


def _is_inverted(found: Any) -> bool:
    """Whether high values mean much attenuation: MONOCHROME1, or a log-like Pixel Intensity Relationship."""
    return str(found.get("PhotometricInterpretation", "")) == "MONOCHROME1"


def integrals(pixels: ArrayLike, inverted: bool = False) -> NDArray[np.float32]:
    """Detector values as line integrals: minus the logarithm of what passed, or the values where inverted.

    Scale and offset do not matter to a registration.
    """
    values = np.asarray(pixels, np.float64)
    if inverted:
        return values.astype(np.float32)
    top = float(values.max())
    if top <= 0:
        raise InputError("the X-ray shows nothing", found=f"highest value {top:g}")
    return np.asarray(-np.log(np.maximum(values / top, DARKEST)), np.float32)


def read_picture(path: Path) -> NDArray[np.float32]:
    """A picture (PNG, JPEG: bright is what passed) or line integrals (.npy), as (rows, columns)."""
    if path.suffix.casefold() == ".npy":
        try:
            found = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise ImageError("no array of numbers", where=path.name, found=str(error)[:120]) from error
        if found.ndim != 2 or found.size > MOST_PIXELS:
            raise ImageError("an X-ray has rows and columns", where=path.name, found=found.shape)
        return np.asarray(found, np.float32)
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ImageError("more pixels than a detector has", where=path.name, found=picture.size)
            return integrals(np.asarray(picture.convert("F")))
    except (UnidentifiedImageError, OSError) as error:
        raise ImageError("no picture that can be read", where=path.name, found=str(error)[:120]) from error
