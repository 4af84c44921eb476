"""Plan = anaesthesia + protocol + placements + limits: what is to be done, before it is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, SerializeAsAny, model_validator

from neurolysis.case import Implant, PatientPosition, Side
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.geometry import Point, RigidTransform, unit_vector
from neurolysis.instrument import Cannula, Generator, ReturnPad
from neurolysis.quantity import Value, parse

Severity = Literal["info", "warn", "stop"]


class Protocol(Value):
    """A recipe that knows no patient. Each technique subclasses it and narrows both fields."""

    technique: str
    schema_version: int


class Placement(Value):
    """Where an instrument lies: apex of the tip and direction towards the hub, LPS mm."""

    instrument: Cannula
    tip_mm: Point
    direction_to_hub: Point
    rotation_deg: float = 0.0
    role: Literal["active", "return"] = "active"

    @model_validator(mode="after")
    def _unit_direction(self) -> Self:
        length = sum(c * c for c in self.direction_to_hub) ** 0.5
        if abs(length - 1) > 1e-6:
            raise ValueError(f"direction_to_hub must have length 1, has {length:.6g}")
        return self

    @classmethod
    def between(cls, instrument: Cannula, tip_mm: Point, hub_mm: Point, **rest: Any) -> Self:
        """From the tip and any point up the shaft."""
        direction = unit_vector([h - t for h, t in zip(hub_mm, tip_mm, strict=True)])
        return cls(instrument=instrument, tip_mm=tip_mm, direction_to_hub=tuple(direction), **rest)

    def frame(self) -> RigidTransform:
        """Needle frame to LPS: origin at the apex, z towards the hub, turned by ``rotation_deg``."""
        import numpy as np

        base = RigidTransform.along_axis(self.tip_mm, self.direction_to_hub)
        angle = np.deg2rad(self.rotation_deg)
        turn = [[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]]
        return base.compose(RigidTransform.from_arrays(turn, [0, 0, 0]))


class Notice(Value):
    """Something the user must see: a rule that fired, with what was found and its source."""

    severity: Severity
    code: str
    text: str
    source: str = ""
    overridable: bool = True


class Numerics(Value):
    """Numbers of the solver, not of the patient; part of every hash."""

    finest_mm: float | None = Field(default=None, gt=0.02, le=3.0)
    extent_mm: float = Field(default=40.0, ge=15, le=100)
    growth: float = Field(default=1.15, gt=1.0, le=1.5)
    coarsest_mm: float = Field(default=4.0, gt=0.1, le=10)
    time_step_s: float = Field(default=1.0, gt=0, le=5)
    potential_every_s: float = Field(default=4.0, gt=0, le=30)
    relative_tolerance: float = Field(default=1e-4, gt=1e-10, le=1e-2)
    cooldown_to_c: float | None = Field(default=43.0, gt=30, le=60)


class TargetName(Value):
    """Nerve, side, bony level crossed and joint treated, as the plan and every page name them."""

    nerve: str
    side: Side
    bony_level: str | None = None
    joint: str | None = None


class Plan(Value):
    """A plan for one target, with the hashes of what it was made from."""

    schema_version: Literal[1] = 1
    case_id: str
    case_hash: str
    scene_hash: str
    evidence_version: str
    software_version: str
    target: TargetName
    anaesthesia: str = Field(description="the anaesthesia plan, or why there is none yet")
    protocol: SerializeAsAny[Protocol]
    placements: tuple[Placement, ...] = Field(description="none where the technique places no instrument")
    generator: Generator | None = None
    return_pad: ReturnPad | None = None
    implants: tuple[Implant, ...] | None = Field(
        default=None, description="metal and devices near the tip; None is unknown"
    )
    fluid_at_tip_ml: float | None = Field(default=None, ge=0, description="given before delivery")
    fluid_name: str = ""
    position: PatientPosition | None = Field(default=None, description="how the patient lies during delivery")
    position_tilt_deg: float = Field(default=0.0, ge=-90, le=90, description="head up of the table, degrees")
    declared_approach: str = ""
    numerics: Numerics = Numerics()
    notices: tuple[Notice, ...] = ()

    @classmethod
    def read(cls, data: Mapping[str, Any], protocols: Mapping[str, type[Protocol]], where: str) -> Plan:
        """A plan from plain data; ``protocols`` maps technique names to their protocol models.

        Raises:
            InputError: naming the field; UnknownNameError for a technique that is not registered.
        """
        recipe = data.get("protocol")
        if not isinstance(recipe, Mapping) or "technique" not in recipe:
            raise InputError("a plan needs a protocol with its technique", where=where)
        name = str(recipe["technique"])
        if name not in protocols:
            raise UnknownNameError(
                "unknown technique",
                where=f"{where}: protocol.technique",
                found=name,
                allowed=sorted(protocols),
            )
        protocol = parse(protocols[name], recipe, f"{where}: protocol")
        return parse(cls, {**data, "protocol": protocol}, where)
