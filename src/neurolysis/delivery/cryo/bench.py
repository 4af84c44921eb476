"""The bench format: one straight probe in one tissue, every number in the file.

Schema name ``freezing-bench``. z = 0 is the apex, the probe leaves through the upper face; the boundary is
a cylinder held at the temperature of the start. Sizes are of the lowest temperature over the run and hold
the probe's inside.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from neurolysis.delivery.cryo import wrap
from neurolysis.delivery.cryo.expose import levels_c
from neurolysis.delivery.cryo.geometry import BEYOND_BOX_MM
from neurolysis.delivery.cryo.protocol import COLDEST_C, WARMEST_TIP_C, stretches
from neurolysis.delivery.heat.grids import MM, bench_grid
from neurolysis.delivery.heat.measures import require_energy
from neurolysis.delivery.technique import Progress, silent
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.physics.sample import sample_linear
from neurolysis.plan import Numerics
from neurolysis.quantity import Value, parse

if TYPE_CHECKING:
    from neurolysis.physics.freezing import Freezing
    from neurolysis.physics.freezing_run import Result
    from neurolysis.physics.freezing_setup import FreezingTissue
    from neurolysis.physics.grid import TensorGrid

NUMERICS = Numerics(extent_mm=40.0, growth=1.12, coarsest_mm=3.0, time_step_s=4.0, cooldown_to_c=None)


class BenchProbe(Value):
    """A rounded rod with a cold length from its apex."""

    radius_mm: float = Field(ge=0.1, le=5.0)
    cold_length_mm: float = Field(gt=0, le=80)
    thermal_conductivity_w_per_m_k: float = Field(gt=0, le=500)
    heat_capacity_j_per_m3_k: float = Field(gt=0, le=1e7)
    film_w_per_m2_k: float = Field(gt=0, le=1e8)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.cold_length_mm < 2 * self.radius_mm:
            raise ValueError("cold_length_mm must be at least twice radius_mm")
        return self


class BenchTissue(Value):
    """One tissue everywhere, on both sides of freezing."""

    conductivity_w_per_m_k: float = Field(gt=0, le=10)
    frozen_conductivity_w_per_m_k: float = Field(gt=0, le=10)
    heat_capacity_j_per_m3_k: float = Field(gt=1e5, le=1e7)
    frozen_heat_capacity_j_per_m3_k: float = Field(gt=1e5, le=1e7)
    latent_j_per_m3: float = Field(ge=0, le=5e8)
    freezing_low_c: float = Field(ge=-60, le=5)
    freezing_high_c: float = Field(ge=-20, le=10)
    perfusion_per_s: float = Field(ge=0, le=1)
    blood_heat_capacity_j_per_m3_k: float = Field(ge=0, le=1e7)
    perfusion_none_c: float = Field(ge=-60, le=30)
    perfusion_full_c: float = Field(ge=-60, le=37)
    metabolic_w_per_m3: float = Field(default=0.0, ge=0, le=1e5)
    after_thaw: float = Field(default=1.0, ge=0, le=1)

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if self.freezing_low_c >= self.freezing_high_c:
            raise ValueError("freezing_low_c must lie below freezing_high_c")
        if self.perfusion_none_c >= self.perfusion_full_c:
            raise ValueError("perfusion_none_c must lie below perfusion_full_c")
        return self


class BenchDomain(Value):
    """A cylinder held at one temperature, which is also that of the start and of blood."""

    radius_mm: float = Field(gt=5, le=200)
    half_length_mm: float = Field(gt=5, le=200)
    temperature_c: float = Field(ge=5, le=45)


class BenchProtocol(Value):
    """As the plan's protocol; ``thaw_temperature_c`` null thaws by itself, ``maximum_power_w`` null has no
    limit."""

    tip_temperature_c: float = Field(ge=COLDEST_C, le=WARMEST_TIP_C)
    maximum_power_w: float | None = Field(default=None, gt=0, le=1000)
    ramp_s: float = Field(ge=0, le=120)
    freeze_s: float = Field(gt=0, le=3600)
    cycles: int = Field(default=1, ge=1, le=6)
    thaw_s: float = Field(default=0.0, ge=0, le=3600)
    thaw_temperature_c: float | None = Field(default=None, ge=5, le=45)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.ramp_s >= self.freeze_s:
            raise ValueError("ramp_s must be shorter than freeze_s")
        return self


class FreezingBench(Value):
    """A bench case."""

    schema_version: Literal[1] = 1
    probe: BenchProbe
    tissue: BenchTissue
    domain: BenchDomain
    protocol: BenchProtocol

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if 0.5 * self.probe.cold_length_mm + 1 > self.domain.half_length_mm:
            raise ValueError("the cold length must lie within the domain's half length")
        if self.probe.radius_mm >= self.domain.radius_mm:
            raise ValueError("the probe must be thinner than the domain")
        if self.domain.temperature_c <= self.tissue.freezing_high_c:
            raise ValueError("temperature_c of the domain must lie above freezing_high_c")
        return self


def build_grid(case: FreezingBench, numerics: Numerics, axisymmetric: bool) -> TensorGrid:
    """Grid in metres with the apex at the origin, z towards the hub."""
    probe, domain = case.probe, case.domain
    return bench_grid(
        probe.radius_mm, probe.cold_length_mm, domain.radius_mm, domain.half_length_mm, numerics, axisymmetric
    )


def assemble_case(case: FreezingBench, numerics: Numerics, axisymmetric: bool) -> tuple[Freezing, TensorGrid]:
    """The solver's problem for a bench case."""
    from neurolysis.physics.freezing_setup import assemble_freezing
    from neurolysis.physics.rods import straight_rod
    from neurolysis.physics.setup import Boundary

    grid, probe = build_grid(case, numerics, axisymmetric), case.probe
    rod = straight_rod(
        probe.radius_mm * MM,
        probe.cold_length_mm * MM,
        (2 * case.domain.half_length_mm + BEYOND_BOX_MM) * MM,
        conductivity=probe.thermal_conductivity_w_per_m_k,
        capacity=probe.heat_capacity_j_per_m3_k,
    )
    warm = case.domain.temperature_c
    problem = assemble_freezing(
        grid,
        (rod,),
        bench_tissue(case.tissue, grid.shape),
        Boundary("grounded", warm, case.domain.radius_mm * MM),
        probe.film_w_per_m2_k,
        start_c=warm,
        blood_c=warm,
        levels_c=levels_c(),
    )
    return problem, grid


