"""Exposure: what the tissue gets, as labelled fields on the grid they were solved on.

Fields live at cell centres of a tensor grid in a local frame (mm); ``frame`` maps local to LPS. A delivery
that acts along nerves and not on a volume has a grid without cells, and its fields in ``along``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurolysis.errors import UnknownNameError
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.plan import Notice, Numerics
from neurolysis.quantity import Quantity, Value, canonical_json

if TYPE_CHECKING:
    import xarray


class LesionCriterion(Value):
    """One definition of "lesioned": a field at or beyond a threshold. Definitions disagree; all show.

    ``direction`` says on which side tissue is lesioned: ``above`` (heat, an agent) or ``below`` (cold).
    """

    id: str
    label: str
    field: str
    threshold: float
    unit: str
    source: str
    direction: Literal["above", "below"] = "above"

    @property
    def sign(self) -> int:
        """1 where more of the field is worse, -1 where less is."""
        return 1 if self.direction == "above" else -1

    def reached(self, values: ArrayLike) -> NDArray[np.bool_]:
        """Where a field's values, in its own unit, count as lesioned; NaN never does."""
        found: NDArray[np.bool_] = self.sign * np.asarray(values) >= self.sign * self.threshold
        return found


class LesionSize(Value):
    """Size of the lesion by one criterion, in the needle's frame (z = 0 at the apex, + to the hub).

    ``distal_extent_mm`` reaches beyond the apex, ``proximal_extent_mm`` beyond the hub-side end of
    the active tip; both are negative when the lesion stops short. ``reaches_boundary`` marks a lesion
    cut by the edge of the computed box, whose size is then a lower bound.
    """

    criterion: str
    width_mm: float
    length_mm: float
    volume_mm3: float
    distal_extent_mm: float
    proximal_extent_mm: float
    reaches_boundary: bool = False


class LabelledField(BaseModel):
    """A field (nx, ny, nz) at cell centres with its name, unit and time (None: over the whole run)."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    unit: str
    array: NDArray[Any]
    time_s: float | None = None
    description: str = ""


class EnergyBalance(Value):
    """Energy over the run, joule. ``error`` = |supplied + metabolic - stored - out| / sum of inputs.

    It shows bugs, not accuracy: a refinement error stands beside it where one was computed.
    """

    supplied_j: float
    metabolic_j: float
    stored_j: float
    out_boundary_j: float
    out_perfusion_j: float
    out_coolant_j: float
    out_needle_j: float
    error: float


class LineFields(BaseModel):
    """Fields along one nerve of the scene: (n,) values at stations ``arc_mm`` from its first point.

    ``stretches_mm`` names parts of the course (from, to), for instance what was operated on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    nerve: str
    arc_mm: FloatArray
    points_mm: FloatArray
    fields: Mapping[str, LabelledField]
    stretches_mm: Mapping[str, tuple[tuple[float, float], ...]] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        count = len(self.arc_mm)
        if self.points_mm.shape != (count, 3):
            raise ValueError(f"{count} stations but points of shape {self.points_mm.shape}")
        for name, field in self.fields.items():
            if field.array.shape != (count,):
                raise ValueError(f"field '{name}' has shape {field.array.shape} for {count} stations")
        return self

    def operated_mm(self) -> FloatArray:
        """Stations (m, 3) LPS within the stretch "operated"; none where nothing is."""
        inside = np.zeros(len(self.arc_mm), dtype=bool)
        for low, high in self.stretches_mm.get(OPERATED, ()):
            inside |= (self.arc_mm >= low) & (self.arc_mm <= high)
        return self.points_mm[inside]


OPERATED = "operated"
"""Name of the stretch that is operated on."""


class ResultTable(Value):
    """What a delivery found besides fields, as a table; a head that begins with ">" stands over numbers."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str | float | None, ...], ...]
    note: str = ""
    sources: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        if any(len(row) != len(self.columns) for row in self.rows):
            raise ValueError(f"table '{self.title}': rows and heads differ in number")
        return self


class Answer(Value):
    """A delivery's own first answer, where a covered length is not the question."""

    label: str
    answer: str
    tone: Literal["plain", "good", "warn", "stop"] = "plain"
    number: str = ""
    number_note: str = ""
    details: tuple[str, ...] = ()


