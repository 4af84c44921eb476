"""Is the local anaesthetic of a whole session safe? Caps, weight, modifiers and predicted plasma levels.

Every printed cap that applies is kept and shown; the lowest governs. Doses of different agents add as
shares of their caps ("mixed agents: treat all as the most toxic" is shown beside it). What is not known
withholds the green answer: it never passes as fine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import cache
from typing import Any, Literal

from pydantic import Field

from neurolysis.anesthesia.absorption import dispositions, site
from neurolysis.anesthesia.agents import DATA, IDEAL_MOST_KG, Agent, Cap, agent
from neurolysis.anesthesia.population import HEAVIEST_KG, LIGHTEST_KG, Dose, Levels, adult, levels, population
from neurolysis.case import GivenInjection, Patient
from neurolysis.evidence.store import load_yaml, read_value
from neurolysis.plan import Notice
from neurolysis.quantity import Quantity, Value

Answer = Literal["within every limit", "over a limit", "cannot say"]
WEIGHT_DAYS = 90
"""A weight older than this is not used (a rule of the project, not of a source)."""
CONDITIONS = ("heart_failure", "liver_disease", "renal_failure", "debilitated")
DAY_MIN = 1440.0


class Person(Value):
    """What the dose check knows of a patient; None is unknown, never "no".

    ``weight_kg`` is usable only with its date; ``height_cm`` and ``sex`` give the ideal weight.
    """

    weight_kg: float | None = Field(default=None, gt=0)
    weight_date: date | None = None
    height_cm: float | None = Field(default=None, gt=0)
    sex: Literal["female", "male", "other", "unknown"] = "unknown"
    age: float | None = Field(default=None, ge=0)
    pregnant: bool | None = None
    conditions: dict[str, bool | None] = Field(default_factory=dict)

    @classmethod
    def of(cls, patient: Patient, on: date, conditions: dict[str, bool | None]) -> Person:
        """From a case's patient; ``conditions`` as evaluation found them."""
        age = None if patient.birth_year is None else on.year - patient.birth_year
        return cls(
            weight_kg=patient.weight_kg,
            weight_date=patient.weight_date,
            height_cm=patient.height_cm,
            sex=patient.sex,
            age=age,
            pregnant=patient.pregnant,
            conditions=conditions,
        )


class CapCheck(Value):
    """One printed cap held against the dose of its agent; ``limit_mg`` None where it needs a missing weight.

    A cap of mg and mg per kg has its mg as the limit while the weight is missing: a bound from above.
    """

    agent: str
    who: str
    limit_mg: float | None
    reduced_mg: float | None
    given_mg: float
    share: float | None
    governs: bool = False
    text: str
    sources: tuple[str, ...]


class Modifier(Value):
    """A reason to lower the dose; ``factor`` None: "reduce: amount unknown"."""

    name: str
    text: str
    factor: float | None
    applies: bool | None
    source: str


class SessionDose(Value):
    """The answer for one session, with everything it rests on.

    ``toxic_share`` is the sum over agents of the largest predicted level (95th percentile, free where a
    free threshold was read) over the lowest toxic level read; None where one of them is unknown.
    """

    answer: Answer
    weight_used_kg: float | None
    weight_text: str
    total_mg: dict[str, float]
    caps: tuple[CapCheck, ...]
    cap_share: float | None
    modifiers: tuple[Modifier, ...]
    levels: tuple[Levels, ...]
    toxic_share: float | None
    toxic_text: tuple[str, ...]
    notices: tuple[Notice, ...]
    needs: tuple[str, ...]

    def applied(self) -> tuple[Modifier, ...]:
        """The reasons to lower the dose that hold for this patient."""
        return tuple(item for item in self.modifiers if item.applies)


