"""Meshes of second-order (curved) simplices for the peers that take one from Gmsh.

Cells are small at the needle, smallest at the ring where the insulation starts (the current density
is singular there), and grow linearly with the distance from the active tip.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from common import Array, Case


@dataclass(frozen=True)
class Grading:
    """Cell sizes (m): at the tip, at the ring, at the shaft (in three dimensions, before drawing out);
    growth per metre of distance, and the largest size."""

    tip: float
    ring: float
    growth: float
    largest: float
    ring_growth: float
    shaft: float = 1.0


@dataclass(frozen=True)
class SimplexMesh:
    """Points (n, dim) m, cells (m, 6 or 10) in Gmsh's node order, and which cells are needle."""

    points: Array
    cells: Array
    needle: Array


def cell_size(case: Case, g: Grading, r: Array, z: Array) -> Array:
    """Wanted cell size (m) at a point."""
    radius = case.needle_radius
    beyond = np.maximum(np.maximum(case.apex_z + radius - z, z - case.active_end_z), 0.0)
    away = np.maximum(np.hypot(r, beyond) - radius, 0.0)
    ring = np.hypot(r - radius, z - case.active_end_z)
    size = np.minimum(g.tip + g.growth * away, g.ring + g.ring_growth * ring)
    return np.minimum(size, g.largest)


def _start(name: str) -> Any:
    import gmsh

    gmsh.initialize(interruptible=False)
    gmsh.option.setNumber("General.Terminal", 0)
    gmsh.option.setNumber("General.NumThreads", 1)
    for key in ("MeshSizeExtendFromBoundary", "MeshSizeFromPoints", "MeshSizeFromCurvature"):
        gmsh.option.setNumber(f"Mesh.{key}", 0)
    gmsh.model.add(name)
    return gmsh


def _read(gmsh: Any, dim: int, kind: int, nodes: int, is_needle: Callable[[int], bool]) -> SimplexMesh:
    tags, xyz, _ = gmsh.model.mesh.getNodes()
    where = np.zeros(int(tags.max()) + 1, dtype=np.int64)
    where[tags] = np.arange(len(tags))
    cells, needle = [], []
    for _, entity in gmsh.model.getEntities(dim):
        _, found = gmsh.model.mesh.getElementsByType(kind, entity)
        block = where[found].reshape(-1, nodes)
        cells.append(block)
        needle.append(np.full(len(block), is_needle(entity)))
    joined = np.concatenate(cells)
    used, packed = np.unique(joined, return_inverse=True)
    points = xyz.reshape(-1, 3)[used]
    gmsh.finalize()
    return SimplexMesh(points, packed.reshape(joined.shape), np.concatenate(needle))


def axisymmetric_mesh(case: Case, g: Grading) -> SimplexMesh:
    """Triangles in the (r, z) half-plane, r >= 0."""
    gmsh = _start("axisymmetric")
    geo, radius, top = gmsh.model.geo, case.needle_radius, case.half_length
    places = [
        (0, -top), (case.radius, -top), (case.radius, top), (radius, top), (0, top),
        (radius, case.active_end_z), (radius, case.apex_z + radius), (0, case.apex_z),
        (0, case.apex_z + radius),
    ]  # fmt: skip
    p = [geo.addPoint(r, z, 0) for r, z in places]
    bottom, outer, over, lid, axis_in, axis_out = (
        geo.addLine(p[a], p[b]) for a, b in ((0, 1), (1, 2), (2, 3), (3, 4), (4, 7), (7, 0))
    )
    shaft, side = geo.addLine(p[3], p[5]), geo.addLine(p[5], p[6])
    end = geo.addCircleArc(p[6], p[8], p[7])
    tissue = geo.addPlaneSurface([geo.addCurveLoop([bottom, outer, over, shaft, side, end, axis_out])])
    needle = geo.addPlaneSurface([geo.addCurveLoop([lid, axis_in, -end, -side, -shaft])])
    geo.synchronize()
    gmsh.model.mesh.setSizeCallback(lambda d, t, x, y, z, lc: float(cell_size(case, g, x, y)))
    gmsh.model.mesh.generate(2)
    gmsh.model.mesh.setOrder(2)
    mesh = _read(gmsh, 2, 9, 6, lambda entity: entity == needle)
    assert tissue != needle
    return SimplexMesh(mesh.points[:, :2], mesh.cells, mesh.needle)


