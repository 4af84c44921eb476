"""Photon transport in JAX, to be measured beside the program's own kernel: the same physics, arrays of photons.

python benchmarks/peers/light_jax.py [--photons 200000] [--rounds 2]

A batch of lanes flies in step inside one ``lax.while_loop``: hop to a tentative collision, leave weight there
(scatter-add), spin by Henyey-Greenstein, roulette. A lane whose photon has ended starts the next of its own
share at once, so that none idles but at the very end. Random numbers are four 32-bit words of state a lane
(xoshiro128++), as the library's own counter-based generator costs more than the rest of the step. As for
the kernel it is measured against, faces with one refractive index on both sides, voxels looked up for every
collision, null collisions where a voxel interacts less than the most.

Prints what it finds on cube60 (see measure_light.py) and the van de Hulst slab as a check that it is right.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

DEVICES = 2
if "jax" not in sys.modules:
    os.environ.setdefault("XLA_FLAGS", f"--xla_force_host_platform_device_count={DEVICES}")

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402

LIGHT_SPEED = 299_792_458.0
MOST_STEPS = 10_000_000
"""A run ends here whatever is left, rather than never."""


class Voxels(NamedTuple):
    """Even voxels (m) from ``low``; flat media; per medium absorption, scattering (1/m), g; beam down z."""

    shape: tuple[int, int, int]
    low: tuple[float, float, float]
    size: tuple[float, float, float]
    media: np.ndarray
    optics: np.ndarray
    start: tuple[float, float, float]
    index: float = 1.0
    gate_s: float | None = None
    least: float = 1e-4
    chance: float = 0.1


class Lanes(NamedTuple):
    """A batch of photons: place, direction, weight, share of the time left, random state, photons to come."""

    x: Any
    y: Any
    z: Any
    ux: Any
    uy: Any
    uz: Any
    weight: Any
    left: Any
    words: tuple[Any, Any, Any, Any]
    coming: Any


class Sums(NamedTuple):
    """Fluence times volume a voxel, and weights out above, below, at the sides, late, gained and lost."""

    fluence: Any
    out: Any
    squares: Any
    steps: Any


def cube60() -> Voxels:
    """The problem of measure_light.py."""
    return Voxels((60, 60, 60), (0.0, 0.0, 0.0), (1e-3,) * 3, np.zeros(60**3, np.int32),
                  np.array([[5.0, 1000.0, 0.01]]), (0.0295, 0.0295, 0.0), 1.37, 5e-9, 0.0)  # fmt: skip


def slab() -> Voxels:
    """Van de Hulst's slab: albedo 0.9, g 0.75, optical depth 2; total reflectance 0.09739, transmittance 0.66096."""
    return Voxels((1, 1, 1), (-1e3, -1e3, 0.0), (2e3, 2e3, 2e-4), np.zeros(1, np.int32),
                  np.array([[1000.0, 9000.0, 0.75]]), (0.0, 0.0, 0.0))  # fmt: skip


def _rotated(x: Any, by: int) -> Any:
    return (x << by) | (x >> (32 - by))


