"""The protocol of an injection: agent, strength, volume and rate, with no patient in it."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from neurolysis.delivery.form import choices, when
from neurolysis.plan import Protocol

Space = Literal["tissue", "subarachnoid", "cistern"]
ML_PER_MIN = 1e-6 / 60
"""m3/s."""


def _agents_and_strengths(schema: dict[str, Any]) -> None:
    """Which agents there are, in what each is dissolved, and which strengths of it exist."""
    from neurolysis.evidence.injectates import injectate, injectate_names

    known = [injectate(name) for name in injectate_names()]
    schema["properties"]["agent"] |= choices({one.id: one.title for one in known})
    rules = schema.setdefault("allOf", [])
    for agent in known:
        rules.append(when(schema, {"agent": agent.id}, {"vehicle": choices({v: v for v in agent.solutions})}))
        for vehicle, made in agent.solutions.items():
            limits = {
                "minimum": made.lowest_percent,
                "maximum": made.highest_percent,
                "description": f"{agent.percent_means}; {made.outside}",
            }
            given = {"agent": agent.id, "vehicle": vehicle}
            rules.append(when(schema, given, {"concentration_percent": limits}))


class ChemicalProtocol(Protocol):
    """An injection of a neurolytic agent.

    ``volume_ml`` is all that goes through each needle, ``admixture_ml`` the part of it that is no agent
    (contrast, local anaesthetic). ``space`` subarachnoid and cistern are free fluid, not tissue:
    the first needs ``target_roots``, ``space_width_mm`` and ``space_height_mm``, the second
    ``space_volume_ml``; no source read gives these sizes.
    ``density_g_per_ml`` is the solution's where it was not read, entered by the site.
    ``ceiling_g`` is the institution's own maximum of the agent; above it, or above the alert of the agent's
    record, a plan stops unless ``ceiling_override`` says who allowed it and why.
    """

    model_config = ConfigDict(json_schema_extra=_agents_and_strengths)

    technique: Literal["chemical"] = "chemical"
    schema_version: Literal[1] = 1
    agent: str = Field(min_length=1)
    vehicle: str = "water"
    concentration_percent: float = Field(gt=0, le=100)
    volume_ml: float = Field(gt=0, le=60)
    rate_ml_per_min: float = Field(default=5.0, gt=0, le=60)
    admixture_ml: float = Field(default=0.0, ge=0)
    admixture: str = ""
    observe_min: float = Field(default=30.0, gt=0, le=240)
    one_after_the_other: bool = True
    space: Space = "tissue"
    target_roots: Literal["uppermost", "lowermost"] | None = None
    space_volume_ml: float | None = Field(default=None, gt=0, le=60)
    space_width_mm: float | None = Field(default=None, gt=1, le=40)
    space_height_mm: float | None = Field(default=None, gt=1, le=40)
    density_g_per_ml: float | None = Field(default=None, gt=0.5, lt=2)
    ceiling_g: float | None = Field(default=None, gt=0)
    ceiling_override: str = ""

    @model_validator(mode="after")
    def _agent_is_known(self) -> Self:
        from neurolysis.evidence.injectates import injectate

        record = injectate(self.agent)
        record.require_strength(self.concentration_percent, self.vehicle, "concentration_percent")
        if self.admixture_ml >= self.volume_ml:
            raise ValueError("admixture_ml must be less than volume_ml")
        if self.admixture_ml and not self.admixture.strip():
            raise ValueError("admixture_ml needs the name of the admixture")
        return self

    @property
    def injected_percent(self) -> float:
        """Strength of what leaves the needle: the admixture dilutes it."""
        return self.concentration_percent * (1 - self.admixture_ml / self.volume_ml)

    @property
    def injection_s(self) -> float:
        """How long one needle is injected."""
        return 60.0 * self.volume_ml / self.rate_ml_per_min

    def total_g(self, needles: int, density_g_per_ml: float) -> float:
        """Mass of agent through all needles: w/v is g per 100 mL, v/v times the pure liquid's density."""
        return (
            needles
            * (self.volume_ml - self.admixture_ml)
            * self.concentration_percent
            / 100
            * density_g_per_ml
        )
