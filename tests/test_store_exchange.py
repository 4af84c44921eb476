"""One case as one file, backups, restore between the two kinds of database, and migrations."""

from __future__ import annotations

import json
import random
import threading
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.approval import Approval
from neurolysis.errors import ConflictError, ForbiddenError, InputError, NeurolysisError, OutputError
from neurolysis.quantity import canonical_json
from neurolysis.records.store import Store
from neurolysis.records.store.engine import downgrade, upgrade
from neurolysis.records.store.tables import SEALED, audit, metadata

from .store_kit import LOCAL, case, files, person, record, stop

ANNA, PAUL = person("Anna"), person("Paul", "planner")
LIMIT = stop("limit.temperature_c")


def filled(store: Store, folder: Path) -> Store:
    """A store with a case that has everything."""
    store.create_case(ANNA, case(), files(folder / "in"))
    store.save_case(
        ANNA, "case-1", case(notes="ü 1e300 \x7f"), 1, files(folder / "in2", "newer"), "newer images"
    )
    (folder / "report.html").write_text("report")
    of = store.read_case(ANNA, "case-1").case
    store.add_plan(ANNA, "case-1", 2, record(of, LIMIT), {"report.html": folder / "report.html"}, key="job")
    reason = "reviewed on the planning images"
    overrides = [{"code": LIMIT.code, "reason": reason}]
    store.approve_plan(
        ANNA, "case-1", 1, "Anna", reason, overrides, render=lambda a, f: {"report.html": a.name.encode()}
    )
    store.add_plan(ANNA, "case-1", 2, record(of))
    step = {"kind": "lesion", "start": "2026-03-04T10:00:00Z", "technique": "t", "instrument": "i"}
    store.save_document(ANNA, "case-1", "procedure", {"case_id": "case-1", "steps": [step]}, 0)
    store.save_document(ANNA, "case-1", "outcome", {"case_id": "case-1"}, 0)
    store.save_document(ANNA, "case-1", "outcome", {"case_id": "case-1", "clinician": "A"}, 1)
    store.save_draft(ANNA, "case-1", "k", "typed")
    store.name_patient(ANNA, "case-1", "Erika Mustermann")
    return store


def test_a_case_goes_out_and_in_bit_for_bit(new_store: Callable[..., Store], tmp_path: Path) -> None:
    one, other = filled(new_store("one"), tmp_path), new_store("other")
    first = one.export_case(ANNA, "case-1", tmp_path / "first.zip")
    taken = other.import_case(ANNA, first)
    second = other.export_case(ANNA, "case-1", tmp_path / "second.zip")
    assert first.read_bytes() == second.read_bytes()
    assert one.export_case(ANNA, "case-1", tmp_path / "third.zip").read_bytes() == first.read_bytes()
    assert taken == one.read_case(ANNA, "case-1")
    assert other.list_plans(ANNA, "case-1") == one.list_plans(ANNA, "case-1")
    assert other.plan_file(ANNA, "case-1", 1, "report.html").read_text() == "Anna"
    assert other.document_versions(ANNA, "case-1", "outcome") == one.document_versions(
        ANNA, "case-1", "outcome"
    )
    assert other.case_versions(ANNA, "case-1") == one.case_versions(ANNA, "case-1")
    assert other.read_drafts(ANNA, "case-1") == {}
    assert b"Erika" not in first.read_bytes(), "names stay at the site"
    assert "approvals in it by Anna" in [line.detail for line in other.audit_rows(LOCAL)]
    assert other.check() == ()
    with pytest.raises(ConflictError, match="of this id"):
        other.import_case(ANNA, first)


def test_a_case_of_sqlite_goes_into_postgresql(tmp_path: Path, postgres: Any) -> None:
    one = filled(Store.open(folder=tmp_path / "one"), tmp_path)
    other = Store.open(postgres.database(), tmp_path / "other")
    first = one.export_case(ANNA, "case-1", tmp_path / "first.zip")
    other.import_case(ANNA, first)
    assert other.export_case(ANNA, "case-1", tmp_path / "second.zip").read_bytes() == first.read_bytes()
    other.close()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported case."""
    folder = tmp_path_factory.mktemp("exported")
    store = filled(Store.open(folder=folder / "store"), folder)
    path = store.export_case(ANNA, "case-1", folder / "case.zip")
    store.close()
    return path


@pytest.fixture(scope="module")
def receiving(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store that must stay empty."""
    return Store.open(folder=tmp_path_factory.mktemp("receiving"))


