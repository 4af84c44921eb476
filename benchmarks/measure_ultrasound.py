"""Time of a simulated ultrasound frame and of a segmentation, each the median of ten.

python benchmarks/measure_ultrasound.py
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import neurolysis
from neurolysis.app.cases import load_case
from neurolysis.localization.scene_builder import build_scene
from neurolysis.localization.ultrasound.bmode import sonogram
from neurolysis.localization.ultrasound.pictures import read_ultrasound
from neurolysis.localization.ultrasound.placing import probe_over
from neurolysis.localization.ultrasound.segment import segment
from neurolysis.planning.make import make_plan

REPEATS = 10
DATA = Path(neurolysis.__file__).parent / "data"
IMAGE = Path(__file__).parents[1] / "tests/data/ultrasound/0128.png"


def median_s(work) -> float:
    """Median time of the work after one run that does not count."""
    work()
    times = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return float(np.median(times))


def main() -> None:
    for name in ("demo", "celiac"):
        case, folder = load_case(DATA / name)
        scene = build_scene(case, folder)
        one = make_plan(case, scene).placements[0]
        tip = np.array(one.tip_mm)
        hub = tip + 200 * np.array(one.direction_to_hub)
        probe = probe_over(scene, tip, hub, approach="in-plane").probe
        took = median_s(lambda s=scene, p=probe, t=tip, h=hub: sonogram(s, p, (tuple(t), tuple(h))))
        print(f"simulated frame, {name}, {probe.shape[1]} x {probe.shape[0]} pixels: {took:.3f} s")
    image = read_ultrasound(IMAGE)
    print(
        f"segmentation, {image.pixels.shape[1]} x {image.pixels.shape[0]}: {median_s(lambda: segment(image)):.2f} s"
    )


if __name__ == "__main__":
    main()
