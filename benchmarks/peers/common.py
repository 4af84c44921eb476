"""What the peers share: the case file, the time steps, the controller, lesion sizes and the output.

A peer is a :class:`Model`: it knows how to solve for the potential and for the temperature with one
finite-element package. The treatment itself (:func:`treat`) is the same for all of them. Lengths are
metres inside, millimetres in the output; ``theta`` is the temperature above the body's, in kelvin.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import numpy as np  # noqa: E402  (the thread counts must be set first)

Array = Any
KELVIN = 273.15
GAS_CONSTANT = 8.314
IMPEDANCE_TIMES_S = (0.0, 10.0, 30.0, 60.0, 90.0)
MIDTIP_RADII_MM = (1, 2, 3, 4, 5, 6)
SIGMA_REFERENCE_C = 37.0


@dataclass(frozen=True)
class Case:
    """The numbers of a bench case in SI units (temperatures in C)."""

    needle_radius: float
    tip_length: float
    sensor_from_apex: float
    needle_k: float
    needle_rho_c: float
    sigma: float
    sigma_slope: float
    sigma_cap_c: float
    tissue_k: float
    tissue_rho_c: float
    perfusion: float
    radius: float
    half_length: float
    body_c: float
    set_c: float
    ramp_s: float
    duration_s: float
    ln_frequency: float
    energy: float
    damage_start_c: float

    @property
    def apex_z(self) -> float:
        """Height of the needle's end: the tip's middle is z = 0."""
        return -self.tip_length / 2

    @property
    def active_end_z(self) -> float:
        """Height at which the insulation starts."""
        return self.tip_length / 2

    @property
    def sensor_z(self) -> float:
        """Height of the thermocouple, on the axis."""
        return self.apex_z + self.sensor_from_apex

    def conductivity(self, theta: Array) -> Array:
        """Electrical conductivity (S/m) at ``theta`` above body temperature."""
        celsius = np.minimum(theta + self.body_c, self.sigma_cap_c)
        return self.sigma * (1 + self.sigma_slope * (celsius - SIGMA_REFERENCE_C))

    def target(self, t: float) -> float:
        """What the thermocouple must read at time ``t``, as ``theta``."""
        share = min(t / self.ramp_s, 1.0) if self.ramp_s > 0 else 1.0
        return (self.set_c - self.body_c) * share

    def damage_rate(self, theta: Array) -> Array:
        """Arrhenius rate (1/s)."""
        celsius = theta + self.body_c
        rate = np.exp(self.ln_frequency - self.energy / (GAS_CONSTANT * (celsius + KELVIN)))
        return np.where(celsius >= self.damage_start_c, rate, 0.0)


def read_case(path: str) -> Case:
    """Read a file of the format of ``rf_case_1.json``.

    Raises:
        SystemExit: when the case asks for something that the peers do not model.
    """
    data = json.loads(Path(path).read_text())
    needle, tissue, domain = data["cannula"], data["tissue"], data["domain"]
    protocol, damage = data["protocol"], data["damage"]
    if needle["tip_shape"] != "hemisphere" or protocol["control"] != "ideal":
        sys.exit("the peers model a hemispherical end and an ideal controller only")
    if tissue["perfusion_stops"] or tissue["vaporises"]:
        sys.exit("the peers do not model perfusion that stops or vaporisation")
    start = damage["start_temperature_c"]
    return Case(
        needle_radius=needle["radius_mm"] * 1e-3,
        tip_length=needle["active_tip_mm"] * 1e-3,
        sensor_from_apex=needle["thermocouple_from_apex_mm"] * 1e-3,
        needle_k=needle["thermal_conductivity_w_per_m_k"],
        needle_rho_c=needle["heat_capacity_j_per_m3_k"],
        sigma=tissue["conductivity_s_per_m"],
        sigma_slope=tissue["conductivity_slope_per_c"],
        sigma_cap_c=tissue["conductivity_cap_c"],
        tissue_k=tissue["thermal_conductivity_w_per_m_k"],
        tissue_rho_c=tissue["heat_capacity_j_per_m3_k"],
        perfusion=tissue["perfusion_per_s"] * tissue["blood_heat_capacity_j_per_m3_k"],
        radius=domain["radius_mm"] * 1e-3,
        half_length=domain["half_length_mm"] * 1e-3,
        body_c=domain["temperature_c"],
        set_c=protocol["set_temperature_c"],
        ramp_s=protocol["ramp_s"],
        duration_s=protocol["duration_s"],
        ln_frequency=float(np.log(damage["frequency_factor_per_s"])),
        energy=damage["activation_energy_j_per_mol"],
        damage_start_c=-np.inf if start is None else start,
    )


@dataclass(frozen=True)
class Step:
    """One time step. ``rate`` is the coefficient of the new temperature, 1/s: 1/dt or 1.5/dt."""

    end_s: float
    dt: float
    second_order: bool
    refresh: bool

    @property
    def rate(self) -> float:
        """Coefficient of the new temperature in the difference formula (1/s)."""
        return (1.5 if self.second_order else 1.0) / self.dt


def time_steps(case: Case, dt: float, hold_s: float | None) -> list[Step]:
    """BDF2, restarted by one backward-Euler step at 0 and at the end of the ramp.

    The potential is solved in every step of the ramp and then every ``hold_s`` seconds
    (None: in every step).
    """
    steps: list[Step] = []
    edges = [0.0, min(case.ramp_s, case.duration_s), case.duration_s]
    for begin, end in itertools.pairwise(edges):
        count = round((end - begin) / dt) if end > begin else 0
        size = (end - begin) / max(count, 1)
        every = 1 if hold_s is None or begin < case.ramp_s else max(1, round(hold_s / size))
        for i in range(count):
            refresh = every == 1 or (i + 1) % every == 0
            steps.append(Step(begin + (i + 1) * size, size, i > 0, refresh))
    return steps


class Model(Protocol):
    """What a package must offer to be driven by :func:`treat`."""

    def zero(self) -> Array:
        """Theta = 0 everywhere, as the package's coefficient vector."""

    def refresh(self, theta: Array) -> tuple[Array, float]:
        """Heat load per volt squared, and conductance (S), for the conductivity at ``theta``."""

    def history(self, combination: Array) -> Array:
        """Mass matrix (rho c) times a combination of old temperatures."""

    def adjoint(self, rate: float) -> Array:
        """Response of the thermocouple to a heat load, for steps with this ``rate``."""

    def solve(self, rate: float, load: Array, guess: Array) -> Array:
        """New theta for a load (W per test function)."""

    def dot(self, a: Array, b: Array) -> float:
        """Inner product of a dual vector and a coefficient vector."""

    def nodal(self, theta: Array) -> Array:
        """Theta at the nodes where damage is counted."""


