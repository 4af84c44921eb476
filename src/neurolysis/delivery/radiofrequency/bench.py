"""The bench format: one straight needle in one tissue, every number in the file.

Schema name ``radiofrequency-bench``. Conventions of the reference solution: z = 0 is the middle of
the active tip, the apex at -L/2, the needle leaves through z = +half_length; the boundary is the
cylinder; conductivity is relative to 37 C; width is twice the largest radius over all z.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from neurolysis.delivery.heat import measures
from neurolysis.delivery.heat import vaporisation as boiling
from neurolysis.delivery.heat.grids import MM, bench_grid
from neurolysis.delivery.radiofrequency import phases, wrap
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.delivery.technique import Progress
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.physics.sample import sample_linear
from neurolysis.plan import Numerics
from neurolysis.quantity import Value

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.problem import Problem, Steps
    from neurolysis.physics.rods import Rod
    from neurolysis.physics.treatment import Result


class BenchCannula(Value):
    """Needle: a capsule; thermocouple on the axis."""

    radius_mm: float = Field(ge=0.1, le=2.0)
    active_tip_mm: float = Field(gt=0, le=60)
    tip_shape: Literal["hemisphere"] = "hemisphere"
    thermocouple_from_apex_mm: float = Field(ge=0)
    thermal_conductivity_w_per_m_k: float = Field(gt=0)
    heat_capacity_j_per_m3_k: float = Field(gt=0)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.active_tip_mm < 2 * self.radius_mm:
            raise ValueError("active_tip_mm must be at least twice radius_mm")
        if self.thermocouple_from_apex_mm > self.active_tip_mm:
            raise ValueError("thermocouple_from_apex_mm must lie within the active tip")
        return self


class BenchTissue(Value):
    """One tissue everywhere."""

    conductivity_s_per_m: float = Field(gt=0, le=10)
    conductivity_slope_per_c: float = Field(ge=-0.01, le=0.05)
    conductivity_cap_c: float = Field(default=100.0, ge=37, le=200)
    thermal_conductivity_w_per_m_k: float = Field(gt=0, le=10)
    heat_capacity_j_per_m3_k: float = Field(gt=1e5, le=1e7)
    perfusion_per_s: float = Field(ge=0, le=1)
    blood_heat_capacity_j_per_m3_k: float = Field(ge=0, le=1e7)
    perfusion_stops: bool = False
    vaporises: bool = False


class BenchDomain(Value):
    """A grounded cylinder held at one temperature, which is also that of start and blood."""

    radius_mm: float = Field(gt=5, le=200)
    half_length_mm: float = Field(gt=5, le=200)
    temperature_c: float = Field(ge=0, le=45)


class BenchProtocol(Value):
    """Ideal control of the thermocouple: linear ramp, then hold; duration counts from the start."""

    set_temperature_c: float = Field(gt=0, le=95)
    ramp_s: float = Field(gt=0)
    duration_s: float = Field(gt=0, le=1800)
    control: Literal["ideal"] = "ideal"

    @model_validator(mode="after")
    def _ramp_fits(self) -> Self:
        if self.ramp_s >= self.duration_s:
            raise ValueError("ramp_s must be shorter than duration_s")
        return self


class BenchDamage(Value):
    """Arrhenius pair; ``start_temperature_c`` null integrates from t = 0 and subtracts nothing."""

    frequency_factor_per_s: float = Field(gt=0)
    activation_energy_j_per_mol: float = Field(gt=0)
    start_temperature_c: float | None = None


class RadiofrequencyBench(Value):
    """A bench case."""

    schema_version: Literal[1] = 1
    cannula: BenchCannula
    tissue: BenchTissue
    domain: BenchDomain
    protocol: BenchProtocol
    damage: BenchDamage

    @model_validator(mode="after")
    def _needle_in_domain(self) -> Self:
        if 0.5 * self.cannula.active_tip_mm + 1 > self.domain.half_length_mm:
            raise ValueError("the active tip must lie within the domain's half length")
        if self.cannula.radius_mm >= self.domain.radius_mm:
            raise ValueError("the needle must be thinner than the domain")
        if self.protocol.set_temperature_c <= self.domain.temperature_c:
            raise ValueError("set_temperature_c must be above the domain's temperature")
        return self


GAS_CONSTANT = 8.314
"""J/(mol K), the value the reference solution states."""


def build_grid(case: RadiofrequencyBench, numerics: Numerics, axisymmetric: bool) -> TensorGrid:
    """Grid in metres with the apex at the origin, z towards the hub."""
    cannula, domain = case.cannula, case.domain
    return bench_grid(
        cannula.radius_mm,
        cannula.active_tip_mm,
        domain.radius_mm,
        domain.half_length_mm,
        numerics,
        axisymmetric,
    )


def assemble_case(
    case: RadiofrequencyBench, numerics: Numerics, axisymmetric: bool
) -> tuple[Problem, TensorGrid]:
    """The solver's problem for a bench case."""
    from neurolysis.physics.assemble import assemble
    from neurolysis.physics.setup import Boundary

    grid = build_grid(case, numerics, axisymmetric)
    rod = _rod(case)
    boundary = Boundary("grounded", case.domain.temperature_c, case.domain.radius_mm * MM)
    problem = assemble(grid, (rod,), _tissue(case, grid.shape), boundary, _control(case))
    return problem, grid


