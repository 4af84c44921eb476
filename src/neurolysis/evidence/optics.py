"""Optics of tissue in the near infrared: what was read, how sources disagree, what stands for what."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from neurolysis.errors import UnknownNameError
from neurolysis.evidence.store import load_yaml, quantity, read_value
from neurolysis.quantity import Quantity, Value

FILE = "optics.yaml"


class TissueOptics(Value):
    """Native optics of a tissue at a wavelength."""

    absorption_per_mm: Quantity
    reduced_scattering_per_mm: Quantity
    anisotropy: Quantity


class Coagulated(Value):
    """How coagulation changes reduced scattering and absorption (ratios to native tissue)."""

    scattering_ratio: Quantity
    absorption_ratio: Quantity


class Char(Value):
    """The carbonised layer on a tip."""

    absorption_per_mm: Quantity
    thickness_um: Quantity

    def absorbed(self, end: str = "value") -> float:
        """Share of light that one pass through the layer leaves in it; ``end`` value, low or high."""
        thickness, rate = (getattr(q, end) for q in (self.thickness_um, self.absorption_per_mm))
        return -math.expm1(-1e-3 * thickness * rate)


class Spectrum(Value):
    """One wavelength: the nearest one with coefficients, and every tissue at it."""

    wavelength_nm: int
    note: str
    tissues: Mapping[str, TissueOptics]
    other_tissues: str
    stand_ins: Mapping[str, str]

    def tissue(self, name: str) -> TissueOptics:
        """A tissue's optics, or those of what stands for it."""
        return self.tissues[self.stand_in(name)]

    def stand_in(self, name: str) -> str:
        """The tissue whose coefficients are taken."""
        return name if name in self.tissues else self.stand_ins.get(name, self.other_tissues)


def wavelengths_nm() -> tuple[int, ...]:
    """Every wavelength with coefficients, read or made from another one's."""
    data = load_yaml(FILE)
    return tuple(sorted([*data["wavelengths"], *data["assumed"]]))


def reach_nm() -> float:
    """How far from a wavelength its coefficients are still taken."""
    return float(load_yaml(FILE)["wavelength_reach_nm"])


@cache
def spectrum(wavelength_nm: float) -> Spectrum:
    """Optics at a wavelength.

    Raises:
        UnknownNameError: no coefficients within reach; lists the wavelengths.
    """
    data = load_yaml(FILE)
    reach = data["wavelength_reach_nm"]
    nearest = min(wavelengths_nm(), key=lambda known: abs(known - wavelength_nm))
    if abs(nearest - wavelength_nm) > reach:
        allowed = [f"{known} nm, {reach} nm either way" for known in wavelengths_nm()]
        raise UnknownNameError(
            "no optical coefficient was read near this wavelength",
            found=f"{wavelength_nm:g} nm",
            allowed=allowed,
        )
    return _assumed(nearest, data) if nearest in data["assumed"] else _read(nearest, data)


@cache
def coagulated() -> Coagulated:
    """What coagulation does to optics."""
    return read_value(Coagulated, load_yaml(FILE)["coagulated"], f"{FILE}: coagulated")


@cache
def char() -> Char:
    """The carbonised layer on a tip."""
    return read_value(Char, load_yaml(FILE)["char"], f"{FILE}: char")


@cache
def refractive_index() -> Quantity:
    """Index of soft tissue."""
    return read_value(Quantity, load_yaml(FILE)["refractive_index"], f"{FILE}: refractive_index")


def disagreement() -> str:
    """What must be said wherever these coefficients are used."""
    return str(load_yaml(FILE)["disagreement"])


def stand_in_assumption(name: str, other: str) -> Quantity:
    """The visible assumption that one tissue's optics are another's."""
    text = load_yaml(FILE)["stand_in_source"]
    return Quantity(value=1.0, unit="1", basis="assumption", source=f"{text} ({name}: {other})")


def _read(wavelength: int, data: Mapping[str, Any]) -> Spectrum:
    row = data["wavelengths"][wavelength]
    tissues = {name: _tissue(name, values, data) for name, values in row["tissues"].items()}
    return _spectrum(wavelength, row["note"], tissues, data)


def _spectrum(
    wavelength: int, note: str, tissues: Mapping[str, TissueOptics], data: Mapping[str, Any]
) -> Spectrum:
    return Spectrum(
        wavelength_nm=wavelength,
        note=note,
        tissues=MappingProxyType(dict(tissues)),
        other_tissues=data["other_tissues"],
        stand_ins=data["stand_ins"],
    )


def _tissue(name: str, row: Mapping[str, Any], data: Mapping[str, Any]) -> TissueOptics:
    where, columns, span = f"{FILE}: {name}", data["columns"], data["ranges"][name]
    own = {"source": row["source"]} if "source" in row else {}

    def column(field: str, short: str) -> Quantity:
        low, high = span[short]
        conditions = f"{row['reading']}; {span['text']}"
        raw = {"value": row[short], "low": low, "high": high, "conditions": conditions, **own}
        return quantity(raw, columns[field], f"{where}.{field}")

    g: dict[str, Any] = {}
    if "g" in row:
        source = columns["absorption_per_mm"]["source"]
        g = {"value": row["g"], "low": None, "high": None, "basis": "sourced", "source": source}
    return TissueOptics(
        absorption_per_mm=column("absorption_per_mm", "absorption"),
        reduced_scattering_per_mm=column("reduced_scattering_per_mm", "scattering"),
        anisotropy=quantity(g, columns["anisotropy"], f"{where}.anisotropy"),
    )


def _assumed(wavelength: int, data: Mapping[str, Any]) -> Spectrum:
    """Another wavelength's optics with the absorption of water raised as it is at this one."""
    rule = data["assumed"][wavelength]
    base = _read(rule["from"], data)
    where = f"{FILE}: {wavelength}"
    water = quantity(rule["water_absorption_per_mm"], {}, where).value
    ratio = quantity(rule["ratio"], {}, where)

    def raised(number: float | None, name: str, times: float | None) -> float:
        return float((number or 0.0) + rule["water_share"][name] * water * ((times or 1.0) - 1.0))

    tissues = {}
    for name, item in base.tissues.items():
        own = item.absorption_per_mm
        absorption = Quantity(
            value=raised(own.value, name, ratio.value),
            low=raised(own.low, name, ratio.low),
            high=raised(own.high, name, ratio.high),
            unit=own.unit,
            basis="assumption",
            source=rule["source"],
        )
        tissues[name] = item.replace(absorption_per_mm=absorption)
    return _spectrum(wavelength, str(rule["source"]), tissues, data)
