"""A case's image and anatomy as the page draws them; the last few scenes are kept in memory.

Voxels travel with x fastest (first index of the volume), little-endian.
"""

from __future__ import annotations

import gzip
import hashlib
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.app.cases import load_case
from neurolysis.errors import InputError, NotFoundError
from neurolysis.quantity import canonical_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neurolysis.case import Case
    from neurolysis.plan import Placement
    from neurolysis.scene import Scene

KEPT = 3
WINDOWS = {"CT": (300.0, 1500.0)}
"""Centre and width at the start, for display only: wide enough for bone and soft tissue."""
ANATOMY = {"image", "labels", "structures", "nerves", "landmarks", "target", "skin_depth_mm"}
"""The fields of a case that its scene is built from."""

_SCENES: OrderedDict[str, Scene] = OrderedDict()


def scene_of(case: Case, folder: Path) -> Scene:
    """The case's scene, from memory where neither the case's anatomy nor a file has changed.

    Raises:
        InputError, ImageError: as :func:`neurolysis.localization.scene_builder.build_scene`.
    """
    from neurolysis.localization.scene_builder import build_scene

    key = _key(case, folder)
    if key in _SCENES:
        _SCENES.move_to_end(key)
        return _SCENES[key]
    scene = build_scene(case, folder)
    _SCENES[key] = scene
    while len(_SCENES) > KEPT:
        _SCENES.popitem(last=False)
    return scene


def _key(case: Case, folder: Path) -> str:
    files = [case.image.path] if case.image else []
    files += [one.path for one in case.labels] + [one.label_path for one in case.structures]
    states = []
    for name in files:
        place = folder / name
        inside = sorted(place.rglob("*")) if place.is_dir() else [place]
        for file in inside:
            state = file.stat() if file.exists() else None
            states.append([name, state and [state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns]])
    anatomy = case.model_dump(mode="json", include=ANATOMY)
    return hashlib.sha256(canonical_json([anatomy, states]).encode()).hexdigest()


def _with_image(case_path: Path) -> tuple[Case, Path]:
    case, folder = load_case(case_path)
    if case.image is None:
        raise NotFoundError("the case has no image yet", where="case.yaml: image")
    return case, folder


def anatomy_of(case_path: Path) -> tuple[Case, Scene, str]:
    """(case, scene, why the target is not in it): without its target where that cannot be found yet."""
    case, folder = _with_image(case_path)
    try:
        return case, scene_of(case, folder), ""
    except InputError as error:
        if case.target is None or not error.where.startswith(("case.yaml: landmarks", "case.yaml: target")):
            raise
        return case, scene_of(case.replace(target=None), folder), str(error)


def image_view(case_path: Path) -> dict[str, Any]:
    """Shape, affine (voxel to LPS mm), window and label maps of a case's image.

    Raises:
        NotFoundError: the case has no image. ImageError: it cannot be trusted.
    """
    from neurolysis.planning.target_paths import labels_of

    case, scene, _ = anatomy_of(case_path)
    _, slope, intercept = _int16(scene.image.array)
    modality = case.image.modality if case.image else ""
    return {
        "shape": list(scene.image.shape),
        "affine": scene.image.affine.tolist(),
        "spacing_mm": scene.image.spacing_mm.tolist(),
        "dtype": "int16",
        "slope": slope,
        "intercept": intercept,
        "modality": modality,
        "window": list(WINDOWS.get(modality) or _window(scene.image.array)),
        "range": [float(scene.image.array.min()), float(scene.image.array.max())],
        "label_maps": [
            {
                "name": one.source.path,
                "scheme": one.scheme.id,
                "reviewed": one.source.reviewed,
                "dtype": "uint8" if int(one.volume.array.max()) < 256 else "uint16",
                "labels": _present(one.volume.array, one.scheme.labels),
            }
            for one in labels_of(case, scene).maps
        ],
    }


def image_voxels(case_path: Path) -> bytes:
    """The image's voxels, 16-bit, compressed with gzip."""
    _, scene, _ = anatomy_of(case_path)
    return _packed(_int16(scene.image.array)[0], "<i2")


def label_voxels(case_path: Path, number: int) -> bytes:
    """The voxels of one label map, 8 or 16-bit as :func:`image_view` says, compressed with gzip.

    Raises:
        NotFoundError: there is no such label map.
    """
    from neurolysis.planning.target_paths import labels_of

    case, scene, _ = anatomy_of(case_path)
    maps = labels_of(case, scene).maps
    if not 0 <= number < len(maps):
        raise NotFoundError("no such label map", found=number, allowed=range(len(maps)))
    array = maps[number].volume.array
    return _packed(array, "u1" if int(array.max()) < 256 else "<u2")


