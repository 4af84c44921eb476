"""Answers as FHIR R4: QuestionnaireResponse out and in, beside the Questionnaire that defines the form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from neurolysis.case import Answers
from neurolysis.errors import InputError
from neurolysis.scores.registry import form

ANSWER = "urn:neurolysis:answer"
PREFIX = "urn:neurolysis:questionnaire:"


def response(answers: Answers) -> dict[str, Any]:
    """A QuestionnaireResponse; an item that was not answered is left out, as FHIR has it.

    Raises:
        UnknownNameError: no such questionnaire.
        InputError: its items are not shipped, or an answer that the form does not offer.
    """
    items = []
    for item in form(answers.questionnaire)["item"]:
        value = answers.items.get(item["linkId"])
        if value is None:
            continue
        codes = {o["valueCoding"]["code"]: o["valueCoding"]["display"] for o in item["answerOption"]}
        code = f"{value:g}"
        if code not in codes:
            raise InputError(
                "no such answer",
                where=f"{answers.questionnaire}.{item['linkId']}",
                found=value,
                allowed=codes,
            )
        coding = {"system": ANSWER, "code": code, "display": codes[code]}
        items.append({"linkId": item["linkId"], "text": item["text"], "answer": [{"valueCoding": coding}]})
    complete = len(items) == len(form(answers.questionnaire)["item"])
    return {
        "resourceType": "QuestionnaireResponse",
        "questionnaire": PREFIX + answers.questionnaire,
        "status": "completed" if complete else "in-progress",
        "authored": answers.answered.isoformat(),
        "item": items,
    }


def answers_from_response(resource: Mapping[str, Any]) -> Answers:
    """Answers of a QuestionnaireResponse to one of our forms.

    Raises:
        InputError: another resource, another questionnaire, or no day.
    """
    where = "QuestionnaireResponse"
    if resource.get("resourceType") != where:
        raise InputError("not a QuestionnaireResponse", found=resource.get("resourceType"))
    url = str(resource.get("questionnaire", ""))
    if not url.startswith(PREFIX):
        raise InputError(
            "a response to another questionnaire", where=where, found=url, allowed=f"{PREFIX}..."
        )
    name = url.removeprefix(PREFIX).split("|")[0]
    form(name)
    day = str(resource.get("authored", ""))[:10]
    try:
        answered = date.fromisoformat(day)
    except ValueError as error:
        raise InputError("a response needs its day", where=f"{where}.authored", found=day) from error
    items = {}
    for item in resource.get("item") or ():
        coding = (item.get("answer") or [{}])[0].get("valueCoding", {})
        items[str(item.get("linkId"))] = float(coding["code"]) if "code" in coding else None
    return Answers(questionnaire=name, answered=answered, items=items)
