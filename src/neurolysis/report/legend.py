"""The key to the pictures of the lesion, drawn once."""

from __future__ import annotations

from collections.abc import Iterator
from textwrap import wrap

from neurolysis.nerve.along import TEMPERATURES, thermal_measure
from neurolysis.planning.result import PlanResult
from neurolysis.report import backdrop, palette, svg, text
from neurolysis.report.decided import LOWER_BOUND, undecided_in
from neurolysis.report.document import Figure
from neurolysis.report.first_page import short_name
from neurolysis.report.needle import instrument_use
from neurolysis.report.slices import ARRIVAL, ARRIVALS_MIN, ISOTHERMS_C, Marks, dashes

SAMPLE = 30.0
"""Width of the samples on the left."""
CHARACTERS = 50
"""Characters on a line beside a sample."""
LINE = 13.5
GAP = 7.0
NEEDLE = "Instrument: end that acts white, shaft grey"
"""Where the technique says nothing of its instrument."""


def legend(result: PlanResult) -> Figure:
    """Every line, colour and number of the pictures, with what it means."""
    rows = list(_rows(result))
    parts, y = [], 18.0
    for sample, words in rows:
        lines = wrap(words, CHARACTERS)
        parts.append(svg.element("g", sample, transform=f"translate(4 {svg.number(y - 4)})"))
        parts += [
            svg.text(SAMPLE + 14, y + k * LINE, part, size=palette.FONT) for k, part in enumerate(lines)
        ]
        y += LINE * len(lines) + GAP
    alt = "Key: " + "; ".join(words for _, words in rows)
    return Figure("slice-key", svg.drawing(palette.HALF_WIDTH, y, *parts, title=alt), "", alt, "Key")


def _rows(result: PlanResult) -> Iterator[tuple[str, str]]:
    marks = Marks.of(result)
    measure = thermal_measure(result.exposure.fields)
    if result.plan.placements:
        use = instrument_use(result.plan)
        yield _needle(), use.key if use else NEEDLE
    for label, nerve in marks.nerves:
        spread = text.millimetres(nerve.position_sd_mm.value)
        what = "target nerve" if nerve.is_target else "nerve"
        yield (
            backdrop.tag(SAMPLE / 2, 0, label, palette.NERVE),
            f"{text.sentence(what)}: {nerve.name}; dashed band: its place within one SD ({spread}); dots: "
            "its course projected onto the plane",
        )
    left_out = undecided_in(result.exposure)
    yield _shade(), "Lesion by every criterion" + (" that decides" if left_out else "")
    for criterion, dash in dashes(result.exposure.criteria):
        if criterion.field not in TEMPERATURES:
            bound = f"; {LOWER_BOUND} here, so it does not decide" if criterion.id in left_out else ""
            yield (
                svg.cased(_bar(), stroke=palette.LESION, width=2.0, dash=dash),
                f"Lesion: {criterion.label}{bound}",
            )
    if measure is not None:
        levels = text.listed(text.number(level) for level in ISOTHERMS_C[measure])
        yield (
            svg.cased(_bar(), stroke=palette.ISOTHERM, width=1.7, casing=palette.INK),
            f"{text.sentence(text.name(measure))} of {levels} °C{_as_criteria(result, measure)}",
        )
    if ARRIVAL in result.exposure.fields:
        times = text.listed(f"{minutes:g}" for minutes in ARRIVALS_MIN)
        yield (
            svg.cased(_bar(), stroke=palette.ISOTHERM, width=1.7, casing=palette.INK),
            f"Front of the least neurolytic concentration after {times} min (middle member)",
        )
    for label, structure in marks.structures:
        derived = " (derived, unreviewed)" if structure.review == "derived, unreviewed" else ""
        yield (
            backdrop.tag(SAMPLE / 2, 0, label, palette.DANGER),
            f"At risk: {short_name(structure.name)}{derived}",
        )
    yield _bone(), "Edge of bone in the tissue map"
    yield _outside(), "Outside the image"


def _as_criteria(result: PlanResult, measure: str) -> str:
    """Which of the isotherms are lesion criteria themselves."""
    found = sorted(c.threshold for c in result.exposure.criteria if c.field == measure)
    levels = [text.number(level) for level in found]
    return f"; {text.listed(levels)} °C are lesion criteria too" if levels else ""


def _bar() -> str:
    return f"M0 0L{svg.number(SAMPLE)} 0"


def _needle() -> str:
    whole = svg.line(2, 0, SAMPLE, 0, stroke=palette.INK, width=8)
    shaft = svg.line(SAMPLE / 2, 0, SAMPLE, 0, stroke=palette.SHAFT, width=5.6)
    tip = svg.line(3.2, 0, SAMPLE / 2, 0, stroke=palette.TIP, width=5.6)
    end = svg.line(SAMPLE / 2, -5, SAMPLE / 2, 5, stroke=palette.INK, width=1.6)
    return whole + shaft + tip + end


def _shade() -> str:
    return svg.rectangle(0, -6, SAMPLE, 11, fill=palette.LESION, fill_opacity=0.28)


def _bone() -> str:
    dark = svg.rectangle(0, -6, SAMPLE, 11, fill="#8A949C")
    return dark + svg.line(0, 0, SAMPLE, 0, stroke=palette.BONE, width=1.6)


def _outside() -> str:
    ground = svg.rectangle(0, -6, SAMPLE, 11, fill="#E4E8EB")
    lines = "".join(f"M{x} 5L{x + 11} -6" for x in (0, 9, 18))
    return ground + svg.path(lines, stroke="#B4BDC4", stroke_width=1.2)
