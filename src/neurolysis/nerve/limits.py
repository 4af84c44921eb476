"""One limit held against one value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from neurolysis.injury import LimitCheck
from neurolysis.scene import Limit

Verdict = Literal["ok", "warn", "stop", "cannot say"]


def verdict(limit: Limit, value: float) -> Literal["ok", "warn", "stop"]:
    """What the limit says of a value; a value equal to a bound has reached it."""
    for level in ("stop", "warn"):
        bound = getattr(limit, level)
        if bound is not None and _reached(limit, value, bound):
            return level
    return "ok"


def margin(limit: Limit, value: float) -> float:
    """Room left to the stop value (to the warn value where there is no stop), negative beyond it."""
    bound = limit.stop if limit.stop is not None else limit.warn
    if bound is None:
        raise ValueError("a limit needs a warn or a stop value")
    return bound - value if limit.direction == "above" else value - bound


def check_limit(
    limit: Limit, value: float, *, what_if: Mapping[str, float] | None = None, optimistic: str = ""
) -> LimitCheck:
    """Hold a limit against a value.

    Args:
        value: the metric as computed at the drawn position.
        what_if: the same metric under other assumptions, by name (the structure moved by one standard
            deviation, another treatment of a fluid space). It can raise "ok" to "warn", never to "stop".
        optimistic: why the true value may be worse than the one computed; then "ok" becomes "cannot say".
    """
    found: Verdict = verdict(limit, value)
    reasons = []
    for name, other in (what_if or {}).items():
        if _rank(verdict(limit, other)) > _rank(verdict(limit, value)):
            unit = "" if limit.unit == "1" else f" {limit.unit}"
            reasons.append(f"{name}: {other:.1f}{unit}, which would be '{verdict(limit, other)}'")
            found = "warn" if found == "ok" else found
    if optimistic and found != "stop":
        reasons.append(optimistic)
        found = "cannot say" if found == "ok" else found
    return LimitCheck(
        limit=limit, value=value, verdict=found, margin=margin(limit, value), reason="; ".join(reasons)
    )


def cannot_say(limit: Limit, reason: str) -> LimitCheck:
    """A limit whose metric is not known, with the reason."""
    return LimitCheck(limit=limit, value=None, verdict="cannot say", reason=reason)


def nothing_to_reach(limit: Limit, reason: str) -> LimitCheck:
    """A limit that cannot be broken (a distance to a lesion that does not exist)."""
    return LimitCheck(limit=limit, value=None, verdict="ok", reason=reason)


def _reached(limit: Limit, value: float, bound: float) -> bool:
    return value >= bound if limit.direction == "above" else value <= bound


def _rank(found: Literal["ok", "warn", "stop"]) -> int:
    return ("ok", "warn", "stop").index(found)
