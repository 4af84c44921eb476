"""Linear interpolation on a grid: exact for linear functions, and the same as SciPy's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from neurolysis.physics.sample import sample_linear

AXES = (np.array([0.0, 1.0, 4.0]), np.array([-2.0, 0.5, 1.0, 6.0]), np.array([3.0, 3.5, 9.0]))


@pytest.mark.parametrize("dimensions", [1, 2, 3])
def test_the_same_as_an_independent_interpolator(dimensions: int) -> None:
    random = np.random.default_rng(dimensions)
    axes = AXES[:dimensions]
    values = random.normal(size=tuple(len(axis) for axis in AXES))
    low, high = (np.array([axis[end] for axis in axes]) for end in (0, -1))
    points = random.uniform(low - 0.5, high + 0.5, size=(40, 5, dimensions))
    expected = RegularGridInterpolator(axes, values, bounds_error=False, fill_value=-7.0)(points)
    np.testing.assert_allclose(sample_linear(axes, values, points, outside=-7.0), expected, atol=1e-13)


def test_nodes_and_both_ends_are_exact() -> None:
    values = np.array([2.0, 8.0, -1.0])
    np.testing.assert_array_equal(sample_linear(AXES[:1], values, AXES[0][:, None]), values)
    assert np.isnan(sample_linear(AXES[:1], values, [[4.0001]])).all()
