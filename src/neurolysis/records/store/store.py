"""The store as one object: every method takes who asks first, checks the permission, and leaves its trail."""

from __future__ import annotations

from neurolysis.records.store.backup import BackupMethods
from neurolysis.records.store.check import CheckMethods
from neurolysis.records.store.documents import DocumentMethods
from neurolysis.records.store.exchange import ExchangeMethods
from neurolysis.records.store.people import PeopleMethods
from neurolysis.records.store.plans import PlanMethods
from neurolysis.records.store.trail import TrailMethods


class Store(
    PlanMethods, DocumentMethods, ExchangeMethods, PeopleMethods, TrailMethods, BackupMethods, CheckMethods
):
    """See :mod:`neurolysis.records.store`."""
