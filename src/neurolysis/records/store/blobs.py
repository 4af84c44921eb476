"""Files named by their content: ``blobs/aa/<sha256>``, written whole and synced before any row names them."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

from neurolysis.errors import InputError, OutputError
from neurolysis.quantity import hash_file

CHUNK = 1 << 20


class Blobs:
    """The files below one folder. Nothing here is ever changed; what no row names is harmless."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        try:
            self.incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"cannot make the store's folder: {error.strerror}", where=str(folder)
            ) from error
        for left in self.incoming.iterdir():
            if not alive(left.name):
                left.unlink(missing_ok=True)

    def place(self, sha256: str) -> Path:
        """Where the blob of this hash lies."""
        return self.folder / sha256[:2] / sha256

    def add_file(self, source: Path) -> tuple[str, int]:
        """Copy a file in; its hash and size.

        Raises:
            InputError: it cannot be read, or is no plain file. OutputError: it cannot be written.
        """
        return self.add_chunks(_chunks(source))

    def add_bytes(self, content: bytes) -> tuple[str, int]:
        """Put bytes in; their hash and size. OutputError when they cannot be written."""
        return self.add_chunks(iter((content,)))

    def read(self, sha256: str) -> bytes:
        """The bytes of a blob, checked against its name.

        Raises:
            InputError: it is missing or damaged.
        """
        try:
            content = self.place(sha256).read_bytes()
        except OSError as error:
            raise InputError("a file of the store is missing", where=sha256) from error
        if hashlib.sha256(content).hexdigest() != sha256:
            raise InputError("a file of the store is damaged", where=sha256)
        return content

    def problem(self, sha256: str, size: int) -> str:
        """What is wrong with a blob, in words; empty when it is as it was written."""
        place = self.place(sha256)
        if not place.is_file():
            return "is missing"
        if place.stat().st_size != size:
            return f"has {place.stat().st_size} bytes, not {size}"
        return "" if hash_file(place) == sha256 else "is damaged: its bytes do not fit its name"

    def names(self) -> Iterator[str]:
        """The hash of every blob that is there."""
        for folder in sorted(self.folder.glob("[0-9a-f][0-9a-f]")):
            yield from sorted(path.name for path in folder.iterdir())

    def link(self, sha256: str, target: Path) -> None:
        """Make ``target`` the blob's content: a link where the file system has them, else a copy."""
        target.parent.mkdir(parents=True, exist_ok=True)
        place = self.place(sha256)
        try:
            os.link(place, target)
        except FileNotFoundError as error:
            raise InputError("a file of the store is missing", where=sha256) from error
        except OSError:
            shutil.copyfile(place, target)

    def add_chunks(self, chunks: Iterator[bytes]) -> tuple[str, int]:
        """Put bytes in as they come; their hash and size. OutputError when they cannot be written."""
        fresh = self.incoming / f"{os.getpid()}-{uuid4().hex}"
        digest, size = hashlib.sha256(), 0
        try:
            with fresh.open("xb") as stream:
                for chunk in chunks:
                    digest.update(chunk)
                    size += len(chunk)
                    stream.write(chunk)
                stream.flush()
                os.fsync(stream.fileno())
            self._move_in(fresh, digest.hexdigest())
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror or error}", where=str(self.folder)) from error
        finally:
            with suppress(OSError):
                fresh.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def _move_in(self, fresh: Path, sha256: str) -> None:
        """Rename into place and sync the folders; a blob already there is renewed, which also mends it."""
        place = self.place(sha256)
        if not place.parent.is_dir():
            place.parent.mkdir(exist_ok=True)
            sync_folder(self.folder)
        fresh.chmod(0o444)
        fresh.replace(place)
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Put a folder's names on disk, where the system can."""
    if os.name == "nt":  # folders cannot be opened there; the file system journals its names
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _chunks(source: Path) -> Iterator[bytes]:
    try:
        if not stat.S_ISREG(source.stat().st_mode):
            raise InputError("not a plain file", where=str(source))
        with source.open("rb") as stream:
            while chunk := stream.read(CHUNK):
                yield chunk
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(source)) from error


def alive(name: str) -> bool:
    """Whether the process that made ``<pid>-...`` still runs."""
    pid = name.split("-")[0]
    if not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
