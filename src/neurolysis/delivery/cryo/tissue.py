"""The scene's tissue sampled onto the solver's grid, with what it becomes when it freezes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from neurolysis.evidence.freezing import FrozenConstants, freezing_body
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.scene import AIR, Scene, TissueProperties

if TYPE_CHECKING:
    from neurolysis.physics.freezing_setup import FreezingTissue
    from neurolysis.physics.grid import TensorGrid

AIR_CONSTANTS = FrozenConstants(
    warm_conductivity=0.5, frozen_conductivity=0.5, warm_capacity=1e6, frozen_capacity=1e6, latent=0.0
)
"""Air is outside the domain: its numbers only keep arithmetic finite."""


class Sampled(NamedTuple):
    """Tissue names, index per cell, and which cells lie beyond the image or in a fluid-filled space."""

    names: tuple[str, ...]
    tissue: NDArray[np.int64]
    beyond_image: NDArray[np.bool_]
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
    return Sampled(names, index, ~scene.image.contains(points), fluid)


def tissue_arrays(sampled: Sampled, properties: Mapping[str, TissueProperties]) -> FreezingTissue:
    """Constants per cell, SI.

    Perfusion counts from body temperature. Metabolic heat is then in it: both close by the same factor
    as tissue freezes, so in tissue that lives at body temperature one is the other's balance.
    """
    from neurolysis.physics.freezing_setup import FreezingTissue

    body = freezing_body()
    made = [constants_of(name, properties) for name in sampled.names]
    blood = tissue_properties("blood").heat_capacity_j_per_m3_k()
    flow = [0.0 if name == AIR else properties[name].perfusion_per_s.value * blood for name in sampled.names]

    def column(values: list[float]) -> FloatArray:
        result: FloatArray = np.array(values)[sampled.tissue]
        return result

    air = np.array([name == AIR for name in sampled.names])[sampled.tissue]
    return FreezingTissue(
        conductivity=column([c.warm_conductivity for c in made]),
        frozen_conductivity=column([c.frozen_conductivity for c in made]),
        heat_capacity=column([c.warm_capacity for c in made]),
        frozen_heat_capacity=column([c.frozen_capacity for c in made]),
        latent=column([c.latent for c in made]),
        perfusion=column(flow),
        metabolic=np.zeros(sampled.tissue.shape),
        domain=~air,
        freezing_c=(body.freezing_low_c.value, body.freezing_high_c.value),
        perfusion_c=(body.perfusion_none_c.value, body.perfusion_full_c.value),
        after_thaw=body.after_thaw.value,
    )


def constants_of(name: str, properties: Mapping[str, TissueProperties]) -> FrozenConstants:
    """Constants of one tissue on both sides of freezing."""
    if name == AIR:
        return AIR_CONSTANTS
    body = freezing_body()
    return body.constants(properties[name], tissue_properties(body.reference_tissue))
