"""The spinal canal from the bone around it: behind the bodies, before the laminae, between the pedicles.

The CT shows bone, not the dural sac. What is built here is the bony canal, "derived, unreviewed".
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, ConfigDict

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.schemes import BoolArray, Labels
from neurolysis.localization.vertebra import CORPUS, POSTERIOR, Vertebra

STEP_MM = 1.0
HALF_WIDTH_MM = 30.0
DEPTH_MM = (0.0, 60.0)
HALF_HEIGHT_MM = 40.0
WALL_HALF_MM = 8.0
"""The back wall of the body is read within this distance of the midline."""
LAMINA_RECESS_MM = 6.0
PEDICLE_DEPTH_MM = 4.0
"""Behind the body's back wall, where pedicles close the canal at the sides."""


class Ring(BaseModel):
    """The bone around the canal of one vertebra on a raster in its own frame (x left, y back, z up).

    ``body`` and ``posterior`` are (nx, ny, nz) booleans at 1 mm; ``wall_mm`` (nz,) is y of the bodies'
    back wall; ``right_mm`` and ``left_mm`` are x of the pedicles' medial faces; ``pedicle`` (nz,) says
    at which heights both pedicles close the ring.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    vertebra: Vertebra
    body: BoolArray
    posterior: BoolArray
    wall_mm: FloatArray
    right_mm: float
    left_mm: float
    pedicle: BoolArray

    def heights(self) -> FloatArray:
        """z of the raster, (nz,) mm."""
        return _axis(-HALF_HEIGHT_MM, HALF_HEIGHT_MM)


def find_ring(labels: Labels, vertebra: Vertebra, grid: Volume) -> Ring:
    """The ring of bone around the canal of one vertebra.

    Raises:
        InputError: the back of the body or the pedicles of both sides are not in the labels.
    """
    body = _raster(labels, CORPUS, vertebra, grid)
    posterior = _raster(labels, POSTERIOR, vertebra, grid)
    wall = _back_wall(body, vertebra)
    edges = np.array([_pedicle_edges(posterior[:, :, k], wall[k]) for k in range(len(wall))])
    closed = np.all(np.isfinite(edges), axis=1)
    own = closed & (np.abs(_axis(-HALF_HEIGHT_MM, HALF_HEIGHT_MM)) < HALF_HEIGHT_MM / 2)
    if own.sum() < 3:
        raise InputError(
            "the pedicles of both sides are not labelled, so the canal has no sides",
            where=f"labels: {vertebra.level}",
        )
    right, left = np.median(edges[own], axis=0)
    return Ring(
        vertebra=vertebra,
        body=body,
        posterior=posterior,
        wall_mm=wall,
        right_mm=float(right),
        left_mm=float(left),
        pedicle=own,
    )


def canal_mask(rings: Sequence[Ring], bone: BoolArray, grid: Volume) -> BoolArray:
    """Voxels of the bony canal on the image grid; each voxel is judged by the nearest vertebra.

    A voxel belongs to the canal when it is not bone, lies between the pedicles' medial faces, behind
    the bodies and before the first posterior bone. Between two laminae the bone above and below is
    joined by straight lines.
    """
    from scipy.ndimage import binary_opening, label

    box, points = voxels_near(rings, grid)
    heights = np.stack([np.abs(ring.vertebra.to_local(points)[..., 2]) for ring in rings])
    nearest = np.argmin(heights, axis=0)
    inside = np.zeros(points.shape[:-1], dtype=bool)
    for number, ring in enumerate(rings):
        mine = nearest == number
        inside[mine] = _lookup(_canal_raster(ring), ring.vertebra.to_local(points[mine]))
    mask = np.zeros(grid.shape, dtype=bool)
    mask[box] = binary_opening(inside & ~bone[box])
    parts, count = label(mask)
    if count == 0:
        return mask
    largest: BoolArray = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return largest


def voxels_near(rings: Sequence[Ring], grid: Volume) -> tuple[tuple[slice, slice, slice], FloatArray]:
    """The box of voxels that the rings' rasters reach, and the centres (ni, nj, nk, 3) LPS mm in it."""
    ends = np.array(np.meshgrid((-HALF_WIDTH_MM, HALF_WIDTH_MM), DEPTH_MM, (-HALF_HEIGHT_MM, HALF_HEIGHT_MM)))
    corners = ends.reshape(3, -1).T
    index = np.concatenate([grid.to_index(ring.vertebra.frame.apply(corners)) for ring in rings])
    low = np.clip(np.floor(index.min(axis=0)), 0, np.array(grid.shape) - 1).astype(int)
    high = np.clip(np.ceil(index.max(axis=0)) + 1, low + 1, grid.shape).astype(int)
    box = (slice(low[0], high[0]), slice(low[1], high[1]), slice(low[2], high[2]))
    offsets = np.moveaxis(np.indices(tuple(high - low)), 0, -1)
    return box, grid.to_lps(offsets + low)


def raster_points() -> FloatArray:
    """Local coordinates (nx, ny, nz, 3) mm of the raster every ring uses."""
    axes = (_axis(-HALF_WIDTH_MM, HALF_WIDTH_MM), _axis(*DEPTH_MM), _axis(-HALF_HEIGHT_MM, HALF_HEIGHT_MM))
    return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)


