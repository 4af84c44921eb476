"""Cases in the store: list, make, read, save, throw away and take back; every version is kept."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from neurolysis.case import Case
from neurolysis.errors import ConflictError, InputError, NotFoundError
from neurolysis.quantity import canonical_json
from neurolysis.records.store import state as state_module
from neurolysis.records.store.base import LARGEST, StoreBase, Work
from neurolysis.records.store.engine import snapshot
from neurolysis.records.store.folders import working_folder
from neurolysis.records.store.names import checked_names, flat, require_files
from neurolysis.records.store.tables import blobs, case_versions, cases, clean, patients, shares, users
from neurolysis.records.store.values import CasePage, CaseVersion, Principal, State, StoredCase

MOST_ROWS = 500
LONGEST_ID = 200


class CaseMethods(StoreBase):
    """What can be done with cases."""

    def list_cases(
        self,
        p: Principal,
        query: str = "",
        state: State | None = None,
        offset: int = 0,
        limit: int = 50,
        *,
        trashed: bool = False,
    ) -> CasePage:
        """This user's cases, newest first.

        Args:
            query: words that must all stand in id, title, patient, nerve, side, level or technique.
            trashed: list what is in the trash instead.

        Raises:
            ForbiddenError: the role sees no cases.
        """
        with self.work(p, "list_cases", "read", "case", "list") as work:
            work.require()
            day = self.today()
            where = [*_mine(p), *_words(query, self.engine.dialect.name), *_in_state(state, day.isoformat())]
            where.append(cases.c.trashed_at != "" if trashed else cases.c.trashed_at == "")
            total, ids = _found(work.connection, where, offset, limit)
            found = work.connection.execute(_rows_of(ids)).mappings().all()
            work.detail = f"{len(found)} shown"
            rows = tuple(state_module.case_row(dict(row), row["name"] or "", day) for row in found)
            return CasePage(total=total, rows=rows)

    def count_cases(self) -> int:
        """How many cases there are, those in the trash included; tells nothing of any of them."""
        with snapshot(self.engine) as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(cases)).scalar_one()

    def create_case(self, p: Principal, case: Case, files: Mapping[str, Path] | None = None) -> StoredCase:
        """A new case; ``files`` are those it names, by their name in the case folder.

        A folder stands for everything in it.

        An id that is taken gets a suffix, which the case then carries too.

        Raises:
            InputError: a file is missing or cannot be read. ForbiddenError: the role may not.
            OutputError: it could not be written; nothing is left.
        """
        self.check_first(p, "create_case", "case", "create", "")
        added = self._add_files(case, files or {}, {})
        return self._create(p, case, added)

    def _create(self, p: Principal, case: Case, files: Mapping[str, tuple[str, int]]) -> StoredCase:
        with self.work(p, "create_case", "create", "case", "create", case.id) as work:
            work.require()
            case = _with_free_id(work, case)
            work.case_id, work.patient_id = case.id, case.patient.id
            row = {"id": case.id, "owner_id": p.user_id, "trashed_at": "", "updated_at": work.at}
            blank = {column.name: "" for column in cases.c if column.name not in row}
            work.connection.execute(cases.insert(), {**blank, **row, "version": 0, "demonstration": 0})
            return self._add_version(work, row, 1, case, files, "")

    def read_case(self, p: Principal, id: str, version: int | None = None) -> StoredCase:
        """A case, its newest version or an older one. NotFoundError."""
        with self.work(p, "read_case", "read", "case", "read", id) as work:
            row = work.case_row()
            return self._stored(work, row, version)

    def save_case(
        self,
        p: Principal,
        id: str,
        case: Case,
        expected_version: int,
        files: Mapping[str, Path | None] | None = None,
        reason: str = "",
    ) -> StoredCase:
        """A new version of a case. Files of the version before stay; None takes one away.

        Raises:
            ConflictError: the case is not at ``expected_version`` any more, or ``case`` has another id.
            InputError: a file. NotFoundError, ForbiddenError. OutputError: nothing was written.
        """
        if case.id != id:
            raise ConflictError(f"the id of a case does not change (it says '{case.id}')", where=id)
        self.check_first(p, "save_case", "case", "write", id)
        given = dict(files or {})
        added = self._add_files(None, {name: path for name, path in given.items() if path is not None}, {})
        gone = {name for name, path in given.items() if path is None}
        with self.work(p, "save_case", "update", "case", "write", id) as work:
            row = work.case_row()
            _expect(row["version"], expected_version, id)
            before = self._sizes(work, self._files(work, id, row["version"]))
            kept = {name: blob for name, blob in before.items() if name not in gone}
            return self._add_version(work, row, row["version"] + 1, case, {**kept, **added}, reason)

    def case_versions(self, p: Principal, id: str) -> tuple[CaseVersion, ...]:
        """The history of a case, newest first. NotFoundError."""
        with self.work(p, "case_versions", "read", "case", "read", id) as work:
            work.case_row()
            c = case_versions.c
            query = sa.select(c.version, c.made_at, c.made_by, c.reason, c.hash).where(c.case_id == id)
            rows = work.connection.execute(query.order_by(c.version.desc())).mappings()
            return tuple(CaseVersion.model_validate(dict(row)) for row in rows)

    def trash_case(self, p: Principal, id: str) -> None:
        """Put a case into the trash; nothing of it is removed. NotFoundError, ForbiddenError."""
        with self.work(p, "trash_case", "delete", "case", "trash", id) as work:
            work.put(cases, **{**work.case_row(), "trashed_at": work.at})

    def restore_case(self, p: Principal, id: str) -> StoredCase:
        """Take a case out of the trash, as it was. NotFoundError, ForbiddenError."""
        with self.work(p, "restore_case", "update", "case", "restore", id) as work:
            row = {**work.case_row(trashed=True), "trashed_at": ""}
            work.put(cases, **row)
            return self._stored(work, row, None)

    def share_case(self, p: Principal, case_id: str, user_id: str) -> None:
        """Let another user hold this case, as the role of that user allows.

        Raises:
            NotFoundError: no such case, or nobody has an account of that id. ForbiddenError.
        """
        with self.work(p, "share_case", "update", "case", "share", case_id) as work:
            work.case_row()
            work.detail = user_id
            known = sa.select(users.c.id).where(users.c.id == clean(user_id))
            if work.connection.execute(known).first() is None:
                raise NotFoundError(
                    "no such user", where="user_id", found=user_id, allowed="the id of an account"
                )
            work.put(shares, case_id=case_id, user_id=user_id)

    def unshare_case(self, p: Principal, case_id: str, user_id: str) -> None:
        """Take a shared case away from another user, never from its owner. NotFoundError, ForbiddenError."""
        with self.work(p, "unshare_case", "update", "case", "share", case_id) as work:
            work.case_row()
            work.detail = user_id
            key = (shares.c.case_id == case_id, shares.c.user_id == clean(user_id))
            work.connection.execute(shares.delete().where(*key))

    def case_holders(self, p: Principal, case_id: str) -> tuple[str, ...]:
        """User ids: the owner, then those the case is shared with. NotFoundError, ForbiddenError."""
        with self.work(p, "case_holders", "read", "case", "share", case_id) as work:
            owner = work.case_row()["owner_id"]
            return (owner, *sorted(work.holders(owner) - {owner}))

    def case_state(self, p: Principal, id: str) -> State:
        """Where the case stands today. NotFoundError."""
        return self.read_case(p, id).state

    def name_patient(self, p: Principal, case_id: str, name: str) -> None:
        """Put this site's name to the pseudonym of a case's patient; it enters no case file and no export."""
        with self.work(p, "name_patient", "update", "patient", "write", case_id) as work:
            patient = work.case_row()["patient_id"]
            work.put(patients, patient_id=patient, name=name.strip())
            same = sa.select(cases).where(cases.c.patient_id == patient)
            for row in work.connection.execute(same).mappings().all():
                refresh(work, dict(row))

    @contextmanager
    def case_folder(self, p: Principal, id: str, version: int | None = None) -> Iterator[Path]:
        """A folder with ``case.yaml``, its files and its newest documents, for functions that take one.

        It is gone when the block ends; what is written into it is not kept. NotFoundError.
        """
        with self.work(p, "case_folder", "read", "case", "read", id) as work:
            stored = self._stored(work, work.case_row(), version)
            told = {
                kind: state_module.newest_document(work.connection, id, kind)
                for kind in ("outcome", "procedure", "consent")
            }
        with working_folder(self.folder, self.blobs, stored, told) as folder:
            yield folder

    # ------------------------------------------------------------------ parts

    def _add_files(
        self, case: Case | None, files: Mapping[str, Path], kept: Mapping[str, tuple[str, int]]
    ) -> dict[str, tuple[str, int]]:
        """Put files into the blobs; name to (hash, size). Nothing is stored when a name or file is wrong."""
        pairs = list(flat(files))
        names = checked_names(name for name, _ in pairs)
        if case is not None:
            require_files(case, (*names, *kept))
        return {name: self.blobs.add_file(path) for name, (_, path) in zip(names, pairs, strict=True)}

    def _add_version(
        self, work: Work, row: Mapping[str, Any], version: int, case: Case,
        files: Mapping[str, tuple[str, int]], reason: str,
    ) -> StoredCase:  # fmt: skip
        _require_short(case)
        checked_names(files)
        require_files(case, files)
        self.add_blob_rows(work, files.values())
        work.object = f"version {version}"
        work.insert(
            case_versions, case_id=case.id, version=version,
            body=case.canonical_json(), hash=case.content_hash(),
            files=canonical_json({name: blob for name, (blob, _) in files.items()}), reason=reason,
            made_at=work.at, made_by=work.principal.name,
        )  # fmt: skip
        fresh = refresh(work, {**row, "updated_at": work.at})
        return self._stored(work, fresh, version)

    def add_blob_rows(self, work: Work, files: Any) -> None:
        """Name blobs that are already on disk."""
        for sha256, size in sorted(set(files)):
            known = work.connection.execute(sa.select(blobs.c.size).where(blobs.c.sha256 == sha256)).first()
            if known is None:
                work.connection.execute(blobs.insert(), {"sha256": sha256, "size": size})

    def _files(self, work: Work, id: str, version: int) -> dict[str, str]:
        query = sa.select(case_versions.c.files).where(
            case_versions.c.case_id == id, case_versions.c.version == version
        )
        return dict(json.loads(work.connection.execute(query).scalar_one()))

    def _sizes(self, work: Work, files: Mapping[str, str]) -> dict[str, tuple[str, int]]:
        query = sa.select(blobs.c.sha256, blobs.c.size).where(blobs.c.sha256.in_(set(files.values())))
        sizes = {row.sha256: row.size for row in work.connection.execute(query)}
        return {name: (blob, sizes[blob]) for name, blob in files.items()}

    def _stored(self, work: Work, row: Mapping[str, Any], version: int | None) -> StoredCase:
        wanted = row["version"] if version is None else version
        query = sa.select(case_versions).where(
            case_versions.c.case_id == row["id"], case_versions.c.version == wanted
        )
        there = 0 < wanted <= LARGEST
        found = work.connection.execute(query).mappings().one_or_none() if there else None
        if found is None:
            raise NotFoundError(
                "no such version", where=row["id"], found=version, allowed=f"1 to {row['version']}"
            )
        work.object = f"version {wanted}"
        return StoredCase(
            id=row["id"],
            version=wanted,
            case=Case.model_validate_json(found["body"]),
            files=json.loads(found["files"]),
            state=state_module.state_on(row, self.today()),
            updated_at=found["made_at"],
            updated_by=found["made_by"],
            reason=found["reason"],
            trashed=bool(row["trashed_at"]),
        )


def refresh(work: Work, row: Mapping[str, Any]) -> dict[str, Any]:
    """Write the case's row anew from what is kept of it; ``row`` says whose it is and when it changed."""
    own = {name: row[name] for name in ("id", "owner_id", "updated_at", "trashed_at")}
    fresh = {**own, **state_module.derived_row(work.connection, row["id"])}
    work.put(cases, **fresh)
    return fresh


