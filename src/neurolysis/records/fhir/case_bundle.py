"""A whole case as one bundle, and back: the resources say what FHIR can say, the case file says the rest.

Reading lets both speak. A field whose resources still say what the case file says keeps the case file's
value (resources say less); a field that was edited elsewhere takes what the resources now say, element by
element. So a case comes back equal, and work done in another system is not lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from neurolysis.case import Case, Patient
from neurolysis.case_fhir import Ignored
from neurolysis.errors import InputError
from neurolysis.quantity import canonical_json
from neurolysis.records.fhir.documents import case_of_document, is_case_document
from neurolysis.records.fhir.native import NATIVE, native_case
from neurolysis.records.fhir.record import CaseRecord, Record
from neurolysis.records.fhir.resources import everything, resources_of
from neurolysis.records.fhir.terms import OWN, Resource

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_CARRIERS = ("Patient", "Condition", "AllergyIntolerance", "MedicationStatement", "Observation",
             "QuestionnaireResponse", "ServiceRequest")  # fmt: skip


@dataclass(frozen=True)
class ReadCase:
    """A case read from a bundle.

    Attributes:
        ignored: what was left out, with the reason.
        changed: fields whose resources say something else than the case file beside them.
        from_case_file: whether the bundle held a case file of this program.
    """

    case: Case
    ignored: tuple[Ignored, ...]
    changed: tuple[str, ...] = ()
    from_case_file: bool = False


# ---------------------------------------------------------------- writing


def collection(record: Record) -> Resource:
    """A Bundle (collection) of all resources of a case."""
    return _bundle(record, "collection")


def transaction(record: Record) -> Resource:
    """A Bundle (transaction) that creates all resources of a case on another server."""
    bundle = _bundle(record, "transaction")
    for entry in bundle["entry"]:
        entry["request"] = {"method": "POST", "url": entry["resource"]["resourceType"]}
    return bundle


def _bundle(record: Record, kind: str) -> Resource:
    resources = everything(record)
    urls = {f"{r['resourceType']}/{r['id']}": _url(record, r) for r in resources}
    entries = [{"fullUrl": _url(record, r), "resource": _pointed(r, urls)} for r in resources]
    bundle = {"resourceType": "Bundle", "type": kind, "entry": entries}
    identifier = {"system": OWN + "case", "value": record.case.id}
    return bundle if kind == "transaction" else {**bundle, "identifier": identifier}


def _url(record: Record, resource: Resource) -> str:
    name = f"{OWN}{record.case_id}:{resource['resourceType']}/{resource['id']}"
    return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"


def _pointed(value: Any, urls: Mapping[str, str]) -> Any:
    """The same with references by the addresses within the bundle."""
    if isinstance(value, dict):
        return {
            key: urls.get(item, item)
            if key == "reference" and isinstance(item, str)
            else _pointed(item, urls)
            for key, item in value.items()
        }
    return [_pointed(item, urls) for item in value] if isinstance(value, list) else value


# ---------------------------------------------------------------- reading


def read_case(bundle: Any) -> ReadCase:
    """The case in a bundle of one patient; nothing is kept of a bundle that cannot be read.

    Raises:
        InputError: not a bundle, no patient or several, a case file that is damaged or about somebody else.
    """
    checked = checked_bundle(bundle)
    files = [entry["resource"] for entry in checked["entry"] if is_case_document(entry["resource"])]
    rest = [entry for entry in checked["entry"] if not is_case_document(entry["resource"])]
    if len(files) > 1:
        raise InputError("more than one case file in the bundle", where="Bundle.entry", found=len(files))
    try:
        found, ignored = native_case({**checked, "entry": rest})
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError("not as FHIR has it", where="Bundle", found=type(error).__name__) from error
    if not files:
        return ReadCase(found, ignored)
    _require_same_patient(files[0], checked)
    case = case_of_document(files[0])
    merged, changed = _merged(case, found)
    return ReadCase(merged, ignored, changed, from_case_file=True)


def checked_bundle(bundle: Any) -> Resource:
    """The bundle, when its entries are resources.

    Raises:
        InputError: saying which entry is not.
    """
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        found = bundle.get("resourceType") if isinstance(bundle, dict) else type(bundle).__name__
        raise InputError("not a FHIR bundle", where="resourceType", found=found, allowed="Bundle")
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise InputError("not a list", where="Bundle.entry", found=type(entries).__name__)
    for number, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise InputError("not an entry with a resource", where=f"Bundle.entry[{number}]")
    return {**bundle, "entry": entries}


def _require_same_patient(document: Resource, bundle: Resource) -> None:
    subject = document.get("subject")
    about = subject.get("reference") if isinstance(subject, dict) else None
    for entry in bundle["entry"]:
        resource = entry["resource"]
        own = (entry.get("fullUrl"), f"Patient/{resource.get('id')}")
        if resource["resourceType"] == "Patient" and about not in own:
            raise InputError(
                "the case file is about somebody else", where="DocumentReference.subject", found=about
            )


def without_files(case: Case) -> tuple[Case, tuple[str, ...]]:
    """The case without what rests on files (a bundle holds none), and the fields that were taken out."""
    fields = ("image", "labels", "structures")
    blank = {name: Case.model_fields[name].get_default() for name in fields}
    gone = tuple(name for name in fields if getattr(case, name) != blank[name])
    return (case.replace(**{name: blank[name] for name in gone}) if gone else case), gone


# ---------------------------------------------------------------- case file and resources together


def _merged(case: Case, found: Case) -> tuple[Case, tuple[str, ...]]:
    """The case with the fields that its resources changed."""
    expected = _projection(case)
    changes: dict[str, Any] = {}
    for field in NATIVE:
        was, now = getattr(expected, field), getattr(found, field)
        if not _same(was, now):
            changes[field] = _edited(case, field, now) if isinstance(now, tuple) else now
    patient = _merged_patient(case.patient, expected.patient, found.patient)
    if patient != case.patient:
        changes["patient"] = patient
    return case.replace(**changes), tuple(changes)


def _projection(case: Case) -> Case:
    """What the resources of a case alone give."""
    record = CaseRecord(case.id, 1, _EPOCH, case)
    resources = [resource for kind in _CARRIERS for resource in resources_of(record, kind)]
    entries = [{"fullUrl": f"{r['resourceType']}/{r['id']}", "resource": r} for r in resources]
    identifier = {"system": OWN + "case", "value": case.id}
    return native_case({"resourceType": "Bundle", "identifier": identifier, "entry": entries})[0]


def _same(was: Any, now: Any) -> bool:
    """Equal, lists without regard to order (another server keeps none)."""
    if isinstance(was, tuple) and isinstance(now, tuple):
        return _texts(was) == _texts(now)
    return bool(was == now)


def _texts(items: Iterable[Any]) -> set[str]:
    return {_text(item) for item in items}


def _text(item: Any) -> str:
    return canonical_json(item if isinstance(item, str) else item.model_dump(mode="json"))


def _edited(case: Case, field: str, now: tuple[Any, ...]) -> tuple[Any, ...]:
    """The elements of the case file that are still there, then the new ones."""
    there = _texts(now)
    kept, said = [], set()
    for item in getattr(case, field) or ():
        alone = Case(id=case.id, patient=Patient(id=case.patient.id)).replace(**{field: (item,)})
        shown = getattr(_projection(alone), field) or ()
        said |= _texts(shown)
        if _texts(shown) <= there:
            kept.append(item)
    return (*kept, *(item for item in now if _text(item) not in said))


def _merged_patient(case: Patient, was: Patient, now: Patient) -> Patient:
    names = [name for name in Patient.model_fields if getattr(was, name) != getattr(now, name)]
    return case.replace(**{name: getattr(now, name) for name in names})