def bench_tissue(tissue: BenchTissue, shape: tuple[int, ...]) -> FreezingTissue:
    """The bench's one tissue in every cell."""
    from neurolysis.physics.freezing_setup import FreezingTissue

    full = np.ones(shape)
    return FreezingTissue(
        conductivity=tissue.conductivity_w_per_m_k * full,
        frozen_conductivity=tissue.frozen_conductivity_w_per_m_k * full,
        heat_capacity=tissue.heat_capacity_j_per_m3_k * full,
        frozen_heat_capacity=tissue.frozen_heat_capacity_j_per_m3_k * full,
        latent=tissue.latent_j_per_m3 * full,
        perfusion=tissue.perfusion_per_s * tissue.blood_heat_capacity_j_per_m3_k * full,
        metabolic=tissue.metabolic_w_per_m3 * full,
        domain=np.ones(shape, bool),
        freezing_c=(tissue.freezing_low_c, tissue.freezing_high_c),
        perfusion_c=(tissue.perfusion_none_c, tissue.perfusion_full_c),
        after_thaw=tissue.after_thaw,
    )


def run_case(
    case: FreezingBench,
    *,
    axisymmetric: bool = False,
    numerics: Numerics = NUMERICS,
    progress: Progress = silent,
    stop: Any = None,
) -> tuple[Result, TensorGrid]:
    """Solve a bench case."""
    from neurolysis.physics.freezing_run import make_steps, run_freezing

    problem, grid = assemble_case(case, numerics, axisymmetric)
    p = case.protocol
    parts = stretches(
        start_c=case.domain.temperature_c, tip_c=p.tip_temperature_c, ramp_s=p.ramp_s, freeze_s=p.freeze_s,
        cycles=p.cycles, thaw_s=p.thaw_s, thaw_c=p.thaw_temperature_c, power_w=p.maximum_power_w,
    )  # fmt: skip
    steps = make_steps(parts, numerics.time_step_s)
    return run_freezing(problem, steps, progress=progress, stop=stop), grid


