"""The command ``simulate``: one straight nerve from options, or a bench case file with every number."""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import Any, Literal

import numpy as np
from pydantic import Field

from neurolysis.delivery.surgical.model import (
    MEMBERS,
    Course,
    Found,
    Held,
    Member,
    solve_member,
    tension_over_time,
)
from neurolysis.delivery.surgical.search import Smallest, smallest
from neurolysis.delivery.technique import Option, Progress
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.nerve_mechanics import nerve_mechanics
from neurolysis.quantity import Value, parse

Pair = tuple[float, float]


class ReleaseBench(Value):
    """One straight nerve, every number given; places in mm from its first end, stiffnesses in kPa and MPa.

    ``scars`` are (from, to, shear stiffness in kPa: loose, middle, tight), ``joints`` (from, to, lengthening
    of the bed in mm), ``tethers`` (place, N/mm), ``freed`` (from, to). A pull moves an end outwards.
    """

    schema_name: Literal["release-bench"] = "release-bench"
    schema_version: Literal[1] = 1
    mode: Literal["external", "internal", "neurectomy"] = "external"
    length_mm: float = Field(gt=1, le=1500)
    radius_mm: float = Field(gt=0.05, le=15)
    modulus_mpa: float = Field(gt=0, le=1000)
    bed_kpa: float = Field(gt=0, le=1e4)
    scars: tuple[tuple[float, float, float, float, float], ...] = ()
    tethers: tuple[Pair, ...] = ()
    joints: tuple[tuple[float, float, float], ...] = ()
    freed: tuple[Pair, ...] = ()
    pull_first_mm: float | None = Field(default=None, ge=-200, le=200)
    pull_last_mm: float | None = Field(default=None, ge=-200, le=200)
    pre_strain_percent: float = Field(default=0.0, ge=0, le=30)
    pressure_mmhg: float | None = Field(default=None, ge=0, le=300)
    relaxed_share: float = Field(default=0.0, ge=0, lt=1)
    relaxed_after_s: float = Field(default=3600.0, gt=0)
    relaxation_time_s: float = Field(default=600.0, gt=0)
    hold_min: float = Field(default=60.0, gt=0, le=600)
    rescar_share: float = Field(default=1.0, ge=0, le=1)
    thresholds_percent: tuple[float, ...] = Field(min_length=1)
    step_mm: float = Field(default=0.5, ge=0.02, le=3)


OPTIONS = (
    Option("length-mm", float, "length of the nerve", 200.0, unit="mm"),
    Option("radius-mm", float, "radius of the nerve", 1.5, unit="mm"),
    Option("scar-from-mm", float, "scar begins here", 60.0, unit="mm"),
    Option("scar-to-mm", float, "scar ends here; not beyond its begin: no scar", 90.0, unit="mm"),
    Option("joint-from-mm", float, "the joint's bed begins here", 70.0, unit="mm"),
    Option("joint-to-mm", float, "the joint's bed ends here", 110.0, unit="mm"),
    Option("elongation-mm", float, "how much the movement lengthens the bed there", 8.0, unit="mm"),
    Option("free-from-mm", float, "freed from here; else the scar's begin", unit="mm", required=False),
    Option("free-to-mm", float, "freed to here; else the scar's end", unit="mm", required=False),
    Option("mode", str, "kind of operation", "external", choices=("external", "internal", "neurectomy")),
    Option("motion", str, "published excursion pulled on the last end instead; an unknown name lists all",
           "none"),
    Option("tether-at-mm", float, "a band holds the nerve here", unit="mm", required=False),
    Option("tether-n-per-mm", float, "its stiffness", unit="N/mm", required=False),
    Option("pre-strain-percent", float, "strain at rest", 0.0, unit="%"),
    Option("pressure-mmhg", float, "pressure on the nerve in a tunnel", unit="mmHg", required=False),
    Option("rescar-share", float, "scar that comes back, share of its stiffness", 1.0),
)  # fmt: skip

SETTABLE = (
    "modulus_mpa", "bed_kpa", "scar_kpa", "relaxed_share", "relaxed_after_s", "relaxation_time_s", "hold_min",
    "step_mm", "pull_first_mm", "pull_last_mm",
)  # fmt: skip
"""What ``--set name=value`` may change; a scar_kpa then holds for every member."""


