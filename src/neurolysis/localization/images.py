"""Images in: a NIfTI file or a DICOM series becomes a :class:`~neurolysis.geometry.Volume`.

This is the edge where orientation is settled: everything behind it is LPS millimetres. DICOM already
is; NIfTI is RAS, so the x and y rows of its affine change sign. An image whose place or size in the
body is in doubt is refused, with the reason. A volume here has two voxels or more along each axis.
"""

from __future__ import annotations

import gzip
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.archives import unpacked
from neurolysis.localization.decoding import decode_apart
from neurolysis.localization.dicom_series import (
    ANGLE_TOLERANCE,
    LARGEST_ELEMENT,
    MAX_VOXELS,
    Header,
    Series,
    SeriesInfo,
    load_series,
    reading,
    refusal,
    require_size,
    series_in,
)
from neurolysis.quantity import Value

__all__ = [
    "MAX_VOXELS",
    "ImageDetails",
    "SeriesInfo",
    "read_image",
    "read_image_details",
    "read_labels",
    "series_in",
]

NIFTI_SUFFIXES = (".nii", ".nii.gz")
FORMS_TOLERANCE_MM = 0.5
"""How far qform and sform may disagree: a quaternion in single precision moves a corner this much."""
INT16 = np.iinfo(np.int16)
CHUNK = 2**20
"""Bytes unpacked at a time."""


NO_CONTRAST = ("NONE", "NO", "NIL", "NO CONTRAST", "WITHOUT CONTRAST")
"""Agents that state their own absence; any other text counts as contrast."""


class Frame(NamedTuple):
    """Stored values (ni, nj) of one slice; intensity = ``slope`` x stored + ``intercept``."""

    stored: NDArray[Any]
    slope: float
    intercept: float


class ImageDetails(Value):
    """What an image says of itself beyond its voxels; None is "not said". Holds no patient name.

    ``contrast`` is True when an agent is named, False when one is denied. ``ignored_files`` are files
    of the folder that are not DICOM. ``notes`` are doubts that do not stop the reading.
    """

    format: Literal["NIfTI", "DICOM"]
    modality: str | None = None
    patient_id: str | None = None
    patient_position: str | None = None
    frame_of_reference_uid: str | None = None
    series_uid: str | None = None
    contrast: bool | None = None
    kvp: float | None = None
    slice_thickness_mm: float | None = None
    ignored_files: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def read_image(path: Path, *, series_uid: str | None = None) -> Volume:
    """An image in LPS mm: int16 where that holds every value exactly, else float32.

    CT comes in Hounsfield units (slope and intercept of each slice applied). The array's axes are those
    of the file: (column, row, slice) for DICOM, with slices in order along their normal.

    Args:
        path: a NIfTI file (.nii, .nii.gz), a folder or ZIP of DICOM files in any order, or one multi-frame
            file.
        series_uid: which DICOM series; needed where the folder holds several.

    Raises:
        ImageError: the image cannot be read or its geometry cannot be trusted.
        UnknownNameError: no such series in the folder; lists those there are.
    """
    if path.suffix.casefold() == ".zip" and path.is_file():
        with unpacked(path) as folder:
            inside = read_image(folder, series_uid=series_uid)
        return Volume(array=inside.array, affine=inside.affine, name=path.name)
    if _is_nifti(path):
        _refuse_series(path, series_uid)
        frames, affine = _read_nifti(path)
    else:
        series = load_series(path, series_uid)
        frames, affine = _read_frames(series), series.affine
    return Volume(array=_intensities(frames, path), affine=affine, name=path.name)


def read_image_details(path: Path, *, series_uid: str | None = None) -> ImageDetails:
    """What the headers of an image say; same checks and errors as :func:`read_image`, pixels unread."""
    if path.suffix.casefold() == ".zip" and path.is_file():
        with unpacked(path) as folder:
            return _dicom_details(load_series(folder, series_uid))
    if not _is_nifti(path):
        return _dicom_details(load_series(path, series_uid))
    _refuse_series(path, series_uid)
    image = _open_nifti(path)
    _nifti_affine(image, path)
    note = "the file states no unit of length: millimetres are assumed" if _units(image) == "unknown" else ""
    return ImageDetails(format="NIfTI", notes=(note,) if note else ())


