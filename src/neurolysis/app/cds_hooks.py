"""CDS Hooks: answer a call with cards from the evaluation of the patient it is about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import TYPE_CHECKING, Any

from neurolysis.case import Case
from neurolysis.errors import NeurolysisError, NotFoundError
from neurolysis.records.fhir.terms import OWN, Resource

if TYPE_CHECKING:
    from neurolysis.records.cds import HookCall
    from neurolysis.records.cds_cards import Card
    from neurolysis.records.store.store import Store
    from neurolysis.records.store.values import Principal


def answer_call(store: Store, who: Principal, service: str, body: Any, on: date) -> Resource:
    """Cards for a call.

    The patient comes as prefetch; without it, a patient of this store that the user may read is taken.

    Raises:
        UnknownNameError: no such service. InputError: the call.
        PrefetchMissingError: neither prefetch nor a patient of this store.
    """
    from neurolysis.records.cds import incomplete, parse_call
    from neurolysis.records.cds_cards import problem_card, response

    call = parse_call(service, body)
    case = _case(store, who, call)
    unseen = incomplete(call)
    try:
        cards = list(_cards(call, case, on, unseen))
    except NeurolysisError as error:  # what came cannot be evaluated: said, never guessed
        cards = [problem_card(str(error))]
    return response(cards, call.hook_instance)


def _case(store: Store, who: Principal, call: HookCall) -> Case:
    from neurolysis.app.fhir_records import stored_case
    from neurolysis.records.cds import bundle_of
    from neurolysis.records.fhir.case_bundle import read_case

    if "patient" not in call.prefetch:
        try:
            return stored_case(store, who, call.patient_id)
        except NotFoundError:
            bundle_of(call)  # says that the prefetch is missing
    return read_case(bundle_of(call)).case


def _cards(call: HookCall, case: Case, on: date, unseen: tuple[str, ...]) -> Iterator[Card]:
    from neurolysis.evaluation.evaluate import evaluate
    from neurolysis.records.cds import SUITABILITY
    from neurolysis.records.cds_cards import assessment_cards

    if call.service == SUITABILITY:
        yield from assessment_cards(evaluate(case, on), unseen)
        return
    for order in call.orders:
        yield from _order_cards(order, case, on, unseen)


def _order_cards(order: Resource, case: Case, on: date, unseen: tuple[str, ...]) -> Iterator[Card]:
    """Cards for one order; none where the order does not concern this program."""
    from neurolysis.evaluation.evaluate import evaluate
    from neurolysis.evaluation.suitability import suitability
    from neurolysis.records.cds_cards import assessment_cards, order_card, problem_card

    technique, target = _own_code(order.get("code"), "modality"), _target(order)
    if technique is None and target is None:
        return
    if technique is None or target is None:
        missing = "target" if target is None else "technique"
        yield problem_card(f"The order names no {missing} by a code of this program.")
        return
    assessment = evaluate(case, on)
    if assessment.stopped:
        yield from assessment_cards(assessment, unseen)
    else:
        yield order_card(suitability(case, target, technique, on), unseen)


def _target(order: Resource) -> str | None:
    sites = order.get("bodySite") if isinstance(order.get("bodySite"), list) else []
    return next((code for site in sites or () if (code := _own_code(site, "target"))), None)


def _own_code(concept: Any, kind: str) -> str | None:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    for item in codings if isinstance(codings, list) else ():
        if isinstance(item, dict) and item.get("system") == OWN + kind and item.get("code"):
            return str(item["code"])
    return None
