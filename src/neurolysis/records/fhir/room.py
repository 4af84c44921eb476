"""The record of the room: when and how it went as parts of the Procedure, and what was measured there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from neurolysis.procedure import Agent, GivenStep, Procedure
from neurolysis.records.fhir.record import Record, head, key_of, subject
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

DONE = "delivered"


def procedure_id(record: Record) -> str:
    """Id of the Procedure that was delivered."""
    return part_id(key_of(record), DONE)


# ---------------------------------------------------------------- parts of the Procedure


def when_and_how(room: Procedure | None, performed: datetime | None) -> Resource:
    """Status, time, people, what was used and every step; without a record of the room the time alone."""
    if room is None:
        when = {} if performed is None else {"performedDateTime": moment(performed)}
        return {"status": "completed", **when}
    people = [(room.operator, "operator"), *((name, "assistant") for name in room.assistants)]
    return {
        "status": _status(room, performed),
        "statusReason": concept(room.abort.reason) if room.abort else {},
        **_when(room, performed),
        "performer": [{"function": concept(job), "actor": {"display": name}} for name, job in people if name],
        "usedCode": [_agent(agent) for agent in room.agents],
        **notes(room.remarks, *(_step(k, step) for k, step in enumerate(room.steps, start=1))),
    }


def _status(room: Procedure, performed: datetime | None) -> str:
    if room.abort is not None:
        return "stopped"
    return "completed" if room.ended or performed or room.signed_by else "in-progress"


def _when(room: Procedure, performed: datetime | None) -> Resource:
    """The time as performed; else from start to end, or of the first step."""
    if performed is not None:
        return {"performedDateTime": moment(performed)}
    if room.started is not None:
        ends = {"end": moment(room.ended)} if room.ended else {}
        return {"performedPeriod": {"start": moment(room.started), **ends}}
    return {"performedDateTime": moment(room.steps[0].start)} if room.steps else {}


def _agent(agent: Agent) -> Resource:
    words = " ".join(filter(None, (agent.name, agent.strength)))
    said = extensions(
        purpose=agent.purpose, lot=agent.lot, expires=agent.expires, checked_by=agent.checked_by
    )
    return {**concept(words), **said}


def _step(number: int, step: GivenStep) -> str:
    """One burn or injection in words."""
    numbers = (
        ("volume", step.volume_ml, "mL"),
        ("impedance", step.impedance_ohm, "ohm"),
        ("duration", step.duration_s, "s"),
        ("peak", step.peak_temperature_c, "°C"),
    )
    said = [f"{name} {value:g} {unit}" for name, value, unit in numbers if value is not None]
    said += [f"{name} {value}" for name, value in step.settings.items()]
    said += [f"aspiration {step.aspiration}"] if step.aspiration else []
    said += [f"contrast {step.contrast_pattern}"] if step.contrast_pattern else []
    said += [f"ABORTED: {step.abort_reason}"] if step.aborted else []
    what = ", ".join(filter(None, (step.kind, step.technique, step.instrument, step.agent)))
    return f"Step {number}, needle {step.needle}: {what}. {'; '.join(said)} {step.note}".strip()


# ---------------------------------------------------------------- measured in the room


def room_observations(record: Record) -> Iterator[Resource]:
    """Stimulation, checks of the nervous system, and radiation."""
    room = record.procedure
    if room is None:
        return
    for number, item in enumerate(room.stimulation, start=1):
        parts = [
            _number("sensory threshold", item.sensory_threshold_v, "V"),
            _number("motor threshold", item.motor_threshold_v, "V"),
            _number("no movement up to", item.motor_none_up_to_v, "V"),
            _number("impedance", item.impedance_ohm, "ohm"),
            _yes_no("sensory where the pain is", item.sensory_where_the_pain_is),
            _yes_no("movement of a limb", item.motor_of_limb),
        ]
        title = f"Nerve stimulation, needle {item.needle}"
        yield _measured(record, f"stimulation-{number}", title, "stimulation", item.time, parts)
    for number, check in enumerate(room.checks, start=1):
        states = (("strength", check.strength), ("feeling", check.feeling), ("bladder", check.bladder))
        parts = [[{"code": concept(name), "valueString": value}] if value else [] for name, value in states]
        title = "Neurological check after the procedure"
        yield _measured(record, f"check-{number}", title, "neurological-check", check.time, parts, check.note)
    dose = room.radiation
    parts = [
        _number("fluoroscopy time", dose.fluoroscopy_s, "s"),
        _number("dose area product", dose.dose_area_product_gy_cm2, "Gy.cm2"),
        _number("air kerma", dose.air_kerma_mgy, "mGy"),
    ]
    if any(parts):
        yield _measured(record, "radiation", "Radiation dose", "radiation", room.ended, parts)


def _number(name: str, value: float | None, unit: str) -> list[Resource]:
    code = {"code": concept(name)}
    return [] if value is None else [{**code, "valueQuantity": {"value": value, "unit": unit}}]


def _yes_no(name: str, value: bool | None) -> list[Resource]:
    return [] if value is None else [{"code": concept(name), "valueBoolean": value}]


def _measured(
    record: Record,
    part: str,
    title: str,
    code: str,
    time: datetime | None,
    parts: list[list[Resource]],
    note: str = "",
) -> Resource:
    """An Observation of one moment, each value a component."""
    return without_nothing(
        {
            **head(record, "Observation", part_id(key_of(record), part)),
            "partOf": [reference("Procedure", procedure_id(record))],
            "status": "final",
            "code": concept(title, own("observation", code)),
            "subject": subject(record),
            "effectiveDateTime": None if time is None else moment(time),
            "component": [item for part in parts for item in part],
            **notes(note),
        }
    )
