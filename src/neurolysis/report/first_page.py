"""The plan in one page: who, what, where, covered or not, the nearest danger, and what it all rests on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from neurolysis.approval import Approval, open_stops
from neurolysis.delivery.technique import Technique
from neurolysis.errors import UnknownNameError
from neurolysis.exposure import Exposure
from neurolysis.injury import CriterionInjury, LimitCheck, NerveInjury, StructureInjury
from neurolysis.nerve.catalogue import NerveEntry, nerve_entry
from neurolysis.nerve.targets import target_ids, target_of
from neurolysis.plan import Plan
from neurolysis.planning.result import PlanResult
from neurolysis.quantity import Quantity
from neurolysis.report import text
from neurolysis.report.citations import Citations
from neurolysis.report.decided import strictest, undecided_on
from neurolysis.report.document import (
    Alert,
    Block,
    Bullets,
    Facts,
    Figure,
    FirstPage,
    Headline,
    Table,
    Terms,
    Tone,
)
from neurolysis.report.operated import distance_headline, distance_table, own_headline

COVERAGE_TONES: dict[str, Tone] = {
    "covered": "good", "partly covered": "warn", "not covered": "stop", "no verdict": "plain"
}  # fmt: skip
VERDICT_TONES: dict[str, Tone] = {"ok": "plain", "warn": "warn", "stop": "stop", "cannot say": "warn"}
MOST_DANGERS = 10
"""Structures named on the first page; all stand in a later table."""
COVERAGE = "coverage"
"""Code of the warning that repeats the headline."""
DERIVED = "derived, unreviewed"
VERDICT_RANK = {"stop": 0, "warn": 1, "cannot say": 2, "ok": 3}


def first_page(
    result: PlanResult, technique: Technique, citations: Citations, figure: Figure | None
) -> FirstPage:
    """Everything a physician must see before anything else."""
    blocks: list[Block] = []
    if result.exposure.has_grid:
        blocks.append(length_table(result.exposure, result.injury.target()))
    if result.injury.structures:
        blocks.append(_structures_table(result))
    blocks.append(assumption_list(result.assumptions))
    missing = tuple(lacks(result))
    if missing:
        blocks.append(Bullets(missing, "What the image and the case do not hold"))
    return FirstPage(
        facts=(who(result), what(result, technique), where(result)),
        headlines=(
            first_headline(result),
            danger_headline(result)
            if result.exposure.has_grid
            else distance_headline(result.injury.structures),
        ),
        alerts=tuple(alerts(result, citations)),
        figure=figure,
        blocks=tuple(blocks),
    )


def approved(result: PlanResult) -> Iterator[tuple[str, str]]:
    """Who approved this very plan and why, as they said it; nothing for a draft."""
    approval = valid_approval(result)
    if approval is not None:
        yield "Approved by", approval.name
        if approval.reason:
            yield "Reason", approval.reason


def first_headline(result: PlanResult) -> Headline:
    """The delivery's own answer where it has one, else filled quadrants, else covered length."""
    if result.exposure.answer is not None:
        return own_headline(result.exposure.answer, _standing(result))
    return quadrant_headline(result) or coverage_headline(result)


def _structures_table(result: PlanResult) -> Table:
    if result.exposure.has_grid:
        return danger_table(result)
    return distance_table(result.injury.structures)


def catalogue_entry(result: PlanResult) -> NerveEntry | None:
    """The target's entry in the catalogue; None for a nerve the catalogue does not hold."""
    try:
        return nerve_entry(result.plan.target.nerve)
    except UnknownNameError:
        return None


def nerve_title(result: PlanResult) -> str:
    """What people call the target nerve."""
    entry = catalogue_entry(result)
    name = result.plan.target.nerve
    if entry is None and name in target_ids():
        return target_of(name).title
    return entry.title if entry else name.replace("_", " ")


