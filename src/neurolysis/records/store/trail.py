"""Reading and checking the audit trail."""

from __future__ import annotations

from collections.abc import Mapping

from neurolysis.records.store import audit
from neurolysis.records.store.base import StoreBase
from neurolysis.records.store.engine import snapshot
from neurolysis.records.store.values import AuditRow, Principal, Problem

MOST_LINES = 1000


class TrailMethods(StoreBase):
    """What can be done with the trail."""

    def audit_rows(
        self, p: Principal, case_id: str | None = None, after: int | None = None, limit: int = MOST_LINES
    ) -> tuple[AuditRow, ...]:
        """Lines in order, of one case or all, after a number; at most ``limit``. ForbiddenError."""
        with self.work(p, "audit_rows", "read", "audit", "read") as work:
            work.require()
            work.object = case_id or "all"
            return tuple(audit.rows(work.connection, case_id, after, min(max(limit, 0), MOST_LINES)))

    def audit_head(self) -> tuple[int, str]:
        """Number and hash of the last line: noted elsewhere, it proves later that nothing was rewritten."""
        with snapshot(self.engine) as connection:
            return audit.head(connection)

    def verify_audit(self, known_heads: Mapping[int, str] | None = None) -> tuple[Problem, ...]:
        """What is wrong with the trail; ``known_heads``: number and hash of lines noted elsewhere."""
        with snapshot(self.engine) as connection:
            return tuple(audit.verify(connection, known_heads))
