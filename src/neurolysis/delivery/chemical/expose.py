"""Simulate an injection in a scene: prepare, solve three members, wrap."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from neurolysis.delivery.chemical.members import MEMBERS, Member, constants
from neurolysis.delivery.chemical.problem import Sampled, build_grid, gravity_of, infusion, sample
from neurolysis.delivery.chemical.protocol import ChemicalProtocol
from neurolysis.delivery.technique import Progress
from neurolysis.evidence.injectates import injectate
from neurolysis.exposure import Exposure
from neurolysis.plan import Plan
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.infusion import Spread


@dataclass(frozen=True)
class Solved:
    """The members' answers with the geometry to read them."""

    sampled: Sampled
    spreads: dict[Member, Spread]
    gravity: tuple[float, float, float]


def recipe(plan: Plan) -> ChemicalProtocol:
    """The plan's protocol as what it is; TypeError for another technique's plan."""
    if not isinstance(plan.protocol, ChemicalProtocol):
        raise TypeError(f"not a plan of this technique: {plan.protocol.technique}")
    return plan.protocol


def solve(scene: Scene, plan: Plan, progress: Progress) -> Solved:
    """Run the three members on one grid.

    Raises:
        InputError: an outlet in a wall, or a closed space.
        SolverError: no convergence.
    """
    from neurolysis.physics.infusion import StepRule, run_infusion

    protocol = recipe(plan)
    grid, frame = build_grid(plan.placements, plan.numerics, protocol.volume_ml)
    sampled = sample(scene, grid, frame)
    gravity = gravity_of(plan.position, plan.position_tilt_deg)
    rule = replace(StepRule(), tolerance=plan.numerics.relative_tolerance)
    spreads: dict[Member, Spread] = {}
    for number, member in enumerate(MEMBERS):
        made = constants(injectate(protocol.agent), member)
        problem = infusion(sampled, scene, plan.placements, protocol, made, gravity)

        def within(fraction: float, message: str, number: int = number, member: Member = member) -> None:
            progress(0.05 + 0.9 * (number + fraction) / len(MEMBERS), f"{message} ({member})")

        spreads[member] = run_infusion(problem, rule=rule, progress=within)
    return Solved(sampled, spreads, gravity)


def expose(scene: Scene, plan: Plan, progress: Progress) -> Exposure:
    """Simulate the plan; fields lie on a grid along the LPS axes round the first tip.

    An injection into free fluid (subarachnoid space, cistern) is no flow through tissue: its fields are
    those of :mod:`neurolysis.delivery.chemical.free_fluid`.
    """
    from neurolysis.delivery.chemical.free_fluid import expose_free_fluid
    from neurolysis.delivery.chemical.wrap import wrap

    progress(0.02, "sampling tissue")
    if recipe(plan).space != "tissue":
        return expose_free_fluid(scene, plan, recipe(plan), progress)
    solved = solve(scene, plan, progress)
    progress(1.0, "measuring the spread")
    return wrap(scene, plan, recipe(plan), solved)
