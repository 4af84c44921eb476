"""Plans in the store: added once and never changed; approval beside them, checked in the domain."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from neurolysis.approval import Approval, Basis, Override, approve, mark_of, open_stops, overridable_by
from neurolysis.case import Case
from neurolysis.errors import ConflictError, InputError, NotFoundError, SafetyStop
from neurolysis.plan import Plan
from neurolysis.planning.approval_rules import approval_rules
from neurolysis.quantity import canonical_json, parse
from neurolysis.records.store.base import LARGEST, Work
from neurolysis.records.store.basis import basis_of
from neurolysis.records.store.cases import CaseMethods, refresh
from neurolysis.records.store.reading import notices_of, plan_of
from neurolysis.records.store.tables import approvals, case_versions, plans
from neurolysis.records.store.values import PlanRow, PlanStatus, Principal, StoredPlan

Render = Callable[[Approval, Mapping[str, Path]], Mapping[str, bytes]]
"""Makes a plan's files anew once its approval is known, from the files of the plan by name."""
CASE_BEFORE_PLAN = "the plan was made from something else than what is there now"


class PlanMethods(CaseMethods):
    """What can be done with plans."""

    def add_plan(
        self,
        p: Principal,
        case_id: str,
        case_version: int,
        record: Mapping[str, Any],
        files: Mapping[str, Path] | None = None,
        *,
        key: str = "",
    ) -> PlanRow:
        """Keep a plan with its files.

        Args:
            case_version: the version of the case that it was made from.
            record: its ``plan.json`` as plain data.
            key: the same key a second time adds nothing and gives the first plan (work done again).

        Raises:
            InputError: no plan of this program, or not of this version of this case.
            NotFoundError, ForbiddenError. OutputError: nothing was written.
        """
        self.check_first(p, "add_plan", "plan", "create", case_id)
        plan = plan_of(record, case_id)
        added = self._add_files(None, files or {}, {})
        text = self.blobs.add_bytes(canonical_json(record).encode())
        with self.work(p, "add_plan", "create", "plan", "create", case_id) as work:
            row = work.case_row()
            known = _row_by_key(work, key) if key else None
            if known is not None:
                work.object = f"plan {known['number']}"
                return plan_row(known, _approval(work, known["number"]))
            basis = self._basis_for(work, plan, case_version)
            self.add_blob_rows(work, [text, *added.values()])
            number = _last_number(work) + 1
            work.object = f"plan {number}"
            work.insert(
                plans, case_id=case_id, number=number, case_version=case_version, key=key,
                hash=plan.content_hash(), record=text[0], basis=basis.canonical_json(),
                summary=canonical_json(_summary(plan, record)), made_at=work.at, made_by=p.name,
                files=canonical_json({name: blob for name, (blob, _) in added.items()}),
            )  # fmt: skip
            refresh(work, {**row, "updated_at": work.at})
            return plan_row(_row(work, number), None)

    def list_plans(self, p: Principal, case_id: str) -> tuple[PlanRow, ...]:
        """The plans of a case, oldest first. NotFoundError."""
        with self.work(p, "list_plans", "read", "plan", "read", case_id) as work:
            work.case_row()
            query = sa.select(plans).where(plans.c.case_id == case_id).order_by(plans.c.number)
            rows = work.connection.execute(query).mappings().all()
            return tuple(plan_row(dict(row), _approval(work, row["number"])) for row in rows)

    def read_plan(self, p: Principal, case_id: str, number: int) -> StoredPlan:
        """A plan with its record: mark, approval and remaining stops are those of today. NotFoundError."""
        with self.work(p, "read_plan", "read", "plan", "read", case_id) as work:
            work.case_row()
            row = _row(work, number)
            approval = _approval(work, number)
        return StoredPlan(row=plan_row(row, approval), record=self._record(row, approval), approval=approval)

    def plan_file(self, p: Principal, case_id: str, number: int, name: str) -> Path:
        """Where a file of a plan lies; of an approved plan, the one that says so. NotFoundError."""
        with self.work(p, "plan_file", "read", "plan", "read", case_id) as work:
            work.case_row()
            row = _row(work, number)
            work.object = f"plan {number} {name}"
            files = {**json.loads(row["files"]), **_approved_files(work, number)}
            if name not in files:
                raise NotFoundError(
                    "this plan has no such file", where=case_id, found=name, allowed=sorted(files)
                )
            return self.blobs.place(files[name])

    def approve_plan(
        self,
        p: Principal,
        case_id: str,
        number: int,
        name: str,
        reason: str,
        overrides: Sequence[Mapping[str, str]] = (),
        *,
        render: Render | None = None,
    ) -> PlanStatus:
        """Approve a plan; it can never be changed then.

        Args:
            name: of who approves: typed where there are no accounts, else it must be the user's own.
            overrides: stops set aside, each with ``code`` and ``reason``.
            render: makes the plan's report anew, so that it shows the approval.

        Raises:
            SafetyStop: stops remain, or what the plan was made from has changed since.
            ForbiddenError: the role may not approve, or not set aside one of the stops.
            InputError: a name or reason. ConflictError: it is approved already. NotFoundError.
        """
        self.check_first(p, "approve_plan", "plan", "approve", case_id)
        with self.work(p, "approve_plan", "read", "plan", "approve", case_id) as work:
            work.case_row()
            row = _row(work, number)
            _require_unapproved(work, number)
            self._require_fresh(work, row)
            work.detail = "asked"
        record = self._record(row, None)
        approval = _approve(p, plan_of(record, case_id), record, self.clock(), name, reason, overrides)
        made = render(approval, self._paths(row)) if render else {}
        files = {file: self.blobs.add_bytes(content) for file, content in made.items()}
        with self.work(p, "approve_plan", "execute", "plan", "approve", case_id) as work:
            case = work.case_row()
            work.object = f"plan {number}"
            _require_unapproved(work, number)
            self._require_fresh(work, row)
            self.add_blob_rows(work, files.values())
            work.insert(
                approvals, case_id=case_id, number=number, body=approval.canonical_json(), user_id=p.user_id,
                files=canonical_json({file: blob for file, (blob, _) in files.items()}),
            )  # fmt: skip
            refresh(work, {**case, "updated_at": work.at})
        return self.plan_status(p, case_id, number)

    def plan_status(self, p: Principal, case_id: str, number: int) -> PlanStatus:
        """Where a plan stands now: mark, what to check again, which stops are open. NotFoundError."""
        with self.work(p, "plan_status", "read", "plan", "read", case_id) as work:
            work.case_row()
            row, approval = _row(work, number), _approval(work, number)
            changes = Basis.model_validate_json(row["basis"]).changes(self._basis_now(work))
        notices = notices_of(self._record(row, None))
        overrides = approval.overrides if approval else ()
        return PlanStatus(
            number=number,
            mark=mark_of(row["hash"], approval),
            approved=approval is not None,
            recheck=changes,
            open_stops=open_stops(notices, overrides),
            overridable=() if approval else overridable_by(notices, p.role, approval_rules()),
            overrides=tuple(override.model_dump(mode="json") for override in overrides),
        )

    # ------------------------------------------------------------------ parts

    def _record(self, row: Mapping[str, Any], approval: Approval | None) -> dict[str, Any]:
        record: dict[str, Any] = json.loads(self.blobs.read(row["record"]))
        overrides = approval.overrides if approval else ()
        return {
            **record,
            "mark": mark_of(row["hash"], approval),
            "approval": approval.model_dump(mode="json") if approval else None,
            "stops": [notice.code for notice in open_stops(notices_of(record), overrides)],
        }

    def _paths(self, row: Mapping[str, Any]) -> dict[str, Path]:
        return {name: self.blobs.place(blob) for name, blob in json.loads(row["files"]).items()}

    def _basis_for(self, work: Work, plan: Plan, case_version: int) -> Basis:
        case, files = self._case_at(work, case_version)
        if plan.case_hash != case.content_hash():
            allowed = f"version {case_version}: {case.content_hash()[:16]}"
            raise InputError(
                "the plan was not made from this version of the case",
                where=work.case_id, found=plan.case_hash[:16], allowed=allowed,
            )  # fmt: skip
        return basis_of(case, files).replace(evidence=plan.evidence_version)

    def _basis_now(self, work: Work) -> Basis:
        case, files = self._case_at(work, None)
        return basis_of(case, files)

    def _case_at(self, work: Work, version: int | None) -> tuple[Case, dict[str, str]]:
        c = case_versions.c
        query = sa.select(c.body, c.files).where(c.case_id == work.case_id).order_by(c.version.desc())
        if version is not None:
            query = query.where(c.version == (version if 0 < version <= LARGEST else 0))
        row = work.connection.execute(query.limit(1)).one_or_none()
        if row is None:
            raise NotFoundError("no such version", where=work.case_id, found=version)
        return Case.model_validate_json(row.body), json.loads(row.files)

    def _require_fresh(self, work: Work, row: Mapping[str, Any]) -> None:
        changes = Basis.model_validate_json(row["basis"]).changes(self._basis_now(work))
        if changes:
            raise SafetyStop(f"{CASE_BEFORE_PLAN}: {'; '.join(changes)}. Plan again", where=work.case_id)