@dataclass
class Outcome:
    """Fields at the end and what was recorded on the way (``impedance``: (time s, ohm))."""

    theta: Array
    omega: Array
    impedance: list[tuple[float, float]]
    voltage: list[float]


def treat(model: Model, case: Case, steps: list[Step]) -> Outcome:
    """Run the treatment: potential, ideal controller by the adjoint, heat, damage."""
    theta = model.zero()
    before, old_rate = theta, case.damage_rate(model.nodal(theta))
    omega = np.zeros_like(old_rate)
    load, conductance = model.refresh(theta)
    impedance = [(0.0, 1 / conductance)]
    voltage: list[float] = []
    for step in steps:
        guess = 2 * theta - before if step.second_order else theta
        if step.refresh and step is not steps[0]:
            load, conductance = model.refresh(guess)
            impedance.append((step.end_s, 1 / conductance))
        old = (2 * theta - 0.5 * before if step.second_order else theta) / step.dt
        history, response = model.history(old), model.adjoint(step.rate)
        wanted = case.target(step.end_s) - model.dot(response, history)
        v2 = max(wanted / model.dot(response, load), 0.0)
        voltage.append(v2**0.5)
        theta, before = model.solve(step.rate, history + v2 * load, guess), theta
        new_rate = case.damage_rate(model.nodal(theta))
        omega += 0.5 * step.dt * (old_rate + new_rate)
        old_rate = new_rate
    return Outcome(theta, omega, impedance, voltage)


# Sizes ------------------------------------------------------------------------------------------

Sampler = Callable[[Array, Array, float], tuple[Array, Array]]
"""(r, z, azimuth) in metres -> theta and ln Omega at those points."""


def _outermost(x: Array, field: Array, level: float) -> float:
    """Largest x (ascending) at which a row of ``field`` (rows, x) crosses ``level`` downwards."""
    inside = field >= level
    last = np.where(inside.any(axis=1), inside.shape[1] - 1 - np.argmax(inside[:, ::-1], axis=1), -1)
    rows = np.flatnonzero(last >= 0)
    if not len(rows):
        return -np.inf
    i = last[rows]
    if (i == len(x) - 1).any():
        raise ValueError("the lesion reaches the end of the sampled window")
    high, low = field[rows, i], field[rows, i + 1]
    share = np.clip((high - level) / (high - low), 0.0, 1.0)
    return float(np.max(x[i] + share * (x[i + 1] - x[i])))


