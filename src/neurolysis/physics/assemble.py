"""From grid, rods and tissue arrays to the :class:`Problem` the solver takes.

The needle's surface is kept where it is: a link from tissue to metal is as long as the true distance
to the surface (second order for the potential: Gibou, Fedkiw, Cheng and Kang, J Comput Phys 2002),
and heat links that meet metal are the parallel mean of thin lines, each with its metal and tissue in
series. A needle along the grid and one across it go through the same code.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurolysis.physics import local_flux
from neurolysis.physics.fast_diagonal import factorise
from neurolysis.physics.grid import TensorGrid
from neurolysis.physics.problem import BLOCKED, Damage, Materials, Problem
from neurolysis.physics.rods import Rod, inside_fraction, nearest_rod, surface_distance

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

LINE_SAMPLES = 12
"""Samples along a heat link that meets metal."""
FACE_SAMPLES = 4
"""Lines across such a link, per direction."""


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


@dataclass(frozen=True)
class Cells:
    """Where each cell lies: signed distance to metal (m), arc, nearest rod, metal and outside masks."""

    centres: Array
    distance: Array
    arc: Array
    rod: NDArray[np.int64]
    metal: Mask
    beyond: Mask
    metal_share: Array


def locate_cells(grid: TensorGrid, rods: tuple[Rod, ...], boundary: Boundary) -> Cells:
    """Classify every cell of the grid against the rods and the boundary."""
    centres = grid.centres()
    distance, arc, rod = nearest_rod(rods, centres)
    radius = np.hypot(centres[..., 0], centres[..., 1])
    beyond = np.zeros(grid.shape, bool)
    if boundary.cylinder_radius is not None and not grid.axisymmetric:
        beyond = radius > boundary.cylinder_radius
    share = (distance < 0).astype(float)
    near = np.abs(distance) < cell_diagonal(grid)
    share[near] = _volume_share(grid, rods, near)
    return Cells(centres, distance, arc, rod, distance < 0, beyond, share)


def cell_diagonal(grid: TensorGrid) -> Array:
    """Length of each cell's diagonal (grid shape), metres."""
    squares = np.zeros(grid.shape)
    for along, axis in enumerate(grid.axes):
        squares = squares + _along(axis.widths, along, len(grid.axes)) ** 2
    diagonal: Array = np.sqrt(squares)
    return diagonal


def _along(values: Array, axis: int, ndim: int) -> Array:
    shape = [1] * ndim
    shape[axis] = len(values)
    return values.reshape(shape)


def _volume_share(grid: TensorGrid, rods: tuple[Rod, ...], near: Mask) -> Array:
    index = np.nonzero(near)
    offsets = (np.arange(6) + 0.5) / 6 - 0.5
    mesh = np.stack(np.meshgrid(*[offsets] * len(grid.axes), indexing="ij"), -1).reshape(-1, len(grid.axes))
    coordinates = [
        axis.centres[i][:, None] + axis.widths[i][:, None] * mesh[None, :, n]
        for n, (axis, i) in enumerate(zip(grid.axes, index, strict=True))
    ]
    return inside_fraction(rods, _cartesian(grid, coordinates))


def _cartesian(grid: TensorGrid, coordinates: list[Array]) -> Array:
    if grid.axisymmetric:
        return np.stack([coordinates[0], np.zeros_like(coordinates[0]), coordinates[1]], -1)
    return np.stack(coordinates, -1)


def _pair(array: NDArray[Any], axis: int) -> tuple[NDArray[Any], NDArray[Any]]:
    low = [slice(None)] * array.ndim
    high = [slice(None)] * array.ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return array[tuple(low)], array[tuple(high)]


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
    section = _pair(section, axis)[0]
    low = _along(to_high[:-1], axis, ndim) / section
    high = _along(to_low[1:], axis, ndim) / section
    full = low + high
    metal_low, metal_high = _pair(cells.metal, axis)
    out_low, out_high = _pair(cells.beyond, axis)
    in_low, in_high = _pair(domain, axis)
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


