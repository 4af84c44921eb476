"""Where the segmental nerve leaves the spine: the zone caudal of the pedicle, from bone alone.

The nerve itself is not in a CT's labels. The zone is the part of the intervertebral foramen that lies
below the pedicle, with the first millimetres outside it: "derived, unreviewed".
"""

from __future__ import annotations

import numpy as np

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.canal import HALF_WIDTH_MM, STEP_MM, Ring, first_bone, from_raster, raster_points
from neurolysis.localization.schemes import BoolArray, Labels
from neurolysis.localization.vertebra import CORPUS, BodySide, points_of, topmost

HEIGHT_MM = 12.0
OUTSIDE_MM = 5.0
VENTRAL_MM = 5.0
DORSAL_MM = 15.0
CONSTRUCTION = (
    f"from the pedicle's lower border {HEIGHT_MM:g} mm down, from the canal to {OUTSIDE_MM:g} mm outside the "
    f"pedicle, from {VENTRAL_MM:g} mm before the body's back wall to the first bone behind it: no nerve is "
    "seen, and these lengths are assumptions"
)


def zone_below(ring: Ring, side: BodySide, labels: Labels, grid: Volume) -> BoolArray:
    """Zone of the nerve that leaves below this vertebra's own pedicle, on the image grid."""
    low, lateral = _pedicle(ring, side, labels, grid)
    return _zone(ring, side, low, lateral, labels, grid)


def zone_above(ring: Ring, above: str, side: BodySide, labels: Labels, grid: Volume) -> BoolArray:
    """Zone of the nerve that leaves below the pedicle of the vertebra above, when that one is cut off.

    Its pedicle is taken to reach as far above its lower endplate as this vertebra's does above its own.

    Raises:
        InputError: the body above shows no lower endplate in the labels.
    """
    low, lateral = _pedicle(ring, side, labels, grid)
    own = _lower_endplate(ring, ring.vertebra.level, labels, grid)
    upper = _lower_endplate(ring, above, labels, grid)
    return _zone(ring, side, upper + (low - own), lateral, labels, grid)


def _zone(ring: Ring, side: BodySide, low: float, lateral: float, labels: Labels, grid: Volume) -> BoolArray:
    points = raster_points()
    sign = 1.0 if side == "left" else -1.0
    x, y, z = sign * points[..., 0], points[..., 1], points[..., 2]
    edge = ring.left_mm if side == "left" else -ring.right_mm
    wall = ring.wall_mm[None, None, :]
    back = np.minimum(np.nan_to_num(first_bone(ring), nan=np.inf)[:, None, :], wall + DORSAL_MM)
    inside = (x > edge) & (x < lateral + OUTSIDE_MM) & (y > wall - VENTRAL_MM) & (y < back)
    raster = inside & (z < low) & (z > low - HEIGHT_MM) & ~ring.body & ~ring.posterior
    return from_raster(raster, ring, grid) & ~labels.bone(grid)


def _pedicle(ring: Ring, side: BodySide, labels: Labels, grid: Volume) -> tuple[float, float]:
    """Height of the pedicle's lower border and distance of its lateral face from the midline, mm."""
    sign = 1.0 if side == "left" else -1.0
    edge = ring.left_mm if side == "left" else -ring.right_mm
    local = sign * np.array([1.0, 0, 0]) + np.array([0.0, 1, 1])
    arch = ring.vertebra.to_local(points_of(labels, "arcus", None, ring.vertebra.level, grid)) * local
    wall = np.interp(arch[:, 2], ring.heights(), ring.wall_mm)
    in_pedicle = (arch[:, 0] > edge) & (arch[:, 1] > wall + 1.0) & (arch[:, 1] < wall + 5.0)
    if in_pedicle.sum() < 10:
        raise InputError("the pedicle is not labelled", where=f"labels: {ring.vertebra.level} {side}")
    lateral = float(np.quantile(arch[in_pedicle, 0], 0.95))
    return _lower_border(ring, edge, sign), lateral


def _lower_border(ring: Ring, edge: float, sign: float) -> float:
    """Lowest height, from the closed ring downwards, at which bone still lies beside the canal, mm."""
    width = np.arange(-HALF_WIDTH_MM, HALF_WIDTH_MM + STEP_MM / 2, STEP_MM) * sign
    columns = (width > edge) & (width < edge + 4.0)
    depth = np.arange(ring.posterior.shape[1]) * STEP_MM
    behind = (depth[:, None] > ring.wall_mm + 1.0) & (depth[:, None] < ring.wall_mm + 5.0)
    bony = np.any(ring.posterior[columns] & behind[None], axis=(0, 1))
    at = int(np.median(np.flatnonzero(ring.pedicle)))
    while at > 0 and bony[at - 1]:
        at -= 1
    return float(ring.heights()[at]) - STEP_MM / 2


def _lower_endplate(ring: Ring, level: str, labels: Labels, grid: Volume) -> float:
    """Height of the lower endplate of a body in the ring's frame, mm: median over the columns."""
    bodies = [points_of(labels, part, None, level, grid) for part in CORPUS]
    local: FloatArray = ring.vertebra.to_local(np.concatenate(bodies))
    if len(local) < 100:
        raise InputError("the body is not labelled", where=f"labels: {level}")
    return -float(np.median(topmost(local * np.array([1.0, 1.0, -1.0]))[:, 2]))
