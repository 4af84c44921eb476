"""First-page parts of a delivery that works along a nerve: its own answer, and what lies near its work."""

from __future__ import annotations

from collections.abc import Sequence

from neurolysis.exposure import Answer
from neurolysis.injury import StructureInjury
from neurolysis.report import text
from neurolysis.report.document import Headline, Table


def own_headline(found: Answer, standing: str) -> Headline:
    """The delivery's own answer in the place of covered length; ``standing`` tells of stops, if any."""
    return Headline(
        label=found.label,
        answer=found.answer,
        tone="stop" if standing else found.tone,
        number=found.number or text.NO_NUMBER,
        number_note=found.number_note,
        details=(*([standing] if standing else []), *found.details),
    )


def by_distance(structures: Sequence[StructureInjury]) -> list[StructureInjury]:
    """Structures with a known distance to what was treated, nearest first."""
    known = [item for item in structures if item.distance_mm is not None]
    return sorted(known, key=lambda item: item.distance_mm or 0.0)


def distance_headline(structures: Sequence[StructureInjury]) -> Headline:
    """The structure nearest to the operated stretch, skin apart: it is the way in."""
    inner = [item for item in by_distance(structures) if item.kind != "skin"]
    skin = [item for item in by_distance(structures) if item.kind == "skin"]
    if not inner:
        return Headline(
            "Nearest structure", "Cannot say", "warn", text.NO_NUMBER,
            "no structure has a known distance to the operated stretch", (),
        )  # fmt: skip
    item = inner[0]
    details = [f"{text.sentence(item.note)}."]
    details += [f"Skin: {text.millimetres(one.distance_mm)}, {one.note}." for one in skin]
    return Headline(
        label="Nearest structure",
        answer=text.sentence(_short(item.structure)),
        tone="plain",
        number=text.millimetres(item.distance_mm),
        number_note="from the operated stretch of the nerve, surface to surface",
        details=tuple(details),
    )


def distance_table(structures: Sequence[StructureInjury]) -> Table:
    """Structures by their distance to the operated stretch; those without one come last."""
    unknown = [item for item in structures if item.distance_mm is None]
    rows = tuple(
        (_short(item.structure), item.kind.replace("_", " "), text.fixed(item.distance_mm), item.review)
        for item in {one.structure: one for one in (*by_distance(structures), *unknown)}.values()
    )
    return Table(
        "Structures near the operated stretch, nearest first",
        ("Structure", "Kind", ">Distance, mm", "Outline"),
        rows,
        weights=(3, 2, 1.3, 2),
        note="" if rows else "Nothing is operated on, or no structure is known.",
    )


def _short(name: str) -> str:
    return name.split(" (")[0]