def _follow_local_solution(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, axis: int, skip: Mask, low: Array, high: Array
) -> None:
    """Scale the links next to bare metal by the flux of the local solution (:mod:`local_flux`)."""
    at_low, at_high = _pair_points(cells.centres, axis)
    d_low, d_high = _pair(cells.distance, axis)
    rod_low, _ = _pair(cells.rod, axis)
    arc_low, arc_high = _pair(cells.arc, axis)
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
    section = _pair(np.broadcast_to(grid.cross_section(axis), grid.shape), axis)[0]
    area = section * _along(item.face_weight[1:-1], axis, len(grid.axes))
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
    metal_low, metal_high = _pair(cells.metal, axis)
    row = np.zeros(low.shape, bool)
    view: list[Any] = [slice(None)] * row.ndim
    view[z] = plane - 1
    row[tuple(view)] = True
    depth = np.where(metal_low, *reversed(_pair(cells.distance, axis)))
    which = row & usable & np.isfinite(low) & np.isfinite(high)
    if axis != z:
        which &= metal_low ^ metal_high
        factor = local_flux.junction_factor_normal(np.full(int(which.sum()), bare), depth[which])
    else:
        beside = _beside_metal(cells.metal)
        which &= _pair(beside, axis)[0] & _pair(beside, axis)[1] & ~metal_low & ~metal_high
        d = _pair(cells.distance, axis)[0][which]
        height = d + 0.5 * np.take(grid.axes[0].widths, np.nonzero(which)[0])
        factor = local_flux.junction_factor_tangential(
            np.full(d.shape, bare), np.full(d.shape, shaft), d, height
        )
    local_flux.scale_links(low, high, which, factor)


def _beside_metal(metal: Mask) -> Mask:
    """Cells that are not metal but have metal beside them across the needle (not along z)."""
    beside = np.zeros_like(metal)
    for axis in range(metal.ndim - 1):
        low, high = _pair(beside, axis)
        metal_low, metal_high = _pair(metal, axis)
        low |= metal_high
        high |= metal_low
    return beside & ~metal


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
    centres_low, centres_high = _pair_points(cells.centres, axis)
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


def _pair_points(points: Array, axis: int) -> tuple[Array, Array]:
    low = [slice(None)] * points.ndim
    high = [slice(None)] * points.ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return points[tuple(low)], points[tuple(high)]


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
    low, high = _pair_points(cells.centres, axis)
    outside, inside = (low[which], high[which]) if outside_is_low else (high[which], low[which])
    share = cylinder_share(inside, outside, radius)
    own[which] = full[which] * share
    far[which] = 0.0


def cylinder_share(inside: Array, outside: Array, radius: float) -> Array:
    """Share of the way from points inside (n, 3) to points outside at which the cylinder is met."""
    step = (outside - inside)[:, :2]
    a = (step**2).sum(axis=1)
    b = (inside[:, :2] * step).sum(axis=1)
    c = (inside[:, :2] ** 2).sum(axis=1) - radius**2
    share: Array = (-b + np.sqrt(np.maximum(b**2 - a * c, 0.0))) / np.maximum(a, 1e-30)
    return np.clip(share, 1e-3, 1.0)


def heat_links(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, tissue: Tissue, boundary: Boundary
) -> tuple[Array, ...]:
    """Thermal conductance (W/K) of each link, per axis."""
    links = []
    for axis in range(len(grid.axes)):
        low, high = _plain_resistances(grid, axis)
        k_low, k_high = _pair(tissue.thermal_conductivity, axis)
        link = 1.0 / (low / k_low + high / k_high)
        _mix_metal(grid, rods, cells, tissue, axis, link, low + high)
        in_low, in_high = _pair(tissue.domain | cells.metal, axis)
        link[~(in_low & in_high)] = 0.0
        out_low, out_high = _pair(cells.beyond, axis)
        _heat_at_cylinder(cells, boundary, axis, out_low & ~out_high, True, link)
        _heat_at_cylinder(cells, boundary, axis, out_high & ~out_low, False, link)
        links.append(link)
    return tuple(links)


