"""Compiled loops of photon transport: packets of photons, each with a random stream of its own.

A photon flies to its next tentative collision with the largest interaction coefficient of its zone, a block
of cells (Woodcock's null collisions), so that no cell face has to be looked for; there it leaves the absorbed
share of its weight, and scatters, by Henyey-Greenstein, or flies on. At a zone's face its free path is drawn
again, as flights have no memory. Flat faces between layers and the box's outer faces refract and reflect
(Fresnel). Lanes of a packet are worked in stages whose loops the compiler turns
into vector instructions; only the stage that looks up cells goes lane by lane.

What a photon does depends on its number and the seed alone. A block of photons has tallies of its own, and
blocks are added in their order, so a result does not depend on the number of threads.
Directions and places are single precision, weights and tallies double.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, prange, types
from numba.extending import intrinsic

Array = Any
LANES = 64
"""Photons in a packet: more waste time when the last ones of a block die, fewer when loops start."""
UX, UY, UZ, STEP, LEFT, FREE, G, SCATTER, SPARE, HIT, RATE = (np.int64(3 + k) for k in range(11))
LOW = np.int64(14)
HIGH = np.int64(17)
"""Rows of a packet's state after X, Y, Z (0, 1, 2): direction; step (m); share of the time left; mean free
path of the zone (m); anisotropy and flag of the scattering to come; spare random number; whether it has
scattered; share of the time gate a metre takes; the zone's three low and three high faces (m)."""
ROWS = 20

ABOVE, BELOW, SIDES, ABOVE_SQUARES, BELOW_SQUARES, DIRECT_ABOVE, DIRECT_BELOW = range(7)
GAIN, LOSS, LATE, COLLISIONS, LAUNCHED = range(7, 12)
SUMS = 12
"""Sums of a block: weight out of the low and high z face and of the sides, squares of the first two,
unscattered parts of the first two, roulette gain and loss, weight past the time gate, collisions, weight
launched."""

BEAM, DIFFUSER, POINT = 0, 1, 2
"""Kinds of source: a disc that emits into a cone, a cylinder's side that emits as its cosine, a point."""
FAR = np.float32(1e30)
ZERO, HALF, ONE, TWO = np.float32(0), np.float32(0.5), np.float32(1), np.float32(2)
UNIT = np.float32(2.0**-31)
QUARTER_TURN = np.float32(np.pi / 2)
LN2 = np.float32(np.log(2))
ROOT_HALF_BITS = np.int32(0x3F3504F3)
"""Bits of sqrt(1/2): mantissas are taken between it and sqrt(2)."""
GOLDEN, MIX_1, MIX_2 = (
    np.uint64(0x9E3779B97F4A7C15),
    np.uint64(0xBF58476D1CE4E5B9),
    np.uint64(0x94D049BB133111EB),
)
BITS_31 = np.uint64(33)
LOW_31 = np.uint64(0x7FFFFFFF)

_hot = njit(fastmath=True, cache=True, error_model="numpy")
"""Divisions as in NumPy: a check for zero would keep a loop from becoming vector instructions."""

_within = njit(fastmath=True, cache=True, error_model="numpy", forceinline=True)
"""Compiled into its caller: to hand over a dozen arrays costs more than most of what these do."""


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


_bits_of: Any = _as_bits
_float_of: Any = _as_float


@_within
def log_single(u: Any) -> Any:
    """Natural logarithm of a normal float32: exponent, and 2 atanh((m - 1) / (m + 1)) of the mantissa."""
    bits: Any = _bits_of(u)
    exponent = np.int32(bits - ROOT_HALF_BITS) >> np.int32(23)
    m = _float_of(np.int32(bits - np.int32(exponent << np.int32(23))))
    t = (m - ONE) / (m + ONE)
    q = t * t
    series = ONE + q * (
        np.float32(1 / 3) + q * (np.float32(1 / 5) + q * (np.float32(1 / 7) + q * np.float32(1 / 9)))
    )
    return np.float32(exponent) * LN2 + TWO * t * series


@_within
def sin_cos_turn(v: Any) -> tuple[Any, Any]:
    """Sine and cosine of a turn's share from -1/2 to 1/2: Taylor of a quarter angle, doubled twice."""
    x = QUARTER_TURN * v
    q = x * x
    s = x * (
        ONE
        + q
        * (
            np.float32(-1 / 6)
            + q * (np.float32(1 / 120) + q * (np.float32(-1 / 5040) + q * np.float32(1 / 362880)))
        )
    )
    c = ONE + q * (
        np.float32(-1 / 2) + q * (np.float32(1 / 24) + q * (np.float32(-1 / 720) + q * np.float32(1 / 40320)))
    )
    s, c = TWO * s * c, ONE - TWO * s * s
    return TWO * s * c, ONE - TWO * s * s


