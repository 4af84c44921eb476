"""Published light transport, lesions and nerve experiments beside the model. Nothing is tuned.

Light in plane layers has exact answers and passes or fails. A lesion row is run only where its source states
power, time and tissue; what it leaves open (fibre, length of a diffuser, optics) is varied openly, so such
a row is "cannot say" where some answers fit, and "fail" where none does. The rest is "not computable", with
the reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any, Literal

from neurolysis.delivery.laser.light_bench import layers_of, slab
from neurolysis.delivery.laser.members import MEMBERS
from neurolysis.delivery.technique import Progress, ValidationRow, silent
from neurolysis.evidence.kinetics import kinetics
from neurolysis.evidence.readings import reading

Verdict = Literal["pass", "fail", "cannot say"]
PHOTONS = 500_000
ERRORS = 3.0
"""A light row passes within this many standard errors, those of both sides added in squares."""
SLAB = {"mua-per-cm": "10", "mus-per-cm": "90", "g": "0.75", "n": "1.0", "thickness-cm": "0.02"}
HALF_15 = {"mua-per-cm": "10", "mus-per-cm": "90", "g": "0", "n": "1.5", "thickness-cm": "inf"}
THREE = {"mua-per-cm": "1,1,2", "mus-per-cm": "100,10,10", "g": "0.9,0,0.7", "n": "1.37",
         "thickness-cm": "0.1,0.1,0.2"}  # fmt: skip
THIN = {"mua-per-cm": "1", "mus-per-cm": "99", "g": "0.9", "n": "1.0", "thickness-cm": "0.1"}
THIN_14 = {**THIN, "n": "1.4"}


def _half(albedo: float, g: float = 0.0, n: float = 1.0) -> dict[str, str]:
    return {"mua-per-cm": f"{10 * (1 - albedo):.6g}", "mus-per-cm": f"{10 * albedo:.6g}", "g": f"{g:g}",
            "n": f"{n:g}", "thickness-cm": "inf"}  # fmt: skip


LIGHT_ROWS: tuple[tuple[str, str, Mapping[str, str], float], ...] = (
    ("LB-01", "reflectance_total", SLAB, 0.0),
    ("LB-02", "transmittance_total", SLAB, 0.0),
    ("LB-10", "reflectance_total", HALF_15, 0.0005),
    ("LB-15", "reflectance_diffuse", THREE, 0.0003),
    ("LB-16", "absorbed", THREE, 0.0003),
    ("LB-17", "transmittance_total", THREE, 0.0002),
    ("LB-27", "reflectance_total", THIN, 0.0001),
    ("LB-28", "transmittance_total", THIN, 0.0001),
    ("LB-29", "reflectance_total", THIN_14, 0.0001),
    ("LB-30", "transmittance_total", THIN_14, 0.0001),
    ("LB-31", "reflectance_total", _half(0.9, 0.0, 1.5), 0.0001),
    ("LB-32", "reflectance_total", _half(0.99, 0.9), 0.0001),
    ("LB-33", "reflectance_total", _half(0.99, 0.9, 1.37), 0.0001),
    ("LB-36", "reflectance_total", _half(0.5), 0.0),
    ("LB-37", "reflectance_total", _half(0.8), 0.0),
    ("LB-38", "reflectance_total", _half(0.9), 0.0),
    ("LB-39", "reflectance_total", _half(0.95), 0.0),
    ("LB-40", "reflectance_total", _half(0.99), 0.0),
)
"""Reading, what is compared, options of the bench, standard error or rounding of the printed value."""


def validate(progress: Progress) -> Sequence[ValidationRow]:
    """Light rows, lesion rows, nerve rows, and those that cannot be computed."""
    rows = []
    for number, item in enumerate(LIGHT_ROWS):
        progress(0.3 * number / len(LIGHT_ROWS), item[0])
        rows.append(_light_row(*item, seed=number + 1))
    progress(0.3, "lesions")
    for number, make in enumerate((_charring_onset, _low_power, _charred_is_larger, *_rat_rows())):
        progress(0.3 + 0.14 * number, "lesions")
        rows.append(make())
    return (*rows, *_nerve_rows(), *_not_computable())


@cache
def _shone(options: tuple[tuple[str, str], ...], seed: int) -> dict[str, Any]:
    from neurolysis.delivery.laser.light_bench import report
    from neurolysis.physics.light import LightSource, Play, shine, specular

    layers = layers_of(dict(options))
    box = slab(layers, 1.0, 1.0)
    found = report(
        shine(
            box,
            [LightSource("beam", (0.0, 0.0, 0.0))],
            Play(PHOTONS, seed),
            entering=specular(1.0, layers[0]["n"]),
        )
    )
    return {**found, "reflectance_diffuse": found["reflectance_total"] - found["reflectance_specular"]}


def _light_row(
    id: str, quantity: str, options: Mapping[str, str], printed_error: float, *, seed: int
) -> ValidationRow:
    found = _shone(tuple(options.items()), seed)
    row = reading(id)
    value, target = found[quantity], row.middle()
    own = found["standard_error_transmittance" if "trans" in quantity else "standard_error_reflectance"]
    own = math.hypot(own, found["standard_error_transmittance"]) if quantity == "absorbed" else own
    error = math.hypot(own, printed_error)
    return ValidationRow(
        id=id,
        source=row.source,
        quantity=f"{quantity.replace('_', ' ')}: {row.what}",
        measured=f"{target:g}",
        simulated={f"{PHOTONS:g} photons": f"{value:.5f} (standard error {own:.5f})"},
        criterion=f"within {ERRORS:g} standard errors",
        verdict="pass" if abs(value - target) <= ERRORS * error else "fail",
    )


# ---------------------------------------------------------------- lesions


@cache
def lesion_run(
    member: str, wavelength: float, power_w: float, duration_s: float, charring: str, diffuser_mm: float,
    start_c: float, perfused: bool,
) -> dict[str, Any]:  # fmt: skip
    """One coarse bench run in muscle; ``diffuser_mm`` 0 is a bare fibre of 0.2 mm radius."""
    from neurolysis.delivery.laser.simulate import bench_of, report, run_bench

    options = {
        "wavelength-nm": wavelength, "power-w": power_w, "duration-s": duration_s, "duty": 1.0,
        "emitter": "diffuser" if diffuser_mm else "bare", "core-radius-mm": 0.2, "numerical-aperture": 0.22,
        "diffuser-length-mm": diffuser_mm or 10.0, "charring": charring, "tissue": "muscle",
        "body-temperature-c": start_c, "photons": 10_000,
    }  # fmt: skip
    changes = {"finest_mm": "0.5", "time_step_s": "2"}
    if not perfused:
        changes |= {"perfusion_per_s": "0"}
    case = bench_of(options, changes, member)
    return report(case, *run_bench(case, silent))


def _verdict(fits: Sequence[bool]) -> Verdict:
    return "pass" if all(fits) else "cannot say" if any(fits) else "fail"


DRY_C = 101.0
"""Above this all water of a cell has become steam (the boiling range ends here)."""
BENCH_C = 21.0
"""Where a bench experiment's start was not read."""


