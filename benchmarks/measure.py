"""Measure everything that docs/performance.md states, in one run on one machine.

    python benchmarks/measure.py [--peer-python PATH] [--quick] [--write docs/performance.md]

``--peer-python`` is an interpreter with the packages of benchmarks/peers/requirements.txt; without it
the peers are left out and said to be. Ratios are between runs of this one session.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
CASE_FILE = HERE / "peers" / "rf_case_1.json"
REFERENCE = {
    "isotherm_50c": (9.188, 16.116),
    "arrhenius_1": (8.253, 15.715),
    "impedance": {0.0: 121.77, 10.0: 100.80, 30.0: 95.81, 60.0: 93.66, 90.0: 92.61},
    "midtip": (74.44, 65.72, 58.44, 52.73, 48.36, 45.08),
}


def load_case():
    from neurolysis.delivery.radiofrequency.bench import RadiofrequencyBench

    return RadiofrequencyBench.model_validate(json.loads(CASE_FILE.read_text()))


def errors(report):
    """Largest size, impedance (%) and temperature (K) errors against the reference."""
    sizes = []
    for name in ("isotherm_50c", "arrhenius_1"):
        found = report["lesion"][name]
        for key, expected in zip(("width_mm", "length_mm"), REFERENCE[name], strict=True):
            sizes.append(100 * (found[key] / expected - 1))
    times = np.array([0.0, *report["trace"]["time_s"]])
    impedance = np.array([report["trace"]["impedance_ohm"][0], *report["trace"]["impedance_ohm"]])
    at = [100 * (impedance[np.argmin(abs(times - t))] / z - 1) for t, z in REFERENCE["impedance"].items()]
    warm = np.array(report["profile"]["temperature_c"][:6]) - np.array(REFERENCE["midtip"])
    return {
        "size_percent": float(max(sizes, key=abs)),
        "impedance_percent": float(max(at, key=abs)),
        "temperature_k": float(max(warm, key=abs)),
    }


def solve(case, axisymmetric, finest_mm=None, rounds=3):
    from neurolysis.delivery.radiofrequency import bench
    from neurolysis.plan import Numerics

    numerics = Numerics(finest_mm=finest_mm)
    elapsed = []
    for _ in range(rounds + 1):
        result, grid = bench.run_case(case, axisymmetric=axisymmetric, numerics=numerics)
        elapsed.append(result.elapsed_s)
    report = bench.report_case(case, result, grid)
    return {
        "cells": report["grid"]["cells"],
        "finest_mm": finest_mm,
        "solve_s": statistics.median(elapsed[1:]),
        "iterations": report["iterations"],
        **errors(report),
    }


def ladder(case, rounds):
    radius = case.cannula.radius_mm
    return [{"ratio": n, **solve(case, False, radius / n, rounds)} for n in (1.5, 2.0, 3.0, 4.0)]


def command(arguments, cache):
    """Wall seconds and peak memory (MB) of a fresh process."""
    code = "import resource,subprocess,sys;subprocess.run(sys.argv[1:],check=True,stdout=subprocess.DEVNULL,"
    code += "stderr=subprocess.DEVNULL);print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss/1024)"
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, sys.executable, "-m", "neurolysis", *arguments],
        env=as_installed(cache), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {"wall_s": time.perf_counter() - began, "peak_mb": float(done.stdout)}


def as_installed(cache):
    """The environment of an installed program: byte code is kept, as pip leaves it."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "NEUROLYSIS_CACHE_DIR": str(cache)}


FIRST_CALL = """
import sys, time
from pathlib import Path
from neurolysis.app.simulate import simulate_file
from neurolysis.delivery.technique import silent
began = time.perf_counter()
simulate_file("radiofrequency", Path(sys.argv[1]), axisymmetric=False, progress=silent)
print(time.perf_counter() - began)
"""


