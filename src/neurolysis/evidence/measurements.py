"""Published measurements the models are held against, as they were written and as numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from neurolysis.errors import InputError
from neurolysis.evidence.store import DATA, load_yaml, pick, source
from neurolysis.quantity import Value, parse

CSV_FILE = "lesion_sizes.csv"
COLUMNS = {"temp_C": "temperature_c", "width_sd": "width_sd_mm", "length_sd": "length_sd_mm"}
"""CSV column names that become other field names; the rest keep theirs."""
INPUTS = ("gauge", "tip_length_mm", "temperature_c", "time_s")
"""What a simulation of a needle lesion must know."""


class Statement(Value):
    """One number a measurement states: a value (with its SD) or bounds ``low``/``high``.

    ``numerator`` and ``denominator`` hold the setting on each side of a ratio or difference;
    ``distance_mm`` is from the electrode. ``ordering`` and ``nerve_effect`` are yes (1) or no (0).
    """

    quantity: Literal[
        "width",
        "length",
        "volume",
        "temperature",
        "width_ratio",
        "width_difference",
        "length_minus_tip",
        "distal_extent",
        "ice_width",
        "nerve_effect",
        "ordering",
    ]
    unit: str
    value: float | None = None
    standard_deviation: float | None = Field(default=None, ge=0)
    low: float | None = None
    high: float | None = None
    distance_mm: float | None = Field(default=None, ge=0)
    numerator: Mapping[str, float] = Field(default_factory=dict)
    denominator: Mapping[str, float] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.value is None and self.low is None and self.high is None:
            raise ValueError("a statement needs a value or a bound")
        if bool(self.numerator) != bool(self.denominator) or set(self.numerator) != set(self.denominator):
            raise ValueError("a comparison needs the same settings on both sides")
        return self


class Measurement(Value):
    """One row of the shipped table; blank cells are ``None`` (not in what was read).

    ``start_temperature_c`` None is unknown: such a row can be shown at several, never passed.
    """

    id: str
    source: str = Field(description="as the table writes it")
    modality: str
    technique: str = Field(default="", description="the registered technique it is held against")
    tissue: str
    gauge: int | None = Field(default=None, ge=10, le=30)
    tip_length_mm: float | None = Field(default=None, gt=0)
    temperature_c: float | None = None
    time_s: float | None = Field(default=None, gt=0)
    n: int | None = Field(default=None, ge=1)
    width_mm: float | None = Field(default=None, gt=0)
    width_sd_mm: float | None = Field(default=None, ge=0)
    length_mm: float | None = Field(default=None, gt=0)
    length_sd_mm: float | None = Field(default=None, ge=0)
    notes: str
    source_id: str
    start_temperature_c: float | None = None
    conflicts_with: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = Field(min_length=1)

    def missing_inputs(self) -> tuple[str, ...]:
        """Inputs of a simulation this row does not give, nor vary in its statements."""
        varied = {name for statement in self.statements for name in statement.numerator}
        return tuple(name for name in INPUTS if getattr(self, name) is None and name not in varied)


@cache
def lesion_measurements() -> tuple[Measurement, ...]:
    """Every published measurement, in the order of the table.

    Raises:
        InputError: a row of the table and its statements do not fit each other.
    """
    meta = load_yaml("lesion_measurements.yaml")
    rows = list(_csv_rows())
    names = [row["id"] for row in rows]
    if len(set(names)) != len(names) or set(names) != set(meta):
        raise InputError(
            "rows and statements differ", where=CSV_FILE, found=sorted(set(names) ^ set(meta)) or names
        )
    return tuple(_measurement(row, meta[row["id"]], meta) for row in rows)


def measurement(id: str) -> Measurement:
    """One measurement; UnknownNameError lists the ids."""
    return pick({item.id: item for item in lesion_measurements()}, id, "measurement")


def _csv_rows() -> Iterator[dict[str, str]]:
    import csv

    with (DATA / CSV_FILE).open(encoding="utf-8", newline="") as stream:
        yield from csv.DictReader(stream)


def _measurement(row: Mapping[str, str], meta: Mapping[str, Any], known: Mapping[str, Any]) -> Measurement:
    where = f"{CSV_FILE}: {row['id']}"
    strangers = set(meta.get("conflicts_with", ())) - set(known)
    if strangers:
        raise InputError("conflicts with rows that are not there", where=where, found=sorted(strangers))
    filled = {COLUMNS.get(name, name): text for name, text in row.items() if text != ""}
    result = parse(Measurement, {**filled, **meta}, where)
    source(result.source_id)
    return result
