"""Diffusion of an agent into a nerve, a cylinder with a sheath, while and after it is bathed.

Radial diffusion by finite volumes on rings of equal width, backward Euler; the sheath is a film whose
resistance is given as a part of the diffusive exchange it leaves. Dose is counted ring by ring: the time
spent at or above a concentration. Exact solutions (Crank's cylinder series) are in the tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError

Array = NDArray[np.float64]
RINGS = 40
STEPS = 240


@dataclass(frozen=True)
class Bathed:
    """Rings from the middle outwards: share of the cross-section (r,), last concentration and time above."""

    shares: Array
    concentration: Array
    above_s: Array


def bathe(
    bath: Array, bath_s: Array, *, radius_m: float, diffusivity: float, sheath: float, above: float,
    rest_s: float = 0.0,
) -> Bathed:  # fmt: skip
    """Nerves (n,) of one radius, each in a bath of its own strength and time.

    Args:
        bath: concentration outside (n,), any unit; bath_s: seconds it lasts (n,), then none outside.
        sheath: part of the exchange through the outermost ring that the sheath leaves, 0 to 1 (1: bare).
        above: the concentration whose time is counted; rest_s: seconds followed after the longest bath.

    Returns:
        Arrays (n, rings).

    Raises:
        InputError: a radius, diffusivity or sheath out of range.
    """
    if not (radius_m > 0 and diffusivity > 0 and 0 < sheath <= 1):
        raise InputError(
            "a nerve needs a radius and a diffusivity above 0 and a sheath in (0, 1]",
            found=(radius_m, diffusivity, sheath),
        )
    bath, bath_s = np.atleast_1d(bath).astype(float), np.atleast_1d(bath_s).astype(float)
    total = float(bath_s.max(initial=0.0)) + rest_s
    faces = np.linspace(0.0, radius_m, RINGS + 1)
    area = np.pi * np.diff(faces**2)
    concentration = np.zeros((len(bath), RINGS))
    above_s = np.zeros_like(concentration)
    if total <= 0:
        return Bathed(area / area.sum(), concentration, above_s)
    width = radius_m / RINGS
    inner = 2 * np.pi * faces[1:-1] * diffusivity / width
    # Half a ring lies between the surface and the outermost ring's middle; the sheath adds to it.
    outer = sheath * 2 * np.pi * radius_m * diffusivity / (0.5 * width)
    edges = total * np.linspace(0.0, 1.0, STEPS + 1) ** 2
    for before, after in pairwise(edges.tolist()):
        dt = after - before
        outside = bath * np.clip((bath_s - before) / dt, 0.0, 1.0)
        concentration = _ring_step(concentration, outside, area / dt, inner, outer)
        above_s += dt * (concentration >= above)
    return Bathed(area / area.sum(), concentration, above_s)


def _ring_step(concentration: Array, outside: Array, held: Array, inner: Array, outer: float) -> Array:
    from scipy.linalg import solve_banded

    diagonal = held.copy()
    diagonal[:-1] += inner
    diagonal[1:] += inner
    diagonal[-1] += outer
    bands = np.zeros((3, len(held)))
    bands[0, 1:], bands[1], bands[2, :-1] = -inner, diagonal, -inner
    rhs = held * concentration
    rhs[:, -1] += outer * outside
    found: Array = solve_banded((1, 1), bands, rhs.T).T
    return found