def _with_free_id(work: Work, case: Case) -> Case:
    """The case itself, or with a suffix to its id where that is taken."""
    free = case.id
    while work.connection.execute(sa.select(cases.c.id).where(cases.c.id == free)).first():
        free = f"{case.id}-{secrets.token_hex(3)}"
    return case if free == case.id else case.replace(id=free)


def _require_short(case: Case) -> None:
    """Ids are keys of the database; those beyond this length no index takes."""
    for where, id in (("id", case.id), ("patient.id", case.patient.id)):
        if len(id) > LONGEST_ID:
            raise InputError(
                "an id is too long", where=where, found=f"{len(id)} characters", allowed=f"{LONGEST_ID}"
            )


def _expect(version: int, expected: int, where: str) -> None:
    if version != expected:
        raise ConflictError(
            f"it was changed since it was read (version {expected})", current=version, where=where
        )


def _mine(p: Principal) -> list[sa.ColumnElement[bool]]:
    if p.mode == "single-user":
        return []
    shared = sa.select(shares.c.case_id).where(shares.c.user_id == p.user_id)
    return [sa.or_(cases.c.owner_id == p.user_id, cases.c.id.in_(shared))]


def _words(query: str, dialect: str) -> list[sa.ColumnElement[bool]]:
    """Each word stands somewhere in the row's words; nothing in it is a pattern."""
    place = sa.func.instr if dialect == "sqlite" else sa.func.strpos
    return [place(cases.c.search, word) > 0 for word in clean(query).casefold().split()]


