"""Stiffness of nerves and of what holds them, thresholds of strain and pressure, published movements."""

from __future__ import annotations

from functools import cache
from typing import Literal

from pydantic import Field

from neurolysis.evidence.readings import reading
from neurolysis.evidence.store import load_yaml, pick, read_value
from neurolysis.quantity import Quantity, Value

FILE = "nerve_mechanics.yaml"


class StrainThreshold(Value):
    """A strain at which something was seen in an animal's nerve."""

    id: str
    percent: float = Field(gt=0)
    readings: tuple[str, ...] = Field(min_length=1)
    tone: Literal["warn", "stop"]
    text: str

    @property
    def sources(self) -> tuple[str, ...]:
        """Sources of its readings."""
        return tuple(dict.fromkeys(reading(row).source for row in self.readings))


class PressureStage(Value):
    """What a pressure round a nerve does to its blood flow; ``from_mmhg`` is the low end of what was read."""

    id: str
    from_mmhg: float
    to_mmhg: float
    text: str
    source: str


class OpenedTunnel(Value):
    """How much more easily a tunnel gives way once it is opened."""

    factor_low: float = Field(gt=1)
    factor_high: float = Field(gt=1)
    text: str
    source: str


class PublishedMotion(Value):
    """Excursion of a nerve against its bed in one movement, millimetres."""

    nerve: str
    text: str
    excursion_mm: Quantity


class NerveMechanics(Value):
    """All of it."""

    modulus_mpa: Quantity
    bed_kpa: Quantity
    scar_kpa: Quantity
    pre_strain_percent: Quantity
    relaxed_share: Quantity
    relaxed_after_s: float = Field(gt=0)
    relaxation_time_s: Quantity
    strain_thresholds: tuple[StrainThreshold, ...]
    pressure_stages: tuple[PressureStage, ...]
    opened: dict[str, OpenedTunnel]
    approach_mm: Quantity
    motions: dict[str, PublishedMotion]

    def stage(self, mmhg: float) -> PressureStage | None:
        """The strongest stage that begins at or below a pressure; None below all."""
        reached = [stage for stage in self.pressure_stages if mmhg >= stage.from_mmhg]
        return reached[-1] if reached else None

    def motion(self, name: str) -> PublishedMotion:
        """A published movement; UnknownNameError lists them."""
        return pick(self.motions, name, "published movement of a nerve")


@cache
def nerve_mechanics() -> NerveMechanics:
    """The shipped record; every source it names is checked."""
    raw = load_yaml(FILE)
    modulus = reading(raw["modulus"]["reading"]).quantity()
    relaxed = reading(raw["relaxation"]["reading"]).quantity()
    data = {
        "modulus_mpa": modulus.replace(conditions=f"{modulus.conditions}; {raw['modulus']['note']}"),
        "bed_kpa": raw["bed_kpa"],
        "scar_kpa": raw["scar_kpa"],
        "pre_strain_percent": raw["pre_strain_percent"],
        "relaxed_share": relaxed.replace(value=relaxed.value / 100, unit="1"),
        "relaxed_after_s": raw["relaxation"]["after_s"],
        "relaxation_time_s": raw["relaxation_time_s"],
        "strain_thresholds": raw["strain_thresholds"],
        "pressure_stages": [_stage(**row) for row in raw["pressure_stages"]],
        "opened": {name: _opened(**row) for name, row in raw["opened_tunnel"].items()},
        "approach_mm": raw["approach_mm"],
        "motions": {name: _motion(**row) for name, row in raw["motions"].items()},
    }
    return read_value(NerveMechanics, data, FILE)


def _stage(id: str, reading: str, text: str) -> dict[str, object]:
    row = _row(reading)
    return {"id": id, "from_mmhg": row.low, "to_mmhg": row.high, "text": text, "source": row.source}


def _opened(reading: str, low: float, high: float, text: str) -> dict[str, object]:
    return {"factor_low": low, "factor_high": high, "text": text, "source": _row(reading).source}


def _motion(reading: str, nerve: str, text: str, millimetres: float | None = None) -> dict[str, object]:
    found = _row(reading).quantity()
    if millimetres is not None:
        found = found.replace(value=millimetres, low=None, high=None, unit="mm")
    return {"nerve": nerve, "text": text, "excursion_mm": found}


_row = reading