def rewritten(exported: Path, out: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """The file with its manifest changed, otherwise well made."""
    with zipfile.ZipFile(exported) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if entry.filename == "case.json":
                data = json.loads(content)
                change(data)
                content = canonical_json(data).encode()
            new.writestr(entry, content)
    return out


def forge(manifest: dict[str, Any]) -> None:
    """Say that the second plan, which nobody looked at, is approved, and the first with no override."""
    row = manifest["parts"]["approvals"][0]
    approval = Approval.model_validate_json(row["body"])
    row["body"] = approval.replace(overrides=()).canonical_json()


def change_body(manifest: dict[str, Any]) -> None:
    """Change what a version says, but not its hash."""
    row = manifest["parts"]["versions"][0]
    row["body"] = row["body"].replace("left", "right")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (forge, "says approved, and stops forbid that"),
        (change_body, "do not fit each other"),
        (lambda m: m["parts"]["versions"].pop(0), "missing or stands twice"),
        (lambda m: m["parts"]["plans"].pop(0), "do not fit"),
        (lambda m: m.update(format="other"), "not an exported case of this program"),
        (lambda m: m.update(id="case-2"), "do not fit"),
        (lambda m: m.update(extra=1), "extra"),
        (lambda m: m["parts"]["documents"][0].update(kind="letter"), "do not fit"),
        (lambda m: m["parts"]["versions"][0].update(files='{"../x":"' + "0" * 64 + '"}'), "not a name"),
        (lambda m: m["parts"]["versions"][0].update(files="[1]"), "do not fit"),
        (lambda m: m["blobs"].popitem(), "do not fit"),
        (lambda m: m["parts"]["plans"][0].update(made_at="yesterday"), "made_at"),
        (lambda m: m["parts"]["plans"][0].update(basis="{}"), "case"),
    ],
)
def test_a_file_whose_parts_do_not_fit_is_refused(
    exported: Path, receiving: Store, tmp_path: Path, change: Callable[[dict[str, Any]], None], says: str
) -> None:
    bad = rewritten(exported, tmp_path / "bad.zip", change)
    with pytest.raises(InputError, match=says):
        receiving.import_case(LOCAL, bad)
    assert receiving.list_cases(LOCAL).total == 0


def test_who_may_not_approve_takes_in_no_approvals(exported: Path, receiving: Store) -> None:
    with pytest.raises(ForbiddenError):
        receiving.import_case(PAUL, exported)
    assert receiving.list_cases(LOCAL).total == 0


@settings(max_examples=60)
@given(st.integers(min_value=0), st.integers(0, 7))
def test_a_file_with_any_bit_changed_is_refused_or_the_same(
    exported: Path, receiving: Store, place: int, bit: int
) -> None:
    content = bytearray(exported.read_bytes())
    content[place % len(content)] ^= 1 << bit
    bad = exported.with_name("flipped.zip")
    bad.write_bytes(content)
    try:
        taken = receiving.import_case(LOCAL, bad)
    except NeurolysisError:
        assert receiving.list_cases(LOCAL).total == 0
        return
    again = receiving.export_case(LOCAL, taken.id, exported.with_name("again.zip"))
    same = again.read_bytes() == exported.read_bytes()
    receiving.trash_case(LOCAL, taken.id)
    assert same, "a change was taken in"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"no archive", b"PK\x05\x06" + b"\0" * 18])
