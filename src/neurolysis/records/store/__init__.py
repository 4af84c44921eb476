"""The store: cases with every version, plans, approvals, documents, users and the audit trail.

A database (SQLite by default, PostgreSQL by URL) holds what is small; images and fields lie beside it as
files named by their own SHA-256. A file is on disk, synced, before the row that names it is written, so a
crash leaves at most a file that nothing names.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from neurolysis.records.store.store import Store
    from neurolysis.records.store.values import Principal, local_principal

__all__ = ["Principal", "Store", "local_principal"]


def __getattr__(name: str) -> Any:
    """The store's names, loaded when they are first used: the database library is slow to import."""
    if name == "Store":
        from neurolysis.records.store.store import Store

        return Store
    if name in ("Principal", "local_principal"):
        from neurolysis.records.store import values

        return getattr(values, name)
    raise AttributeError(name)