def check_session(injections: Sequence[GivenInjection], person: Person, on: date) -> SessionDose:
    """Hold all injections of a session, planned and earlier, against every limit that was read.

    Raises:
        UnknownNameError: an agent or site that is not in the catalogue.
    """
    for injection in injections:
        agent(injection.agent), site(injection.site)
    weight, weight_text, missing = usable_weight(person, on)
    modifiers = tuple(find_modifiers(person, {i.agent for i in injections}))
    factor = _factor(modifiers)
    names = list(dict.fromkeys(i.agent for i in injections))
    caps = tuple(check for name in names for check in _caps(agent(name), injections, weight, person, factor))
    shares = [
        max((c.share for c in caps if c.agent == n and c.share is not None), default=None) for n in names
    ]
    found = tuple(_levels(injections, names, weight))
    toxic, toxic_text, unjudged = _toxicity(found)
    notices = (*_notices(injections, caps, modifiers), *_mix_notice(names))
    if weight is not None and not adult(weight):
        unjudged = (f"plasma kinetics for {weight:g} kg ({LIGHTEST_KG:g} to {HEAVIEST_KG:g} kg can be said)",)
    needs = (*missing, *_needs(injections, person, names, modifiers), *unjudged)
    cap_share = None if any(s is None for s in shares) else float(sum(s for s in shares if s is not None))
    over = any(n.severity == "stop" for n in notices) or (cap_share or 0) > 1 or (toxic or 0) > 1
    answer: Answer = (
        "over a limit"
        if over
        else "cannot say"
        if needs or cap_share is None or not injections
        else "within every limit"
    )
    if over:
        notices = (*notices, _over(cap_share, toxic))
    return SessionDose(
        answer=answer,
        weight_used_kg=weight,
        weight_text=weight_text,
        total_mg={name: sum(i.mg for i in injections if i.agent == name) for name in names},
        caps=caps,
        cap_share=cap_share,
        modifiers=modifiers,
        levels=found,
        toxic_share=toxic,
        toxic_text=toxic_text,
        notices=tuple(dict.fromkeys(notices)),
        needs=tuple(dict.fromkeys(needs)),
    )


# ---------------------------------------------------------------- weight


def ideal_weight_kg(height_cm: float, sex: str) -> float | None:
    """Ideal body weight by the formula of the rules' data.

    None where the sex gives no formula, or where the formula leaves the weights of adults (a height slip).
    """
    row = _rules()["ideal_weight"].get(sex)
    if row is None:
        return None
    found = float(row["base_kg"] + row["per_cm_kg"] * (height_cm - row["from_cm"]))
    return found if adult(found) else None


def usable_weight(person: Person, on: date) -> tuple[float | None, str, tuple[str, ...]]:
    """(weight for caps in kg, how it came about, what is missing)."""
    if person.weight_kg is None:
        return None, "no weight in the case", ("a weight, measured within 90 days",)
    if person.weight_date is None:
        return None, "the weight has no date", ("the date of the weight",)
    age = (on - person.weight_date).days
    if not 0 <= age <= WEIGHT_DAYS:
        return None, f"the weight is of {person.weight_date}", ("a weight, measured within 90 days",)
    ideal = None if person.height_cm is None else ideal_weight_kg(person.height_cm, person.sex)
    if ideal is None:
        text = f"actual weight {person.weight_kg:g} kg; no ideal weight (needs height and sex of an adult)"
        return person.weight_kg, text, ("height and sex of an adult, for the ideal weight",)
    lower = min(person.weight_kg, ideal)
    return (
        lower,
        f"the lower of actual {person.weight_kg:g} kg and ideal {ideal:.1f} kg (height formula assumed)",
        (),
    )


# ---------------------------------------------------------------- caps


def _caps(
    item: Agent, injections: Sequence[GivenInjection], weight: float | None, person: Person, factor: float
) -> Iterator[CapCheck]:
    own = [i for i in injections if i.agent == item.id]
    plain = not all(i.epinephrine_mcg_per_ml for i in own)
    checks = [_cap(item, cap, own, weight, person, factor) for cap in item.caps if _applies(cap, own, plain)]
    known = [check.reduced_mg for check in checks if check.reduced_mg is not None]
    for check in checks:
        yield check.replace(governs=bool(known) and check.reduced_mg == min(known))
    for cap in item.caps:
        if cap.per_day_mg is not None and _applies(cap, own, plain):
            yield _day(item, cap, own)


def _applies(cap: Cap, own: Sequence[GivenInjection], plain: bool) -> bool:
    """A cap for epinephrine holds only where every dose has it; site caps where every dose is there."""
    if cap.epinephrine is not None and cap.epinephrine == plain:
        return False
    return not cap.sites or all(i.site in cap.sites for i in own)


