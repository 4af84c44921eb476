"""The command ``simulate``: one needle in one tissue, from options or from a bench case file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from neurolysis.delivery.technique import Option, Progress
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.quantity import Value, parse

if TYPE_CHECKING:
    from neurolysis.delivery.chemical.members import Constants
    from neurolysis.evidence.injectates import Injectate

TISSUES = ("fat", "muscle", "planes")
MM = 1e-3
LIGHTEST, HEAVIEST = 0.5, 2.0
"""Densities, g/mL, between which a solution's is taken for no slip; those of the protocol."""


class InjectionBench(Value):
    """One injection from a point-like outlet into one tissue, every number given; SI where named so.

    Concentrations are in the percent of ``percent_means``. ``members`` are solved side by side when the
    case comes from options; a file describes exactly one.
    """

    schema_name: Literal["injection-bench"] = "injection-bench"
    schema_version: Literal[1] = 1
    concentration_percent: float = Field(gt=0, le=100)
    volume_ml: float = Field(gt=0, le=100)
    rate_ml_per_min: float = Field(gt=0, le=100)
    observe_min: float = Field(default=30.0, ge=0, le=240)
    thresholds_percent: tuple[float, ...] = Field(min_length=1)
    permeability_m2: float = Field(gt=0, lt=1e-6)
    grain_ratio: float = Field(default=1.0, gt=0, le=100)
    porosity: float = Field(gt=0, le=1)
    water: float = Field(gt=0, le=1)
    storage_per_pa: float = Field(ge=0, le=1e-2)
    leak_per_pa_s: float = Field(default=0.0, ge=0, le=1)
    perfusion_per_s: float = Field(default=0.0, ge=0, le=1)
    diffusivity_m2_per_s: float = Field(ge=0, le=1e-7)
    exchange_per_s: float = Field(default=0.0, ge=0, le=100)
    viscosity_mpa_s: tuple[float, ...] = Field(min_length=2, description="from tissue fluid to injectate")
    density_g_per_ml: tuple[float, ...] = Field(min_length=2, description="from tissue fluid to injectate")
    rest_share: float = Field(default=1.0, gt=0, le=1, description="permeability left without pressure")
    gravity_m_per_s2: float = Field(default=0.0, ge=-20, le=20, description="along -z where positive")
    outlet_mm: float = Field(default=2.0, gt=0, le=20)
    finest_mm: float = Field(default=1.0, gt=0.05, le=5)
    extent_mm: float | None = Field(default=None, gt=5, le=200)


OPTIONS = (
    Option("agent", str, "neurolytic agent; an unknown name lists all", required=True),
    Option("vehicle", str, "what it is dissolved in", "water"),
    Option("concentration-percent", float, "strength of what leaves the needle", unit="%"),
    Option("volume-ml", float, "volume injected", unit="mL"),
    Option("rate-ml-per-min", float, "rate of injection", 5.0, unit="mL/min"),
    Option("tissue", str, "tissue round the outlet", "fat", choices=TISSUES),
    Option("observe-min", float, "time followed after the injection", 30.0, unit="min"),
    Option("finest-mm", float, "cell size at the outlet", 1.0, unit="mm"),
    Option(
        "density-g-per-ml",
        float,
        "density of the solution, where none was read; 0: not given",
        0.0,
        unit="g/mL",
    ),
    Option("gravity", bool, "let gravity act along -z", False),
)

SETTABLE = (
    "permeability_m2", "grain_ratio", "porosity", "water", "storage_per_pa", "leak_per_pa_s",
    "perfusion_per_s",
    "diffusivity_m2_per_s", "exchange_per_s", "outlet_mm", "extent_mm", "rest_share",
)  # fmt: skip
"""What ``--set name=value`` may change; it then holds for every member."""


def bench_of(options: Mapping[str, Any], changes: Mapping[str, str], member: str) -> InjectionBench:
    """The bench case of one member from options.

    Raises:
        UnknownNameError: agent, vehicle, tissue or property; InputError: a strength that does not exist.
    """
    from neurolysis.delivery.chemical.members import constants
    from neurolysis.evidence.injectates import injectate

    agent = injectate(str(options["agent"]))
    agent.require_strength(_percent(options), str(options["vehicle"]), "--concentration-percent")
    made = constants(agent, member)  # type: ignore[arg-type]
    data = {
        "concentration_percent": _percent(options),
        "volume_ml": float(options["volume-ml"]),
        "rate_ml_per_min": float(options["rate-ml-per-min"]),
        "observe_min": float(options["observe-min"]),
        "thresholds_percent": tuple(t.percent for t in agent.thresholds),
        **_tissue_fields(made, str(options["tissue"])),
        "viscosity_mpa_s": _viscosities(agent, options),
        "density_g_per_ml": _densities(agent, options),
        "gravity_m_per_s2": 9.80665 if options.get("gravity") else 0.0,
        "finest_mm": float(options["finest-mm"]),
        **_changed(changes),
    }
    return parse(InjectionBench, data, "simulate")


def _percent(options: Mapping[str, Any]) -> float:
    return float(options["concentration-percent"])


