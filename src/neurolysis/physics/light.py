"""Photon transport in a block of cells: what light a source leaves where. SI units.

The cells are those of the heat solver's own graded grid, so that absorbed power needs no resampling.
Refraction and reflection happen at flat faces square to z between layers of different refractive index, and
at the box's outer faces; tissues within a layer share its index, as steps between cells are no smooth
surface.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError, SolverError
from neurolysis.physics.light_zones import OPEN, ZONE_PATHS, zone_tables

Array = NDArray[np.float64]
TALLY_BYTES = 256e6
"""Memory that the blocks' own tallies may take."""
MOST_BLOCKS = 64
MOST_BINS = 65536
BALANCE = 1e-6
"""A run whose photons do not add up to this is refused."""

SourceKind = Literal["beam", "diffuser", "point"]
KINDS: dict[SourceKind, int] = {"beam": 0, "diffuser": 1, "point": 2}


@dataclass(frozen=True)
class Medium:
    """Optics of one medium: absorption and scattering (1/m) and anisotropy of the scattering."""

    absorption: float
    scattering: float
    g: float = 0.0

    def __post_init__(self) -> None:
        if not (
            self.absorption >= 0 and self.scattering >= 0 and np.isfinite(self.absorption + self.scattering)
        ):
            raise InputError(
                "absorption and scattering are at least 0",
                where="medium",
                found=(self.absorption, self.scattering),
            )
        if not -1 < self.g < 1:
            raise InputError("anisotropy lies between -1 and 1", where="medium", found=self.g)


@dataclass(frozen=True)
class LightSource:
    """Where light starts: ``beam`` (a disc, into a cone), ``diffuser`` (a cylinder's side) or ``point``.

    ``axis`` is where a beam shines, or the way from a diffuser's ``origin`` to its other end. ``sine`` of the
    beam's half cone in the medium; ``share`` of all power. The diffuser emits as the cosine from its side.
    """

    kind: SourceKind
    origin: tuple[float, float, float]
    axis: tuple[float, float, float] = (0.0, 0.0, 1.0)
    radius: float = 0.0
    sine: float = 0.0
    length: float = 0.0
    share: float = 1.0


@dataclass(frozen=True)
class LightBox:
    """Cells (nx, ny, nz) of media between faces (m); layers between ``planes`` of z, each with an index.

    ``faces`` may end at +-OPEN. ``planes`` (m + 1,) begin and end at the outer z faces; ``indices`` (m,) of
    the layers, ``above`` (low z), ``below`` and ``beside`` of what lies outside.
    """

    faces: tuple[Array, Array, Array]
    media: NDArray[np.uint16]
    optics: tuple[Medium, ...]
    planes: tuple[float, ...]
    indices: tuple[float, ...]
    above: float
    below: float
    beside: float

    def __post_init__(self) -> None:
        shape = tuple(len(f) - 1 for f in self.faces)
        if self.media.shape != shape:
            raise InputError(
                "media must have one value a cell", where="light", found=self.media.shape, allowed=shape
            )
        if int(self.media.max()) >= len(self.optics):
            raise InputError(
                "a cell's medium is not among the optics", where="light", found=int(self.media.max())
            )
        if len(self.planes) != len(self.indices) + 1 or any(np.diff(self.planes) <= 0):
            raise InputError("planes rise, one more than layers", where="light", found=self.planes)
        if min(*self.indices, self.above, self.below, self.beside) < 1:
            raise InputError("a refractive index is at least 1", where="light", found=self.indices)


@dataclass(frozen=True)
class Light:
    """What became of the launched power, as shares of it.

    ``fluence`` (m-2 per watt launched, at cell volumes ``volumes``): fluence rate per power; ``absorbed``
    share a cell. ``above``, ``below``, ``sides`` left the box, ``direct_above``, ``direct_below`` of them
    unscattered; ``specular`` was reflected where it enters. ``gain``, ``loss``: of the roulette. ``late``:
    past the time gate.
    """

    fluence: Array
    absorbed: Array
    specular: float
    above: float
    below: float
    sides: float
    direct_above: float
    direct_below: float
    error_above: float
    error_below: float
    gain: float
    loss: float
    late: float
    photons: int
    collisions: int
    elapsed_s: float

    @property
    def balance_error(self) -> float:
        """|launched + roulette gain - everything that was tallied| per launched power."""
        out = self.specular + self.above + self.below + self.sides + self.late + self.loss
        return abs(1.0 + self.gain - out - float(self.absorbed.sum()))

    @property
    def photons_per_ms(self) -> float:
        """Speed of the run."""
        return self.photons / max(1e3 * self.elapsed_s, 1e-9)


