"""Fluoroscopy of a case: a simulated view, a tip from its pixels, X-rays brought to the CT."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.app.cases import load_case
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError, OutputError

if TYPE_CHECKING:
    from neurolysis.case import Case
    from neurolysis.localization.fluoroscopy.carm import Angles, CArm
    from neurolysis.scene import Scene

NAMES = ("ap", "lateral", "oblique", "tunnel")
PIXELS = 512


@dataclass(frozen=True)
class SimulatedView:
    """A view with what it shows: pixels of needle tips and nerve in the picture written."""

    angles: Angles
    dicom_deg: tuple[float, float]
    carm: CArm
    tips: tuple[tuple[float, float], ...]

    def data(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "lao_deg": self.angles.lao_deg,
            "cranial_deg": self.angles.cranial_deg,
            "dicom_positioner_angles_deg": list(self.dicom_deg),
            "carm": self.carm.model_dump(mode="json"),
            "tips_px": [list(one) for one in self.tips],
            "research_use": RESEARCH_USE,
        }


def parse_carm(text: str) -> str | Angles:
    """``lao=20,cranial=10`` (also rao, caudal) or the name of a view.

    Raises:
        InputError: neither.
    """
    from neurolysis.localization.fluoroscopy.carm import Angles

    if text.casefold() in NAMES:
        return text.casefold()
    signs = {"lao": ("lao", 1), "rao": ("lao", -1), "cranial": ("cranial", 1), "caudal": ("cranial", -1)}
    found: dict[str, float] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        name = name.strip().casefold()
        try:
            value = float(number)
        except ValueError:
            value = float("nan")
        if name not in signs or not np.isfinite(value):
            allowed = f"lao=20,cranial=10 (also rao, caudal), or one of {', '.join(NAMES)}"
            raise InputError("not an angle of the C-arm", where="--carm", found=part, allowed=allowed)
        key, sign = signs[name]
        if key in found:
            raise InputError("an angle is given twice", where="--carm", found=text)
        found[key] = sign * value
    lao, cranial = found.get("lao", 0.0), found.get("cranial", 0.0)
    if abs(lao) > 180 or abs(cranial) > 89:
        raise InputError(
            "no C-arm turns that far", where="--carm", found=text, allowed="-180 to 180 and -89 to 89 degrees"
        )
    return Angles(lao_deg=lao, cranial_deg=cranial)


def view_case(case_path: Path, carm: str, out: Path, *, overwrite: bool = False) -> SimulatedView:
    """Write a simulated X-ray of a case as PNG, with needles, target and nerve drawn in.

    Raises:
        InputError: the case, the angles, a tunnel view without a needle, an image that is no CT.
        OutputError: ``out`` exists, or cannot be written.
    """
    from neurolysis.localization.fluoroscopy.carm import dicom_angles
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.report.fluoroscopy_pages import drawn_picture, fitted_carm, named_angles

    asked = parse_carm(carm)
    if out.suffix.casefold() != ".png":
        raise InputError("the picture is a PNG", where="--out", found=out.name, allowed="a .png name")
    if out.exists() and not overwrite:
        raise OutputError("the file exists", where=str(out), allowed="another name, or --overwrite")
    case, folder = load_case(case_path)
    if case.image is None or case.image.modality != "CT":
        raise InputError("X-rays are simulated from a CT", where="case.yaml: image")
    scene = build_scene(case, folder)
    placements = _placements(case, scene)
    position = case.treatment.position if case.treatment else None
    angles = named_angles(asked, placements, position) if isinstance(asked, str) else asked
    middle = placements[:1] if asked == "tunnel" else placements
    seen = fitted_carm(scene, middle, angles, position, pixels=PIXELS)
    try:
        drawn_picture(scene, placements, seen, out)
    except OSError as error:
        raise OutputError("the picture cannot be written", where=str(out), found=str(error)) from error
    tips = [tuple(float(v) for v in seen.project(p.tip_mm)) for p in placements]
    return SimulatedView(angles, dicom_angles(angles, position), seen, tuple((a, b) for a, b in tips))


def _placements(case: Case, scene: Scene) -> tuple[Any, ...]:
    """The plan's needles; none where the case has no treatment."""
    from neurolysis.planning.make import make_plan

    if case.treatment is None:
        return ()
    return make_plan(case, scene).placements


def triangulate_file(path: Path) -> dict[str, Any]:
    """The needle's tip from a views file.

    Raises:
        InputError: fewer than two views with a tip, a pixel outside, views too alike.
    """
    from neurolysis.localization.fluoroscopy.triangulation import triangulate
    from neurolysis.localization.fluoroscopy.views import read_views

    given, views, _ = read_views(path)
    picked = [(view.carm, view.tip) for view in views if view.tip is not None]
    found = triangulate(picked, given.errors)
    return {
        **found.model_dump(mode="json"),
        "errors_taken": given.errors.model_dump(mode="json"),
        "frame": "LPS mm of the stated geometry",
        "research_use": RESEARCH_USE,
    }


def register_file(
    case_path: Path, path: Path, *, seed: int = 0, progress: Callable[[float, str], None] | None = None
) -> dict[str, Any]:
    """Bring the X-rays of a views file to a case's CT; with two picked tips also the tip in the CT.

    Raises:
        InputError: the case, the file, a view without an image, no CT.
    """
    from neurolysis.localization.fluoroscopy.drr import Attenuation
    from neurolysis.localization.fluoroscopy.registration import TakenView, register
    from neurolysis.localization.fluoroscopy.triangulation import triangulate
    from neurolysis.localization.fluoroscopy.views import read_views
    from neurolysis.localization.images import read_image

    case, folder = load_case(case_path)
    if case.image is None or case.image.modality != "CT":
        raise InputError("X-rays are registered to a CT", where="case.yaml: image")
    given, views, images = read_views(path)
    taken = [TakenView(v.carm, image) for v, image in zip(views, images, strict=True) if image is not None]
    if not taken:
        raise InputError("no view names an image", where=path.name)
    image = read_image(folder / case.image.path, series_uid=case.image.series_uid)
    centre = np.array(given.isocentre_mm) if given.isocentre_mm else _aimed_at(taken)
    found = register(
        Attenuation.of(image), taken, centre, seed=seed, progress=progress or (lambda f, m: None)
    )
    answer = {**found.model_dump(mode="json"), "research_use": RESEARCH_USE}
    picked = [(view.carm.moved(found.move), view.tip) for view in views if view.tip is not None]
    if found.verdict == "found" and len(picked) >= 2:
        answer["tip"] = triangulate(picked, given.errors).model_dump(mode="json")
    return answer


def _aimed_at(taken: Any) -> Any:
    """Where the central rays pass each other nearest; the middle of one view's beam where it is alone."""
    from neurolysis.localization.fluoroscopy.triangulation import nearest_point

    sources = np.array([view.carm.source_mm for view in taken])
    ends = np.array([view.carm.detector_mm for view in taken])
    if len(taken) == 1:
        return sources[0] + 0.65 * (ends[0] - sources[0])
    rays = ends - sources
    return nearest_point(sources, rays / np.linalg.norm(rays, axis=1, keepdims=True))
