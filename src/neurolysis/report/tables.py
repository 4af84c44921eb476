"""Tables of what was predicted: lesion sizes, nerves, structures at risk, notices."""

from __future__ import annotations

from collections.abc import Iterator

from neurolysis.exposure import Exposure, LesionSize
from neurolysis.injury import LimitCheck, NerveInjury, StructureInjury
from neurolysis.nerve.injury import size_error
from neurolysis.planning.result import PlanResult
from neurolysis.report import text
from neurolysis.report.citations import Citations
from neurolysis.report.decided import undecided_in, undecided_on
from neurolysis.report.document import Bullets, Facts, Paragraph, Table
from neurolysis.report.first_page import VERDICT_TONES, length_row
from neurolysis.report.slices import label_of
from neurolysis.scene import Limit


def lesion_table(exposure: Exposure, citations: Citations) -> Table:
    """Sizes by criterion, each with the model's own error beside it."""
    error = size_error(exposure)
    bounds = undecided_in(exposure)
    criteria = {criterion.id: criterion for criterion in exposure.criteria}
    rows = tuple(
        (
            label_of(exposure, size.criterion),
            *_sizes(size, error, size.criterion in bounds),
            citations.cite(criteria[size.criterion].source) if size.criterion in criteria else "",
        )
        for size in exposure.lesions
    )
    return Table(
        "Predicted lesion, by criterion",
        ("Criterion", ">Width, mm", ">Length, mm", ">Volume, mm³", ">Beyond the tip, mm",
         ">Above the active tip, mm", "Source"),
        rows,
        weights=(3.2, 1.4, 1.4, 1.6, 1.4, 1.6, 0.9),
        note=_lesion_note(exposure.lesions, error, bounds),
    )  # fmt: skip


def _sizes(size: LesionSize, error: float, lower_bound: bool) -> tuple[str, ...]:
    """Width, length, volume and the two extents; nothing to extend where there is no lesion."""
    if size.width_mm <= 0:
        found = "≥ 0" if lower_bound else "none"
        return (found, *[text.NO_NUMBER] * 4)
    sign = "≥ " if lower_bound or size.reaches_boundary else ""
    return (
        sign + _with_error(size.width_mm, error, 1.0),
        sign + _with_error(size.length_mm, error, 1.0),
        sign + _with_error(size.volume_mm3, error, 3.0, decimals=0),
        text.fixed(size.distal_extent_mm),
        text.fixed(size.proximal_extent_mm),
    )


def _with_error(value: float, relative: float, power: float, decimals: int = 1) -> str:
    plain = text.fixed(value, decimals)
    return f"{plain} ± {text.fixed(abs(value) * relative * power, decimals)}" if relative else plain


def _lesion_note(lesions: tuple[LesionSize, ...], error: float, bounds: frozenset[str]) -> str:
    parts = [
        f"± is one standard deviation of the model's own error, {text.percent(error)} of a length."
        if error
        else "No error of the model is stated for these sizes."
    ]
    if any(size.reaches_boundary for size in lesions):
        parts.append("A lesion is cut by the edge of the computed box: its size is a lower bound.")
    if bounds:
        parts.append(
            "≥ marks a criterion that is only a lower bound, for lack of a source for hotter tissue."
        )
    return " ".join(parts)


def model_error_table(exposure: Exposure, citations: Citations) -> Table | None:
    """How far the model was found to be from measurements or references."""
    rows = tuple(
        (text.sentence(item.conditions) or "Not stated", text.quantity(item), citations.cite(item.source))
        for item in exposure.model_errors
    )
    if not rows:
        return None
    return Table(
        "Error of the model", ("What it was held against", ">Error", "Source"), rows, weights=(5, 2, 2)
    )


