"""Rules' conditions as data: small typed predicates with three answers, yes, no and "not known".

A predicate is a mapping with one kind, for instance ``{finding: fever}``, ``{number: inr, above: 1.5}`` or
``{all: [...]}``. Its answer is True, False or None; with None it names what would have to be known. ``all``
is False as soon as one part is, ``any`` True as soon as one is, whatever else is unknown (Kleene's logic).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from neurolysis.errors import InputError
from neurolysis.evaluation.facts import Facts, drug_classes, finding_entry

BOUNDS = ("above", "below", "at_least", "at_most")


class Answer(NamedTuple):
    """True, False or None (not known), and what would have to be known for an answer."""

    value: bool | None
    needs: tuple[str, ...] = ()


Predicate = Callable[[Facts], Answer]


def compile_predicate(data: Any, where: str) -> Predicate:
    """The predicate that plain data describe.

    Raises:
        InputError: not a predicate, with what is allowed.
        UnknownNameError: a finding or drug class that is not known.
    """
    if not isinstance(data, Mapping) or not data:
        raise InputError("a predicate is a mapping", where=where, found=data, allowed=sorted(KINDS))
    kinds = [name for name in data if name in KINDS]
    if len(kinds) != 1:
        raise InputError(
            "a predicate has exactly one kind", where=where, found=sorted(data), allowed=sorted(KINDS)
        )
    kind = kinds[0]
    rest = {name: value for name, value in data.items() if name != kind}
    return KINDS[kind](data[kind], rest, where)


def _no_rest(rest: Mapping[str, Any], where: str, allowed: Sequence[str] = ()) -> None:
    unknown = sorted(set(rest) - set(allowed))
    if unknown:
        raise InputError("unknown part of a predicate", where=where, found=unknown, allowed=allowed or "none")


def _finding(name: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    entry = finding_entry(str(name))

    def ask(facts: Facts) -> Answer:
        state = facts.finding(entry.id)
        return Answer(None, (entry.question,)) if state == "unknown" else Answer(state == "present")

    return ask


def _not(data: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    inner = compile_predicate(data, where)

    def ask(facts: Facts) -> Answer:
        found = inner(facts)
        return Answer(None if found.value is None else not found.value, found.needs)

    return ask


def _several(data: Any, rest: Mapping[str, Any], where: str, decides: bool) -> Predicate:
    """``any`` (decided by a True) or ``all`` (decided by a False)."""
    _no_rest(rest, where)
    if not isinstance(data, list) or not data:
        raise InputError("a list of predicates", where=where, found=data)
    parts = [compile_predicate(item, f"{where}.{k}") for k, item in enumerate(data)]

    def ask(facts: Facts) -> Answer:
        found = [part(facts) for part in parts]
        if any(one.value is decides for one in found):
            return Answer(decides)
        needs = tuple(dict.fromkeys(need for one in found if one.value is None for need in one.needs))
        return Answer(None, needs) if any(one.value is None for one in found) else Answer(not decides)

    return ask


def _number(name: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where, (*BOUNDS, "within_days"))
    entry = finding_entry(str(name))
    bounds = {key: float(rest[key]) for key in BOUNDS if key in rest}
    if not bounds or not entry.unit:
        raise InputError("a number needs a bound, and a unit in the vocabulary", where=where, allowed=BOUNDS)
    days = rest.get("within_days")

    def ask(facts: Facts) -> Answer:
        found = facts.number(entry.id)
        if found is None:
            return Answer(None, (entry.question,))
        value, day = found
        if days is not None and (day is None or not 0 <= (facts.on - day).days <= days):
            return Answer(None, (f"{entry.question} (within {days} days)",))
        return Answer(all(_holds(value, kind, bound) for kind, bound in bounds.items()))

    return ask


def _holds(value: float, kind: str, bound: float) -> bool:
    return {
        "above": value > bound,
        "below": value < bound,
        "at_least": value >= bound,
        "at_most": value <= bound,
    }[kind]


def _age(kind: str) -> Callable[[Any, Mapping[str, Any], str], Predicate]:
    def make(years: Any, rest: Mapping[str, Any], where: str) -> Predicate:
        _no_rest(rest, where)

        def ask(facts: Facts) -> Answer:
            if facts.age is None:
                return Answer(None, ("the year of birth",))
            return Answer(_holds(facts.age, kind, float(years)))

        return ask

    return make


def _takes(name: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    if name not in drug_classes():
        raise InputError("unknown drug class", where=where, found=name, allowed=sorted(drug_classes()))
    title = drug_classes()[name].title

    def ask(facts: Facts) -> Answer:
        found = facts.takes(name)
        return Answer(found, () if found is not None else (f"a complete list of medicines ({title}?)",))

    return ask


def _held(name: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    """Whether every drug of a class is held for at least so many days, with a restart and who agreed."""
    _no_rest(rest, where, ("days",))
    days = float(rest["days"])

    def ask(facts: Facts) -> Answer:
        needs = []
        for drug in facts.drugs_of(name):
            if drug.hold is None:
                needs.append(f"when {drug.name} is stopped, when it restarts and who agreed")
            elif drug.hold.restart is None:
                needs.append(f"when {drug.name} restarts")
            elif (facts.on - drug.hold.last_dose).days < days:
                return Answer(False)
        return Answer(None, tuple(needs)) if needs else Answer(True)

    return ask


def _allergy(words: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    wanted = (words,) if isinstance(words, str) else tuple(words)

    def ask(facts: Facts) -> Answer:
        found = facts.allergic_to(wanted)
        return Answer(found, () if found is not None else ("allergies",))

    return ask


def _implant(kind: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    if kind != "electronic":
        raise InputError("kind of implant", where=where, found=kind, allowed="electronic")

    def ask(facts: Facts) -> Answer:
        found = facts.electronic_implant()
        return Answer(found, () if found is not None else ("implants",))

    return ask


def _metal(distance: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)

    def ask(facts: Facts) -> Answer:
        found = facts.metal_within(float(distance))
        return Answer(found, () if found is not None else ("implants and their distance from the tip",))

    return ask


def _named(get: Callable[[Facts], str]) -> Callable[[Any, Mapping[str, Any], str], Predicate]:
    def make(names: Any, rest: Mapping[str, Any], where: str) -> Predicate:
        _no_rest(rest, where)
        wanted = (names,) if isinstance(names, str) else tuple(names)
        return lambda facts: Answer(get(facts) in wanted)

    return make


def _area(names: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    wanted = {names} if isinstance(names, str) else set(names)

    def ask(facts: Facts) -> Answer:
        if not facts.case.pain:
            return Answer(None, ("the areas of pain on the body outline",))
        return Answer(any(area.area in wanted for area in facts.case.pain))

    return ask


def _character(words: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    wanted = {words} if isinstance(words, str) else set(words)

    def ask(facts: Facts) -> Answer:
        said = [area for area in facts.case.pain if area.character]
        if not said:
            return Answer(None, ("the character of the pain",))
        return Answer(any(wanted & set(area.character) for area in said))

    return ask


def _pregnant(wanted: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)

    def ask(facts: Facts) -> Answer:
        patient = facts.case.patient
        if patient.pregnant is None:
            return (
                Answer(not wanted)
                if patient.sex == "male"
                else Answer(None, ("whether the patient is pregnant",))
            )
        return Answer(patient.pregnant is bool(wanted))

    return ask


def _deceased(wanted: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where)
    return lambda facts: Answer(bool(facts.case.patient.deceased) is bool(wanted))


def _survival(months: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    """Whether survival is expected to be shorter than so many months, by what the team said."""
    _no_rest(rest, where)

    def ask(facts: Facts) -> Answer:
        said = facts.case.expected_survival
        if said is None:
            return Answer(None, ("the expected survival, and who says so",))
        if said.high_months < months:
            return Answer(True)
        return Answer(False) if said.low_months >= months else Answer(None, ("a narrower expected survival",))

    return ask


def _prior(wanted: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    """Whether an earlier procedure of the asked modality at the asked target helped at least so much."""
    _no_rest(rest, where, ("relief_at_least", "months_at_least"))

    def ask(facts: Facts) -> Answer:
        own = [p for p in facts.case.prior_procedures if p.technique == facts.modality]
        if not own:
            return Answer(False)
        relief, months = rest.get("relief_at_least"), rest.get("months_at_least")
        for one in own:
            if (relief is not None and one.relief_percent is None) or (
                months is not None and one.relief_months is None
            ):
                return Answer(
                    None, (f"how much and how long the earlier procedure of {one.performed} helped",)
                )
        return Answer(
            any(
                (relief is None or (one.relief_percent or 0) >= relief)
                and (months is None or (one.relief_months or 0) >= months)
                for one in own
            )
        )

    return ask


def _score(name: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    _no_rest(rest, where, BOUNDS)
    bounds = {key: float(rest[key]) for key in BOUNDS if key in rest}

    def ask(facts: Facts) -> Answer:
        found = facts.score(name)
        if found is None:
            return Answer(None, (f"a total of {name}",))
        return Answer(all(_holds(found, kind, bound) for kind, bound in bounds.items()))

    return ask


def _block(percent: Any, rest: Mapping[str, Any], where: str) -> Predicate:
    """Whether so many diagnostic blocks of the asked target gave at least this relief (per cent)."""
    _no_rest(rest, where, ("count",))
    count = int(rest.get("count", 1))

    def ask(facts: Facts) -> Answer:
        reliefs = facts.block_reliefs()
        if not reliefs:
            return Answer(None, ("a diagnostic block of this target with its diary",))
        if sum(relief is not None and relief >= percent for relief in reliefs) >= count:
            return Answer(True)
        unread = sum(relief is None for relief in reliefs)
        return Answer(None, ("the diary of the diagnostic block",)) if unread else Answer(False)

    return ask


KINDS: Mapping[str, Callable[[Any, Mapping[str, Any], str], Predicate]] = {
    "all": lambda data, rest, where: _several(data, rest, where, decides=False),
    "any": lambda data, rest, where: _several(data, rest, where, decides=True),
    "not": _not,
    "finding": _finding,
    "number": _number,
    "age_below": _age("below"),
    "age_from": _age("at_least"),
    "takes": _takes,
    "held": _held,
    "allergy": _allergy,
    "implant": _implant,
    "metal_within_mm": _metal,
    "modality": _named(lambda facts: facts.modality),
    "target": _named(lambda facts: facts.group),
    "condition": _named(lambda facts: facts.case.condition or ""),
    "area": _area,
    "character": _character,
    "pregnant": _pregnant,
    "deceased": _deceased,
    "survival_below_months": _survival,
    "prior": _prior,
    "score": _score,
    "block_relief_at_least": _block,
}
