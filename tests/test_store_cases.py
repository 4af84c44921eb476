"""Cases in the store, on SQLite and on PostgreSQL: every version kept, nothing half, nobody else's."""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.app.cases import load_case
from neurolysis.app.demo import demo_case
from neurolysis.case import Case
from neurolysis.errors import ConflictError, ForbiddenError, InputError, NotFoundError, OutputError
from neurolysis.records.store import Store
from neurolysis.records.store.names import checked_name, checked_names, files_of

from .store_kit import LOCAL, Clock, case, enrol, files, person
from .strategies import CASES

ANNA, BERT = person("Anna"), person("Bert")


def test_a_case_comes_back_as_it_was_saved(store: Store, tmp_path: Path) -> None:
    made = store.create_case(ANNA, case(), files(tmp_path / "in"))
    assert (made.id, made.version, made.state, made.updated_by) == ("case-1", 1, "to evaluate", "Anna")
    assert store.read_case(ANNA, "case-1") == made
    assert made.case == case()
    with store.case_folder(ANNA, "case-1") as folder:
        loaded, _ = load_case(folder)
        assert loaded == case()
        assert (folder / "ct.nii.gz").read_bytes() == (tmp_path / "in/ct.nii.gz").read_bytes()
        assert sorted(p.name for p in folder.rglob("*")) == [
            "bones.nii.gz",
            "case.yaml",
            "ct.nii.gz",
            "labels",
        ]
    assert not folder.exists()
    assert store.check() == ()


def test_the_demonstration_goes_in_whole(store: Store) -> None:
    given_case, folder = load_case(demo_case())
    made = store.create_case(LOCAL, given_case, files_of(given_case, folder))
    again = store.create_case(LOCAL, given_case, files_of(given_case, folder))
    assert again.id != made.id
    assert again.case == made.case.replace(id=again.id)
    assert again.files == made.files
    assert store.list_cases(LOCAL).total == 2


def test_every_version_is_kept_and_files_stay_until_taken_away(store: Store, tmp_path: Path) -> None:
    store.create_case(ANNA, case(), files(tmp_path / "a"))
    second = store.save_case(ANNA, "case-1", case(notes="n"), 1, reason="a note")
    newer = {"ct.nii.gz": files(tmp_path / "b", "new")["ct.nii.gz"], "extra.txt": tmp_path / "a/ct.nii.gz"}
    third = store.save_case(ANNA, "case-1", case(), 2, newer)
    fourth = store.save_case(ANNA, "case-1", case(labels=()), 3, {"labels/bones.nii.gz": None})
    assert second.files == store.read_case(ANNA, "case-1", 1).files
    assert third.files["ct.nii.gz"] != second.files["ct.nii.gz"]
    assert set(fourth.files) == {"ct.nii.gz", "extra.txt"}
    assert [v.version for v in store.case_versions(ANNA, "case-1")] == [4, 3, 2, 1]
    assert store.read_case(ANNA, "case-1", 2).case.notes == "n"
    assert store.read_case(ANNA, "case-1", 2).reason == "a note"
    with store.case_folder(ANNA, "case-1", 1) as folder:
        assert (folder / "ct.nii.gz").read_bytes() == (tmp_path / "a/ct.nii.gz").read_bytes()
    assert store.check() == ()


def test_a_stale_save_is_refused_with_the_version_of_now(store: Store, tmp_path: Path) -> None:
    store.create_case(ANNA, case(), files(tmp_path))
    store.save_case(ANNA, "case-1", case(notes="first"), 1)
    with pytest.raises(ConflictError) as caught:
        store.save_case(ANNA, "case-1", case(notes="second"), 1)
    assert caught.value.current == 2
    assert store.read_case(ANNA, "case-1").case.notes == "first"
    with pytest.raises(ConflictError, match="does not change"):
        store.save_case(ANNA, "case-1", case("other"), 2)


