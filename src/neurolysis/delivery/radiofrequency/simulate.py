"""The command ``simulate``: one straight cannula in one tissue, from options to a bench case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurolysis.delivery.radiofrequency.bench import RadiofrequencyBench, report_case, run_case
from neurolysis.delivery.technique import Option, Progress, setting_value
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.instruments import find_cannula
from neurolysis.evidence.kinetics import kinetics
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.plan import Numerics
from neurolysis.quantity import parse

OPTIONS = (
    Option("gauge", int, "gauge of the cannula", 18),
    Option("tip-mm", float, "length of the active tip", 10.0, unit="mm"),
    Option("temperature-c", float, "set temperature of the tip", 80.0, unit="°C"),
    Option("duration-s", float, "time from the start, ramp included", 90.0, unit="s"),
    Option("ramp-s", float, "time of the ramp", 10.0, unit="s"),
    Option("tissue", str, "a tissue of the evidence base", "muscle"),
    Option("body-temperature-c", float, "temperature at the start, of blood and far away", 37.0, unit="°C"),
    Option("finest-mm", float, "cell size at the tip; default min(0.3, radius / 1.5)", 0.0, unit="mm"),
)

SETTABLE = {
    "cannula": ("radius_mm", "active_tip_mm", "thermocouple_from_apex_mm", "thermal_conductivity_w_per_m_k",
                "heat_capacity_j_per_m3_k"),
    "tissue": ("conductivity_s_per_m", "conductivity_slope_per_c", "conductivity_cap_c",
               "thermal_conductivity_w_per_m_k", "heat_capacity_j_per_m3_k", "perfusion_per_s",
               "blood_heat_capacity_j_per_m3_k", "perfusion_stops", "vaporises"),
    "domain": ("radius_mm", "half_length_mm", "temperature_c"),
    "protocol": ("set_temperature_c", "ramp_s", "duration_s"),
    "damage": ("frequency_factor_per_s", "activation_energy_j_per_mol", "start_temperature_c"),
}  # fmt: skip
"""What ``--set section.name=value`` may change; the section may be left out where the name is unique."""


def bench_case(options: Mapping[str, Any], changes: Mapping[str, str]) -> RadiofrequencyBench:
    """The bench case that options and ``--set`` changes describe.

    Raises:
        UnknownNameError: an unknown tissue, gauge or property; lists what there is.
        InputError: a value out of range.
    """
    data = _from_records(options)
    for name, text in changes.items():
        section, field = _locate(name)
        data[section][field] = setting_value(text, name)
    return parse(RadiofrequencyBench, data, "simulate radiofrequency")


def _from_records(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    cannula = find_cannula(int(options["gauge"]), float(options["tip-mm"]))
    tissue = tissue_properties(str(options["tissue"]))
    blood = tissue_properties("blood")
    pair = kinetics("reference_bench")
    return {
        "cannula": {
            "radius_mm": cannula.outer_radius_mm.value,
            "active_tip_mm": cannula.active_tip_mm,
            "thermocouple_from_apex_mm": cannula.thermocouple_from_apex_mm.value,
            "thermal_conductivity_w_per_m_k": cannula.thermal_conductivity_w_per_m_k.value,
            "heat_capacity_j_per_m3_k": cannula.heat_capacity_j_per_m3_k.value,
        },
        "tissue": {
            "conductivity_s_per_m": tissue.conductivity_s_per_m.value,
            "conductivity_slope_per_c": tissue.conductivity_slope_per_c.value,
            "thermal_conductivity_w_per_m_k": tissue.thermal_conductivity_w_per_m_k.value,
            "heat_capacity_j_per_m3_k": tissue.heat_capacity_j_per_m3_k(),
            "perfusion_per_s": tissue.perfusion_per_s.value,
            "blood_heat_capacity_j_per_m3_k": blood.heat_capacity_j_per_m3_k(),
            "perfusion_stops": True,
        },
        "domain": {
            "radius_mm": 40.0,
            "half_length_mm": 40.0,
            "temperature_c": float(options["body-temperature-c"]),
        },
        "protocol": {
            "set_temperature_c": float(options["temperature-c"]),
            "ramp_s": float(options["ramp-s"]),
            "duration_s": float(options["duration-s"]),
        },
        "damage": {
            "frequency_factor_per_s": 7.39e39,
            "activation_energy_j_per_mol": pair.activation_energy.value,
            "start_temperature_c": 43.0,
        },
    }


def _locate(name: str) -> tuple[str, str]:
    section, _, field = name.rpartition(".")
    homes = [s for s, fields in SETTABLE.items() if field in fields and section in ("", s)]
    if len(homes) != 1:
        everything = sorted(f"{s}.{f}" for s, fields in SETTABLE.items() for f in fields)
        problem = "ambiguous property" if homes else "unknown property"
        raise UnknownNameError(problem, where="--set", found=name, allowed=everything)
    return homes[0], field


def simulate(options: Mapping[str, Any], changes: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """Run the command and return plain data; ``axisymmetric`` among the options takes the (r, z) path."""
    case = bench_case(options, changes)
    finest = float(options.get("finest-mm") or 0.0)
    numerics = Numerics(finest_mm=finest) if finest else Numerics()
    result, grid = run_case(
        case, axisymmetric=bool(options.get("axisymmetric")), numerics=numerics, progress=progress
    )
    return {**report_case(case, result, grid), "case": case.model_dump(mode="json")}