def _rod(case: RadiofrequencyBench) -> Rod:
    from neurolysis.physics.rods import straight_rod

    cannula = case.cannula
    return straight_rod(
        cannula.radius_mm * MM,
        cannula.active_tip_mm * MM,
        (2 * case.domain.half_length_mm + 20) * MM,
        conductivity=cannula.thermal_conductivity_w_per_m_k,
        capacity=cannula.heat_capacity_j_per_m3_k,
    )


def _tissue(case: RadiofrequencyBench, shape: tuple[int, ...]) -> Any:
    from neurolysis.physics.setup import Tissue

    tissue = case.tissue
    sink = tissue.perfusion_per_s * tissue.blood_heat_capacity_j_per_m3_k
    return Tissue(
        conductivity=np.full(shape, tissue.conductivity_s_per_m),
        slope=np.full(shape, tissue.conductivity_slope_per_c),
        thermal_conductivity=np.full(shape, tissue.thermal_conductivity_w_per_m_k),
        heat_capacity=np.full(shape, tissue.heat_capacity_j_per_m3_k),
        perfusion=np.full(shape, sink),
        metabolic=np.zeros(shape),
        latent=np.full(shape, boiling.LATENT_HEAT_J_PER_M3.value if tissue.vaporises else 0.0),
        perfusion_stops=np.full(shape, tissue.perfusion_stops),
        domain=np.ones(shape, bool),
    )


def _control(case: RadiofrequencyBench) -> Any:
    from neurolysis.physics.problem import Damage
    from neurolysis.physics.setup import Control

    start = case.damage.start_temperature_c
    kinetics = Damage(
        float(np.log(case.damage.frequency_factor_per_s)),
        case.damage.activation_energy_j_per_mol / GAS_CONSTANT,
        -np.inf if start is None else start,
    )
    return Control(
        sensors=np.array([[0.0, 0.0, case.cannula.thermocouple_from_apex_mm * MM]]),
        damages=(kinetics,),
        blood_c=case.domain.temperature_c,
        start_c=case.domain.temperature_c,
        cap_c=case.tissue.conductivity_cap_c,
        boil_c=boiling.BOILING_C.value,
        boil_width_c=boiling.BOILING_WIDTH_C.value,
        steam_conductivity=boiling.STEAM_CONDUCTIVITY_RATIO.value,
    )


