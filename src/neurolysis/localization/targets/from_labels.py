"""Targets that labels can give: the front-side of a vertebral body, the promontory, the lower edge of a rib.

Each returns points in LPS mm. The angles and rules they rest on are assumptions of the rules' data file;
labels are often a network's output, so nothing here is an accuracy.
"""

from __future__ import annotations

import itertools

import numpy as np

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.schemes import BoolArray, Labels
from neurolysis.localization.targets.rules import construction
from neurolysis.localization.vertebra import CORPUS, BodySide, points_of

MIDDLE_SHARE = 0.6
"""Part of the body's height that is used, so that endplates and their spurs stay out."""
LAYER_MM = 3.0
MIDLINE_HALF_MM = 8.0
RIB_STEP_MM = 6.0
LEAST_VOXELS = 30


def anterolateral_course(labels: Labels, level: str, side: BodySide, grid: Volume) -> FloatArray:
    """Points (n, 3) on the front-side of a body, from its lower to its upper part.

    In each layer the surface point furthest in the direction between straight to the side and straight to
    the front (the angle is an assumption), seen from the layer's middle.

    Raises:
        InputError: the body is not in the labels, or cannot be told from its arch.
    """
    body = body_points(labels, level, grid)
    angle = np.deg2rad(construction().anterolateral_deg.value)
    sideways = 1.0 if side == "left" else -1.0
    towards = np.array([sideways * np.cos(angle), -np.sin(angle), 0.0])
    low, high = _middle_heights(body[:, 2])
    edges = np.arange(low, high + LAYER_MM / 2, max(LAYER_MM, float(grid.spacing_mm.max())))
    layers = [body[(body[:, 2] >= a) & (body[:, 2] < b)] for a, b in itertools.pairwise(edges)]
    found = [_support(layer, towards) for layer in layers if len(layer) >= LEAST_VOXELS]
    if len(found) < 2:
        raise InputError("the body is too low in the labels", where=f"labels: {level}", found=f"{len(found)}")
    return _smooth(np.array(found))


def promontory_course(labels: Labels, grid: Volume) -> FloatArray:
    """Two points (2, 3): front of the lowest part of L5, front of the uppermost part of the sacrum, midline.

    Raises:
        InputError: L5 or the sacrum is not in the labels.
    """
    upper = labels.level_mask("L5")
    lower = labels.level_mask("S1")
    sacrum = labels.mask("sacrum")
    if lower is None or not lower.any():
        lower = sacrum
    if upper is None or lower is None or not upper.any() or not lower.any():
        raise InputError("L5 and the sacrum are needed in the labels", where="labels", found=labels.levels())
    above, below = grid.to_lps(np.argwhere(upper)), grid.to_lps(np.argwhere(lower))
    middle = float(np.median(above[:, 0]))
    return np.array([_front(above, middle, low=True), _front(below, middle, low=False)])


def subcostal_course(labels: Labels, level: str, side: BodySide, grid: Volume) -> FloatArray:
    """Points (n, 3) along the lower edge of a rib, from the back to the front.

    Raises:
        InputError: the rib is not in the labels.
    """
    part = f"rib_{int(level[1:])}"
    mask = labels.mask(part, side)
    if mask is None or mask.sum() < LEAST_VOXELS:
        raise InputError("the rib is not in the labels", where=f"labels: {part} {side}")
    points = grid.to_lps(np.argwhere(mask))
    order = _along_rib(points, side, grid)
    bins = np.where(np.isfinite(order), np.floor(order / RIB_STEP_MM), -1).astype(int)
    kept, counts = np.unique(bins[bins >= 0], return_counts=True)
    whole = kept[counts >= 0.5 * np.median(counts)]  # the rib's end is only part of a piece
    edge = [_lower_edge(points[bins == k]) for k in whole]
    if len(edge) < 2:
        raise InputError("the rib is too short in the labels", where=f"labels: {part} {side}")
    return _smooth(np.array(edge))