def first_bone(ring: Ring) -> FloatArray:
    """y of the first posterior bone behind the wall for each x and z, (nx, nz) mm; NaN where none."""
    depth = _axis(*DEPTH_MM)
    behind = depth[None, :, None] > ring.wall_mm[None, None, :] + 1.0
    hit = ring.posterior & behind
    return np.where(hit.any(axis=1), depth[np.argmax(hit, axis=1)], np.nan)


def from_raster(values: BoolArray, ring: Ring, grid: Volume) -> BoolArray:
    """A raster of the ring's frame (nx, ny, nz) as a mask on the image grid."""
    box, points = voxels_near([ring], grid)
    mask = np.zeros(grid.shape, dtype=bool)
    mask[box] = _lookup(values, ring.vertebra.to_local(points))
    return mask


def _axis(low: float, high: float) -> FloatArray:
    return np.arange(low, high + STEP_MM / 2, STEP_MM)


def _raster(labels: Labels, parts: Sequence[str], vertebra: Vertebra, grid: Volume) -> BoolArray:
    """Whether any of the parts (of any vertebra) is at each raster point, (nx, ny, nz)."""
    masks = [mask for part in parts if (mask := labels.mask(part)) is not None]
    if not masks:
        raise InputError("the label maps do not name vertebra parts", where=f"labels: {vertebra.level}")
    union = grid.with_array(np.logical_or.reduce(masks).astype(np.uint8))
    return union.sample(vertebra.frame.apply(raster_points()), order=0).astype(bool)


def _back_wall(body: BoolArray, vertebra: Vertebra) -> FloatArray:
    """y of the bodies' back wall at each height, (nz,) mm: median over the middle, bridged at discs."""
    from scipy.ndimage import median_filter

    middle = np.abs(_axis(-HALF_WIDTH_MM, HALF_WIDTH_MM)) <= WALL_HALF_MM
    depth = _axis(*DEPTH_MM)
    columns = body[middle]
    last = depth[-1] - STEP_MM * np.argmax(columns[:, ::-1, :], axis=1)
    last = np.where(columns.any(axis=1), last, np.nan)
    known = np.sum(np.isfinite(last), axis=0) > len(last) / 2
    if known.sum() < 5:
        raise InputError("the back of the body is not labelled", where=f"labels: {vertebra.level}")
    heights = np.arange(len(known))
    wall = np.interp(heights, heights[known], np.nanmedian(last[:, known], axis=0))
    return np.asarray(median_filter(wall, 3, mode="nearest"), dtype=np.float64)


def _pedicle_edges(posterior: BoolArray, wall_mm: float) -> tuple[float, float]:
    """x of the first posterior bone to the right and left just behind the wall; NaN where none."""
    width = _axis(-HALF_WIDTH_MM, HALF_WIDTH_MM)
    row = posterior[
        :, np.clip(round((wall_mm + PEDICLE_DEPTH_MM - DEPTH_MM[0]) / STEP_MM), 0, len(posterior[0]) - 1)
    ]
    right, left = width[row & (width < 0)], width[row & (width > 0)]
    return (float(right.max()) if len(right) else np.nan, float(left.min()) if len(left) else np.nan)


def _canal_raster(ring: Ring) -> BoolArray:
    points = raster_points()
    x, y = points[..., 0], points[..., 1]
    back = _bridge(first_bone(ring))
    between = (x > ring.right_mm) & (x < ring.left_mm)
    inside: BoolArray = between & (y > ring.wall_mm[None, None, :]) & (y < back[:, None, :])
    return inside


def _bridge(back: FloatArray) -> FloatArray:
    """The canal's back along z, column by column (nx, nz): gaps between laminae become straight lines.

    A gap is where there is no bone, or bone (a spinous process) more than 6 mm behind the straight
    lines that join the foremost points of the laminae. Columns without any bone stay NaN.
    """
    filled = back.copy()
    heights = np.arange(back.shape[1], dtype=float)
    for column in filled:
        known = np.isfinite(column)
        if known.sum() < 2:
            continue
        front = _foremost_lines(heights[known], column[known], heights)
        known &= np.nan_to_num(column, nan=np.inf) <= front + LAMINA_RECESS_MM
        column[~known] = np.interp(heights[~known], heights[known], column[known])
    return filled


def _foremost_lines(heights: FloatArray, back: FloatArray, at: FloatArray) -> FloatArray:
    """The lower convex envelope of points (heights, back), read at ``at``."""
    hull: list[int] = []
    for k in range(len(heights)):
        while len(hull) > 1 and _turns_up(heights, back, hull[-2], hull[-1], k):
            hull.pop()
        hull.append(k)
    result: FloatArray = np.interp(at, heights[hull], back[hull])
    return result


def _turns_up(x: FloatArray, y: FloatArray, a: int, b: int, c: int) -> bool:
    return bool((y[b] - y[a]) * (x[c] - x[a]) >= (y[c] - y[a]) * (x[b] - x[a]))


def _lookup(values: BoolArray, local: FloatArray) -> BoolArray:
    """Raster values (nx, ny, nz) at local points (..., 3); False outside the raster."""
    origin = np.array([-HALF_WIDTH_MM, DEPTH_MM[0], -HALF_HEIGHT_MM])
    index = np.round((local - origin) / STEP_MM).astype(np.int64)
    inside = np.all((index >= 0) & (index < np.array(values.shape)), axis=-1)
    result = np.zeros(local.shape[:-1], dtype=bool)
    result[inside] = values[tuple(index[inside].T)]
    return result
