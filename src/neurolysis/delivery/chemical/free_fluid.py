"""Injection into free fluid: a layer in the subarachnoid space, or a mixed cistern.

No measured geometry of these spaces was read, so their sizes are entered. In the subarachnoid space a light
agent runs as a layer under the uppermost wall, a heavy one over the lowermost; whether it stays a layer or
mixes is not known, so both ends are shown: the layer (middle), the agent evened out over the cross-section
(narrow) and a layer twice as thick (wide).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from neurolysis import __version__
from neurolysis.delivery.chemical.members import MEMBERS, Member
from neurolysis.delivery.chemical.problem import MM, TABLE, density_of, gravity_of
from neurolysis.delivery.chemical.protocol import ML_PER_MIN, ChemicalProtocol
from neurolysis.delivery.technique import Progress
from neurolysis.errors import InputError
from neurolysis.evidence.injectates import injectate, mixture_viscosity_mpa_s, still_fluid
from neurolysis.exposure import Exposure, LabelledField, LesionSize
from neurolysis.geometry import FloatArray, Point, RigidTransform
from neurolysis.plan import Notice, Plan
from neurolysis.scene import Scene

if TYPE_CHECKING:
    from neurolysis.physics.gravity_current import Layer

HALF_LENGTH_MM = 150.0
ACROSS, DEEP, ALONG = 7, 20, 301
FIRST_DEEP_MM = 0.05
TIMES = 60
WHERE = "treatment.protocol"


def expose_free_fluid(scene: Scene, plan: Plan, protocol: ChemicalProtocol, progress: Progress) -> Exposure:
    """The exposure of an injection into free fluid.

    Raises:
        InputError: a size, density or position that is needed and not entered.
    """
    progress(0.1, "layer in free fluid")
    if protocol.space == "cistern":
        return _wrap(plan, protocol, *_cistern(plan, protocol))
    return _wrap(plan, protocol, *_channel(plan, protocol))


Answer = tuple[
    RigidTransform, tuple[FloatArray, FloatArray, FloatArray], dict[Member, NDArray[np.float64]],
    FloatArray, dict[str, FloatArray], float, tuple[Notice, ...],
]  # fmt: skip


@dataclass(frozen=True)
class _Space:
    """A subarachnoid space and the solution in it; ``runs_to`` (3,) points to the wall it runs along."""

    width_mm: float
    height_mm: float
    density_g_per_ml: float
    fluid_g_per_ml: float
    runs_to: FloatArray

    @property
    def light(self) -> bool:
        """Whether the solution rises."""
        return self.density_g_per_ml < self.fluid_g_per_ml


def _channel(plan: Plan, protocol: ChemicalProtocol) -> Answer:
    """The layer along the body's axis round the first tip."""
    space = _space(plan, protocol)
    x = np.linspace(-HALF_LENGTH_MM, HALF_LENGTH_MM, ALONG)
    times = _times(protocol)
    layer = _layer(space, plan, protocol, x, times)
    # Fine at the wall that the layer runs along: a layer is thinner than an even cell would be.
    edges = np.concatenate([[0.0], np.geomspace(FIRST_DEEP_MM, space.height_mm, DEEP)])
    axes = (
        (np.arange(ACROSS) - ACROSS // 2) * space.width_mm / ACROSS,
        np.sort(0.5 * space.height_mm - 0.5 * (edges[1:] + edges[:-1])),
        x,
    )
    peak = layer.thickness.max(axis=0) / MM
    put = len(plan.placements) * protocol.volume_ml
    series = {
        "layer_length_mm": np.count_nonzero(layer.thickness > 1e-4, axis=1) * float(np.diff(x).mean()),
        "layer_thickness_mm": layer.thickness.max(axis=1) / MM,
        "injected_ml": np.minimum(times / protocol.injection_s, 1.0) * put,
    }
    members = _layers(protocol.injected_percent, peak, space.height_mm, axes[1], np.diff(edges)[::-1])
    frame = _frame(space.runs_to, plan.placements[0].tip_mm)
    return frame, axes, members, times, series, layer.volume_error, (_reach(space, x, peak),)


def _space(plan: Plan, protocol: ChemicalProtocol) -> _Space:
    """What was entered of the space, complete.

    Raises:
        InputError: listing what is missing; a patient who sits.
    """
    width, height, density = protocol.space_width_mm, protocol.space_height_mm, density_of(protocol)
    given = {
        "space_width_mm": width,
        "space_height_mm": height,
        "density_g_per_ml": density,
        "treatment.position": plan.position,
    }
    if width is None or height is None or density is None or plan.position is None:
        raise InputError(
            "the subarachnoid space needs what no source read gives",
            where=WHERE,
            found="not given",
            allowed=[name for name, value in given.items() if value is None],
        )
    if plan.position == "sitting":
        raise InputError("a layer needs the patient lying", where="treatment.position", found="sitting")
    gravity = np.array(gravity_of(plan.position, plan.position_tilt_deg))
    upwards = -gravity / np.linalg.norm(gravity)
    fluid = still_fluid().density_g_per_ml.value
    return _Space(width, height, density, fluid, upwards if density < fluid else -upwards)


def _times(protocol: ChemicalProtocol) -> FloatArray:
    """(TIMES,) s: evenly while it is injected, then ever further apart."""
    total = protocol.injection_s + 60 * protocol.observe_min
    during = np.linspace(0, protocol.injection_s, TIMES // 2 + 1)[1:]
    return np.concatenate([during, np.geomspace(protocol.injection_s + 1, total, TIMES // 2)])


def _layer(space: _Space, plan: Plan, protocol: ChemicalProtocol, x: FloatArray, times: FloatArray) -> Layer:
    """The gravity current of the solution along the channel; ``x`` (n,) mm, ``times`` (t,) s."""
    from neurolysis.physics.gravity_current import Channel, run_layer

    slope = float(np.arcsin(np.clip(space.runs_to[2], -0.999, 0.999)))
    density = space.density_g_per_ml
    return run_layer(
        Channel(x * MM, space.width_mm * MM, space.height_mm * MM, slope),
        reduced_gravity=9.80665 * abs(density - space.fluid_g_per_ml) / density,
        viscosity_m2_per_s=1e-3 * _viscosity_mpa_s(protocol) / (1e3 * density),
        rate_m3_per_s=len(plan.placements) * protocol.rate_ml_per_min * ML_PER_MIN,
        inflow_s=protocol.injection_s,
        inflow_cells=np.flatnonzero(np.abs(x) <= 3.0),
        times_s=times,
    )


def _viscosity_mpa_s(protocol: ChemicalProtocol) -> float:
    """Viscosity of the undiluted solution."""
    solution = injectate(protocol.agent).solution(protocol.vehicle)
    strength = 1.0 if solution.vehicle else protocol.injected_percent / 100
    parts, own = np.linspace(0, 1, TABLE), still_fluid().viscosity_mpa_s.value
    return float(mixture_viscosity_mpa_s(solution, strength, parts, own)[-1])


def _frame(runs_to: FloatArray, tip_mm: Point) -> RigidTransform:
    """Local z along the body, local y towards the wall that the layer runs along."""
    along = np.array([0.0, 0.0, 1.0])
    flat = runs_to - runs_to[2] * along
    y = flat / np.linalg.norm(flat)
    return RigidTransform.from_arrays(np.column_stack([np.cross(y, along), y, along]), tip_mm)


def _layers(
    percent: float, peak_mm: FloatArray, height_mm: float, deep_mm: FloatArray, cells_mm: FloatArray
) -> dict[Member, NDArray[np.float64]]:
    """Highest concentration of each member, (ACROSS, DEEP, ALONG) percent.

    Args:
        peak_mm: (ALONG,) greatest thickness of the layer.
        deep_mm, cells_mm: (DEEP,) places across the height and the sizes of their cells.
    """
    shape = (ACROSS, DEEP, len(peak_mm))
    depth = 0.5 * height_mm - deep_mm

    def held(thickness: FloatArray) -> NDArray[np.float64]:
        share = (thickness[None, None, :] - depth[None, :, None]) / cells_mm[None, :, None] + 0.5
        return percent * np.broadcast_to(np.clip(share, 0, 1), shape)

    evened = np.broadcast_to(percent * np.minimum(peak_mm / height_mm, 1.0), shape)
    return {"narrow": evened, "middle": held(peak_mm), "wide": held(2 * peak_mm)}


def _reach(space: _Space, x: FloatArray, peak_mm: FloatArray) -> Notice:
    """Where the layer came to, in words."""
    wet = np.flatnonzero(peak_mm > 0.1)
    first, last = (x[wet[0]], x[wet[-1]]) if len(wet) else (x[0], x[0])
    text = (
        f"The agent {'rises' if space.light else 'sinks'} and runs as a layer from {first:.0f} to "
        f"{last:.0f} mm along the body's axis (headwards positive) from the tip, up to "
        f"{peak_mm.max():.1f} mm thick. That it stays a layer is an assumption; the other members show "
        "it mixed, and twice as thick."
    )
    return Notice(severity="info", code="layer.reach", text=text)


def _cistern(plan: Plan, protocol: ChemicalProtocol) -> Answer:
    """A mixed space: as a share of the injected strength, by how it is exchanged."""
    volume = protocol.space_volume_ml
    if volume is None:
        raise InputError("a cistern needs its volume", where=f"{WHERE}.space_volume_ml", found="nothing")
    side = (1000 * volume) ** (1 / 3)
    axis = (np.arange(9) - 4) * side / 9
    put = len(plan.placements) * protocol.volume_ml
    shares: dict[Member, float] = {
        "narrow": 1 - np.exp(-put / volume) if put < volume else 1 - np.exp(-1.0),
        "middle": 1 - float(np.exp(-put / volume)),
        "wide": min(put / volume, 1.0),
    }
    fields = {m: np.full((9, 9, 9), protocol.injected_percent * shares[m]) for m in MEMBERS}
    times = np.linspace(0, protocol.injection_s, 30)[1:]
    spilled = max(0.0, put - volume)
    series = {"injected_ml": times / protocol.injection_s * put}
    text = f"The cistern of {volume:g} mL takes {put:g} mL"
    text += f"; {spilled:g} mL must leave it." if spilled else "; nothing need leave it."
    frame = RigidTransform.from_arrays(np.eye(3), plan.placements[0].tip_mm)
    notice = Notice(severity="warn" if spilled else "info", code="cistern.spill", text=text)
    return frame, (axis, axis, axis), fields, times, series, 0.0, (notice,)


UNITS = {"layer_length_mm": "mm", "layer_thickness_mm": "mm", "injected_ml": "mL"}


def _wrap(
    plan: Plan,
    protocol: ChemicalProtocol,
    frame: RigidTransform,
    axes: tuple[FloatArray, FloatArray, FloatArray],
    members: dict[Member, NDArray[np.float64]],
    times: FloatArray,
    series: dict[str, FloatArray],
    error: float,
    said: tuple[Notice, ...],
) -> Exposure:
    from neurolysis.delivery.chemical.wrap import SUFFIX, criteria_of, size_of

    agent = injectate(protocol.agent)
    least = min(t.percent for t in agent.thresholds)
    unit = f"% {agent.percent_means}"
    total_min = protocol.injection_s / 60 + protocol.observe_min
    fields: dict[str, LabelledField] = {}
    for member, values in members.items():
        for name, unit_, array in (
            ("peak_concentration_percent", unit, values),
            ("agent_share", "1", values / least),
            ("exposure_percent_min", f"{unit} min", values * total_min),
        ):
            full = f"{name}{SUFFIX[member]}"
            fields[full] = LabelledField(
                name=full, unit=unit_, array=np.asarray(array, np.float32), description=member
            )
    steps = [np.gradient(axis) for axis in axes]
    volumes = steps[0][:, None, None] * steps[1][None, :, None] * steps[2][None, None, :]
    criteria = criteria_of(agent)
    lesions: tuple[LesionSize, ...] = tuple(
        size_of(axes, volumes, fields[c.field].array, c) for c in criteria
    )
    return Exposure(
        technique=protocol.technique, frame=frame, axes_mm=axes, cell_volume_mm3=volumes.astype(np.float32),
        fields=fields, instrument=np.zeros(volumes.shape, bool), time_s=times, series=series,
        series_units={name: UNITS[name] for name in series}, criteria=criteria, lesions=lesions, notices=said,
        verdict_allowed=False, numerics=plan.numerics, plan_hash=plan.content_hash(),
        solver={"name": "neurolysis free fluid", "version": __version__, "agent": protocol.agent,
                "cells": int(volumes.size), "volume_balance_error": error},
    )  # fmt: skip
