"""The target with its uncertainty, and the chosen path with its clearances: a section of the plan report."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from textwrap import wrap

import numpy as np

from neurolysis.errors import InputError
from neurolysis.evidence.store import source_text, sources
from neurolysis.geometry import FloatArray
from neurolysis.localization.targets.locate import FoundTarget
from neurolysis.planning.path_hits import Probability
from neurolysis.planning.paths import NEAR_MM
from neurolysis.planning.result import PlanResult
from neurolysis.planning.target_paths import PlacedPath, located, placed_paths
from neurolysis.quantity import Quantity
from neurolysis.report import backdrop, needle, palette, svg, text
from neurolysis.report.axes import Axis, Frame, ticks
from neurolysis.report.contour import Raster
from neurolysis.report.document import Block, Bullets, Facts, Figure, FigureRow, Paragraph, Section, Table
from neurolysis.report.plane import Plane, View, read_mask
from neurolysis.report.slices import Marks, near_curve
from neurolysis.scene import Nerve, Structure

STEP_MM = 0.6
ROOM_MM = 14.0
LARGEST_HALF_MM = 95.0
SHOWN = 10
CHART_HEIGHT = 210.0
KEY_LINE = 15.0
KEY_CHARACTERS = 46
"""Characters of a name that fit beside its sample in half a page."""


def target_section(result: PlanResult) -> Section:
    """The section: where the target is and how sure that is, then each needle's way with its clearances."""
    paths = placed_paths(result.case, result.scene, result.plan.placements)
    blocks: list[Block] = [_target_facts(result), *_open_points(_located(result))]
    for path in paths:
        blocks.extend(_path_blocks(result, path))
    return Section("target", "The target and the way to it", tuple(blocks), new_page=True)


def _located(result: PlanResult) -> FoundTarget | None:
    """The target by its rule; None where the case brings neither labels nor landmarks for it."""
    try:
        return located(result.case, result.scene)
    except InputError:
        return None


def _target_facts(result: PlanResult) -> Facts:
    nerve = result.scene.target()
    middle = nerve.curve.resample(0.5)[1].mean(axis=0)
    spread = nerve.position_sd_mm
    rows = (
        ("Target", nerve.name),
        ("Middle of its course", text.place(tuple(float(c) for c in middle))),
        ("How it was found", text.sentence(nerve.derivation) or "Given"),
        ("Looked at by a person", {"reviewed": "yes", "given": "given as it is"}.get(nerve.review, "no")),
        ("Spread of its place (one SD, each direction)", _spread(spread)),
    )
    return Facts("Target with its uncertainty", rows)


def _spread(item: Quantity) -> str:
    return f"{text.quantity(item)}; {text.reason(_said(item.source))}"


def _said(source: str) -> str:
    return source_text(source) if source in sources() else source


def _open_points(found: FoundTarget | None) -> Iterator[Block]:
    """What is not known of the target, and what side and level were held against."""
    if found is None:
        yield Paragraph("There is no rule for this target: it stands as it was given.", note=True)
        return
    parts = [
        f"Spread by {part.name}: "
        + ("unknown" if part.standard_deviation_mm is None else text.millimetres(part.standard_deviation_mm))
        + f" ({text.reason(_said(part.source))})"
        for part in found.errors
    ]
    yield Bullets(
        (*parts, *(text.sentence(line) for line in found.checks)), "Parts of the spread, and checks"
    )


def _path_blocks(result: PlanResult, path: PlacedPath) -> Iterator[Block]:
    many = len(result.plan.placements) > 1
    name = f"Needle {path.number}" if many else "The needle"
    yield _path_facts(path, name)
    yield FigureRow(path_figures(result, path))
    yield clearance_table(path, name)


