"""A simulated X-ray of a case with the needle where the page holds it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.app.view_scene import anatomy_of, placed
from neurolysis.errors import InputError
from neurolysis.quantity import Value

if TYPE_CHECKING:
    from neurolysis.case import Case
    from neurolysis.plan import Placement

MOST_NEEDLES = 12


class Needle(Value):
    """A needle as it is dragged: any instrument of the catalogue, tip and a point up the shaft, LPS mm."""

    instrument: str
    tip_mm: tuple[float, float, float]
    towards_hub_mm: tuple[float, float, float]


def xray_png(
    case_path: Path, lao_deg: float, cranial_deg: float, needles: tuple[Needle, ...] | None, pixels: int
) -> tuple[bytes, dict[str, Any]]:
    """(PNG of the simulated X-ray, its geometry); the picture stays where it is while the needle moves.

    Args:
        needles: None takes those of the case.
        pixels: width and height of the detector; the picture has twice as many.

    Raises:
        InputError: no CT, too many needles. UnknownNameError: an instrument.
    """
    from neurolysis.localization.fluoroscopy.carm import Angles
    from neurolysis.report.fluoroscopy_pages import drawn_picture, fitted_carm

    case, scene, _ = anatomy_of(case_path)
    if case.image is None or case.image.modality != "CT":
        raise InputError("X-rays are simulated from a CT", where="case.yaml: image")
    laid = _of_case(case)
    angles = Angles(lao_deg=lao_deg, cranial_deg=cranial_deg)
    centred = () if any(nerve.is_target for nerve in scene.nerves) else laid
    carm = fitted_carm(scene, centred, angles, _position(case), pixels=pixels)
    drawn = laid if needles is None else _dragged(needles)
    with tempfile.TemporaryDirectory(prefix="neurolysis-") as folder:
        out = Path(folder) / "view.png"
        drawn_picture(scene, drawn, carm, out)
        return out.read_bytes(), carm.model_dump(mode="json")


def tunnel_view(case_path: Path, number: int = 0) -> dict[str, float]:
    """The angles at which the beam runs down one of the case's needles.

    Raises:
        InputError: there is no such needle.
    """
    from neurolysis.app.cases import load_case
    from neurolysis.localization.fluoroscopy.carm import angles_towards

    case, _ = load_case(case_path)
    laid = _of_case(case)
    if not 0 <= number < len(laid):
        raise InputError(
            "a tunnel view needs a needle", where="case.yaml: treatment.placements", found=number
        )
    angles = angles_towards(laid[number].direction_to_hub, _position(case))
    return {"lao_deg": angles.lao_deg, "cranial_deg": angles.cranial_deg}


def _of_case(case: Case) -> tuple[Placement, ...]:
    given = case.treatment.placements if case.treatment else ()
    return tuple(
        placed(one.instrument, one.tip_mm, one.towards_hub_mm, f"treatment.placements.{number}")
        for number, one in enumerate(given)
    )


def _dragged(needles: tuple[Needle, ...]) -> tuple[Placement, ...]:
    if len(needles) > MOST_NEEDLES:
        raise InputError("too many needles", found=len(needles), allowed=f"up to {MOST_NEEDLES}")
    return tuple(
        placed(one.instrument, one.tip_mm, one.towards_hub_mm, f"placements.{number}")
        for number, one in enumerate(needles)
    )


def _position(case: Case) -> Any:
    return case.treatment.position if case.treatment else None