@_within
def _turned(x: Any, by: Any) -> Any:
    return (x << np.uint64(by)) | (x >> np.uint64(64 - by))


@_within
def _drawn(a: Any, b: Any) -> Any:
    """The next 64 bits of a stream with state (a, b), and its new state (xoroshiro128++)."""
    bits = _turned(a + b, 17) + a
    b ^= a
    return bits, _turned(a, 49) ^ b ^ (b << np.uint64(21)), _turned(b, 28)


@_within
def _mixed(z: Any) -> Any:
    z = (z ^ (z >> np.uint64(30))) * MIX_1
    z = (z ^ (z >> np.uint64(27))) * MIX_2
    return z ^ (z >> np.uint64(31))


@_within
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


@_within
def _bin(x: Any, low: Any, inverse: Any, last: Any) -> Any:
    return np.int32(min(max((x - low) * inverse, ZERO), last))


@_within
def _fly(f: Array, bits: Array, scale: Array, starts: Array, faces: Array, cells: Array) -> None:
    """Steps to the next tentative collision; the cell there, or -1 where a face or the time gate comes first.

    ``starts`` and ``faces`` hold one row an axis. A bin holds at most one face, so that one comparison
    finds the cell: the one at the bin's low end or the next.
    """
    lx, ix, bx, ly, iy, by = scale[0, 0], scale[0, 1], scale[0, 2], scale[1, 0], scale[1, 1], scale[1, 2]
    lz, iz, bz = scale[2, 0], scale[2, 1], scale[2, 2]
    ny, nz = np.int32(scale[1, 3]), np.int32(scale[2, 3])
    for n in range(LANES):
        u = (np.float32(bits[n]) + HALF) * UNIT
        step = -log_single(u) * f[FREE * LANES + n]
        f[STEP * LANES + n] = step
        f[SPARE * LANES + n] = (np.float32(bits[LANES + n]) + HALF) * UNIT
        x = f[n] + step * f[UX * LANES + n]
        y = f[LANES + n] + step * f[UY * LANES + n]
        z = f[2 * LANES + n] + step * f[UZ * LANES + n]
        left = f[LEFT * LANES + n] - step * f[RATE * LANES + n]
        good = (
            (x >= f[LOW * LANES + n]) & (x <= f[HIGH * LANES + n])
            & (y >= f[(LOW + 1) * LANES + n]) & (y <= f[(HIGH + 1) * LANES + n])
            & (z >= f[(LOW + 2) * LANES + n]) & (z <= f[(HIGH + 2) * LANES + n]) & (left > ZERO)
        )  # fmt: skip
        p, q, r = _bin(x, lx, ix, bx), _bin(y, ly, iy, by), _bin(z, lz, iz, bz)
        i, j, k = starts[0, p], starts[1, q], starts[2, r]
        i += np.int32(x >= faces[0, i + 1])
        j += np.int32(y >= faces[1, j + 1])
        k += np.int32(z >= faces[2, k + 1])
        cells[n] = (i * ny + j) * nz + k if good else np.int32(-1)
        f[n] = x if good else f[n]
        f[LANES + n] = y if good else f[LANES + n]
        f[2 * LANES + n] = z if good else f[2 * LANES + n]
        f[LEFT * LANES + n] = left if good else f[LEFT * LANES + n]


@_within
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


@_within
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


@_within
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


@_within
def _enter(n: int, i: Any, j: Any, k: Any, zones: Array, kinds: Array, f: Array, zone: Array) -> None:
    """Take up the numbers of zone (i, j, k)."""
    zone[n], zone[LANES + n], zone[2 * LANES + n], zone[3 * LANES + n] = kinds[i, j, k], i, j, k
    for axis in range(3):
        f[(LOW + axis) * LANES + n] = zones[i, j, k, 2 * axis]
        f[(HIGH + axis) * LANES + n] = zones[i, j, k, 2 * axis + 1]
    f[FREE * LANES + n], f[RATE * LANES + n] = zones[i, j, k, 6], zones[i, j, k, 7]


@_hot
def _zone_of(place: Any, lows: Array) -> int:
    """Number of the zone that holds a place, the outer ones beyond the box."""
    number = len(lows) - 1
    while number > 0 and place < lows[number]:
        number -= 1
    return number


