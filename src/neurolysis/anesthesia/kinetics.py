"""Plasma concentration after an injection beside a nerve: two compartments, two parallel first-order inputs.

The model of Burm et al. 1987 (readings G-01 to G-18): a fast and a slow share of the dose are absorbed
at first order into a two-compartment body. Everything is a sum of exponentials, solved in closed form for
any number of virtual patients at once. Times in minutes, amounts in mg, volumes in L, so mg/L.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
LN2 = float(np.log(2.0))
APART = 1e-5
"""Relative distance kept between an input rate and a rate of the body, where the formula divides by it."""
START_MIN, END_MIN, POINTS = 0.5, 2880.0, 56


@dataclass(frozen=True)
class Body:
    """Two-compartment disposition; every field a float or an array (n,).

    Attributes:
        central_l: volume of the central compartment.
        clearance_l_per_min: total clearance.
        fast_per_min, slow_per_min: the two rates of disposition.
        return_per_min: rate from the peripheral compartment back (k21).
    """

    central_l: Array
    clearance_l_per_min: Array
    fast_per_min: Array
    slow_per_min: Array
    return_per_min: Array


@dataclass(frozen=True)
class Input:
    """Absorption from the injection site; fractions of the dose and rates (1/min), floats or (n,)."""

    fast_fraction: Array
    fast_per_min: Array
    slow_fraction: Array
    slow_per_min: Array


def body_from_half_life(
    central_l: ArrayLike, steady_state_l: ArrayLike, clearance_l_per_min: ArrayLike, half_life_min: ArrayLike
) -> Body:
    """The two-compartment body with these volumes, clearance and terminal half-life.

    With k10 = CL/V1, Vss = V1 (1 + k12/k21) and the terminal rate b,
    k21 = b (k10 - b) / (k10 - b Vss/V1). Where volumes and half-life leave no second compartment
    (k10 <= b Vss/V1) the body is one compartment of volume Vss.
    """
    v1, vss, cl = (
        np.atleast_1d(np.asarray(x, float)) for x in (central_l, steady_state_l, clearance_l_per_min)
    )
    terminal = LN2 / np.atleast_1d(np.asarray(half_life_min, float))
    v1, vss, cl, terminal = np.broadcast_arrays(v1, vss, cl, terminal)
    out = cl / v1
    room = out - terminal * vss / v1
    two = (room > 1e-9) & (vss > v1)
    back = np.where(two, terminal * (out - terminal) / np.where(two, room, 1.0), 1.0)
    return _body(np.where(two, v1, vss), cl, np.where(two, back * (vss / v1 - 1.0), 0.0), back)


def body_from_volumes(
    central_l: ArrayLike, clearance_l_per_min: ArrayLike, out_rate: ArrayLike, back_rate: ArrayLike
) -> Body:
    """The body with given micro-rates: ``out_rate`` k12 and ``back_rate`` k21, 1/min."""
    parts = (
        np.atleast_1d(np.asarray(x, float)) for x in (central_l, clearance_l_per_min, out_rate, back_rate)
    )
    return _body(*np.broadcast_arrays(*parts))


def _body(v1: Array, cl: Array, k12: Array, k21: Array) -> Body:
    k10 = cl / v1
    apart = (k10 - k21) ** 2 + k12**2 + 2 * k12 * (k10 + k21)
    # two equal rates (a body of one compartment) would be divided by their difference
    k21 = np.where(apart < (10 * APART * k10) ** 2, k10 * (1 + 10 * APART), k21)
    total = k10 + k12 + k21
    root = np.sqrt(np.maximum(total**2 - 4.0 * k10 * k21, 0.0))
    fast = 0.5 * (total + root)
    return Body(v1, cl, fast, k10 * k21 / fast, k21)


def exponentials(dose_mg: ArrayLike, body: Body, entry: Input) -> tuple[Array, Array]:
    """Coefficients (n, 4), mg/L, and rates (n, 4), 1/min, of the concentration after one dose.

    For an input of rate a: C = F D a / V1 * sum over x in {a, l1, l2} of
    (k21 - x) exp(-x t) / product of the other two minus x.
    """
    dose = np.asarray(dose_mg, float)
    coefficients, rates = [], []
    body_part = [np.zeros(np.broadcast_shapes(body.central_l.shape, dose.shape)) for _ in range(2)]
    l1, l2 = body.fast_per_min, body.slow_per_min
    for fraction, rate in (
        (entry.fast_fraction, entry.fast_per_min),
        (entry.slow_fraction, entry.slow_per_min),
    ):
        a = _kept_apart(np.asarray(rate, float), l1, l2)
        scale = np.asarray(fraction) * dose * a / body.central_l
        coefficients.append(scale * (body.return_per_min - a) / ((l1 - a) * (l2 - a)))
        rates.append(a)
        body_part[0] = body_part[0] + scale * (body.return_per_min - l1) / ((a - l1) * (l2 - l1))
        body_part[1] = body_part[1] + scale * (body.return_per_min - l2) / ((a - l2) * (l1 - l2))
    stacked = np.broadcast_arrays(*coefficients, *body_part, *rates, l1, l2)
    return np.stack(stacked[:4], axis=-1), np.stack(stacked[4:], axis=-1)


def _kept_apart(rate: Array, *others: Array) -> Array:
    """Move an input rate off a rate of the body, where the formula would divide by zero."""
    for other in others:
        rate = np.where(np.abs(rate - other) < APART * other, other * (1.0 + APART), rate)
    return rate


def concentration(coefficients: Array, rates: Array, time_min: ArrayLike) -> Array:
    """Concentration (n, m), mg/L, at times (m,); zero before the injection."""
    time = np.asarray(time_min, float)
    decayed = np.exp(-rates[:, None, :] * np.maximum(time, 0.0)[None, :, None])
    # the four terms cancel at the start: what rounding leaves below zero is zero
    return np.where(time >= 0, np.maximum(np.einsum("nk,nmk->nm", coefficients, decayed), 0.0), 0.0)


def peak(coefficients: Array, rates: Array) -> tuple[Array, Array]:
    """(Cmax in mg/L, time of it in min), (n,) each: the best of a time ladder, refined on dC/dt = 0."""
    ladder = np.geomspace(START_MIN, END_MIN, POINTS)
    values = np.stack([_at(coefficients, rates, np.full(len(rates), t)) for t in ladder], axis=1)
    best = values.argmax(axis=1)
    low = ladder[np.maximum(best - 1, 0)] * np.where(best == 0, 1e-3, 1.0)
    high = ladder[np.minimum(best + 1, POINTS - 1)]
    for _ in range(24):
        middle = 0.5 * (low + high)
        rising = _slope(coefficients, rates, middle) > 0
        low, high = np.where(rising, middle, low), np.where(rising, high, middle)
    time = 0.5 * (low + high)
    return _at(coefficients, rates, time), time


def _at(coefficients: Array, rates: Array, time: Array) -> Array:
    found: Array = np.einsum("nk,nk->n", coefficients, np.exp(-rates * time[:, None]))
    return found


def _slope(coefficients: Array, rates: Array, time: Array) -> Array:
    found: Array = -np.einsum("nk,nk->n", coefficients * rates, np.exp(-rates * time[:, None]))
    return found
