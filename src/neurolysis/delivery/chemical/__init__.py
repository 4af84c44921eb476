"""Chemical neurolysis: destroying nerve with injected ethanol, phenol or glycerol.

This module only registers the technique; what it needs is imported when it is used.
"""

from __future__ import annotations

from neurolysis.delivery.chemical.protocol import ChemicalProtocol
from neurolysis.delivery.chemical.rules import assumptions, notices, summary
from neurolysis.delivery.chemical.simulate import OPTIONS, InjectionBench, simulate, simulate_case
from neurolysis.delivery.technique import Chart, InstrumentUse, Technique, deferred
from neurolysis.plan import Numerics

TECHNIQUE = Technique(
    name="chemical",
    title="Chemical neurolysis",
    protocol=ChemicalProtocol,
    expose=deferred(f"{__name__}.expose", "expose"),
    notices=notices,
    summary=summary,
    assumptions=assumptions,
    charts=(
        Chart("Injected", "mL", (("injected_ml", "injected"),)),
        Chart("Highest pressure", "kPa", (("pressure_kpa", "at the outlet"),)),
        Chart(
            "Tissue at or above the least neurolytic concentration",
            "mL",
            (("volume_wide_ml", "wide"), ("volume_ml", "middle"), ("volume_narrow_ml", "narrow")),
        ),
        Chart("Where the agent is", "mL", (("mobile_ml", "in the pores"), ("still_ml", "in cell water"),
                                           ("blood_ml", "taken by blood"))),
    ),
    options=OPTIONS,
    simulate=simulate,
    simulate_case=simulate_case,
    validate=deferred(f"{__name__}.validation", "validate"),
    schemas={"injection-bench": InjectionBench},
    instrument=InstrumentUse(("injection needle",), "Needle", "bevel with the outlet"),
    default_numerics=Numerics(
        finest_mm=1.0, extent_mm=75.0, growth=1.08, coarsest_mm=3.0, cooldown_to_c=None
    ),
)  # fmt: skip
