"""A simulated B-mode image of the scene's cross-section, for rehearsal: convolution of random scatterers.

Linear model: echoes are scatterers of random strength convolved with the point spread function of the probe,
under attenuation along the beam and full shadow behind bone and air. No refraction, no multiple echoes but
the needle's, no beam steering. How bright a tissue is drawn is an illustration (``data/echo.yaml``), not a
measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from neurolysis.errors import InputError
from neurolysis.geometry import FloatArray, Point, Volume
from neurolysis.localization.ultrasound.probe import Probe, needle_sight
from neurolysis.quantity import Value
from neurolysis.scene import Scene

HIDDEN = 0.1
SPEED_MM_PER_US = 1.54
"""Speed of sound that scanners assume: the scale of every image, 1540 m/s."""


class EchoSettings(Value):
    """How the image is drawn. Everything here is set for a familiar look, and said to be so."""

    note: str
    level_db: dict[str, float]
    default_level_db: float
    absorbing: tuple[str, ...] = Field(description="tissues nothing is seen behind")
    attenuation_db_per_cm_mhz: float = Field(ge=0, le=5)
    range_db: float = Field(gt=10, le=120)
    cycles: float = Field(gt=0)
    f_number: float = Field(gt=0)
    fascicle_mm: float = Field(gt=0)
    interface_db: float = Field(ge=0, le=40)


@dataclass(frozen=True)
class Sonogram:
    """``picture`` (rows, columns) uint8, ``tissue`` (rows, columns) indices into ``names``: the exact truth.

    ``nerve`` (rows, columns) is True inside a nerve, ``shadow`` where bone or air above
    lets less than a tenth of the echo through, ``tip_px`` the needle's tip (column, row).
    """

    probe: Probe
    picture: NDArray[np.uint8]
    tissue: NDArray[np.int16]
    names: tuple[str, ...]
    nerve: NDArray[np.bool_]
    shadow: NDArray[np.bool_]
    tip_px: tuple[float, float] | None

    def tip_hidden(self) -> bool | None:
        """Whether the tip lies where nothing returns from; None without a needle or outside the image."""
        if self.tip_px is None:
            return None
        column, row = round(self.tip_px[0]), round(self.tip_px[1])
        inside = 0 <= row < self.shadow.shape[0] and 0 <= column < self.shadow.shape[1]
        return bool(self.shadow[row, column]) if inside else None


@cache
def echo_settings() -> EchoSettings:
    """The shipped settings."""
    import yaml

    text = files(__package__).joinpath("data/echo.yaml").read_text("utf-8")
    return EchoSettings.model_validate(yaml.safe_load(text))


def sonogram(
    scene: Scene,
    probe: Probe,
    needle: tuple[Point, Point] | None = None,
    *,
    frequency_mhz: float = 10.0,
    gain_db: float = 0.0,
    seed: int = 0,
) -> Sonogram:
    """The cross-section under a probe as a B-mode image; ``needle`` is (tip, hub). One seed, one image.

    Raises:
        InputError: a frequency outside 1 to 25 MHz, a probe whose image lies outside the scene.
    """
    if not 1 <= frequency_mhz <= 25:
        raise InputError("no frequency of a probe", found=frequency_mhz, allowed="1 to 25 MHz")
    look = echo_settings()
    rows, columns = probe.shape
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), axis=-1)
    points = probe.to_lps(grid)
    plane = _Plane(scene, points)
    if not plane.inside.any():
        raise InputError("the probe's image lies outside the scene", found=list(probe.face_mm))
    labels = plane.sample(plane.cut(scene.tissues.volume), 0)
    names = (*scene.tissues.names, "outside")
    tissue = np.where(plane.inside, labels, -1).astype(np.int16)
    tissue[tissue < 0] = len(names) - 1
    rng = np.random.default_rng(seed)
    level = np.array([look.level_db.get(name, look.default_level_db) for name in names])[tissue]
    nerve, fascicle = _nerve_section(scene, points, look, rng)
    level = np.where(nerve, look.level_db["epineurium"], level)
    level = np.where(fascicle, look.level_db["fascicle"], level)
    level[tissue == len(names) - 1] = -200
    blocked = _blocked(scene, plane, look)
    level = np.where(blocked, look.level_db["bone"], level + _interfaces(scene, plane, probe, look))
    echo = _echoes(level, probe, look, frequency_mhz, rng)
    reaching = _reaching(blocked, probe, look, frequency_mhz)
    echo *= reaching
    tip = _draw_needle(echo, probe, needle, reaching) if needle is not None else None
    return Sonogram(probe, _compressed(echo, look, gain_db), tissue, names, nerve, reaching < HIDDEN, tip)


class _Plane:
    """Sampling of the scene's volumes on an image plane; their common frame is worked out once.

    ``points`` (rows, columns, 3) LPS mm; ``inside`` (rows, columns) whether they lie in the scene.
    """

    def __init__(self, scene: Scene, points: FloatArray) -> None:
        image = scene.image
        self.points = points
        corner = image.to_index(points[0, 0])
        down, across = image.to_index(points[1, 0]) - corner, image.to_index(points[0, 1]) - corner
        rows, columns = (np.arange(n)[:, None] for n in points.shape[:2])
        index = corner[:, None, None] + (rows * down).T[:, :, None] + (columns * across).T[:, None, :]
        top = np.array(image.shape)
        ends = index[:, [0, 0, -1, -1], [0, -1, 0, -1]]
        low = np.clip(np.floor(ends.min(axis=1)).astype(int) - 1, 0, top - 1)
        high = np.clip(np.ceil(ends.max(axis=1)).astype(int) + 2, low + 1, top)
        self.block = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        self.inside = np.ones(points.shape[:2], bool)
        for axis in range(3):
            self.inside &= (index[axis] >= -0.5) & (index[axis] <= top[axis] - 0.5)
        self.index = index - low[:, None, None]

    def cut(self, volume: Volume) -> NDArray[Any]:
        """The voxels round the plane: it needs little of a large image."""
        return volume.array[self.block]

    def sample(self, array: NDArray[Any], order: int) -> FloatArray:
        """Values (rows, columns) of voxels that :meth:`cut` gave: ``order`` 0 nearest, 1 linear."""
        from scipy.ndimage import map_coordinates

        return np.asarray(map_coordinates(array, self.index, order=order, mode="nearest"), float)


def _blocked(scene: Scene, plane: _Plane, look: EchoSettings) -> NDArray[np.bool_]:
    """Inside bone or air (rows, columns); edges lie half-way between voxels."""
    names = [k for k, name in enumerate(scene.tissues.names) if name in look.absorbing]
    solid = np.isin(plane.cut(scene.tissues.volume), names).astype(np.float32)
    return np.asarray((plane.sample(solid, 1) > 0.5) & plane.inside)


def _interfaces(scene: Scene, plane: _Plane, probe: Probe, look: EchoSettings) -> FloatArray:
    """Extra dB (rows, columns) where the image's grey values change along the beam: fascia and borders."""
    from scipy.ndimage import gaussian_filter

    grey = plane.sample(plane.cut(scene.image).astype(np.float32), 1)
    values = gaussian_filter(grey, 0.5 / probe.pixel_mm, truncate=3)
    low, high = np.percentile(values[::4, ::4], [10, 90])
    slope = np.abs(np.gradient(values, probe.pixel_mm, axis=0)) / max(float(high - low), 1e-9)
    return np.asarray(look.interface_db * np.clip(3 * slope, 0, 1), float)


