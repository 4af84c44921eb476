"""From a scene and needles to the arrays of the flow solver."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurolysis.delivery.chemical.members import Constants
from neurolysis.delivery.chemical.protocol import ML_PER_MIN, ChemicalProtocol
from neurolysis.errors import InputError
from neurolysis.evidence.injectates import (
    injectate,
    mixture_viscosity_mpa_s,
    porous_body,
    solution_density_g_per_ml,
    still_fluid,
)
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.plan import Numerics, Placement
from neurolysis.scene import AIR, Scene

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.porous import Fluid, Infusion, Medium, Source

MM = 1e-3
TABLE = 33
"""Points of the tables of viscosity and density."""
ROOM, LEAST_ROOM, MARGIN_MM = 2.5, 0.1, 20.0
"""A box of two and a half times the ball that fills tissue with a tenth of pores, and a margin."""
GRAINED = "muscle"
BODY_AXIS = 2
"""Index of the body axis (LPS z) among the grid's axes, which lie along LPS."""
DOWN = {
    "prone": (0.0, -1.0, 0.0),
    "supine": (0.0, 1.0, 0.0),
    "left lateral": (1.0, 0.0, 0.0),
    "right lateral": (-1.0, 0.0, 0.0),
    "sitting": (0.0, 0.0, -1.0),
}
"""Where gravity points, LPS, for each way of lying with a level table."""


@dataclass(frozen=True)
class Sampled:
    """The scene on the grid: tissue names with their index per cell, and walls.

    ``points_mm`` (*shape, 3) LPS; ``beyond`` marks cells outside the image.
    """

    grid: TensorGrid
    frame: RigidTransform
    names: tuple[str, ...]
    tissue: NDArray[np.int64]
    walls: NDArray[np.bool_]
    beyond: NDArray[np.bool_]


def build_grid(
    placements: tuple[Placement, ...], numerics: Numerics, volume_ml: float = 60.0
) -> tuple[TensorGrid, RigidTransform]:
    """A grid along the LPS axes, finest at every tip, round the first tip; metres in the local frame.

    A small volume needs a small box: no larger than :data:`ROOM` times the ball that it could fill.
    """
    from neurolysis.physics.grid import Axis, TensorGrid, graded_faces

    origin = np.array(placements[0].tip_mm)
    tips = np.array([placement.tip_mm for placement in placements]) - origin
    finest = (numerics.finest_mm or 1.0) * MM
    extent = min(
        numerics.extent_mm, ROOM * (3e3 * volume_ml / (4 * np.pi * LEAST_ROOM)) ** (1 / 3) + MARGIN_MM
    )
    axes = []
    for axis in range(3):
        anchors = _apart(np.sort(tips[:, axis]) * MM, finest)
        low, high = anchors[0] - extent * MM, anchors[-1] + extent * MM
        faces = graded_faces(
            anchors, low, high, finest=finest, growth=numerics.growth,
            coarsest=max(numerics.coarsest_mm * MM, finest), centred=True,
        )  # fmt: skip
        axes.append(Axis(faces))
    return TensorGrid(tuple(axes)), RigidTransform.from_arrays(np.eye(3), origin)


def _apart(places: NDArray[np.float64], least: float) -> list[float]:
    kept: list[float] = []
    for place in places.tolist():
        if not kept or place - kept[-1] > least:
            kept.append(place)
    return kept


def sample(scene: Scene, grid: TensorGrid, frame: RigidTransform) -> Sampled:
    """Nearest tissue of every cell, and which cells are walls to an injectate."""
    points = frame.apply(grid.centres() / MM)
    names = scene.tissues.names
    outside = names.index(scene.tissues.outside)
    index = scene.tissues.volume.sample(points, order=0, outside=outside).astype(np.int64)
    closed = {AIR, *porous_body().walls.tissues}
    walls = np.array([name in closed for name in names])[index]
    for structure in scene.structures:
        if structure.kind in porous_body().walls.structures and structure.mask is not None:
            walls |= structure.mask.sample(points, order=0, outside=0) > 0
    return Sampled(grid, frame, names, index, walls, ~scene.image.contains(points))


def fluid_of(protocol: ChemicalProtocol, constants: Constants) -> Fluid:
    """Viscosity and density of mixtures; without a known density gravity does not act."""
    from neurolysis.physics.porous import Fluid

    agent = injectate(protocol.agent)
    solution = agent.solution(protocol.vehicle)
    parts = np.linspace(0.0, 1.0, TABLE)
    own = still_fluid()
    strength = 1.0 if solution.vehicle else protocol.injected_percent / 100
    thickness = mixture_viscosity_mpa_s(solution, strength, parts, own.viscosity_mpa_s.value)
    light = own.density_g_per_ml.value
    heavy = density_of(protocol) or light
    density = 1000 * (light + (heavy - light) * parts)
    return Fluid(1e-3 * thickness, density, constants.exchange_per_s)


