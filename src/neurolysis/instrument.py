"""Instruments as data: cannulae, generators and return pads, each number with its source."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.quantity import Quantity, Value

TipShape = Literal["straight", "curved", "tined", "cooled"]
InstrumentKind = Literal["electrode", "injection needle", "cold probe"]
"""What a listed instrument is made for: current from a bare tip, fluid from a bevel, or cold."""


class Tine(Value):
    """A wire that leaves the cannula near its tip, straight, in the cannula's own frame.

    The frame has its origin at the apex of the tip and its z axis along the shaft towards the hub.
    """

    start_mm: tuple[float, float, float]
    end_mm: tuple[float, float, float]
    radius_mm: float = Field(gt=0)


class Cooling(Value):
    """Coolant inside the tip: a fixed temperature behind a film coefficient."""

    coolant_temperature_c: Quantity
    film_coefficient_w_per_m2_k: Quantity


class Cannula(Value):
    """An electrode needle: bare at the active tip, insulated above it.

    ``outer_radius_mm`` includes the insulation only if the source says so. The thermocouple sits on
    the axis, ``thermocouple_from_apex_mm`` from the apex.
    """

    schema_version: Literal[1] = 1
    id: str = Field(min_length=1)
    name: str
    gauge: int = Field(ge=10, le=30)
    outer_radius_mm: Quantity
    active_tip_mm: float = Field(gt=0, le=60)
    shaft_length_mm: float = Field(gt=0, le=300)
    shape: TipShape = "straight"
    bend_angle_deg: float = Field(default=0.0, ge=0, le=60)
    bend_length_mm: float = Field(default=0.0, ge=0, le=30)
    tines: tuple[Tine, ...] = ()
    cooling: Cooling | None = None
    thermocouple_from_apex_mm: Quantity
    thermal_conductivity_w_per_m_k: Quantity
    heat_capacity_j_per_m3_k: Quantity

    @model_validator(mode="after")
    def _shape_is_complete(self) -> Self:
        if self.shape == "curved" and not (self.bend_angle_deg > 0 and self.bend_length_mm > 0):
            raise ValueError("a curved tip needs bend_angle_deg and bend_length_mm above zero")
        if self.shape == "tined" and not self.tines:
            raise ValueError("a tined tip needs its tines")
        if self.shape == "cooled" and self.cooling is None:
            raise ValueError("a cooled tip needs its cooling")
        if self.active_tip_mm >= self.shaft_length_mm:
            raise ValueError("the active tip must be shorter than the shaft")
        if not 0 <= self.thermocouple_from_apex_mm.value <= self.active_tip_mm:
            raise ValueError("the thermocouple must lie within the active tip")
        return self

    def assumptions(self) -> tuple[Quantity, ...]:
        """Every number of this instrument that no source supports."""
        numbers = (
            self.outer_radius_mm,
            self.thermocouple_from_apex_mm,
            self.thermal_conductivity_w_per_m_k,
            self.heat_capacity_j_per_m3_k,
        )
        return tuple(number for number in numbers if number.basis == "assumption")


class Generator(Value):
    """What the source can deliver; limits without a source are assumptions and shown."""

    schema_version: Literal[1] = 1
    id: str = Field(min_length=1)
    name: str
    frequency_khz: Quantity
    maximum_power_w: Quantity
    maximum_voltage_v: Quantity
    maximum_current_a: Quantity
    minimum_impedance_ohm: Quantity
    maximum_impedance_ohm: Quantity


class ReturnPad(Value):
    """Where the current leaves the body, and what the path there adds."""

    site: str = Field(min_length=1)
    path_resistance_ohm: Quantity
