"""The audit trail: every deed leaves its line, and no line can be changed, removed or added unseen."""

from __future__ import annotations

import hashlib
import inspect
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from neurolysis.errors import ConflictError, ForbiddenError, NotFoundError
from neurolysis.records.store import Principal, Store
from neurolysis.records.store import audit as chain
from neurolysis.records.store.tables import audit, audit_head

from .store_kit import LOCAL, case, enrol, files, person, record

ANNA, BERT, ADA = person("Anna"), person("Bert"), person("Ada", "administrator")


@pytest.fixture
def used(store: Store, tmp_path: Path) -> Store:
    """A store with a few lines in its trail."""
    store.create_case(ANNA, case(), files(tmp_path / "in"))
    for k in range(6):
        store.read_case(ANNA, "case-1")
        store.save_draft(ANNA, "case-1", f"case-{k}", {"k": k})
    return store


def deeds(tmp_path: Path) -> dict[str, Callable[[Store, Principal], Any]]:
    """Every method that touches a case, by name."""
    out = tmp_path / "out"
    out.mkdir(exist_ok=True)

    def folder(store: Store, p: Principal) -> None:
        with store.case_folder(p, "case-1"):
            pass

    return {
        "list_cases": lambda s, p: s.list_cases(p),
        "read_case": lambda s, p: s.read_case(p, "case-1"),
        "save_case": lambda s, p: s.save_case(p, "case-1", case(), s.read_case(p, "case-1").version),
        "case_versions": lambda s, p: s.case_versions(p, "case-1"),
        "case_folder": folder,
        "name_patient": lambda s, p: s.name_patient(p, "case-1", "Erika"),
        "share_case": lambda s, p: s.share_case(p, "case-1", "id-x"),
        "unshare_case": lambda s, p: s.unshare_case(p, "case-1", "id-x"),
        "case_holders": lambda s, p: s.case_holders(p, "case-1"),
        "save_draft": lambda s, p: s.save_draft(p, "case-1", "k", 1),
        "read_drafts": lambda s, p: s.read_drafts(p, "case-1"),
        "drop_draft": lambda s, p: s.drop_draft(p, "case-1", "k"),
        "save_document": lambda s, p: s.save_document(p, "case-1", "consent", {"case_id": "case-1"}, 0),
        "read_document": lambda s, p: s.read_document(p, "case-1", "outcome"),
        "document_versions": lambda s, p: s.document_versions(p, "case-1", "outcome"),
        "add_plan": lambda s, p: s.add_plan(p, "case-1", 1, record(case())),
        "list_plans": lambda s, p: s.list_plans(p, "case-1"),
        "read_plan": lambda s, p: s.read_plan(p, "case-1", 1),
        "plan_status": lambda s, p: s.plan_status(p, "case-1", 1),
        "approve_plan": lambda s, p: s.approve_plan(p, "case-1", 1, p.name, "all looked at together"),
        "plan_file": lambda s, p: s.plan_file(p, "case-1", 1, "report.html"),
        "export_case": lambda s, p: s.export_case(p, "case-1", out / "case.zip"),
        "trash_case": lambda s, p: s.trash_case(p, "case-1"),
        "restore_case": lambda s, p: s.restore_case(p, "case-1"),
    }


BY_ITSELF = {"create_case", "import_case", "case_state", "read_draft", "check_first", "audit_rows",
             "add_user",
             "list_users", "set_role", "set_disabled", "set_password", "open_session"}  # fmt: skip
"""Methods with a principal that are tested elsewhere, or only call others."""


def test_every_method_that_takes_a_principal_is_among_the_deeds(tmp_path: Path) -> None:
    methods = {
        name
        for name, method in inspect.getmembers(Store, inspect.isfunction)
        if not name.startswith("_") and "p" in inspect.signature(method).parameters
    }
    assert methods - BY_ITSELF == set(deeds(tmp_path))


