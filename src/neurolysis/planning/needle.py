"""A placed instrument as points in LPS: its bare parts and its shaft, for the rules of place.

The instrument's own frame has its origin at the apex and its z axis along the shaft towards the hub. A
curved tip runs from the apex for the bend length, slanted by the bend angle in the frame's x-z plane so
that the apex lies on the +x side of the shaft's line; turning the instrument swings shaft about apex.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from neurolysis.geometry import Curve, FloatArray
from neurolysis.instrument import Cannula
from neurolysis.plan import Placement

STEP_MM = 0.25


@dataclass(frozen=True)
class NeedlePath:
    """Points along one placed instrument, LPS mm.

    Attributes:
        active_mm: (n, 3) along the bare parts, apex first.
        shaft_mm: (m, 3) along the insulated part up to the hub.
        radius_mm: of the shaft.
    """

    active_mm: FloatArray
    shaft_mm: FloatArray
    radius_mm: float

    @property
    def all_mm(self) -> FloatArray:
        """All points, (n + m, 3)."""
        return np.concatenate([self.active_mm, self.shaft_mm])


def needle_path(placement: Placement) -> NeedlePath:
    """Points every 0.25 mm at most along a placed instrument."""
    cannula = placement.instrument
    arc, points = Curve.from_array(centre_line_mm(cannula)).resample(STEP_MM)
    bare = arc <= cannula.active_tip_mm + 1e-9
    tines = [Curve.from_array([t.start_mm, t.end_mm]).resample(STEP_MM)[1] for t in cannula.tines]
    frame = placement.frame()
    return NeedlePath(
        active_mm=frame.apply(np.concatenate([points[bare], *tines])),
        shaft_mm=frame.apply(points[~bare]),
        radius_mm=cannula.outer_radius_mm.value,
    )


def centre_line_mm(cannula: Cannula) -> FloatArray:
    """Corners of the centre line in the instrument's own frame, apex first, (2 or 3, 3) mm."""
    length, bend = cannula.shaft_length_mm, cannula.bend_length_mm
    if cannula.shape != "curved":
        return np.array([[0.0, 0.0, 0.0], [0.0, 0.0, length]])
    angle = np.deg2rad(cannula.bend_angle_deg)
    elbow = bend * np.array([-np.sin(angle), 0.0, np.cos(angle)])
    return np.array([np.zeros(3), elbow, elbow + np.array([0.0, 0.0, length - bend])])
