"""How often somebody may ask: a bucket that fills at a steady rate, one for each client."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

MOST_CLIENTS = 10_000


class Rates:
    """Token buckets; safe to use from several threads.

    Args:
        per_second: how fast a bucket fills.
        at_once: how many requests a full bucket lets through.
        clock: seconds that only go forward.
    """

    def __init__(
        self, per_second: float, at_once: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = per_second
        self._most = float(at_once)
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_seconds(self, client: str) -> float:
        """Takes one from the client's bucket and returns 0, or how long to wait when it is empty."""
        now = self._clock()
        with self._lock:
            left, at = self._buckets.pop(client, (self._most, now))
            left = min(self._most, left + (now - at) * self._rate)
            allowed = left >= 1
            self._buckets[client] = (left - 1 if allowed else left, now)
            if len(self._buckets) > MOST_CLIENTS:
                self._buckets.popitem(last=False)
        return 0.0 if allowed else (1 - left) / self._rate