def _path_facts(path: PlacedPath, name: str) -> Facts:
    seen = path.entry_mm is not None
    entry = (
        text.place(path.entry_mm) if path.entry_mm else "cannot say: the skin is not in the image along it"
    )
    reach = {f"{float(share):.0%}": text.millimetres(value) for share, value in path.needed_reach_mm.items()}
    sd = path.placement_sd_mm
    rows = (
        ("Skin", entry),
        ("Way from skin to tip", text.millimetres(path.length_mm, 0) if seen else "unknown"),
        ("Tip", text.place(path.tip_mm)),
        ("Course", text.course(path.direction_to_hub)),
        ("Angle between needle and nerve", f"{path.angle_deg:.0f}°"),
        ("Bare tip's axis to the nerve's line", text.millimetres(path.nearest_to_nerve_mm)),
        ("Bone along the way", text.millimetres(path.bone_mm)),
        (f"Meets the nerve within {text.millimetres(path.reach_mm)} (touch)", _chance(path.met)),
        (
            "Reach needed to meet a straight nerve",
            ", ".join(f"{k} of placements: {v}" for k, v in reach.items()),
        ),
        ("Error of placement taken (one SD, each direction)", f"{text.quantity(sd)}; {_said(sd.source)}"),
    )
    return Facts(f"{name}: the way chosen", rows)


def _chance(found: Probability | None) -> str:
    """A chance with its interval by sampling; none at all reads as below the interval's end."""
    if found is None:
        return text.NO_NUMBER
    if found.value == 0:
        return f"under {100 * found.high:.1f}{text.NBSP}%"
    return f"{100 * found.value:.1f}{text.NBSP}%"


def clearance_table(path: PlacedPath, name: str) -> Table:
    """Clearance from one needle to each structure, nearest first."""
    rows = []
    for one in path.clearances[:SHOWN]:
        far = one.gap_mm > NEAR_MM - 2.0
        gap = f"over {text.millimetres(NEAR_MM - 2.0, 0)}" if far else text.millimetres(one.gap_mm)
        at = text.NO_NUMBER if far else text.millimetres(one.depth_mm, 0)
        rows.append((one.name, gap, at, text.millimetres(one.margin_mm), _chance(one.touched), one.review))
    unseen = "; ".join(path.unseen)
    note = (
        "From the needle's surface to the nearest face of a voxel. Touched: share of placements, with the "
        "error of placement and the spread of the structure's own place, on maps coarse by a voxel. Only "
        "what is labelled or derived can be kept clear of." + (f" Not seen: {unseen}." if unseen else "")
    )
    left_out = len(path.clearances) - SHOWN
    more = f" {left_out} more structures lie further off." if left_out > 0 else ""
    return Table(
        f"{name}: clearances",
        ("Structure", ">Clearance", ">Up the needle", ">Spread of its place", ">Touched", "Looked at"),
        tuple(rows),
        weights=(3, 1.3, 1.3, 1.4, 1.2, 1.6),
        note=note + more,
    )


def path_figures(result: PlanResult, path: PlacedPath) -> tuple[Figure, ...]:
    """Two planes that hold the needle from skin to tip, and the clearance along it."""
    letters = "AB"
    planes = path_planes(result, path)
    drawn = tuple(
        PathPicture(result, path, plane, f"target-{path.number}-{letter.lower()}").figure(letter, k)
        for k, (plane, letter) in enumerate(zip(planes, letters, strict=True))
    )
    chart = clearance_chart(path)
    return (*drawn, *((chart,) if chart else ()))