def test_of_saves_at_once_exactly_one_wins(store: Store, tmp_path: Path) -> None:
    store.create_case(ANNA, case(), files(tmp_path))
    won, lost = [], []

    def save(name: str) -> None:
        try:
            won.append(store.save_case(ANNA, "case-1", case(notes=name), 1).case.notes)
        except ConflictError as error:
            lost.append(error.current)

    threads = [threading.Thread(target=save, args=(f"n{k}",)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert lost == [2] * 7
    assert store.read_case(ANNA, "case-1").case.notes == won[0]
    assert store.check() == ()


def test_the_trash_keeps_everything_and_gives_it_back(store: Store, tmp_path: Path) -> None:
    made = store.create_case(ANNA, case(), files(tmp_path))
    store.trash_case(ANNA, "case-1")
    assert store.list_cases(ANNA).total == 0
    assert [row.id for row in store.list_cases(ANNA, trashed=True).rows] == ["case-1"]
    for again in (store.read_case, store.case_versions, store.trash_case):
        with pytest.raises(NotFoundError, match="in the trash"):
            again(ANNA, "case-1")
    with pytest.raises(NotFoundError, match="no such case"):
        store.restore_case(BERT, "case-1")
    assert store.restore_case(ANNA, "case-1") == made
    assert store.check() == ()


def test_another_users_case_is_not_there_until_it_is_shared(store: Store, tmp_path: Path) -> None:
    store.create_case(ANNA, case(), files(tmp_path))
    deeds: list[Callable[[], object]] = [
        lambda: store.read_case(BERT, "case-1"),
        lambda: store.save_case(BERT, "case-1", case(notes="mine"), 1),
        lambda: store.case_versions(BERT, "case-1"),
        lambda: store.trash_case(BERT, "case-1"),
        lambda: store.share_case(BERT, "case-1", BERT.user_id),
        lambda: store.case_folder(BERT, "case-1").__enter__(),
        lambda: store.export_case(BERT, "case-1", tmp_path / "x.zip"),
    ]
    for deed in deeds:
        with pytest.raises(NotFoundError) as foreign:
            deed()
        assert foreign.value.problem == "no such case"
    with pytest.raises(NotFoundError) as missing:
        store.read_case(BERT, "case-2")
    assert missing.value.problem == "no such case"
    assert store.list_cases(BERT).total == 0
    assert not (tmp_path / "x.zip").exists()
    with pytest.raises(NotFoundError, match="no such user"):
        store.share_case(ANNA, "case-1", BERT.user_id)
    assert store.case_holders(ANNA, "case-1") == (ANNA.user_id,)
    enrol(store, BERT)
    store.share_case(ANNA, "case-1", BERT.user_id)
    assert store.read_case(BERT, "case-1").version == 1
    assert store.list_cases(BERT).total == 1
    assert store.case_holders(ANNA, "case-1") == (ANNA.user_id, BERT.user_id)
    with pytest.raises(ForbiddenError):
        store.trash_case(BERT.replace(role="planner"), "case-1")
    store.unshare_case(ANNA, "case-1", BERT.user_id)
    with pytest.raises(NotFoundError):
        store.read_case(BERT, "case-1")
    store.unshare_case(ANNA, "case-1", ANNA.user_id)
    assert store.read_case(ANNA, "case-1").version == 1, "an owner stays"


def test_the_list_is_searched_paged_and_ordered(store: Store) -> None:
    for k in range(12):
        side = "left" if k % 2 else "right"
        target = {"nerve": "lumbar_medial_branch_L2", "side": side, "bony_level": "L3", "joint": "L2-3"}
        store.create_case(ANNA, case(f"case-{k}", image=None, labels=(), target=target, title=f"100%_{k}"))
    page = store.list_cases(ANNA, "LEFT medial", limit=4)
    assert page.total == 6
    assert [row.id for row in page.rows] == ["case-11", "case-9", "case-7", "case-5"]
    assert [row.id for row in store.list_cases(ANNA, "left", offset=4).rows] == ["case-3", "case-1"]
    assert store.list_cases(ANNA, "100%_1").total == 3
    assert store.list_cases(ANNA, "0_1").total == 0, "% and _ are plain characters"
    assert store.list_cases(ANNA, "' OR 1=1 --").total == 0
    assert store.list_cases(ANNA, limit=0).total == 12
    assert store.list_cases(ANNA, "\x00").total == 0
    store.name_patient(ANNA, "case-3", "Erika Mustermann")
    assert [row.patient_name for row in store.list_cases(ANNA, "mustermann").rows] == ["Erika Mustermann"]
    assert "Erika" not in store.read_case(ANNA, "case-3").case.canonical_json()
    assert store.check() == ()


def test_follow_up_is_due_once_the_contacts_days_begin(
    new_store: Callable[..., Store], tmp_path: Path
) -> None:
    clock = Clock()
    store = new_store(clock=clock)
    store.create_case(ANNA, case(), files(tmp_path))
    step = {"kind": "lesion", "start": "2026-03-04T10:00:00Z", "technique": "t", "instrument": "i"}
    store.save_document(ANNA, "case-1", "procedure", {"case_id": "case-1", "steps": [step]}, 0)
    assert store.case_state(ANNA, "case-1") == "delivered"
    assert store.list_cases(ANNA).rows[0].follow_up_from == date(2026, 3, 5)
    assert store.list_cases(ANNA, state="delivered").total == 1
    clock.now = clock.now.replace(day=6)
    assert store.case_state(ANNA, "case-1") == "follow-up due"
    assert store.list_cases(ANNA, state="delivered").total == 0
    assert store.list_cases(ANNA, state="follow-up due").rows[0].state == "follow-up due"
    outcome = {"case_id": "case-1", "visits": [{"day": "2026-03-06"}]}
    store.save_document(ANNA, "case-1", "outcome", outcome, 0)
    assert store.case_state(ANNA, "case-1") == "delivered"
    assert store.list_cases(ANNA).rows[0].follow_up_from == date(2026, 3, 11)


# ---------------------------------------------------------------- bad input leaves nothing


def nothing_left(store: Store) -> bool:
    """Whether neither a case nor a file was kept."""
    return store.list_cases(LOCAL).total == 0 and not list(store.blobs.incoming.iterdir())


def test_a_case_whose_file_is_missing_is_refused(store: Store, tmp_path: Path) -> None:
    given_files = files(tmp_path)
    with pytest.raises(InputError, match=r"image\.path: the case names a file that is not with it"):
        store.create_case(LOCAL, case(), {})
    with pytest.raises(InputError, match="no such file"):
        store.create_case(LOCAL, case(), {**given_files, "ct.nii.gz": tmp_path / "none"})
    with pytest.raises(InputError, match="same name"):
        store.create_case(LOCAL, case(), {**given_files, "CT.nii.gz": given_files["ct.nii.gz"]})
    for bad in ("../ct.nii.gz", "/etc/passwd", "a\x00b", "con.txt", "case.yaml", "a//b", "x" * 300, "a\\b"):
        with pytest.raises(InputError, match="not a name"):
            store.create_case(LOCAL, case(), {**given_files, bad: given_files["ct.nii.gz"]})
    for odd in (case("x" * 201), case(patient={"id": "x" * 201})):
        with pytest.raises(InputError, match="too long"):
            store.create_case(LOCAL, odd, given_files)
    assert nothing_left(store)
    store.create_case(LOCAL, case(title="t" * 100_000), given_files)
    with pytest.raises(InputError, match="the case names a file"):
        store.save_case(LOCAL, "case-1", case(), 1, {"ct.nii.gz": None})
    assert store.read_case(LOCAL, "case-1").version == 1


def test_odd_texts_and_numbers_are_refused_and_not_a_failure(store: Store, tmp_path: Path) -> None:
    store.create_case(LOCAL, case(title="a\x00b"), files(tmp_path))
    assert store.read_case(LOCAL, "case-1").case.title == "a\x00b", "a case is kept as it is"
    for id in ("a\x00b", "\ud800", "x" * 5000, "'; DROP TABLE cases; --", "case-1%"):
        with pytest.raises(NotFoundError):
            store.read_case(LOCAL, id)
    for number in (0, -1, 2**40, 2**80):
        with pytest.raises(NotFoundError):
            store.read_case(LOCAL, "case-1", number)
    for text in ("a\x00b", "\ud800"):
        with pytest.raises(InputError):
            store.save_case(LOCAL, "case-1", case(), 1, reason=text)
        with pytest.raises(InputError):
            store.name_patient(LOCAL, "case-1", text)
    assert store.read_case(LOCAL, "case-1").version == 1
    assert store.check() == ()


def test_a_folder_stands_for_its_files_but_not_for_links(store: Store, tmp_path: Path) -> None:
    series = tmp_path / "series"
    series.mkdir()
    (series / "1.dcm").write_text("one")
    (series / "2.dcm").write_text("two")
    (series / "out").symlink_to("/etc/hostname")
    made = store.create_case(LOCAL, case(image={"path": "series/"}, labels=()), {"series": series})
    assert set(made.files) == {"series/1.dcm", "series/2.dcm"}
    escaping = case("case-2", image={"path": "link"}, labels=())
    (tmp_path / "link").symlink_to("/etc/hostname")
    with pytest.raises(InputError, match="leaves its folder"):
        files_of(escaping, tmp_path)


def test_a_folder_that_cannot_be_written_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError):
        Store.open(folder=tmp_path / "file" / "store")
    with pytest.raises(InputError, match="not supported"):
        Store.open("mysql://localhost/x", tmp_path)
    with pytest.raises(InputError, match="not a database URL"):
        Store.open("no url", tmp_path)
    with pytest.raises(OutputError):
        Store.open("postgresql://nobody@/none?host=/nowhere", tmp_path / "s")
    (tmp_path / "s2").mkdir()
    (tmp_path / "s2/store.sqlite").write_bytes(b"this is no database, whatever its name says" * 50)
    with pytest.raises(OutputError, match="database"):
        Store.open(folder=tmp_path / "s2")


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """One store for many examples."""
    store = Store.open(folder=tmp_path_factory.mktemp("lasting"))
    yield store
    store.close()


@settings(max_examples=40)
@given(CASES)
def test_any_case_is_kept_without_loss(lasting: Store, any_case: Case) -> None:
    plain = any_case.replace(image=None, labels=(), structures=())
    made = lasting.create_case(LOCAL, plain)
    assert made.case == plain.replace(id=made.id)
    assert lasting.read_case(LOCAL, made.id).case == made.case


def test_after_all_of_them_the_store_is_whole(lasting: Store) -> None:
    assert lasting.check() == ()


NAMES = st.text(max_size=30) | st.lists(st.sampled_from(["..", ".", "a", "A", "con", "x.", " b"])).map(
    "/".join
)


@settings(max_examples=60)
@given(st.lists(NAMES, max_size=4))
def test_a_name_that_is_taken_stays_in_the_folder(names: list[str]) -> None:
    try:
        checked = checked_names(names)
    except InputError:
        return
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text).resolve()
        for name in checked:
            place = folder / checked_name(name)
            assert place.resolve().is_relative_to(folder)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(name)
        assert len([p for p in folder.rglob("*") if p.is_file()]) == len(checked)
