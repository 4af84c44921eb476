"""Local anaesthetics as data: binding, onset, duration, strengths that were read, and every printed limit."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.evidence.readings import Reading, reading
from neurolysis.evidence.store import load_yaml, pick
from neurolysis.quantity import Quantity, Value, parse

DATA = Path(__file__).parent / "data"
FILE = "agents.yaml"
IDEAL_MOST_KG = 70.0
"""The nomogram counts on ideal weight, at most this (E2-19)."""


class Cap(Value):
    """One printed dose limit, in mg of the drug; ``epinephrine`` None: it holds with and without.

    ``weight`` says which weight ``per_kg`` counts on: ``lower`` of actual and ideal, or ``ideal`` up to
    70 kg (the nomogram's rule). ``sites`` empty: all sites. ``per_day_mg`` and ``repeat_h`` are the day's
    limit and the shortest interval, where printed.
    """

    per_kg: float | None = Field(default=None, gt=0)
    absolute_mg: float | None = Field(default=None, gt=0)
    epinephrine: bool | None
    weight: Literal["lower", "ideal"] = "lower"
    sites: tuple[str, ...] = ()
    per_day_mg: float | None = Field(default=None, gt=0)
    repeat_h: float | None = Field(default=None, gt=0)
    readings: tuple[str, ...] = Field(min_length=1)
    who: str = Field(min_length=1)

    @model_validator(mode="after")
    def _limits_something(self) -> Self:
        if self.per_kg is None and self.absolute_mg is None:
            raise ValueError("a cap needs per_kg or absolute_mg")
        return self


class Strength(Value):
    """A strength that a source used or sells, in per cent, with its reading."""

    percent: float = Field(gt=0)
    reading: str


class FreeFraction(Value):
    """Unbound share in plasma as a source states it."""

    value: float = Field(gt=0, le=1)
    reading: str


class Agent(Value):
    """One local anaesthetic; names of readings stand where numbers would: see the properties."""

    id: str
    title: str
    other_names: tuple[str, ...] = ()
    kind: Literal["amide", "ester"] = Field(alias="class")
    binding: str | None = None
    free_fraction: FreeFraction | None = None
    onset: tuple[str, ...] = ()
    onset_epinephrine: tuple[str, ...] = ()
    duration: tuple[str, ...] = ()
    duration_epinephrine: tuple[str, ...] = ()
    strengths: tuple[Strength, ...] = ()
    caps: tuple[Cap, ...] = Field(min_length=1)
    toxic_total: tuple[str, ...] = ()
    toxic_free: tuple[str, ...] = ()

    def named_in(self, text: str) -> bool:
        """Whether a text names the agent, by any of its names, as a word of its own."""
        names = "|".join(map(re.escape, (self.id, *self.other_names)))
        return re.search(rf"\b({names})\b", text, re.IGNORECASE) is not None

    def unbound(self) -> Quantity | None:
        """Free share of the drug in plasma, 0 to 1; None where no binding was read."""
        if self.free_fraction is not None:
            row = reading(self.free_fraction.reading)
            return Quantity(
                value=self.free_fraction.value,
                unit="1",
                conditions=f"{row.what} [{row.id}]",
                source=row.source,
            )
        if self.binding is None:
            return None
        row = reading(self.binding)
        share = round(1 - 0.01 * row.middle(), 6)
        return Quantity(
            value=share,
            unit="1",
            basis="computed",
            conditions=f"1 - {row.what} [{row.id}]",
            source=row.source,
        )

    def toxic_level(self) -> tuple[Literal["free", "total"], Reading] | None:
        """The lowest plasma level that was read as toxic, of the free drug where one was read."""
        if self.toxic_free:
            return "free", min(map(reading, self.toxic_free), key=Reading.middle)
        if self.toxic_total:
            return "total", min(map(reading, self.toxic_total), key=lowest)
        return None

    def minutes(self, kind: Literal["onset", "duration"], *, epinephrine: bool) -> tuple[float, float] | None:
        """Range over every reading of onset or duration, minutes; None where nothing was read.

        With epinephrine its own readings count; where there are none, those without it stand.
        """
        own = getattr(self, f"{kind}_epinephrine") if epinephrine else ()
        rows = [reading(id) for id in own or getattr(self, kind)]
        if not rows:
            return None
        return min(map(lowest, rows)), max(map(highest, rows))


def lowest(row: Reading) -> float:
    """Lower end of what a reading prints."""
    return row.low if row.low is not None else row.middle()


def highest(row: Reading) -> float:
    """Upper end of what a reading prints."""
    return row.high if row.high is not None else row.middle()


@cache
def agents() -> Mapping[str, Agent]:
    """Every agent by id."""
    table = load_yaml(FILE, DATA)["agents"]
    found = {name: parse(Agent, {"id": name, **row}, f"{FILE}: {name}") for name, row in table.items()}
    for item in found.values():
        _check_readings(item)
    return MappingProxyType(found)


def agent(id: str) -> Agent:
    """One agent; UnknownNameError lists the ids."""
    return pick(agents(), id, "local anaesthetic")


def _check_readings(item: Agent) -> None:
    """Raise for a reading that the table does not hold."""
    named = [*item.onset, *item.onset_epinephrine, *item.duration, *item.duration_epinephrine]
    named += [*item.toxic_total, *item.toxic_free, *(strength.reading for strength in item.strengths)]
    named += [id for cap in item.caps for id in cap.readings]
    for id in named:
        reading(id)
