"""Measure the spread of injected agents: the celiac case on two million cells, and FiPy beside ours.

    python benchmarks/measure_spread.py [--peer-python PATH] [--quick] [--write docs/performance-spread.md]

Ratios are between runs of this one session. ``--peer-python`` has the packages of
benchmarks/peers/requirements.txt (with FiPy); without it the peer is left out and said to be.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import time
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
STEPS, SIDE_MM, VOLUME_ML = 40, 72.0, 5.0


def celiac(finest_mm, coarsest_mm, rounds):
    """20 mL through two needles in the shipped CT, 30 minutes, middle member."""
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import demo_case
    from neurolysis.delivery.chemical.members import constants
    from neurolysis.delivery.chemical.problem import build_grid, gravity_of, infusion, sample
    from neurolysis.evidence.injectates import injectate
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.physics.infusion import run_infusion
    from neurolysis.planning.make import make_plan

    case, folder = load_case(demo_case("celiac"))
    scene = build_scene(case, folder)
    plan = make_plan(case, scene)
    numerics = plan.numerics.replace(finest_mm=finest_mm, coarsest_mm=coarsest_mm, growth=1.02)
    grid, frame = build_grid(plan.placements, numerics)
    sampled = sample(scene, grid, frame)
    made = constants(injectate("ethanol"), "middle")
    problem = infusion(
        sampled,
        scene,
        plan.placements,
        plan.protocol,
        made,
        gravity_of(plan.position, plan.position_tilt_deg),
    )
    walls = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        found = run_infusion(problem)
        walls.append(time.perf_counter() - began)
    return {
        "cells": int(grid.volumes.size),
        "wall_s": statistics.median(walls[1:]),
        "first_s": walls[0],
        "mass_error": found.mass_error,
        "volume_error": found.volume_error,
        "bounds": list(found.bounds),
        "transport_steps": int(found.trace.substeps.sum()),
        "pressure_iterations": int(found.trace.iterations.sum()),
    }


def ours(cells, rounds):
    """The peer's problem with the same even steps."""
    from neurolysis.physics.grid import Axis, TensorGrid
    from neurolysis.physics.infusion import StepRule, run_infusion
    from neurolysis.physics.porous import Fluid, Infusion, Medium, Source

    axis = Axis(np.linspace(-0.5, 0.5, cells + 1) * SIDE_MM * 1e-3)
    grid = TensorGrid((axis,) * 3)
    one = np.ones(grid.shape)
    k = 1e-11 * one
    tissue = Medium(
        np.ones(grid.shape, bool), (k, k, k), 0.2 * one, 0.2 * one, 1e-9 * one, 0 * one, 0 * one, 1e-9 * one
    )
    middle = np.array([(cells // 2,) * 3])
    source = Source(middle, np.ones(1), VOLUME_ML * 1e-6 / 60, 0.0, 60.0)
    problem = Infusion(
        grid, tissue, Fluid(np.full(2, 1e-3), np.full(2, 1000.0)), (source,), 60.0, thresholds=(0.5,)
    )
    rule = StepRule(first_share=1 / STEPS, growth=1.0, injection_share=1 / STEPS)
    walls = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        found = run_infusion(problem, rule=rule)
        walls.append(time.perf_counter() - began)
    return {
        "cells": cells**3,
        "wall_s": statistics.median(walls[1:]),
        "volume_at_half_ml": float(grid.volumes[found.part >= 0.5].sum() * 1e6),
        "mass_error": found.mass_error,
        "bounds": list(found.bounds),
    }


def peer(python, cells):
    """FiPy in its own interpreter; None where it is not to be had."""
    if python is None:
        return None
    command = [python, str(HERE / "peers" / "fipy_injection.py"), "--cells", str(cells), "--side-mm", str(SIDE_MM),
               "--volume-ml", str(VOLUME_ML), "--steps", str(STEPS)]  # fmt: skip
    # SciPy's solvers: the ones that install everywhere. FiPy's own warnings would drown its answer.
    surroundings = {**os.environ, "FIPY_SOLVERS": "scipy", "PYTHONWARNINGS": "ignore"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=surroundings)
    return json.loads(done.stdout) if done.returncode == 0 else {"failed": done.stderr.strip()[-300:]}


def page(found):
    """The measurements as a page of the documentation."""
    big = found["celiac"]
    exact = VOLUME_ML / 0.2
    lines = [
        "# Speed of the spread of agents",
        "",
        f"Written by `benchmarks/measure_spread.py`. One machine, one run: {found['machine']}.",
        "",
        "## The celiac case",
        "",
        "20 mL of ethanol through two needles in the shipped contrast CT, followed for 30 minutes, one member.",
        "",
        "| cells | first run, s | later runs, median s | agent not accounted for | volume not accounted for | transport steps |",
        "|---|---|---|---|---|---|",
        f"| {big['cells']:,} | {big['first_s']:.1f} | {big['wall_s']:.1f} | {100 * big['mass_error']:.5f} % | "
        f"{100 * big['volume_error']:.5f} % | {big['transport_steps']} |",
        "",
        f"Concentration stayed between {big['bounds'][0]:.1e} and {big['bounds'][1]:.7f} of the injected one.",
        "",
        "## Beside FiPy, in the same run",
        "",
        f"One point source, {VOLUME_ML:g} mL into one tissue, {STEPS} even time steps. Exact volume at half strength "
        f"without diffusion: {exact:g} mL. FiPy solves the pressure once (it does not change here), ours every step.",
        "",
        "| cells | ours, s | FiPy, s | FiPy / ours | ours, mL at half | FiPy, mL at half | ours, agent lost | FiPy, agent lost |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for mine, other in found["pairs"]:
        if other is None or "failed" in other:
            why = "not run here" if other is None else f"failed: {other['failed'][-60:]}"
            lines.append(
                f"| {mine['cells']:,} | {mine['wall_s']:.2f} | {why} | | {mine['volume_at_half_ml']:.2f} | | {mine['mass_error']:.1e} | |"
            )
            continue
        lines.append(
            f"| {mine['cells']:,} | {mine['wall_s']:.2f} | {other['wall_s']:.2f} | {other['wall_s'] / mine['wall_s']:.1f} | "
            f"{mine['volume_at_half_ml']:.2f} | {other['volume_at_half_ml']:.2f} | {mine['mass_error']:.1e} | "
            f"{other['mass_error']:.1e} |"
        )
    return "\n".join([*lines, ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path)
    chosen = parser.parse_args()
    rounds = 1 if chosen.quick else 3
    load = os.getloadavg()[0]
    found = {
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, load {load:.1f} at the start",
        "celiac": celiac(0.8, 1.8, 1 if chosen.quick else 2),
        "pairs": [
            (ours(n, rounds), peer(chosen.peer_python, n))
            for n in ((32, 48) if chosen.quick else (32, 48, 64))
        ],
    }
    print(json.dumps(found, indent=1))
    if chosen.write:
        chosen.write.write_text(page(found), "utf-8")


if __name__ == "__main__":
    main()
