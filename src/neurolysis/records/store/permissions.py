"""Who may do what: the one place that says so.

A case belongs to the user who made it and to those it was shared with: its holders. To everybody else it is
not there: they are told "not found", whatever their role. What a holder may do depends on the role, by
:data:`MAY`. The one user of a store without accounts may do everything.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from neurolysis.errors import ForbiddenError, NotFoundError
from neurolysis.records.store.values import Principal, Role

Action = Literal["list", "read", "create", "write", "trash", "restore", "approve", "share", "export"]
Kind = Literal[
    "case", "plan", "draft", "procedure", "outcome", "consent", "audit", "user", "session", "patient", "store"
]

_READ: frozenset[Action] = frozenset({"list", "read"})
_EDIT: frozenset[Action] = _READ | {"create", "write"}
_ALL: frozenset[Action] = _EDIT | {"trash", "restore", "approve", "share", "export"}

MAY: dict[Role, dict[Kind, frozenset[Action]]] = {
    "clinician": {
        "case": _ALL, "plan": _EDIT | {"approve"}, "draft": _EDIT, "procedure": _EDIT, "outcome": _EDIT,
        "consent": _EDIT, "patient": _EDIT,
    },
    "planner": {
        "case": _EDIT, "plan": _EDIT, "draft": _EDIT, "procedure": _READ, "outcome": _READ, "consent": _READ,
        "patient": _READ,
    },
    "registrar": {
        "case": _READ | {"export"}, "plan": _READ, "draft": _EDIT, "procedure": _READ, "outcome": _EDIT,
        "consent": _READ, "patient": _READ,
    },
    "patient": {"case": _READ, "draft": _EDIT, "procedure": _READ, "outcome": _EDIT, "consent": _READ},
    "administrator": {
        "audit": _READ, "user": _EDIT, "session": _EDIT, "store": _READ | {"export", "restore"},
    },
}  # fmt: skip
"""By role: what it may do to each kind of thing. What is not here is not allowed.

A planner prepares plans and does not approve them; a registrar keeps outcomes; a patient sees the own case
and writes the own outcome; an administrator runs the store and sees no patient's data.
"""

PATIENT_WRITES: dict[Kind, frozenset[str]] = {"outcome": frozenset({"diary"})}
"""What of a document a patient may change; the rest is the team's."""

WITHOUT_OWNER: frozenset[Kind] = frozenset({"audit", "user", "session", "store"})
"""Kinds that belong to nobody; the role alone decides."""


def allowed(principal: Principal, action: Action, kind: Kind, holders: Collection[str] | None = None) -> bool:
    """Whether a principal may do this.

    Args:
        holders: user ids of the case's owner and of those it is shared with; None where there is no case
            yet (a list, a new case), or for a kind without an owner.
    """
    if principal.mode == "single-user":
        return True
    if action not in MAY[principal.role].get(kind, frozenset()):
        return False
    return kind in WITHOUT_OWNER or holders is None or principal.user_id in holders


def visible(principal: Principal, holders: Collection[str]) -> bool:
    """Whether a case exists for this principal."""
    return principal.mode == "single-user" or (
        "read" in MAY[principal.role].get("case", frozenset()) and principal.user_id in holders
    )


def require(
    principal: Principal, action: Action, kind: Kind, holders: Collection[str] | None, where: str
) -> None:
    """Refuse what is not allowed.

    Raises:
        NotFoundError: the case is not this user's. ForbiddenError: the role may not.
    """
    if holders is not None and kind not in WITHOUT_OWNER and not visible(principal, holders):
        raise NotFoundError("no such case", where=where)
    if not allowed(principal, action, kind, holders):
        roles = [role for role, kinds in MAY.items() if action in kinds.get(kind, frozenset())]
        raise ForbiddenError(
            f"your role may not {action} this ({kind})", where=where, found=principal.role, allowed=roles
        )


def require_fields(p: Principal, kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> None:
    """Refuse a patient's change of what the team writes. ForbiddenError, naming the fields."""
    if p.role != "patient" or p.mode == "single-user":
        return
    own = PATIENT_WRITES.get(kind, frozenset())
    others = sorted(name for name in after if name not in own and after[name] != before.get(name))
    if others:
        raise ForbiddenError(
            "a patient may not change this", where=kind, found=", ".join(others), allowed=sorted(own)
        )
