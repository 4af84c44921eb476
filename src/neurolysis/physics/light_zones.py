"""Zones of a light box: blocks of cells, each with its own largest interaction coefficient. SI units.

Photons fly to tentative collisions with the largest coefficient of their zone. One zone a layer needs no stop
at its faces, but where one tissue scatters far more than the rest, most collisions elsewhere are then null.
Blocks some mean free paths wide cost a stop at each face and save those. The answer is the same either way.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from neurolysis.physics.light import LightBox

Array = NDArray[np.float64]
LIGHT_SPEED = 299_792_458.0
"""m/s in vacuum (exact)."""
OPEN = 1e30
"""Faces this far away (m) are never met."""
CLEAR = 1e-12
"""A medium with fewer interactions a metre counts as clear."""
ZONE_PATHS = 10.0
"""Width of a zone in mean free paths of the box's mean medium (measured, see decision 0018)."""
MOST_CUTS = 32
"""Zones along an axis at most."""
CONTRAST = 1.25
"""A box whose largest coefficient is no more than this times its mean one is not cut."""
MOST_KINDS = 128
"""Different largest coefficients at most; more are rounded up to steps."""


@dataclass(frozen=True)
class Zones:
    """Tables of the kernel.

    ``rows`` (a, b, c, 8) float32: low and high face in x, y, z (m), mean free path (m), share of the time
    gate a metre; ``kinds`` (a, b, c) int32: row of ``optics``; ``layers`` (c,) int32: their layer in z;
    ``optics`` (kinds, media, 4): absorbed share of a tentative collision, scattered share of the rest, g,
    mean free path.
    """

    rows: NDArray[np.float32]
    kinds: NDArray[np.int32]
    layers: NDArray[np.int32]
    optics: Array


def zone_tables(box: LightBox, gate_s: float | None, *, paths: float = ZONE_PATHS) -> Zones:
    """Cut a box into zones ``paths`` mean free paths wide; infinite: one zone a layer."""
    total = np.array([m.absorption + m.scattering for m in box.optics])
    cuts = _cuts(box, total, paths)
    most = _largest(box, total, cuts)
    layers = np.searchsorted(box.planes, cuts[2][:-1], side="right") - 1
    layers = layers.clip(0, len(box.indices) - 1)
    levels, kinds = np.unique(_few(most), return_inverse=True)
    free = np.where(levels > CLEAR, 1.0 / np.maximum(levels, CLEAR), OPEN)
    rows = np.empty((*most.shape, 8))
    for axis, cut in enumerate(cuts):
        shape = [1, 1, 1]
        shape[axis] = -1
        rows[..., 2 * axis] = cut[:-1].reshape(shape)
        rows[..., 2 * axis + 1] = cut[1:].reshape(shape)
    rows[..., 6] = free[kinds.reshape(most.shape)]
    rate = np.array(box.indices) / (LIGHT_SPEED * gate_s) if gate_s else np.zeros(len(box.indices))
    rows[..., 7] = rate[layers]
    return Zones(
        rows.astype(np.float32), kinds.reshape(most.shape).astype(np.int32), layers.astype(np.int32),
        _optics(box, levels, free),
    )  # fmt: skip


def _cuts(box: LightBox, total: Array, paths: float) -> tuple[Array, Array, Array]:
    """Faces of the zones along every axis; the planes between layers are among those in z."""
    ends = (box.faces[0][[0, -1]], box.faces[1][[0, -1]], np.array(box.planes))
    mean = _mean(box, total)
    if not np.isfinite(paths) or mean <= CLEAR or total[np.unique(box.media)].max() <= CONTRAST * mean:
        return ends
    x, y, z = (_cut(faces, end, paths / mean) for faces, end in zip(box.faces, ends, strict=True))
    return x, y, z


def _cut(faces: Array, ends: Array, width: float) -> Array:
    """Cuts of one axis: in every stretch between ``ends`` as it needs."""
    return np.unique(np.concatenate([_grown(a, b, faces, width) for a, b in pairwise(ends)]))


def _mean(box: LightBox, total: Array) -> float:
    """Mean coefficient over the cells, each counting the same: fine cells lie where the light is."""
    return float(total[box.media].mean())


def _grown(low: float, high: float, faces: Array, width: float) -> Array:
    """Cuts from ``low`` to ``high`` on faces of cells, at least ``width`` and a share of the whole apart."""
    inner = faces[(faces > low) & (faces < high)]
    if len(inner):
        width = max(width, (min(inner[-1], high) - max(inner[0], low)) / MOST_CUTS)
    kept = [low]
    for face in inner:
        if face - kept[-1] >= width and high - face >= 0.5 * width:
            kept.append(float(face))
    return np.array([*kept, high])


def _largest(box: LightBox, total: Array, cuts: tuple[Array, Array, Array]) -> Array:
    """Largest coefficient of every zone: over all cells that reach into it."""
    found = total[box.media]
    for axis, (faces, cut) in enumerate(zip(box.faces, cuts, strict=True)):
        first = (np.searchsorted(faces, cut[:-1], side="right") - 1).clip(0, len(faces) - 2)
        last = np.searchsorted(faces, cut[1:], side="left").clip(first + 1, len(faces) - 1)
        found = np.stack(
            [found.take(np.arange(a, b), axis).max(axis) for a, b in zip(first, last, strict=True)], axis
        )
    return found


def _few(most: Array) -> Array:
    """At most MOST_KINDS different values, rounded up."""
    if len(np.unique(most)) <= MOST_KINDS:
        return most
    top = float(most.max())
    step = (top / max(float(most[most > CLEAR].min()), 1e-9 * top)) ** (1.0 / (MOST_KINDS - 2))
    steps = np.floor(np.log(top / np.maximum(most, CLEAR)) / np.log(step) + 1e-9)
    return np.where(most > CLEAR, np.maximum(top * step**-steps, most), most)


def _optics(box: LightBox, levels: Array, free: Array) -> Array:
    """Shares of a tentative collision by zone kind and medium.

    A place rounded onto a zone's face may fall into the cell beyond, whose coefficient may be larger: its
    shares end at one.
    """
    absorption = np.array([m.absorption for m in box.optics])
    scattering = np.array([m.scattering for m in box.optics])
    found = np.zeros((len(levels), len(box.optics), 4))
    for row, most, path in zip(found, levels, free, strict=True):
        if most <= CLEAR:
            continue
        rest = np.maximum(most - absorption, 1e-300)
        row[:, 0] = np.minimum(absorption / most, 1.0)
        row[:, 1] = np.minimum(scattering / rest, 1.0)
        row[:, 2] = [m.g for m in box.optics]
        row[:, 3] = path
    return found
