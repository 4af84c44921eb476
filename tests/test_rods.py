"""Needles as rods: distances, arc lengths, shares of cells, and where a link meets the surface."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurolysis.errors import InputError
from neurolysis.physics.cells import locate_cells
from neurolysis.physics.grid import Axis, TensorGrid
from neurolysis.physics.rods import Rod, nearest_rod, straight_rod, surface_distance
from neurolysis.physics.setup import Boundary

BENT = Rod(np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 3e-3], [4e-3, 0.0, 6e-3]]), 0.5e-3, (0.0, 5e-3))
POINT = st.tuples(*[st.floats(-8e-3, 8e-3)] * 3).map(np.array)
TILTED_BOX = Boundary("open", 37.0)


@given(POINT)
def test_distance_is_that_to_the_nearest_point_of_the_centre_line(point):
    t = np.linspace(0, 1, 4001)[:, None]
    a, b, c = BENT.points
    line = np.concatenate([a + t * (b - a), b + t * (c - b)])
    brute = np.linalg.norm(line - point, axis=1)
    distance, arc, foot = BENT.foot(point)
    assert distance == pytest.approx(brute.min() - 0.5e-3, abs=2e-6)
    assert np.linalg.norm(foot - point) == pytest.approx(distance + 0.5e-3, abs=1e-9)
    assert -1e-12 <= arc <= 0.5e-3 + 8e-3 + 1e-9


@given(st.floats(0.0, 8e-3))
def test_arc_length_runs_from_the_apex_along_the_line(along):
    a, b, c = BENT.points
    over = along - 3e-3
    point = a + along * np.array([0, 0, 1.0]) if over < 0 else b + over * (c - b) / np.linalg.norm(c - b)
    assert BENT.locate(point)[1] == pytest.approx(0.5e-3 + along, abs=1e-9)


def test_the_apex_is_arc_zero_and_the_hemisphere_goes_on_from_there():
    rod = straight_rod(0.5e-3, 1e-2, 6e-2)
    heights = np.array([-1e-3, 0.0, 0.2e-3, 0.5e-3, 2e-3])
    distance, arc = rod.locate(np.array([[0, 0, z] for z in heights]))
    np.testing.assert_allclose(arc, [0, 0, 0.2e-3, 0.5e-3, 2e-3], atol=1e-9)
    np.testing.assert_allclose(distance, [1e-3, 0, -0.2e-3, -0.5e-3, -0.5e-3], atol=1e-9)


@pytest.mark.parametrize("direction", [(0, 0, 1), (1, 0, 1), (1, 2, 3)])
def test_metal_in_the_cells_adds_up_to_the_needle(direction):
    """A closed capsule, 4/3 pi a^3 + pi a^2 L, in any direction, with three cells across."""
    along = np.array(direction, float) / np.linalg.norm(direction)
    radius, length = 0.5e-3, 5e-3
    rod = Rod(np.array([-along, along]) * length / 2, radius, (0.0, 1.0))
    axis = Axis(np.linspace(-5e-3, 5e-3, 31))
    grid = TensorGrid((axis, axis, axis))
    share = locate_cells(grid, (rod,), TILTED_BOX).metal_share
    exact = 4 / 3 * np.pi * radius**3 + np.pi * radius**2 * length
    assert (share * grid.volumes).sum() == pytest.approx(exact, rel=0.02)


@given(POINT, POINT)
def test_a_link_meets_the_surface_where_the_distance_is_zero(a, b):
    rods = (BENT, straight_rod(0.4e-3, 5e-3, 6e-2))
    outside, _, _ = nearest_rod(rods, a)
    inside, _, _ = nearest_rod(rods, b)
    if outside <= 1e-5 or inside >= -1e-5:
        b, a = np.array([0, 0, 2e-3]), np.array([3e-3, 1e-3, -1e-3])
    found = surface_distance(rods, a[None], b[None])
    hit = a + found[0] * (b - a) / np.linalg.norm(b - a)
    assert nearest_rod(rods, hit)[0] == pytest.approx(0.0, abs=1e-9)


def test_of_two_rods_the_nearer_one_counts():
    pair = (straight_rod(1e-3, 5e-3, 6e-2), Rod(np.array([[8e-3, 0, 0], [8e-3, 0, 1e-2]]), 1e-3, (0, 5e-3)))
    distance, _, index = nearest_rod(pair, np.array([[3e-3, 0, 5e-3], [5e-3, 0, 5e-3]]))
    np.testing.assert_array_equal(index, [0, 1])
    np.testing.assert_allclose(distance, 2e-3)


def test_an_impossible_rod_is_refused():
    with pytest.raises(InputError, match="two points"):
        Rod(np.array([[0.0, 0.0, 0.0]]), 1e-3, (0.0, 1e-3))
    with pytest.raises(InputError, match="radius above zero"):
        Rod(np.zeros((2, 3)), 0.0, (0.0, 1e-3))
