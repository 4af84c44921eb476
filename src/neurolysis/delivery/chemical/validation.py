"""Injected agents held against what was published; failures are shown, not hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from neurolysis.delivery.technique import Progress, ValidationRow
from neurolysis.evidence.agent_injury import NerveExperiment, agent_injury
from neurolysis.evidence.injectates import porous_body
from neurolysis.evidence.readings import reading
from neurolysis.nerve.agent_dose import BAND, killed_share

EXPECTED: dict[str, tuple[str, Callable[[float], bool]]] = {
    "none": ("nothing killed", lambda share: share < 0.01),
    "rim": ("a rim killed, the core spared", lambda share: 0.0 < share < 0.95),
    "some": ("something killed", lambda share: share > 0.01),
    "most": ("more than half killed", lambda share: share > 0.5),
}
BRAIN_POROSITIES = (0.2,)
"""Extracellular share of brain volume, "typically approximately 20 %" (tr_brain_space)."""


def validate(progress: Progress) -> Sequence[ValidationRow]:
    """Nerve experiments, the distribution volume of an infusion in brain, and blood alcohol."""
    rows = []
    experiments = agent_injury().experiments
    for number, item in enumerate(experiments):
        progress(number / (len(experiments) + 2), item.id)
        rows.append(_nerve_row(item))
    progress(0.9, "distribution volume")
    return (*rows, _distribution_row(), _blood_row(), *_not_computable())


def bath_percent(item: NerveExperiment) -> float:
    """What surrounds the nerve: as given, or evened out between pores and all water of a tissue."""
    if not item.diluted_by:
        return item.percent
    tissue = porous_body().tissue(item.diluted_by)
    return item.percent * tissue.porosity.value / tissue.water.value


def _nerve_row(item: NerveExperiment) -> ValidationRow:
    percent = bath_percent(item)
    shares = {
        member: float(
            killed_share(
                item.agent, [percent], [item.minutes], radius_mm=item.radius_mm, member=member,
                bare=item.sheath == "none",
            )[0]
        )
        for member in BAND
    }  # fmt: skip
    words, fits = EXPECTED[item.expect]
    agreeing = [fits(share) for share in shares.values()]
    verdict: Literal["pass", "fail", "cannot say"] = "cannot say" if any(agreeing) else "fail"
    if all(agreeing):
        verdict = "pass"
    return ValidationRow(
        id=item.id,
        source=reading(item.reading).source,
        quantity="killed share of the nerve's cross-section",
        measured=item.text,
        simulated={member: f"{100 * share:.0f} %" for member, share in shares.items()},
        criterion=f"{words}; pass if every member agrees, cannot say if some do",
        verdict=verdict,
        reason=f"the constants were set by hand with this row in sight; {item.note}",
    )


def distribution_ratio(porosity: float) -> float:
    """Volume of tissue at half the infused concentration or more over the volume infused, from the solver."""
    from neurolysis.delivery.chemical.simulate import InjectionBench, run_bench
    from neurolysis.delivery.technique import silent

    case = InjectionBench(
        concentration_percent=100, volume_ml=0.1, rate_ml_per_min=0.005, observe_min=0.1,
        thresholds_percent=(50,), permeability_m2=1e-15, porosity=porosity, water=porosity,
        storage_per_pa=1e-5, diffusivity_m2_per_s=1e-10,
        viscosity_mpa_s=(0.7, 0.7), density_g_per_ml=(1.0, 1.0), outlet_mm=1.0, finest_mm=0.25, extent_mm=14,
    )  # fmt: skip
    return float(run_bench(case, True, silent)["spread"][0]["volume_ml"]) / case.volume_ml


def _distribution_row() -> ValidationRow:
    found = reading("C1-33").quantity()
    values = {p: distribution_ratio(p) for p in BRAIN_POROSITIES}
    low, high = found.low or found.value, found.high or found.value
    inside = [low <= value <= high for value in values.values()]
    return ValidationRow(
        id="C1-33",
        source=found.source,
        quantity="volume of distribution over volume infused, brain",
        measured=f"{found.value:g} ({low:g} to {high:g})",
        simulated={f"pores {p:g}": f"{value:.1f}" for p, value in values.items()},
        criterion="within the mean -/+ SD",
        verdict="pass" if all(inside) else "fail",
        reason="pores from tr_brain_space (about 20 %); the ratio is their inverse where nothing is lost, "
        "so that 8.2 would need pores of 12 %",
    )


def _blood_row() -> ValidationRow:
    row = reading("A3-01").quantity()
    return ValidationRow(
        id="A3-01",
        source=row.source,
        quantity="peak ethanol in arterial blood, mg/dL",
        measured=f"{row.value:g} ({row.low:g} to {row.high:g})",
        simulated={},
        criterion="none",
        verdict="not computable",
        reason="the program's estimate is this measurement in proportion to the dose: it cannot test itself",
    )


def _not_computable() -> tuple[ValidationRow, ...]:
    """Rows of spread in patients whose inputs were not in what was read."""
    rows = []
    for id_ in ("C1-10", "C1-13", "C1-19", "C1-20", "C1-24"):
        item = reading(id_)
        rows.append(
            ValidationRow(
                id=id_,
                source=item.source,
                quantity=item.what,
                measured=f"{item.text} {item.unit}".strip(),
                simulated={},
                criterion="none",
                verdict="not computable",
                reason="anatomy, rate and tissue of these injections were not in what was read",
            )
        )
    return tuple(rows)
