"""Forms and their FHIR: accessible markup, answers there and back, and R4 by an independent validator."""

from __future__ import annotations

import json
from datetime import date
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from neurolysis.aftercare.care import care
from neurolysis.app.aftercare import load_outcome
from neurolysis.app.cases import load_case
from neurolysis.case import Answers
from neurolysis.case_fhir import case_to_fhir
from neurolysis.errors import InputError
from neurolysis.records.careplan import care_plan
from neurolysis.scores.fhir import answers_from_response, response
from neurolysis.scores.registry import form, instruments, item_values
from neurolysis.scores.render import form_html, form_text
from neurolysis.scores.scoring import score

ROOT = Path(__file__).resolve().parents[1]
FORMS = sorted(name for name, item in instruments().items() if item.form)
DAY = date(2026, 10, 1)


class Form(HTMLParser):
    """Counts what a form is made of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.inputs: list[dict[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag == "input":
            self.inputs.append(dict(attrs))


@pytest.mark.parametrize("name", FORMS)
def test_a_form_has_a_group_an_item_and_a_label_an_answer(name: str) -> None:
    seen = Form()
    seen.feed(form_html(name))
    values = item_values(name)
    assert seen.tags.count("fieldset") == seen.tags.count("legend") == len(values)
    assert seen.tags.count("label") == len(seen.inputs) == sum(map(len, values.values()))
    assert "script" not in seen.tags
    assert {field["name"] for field in seen.inputs} == set(values)
    for item in form(name)["item"]:
        assert item["text"] in form_text(name)


def filled(name: str) -> Answers:
    return Answers(questionnaire=name, answered=DAY, items={k: v[-1] for k, v in item_values(name).items()})


@pytest.mark.parametrize("name", FORMS)
def test_answers_go_out_and_come_back(name: str) -> None:
    answers = filled(name)
    sent = response(answers)
    assert sent["status"] == "completed"
    assert answers_from_response(json.loads(json.dumps(sent))) == answers
    first = next(iter(answers.items))
    part = answers.replace(items={**answers.items, first: None})
    back = answers_from_response(response(part))
    assert response(part)["status"] == "in-progress"
    assert score(back).total is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"resourceType": "Patient"},
        {"resourceType": "QuestionnaireResponse", "questionnaire": "http://other/phq"},
        {"resourceType": "QuestionnaireResponse", "questionnaire": "urn:neurolysis:questionnaire:nrs"},
    ],
)
def test_a_strange_response_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        answers_from_response(wrong)
    with pytest.raises(InputError, match="no such answer"):
        response(Answers(questionnaire="nrs", answered=DAY, items={"1": 11}))


def valid(resource: dict[str, Any]) -> None:
    """Raise unless another implementation of FHIR R4 accepts the resource."""
    from fhir.resources.R4B import get_fhir_model_class

    get_fhir_model_class(resource["resourceType"]).model_validate_json(json.dumps(resource))


@pytest.mark.parametrize("name", FORMS)
def test_forms_and_responses_are_r4(name: str) -> None:
    valid(form(name))
    valid({**response(filled(name)), "id": "a"})


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").glob("*/case.yaml")), ids=lambda path: path.parent.name
)
def test_cases_and_care_plans_are_r4(path: Path) -> None:
    case, folder = load_case(path)
    outcome = load_outcome(folder)
    target = case.target.nerve if case.target else ""
    done = outcome.procedure if outcome else None
    plan = care(
        case,
        outcome.replace(recovery=()) if outcome else None,
        date(2026, 12, 1),
        technique=done.modality if done else "rf_conventional",
        target=target,
    )
    for bundle in (care_plan(plan), case_to_fhir(case)):
        valid(bundle)
        for entry in bundle["entry"]:
            valid(entry["resource"])


def test_the_validator_can_say_no() -> None:
    with pytest.raises(ValueError, match="status"):
        valid({"resourceType": "CarePlan", "intent": "plan", "subject": {"reference": "Patient/1"}})
