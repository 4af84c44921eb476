"""Case from and to FHIR R4: a pure mapping between a Case and plain dictionaries.

What a Case cannot hold is never dropped in silence: reading returns what was ignored and why, writing
has :func:`not_carried`. Elements and value sets are those of the FHIR R4 specification; three codes
are used by meaning: LOINC 29463-7 (body weight), 8302-2 (body height) and 72514-3 (pain severity
0-10), and SNOMED CT 716186003 (no known allergy). Extensions of this program start with ``urn:neurolysis:``.
"""

from __future__ import annotations

import re
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any

from pydantic import ValidationError

from neurolysis.case import Case, Finding, Medication, Patient, Score
from neurolysis.errors import InputError
from neurolysis.quantity import Value, parse

Resource = Mapping[str, Any]
LOINC, SNOMED = "http://loinc.org", "http://snomed.info/sct"
TERMS = "http://terminology.hl7.org/CodeSystem/"
OWN = "urn:neurolysis:"
WEIGHT, HEIGHT, PAIN = "29463-7", "8302-2", "72514-3"
NO_KNOWN_ALLERGY = "716186003"
PAIN_SCORE = "pain severity 0-10 (LOINC 72514-3)"
CARRIED = ("schema_version", "id", "patient", "conditions", "findings", "medications", "allergies", "scores")
"""Fields of a Case that a bundle carries both ways."""

IDENTITY = ("name", "telecom", "address", "photo", "contact", "identifier", "extension", "maritalStatus",
            "communication", "multipleBirthInteger", "multipleBirthBoolean")  # fmt: skip


class Ignored(Value):
    """Something of the bundle that the case does not hold, with the reason; ``ids`` in order."""

    resource: str
    reason: str
    ids: tuple[str, ...]


class _Unused(Exception):
    """Raised by the readers below with the reason why a resource gives nothing to the case."""


# ---------------------------------------------------------------- reading


def case_from_fhir(bundle: Mapping[str, Any]) -> tuple[Case, tuple[Ignored, ...]]:
    """A Case from an R4 Bundle with one Patient, and everything that was left out.

    Weight and height are the latest dated ones, in kg and cm only. Nothing is converted or guessed:
    another unit, a status that does not count, or a missing date is a reason to ignore.

    Raises:
        InputError: not a Bundle, no Patient or several, or a patient field out of range.
    """
    if at(bundle, "resourceType") != "Bundle":
        raise InputError("not a FHIR bundle", where="resourceType", found=at(bundle, "resourceType"))
    resources = _by_address(bundle)
    where, patient = _only_patient(resources)
    own = {where, f"Patient/{patient.get('id')}"}
    kept: dict[str, list[Any]] = defaultdict(list)
    ignored: dict[tuple[str, str], list[str]] = defaultdict(list)
    if identity := _identity(patient):
        ignored["Patient", f"a case holds no identity: {', '.join(identity)}"].append(where)
    for url, resource in resources.items():
        if resource is patient:
            continue
        try:
            field, value = _read(resource, own, resources)
            if value in kept[field]:
                raise _Unused("the same is there already")
            kept[field].append(value)
        except _Unused as reason:
            ignored[str(resource.get("resourceType")), str(reason)].append(str(resource.get("id", url)))
    left_out = tuple(Ignored(resource=r, reason=why, ids=tuple(ids)) for (r, why), ids in ignored.items())
    return _case(bundle, patient, kept), left_out