def read_labels(path: Path, image: Volume) -> Volume:
    """A label map (NIfTI) on the voxels of ``image``: uint8, int16 or int32, the smallest that holds it.

    A map whose voxels are those of the image in another storage order (axes swapped or reversed, as
    converters do) is put in the image's order without resampling.

    Raises:
        ImageError: not readable, or values that are not whole numbers from zero up.
        FrameMismatchError: the map's voxels are not those of the image.
    """
    if not _is_nifti(path):
        raise refusal(path, "a label map is a NIfTI file", allowed=NIFTI_SUFFIXES)
    frames, affine = _read_nifti(path)
    labels = Volume(array=_whole_numbers(frames, path), affine=affine, name=path.name)
    labels = _in_storage_order(labels, image)
    image.require_same_frame(labels)
    return Volume(array=labels.array, affine=image.affine, name=labels.name)


def _is_nifti(path: Path) -> bool:
    return path.name.lower().endswith(NIFTI_SUFFIXES) and not path.is_dir()


def _refuse_series(path: Path, series_uid: str | None) -> None:
    if series_uid is not None:
        raise refusal(path, "a NIfTI file holds no series to choose", series_uid)


# ------------------------------------------------------------------ values


def _intensities(frames: Sequence[Frame], path: Path) -> NDArray[Any]:
    """Frames (ni, nj) as one array (ni, nj, nk) of int16 or float32; non-finite values are refused."""
    exact = all(_fits_int16(frame) for frame in frames)
    array = np.empty((*frames[0].stored.shape, len(frames)), np.int16 if exact else np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for index, frame in enumerate(frames):
            array[:, :, index] = _scaled(frame)
    _require_finite(array, path)
    return array


def _scaled(frame: Frame) -> FloatArray:
    result: FloatArray = frame.stored.astype(np.float64) * frame.slope + frame.intercept
    return result


def _fits_int16(frame: Frame) -> bool:
    """Whether slope x stored + intercept is a whole number within int16 for each voxel."""
    if not (float(frame.slope).is_integer() and float(frame.intercept).is_integer()):
        return False
    low, high = float(frame.stored.min()), float(frame.stored.max())
    ends = sorted(frame.slope * end + frame.intercept for end in (low, high))
    if not (INT16.min <= ends[0] and ends[1] <= INT16.max):
        return False
    return frame.stored.dtype.kind in "iu" or bool(np.all(frame.stored == np.rint(frame.stored)))


def _require_finite(array: NDArray[Any], path: Path) -> None:
    bad = np.zeros(0, dtype=int) if array.dtype.kind in "iu" else np.flatnonzero(~np.isfinite(array))
    if bad.size:
        first = tuple(int(index) for index in np.unravel_index(bad[0], array.shape))
        problem = f"{bad.size} voxel{'s' * (bad.size > 1)} not a finite number"
        raise refusal(path, problem, f"{array[first]} at voxel index {first}")


def _whole_numbers(frames: Sequence[Frame], path: Path) -> NDArray[Any]:
    """Label frames (ni, nj) as one integer array (ni, nj, nk)."""
    plain = all(frame.stored.dtype.kind in "iu" and frame[1:] == (1.0, 0.0) for frame in frames)
    values = np.stack([frame.stored if plain else _scaled(frame) for frame in frames], axis=-1)
    _require_finite(values, path)
    whole = values if plain else np.rint(values)
    bad = np.flatnonzero((values != whole) | (values < 0) | (values > np.iinfo(np.int32).max))
    if bad.size:
        first = tuple(int(index) for index in np.unravel_index(bad[0], values.shape))
        problem = f"{bad.size} label{'s' * (bad.size > 1)} not a whole number from zero up"
        raise refusal(path, problem, f"{values[first]:g} at voxel index {first}")
    highest = whole.max()
    dtype = next(t for t in (np.uint8, np.int16, np.int32) if highest <= np.iinfo(t).max)
    return whole.astype(dtype)


def _in_storage_order(labels: Volume, image: Volume) -> Volume:
    """The same voxels stored along the image's axes, where only order and direction of axes differ."""
    turn = (image.inverse_affine @ labels.affine)[:3, :3]
    whole = np.rint(turn)
    if not np.allclose(turn, whole, atol=1e-3) or not np.array_equal(np.abs(whole) @ np.ones(3), np.ones(3)):
        return labels
    axes = np.argmax(np.abs(whole), axis=1)
    if len(set(axes.tolist())) != 3:
        return labels
    affine = labels.affine.copy()
    affine[:3, :3] = labels.affine[:3, axes]
    array = labels.array.transpose(axes)
    for axis, source in enumerate(axes):
        if whole[axis, source] < 0:
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:3, axis] *= -1
            array = np.flip(array, axis)
    return Volume(array=array, affine=affine, name=labels.name)


# ------------------------------------------------------------------ NIfTI


