"""The evidence that was found, as a table for the terminal: 100 columns, sources numbered below."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from neurolysis.app.evidence import NONE_FOUND, STATEMENT, Cell, EvidenceFound
from neurolysis.evidence import vocabulary
from neurolysis.evidence.clinical import EvidenceRow
from neurolysis.evidence.store import ASSUMPTION, source
from neurolysis.nerve.conditions import Condition

WIDTH = 100
INDENT = " " * 7
HEAD = f"{'id':7}{'months':8}{'figure':34}{'n':11}{'design':28}{'confidence':10}"
UNITS = {
    "percent": "%",
    "points_0_10": "of 10 points",
    "odds_ratio": "odds ratio",
    "hazard_ratio": "hazard ratio",
    "p_value": "p",
    "VAS units (scale length not shown)": "VAS units",
    "opioid dose units as in source (unit not shown in abstract)": "(unit not shown)",
    "mg morphine sustained release/day": "mg morphine/day",
}
UNIT_FIRST = frozenset({"odds_ratio", "hazard_ratio", "p_value"})
ARM_WORDS = {"comparator": "(comparison group)", "selection": "(how patients were selected)"}


def evidence_text(found: EvidenceFound) -> str:
    """The rows by condition and treatment, what was not found, cautions, and the numbered sources."""
    numbers = {id: number for number, id in enumerate(_cited(found), start=1)}
    lines = [_title(found), ""]
    for entry in _shown(found):
        own = [row for row in found.rows if entry.id in row.conditions]
        lines += _condition(entry, own, found, numbers)
    placed = {entry.id for entry in found.conditions}
    lines += _other([row for row in found.rows if not placed & set(row.conditions)], numbers)
    lines += [*_empty(found), *_sources(numbers), *textwrap.wrap(STATEMENT, WIDTH)]
    return "\n".join(lines)


def _shown(found: EvidenceFound) -> list[Condition]:
    """Conditions with a part of their own: those with rows, and a single one that was asked for."""
    used = {name for row in found.rows for name in row.conditions}
    alone = len(found.conditions) == 1
    return [entry for entry in found.conditions if alone or entry.id in used]


def _cited(found: EvidenceFound) -> dict[str, None]:
    notes = [note.source for entry in _shown(found) for note in entry.notes]
    known = [id for id in notes if not id.startswith(ASSUMPTION)]
    return dict.fromkeys((*found.source_ids(), *known))


def _title(found: EvidenceFound) -> str:
    asked = ", ".join(f"{name} {value}" for name, value in found.asked.items()) or "everything"
    if not found.rows:
        return f"Evidence for {asked}: {NONE_FOUND}"
    rows, sources = len(found.rows), len(found.source_ids())
    return f"Evidence for {asked}: rows {rows}, sources {sources}"


def _condition(
    entry: Condition, rows: list[EvidenceRow], found: EvidenceFound, numbers: dict[str, int]
) -> list[str]:
    lines = [entry.title.upper(), "=" * len(entry.title)]
    for note in entry.notes:
        cited = f" [{numbers[note.source]}]" if note.source in numbers else ""
        lines += textwrap.wrap(f"* {note.text}{cited}", WIDTH, subsequent_indent="  ")
    lines += _groups(rows, numbers)
    cells = [cell for cell in found.cells if cell.condition == entry.id]
    for text, named in _without_rows(cells).items():
        lines += textwrap.wrap(f"{text[0].upper()}{text[1:]}: {named}", WIDTH, subsequent_indent="  ")
    return [*lines, ""]


def _empty(found: EvidenceFound) -> list[str]:
    """One line for each condition without any row, where several were looked up."""
    shown = _shown(found)
    lines: list[str] = []
    for entry in found.conditions:
        cells = [cell for cell in found.cells if cell.condition == entry.id]
        for text, named in _without_rows(cells).items() if entry not in shown else ():
            lines += textwrap.wrap(f"{entry.title}: {text} ({named})", WIDTH, subsequent_indent="  ")
    if lines:
        return ["NONE FOUND AT ALL", *lines, ""]
    return [] if found.rows or found.conditions else [NONE_FOUND, ""]


def _without_rows(cells: Iterable[Cell]) -> dict[str, str]:
    """What is said of cells without a row of their own, with the treatments it is said of."""
    empty = [(cell.text, vocabulary.modality(cell.modality).title) for cell in cells if not cell.rows]
    texts = dict.fromkeys(text for text, _ in empty)
    return {text: "; ".join(title for said, title in empty if said == text) for text in texts}


def _other(rows: list[EvidenceRow], numbers: dict[str, int]) -> list[str]:
    """Rows of no condition of the catalogue: rules, and pain or nerves of several kinds."""
    lines: list[str] = []
    for name in dict.fromkeys(row.condition for row in rows):
        own = [row for row in rows if row.condition == name]
        lines += [name, "=" * len(name), *_groups(own, numbers), ""]
    return lines


def _groups(rows: list[EvidenceRow], numbers: dict[str, int]) -> Iterator[str]:
    """Rows under a heading for what was given, in the order of families and then of time."""
    if rows:
        yield HEAD.rstrip()
        yield "-" * WIDTH
    order = list(vocabulary.families())
    for given in dict.fromkeys(_given(row) for row in rows):
        yield from textwrap.wrap(f"[{given}]", WIDTH)
        own = [row for row in rows if _given(row) == given]
        for row in sorted(own, key=lambda r: (order.index(r.family), r.timepoint_months or 0.0)):
            yield from _row(row, numbers[row.source])


def _given(row: EvidenceRow) -> str:
    """What was given, and against what: the heading of a group of rows."""
    titles = [vocabulary.modality(name).title for name in row.modalities]
    joined = {"": "", "pooled": " or ", "together": " + "}[row.several].join(titles)
    against = " + ".join(vocabulary.modality(name).title for name in row.comparators)
    parts = [joined or row.modality or "rule"]
    if row.arm == "difference":
        parts.append(f"against {against or 'a control that is not described'}")
    elif row.arm in ARM_WORDS:
        parts.append(ARM_WORDS[row.arm])
    return " ".join(parts)


def _row(row: EvidenceRow, number: int) -> Iterator[str]:
    months = "-" if row.timepoint_months is None else f"{row.timepoint_months:g}"
    yield f"{row.id:7}{months:8}{figure(row):34}{_n(row):11}{row.design:28}{row.confidence}".rstrip()
    counted = f", among {row.denominator}" if row.denominator not in ("not stated", "treated") else ""
    yield from _wrapped(f"{_what(row)}: {row.definition}{counted} [{number}]")
    if row.problems:
        yield from _wrapped(f"! {'; '.join(row.problems)}")


def _n(row: EvidenceRow) -> str:
    """The printed fraction where there is one, else the printed number of patients."""
    if row.events is not None and row.counted is not None:
        return f"{row.events}/{row.counted}"
    return "-" if row.n is None else str(row.n)


def _what(row: EvidenceRow) -> str:
    """The family of the outcome, with the table's own word for it where that says more."""
    own = row.outcome.removeprefix("ae_").replace("_", " ")
    if row.is_rule:
        return own
    return f"{vocabulary.family(row.family).title} ({own})"


