"""The tables. Times are ISO texts in UTC, bodies canonical JSON: the same bytes on every database.

Every row that must not change unseen carries ``seal``, the SHA-256 of its other columns, which ``check``
recomputes; the audit trail has its own chain instead, and sessions and the trail's head need none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa

from neurolysis.errors import InputError
from neurolysis.quantity import canonical_json

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
    }
)


def _text(name: str, **options: Any) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, **options)


def _number(name: str, **options: Any) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, **options)


def _case_id(**options: Any) -> sa.Column[str]:
    return sa.Column("case_id", sa.Text, sa.ForeignKey("cases.id"), nullable=False, **options)


cases = sa.Table(
    "cases",
    metadata,
    _text("id", primary_key=True),
    _text("owner_id"),
    _number("version"),
    _text("title"),
    _text("patient_id"),
    _text("nerve"),
    _text("side"),
    _text("level"),
    _text("technique"),
    _text("state"),
    _text("follow_up_from"),
    _text("search"),
    _text("updated_at"),
    _number("demonstration"),
    _text("trashed_at"),
    _text("seal"),
    sa.Index(None, "trashed_at", "updated_at", "id"),
    sa.Index(None, "trashed_at", "owner_id", "updated_at", "id"),
    sa.Index(None, "trashed_at", "state", "updated_at", "id"),
    sa.Index(None, "patient_id"),
)
"""The newest version of each case in short: what the list shows and searches."""

patients = sa.Table("patients", metadata, _text("patient_id", primary_key=True), _text("name"), _text("seal"))
"""Names this site put to its pseudonyms; they never enter a case file or an export."""

case_versions = sa.Table(
    "case_versions",
    metadata,
    _case_id(primary_key=True),
    _number("version", primary_key=True),
    _text("body"),
    _text("hash"),
    _text("files"),
    _text("reason"),
    _text("made_at"),
    _text("made_by"),
    _text("seal"),
)

blobs = sa.Table(
    "blobs", metadata, _text("sha256", primary_key=True), sa.Column("size", sa.BigInteger, nullable=False)
)

shares = sa.Table(
    "shares",
    metadata,
    _case_id(primary_key=True),
    _text("user_id", primary_key=True),
    _text("seal"),
    sa.Index(None, "user_id", "case_id"),
)

drafts = sa.Table(
    "drafts",
    metadata,
    _case_id(primary_key=True),
    _text("user_id", primary_key=True),
    _text("kind", primary_key=True),
    _text("body"),
    _text("updated_at"),
    _text("seal"),
)

plans = sa.Table(
    "plans",
    metadata,
    _case_id(primary_key=True),
    _number("number", primary_key=True),
    _number("case_version"),
    _text("key"),
    _text("hash"),
    _text("record"),
    _text("basis"),
    _text("summary"),
    _text("files"),
    _text("made_at"),
    _text("made_by"),
    _text("seal"),
)
"""``record`` is the SHA-256 of the plan's record, kept as a file; ``basis`` what the plan was made from."""

approvals = sa.Table(
    "approvals",
    metadata,
    _text("case_id", primary_key=True),
    _number("number", primary_key=True),
    _text("body"),
    _text("user_id"),
    _text("files"),
    _text("seal"),
    sa.ForeignKeyConstraint(["case_id", "number"], ["plans.case_id", "plans.number"]),
)

documents = sa.Table(
    "documents",
    metadata,
    _case_id(primary_key=True),
    _text("kind", primary_key=True),
    _number("version", primary_key=True),
    _text("body"),
    _text("hash"),
    _text("made_at"),
    _text("made_by"),
    _text("seal"),
)

users = sa.Table(
    "users",
    metadata,
    _text("id", primary_key=True),
    _text("name"),
    _text("folded_name", unique=True),
    _text("role"),
    _text("password"),
    _text("identity"),
    _number("disabled"),
    _text("seal"),
)

sessions = sa.Table(
    "sessions",
    metadata,
    _text("token", primary_key=True),
    _text("user_id"),
    _text("principal"),
    _text("opened_at"),
    _text("expires_at"),
    sa.Index(None, "user_id"),
)
"""``token`` is the SHA-256 of what the browser holds: a copy of this table opens nothing."""

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    _text("at"),
    _text("user_id"),
    _text("user_name"),
    _text("role"),
    _text("mode"),
    _text("origin"),
    _text("action"),
    _text("what"),
    _text("kind"),
    _text("case_id"),
    _text("patient_id"),
    _text("object"),
    _text("outcome"),
    _text("detail"),
    _text("previous"),
    _text("hash"),
    sa.Index(None, "case_id", "seq"),
)

audit_head = sa.Table(
    "audit_head",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("seq", sa.BigInteger, nullable=False),
    _text("hash"),
)
"""One row: where the trail ends, so that rows cut off its end are missed; its lock orders writers."""

SEALED = (cases, patients, case_versions, shares, drafts, plans, approvals, documents, users)
"""Tables whose rows carry a seal."""


def sealed(values: Mapping[str, Any]) -> dict[str, Any]:
    """The row with its seal; ``values`` are all its other columns. InputError: a text with NUL."""
    rest = {name: value for name, value in values.items() if name != "seal"}
    for name, value in rest.items():
        if isinstance(value, str) and clean(value) != value:
            raise InputError("a text holds what no database keeps (NUL, half a character)", where=name)
    return {**rest, "seal": hashlib.sha256(canonical_json(rest).encode()).hexdigest()}


def clean(text: str) -> str:
    """The text with what no database keeps (NUL, half a surrogate pair) replaced."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode("utf-8")