def path_planes(result: PlanResult, path: PlacedPath) -> tuple[Plane, Plane]:
    """Two planes through the needle's axis, square to each other, from before its tip to beyond the skin.

    The picture's up is the body's back, front, side or head, whichever is nearest to the hub, so the
    needle is seen at its true angle in the first plane.
    """
    tip, along = np.array(path.tip_mm), np.array(path.direction_to_hub)
    shaft = result.plan.placements[path.number - 1].instrument.shaft_length_mm
    length = path.length_mm if path.length_mm is not None else min(0.6 * shaft, 45.0)
    half = float(np.clip(0.5 * length + ROOM_MM, 24.0, LARGEST_HALF_MM))
    centre = tip + 0.5 * length * along
    axis = int(np.argmax(np.abs(along)))
    up = np.eye(3)[axis] * np.sign(along[axis])
    other = np.eye(3)[(2 if axis != 2 else 1)]
    return _plane(centre, along, up, np.cross(up, other), half), _plane(centre, along, up, other, half)


def _plane(centre: FloatArray, along: FloatArray, up: FloatArray, wanted: FloatArray, half: float) -> Plane:
    """The plane that holds the needle and lies nearest to the one of ``up`` and ``wanted``."""
    normal = np.cross(wanted, up)
    right = np.cross(along, normal)
    right = right / np.linalg.norm(right)
    if right @ wanted < 0:
        right = -right
    return Plane(centre, right, along, (half, half))


