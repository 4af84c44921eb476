"""Heat damage: Arrhenius pairs and the thermal dose, each with the range it was fitted in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Self

from pydantic import Field, model_validator

from neurolysis.evidence.store import load_yaml, pick, read_value
from neurolysis.quantity import Quantity, Value

KELVIN = 273.15
CENTRE_C = 44.0


class DamageKinetics(Value):
    """First-order heat damage, d(Omega)/dt = A exp(-Ea / (R T)), T in kelvin.

    ``rate_at_44c`` (1/min) gives the centred form, which does not suffer from rounding; use it where
    it is there. Outside ``fitted_low_c`` to ``fitted_high_c`` the pair is extrapolated.
    """

    id: str
    label: str
    ln_frequency_factor_per_s: float
    gas_constant_j_per_mol_k: float = Field(gt=8.3, lt=8.4)
    activation_energy: Quantity
    rate_at_44c: Quantity | None = None
    fitted_low_c: float | None
    fitted_high_c: float | None
    half_effect_damage: float | None = None
    warning: str = Field(min_length=1)
    source: str

    @model_validator(mode="after")
    def _forms_agree(self) -> Self:
        if self.rate_at_44c is not None:
            plain = self._log_rate_plain(CENTRE_C)
            centred = math.log(self.rate_at_44c.value / 60)
            if abs(plain - centred) > 1e-3:
                raise ValueError(f"the two forms differ at 44 C: ln rate {plain} and {centred}")
        return self

    def log_rate_per_s(self, temperature_c: float) -> float:
        """Natural log of the damage rate (1/s) at a temperature in Celsius."""
        if self.rate_at_44c is None:
            return self._log_rate_plain(temperature_c)
        inverse = 1 / (temperature_c + KELVIN) - 1 / (CENTRE_C + KELVIN)
        slope = self.activation_energy.value / self.gas_constant_j_per_mol_k
        return math.log(self.rate_at_44c.value / 60) - slope * inverse

    def extrapolated(self, temperature_c: float) -> bool:
        """Whether a temperature lies outside the fitted range (or no range is known)."""
        if self.fitted_low_c is None or self.fitted_high_c is None:
            return True
        return not self.fitted_low_c <= temperature_c <= self.fitted_high_c

    def _log_rate_plain(self, temperature_c: float) -> float:
        energy = self.activation_energy.value / self.gas_constant_j_per_mol_k
        return self.ln_frequency_factor_per_s - energy / (temperature_c + KELVIN)


class Cem43Record(Value):
    """Cumulative equivalent minutes at 43 C: d(CEM43)/dt = R^(43 - T), and where that has a source.

    Above ``valid_high_c`` the temperature counts as ``valid_high_c`` (saturated: the dose is a lower
    bound, flagged). ``ratio_below`` serves only where dose below ``valid_low_c`` is counted at all.
    """

    reference_temperature_c: float
    ratio_above: Quantity
    ratio_below: Quantity
    valid_low_c: float
    valid_high_c: float
    warning: str
    source: str


def kinetics_ids() -> tuple[str, ...]:
    """Ids of the damage kinetics."""
    return tuple(_kinetics())


def kinetics(id: str) -> DamageKinetics:
    """One set of damage kinetics; UnknownNameError lists the ids."""
    return pick(_kinetics(), id, "damage kinetics")


@cache
def cem43_record() -> Cem43Record:
    """The thermal dose's ratios and the temperature range they hold in."""
    return read_value(Cem43Record, load_yaml("kinetics.yaml")["cem43"], "kinetics.yaml: cem43")


@cache
def _kinetics() -> Mapping[str, DamageKinetics]:
    models = load_yaml("kinetics.yaml")["models"]
    return MappingProxyType(
        {
            name: read_value(DamageKinetics, {"id": name, **row}, f"kinetics.yaml: {name}")
            for name, row in models.items()
        }
    )
