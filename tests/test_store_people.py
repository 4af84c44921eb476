"""Users, passwords, sessions; and who may do what, in one place."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.errors import ConflictError, ForbiddenError, InputError, NotFoundError
from neurolysis.records.store import Principal, Store
from neurolysis.records.store.permissions import MAY, WITHOUT_OWNER, Action, Kind, allowed, require, visible
from neurolysis.records.store.tables import sessions, users
from neurolysis.records.store.values import LOCAL_USER, Role

from .store_kit import LOCAL, Clock, case, enrol, files, person

LONG = "correct horse battery"
ADA = person("Ada", "administrator")


def test_a_password_opens_its_own_account_only(store: Store) -> None:
    anna = store.add_user(ADA, " Anna Berg ", "clinician", LONG)
    store.add_user(ADA, "Bert", "planner", LONG + "2")
    who = store.check_password("anna berg", LONG, "10.0.0.1")
    assert who is not None
    assert (who.user_id, who.name, who.role, who.mode, who.origin) == (
        anna.id,
        "Anna Berg",
        "clinician",
        "accounts",
        "10.0.0.1",
    )
    for name, password in (
        ("Anna Berg", LONG + "2"),
        ("Anna Berg", ""),
        ("nobody", LONG),
        ("a\x00", LONG),
        ("\ud800", "x"),
    ):
        assert store.check_password(name, password) is None
    with store.engine.connect() as connection:
        kept = connection.execute(sa.select(users.c.password)).scalars().all()
    assert all(text.startswith("$argon2id$") for text in kept)
    assert [line.outcome for line in store.audit_rows(LOCAL) if line.what == "login"].count("refused") == 5
    assert {user.name for user in store.list_users(ADA)} == {"Anna Berg", "Bert"}
    assert "argon2" not in "".join(user.model_dump_json() for user in store.list_users(ADA))


def test_bad_accounts_are_refused(store: Store) -> None:
    store.add_user(ADA, "Anna", "clinician", LONG)
    with pytest.raises(ConflictError, match="of this name"):
        store.add_user(ADA, "ANNA", "clinician", LONG)
    for name, role, password in (
        ("", "clinician", LONG), ("x" * 101, "clinician", LONG), ("a\x00b", "clinician", LONG),
        ("B", "king", LONG), ("B", "clinician", "short"), ("B", "clinician", "x" * 201),
    ):  # fmt: skip
        with pytest.raises(InputError):
            store.add_user(ADA, name, role, password)  # type: ignore[arg-type]
    assert len(store.list_users(ADA)) == 1


def test_only_administrators_manage_accounts(store: Store) -> None:
    anna = store.add_user(ADA, "Anna", "clinician", LONG)
    for role in get_args(Role):
        if role == "administrator":
            continue
        who = person("x", role)
        for deed in (
            lambda who=who: store.add_user(who, "New", "administrator", LONG),
            lambda who=who: store.list_users(who),
            lambda who=who: store.set_role(who, anna.id, "administrator"),
            lambda who=who: store.set_password(who, anna.id, LONG),
        ):
            with pytest.raises(ForbiddenError):
                deed()
    with pytest.raises(NotFoundError):
        store.set_role(ADA, "no such id", "planner")


def test_a_session_lasts_until_it_ends_is_closed_or_its_user_is_locked(
    new_store: Callable[..., Store],
) -> None:
    clock = Clock()
    store = new_store(clock=clock)
    anna = store.add_user(ADA, "Anna", "clinician", LONG)
    who = store.check_password("Anna", LONG)
    assert who is not None
    first, second = store.open_session(who, 2), store.open_session(who, 2)
    assert store.read_session(first) == who
    with store.engine.connect() as connection:
        assert first not in connection.execute(sa.select(sessions.c.token)).scalars().all()
    store.close_session(first)
    assert store.read_session(first) is None
    assert store.read_session(second) == who
    store.set_role(ADA, anna.id, "planner")
    assert store.read_session(second).role == "planner"  # type: ignore[union-attr]
    store.set_disabled(ADA, anna.id, True)
    assert store.read_session(second) is None
    assert store.check_password("Anna", LONG) is None
    store.set_disabled(ADA, anna.id, False)
    assert store.read_session(second) is not None
    store.set_password(ADA, anna.id, LONG + "3")
    assert store.read_session(second) is None
    third = store.open_session(who, 2)
    clock.now += timedelta(hours=3)
    assert store.read_session(third) is None
    for odd in ("", "x", "\x00", "\ud800", "x" * 10_000):
        assert store.read_session(odd) is None
        store.close_session(odd)
    local = store.open_session(LOCAL)
    assert store.read_session(local) == LOCAL


def test_an_identity_of_a_provider_is_one_account(store: Store) -> None:
    store.add_user(ADA, "Anna", "clinician", identity="https://issuer|s1")
    who = store.user_for_identity("https://issuer", "s1")
    assert who is not None
    assert who.name == "Anna"
    assert store.user_for_identity("https://issuer", "s2") is None
    assert store.user_for_identity("", "") is None
    assert store.check_password("Anna", "") is None, "no password is no way in"


# ---------------------------------------------------------------- permissions

ROLES = st.sampled_from(get_args(Role))
ACTIONS = st.sampled_from(get_args(Action))
KINDS = st.sampled_from(get_args(Kind))
IDS = st.sampled_from(["a", "b", "c", LOCAL_USER])
WHO = st.builds(lambda id, role: Principal(user_id=id, name=id, role=role), IDS, ROLES)
HOLDERS = st.frozensets(IDS)


@given(WHO, ACTIONS, KINDS, HOLDERS)
def test_nobody_does_anything_to_what_is_not_theirs(
    who: Principal, action: Action, kind: Kind, holders: frozenset[str]
) -> None:
    if kind not in WITHOUT_OWNER and who.user_id not in holders:
        assert not allowed(who, action, kind, holders)
        assert not visible(who, holders)
        with pytest.raises(NotFoundError):
            require(who, action, kind, holders, "x")


@given(WHO, ACTIONS, KINDS, HOLDERS)
def test_a_refusal_of_what_is_visible_says_the_role(
    who: Principal, action: Action, kind: Kind, holders: frozenset[str]
) -> None:
    mine = holders | {who.user_id}
    if allowed(who, action, kind, mine):
        require(who, action, kind, mine, "x")
        assert action in MAY[who.role][kind]
    else:
        known = kind in WITHOUT_OWNER or visible(who, mine)
        error = ForbiddenError if known else NotFoundError
        with pytest.raises(error):
            require(who, action, kind, mine, "x")


@given(WHO, ACTIONS, KINDS, HOLDERS, IDS)
def test_sharing_never_takes_anything_away(
    who: Principal, action: Action, kind: Kind, holders: frozenset[str], other: str
) -> None:
    if allowed(who, action, kind, holders):
        assert allowed(who, action, kind, holders | {other})


@given(ACTIONS, KINDS, HOLDERS)
def test_the_one_user_of_a_store_without_accounts_may_do_everything(
    action: Action, kind: Kind, holders: frozenset[str]
) -> None:
    assert allowed(LOCAL, action, kind, holders)


def test_what_no_role_may_do_and_who_alone_approves() -> None:
    approvers = {role for role in get_args(Role) if "approve" in MAY[role].get("plan", ())}
    assert approvers == {"clinician"}
    for kind in get_args(Kind):
        if kind not in WITHOUT_OWNER:
            assert kind not in MAY["administrator"], "an administrator sees no patient's data"
    for role in get_args(Role):
        if role != "administrator":
            assert not WITHOUT_OWNER & set(MAY[role])


def test_a_patient_writes_the_own_diary_and_nothing_else(store: Store, tmp_path: Path) -> None:
    anna, patient = person("Anna"), person("Pat", "patient")
    store.create_case(anna, case(), files(tmp_path))
    enrol(store, patient)
    store.share_case(anna, "case-1", patient.user_id)
    day = {"day": "2026-03-05", "pain": 3}
    store.save_document(patient, "case-1", "outcome", {"case_id": "case-1", "diary": [day]}, 0)
    wrong: list[dict[str, Any]] = [
        {"diary": [day], "visits": [{"day": "2026-03-06"}]},
        {"diary": [day], "clinician": "Dr Pat"},
        {"diary": [day], "complications": [{"name": "none"}]},
    ]
    for value in wrong:
        with pytest.raises(ForbiddenError, match="may not change this"):
            store.save_document(patient, "case-1", "outcome", {"case_id": "case-1", **value}, 1)
    store.save_document(anna, "case-1", "outcome", {"case_id": "case-1", "clinician": "Dr A"}, 1)
    own = {"case_id": "case-1", "clinician": "Dr A", "diary": [day]}
    assert store.save_document(patient, "case-1", "outcome", own, 2).version == 3
    for deed in (
        lambda: store.save_document(patient, "case-1", "procedure", {"case_id": "case-1"}, 0),
        lambda: store.save_case(patient, "case-1", case(), 1),
        lambda: store.list_plans(patient, "case-1"),
        lambda: store.export_case(patient, "case-1", tmp_path / "x"),
    ):
        with pytest.raises(ForbiddenError):
            deed()


# ---------------------------------------------------------------- documents and drafts


def test_documents_keep_every_version(store: Store, tmp_path: Path) -> None:
    anna = person("Anna")
    store.create_case(anna, case(), files(tmp_path))
    assert store.read_document(anna, "case-1", "outcome") is None
    first = store.save_document(anna, "case-1", "outcome", {"case_id": "case-1", "clinician": "A"}, 0)
    second = store.save_document(anna, "case-1", "outcome", {"case_id": "case-1", "clinician": "B"}, 1)
    assert (first.version, second.version) == (1, 2)
    assert store.read_document(anna, "case-1", "outcome") == second
    assert store.read_document(anna, "case-1", "outcome", 1) == first
    assert store.document_versions(anna, "case-1", "outcome") == (first, second)
    with pytest.raises(ConflictError) as caught:
        store.save_document(anna, "case-1", "outcome", {"case_id": "case-1"}, 1)
    assert caught.value.current == 2
    for kind, value, says in (
        ("outcome", {"case_id": "case-2"}, "another case"), ("outcome", {"case_id": "case-1", "x": 1}, "'x'"),
        ("letter", {"case_id": "case-1"}, "no such kind"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=says):
            store.save_document(anna, "case-1", kind, value, 2)  # type: ignore[arg-type]
    for number in (0, 9, 2**70):
        with pytest.raises(NotFoundError):
            store.read_document(anna, "case-1", "outcome", number)
    assert store.check() == ()


@settings(max_examples=30)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
        lambda x: st.lists(x) | st.dictionaries(st.text("ab"), x),
    )
)
def test_a_draft_is_kept_as_it_was_typed(lasting_draft: tuple[Store, Principal], typed: Any) -> None:
    store, who = lasting_draft
    store.save_draft(who, "case-1", "case-evaluate", typed)
    found = store.read_draft(who, "case-1", "case-evaluate")
    assert found is not None
    assert found.data == typed


@pytest.fixture(scope="module")
def lasting_draft(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A store with one case, for many examples."""
    store = Store.open(folder=tmp_path_factory.mktemp("drafts"))
    store.create_case(LOCAL, case(image=None, labels=()))
    yield store, LOCAL
    store.close()


def test_drafts_are_each_users_own_and_bounded(store: Store, tmp_path: Path) -> None:
    anna, bert = person("Anna"), person("Bert")
    store.create_case(anna, case(), files(tmp_path))
    enrol(store, bert)
    store.share_case(anna, "case-1", bert.user_id)
    store.save_draft(anna, "case-1", "case-evaluate", {"a": 1})
    store.save_draft(anna, "case-1", "case-deliver", {"a": 2})
    assert store.read_drafts(bert, "case-1") == {}
    assert set(store.read_drafts(anna, "case-1")) == {"case-evaluate", "case-deliver"}
    store.drop_draft(anna, "case-1", "case-deliver")
    store.drop_draft(anna, "case-1", "case-deliver")
    assert store.read_draft(anna, "case-1", "case-deliver") is None
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    for kind, data in (
        ("../x", 1),
        ("", 1),
        ("x" * 41, 1),
        ("k", float("nan")),
        ("k", "x" * 5_000_000),
        ("k", "\ud800"),
        ("k", deep),
    ):
        with pytest.raises(InputError):
            store.save_draft(anna, "case-1", kind, data)
    assert store.check() == ()
