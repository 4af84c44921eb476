"""Which questionnaires there are, what may be shipped of each, and how its total reads."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from neurolysis.errors import InputError
from neurolysis.evidence.clinical import evidence_row
from neurolysis.evidence.store import ASSUMPTION, load_yaml, pick, sources
from neurolysis.quantity import Value, parse

DATA = Path(__file__).parent / "data"
FILE = "instruments.yaml"
EVIDENCE = "evidence"
"""Source field of an instrument whose figures are rows of the evidence base."""
ORDINAL = "http://hl7.org/fhir/StructureDefinition/ordinalValue"


class Band(Value):
    """A range of totals with what it was read to mean."""

    low: float
    high: float
    text: str


class CutOff(Value):
    """A cut-off as read, with its row of the evidence base."""

    at_least: float
    text: str
    row: str


class Alert(Value):
    """An item whose answer must be acted on at once, whatever the total."""

    item: str
    above: float
    text: str


class Instrument(Value):
    """One questionnaire. Without a ``form`` only its total may be typed in."""

    id: str
    title: str
    minimum: float
    maximum: float
    form: str | None = None
    missing: Literal["withhold", "not scored here"] = "not scored here"
    better: Literal["lower", "higher", "-"] = "-"
    bands: tuple[Band, ...] = ()
    cut_off: CutOff | None = None
    alert: Alert | None = None
    licence: str = Field(min_length=1)
    source: str = Field(min_length=1)
    rows: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _bands_fill_the_range(self) -> Self:
        if self.bands and (self.bands[0].low != self.minimum or self.bands[-1].high != self.maximum):
            raise ValueError("bands must begin and end with the range of totals")
        return self

    def band(self, total: float) -> str:
        """What was read for a total; between two whole-number bands the lower one still holds."""
        return next((b.text for b in reversed(self.bands) if total >= b.low), "")


def instruments() -> Mapping[str, Instrument]:
    """Every instrument by id."""
    return _instruments()


def instrument(id: str) -> Instrument:
    """One instrument; UnknownNameError lists the ids."""
    return pick(_instruments(), id, "questionnaire")


def form(id: str) -> dict[str, Any]:
    """The FHIR R4 Questionnaire of an instrument whose items are shipped.

    Raises:
        UnknownNameError: no such instrument.
        InputError: its items may not be shipped; says why.
    """
    item = instrument(id)
    if item.form is None:
        raise InputError(
            f"the items of {item.title} are not shipped: a total may be entered",
            found=item.licence,
            allowed=[name for name, one in _instruments().items() if one.form],
        )
    found: dict[str, Any] = json.loads((DATA / item.form).read_text("utf-8"))
    return found


def item_values(id: str) -> Mapping[str, tuple[float, ...]]:
    """Values that may be answered, by the item's link id, in order."""
    return {
        item["linkId"]: tuple(float(_ordinal(option)) for option in item["answerOption"])
        for item in form(id)["item"]
    }


def _ordinal(option: Mapping[str, Any]) -> float:
    extensions = option["valueCoding"]["extension"]
    return float(next(e["valueDecimal"] for e in extensions if e["url"] == ORDINAL))


@cache
def _instruments() -> Mapping[str, Instrument]:
    rows = load_yaml(FILE, DATA).items()
    found = {id: parse(Instrument, {"id": id, **row}, f"{FILE}: {id}") for id, row in rows}
    for item in found.values():
        _check(item)
    return MappingProxyType(found)


def _check(item: Instrument) -> None:
    where = f"{FILE}: {item.id}"
    if item.source != EVIDENCE and not item.source.startswith(ASSUMPTION) and item.source not in sources():
        raise InputError("unknown source", where=where, found=item.source)
    for id in (*item.rows, *([item.cut_off.row] if item.cut_off else [])):
        evidence_row(id)
