"""Cryoneurolysis: freezing a nerve with a cold probe.

This module only registers the technique; what it needs is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neurolysis.delivery.cryo.bench import NUMERICS, FreezingBench
from neurolysis.delivery.cryo.protocol import CryoProtocol
from neurolysis.delivery.cryo.rules import assumptions, notices, summary
from neurolysis.delivery.cryo.simulate import OPTIONS, simulate
from neurolysis.delivery.technique import Chart, InstrumentUse, Progress, Technique, ValidationRow
from neurolysis.exposure import Exposure
from neurolysis.plan import Plan
from neurolysis.scene import Scene


def _expose(scene: Scene, plan: Plan, progress: Progress) -> Exposure:
    from neurolysis.delivery.cryo.expose import expose

    return expose(scene, plan, progress)


def _simulate_case(
    data: Mapping[str, Any], axisymmetric: bool, where: str, progress: Progress
) -> dict[str, Any]:
    from neurolysis.delivery.cryo.bench import simulate_case

    return simulate_case(data, axisymmetric, where, progress)


def _validate(progress: Progress) -> Sequence[ValidationRow]:
    from neurolysis.delivery.cryo.validation import validate

    return validate(progress)


TECHNIQUE = Technique(
    name="cryo",
    title="Cryoneurolysis",
    protocol=CryoProtocol,
    expose=_expose,
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
    simulate_case=_simulate_case,
    validate=_validate,
    schemas={"freezing-bench": FreezingBench},
    instrument=InstrumentUse(("cold probe",), "Probe", "cold tip"),
    default_numerics=NUMERICS.replace(extent_mm=30.0),
)