def first_call(cache):
    """Seconds of the first call in a fresh process, everything it loads and reports included."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_CALL, str(CASE_FILE)],
        env=as_installed(cache), check=True, capture_output=True, text=True,
    )  # fmt: skip
    return {"wall_s": float(done.stdout), "peak_mb": float("nan")}


def commands():
    with tempfile.TemporaryDirectory() as folder:
        cache = Path(folder) / "cache"
        simulate = ["simulate", "radiofrequency", "--case", str(CASE_FILE), "--json"]
        demo = ["demo", "--out", str(Path(folder) / "demo"), "--overwrite"]
        rows = {
            "reference case, 3-D, first call ever": command(simulate, cache),
            "reference case, 3-D, warm cache": command(simulate, cache),
            "the call alone in a fresh process, warm cache": first_call(cache),
            "demo with report, first call ever": command(demo, cache),
            "demo with report, warm cache": command(demo, cache),
            "--help": command(["--help"], cache),
        }
        plan = json.loads((Path(folder) / "demo" / "plan.json").read_text())
    return rows, {"solver": plan["solver"], "timing_s": plan["timing_s"]}


def growth(case, quick):
    """Seconds per step against cells; the exponent of a power law through them."""
    from neurolysis.delivery.radiofrequency import bench, phases
    from neurolysis.physics.treatment import run
    from neurolysis.plan import Numerics

    rows = []
    sizes = ((0.3, 1.2), (0.2, 1.12), (0.15, 1.08), (0.12, 1.055))
    for finest, growth_ratio in sizes[: 2 if quick else 4]:
        numerics = Numerics(finest_mm=finest, growth=growth_ratio, coarsest_mm=2.0)
        problem, grid = bench.assemble_case(case, numerics, False)
        steps = bench.make_steps(case, numerics)
        first = type(steps)(*[x[:16] for x in steps])
        run(problem, phases.limits(None, 0.0), first, tolerance=1e-4)
        result = run(problem, phases.limits(None, 0.0), first, tolerance=1e-4)
        rows.append({"cells": int(np.prod(grid.shape)), "s_per_step": result.elapsed_s / 16})
    logs = np.log([[r["cells"], r["s_per_step"]] for r in rows])
    exponent = float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])
    return rows, exponent


def bandwidth(case):
    """GB/s of a triad and of the heat operator, both compiled by JAX in this process."""
    import jax
    import jax.numpy as jnp

    from neurolysis.delivery.radiofrequency import bench
    from neurolysis.physics import linear
    from neurolysis.plan import Numerics

    def rate(function, *arguments, count, bytes_moved):
        jax.block_until_ready(function(*arguments))
        samples = []
        for _ in range(7):
            began = time.perf_counter()
            for _ in range(count):
                out = function(*arguments)
            jax.block_until_ready(out)
            samples.append((time.perf_counter() - began) / count)
        return bytes_moved / statistics.median(samples) / 1e9

    size = 20_000_000
    a, b = jnp.ones(size, jnp.float32), jnp.ones(size, jnp.float32)
    triad = rate(jax.jit(lambda x, y: x + 1.5 * y), a, b, count=5, bytes_moved=12 * size)
    problem, grid = bench.assemble_case(case, Numerics(finest_mm=0.12, growth=1.055, coarsest_mm=2.0), False)
    links = tuple(jnp.asarray(x) for x in problem.heat_links)
    diagonal, padded = linear.graph_laplacian(links, jnp.asarray(problem.materials.capacity))
    cells = int(np.prod(grid.shape))
    operator = jax.jit(linear.apply_operator)
    # diagonal, three links, x and the result, once each: what must move at least.
    moved = 4 * cells * 6
    x = jnp.ones(grid.shape, jnp.float32)
    return {
        "triad_gb_s": triad,
        "operator_gb_s": rate(operator, diagonal, padded, x, count=5, bytes_moved=moved),
        "operator_cells": cells,
    }


def variant(number):
    """Reference case with its own conductivity and set temperature."""
    case = load_case()
    tissue = case.tissue.replace(conductivity_s_per_m=0.25 + 0.2 * (number % 8) / 7)
    protocol = case.protocol.replace(set_temperature_c=70.0 + 2.0 * (number // 8))
    return case.replace(tissue=tissue, protocol=protocol)


def one_variant(number, axisymmetric=True):
    from neurolysis.delivery.radiofrequency import bench

    result, _ = bench.run_case(variant(number), axisymmetric=axisymmetric)
    return float(result.state.peak.max())


def batch(quick):
    """Seconds per run of 64 axisymmetric variants: one by one, vectorised, and in two processes."""
    from neurolysis.delivery.radiofrequency import bench, phases
    from neurolysis.physics.batch import run_batch
    from neurolysis.plan import Numerics

    count = 16 if quick else 64
    one_variant(0)
    began = time.perf_counter()
    for number in range(count):
        one_variant(number)
    serial = (time.perf_counter() - began) / count
    pairs = [variant(n) for n in range(count)]
    began = time.perf_counter()
    problems = [bench.assemble_case(case, Numerics(), True)[0] for case in pairs]
    steps = [bench.make_steps(case, Numerics()) for case in pairs]
    prepared = time.perf_counter() - began
    result = run_batch(problems, phases.limits(None, 0.0), steps)
    result = run_batch(problems, phases.limits(None, 0.0), steps)
    vectorised = (result.elapsed_s + prepared) / count
    began = time.perf_counter()
    with ProcessPoolExecutor(2, mp_context=__import__("multiprocessing").get_context("spawn")) as pool:
        list(pool.map(one_variant, range(2)))
        warm = time.perf_counter()
        list(pool.map(one_variant, range(count), chunksize=8))
        pooled = (time.perf_counter() - warm) / count
    return {"runs": count, "serial_s": serial, "vmap_s": vectorised, "two_processes_s": pooled,
            "pool_start_s": warm - began}  # fmt: skip


PEERS = (
    ("scikit_fem_axisymmetric.py", []),
    ("ngsolve_axisymmetric.py", []),
    ("dolfinx_3d.py", ["--variant", "tuned"]),
    ("scikit_fem_3d.py", ["--variant", "tuned"]),
    ("scikit_fem_3d.py", ["--variant", "plain"]),
)


def peers(python, quick):
    rows = []
    for script, extra in PEERS:
        path = HERE / "peers" / script
        if not path.exists() or "plain" in extra or "dolfinx" in script:
            continue
        done = subprocess.run(
            [python, str(path), "--case", str(CASE_FILE), "--json", *extra], capture_output=True, text=True
        )
        if done.returncode == 0:
            rows.append(json.loads(done.stdout))
        else:
            rows.append({"solver": script, "failed": done.stderr.strip().splitlines()[-1:]})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer-python")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--write", type=Path)
    arguments = parser.parse_args()
    case = load_case()
    rounds = 2 if arguments.quick else 5
    load = os.getloadavg()[0]
    results = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(),
                    "load_at_start": load, "python": platform.python_version()},
        "ladder_3d": ladder(case, rounds),
        "axisymmetric": solve(case, True, rounds=rounds),
        "peers": peers(arguments.peer_python, arguments.quick) if arguments.peer_python else [],
    }  # fmt: skip
    results["commands"], results["demo"] = commands()
    results["growth"], results["growth_exponent"] = growth(case, arguments.quick)
    results["bandwidth"] = bandwidth(case)
    results["batch"] = batch(arguments.quick)
    results["machine"]["load_at_end"] = os.getloadavg()[0]
    print(json.dumps(results, indent=1))
    if arguments.write:
        from performance_page import page

        arguments.write.write_text(page(results))


if __name__ == "__main__":
    main()