def _drawn(words: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
    """A uniform number between 0 and 1 (never either), and the new state (xoshiro128++)."""
    a, b, c, d = words
    bits = _rotated(a + d, 7) + a
    t = b << 9
    c, d = c ^ a, d ^ b
    b, a = b ^ c, a ^ d
    c, d = c ^ t, _rotated(d, 11)
    unit = ((bits >> 9).astype(jnp.int32).astype(jnp.float32) + 0.5) * jnp.float32(2.0**-23)
    return unit, (a, b, c, d)


def _seeded(lanes: int, seed: int) -> tuple[Any, ...]:
    words = np.random.default_rng(seed).integers(1, 2**32, size=(4, lanes), dtype=np.uint32)
    return tuple(jnp.asarray(w) for w in words)


def tracer(box: Voxels, lanes: int, tally: Any) -> Callable[[Any, Any], Sums]:
    """The compiled run: photons a lane (lanes,), random words -> sums."""
    absorption, scattering, g = (box.optics[:, k] for k in range(3))
    most = float((absorption + scattering).max())
    table = jnp.asarray(
        np.column_stack([absorption / most, scattering / (most - absorption), g]), jnp.float32
    )
    media = jnp.asarray(box.media)
    low, high = np.array(box.low), np.array(box.low) + np.array(box.shape) * np.array(box.size)
    rate = np.float32(box.index / (LIGHT_SPEED * box.gate_s)) if box.gate_s else np.float32(0)
    nx, ny, nz = box.shape
    free = np.float32(1 / most)

    def place(value: Any, k: int) -> Any:
        cell = ((value - np.float32(low[k])) * np.float32(1 / box.size[k])).astype(jnp.int32)
        return jnp.clip(cell, 0, box.shape[k] - 1)

    def step(carry: tuple[Lanes, Sums]) -> tuple[Lanes, Sums]:
        p, sums = carry
        u, words = _drawn(p.words)
        hop = -jnp.log(u) * free
        x, y, z = p.x + hop * p.ux, p.y + hop * p.uy, p.z + hop * p.uz
        # The way to the face counts for the gate of those that leave.
        to_z = jnp.where(p.uz > 0, np.float32(high[2]) - p.z, p.z - np.float32(low[2]))
        way_z = to_z / jnp.maximum(jnp.abs(p.uz), np.float32(1e-30))
        way_x = _way(p.x, p.ux, low[0], high[0])
        way_y = _way(p.y, p.uy, low[1], high[1])
        way = jnp.minimum(way_z, jnp.minimum(way_x, way_y))
        leaves = way < hop
        left = p.left - rate * jnp.minimum(hop, way)
        late = left <= 0
        alive = p.weight > 0
        inside = alive & ~leaves & ~late
        goes = alive & leaves & ~late
        by_z = goes & (way_z <= jnp.minimum(way_x, way_y))
        w = p.weight
        cell = (place(x, 0) * ny + place(y, 1)) * nz + place(z, 2)
        row = table[media[cell]]
        fluence = sums.fluence.at[cell].add(jnp.where(inside, w, 0).astype(tally))
        kept = jnp.where(inside, w * (1 - row[:, 0]), 0)
        # Roulette of what is weak; the four draws are taken by every lane.
        spin, words = _drawn(words)
        turn, words = _drawn(words)
        play, words = _drawn(words)
        weak = inside & (kept < np.float32(box.least))
        saved = weak & (play < np.float32(box.chance))
        after = jnp.where(weak, jnp.where(saved, kept / np.float32(box.chance), 0), kept)
        gain = jnp.where(saved, after - kept, 0)
        loss = jnp.where(weak & ~saved, kept, 0)
        above, below = by_z & (p.uz < 0), by_z & (p.uz > 0)
        parts = (jnp.where(above, w, 0), jnp.where(below, w, 0), jnp.where(goes & ~by_z, w, 0),
                 jnp.where(alive & late, w, 0), gain, loss)  # fmt: skip
        out = sums.out + jnp.stack([part.sum(dtype=jnp.float32) for part in parts]).astype(tally)
        squares = sums.squares + jnp.stack([(part * part).sum() for part in parts[:2]]).astype(tally)
        ux, uy, uz, words = _spun(p, row, spin, turn, inside, words)
        # Lanes whose photon has ended start the next one of their share.
        ended = after <= 0
        more = ended & (p.coming > 0)
        new = (np.float32(v) for v in box.start)
        x, y, z = (jnp.where(more, s, v) for s, v in zip(new, (x, y, z), strict=True))
        ux, uy, uz = jnp.where(more, 0, ux), jnp.where(more, 0, uy), jnp.where(more, 1, uz)
        lanes_after = Lanes(x, y, z, ux, uy, uz, jnp.where(more, 1, after), jnp.where(more, 1, left), words,
                            p.coming - more.astype(jnp.int32))  # fmt: skip
        return lanes_after, Sums(fluence, out, squares, sums.steps + 1)

    def _spun(p: Lanes, row: Any, spin: Any, turn: Any, inside: Any, words: Any) -> tuple[Any, ...]:
        hit, words = (True, words) if len(box.optics) == 1 else _hit(row, words)
        s, g = 2 * spin - 1, row[:, 2]
        top = s + g * (0.5 * (s * s + 3) + g * (s + g * 0.5 * (s * s - 1)))
        c = jnp.clip(top / ((1 + g * s) ** 2), -1, 1)
        r = jnp.sqrt((1 - c) * (1 + c))
        angle = np.float32(2 * math.pi) * turn
        a, b = r * jnp.cos(angle), r * jnp.sin(angle)
        sign = jnp.where(p.uz >= 0, np.float32(1), np.float32(-1))
        q = -1 / (sign + p.uz)
        m = p.ux * p.uy * q
        nx_ = a * (1 + sign * p.ux * p.ux * q) + b * m + c * p.ux
        ny_ = a * sign * m + b * (sign + p.uy * p.uy * q) + c * p.uy
        nz_ = c * p.uz - a * sign * p.ux - b * p.uy
        even = 1.5 - 0.5 * (nx_ * nx_ + ny_ * ny_ + nz_ * nz_)
        on = inside & hit
        turned = (jnp.where(on, n * even, o) for n, o in ((nx_, p.ux), (ny_, p.uy), (nz_, p.uz)))
        return (*turned, words)

    def go(carry: tuple[Lanes, Sums]) -> Any:
        return (carry[0].weight > 0).any() & (carry[1].steps < MOST_STEPS)

    @jax.jit
    def run(coming: Any, words: Any) -> Sums:
        zero, one = jnp.zeros(lanes, jnp.float32), jnp.ones(lanes, jnp.float32)
        x, y, z = (jnp.full(lanes, v, jnp.float32) for v in box.start)
        first = Lanes(x, y, z, zero, zero, one, one, one, words, coming - 1)
        sums = Sums(jnp.zeros(nx * ny * nz, tally), jnp.zeros(6, tally), jnp.zeros(2, tally), jnp.int32(0))
        return lax.while_loop(go, step, (first, sums))[1]

    return run


def _way(at: Any, u: Any, low: float, high: float) -> Any:
    to = jnp.where(u > 0, np.float32(high) - at, at - np.float32(low))
    return jnp.where(u == 0, np.float32(1e30), to / jnp.maximum(jnp.abs(u), np.float32(1e-30)))


def _hit(row: Any, words: Any) -> tuple[Any, Any]:
    u, words = _drawn(words)
    return u < row[:, 1], words


def trace(box: Voxels, photons: int, seed: int, lanes: int, double: bool, devices: int) -> dict[str, Any]:
    """Shares of what was launched, fluence times volume a photon, and seconds without compiling.

    ``photons`` is rounded up to a whole number a lane.
    """
    tally = jnp.float64 if double else jnp.float32
    each = math.ceil(photons / (lanes * devices))
    run = tracer(box, lanes, tally)
    places = jax.devices()[:devices]
    inputs = [
        jax.device_put((jnp.full(lanes, each, jnp.int32), _seeded(lanes, 1000 * seed + k)), where)
        for k, where in enumerate(places)
    ]
    # One photon a lane compiles for every device.
    for (_, words), where in zip(inputs, places, strict=True):
        jax.block_until_ready(run(jax.device_put(jnp.ones(lanes, jnp.int32), where), words))
    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(devices) as pool:
        parts = list(pool.map(lambda given: jax.block_until_ready(run(*given)), inputs))
    elapsed, used = time.perf_counter() - began, time.process_time() - used
    count = each * lanes * devices
    total = [sum(np.asarray(part[k], np.float64) for part in parts) / count for k in range(3)]
    most = float(box.optics[:, :2].sum(axis=1).max())
    absorbed = float((total[0] * box.optics[box.media, 0] / most).sum())
    above, below, sides, late, gain, loss = (float(v) for v in total[1])
    return {
        "fluence": total[0], "absorbed": absorbed, "above": above, "below": below, "photons": count,
        "error_above": math.sqrt(max(float(total[2][0]) - above**2, 0) / count),
        "error_below": math.sqrt(max(float(total[2][1]) - below**2, 0) / count),
        "balance_error": abs(1 + gain - loss - above - below - sides - late - absorbed),
        "photons_per_ms": count / (1e3 * elapsed), "elapsed_s": elapsed,
        "photons_per_cpu_ms": count / (1e3 * used), "steps": max(int(part.steps) for part in parts),
    }  # fmt: skip


def check(photons: int = 400_000) -> dict[str, float]:
    """The slab beside its exact values, in standard errors."""
    found = trace(slab(), photons, 1, 4096, True, 1)
    return {
        "reflectance": found["above"], "transmittance": found["below"],
        "reflectance_off_by_errors": abs(found["above"] - 0.09739) / found["error_above"],
        "transmittance_off_by_errors": abs(found["below"] - 0.66096) / found["error_below"],
        "balance_error": found["balance_error"],
    }  # fmt: skip


PLACE = (slice(25, 35), slice(25, 35), slice(10, 20))
"""Where the noise of the fluence is compared, as in measure_light.py."""
LANES_TRIED = (64, 128, 256, 1024)


def measure(photons: int, rounds: int) -> dict[str, Any]:
    """Speed on cube60: lanes, then tallies and devices tried with a quarter of the photons, the fastest in full.

    Tallies in double precision count, as the other side's do; single ones are tried to show what they cost.
    """
    tried: dict[str, float] = {}

    def attempt(lanes: int, double: bool, devices: int) -> float:
        found = trace(cube60(), max(photons // 4, lanes * devices), 1, lanes, double, devices)
        name = f"{lanes} lanes, {'double' if double else 'single'} tally, {devices} device(s)"
        tried[name] = found["photons_per_ms"]
        return tried[name]

    lanes = max(LANES_TRIED, key=lambda lanes: attempt(lanes, True, 1))
    attempt(lanes, False, 1)
    devices = min(DEVICES, len(jax.devices()), os.cpu_count() or 1)
    if devices > 1:
        attempt(lanes, True, devices)
    one = [trace(cube60(), photons, seed, lanes, True, 1) for seed in range(1, rounds + 1)]
    runs = [trace(cube60(), photons, seed, lanes, True, devices) for seed in range(1, rounds + 1)]
    flux = np.array([run["fluence"].reshape(60, 60, 60)[PLACE] for run in runs])
    return {
        "settings_tried": tried, "setting": f"{lanes} lanes, double tally", "devices": devices,
        "photons_per_ms": [run["photons_per_ms"] for run in runs],
        "photons_per_ms_one_device": [run["photons_per_ms"] for run in one],
        "photons_per_cpu_ms": [run["photons_per_cpu_ms"] for run in one],
        "absorbed": float(np.mean([run["absorbed"] for run in runs])),
        "balance_error": max(run["balance_error"] for run in runs),
        "noise": float((flux.std(axis=0, ddof=1) / flux.mean(axis=0)).mean()) if rounds > 1 else None,
        "check": check(),
    }  # fmt: skip


def main() -> None:
    """Print the figures after the word RESULT."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photons", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    print("RESULT" + json.dumps(measure(given.photons, given.rounds)))


if __name__ == "__main__":
    main()
