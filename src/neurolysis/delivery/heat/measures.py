"""What every heating reports: fields, lesion sizes, energy balance, what lies beyond the image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.delivery.heat import reactions
from neurolysis.errors import SolverError
from neurolysis.exposure import EnergyBalance, LabelledField, LesionCriterion, LesionSize
from neurolysis.geometry import FloatArray

if TYPE_CHECKING:
    from neurolysis.physics.treatment import Result

GROSS_IMBALANCE = 0.05
"""An energy balance worse than this ends the run; worse than one per cent stops approval."""
LN_FLOOR = -60.0
"""ln Omega below this is shown as this: nothing has happened."""
NEVER_S = 1e6
"""Stands for never in ``lesion_time_s``; no treatment lasts so long."""


def fields_of_heat(result: Result, heat: Any, heat_text: str) -> dict[str, LabelledField]:
    """Labelled fields of a run; ``heat`` is the source (W/m3), told in words by ``heat_text``."""
    state = result.state
    damage = np.maximum(state.ln_damage, LN_FLOOR)
    rows: list[tuple[str, str, Any, str]] = [
        ("temperature_c", "°C", state.temperature, "at the end of the run (after cooling)"),
        ("peak_temperature_c", "°C", state.peak, "highest over the run"),
        ("cem43_min", "min", state.cem, "equivalent minutes at 43 C; held above 45 C, so a lower bound"),
        (f"log_damage_{reactions.PERFUSION_KINETICS}", "ln", damage[0], "ln Omega, from 43 C"),
        (f"log_damage_{reactions.NERVE_KINETICS}", "ln", damage[1], "ln Omega, from 43 C"),
        ("heat_w_per_m3", "W/m3", heat, heat_text),
    ]
    return {
        name: LabelledField(name=name, unit=unit, array=np.asarray(array, np.float32), description=text)
        for name, unit, array, text in rows
    }


def growth_of(result: Result, criteria: tuple[LesionCriterion, ...]) -> LabelledField:
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


def require_energy(energy: EnergyBalance, solver: str = "heat solver") -> None:
    """SolverError where the balance is broken."""
    if energy.error > GROSS_IMBALANCE:
        raise SolverError(
            "the energy balance is broken, no result is given",
            where=solver,
            found=f"{100 * energy.error:.1f} %",
            allowed=f"at most {100 * GROSS_IMBALANCE:g} %",
        )


def size_of(
    axes_mm: tuple[FloatArray, ...],
    volumes_mm3: FloatArray,
    field: FloatArray,
    criterion: LesionCriterion,
    active_tip_mm: float,
) -> LesionSize:
    """One lesion size, whichever way its criterion points; z = 0 is the apex."""
    from neurolysis.physics.lesion import measure

    sign = criterion.sign
    size = measure(axes_mm, volumes_mm3, sign * field, sign * criterion.threshold)
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


def outside_share(
    volumes: FloatArray,
    beyond_image: NDArray[np.bool_],
    fields: Mapping[str, LabelledField],
    criteria: tuple[LesionCriterion, ...],
) -> float:
    """Part of the largest lesion's volume that lies beyond the image, whichever way a criterion points."""
    masks = [criterion.reached(fields[criterion.field].array) for criterion in criteria]
    largest = max(masks, key=lambda mask: float(volumes[mask].sum()))
    total = float(volumes[largest].sum())
    return float(volumes[largest & beyond_image].sum()) / total if total > 0 else 0.0
