"""Bring an image taken before the procedure to one taken during it, and carry a case's target along."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import Field, ValidationError

from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError, OutputError
from neurolysis.geometry import Point, Volume
from neurolysis.quantity import Value

if TYPE_CHECKING:
    from neurolysis.localization.registration.result import ImageRegistration

Progress = Callable[[float, str], None]
METHODS = ("images", "landmarks", "surface")
TILES, SIDE = 6, 300


class Pair(Value):
    """One place picked in both images, LPS mm of each."""

    name: str = Field(min_length=1)
    fixed_mm: Point
    moving_mm: Point


class Pairs(Value):
    """A file of landmark pairs."""

    pairs: tuple[Pair, ...] = Field(min_length=3)
    picking_sd_mm: float | None = Field(default=None, gt=0, le=10)


@dataclass(frozen=True)
class Asked:
    """What a registration is asked to do.

    Attributes:
        fixed: the image of the procedure.
        moving: the image before it, or a case whose image and target it is.
        pairs: YAML of picked pairs, for ``landmarks``.
        fixed_labels, moving_labels, label: label maps and the label whose surface is used, for ``surface``.
        picture: PNG of both images in one chequerboard, to be looked at.
        out: JSON with the move.
    """

    fixed: Path
    moving: Path
    method: str = "images"
    pairs: Path | None = None
    fixed_labels: Path | None = None
    moving_labels: Path | None = None
    label: int | None = None
    picture: Path | None = None
    out: Path | None = None
    seed: int = 0
    overwrite: bool = False


def register_images(asked: Asked, progress: Progress = lambda fraction, text: None) -> dict[str, Any]:
    """Register, judge, and carry a case's target into the fixed image, the error added to its spread.

    Raises:
        InputError: images, pairs or labels that cannot be used; files missing for the method.
        OutputError: an output exists, or cannot be written.
    """
    from neurolysis.localization.images import read_image

    _check(asked)
    case_path = asked.moving if _is_case(asked.moving) else None
    fixed = read_image(asked.fixed)
    moving = _case_image(case_path) if case_path else read_image(asked.moving)
    found = _registered(asked, fixed, moving, progress)
    answer: dict[str, Any] = {
        **found.model_dump(mode="json"),
        "fixed": str(asked.fixed),
        "moving": str(asked.moving),
        "error_at_centre_mm": found.error_sd_mm(found.centre_mm) if found.verdict == "found" else None,
        "research_use": RESEARCH_USE,
    }
    if case_path is not None and found.verdict == "found":
        answer["target"] = _carried(case_path, found, fixed)
    outputs: dict[Path, bytes] = {}
    if asked.picture is not None:
        outputs[asked.picture] = _chequered(fixed, moving, found)
        answer["picture"] = str(asked.picture)
    if asked.out is not None and found.verdict == "found":
        outputs[asked.out] = (json.dumps(answer, indent=1, ensure_ascii=False) + "\n").encode()
        answer["file"] = str(asked.out)
    for place, content in outputs.items():
        _write(place, content)
    return answer


def _check(asked: Asked) -> None:
    if asked.method not in METHODS:
        raise InputError("no such method", where="--method", found=asked.method, allowed=METHODS)
    if asked.method == "landmarks" and asked.pairs is None:
        raise InputError("landmarks need a file of pairs", where="--pairs")
    if asked.method == "surface" and None in (asked.fixed_labels, asked.moving_labels, asked.label):
        raise InputError(
            "a surface needs the label maps of both images and one label",
            allowed="--fixed-labels, --moving-labels and --label",
        )
    for place in filter(None, (asked.picture, asked.out)):
        if place.exists() and not asked.overwrite:
            raise OutputError("the file exists", where=str(place), allowed="another name, or --overwrite")
    if asked.picture is not None and asked.picture.suffix.casefold() != ".png":
        raise InputError(
            "the picture is a PNG", where="--picture", found=asked.picture.name, allowed="a .png name"
        )


def _is_case(path: Path) -> bool:
    return path.name == "case.yaml" or (path.is_dir() and (path / "case.yaml").is_file())


def _case_image(case_path: Path) -> Volume:
    from neurolysis.app.cases import load_case
    from neurolysis.localization.images import read_image

    case, folder = load_case(case_path)
    if case.image is None:
        raise InputError("the case names no image", where="case.yaml: image")
    return read_image(folder / case.image.path, series_uid=case.image.series_uid)


def _registered(asked: Asked, fixed: Volume, moving: Volume, progress: Progress) -> ImageRegistration:
    from neurolysis.localization.registration.landmarks import register_landmarks
    from neurolysis.localization.registration.surface import register_surfaces, surface_of
    from neurolysis.localization.registration.volumes import register_volumes

    if asked.method == "landmarks" and asked.pairs is not None:
        given = _read_pairs(asked.pairs)
        for image, points in (
            (fixed, [one.fixed_mm for one in given.pairs]),
            (moving, [one.moving_mm for one in given.pairs]),
        ):
            _require_inside(image, points, given)
        return register_landmarks(
            [one.moving_mm for one in given.pairs],
            [one.fixed_mm for one in given.pairs],
            given.picking_sd_mm,
        )
    if asked.method == "surface" and asked.fixed_labels and asked.moving_labels:
        moving_mask = _mask(asked.moving_labels, moving, asked.label)
        fixed_mask = _mask(asked.fixed_labels, fixed, asked.label)
        return register_surfaces(surface_of(moving_mask, asked.seed), surface_of(fixed_mask, asked.seed))
    return register_volumes(fixed, moving, seed=asked.seed, progress=progress)


def _read_pairs(path: Path) -> Pairs:
    import yaml

    try:
        return Pairs.model_validate(yaml.safe_load(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError("the pairs cannot be read", where=str(path), found=str(error)[:200]) from error
    except ValidationError as error:
        first = error.errors()[0]
        at = ".".join(str(part) for part in first["loc"])
        raise InputError(f"{at}: {first['msg']}", where=str(path)) from error


def _require_inside(image: Volume, points: list[Point], given: Pairs) -> None:
    for one, inside in zip(given.pairs, image.contains(np.array(points)), strict=True):
        if not inside:
            raise InputError(f"'{one.name}' lies outside the image", where=image.name, found=one.name)


def _mask(path: Path, image: Volume, label: int | None) -> Volume:
    from neurolysis.localization.images import read_labels

    labels = read_labels(path, image)
    inside = labels.array == label
    if not inside.any():
        known = [int(v) for v in np.unique(labels.array) if v][:40]
        raise InputError("no such label in the map", where=str(path), found=label, allowed=known)
    return labels.with_array(inside.astype(np.uint8))


def _carried(case_path: Path, found: ImageRegistration, fixed: Volume) -> dict[str, Any]:
    """The target of the case in the fixed image, its spread grown by the registration's error."""
    from neurolysis.app.cases import load_case
    from neurolysis.geometry import Curve
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.localization.targets.uncertainty import carry_error

    nerve = build_scene(*load_case(case_path)).target()
    points = found.move.apply(nerve.curve.as_array())
    moved = nerve.replace(curve=Curve.from_array(points))
    part = found.error_part(points.mean(axis=0))
    grown = carry_error(moved, part)
    return {
        "nerve": nerve.name,
        "points_mm": points.tolist(),
        "inside_fixed_image": bool(np.all(fixed.contains(points))),
        "position_sd_before_mm": nerve.position_sd_mm.value,
        "registration_sd_mm": part.standard_deviation_mm,
        "position_sd_mm": grown.position_sd_mm.model_dump(mode="json"),
        "derivation": grown.derivation,
    }