def body_points(labels: Labels, level: str, grid: Volume) -> FloatArray:
    """Voxel centres (n, 3) LPS mm of a vertebra's body.

    From a label of the body itself, or from the whole vertebra: the part before the front edge of the
    labelled cord or canal.

    Raises:
        InputError: neither is in the labels.
    """
    parts = [points_of(labels, part, None, level, grid) for part in CORPUS]
    body = np.concatenate(parts)
    if len(body) >= LEAST_VOXELS:
        return body
    whole = labels.level_mask(level)
    if whole is None or whole.sum() < LEAST_VOXELS:
        seen = ", ".join(labels.levels()) or "none"
        raise InputError("the vertebra is not in the labels", where=f"labels: {level}", found=f"seen: {seen}")
    points = grid.to_lps(np.argwhere(whole))
    front: FloatArray = points[points[:, 1] < _canal_front(labels, points, level, grid)]
    return front


def _canal_front(labels: Labels, points: FloatArray, level: str, grid: Volume) -> float:
    """y of the front of the labelled cord or canal at a vertebra's height."""
    for part in ("spinal_canal", "spinal_cord"):
        mask: BoolArray | None = labels.mask(part)
        if mask is None or not mask.any():
            continue
        cord = grid.to_lps(np.argwhere(mask))
        near = cord[(cord[:, 2] >= points[:, 2].min()) & (cord[:, 2] <= points[:, 2].max())]
        if len(near) >= LEAST_VOXELS:
            return float(np.quantile(near[:, 1], 0.02))
    raise InputError(
        "body and arch of this vertebra cannot be told apart", where=f"labels: {level}",
        allowed="a label of the body, the spinal canal or the spinal cord",
    )  # fmt: skip


def _middle_heights(heights: FloatArray) -> tuple[float, float]:
    """Lowest and highest z of the middle part of a body."""
    low, high = np.quantile(heights, [0.01, 0.99])
    spare = 0.5 * (1.0 - MIDDLE_SHARE) * (high - low)
    return float(low + spare), float(high - spare)


def _support(layer: FloatArray, towards: FloatArray) -> FloatArray:
    """Mean of the points of a layer (n, 3) that lie furthest along a direction (3,), within 1 mm."""
    reach = layer @ towards
    result: FloatArray = layer[reach >= reach.max() - 1.0].mean(axis=0)
    return result


def _smooth(points: FloatArray) -> FloatArray:
    """The polyline (n, 3) averaged with its neighbours, ends kept; doubled points dropped."""
    smooth = points.copy()
    if len(points) > 2:
        smooth[1:-1] = 0.25 * points[:-2] + 0.5 * points[1:-1] + 0.25 * points[2:]
    keep = np.concatenate([[True], np.linalg.norm(np.diff(smooth, axis=0), axis=1) > 1e-6])
    kept: FloatArray = smooth[keep]
    return kept


def _front(points: FloatArray, middle: float, *, low: bool) -> FloatArray:
    """The foremost point (3,) near the midline in the lowest or highest sixth of a bone's height."""
    near = points[np.abs(points[:, 0] - middle) <= MIDLINE_HALF_MM]
    front = near[near[:, 1] <= np.quantile(near[:, 1], 0.25)]
    edge = np.quantile(front[:, 2], 1 / 6 if low else 5 / 6)
    part = front[front[:, 2] <= edge] if low else front[front[:, 2] >= edge]
    return np.array([middle, part[:, 1].min(), float(part[:, 2].mean())])


def _along_rib(points: FloatArray, side: BodySide, grid: Volume) -> FloatArray:
    """Distance (n,) along the rib from its head, mm: the shortest way from voxel to voxel.

    The head is the end nearest to the midline. Pieces of the label that hang together with no voxel of
    the head's piece are left out (infinite).
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.csgraph import dijkstra
    from scipy.spatial import cKDTree

    reach = 1.01 * float(np.linalg.norm(grid.spacing_mm))
    pairs = cKDTree(points).query_pairs(reach, output_type="ndarray")
    lengths = np.linalg.norm(points[pairs[:, 0]] - points[pairs[:, 1]], axis=1)
    graph = coo_matrix((lengths, (pairs[:, 0], pairs[:, 1])), shape=(len(points), len(points)))
    head = int(np.argmin(points[:, 0] if side == "left" else -points[:, 0]))
    return np.asarray(dijkstra(graph.tocsr(), directed=False, indices=head), dtype=np.float64)


def _lower_edge(points: FloatArray) -> FloatArray:
    """Mean of the lowest points of a piece of rib (n, 3), within 1.5 mm."""
    result: FloatArray = points[points[:, 2] <= points[:, 2].min() + 1.5].mean(axis=0)
    return result