def _nerve_section(
    scene: Scene, points: FloatArray, look: EchoSettings, rng: np.random.Generator
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Inside a nerve, and inside its fascicles, for points (rows, columns, 3)."""
    flat = points.reshape(-1, 3)
    inside = np.zeros(len(flat), bool)
    for nerve in scene.nerves:
        curve = nerve.curve.as_array()
        radius = nerve.radius_mm.value
        low, high = curve.min(axis=0) - radius, curve.max(axis=0) + radius
        near = np.flatnonzero(((flat >= low) & (flat <= high)).all(axis=1))
        if len(near):
            inside[near] |= nerve.curve.distance_mm(flat[near]) <= radius
    fascicle = np.zeros(len(flat), bool)
    here = np.flatnonzero(inside)
    if len(here):
        # Dark round fascicles in a bright sheath, at places drawn once in the nerve's own section.
        number = max(1, round(len(here) / 40))
        centres = flat[rng.choice(here, size=min(number, 24), replace=False)]
        gap = np.linalg.norm(flat[here][:, None] - centres[None], axis=2).min(axis=1)
        fascicle[here] = gap < look.fascicle_mm / 2
    shape = points.shape[:2]
    return inside.reshape(shape), fascicle.reshape(shape)


def _echoes(
    level_db: FloatArray, probe: Probe, look: EchoSettings, frequency_mhz: float, rng: np.random.Generator
) -> FloatArray:
    """Envelope of random scatterers of a strength (rows, columns) in dB through the point spread function.

    Axially a Gaussian pulse of so many cycles; sideways lambda times f-number (Rayleigh width of an aperture
    in focus). Two independent normal parts give fully developed speckle: a Rayleigh distributed envelope.
    """
    from scipy.ndimage import gaussian_filter

    wavelength = SPEED_MM_PER_US / frequency_mhz
    down = look.cycles * wavelength / 2 / 2.355 / probe.pixel_mm
    side = wavelength * look.f_number / 2.355 / probe.pixel_mm
    strength = (10 ** (level_db / 20)).astype(np.float32)
    parts = rng.standard_normal((2, *level_db.shape), dtype=np.float32) * strength
    blurred = np.stack([gaussian_filter(part, (down, side), truncate=3) for part in parts])
    # A filter lowers the spread of white noise by a known factor; brightness must not depend on the pixel.
    factor = np.sqrt(max(1.0, 2 * np.sqrt(np.pi) * down) * max(1.0, 2 * np.sqrt(np.pi) * side))
    return np.asarray(np.hypot(*blurred) * factor / np.sqrt(2), float)


def _reaching(
    blocked: NDArray[np.bool_], probe: Probe, look: EchoSettings, frequency_mhz: float
) -> FloatArray:
    """Share of the amplitude that comes back from each pixel, after time gain compensation for soft tissue.

    The machine's gain undoes the attenuation of soft tissue, so what remains is the shadow: behind the first
    2 mm of bone or air nothing returns.
    """
    depth = np.cumsum(blocked, axis=0) * probe.pixel_mm
    loss_db = look.attenuation_db_per_cm_mhz * 20 * frequency_mhz * depth / 10 * 2
    edge = np.diff(blocked.astype(np.int8), axis=0, prepend=0) > 0
    first = edge & (np.cumsum(edge, axis=0) == 1)
    return np.asarray(10 ** (-loss_db / 20) * np.where(first, 6.0, 1.0))


def _draw_needle(
    echo: FloatArray, probe: Probe, needle: tuple[Point, Point], reaching: FloatArray
) -> tuple[float, float]:
    """Add the shaft's bright line and one reverberation below it, as far as its mirror reflection returns.

    Behind bone and air it is as dark as all else.
    """
    tip, hub = np.array(needle[0]), np.array(needle[1])
    sight = needle_sight(probe, tip, hub)
    rows, columns = echo.shape
    places = hub + np.linspace(0, 1, 4000)[:, None] * (tip - hub)
    pixels, away = probe.to_pixel(places)
    weight = np.exp(-0.5 * (away / (probe.slice_mm / 2.355)) ** 2)
    bright = (0.25 + 0.75 * sight.mirrored_share) * 6 * weight
    for shift, share in ((0, 1.0), (round(1.0 / probe.pixel_mm), 0.3)):
        at = np.round(pixels).astype(int) + np.array([0, shift])
        ok = (at[:, 0] >= 0) & (at[:, 0] < columns) & (at[:, 1] >= 0) & (at[:, 1] < rows)
        place = (at[ok, 1], at[ok, 0])
        np.maximum.at(echo, place, bright[ok] * share * np.minimum(reaching[place], 1))
    tip_pixel = probe.to_pixel(tip)[0]
    return float(tip_pixel[0]), float(tip_pixel[1])


def _compressed(echo: FloatArray, look: EchoSettings, gain_db: float) -> NDArray[np.uint8]:
    """Log compression of an amplitude (rows, columns) to 0..255."""
    level = 20 * np.log10(np.maximum(echo, 1e-9)) + gain_db
    return np.asarray(np.clip(255 * (level + look.range_db - 12) / look.range_db, 0, 255).astype(np.uint8))
