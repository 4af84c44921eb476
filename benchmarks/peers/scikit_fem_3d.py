"""RF case in scikit-fem, three dimensions, second-order curved tetrahedra in the whole cylinder.

Tuned: potential in every step of the ramp and every 4 s after, precomputed element tensors, a mesh
drawn out along the needle, conjugate gradients with a two-level preconditioner and warm starts.
Plain: potential in every step, assembled with the package's forms, SciPy's conjugate gradients with
the diagonal, a mesh of equal-sided cells.
"""

from __future__ import annotations

from typing import Any

from common import (
    Array,
    Clock,
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


def _model(space: Any, case: Any, variant: str, tolerance: float) -> Any:
    from linear_solvers import SciPyCG, TwoLevelCG
    from scikit_fem_model import PlainModel, TunedModel, from_first_order

    if variant == "plain":
        return PlainModel(space, case, SciPyCG)
    heat, flow = from_first_order(space, space.unknown), from_first_order(space, space.electric)
    return TunedModel(
        space, case, lambda: TwoLevelCG(heat, tolerance), lambda: TwoLevelCG(flow, tolerance), order=2
    )


def main() -> None:
    """Run and print."""
    parser = arguments(__doc__ or "", size_mm=0.45)
    parser.add_argument("--tolerance", type=float, default=1e-5, help="tuned: of the linear solvers")
    options = parser.parse_args()
    case = read_case(options.case)

    import skfem
    from meshes import plain_grading, solid_mesh, tuned_grading
    from scikit_fem_model import element_space

    clock = Clock()
    h = options.size_mm * 1e-3
    tuned = options.variant == "tuned"
    mesh = solid_mesh(case, tuned_grading(h) if tuned else plain_grading(h), stretch=6e-3 if tuned else None)
    mesh_s = clock.lap()
    space = element_space(mesh, 3, case)
    model = _model(space, case, options.variant, options.tolerance)
    steps = schedule(case, options)
    model.prepare(steps)
    setup_s = clock.lap()
    say(f"mesh {mesh_s} s, setup {setup_s} s, {model.unknowns} unknowns")
    outcome = treat(model, case, steps)
    wall_s = clock.lap()
    peak = peak_mb()
    say(f"solve {wall_s} s")
    omega = np.log(np.maximum(outcome.omega, 1e-300))

    def sample(r: Array, z: Array, azimuth: float) -> tuple[Array, Array]:
        at = np.vstack([r * np.cos(azimuth), r * np.sin(azimuth), z])
        return space.values(at, outcome.theta, omega)

    emit(
        options,
        {
            "solver": "scikit-fem",
            "version": skfem.__version__,
            "dimension": "3d",
            "variant": options.variant,
            "unknowns": model.unknowns,
            "dt_s": options.dt,
            "wall_s": wall_s,
            "setup_s": setup_s,
            "mesh_s": mesh_s,
            "peak_mb": peak,
            "potential_solves": model.potential_solves,
            **measure(case, sample, 8, 0.1e-3),
            "impedance_ohm": impedance_at(outcome.impedance),
            "linear_solver": model.describe(),
        },
    )


if __name__ == "__main__":
    main()
