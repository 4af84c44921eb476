"""The decision aid: complete in both languages, easy to read, one denominator, nothing left out."""

from __future__ import annotations

import re
import sys
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from neurolysis.app.cases import load_case
from neurolysis.app.decision_aid import make_decision_aid
from neurolysis.errors import InputError, SafetyStop, UnknownNameError
from neurolysis.evaluation.evaluate import evaluate
from neurolysis.nerve.conditions import conditions
from neurolysis.planning.prognosis import options_for
from neurolysis.report.decision_about import Plan
from neurolysis.report.decision_aid import decision_aid
from neurolysis.report.document import Document
from neurolysis.report.html import page
from neurolysis.report.icons import icon_array
from neurolysis.report.language import Translator, catalogue, languages

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
import translation_texts  # noqa: E402

CASE, _ = load_case(ROOT / "examples" / "trigeminal")
ON = date(2026, 11, 2)


def aid(condition: str = "trigeminal_neuralgia", language: str = "en", **changes: Any) -> Document:
    one = CASE.replace(condition=condition, target=None, pain=()) if condition != CASE.condition else CASE
    return decision_aid(one, options_for(condition), evaluate(one, ON), on=ON, language=language, **changes)


def texts(document: Document) -> list[str]:
    """Every running text of the pages: paragraphs, bullets, answers, captions; no tables of sources."""
    found: list[str] = []

    def walk(block: Any) -> None:
        if block.kind == "paragraph":
            found.append(block.text)
        elif block.kind == "bullets":
            found.extend(block.items)
        elif block.kind == "facts":
            found.extend(value for _, value in block.rows)
        elif block.kind == "figures":
            found.extend(figure.caption for figure in block.figures)
        elif block.kind == "table":
            found.append(block.note)

    for block in document.first.blocks:
        walk(block)
    for section in document.sections:
        if section.id != "consent":
            for block in section.blocks:
                walk(block)
    return [text for text in found if len(text.split()) > 3]


def syllables(word: str) -> int:
    """English syllables by groups of vowels; a last silent e is not counted."""
    word = re.sub(r"[^a-z]", "", word.lower())
    if len(word) > 2 and word.endswith("e") and not word.endswith("le"):
        word = word[:-1]
    if word.endswith("ed") and not word.endswith(("ted", "ded")) and len(word) > 3:
        word = word[:-2]
    return max(1, len(re.findall(r"[aeiouy]+", word)))


@pytest.mark.parametrize(
    ("word", "count"),
    [("nerve", 1), ("needle", 2), ("pain", 1), ("people", 2), ("treated", 2), ("guided", 2), ("harmed", 1),
     ("operation", 4), ("possible", 3), ("medicine", 3), ("numbers", 2)],
)  # fmt: skip
def test_syllables_are_counted(word: str, count: int) -> None:
    assert syllables(word) == count


def flesch_kincaid(parts: list[str]) -> float:
    """US school grade: 0.39 words per sentence + 11.8 syllables per word - 15.59."""
    text = ". ".join(parts)
    sentences = [s for s in re.split(r"[.!?:;]+", text) if re.search(r"[A-Za-z]", s)]
    words = re.findall(r"[A-Za-z']+", text)
    return 0.39 * len(words) / len(sentences) + 11.8 * sum(map(syllables, words)) / len(words) - 15.59


def wiener(parts: list[str]) -> float:
    """First Wiener Sachtextformel, a German school grade: 4 (easy) to 15."""
    text = ". ".join(parts)
    sentences = [s for s in re.split(r"[.!?:;]+", text) if re.search(r"[A-Za-zäöüÄÖÜß]", s)]
    words = re.findall(r"[A-Za-zäöüÄÖÜß]+", text)
    counts = [max(1, len(re.findall(r"[aeiouyäöü]+", word.lower()))) for word in words]
    many = 100 * sum(count >= 3 for count in counts) / len(words)
    long = 100 * sum(len(word) > 6 for word in words) / len(words)
    single = 100 * sum(count == 1 for count in counts) / len(words)
    return 0.1935 * many + 0.1672 * len(words) / len(sentences) + 0.1297 * long - 0.0327 * single - 0.875


def test_the_formulas_tell_easy_from_hard() -> None:
    assert flesch_kincaid(["The cat sat on the mat. It was fat."]) < 2
    hard = "Percutaneous radiofrequency neurotomy demonstrates heterogeneous, irreproducible outcomes."
    assert flesch_kincaid([hard]) > 14
    assert wiener(["Der Hund ist da. Er ist gut."]) < 3
    assert wiener(["Perkutane Radiofrequenzneurotomien ergeben heterogene Behandlungsergebnisse."]) > 10


