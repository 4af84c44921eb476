"""The views file: X-rays of one moment, their geometry, and where the needle's tip is in each."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from neurolysis.case import PatientPosition
from neurolysis.errors import InputError
from neurolysis.evidence.store import read_value
from neurolysis.geometry import Point
from neurolysis.localization.fluoroscopy.carm import Angles, CArm
from neurolysis.localization.fluoroscopy.triangulation import Errors
from neurolysis.localization.fluoroscopy.xa import read_picture, read_xa
from neurolysis.quantity import Value

MOST_BYTES = 1_000_000


class GivenView(Value):
    """One X-ray: a DICOM XA/RF ``image``, or a picture with ``carm`` (places) or ``angles`` and distances.

    ``tip`` is the needle's tip (column, row), counted from the middle of the first pixel.
    """

    image: str | None = None
    carm: CArm | None = None
    angles: Angles | None = None
    source_detector_mm: float = Field(default=1000.0, gt=0)
    source_isocentre_mm: float = Field(default=600.0, gt=0)
    pixel_mm: float = Field(default=1.0, gt=0)
    columns: int = Field(default=256, ge=8, le=8192)
    rows: int = Field(default=256, ge=8, le=8192)
    tip: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _says_its_geometry_once(self) -> Self:
        if self.carm is not None and self.angles is not None:
            raise ValueError("carm and angles both state the geometry: give one of them")
        if self.carm is None and self.angles is None and self.image is None:
            raise ValueError("a view needs carm, angles, or a DICOM image that holds them")
        return self


class GivenViews(Value):
    """All views with what they share: the isocentre's place (LPS mm), how the patient lies, errors."""

    views: tuple[GivenView, ...] = Field(min_length=1, max_length=12)
    isocentre_mm: Point | None = None
    position: PatientPosition | None = None
    errors: Errors = Errors()


class ReadView(Value):
    """A view with its geometry."""

    name: str
    carm: CArm
    tip: tuple[float, float] | None = None


def read_views(path: Path) -> tuple[GivenViews, tuple[ReadView, ...], tuple[NDArray[np.float32] | None, ...]]:
    """The file, each view's geometry, and its line integrals where an image is named.

    Raises:
        InputError: a field, a missing isocentre, an image that does not fit its geometry.
        ImageError: an image.
    """
    import yaml

    if not path.is_file():
        raise InputError("there is no such file", where=str(path))
    if path.stat().st_size > MOST_BYTES:
        raise InputError("too large for a views file", where=str(path), found=path.stat().st_size)
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError("not a YAML file", where=str(path), found=str(error)[:200]) from error
    given = read_value(GivenViews, data, path.name)
    read, images = [], []
    for number, view in enumerate(given.views, start=1):
        carm, image = _read(given, view, path.parent, f"{path.name}: views.{number - 1}")
        read.append(ReadView(name=view.image or f"view {number}", carm=carm, tip=view.tip))
        images.append(image)
    return given, tuple(read), tuple(images)


def _read(
    given: GivenViews, view: GivenView, folder: Path, where: str
) -> tuple[CArm, NDArray[np.float32] | None]:
    path = None if view.image is None else folder / view.image
    if path is not None and not path.is_file():
        raise InputError("there is no such image", where=where, found=view.image)
    carm = view.carm or _turned(given, view, where)
    if carm is None:
        if path is None:
            raise InputError("a view without geometry", where=where)
        return read_xa(path, _isocentre(given, where), given.position)
    image = None if path is None else read_picture(path)
    if image is not None and image.shape != (carm.rows, carm.columns):
        raise InputError(
            "the image's size is not the detector's", where=where, found=image.shape,
            allowed=str((carm.rows, carm.columns)),
        )  # fmt: skip
    return carm, image


def _turned(given: GivenViews, view: GivenView, where: str) -> CArm | None:
    if view.angles is None:
        return None
    return CArm.at(
        _isocentre(given, where),
        view.angles,
        given.position,
        source_detector_mm=view.source_detector_mm,
        source_isocentre_mm=view.source_isocentre_mm,
        pixel_mm=view.pixel_mm,
        columns=view.columns,
        rows=view.rows,
    )


def _isocentre(given: GivenViews, where: str) -> Point:
    if given.isocentre_mm is None:
        raise InputError(
            "the isocentre's place is missing", where=where, allowed="isocentre_mm: [x, y, z], LPS"
        )
    return given.isocentre_mm
