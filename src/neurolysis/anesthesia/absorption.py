"""Bodies and inputs of the model, from data: which agent is absorbed how fast from which site.

An agent at a site where nothing was measured and no family stands in is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np
from pydantic import Field

from neurolysis.anesthesia.agents import DATA, agent
from neurolysis.anesthesia.kinetics import LN2, Array, Body, Input, body_from_half_life, exponentials, peak
from neurolysis.errors import InputError
from neurolysis.evidence.readings import reading
from neurolysis.evidence.store import ASSUMPTION, load_yaml, pick
from neurolysis.quantity import Quantity, Value, parse

FILE = "kinetics.yaml"
SLOWEST_MIN, FASTEST_MIN = 240.0, 0.2
"""Fast half-lives between which a printed time of the peak is searched for."""


class Site(Value):
    """Where the drug is put; ``peak_min`` is the printed time of the peak that sets the fast rate.

    ``measured_in`` lists the agents the reading is of; for the others of ``agents`` the site's rate is
    carried over. ``rank`` orders the sites by how fast they absorb (1 is a vein).
    """

    id: str
    title: str
    rank: int = Field(ge=1)
    agents: tuple[str, ...] = Field(min_length=1)
    measured_in: tuple[str, ...] = ()
    peak_min: float | None = Field(default=None, gt=0)
    peak_of: str | None = None
    reading: str = ""


class Family(Value):
    """Absorption shares and half-lives of an epidural dose, as read, for agents alike."""

    agents: tuple[str, ...]
    fast_fraction: float = Field(gt=0, lt=1)
    fast_half_life_min: float = Field(gt=0)
    slow_fraction: float = Field(gt=0, lt=1)
    slow_half_life_min: float = Field(gt=0)
    readings: tuple[str, ...] = Field(min_length=1)


class Disposition(Value):
    """Volumes (L), clearance (L/min) and terminal half-life (min) of one agent, with their readings."""

    central_l: float | None = Field(default=None, gt=0)
    steady_state_l: float = Field(gt=0)
    clearance_l_per_min: float | None = Field(default=None, gt=0)
    half_life_min: float = Field(gt=0)
    readings: tuple[str, ...] = Field(min_length=1)

    def clearance(self) -> float:
        """Clearance as read, or that of one compartment with this volume and half-life."""
        return self.clearance_l_per_min or LN2 * self.steady_state_l / self.half_life_min

    def central(self) -> float:
        """Central volume as read, or the assumed share of the volume at steady state."""
        if self.central_l is not None:
            return self.central_l
        return self.steady_state_l * (1.0 if self.clearance_l_per_min is None else central_share().value)


@cache
def sites() -> Mapping[str, Site]:
    """Every site by id."""
    table = _data()["sites"]
    found = {name: parse(Site, {"id": name, **row}, f"{FILE}: {name}") for name, row in table.items()}
    for item in found.values():
        if item.reading and not item.reading.startswith(ASSUMPTION):
            reading(item.reading)
    return found


def site(id: str) -> Site:
    """One site; UnknownNameError lists the ids."""
    return pick(sites(), id, "site of injection")


@cache
def dispositions() -> Mapping[str, Disposition]:
    """Disposition by agent; an agent that is not here cannot be simulated."""
    table = _data()["disposition"]
    return {
        name: parse(Disposition, {**row["micro"], "readings": row["readings"]}, f"{FILE}: {name}")
        for name, row in table.items()
    }


@cache
def families() -> Mapping[str, Family]:
    """Families of absorption by name."""
    return {name: parse(Family, row, f"{FILE}: {name}") for name, row in _data()["families"].items()}


def family_of(agent_id: str) -> Family:
    """The family an agent is absorbed like."""
    return next(family for family in families().values() if agent_id in family.agents)


def require_kinetics(agent_id: str, site_id: str) -> tuple[Disposition, Site]:
    """Disposition and site, where both were read for this agent.

    Raises:
        UnknownNameError: no such agent or site.
        InputError: no kinetics for this agent, or none at this site.
    """
    chosen, place = agent(agent_id), site(site_id)
    if agent_id not in dispositions():
        raise InputError(
            f"no plasma kinetics of {chosen.title.lower()} were read: its concentration cannot be predicted",
            found=agent_id,
            allowed=sorted(dispositions()),
        )
    if agent_id not in place.agents:
        raise InputError(
            f"no absorption of {chosen.title.lower()} from this site was read",
            where=f"site {site_id}",
            found=agent_id,
            allowed=sorted(place.agents),
        )
    return dispositions()[agent_id], place


def typical_body(agent_id: str, volume: Array | float = 1.0, clearance: Array | float = 1.0) -> Body:
    """The body for an agent, its volumes and clearance scaled by factors (floats or (n,))."""
    item = dispositions()[agent_id]
    terminal = item.half_life_min * np.asarray(volume) / np.asarray(clearance)
    return body_from_half_life(
        item.central() * np.asarray(volume),
        item.steady_state_l * np.asarray(volume),
        item.clearance() * np.asarray(clearance),
        terminal,
    )


def typical_input(agent_id: str, site_id: str) -> Input:
    """The typical input from a site: the family's shares, with the fast rate of the site."""
    family = family_of(agent_id)
    return _input(family, fast_half_life(agent_id, site_id))


@cache
def fast_half_life(agent_id: str, site_id: str) -> float:
    """Half-life (min) of the fast share: as read (epidural), or set by the site's printed peak time.

    Raises:
        InputError: no half-life in 0.2 to 240 min gives that time.
    """
    place = site(site_id)
    if place.peak_min is None or place.peak_of is None:
        return family_of(agent_id).fast_half_life_min
    family, body = family_of(place.peak_of), typical_body(place.peak_of)
    low, high = FASTEST_MIN, SLOWEST_MIN

    def time_of_peak(half_life: float) -> float:
        return float(peak(*exponentials(100.0, body, _input(family, half_life)))[1][0])

    if not time_of_peak(low) < place.peak_min < time_of_peak(high):
        raise InputError("no absorption gives this time of the peak", where=site_id, found=place.peak_min)
    for _ in range(40):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if time_of_peak(middle) < place.peak_min else (low, middle)
    return 0.5 * (low + high)


def _input(family: Family, fast_half_life_min: float) -> Input:
    parts = (family.fast_fraction, LN2 / fast_half_life_min, family.slow_fraction)
    return Input(*(np.array([x]) for x in (*parts, LN2 / family.slow_half_life_min)))


@cache
def central_share() -> Quantity:
    """Assumed share of the central volume where none was read."""
    return parse(Quantity, _data()["central_share"], f"{FILE}: central_share")


def _data() -> Any:
    return load_yaml(FILE, DATA)