def test_every_deed_leaves_exactly_its_line(store: Store, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("r")
    store.create_case(ANNA, case(), files(tmp_path / "in"))
    store.add_plan(ANNA, "case-1", 1, record(case()), {"report.html": tmp_path / "report.html"})
    enrol(store, person("x"))
    for name, deed in deeds(tmp_path).items():
        before = store.audit_head()[0]
        try:
            deed(store, ANNA)
        except ConflictError:
            continue
        lines = store.audit_rows(LOCAL, after=before)
        own = [line for line in lines if line.what == name]
        assert own, f"{name} left no line"
        assert {(line.user_id, line.outcome) for line in own} == {(ANNA.user_id, "done")}
        if name != "list_cases":
            assert {line.case_id for line in own} == {"case-1"}
            assert {line.patient_id for line in own} == {"patient-of-case-1"}
    assert store.verify_audit() == ()


def test_every_refusal_leaves_its_line_too(store: Store, tmp_path: Path) -> None:
    store.create_case(ANNA, case(), files(tmp_path / "in"))
    for name, deed in deeds(tmp_path).items():
        if name == "list_cases":
            continue
        before = store.audit_head()[0]
        with pytest.raises(NotFoundError):
            deed(store, BERT)
        lines = store.audit_rows(LOCAL, after=before)
        assert [(line.user_id, line.outcome, line.case_id) for line in lines] == [
            (BERT.user_id, "refused", "case-1")
        ], name
    with pytest.raises(ForbiddenError):
        store.audit_rows(ANNA)
    assert store.audit_rows(ADA, "case-1")[0].what == "create_case"


def test_lines_hold_no_names_of_patients_and_no_content(used: Store) -> None:
    used.name_patient(ANNA, "case-1", "Erika Mustermann")
    used.save_draft(ANNA, "case-1", "case-x", "a secret sentence")
    text = "".join(row.model_dump_json() for row in used.audit_rows(LOCAL))
    assert "Erika" not in text
    assert "secret sentence" not in text


def test_lines_of_many_writers_at_once_form_one_chain(store: Store) -> None:
    def write(k: int) -> None:
        for n in range(10):
            store.create_case(person(f"P{k}"), case(f"case-{k}-{n}", image=None, labels=()))

    threads = [threading.Thread(target=write, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.audit_head()[0] == 40
    assert store.verify_audit() == ()
    assert [row.seq for row in store.audit_rows(LOCAL)] == list(range(1, 41))


def unlocked(store: Store, *texts: str) -> None:
    """What somebody does who owns the database: take off the triggers, then change it."""
    with store.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("ALTER TABLE audit DISABLE TRIGGER ALL"))
        else:
            for name in ("update", "delete"):
                connection.execute(sa.text(f"DROP TRIGGER IF EXISTS keep_audit_{name}"))
        for text in texts:
            connection.execute(sa.text(text))


def test_a_change_of_any_column_is_found(used: Store) -> None:
    for column in [c.name for c in audit.c if c.name not in ("seq", "previous", "hash")]:
        unlocked(used, f"UPDATE audit SET {column} = {column} || 'x' WHERE seq = 5")  # noqa: S608 (a name of ours)
        assert [problem.where for problem in used.verify_audit()] == ["audit line 5"], column
        back = f"substr({column}, 1, length({column}) - 1)"
        unlocked(used, f"UPDATE audit SET {column} = {back} WHERE seq = 5")  # noqa: S608 (a name of ours)
        assert used.verify_audit() == ()


@pytest.mark.parametrize(
    "texts",
    [
        ["DELETE FROM audit WHERE seq = 5"],
        ["DELETE FROM audit WHERE seq = (SELECT max(seq) FROM audit)"],
        ["DELETE FROM audit"],
        ["UPDATE audit SET seq = 1000 WHERE seq = 5"],
        ["UPDATE audit SET seq = -5 WHERE seq = 5", "UPDATE audit SET seq = 5 WHERE seq = 6",
         "UPDATE audit SET seq = 6 WHERE seq = -5"],
        ["UPDATE audit SET hash = previous WHERE seq = 5"],
        ["DELETE FROM audit_head"],
        ["UPDATE audit_head SET seq = seq + 1"],
        ["INSERT INTO audit SELECT 1000, at, user_id, user_name, role, mode, origin, action, what, kind, "
         " case_id, patient_id, object, outcome, detail, previous, hash FROM audit WHERE seq = 5"],
    ],
)  # fmt: skip
def test_lines_removed_moved_or_added_are_found(used: Store, texts: list[str]) -> None:
    unlocked(used, *texts)
    assert used.verify_audit() != ()
    assert [problem for problem in used.check() if problem.severity == "error"] != []


def test_a_trail_written_anew_is_found_by_a_line_noted_elsewhere(used: Store) -> None:
    number, noted = used.audit_head()
    unlocked(used)
    with used.engine.begin() as connection:
        lines = [dict(row) for row in connection.execute(sa.select(audit).order_by(audit.c.seq)).mappings()]
        previous = chain.START
        for line in lines:
            line["user_name"] = "somebody else"
            line["previous"] = previous
            previous = line["hash"] = chain.line_hash(line)
        connection.execute(audit.delete())
        connection.execute(audit.insert(), lines)
        connection.execute(audit_head.update().values(hash=previous))
    assert used.verify_audit() == (), "the chain alone cannot tell"
    found = used.verify_audit({number: noted})
    assert [problem.text for problem in found] == [
        "it is not the line noted elsewhere: the trail was written anew"
    ]
    assert used.verify_audit({number + 5: noted})[-1].text == "a line noted elsewhere is missing"


# ---------------------------------------------------------------- damage anywhere


@pytest.mark.parametrize("flips", [12, pytest.param(1000, marks=pytest.mark.verify)])
def test_any_flipped_byte_of_what_the_store_holds_is_found(tmp_path: Path, flips: int) -> None:
    """Bytes of the database that hold rows, and every byte of the files; a flip is put back after each."""
    store = Store.open(folder=tmp_path / "s")
    store.create_case(ANNA, case(), files(tmp_path / "in"))
    store.name_patient(ANNA, "case-1", "Erika Mustermann")
    store.add_plan(ANNA, "case-1", 1, record(case()))
    store.approve_plan(ANNA, "case-1", 1, "Anna", "all looked at together")
    store.save_document(ANNA, "case-1", "outcome", {"case_id": "case-1"}, 0)
    store.save_draft(ANNA, "case-1", "k", {"typed": "text"})
    enrol(store, person("Bert"))
    store.share_case(ANNA, "case-1", "id-Bert")
    store.add_user(LOCAL, "Carla", "planner", "correct horse battery")
    store.close()
    database = tmp_path / "s/store.sqlite"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    assert Store.open(folder=tmp_path / "s").check() == ()
    marks = _places_of_content(database)
    assert len(marks) > 60
    for place in random.Random(3).sample(marks, min(flips, len(marks))):  # noqa: S311 (no secret)
        assert _found_when_flipped(tmp_path / "s", database, place), f"byte {place} of the database"
    for blob in Store.open(folder=tmp_path / "s").blobs.folder.glob("[0-9a-f][0-9a-f]/*"):
        blob.chmod(0o644)
        for place in range(0, blob.stat().st_size, max(1, blob.stat().st_size // (2 + flips // 20))):
            assert _found_when_flipped(tmp_path / "s", blob, place), f"byte {place} of {blob.name}"


def _places_of_content(database: Path) -> list[int]:
    """Where in the file the texts of rows stand (not free space, which holds nothing)."""
    content, found = database.read_bytes(), []
    with sqlite3.connect(database) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in set(tables) - {"alembic_version", "audit_head", "sessions"}:
            for row in connection.execute(f"SELECT * FROM {table}"):  # noqa: S608 (a name of ours)
                for value in row:
                    start = content.find(value.encode()) if isinstance(value, str) and len(value) > 8 else -1
                    unique = start >= 0 and content.count(value.encode()) == 1
                    found += [start + k for k in range(0, len(value.encode()), 9)] if unique else []
    connection.close()
    return found


def _found_when_flipped(folder: Path, file: Path, place: int) -> bool:
    content = file.read_bytes()
    changed = bytearray(content)
    changed[place] ^= 0x01
    file.write_bytes(changed)
    try:
        store = Store.open(folder=folder)
        found = [problem for problem in store.check() if problem.severity == "error"]
        store.close()
    except Exception:  # it cannot even be opened: found
        found = ["opening"]  # type: ignore[list-item]
    file.write_bytes(content)
    return bool(found)


def test_a_missing_or_foreign_file_is_found(used: Store) -> None:
    blob = next(used.blobs.folder.glob("[0-9a-f][0-9a-f]/*"))
    content = blob.read_bytes()
    blob.unlink()
    assert [problem.text for problem in used.check()] == ["is missing"]
    blob.write_bytes(content + b"!")
    assert "bytes, not" in used.check()[0].text
    blob.write_bytes(content)
    extra = used.blobs.add_bytes(b"left by a crash")[0]
    assert extra == hashlib.sha256(b"left by a crash").hexdigest()
    assert [problem.severity for problem in used.check()] == ["note"]
