"""The protocol of freezing: how cold, how long, how often, with no patient in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from neurolysis.delivery.form import choices, when
from neurolysis.plan import Protocol

if TYPE_CHECKING:
    from neurolysis.physics.freezing_run import Stretch

COLDEST_C = -196.0
WARMEST_TIP_C = -10.0


def _gases(schema: dict[str, Any]) -> None:
    """Which gases there are, and how cold a tip each was read to make."""
    from neurolysis.evidence.freezing import freezing_body

    gases = freezing_body().gases
    schema["properties"]["gas"] |= choices({name: gas.title for name, gas in gases.items()})
    schema.setdefault("allOf", []).extend(
        when(schema, {"gas": name}, {"tip_temperature_c": {"minimum": gas.coldest_tip_c.value}})
        for name, gas in gases.items()
    )


class CryoProtocol(Protocol):
    """Freezing with a probe whose tip a gas cools by its own expansion (Joule-Thomson).

    Each of ``cycles``: the tip goes to ``tip_temperature_c`` within ``ramp_s`` and stays there until
    ``freeze_s`` are over (ramp included), then ``thaw_s`` of thawing: passive (no gas) or active, with the
    tip at ``thaw_temperature_c``. ``maximum_power_w`` is the most heat one probe can take up; without it
    the tip is as cold as it is told to be, whatever flows in.
    ``distance_to_end_organ_mm``: from the lesion along the nerve to what it serves, for the return.
    """

    model_config = ConfigDict(json_schema_extra=_gases)

    technique: Literal["cryo"] = "cryo"
    schema_version: Literal[1] = 1
    gas: str = "nitrous_oxide"
    tip_temperature_c: float = Field(ge=COLDEST_C, le=WARMEST_TIP_C)
    maximum_power_w: float | None = Field(default=None, gt=0, le=1000)
    ramp_s: float = Field(default=5.0, ge=0, le=120)
    freeze_s: float = Field(gt=0, le=1800)
    cycles: int = Field(default=1, ge=1, le=6)
    thaw_s: float = Field(default=60.0, ge=0, le=1800)
    thaw_temperature_c: float | None = Field(default=None, ge=5, le=45)
    distance_to_end_organ_mm: float | None = Field(default=None, gt=0, le=1500)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        from neurolysis.evidence.freezing import freezing_body

        gas = freezing_body().gas(self.gas)
        if self.tip_temperature_c < gas.coldest_tip_c.value:
            raise ValueError(
                f"tip_temperature_c {self.tip_temperature_c:g} is colder than any tip read for {gas.title} "
                f"({gas.coldest_tip_c.value:g} °C)"
            )
        if self.ramp_s >= self.freeze_s:
            raise ValueError(f"ramp_s ({self.ramp_s:g}) must be shorter than freeze_s ({self.freeze_s:g})")
        return self

    @property
    def thaw_words(self) -> str:
        """How it thaws, in words."""
        how = "passive" if self.thaw_temperature_c is None else f"tip at {self.thaw_temperature_c:g} °C"
        return f"{self.thaw_s:g} s, {how}"


def stretches(
    *,
    start_c: float,
    tip_c: float,
    ramp_s: float,
    freeze_s: float,
    cycles: int,
    thaw_s: float,
    thaw_c: float | None,
    power_w: float | None,
) -> tuple[Stretch, ...]:
    """The stretches between breakpoints."""
    from neurolysis.physics.freezing_run import UNLIMITED_W, Stretch

    most = UNLIMITED_W if power_w is None else power_w
    once = [Stretch(freeze_s - ramp_s, True, tip_c, tip_c, most)]
    if ramp_s > 0:
        once.insert(0, Stretch(ramp_s, True, start_c, tip_c, most))
    if thaw_s > 0:
        warm = 0.0 if thaw_c is None else thaw_c
        once.append(Stretch(thaw_s, thaw_c is not None, warm, warm, most, heats=True))
    return tuple(once * cycles)
