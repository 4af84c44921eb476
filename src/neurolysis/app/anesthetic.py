"""Simulate a local anaesthetic outside any patient: plasma levels with their spread, and caps it passes."""

from __future__ import annotations

from typing import Any

from neurolysis.anesthesia.agents import IDEAL_MOST_KG
from neurolysis.approval import RESEARCH_USE
from neurolysis.errors import InputError

MOST_MG = 5000.0
"""Above this a dose is taken for a slip of the unit."""


def simulate_anesthetic(
    *, agent: str, dose_mg: float, site: str, epinephrine: bool = False, weight_kg: float | None = None
) -> dict[str, Any]:
    """Plasma levels after one dose in virtual adults, as plain data for ``--json``.

    Any physically valid dose is computed; the caps it passes are listed in ``warnings``.

    Raises:
        UnknownNameError: an unknown agent or site.
        InputError: a dose or weight out of range, or no kinetics for this agent at this site.
    """
    from neurolysis.anesthesia.agents import agent as find_agent
    from neurolysis.anesthesia.population import Dose, levels, population, require_adult

    item = find_agent(agent)
    if not 0 < dose_mg <= MOST_MG:
        raise InputError(
            "a dose in mg", where="--dose-mg", found=dose_mg, allowed=f"above 0, up to {MOST_MG:g} mg"
        )
    if weight_kg is not None:
        require_adult(weight_kg, "--weight-kg")
    dose = Dose(agent=agent, site=site, mg=dose_mg, epinephrine=epinephrine)
    found = levels([dose], population(weight_kg=weight_kg))
    free = found.free_cmax_mg_per_l
    return {
        "agent": agent,
        "dose_mg": dose_mg,
        "site": site,
        "epinephrine": epinephrine,
        "cmax_mg_per_l": found.cmax_mg_per_l.model_dump(),
        "free_cmax_mg_per_l": None if free is None else free.model_dump(),
        "tmax_min": found.tmax_min.model_dump(),
        "curve": {
            "time_min": list(found.time_min),
            "median_mg_per_l": list(found.curve_median),
            "p5_mg_per_l": list(found.curve_p5),
            "p95_mg_per_l": list(found.curve_p95),
        },
        "warnings": _warnings(item, dose_mg, site, epinephrine, weight_kg) + _toxic(item, found),
        "population": found.population,
        "assumptions": [f"{q.conditions}: {q.in_words()} ({q.source})" for q in found.assumptions],
        "notes": list(found.notes),
        "research_use": RESEARCH_USE,
    }


def _warnings(item: Any, dose_mg: float, site: str, epinephrine: bool, weight_kg: float | None) -> list[str]:
    """Caps that this dose passes, in words; without a weight a per-kg cap counts on 70 kg and says so."""
    words = []
    for cap in item.caps:
        if (cap.epinephrine is not None and cap.epinephrine != epinephrine) or (
            cap.sites and site not in cap.sites
        ):
            continue
        kg = weight_kg or 70.0
        assumed = "" if weight_kg else " (weight not given, 70 kg taken)"
        if cap.weight == "ideal" and kg > IDEAL_MOST_KG:
            kg, assumed = IDEAL_MOST_KG, f" (counts on ideal weight, at most {IDEAL_MOST_KG:g} kg)"
        if cap.per_kg is not None and dose_mg > cap.per_kg * kg:
            words.append(
                f"{dose_mg:g} mg passes {cap.per_kg:g} mg/kg = {cap.per_kg * kg:g} mg{assumed}: {cap.who}"
            )
        if cap.absolute_mg is not None and dose_mg > cap.absolute_mg:
            words.append(f"{dose_mg:g} mg passes {cap.absolute_mg:g} mg: {cap.who}")
    return words


def _toxic(item: Any, found: Any) -> list[str]:
    level = item.toxic_level()
    if level is None:
        return [f"no toxic plasma level of {item.title.lower()} was read"]
    kind, row = level
    reached = found.free_cmax_mg_per_l if kind == "free" else found.cmax_mg_per_l
    threshold = row.low if row.low is not None else row.middle()
    if reached is None or reached.p95 <= threshold:
        return []
    text = f"the {kind} peak reaches {reached.p95:.3g} mg/L in one patient of twenty"
    return [f"{text}; toxic from {threshold:g} mg/L [{row.id}]"]
