"""The room sheet: one printable page with who, which side, what is planned, and room to write what was given.

What the procedure's record already holds is printed; what it does not hold is an empty box or line. Nothing
is filled in from the plan where the record is to say what was done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from neurolysis import __version__
from neurolysis.approval import RESEARCH_USE
from neurolysis.case import Case

Row = tuple[str, str]
EMPTY_TESTS, EMPTY_STEPS, EMPTY_AGENTS, EMPTY_CHECKS = 2, 4, 3, 2
"""Lines left for writing where the record holds none."""
ALERTS_SHOWN = 6


def room_sheet_html(
    case: Case, plan_record: Mapping[str, Any] | None, procedure: Mapping[str, Any] | None, mark: str
) -> str:
    """The sheet as one self-contained HTML page.

    Args:
        plan_record: ``plan.json`` of the plan to be followed; None where there is none.
        procedure: the record of the room so far, as plain data; None where nothing is written.
        mark: ``DRAFT``, or who approved the plan.
    """
    from neurolysis.report.html import colours, environment

    room = dict(procedure or {})
    return (
        environment()
        .get_template("room_sheet.html.j2")
        .render(
            case=case,
            mark=mark,
            approved=mark.startswith("APPROVED"),
            target=_target(case),
            who=tuple(_who(case)),
            plan=tuple(_plan(plan_record)),
            alerts=tuple(_alerts(plan_record)),
            time_out=tuple(_time_out(case, room.get("time_out") or {})),
            agents=_padded(tuple(_agents(room)), EMPTY_AGENTS, 4),
            tests=_padded(tuple(_tests(room)), EMPTY_TESTS, 6),
            steps=_padded(tuple(_steps(room)), EMPTY_STEPS, 8),
            checks=_padded(tuple(_checks(room)), EMPTY_CHECKS, 5),
            radiation=_radiation(room.get("radiation") or {}),
            held=_clock((room.get("time_out") or {}).get("time")),
            abort=str((room.get("abort") or {}).get("reason") or ""),
            operator=str(room.get("operator") or ""),
            signed_by=str(room.get("signed_by") or ""),
            colours=colours(),
            research_use=RESEARCH_USE,
            software=f"neurolysis {__version__}",
            plan_hash=str((plan_record or {}).get("hashes", {}).get("plan", ""))[:12],
        )
    )


def _target(case: Case) -> dict[str, str]:
    from neurolysis.nerve.catalogue import nerve_entry, nerve_ids
    from neurolysis.nerve.targets import targets

    if case.target is None:
        return {"side": "NO SIDE", "nerve": "no target", "level": ""}
    id = case.target.nerve
    title = nerve_entry(id).title if id in nerve_ids() else id.replace("_", " ")
    title = targets()[id].title if id in targets() and id not in nerve_ids() else title
    levels = (
        f"bony level {case.target.bony_level}" if case.target.bony_level else "",
        f"joint {case.target.joint}" if case.target.joint else "",
    )
    return {"side": case.target.side.upper(), "nerve": title, "level": ", ".join(filter(None, levels))}


def _who(case: Case) -> Iterator[Row]:
    patient = case.patient
    born = f"born {patient.birth_year}" if patient.birth_year else "year of birth not stated"
    yield "Patient", f"{patient.id} ({patient.sex}, {born})"
    yield "Weight", f"{patient.weight_kg:g} kg" if patient.weight_kg else "not stated"
    yield "Allergies", _list(case.allergies)
    implants = None if case.implants is None else tuple(one.name for one in case.implants)
    yield "Implants", _list(implants)
    yield "Level counted", (case.target.level_counted if case.target else None) or "not stated"
    complete = {True: "", False: " (list not complete)", None: " (not said whether complete)"}
    listed = ", ".join(f"{one.name} {one.dose}".strip() for one in case.medications) or "none entered"
    yield "Medicines", listed + complete[case.medications_complete]


def _list(values: tuple[str, ...] | None) -> str:
    return "NOT ASKED" if values is None else (", ".join(values) or "none")


def _plan(record: Mapping[str, Any] | None) -> Iterator[Row]:
    if record is None:
        yield "Plan", "no plan of this program"
        return
    plan = record.get("plan", {})
    yield from ((str(label), str(value)) for label, value in record.get("setting", ()))
    for number, one in enumerate(plan.get("placements", ()), start=1):
        x, y, z = one["tip_mm"]
        yield f"Tip {number}", f"{_axis(x, 'L', 'R')}, {_axis(y, 'P', 'A')}, {_axis(z, 'S', 'I')} mm"
    yield "Anaesthesia", str(plan.get("anaesthesia") or "none planned").split(" Checked by")[0]


def _axis(value: float, plus: str, minus: str) -> str:
    return f"{plus if value >= 0 else minus} {abs(value):.1f}"


def _alerts(record: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    """Open and overridden stops first, then warnings, each once."""
    if record is None:
        return
    excused = {one["code"]: one["reason"] for one in (record.get("approval") or {}).get("overrides", ())}
    found = dict.fromkeys((n["severity"], n["code"], n["text"]) for n in record.get("notices", ()))
    ranked = sorted((n for n in found if n[0] in ("stop", "warn")), key=lambda n: n[0] != "stop")
    for severity, code, text in ranked[:ALERTS_SHOWN]:
        why = f" SET ASIDE: {excused[code]}" if code in excused else ""
        yield severity, text + why
    if len(ranked) > ALERTS_SHOWN:
        yield "more", f"{len(ranked) - ALERTS_SHOWN} further warnings stand in the report."


def _time_out(case: Case, said: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(item, what was said, what the case says); an empty answer is a line to write on."""
    names = [one for one in said.get("identifiers", ()) if one]
    for number in (0, 1):
        one = names[number] if number < len(names) else {}
        yield f"Identifier {number + 1}", _said(one.get("matches"), str(one.get("kind", ""))), ""
    target = case.target
    level = " or ".join(filter(None, (target.bony_level, target.joint))) if target else ""
    yield "Side said, marked", _pair(said.get("side"), said.get("side_marked")), target.side if target else ""
    yield "Level said", str(said.get("level") or ""), level
    yield "Consent", _said(said.get("consent")), ""
    yield "Allergies aloud", _said(said.get("allergies_read")), _list(case.allergies)
    yield "Anticoagulant", str(said.get("anticoagulant") or ""), ""
    yield "Implant", str(said.get("implant") or ""), ""


