"""Readings on agents, anaesthetics, light, surgery and nerve injury: what was read, row by row.

Each table of ``reading_tables.yaml`` is the notes' own file, byte for byte. A value is a number where the
source prints one, else the text as it stands ("0.364 / 0.344", "qualitative"): never a number made of it.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from neurolysis.errors import InputError
from neurolysis.evidence.store import DATA, load_yaml, pick, sources
from neurolysis.quantity import Quantity, Value

FILE = "injection_readings.csv"
COLUMNS = ("id", "source", "what", "value", "low", "high", "unit", "conditions")


class Reading(Value):
    """One row: ``number`` is the printed value where it is one number, ``text`` always what was printed."""

    id: str
    what: str
    text: str
    number: float | None
    low: float | None
    high: float | None
    unit: str
    conditions: str
    source: str

    def quantity(self) -> Quantity:
        """The row as a sourced number with its printed range.

        Raises:
            InputError: the row prints no single number, or its range does not hold it.
        """
        if self.number is None:
            raise InputError("this reading is not one number", where=f"reading {self.id}", found=self.text)
        inside = all(
            bound is None or sign * bound >= sign * self.number
            for bound, sign in ((self.low, -1), (self.high, 1))
        )
        return Quantity(
            value=self.number,
            unit=self.unit,
            low=self.low if inside else None,
            high=self.high if inside else None,
            conditions=f"{self.what}; {self.conditions} [{self.id}]",
            source=self.source,
        )

    def middle(self) -> float:
        """The number, or the middle of the printed range where only that is given.

        Raises:
            InputError: neither is there.
        """
        if self.number is not None:
            return self.number
        if self.low is None or self.high is None:
            raise InputError("this reading has neither a number nor a range", where=f"reading {self.id}")
        return 0.5 * (self.low + self.high)


def tables() -> Mapping[str, str]:
    """Tables by file name, each with what the ids of its sources begin with; no id stands in two tables."""
    return MappingProxyType(load_yaml("reading_tables.yaml"))


@cache
def readings() -> Mapping[str, Reading]:
    """Every row by id.

    Raises:
        InputError: another head, an id given twice, a row without a known source, a bound that is no
            number, or low above high.
    """
    found: dict[str, Reading] = {}
    for file in tables():
        rows = read_table((DATA / file).read_text(encoding="utf-8"), file)
        if twice := sorted(found.keys() & rows.keys()):
            raise InputError("an id is given twice", where=file, found=twice)
        found |= rows
    return MappingProxyType(found)


def read_table(text: str, file: str = FILE) -> Mapping[str, Reading]:
    """Rows of a table of the name and format of one of :func:`tables`; errors as in :func:`readings`."""
    rows = csv.DictReader(text.splitlines())
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise InputError("wrong columns", where=file, found=rows.fieldnames, allowed=COLUMNS)
    found: dict[str, Reading] = {}
    for row in rows:
        reading = _reading(row, file)
        if reading.id in found:
            raise InputError("an id is given twice", where=file, found=reading.id)
        found[reading.id] = reading
    return MappingProxyType(found)


def reading(id: str) -> Reading:
    """One row; UnknownNameError lists the ids."""
    return pick(readings(), id, "reading")


def _reading(row: Mapping[str, str], file: str) -> Reading:
    where = f"{file}: {row['id']}"
    text = row["value"].strip()
    low, high = _bound(row["low"], where), _bound(row["high"], where)
    if low is not None and high is not None and low > high:
        raise InputError("low is above high", where=where, found=f"{low:g} > {high:g}")
    known = _source_ids(tables()[file])
    if row["source"] not in known:
        raise InputError("a row needs a source that was read", where=where, found=row["source"] or "nothing")
    return Reading(
        id=row["id"],
        what=row["what"],
        text=text,
        number=_number(text),
        low=low,
        high=high,
        unit=row["unit"],
        conditions=row["conditions"],
        source=known[row["source"]],
    )


def _bound(text: str, where: str) -> float | None:
    if not text.strip():
        return None
    number = _number(text)
    if number is None:
        raise InputError("a bound is a number", where=where, found=text)
    return number


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@cache
def _source_ids(prefix: str) -> Mapping[str, str]:
    """Source ids by the text that a table prints: citation and, where there is one, address."""
    known = (s for s in sources().values() if s.id.startswith(prefix))
    return {f"{s.citation} | {s.url}" if s.url else s.citation: s.id for s in known}
