"""Neurolytic agents and their solutions, and tissue as a porous space: data with sources, and doubt.

Percent means volume by volume for ethanol and glycerol, weight by volume for phenol. What was not read is
absent (the density of phenol solutions, for instance): asking for it is an error that says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.store import load_yaml, pick, read_value
from neurolysis.quantity import Quantity, Value

FILE = "injectates.yaml"
TISSUE_FILE = "porous_tissues.yaml"
BODY_C = 37.0


class ViscosityPoint(Value):
    """Viscosity at a part (0 to 1) of the pure agent or vehicle and a temperature, as printed."""

    part: float = Field(ge=0, le=1)
    temperature_c: float
    mpa_s: float = Field(gt=0)
    source: str
    reading: str


class Solution(Value):
    """An agent in a vehicle: strengths allowed, and what is known of density and viscosity."""

    lowest_percent: float = Field(gt=0)
    highest_percent: float = Field(gt=0, le=100)
    outside: str
    pure_density_g_per_ml: Quantity | None = None
    density_known: bool
    vehicle: str = ""
    viscosity_points: tuple[ViscosityPoint, ...] = ()
    mixing_note: str


class Threshold(Value):
    """A concentration that clinicians go by, and where it was read."""

    id: str
    percent: float = Field(gt=0)
    label: str
    source: str
    reading: str


class Motor(Value):
    """The concentration above which motor loss is described."""

    percent: float
    text: str
    source: str


class Injectate(Value):
    """One neurolytic agent."""

    id: str
    title: str
    percent_means: Literal["v/v", "w/v"]
    solutions: Mapping[str, Solution]
    diffusivity_m2_per_s: Quantity
    thresholds: tuple[Threshold, ...] = Field(min_length=1)
    motor: Motor | None = None
    stops_perfusion: bool
    baricity: Literal["hypobaric", "hyperbaric"]
    baricity_source: str
    admixture_note: str = ""
    total_dose_alert_g: Quantity | None = None

    def solution(self, vehicle: str) -> Solution:
        """The agent in a vehicle; UnknownNameError lists the vehicles."""
        return pick(self.solutions, vehicle, f"vehicle of {self.id}")

    def require_strength(self, percent: float, vehicle: str, where: str) -> None:
        """InputError unless the strength is one that exists and was described."""
        made = self.solution(vehicle)
        if not made.lowest_percent <= percent <= made.highest_percent:
            raise InputError(
                f"no such strength of {self.id} in {vehicle}: {made.outside}",
                where=where,
                found=f"{percent:g} %",
                allowed=f"{made.lowest_percent:g} to {made.highest_percent:g} % {self.percent_means}",
            )


class PorousTissue(Value):
    """One tissue as a porous space; ``title`` only where the tissue is none of the tissue map's."""

    permeability_m2: Quantity
    porosity: Quantity
    water: Quantity
    title: str = ""


class Walls(Value):
    """What holds an injectate back altogether."""

    tissues: tuple[str, ...]
    structures: tuple[str, ...]
    source: str


class PorousBody(Value):
    """All tissues as porous spaces, and what they have in common."""

    tissues: Mapping[str, PorousTissue]
    other_tissues: str
    stiffness_pa: Quantity
    leak_per_pa_s: Quantity
    grain_ratio: Quantity
    rest_share: Quantity
    fascia_factor: Quantity
    backflow_mm: Quantity
    outlet_mm: Quantity
    walls: Walls
    pressure_notice_pa: Quantity

    def tissue(self, name: str) -> PorousTissue:
        """A tissue's record; one without its own is taken as ``other_tissues``."""
        return self.tissues.get(name, self.tissues[self.other_tissues])


class StillFluid(Value):
    """The tissue's own fluid."""

    density_g_per_ml: Quantity
    viscosity_mpa_s: Quantity


def injectate_names() -> tuple[str, ...]:
    """Every agent."""
    return tuple(_agents())


def injectate(name: str) -> Injectate:
    """One agent; UnknownNameError lists them."""
    return pick(_agents(), name, "agent")


@cache
def still_fluid() -> StillFluid:
    """The tissue's own fluid."""
    return read_value(StillFluid, load_yaml(FILE)["still_fluid"], f"{FILE}: still_fluid")


@cache
def exchange_half_time_min() -> Quantity:
    """How fast cell water takes an agent up from the pores."""
    return read_value(Quantity, load_yaml(FILE)["exchange_half_time_min"], f"{FILE}: exchange_half_time_min")


@cache
def porous_body() -> PorousBody:
    """Every tissue as a porous space."""
    return read_value(PorousBody, load_yaml(TISSUE_FILE), TISSUE_FILE)


def mixture_viscosity_mpa_s(
    solution: Solution, strength: float, parts: NDArray[np.float64], fluid_mpa_s: float
) -> NDArray[np.float64]:
    """Viscosity (n,) at body temperature of mixtures of a solution and tissue fluid, mPa.s.

    Args:
        strength: part (0 to 1) of the pure agent, or of the vehicle, in the undiluted solution.
        parts: (n,) parts of the solution in the mixture, 0 to 1.

    Straight lines in the logarithm between the points read; tissue fluid at 0. Without points the fluid's.
    """
    if not solution.viscosity_points:
        return np.full_like(parts, fluid_mpa_s)
    by_part: dict[float, list[ViscosityPoint]] = {}
    for point in solution.viscosity_points:
        by_part.setdefault(point.part, []).append(point)
    known = sorted((part, _at_body_temperature(points)) for part, points in by_part.items())
    at = [0.0, *(part for part, _ in known)]
    logs = [math.log(fluid_mpa_s), *(math.log(value) for _, value in known)]
    return np.exp(np.interp(np.clip(parts * strength, 0, 1), at, logs))


def _at_body_temperature(points: list[ViscosityPoint]) -> float:
    """Viscosity at 37 C, from the two printed temperatures nearest to it, in the logarithm."""
    near = sorted(
        sorted(points, key=lambda p: abs(p.temperature_c - BODY_C))[:2], key=lambda p: p.temperature_c
    )
    if len(near) == 1:
        return near[0].mpa_s
    low, high = near
    share = (BODY_C - low.temperature_c) / (high.temperature_c - low.temperature_c)
    return math.exp((1 - share) * math.log(low.mpa_s) + share * math.log(high.mpa_s))


def solution_density_g_per_ml(agent: Injectate, vehicle: str, percent: float) -> float:
    """Density of the undiluted solution: by volume between tissue fluid and the pure liquid.

    Raises:
        UnknownNameError: no density was read for this solution; a site enters its own.
    """
    pure = agent.solution(vehicle).pure_density_g_per_ml
    if pure is None:
        raise UnknownNameError(
            "no density of this solution was read: enter density_g_per_ml", found=f"{agent.id} in {vehicle}",
            allowed=[
                name
                for name, known in _agents().items()
                if any(s.density_known for s in known.solutions.values())
            ],
        )  # fmt: skip
    share = percent / 100
    return share * pure.value + (1 - share) * still_fluid().density_g_per_ml.value


@cache
def _agents() -> Mapping[str, Injectate]:
    data: dict[str, Any] = load_yaml(FILE)["agents"]
    return MappingProxyType(
        {name: read_value(Injectate, {"id": name, **row}, f"{FILE}: {name}") for name, row in data.items()}
    )
