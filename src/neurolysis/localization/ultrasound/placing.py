"""Where a probe is held to see a needle: over the target, straight in, the face on the skin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, unit_vector
from neurolysis.localization.skin import body_mask
from neurolysis.localization.ultrasound.probe import Probe
from neurolysis.scene import Scene

APPROACHES = ("in-plane", "out-of-plane")
STEP_MM, REACH_MM, BELOW_MM, ROWS = 0.5, 250.0, 10.0, 480
LEAST_WIDTH_MM = 38.0


@dataclass(frozen=True)
class LaidProbe:
    """A probe and in words where its face lies."""

    probe: Probe
    words: str


def probe_over(
    scene: Scene, tip_mm: FloatArray, hub_mm: FloatArray, *, approach: str, shift_mm: float = 0.0
) -> LaidProbe:
    """A probe straight over the tip (3,) of a needle that comes from ``hub_mm`` (3,).

    The beam runs along the axis of the patient (front-back, left-right, head-feet) nearest to the needle,
    into the body. In-plane the face lies along the needle, out-of-plane across it. The face is where the body
    ends above the tip; a scene whose image ends before the skin has its face at the image's edge, which the
    words say. The image reaches 10 mm below the tip and is at least 38 mm wide, or as wide as deep.

    Raises:
        InputError: no such approach, or a tip outside the body.
    """
    if approach not in APPROACHES:
        raise InputError("no such approach", where="--approach", found=approach, allowed=APPROACHES)
    way = unit_vector(tip_mm - hub_mm)
    axis = int(np.argmax(np.abs(way)))
    beam = np.eye(3)[axis] * np.sign(way[axis])
    along = way - (way @ beam) * beam
    if np.linalg.norm(along) < 0.05:  # straight down the beam: any plane through it holds the needle
        along = np.array([1.0, 0.0, 0.0]) if axis != 0 else np.array([0.0, 0.0, 1.0])
    along = unit_vector(along)
    across = along if approach == "in-plane" else np.cross(beam, along)
    face, skin = _face(scene, tip_mm, beam)
    depth = float((tip_mm - face) @ beam) + BELOW_MM
    probe = Probe.at(
        face,
        across,
        beam,
        width_mm=float(np.clip(depth, LEAST_WIDTH_MM, 60.0)),
        depth_mm=depth,
        pixel_mm=max(0.1, depth / ROWS),
    )
    if shift_mm:
        moved = np.array(probe.face_mm) + shift_mm * probe.normal
        probe = Probe.model_validate({**probe.model_dump(), "face_mm": moved.tolist()})
    where = (
        "on the skin" if skin else "at the edge of the image: the skin is not in it, the real depth is more"
    )
    return LaidProbe(probe, where)


def _face(scene: Scene, tip_mm: FloatArray, beam: FloatArray) -> tuple[FloatArray, bool]:
    """Where the line up from the tip leaves the body for good, and whether that is skin."""
    image = scene.image
    body = image.with_array(np.asarray(body_mask(image), np.uint8))
    steps = np.arange(0.0, REACH_MM, STEP_MM)
    points = tip_mm - steps[:, None] * beam
    within = np.asarray(image.contains(points))
    inside = np.asarray(body.sample(points, order=0)) > 0
    if not inside[0]:
        raise InputError("the needle's tip lies outside the body", found=[round(float(v), 1) for v in tip_mm])
    last = int(np.flatnonzero(inside).max())
    skin = last + 1 < len(steps) and bool(within[last + 1])
    face: FloatArray = points[last]
    return face, skin
