"""Graded tensor grids: faces where they are asked for, cells from the short list, exact measures."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurolysis.errors import InputError
from neurolysis.physics.grid import CELL_COUNTS, Axis, TensorGrid, graded_faces

GRADING = {"finest": 3e-4, "growth": 1.15, "coarsest": 4e-3}
PLACES = st.lists(st.floats(-0.02, 0.02), min_size=1, max_size=4).map(
    lambda x: [a for n, a in enumerate(sorted(x)) if n == 0 or a - sorted(x)[n - 1] > 5e-4]
)


@given(PLACES)
def test_every_anchor_is_a_face_and_cells_grow_away_from_it(anchors):
    faces = graded_faces(anchors, -0.04, 0.04, **GRADING)
    assert faces[0] == -0.04
    assert faces[-1] == 0.04
    assert len(faces) - 1 in CELL_COUNTS
    widths = np.diff(faces)
    assert widths.min() > 0
    assert widths.max() <= 4.4e-3
    for anchor in anchors:
        assert np.abs(faces - anchor).min() < 1e-12
        k = int(np.argmin(np.abs(faces - anchor)))
        assert max(widths[k - 1], widths[k]) < 1.6 * 3e-4
    assert np.maximum(widths[1:] / widths[:-1], widths[:-1] / widths[1:]).max() < 1.6


@given(st.floats(-0.01, 0.01))
def test_a_centred_anchor_lies_in_the_middle_of_a_cell_of_the_finest_size(anchor):
    faces = graded_faces([anchor], -0.04, 0.04, **GRADING, centred=True)
    centres, widths = 0.5 * (faces[1:] + faces[:-1]), np.diff(faces)
    k = int(np.argmin(np.abs(centres - anchor)))
    assert centres[k] == pytest.approx(anchor, abs=1e-12)
    assert widths[k] == pytest.approx(3e-4)
    assert widths.min() > 0.7 * 3e-4


def test_cells_follow_the_growth_that_was_asked_for():
    """A cell at distance d from the anchor is about finest + (growth - 1) d long."""
    faces = graded_faces([0.0], 0.0, 0.04, **GRADING)
    widths, centres = np.diff(faces), 0.5 * (faces[1:] + faces[:-1])
    asked = np.minimum(4e-3, 3e-4 + 0.15 * centres)
    assert (widths < 1.08 * asked).all()
    assert (widths > 0.7 * asked).all()


def test_volumes_are_those_of_the_box_and_of_the_cylinder():
    x = graded_faces([0.0], -0.01, 0.02, **GRADING)
    box = TensorGrid((Axis(x), Axis(x), Axis(x)))
    assert box.volumes.sum() == pytest.approx(0.03**3)
    assert box.centres().shape == (*box.shape, 3)
    r = graded_faces([0.0], 0.0, 0.02, **GRADING)
    cylinder = TensorGrid((Axis(r, radial=True), Axis(x)))
    assert cylinder.axisymmetric
    assert cylinder.volumes.sum() == pytest.approx(np.pi * 0.02**2 * 0.03)
    assert np.all(cylinder.centres()[..., 1] == 0)


def test_rings_in_series_resist_as_a_cylinder_shell_does():
    """ln(b / a) / (2 pi) per metre of height, whatever the cells."""
    axis = Axis(np.array([1e-3, 1.5e-3, 4e-3, 9e-3]), radial=True)
    low, high = axis.half_resistances()
    assert (low + high).sum() == pytest.approx(np.log(9.0) / (2 * np.pi))


@pytest.mark.parametrize("faces", [[0.0, 1.0], [0.0, 1.0, 1.0], [0.0, 2.0, 1.0]])
def test_faces_that_do_not_rise_are_refused(faces):
    with pytest.raises(InputError, match="must rise"):
        Axis(np.array(faces))
