"""From fibres in a scene or a block of tissue to the arrays that light and heat are solved on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.delivery.heat import reactions, tissue
from neurolysis.delivery.heat import vaporisation as boiling
from neurolysis.delivery.heat.grids import MM, apart, graded
from neurolysis.delivery.laser.protocol import LaserProtocol
from neurolysis.delivery.laser.solve import Bed
from neurolysis.evidence.optics import refractive_index
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.plan import Numerics, Placement
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.light import LightSource
    from neurolysis.physics.rods import Rod

FINEST_MM = 0.3
BEYOND_BOX_MM = 20.0
"""A needle is drawn this far beyond the box, so that it leaves through the face."""
TIP_POINTS_PER_MM = 1.0


@dataclass(frozen=True)
class Prepared:
    """The bed of a plan with the geometry needed to read its answer."""

    bed: Bed
    frame: RigidTransform
    sampled: tissue.Sampled
    metal: Any


def ends_in_grid(frames: list[RigidTransform], length_mm: float) -> tuple[FloatArray, FloatArray]:
    """Ends of the fibres and far ends of what emits, (n, 3) metres in the grid's frame."""
    near = np.array([frame.apply([0.0, 0.0, 0.0]) for frame in frames]) * MM
    far = np.array([frame.apply([0.0, 0.0, length_mm]) for frame in frames]) * MM
    return near, far


def build_grid(near: FloatArray, far: FloatArray, numerics: Numerics) -> TensorGrid:
    """A grid (metres) graded round every fibre's end and both ends of a diffuser."""
    from neurolysis.physics.grid import Axis, TensorGrid

    finest = (numerics.finest_mm or FINEST_MM) * MM
    both = np.concatenate([near, far])
    axes = []
    for axis in range(3):
        places = apart(sorted(both[:, axis]), finest)
        extent = numerics.extent_mm * MM
        ends = places[0] - extent, places[-1] + extent
        axes.append(Axis(graded(places, *ends, finest / MM, numerics, axis < 2)))
    return TensorGrid(tuple(axes))


def sources_of(frames: list[RigidTransform], protocol: LaserProtocol) -> tuple[LightSource, ...]:
    """One source a fibre, sharing the power evenly; a bare fibre shines away from its needle."""
    from neurolysis.physics.light import LightSource

    sine = protocol.numerical_aperture / refractive_index().value
    found = []
    for frame in frames:
        origin = tuple((frame.apply([0.0, 0.0, 0.0]) * MM).tolist())
        to_hub = np.array(frame.rotation)[:, 2]
        radius = protocol.core_radius_mm * MM
        if protocol.emitter == "bare":
            axis = tuple((-to_hub).tolist())
            found.append(LightSource("beam", origin, axis, radius=radius, sine=sine))
        else:
            axis = tuple(to_hub.tolist())
            length = protocol.length_mm * MM
            found.append(LightSource("diffuser", origin, axis, radius=radius, length=length))
    return tuple(found)


def needle_rods(
    frames: list[RigidTransform], placements: tuple[Placement, ...], beyond_mm: float
) -> tuple[Rod, ...]:
    """The steel needles, ending ``beyond_mm`` behind the fibres' ends; a fibre counts as tissue."""
    from neurolysis.physics.rods import Rod

    rods = []
    for frame, placement in zip(frames, placements, strict=True):
        needle = placement.instrument
        radius = needle.outer_radius_mm.value
        line = np.array([[0.0, 0.0, beyond_mm + radius], [0.0, 0.0, 200.0 + BEYOND_BOX_MM]])
        rods.append(
            Rod(
                frame.apply(line) * MM,
                radius * MM,
                (0.0, 0.0),
                1.0,
                needle.thermal_conductivity_w_per_m_k.value,
                needle.heat_capacity_j_per_m3_k.value,
            )
        )
    return tuple(rods)


def control_of(sensors: FloatArray, start_c: float, damage_start_c: float | None) -> Any:
    """Sensors and reaction constants of the heat solver."""
    from neurolysis.physics.setup import Control

    return Control(
        sensors=sensors,
        damages=(
            reactions.damage(reactions.PERFUSION_KINETICS, damage_start_c),
            reactions.damage(reactions.NERVE_KINETICS, damage_start_c),
        ),
        blood_c=start_c,
        start_c=start_c,
        boil_c=boiling.BOILING_C.value,
        boil_width_c=boiling.BOILING_WIDTH_C.value,
        steam_conductivity=boiling.STEAM_CONDUCTIVITY_RATIO.value,
        **reactions.dose_constants(),
    )


def tip_stencil(grid: TensorGrid, near: FloatArray, far: FloatArray) -> tuple[Any, FloatArray]:
    """Cells and weights of the emitting surfaces, points a millimetre apart along a diffuser."""
    from neurolysis.physics.assemble import sensor_stencils

    points = []
    for a, b in zip(near, far, strict=True):
        count = max(1, round(float(np.linalg.norm(b - a)) / MM * TIP_POINTS_PER_MM) + 1)
        points += [a + (b - a) * (k + 0.5) / count for k in range(count)]
    return sensor_stencils(grid, np.array(points))


def prepare(
    scene: Scene, placements: tuple[Placement, ...], protocol: LaserProtocol, numerics: Numerics
) -> Prepared:
    """Sample the scene onto a graded grid round the fibres and assemble the arrays."""
    from neurolysis.physics.assemble import assemble
    from neurolysis.physics.cells import locate_cells
    from neurolysis.physics.setup import Boundary

    frame = placements[0].frame()
    to_grid = frame.inverse()
    frames = [to_grid.compose(item.frame()) for item in placements]
    near, far = ends_in_grid(frames, protocol.length_mm)
    grid = build_grid(near, far, numerics)
    rods = needle_rods(frames, placements, protocol.fibre_beyond_needle_mm)
    sampled = tissue.sample(scene, grid, frame)
    arrays = tissue.tissue_arrays(
        sampled, scene.properties, latent_j_per_m3=boiling.LATENT_HEAT_J_PER_M3.value
    )
    boundary = Boundary(
        electric="grounded",
        temperature_c=scene.body_temperature_c,
        air_c=boiling.ROOM_C.value,
        film=boiling.SKIN_FILM_W_PER_M2_K.value,
    )
    cells = locate_cells(grid, rods, boundary)
    control = control_of(near, scene.body_temperature_c, reactions.PATIENT_START_C)
    problem = assemble(grid, rods, arrays, boundary, control, cells)
    tips, weights = tip_stencil(grid, near, far)
    bed = Bed(problem, grid, sampled.tissue, sources_of(frames, protocol), tips, weights)
    return Prepared(bed, frame, sampled, cells.metal)
