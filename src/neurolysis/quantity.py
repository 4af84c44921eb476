"""Values, units and records: the base of every noun.

A :class:`Value` is frozen, refuses unknown fields, and has one canonical JSON text (sorted keys,
shortest round-trip floats), so that equal values have equal hashes on every machine.
A :class:`Quantity` is a number with its spread, unit and source: the only way a constant may enter.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neurolysis.errors import FieldProblem, InputError

Basis = Literal["sourced", "computed", "assumption", "site"]
"""Where a number comes from: read in a source, computed from sourced numbers, a visible assumption
(no source was read), or entered by the site."""


class Value(BaseModel):
    """Frozen, validated base of all nouns; unknown fields are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def content_hash(self) -> str:
        """SHA-256 (hex) of the canonical JSON of this value."""
        return hashlib.sha256(self.canonical_json().encode()).hexdigest()

    def canonical_json(self) -> str:
        """One text for one value: sorted keys, no spaces, shortest round-trip floats."""
        return canonical_json(self.model_dump(mode="json"))

    def replace(self, **changes: Any) -> Self:
        """A validated copy with some fields changed."""
        return type(self).model_validate({**dict(self), **changes})


V = TypeVar("V", bound=Value)


def canonical_json(data: Any) -> str:
    """Canonical JSON of plain data; NaN and infinity are refused (ValueError)."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=False)


def parse(model: type[V], data: Any, where: str) -> V:
    """Validate plain data as ``model``; the error names file, field, what was found, what is allowed.

    Raises:
        InputError: listing every field that is wrong.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        fields = tuple(_problem(item, model) for item in error.errors())
        found = InputError("; ".join(map(_in_words, fields)), where=where)
        found.fields = fields
        raise found from error


def _problem(item: Any, model: type[BaseModel]) -> FieldProblem:
    path, kind = tuple(item["loc"]), item["type"]
    if kind == "extra_forbidden":
        allowed = ", ".join(_allowed_fields(model, path[:-1]))
        return FieldProblem(path, item["msg"], None, allowed)
    found = None if kind == "missing" else item["input"]
    if kind == "value_error":
        # A rule of the record's own: its words are whole, and a section as "found" would bury them.
        whole = isinstance(found, (Mapping, BaseModel))
        return FieldProblem(path, str(item["ctx"]["error"]), None if whole else found, "")
    return FieldProblem(path, item["msg"], found, _range_text(model, path))


def _in_words(field: FieldProblem) -> str:
    name = ".".join(str(part) for part in field.path) or "(top level)"
    parts = [] if field.found is None else [f"found: {_short(field.found)}"]
    if field.allowed:
        parts.append(f"allowed{'' if parts else ' here'}: {field.allowed}")
    return f"field '{name}': {field.problem}" + (f" ({'; '.join(parts)})" if parts else "")


BOUNDS = (("gt", "above"), ("ge", "from"), ("lt", "below"), ("le", "up to"))


def _range_text(model: Any, path: Sequence[str | int]) -> str:
    """The bounds of a number's field in words ("above 0, up to 60"); empty where it has none."""
    bounds: Sequence[Any] = ()
    for part in path:
        info = getattr(model, "model_fields", {}).get(part) if isinstance(part, str) else None
        if info is not None:
            model, bounds = _model_of(info.annotation), info.metadata
    said = ((word, getattr(bound, name, None)) for bound in bounds for name, word in BOUNDS)
    return ", ".join(f"{word} {value:g}" for word, value in said if isinstance(value, (int, float)))


def _short(found: object) -> str:
    text = repr(found)
    return text if len(text) <= 80 else text[:77] + "..."


def _allowed_fields(model: Any, path: Sequence[str | int]) -> list[str]:
    for part in path:
        fields = getattr(model, "model_fields", {})
        if part in fields:
            model = _model_of(fields[part].annotation)
    return sorted(getattr(model, "model_fields", {})) or ["see the published schema"]


def _model_of(annotation: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for part in getattr(annotation, "__args__", ()):
        found = _model_of(part)
        if found is not None:
            return found
    return None


class Quantity(Value):
    """A number with its unit, spread, conditions and source.

    ``low`` and ``high`` are the range uncertainty samples; ``standard_deviation`` is used where the
    source gives one. ``source`` is an id of the evidence base; an ``assumption`` carries the reason
    instead, and is shown wherever the number is used.
    """

    value: float
    unit: str
    low: float | None = None
    high: float | None = None
    standard_deviation: float | None = Field(default=None, ge=0)
    conditions: str = ""
    basis: Basis = "sourced"
    source: str = Field(min_length=1)

    @model_validator(mode="after")
    def _range_holds_value(self) -> Self:
        low = -math.inf if self.low is None else self.low
        high = math.inf if self.high is None else self.high
        if not low <= self.value <= high:
            raise ValueError(f"value {self.value} outside its own range [{low}, {high}]")
        return self

    def in_words(self) -> str:
        """Value and unit; a plain number has no unit to show."""
        return f"{self.value:g}" if self.unit == "1" else f"{self.value:g} {self.unit}"


class Timed(Value):
    """One number at one time, seconds from the start of the protocol."""

    time_s: float = Field(ge=0)
    value: float


def hash_file(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
