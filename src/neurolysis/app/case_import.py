"""Files that people bring: told apart by their content, unpacked within limits, made into a case.

Runs in a process of its own, for what is brought is not trusted.
"""

from __future__ import annotations

import secrets
import stat
import zipfile
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from neurolysis.app.case_files import collected, named_files
from neurolysis.app.cases import CASE_FILE, load_case
from neurolysis.case import Case, ImageSource, Patient
from neurolysis.errors import InputError
from neurolysis.localization.archives import CHUNK, MOST_BYTES, MOST_FILES, MOST_RATIO, unpacked

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["exported case", "bundle", "case folder", "images", "case text"]
EXPORTED = "case.json"
IMAGE = "image"
ALLOWED = (
    "a ZIP of DICOM files or of a case folder, an exported case, a FHIR bundle (JSON), "
    "case.yaml, or one NIfTI image"
)


@dataclass(frozen=True)
class Brought:
    """One file as it came: its own name, never used as a path, and where its content lies."""

    name: str
    place: Path


@dataclass(frozen=True)
class Arrived:
    """A case made of what was brought; ``files`` lie in the working folder."""

    case: Case
    files: dict[str, Path]
    notes: tuple[str, ...]


def kind_of(brought: Sequence[Brought]) -> Kind:
    """What was brought, by its content.

    Raises:
        InputError: nothing, or nothing this program can read.
    """
    if not brought:
        raise InputError("no file was sent", where="file", allowed=ALLOWED)
    if len(brought) > 1:
        return "case folder" if _case_among(one.name for one in brought) else "images"
    only = brought[0]
    if zipfile.is_zipfile(only.place):
        return _kind_of_zip(only.place)
    with only.place.open("rb") as stream:
        head = stream.read(4096)
    if head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return "bundle"
    if only.name.casefold().endswith((".yaml", ".yml")):
        return "case text"
    if only.name.casefold().endswith((".nii", ".nii.gz", ".dcm")) or head[128:132] == b"DICM":
        return "images"
    raise InputError(
        "this file is of no kind that can be read", where="file", found=only.name[-80:], allowed=ALLOWED
    )


def _kind_of_zip(place: Path) -> Kind:
    with _opened(place) as archive:
        names = archive.namelist()
    if EXPORTED in names:
        return "exported case"
    return "case folder" if _case_among(names) else "images"


def _case_among(names: Iterator[str] | Sequence[str]) -> str | None:
    """The shortest name that ends in case.yaml."""
    found = [name for name in names if PurePosixPath(name.replace("\\", "/")).name == CASE_FILE]
    return min(found, key=len, default=None)


def arrived(brought: Sequence[Brought], work: Path) -> Arrived:
    """A case made of what was brought; nothing outside ``work`` is written.

    Raises:
        InputError, ImageError: naming what is wrong with which file.
    """
    kind = kind_of(brought)
    if kind == "case text":
        case, _ = load_case(_copy(brought[0].place, work / CASE_FILE))
        return Arrived(_without_files(case), {}, ())
    if kind == "case folder":
        return _case_folder(brought, work)
    if kind == "images":
        image, notes = image_arrived(brought, work)
        return _new_case(image, work, notes)
    raise InputError("this is taken in elsewhere", found=kind)


def _without_files(case: Case) -> Case:
    for where, path in named_files(case):
        raise InputError(
            "the case names files: bring its whole folder as one ZIP", where=f"case.yaml: {where}", found=path
        )
    return case


def _case_folder(brought: Sequence[Brought], work: Path) -> Arrived:
    folder = work / "case"
    if len(brought) == 1:
        with _opened(brought[0].place) as archive:
            _unpack(archive, folder)
    else:
        for one in brought:
            _copy(one.place, folder / _safe(one.name))
    name = _case_among([file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()])
    case, place = load_case(folder / str(name))
    moved, files = collected(case, place, within=folder)
    return Arrived(moved, files, ())


