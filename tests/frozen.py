"""Exact solutions of freezing, and small problems on one axis or three to hold the solver against."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, erfc, exp, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.special import expi

from neurolysis.physics.freezing import Freezing
from neurolysis.physics.grid import Axis, TensorGrid
from neurolysis.physics.heat_links import plain_resistances

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Water:
    """A substance that freezes at 0 C (evenly over ``width`` below it), SI."""

    warm_k: float = 0.55
    cold_k: float = 2.2
    warm_c: float = 4.0e6
    cold_c: float = 1.9e6
    latent: float = 3.0e8
    width: float = 0.2

    @property
    def warm_a(self) -> float:
        """Diffusivity unfrozen, m2/s."""
        return self.warm_k / self.warm_c

    @property
    def cold_a(self) -> float:
        """Diffusivity frozen, m2/s."""
        return self.cold_k / self.cold_c


def neumann(water: Water, start_c: float, wall_c: float) -> float:
    """lambda of the two-phase Stefan problem: the front is at 2 lambda sqrt(cold_a t)."""

    def gap(x: float) -> float:
        ratio = sqrt(water.cold_a / water.warm_a)
        cold = water.cold_k * -wall_c * exp(-(x**2)) / (erf(x) * sqrt(water.cold_a))
        warm = water.warm_k * start_c * exp(-((ratio * x) ** 2)) / (erfc(ratio * x) * sqrt(water.warm_a))
        return cold - warm - water.latent * x * sqrt(pi) * sqrt(water.cold_a)

    return float(brentq(gap, 1e-4, 5.0))


def neumann_temperature(water: Water, start_c: float, wall_c: float, x: Array, t: float) -> Array:
    """Temperature (C) of the two-phase Stefan problem at depths x (m) and time t (s)."""
    from scipy.special import erf as erfs
    from scipy.special import erfc as erfcs

    at = neumann(water, start_c, wall_c)
    front = 2 * at * sqrt(water.cold_a * t)
    cold = wall_c * (1 - erfs(x / (2 * sqrt(water.cold_a * t))) / erf(at))
    ratio = sqrt(water.cold_a / water.warm_a)
    warm = start_c * (1 - erfcs(x / (2 * sqrt(water.warm_a * t))) / erfc(ratio * at))
    found: Array = np.where(x < front, cold, warm)
    return found


def line_sink(water: Water, start_c: float, watt_per_m: float) -> float:
    """lambda of freezing round a line sink: the front is at 2 lambda sqrt(cold_a t)."""

    def gap(x: float) -> float:
        outer = x**2 * water.cold_a / water.warm_a
        taken = watt_per_m / (4 * pi) * exp(-(x**2))
        brought = water.warm_k * start_c * exp(-outer) / -float(expi(-outer))
        return taken - brought - water.latent * water.cold_a * x**2

    return float(brentq(gap, 1e-3, 5.0))


def point_sink(water: Water, start_c: float, at: float) -> float:
    """A (K) of a point sink of 4 pi cold_k A sqrt(cold_a t) watt, whose front is at 2 at sqrt(cold_a t)."""
    outer = at * sqrt(water.cold_a / water.warm_a)
    fall = exp(-(outer**2)) / (2 * outer) - 0.5 * sqrt(pi) * erfc(outer)
    warm = water.warm_k * start_c / fall * exp(-(outer**2)) / (2 * outer**2) / (2 * sqrt(water.warm_a))
    need = water.latent * at * sqrt(water.cold_a) + warm
    return need * 2 * sqrt(water.cold_a) * 2 * at**2 / (water.cold_k * exp(-(at**2)))


def problem(
    grid: TensorGrid,
    water: Water,
    start_c: float,
    *,
    wall_c: float | None = None,
    sink: int | None = None,
    perfusion: float = 0.0,
    metabolic: float = 0.0,
    blood_c: float | None = None,
    after_thaw: float = 1.0,
    perfusion_c: tuple[float, float] = (-2.15, -1.15),
    levels_c: tuple[float, ...] = (0.0,),
) -> Freezing:
    """One substance everywhere. ``wall_c`` holds the first face of the first axis; ``sink`` is the flat
    index of the cell the probe's power acts in."""
    shape = grid.shape
    full = np.ones(shape)
    low, high = zip(*[plain_resistances(grid, axis) for axis in range(len(shape))], strict=True)
    edge, film = np.zeros(shape), np.zeros(shape)
    if wall_c is not None:
        section = np.broadcast_to(grid.cross_section(0), shape)
        edge[0] = water.cold_k * section[0] / grid.axes[0].half_resistances()[0][0]
    if sink is not None:
        film.ravel()[sink] = 1.0

    def single(x: Array) -> NDArray[np.float32]:
        return np.ascontiguousarray(x, np.float32)

    volume = grid.volumes
    return Freezing(
        volumes=single(volume),
        warm_k=single(water.warm_k * full),
        cold_k=single(water.cold_k * full),
        warm_capacity=single(water.warm_c * volume),
        cold_capacity=single(water.cold_c * volume),
        latent=single(water.latent * volume),
        perfusion=single(perfusion * volume),
        metabolic=single(metabolic * volume),
        fixed=tuple(single(0 * x) for x in low),
        low=tuple(single(x) for x in low),
        high=tuple(single(x) for x in high),
        edge=single(edge),
        edge_k=single(full * ((wall_c or 0.0) - start_c)),
        needle_end=single(0 * full),
        free=single(full),
        film=single(film),
        film_share=single((film > 0).astype(float)),
        tissue=single(full),
        range_k=(-water.width - start_c, 0.0 - start_c),
        perfusion_k=(perfusion_c[0] - start_c, perfusion_c[1] - start_c),
        after_thaw=after_thaw,
        blood_k=(start_c if blood_c is None else blood_c) - start_c,
        zero_c=start_c,
        levels_k=single(np.array(levels_c) - start_c),
        tolerance_k=min(5e-4, 1.5e-3 * water.width),
    )


def line_grid(length: float, cells: int, *, radial: bool = False) -> TensorGrid:
    """One axis of even cells, metres; the other directions are one metre wide (or one turn of a ring)."""
    return TensorGrid((Axis(np.linspace(0.0, length, cells + 1), radial=radial),))


def front(grid: TensorGrid, temperature: Array, level: float) -> float:
    """Where the temperature along the first axis rises through a level, linear between centres (m)."""
    x = grid.axes[0].centres
    last = int(np.flatnonzero(temperature <= level)[-1])
    share = (level - temperature[last]) / (temperature[last + 1] - temperature[last])
    return float(x[last] + share * (x[last + 1] - x[last]))
