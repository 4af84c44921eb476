"""Compiled ray sampler: line integrals of a sampled field from one source to many points."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

Array = Any
ZERO, ONE = np.float32(0.0), np.float32(1.0)
"""In single precision, as a plain number would raise the whole loop to double."""


@njit(parallel=True, fastmath=True, cache=True)
def integrate(field: Array, source: Array, index: Array, away: Array, every: int, out: Array) -> None:
    """Integral along each ray: one bilinear sample a plane of voxels across the beam (Joseph 1982).

    Args:
        field: (planes, lines, cells) float32, its first axis the one the beam mostly follows.
        source: (3,) float32 in voxel indices. index: (3, 3) float32, the first pixel's place in voxel
            indices, and the steps to the next column and row. away: (3, 3) float32, the same from the
            source, in mm.
        every: planes from sample to sample. out: (columns, rows) float32, integral over mm, written.
    """
    planes, lines, cells = field.shape
    columns, rows = out.shape
    s0, s1, s2 = source[0], source[1], source[2]
    for n in prange(columns * rows):
        column, row = np.float32(n // rows), np.float32(n % rows)
        end0 = index[0, 0] + column * index[1, 0] + row * index[2, 0]
        end1 = index[0, 1] + column * index[1, 1] + row * index[2, 1]
        end2 = index[0, 2] + column * index[1, 2] + row * index[2, 2]
        way0 = away[0, 0] + column * away[1, 0] + row * away[2, 0]
        way1 = away[0, 1] + column * away[1, 1] + row * away[2, 1]
        way2 = away[0, 2] + column * away[1, 2] + row * away[2, 2]
        length = np.sqrt(way0 * way0 + way1 * way1 + way2 * way2)
        d0, d1, d2 = end0 - s0, end1 - s1, end2 - s2
        out[n // rows, n % rows] = ZERO
        if abs(d0) < np.float32(1e-3):
            continue
        up1, up2 = d1 / d0, d2 / d0
        low, high = ZERO, np.float32(planes - 1)
        low, high = max(low, min(s0, end0)), min(high, max(s0, end0))
        for start, rise, count in ((s1, up1, lines), (s2, up2, cells)):
            last = np.float32(count) - np.float32(1.001)
            if abs(rise) < np.float32(1e-9):
                if start < ZERO or start > last:
                    high = -ONE
            else:
                a, b = s0 - start / rise, s0 + (last - start) / rise
                low, high = max(low, min(a, b)), min(high, max(a, b))
        first, stop = int(np.ceil(low)), int(np.floor(high))
        total = ZERO
        for p in range(first, stop + 1, every):
            y = s1 + (np.float32(p) - s0) * up1
            z = s2 + (np.float32(p) - s0) * up2
            j, k = int(y), int(z)
            v, w = y - np.float32(j), z - np.float32(k)
            near = field[p, j, k] + w * (field[p, j, k + 1] - field[p, j, k])
            far = field[p, j + 1, k] + w * (field[p, j + 1, k + 1] - field[p, j + 1, k])
            total += near + v * (far - near)
        out[n // rows, n % rows] = total * np.float32(every) * length / abs(d0)
