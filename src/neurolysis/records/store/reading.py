"""Reading the record of a plan: the plan itself, checked, and everything that was found about it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from neurolysis.errors import InputError
from neurolysis.plan import Notice, Plan
from neurolysis.quantity import canonical_json, parse


def plan_of(record: Mapping[str, Any], case_id: str) -> Plan:
    """The plan in a record, checked against the record's own hash.

    Raises:
        InputError: a field, another case, or a hash that does not fit.
    """
    from neurolysis.delivery.technique import protocol_models

    checked_hash(record, case_id)
    plan = Plan.read(record["plan"], protocol_models(), f"plan of case '{case_id}'")
    if plan.content_hash() != record["hashes"]["plan"]:
        raise InputError("the record was made by another version of this program", where=case_id)
    return plan


def checked_hash(record: Any, case_id: str) -> str:
    """The hash of the plan in a record, computed from its data, so that records of older versions count.

    Raises:
        InputError: not a record, another case, or a hash that does not fit.
    """
    where = f"plan of case '{case_id}'"
    data, hashes = (record.get(part) if isinstance(record, Mapping) else None for part in ("plan", "hashes"))
    if not isinstance(data, Mapping) or not isinstance(hashes, Mapping):
        raise InputError("not the record of a plan", where=where, allowed="an object with plan and hashes")
    try:
        canonical_json(record)
        found = hashlib.sha256(canonical_json(data).encode()).hexdigest()
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"the record is not plain JSON: {error}", where=where) from error
    if hashes.get("plan") != found:
        raise InputError("the record's plan does not fit its hash", where=where, found=hashes.get("plan"))
    if data.get("case_id") != case_id:
        raise InputError(
            "the plan is of another case", where=where, found=data.get("case_id"), allowed=case_id
        )
    notices_of(record)
    return found


def notices_of(record: Mapping[str, Any]) -> tuple[Notice, ...]:
    """The plan's own notices and those of its simulation, each once. InputError for a wrong one."""
    both = [*(record["plan"].get("notices") or ()), *(record.get("notices") or ())]
    return tuple(dict.fromkeys(parse(Notice, notice, "notices") for notice in both))
