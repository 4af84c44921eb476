"""Plans in the store: immutable, approved in the domain, marked when what they rest on changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from neurolysis.approval import Approval
from neurolysis.errors import ConflictError, ForbiddenError, InputError, NotFoundError, SafetyStop
from neurolysis.plan import Notice
from neurolysis.records.store import Principal, Store

from .store_kit import LOCAL, case, enrol, files, person, record, stop

ANNA, PAUL, RITA = person("Anna"), person("Paul", "planner"), person("Rita", "registrar")
LIMIT = stop("limit.temperature_c")
REASON = "reviewed on the planning images"


@pytest.fixture
def ready(store: Store, tmp_path: Path) -> Store:
    """A store with one case of Anna's, shared with a planner and a registrar."""
    store.create_case(ANNA, case(), files(tmp_path / "in"))
    enrol(store, PAUL, RITA)
    for other in (PAUL, RITA):
        store.share_case(ANNA, "case-1", other.user_id)
    return store


def add(store: Store, *notices: Notice, p: Principal = ANNA, version: int = 1, **more: Any) -> int:
    """Add a plan of the case as it is at a version."""
    of = store.read_case(ANNA, "case-1", version).case
    return store.add_plan(p, "case-1", version, record(of, *notices, **more)).number


def approve(store: Store, number: int = 1, p: Principal = ANNA, **changes: Any) -> Any:
    """Approve with a name and a reason."""
    return store.approve_plan(p, "case-1", number, **{"name": p.name, "reason": REASON, **changes})


def test_a_plan_comes_back_as_a_draft_with_its_files(ready: Store, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>report</p>")
    of = ready.read_case(PAUL, "case-1").case
    given = record(of, LIMIT)
    row = ready.add_plan(PAUL, "case-1", 1, given, {"report.html": tmp_path / "report.html"}, key="job-1")
    assert (row.number, row.mark, row.files, row.made_by) == (1, "DRAFT", ("report.html",), "Paul")
    assert row.summary["stops"] == ["limit.temperature_c"]
    assert ready.add_plan(PAUL, "case-1", 1, given, key="job-1") == row, "the same work again adds nothing"
    stored = ready.read_plan(RITA, "case-1", 1)
    assert stored.record == {**given, "approval": None, "stops": ["limit.temperature_c"]}
    assert ready.plan_file(ANNA, "case-1", 1, "report.html").read_text() == "<p>report</p>"
    assert ready.list_plans(ANNA, "case-1") == (row,)
    assert ready.case_state(ANNA, "case-1") == "planned"
    for missing in (0, 2, 2**70):
        with pytest.raises(NotFoundError):
            ready.read_plan(ANNA, "case-1", missing)
    with pytest.raises(NotFoundError, match="no such file"):
        ready.plan_file(ANNA, "case-1", 1, "../../etc/passwd")
    assert ready.check() == ()


def test_a_plan_of_something_else_is_refused(ready: Store) -> None:
    of = ready.read_case(ANNA, "case-1").case
    good = record(of)
    ready.save_case(ANNA, "case-1", of.replace(notes="later"), 1)
    wrong: list[tuple[Mapping[str, Any], int, str]] = [
        (good, 2, "not made from this version"),
        ({**good, "hashes": {"plan": "0" * 64}}, 1, "does not fit its hash"),
        (record(case("case-2")), 1, "another case"),
        ({**good, "plan": {**good["plan"], "placements": []}}, 1, "does not fit its hash"),
        ({}, 1, "not the record of a plan"),
        ({**good, "timing_s": {"all": float("nan")}}, 1, "not plain JSON"),
        ({**good, "timing_s": {"all": object()}}, 1, "not plain JSON"),
        ({**good, "plan": {**good["plan"], "case_id": "\ud800"}}, 1, "not plain JSON"),
        ({**good, "notices": [{"severity": "loud"}]}, 1, "severity"),
    ]
    for bad, version, says in wrong:
        with pytest.raises(InputError, match=says):
            ready.add_plan(ANNA, "case-1", version, bad)
    with pytest.raises(NotFoundError):
        ready.add_plan(ANNA, "case-1", 9, good)
    assert ready.list_plans(ANNA, "case-1") == ()


def test_an_approval_says_who_and_how_and_stays(ready: Store) -> None:
    add(ready)
    status = approve(ready)
    assert status.mark.startswith("APPROVED by Anna, 20")
    assert ready.case_state(ANNA, "case-1") == "approved"
    assert ready.read_plan(ANNA, "case-1", 1).record["mark"] == status.mark
    with pytest.raises(ConflictError, match="approved already"):
        approve(ready)
    add(ready)
    assert [row.mark == "DRAFT" for row in ready.list_plans(ANNA, "case-1")] == [False, True]
    with pytest.raises(InputError, match="own name"):
        approve(ready, 2, name="Somebody Else")
    for name in ("", "  ", "\ud800"):
        with pytest.raises(InputError, match="name"):
            ready.approve_plan(LOCAL, "case-1", 2, name, REASON)
    typed = ready.approve_plan(LOCAL, "case-1", 2, "Dr Typed", REASON)
    assert "name typed, not authenticated" in typed.mark
    assert ready.check() == ()


def test_the_database_itself_refuses_to_change_what_must_stay(ready: Store) -> None:
    add(ready)
    approve(ready)
    for text in (
        "UPDATE plans SET hash = 'x'", "DELETE FROM plans", "UPDATE approvals SET body = 'x'",
        "DELETE FROM audit", "UPDATE audit SET user_name = 'x'", "UPDATE case_versions SET body = 'x'",
    ):  # fmt: skip
        with pytest.raises(sa.exc.DBAPIError, match="never changed"), ready.engine.begin() as connection:
            connection.execute(sa.text(text))


@pytest.mark.parametrize("who", [PAUL, RITA])
def test_only_a_clinician_approves(ready: Store, who: Principal) -> None:
    add(ready)
    with pytest.raises(ForbiddenError, match="may not approve"):
        approve(ready, p=who)
    assert not ready.plan_status(ANNA, "case-1", 1).approved
    assert ready.audit_rows(LOCAL)[-2].outcome == "refused"


def test_a_stop_needs_an_override_with_a_reason(ready: Store) -> None:
    add(ready, found=(LIMIT,))
    assert ready.plan_status(ANNA, "case-1", 1).overridable == ("limit.temperature_c",)
    assert ready.plan_status(PAUL, "case-1", 1).overridable == ()
    with pytest.raises(SafetyStop, match=r"\[limit\.temperature_c\]"):
        approve(ready)
    with pytest.raises(InputError, match="needs a reason"):
        approve(ready, overrides=[{"code": LIMIT.code, "reason": "ok so"}])
    with pytest.raises(InputError, match="no stop of this plan"):
        approve(ready, overrides=[{"code": "path.through_structure", "reason": REASON}])
    with pytest.raises(InputError, match="an approval needs its reason"):
        approve(ready, reason="  ", overrides=[{"code": LIMIT.code, "reason": REASON}])
    with pytest.raises(InputError):
        approve(ready, overrides=[{"code": LIMIT.code}])
    status = approve(ready, overrides=[{"code": LIMIT.code, "reason": REASON}])
    assert (status.open_stops, status.overridable) == ((), ())
    assert dict(status.overrides[0]) == {
        "code": LIMIT.code,
        "name": "Anna",
        "reason": REASON,
        "role": "clinician",
    }
    assert ready.read_plan(ANNA, "case-1", 1).record["stops"] == []


@pytest.mark.parametrize("code", ["side.missing", "level.uncounted", "joint.mismatch", "allergy.anaesthetic"])
def test_side_level_and_allergy_are_never_overridden(ready: Store, code: str) -> None:
    add(ready, stop(code, overridable=True))
    status = ready.plan_status(LOCAL, "case-1", 1)
    assert status.overridable == ()
    for who in (ANNA, LOCAL):
        with pytest.raises(SafetyStop, match="cannot be set aside by anybody"):
            approve(ready, p=who, overrides=[{"code": code, "reason": REASON}])
    assert not ready.plan_status(ANNA, "case-1", 1).approved


LAB = {"kind": "laboratory", "name": "INR", "result": "3.1", "value": 3.1}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"findings": ({"kind": "laboratory", "name": "INR", "result": "1.0", "value": 1.0}, LAB)},
            "laboratory",
        ),
        ({"allergies": ("lidocaine",)}, "the case was changed"),
        ({"notes": "only a note", "title": "another title"}, ""),
    ],
)
def test_what_the_plan_rests_on_is_watched(ready: Store, changes: dict[str, Any], says: str) -> None:
    add(ready)
    approve(ready)
    add(ready)
    now = type(case()).model_validate({**case().model_dump(), **changes})
    ready.save_case(ANNA, "case-1", now, 1)
    status = ready.plan_status(ANNA, "case-1", 1)
    assert status.approved, "an approval stays, it is marked"
    assert len(status.recheck) == bool(says)
    assert says in "; ".join(status.recheck)
    if says:
        with pytest.raises(SafetyStop, match="Plan again"):
            approve(ready, 2)
        add(ready, version=2)
        assert approve(ready, 3).recheck == ()
    else:
        assert approve(ready, 2).approved


