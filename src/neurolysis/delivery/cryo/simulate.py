"""The command ``simulate``: one straight probe in one tissue, from options to a bench case."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from neurolysis.delivery.cryo.bench import (
    NUMERICS,
    BenchDomain,
    BenchProbe,
    BenchProtocol,
    BenchTissue,
    FreezingBench,
    report_case,
    run_case,
)
from neurolysis.delivery.technique import Option, Progress
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.freezing import freezing_body
from neurolysis.evidence.instruments import instrument
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.plan import Numerics
from neurolysis.quantity import Value, parse

OPTIONS = (
    Option("probe-mm", float, "diameter of the probe", 1.3, unit="mm"),
    Option("cold-mm", float, "length that gets cold, from the apex", 5.0, unit="mm"),
    Option("gas", str, "what cools the tip; an unknown name lists all", "nitrous_oxide"),
    Option("tip-temperature-c", float, "temperature the tip is held at", -70.0, unit="°C"),
    Option("power-w", float, "most heat the tip can take up; 0: no limit", 0.0, unit="W"),
    Option("ramp-s", float, "time the tip takes to get cold", 5.0, unit="s"),
    Option("freeze-s", float, "time of freezing in each cycle, ramp included", 120.0, unit="s"),
    Option("cycles", int, "how often it is frozen and thawed", 1),
    Option("thaw-s", float, "time of thawing after each freezing", 60.0, unit="s"),
    Option("thaw-temperature-c", float, "tip temperature while it thaws; 0: passive", 0.0, unit="°C"),
    Option("tissue", str, "a tissue of the evidence base", "muscle"),
    Option("body-temperature-c", float, "temperature at the start, of blood and far away", 37.0, unit="°C"),
    Option("finest-mm", float, "cell size at the tip; default min(0.3, radius / 1.5)", 0.0, unit="mm"),
)

SECTIONS: Mapping[str, type[Value]] = {
    "probe": BenchProbe, "tissue": BenchTissue, "domain": BenchDomain, "protocol": BenchProtocol,
}  # fmt: skip
"""What ``--set section.name=value`` may change; the section may be left out where the name is unique."""
LIKE = "cold_probe_1.3mm_5mm"
"""The catalogue's probe that stands for the material of any."""


def bench_case(options: Mapping[str, Any], changes: Mapping[str, str]) -> FreezingBench:
    """The bench case that options and ``--set`` changes describe.

    Raises:
        UnknownNameError: an unknown tissue, gas or property; lists what there is.
        InputError: a value out of range, or a tip colder than was read for its gas.
    """
    data = _from_records(options)
    for name, text in changes.items():
        section, field = _locate(name)
        data[section][field] = _number(text, name)
    case = parse(FreezingBench, data, "simulate")
    gas = freezing_body().gas(str(options["gas"]))
    if case.protocol.tip_temperature_c < gas.coldest_tip_c.value:
        raise InputError(
            f"colder than any tip read for {gas.title}",
            where="--tip-temperature-c",
            found=case.protocol.tip_temperature_c,
            allowed=f"{gas.coldest_tip_c.value:g} °C and above",
        )
    return case


def _from_records(options: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    probe, body = instrument(LIKE), freezing_body()
    warm = float(options["body-temperature-c"])
    return {
        "probe": {
            "radius_mm": float(options["probe-mm"]) / 2,
            "cold_length_mm": float(options["cold-mm"]),
            "thermal_conductivity_w_per_m_k": probe.thermal_conductivity_w_per_m_k.value,
            "heat_capacity_j_per_m3_k": probe.heat_capacity_j_per_m3_k.value,
            "film_w_per_m2_k": body.film_w_per_m2_k.value,
        },
        "tissue": tissue_section(str(options["tissue"])),
        "domain": {"radius_mm": 40.0, "half_length_mm": 40.0, "temperature_c": warm},
        "protocol": {
            "tip_temperature_c": float(options["tip-temperature-c"]),
            "maximum_power_w": float(options["power-w"]) or None,
            "ramp_s": float(options["ramp-s"]),
            "freeze_s": float(options["freeze-s"]),
            "cycles": int(options["cycles"]),
            "thaw_s": float(options["thaw-s"]),
            "thaw_temperature_c": float(options["thaw-temperature-c"]) or None,
        },
    }


def tissue_section(name: str) -> dict[str, float]:
    """A tissue of the evidence base as the bench format's section."""
    tissue, body = tissue_properties(name), freezing_body()
    made = body.constants(tissue, tissue_properties(body.reference_tissue))
    return {
        "conductivity_w_per_m_k": made.warm_conductivity,
        "frozen_conductivity_w_per_m_k": made.frozen_conductivity,
        "heat_capacity_j_per_m3_k": made.warm_capacity,
        "frozen_heat_capacity_j_per_m3_k": made.frozen_capacity,
        "latent_j_per_m3": made.latent,
        "freezing_low_c": body.freezing_low_c.value,
        "freezing_high_c": body.freezing_high_c.value,
        "perfusion_per_s": tissue.perfusion_per_s.value,
        "blood_heat_capacity_j_per_m3_k": tissue_properties("blood").heat_capacity_j_per_m3_k(),
        "perfusion_none_c": body.perfusion_none_c.value,
        "perfusion_full_c": body.perfusion_full_c.value,
        "after_thaw": body.after_thaw.value,
    }


def _locate(name: str) -> tuple[str, str]:
    section, _, field = name.rpartition(".")
    homes = [s for s, model in SECTIONS.items() if field in model.model_fields and section in ("", s)]
    if len(homes) != 1:
        everything = sorted(f"{s}.{f}" for s, model in SECTIONS.items() for f in model.model_fields)
        problem = "ambiguous property" if homes else "unknown property"
        raise UnknownNameError(problem, where="--set", found=name, allowed=everything)
    return homes[0], field


def _number(text: str, name: str) -> float | None:
    if text.strip().lower() in ("none", "null"):
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(
            "not a number", where=f"--set {name}", found=text, allowed="a number or none"
        ) from None


def simulate(options: Mapping[str, Any], changes: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """Run the command and return plain data; ``axisymmetric`` among the options takes the (r, z) path."""
    case = bench_case(options, changes)
    finest = float(options.get("finest-mm") or 0.0)
    numerics = parse(Numerics, {**NUMERICS.model_dump(), "finest_mm": finest or None}, "simulate")
    result, grid = run_case(
        case, axisymmetric=bool(options.get("axisymmetric")), numerics=numerics, progress=progress
    )
    return {**report_case(case, result, grid), "case": case.model_dump(mode="json")}
