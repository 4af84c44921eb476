"""Damage kinetics and thermal dose from the evidence base, as the solver takes them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from neurolysis.evidence.kinetics import CENTRE_C, KELVIN, cem43_record, kinetics

if TYPE_CHECKING:
    from neurolysis.physics.problem import Damage

PATIENT_START_C = 43.0
"""In a living patient heat damage accumulates only above this temperature."""
NOT_COUNTED = 1e-30

PERFUSION_KINETICS = "reference_bench"
NERVE_KINETICS = "nerve_heat"


def damage(name: str, start_c: float | None) -> Damage:
    """One process of the evidence base; ``start_c`` None accumulates at every temperature."""
    from neurolysis.physics.problem import Damage

    record = kinetics(name)
    activation = record.activation_energy.value / record.gas_constant_j_per_mol_k
    if record.rate_at_44c is None:
        ln_frequency = record.ln_frequency_factor_per_s
    else:
        ln_frequency = record.log_rate_per_s(CENTRE_C) + activation / (CENTRE_C + KELVIN)
    return Damage(ln_frequency, activation, -math.inf if start_c is None else start_c)


def dose_constants() -> dict[str, float]:
    """CEM43 constants: nothing is counted below the sourced range, above it the rate is held."""
    record = cem43_record()
    return {
        "cem_r_above": record.ratio_above.value,
        "cem_r_below": NOT_COUNTED,
        "cem_limit_c": record.valid_high_c,
    }