def _open_nifti(path: Path) -> Any:
    """The nibabel image with its header read and its size, axes and unit checked; voxels unread."""
    import nibabel

    if not path.is_file():
        raise refusal(path, "no such file")
    with reading(path):
        image: Any = nibabel.load(path)
        shape, dtype = image.shape, image.get_data_dtype()
    if len(shape) < 3 or any(length != 1 for length in shape[3:]):
        raise refusal(path, "not one three-dimensional image", f"shape {shape}")
    require_size(shape, path)
    if min(shape[:3]) < 2:
        allowed = "two voxels or more along each axis"
        raise refusal(path, "a single slice has no thickness direction", f"shape {shape}", allowed)
    if dtype.kind not in "iuf":
        raise refusal(path, "voxels are not single numbers", dtype)
    if _units(image) not in ("mm", "unknown"):
        raise refusal(path, "unit of length is not millimetres", _units(image), "mm")
    return image


def _read_nifti(path: Path) -> tuple[list[Frame], FloatArray]:
    """Stored slices with the file's scaling, and the affine (4, 4) to LPS."""
    image = _open_nifti(path)
    affine = _nifti_affine(image, path)
    if path.suffix.lower() == ".gz":
        _require_sound(image, path)
    with reading(path):
        proxy = image.dataobj  # the header's own slope is cleared on loading
        stored = np.asarray(proxy.get_unscaled()).reshape(image.shape[:3])
        slope, intercept = float(proxy.slope), float(proxy.inter)
    return [Frame(stored[:, :, k], slope, intercept) for k in range(stored.shape[2])], affine


def _require_sound(image: Any, path: Path) -> None:
    """Read a compressed file to its end, where its checksum is: a damaged one is an ImageError."""
    declared = int(image.dataobj.offset) + image.get_data_dtype().itemsize * math.prod(image.shape)
    size = 0
    with reading(path), gzip.open(path) as stream:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > declared + CHUNK:
                raise refusal(
                    path, "the file unpacks to more than its header declares", allowed=f"{declared} bytes"
                )


def _units(image: Any) -> str:
    """Unit of length: the low three bits of xyzt_units (nifti1.h)."""
    code = int(image.header["xyzt_units"]) & 7
    return {0: "unknown", 1: "metre", 2: "mm", 3: "micrometre"}.get(code, f"code {code}")


def _nifti_affine(image: Any, path: Path) -> FloatArray:
    """The affine from voxel index to LPS mm: sform where it is set, else qform.

    Source: nifti1.h, "Orientation and location in space", methods 3 and 2; method 1 is refused.
    """
    with reading(path):
        sform, qform = image.header.get_sform(coded=True)[0], image.header.get_qform(coded=True)[0]
    if sform is None and qform is None:
        problem = "neither qform nor sform is set: where the image lies is unknown"
        raise refusal(path, problem, "qform_code 0, sform_code 0", "a code above 0 in either")
    ras = np.asarray(qform if sform is None else sform, dtype=np.float64)
    _require_square(ras, path)
    if sform is not None and qform is not None:
        _require_forms_agree(ras, np.asarray(qform, dtype=np.float64), image.shape[:3], path)
    result: FloatArray = np.diag([-1.0, -1.0, 1.0, 1.0]) @ ras + 0.0
    return result


def _require_forms_agree(sform: FloatArray, qform: FloatArray, shape: Sequence[int], path: Path) -> None:
    corners = np.array(np.meshgrid(*[(0, n - 1) for n in shape], [1])).reshape(4, -1)
    gap = float(np.abs((sform - qform) @ corners).max())
    if not gap <= FORMS_TOLERANCE_MM:
        allowed = f"{FORMS_TOLERANCE_MM} mm; clear the code of the wrong one"
        raise refusal(path, "qform and sform place the image differently", f"{gap:.3g} mm apart", allowed)


def _require_square(affine: FloatArray, path: Path) -> None:
    """Finite, spacing above zero, axes square to each other."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.all(np.isfinite(affine)) or np.any(spacing < 1e-6):
        raise refusal(path, "voxel spacing must be finite and above zero", spacing.tolist())
    axes = affine[:3, :3] / spacing
    skew = float(np.abs(axes.T @ axes - np.eye(3)).max())
    if skew > ANGLE_TOLERANCE:
        found = f"{np.degrees(np.arcsin(min(1.0, skew))):.2f} degrees off"
        raise refusal(path, "the axes are not square to each other: a sheared image", found)


# ------------------------------------------------------------------ DICOM pixels


def _read_frames(series: Series) -> list[Frame]:
    """The stored values of each slice (columns, rows), in the series' order."""
    packed = [header for header in series.headers if _is_compressed(header)]
    decoded = {header.file: _decode(header) for header in series.headers if header not in packed}
    if packed:
        sizes = {h.file: (h.frames, int(h.dataset.Rows), int(h.dataset.Columns)) for h in packed}
        decoded |= decode_apart([header.file for header in packed], sizes)
    return [Frame(decoded[one.file][one.frame].T, one.slope, one.intercept) for one in series.slices]


