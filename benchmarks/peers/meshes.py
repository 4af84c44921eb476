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
    """Cell sizes (m): at the tip, at the ring; growth per metre of distance, and the largest size."""

    tip: float
    ring: float
    growth: float
    largest: float
    ring_growth: float


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
