"""The fields of a case that have resources of their own, read back from a bundle.

Beside what :mod:`neurolysis.case_fhir` reads there are the condition to be treated, the marked areas of pain,
questionnaires item by item, and the target. What this program derives (totals, plans, outcomes) is not read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from pydantic import ValidationError

from neurolysis.case import Answers, Case, PainArea, Target
from neurolysis.case_fhir import CARRIED, Ignored, at, case_from_fhir
from neurolysis.records.fhir.clinical import PAIN_AREA, TREATED
from neurolysis.records.fhir.orders import TARGET_WORDS
from neurolysis.records.fhir.terms import OWN, Resource, extension_value, listed
from neurolysis.scores.fhir import PREFIX

NATIVE = (*CARRIED[3:], "condition", "pain", "questionnaires", "target")
"""Fields of a Case that resources carry, the patient aside."""
Bundle = Mapping[str, Any]


def native_case(bundle: Bundle) -> tuple[Case, tuple[Ignored, ...]]:
    """The case that the resources alone give, and what was left out with the reason.

    Raises:
        InputError: not a bundle of one patient.
    """
    kept: dict[str, list[Any]] = {"condition": [], "pain": [], "questionnaires": [], "target": []}
    left: list[Ignored] = []
    rest = []
    about = _patient_addresses(bundle)
    for entry in bundle["entry"]:
        field = _own_field(entry["resource"])
        if field is None:
            rest.append(entry)
            continue
        value, why = _read(field, entry["resource"], about)
        if value is None:
            kind, id = str(entry["resource"]["resourceType"]), str(entry["resource"].get("id", ""))
            left.append(Ignored(resource=kind, reason=why, ids=(id,)))
        elif value not in kept[field]:
            kept[field].append(value)
    case, ignored = case_from_fhir({**bundle, "entry": rest})
    return case.replace(**_fields(kept)), (*ignored, *left)


def _fields(kept: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The fields of the case; of a field that holds one value the first counts."""
    return {
        "condition": next(iter(kept["condition"]), None),
        "pain": tuple(kept["pain"]),
        "questionnaires": tuple(kept["questionnaires"]),
        "target": next(iter(kept["target"]), None),
    }


def _patient_addresses(bundle: Bundle) -> set[str]:
    """How the bundle may refer to its patient."""
    found = set()
    for entry in bundle["entry"]:
        if entry["resource"].get("resourceType") == "Patient":
            found |= {str(entry.get("fullUrl")), f"Patient/{entry['resource'].get('id')}"}
    return found


def _own_field(resource: Resource) -> str | None:
    """The field an own resource belongs to, "derived" for what is not read back, None for any other."""
    kind, codes = resource["resourceType"], _own_codes(resource.get("code"))
    if kind == "Condition" and TREATED in codes:
        return "condition"
    if kind == "Observation" and "observation" in codes:
        return "pain" if codes["observation"] == PAIN_AREA else "derived"
    if kind == "QuestionnaireResponse" and str(resource.get("questionnaire", "")).startswith(PREFIX):
        return "questionnaires"
    if kind == "ServiceRequest" and "request" in _own_codes(*listed(resource, "category")):
        return "target"
    return None


def _own_codes(*concepts: Any) -> dict[str, str]:
    """Own codes of CodeableConcepts by their kind (the last part of the system)."""
    found = {}
    for one in concepts:
        for item in listed(one, "coding"):
            system = str(at(item, "system"))
            if system.startswith(OWN):
                found[system.removeprefix(OWN)] = str(item.get("code", ""))
    return found


def _read(field: str, resource: Resource, about: set[str]) -> tuple[Any, str]:
    """(value, "") or (None, why not)."""
    if field == "derived":
        return None, "made by this program from other data; it is made again"
    if at(resource, "subject", "reference") not in about:
        return None, "it names no patient, or another one"
    try:
        return READERS[field](resource), ""
    except ValidationError as error:
        return None, f"not usable: {error.errors()[0]['msg']}"
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        return None, f"not as this program writes it: {error}"


def _condition(resource: Resource) -> str:
    return _own_codes(resource["code"])[TREATED]


def _pain(resource: Resource) -> PainArea:
    site = _own_codes(resource["bodySite"])
    since = extension_value(resource, "pain-since")
    return PainArea(
        area=site["body-area"],
        side=extension_value(resource, "pain-side"),
        character=tuple(item["valueString"] for item in resource.get("component") or ()),
        intensity=(resource.get("valueQuantity") or {}).get("value"),
        since=None if since is None else date.fromisoformat(since[:10]),
        main=bool(extension_value(resource, "pain-main")),
    )


def _answers(resource: Resource) -> Answers:
    items: dict[str, float | None] = {}
    for item in resource.get("item") or ():
        answer: Mapping[str, Any] = next(iter(item.get("answer") or ()), {})
        coded = (answer.get("valueCoding") or {}).get("code")
        number = answer.get("valueDecimal", answer.get("valueInteger"))
        items[str(item["linkId"])] = float(coded) if coded is not None else number
    return Answers(
        questionnaire=str(resource["questionnaire"]).removeprefix(PREFIX).split("|")[0],
        answered=date.fromisoformat(str(resource["authored"])[:10]),
        items=items,
    )


def _target(resource: Resource) -> Target:
    site = _own_codes(*resource["bodySite"])
    words = {name: extension_value(resource, name.replace("_", "-")) for name in TARGET_WORDS}
    transitional = extension_value(resource, "transitional-vertebra")
    return Target.model_validate(
        {"nerve": site["target"], "side": site["side"], **words, "transitional_vertebra": transitional}
    )


READERS = {"condition": _condition, "pain": _pain, "questionnaires": _answers, "target": _target}
