"""Last pages of the decision aid: does it suit, how sure is it, what was talked about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from neurolysis import __version__
from neurolysis.assessment import Assessment
from neurolysis.case import Case
from neurolysis.evidence.store import Source, evidence_version, sources
from neurolysis.evidence.vocabulary import modality
from neurolysis.nerve.conditions import condition
from neurolysis.prognosis import Prognosis
from neurolysis.report.document import Bullets, Facts, Paragraph, Section, Table
from neurolysis.report.language import Translator

UPDATE_POLICY_YEARS = 1


@dataclass(frozen=True)
class Plan:
    """The patient's own plan, where there is one: its hash and how the nerve is reached."""

    hash: str
    coverage: str


def about_you(
    case: Case, options: Sequence[Prognosis], assessment: Assessment, plan: Plan | None, say: Translator
) -> Section:
    """Whether each choice suits, as far as was judged."""
    verdicts = {item.technique: item for item in assessment.suitability}
    rows = []
    for option in options:
        found = verdicts.get(option.technique)
        rows.append(
            (
                say(modality(option.technique).plain_title),
                say("not judged yet") if found is None else say(found.verdict),
                say("{number} things are still not known", number=len(found.needs))
                if found and found.needs
                else "-",
            )
        )
    return Section(
        id="you",
        title=say("Does it suit you?"),
        blocks=(
            Table(
                title="",
                columns=(say("Choice"), say("So far"), say("Still open")),
                rows=tuple(rows),
                note=say("Your team has the reasons. Ask for them."),
            ),
        ),
        new_page=True,
    )


def how_sure(options: Sequence[Prognosis], on: date, say: Translator) -> Section:
    """How sure the figures are, who made the page, until when, and the sources."""
    used = dict.fromkeys(s for o in options for i in (*o.benefits, *o.harms, *o.duration) for s in i.sources)
    known = sources()
    return Section(
        id="about",
        title=say("How sure is this, and who made it?"),
        blocks=(
            Bullets(
                (
                    say(
                        "Most figures come from one report each. Light colour shows how far off they may be."
                    ),
                    say("Reports where patients did not know what they got show smaller effects."),
                    say(
                        "Made on {day}. Do not use it after {end}: the figures are read again every year.",
                        day=on,
                        end=date(on.year + UPDATE_POLICY_YEARS, on.month, min(on.day, 28)),
                    ),
                    say(
                        "Nobody paid for this page. An open project makes it from reports anyone can look up."
                    ),
                    say("It was not tested with patients yet."),
                )
            ),
            Table(
                title=say("Where the figures come from"),
                columns=(say("Report"), say("Where to find it")),
                rows=tuple((known[s].citation, _address(known[s])) for s in used),
                weights=(4, 3),
            ),
        ),
    )


def consent(
    case: Case,
    options: Sequence[Prognosis],
    assessment: Assessment,
    plan: Plan | None,
    on: date,
    say: Translator,
) -> Section:
    """A sheet to write the talk down; it gives no consent."""
    line = "." * 40
    return Section(
        id="consent",
        title=say("What we talked about"),
        blocks=(
            Paragraph(
                say("This page gives no consent, and no computer does. It helps to write down your talk.")
            ),
            Facts(
                "",
                (
                    (say("Person"), case.patient.id),
                    (say("Pain"), say(condition(options[0].condition).plain_title)),
                    (
                        say("Choices shown"),
                        ", ".join(say(modality(o.technique).plain_title) for o in options),
                    ),
                    (say("What matters to me"), line),
                    (say("My choice"), line),
                    (say("Name, day, signature"), line),
                    (say("Doctor, day, signature"), line),
                    (say("Day of this page"), str(on)),
                    (say("Program and evidence"), f"neurolysis {__version__}, {evidence_version()}"),
                    (say("Case hash"), assessment.case_hash),
                    (say("Plan hash"), plan.hash if plan else say("no plan yet")),
                ),
            ),
        ),
        new_page=True,
    )


def _address(source: Source) -> str:
    return source.doi or source.url or source.read_in
