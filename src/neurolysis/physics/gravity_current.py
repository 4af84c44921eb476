"""A thin layer of light or heavy fluid along a tilted channel: a viscous gravity current.

Lubrication theory: ``h_t + d/dx (g' h^3 / (3 nu) (sin a - cos a h_x)) = inflow / width``, where h is the
layer's thickness, g' the reduced gravity and a the slope down which it runs (for a light layer under the
upper wall, the slope upwards). The layer does not mix with what it runs through. A constant volume on the
level spreads as 1.411 (g' A^3 / (3 nu))^(1/5) t^(1/5) (Huppert's similarity solution), which the tests hold.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError

Array = NDArray[np.float64]
THICKNESS_PER_STEP = 0.05
"""Largest change of thickness in a step, as a part of the thickest place."""
MOST_STEPS = 200_000


@dataclass(frozen=True)
class Channel:
    """Centres x (n,) m along the channel, its width and height (m), slope (radian, down towards +x)."""

    x: Array
    width_m: float
    height_m: float
    slope: float

    def __post_init__(self) -> None:
        if len(self.x) < 8 or not (self.width_m > 0 and self.height_m > 0 and abs(self.slope) < np.pi / 2):
            raise InputError(
                "a channel needs a length in cells, a width, a height and a slope below 90 degrees"
            )


@dataclass(frozen=True)
class Layer:
    """Thickness (t, n) m at the asked times, steps taken, and the relative error of its volume."""

    thickness: Array
    steps: int
    volume_error: float


def run_layer(
    channel: Channel, *, reduced_gravity: float, viscosity_m2_per_s: float, rate_m3_per_s: float,
    inflow_s: float, inflow_cells: NDArray[np.int64], times_s: Array,
) -> Layer:  # fmt: skip
    """The layer at each of ``times_s`` (rising); fluid flows in evenly at ``inflow_cells`` for ``inflow_s``.

    Ends of the channel are open. Thickness never exceeds the height: what does not fit moves on at once.

    Raises:
        InputError: constants out of range; the layer needs more steps than allowed.
    """
    if not (reduced_gravity > 0 and viscosity_m2_per_s > 0 and rate_m3_per_s > 0 and inflow_s > 0):
        raise InputError("a layer needs reduced gravity, viscosity, rate and time above 0")
    dx = float(np.diff(channel.x).mean())
    lead = reduced_gravity / (3 * viscosity_m2_per_s)
    source = np.zeros(len(channel.x))
    source[inflow_cells] = rate_m3_per_s / channel.width_m / dx / len(inflow_cells)
    h, now, count, lost, given = np.zeros(len(channel.x)), 0.0, 0, 0.0, 0.0
    rows = []
    for goal in times_s:
        while now < goal - 1e-12:
            thickest = max(float(h.max()), 1e-5)
            spread = lead * thickest**3 * np.cos(channel.slope)
            speed = 3 * lead * thickest**2 * abs(np.sin(channel.slope))
            dt = min(goal - now, 20 * dx**2 / max(spread, 1e-30), 0.5 * dx / max(speed, 1e-30))
            if now < inflow_s:
                dt = min(dt, inflow_s - now, max(1e-3, 0.2 * thickest / max(float(source.max()), 1e-30)))
            h, out = _layer_step(h, dt, dx, lead, channel, source if now < inflow_s - 1e-12 else 0 * source)
            given += dt * float(source.sum()) * dx if now < inflow_s - 1e-12 else 0.0
            lost += out
            now += dt
            count += 1
            if count > MOST_STEPS:
                raise InputError("the layer runs too fast for this channel", found=f"{count} steps")
        rows.append(h.copy())
    error = abs(given - lost - float(h.sum()) * dx) / given
    return Layer(np.array(rows), count, error)


def _layer_step(
    h: Array, dt: float, dx: float, lead: float, channel: Channel, source: Array
) -> tuple[Array, float]:
    """One step: spreading implicit with the thickness of before, running down the slope upwind."""
    from scipy.linalg import solve_banded

    cubic = lead * h**3
    faces = 0.5 * (cubic[1:] + cubic[:-1]) * np.cos(channel.slope) * dt / dx**2
    run = np.concatenate([[cubic[0]], np.where(channel.slope >= 0, cubic[:-1], cubic[1:]), [cubic[-1]]])
    if channel.slope >= 0:
        run[0] = 0.0
    else:
        run[-1] = 0.0
    flow = run * np.sin(channel.slope) * dt / dx
    rhs = h + dt * source - np.diff(flow)
    bands = np.zeros((3, len(h)))
    bands[1] = 1.0
    bands[1, :-1] += faces
    bands[1, 1:] += faces
    bands[0, 1:], bands[2, :-1] = -faces, -faces
    found: Array = solve_banded((1, 1), bands, rhs)
    out = float(flow[-1] - flow[0]) * dx
    return _fit(np.maximum(found, 0.0), channel.height_m), out


def _fit(h: Array, height: float) -> Array:
    """No thicker than the channel: the surplus goes to the nearest room on both sides."""
    surplus = float(np.maximum(h - height, 0).sum())
    if surplus <= 0:
        return h
    middle = int(np.argmax(h))
    h = np.minimum(h, height)
    for reach in range(1, len(h)):
        for at in (middle - reach, middle + reach):
            if 0 <= at < len(h) and surplus > 0:
                room = min(height - h[at], surplus)
                h[at] += room
                surplus -= room
    return h