def test_what_is_no_export_is_refused(receiving: Store, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(InputError):
        receiving.import_case(LOCAL, tmp_path / "x.zip")
    with pytest.raises(InputError):
        receiving.import_case(LOCAL, tmp_path / "not there")


def test_a_bomb_is_refused_before_it_is_unpacked(receiving: Store, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("case.json", b"0" * 50_000_000)
    with pytest.raises(InputError, match="not compressed"):
        receiving.import_case(LOCAL, tmp_path / "bomb.zip")


def test_an_export_of_a_damaged_store_or_to_a_bad_place_leaves_nothing(tmp_path: Path) -> None:
    store = filled(Store.open(folder=tmp_path / "s"), tmp_path)
    with pytest.raises(OutputError):
        store.export_case(ANNA, "case-1", tmp_path / "none/x.zip")
    sha256 = store.read_case(ANNA, "case-1").files["ct.nii.gz"]
    store.blobs.place(sha256).unlink()
    with pytest.raises(InputError, match="is missing"):
        store.export_case(ANNA, "case-1", tmp_path / "x.zip")
    assert not list(tmp_path.glob("*x.zip*"))
    store.close()


# ---------------------------------------------------------------- backup


def rows_of(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table that a backup keeps."""
    with store.engine.connect() as connection:
        return {
            table.name: [
                tuple(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key))
            ]
            for table in (*SEALED, audit)
        }


@pytest.mark.parametrize(("source", "target"), [("sqlite", "postgresql"), ("postgresql", "sqlite")])
def test_a_backup_of_one_kind_is_restored_into_the_other(
    source: str, target: str, tmp_path: Path, postgres: Any
) -> None:
    def make(kind: str, name: str) -> Store:
        return Store.open(postgres.database() if kind == "postgresql" else None, tmp_path / name)

    one, other = filled(make(source, "one"), tmp_path), make(target, "other")
    one.add_user(LOCAL, "Anna", "clinician", "correct horse battery")
    made = one.backup(tmp_path / "backup")
    assert made["head"] == list(one.audit_head())
    assert other.restore_backup(tmp_path / "backup")["rows"] == made["rows"]
    assert rows_of(other) == rows_of(one)
    assert other.check({made["head"][0]: made["head"][1]}) == ()
    assert other.check_password("Anna", "correct horse battery") is not None
    other.read_case(ANNA, "case-1")
    assert other.verify_audit() == (), "the trail goes on where it ended"
    with pytest.raises(InputError, match="empty store"):
        other.restore_backup(tmp_path / "backup")
    one.close()
    other.close()


def test_a_backup_while_others_write_is_of_one_moment(
    new_store: Callable[..., Store], tmp_path: Path
) -> None:
    store = new_store("busy")
    ended = threading.Event()

    def write() -> None:
        k = 0
        while not ended.is_set():
            store.create_case(ANNA, case(f"case-{k}"), files(tmp_path / "in", str(k)))
            k += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for k in range(4):
            made = store.backup(tmp_path / "backup")
            other = new_store(f"other-{k}")
            other.restore_backup(tmp_path / "backup")
            assert other.check({made["head"][0]: made["head"][1]}) == ()
            with other.engine.connect() as connection:
                made_cases = sa.select(sa.func.count()).where(audit.c.what == "create_case")
                told = connection.execute(made_cases).scalar_one()
            assert other.list_cases(LOCAL).total == told, "each case with its line, and no line without"
    finally:
        ended.set()
        writer.join()
    assert store.check() == ()


def test_a_second_backup_copies_only_what_is_new_and_damage_is_found(tmp_path: Path) -> None:
    store = filled(Store.open(folder=tmp_path / "s"), tmp_path)
    place = tmp_path / "backup"
    assert store.backup(place)["copied"] > 3
    assert store.backup(place)["copied"] == 0
    rows = (place / "rows.jsonl").read_bytes()
    for number in (0, len(rows) // 2, len(rows) - 5):
        changed = bytearray(rows)
        changed[number] ^= 1
        (place / "rows.jsonl").write_bytes(changed)
        with pytest.raises(InputError, match="damaged"):
            Store.open(folder=tmp_path / f"t{number}").restore_backup(place)
    (place / "rows.jsonl").write_bytes(rows[: len(rows) // 2])
    with pytest.raises(InputError, match="damaged"):
        Store.open(folder=tmp_path / "cut").restore_backup(place)
    (place / "rows.jsonl").write_bytes(rows)
    blob = random.Random(1).choice(sorted((place / "blobs").glob("[0-9a-f][0-9a-f]/*")))  # noqa: S311
    blob.chmod(0o644)
    blob.write_bytes(b"x" + blob.read_bytes()[1:])
    fresh = Store.open(folder=tmp_path / "fresh")
    with pytest.raises(InputError, match="damaged"):
        fresh.restore_backup(place)
    assert fresh.list_cases(LOCAL).total == 0
    assert store.backup(place)["copied"] == 1, "a damaged copy is made anew"
    fresh.close()
    for bad in (tmp_path / "in", tmp_path / "report.html"):
        with pytest.raises(InputError):
            store.backup(bad)
    store.close()


# ---------------------------------------------------------------- migrations


def test_the_migrations_make_exactly_the_tables_the_program_uses(store: Store) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    with store.engine.begin() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_migrations_go_down_and_up_and_a_newer_store_is_refused(
    new_store: Callable[..., Store], tmp_path: Path
) -> None:
    store = filled(new_store(), tmp_path)
    upgrade(store.engine)
    assert store.list_cases(ANNA).total == 1, "a store that is up to date is left as it is"
    downgrade(store.engine, "base")
    with store.engine.begin() as connection:
        assert set(sa.inspect(connection).get_table_names()) <= {"alembic_version"}
    upgrade(store.engine)
    assert store.list_cases(ANNA).total == 0
    with store.engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999_later'"))
    with pytest.raises(InputError, match="newer version"):
        upgrade(store.engine)


def test_two_programs_may_open_a_new_store_at_once(tmp_path: Path, postgres: Any) -> None:
    for url in (None, postgres.database()):
        folder = tmp_path / ("pg" if url else "sqlite")
        failed: list[Any] = []

        def start(url: str | None = url, folder: Path = folder, failed: list[Any] = failed) -> None:
            try:
                Store.open(url, folder).close()
            except BaseException as error:
                failed.append(error)

        threads = [threading.Thread(target=start) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
