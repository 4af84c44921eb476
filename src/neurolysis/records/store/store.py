"""The store as one object: every method takes who asks first, checks the permission, and leaves its trail."""

from __future__ import annotations

from neurolysis.records.store.documents import DocumentMethods
from neurolysis.records.store.people import PeopleMethods
from neurolysis.records.store.plans import PlanMethods
from neurolysis.records.store.trail import TrailMethods


class Store(PlanMethods, DocumentMethods, PeopleMethods, TrailMethods):
    """See :mod:`neurolysis.records.store`."""