@_hot
def _launch(
    n: int, photon: int, photons: int, seed: Any, sources: Array, shares: Array, zones: Array, kinds: Array,
    f: Array, streams: Array, weight: Array, zone: Array, sums: Array,
) -> None:  # fmt: skip
    """Put photon number ``photon`` into lane n."""
    key = _mixed(seed) + np.uint64(photon) * GOLDEN
    streams[n], streams[LANES + n] = _mixed(key), _mixed(key + GOLDEN * MIX_1) | np.uint64(1)
    row = sources[_source_of(photon, shares, photons)]
    x, y, z, u, v, w = _start_of(row, streams, n)
    for k in range(3):
        f[k * LANES + n] = row[1 + k] + x * row[4 + k] + y * row[7 + k] + z * row[10 + k]
        f[(UX + k) * LANES + n] = u * row[4 + k] + v * row[7 + k] + w * row[10 + k]
    weight[n] = row[16]
    sums[LAUNCHED] += row[16]
    i = _zone_of(f[n], zones[:, 0, 0, 0])
    j, k = _zone_of(f[LANES + n], zones[0, :, 0, 2]), _zone_of(f[2 * LANES + n], zones[0, 0, :, 4])
    _enter(n, i, j, k, zones, kinds, f, zone)
    f[LEFT * LANES + n], f[HIT * LANES + n], f[SCATTER * LANES + n], f[G * LANES + n] = ONE, ZERO, ZERO, ZERO


@_within
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


@_within
def _face_ahead(n: int, f: Array) -> tuple[int, Any, Any]:
    """Axis, distance and place of the first face of the zone on the way."""
    axis, nearest, place = 0, FAR, ZERO
    for k in range(3):
        u = f[(UX + k) * LANES + n]
        if u == ZERO:
            continue
        face = f[(HIGH + k) * LANES + n] if u > ZERO else f[(LOW + k) * LANES + n]
        d = max((face - f[k * LANES + n]) / u, ZERO)
        if d < nearest:
            axis, nearest, place = k, d, face
    return axis, nearest, place


@_within
def _cross(
    n: int, zones: Array, kinds: Array, layers: Array, indices: Array, f: Array, weight: Array, zone: Array,
    sums: Array,
) -> bool:  # fmt: skip
    """Bring a photon to the face it meets: on into the next zone, refracted, reflected, or out (True)."""
    f[SCATTER * LANES + n] = ZERO
    axis, d, place = _face_ahead(n, f)
    f[LEFT * LANES + n] -= min(d, f[STEP * LANES + n]) * f[RATE * LANES + n]
    if f[LEFT * LANES + n] <= ZERO:
        sums[LATE] += weight[n]
        return True
    for k in range(3):
        f[k * LANES + n] += d * f[(UX + k) * LANES + n]
    f[axis * LANES + n] = place
    u = f[(UX + axis) * LANES + n]
    there = zone[(axis + 1) * LANES + n] + (1 if u > ZERO else -1)
    out = there < 0 or there >= zones.shape[axis]
    n1 = indices[layers[zone[3 * LANES + n]] + 1]
    n2 = n1
    if axis == 2:
        n2 = indices[layers[there] + 1] if not out else (indices[-2] if u > ZERO else indices[0])
    elif out:
        n2 = indices[-1]
    if n1 != n2:
        share, cosine = fresnel(n1, n2, np.float64(abs(u)))
        if f[SPARE * LANES + n] < share:
            f[(UX + axis) * LANES + n] = -u
            return False
        if not out:
            for k in range(2):
                f[(UX + k) * LANES + n] *= np.float32(n1 / n2)
            f[UZ * LANES + n] = np.float32(np.copysign(cosine, u))
    if out:
        _escape(n, axis, u > ZERO, f, weight, sums)
        return True
    zone[(axis + 1) * LANES + n] = there
    _enter(n, zone[LANES + n], zone[2 * LANES + n], zone[3 * LANES + n], zones, kinds, f, zone)
    return False


@_within
def _survives(n: int, w: float, streams: Array, weight: Array, sums: Array, chance: float) -> bool:
    """Roulette of a weak photon: it goes on with more weight, or ends; both are summed."""
    if w > 0.0 and _uniform(streams, n) < chance:
        sums[GAIN] += w / chance - w
        weight[n] = w / chance
        return True
    sums[LOSS] += w
    return False


