"""Compiled loops of photon transport: packets of photons, each with a random stream of its own.

A photon flies to its next tentative collision with the largest interaction coefficient of its layer
(Woodcock's null collisions), so that no cell face has to be looked for; there it leaves the absorbed share
of its weight, and scatters, by Henyey-Greenstein, or flies on. Flat faces between layers and the box's outer
faces refract and reflect (Fresnel). Lanes of a packet are worked in stages whose loops the compiler turns into
vector instructions; only the stage that looks up cells goes lane by lane.

What a photon does depends on its number and the seed alone. A block of photons has tallies of its own, and
blocks are added in their order, so a result does not depend on the number of threads.
Directions and places are single precision, weights and tallies double.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.extending import intrinsic

Array = Any
LANES = 64
"""Photons in a packet: more waste time when the last ones of a block die, fewer when loops start."""
UX, UY, UZ, STEP, LEFT, FREE, G, SCATTER, SPARE, PX, PY, PZ, HIT = (np.int64(3 + k) for k in range(13))
"""Rows of a packet's state after X, Y, Z (0, 1, 2): direction; step (m); share of the time left; mean free
path of the layer (m); anisotropy and flag of the scattering to come; spare random number; the place after the
step; whether it has scattered."""
ROWS = 16

ABOVE, BELOW, SIDES, ABOVE_SQUARES, BELOW_SQUARES, DIRECT_ABOVE, DIRECT_BELOW = range(7)
GAIN, LOSS, LATE, COLLISIONS, LAUNCHED = range(7, 12)
SUMS = 12
"""Sums of a block: weight out of the low and high z face and of the sides, squares of the first two, unscattered
parts of the first two, roulette gain and loss, weight past the time gate, collisions, weight launched."""

BEAM, DIFFUSER, POINT = 0, 1, 2
"""Kinds of source: a disc that emits into a cone, a cylinder's side that emits as its cosine, a point."""
FAR = np.float32(1e30)
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
UNIT = np.float32(2.0**-31)
QUARTER_TURN = np.float32(np.pi / 2)
LN2 = np.float32(np.log(2))
ROOT_HALF_BITS = np.int32(0x3F3504F3)
"""Bits of sqrt(1/2): mantissas are taken between it and sqrt(2)."""
GOLDEN, MIX_1, MIX_2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
BITS_31 = np.uint64(33)
LOW_31 = np.uint64(0x7FFFFFFF)

_inline = njit(fastmath=True, cache=True, inline="never")
_hot = njit(fastmath=True, cache=True)


@intrinsic
def _as_bits(context: Any, value: Any) -> Any:
    """The bits of a float32 as an int32."""

    def make(_c: Any, builder: Any, _s: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(32))

    return types.int32(types.float32), make


@intrinsic
def _as_float(context: Any, value: Any) -> Any:
    """The float32 of an int32's bits."""

    def make(_c: Any, builder: Any, _s: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.FloatType())

    return types.float32(types.int32), make


@_hot
def log_single(u: float) -> float:
    """Natural logarithm of a positive normal float32: exponent, and 2 atanh((m - 1) / (m + 1)) of the mantissa."""
    bits = _as_bits(u)
    exponent = np.int32(bits - ROOT_HALF_BITS) >> np.int32(23)
    m = _as_float(np.int32(bits - np.int32(exponent << np.int32(23))))
    t = (m - ONE) / (m + ONE)
    q = t * t
    series = ONE + q * (np.float32(1 / 3) + q * (np.float32(1 / 5) + q * (np.float32(1 / 7) + q * np.float32(1 / 9))))
    return np.float32(exponent) * LN2 + TWO * t * series


@_hot
def sin_cos_turn(v: float) -> tuple[float, float]:
    """Sine and cosine of a turn's share ``v`` from -1/2 to 1/2: Taylor of a quarter of the angle, doubled twice."""
    x = QUARTER_TURN * v
    q = x * x
    s = x * (ONE + q * (np.float32(-1 / 6) + q * (np.float32(1 / 120) + q * (np.float32(-1 / 5040) + q * np.float32(1 / 362880)))))
    c = ONE + q * (np.float32(-1 / 2) + q * (np.float32(1 / 24) + q * (np.float32(-1 / 720) + q * np.float32(1 / 40320))))
    s, c = TWO * s * c, ONE - TWO * s * s
    return TWO * s * c, ONE - TWO * s * s