def _tissue_fields(made: Constants, tissue: str) -> dict[str, Any]:
    """What a member's constants and the tissue round the outlet set."""
    from neurolysis.evidence.injectates import porous_body
    from neurolysis.evidence.tissues import tissue_names, tissue_properties

    permeability, porosity, water = made.tissue(tissue)
    flow = tissue_properties(tissue).perfusion_per_s.value if tissue in tissue_names() else 0.0
    return {
        "permeability_m2": permeability,
        "grain_ratio": made.grain_ratio if tissue == "muscle" else 1.0,
        "porosity": porosity,
        "water": water,
        "storage_per_pa": made.storage_per_pa,
        "leak_per_pa_s": made.leak_per_pa_s,
        "perfusion_per_s": made.perfusion_share * flow,
        "diffusivity_m2_per_s": made.diffusivity,
        "exchange_per_s": made.exchange_per_s,
        "rest_share": made.rest_share,
        "outlet_mm": porous_body().outlet_mm.value + made.backflow_m / MM,
    }


def _viscosities(agent: Injectate, options: Mapping[str, Any]) -> tuple[float, ...]:
    """From tissue fluid to injectate, mPa s."""
    from neurolysis.delivery.chemical.problem import TABLE
    from neurolysis.evidence.injectates import mixture_viscosity_mpa_s, still_fluid

    solution = agent.solution(str(options["vehicle"]))
    strength = 1.0 if solution.vehicle else _percent(options) / 100
    own = still_fluid().viscosity_mpa_s.value
    return tuple(mixture_viscosity_mpa_s(solution, strength, np.linspace(0, 1, TABLE), own).tolist())


def _densities(agent: Injectate, options: Mapping[str, Any]) -> tuple[float, float]:
    """Of tissue fluid and injectate, g/mL; equal where gravity is off and none was given."""
    from neurolysis.evidence.injectates import solution_density_g_per_ml, still_fluid

    fluid = still_fluid().density_g_per_ml.value
    own = float(options.get("density-g-per-ml") or 0.0)
    if own and not LIGHTEST < own < HEAVIEST:
        raise InputError(
            "no solution is as light or as heavy",
            where="--density-g-per-ml",
            found=own,
            allowed=f"above {LIGHTEST:g}, below {HEAVIEST:g} g/mL; 0: not given",
        )
    if not own and options.get("gravity"):
        own = solution_density_g_per_ml(agent, str(options["vehicle"]), _percent(options))
    return fluid, own or fluid


def _changed(changes: Mapping[str, str]) -> dict[str, float]:
    """Properties set by hand, as numbers."""
    changed = {}
    for name, text in changes.items():
        if name not in SETTABLE:
            raise UnknownNameError("unknown property", where="--set", found=name, allowed=SETTABLE)
        try:
            changed[name] = float(text)
        except ValueError:
            raise InputError("not a number", where=f"--set {name}", found=text) from None
    return changed


def extent_of(case: InjectionBench) -> float:
    """Half the box, mm: a third more than the injected volume fills, and room for what moves on."""
    if case.extent_mm is not None:
        return case.extent_mm
    filled = (3e3 * case.volume_ml / (4 * np.pi * case.porosity)) ** (1 / 3)
    return float(np.clip(1.35 * filled * max(1.0, case.grain_ratio) ** (1 / 3) + 8, 20, 200))


def run_bench(case: InjectionBench, axisymmetric: bool, progress: Progress) -> dict[str, Any]:
    """Solve one case, on (r, z) or in 3-D, and report it as plain data."""
    from neurolysis.physics.infusion import run_infusion

    problem = bench_problem(case, axisymmetric)
    found = run_infusion(problem, progress=progress)
    return {"spread": _spread(case, problem, found), **_accounts(case, problem, found)}