def _cap(
    item: Agent,
    cap: Cap,
    own: Sequence[GivenInjection],
    weight: float | None,
    person: Person,
    factor: float,
) -> CapCheck:
    given = sum(i.mg for i in own)
    limits = [cap.absolute_mg] if cap.absolute_mg is not None else []
    words = [f"{cap.absolute_mg:g} mg"] if cap.absolute_mg is not None else []
    if cap.per_kg is not None:
        kg = weight if cap.weight == "lower" else _nomogram_weight(person, weight)
        words.append(f"{cap.per_kg:g} mg/kg" + (f" of {kg:.1f} kg" if kg else ", weight unknown"))
        # without a weight the printed mg still hold; what is per kg may only lower them
        limits = [*limits, cap.per_kg * kg] if kg else limits
    limit = min(limits) if limits else None
    reduced = None if limit is None else limit * factor
    return CapCheck(
        agent=item.id,
        who=cap.who,
        limit_mg=limit,
        reduced_mg=reduced,
        given_mg=given,
        share=None if reduced is None else given / reduced,
        text=" and ".join(words) + {True: ", with epinephrine", False: ", plain", None: ""}[cap.epinephrine],
        sources=cap.readings,
    )


def _nomogram_weight(person: Person, weight: float | None) -> float | None:
    """The nomogram counts on ideal weight, at most 70 kg (E2-19), and here never above the lower weight.

    Without a usable weight the ideal one is still a bound from above: a limit passed on it is passed.
    """
    ideal = None if person.height_cm is None else ideal_weight_kg(person.height_cm, person.sex)
    known = [kg for kg in (weight, ideal) if kg is not None]
    return min(*known, IDEAL_MOST_KG) if known else None


def _day(item: Agent, cap: Cap, own: Sequence[GivenInjection]) -> CapCheck:
    last = max(i.minutes for i in own)
    given = sum(i.mg for i in own if i.minutes > last - DAY_MIN)
    limit = cap.per_day_mg or 0.0
    # All doses of the list already count together against the single maximum, however far apart they are:
    # the interval is said, and asks for nothing more.
    interval = "" if cap.repeat_h is None else f"; label: not repeated within {cap.repeat_h:g} h"
    return CapCheck(
        agent=item.id,
        who=cap.who,
        limit_mg=limit,
        reduced_mg=limit,
        given_mg=given,
        share=given / limit,
        text=f"{limit:g} mg in 24 h{interval}",
        sources=cap.readings,
    )


# ---------------------------------------------------------------- modifiers


def find_modifiers(person: Person, names: Iterable[str]) -> Iterator[Modifier]:
    """Every reason to lower the dose, whether it applies, and by how much where that was read."""
    amide = any(agent(name).kind == "amide" for name in names)
    for row in _rules()["modifiers"]:
        if row.get("kind") == "amide" and not amide:
            continue
        yield Modifier(
            name=row["name"],
            text=row["text"],
            factor=row.get("factor"),
            applies=_holds(row["when"], person),
            source=row["source"],
        )


def _holds(when: dict[str, Any], person: Person) -> bool | None:
    if "age_from" in when:
        return None if person.age is None else person.age >= when["age_from"]
    if "pregnant" in when:
        return False if person.sex == "male" and person.pregnant is None else person.pregnant
    return person.conditions.get(when["condition"])


def _factor(modifiers: Iterable[Modifier]) -> float:
    """The strongest reduction that applies and is known; several are not multiplied (no source says so)."""
    return min((m.factor for m in modifiers if m.applies and m.factor is not None), default=1.0)


# ---------------------------------------------------------------- plasma levels


def _levels(
    injections: Sequence[GivenInjection], names: Sequence[str], weight: float | None
) -> Iterator[Levels]:
    if weight is not None and not adult(weight):
        return
    people = population(weight_kg=weight)
    for name in names:
        doses = [
            Dose(
                agent=name,
                site=i.site,
                mg=i.mg,
                epinephrine=bool(i.epinephrine_mcg_per_ml),
                minutes=i.minutes,
            )
            for i in injections
            if i.agent == name
        ]
        if name in dispositions() and all(name in site(dose.site).agents for dose in doses):
            yield levels(doses, people)


def _toxicity(found: Sequence[Levels]) -> tuple[float | None, tuple[str, ...], tuple[str, ...]]:
    """(sum of shares of the toxic level, each in words, what cannot be judged)."""
    shares, words, unjudged = [], [], []
    for item in found:
        level = agent(item.agent).toxic_level()
        title = agent(item.agent).title.lower()
        if level is None:
            unjudged.append(f"a toxic plasma level of {title} (none was read)")
            continue
        kind, row = level
        reached = item.free_cmax_mg_per_l if kind == "free" else item.cmax_mg_per_l
        threshold = row.low if row.low is not None else row.middle()
        if reached is None:
            unjudged.append(f"plasma binding of {title} (none was read)")
            continue
        shares.append(reached.p95 / threshold)
        words.append(
            f"{title}: {kind} peak {reached.median:.3g} ({reached.p5:.3g} to {reached.p95:.3g}) mg/L, "
            f"toxic from {threshold:g} mg/L [{row.id}]"
        )
    return (float(sum(shares)) if shares else None), tuple(words), tuple(unjudged)