def report_case(case: FreezingBench, result: Result, grid: TensorGrid) -> dict[str, Any]:
    """Plain data of a solved bench case, for ``--json``."""
    axes = tuple(axis.centres * 1e3 for axis in grid.axes)
    lesion = {}
    for criterion in lesion_criteria("cold"):
        field = np.asarray(result.state.lowest, float)
        size = wrap.size_of(axes, grid.volumes * 1e9, field, criterion, case.probe.cold_length_mm)
        lesion[criterion.id] = size.model_dump(mode="json", exclude={"criterion"})
    time, series = wrap.series_of(result)
    energy = wrap.energy_of(result)
    require_energy(energy, wrap.SOLVER)
    return {
        "schema": "freezing-simulation",
        "schema_version": 1,
        "lesion": lesion,
        "lesion_definition": "lowest temperature over the run; the probe's inside counts",
        "trace": {"time_s": _listed(time), **{name: _listed(values) for name, values in series.items()}},
        "energy_balance_error": energy.error,
        "energy": energy.model_dump(mode="json"),
        "grid_error": wrap.GRID_ERROR.model_dump(mode="json", exclude_none=True),
        "profile": mid_tip_profile(case, result, grid),
        "grid": {
            "cells": int(np.prod(grid.shape)),
            "shape": list(grid.shape),
            "finest_mm": float(min(axis.widths.min() for axis in grid.axes) * 1e3),
            "axisymmetric": grid.axisymmetric,
        },
        "steps": len(time),
        "iterations": {
            "newton": int(result.trace.newton.sum()),
            "heat": int(result.trace.inner.sum()),
        },
        "elapsed_s": result.elapsed_s,
        "compile_s": result.compile_s,
    }


def mid_tip_profile(case: FreezingBench, result: Result, grid: TensorGrid) -> dict[str, list[float]]:
    """Lowest temperature and time below each level square to the middle of the cold length, r 0.5-10 mm."""
    radii = np.arange(0.5, 10.01, 0.5)
    radii = radii[radii > case.probe.radius_mm]
    axes = [axis.centres * 1e3 for axis in grid.axes]
    middle = np.full(len(radii), 0.5 * case.probe.cold_length_mm)
    still = [] if grid.axisymmetric else [np.zeros(len(radii))]
    points = np.column_stack([radii, *still, middle])

    def at(field: Any) -> list[float]:
        return _listed(sample_linear(axes, np.asarray(field, float), points))

    state = result.state
    times = {f"seconds_below_{wrap.level_name(c)}": at(state.below_s[k]) for k, c in enumerate(levels_c())}
    return {"radius_mm": _listed(radii), "lowest_temperature_c": at(state.lowest), **times}


def _listed(values: Any) -> list[float]:
    return [float(f"{value:.7g}") for value in np.asarray(values, float)]


def simulate_case(
    data: Mapping[str, Any], axisymmetric: bool, where: str, progress: Progress
) -> dict[str, Any]:
    """Validate and run a bench case given as plain data.

    Raises:
        InputError: naming the field, what was found and what is allowed.
    """
    case = parse(FreezingBench, dict(data), where)
    result, grid = run_case(case, axisymmetric=axisymmetric, progress=progress)
    return {**report_case(case, result, grid), "case": case.model_dump(mode="json")}