def make_steps(case: RadiofrequencyBench, numerics: Numerics) -> Steps:
    """Time steps of a bench protocol."""
    from neurolysis.physics.schedule import make_steps

    protocol = RadiofrequencyProtocol(
        set_temperature_c=max(38.0, case.protocol.set_temperature_c),
        ramp_s=case.protocol.ramp_s,
        duration_s=case.protocol.duration_s,
    )
    step_s = min(numerics.time_step_s, case.protocol.duration_s / 8)
    stretches = phases.phases(protocol, case.domain.temperature_c, numerics.potential_every_s)
    return make_steps(stretches, step_s)


def run_case(
    case: RadiofrequencyBench,
    *,
    axisymmetric: bool = False,
    numerics: Numerics | None = None,
    progress: Progress | None = None,
) -> tuple[Result, TensorGrid]:
    """Solve a bench case."""
    from neurolysis.physics.treatment import run

    numerics = numerics or Numerics()
    problem, grid = assemble_case(case, numerics, axisymmetric)
    result = run(
        problem,
        phases.limits(None, 0.0),
        make_steps(case, numerics),
        tolerance=numerics.relative_tolerance,
        vaporises=case.tissue.vaporises,
        progress=progress,
    )
    return result, grid


def report_case(case: RadiofrequencyBench, result: Result, grid: TensorGrid) -> dict[str, Any]:
    """Plain data of a solved bench case, for ``--json``."""
    axes = tuple(axis.centres * 1e3 for axis in grid.axes)
    state = result.state
    fields = {"temperature_c": state.temperature, "log_damage_reference_bench": state.ln_damage[0]}
    lesion = {}
    for criterion in lesion_criteria("bench"):
        field = np.asarray(fields[criterion.field], float)
        size = measures.size_of(axes, grid.volumes * 1e9, field, criterion, case.cannula.active_tip_mm)
        lesion[criterion.id] = size.model_dump(mode="json", exclude={"criterion"})
    time, series = wrap.series_of(result)
    energy = measures.energy_of(result)
    return {
        "schema": "radiofrequency-simulation",
        "schema_version": 1,
        "lesion": lesion,
        "lesion_definition": "fields at the end of power; the needle's interior counts",
        "trace": {"time_s": _listed(time), **{name: _listed(values) for name, values in series.items()}},
        "energy_balance_error": energy.error,
        "energy": energy.model_dump(mode="json"),
        "profile": mid_tip_profile(case, result, grid),
        "grid": {
            "cells": int(np.prod(grid.shape)),
            "shape": list(grid.shape),
            "finest_mm": float(min(axis.widths.min() for axis in grid.axes) * 1e3),
            "axisymmetric": grid.axisymmetric,
        },
        "iterations": {
            "potential": int(result.trace.potential_iterations.sum()),
            "heat": int(result.trace.heat_iterations.sum()),
        },
        "elapsed_s": result.elapsed_s,
        "compile_s": result.compile_s,
    }


def mid_tip_profile(case: RadiofrequencyBench, result: Result, grid: TensorGrid) -> dict[str, list[float]]:
    """Temperature square to the middle of the active tip at r = 1 to 10 mm."""
    radii = np.arange(1.0, 11.0)
    axes = [axis.centres * 1e3 for axis in grid.axes]
    middle = 0.5 * case.cannula.active_tip_mm
    points = np.column_stack([radii, np.full(10, middle)])
    if not grid.axisymmetric:
        points = np.column_stack([radii, np.zeros(10), np.full(10, middle)])
    values = sample_linear(axes, np.asarray(result.state.temperature, float), points)
    return {"radius_mm": _listed(radii), "temperature_c": _listed(values)}


def _listed(values: Any) -> list[float]:
    return [float(f"{value:.7g}") for value in np.asarray(values, float)]


def simulate_case(
    data: Mapping[str, Any], axisymmetric: bool, where: str, progress: Progress
) -> dict[str, Any]:
    """Validate and run a bench case given as plain data.

    Raises:
        InputError: naming the field, what was found and what is allowed.
    """
    from neurolysis.quantity import parse

    case = parse(RadiofrequencyBench, data, where)
    result, grid = run_case(case, axisymmetric=axisymmetric, progress=progress)
    return report_case(case, result, grid)