def bench_problem(case: InjectionBench, axisymmetric: bool) -> Any:
    """The flow problem of a bench case; gravity acts along -z."""
    from neurolysis.delivery.chemical.protocol import ML_PER_MIN
    from neurolysis.physics.grid import Axis, TensorGrid, graded_faces
    from neurolysis.physics.porous import Fluid, Infusion, Medium, Source

    extent, finest = extent_of(case) * MM, case.finest_mm * MM

    def faces(low: float) -> Any:
        return graded_faces(
            [0.0], low, extent, finest=finest, growth=1.06, coarsest=4 * finest, centred=low < 0
        )

    axes = (Axis(faces(0.0), radial=True),) if axisymmetric else (Axis(faces(-extent)), Axis(faces(-extent)))
    grid = TensorGrid((*axes, Axis(faces(-extent))))
    shape, ndim = grid.shape, len(grid.shape)
    full = np.ones(shape)
    vertical = grid.axes[-1].centres
    on_line = np.abs(vertical - 0.5 * case.outlet_mm * MM) <= 0.5 * max(case.outlet_mm * MM, 1.01 * finest)
    middle = [0 if axis.radial else int(np.argmin(np.abs(axis.centres))) for axis in grid.axes[:-1]]
    cells = np.array([[*middle, k] for k in np.flatnonzero(on_line)])
    shares = grid.axes[-1].widths[on_line]
    gravity = (*(0.0,) * (ndim - 1), -case.gravity_m_per_s2)
    volume = case.volume_ml / case.rate_ml_per_min * 60
    return Infusion(
        grid=grid,
        medium=Medium(
            open=np.ones(shape, bool),
            permeability=tuple(
                case.permeability_m2 * (case.grain_ratio if k == ndim - 1 else 1.0) * full
                for k in range(ndim)
            ),
            porosity=case.porosity * full,
            water=max(case.water, case.porosity) * full,
            storage=case.storage_per_pa * full,
            leak=case.leak_per_pa_s * full,
            perfusion=case.perfusion_per_s * full,
            diffusivity=case.diffusivity_m2_per_s * full,
        ),
        fluid=Fluid(
            1e-3 * np.array(case.viscosity_mpa_s),
            1e3
            * np.interp(
                np.linspace(0, 1, len(case.viscosity_mpa_s)),
                np.linspace(0, 1, len(case.density_g_per_ml)),
                case.density_g_per_ml,
            ),
            case.exchange_per_s,
        ),
        sources=(Source(cells, shares / shares.sum(), case.rate_ml_per_min * ML_PER_MIN, 0.0, volume),),
        total_s=volume + max(60 * case.observe_min, 1.0),
        gravity=gravity,
        rest_share=case.rest_share,
        thresholds=tuple(t / case.concentration_percent for t in case.thresholds_percent),
    )


def _spread(case: InjectionBench, problem: Any, found: Any) -> list[dict[str, float]]:
    """Per concentration: tissue volume ever above it, mean radius, and reach from the outlet."""
    grid = problem.grid
    points = grid.centres()
    distance = np.linalg.norm(points, axis=-1) / MM
    rows = []
    for percent in case.thresholds_percent:
        mask = found.peak >= percent / case.concentration_percent
        volume = float(grid.volumes[mask].sum() * 1e9)
        rows.append(
            {
                "concentration_percent": percent,
                "volume_mm3": volume,
                "volume_ml": volume / 1000,
                "radius_mm": (3 * volume / (4 * np.pi)) ** (1 / 3),
                "reach_mm": float(distance[mask].max()) if mask.any() else 0.0,
                "upwards_mm": float(points[..., -1][mask].max() / MM) if mask.any() else 0.0,
                "downwards_mm": float(-points[..., -1][mask].min() / MM) if mask.any() else 0.0,
            }
        )
    return rows


def _accounts(case: InjectionBench, problem: Any, found: Any) -> dict[str, Any]:
    trace = found.trace
    return {
        "volume_balance_error": found.volume_error,
        "mass_balance_error": found.mass_error,
        "lowest_and_highest_part": list(found.bounds),
        "trace": {
            "time_s": trace.time_s.tolist(),
            "injected_ml": (trace.injected_mm3 / 1000).tolist(),
            "highest_pressure_kpa": (trace.highest_pressure_pa / 1000).tolist(),
            **{f"{name}_ml": (values / 1000).tolist() for name, values in trace.agent_mm3.items()},
            **{
                f"volume_above_{percent:g}_percent_ml": (trace.volume_above_mm3[:, k] / 1000).tolist()
                for k, percent in enumerate(case.thresholds_percent)
            },
        },
        "elapsed_s": found.elapsed_s,
        "grid": {
            "cells": int(problem.grid.volumes.size),
            "shape": list(problem.grid.shape),
            "finest_mm": float(min(axis.widths.min() for axis in problem.grid.axes) / MM),
        },
    }


def simulate(options: Mapping[str, Any], changes: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """Run the command: the middle member in full, the narrow and the wide one as their spread."""
    from neurolysis.delivery.chemical.members import MEMBERS
    from neurolysis.evidence.injectates import injectate

    flat = bool(options.get("axisymmetric"))
    cases = {member: bench_of(options, changes, member) for member in MEMBERS}
    runs: dict[str, dict[str, Any]] = {}
    for number, (member, case) in enumerate(cases.items()):
        runs[member] = run_bench(case, flat, lambda f, m, n=number: progress((n + f) / len(cases), m))
    agent = injectate(str(options["agent"]))
    return {
        **runs["middle"],
        "members": {name: run["spread"] for name, run in runs.items()},
        "volume_balance_error": max(run["volume_balance_error"] for run in runs.values()),
        "mass_balance_error": max(run["mass_balance_error"] for run in runs.values()),
        "percent_means": agent.percent_means,
        "note": "narrow, middle and wide take every doubtful constant at one end; no single contour is right",
        "case": cases["middle"].model_dump(mode="json"),
    }


def simulate_case(
    data: Mapping[str, Any], axisymmetric: bool, where: str, progress: Progress
) -> dict[str, Any]:
    """Run a bench case file; every number comes from it."""
    case = parse(InjectionBench, dict(data), where)
    return {**run_bench(case, axisymmetric, progress), "case": case.model_dump(mode="json")}
