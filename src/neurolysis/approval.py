"""Approval: who said yes to which plan, and the mark every export carries before that.

Checked here, in the domain, by every door and every exporter.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import Field

from neurolysis.errors import SafetyStop
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Value

DRAFT = "DRAFT"
RESEARCH_USE = (
    "Decision support for professionals, research use; not a certified medical device. The clinician decides."
)
"""Said once on every output."""


class Override(Value):
    """A stop set aside by a named person, with the reason; prints on page one."""

    code: str
    name: str = Field(min_length=1)
    reason: str = Field(min_length=3)


class Approval(Value):
    """An approval binds to one plan by hash; any change of the plan voids it."""

    schema_version: Literal[1] = 1
    plan_hash: str = Field(min_length=64, max_length=64)
    name: str = Field(min_length=1)
    authenticated: bool = False
    reason: str = ""
    time: datetime
    overrides: tuple[Override, ...] = ()


def open_stops(notices: Iterable[Notice], overrides: Iterable[Override] = ()) -> tuple[Notice, ...]:
    """Stops that still forbid approval; a stop that may not be overridden stays whatever is said."""
    excused = {override.code for override in overrides}
    return tuple(
        notice
        for notice in notices
        if notice.severity == "stop" and not (notice.overridable and notice.code in excused)
    )


def approve(
    plan: Plan,
    notices: Iterable[Notice],
    *,
    name: str,
    time: datetime,
    overrides: tuple[Override, ...] = (),
    authenticated: bool = False,
    reason: str = "",
) -> Approval:
    """Approve a plan.

    Args:
        notices: everything that was found about the plan and its simulation, beside the plan's own.

    Raises:
        SafetyStop: listing the stops that remain.
    """
    remaining = open_stops((*plan.notices, *notices), overrides)
    if remaining:
        listed = "; ".join(f"[{stop.code}] {stop.text}" for stop in remaining)
        raise SafetyStop(f"the plan cannot be approved: {listed}", where=f"plan of case '{plan.case_id}'")
    return Approval(
        plan_hash=plan.content_hash(),
        name=name,
        authenticated=authenticated,
        reason=reason,
        time=time,
        overrides=overrides,
    )


def export_mark(plan: Plan, approval: Approval | None = None) -> str:
    """The mark every report and export of this plan carries: ``DRAFT``, or who approved it.

    An approval of another plan, or of an older version of this one, counts as none.
    """
    if approval is None or approval.plan_hash != plan.content_hash():
        return DRAFT
    how = "" if approval.authenticated else " (name typed, not authenticated)"
    return f"APPROVED by {approval.name}{how}, {approval.time:%Y-%m-%d %H:%M}"
