"""Approval: who said yes to which plan, and the mark every export carries before that.

Checked here, in the domain, by every door and every exporter. Which stops may be set aside by whom is data
(:class:`ApprovalRules`); that side, level and allergy stops may not be is fixed here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Literal

from pydantic import Field

from neurolysis.errors import ForbiddenError, InputError, SafetyStop
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import Value, parse

DRAFT = "DRAFT"
RESEARCH_USE = (
    "Decision support for professionals, research use; not a certified medical device. The clinician decides."
)
"""Said once on every output."""
NOT_AUTHENTICATED = "name typed, not authenticated"
NEVER_OVERRIDDEN = frozenset({"side", "level", "joint", "target", "allergy"})
"""First parts of the codes of stops that nobody may set aside: the wrong place, or a known allergy."""


class Override(Value):
    """A stop set aside by a named person, with the reason; prints on page one."""

    code: str
    name: str = Field(min_length=1)
    reason: str = Field(min_length=3)
    role: str = ""


class StopRule(Value):
    """Who may set aside the stops whose code fits ``codes`` (``*`` stands for any text)."""

    codes: str = Field(min_length=1)
    roles: tuple[str, ...]
    why: str = Field(min_length=1)


class ApprovalRules(Value):
    """Who may approve, and who may set aside which stops; the first of ``stops`` that fits counts."""

    approvers: tuple[str, ...] = Field(min_length=1)
    reason_min_length: int = Field(ge=3)
    stops: tuple[StopRule, ...]

    def roles_for(self, code: str) -> tuple[str, ...]:
        """Roles that may set aside a stop of this code; none where no rule fits."""
        return next((rule.roles for rule in self.stops if fnmatchcase(code, rule.codes)), ())


class Approval(Value):
    """An approval binds to one plan by hash; any change of the plan voids it."""

    schema_version: Literal[1] = 1
    plan_hash: str = Field(min_length=64, max_length=64)
    name: str = Field(min_length=1)
    authenticated: bool = False
    reason: str = ""
    time: datetime
    overrides: tuple[Override, ...] = ()


class Basis(Value):
    """What a plan was made from, as hashes, in the parts that a person would name."""

    case: str
    labs: str
    images: str
    evidence: str
    rules: str

    def changes(self, now: Basis) -> tuple[str, ...]:
        """What is different now, in words."""
        return tuple(text for field, text in _CHANGES.items() if getattr(self, field) != getattr(now, field))


_CHANGES = {
    "case": "the case was changed (other than laboratory values and images)",
    "labs": "laboratory values were added or changed",
    "images": "images or labels were added or changed",
    "evidence": "the evidence base is another version",
    "rules": "the rules or the program are another version",
}


def is_final(notice: Notice) -> bool:
    """Whether nobody may set this stop aside."""
    return not notice.overridable or notice.code.split(".")[0] in NEVER_OVERRIDDEN


def open_stops(notices: Iterable[Notice], overrides: Iterable[Override] = ()) -> tuple[Notice, ...]:
    """Stops that still forbid approval; a stop that may not be overridden stays whatever is said."""
    excused = {override.code for override in overrides}
    return tuple(
        notice
        for notice in notices
        if notice.severity == "stop" and (is_final(notice) or notice.code not in excused)
    )


def overridable_by(notices: Iterable[Notice], role: str, rules: ApprovalRules) -> tuple[str, ...]:
    """Codes of the stops that this role may set aside, each once."""
    found = (n.code for n in open_stops(notices) if not is_final(n) and role in rules.roles_for(n.code))
    return tuple(dict.fromkeys(found))


def approve(
    plan: Plan,
    notices: Iterable[Notice],
    *,
    name: str,
    time: datetime,
    overrides: tuple[Override, ...] = (),
    authenticated: bool = False,
    reason: str = "",
    rules: ApprovalRules | None = None,
    role: str = "",
) -> Approval:
    """Approve a plan.

    Args:
        notices: everything that was found about the plan and its simulation, beside the plan's own.
        rules: who may approve and set aside what; None asks only what each stop itself allows.
        role: of the person who approves.

    Raises:
        ForbiddenError: this role may not approve, or not set aside one of the stops.
        InputError: no name, a reason missing or too short, or an override that names no stop of this plan.
        SafetyStop: listing the stops that remain.
    """
    found = (*plan.notices, *notices)
    where = f"plan of case '{plan.case_id}'"
    if rules is not None:
        _require_role(found, overrides, reason, rules, role, where)
    remaining = open_stops(found, overrides)
    if remaining:
        listed = "; ".join(dict.fromkeys(f"[{stop.code}] {stop.text}" for stop in remaining))
        raise SafetyStop(f"the plan cannot be approved: {listed}", where=where)
    given = {
        "plan_hash": plan.content_hash(),
        "name": name,
        "authenticated": authenticated,
        "reason": reason,
        "time": time,
        "overrides": tuple(override.replace(role=override.role or role) for override in overrides),
    }
    return parse(Approval, given, f"{where}: approval")


def _require_role(
    notices: Sequence[Notice],
    overrides: tuple[Override, ...],
    reason: str,
    rules: ApprovalRules,
    role: str,
    where: str,
) -> None:
    if role not in rules.approvers:
        raise ForbiddenError(
            "this role may not approve plans", where=where, found=role, allowed=rules.approvers
        )
    if len(reason.strip()) < rules.reason_min_length:
        raise InputError(
            "an approval needs its reason",
            where=f"{where}: reason",
            found=reason,
            allowed=f"at least {rules.reason_min_length} characters",
        )
    may = overridable_by(notices, role, rules)
    for override in overrides:
        for error in _override_problems(override, notices, may, rules, role, where):
            raise error


def _override_problems(
    override: Override,
    notices: Sequence[Notice],
    may: tuple[str, ...],
    rules: ApprovalRules,
    role: str,
    where: str,
) -> Iterator[InputError | ForbiddenError | SafetyStop]:
    field = f"{where}: overrides.{override.code}"
    stops = [notice for notice in open_stops(notices) if notice.code == override.code]
    if not stops:
        codes = sorted({notice.code for notice in open_stops(notices)}) or "none: nothing stops this plan"
        yield InputError(
            "no stop of this plan has this code", where=field, found=override.code, allowed=codes
        )
    elif any(is_final(stop) for stop in stops):
        yield SafetyStop(f"this stop cannot be set aside by anybody: {stops[0].text}", where=field)
    elif override.code not in may:
        allowed = rules.roles_for(override.code) or "nobody"
        yield ForbiddenError(
            "this role may not set aside this stop", where=field, found=role, allowed=allowed
        )
    elif len(override.reason.strip()) < rules.reason_min_length:
        yield InputError(
            "setting a stop aside needs a reason",
            where=field,
            found=override.reason,
            allowed=f"at least {rules.reason_min_length} characters",
        )


def export_mark(plan: Plan, approval: Approval | None = None) -> str:
    """The mark every report and export of this plan carries: ``DRAFT``, or who approved it.

    An approval of another plan, or of an older version of this one, counts as none.
    """
    return mark_of(plan.content_hash(), approval)


def mark_of(plan_hash: str, approval: Approval | None) -> str:
    """The mark of the plan with this hash; see :func:`export_mark`."""
    if approval is None or approval.plan_hash != plan_hash:
        return DRAFT
    how = "" if approval.authenticated else f" ({NOT_AUTHENTICATED})"
    return f"APPROVED by {approval.name}{how}, {approval.time:%Y-%m-%d %H:%M}"