def who(result: PlanResult) -> Facts:
    """The person, by pseudonym; and who approved the plan, why."""
    patient, case = result.case.patient, result.case
    rows = [("Patient", patient.id)]
    person: list[str] = [patient.sex] if patient.sex != "unknown" else []
    person += [f"born {patient.birth_year}"] if patient.birth_year else []
    person += [f"{patient.weight_kg:g}{text.NBSP}kg"] if patient.weight_kg else []
    rows += [("Person", ", ".join(person))] if person else []
    rows.append(("Case", case.id))
    rows += [("Complaint", case.complaint)] if case.complaint else []
    rows += approved(result)
    return Facts("Who", tuple(rows))


def what(result: PlanResult, technique: Technique) -> Facts:
    """The technique, the instrument and the setting."""
    plan = result.plan
    rows = [("Technique", technique.title)]
    summary = technique.summary(plan)
    names = dict.fromkeys(placement.instrument.name for placement in plan.placements)
    if names and not any(all(name in value for name in names) for _, value in summary):
        rows.append(("Instrument", "; ".join(names)))
    rows += list(summary)
    given = {label.lower() for label, _ in rows}
    if plan.return_pad and not any(label.startswith("return") for label in given):
        rows.append(("Return pad", plan.return_pad.site))
    if technique.places_instrument:
        rows.append(("Fluid at the tip", _fluid(plan)))
    if "anaesthesia" not in given:
        rows.append(("Anaesthesia", plan.anaesthesia))
    return Facts("What", tuple(rows))


def _fluid(plan: Plan) -> str:
    if plan.fluid_at_tip_ml is None:
        return "not stated"
    if plan.fluid_at_tip_ml == 0:
        return "none"
    return (
        f"{plan.fluid_at_tip_ml:g}{text.NBSP}mL {plan.fluid_name or 'of a fluid not named'} before delivery"
    )


def where(result: PlanResult) -> Facts:
    """Nerve, level crossed, joint, and the needle's place."""
    rows = [("Nerve", nerve_title(result)), ("Side", result.plan.target.side), *_level(result)]
    several = len(result.plan.placements) > 1
    for k, placement in enumerate(result.plan.placements, start=1):
        suffix = f" {k}" if several else ""
        rows.append((f"Tip{suffix}", text.place(placement.tip_mm)))
        rows.append((f"Course{suffix}", text.course(placement.direction_to_hub)))
    return Facts("Where", tuple(rows))


def _level(result: PlanResult) -> list[tuple[str, str]]:
    """Level, joint and how the level was counted; nothing for a nerve that belongs to no level."""
    target, entry = result.plan.target, catalogue_entry(result)
    if entry is None and target.bony_level is None and target.joint is None:
        return []
    at = f" at the {entry.place}" if entry else ""
    return [
        ("Crosses", f"{target.bony_level or 'no level'}{at}"),
        ("Joint treated", target.joint or "none"),
        ("Level counted", (result.case.target and result.case.target.level_counted) or "no"),
    ]


def coverage_headline(result: PlanResult) -> Headline:
    """Covered or not, by the criterion that gives the shortest length."""
    target = result.injury.target()
    shortest = strictest(result.exposure, target)
    details = [_standing(result), _critical(target)]
    if shortest is not None:
        details.append(_chances(shortest))
    if target.criteria_disagree:
        details.append("The criteria disagree: see the lengths below.")
    return Headline(
        label="Is the nerve covered?",
        answer=text.sentence(target.coverage),
        tone="stop" if details[0] else COVERAGE_TONES[target.coverage],
        number=text.millimetres(shortest.longest_lesioned_mm) if shortest else text.NO_NUMBER,
        number_note=_length_note(shortest) if shortest else "no criterion decides",
        details=tuple(detail for detail in details if detail),
    )


def quadrant_headline(result: PlanResult) -> Headline | None:
    """Filled quadrants in the place of covered length; None where they are not the measure."""
    found = result.quadrants
    if found is None:
        return None
    stands = [_standing(result)] if _standing(result) else []
    if found.missing:
        return Headline(
            "Are the quadrants filled?", "Cannot say", "stop" if stands else "warn", text.NO_NUMBER,
            found.missing, tuple(stands),
        )  # fmt: skip
    middle = found.filled["middle"]
    words = [f"{found.filled['little']} if the agent spreads little, {found.filled['far']} if far."]
    words += [f"{line}." for line in found.relief]
    return Headline(
        label="Are the quadrants filled?",
        answer="All filled" if middle == 4 else "Not all filled",
        tone="stop" if stands else ("good" if min(found.filled.values()) == 4 else "warn"),
        number=f"{middle} of 4",
        number_note="quadrants round the celiac artery, whose origin was picked by eye",
        details=(*stands, *words),
    )