def _approve(
    p: Principal, plan: Plan, record: Mapping[str, Any], now: Any, name: str, reason: str,
    overrides: Sequence[Mapping[str, str]],
) -> Approval:  # fmt: skip
    if p.authenticated and name.strip().casefold() != p.name.strip().casefold():
        raise InputError("you can only approve in your own name", where="name", found=name, allowed=p.name)
    rows = (
        {"code": o.get("code"), "reason": o.get("reason"), "name": name, "role": p.role} for o in overrides
    )
    return approve(
        plan, notices_of(record), name=name.strip(), time=now,
        authenticated=p.authenticated, reason=reason.strip(),
        rules=approval_rules(), role=p.role,
        overrides=tuple(parse(Override, row, f"overrides.{k}") for k, row in enumerate(rows)),
    )  # fmt: skip


def _row(work: Work, number: int) -> Mapping[str, Any]:
    query = sa.select(plans).where(plans.c.case_id == work.case_id, plans.c.number == number)
    row = work.connection.execute(query).mappings().one_or_none() if 0 < number <= LARGEST else None
    if row is None:
        last = _last_number(work)
        allowed = f"1 to {last}" if last else "none yet"
        raise NotFoundError("no such plan", where=work.case_id, found=number, allowed=allowed)
    work.object = f"plan {number}"
    return dict(row)


