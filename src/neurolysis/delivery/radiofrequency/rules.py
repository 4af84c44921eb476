"""Rules of radiofrequency that can be checked before simulation, the setting in words, its assumptions."""

from __future__ import annotations

from neurolysis.delivery.radiofrequency.expose import boiling_assumptions, may_boil
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


def notices(scene: Scene, plan: Plan) -> tuple[Notice, ...]:
    """Return path, generator and mode."""
    protocol = recipe(plan)
    found = []
    if not protocol.bipolar and plan.return_pad is None:
        found.append(
            Notice(
                severity="warn",
                code="return.pad_unknown",
                text="no return pad site is given: the lesion is unreliable until it is",
            )
        )
    if plan.generator is None:
        text = "no generator is named: its limits on power, voltage and impedance are not checked"
        found.append(Notice(severity="info", code="generator.unknown", text=text))
    if protocol.mode == "pulsed":
        text = "pulsed radiofrequency gets field and temperature, never a verdict of coverage"
        found.append(Notice(severity="info", code="pulsed.evidence", text=text))
    return tuple(found)


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