def figure(row: EvidenceRow) -> str:
    """A row's figure with its interval, as text: ``57.7 %``, ``-0.42 of 10 points (-0.7 to -0.13)``."""
    unit = UNITS.get(row.unit, row.unit.replace("_", " "))
    bounds = [f"{bound:g}" for bound in (row.low, row.high) if bound is not None]
    if row.value is None:
        return f"{' to '.join(bounds)} {unit}"
    value = f"{unit} {row.value:g}" if row.unit in UNIT_FIRST else f"{row.value:g} {unit}"
    if row.low is not None and row.high is not None:
        return f"{value} ({row.low:g} to {row.high:g})"
    if bounds:
        return f"{value} ({'from' if row.low is not None else 'to'} {bounds[0]})"
    return value


def _sources(numbers: dict[str, int]) -> Iterator[str]:
    """Numbered sources, each with the address it was read at on a line of its own."""
    if numbers:
        yield "SOURCES"
    for id, number in numbers.items():
        entry = source(id)
        printed = (entry.citation, entry.year.replace("n.s.", "year not shown"), entry.identifier)
        text = ". ".join(part for part in printed if part and part != "not shown")
        yield from textwrap.wrap(f"[{number}] {text}", WIDTH, subsequent_indent="    ")
        yield from _indented(entry.url)
    if numbers:
        yield ""


def _indented(address: str) -> list[str]:
    return textwrap.wrap(
        address, WIDTH, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False
    )


def _wrapped(text: str) -> Iterable[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=INDENT, subsequent_indent=INDENT)
