"""RiskAssessment: what the evidence expects of the planned technique, and what each plan was computed to do.

FHIR probabilities are per cent. A number keeps its interval, what was counted among whom, and its source in
the rationale. What is no percentage stands in a note: some readers of R4 refuse a prediction without a
probability. Limits of structures at risk are Observations, with each value and unit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neurolysis.errors import NeurolysisError
from neurolysis.evidence.store import evidence_version
from neurolysis.planning.modality import planned_modality
from neurolysis.planning.prognosis import prognose
from neurolysis.prognosis import Prediction, Prognosis
from neurolysis.records.fhir.orders import REQUEST, plan_resource_id, procedure_code, treated
from neurolysis.records.fhir.record import PlanItem, Record, head, key_of, subject
from neurolysis.records.fhir.terms import (
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

PERCENT = "percent"
VERDICTS = ("ok", "cannot say", "warn", "stop")
"""From the best to the worst."""


def risk_assessments(record: Record) -> Iterator[Resource]:
    """The prognosis of the planned technique, then one assessment for each plan."""
    expected = prognosis_of(record)
    if expected is not None:
        yield _prognosis(record, expected)
    yield from (_computed(record, plan) for plan in record.plans)


def prognosis_of(record: Record) -> Prognosis | None:
    """The evidence for the planned technique; None where condition, target or technique is not known."""
    case = record.case
    technique = planned_modality(case)
    if case.condition is None or case.target is None or technique is None:
        return None
    try:
        return prognose(case.condition, case.target.nerve, technique)
    except NeurolysisError:
        return None


# ---------------------------------------------------------------- from the evidence


def _prognosis(record: Record, expected: Prognosis) -> Resource:
    found = [("benefit", item) for item in (*expected.benefits, *expected.duration)]
    found += [("harm", item) for item in expected.harms] + [("other", item) for item in expected.other]
    title = "Published figures on this technique, target and condition"
    return without_nothing(
        {
            **_head(record, "prognosis"),
            "status": "final",
            "method": concept(title, own("risk-method", "evidence")),
            "condition": next(iter(treated(record)), None),
            "prediction": [_prediction(kind, item) for kind, item in found if _is_chance(item)],
            **notes(
                f"Evidence version {evidence_version()}.",
                *(_words(item) for _, item in found if item.basis != "none found" and not _is_chance(item)),
                expected.coverage_link,
                *expected.caveats,
            ),
        }
    )


def _head(record: Record, part: str) -> Resource:
    basis = [reference("ServiceRequest", part_id(key_of(record), REQUEST))] if record.case.target else []
    return {
        **head(record, "RiskAssessment", part_id(key_of(record), part)),
        "basedOn": basis[0] if basis else None,
        "code": procedure_code(record.case),
        "subject": subject(record),
        "occurrenceDateTime": moment(record.updated_at),
    }


def _is_chance(item: Prediction) -> bool:
    return item.value is not None and item.unit == PERCENT and 0 <= item.value <= 100


def _title(item: Prediction) -> str:
    when = "" if item.at_months is None else f" at {item.at_months:g} months"
    return f"{item.title or item.outcome}{when}"


def _words(item: Prediction) -> str:
    return f"{_title(item)}: {'; '.join(filter(None, _rationale(item)))}"


def _prediction(kind: str, item: Prediction) -> Resource:
    codes = (own("outcome-family", item.outcome), own("outcome-kind", kind))
    return {
        "outcome": concept(_title(item), *codes),
        "probabilityDecimal": item.value,
        "rationale": "; ".join(filter(None, _rationale(item))),
        **extensions(
            interval_low=item.low,
            interval_high=item.high,
            interval=item.interval,
            at_months=item.at_months,
            basis=item.basis,
        ),
    }


def _rationale(item: Prediction) -> Iterator[str]:
    if item.value is not None:
        yield f"{item.value:g} {item.unit}"
    if item.low is not None and item.high is not None:
        yield f"{item.low:g} to {item.high:g} ({item.interval})"
    yield item.definition
    yield f"among: {item.denominator}" if item.denominator else ""
    yield item.basis
    yield from (f"{study.row}: {study.source}" for study in item.studies)


# ---------------------------------------------------------------- from a simulation


def _computed(record: Record, plan: PlanItem) -> Resource:
    target = _target(plan)
    criteria = target.get("by_criterion") or ()
    verdict, why = target.get("coverage", "no verdict"), target.get("coverage_reason", "")
    return without_nothing(
        {
            **_head(record, f"risk-plan-{plan.number}"),
            "parent": reference("CarePlan", plan_resource_id(record, plan)),
            "status": "final" if plan.approved else "preliminary",
            "method": concept("Simulation on the patient's own anatomy", own("risk-method", "simulation")),
            "occurrenceDateTime": moment(plan.made_at),
            "prediction": [_criterion(c) for c in criteria if c.get("probability_critical") is not None],
            **notes(plan.mark, f"Target: {verdict}. {why}".strip()),
        }
    )


def _target(plan: PlanItem) -> Mapping[str, Any]:
    nerves = (plan.record.get("injury") or {}).get("nerves") or ()
    return next((nerve for nerve in nerves if nerve.get("is_target")), {})


def _criterion(item: Mapping[str, Any]) -> Resource:
    """The chance that the target is lesioned over its critical length, by one lesion criterion."""
    length = f"longest lesioned length {item['longest_lesioned_mm']:.1f} mm"
    return {
        "outcome": concept(
            f"Target lesioned over the critical length: {item['label']}",
            own("criterion", str(item["criterion"])),
        ),
        "probabilityDecimal": round(100.0 * item["probability_critical"], 6),
        "rationale": f"{length}; chance under the positional spread of the nerve",
    }


def limit_observations(record: Record) -> Iterator[Resource]:
    """Each structure at risk of each plan: the worst verdict of its limits, with every value found."""
    for plan in record.plans:
        structures = (plan.record.get("injury") or {}).get("structures") or ()
        for number, item in enumerate(structures, start=1):
            if item.get("checks"):
                yield _structure(record, plan, number, item)


def _structure(record: Record, plan: PlanItem, number: int, item: Mapping[str, Any]) -> Resource:
    worst = max((str(check["verdict"]) for check in item["checks"]), key=VERDICTS.index)
    id = part_id(key_of(record), f"plan-{plan.number}-limit-{number}")
    kind = own("structure-kind", str(item["kind"]))
    return {
        **head(record, "Observation", id),
        "status": "final" if plan.approved else "preliminary",
        "basedOn": [reference("CarePlan", plan_resource_id(record, plan))],
        "code": concept(f"Limits kept: {item['structure']}", own("observation", "limit-check"), kind),
        "subject": subject(record),
        "effectiveDateTime": moment(plan.made_at),
        "valueCodeableConcept": concept(worst, own("limit-verdict", worst.replace(" ", "-"))),
        "component": [_check(check) for check in item["checks"]],
        **notes(plan.mark),
    }


def _check(check: Mapping[str, Any]) -> Resource:
    """One limit: the value found, or why none can be said."""
    limit, value = check["limit"], check.get("value")
    words = f"{check['verdict']}; {limit['reason']} (source: {limit['source']})"
    unknown = {"text": check.get("reason") or "cannot say"}
    bounds = [f"{name} {limit[name]:g}" for name in ("warn", "stop") if limit.get(name) is not None]
    return {
        "code": concept(str(limit["metric"]), own("limit-metric", str(limit["metric"]))),
        **({"dataAbsentReason": unknown} if value is None else
           {"valueQuantity": {"value": value, "unit": limit["unit"]}}),
        "interpretation": [concept(words)],
        "referenceRange": [{"text": f"{limit['direction']}: {', '.join(bounds)} {limit['unit']}"}],
    }  # fmt: skip
