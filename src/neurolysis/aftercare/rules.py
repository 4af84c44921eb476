"""Rules of aftercare as data: what to watch, instructions, follow-up, alarms; each with its source."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from neurolysis.evidence.citing import known_source
from neurolysis.evidence.store import load_yaml
from neurolysis.evidence.vocabulary import modality
from neurolysis.nerve.targets import target_entry
from neurolysis.quantity import Quantity, Value, parse

DATA = Path(__file__).parent / "data"


class Advice(Value):
    """One line for staff or patient; empty ``modalities`` and ``targets`` hold everywhere."""

    id: str
    text: str = Field(min_length=1)
    source: str = Field(min_length=1)
    within: str = ""
    modalities: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    sedation: bool = False
    opioids: bool = False

    def applies(self, technique: str, group: str, *, sedation: bool, opioids: bool) -> bool:
        """Whether this line is for a procedure."""
        return (
            (not self.modalities or technique in self.modalities)
            and (not self.targets or group in self.targets)
            and (sedation or not self.sedation)
            and (opioids or not self.opioids)
        )


class Contact(Value):
    """One planned contact, days after the procedure."""

    id: str
    title: str
    day_from: int = Field(ge=0)
    day_to: int = Field(ge=0)
    how: Literal["phone", "visit"]
    what: str
    source: str


class Alarm(Value):
    """A limit of a vital sign."""

    id: str
    sign: Literal["systolic_change_percent", "oxygen_saturation_percent", "temperature_c"]
    above: float | None = None
    below: float | None = None
    level: Literal["watch", "alarm"]
    text: str
    source: str


@cache
def watch_list() -> tuple[Advice, ...]:
    """Everything the team may have to watch."""
    return _advice("watch.yaml", "items")


@cache
def instructions() -> tuple[Advice, ...]:
    """Everything a patient may be told."""
    return _advice("instructions.yaml", "instructions")


@cache
def patient_red_flags() -> tuple[Advice, ...]:
    """When a patient calls at once."""
    return _advice("instructions.yaml", "red_flags")


@cache
def contacts() -> tuple[Contact, ...]:
    """Every planned contact, in order."""
    rows = load_yaml("schedule.yaml", DATA)["contacts"]
    return tuple(_checked(Contact, row, "schedule.yaml") for row in rows)


@cache
def alarms() -> tuple[Alarm, ...]:
    """Limits of vital signs, alarms first."""
    found = [_checked(Alarm, row, "rules.yaml") for row in rules()["alarms"]]
    return tuple(sorted(found, key=lambda alarm: alarm.level != "alarm"))


@cache
def recurrence_rules() -> Mapping[str, Quantity]:
    """Numbers of the recurrence rule by name."""
    rows = rules()["recurrence"]
    return {name: _checked(Quantity, row, f"rules.yaml: {name}") for name, row in rows.items()}


def rules() -> Any:
    """The file of rules as plain data."""
    return load_yaml("rules.yaml", DATA)


def fitting(items: Iterable[Advice], technique: str, group: str, **which: bool) -> tuple[Advice, ...]:
    """The lines that are for a procedure, in order."""
    return tuple(item for item in items if item.applies(technique, group, **which))


def _advice(file: str, part: str) -> tuple[Advice, ...]:
    found = tuple(_checked(Advice, row, file) for row in load_yaml(file, DATA)[part])
    for item in found:
        for name in item.modalities:
            modality(name)
        for name in item.targets:
            target_entry(name)
    return found


def _checked(model: Any, row: Mapping[str, Any], where: str) -> Any:
    item = parse(model, row, f"{where}: {row.get('id', '')}")
    known_source(item.source, where)
    return item
