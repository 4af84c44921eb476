"""Tissue constants at ablation frequency, and CT numbers to tissues."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Self

from pydantic import model_validator

from neurolysis.evidence.store import check_sources, load_yaml, pick, quantity, read_value
from neurolysis.quantity import Basis, Value, parse
from neurolysis.scene import TissueProperties


class HuRange(Value):
    """CT numbers [low, high) taken as one tissue where no label says better; ``None`` is open."""

    name: str
    tissue: str
    low_hu: float | None
    high_hu: float | None
    basis: Basis
    source: str

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low_hu is not None and self.high_hu is not None and self.low_hu >= self.high_hu:
            raise ValueError(f"low_hu {self.low_hu} must lie below high_hu {self.high_hu}")
        return self


def tissue_names() -> tuple[str, ...]:
    """Every tissue with a property record, in the order of the data file (``air`` has none)."""
    return tuple(_tissues())


def tissue_properties(name: str) -> TissueProperties:
    """Constants of one tissue, electrical ones at 500 kHz; UnknownNameError lists the tissues."""
    return pick(_tissues(), name, "tissue")


@cache
def hu_ranges() -> tuple[HuRange, ...]:
    """CT number ranges from air to cortical bone, ascending and without gaps."""
    rows = load_yaml("hu_ranges.yaml")["ranges"]
    return tuple(read_value(HuRange, row, f"hu_ranges.yaml: {row.get('name')}") for row in rows)


def hu_warning() -> str:
    """What must be said wherever tissue was told by CT numbers."""
    return str(load_yaml("hu_ranges.yaml")["warning"])


@cache
def _tissues() -> Mapping[str, TissueProperties]:
    data = load_yaml("tissues.yaml")
    return MappingProxyType(
        {name: _tissue(name, row, data["columns"]) for name, row in data["tissues"].items()}
    )


def _tissue(name: str, row: Mapping[str, Any], columns: Mapping[str, Any]) -> TissueProperties:
    where = f"tissues.yaml: {name}"
    filled = {
        column: quantity(row.get(column, {}), defaults, f"{where}.{column}")
        for column, defaults in columns.items()
    }
    tissue = parse(TissueProperties, {"name": name, **row, **filled}, where)
    check_sources(tissue, where)
    return tissue