def nerve_table(exposure: Exposure, injury: NerveInjury) -> Table:
    """One nerve by every criterion, with total length too."""
    bounds = undecided_on(exposure, injury)
    rows = []
    for item in injury.by_criterion:
        bound = item.criterion in bounds
        label, longest, *rest = length_row(item, bound)
        rows.append((label, longest, ("≥ " if bound else "") + text.fixed(item.lesioned_mm), *rest))
    return Table(
        f"{text.sentence(injury.nerve)}, by criterion",
        ("Criterion", ">Longest, mm", ">In all, mm", ">5–95 %, mm", ">Chance any", ">Chance critical"),
        tuple(rows),
        weights=(3.6, 1.2, 1.2, 1.3, 1.2, 1.3),
        note="≥ marks a lower bound, which takes no part in the verdict." if bounds else "",
    )


def nerve_facts(injury: NerveInjury, citations: Citations) -> Facts:
    """The verdict with its reason, grade, selectivity."""
    rows = [("Verdict", injury.coverage), ("Reason", injury.coverage_reason)]
    if injury.criteria_disagree:
        rows.append(
            (
                "They disagree",
                "The criteria give clearly different lengths. None of them is the truth; "
                "the verdict goes by the strictest.",
            )
        )
    if injury.critical_length_mm is not None:
        source = injury.critical_length_source
        why = text.reason(source) if citations.cite(source) == "assumed" else citations.cite(source)
        rows.append(
            ("Critical length", f"{injury.critical_length_mm:g}{text.NBSP}mm: {citations.numbered(why)}")
        )
    rows.append(("Fibre classes", citations.numbered(injury.selectivity_note)))
    rows.append(
        ("Sunderland grade", f"{injury.grade.grade}: {injury.grade.rule} {_cited(injury, citations)}")
    )
    rows.append(("Course drawn", injury.review))
    return Facts(text.sentence(injury.nerve), tuple(rows))


def _cited(injury: NerveInjury, citations: Citations) -> str:
    cited = citations.cite(injury.grade.source)
    return "" if cited == "assumed" else cited


def structure_table(result: PlanResult, citations: Citations) -> Table:
    """Every limit of every structure held against its value."""
    rows, tones = [], []
    for item in result.injury.structures:
        for k, check in enumerate(item.checks):
            name = item.structure if k == 0 else ""
            rows.append((name, *_check(check), citations.cite(check.limit.source)))
            tones.append(VERDICT_TONES[check.verdict])
    return Table(
        "Limits of the structures at risk",
        ("Structure", "Metric", ">Value", ">Warn", ">Stop", ">Room", "Verdict", "Source"),
        tuple(rows),
        weights=(2.4, 2.2, 1.3, 1.3, 1.3, 1.3, 1.3, 1.2),
        tones=tuple(tones),
        note="Room is what is left to the stop value, or to the warning where there is no stop; "
        "below zero it is beyond. Distances are to the edge of the largest lesion by any criterion.",
    )


def _check(check: LimitCheck) -> tuple[str, ...]:
    limit: Limit = check.limit
    return (
        text.name(limit.metric),
        text.with_unit(text.fixed(check.value), limit.unit),
        text.with_unit(text.number(limit.warn), limit.unit),
        text.with_unit(text.number(limit.stop), limit.unit),
        text.with_unit(text.fixed(check.margin), limit.unit),
        check.verdict,
    )


def structure_notes(result: PlanResult) -> Bullets | None:
    """Why a limit was judged as it was, and what else is to be known of each structure."""
    items = tuple(dict.fromkeys(line for item in result.injury.structures for line in _notes_of(item)))
    return Bullets(items, "Notes on these structures") if items else None


def _notes_of(item: StructureInjury) -> Iterator[str]:
    name = text.sentence(item.structure)
    if item.note:
        yield f"{name}: {item.note}."
    for check in item.checks:
        if check.reason and check.reason not in item.note:
            yield f"{name}, {text.name(check.limit.metric)}: {check.reason}."
    if item.alternatives:
        yield f"{name}, {_alternatives(item)}."


def _alternatives(item: StructureInjury) -> str:
    """The main measure under other assumptions."""
    if item.agent_share is not None:
        shares = "; ".join(f"{n}: {text.percent(v)}" for n, v in item.alternatives.items())
        return f"share of the least neurolytic concentration by how the agent spreads: {shares}"
    values = "; ".join(f"{n.replace('_', ' ')}: {text.celsius(v)}" for n, v in item.alternatives.items())
    return f"peak temperature under other assumptions: {values}"