def _is_compressed(header: Header) -> bool:
    with reading(header.file):
        return bool(header.dataset.file_meta.TransferSyntaxUID.is_encapsulated)


def _decode(header: Header) -> NDArray[Any]:
    """Stored values of one file, (frames, rows, columns); what the decoder warns of is an error."""
    from pydicom import dcmread

    with reading(header.file), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = dcmread(header.file, defer_size=LARGEST_ELEMENT)
        _require_pixels(header, dataset)
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        return dataset.pixel_array.reshape(header.frames, int(dataset.Rows), int(dataset.Columns))


def _require_pixels(header: Header, dataset: Any) -> None:
    """Pixels are there and, when not compressed, as many bytes as the header declares; none is read yet."""
    if not any(name in dataset for name in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        raise refusal(header.file, "no pixel data (file cut short?)")
    if "PixelData" not in dataset or dataset.file_meta.TransferSyntaxUID.is_encapsulated:
        return
    bits = int(dataset.Rows) * int(dataset.Columns) * header.frames * int(dataset.BitsAllocated)
    expected, found = bits // 8, _stored_bytes(dataset.get_item("PixelData"))
    if not expected <= found <= expected + expected % 2:
        problem = f"pixel data {'shorter' if found < expected else 'longer'} than the header declares"
        raise refusal(header.file, problem, f"{found} bytes", f"{expected} bytes")


def _stored_bytes(element: Any) -> int:
    """Length of an element's value, as the file states it where the value was left there."""
    value = getattr(element, "value", None)
    return int(element.length) if value is None else len(value)


# ------------------------------------------------------------------ DICOM details


def _dicom_details(series: Series) -> ImageDetails:
    headers = series.headers
    with reading(headers[0].file.parent):
        return _details(series)


def _details(series: Series) -> ImageDetails:
    headers = series.headers
    thickness = _same_number(headers, "SliceThickness", "PixelMeasuresSequence")
    return ImageDetails(
        format="DICOM",
        modality=_same_text(headers, "Modality"),
        patient_id=_same_text(headers, "PatientID"),
        patient_position=_same_text(headers, "PatientPosition"),
        frame_of_reference_uid=_same_text(headers, "FrameOfReferenceUID"),
        series_uid=_same_text(headers, "SeriesInstanceUID"),
        contrast=_contrast(headers),
        kvp=_same_number(headers, "KVP", "CTXRayDetailsSequence"),
        slice_thickness_mm=thickness,
        ignored_files=series.ignored,
        notes=tuple(_doubts(series, thickness)),
    )


def _same_text(headers: Sequence[Header], keyword: str) -> str | None:
    """The text of an element when all files agree on it, else None."""
    found = {header.text(keyword) for header in headers}
    return (found.pop() or None) if len(found) == 1 else None


def _same_number(headers: Sequence[Header], keyword: str, macro: str) -> float | None:
    """The number of an element (in the first frame of each file) when all files agree, else None."""
    sources = [(header, header.macro(macro, 0)) for header in headers]
    found = {() if source is None else header.numbers(keyword, source) for header, source in sources}
    values = found.pop() if len(found) == 1 else ()
    return values[0] if len(values) == 1 else None


def _contrast(headers: Sequence[Header]) -> bool | None:
    """Whether an agent was given: True if any file names one, False if all deny it, else unknown.

    An absent or empty element says nothing: exporters and de-identifiers drop it.
    """
    named = {header.text("ContrastBolusAgent").upper() for header in headers}
    in_sequence = any(header.dataset.get("ContrastBolusAgentSequence") for header in headers)
    if in_sequence or any(text not in ("", *NO_CONTRAST) for text in named):
        return True
    return None if "" in named else False


def _doubts(series: Series, thickness_mm: float | None) -> list[str]:
    """What a reader should know though it does not stop the reading."""
    spacing = float(np.linalg.norm(series.affine[:3, 2]))
    notes = []
    if thickness_mm is not None and spacing > 1.01 * thickness_mm:
        notes.append(
            f"slices are {spacing:g} mm apart and {thickness_mm:g} mm thick: tissue between them was not "
            "imaged, or every other slice is missing"
        )
    if _same_text(series.headers, "FrameOfReferenceUID") is None:
        notes.append("no frame of reference is stated: other images of the patient cannot be matched to it")
    if any(header.text("LossyImageCompression") == "01" for header in series.headers):
        notes.append("the image was compressed with loss: intensities are approximate")
    return notes + sorted({text for header in series.headers for text in header.warned})
