"""The catalogue of painful conditions: their targets, the techniques listed for each, and cautions.

Listing a technique is no recommendation: the evidence base says what was found for it, and "none found"
where nothing was.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from pydantic import Field

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence import vocabulary
from neurolysis.evidence.clinical import evidence_row
from neurolysis.evidence.store import load_yaml, read_value
from neurolysis.evidence.vocabulary import known_id, plain
from neurolysis.nerve.targets import target_entry
from neurolysis.quantity import Value

DATA = Path(__file__).parent / "data"
FILE = "conditions.yaml"


class ConditionNote(Value):
    """What must be said beside the figures of a condition; ``rows`` are the rows of evidence it repeats."""

    text: str = Field(min_length=1)
    source: str = Field(min_length=1)
    rows: tuple[str, ...] = ()


class Condition(Value):
    """One painful condition.

    ``group`` is one of the groups of :func:`condition_groups`; ``targets`` and ``techniques`` (ids of
    modalities) are those listed for it, also where no evidence was found; ``evidence_names`` are its
    names in the evidence table. ``source`` is where targets and techniques come from.
    """

    id: str
    title: str
    plain_title: str
    group: str
    targets: tuple[str, ...] = Field(min_length=1)
    techniques: tuple[str, ...] = Field(min_length=1)
    evidence_names: tuple[str, ...] = ()
    notes: tuple[ConditionNote, ...] = ()
    source: str


def conditions() -> Mapping[str, Condition]:
    """Every condition by id, in the order of the file."""
    return _conditions()


def condition_ids() -> tuple[str, ...]:
    """Ids of every condition."""
    return tuple(_conditions())


def condition(name: str) -> Condition:
    """One condition by id, title or a name of the evidence table; UnknownNameError lists the ids."""
    return _conditions()[known_id(name, _names(), "condition", _conditions())]


def condition_groups() -> Mapping[str, str]:
    """Titles of the groups of conditions by id."""
    return MappingProxyType(dict(load_yaml(FILE, DATA)["groups"]))


def conditions_of_group(group: str) -> tuple[Condition, ...]:
    """The conditions of one group; UnknownNameError lists the groups."""
    if group not in condition_groups():
        raise UnknownNameError("unknown group of conditions", found=group, allowed=condition_groups())
    return tuple(entry for entry in _conditions().values() if entry.group == group)


def conditions_of_target(target: str) -> tuple[Condition, ...]:
    """The conditions that list a target; UnknownNameError lists the targets."""
    target_entry(target)
    return tuple(entry for entry in _conditions().values() if target in entry.targets)


@cache
def _names() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for entry in _conditions().values():
        for name in {plain(text) for text in (entry.id, entry.title, *entry.evidence_names)}:
            if name in found:
                raise InputError("a name stands for two conditions", where=FILE, found=name)
            found[name] = entry.id
    return MappingProxyType(found)


@cache
def _conditions() -> Mapping[str, Condition]:
    known = vocabulary.names().conditions
    rows: dict[str, Any] = load_yaml(FILE, DATA)["conditions"]
    if set(rows) != set(known):
        astray = sorted(set(rows) ^ set(known))
        raise InputError("conditions and the names of the evidence base differ", where=FILE, found=astray)
    return MappingProxyType({id: _read(id, row, known[id]) for id, row in rows.items()})


def _read(id: str, row: Mapping[str, Any], names: tuple[str, ...]) -> Condition:
    where = f"{FILE}: {id}"
    entry = read_value(Condition, {"id": id, "evidence_names": names, **row}, where)
    if entry.group not in condition_groups():
        raise UnknownNameError("unknown group", where=where, found=entry.group, allowed=condition_groups())
    for target in entry.targets:
        target_entry(target)
    for technique in entry.techniques:
        if vocabulary.modality(technique).kind != "treatment":
            raise InputError("a technique is a treatment", where=where, found=technique)
    for note in entry.notes:
        for name in note.rows:
            evidence_row(name)
    return entry
