"""How the heated region grew: the time at which each cell first reached a temperature."""

from __future__ import annotations

import numpy as np

from neurolysis.physics.treatment import Result, first_reached_s


def kept(peaks: list[list[float]], times: list[float]) -> Result:
    return Result(*([None] * 6), np.array(peaks), np.array(times))  # type: ignore[arg-type]


def test_the_time_is_read_between_the_kept_ones_and_never_stays_never() -> None:
    #                 at once, half way, at the end, later than half, never
    result = kept([[55, 37, 37, 37, 37], [60, 57, 40, 40, 49], [60, 60, 50, 80, 49.9]], [0.0, 8.0, 16.0])
    found = first_reached_s(result, 50.0)
    assert found[:4].tolist() == [0.0, 8 * 13 / 20, 16.0, 8 + 8 * 10 / 40]
    assert np.isinf(found[4])


def test_a_hotter_place_is_reached_no_later() -> None:
    rng = np.random.default_rng(3)
    rises = np.cumsum(rng.random((6, 40)), axis=0)
    slow = kept((37 + 4 * rises).tolist(), [0, 3, 8, 9, 20, 30])
    fast = kept((37 + 6 * rises).tolist(), [0, 3, 8, 9, 20, 30])
    assert (first_reached_s(fast, 45.0) <= first_reached_s(slow, 45.0)).all()
