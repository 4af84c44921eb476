"""Pages of step 3: the session's dose and block, and one printable card for each emergency."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis import __version__
from neurolysis.anesthesia.cards import Card, Step
from neurolysis.anesthesia.prepare import Step3
from neurolysis.approval import RESEARCH_USE
from neurolysis.case import Anaesthesia, Case
from neurolysis.evidence.store import ASSUMPTION
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
)

ANSWER_TONE: dict[str, Tone] = {
    "ready": "good",
    "within every limit": "good",
    "stop": "stop",
    "over a limit": "stop",
}


def anesthesia_document(case: Case, step: Step3) -> Document:
    """Step 3 of a case as pages; each card stands on a page of its own."""
    return Document(
        title=f"Anaesthesia: {case.title or case.id}",
        subtitle=f"Step 3, {step.on}",
        mark="ANAESTHESIA: STOPPED" if step.answer == "stop" else "ANAESTHESIA",
        draft=True,
        research_use=RESEARCH_USE,
        case_id=case.id,
        plan_hash=step.case_hash,
        software=f"neurolysis {__version__}, evidence {step.evidence_version}",
        first=FirstPage(
            facts=(),
            headlines=tuple(_headlines(step)),
            alerts=tuple(
                Alert(notice.severity, notice.text, notice.source)
                for notice in step.notices
                if notice.severity != "info"
            ),
            figure=None,
            blocks=(_injections(case), _arranged(case), _caps(step), *_reduced(step), *_needs(step)),
        ),
        sections=(
            Section("block", "What it numbs", tuple(_block(step))),
            Section("plasma", "Plasma levels", tuple(_plasma(step))),
            *(_card(card) for card in step.cards),
        ),
        demonstration=case.demonstration,
        record="case",
    )


def _headlines(step: Step3) -> Iterator[Headline]:
    yield Headline(
        "Step 3",
        step.answer,
        ANSWER_TONE.get(step.answer, "plain"),
        str(len(step.needs)),
        "things missing",
        (),
    )
    share = "" if step.dose.cap_share is None else f"{step.dose.cap_share:.0%}"
    tone = ANSWER_TONE.get(step.dose.answer, "plain")
    yield Headline("Dose", step.dose.answer, tone, share, "of the lowest caps", (step.dose.weight_text,))
    toxic = "" if step.dose.toxic_share is None else f"{step.dose.toxic_share:.0%}"
    label = "cannot say" if step.dose.toxic_share is None else "predicted"
    yield Headline("Plasma, against toxic", label, "plain", toxic, "95th percentile, agents added", ())


def _injections(case: Case) -> Table:
    planned = case.anaesthesia.injections if case.anaesthesia else ()
    return Table(
        title="Injections",
        columns=("For", "Agent", ">Strength", ">mL", ">mg", "Site", ">Minute"),
        rows=tuple(
            (
                i.purpose,
                i.agent
                + (f" + epinephrine {i.epinephrine_mcg_per_ml:g} µg/mL" if i.epinephrine_mcg_per_ml else ""),
                f"{i.mg_per_ml / 10:g} %",
                f"{i.volume_ml:g}",
                f"{i.mg:g}" + ("" if i.dose_mg is not None else " (not confirmed)"),
                i.site,
                f"{i.minutes:g}",
            )
            for i in planned
        ),
    )


def _arranged(case: Case) -> Facts:
    plan = case.anaesthesia or Anaesthesia()
    said = {True: "yes", False: "no", None: "not said"}
    return Facts(
        "Arranged",
        (
            ("Order", ", then ".join(plan.order) or "not said"),
            ("Sedation", plan.sedation or "not said"),
            ("Fasting", said[plan.fasting_confirmed]),
            ("Escort", said[plan.escort_arranged]),
            ("Access to a vein", said[plan.intravenous_access]),
        ),
    )


def _reduced(step: Step3) -> Iterator[Block]:
    if step.dose.applied():
        title = "Why limits are lowered (the strongest known reason counts once)"
        yield Bullets(tuple(item.text for item in step.dose.applied()), title)


def _caps(step: Step3) -> Table:
    return Table(
        title="Limits that were read",
        columns=("Agent", "Limit", "Whose", ">mg allowed", ">mg given", ">Share", "Rows"),
        rows=tuple(
            (
                c.agent,
                c.text + (" (governs)" if c.governs else ""),
                c.who,
                "unknown" if c.reduced_mg is None else f"{c.reduced_mg:.4g}",
                f"{c.given_mg:g}",
                "-" if c.share is None else f"{c.share:.0%}",
                ", ".join(c.sources),
            )
            for c in step.dose.caps
        ),
        tones=tuple("stop" if (c.share or 0) > 1 else "plain" for c in step.dose.caps),
        weights=(1.2, 3, 2.4, 1, 1, 0.8, 1.2),
    )


def _needs(step: Step3) -> Iterator[Block]:
    if step.needs:
        yield Bullets(step.needs, "Cannot be said without")


def _block(step: Step3) -> Iterator[Block]:
    yield Facts(
        "",
        (
            ("Track", step.block.track.text),
            ("Nerve", step.block.nerve.text),
            ("Motor test after the anaesthetic", step.block.motor_test),
        ),
    )
    if step.block.timing:
        yield Bullets(tuple(item.text for item in step.block.timing), "Time")
    yield Paragraph(step.block.fibres, note=True)


def _plasma(step: Step3) -> Iterator[Block]:
    if not step.dose.levels:
        yield Paragraph("No plasma level was predicted.")
        return
    rows = []
    for item in step.dose.levels:
        free = item.free_cmax_mg_per_l
        total = item.cmax_mg_per_l
        rows.append(
            (
                item.agent,
                f"{total.median:.3g} ({total.p5:.3g} to {total.p95:.3g})",
                "unknown" if free is None else f"{free.median:.3g} ({free.p5:.3g} to {free.p95:.3g})",
                f"{item.tmax_min.median:.0f} ({item.tmax_min.p5:.0f} to {item.tmax_min.p95:.0f})",
                item.population,
            )
        )
    yield Table(
        title="",
        columns=("Agent", "Total peak, mg/L", "Free peak, mg/L", "Time, min", "Virtual patients"),
        rows=tuple(rows),
        weights=(1, 1.6, 1.6, 1.3, 3),
        note="Median, and 5th to 95th percentile.",
    )
    if step.dose.toxic_text:
        yield Bullets(step.dose.toxic_text, "Against toxic levels")
    assumed = dict.fromkeys(q for item in step.dose.levels for q in item.assumptions)
    yield Bullets(tuple(f"{q.conditions}: {q.in_words()}. {q.source}" for q in assumed), "Assumptions")


def _card(card: Card) -> Section:
    parts: list[Block] = [
        Bullets(tuple(map(_line, card.signs)), "See"),
        Bullets(tuple(map(_line, card.actions)), "Do"),
    ]
    if card.doses:
        parts.append(Bullets(card.doses, "Doses, as read"))
    if card.avoid:
        parts.append(Bullets(tuple(map(_line, card.avoid)), "Avoid"))
    note = "* no source was read for this line. Where no dose stands: per local protocol."
    parts.append(Paragraph(note, note=True))
    return Section(f"card-{card.id}", f"Room card: {card.title}", tuple(parts), new_page=True)


def _line(step: Step) -> str:
    return step.text + (" *" if step.source.startswith(ASSUMPTION) else "")
