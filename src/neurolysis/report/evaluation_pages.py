"""Pages of an evaluation: red flags first, then the pain, its likely causes, and what suits."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis import __version__
from neurolysis.approval import RESEARCH_USE
from neurolysis.assessment import Assessment, FiredRule, TechniqueSuitability
from neurolysis.case import Case
from neurolysis.evaluation.body_map import body_areas
from neurolysis.evaluation.pain_map import body_svg, views_of
from neurolysis.evidence.vocabulary import modality
from neurolysis.nerve.conditions import condition
from neurolysis.nerve.targets import target_entry
from neurolysis.report.document import (
    Alert,
    Block,
    Bullets,
    Document,
    Facts,
    Figure,
    FirstPage,
    Headline,
    Paragraph,
    Section,
    Table,
    Tone,
)

TONES: dict[str, Tone] = {
    "indicated": "good",
    "possible with conditions": "plain",
    "contraindicated": "stop",
    "cannot say": "plain",
}


def evaluation_document(case: Case, assessment: Assessment) -> Document:
    """The evaluation of a case as pages."""
    return Document(
        title=case.title or case.id,
        subtitle=f"Evaluation on {assessment.evaluated}",
        mark="EVALUATION: STOPPED" if assessment.stopped else "EVALUATION",
        draft=True,
        research_use=RESEARCH_USE,
        case_id=case.id,
        plan_hash=assessment.case_hash,
        software=f"neurolysis {__version__}, evidence {assessment.evidence_version}",
        first=_first(case, assessment),
        sections=tuple(_sections(assessment)),
        demonstration=case.demonstration,
        record="case",
    )


def _first(case: Case, assessment: Assessment) -> FirstPage:
    return FirstPage(
        facts=(_patient(case, assessment), _pain(case)),
        headlines=tuple(_headlines(assessment)),
        alerts=tuple(_alerts(assessment)),
        figure=Figure(
            id="body",
            svg=body_svg(case.pain, views=views_of(area.area for area in case.pain)),
            caption="Where the pain is marked; the main place is darker.",
            alt="Body outline with the marked areas of pain",
        ),
        blocks=(
            Bullets(assessment.missing or ("nothing",), "Still missing"),
            _overview(assessment),
        ),
    )


def _patient(case: Case, assessment: Assessment) -> Facts:
    patient = case.patient
    age = "unknown" if patient.birth_year is None else str(assessment.evaluated.year - patient.birth_year)
    rows = [
        ("Patient", patient.id),
        ("Age", age),
        ("Sex", patient.sex),
        ("Complaint", case.complaint or "not given"),
    ]
    if case.conditions:
        rows.append(("Diagnoses as recorded", "; ".join(case.conditions)))
    return Facts("Patient", tuple(rows))


def _pain(case: Case) -> Facts:
    rows = []
    for area in case.pain:
        where = " ".join(filter(None, (area.side, body_areas()[area.area].title)))
        said = [*area.character]
        said += [] if area.intensity is None else [f"{area.intensity:g} of 10"]
        said += [] if area.since is None else [f"since {area.since}"]
        rows.append((where, ", ".join(said) or "marked"))
    return Facts("Pain", tuple(rows) or (("Areas", "none marked"),))


def _headlines(assessment: Assessment) -> Iterator[Headline]:
    opened = [flag for flag in assessment.red_flags if flag.state == "open"]
    yield Headline(
        label="Red flags",
        answer=f"{len(opened)} open" if opened else "none open",
        tone="stop" if opened else "plain",
        number=str(len(assessment.red_flags)),
        number_note="raised in all",
        details=tuple(flag.message for flag in opened),
    )
    first = assessment.causes[0] if assessment.causes else None
    yield Headline(
        label="First candidate",
        answer="none" if first is None else condition(first.condition).title,
        tone="plain",
        number="" if first is None else f"{first.weight_for:g} : {first.weight_against:g}",
        number_note="weight for : against; orders the list, no probability",
        details=() if first is None else tuple(target_entry(t).title for t in first.targets),
    )
    good = [s for s in assessment.suitability if s.verdict == "indicated"]
    possible = [s for s in assessment.suitability if s.verdict == "possible with conditions"]
    yield Headline(
        label="Techniques",
        answer="not judged: stopped" if assessment.stopped else f"{len(good)} indicated",
        tone="good" if good else "plain",
        number="" if assessment.stopped else str(len(possible)),
        number_note="" if assessment.stopped else "more possible with conditions",
        details=tuple(modality(s.technique).title for s in (*good, *possible)),
    )


def _alerts(assessment: Assessment) -> Iterator[Alert]:
    yield from (Alert("stop", rule.message, rule.source) for rule in assessment.out_of_scope)
    for flag in assessment.red_flags:
        if flag.state == "open":
            yield Alert("stop", flag.message, flag.source)
        elif flag.state == "resolved":
            yield Alert("warn", f"{flag.message} Set aside by {flag.resolution}", flag.source)
        else:
            yield Alert("warn", flag.message, flag.source)
    for score in assessment.scores:
        if score.problem:
            yield Alert("warn", f"{score.title}: {score.problem}", score.source)
    for item in assessment.disagreements:
        yield Alert("warn", f"Findings differ on {item.about}: {' | '.join(item.statements)}")


def _overview(assessment: Assessment) -> Block:
    if not assessment.suitability:
        return Paragraph("No technique was judged.", note=True)
    return Table(
        title="Does a technique suit?",
        columns=("Technique", "Target", "Verdict", "Evidence found", ">Needs"),
        rows=tuple(
            (
                modality(s.technique).title,
                target_entry(s.target).title,
                s.verdict,
                s.evidence,
                str(len(s.needs)),
            )
            for s in assessment.suitability
        ),
        tones=tuple(TONES[s.verdict] for s in assessment.suitability),
        weights=(2.4, 2, 2.2, 3.4, 0.8),
    )


def _sections(assessment: Assessment) -> Iterator[Section]:
    if assessment.causes:
        yield Section("causes", "Candidate causes", (_causes(assessment),), new_page=True)
    if assessment.scores:
        yield Section("scores", "Questionnaires", (_scores(assessment),))
    if assessment.blocks:
        yield Section("blocks", "Diagnostic blocks", tuple(_blocks(assessment)))
    for item in assessment.suitability:
        title = f"{modality(item.technique).title}, {target_entry(item.target).title.lower()}: {item.verdict}"
        yield Section(f"suits-{item.technique}-{item.target}", title, tuple(_suits(item)))


def _causes(assessment: Assessment) -> Table:
    rows = []
    for cause in assessment.causes:
        fors = "; ".join(r.message for r in cause.reasons if r.severity == "for")
        against = "; ".join(r.message for r in cause.reasons if r.severity == "against")
        asked = "; ".join(cause.asked)
        name = condition(cause.condition).title
        rows.append((str(cause.rank), name, fors, against or "nothing found", asked or "nothing"))
    return Table(
        title="",
        columns=(">Rank", "Condition", "For", "Against", "Would be asked"),
        rows=tuple(rows),
        weights=(0.6, 2, 3, 2, 3),
        note="The order comes from weights of the rules; it is no probability. Most patterns have no source "
        "that was read and are marked so in the data.",
    )


def _scores(assessment: Assessment) -> Table:
    return Table(
        title="",
        columns=("Questionnaire", "Day", ">Total", "Reading", "Source"),
        rows=tuple(
            (
                s.title,
                str(s.observed or "no day"),
                "withheld" if s.total is None else f"{s.total:g} of {s.maximum:g}",
                "; ".join(filter(None, (s.band, s.reading, s.problem))) or "no cut-off was read",
                s.source,
            )
            for s in assessment.scores
        ),
        weights=(2, 1.2, 1.2, 4, 1.2),
    )


def _blocks(assessment: Assessment) -> Iterator[Block]:
    yield Table(
        title="",
        columns=("Day", "Target", "Agent", "Reads", "Doubts"),
        rows=tuple(
            (
                str(b.performed),
                f"{b.target}, {b.side}",
                b.agent or b.kind,
                b.reads,
                " ".join(b.doubts) or "none",
            )
            for b in assessment.blocks
        ),
        weights=(1.2, 2, 1.2, 4, 3),
    )
    for series in assessment.block_series:
        yield Paragraph(f"{series.target}, {series.side}: {series.reads}")
        if series.thresholds:
            yield Bullets(tuple(rule.message for rule in series.thresholds), "Thresholds of different bodies")


def _suits(item: TechniqueSuitability) -> Iterator[Block]:
    known = [rule for rule in item.rules if rule.severity != "missing"]
    if known:
        yield Table(
            title="",
            columns=("Kind", "Rule", "Whose", "Source", "Would change it"),
            rows=tuple((r.severity, r.message, _whose(r), r.source, r.would_change or "-") for r in known),
            tones=tuple("stop" if r.severity == "stop" else "plain" for r in known),
            weights=(1, 4, 2, 2, 2),
        )
    if item.needs:
        yield Bullets(item.needs, "Cannot be said without")
    if not known and not item.needs:
        yield Paragraph("No rule fired.")


def _whose(rule: FiredRule) -> str:
    return (
        " ".join(filter(None, (rule.rule_set, "" if rule.first_hand else "(not read at first hand)"))) or "-"
    )
