"""Proportions of several studies pooled: a beta-binomial with between-study spread, by quadrature.

Each study's rate is drawn from a beta distribution with mean m and spread rho (the correlation of two
patients of one study); m is uniform on (0, 1) beforehand, rho beta(1, 3), which favours little spread. Both
are summed over a grid, so the answer is the same every time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError

Array = NDArray[np.float64]
MEANS, SPREADS = 400, 80
COVER = 0.95
METHOD = "beta-binomial with between-study spread (uniform, beta(1, 3)); median and 95 % credible interval"
SINGLE = "95 % interval of the study alone (Jeffreys)"


class Rate(NamedTuple):
    """A rate, 0 to 1, with its 95 % interval, and that of another, new study."""

    value: float
    low: float
    high: float
    new_low: float
    new_high: float


def single_rate(events: int, counted: int, spread: float) -> Rate:
    """One study: its own rate with the Jeffreys interval, and a new study's under an assumed spread.

    Args:
        events: of ``counted`` patients.
        spread: assumed correlation within a study, above 0 and below 1; 0 leaves no spread.

    Raises:
        InputError: impossible counts or spread.
    """
    _check([(events, counted)])
    if not 0 <= spread < 1:
        raise InputError("a spread between studies", found=spread, allowed="0 up to 1")
    a, b = events + 0.5, counted - events + 0.5
    low, high = _beta_range(a, b)
    # the information of one study about another is diluted: so many patients at most
    shrink = 1.0 if spread == 0 else 1.0 / (1.0 + (a + b) * spread)
    new_low, new_high = _beta_range(a * shrink, b * shrink)
    value = events / counted
    low, high = min(low, value), max(high, value)
    return Rate(value, low, high, min(new_low, low), max(new_high, high))


def pooled_rate(studies: Sequence[tuple[int, int]]) -> Rate:
    """Two or more studies: median of the mean rate, its 95 % interval, and that of a new study.

    Args:
        studies: (events, counted) of each.

    Raises:
        InputError: fewer than two studies, or impossible counts.
    """
    if len(studies) < 2:
        raise InputError("pooling needs studies", found=len(studies), allowed="2 or more")
    _check(studies)
    mean, spread, weight = posterior(studies)
    low, middle, high = _quantiles(mean, weight.sum(axis=1))
    new_low, _, new_high = _new_study(mean, spread, weight)
    return Rate(middle, low, high, new_low, new_high)


def pooled_mean(studies: Sequence[tuple[int, int]]) -> tuple[float, float, float]:
    """Median and 95 % credible interval of the mean rate alone; errors as in :func:`pooled_rate`."""
    if len(studies) < 2:
        raise InputError("pooling needs studies", found=len(studies), allowed="2 or more")
    _check(studies)
    mean, _, weight = posterior(studies)
    low, middle, high = _quantiles(mean, weight.sum(axis=1))
    return middle, low, high


def posterior(studies: Sequence[tuple[int, int]]) -> tuple[Array, Array, Array]:
    """Grid of means (p,), of spreads (q,), and their joint weights (p, q), summing to 1."""
    from scipy.special import betaln

    mean = (np.arange(MEANS) + 0.5) / MEANS
    spread = ((np.arange(SPREADS) + 0.5) / SPREADS) ** 2  # finer near zero
    step = 2 * np.sqrt(spread) / SPREADS
    size = (1.0 / spread - 1.0)[None, :]
    a, b = mean[:, None] * size, (1.0 - mean)[:, None] * size
    log_weight = np.log(step * (1.0 - spread) ** 2)[None, :] + np.zeros_like(a)
    for events, counted in studies:
        log_weight += betaln(a + events, b + counted - events) - betaln(a, b)
    weight = np.exp(log_weight - log_weight.max())
    return mean, spread, weight / weight.sum()


def _new_study(mean: Array, spread: Array, weight: Array) -> tuple[float, float, float]:
    """Quantiles of the rate of a new study: the mixture of betas over the grid."""
    from scipy.special import betainc

    at = np.linspace(0.0, 1.0, 161)
    size = 1.0 / spread - 1.0
    rows, columns = np.nonzero(weight > 1e-3 * weight.max())
    a, b = mean[rows] * size[columns], (1.0 - mean[rows]) * size[columns]
    share = weight[rows, columns] / weight[rows, columns].sum()
    cumulative = np.array([float(np.sum(share * betainc(a, b, x))) for x in at])
    ends = ((1 - COVER) / 2, 0.5, (1 + COVER) / 2)
    low, middle, high = (float(np.interp(p, cumulative, at)) for p in ends)
    return low, middle, high


def _quantiles(values: Array, weight: Array) -> tuple[float, float, float]:
    edges = np.concatenate([[0.0], np.cumsum(weight)])
    at = np.linspace(0.0, 1.0, len(values) + 1)
    ends = ((1 - COVER) / 2, 0.5, (1 + COVER) / 2)
    low, middle, high = (float(np.interp(p, edges, at)) for p in ends)
    return low, middle, high


def _beta_range(a: float, b: float) -> tuple[float, float]:
    from scipy.special import betaincinv

    return float(betaincinv(a, b, (1 - COVER) / 2)), float(betaincinv(a, b, (1 + COVER) / 2))


def _check(studies: Sequence[tuple[int, int]]) -> None:
    for events, counted in studies:
        if counted < 1 or not 0 <= events <= counted:
            raise InputError(
                "events among those counted", found=f"{events} of {counted}", allowed="0 to all of them"
            )
