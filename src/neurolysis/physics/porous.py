"""Porous tissue on a tensor grid, the fluid in it, and what is injected: values for the flow solver, SI.

Tissue is a rigid-walled sponge whose pores give way a little (``storage``). The mobile fluid fills the
fraction ``porosity``; the rest of the tissue's ``water`` lies in cells, still, and takes agent up from the
pores (Coats and Smith's mobile-immobile model). Concentrations are parts of the injected one, 0 to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError
from neurolysis.physics.grid import TensorGrid

Array = NDArray[np.float64]
GRAVITY_M_PER_S2 = 9.80665
"""Standard acceleration of free fall, exact by definition."""


@dataclass(frozen=True)
class Medium:
    """Tissue constants per cell, grid-shaped.

    Attributes:
        open: cells that fluid can enter; the others (bone, vessel lumen, lung, air) are walls.
        permeability: one array an axis, m2; along grid axes, so that the flux stays monotone.
        porosity: share of the volume that is mobile fluid; water: mobile and still fluid together.
        storage: opening of the pores, 1/Pa; leak: fluid taken up by the tissue's vessels, 1/(Pa s).
        perfusion: blood flow per tissue volume, 1/s, that carries agent away.
        diffusivity: of the agent in the pore fluid, m2/s.
        faces: what is left of the permeability of each inner face (fascia), one array an axis; None: all.
    """

    open: NDArray[np.bool_]
    permeability: tuple[Array, ...]
    porosity: Array
    water: Array
    storage: Array
    leak: Array
    perfusion: Array
    diffusivity: Array
    faces: tuple[Array, ...] | None = None

    def __post_init__(self) -> None:
        inside = self.open
        for name in ("porosity", "water", "storage", "leak", "perfusion", "diffusivity"):
            values = getattr(self, name)
            if values.shape != inside.shape or not np.all(np.isfinite(values)) or np.any(values < 0):
                raise InputError(
                    f"{name} needs finite values of at least 0 in the grid's shape", where="medium"
                )
        if np.any(self.porosity[inside] <= 0) or np.any(self.porosity[inside] > 1):
            raise InputError("porosity lies between 0 and 1", where="medium")
        if np.any(self.water[inside] < self.porosity[inside] * (1 - 1e-6)):
            raise InputError("water cannot be less than the mobile part of it", where="medium")
        if any(np.any(k[inside] <= 0) for k in self.permeability):
            raise InputError("permeability of open tissue must be above 0", where="medium")


@dataclass(frozen=True)
class Fluid:
    """The mixture by concentration: tables over evenly spaced parts 0 to 1 of the injected concentration.

    ``viscosity`` (n,) Pa s; ``density`` (n,) kg/m3, whose first entry is that of the tissue's own fluid.
    ``exchange_per_s``: rate at which still water takes the agent up (0: never).
    """

    viscosity: Array
    density: Array
    exchange_per_s: float = 0.0

    def __post_init__(self) -> None:
        if len(self.viscosity) < 2 or len(self.viscosity) != len(self.density):
            raise InputError("viscosity and density need the same two or more points", where="fluid")
        if np.any(self.viscosity <= 0) or np.any(self.density <= 0) or self.exchange_per_s < 0:
            raise InputError("viscosity and density must be above 0, exchange at least 0", where="fluid")


@dataclass(frozen=True)
class Source:
    """Where fluid enters: cells (n, ndim) with their shares (n,), and when, at what rate (m3/s)."""

    cells: NDArray[np.int64]
    shares: Array
    rate_m3_per_s: float
    start_s: float
    duration_s: float

    def __post_init__(self) -> None:
        if not (self.rate_m3_per_s > 0 and self.duration_s > 0 and self.start_s >= 0):
            raise InputError("an injection needs a rate and a duration above 0", where="source")
        if len(self.cells) == 0 or abs(float(self.shares.sum()) - 1) > 1e-6:
            raise InputError("the shares of a source's cells add up to 1", where="source")

    @property
    def volume_m3(self) -> float:
        """What is injected in all."""
        return self.rate_m3_per_s * self.duration_s

    @property
    def end_s(self) -> float:
        """When it ends."""
        return self.start_s + self.duration_s


@dataclass(frozen=True)
class Infusion:
    """One problem: grid, tissue, fluid, sources, gravity (m/s2 along each axis), how long it runs.

    ``thresholds``: parts of the injected concentration whose volume, time and arrival are kept.
    """

    grid: TensorGrid
    medium: Medium
    fluid: Fluid
    sources: tuple[Source, ...]
    total_s: float
    gravity: tuple[float, ...] = ()
    thresholds: tuple[float, ...] = (0.5,)
    rest_share: float = 1.0
    """Share of the permeability that is left without injection pressure, which forces tissue open."""
    sealed: bool = field(default=False)
    """True: the faces of the box let nothing through; else pressure is zero outside."""

    def __post_init__(self) -> None:
        if not 0 < self.rest_share <= 1:
            raise InputError("rest_share lies in (0, 1]", where="infusion", found=self.rest_share)
        if not self.sources:
            raise InputError("nothing is injected", where="infusion")
        if self.total_s < max(source.end_s for source in self.sources):
            raise InputError("the run ends before the injection does", where="infusion", found=self.total_s)
        for source in self.sources:
            if not self.medium.open[tuple(source.cells.T)].all():
                raise InputError("a source lies in a wall (bone, vessel, lung or air)", where="infusion")
        self._require_room()

    def _require_room(self) -> None:
        """Refuse a compartment that can neither give way nor drain: its pressure would have no bound."""
        for number, source in enumerate(self.sources):
            room = self.compartments == self.compartments[tuple(source.cells[0])]
            gives = bool(np.any(self.medium.storage[room] > 0) or np.any(self.medium.leak[room] > 0))
            if not gives and (self.sealed or not self._touches_border(room)):
                raise InputError(
                    "the injection fills a closed space that neither gives way nor drains",
                    where=f"source {number + 1}",
                    allowed="a storage or a leak above 0, or an open border",
                )

    @cached_property
    def compartments(self) -> NDArray[np.int64]:
        """Number of the connected open space of each cell, 0 for walls."""
        from scipy.ndimage import label

        numbers: NDArray[np.int64] = label(self.medium.open)[0]
        return numbers

    def _touches_border(self, room: NDArray[np.bool_]) -> bool:
        first = 1 if self.grid.axisymmetric else 0
        ends = [(axis, end) for axis in range(room.ndim) for end in (0, -1)]
        return any(bool(np.take(room, end, axis=axis).any()) for axis, end in ends[first:])


def links(grid: TensorGrid, along: Sequence[Array], axis: int) -> Array:
    """Geometric conductance times a per-cell coefficient, harmonic between neighbours, (n - 1 along axis).

    ``along`` holds the coefficient of every axis. Zero where either cell has none.
    """
    low, high = grid.axes[axis].half_resistances()
    shape = [-1 if k == axis else 1 for k in range(len(grid.axes))]
    value = along[axis]
    with np.errstate(divide="ignore"):
        below = np.where(value > 0, high.reshape(shape) / value, np.inf)
        above = np.where(value > 0, low.reshape(shape) / value, np.inf)
    lower = np.take(below, np.arange(value.shape[axis] - 1), axis=axis)
    upper = np.take(above, np.arange(1, value.shape[axis]), axis=axis)
    found: Array = grid.cross_section(axis) / (lower + upper)
    return np.nan_to_num(found)


def end_links(grid: TensorGrid, along: Sequence[Array], axis: int, end: int) -> Array:
    """Conductance from the outermost cells (grid without ``axis``) to the box face; 0 on a symmetry axis."""
    low, high = grid.axes[axis].half_resistances()
    half = (low if end == 0 else high)[end]
    value = np.take(along[axis], end, axis=axis)
    section = np.broadcast_to(grid.cross_section(axis), _thin(grid.shape, axis)).reshape(value.shape)
    if not np.isfinite(half):
        return np.zeros_like(value)
    found: Array = section * value / half
    return found


def _thin(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return tuple(1 if k == axis else n for k, n in enumerate(shape))
