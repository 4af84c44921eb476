"""Scene: the anatomy in one frame (LPS, mm): image, tissues, nerves and structures at risk."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from neurolysis.geometry import Curve, Point, Volume
from neurolysis.quantity import Quantity, Value, canonical_json

Review = Literal["given", "reviewed", "derived, unreviewed", "picked, unreviewed"]
AIR = "air"
"""The tissue name that is outside every solver's domain and so needs no properties."""
FibreClass = Literal["A-alpha", "A-beta", "A-delta", "B", "C"]


class TissueProperties(Value):
    """The material constants of one tissue; electrical ones at the frequency their record states."""

    name: str = Field(min_length=1)
    conductivity_s_per_m: Quantity
    conductivity_slope_per_c: Quantity
    thermal_conductivity_w_per_m_k: Quantity
    density_kg_per_m3: Quantity
    specific_heat_j_per_kg_k: Quantity
    perfusion_per_s: Quantity
    metabolic_heat_w_per_kg: Quantity
    note: str = ""

    def heat_capacity_j_per_m3_k(self) -> float:
        """Density times specific heat, J/(m3 K)."""
        return self.density_kg_per_m3.value * self.specific_heat_j_per_kg_k.value

    def assumptions(self) -> tuple[Quantity, ...]:
        """Every constant of this tissue that no source supports."""
        values = (getattr(self, field) for field in type(self).model_fields)
        return tuple(v for v in values if isinstance(v, Quantity) and v.basis == "assumption")


class TissueMap(BaseModel):
    """Which tissue each voxel is: index volume, the names behind the indices, and the uncertain part.

    ``volume`` holds small integers; ``names[index]`` is a tissue id of ``evidence/``. ``uncertain``
    (same frame, 0/1) marks voxels whose tissue could not be told, with the reason in ``notes``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    volume: Volume
    names: tuple[str, ...]
    uncertain: Volume | None = None
    outside: str = Field(description="tissue assumed beyond the image")
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _names_cover_indices(self) -> Self:
        low, high = int(self.volume.array.min()), int(self.volume.array.max())
        if low < 0 or high >= len(self.names):
            raise ValueError(f"tissue indices {low}..{high} but only {len(self.names)} names")
        if self.outside not in self.names:
            raise ValueError(f"tissue '{self.outside}' beyond the image is not among {self.names}")
        if self.uncertain is not None:
            self.volume.require_same_frame(self.uncertain)
        return self


class Nerve(Value):
    """A nerve as an uncertain curve.

    ``position_sd_mm`` is one standard deviation of its place square to its course;
    ``fibres`` the classes it carries (an empty tuple is unknown).
    """

    name: str = Field(min_length=1)
    catalogue_id: str
    side: Literal["left", "right", "midline"]
    curve: Curve
    radius_mm: Quantity
    position_sd_mm: Quantity
    fibres: tuple[FibreClass, ...] = ()
    fibres_source: str = ""
    is_target: bool = False
    review: Review = "given"
    derivation: str = ""


class Limit(Value):
    """A limit on one metric of a structure: warn and stop values, with the reason's source.

    ``direction`` says which side is bad: ``above`` (temperature) or ``below`` (distance); ``applies_to``
    the treatments it is meant for: heat, cold, an injected agent, or any.
    """

    metric: str = Field(min_length=1)
    unit: str
    direction: Literal["above", "below"]
    applies_to: Literal["any", "heat", "cold", "agent"] = "any"
    warn: float | None = None
    stop: float | None = None
    basis: Literal["sourced", "computed", "assumption", "site"] = "sourced"
    source: str = Field(min_length=1)
    reason: str = ""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.warn is None and self.stop is None:
            raise ValueError("a limit needs a warn or a stop value")
        if self.warn is not None and self.stop is not None:
            bad = self.stop < self.warn if self.direction == "above" else self.stop > self.warn
            if bad:
                raise ValueError("stop must lie beyond warn")
        return self


class Structure(BaseModel):
    """A structure at risk: a mask on the image grid, or unknown (mask is None) with the reason."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    name: str
    kind: str
    mask: Volume | None
    unknown_reason: str = ""
    limits: tuple[Limit, ...] = ()
    fluid_filled: bool = False
    position_sd_mm: float = 0.0
    review: Review = "given"
    derivation: str = ""

    @model_validator(mode="after")
    def _mask_or_reason(self) -> Self:
        if self.mask is None and not self.unknown_reason:
            raise ValueError(f"structure '{self.name}' has no mask and no reason for it")
        if self.mask is not None and not self.mask.array.any():
            raise ValueError(f"structure '{self.name}' has an empty mask")
        return self


class Landmark(Value):
    """A named place found in the labels or picked, LPS mm."""

    name: str
    point_mm: Point
    spread_mm: float | None = None
    review: Review = "derived, unreviewed"
    derivation: str = ""


class Scene(BaseModel):
    """All anatomy of a case in one frame."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    image: Volume
    labels: Mapping[str, Volume] = Field(default_factory=dict)
    tissues: TissueMap
    properties: Mapping[str, TissueProperties]
    nerves: tuple[Nerve, ...] = ()
    structures: tuple[Structure, ...] = ()
    landmarks: tuple[Landmark, ...] = ()
    level_names: tuple[str, ...] = Field(default=(), description="vertebrae seen in the labels")
    body_temperature_c: float = Field(default=37.0, ge=10, le=43)
    notes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = set(self.tissues.names) - set(self.properties) - {AIR}
        if missing:
            raise ValueError(f"no properties for tissues {sorted(missing)}")
        self.image.require_same_frame(self.tissues.volume)
        return self

    def target(self) -> Nerve:
        """The nerve to be treated; ValueError when the scene holds none or several."""
        targets = [nerve for nerve in self.nerves if nerve.is_target]
        if len(targets) != 1:
            raise ValueError(f"a plan needs exactly one target nerve, the scene holds {len(targets)}")
        return targets[0]

    def with_properties(self, sample: Mapping[str, TissueProperties]) -> Scene:
        """The same anatomy with some tissues' properties replaced (uncertainty samples)."""
        return self.model_copy(update={"properties": {**self.properties, **sample}})

    def content_hash(self) -> str:
        """SHA-256 (hex) over pixels with affine, tissues, properties, nerves and structures."""
        parts = {
            "image": self.image.content_hash(),
            "tissues": [self.tissues.volume.content_hash(), list(self.tissues.names)],
            "properties": {k: v.content_hash() for k, v in self.properties.items()},
            "nerves": [nerve.content_hash() for nerve in self.nerves],
            "structures": [[s.name, s.mask.content_hash() if s.mask else None] for s in self.structures],
            "body_temperature_c": self.body_temperature_c,
        }
        return hashlib.sha256(canonical_json(parts).encode()).hexdigest()
