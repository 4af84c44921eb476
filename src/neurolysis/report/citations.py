"""The sources a result rests on, numbered, so that tables can cite them briefly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from neurolysis.evidence.store import ASSUMPTION, source, sources
from neurolysis.planning.result import PlanResult
from neurolysis.quantity import Quantity
from neurolysis.report.document import Table

CONFIDENCE = {"V": "read", "C": "computed from what was read", "definition": "a definition, not a finding"}

ID = re.compile(r"[a-z][a-z0-9]*(?:_[a-z0-9]+)+")
"""How a source id looks inside a text."""
TEXTS = {"source", "selectivity_note", "reason", "rule"}
"""Fields whose text may name sources, beside those whose name ends in ``_source``."""


@dataclass(frozen=True)
class Citations:
    """Source ids with their numbers, from 1."""

    numbers: Mapping[str, int]

    @classmethod
    def of(cls, result: PlanResult) -> Citations:
        """Every source named anywhere in a result, in the order a reader meets them."""
        scene, exposure = result.scene, result.exposure
        shown = [name for name in scene.tissues.names if name in scene.properties and exposure.has_grid]
        parts: list[Any] = [
            result.notices, [item for _, item in result.assumptions], result.injury, exposure.criteria,
            exposure.model_errors, exposure.notices, result.plan, scene.nerves,
            [structure.limits for structure in scene.structures if exposure.has_grid],
            [scene.properties[name] for name in dict.fromkeys(shown)],
        ]  # fmt: skip
        known = sources()
        found = [word for text in _source_texts(parts) for word in ID.findall(text) if word in known]
        found += [name for table in exposure.tables for name in table.sources if name in known]
        found += [name for name in (result.quadrants.sources if result.quadrants else ()) if name in known]
        return cls({name: k for k, name in enumerate(dict.fromkeys(found), start=1)})

    def cite(self, text: str) -> str:
        """``[3]`` for a source id, ``assumed`` for an assumption, other texts as they are.

        A text may hold several ids, and ids may stand inside a sentence.
        """
        if text.startswith(ASSUMPTION):
            return "assumed"
        words = _ids(text)
        if words and all(word in self.numbers for word in words):
            return "".join(f"[{self.numbers[word]}]" for word in dict.fromkeys(words))
        return self.numbered(text)

    def numbered(self, text: str) -> str:
        """A sentence in which the number of every known id stands for the id."""
        found = ID.sub(lambda m: f"[{self.numbers[m[0]]}]" if m[0] in self.numbers else m[0], text)
        return re.sub(r"\((\[\d+\])\)", r"\1", found)

    def cite_quantities(self, items: Iterable[Quantity]) -> str:
        """The sources of several numbers together, each once."""
        cited = dict.fromkeys(self.cite(item.source) for item in items if item.basis != "assumption")
        return " ".join(cited)

    def table(self) -> Table:
        """The list of sources."""
        rows = []
        for name, number in self.numbers.items():
            item = source(name)
            link = f"doi:{item.doi}" if item.doi else item.url
            rows.append((f"[{number}]", item.citation, link, CONFIDENCE[item.confidence]))
        return Table(
            "Read, or computed from what was read",
            ("No.", "Source", "Where", "How it was used"),
            tuple(rows),
            weights=(0, 5, 3, 1.6),
            note="Sources were read as abstracts, manual pages or repository files, not as full papers, "
            "unless their record says so.",
        )


def _ids(text: str) -> list[str]:
    return [] if text.startswith(ASSUMPTION) else [word for word in re.split(r"[;,\s]+", text) if word]


def _source_texts(value: Any) -> Iterator[str]:
    """Every text that may name a source, wherever it stands in nested values."""
    if isinstance(value, BaseModel):
        for name in type(value).model_fields:
            item = getattr(value, name)
            if isinstance(item, str):
                if name in TEXTS or name.endswith("_source"):
                    yield item
            else:
                yield from _source_texts(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _source_texts(item)
    elif isinstance(value, tuple | list):
        for item in value:
            yield from _source_texts(item)
