"""Is this an image the network was made for? Colour, shape, and how far its grey values lie from training."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurolysis.geometry import FloatArray
from neurolysis.quantity import Value

COLOURED = 30
"""Difference between the strongest and weakest channel above which a pixel counts as coloured."""
SIDE = 128
FEATURES = (
    "mean", "spread", "dark share", "bright share", "across", "down", "across to down", "top", "middle",
    "bottom", "grain", "dark sides", "left to right",
)  # fmt: skip


class ImageLimits(Value):
    """What the training images were like; written by ``training/ultrasound/make_card.py``.

    ``largest_distance`` bounds the Mahalanobis distance of the :data:`FEATURES` of an image to ``mean`` with
    ``whitening`` (features, features): the inverse root of their covariance.
    """

    largest_coloured_share: float = Field(gt=0, lt=1)
    aspect: tuple[float, float]
    largest_distance: float = Field(gt=0)
    mean: tuple[float, ...]
    whitening: tuple[tuple[float, ...], ...]


def grey(pixels: NDArray[np.uint8], side: int = SIDE) -> NDArray[np.float32]:
    """The image (rows, columns, 3) as grey values 0 to 1 of (side, side), the way training saw it."""
    from PIL import Image

    small = Image.fromarray(pixels).convert("L").resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32) / np.float32(255)


def features(image: NDArray[np.float32]) -> FloatArray:
    """Thirteen numbers (in the order of :data:`FEATURES`) of a grey image (side, side) 0 to 1."""
    from scipy.ndimage import median_filter

    picture = image.astype(float)
    spread = picture.std() + 1e-3
    across = np.abs(np.diff(picture, axis=1)).mean()
    down = np.abs(np.diff(picture, axis=0)).mean()
    third = len(picture) // 3
    sides = np.concatenate([picture[:, :3].ravel(), picture[:, -3:].ravel()])
    halves = picture[:, : len(picture) // 2].mean(), picture[:, len(picture) // 2 :].mean()
    return np.array(
        [
            picture.mean(),
            spread,
            (picture < 0.03).mean(),
            (picture > 0.9).mean(),
            np.log(across / spread + 1e-3),
            np.log(down / spread + 1e-3),
            np.log((across + 1e-4) / (down + 1e-4)),
            picture[:third].mean(),
            picture[third:-third].mean(),
            picture[-third:].mean(),
            np.log(np.abs(picture - median_filter(picture, 3)).mean() / spread + 1e-4),
            (sides < 0.03).mean(),
            abs(halves[0] - halves[1]),
        ]
    )


def coloured_share(pixels: NDArray[np.uint8]) -> float:
    """Share of the pixels (rows, columns, 3) that are coloured."""
    return float((np.ptp(pixels, axis=2) > COLOURED).mean())


def distance(image: NDArray[np.float32], limits: ImageLimits) -> float:
    """Mahalanobis distance of a grey image's features to those of the training images."""
    white = np.array(limits.whitening) @ (features(image) - np.array(limits.mean))
    return float(np.linalg.norm(white))


def reasons_against(pixels: NDArray[np.uint8], limits: ImageLimits) -> Sequence[str]:
    """Why the network was not made for this image (rows, columns, 3); empty if it was."""
    found = []
    share = coloured_share(pixels)
    if share > limits.largest_coloured_share:
        found.append(
            f"{100 * share:.1f} % of it is coloured (at most {100 * limits.largest_coloured_share:.1f} %): "
            "colour Doppler and tinted images are not read, freeze the plain B-mode image"
        )
    shape = pixels.shape[1] / pixels.shape[0]
    low, high = limits.aspect
    if not low <= shape <= high:
        found.append(
            f"width to height is {shape:.2f} (allowed {low:.2f} to {high:.2f}): cut the image to the scan"
        )
    far = distance(grey(pixels), limits)
    if not far <= limits.largest_distance:
        found.append(
            f"its grey values are unlike the linear-probe B-mode images of the training "
            f"(distance {far:.1f}, at most {limits.largest_distance:.1f})"
        )
    return found
