"""Timings by pytest-benchmark: ``make bench``. Nothing here asserts a time; see docs/performance.md."""

import json
from pathlib import Path

import pytest

from neurolysis.delivery.radiofrequency import bench, phases
from neurolysis.physics.treatment import run
from neurolysis.plan import Numerics

CASE = bench.RadiofrequencyBench.model_validate(
    json.loads((Path(__file__).parent / "peers" / "rf_case_1.json").read_text())
)


def prepared(axisymmetric, finest_mm=None):
    numerics = Numerics(finest_mm=finest_mm)
    problem, _ = bench.assemble_case(CASE, numerics, axisymmetric)
    return problem, bench.make_steps(CASE, numerics), numerics


@pytest.mark.parametrize("axisymmetric", [True, False], ids=["axisymmetric", "3d"])
def test_reference_case(benchmark, axisymmetric):
    problem, steps, numerics = prepared(axisymmetric)
    limits = phases.limits(None, 0.0)

    def treatment():
        return run(problem, limits, steps, tolerance=numerics.relative_tolerance)

    result = benchmark.pedantic(treatment, rounds=3, warmup_rounds=1)
    benchmark.extra_info["solve_s"] = result.elapsed_s
    assert abs(float(result.trace.sensors[-1, 0]) - 80.0) < 0.2


@pytest.mark.parametrize("axisymmetric", [True, False], ids=["axisymmetric", "3d"])
def test_assembly(benchmark, axisymmetric):
    problem, _, _ = benchmark.pedantic(prepared, args=(axisymmetric,), rounds=3)
    assert problem.volumes.min() > 0
