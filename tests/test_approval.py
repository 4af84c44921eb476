"""Who may approve and set aside what: data, except for side, level and allergy, which are fixed."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

import neurolysis
from neurolysis.approval import (
    DRAFT,
    NEVER_OVERRIDDEN,
    ApprovalRules,
    Basis,
    Override,
    StopRule,
    approve,
    is_final,
    mark_of,
    open_stops,
    overridable_by,
)
from neurolysis.errors import ForbiddenError, InputError, NeurolysisError, SafetyStop
from neurolysis.planning.approval_rules import approval_rules, rules_version
from neurolysis.records.store.values import Role

from .store_kit import case, plan, stop

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)
WHY = "weighed against the benefit"
RULES = ApprovalRules(
    approvers=("clinician",),
    reason_min_length=10,
    stops=(
        StopRule(codes="solver.*", roles=(), why="w"),
        StopRule(codes="dose.cap", roles=("administrator",), why="w"),
        StopRule(codes="dose.*", roles=("clinician",), why="w"),
    ),
)
PLAN = plan(case())


def decide(
    *notices: object, overrides: tuple[str, ...] = (), role: str = "clinician", reason: str = WHY
) -> object:
    """Approve with overrides by code."""
    made = tuple(Override(code=code, name="Dr A", reason=WHY) for code in overrides)
    return approve(
        PLAN,
        notices,
        name="Dr A",
        time=NOON,
        overrides=made,
        reason=reason,
        rules=RULES,
        role=role,  # type: ignore[arg-type]
    )


def test_the_first_rule_that_fits_counts_and_none_means_nobody() -> None:
    assert RULES.roles_for("dose.cap") == ("administrator",)
    assert RULES.roles_for("dose.over") == ("clinician",)
    assert RULES.roles_for("solver.energy") == ()
    assert RULES.roles_for("never.heard.of") == ()


@pytest.mark.parametrize(
    ("code", "role", "error"),
    [
        ("dose.over", "clinician", None),
        ("dose.cap", "clinician", ForbiddenError),
        ("solver.energy", "clinician", ForbiddenError),
        ("never.heard.of", "clinician", ForbiddenError),
        ("dose.over", "planner", ForbiddenError),
        ("dose.over", "", ForbiddenError),
        *((f"{first}.x", "clinician", SafetyStop) for first in sorted(NEVER_OVERRIDDEN)),
    ],
)
def test_an_override_counts_only_from_a_role_that_may(
    code: str, role: str, error: type[NeurolysisError] | None
) -> None:
    if error is None:
        assert decide(stop(code), overrides=(code,), role=role).overrides[0].role == role  # type: ignore[attr-defined]
    else:
        with pytest.raises(error):
            decide(stop(code), overrides=(code,), role=role)


def test_a_stop_that_its_own_rule_calls_final_stays() -> None:
    with pytest.raises(SafetyStop):
        decide(stop("dose.over", overridable=False), overrides=("dose.over",))


def test_one_override_does_not_excuse_another_stop() -> None:
    with pytest.raises(SafetyStop, match=r"\[dose\.mixed\]") as caught:
        decide(stop("dose.over"), stop("dose.mixed"), overrides=("dose.over",))
    assert "dose.over" not in str(caught.value)


def test_reasons_are_asked_for() -> None:
    for reason in ("", "ok", "         x"):
        with pytest.raises(InputError, match="needs its reason"):
            decide(reason=reason)
    assert mark_of(PLAN.content_hash(), decide()) != DRAFT  # type: ignore[arg-type]


CODES = ["dose.over", "dose.cap", "solver.energy", "side.missing", "level.x", "limit.y"]


@given(
    codes=st.lists(st.sampled_from(CODES), max_size=4),
    excused=st.sets(st.sampled_from(["dose.over", "dose.cap", "side.missing", "level.x"])),
    role=st.sampled_from(get_args(Role)),
)  # fmt: skip
def test_an_approval_never_stands_on_a_stop_that_its_role_may_not_set_aside(
    codes: list[str], excused: set[str], role: str
) -> None:
    notices = [stop(code) for code in codes]
    try:
        approval = decide(*notices, overrides=tuple(sorted(excused)), role=role)
    except NeurolysisError:
        return
    assert role == "clinician"
    assert set(codes) <= excused <= {"dose.over"}
    assert open_stops(notices, approval.overrides) == ()  # type: ignore[attr-defined]


# ---------------------------------------------------------------- the shipped rules


def test_the_shipped_rules_know_the_roles_of_the_store() -> None:
    rules = approval_rules()
    roles = {role for rule in rules.stops for role in rule.roles} | set(rules.approvers)
    assert roles <= set(get_args(Role))
    assert rules.approvers == ("clinician",)
    assert overridable_by([stop("side.missing"), stop("limit.x"), stop("solver.x")], "clinician", rules) == (
        "limit.x",
    )
    assert overridable_by([stop("limit.x")], "planner", rules) == ()
    assert re.fullmatch(r"[0-9a-f]{16}", rules_version())


def stop_codes() -> set[str]:
    """The code of every stop that the program's text makes, as far as it is a plain text there."""
    found = set()
    for path in Path(neurolysis.__file__).parent.rglob("*.py"):
        text = path.read_text("utf-8")
        for node in ast.walk(ast.parse(text)) if "stop" in text else ():
            if isinstance(node, ast.Call):
                texts = [
                    a.value
                    for a in (*node.args, *(k.value for k in node.keywords))
                    if isinstance(a, ast.Constant)
                ]
                if "stop" in texts or "stop" in ast.unparse(node.func):
                    found |= {t for t in texts if isinstance(t, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", t)}
    return found


def test_stops_on_side_level_and_allergy_in_the_program_are_final() -> None:
    codes = stop_codes()
    assert {"side.missing", "allergy.anaesthetic", "tip.in_bone", "implant.electronic"} <= codes
    for code in codes:
        if re.search(r"side|level|joint|allerg", code):
            assert is_final(stop(code)), code


def test_a_basis_names_what_changed() -> None:
    basis = Basis(case="1", labs="1", images="1", evidence="1", rules="1")
    assert basis.changes(basis) == ()
    for field in Basis.model_fields:
        assert len(basis.changes(basis.replace(**{field: "2"}))) == 1
    assert len(basis.changes(Basis(case="2", labs="2", images="2", evidence="2", rules="2"))) == 5
