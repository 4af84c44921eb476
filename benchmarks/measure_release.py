"""Measure the nerve as a band: the demonstration, growth with elements, and a sparse solver beside ours.

    python benchmarks/measure_release.py [--quick] [--json FILE] [--write docs/performance-release.md]

Times are medians of one session. The peer solves the same linear system (all taut) with
``scipy.sparse.linalg.spsolve``; that and ours must agree.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from apart import core_counts, run_apart
from numpy.typing import NDArray

from neurolysis.physics.mechanics import Band, Motion, solve_band

EA, BED_PA, SCAR_PA, LENGTH_M = 1.2, 50.0, 5e4, 0.2
QUICK, FULL = (100, 1_000, 10_000), (100, 1_000, 10_000, 100_000, 1_000_000)


@dataclass(frozen=True)
class Row:
    """One size: seconds of ours and of the peer, the greatest difference of displacement, ours' balance."""

    elements: int
    ours_s: float
    peer_s: float
    difference_mm: float
    balance_error: float


def problem(count: int) -> tuple[Band, Motion]:
    """A nerve with scar over a joint."""
    nodes = np.linspace(0, LENGTH_M, count + 1)
    middles = 0.5 * (nodes[1:] + nodes[:-1])
    bed = np.where((middles > 0.09) & (middles < 0.11), SCAR_PA, BED_PA)
    springs = np.zeros(count + 1)
    springs[[0, -1]] = np.sqrt(EA * BED_PA)
    band = Band(nodes, np.full(count, EA), bed, np.zeros(count), springs)
    return band, Motion(0.006 * np.clip((nodes - 0.08) / 0.04, 0, 1))


def peer(band: Band, motion: Motion) -> NDArray[np.float64]:
    """The same system by a general sparse solver."""
    from scipy.sparse import diags
    from scipy.sparse.linalg import spsolve

    slope, held = band.stiffness_n / band.lengths_m, band.held_n_per_m
    matrix = diags(
        [-slope, held + np.append(slope, 0) + np.append(0, slope), -slope], [-1, 0, 1], format="csc"
    )
    found: NDArray[np.float64] = spsolve(matrix, held * motion.bed_m)
    return found


def timed(run: object, rounds: int) -> float:
    """Median seconds of a call, after one that is not counted."""
    walls = []
    for _ in range(rounds + 1):
        began = time.perf_counter()
        run()  # type: ignore[operator]
        walls.append(time.perf_counter() - began)
    return statistics.median(walls[1:])


def measured(count: int, rounds: int) -> Row:
    """One size."""
    band, motion = problem(count)
    ours = solve_band(band, motion)
    other = peer(band, motion)
    return Row(
        elements=count,
        ours_s=timed(lambda: solve_band(band, motion), rounds),
        peer_s=timed(lambda: peer(band, motion), rounds),
        difference_mm=1e3 * float(np.abs(ours.displacement_m - other).max()),
        balance_error=ours.balance_error,
    )


def demonstration() -> dict[str, float]:
    """Seconds of scene, plan and simulation of the shipped case."""
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import demo_case
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.planning.make import make_plan
    from neurolysis.planning.simulate import simulate_plan

    case, folder = load_case(demo_case("meralgia"))
    began = time.perf_counter()
    scene = build_scene(case, folder)
    built = time.perf_counter()
    plan = make_plan(case, scene)
    planned = time.perf_counter()
    result = simulate_plan(case, scene, plan)
    ended = time.perf_counter()
    return {
        "scene_s": built - began,
        "plan_s": planned - built,
        "simulate_s": ended - planned,
        "elements": float(result.exposure.solver["elements"]),
        "stretches_tried": float(result.exposure.solver["stretches_tried"]),
        "balance_error": float(result.exposure.solver["balance_error"]),
    }


def page(rows: list[Row], demo: dict[str, float], cores: dict[int, dict[str, float]], load: float) -> str:
    """The page of results."""
    lines = [
        "# Performance: surgical release",
        "",
        f"Written by `benchmarks/measure_release.py`. One machine, one run: {platform.machine()}, {os.cpu_count()} cores, "
        f"load {load:.1f} at the start.",
        "",
        "## The demonstration",
        "",
        f"`meralgia`: scene {demo['scene_s']:.2f} s, plan {demo['plan_s']:.2f} s, simulation {demo['simulate_s']:.2f} s "
        f"({demo['elements']:.0f} elements, {demo['stretches_tried']:.0f} stretches tried for the shortest release; "
        f"balance {demo['balance_error']:.0e}).",
        "",
        "| cores | scene, plan and simulation, s | peak memory, MiB |",
        "|---|---|---|",
        *(f"| {n} | {row['scene_s'] + row['plan_s'] + row['simulate_s']:.2f} | {row['peak_mib']:.0f} |"
          for n, row in cores.items()),
        "",
        "The solver of the band is one thread: a second core does nothing for it.",
        "",
        "## Growth with elements",
        "",
        "The peer solves the same linear system by a general sparse solver (`scipy.sparse.linalg.spsolve`).",
        "",
        "| elements | ours, s | sparse solver, s | difference, mm | balance |",
        "|---|---|---|---|---|",
        *(f"| {row.elements:,} | {row.ours_s:.3g} | {row.peer_s:.3g} | {row.difference_mm:.1e} | {row.balance_error:.0e} |"
          for row in rows),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print a table; with --json also write it, with --write as a page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--one", action="store_true", help="internal: the demonstration as JSON")
    asked = parser.parse_args()
    if asked.one:
        demo = demonstration()
        demo["peak_mib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print("RESULT" + json.dumps(demo))
        return
    load = os.getloadavg()[0]
    rows = [measured(count, 3 if asked.quick else 7) for count in (QUICK if asked.quick else FULL)]
    cores = {count: run_apart([__file__, "--one"], count) for count in core_counts()}
    demo = cores[max(cores)]
    peak_mb = demo["peak_mib"]
    print("elements  ours s     sparse s   difference mm  balance")
    for row in rows:
        print(
            f"{row.elements:>8}  {row.ours_s:<9.3g}  {row.peer_s:<9.3g}  {row.difference_mm:<13.2g}  "
            f"{row.balance_error:.1e}"
        )
    print("demonstration:", ", ".join(f"{name} {value:.3g}" for name, value in demo.items()))
    print(f"peak memory {peak_mb:.0f} MB; {platform.processor() or platform.machine()}")
    if asked.write:
        asked.write.write_text(page(rows, demo, cores, load), encoding="utf-8")
    if asked.json:
        data = {"rows": [asdict(row) for row in rows], "demonstration": demo, "peak_mb": peak_mb}
        asked.json.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
