"""Documents of a case (procedure, outcome, consent) by version, and drafts of what is being typed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from neurolysis.errors import ConflictError, InputError, NotFoundError, UnknownNameError
from neurolysis.quantity import Value, canonical_json, parse
from neurolysis.records.store.arrival import DOCUMENTS as MODELS
from neurolysis.records.store.base import LARGEST, Work
from neurolysis.records.store.cases import CaseMethods, refresh
from neurolysis.records.store.permissions import require_fields
from neurolysis.records.store.tables import documents, drafts
from neurolysis.records.store.values import DOCUMENT_KINDS, Document, DocumentKind, Draft, Principal

DRAFT_KIND = re.compile(r"[a-z0-9-]{1,40}")
DRAFT_BYTES = 4_000_000


class DocumentMethods(CaseMethods):
    """What can be done with documents and drafts."""

    def save_document(
        self,
        p: Principal,
        case_id: str,
        kind: DocumentKind,
        value: Value | Mapping[str, Any],
        expected_version: int,
    ) -> Document:
        """A new version of a document.

        Args:
            value: a Procedure, Outcome or Consent, or its plain data.
            expected_version: of the version that was read; 0 for the first.

        Raises:
            InputError: a field, or of another case. ConflictError: not at ``expected_version``.
            NotFoundError, ForbiddenError.
        """
        checked = _checked(kind, value, case_id)
        with self.work(p, "save_document", "update", kind, "write", case_id) as work:
            row = work.case_row()
            before = _document(work, kind, None)
            version = before.version if before else 0
            if version != expected_version:
                raise ConflictError(
                    f"the {kind} was changed since it was read (version {expected_version})",
                    current=version, where=case_id,
                )  # fmt: skip
            data = checked.model_dump(mode="json")
            require_fields(p, kind, before.value if before else _blank(kind, case_id), data)
            work.object = f"version {version + 1}"
            work.insert(
                documents, case_id=case_id, kind=kind, version=version + 1, body=checked.canonical_json(),
                hash=checked.content_hash(), made_at=work.at, made_by=p.name,
            )  # fmt: skip
            refresh(work, {**row, "updated_at": work.at})
            saved = _document(work, kind, version + 1)
        assert saved is not None  # noqa: S101 (it was written above)
        return saved

    def read_document(
        self, p: Principal, case_id: str, kind: DocumentKind, version: int | None = None
    ) -> Document | None:
        """A document, its newest version or an older one; None where there is none yet.

        Raises:
            NotFoundError: no such case, or no such version. ForbiddenError.
        """
        _require_kind(kind)
        with self.work(p, "read_document", "read", kind, "read", case_id) as work:
            work.case_row()
            found = _document(work, kind, version)
            if found is None and version is not None:
                raise NotFoundError(f"no such version of the {kind}", where=case_id, found=version)
            work.object = f"version {found.version}" if found else "none"
            return found

    def document_versions(self, p: Principal, case_id: str, kind: DocumentKind) -> tuple[Document, ...]:
        """Every version of a document, oldest first. NotFoundError, ForbiddenError."""
        _require_kind(kind)
        with self.work(p, "document_versions", "read", kind, "read", case_id) as work:
            work.case_row()
            query = sa.select(documents).where(documents.c.case_id == case_id, documents.c.kind == kind)
            rows = work.connection.execute(query.order_by(documents.c.version)).mappings()
            return tuple(_as_document(row) for row in rows)

    def save_draft(self, p: Principal, case_id: str, kind: str, data: Any) -> Draft:
        """Keep what this user has typed, as it is. InputError, NotFoundError, ForbiddenError."""
        body = _draft_body(kind, data)
        with self.work(p, "save_draft", "update", "draft", "write", case_id) as work:
            work.case_row()
            work.object = kind
            work.put(drafts, case_id=case_id, user_id=p.user_id, kind=kind, body=body, updated_at=work.at)
            return Draft(case_id=case_id, kind=kind, data=data, updated_at=work.now)

    def read_draft(self, p: Principal, case_id: str, kind: str) -> Draft | None:
        """What this user had typed; None where there is nothing. NotFoundError, ForbiddenError."""
        return self.read_drafts(p, case_id).get(kind)

    def read_drafts(self, p: Principal, case_id: str) -> dict[str, Draft]:
        """Everything this user had typed for a case, by kind. NotFoundError, ForbiddenError."""
        with self.work(p, "read_drafts", "read", "draft", "read", case_id) as work:
            work.case_row()
            query = sa.select(drafts).where(drafts.c.case_id == case_id, drafts.c.user_id == p.user_id)
            rows = work.connection.execute(query.order_by(drafts.c.kind)).mappings().all()
        return {
            row["kind"]: Draft(
                case_id=case_id, kind=row["kind"], data=json.loads(row["body"]), updated_at=row["updated_at"]
            )
            for row in rows
        }

    def drop_draft(self, p: Principal, case_id: str, kind: str) -> None:
        """Forget what this user had typed; nothing happens where there is nothing."""
        with self.work(p, "drop_draft", "delete", "draft", "write", case_id) as work:
            work.case_row()
            work.object = kind
            key = (drafts.c.case_id == case_id, drafts.c.user_id == p.user_id, drafts.c.kind == kind)
            work.connection.execute(drafts.delete().where(*key))


def _blank(kind: str, case_id: str) -> dict[str, Any]:
    """The document before anything was written."""
    return parse(MODELS[kind], {"case_id": case_id}, kind).model_dump(mode="json")


def _require_kind(kind: str) -> None:
    if kind not in DOCUMENT_KINDS:
        raise UnknownNameError("no such kind of document", found=kind, allowed=DOCUMENT_KINDS)


def _checked(kind: DocumentKind, value: Value | Mapping[str, Any], case_id: str) -> Value:
    _require_kind(kind)
    data = value.model_dump(mode="json") if isinstance(value, Value) else value
    checked = parse(MODELS[kind], data, kind)
    own = getattr(checked, "case_id", None)
    if own != case_id:
        raise InputError(
            f"the {kind} is of another case", where=f"{kind}.case_id", found=own, allowed=case_id
        )
    return checked


def _document(work: Work, kind: str, version: int | None) -> Document | None:
    query = sa.select(documents).where(documents.c.case_id == work.case_id, documents.c.kind == kind)
    if version is not None:
        query = query.where(documents.c.version == (version if 0 < version <= LARGEST else 0))
    row = (
        work.connection.execute(query.order_by(documents.c.version.desc()).limit(1)).mappings().one_or_none()
    )
    return None if row is None else _as_document(row)


def _as_document(row: Any) -> Document:
    return Document(
        case_id=row["case_id"],
        kind=row["kind"],
        version=row["version"],
        value=json.loads(row["body"]),
        made_at=row["made_at"],
        made_by=row["made_by"],
        hash=row["hash"],
    )


def _draft_body(kind: str, data: Any) -> str:
    if not DRAFT_KIND.fullmatch(kind):
        raise InputError(
            "not a kind of draft", found=kind[:80], allowed=f"letters, digits and '-': {DRAFT_KIND.pattern}"
        )
    try:
        body = canonical_json(data)
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"not JSON: {error}", where=f"draft {kind}") from error
    if len(body.encode("utf-8", "surrogatepass")) > DRAFT_BYTES or "\x00" in body:
        raise InputError("a draft is too long", where=f"draft {kind}", allowed=f"{DRAFT_BYTES} bytes")
    return body
