"""Compressed DICOM pixels are decoded in a child process with limits of memory and time.

Decoders are native code fed by files from outside. A crash, a bomb or an endless loop there ends the child
and becomes a refusal; it cannot take the program, or what a user has typed into it, along.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import ImageError

SECONDS_A_FILE, LEAST_SECONDS = 5, 30
MEMORY = 2**31
"""Bytes of address space for the child beyond what it decodes."""
WHERE = "compressed DICOM pixels"
LARGEST_ELEMENT = 2**20
"""Elements above this many bytes are left in the file until they are asked for."""
REFUSED = 3
"""Exit code of a child that says why on its standard output."""


def one_frame(file: Path, frame: int, size: tuple[int, ...], *, compressed: bool) -> NDArray[Any]:
    """One frame (``size``: rows, columns, and samples where there are several) of a DICOM file.

    Raises:
        ImageError: it cannot be read, or is of another size.
    """
    if compressed:
        return decode_apart([file], {file: size}, frame)[file]
    try:
        found = _pixels(str(file), frame)
    except Exception as error:  # a decoder's own kinds of error differ from release to release
        raise ImageError("the pixels cannot be decoded", where=file.name, found=str(error)[:120]) from error
    if found.shape != size:
        raise ImageError("pixels of another size than declared", where=file.name, found=found.shape)
    return found


def decode_apart(
    files: Sequence[Path], sizes: Mapping[Path, tuple[int, ...]], frame: int | None = None
) -> dict[Path, NDArray[Any]]:
    """Stored values (frames, rows, columns) of compressed files.

    Args:
        sizes: what each header declares; another size is refused.
        frame: decode only this one of each file.

    Raises:
        ImageError: a file that cannot be decoded, or the limits.
    """
    voxels = sum(int(np.prod(sizes[file])) for file in files)
    limit_s = max(LEAST_SECONDS, SECONDS_A_FILE * len(files))
    with tempfile.TemporaryDirectory(prefix="neurolysis-") as folder:
        asked = {
            "files": [str(file.resolve()) for file in files],
            "out": folder,
            "memory": MEMORY + 16 * voxels,
            "seconds": limit_s,
            "frame": frame,
        }
        try:
            done = subprocess.run(
                [sys.executable, "-m", "neurolysis.localization.decoding"],
                input=json.dumps(asked), capture_output=True, text=True, timeout=limit_s, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as error:
            raise ImageError("decoding takes too long", where=WHERE, allowed=f"{limit_s} s") from error
        _require_done(done)
        return {file: _read(Path(folder) / f"{k}.npy", file, sizes[file]) for k, file in enumerate(files)}


def _require_done(done: subprocess.CompletedProcess[str]) -> None:
    """The child's own reason as an ImageError; a child that died without one is named by its exit code."""
    if done.returncode == REFUSED:
        said = json.loads(done.stdout)
        raise ImageError(f"cannot be read ({said['reason']})", where=said["file"])
    if done.returncode != 0:
        raise ImageError("the decoder died", where=WHERE, found=f"exit code {done.returncode}")


def _read(path: Path, file: Path, size: tuple[int, ...]) -> NDArray[Any]:
    found: NDArray[Any] = np.load(path, allow_pickle=False)
    if found.size != int(np.prod(size)):
        raise ImageError(
            "pixels of another size than declared", where=str(file), found=found.shape, allowed=str(size)
        )
    return found.reshape(size)


def _child() -> None:
    """Decode what standard input names; any failure ends the process with its reason."""
    import resource

    asked = json.loads(sys.stdin.read())
    resource.setrlimit(resource.RLIMIT_AS, (asked["memory"], asked["memory"]))
    resource.setrlimit(resource.RLIMIT_CPU, (asked["seconds"], asked["seconds"]))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number, name in enumerate(asked["files"]):
        try:
            pixels = _pixels(name, asked["frame"])
        except Exception as error:  # whatever a decoder raises is the reason of the refusal
            sys.stdout.write(json.dumps({"file": name, "reason": f"{type(error).__name__}: {error}"}))
            sys.exit(REFUSED)
        np.save(Path(asked["out"]) / f"{number}.npy", np.ascontiguousarray(pixels), allow_pickle=False)


def _pixels(name: str, frame: int | None = None) -> NDArray[Any]:
    """Stored values of one file, or of one of its frames; what the decoder warns of is an error."""
    from pydicom import dcmread
    from pydicom.pixels.utils import pixel_array

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = None if frame is not None else dcmread(name, defer_size=LARGEST_ELEMENT)
        warnings.simplefilter("error", UserWarning)
        warnings.simplefilter("error", RuntimeWarning)
        found: NDArray[Any] = pixel_array(name, index=frame) if dataset is None else dataset.pixel_array
        return found


if __name__ == "__main__":
    _child()
