"""What must be arranged, and in which order: stimulation, then anaesthetic, then lesion."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.case import Anaesthesia
from neurolysis.plan import Notice

ORDER = ("stimulation", "anaesthetic", "lesion")
RULE = "assumption: clinical rule laid down for this project"
ESCORT_FROM = ("minimal", "moderate", "deep", "general")
FASTING_FROM = ("moderate", "deep", "general")


def order_notices(plan: Anaesthesia, operation: str | None = None) -> tuple[Notice, ...]:
    """Everything wrong with, or missing from, what is arranged; ``operation``: the anaesthesia it names."""
    return (*_order(plan), *_sedation(plan), *_differs(plan, operation), *_access(plan))


def order_needs(plan: Anaesthesia, operation: str | None = None) -> tuple[str, ...]:
    """What the case does not say; under general or regional anaesthesia an operation has no such order."""
    needs = []
    asked = operation not in ("general", "regional")
    if plan.stimulation is None:
        needs.append("whether nerve stimulation is to be done (anaesthesia.stimulation)")
    if not plan.order and asked:
        needs.append("the order of stimulation, anaesthetic and lesion (anaesthesia.order)")
    if plan.sedation is None:
        needs.append("the sedation planned (anaesthesia.sedation)")
    if plan.sedation in FASTING_FROM and plan.fasting_confirmed is None:
        needs.append("whether the patient has fasted (anaesthesia.fasting_confirmed)")
    if plan.escort_arranged is None:
        needs.append("whether an adult escort is arranged (anaesthesia.escort_arranged)")
    if plan.intravenous_access is None:
        needs.append("whether there is intravenous access (anaesthesia.intravenous_access)")
    return tuple(needs)


def _order(plan: Anaesthesia) -> Iterator[Notice]:
    given = tuple(step for step in plan.order if step != "stimulation" or plan.stimulation is not False)
    if len(set(given)) != len(given):
        yield _notice("stop", "order.twice", f"A step stands twice in the order: {', '.join(given)}.")
        return
    if list(given) != [step for step in ORDER if step in given]:
        text = (
            f"The order is {', '.join(given)}; it must be {', '.join(ORDER)}: "
            "a numb nerve answers no stimulation."
        )
        yield _notice("stop", "order.wrong", text)
    if plan.order and plan.stimulation and "stimulation" not in plan.order:
        yield _notice("stop", "order.stimulation_missing", "Stimulation is planned but not in the order.")
    if plan.order and "lesion" not in plan.order:
        yield _notice("warn", "order.lesion_missing", "The order does not hold the lesion.")
    if plan.lesion_minutes is not None:
        late = [
            i
            for i in plan.injections
            if i.purpose in ("target", "track", "skin") and i.minutes > plan.lesion_minutes
        ]
        for injection in late:
            what = f"The {injection.purpose} injection at {injection.minutes:g} min"
            text = f"{what} comes after the lesion has begun."
            yield _notice("warn", "order.late_injection", text)


def _sedation(plan: Anaesthesia) -> Iterator[Notice]:
    if plan.sedation in FASTING_FROM and plan.fasting_confirmed is False:
        yield _notice(
            "stop",
            "sedation.not_fasted",
            f"{plan.sedation} sedation is planned and the patient has not fasted.",
        )
    if plan.sedation in ESCORT_FROM and plan.escort_arranged is False:
        yield _notice("stop", "sedation.no_escort", "Sedation is planned and no adult escort is arranged.")
    if plan.sedation in ("deep", "general") and plan.stimulation:
        text = f"Under {plan.sedation} sedation nobody answers to stimulation or reports nerve pain."
        yield _notice("warn", "sedation.no_answer", text)


def _differs(plan: Anaesthesia, operation: str | None) -> Iterator[Notice]:
    """The operation and the plan of anaesthesia must not say different things."""
    if operation in (None, "not named") or plan.sedation is None:
        return
    if (operation == "general") != (plan.sedation == "general"):
        text = f"The operation names {operation} anaesthesia, the case plans {plan.sedation} sedation."
        yield _notice("warn", "anaesthesia.differs", text)


def _access(plan: Anaesthesia) -> Iterator[Notice]:
    if plan.intravenous_access is False:
        text = "No intravenous access is planned: lipid emulsion and fluid could not be given at once."
        yield _notice("warn", "access.none", text)


def _notice(severity: str, code: str, text: str) -> Notice:
    return Notice.model_validate({"severity": severity, "code": code, "text": text, "source": RULE})
