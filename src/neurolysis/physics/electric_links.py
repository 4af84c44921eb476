"""Electric links: geometric resistances between cells, cut at the needle's true surface.

A link from tissue to metal is as long as the true distance to the surface (second order for the
potential: Gibou, Fedkiw, Cheng and Kang, J Comput Phys 2002). A needle along the grid and one across
it go through the same code.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics import local_flux
from neurolysis.physics.cells import (
    Cells,
    along_axis,
    cylinder_share,
    end_faces,
    pair,
    pair_points,
)
from neurolysis.physics.grid import TensorGrid
from neurolysis.physics.problem import BLOCKED
from neurolysis.physics.rods import Rod, nearest_rod, surface_distance
from neurolysis.physics.setup import Boundary

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


def electric_links(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, domain: Mask, boundary: Boundary
) -> tuple[tuple[Array, ...], tuple[Array, ...]]:
    """Geometric resistances (1/m) of each link's low and high side, per axis."""
    sides = [_axis_links(grid, rods, cells, domain, boundary, axis) for axis in range(len(grid.axes))]
    return tuple(low for low, _ in sides), tuple(high for _, high in sides)


def _axis_links(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, domain: Mask, boundary: Boundary, axis: int
) -> tuple[Array, Array]:
    ndim = len(grid.axes)
    to_low, to_high = grid.axes[axis].half_resistances()
    section = np.broadcast_to(grid.cross_section(axis), grid.shape)
    section = pair(section, axis)[0]
    low = along_axis(to_high[:-1], axis, ndim) / section
    high = along_axis(to_low[1:], axis, ndim) / section
    full = low + high
    metal_low, metal_high = pair(cells.metal, axis)
    out_low, out_high = pair(cells.beyond, axis)
    in_low, in_high = pair(domain, axis)
    blocked = (metal_low & metal_high) | (out_low & out_high) | ~(in_low & in_high)
    blocked |= (metal_low & out_high) | (metal_high & out_low)
    for inner, other, own, far in (
        (metal_low, metal_high | out_high, high, low),
        (metal_high, metal_low | out_low, low, high),
    ):
        _cut_at_metal(grid, rods, cells, axis, inner & ~other, inner is metal_low, full, own, far)
    _cut_at_cylinder(cells, boundary, axis, out_low & ~out_high & ~metal_high, True, full, high, low)
    _cut_at_cylinder(cells, boundary, axis, out_high & ~out_low & ~metal_low, False, full, low, high)
    _follow_local_solution(grid, rods, cells, axis, blocked | out_low | out_high, low, high)
    low[blocked], high[blocked] = BLOCKED, BLOCKED
    return low, high


def _cut_at_metal(
    grid: TensorGrid,
    rods: tuple[Rod, ...],
    cells: Cells,
    axis: int,
    which: Mask,
    metal_is_low: bool,
    full: Array,
    own: Array,
    far: Array,
) -> None:
    """Links from tissue to metal: true distance on the tissue side, nothing on the metal's.

    Only the bare part carries current; a link that ends within half a cell of the end of the bare
    part is weighted by the share of it that is bare.
    """
    if not which.any():
        return
    centres_low, centres_high = pair_points(cells.centres, axis)
    inside, outside = (centres_low, centres_high) if metal_is_low else (centres_high, centres_low)
    a, b = outside[which], inside[which]
    distance = surface_distance(rods, a, b)
    length = np.linalg.norm(b - a, axis=-1)
    hit = a + (distance / length)[:, None] * (b - a)
    _, arc, rod = nearest_rod(rods, hit)
    cell_index = np.nonzero(which)
    share = _bare_share(grid, rods, hit, arc, rod, cell_index)
    with np.errstate(divide="ignore"):
        own[which] = np.where(share > 0, full[which] * distance / length / share, BLOCKED)
    far[which] = np.where(share > 0, 0.0, BLOCKED)


