"""Texts on the page: names of sources in place of ids, units with powers, and the ids beside them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from neurolysis.app.demo import demo_case
from neurolysis.app.view_notices import notice_citations, shown
from neurolysis.app.view_sources import known_citations
from neurolysis.app.view_steps import step_data
from neurolysis.app.view_words import CITED, KEPT, cited_in, label, worded, words
from neurolysis.plan import Notice


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("half of the pain is back (EV186)", "half of the pain is back (Lord 1996)"),
        ("3.1 mm2 across, 2 W/m3", "3.1 mm² across, 2 W/m³"),
        ("at most 880 mL [F-14, F-15].", "at most 880 mL (Neal 2020)."),
        ("an id nobody knows (EV99999) stays", "an id nobody knows (EV99999) stays"),
        ("CO2, room mm21 and T12 (L3-4) stay", "CO2, room mm21 and T12 (L3-4) stay"),
    ],
)
def test_a_text_names_its_sources(text: str, says: str) -> None:
    assert words(text) == says


def test_a_range_stands_for_all_between() -> None:
    found = cited_in({"text": "in rats (D-01 to D-10)"})
    assert {id for ids in found.values() for id in ids} == {
        f"D-{n:02d}" for n in range(1, 11) if f"D-{n:02d}" in known_citations()
    }
    assert "D-" not in words("in rats (D-01 to D-10)")


def test_a_name_is_short_and_of_the_source_itself() -> None:
    for id, citation in known_citations().items():
        assert 0 < len(label(id)) <= 110
        first = re.match(r"\w+", label(id))
        assert first is not None
        assert first[0] in citation


def test_fields_that_are_no_text_stay() -> None:
    data = {"source": "(EV186)", "text": "(EV186)", "rows": [{"id": "EV186", "text": "4 mm2"}], "n": 3}
    assert worded(data) == {
        "source": "(EV186)", "text": " (Lord 1996)", "rows": [{"id": "EV186", "text": "4 mm²"}], "n": 3,
    }  # fmt: skip


def _texts(data: Any) -> list[str]:
    if isinstance(data, dict):
        return [text for name, item in data.items() if name not in KEPT for text in _texts(item)]
    if isinstance(data, list):
        return [text for item in data for text in _texts(item)]
    return [data] if isinstance(data, str) else []


@pytest.mark.parametrize("step", ["evaluation", "anesthesia", "aftercare"])
def test_no_step_sends_raw_ids_or_plain_units(step: str) -> None:
    found = step_data(demo_case(), step)
    for text in _texts(found):
        assert not CITED.search(text), text
        assert not re.search(r"\b[cm]m[23]\b", text), text
    for ids in found["cited"].values():
        assert set(ids) <= set(found["citations"])


def test_every_stop_says_where_it_comes_from() -> None:
    with_source = Notice(severity="stop", code="a", text="too much (EV186), 4 mm2", source="EV008")
    without = Notice(severity="stop", code="b", text="no plan yet")
    first, second = shown([with_source, without])
    assert (first.text, first.source) == ("too much (Lord 1996), 4 mm²", "EV008")
    assert second.source.startswith("assumption:")
    assert notice_citations([with_source, without]) == {
        id: known_citations()[id] for id in ("EV008", "EV186")
    }