def _standing(result: PlanResult) -> str:
    """How many stops stand, and whether the answer may be used at all."""
    stops = remaining_stops(result)
    if not stops:
        return ""
    final = any(n.severity == "stop" and not n.overridable for n in result.notices)
    use = "do not use this answer" if final else "read them before this answer"
    return f"{stops} stop{'s stand' if stops > 1 else ' stands'} against this plan: {use}."


def _length_note(item: CriterionInjury) -> str:
    spread = text.interval(item.length_p5_mm, item.length_p95_mm)
    shown = f"{spread}{text.NBSP}mm, 5th to 95th percentile; " if spread else ""
    return f"{shown}longest lesioned stretch by the strictest criterion, {item.label}"


def _critical(target: NerveInjury) -> str:
    if target.critical_length_mm is None:
        return ""
    return f"Critical length: {target.critical_length_mm:g}{text.NBSP}mm without a gap."


def _chances(item: CriterionInjury) -> str:
    parts = []
    if item.probability_critical is not None:
        parts.append(f"{text.percent(item.probability_critical)} that the critical length is reached")
    if item.probability_any is not None:
        parts.append(f"{text.percent(item.probability_any)} that some of the nerve is lesioned")
    return f"Chance under its uncertain place: {', '.join(parts)}." if parts else ""


def length_table(exposure: Exposure, target: NerveInjury) -> Table:
    """The target nerve by every criterion; one that does not decide gives a lower bound and no chance."""
    bounds = undecided_on(exposure, target)
    rows = tuple(length_row(item, item.criterion in bounds) for item in target.by_criterion)
    critical = (
        f" ≥ {target.critical_length_mm:g} mm" if target.critical_length_mm is not None else " critical"
    )
    return Table(
        "Lesioned length of the nerve, by criterion",
        ("Criterion", ">Longest, mm", ">5–95 %, mm", ">Chance any", f">Chance{critical}"),
        rows,
        weights=(4, 1.3, 1.3, 1.3, 1.5),
    )


def length_row(item: CriterionInjury, lower_bound: bool) -> tuple[str, ...]:
    """Label, longest length, interval and chances of one criterion."""
    if lower_bound:
        return item.label, f"≥ {text.fixed(item.longest_lesioned_mm)}", *[text.NO_NUMBER] * 3
    return (
        item.label,
        text.fixed(item.longest_lesioned_mm),
        text.interval(item.length_p5_mm, item.length_p95_mm) or text.NO_NUMBER,
        text.percent(item.probability_any),
        text.percent(item.probability_critical),
    )


def nearest(structures: tuple[StructureInjury, ...]) -> StructureInjury | None:
    """The structure closest to the lesion; None where no distance is known."""
    known = [item for item in structures if item.distance_to_lesion_mm is not None]
    return min(known, key=lambda item: item.distance_to_lesion_mm or 0.0, default=None)


def tightest(injury: StructureInjury) -> LimitCheck | None:
    """The limit that is worst kept: by verdict, then by the room left as part of the limit."""
    return min(injury.checks, key=_tightness, default=None)


def _tightness(check: LimitCheck) -> tuple[int, float]:
    bound = check.limit.stop if check.limit.stop is not None else check.limit.warn
    scale = max(abs(bound or 0.0), 1.0)
    return VERDICT_RANK[check.verdict], (check.margin if check.margin is not None else 1e9) / scale


def worst_verdict(injury: StructureInjury) -> str:
    """The worst verdict over a structure's limits."""
    return min((check.verdict for check in injury.checks), key=VERDICT_RANK.__getitem__, default="cannot say")


