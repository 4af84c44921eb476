"""DICOM files into even, square stacks of slices of one series, or a clear refusal.

Where a slice lies is told only by Image Position and Image Orientation (Patient) (DICOM PS3.3,
C.7.6.2.1.1): file names, instance numbers and slice locations are never used. Everything doubtful is
refused; nothing is resampled, filled in or guessed.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.errors import ImageError, NeurolysisError, UnknownNameError
from neurolysis.geometry import FloatArray
from neurolysis.localization.dicom_kinds import DEFLATED, DIRECTORY_CLASS, SOP_CLASSES
from neurolysis.quantity import Value

if TYPE_CHECKING:
    from pydicom import Dataset

MAX_VOXELS = 2**29
"""Largest image read (1024 x 1024 x 512): 1 GiB of int16; refused before anything is allocated."""
MAX_FILES = 20_000
LARGEST_ELEMENT = 2**20
"""Elements above this many bytes are left in the file until somebody asks for them."""
POSITION_TOLERANCE_MM = 0.01
SPACING_TOLERANCE = 0.005
"""A slice may lie off the even spacing by 0.01 mm or 0.5 % of the spacing, whichever is larger."""
ANGLE_TOLERANCE = 5e-4
"""Largest cosine between axes that should be square (0.03 degrees), and difference of directions."""
TILT_TOLERANCE_DEG = 0.01

DICOM_SUFFIXES = (".dcm", ".dicom", ".ima")
ONE_ORIGIN = {
    "PatientID": "patients",
    "StudyInstanceUID": "studies",
    "FrameOfReferenceUID": "frames of reference",
}


class SeriesInfo(Value):
    """One series of a folder: what a person needs to choose it."""

    uid: str
    description: str
    modality: str
    slices: int


def refusal(
    where: Path, problem: str, found: object = None, allowed: str | Iterable[object] = ""
) -> ImageError:
    """The ImageError to raise for a file or folder."""
    return ImageError(problem, where=str(where), found=found, allowed=allowed)


@contextmanager
def reading(where: Path) -> Iterator[None]:
    """Whatever a library raises inside the block becomes an ImageError that names the file."""
    try:
        yield
    except NeurolysisError:
        raise
    except Exception as error:
        text = str(error) or "no further detail"
        raise refusal(where, f"cannot be read ({type(error).__name__}: {text})") from error


def require_size(shape: Sequence[int], where: Path) -> None:
    """Refuse (ImageError) a declared image of no voxels, or of more than MAX_VOXELS."""
    voxels = 1
    for length in shape:
        voxels *= int(length)
    if min(shape) < 1 or voxels > MAX_VOXELS:
        sizes = " x ".join(str(length) for length in shape)
        raise refusal(where, "the declared image size is refused", sizes, f"1 to {MAX_VOXELS} voxels")


@dataclass(frozen=True)
class Header:
    """A DICOM file without its pixels, and what the library warned of while reading it."""

    file: Path
    dataset: Dataset
    warned: tuple[str, ...] = ()

    def text(self, keyword: str) -> str:
        """An element as text, empty when it is absent."""
        with reading(self.file):
            value = self.dataset.get(keyword)
            return "" if value is None else str(value).strip()

    def numbers(
        self, keyword: str, source: Dataset | None = None, count: int | None = None
    ) -> tuple[float, ...]:
        """The finite numbers of an element of ``source`` (the file itself when None).

        Empty when the element is absent; with ``count`` there must be just so many (ImageError).
        """
        with reading(self.file):
            value = (self.dataset if source is None else source).get(keyword)
            empty = value is None or value == ""
            many = value if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
            found = () if empty else tuple(float(one) for one in many)
        if not np.all(np.isfinite(found)):
            raise refusal(self.file, f"{keyword} is not a finite number", found)
        if count is not None and len(found) != count:
            wanted = f"{count} number{'s' * (count > 1)}"
            raise refusal(self.file, f"the header lacks a usable {keyword}", found or "nothing", wanted)
        return found

    @property
    def sop_class(self) -> str:
        """Name of the kind of image, empty when it is none that is read."""
        return SOP_CLASSES.get(self.text("SOPClassUID"), "")

    @property
    def frames(self) -> int:
        """Declared number of frames."""
        found = self.numbers("NumberOfFrames")
        return int(found[0]) if found else 1

    def macro(self, name: str, frame: int) -> Dataset | None:
        """Where a macro's elements are: the file itself, or in an enhanced image its functional group.

        A frame's own group goes before the shared one (DICOM PS3.3, C.7.6.16); None when in neither.
        """
        if "Enhanced" not in self.sop_class:
            return self.dataset
        with reading(self.file):
            own = self.dataset.get("PerFrameFunctionalGroupsSequence") or ()
            shared = self.dataset.get("SharedFunctionalGroupsSequence") or ()
            for group in (*own[frame : frame + 1], *shared[:1]):
                if group.get(name):
                    found: Dataset = group[name].value[0]
                    return found
        return None


@dataclass(frozen=True)
class Slice:
    """One plane of voxels and how its stored values become intensities.

    Args:
        position_mm: centre of the first voxel, (3,) LPS mm.
        directions: unit vectors (2, 3) along a row (column index grows) and along a column.
        spacing_mm: between columns, between rows.
        size: columns, rows.
    """

    file: Path
    frame: int
    position_mm: FloatArray
    directions: FloatArray
    spacing_mm: tuple[float, float]
    size: tuple[int, int]
    slope: float
    intercept: float


@dataclass(frozen=True)
class Series:
    """A checked series: slices in order along their normal, and the affine (4, 4) to LPS mm."""

    headers: tuple[Header, ...]
    slices: tuple[Slice, ...]
    affine: FloatArray
    ignored: tuple[str, ...]


def series_in(folder: Path) -> list[SeriesInfo]:
    """Every DICOM series of a folder (subfolders are not searched), ordered by UID.

    Raises:
        ImageError: no DICOM file, or a broken one.
    """
    return [_info(group) for group in _by_series(_headers(folder)[0]).values()]


def load_series(path: Path, series_uid: str | None = None) -> Series:
    """The headers of one series, checked to form an even, square stack; pixels are not read.

    Args:
        path: a folder in any file order, or one multi-frame file.
        series_uid: which series; needed where there are several.

    Raises:
        ImageError: several series and none chosen, or the series cannot be trusted.
        UnknownNameError: no such series; lists those there are.
    """
    with reading(path):  # elements are only converted when asked for, and may be broken anywhere
        headers, ignored = _headers(path)
        chosen = _choose(_by_series(headers), series_uid, path)
        _require_images(chosen, path)
        _require_one_origin(chosen, path)
        slices = [plane for header in chosen for plane in _slices(header)]
        require_size((*slices[0].size, len(slices)), path)
        ordered, affine = _stack(slices, path)
        return Series(tuple(chosen), tuple(ordered), affine, tuple(ignored))


# ------------------------------------------------------------------ files


def _headers(path: Path) -> tuple[list[Header], list[str]]:
    """Headers of the DICOM files at ``path``, and the names of other files."""
    if not path.exists():
        raise refusal(path, "no such file or folder")
    with reading(path):
        files = sorted(islice(path.iterdir(), MAX_FILES + 1)) if path.is_dir() else [path]
    if len(files) > MAX_FILES:
        raise refusal(path, "too many files in one folder", f"more than {MAX_FILES}", f"{MAX_FILES}")
    headers, ignored = [], []
    for file in files:
        header = _header(file) if file.is_file() and _claims_dicom(file) else None
        if header is None:
            ignored.append(file.name + "/" * file.is_dir())
        else:
            headers.append(header)
    if not headers:
        found = ", ".join(ignored[:10]) or "nothing"
        allowed = "a NIfTI file (.nii, .nii.gz) or a folder of DICOM files"
        raise refusal(path, "no DICOM file here (subfolders are not searched)", found, allowed)
    return headers, ignored


def _claims_dicom(file: Path) -> bool:
    """Whether a file has the DICOM mark; one that should have it and does not is an ImageError."""
    if file.name.startswith("."):
        return False
    with reading(file), file.open("rb") as stream:
        start = stream.read(132)
    if start[128:] == b"DICM":
        return True
    if not start:
        raise refusal(file, "the file is empty")
    if file.suffix.lower() in DICOM_SUFFIXES or start[:2] == b"\x08\x00":
        raise refusal(file, "not a complete DICOM file: its preamble and mark 'DICM' are missing")
    return False


def _header(file: Path) -> Header | None:
    """The header of a DICOM file; None for a DICOMDIR."""
    from pydicom import dcmread
    from pydicom.filereader import read_file_meta_info

    with reading(file), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        meta = read_file_meta_info(file)
        if meta.get("MediaStorageSOPClassUID") == DIRECTORY_CLASS:
            return None
        if meta.get("TransferSyntaxUID") == DEFLATED:
            raise refusal(file, "deflated DICOM is not read: its size is unknown before unpacking")
        dataset = dcmread(file, stop_before_pixels=True, defer_size=LARGEST_ELEMENT)
    header = Header(file, dataset, tuple(sorted({str(one.message) for one in caught})))
    for keyword in ("SOPClassUID", "SeriesInstanceUID"):
        if not header.text(keyword):
            raise refusal(file, f"the header lacks {keyword} (file cut short?)")
    if header.sop_class:
        header.numbers("BitsAllocated", count=1)
    return header


# ------------------------------------------------------------------ series


def _by_series(headers: Sequence[Header]) -> dict[str, list[Header]]:
    groups: dict[str, list[Header]] = {}
    for header in headers:
        groups.setdefault(header.text("SeriesInstanceUID"), []).append(header)
    return dict(sorted(groups.items()))


def _info(group: Sequence[Header]) -> SeriesInfo:
    uid, description, modality = (
        group[0].text(keyword) for keyword in ("SeriesInstanceUID", "SeriesDescription", "Modality")
    )
    slices = sum(header.frames for header in group)
    return SeriesInfo(uid=uid, description=description, modality=modality, slices=slices)


def _choose(groups: dict[str, list[Header]], uid: str | None, path: Path) -> list[Header]:
    if uid is None and len(groups) == 1:
        return next(iter(groups.values()))
    if uid in groups:
        return groups[uid]
    listed = "; ".join(
        f"{one.uid} ({one.description or 'no description'}, {one.modality or '?'}, {one.slices} slices)"
        for one in map(_info, groups.values())
    )
    if uid is None:
        raise refusal(path, f"{len(groups)} series: choose one by its UID", allowed=listed)
    raise UnknownNameError("no such series", where=str(path), found=uid, allowed=listed)


def _require_images(headers: Sequence[Header], path: Path) -> None:
    """One readable SOP class, one grey value per voxel, no scout view."""
    for header in headers:
        if not header.sop_class:
            kind = _class_name(header.text("SOPClassUID"))
            raise refusal(
                header.file, "this DICOM object is not a CT or MR image", kind, SOP_CLASSES.values()
            )
        if "LOCALIZER" in header.text("ImageType"):
            raise refusal(header.file, "a localizer (projection) is not a slice")
        if header.numbers("SamplesPerPixel", count=1) != (1.0,):
            raise refusal(header.file, "colour images hold no intensities")
    classes = {header.sop_class for header in headers}
    if len(classes) > 1:
        raise refusal(path, "several kinds of image in one series", ", ".join(sorted(classes)))


def _class_name(uid: str) -> str:
    from pydicom.uid import UID

    return f"{UID(uid).name} ({uid})" if UID(uid).name != uid else uid


def _require_one_origin(headers: Sequence[Header], path: Path) -> None:
    """One patient, one study, one frame of reference, no tilt; identities are never printed."""
    for keyword, what in ONE_ORIGIN.items():
        count = len({header.text(keyword) for header in headers})
        if count > 1:
            raise refusal(path, f"{count} {what} in one series ({keyword} differs)")
    for header in headers:
        tilt = header.numbers("GantryDetectorTilt")
        if any(abs(angle) > TILT_TOLERANCE_DEG for angle in tilt):
            problem = "the gantry was tilted: its slices do not form a square grid"
            raise refusal(header.file, problem, f"{tilt[0]:g} degrees", "0 degrees")


# ------------------------------------------------------------------ slices


def _slices(header: Header) -> list[Slice]:
    rows, columns = (int(header.numbers(name, count=1)[0]) for name in ("Rows", "Columns"))
    require_size((columns, rows, header.frames), header.file)
    if header.frames > 1 and "Enhanced" not in header.sop_class:
        raise refusal(header.file, "a plain CT or MR image holds one frame", header.frames)
    return [_slice(header, frame, (columns, rows)) for frame in range(header.frames)]


def _slice(header: Header, frame: int, size: tuple[int, int]) -> Slice:
    def numbers(macro: str, keyword: str, count: int) -> tuple[float, ...]:
        source = header.macro(macro, frame)
        if source is None:
            raise refusal(header.file, f"frame {frame + 1} lacks its functional group {macro}")
        return header.numbers(keyword, source, count)

    between_rows, between_columns = numbers("PixelMeasuresSequence", "PixelSpacing", 2)
    if min(between_rows, between_columns) <= 0:
        raise refusal(header.file, "PixelSpacing must be above zero", (between_rows, between_columns))
    cosines = numbers("PlaneOrientationSequence", "ImageOrientationPatient", 6)
    slope, intercept = _rescale(header, header.macro("PixelValueTransformationSequence", frame))
    return Slice(
        file=header.file,
        frame=frame,
        position_mm=np.array(numbers("PlanePositionSequence", "ImagePositionPatient", 3)),
        directions=_directions(cosines, header.file),
        spacing_mm=(between_columns, between_rows),
        size=size,
        slope=slope,
        intercept=intercept,
    )


def _directions(cosines: tuple[float, ...], file: Path) -> FloatArray:
    """Unit directions (2, 3); cosines are printed with few digits, so their length is restored."""
    pair = np.array(cosines).reshape(2, 3)
    lengths = np.linalg.norm(pair, axis=1)
    if np.any(np.abs(lengths - 1) > 1e-3) or abs(float(pair[0] @ pair[1])) > ANGLE_TOLERANCE:
        raise refusal(file, "ImageOrientationPatient is not two square unit vectors", cosines)
    result: FloatArray = pair / lengths[:, None]
    return result


def _rescale(header: Header, source: Dataset | None) -> tuple[float, float]:
    """Slope and intercept; a CT must state them, in Hounsfield units, an MR need not."""
    is_ct = "CT" in header.sop_class
    if header.dataset.get("ModalityLUTSequence"):
        raise refusal(header.file, "a modality look-up table is not read, only slope and intercept")
    if not is_ct and (source is None or "RescaleSlope" not in source):
        return 1.0, 0.0
    (slope,) = header.numbers("RescaleSlope", source, 1)
    (intercept,) = header.numbers("RescaleIntercept", source, 1)
    kind = "" if source is None else str(source.get("RescaleType") or "").strip()
    if slope == 0:
        raise refusal(header.file, "RescaleSlope is zero")
    if is_ct and kind not in ("", "HU"):
        raise refusal(header.file, "the values are not Hounsfield units", kind, "HU")
    return slope, intercept


# ------------------------------------------------------------------ the stack


def _stack(slices: list[Slice], path: Path) -> tuple[list[Slice], FloatArray]:
    """Slices in order along their normal, and the affine (4, 4) from (column, row, slice) to LPS."""
    if len(slices) < 2:
        raise refusal(path, "a single slice has no thickness direction", allowed="two slices or more")
    _require_same_grid(slices)
    along_row, along_column = slices[0].directions
    normal = np.cross(along_row, along_column)
    ordered = sorted(slices, key=lambda one: float(one.position_mm @ normal))
    positions = np.array([one.position_mm for one in ordered])
    _require_stacked(ordered, positions, normal)
    _require_none_missing(ordered, positions, normal)
    _require_even(ordered, positions)
    columns = [
        along_row * ordered[0].spacing_mm[0],
        along_column * ordered[0].spacing_mm[1],
        (positions[-1] - positions[0]) / (len(ordered) - 1),
        positions[0],
    ]
    return ordered, np.vstack([np.column_stack(columns), [0, 0, 0, 1]])


def _require_same_grid(slices: Sequence[Slice]) -> None:
    """Same rows and columns, pixel spacing (0.01 mm over the image) and orientation in all slices."""
    first = slices[0]
    spacing_tolerance = POSITION_TOLERANCE_MM / max(first.size)
    checks: tuple[tuple[str, Callable[[Slice], Any], float], ...] = (
        ("Rows and Columns", lambda one: one.size[::-1], 0.0),
        ("PixelSpacing", lambda one: one.spacing_mm[::-1], spacing_tolerance),
        ("ImageOrientationPatient", lambda one: tuple(one.directions.ravel().tolist()), ANGLE_TOLERANCE),
    )
    for keyword, value, tolerance in checks:
        for one in slices[1:]:
            if np.max(np.abs(np.subtract(value(one), value(first)))) > tolerance:
                allowed = f"{value(first)} as in {first.file.name}"
                raise refusal(one.file, f"{keyword} differs within the series", value(one), allowed)


def _require_stacked(ordered: Sequence[Slice], positions: FloatArray, normal: FloatArray) -> None:
    """No two slices in one place, and the line from the first to the last along the normal."""
    for index in np.flatnonzero(np.diff(positions @ normal) < POSITION_TOLERANCE_MM).tolist():
        problem = "two slices at the same position (copies, or several phases in one series)"
        other = ordered[index + 1].file.name
        raise refusal(ordered[index].file, problem, f"{other} at {_place(positions[index])}")
    along = positions[-1] - positions[0]
    aside = float(np.linalg.norm(np.cross(along, normal)))
    if aside > ANGLE_TOLERANCE * float(np.linalg.norm(along)):
        problem = "the slices are not stacked along their normal: a tilted or sheared series"
        found = f"{np.degrees(np.arctan2(aside, along @ normal)):.2f} degrees off"
        raise refusal(ordered[0].file, problem, found)


def _require_none_missing(ordered: Sequence[Slice], positions: FloatArray, normal: FloatArray) -> None:
    """No gap that is a multiple of the most common one."""
    gaps = np.diff(positions @ normal)
    modal = _most_common(gaps)
    for index, gap in enumerate(gaps.tolist()):
        count = round(gap / modal)
        if count > 1 and abs(gap - count * modal) <= count * _tolerance(modal):
            between = (positions[index + 1] - positions[index]) / count
            places = "; ".join(_place(positions[index] + n * between) for n in range(1, min(count, 6)))
            problem = f"{count - 1} slice{'s' * (count > 2)} missing after {ordered[index].file.name}"
            found = f"a gap of {gap:.4g} mm; missing at {places}"
            raise refusal(ordered[index].file.parent, problem, found, f"every {modal:.4g} mm")


def _most_common(gaps: FloatArray) -> float:
    """The modal gap, mm; the smallest of those equally common."""
    counts = Counter(np.round(gaps / POSITION_TOLERANCE_MM).astype(int).tolist())
    best = min(counts, key=lambda rounded: (-counts[rounded], rounded))
    return float(gaps[np.argmin(np.abs(gaps - best * POSITION_TOLERANCE_MM))])


def _require_even(ordered: Sequence[Slice], positions: FloatArray) -> None:
    """Every slice within the tolerance of its place on even steps from the first to the last."""
    even = np.linspace(positions[0], positions[-1], len(ordered))
    off = np.linalg.norm(positions - even, axis=1)
    gaps = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    worst = int(np.argmax(off))
    tolerance = _tolerance(float(np.mean(gaps)))
    if off[worst] > tolerance:
        found = f"gaps of {gaps.min():.4g} to {gaps.max():.4g} mm; this slice is {off[worst]:.3g} mm off"
        allowed = f"{tolerance:.3g} mm off even steps"
        raise refusal(ordered[worst].file, "uneven spacing between slices", found, allowed)


def _tolerance(spacing_mm: float) -> float:
    return max(POSITION_TOLERANCE_MM, SPACING_TOLERANCE * spacing_mm)


def _place(point: FloatArray) -> str:
    return "(" + ", ".join(f"{value:.2f}" for value in point) + ") mm LPS"
