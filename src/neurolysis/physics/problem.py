"""The electrothermal problem as plain arrays: what :mod:`electrothermal` solves. SI units.

Cells are tissue, metal (inside a needle) or outside the domain (air, or beyond the boundary of a
bench geometry). Links join neighbouring cells; each keeps the geometric resistance on either side of
the face, so that the conductance can follow temperature: 1 / (low / s_low + high / s_high).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCKED = np.inf
"""Geometric resistance of a link that carries nothing."""


class Damage(NamedTuple):
    """One Arrhenius process: ln of the frequency factor (1/s), Ea/R (K), start (C).

    ``start_c`` is the temperature below which nothing accumulates (-inf: no gate).
    """

    ln_frequency: float
    activation_k: float
    start_c: float


class Materials(NamedTuple):
    """Cell arrays (grid shape). Conductivity s0 (1 + slope (T - 37)), held above ``cap_c``."""

    conductivity: Array
    slope: Array
    cap_c: float
    steam_conductivity: float
    capacity: Array
    perfusion: Array
    metabolic: Array
    latent: Array
    boil_c: float
    boil_width_c: float


class Problem(NamedTuple):
    """Everything the solver needs. Extensive quantities are per cell (J/K, W/K, W).

    Inside the solver a temperature is the rise above ``zero_c``, the temperature at the start: in single
    precision a small rise would be lost beside 37 C, and with it the energy balance. Names that end in
    ``_k`` are such rises.

    Attributes:
        electric_low, electric_high: per axis, geometric resistance (1/m) of the link's two sides;
            shape of the grid with one cell less along that axis.
        ground: geometric conductance (m) from each cell to the far ground.
        free: 1 where the potential is unknown, 0 in metal, air and beyond the boundary.
        held: potential of the cells that are not free, per unit applied voltage.
        heat_links: per axis, thermal conductance (W/K).
        heat_ground: thermal conductance (W/K) from each cell to the far boundary or the skin's air.
        heat_free: 1 where temperature is unknown.
        coolant: W/K from each cell to the coolant; ``needle_end`` W/K where the needle leaves the box.
        sensors, sensor_weights: flat cell indices and weights (n_sensors, 8) of thermocouples.
        modes, inverse: fast diagonalisation of the unit-conductivity operator.
        scale: representative conductivity the preconditioner assumes, S/m.
    """

    volumes: Array
    materials: Materials
    electric_low: tuple[Array, ...]
    electric_high: tuple[Array, ...]
    ground: Array
    free: Array
    held: Array
    heat_links: tuple[Array, ...]
    heat_ground: Array
    heat_ground_k: Array
    needle_end: Array
    heat_free: Array
    coolant: Array
    coolant_k: float
    blood_k: float
    zero_c: float
    sensors: Array
    sensor_weights: Array
    modes: tuple[Array, ...]
    inverse: Array
    scale: float
    damage_ln_frequency: Array
    damage_activation_k: Array
    damage_start_c: Array
    perfusion_damage: Array
    cem_r_above: float
    cem_r_below: float
    cem_limit_c: float


class Steps(NamedTuple):
    """The protocol cut into time steps; arrays of one value per step.

    ``mode`` 0 off, 1 temperature control to ``value`` (C), 2 power ``value`` (W), 3 voltage ``value``
    (V, root mean square). ``history`` holds BDF coefficients (a0, a1, a2) of
    (a0 H - a1 H' - a2 H'') / dt. ``duty`` scales the heat of a pulsed source, ``ceiling`` (C) caps the
    control sensor in every mode. ``active`` 0 marks padding.
    """

    dt: Array
    history: Array
    mode: Array
    value: Array
    duty: Array
    ceiling: Array
    refresh: Array
    active: Array


class Limits(NamedTuple):
    """What the generator may do: W, V, A (root mean square) and ohm of the whole circuit."""

    power: float
    voltage: float
    current: float
    low_ohm: float
    high_ohm: float
    path_ohm: float
