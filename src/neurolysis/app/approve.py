"""Approve a plan of the store, and write its report anew so that its first page says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neurolysis.approval import Approval

if TYPE_CHECKING:
    from neurolysis.records.store import Principal, Store
    from neurolysis.records.store.values import PlanStatus


def approve(
    store: Store,
    p: Principal,
    case_id: str,
    number: int,
    *,
    name: str,
    reason: str,
    overrides: Sequence[Mapping[str, str]] = (),
) -> PlanStatus:
    """Approve a plan.

    A plan that keeps no exposure (one that was not simulated by the workstation) keeps the report it has,
    which says DRAFT; its record says what is true.

    Args:
        overrides: stops set aside, each with ``code`` and ``reason``.

    Raises:
        SafetyStop: stops remain, or what the plan was made from has changed.
        ForbiddenError, InputError, ConflictError, NotFoundError: see the store.
    """
    from neurolysis.app.plan_again import EXPOSURE, approved_report

    version = store.read_plan(p, case_id, number).row.case_version
    with store.case_folder(p, case_id, version) as folder:

        def render(approval: Approval, files: Mapping[str, Path]) -> Mapping[str, bytes]:
            return approved_report(folder, files, approval) if EXPOSURE in files else {}

        return store.approve_plan(p, case_id, number, name, reason, overrides, render=render)
