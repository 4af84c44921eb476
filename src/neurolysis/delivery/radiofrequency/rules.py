"""Rules of radiofrequency that can be checked before simulation, the setting in words, its assumptions."""

from __future__ import annotations

from neurolysis.delivery.heat.vaporisation import boiling_assumptions
from neurolysis.delivery.radiofrequency.expose import may_boil
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.evidence.instruments import generator_assumptions, instrument_assumptions
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import Scene


def recipe(plan: Plan) -> RadiofrequencyProtocol:
    """The plan's protocol as what it is; TypeError for another technique's plan."""
    if not isinstance(plan.protocol, RadiofrequencyProtocol):
        raise TypeError(f"not a radiofrequency plan: {plan.protocol.technique}")
    return plan.protocol


METAL_REACH_MM = 30.0
"""Metal closer than this shares the current's way with the tip (an assumption: no distance was read)."""


def notices(scene: Scene, plan: Plan) -> tuple[Notice, ...]:
    """Return path, generator, metal and devices, fluid at the tip, mode."""
    protocol = recipe(plan)
    found = [*_circuit(plan, protocol), *_implants(plan), _fluid(plan)]
    if protocol.mode == "pulsed":
        text = "Pulsed current gets field and temperature, never a verdict of coverage."
        found.append(Notice(severity="info", code="pulsed.evidence", text=text))
    return tuple(found)


def _circuit(plan: Plan, protocol: RadiofrequencyProtocol) -> list[Notice]:
    found = []
    if not protocol.bipolar and plan.return_pad is None:
        text = "No return pad site is given: the predicted lesion is unreliable until it is."
        found.append(Notice(severity="warn", code="return.pad_unknown", text=text))
    if plan.generator is None:
        text = "No generator is named: its limits on power, voltage and impedance are not checked."
        found.append(Notice(severity="info", code="generator.unknown", text=text))
    return found


def _implants(plan: Plan) -> list[Notice]:
    """Unknown metal makes the lesion unreliable; a device that current may disturb stops the plan."""
    if plan.implants is None:
        text = "Metal near the tip is unknown: the predicted lesion is unreliable until it is known."
        return [Notice(severity="warn", code="metal.unknown", text=text)]
    found = []
    for implant in plan.implants:
        place = "place unknown" if implant.distance_mm is None else f"{implant.distance_mm:g} mm from the tip"
        if implant.electronic:
            text = (
                f"{implant.name} ({place}): radiofrequency current can disturb or damage an electronic "
                "implant; settle it with the team that looks after the device."
            )
            found.append(Notice(severity="stop", code="implant.electronic", text=text, source="aspn_2023"))
        elif implant.distance_mm is None or implant.distance_mm < METAL_REACH_MM:
            text = f"{implant.name} ({place}): metal is not in the model; the predicted lesion is unreliable."
            found.append(Notice(severity="warn", code="metal.near", text=text))
    return found


def _fluid(plan: Plan) -> Notice:
    """Fluid injected at the tip enlarges lesions at the bench; it is not in the model."""
    if plan.fluid_at_tip_ml is None:
        text = "Fluid given at the tip before delivery is not stated; the model has none."
    elif plan.fluid_at_tip_ml == 0:
        return Notice(severity="info", code="fluid.none", text="No fluid at the tip before delivery.")
    else:
        name = plan.fluid_name or "fluid"
        text = f"{plan.fluid_at_tip_ml:g} mL of {name} at the tip is ignored by the model."
    text += " At the bench every fluid tried made lesions larger in all directions."
    severity = "warn" if plan.fluid_at_tip_ml else "info"
    return Notice(severity=severity, code="fluid.ignored", text=text, source="provenzano_2010")


def summary(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The setting in words."""
    protocol = recipe(plan)
    needle = plan.placements[0].instrument
    other_pole = "second electrode" if protocol.bipolar else "not given"
    rows = [
        ("Mode", ("bipolar, " if protocol.bipolar else "monopolar, ") + protocol.mode + " control"),
        ("Setting", protocol.set_value),
        ("Duration", f"{protocol.duration_s:g} s"),
        ("Cannula", needle.name),
        ("Generator", plan.generator.name if plan.generator else "not named"),
        ("Return", plan.return_pad.site if plan.return_pad else other_pole),
    ]
    if protocol.mode == "temperature":
        rows.insert(3, ("Ramp", f"{protocol.ramp_s:g} s, counted in the duration"))
    return tuple(rows)


def assumptions(scene: Scene, plan: Plan) -> tuple[tuple[str, Quantity], ...]:
    """Numbers without a source that this plan's simulation uses."""
    protocol = recipe(plan)
    found: list[tuple[str, Quantity]] = []
    for placement in plan.placements:
        found += [
            (f"cannula: {name}", number) for name, number in instrument_assumptions(placement.instrument)
        ]
    if plan.generator is not None:
        found += [(f"generator: {name}", number) for name, number in generator_assumptions(plan.generator)]
    if plan.return_pad is not None and plan.return_pad.path_resistance_ohm.basis == "assumption":
        found.append(("resistance of the return path", plan.return_pad.path_resistance_ohm))
    slopes = {p.conductivity_slope_per_c for p in scene.properties.values()}
    found += [
        ("rise of tissue conductivity with temperature", slope)
        for slope in sorted(slopes, key=lambda q: q.value)
        if slope.basis == "assumption"
    ]
    if may_boil(protocol):
        found += boiling_assumptions()
    return tuple(found)
