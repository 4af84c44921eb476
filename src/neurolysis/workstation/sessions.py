"""Who is asking: the launch link, the cookie, the session kept in the store."""

from __future__ import annotations

import hmac
import secrets
import threading
from typing import TYPE_CHECKING

from neurolysis.workstation.rates import Rates
from neurolysis.workstation.replies import SignInError, TooManyError
from neurolysis.workstation.settings import Settings

if TYPE_CHECKING:
    from starlette.responses import Response

    from neurolysis.records.store import Principal, Store

SINGLE_USER = "single-user"
ACCOUNTS = "accounts"


class LaunchToken:
    """The secret of the launch link; it opens one session and is then worth nothing."""

    def __init__(self, text: str | None = None) -> None:
        self.text = text or secrets.token_urlsafe(32)
        self._lock = threading.Lock()
        self._left = True

    def use(self, text: str) -> bool:
        """Whether this is the token and it was not used before."""
        same = hmac.compare_digest(text.encode(), self.text.encode())
        with self._lock:
            good, self._left = same and self._left, self._left and not same
        return good


def cookie_name(settings: Settings) -> str:
    """Cookies do not tell ports apart, so the name does; over HTTPS it is bound to this very host."""
    return "__Host-neurolysis" if settings.secure else f"neurolysis-{settings.port}"


def set_cookie(response: Response, settings: Settings, token: str) -> None:
    """Hand the session to the browser: not readable by scripts, never sent from another site."""
    response.set_cookie(
        cookie_name(settings),
        token,
        max_age=int(3600 * settings.session_hours),
        path="/",
        httponly=True,
        samesite="strict",
        secure=settings.secure,
    )


def drop_cookie(response: Response, settings: Settings) -> None:
    """Take the session from the browser."""
    response.delete_cookie(
        cookie_name(settings), path="/", httponly=True, samesite="strict", secure=settings.secure
    )


class Doorkeeper:
    """Opens sessions: by the launch link in single-user mode, by name and password with accounts."""

    def __init__(self, settings: Settings, store: Store, launch: LaunchToken) -> None:
        self.settings = settings
        self.store = store
        self.launch = launch
        limits = settings.limits
        self.tries = Rates(limits.logins_per_minute / 60, limits.logins_at_once)

    @property
    def mode(self) -> str:
        """single-user, or accounts."""
        return ACCOUNTS if self.settings.accounts else SINGLE_USER

    def by_link(self, token: str, address: str) -> tuple[Principal, str]:
        """(who, session token) for the launch link.

        Raises:
            SignInError: a wrong or used token, or a server with accounts. TooManyError: too many tries.
        """
        self._count(address)
        if self.settings.accounts:
            raise SignInError("this server has accounts: sign in with a name and a password")
        if not self.launch.use(token):
            raise SignInError("this launch link is not valid, or was used before: start the server again")
        who = local_user(address)
        return who, self._open(who)

    def by_password(self, name: str, password: str, address: str) -> tuple[Principal, str]:
        """(who, session token) for a name and a password.

        Raises:
            SignInError: wrong, or a server without accounts. TooManyError: too many tries.
        """
        self._count(address)
        self._count(f"name {name.casefold()}")
        if not self.settings.accounts:
            raise SignInError("this server has no accounts: open it by its launch link")
        who = self.store.check_password(name, password, address)
        if who is None:
            raise SignInError("name or password is wrong")
        return who, self._open(who)

    def by_identity(self, issuer: str, subject: str, address: str) -> tuple[Principal, str]:
        """(who, session token) for somebody a provider has identified.

        Raises:
            SignInError: nobody here has that identity.
        """
        who = self.store.user_for_identity(issuer, subject, address)
        if who is None:
            raise SignInError("nobody here has that identity: ask the administrator to add it", found=subject)
        return who, self._open(who)

    def who(self, token: str) -> Principal | None:
        """Whose session it is; None when it is none, has ended, or was opened under the other mode.

        The one user of a store without accounts may do everything; with accounts nobody may.
        """
        who = self.store.read_session(token) if token else None
        return who if who is not None and who.mode == self.mode else None

    def leave(self, token: str) -> None:
        """End a session."""
        if token:
            self.store.close_session(token)

    def _open(self, who: Principal) -> str:
        return self.store.open_session(who, self.settings.session_hours)

    def _count(self, client: str) -> None:
        wait = self.tries.wait_seconds(client)
        if wait > 0:
            raise TooManyError("too many tries to sign in", allowed=f"again in {wait:.0f} s")


def local_user(origin: str) -> Principal:
    """The one user of a server without accounts."""
    from neurolysis.records.store import local_principal

    return local_principal(origin=origin)
