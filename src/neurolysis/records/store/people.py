"""Users with their passwords (argon2), and server-side sessions."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any
from uuid import uuid4

import sqlalchemy as sa

from neurolysis.errors import ConflictError, InputError, NotFoundError
from neurolysis.quantity import parse
from neurolysis.records.store.base import Deed, StoreBase, Work, time_text
from neurolysis.records.store.engine import snapshot
from neurolysis.records.store.tables import clean, sessions, users
from neurolysis.records.store.values import Principal, Role, User

SHORTEST_PASSWORD, LONGEST_PASSWORD = 12, 200
SESSION_HOURS = 12.0
NOBODY = Principal(user_id="nobody", name="nobody", role="patient", origin="sign-in")


class PeopleMethods(StoreBase):
    """What can be done with users and sessions."""

    def add_user(
        self, p: Principal, name: str, role: Role, password: str = "", *, identity: str = ""
    ) -> User:
        """A new account.

        Args:
            password: empty: the user cannot sign in with one (only through a provider).
            identity: "issuer|subject" of an identity provider.

        Raises:
            ForbiddenError: only administrators. InputError: name, role or password.
            ConflictError: the name is taken.
        """
        user = parse(User, {"id": uuid4().hex, "name": name.strip(), "role": role}, "user")
        _require_name(user.name)
        self.check_first(p, "add_user", "user", "create", "")
        hashed = _hashed(password) if password else ""
        with self.work(p, "add_user", "create", "user", "create") as work:
            work.require()
            work.object, work.detail = user.id, role
            if _by_name(work, user.name) is not None:
                raise ConflictError("there is a user of this name", where=f"user '{user.name}'")
            work.insert(
                users, id=user.id, name=user.name, folded_name=user.name.casefold(), role=role,
                password=hashed, identity=identity, disabled=0,
            )  # fmt: skip
        return user

    def list_users(self, p: Principal) -> tuple[User, ...]:
        """Every account. ForbiddenError: only administrators."""
        with self.work(p, "list_users", "read", "user", "list") as work:
            work.require()
            rows = work.connection.execute(sa.select(users).order_by(users.c.folded_name)).mappings()
            return tuple(_user(row) for row in rows)

    def set_role(self, p: Principal, user_id: str, role: Role) -> User:
        """Give a user another role, at once also in open sessions. ForbiddenError, NotFoundError."""
        parse(User, {"id": user_id, "name": "any", "role": role}, "user")
        return self._change(p, "set_role", user_id, {"role": role}, role)

    def set_disabled(self, p: Principal, user_id: str, disabled: bool) -> User:
        """Lock an account, which ends its sessions, or open it again. ForbiddenError, NotFoundError."""
        return self._change(p, "set_disabled", user_id, {"disabled": int(disabled)}, str(disabled))

    def set_password(self, p: Principal, user_id: str, password: str) -> User:
        """A new password, which ends the user's sessions. ForbiddenError, NotFoundError, InputError."""
        self.check_first(p, "set_password", "user", "write", "")
        user = self._change(p, "set_password", user_id, {"password": _hashed(password)}, "")
        with self.turn, self.engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.user_id == user_id))
        return user

    def has_users(self) -> bool:
        """Whether there is any account yet."""
        with snapshot(self.engine) as connection:
            return connection.execute(sa.select(users.c.id).limit(1)).first() is not None

    def check_password(self, name: str, password: str, origin: str = "") -> Principal | None:
        """Who this is; None when name or password is wrong, which takes as long either way."""
        with snapshot(self.engine) as connection:
            found = _user_row(connection, users.c.folded_name == clean(name.strip().casefold()))
        good = _verified(found["password"] if found else "", password)
        who = _principal(found, origin) if found and good and not found["disabled"] else None
        self._tell(who or NOBODY.replace(origin=origin or NOBODY.origin), "login", who is not None)
        return who

    def user_for_identity(self, issuer: str, subject: str, origin: str = "") -> Principal | None:
        """Who a provider's identity is here; None where nobody has it."""
        with snapshot(self.engine) as connection:
            found = _user_row(connection, users.c.identity == clean(f"{issuer}|{subject}"))
        who = _principal(found, origin) if found and not found["disabled"] else None
        self._tell(who or NOBODY.replace(origin=origin or NOBODY.origin), "login", who is not None)
        return who

    def open_session(self, p: Principal, hours: float = SESSION_HOURS) -> str:
        """A new session; its token is for the cookie and is kept nowhere."""
        token, now = secrets.token_urlsafe(32), self.clock()
        row = {
            "token": _token_hash(token), "user_id": p.user_id, "principal": p.canonical_json(),
            "opened_at": time_text(now), "expires_at": time_text(now + timedelta(hours=hours)),
        }  # fmt: skip
        with self.turn, self.engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.expires_at <= time_text(now)))
            connection.execute(sessions.insert(), row)
        self._tell(p, "open_session", True)
        return token

    def read_session(self, token: str) -> Principal | None:
        """Whose session this is, with the role of now; None when it is none, has ended, or was locked."""
        query = sa.select(sessions).where(
            sessions.c.token == _token_hash(token), sessions.c.expires_at > time_text(self.clock())
        )
        with snapshot(self.engine) as connection:
            row = connection.execute(query).mappings().one_or_none()
            if row is None:
                return None
            who = Principal.model_validate_json(row["principal"])
            if who.mode == "single-user":
                return who
            found = _user_row(connection, users.c.id == who.user_id)
        return who.replace(role=found["role"]) if found and not found["disabled"] else None

    def close_session(self, token: str) -> None:
        """End a session; nothing happens where there is none."""
        who = self.read_session(token)
        with self.turn, self.engine.begin() as connection:
            connection.execute(sessions.delete().where(sessions.c.token == _token_hash(token)))
        if who is not None:
            self._tell(who, "close_session", True)

    # ------------------------------------------------------------------ parts

    def _change(self, p: Principal, what: str, user_id: str, changes: Mapping[str, Any], detail: str) -> User:
        deed: Deed = "update"
        with self.work(p, what, deed, "user", "write") as work:
            work.require()
            work.object, work.detail = user_id, detail
            found = _user_row(work.connection, users.c.id == clean(user_id))
            if found is None:
                raise NotFoundError("no such user", where=user_id)
            row = {**found, **changes}
            work.put(users, **row)
            return _user(row)

    def _tell(self, who: Principal, what: str, good: bool) -> None:
        """A line of its own in the trail."""
        work = Work(who, what, "execute", "session", "create", self.clock())
        self.told.add(work.line("done" if good else "refused"))