def _row_by_key(work: Work, key: str) -> Mapping[str, Any] | None:
    query = sa.select(plans).where(plans.c.case_id == work.case_id, plans.c.key == key)
    row = work.connection.execute(query).mappings().one_or_none()
    return None if row is None else dict(row)


def _last_number(work: Work) -> int:
    query = sa.select(sa.func.coalesce(sa.func.max(plans.c.number), 0)).where(plans.c.case_id == work.case_id)
    return int(work.connection.execute(query).scalar_one())


def _approval(work: Work, number: int) -> Approval | None:
    query = sa.select(approvals.c.body).where(
        approvals.c.case_id == work.case_id, approvals.c.number == number
    )
    body = work.connection.execute(query).scalar()
    return None if body is None else Approval.model_validate_json(body)


def _approved_files(work: Work, number: int) -> dict[str, str]:
    query = sa.select(approvals.c.files).where(
        approvals.c.case_id == work.case_id, approvals.c.number == number
    )
    text = work.connection.execute(query).scalar()
    return {} if text is None else dict(json.loads(text))


def _require_unapproved(work: Work, number: int) -> None:
    if _approval(work, number) is not None:
        raise ConflictError(
            "this plan is approved already, and an approval stays", where=f"{work.case_id}, plan {number}"
        )


def plan_row(row: Mapping[str, Any], approval: Approval | None) -> PlanRow:
    """A table's row as the list shows it."""
    return PlanRow(
        number=row["number"],
        case_version=row["case_version"],
        hash=row["hash"],
        mark=mark_of(row["hash"], approval),
        made_at=row["made_at"],
        made_by=row["made_by"],
        files=tuple(sorted(json.loads(row["files"]))),
        summary=json.loads(row["summary"]),
    )


def _summary(plan: Plan, record: Mapping[str, Any]) -> dict[str, Any]:
    """What a line of the list says of a plan."""
    nerves = (record.get("injury") or {}).get("nerves") or ()
    target: Mapping[str, Any] = next((nerve for nerve in nerves if nerve.get("is_target")), {})
    notices = notices_of(record)
    return {
        "technique": plan.protocol.technique,
        "nerve": plan.target.nerve,
        "side": plan.target.side,
        "level": plan.target.bony_level or plan.target.joint or "",
        "coverage": target.get("coverage", ""),
        "stops": sorted({notice.code for notice in open_stops(notices)}),
        "warnings": sum(notice.severity == "warn" for notice in notices),
        "setting": [list(pair) for pair in record.get("setting") or ()],
    }