def _said(value: Any, kind: str = "") -> str:
    words = {True: "yes", False: "NO"}.get(value, "")
    return f"{kind}: {words}" if kind and words else words


def _pair(side: Any, marked: Any) -> str:
    return ", ".join(filter(None, (str(side or ""), {True: "marked", False: "NOT MARKED"}.get(marked, ""))))


def _agents(room: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in room.get("agents") or ():
        name = f"{one.get('name', '')} {one.get('strength') or ''}".strip()
        yield name, str(one.get("purpose", "")), str(one.get("lot") or ""), str(one.get("expires") or "")


def _tests(room: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in room.get("stimulation") or ():
        motor = one.get("motor_threshold_v")
        none = one.get("motor_none_up_to_v")
        moved = f"{motor:g} V" if motor is not None else (f"none to {none:g} V" if none is not None else "")
        yield (
            _clock(one.get("time")), str(one.get("needle", "")), _number(one.get("sensory_threshold_v"), "V"),
            _said(one.get("sensory_where_the_pain_is")), moved, _number(one.get("impedance_ohm"), "Ω"),
        )  # fmt: skip


def _steps(room: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in room.get("steps") or ():
        amount = _number(one.get("volume_ml"), "mL") or _number(one.get("duration_s"), "s")
        note = f"ABORTED: {one.get('abort_reason')}" if one.get("aborted") else str(one.get("note") or "")
        yield (
            _clock(one.get("start")), str(one.get("kind", "")), str(one.get("needle") or ""),
            str(one.get("agent") or ""), amount, _number(one.get("peak_temperature_c"), "°C"),
            str(one.get("aspiration") or one.get("contrast_pattern") or ""), note,
        )  # fmt: skip


def _checks(room: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in room.get("checks") or ():
        parts = (one.get("strength"), one.get("feeling"), one.get("bladder"), one.get("examined_by"))
        yield (_clock(one.get("time")), *(str(part or "") for part in parts))


def _radiation(dose: Mapping[str, Any]) -> tuple[Row, ...]:
    return (
        ("Fluoroscopy", _number(dose.get("fluoroscopy_s"), "s")),
        ("Dose area product", _number(dose.get("dose_area_product_gy_cm2"), "Gy cm²")),
        ("Air kerma", _number(dose.get("air_kerma_mgy"), "mGy")),
    )


def _number(value: Any, unit: str) -> str:
    return "" if value is None else f"{value:g} {unit}"


def _clock(value: Any) -> str:
    text = str(value or "")
    return text[11:16] if len(text) >= 16 else text


def _padded(rows: tuple[tuple[str, ...], ...], count: int, width: int) -> tuple[tuple[str, ...], ...]:
    """At least ``count`` rows, the missing ones empty for a pen."""
    return rows + tuple(("",) * width for _ in range(max(0, count - len(rows))))