def margin_text(check: LimitCheck | None) -> str:
    """How far a value is from its limit, and which limit."""
    if check is None:
        return "no limit is known"
    limit = check.limit
    bound = limit.stop if limit.stop is not None else limit.warn
    kind = "stop" if limit.stop is not None else "warning"
    at = f"the {kind} for {text.name(limit.metric)} ({text.with_unit(text.number(bound), limit.unit)})"
    if check.margin is None:
        return at
    room = text.with_unit(text.fixed(abs(check.margin)), limit.unit)
    return f"{room} {'left to' if check.margin >= 0 else 'past'} {at}"


def short_name(name: str) -> str:
    """A structure's name without what stands in brackets, for large type and narrow columns."""
    return name.split(" (")[0]


def danger_headline(result: PlanResult) -> Headline:
    """The structure nearest to the lesion."""
    item = nearest(result.injury.structures)
    if item is None:
        return Headline(
            "Nearest danger", "Cannot say", "warn", text.NO_NUMBER,
            "no structure at risk has a known distance to the lesion", (),
        )  # fmt: skip
    verdict = worst_verdict(item)
    details = [
        _worst_there(item),
        f"Verdict: {verdict}; {margin_text(tightest(item))}.",
    ]
    if item.review == DERIVED:
        details.append("Its outline is derived from the labels and unreviewed.")
    distance = item.distance_to_lesion_mm
    overlaps = distance is not None and distance < 0
    return Headline(
        label="Nearest danger",
        answer=text.sentence(short_name(item.structure)),
        tone=VERDICT_TONES[verdict],
        number=text.millimetres(abs(distance) if distance is not None else None),
        number_note=f"{'overlap with' if overlaps else 'from'} the edge of the largest lesion",
        details=tuple(details),
    )


def _worst_there(item: StructureInjury) -> str:
    """The main measure at a structure, in words."""
    if item.agent_share is not None:
        return f"Highest concentration there: {text.percent(item.agent_share)} of the least neurolytic one."
    if item.lowest_temperature_c is not None:
        return f"Lowest temperature there: {text.celsius(item.lowest_temperature_c)}."
    return f"Peak temperature there: {text.celsius(item.peak_temperature_c)}."


def _worst_column(
    structures: Sequence[StructureInjury],
) -> tuple[str, Callable[[StructureInjury], str]]:
    """Title and text of the column that says how hard the treatment acts at each structure."""
    if any(item.agent_share is not None for item in structures):
        return ">Share", lambda item: text.percent(item.agent_share)
    if any(item.lowest_temperature_c is not None for item in structures):
        return ">Lowest, °C", lambda item: text.fixed(item.lowest_temperature_c)
    return ">Peak, °C", lambda item: text.fixed(item.peak_temperature_c)


def danger_table(result: PlanResult) -> Table:
    """The structures at risk in one line each, worst verdict and nearest first."""
    title, worst = _worst_column(result.injury.structures)
    everything = sorted(
        result.injury.structures,
        key=lambda s: 1e9 if s.distance_to_lesion_mm is None else s.distance_to_lesion_mm,
    )
    ordered = everything[:MOST_DANGERS]
    left = len(everything) - len(ordered)
    rows = [
        (
            short_name(item.structure),
            text.fixed(item.distance_to_lesion_mm),
            worst(item),
            margin_text(tightest(item)),
            worst_verdict(item),
        )
        for item in ordered
    ]
    return Table(
        "Structures at risk, nearest first",
        ("Structure", ">Distance, mm", title, "Tightest limit", "Verdict"),
        tuple(rows),
        weights=(2.6, 1.2, 1, 4, 1.2),
        tones=tuple(VERDICT_TONES[worst_verdict(item)] for item in ordered),
        note=f"{left} more, further away, stand in the table of limits." if left else "",
    )


