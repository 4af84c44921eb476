"""ZIP archives of DICOM files, as a PACS exports them: unpacked under names of our own, within limits."""

from __future__ import annotations

import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from neurolysis.errors import ImageError

MOST_FILES = 5000
MOST_BYTES = 2 * 2**30
MOST_RATIO = 200
"""Unpacked over packed; images of one grey value reach about 100."""
CHUNK = 2**20
NESTED = (".zip", ".gz", ".tar", ".7z", ".rar", ".bz2", ".xz")


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """A temporary folder with the archive's files, removed afterwards.

    Raises:
        ImageError: no ZIP, a path that leaves the folder, a link, an archive in the archive, encryption, too
            many or too large files, or a size other than the declared one.
    """
    with TemporaryDirectory(prefix="neurolysis-") as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                _unpack(archive, path, Path(folder))
        except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError) as error:
            raise _refused(path, "not a ZIP archive that can be read", str(error)[:120]) from error
        yield Path(folder)


def _unpack(archive: zipfile.ZipFile, path: Path, folder: Path) -> None:
    entries = [one for one in archive.infolist() if not one.is_dir()]
    _require_sane(entries, path)
    left = MOST_BYTES
    for number, one in enumerate(entries):
        with archive.open(one) as stream, (folder / f"{number:05d}.dcm").open("wb") as out:
            size = 0
            while chunk := stream.read(CHUNK):
                size, left = size + len(chunk), left - len(chunk)
                if size > one.file_size or left < 0:
                    raise _refused(path, "a file unpacks to more than it declares", one.filename[-80:])
                out.write(chunk)


def _require_sane(entries: list[zipfile.ZipInfo], path: Path) -> None:
    """What can be told from the directory, before a byte is unpacked."""
    if not 0 < len(entries) <= MOST_FILES:
        raise _refused(path, "the number of files is refused", str(len(entries)), f"1 to {MOST_FILES}")
    total = sum(one.file_size for one in entries)
    if total > MOST_BYTES:
        raise _refused(path, "unpacks to too much", f"{total} bytes", f"{MOST_BYTES} bytes")
    for one in entries:
        name, shown = one.filename, one.filename[-80:]
        parts = PurePosixPath(name.replace("\\", "/"))
        if parts.is_absolute() or ".." in parts.parts or ":" in name or "\0" in name:
            raise _refused(path, "a path leaves the archive", shown)
        if stat.S_ISLNK(one.external_attr >> 16):
            raise _refused(path, "a link in the archive", shown)
        if parts.suffix.casefold() in NESTED:
            raise _refused(path, "an archive in the archive", shown)
        if one.flag_bits & 0x1:
            raise _refused(path, "an encrypted file in the archive", shown)
        if one.file_size > MOST_RATIO * max(one.compress_size, 64):
            raise _refused(path, "a file unpacks to far more than it holds", shown, f"{MOST_RATIO} times")


def _refused(path: Path, problem: str, found: str, allowed: str = "") -> ImageError:
    return ImageError(problem, where=str(path), found=found, allowed=allowed)
