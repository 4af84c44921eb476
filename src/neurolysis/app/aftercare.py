"""Step 5 of a case: recovery, what to watch, instructions, follow-up with its calendar, course, repeat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from neurolysis.app.anesthetize import day_of
from neurolysis.app.cases import load_case
from neurolysis.app.files import read_yaml
from neurolysis.app.procedure import load_procedure, with_given
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError
from neurolysis.outcome import Outcome
from neurolysis.quantity import parse

if TYPE_CHECKING:
    from neurolysis.aftercare.care import AftercarePlan
    from neurolysis.case import Case
    from neurolysis.procedure import Procedure

OUTCOME_FILE = "outcome.yaml"
CALENDAR, CARE_PLAN = "follow-up.ics", "care-plan.fhir.json"


@dataclass(frozen=True)
class Aftercare:
    """What the command answers; ``files`` are those that were written."""

    plan: AftercarePlan
    remarks: tuple[str, ...]
    files: tuple[Path, ...] = ()


def aftercare(
    case_path: Path,
    *,
    on: date | None = None,
    out: Path | None = None,
    technique: str | None = None,
    blood_pressure_unit: Literal["mmHg", "percent"] | None = None,
    language: str = "en",
) -> Aftercare:
    """Aftercare of the case at ``case_path``, with ``outcome.yaml`` and ``procedure.yaml`` if they are there.

    What the record of the room says was given counts, not what was planned or what the outcome repeats.

    Args:
        on: the day; of the last entry of the outcome, else the case's own, else today.
        out: folder for the pages, the calendar and the FHIR CarePlan.
        language: of the patient's sheet; a language of the catalogues.
        technique: modality id, where neither the outcome nor the case's treatment says it.

    Raises:
        InputError: case or outcome, no technique or target, impossible dates or scores.
        UnknownNameError: a name that is not in its catalogue.
        OutputError: something could not be written; nothing is left.
    """
    from neurolysis.aftercare.care import care

    case, folder = load_case(case_path)
    procedure = load_procedure(folder)
    outcome, differences = with_given(case, load_outcome(folder), procedure)
    day, remarks = (on, ()) if on else _day(case, outcome)
    used, target = _what(case, outcome, technique)
    plan = care(
        case,
        outcome,
        day,
        technique=used,
        target=target,
        blood_pressure_unit=blood_pressure_unit,
        sedated=_sedated(procedure),
    )
    return Aftercare(plan, (*remarks, *differences), () if out is None else _write(case, plan, out, language))


def load_outcome(folder: Path) -> Outcome | None:
    """The outcome beside a case; None where there is none yet.

    Raises:
        InputError: not YAML, or a wrong field.
    """
    file = folder / OUTCOME_FILE
    if not file.is_file():
        return None
    data = read_yaml(file)
    if not isinstance(data, dict):
        raise InputError("an outcome is a mapping of fields", where=str(file), found=type(data).__name__)
    return parse(Outcome, data, str(file))


def _sedated(procedure: Procedure | None) -> bool | None:
    """Whether sedation was given, where the record of the room says so."""
    if procedure is None or procedure.sedation is None or not procedure.steps:
        return None
    return procedure.sedation != "none"


def _day(case: Case, outcome: Outcome | None) -> tuple[date, tuple[str, ...]]:
    """The newest day that the outcome knows, else the case's, else today."""
    if outcome is None:
        return day_of(case, None)
    days = [d.day for d in outcome.diary] + [v.day for v in outcome.visits]
    days += [outcome.procedure.performed.date()] if outcome.procedure else []
    days += [c.onset for c in outcome.complications if c.onset]
    return (max(days), ()) if days else day_of(case, None)


def _what(case: Case, outcome: Outcome | None, technique: str | None) -> tuple[str, str]:
    """(technique, target): of what was done, else as asked and as the case plans."""
    from neurolysis.planning.modality import planned_modality

    done = outcome.procedure if outcome else None
    if done:
        return technique or done.modality, done.target
    if case.target is None:
        raise InputError("aftercare needs a target", where="case.yaml: target")
    technique = technique or planned_modality(case)
    if technique is None:
        raise InputError(
            "aftercare needs a technique: nothing was done yet", where=OUTCOME_FILE, allowed="--technique"
        )
    return technique, case.target.nerve


def _write(case: Case, plan: AftercarePlan, out: Path, language: str) -> tuple[Path, ...]:
    from neurolysis.aftercare.calendar import calendar
    from neurolysis.app.pages import write_all
    from neurolysis.records.careplan import care_plan
    from neurolysis.report.aftercare_pages import patient_document, team_document
    from neurolysis.report.html import page
    from neurolysis.report.pdf import typeset

    made = datetime(plan.on.year, plan.on.month, plan.on.day, tzinfo=UTC)
    contents: dict[Path, bytes] = {}
    home = "going-home" if language == "en" else f"going-home.{language}"
    for name, document in (
        ("aftercare", team_document(case, plan)),
        (home, patient_document(case, plan, language)),
    ):
        contents[out / f"{name}.html"] = page(document).encode("utf-8")
        contents[out / f"{name}.pdf"] = typeset(document)
    contents[out / CALENDAR] = calendar(plan, made).encode("utf-8")
    contents[out / CARE_PLAN] = json.dumps(care_plan(plan), indent=1, ensure_ascii=False).encode("utf-8")
    write_all(contents)
    return tuple(contents)


def aftercare_data(found: Aftercare) -> dict[str, Any]:
    """The answer as plain data for ``--json``."""
    return {
        **found.plan.model_dump(mode="json"),
        "remarks": list(found.remarks),
        "files": [str(path) for path in found.files],
        "research_use": RESEARCH_USE,
    }


def aftercare_text(found: Aftercare) -> str:
    """The answer in words for the terminal."""
    return "\n".join(_lines(found))


def _lines(found: Aftercare) -> Iterator[str]:
    plan = found.plan
    when = "not done yet" if plan.performed is None else f"done on {plan.performed}"
    yield f"Aftercare of {plan.technique} at {plan.target}, {when}"
    words = {True: "yes", False: "NO", None: "cannot say"}
    yield f"  leave recovery: {words[plan.may_leave_recovery]}; go home: {words[plan.may_go_home]}"
    yield from (f"    needs {text}" for text in plan.home_needs)
    yield from (f"  {a.level.upper()} at {a.minutes:g} min: {a.text} (found {a.found})" for a in plan.alarms)
    yield from (f"  watch    {a.within}: {a.text} ({a.source})" for a in plan.watch)
    if plan.course:
        yield f"  course   {plan.course.text}"
    for name, result in (("before", plan.opioids.before), ("now", plan.opioids.now)):
        if result:
            whole = "" if result.complete else " (not all could be counted)"
            yield f"  opioids  {name}: {result.total:g} MME a day{whole}. {result.warning}"
    if plan.opioids.before:
        yield f"  taper    {plan.opioids.taper}"
    for item in plan.complications:
        needs = f" (needs {', '.join(item.needs)})" if item.needs else ""
        yield f"  harm     {item.name}: CTCAE {item.ctcae}, Clavien-Dindo {item.clavien_dindo}{needs}"
    for contact in plan.follow_up:
        days = f"{contact.date_from} to {contact.date_to}" if contact.date_from else f"day {contact.day_from}"
        yield f"  follow   {contact.title}: {days}"
    yield f"  repeat   {plan.repeat.text}"
    yield from (f"           {row}" for row in plan.repeat.rows)
    yield f"  regrowth {plan.regrowth.reason}"
    yield from (f"  file     {path}" for path in found.files)
    yield RESEARCH_USE
