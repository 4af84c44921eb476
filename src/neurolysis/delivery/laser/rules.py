"""Rules of light that can be checked before simulation, the setting in words, its assumptions."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurolysis.delivery.heat.vaporisation import boiling_assumptions
from neurolysis.delivery.laser.expose import recipe
from neurolysis.delivery.laser.protocol import LaserProtocol
from neurolysis.evidence.optics import coagulated, disagreement, spectrum, stand_in_assumption
from neurolysis.evidence.readings import reading
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import AIR, Scene

PROJECT_RULE = "clinical rule laid down for this project"
NO_OUTCOMES = (
    "No outcome data of percutaneous laser at a medial branch or facet joint were found: what is shown is "
    "extrapolated from liver, muscle, brain and disc, and never counts as covered."
)
CHARS_FROM_W = "LL-01"
CHARS_AFTER_S = 500.0
"""Charring began at 2 W or more with at least this time in the same row."""
GROWS = "LL-13"


def notices(scene: Scene, plan: Plan) -> tuple[Notice, ...]:
    """Evidence, optics, wavelength, charring, growth, eyes, places of several fibres."""
    protocol = recipe(plan)
    growth = reading(GROWS)
    return (
        Notice(severity="warn", code="evidence.extrapolated", text=NO_OUTCOMES, source=PROJECT_RULE),
        *_optics(protocol),
        *_charring(protocol),
        Notice(
            severity="info",
            code="lesion.grows",
            text=(
                f"In canine brain lesions grew {growth.low:g} to {growth.high:g} times in days after "
                f"light of 980 nm "
                "(LL-13); growth after the treatment is not modelled."
            ),
            source=growth.source,
        ),
        Notice(
            severity="warn",
            code="light.eyes",
            text="Everyone in the room, the patient too, wears eye protection made for this wavelength.",
            source=PROJECT_RULE,
        ),
        *_apart(plan),
    )


def _optics(protocol: LaserProtocol) -> Iterator[Notice]:
    found = spectrum(protocol.wavelength_nm)
    text = (
        f"{disagreement()}: the lesion is shown three times (light that stays near the fibre, as "
        f"printed, light that "
        f"goes far). Coefficients: {found.note}."
    )
    yield Notice(severity="warn", code="optics.disagree", text=text, source="lsn_pmc6366475_table_1")
    if found.wavelength_nm != round(protocol.wavelength_nm):
        text = f"Coefficients of {found.wavelength_nm} nm stand for {protocol.wavelength_nm:g} nm."
        yield Notice(severity="info", code="optics.nearest", text=text)


def _charring(protocol: LaserProtocol) -> Iterator[Notice]:
    row = reading(CHARS_FROM_W)
    if protocol.charring == "from_start":
        text = (
            "The tip is planned as carbonised from the start: part of the light is heat at the tip, so "
            "the lesion "
            "depends on the tip's state and hardly on tissue optics."
        )
        yield Notice(severity="warn", code="tip.charred_planned", text=text)
    if row.low is not None and protocol.power_w * protocol.duty >= row.low:
        long = protocol.duration_s >= CHARS_AFTER_S
        text = (
            f"{protocol.power_w * protocol.duty:g} W from one fibre: bovine muscle at the bench charred from "
            f"{row.low:g} W and {CHARS_AFTER_S:g} s on (1064 nm, LL-01)."
        )
        yield Notice(severity="warn" if long else "info", code="tip.may_char", text=text, source=row.source)


def _apart(plan: Plan) -> Iterator[Notice]:
    tips = np.array([item.tip_mm for item in plan.placements])
    for number in range(1, len(tips)):
        nearest = float(np.linalg.norm(tips[:number] - tips[number], axis=1).min())
        if nearest < 1.0:
            text = f"The ends of two fibres lie {nearest:.1f} mm apart."
            yield Notice(severity="stop", code="fibres.touch", text=text, source=PROJECT_RULE)


def summary(plan: Plan) -> tuple[tuple[str, str], ...]:
    """The setting in words."""
    protocol = recipe(plan)
    power = f"{protocol.power_w:g} W, continuous"
    if protocol.mode == "pulsed":
        power = (
            f"{protocol.power_w:g} W in pulses of {protocol.pulse_ms:g} ms at {protocol.pulse_rate_hz:g} Hz"
        )
    tip = {"never": "stays clean", "when_dry": "carbonises once tissue boils dry", "from_start": "carbonised"}
    fibre = f"bare, core radius {protocol.core_radius_mm:g} mm, NA {protocol.numerical_aperture:g}"
    if protocol.emitter == "diffuser":
        fibre = f"diffuser, {protocol.length_mm:g} mm long, radius {protocol.core_radius_mm:g} mm"
    count = len(plan.placements)
    return (
        ("Wavelength", f"{protocol.wavelength_nm:g} nm"),
        ("Power", power),
        ("Duration", f"{protocol.duration_s:g} s"),
        ("Energy", f"{protocol.energy_j:g} J" + (f" from each of {count} fibres" if count > 1 else "")),
        ("Fibre", fibre),
        ("Tip", tip[protocol.charring]),
        ("Needle", plan.placements[0].instrument.name),
    )


def assumptions(scene: Scene, plan: Plan) -> tuple[tuple[str, Quantity], ...]:
    """Numbers without a source that this plan's simulation uses."""
    protocol = recipe(plan)
    light = spectrum(protocol.wavelength_nm)
    found: list[tuple[str, Quantity]] = []
    for name in scene.tissues.names:
        if name == AIR:
            continue
        other = light.stand_in(name)
        if other != name:
            found.append((f"{name.replace('_', ' ')}: optics", stand_in_assumption(name, other)))
        item = light.tissue(name)
        found += [
            (f"{other.replace('_', ' ')}: absorption of light", item.absorption_per_mm),
            (f"{other.replace('_', ' ')}: anisotropy of scattering", item.anisotropy),
        ]
    found += [
        ("numerical aperture and core of the fibre", _entered(protocol)),
        ("scattering of coagulated tissue", coagulated().scattering_ratio),
    ]
    unsourced = {label: number for label, number in found if number.basis == "assumption"}
    return (*unsourced.items(), *boiling_assumptions())


def _entered(protocol: LaserProtocol) -> Quantity:
    return Quantity(
        value=protocol.numerical_aperture,
        unit="1",
        basis="assumption",
        source="assumption: no maker's data of a fibre were read; the site enters its own",
        conditions=f"core radius {protocol.core_radius_mm:g} mm",
    )
