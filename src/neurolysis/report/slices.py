"""Pictures of the lesion in planes that hold the needle, and one square to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from neurolysis.exposure import Exposure, LesionCriterion
from neurolysis.geometry import Curve, FloatArray
from neurolysis.nerve.along import (
    LOWEST,
    PEAK,
    TEMPERATURES,
    Sampler,
    excess,
    scaled_threshold,
    thermal_measure,
    worse,
)
from neurolysis.planning.result import PlanResult
from neurolysis.report import backdrop, needle, palette, svg, text
from neurolysis.report.contour import Raster
from neurolysis.report.decided import deciding
from neurolysis.report.document import Figure
from neurolysis.report.plane import BELOW_ALL, Plane, View, needle_planes, read_mask
from neurolysis.scene import Nerve, Structure

ISOTHERMS_C = {PEAK: (45.0, 50.0, 60.0, 80.0), LOWEST: (0.0, -5.0, -20.0, -40.0)}
"""Lines drawn of the highest and of the lowest temperature."""
LABEL_ANGLES_DEG = (215.0, 325.0, 168.0, 12.0)
"""Where round the lesion each isotherm's number stands, so that nested ones keep apart."""
STEP_MM = 0.2
COARSE_STEP_MM = 0.4
HALF_RANGE_MM = (14.0, 45.0)
ARRIVAL = "arrival_min"
ARRIVALS_MIN = (0.5, 1.0, 2.0, 4.0, 10.0, 30.0)
"""Times whose front is drawn where an agent spreads."""


@dataclass(frozen=True)
class Marks:
    """Names of what the pictures show: (number, structure) and (letter, nerve)."""

    structures: tuple[tuple[str, Structure], ...]
    nerves: tuple[tuple[str, Nerve], ...]

    @classmethod
    def of(cls, result: PlanResult) -> Marks:
        """Structures with a known place numbered from 1; the target nerve N, its neighbours N2, N3..."""
        known = [item for item in result.scene.structures if item.mask is not None]
        nerves = sorted(result.scene.nerves, key=lambda nerve: not nerve.is_target)
        return cls(
            tuple((str(k), item) for k, item in enumerate(known, start=1)),
            tuple(("N" if k == 1 else f"N{k}", nerve) for k, nerve in enumerate(nerves, start=1)),
        )


def view_half_mm(exposure: Exposure) -> float:
    """Half the width of the pictures: the largest lesion with room around it."""
    reach = max((max(size.width_mm, size.length_mm) for size in exposure.lesions), default=0.0)
    low, high = HALF_RANGE_MM
    return float(np.clip(0.5 * reach + 7.0, low, high))


def slice_figures(result: PlanResult) -> tuple[Figure, ...]:
    """The three planes with everything in them."""
    marks = Marks.of(result)
    planes = needle_planes(result.plan, view_half_mm(result.exposure))
    middle = result.plan.placements[0].instrument.active_tip_mm / 2
    titles = (
        "A. Along the needle",
        "B. Along the needle, turned by 90°",
        f"C. Square to the needle, {text.millimetres(middle)} above its tip",
    )
    return tuple(
        Slice(result, plane, f"slice-{title[0].lower()}", marks).figure(title)
        for plane, title in zip(planes, titles, strict=True)
    )


