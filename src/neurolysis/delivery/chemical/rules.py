"""Rules of injected agents that can be checked before simulation, the setting in words, its assumptions."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.delivery.chemical.expose import recipe
from neurolysis.delivery.chemical.problem import density_of
from neurolysis.delivery.chemical.protocol import ChemicalProtocol
from neurolysis.evidence.agent_injury import agent_injury
from neurolysis.evidence.injectates import (
    Injectate,
    exchange_half_time_min,
    injectate,
    porous_body,
    still_fluid,
)
from neurolysis.evidence.readings import reading
from neurolysis.nerve.masks import Mask
from neurolysis.plan import Notice, Placement, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import Scene

PROJECT_RULE = "clinical rule laid down for this project"
LUMENS = frozenset({"vessel"})
NEURAXIS = frozenset({"spinal_cord"})
CANAL = frozenset({"spinal_canal"})
MG_PER_DL_PER_G_PER_L = 100.0


def notices(scene: Scene, plan: Plan) -> tuple[Notice, ...]:
    """Outlet in a lumen or a nerve, intrathecal position, dose, systemic exposure, strength, admixture."""
    protocol = recipe(plan)
    agent = injectate(protocol.agent)
    return (
        *_outlets(scene, plan, protocol),
        *_free_fluid(plan, protocol, agent),
        *_dose(plan, protocol, agent),
        *_strength(protocol, agent),
    )


def _outlets(scene: Scene, plan: Plan, protocol: ChemicalProtocol) -> Iterator[Notice]:
    for number, placement in enumerate(plan.placements, start=1):
        for structure in scene.structures:
            if structure.mask is None or not Mask(structure.mask).contains([placement.tip_mm])[0]:
                continue
            if structure.kind in LUMENS:
                text = f"The outlet of needle {number} lies in {structure.name}: an injection into a vessel."
                yield Notice(
                    severity="stop",
                    code="outlet.in_vessel",
                    text=text,
                    source=PROJECT_RULE,
                    overridable=False,
                )
            elif structure.kind in NEURAXIS or (structure.kind in CANAL and protocol.space != "subarachnoid"):
                text = (
                    f"The outlet of needle {number} lies in {structure.name}, and the space planned "
                    f"is {protocol.space}."
                )
                yield Notice(
                    severity="stop", code="outlet.in_canal", text=text, source=PROJECT_RULE, overridable=False
                )
        yield from _intraneural(scene, placement, number)
        if protocol.space == "subarachnoid":
            yield from _not_in_the_canal(scene, placement, number)


def _not_in_the_canal(scene: Scene, placement: Placement, number: int) -> Iterator[Notice]:
    """The subarachnoid space is planned: the outlet must lie in the canal, where the image shows it."""
    canals = [Mask(s.mask) for s in scene.structures if s.kind in CANAL and s.mask is not None]
    if not canals:
        text = f"No label shows the spinal canal: whether needle {number} ends in it cannot be said."
        yield Notice(severity="warn", code="outlet.canal_unknown", text=text, source=PROJECT_RULE)
    elif not any(canal.contains([placement.tip_mm])[0] for canal in canals):
        text = f"The subarachnoid space is planned, and the outlet of needle {number} lies outside the canal."
        yield Notice(
            severity="stop", code="outlet.not_in_canal", text=text, source=PROJECT_RULE, overridable=False
        )


def _intraneural(scene: Scene, placement: Placement, number: int) -> Iterator[Notice]:
    for nerve in scene.nerves:
        gap = float(nerve.curve.distance_mm([placement.tip_mm])[0]) - nerve.radius_mm.value
        if gap <= 0:
            text = (
                f"The outlet of needle {number} lies within {nerve.name}: an injection into a "
                "nerve destroys it "
                "whatever the agent (WEST9)."
            )
            yield Notice(severity="warn", code="outlet.in_nerve", text=text, source="inj_west9")


def _free_fluid(plan: Plan, protocol: ChemicalProtocol, agent: Injectate) -> Iterator[Notice]:
    if protocol.space == "subarachnoid":
        yield from intrathecal_position(protocol, agent, plan.position)
    if protocol.space == "cistern" and protocol.space_volume_ml is None:
        text = (
            "The volume of this patient's cistern is needed: enter space_volume_ml as measured (one "
            "series found 0.38 mL)."
        )
        yield Notice(
            severity="stop", code="cistern.volume_unknown", text=text, source="tr_cistern", overridable=False
        )


def intrathecal_position(
    protocol: ChemicalProtocol, agent: Injectate, position: str | None
) -> Iterator[Notice]:
    """The hard rule: a light agent rises, so its target roots lie uppermost; a heavy one sinks."""
    density = density_of(protocol)
    still = still_fluid().density_g_per_ml
    fluid = still.value
    if density is None:
        text = (
            f"No density of {agent.title.lower()} in {protocol.vehicle} was read: enter density_g_per_ml. "
            "Without it nobody can say whether it rises or sinks."
        )
        yield Notice(severity="stop", code="intrathecal.density", text=text, overridable=False)
        return
    if (still.low or fluid) <= density <= (still.high or fluid):
        text = (
            f"The agent ({density:.4f} g/mL) is as dense as spinal fluid "
            f"({still.low:g} to {still.high:g} g/mL): whether it rises or sinks cannot be said."
        )
        yield Notice(severity="stop", code="intrathecal.density", text=text, overridable=False)
        return
    needed = "uppermost" if density < fluid else "lowermost"
    moves = "rises" if density < fluid else "sinks"
    if protocol.target_roots is None or position is None:
        text = (
            f"The agent {moves}: say how the patient lies (position) and where the target roots are "
            "(target_roots)."
        )
        yield Notice(
            severity="stop",
            code="intrathecal.position_unknown",
            text=text,
            source=agent.baricity_source,
            overridable=False,
        )
    elif protocol.target_roots != needed:
        text = (
            f"The agent ({density:.3f} g/mL) {moves} in the spinal fluid ({fluid:.4f} g/mL): the "
            "target roots must "
            f"lie {needed}, the plan says {protocol.target_roots}."
        )
        yield Notice(
            severity="stop",
            code="intrathecal.position",
            text=text,
            source=agent.baricity_source,
            overridable=False,
        )


def total_g(plan: Plan, protocol: ChemicalProtocol, agent: Injectate) -> float:
    """Grams of agent in the whole plan."""
    density = 1.0
    if agent.percent_means == "v/v":
        pure = agent.solution(protocol.vehicle).pure_density_g_per_ml
        density = pure.value if pure else 1.0
    return protocol.total_g(len(plan.placements), density)


def _dose(plan: Plan, protocol: ChemicalProtocol, agent: Injectate) -> Iterator[Notice]:
    grams = total_g(plan, protocol, agent)
    alert = agent.total_dose_alert_g
    ceiling = protocol.ceiling_g
    if ceiling is not None and grams > ceiling:
        yield _over(grams, f"the institution's ceiling of {ceiling:g} g", "site entry", protocol)
    if alert is not None:
        if ceiling is None:
            text = (
                f"{grams:.2f} g of {agent.title.lower()} in all. No maximum neurolytic dose was "
                "read; the ceiling is "
                "the institution's own: enter ceiling_g."
            )
            yield Notice(severity="warn", code="dose.no_ceiling", text=text, source=alert.source)
        if grams > alert.value:
            yield _over(
                grams,
                f"the {alert.value:g} g that can be lethal when given parenterally",
                alert.source,
                protocol,
            )
    if protocol.agent == "ethanol":
        yield _blood_alcohol(grams)


def _over(grams: float, what: str, source: str, protocol: ChemicalProtocol) -> Notice:
    text = f"The total of {grams:.2f} g passes {what}"
    if protocol.ceiling_override.strip():
        text += f"; allowed by a recorded override: {protocol.ceiling_override.strip()}."
        return Notice(severity="warn", code="dose.ceiling_overridden", text=text, source=source)
    text += ". It takes a recorded override (ceiling_override: who, why)."
    return Notice(severity="stop", code="dose.ceiling", text=text, source=source)


def blood_alcohol_mg_per_dl(grams: float) -> tuple[float, float, float]:
    """Expected peak in arterial blood (value, low, high), in proportion to the one dose that was measured.

    10 mL of absolute alcohol (7.89 g) at the celiac plexus gave 29.9 (SD 19.4) mg/dL at 15 min (A3-01).
    """
    row = reading("A3-01").quantity()
    measured_g = 10 * reading("A1-15").quantity().value
    share = grams / measured_g
    return share * row.value, share * (row.low or 0.0), share * (row.high or row.value)


def _blood_alcohol(grams: float) -> Notice:
    value, low, high = blood_alcohol_mg_per_dl(grams)
    text = (
        f"{grams:.1f} g of ethanol: expected peak in blood {value:.0f} mg/dL ({low:.0f} to "
        f"{high:.0f}) at about 15 min, in "
        "proportion to the one dose measured (10 mL, 11 patients); body size is not in it. Flushers (ALDH "
        "deficient) get more acetaldehyde."
    )
    return Notice(severity="info", code="systemic.ethanol", text=text, source="inj_sato")


def _strength(protocol: ChemicalProtocol, agent: Injectate) -> Iterator[Notice]:
    least = min(t.percent for t in agent.thresholds)
    if protocol.injected_percent < least:
        text = (
            f"What leaves the needle has {protocol.injected_percent:g} %, below the least "
            "neurolytic concentration "
            f"({least:g} %)."
        )
        yield Notice(severity="warn", code="strength.low", text=text, source=agent.thresholds[0].source)
    if agent.motor is not None and protocol.injected_percent > agent.motor.percent:
        yield Notice(
            severity="info", code="strength.motor", text=f"{agent.motor.text}.", source=agent.motor.source
        )


def summary(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The setting in words."""
    protocol = recipe(plan)
    agent = injectate(protocol.agent)
    per_needle = f"{protocol.volume_ml:g} mL"
    if len(plan.placements) > 1:
        per_needle += f" through each of {len(plan.placements)} needles"
        per_needle += ", one after the other" if protocol.one_after_the_other else ", together"
    rows = [
        (
            "Agent",
            f"{agent.title}, {protocol.concentration_percent:g} % {agent.percent_means} in "
            f"{protocol.vehicle}",
        ),
        ("Volume", per_needle),
        ("Rate", f"{protocol.rate_ml_per_min:g} mL/min"),
        ("Total", f"{total_g(plan, protocol, agent):.2f} g of the agent"),
        ("Space", protocol.space),
        ("Needle", "; ".join(dict.fromkeys(p.instrument.name for p in plan.placements))),
        (
            "Position",
            (plan.position or "not given")
            + (f", tilt {plan.position_tilt_deg:g}°" if plan.position_tilt_deg else ""),
        ),
    ]
    if protocol.admixture_ml:
        rows.insert(
            2,
            (
                "Admixture",
                f"{protocol.admixture_ml:g} mL {protocol.admixture}: "
                f"{protocol.injected_percent:.3g} % leave the needle",
            ),
        )
    return tuple(rows)


