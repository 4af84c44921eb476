"""The command ``simulate``: one fibre in one tissue, from options or from a bench case file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from neurolysis.delivery.laser.protocol import Charring, Emitter
from neurolysis.delivery.technique import Option, Progress, setting_value
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.quantity import Value, parse

if TYPE_CHECKING:
    from neurolysis.delivery.laser.solve import Bed, Lit

BENCH_NEEDLE = "needle_20g_150mm"
MM = 1e-3


class LaserBench(Value):
    """One fibre in one tissue, every number given. z points to the hub, the fibre's end lies at 0.

    ``coagulated_*_ratio`` hold when fully coagulated; ``char_share`` of the light is heat at a carbonised
    end.
    """

    schema_name: Literal["laser-bench"] = "laser-bench"
    schema_version: Literal[1] = 1
    power_w: float = Field(gt=0, le=40)
    duty: float = Field(default=1.0, gt=0, le=1)
    duration_s: float = Field(gt=0, le=1800)
    emitter: Emitter = "bare"
    core_radius_mm: float = Field(default=0.2, ge=0.05, le=1)
    numerical_aperture: float = Field(default=0.22, gt=0, lt=1)
    refractive_index: float = Field(default=1.3, ge=1, le=2)
    diffuser_length_mm: float = Field(default=10.0, gt=0, le=40)
    fibre_beyond_needle_mm: float = Field(default=15.0, ge=0, le=60)
    charring: Charring = "when_dry"
    char_share: float = Field(ge=0, le=1)
    absorption_per_mm: float = Field(ge=0, le=100)
    reduced_scattering_per_mm: float = Field(ge=0, le=100)
    anisotropy: float = Field(default=0.9, ge=0, lt=1)
    coagulated_scattering_ratio: float = Field(default=1.0, ge=1, le=50)
    coagulated_absorption_ratio: float = Field(default=1.0, gt=0, le=10)
    thermal_conductivity_w_per_m_k: float = Field(gt=0, le=10)
    heat_capacity_j_per_m3_k: float = Field(gt=1e5, le=1e7)
    perfusion_per_s: float = Field(default=0.0, ge=0, le=1)
    blood_heat_capacity_j_per_m3_k: float = Field(ge=0, le=1e7)
    perfusion_stops: bool = True
    temperature_c: float = Field(default=37.0, ge=0, le=45)
    damage_start_c: float | None = Field(default=43.0, description="null: damage counts at every temperature")
    extent_mm: float = Field(default=40.0, ge=15, le=100)
    finest_mm: float = Field(default=0.3, gt=0.05, le=3)
    time_step_s: float = Field(default=1.0, gt=0, le=5)
    photons: int = Field(default=20_000, ge=1000, le=10**8)
    seed: int = Field(default=1, ge=0, le=2**31)

    @model_validator(mode="after")
    def _diffuser_lies_free(self) -> Self:
        if self.emitter == "diffuser" and self.diffuser_length_mm > self.fibre_beyond_needle_mm:
            raise ValueError("the diffuser must lie beyond the needle: raise fibre_beyond_needle_mm")
        return self


OPTIONS = (
    Option(
        "wavelength-nm",
        float,
        "wavelength; one without coefficients lists those that have them",
        980.0,
        unit="nm",
    ),
    Option("power-w", float, "power that leaves the fibre while the light is on", unit="W"),
    Option("duration-s", float, "time of treatment", unit="s"),
    Option("duty", float, "share of time the light is on", 1.0),
    Option("emitter", str, "how the fibre ends", "bare", choices=("bare", "diffuser")),
    Option("core-radius-mm", float, "radius of the core, or of the diffuser", 0.2, unit="mm"),
    Option("numerical-aperture", float, "of a bare fibre", 0.22),
    Option("diffuser-length-mm", float, "length of a diffuser", 10.0, unit="mm"),
    Option(
        "charring", str, "whether the tip carbonises", "when_dry", choices=("never", "when_dry", "from_start")
    ),
    Option("tissue", str, "a tissue of the evidence base", "muscle"),
    Option("body-temperature-c", float, "temperature at the start, of blood and far away", 37.0, unit="°C"),
    Option("photons", int, "photons traced at every renewal of the light", 20_000),
    Option("member", str, "which optics, or all three", "all", choices=("all", "shallow", "middle", "deep")),
)

FIXED = ("schema_name", "schema_version", "emitter", "charring")
SETTABLE = tuple(sorted(set(LaserBench.model_fields) - set(FIXED)))
"""What ``--set name=value`` may change; it then holds for every member."""


def bench_of(options: Mapping[str, Any], changes: Mapping[str, str], member: str) -> LaserBench:
    """The bench case of one member from options.

    Raises:
        UnknownNameError: wavelength, tissue or property; InputError: a value out of range.
    """
    data: dict[str, Any] = {**_delivered(options), **_tissue(options, member)}
    for name, text in changes.items():
        if name not in SETTABLE:
            raise UnknownNameError("unknown property", where="--set", found=name, allowed=SETTABLE)
        data[name] = setting_value(text, name)
    return parse(LaserBench, data, "simulate")


def _delivered(options: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "power_w": float(options["power-w"]),
        "duty": float(options["duty"]),
        "duration_s": float(options["duration-s"]),
        "emitter": options["emitter"],
        "core_radius_mm": float(options["core-radius-mm"]),
        "numerical_aperture": float(options["numerical-aperture"]),
        "diffuser_length_mm": float(options["diffuser-length-mm"]),
        "fibre_beyond_needle_mm": max(15.0, float(options["diffuser-length-mm"])),
        "charring": options["charring"],
        "temperature_c": float(options["body-temperature-c"]),
        "photons": int(options["photons"]),
    }


def _tissue(options: Mapping[str, Any], member: str) -> dict[str, Any]:
    from neurolysis.delivery.laser.members import PER_M, optics
    from neurolysis.evidence.optics import refractive_index, spectrum
    from neurolysis.evidence.tissues import tissue_properties

    name = str(options["tissue"])
    heat, blood = tissue_properties(name), tissue_properties("blood")
    light = optics([name], spectrum(float(options["wavelength-nm"])), member)  # type: ignore[arg-type]
    return {
        "refractive_index": refractive_index().value,
        "char_share": light.char_share,
        "absorption_per_mm": light.absorption[0] / PER_M,
        "reduced_scattering_per_mm": light.reduced[0] / PER_M,
        "anisotropy": light.g[0],
        "coagulated_scattering_ratio": light.scattering_ratio,
        "coagulated_absorption_ratio": light.absorption_ratio,
        "thermal_conductivity_w_per_m_k": heat.thermal_conductivity_w_per_m_k.value,
        "heat_capacity_j_per_m3_k": heat.heat_capacity_j_per_m3_k(),
        "perfusion_per_s": heat.perfusion_per_s.value,
        "blood_heat_capacity_j_per_m3_k": blood.heat_capacity_j_per_m3_k(),
    }


def bed_of(case: LaserBench) -> Bed:
    """The arrays of a bench case."""
    from neurolysis.delivery.laser.problem import build_grid, control_of, needle_rods, tip_stencil
    from neurolysis.delivery.laser.solve import Bed
    from neurolysis.evidence.instruments import instrument
    from neurolysis.geometry import RigidTransform
    from neurolysis.physics.assemble import assemble
    from neurolysis.physics.setup import Boundary
    from neurolysis.plan import Numerics, Placement

    length = case.diffuser_length_mm if case.emitter == "diffuser" else 0.0
    near, far = np.zeros((1, 3)), np.array([[0.0, 0.0, length * MM]])
    grid = build_grid(near, far, Numerics(finest_mm=case.finest_mm, extent_mm=case.extent_mm))
    place = Placement.between(instrument(BENCH_NEEDLE), (0.0, 0.0, 0.0), (0.0, 0.0, 1.0))
    frames = [RigidTransform.from_arrays(np.eye(3), np.zeros(3))]
    rods = needle_rods(frames, (place,), case.fibre_beyond_needle_mm)
    control = control_of(near, case.temperature_c, case.damage_start_c)
    boundary = Boundary("grounded", case.temperature_c)
    problem = assemble(grid, rods, _heat(case, grid.shape), boundary, control)
    tips, weights = tip_stencil(grid, near, far)
    return Bed(problem, grid, np.zeros(grid.shape, np.int64), _sources(case), tips, weights)


def _sources(case: LaserBench) -> tuple[Any, ...]:
    from neurolysis.physics.light import LightSource

    origin, radius = (0.0, 0.0, 0.0), case.core_radius_mm * MM
    if case.emitter == "diffuser":
        return (
            LightSource(
                "diffuser", origin, (0.0, 0.0, 1.0), radius=radius, length=case.diffuser_length_mm * MM
            ),
        )
    sine = case.numerical_aperture / case.refractive_index
    return (LightSource("beam", origin, (0.0, 0.0, -1.0), radius=radius, sine=sine),)


def _heat(case: LaserBench, shape: tuple[int, ...]) -> Any:
    from neurolysis.delivery.heat import vaporisation as boiling
    from neurolysis.physics.setup import Tissue

    return Tissue(
        conductivity=np.ones(shape),
        slope=np.zeros(shape),
        thermal_conductivity=np.full(shape, case.thermal_conductivity_w_per_m_k),
        heat_capacity=np.full(shape, case.heat_capacity_j_per_m3_k),
        perfusion=np.full(shape, case.perfusion_per_s * case.blood_heat_capacity_j_per_m3_k),
        metabolic=np.zeros(shape),
        latent=np.full(shape, boiling.LATENT_HEAT_J_PER_M3.value),
        perfusion_stops=np.full(shape, case.perfusion_stops),
        domain=np.ones(shape, bool),
    )


def run_bench(case: LaserBench, progress: Progress) -> tuple[Bed, Lit]:
    """Solve one case."""
    from neurolysis.delivery.laser.members import PER_M, Optics
    from neurolysis.delivery.laser.solve import Recipe, solve

    optics = Optics(
        absorption=(PER_M * case.absorption_per_mm,),
        reduced=(PER_M * case.reduced_scattering_per_mm,),
        g=(case.anisotropy,),
        scattering_ratio=case.coagulated_scattering_ratio,
        absorption_ratio=case.coagulated_absorption_ratio,
        char_share=case.char_share,
    )
    recipe = Recipe(
        case.power_w, case.duty, case.duration_s, case.charring, case.photons, case.seed, case.time_step_s
    )
    bed = bed_of(case)
    return bed, solve(bed, optics, recipe, progress)


def report(case: LaserBench, bed: Bed, lit: Lit) -> dict[str, Any]:
    """Plain data of a solved case: lesion sizes, traces, balances, what became of the light."""
    from neurolysis.delivery.heat.measures import energy_of
    from neurolysis.delivery.laser.wrap import light_shares

    energy, trace = energy_of(lit.result), lit.result.trace
    return {
        "lesion": lesions(bed, lit),
        "lesion_definition": "highest over the run; the fibre's interior counts",
        "energy_balance_error": energy.error,
        "energy": energy.model_dump(mode="json"),
        "light": light_shares(lit),
        "charred_at_s": lit.charred_s,
        "coagulated_ml": float((lit.coagulated * bed.grid.volumes).sum() * 1e6),
        "trace": {
            "time_s": _listed(lit.result.time_s),
            "tip_temperature_c": _listed(trace.sensors[:, 0]),
            "hottest_tissue_c": _listed(trace.hottest),
            "absorbed_w": _listed(trace.power),
        },
        "elapsed_s": lit.result.elapsed_s,
        "compile_s": lit.result.compile_s,
    }


def lesions(bed: Bed, lit: Lit) -> dict[str, Any]:
    """Sizes by every criterion of a plan, mm and mm3."""
    from neurolysis.delivery.heat.measures import fields_of_heat, size_of
    from neurolysis.evidence.criteria import lesion_criteria

    axes = tuple(axis.centres / MM for axis in bed.grid.axes)
    fields = fields_of_heat(lit.result, lit.first.absorbed, "")
    return {
        c.id: size_of(
            axes, bed.grid.volumes * 1e9, np.asarray(fields[c.field].array, float), c, 0.0
        ).model_dump(mode="json", exclude={"criterion", "proximal_extent_mm"})
        for c in lesion_criteria("plan")
    }


def _listed(values: Any) -> list[float]:
    return [float(f"{value:.7g}") for value in np.asarray(values, float)]


def simulate(options: Mapping[str, Any], changes: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """Run the command: the middle member in full, the shallow and the deep one as their lesions."""
    from neurolysis.delivery.laser.members import MEMBERS
    from neurolysis.evidence.optics import disagreement, spectrum

    _refuse_flat(options)
    light = spectrum(float(options["wavelength-nm"]))
    chosen = MEMBERS if options["member"] == "all" else (str(options["member"]),)
    cases = {member: bench_of(options, changes, member) for member in chosen}
    found: dict[str, dict[str, Any]] = {}
    for number, (member, case) in enumerate(cases.items()):
        bed, lit = run_bench(case, lambda f, m, n=number: progress((n + f) / len(cases), m))
        found[member] = report(case, bed, lit)
    main = "middle" if "middle" in found else chosen[0]
    return {
        **found[main],
        "member": main,
        "members": {name: {"lesion": run["lesion"], "light": run["light"]} for name, run in found.items()},
        "energy_balance_error": max(run["energy_balance_error"] for run in found.values()),
        "elapsed_s": sum(run["elapsed_s"] for run in found.values()),
        "note": f"{disagreement()}: no single contour is right. Coefficients: {light.note}.",
        "case": cases[main].model_dump(mode="json"),
    }


def _refuse_flat(options: Mapping[str, Any]) -> None:
    if options.get("axisymmetric"):
        raise InputError(
            "light is traced in three dimensions", where="--axisymmetric", allowed="leave it out"
        )


def simulate_case(
    data: Mapping[str, Any], axisymmetric: bool, where: str, progress: Progress
) -> dict[str, Any]:
    """Run a bench case file; every number comes from it."""
    _refuse_flat({"axisymmetric": axisymmetric})
    case = parse(LaserBench, dict(data), where)
    bed, lit = run_bench(case, progress)
    return {**report(case, bed, lit), "case": case.model_dump(mode="json")}
