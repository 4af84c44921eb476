"""Rules of an operation that can be checked before simulation, the plan in words, its assumptions."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.delivery.surgical.expose import course_of, recipe, scar_record
from neurolysis.delivery.surgical.protocol import ReleaseProtocol
from neurolysis.evidence.nerve_mechanics import nerve_mechanics
from neurolysis.evidence.readings import reading
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import Scene

PROJECT_RULE = "clinical rule laid down for this project; no source gives it"
MODES = {
    "external": "Freeing from outside (external)",
    "internal": "Freeing from outside and between the bundles (internal)",
    "neurectomy": "Removal of a stretch of the nerve (neurectomy)",
}


def notices(scene: Scene, plan: Plan) -> tuple[Notice, ...]:
    """Anaesthesia, movement, what scar rests on, the kind of operation.

    Raises:
        InputError: a place beyond the nerve; UnknownNameError: a structure or movement that is not there.
    """
    protocol = recipe(plan)
    course_of(scene, protocol, plan.numerics.finest_mm or 0.5)
    return (*_anaesthesia(protocol), *_inputs(protocol), *_mode(protocol), *_carpal(plan, protocol))


def _anaesthesia(protocol: ReleaseProtocol) -> Iterator[Notice]:
    if protocol.anaesthesia is None:
        text = "An operation names its anaesthesia: enter general, regional or local (protocol.anaesthesia)."
        yield Notice(severity="stop", code="anaesthesia.not_named", text=text, source=PROJECT_RULE)
    elif protocol.anaesthesia == "general":
        text = "Under general anaesthesia the patient cannot report what touching the nerve does."
        yield Notice(severity="info", code="anaesthesia.general", text=text, source=PROJECT_RULE)


def _inputs(protocol: ReleaseProtocol) -> Iterator[Notice]:
    if not protocol.joints and not protocol.pulls:
        text = "No movement is given (joints, pulls): without one scar adds no strain."
        yield Notice(severity="warn", code="movement.missing", text=text)
    if not protocol.scars and not protocol.tethers and not protocol.tunnels:
        text = (
            "Nothing is said to hold or press the nerve (scars, tethers, tunnels): there is nothing to free."
        )
        yield Notice(severity="warn", code="scar.none", text=text)
    how = [*(scar.found_by for scar in protocol.scars), *(tether.found_by for tether in protocol.tethers)]
    if "assumed" in how:
        text = "Where scar holds the nerve is assumed, not seen at operation or in labels."
        yield Notice(severity="warn", code="scar.assumed", text=text)
    if protocol.pre_strain_percent is None:
        text = (
            "The nerve's strain at rest was not measured: it counts as just taut, tension as a lower bound."
        )
        yield Notice(severity="info", code="pre_strain.unknown", text=text)
    if not protocol.freed:
        yield Notice(
            severity="info", code="freed.none", text="Nothing is freed: the plan shows what could be."
        )


def _mode(protocol: ReleaseProtocol) -> Iterator[Notice]:
    if protocol.mode == "internal":
        text = (
            "Freeing between the bundles: no figure of it alone was read, nor what it does to the blood "
            "supply. It is computed as freeing from outside."
        )
        yield Notice(severity="warn", code="internal.unknown", text=text)
    if protocol.mode == "neurectomy":
        row = reading("SO-13")
        text = (
            "A neurectomy divides the nerve for good: what it served stays numb, and a painful neuroma may "
            f"form (neuroma pain after 2 to 60 % of nerve injuries, {row.id}). Freeing is the alternative."
        )
        yield Notice(severity="warn", code="neurectomy.final", text=text, source=row.source)
    else:
        row = reading("SR-09")
        text = (
            "Scar may come back: no rate was read (an animal model had it within a week). The scenario of "
            f"{protocol.rescar_share:.0%} of the former scar is shown."
        )
        yield Notice(severity="info", code="scar.returns", text=text, source=row.source)


def _carpal(plan: Plan, protocol: ReleaseProtocol) -> Iterator[Notice]:
    tunnel = any(item.kind == "carpal_tunnel" for item in protocol.tunnels)
    if protocol.mode == "neurectomy" or not (tunnel or "median" in plan.target.nerve):
        return
    row = reading("SO-01")
    text = (
        "Freeing the nerve in addition to opening the carpal tunnel did not help in a meta-analysis (odds "
        f"ratio of a good result {row.text}, {row.low:g} to {row.high:g}; read from an abstract, the "
        "direction of the ratio still has to be read again in the paper). It is not favoured here."
    )
    yield Notice(severity="warn", code="carpal.no_gain", text=text, source=row.source)


def summary(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The operation in words."""
    protocol = recipe(plan)
    verb = "Removed" if protocol.mode == "neurectomy" else "Freed"
    return (
        ("Operation", MODES[protocol.mode]),
        (verb, _spans(protocol) or "nothing"),
        ("Movement", protocol.movement or "not described"),
        ("Held by", _holders(protocol)),
        ("Instrument", "open operation; none is placed"),
        ("Anaesthesia", f"{(protocol.anaesthesia or 'not named').capitalize()}. {plan.anaesthesia}"),
    )


def _spans(protocol: ReleaseProtocol) -> str:
    return ", ".join(f"{s.from_mm:g} to {s.to_mm:g} mm from the first point" for s in protocol.freed)


def _holders(protocol: ReleaseProtocol) -> str:
    parts = [
        f"scar {scar.from_mm:g} to {scar.to_mm:g} mm ({scar.found_by})"
        if scar.structure is None
        else f"scar as labelled in {scar.structure}"
        for scar in protocol.scars
    ]
    parts += [f"a band at {tether.at_mm:g} mm ({tether.found_by})" for tether in protocol.tethers]
    parts += [f"{tunnel.name}, {tunnel.pressure_mmhg:g} mmHg" for tunnel in protocol.tunnels]
    return "; ".join(parts) or "nothing is given"


def assumptions(scene: Scene, plan: Plan) -> tuple[tuple[str, Quantity], ...]:
    """Numbers without a source that this plan's simulation uses."""
    protocol, record = recipe(plan), nerve_mechanics()
    found: list[tuple[str, Quantity]] = [
        ("stiffness of nerve", protocol.modulus_mpa or record.modulus_mpa),
        ("bed of the nerve", protocol.bed_kpa or record.bed_kpa),
        ("relaxation of nerve, time", record.relaxation_time_s),
        *((f"{joint.name}: lengthening of the bed", joint.elongation_mm) for joint in protocol.joints),
        *(("scar", scar_record(scar)) for scar in protocol.scars),
    ]
    if protocol.pre_strain_percent is None:
        found.append(("strain at rest", record.pre_strain_percent))
    if protocol.approach_mm is None:
        found.append(("approach", record.approach_mm))
    unique = {(label, number.content_hash()): (label, number) for label, number in found}
    return tuple(pair for pair in unique.values() if pair[1].basis == "assumption")
