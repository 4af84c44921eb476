"""The members' answers as an Exposure: labelled fields, traces, sizes, balances, notices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurolysis import __version__
from neurolysis.delivery.chemical.expose import Solved
from neurolysis.delivery.chemical.members import Member
from neurolysis.delivery.chemical.problem import MM, density_of
from neurolysis.delivery.chemical.protocol import ChemicalProtocol
from neurolysis.errors import SolverError
from neurolysis.evidence.injectates import Injectate, injectate, porous_body
from neurolysis.exposure import Exposure, LabelledField, LesionCriterion, LesionSize
from neurolysis.geometry import FloatArray
from neurolysis.nerve.targets import target_of
from neurolysis.plan import Notice, Plan
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.infusion import Spread

GROSS_IMBALANCE = 0.01
"""A balance worse than this ends the run; worse than 0.1 % stops approval."""
FINE_IMBALANCE = 0.001
NEVER_MIN = 1e4
SUFFIX: dict[Member, str] = {"narrow": "_narrow", "middle": "", "wide": "_wide"}
MM3_PER_ML = 1000.0
SERIES_UNITS = {
    "injected_ml": "mL", "pressure_kpa": "kPa", "volume_ml": "mL", "volume_narrow_ml": "mL",
    "volume_wide_ml": "mL", "mobile_ml": "mL", "still_ml": "mL", "blood_ml": "mL",
}  # fmt: skip


def criteria_of(agent: Injectate) -> tuple[LesionCriterion, ...]:
    """The concentrations clinicians go by; the least of them also in the narrow and the wide member."""
    unit = f"% {agent.percent_means}"
    found = [
        LesionCriterion(
            id=t.id, label=t.label, field="peak_concentration_percent", threshold=t.percent, unit=unit,
            source=t.source,
        )
        for t in agent.thresholds
    ]  # fmt: skip
    least = min(agent.thresholds, key=lambda t: t.percent)
    for member in ("narrow", "wide"):
        found.append(
            LesionCriterion(
                id=f"{least.id}_{member}",
                label=f"{least.percent:g} %, if it spreads {'little' if member == 'narrow' else 'far'}",
                field=f"peak_concentration_percent_{member}",
                threshold=least.percent,
                unit=unit,
                source=least.source,
            )
        )
    return tuple(found)


def fields_of(agent: Injectate, percent: float, spreads: dict[Member, Spread]) -> dict[str, LabelledField]:
    """Highest concentration, contact and share of every member; arrival and end state of the middle one."""
    least = min(t.percent for t in agent.thresholds)
    unit = f"% {agent.percent_means}"
    rows: list[tuple[str, str, NDArray[np.floating[Any]], str]] = []
    for member, spread in spreads.items():
        tail, peak = SUFFIX[member], percent * spread.peak
        rows += [
            (f"peak_concentration_percent{tail}", unit, peak, f"highest over the run, {member} member"),
            (
                f"agent_share{tail}",
                "1",
                peak / least,
                f"of the least neurolytic concentration, {member} member",
            ),
            (
                f"exposure_percent_min{tail}",
                f"{unit} min",
                percent * spread.dose_s / 60,
                "over the whole run",
            ),
        ]
    middle = spreads["middle"]
    index = int(np.argmin([t.percent for t in agent.thresholds]))
    arrival = np.where(np.isfinite(middle.arrival_s[index]), middle.arrival_s[index] / 60, NEVER_MIN)
    rows += [
        (
            "arrival_min",
            "min",
            arrival.astype(np.float32),
            f"when {least:g} % is first reached; {NEVER_MIN:g}: never",
        ),
        ("end_concentration_percent", unit, percent * middle.part, "in the pores at the end"),
        ("minutes_above_least", "min", middle.above_s[index] / 60, f"time at or above {least:g} %"),
    ]
    return {
        name: LabelledField(name=name, unit=unit_, array=np.asarray(array, np.float32), description=text)
        for name, unit_, array, text in rows
    }


def series_of(agent: Injectate, spreads: dict[Member, Spread]) -> tuple[FloatArray, dict[str, FloatArray]]:
    """Traces of the middle member, and the volume at the least threshold in all three."""
    trace = spreads["middle"].trace
    index = int(np.argmin([t.percent for t in agent.thresholds]))
    series = {
        "injected_ml": trace.injected_mm3 / MM3_PER_ML,
        "pressure_kpa": trace.highest_pressure_pa / 1000,
        "mobile_ml": trace.agent_mm3["mobile"] / MM3_PER_ML,
        "still_ml": trace.agent_mm3["still"] / MM3_PER_ML,
        "blood_ml": trace.agent_mm3["blood"] / MM3_PER_ML,
    }
    for member, spread in spreads.items():
        series[f"volume{SUFFIX[member]}_ml"] = spread.trace.volume_above_mm3[:, index] / MM3_PER_ML
    return trace.time_s, series


def size_of(
    axes_mm: tuple[FloatArray, ...], volumes: FloatArray, field: FloatArray, criterion: LesionCriterion
) -> LesionSize:
    """Extent of one criterion: width across the body axis, length along it; z = 0 is the first tip."""
    from neurolysis.physics.lesion import measure

    size = measure(axes_mm, volumes, field, criterion.threshold)
    none = size.length <= 0
    return LesionSize(
        criterion=criterion.id,
        width_mm=size.width,
        length_mm=size.length,
        volume_mm3=size.volume,
        distal_extent_mm=0.0 if none else -size.low,
        proximal_extent_mm=0.0 if none else size.high,
        reaches_boundary=size.reaches_boundary,
    )


def wrap(scene: Scene, plan: Plan, protocol: ChemicalProtocol, solved: Solved) -> Exposure:
    """Everything of one plan's injection as an Exposure."""
    agent = injectate(protocol.agent)
    grid = solved.sampled.grid
    axes = tuple(axis.centres / MM for axis in grid.axes)
    volumes = grid.volumes * 1e9
    fields = fields_of(agent, protocol.injected_percent, solved.spreads)
    criteria = criteria_of(agent)
    lesions = tuple(size_of(axes, volumes, fields[c.field].array, c) for c in criteria)
    time, series = series_of(agent, solved.spreads)
    _require_balance(solved)
    middle = solved.spreads["middle"]
    is_plexus = target_of(plan.target.nerve).kind in ("plexus", "ganglion") if _known(plan) else False
    worst = solved.spreads.values()
    return Exposure(
        technique=protocol.technique,
        frame=solved.sampled.frame,
        axes_mm=(axes[0], axes[1], axes[2]),
        cell_volume_mm3=volumes.astype(np.float32),
        fields=fields,
        instrument=np.zeros(grid.shape, bool),
        time_s=np.asarray(time, float),
        series={name: np.asarray(values, float) for name, values in series.items()},
        series_units=SERIES_UNITS,
        criteria=criteria,
        lesions=lesions,
        outside_image_fraction=_outside_share(solved, fields, criteria),
        verdict_allowed=not is_plexus,
        notices=_notices(scene, plan, protocol, agent, solved),
        numerics=plan.numerics,
        solver={
            "name": "neurolysis porous flow",
            "version": __version__,
            "agent": protocol.agent,
            "cells": int(volumes.size),
            "finest_mm": float(min(axis.widths.min() for axis in grid.axes) / MM),
            "elapsed_s": float(sum(s.elapsed_s for s in worst)),
            "volume_balance_error": float(max(s.volume_error for s in worst)),
            "mass_balance_error": float(max(s.mass_error for s in worst)),
            "pressure_iterations": int(middle.trace.iterations.sum()),
            "transport_steps": int(middle.trace.substeps.sum()),
        },
        plan_hash=plan.content_hash(),
    )


