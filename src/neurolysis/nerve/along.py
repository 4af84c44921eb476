"""Fields along a course: sampling, continuous lengths above a threshold, and positional uncertainty.

Doses that change by orders of magnitude from cell to cell (CEM43, Omega) are interpolated in their
logarithm, because a linear value between two cells would move a threshold towards the colder one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolysis.exposure import Exposure, LesionCriterion
from neurolysis.geometry import FloatArray, unit_vector

LOG_DAMAGE = "log_damage_"
"""Fields of this prefix hold ln Omega of one kinetics."""
CEM43 = "cem43_min"
PEAK = "peak_temperature_c"
LOWEST = "lowest_temperature_c"
"""Lowest temperature over the run, of tissue that is cooled."""
SHARE = "agent_share"
"""Highest concentration of an injected agent, as a part of the least neurolytic one."""
PERCENT, CONTACT = "peak_concentration_percent", "exposure_percent_min"
"""Highest concentration of an agent, and concentration summed over time."""
DOSE_FLOOR = 1e-4
"""Smallest dose told apart from none: minutes for CEM43, Omega for damage (0.01 % killed)."""


def in_logarithm(field: str) -> bool:
    """Whether a field is stored linearly but interpolated in its logarithm."""
    return field == CEM43


def scaled(field: str, values: ArrayLike) -> FloatArray:
    """Values of a field on the scale it is interpolated on (ln for CEM43, floored ln for Omega)."""
    array = np.asarray(values, dtype=np.float64)
    if in_logarithm(field):
        return np.log(np.maximum(array, DOSE_FLOOR))
    if field.startswith(LOG_DAMAGE):
        return np.maximum(array, np.log(DOSE_FLOOR))
    return array


def unscaled(field: str, values: FloatArray) -> FloatArray:
    """The inverse of :func:`scaled`; a dose at the floor is none."""
    if not in_logarithm(field):
        return values
    return np.where(values > np.log(DOSE_FLOOR) + 1e-9, np.exp(values), 0.0)


def main_measure(exposure: Exposure) -> str | None:
    """The field that says how hard the treatment acts at a place: heat, cold or agent; None for another."""
    return next((name for name in (PEAK, LOWEST, SHARE) if name in exposure.fields), None)


TEMPERATURES = (PEAK, LOWEST)
"""Fields whose lines are isotherms: the hottest or the coldest over the run."""


def thermal_measure(fields: Mapping[str, object]) -> str | None:
    """The temperature that a treatment by heat or by cold is shown by; None for another treatment."""
    return next((name for name in TEMPERATURES if name in fields), None)


def worse(field: str) -> int:
    """1 where more of a field is worse for tissue, -1 where less is (cold)."""
    return -1 if field == LOWEST else 1


@dataclass(frozen=True)
class Sampler:
    """Fields of one exposure at fixed points (..., 3): cell indices are found once for all fields.

    Attributes:
        index: fractional cell indices, (3, n), clamped to the grid.
        inside: which points lie within the grid of cell centres, (...,).
    """

    exposure: Exposure
    index: FloatArray
    inside: NDArray[np.bool_]

    @classmethod
    def at(cls, exposure: Exposure, points_lps_mm: ArrayLike) -> Sampler:
        """A sampler for LPS points (..., 3), mm."""
        points = np.asarray(points_lps_mm, dtype=np.float64)
        local = exposure.to_local(points).reshape(-1, 3)
        index = np.stack(
            [np.interp(local[:, k], axis, np.arange(len(axis))) for k, axis in enumerate(exposure.axes_mm)]
        )
        return cls(exposure, index, exposure.covers(points))

    def scaled(self, field: str, *, outside: float | None = np.nan) -> FloatArray:
        """A field (...,) on its interpolation scale; ``outside`` None keeps the value at the grid's edge."""
        from scipy.ndimage import map_coordinates

        array = scaled(field, self.exposure.field(field).array)
        flat = map_coordinates(array, self.index, order=1, mode="nearest", prefilter=False)
        values: FloatArray = flat.reshape(self.inside.shape)
        return values if outside is None else np.where(self.inside, values, outside)

    def values(self, field: str, *, outside: float | None = np.nan) -> FloatArray:
        """A field (...,) in its own unit; ``outside`` is in that unit too."""
        found = unscaled(field, self.scaled(field, outside=None))
        return found if outside is None else np.where(self.inside, found, outside)