@pytest.mark.parametrize("condition", sorted(conditions()))
def test_every_condition_is_easy_to_read_in_both_languages(condition: str) -> None:
    english, german = texts(aid(condition)), texts(aid(condition, "de"))
    assert flesch_kincaid(english) <= 8
    assert wiener(german) <= 8
    assert len(german) == pytest.approx(len(english), abs=2)


def test_both_languages_are_complete() -> None:
    wanted = translation_texts.all_texts()
    assert len(wanted) > 200
    for code in languages()[1:]:
        found = catalogue(code)
        assert [text for text in wanted if not found.get(text)] == []
        assert set(found) - set(wanted) == set(), "texts that no page shows"
        for text in wanted:
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", found[text])), text


def test_an_unknown_language_or_text_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="de"):
        Translator("xx")
    with pytest.raises(InputError, match="not translated"):
        Translator("de")("no such text")


def test_the_ipdas_items() -> None:
    """The six qualifying items, and the general certifying ones."""
    document = aid()
    html = page(document)
    for item in (
        "You have shock-like pain of the face",  # describes the condition
        "You choose; you may also choose to wait",  # states the decision
        "Your choices",  # lists options
        "How often does it work?",  # positives
        "What can go wrong?",  # negatives
        "How is it done?",  # what it is like
        "Where the figures come from",  # citations
        "Made on 2026-11-02",  # date
        "the figures are read again every year",  # update policy
        "Nobody paid for this page",  # funding
        "shows how far off they may be",  # uncertainty
    ):
        assert item in html, item
    names = {section.id for section in document.sections}
    assert {"choice-no_treatment", "choice-medication", "consent", "compare"} <= names
    for option in options_for("trigeminal_neuralgia"):
        assert f"choice-{option.technique}" in names


def test_every_choice_has_the_same_parts() -> None:
    harms = []
    for section in aid().sections:
        if section.id.startswith("choice-") and section.id not in (
            "choice-no_treatment",
            "choice-medication",
        ):
            tables = [block for block in section.blocks if block.kind == "table"]
            harms.append([row[0] for row in tables[0].rows][:8])
            assert any(block.kind == "figures" for block in section.blocks)
    assert all(rows == harms[0] for rows in harms)
    assert len(harms[0]) == 8


def test_the_survival_signal_and_cancer_survivors_are_said() -> None:
    said = " ".join(texts(aid("cancer_pain_upper_abdomen")))
    assert "lived less long" in said
    assert "stage three no difference" in said
    assert "lived less long" not in " ".join(texts(aid("knee_osteoarthritis")))


def test_german_says_that_it_was_not_reviewed() -> None:
    assert "wurde nicht von Fachleuten geprüft" in page(aid(language="de"))
    assert 'lang="de"' in page(aid(language="de"))


def test_consent_shows_hashes_and_claims_nothing() -> None:
    html = page(aid(plan=Plan(hash="f" * 64, coverage="partly covered")))
    assert "This page gives no consent" in html
    assert "f" * 64 in html
    assert "the nerve is partly covered" in html
    assert evaluate(CASE, ON).case_hash in html


def people(svg: str) -> tuple[int, int, int]:
    """(solid, light, empty) heads of an icon array."""
    heads = re.findall(r"<circle [^>]*>", svg)
    empty = sum('fill="#ffffff"' in head for head in heads)
    light = sum('fill-opacity="0.38"' in head for head in heads)
    return len(heads) - empty - light, light, empty


@pytest.mark.parametrize(
    ("low", "high", "expected"), [(0, 0, (0, 0, 100)), (30, 55, (30, 25, 45)), (100, 100, (100, 0, 0))]
)
def test_icon_arrays_are_always_of_a_hundred(low: float, high: float, expected: tuple[int, int, int]) -> None:
    assert people(icon_array(low, high)) == expected
    assert people(icon_array(low, high, found=False)) == (0, 0, 100)
    with pytest.raises(ValueError, match="people of 100"):
        icon_array(high + 1, low)


def test_files_are_written_and_a_stop_writes_nothing(tmp_path: Path) -> None:
    found = make_decision_aid(ROOT / "examples" / "trigeminal", tmp_path, language="de")
    assert found.html.name == "decision-aid.de.html"
    assert found.pdf.read_bytes().startswith(b"%PDF")
    case = (ROOT / "examples" / "trigeminal" / "case.yaml").read_text()
    stopped = tmp_path / "case.yaml"
    stopped.write_text(
        case.replace("name: saddle_numbness, result: absent", "name: saddle_numbness, result: present")
    )
    with pytest.raises(SafetyStop, match="cauda equina"):
        make_decision_aid(stopped, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(UnknownNameError):
        make_decision_aid(ROOT / "examples" / "trigeminal", tmp_path / "out", language="fr")
    assert not (tmp_path / "out").exists()
