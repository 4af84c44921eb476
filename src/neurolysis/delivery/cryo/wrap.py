"""The solver's arrays as an Exposure: labelled fields, traces, sizes of the ice, energy, notices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis import __version__
from neurolysis.delivery.cryo.expose import Prepared, levels_c
from neurolysis.delivery.cryo.protocol import CryoProtocol
from neurolysis.delivery.heat import measures
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.exposure import EnergyBalance, Exposure, LabelledField, LesionCriterion, LesionSize
from neurolysis.geometry import FloatArray
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Quantity

if TYPE_CHECKING:
    from neurolysis.physics.freezing_run import Result

SOLVER = "freezing solver"
FINE_IMBALANCE = 0.01
"""A worse energy balance stops approval."""
THRESHOLD_C = -20.0
COOL_FLUID_C = 30.0
"""A fluid-filled space colder than this gets a notice: its flow is not in the model."""
ML = 1e6

GRID_ERROR = Quantity(
    value=2.5,
    unit="%",
    low=0.0,
    high=5.0,
    standard_deviation=2.5,
    basis="computed",
    source="this program on finer grids",
    conditions=(
        "size of the ice against finer grids: with cells of 0.3 mm at the tip isotherms come out too small, "
        "0.8 to 3.5 % against cells of 0.1 mm in (r, z), and up to 1.5 % more in three dimensions"
    ),
)
"""What the grid does to a size: the true one is this much larger. It is told, not put right."""

SERIES_UNITS = {
    "probe_temperature_c": "°C", "coldest_tissue_c": "°C", "power_w": "W", "ice_ml": "mL",
    "below_m5c_ml": "mL", "below_m20c_ml": "mL",
}  # fmt: skip


def level_name(level_c: float) -> str:
    """A level in names of fields: ``m20c``, ``0c``."""
    return f"{'m' if level_c < 0 else ''}{abs(level_c):g}c"


def fields_of(result: Result) -> dict[str, LabelledField]:
    """Labelled fields of a run."""
    state = result.state
    rows: list[tuple[str, str, Any, str]] = [
        ("temperature_c", "°C", state.temperature, "at the end of the run (after the last thaw)"),
        ("lowest_temperature_c", "°C", state.lowest, "lowest over the run"),
    ]
    rows += [
        (f"seconds_below_{level_name(level)}", "s", state.below_s[k], f"time at or below {level:g} °C")
        for k, level in enumerate(levels_c())
    ]
    return {
        name: LabelledField(name=name, unit=unit, array=np.asarray(array, np.float32), description=text)
        for name, unit, array, text in rows
    }


def growth_of(result: Result, criteria: tuple[LesionCriterion, ...]) -> LabelledField:
    """When each cell first met the first criterion on the lowest temperature: how the lesion grew."""
    grown = next(one for one in criteria if one.field == "lowest_temperature_c")
    when = np.asarray(result.state.reached_s[levels_c().index(grown.threshold)], float)
    return LabelledField(
        name="lesion_time_s",
        unit="s",
        array=np.where(np.isfinite(when), when, measures.NEVER_S).astype(np.float32),
        description=f"when {grown.label} is first reached; {measures.NEVER_S:g}: never",
    )


def series_of(result: Result) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Time (n,) s and traces (n,)."""
    trace = result.trace
    series = {
        "probe_temperature_c": trace.probe_c,
        "coldest_tissue_c": trace.coldest_c,
        "power_w": trace.power,
    }
    for k, level in enumerate(levels_c()):
        name = "ice_ml" if level == 0 else f"below_{level_name(level)}_ml"
        series[name] = trace.volume[:, k] * ML
    return np.asarray(result.time_s, float), {k: np.asarray(v, float) for k, v in series.items()}