def test_a_new_image_asks_for_a_recheck(ready: Store, tmp_path: Path) -> None:
    add(ready)
    approve(ready)
    ready.save_case(ANNA, "case-1", case(), 1, {"note.txt": files(tmp_path / "b", "other")["ct.nii.gz"]})
    assert ready.plan_status(ANNA, "case-1", 1).recheck == (), "a file no plan is made from"
    ready.save_case(ANNA, "case-1", case(), 2, files(tmp_path / "b", "other"))
    assert ready.plan_status(ANNA, "case-1", 1).recheck == ("images or labels were added or changed",)


def test_new_evidence_and_rules_ask_for_a_recheck(ready: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    add(ready)
    approve(ready)
    monkeypatch.setattr("neurolysis.records.store.basis.evidence_version", lambda: "newer")
    monkeypatch.setattr("neurolysis.records.store.basis.rules_version", lambda: "newer")
    found = ready.plan_status(ANNA, "case-1", 1).recheck
    assert found == ("the evidence base is another version", "the rules or the program are another version")


def test_the_report_of_an_approved_plan_is_made_anew(ready: Store, tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("DRAFT")
    of = ready.read_case(ANNA, "case-1").case
    ready.add_plan(ANNA, "case-1", 1, record(of), {"report.html": tmp_path / "report.html"})

    def render(approval: Approval, there: Mapping[str, Path]) -> dict[str, bytes]:
        return {"report.html": (there["report.html"].read_text() + f" -> {approval.name}").encode()}

    approve(ready, render=render)
    assert ready.plan_file(ANNA, "case-1", 1, "report.html").read_text() == "DRAFT -> Anna"
    assert ready.check() == ()
