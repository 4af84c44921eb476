"""Pages of a delivery that acts along nerves: charts along the target, its tables, and where it lies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from neurolysis.delivery.technique import LineChart
from neurolysis.exposure import OPERATED, LineFields, ResultTable
from neurolysis.geometry import FloatArray
from neurolysis.planning.result import PlanResult
from neurolysis.report import backdrop, palette, svg, text
from neurolysis.report.axes import Axis, Frame, ticks
from neurolysis.report.citations import Citations
from neurolysis.report.document import Figure, Table
from neurolysis.report.plane import Plane, View

HEIGHT, TOP, BOTTOM, LEFT, RIGHT = 230.0, 30.0, 40.0, 40.0, 34.0
KEY_STEP = 14.0
ROOM_MM, SMALLEST_HALF_MM, LARGEST_HALF_MM = 18.0, 30.0, 120.0
CUTS = (
    ("coronal", "Coronal, seen from the front", (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)),
    ("sagittal", "Sagittal, seen from the left", (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
)


def target_line(result: PlanResult) -> LineFields | None:
    """The fields along the target nerve; None where there are none."""
    return result.exposure.along.get(result.scene.target().name)


# ---------------------------------------------------------------- charts


def line_figures(line: LineFields, charts: Sequence[LineChart]) -> tuple[Figure, ...]:
    """One figure for each chart that has at least one field here that is not nought everywhere."""
    figures = []
    for number, chart in enumerate(charts, start=1):
        held = [(name, label) for name, label in chart.series if name in line.fields]
        if any(np.abs(line.fields[name].array).max(initial=0.0) > 1e-9 for name, _ in held):
            figures.append(_figure(f"along-{number}", line, chart, held))
    return tuple(figures)


def _figure(id_: str, line: LineFields, chart: LineChart, held: Sequence[tuple[str, str]]) -> Figure:
    values = [line.fields[name].array for name, _ in held]
    keys = TOP + KEY_STEP * ((len(held) + 1) // 2)
    frame = _frame(line.arc_mm, values, [level for level, _ in chart.levels()], keys)
    curves = "".join(
        frame.line(line.arc_mm, item, stroke=colour, dash=dash, width=2.0)
        for item, (colour, dash) in reversed(list(zip(values, palette.LINES, strict=False)))
    )
    levels = "".join(_level(frame, value, label) for value, label in chart.levels())
    head = svg.text(LEFT, 14, f"{chart.title}, {chart.unit}", weight="700")
    name = svg.text(
        0.5 * (frame.x.start + frame.x.end), HEIGHT - 6, "along the nerve from its first point, mm",
        size=palette.SMALL, fill=palette.MUTED, anchor="middle",
    )  # fmt: skip
    alt = _alt(line, chart, held)
    drawing = svg.drawing(
        palette.HALF_WIDTH, HEIGHT, _stretches(line, frame), frame.grid(), levels, curves, _key(held), head,
        name, title=alt,
    )  # fmt: skip
    return Figure(id_, drawing, "", alt, "")


def _frame(arc_mm: FloatArray, values: Sequence[FloatArray], levels: Sequence[float], top: float) -> Frame:
    high = max(max(float(item.max()) for item in values), *levels, 1e-9)
    low = min(min(float(item.min()) for item in values), 0.0)
    y_ticks, x_ticks = ticks(low, high, 5), ticks(float(arc_mm[0]), float(arc_mm[-1]), 6)
    y = Axis(float(y_ticks[0]), float(y_ticks[-1]), HEIGHT - BOTTOM, top)
    x = Axis(float(arc_mm[0]), float(arc_mm[-1]), LEFT, palette.HALF_WIDTH - RIGHT)
    return Frame(x, y, x_ticks[(x_ticks >= x.low) & (x_ticks <= x.high)], y_ticks)


def _key(held: Sequence[tuple[str, str]]) -> str:
    """The lines' names above the plot, two in a row."""
    parts = []
    for k, ((_, label), (colour, dash)) in enumerate(zip(held, palette.LINES, strict=False)):
        x, y = LEFT + 150.0 * (k % 2), TOP - 2 + KEY_STEP * (k // 2)
        parts.append(svg.line(x, y, x + 22, y, stroke=colour, width=2.0, dash=dash))
        parts.append(svg.text(x + 27, y + 3.5, label, size=palette.SMALL))
    return "".join(parts)


def _level(frame: Frame, value: float, label: str) -> str:
    at = frame.y.at(value)
    return svg.line(frame.x.start, at, frame.x.end, at, stroke=palette.LESION, dash="5 3") + svg.text(
        frame.x.end + 4, at + 3.5, label, size=palette.SMALL
    )


def _stretches(line: LineFields, frame: Frame) -> str:
    """Pale bands where scar holds the nerve, and a bar below for what is operated on."""
    parts = []
    for low, high in line.stretches_mm.get("scar", ()):
        x = frame.x.at(low)
        parts.append(svg.rectangle(x, frame.y.end, frame.x.at(high) - x, frame.y.start - frame.y.end,
                                   fill=palette.DANGER, fill_opacity=0.12))  # fmt: skip
    for low, high in line.stretches_mm.get(OPERATED, ()):
        parts.append(
            svg.line(frame.x.at(low), frame.y.start - 2.5, frame.x.at(high), frame.y.start - 2.5,
                     stroke=palette.LESION, width=5.0)
        )  # fmt: skip
    return "".join(parts)


def _alt(line: LineFields, chart: LineChart, held: Sequence[tuple[str, str]]) -> str:
    tops = [
        f"{label}: highest {text.with_unit(text.number(float(line.fields[name].array.max())), chart.unit)}"
        for name, label in held
    ]
    return f"{chart.title} along {line.nerve}. {'; '.join(tops)}."


CHART_NOTE = (
    "Shaded: where scar holds the nerve; bar on the axis: the operated stretch; dashed levels: thresholds of "
    "animal nerves, held against what scar adds."
)


# ---------------------------------------------------------------- tables


def result_tables(tables: Sequence[ResultTable], citations: Citations) -> tuple[Table, ...]:
    """The delivery's own tables as the report's."""
    return tuple(_table(item, citations) for item in tables)


def _table(item: ResultTable, citations: Citations) -> Table:
    cited = "".join(citations.cite(source) for source in item.sources)
    note = " ".join(part for part in (item.note, f"Sources: {cited}." if cited else "") if part)
    wide = [
        max([len(head), *(len(_cell(row[k])) for row in item.rows)]) for k, head in enumerate(item.columns)
    ]
    return Table(
        item.title,
        tuple(">" + head[1:].strip() if head.startswith(">") else head for head in item.columns),
        tuple(tuple(_cell(cell) for cell in row) for row in item.rows),
        weights=tuple(float(np.clip(width, 7, 32)) for width in wide),
        note=note,
    )


def _cell(value: str | float | None) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return text.NO_NUMBER
    return f"{value:.0f}" if float(value).is_integer() and abs(value) >= 1 else text.fixed(value)


# ---------------------------------------------------------------- where it lies


def place_figures(result: PlanResult) -> tuple[Figure, ...]:
    """Two cuts through the middle of the operated stretch with the nerve's course projected on them."""
    line = target_line(result)
    if line is None:
        return ()
    return tuple(_cut(result, line, *cut) for cut in CUTS)


def _cut(
    result: PlanResult, line: LineFields, name: str, title: str,
    right: tuple[float, float, float], up: tuple[float, float, float],
) -> Figure:  # fmt: skip
    plane = _plane(line, np.array(right), np.array(up))
    view = View.of_width(plane, palette.HALF_WIDTH)
    width, height = view.size
    modality = result.case.image.modality if result.case.image else "CT"
    layers = (
        backdrop.image(result.scene, view, modality=modality),
        _courses(result, view),
        _operated(view, line),
        backdrop.scale_bar(view, 20.0),
        backdrop.orientation(view),
    )
    words = f"{title}: course of {line.nerve} projected on the cut; thick: the operated stretch."
    body = svg.clipped(f"clip-place-{name}", width, height, *layers)
    frame = svg.rectangle(0, 0, width, height, fill="none", stroke=palette.MUTED, stroke_width=1)
    drawing = svg.drawing(width, height, body, frame, title=words)
    caption = f"{text.sentence(backdrop.facing(plane))}. Blue: the nerve; orange: operated."
    return Figure(f"place-{name}", drawing, caption, words, title)


def middle_mm(line: LineFields) -> FloatArray:
    """Middle (3,) of the operated stretch, LPS; of the nerve where nothing is."""
    points = line.operated_mm()
    points = points if len(points) else line.points_mm
    middle: FloatArray = points[len(points) // 2]
    return middle


def _plane(line: LineFields, right: FloatArray, up: FloatArray) -> Plane:
    """A square cut through the middle of the work, wide enough for the operated stretch."""
    points = line.operated_mm()
    points = points if len(points) else line.points_mm
    middle = middle_mm(line)
    reach = max(float(np.abs((points - middle) @ axis).max()) for axis in (right, up))
    half = float(np.clip(reach + 2.5 * ROOM_MM, SMALLEST_HALF_MM, LARGEST_HALF_MM))
    return Plane(middle, right, up, (half, half))


def _courses(result: PlanResult, view: View) -> str:
    nerves = sorted(result.scene.nerves, key=lambda nerve: nerve.is_target)
    return "".join(
        svg.cased(
            svg.path_data([view.points(nerve.curve.as_array())]), stroke=palette.NERVE,
            width=2.4 if nerve.is_target else 1.4,
        )
        for nerve in nerves
    )  # fmt: skip


def _operated(view: View, line: LineFields) -> str:
    parts = []
    for low, high in line.stretches_mm.get(OPERATED, ()):
        inside = (line.arc_mm >= low) & (line.arc_mm <= high)
        if inside.sum() > 1:
            data = svg.path_data([view.points(line.points_mm[inside])])
            parts.append(svg.cased(data, stroke=palette.LESION, width=4.6))
    return "".join(parts)
