"""Checks of an exported case before anything of it is kept: form, hashes, models, approvals."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from pydantic import Field

from neurolysis.approval import Approval, Basis, open_stops
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.outcome import Outcome
from neurolysis.procedure import Consent, Procedure
from neurolysis.quantity import Value, parse
from neurolysis.records.store.blobs import Blobs
from neurolysis.records.store.names import checked_names, require_files
from neurolysis.records.store.reading import checked_hash, notices_of

MOST_BYTES = 16 << 30
MOST_ENTRIES = 200_000
LONGEST_MANIFEST = 512 << 20
HASH = r"^[0-9a-f]{64}$"
TIME = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$"
DOCUMENTS: Mapping[str, type[Value]] = {"procedure": Procedure, "outcome": Outcome, "consent": Consent}


class _Version(Value):
    version: int = Field(ge=1)
    body: str
    hash: str = Field(pattern=HASH)
    files: str
    reason: str
    made_at: str = Field(pattern=TIME)
    made_by: str


class _Plan(Value):
    number: int = Field(ge=1)
    case_version: int = Field(ge=1)
    key: str
    hash: str = Field(pattern=HASH)
    record: str = Field(pattern=HASH)
    basis: str
    summary: str
    files: str
    made_at: str = Field(pattern=TIME)
    made_by: str


class _Approval(Value):
    number: int = Field(ge=1)
    body: str
    user_id: str
    files: str


class _Document(Value):
    kind: str
    version: int = Field(ge=1)
    body: str
    hash: str = Field(pattern=HASH)
    made_at: str = Field(pattern=TIME)
    made_by: str


class _Parts(Value):
    versions: tuple[_Version, ...] = Field(min_length=1)
    plans: tuple[_Plan, ...]
    approvals: tuple[_Approval, ...]
    documents: tuple[_Document, ...]


class _Manifest(Value):
    format: str
    format_version: int
    id: str = Field(min_length=1, max_length=240)
    updated_at: str = Field(pattern=TIME)
    parts: _Parts
    blobs: dict[str, int]


@contextmanager
def opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """The archive. InputError where it is none, or where reading finds it damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, KeyError) as error:
        raise InputError(f"not an exported case, or damaged: {error}", where=str(path)) from error
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(path)) from error


def checked_manifest(archive: zipfile.ZipFile, name: str, format: str, version: int) -> dict[str, Any]:
    """The manifest as plain data, checked as far as it can be without the files.

    Raises:
        InputError: naming the place.
    """
    entries = archive.infolist()
    _check_entries(entries, name)
    if archive.getinfo(name).file_size > LONGEST_MANIFEST:
        raise InputError("its list is too long", where=name)
    try:
        data = json.loads(archive.read(name))
    except (ValueError, RecursionError) as error:
        raise InputError(f"not readable as JSON: {error}", where=name) from error
    manifest = parse(_Manifest, data, name)
    if (manifest.format, manifest.format_version) != (format, version):
        found = f"{manifest.format} {manifest.format_version}"
        raise InputError(
            "not an exported case of this program", where=name, found=found, allowed=f"{format} {version}"
        )
    _check_versions(manifest)
    _check_documents(manifest)
    plain = manifest.model_dump(mode="json")
    _check_blobs(plain, entries, name)
    return plain


def _check_entries(entries: list[zipfile.ZipInfo], manifest: str) -> None:
    if len(entries) > MOST_ENTRIES or sum(entry.file_size for entry in entries) > MOST_BYTES:
        raise InputError(
            "too much in it", where=manifest, allowed=f"{MOST_ENTRIES} files, {MOST_BYTES} bytes"
        )
    names = [entry.filename for entry in entries]
    if manifest not in names or len(set(names)) < len(names):
        raise InputError(
            "not an exported case", where=manifest, found=f"{len(names)} files", allowed=manifest
        )
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise InputError("not an exported case: those are not compressed", where=manifest)


