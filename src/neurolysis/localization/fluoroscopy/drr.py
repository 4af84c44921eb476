"""Simulated X-rays of a CT: the line integral of attenuation from the source to every pixel."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.fluoroscopy.carm import CArm

WATER_PER_MM = 0.02
"""Attenuation taken for water. An assumption: it sets the contrast of the picture and no measurement."""
AIR_BELOW_HU = -700.0
"""Below this nothing is counted, so that the table's foam and the noise of air leave no haze."""


EDGE = 2
"""Empty voxels round the field, so that the outermost filled ones count whole, also when halved."""
SLOW_TAKEN = 0.75
"""Share of the slowly changing part that a picture leaves out."""


@dataclass(frozen=True)
class Attenuation:
    """Attenuation (1/mm) on a CT's grid, ready for many X-rays."""

    field: NDArray[np.float32]
    to_index: FloatArray
    spacing_mm: float
    turned: dict[int, NDArray[np.float32]] = dataclass_field(default_factory=dict, compare=False)

    @classmethod
    def of(cls, image: Volume) -> Attenuation:
        """From CT numbers; InputError where a volume is a single slice."""
        if min(image.shape) < 2:
            raise InputError("a simulated X-ray needs a volume", found=image.shape, where=image.name)
        numbers = image.array.astype(np.float32)
        field = WATER_PER_MM * (numbers / 1000.0 + 1.0)
        field[numbers < AIR_BELOW_HU] = 0.0
        box = _filled_box(field > 0)
        move = np.eye(4)
        move[:3, 3] = [EDGE - part.start for part in box]
        return cls(
            np.pad(np.maximum(field[box], 0.0), EDGE),
            move @ image.inverse_affine,
            float(image.spacing_mm.min()),
        )

    def along(self, axis: int) -> NDArray[np.float32]:
        """The field with one axis first, the others in their order; kept for the next X-ray."""
        if axis not in self.turned:
            self.turned[axis] = np.ascontiguousarray(np.moveaxis(self.field, axis, 0))
        return self.turned[axis]

    def halved(self) -> Attenuation:
        """Two by two by two voxels as one, for the coarse steps of a registration."""
        trimmed = self.field[tuple(slice(0, n - n % 2) for n in self.field.shape)]
        i, j, k = (n // 2 for n in trimmed.shape)
        merged = trimmed.reshape(i, 2, j, 2, k, 2).mean(axis=(1, 3, 5), dtype=np.float32)
        move = np.diag([0.5, 0.5, 0.5, 1.0])
        move[:3, 3] = -0.25
        return Attenuation(np.ascontiguousarray(merged), move @ self.to_index, 2.0 * self.spacing_mm)


def _filled_box(filled: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The part of the grid outside which there is nothing; all where all is empty."""
    found = []
    for axis in range(3):
        there = np.flatnonzero(filled.any(axis=tuple(k for k in range(3) if k != axis)))
        first, last = (there[0], there[-1] + 1) if len(there) else (0, filled.shape[axis])
        found.append(slice(int(first), int(last)))
    return found[0], found[1], found[2]


def simulated_xray(attenuation: Attenuation, carm: CArm, *, every: int = 1) -> NDArray[np.float32]:
    """Line integrals (rows, columns) without unit; a photon passes with the chance ``exp(-value)``.

    Args:
        every: planes of voxels from one sample to the next along a ray; more is faster and coarser.
    """
    from neurolysis.localization.fluoroscopy import rays

    turn, shift = attenuation.to_index[:3, :3], attenuation.to_index[:3, 3]
    source, first = np.array(carm.source_mm), carm.pixel_points([0.0, 0.0])
    steps = carm.pixel_mm * np.array([carm.right, carm.down])
    axis = int(np.argmax(np.abs(turn @ (np.array(carm.detector_mm) - source))))
    order = [axis, *(k for k in range(3) if k != axis)]
    index = np.vstack([turn @ first + shift, steps @ turn.T])[:, order]
    # Column by column: neighbours down the picture lie side by side in memory, as z runs fastest in a CT.
    out = np.empty((carm.columns, carm.rows), np.float32)
    compiled: Any = rays.integrate
    compiled(
        attenuation.along(axis),
        (turn @ source + shift)[order].astype(np.float32),
        np.ascontiguousarray(index, np.float32),
        np.vstack([first - source, steps]).astype(np.float32),
        every,
        out,
    )
    return np.ascontiguousarray(out.T)


def shades(xray: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A picture (rows, columns), 0 to 255: bone dark on bright, as on a fluoroscopy screen.

    Most of what changes slowly over the picture is taken off, so that bone stands out from the body's
    thickness; then scaled between percentiles inside the body.
    """
    from scipy.ndimage import gaussian_filter

    inside = xray > 0.02 * float(xray.max() or 1.0)
    if not inside.any():
        return np.full(xray.shape, 255, np.uint8)
    wide = 0.08 * max(xray.shape)
    weight = gaussian_filter(inside.astype(np.float32), wide)
    slow = gaussian_filter(np.where(inside, xray, 0).astype(np.float32), wide) / np.maximum(weight, 1e-3)
    sharp = xray - SLOW_TAKEN * slow
    low, high = np.percentile(sharp[inside], [1, 99.5])
    level = np.clip((sharp - low) / max(high - low, 1e-6), 0, 1)
    return np.where(inside, np.round(235 - 205 * level), 245).astype(np.uint8)
