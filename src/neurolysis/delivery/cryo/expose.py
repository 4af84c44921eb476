"""Simulate a freezing plan in a scene: prepare, solve, wrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from neurolysis.delivery.cryo import geometry, tissue
from neurolysis.delivery.cryo.protocol import CryoProtocol, stretches
from neurolysis.delivery.heat.grids import finest_mm
from neurolysis.delivery.technique import Progress
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.evidence.freezing import freezing_body
from neurolysis.exposure import Exposure
from neurolysis.geometry import RigidTransform
from neurolysis.plan import Numerics, Placement, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.freezing import Freezing
    from neurolysis.physics.freezing_run import Result
    from neurolysis.physics.grid import TensorGrid

SKIN_FILM_W_PER_M2_K = Quantity(
    value=10.0, unit="W/(m2 K)", low=5.0, high=25.0, basis="assumption",
    source="assumption: no film coefficient of skin in still air was read",
)  # fmt: skip
ROOM_C = Quantity(
    value=22.0, unit="°C", low=18.0, high=26.0, basis="assumption", source="assumption: room temperature"
)


@dataclass(frozen=True)
class Prepared:
    """A problem with the geometry needed to read its answer."""

    problem: Freezing
    grid: TensorGrid
    frame: RigidTransform
    sampled: tissue.Sampled
    metal: Any


def levels_c() -> tuple[float, ...]:
    """Temperatures whose volume and time below are followed: those of the criteria."""
    return tuple(criterion.threshold for criterion in lesion_criteria("cold"))


def recipe(plan: Plan) -> CryoProtocol:
    """The plan's protocol as what it is; TypeError for another technique's plan."""
    if not isinstance(plan.protocol, CryoProtocol):
        raise TypeError(f"not a plan of this technique: {plan.protocol.technique}")
    return plan.protocol


def prepare(scene: Scene, placements: tuple[Placement, ...], numerics: Numerics) -> Prepared:
    """Sample the scene onto a graded grid round the probes and assemble the arrays.

    Raises:
        InputError: a probe that is not straight, or not parallel to the first.
    """
    from neurolysis.physics.cells import locate_cells
    from neurolysis.physics.freezing_setup import assemble_freezing
    from neurolysis.physics.setup import Boundary

    rods = geometry.rods_of(placements, numerics.extent_mm + geometry.BEYOND_BOX_MM)
    finest = min(finest_mm(p.instrument.outer_radius_mm.value, numerics) for p in placements)
    grid = geometry.build_grid(rods, finest, numerics)
    frame = placements[0].frame()
    sampled = tissue.sample(scene, grid, frame)
    warm = scene.body_temperature_c
    boundary = Boundary("open", warm, air_c=ROOM_C.value, film=SKIN_FILM_W_PER_M2_K.value)
    cells = locate_cells(grid, rods, boundary)
    problem = assemble_freezing(
        grid,
        rods,
        tissue.tissue_arrays(sampled, scene.properties),
        boundary,
        freezing_body().film_w_per_m2_k.value,
        start_c=warm,
        blood_c=warm,
        levels_c=levels_c(),
        cells=cells,
    )
    return Prepared(problem, grid, frame, sampled, cells.metal)


def solve(prepared: Prepared, protocol: CryoProtocol, numerics: Numerics, progress: Progress) -> Result:
    """Run the cycles."""
    from neurolysis.physics.freezing_run import make_steps, run_freezing

    parts = stretches(
        start_c=prepared.problem.zero_c,
        tip_c=protocol.tip_temperature_c,
        ramp_s=protocol.ramp_s,
        freeze_s=protocol.freeze_s,
        cycles=protocol.cycles,
        thaw_s=protocol.thaw_s,
        thaw_c=protocol.thaw_temperature_c,
        power_w=protocol.maximum_power_w,
    )
    return run_freezing(prepared.problem, make_steps(parts, numerics.time_step_s), progress=progress)


def expose(scene: Scene, plan: Plan, progress: Progress) -> Exposure:
    """Simulate the plan; the exposure's fields lie on the first probe's grid.

    Raises:
        InputError: probes that are not straight and parallel.
        SolverError: no convergence, or a broken balance.
    """
    from neurolysis.delivery.cryo.wrap import wrap

    progress(0.02, "sampling tissue")
    prepared = prepare(scene, plan.placements, plan.numerics)
    result = solve(prepared, recipe(plan), plan.numerics, lambda f, m: progress(0.05 + 0.9 * f, m))
    progress(1.0, "measuring the ice")
    return wrap(plan, recipe(plan), prepared, result)
