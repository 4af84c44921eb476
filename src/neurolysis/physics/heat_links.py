"""Heat links and losses: metal and tissue in series along thin lines, lines in parallel across a link."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics.cells import (
    Cells,
    along_axis,
    cartesian,
    cell_diagonal,
    cylinder_share,
    end_faces,
    pair,
    pair_points,
)
from neurolysis.physics.grid import TensorGrid
from neurolysis.physics.rods import Rod, nearest_rod
from neurolysis.physics.setup import Boundary, Control, Tissue

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LINE_SAMPLES = 12
"""Samples along a heat link that meets metal."""
FACE_SAMPLES = 4
"""Lines across such a link, per direction."""


def heat_links(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, tissue: Tissue, boundary: Boundary
) -> tuple[Array, ...]:
    """Thermal conductance (W/K) of each link, per axis."""
    links = []
    for axis in range(len(grid.axes)):
        low, high = plain_resistances(grid, axis)
        k_low, k_high = pair(tissue.thermal_conductivity, axis)
        link = 1.0 / (low / k_low + high / k_high)
        _mix_metal(grid, rods, cells, tissue, axis, link, low + high)
        in_low, in_high = pair(tissue.domain | cells.metal, axis)
        link[~(in_low & in_high)] = 0.0
        out_low, out_high = pair(cells.beyond, axis)
        _heat_at_cylinder(cells, boundary, axis, out_low & ~out_high, True, link)
        _heat_at_cylinder(cells, boundary, axis, out_high & ~out_low, False, link)
        links.append(link)
    return tuple(links)


def plain_resistances(grid: TensorGrid, axis: int) -> tuple[Array, Array]:
    """Geometric resistance (1/m) of the low and high side of each link along ``axis``."""
    ndim = len(grid.axes)
    to_low, to_high = grid.axes[axis].half_resistances()
    section = pair(np.broadcast_to(grid.cross_section(axis), grid.shape), axis)[0]
    return along_axis(to_high[:-1], axis, ndim) / section, along_axis(to_low[1:], axis, ndim) / section


def _mix_metal(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, tissue: Tissue, axis: int, link: Array, full: Array
) -> None:
    """Links whose two cells touch metal: thin lines in parallel, metal and tissue in series on each."""
    # Metal can lie in a cell's half of a link only within half a diagonal of its centre.
    near = cells.distance < 0.51 * cell_diagonal(grid)
    near_low, near_high = pair(near, axis)
    which = near_low | near_high
    if not which.any():
        return
    index = np.nonzero(which)
    points = _line_points(grid, axis, index)
    distance, _, rod = nearest_rod(rods, points)
    metal_k = np.array([item.conductivity for item in rods])[rod]
    k_low, k_high = pair(tissue.thermal_conductivity, axis)
    ratio = grid.axes[axis]
    first_half = 0.5 * ratio.widths[index[axis]]
    split = first_half / (first_half + 0.5 * ratio.widths[index[axis] + 1])
    position = (np.arange(LINE_SAMPLES) + 0.5) / LINE_SAMPLES
    in_low = position[None, :] < split[:, None]
    tissue_k = np.where(in_low, k_low[which][:, None], k_high[which][:, None])
    k = np.where(distance < 0, metal_k, tissue_k[:, None, :])
    link[which] = (1.0 / (1.0 / k).mean(axis=2)).mean(axis=1) / full[which]


def _line_points(grid: TensorGrid, axis: int, index: tuple[NDArray[np.int64], ...]) -> Array:
    """Points (links, lines, samples, 3) on lines across each link."""
    ndim = len(grid.axes)
    offsets = (np.arange(FACE_SAMPLES) + 0.5) / FACE_SAMPLES - 0.5
    position = (np.arange(LINE_SAMPLES) + 0.5) / LINE_SAMPLES
    across = np.stack(np.meshgrid(*[offsets] * (ndim - 1), indexing="ij"), -1).reshape(-1, ndim - 1)
    shape = (len(index[0]), len(across), LINE_SAMPLES)
    coordinates, column = [], 0
    for n, item in enumerate(grid.axes):
        centre = item.centres[index[n]][:, None, None]
        if n == axis:
            step = item.centres[index[n] + 1][:, None, None] - centre
            coordinates.append(np.broadcast_to(centre + step * position[None, None, :], shape))
        else:
            width = item.widths[index[n]][:, None, None]
            coordinates.append(np.broadcast_to(centre + width * across[None, :, column, None], shape))
            column += 1
    return cartesian(grid, coordinates)


def _heat_at_cylinder(
    cells: Cells, boundary: Boundary, axis: int, which: Mask, outside_is_low: bool, link: Array
) -> None:
    if boundary.cylinder_radius is None or not which.any():
        return
    low, high = pair_points(cells.centres, axis)
    outside, inside = (low[which], high[which]) if outside_is_low else (high[which], low[which])
    link[which] = link[which] / cylinder_share(inside, outside, boundary.cylinder_radius)


def coolant_conductance(grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, control: Control) -> Array:
    """Film conductance to the coolant, W/K per cell, spread over the metal of the cooled length."""
    coolant = np.zeros(grid.shape)
    if control.coolant_film <= 0:
        return coolant
    for number, rod in enumerate(rods):
        cooled = (cells.rod == number) & (cells.arc <= control.coolant_length)
        share = np.where(cooled, cells.metal_share * grid.volumes, 0.0)
        total = control.coolant_film * 2 * np.pi * rod.radius * control.coolant_length
        coolant += total * share / max(share.sum(), 1e-30)
    return coolant


def heat_edges(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, tissue: Tissue, boundary: Boundary
) -> tuple[Array, Array, Array]:
    """Conductance to the held outer faces and to air (W/K), its temperature, and the needle's end."""
    inside = tissue.domain | cells.metal
    edge = np.zeros(grid.shape)
    needle = np.zeros(grid.shape)
    for axis, sign, conductance, _ in end_faces(grid):
        view: list[Any] = [slice(None)] * edge.ndim
        view[axis] = 0 if sign < 0 else -1
        at = tuple(view)
        share = cells.metal_share[at]
        metal_k = np.array([rod.conductivity for rod in rods])[cells.rod[at]]
        edge[at] += conductance * tissue.thermal_conductivity[at] * (1 - share) * inside[at]
        needle[at] += conductance * metal_k * share
    air = _air_film(grid, tissue, cells, boundary)
    total = edge + air
    mean = (edge * boundary.temperature_c + air * boundary.air_c) / np.where(total > 0, total, 1.0)
    return total, np.where(total > 0, mean, boundary.temperature_c), needle


def _air_film(grid: TensorGrid, tissue: Tissue, cells: Cells, boundary: Boundary) -> Array:
    film = np.zeros(grid.shape)
    inside = tissue.domain | cells.metal
    if inside.all():
        return film
    for axis in range(len(grid.axes)):
        to_low, to_high = plain_resistances(grid, axis)
        k_low, k_high = pair(tissue.thermal_conductivity, axis)
        in_low, in_high = pair(inside, axis)
        section = np.broadcast_to(grid.cross_section(axis), grid.shape)
        surface = 1.0 / (max(boundary.film, 1e-12) * pair(section, axis)[0])
        low, high = pair(film, axis)
        # Half a cell of tissue and the film, one after the other.
        low += np.where(in_low & ~in_high, 1.0 / (to_low / k_low + surface), 0.0)
        high += np.where(in_high & ~in_low, 1.0 / (to_high / k_high + surface), 0.0)
    return film
