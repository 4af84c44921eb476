"""The protocol of an operation on a nerve: what is freed or cut, what holds it, and how the limb moves.

Places are millimetres along the target nerve from the first point it is drawn with.
"""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.plan import Protocol
from neurolysis.quantity import Quantity, Value

Mode = Literal["external", "internal", "neurectomy"]
FoundBy = Literal["operation", "labels", "imaging", "assumed"]
Anaesthesia = Literal["general", "regional", "local"]


class Stretch(Value):
    """A part of the course."""

    from_mm: float = Field(ge=0)
    to_mm: float = Field(gt=0)

    @model_validator(mode="after")
    def _grows(self) -> Self:
        if self.to_mm <= self.from_mm:
            raise ValueError(f"to_mm {self.to_mm:g} must be beyond from_mm {self.from_mm:g}")
        return self

    @property
    def length_mm(self) -> float:
        """Its length."""
        return self.to_mm - self.from_mm


class Scar(Value):
    """Scar that holds the nerve: a stretch, or a structure of the scene (labels of MR or ultrasound).

    ``shear_kpa`` None takes the record of the evidence, with its whole range.
    """

    from_mm: float | None = Field(default=None, ge=0)
    to_mm: float | None = Field(default=None, gt=0)
    structure: str | None = Field(default=None, min_length=1)
    shear_kpa: Quantity | None = None
    found_by: FoundBy = "assumed"

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.from_mm is None) != (self.to_mm is None):
            raise ValueError("give both from_mm and to_mm, or neither")
        if (self.from_mm is None) == (self.structure is None):
            raise ValueError("give a stretch (from_mm, to_mm) or a structure, not both")
        if self.from_mm is not None and self.to_mm is not None and self.to_mm <= self.from_mm:
            raise ValueError(f"to_mm {self.to_mm:g} must be beyond from_mm {self.from_mm:g}")
        if self.shear_kpa is not None and (self.shear_kpa.unit != "kPa" or self.shear_kpa.value <= 0):
            raise ValueError("shear_kpa: a positive number in kPa")
        return self


class Tether(Value):
    """A band that holds the nerve at one place, as a spring along the course."""

    at_mm: float = Field(ge=0)
    n_per_mm: float = Field(gt=0, le=1000)
    found_by: FoundBy = "assumed"


class Tunnel(Stretch):
    """A tight place with the pressure measured in it; ``after`` is what is expected once it is opened.

    A ``kind`` whose change of compliance was read gives the pressure after, where none is entered.
    """

    name: str = Field(min_length=1)
    pressure_mmhg: float = Field(ge=0, le=300)
    after_mmhg: float | None = Field(default=None, ge=0, le=300)
    kind: Literal["carpal_tunnel", "other"] = "other"
    measured_by: str = Field(min_length=1, description="how and by whom, or that it is assumed")


class Joint(Stretch):
    """A joint whose movement lengthens (or, below zero, shortens) the bed along a stretch of the course."""

    name: str = Field(min_length=1)
    elongation_mm: Quantity


class Pull(Value):
    """A published excursion of the nerve, imposed on one end and outwards."""

    motion: str = Field(min_length=1, description="a published movement; an unknown name lists all")
    end: Literal["first", "last"]


class ReleaseProtocol(Protocol):
    """An operation on the target nerve.

    ``freed`` is what is freed (or, in ``mode`` neurectomy, removed). ``rescar_share`` is the scenario of scar
    that comes back over all that was freed, as a share of its former stiffness. ``hold_min`` is how long the
    movement is held, for the fall of tension. ``anaesthesia`` must be named before a plan is approved.
    """

    technique: Literal["release"] = "release"
    schema_version: Literal[1] = 1
    mode: Mode = "external"
    freed: tuple[Stretch, ...] = ()
    scars: tuple[Scar, ...] = ()
    tethers: tuple[Tether, ...] = ()
    tunnels: tuple[Tunnel, ...] = ()
    joints: tuple[Joint, ...] = ()
    pulls: tuple[Pull, ...] = ()
    movement: str = Field(default="", description="the movement in words")
    pre_strain_percent: float | None = Field(default=None, ge=0, le=30)
    modulus_mpa: Quantity | None = None
    bed_kpa: Quantity | None = None
    rescar_share: float = Field(default=1.0, ge=0, le=1)
    hold_min: float = Field(default=60.0, gt=0, le=600)
    approach_mm: float | None = Field(default=None, gt=0, le=100)
    anaesthesia: Anaesthesia | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.mode == "neurectomy" and len(self.freed) != 1:
            raise ValueError("a neurectomy removes exactly one stretch (freed)")
        for first, second in zip(
            sorted(self.freed, key=lambda s: s.from_mm)[:-1],
            sorted(self.freed, key=lambda s: s.from_mm)[1:],
            strict=True,
        ):
            if second.from_mm < first.to_mm:
                raise ValueError("the stretches that are freed overlap")
        if len({pull.end for pull in self.pulls}) != len(self.pulls):
            raise ValueError("one pull at most on each end")
        return self