def bench_of(options: Mapping[str, Any], changes: Mapping[str, str]) -> ReleaseBench:
    """The bench case of options and settings.

    Raises:
        UnknownNameError: a property or movement; InputError: a value that is no number or out of range.
    """
    numbers = _numbers(changes)
    record = nerve_mechanics()
    data: dict[str, Any] = {
        "mode": options["mode"],
        "length_mm": options["length-mm"],
        "radius_mm": options["radius-mm"],
        "modulus_mpa": record.modulus_mpa.value,
        "bed_kpa": record.bed_kpa.value,
        "scars": _scar(options, numbers),
        "tethers": _tether(options),
        "pre_strain_percent": options["pre-strain-percent"],
        "pressure_mmhg": options["pressure-mmhg"],
        "rescar_share": options["rescar-share"],
        "relaxed_share": record.relaxed_share.value,
        "relaxed_after_s": record.relaxed_after_s,
        "relaxation_time_s": record.relaxation_time_s.value,
        "thresholds_percent": tuple(item.percent for item in record.strain_thresholds),
        "freed": _freed(options),
        **_movement(options),
        **{name: value for name, value in numbers.items() if name != "scar_kpa"},
    }
    return parse(ReleaseBench, data, "simulate")


def _numbers(changes: Mapping[str, str]) -> dict[str, float]:
    found = {}
    for name, text in changes.items():
        if name not in SETTABLE:
            raise UnknownNameError("unknown property", where="--set", found=name, allowed=SETTABLE)
        try:
            found[name] = float(text)
        except ValueError:
            raise InputError("not a number", where=f"--set {name}", found=text) from None
    return found


def _scar(options: Mapping[str, Any], numbers: Mapping[str, float]) -> tuple[tuple[float, ...], ...]:
    low, high = float(options["scar-from-mm"]), float(options["scar-to-mm"])
    if high <= low:
        return ()
    shear = Held.of((low, high), nerve_mechanics().scar_kpa).shear_kpa
    if "scar_kpa" in numbers:
        shear = (numbers["scar_kpa"],) * 3
    return ((low, high, *shear),)


def _tether(options: Mapping[str, Any]) -> tuple[Pair, ...]:
    place, stiffness = options["tether-at-mm"], options["tether-n-per-mm"]
    if place is None and stiffness is None:
        return ()
    if place is None or stiffness is None:
        raise InputError(
            "a tether needs its place and its stiffness", allowed="--tether-at-mm, --tether-n-per-mm"
        )
    return ((float(place), float(stiffness)),)


def _freed(options: Mapping[str, Any]) -> tuple[Pair, ...]:
    names = ("free-from-mm", "free-to-mm"), ("scar-from-mm", "scar-to-mm")
    low, high = (
        float(options[given] if options[given] is not None else options[scar])
        for given, scar in zip(*names, strict=True)
    )
    return ((low, high),) if high > low else ()


def _movement(options: Mapping[str, Any]) -> dict[str, Any]:
    if options["motion"] == "none":
        joint = (options["joint-from-mm"], options["joint-to-mm"], options["elongation-mm"])
        return {"joints": (joint,)}
    return {"pull_last_mm": nerve_mechanics().motion(str(options["motion"])).excursion_mm.value}


def course_of_bench(case: ReleaseBench) -> Course:
    """The course of a bench case.

    Raises:
        InputError: a stretch that does not grow, lies beyond the nerve, or a stiffness that is not positive.
    """
    for name in ("scars", "joints", "freed"):
        for low, high, *rest in getattr(case, name):
            if not 0 <= low < high <= case.length_mm:
                raise InputError(
                    "a stretch must grow and lie on the nerve", where=name, found=f"{low:g} to {high:g} mm",
                    allowed=f"within 0 to {case.length_mm:g} mm",
                )  # fmt: skip
            if name == "scars" and not 0 < rest[0] <= rest[1] <= rest[2]:
                raise InputError("shear stiffness: three positive, growing numbers", where=name, found=rest)
    if case.mode == "neurectomy" and len(case.freed) != 1:
        raise InputError("a neurectomy removes exactly one stretch", where="freed", found=len(case.freed))
    return Course(
        length_mm=case.length_mm,
        radius_mm=case.radius_mm,
        modulus_mpa=case.modulus_mpa,
        bed_kpa=case.bed_kpa,
        scars=tuple(Held((low, high), (a, b, c)) for low, high, a, b, c in case.scars),
        tethers=case.tethers,
        joints=tuple(((low, high), elongation) for low, high, elongation in case.joints),
        pull_first_mm=case.pull_first_mm,
        pull_last_mm=case.pull_last_mm,
        pre_strain=case.pre_strain_percent / 100,
        relaxed=(case.relaxed_share, case.relaxed_after_s, case.relaxation_time_s),
        step_mm=case.step_mm,
    )


