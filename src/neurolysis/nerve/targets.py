"""What can be treated: the targets, what hangs on each, and which nerves of the catalogue belong to one.

Anatomy that no source was read for is an assumption and says so in its source field; pages show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

from pydantic import Field

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence import vocabulary
from neurolysis.evidence.store import ASSUMPTION, load_yaml, pick, read_value, source_text
from neurolysis.quantity import Value

DATA = Path(__file__).parent / "data"
FILE = "targets.yaml"

Motor = Literal["none", "some", "unknown"]


class TargetEntry(Value):
    """One target.

    ``paired`` None: it is treated on one side, on both, or in the midline. ``spinal_level`` says that it
    is named by a spinal level. ``motor`` is what muscles may lose, ``cell_bodies`` whether nerve cell
    bodies lie in it (None: not known): lost ones do not regenerate, so that regrowth does not apply.
    ``numb_areas`` and ``weak_areas`` are ids of the body map, without a side, with ``source`` for both;
    ``nerves`` are the ids of the nerve catalogue that belong to this target.
    """

    id: str
    title: str
    plain_title: str
    kind: Literal["plexus", "ganglion", "root", "peripheral nerve", "intraosseous nerve"]
    paired: bool | None
    spinal_level: bool = False
    motor: Motor
    motor_note: str = Field(min_length=1)
    motor_source: str = Field(min_length=1)
    cell_bodies: bool | None
    cell_bodies_note: str = Field(min_length=1)
    cell_bodies_source: str = Field(min_length=1)
    numb_areas: tuple[str, ...] = ()
    weak_areas: tuple[str, ...] = ()
    areas_note: str = Field(min_length=1)
    nerves: tuple[str, ...] = ()
    source: str = Field(min_length=1)

    @property
    def regrowth_applies(self) -> bool:
        """Whether rate times distance may be asked for: only where surely no cell bodies are lost."""
        return self.cell_bodies is False

    def assumptions(self) -> tuple[str, ...]:
        """What of this entry rests on no source, each as "subject: reason"."""
        named = (
            ("motor function", self.motor_source),
            ("nerve cell bodies", self.cell_bodies_source),
            ("areas", self.source),
        )
        return tuple(
            f"{subject}: {source.removeprefix(ASSUMPTION).strip()}"
            for subject, source in named
            if source.startswith(ASSUMPTION)
        )


def targets() -> Mapping[str, TargetEntry]:
    """Every target by id, in the order of the file."""
    return _targets()


def target_ids() -> tuple[str, ...]:
    """Ids of every target."""
    return tuple(_targets())


def target_entry(id: str) -> TargetEntry:
    """One target; UnknownNameError lists the ids."""
    return pick(_targets(), id, "target")


def target_of(id: str) -> TargetEntry:
    """The target that an id of a target or of a nerve of the catalogue belongs to.

    Raises:
        UnknownNameError: neither; lists both.
    """
    if id in _targets():
        return _targets()[id]
    by_nerve = _by_nerve()
    if id not in by_nerve:
        raise UnknownNameError("unknown target or nerve", found=id, allowed=[*_targets(), *by_nerve])
    return _targets()[by_nerve[id]]


@cache
def _by_nerve() -> Mapping[str, str]:
    return MappingProxyType({nerve: entry.id for entry in _targets().values() for nerve in entry.nerves})


@cache
def _targets() -> Mapping[str, TargetEntry]:
    known = vocabulary.names().targets
    found: dict[str, TargetEntry] = {}
    for id, row in load_yaml(FILE, DATA).items():
        where = f"{FILE}: {id}"
        entry = read_value(TargetEntry, {"id": id, **row}, where)
        for text in (entry.motor_source, entry.cell_bodies_source):
            source_text(text)
        found[id] = entry
    if set(found) != set(known):
        astray = sorted(set(found) ^ set(known))
        raise InputError("targets and the names of the evidence base differ", where=FILE, found=astray)
    return MappingProxyType(found)
