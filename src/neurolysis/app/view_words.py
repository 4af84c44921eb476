"""Texts as people read them on the page: names of sources in place of their ids, units as they are written.

Only texts are changed, never what a field names as its source: those ids stay for the page to link.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from neurolysis.app.view_sources import FIELDS, known_citations

IDS = r"(?:EV\d+|[A-Z]{1,3}-\d+)"
PART = rf"{IDS}(?: to {IDS})?"
CITED = re.compile(rf"\s*([\[(])({PART}(?:, {PART})*)(:[^\])]*)?[\])]")
"""Ids in brackets, alone or before a colon and a remark."""
UNIT = re.compile(r"(?<=[\d\s/(])([cmdk]?m)([23])(?![\w])")
POWERS = {"2": "²", "3": "³"}
YEAR = re.compile(r"\b((?:19|20)\d\d)\b")
NAME = r"([A-Z][a-z][\w'-]*)"
AUTHOR = re.compile(
    rf"^{NAME} [A-Z]{{1,3}}\b|\b{NAME} et al|^{NAME} (?:19|20)\d\d(?![;:\d])|\({NAME}(?:, [A-Z][a-z]+)+\)"
)
"""``Gokin AP``, ``Lord et al``, ``Neal 2020``, ``(Eisenberg, Carr, Chalmers)``; a journal is no author."""
LONGEST = 48
KEPT = {*FIELDS, "citations", "cited", "id", "hash", "row", "basis"}
"""Fields that are no text."""


def worded(data: Any) -> Any:
    """Plain data with its texts as people read them."""
    if isinstance(data, Mapping):
        return {name: item if name in KEPT else worded(item) for name, item in data.items()}
    if isinstance(data, list | tuple):
        return [worded(item) for item in data]
    return words(data) if isinstance(data, str) else data


def words(text: str) -> str:
    """One text: ``(EV008)`` becomes ``(Eisenberg: ...)``, ``mm2`` becomes ``mm²``; unknown ids stay."""
    named = CITED.sub(_named, text)
    return UNIT.sub(lambda found: found[1] + POWERS[found[2]], named)


def cited_in(data: Any) -> dict[str, list[str]]:
    """The ids of every source that the texts of ``data`` name in brackets, by the name they get."""
    found: dict[str, list[str]] = {}
    for text in _texts(data):
        for match in CITED.finditer(text):
            for id in _ids(match[2]):
                if id in known_citations() and id not in found.setdefault(label(id), []):
                    found[label(id)].append(id)
    return found


def label(id: str) -> str:
    """A source in few words: author and year where its citation names them, else how its title begins."""
    citation = known_citations()[id]
    author, year = AUTHOR.search(citation), YEAR.search(citation)
    if author:
        name = next(group for group in author.groups() if group)
        return f"{name} {year[1]}" if year else f"{name}: {_short(citation.split(' (')[0])}"
    return _short(citation)


def _short(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    return text[:LONGEST].rsplit(" ", 1)[0].rstrip(" ,;:(") + "…"


def _named(match: re.Match[str]) -> str:
    ids = list(_ids(match[2]))
    if any(id not in known_citations() for id in ids):
        return match[0]
    labels = "; ".join(dict.fromkeys(label(id) for id in ids))
    return f" ({labels}{match[3] or ''})"


def _ids(text: str) -> Iterator[str]:
    """The ids of ``D-01 to D-03, F-06``: the first two stand for all between them."""
    for part in text.split(", "):
        first, _, last = part.partition(" to ")
        yield first
        if last:
            head, begin = re.split(r"(?<=\D)(?=\d)", first)
            end = last[len(head) :]
            yield from (f"{head}{number:0{len(begin)}d}" for number in range(int(begin) + 1, int(end) + 1))


def _texts(data: Any) -> Iterator[str]:
    if isinstance(data, Mapping):
        for name, item in data.items():
            if name not in KEPT:
                yield from _texts(item)
    elif isinstance(data, list | tuple):
        for item in data:
            yield from _texts(item)
    elif isinstance(data, str):
        yield data
