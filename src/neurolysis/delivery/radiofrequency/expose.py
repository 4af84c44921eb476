"""Simulate a radiofrequency plan in a scene: prepare, solve, wrap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.delivery.heat import reactions, tissue
from neurolysis.delivery.heat import vaporisation as boiling
from neurolysis.delivery.heat.grids import MM
from neurolysis.delivery.radiofrequency import geometry, phases
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.delivery.technique import Progress
from neurolysis.errors import InputError
from neurolysis.exposure import Exposure
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.plan import Numerics, Placement, Plan
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.problem import Problem
    from neurolysis.physics.rods import Rod
    from neurolysis.physics.treatment import Result

WARM_FLUID_C = 38.0
"""A fluid-filled space that stays below this as a solid is not solved again with its fluid at 37 C."""


@dataclass(frozen=True)
class Prepared:
    """A problem with the geometry needed to read its answer."""

    problem: Problem
    grid: TensorGrid
    rods: tuple[Rod, ...]
    frame: RigidTransform
    sampled: tissue.Sampled
    metal: Any


def prepare(
    scene: Scene,
    placements: tuple[Placement, ...],
    protocol: RadiofrequencyProtocol,
    numerics: Numerics,
    *,
    fixed_fluid: bool = False,
) -> Prepared:
    """Sample the scene onto a graded grid round the needle and assemble the arrays."""
    from neurolysis.physics.assemble import assemble
    from neurolysis.physics.cells import locate_cells
    from neurolysis.physics.setup import Boundary

    _check_placements(placements, protocol)
    rods = geometry.placed_rods(placements, protocol.bipolar, numerics.extent_mm + geometry.BEYOND_BOX)
    finest = min(geometry.finest_mm(item.instrument, numerics) for item in placements)
    grid = geometry.build_grid(rods, finest, numerics)
    frame = placements[0].frame()
    sampled = tissue.sample(scene, grid, frame)
    arrays = tissue.tissue_arrays(
        sampled,
        scene.properties,
        latent_j_per_m3=boiling.LATENT_HEAT_J_PER_M3.value,
        fixed_fluid=fixed_fluid,
    )
    middle = 0.5 * placements[0].instrument.active_tip_mm * MM
    boundary = Boundary(
        electric="insulated" if protocol.bipolar else "open",
        temperature_c=scene.body_temperature_c,
        centre=(0.0, 0.0, middle),
        air_c=boiling.ROOM_C.value,
        film=boiling.SKIN_FILM_W_PER_M2_K.value,
    )
    cells = locate_cells(grid, rods, boundary)
    control = _control(scene, placements, frame)
    problem = assemble(grid, rods, arrays, boundary, control, cells)
    return Prepared(problem, grid, rods, frame, sampled, cells.metal)


def _check_placements(placements: tuple[Placement, ...], protocol: RadiofrequencyProtocol) -> None:
    roles = [placement.role for placement in placements]
    if protocol.bipolar and not ("active" in roles and "return" in roles):
        raise InputError(
            "a bipolar protocol needs one placement of role 'active' and one of role 'return'",
            where="placements",
            found=roles,
        )
    if not protocol.bipolar and "return" in roles:
        raise InputError(
            "a monopolar protocol has no placement of role 'return'", where="placements", found=roles
        )


def _control(scene: Scene, placements: tuple[Placement, ...], frame: RigidTransform) -> Any:
    from neurolysis.physics.setup import Control

    to_grid = frame.inverse()
    sensors = np.array([geometry.sensor_point(item, to_grid) for item in placements])
    cooling = placements[0].instrument.cooling
    cooled = {
        "coolant_film": cooling.film_coefficient_w_per_m2_k.value if cooling else 0.0,
        "coolant_c": cooling.coolant_temperature_c.value if cooling else scene.body_temperature_c,
        "coolant_length": placements[0].instrument.active_tip_mm * MM,
    }
    return Control(
        sensors=sensors,
        damages=(
            reactions.damage(reactions.PERFUSION_KINETICS, reactions.PATIENT_START_C),
            reactions.damage(reactions.NERVE_KINETICS, reactions.PATIENT_START_C),
        ),
        blood_c=scene.body_temperature_c,
        start_c=scene.body_temperature_c,
        cap_c=boiling.CONDUCTIVITY_CAP_C.value,
        boil_c=boiling.BOILING_C.value,
        boil_width_c=boiling.BOILING_WIDTH_C.value,
        steam_conductivity=boiling.STEAM_CONDUCTIVITY_RATIO.value,
        **cooled,
        **reactions.dose_constants(),
    )


def may_boil(protocol: RadiofrequencyProtocol) -> bool:
    """Whether the constants of boiling can matter: tissue runs some 20 K ahead of the sensor in a ramp."""
    if protocol.mode == "temperature":
        return (protocol.set_temperature_c or 0.0) >= 75.0
    return protocol.mode != "pulsed"


def solve(
    prepared: Prepared, plan: Plan, protocol: RadiofrequencyProtocol, start_c: float, progress: Progress
) -> Result:
    """Run the treatment and the cooling after it."""
    from neurolysis.physics.schedule import make_steps, power_off_steps
    from neurolysis.physics.treatment import run

    numerics = plan.numerics
    step_s = min(numerics.time_step_s, protocol.duration_s / 8)
    steps = make_steps(phases.phases(protocol, start_c, numerics.potential_every_s), step_s)
    path = plan.return_pad.path_resistance_ohm.value if plan.return_pad else 0.0
    return run(
        prepared.problem,
        phases.limits(plan.generator, path),
        steps,
        tolerance=numerics.relative_tolerance,
        vaporises=True,
        progress=progress,
        cooldown=lambda number: power_off_steps(number, step_s),
        cooldown_to_c=numerics.cooldown_to_c,
    )


def expose(scene: Scene, plan: Plan, progress: Progress) -> Exposure:
    """Simulate the plan; the exposure's fields lie on the needle's grid.

    Raises:
        InputError: placements that do not fit the protocol.
        SolverError: no convergence, or boiling where it was ruled out.
    """
    from neurolysis.delivery.radiofrequency.wrap import wrap

    protocol = plan.protocol
    assert isinstance(protocol, RadiofrequencyProtocol)  # noqa: S101
    progress(0.02, "sampling tissue")
    prepared = prepare(scene, plan.placements, protocol, plan.numerics)
    start = scene.body_temperature_c
    result = solve(prepared, plan, protocol, start, lambda f, m: progress(0.05 + 0.75 * f, m))
    fluid_peak = fluid_peak_c(prepared, result)
    second = None
    if fluid_peak is not None and fluid_peak > WARM_FLUID_C:
        fixed = prepare(scene, plan.placements, protocol, plan.numerics, fixed_fluid=True)
        second = solve(
            fixed, plan, protocol, start, lambda f, m: progress(0.8 + 0.15 * f, "fluid held at 37 C")
        )
    progress(1.0, "measuring the lesion")
    return wrap(scene, plan, protocol, prepared, result, second)


def fluid_peak_c(prepared: Prepared, result: Result) -> float | None:
    """Highest temperature of fluid-filled spaces in the box; None where there are none."""
    fluid = prepared.sampled.fluid
    if not fluid.any():
        return None
    peak: FloatArray = result.state.peak
    return float(peak[fluid].max())
