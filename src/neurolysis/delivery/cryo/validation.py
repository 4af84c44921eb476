"""Published ice beside what the model gives. Nothing here is tuned.

No row read states every input of a simulation: tip temperatures and lengths are missing everywhere. Rows
with argon needles are run with the boundary values of a program file (two tip temperatures, one length) and
with muscle's frozen constants for agar and gel; such a row fails when no variant comes near the figure, and
is "cannot say" otherwise: never a pass. Liquid nitrogen rows have no tip temperature at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.delivery.cryo.bench import NUMERICS, FreezingBench, bench_tissue, run_case
from neurolysis.delivery.cryo.bench import build_grid as bench_grid
from neurolysis.delivery.cryo.geometry import BEYOND_BOX_MM, build_grid
from neurolysis.delivery.cryo.protocol import stretches
from neurolysis.delivery.cryo.simulate import bench_case
from neurolysis.delivery.heat.grids import MM
from neurolysis.delivery.technique import Progress, ValidationRow
from neurolysis.evidence.freezing import freezing_body
from neurolysis.evidence.instruments import find_cannula
from neurolysis.evidence.measurements import Measurement, Statement, lesion_measurements
from neurolysis.plan import Numerics

if TYPE_CHECKING:
    from neurolysis.physics.freezing_run import State
    from neurolysis.physics.grid import TensorGrid

OWN = "cryo"
STAND_IN = "muscle"
NEAR = 0.2
"""A figure given as 'about', or without a spread, is met within a fifth."""
COLDER_THAN_C = -30.0
"""What the diameters of several argon needles are of (littrup_2009)."""
SPACING_MM = 20.0
NEEDLE_RADIUS_MM = 1.2
NEEDLES = {"LITTRUP_2.4MM_X3": 3, "LITTRUP_2.4MM_X4": 4}
SEVERAL = Numerics(finest_mm=1.2, extent_mm=45.0, growth=1.15, coarsest_mm=4.0, time_step_s=5.0)
LONGEST_S = 3600.0


def validate(progress: Progress) -> tuple[ValidationRow, ...]:
    """One row per statement of every measurement of this technique, and the profile in gel."""
    rows = [item for item in lesion_measurements() if item.technique == OWN]
    done = [_profile_row(progress)]
    for number, item in enumerate(rows):
        progress((number + 1) / (len(rows) + 1), item.id)
        done += [_row(item, statement) for statement in item.statements]
    return tuple(done)


def _row(item: Measurement, statement: Statement) -> ValidationRow:
    spread = f" (SD {statement.standard_deviation:g})" if statement.standard_deviation else ""
    head: dict[str, Any] = {
        "id": item.id,
        "source": item.source_id,
        "quantity": statement.quantity.replace("_", " "),
        "measured": f"{statement.value:g}{spread} {statement.unit}",
    }
    if item.id not in NEEDLES or statement.value is None or item.time_s is None:
        return ValidationRow(
            **head,
            simulated={},
            criterion="within two SD of the mean",
            verdict="not computable",
            reason="not in what was read: tip temperature, cold length and diameter of the probe",
        )
    start = item.start_temperature_c
    assert start is not None  # noqa: S101
    found = {tip: ice_diameter_mm(NEEDLES[item.id], tip, item.time_s, start) for tip in _tips()}
    near = any(abs(value / statement.value - 1) <= NEAR for value in found.values())
    return ValidationRow(
        **head,
        simulated={f"tip {tip:g} °C": f"{value:.1f}" for tip, value in found.items()},
        criterion="within a fifth",
        verdict="cannot say" if near else "fail",
        reason=(
            "tip temperature and length not in what was read: boundary values of argon needles taken "
            f"({_length():g} mm); agar taken as muscle without perfusion; diameter of equal area"
        ),
    )


def _profile_row(progress: Progress) -> ValidationRow:
    profile = freezing_body().gel_profile
    progress(0.0, profile.id)
    found = {tip: cold_radius_mm(tip) for tip in _tips()}
    reached = {tip: value for tip, value in found.items() if value is not None}
    near = any(abs(value / profile.cold_radius_mm - 1) <= NEAR for value in reached.values())
    never = f"ice does not reach {profile.ice_radius_mm:g} mm in {LONGEST_S / 60:g} min"
    return ValidationRow(
        id=profile.id,
        source=profile.source,
        quantity=f"radius of {profile.cold_c:g} °C when ice reaches {profile.ice_radius_mm:g} mm",
        measured=f"about {profile.cold_radius_mm:g} mm",
        simulated={
            f"tip {tip:g} °C": never if value is None else f"{value:.1f}" for tip, value in found.items()
        },
        criterion="within a fifth",
        verdict="cannot say" if near else "fail",
        reason=(
            f"not in what was read: {profile.missing}; 17 G, argon needle's boundary values, gel as muscle"
        ),
    )


def _tips() -> tuple[float, float]:
    return freezing_body().argon_needle.tip_c


def _length() -> float:
    return freezing_body().argon_needle.cold_length_mm


def argon_case(radius_mm: float, tip_c: float, freeze_s: float, start_c: float) -> FreezingBench:
    """One argon needle in still muscle."""
    options: Mapping[str, Any] = {
        "probe-mm": 2 * radius_mm, "cold-mm": _length(), "gas": "argon", "tip-temperature-c": tip_c,
        "power-w": 0.0, "ramp-s": 5.0, "freeze-s": freeze_s, "cycles": 1, "thaw-s": 0.0,
        "thaw-temperature-c": 0.0, "tissue": STAND_IN, "body-temperature-c": start_c,
    }  # fmt: skip
    return bench_case(options, {"perfusion_per_s": "0", "domain.radius_mm": "80", "half_length_mm": "80"})


@cache
def cold_radius_mm(tip_c: float) -> float | None:
    """Radius of the profile's cold isotherm, beside the middle of the cold length, when the ice has grown
    to its radius round one needle; None where it never does."""
    profile = freezing_body().gel_profile
    case = argon_case(find_cannula(17, 10).outer_radius_mm.value, tip_c, LONGEST_S, 37.0)
    same = bench_grid(case, NUMERICS, True)

    def large(state: State) -> bool:
        return radius_at(same, state.temperature, 0.0, _length()) >= profile.ice_radius_mm

    result, grid = run_case(case, axisymmetric=True, stop=large)
    if radius_at(grid, result.state.temperature, 0.0, _length()) < profile.ice_radius_mm:
        return None
    return radius_at(grid, result.state.temperature, profile.cold_c, _length())


def radius_at(grid: TensorGrid, temperature: Any, level_c: float, cold_length_mm: float) -> float:
    """Radius (mm) of an isotherm beside the middle of the cold length, on (r, z); 0 where all is warmer."""
    middle = int(np.argmin(np.abs(grid.axes[1].centres - 0.5 * cold_length_mm * MM)))
    row, r = np.asarray(temperature, float)[:, middle], grid.axes[0].centres / MM
    inside = np.flatnonzero(row <= level_c)
    if not len(inside) or inside[-1] + 1 == len(r):
        return 0.0 if not len(inside) else float(r[-1])
    k = int(inside[-1])
    return float(r[k] + (level_c - row[k]) / (row[k + 1] - row[k]) * (r[k + 1] - r[k]))


@cache
def ice_diameter_mm(needles: int, tip_c: float, freeze_s: float, start_c: float) -> float:
    """Diameter of the circle of equal area, colder than -30 °C, square to the middle of several needles."""
    from neurolysis.physics.freezing_run import make_steps, run_freezing
    from neurolysis.physics.freezing_setup import assemble_freezing
    from neurolysis.physics.rods import Rod
    from neurolysis.physics.setup import Boundary

    case = argon_case(NEEDLE_RADIUS_MM, tip_c, freeze_s, start_c)
    around = SPACING_MM / (2 * np.sin(np.pi / needles))
    turns = 2 * np.pi * (np.arange(needles) + 0.5) / needles
    rods = tuple(
        Rod(
            np.array([[around * np.cos(a), around * np.sin(a), NEEDLE_RADIUS_MM],
                      [around * np.cos(a), around * np.sin(a), SEVERAL.extent_mm * 2 + BEYOND_BOX_MM]]) * MM,
            NEEDLE_RADIUS_MM * MM,
            (0.0, _length() * MM),
            conductivity=case.probe.thermal_conductivity_w_per_m_k,
            capacity=case.probe.heat_capacity_j_per_m3_k,
        )
        for a in turns
    )  # fmt: skip
    grid = build_grid(rods, SEVERAL.finest_mm or 1.0, SEVERAL)
    problem = assemble_freezing(
        grid, rods, bench_tissue(case.tissue, grid.shape), Boundary("open", start_c),
        case.probe.film_w_per_m2_k,
        start_c=start_c, blood_c=start_c, levels_c=(COLDER_THAN_C,),
    )  # fmt: skip
    parts = stretches(
        start_c=start_c, tip_c=tip_c, ramp_s=5.0, freeze_s=freeze_s, cycles=1, thaw_s=0.0, thaw_c=None,
        power_w=None,
    )  # fmt: skip
    result = run_freezing(problem, make_steps(parts, SEVERAL.time_step_s))
    return _equal_area_mm(grid, result.state.temperature)


def _equal_area_mm(grid: TensorGrid, temperature: Any) -> float:
    """Diameter (mm) of the circle with the area colder than the level, half-way up the cold length."""
    middle = int(np.argmin(np.abs(grid.axes[2].centres - 0.5 * _length() * MM)))
    plane = np.asarray(temperature, float)[:, :, middle]
    fine = [np.linspace(a.centres[0], a.centres[-1], 400) for a in grid.axes[:2]]
    from neurolysis.physics.sample import sample_linear

    points = np.stack(np.meshgrid(*fine, indexing="ij"), axis=-1)
    cold = sample_linear([a.centres for a in grid.axes[:2]], plane, points) <= COLDER_THAN_C
    cell = (fine[0][1] - fine[0][0]) * (fine[1][1] - fine[1][0])
    return float(2 * np.sqrt(cold.sum() * cell / np.pi) / MM)
