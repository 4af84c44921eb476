"""From grid, probe and tissue to the arrays of :mod:`freezing`. SI units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError
from neurolysis.physics.cells import Cells, locate_cells, pair
from neurolysis.physics.freezing import Freezing, tolerance_k
from neurolysis.physics.grid import TensorGrid
from neurolysis.physics.heat_links import heat_edges, heat_links, plain_resistances
from neurolysis.physics.rods import Rod
from neurolysis.physics.setup import Boundary, Tissue

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

BLOCKED = 1e30
"""Resistance (K/W) of a link that carries nothing."""


@dataclass(frozen=True)
class FreezingTissue:
    """Tissue per cell (grid shape): W/(m K), J/(m3 K), J/m3, W/(m3 K), W/m3; ``domain`` False in air.

    ``freezing_c``: temperatures at which all is frozen and at which freezing begins; ``perfusion_c``:
    at which perfusion and metabolism have stopped and at which they are full; ``after_thaw``: part of
    them that comes back in tissue that was frozen.
    """

    conductivity: Array
    frozen_conductivity: Array
    heat_capacity: Array
    frozen_heat_capacity: Array
    latent: Array
    perfusion: Array
    metabolic: Array
    domain: Mask
    freezing_c: tuple[float, float]
    perfusion_c: tuple[float, float]
    after_thaw: float = 1.0


def assemble_freezing(
    grid: TensorGrid,
    rods: tuple[Rod, ...],
    tissue: FreezingTissue,
    boundary: Boundary,
    film_w_per_m2_k: float,
    *,
    start_c: float,
    blood_c: float,
    levels_c: tuple[float, ...],
    cells: Cells | None = None,
) -> Freezing:
    """The problem in float32 arrays; the bare part of each rod is what its gas cools, through the film.

    Raises:
        InputError: a start below the beginning of freezing, or ranges that do not rise.
    """
    _check(tissue, start_c)
    cells = cells or locate_cells(grid, rods, boundary)
    fixed, low, high = _links(grid, rods, cells, tissue, boundary)
    outer = heat_edges(grid, rods, cells, _plain(tissue.conductivity, tissue.domain), boundary)
    film, share = _film(grid, rods, cells, film_w_per_m2_k)
    soft, volume = 1.0 - cells.metal_share, grid.volumes
    metal = volume * cells.metal_share * np.array([rod.capacity for rod in rods])[cells.rod]
    arrays = {
        "volumes": volume,
        "warm_k": tissue.conductivity,
        "cold_k": tissue.frozen_conductivity,
        "warm_capacity": metal + volume * soft * tissue.heat_capacity,
        "cold_capacity": metal + volume * soft * tissue.frozen_heat_capacity,
        "latent": volume * soft * tissue.latent,
        "perfusion": volume * soft * tissue.perfusion,
        "metabolic": volume * soft * tissue.metabolic,
        "fixed": fixed,
        "low": low,
        "high": high,
        "edge": outer[0],
        "edge_k": outer[1] - start_c,
        "needle_end": outer[2],
        "free": np.where(cells.beyond | ~(tissue.domain | cells.metal), 0.0, 1.0),
        "film": film,
        "film_share": share,
        "tissue": np.where(tissue.domain & ~cells.metal & ~cells.beyond, 1.0, 0.0),
        "levels_k": np.array(levels_c) - start_c,
    }
    low_c, high_c = tissue.freezing_c
    return Freezing(
        **{name: _single(value) for name, value in arrays.items()},
        range_k=(low_c - start_c, high_c - start_c),
        perfusion_k=(tissue.perfusion_c[0] - start_c, tissue.perfusion_c[1] - start_c),
        after_thaw=tissue.after_thaw,
        blood_k=blood_c - start_c,
        zero_c=start_c,
        tolerance_k=tolerance_k(tissue.freezing_c),
    )


def _check(tissue: FreezingTissue, start_c: float) -> None:
    for name, (low, high) in (("freezing", tissue.freezing_c), ("perfusion", tissue.perfusion_c)):
        if not low < high:
            raise InputError(f"the range of {name} must rise", where="tissue", found=(low, high))
    if start_c < tissue.freezing_c[1]:
        raise InputError(
            "tissue must start unfrozen",
            where="start",
            found=start_c,
            allowed=f">= {tissue.freezing_c[1]:g} C",
        )


def _single(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_single(item) for item in value)
    return np.ascontiguousarray(value, np.float32)


def _plain(conductivity: Array, domain: Mask) -> Tissue:
    """Tissue as the heat links read it: only its conductivity and where it is."""
    none = np.zeros(conductivity.shape)
    return Tissue(none, none, conductivity, none, none, none, none, np.zeros(none.shape, bool), domain)


def _links(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, tissue: FreezingTissue, boundary: Boundary
) -> tuple[tuple[Array, ...], tuple[Array, ...], tuple[Array, ...]]:
    """Each link as a fixed resistance (metal) and the geometric resistance of its two sides (tissue).

    Links are measured with all tissue unfrozen and with all of it frozen; what changes is the tissue's part:
    1 / g = fixed + low / k + high / k. That is exact at both ends, and everywhere away from metal.
    """
    ends = (tissue.conductivity, tissue.frozen_conductivity)
    measured = [heat_links(grid, rods, cells, _plain(k, tissue.domain), boundary) for k in ends]
    fixed, low, high = [], [], []
    for axis, (warm, cold) in enumerate(zip(*measured, strict=True)):
        blocked = warm <= 0
        one, two = (1.0 / np.where(blocked, 1.0, g) for g in (warm, cold))
        plain_low, plain_high = plain_resistances(grid, axis)
        share = plain_low / (plain_low + plain_high)
        per_k = [share / pair(k, axis)[0] + (1 - share) / pair(k, axis)[1] for k in ends]
        change = per_k[0] - per_k[1]
        same = np.abs(change) < 1e-6 * per_k[0]
        geometric = np.where(same, one / per_k[0], (one - two) / np.where(same, 1.0, change))
        geometric = np.maximum(geometric, 0.0)
        rest = one - geometric * per_k[0]
        fixed.append(np.where(blocked, BLOCKED, np.where(rest < 1e-9 * one, 0.0, rest)))
        low.append(geometric * share)
        high.append(geometric * (1 - share))
    return tuple(fixed), tuple(low), tuple(high)


def _film(grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, coefficient: float) -> tuple[Array, Array]:
    """Film conductance per cell (W/K) and its part of one probe's power.

    Only cells whose centre is metal meet the gas: held tissue cells would widen the probe.
    """
    film, share = np.zeros(grid.shape), np.zeros(grid.shape)
    for number, rod in enumerate(rods):
        length = rod.active[1]
        cold = cells.metal & (cells.rod == number) & (cells.arc <= length)
        if not cold.any():
            raise InputError(
                "no cell of the grid lies inside the probe's cold length",
                where="grid",
                found=f"radius {rod.radius * 1e3:g} mm",
                allowed="a finer grid",
            )
        part = np.where(cold, cells.metal_share * grid.volumes, 0.0)
        part = part / part.sum()
        film += coefficient * 2 * np.pi * rod.radius * length * part
        share += part
    return film, share
