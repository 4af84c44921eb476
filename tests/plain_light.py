# ruff: noqa: S311
"""A second program for light in plane layers: one photon at a time, double precision, steps end at faces.

Written apart from the one it checks: no null collisions, no packets, the textbook rotation.
"""

from __future__ import annotations

import math
import random

import numpy as np
from numba import njit


@njit(error_model="numpy")
def _left(cosine, index):
    """Share reflected at a face to air."""
    sine = index * math.sqrt(1 - cosine * cosine)
    if sine >= 1:
        return 1.0
    out = math.sqrt(1 - sine * sine)
    a = (index * cosine - out) / (index * cosine + out)
    b = (index * out - cosine) / (index * out + cosine)
    return 0.5 * (a * a + b * b)


@njit(error_model="numpy")
def _turned(x, y, z, g):
    """A direction after one scattering."""
    if g == 0:
        c = 2 * random.random() - 1
    else:
        t = (1 - g * g) / (1 - g + 2 * g * random.random())
        c = (1 + g * g - t * t) / (2 * g)
    s, turn = math.sqrt(max(0.0, 1 - c * c)), 2 * math.pi * random.random()
    if abs(z) > 1 - 1e-10:
        return s * math.cos(turn), s * math.sin(turn), c * np.sign(z)
    q = math.sqrt(1 - z * z)
    return (
        s * (x * z * math.cos(turn) - y * math.sin(turn)) / q + x * c,
        s * (y * z * math.cos(turn) + x * math.sin(turn)) / q + y * c,
        -s * math.cos(turn) * q + z * c,
    )


@njit(error_model="numpy")
def plain(photons, absorption, scattering, g, faces, index, seed):
    """Diffuse reflectance, transmittance, its standard error, absorptance: layers of one index in air."""
    random.seed(seed)
    back = through = squares = kept = 0.0
    last = len(absorption) - 1
    entering = 1 - ((index - 1) / (index + 1)) ** 2
    for _ in range(photons):
        weight, layer, place, left = entering, 0, 0.0, 0.0
        x, y, z = 0.0, 0.0, 1.0
        while weight > 0:
            if left <= 0:
                left = -math.log(1 - random.random())
            total = absorption[layer] + scattering[layer]
            way = (faces[layer + 1] - place) / z if z > 0 else (faces[layer] - place) / z if z < 0 else 1e30
            if way * total > left:
                place += left / total * z
                left = 0.0
                kept += weight * absorption[layer] / total
                weight -= weight * absorption[layer] / total
                x, y, z = _turned(x, y, z, g[layer])
                if weight < 1e-4:
                    weight = weight * 10 if random.random() < 0.1 else 0.0
                continue
            left -= way * total
            place = faces[layer + 1] if z > 0 else faces[layer]
            coming = layer + 1 if z > 0 else layer - 1
            if 0 <= coming <= last:
                layer = coming
            elif random.random() < _left(abs(z), index):
                z = -z
            else:
                through += weight if z > 0 else 0.0
                squares += weight * weight if z > 0 else 0.0
                back += weight if z < 0 else 0.0
                weight = 0.0
    mean = through / photons
    return back / photons, mean, math.sqrt((squares / photons - mean * mean) / photons), kept / photons