@dataclass(frozen=True)
class Play:
    """How photons are played: number, seed, roulette below ``least`` weight with ``chance`` to go on.

    ``gate_s`` ends photons after this time of flight; None never does. ``zone_paths``: how wide zones of one
    largest coefficient are, in mean free paths; it changes the speed alone.
    """

    photons: int
    seed: int = 1
    least: float = 1e-4
    chance: float = 0.1
    gate_s: float | None = None
    zone_paths: float = ZONE_PATHS
    threads: int | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not 1 <= self.photons <= 10**11:
            raise InputError("number of photons", found=self.photons, allowed="1 to 1e11")
        if not 0 <= self.seed < 2**63:
            raise InputError("seed", found=self.seed, allowed="0 to 2^63 - 1")
        if not self.zone_paths > 0:
            raise InputError("width of the zones", found=self.zone_paths, allowed="above 0, or infinite")
        if not 0 < self.chance < 1 or not 0 <= self.least < 1:
            raise InputError(
                "roulette", found=(self.least, self.chance), allowed="least 0 to 1, chance between 0 and 1"
            )


def specular(n1: float, n2: float) -> float:
    """Reflected share at normal incidence between two refractive indices (Fresnel)."""
    return ((n1 - n2) / (n1 + n2)) ** 2


def shine(box: LightBox, sources: Sequence[LightSource], play: Play, *, entering: float = 0.0) -> Light:
    """Trace photons.

    Args:
        entering: share of the power reflected before it enters (see :func:`specular`).

    Raises:
        InputError: a source outside the box, no source.
        SolverError: the photons do not add up.
    """
    from numba import get_num_threads, set_num_threads

    from neurolysis.physics import light_kernel as kernel

    arrays = _arrays(box, sources, play, entering)
    blocks = _blocks(box.media.size, play.photons)
    edges = np.linspace(0, play.photons, blocks + 1).astype(np.int64)
    fluence = np.zeros((blocks, box.media.size))
    sums = np.zeros((blocks, kernel.SUMS))
    trace: Any = kernel.trace
    before = get_num_threads()
    began = time.perf_counter()
    try:
        if play.threads is not None:
            set_num_threads(play.threads)
        trace(
            edges,
            play.photons,
            np.uint64(play.seed),
            *arrays,
            float(play.least),
            float(play.chance),
            fluence,
            sums,
        )
    finally:
        set_num_threads(before)
    elapsed = time.perf_counter() - began
    return _collected(
        box, play, entering, fluence.sum(axis=0).reshape(box.media.shape), sums.sum(axis=0), elapsed
    )


