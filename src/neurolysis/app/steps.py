"""One progress over several parts, and the time each part took."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from neurolysis.delivery.technique import Progress


class Steps:
    """Runs named parts in order, each over its share of one progress, and keeps their seconds.

    Args:
        progress: called with the overall fraction (0 to 1) and what is being done.
        shares: (name, weight) of each part; weights need not add up to anything.
    """

    def __init__(self, progress: Progress, shares: tuple[tuple[str, float], ...]) -> None:
        self._progress = progress
        self._shares = shares
        self.seconds: dict[str, float] = {}

    @contextmanager
    def part(self, name: str, message: str) -> Iterator[Progress]:
        """Inside the block, the yielded progress (0 to 1) covers this part's share."""
        total = sum(weight for _, weight in self._shares)
        names = [known for known, _ in self._shares]
        start = sum(weight for _, weight in self._shares[: names.index(name)]) / total
        share = dict(self._shares)[name] / total

        def within(fraction: float, message: str) -> None:
            self._progress(start + share * min(max(fraction, 0.0), 1.0), message)

        within(0.0, message)
        began = time.perf_counter()
        yield within
        self.seconds[name] = time.perf_counter() - began
        within(1.0, message)
