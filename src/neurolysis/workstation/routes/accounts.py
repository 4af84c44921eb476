"""Accounts, and the audit trail; for the administrator."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from neurolysis.records.store.values import AuditRow, Problem, User
from neurolysis.workstation.depends import Records, Who
from neurolysis.workstation.models import CaseId, DisabledRequest, NewUser, PasswordRequest, RoleRequest
from neurolysis.workstation.openapi import router as make_router

router = make_router("accounts")
UserId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._-]+$", max_length=200)]


@router.get("/api/users")
def list_users(who: Who, store: Records) -> list[User]:
    """Everybody with an account."""
    return list(store.list_users(who))


@router.post("/api/users", status_code=201)
def add_user(body: NewUser, who: Who, store: Records) -> User:
    """A new account."""
    store.check_first(who, "add_user", "user", "create", "")
    return store.add_user(who, body.name, body.role, body.password, identity=body.identity)


@router.put("/api/users/{user_id}/role")
def set_role(user_id: UserId, body: RoleRequest, who: Who, store: Records) -> User:
    """Give somebody another role."""
    return store.set_role(who, user_id, body.role)


@router.put("/api/users/{user_id}/disabled")
def set_disabled(user_id: UserId, body: DisabledRequest, who: Who, store: Records) -> User:
    """Close an account, or open it again."""
    return store.set_disabled(who, user_id, body.disabled)


@router.put("/api/users/{user_id}/password")
def set_password(user_id: UserId, body: PasswordRequest, who: Who, store: Records) -> User:
    """Give somebody a new password; that person's sessions end."""
    return store.set_password(who, user_id, body.password)


@router.get("/api/audit")
def audit(
    who: Who,
    store: Records,
    case: Annotated[CaseId | None, Query()] = None,
    after: Annotated[int | None, Query(ge=0, le=2**53)] = None,
) -> list[AuditRow]:
    """The audit trail, or what concerns one case, in order."""
    return list(store.audit_rows(who, case_id=case, after=after))


@router.get("/api/audit/check")
def check_audit(who: Who, store: Records) -> list[Problem]:
    """What is wrong with the chain of the audit trail; nothing when it is whole."""
    store.audit_rows(who, limit=0)  # only who may read the trail may ask for its state
    return list(store.verify_audit())
