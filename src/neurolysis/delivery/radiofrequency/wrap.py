"""The solver's arrays as an Exposure: labelled fields, traces, lesion sizes, energy, notices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis import __version__
from neurolysis.delivery.radiofrequency import reactions
from neurolysis.delivery.radiofrequency.expose import WARM_FLUID_C, Prepared, fluid_peak_c
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.errors import SolverError
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.exposure import EnergyBalance, Exposure, LabelledField, LesionCriterion, LesionSize
from neurolysis.geometry import FloatArray
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.treatment import Result

GROSS_IMBALANCE = 0.05
"""An energy balance worse than this ends the run; worse than one per cent stops approval."""
LN_FLOOR = -60.0
"""ln Omega below this is shown as this: nothing has happened."""

SERIES_UNITS = {
    "tip_temperature_c": "°C",
    "hottest_tissue_c": "°C",
    "power_w": "W",
    "impedance_ohm": "ohm",
    "voltage_v": "V",
}

NEVER_S = 1e6
"""Stands for never in ``lesion_time_s``; no treatment lasts so long."""

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
    state = result.state
    damage = np.maximum(state.ln_damage, LN_FLOOR)
    rows: list[tuple[str, str, Any, str]] = [
        ("temperature_c", "°C", state.temperature, "at the end of the run (after cooling)"),
        ("peak_temperature_c", "°C", state.peak, "highest over the run"),
        ("cem43_min", "min", state.cem, "equivalent minutes at 43 C; held above 45 C, so a lower bound"),
        (f"log_damage_{reactions.PERFUSION_KINETICS}", "ln", damage[0], "ln Omega, from 43 C"),
        (f"log_damage_{reactions.NERVE_KINETICS}", "ln", damage[1], "ln Omega, from 43 C"),
        ("heat_w_per_m3", "W/m3", state.joule / volumes, "Joule heat for 1 V"),
    ]
    return {
        name: LabelledField(name=name, unit=unit, array=np.asarray(array, np.float32), description=text)
        for name, unit, array, text in rows
    }


def _growth(result: Result, criteria: tuple[LesionCriterion, ...]) -> LabelledField:
    """When each cell first met the first criterion on the highest temperature: how the lesion grew."""
    from neurolysis.physics.treatment import first_reached_s

    grown = next(one for one in criteria if one.field == "peak_temperature_c")
    when = first_reached_s(result, grown.threshold)
    return LabelledField(
        name="lesion_time_s",
        unit="s",
        array=np.where(np.isfinite(when), when, NEVER_S).astype(np.float32),
        description=f"when {grown.label} is first reached; {NEVER_S:g}: never",
    )


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


def energy_of(result: Result) -> EnergyBalance:
    """The balance: what went in, what stayed, what left; no term is a residual."""
    supplied, metabolic, boundary, perfusion, coolant, needle = (float(x) for x in result.state.energy)
    gap = supplied + metabolic - result.stored_j - boundary - perfusion - coolant - needle
    # A tip cooled below body temperature takes heat up: that is an input too.
    inputs = abs(supplied) + abs(metabolic) + max(0.0, -boundary) + max(0.0, -perfusion) + max(0.0, -needle)
    return EnergyBalance(
        supplied_j=supplied,
        metabolic_j=metabolic,
        stored_j=result.stored_j,
        out_boundary_j=boundary,
        out_perfusion_j=perfusion,
        out_coolant_j=coolant,
        out_needle_j=needle,
        error=abs(gap) / max(inputs, 1e-9),
    )


def size_of(
    axes_mm: tuple[FloatArray, ...],
    volumes_mm3: FloatArray,
    field: FloatArray,
    criterion: LesionCriterion,
    active_tip_mm: float,
) -> LesionSize:
    """One lesion size; z = 0 is the apex."""
    from neurolysis.physics.lesion import measure

    size = measure(axes_mm, volumes_mm3, field, criterion.threshold)
    none = size.length <= 0
    return LesionSize(
        criterion=criterion.id,
        width_mm=size.width,
        length_mm=size.length,
        volume_mm3=size.volume,
        distal_extent_mm=0.0 if none else -size.low,
        proximal_extent_mm=0.0 if none else size.high - active_tip_mm,
        reaches_boundary=size.reaches_boundary,
    )


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
    fields["lesion_time_s"] = _growth(result, criteria)
    tip = plan.placements[0].instrument.active_tip_mm
    lesions = tuple(size_of(axes, volumes * 1e9, fields[c.field].array, c, tip) for c in criteria)
    time, series = series_of(result)
    energy = energy_of(result)
    if energy.error > GROSS_IMBALANCE:
        raise SolverError(
            "the energy balance is broken, no result is given",
            where="heat solver",
            found=f"{100 * energy.error:.1f} %",
            allowed=f"at most {100 * GROSS_IMBALANCE:g} %",
        )
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
        outside_image_fraction=_outside_share(prepared, fields, criteria),
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


def _outside_share(
    prepared: Prepared, fields: dict[str, LabelledField], criteria: tuple[LesionCriterion, ...]
) -> float:
    """Part of the largest lesion's volume that lies beyond the image."""
    volumes = prepared.grid.volumes
    largest = np.zeros(volumes.shape, bool)
    for criterion in criteria:
        mask = fields[criterion.field].array >= criterion.threshold
        if volumes[mask].sum() > volumes[largest].sum():
            largest = mask
    total = volumes[largest].sum()
    beyond = volumes[largest & prepared.sampled.beyond_image].sum()
    return float(beyond / total) if total > 0 else 0.0


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
