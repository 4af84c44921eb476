"""The solver's arrays as an Exposure: labelled fields, traces, lesion sizes, energy, notices."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
from neurolysis.delivery.radiofrequency.expose import WARM_FLUID_C, Prepared, fluid_peak_c
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.exposure import EnergyBalance, Exposure, LabelledField
from neurolysis.geometry import FloatArray
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.treatment import Result

SERIES_UNITS = {
    "tip_temperature_c": "°C",
    "hottest_tissue_c": "°C",
    "power_w": "W",
    "impedance_ohm": "ohm",
    "voltage_v": "V",
}

MODEL_ERROR = Quantity(
    value=0.0,
    unit="%",
    low=-10.0,
    high=10.0,
    basis="computed",
    source="rf_case_1",
    conditions=(
        "bench: started at 21 C the 50 C isotherm matches the widths read; the gauge ratio stays up to "
        "10 % short (1.42-1.56 against 1.58-1.65), which is taken as the error of a predicted size"
    ),
)


def fields_of(result: Result, volumes: FloatArray) -> dict[str, LabelledField]:
    """Labelled fields of a run."""
    return fields_of_heat(result, np.asarray(result.state.joule) / volumes, "Joule heat for 1 V")


def series_of(result: Result) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Time (n,) s and traces (n,)."""
    trace = result.trace
    series = {
        "tip_temperature_c": trace.sensors[:, 0],
        "hottest_tissue_c": trace.hottest,
        "power_w": trace.power,
        "impedance_ohm": trace.impedance,
        "voltage_v": trace.voltage,
    }
    return np.asarray(result.time_s, float), {k: np.asarray(v, float) for k, v in series.items()}


def wrap(
    scene: Scene,
    plan: Plan,
    protocol: RadiofrequencyProtocol,
    prepared: Prepared,
    result: Result,
    fluid_fixed: Result | None,
) -> Exposure:
    """Everything of one run as an Exposure."""
    axes = tuple(axis.centres * 1e3 for axis in prepared.grid.axes)
    volumes = prepared.grid.volumes
    fields = fields_of(result, volumes)
    if fluid_fixed is not None:
        name = "peak_temperature_c_fluid_fixed"
        text = "highest over the run, fluid-filled spaces held at body temperature"
        fields[name] = LabelledField(name=name, unit="°C", array=fluid_fixed.state.peak, description=text)
    criteria = lesion_criteria("plan")
    fields["lesion_time_s"] = growth_of(result, criteria)
    tip = plan.placements[0].instrument.active_tip_mm
    lesions = tuple(size_of(axes, volumes * 1e9, fields[c.field].array, c, tip) for c in criteria)
    time, series = series_of(result)
    energy = energy_of(result)
    require_energy(energy)
    trace = result.trace
    return Exposure(
        technique=protocol.technique,
        frame=prepared.frame,
        axes_mm=axes,
        cell_volume_mm3=(volumes * 1e9).astype(np.float32),
        fields=fields,
        instrument=prepared.metal,
        time_s=time,
        series=series,
        series_units=SERIES_UNITS,
        criteria=criteria,
        lesions=lesions,
        energy=energy,
        outside_image_fraction=outside_share(volumes, prepared.sampled.beyond_image, fields, criteria),
        model_errors=(MODEL_ERROR,),
        verdict_allowed=protocol.mode != "pulsed",
        notices=_notices(protocol, plan, prepared, result, energy),
        numerics=plan.numerics,
        solver={
            "name": "neurolysis electrothermal",
            "version": __version__,
            "damage_start_c": reactions.PATIENT_START_C,
            "cells": int(volumes.size),
            "finest_mm": float(min(axis.widths.min() for axis in prepared.grid.axes) * 1e3),
            "elapsed_s": result.elapsed_s,
            "compile_s": result.compile_s,
            "potential_iterations": int(trace.potential_iterations.sum()),
            "first_potential_iterations": int(trace.potential_iterations[0]),
            "heat_iterations": int(trace.heat_iterations.sum()),
        },
        plan_hash=plan.content_hash(),
    )


def _notices(
    protocol: RadiofrequencyProtocol, plan: Plan, prepared: Prepared, result: Result, energy: EnergyBalance
) -> tuple[Notice, ...]:
    found = []
    if bool(result.state.tripped):
        found.append(Notice(severity="stop", code="generator.impedance", text=_trip_text(result, plan)))
    if protocol.mode == "temperature" and not bool(result.state.tripped):
        reached = float(result.trace.sensors[:, 0].max())
        if reached < (protocol.set_temperature_c or 0.0) - 1.0:
            text = (
                f"A generator limit holds the tip at {reached:.1f} °C of {protocol.set_temperature_c:g} °C."
            )
            found.append(Notice(severity="warn", code="generator.limited", text=text))
    hottest = float(result.trace.hottest.max())
    if hottest > 99.0:
        text = f"Tissue at the tip reaches {hottest:.0f} °C: boiling and charring are possible."
        found.append(Notice(severity="warn", code="tissue.boils", text=text))
    if energy.error > 0.01:
        text = f"The energy balance is off by {100 * energy.error:.2f} % (limit 1 %)."
        found.append(Notice(severity="stop", code="solver.energy", text=text, overridable=False))
    fluid_peak = fluid_peak_c(prepared, result)
    if fluid_peak is not None and fluid_peak <= WARM_FLUID_C:
        text = (
            f"Fluid-filled spaces reach {fluid_peak:.1f} °C when treated as still tissue; held at body "
            "temperature by their flow they would stay cooler, so that case was not solved."
        )
        found.append(Notice(severity="info", code="fluid_space.cool", text=text))
    if protocol.mode == "pulsed":
        found.append(Notice(severity="info", code="pulsed.no_verdict", text=_field_text(prepared, result)))
    return tuple(found)


def _trip_text(result: Result, plan: Plan) -> str:
    seen = result.trace.impedance
    generator = plan.generator
    allowed = ""
    if generator is not None:
        low, high = generator.minimum_impedance_ohm.value, generator.maximum_impedance_ohm.value
        allowed = f" (allowed {low:g} to {high:g} ohm)"
    return f"The generator stops on impedance: {seen.min():.0f} to {seen.max():.0f} ohm{allowed}"


def _field_text(prepared: Prepared, result: Result) -> str:
    peak = float(result.trace.voltage.max())
    values = ", ".join(
        f"{field / 1e3:.1f} kV/m at {distance:g} mm"
        for distance, field in field_beside_tip(prepared, result, peak)
    )
    return (
        f"Pulsed: peak field during pulses of {peak:.0f} V beside the middle of the tip: {values}. "
        "Heat is averaged over the pulses; short spikes at the tip are hotter. "
        "How the field acts on nerve is not modelled, so there is no verdict of coverage."
    )


def field_beside_tip(prepared: Prepared, result: Result, voltage: float) -> list[tuple[float, float]]:
    """Pairs of distance from the surface (mm) and field strength (V/m) at ``voltage``."""
    u = np.asarray(result.state.unit_potential, float)
    gradient = np.gradient(u, *[axis.centres for axis in prepared.grid.axes])
    strength = voltage * np.sqrt(sum(g**2 for g in gradient))
    axes = [axis.centres for axis in prepared.grid.axes]
    rod = prepared.rods[0]
    j = int(np.argmin(np.abs(axes[1])))
    k = int(np.argmin(np.abs(axes[2] - 0.5 * (rod.active[0] + rod.active[1]))))
    return [
        (d, float(np.interp(rod.radius + d * 1e-3, axes[0], strength[:, j, k]))) for d in (0.5, 1.0, 2.0, 4.0)
    ]
