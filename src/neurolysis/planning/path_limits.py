"""What a needle path may not do: limits of the instrument, the approach, the patient's position."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from neurolysis.case import PatientPosition
from neurolysis.evidence.store import load_yaml, read_value
from neurolysis.geometry import Point
from neurolysis.instrument import Cannula
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import TissueMap

DATA = Path(__file__).parent / "data"

Approach = Literal["parallel", "perpendicular"]
Entry = Literal["back", "front", "any"]

UP: Mapping[str, tuple[float, float, float]] = {
    "prone": (0.0, 1.0, 0.0),
    "supine": (0.0, -1.0, 0.0),
    "left lateral": (-1.0, 0.0, 0.0),
    "right lateral": (1.0, 0.0, 0.0),
}
"""Direction away from the table for each position of the patient, LPS; sitting leaves all sides open."""
ENTRY_SIDE: Mapping[str, tuple[float, float, float] | None] = {
    "back": (0.0, 1.0, 0.0),
    "front": (0.0, -1.0, 0.0),
    "any": None,
}


class PathNumbers(Value):
    """Numbers behind the paths, with their sources."""

    placement_sd_mm: Quantity
    along_within_deg: Quantity
    margins_mm: Mapping[str, float]


class PathLimits(Value):
    """What a path may not do.

    Attributes:
        length_mm: longest way from skin to tip (the shaft).
        radius_mm: of the needle's shaft.
        active_mm: length of the bare tip.
        approach: how the needle lies to the nerve; None is any.
        within_deg: largest angle off that approach.
        largest_head_feet_deg, largest_sideways_deg: off the plane square to the body's long axis, and
            off straight back or front; None: no limit was given.
        bone_mm: bone that may lie on the path before it counts as in the way (partial volume).
        up: direction (3,) away from the table, LPS; needles come from that half; None is any.
    """

    length_mm: float = Field(gt=0, le=400)
    radius_mm: float = Field(gt=0, le=5)
    active_mm: float = Field(ge=0, le=60)
    approach: Approach | None = None
    within_deg: float = Field(default=90.0, gt=0, le=90)
    largest_head_feet_deg: float | None = Field(default=None, gt=0, le=90)
    largest_sideways_deg: float | None = Field(default=None, gt=0, le=90)
    bone_mm: float = Field(default=0.0, ge=0)
    up: Point | None = None

    @classmethod
    def of(
        cls,
        cannula: Cannula,
        tissues: TissueMap,
        *,
        approach: Approach | None = None,
        position: PatientPosition | None = None,
        entry: Entry = "any",
        largest_head_feet_deg: float | None = None,
        largest_sideways_deg: float | None = None,
    ) -> PathLimits:
        """The limits of an instrument and of how the patient lies; bone up to one voxel's diagonal."""
        return cls(
            length_mm=cannula.shaft_length_mm,
            radius_mm=cannula.outer_radius_mm.value,
            active_mm=cannula.active_tip_mm,
            approach=approach,
            within_deg=path_numbers().along_within_deg.value if approach else 90.0,
            largest_head_feet_deg=largest_head_feet_deg,
            largest_sideways_deg=largest_sideways_deg,
            bone_mm=float(np.linalg.norm(tissues.volume.spacing_mm)),
            up=UP.get(position or "", ENTRY_SIDE[entry] if position is None else None),
        )

    @property
    def beyond_mm(self) -> float:
        """How far the apex lies beyond the aim: half the bare tip where the needle lies along the nerve."""
        return 0.5 * self.active_mm if self.approach == "parallel" else 0.0


@cache
def path_numbers() -> PathNumbers:
    """The shipped numbers."""
    return read_value(PathNumbers, load_yaml("paths.yaml", DATA), "planning/data/paths.yaml")
