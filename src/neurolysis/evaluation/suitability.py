"""Does a technique suit this patient? Every rule that fired, its source, and what would change it.

Missing data is never "fine": an unknown stop or indication makes the verdict "cannot say: needs ...".
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from functools import cache
from typing import Any, Literal, NamedTuple

from pydantic import Field

from neurolysis.assessment import FiredRule, Suitability, TechniqueSuitability
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.evaluation.facts import DATA, Facts
from neurolysis.evaluation.predicates import Predicate, compile_predicate
from neurolysis.evidence.citing import known_source
from neurolysis.evidence.clinical import find_evidence
from neurolysis.evidence.store import load_yaml
from neurolysis.evidence.vocabulary import modalities
from neurolysis.evidence.vocabulary import modality as find_modality
from neurolysis.nerve.conditions import condition_ids
from neurolysis.nerve.targets import target_ids, target_of
from neurolysis.quantity import Value, parse

FILE = "suitability.yaml"
READ_ON = date(2026, 11, 23)
"""When the rules of the file were last read against the notes."""


class SuitabilityRule(Value):
    """One rule as data; see the head of ``suitability.yaml``.

    ``scope`` rules decide whether the program may be used at all. ``indication`` rules must hold (all
    that apply) for "indicated". ``optional``: not knowing is no obstacle. ``at_planning``: asked again
    when a technique is planned that these modalities belong to.
    """

    id: str
    when: Any
    severity: Literal["for", "against", "condition", "stop"]
    message: str = Field(min_length=1)
    source: str = Field(min_length=1)
    would_change: str = ""
    rule_set: str = ""
    grade: str = ""
    first_hand: bool = True
    scope: bool = False
    indication: bool = False
    optional: bool = False
    at_planning: bool = False
    modalities: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()


class Compiled(NamedTuple):
    """A rule with its predicate."""

    rule: SuitabilityRule
    when: Predicate


class Outcome(NamedTuple):
    """What one rule came to: fired, and what it would need if it could not say."""

    rule: SuitabilityRule
    value: bool | None
    needs: tuple[str, ...]


def suitability(case: Case, target: str, modality: str, on: date) -> TechniqueSuitability:
    """Suitability of one modality at one target.

    Raises:
        UnknownNameError: no such target or modality.
        InputError: a number of the case in another unit.
    """
    group, technique = target_of(target).id, find_modality(modality).id
    facts = Facts(case, on, technique, target)
    found = [
        Outcome(one.rule, answer.value, answer.needs)
        for one in rules()
        if _applies(one.rule, technique, group, case.condition)
        for answer in (one.when(facts),)
    ]
    evidence, has_evidence = evidence_state(case.condition, group, technique)
    fired = tuple(_fired(o.rule, o.rule.severity) for o in found if o.value is True)
    missing = tuple(_fired(o.rule, "missing", o.needs) for o in found if _blocks(o))
    needs = tuple(dict.fromkeys(need for o in found if _blocks(o) for need in o.needs))
    if not has_evidence:
        needs = (*needs, "evidence for this technique, target and condition (none was found)")
    return TechniqueSuitability(
        technique=technique,
        target=group,
        verdict=_verdict(found, has_evidence),
        rules=(*fired, *missing),
        needs=needs,
        evidence=evidence,
    )


def out_of_scope(case: Case, on: date) -> tuple[FiredRule, ...]:
    """Why this program may not be used for this patient; empty when it may."""
    facts = Facts(case, on)
    return tuple(
        _fired(one.rule, "stop") for one in rules() if one.rule.scope and one.when(facts).value is True
    )


def before_a_plan(case: Case, target: str, technique: str, on: date) -> tuple[FiredRule, ...]:
    """Rules asked again when a registered technique is planned at a target: those that fired, and those
    that cannot say for what is missing.

    Raises:
        UnknownNameError: no such target.
    """
    group = target_of(target).id
    found = []
    for name, entry in modalities().items():
        if entry.technique != technique:
            continue
        facts = Facts(case, on, name, target)
        for one in rules():
            if one.rule.at_planning and _applies(one.rule, name, group, case.condition):
                answer = one.when(facts)
                found.append(Outcome(one.rule, answer.value, answer.needs))
    fired = (_fired(o.rule, o.rule.severity) for o in found if o.value is True)
    missing = (_fired(o.rule, "missing", o.needs) for o in found if o.value is None)
    return tuple(dict.fromkeys((*fired, *missing)))


def evidence_state(condition: str | None, target: str, technique: str) -> tuple[str, bool]:
    """(in words what was found for this condition, target and technique; whether anything was)."""
    rows = find_evidence(condition=condition, target=target, modality=technique) if condition else ()
    own = [row for row in rows if row.arm in ("treatment", "difference") and technique in row.modalities]
    if not own:
        return "none found", False
    sources = len({row.source for row in own})
    designs = ", ".join(dict.fromkeys(row.design for row in own))
    return f"{len(own)} figures in {sources} sources ({designs})", True


def _verdict(found: Iterable[Outcome], has_evidence: bool) -> Suitability:
    """Stops first, then what is unknown (evidence too), then whether every indication holds."""
    items = list(found)
    if any(o.value is True and o.rule.severity == "stop" for o in items):
        return "contraindicated"
    if any(_blocks(o) and (o.rule.severity == "stop" or o.rule.indication) for o in items):
        return "cannot say"
    if not has_evidence:
        return "cannot say"
    indications = [o for o in items if o.rule.indication]
    held = bool(indications) and all(o.value is True for o in indications)
    conditions = any(o.value is True and o.rule.severity in ("condition", "against") for o in items)
    open_conditions = any(_blocks(o) for o in items)
    return "indicated" if held and not conditions and not open_conditions else "possible with conditions"


def _blocks(outcome: Outcome) -> bool:
    return outcome.value is None and not outcome.rule.optional


def _applies(rule: SuitabilityRule, technique: str, group: str, condition: str | None) -> bool:
    return (
        (not rule.modalities or technique in rule.modalities)
        and (not rule.targets or group in rule.targets)
        and (not rule.conditions or condition in rule.conditions)
    )


def _fired(
    rule: SuitabilityRule,
    severity: Literal["for", "against", "condition", "stop", "missing"],
    needs: tuple[str, ...] = (),
) -> FiredRule:
    message = f"Needs: {'; '.join(needs)}. (Rule: {rule.message})" if severity == "missing" else rule.message
    return FiredRule(
        id=rule.id,
        message=message,
        severity=severity,
        source=rule.source,
        would_change=rule.would_change,
        rule_set=rule.rule_set,
        grade=rule.grade,
        read_on=READ_ON,
        first_hand=rule.first_hand,
    )


@cache
def rules() -> tuple[Compiled, ...]:
    """Every rule, in the order of the file.

    Raises:
        InputError: a rule without a known source, twice, or limited to something unknown.
    """
    data = load_yaml(FILE, DATA)
    found: dict[str, Compiled] = {}
    for row in data["rules"]:
        where = f"{FILE}: {row.get('id')}"
        rule = parse(SuitabilityRule, _expanded(row, data["groups"]), where)
        if rule.id in found:
            raise InputError("a rule is given twice", where=where)
        known_source(rule.source, where)
        _check_limits(rule, where)
        found[rule.id] = Compiled(rule, compile_predicate(rule.when, where))
    return tuple(found.values())


def _expanded(row: Mapping[str, Any], groups: Mapping[str, list[str]]) -> dict[str, Any]:
    """The row with the name of a group replaced by its members."""
    limits = ("modalities", "targets", "conditions")
    return {
        key: groups[value] if key in limits and isinstance(value, str) else value
        for key, value in row.items()
    }


def _check_limits(rule: SuitabilityRule, where: str) -> None:
    for name in rule.modalities:
        find_modality(name)
    for names, known in ((rule.targets, target_ids()), (rule.conditions, condition_ids())):
        unknown = set(names) - set(known)
        if unknown:
            raise InputError(
                "limited to something unknown", where=where, found=sorted(unknown), allowed=known
            )
