"""The members' answers as an Exposure: labelled fields, traces, sizes, balances, notices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis import __version__
from neurolysis.delivery.heat import reactions
from neurolysis.delivery.heat.measures import (
    energy_of,
    fields_of_heat,
    growth_of,
    outside_share,
    require_energy,
    size_of,
)
from neurolysis.delivery.laser.members import MEMBERS, SUFFIX, WORDS, Member
from neurolysis.delivery.laser.protocol import LaserProtocol
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.exposure import EnergyBalance, Exposure, LabelledField, LesionCriterion
from neurolysis.geometry import FloatArray
from neurolysis.plan import Notice, Plan

if TYPE_CHECKING:
    from neurolysis.delivery.laser.problem import Prepared
    from neurolysis.delivery.laser.solve import Lit

MEMBER_CRITERION = "isotherm_50c"
"""The criterion that is shown for all three members."""
BOILS_C = 99.0
SHOWN_C = 120.0
"""Traces are cut off here: the model has no vapour and no crater, so more means nothing."""
SERIES_UNITS = {
    "tip_temperature_c": "°C", "hottest_tissue_c": "°C", "hottest_shallow_c": "°C", "hottest_deep_c": "°C",
    "absorbed_w": "W", "absorbed_shallow_w": "W", "absorbed_deep_w": "W",
}  # fmt: skip


def light_shares(lit: Lit) -> dict[str, float | int]:
    """What became of the light at the end, as shares of what left the fibre, and how much work it was."""
    light = lit.last
    return {
        "absorbed": float(light.absorbed.sum()),
        "left_the_box": light.above + light.below + light.sides,
        "balance_error": max(lit.first.balance_error, light.balance_error),
        "renewals": lit.renewals,
        "photons": light.photons,
        "collisions_per_photon": light.collisions / light.photons,
        "photons_per_ms": light.photons_per_ms,
        "seconds": lit.light_s,
    }


def criteria_of() -> tuple[LesionCriterion, ...]:
    """Every criterion by the middle member; the first of them also by the other two."""
    found = list(lesion_criteria("plan"))
    base = next(c for c in found if c.id == MEMBER_CRITERION)
    for member in ("shallow", "deep"):
        found.append(
            base.replace(
                id=f"{base.id}{SUFFIX[member]}",
                label=f"{base.label}, {WORDS[member]}",
                field=f"{base.field}{SUFFIX[member]}",
            )
        )
    return tuple(found)


def fields_of(members: dict[Member, Lit], volumes: FloatArray) -> dict[str, LabelledField]:
    """Heat of the middle member, light and coagulation, and the others' peak temperature and damage."""
    middle = members["middle"]
    source = middle.first.absorbed / volumes
    fields = fields_of_heat(middle.result, source, "absorbed light for 1 W out of the fibres, at the start")
    rows: list[tuple[str, str, Any, str]] = [
        (
            "light_per_mm2",
            "1/mm2",
            middle.last.fluence * 1e-6,
            "fluence rate for 1 W out of the fibres, at the end",
        ),
        (
            "coagulated_share",
            "1",
            middle.coagulated,
            "1 - exp(-Omega) of the coagulation kinetics, at the end",
        ),
    ]
    for member in ("shallow", "deep"):
        other = fields_of_heat(members[member].result, source, "")
        for name in ("peak_temperature_c", f"log_damage_{reactions.NERVE_KINETICS}", "cem43_min"):
            item = other[name]
            text = f"{item.description}, {WORDS[member]}"
            rows.append((f"{_plain(name)}_{member}", item.unit, item.array, text))
    for name, unit, array, text in rows:
        fields[name] = LabelledField(
            name=name, unit=unit, array=np.asarray(array, np.float32), description=text
        )
    return fields


def _plain(name: str) -> str:
    # A damage field's own prefix would make it one more kinetics of the nerve.
    return name.replace("log_damage_", "ln_omega_")


