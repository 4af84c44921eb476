"""docs/performance.md from the results of measure.py."""

from __future__ import annotations

import math


def table(head, rows):
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(str(cell) for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def page(results):
    return (
        "\n\n".join(
            part
            for part in (
                "# Performance",
                heading(results["machine"]),
                "## The reference case, RF case 1",
                cases(results),
                "## Beside other solvers, in the same run",
                peer_table(results),
                "## Whole commands",
                commands(results),
                "## Growth with cells",
                growth(results),
                "## A batch of variants",
                batch(results["batch"]),
                OTHERS,
            )
            if part
        )
        + "\n"
    )


OTHERS = """## The other pages

Each has seconds and peak memory of its demonstration, and how they grow.

- [Light and laser](performance-light.md): photon transport beside other programs, whole plans, photons and cells.
- [Freezing](performance-cryo.md): the demonstration on coarser and finer grids, one core and two.
- [Surgical release](performance-release.md): the demonstration, elements.
- [Spread of agents](performance-spread.md): the celiac case, cells."""


def heading(machine):
    return (
        "Written by `benchmarks/measure.py`. One machine, one run: "
        f"{machine['cores']} cores, Python {machine['python']}, load {machine['load_at_start']:.1f} at the start and "
        f"{machine['load_at_end']:.1f} at the end. Times are medians; compare within this page only."
    )


def cases(results):
    rows = [
        (f"3-D, needle radius / {row['ratio']:g}", f"{row['cells']:,}", f"{row['solve_s']:.2f}",
         f"{row['size_percent']:+.2f} %", f"{row['impedance_percent']:+.2f} %", f"{row['temperature_k']:+.2f} K",
         row["iterations"]["potential"], row["iterations"]["heat"])
        for row in results["ladder_3d"]
    ]  # fmt: skip
    row = results["axisymmetric"]
    rows.append(
        ("axisymmetric", f"{row['cells']:,}", f"{row['solve_s']:.3f}", f"{row['size_percent']:+.2f} %",
         f"{row['impedance_percent']:+.2f} %", f"{row['temperature_k']:+.2f} K",
         row["iterations"]["potential"], row["iterations"]["heat"])
    )  # fmt: skip
    head = ("cell at the needle", "cells", "90 s treatment, s", "worst size", "worst impedance",
            "worst T at 1-6 mm", "potential iterations", "heat iterations")  # fmt: skip
    text = "Errors are against the independent finite-element reference. Compilation is not counted here.\n\n"
    return text + table(head, rows)


def peer_table(results):
    if not results["peers"]:
        return "No peer was run (measure.py was called without `--peer-python`)."
    ours = {"axisymmetric": results["axisymmetric"]["solve_s"], "3d": results["ladder_3d"][0]["solve_s"]}
    rows = []
    for row in results["peers"]:
        if "failed" in row:
            rows.append((row["solver"], "failed", "", "", "", ""))
            continue
        ratio = row["wall_s"] / ours[row["dimension"]]
        rows.append((f"{row['solver']} {row['version']}, {row['variant']}", row["dimension"],
                     f"{row['unknowns']:,}", f"{row['wall_s']:.2f}", f"{peer_error(row):.2f} %", f"{ratio:.1f}"))  # fmt: skip
    return table(("solver", "dimension", "unknowns", "treatment, s", "worst size", "times ours"), rows)


def peer_error(row):
    expected = {"isotherm_50c": (9.188, 16.116), "arrhenius_1": (8.253, 15.715)}
    worst = 0.0
    for name, (width, length) in expected.items():
        found = row["lesion"][name]
        for value, truth in ((found["width_mm"], width), (found["length_mm"], length)):
            worst = max(worst, abs(100 * (value / truth - 1)))
    return worst


def commands(results):
    rows = [
        (name, f"{row['wall_s']:.2f}", "-" if math.isnan(row["peak_mb"]) else f"{row['peak_mb']:.0f}")
        for name, row in results["commands"].items()
    ]
    demo = results["demo"]
    parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in demo["timing_s"].items())
    solver = demo["solver"]
    text = (
        f"In the warm demo: {parts}. Its solver took {solver['elapsed_s']:.2f} s for {solver['cells']:,} cells among "
        f"bone, muscle and fat, {solver['potential_iterations']} potential iterations in all "
        f"({solver['first_potential_iterations']} from cold) and {solver['heat_iterations']} heat iterations."
    )
    return table(("command", "wall, s", "peak memory, MB"), rows) + "\n\n" + text


def growth(results):
    rows = [(f"{row['cells']:,}", f"{1e3 * row['s_per_step']:.1f}") for row in results["growth"]]
    width = results["bandwidth"]
    share = 100 * width["operator_gb_s"] / width["triad_gb_s"]
    text = (
        f"The exponent is {results['growth_exponent']:.2f}. The heat operator on {width['operator_cells']:,} cells moves "
        f"{width['operator_gb_s']:.1f} GB/s (counting each array once), {share:.0f} % of a triad's "
        f"{width['triad_gb_s']:.1f} GB/s in the same run."
    )
    return table(("cells", "ms per step, early ramp"), rows) + "\n\n" + text


def batch(row):
    return (
        table(
            ("way", "seconds per run"),
            [
                ("one by one", f"{row['serial_s']:.3f}"),
                ("vectorised (`physics/batch.py`)", f"{row['vmap_s']:.3f}"),
                ("two processes, warm", f"{row['two_processes_s']:.3f}"),
            ],
        )
        + f"\n\n{row['runs']} axisymmetric variants of the reference case (conductivity and set temperature)."
    )
