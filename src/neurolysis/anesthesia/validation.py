"""The plasma model held against published peaks; nothing is tuned to them.

Peak heights were never used to set the model; the time of one study a site was (data/kinetics.yaml), and
rows that print it say so. Criterion, fixed beforehand by the notes (section 8b): the median prediction lies
within a factor of two of the printed mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from neurolysis.anesthesia.absorption import site
from neurolysis.anesthesia.agents import DATA
from neurolysis.anesthesia.population import Dose, Levels, levels, population
from neurolysis.evidence.readings import reading
from neurolysis.evidence.store import ASSUMPTION, load_yaml
from neurolysis.quantity import Value, parse

FILE = "validation.yaml"
FOLD = 2.0
CRITERION = "median prediction within a factor of 2 of the printed mean"


class MeasuredPeak(Value):
    """A published peak with the dose that gave it; None: not printed.

    ``weight_kg`` None: not printed, so a dose per kg is computed for 70 kg and says so.
    """

    reading: str
    agent: str
    site: str
    mg: float | None = Field(default=None, gt=0)
    mg_per_kg: float | None = Field(default=None, gt=0)
    weight_kg: float | None = Field(default=None, gt=0)
    epinephrine: bool = False
    cmax_mg_per_l: float | None = Field(default=None, gt=0)
    tmax_min: float | None = Field(default=None, gt=0)
    free_cmax_mg_per_l: float | None = Field(default=None, gt=0)
    note: str = ""


class PeakCheck(Value):
    """One printed number beside its prediction."""

    id: str
    source: str
    quantity: Literal["Cmax, mg/L", "free Cmax, mg/L", "tmax, min"]
    measured: float
    predicted: float
    p5: float
    p95: float
    ratio: float
    verdict: Literal["pass", "fail", "cannot say"]
    reason: str = ""


def measured_peaks() -> tuple[MeasuredPeak, ...]:
    """The published peaks that can be computed."""
    rows = load_yaml(FILE, DATA)["peaks"]
    return tuple(parse(MeasuredPeak, row, f"{FILE}: {row.get('reading')}") for row in rows)


def check_peaks() -> tuple[PeakCheck, ...]:
    """Every published peak beside its prediction."""
    return tuple(check for row in measured_peaks() for check in _checks(row))


def _checks(row: MeasuredPeak) -> Iterator[PeakCheck]:
    weight = row.weight_kg or 70.0
    mg = row.mg if row.mg is not None else (row.mg_per_kg or 0.0) * weight
    dose = Dose(agent=row.agent, site=row.site, mg=mg, epinephrine=row.epinephrine)
    found = levels([dose], population(weight_kg=weight))
    why = [row.note] if row.note else []
    if row.mg is None and row.weight_kg is None:
        why.append("dose per kg, weights not printed: computed for 70 kg")
    if row.cmax_mg_per_l is not None:
        yield _check(row, "Cmax, mg/L", row.cmax_mg_per_l, found, why)
    if row.free_cmax_mg_per_l is not None and found.free_cmax_mg_per_l is not None:
        yield _check(row, "free Cmax, mg/L", row.free_cmax_mg_per_l, found, why)
    if row.tmax_min is not None:
        yield _check(row, "tmax, min", row.tmax_min, found, why)


def _check(
    row: MeasuredPeak,
    quantity: Literal["Cmax, mg/L", "free Cmax, mg/L", "tmax, min"],
    measured: float,
    found: Levels,
    why: list[str],
) -> PeakCheck:
    spread = {
        "Cmax, mg/L": found.cmax_mg_per_l,
        "free Cmax, mg/L": found.free_cmax_mg_per_l or found.cmax_mg_per_l,
        "tmax, min": found.tmax_min,
    }[quantity]
    ratio = spread.median / measured
    used = quantity == "tmax, min" and _set_by(row)
    inside = 1 / FOLD <= ratio <= FOLD
    return PeakCheck(
        id=row.reading,
        source=reading(row.reading).source,
        quantity=quantity,
        measured=measured,
        predicted=spread.median,
        p5=spread.p5,
        p95=spread.p95,
        ratio=float(f"{ratio:.3g}"),
        verdict="cannot say" if used else "pass" if inside else "fail",
        reason="; ".join([*why, *(["this time set the absorption of the site: no test"] if used else [])]),
    )


def _set_by(row: MeasuredPeak) -> bool:
    """Whether the study of this row set the absorption of its site."""
    own = site(row.site).reading
    return bool(own) and not own.startswith(ASSUMPTION) and reading(own).source == reading(row.reading).source


def unit_of(quantity: str) -> str:
    """Unit of a checked quantity, as its name says it."""
    return quantity.rpartition(", ")[2]
