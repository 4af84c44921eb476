"""From grid, rods and tissue arrays to the :class:`Problem` the solver takes, in float32 arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.cells import Cells, locate_cells
from neurolysis.physics.electric_links import electric_links, ground_conductance, preconditioner_ends
from neurolysis.physics.fast_diagonal import factorise
from neurolysis.physics.grid import TensorGrid
from neurolysis.physics.heat_links import coolant_conductance, heat_edges, heat_links
from neurolysis.physics.problem import Materials, Problem
from neurolysis.physics.rods import Rod
from neurolysis.physics.setup import Boundary, Control, Tissue

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def sensor_stencils(grid: TensorGrid, points: Array) -> tuple[NDArray[np.int32], Array]:
    """Flat cell indices and linear weights (n, 2^ndim) of points (n, 3) in the grid."""
    coordinates = (
        [np.hypot(points[:, 0], points[:, 1]), points[:, 2]] if grid.axisymmetric else list(points.T)
    )
    flat = np.zeros((len(points), 1), np.int64)
    weights = np.ones((len(points), 1))
    for axis, x in zip(grid.axes, coordinates, strict=True):
        c = axis.centres
        i = np.clip(np.searchsorted(c, x) - 1, 0, len(c) - 2)
        t = np.clip((x - c[i]) / (c[i + 1] - c[i]), 0.0, 1.0)
        pair = np.stack([i, i + 1], -1)
        flat = (flat[:, :, None] * len(c) + pair[:, None, :]).reshape(len(points), -1)
        weights = (weights[:, :, None] * np.stack([1 - t, t], -1)[:, None, :]).reshape(len(points), -1)
    return flat.astype(np.int32), weights


def assemble(
    grid: TensorGrid,
    rods: tuple[Rod, ...],
    tissue: Tissue,
    boundary: Boundary,
    control: Control,
    cells: Cells | None = None,
) -> Problem:
    """The problem in float32 arrays (SI, per cell)."""
    cells = cells or locate_cells(grid, rods, boundary)
    low, high = electric_links(grid, rods, cells, tissue.domain | cells.metal, boundary)
    free = ~cells.metal & ~cells.beyond & tissue.domain
    potential = np.array([rod.potential for rod in rods])[cells.rod]
    held = np.where(cells.metal & _touches_bare(rods, cells), potential, 0.0)
    ground = np.where(free, ground_conductance(grid, boundary), 0.0)
    edge_heat, edge_c, needle_end = heat_edges(grid, rods, cells, tissue, boundary)
    open_ends = preconditioner_ends(grid, boundary)
    modes, inverse = factorise(grid, open_ends)
    scale = float(np.exp(np.log(np.maximum(tissue.conductivity[free], 1e-6)).mean()))
    sensors, weights = sensor_stencils(grid, control.sensors)
    outer = np.where(cells.beyond | ~(tissue.domain | cells.metal), 0.0, 1.0)
    fields = {
        "volumes": grid.volumes,
        "materials": _materials(grid, rods, cells, tissue, control),
        "electric_low": low,
        "electric_high": high,
        "ground": ground,
        "free": free,
        "held": held,
        "heat_links": heat_links(grid, rods, cells, tissue, boundary),
        "heat_ground": edge_heat,
        "heat_ground_k": edge_c - control.start_c,
        "needle_end": needle_end,
        "heat_free": outer,
        "coolant": coolant_conductance(grid, rods, cells, control),
        "sensor_weights": weights,
        "modes": modes,
        "inverse": inverse / scale,
    }
    as_single = _single(fields)
    return Problem(
        **as_single,
        sensors=sensors,
        coolant_k=control.coolant_c - control.start_c,
        blood_k=control.blood_c - control.start_c,
        zero_c=control.start_c,
        scale=scale,
        damage_ln_frequency=np.array([d.ln_frequency for d in control.damages]),
        damage_activation_k=np.array([d.activation_k for d in control.damages]),
        damage_start_c=np.array([max(d.start_c, -273.0) for d in control.damages]),
        perfusion_damage=np.where(tissue.perfusion_stops, 1.0, 0.0).astype(np.float32),
        cem_r_above=control.cem_r_above,
        cem_r_below=control.cem_r_below,
        cem_limit_c=control.cem_limit_c,
    )


def _single(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _single(item) for key, item in value.items()}
    if isinstance(value, Materials):
        return Materials(*[_single(item) for item in value])
    if isinstance(value, tuple):
        return tuple(_single(item) for item in value)
    return np.ascontiguousarray(value, np.float32) if isinstance(value, np.ndarray) else value


def _touches_bare(rods: tuple[Rod, ...], cells: Cells) -> Mask:
    bare = np.zeros(cells.metal.shape, bool)
    for number, rod in enumerate(rods):
        # Half a millimetre of grace: the weight of the link, not the cell, decides what carries current.
        grace = rod.radius
        inside = (cells.arc >= rod.active[0] - grace) & (cells.arc <= rod.active[1] + grace)
        bare |= (cells.rod == number) & inside
    return bare


def _materials(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, tissue: Tissue, control: Control
) -> Materials:
    volume, soft = grid.volumes, 1.0 - cells.metal_share
    metal_capacity = np.array([rod.capacity for rod in rods])[cells.rod]
    capacity = volume * (cells.metal_share * metal_capacity + soft * tissue.heat_capacity)
    return Materials(
        conductivity=np.maximum(tissue.conductivity, 1e-6),
        slope=tissue.slope,
        cap_c=control.cap_c,
        steam_conductivity=control.steam_conductivity,
        capacity=capacity,
        perfusion=volume * soft * tissue.perfusion,
        metabolic=volume * soft * tissue.metabolic,
        latent=volume * soft * tissue.latent,
        boil_c=control.boil_c,
        boil_width_c=control.boil_width_c,
    )
