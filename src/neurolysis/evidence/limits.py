"""Limits of structures at risk, by kind, held as data."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from neurolysis.evidence.store import load_yaml, pick, read_value
from neurolysis.quantity import Value
from neurolysis.scene import Limit

METRICS = (
    "peak_temperature_c",
    "lowest_temperature_c",
    "cem43_min",
    "agent_share",
    "distance_to_lesion_mm",
)
"""What a limit may be on."""


class StructureKind(Value):
    """A kind of structure at risk: what people read, and its limits."""

    title: str
    limits: tuple[Limit, ...]


def limit_kinds() -> tuple[str, ...]:
    """Every kind of structure that has limits."""
    return tuple(_kinds())


def kind_title(kind: str) -> str:
    """What people read for a kind; UnknownNameError lists the kinds."""
    return pick(_kinds(), kind, "kind of structure at risk").title


def limits_for(kind: str) -> tuple[Limit, ...]:
    """Limits of one kind of structure; UnknownNameError lists the kinds."""
    return pick(_kinds(), kind, "kind of structure at risk").limits


@cache
def _kinds() -> Mapping[str, StructureKind]:
    kinds = load_yaml("limits.yaml")["kinds"]
    return MappingProxyType(
        {kind: read_value(StructureKind, row, f"limits.yaml: {kind}") for kind, row in kinds.items()}
    )
