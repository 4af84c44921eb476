"""Cards of CDS Hooks from an assessment: what stops, what suits and why, with links to what was read."""

from __future__ import annotations

import html
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from neurolysis.approval import RESEARCH_USE
from neurolysis.assessment import Assessment, FiredRule, TechniqueSuitability
from neurolysis.errors import UnknownNameError
from neurolysis.evidence.clinical import evidence_row
from neurolysis.evidence.store import ASSUMPTION, Source, evidence_version, sources
from neurolysis.evidence.vocabulary import modality
from neurolysis.nerve.targets import target_of
from neurolysis.records.fhir.terms import Resource

Indicator = Literal["info", "warning", "critical"]
LONGEST_SUMMARY = 139
"""A summary has less than 140 characters."""
VERDICTS: dict[str, Indicator] = {
    "indicated": "info",
    "possible with conditions": "warning",
    "contraindicated": "critical",
    "cannot say": "warning",
}
MOST_MISSING = 12


@dataclass(frozen=True)
class Card:
    """One card before it is written; ``cited`` are source fields of the rules it rests on."""

    summary: str
    detail: Sequence[str]
    indicator: Indicator
    cited: Sequence[str] = field(default=())


class Shared(NamedTuple):
    """What is said once for several techniques."""

    rules: tuple[FiredRule, ...] = ()
    needs: tuple[str, ...] = ()


def response(cards: Iterable[Card], hook_instance: str) -> Resource:
    """The answer of a service."""
    return {"cards": [_written(card, hook_instance, number) for number, card in enumerate(cards)]}


def _written(card: Card, hook_instance: str, number: int) -> Resource:
    links = _links(card.cited)
    text = "\n".join(html.escape(line, quote=False) for line in (*card.detail, "", RESEARCH_USE))
    return {
        "uuid": str(uuid.uuid5(uuid.UUID(hook_instance), str(number))),
        "summary": _short(card.summary),
        "detail": text,
        "indicator": card.indicator,
        "source": {"label": f"neurolysis, evidence {evidence_version()}"},
        **({"links": links} if links else {}),
    }


def _short(text: str) -> str:
    return text if len(text) <= LONGEST_SUMMARY else f"{text[: LONGEST_SUMMARY - 1]}…"


# ---------------------------------------------------------------- sources


def _links(cited: Sequence[str]) -> list[Resource]:
    """One link for each source that has an address, in the order cited."""
    found = {}
    for text in cited:
        source = source_of(text)
        url = "" if source is None else f"https://doi.org/{source.doi}" if source.doi else source.url
        if source is not None and url.startswith(("https://", "http://")):
            found[url] = {"label": source.citation, "url": url, "type": "absolute"}
    return list(found.values())


def source_of(text: str) -> Source | None:
    """The source behind a rule's source field: its id, or that of the evidence row it names."""
    if text in sources():
        return sources()[text]
    try:
        return sources().get(evidence_row(text).source)
    except UnknownNameError:
        return None


def cite(text: str) -> str:
    """A source field in words."""
    source = source_of(text)
    if source is not None:
        return source.citation
    return "assumed" if text.startswith(ASSUMPTION) else text


# ---------------------------------------------------------------- cards


def assessment_cards(found: Assessment, unseen: Sequence[str]) -> Iterator[Card]:
    """Cards for a patient: what stops; else suitability, one card a target.

    Args:
        unseen: what the service did not see, in words; it stands in every card that judges.
    """
    yield from _stops(found)
    if found.stopped:
        return
    if not found.suitability:
        missing = [f"- {text}" for text in found.missing[:MOST_MISSING]]
        more = len(found.missing) - len(missing)
        rest = [f"- and {more} more"] if more > 0 else []
        detail = ["No condition could be named from what was sent. Still missing:", *missing, *rest, *unseen]
        yield Card("Neurolysis: suitability cannot be judged yet", detail, "info")
        return
    for target in dict.fromkeys(item.target for item in found.suitability):
        yield _target_card([item for item in found.suitability if item.target == target], unseen)


def _stops(found: Assessment) -> Iterator[Card]:
    for rule in found.out_of_scope:
        detail = [f"{rule.message} ({cite(rule.source)})"]
        yield Card(f"Neurolysis: stop. {rule.message}", detail, "critical", [rule.source])
    for flag in found.red_flags:
        if flag.state == "open":
            detail = [f"{flag.message} {flag.because} ({cite(flag.source)})"]
            yield Card(f"Red flag: {flag.message}", detail, "critical", [flag.source])


def _target_card(items: Sequence[TechniqueSuitability], unseen: Sequence[str]) -> Card:
    title = target_of(items[0].target).title
    counts = {verdict: sum(item.verdict == verdict for item in items) for verdict in VERDICTS}
    said = ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count)
    cited = [rule.source for item in items for rule in item.rules]
    shared = _shared(items)
    detail = [*_shared_lines(shared), *(line for item in items for line in (*_technique(item, shared), ""))]
    return Card(f"Neurolysis at {title}: {said}", [*detail, *unseen], "info", cited)


def _shared(items: Sequence[TechniqueSuitability]) -> Shared:
    """The rules and needs of every one of several techniques; of one alone nothing is shared."""
    first, others = items[0], items[1:]
    if not others:
        return Shared()
    return Shared(
        tuple(rule for rule in first.rules if all(rule in item.rules for item in others)),
        tuple(need for need in first.needs if all(need in item.needs for item in others)),
    )


def _shared_lines(shared: Shared) -> Iterator[str]:
    if shared.rules or shared.needs:
        yield "**For every technique**"
        yield from _lines(shared.rules, shared.needs)
        yield ""


def order_card(item: TechniqueSuitability, unseen: Sequence[str]) -> Card:
    """The card for one ordered technique at one target."""
    title = f"{modality(item.technique).title}, {target_of(item.target).title}: {item.verdict}"
    cited = [rule.source for rule in item.rules]
    return Card(title, [*_technique(item), *unseen], VERDICTS[item.verdict], cited)


def _technique(item: TechniqueSuitability, shared: Shared | None = None) -> Iterator[str]:
    known = shared or Shared()
    yield f"**{modality(item.technique).title}: {item.verdict}** (evidence: {item.evidence})"
    rules = [rule for rule in item.rules if rule not in known.rules]
    yield from _lines(rules, [need for need in item.needs if need not in known.needs])


def _lines(rules: Iterable[FiredRule], needs: Sequence[str]) -> Iterator[str]:
    yield from (f"- {_rule(rule)}" for rule in rules if rule.severity != "missing")
    if needs:
        yield f"- needs: {'; '.join(needs)}"


def _rule(rule: FiredRule) -> str:
    whose = f" [{rule.rule_set}]" if rule.rule_set else ""
    second_hand = "" if rule.first_hand else ", not read at first hand"
    change = f" Would change: {rule.would_change}." if rule.would_change else ""
    return f"{rule.severity}: {rule.message}{whose} ({cite(rule.source)}{second_hand}).{change}"


def problem_card(problem: str) -> Card:
    """The card where the data that came cannot be evaluated."""
    return Card("Neurolysis: suitability cannot be judged", [problem], "info")
