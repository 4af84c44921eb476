"""Procedure: what was done, as recorded; earlier treatments; diagnostic blocks with their diaries."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.case import DiagnosticBlock, PriorProcedure
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.vocabulary import modality
from neurolysis.outcome import DoneProcedure
from neurolysis.records.fhir.clinical import addressed, loinc_pain
from neurolysis.records.fhir.orders import (
    PLAN,
    REQUEST,
    body_site,
    procedure_code,
    target_title,
    treated,
)
from neurolysis.records.fhir.record import Record, head, key_of, subject
from neurolysis.records.fhir.room import procedure_id, when_and_how
from neurolysis.records.fhir.terms import (
    HL7,
    Resource,
    concept,
    extensions,
    own,
    part_id,
    reference,
    without_nothing,
)


def procedures(record: Record) -> Iterator[Resource]:
    """The treatment as given, then blocks and earlier treatments."""
    delivered = delivered_procedure(record)
    if delivered is not None:
        yield delivered
    yield from (block_procedure(record, block) for block in record.case.blocks)
    yield from (_prior(record, item) for item in record.case.prior_procedures)


def delivered_procedure(record: Record) -> Resource | None:
    """The Procedure of what was done, from the outcome and the record of the room; None before that."""
    done, room = record.outcome.procedure if record.outcome else None, record.procedure
    began = room is not None and (room.started or room.treating or room.abort)
    if done is None and not began:
        return None
    request = reference("ServiceRequest", part_id(key_of(record), REQUEST))
    plan = room.plan_number if room else None
    followed = [reference("CarePlan", part_id(key_of(record), f"{PLAN}-{plan}"))] if plan else []
    return without_nothing(
        {
            **head(record, "Procedure", procedure_id(record)),
            "basedOn": [*([request] if record.case.target else []), *followed],
            "category": concept("Neurolysis", own("request", "neurolysis")),
            "code": modality_code(done.modality) if done else procedure_code(record.case),
            "subject": subject(record),
            "reasonReference": treated(record),
            "bodySite": _site(record, done),
            **when_and_how(room, done.performed if done else None),
            **(extensions(sedation=done.sedation, baseline_pain=done.baseline_pain) if done else {}),
        }
    )


def _site(record: Record, done: DoneProcedure | None) -> list[Resource]:
    if done is None:
        return [body_site(record.case.target)] if record.case.target else []
    title = target_title(done.target)
    return [concept(f"{title}, {done.side}", own("target", done.target, title), own("side", done.side))]


def modality_code(id: str) -> Resource:
    """A technique by its id of the evidence base; the words themselves where it is none."""
    try:
        entry = modality(id)
    except UnknownNameError:
        return concept(id)
    return concept(entry.title, own("modality", entry.id, entry.title))


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
                "code": modality_code(item.technique),
                "performedDateTime": item.performed.isoformat(),
                "bodySite": [concept(site)] if site else [],
                "outcome": concept(" ".join(filter(None, (relief, months)))),
                "complication": [concept(text) for text in item.complications],
                **extensions(relief_percent=item.relief_percent, relief_months=item.relief_months),
            }
        ),
    )
