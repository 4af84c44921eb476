"""The protocol of a laser: what the source and the fibre are told, with no patient in it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from neurolysis.delivery.form import needs
from neurolysis.plan import Protocol

Emitter = Literal["bare", "diffuser"]
Charring = Literal["never", "when_dry", "from_start"]


def _needed_by_mode(schema: dict[str, Any]) -> None:
    """What a mode and an emitter cannot do without, and which wavelengths have optics."""
    from neurolysis.evidence.optics import reach_nm, wavelengths_nm

    known = ", ".join(f"{nm:g}" for nm in wavelengths_nm())
    schema["properties"]["wavelength_nm"]["description"] = (
        f"optics were read for {known} nm, each good for {reach_nm():g} nm either way"
    )
    schema.setdefault("allOf", []).extend(
        (
            needs(schema, "mode", "pulsed", "pulse_ms", "pulse_rate_hz"),
            needs(schema, "emitter", "diffuser", "diffuser_length_mm"),
        )
    )


class LaserProtocol(Protocol):
    """Light of one wavelength through one fibre a placement; the tip of a placement is the fibre's end.

    ``power_w`` is what leaves each fibre while the light is on. ``pulsed``: on for ``pulse_ms`` at
    ``pulse_rate_hz``; heat is averaged over the pulses. A bare fibre shines forwards into the cone of its
    numerical aperture, a diffuser from its side over ``diffuser_length_mm`` behind its end. ``charring``:
    the tip stays clean, carbonises once tissue at it has boiled dry, or is carbonised from the start; then
    part of the light is heat at the tip.
    """

    model_config = ConfigDict(json_schema_extra=_needed_by_mode)

    technique: Literal["laser"] = "laser"
    schema_version: Literal[1] = 1
    wavelength_nm: float = Field(ge=808, le=1470)
    power_w: float = Field(gt=0, le=40)
    mode: Literal["continuous", "pulsed"] = "continuous"
    pulse_ms: float | None = Field(default=None, gt=0, le=5000)
    pulse_rate_hz: float | None = Field(default=None, gt=0, le=1000)
    duration_s: float = Field(gt=0, le=1800)
    emitter: Emitter = "bare"
    core_radius_mm: float = Field(default=0.2, ge=0.05, le=1.0)
    numerical_aperture: float = Field(default=0.22, gt=0, lt=1)
    diffuser_length_mm: float | None = Field(default=None, gt=0, le=40)
    fibre_beyond_needle_mm: float = Field(default=5.0, ge=0, le=60)
    charring: Charring = "when_dry"
    photons: int = Field(
        default=20_000, ge=1000, le=10**8, description="traced at every renewal of the light"
    )
    seed: int = Field(default=1, ge=0, le=2**31)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        from neurolysis.evidence.optics import spectrum

        spectrum(self.wavelength_nm)
        if self.mode == "pulsed" and (self.pulse_ms is None or self.pulse_rate_hz is None):
            raise ValueError("mode 'pulsed' needs pulse_ms, pulse_rate_hz")
        if self.duty > 1:
            raise ValueError("pulses overlap: pulse_ms times pulse_rate_hz exceeds one second")
        if self.emitter == "diffuser":
            if self.diffuser_length_mm is None:
                raise ValueError("emitter 'diffuser' needs diffuser_length_mm")
            if self.diffuser_length_mm > self.fibre_beyond_needle_mm:
                raise ValueError("the diffuser must lie beyond the needle: raise fibre_beyond_needle_mm")
        return self

    @property
    def duty(self) -> float:
        """Share of time the light is on."""
        if self.mode != "pulsed":
            return 1.0
        return (self.pulse_ms or 0.0) * (self.pulse_rate_hz or 0.0) / 1000.0

    @property
    def energy_j(self) -> float:
        """What leaves one fibre in the whole treatment."""
        return self.power_w * self.duty * self.duration_s

    @property
    def length_mm(self) -> float:
        """Length that emits."""
        return (self.diffuser_length_mm or 0.0) if self.emitter == "diffuser" else 0.0
