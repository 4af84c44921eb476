"""The first tables, and triggers that keep what must never change."""

from __future__ import annotations

from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0001_first_tables"
down_revision = None

APPEND_ONLY = ("audit", "case_versions", "plans", "approvals", "documents")
TEXTS = {
    "audit": "at user_id user_name role mode origin action what kind case_id patient_id object "
    "outcome detail previous hash",
    "case_versions": "body hash files reason made_at made_by seal",
    "plans": "key hash record basis summary files made_at made_by seal",
    "approvals": "body user_id files seal",
    "documents": "body hash made_at made_by seal",
    "drafts": "body updated_at seal",
    "shares": "seal",
    "patients": "name seal",
    "users": "name folded_name role password identity seal",
    "sessions": "user_id principal opened_at expires_at",
}


def _texts(names: str) -> Iterator[sa.Column[str]]:
    return (sa.Column(name, sa.Text, nullable=False) for name in names.split())


def _number(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False)


def _big(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, autoincrement=False, nullable=False)


def _of_case(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=f"fk_{table}_case_id")


def upgrade() -> None:
    """Make everything."""
    _cases()
    _parts_of_a_case()
    _people()
    _trail()
    for table in APPEND_ONLY:
        _keep(table)


def _cases() -> None:
    op.create_table(
        "cases",
        *_texts("id owner_id"),
        _number("version"),
        *_texts("title patient_id nerve side level technique state follow_up_from search updated_at"),
        _number("demonstration"),
        *_texts("trashed_at seal"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_cases_patient_id", "cases", ["patient_id"])
    op.create_index("ix_cases_trashed_at_updated_at_id", "cases", ["trashed_at", "updated_at", "id"])
    op.create_index(
        "ix_cases_trashed_at_owner_id_updated_at_id", "cases", ["trashed_at", "owner_id", "updated_at", "id"]
    )
    op.create_index(
        "ix_cases_trashed_at_state_updated_at_id", "cases", ["trashed_at", "state", "updated_at", "id"]
    )
    op.create_table("blobs", *_texts("sha256"), _big("size"), sa.PrimaryKeyConstraint("sha256"))


def _parts_of_a_case() -> None:
    for table, texts, numbers in (
        ("case_versions", "", ("version",)),
        ("documents", "kind", ("version",)),
        ("drafts", "user_id kind", ()),
        ("plans", "", ("number", "case_version")),
        ("shares", "user_id", ()),
    ):
        key = ["case_id", *texts.split(), *(name for name in numbers if name != "case_version")]
        op.create_table(
            table,
            *_texts(f"case_id {texts}"),
            *(_number(name) for name in numbers),
            *_texts(TEXTS[table]),
            _of_case(table),
            sa.PrimaryKeyConstraint(*key),
        )
    op.create_index("ix_shares_user_id_case_id", "shares", ["user_id", "case_id"])
    op.create_table(
        "approvals",
        *_texts("case_id"),
        _number("number"),
        *_texts(TEXTS["approvals"]),
        sa.ForeignKeyConstraint(
            ["case_id", "number"], ["plans.case_id", "plans.number"], name="fk_approvals_case_id"
        ),
        sa.PrimaryKeyConstraint("case_id", "number"),
    )


def _people() -> None:
    op.create_table(
        "patients", *_texts(f"patient_id {TEXTS['patients']}"), sa.PrimaryKeyConstraint("patient_id")
    )
    op.create_table(
        "users",
        *_texts(f"id {TEXTS['users']}"),
        _number("disabled"),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("folded_name"),
    )
    op.create_table("sessions", *_texts(f"token {TEXTS['sessions']}"), sa.PrimaryKeyConstraint("token"))
    op.create_index("ix_sessions_user_id", "sessions", ["user_id"])


def _trail() -> None:
    op.create_table("audit", _big("seq"), *_texts(TEXTS["audit"]), sa.PrimaryKeyConstraint("seq"))
    op.create_index("ix_audit_case_id_seq", "audit", ["case_id", "seq"])
    head = op.create_table(
        "audit_head",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        _big("seq"),
        *_texts("hash"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])


def _keep(table: str) -> None:
    """Refuse every change and removal of a row, whoever asks."""
    said = f"rows of {table} are never changed or removed"
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            f"CREATE FUNCTION keep_{table}() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{said}'; END $$"
        )
        op.execute(
            f"CREATE TRIGGER keep_{table} BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION keep_{table}()"
        )
        return
    for what in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER keep_{table}_{what.lower()} BEFORE {what} ON {table} "
            f"BEGIN SELECT RAISE(ABORT, '{said}'); END"
        )


def downgrade() -> None:
    """Remove everything; for tests of the way back only."""
    for table in (
        "approvals", "shares", "plans", "drafts", "documents", "case_versions", "users", "sessions",
        "patients", "cases", "blobs", "audit_head", "audit",
    ):  # fmt: skip
        op.drop_table(table)
    if op.get_bind().dialect.name == "postgresql":
        for table in APPEND_ONLY:
            op.execute(f"DROP FUNCTION keep_{table}()")