@dataclass(frozen=True)
class Slice:
    """One plane of one result."""

    result: PlanResult
    plane: Plane
    id: str
    marks: Marks

    @cached_property
    def view(self) -> View:
        """The plane at the width of half a page."""
        return View.of_width(self.plane, palette.HALF_WIDTH)

    def figure(self, title: str) -> Figure:
        """The picture with its caption and its description."""
        width, height = self.view.size
        modality = self.result.case.image.modality if self.result.case.image else "CT"
        alt = self._alt(title)
        layers = (
            backdrop.image(self.result.scene, self.view, modality=modality),
            backdrop.bone(self.result.scene, self.view, STEP_MM),
            self.nerve_bands(),
            self.structures(),
            self.lesions(),
            self.isotherms(),
            self.nerves(),
            needle.drawn(self.view, self.result.plan),
            self.isotherm_numbers(),
            "".join(self._nerve_tag(label, nerve) for label, nerve in self.marks.nerves),
            backdrop.scale_bar(self.view, 5.0),
            backdrop.orientation(self.view),
        )
        body = svg.clipped(f"clip-{self.id}", width, height, *layers)
        frame = svg.rectangle(0, 0, width, height, fill="none", stroke=palette.MUTED, stroke_width=1)
        caption = f"{text.sentence(backdrop.facing(self.plane))}."
        return Figure(self.id, svg.drawing(width, height, body, frame, title=alt), caption, alt, title)

    @cached_property
    def _rasters(self) -> dict[str, Raster]:
        """Fields of the exposure on this plane, on their interpolation scales."""
        across, along, points = self.plane.grid(STEP_MM)
        exposure = self.result.exposure
        names = dict.fromkeys([*(c.field for c in exposure.criteria), *TEMPERATURES, ARRIVAL])
        sampler = Sampler.at(exposure, points)
        return {
            name: Raster(self.view, across, along, sampler.scaled(name, outside=worse(name) * BELOW_ALL))
            for name in names
            if name in exposure.fields
        }

    def lesions(self) -> str:
        """Shaded what all deciding criteria call lesioned, and edges by criteria that are no isotherms."""
        criteria, agreeing = self.result.exposure.criteria, deciding(self.result.exposure)
        if not criteria:
            return ""
        rasters = [self._rasters[criterion.field] for criterion in criteria]
        above = [excess(c, r.values) for r, c in zip(rasters, criteria, strict=True) if c in agreeing]
        agreed = Raster(self.view, rasters[0].across_mm, rasters[0].along_mm, np.min(above, axis=0))
        shade = svg.path(agreed.area_data(0.0), fill=palette.LESION, fill_opacity=0.28, fill_rule="evenodd")
        edges = [
            svg.cased(
                raster.line_data(scaled_threshold(criterion)), stroke=palette.LESION, width=2.0, dash=dash
            )
            for raster, (criterion, dash) in zip(rasters, dashes(criteria), strict=True)
            if criterion.field not in TEMPERATURES
        ]
        return shade + "".join(edges)

    @cached_property
    def _isotherms(self) -> list[tuple[float, list[FloatArray]]]:
        fields = self.result.exposure.fields
        measure = thermal_measure(fields)
        if measure is not None:
            return [(level, self._rasters[measure].lines(level)) for level in ISOTHERMS_C[measure]]
        if ARRIVAL not in fields:
            return []
        # A front lies where the agent has been: the logarithm keeps "never" from pulling it inwards.
        raster = self._rasters[ARRIVAL]
        early = Raster(
            raster.view, raster.across_mm, raster.along_mm, -np.log(np.clip(raster.values, 1e-2, 1e2))
        )
        return [(level, early.lines(-float(np.log(level)))) for level in ARRIVALS_MIN]

    def isotherms(self) -> str:
        """Lines of equal peak or lowest temperature, or of equal arrival of an agent."""
        return "".join(
            svg.cased(svg.path_data(lines), stroke=palette.ISOTHERM, width=1.7, casing=palette.INK)
            for _, lines in self._isotherms
        )

    def isotherm_numbers(self) -> str:
        """The temperature of each isotherm, above everything else."""
        return "".join(
            self._isotherm_label(level, lines[0], angle)
            for (level, lines), angle in zip(self._isotherms, LABEL_ANGLES_DEG * 2, strict=False)
            if lines
        )

    def _isotherm_label(self, level: float, line: FloatArray, angle_deg: float) -> str:
        angle = np.deg2rad(angle_deg)
        direction = np.array([np.cos(angle), -np.sin(angle)])
        x, y = line[int(np.argmax((line - line.mean(axis=0)) @ direction))] + 6.0 * direction
        width, height = self.view.size
        x, y = float(np.clip(x, 14, width - 14)), float(np.clip(y + 4, 12, height - 4))
        return svg.text(
            x, y, f"{text.number(level)}{self._level_unit}", size=11.5, fill=palette.ISOTHERM,
            halo=palette.INK,
            anchor="middle", weight="700",
        )  # fmt: skip

    @property
    def _level_unit(self) -> str:
        return " min" if thermal_measure(self.result.exposure.fields) is None else "°"

    @property
    def _line_words(self) -> str:
        measure = thermal_measure(self.result.exposure.fields)
        return "fronts of the agent" if measure is None else f"lines of {text.name(measure)}"

    def structures(self) -> str:
        """Edges of the structures at risk, tinted, each with its number."""
        across, along, points = self.plane.grid(STEP_MM)
        parts = []
        for label, structure in self.marks.structures:
            if structure.mask is None:
                continue
            raster = Raster(self.view, across, along, read_mask(structure.mask, None, points))
            parts.append(self._structure(raster, label))
        return "".join(parts)

    def _structure(self, raster: Raster, label: str) -> str:
        if not (raster.values > 0.5).any():
            return ""
        fill = svg.path(raster.area_data(0.5), fill=palette.DANGER, fill_opacity=0.3, fill_rule="evenodd")
        edge = svg.cased(raster.line_data(0.5), stroke=palette.DANGER, width=1.8)
        x, y = self._spot(raster)
        return fill + edge + backdrop.tag(x, y, label, palette.DANGER)

    def _spot(self, raster: Raster) -> tuple[float, float]:
        """Where a structure's number stands: deepest inside the structure and the picture."""
        from scipy.ndimage import distance_transform_edt

        depth = distance_transform_edt(np.pad(raster.values > 0.5, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        return self._clear_of_scale(np.array([raster.across_mm[column], raster.along_mm[row]]))

    @cached_property
    def _nerve_depths(self) -> tuple[tuple[Nerve, Raster], ...]:
        """How deep inside each nerve the points of the plane lie, mm; below zero outside it."""
        across, along, points = self.plane.grid(COARSE_STEP_MM)
        found = []
        for _, nerve in self.marks.nerves:
            distance = near_curve(nerve.curve, self.plane).distance_mm(points)
            found.append((nerve, Raster(self.view, across, along, nerve.radius_mm.value - distance)))
        return tuple(found)

    def nerve_bands(self) -> str:
        """Where each nerve may lie within one standard deviation of its place, tinted."""
        return "".join(
            svg.path(
                raster.area_data(-nerve.position_sd_mm.value),
                fill=palette.NERVE, fill_opacity=0.26, fill_rule="evenodd",
            )
            for nerve, raster in self._nerve_depths
        )  # fmt: skip

    def nerves(self) -> str:
        """Where nerves meet the plane, the edge of their band, and their projected course."""
        return "".join(self._nerve(nerve, raster) for nerve, raster in self._nerve_depths)

    def _nerve(self, nerve: Nerve, raster: Raster) -> str:
        course = svg.path_data([self.view.points(nerve.curve.as_array())])
        shape: dict[str, svg.Attribute] = {"fill": "none", "stroke_linejoin": "round"}
        band = raster.line_data(-nerve.position_sd_mm.value)
        return (
            svg.path(course, stroke=palette.WHITE, stroke_width=2.6, stroke_opacity=0.6, **shape)
            + svg.path(course, stroke=palette.NERVE, stroke_width=1.3, stroke_dasharray="1.5 3", **shape)
            + svg.cased(band, stroke=palette.NERVE, width=1.2, dash="4 3")
            + svg.path(raster.area_data(0.0), fill=palette.NERVE, stroke=palette.WHITE, stroke_width=1.0)
        )

    def _nerve_tag(self, label: str, nerve: Nerve) -> str:
        """The nerve's letter at the end of its course that can be seen, furthest from the middle."""
        offsets = self.plane.project(nerve.curve.resample(0.5)[1])[:, :2]
        shown = np.all(np.abs(offsets) < np.array(self.plane.half_mm) - 1.5, axis=1)
        if not shown.any():
            return ""
        away = np.where(shown, np.linalg.norm(offsets, axis=1), -1.0)
        offset = offsets[int(away.argmax())]
        outwards = offset / max(float(away.max()), 1e-6)
        return backdrop.tag(*self._clear_of_scale(offset + 1.6 * outwards), label, palette.NERVE)

    def _clear_of_scale(self, offset_mm: FloatArray) -> tuple[float, float]:
        """A place for a tag inside the picture and off the scale bar in its corner."""
        x, y = self.view.place(offset_mm)
        width, height = self.view.size
        x, y = float(np.clip(x, 12, width - 12)), float(np.clip(y, 12, height - 12))
        return (x, height - 44.0) if x < 90 and y > height - 44 else (x, y)

    def _alt(self, title: str) -> str:
        target = self.result.injury.target()
        sizes = [
            f"{label_of(self.result.exposure, size.criterion)}: {text.millimetres(size.width_mm)} wide and "
            f"{text.millimetres(size.length_mm)} long"
            for size in self.result.exposure.lesions
        ]
        return (
            f"{title} ({backdrop.facing(self.plane)}). Image with the needle, "
            f"the lesion ({'; '.join(sizes)}), {self._line_words}, "
            f"and the nerve {target.nerve}, which is {target.coverage}."
        )


def near_curve(curve: Curve, plane: Plane) -> Curve:
    """The part of a curve that can matter in a picture; all of it where nothing else is left."""
    points = curve.as_array()
    reach = float(np.hypot(*plane.half_mm)) + 10.0
    near = np.flatnonzero(np.linalg.norm(points - plane.origin_mm, axis=1) < reach)
    if len(near) < 2:
        return curve
    return Curve.from_array(points[max(near[0] - 1, 0) : near[-1] + 2])


def dashes(criteria: Sequence[LesionCriterion]) -> tuple[tuple[LesionCriterion, str], ...]:
    """Each criterion with the dash pattern of its edge; isotherms have none, their lines are labelled."""
    patterns = iter(palette.CRITERION_DASHES * len(criteria))
    return tuple((c, "" if c.field in TEMPERATURES else next(patterns)) for c in criteria)


def label_of(exposure: Exposure, criterion: str) -> str:
    """What people read for a criterion's id."""
    return next((c.label for c in exposure.criteria if c.id == criterion), criterion)
