"""Nerve and vessel in an ultrasound image, by the shipped network, with a calibrated probability a pixel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurolysis.errors import ImageError
from neurolysis.localization.ultrasound.check_image import ImageLimits, grey, reasons_against
from neurolysis.localization.ultrasound.pictures import UltrasoundImage
from neurolysis.quantity import Value

CLASSES = ("background", "nerve", "vessel")
SIDE = 256
"""Rows and columns of what the network is given."""
LEAST_PIXELS = 60
"""Connected regions below this many of the network's own pixels are specks and become background: chosen in
the cross-validation (of 0, 60, 150 and 300), before the test fold was looked at."""


class Score(Value):
    """Dice of one class: mean and its 95 % interval (bootstrap over images), median, number of images.

    An image where the class is found though nobody marked it counts as 0; one rightly without it is left out.
    """

    mean: float
    interval_95: tuple[float, float]
    median: float
    images: int
    mean_where_marked: float
    marked: int = Field(description="images where the examiner marked the class")
    missed: int = Field(description="images where it is marked and nothing of it is found")
    false_alarms: int = Field(description="images where it is not marked and found nevertheless")


class Card(Value):
    """What the network is, was trained on, reaches, and must not be used for."""

    name: str
    sha256: str
    trained_on: str
    licence: str
    recipe: str
    limits: ImageLimits
    calibration: dict[str, tuple[tuple[float, float], ...]]
    calibration_error: dict[str, tuple[float, float]] = Field(
        description="mean distance of said and found chance on the test fold, before and after calibration"
    )
    test: dict[str, Score] = Field(description="41 images no training or choice ever saw")
    cross_validation: dict[str, Score] = Field(description="folds 1 to 4, networks of the same recipe")
    cross_validation_trained_on: str
    refused_test_images: int = Field(description="test images that the check of the image would refuse")
    not_for: tuple[str, ...]


@dataclass(frozen=True)
class Segmentation:
    """``mask`` (rows, columns) uint8 and ``chance`` (3, rows, columns) of one image."""

    image: UltrasoundImage
    mask: NDArray[np.uint8]
    chance: NDArray[np.float32]

    def parts(self) -> list[dict[str, Any]]:
        """Each connected region: class, area, middle, width and height, mean probability; mm if known."""
        from scipy.ndimage import find_objects, label

        found = []
        for number in (1, 2):
            parts, _ = label(self.mask == number)
            for k, box in enumerate(find_objects(parts), start=1):
                inside = parts == k
                at = np.argwhere(inside).mean(axis=0)
                part: dict[str, Any] = {
                    "class": CLASSES[number],
                    "area_px": int(inside.sum()),
                    "middle_px": [float(at[1]), float(at[0])],
                    "size_px": [box[1].stop - box[1].start, box[0].stop - box[0].start],
                    "mean_probability": float(self.chance[number][inside].mean()),
                }
                if self.image.pixel_mm is not None:
                    across, down = self.image.pixel_mm
                    part["area_mm2"] = part["area_px"] * across * down
                    part["size_mm"] = [part["size_px"][0] * across, part["size_px"][1] * down]
                found.append(part)
        return sorted(found, key=lambda part: (part["class"], -part["area_px"]))


@cache
def card() -> Card:
    """The shipped network's card."""
    import yaml

    text = files(__package__).joinpath("data/us_nerve_vessel.yaml").read_text("utf-8")
    return Card.model_validate(yaml.safe_load(text))


@cache
def _session() -> Any:
    """The network, after its checksum; one thread, so that the result does not depend on the machine."""
    import hashlib

    import onnxruntime  # type: ignore[import-untyped]

    raw = files(__package__).joinpath("data/us_nerve_vessel.onnx").read_bytes()
    found = hashlib.sha256(raw).hexdigest()
    if found != card().sha256:
        raise ImageError("the shipped network is damaged", where="us_nerve_vessel.onnx", found=found[:16])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(raw, options, providers=["CPUExecutionProvider"])


def raw_chances(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities (3, side, side) before calibration: the mean of the image and its mirror image."""

    def one(picture: NDArray[np.float32]) -> NDArray[np.float32]:
        made: NDArray[np.float32] = _session().run(
            None, {"image": np.ascontiguousarray(picture)[None, None]}
        )[0][0]
        return made

    return (one(image) + one(image[:, ::-1])[:, :, ::-1]) / np.float32(2)


def calibrated(chance: NDArray[np.float32]) -> NDArray[np.float32]:
    """Nerve and vessel through their calibration curves; the background is the rest."""
    made = chance.copy()
    for number in (1, 2):
        said, true = np.array(card().calibration[CLASSES[number]]).T
        made[number] = np.interp(chance[number], said, true)
    together = made[1] + made[2]
    made[1:] /= np.maximum(together, 1)
    made[0] = 1 - made[1] - made[2]
    return made


def segment(image: UltrasoundImage, *, check: bool = True) -> Segmentation:
    """Find nerve and vessel.

    The mask is the networks' most probable class without specks; the probabilities beside it are calibrated
    on images that their likes were not trained on. ``check=False`` is for measuring only.

    Raises:
        ImageError: an image that the network was not made for, with every reason.
    """
    from PIL import Image

    against = reasons_against(image.pixels, card().limits) if check else ()
    if against:
        raise ImageError("not an image this network was made for", where=image.name, found="; ".join(against))
    raw = raw_chances(grey(image.pixels, SIDE))
    rows, columns = image.pixels.shape[:2]

    def grown(part: NDArray[np.float32]) -> NDArray[np.float32]:
        made = Image.fromarray(part).resize((columns, rows), Image.Resampling.BILINEAR)
        return np.asarray(made, np.float32)

    mask = np.stack([grown(part) for part in raw]).argmax(axis=0).astype(np.uint8)
    mask = without_specks(mask)
    return Segmentation(image, mask, np.stack([grown(part) for part in calibrated(raw)]))


def without_specks(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A mask (rows, columns) whose connected regions smaller than :data:`LEAST_PIXELS` are background.

    Sizes count in the network's pixels: the square of :data:`SIDE` covers the whole mask.
    """
    from scipy.ndimage import label

    least, made = LEAST_PIXELS * mask.size / SIDE**2, mask.copy()
    for number in (1, 2):
        parts, _ = label(mask == number)
        sizes = np.bincount(parts.ravel())
        small = sizes < least
        small[0] = False
        made[small[parts]] = 0
    return made
