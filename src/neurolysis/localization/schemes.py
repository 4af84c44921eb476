"""Label schemes: what the numbers of a label map mean, and label maps read with theirs.

The schemes are data (``localization/data/label_schemes.yaml``). A number that its scheme lacks is an
error: a map read with the wrong scheme would put the treatment at the wrong level.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from neurolysis.case import LabelSource, Side
from neurolysis.errors import InputError
from neurolysis.evidence.store import load_yaml, pick
from neurolysis.geometry import Volume
from neurolysis.quantity import Value, parse

DATA = Path(__file__).parent / "data"
FILE = "label_schemes.yaml"

BoolArray = NDArray[np.bool_]


class LabelRecord(Value):
    """What one number of a scheme is.

    ``tissue`` is a tissue of the evidence base, ``air``, ``bone`` (split by CT number inside the label)
    or ``soft`` (air, fat or soft tissue by CT number, never bone). ``structure`` is the kind of
    structure at risk that the label is; ``fluid`` says that its inside is a liquid.
    """

    part: str = Field(min_length=1)
    side: Side | None = None
    level: str | None = None
    tissue: str = Field(min_length=1)
    structure: str | None = None
    fluid: bool = False

    @property
    def title(self) -> str:
        """What people read, for instance ``left transverse process``."""
        return " ".join(part for part in (self.side, self.part.replace("_", " "), self.level) if part)


class LabelScheme(Value):
    """A numbering of labels with its origin."""

    id: str
    title: str
    source: str
    labels: Mapping[int, LabelRecord]

    def levels(self) -> tuple[str, ...]:
        """Vertebrae this scheme can name."""
        return tuple(dict.fromkeys(r.level for r in self.labels.values() if r.level))


def scheme_names() -> tuple[str, ...]:
    """Every label scheme that can be read."""
    return tuple(_schemes())


def label_scheme(name: str) -> LabelScheme:
    """One scheme; UnknownNameError lists the schemes."""
    return pick(_schemes(), name, "label scheme")


class LabelMap(BaseModel):
    """A label volume with its scheme and where it comes from."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    source: LabelSource
    scheme: LabelScheme
    volume: Volume

    def values(self, **wanted: str | None) -> list[int]:
        """Numbers whose record has these fields, for instance ``part="arcus", side="left"``."""
        return [
            number
            for number, record in self.scheme.labels.items()
            if all(getattr(record, field) == value for field, value in wanted.items() if value is not None)
        ]


class Labels(BaseModel):
    """All label maps of a case, on one grid, asked by name instead of number."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    maps: tuple[LabelMap, ...] = ()

    def mask(self, part: str, side: Side | None = None, level: str | None = None) -> BoolArray | None:
        """Voxels of a part (on a side, at a vertebra), image-shaped; None when no map can say.

        A map of parts without levels and a map of vertebrae are combined: a voxel belongs to the
        part by the one and to the vertebra by the other.
        """
        found = [self._own_mask(m, part, side, level) for m in self.maps]
        known = [mask for mask in found if mask is not None]
        return np.logical_or.reduce(known) if known else None

    def level_mask(self, level: str) -> BoolArray | None:
        """Voxels of one vertebra; None when no map names levels."""
        named = [m for m in self.maps if m.scheme.levels()]
        masks = [np.isin(m.volume.array, m.values(part="vertebra", level=level)) for m in named]
        return np.logical_or.reduce(masks) if masks else None

    def levels(self) -> tuple[str, ...]:
        """Vertebrae that are in the labels, from the head down."""
        present = {
            record.level: _rank(record.level)
            for m in self.maps
            for number, record in m.scheme.labels.items()
            if record.level and record.part == "vertebra" and np.any(m.volume.array == number)
        }
        return tuple(sorted(present, key=lambda level: present[level]))

    def bone(self, grid: Volume) -> BoolArray:
        """Voxels of the image grid that any map calls bone."""
        bone = np.zeros(grid.shape, dtype=bool)
        for m in self.maps:
            bone |= np.isin(m.volume.array, m.values(tissue="bone"))
        return bone

    def reviewed(self) -> bool:
        """Whether every label map has been reviewed."""
        return bool(self.maps) and all(m.source.reviewed for m in self.maps)

    def _own_mask(self, m: LabelMap, part: str, side: Side | None, level: str | None) -> BoolArray | None:
        if level is not None and m.values(part=part, level=level):
            return np.isin(m.volume.array, m.values(part=part, side=side, level=level))
        numbers = m.values(part=part, side=side)
        if not numbers:
            return None
        mask = np.isin(m.volume.array, numbers)
        vertebra = None if level is None else self.level_mask(level)
        if level is not None and vertebra is None:
            return None
        return mask if vertebra is None else mask & vertebra


def read_label_map(source: LabelSource, volume: Volume) -> LabelMap:
    """A label volume joined with its scheme.

    Raises:
        UnknownNameError: the scheme is not known; lists the schemes.
        InputError: the map holds numbers the scheme does not name.
    """
    scheme = label_scheme(source.scheme)
    numbers = {int(number) for number in np.unique(volume.array)} - {0}
    unknown = sorted(numbers - set(scheme.labels))
    if unknown:
        raise InputError(
            f"label numbers that scheme '{scheme.id}' does not name",
            where=source.path,
            found=unknown[:12],
            allowed=f"{_ranges(scheme.labels)}, or another scheme: {', '.join(scheme_names())}",
        )
    return LabelMap(source=source, scheme=scheme, volume=volume)


def _rank(level: str) -> int:
    letter, number = level[:1], level[1:]
    return "CTLS".index(letter) * 100 + int(number) if number.isdigit() else 1000


def _ranges(numbers: Mapping[int, LabelRecord]) -> str:
    parts: list[list[int]] = []
    for number in sorted(numbers):
        if parts and number == parts[-1][1] + 1:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in parts)


@cache
def _schemes() -> Mapping[str, LabelScheme]:
    table = load_yaml(FILE, DATA)["schemes"]
    return MappingProxyType({name: _scheme(name, table) for name in table})


def _scheme(name: str, table: Mapping[str, Any]) -> LabelScheme:
    row = table[name]
    labels = dict(_all_labels(row))
    if "like" in row:
        labels = dict(_all_labels(table[row["like"]])) | labels
    data = {"id": name, "title": row["title"], "source": row["source"], "labels": labels}
    return parse(LabelScheme, data, f"{FILE}: {name}")


def _all_labels(row: Mapping[str, Any]) -> dict[int, dict[str, Any]]:
    """The labels of a scheme with those of its families (vertebra number plus an offset)."""
    labels = dict(row["labels"])
    for family in row.get("families", ()):
        extra = {key: value for key, value in family.items() if key != "offset"}
        vertebrae = [(n, record) for n, record in row["labels"].items() if record["part"] == "vertebra"]
        labels |= {n + family["offset"]: {**extra, "level": record["level"]} for n, record in vertebrae}
    return labels