def run_bench(case: ReleaseBench, progress: Progress) -> dict[str, Any]:
    """Solve a bench case and report it as plain data."""
    began = perf_counter()
    course = course_of_bench(case)
    found: dict[Member, Found] = {}
    least: dict[Member, tuple[Smallest, ...]] = {}
    for number, member in enumerate(MEMBERS):
        progress(number / len(MEMBERS), f"{member} scar")
        found[member] = solve_member(
            course, member, case.freed, remove=case.mode == "neurectomy", again=case.rescar_share
        )
        least[member] = smallest(course, member, case.thresholds_percent)
    _, tension = tension_over_time(course, found["middle"], 60 * case.hold_min)
    states = [s for one in found.values() for s in (one.free, one.before, one.after, one.again)]
    return {
        "technique": "release",
        "mode": case.mode,
        "members": {name: _member(one, least[name], case) for name, one in found.items()},
        "gap_mm": found["middle"].gap_mm,
        "exposure_length_mm": sum(high - low for low, high in case.freed),
        "tension_n": {
            name: {"at_once": float(values[0]), "held": float(values[-1]), "held_min": case.hold_min}
            for name, values in tension.items()
        },
        "shear_lag_length_mm": _shear_lag_mm(course),
        "pressure": _pressure(case),
        "balance_error": max(state.balance_error for state in states),
        "elements": len(found["middle"].arc_mm),
        "elapsed_s": perf_counter() - began,
    }


def _member(found: Found, least: tuple[Smallest, ...], case: ReleaseBench) -> dict[str, Any]:
    states = {"unscarred": found.free, "before": found.before, "after": found.after, "rescarred": found.again}
    values: dict[str, Any] = {
        name: {
            "strain_percent": float(found.strain_percent(state).max()),
            "added_strain_percent": float(max(0.0, found.change_percent(state).max())),
            "tension_n": float(state.tension_n.max()),
            "excursion_mm": float(np.abs(found.excursion_mm(state)).max()),
            "slack_mm": float(1e3 * np.sum(np.maximum(-state.strain, 0) * np.diff(found.nodes_m))),
        }
        for name, state in states.items()
    }
    before = found.change_percent(found.before)
    return {
        **values,
        "above_threshold_mm": {
            f"{level:g}": float(np.diff(found.nodes_m)[before > level].sum() * 1e3)
            for level in case.thresholds_percent
        },
        "smallest_to_free": [
            {"threshold_percent": s.threshold_percent, "from_to_mm": s.span_mm, "length_mm": s.length_mm,
             "added_strain_percent": s.change_percent, "ladder_mm": s.rung_mm}
            for s in least
        ],
    }  # fmt: skip


def _shear_lag_mm(course: Course) -> dict[str, float]:
    """sqrt(EA / k): how far a disturbance reaches along the bed, and along the first scar by member."""
    beds = {"bed": course.bed_kpa}
    if course.scars:
        beds |= dict(zip(MEMBERS, course.scars[0].shear_kpa, strict=True))
    return {name: float(1e3 * np.sqrt(course.axial_n / (1e3 * shear))) for name, shear in beds.items()}


def _pressure(case: ReleaseBench) -> dict[str, Any] | None:
    if case.pressure_mmhg is None:
        return None
    stage = nerve_mechanics().stage(case.pressure_mmhg)
    opened = nerve_mechanics().opened["carpal_tunnel"]
    return {
        "before_mmhg": case.pressure_mmhg,
        "blood_flow": stage.text if stage else "below every stage read",
        "after_if_carpal_tunnel_mmhg": [
            case.pressure_mmhg / opened.factor_high, case.pressure_mmhg / opened.factor_low
        ],
    }  # fmt: skip


def simulate(options: Mapping[str, Any], changes: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """``neurolysis simulate`` from option values; errors as in :func:`bench_of`."""
    _refuse_axisymmetric(bool(options.get("axisymmetric")))
    case = bench_of(options, changes)
    return {**run_bench(case, progress), "case": case.model_dump(mode="json")}


def simulate_case(
    data: Mapping[str, Any], axisymmetric: bool, where: str, progress: Progress
) -> dict[str, Any]:
    """``neurolysis simulate --case`` from a bench case file.

    Raises:
        InputError: naming file and field.
    """
    _refuse_axisymmetric(axisymmetric)
    return run_bench(parse(ReleaseBench, data, where), progress)


def _refuse_axisymmetric(asked: bool) -> None:
    if asked:
        raise InputError("this is solved along a line", where="--axisymmetric", found="given")
