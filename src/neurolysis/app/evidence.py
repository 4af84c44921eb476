"""Asking the evidence base: the rows that fit, their sources, and the cells where nothing was found."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from neurolysis.errors import UnknownNameError
from neurolysis.evidence import vocabulary
from neurolysis.evidence.clinical import EvidenceRow, evidence_rows, find_evidence
from neurolysis.evidence.store import evidence_version, source, source_text
from neurolysis.nerve.conditions import (
    Condition,
    condition_groups,
    condition_ids,
    conditions,
    conditions_of_group,
    conditions_of_target,
)
from neurolysis.nerve.conditions import condition as catalogue_condition
from neurolysis.nerve.targets import target_of

NONE_FOUND = "none found"
STATEMENT = (
    "Figures stand as they were read, most of them in an abstract or a table; before one reaches a patient, "
    "a clinician should open the paper. A high confidence says that the number was well transcribed, not "
    "that the treatment works."
)


@dataclass(frozen=True)
class Cell:
    """One condition and one modality: the rows found, and those where it stands together with others."""

    condition: str
    modality: str
    rows: tuple[str, ...]
    together: tuple[str, ...]

    @property
    def text(self) -> str:
        """How many figures there are, or "none found"."""
        if self.rows:
            return f"{len(self.rows)} {_plural('figure', self.rows)}"
        if self.together:
            shared = f"{len(self.together)} {_plural('figure', self.together)}"
            return f"{NONE_FOUND} alone ({shared} of several treatments together)"
        return NONE_FOUND


@dataclass(frozen=True)
class EvidenceFound:
    """What was asked, the rows that fit, and the conditions they were looked up for."""

    asked: dict[str, str | float]
    rows: tuple[EvidenceRow, ...]
    conditions: tuple[Condition, ...]
    cells: tuple[Cell, ...]

    def data(self) -> dict[str, Any]:
        """Everything as plain data, with the sources of the rows and the cautions of the conditions."""
        return {
            "asked": self.asked,
            "evidence_version": evidence_version(),
            "statement": STATEMENT,
            "found": len(self.rows),
            "conditions": [_condition_data(entry) for entry in self.conditions],
            "cells": [
                {"condition": c.condition, "modality": c.modality, "text": c.text,
                 "rows": list(c.rows), "together": list(c.together)}
                for c in self.cells
            ],
            "rows": [row.model_dump(mode="json") for row in self.rows],
            "sources": {id: source(id).model_dump(mode="json") for id in self.source_ids()},
        }  # fmt: skip

    def source_ids(self) -> tuple[str, ...]:
        """The sources of the rows, each once, in the order of the rows."""
        return tuple(dict.fromkeys(row.source for row in self.rows))


def evidence(
    condition: str | None = None,
    target: str | None = None,
    modality: str | None = None,
    outcome: str | None = None,
    months: float | None = None,
) -> EvidenceFound:
    """Look up the evidence base.

    Args:
        condition: a condition by id, title or its name in the table; a group of conditions; or another
            condition or rule of the table ("spasticity", "rule:coagulation").
        target: id of a target, or of a nerve of the catalogue.
        modality: a treatment or comparator by id, title or other name.
        outcome: a family of outcomes, or the table's own name of an outcome.
        months: exactly this time point.

    Raises:
        UnknownNameError: a name is unknown; lists what is known.
    """
    names = _condition_names(condition)
    wanted = target_of(target).id if target else None
    rows = tuple(
        row
        for name in names
        for row in find_evidence(
            condition=name, target=wanted, modality=modality, outcome=outcome, months=months
        )
    )
    found = _in_order(rows)
    listed = _listed(names, wanted, found)
    asked = {"condition": condition, "target": target, "modality": modality, "outcome": outcome}
    return EvidenceFound(
        asked={
            **{name: value for name, value in asked.items() if value},
            **({} if months is None else {"months": months}),
        },
        rows=found,
        conditions=listed,
        cells=tuple(_cells(listed, found, modality)),
    )


def _condition_names(condition: str | None) -> tuple[str | None, ...]:
    """Names to ask for one after another: one, those of a group, or None for everything."""
    if condition is None:
        return (None,)
    plain = vocabulary.plain(condition)
    if plain in condition_groups():
        return tuple(entry.id for entry in conditions_of_group(plain))
    printed = {vocabulary.plain(row.condition): row.condition for row in evidence_rows()}
    try:
        return (catalogue_condition(condition).id,)
    except UnknownNameError as error:
        if plain in printed:
            return (printed[plain],)
        outside = sorted(name for name in printed.values() if not _in_catalogue(name))
        allowed = [*condition_ids(), *condition_groups(), *outside]
        raise UnknownNameError("unknown condition", found=condition, allowed=allowed) from error


def _in_catalogue(name: str) -> bool:
    return any(name in entry.evidence_names for entry in conditions().values())


def _in_order(rows: Iterable[EvidenceRow]) -> tuple[EvidenceRow, ...]:
    wanted = {row.id for row in rows}
    return tuple(row for row in evidence_rows() if row.id in wanted)


def _listed(
    names: tuple[str | None, ...], target: str | None, rows: tuple[EvidenceRow, ...]
) -> tuple[Condition, ...]:
    """The conditions of the catalogue that the question is about."""
    if names != (None,):
        return tuple(entry for id, entry in conditions().items() if id in names)
    if target is not None:
        used = {name for row in rows for name in row.conditions}
        listing = {entry.id for entry in conditions_of_target(target)}
        return tuple(entry for entry in conditions().values() if entry.id in used | listing)
    return tuple(conditions().values())


def _cells(
    listed: tuple[Condition, ...], rows: tuple[EvidenceRow, ...], modality: str | None
) -> Iterable[Cell]:
    for entry in listed:
        own = [row for row in rows if entry.id in row.conditions and row.arm != "comparator"]
        asked = (vocabulary.modality_id(modality),) if modality else _modalities(entry, own)
        for name in asked:
            of_it = [row for row in own if name in row.modalities]
            yield Cell(
                condition=entry.id,
                modality=name,
                rows=tuple(row.id for row in of_it if not row.several),
                together=tuple(row.id for row in of_it if row.several),
            )


def _modalities(entry: Condition, rows: list[EvidenceRow]) -> tuple[str, ...]:
    """The techniques listed for a condition, and other treatments that its rows are about."""
    used = dict.fromkeys(name for row in rows for name in row.modalities)
    others = [name for name in used if vocabulary.modality(name).kind == "treatment"]
    return tuple(dict.fromkeys((*entry.techniques, *others)))


def _condition_data(entry: Condition) -> dict[str, Any]:
    return {
        "id": entry.id,
        "title": entry.title,
        "targets": list(entry.targets),
        "notes": [
            {"text": note.text, "rows": list(note.rows), "source": source_text(note.source)}
            for note in entry.notes
        ],
    }


def _plural(word: str, items: tuple[str, ...]) -> str:
    return word if len(items) == 1 else f"{word}s"