@_within
def _settle(
    zones: Array, kinds: Array, layers: Array, indices: Array, media: Array, optics: Array, f: Array, weight:
    Array, zone: Array, cells: Array, streams: Array, fluence: Array, sums: Array, roulette: float, chance:
    float, ended: Array,
) -> int:  # fmt: skip
    """Collision or face of every lane: tally, absorb, scatter or not; fills and counts ``ended``."""
    count = 0
    collisions = 0
    for n in range(LANES):
        here = zone[n]
        cell = cells[n]
        if cell >= 0:
            row = optics[here, media[cell]]
            w = weight[n]
            fluence[cell] += w * row[3]
            w -= w * row[0]
            weight[n] = w
            on = ONE if f[SPARE * LANES + n] < np.float32(row[1]) else ZERO
            f[SCATTER * LANES + n] = on
            f[G * LANES + n] = np.float32(row[2])
            f[HIT * LANES + n] = max(f[HIT * LANES + n], on)
            collisions += 1
            gone = w < roulette and not _survives(n, w, streams, weight, sums, chance)
        else:
            gone = here >= 0 and _cross(n, zones, kinds, layers, indices, f, weight, zone, sums)
        if gone:
            ended[count] = n
            count += 1
    sums[COLLISIONS] += collisions
    return count


@_hot
def _trace_block(
    first: int, last: int, photons: int, seed: Any, sources: Array, shares: Array, zones: Array, kinds: Array,
    layers: Array, indices: Array, media: Array, optics: Array, faces: Array, starts: Array, scale: Array,
    roulette: float, chance: float, fluence: Array, sums: Array,
) -> None:  # fmt: skip
    """All photons of one block, a packet at a time; ended photons make room for the next."""
    f = np.zeros(ROWS * LANES, np.float32)
    bits, cells = np.zeros(4 * LANES, np.int32), np.zeros(LANES, np.int32)
    streams = np.ones(2 * LANES, np.uint64)
    weight = np.zeros(LANES, np.float64)
    zone, ended = np.full(4 * LANES, -1, np.int64), np.arange(LANES)
    f[UZ * LANES : (UZ + 1) * LANES] = ONE
    coming, count, active = first, LANES, LANES
    while active > 0:
        for m in range(count):
            n = ended[m]
            if coming < last:
                _launch(
                    n, coming, photons, seed, sources, shares, zones, kinds, f, streams, weight, zone, sums
                )
                coming += 1
            else:
                # An idle lane stands still beyond the time gate: no collision, no face.
                zone[n], f[FREE * LANES + n], f[LEFT * LANES + n] = -1, ZERO, -ONE
                f[SCATTER * LANES + n] = ZERO
                active -= 1
        _draw_all(streams, bits)
        _fly(f, bits, scale, starts, faces, cells)
        count = _settle(
            zones, kinds, layers, indices, media, optics, f, weight, zone, cells, streams, fluence, sums,
            roulette, chance, ended,
        )  # fmt: skip
        _scatter(f, bits)


@njit(parallel=True, fastmath=True, cache=True, error_model="numpy")
def trace(
    edges: Array, photons: int, seed: Any, sources: Array, shares: Array, zones: Array, kinds: Array, layers:
    Array, indices: Array, media: Array, optics: Array, faces: Array, starts: Array, scale: Array, roulette:
    float, chance: float, fluence: Array, sums: Array,
) -> None:  # fmt: skip
    """Trace photons ``edges[b]`` to ``edges[b + 1]`` of every block b into ``fluence[b]`` and ``sums[b]``.

    Args:
        sources: (n, 17) float64: kind, origin, three unit vectors of its frame (x, y, axis), radius, sine
            of the half cone, length, weight. shares: (n,) cumulative shares of the power.
        zones: (a, b, c, 8) float32: low and high face in x, y and z, mean free path to the next tentative
            collision, and share of the time gate a metre takes. kinds: (a, b, c) int32: row of ``optics``.
            layers: (c,) int32: the layer of each row of zones in z.
        indices: (m + 3,) refractive index above, of every layer, below, and beside.
        media: (cells,) uint16. optics: (kinds, media, 4) float64: absorbed share of a tentative collision,
            share of the rest that scatters, g, and mean free path (weight times it is fluence times volume).
        faces: (3, most faces + 1) float32 of the cells, FAR beyond the last inner one. starts: (3, most bins)
            int32 cell at the low end of each even bin. scale: (3, 4) float32 low end, bins a metre, last
            bin, cells.
        fluence: (blocks, cells), sums: (blocks, 12), both float64, added to.
    """
    for b in prange(len(edges) - 1):
        _trace_block(
            edges[b], edges[b + 1], photons, seed, sources, shares, zones, kinds, layers, indices, media,
            optics, faces, starts, scale, roulette, chance, fluence[b], sums[b],
        )  # fmt: skip
