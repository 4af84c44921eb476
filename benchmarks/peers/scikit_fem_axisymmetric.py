"""RF case in scikit-fem, axisymmetric, P2 triangles, direct solves.

Tuned: potential in every step of the ramp and every 4 s after, matrices from precomputed element
tensors, MKL Pardiso where it is installed. Plain: potential in every step, assembled by the package's
own forms, SuperLU.
"""

from __future__ import annotations

import common
from common import Clock, arguments, emit, impedance_at, measure, peak_mb, read_case, schedule, treat


def main() -> None:
    """Run and print."""
    parser = arguments(__doc__ or "", size_mm=0.5)
    options = parser.parse_args()
    case = read_case(options.case)

    import numpy as np
    import skfem
    from linear_solvers import PardisoSolver, SuperLUSolver
    from meshes import Grading, axisymmetric_mesh
    from scikit_fem_model import PlainModel, TunedModel, element_space

    clock = Clock()
    h = options.size_mm * 1e-3
    grading = Grading(tip=h, ring=0.1 * h, growth=0.25, largest=8e-3, ring_growth=0.25)
    mesh = axisymmetric_mesh(case, grading)
    mesh_s = clock.lap()
    space = element_space(mesh, 2, case)
    model = (
        TunedModel(space, case, PardisoSolver)
        if options.variant == "tuned"
        else PlainModel(space, case, SuperLUSolver)
    )
    steps = schedule(case, options)
    model.prepare(steps)
    setup_s = clock.lap()
    outcome = treat(model, case, steps)
    wall_s = clock.lap()
    peak = peak_mb()
    common.say(f"mesh {mesh_s} s, setup {setup_s} s, solve {wall_s} s")

    omega = np.log(np.maximum(outcome.omega, 1e-300))

    def sample(r: common.Array, z: common.Array, _: float) -> tuple[common.Array, common.Array]:
        return space.values(np.vstack([r, z]), outcome.theta, omega)

    emit(
        options,
        {
            "solver": "scikit-fem",
            "version": skfem.__version__,
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
            "linear_solver": model.describe(),
        },
    )


if __name__ == "__main__":
    main()
