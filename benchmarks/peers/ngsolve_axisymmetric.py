"""RF case in NGSolve, axisymmetric, second order, sparse Cholesky.

Tuned: potential in every step of the ramp and every 4 s after, the symbolic factorisation kept.
Plain: potential in every step, a new inverse each time. The mesh is Netgen's.
"""

from __future__ import annotations

from typing import Any

from common import (
    Array,
    Case,
    Clock,
    Step,
    arguments,
    emit,
    impedance_at,
    measure,
    peak_mb,
    read_case,
    say,
    schedule,
    treat,
)

# Common sets the number of threads before NumPy is loaded.
# isort: split
import numpy as np


def make_mesh(case: Case, h: float) -> Any:
    """Curved triangles in the (r, z) half-plane, in metres: materials ``tissue`` and ``needle``."""
    import ngsolve
    from netgen.geom2d import SplineGeometry

    geo = SplineGeometry()
    a, top, end, apex = case.needle_radius, case.half_length, case.active_end_z, case.apex_z
    places: list[tuple[float, float, float | None]] = [
        (0, -top, None), (case.radius, -top, None), (case.radius, top, None), (a, top, None),
        (0, top, None), (a, end, 0.1 * h), (a, apex + a, h), (a, apex, None), (0, apex, h),
    ]  # fmt: skip
    # The curve's control point (7) is no mesh point.
    p = [geo.AppendPoint(x, z) if s is None else geo.AppendPoint(x, z, maxh=s) for x, z, s in places]

    def line(i: int, j: int, left: int, right: int, name: str, maxh: float = 1.0) -> None:
        geo.Append(["line", p[i], p[j]], leftdomain=left, rightdomain=right, bc=name, maxh=maxh)

    line(0, 1, 1, 0, "cold")
    line(1, 2, 1, 0, "cold")
    line(2, 3, 1, 0, "cold")
    line(3, 4, 2, 0, "cold")
    line(4, 8, 2, 0, "axis")
    line(8, 0, 1, 0, "axis")
    line(3, 5, 1, 2, "shaft")
    line(5, 6, 1, 2, "tip", h)
    geo.Append(["spline3", p[6], p[7], p[8]], leftdomain=1, rightdomain=2, bc="tip", maxh=h)
    geo.SetMaterial(1, "tissue")
    geo.SetMaterial(2, "needle")
    mesh = ngsolve.Mesh(geo.GenerateMesh(maxh=8e-3, grading=0.25))
    mesh.Curve(2)
    return mesh


