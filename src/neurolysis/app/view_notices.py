"""Notices as the page shows them: each with where it comes from, or saying that nothing was read."""

from __future__ import annotations

from collections.abc import Iterable

from neurolysis.app.view_sources import citations_of
from neurolysis.app.view_words import cited_in, words
from neurolysis.evidence.store import ASSUMPTION
from neurolysis.plan import Notice

HOUSE_RULE = f"{ASSUMPTION} a rule of this program; no source was read for it"


def shown(notices: Iterable[Notice]) -> list[Notice]:
    """The notices with texts as people read them; one without a source says that it is an assumption."""
    return [one.replace(text=words(one.text), source=one.source or HOUSE_RULE) for one in notices]


def notice_citations(notices: Iterable[Notice]) -> dict[str, str]:
    """Citation by id, of every source that the notices or their texts name."""
    plain = [one.model_dump(mode="json") for one in notices]
    named = [id for ids in cited_in([one["text"] for one in plain]).values() for id in ids]
    parts = [part.strip() for one in plain for part in one["source"].replace(";", ",").split(",")]
    return citations_of({"sources": [*named, *parts]})