class Exposure(BaseModel):
    """Fields, time series and lesion sizes of one simulated delivery."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    technique: str
    frame: RigidTransform
    axes_mm: tuple[FloatArray, FloatArray, FloatArray]
    cell_volume_mm3: NDArray[Any]
    fields: Mapping[str, LabelledField]
    instrument: NDArray[np.bool_] = Field(description="cells inside the instrument, (nx, ny, nz)")
    time_s: FloatArray
    series: Mapping[str, FloatArray]
    series_units: Mapping[str, str]
    criteria: tuple[LesionCriterion, ...]
    lesions: tuple[LesionSize, ...]
    energy: EnergyBalance | None = None
    outside_image_fraction: float = Field(
        default=0.0, ge=0, le=1, description="part of the largest lesion that lies beyond the image"
    )
    model_errors: tuple[Quantity, ...] = ()
    verdict_allowed: bool = Field(default=True, description="False: this delivery never counts as 'covered'")
    notices: tuple[Notice, ...] = ()
    numerics: Numerics
    solver: Mapping[str, float | int | str]
    plan_hash: str = ""
    along: Mapping[str, LineFields] = Field(default_factory=dict, description="fields along nerves, by name")
    answer: Answer | None = None
    tables: tuple[ResultTable, ...] = ()

    @classmethod
    def on_nerves(cls, along: Mapping[str, LineFields], **rest: Any) -> Self:
        """The exposure of a delivery that has fields along nerves and none in space."""
        none = np.zeros(0)
        empty = np.zeros((0, 0, 0))
        return cls(
            frame=RigidTransform.from_arrays(np.eye(3), np.zeros(3)),
            axes_mm=(none, none, none),
            cell_volume_mm3=empty,
            fields={},
            instrument=empty.astype(bool),
            criteria=(),
            lesions=(),
            along=along,
            **rest,
        )

    @property
    def has_grid(self) -> bool:
        """Whether there are fields in space."""
        return all(len(axis) > 0 for axis in self.axes_mm)

    @model_validator(mode="after")
    def _shapes_agree(self) -> Self:
        shape = tuple(len(axis) for axis in self.axes_mm)
        for name, field in self.fields.items():
            if field.array.shape != shape:
                raise ValueError(f"field '{name}' has shape {field.array.shape}, the grid {shape}")
        for name, values in self.series.items():
            if values.shape != self.time_s.shape:
                raise ValueError(f"series '{name}' has {values.shape} values for {self.time_s.shape} times")
        return self

    def field(self, name: str) -> LabelledField:
        """A field by name; UnknownNameError lists what there is."""
        if name not in self.fields:
            raise UnknownNameError("no such field", found=name, allowed=sorted(self.fields))
        return self.fields[name]

    def to_local(self, points_lps_mm: ArrayLike) -> FloatArray:
        """LPS points (..., 3) in the grid's local frame, mm."""
        return self._to_local.apply(points_lps_mm)

    @cached_property
    def _to_local(self) -> RigidTransform:
        return self.frame.inverse()

    def covers(self, points_lps_mm: ArrayLike) -> NDArray[np.bool_]:
        """Which LPS points (..., 3) lie inside the grid of cell centres, (...,)."""
        local = self.to_local(points_lps_mm)
        low = np.array([axis[0] for axis in self.axes_mm])
        high = np.array([axis[-1] for axis in self.axes_mm])
        inside: NDArray[np.bool_] = np.all((local >= low) & (local <= high), axis=-1)
        return inside

    def sample(self, name: str, points_lps_mm: ArrayLike, *, outside: float = np.nan) -> FloatArray:
        """A field at LPS points (..., 3), linear between cell centres; ``outside`` beyond the grid."""
        from scipy.interpolate import RegularGridInterpolator

        interpolate = RegularGridInterpolator(
            self.axes_mm, self.field(name).array, bounds_error=False, fill_value=outside
        )
        values: FloatArray = interpolate(self.to_local(points_lps_mm))
        return values

    def lesion_mask(self, criterion: LesionCriterion) -> NDArray[np.bool_]:
        """Cells (nx, ny, nz) at or beyond the criterion's threshold."""
        return criterion.reached(self.field(criterion.field).array)

    def to_xarray(self) -> xarray.Dataset:
        """All fields, in space and along nerves, and series as an xarray Dataset (extra ``xarray``)."""
        import xarray

        names = ("x_mm", "y_mm", "z_mm")
        data: dict[str, Any] = {
            name: (names, field.array, {"units": field.unit, "description": field.description})
            for name, field in self.fields.items()
        }
        for name, values in self.series.items():
            data[f"series_{name}"] = (("time_s",), values, {"units": self.series_units.get(name, "")})
        coords: dict[str, Any] = {**dict(zip(names, self.axes_mm, strict=True)), "time_s": self.time_s}
        for number, line in enumerate(self.along.values(), start=1):
            arc = f"nerve_{number}_arc_mm"
            coords[arc] = line.arc_mm
            for name, field in line.fields.items():
                about = {"units": field.unit, "description": field.description, "nerve": line.nerve}
                data[f"nerve_{number}_{name}"] = ((arc,), field.array, about)
        attributes = {
            "frame_rotation": np.array(self.frame.rotation).ravel(),
            "frame_translation_mm": np.array(self.frame.translation_mm),
            "technique": self.technique,
            "plan_hash": self.plan_hash,
        }
        return xarray.Dataset(data, coords=coords, attrs=attributes)

    def content_hash(self) -> str:
        """SHA-256 (hex) over plan hash, numerics, grid and fields."""
        head = {
            "plan": self.plan_hash,
            "numerics": self.numerics.model_dump(mode="json"),
            "axes": [axis.tolist() for axis in self.axes_mm],
            "fields": sorted(self.fields),
        }
        if self.along:
            head["along"] = {name: sorted(line.fields) for name, line in sorted(self.along.items())}
        digest = hashlib.sha256(canonical_json(head).encode())
        for name in sorted(self.fields):
            digest.update(np.ascontiguousarray(self.fields[name].array).tobytes())
        for _, line in sorted(self.along.items()):
            digest.update(np.ascontiguousarray(line.arc_mm).tobytes())
            for name in sorted(line.fields):
                digest.update(np.ascontiguousarray(line.fields[name].array).tobytes())
        return digest.hexdigest()


Provenance = Literal["physics", "evidence", "assumption"]
"""Which part of a prediction a number is."""
