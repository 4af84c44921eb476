"""Reading an ultrasound image from a picture or a DICOM US file, with its scale where the file states one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import ImageError
from neurolysis.localization.decoding import one_frame

LEAST_SIDE, MOST_PIXELS, MOST_BYTES = 96, 4096 * 4096, 200 * 2**20
SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".dcm", ".dicom")
CENTIMETRES = 3
"""Physical Units X/Y Direction: 3 is cm (DICOM PS3.3, C.8.5.5.1.15)."""
TISSUE = 1
"""Region Data Type: 1 is tissue (DICOM PS3.3, C.8.5.5.1.2)."""


@dataclass(frozen=True)
class UltrasoundImage:
    """One frame: ``pixels`` (rows, columns, 3) uint8, and mm a pixel (column, row) where it is known."""

    name: str
    pixels: NDArray[np.uint8]
    pixel_mm: tuple[float, float] | None = None
    scale_from: str = "no scale: lengths in pixels only"


def read_ultrasound(path: Path, frame: int = 0) -> UltrasoundImage:
    """A PNG, JPEG or BMP, or one frame of a DICOM US object.

    Raises:
        ImageError: no such file, another format, too small or too large, a broken file, no such frame.
    """
    if not path.is_file():
        raise ImageError("there is no such file", where=str(path))
    if path.suffix.casefold() not in SUFFIXES:
        raise ImageError(
            "not a format ultrasound is read from",
            where=str(path),
            found=path.suffix,
            allowed=", ".join(SUFFIXES),
        )
    if path.stat().st_size > MOST_BYTES:
        raise ImageError("too large for one ultrasound image", where=str(path), found=path.stat().st_size)
    if path.suffix.casefold() in (".dcm", ".dicom"):
        return _from_dicom(path, frame)
    if frame:
        raise ImageError("a picture has one frame", where=str(path), found=frame, allowed="0")
    return _from_picture(path)


def _from_picture(path: Path) -> UltrasoundImage:
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=("PNG", "JPEG", "BMP")) as opened:
                _check_size(opened.height, opened.width, path)
                pixels = np.asarray(opened.convert("RGB"), np.uint8)
    except ImageError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError, Warning) as error:
        raise ImageError("the picture cannot be read", where=str(path), found=str(error)[:120]) from error
    return UltrasoundImage(path.name, pixels)


def _check_size(rows: int, columns: int, path: Path) -> None:
    if min(rows, columns) < LEAST_SIDE or rows * columns > MOST_PIXELS:
        raise ImageError(
            "no size of an ultrasound image",
            where=str(path),
            found=f"{columns} x {rows} pixels",
            allowed=f"at least {LEAST_SIDE} on each side, at most {MOST_PIXELS} in all",
        )


def _from_dicom(path: Path, frame: int) -> UltrasoundImage:
    """One frame; the scale from the region calibration that covers most of it."""
    from pydicom import dcmread

    try:
        found = dcmread(path, stop_before_pixels=True, defer_size=2**20)
        modality = str(found.get("Modality", ""))
        rows, columns = int(found.get("Rows", 0)), int(found.get("Columns", 0))
        samples = int(found.get("SamplesPerPixel", 1))
        frames = int(found.get("NumberOfFrames", 1) or 1)
        packed = bool(found.file_meta.TransferSyntaxUID.is_encapsulated)
        regions = [_region(one) for one in found.get("SequenceOfUltrasoundRegions", None) or ()]
    except Exception as error:  # pydicom raises many kinds on a broken file; each is one refusal here
        raise ImageError("the file cannot be read", where=str(path), found=str(error)[:120]) from error
    if modality != "US":
        raise ImageError("not an ultrasound image", where=str(path), found=modality or "no modality")
    _check_size(rows, columns, path)
    if not 0 <= frame < frames:
        raise ImageError("no such frame", where=str(path), found=frame, allowed=f"0 to {frames - 1}")
    if samples not in (1, 3):
        raise ImageError("neither grey nor colour", where=str(path), found=samples, allowed="1 or 3 samples")
    size = (rows, columns) if samples == 1 else (rows, columns, samples)
    pixels = one_frame(path, frame, size, compressed=packed)
    if pixels.dtype != np.uint8:
        raise ImageError("pixels of another kind", where=str(path), found=pixels.dtype, allowed="8 bits")
    if pixels.ndim == 2:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    known = [one for one in regions if one is not None]
    if not known:
        return UltrasoundImage(path.name, np.ascontiguousarray(pixels))
    _, scale = max(known)
    return UltrasoundImage(
        path.name, np.ascontiguousarray(pixels), scale, "the file's region calibration (0018,602C)"
    )


def _region(one: Any) -> tuple[int, tuple[float, float]] | None:
    """Area in pixels and mm a pixel of a tissue region in centimetres; None for any other."""
    units = (int(one.PhysicalUnitsXDirection), int(one.PhysicalUnitsYDirection))
    if units != (CENTIMETRES, CENTIMETRES) or int(one.RegionDataType) != TISSUE:
        return None
    size = (one.RegionLocationMaxX1 - one.RegionLocationMinX0) * (
        one.RegionLocationMaxY1 - one.RegionLocationMinY0
    )
    scale = (10 * abs(float(one.PhysicalDeltaX)), 10 * abs(float(one.PhysicalDeltaY)))
    return (int(size), scale) if min(scale) > 0 else None
