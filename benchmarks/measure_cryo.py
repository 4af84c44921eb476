"""Measure freezing: the demonstration's placement on a real CT, on coarser and finer grids.

    python benchmarks/measure_cryo.py [--rounds 2] [--quick] [--write docs/performance-cryo.md]

Each grid runs in its own process, so that its memory is its own. Times are of this one machine and session.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from pathlib import Path

from apart import core_counts, run_apart

CORES_ON = (None, 1.12)
"""The grid that is measured on one core and on two: the program's own; with --quick the first."""
GRIDS = ((0.6, 1.25), (0.45, 1.18), (None, 1.12), (0.2, 1.08))
"""Finest cell (mm, None: the program's own choice) and growth from cell to cell."""
QUICK = GRIDS[:2]
HEAD = (
    "| cells | finest, mm | first run, s | later runs, median s | peak memory, MiB | steps | Newton steps | \
−20 °C: width × length, mm | 0 °C: width × length, mm | energy not accounted for |"
)


def one(finest_mm: float | None, growth: float, rounds: int) -> dict[str, object]:
    """Solve the demonstration on one grid, several times."""
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import demo_case
    from neurolysis.delivery.technique import silent, technique
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.planning.make import make_plan

    case, folder = load_case(demo_case("freezing"))
    scene = build_scene(case, folder)
    plan = make_plan(case, scene)
    plan = plan.replace(numerics=plan.numerics.replace(finest_mm=finest_mm, growth=growth))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    walls = []
    for _ in range(rounds):
        began = time.perf_counter()
        found = technique("cryo").expose(scene, plan, silent)
        walls.append(time.perf_counter() - began)
    sizes = {size.criterion: (size.width_mm, size.length_mm) for size in found.lesions}
    return {
        "cells": int(found.solver["cells"]),
        "finest_mm": found.solver["finest_mm"],
        "first_s": walls[0],
        "later_s": statistics.median(walls[1:]) if rounds > 1 else None,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "before_mib": before / 1024,
        "steps": found.solver["steps"],
        "newton": found.solver["newton_steps"],
        "sizes": sizes,
        "energy_error": found.energy.error if found.energy else None,
    }


def cores_table(rows: dict[int, dict[str, object]]) -> list[str]:
    """Seconds on one core and on two."""
    lines = [
        "",
        "## One core and two",
        "",
        "| cores | cells | later runs, median s | peak memory, MiB |",
        "|---|---|---|---|",
    ]
    for cores, row in rows.items():
        spent = row["later_s"] if row["later_s"] is not None else row["first_s"]
        lines.append(f"| {cores} | {row['cells']:,} | {spent:.1f} | {row['peak_mib']:.0f} |")
    return lines


def page(rows: list[dict[str, object]], cores: dict[int, dict[str, object]], load: float) -> str:
    """The page of results."""
    lines = [
        "# Performance: freezing",
        "",
        "Written by `benchmarks/measure_cryo.py`. The demonstration `freezing`: two cycles of 120 s at "
        f"−70 °C and 60 s of thaw on a real CT. {platform.machine()}, {os.cpu_count()} cores, load {load:.1f} "
        "at the start. The first run compiles unless the programs are on disk already.",
        "",
        HEAD,
        "|" + "---|" * 10,
    ]
    for row in rows:
        sizes = row["sizes"]
        assert isinstance(sizes, dict)
        deep, ice = sizes["isotherm_m20c"], sizes["ice_0c"]
        later = "not run" if row["later_s"] is None else f"{row['later_s']:.1f}"
        lines.append(
            f"| {row['cells']:,} | {row['finest_mm']:.2f} | {row['first_s']:.1f} | {later} | "
            f"{row['peak_mib']:.0f} | {row['steps']} | {row['newton']} | {deep[0]:.2f} × {deep[1]:.2f} | "
            f"{ice[0]:.2f} × {ice[1]:.2f} | {row['energy_error']:.1e} |"
        )
    return "\n".join([*lines, *cores_table(cores)]) + "\n"


def main() -> None:
    """Run every grid and print or write the page."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--one", help="internal: one grid as JSON")
    given = parser.parse_args()
    if given.one:
        print("RESULT" + json.dumps(one(*json.loads(given.one))))
        return
    load = os.getloadavg()[0]

    def apart(finest: float | None, growth: float, cores: int | None = None) -> dict[str, object]:
        return dict(run_apart([__file__, "--one", json.dumps([finest, growth, given.rounds])], cores))

    rows = [apart(*grid) for grid in (QUICK if given.quick else GRIDS)]
    cores = {count: apart(*(QUICK[0] if given.quick else CORES_ON), count) for count in core_counts()}
    text = page(rows, cores, load)
    print(text)
    if given.write:
        given.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
