"""Small pieces of FHIR R4 that every mapping uses: codings, references, ids, extensions.

Elements and value sets are those of the R4 specification. Codes of this program have systems that start
with ``urn:neurolysis:``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from neurolysis.case_fhir import at
from neurolysis.quantity import canonical_json

OWN = "urn:neurolysis:"
LOINC = "http://loinc.org"
HL7 = "http://terminology.hl7.org/CodeSystem/"
UCUM = "http://unitsofmeasure.org"
DCM = "http://dicom.nema.org/resources/ontology/DCM"
FHIR_JSON = "application/fhir+json"

Resource = dict[str, Any]

_ESCAPES = {"-": "--", "_": "-u", ".": "-p"}
_LONGEST_KEY = 48
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}")


def patient_key(case_id: str) -> str:
    """The FHIR id of a case's Patient: the case id with ``-``, ``_`` and ``.`` escaped, or a digest if long.

    FHIR ids hold letters, digits, ``-`` and ``.``, 64 at most; the dot is kept to set parts apart.
    """
    key = "".join(_ESCAPES.get(letter, letter) for letter in case_id)
    return key if len(key) <= _LONGEST_KEY else f"-h{hashlib.sha256(case_id.encode()).hexdigest()[:40]}"


def case_of_key(key: str) -> str | None:
    """The case id behind a key; None where it was too long and is only a digest, or is no key at all."""
    if not _ID.fullmatch(key):
        return None
    found, rest = "", key
    back = {code: letter for letter, code in _ESCAPES.items()}
    while rest:
        if rest[0] != "-":
            found, rest = found + rest[0], rest[1:]
        elif rest[:2] in back:
            found, rest = found + back[rest[:2]], rest[2:]
        else:
            return None
    return found if found and patient_key(found) == key else None


def part_id(key: str, part: str) -> str:
    """Id of a resource of the case: the patient's key, a dot, and what names the part within the case."""
    return f"{key}.{part}"


def content_part(resource: Mapping[str, Any]) -> str:
    """A name for a resource from what it says: 12 hex digits. A changed statement is another resource."""
    return hashlib.sha256(canonical_json(dict(resource)).encode()).hexdigest()[:12]


def key_of_id(id: str) -> str:
    """The patient's key in the id of any resource."""
    return id.split(".", 1)[0]


def coding(system: str, code: str, display: str = "") -> Resource:
    """A Coding."""
    return {"system": system, "code": code, **({"display": display} if display else {})}


def concept(text: str = "", *codings: Resource) -> Resource:
    """A CodeableConcept of codings and words."""
    return {**({"coding": list(codings)} if codings else {}), **({"text": text} if text else {})}


def own(kind: str, code: str, display: str = "") -> Resource:
    """A Coding of this program."""
    return coding(OWN + kind, code, display)


def reference(kind: str, id: str, display: str = "") -> Resource:
    """A Reference to a resource of this server."""
    return {"reference": f"{kind}/{id}", **({"display": display} if display else {})}


def extension(name: str, value: object) -> Resource | None:
    """An Extension of this program; None for nothing to say."""
    url = OWN + name
    if value is None or value == "":
        return None
    if isinstance(value, bool):
        return {"url": url, "valueBoolean": value}
    if isinstance(value, int | float):
        return {"url": url, "valueDecimal": value}
    if isinstance(value, date):
        return {"url": url, "valueDateTime": moment(value)}
    return {"url": url, "valueString": str(value)}


def extensions(**values: object) -> Resource:
    """``{"extension": [...]}`` of the values that say something; names with ``-`` for ``_``."""
    found = [extension(name.replace("_", "-"), value) for name, value in values.items()]
    kept = [item for item in found if item is not None]
    return {"extension": kept} if kept else {}


def extension_value(resource: Mapping[str, Any], name: str) -> Any:
    """The value of an own extension, or None."""
    for item in listed(resource, "extension"):
        if at(item, "url") == OWN + name:
            return next((value for key, value in item.items() if key.startswith("value")), None)
    return None


def moment(time: date | datetime) -> str:
    """A FHIR dateTime: a day, or a time with its zone; a time without one is a day (FHIR demands a zone)."""
    if isinstance(time, datetime):
        return time.isoformat() if time.tzinfo else time.date().isoformat()
    return time.isoformat()


def instant(time: datetime) -> str:
    """A FHIR instant, to the millisecond; the time carries its zone (ValueError otherwise)."""
    if time.tzinfo is None:
        raise ValueError(f"an instant needs a time zone: {time}")
    return time.isoformat(timespec="milliseconds")


def notes(*texts: str) -> Resource:
    """``{"note": [...]}`` of the texts that say something."""
    kept = [{"text": text} for text in texts if text]
    return {"note": kept} if kept else {}


def listed(data: Any, *path: str | int) -> list[Any]:
    """The list at a path; empty where there is none."""
    found = at(data, *path)
    return found if isinstance(found, list) else []


def without_nothing(resource: Mapping[str, Any]) -> Resource:
    """The resource without elements that are None, empty text, list or object: FHIR allows none of these."""
    return {key: value for key, value in resource.items() if value is not None and value not in ("", [], {})}


def unique(resources: Iterable[Resource]) -> list[Resource]:
    """Resources by id, each once, in order."""
    return list({resource["id"]: resource for resource in resources}.values())