def tuned_grading(h: float) -> Grading:
    """For a mesh drawn out along the needle: coarse where it may be, found by trial on RF case 1."""
    return Grading(
        tip=h, ring=0.27 * h, growth=0.5, largest=8e-3, ring_growth=0.4, shaft=max(1.3 * h, 0.35e-3)
    )


def plain_grading(h: float) -> Grading:
    """Equal-sided cells, refined at the tip, the ring and the shaft."""
    return Grading(tip=h, ring=0.5 * h, growth=0.3, largest=8e-3, ring_growth=0.3, shaft=1.3 * h)


def _stretched(case: Case, z: Array, straight: float, length: float) -> Array:
    """Height in the domain of a height in the drawing; the same up to ``straight`` from the middle."""
    beyond = np.maximum(np.abs(z) - straight, 0.0)
    return np.sign(z) * (np.minimum(np.abs(z), straight) + length * np.expm1(beyond / length))


def solid_mesh(case: Case, g: Grading, *, stretch: float | None) -> SimplexMesh:
    """Tetrahedra in the whole cylinder.

    Beyond the tip the cells are drawn out along the needle (``stretch``: length in m over which the
    spacing grows by e; None: not at all), since along the shaft nothing changes quickly.
    """
    gmsh = _start("solid")
    occ, radius, end = gmsh.model.occ, case.needle_radius, case.active_end_z
    length, straight = stretch or 1e3, case.tip_length / 2 + 2e-3
    top = straight + length * float(np.log1p((case.half_length - straight) / length))
    ball = case.apex_z + radius
    gmsh.option.setNumber("Geometry.Tolerance", 1e-9)
    scale = 1e3  # drawn in millimetres
    box = occ.addCylinder(0, 0, -top * scale, 0, 0, 2 * top * scale, case.radius * scale)
    shaft = occ.addCylinder(0, 0, end * scale, 0, 0, (top - end) * scale, radius * scale)
    tip = occ.addCylinder(0, 0, ball * scale, 0, 0, (end - ball) * scale, radius * scale)
    sphere = occ.addSphere(0, 0, ball * scale, radius * scale)
    tip_parts, _ = occ.fuse([(3, tip)], [(3, sphere)])
    occ.fragment([(3, box)], [(3, shaft), *tip_parts])
    occ.synchronize()
    limit = 1.5 * radius * scale
    thin = {tag for _, tag in gmsh.model.getEntities(3) if gmsh.model.getBoundingBox(3, tag)[3] < limit}

    def wanted(d: int, t: int, x: float, y: float, z: float, lc: float) -> float:
        r = np.hypot(x, y) / scale
        along = g.shaft + g.growth * max(r - radius, 0.0)
        return min(float(cell_size(case, g, r, z / scale)), along) * scale

    gmsh.model.mesh.setSizeCallback(wanted)
    gmsh.option.setNumber("Mesh.Algorithm3D", 1)
    gmsh.option.setNumber("Mesh.Optimize", 1)
    gmsh.model.mesh.generate(3)
    gmsh.model.mesh.setOrder(2)
    mesh = _read(gmsh, 3, 11, 10, lambda entity: entity in thin)
    points = mesh.points / scale
    points[:, 2] = _stretched(case, points[:, 2], straight, length)
    _unfold(points, mesh.cells)
    return SimplexMesh(points, mesh.cells, mesh.needle)