def _by_address(bundle: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Resources by address; one without an address gets its place in the bundle."""
    found: dict[str, dict[str, Any]] = {}
    for number, entry in enumerate(bundle.get("entry") or []):
        resource = at(entry, "resource")
        if not isinstance(resource, dict):
            continue
        url = str(entry.get("fullUrl") or f"{resource.get('resourceType')}/{resource.get('id', number)}")
        if url in found:
            raise InputError("an address is given twice", where=f"Bundle.entry[{number}]", found=url)
        found[url] = resource
    return found


def _identity(patient: Mapping[str, Any]) -> tuple[str, ...]:
    """Elements of the Patient that say who it is, the pseudonym of this program aside."""
    own = "identifier" if _own_identifier(patient.get("identifier")) else None
    return tuple(name for name in IDENTITY if name in patient and name != own)


def _only_patient(resources: Mapping[str, dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    found = [(url, r) for url, r in resources.items() if r.get("resourceType") == "Patient"]
    if len(found) != 1:
        raise InputError("a case needs exactly one Patient", where="Bundle.entry", found=len(found))
    return found[0]


def _case(bundle: Mapping[str, Any], patient: Mapping[str, Any], kept: Mapping[str, list[Any]]) -> Case:
    """Put the parts together; allergies stay unknown unless the bundle says something of them."""
    patient_id = _own_identifier(patient.get("identifier")) or patient.get("id")
    case_id = _own_identifier([bundle.get("identifier")]) or re.sub(r"[^A-Za-z0-9._-]", "-", str(patient_id))
    allergies = kept.get("allergies", [])
    named = tuple(text for text in allergies if text)
    data = {
        "id": case_id,
        "patient": _patient(patient, patient_id, kept),
        "conditions": tuple(kept.get("conditions", ())),
        "findings": tuple(kept.get("findings", ())),
        "medications": tuple(kept.get("medications", ())),
        "allergies": named if allergies else None,
        "scores": tuple(kept.get("scores", ())),
    }
    return parse(Case, data, "FHIR bundle")


def _own_identifier(identifiers: Any) -> str | None:
    own = (i for i in identifiers or [] if str(at(i, "system")).startswith(OWN))
    return next((str(at(item, "value")) for item in own), None)


def _patient(patient: Mapping[str, Any], patient_id: Any, kept: Mapping[str, list[Any]]) -> Patient:
    weight_date, weight = _latest(kept.get("weight", ()))
    _, height = _latest(kept.get("height", ()))
    birth = re.match(r"\d{4}", str(patient.get("birthDate", "")))
    died = True if patient.get("deceasedDateTime") else patient.get("deceasedBoolean")
    data = {
        "id": patient_id,
        "birth_year": int(birth.group()) if birth else None,
        "sex": patient.get("gender", "unknown"),
        "weight_kg": weight,
        "weight_date": weight_date,
        "height_cm": height,
        "deceased": died,
    }
    return parse(Patient, data, "FHIR Patient")


def _latest(measured: Iterable[tuple[date | None, float]]) -> tuple[date | None, float | None]:
    return max(measured, key=lambda pair: pair[0] or date.min, default=(None, None))


def _read(resource: Resource, own: set[str], resources: Resource) -> tuple[str, Any]:
    """Field of the case and value that one resource gives; _Unused with the reason when none."""
    kind = str(resource.get("resourceType"))
    if kind not in READERS:
        raise _Unused("the case has no field for this kind of resource")
    about = at(resource, "patient" if kind == "AllergyIntolerance" else "subject", "reference")
    if about not in own:
        raise _Unused("it names no patient, or another one")
    try:
        return READERS[kind](resource, resources)
    except ValidationError as error:
        raise _Unused(f"not usable: {error.errors()[0]['msg']}") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise _Unused(f"not as FHIR has it: {error}") from error


def _condition(resource: Resource, resources: Resource) -> tuple[str, str]:
    _require_status(resource, {"active", "recurrence", "relapse"})
    return "conditions", _named(resource) + _doubt(resource)


def _allergy(resource: Resource, resources: Resource) -> tuple[str, str]:
    """The substance; an empty text is "no known allergy"."""
    _require_status(resource, {"active"})
    doubt = _doubt(resource)
    if any(c.get("code") == NO_KNOWN_ALLERGY and c.get("system") == SNOMED for c in _codings(resource)):
        return "allergies", ""
    name = _named(resource)
    if name.lower().startswith("no known"):
        raise _Unused(f"'{name}' says less than that no allergy is known")
    return "allergies", name + doubt


def _doubt(resource: Resource) -> str:
    """How sure a statement is, in words; refuted and mistaken ones are not used."""
    status = at(resource, "verificationStatus", "coding", 0, "code")
    if status in ("refuted", "entered-in-error"):
        raise _Unused(f"verification status {status}")
    return "" if status in (None, "confirmed") else f" ({status})"


def _require_status(resource: Resource, allowed: set[str]) -> None:
    found = at(resource, "clinicalStatus", "coding", 0, "code")
    if found is not None and found not in allowed:
        raise _Unused(f"clinical status {found}")


def _medication(resource: Resource, resources: Resource) -> tuple[str, Medication]:
    status = str(resource.get("status"))
    ended = status in ("stopped", "completed")
    stopped = _day(at(resource, "effectivePeriod", "end")) if ended else None
    if ended and stopped is None:
        raise _Unused(f"status {status} and no date of the end")
    if not ended and status not in ("active", "on-hold", "unknown"):
        raise _Unused(f"status {status}")
    drug = _drug(resource, resources)
    return "medications", Medication(name=drug, dose=_dose(resource), stopped=stopped)


def _drug(resource: Resource, resources: Resource) -> str:
    if "medicationCodeableConcept" in resource:
        return _named(resource, "medicationCodeableConcept")
    reference = str(at(resource, "medicationReference", "reference"))
    contained = {f"#{at(r, 'id')}": r for r in resource.get("contained") or []}
    named = {f"{r.get('resourceType')}/{r.get('id')}": r for r in resources.values()}
    drug = contained.get(reference) or resources.get(reference) or named.get(reference)
    if drug is None:
        raise _Unused("the drug it refers to is not in the bundle")
    return _named(drug)


def _dose(resource: Resource) -> str:
    """The dose as written; a coded one is put in words without any conversion."""
    dosages = resource.get("dosageInstruction") or resource.get("dosage") or []
    return "; ".join(filter(None, (_one_dose(dosage) for dosage in dosages)))


def _one_dose(dosage: Mapping[str, Any]) -> str:
    if dosage.get("text"):
        return str(dosage["text"])
    amount, repeat = at(dosage, "doseAndRate", 0, "doseQuantity"), at(dosage, "timing", "repeat")
    words = []
    if at(amount, "value") is not None:
        words.append(" ".join(filter(None, (str(amount["value"]), amount.get("unit", "")))))
    if at(repeat, "frequency") is not None:
        often = f"{repeat['frequency']} times per {repeat.get('period', '')} {repeat.get('periodUnit', '')}"
        words.append(often.strip())
    if dosage.get("asNeededBoolean"):
        words.append("as needed")
    return ", ".join(words)


def _observation(resource: Resource, resources: Resource) -> tuple[str, Any]:
    """Weight, height, a score or a finding."""
    if resource.get("status") not in ("final", "amended", "corrected"):
        raise _Unused(f"status {resource.get('status')}")
    code = next((c.get("code") for c in _codings(resource) if c.get("system") == LOINC), None)
    if code == WEIGHT:
        return "weight", _measured(resource, "kg", "weight_kg")
    if code == HEIGHT:
        return "height", _measured(resource, "cm", "height_cm")
    if code == PAIN or _extension(resource, "score-minimum") is not None:
        return "scores", _score(resource, code)
    return "findings", _finding(resource)


def _measured(resource: Resource, unit: str, field: str) -> tuple[date | None, float]:
    quantity = resource.get("valueQuantity")
    if _unit(quantity) != unit or at(quantity, "comparator"):
        raise _Unused(f"not an exact value in {unit}")
    patient = Patient.model_validate({"id": "x", field: at(quantity, "value")})
    return _day(resource.get("effectiveDateTime")), getattr(patient, field)


def _score(resource: Resource, code: str | None) -> Score:
    low, high = _extension(resource, "score-minimum"), _extension(resource, "score-maximum")
    return Score(
        instrument=PAIN_SCORE if code == PAIN else _named(resource),
        total=at(resource, "valueQuantity", "value"),
        minimum=0.0 if low is None else low,
        maximum=10.0 if high is None else high,
        observed=_day(resource.get("effectiveDateTime")),
    )


def _finding(resource: Resource) -> Finding:
    value, unit, text = _value(resource)
    result = _extension(resource, "finding-result") or text
    if not result:
        raise _Unused("it has no single value")
    return Finding(
        kind=_finding_kind(resource),
        name=_named(resource),
        result=result,
        value=value,
        unit=unit,
        side=_extension(resource, "finding-side"),
        level=_extension(resource, "finding-level"),
        observed=_day(resource.get("effectiveDateTime")),
    )


def _finding_kind(resource: Resource) -> Any:
    codings = [c for category in resource.get("category") or [] for c in at(category, "coding") or []]
    own = [c["code"] for c in codings if c.get("system") == OWN + "finding-kind"]
    standard = [c["code"] for c in codings if c.get("code") in ("laboratory", "exam")]
    if own or standard:
        return (own or standard)[0]
    found = ", ".join(str(coding.get("code")) for coding in codings) or "none"
    raise _Unused(f"category {found} is no finding of a case")


def _value(resource: Resource) -> tuple[float | None, str, str]:
    """(number, unit, text) of an observation; a number with a comparator is text only."""
    quantity = resource.get("valueQuantity")
    if quantity is None:
        concept = _text(resource.get("valueCodeableConcept"))
        return None, "", str(resource.get("valueString") or concept or "")
    number, unit = at(quantity, "value"), _unit(quantity)
    if number is None:
        return None, unit, ""
    text = " ".join(filter(None, (quantity.get("comparator"), str(number), unit)))
    return (None if quantity.get("comparator") else float(number)), unit, text


def _unit(quantity: Any) -> str:
    return str(at(quantity, "unit") or at(quantity, "code") or "")


def _extension(resource: Resource, name: str) -> Any:
    own = (i for i in resource.get("extension") or [] if at(i, "url") == OWN + name)
    return next((item.get("valueDecimal", item.get("valueString")) for item in own), None)


def _named(resource: Resource, element: str = "code") -> str:
    text = _text(resource.get(element))
    if not text:
        raise _Unused("it has no name in words")
    return text


def _text(concept: Any) -> str:
    return str(at(concept, "text") or at(concept, "coding", 0, "display") or "")


def _codings(resource: Resource) -> list[Mapping[str, Any]]:
    return [c for c in at(resource, "code", "coding") or [] if isinstance(c, Mapping)]


def _day(text: Any) -> date | None:
    """The day of a FHIR date or dateTime, as written in its own time zone; a partial one is no day."""
    found = re.match(r"\d{4}-\d\d-\d\d", str(text))
    return date.fromisoformat(found.group()) if found else None


def at(data: Any, *path: str | int) -> Any:
    """The element at a path of keys and places, or None where any of them is missing or of another form."""
    for part in path:
        if isinstance(part, str) and isinstance(data, Mapping):
            data = data.get(part)
        elif isinstance(part, int) and isinstance(data, list) and part < len(data):
            data = data[part]
        else:
            return None
    return data


READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], tuple[str, Any]]] = {
    "Condition": _condition,
    "AllergyIntolerance": _allergy,
    "MedicationRequest": _medication,
    "MedicationStatement": _medication,
    "Observation": _observation,
}
"""Each gives (field of the case, value) from (resource, all resources by address)."""


# ---------------------------------------------------------------- writing


def not_carried(case: Case) -> tuple[str, ...]:
    """Fields of this case that hold something a bundle of :func:`case_to_fhir` does not carry."""
    fields = type(case).model_fields
    left = [f for f in fields if f not in CARRIED and getattr(case, f) != fields[f].get_default()]
    return (*left, *(["patient.pregnant"] if case.patient.pregnant is not None else []))


def case_to_fhir(case: Case) -> dict[str, Any]:
    """An R4 Bundle (collection) of what FHIR can carry of a case; see :func:`not_carried`.

    The same case gives the same bundle: addresses are name-based UUIDs of the case id.
    """
    resources = [_patient_resource(case.patient), *_resources(case)]
    urls = [_address(case.id, number) for number in range(len(resources))]
    for resource in resources[1:]:
        key = "patient" if resource["resourceType"] == "AllergyIntolerance" else "subject"
        resource[key] = {"reference": urls[0]}
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "identifier": {"system": OWN + "case", "value": case.id},
        "entry": [{"fullUrl": url, "resource": r} for url, r in zip(urls, resources, strict=True)],
    }


def _address(case_id: str, number: int) -> str:
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, f'{OWN}{case_id}:{number}')}"


def _resources(case: Case) -> Iterable[dict[str, Any]]:
    patient = case.patient
    for text in case.conditions:
        yield {"resourceType": "Condition", "clinicalStatus": _active("condition"), "code": {"text": text}}
    for substance in case.allergies or ([None] if case.allergies == () else []):
        yield _allergy_resource(substance)
    yield from (_medication_resource(item) for item in case.medications)
    if patient.weight_kg is not None:
        yield _vital_sign(WEIGHT, "Body weight", patient.weight_kg, "kg", patient.weight_date)
    if patient.height_cm is not None:
        yield _vital_sign(HEIGHT, "Body height", patient.height_cm, "cm", None)
    yield from (_score_resource(item) for item in case.scores)
    yield from (_finding_resource(item) for item in case.findings)


def _patient_resource(patient: Patient) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": OWN + "patient", "value": patient.id}],
        "gender": patient.sex,
    }
    if patient.birth_year is not None:
        resource["birthDate"] = f"{patient.birth_year:04d}"
    if patient.deceased is not None:
        resource["deceasedBoolean"] = patient.deceased
    return resource


def _active(kind: str) -> dict[str, Any]:
    system = "allergyintolerance-clinical" if kind == "allergy" else "condition-clinical"
    return {"coding": [{"system": TERMS + system, "code": "active"}]}


def _allergy_resource(substance: str | None) -> dict[str, Any]:
    none_known = {"coding": [{"system": SNOMED, "code": NO_KNOWN_ALLERGY, "display": "No known allergy"}]}
    code = none_known if substance is None else {"text": substance}
    return {"resourceType": "AllergyIntolerance", "clinicalStatus": _active("allergy"), "code": code}


def _medication_resource(item: Medication) -> dict[str, Any]:
    resource: dict[str, Any] = {
        "resourceType": "MedicationStatement",
        "status": "active" if item.stopped is None else "stopped",
        "medicationCodeableConcept": {"text": item.name},
    }
    if item.stopped is not None:
        resource["effectivePeriod"] = {"end": item.stopped.isoformat()}
    if item.dose:
        resource["dosage"] = [{"text": item.dose}]
    return resource


def _observation_resource(category: str, code: dict[str, Any], observed: date | None) -> dict[str, Any]:
    resource: dict[str, Any] = {"resourceType": "Observation", "status": "final", "code": code}
    if category:
        resource["category"] = [{"coding": [{"system": TERMS + "observation-category", "code": category}]}]
    if observed is not None:
        resource["effectiveDateTime"] = observed.isoformat()
    return resource


def _vital_sign(code: str, text: str, value: float, unit: str, observed: date | None) -> dict[str, Any]:
    concept = {"coding": [{"system": LOINC, "code": code}], "text": text}
    quantity = {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}
    return {**_observation_resource("vital-signs", concept, observed), "valueQuantity": quantity}


def _score_resource(item: Score) -> dict[str, Any]:
    concept: dict[str, Any] = {"text": item.instrument}
    if item.instrument == PAIN_SCORE:
        concept["coding"] = [{"system": LOINC, "code": PAIN}]
    return {
        **_observation_resource("survey", concept, item.observed),
        "valueQuantity": {"value": item.total},
        "extension": [
            {"url": OWN + "score-minimum", "valueDecimal": item.minimum},
            {"url": OWN + "score-maximum", "valueDecimal": item.maximum},
        ],
    }


def _finding_resource(item: Finding) -> dict[str, Any]:
    standard = item.kind if item.kind in ("laboratory", "exam") else ""
    resource = _observation_resource(standard, {"text": item.name}, item.observed)
    kind = {"coding": [{"system": OWN + "finding-kind", "code": item.kind}]}
    resource["category"] = [*resource.get("category", []), kind]
    own = {"finding-side": item.side, "finding-level": item.level}
    if item.value is None and not item.unit:
        resource["valueString"] = item.result
    else:
        number = {} if item.value is None else {"value": item.value}
        resource["valueQuantity"] = {**number, **({"unit": item.unit} if item.unit else {})}
        own["finding-result"] = item.result
    extensions = [{"url": OWN + name, "valueString": text} for name, text in own.items() if text is not None]
    return {**resource, **({"extension": extensions} if extensions else {})}