def _bare_share(
    grid: TensorGrid,
    rods: tuple[Rod, ...],
    hit: Array,
    arc: Array,
    rod: NDArray[np.int64],
    index: tuple[NDArray[np.int64], ...],
) -> Array:
    widths = [
        axis.widths[np.minimum(i, len(axis.widths) - 1)] for axis, i in zip(grid.axes, index, strict=True)
    ]
    if grid.axisymmetric:
        widths = [widths[0], np.zeros_like(widths[0]), widths[1]]
    share = np.zeros(len(hit))
    for number, item in enumerate(rods):
        mine = rod == number
        direction = np.abs(_direction_at(item, arc[mine]))
        size = sum(direction[:, n] * widths[n][mine] for n in range(3))
        size = np.maximum(size, 1e-9)
        before = np.clip((item.active[1] - arc[mine]) / size + 0.5, 0, 1)
        after = np.clip((arc[mine] - item.active[0]) / size + 0.5, 0, 1) if item.active[0] > 0 else 1.0
        share[mine] = before * after
    return share


def _direction_at(rod: Rod, arc: Array) -> Array:
    steps = np.diff(rod.points, axis=0)
    lengths = np.linalg.norm(steps, axis=1)
    ends = rod.radius + rod.arc_offset + np.cumsum(lengths)
    which = np.minimum(np.searchsorted(ends, arc), len(steps) - 1)
    direction: Array = (steps / lengths[:, None])[which]
    return direction


def _cut_at_cylinder(
    cells: Cells,
    boundary: Boundary,
    axis: int,
    which: Mask,
    outside_is_low: bool,
    full: Array,
    own: Array,
    far: Array,
) -> None:
    """Links that cross the cylinder end on it."""
    radius = boundary.cylinder_radius
    if radius is None or not which.any():
        return
    low, high = pair_points(cells.centres, axis)
    outside, inside = (low[which], high[which]) if outside_is_low else (high[which], low[which])
    share = cylinder_share(inside, outside, radius)
    own[which] = full[which] * share
    far[which] = 0.0


def _follow_local_solution(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, axis: int, skip: Mask, low: Array, high: Array
) -> None:
    """Scale the links next to bare metal by the flux of the local solution (:mod:`local_flux`)."""
    at_low, at_high = pair_points(cells.centres, axis)
    d_low, d_high = pair(cells.distance, axis)
    rod_low, _ = pair(cells.rod, axis)
    arc_low, arc_high = pair(cells.arc, axis)
    face_area, face = _faces_of_links(grid, axis)
    for number, rod in enumerate(rods):
        reach = local_flux.REACH * rod.radius
        bare = local_flux.bare_stretch(rod, arc_low) & local_flux.bare_stretch(rod, arc_high)
        which = ~skip & (rod_low == number) & bare & (np.minimum(d_low, d_high) < reach)
        which &= np.isfinite(low) & np.isfinite(high)
        if not which.any():
            continue
        a, b = at_low[which].copy(), at_high[which].copy()
        for end, other, inside in ((a, b, d_low[which] < 0), (b, a, d_high[which] < 0)):
            far = surface_distance(rods, other[inside], end[inside])
            step = end[inside] - other[inside]
            length = np.linalg.norm(step, axis=1, keepdims=True)
            end[inside] = other[inside] + step * far[:, None] / length
        swap = (d_low > d_high)[which][:, None]
        inner, outer = np.where(swap, b, a), np.where(swap, a, b)
        straight = 1.0 / ((low + high)[which] * face_area[which])
        factor = local_flux.curvature_factor(rod, inner, outer, face[which], straight)
        local_flux.scale_links(low, high, which, factor)
        _correct_junction(grid, rod, cells, axis, ~skip & (rod_low == number), low, high)


