"""The RF case in scikit-fem, second-order simplices, in two or three dimensions.

Vectors hold theta at the unknown nodes only. :class:`PlainModel` assembles with the package's forms
whenever a coefficient changes; :class:`TunedModel` computes the element tensors once (with the
package's bases) and afterwards gets each matrix as one sparse product with the conductivity.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import meshio
import numpy as np
import scipy.sparse as sp
from common import Array, Case, Step
from meshes import Sampler, SimplexMesh
from skfem import Basis, BilinearForm, ElementTetP2, ElementTriP2, LinearForm, asm
from skfem.helpers import dot, grad
from skfem.io.meshio import from_meshio

TOLERANCE_M = 1e-7


class LinearSolver(Protocol):
    """Solves a symmetric positive definite system, given as its upper triangle or whole."""

    name: str

    def update(self, matrix: sp.csr_matrix) -> None:
        """Take a new matrix of the same sparsity."""

    def solve(self, b: Array, guess: Array) -> Array:
        """Solution for one right-hand side."""


@dataclass
class Space:
    """A mesh with its bases and the kinds of its nodes (boolean arrays over all nodes)."""

    heat: Basis
    axisymmetric: bool
    needle_cells: Array
    cold: Array
    tip: Array
    tissue: Array
    sampler: Sampler
    dof_of_point: Array

    def weight(self, basis: Basis) -> Array:
        """Quadrature weights with 2 pi r where the mesh is a half-plane (cells, points)."""
        x = basis.global_coordinates().value
        return basis.dx * (2 * np.pi * x[0] if self.axisymmetric else 1.0)

    def basis(self, cells: Array | None, order: int) -> Basis:
        """Basis on some cells with a quadrature exact for polynomials of ``order``."""
        return Basis(self.heat.mesh, self.heat.elem, elements=cells, intorder=order)

    @property
    def tissue_cells(self) -> Array:
        """Indices of the cells outside the needle."""
        return np.flatnonzero(~self.needle_cells)

    @property
    def unknown(self) -> Array:
        """Nodes where the temperature is unknown."""
        return np.flatnonzero(~self.cold)

    @property
    def electric(self) -> Array:
        """Nodes where the potential is unknown."""
        return np.flatnonzero(self.tissue & ~self.cold & ~self.tip)

    def values(self, x: Array, *fields: Array) -> list[Array]:
        """Fields over the unknown nodes, at points (dim, n); zero on the outer boundary."""
        found = []
        for field in fields:
            whole = np.zeros(self.heat.N)
            whole[self.unknown] = field
            found.append(whole[self.dof_of_point])
        return self.sampler.values(x.T, *found)


def element_space(mesh: SimplexMesh, dim: int, case: Case) -> Space:
    """Bases of second order on a mesh of the case."""
    from scipy.spatial import cKDTree

    kind = {2: "triangle6", 3: "tetra10"}[dim]
    order = [0, 1, 2, 3, 4, 5, 6, 7, 9, 8] if dim == 3 else [0, 1, 2, 3, 4, 5]  # Gmsh's to meshio's
    loaded = from_meshio(meshio.Mesh(mesh.points, [(kind, mesh.cells[:, order])]))
    basis = Basis(loaded, {2: ElementTriP2, 3: ElementTetP2}[dim](), intorder=4)
    x = basis.doflocs
    r = x[0] if dim == 2 else np.hypot(x[0], x[1])
    z = x[-1]
    corners = mesh.points[mesh.cells[:, : dim + 1]]
    needle = np.empty(len(mesh.cells), dtype=bool)
    needle[cKDTree(loaded.p[:, loaded.t].mean(axis=1).T).query(corners.mean(axis=1))[1]] = mesh.needle
    at_needle = np.zeros(basis.N, dtype=bool)
    at_needle[basis.element_dofs[:, needle]] = True
    tissue = np.zeros(basis.N, dtype=bool)
    tissue[basis.element_dofs[:, ~needle]] = True
    cold = (r > case.radius - TOLERANCE_M) | (np.abs(z) > case.half_length - TOLERANCE_M)
    tip = at_needle & tissue & (z <= case.active_end_z + TOLERANCE_M)
    points = cKDTree(x.T).query(mesh.points)[1]
    return Space(basis, dim == 2, needle, cold, tip, tissue, Sampler(mesh), points)


def from_first_order(space: Space, nodes: Array) -> sp.csr_matrix:
    """Interpolation from first-order elements to some of the second-order nodes.

    Columns are the vertices among ``nodes``; other vertices count as zero.
    """
    mesh = space.heat.mesh
    vertices, edges = np.arange(mesh.nvertices), mesh.edges if mesh.dim() == 3 else mesh.facets
    middle = mesh.nvertices + np.arange(edges.shape[1])
    rows, cols = np.concatenate([vertices, middle, middle]), np.concatenate([vertices, *edges])
    values = np.where(rows < mesh.nvertices, 1.0, 0.5)
    whole = sp.csr_matrix((values, (rows, cols)), shape=(space.heat.N, mesh.nvertices))
    return whole[nodes][:, nodes[nodes < mesh.nvertices]].tocsr()


class _Common:
    """Heat matrices, thermocouple and bookkeeping of both variants."""

    def __init__(self, space: Space, case: Case, heat_solver: Callable[[], Any]) -> None:
        self.space, self.case = space, case
        self.free = space.unknown
        self.unknowns = len(space.unknown) + len(space.electric)
        self.potential_solves = 0
        self._new_solver = heat_solver
        self._heat: dict[float, tuple[Any, Array]] = {}
        self._assemble_heat()

    def _assemble_heat(self) -> None:
        s, case = self.space, self.case
        tissue, steel = s.basis(s.tissue_cells, 5), s.basis(np.flatnonzero(s.needle_cells), 5)
        ring = (lambda w: 2 * np.pi * w.x[0]) if s.axisymmetric else (lambda w: 1.0)
        mass = BilinearForm(lambda u, v, w: u * v * ring(w))
        stiff = BilinearForm(lambda u, v, w: dot(grad(u), grad(v)) * ring(w))
        mass_t, mass_n = asm(mass, tissue), asm(mass, steel)
        keep = (self.free[:, None], self.free)
        self.mass = (case.tissue_rho_c * mass_t + case.needle_rho_c * mass_n).tocsr()[keep].tocsr()
        spread = case.tissue_k * asm(stiff, tissue) + case.needle_k * asm(stiff, steel)
        self.loss = (spread + case.perfusion * mass_t).tocsr()[keep].tocsr()
        here = np.zeros((1, s.heat.mesh.dim()))
        here[0, -1] = case.sensor_z
        nodes, shape = s.sampler.shape(here)
        self.sensor = np.zeros(s.heat.N)
        self.sensor[s.dof_of_point[nodes[0]]] = shape[0]
        self.sensor = self.sensor[self.free]

    def prepare(self, steps: list[Step]) -> None:
        """Matrices, factors and adjoints of all time steps."""
        for rate in sorted({step.rate for step in steps}, reverse=True):
            solver = self._new_solver()
            solver.update((self.loss + rate * self.mass).tocsr())
            self._heat[rate] = (solver, solver.solve(self.sensor, np.zeros_like(self.sensor)))

    def zero(self) -> Array:
        """Theta = 0."""
        return np.zeros(len(self.free))

    def history(self, combination: Array) -> Array:
        """Mass matrix times a vector."""
        return self.mass @ combination

    def adjoint(self, rate: float) -> Array:
        """Thermocouple response to a load."""
        return self._heat[rate][1]

    def solve(self, rate: float, load: Array, guess: Array) -> Array:
        """One heat step."""
        return self._heat[rate][0].solve(load, guess)

    def dot(self, a: Array, b: Array) -> float:
        """Inner product."""
        return float(a @ b)

    def nodal(self, theta: Array) -> Array:
        """Damage is counted at the unknown nodes."""
        return theta

    def _whole(self, theta: Array) -> Array:
        field = np.zeros(self.space.heat.N)
        field[self.free] = theta
        return field


class TunedModel(_Common):
    """Element tensors computed once; each refresh is a sparse product, a solve and two products."""

    def __init__(
        self,
        space: Space,
        case: Case,
        heat_solver: Callable[[], Any],
        potential_solver: Callable[[], Any] | None = None,
        order: int = 3,
    ) -> None:
        super().__init__(space, case, heat_solver)
        self.electric = space.electric
        self.potential = (potential_solver or heat_solver)()
        self._precompute(space.basis(space.tissue_cells, order))
        self.phi = np.zeros(len(self.electric))
        self._sigma_used = np.zeros(0)

    def _precompute(self, basis: Basis) -> None:
        s = self.space
        cells, points = basis.dx.shape
        weight = s.weight(basis).ravel()
        column = np.arange(cells * points).reshape(cells, points)
        values = [np.broadcast_to(b[0].value, basis.dx.shape) for b in basis.basis]
        grads = [b[0].grad for b in basis.basis]
        dofs = basis.element_dofs
        self.at_points = _gather(dofs, values, column, s.heat.N)
        self.gradients = [
            _gather(dofs, [g[d] for g in grads], column, s.heat.N) for d in range(grads[0].shape[0])
        ]
        self.weight = weight
        self.theta_at_points = self.at_points[:, self.free].tocsr()
        self.to_load = (self.theta_at_points.T @ sp.diags(weight)).tocsr()
        self.grad_free = [g[:, self.electric].tocsr() for g in self.gradients]
        held = np.where(s.tip, 1.0, 0.0)
        self.grad_held = [g @ held for g in self.gradients]
        self._tensor(dofs, grads, basis.dx.shape)
        del self.gradients, self.at_points

    def _tensor(self, dofs: Array, grads: list[Array], shape: tuple[int, int]) -> None:
        """Sparse map from conductivity at the quadrature points to the matrix' upper triangle."""
        n = len(self.electric)
        number = np.full(self.space.heat.N, -1)
        number[self.electric] = np.arange(n)
        cells, points = shape
        weight = self.weight.reshape(shape)
        rows, vals, cols = [], [], []
        column = np.arange(cells * points).reshape(shape)
        for i in range(len(dofs)):
            for j in range(i, len(dofs)):
                a, b = number[dofs[i]], number[dofs[j]]
                both = (a >= 0) & (b >= 0)
                key = np.minimum(a, b)[both].astype(np.int64) * n + np.maximum(a, b)[both]
                product = sum(gi * gj for gi, gj in zip(grads[i], grads[j], strict=True)) * weight
                rows.append(np.repeat(key, points))
                vals.append(product[both].ravel())
                cols.append(column[both].ravel())
        keys = np.concatenate(rows)
        unique, position = np.unique(keys, return_inverse=True)
        entries = (np.concatenate(vals), (position, np.concatenate(cols)))
        self.tensor = sp.csr_matrix(entries, shape=(len(unique), cells * points))
        upper = sp.csr_matrix(
            (np.arange(1, len(unique) + 1, dtype=float), (unique // n, unique % n)), shape=(n, n)
        )
        whole = (upper + sp.triu(upper, 1).T).tocsr()
        whole.sort_indices()
        self.from_upper = whole.data.astype(np.int64) - 1
        self.pattern = whole

    def refresh(self, theta: Array) -> tuple[Array, float]:
        """Solve for the potential; heat load per volt squared and conductance."""
        sigma = self.case.conductivity(self.theta_at_points @ theta)
        data = (self.tensor @ sigma)[self.from_upper]
        matrix = sp.csr_matrix((data, self.pattern.indices, self.pattern.indptr), shape=self.pattern.shape)
        flux = sigma * self.weight
        rhs = -sum(g.T @ (flux * h) for g, h in zip(self.grad_free, self.grad_held, strict=True))
        self.potential.update(matrix)
        self.phi = self.potential.solve(rhs, self.phi)
        field = [g @ self.phi + h for g, h in zip(self.grad_free, self.grad_held, strict=True)]
        joule = sigma * sum(e * e for e in field)
        self.potential_solves += 1
        return self.to_load @ joule, float(joule @ self.weight)

    def describe(self) -> str:
        """Solvers used."""
        heat = next(iter(self._heat.values()))[0]
        return f"heat: {heat.name}; potential: {self.potential.name}"


def _gather(dofs: Array, values: list[Array], column: Array, n: int) -> sp.csr_matrix:
    """Sparse matrix that evaluates a field (n nodes) at all quadrature points."""
    rows = np.concatenate([column.ravel()] * len(values))
    cols = np.concatenate([np.repeat(d, column.shape[1]) for d in dofs])
    entries = (np.concatenate([v.ravel() for v in values]), (rows, cols))
    return sp.csr_matrix(entries, shape=(column.size, n))


class PlainModel(_Common):
    """The package's own forms, assembled anew in every step."""

    def __init__(
        self,
        space: Space,
        case: Case,
        heat_solver: Callable[[], Any],
        potential_solver: Callable[[], Any] | None = None,
    ) -> None:
        super().__init__(space, case, heat_solver)
        self.potential = (potential_solver or heat_solver)()
        self.electric = space.electric
        self.tissue = space.basis(space.tissue_cells, 4)
        self.phi = space.tip.astype(float)
        ring = (lambda w: 2 * np.pi * w.x[0]) if space.axisymmetric else (lambda w: 1.0)
        self.flow = BilinearForm(lambda u, v, w: case.conductivity(w.theta) * dot(grad(u), grad(v)) * ring(w))
        self.heating = LinearForm(
            lambda v, w: case.conductivity(w.theta) * dot(grad(w.phi), grad(w.phi)) * v * ring(w)
        )

    def refresh(self, theta: Array) -> tuple[Array, float]:
        """Solve for the potential; heat load per volt squared and conductance."""
        field = self.tissue.interpolate(self._whole(theta))
        matrix = self.flow.assemble(self.tissue, theta=field).tocsr()
        held = np.where(self.space.tip, 1.0, 0.0)
        rhs = -(matrix @ held)[self.electric]
        self.potential.update(matrix[self.electric[:, None], self.electric].tocsr())
        phi = held.copy()
        phi[self.electric] = self.potential.solve(rhs, self.phi[self.electric])
        self.phi = phi
        load = self.heating.assemble(self.tissue, theta=field, phi=self.tissue.interpolate(phi))
        self.potential_solves += 1
        return load[self.free], float(phi @ (matrix @ phi))

    def describe(self) -> str:
        """Solvers used."""
        heat = next(iter(self._heat.values()))[0]
        return f"heat: {heat.name}; potential: {self.potential.name}"
