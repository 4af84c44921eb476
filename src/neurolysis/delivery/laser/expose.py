"""Simulate a laser plan in a scene: prepare, solve three members, wrap."""

from __future__ import annotations

from neurolysis.delivery.laser.members import MEMBERS, WORDS, Member, optics
from neurolysis.delivery.laser.protocol import LaserProtocol
from neurolysis.delivery.technique import Progress
from neurolysis.errors import InputError
from neurolysis.exposure import Exposure
from neurolysis.plan import Plan
from neurolysis.scene import Scene


def recipe(plan: Plan) -> LaserProtocol:
    """The plan's protocol as what it is; TypeError for another technique's plan."""
    if not isinstance(plan.protocol, LaserProtocol):
        raise TypeError(f"not a plan of this technique: {plan.protocol.technique}")
    return plan.protocol


def expose(scene: Scene, plan: Plan, progress: Progress) -> Exposure:
    """Simulate the plan; fields lie on a graded grid in the frame of the first needle.

    Raises:
        InputError: placements that do not fit.
        SolverError: no convergence, or photons that do not add up.
    """
    from neurolysis.delivery.laser.problem import prepare
    from neurolysis.delivery.laser.solve import Lit, Recipe, solve
    from neurolysis.delivery.laser.wrap import wrap
    from neurolysis.evidence.optics import spectrum

    protocol = recipe(plan)
    if any(item.role == "return" for item in plan.placements):
        raise InputError("light has no return", where="placements", found="role 'return'", allowed="active")
    progress(0.02, "sampling tissue")
    prepared = prepare(scene, plan.placements, protocol, plan.numerics)
    numerics = plan.numerics
    delivered = Recipe(
        power_w=protocol.power_w * len(plan.placements),
        duty=protocol.duty,
        duration_s=protocol.duration_s,
        charring=protocol.charring,
        photons=protocol.photons,
        seed=protocol.seed,
        step_s=numerics.time_step_s,
        tolerance=numerics.relative_tolerance,
        cooldown_to_c=numerics.cooldown_to_c,
    )
    members: dict[Member, Lit] = {}
    for number, member in enumerate(MEMBERS):
        own = optics(prepared.sampled.names, spectrum(protocol.wavelength_nm), member)

        def within(fraction: float, message: str, number: int = number, member: Member = member) -> None:
            progress(0.05 + 0.9 * (number + fraction) / len(MEMBERS), f"{message} ({WORDS[member]})")

        members[member] = solve(prepared.bed, own, delivered, within)
    progress(1.0, "measuring the lesion")
    return wrap(plan, protocol, prepared, members)
