"""Injection into free fluid: a layer in the subarachnoid space, or a mixed cistern.

No measured geometry of these spaces was read, so their sizes are entered. In the subarachnoid space a light
agent runs as a layer under the uppermost wall, a heavy one over the lowermost; whether it stays a layer or
mixes is not known, so both ends are shown: the layer (middle), the agent evened out over the cross-section
(narrow) and a layer twice as thick (wide).
"""

from __future__ import annotations

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
from neurolysis.geometry import FloatArray, RigidTransform
from neurolysis.plan import Notice, Plan
from neurolysis.scene import Scene

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


def _channel(plan: Plan, protocol: ChemicalProtocol) -> Answer:
    """The layer along the body's axis round the first tip."""
    from neurolysis.physics.gravity_current import Channel, run_layer

    density = density_of(protocol)
    missing = [
        name
        for name, value in (
            ("space_width_mm", protocol.space_width_mm),
            ("space_height_mm", protocol.space_height_mm),
            ("density_g_per_ml", density),
            ("treatment.position", plan.position),
        )
        if value is None
    ]  # fmt: skip
    if missing or density is None or protocol.space_width_mm is None or protocol.space_height_mm is None:
        raise InputError(
            "the subarachnoid space needs what no source read gives",
            where=WHERE,
            found="not given",
            allowed=missing,
        )
    if plan.position == "sitting":
        raise InputError("a layer needs the patient lying", where="treatment.position", found="sitting")
    fluid = still_fluid().density_g_per_ml.value
    width, height = protocol.space_width_mm, protocol.space_height_mm
    gravity = np.array(gravity_of(plan.position, plan.position_tilt_deg))
    upwards = -gravity / np.linalg.norm(gravity)
    light = density < fluid
    runs_to = upwards if light else -upwards
    solution = injectate(protocol.agent).solution(protocol.vehicle)
    strength = 1.0 if solution.vehicle else protocol.injected_percent / 100
    thick = mixture_viscosity_mpa_s(
        solution, strength, np.linspace(0, 1, TABLE), still_fluid().viscosity_mpa_s.value
    )[-1]
    x = np.linspace(-HALF_LENGTH_MM, HALF_LENGTH_MM, ALONG)
    total = protocol.injection_s + 60 * protocol.observe_min
    times = np.concatenate([np.linspace(0, protocol.injection_s, TIMES // 2 + 1)[1:],
                            np.geomspace(protocol.injection_s + 1, total, TIMES // 2)])  # fmt: skip
    layer = run_layer(
        Channel(x * MM, width * MM, height * MM, float(np.arcsin(np.clip(runs_to[2], -0.999, 0.999)))),
        reduced_gravity=9.80665 * abs(density - fluid) / density,
        viscosity_m2_per_s=1e-3 * thick / (1e3 * density),
        rate_m3_per_s=len(plan.placements) * protocol.rate_ml_per_min * ML_PER_MIN,
        inflow_s=protocol.injection_s,
        inflow_cells=np.flatnonzero(np.abs(x) <= 3.0),
        times_s=times,
    )
    # Fine at the wall that the layer runs along: a layer is thinner than an even cell would be.
    edges = np.concatenate([[0.0], np.geomspace(FIRST_DEEP_MM, height, DEEP)])
    axes = (
        (np.arange(ACROSS) - ACROSS // 2) * width / ACROSS,
        np.sort(0.5 * height - 0.5 * (edges[1:] + edges[:-1])),
        x,
    )
    # Local y points where the layer is held: towards the wall it runs along.
    flat = runs_to - runs_to[2] * np.array([0.0, 0.0, 1.0])
    y = flat / np.linalg.norm(flat)
    frame = RigidTransform.from_arrays(
        np.column_stack([np.cross(y, [0.0, 0.0, 1.0]), y, [0.0, 0.0, 1.0]]), plan.placements[0].tip_mm
    )
    depth = 0.5 * height - axes[1]
    peak = layer.thickness.max(axis=0) / MM
    percent = protocol.injected_percent
    cells = np.diff(edges)[::-1]

    def held(thickness: FloatArray) -> NDArray[np.float64]:
        share = np.clip((thickness[None, None, :] - depth[None, :, None]) / cells[None, :, None] + 0.5, 0, 1)
        return percent * np.broadcast_to(share, (ACROSS, DEEP, len(x)))

    evened = np.broadcast_to(percent * np.minimum(peak / height, 1.0), (ACROSS, DEEP, len(x)))
    members: dict[Member, NDArray[np.float64]] = {
        "narrow": evened,
        "middle": held(peak),
        "wide": held(2 * peak),
    }
    lengths = np.array([np.count_nonzero(h > 1e-4) * float(np.diff(x).mean()) for h in layer.thickness])
    series = {
        "layer_length_mm": lengths,
        "layer_thickness_mm": layer.thickness.max(axis=1) / MM,
        "injected_ml": np.minimum(times / protocol.injection_s, 1.0)
        * protocol.volume_ml
        * len(plan.placements),
    }
    ends = [int(k) for k in np.flatnonzero(peak > 0.1)[[0, -1]]] if (peak > 0.1).any() else [0, 0]
    text = (
        f"The agent {'rises' if light else 'sinks'} and runs as a layer from {x[ends[0]]:.0f} to "
        f"{x[ends[1]]:.0f} mm along the "
        f"body's axis (headwards positive) from the tip, up to {peak.max():.1f} mm thick. That it "
        "stays a layer is "
        "an assumption; the other members show it mixed, and twice as thick."
    )
    return (
        frame,
        axes,
        members,
        times,
        series,
        layer.volume_error,
        (Notice(severity="info", code="layer.reach", text=text),),
    )


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