def quadrant_table(result: PlanResult, citations: Citations) -> Table | None:
    """Filled share of each quadrant by how the agent spreads; None where quadrants are not the measure."""
    found = result.quadrants
    if found is None or found.missing:
        return None
    names = tuple(next(iter(found.shares.values())))
    rows = tuple(
        (name, *(text.percent(found.shares[member][name]) for member in found.shares)) for name in names
    )
    total = ("filled (of 4)", *(str(found.filled[member]) for member in found.shares))
    cited = ", ".join(citations.cite(source) for source in found.sources)
    note = "; ".join((*found.needles, *found.relief)) + f" {cited}"
    return Table(
        "Quadrants round the celiac artery: share of the loose tissue at the least neurolytic concentration",
        ("Quadrant", *(f">Spreads {m}" if m != "middle" else ">Middle" for m in found.shares)),
        (*rows, total),
        weights=(3, 1.5, 1.5, 1.5),
        note=text.sentence(note) + ".",
    )


def notice_table(result: PlanResult, citations: Citations) -> Table:
    """Everything that fired, with its code and source."""
    rows = dict.fromkeys((n.severity, n.text, n.code, citations.cite(n.source)) for n in result.notices)
    tones = tuple("stop" if row[0] == "stop" else "warn" if row[0] == "warn" else "plain" for row in rows)
    return Table(
        "All notices",
        ("Kind", "What was found", "Rule", "Source"),
        tuple(rows),
        weights=(0.7, 6, 2.6, 2),
        tones=tones,  # type: ignore[arg-type]
        note="" if rows else "No rule fired.",
    )


def _limits_along(result: PlanResult, citations: Citations) -> tuple[Paragraph | Bullets, ...]:
    """The same where nothing is solved in space."""
    nerve = result.scene.target()
    lead = Paragraph(
        "What is shown along the nerve is computed from constants of the literature on the course drawn "
        "here; nothing was measured in this patient. None of it was read to be tied to relief of pain: how "
        "much relief to expect is not part of this simulation."
    )
    items = [
        f"The nerve's course ({nerve.review}) is uncertain by {text.millimetres(nerve.position_sd_mm.value)} "
        "(one standard deviation), and with it every distance.",
        "Balances show errors of the program, not how true the model is.",
        *(citations.numbered(text.sentence(note)) for note in result.injury.notes),
        *(citations.numbered(n.text) for n in result.exposure.notices if n.severity == "info"),
    ]
    return lead, Bullets(tuple(dict.fromkeys(items)))


def limits_of_the_method(result: PlanResult, citations: Citations) -> tuple[Paragraph | Bullets, ...]:
    """What the numbers can and cannot say."""
    error = size_error(result.exposure)
    size = (
        f"Sizes carry the model's own error ({text.percent(error)} of a length, one standard deviation)."
        if error
        else "No error of the model is stated for the sizes."
    )
    nerve = result.scene.target()
    spread = text.millimetres(nerve.position_sd_mm.value)
    if not result.exposure.has_grid:
        return _limits_along(result, citations)
    lead = Paragraph(
        "The fields, doses and lengths here are computed. They come from constants of the literature "
        "on the anatomy of this image; nothing was measured in this patient, whose tissue may differ. A "
        "lesioned nerve is not the same as relief of pain: how much relief to expect is not part of this "
        "report."
    )
    items = [
        f"{size} They do not hold the error of placing the needle.",
        f"The nerve's course ({nerve.review}) is uncertain by {spread} (one standard deviation); "
        "the chances shown come from that spread.",
        f"Damage is counted from: {result.injury.damage_start.replace(' C', ' °C')}.",
        "Balances show errors of the program, not how true the model is.",
        *(citations.numbered(text.sentence(note)) for note in result.injury.notes),
    ]
    return lead, Bullets(tuple(dict.fromkeys(items)))
