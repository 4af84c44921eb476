"""The example cases, run whole: evaluation, decision aid in both languages, aftercare."""

from __future__ import annotations

from pathlib import Path

import pytest

from neurolysis.aftercare.care import care
from neurolysis.app.aftercare import aftercare, load_outcome
from neurolysis.app.anesthetize import anesthetize
from neurolysis.app.cases import load_case
from neurolysis.app.decision_aid import make_decision_aid
from neurolysis.app.evaluate import evaluate_case, evaluated_text
from neurolysis.errors import InputError
from neurolysis.nerve.conditions import condition, condition_groups
from neurolysis.nerve.targets import target_of
from neurolysis.planning.prognosis import options_for

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = sorted((ROOT / "examples").glob("*/case.yaml"))
DEMO = ROOT / "src" / "neurolysis" / "data" / "demo" / "case.yaml"
NAMES = [path.parent.name for path in EXAMPLES]


def test_there_is_one_for_each_group_of_conditions() -> None:
    cases = [load_case(path)[0] for path in EXAMPLES]
    groups = {condition(case.condition or "").group for case in cases}
    assert groups == set(condition_groups())
    assert len(groups) == 12
    assert all(case.demonstration for case in cases)
    assert all(case.image is None for case in cases), "no stand-in anatomy"


@pytest.mark.parametrize("path", [*EXAMPLES, DEMO], ids=[*NAMES, "demo"])
def test_evaluation_finds_the_condition(path: Path, tmp_path: Path) -> None:
    found = evaluate_case(path, out=tmp_path)
    case, _ = load_case(path)
    assert not found.assessment.stopped
    assert found.assessment.causes[0].condition == case.condition
    assert {s.technique for s in found.assessment.suitability} == set(
        condition(case.condition or "").techniques
    )
    for item in found.assessment.suitability:
        if item.verdict == "indicated":
            assert item.needs == ()
            assert item.evidence != "none found"
    assert case.condition in evaluated_text(found)
    assert (tmp_path / "evaluation.pdf").read_bytes().startswith(b"%PDF")


@pytest.mark.parametrize("path", [*EXAMPLES, DEMO], ids=[*NAMES, "demo"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_decision_aid_is_made(path: Path, language: str, tmp_path: Path) -> None:
    found = make_decision_aid(path, tmp_path, language=language)
    html = found.html.read_text()
    assert found.pdf.read_bytes().startswith(b"%PDF")
    for option in found.options:
        assert f'id="choice-{option.technique}"' in html


@pytest.mark.parametrize("path", [*EXAMPLES, DEMO], ids=[*NAMES, "demo"])
def test_aftercare_is_made(path: Path, tmp_path: Path) -> None:
    case, folder = load_case(path)
    outcome = load_outcome(folder)
    known = case.treatment is not None or outcome is not None
    technique = None if known else "rf_conventional"
    found = aftercare(path, out=tmp_path, technique=technique, blood_pressure_unit="percent")
    assert len(found.files) == 6
    assert found.plan.watch
    assert found.plan.red_flags
    assert found.plan.target == target_of(case.target.nerve if case.target else "").id


def test_aftercare_asks_what_was_or_will_be_done() -> None:
    assert aftercare(DEMO).plan.technique == "rf_conventional"
    with pytest.raises(InputError, match="needs a technique"):
        aftercare(ROOT / "examples" / "knee")


def test_the_celiac_example_by_hand() -> None:
    """128 to 96 mmHg is 25 %; morphine 120 mg and a patch of 25 mcg/h, confirmed by nobody."""
    path = ROOT / "examples" / "celiac" / "case.yaml"
    case, folder = load_case(path)
    outcome = load_outcome(folder)
    assert outcome is not None
    found = aftercare(path).plan
    assert [(a.minutes, a.level) for a in found.alarms] == [(10, "watch")]
    assert found.opioids.before is not None
    assert (found.opioids.before.total, found.opioids.before.complete) == (120, False)
    assert {"celiac_pressure", "celiac_diarrhoea", "opioid_unchanged"} <= {a.id for a in found.watch}
    assert (found.complications[0].ctcae, found.complications[0].clavien_dindo) == ("2", "I")
    said = " ".join(text for option in options_for(case.condition or "") for text in option.caveats)
    assert "stage IV" in said
    signed = care(
        case, outcome.replace(clinician="Dr A"), found.on, technique="alcohol", target="celiac_plexus"
    )
    assert signed.opioids.before is not None
    assert signed.opioids.before.total == pytest.approx(120 + 60)


@pytest.mark.parametrize("path", EXAMPLES, ids=NAMES)
def test_anaesthesia_says_what_is_missing(path: Path, tmp_path: Path) -> None:
    found = anesthetize(path, out=tmp_path)
    assert found.pdf is not None
    assert found.pdf.read_bytes().startswith(b"%PDF")
    assert found.step.answer == "cannot say"
    assert found.step.needs