def _ex_vivo(power_w: float, duration_s: float, charring: str = "never") -> dict[str, dict[str, Any]]:
    return {
        member: lesion_run(member, 1064.0, power_w, duration_s, charring, 0.0, BENCH_C, False)
        for member in MEMBERS
    }


def _hottest(run: Mapping[str, Any]) -> float:
    return float(max(run["trace"]["hottest_tissue_c"]))


def _dries(run: Mapping[str, Any]) -> bool:
    return _hottest(run) > DRY_C


def _charring_onset() -> ValidationRow:
    """The rule and the powers stand as first written; the first result was a fail and stays one."""
    row = reading("LL-01")
    runs = {power: _ex_vivo(power, 500.0) for power in (1.0, 2.0)}
    shown = {
        f"{power:g} W, {m}": "boils dry" if _dries(run) else f"{_hottest(run):.0f} °C"
        for power, members in runs.items()
        for m, run in members.items()
    }
    fits = [_dries(runs[2.0][m]) and not _dries(runs[1.0][m]) for m in MEMBERS]
    return ValidationRow(
        id="LL-01",
        source=row.source,
        quantity="onset of charring at the tip, bovine muscle ex vivo, 1064 nm",
        measured="from 2 W and 500 s on; none at 1 W",
        simulated=shown,
        criterion="one member boils dry within 500 s at 2 W and does not at 1 W",
        verdict="cannot say" if any(fits) else "fail",
        reason="fibre, start and what charring means in temperature were not read: a bare fibre "
        "of 0.2 mm radius, 21 °C and boiled-dry tissue stand for them",
    )


def _low_power() -> ValidationRow:
    """As above: 1 W alone, as first written."""
    row = reading("LL-02")
    runs = _ex_vivo(1.0, 1000.0)
    sizes = {m: run["lesion"]["isotherm_50c"]["width_mm"] for m, run in runs.items()}
    fits = [size > 10.0 and not _dries(runs[m]) for m, size in sizes.items()]
    return ValidationRow(
        id="LL-02",
        source=row.source,
        quantity="width of the 50 °C isotherm after 1000 s at 1 W, bovine muscle ex vivo",
        measured="more than 10 mm without charring takes at least 1000 s",
        simulated={
            m: f"{size:.1f} mm, {'boils dry' if _dries(runs[m]) else 'not boiled'}"
            for m, size in sizes.items()
        },
        criterion="above 10 mm and not boiled dry in one member",
        verdict="cannot say" if any(fits) else "fail",
        reason="fibre and the edge of the lesion were not read: a bare fibre of 0.2 mm radius and 50 °C "
        "stand for them",
    )


def _volume(run: Mapping[str, Any]) -> float:
    return float(run["lesion"]["isotherm_50c"]["volume_mm3"])


