"""One injection into one porous tissue with FiPy: Darcy pressure, then implicit upwind transport.

    python benchmarks/peers/fipy_injection.py --cells 48 --side-mm 72 --volume-ml 5 --steps 40

Prints one JSON object. The problem is that of ``measure_spread.py``: a cube of even cells, pressure zero
outside, one source cell in the middle, constant porosity, no loss; the same number of even time steps.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

PERMEABILITY, VISCOSITY, POROSITY, DIFFUSIVITY = 1e-11, 1e-3, 0.2, 1e-9


def run(cells, side_mm, volume_ml, minutes, steps):
    from fipy import CellVariable, DiffusionTerm, FaceVariable, Grid3D, TransientTerm, UpwindConvectionTerm
    from fipy.solvers.scipy import LinearBicgstabSolver, LinearCGSolver

    h = side_mm * 1e-3 / cells
    began = time.perf_counter()
    mesh = Grid3D(nx=cells, ny=cells, nz=cells, dx=h, dy=h, dz=h)
    rate = volume_ml * 1e-6 / (60 * minutes)
    source = np.zeros((cells,) * 3)
    source[(cells // 2,) * 3] = rate / h**3
    flat = source.ravel(order="F")
    setup_s = time.perf_counter() - began
    began = time.perf_counter()
    pressure = CellVariable(mesh=mesh, value=0.0)
    pressure.constrain(0.0, mesh.exteriorFaces)
    (DiffusionTerm(coeff=PERMEABILITY / VISCOSITY) + CellVariable(mesh=mesh, value=flat)).solve(
        var=pressure, solver=LinearCGSolver(tolerance=1e-8, iterations=2000)
    )
    velocity = FaceVariable(mesh=mesh, rank=1)
    velocity.setValue(-PERMEABILITY / VISCOSITY * pressure.faceGrad.value)
    pressure_s = time.perf_counter() - began
    part = CellVariable(mesh=mesh, value=0.0)
    inflow = CellVariable(mesh=mesh, value=flat)
    equation = TransientTerm(coeff=POROSITY) + UpwindConvectionTerm(coeff=velocity) == (
        DiffusionTerm(coeff=POROSITY * DIFFUSIVITY) + inflow
    )
    dt = 60 * minutes / steps
    for _ in range(steps):
        equation.solve(var=part, dt=dt, solver=LinearBicgstabSolver(tolerance=1e-8, iterations=2000))
    wall_s = time.perf_counter() - began
    value = np.asarray(part.value)
    held = float(value.sum() * h**3 * POROSITY)
    return {
        "wall_s": wall_s,
        "pressure_s": pressure_s,
        "setup_s": setup_s,
        "cells": cells**3,
        "volume_at_half_ml": float((value >= 0.5).sum() * h**3 * 1e6),
        "mass_error": abs(held - volume_ml * 1e-6) / (volume_ml * 1e-6),
        "bounds": [float(value.min()), float(value.max())],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=48)
    parser.add_argument("--side-mm", type=float, default=72.0)
    parser.add_argument("--volume-ml", type=float, default=5.0)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--steps", type=int, default=40)
    chosen = parser.parse_args()
    print(json.dumps(run(chosen.cells, chosen.side_mm, chosen.volume_ml, chosen.minutes, chosen.steps)))


if __name__ == "__main__":
    main()