def assumptions(scene: Scene, plan: Plan) -> tuple[tuple[str, Quantity], ...]:
    """Numbers without a source that this plan's simulation uses."""
    protocol = recipe(plan)
    agent, body, injury = injectate(protocol.agent), porous_body(), agent_injury()
    found: list[tuple[str, Quantity]] = [
        ("diffusion of the agent in tissue", agent.diffusivity_m2_per_s),
        ("uptake into cell water, half-time", exchange_half_time_min()),
        ("viscosity of tissue fluid", still_fluid().viscosity_mpa_s),
        ("flow along the body's axis against across", body.grain_ratio),
        ("permeability left without pressure", body.rest_share),
        ("what a fascia leaves of the flow", body.fascia_factor),
        ("uptake of fluid", body.leak_per_pa_s),
        ("backflow along the needle", body.backflow_mm),
        ("outlet of the needle", body.outlet_mm),
        ("sheath of the nerve", injury.sheath_factor),
        ("diffusion of the agent in nerve", injury.nerve_diffusivity_m2_per_s),
        ("lethal concentration in nerve", injury.dose(protocol.agent).lethal_percent),
        ("lethal time in nerve", injury.dose(protocol.agent).lethal_min),
    ]
    for name in scene.tissues.names:
        record = body.tissues.get(name)
        if record is not None:
            found += [
                (f"{name}: permeability", record.permeability_m2),
                (f"{name}: mobile fluid", record.porosity),
                (f"{name}: water", record.water),
            ]
    return tuple((label, number) for label, number in found if number.basis == "assumption")
