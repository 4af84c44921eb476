"""Lesion sizes of fields made by hand, whose width, length and volume are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.physics.grid import Axis, TensorGrid, graded_faces
from neurolysis.physics.lesion import measure

STEP = 0.5


def even(step=STEP, half=12.0, offset=0.0):
    """A Cartesian grid in mm; ``offset`` shifts cell centres against the origin."""
    axis = Axis(np.arange(-half, half + step / 2, step) + offset)
    return TensorGrid((axis, axis, axis))


def flat(step=0.25):
    return TensorGrid((Axis(np.arange(0, 12.01, step), radial=True), Axis(np.arange(-12, 12.01, step))))


def size(grid, field, threshold=0.0):
    return measure(tuple(axis.centres for axis in grid.axes), grid.volumes, field(*parts(grid)), threshold)


def parts(grid):
    centres = grid.centres()
    return np.hypot(centres[..., 0], centres[..., 1]), centres[..., 2]


def ball(radius, centre=0.0):
    return lambda rho, z: radius - np.hypot(rho, z - centre)


@pytest.mark.parametrize("grid", [even(), even(offset=0.2), even(offset=0.25), flat()])
def test_a_ball(grid):
    found = size(grid, ball(4.0))
    assert found.width == pytest.approx(8.0, abs=0.06)
    assert found.length == pytest.approx(8.0, abs=0.06)
    assert (found.low, found.high) == pytest.approx((-4.0, 4.0), abs=0.05)
    assert found.volume == pytest.approx(4 / 3 * np.pi * 64, rel=0.02)
    assert not found.reaches_boundary


@pytest.mark.parametrize("grid", [even(), flat()])
def test_an_ellipsoid(grid):
    found = size(grid, lambda rho, z: 1 - np.hypot(rho / 3.0, (z - 1) / 6.0))
    assert found.width == pytest.approx(6.0, abs=0.06)
    assert found.length == pytest.approx(12.0, abs=0.1)
    assert (found.low, found.high) == pytest.approx((-5.0, 7.0), abs=0.06)
    assert found.volume == pytest.approx(4 / 3 * np.pi * 9 * 6, rel=0.02)


@pytest.mark.parametrize("grid", [even(), flat()])
def test_a_capsule(grid):
    found = size(grid, lambda rho, z: 2.5 - np.hypot(rho, np.maximum(np.abs(z) - 5.0, 0.0)))
    assert found.width == pytest.approx(5.0, abs=0.06)
    assert found.length == pytest.approx(15.0, abs=0.06)
    assert found.volume == pytest.approx(np.pi * 2.5**2 * 10 + 4 / 3 * np.pi * 2.5**3, rel=0.02)


@settings(max_examples=15)
@given(st.floats(1.0, 5.0), st.floats(-2.0, 2.0), st.floats(0.0, STEP))
def test_the_size_does_not_depend_on_where_the_cells_lie(radius, centre, offset):
    """A peak between cell centres is where a mask of whole cells would miss up to a cell a side."""
    found = size(even(offset=offset), ball(radius, centre))
    assert found.width == pytest.approx(2 * radius, abs=0.25 * STEP)
    assert found.length == pytest.approx(2 * radius, abs=0.5 * STEP)
    assert 0.5 * (found.low + found.high) == pytest.approx(centre, abs=0.25 * STEP)


def test_on_a_graded_grid_too():
    x = graded_faces([0.0], -40.0, 40.0, finest=0.3, growth=1.15, coarsest=4.0, centred=True)
    z = graded_faces([-5.0, 5.0], -40.0, 40.0, finest=0.3, growth=1.15, coarsest=4.0)
    grid = TensorGrid((Axis(x), Axis(x), Axis(z)))
    found = size(grid, lambda rho, z: 37 + 43 * np.exp(-((rho / 6) ** 2) - (z / 9) ** 2), 50.0)
    share = np.sqrt(np.log(43 / 13))
    assert found.width == pytest.approx(12 * share, rel=0.005)
    assert found.length == pytest.approx(18 * share, rel=0.01)
    assert found.volume == pytest.approx(4 / 3 * np.pi * 6**2 * 9 * share**3, rel=0.02)


def test_width_is_the_largest_over_all_heights_not_that_at_the_middle():
    found = size(even(), lambda rho, z: 3 + 0.2 * z - rho - np.maximum(0, np.abs(z) - 5) * 10)
    assert found.width == pytest.approx(2 * (3 + 0.2 * 5), abs=0.15)


def test_what_is_not_round_has_the_mean_of_its_radii():
    grid = even(0.25)
    centres = grid.centres()
    field = 1 - np.sqrt(
        (centres[..., 0] / 5) ** 2 + (centres[..., 1] / 2.5) ** 2 + (centres[..., 2] / 4) ** 2
    )
    found = measure(tuple(axis.centres for axis in grid.axes), grid.volumes, field, 0.0)
    angle = np.arange(24) * np.pi / 12
    radii = 1 / np.hypot(np.cos(angle) / 5, np.sin(angle) / 2.5)
    assert found.width == pytest.approx(2 * radii.mean(), rel=0.01)


def test_fields_that_drop_to_nothing_beside_the_lesion_keep_their_edge():
    """ln Omega is -1e30 where nothing happened: interpolation must not be thrown by it."""
    found = size(even(), lambda rho, z: np.where(np.hypot(rho, z) < 4.6, 40 * (4 - np.hypot(rho, z)), -1e30))
    assert found.width == pytest.approx(8.0, abs=0.1)
    assert found.length == pytest.approx(8.0, abs=0.1)


def test_no_lesion_is_nought_and_says_so():
    found = size(even(), lambda rho, z: -1 - rho)
    assert (found.width, found.length, found.volume) == (0.0, 0.0, 0.0)
    assert not found.reaches_boundary


@pytest.mark.parametrize("grid", [even(), flat()])
def test_a_lesion_that_reaches_the_box_says_so(grid):
    assert size(grid, ball(4.0, 10.0)).reaches_boundary
    assert size(grid, ball(30.0)).reaches_boundary
    assert not size(grid, ball(4.0, 6.0)).reaches_boundary


def test_the_axis_of_an_axisymmetric_grid_is_no_boundary():
    assert not size(flat(), ball(2.0)).reaches_boundary
