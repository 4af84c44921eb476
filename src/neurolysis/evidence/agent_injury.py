"""How a nerve is injured by an agent around it: constants with bands, and the experiments behind them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal, Self

from pydantic import Field, model_validator

from neurolysis.evidence.store import load_yaml, pick, read_value, sources
from neurolysis.quantity import Quantity, Value

FILE = "agent_injury.yaml"
Case3 = Literal["mild", "middle", "severe"]
"""Which end of every band: least injury, the middle, most injury."""


class LethalDose(Value):
    """The concentration in nerve that kills if it lasts that long."""

    lethal_percent: Quantity
    lethal_min: Quantity


class NerveExperiment(Value):
    """An animal experiment that the constants are held against."""

    id: str
    agent: str
    percent: float = Field(gt=0)
    minutes: float = Field(gt=0)
    radius_mm: float = Field(gt=0)
    sheath: Literal["none", "sheath"]
    diluted_by: str = ""
    expect: Literal["none", "rim", "some", "most"]
    reading: str
    text: str
    note: str = ""


class AgentInjury(Value):
    """Everything the injury of nerves by agents rests on."""

    sheath_factor: Quantity
    nerve_diffusivity_m2_per_s: Quantity
    same_for_all_fibres: str
    selectivity_sources: tuple[str, ...]
    agents: Mapping[str, LethalDose]
    experiments: tuple[NerveExperiment, ...]

    @model_validator(mode="after")
    def _known(self) -> Self:
        unknown = set(self.selectivity_sources) - set(sources())
        if unknown:
            raise ValueError(f"unknown sources {sorted(unknown)}")
        return self

    def dose(self, agent: str) -> LethalDose:
        """One agent's constants; UnknownNameError lists the agents."""
        return pick(self.agents, agent, "agent with an injury curve")


@cache
def agent_injury() -> AgentInjury:
    """The shipped constants."""
    return read_value(AgentInjury, load_yaml(FILE), FILE)


def end_of(number: Quantity, end: Literal["low", "value", "high"]) -> float:
    """One end of a quantity's band; its value where that end is not given."""
    found = getattr(number, end)
    return number.value if found is None else float(found)