def _faces_of_links(grid: TensorGrid, axis: int) -> tuple[Array, Array]:
    """Area (m2) and middle (m) of the face each link crosses."""
    item = grid.axes[axis]
    section = pair(np.broadcast_to(grid.cross_section(axis), grid.shape), axis)[0]
    area = section * along_axis(item.face_weight[1:-1], axis, len(grid.axes))
    coordinates = [a.centres for a in grid.axes]
    coordinates[axis] = item.faces[1:-1]
    return area, grid.points(coordinates)


def _correct_junction(
    grid: TensorGrid, rod: Rod, cells: Cells, axis: int, usable: Mask, low: Array, high: Array
) -> None:
    """Links at the end of the bare part follow the square-root solution there."""
    plane = local_flux.junction_plane(grid, rod)
    if plane is None:
        return
    z = len(grid.axes) - 1
    widths = grid.axes[-1].widths
    bare, shaft = widths[plane - 1], widths[plane]
    metal_low, metal_high = pair(cells.metal, axis)
    row = np.zeros(low.shape, bool)
    view: list[Any] = [slice(None)] * row.ndim
    view[z] = plane - 1
    row[tuple(view)] = True
    depth = np.where(metal_low, *reversed(pair(cells.distance, axis)))
    which = row & usable & np.isfinite(low) & np.isfinite(high)
    if axis != z:
        which &= metal_low ^ metal_high
        factor = local_flux.junction_factor_normal(np.full(int(which.sum()), bare), depth[which])
    else:
        beside = _beside_metal(cells.metal)
        which &= pair(beside, axis)[0] & pair(beside, axis)[1] & ~metal_low & ~metal_high
        d = pair(cells.distance, axis)[0][which]
        height = d + 0.5 * np.take(grid.axes[0].widths, np.nonzero(which)[0])
        factor = local_flux.junction_factor_tangential(
            np.full(d.shape, bare), np.full(d.shape, shaft), d, height
        )
    local_flux.scale_links(low, high, which, factor)


def _beside_metal(metal: Mask) -> Mask:
    """Cells that are not metal but have metal beside them across the needle (not along z)."""
    beside = np.zeros_like(metal)
    for axis in range(metal.ndim - 1):
        low, high = pair(beside, axis)
        metal_low, metal_high = pair(metal, axis)
        low |= metal_high
        high |= metal_low
    return beside & ~metal


def ground_conductance(grid: TensorGrid, boundary: Boundary) -> Array:
    """Geometric conductance (m) from each cell to the far ground through the box's outer faces."""
    ground = np.zeros(grid.shape)
    if boundary.electric == "insulated":
        return ground
    for axis, sign, conductance, points in end_faces(grid):
        value = conductance
        if boundary.electric == "open":
            item = grid.axes[axis]
            arm = points - np.array(boundary.centre)
            normal = arm[..., -1 if axis == len(grid.axes) - 1 else axis] * sign
            area = np.take(np.broadcast_to(grid.cross_section(axis), grid.shape), 0, axis=axis)
            area = area * item.face_weight[0 if sign < 0 else -1]
            value = 1.0 / (1.0 / conductance + (arm**2).sum(-1) / (np.maximum(normal, 1e-6) * area))
        view = [slice(None)] * ground.ndim
        view[axis] = 0 if sign < 0 else -1  # type: ignore[call-overload]
        ground[tuple(view)] += value
    return ground


def preconditioner_ends(grid: TensorGrid, boundary: Boundary) -> list[tuple[float, float]]:
    """Geometric conductance to ground at the low and high end of each axis, as the preconditioner has it."""
    ends = []
    for axis in grid.axes:
        low, high = axis.half_resistances()
        far = {"grounded": 0.0, "open": 1.0, "insulated": np.inf}[boundary.electric]
        with np.errstate(invalid="ignore"):
            reach = [abs(axis.faces[0]), abs(axis.faces[-1])]
            low_r = low[0] + (far * reach[0] if far else 0.0)
            high_r = high[-1] + (far * reach[1] / axis.face_weight[-1] if far else 0.0)
        ends.append((0.0 if axis.radial else 1.0 / low_r, 1.0 / high_r))
    return ends
