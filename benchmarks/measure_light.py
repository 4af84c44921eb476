"""Measure photon transport on the 'cube60' problem of MCX: ours on one and more threads, the same physics in
JAX (peers/light_jax.py), and MCXCL on a CPU.

python benchmarks/measure_light.py [--photons 1000000] [--rounds 3] [--jax-photons 100000] [--peer-python PATH] [--plan] [--quick]
    [--page FILE]

cube60: 60 x 60 x 60 voxels of 1 mm, absorption 0.005 and scattering 1 per mm, g 0.01, n 1.37, a pencil beam
onto the middle of one face, nothing reflected at faces, photons followed for 5 ns, no roulette.

--plan also measures the demonstration placement (seconds and memory on one core and two, zones against none) and how a
bench run grows with photons and cells.

The peer's interpreter needs pmcxcl, intel-opencl-rt, intel-cmplr-lib-rt and tbb from the package index, a
folder with a file ``intel.icd`` that holds the path of ``libintelocl.so``, and in its environment
OCL_ICD_VENDORS (that folder) and LD_LIBRARY_PATH (the folder of the library). Without the option
-cl-std=CL3.0 its kernel does not build there. The peer is run with several launch settings, and its fastest
counts.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from apart import core_counts, run_apart

GATE_S = 5e-9
PLACE = (slice(25, 35), slice(25, 35), slice(10, 20))
"""Where the noise of the fluence is compared: 10 mm cube, 10 mm deep under the beam."""
PEER = """
import json, sys, time
import numpy as np, pmcxcl
count, rounds = int(sys.argv[1]), int(sys.argv[2])
def go(n, seed, **more):
    began = time.perf_counter()
    found = pmcxcl.run(nphoton=n, vol=np.ones((60, 60, 60), np.uint8), tstart=0, tend=5e-9, tstep=5e-9,
        srcpos=[29.5, 29.5, 0], srcdir=[0, 0, 1], prop=[[0, 0, 1, 1], [0.005, 1, 0.01, 1.37]], isreflect=0,
        issrcfrom0=1, issaveexit=0, seed=seed, compileropt="-cl-std=CL3.0", **more)
    return found, time.perf_counter() - began
settings = [dict(optlevel=level, **launch) for level in (0, 3)
            for launch in ({}, dict(autopilot=0, nthread=4096, nblocksize=64))]