def _int16(array: NDArray[Any]) -> tuple[NDArray[Any], float, float]:
    """(stored, slope, intercept): value = slope * stored + intercept; whole numbers stay as they are."""
    low, high = float(array.min()), float(array.max())
    if (
        low >= -32768
        and high <= 32767
        and (array.dtype.kind in "iu" or bool(np.all(array == np.rint(array))))
    ):
        return array.astype(np.int16), 1.0, 0.0
    slope = (high - low) / 65000 or 1.0
    return np.rint((array - low) / slope - 32500).astype(np.int16), slope, low + 32500 * slope


def _packed(array: NDArray[Any], dtype: str) -> bytes:
    return gzip.compress(np.asarray(array, dtype).tobytes(order="F"), compresslevel=1, mtime=0)


def _window(array: NDArray[Any]) -> tuple[float, float]:
    low, high = (float(v) for v in np.percentile(array[::2, ::2, ::2], (1, 99)))
    return (low + high) / 2, max(high - low, 1.0)


def _present(array: NDArray[Any], records: Any) -> list[dict[str, Any]]:
    values = [int(v) for v in np.unique(array) if v]
    return [{"value": v, "name": records[v].title if v in records else f"number {v}"} for v in values]


def scene_view(case_path: Path) -> dict[str, Any]:
    """Nerves, landmarks, structures, needles, and the landmarks that are still missing.

    Raises:
        NotFoundError: the case has no image. ImageError: it cannot be trusted.
    """
    case, scene, why_not = anatomy_of(case_path)
    return {
        "nerves": [
            {
                "name": one.name,
                "points_mm": [list(p) for p in one.curve.points_mm],
                "radius_mm": one.radius_mm.value,
                "sd_mm": one.position_sd_mm.value,
                "is_target": one.is_target,
                "side": one.side,
                "review": one.review,
                "derivation": one.derivation,
            }
            for one in scene.nerves
        ],
        "landmarks": [
            {
                "name": one.name,
                "point_mm": list(one.point_mm),
                "sd_mm": one.spread_mm,
                "picked": one.derivation.startswith("picked"),
                "review": one.review,
            }
            for one in scene.landmarks
        ],
        "structures": [
            {
                "name": one.name,
                "kind": one.kind,
                "review": one.review,
                "known": one.mask is not None,
                "unknown_reason": one.unknown_reason,
            }
            for one in scene.structures
        ],
        "placements": _placements(case),
        "target_not_found": why_not,
        "missing_landmarks": _missing(case),
        "levels": list(scene.level_names),
        "notes": list(scene.notes),
    }


def _placements(case: Case) -> list[dict[str, Any]]:
    from neurolysis.planning.needle import needle_path

    found = []
    for number, one in enumerate(case.treatment.placements if case.treatment else ()):
        laid = placed(one.instrument, one.tip_mm, one.towards_hub_mm, f"treatment.placements.{number}")
        path = needle_path(laid)
        hub = np.array(laid.tip_mm) + laid.instrument.shaft_length_mm * np.array(laid.direction_to_hub)
        found.append(
            {
                "instrument": one.instrument,
                "role": one.role,
                "tip_mm": list(one.tip_mm),
                "hub_mm": hub.tolist(),
                "active_mm": path.active_mm[::4].tolist(),
                "radius_mm": path.radius_mm,
            }
        )
    return found


def placed(name: str, tip_mm: Any, towards_hub_mm: Any, where: str) -> Placement:
    """An instrument laid by tip and a point up its shaft.

    Raises:
        UnknownNameError: no such instrument. InputError: both points are one.
    """
    from neurolysis.evidence.instruments import instrument
    from neurolysis.plan import Placement

    try:
        return Placement.between(instrument(name), tip_mm, towards_hub_mm)
    except InputError as error:
        raise type(error)(
            error.problem, where=error.where or where, found=error.found, allowed=error.allowed
        ) from error


def _missing(case: Case) -> list[dict[str, Any]]:
    """Landmarks the target still needs; none where the target has no rule."""
    from neurolysis.localization.targets.needs import landmark_needs
    from neurolysis.localization.targets.rules import findable_targets

    if case.target is None or case.target.nerve not in findable_targets():
        return []
    try:
        needs = landmark_needs(case.target, case.landmarks)
    except InputError:  # a side or level the rule does not know is said where the target is localized
        return []
    return [one.model_dump(mode="json") for one in needs.missing]