def energy_of(result: Result) -> EnergyBalance:
    """The balance; ``out_coolant_j`` is what the probe took up, ``stored_j`` what tissue gave (negative)."""
    from neurolysis.physics.freezing_run import energy_error

    probe, metabolic, boundary, perfusion, needle = (float(x) for x in result.state.energy)
    return EnergyBalance(
        supplied_j=0.0,
        metabolic_j=metabolic,
        stored_j=result.stored_j,
        out_boundary_j=boundary,
        out_perfusion_j=perfusion,
        out_coolant_j=probe,
        out_needle_j=needle,
        error=energy_error(result),
    )


def size_of(
    axes_mm: tuple[FloatArray, ...],
    volumes_mm3: FloatArray,
    field: FloatArray,
    criterion: LesionCriterion,
    cold_length_mm: float,
) -> LesionSize:
    """Size of one isotherm of the lowest temperature, the probe's inside with it; z = 0 is the apex."""
    return measures.size_of(axes_mm, volumes_mm3, np.asarray(field, float), criterion, cold_length_mm)


def wrap(plan: Plan, protocol: CryoProtocol, prepared: Prepared, result: Result) -> Exposure:
    """Everything of one run as an Exposure.

    Raises:
        SolverError: a broken energy balance.
    """
    axes = tuple(axis.centres * 1e3 for axis in prepared.grid.axes)
    volumes = prepared.grid.volumes
    fields = fields_of(result)
    criteria = lesion_criteria("cold")
    fields["lesion_time_s"] = growth_of(result, criteria)
    tip = plan.placements[0].instrument.active_tip_mm
    energy = energy_of(result)
    measures.require_energy(energy, SOLVER)
    time, series = series_of(result)
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
        lesions=tuple(size_of(axes, volumes * 1e9, fields[c.field].array, c, tip) for c in criteria),
        energy=energy,
        outside_image_fraction=measures.outside_share(
            volumes, prepared.sampled.beyond_image, fields, criteria
        ),
        model_errors=(GRID_ERROR,),
        notices=_notices(protocol, prepared, result, energy),
        numerics=plan.numerics,
        solver=_solver(prepared, result),
        plan_hash=plan.content_hash(),
    )


def _solver(prepared: Prepared, result: Result) -> dict[str, float | int | str]:
    return {
        "name": "neurolysis freezing",
        "version": __version__,
        "damage_start_c": THRESHOLD_C,
        "cells": int(prepared.grid.volumes.size),
        "finest_mm": float(min(axis.widths.min() for axis in prepared.grid.axes) * 1e3),
        "steps": len(result.time_s),
        "elapsed_s": result.elapsed_s,
        "compile_s": result.compile_s,
        "newton_steps": int(result.trace.newton.sum()),
        "heat_iterations": int(result.trace.inner.sum()),
    }


def _notices(
    protocol: CryoProtocol, prepared: Prepared, result: Result, energy: EnergyBalance
) -> tuple[Notice, ...]:
    found = []
    if energy.error > FINE_IMBALANCE:
        text = f"The energy balance is off by {100 * energy.error:.2f} % (limit 1 %)."
        found.append(Notice(severity="stop", code="solver.energy", text=text, overridable=False))
    coldest = float(result.trace.probe_c.min())
    if coldest > protocol.tip_temperature_c + 2.0:
        planned = f"{protocol.tip_temperature_c:g} °C planned"
        text = f"The probe's power holds its tip at {coldest:.0f} °C of {planned}."
        found.append(Notice(severity="warn", code="probe.limited", text=text))
    left = float(result.trace.volume[-1, levels_c().index(0.0)] * ML)
    if left > 0:
        text = (
            f"{left:.2f} mL are still ice at the end of the last thaw: the times below a temperature are "
            "lower bounds, and the tip may still be frozen in."
        )
        found.append(Notice(severity="warn", code="ice.left", text=text))
    fluid = prepared.sampled.fluid
    if fluid.any() and float(result.state.lowest[fluid].min()) < COOL_FLUID_C:
        text = (
            f"A fluid-filled space cools to {float(result.state.lowest[fluid].min()):.0f} °C as still fluid; "
            "its flow is not in the model: it would stay warmer, and so would what lies beside it."
        )
        found.append(Notice(severity="info", code="fluid_space.still", text=text))
    return tuple(found)