def alerts(result: PlanResult, citations: Citations) -> Iterator[Alert]:
    """Every stop, then every warning that no stop on the same thing outdoes.

    A stop that was set aside says by whom and why. All notices with full sources stand in a later table.
    """
    approval = valid_approval(result)
    stops = [n for n in result.notices if n.severity == "stop"]
    said = {(n.code, n.text.split(":")[0]) for n in stops}
    for notice in dict.fromkeys(stops):
        words, source = notice.text, _short_source(citations.cite(notice.source))
        yield Alert("stop", words, source, _override(approval, notice.code))
    for notice in dict.fromkeys(n for n in result.notices if n.severity == "warn"):
        if notice.code != COVERAGE and (notice.code, notice.text.split(":")[0]) not in said:
            yield Alert("warn", notice.text, _short_source(citations.cite(notice.source)))


def valid_approval(result: PlanResult) -> Approval | None:
    """The approval, if it is of this very plan."""
    approval = result.approval
    return approval if approval and approval.plan_hash == result.plan.content_hash() else None


def _short_source(cited: str) -> str:
    """Numbers of the list of sources; longer remarks are left to the table of all notices."""
    return cited if cited.startswith("[") else ""


def _override(approval: Approval | None, code: str) -> str:
    if approval is None:
        return ""
    found = next((item for item in approval.overrides if item.code == code), None)
    return f"Set aside by {found.name}: {found.reason}" if found else ""


def remaining_stops(result: PlanResult) -> int:
    """Stops that forbid approval."""
    approval = valid_approval(result)
    return len(open_stops(result.notices, approval.overrides if approval else ()))


def assumption_list(items: tuple[tuple[str, Quantity], ...]) -> Terms:
    """Numbers without a source, each with its value; those assumed for the same reason share an entry.

    The reason is cut to its first clause here; a later table gives it in full.
    """
    groups: dict[str, dict[tuple[str, str], None]] = {}
    for place, item in items:
        why = text.reason(item.source).split("; ")[0].split(" (")[0]
        groups.setdefault(why, {})[place, text.quantity(item)] = None
    rows = tuple((_with_one_head(tuple(pairs)), why) for why, pairs in groups.items())
    note = "No source was read for any of these numbers; their reasons stand in full among the inputs."
    none = "None: every number has a source."
    return Terms("Assumptions this result rests on", rows, note if rows else none)


def _with_one_head(pairs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Names and values; what stands before the colon in every name is said only in the first."""
    heads = {name.split(": ")[0] for name, _ in pairs if ": " in name}
    if len(heads) != 1 or not all(": " in name for name, _ in pairs):
        return pairs
    head = heads.pop() + ": "
    return pairs[:1] + tuple((name.removeprefix(head), value) for name, value in pairs[1:])


def assumption_table(items: tuple[tuple[str, Quantity], ...], citations: Citations) -> Table:
    """The same with every reason in full."""
    rows = tuple(
        (place, text.quantity(item), citations.numbered(text.reason(item.source))) for place, item in items
    )
    return Table(
        "Assumptions, with their reasons in full",
        ("Number", "Value (range)", "Why it is assumed"),
        rows,
        weights=(2.6, 1.9, 4.5),
        note="" if rows else "None.",
    )


def lacks(result: PlanResult) -> Iterator[str]:
    """What is unknown because the image, the labels or the case do not hold it, in short."""
    unknown = [f"{s.name} ({s.unknown_reason})" for s in result.scene.structures if s.mask is None]
    if unknown:
        yield f"Unknown: {text.listed(unknown)}."
    if result.exposure.has_grid:
        outside = result.exposure.outside_image_fraction
        tissue = result.scene.tissues.outside.replace("_", " ")
        share = text.percent(outside) if outside > 0 else "nothing"
        yield f"Beyond the image {tissue} is assumed; {share} of the largest lesion lies there."
    if result.case.image and result.case.image.contrast is None:
        yield "Contrast: not stated; treated as a contrast scan."
    picked = [n.name for n in result.scene.nerves if n.review == "picked, unreviewed"]
    if picked and not result.exposure.has_grid:
        yield f"Drawn by eye, unreviewed: {text.listed(picked)}."
    derived = [n.name for n in result.scene.nerves if n.review == DERIVED]
    derived += [s.name for s in result.scene.structures if s.mask and s.review == DERIVED]
    if derived:
        names = text.listed(short_name(name) for name in derived)
        yield f"Not seen in the image but derived from labels, unreviewed: {names}."