def density_of(protocol: ChemicalProtocol) -> float | None:
    """The solution's density, g/mL: as entered, else from the record; None where none is known."""
    if protocol.density_g_per_ml is not None:
        return protocol.density_g_per_ml
    agent = injectate(protocol.agent)
    if not agent.solution(protocol.vehicle).density_known:
        return None
    return solution_density_g_per_ml(agent, protocol.vehicle, protocol.injected_percent)


def gravity_of(position: str | None, tilt_deg: float) -> tuple[float, float, float]:
    """Gravity along LPS, m/s2; none where the patient's position is not known. Head-up tilt is positive."""
    from neurolysis.physics.porous import GRAVITY_M_PER_S2

    if position is None:
        return (0.0, 0.0, 0.0)
    down, tilt = np.array(DOWN[position]), np.deg2rad(tilt_deg)
    turned = np.cos(tilt) * down - np.sin(tilt) * np.array([0.0, 0.0, 1.0])
    if position == "sitting":
        turned = down
    x, y, z = (GRAVITY_M_PER_S2 * turned / np.linalg.norm(turned)).tolist()
    return x, y, z


def infusion(
    sampled: Sampled,
    scene: Scene,
    placements: tuple[Placement, ...],
    protocol: ChemicalProtocol,
    constants: Constants,
    gravity: tuple[float, float, float],
) -> Infusion:
    """The flow problem of one member.

    Raises:
        InputError: an outlet in a wall, or an injection into a closed space that cannot give way.
    """
    from neurolysis.physics.porous import Infusion

    agent = injectate(protocol.agent)
    sources = tuple(
        _source(sampled, placement, protocol, constants, number)
        for number, placement in enumerate(placements)
    )
    return Infusion(
        grid=sampled.grid,
        medium=medium_of(sampled, scene, constants),
        fluid=fluid_of(protocol, constants),
        sources=sources,
        total_s=max(source.end_s for source in sources) + 60 * protocol.observe_min,
        gravity=gravity,
        rest_share=constants.rest_share,
        thresholds=tuple(t.percent / protocol.injected_percent for t in agent.thresholds),
    )


def medium_of(sampled: Sampled, scene: Scene, constants: Constants) -> Medium:
    """Tissue constants per cell of one member."""
    from neurolysis.physics.porous import Medium

    rows = np.array([constants.tissue(name) for name in sampled.names])
    flow = np.array(
        [scene.properties[n].perfusion_per_s.value if n in scene.properties else 0.0 for n in sampled.names]
    )
    permeability, porosity, water = (rows[:, k][sampled.tissue] for k in range(3))
    shape = sampled.tissue.shape
    # Muscle has a grain; loose fat has none that was read of.
    grained = np.array([name == GRAINED for name in sampled.names])[sampled.tissue]
    along = tuple(
        permeability * np.where(grained & (axis == BODY_AXIS), constants.grain_ratio, 1.0)
        for axis in range(3)
    )
    return Medium(
        open=~sampled.walls,
        permeability=along,
        porosity=porosity,
        water=water,
        storage=np.full(shape, constants.storage_per_pa),
        leak=np.full(shape, constants.leak_per_pa_s),
        perfusion=constants.perfusion_share * flow[sampled.tissue],
        diffusivity=np.full(shape, constants.diffusivity),
        faces=tuple(_fascia(sampled.tissue, axis, constants.fascia_factor) for axis in range(3)),
    )


def _fascia(tissue: NDArray[np.int64], axis: int, factor: float) -> FloatArray:
    """What faces between different tissues leave of the flow."""
    count = tissue.shape[axis]
    low = np.take(tissue, range(count - 1), axis=axis)
    high = np.take(tissue, range(1, count), axis=axis)
    return np.where(low != high, factor, 1.0)


def _source(
    sampled: Sampled, placement: Placement, protocol: ChemicalProtocol, constants: Constants, number: int
) -> Source:
    """Outlet and backflow along the shaft as cells that take the injection evenly along the line."""
    from neurolysis.physics.porous import Source

    needle = placement.instrument
    length = needle.active_tip_mm * MM + constants.backflow_m
    to_local = sampled.frame.inverse()
    along = np.arange(0.0, length + 1e-9, 0.25 * MM)
    line = np.array(placement.tip_mm) + along[:, None] / MM * np.array(placement.direction_to_hub)
    local = to_local.apply(line) * MM
    index = np.stack(
        [
            np.clip(np.searchsorted(axis.faces, local[:, k], side="right") - 1, 0, len(axis.widths) - 1)
            for k, axis in enumerate(sampled.grid.axes)
        ],
        axis=-1,
    )
    free = ~sampled.walls[tuple(index.T)]
    if not free[: max(1, int(needle.active_tip_mm / 0.25))].any():
        raise InputError(
            "the outlet of the needle lies in a wall to the injectate (bone, vessel, organ, lung or air)",
            where=f"treatment.placements.{number}.tip_mm",
            found=placement.tip_mm,
            allowed="an outlet in tissue that fluid can enter",
        )
    cells, counts = np.unique(index[free], axis=0, return_counts=True)
    start = number * protocol.injection_s if protocol.one_after_the_other else 0.0
    return Source(
        cells, counts / counts.sum(), protocol.rate_ml_per_min * ML_PER_MIN, start, protocol.injection_s
    )