def _check_versions(manifest: _Manifest) -> None:
    for k, row in enumerate(manifest.parts.versions, start=1):
        where = f"version {k}"
        if row.version != k:
            raise InputError("a version is missing or stands twice", where=where, found=row.version)
        case = parse(Case, _json(row.body, where), where)
        _require(_sha(row.body) == row.hash, where)
        _require(case.id == manifest.id, where)
        require_files(case, checked_names(_files(row.files, where)))


def _check_documents(manifest: _Manifest) -> None:
    seen: dict[str, int] = {}
    for row in manifest.parts.documents:
        where = f"{row.kind} version {row.version}"
        _require(row.kind in DOCUMENTS and row.version == seen.get(row.kind, 0) + 1, where)
        seen[row.kind] = row.version
        value = parse(DOCUMENTS[row.kind], _json(row.body, where), where)
        _require(_sha(row.body) == row.hash, where)
        _require(getattr(value, "case_id", None) == manifest.id, where)


def _check_blobs(manifest: Mapping[str, Any], entries: list[zipfile.ZipInfo], name: str) -> None:
    sizes = {
        entry.filename.removeprefix("blobs/"): entry.file_size for entry in entries if entry.filename != name
    }
    _require(sizes == manifest["blobs"], "blobs")
    _require(blobs_of(manifest["parts"]) == set(manifest["blobs"]), "blobs")


def blobs_of(parts: Mapping[str, Iterable[Mapping[str, Any]]]) -> set[str]:
    """Hashes of every file that the rows name."""
    named = {
        sha
        for part in ("versions", "plans", "approvals")
        for row in parts[part]
        for sha in _files(row["files"], part).values()
    }
    return named | {row["record"] for row in parts["plans"]}


def check_plans(manifest: Mapping[str, Any], blobs: Blobs) -> None:
    """Plans against their records, and approvals against what the domain allows. InputError."""
    parts, id = manifest["parts"], manifest["id"]
    approved = {row["number"]: row for row in parts["approvals"]}
    for k, row in enumerate(parts["plans"], start=1):
        where = f"plan {k}"
        record = _json(blobs.read(row["record"]).decode("utf-8", "replace"), where)
        _require(row["number"] == k and checked_hash(record, id) == row["hash"], where)
        _require(row["case_version"] <= len(parts["versions"]), where)
        parse(Basis, _json(row["basis"], where), where)
        _json(row["summary"], where)
        checked_names(_files(row["files"], where))
        if k in approved:
            _check_approval(approved.pop(k), row["hash"], record, where)
    _require(not approved, "approvals")


def _check_approval(row: Mapping[str, Any], plan_hash: str, record: Mapping[str, Any], where: str) -> None:
    approval = parse(Approval, _json(row["body"], where), f"{where}: approval")
    _require(approval.plan_hash == plan_hash, f"{where}: approval")
    remaining = open_stops(notices_of(record), approval.overrides)
    if remaining:
        codes = ", ".join(stop.code for stop in remaining)
        raise InputError("it says approved, and stops forbid that", where=where, found=codes)


def chunks(stream: IO[bytes], size: int, where: str) -> Iterator[bytes]:
    """The stream's bytes, never more than it said it has. InputError."""
    left = size
    while chunk := stream.read(min(1 << 20, left + 1)):
        left -= len(chunk)
        if left < 0:
            raise InputError("a file in it is longer than it says", where=where)
        yield chunk


def _files(text: str, where: str) -> dict[str, str]:
    data = _json(text, where)
    good = isinstance(data, dict) and all(isinstance(v, str) and len(v) == 64 for v in data.values())
    _require(good, f"{where}: files")
    return dict(data)


def _json(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"not readable as JSON: {error}", where=where) from error


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _require(good: bool, where: str) -> None:
    if not good:
        raise InputError("the parts of the exported case do not fit each other", where=where)
