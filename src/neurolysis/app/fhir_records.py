"""The FHIR facade over the store: read, search, all of a patient, and a transaction that becomes a case.

Every access goes through the store's methods, which check who asks and leave the trail. An object of somebody
else is answered as one that is not there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any

from neurolysis.case import Case
from neurolysis.errors import ForbiddenError, InputError, NotFoundError
from neurolysis.outcome import Outcome
from neurolysis.procedure import Consent, Procedure
from neurolysis.quantity import parse
from neurolysis.records.fhir.record import PlanItem
from neurolysis.records.fhir.terms import Resource, case_of_key, key_of_id, patient_key

if TYPE_CHECKING:
    from neurolysis.records.fhir.search import Search
    from neurolysis.records.store.store import Store
    from neurolysis.records.store.values import AuditRow, Document, DocumentKind, Principal, StoredCase

MOST_CASES = 200
"""Most cases one search reads; a search that would need more must name patients or ids."""
MOST_LINES = 20_000
"""Most lines of the audit trail one search reads."""
PAGE = 500
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""How NUL stands in JSON: its escape, after an even number of backslashes."""


class StoredRecord:
    """A case in the store as the mappings read it; parts are read when they are first asked for.

    What the user's role may not see (a patient sees no plans) is as if it were not there.
    """

    def __init__(self, store: Store, who: Principal, stored: StoredCase) -> None:
        self._store, self._who, self._stored = store, who, stored

    @property
    def case_id(self) -> str:
        """The store's id of the case."""
        return self._stored.id

    @property
    def version(self) -> int:
        """Version of the case."""
        return self._stored.version

    @property
    def updated_at(self) -> datetime:
        """When this version was saved."""
        return self._stored.updated_at

    @property
    def case(self) -> Case:
        """The case itself."""
        return self._stored.case

    @cached_property
    def plans(self) -> tuple[PlanItem, ...]:
        """Its plans, oldest first."""
        try:
            rows = self._store.list_plans(self._who, self.case_id)
        except ForbiddenError:
            return ()
        return tuple(self._plan(row.number) for row in sorted(rows, key=lambda row: row.number))

    def _plan(self, number: int) -> PlanItem:
        plan = self._store.read_plan(self._who, self.case_id, number)
        recheck = self._store.plan_status(self._who, self.case_id, number).recheck
        row = plan.row
        return PlanItem(number, row.mark, row.made_at, plan.record, recheck, tuple(row.files))

    @cached_property
    def outcome(self) -> Outcome | None:
        """What was seen after delivery, if anything."""
        found = self._document("outcome")
        return None if found is None else parse(Outcome, dict(found.value), f"{self.case_id}: outcome")

    @cached_property
    def procedure(self) -> Procedure | None:
        """The record of the room."""
        found = self._document("procedure")
        return None if found is None else parse(Procedure, dict(found.value), f"{self.case_id}: procedure")

    @cached_property
    def consent(self) -> Consent | None:
        """The consent."""
        found = self._document("consent")
        return None if found is None else parse(Consent, dict(found.value), f"{self.case_id}: consent")

    def _document(self, kind: DocumentKind) -> Document | None:
        try:
            return self._store.read_document(self._who, self.case_id, kind)
        except ForbiddenError:
            return None


# ---------------------------------------------------------------- reading


def read_resource(store: Store, who: Principal, kind: str, id: str, server: str) -> Resource:
    """One resource.

    Args:
        server: the address of this server, for the audit trail's events.

    Raises:
        NotFoundError: no such kind or resource, or it is somebody else's.
        ForbiddenError: the role may not see this kind.
    """
    from neurolysis.records.fhir.questionnaires import questionnaires
    from neurolysis.records.fhir.resources import BUILDERS, KINDS, SHARED, resources_of

    if kind not in KINDS:
        raise NotFoundError("this server has no such kind of resource", where=kind, allowed=KINDS)
    found: Sequence[Resource]
    if kind in SHARED:
        found = tuple(questionnaires())
    elif kind in BUILDERS:
        record = _record(store, who, key_of_id(id))
        found = [] if record is None else resources_of(record, kind)
    else:
        found = _event(store, who, id, server)
    for resource in found:
        if resource["id"] == id:
            return resource
    raise NotFoundError("no such resource", where=f"{kind}/{id}"[:120])


