"""The store as one object: every method takes who asks first, checks the permission, and leaves its trail."""

from __future__ import annotations

from neurolysis.records.store.cases import CaseMethods


class Store(CaseMethods):
    """See :mod:`neurolysis.records.store`."""