def extents(r: Array, z: Array, field: Array, level: float) -> tuple[float, float, float]:
    """Largest r, lowest and highest z of ``field`` (r, z) >= ``level``."""
    radius = _outermost(r, field.T, level)
    return radius, -_outermost(-z[::-1], field[:, ::-1], level), _outermost(z, field, level)


def _window(case: Case) -> tuple[float, float]:
    """Radius and half length (m) of the sampled window: generous, inside the domain."""
    reach = 6e-3 + 0.6e-3 * case.duration_s**0.5
    half = case.tip_length / 2 + reach
    return min(reach, 0.95 * case.radius), min(half, 0.95 * case.half_length)


def measure(case: Case, sample: Sampler, azimuths: int, spacing: float) -> dict[str, Any]:
    """Lesion sizes (mm) and the profile at mid-tip.

    In three dimensions each of ``azimuths`` half-planes is measured and the mean is given, so that
    the angular noise of a coarse mesh does not count against the peer.
    """
    reach, half = _window(case)
    r = np.arange(0.0, reach, spacing)
    z = np.arange(-half, half + spacing / 2, spacing)
    level = {"isotherm_50c": (0, 50.0 - case.body_c), "arrhenius_1": (1, 0.0)}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in level}
    profile: list[Array] = []
    at = np.array(MIDTIP_RADII_MM) * 1e-3
    for k in range(azimuths):
        angle = 2 * np.pi * (k + 0.25) / azimuths
        grid_r, grid_z = (a.ravel() for a in np.meshgrid(r, z, indexing="ij"))
        fields = sample(grid_r, grid_z, angle)
        for name, (which, value) in level.items():
            radius, low, high = extents(r, z, fields[which].reshape(len(r), len(z)), value)
            found[name].append((2e3 * radius, 1e3 * (high - low)))
        profile.append(sample(at, np.zeros_like(at), angle)[0] + case.body_c)
    lesion = {
        name: {
            "width_mm": round(float(np.mean([s[0] for s in sizes])), 4),
            "length_mm": round(float(np.mean([s[1] for s in sizes])), 4),
        }
        for name, sizes in found.items()
    }
    mean = np.mean(profile, axis=0)
    midtip = {str(mm): round(float(t), 3) for mm, t in zip(MIDTIP_RADII_MM, mean, strict=True)}
    return {"lesion": lesion, "midtip_temperature_c": midtip}


def impedance_at(recorded: list[tuple[float, float]]) -> dict[str, float]:
    """The last impedance (ohm) that was computed at or before each of the reported times."""
    found = {}
    for wanted in IMPEDANCE_TIMES_S:
        known = [ohm for t, ohm in recorded if t <= wanted + 1e-9]
        found[f"{wanted:g}"] = round(known[-1], 3)
    return found


def peak_mb() -> float:
    """Largest resident memory of this process so far, MB."""
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1)


# Running ----------------------------------------------------------------------------------------


def arguments(doc: str, *, size_mm: float, dt: float = 1.0) -> argparse.ArgumentParser:
    """The options that all peers share."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--case", required=True, help="case file, as rf_case_1.json")
    parser.add_argument("--json", action="store_true", help="one JSON object on stdout (else indented)")
    parser.add_argument("--variant", choices=("tuned", "plain"), default="tuned")
    parser.add_argument("--size-mm", type=float, default=size_mm, help="cell size at the needle")
    parser.add_argument("--dt", type=float, default=dt, help="time step, s")
    parser.add_argument(
        "--hold-s", type=float, default=4.0, help="tuned: s between potentials after the ramp"
    )
    parser.add_argument("--seconds", type=float, help="stop the treatment earlier (for trials)")
    return parser


def schedule(case: Case, options: argparse.Namespace) -> list[Step]:
    """The steps for the options: the plain variant solves the potential in every step."""
    hold = options.hold_s if options.variant == "tuned" else None
    steps = time_steps(case, options.dt, hold)
    return [s for s in steps if options.seconds is None or s.end_s <= options.seconds + 1e-9]


@dataclass
class Clock:
    """Wall time since it was made or last read."""

    began: float = 0.0

    def __post_init__(self) -> None:
        self.began = time.perf_counter()

    def lap(self) -> float:
        """Seconds since the last lap."""
        now = time.perf_counter()
        seconds, self.began = now - self.began, now
        return round(seconds, 4)


def say(text: str) -> None:
    """Progress, on the error stream."""
    print(text, file=sys.stderr, flush=True)


def emit(options: argparse.Namespace, result: dict[str, Any]) -> None:
    """Print the one JSON object."""
    print(json.dumps(result, indent=None if options.json else 1), flush=True)