def scaled_threshold(criterion: LesionCriterion) -> float:
    """A criterion's threshold on the scale its field is interpolated on."""
    return float(scaled(criterion.field, criterion.threshold))


def excess(criterion: LesionCriterion, values: ArrayLike) -> FloatArray:
    """How far values on the interpolation scale lie beyond a criterion, zero at its threshold."""
    found: FloatArray = criterion.sign * (np.asarray(values, float) - scaled_threshold(criterion))
    return found


def lesioned_lengths(
    values: FloatArray, threshold: float, arc_mm: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Longest continuous and total length at or above a threshold.

    Args:
        values: (..., m) at the stations; NaN is never lesioned.
        arc_mm: (m,) stations along the course.

    The crossing within a step is found by linear interpolation. Returns two arrays (...,) in mm.
    """
    steps = np.diff(arc_mm)
    before, after = values[..., :-1], values[..., 1:]
    starts, ends = before >= threshold, after >= threshold
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(
            starts, (before - threshold) / (before - after), (after - threshold) / (after - before)
        )
    share = np.where(starts & ends, 1.0, np.where(starts ^ ends, np.nan_to_num(share), 0.0))
    pieces = share * steps
    return _longest_run(pieces, starts), pieces.sum(axis=-1)


def _longest_run(pieces: FloatArray, starts: NDArray[np.bool_]) -> FloatArray:
    """Longest sum of joined pieces (..., m-1): a run goes on only through stations above the threshold."""
    run = np.zeros(pieces.shape[:-1])
    longest = np.zeros(pieces.shape[:-1])
    for k in range(pieces.shape[-1]):
        run = np.where(starts[..., k], run, 0.0) + pieces[..., k]
        longest = np.maximum(longest, run)
    return longest


@dataclass(frozen=True)
class Spread:
    """What a nerve's place and the lesion's size may differ by: one standard deviation each.

    ``size_relative`` is the model's error of the lesion's size, as a part of it (0: none given).
    """

    position_mm: float
    size_relative: float = 0.0


def displaced_courses(
    points_mm: FloatArray,
    anchor: int,
    spread: Spread,
    axis: FloatArray,
    lesion_centre_mm: FloatArray,
    normal_samples: FloatArray,
) -> FloatArray:
    """A course moved as a whole, square to itself, once for each sample.

    Args:
        points_mm: (m, 3) LPS stations.
        anchor: the station whose tangent the moves are square to (where the lesion is nearest).
        axis: (3,) any direction fixed to the instrument; it orients the plane of the moves.
        lesion_centre_mm: (3,) a lesion larger by a factor s is the same lesion seen from points
            nearer to its centre by 1 / s, so the size error scales the course about this point.
        normal_samples: (n, 3) standard normal numbers: two moves and the lesion's size.

    Returns:
        (n, m, 3) LPS millimetres.
    """
    first, second = _plane(_tangent(points_mm, anchor), axis)
    moves = spread.position_mm * (
        normal_samples[:, :1] * first[None, :] + normal_samples[:, 1:2] * second[None, :]
    )
    size = np.maximum(1.0 + spread.size_relative * normal_samples[:, 2], 0.1)
    moved = points_mm[None, :, :] + moves[:, None, :]
    result: FloatArray = lesion_centre_mm + (moved - lesion_centre_mm) / size[:, None, None]
    return result


def _tangent(points_mm: FloatArray, anchor: int, reach: int = 4) -> FloatArray:
    """Unit direction (3,) of the course at a station, over ``reach`` stations each way."""
    low, high = max(anchor - reach, 0), min(anchor + reach, len(points_mm) - 1)
    chord = points_mm[high] - points_mm[low]
    return unit_vector(chord if np.linalg.norm(chord) > 1e-9 else points_mm[-1] - points_mm[-2])


def _plane(normal: FloatArray, axis: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Two unit vectors square to ``normal`` and to each other, the first as close to ``axis`` as may be."""
    flat = axis - (axis @ normal) * normal
    if np.linalg.norm(flat) < 1e-6:
        flat = np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))])
    first = unit_vector(flat)
    return first, np.cross(normal, first)


def normal_samples(count: int, seed: int) -> FloatArray:
    """Quasi-random standard normal triples, (count, 3): scrambled Sobol; ``count`` is a power of two."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    generator = np.random.Generator(np.random.Philox(seed))
    points = qmc.Sobol(d=3, scramble=True, rng=generator).random(count)
    numbers: FloatArray = ndtri(np.clip(points, 1e-9, 1 - 1e-9))
    return numbers
