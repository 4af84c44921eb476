"""Freezing tissue as data: the enthalpy table, what each tissue freezes of, and the gases of probes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydantic import Field

from neurolysis.evidence.store import load_yaml, pick, read_value
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import TissueProperties

FILE = "freezing.yaml"


class Gas(Value):
    """What cools a probe, and how cold its tip was read to get."""

    title: str
    coldest_tip_c: Quantity


class FrozenConstants(Value):
    """One tissue's constants, unfrozen and frozen: W/(m K), J/(m3 K) and J/m3."""

    warm_conductivity: float
    frozen_conductivity: float
    warm_capacity: float
    frozen_capacity: float
    latent: float


class GelProfile(Value):
    """How far the cold reaches inside measured ice round one needle."""

    id: str
    source: str
    cold_c: float
    cold_radius_mm: float = Field(gt=0)
    ice_radius_mm: float = Field(gt=0)
    text: str
    missing: str


class ArgonNeedle(Value):
    """What stands in for an argon needle whose tip was not described: two tip temperatures, one length."""

    tip_c: tuple[float, float]
    cold_length_mm: float = Field(gt=0)
    source: str


class FreezingBody(Value):
    """Everything freezing rests on."""

    freezing_low_c: Quantity
    freezing_high_c: Quantity
    perfusion_none_c: Quantity
    perfusion_full_c: Quantity
    latent_j_per_kg: Quantity
    frozen_conductivity_w_per_m_k: Quantity
    frozen_heat_ratio: Quantity
    after_thaw: Quantity
    film_w_per_m2_k: Quantity
    ramp_s: Quantity
    reference_tissue: str
    water_share: Mapping[str, Quantity]
    other_water_share: Quantity
    gases: Mapping[str, Gas] = Field(min_length=1)
    not_offered: str
    gel_profile: GelProfile
    argon_needle: ArgonNeedle

    def gas(self, name: str) -> Gas:
        """One gas; UnknownNameError lists them."""
        return pick(self.gases, name, "gas of a cold probe")

    def share(self, tissue: str) -> Quantity:
        """Latent heat of a tissue as a part of the table's."""
        return self.water_share.get(tissue, self.other_water_share)

    def constants(self, tissue: TissueProperties, reference: TissueProperties) -> FrozenConstants:
        """A tissue's constants on both sides of freezing.

        The reference tissue gets the table's frozen conductivity; others change by the same factor to the
        power of their water share, as mixtures are often taken (geometric mean).
        """
        share = self.share(tissue.name).value
        rise = (
            self.frozen_conductivity_w_per_m_k.value / reference.thermal_conductivity_w_per_m_k.value
        ) ** share
        warm = tissue.heat_capacity_j_per_m3_k()
        conductivity = tissue.thermal_conductivity_w_per_m_k.value
        return FrozenConstants(
            warm_conductivity=conductivity,
            frozen_conductivity=conductivity * rise,
            warm_capacity=warm,
            frozen_capacity=warm * self.frozen_heat_ratio.value**share,
            latent=share * self.latent_j_per_kg.value * tissue.density_kg_per_m3.value,
        )


@cache
def freezing_body() -> FreezingBody:
    """The shipped constants; every source they name is checked."""
    return read_value(FreezingBody, load_yaml(FILE), FILE)
