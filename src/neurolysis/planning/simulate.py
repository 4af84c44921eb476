"""A plan simulated: exposure, injury, and everything that has to be said about it, worst first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from neurolysis.case import Case
from neurolysis.delivery.technique import Progress, Technique, silent, techniques
from neurolysis.errors import UnknownNameError
from neurolysis.exposure import Exposure
from neurolysis.injury import Injury, LimitCheck, NerveInjury, StructureInjury
from neurolysis.nerve.injury import assess
from neurolysis.plan import Notice, Plan
from neurolysis.planning.assumptions import collect_assumptions
from neurolysis.planning.quadrants import quadrant_coverage, quadrant_notices
from neurolysis.planning.result import PlanResult
from neurolysis.planning.skin import with_skin
from neurolysis.scene import Scene

ORDER = ("stop", "warn", "info")
SOLVER_SHARE = 0.9
"""Part of the progress bar that the solver takes."""


def simulate_plan(
    case: Case,
    scene: Scene,
    plan: Plan,
    progress: Progress = silent,
    *,
    registry: Mapping[str, Technique] | None = None,
) -> PlanResult:
    """Simulate a plan and assess what it does.

    Args:
        progress: called with the done fraction; it may raise to cancel.
        registry: techniques by name; None takes every one that is installed.

    Raises:
        UnknownNameError: the plan's technique is not in the registry.
        SolverError: the simulation failed.
    """
    exposure = expose_plan(scene, plan, lambda f, text: progress(SOLVER_SHARE * f, text), registry=registry)
    progress(SOLVER_SHARE, "injury of nerves and structures")
    result = assess_plan(case, scene, plan, exposure, registry=registry)
    progress(1.0, "done")
    return result


def expose_plan(
    scene: Scene,
    plan: Plan,
    progress: Progress = silent,
    *,
    registry: Mapping[str, Technique] | None = None,
) -> Exposure:
    """The first half of :func:`simulate_plan`: what the tissue gets."""
    return _chosen(plan, techniques() if registry is None else registry).expose(scene, plan, progress)


def assess_plan(
    case: Case,
    scene: Scene,
    plan: Plan,
    exposure: Exposure,
    *,
    registry: Mapping[str, Technique] | None = None,
) -> PlanResult:
    """The second half of :func:`simulate_plan`: what an exposure of this plan does, and what to say of it."""
    chosen = _chosen(plan, techniques() if registry is None else registry)
    injury = with_skin(case, scene, plan, exposure, assess(scene, exposure))
    quadrants = quadrant_coverage(scene, plan, exposure)
    notices = worst_first(
        [
            *plan.notices,
            *exposure.notices,
            *injury_notices(injury),
            *beyond_image(exposure),
            *quadrant_notices(quadrants),
        ]
    )
    assumed = collect_assumptions(scene, exposure, injury, chosen.assumptions(scene, plan))
    return PlanResult(
        case=case,
        scene=scene,
        plan=plan,
        exposure=exposure,
        injury=injury,
        notices=notices,
        assumptions=assumed,
        quadrants=quadrants,
    )


def _chosen(plan: Plan, registry: Mapping[str, Technique]) -> Technique:
    name = plan.protocol.technique
    if name not in registry:
        raise UnknownNameError(
            "unknown technique",
            where=f"plan of case '{plan.case_id}'",
            found=name,
            allowed=sorted(registry),
        )
    return registry[name]


def worst_first(notices: Iterable[Notice]) -> tuple[Notice, ...]:
    """Each notice once: stops, warnings, information; the order within each is kept."""
    return tuple(sorted(dict.fromkeys(notices), key=lambda notice: ORDER.index(notice.severity)))


def injury_notices(injury: Injury) -> Iterator[Notice]:
    """Limits that were reached or cannot be judged, and what the target's injury leaves open."""
    for structure in injury.structures:
        yield from limit_notices(structure)
    for nerve in injury.nerves:
        if nerve.is_target:
            yield from _target_notices(nerve)


def limit_notices(structure: StructureInjury) -> Iterator[Notice]:
    """A notice for each limit that warns or stops, and one for each reason why limits cannot be judged."""
    for check in structure.checks:
        if check.verdict in ("warn", "stop"):
            yield Notice(
                severity=check.verdict,
                code=f"limit.{check.limit.metric}",
                text=f"{structure.structure}: {_limit_text(check)}",
                source=check.limit.source,
            )
    unknown = [check for check in structure.checks if check.verdict == "cannot say"]
    for reason in dict.fromkeys(check.reason for check in unknown):
        metrics = ", ".join(dict.fromkeys(_metric(c) for c in unknown if c.reason == reason))
        text = f"{structure.structure}: cannot say whether the limits on {metrics} are kept ({reason})."
        yield Notice(severity="warn", code="limit.cannot_say", text=text)


def _limit_text(check: LimitCheck) -> str:
    limit, value = check.limit, check.value
    bounds = [f"{name} {bound:g}" for name in ("warn", "stop") if (bound := getattr(limit, name)) is not None]
    unit = "" if limit.unit == "1" else f" {limit.unit}"
    found = "unknown" if value is None else f"{value:.1f}{unit}"
    reasons = [f" {text[0].upper()}{text[1:]}." for text in (check.reason, limit.reason) if text]
    return f"{_metric(check)} {found} (limit: {', '.join(bounds)}{unit}).{''.join(reasons)}"


def _metric(check: LimitCheck) -> str:
    words = {
        "cem43_min": "CEM43",
        "agent_share": "share of the least neurolytic concentration",
        "distance_to_lesion_mm": "distance to the lesion",
    }
    return words.get(check.limit.metric, check.limit.metric.removesuffix("_c").replace("_", " "))


def _target_notices(nerve: NerveInjury) -> Iterator[Notice]:
    if nerve.criteria_disagree:
        lengths = ", ".join(f"{item.label} {item.longest_lesioned_mm:.1f} mm" for item in nerve.by_criterion)
        text = f"The criteria disagree on the lesioned length of {nerve.nerve}: {lengths}."
        yield Notice(severity="info", code="criteria.disagree", text=text)
    if nerve.coverage in ("not covered", "partly covered"):
        text = f"{nerve.nerve} is {nerve.coverage}. {nerve.coverage_reason}"
        yield Notice(severity="warn", code="coverage", text=text)
    if nerve.outside_grid_mm > 0:
        text = f"{nerve.outside_grid_mm:.1f} mm of {nerve.nerve} lie outside the computed box."
        yield Notice(severity="info", code="nerve.outside_box", text=text)


def beyond_image(exposure: Exposure) -> Iterator[Notice]:
    """How much of the lesion rests on tissue that no image shows, and lesions cut by the box."""
    if exposure.outside_image_fraction > 0:
        text = (
            f"{exposure.outside_image_fraction:.0%} of the largest lesion lies beyond the image, "
            "in tissue that is assumed."
        )
        yield Notice(severity="warn", code="lesion.beyond_image", text=text)
    cut = [size.criterion for size in exposure.lesions if size.reaches_boundary]
    if cut:
        text = f"The lesion runs out of the computed box by {', '.join(cut)}: its size is a lower bound."
        yield Notice(severity="warn", code="lesion.beyond_box", text=text)
