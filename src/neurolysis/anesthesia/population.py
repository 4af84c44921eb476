"""Virtual patients: plasma levels with their spread between persons, for one dose or a whole session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from pydantic import Field

from neurolysis.anesthesia.absorption import (
    FILE,
    family_of,
    fast_half_life,
    require_kinetics,
    typical_body,
)
from neurolysis.anesthesia.agents import DATA, agent
from neurolysis.anesthesia.kinetics import LN2, Array, Input, concentration, exponentials, peak
from neurolysis.errors import InputError
from neurolysis.evidence.store import load_yaml, read_value
from neurolysis.quantity import Quantity, Value

SEED = 20240229
PERCENTILES = (5.0, 50.0, 95.0)
LIGHTEST_KG, HEAVIEST_KG = 30.0, 250.0
"""Weights of adults that the model is asked for; nothing was read beyond."""


class Spread(Value):
    """Median and the 5th and 95th percentile over the virtual patients."""

    median: float
    p5: float
    p95: float


class Levels(Value):
    """Predicted plasma levels of one agent.

    ``free_cmax_mg_per_l`` is None where no binding was read. ``curve_*`` run over ``time_min`` and hold
    total concentration, mg/L. ``assumptions`` are the numbers without a source this rests on.
    """

    agent: str
    cmax_mg_per_l: Spread
    free_cmax_mg_per_l: Spread | None
    tmax_min: Spread
    time_min: tuple[float, ...]
    curve_median: tuple[float, ...]
    curve_p5: tuple[float, ...]
    curve_p95: tuple[float, ...]
    patients: int
    population: str
    assumptions: tuple[Quantity, ...] = ()
    notes: tuple[str, ...] = ()


class Dose(Value):
    """One dose as the model sees it: mg of an agent at a site, at a time in the session."""

    agent: str
    site: str
    mg: float = Field(gt=0)
    epinephrine: bool = False
    minutes: float = 0.0


@dataclass(frozen=True)
class Patients:
    """Virtual patients: factors (n,) on the typical values, all lognormal but for the weight.

    Attributes:
        weight_kg: of each.
        volume, clearance: factors on volumes and clearance, weight included.
        absorption: factor on the fast half-life; share: factor on the fast share of the dose.
        vasoconstriction: share of the fast input that epinephrine delays.
    """

    weight_kg: Array
    volume: Array
    clearance: Array
    absorption: Array
    share: Array
    vasoconstriction: Array

    def __len__(self) -> int:
        return len(self.weight_kg)


def population(*, weight_kg: float | None = None, patients: int = 4096, seed: int = SEED) -> Patients:
    """Virtual adults of one stated weight, or of the assumed adult distribution of weights.

    Raises:
        InputError: fewer than 2 patients, or a weight that no adult has.
    """
    if patients < 2:
        raise InputError("a population needs patients", found=patients, allowed="2 or more")
    record, random = population_record(), np.random.default_rng(seed)
    weights = _weights(weight_kg, patients, random)
    relative = weights / record["reference_weight_kg"].value
    low, high = epinephrine_range()

    def factor(name: str) -> Array:
        deviation = float(np.sqrt(np.log1p(record[name].value ** 2)))
        found: Array = np.exp(deviation * random.standard_normal(patients))
        return found

    return Patients(
        weight_kg=weights,
        volume=factor("volume_cv") * relative ** weight_exponent("volume"),
        clearance=factor("clearance_cv") * relative ** weight_exponent("clearance"),
        absorption=factor("absorption_cv"),
        share=factor("fast_fraction_cv"),
        vasoconstriction=random.uniform(low, high, patients),
    )


def levels(doses: Sequence[Dose], people: Patients) -> Levels:
    """Plasma levels of one agent after one or several doses of it; the doses add up in time.

    Args:
        doses: of one agent; times may be negative (earlier doses).
        people: who receives them.

    Raises:
        InputError: no dose, several agents, or an agent or site without kinetics.
    """
    names = {dose.agent for dose in doses}
    if len(names) != 1:
        raise InputError("levels are of one agent at a time", found=sorted(names), allowed="one agent")
    name = names.pop()
    for dose in doses:
        require_kinetics(name, dose.site)
    body = typical_body(name, people.volume, people.clearance)
    parts = [exponentials(dose.mg, body, entry(dose, people)) for dose in doses]
    starts = np.array([dose.minutes for dose in doses])
    time = _times(starts)
    each = [concentration(c, r, time - start) for (c, r), start in zip(parts, starts, strict=True)]
    curves: Array = np.sum(each, axis=0)
    if len(parts) == 1:
        height, when = peak(*parts[0])
        when = when + starts[0]
    else:
        height, when = curves.max(axis=1), time[curves.argmax(axis=1)]
    return _levels(name, height, when, time, curves, people, doses)


def entry(dose: Dose, people: Patients) -> Input:
    """The input of one dose in each patient; epinephrine moves a part of the fast share to the slow one."""
    family = family_of(dose.agent)
    absorbed = family.fast_fraction + family.slow_fraction
    fast = np.clip(family.fast_fraction * people.share, 0.02, 0.95 * absorbed)
    if dose.epinephrine and dose.agent not in no_epinephrine_effect():
        fast = fast * (1.0 - people.vasoconstriction)
    rate = LN2 / (fast_half_life(dose.agent, dose.site) * people.absorption)
    slow = np.full_like(fast, LN2 / family.slow_half_life_min)
    return Input(fast, rate, absorbed - fast, np.minimum(slow, 0.9 * rate))


def _levels(
    name: str,
    height: Array,
    when: Array,
    time: Array,
    curves: Array,
    people: Patients,
    doses: Sequence[Dose],
) -> Levels:
    share = agent(name).unbound()
    low, middle, high = np.percentile(curves, PERCENTILES, axis=0)
    return Levels(
        agent=name,
        cmax_mg_per_l=spread(height),
        free_cmax_mg_per_l=None if share is None else spread(height * share.value),
        tmax_min=spread(when),
        time_min=tuple(time.round(2).tolist()),
        curve_median=_listed(middle),
        curve_p5=_listed(low),
        curve_p95=_listed(high),
        patients=len(people),
        population=describe(people),
        assumptions=assumptions(name, doses),
        notes=_notes(name, doses),
    )


def describe(people: Patients) -> str:
    """Who the virtual patients are, in words."""
    weights = people.weight_kg
    if np.ptp(weights) == 0:
        return f"{len(people)} virtual adults of {weights[0]:.1f} kg"
    return (
        f"{len(people)} virtual adults of {weights.min():.0f} to {weights.max():.0f} kg (median "
        f"{np.median(weights):.0f}); no weight was given, and this distribution is an assumption"
    )


def assumptions(name: str, doses: Sequence[Dose]) -> tuple[Quantity, ...]:
    """Every number without a source that a prediction for these doses rests on."""
    record = population_record()
    used = [item for item in record.values() if item.basis == "assumption"]
    for dose in doses:
        _, place = require_kinetics(name, dose.site)
        if name not in place.measured_in and place.peak_min is not None:
            used.append(_carried_over(name, place.id, place.peak_min, place.peak_of or ""))
    return tuple(dict.fromkeys(used))


def _carried_over(name: str, site_id: str, peak_min: float, measured: str) -> Quantity:
    return Quantity(
        value=peak_min,
        unit="min",
        basis="assumption",
        conditions=f"time of the peak that sets the absorption of {name} from site {site_id}",
        source=f"assumption: read for {measured} at this site or a faster one, carried over to {name}",
    )


def _notes(name: str, doses: Sequence[Dose]) -> tuple[str, ...]:
    notes = ["Venous and arterial, total and free levels differ; the model gives mixed total plasma."]
    if any(dose.epinephrine for dose in doses):
        notes.append(str(_raw()["epinephrine"]["note"]))
    return tuple(notes)


def spread(values: Array) -> Spread:
    """Median, 5th and 95th percentile."""
    low, middle, high = (float(f"{x:.4g}") for x in np.percentile(values, PERCENTILES))
    return Spread(median=middle, p5=low, p95=high)


def _times(starts: Array) -> Array:
    """Minutes, from the first dose: fine at first, a day after the last dose at the end."""
    after = np.concatenate(
        [np.arange(0.0, 60.0, 1.0), np.arange(60.0, 240.0, 5.0), np.arange(240.0, 1441.0, 30.0)]
    )
    found: Array = np.unique(np.concatenate([start + after for start in np.unique(starts)]))
    return found


def adult(weight_kg: float) -> bool:
    """Whether the model holds for a weight."""
    return LIGHTEST_KG <= weight_kg <= HEAVIEST_KG


def require_adult(weight_kg: float, where: str = "") -> None:
    """InputError for a weight that no adult of the model has."""
    if not adult(weight_kg):
        allowed = f"{LIGHTEST_KG:g} to {HEAVIEST_KG:g} kg"
        raise InputError("a weight of an adult", where=where, found=weight_kg, allowed=allowed)


def _weights(weight_kg: float | None, patients: int, random: np.random.Generator) -> Array:
    record = population_record()["weight_kg"]
    low, high = record.low or 0.0, record.high or np.inf
    if weight_kg is not None:
        require_adult(weight_kg)
        return np.full(patients, float(weight_kg))
    drawn = random.normal(record.value, record.standard_deviation or 0.0, patients)
    return np.clip(drawn, low, high)


@cache
def population_record() -> Mapping[str, Quantity]:
    """The numbers of the population by name, each sourced or a visible assumption."""
    rows = {name: row for name, row in _raw()["population"].items() if isinstance(row, dict)}
    return {name: read_value(Quantity, row, f"{FILE}: population.{name}") for name, row in rows.items()}


def epinephrine_range() -> tuple[float, float]:
    """Lowest and highest fall of the peak with epinephrine, as fractions."""
    record = _raw()["epinephrine"]
    return float(record["low"]), float(record["high"])


def no_epinephrine_effect() -> tuple[str, ...]:
    """Agents for which a study saw no fall of the peak."""
    return tuple(_raw()["epinephrine"]["none_for"])


def weight_exponent(what: str) -> float:
    """Exponent of body weight for ``volume`` or ``clearance``."""
    return float(_raw()["weight_exponents"][what])


def _listed(values: Array) -> tuple[float, ...]:
    return tuple(float(f"{value:.4g}") for value in values)


def _raw() -> Any:
    return load_yaml(FILE, DATA)