# ---------------------------------------------------------------- what to say


def _notices(
    injections: Sequence[GivenInjection], caps: Sequence[CapCheck], modifiers: Sequence[Modifier]
) -> Iterator[Notice]:
    for number, injection in enumerate(injections):
        yield from strength_notices(injection, f"injection {number + 1} ({injection.purpose})")
    for check in caps:
        if check.share is not None and check.share > 1:
            text = (
                f"{agent(check.agent).title} {check.given_mg:g} mg is over {check.reduced_mg:.4g} mg: "
                f"{check.text} ({check.who})."
            )
            yield Notice(severity="stop", code="dose.cap", text=text, source=check.sources[0])
    for item in modifiers:
        if item.applies and item.factor is None:
            yield Notice(severity="warn", code="dose.reduce_unknown", text=item.text, source=item.source)


def strength_notices(injection: GivenInjection, where: str) -> Iterator[Notice]:
    """Strengths nobody was read to use, and a dose that was not confirmed in mg.

    A slip by ten in strength, volume or dose breaks the agreement of the three, and is refused when the
    case is read; without ``dose_mg`` there is nothing to agree with, so the answer stays open.
    """
    percent = injection.mg_per_ml / 10
    known = sorted({strength.percent for strength in agent(injection.agent).strengths})
    if known and not known[0] <= percent <= known[-1]:
        severity: Literal["stop", "warn"] = (
            "stop" if percent > 2 * known[-1] or percent < known[0] / 5 else "warn"
        )
        text = (
            f"{where}: {percent:g} % {injection.agent} is outside the strengths read "
            f"({known[0]:g} to {known[-1]:g} %): check the label."
        )
        yield Notice(severity=severity, code="dose.strength", text=text)
    if injection.dose_mg is None:
        text = (
            f"{where}: the dose is not confirmed. {percent:g} % x {injection.volume_ml:g} mL is "
            f"{injection.mg:g} mg: enter dose_mg from the syringe label."
        )
        yield Notice(severity="warn", code="dose.unconfirmed", text=text)


def _mix_notice(names: Sequence[str]) -> Iterator[Notice]:
    if len(names) > 1:
        text = (
            f"{len(names)} agents are used ({', '.join(names)}): their shares of the limits are added. One "
            "source treats a mixture as if all of it were the most toxic agent."
        )
        yield Notice(severity="info", code="dose.mixed", text=text, source="E2-19")


def _over(cap_share: float | None, toxic: float | None) -> Notice:
    parts = []
    if cap_share is not None:
        parts.append(f"{cap_share:.0%} of the lowest caps")
    if toxic is not None:
        parts.append(f"{toxic:.0%} of the toxic plasma level (95th percentile)")
    text = (
        "The local anaesthetic of this session is over a limit: "
        + ", ".join(parts or ["see the stops"])
        + "."
    )
    return Notice(severity="stop", code="dose.over", text=text)


def _needs(
    injections: Sequence[GivenInjection],
    person: Person,
    names: Sequence[str],
    modifiers: Sequence[Modifier],
) -> Iterator[str]:
    for item in modifiers:
        if item.applies is None:
            yield item.name
        elif item.applies and item.factor is None:
            yield f"by how much to reduce for {item.name} (amount unknown)"
    for name in names:
        if name not in dispositions():
            yield f"plasma kinetics of {name} (none were read)"
        elif any(i.agent == name and name not in site(i.site).agents for i in injections):
            yield f"absorption of {name} at its site (none was read)"
        if not agent(name).strengths:
            yield f"usual strengths of {name} (none were read)"
    if any(i.dose_mg is None for i in injections):
        yield "dose_mg of every injection, from the syringe label"


@cache
def elderly() -> Quantity:
    """Age from which the reduction for the elderly is applied."""
    return read_value(Quantity, _rules()["elderly_from"], "dose_rules.yaml: elderly_from")


@cache
def _rules() -> Any:
    return load_yaml("dose_rules.yaml", DATA)