def _in_state(wanted: State | None, today: str) -> list[sa.ColumnElement[bool]]:
    if wanted is None:
        return []
    if wanted not in ("delivered", state_module.DUE):
        return [cases.c.state == wanted]
    due = sa.and_(cases.c.follow_up_from != "", cases.c.follow_up_from <= today)
    return [cases.c.state == "delivered", due if wanted == state_module.DUE else sa.not_(due)]


def _found(
    connection: sa.Connection, where: list[sa.ColumnElement[bool]], offset: int, limit: int
) -> tuple[int, list[str]]:
    """(how many fit, ids of one page of them): what is skipped is never read beyond its index."""
    total = connection.execute(sa.select(sa.func.count()).select_from(cases).where(*where)).scalar_one()
    page = (
        sa.select(cases.c.id)
        .where(*where)
        .order_by(cases.c.updated_at.desc(), cases.c.id)
        .offset(min(max(offset, 0), LARGEST))
        .limit(min(max(limit, 0), MOST_ROWS))
    )
    return total, list(connection.execute(page).scalars()) if offset < total else []


def _rows_of(ids: list[str]) -> sa.Select[Any]:
    joined = cases.outerjoin(patients, patients.c.patient_id == cases.c.patient_id)
    query = sa.select(cases, patients.c.name).select_from(joined).where(cases.c.id.in_(ids))
    return query.order_by(cases.c.updated_at.desc(), cases.c.id)
