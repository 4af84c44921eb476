"""The report: both files come out whole, say what they must, and show user text as text."""

from __future__ import annotations

import dataclasses
import itertools
import re
import shutil
import subprocess
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from neurolysis.approval import DRAFT, RESEARCH_USE, Override, approve
from neurolysis.case import Case
from neurolysis.errors import OutputError, UnknownNameError
from neurolysis.evidence.instruments import instrument, instrument_ids
from neurolysis.nerve.injury import assess
from neurolysis.plan import Notice
from neurolysis.planning.result import PlanResult
from neurolysis.report.build import make_document, write_report
from neurolysis.report.citations import Citations
from neurolysis.report.document import Document, FigureRow, Table
from neurolysis.report.html import page
from neurolysis.report.pdf import typeset

from .report_sample import NASTY, NOTICES, TISSUES, make_result, warm


@pytest.fixture(scope="module")
def result() -> PlanResult:
    return make_result()


@pytest.fixture(scope="module")
def document(result: PlanResult) -> Document:
    return make_document(result, warm())


@pytest.fixture(scope="module")
def html(document: Document) -> str:
    return page(document)


class Reader(HTMLParser):
    """Collects tags, their links, ids and all text of a page."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.handlers: list[str] = []
        self.words: list[str] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name in {"src", "href", "xlink:href", "action", "data"}:
                self.links.append(value or "")
            if name == "id":
                self.ids.append(value or "")
            if name.startswith("on"):
                self.handlers.append(name)

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).replace("\u00a0", " ").split())


def pdf_pages(content: bytes, folder: Path) -> list[str]:
    """Text of each page of a PDF."""
    program = shutil.which("pdftotext")
    if program is None:
        pytest.skip("needs pdftotext")
    file = folder / "seen.pdf"
    file.write_bytes(content)
    done = subprocess.run([program, "-layout", str(file), "-"], capture_output=True, text=True, check=True)
    return [" ".join(text.replace("\u00a0", " ").split()) for text in done.stdout.split("\f")[:-1]]


# ---------------------------------------------------------------- the files


def test_both_files_are_written_and_small(result: PlanResult, tmp_path: Path) -> None:
    files = write_report(result, tmp_path, warm())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["report.html", "report.pdf"]
    assert files.pdf.read_bytes().startswith(b"%PDF-")
    assert 50_000 < files.html.stat().st_size < 3_000_000
    assert files.pdf.stat().st_size < 3_000_000


def test_the_same_result_gives_the_same_bytes(result: PlanResult, document: Document, html: str) -> None:
    again = make_document(result, warm())
    assert page(again) == html
    assert typeset(again) == typeset(document)


def test_a_file_that_cannot_be_written_leaves_nothing(result: PlanResult, tmp_path: Path) -> None:
    (tmp_path / "report.pdf").mkdir()
    with pytest.raises(OutputError, match="cannot write the report"):
        write_report(result, tmp_path, warm())
    assert [path.name for path in tmp_path.iterdir()] == ["report.pdf"]


def test_an_unregistered_technique_is_an_error(result: PlanResult, tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match="unknown technique"):
        write_report(result, tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- what the page says


def test_the_page_needs_nothing_from_outside(html: str) -> None:
    reader = Reader(html)
    assert "script" not in reader.tags
    assert not {"link", "iframe", "object", "embed", "base"} & set(reader.tags)
    assert all(link.startswith(("data:image/png;base64,", "#")) for link in reader.links)
    assert "@import" not in html
    assert set(re.findall(r"url\(([^)]*)\)", html)) <= {f"#{name}" for name in reader.ids}


def test_the_page_is_accessible(html: str, document: Document) -> None:
    reader = Reader(html)
    assert '<html lang="en-GB">' in html
    assert reader.tags.count("h1") == 1
    assert len(reader.ids) == len(set(reader.ids))
    levels = [int(tag[1]) for tag in reader.tags if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    figures = [f for s in document.sections for b in s.blocks for f in getattr(b, "figures", ())]
    assert len(figures) >= 8
    for figure in figures:
        root = ElementTree.fromstring(figure.svg)  # noqa: S314 (made here)
        assert root.attrib["role"] == "img"
        assert root.attrib["aria-label"] == figure.alt
        assert len(figure.alt) > 20


def test_first_things_come_first(document: Document, html: str) -> None:
    words = Reader(html).text
    assert words.count(RESEARCH_USE) == 1
    order = ["STOP", "Is the nerve covered?", "Nearest danger", "Who", "What", "Where", "Warning",
             "Assumptions this result rests on", "What the image and the case do not hold",
             "The lesion"]  # fmt: skip
    places = [words.index(word) for word in order]
    assert places == sorted(places)
    for piece in ("P-0042", "L2 medial branch", "L3 at the", "L3-4", "80 °C for 90 s",
                  "L 6.0, P −1.0, S 0.0 mm", "from the sacrum upwards", "Canal: peak temperature 51 °C.",
                  "skin (skin outside image)", "7 % of the largest lesion"):  # fmt: skip
        assert piece in words, piece
    assert document.first.headlines[1].answer == "Spinal canal"


def test_the_headline_goes_by_a_criterion_that_decides(result: PlanResult, document: Document) -> None:
    by_id = {item.criterion: item for item in result.injury.target().by_criterion}
    assert by_id["cem43_50"].longest_lesioned_mm == 0, "the fixture's dose is a lower bound everywhere"
    deciding = min(item.longest_lesioned_mm for name, item in by_id.items() if name != "cem43_50")
    assert deciding > 0
    assert document.first.headlines[0].number == f"{deciding:.1f}\u00a0mm"
    rows = {
        row[0].split(" (")[0]: row
        for row in _tables(document)["Lesioned length of the nerve, by criterion"].rows
    }
    assert rows["50 CEM43"][1:] == ("≥ 0.0", "–", "–", "–")


def test_a_standing_stop_marks_the_headline(result: PlanResult) -> None:
    head = make_document(result, warm()).first.headlines[0]
    assert head.tone == "stop"
    assert "1 stop stands against this plan" in head.details[0]
    free = make_document(dataclasses.replace(result, notices=NOTICES[1:]), warm()).first.headlines[0]
    assert (free.tone, free.details[0][:8]) == ("warn", "Critical")
    final = (Notice(severity="stop", code="solver", text="It broke.", overridable=False),)
    broken = make_document(dataclasses.replace(result, notices=final), warm()).first.headlines[0]
    assert "do not use this answer" in broken.details[0]


def test_every_page_carries_the_mark_and_the_first_one_the_plan(
    document: Document, html: str, tmp_path: Path
) -> None:
    assert '<div class="side" aria-hidden="true">DRAFT' in html
    assert re.search(r"\.side \{[^}]*position: fixed", html), "a fixed element prints on every page"
    pages = pdf_pages(typeset(document), tmp_path)
    assert len(pages) >= 5
    assert all(text.startswith("DRAFT phantom-1") for text in pages)
    assert sum(text.count(RESEARCH_USE) for text in pages) == 1
    for piece in ("STOP Canal: peak temperature 51 °C.", "Nearest danger", "Assumptions", "Not seen in the"):
        assert piece in pages[0], "the plan fits on page one"
    assert "The lesion" in pages[1]


def test_an_approval_shows_its_name_and_overrides_and_only_on_its_plan(
    result: PlanResult, tmp_path: Path
) -> None:
    approval = approve(
        result.plan, result.notices, name="Dr <b>Example</b>", time=datetime(2030, 1, 2, 3, 4, tzinfo=UTC),
        reason="verified fluoroscopically",
        overrides=(Override(code="limit.peak", name="Dr Example", reason="seen & judged"),),
    )  # fmt: skip
    approved = dataclasses.replace(result, approval=approval)
    made = make_document(approved, warm())
    assert made.mark.startswith("APPROVED by Dr <b>Example</b> (name typed, not authenticated)")
    assert not made.draft
    words = Reader(page(made)).text
    assert "Set aside by Dr Example: seen & judged" in words
    assert "APPROVED by Dr <b>Example</b>" in words
    assert "fluoroscopically" in pdf_pages(typeset(made), tmp_path)[0], "the reason stands on page one"
    assert "verified fluoroscopically" in words
    other = dataclasses.replace(approved, plan=result.plan.replace(anaesthesia="changed"))
    changed = make_document(other, warm())
    assert changed.mark == DRAFT
    assert "fluoroscopically" not in Reader(page(changed)).text
    assert all(not alert.override for alert in changed.first.alerts)


def test_user_text_is_text_and_nothing_else(tmp_path: Path) -> None:
    plain = make_result(complaint=NASTY, patient={"id": NASTY})
    structures = tuple(s.model_copy(update={"name": NASTY}) if s.mask else s for s in plain.scene.structures)
    nerve = plain.scene.target().replace(name=NASTY, derivation=NASTY)
    scene = plain.scene.model_copy(update={"structures": structures, "nerves": (nerve,)})
    hostile = dataclasses.replace(
        plain, scene=scene, injury=assess(scene, plain.exposure),
        notices=(Notice(severity="stop", code=NASTY, text=NASTY, source=NASTY),),
    )  # fmt: skip
    made = make_document(hostile, warm(title=NASTY))
    source = page(made)
    reader = Reader(source)
    assert "script" not in reader.tags
    assert reader.handlers == []
    assert " ".join(NASTY.split()) in reader.text
    assert "49" not in re.findall(r"\{\{ 7\*7 \}\}|\b49\b", reader.text)
    for figure in (f for s in made.sections for b in s.blocks if isinstance(b, FigureRow) for f in b.figures):
        ElementTree.fromstring(figure.svg)  # noqa: S314 (made here)
    pages = pdf_pages(typeset(made), tmp_path)
    assert "#panic()" in pages[0]


def test_letters_the_engine_does_not_carry_still_make_a_pdf(result: PlanResult) -> None:
    case = result.case.replace(complaint="腰痛")
    content = typeset(make_document(dataclasses.replace(result, case=case), warm()))
    assert content.startswith(b"%PDF-")
    assert b"pdfuaid" not in content, "no claim of accessibility where letters may be missing"


def test_the_pdf_claims_accessibility_and_has_its_tags(document: Document) -> None:
    content = typeset(document)
    assert b"<pdfuaid:part>1</pdfuaid:part>" in content
    assert b"/MarkInfo" in content


# ---------------------------------------------------------------- tables and sources


def _tables(document: Document) -> dict[str, Table]:
    blocks = [*document.first.blocks, *(b for s in document.sections for b in s.blocks)]
    return {block.title: block for block in blocks if isinstance(block, Table)}


def test_every_source_of_the_result_is_listed_and_every_number_has_a_row(
    result: PlanResult, document: Document
) -> None:
    listed = _tables(document)["Read, or computed from what was read"]
    numbers = {row[0] for row in listed.rows}
    used = set(re.findall(r"\[\d+\]", repr(document.plain())))
    assert used == numbers
    names = set(Citations.of(result).numbers)
    assert {c.source for c in result.exposure.criteria} <= names
    assert {"cosman_gonzalez_2011", "nt1100_manual", "gabriel_1996", "itis_tissue_properties"} <= names


def test_assumptions_are_named_with_value_and_reason(result: PlanResult, document: Document) -> None:
    terms = next(b for b in document.first.blocks if b.kind == "terms")
    (pairs, why), second = terms.rows
    assert [name for name, _ in pairs] == [f"{name}: conductivity slope" for name in TISSUES[1:]]
    assert pairs[0][1] == "0.015\u00a01/K (0–0.02)"
    assert why == "no numerical slope was read in a source"
    assert second == ((("L2 medial branch: place", "1.5\u00a0mm"),), "no spread was read anywhere")
    assert len(_tables(document)["Assumptions, with their reasons in full"].rows) == 4


def test_sizes_stand_beside_the_models_own_error(document: Document) -> None:
    row = _tables(document)["Predicted lesion, by criterion"].rows[0]
    assert row[1:4] == ("9.2 ± 0.8", "14.1 ± 1.3", "640 ± 173")


def test_hashes_are_those_of_the_values(result: PlanResult, document: Document) -> None:
    cells = {row[0]: row[2] for row in _tables(document)["Inputs and their hashes"].rows}
    assert cells["Plan"] == result.plan.content_hash() == document.plan_hash
    assert cells["Simulation"] == result.exposure.content_hash()
    assert cells["Case"] == "c" * 64


# ---------------------------------------------------------------- cases with less, or other, in them


def _bare(result: PlanResult) -> PlanResult:
    scene = result.scene.model_copy(update={"structures": ()})
    fields = {"peak_temperature_c": result.exposure.fields["peak_temperature_c"]}
    exposure = result.exposure.model_copy(
        update={"series": {}, "series_units": {}, "energy": None, "model_errors": (), "fields": fields,
                "criteria": result.exposure.criteria[:1], "lesions": (), "verdict_allowed": False}
    )  # fmt: skip
    return dataclasses.replace(
        result, scene=scene, exposure=exposure, injury=assess(scene, exposure), notices=(), assumptions=(),
        case=Case(id="bare", patient={"id": "x"}),
    )  # fmt: skip


def _with_instruments(result: PlanResult) -> PlanResult:
    """Every shape of needle there is, the second and later ones beside the first."""
    shapes = {instrument(name).shape: instrument(name) for name in instrument_ids()}
    first = result.plan.placements[0]
    placements = tuple(
        first.replace(instrument=cannula, tip_mm=(6.0 + 6 * k, -1.0, 0.0))
        for k, cannula in enumerate(shapes.values())
    )
    return dataclasses.replace(result, plan=result.plan.replace(placements=placements))


def _untouched(result: PlanResult) -> PlanResult:
    """A delivery that warms nothing, of a nerve the catalogue does not hold."""
    peak = result.exposure.fields["peak_temperature_c"]
    cold = peak.model_copy(update={"array": np.full(peak.array.shape, 37.0)})
    exposure = result.exposure.model_copy(
        update={
            "fields": {"peak_temperature_c": cold},
            "criteria": result.exposure.criteria[:2],
            "lesions": (),
        }
    )
    target = result.plan.target.replace(nerve="own_nerve")
    return dataclasses.replace(
        result,
        exposure=exposure,
        injury=assess(result.scene, exposure),
        plan=result.plan.replace(target=target),
    )


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_bare, ["No verdict", "No structure at risk is known", "No series against time", "No rule fired."]),
        (_with_instruments, ["Tip 2", "Course 4"]),
        (_untouched, ["own nerve, left", "Not covered", "0.0 mm"]),
    ],
)
def test_other_results_are_reported_too(result: PlanResult, change: Any, says: list[str]) -> None:
    made = make_document(change(result), warm())
    words = Reader(page(made)).text
    for piece in says:
        assert piece in words
    assert typeset(made).startswith(b"%PDF-")
