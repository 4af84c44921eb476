"""The names evidence is asked by: conditions, targets, treatments and comparators, families of outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Literal, TypeVar

from pydantic import Field

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.store import load_yaml, pick
from neurolysis.quantity import Value, parse

MODALITY_FILE = "modalities.yaml"
FAMILY_FILE = "outcome_families.yaml"
NAME_FILE = "clinical_names.yaml"

FamilyKind = Literal["benefit", "duration", "medication", "function", "survival", "harm", "rule", "other"]
M = TypeVar("M", bound=Value)


class Modality(Value):
    """What patients were given: a treatment of this program, or what it was compared with.

    ``covers`` lists treatments that this wider name may stand for; a row under the wider name is no
    figure of one of them. ``technique`` is the registered technique that plans it, where there is one.
    """

    id: str
    title: str
    plain_title: str
    kind: Literal["treatment", "comparator"]
    family: str
    covers: tuple[str, ...] = ()
    names: tuple[str, ...] = ()
    technique: str = ""


class OutcomeFamily(Value):
    """A family of outcomes; ``better`` is the direction that is good, "-" where the number cannot say."""

    id: str
    title: str
    kind: FamilyKind
    better: Literal["higher", "lower", "-"]


class NameList(Value):
    """Ids of conditions (with the table's own names of each) and of targets."""

    conditions: dict[str, tuple[str, ...]]
    outside_the_catalogue: tuple[str, ...]
    targets: tuple[str, ...] = Field(min_length=1)


@cache
def modalities() -> Mapping[str, Modality]:
    """Every treatment and comparator by id."""
    found = _table(MODALITY_FILE, Modality)
    for entry in found.values():
        unknown = set(entry.covers) - set(found)
        if unknown:
            raise InputError("covers an unknown modality", where=entry.id, found=sorted(unknown))
    return found


def modality(name: str) -> Modality:
    """One modality by id, title or other name; UnknownNameError lists the ids."""
    return modalities()[modality_id(name)]


def modality_id(name: str) -> str:
    """The id of a modality given by id, title or another of its names."""
    return known_id(name, _modality_names(), "modality", modalities())


def wider_modalities(id: str) -> tuple[str, ...]:
    """Modalities whose wider name may include this one, for instance "agent not named" for an agent."""
    pick(modalities(), id, "modality")
    return tuple(name for name, entry in modalities().items() if id in entry.covers)


@cache
def families() -> Mapping[str, OutcomeFamily]:
    """Every family of outcomes by id."""
    return _table(FAMILY_FILE, OutcomeFamily)


def family(id: str) -> OutcomeFamily:
    """One family; UnknownNameError lists the ids."""
    return pick(families(), id, "outcome family")


def families_of_kind(kind: FamilyKind) -> tuple[str, ...]:
    """Ids of the families of one kind, in the order of the file."""
    return tuple(name for name, entry in families().items() if entry.kind == kind)


@cache
def names() -> NameList:
    """The conditions and targets that evidence can be asked about."""
    return parse(NameList, load_yaml(NAME_FILE), NAME_FILE)


def known_id(name: str, table: Mapping[str, str], what: str, allowed: Iterable[str]) -> str:
    """``table[name]`` whatever the case, spaces and hyphens of the name.

    Raises:
        UnknownNameError: listing ``allowed``.
    """
    found = table.get(plain(name))
    if found is None:
        raise UnknownNameError(f"unknown {what}", found=name, allowed=sorted(allowed))
    return found


def plain(name: str) -> str:
    """A name without its case, spaces and hyphens: the form names are compared in."""
    return name.strip().casefold().replace(" ", "_").replace("-", "_")


@cache
def _modality_names() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for entry in modalities().values():
        for name in {plain(text) for text in (entry.id, entry.title, *entry.names)}:
            if name in found:
                raise InputError("a name stands for two modalities", where=MODALITY_FILE, found=name)
            found[name] = entry.id
    return MappingProxyType(found)


def _table(file: str, model: type[M]) -> Mapping[str, M]:
    rows = load_yaml(file).items()
    return MappingProxyType({id: parse(model, {"id": id, **row}, f"{file}: {id}") for id, row in rows})