def image_arrived(brought: Sequence[Brought], work: Path) -> tuple[ImageSource, tuple[str, ...]]:
    """An image that was brought, checked and laid into ``work``; and what was noticed.

    Raises:
        ImageError: the image cannot be read or its geometry cannot be trusted.
    """
    from neurolysis.localization.images import read_image

    only = brought[0]
    if len(brought) == 1 and only.name.casefold().endswith((".nii", ".nii.gz")):
        path = "image.nii.gz" if only.name.casefold().endswith(".gz") else "image.nii"
        _copy(only.place, work / path)
        read_image(work / path)
        return ImageSource(path=path), ("A NIfTI file does not say what it shows: CT is assumed until told.",)
    _lay_dicom(brought, work / IMAGE)
    return _dicom_source(work)


def _lay_dicom(brought: Sequence[Brought], folder: Path) -> None:
    if len(brought) == 1 and zipfile.is_zipfile(brought[0].place):
        with unpacked(brought[0].place) as loose:
            for file in sorted(loose.iterdir()):
                _copy(file, folder / file.name)
        return
    for number, one in enumerate(brought):
        _copy(one.place, folder / f"{number:05d}.dcm")


def _dicom_source(work: Path) -> tuple[ImageSource, tuple[str, ...]]:
    """The series with most slices; the others are named."""
    from neurolysis.errors import ImageError
    from neurolysis.localization.dicom_series import series_in
    from neurolysis.localization.images import read_image, read_image_details

    folder = work / IMAGE
    listed = sorted(series_in(folder), key=lambda one: -one.slices)
    chosen = listed[0]
    if chosen.modality not in ("CT", "MR"):
        raise ImageError(
            "no planning image", where="file", found=f"modality {chosen.modality}", allowed=("CT", "MR")
        )
    read_image(folder, series_uid=chosen.uid)
    details = read_image_details(folder, series_uid=chosen.uid)
    source = ImageSource(
        path=IMAGE, modality=chosen.modality, contrast=details.contrast, series_uid=chosen.uid
    )
    others = [f"Not used: series '{one.description}' ({one.modality}, {one.slices})" for one in listed[1:]]
    ignored = (
        [f"{len(details.ignored_files)} files are no images of this kind"] if details.ignored_files else []
    )
    return source, (*details.notes, *others, *ignored)


def _new_case(image: ImageSource, work: Path, notes: tuple[str, ...]) -> Arrived:
    mark = secrets.token_hex(4)
    case = Case(id=f"case-{mark}", title="", patient=Patient(id=f"patient-{mark}"), image=image)
    moved, files = collected(case, work)
    made = f"The patient got the pseudonym patient-{mark}: names in the images are not copied into the case."
    return Arrived(moved, files, (made, *notes))


@contextmanager
def _opened(place: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(place) as archive:
            yield archive
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise InputError(
            "not a ZIP archive that can be read", where="file", found=type(error).__name__
        ) from error


def _unpack(archive: zipfile.ZipFile, folder: Path) -> None:
    """Every file under its own name, within limits; a bad name, a link or a bomb is refused first."""
    entries = [one for one in archive.infolist() if not one.is_dir()]
    total = sum(one.file_size for one in entries)
    if not 0 < len(entries) <= MOST_FILES or total > MOST_BYTES:
        raise InputError(
            "the archive is too large", where="file", found=f"{len(entries)} files, {total} bytes"
        )
    for one in entries:
        bomb = one.file_size > MOST_RATIO * max(one.compress_size, 64)
        if bomb or stat.S_ISLNK(one.external_attr >> 16) or one.flag_bits & 0x1:
            raise InputError("the archive holds what is refused", where="file", found=one.filename[-80:])
    left = MOST_BYTES
    for one in entries:
        place = folder / _safe(one.filename)
        place.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(one) as stream, place.open("xb") as out:
            while chunk := stream.read(CHUNK):
                left -= len(chunk)
                if left < 0:
                    raise InputError("the archive unpacks to more than it declares", where="file")
                out.write(chunk)


def _safe(name: str) -> str:
    """A relative path that stays in its folder.

    Raises:
        InputError: it does not.
    """
    path = PurePosixPath(name.replace("\\", "/"))
    bad = path.is_absolute() or ".." in path.parts or ":" in name or any(ord(c) < 32 for c in name)
    if bad or not path.parts or len(name) > 400:
        raise InputError("a path leaves the folder", where="file", found=repr(name[-80:]))
    return str(path)


def _copy(source: Path, target: Path) -> Path:
    import shutil

    if target.exists():
        raise InputError("two files have one name", where="file", found=target.name[-80:])
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    return target