def _require_name(name: str) -> None:
    if not name or len(name) > 100 or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise InputError(
            "not a name for a user", where="name", allowed="1 to 100 characters, none of control"
        )


@cache
def _hasher() -> Any:
    from argon2 import PasswordHasher

    return PasswordHasher()


def _hashed(password: str) -> str:
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise InputError(
            "a password of this length is not taken", where="password",
            found=f"{len(password)} characters", allowed=f"{SHORTEST_PASSWORD} to {LONGEST_PASSWORD}",
        )  # fmt: skip
    return str(_hasher().hash(password))


@cache
def _nobodys() -> str:
    """The hash of a password nobody has: a name that is not there must take as long as one that is."""
    return str(_hasher().hash(secrets.token_urlsafe(32)))


def _verified(hashed: str, password: str) -> bool:
    from argon2.exceptions import InvalidHashError, VerificationError

    if len(password) > LONGEST_PASSWORD:
        return False
    try:
        return bool(_hasher().verify(hashed or _nobodys(), password)) and bool(hashed)
    except (VerificationError, InvalidHashError):
        return False


def _token_hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def _by_name(work: Work, name: str) -> dict[str, Any] | None:
    return _user_row(work.connection, users.c.folded_name == name.casefold())


def _user_row(connection: sa.Connection, where: Any) -> dict[str, Any] | None:
    row = connection.execute(sa.select(users).where(where)).mappings().first()
    return None if row is None else dict(row)


def _user(row: Any) -> User:
    return User(id=row["id"], name=row["name"], role=row["role"], disabled=bool(row["disabled"]))


def _principal(row: Mapping[str, Any], origin: str) -> Principal:
    return Principal(user_id=row["id"], name=row["name"], role=row["role"], mode="accounts", origin=origin)
