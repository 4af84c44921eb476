"""Procedure: what was done, as recorded; earlier treatments; diagnostic blocks with their diaries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neurolysis.case import DiagnosticBlock, PriorProcedure
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.vocabulary import modality
from neurolysis.outcome import DoneProcedure
from neurolysis.records.fhir.clinical import addressed, loinc_pain
from neurolysis.records.fhir.orders import REQUEST, target_title, treated
from neurolysis.records.fhir.record import Record, head, key_of, subject
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

DONE = "delivered"


def procedure_id(record: Record) -> str:
    """Id of the Procedure that was delivered."""
    return part_id(key_of(record), DONE)


def procedures(record: Record) -> Iterator[Resource]:
    """The treatment as given, then blocks and earlier treatments."""
    delivered = delivered_procedure(record)
    if delivered is not None:
        yield delivered
    yield from (block_procedure(record, block) for block in record.case.blocks)
    yield from (_prior(record, item) for item in record.case.prior_procedures)


def delivered_procedure(record: Record) -> Resource | None:
    """The Procedure of what was done, from the outcome and the record of the room; None before that."""
    done = record.outcome.procedure if record.outcome else None
    room = record.procedure
    if done is None and not _given(room):
        return None
    request = reference("ServiceRequest", part_id(key_of(record), REQUEST))
    return without_nothing(
        {
            **head(record, "Procedure", procedure_id(record)),
            "basedOn": [request] if record.case.target else [],
            "status": _status(room),
            "statusReason": concept(_abort_reason(room)),
            "category": concept("Neurolysis", own("request", "neurolysis")),
            "subject": subject(record),
            "reasonReference": treated(record),
            **(_done(done) if done else _of_room(record)),
            **notes(*_steps(room)),
        }
    )


def _done(done: DoneProcedure) -> Resource:
    return {
        "code": _modality(done.modality),
        "performedDateTime": moment(done.performed),
        "bodySite": [
            concept(
                f"{target_title(done.target)}, {done.side}",
                own("target", done.target, target_title(done.target)),
                own("side", done.side),
            )
        ],
        **extensions(sedation=done.sedation, baseline_pain=done.baseline_pain),
    }


def _modality(id: str) -> Resource:
    try:
        entry = modality(id)
    except UnknownNameError:
        return concept(id)
    return concept(entry.title, own("modality", entry.id, entry.title))


# ---------------------------------------------------------------- the record of the room


def _given(room: Mapping[str, Any] | None) -> tuple[Mapping[str, Any], ...]:
    """The burns and injections as given."""
    return tuple((room or {}).get("steps") or ())


def _of_room(record: Record) -> Resource:
    from neurolysis.records.fhir.orders import body_site, procedure_code

    starts = [str(step["start"]) for step in _given(record.procedure) if step.get("start")]
    site = [body_site(record.case.target)] if record.case.target else []
    return {
        "code": procedure_code(record.case),
        "performedDateTime": _with_zone(min(starts)) if starts else None,
        "bodySite": site,
    }


def _with_zone(text: str) -> str:
    from datetime import datetime

    return moment(datetime.fromisoformat(text))


def _status(room: Mapping[str, Any] | None) -> str:
    steps = _given(room)
    return "stopped" if steps and all(step.get("aborted") for step in steps) else "completed"


def _abort_reason(room: Mapping[str, Any] | None) -> str:
    return "; ".join(str(step["abort_reason"]) for step in _given(room) if step.get("abort_reason"))


def _steps(room: Mapping[str, Any] | None) -> Iterator[str]:
    for number, step in enumerate(_given(room), start=1):
        settings = ", ".join(f"{name} {value}" for name, value in (step.get("settings") or {}).items())
        aborted = " ABORTED" if step.get("aborted") else ""
        yield f"Step {number}{aborted}: {step.get('technique')}, {step.get('instrument')}; {settings}"


# ---------------------------------------------------------------- earlier


def block_procedure(record: Record, block: DiagnosticBlock) -> Resource:
    """A diagnostic block."""
    strength = "" if block.concentration_percent is None else f"{block.concentration_percent:g} %"
    volume = "" if block.volume_ml is None else f"{block.volume_ml:g} mL"
    used = " ".join(filter(None, (block.agent or block.kind, strength, volume)))
    return addressed(
        record,
        {
            "resourceType": "Procedure",
            "status": "completed",
            "category": concept("Diagnostic block", own("procedure", "diagnostic-block")),
            "code": concept(f"Diagnostic block ({block.kind})", own("block", block.kind.replace(" ", "-"))),
            "performedDateTime": block.performed.isoformat(),
            "bodySite": [_block_site(block)],
            "usedCode": [concept(used)],
            **extensions(
                baseline_pain=block.baseline_pain, with_steroid=block.steroid, with_sedation=block.sedation
            ),
        },
    )


def _block_site(block: DiagnosticBlock) -> Resource:
    words = ", ".join(filter(None, (target_title(block.target), block.side, block.level or "")))
    return concept(words, own("target", block.target), own("side", block.side))


def block_diaries(record: Record) -> Iterator[Resource]:
    """The pain diary after each block: one component an entry."""
    for block in record.case.blocks:
        if not block.diary:
            continue
        components = [
            {
                "code": concept(f"Pain {entry.hours_after:g} h after the block", loinc_pain()),
                "valueQuantity": {"value": entry.pain, "unit": "{score}"},
                **extensions(hours_after=entry.hours_after),
            }
            for entry in block.diary
        ]
        yield addressed(
            record,
            {
                "resourceType": "Observation",
                "status": "final",
                "category": [concept("", {"system": HL7 + "observation-category", "code": "survey"})],
                "code": concept("Pain after a diagnostic block", own("observation", "block-diary")),
                "effectiveDateTime": block.performed.isoformat(),
                "partOf": [reference("Procedure", block_procedure(record, block)["id"])],
                "component": components,
            },
        )


def _prior(record: Record, item: PriorProcedure) -> Resource:
    relief = "" if item.relief_percent is None else f"relief {item.relief_percent:g} %"
    months = "" if item.relief_months is None else f"for {item.relief_months:g} months"
    site = ", ".join(filter(None, (target_title(item.target) if item.target else "", item.side or "")))
    return addressed(
        record,
        without_nothing(
            {
                "resourceType": "Procedure",
                "status": "completed",
                "category": concept("Earlier treatment", own("procedure", "prior")),
                "code": _modality(item.technique),
                "performedDateTime": item.performed.isoformat(),
                "bodySite": [concept(site)] if site else [],
                "outcome": concept(" ".join(filter(None, (relief, months)))),
                "complication": [concept(text) for text in item.complications],
                **extensions(relief_percent=item.relief_percent, relief_months=item.relief_months),
            }
        ),
    )
