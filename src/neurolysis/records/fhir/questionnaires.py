"""Questionnaire, QuestionnaireResponse, and the totals that follow from the answers as Observations."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.case import Answers
from neurolysis.errors import NeurolysisError
from neurolysis.records.fhir.clinical import addressed
from neurolysis.records.fhir.record import Record, key_of
from neurolysis.records.fhir.terms import HL7, Resource, concept, extensions, own, reference
from neurolysis.scores.fhir import PREFIX, response
from neurolysis.scores.registry import form, instruments, item_values
from neurolysis.scores.scoring import score

DERIVED = "derived-score"


def questionnaires() -> Iterator[Resource]:
    """Every form whose items are shipped."""
    yield from (form(item.id) for item in instruments().values() if item.form is not None)


def answers_resource(answers: Answers) -> Resource:
    """A QuestionnaireResponse; items that were not answered are there without an answer.

    A form whose items are not shipped, or answers that do not fit it, give their numbers without words.
    """
    item = instruments().get(answers.questionnaire)
    if item is None or item.form is None or set(answers.items) - set(item_values(item.id)):
        return _numbers_only(answers)
    try:
        resource = response(answers)
    except NeurolysisError:
        return _numbers_only(answers)
    said = {entry["linkId"] for entry in resource["item"]}
    open_items = [{"linkId": name} for name in answers.items if name not in said]
    return {**resource, "item": [*resource["item"], *open_items]} if answers.items else _unanswered(resource)


def _unanswered(resource: Resource) -> Resource:
    return {key: value for key, value in resource.items() if key != "item"}


def _numbers_only(answers: Answers) -> Resource:
    items = [
        {"linkId": name, **({} if value is None else {"answer": [{"valueDecimal": value}]})}
        for name, value in answers.items.items()
    ]
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": PREFIX + answers.questionnaire,
        "status": "completed"
        if all(value is not None for value in answers.items.values())
        else "in-progress",
        "authored": answers.answered.isoformat(),
        **({"item": items} if items else {}),
    }


def responses(record: Record) -> Iterator[Resource]:
    """Every questionnaire of the case as answered."""
    patient = reference("Patient", key_of(record))
    for answers in record.case.questionnaires:
        yield {**addressed(record, answers_resource(answers)), "source": patient}


def derived_scores(record: Record) -> Iterator[Resource]:
    """Totals computed from answers, with the reading of the total as interpretation."""
    for answers in record.case.questionnaires:
        try:
            result = score(answers)
        except NeurolysisError:
            continue
        if result.total is None:
            continue
        answered = addressed(record, answers_resource(answers))
        read = "; ".join(filter(None, (result.band, result.reading, result.problem)))
        yield addressed(
            record,
            {
                "resourceType": "Observation",
                "status": "final",
                "category": [concept("", {"system": HL7 + "observation-category", "code": "survey"})],
                "code": concept(result.title, own("score", result.instrument), own("observation", DERIVED)),
                "effectiveDateTime": answers.answered.isoformat(),
                "valueQuantity": {"value": result.total, "unit": "{score}"},
                **({"interpretation": [concept(read)]} if read else {}),
                "referenceRange": [
                    {"low": {"value": result.minimum}, "high": {"value": result.maximum},
                     "text": "lowest and highest possible total"}
                ],
                "derivedFrom": [reference("QuestionnaireResponse", answered["id"])],
                **extensions(score_source=result.source),
            },
        )  # fmt: skip
