"""What a form needs beyond a field's own schema: named choices, and limits that hang on another field.

Both are plain JSON Schema (``oneOf`` with titles; ``if`` and ``then``): the published schemas say them too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

JsonSchema = dict[str, Any]


def choices(titles: Mapping[str, str]) -> JsonSchema:
    """A field's values with what people call them."""
    return {"oneOf": [{"const": value, "title": title} for value, title in titles.items()]}


def when(schema: JsonSchema, given: Mapping[str, Any], then: Mapping[str, JsonSchema]) -> JsonSchema:
    """One rule: where ``given`` fields have these values, others have these limits and must be there.

    A field whose default is the value asked for counts where it is left out. A field is required by the
    rule where ``then`` gives it a ``type``.
    """
    fields = schema["properties"]
    needed = [name for name, value in given.items() if fields[name].get("default") != value]
    return {
        "if": {"properties": {name: {"const": value} for name, value in given.items()}, "required": needed},
        "then": {
            "properties": dict(then),
            "required": [name for name, limits in then.items() if "type" in limits],
        },
    }


def needs(schema: JsonSchema, field: str, value: Any, *names: str) -> JsonSchema:
    """The numbers that must be given where ``field`` has this value."""
    return when(schema, {field: value}, {name: {"type": "number"} for name in names})
