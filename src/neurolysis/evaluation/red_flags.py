"""Red flags: they come first, and an open one stops the flow until a named clinician resolves it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

from neurolysis.assessment import RedFlag
from neurolysis.case import Case
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evaluation.facts import DATA, Facts
from neurolysis.evaluation.predicates import Predicate, compile_predicate
from neurolysis.evidence.store import ASSUMPTION, load_yaml, sources

FILE = "red_flags.yaml"


def red_flags(case: Case, on: date) -> tuple[RedFlag, ...]:
    """Every red flag that is raised, open ones first.

    Raises:
        UnknownNameError: a resolved flag that is not a flag of the catalogue.
        InputError: a flag resolved on a day that has not come.
    """
    resolved = {}
    for item in case.resolved_flags:
        if item.flag not in flag_ids():
            raise UnknownNameError(
                "unknown red flag", where="resolved_flags", found=item.flag, allowed=flag_ids()
            )
        if item.resolved_on > on:
            raise InputError(
                "resolved on a day that has not come", where="resolved_flags", found=item.resolved_on
            )
        resolved[item.flag] = f"{item.resolved_by}, {item.resolved_on}: {item.reason}"
    facts = Facts(case, on)
    found = [flag for id in flag_ids() if (flag := _raised(id, facts, resolved)) is not None]
    order = {"open": 0, "indication": 1, "resolved": 2}
    return tuple(sorted(found, key=lambda flag: order[flag.state]))


def flag_ids() -> tuple[str, ...]:
    """Ids of every red flag."""
    return tuple(_rules())


def unasked(case: Case, on: date) -> tuple[str, ...]:
    """What must be asked before the red flags can be said to be absent."""
    facts = Facts(case, on)
    needs = [need for when, _, _ in _rules().values() for need in _needs(when, facts)]
    return tuple(dict.fromkeys(needs))


def _needs(when: Predicate, facts: Facts) -> tuple[str, ...]:
    found = when(facts)
    return found.needs if found.value is None else ()


def _raised(id: str, facts: Facts, resolved: Mapping[str, str]) -> RedFlag | None:
    when, indication, row = _rules()[id]
    if when(facts).value is not True:
        return None
    explained = indication is not None and indication(facts).value is True
    state = "indication" if explained else "resolved" if id in resolved else "open"
    return RedFlag.model_validate(
        {
            "id": id,
            "message": row["indication_message"] if explained else row["message"],
            "state": state,
            "source": row["source"],
            "resolution": resolved.get(id, ""),
        }
    )


@cache
def _rules() -> Mapping[str, tuple[Predicate, Predicate | None, dict[str, Any]]]:
    found = {}
    for id, row in load_yaml(FILE, DATA).items():
        where = f"{FILE}: {id}"
        if not row["source"].startswith(ASSUMPTION) and row["source"] not in sources():
            raise InputError("unknown source", where=where, found=row["source"])
        explained = row.get("indication")
        found[id] = (
            compile_predicate(row["when"], where),
            None if explained is None else compile_predicate(explained, where),
            row,
        )
    return found
