"""A batch gives what its variants give one by one."""

import numpy as np
import pytest

from neurolysis.delivery.radiofrequency import bench, phases
from neurolysis.delivery.radiofrequency.simulate import bench_case
from neurolysis.errors import InputError
from neurolysis.physics.batch import run_batch
from neurolysis.physics.treatment import run
from neurolysis.plan import Numerics

NUMERICS = Numerics(finest_mm=0.4)


def variant(temperature_c, conductivity):
    options = {
        "gauge": 20, "tip-mm": 5.0, "temperature-c": temperature_c, "duration-s": 30.0, "ramp-s": 10.0,
        "tissue": "muscle", "body-temperature-c": 37.0,
    }  # fmt: skip
    case = bench_case(options, {"conductivity_s_per_m": str(conductivity)})
    problem, _ = bench.assemble_case(case, NUMERICS, axisymmetric=True)
    return problem, bench.make_steps(case, NUMERICS)


def test_a_batch_agrees_with_single_runs():
    variants = [variant(60.0, 0.3), variant(70.0, 0.446), variant(80.0, 0.6)]
    limits = phases.limits(None, 0.0)
    together = run_batch([p for p, _ in variants], limits, [s for _, s in variants], tolerance=1e-6)
    for number, (problem, steps) in enumerate(variants):
        alone = run(problem, limits, steps, tolerance=1e-6)
        np.testing.assert_allclose(together.state.temperature[number], alone.state.temperature, atol=0.05)
        np.testing.assert_allclose(together.trace.power[number], alone.trace.power, rtol=5e-3, atol=5e-3)
    tips = together.trace.sensors[:, -1, 0]
    np.testing.assert_allclose(tips, [60.0, 70.0, 80.0], atol=0.1)


def test_variants_must_share_their_steps():
    problem, steps = variant(60.0, 0.3)
    with pytest.raises(InputError, match="time steps"):
        run_batch([problem, problem], phases.limits(None, 0.0), [steps, steps._replace(dt=steps.dt * 2)])


def test_an_empty_batch_is_refused():
    with pytest.raises(InputError, match="at least one"):
        run_batch([], phases.limits(None, 0.0), [])
