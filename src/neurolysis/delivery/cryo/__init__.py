"""Cryoneurolysis: freezing a nerve with a cold probe.

This module only registers the technique; what it needs is imported when it is used.
"""

from __future__ import annotations

from neurolysis.delivery.cryo.bench import NUMERICS, FreezingBench
from neurolysis.delivery.cryo.protocol import CryoProtocol
from neurolysis.delivery.cryo.rules import assumptions, notices, summary
from neurolysis.delivery.cryo.simulate import OPTIONS, simulate
from neurolysis.delivery.technique import Chart, InstrumentUse, Technique, deferred

TECHNIQUE = Technique(
    name="cryo",
    title="Cryoneurolysis",
    protocol=CryoProtocol,
    expose=deferred(f"{__name__}.expose", "expose"),
    notices=notices,
    summary=summary,
    assumptions=assumptions,
    charts=(
        Chart(
            "Temperature",
            "°C",
            (("probe_temperature_c", "tip"), ("coldest_tissue_c", "coldest tissue")),
        ),
        Chart("Heat taken up by the probe", "W", (("power_w", "power"),)),
        Chart(
            "Now colder than",
            "mL",
            (("ice_ml", "0 °C (ice ball)"), ("below_m5c_ml", "−5 °C"), ("below_m20c_ml", "−20 °C")),
        ),
    ),
    options=OPTIONS,
    simulate=simulate,
    simulate_case=deferred(f"{__name__}.bench", "simulate_case"),
    validate=deferred(f"{__name__}.validation", "validate"),
    schemas={"freezing-bench": FreezingBench},
    instrument=InstrumentUse(("cold probe",), "Probe", "cold tip"),
    default_numerics=NUMERICS.replace(extent_mm=30.0),
)