def _known(plan: Plan) -> bool:
    from neurolysis.errors import UnknownNameError

    try:
        target_of(plan.target.nerve)
    except UnknownNameError:
        return False
    return True


def _require_balance(solved: Solved) -> None:
    for member, spread in solved.spreads.items():
        worst = max(spread.volume_error, spread.mass_error)
        if worst > GROSS_IMBALANCE:
            raise SolverError(
                "a balance of volume or agent is broken, no result is given",
                where=f"spread of the agent, {member} member",
                found=f"{100 * worst:.2f} %",
                allowed=f"at most {100 * GROSS_IMBALANCE:g} %",
            )


def _outside_share(
    solved: Solved, fields: dict[str, LabelledField], criteria: tuple[LesionCriterion, ...]
) -> float:
    """Part of the largest region by any criterion that lies beyond the image."""
    volumes = solved.sampled.grid.volumes
    masks = [fields[c.field].array >= c.threshold for c in criteria]
    largest = max(masks, key=lambda mask: float(volumes[mask].sum()))
    total = float(volumes[largest].sum())
    return float(volumes[largest & solved.sampled.beyond].sum()) / total if total > 0 else 0.0


def _notices(
    scene: Scene, plan: Plan, protocol: ChemicalProtocol, agent: Injectate, solved: Solved
) -> tuple[Notice, ...]:
    found = []
    worst = max(max(s.volume_error, s.mass_error) for s in solved.spreads.values())
    if worst > FINE_IMBALANCE:
        text = f"A balance of volume or agent is off by {100 * worst:.2f} % (limit 0.1 %)."
        found.append(Notice(severity="stop", code="solver.balance", text=text, overridable=False))
    limit = porous_body().pressure_notice_pa
    highest = max(float(s.trace.highest_pressure_pa.max()) for s in solved.spreads.values())
    if highest > limit.value:
        text = (
            f"The pressure at the outlet reaches {highest / 1000:.0f} kPa, above the stiffness of the tissue "
            f"({limit.value / 1000:.0f} kPa): planes would be forced open, which the model does not hold. "
            "The true spread may run along them, further than shown."
        )
        found.append(Notice(severity="warn", code="flow.splits_tissue", text=text, source=limit.source))
    crossed = max(float(s.trace.agent_mm3["crossed"][-1]) for s in solved.spreads.values())
    if crossed > 0.01 * MM3_PER_ML * protocol.volume_ml:
        text = f"{crossed / MM3_PER_ML:.1f} mL of the injectate leave the computed box."
        found.append(Notice(severity="warn", code="flow.leaves_box", text=text))
    if plan.position is None:
        text = "The patient's position is not given: gravity is left out."
        found.append(Notice(severity="warn", code="position.unknown", text=text))
    elif density_of(protocol) is None:
        text = (
            f"No density of {agent.title.lower()} in {protocol.vehicle} was read: gravity is left out. "
            "Enter density_g_per_ml."
        )
        found.append(Notice(severity="warn", code="density.unknown", text=text))
    if scene.tissues.uncertain is not None:
        text = "Vessels that no label names count as soft tissue: the agent would pass through them."
        found.append(Notice(severity="info", code="vessels.unlabelled", text=text))
    text = (
        "Spread is shown as three members (little, middle, far): no constant of transport was measured for "
        "this agent in these tissues."
    )
    found.append(Notice(severity="info", code="spread.members", text=text))
    return tuple(found)
