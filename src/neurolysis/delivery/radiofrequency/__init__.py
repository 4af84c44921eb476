"""Radiofrequency neurolysis: heating a nerve with current at about half a megahertz.

This module only registers the technique; what it needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurolysis.delivery.radiofrequency.bench import RadiofrequencyBench
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.delivery.radiofrequency.rules import assumptions, notices, summary
from neurolysis.delivery.radiofrequency.simulate import OPTIONS, simulate
from neurolysis.delivery.technique import Chart, InstrumentUse, Progress, Technique, ValidationRow
from neurolysis.exposure import Exposure
from neurolysis.plan import Plan
from neurolysis.scene import Scene


def _expose(scene: Scene, plan: Plan, progress: Progress) -> Exposure:
    from neurolysis.delivery.radiofrequency.expose import expose

    return expose(scene, plan, progress)


def _simulate_case(
    data: Mapping[str, Any], axisymmetric: bool, where: str, progress: Progress
) -> dict[str, Any]:
    from neurolysis.delivery.radiofrequency.bench import simulate_case

    return simulate_case(data, axisymmetric, where, progress)


def _validate(progress: Progress) -> Sequence[ValidationRow]:
    from neurolysis.delivery.radiofrequency.validation import validate

    return validate(progress)


TECHNIQUE = Technique(
    name="radiofrequency",
    title="Radiofrequency neurolysis",
    protocol=RadiofrequencyProtocol,
    expose=_expose,
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
    simulate_case=_simulate_case,
    validate=_validate,
    schemas={"radiofrequency-bench": RadiofrequencyBench},
    instrument=InstrumentUse(("electrode",), "Needle", "active tip", "insulated shaft"),
)
