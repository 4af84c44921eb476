"""Pages of aftercare: one set for the team, one sheet for the patient to take home."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis import __version__
from neurolysis.aftercare.care import AftercarePlan, FollowUp
from neurolysis.aftercare.course import SignAlarm
from neurolysis.approval import RESEARCH_USE
from neurolysis.case import Case
from neurolysis.evidence.vocabulary import modality
from neurolysis.nerve.targets import target_entry
from neurolysis.report.document import (
    Alert,
    Block,
    Bullets,
    Document,
    Facts,
    FirstPage,
    Headline,
    Paragraph,
    Section,
    Table,
    Tone,
    Words,
)
from neurolysis.report.language import Translator

WORDS = {True: "yes", False: "no", None: "cannot say"}
TONE: dict[bool | None, Tone] = {True: "good", False: "stop", None: "plain"}


def team_document(case: Case, plan: AftercarePlan) -> Document:
    """What the team watches, the scores, the course and the follow-up."""
    title = f"{modality(plan.technique).title}, {target_entry(plan.target).title}"
    return Document(
        title=title,
        subtitle=f"Aftercare, {plan.on}",
        mark="AFTERCARE",
        draft=True,
        research_use=RESEARCH_USE,
        case_id=case.id,
        plan_hash=plan.case_hash,
        software=f"neurolysis {__version__}, evidence {plan.evidence_version}",
        first=FirstPage(
            facts=(),
            headlines=tuple(_headlines(plan)),
            alerts=tuple(
                Alert("stop" if a.level == "alarm" else "warn", _alarm(a), a.source) for a in plan.alarms
            ),
            figure=None,
            blocks=(
                Table(
                    title="Watch",
                    columns=("When", "What", "Source"),
                    rows=tuple((a.within, a.text, a.source) for a in plan.watch),
                    weights=(1.3, 4, 2),
                    note=plan.alarm_note,
                ),
                *((Bullets(plan.home_needs, "Before going home"),) if plan.home_needs else ()),
            ),
        ),
        sections=tuple(_sections(plan)),
        demonstration=case.demonstration,
        record="case",
    )


def _alarm(alarm: SignAlarm) -> str:
    return f"{alarm.text} Found {alarm.found} at {alarm.minutes:g} min."


def _headlines(plan: AftercarePlan) -> Iterator[Headline]:
    scores = {score.scale: score for score in plan.recovery}
    for label, answer, names in (
        ("May leave the recovery room", plan.may_leave_recovery, ("aldrete",)),
        ("May go home", plan.may_go_home, ("padss", "modified_padss")),
    ):
        score = next((scores[name] for name in names if name in scores), None)
        total = "" if score is None or score.total is None else f"{score.total} of {score.maximum}"
        note = "no score yet" if score is None else f"{score.title}, ready at {score.ready_at}"
        yield Headline(label, WORDS[answer], TONE[answer], total, note, ())
    course = plan.course
    relief = None if course is None else course.relief_percent
    yield Headline(
        "Relief now",
        "cannot say" if relief is None else f"{relief:.0f} %",
        "stop" if course and course.returned else "plain",
        "",
        "" if course is None else course.text,
        (),
    )


def _sections(plan: AftercarePlan) -> Iterator[Section]:
    if plan.signs:
        yield Section("signs", "Vital signs", (_signs(plan),))
    yield Section("follow-up", "Follow-up", (_schedule(plan),))
    if plan.diary:
        yield Section("diary", "Diary", (_diary(plan),))
    yield Section("opioids", "Opioids", tuple(_opioids(plan)))
    if plan.complications:
        rows = tuple(
            (c.name, str(c.onset or "-"), c.ctcae, c.clavien_dindo, ", ".join(c.needs) or "-")
            for c in plan.complications
        )
        columns = ("Complication", "Onset", "CTCAE 5", "Clavien-Dindo", "Needs")
        yield Section("complications", "Complications", (Table(title="", columns=columns, rows=rows),))
    yield Section("return", "Return and repeat", tuple(_return(plan)))


def _signs(plan: AftercarePlan) -> Table:
    """Every reading in order of time; a row with an alarm stands out."""
    beyond = {alarm.minutes: alarm for alarm in plan.alarms}
    rows, tones = [], []
    for sign in plan.signs:
        values = (
            sign.systolic_mmhg,
            sign.heart_rate_per_min,
            sign.oxygen_saturation_percent,
            sign.temperature_c,
        )
        alarm = beyond.get(sign.minutes)
        rows.append((f"{sign.minutes:g}", *map(_shown, values), alarm.text if alarm else "-"))
        tone: Tone = "stop" if alarm and alarm.level == "alarm" else "plain"
        tones.append(tone)
    return Table(
        title="",
        columns=(">Minutes", ">Systolic, mmHg", ">Heart rate", ">Oxygen, %", ">Temperature, C", "Limit"),
        rows=tuple(rows),
        tones=tuple(tones),
        weights=(1, 1.4, 1.2, 1.2, 1.4, 3),
    )


def _diary(plan: AftercarePlan) -> Table:
    return Table(
        title="",
        columns=("Day", ">Pain, 0-10", ">Function, 0-10", "Medicines", "Note"),
        rows=tuple(
            (
                str(day.day),
                _shown(day.pain),
                _shown(day.function),
                "not said"
                if day.medications is None
                else ", ".join(m.name for m in day.medications) or "none",
                day.note or "-",
            )
            for day in plan.diary
        ),
        weights=(1.2, 1, 1.1, 3, 2),
    )


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


def _schedule(plan: AftercarePlan) -> Table:
    return Table(
        title="",
        columns=("Contact", "Days", "How", "What", "Source"),
        rows=tuple(
            (
                c.title,
                f"{c.date_from} to {c.date_to}" if c.date_from else f"day {c.day_from} to {c.day_to}",
                c.how,
                c.what,
                c.source,
            )
            for c in plan.follow_up
        ),
        weights=(1.4, 1.6, 0.7, 3, 2.4),
    )


def _opioids(plan: AftercarePlan) -> Iterator[Block]:
    parts = [
        (name, part.drug, "-" if part.daily_dose is None else f"{part.daily_dose:g} {part.unit}",
         "not counted" if part.mme is None else f"{part.mme:g}", part.row or "-", part.reason or "-")
        for name, result in (("before", plan.opioids.before), ("now", plan.opioids.now))
        if result
        for part in result.parts
    ]  # fmt: skip
    if not parts:
        yield Paragraph("No opioid is in the list of medicines.")
        return
    columns = ("", "Drug", "A day", ">MME a day", "Factor", "Why not")
    yield Table(title="Daily dose", columns=("When", *columns[1:]), rows=tuple(parts))
    yield Paragraph(
        "MME compares risks between patients; it is never used to change from one opioid to another."
    )
    who = plan.opioids.confirmed_by or "nobody yet"
    yield Facts("Taper", (("Proposal", plan.opioids.taper), ("Confirmed by", who)))
    yield Bullets(plan.opioids.watch, "Watch")


def _return(plan: AftercarePlan) -> Iterator[Block]:
    if plan.course:
        yield Paragraph(plan.course.text)
    yield Paragraph(plan.regrowth.reason)
    if plan.regrowth.published:
        rows = tuple(
            (
                s.row,
                s.definition,
                "-" if s.value is None else f"{s.value:g}",
                "-" if s.low is None or s.high is None else f"{s.low:g} to {s.high:g}",
                s.design,
            )
            for s in plan.regrowth.published
        )
        columns = ("Row", "What was counted", ">Value", "Range", "Design")
        yield Table(title="Published returns", columns=columns, rows=rows, weights=(0.8, 5, 0.8, 1.2, 1.5))
    yield Paragraph(plan.repeat.text)
    if plan.repeat.rows:
        yield Bullets(plan.repeat.rows)


def patient_document(case: Case, plan: AftercarePlan, language: str = "en") -> Document:
    """One sheet for the patient: what to expect, when to call, and the next contacts.

    Raises:
        UnknownNameError: no such language.
        InputError: a text that is not translated.
    """
    say = Translator(language)
    contacts = tuple((say(item.title), _days(item, say)) for item in plan.follow_up)
    note = (
        () if language == "en" else (Paragraph(say("This language was not clinically reviewed."), note=True),)
    )
    flags = tuple(say(item.text) for item in plan.red_flags)
    return Document(
        title=say("When you go home"),
        subtitle=f"{say(modality(plan.technique).plain_title)}: {say(target_entry(plan.target).plain_title)}",
        mark=say("FOR YOU TO KEEP"),
        draft=True,
        research_use=say(RESEARCH_USE),
        case_id=case.id,
        plan_hash=plan.case_hash,
        software=f"neurolysis {__version__}, evidence {plan.evidence_version}",
        first=FirstPage(
            facts=(),
            headlines=(),
            alerts=(),
            figure=None,
            blocks=(
                Bullets(flags, say("Call at once, day or night, if you have")),
                Bullets(tuple(say(a.text) for a in plan.instructions), say("At home")),
                Facts(say("Call"), ((say("By day"), "." * 30), (say("At night"), "." * 30))),
                Facts(say("Your next contacts"), contacts),
                *note,
            ),
        ),
        sections=(),
        language={"en": "en-GB"}.get(language, language),
        demonstration=case.demonstration,
        record=say("case"),
        large=True,
        words=Words(
            demonstration=say("Demonstration case, not a patient to be treated"),
            demonstration_short=say("demonstration case"),
            page=say("page"),
            of=say("of"),
        ),
    )


def _days(item: FollowUp, say: Translator) -> str:
    if item.date_from is None or item.date_to is None:
        return say("{number} days after", number=item.day_from)
    if item.date_from == item.date_to:
        return str(item.date_from)
    return say("{first} to {last}", first=item.date_from, last=item.date_to)
