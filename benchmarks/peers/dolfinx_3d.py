"""RF case in DOLFINx, three dimensions, second-order curved tetrahedra, PETSc.

Tuned: potential in every step of the ramp and every 4 s after, a mesh drawn out along the needle,
reduced quadrature, conjugate gradients with incomplete factors that are kept, warm starts, two MPI
processes. Plain: potential in every step, a mesh of equal-sided cells, the diagonal as
preconditioner, tolerance 1e-8, cold starts, one process. Needs Python 3.12 and ``requirements-dolfinx.txt``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import common
from common import (
    Array,
    Case,
    Clock,
    Step,
    arguments,
    emit,
    impedance_at,
    measure,
    read_case,
    say,
    schedule,
    treat,
)

# Common sets the number of threads before NumPy is loaded.
# isort: split
import numpy as np


class DolfinxModel:
    """The case in DOLFINx; vectors are NumPy arrays of the degrees of freedom that this process owns."""

    def __init__(self, source: Any, case: Case, options: Any) -> None:
        import dolfinx_solver  # noqa: F401 - must be imported before DOLFINx
        import ufl
        from dolfinx import fem
        from mpi4py import MPI

        self.case, self.options, self.tuned = case, options, options.variant == "tuned"
        self.comm, self.fem, self.ufl = MPI.COMM_WORLD, fem, ufl
        self._mesh(source)
        self.space = fem.functionspace(self.mesh, ("Lagrange", 2))
        self.owned = self.space.dofmap.index_map.size_local
        self.sigma, self.phi, self.held = (fem.Function(self.space) for _ in range(3))
        self.rest, self.rhs = (fem.Function(self.space) for _ in range(2))
        self.potential_solves, self.iterations = 0, {"heat": 0, "potential": 0}
        self._boundaries()
        self._forms()

    def _mesh(self, source: Any) -> None:
        import basix.ufl
        from dolfinx import mesh as dmesh
        from dolfinx.io.gmsh import cell_perm_array

        root = self.comm.rank == 0
        order = cell_perm_array(dmesh.CellType.tetrahedron, 10)
        cells = source.cells[:, order].astype(np.int64) if root else np.empty((0, 10), dtype=np.int64)
        points = source.points if root else np.empty((0, 3))
        element = basix.ufl.element("Lagrange", "tetrahedron", 2, shape=(3,))
        self.mesh = dmesh.create_mesh(self.comm, np.ascontiguousarray(cells), element, points)
        needle = self.comm.bcast(source.needle if root else None)
        self.cell_in_needle = needle[self.mesh.topology.original_cell_index]
        where = np.arange(len(self.cell_in_needle), dtype=np.int32)
        self.tags = dmesh.meshtags(self.mesh, 3, where, self.cell_in_needle.astype(np.int32))

    def _touching(self, cells: Array) -> Array:
        """Degrees of freedom of some cells, as a boolean array (ghosts too)."""
        from dolfinx.la import InsertMode

        mark = self.fem.Function(self.space)
        mark.x.array[self.space.dofmap.list[cells].ravel()] = 1.0
        mark.x.scatter_reverse(InsertMode.add)
        mark.x.scatter_forward()
        return mark.x.array > 0

    def _boundaries(self) -> None:
        x, case, near = self.space.tabulate_dof_coordinates(), self.case, 1e-7
        cold = (np.hypot(x[:, 0], x[:, 1]) > case.radius - near) | (np.abs(x[:, 2]) > case.half_length - near)
        needle, tissue = self._touching(self.cell_in_needle), self._touching(~self.cell_in_needle)
        tip = needle & tissue & (x[:, 2] <= case.active_end_z + near)
        self.held.x.array[:] = tip
        self.no_flow = np.flatnonzero(cold | tip | ~tissue).astype(np.int32)
        self.cold = np.flatnonzero(cold).astype(np.int32)
        self.cold_owned = self.cold[self.cold < self.owned]
        count = [(~cold)[: self.owned].sum(), (~(cold | tip | ~tissue))[: self.owned].sum()]
        self.unknowns = int(self.comm.allreduce(sum(count)))

    def _forms(self) -> None:
        fem, ufl, case = self.fem, self.ufl, self.case
        from dolfinx.fem import petsc

        self.petsc = petsc
        dx = ufl.Measure("dx", domain=self.mesh, subdomain_data=self.tags)
        degree = (2, 3) if self.tuned else (4, 4)
        stiff, source = (
            dx(0, metadata={"quadrature_degree": degree[0]}),
            dx(0, metadata={"quadrature_degree": degree[1]}),
        )
        u, v = ufl.TrialFunction(self.space), ufl.TestFunction(self.space)
        grad, inner = ufl.grad, ufl.inner
        zero = fem.Function(self.space)
        self.cold_bc = fem.dirichletbc(zero, self.cold)
        self.flow_bc = fem.dirichletbc(self.held, self.no_flow)
        flow = self.sigma * inner(grad(u), grad(v)) * stiff
        # Zero over the needle: factorisations need a place for every diagonal entry.
        flow += fem.Constant(self.mesh, 0.0) * u * v * dx(1)
        self.flow = fem.form(flow)
        self.heating = fem.form(self.sigma * inner(grad(self.phi), grad(self.phi)) * v * source)
        self.power = fem.form(self.sigma * inner(grad(self.phi), grad(self.phi)) * stiff)
        mass = case.tissue_rho_c * u * v * dx(0) + case.needle_rho_c * u * v * dx(1)
        loss = case.tissue_k * inner(grad(u), grad(v)) * dx(0) + case.needle_k * inner(grad(u), grad(v)) * dx(
            1
        )
        loss += case.perfusion * u * v * dx(0)
        self.mass = petsc.assemble_matrix(fem.form(mass), bcs=[self.cold_bc], diag=0.0)
        self.mass.assemble()
        self.loss = petsc.assemble_matrix(fem.form(loss), bcs=[self.cold_bc])
        self.loss.assemble()
        self.matrix = petsc.create_matrix(self.flow)
        self.work, self.result = self.mass.createVecs()

    def _solver(self, matrix: Any, kind: str) -> Any:
        from petsc4py import PETSc

        solver = PETSc.KSP().create(self.comm)
        solver.setOperators(matrix)
        solver.setType("cg")
        solver.setNormType(PETSc.KSP.NormType.NATURAL)
        solver.setTolerances(rtol=self.options.tolerance if self.tuned else 1e-8, max_it=5000)
        solver.setInitialGuessNonzero(self.tuned)
        pc = solver.getPC()
        pc.setType(kind)
        pc.setReusePreconditioner(self.tuned)
        solver.setErrorIfNotConverged(True)
        solver.setUp()
        return solver

    def prepare(self, steps: list[Step]) -> None:
        """Matrices, preconditioners and adjoints of all time steps."""
        self._heat: dict[float, tuple[Any, Array]] = {}
        load = self._sensor()
        for rate in sorted({step.rate for step in steps}, reverse=True):
            matrix = self.loss.copy()
            matrix.axpy(rate, self.mass)
            self._heat[rate] = (self._solver(matrix, self.options.heat_pc), load)
            self._heat[rate] = (self._heat[rate][0], self.solve(rate, load, np.zeros_like(load)))
        self._solve_potential(self.zero(), first=True)

    def _sensor(self) -> Array:
        """Values of the basis at the thermocouple, from the one process that owns its cell."""
        from dolfinx import geometry

        at = np.array([[0.0, 0.0, self.case.sensor_z]])
        cells = np.arange(self.mesh.topology.index_map(3).size_local, dtype=np.int32)
        tree = geometry.bb_tree(self.mesh, 3, entities=cells, padding=1e-9)
        found = geometry.compute_colliding_cells(self.mesh, geometry.compute_collisions_points(tree, at), at)
        cell = found.links(0)
        owner = self.comm.allreduce(self.comm.rank if len(cell) else self.comm.size, op=_minimum())
        load = self.fem.Function(self.space)
        if owner == self.comm.rank:
            corners = self.mesh.geometry.x[self.mesh.geometry.dofmaps[0][cell[0]]]
            inside = self.mesh.geometry.cmaps[0].pull_back(at, corners)
            values = self.space.element.basix_element.tabulate(0, inside)[0, 0, :, 0]
            load.x.array[self.space.dofmap.cell_dofs(cell[0])] = values
        from dolfinx.la import InsertMode

        load.x.scatter_reverse(InsertMode.add)
        load.x.array[self.cold] = 0.0
        return load.x.array[: self.owned].copy()

    def zero(self) -> Array:
        """Theta = 0."""
        return np.zeros(self.owned)

    def nodal(self, theta: Array) -> Array:
        """Damage is counted at the nodes."""
        return theta

    def history(self, combination: Array) -> Array:
        """Mass matrix times a vector."""
        self.work.setArray(combination)
        self.mass.mult(self.work, self.result)
        return self.result.getArray().copy()

    def adjoint(self, rate: float) -> Array:
        """Thermocouple response to a load."""
        return self._heat[rate][1]

    def solve(self, rate: float, load: Array, guess: Array) -> Array:
        """One heat step."""
        solver = self._heat[rate][0]
        self.work.setArray(load)
        self.result.setArray(guess)
        solver.solve(self.work, self.result)
        self.iterations["heat"] += solver.getIterationNumber()
        return self.result.getArray().copy()

    def dot(self, a: Array, b: Array) -> float:
        """Inner product over all processes."""
        return float(self.comm.allreduce(float(a @ b)))

    def _solve_potential(self, theta: Array, *, first: bool = False) -> None:
        from petsc4py import PETSc

        self.sigma.x.array[: self.owned] = self.case.conductivity(theta)
        self.sigma.x.scatter_forward()
        self.matrix.zeroEntries()
        self.petsc.assemble_matrix(self.matrix, self.flow, bcs=[self.flow_bc])
        self.matrix.assemble()
        if first or not self.tuned:
            self.potential = self._solver(self.matrix, self.options.potential_pc)
        if first:
            return
        # The unknown is the part that vanishes where the potential is held: tolerances then mean
        # the same as in the other peers.
        rhs = self.rhs.x.petsc_vec
        self.rhs.x.array[:] = 0.0
        self.petsc.apply_lifting(rhs, [self.flow], bcs=[[self.flow_bc]])
        rhs.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)
        self.rhs.x.array[self.no_flow] = 0.0
        self.potential.solve(rhs, self.rest.x.petsc_vec)
        self.rest.x.scatter_forward()
        self.phi.x.array[:] = self.rest.x.array + self.held.x.array
        self.iterations["potential"] += self.potential.getIterationNumber()

    def refresh(self, theta: Array) -> tuple[Array, float]:
        """Solve for the potential; heat load per volt squared and conductance."""
        self._solve_potential(theta)
        load = self.fem.assemble_vector(self.heating)
        from dolfinx.la import InsertMode

        load.scatter_reverse(InsertMode.add)
        load.array[self.cold_owned] = 0.0
        conductance = self.comm.allreduce(self.fem.assemble_scalar(self.power))
        self.potential_solves += 1
        return load.array[: self.owned].copy(), float(conductance)

    def gathered(self, field: Array, points: int) -> Array | None:
        """A field (owned values) at the points of the source mesh, on the first process."""
        whole = self.fem.Function(self.space)
        whole.x.array[: self.owned] = field
        whole.x.scatter_forward()
        geometry = self.mesh.geometry
        values = np.zeros(len(geometry.x))
        values[geometry.dofmaps[0].ravel()] = whole.x.array[self.space.dofmap.list.ravel()]
        parts = self.comm.gather((geometry.input_global_indices, values))
        if parts is None:
            return None
        joined = np.zeros(points)
        for index, part in parts:
            joined[index] = part
        return joined


def _minimum() -> Any:
    from mpi4py import MPI

    return MPI.MIN


def _result(model: DolfinxModel, source: Any, outcome: Any, numbers: dict[str, Any]) -> dict[str, Any] | None:
    import dolfinx
    from meshes import Sampler

    count = model.comm.bcast(len(source.points) if source else None)
    fields = [model.gathered(f, count) for f in (outcome.theta, np.log(np.maximum(outcome.omega, 1e-300)))]
    peak = model.comm.reduce(numbers.pop("peak_mb"))
    if source is None:
        return None
    sampler = Sampler(source)

    def sample(r: Array, z: Array, azimuth: float) -> tuple[Array, Array]:
        at = np.stack([r * np.cos(azimuth), r * np.sin(azimuth), z], axis=1)
        theta, omega = sampler.values(at, *fields)
        return theta, omega

    options = model.options
    return {
        "solver": "DOLFINx",
        "version": dolfinx.__version__,
        "dimension": "3d",
        "variant": options.variant,
        "unknowns": model.unknowns,
        "dt_s": options.dt,
        **numbers,
        "peak_mb": round(peak, 1),
        "processes": model.comm.size,
        "potential_solves": model.potential_solves,
        **measure(model.case, sample, 8, 0.1e-3),
        "impedance_ohm": impedance_at(outcome.impedance),
        "linear_solver": f"PETSc CG; heat: {options.heat_pc}; potential: {options.potential_pc}",
        "iterations": model.iterations,
    }


def run(options: Any) -> None:
    """What each process does."""
    import dolfinx_solver  # noqa: F401 - must be imported before mpi4py
    from meshes import plain_grading, solid_mesh, tuned_grading
    from mpi4py import MPI

    case, h, tuned = read_case(options.case), options.size_mm * 1e-3, options.variant == "tuned"
    clock, source = Clock(), None
    if MPI.COMM_WORLD.rank == 0:
        grading = tuned_grading(h) if tuned else plain_grading(h)
        source = solid_mesh(case, grading, stretch=6e-3 if tuned else None)
    MPI.COMM_WORLD.barrier()
    mesh_s = clock.lap()
    model = DolfinxModel(source, case, options)
    steps = schedule(case, options)
    model.prepare(steps)
    model.iterations = {"heat": 0, "potential": 0}
    setup_s = clock.lap()
    outcome = treat(model, case, steps)
    MPI.COMM_WORLD.barrier()
    wall_s = clock.lap()
    if source is not None:
        say(f"mesh {mesh_s} s, setup {setup_s} s, solve {wall_s} s, iterations {model.iterations}")
    numbers = {"wall_s": wall_s, "setup_s": setup_s, "mesh_s": mesh_s, "peak_mb": common.peak_mb()}
    result = _result(model, source, outcome, numbers)
    if result is not None:
        emit(options, result)


def main() -> None:
    """Start the processes, or be one of them."""
    parser = arguments(__doc__ or "", size_mm=0.45)
    parser.add_argument("--tolerance", type=float, default=1e-5, help="tuned: of the linear solvers")
    parser.add_argument("--processes", type=int, help="MPI processes (default: 2 tuned, 1 plain)")
    parser.add_argument("--heat-pc", help="PETSc preconditioner of the heat steps")
    parser.add_argument("--potential-pc", help="same, of the potential")
    options = parser.parse_args()
    usual = "bjacobi" if options.variant == "tuned" else "jacobi"
    options.heat_pc, options.potential_pc = options.heat_pc or usual, options.potential_pc or usual
    count = options.processes or (2 if options.variant == "tuned" else 1)
    if count == 1 or "PMI_SIZE" in os.environ:
        run(options)
        return
    launcher = os.path.join(sys.prefix, "bin", "mpiexec")
    sys.exit(subprocess.call([launcher, "-n", str(count), sys.executable, *sys.argv]))


if __name__ == "__main__":
    main()
