"""Rules of freezing that can be checked before simulation, the setting in words, its assumptions."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.delivery.cryo.expose import ROOM_C, SKIN_FILM_W_PER_M2_K, recipe
from neurolysis.delivery.cryo.protocol import CryoProtocol
from neurolysis.evidence.freezing import freezing_body
from neurolysis.evidence.instruments import COLD, instrument_assumptions
from neurolysis.evidence.readings import reading
from neurolysis.nerve.regeneration import regrowth_rates
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import AIR, Scene

COLDEST_GRADED_C = -89.0
"""The coldest tip of the treatments whose grade of injury was read (nitrous oxide)."""


def notices(scene: Scene, plan: Plan) -> tuple[Notice, ...]:
    """Probe, temperature against what was read, what is not known of sizes, and the return of the nerve."""
    protocol = recipe(plan)
    return (
        *_probes(plan),
        *_temperature(protocol),
        Notice(severity="info", code="ice.unmeasured", text=UNMEASURED),
        expected_return(protocol.distance_to_end_organ_mm),
    )


UNMEASURED = (
    "No measured ice ball of a nerve probe was read: the size of the ice is physics, with the tip taken to "
    "be as cold as the plan says. Compare it with the ice you see (ultrasound, CT) and trust what you see."
)


def _probes(plan: Plan) -> Iterator[Notice]:
    for number, placement in enumerate(plan.placements, start=1):
        if not placement.instrument.id.startswith(COLD):
            text = f"Instrument {number} ({placement.instrument.name}) is not a probe that freezes."
            yield Notice(severity="stop", code="probe.kind", text=text)
    if len(plan.placements) > 1:
        text = f"{len(plan.placements)} probes freeze at the same time."
        yield Notice(severity="info", code="probe.several", text=text)


def _temperature(protocol: CryoProtocol) -> Iterator[Notice]:
    threshold = reading("NI-05").quantity()
    if protocol.tip_temperature_c > threshold.value:
        text = (
            f"The tip is warmer than {threshold.value:g} °C, the threshold of nerve injury read (rat): no "
            "lasting effect is to be expected."
        )
        yield Notice(severity="stop", code="tip.warm", text=text, source=threshold.source)
    if protocol.tip_temperature_c < COLDEST_GRADED_C:
        text = (
            f"The tip is colder than {COLDEST_GRADED_C:g} °C: no source read says what grade of injury a "
            "nerve gets there, nor that it grows back."
        )
        yield Notice(
            severity="warn", code="tip.colder_than_read", text=text, source="n2o_grade_encyclopaedia"
        )


def expected_return(distance_mm: float | None) -> Notice:
    """When the nerve may be back: distance over the rate of growth, and what was seen in rats."""
    first = reading("NI-06").quantity()
    rates = [rate.value for rate in regrowth_rates()]
    low, high = min(rates), max(rates)
    seen = f"in rats motor function first came back after {first.value:g} days, in full after 38"
    if distance_mm is None:
        text = (
            f"Expected return: about {low:g} mm a day along the nerve (up to {high:g} read), once growth has "
            f"begun; {seen}. Enter distance_to_end_organ_mm for days."
        )
    else:
        text = (
            f"Expected return: {distance_mm:g} mm at {low:g} to {high:g} mm a day, {distance_mm / high:.0f} "
            f"to {distance_mm / low:.0f} days, and the delay before growth begins, which was not read as a "
            f"number; {seen}."
        )
    return Notice(severity="info", code="return.expected", text=text, source=first.source)


def summary(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The setting in words."""
    protocol = recipe(plan)
    power = protocol.maximum_power_w
    return (
        ("Gas", freezing_body().gas(protocol.gas).title),
        ("Tip", f"{protocol.tip_temperature_c:g} °C, reached in {protocol.ramp_s:g} s"),
        ("Freezing", f"{protocol.cycles} × {protocol.freeze_s:g} s"),
        ("Thaw after each", protocol.thaw_words),
        ("Cooling power", "not limited" if power is None else f"at most {power:g} W a probe"),
        ("Probe", "; ".join(dict.fromkeys(p.instrument.name for p in plan.placements))),
    )


def assumptions(scene: Scene, plan: Plan) -> tuple[tuple[str, Quantity], ...]:
    """Numbers without a source that this plan's simulation uses."""
    body = freezing_body()
    found: list[tuple[str, Quantity]] = []
    for placement in plan.placements:
        found += [(f"probe: {name}", number) for name, number in instrument_assumptions(placement.instrument)]
    found += [
        ("perfusion that comes back with the thaw", body.after_thaw),
        ("film between gas and tip", body.film_w_per_m2_k),
        ("time the tip takes to get cold", body.ramp_s),
        ("film of the skin in air", SKIN_FILM_W_PER_M2_K),
        ("temperature of the room", ROOM_C),
    ]
    for name in scene.tissues.names:
        if name != AIR:
            found.append((f"{name.replace('_', ' ')}: latent heat against the table's", body.share(name)))
    unique = {number.content_hash(): (label, number) for label, number in reversed(found)}
    return tuple(item for item in reversed(unique.values()) if item[1].basis == "assumption")
