"""Published bench measurements beside what the model gives. Nothing here is tuned.

A row is run only with inputs its source states; where an input is missing it is "not computable".
Two inputs of the pooled ex vivo series are unknown and are varied openly: the starting temperature
(21 and 37 C) and, since sizes were pooled over tips, a 10 mm tip stands for all. Such a row fails
when no start temperature brings it into its band, and is "cannot say" otherwise: never a pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from neurolysis.delivery.radiofrequency.bench import RadiofrequencyBench, report_case, run_case
from neurolysis.delivery.radiofrequency.simulate import bench_case
from neurolysis.delivery.technique import Progress, ValidationRow
from neurolysis.evidence.measurements import Measurement, Statement, lesion_measurements

START_TEMPERATURES_C = (21.0, 37.0)
POOLED_TIP_MM = 10.0
RATIO_GAUGE = 18
EDGE = "isotherm_50c"
"""The photographic method marks tissue above 50 C (cosman_gonzalez_2011)."""
OWN = "radiofrequency"

WIDTH_RATIO_SETTING = {"gauge": RATIO_GAUGE, "temperature_c": 80.0, "time_s": 120.0}


@cache
def ex_vivo_size(gauge: int, temperature_c: float, time_s: float, start_c: float) -> tuple[float, float]:
    """Width and length (mm) of the 50 C isotherm in unperfused muscle, axisymmetric."""
    options: Mapping[str, Any] = {
        "gauge": gauge,
        "tip-mm": POOLED_TIP_MM,
        "temperature-c": temperature_c,
        "duration-s": time_s,
        "ramp-s": 10.0,
        "tissue": "muscle",
        "body-temperature-c": start_c,
    }
    case: RadiofrequencyBench = bench_case(options, {"perfusion_per_s": "0"})
    result, grid = run_case(case, axisymmetric=True)
    size = report_case(case, result, grid)["lesion"][EDGE]
    return size["width_mm"], size["length_mm"]


def validate(progress: Progress) -> tuple[ValidationRow, ...]:
    """One row per statement of every measurement of this technique."""
    rows = [item for item in lesion_measurements() if item.technique == OWN]
    done: list[ValidationRow] = []
    for number, item in enumerate(rows):
        progress(number / len(rows), item.id)
        done += [_row(item, statement) for statement in item.statements]
    return tuple(done)


def _row(item: Measurement, statement: Statement) -> ValidationRow:
    run = _runner(item, statement)
    measured = _band_text(statement)
    name = statement.quantity.replace("_", " ")
    conflict = (
        f"conflicts with {', '.join(item.conflicts_with)}: both cannot pass" if item.conflicts_with else ""
    )
    if run is None:
        missing = ", ".join(item.missing_inputs()) or "what the model would need"
        return ValidationRow(
            id=item.id,
            source=item.source_id,
            quantity=name,
            measured=measured,
            simulated={},
            criterion=_criterion(statement),
            verdict="not computable",
            reason="; ".join(part for part in (f"not in what was read: {missing}", conflict) if part),
        )
    values = {start: run(start) for start in START_TEMPERATURES_C}
    inside = [_within(statement, value) for value in values.values()]
    reason = "starting temperature not in what was read; pooled over tips, run with 10 mm"
    if not any(inside):
        reason = "outside the band from either starting temperature; run with a 10 mm tip"
    return ValidationRow(
        id=item.id,
        source=item.source_id,
        quantity=name,
        measured=measured,
        simulated={f"start {start:g} °C": f"{value:.2f}" for start, value in values.items()},
        criterion=_criterion(statement),
        verdict="cannot say" if any(inside) else "fail",
        reason="; ".join(part for part in (reason, conflict) if part),
    )


def _runner(item: Measurement, statement: Statement) -> Callable[[float], float] | None:
    """What simulates a statement from a starting temperature; None when its inputs are missing."""
    if item.modality != "monopolar" or not item.id.startswith("COSMAN14"):
        return None
    if statement.quantity in ("width_ratio", "width_difference"):
        return lambda start: _compare(statement, start)
    if statement.quantity == "length_minus_tip" and item.temperature_c and item.time_s:
        temperature, time_s = item.temperature_c, item.time_s
        return lambda start: ex_vivo_size(RATIO_GAUGE, temperature, time_s, start)[1] - POOLED_TIP_MM
    return None


def _compare(statement: Statement, start_c: float) -> float:
    top = _width({**WIDTH_RATIO_SETTING, **statement.numerator}, start_c)
    bottom = _width({**WIDTH_RATIO_SETTING, **statement.denominator}, start_c)
    return top / bottom if statement.quantity == "width_ratio" else top - bottom


def _width(setting: Mapping[str, float], start_c: float) -> float:
    return ex_vivo_size(int(setting["gauge"]), setting["temperature_c"], setting["time_s"], start_c)[0]


def _within(statement: Statement, value: float) -> bool:
    low = statement.low if statement.low is not None else float("-inf")
    high = statement.high if statement.high is not None else float("inf")
    return low <= value <= high


def _band_text(statement: Statement) -> str:
    unit = "" if statement.unit == "1" else f" {statement.unit}"
    if statement.value is not None:
        spread = f" (SD {statement.standard_deviation:g})" if statement.standard_deviation else ""
        return f"{statement.value:g}{spread}{unit}"
    if statement.low is not None and statement.high is not None:
        return f"{statement.low:g} to {statement.high:g}{unit}"
    return (
        f"at most {statement.high:g}{unit}"
        if statement.high is not None
        else f"at least {statement.low:g}{unit}"
    )


def _criterion(statement: Statement) -> str:
    if statement.value is not None:
        return "within two SD of the mean" if statement.standard_deviation else "as stated"
    return "within the measured band"
