"""Surgical neurolysis: freeing a nerve from scar, or removing a stretch of it.

This module only registers the technique; what it needs is imported when it is used.
"""

from __future__ import annotations

from neurolysis.delivery.surgical.protocol import ReleaseProtocol
from neurolysis.delivery.surgical.rules import assumptions, notices, summary
from neurolysis.delivery.surgical.simulate import OPTIONS, ReleaseBench, simulate, simulate_case
from neurolysis.delivery.technique import Chart, LineChart, Technique, deferred
from neurolysis.plan import Numerics


def _thresholds() -> tuple[tuple[float, str], ...]:
    from neurolysis.evidence.nerve_mechanics import nerve_mechanics

    return tuple((item.percent, f"{item.percent:g} %") for item in nerve_mechanics().strain_thresholds)


TECHNIQUE = Technique(
    name="release",
    title="Surgical neurolysis (release)",
    protocol=ReleaseProtocol,
    expose=deferred(f"{__name__}.expose", "expose"),
    notices=notices,
    summary=summary,
    assumptions=assumptions,
    charts=(
        Chart(
            "Highest tension while the movement is held",
            "N",
            (("tension_before_n", "before"), ("tension_after_n", "after")),
        ),
    ),
    line_charts=(
        LineChart(
            "Strain under the movement, middle scar",
            "%",
            (
                ("strain_before_percent", "before"),
                ("strain_after_percent", "after"),
                ("strain_unscarred_percent", "without scar"),
            ),
        ),
        LineChart(
            "Strain added by scar before the operation",
            "%",
            (
                ("change_before_middle_percent", "middle scar"),
                ("change_before_tight_percent", "tight"),
                ("change_before_loose_percent", "loose"),
            ),
            levels=_thresholds,
        ),
        LineChart(
            "Strain added by scar after the operation",
            "%",
            (
                ("change_after_middle_percent", "middle scar"),
                ("change_after_tight_percent", "tight"),
                ("change_after_loose_percent", "loose"),
                ("change_rescarred_percent", "if scar returns"),
            ),
            levels=_thresholds,
        ),
        LineChart(
            "Movement of the nerve against its bed",
            "mm",
            (
                ("excursion_before_mm", "before"),
                ("excursion_after_mm", "after"),
                ("excursion_unscarred_mm", "without scar"),
            ),
        ),
        LineChart("Tension at once", "N", (("tension_before_n", "before"), ("tension_after_n", "after"))),
        LineChart(
            "Pressure on the inner side of bends",
            "mmHg",
            (("curve_pressure_before_mmhg", "before"), ("curve_pressure_after_mmhg", "after")),
        ),
    ),
    options=OPTIONS,
    simulate=simulate,
    simulate_case=simulate_case,
    validate=deferred(f"{__name__}.validation", "validate"),
    schemas={"release-bench": ReleaseBench},
    default_numerics=Numerics(finest_mm=0.5),
    places_instrument=False,
)
