"""The synthetic X-rays of tests/data/xrays with their exact geometry, as the project's own values."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.localization.fluoroscopy.carm import CArm
from neurolysis.localization.fluoroscopy.drr import Attenuation
from neurolysis.localization.images import read_image

FOLDER = Path(__file__).parent / "data" / "xrays"
RAS = np.array([-1.0, -1.0, 1.0])


@cache
def geometry() -> dict[str, Any]:
    """geometry.json."""
    found: dict[str, Any] = json.loads((FOLDER / "geometry.json").read_text("utf-8"))
    return found


def entry(key: str) -> dict[str, Any]:
    """One image's entry."""
    return next(one for one in geometry()["images"] if one["key"] == key)


def lps(values: list[float]) -> tuple[float, float, float]:
    """RAS millimetres as LPS."""
    x, y, z = (float(v) + 0.0 for v in RAS * np.array(values))
    return x, y, z


def carm_of(key: str) -> CArm:
    """The exact C-arm of an image."""
    one, whole = entry(key), geometry()
    return CArm(
        source_mm=lps(one["source_ras"]),
        detector_mm=lps(one["detector_centre_ras"]),
        right=lps(one["u_col_ras"]),
        down=lps(one["w_row_ras"]),
        pixel_mm=whole["detector_pixel_mm"],
        columns=whole["cols"],
        rows=whole["rows"],
    )


def isocentre() -> NDArray[np.float64]:
    """LPS mm."""
    return np.array(lps(geometry()["isocentre_ras"]))


def xray(key: str) -> NDArray[np.float32]:
    """Line integrals (rows, columns)."""
    return np.load(FOLDER / "xrays.npz")[key].astype(np.float32)


@cache
def attenuation() -> Attenuation:
    """Of the scan the X-rays were made from."""
    return Attenuation.of(read_image(FOLDER / "ct.nii.gz"))
