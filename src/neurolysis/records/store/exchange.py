"""One case as one file: every version, plan, approval, document and file; bit-equal after a round trip.

The file is a ZIP without compression, with fixed dates and sorted names, so that the same content always
gives the same bytes. Names of patients, drafts and the audit trail stay in the store.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any
from uuid import uuid4

import sqlalchemy as sa

from neurolysis.errors import ConflictError, InputError, OutputError
from neurolysis.quantity import canonical_json
from neurolysis.records.store import arrival
from neurolysis.records.store.base import Work
from neurolysis.records.store.blobs import sync_folder
from neurolysis.records.store.cases import CaseMethods, refresh
from neurolysis.records.store.tables import approvals, blobs, case_versions, cases, documents, plans
from neurolysis.records.store.values import Principal, StoredCase

MANIFEST = "case.json"
FORMAT, FORMAT_VERSION = "neurolysis-case", 1
PARTS: Mapping[str, sa.Table] = {
    "versions": case_versions, "plans": plans, "approvals": approvals, "documents": documents,
}  # fmt: skip
DATE = (1980, 1, 1, 0, 0, 0)


class ExchangeMethods(CaseMethods):
    """Taking cases out and in."""

    def export_case(self, p: Principal, id: str, path: Path) -> Path:
        """Write a case with all its history to one file, which appears whole or not at all.

        Raises:
            NotFoundError, ForbiddenError. InputError: a file of the store is missing or damaged.
            OutputError: it could not be written; nothing is left.
        """
        with self.work(p, "export_case", "read", "case", "export", id) as work:
            manifest = _manifest(work, work.case_row())
            work.object = f"version {len(manifest['parts']['versions'])}"
        self._write(manifest, path)
        return path

    def import_case(self, p: Principal, path: Path) -> StoredCase:
        """Take in a case that was exported, with all its history; it then belongs to this user.

        Everything is checked before anything is kept: hashes, models, and that no approval stands on a
        plan whose stops forbid it. A file with approvals needs a role that may approve.

        Raises:
            InputError: not such a file, or damaged; the place is named. ConflictError: the id is taken.
            ForbiddenError.
        """
        self.check_first(p, "import_case", "case", "create", "")
        with arrival.opened(path) as archive:
            manifest = arrival.checked_manifest(archive, MANIFEST, FORMAT, FORMAT_VERSION)
            if manifest["parts"]["approvals"]:
                self.check_first(p, "import_case", "plan", "approve", "")
            for sha256, size in manifest["blobs"].items():
                self._take(archive, sha256, size)
        arrival.check_plans(manifest, self.blobs)
        return self._keep(p, manifest)

    def _keep(self, p: Principal, manifest: Mapping[str, Any]) -> StoredCase:
        id, parts = manifest["id"], manifest["parts"]
        with self.work(p, "import_case", "create", "case", "create", id) as work:
            work.require()
            if work.connection.execute(sa.select(cases.c.id).where(cases.c.id == id)).first():
                raise ConflictError("there is a case of this id", where=id)
            names = sorted({json.loads(row["body"])["name"] for row in parts["approvals"]})
            work.detail = f"approvals in it by {', '.join(names)}" if names else ""
            row = {"id": id, "owner_id": p.user_id, "trashed_at": "", "updated_at": manifest["updated_at"]}
            blank = {column.name: "" for column in cases.c if column.name not in row}
            work.connection.execute(cases.insert(), {**blank, **row, "version": 0, "demonstration": 0})
            self.add_blob_rows(work, manifest["blobs"].items())
            for name, table in PARTS.items():
                for part in parts[name]:
                    work.insert(table, case_id=id, **part)
            fresh = refresh(work, row)
            work.patient_id = fresh["patient_id"]
            return self._stored(work, fresh, None)

    def _take(self, archive: zipfile.ZipFile, sha256: str, size: int) -> None:
        with archive.open(f"blobs/{sha256}") as stream:
            found = self.blobs.add_chunks(arrival.chunks(stream, size, sha256))
        if found != (sha256, size):
            raise InputError("a file in it does not fit its name", where=sha256, found=found[0])

    def _write(self, manifest: Mapping[str, Any], path: Path) -> None:
        fresh = path.with_name(f".{path.name}.{uuid4().hex}.new")
        try:
            with fresh.open("xb") as stream:
                self._fill(stream, manifest)
                stream.flush()
                os.fsync(stream.fileno())
            fresh.replace(path)
            sync_folder(path.absolute().parent)
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror or error}", where=str(path)) from error
        finally:
            if fresh.exists():
                fresh.unlink()

    def _fill(self, stream: IO[bytes], manifest: Mapping[str, Any]) -> None:
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(zipfile.ZipInfo(MANIFEST, DATE), canonical_json(manifest))
            for sha256, size in manifest["blobs"].items():
                problem = self.blobs.problem(sha256, size)
                if problem:
                    raise InputError(f"a file of the case {problem}", where=sha256)
                entry = zipfile.ZipInfo(f"blobs/{sha256}", DATE)
                entry.file_size = size
                with archive.open(entry, "w") as target, self.blobs.place(sha256).open("rb") as source:
                    while chunk := source.read(1 << 20):
                        target.write(chunk)


def _manifest(work: Work, row: Mapping[str, Any]) -> dict[str, Any]:
    parts = {name: list(_rows(work, table)) for name, table in PARTS.items()}
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "id": row["id"],
        "updated_at": row["updated_at"],
        "parts": parts,
        "blobs": _sizes(work, arrival.blobs_of(parts)),
    }


def _rows(work: Work, table: sa.Table) -> Iterator[dict[str, Any]]:
    query = sa.select(table).where(table.c.case_id == work.case_id).order_by(*table.primary_key)
    for row in work.connection.execute(query).mappings():
        yield {name: value for name, value in row.items() if name not in ("case_id", "seal")}


def _sizes(work: Work, names: set[str]) -> dict[str, int]:
    query = sa.select(blobs.c.sha256, blobs.c.size).where(blobs.c.sha256.in_(sorted(names)))
    return {row.sha256: row.size for row in work.connection.execute(query.order_by(blobs.c.sha256))}