def _charred_is_larger() -> ValidationRow:
    row = reading("LL-03")
    clean, charred = _ex_vivo(1.6, 300.0), _ex_vivo(1.6, 300.0, "from_start")
    volumes = {
        m: tuple(r[m]["lesion"]["isotherm_50c"]["volume_mm3"] for r in (clean, charred)) for m in MEMBERS
    }
    return ValidationRow(
        id="LL-03",
        source=row.source,
        quantity="charred tip against a clean one, 1.6 W for 300 s, 400 um fibre, muscle",
        measured="the point heat source makes the larger lesion",
        simulated={m: f"clean {a:.0f}, charred {b:.0f} mm3 at 50 °C" for m, (a, b) in volumes.items()},
        criterion="the charred tip's lesion is larger; pass if in every member",
        verdict=_verdict([b > a for a, b in volumes.values()]),
        reason="the lesion's edge is taken at 50 °C",
    )  # fmt: skip


DIFFUSERS_MM = (5.0, 10.0)


def _rat_runs() -> dict[str, dict[str, Any]]:
    return {
        f"{length:g} mm diffuser, {m}": lesion_run(m, 980.0, 5.0, 75.0, "never", length, 37.0, True)
        for length in DIFFUSERS_MM
        for m in MEMBERS
    }


def _rat_rows() -> tuple[Callable[[], ValidationRow], ...]:
    return (lambda: _rat_row("LL-09"), lambda: _rat_row("LL-10"))


def _rat_row(id: str) -> ValidationRow:
    row = reading(id)
    low, high = row.low or 0.0, row.high or math.inf
    volumes = {
        name: {c: run["lesion"][c]["volume_mm3"] / 1000 for c in ("isotherm_50c", "isotherm_45c")}
        for name, run in _rat_runs().items()
    }
    fits = [v["isotherm_50c"] <= high and v["isotherm_45c"] >= low for v in volumes.values()]
    return ValidationRow(
        id=id,
        source=row.source,
        quantity="necrosis volume after 5 W for 75 s, 980 nm diffuser, rat prostate tumour",
        measured=f"{row.text} ({low:g} to {high:g}) cm3",
        simulated={
            name: f"{v['isotherm_50c']:.2f} (50 °C) to {v['isotherm_45c']:.2f} (45 °C) cm3"
            for name, v in volumes.items()
        },
        criterion="the measured band meets the one between the 50 and 45 °C isotherms",
        verdict="cannot say" if any(fits) else "fail",
        reason=(
            "optics of that tumour and the diffuser's length were not read: muscle "
            "and 5 or 10 mm stand for them"
        ),
    )  # fmt: skip


# ---------------------------------------------------------------- nerve


def _nerve_rows() -> Iterator[ValidationRow]:
    model = kinetics("nerve_heat")
    omegas = {c: 3600 * math.exp(model.log_rate_per_s(c)) for c in (44.0, 45.0)}
    row = reading("NI-19")
    yield ValidationRow(
        id="NI-19",
        source=row.source,
        quantity="dog nerve heated for 60 min: damage integral of the nerve kinetics",
        measured="at most 44 °C recovers in 3 weeks, 45 °C severe for 3 to 11 months",
        simulated={f"{c:g} °C": f"Omega {omega:.2f}" for c, omega in omegas.items()},
        criterion="the order only: 45 °C clearly worse than 44 °C",
        verdict="cannot say" if omegas[45.0] > 1.5 * omegas[44.0] else "fail",
        reason="the kinetics come from another animal and endpoint; no laser in this experiment, heat alone",
    )  # fmt: skip


NOT_COMPUTABLE = {
    "LL-05": "absorption and scattering of liver at 1064 nm were not read, nor was the fibre's end",
    "LL-06": "absorption and scattering of liver, and the diffuser's length, were not read",
    "LL-08": "optics and heat constants of pancreas were not read",
    "LL-11": "the row is another model's result, not a measurement",
    "LL-12": "absorption and scattering of liver at this wavelength, probe place and applicator were not "
    "read",
    "LL-13": "growth of a lesion in days is biology that is not modelled",
    "LL-14": "a moving beam that vaporises tissue is not modelled",
    "LL-15": "craters are not modelled",
    "LC-09": "spot size on the nerve and its absorption were not read",
    "LC-10": "power and spot size on the nerve were not read",
    "LC-11": "no temperature was read with the radiant exposure, nor the nerve's absorption at that "
    "wavelength",
    "LC-12": "no temperature was read with the radiant exposure, nor the nerve's absorption at that "
    "wavelength",
    "NI-13": "the nerve kinetics were fitted to this row: comparing would be circular",
    "NI-14": "the nerve kinetics were fitted to this row: comparing would be circular",
}


def _not_computable() -> Iterator[ValidationRow]:
    for id, reason in NOT_COMPUTABLE.items():
        row = reading(id)
        span = f"{row.low:g} to {row.high:g}" if row.low is not None and row.high is not None else ""
        yield ValidationRow(
            id=id, source=row.source, quantity=row.what, measured=f"{row.text or span} {row.unit}".strip(),
            simulated={}, criterion="none", verdict="not computable", reason=reason,
        )  # fmt: skip