@_hot
def _turned(x: Any, by: Any) -> Any:
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


@_hot
def _drawn(a: Any, b: Any) -> Any:
    """The next 64 bits of a stream with state (a, b), and its new state (xoroshiro128++)."""
    bits = _turned(a + b, 17) + a
    b ^= a
    return bits, _turned(a, 49) ^ b ^ (b << np.uint64(21)), _turned(b, 28)


@_hot
def _mixed(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@_hot
def _draw_all(streams: Array, bits: Array) -> None:
    """Four 31-bit integers for every lane."""
    for n in range(LANES):
        first, a, b = _drawn(streams[n], streams[LANES + n])
        second, a, b = _drawn(a, b)
        streams[n], streams[LANES + n] = a, b
        bits[n] = np.int32(first >> BITS_31)
        bits[LANES + n] = np.int32(first & LOW_31)
        bits[2 * LANES + n] = np.int32(second >> BITS_31)
        bits[3 * LANES + n] = np.int32(second & LOW_31)


@_hot
def _fly(f: Array, bits: Array) -> None:
    """Steps to the next tentative collision and the places after them."""
    for n in range(LANES):
        u = (np.float32(bits[n]) + HALF) * UNIT
        step = -log_single(u) * f[FREE * LANES + n]
        f[STEP * LANES + n] = step
        f[SPARE * LANES + n] = (np.float32(bits[LANES + n]) + HALF) * UNIT
        f[PX * LANES + n] = f[n] + step * f[UX * LANES + n]
        f[PY * LANES + n] = f[LANES + n] + step * f[UY * LANES + n]
        f[PZ * LANES + n] = f[2 * LANES + n] + step * f[UZ * LANES + n]


@_hot
def _scatter(f: Array, bits: Array) -> None:
    """New directions of the lanes that scatter; the cosine by inverting the Henyey-Greenstein distribution.

    Written so that nothing cancels at g = 0. The basis square to the direction is that of Duff et al. (2017).
    """
    for n in range(LANES):
        s = TWO * ((np.float32(bits[2 * LANES + n]) + HALF) * UNIT) - ONE
        g = f[G * LANES + n]
        top = s + g * (HALF * (s * s + np.float32(3)) + g * (s + g * HALF * (s * s - ONE)))
        bottom = ONE + g * s
        c = min(max(top / (bottom * bottom), -ONE), ONE)
        r = np.sqrt((ONE - c) * (ONE + c))
        sine, cosine = sin_cos_turn((np.float32(bits[3 * LANES + n]) + HALF) * UNIT - HALF)
        p, q = r * cosine, r * sine
        x, y, z = f[UX * LANES + n], f[UY * LANES + n], f[UZ * LANES + n]
        sign = np.copysign(ONE, z)
        a = -ONE / (sign + z)
        b = x * y * a
        nx = p * (ONE + sign * x * x * a) + q * b + c * x
        ny = p * sign * b + q * (sign + y * y * a) + c * y
        nz = c * z - p * sign * x - q * y
        even = np.float32(1.5) - HALF * (nx * nx + ny * ny + nz * nz)
        on = f[SCATTER * LANES + n]
        f[UX * LANES + n] = x + on * (nx * even - x)
        f[UY * LANES + n] = y + on * (ny * even - y)
        f[UZ * LANES + n] = z + on * (nz * even - z)


@_hot
def _cell(x: float, faces: Array, low: float, inverse: float, start: Array) -> int:
    """The cell of a coordinate: a table of even bins finer than any cell, then at most a few faces up."""
    bin_ = min(max((x - low) * inverse, ZERO), np.float32(len(start) - 1))
    k = np.int64(start[np.int64(bin_)])
    while k < len(faces) - 2 and x >= faces[k + 1]:
        k += 1
    return k


@_hot
def fresnel(n1: float, n2: float, cosine: float) -> tuple[float, float]:
    """Reflected share of unpolarised light, and the cosine of the refracted ray (0 at total reflection)."""
    if n1 == n2:
        return 0.0, cosine
    sine2 = (n1 / n2) ** 2 * (1.0 - cosine * cosine)
    if sine2 >= 1.0:
        return 1.0, 0.0
    out = np.sqrt(1.0 - sine2)
    across = (n1 * cosine - n2 * out) / (n1 * cosine + n2 * out)
    along = (n1 * out - n2 * cosine) / (n1 * out + n2 * cosine)
    return 0.5 * (across * across + along * along), out


@_hot
def _uniform(streams: Array, n: int) -> float:
    bits, a, b = _drawn(streams[n], streams[LANES + n])
    streams[n], streams[LANES + n] = a, b
    return (np.float64(bits >> np.uint64(11)) + 0.5) * 2.0**-53


@_hot
def _source_of(photon: int, shares: Array, photons: int) -> int:
    """Sources take consecutive photons, as many as their share of the power."""
    place = (photon + 0.5) / photons
    k = 0
    while k < len(shares) - 1 and place >= shares[k]:
        k += 1
    return k


@_hot
def _start_of(row: Array, streams: Array, n: int) -> tuple[float, float, float, float, float, float]:
    """Place and direction of a new photon in the source's own frame (z along its axis)."""
    turn, u, v, w = _uniform(streams, n), _uniform(streams, n), _uniform(streams, n), _uniform(streams, n)
    kind, radius = np.int64(row[0]), row[13]
    angle = 2 * np.pi * turn
    if kind == BEAM:
        r = radius * np.sqrt(u)
        c = 1.0 - v * (1.0 - np.sqrt(1.0 - row[14] ** 2))
        s, other = np.sqrt(max(0.0, 1.0 - c * c)), 2 * np.pi * w
        return r * np.cos(angle), r * np.sin(angle), 0.0, s * np.cos(other), s * np.sin(other), c
    if kind == DIFFUSER:
        c = np.sqrt(v)
        s, other = np.sqrt(1.0 - v), 2 * np.pi * w
        out, round_, up = c, s * np.cos(other), s * np.sin(other)
        x, y = np.cos(angle), np.sin(angle)
        return radius * x, radius * y, u * row[15], out * x - round_ * y, out * y + round_ * x, up
    c = 2.0 * v - 1.0
    s = np.sqrt(1.0 - c * c)
    return 0.0, 0.0, 0.0, s * np.cos(angle), s * np.sin(angle), c


@_hot
def _launch(
    n: int, photon: int, photons: int, seed: Any, sources: Array, shares: Array, layers: Array, f: Array,
    streams: Array, weight: Array, layer: Array, sums: Array,
) -> None:  # fmt: skip
    """Put photon number ``photon`` into lane n."""
    key = _mixed(seed) + np.uint64(photon) * GOLDEN
    streams[n], streams[LANES + n] = _mixed(key), _mixed(key + GOLDEN * MIX_1) | np.uint64(1)
    row = sources[_source_of(photon, shares, photons)]
    x, y, z, u, v, w = _start_of(row, streams, n)
    for k in range(3):
        f[k * LANES + n] = row[1 + k] + x * row[4 + k] + y * row[7 + k] + z * row[10 + k]
        f[(UX + k) * LANES + n] = u * row[4 + k] + v * row[7 + k] + w * row[10 + k]
    layer[n] = np.int64(row[16])
    weight[n] = row[17]
    sums[LAUNCHED] += row[17]
    f[FREE * LANES + n] = layers[layer[n], 2]
    f[LEFT * LANES + n], f[HIT * LANES + n], f[SCATTER * LANES + n], f[G * LANES + n] = ONE, ZERO, ZERO, ZERO


@_hot
def _escape(n: int, axis: int, up: bool, f: Array, weight: Array, sums: Array) -> None:
    """Tally a photon that leaves the box."""
    w = weight[n]
    direct = w if f[HIT * LANES + n] == ZERO else 0.0
    if axis < 2:
        sums[SIDES] += w
    elif up:
        sums[BELOW] += w
        sums[BELOW_SQUARES] += w * w
        sums[DIRECT_BELOW] += direct
    else:
        sums[ABOVE] += w
        sums[ABOVE_SQUARES] += w * w
        sums[DIRECT_ABOVE] += direct


@_hot
def _face_ahead(n: int, bounds: Array, low: float, high: float, f: Array) -> tuple[int, float, float]:
    """Axis, distance and place of the first face of the layer's box on the way."""
    axis, nearest, place = 0, FAR, ZERO
    for k in range(3):
        u = f[(UX + k) * LANES + n]
        if u == ZERO:
            continue
        a, b = (low, high) if k == 2 else (bounds[k, 0], bounds[k, 1])
        face = b if u > ZERO else a
        d = max((face - f[k * LANES + n]) / u, ZERO)
        if d < nearest:
            axis, nearest, place = k, d, face
    return axis, nearest, place


@_hot
def _cross(
    n: int, bounds: Array, layers: Array, indices: Array, f: Array, weight: Array, layer: Array, sums: Array
) -> bool:
    """Bring a photon to the face it meets: reflected, refracted into the next layer, or out (True)."""
    here = layer[n]
    axis, d, place = _face_ahead(n, bounds, layers[here, 0], layers[here, 1], f)
    for k in range(3):
        f[k * LANES + n] += d * f[(UX + k) * LANES + n]
    f[axis * LANES + n] = place
    f[LEFT * LANES + n] -= d * layers[here, 3]
    f[SCATTER * LANES + n] = ZERO
    u = f[(UX + axis) * LANES + n]
    there = here if axis < 2 else (here + 1 if u > ZERO else here - 1)
    n1, n2 = indices[here + 1], indices[-1] if axis < 2 else indices[there + 1]
    share, cosine = fresnel(n1, n2, np.float64(abs(u)))
    if f[SPARE * LANES + n] < share:
        f[(UX + axis) * LANES + n] = -u
        return False
    if axis < 2 or there < 0 or there >= len(layers):
        _escape(n, axis, u > ZERO, f, weight, sums)
        return True
    if n1 != n2:
        for k in range(2):
            f[(UX + k) * LANES + n] *= np.float32(n1 / n2)
        f[UZ * LANES + n] = np.float32(np.copysign(cosine, u))
    layer[n] = there
    f[FREE * LANES + n] = layers[there, 2]
    return False


@_hot
def _collide(
    n: int, media: Array, optics: Array, faces: tuple[Array, Array, Array], starts: tuple[Array, Array, Array],
    scale: Array, f: Array, weight: Array, layer: Array, streams: Array, fluence: Array, sums: Array,
    roulette: float, chance: float,
) -> bool:  # fmt: skip
    """Tally, absorb, choose whether to scatter, play roulette; True when the photon ends."""
    f[n], f[LANES + n], f[2 * LANES + n] = f[PX * LANES + n], f[PY * LANES + n], f[PZ * LANES + n]
    i = _cell(f[n], faces[0], scale[0, 0], scale[0, 1], starts[0])
    j = _cell(f[LANES + n], faces[1], scale[1, 0], scale[1, 1], starts[1])
    k = _cell(f[2 * LANES + n], faces[2], scale[2, 0], scale[2, 1], starts[2])
    row = optics[layer[n], media[i, j, k]]
    w = weight[n]
    fluence[i, j, k] += w * row[3]
    w -= w * row[0]
    sums[COLLISIONS] += 1.0
    on = ONE if f[SPARE * LANES + n] < row[1] else ZERO
    f[SCATTER * LANES + n] = on
    f[G * LANES + n] = np.float32(row[2])
    f[HIT * LANES + n] = max(f[HIT * LANES + n], on)
    weight[n] = w
    if w >= roulette:
        return False
    if w > 0.0 and _uniform(streams, n) < chance:
        sums[GAIN] += w / chance - w
        weight[n] = w / chance
        return False
    sums[LOSS] += w
    return True


@_hot
def _settle(
    bounds: Array, layers: Array, indices: Array, media: Array, optics: Array,
    faces: tuple[Array, Array, Array], starts: tuple[Array, Array, Array], scale: Array, f: Array, weight: Array,
    layer: Array, streams: Array, fluence: Array, sums: Array, roulette: float, chance: float,
    sources: Array, shares: Array, photons: int, seed: Any, coming: int, last: int,
) -> tuple[int, int]:  # fmt: skip
    """Collision or face of every lane; ended photons make room for the next. Next photon, lanes that ended idle."""
    idle = 0
    for n in range(LANES):
        here = layer[n]
        if here < 0:
            continue
        x, y, z = f[PX * LANES + n], f[PY * LANES + n], f[PZ * LANES + n]
        inside = (
            (x >= bounds[0, 0]) & (x <= bounds[0, 1]) & (y >= bounds[1, 0]) & (y <= bounds[1, 1])
            & (z >= layers[here, 0]) & (z <= layers[here, 1])
        )  # fmt: skip
        late = inside and f[LEFT * LANES + n] <= f[STEP * LANES + n] * layers[here, 3]
        if late or f[LEFT * LANES + n] <= ZERO:
            sums[LATE] += weight[n]
            ended = True
        elif inside:
            f[LEFT * LANES + n] -= f[STEP * LANES + n] * layers[here, 3]
            ended = _collide(
                n, media, optics, faces, starts, scale, f, weight, layer, streams, fluence, sums, roulette,
                chance,
            )  # fmt: skip
        else:
            ended = _cross(n, bounds, layers, indices, f, weight, layer, sums)
        if ended:
            if coming < last:
                _launch(n, coming, photons, seed, sources, shares, layers, f, streams, weight, layer, sums)
                coming += 1
            else:
                layer[n] = -1
                f[FREE * LANES + n] = ZERO
                f[SCATTER * LANES + n] = ZERO
                idle += 1
    return coming, idle


@_hot
def _trace_block(
    first: int, last: int, photons: int, seed: Any, sources: Array, shares: Array, bounds: Array, layers: Array,
    indices: Array, media: Array, optics: Array, faces: tuple[Array, Array, Array],
    starts: tuple[Array, Array, Array], scale: Array, roulette: float, chance: float, fluence: Array,
    sums: Array,
) -> None:  # fmt: skip
    """All photons of one block, a packet at a time."""
    f = np.zeros(ROWS * LANES, np.float32)
    bits = np.zeros(4 * LANES, np.int32)
    streams = np.ones(2 * LANES, np.uint64)
    weight = np.zeros(LANES, np.float64)
    layer = np.full(LANES, -1, np.int64)
    coming, active = first, 0
    for n in range(LANES):
        f[UZ * LANES + n] = ONE
        if coming < last:
            _launch(n, coming, photons, seed, sources, shares, layers, f, streams, weight, layer, sums)
            coming += 1
            active += 1
    while active > 0:
        _draw_all(streams, bits)
        _fly(f, bits)
        coming, idle = _settle(
            bounds, layers, indices, media, optics, faces, starts, scale, f, weight, layer, streams, fluence,
            sums, roulette, chance, sources, shares, photons, seed, coming, last,
        )  # fmt: skip
        active -= idle
        _scatter(f, bits)


@njit(parallel=True, fastmath=True, cache=True)
def trace(
    edges: Array, photons: int, seed: Any, sources: Array, shares: Array, bounds: Array, layers: Array,
    indices: Array, media: Array, optics: Array, faces: tuple[Array, Array, Array],
    starts: tuple[Array, Array, Array], scale: Array, roulette: float, chance: float, fluence: Array,
    sums: Array,
) -> None:  # fmt: skip
    """Trace photons ``edges[b]`` to ``edges[b + 1]`` of every block b into ``fluence[b]`` and ``sums[b]``.

    Args:
        sources: (n, 18) float64: kind, origin, three unit vectors of its frame (x, y, axis), radius, sine of the
            half cone, length, layer, weight. shares: (n,) cumulative shares of the power.
        bounds: (2, 2) float32 outer faces in x and y. layers: (m, 4) float32: low and high z face, mean free path
            to the next tentative collision, and share of the time gate a metre takes.
        indices: (m + 3,) refractive index above, of every layer, below, and beside.
        media: (nx, ny, nz) uint16. optics: (m, media, 4) float64: absorbed share of a tentative collision,
            share of the rest that scatters, g, and mean free path (weight times it is fluence times volume).
        faces: of the cells, float32. starts: cell at the low end of each even bin. scale: (3, 2) low end and bins
            a metre.
        fluence: (blocks, nx, ny, nz), sums: (blocks, 12), both float64, added to.
    """
    for b in prange(len(edges) - 1):
        _trace_block(
            edges[b], edges[b + 1], photons, seed, sources, shares, bounds, layers, indices, media, optics, faces,
            starts, scale, roulette, chance, fluence[b], sums[b],
        )  # fmt: skip