def _blocks(cells: int, photons: int) -> int:
    """Number of blocks: from the problem alone, never from the machine."""
    return int(np.clip(photons // 32768, 8, min(MOST_BLOCKS, max(8, TALLY_BYTES // (8 * cells)))))


def _collected(
    box: LightBox, play: Play, entering: float, fluence: Array, sums: Array, elapsed: float
) -> Light:
    from neurolysis.physics import light_kernel as kernel

    count = play.photons
    volumes = _volumes(box)
    absorption = np.array([m.absorption for m in box.optics])[box.media]
    mean = sums / count

    def error(squares: int, first: int) -> float:
        return float(np.sqrt(max(mean[squares] - mean[first] ** 2, 0.0) / count))

    light = Light(
        fluence=fluence / count / volumes,
        absorbed=fluence / count * absorption,
        specular=entering,
        above=float(mean[kernel.ABOVE]),
        below=float(mean[kernel.BELOW]),
        sides=float(mean[kernel.SIDES]),
        direct_above=float(mean[kernel.DIRECT_ABOVE]),
        direct_below=float(mean[kernel.DIRECT_BELOW]),
        error_above=error(kernel.ABOVE_SQUARES, kernel.ABOVE),
        error_below=error(kernel.BELOW_SQUARES, kernel.BELOW),
        gain=float(mean[kernel.GAIN]),
        loss=float(mean[kernel.LOSS]),
        late=float(mean[kernel.LATE]),
        photons=count,
        collisions=int(sums[kernel.COLLISIONS]),
        elapsed_s=elapsed,
    )
    if light.balance_error > BALANCE:
        raise SolverError(
            "the photons do not add up, no result is given",
            where="light",
            found=f"{light.balance_error:.2e}",
            allowed=f"at most {BALANCE:g}",
        )
    return light


def _volumes(box: LightBox) -> Array:
    """Cell volumes (m3); an open cell counts as a metre along its open axis."""
    widths = [np.where(np.diff(f) > 0.1 * OPEN, 1.0, np.diff(f)) for f in box.faces]
    volumes: Array = widths[0][:, None, None] * widths[1][None, :, None] * widths[2][None, None, :]
    return volumes


def _arrays(box: LightBox, sources: Sequence[LightSource], play: Play, entering: float) -> tuple[Any, ...]:
    """Arguments of the kernel, in its order after the seed."""
    rows, shares = _source_rows(box, sources, 1.0 - entering)
    zones = zone_tables(box, play.gate_s, paths=play.zone_paths)
    starts, faces, scale = _cell_tables(box.faces)
    indices = np.array([box.above, *box.indices, box.below, box.beside])
    media = np.ascontiguousarray(box.media, np.uint16).ravel()
    return (
        rows,
        shares,
        zones.rows,
        zones.kinds,
        zones.layers,
        indices,
        media,
        zones.optics,
        faces,
        starts,
        scale,
    )


def _cell_tables(
    faces: tuple[Array, Array, Array],
) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
    """Tables that find a cell: bins' cells (3, most bins), faces (3, most faces), and scales (3, 4)."""
    bins = [_bins(f) for f in faces]
    starts = np.zeros((3, max(len(b[0]) for b in bins)), np.int32)
    padded = np.full((3, max(len(f) for f in faces) + 1), OPEN, np.float32)
    scale = np.zeros((3, 4), np.float32)
    for k, (own, (cells, low, rate)) in enumerate(zip(faces, bins, strict=True)):
        starts[k, : len(cells)] = cells
        padded[k, : len(own) - 1] = own[:-1]
        scale[k] = low, rate, len(cells) - 1, len(own) - 1
    return starts, padded, scale


def _source_rows(box: LightBox, sources: Sequence[LightSource], weight: float) -> tuple[Array, Array]:
    if not sources:
        raise InputError("light needs a source", where="light")
    shares = np.cumsum([s.share for s in sources])
    rows = np.zeros((len(sources), 17))
    for row, source in zip(rows, sources, strict=True):
        _require_inside(box, source)
        x, y, axis = _frame(np.array(source.axis, float))
        row[:] = (
            KINDS[source.kind], *source.origin, *x, *y, *axis, source.radius, source.sine, source.length,
            weight,
        )  # fmt: skip
    return rows, shares / shares[-1]


def _require_inside(box: LightBox, source: LightSource) -> None:
    low = [f[0] for f in box.faces]
    high = [f[-1] for f in box.faces]
    if not all(a <= x <= b for a, x, b in zip(low, source.origin, high, strict=True)):
        raise InputError("a light source lies outside the box", where="light", found=source.origin)


def _frame(axis: Array) -> tuple[Array, Array, Array]:
    axis = axis / np.linalg.norm(axis)
    other = np.eye(3)[int(np.argmin(np.abs(axis)))]
    x = np.cross(other, axis)
    x /= np.linalg.norm(x)
    return x, np.cross(axis, x), axis


def _bins(faces: Array) -> tuple[NDArray[np.int32], float, float]:
    """Cell at the low end of each even bin, low end, and bins a metre; beyond the ends the end bins hold.

    Bins are a hair finer than the finest cell, so that none holds two faces even in single precision.
    """
    inner = faces[np.abs(faces) < 0.1 * OPEN]
    if len(inner) < 2:
        return np.zeros(1, np.int32), 0.0, 0.0
    low, high = float(inner[0]), float(inner[-1])
    count = int(np.ceil((high - low) / np.diff(inner).min() * 1.001))
    if count > MOST_BINS:
        raise InputError(
            "cells differ too much in size", where="light", found=f"1 to {count}", allowed=f"{MOST_BINS}"
        )
    edges = low + (high - low) / count * np.arange(count)
    slack = 1e-4 * (high - low) / count
    cells = np.searchsorted(faces, edges - slack, side="right") - 1
    return cells.clip(0, len(faces) - 2).astype(np.int32), low, count / (high - low)
