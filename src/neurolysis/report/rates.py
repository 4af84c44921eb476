"""Figures of a prognosis as people of 100: several at one time become one span, and none is averaged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from neurolysis.prognosis import Prediction


@dataclass(frozen=True)
class Rate:
    """People of 100: ``low`` to ``high`` of the figures of one outcome at one time."""

    outcome: str
    months: float | None
    low: float
    high: float
    values: tuple[float, ...]
    figures: tuple[Prediction, ...]


def rates_of(items: Iterable[Prediction], outcomes: Sequence[str] | None) -> list[Rate]:
    """Per cent figures by outcome and time; several at one time become one span, and none is averaged."""
    groups: dict[tuple[str, float | None], list[Prediction]] = {}
    for item in items:
        known = item.unit == "percent" and item.value is not None
        if known and (outcomes is None or item.outcome in outcomes):
            groups.setdefault((item.outcome, item.at_months), []).append(item)
    rates = [_rate(outcome, months, group) for (outcome, months), group in groups.items()]
    if outcomes is not None:
        rates.sort(
            key=lambda rate: (outcomes.index(rate.outcome), rate.months if rate.months is not None else 1e9)
        )
    return rates


def _rate(outcome: str, months: float | None, group: Sequence[Prediction]) -> Rate:
    values = [item.value for item in group if item.value is not None]
    lows = [item.low if item.low is not None else item.value for item in group]
    highs = [item.high if item.high is not None else item.value for item in group]
    return Rate(
        outcome=outcome,
        months=months,
        low=max(0.0, min(x for x in lows if x is not None)),
        high=min(100.0, max(x for x in highs if x is not None)),
        values=tuple(values),
        figures=tuple(group),
    )
