"""Step 3 whole: the session's dose, what it numbs, the order, what is missing, and the room cards."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Literal

from neurolysis.anesthesia.agents import Agent, agent, agents
from neurolysis.anesthesia.block import Block, Path, TargetNerve, plan_block
from neurolysis.anesthesia.cards import Card, room_cards
from neurolysis.anesthesia.dose import Person, SessionDose, check_session
from neurolysis.anesthesia.order import order_needs, order_notices
from neurolysis.case import Anaesthesia, Case
from neurolysis.plan import Notice
from neurolysis.quantity import Value

CELIAC = ("celiac_plexus", "splanchnic_nerves")
CHEST = ("intercostal_nerves", "celiac_plexus", "splanchnic_nerves", "stellate_ganglion")


class Step3(Value):
    """Anaesthesia of one case on one day.

    ``answer`` is "stop" with an open stop, "cannot say" while something is missing, else "ready".
    """

    schema_version: Literal[1] = 1
    case_id: str
    case_hash: str
    evidence_version: str
    on: date
    answer: Literal["ready", "cannot say", "stop"]
    dose: SessionDose
    block: Block
    notices: tuple[Notice, ...]
    needs: tuple[str, ...]
    cards: tuple[Card, ...]


def prepare(
    case: Case,
    on: date,
    *,
    path: Path,
    nerve: TargetNerve,
    conditions: Mapping[str, bool | None],
    evidence_version: str,
    target_group: str = "",
    neurolytic: bool = False,
    mixed_in: str = "",
) -> Step3:
    """The anaesthesia of a case.

    Args:
        on: the day of the procedure.
        path: needle path from skin to target, or the operation in its place; nerve: the target.
        conditions: heart_failure, liver_disease, renal_failure, debilitated, as evaluation found them.
        target_group: target of the catalogue, for the cards; neurolytic: an alcohol or phenol is used.
        mixed_in: what the treatment mixes into its agent; a local anaesthetic in it must be among the doses.

    Raises:
        UnknownNameError: an agent or site that is not in the catalogue.
    """
    plan = case.anaesthesia or Anaesthesia()
    person = Person.of(case.patient, on, dict(conditions))
    dose = check_session(plan.injections, person, on)
    block = plan_block(
        plan.injections,
        path,
        nerve,
        lesion_minutes=plan.lesion_minutes,
        lesion_lasts_min=plan.lesion_lasts_min,
    )
    notices = (*_allergy(case), *dose.notices, *order_notices(plan, path.operation), *block.notices)
    needs = (
        *_missing(case, path), *_uncounted(plan, mixed_in), *dose.needs, *order_needs(plan, path.operation),
        *block.needs,
    )  # fmt: skip
    stopped = any(notice.severity == "stop" for notice in notices)
    return Step3(
        case_id=case.id,
        case_hash=case.content_hash(),
        evidence_version=evidence_version,
        on=on,
        answer="stop" if stopped else "cannot say" if needs else "ready",
        dose=dose,
        block=block,
        notices=tuple(dict.fromkeys(notices)),
        needs=tuple(dict.fromkeys(needs)),
        cards=room_cards(
            dose.weight_used_kg,
            {
                "celiac": target_group in CELIAC,
                "chest": target_group in CHEST,
                "neurolytic": neurolytic,
            },
        ),
    )


def _missing(case: Case, path: Path) -> tuple[str, ...]:
    missing = []
    planned = case.anaesthesia is not None and bool(case.anaesthesia.injections)
    if not planned and not path.numbed_otherwise:
        missing.append("the planned injections (anaesthesia.injections)")
    if case.allergies is None:
        missing.append("allergies (the case does not say)")
    return tuple(missing)


def _uncounted(plan: Anaesthesia, mixed_in: str) -> tuple[str, ...]:
    """Local anaesthetics mixed into the agent that no planned injection counts."""
    counted = {i.agent for i in plan.injections if i.purpose == "with the agent"}
    return tuple(
        f"the {item.title.lower()} mixed into the agent ('{mixed_in}') as an injection 'with the agent'"
        for item in agents().values()
        if item.named_in(mixed_in) and item.id not in counted
    )


def _allergy(case: Case) -> tuple[Notice, ...]:
    """A stop for each planned agent that an allergy names, and for its class."""
    plan = case.anaesthesia or Anaesthesia()
    found = []
    for name in dict.fromkeys(i.agent for i in plan.injections):
        for allergy in case.allergies or ():
            why = _stands_against(agent(name), allergy)
            if why is not None:
                said = f"The case names an allergy to '{allergy}', and {name} is planned{why}."
                found.append(
                    Notice(severity="stop", code="allergy.anaesthetic", text=said, overridable=False)
                )
    return tuple(found)


def _stands_against(item: Agent, allergy: str) -> str | None:
    """Why an allergy stands against an agent: "" where it is named, else its class; None: it does not."""
    text = allergy.casefold()
    if item.named_in(text) or "local anaesthetic" in text or "local anesthetic" in text:
        return ""
    others = [other for other in agents().values() if other.kind == item.kind and other.named_in(text)]
    if others or f"{item.kind} anaesthetic" in text or f"{item.kind} anesthetic" in text:
        return f", of the same class ({item.kind})"
    return None