class NgsModel:
    """The case in NGSolve; vectors are NumPy arrays of its hierarchic coefficients."""

    def __init__(self, mesh: Any, case: Case, tuned: bool) -> None:
        import ngsolve as ngs

        self.ngs, self.case, self.tuned, self.mesh = ngs, case, tuned, mesh
        self.heat_space = ngs.H1(mesh, order=2, dirichlet="cold")
        self.flow_space = ngs.H1(mesh, order=2, definedon="tissue", dirichlet="cold|tip")
        self.free = np.array(list(self.heat_space.FreeDofs()), dtype=bool)
        self.unknowns = int(self.free.sum()) + sum(self.flow_space.FreeDofs())
        self.potential_solves = 0
        self.theta = ngs.GridFunction(self.heat_space)
        self.phi = ngs.GridFunction(self.flow_space)
        self.phi.Set(1.0, definedon=mesh.Boundaries("tip"))
        self.held = self.phi.vec.CreateVector()
        self.held.data = self.phi.vec
        self._nodes()
        self._forms()

    def _nodes(self) -> None:
        """Ends and coefficient of each edge; value of an edge function at the middle of its edge."""
        ngs, space = self.ngs, self.heat_space
        edges = list(self.mesh.edges)
        self.ends = np.array([[v.nr for v in e.vertices] for e in edges]).T
        self.edge = np.array([space.GetDofNrs(ngs.NodeId(ngs.EDGE, e.nr))[0] for e in edges])
        corners = np.array([v.point for v in self.mesh.vertices])
        straight = int(np.argmax(np.linalg.norm(corners[self.ends[0]] - corners[self.ends[1]], axis=1)))
        middle = corners[self.ends[:, straight]].mean(axis=0)
        self.theta.vec[int(self.edge[straight])] = 1.0
        self.bubble = self.theta(self.mesh(*(0.999999 * middle))) / 1.0
        self.theta.vec[:] = 0.0

    def nodal(self, theta: Array) -> Array:
        """Values at vertices and edge middles."""
        values = theta.copy()
        values[self.edge] = theta[self.ends].mean(axis=0) + self.bubble * theta[self.edge]
        return values

    def hierarchic(self, values: Array) -> Array:
        """Coefficients of the field with these values at vertices and edge middles."""
        theta = values.copy()
        theta[self.edge] = (values[self.edge] - values[self.ends].mean(axis=0)) / self.bubble
        return theta

    def _forms(self) -> None:
        ngs, case = self.ngs, self.case
        u, v = self.heat_space.TnT()
        ring = 2 * np.pi * ngs.x
        rho_c = self.mesh.MaterialCF({"tissue": case.tissue_rho_c, "needle": case.needle_rho_c})
        k = self.mesh.MaterialCF({"tissue": case.tissue_k, "needle": case.needle_k})
        self.mass = ngs.BilinearForm(rho_c * u * v * ring * ngs.dx, symmetric=True).Assemble()
        loss = ngs.BilinearForm(k * ngs.grad(u) * ngs.grad(v) * ring * ngs.dx, symmetric=True)
        loss += case.perfusion * u * v * ring * ngs.dx("tissue")
        self.loss = loss.Assemble()
        celsius = ngs.IfPos(
            self.theta + case.body_c - case.sigma_cap_c, case.sigma_cap_c, self.theta + case.body_c
        )
        sigma = case.sigma * (1 + case.sigma_slope * (celsius - 37.0))
        p, q = self.flow_space.TnT()
        self.flow = ngs.BilinearForm(sigma * ngs.grad(p) * ngs.grad(q) * ring * ngs.dx, symmetric=True)
        joule = sigma * ngs.grad(self.phi) * ngs.grad(self.phi) * ring
        self.heating = ngs.LinearForm(joule * v * ngs.dx("tissue"))
        self.inverse: Any = None

    def prepare(self, steps: list[Step]) -> None:
        """Matrices, factors and adjoints of all time steps."""
        self._heat: dict[float, tuple[Any, Array]] = {}
        load = self.ngs.LinearForm(self.heat_space)
        load += self.heat_space.TestFunction()(0.0, self.case.sensor_z)
        load.Assemble()
        for rate in {step.rate for step in steps}:
            matrix = self.mass.mat.CreateMatrix()
            matrix.AsVector().data = self.loss.mat.AsVector() + rate * self.mass.mat.AsVector()
            inverse = matrix.Inverse(self.heat_space.FreeDofs(), inverse="sparsecholesky")
            solution = self.theta.vec.CreateVector()
            solution.data = inverse * load.vec
            self._heat[rate] = (inverse, solution.FV().NumPy().copy())
        self.work = self.theta.vec.CreateVector()
        self.result = self.theta.vec.CreateVector()

    def zero(self) -> Array:
        """Theta = 0."""
        return np.zeros(self.heat_space.ndof)

    def _apply(self, operator: Any, vector: Array) -> Array:
        self.work.FV().NumPy()[:] = vector
        self.result.data = operator * self.work
        return self.result.FV().NumPy().copy()

    def history(self, combination: Array) -> Array:
        """Mass matrix times a vector."""
        return self._apply(self.mass.mat, combination)

    def adjoint(self, rate: float) -> Array:
        """Thermocouple response to a load."""
        return self._heat[rate][1]

    def solve(self, rate: float, load: Array, guess: Array) -> Array:
        """One heat step."""
        return self._apply(self._heat[rate][0], load)

    def dot(self, a: Array, b: Array) -> float:
        """Inner product (the adjoint is zero on the cold boundary)."""
        return float(a @ b)

    def refresh(self, theta: Array) -> tuple[Array, float]:
        """Solve for the potential; heat load per volt squared and conductance."""
        self.theta.vec.FV().NumPy()[:] = theta
        self.flow.Assemble()
        if self.inverse is None or not self.tuned:
            self.inverse = self.flow.mat.Inverse(self.flow_space.FreeDofs(), inverse="sparsecholesky")
        else:
            self.inverse.Update()
        residual = self.held.CreateVector()
        residual.data = self.flow.mat * self.held
        self.phi.vec.data = self.held - self.inverse * residual
        self.heating.Assemble()
        residual.data = self.flow.mat * self.phi.vec
        self.potential_solves += 1
        conductance = self.ngs.InnerProduct(residual, self.phi.vec)
        return self.heating.vec.FV().NumPy().copy(), float(conductance)


def main() -> None:
    """Run and print."""
    parser = arguments(__doc__ or "", size_mm=0.5)
    parser.add_argument("--threads", type=int, default=1, help="threads of NGSolve's task manager")
    options = parser.parse_args()
    case = read_case(options.case)

    import ngsolve

    ngsolve.ngsglobals.msg_level = 0
    ngsolve.SetNumThreads(options.threads)
    clock = Clock()
    mesh = make_mesh(case, options.size_mm * 1e-3)
    mesh_s = clock.lap()
    with ngsolve.TaskManager():
        model = NgsModel(mesh, case, options.variant == "tuned")
        steps = schedule(case, options)
        model.prepare(steps)
        setup_s = clock.lap()
        outcome = treat(model, case, steps)
        wall_s = clock.lap()
    peak = peak_mb()
    say(f"mesh {mesh_s} s, setup {setup_s} s, solve {wall_s} s")

    damage = ngsolve.GridFunction(model.heat_space)
    damage.vec.FV().NumPy()[:] = model.hierarchic(np.log(np.maximum(outcome.omega, 1e-300)))
    model.theta.vec.FV().NumPy()[:] = outcome.theta

    def sample(r: Array, z: Array, _: float) -> tuple[Array, Array]:
        at = mesh(np.maximum(r, 1e-9), z)
        return model.theta(at).ravel(), damage(at).ravel()

    emit(
        options,
        {
            "solver": "NGSolve",
            "version": ngsolve.__version__,
            "dimension": "axisymmetric",
            "variant": options.variant,
            "unknowns": model.unknowns,
            "dt_s": options.dt,
            "wall_s": wall_s,
            "setup_s": setup_s,
            "mesh_s": mesh_s,
            "peak_mb": peak,
            "potential_solves": model.potential_solves,
            **measure(case, sample, 1, 0.05e-3),
            "impedance_ohm": impedance_at(outcome.impedance),
            "linear_solver": "sparse Cholesky",
        },
    )


if __name__ == "__main__":
    main()
