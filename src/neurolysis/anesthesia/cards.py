"""Cards for the room: what to see and do when something goes wrong, with doses for this weight as read.

A dose stands on a card only where it was read; everywhere else the card says "per local protocol".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import Field

from neurolysis.anesthesia.agents import DATA, lowest
from neurolysis.evidence.readings import reading
from neurolysis.evidence.store import ASSUMPTION, load_yaml, sources
from neurolysis.quantity import Value, parse

FILE = "cards.yaml"
BOUND_KG = 70.0
"""The lipid rule changes here: the notes read "> 70 kg" and "< 70 kg". At exactly 70 kg both give nearly the
same bolus (100 and 105 mL); the fixed amounts for heavier patients are taken, and the card says so."""


class Step(Value):
    """One line of a card; ``source`` is a source id, or an assumption: then "per local protocol"."""

    text: str = Field(min_length=1)
    source: str = Field(min_length=1)


class Card(Value):
    """One emergency on one card."""

    id: str
    title: str
    when: str = Field(description="for which plans the card is printed")
    signs: tuple[Step, ...]
    actions: tuple[Step, ...]
    doses: tuple[str, ...] = ()
    avoid: tuple[Step, ...] = ()


class LipidDose(Value):
    """Lipid emulsion 20 % for one weight, mL; every number as the checklist was read."""

    weight_kg: float
    bolus_ml: float
    bolus_text: str
    infusion_text: str
    ceiling_ml: float
    rule: str
    sources: tuple[str, ...]


def lipid_dose(weight_kg: float) -> LipidDose:
    """Lipid 20 % for a weight (F-10 to F-14): fixed amounts from 70 kg on, per kg below.

    Raises:
        ValueError: the weight is not above zero.
    """
    if not weight_kg > 0:
        raise ValueError(f"a weight above 0 kg, found {weight_kg}")
    ceiling = reading("F-14").middle() * weight_kg
    if weight_kg >= BOUND_KG:
        bolus, infusion = reading("F-10").middle(), reading("F-11")
        infused = f"{lowest(infusion):g} to {infusion.middle():g} mL over 15 to 20 min"
        rule = "70 kg and more: fixed amounts"
        if weight_kg == BOUND_KG:
            rule = (
                "exactly 70 kg: the checklist says only over and under 70 kg; the fixed amounts are taken "
                f"(per kg the bolus would be {1.5 * weight_kg:g} mL)"
            )
    else:
        bolus = reading("F-12").middle() * weight_kg
        infused = f"{reading('F-13').middle() * weight_kg:.1f} mL/min"
        rule = "under 70 kg: per kg of lean body mass; actual weight gives the upper amount"
        if weight_kg < 40:
            rule += "; under 40 kg consider a pump"
    return LipidDose(
        weight_kg=weight_kg,
        bolus_ml=float(f"{bolus:.4g}"),
        bolus_text=f"{bolus:.4g} mL over 2 to 3 min",
        infusion_text=infused,
        ceiling_ml=ceiling,
        rule=rule,
        sources=("F-10", "F-11", "F-12", "F-13", "F-14"),
    )


@cache
def cards() -> Mapping[str, Card]:
    """Every card by id; each line names a known source or says that none was read."""
    table = load_yaml(FILE, DATA)["cards"]
    found = {name: parse(Card, {"id": name, **row}, f"{FILE}: {name}") for name, row in table.items()}
    for card in found.values():
        for step in (*card.signs, *card.actions, *card.avoid):
            _check_source(step, card.id)
    return found


def room_cards(weight_kg: float | None, needed: Mapping[str, bool]) -> tuple[Card, ...]:
    """The cards for one session, with doses for its weight.

    Args:
        weight_kg: None where it is not known: then the lipid card gives the rule, not an amount.
        needed: answers to the cards' ``when`` (``always`` aside), by its word.
    """
    return tuple(
        _filled(card, weight_kg)
        for card in cards().values()
        if card.when == "always" or needed.get(card.when)
    )


def _filled(card: Card, weight_kg: float | None) -> Card:
    return card.replace(doses=tuple(_lipid_lines(weight_kg))) if card.id == "last" else card


def _lipid_lines(weight_kg: float | None) -> Iterator[str]:
    if weight_kg is None:
        yield "Weight not known: 70 kg and more 100 mL over 2 to 3 min, under 70 kg 1.5 mL/kg [F-10, F-12]."
        yield "Then 200 to 250 mL over 15 to 20 min, or 0.25 mL/kg/min [F-11, F-13]; at most 12 mL/kg [F-14]."
        return
    dose = lipid_dose(weight_kg)
    from_rows = ", ".join(dose.sources[:4])
    amounts = f"bolus {dose.bolus_text}, then {dose.infusion_text}"
    yield f"Lipid 20 % for {weight_kg:.4g} kg: {amounts} [{from_rows}]"
    yield "Repeat the bolus or double the infusion if unstable [F-13]."
    yield f"At most {dose.ceiling_ml:.0f} mL in all [F-14]. Rule: {dose.rule}."
    yield f"Epinephrine: boluses of at most {1.0 * weight_kg:.0f} ug (1 ug/kg) [F-15]."


def _check_source(step: Step, card: str) -> None:
    from neurolysis.errors import InputError

    if not step.source.startswith(ASSUMPTION) and step.source not in sources():
        raise InputError("unknown source", where=f"{FILE}: {card}", found=step.source)


def plain(card: Card) -> dict[str, Any]:
    """A card as plain data."""
    return card.model_dump(mode="json")
