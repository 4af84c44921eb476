"""What a problem is made of before it becomes arrays: tissue per cell, boundary, control. SI units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.problem import Damage

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Tissue:
    """Tissue constants per cell (grid shape), SI: S/m, 1/K, W/(m K), J/(m3 K), W/(m3 K), W/m3, J/m3.

    ``sink`` adds a fixed-temperature sink at blood temperature (fluid-filled spaces), W/(m3 K).
    ``domain`` is False in air.
    """

    conductivity: Array
    slope: Array
    thermal_conductivity: Array
    heat_capacity: Array
    perfusion: Array
    metabolic: Array
    latent: Array
    perfusion_stops: Mask
    domain: Mask


@dataclass(frozen=True)
class Boundary:
    """The outer boundary.

    ``electric``: ``grounded`` (V = 0), ``open`` (the field goes on beyond the box as that of a point
    source at ``centre``) or ``insulated`` (a bipolar pair). ``cylinder_radius`` (m) makes the boundary
    a cylinder round z inside the box. Temperature is held at ``temperature_c`` on the outer surface;
    tissue that meets air loses heat to ``air_c`` with ``film`` W/(m2 K).
    """

    electric: Literal["grounded", "open", "insulated"]
    temperature_c: float
    cylinder_radius: float | None = None
    centre: tuple[float, float, float] = (0.0, 0.0, 0.0)
    air_c: float = 22.0
    film: float = 10.0


@dataclass(frozen=True)
class Control:
    """Sensors (points (n, 3) m; the first one controls), coolant and reaction constants."""

    sensors: Array
    damages: tuple[Damage, ...]
    coolant_film: float = 0.0
    coolant_c: float = 20.0
    coolant_length: float = 0.0
    blood_c: float = 37.0
    start_c: float = 37.0
    cap_c: float = 100.0
    boil_c: float = 100.0
    boil_width_c: float = 2.0
    steam_conductivity: float = 0.01
    cem_r_above: float = 0.5
    cem_r_below: float = 0.25
    cem_limit_c: float = 45.0