@dataclass(frozen=True)
class PathPicture:
    """One plane with image, bone, structures, the nerve in its band, the needle and where it enters."""

    result: PlanResult
    path: PlacedPath
    plane: Plane
    id: str

    @cached_property
    def view(self) -> View:
        """The plane at half a page's width."""
        return View.of_width(self.plane, palette.HALF_WIDTH)

    def figure(self, letter: str, turn: int) -> Figure:
        """The picture with caption and description."""
        width, height = self.view.size
        scene = self.result.scene
        modality = self.result.case.image.modality if self.result.case.image else "CT"
        marks = Marks.of(self.result)
        turned = ", turned by 90°" if turn else ""
        title = f"{letter}. Along needle {self.path.number}{turned}"
        alt = f"{title}: image with structures at risk, the target nerve with its spread, and the needle."
        layers = (
            backdrop.image(scene, self.view, modality=modality),
            backdrop.bone(scene, self.view, STEP_MM),
            "".join(self._structure(label, one) for label, one in marks.structures),
            self._nerve(scene.target()),
            needle.drawn(self.view, self.result.plan),
            self._entry(),
            backdrop.scale_bar(self.view, 10.0),
            backdrop.orientation(self.view),
        )
        body = svg.clipped(f"clip-{self.id}", width, height, *layers)
        frame = svg.rectangle(0, 0, width, height, fill="none", stroke=palette.MUTED, stroke_width=1)
        caption = (
            f"{text.sentence(backdrop.facing(self.plane))}. Blue band: the target within one SD; numbers as "
            "in the key of the lesion's pictures; ring: where the needle enters the skin."
        )
        return Figure(self.id, svg.drawing(width, height, body, frame, title=alt), caption, alt, title)

    def _raster(self, values: FloatArray) -> Raster:
        across, along, _ = self.plane.grid(STEP_MM)
        return Raster(self.view, across, along, values)

    def _structure(self, label: str, structure: Structure) -> str:
        if structure.mask is None:
            return ""
        raster = self._raster(read_mask(structure.mask, None, self.plane.grid(STEP_MM)[2]))
        if not (raster.values > 0.5).any():
            return ""
        fill = svg.path(raster.area_data(0.5), fill=palette.DANGER, fill_opacity=0.25, fill_rule="evenodd")
        edge = svg.cased(raster.line_data(0.5), stroke=palette.DANGER, width=1.4)
        return fill + edge + backdrop.tag(*self._deepest(raster), label, palette.DANGER)

    def _deepest(self, raster: Raster) -> tuple[float, float]:
        from scipy.ndimage import distance_transform_edt

        depth = distance_transform_edt(np.pad(raster.values > 0.5, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        x, y = self.view.place(np.array([raster.across_mm[column], raster.along_mm[row]]))
        width, height = self.view.size
        return float(np.clip(x, 12, width - 12)), float(np.clip(y, 12, height - 44))

    def _nerve(self, nerve: Nerve) -> str:
        """The nerve's course in this plane with the band of one SD, and its projected line."""
        distance = near_curve(nerve.curve, self.plane).distance_mm(self.plane.grid(STEP_MM)[2])
        raster = self._raster(nerve.radius_mm.value - distance)
        band = -nerve.position_sd_mm.value
        course = svg.path_data([self.view.points(nerve.curve.as_array())])
        return (
            svg.path(raster.area_data(band), fill=palette.NERVE, fill_opacity=0.3, fill_rule="evenodd")
            + svg.cased(raster.line_data(band), stroke=palette.NERVE, width=1.2, dash="4 3")
            + svg.path(course, fill="none", stroke=palette.WHITE, stroke_width=2.6, stroke_opacity=0.6)
            + svg.path(course, fill="none", stroke=palette.NERVE, stroke_width=1.4, stroke_dasharray="1.5 3")
        )

    def _entry(self) -> str:
        if self.path.entry_mm is None:
            return ""
        x, y = self.view.points(np.array(self.path.entry_mm))
        return svg.element(
            "circle", cx=x, cy=y, r=7, fill="none", stroke=palette.WHITE, stroke_width=3.4
        ) + svg.element("circle", cx=x, cy=y, r=7, fill="none", stroke=palette.INK, stroke_width=1.6)


def clearance_chart(path: PlacedPath) -> Figure | None:
    """Clearance to the nearest structures against the way up the needle; None where none is known."""
    named = [(name, np.array(values)) for name, values in path.profiles_mm.items()]
    shown = [(name, values) for name, values in named if values.min() < NEAR_MM - 2.0]
    depth = np.array(path.profile_depth_mm)
    if not shown or len(depth) < 2:
        return None
    names = [wrap(name, KEY_CHARACTERS) for name, _ in shown]
    key_height = KEY_LINE * sum(map(len, names)) + 6.0
    bottom = CHART_HEIGHT - 36.0
    width = palette.HALF_WIDTH
    x_ticks, y_ticks = ticks(0.0, float(depth[-1])), ticks(0.0, NEAR_MM)
    frame = Frame(
        Axis(0.0, float(x_ticks[-1]), 44.0, width - 8.0), Axis(0.0, NEAR_MM, bottom, 12.0), x_ticks, y_ticks
    )
    styles = [palette.LINES[k % len(palette.LINES)] for k in range(len(shown))]
    lines = "".join(
        frame.line(
            depth,
            np.clip(np.where(values < NEAR_MM - 1.0, values, np.nan), 0.0, NEAR_MM),
            stroke=colour,
            dash=dash,
        )
        for (_, values), (colour, dash) in zip(shown, styles, strict=True)
    )
    tops = np.cumsum([0, *map(len, names)])
    key = "".join(
        _key_row(CHART_HEIGHT + 12.0 + KEY_LINE * int(top), part, *style)
        for top, part, style in zip(tops[:-1], names, styles, strict=True)
    )
    words = f"Clearance along needle {path.number} to {text.listed(name for name, _ in shown)}."
    caption = (
        f"Clearance (mm) against the way up from the tip (mm); from {NEAR_MM - 1:.0f} mm on nothing is drawn."
    )
    label = svg.text((44.0 + width) / 2, CHART_HEIGHT - 4, "mm up the needle from its tip", anchor="middle")
    drawing = svg.drawing(width, CHART_HEIGHT + key_height, frame.grid(), lines, label, key, title=words)
    return Figure(
        f"target-{path.number}-clearance", drawing, caption, words, f"C. Clearance along needle {path.number}"
    )


def _key_row(y: float, lines: list[str], colour: str, dash: str) -> str:
    words = "".join(svg.text(80, y + KEY_LINE * k, line) for k, line in enumerate(lines))
    return svg.line(44, y - 4, 74, y - 4, stroke=colour, width=1.8, dash=dash) + words
