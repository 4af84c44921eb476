"""Measure the search for needle paths: ten thousand candidates on the shipped contrast CT.

python benchmarks/measure_paths.py [--rounds 7]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import numpy as np


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import demo_case
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.planning import target_paths as paths
    from neurolysis.planning.path_scores import aims_on, score_paths

    case, folder = load_case(demo_case("celiac"))
    scene = build_scene(case, folder)
    found = paths.located(case, scene)
    limits, _ = paths._limits(case, scene, found, paths.PathChoices())
    obstacles = paths.obstacles_of(paths.all_structures(case, scene), paths.path_numbers().margins_mm)
    centre = found.nerve.curve.as_array().mean(axis=0)
    room = 0.5 * found.nerve.curve.length_mm() + limits.length_mm + paths.ROOM_MM
    maps = paths.maps_around(scene, obstacles, centre, room)
    aims, along = aims_on(found.nerve.curve)
    scored, whole = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        scores = score_paths(maps, limits, aims, along, 10_000)
        scored.append(time.perf_counter() - began)
        began = time.perf_counter()
        paths.paths_to_target(case, scene, found)
        whole.append(time.perf_counter() - began)
    print(
        json.dumps(
            {
                "candidates": len(np.asarray(scores.lengths_mm)),
                "obstacles": len(obstacles),
                "score_s_median": round(statistics.median(scored), 3),
                "maps_search_and_chances_s_median": round(statistics.median(whole), 3),
            }
        )
    )


if __name__ == "__main__":
    main()
