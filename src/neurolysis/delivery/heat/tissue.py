"""The scene's tissue sampled onto the solver's grid."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolysis.evidence.tissues import tissue_properties
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.scene import AIR, Scene, TissueProperties

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.setup import Tissue

STRONG_SINK = 1e9
"""W/(m3 K): holds a fluid at blood temperature; 250 times a cell's heat content per second."""


class Sampled(NamedTuple):
    """Tissue names and their index per cell, which cells lie beyond the image, and cell centres (LPS mm)."""

    names: tuple[str, ...]
    tissue: NDArray[np.int64]
    beyond_image: NDArray[np.bool_]
    points_mm: FloatArray
    fluid: NDArray[np.bool_]


def sample(scene: Scene, grid: TensorGrid, frame: RigidTransform) -> Sampled:
    """Nearest tissue at every cell centre; beyond the image the tissue assumed outside it."""
    points = frame.apply(grid.centres() * 1e3)
    names = scene.tissues.names
    outside = names.index(scene.tissues.outside)
    index = scene.tissues.volume.sample(points, order=0, outside=outside).astype(np.int64)
    fluid = np.zeros(grid.shape, bool)
    for structure in scene.structures:
        if structure.fluid_filled and structure.mask is not None:
            fluid |= structure.mask.sample(points, order=0, outside=0) > 0
    return Sampled(names, index, ~scene.image.contains(points), points, fluid)


def blood_heat_capacity() -> float:
    """Density times specific heat of blood, J/(m3 K)."""
    return tissue_properties("blood").heat_capacity_j_per_m3_k()


def tissue_arrays(
    sampled: Sampled,
    properties: Mapping[str, TissueProperties],
    *,
    perfusion_stops: bool = True,
    latent_j_per_m3: float = 0.0,
    fixed_fluid: bool = False,
) -> Tissue:
    """Constants per cell, SI.

    Metabolic heat is left out: at body temperature it is balanced by the circulation, and the record's
    perfusion is taken relative to body temperature.
    """
    from neurolysis.physics.setup import Tissue

    def column(pick: str) -> FloatArray:
        values = [_value(properties, name, pick) for name in sampled.names]
        result: FloatArray = np.array(values)[sampled.tissue]
        return result

    air = np.array([name == AIR for name in sampled.names])[sampled.tissue]
    perfusion = column("perfusion") * blood_heat_capacity()
    if fixed_fluid:
        perfusion = np.where(sampled.fluid, STRONG_SINK, perfusion)
    shape = sampled.tissue.shape
    return Tissue(
        conductivity=column("conductivity"),
        slope=column("slope"),
        thermal_conductivity=column("thermal"),
        heat_capacity=column("capacity"),
        perfusion=perfusion,
        metabolic=np.zeros(shape),
        latent=np.where(air, 0.0, latent_j_per_m3),
        perfusion_stops=np.full(shape, perfusion_stops) & ~sampled.fluid,
        domain=~air,
    )


def _value(properties: Mapping[str, TissueProperties], name: str, pick: str) -> float:
    # Air is outside the domain: its numbers only keep arithmetic finite.
    if name == AIR:
        return {"thermal": 0.5, "capacity": 1e6}.get(pick, 0.0)
    record = properties[name]
    if pick == "capacity":
        return record.heat_capacity_j_per_m3_k()
    field = {
        "conductivity": record.conductivity_s_per_m,
        "slope": record.conductivity_slope_per_c,
        "thermal": record.thermal_conductivity_w_per_m_k,
        "perfusion": record.perfusion_per_s,
    }[pick]
    return field.value