def series_of(members: dict[Member, Lit]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Traces of the middle member, hottest tissue and absorbed power of all."""
    middle = members["middle"].result
    time = np.asarray(middle.time_s, float)
    series = {"tip_temperature_c": np.minimum(np.asarray(middle.trace.sensors[:, 0], float), SHOWN_C)}
    for member, lit in members.items():
        tail = SUFFIX[member]
        own = np.asarray(lit.result.time_s, float)
        hottest = np.minimum(np.interp(time, own, lit.result.trace.hottest), SHOWN_C)
        series[f"hottest{tail}_c" if tail else "hottest_tissue_c"] = hottest
        series[f"absorbed{tail}_w"] = np.interp(time, own, lit.result.trace.power)
    return time, series


def wrap(plan: Plan, protocol: LaserProtocol, prepared: Prepared, members: dict[Member, Lit]) -> Exposure:
    """Everything of one run as an Exposure."""
    grid = prepared.bed.grid
    axes = tuple(axis.centres * 1e3 for axis in grid.axes)
    volumes = grid.volumes
    fields = fields_of(members, volumes)
    criteria = criteria_of()
    fields["lesion_time_s"] = growth_of(members["middle"].result, criteria)
    lesions = tuple(size_of(axes, volumes * 1e9, fields[c.field].array, c, 0.0) for c in criteria)
    time, series = series_of(members)
    energies = {member: energy_of(lit.result) for member, lit in members.items()}
    for energy in energies.values():
        require_energy(energy)
    middle = members["middle"]
    return Exposure(
        technique=protocol.technique,
        frame=prepared.frame,
        axes_mm=(axes[0], axes[1], axes[2]),
        cell_volume_mm3=(volumes * 1e9).astype(np.float32),
        fields=fields,
        instrument=prepared.metal,
        time_s=time,
        series=series,
        series_units=SERIES_UNITS,
        criteria=criteria,
        lesions=lesions,
        energy=energies["middle"],
        outside_image_fraction=outside_share(volumes, prepared.sampled.beyond_image, fields, criteria),
        verdict_allowed=False,
        notices=_notices(protocol, members, energies),
        numerics=plan.numerics,
        solver={
            "name": "neurolysis light and heat",
            "version": __version__,
            "damage_start_c": reactions.PATIENT_START_C,
            "cells": int(volumes.size),
            "finest_mm": float(min(axis.widths.min() for axis in grid.axes) * 1e3),
            "elapsed_s": float(sum(lit.result.elapsed_s for lit in members.values())),
            "compile_s": middle.result.compile_s,
            "heat_iterations": int(middle.result.trace.heat_iterations.sum()),
            **{f"light_{name}": value for name, value in light_shares(middle).items()},
        },
        plan_hash=plan.content_hash(),
    )


def _boiling(value: float) -> str:
    return f"{value:.0f} °C" if value <= BOILS_C else "boils dry" if value > SHOWN_C else "boils"


def _notices(
    protocol: LaserProtocol, members: dict[Member, Lit], energies: dict[Member, EnergyBalance]
) -> tuple[Notice, ...]:
    found = []
    worst = max(energy.error for energy in energies.values())
    if worst > 0.01:
        text = f"The energy balance is off by {100 * worst:.2f} % (limit 1 %)."
        found.append(Notice(severity="stop", code="solver.energy", text=text, overridable=False))
    hottest = {member: float(members[member].result.trace.hottest.max()) for member in MEMBERS}
    if max(hottest.values()) > BOILS_C:
        listed = ", ".join(f"{_boiling(value)} {WORDS[member]}" for member, value in hottest.items())
        text = (
            f"Hottest tissue: {listed}. What boils dries and may char or be ablated; the model has the "
            f"heat of steam "
            "only: no water moves, nothing bursts, no crater forms, and temperatures above boiling mean "
            "nothing."
        )
        found.append(Notice(severity="warn", code="tissue.boils", text=text))
    charred = [
        f"{WORDS[m]} after {lit.charred_s:.0f} s" for m, lit in members.items() if lit.charred_s is not None
    ]
    if charred:
        text = (
            f"The tip is taken as carbonised ({'; '.join(charred)}): part of the light becomes heat at "
            f"the tip. "
            "When a tip really chars was not read; the switch at boiled-dry tissue is an assumption."
        )
        found.append(
            Notice(severity="warn", code="tip.charred", text=text, source="lsn_pmc2834766_evla_carbonised")
        )
    left = max(light_shares(lit)["left_the_box"] for lit in members.values())
    if left > 0.05:
        text = (
            f"Up to {100 * left:.0f} % of the light leaves the computed box; what "
            f"it heats there is not shown."
        )
        found.append(Notice(severity="warn", code="light.leaves_box", text=text))
    return tuple(found)