def _chequered(fixed: Volume, moving: Volume, found: ImageRegistration) -> bytes:
    """Three slices through the middle, tiles of the fixed and the moved image in turn, as PNG."""
    from PIL import Image

    centre = fixed.to_lps((np.array(fixed.shape) - 1) / 2)
    reach = float((np.array(fixed.shape) * fixed.spacing_mm).max()) / 2
    grid = np.linspace(-reach, reach, SIDE)
    tile = (np.add.outer(np.arange(SIDE) * TILES // SIDE, np.arange(SIDE) * TILES // SIDE) % 2).astype(bool)
    panels = []
    for across, down in ((0, 1), (0, 2), (1, 2)):
        points = np.broadcast_to(centre, (SIDE, SIDE, 3)).copy()
        points[..., across] += grid[None, :]
        points[..., down] += grid[:, None] * (-1 if down == 2 else 1)
        one = _grey(fixed.sample(points), fixed)
        other = _grey(moving.sample(found.move.inverse().apply(points)), moving)
        panels.append(np.where(tile, one, other))
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(panels, axis=1)).save(buffer, "PNG")
    return buffer.getvalue()


def _grey(values: np.ndarray, image: Volume) -> np.ndarray:
    low, high = np.percentile(image.array, [2, 99.5])
    return np.asarray(np.clip(255 * (values - low) / max(high - low, 1e-9), 0, 255), np.uint8)


def _write(place: Path, content: bytes) -> None:
    try:
        number, name = tempfile.mkstemp(dir=place.parent, prefix=".neurolysis-", suffix=".tmp")
        try:
            with os.fdopen(number, "wb") as stream:
                stream.write(content)
            Path(name).chmod(0o644)
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OutputError("the file cannot be written", where=str(place), found=str(error)) from error
