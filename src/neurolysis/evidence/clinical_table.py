"""The clinical evidence table as printed: one row a figure, each with the source it was read in.

``clinical_evidence.csv`` is the reference notes' own file, byte for byte; a row must name one of the
sources of ``clinical_sources.yaml`` by title, year, identifier and address, exactly.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from pydantic import Field

from neurolysis.errors import InputError
from neurolysis.evidence.store import DATA, load_yaml
from neurolysis.quantity import Value, parse

FILE = "clinical_evidence.csv"
SOURCE_FILE = "clinical_sources.yaml"
CONFIDENCE_LEVELS = ("high", "moderate", "low")
COLUMNS = (
    "id", "condition", "target_nerve", "modality", "outcome", "timepoint_months", "value", "low", "high",
    "unit", "n", "definition", "source_title", "source_year", "doi_or_pmid", "address", "confidence",
)  # fmt: skip
REQUIRED = ("id", "condition", "outcome", "unit", "definition", "confidence")


class PrintedRow(Value):
    """One row of the table, typed; ``source`` is the id of the source it names."""

    id: str = Field(pattern=r"^EV\d{3,}$")
    condition: str = Field(min_length=1)
    target: str
    modality: str
    outcome: str = Field(min_length=1)
    timepoint_months: float | None = Field(default=None, ge=0)
    value: float | None = None
    low: float | None = None
    high: float | None = None
    unit: str = Field(min_length=1)
    n: int | None = Field(default=None, gt=0)
    definition: str = Field(min_length=1)
    source: str
    confidence: str
    confidence_note: str = Field(min_length=1)


@cache
def printed_rows() -> Mapping[str, PrintedRow]:
    """Every row of the shipped table by id; errors as in :func:`read_table`."""
    with (DATA / FILE).open(encoding="utf-8", newline="") as stream:
        return read_table(stream.read())


def read_table(text: str) -> Mapping[str, PrintedRow]:
    """Rows of a table in the format of ``clinical_evidence.csv``.

    Raises:
        InputError: another head, an id given twice, a row without a source that was read, a cell that
            is no number, no figure at all, low above high, a value outside its interval, a percentage
            that cannot be, or a confidence that is not "level: reason".
    """
    rows = csv.DictReader(text.splitlines())
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise InputError("wrong columns", where=FILE, found=rows.fieldnames, allowed=COLUMNS)
    found: dict[str, PrintedRow] = {}
    for number, row in enumerate(rows, start=2):
        where = f"{FILE}: {row['id'] or f'line {number}'}"
        printed = _row(row, where)
        if printed.id in found:
            raise InputError("an id is given twice", where=where, found=printed.id)
        found[printed.id] = printed
    return MappingProxyType(found)


def _row(row: Mapping[str, str], where: str) -> PrintedRow:
    if None in row.values() or None in row:
        raise InputError("wrong number of cells", where=where, allowed=str(len(COLUMNS)))
    for name in REQUIRED:
        if not row[name].strip():
            raise InputError(f"column '{name}' is empty", where=where)
    level, note = _confidence(row["confidence"], where)
    data = {
        **{name: row[name] for name in ("id", "condition", "modality", "outcome", "unit", "definition")},
        **{name: _number(row[name], name, where) for name in ("timepoint_months", "value", "low", "high")},
        "target": row["target_nerve"],
        "n": _count(row["n"], where),
        "source": _source_id(row, where),
        "confidence": level,
        "confidence_note": note,
    }
    printed = parse(PrintedRow, data, where)
    _check_figures(printed, where)
    return printed


def _check_figures(row: PrintedRow, where: str) -> None:
    figures = [figure for figure in (row.low, row.value, row.high) if figure is not None]
    if not figures:
        raise InputError("a row needs a value or a bound", where=where)
    if figures != sorted(figures):
        raise InputError("low, value and high are out of order", where=where, found=figures)
    if row.unit == "percent" and not all(0 <= figure <= 100 for figure in figures):
        raise InputError("a percentage outside 0 to 100", where=where, found=figures)


def _number(text: str, name: str, where: str) -> float | None:
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"column '{name}' is not a number", where=where, found=text)
    return number


def _count(text: str, where: str) -> int | None:
    number = _number(text, "n", where)
    if number is not None and (number != int(number) or number < 1):
        raise InputError("column 'n' is not a count", where=where, found=text)
    return None if number is None else int(number)


def _confidence(text: str, where: str) -> tuple[str, str]:
    level, _, note = text.partition(":")
    if level not in CONFIDENCE_LEVELS or not note.strip():
        allowed = " or ".join(f"'{name}: reason'" for name in CONFIDENCE_LEVELS)
        raise InputError("a confidence is a level and its reason", where=where, found=text, allowed=allowed)
    return level, note.strip()


def _source_id(row: Mapping[str, str], where: str) -> str:
    printed = tuple(row[name] for name in ("source_title", "source_year", "doi_or_pmid", "address"))
    id = _printed_sources().get(printed)
    if id is None:
        shown = " | ".join(text for text in printed if text.strip()) or "nothing"
        raise InputError("a row needs a source that was read", where=where, found=shown)
    return id


@cache
def _printed_sources() -> Mapping[tuple[str, ...], str]:
    """Source ids by the four texts that the table prints."""
    fields = ("citation", "year", "identifier", "url")
    return {tuple(row[name] for name in fields): id for id, row in load_yaml(SOURCE_FILE).items()}
