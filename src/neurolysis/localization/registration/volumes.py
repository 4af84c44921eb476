"""Two images of one body, CT or MR: a rigid move by mutual information, from several starts that must agree.

The library (SimpleITK, an optional extra) climbs; the verdict is ours: the starts must end in one place, the
images must overlap there, and agreement must fall away on every side of it.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, RigidTransform, Volume
from neurolysis.localization.registration.result import ImageRegistration, nested, turned

LEVELS_MM = (6.0, 3.0, 1.5)
BINS, ITERATIONS, SAMPLES, CLIMBING = 40, 100, 20_000, 8_000
"""Bins of grey values, steps a level, points that judge, and points that climb."""
START_SHIFT_MM, START_TURN_DEG = 8.0, 8.0
STARTS = 5
AGREE_MM, LEAST_AGREEING = 1.5, 3
LEAST_OVERLAP = 0.25
NUDGES_MM = 6.0
LEAST_CONTRAST = 0.15
"""How far the agreement of the images must fall when moved by 6 mm, as a share of its own height."""
VOXEL_SHARE = 0.1
"""A tenth of the largest voxel edge is added to the spread for what all starts share: an assumption. With
known moves of real images the error was 0.01 to 0.07 of an edge."""
ADVICE = "pip install 'neurolysis[registration]', or register by landmarks or surface"

Progress = Callable[[float, str], None]


def register_volumes(
    fixed: Volume,
    moving: Volume,
    *,
    start: RigidTransform | None = None,
    seed: int = 0,
    progress: Progress = lambda fraction, text: None,
) -> ImageRegistration:
    """Bring ``moving`` to ``fixed``; CT to CT, CT to MR or MR to MR.

    Args:
        start: where to begin; without it the frames as they are, or middle on middle where these do not meet.

    Raises:
        InputError: SimpleITK is not installed.
    """
    if importlib.util.find_spec("SimpleITK") is None:
        raise InputError("registration of images needs SimpleITK", allowed=ADVICE)
    centre = fixed.to_lps((np.array(fixed.shape) - 1) / 2)
    first = start or _first_guess(fixed, moving)
    rng = np.random.default_rng(seed)
    pyramid = [(_at_spacing(fixed, mm), _at_spacing(moving, mm)) for mm in LEVELS_MM]
    ends = []
    for number in range(STARTS):
        progress(number / STARTS, f"start {number + 1} of {STARTS}")
        ends.append(_climbed(pyramid, _nudged(first, centre, rng, number), centre, seed + number + 1))
    points = _points(fixed, seed)
    heights = [agreement(fixed, moving, move, points)[0] for move in ends]
    best = ends[int(np.argmax(heights))]
    return _judged(fixed, moving, best, ends, points, centre)


def agreement(
    fixed: Volume, moving: Volume, move: RigidTransform, points_mm: FloatArray
) -> tuple[float, float]:
    """Normalised mutual information minus one (0: nothing in common) over points (n, 3), and their overlap.

    The ratio (H(a) + H(b)) / H(a, b) of entropies of a joint histogram; the overlap is the share of the
    points that lie in both images.
    """
    away = move.inverse().apply(points_mm)
    both = moving.contains(away) & fixed.contains(points_mm)
    overlap = float(both.mean())
    if both.sum() < 500:
        return 0.0, overlap
    one, other = _ranked(fixed.sample(points_mm[both])), _ranked(moving.sample(away[both]))
    joint = np.histogram2d(one, other, bins=BINS, range=((0, 1), (0, 1)))[0]
    joint /= joint.sum()
    apart = _entropy(joint.sum(axis=0)) + _entropy(joint.sum(axis=1))
    # With n samples in k bins the joint entropy of independent images falls short by about (k-1)^2 / 2n.
    bias = (BINS - 1) ** 2 / (2 * both.sum())
    return max(apart / max(_entropy(joint.ravel()) + bias, 1e-9) - 1, 0.0), overlap


def _ranked(values: FloatArray) -> FloatArray:
    low, high = np.percentile(values, [1, 99])
    return np.asarray(np.clip((values - low) / max(high - low, 1e-9), 0, 1), float)


def _entropy(share: FloatArray) -> float:
    kept = share[share > 0]
    return float(-(kept * np.log(kept)).sum())


def _points(volume: Volume, seed: int) -> FloatArray:
    index = np.random.default_rng(seed).uniform(0, 1, (SAMPLES, 3)) * (np.array(volume.shape) - 1)
    return volume.to_lps(index)


def _first_guess(fixed: Volume, moving: Volume) -> RigidTransform:
    """No move where the frames already meet in half of the smaller image, else middle on middle."""
    share = float(moving.contains(_points(fixed, 0)).mean())
    back = float(fixed.contains(_points(moving, 0)).mean())
    if max(share, back) >= 0.5:
        return RigidTransform()
    middles = [one.to_lps((np.array(one.shape) - 1) / 2) for one in (fixed, moving)]
    return RigidTransform.from_arrays(np.eye(3), middles[0] - middles[1])


def _nudged(
    first: RigidTransform, centre: FloatArray, rng: np.random.Generator, number: int
) -> RigidTransform:
    """The start itself, then the start turned and shifted by a random 8 degrees and 8 mm."""
    if number == 0:
        return first
    turn, shift = rng.normal(size=3), rng.normal(size=3)
    rotation = turned(np.radians(START_TURN_DEG) * turn / np.linalg.norm(turn))
    away = START_SHIFT_MM * shift / np.linalg.norm(shift)
    return RigidTransform.from_arrays(rotation, centre - rotation @ centre + away).compose(first)


def _at_spacing(volume: Volume, spacing_mm: float) -> Any:
    """The image for the library, smoothed and resampled to even steps no finer than its own."""
    import SimpleITK

    sitk: Any = SimpleITK
    size = volume.spacing_mm
    image = sitk.GetImageFromArray(np.ascontiguousarray(volume.array.astype(np.float32).T))
    image.SetSpacing(size.tolist())
    image.SetOrigin(volume.affine[:3, 3].tolist())
    image.SetDirection((volume.affine[:3, :3] / size).ravel().tolist())
    wanted = np.maximum(size, spacing_mm)
    number = np.maximum(np.ceil(np.array(volume.shape) * size / wanted), 2).astype(int)
    image = sitk.SmoothingRecursiveGaussian(image, (0.5 * wanted).tolist())
    corner = volume.affine[:3, 3] + (volume.affine[:3, :3] / size) @ (0.5 * (wanted - size))
    return sitk.Resample(
        image, number.tolist(), sitk.Transform(), sitk.sitkLinear, corner.tolist(), wanted.tolist(),
        image.GetDirection(), float(volume.array.min()), sitk.sitkFloat32,
    )  # fmt: skip


def _climbed(
    pyramid: Sequence[tuple[Any, Any]], start: RigidTransform, centre: FloatArray, seed: int
) -> RigidTransform:
    """Where mutual information leads from a start, coarse to fine."""
    import SimpleITK

    sitk: Any = SimpleITK
    transform = _euler(start.inverse(), centre)
    for level, (fixed, moving) in enumerate(pyramid):
        method = sitk.ImageRegistrationMethod()
        method.SetNumberOfThreads(1)
        method.SetMetricAsMattesMutualInformation(BINS)
        method.SetMetricSamplingStrategy(method.RANDOM)
        share = min(1.0, CLIMBING / max(1, int(np.prod(fixed.GetSize()))))
        method.SetMetricSamplingPercentage(share, seed)
        method.SetInterpolator(sitk.sitkLinear)
        method.SetOptimizerAsRegularStepGradientDescent(
            learningRate=2.0 / 2**level, minStep=0.01 / 2**level, numberOfIterations=ITERATIONS,
            relaxationFactor=0.6, gradientMagnitudeTolerance=1e-8,
        )  # fmt: skip
        method.SetOptimizerScalesFromPhysicalShift()
        method.SetInitialTransform(transform, inPlace=True)
        try:
            method.Execute(fixed, moving)
        except RuntimeError:  # all samples map outside: this start leads nowhere
            return start
    rotation = np.array(transform.GetMatrix()).reshape(3, 3)
    shift = np.array(transform.GetTranslation()) + centre - rotation @ centre
    return RigidTransform.from_arrays(rotation, shift).inverse()


def _euler(fixed_to_moving: RigidTransform, centre: FloatArray) -> Any:
    import SimpleITK

    sitk: Any = SimpleITK
    made = sitk.Euler3DTransform()
    made.SetCenter(centre.tolist())
    rotation = np.array(fixed_to_moving.rotation)
    made.SetMatrix(rotation.ravel().tolist(), 1e-3)
    made.SetTranslation((fixed_to_moving.apply(centre) - centre).tolist())
    return made


def _judged(
    fixed: Volume,
    moving: Volume,
    best: RigidTransform,
    ends: Sequence[RigidTransform],
    points: FloatArray,
    centre: FloatArray,
) -> ImageRegistration:
    """The verdict, and the spread of the starts that agree as the covariance."""
    ahead = np.array([_apart(best, end, centre) for end in ends])
    back = best.inverse().apply(points[:500])
    gaps = np.array([np.linalg.norm(points[:500] - end.apply(back), axis=1).mean() for end in ends])
    agreeing = gaps <= AGREE_MM
    height, overlap = agreement(fixed, moving, best, points)
    fall = _fall(fixed, moving, best, points, height)
    kept = ahead[agreeing]
    shared = VOXEL_SHARE * float(max(fixed.spacing_mm.max(), moving.spacing_mm.max()))
    covariance = kept.T @ kept / max(len(kept) - 1, 1) + np.diag([0.0, 0, 0, *3 * [shared**2]])
    reason = _reason(int(agreeing.sum()), overlap, fall, height)
    return ImageRegistration(
        method="images",
        verdict="failed" if reason else "found",
        reason=reason
        or f"{agreeing.sum()} of {len(ends)} starts agree within {AGREE_MM:g} mm, "
        f"overlap {100 * overlap:.0f} %",
        move=best,
        centre_mm=tuple(float(v) for v in centre),
        covariance=nested(covariance),
        covariance_from=f"spread of {int(agreeing.sum())} registrations from different starts and samples; "
        f"assumption: {shared:.2f} mm, a tenth of the largest voxel edge, for what they share",
        blind_spots="change of shape between the images, and a false match that all starts share: look at "
        "the picture",
        measures={
            "agreeing_starts": float(agreeing.sum()),
            "starts": float(len(ends)),
            "overlap": overlap,
            "normalised_mutual_information": 1 + height,
            "fall_at_6_mm": fall,
        },
    )


def _apart(best: RigidTransform, end: RigidTransform, centre: FloatArray) -> FloatArray:
    """Turn (rad) about the centre and shift (mm) from one move to another, (6,)."""
    from scipy.spatial.transform import Rotation

    between = end.compose(best.inverse())
    turn = Rotation.from_matrix(np.array(between.rotation)).as_rotvec()
    return np.concatenate([turn, between.apply(centre) - centre])


def _fall(fixed: Volume, moving: Volume, move: RigidTransform, points: FloatArray, height: float) -> float:
    """The smallest relative fall of the agreement over shifts of 6 mm to each side."""
    if height <= 0:
        return 0.0
    falls = []
    for axis in range(3):
        for sign in (-1, 1):
            shift = RigidTransform.from_arrays(np.eye(3), sign * NUDGES_MM * np.eye(3)[axis])
            falls.append(1 - agreement(fixed, moving, shift.compose(move), points)[0] / height)
    return float(min(falls))


def _reason(agreeing: int, overlap: float, fall: float, height: float) -> str:
    if overlap < LEAST_OVERLAP:
        return f"the images overlap in {100 * overlap:.0f} % only (at least {100 * LEAST_OVERLAP:.0f} %)"
    if agreeing < LEAST_AGREEING:
        return f"{agreeing} of {STARTS} starts end in one place (at least {LEAST_AGREEING})"
    if fall < LEAST_CONTRAST:
        return (
            f"agreement falls by {100 * fall:.0f} % only when moved by {NUDGES_MM:g} mm (at least "
            f"{100 * LEAST_CONTRAST:.0f} %): nothing holds the images together"
        )
    return ""
