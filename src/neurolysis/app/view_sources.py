"""The citations behind the source ids that an answer names, for a page to show in their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

FIELDS = ("source", "sources")
"""Fields of answers that hold a source id, or several."""


def citations_of(data: Any) -> dict[str, str]:
    """Citation by id, of every id that a ``source`` or ``sources`` field anywhere in ``data`` names.

    An id is that of a source, of a row of the evidence base, or of a reading. Texts that are no id, such
    as assumptions, need no entry.
    """
    known = known_citations()
    return {text: known[text] for text in sorted(set(_named(data))) if text in known}


def _named(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping):
        for name, item in data.items():
            if name in FIELDS:
                yield from _texts(item)
            else:
                yield from _named(item)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _named(item)


def _texts(item: Any) -> Iterator[str]:
    for text in item if isinstance(item, list | tuple) else (item,):
        if isinstance(text, str):
            yield text


@cache
def known_citations() -> Mapping[str, str]:
    """Citation by id: of sources, rows of the evidence base, and readings."""
    from neurolysis.evidence.clinical import evidence_rows
    from neurolysis.evidence.readings import readings
    from neurolysis.evidence.store import sources

    cited = {name: one.citation for name, one in sources().items()}
    rows = {row.id: cited[row.source] for row in evidence_rows()}
    read = {name: cited[one.source] for name, one in readings().items()}
    return {**cited, **rows, **read}