def _unfold(points: Array, cells: Array, least: float = 0.05) -> None:
    """Make the edges straight of curved tetrahedra that fold over (a few, flat ones, on the shaft).

    A cell is bad where the Jacobian at one of its nodes is below ``least`` of the straight cell's.
    """
    ends = np.array(EDGES[10])
    w = np.concatenate([np.eye(4), 0.5 * (np.eye(4)[ends[:, 0]] + np.eye(4)[ends[:, 1]])])
    slope = np.zeros((10, 10, 4))  # node where evaluated, shape function, barycentric coordinate
    for k in range(4):
        slope[:, k, k] = 4 * w[:, k] - 1
    for k, (i, j) in enumerate(EDGES[10], start=4):
        slope[:, k, i], slope[:, k, j] = 4 * w[:, j], 4 * w[:, i]
    local = slope[:, :, 1:] - slope[:, :, :1]
    for _ in range(10):
        x = points[cells]
        curved = np.linalg.det(np.einsum("cnd,qnl->cqdl", x, local)).min(axis=1)
        straight = np.linalg.det(np.swapaxes(x[:, 1:4] - x[:, :1], 1, 2))
        bad = cells[curved < least * straight]
        if not len(bad):
            return
        points[bad[:, 4:]] = 0.5 * (points[bad[:, ends[:, 0]]] + points[bad[:, ends[:, 1]]])
    raise RuntimeError("the mesh has folded cells")


EDGES = {6: ((0, 1), (1, 2), (2, 0)), 10: ((0, 1), (1, 2), (2, 0), (3, 0), (2, 3), (1, 3))}
"""Vertices of the edge that each mid-edge node lies on, in Gmsh's order."""


class Sampler:
    """Values of nodal second-order fields at points, found by the nearest cell centres.

    Cells are taken as straight when a point is located; only cells at the needle are curved, by a few
    micrometres.
    """

    def __init__(self, mesh: SimplexMesh, candidates: int = 60) -> None:
        from scipy.spatial import cKDTree

        self.dim = mesh.points.shape[1]
        self.cells = mesh.cells
        corners = mesh.points[mesh.cells[:, : self.dim + 1]]
        self.origin = corners[:, 0]
        self.inverse = np.linalg.inv(np.swapaxes(corners[:, 1:] - corners[:, :1], 1, 2))
        self.tree = cKDTree(corners.mean(axis=1))
        self.candidates = min(candidates, len(corners))

    def locate(self, x: Array) -> tuple[Array, Array]:
        """Cell and barycentric coordinates of points (n, dim)."""
        cell = np.empty(len(x), dtype=np.int64)
        weights = np.empty((len(x), self.dim + 1))
        for begin in range(0, len(x), 20_000):
            part = slice(begin, begin + 20_000)
            near = self.tree.query(x[part], self.candidates)[1]
            local = np.einsum("nkij,nkj->nki", self.inverse[near], x[part, None] - self.origin[near])
            bary = np.concatenate([1 - local.sum(axis=2, keepdims=True), local], axis=2)
            best = bary.min(axis=2).argmax(axis=1)
            row = np.arange(len(best))
            cell[part], weights[part] = near[row, best], bary[row, best]
        return cell, weights

    def shape(self, x: Array) -> tuple[Array, Array]:
        """Mesh points and shape functions (n, nodes per cell) at points (n, dim)."""
        cell, w = self.locate(x)
        pairs = EDGES[self.cells.shape[1]]
        parts = [w * (2 * w - 1)] + [4 * w[:, [a]] * w[:, [b]] for a, b in pairs]
        return self.cells[cell], np.concatenate(parts, axis=1)

    def values(self, x: Array, *fields: Array) -> list[Array]:
        """Fields (one value per mesh point) at points (n, dim)."""
        nodes, shape = self.shape(x)
        return [np.sum(shape * f[nodes], axis=1) for f in fields]