def _record(store: Store, who: Principal, key: str) -> StoredRecord | None:
    """The record behind a Patient's id; None where there is none this user may know of."""
    case_id = case_of_key(key)
    if case_id is None and key.startswith("-h"):
        case_id = next((row for row in _case_ids(store, who) if patient_key(row) == key), None)
    if case_id is None:
        return None
    try:
        stored = store.read_case(who, case_id)
    except NotFoundError:
        return None
    return None if stored.trashed else StoredRecord(store, who, stored)


def _case_ids(store: Store, who: Principal, query: str = "") -> Iterator[str]:
    offset = 0
    while True:
        page = store.list_cases(who, query, offset=offset, limit=PAGE)
        yield from (row.id for row in page.rows)
        offset += len(page.rows)
        if not page.rows or offset >= page.total:
            return


def everything_of(store: Store, who: Principal, id: str, base: str) -> Resource:
    """All resources of one Patient as a searchset.

    Raises:
        NotFoundError: no such Patient, or somebody else's.
    """
    from neurolysis.records.fhir.resources import everything

    record = _record(store, who, id)
    if record is None:
        raise NotFoundError("no such resource", where=f"Patient/{id}"[:120])
    entries = [
        {"fullUrl": f"{base}/{r['resourceType']}/{r['id']}", "resource": r, "search": {"mode": "match"}}
        for r in everything(record)
    ]
    link = [{"relation": "self", "url": f"{base}/Patient/{id}/$everything"}]
    head = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
    return {**head, "link": link, "entry": entries}


def stored_case(store: Store, who: Principal, id: str) -> Case:
    """The case behind a Patient's id.

    Raises:
        NotFoundError: no such Patient, or somebody else's.
    """
    record = _record(store, who, id)
    if record is None:
        raise NotFoundError("no such resource", where=f"Patient/{id}"[:120])
    return record.case


def case_collection(store: Store, who: Principal, case_id: str) -> Resource:
    """A Bundle (collection) of a case by its id in the store, for the export from the page.

    Raises:
        NotFoundError: no such case, or somebody else's.
    """
    from neurolysis.records.fhir.case_bundle import collection

    return collection(StoredRecord(store, who, store.read_case(who, case_id)))


# ---------------------------------------------------------------- searching


def search(store: Store, who: Principal, kind: str, asked: Sequence[tuple[str, str]], base: str) -> Resource:
    """A page of the resources of one kind that fit; patients of other users are as if they were not there.

    Args:
        asked: names and values of the query, as sent.
        base: address of the facade, for links.

    Raises:
        NotFoundError: no such kind. UnknownNameError, InputError: see :func:`parse_search`.
        TooCostlyError: too many cases would have to be read.
    """
    from neurolysis.records.fhir.questionnaires import questionnaires
    from neurolysis.records.fhir.resources import KINDS, SHARED, TRAIL
    from neurolysis.records.fhir.search import found_in, page_of, parse_search, searchset

    if kind not in KINDS:
        raise NotFoundError("this server has no such kind of resource", where=kind, allowed=KINDS)
    wanted = parse_search(kind, asked)
    if _all_patients(wanted):
        return _patients_page(store, who, wanted, base)
    if kind in SHARED:
        found = found_in(wanted, questionnaires())
    elif kind in TRAIL:
        found = found_in(wanted, _events(store, who, wanted, base.removesuffix("/fhir")))
    else:
        found = found_in(wanted, _candidates(store, who, wanted))
    return searchset(wanted, page_of(wanted, found), len(found), base)


def _all_patients(wanted: Search) -> bool:
    return wanted.kind == "Patient" and not wanted.matches and not wanted.sort


def _patients_page(store: Store, who: Principal, wanted: Search, base: str) -> Resource:
    """All Patients need no scan: only the cases of this page are read."""
    from neurolysis.records.fhir.clinical import patient
    from neurolysis.records.fhir.search import searchset

    limit = 0 if wanted.count_only else wanted.count
    page = store.list_cases(who, offset=wanted.offset, limit=limit)
    records = (_record(store, who, patient_key(row.id)) for row in page.rows)
    return searchset(wanted, [patient(record) for record in records if record], page.total, base)


def _candidates(store: Store, who: Principal, wanted: Search) -> Iterator[Resource]:
    """Resources of the cases that may hold what is searched."""
    from neurolysis.records.fhir.resources import resources_of

    for key in _keys(store, who, wanted):
        record = _record(store, who, key)
        if record is not None:
            yield from resources_of(record, wanted.kind)


