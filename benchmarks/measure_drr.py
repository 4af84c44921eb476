"""Measure simulated X-rays: ours, and DiffDRR in the same run where an interpreter with it is named.

python benchmarks/measure_drr.py [CT.nii.gz] [--peer-python PATH] [--rounds 9]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

CT = Path(__file__).parents[1] / "tests/data/xrays/ct.nii.gz"
PEER = """
import json, sys, time, warnings
warnings.filterwarnings("ignore")
import torch
from diffdrr.data import read
from diffdrr.drr import DRR
torch.set_num_threads(int(sys.argv[3]))
drr = DRR(read(sys.argv[1]), sdd=1000.0, height=256, delx=1.0, renderer="trilinear")
turn, shift = torch.zeros(1, 3), torch.tensor([[0.0, 600.0, 0.0]])
walls = []
with torch.no_grad():
    for _ in range(int(sys.argv[2])):
        began = time.perf_counter()
        drr(turn, shift, parameterization="euler_angles", convention="ZXY", n_points=300)
        walls.append(time.perf_counter() - began)
print(json.dumps(walls))
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ct", type=Path, nargs="?", default=CT)
    parser.add_argument("--peer-python")
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    from neurolysis.localization.fluoroscopy.carm import Angles, CArm
    from neurolysis.localization.fluoroscopy.drr import Attenuation, simulated_xray
    from neurolysis.localization.images import read_image

    image = read_image(given.ct)
    attenuation = Attenuation.of(image)
    centre = image.to_lps([(n - 1) / 2 for n in image.shape])
    found = {"voxels": image.shape, "pixels": 256}
    for lao in (0, 45, 90):
        carm = CArm.at(centre, Angles(lao_deg=lao), "supine")
        simulated_xray(attenuation, carm)
        walls = []
        for _ in range(given.rounds):
            began = time.perf_counter()
            simulated_xray(attenuation, carm)
            walls.append(time.perf_counter() - began)
        found[f"ours_lao_{lao}_ms"] = round(1e3 * statistics.median(walls), 1)
    if given.peer_python:
        command = [given.peer_python, "-c", PEER, str(given.ct), "4", "2"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            walls = json.loads(done.stdout.splitlines()[-1])
            found["diffdrr_trilinear_300_ms"] = round(1e3 * statistics.median(walls[1:]), 1)
            found["ratio"] = round(found["diffdrr_trilinear_300_ms"] / found["ours_lao_0_ms"], 1)
        else:
            found["diffdrr"] = f"failed: {done.stderr.strip()[-200:]}"
    print(json.dumps(found))


if __name__ == "__main__":
    main()
