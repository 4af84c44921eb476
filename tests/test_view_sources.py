"""The citations a page shows in place of source ids."""

from __future__ import annotations

from neurolysis.app.demo import demo_case
from neurolysis.app.view_sources import citations_of
from neurolysis.app.view_steps import step_data
from neurolysis.evidence.clinical import evidence_rows
from neurolysis.evidence.readings import reading
from neurolysis.evidence.store import source


def test_ids_are_found_wherever_they_stand_and_other_texts_are_left() -> None:
    row = evidence_rows()[0]
    data = {
        "a": [{"source": "asipp_2020_report"}, {"deep": {"sources": ["F-10", "assumption: none"]}}],
        "b": ({"source": row.id},),
        "source": None,
        "text": "lord_acpjc_1997",
    }
    assert citations_of(data) == {
        "asipp_2020_report": source("asipp_2020_report").citation,
        "F-10": source(reading("F-10").source).citation,
        row.id: source(row.source).citation,
    }
    assert citations_of({"source": "nobody_wrote_this"}) == {}


def test_a_step_brings_the_citation_of_every_id_it_names() -> None:
    found = step_data(demo_case(), "evaluation")
    named = {reason["source"] for cause in found["causes"] for reason in cause["reasons"]}
    ids = {text for text in named if not text.startswith("assumption:")}
    assert ids
    assert ids <= found["citations"].keys()
    assert all(found["citations"][one] != one for one in ids)