def _plain_resistances(grid: TensorGrid, axis: int) -> tuple[Array, Array]:
    ndim = len(grid.axes)
    to_low, to_high = grid.axes[axis].half_resistances()
    section = _pair(np.broadcast_to(grid.cross_section(axis), grid.shape), axis)[0]
    return _along(to_high[:-1], axis, ndim) / section, _along(to_low[1:], axis, ndim) / section


def _mix_metal(
    grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, tissue: Tissue, axis: int, link: Array, full: Array
) -> None:
    """Links whose two cells touch metal: thin lines in parallel, metal and tissue in series on each."""
    near = np.abs(cells.distance) < 1.5 * cell_diagonal(grid)
    near_low, near_high = _pair(near, axis)
    which = near_low | near_high
    if not which.any():
        return
    index = np.nonzero(which)
    points = _line_points(grid, axis, index)
    distance, _, rod = nearest_rod(rods, points)
    metal_k = np.array([item.conductivity for item in rods])[rod]
    k_low, k_high = _pair(tissue.thermal_conductivity, axis)
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
    return _cartesian(grid, coordinates)


def _heat_at_cylinder(
    cells: Cells, boundary: Boundary, axis: int, which: Mask, outside_is_low: bool, link: Array
) -> None:
    if boundary.cylinder_radius is None or not which.any():
        return
    low, high = _pair_points(cells.centres, axis)
    outside, inside = (low[which], high[which]) if outside_is_low else (high[which], low[which])
    link[which] = link[which] / cylinder_share(inside, outside, boundary.cylinder_radius)


def end_faces(grid: TensorGrid) -> list[tuple[int, int, Array, Array]]:
    """The box's outer faces: (axis, -1 or 1, geometric conductance (m) to the face, face centres)."""
    faces = []
    for axis, item in enumerate(grid.axes):
        low, high = item.half_resistances()
        section = np.broadcast_to(grid.cross_section(axis), grid.shape)
        for sign, resistance, at in ((-1, low[0], item.faces[0]), (1, high[-1], item.faces[-1])):
            if not np.isfinite(resistance):
                continue
            edge = np.take(section, 0 if sign < 0 else -1, axis=axis)
            coordinates = [a.centres for a in grid.axes]
            coordinates[axis] = np.array([at])
            points = np.squeeze(grid.points(coordinates), axis=axis)
            faces.append((axis, sign, edge / resistance, points))
    return faces


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
    edge_heat, edge_c, needle_end = _heat_edges(grid, rods, cells, tissue, boundary)
    open_ends = _preconditioner_ends(grid, boundary)
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
        "heat_ground_c": edge_c,
        "needle_end": needle_end,
        "heat_free": outer,
        "coolant": _coolant(grid, rods, cells, control),
        "sensor_weights": weights,
        "modes": modes,
        "inverse": inverse / scale,
    }
    as_single = _single(fields)
    return Problem(
        **as_single,
        sensors=sensors,
        coolant_c=control.coolant_c,
        blood_c=control.blood_c,
        start_c=control.start_c,
        scale=scale,
        damage_ln_frequency=np.array([d.ln_frequency for d in control.damages]),
        damage_energy=np.array([d.energy for d in control.damages]),
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


def _coolant(grid: TensorGrid, rods: tuple[Rod, ...], cells: Cells, control: Control) -> Array:
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


def _heat_edges(
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
        section = np.broadcast_to(grid.cross_section(axis), grid.shape)
        area = _pair(section, axis)[0]
        in_low, in_high = _pair(inside, axis)
        low, high = _pair(film, axis)
        low += np.where(in_low & ~in_high, boundary.film * area, 0.0)
        high += np.where(in_high & ~in_low, boundary.film * area, 0.0)
    return film


def _preconditioner_ends(grid: TensorGrid, boundary: Boundary) -> list[tuple[float, float]]:
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
