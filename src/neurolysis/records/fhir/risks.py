"""RiskAssessment: what the evidence expects of the planned technique, and what each plan was computed to do.

FHIR probabilities are per cent. A number keeps its interval, what was counted among whom, and its source in
the rationale; what is no percentage stands there in words.
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
            "condition": (treated(record) or [None])[0],
            "prediction": [_prediction(kind, item) for kind, item in found if item.basis != "none found"],
            **notes(f"Evidence version {evidence_version()}.", expected.coverage_link, *expected.caveats),
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


def _prediction(kind: str, item: Prediction) -> Resource:
    title = item.title or item.outcome
    when = "" if item.at_months is None else f" at {item.at_months:g} months"
    return without_nothing(
        {
            "outcome": concept(f"{title}{when}", own("outcome-family", item.outcome), own("outcome-kind", kind)),
            "probabilityDecimal": item.value if item.unit == PERCENT else None,
            "rationale": "; ".join(filter(None, _rationale(item))),
            **extensions(
                interval_low=item.low, interval_high=item.high, interval=item.interval, unit=item.unit,
                value=None if item.unit == PERCENT else item.value, at_months=item.at_months, basis=item.basis,
            ),
        }
    )  # fmt: skip


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
    injury = plan.record.get("injury") or {}
    target = next((n for n in injury.get("nerves") or () if n.get("is_target")), {})
    found = [_criterion(item) for item in target.get("by_criterion") or ()]
    found += [_structure(item) for item in injury.get("structures") or ()]
    return without_nothing(
        {
            **_head(record, f"risk-plan-{plan.number}"),
            "parent": reference("CarePlan", plan_resource_id(record, plan)),
            "status": "final" if plan.approved else "preliminary",
            "method": concept("Simulation on the patient's own anatomy", own("risk-method", "simulation")),
            "occurrenceDateTime": moment(plan.made_at),
            "prediction": [item for item in found if item],
            "mitigation": str(target.get("coverage_reason") or ""),
            **notes(plan.mark, f"Target: {target.get('coverage', 'no verdict')}"),
        }
    )


def _criterion(item: Mapping[str, Any]) -> Resource:
    """The chance that the target is lesioned over its critical length, by one lesion criterion."""
    chance = item.get("probability_critical")
    length = f"longest lesioned length {item['longest_lesioned_mm']:.1f} mm"
    return without_nothing(
        {
            "outcome": concept(
                f"Target lesioned over the critical length: {item['label']}",
                own("criterion", str(item["criterion"])),
            ),
            "probabilityDecimal": None if chance is None else round(100.0 * chance, 6),
            "rationale": f"{length}; chance under the positional spread of the nerve",
        }
    )


def _structure(item: Mapping[str, Any]) -> Resource:
    """A structure at risk: the worst verdict of its limits, in words."""
    order = ("ok", "cannot say", "warn", "stop")
    checks = item.get("checks") or ()
    if not checks:
        return {}
    worst = max((str(check["verdict"]) for check in checks), key=order.index)
    return {
        "outcome": concept(f"Harm to {item['structure']}", own("structure-kind", str(item["kind"]))),
        "qualitativeRisk": concept(worst, own("limit-verdict", worst.replace(" ", "-"))),
        "rationale": "; ".join(_check(check) for check in checks),
    }


def _check(check: Mapping[str, Any]) -> str:
    limit, value = check["limit"], check.get("value")
    found = "cannot say" if value is None else f"{value:.3g} {limit['unit']}"
    return f"{limit['metric']} {found}: {check['verdict']} (source: {limit['source']})"
