"""Accounts of the workstation, made on the machine that holds the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurolysis.records.store.values import Role


def add_account(
    folder: Path | None, name: str, role: Role, password: str, identity: str = ""
) -> dict[str, Any]:
    """Make an account, as the owner of this machine.

    Raises:
        InputError: name, role or password. ConflictError: the name is taken.
    """
    from neurolysis.records.store import Store, local_principal

    store = Store.open(None, folder)
    try:
        user = store.add_user(local_principal(), name, role, password, identity=identity)
        found: dict[str, Any] = user.model_dump(mode="json")
        return found
    finally:
        store.close()


def list_accounts(folder: Path | None) -> list[dict[str, Any]]:
    """Everybody with an account."""
    from neurolysis.records.store import Store, local_principal

    store = Store.open(None, folder)
    try:
        return [user.model_dump(mode="json") for user in store.list_users(local_principal())]
    finally:
        store.close()
