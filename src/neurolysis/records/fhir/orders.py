"""What is asked for and planned: ServiceRequest, the CarePlan of each plan, Consent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neurolysis.approval import RESEARCH_USE
from neurolysis.case import Case, Target
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.vocabulary import modality
from neurolysis.nerve.targets import target_of
from neurolysis.planning.modality import planned_modality
from neurolysis.procedure import Consent
from neurolysis.records.fhir.clinical import addressed, treated_condition
from neurolysis.records.fhir.record import PlanItem, Record, head, key_of, subject
from neurolysis.records.fhir.terms import (
    HL7,
    Resource,
    concept,
    extensions,
    moment,
    notes,
    own,
    part_id,
    reference,
    without_nothing,
)

REQUEST, PLAN = "request", "plan"
TARGET_WORDS = ("bony_level", "joint", "level_counted")


def target_title(nerve: str) -> str:
    """The title of a target, by the id of it or of one of its nerves; the id itself where none knows it."""
    try:
        return target_of(nerve).title
    except UnknownNameError:
        return nerve.replace("_", " ")


def body_site(target: Target) -> Resource:
    """The target as a body site, with side and level in words."""
    words = [target_title(target.nerve), target.side, target.bony_level or target.joint or ""]
    site = concept(", ".join(filter(None, words)), own("target", target.nerve, target_title(target.nerve)))
    site["coding"].append(own("side", target.side))
    return site


def target_extensions(target: Target) -> Resource:
    """Levels of the target as extensions."""
    transitional = target.transitional_vertebra
    words = {name: getattr(target, name) for name in TARGET_WORDS}
    return extensions(**words, transitional_vertebra=transitional)


def procedure_code(case: Case) -> Resource:
    """What is to be done: the modality of the evidence base where one fits, else the technique's name."""
    name = planned_modality(case)
    if name is not None:
        return concept(modality(name).title, own("modality", name, modality(name).title))
    return concept(f"Neurolysis ({case.treatment.technique})" if case.treatment else "Neurolysis")


def treated(record: Record) -> list[Resource]:
    """References to the condition to be treated, if the case names it."""
    if record.case.condition is None:
        return []
    resource = addressed(record, treated_condition(record.case.condition))
    return [reference("Condition", resource["id"])]


def service_requests(record: Record) -> Iterator[Resource]:
    """The request for the treatment: a proposal until a plan is approved, then an order."""
    case = record.case
    if case.target is None:
        return
    approved = any(plan.approved for plan in record.plans)
    yield without_nothing(
        {
            **head(record, "ServiceRequest", part_id(key_of(record), REQUEST)),
            "status": "active" if approved else "draft",
            "intent": "order" if approved else "proposal",
            "category": [concept("Neurolysis", own("request", "neurolysis"))],
            "code": procedure_code(case),
            "subject": subject(record),
            "bodySite": [body_site(case.target)],
            "reasonReference": treated(record),
            **notes(case.complaint),
            **target_extensions(case.target),
        }
    )


# ---------------------------------------------------------------- plans


def plan_resource_id(record: Record, plan: PlanItem) -> str:
    """Id of the CarePlan of a plan."""
    return part_id(key_of(record), f"{PLAN}-{plan.number}")


def care_plans(record: Record) -> Iterator[Resource]:
    """One CarePlan for each plan of the case: draft until approved; what forbids approval is a note."""
    for plan in record.plans:
        yield _care_plan(record, plan)


def _care_plan(record: Record, plan: PlanItem) -> Resource:
    data = plan.record
    request = part_id(key_of(record), REQUEST)
    said = [f"{label}: {value}" for label, value in data.get("setting") or ()]
    return without_nothing(
        {
            **head(record, "CarePlan", plan_resource_id(record, plan)),
            "identifier": _plan_identifier(data),
            "status": _plan_status(plan),
            "intent": "order" if plan.approved else "proposal",
            "category": [concept("Plan of a neurolysis", own("care-plan", "treatment"))],
            "title": f"Plan {plan.number}: {plan.mark}",
            "description": "; ".join(said),
            "subject": subject(record),
            "created": moment(plan.made_at),
            "addresses": treated(record),
            "activity": [{"reference": reference("ServiceRequest", request)}] if record.case.target else [],
            **notes(plan.mark, *_plan_notices(data), *_recheck(plan), RESEARCH_USE),
        }
    )


def _plan_status(plan: PlanItem) -> str:
    if plan.recheck:
        return "on-hold"
    return "active" if plan.approved else "draft"


def _recheck(plan: PlanItem) -> list[str]:
    return [f"Recheck: {reason}" for reason in plan.recheck]


def _plan_identifier(data: Mapping[str, Any]) -> list[Resource]:
    found = (data.get("hashes") or {}).get("plan")
    return [{"system": "urn:neurolysis:plan-hash", "value": found}] if found else []


def _plan_notices(data: Mapping[str, Any]) -> Iterator[str]:
    words = {"stop": "STOP", "warn": "Warning"}
    for notice in data.get("notices") or ():
        if notice.get("severity") in words:
            yield f"{words[notice['severity']]} [{notice.get('code')}]: {notice.get('text')}"


# ---------------------------------------------------------------- consent


def consents(record: Record) -> Iterator[Resource]:
    """The patient's consent to the treatment, where it was recorded."""
    found = record.consent
    if found is None:
        return
    yield without_nothing(
        {
            **head(record, "Consent", part_id(key_of(record), "consent")),
            "status": _consent_status(found),
            "scope": concept("Treatment", {"system": HL7 + "consentscope", "code": "treatment"}),
            "category": [concept("Consent to a neurolysis", own("consent", "treatment"))],
            "patient": subject(record),
            "dateTime": found.signed_on.isoformat() if found.signed_on else None,
            "policyRule": concept(found.document or "Consent as recorded by the clinic"),
            **extensions(
                consent_by=found.by,
                consent_language=found.language,
                consent_notes=found.notes,
                consent_revoked=found.revoked_on,
            ),
        }
    )


def _consent_status(found: Consent) -> str:
    if found.given is None:
        return "proposed"
    return "active" if found.stands else "inactive" if found.given else "rejected"
