"""The radiofrequency protocol: what the generator is told, with no patient in it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from neurolysis.delivery.form import needs
from neurolysis.plan import Protocol

Mode = Literal["temperature", "power", "voltage", "pulsed"]

MAXIMUM_SET_TEMPERATURE_C = 95.0
"""Above this a set temperature boils tissue at the tip; settings read go to 95 C (trigeminal, 60-95 C)."""


NEEDED: dict[str, tuple[str, ...]] = {
    "temperature": ("set_temperature_c",),
    "power": ("power_w",),
    "voltage": ("voltage_v",),
    "pulsed": ("voltage_v", "pulse_width_ms", "pulse_rate_hz", "temperature_ceiling_c"),
}
"""What each mode cannot do without."""


def _needed_by_mode(schema: dict[str, Any]) -> None:
    rules = schema.setdefault("allOf", [])
    rules.extend(needs(schema, "mode", mode, *names) for mode, names in NEEDED.items())


class RadiofrequencyProtocol(Protocol):
    """Radiofrequency heating.

    ``temperature``: the sensor follows a ramp from body temperature to ``set_temperature_c`` in
    ``ramp_s``, then holds; ``duration_s`` counts from the start, ramp included.
    ``power`` / ``voltage``: constant ``power_w`` or ``voltage_v`` (root mean square).
    ``pulsed``: ``voltage_v`` during pulses of ``pulse_width_ms`` at ``pulse_rate_hz``, the sensor kept
    at or below ``temperature_ceiling_c``; heat is averaged over the pulses.
    ``bipolar``: current flows between two placements, role ``active`` and role ``return``.
    """

    model_config = ConfigDict(json_schema_extra=_needed_by_mode)

    technique: Literal["radiofrequency"] = "radiofrequency"
    schema_version: Literal[1] = 1
    mode: Mode = "temperature"
    bipolar: bool = False
    set_temperature_c: float | None = Field(default=None, ge=38, le=MAXIMUM_SET_TEMPERATURE_C)
    ramp_s: float = Field(default=10.0, ge=0.5, le=120)
    duration_s: float = Field(gt=0, le=1800)
    power_w: float | None = Field(default=None, gt=0, le=200)
    voltage_v: float | None = Field(default=None, gt=0, le=200)
    pulse_width_ms: float | None = Field(default=None, gt=0, le=100)
    pulse_rate_hz: float | None = Field(default=None, gt=0, le=50)
    temperature_ceiling_c: float | None = Field(default=None, ge=37, le=MAXIMUM_SET_TEMPERATURE_C)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [name for name in NEEDED[self.mode] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"mode '{self.mode}' needs {', '.join(missing)}")
        if self.mode == "temperature" and self.ramp_s >= self.duration_s:
            raise ValueError(f"the ramp ({self.ramp_s} s) must be shorter than the duration")
        if self.mode == "pulsed" and self.duty > 1:
            raise ValueError("pulses overlap: pulse_width_ms times pulse_rate_hz exceeds one second")
        return self

    @property
    def duty(self) -> float:
        """Share of time the current is on."""
        if self.mode != "pulsed":
            return 1.0
        return (self.pulse_width_ms or 0.0) * (self.pulse_rate_hz or 0.0) / 1000.0

    @property
    def set_value(self) -> str:
        """The setting in words."""
        if self.mode == "temperature":
            return f"{self.set_temperature_c:g} °C"
        if self.mode == "power":
            return f"{self.power_w:g} W"
        if self.mode == "voltage":
            return f"{self.voltage_v:g} V"
        pulses = f"{self.pulse_width_ms:g} ms at {self.pulse_rate_hz:g} Hz"
        return f"pulsed {self.voltage_v:g} V, {pulses}, at most {self.temperature_ceiling_c:g} °C"
