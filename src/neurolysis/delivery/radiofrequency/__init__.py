"""Radiofrequency neurolysis: heating a nerve with current at about half a megahertz.

This module only registers the technique; what it needs is imported when it is used.
"""

from __future__ import annotations

from neurolysis.delivery.radiofrequency.bench import RadiofrequencyBench
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.delivery.radiofrequency.rules import assumptions, notices, summary
from neurolysis.delivery.radiofrequency.simulate import OPTIONS, simulate
from neurolysis.delivery.technique import Chart, InstrumentUse, Technique, deferred

TECHNIQUE = Technique(
    name="radiofrequency",
    title="Radiofrequency neurolysis",
    protocol=RadiofrequencyProtocol,
    expose=deferred(f"{__name__}.expose", "expose"),
    notices=notices,
    summary=summary,
    assumptions=assumptions,
    charts=(
        Chart(
            "Temperature",
            "°C",
            (("tip_temperature_c", "tip sensor"), ("hottest_tissue_c", "hottest tissue")),
        ),
        Chart("Power", "W", (("power_w", "power"),)),
        Chart("Impedance", "ohm", (("impedance_ohm", "impedance"),)),
        Chart("Voltage", "V", (("voltage_v", "voltage"),)),
    ),
    options=OPTIONS,
    simulate=simulate,
    simulate_case=deferred(f"{__name__}.bench", "simulate_case"),
    validate=deferred(f"{__name__}.validation", "validate"),
    schemas={"radiofrequency-bench": RadiofrequencyBench},
    instrument=InstrumentUse(("electrode",), "Needle", "active tip", "insulated shaft"),
)