speeds = {}
for setting in settings:
    found, _ = go(count // 4, 1, **setting)
    speeds[json.dumps(setting)] = count // 4 / max(found["stat"]["runtime"], 1)
best = json.loads(max(speeds, key=speeds.get))
runs = [go(count, seed, **best)[0] for seed in range(1, rounds + 1)]
flux = np.array([np.squeeze(run["flux"])[25:35, 25:35, 10:20] for run in runs])
print("RESULT" + json.dumps({
    "settings_tried": speeds, "setting": best,
    "photons_per_ms": [count / max(run["stat"]["runtime"], 1) for run in runs],
    "absorbed": float(np.mean([run["stat"]["energyabs"] / run["stat"]["energytot"] for run in runs])),
    "noise": float((flux.std(axis=0, ddof=1) / flux.mean(axis=0)).mean()) if rounds > 1 else None}))
"""


def cube60():
    """The box and source of the problem, metres."""
    from neurolysis.physics.light import LightBox, LightSource, Medium

    faces = np.arange(61) * 1e-3
    media = np.zeros((60, 60, 60), np.uint16)
    box = LightBox((faces,) * 3, media, (Medium(5.0, 1000.0, 0.01),), (0.0, 0.06), (1.37,), 1.37, 1.37, 1.37)
    return box, [LightSource("beam", (0.0295, 0.0295, 0.0))]


def ours(photons, rounds, threads):
    """Photons a millisecond of every round, absorbed share, noise of the fluence and collisions a photon."""
    from neurolysis.physics.light import Play, shine

    box, source = cube60()
    shine(box, source, Play(1000, gate_s=GATE_S, least=0.0, threads=threads))
    runs = []
    for seed in range(1, rounds + 1):
        began = time.process_time()
        light = shine(box, source, Play(photons, seed, gate_s=GATE_S, least=0.0, threads=threads))
        runs.append((light, time.process_time() - began))
    flux = np.array([light.fluence[PLACE] for light, _ in runs])
    return {
        "photons_per_ms": [light.photons_per_ms for light, _ in runs],
        "photons_per_cpu_ms": [photons / (1e3 * cpu) for _, cpu in runs],
        "absorbed": float(np.mean([light.absorbed.sum() for light, _ in runs])),
        "balance_error": max(light.balance_error for light, _ in runs),
        "noise": float((flux.std(axis=0, ddof=1) / flux.mean(axis=0)).mean()) if rounds > 1 else None,
        "collisions_per_photon": runs[0][0].collisions / photons,
    }


def peer(python, photons, rounds):
    """What MCXCL gives, or why it does not."""
    command = [python, "-c", PEER, str(photons), str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return json.loads(lines[0][6:]) if lines else {"error": (done.stderr or done.stdout)[-400:]}


def in_jax(photons, rounds):
    """What the JAX version gives, in a process of its own (it sets up its devices before anything else)."""
    script = Path(__file__).parent / "peers" / "light_jax.py"
    command = [sys.executable, str(script), "--photons", str(photons), "--rounds", str(rounds)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=1800)
    lines = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    return json.loads(lines[0][6:]) if lines else {"error": (done.stderr or done.stdout)[-400:]}


DEMO = """
import json, resource, sys, tempfile, time
from pathlib import Path
from neurolysis.app.demo import run_demo
began = time.perf_counter()
run_demo(Path(tempfile.mkdtemp()) / "out", "light")
usage = resource.getrusage(resource.RUSAGE_SELF)
print("RESULT" + json.dumps({"wall_s": time.perf_counter() - began, "cpu_s": usage.ru_utime + usage.ru_stime,
    "memory_mib": usage.ru_maxrss / 1024}))
"""


def plan():
    """Seconds and memory of the demonstration: the first run compiles, then on one core, then on two."""
    return {"first": run_apart(["-c", DEMO])} | {str(n): run_apart(["-c", DEMO], n) for n in core_counts()}


ZONES = """
import json, math, time
from neurolysis.app.cases import load_case
from neurolysis.app.demo import demo_case
from neurolysis.delivery.laser import solve
from neurolysis.delivery.laser.members import MEMBERS, optics
from neurolysis.delivery.laser.problem import prepare
from neurolysis.evidence.optics import spectrum
from neurolysis.localization.scene_builder import build_scene
from neurolysis.physics.light import LightBox, Play, shine
from neurolysis.planning.make import make_plan
import numpy as np
case, folder = load_case(demo_case("light"))
scene = build_scene(case, folder)
plan = make_plan(case, scene)
prepared = prepare(scene, plan.placements, plan.protocol, plan.numerics)
bed = prepared.bed
faces = tuple(axis.faces for axis in bed.grid.axes)
media = (bed.tissue * (solve.LEVELS + 1)).astype(np.uint16)
rows = []
for member in MEMBERS:
    own = solve.mixtures(optics(prepared.sampled.names, spectrum(plan.protocol.wavelength_nm), member))
    box = LightBox(faces, media, own, (float(faces[2][0]), float(faces[2][-1])), (1.0,), 1.0, 1.0, 1.0)
    row = {"member": member}
    for name, paths in (("whole", math.inf), ("zones", Play(1).zone_paths)):
        shine(box, bed.sources, Play(1000, least=solve.ROULETTE_BELOW, zone_paths=paths))
        began = time.process_time()
        light = shine(box, bed.sources, Play(COUNT, least=solve.ROULETTE_BELOW, zone_paths=paths))
        row[name] = {"cpu_s": time.process_time() - began, "collisions": light.collisions / light.photons}
    rows.append(row)
print("RESULT" + json.dumps(rows))
"""


def zones(photons):
    """Processor seconds of one renewal on the demonstration's anatomy, with one largest coefficient and by zones."""
    return run_apart(["-c", ZONES.replace("COUNT", str(photons))])


GROWTH = ((5_000, 0.3), (20_000, 0.3), (80_000, 0.3), (20_000, 0.6), (20_000, 0.2))


def grown(photons, finest):
    """Seconds of one 30 s run in muscle, 1.5 W; called in a process of its own."""
    import resource

    from neurolysis.delivery.laser.simulate import bench_of, run_bench
    from neurolysis.delivery.technique import silent, technique

    base = {option.name: option.default for option in technique("laser").options}
    base |= {"power-w": 1.5, "duration-s": 30.0, "photons": photons}
    case = bench_of(base, {"finest_mm": str(finest)}, "middle")
    run_bench(case.replace(duration_s=1.0), silent)
    bed, lit = run_bench(case, silent)
    return {
        "photons": photons,
        "cells": int(bed.grid.volumes.size),
        "seconds": lit.result.elapsed_s,
        "light_seconds": lit.light_s,
        "renewals": lit.renewals,
        "memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def growth(rows):
    """That run against photons and against cells."""
    return [run_apart([__file__, "--grown", json.dumps(row)]) for row in rows]


def plan_text(found):
    """The part of the page on whole plans."""
    if "plan" not in found:
        return ""
    first, *_ = found["plan"].values()
    cores = "\n".join(
        f"| {n} | {row['wall_s']:.0f} | {row['cpu_s']:.0f} | {row['memory_mib']:.0f} |"
        for n, row in found["plan"].items()
        if n != "first"
    )
    rows = "\n".join(
        f"| {row['photons']:,} | {row['cells']:,} | {row['renewals']} | {row['light_seconds']:.1f} | "
        f"{row['seconds']:.1f} | {row['memory_mib']:.0f} |"
        for row in found["growth"]
    )
    cut = "\n".join(
        f"| {row['member']} | {row['whole']['collisions']:.0f} | {row['zones']['collisions']:.0f} | "
        f"{row['whole']['cpu_s']:.2f} | {row['zones']['cpu_s']:.2f} |"
        for row in found["zones"]
    )
    return f"""
## A whole plan

The demonstration `light` (three members, report and print), compiled before; a first run that compiles takes \
{first["wall_s"]:.0f} s.

| cores | seconds | processor seconds | peak memory, MiB |
|---|---|---|---|
{cores}

One renewal of its light, {found["zone_photons"]:,} photons, with the largest coefficient of the whole box and with that of zones:

| member | collisions a photon, whole | by zones | processor s, whole | by zones |
|---|---|---|---|---|
{cut}

One member in muscle, 1.5 W for 30 s:

| photons a renewal | cells | renewals | light, s | light and heat, s | peak memory, MiB |
|---|---|---|---|---|---|
{rows}
"""


def jax_text(found):
    """The part of the page on the JAX version."""
    item = found.get("jax")
    if not item:
        return ""
    if "error" in item:
        return f"\nThe JAX version did not run: {item['error']}\n"
    ours_cpu = statistics.median(found["ours"]["1"]["photons_per_cpu_ms"])
    its_cpu = statistics.median(item["photons_per_cpu_ms"])
    check = item["check"]
    tried = "; ".join(f"{name}: {speed:.1f}" for name, speed in item["settings_tried"].items())
    return f"""
## The same physics in JAX

`benchmarks/peers/light_jax.py`: arrays of photons in one `lax.while_loop`, lanes refilled as photons end, compilation
not counted, {found["jax_photons"]:,} photons a round. On one device it traces {its_cpu:.1f} photons a millisecond of \
processor time, one thread
of ours {ours_cpu:.0f}: **{ours_cpu / its_cpu:.0f} times as many**. Photons a millisecond of every setting tried: {tried}. \
Its van de Hulst slab lies
{check["reflectance_off_by_errors"]:.1f} and {check["transmittance_off_by_errors"]:.1f} standard errors from the exact \
reflectance and transmittance.
"""


def noise_scale(found, item):
    """What takes a row's noise to the photons of the others: it falls with their square root."""
    return (found["jax_photons"] / found["photons"]) ** 0.5 if item is found.get("jax") else 1.0


def page(found):
    """The figures as a page."""
    rows = [(f"ours, {n} thread{'s' if n != '1' else ''}", item) for n, item in found["ours"].items()]
    for name, key in (
        (f"JAX, {found.get('jax', {}).get('devices')} devices", "jax"),
        ("MCXCL, all cores", "peer"),
    ):
        if "photons_per_ms" in found.get(key, {}):
            rows.append((name, found[key]))
    body = "\n".join(
        f"| {name} | {statistics.median(item['photons_per_ms']):.0f} | {item['absorbed']:.5f} | "
        + (f"{100 * item['noise'] * noise_scale(found, item):.2f} % |" if item["noise"] else "- |")
        for name, item in rows
    )
    said = found.get("peer", {})
    words = "No peer was named in this run."
    if "setting" in said:
        chosen = said["setting"] or "as it chooses"
        words = (
            "MCXCL 0.7.5 on Intel's OpenCL runtime for CPUs, both from the package index, with -cl-std=CL3.0; "
            f"its fastest of {len(said['settings_tried'])} launch settings counts ({chosen})."
        )
    elif "error" in said:
        words = f"The peer did not run: {said['error']}"
    one = found["ours"]["1"]
    return f"""# Performance: light

Written by `benchmarks/measure_light.py`. One machine, one run: {os.uname().machine}, {os.cpu_count()} cores, load \
{found["load"]:.1f} at the start.

The problem is `cube60` of MCX: {found["photons"]:,} photons, 5 ns, no roulette. {words}

| | photons a ms | absorbed share | noise of the fluence |
|---|---|---|---|
{body}

Noise is the standard deviation of one voxel's fluence over {found["rounds"]} runs, averaged over a 10 mm cube 10 mm
under the beam; that of JAX is scaled to the photons of the others. Ours makes {one["collisions_per_photon"]:.0f} tentative collisions a photon and looks for no voxel
faces, so light is tallied where it collides and not along its way. Per millisecond of processor time,
whatever else the machine does, one thread of ours traces {statistics.median(one["photons_per_cpu_ms"]):.0f}
photons.
{jax_text(found)}{plan_text(found)}"""


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photons", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--jax-photons", type=int, default=100_000, help="for the JAX version, slower by far; 0: leave it out"
    )
    parser.add_argument("--peer-python")
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--page", type=Path)
    parser.add_argument("--quick", action="store_true", help="fewer rows of growth, few photons")
    parser.add_argument("--grown", help="internal: one row of growth as JSON")
    given = parser.parse_args()
    if given.grown:
        print("RESULT" + json.dumps(grown(*json.loads(given.grown))))
        return
    from numba import config

    found = {
        "photons": given.photons,
        "jax_photons": given.jax_photons,
        "rounds": given.rounds,
        "load": os.getloadavg()[0],
        "ours": {},
    }
    counts = sorted({1, 2, config.NUMBA_NUM_THREADS} & set(range(1, config.NUMBA_NUM_THREADS + 1)))
    for threads in counts:
        found["ours"][str(threads)] = ours(given.photons, given.rounds, threads)
    if given.jax_photons:
        found["jax"] = in_jax(given.jax_photons, given.rounds)
    if given.peer_python:
        found["peer"] = peer(given.peer_python, given.photons, given.rounds)
    if given.plan:
        found["zone_photons"] = 2_000 if given.quick else 20_000
        found["plan"], found["zones"] = plan(), zones(found["zone_photons"])
        found["growth"] = growth(GROWTH[:2] if given.quick else GROWTH)
    print(json.dumps(found, indent=2))
    if given.page:
        given.page.write_text(page(found), encoding="utf-8")


if __name__ == "__main__":
    main()
