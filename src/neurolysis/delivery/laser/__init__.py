"""Laser neurolysis: light through a fibre that heats tissue round a nerve.

This module only registers the technique; what it needs is imported when it is used.
"""

from __future__ import annotations

from neurolysis.delivery.laser.light_bench import LIGHT
from neurolysis.delivery.laser.protocol import LaserProtocol
from neurolysis.delivery.laser.rules import assumptions, notices, summary
from neurolysis.delivery.laser.simulate import OPTIONS, LaserBench, simulate, simulate_case
from neurolysis.delivery.technique import Chart, InstrumentUse, Technique, deferred
from neurolysis.plan import Numerics

TECHNIQUE = Technique(
    name="laser",
    title="Laser neurolysis",
    protocol=LaserProtocol,
    expose=deferred(f"{__name__}.expose", "expose"),
    notices=notices,
    summary=summary,
    assumptions=assumptions,
    charts=(
        Chart(
            "Temperature at the fibre's end (cut off at 120 °C)",
            "°C",
            (("tip_temperature_c", "end of the first fibre"),),
        ),
        Chart(
            "Hottest tissue (cut off at 120 °C)",
            "°C",
            (
                ("hottest_shallow_c", "light stays near"),
                ("hottest_tissue_c", "as printed"),
                ("hottest_deep_c", "light goes far"),
            ),
        ),
        Chart(
            "Light absorbed in the box",
            "W",
            (
                ("absorbed_shallow_w", "light stays near"),
                ("absorbed_w", "as printed"),
                ("absorbed_deep_w", "light goes far"),
            ),
        ),
    ),
    options=OPTIONS,
    simulate=simulate,
    simulate_case=simulate_case,
    validate=deferred(f"{__name__}.validation", "validate"),
    schemas={"laser-bench": LaserBench},
    instrument=InstrumentUse(
        ("injection needle",),
        "Fibre in a needle",
        "fibre beyond the needle",
        "needle",
        "fibre_beyond_needle_mm",
    ),
    default_numerics=Numerics(finest_mm=0.3, extent_mm=40.0),
    benches=(LIGHT,),
)
