"""Coverage-guided fuzzing of whatever reads an image; `make fuzz` runs it for ten minutes.

    python fuzz/fuzz_images.py [-max_total_time=600] [CORPUS]

Anything but one of our own errors is a finding; atheris writes the input that caused it.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["neurolysis", "pydicom", "nibabel", "zipfile"]):
    from neurolysis.errors import NeurolysisError
    from neurolysis.localization.fluoroscopy.views import read_views
    from neurolysis.localization.fluoroscopy.xa import read_xa
    from neurolysis.localization.images import read_image
    from neurolysis.localization.ultrasound.pictures import read_ultrasound

SUFFIXES = (".dcm", ".nii", ".nii.gz", ".zip", ".yaml", ".png", ".jpg")
FOLDER = Path(tempfile.mkdtemp(prefix="neurolysis-fuzz-"))


def one_input(data: bytes) -> None:
    """The first byte chooses the kind of file, the rest is its content."""
    if not data:
        return
    suffix = SUFFIXES[data[0] % len(SUFFIXES)]
    path = FOLDER / f"a{suffix}"
    path.write_bytes(data[1:])
    with suppress(NeurolysisError):
        if suffix == ".yaml":
            read_views(path)
        elif suffix in (".png", ".jpg"):
            read_ultrasound(path)
        else:
            read_image(path)
    if suffix == ".dcm":
        with suppress(NeurolysisError):
            read_ultrasound(path)
        with suppress(NeurolysisError):
            read_xa(path, (0.0, 0.0, 0.0), None)


def seeds(folder: Path) -> None:
    """A few sound files to start from."""
    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.dicom_case import cropped, write_series

    image = cropped()
    write_series(folder, image.model_copy(update={"array": image.array[:, :, :2].copy()}))
    for path in list(folder.iterdir()):
        path.write_bytes(b"\0" + path.read_bytes())


if __name__ == "__main__":
    corpus = Path(tempfile.mkdtemp(prefix="neurolysis-corpus-"))
    seeds(corpus)
    atheris.Setup([*sys.argv, str(corpus)], one_input)
    atheris.Fuzz()