def _keys(store: Store, who: Principal, wanted: Search) -> list[str]:
    """Ids of the Patients to look at: as named by patient or id, by a pseudonym, else all there are."""
    from neurolysis.records.fhir.issues import TooCostlyError

    named: set[str] | None = None
    for ids in (wanted.patients, None if wanted.ids is None else {key_of_id(id) for id in wanted.ids}):
        if ids is not None:
            named = set(ids) if named is None else named & set(ids)
    if named is not None:
        keys = sorted(named)
    else:
        rows = _case_ids(store, who, _pseudonym(wanted))
        keys = [patient_key(row) for _, row in zip(range(MOST_CASES + 1), rows, strict=False)]
    if len(keys) > MOST_CASES:
        raise TooCostlyError(
            "too many cases would have to be read",
            where=wanted.kind,
            found=f"more than {MOST_CASES}",
            allowed="a search by patient (subject) or _id",
        )
    return keys


def _pseudonym(wanted: Search) -> str:
    """A word that every case must have: the pseudonym in a search for an identifier, without its system."""
    if wanted.kind != "Patient":
        return ""
    values = [value for name, value in wanted.asked if name == "identifier" and "," not in value]
    return values[0].rpartition("|")[2] if values else ""


# ---------------------------------------------------------------- the audit trail


def _event(store: Store, who: Principal, id: str, server: str) -> list[Resource]:
    from neurolysis.records.fhir.audit_event import audit_event

    number = id.removeprefix("audit-")
    if not (number.isascii() and number.isdecimal() and len(number) < 16) or not id.startswith("audit-"):
        store.audit_rows(who, limit=0)  # who may not see the trail learns nothing about its ids
        return []
    rows = store.audit_rows(who, after=int(number) - 1, limit=1)
    return [audit_event(row, server) for row in rows]


def _events(store: Store, who: Principal, wanted: Search, server: str) -> Iterator[Resource]:
    """Events newest last; of one patient alone where the search names one."""
    from neurolysis.records.fhir.audit_event import audit_event
    from neurolysis.records.fhir.issues import TooCostlyError

    patients = wanted.patients
    only = case_of_key(next(iter(patients))) if patients is not None and len(patients) == 1 else None
    for count, row in enumerate(_lines(store, who, only)):
        if count >= MOST_LINES:
            raise TooCostlyError(
                "the trail is too long for this search", where="AuditEvent", allowed="patient"
            )
        yield audit_event(row, server)


def _lines(store: Store, who: Principal, case_id: str | None) -> Iterator[AuditRow]:
    """Lines of the trail as it stood at the first one: reading it adds lines of its own."""
    after, end = 0, None
    while True:
        rows = store.audit_rows(who, case_id, after=after)
        if not rows:
            return
        end = store.audit_head()[0] if end is None else end
        for row in rows:
            if row.seq > end:
                return
            yield row
        after = rows[-1].seq


# ---------------------------------------------------------------- importing


@dataclass(frozen=True)
class ImportedBundle:
    """A case made of a bundle: the answer to the client, and what a person must know."""

    stored: StoredCase
    response: Resource
    remarks: tuple[str, ...]


def import_bundle(store: Store, who: Principal, bundle: Any, *, strict: bool = False) -> ImportedBundle:
    """A new case from a transaction or collection of one patient: the whole case, or nothing at all.

    Args:
        strict: refuse a bundle of which anything would be left out.

    Raises:
        InputError: the bundle; nothing was stored. ForbiddenError: the role may not make cases.
    """
    from neurolysis.records.fhir.case_bundle import without_files
    from neurolysis.records.fhir.transaction import read_transaction, remarks_of, transaction_response

    found = read_transaction(bundle, strict=strict)
    case, _ = without_files(found.case)
    stored = store.create_case(who, case)
    response = transaction_response(bundle, found, stored.id, stored.version)
    return ImportedBundle(stored, response, remarks_of(found))


def parse_json(text: bytes) -> Any:
    """JSON from the wire.

    Raises:
        InputError: not JSON, nested too deeply, or with what is no text (NUL, half of a surrogate pair).
    """
    import json

    try:
        data = json.loads(text)
        written = json.dumps(data, ensure_ascii=False)
        written.encode()
    except (ValueError, RecursionError) as error:
        raise InputError("not JSON", where="body", found=type(error).__name__) from error
    if _NUL.search(written):
        raise InputError("a text holds the character NUL", where="body")
    return data
