"""Zones of light: largest coefficients by brute force, and the same light with and without them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.errors import InputError
from neurolysis.physics.grid import graded_faces
from neurolysis.physics.light import LightBox, LightSource, Medium, Play, shine
from neurolysis.physics.light_zones import MOST_KINDS, zone_tables

MEDIA = (Medium(20.0, 16_000.0, 0.9), Medium(25.0, 1_300.0, 0.9), Medium(300.0, 9_000.0, 0.8))
WHOLE = float("inf")


def bone_and_muscle(indices=(1.0,), cut=0.0):
    """A graded block: muscle round the source, a slab of bone-like medium beside it, a third in a corner."""
    faces = graded_faces([0.0], -0.02, 0.02, finest=0.0004, growth=1.1, coarsest=0.002, centred=False)
    middle = 0.5 * (faces[1:] + faces[:-1])
    media = np.ones((len(middle),) * 3, np.uint16)
    media[middle > 0.002] = 0
    media[:, :, middle < -0.003] = 2
    planes = (
        (-0.02, 0.02) if len(indices) == 1 else (-0.02, float(faces[np.argmin(np.abs(faces - cut))]), 0.02)
    )
    return LightBox((faces,) * 3, media, MEDIA, planes, indices, 1.0, 1.0, 1.0)


def totals(box):
    return np.array([m.absorption + m.scattering for m in box.optics])[box.media]


@settings(max_examples=25, deadline=None)
@given(paths=st.floats(0.5, 60), seed=st.integers(0, 9), layered=st.booleans())
def test_every_cell_lies_in_zones_that_interact_as_much_as_it_does(paths, seed, layered):
    rng = np.random.default_rng(seed)
    faces = [np.concatenate([[0.0], np.cumsum(rng.uniform(0.2, 3.0, n))]) * 1e-3 for n in (7, 9, 11)]
    media = rng.integers(0, 3, (7, 9, 11)).astype(np.uint16)
    planes = (0.0, float(faces[2][4]), float(faces[2][-1])) if layered else (0.0, float(faces[2][-1]))
    box = LightBox(tuple(faces), media, MEDIA, planes, (1.3, 1.4)[: len(planes) - 1], 1.0, 1.0, 1.0)
    zones = zone_tables(box, None, paths=paths)
    rows, total = zones.rows.astype(float), totals(box)
    wide = 1e-9 + np.float32(1e-6)
    for zone in np.ndindex(zones.kinds.shape):
        low, high = rows[zone][0:6:2], rows[zone][1:6:2]
        inside = [(f[1:] > a + wide) & (f[:-1] < b - wide) for f, a, b in zip(faces, low, high, strict=True)]
        largest = total[np.ix_(*inside)].max()
        assert rows[zone][6] == pytest.approx(1 / largest, rel=1e-6)
        assert zones.optics[zones.kinds[zone], 0, 3] == pytest.approx(1 / largest, rel=1e-12)
    for axis in range(3):
        lows = np.unique(rows[..., 2 * axis])
        highs = np.unique(rows[..., 2 * axis + 1])
        assert np.array_equal(lows[1:], highs[:-1])
        assert np.isin(lows, faces[axis].astype(np.float32)).all()
    if layered:
        assert np.float32(planes[1]) in rows[..., 4]
        assert set(zones.layers.tolist()) == {0, 1}


def test_shares_of_a_collision_are_shares_and_give_back_the_coefficients():
    box = bone_and_muscle()
    zones = zone_tables(box, None)
    assert zones.kinds.size > 8
    assert zones.optics[..., :2].min() >= 0
    assert zones.optics[..., :2].max() <= 1
    top = zones.optics[np.argmin(zones.optics[:, 0, 3])]
    for row, medium in zip(top, box.optics, strict=True):
        assert row[0] / row[3] == pytest.approx(medium.absorption)
        assert (1 - row[0]) * row[1] / row[3] == pytest.approx(medium.scattering)


def test_many_coefficients_are_rounded_up_to_a_few():
    media = tuple(Medium(1.0, 1_000.0 + 7.0 * k, 0.9) for k in range(1000))
    faces = np.arange(11) * 1e-2
    cells = np.arange(1000, dtype=np.uint16).reshape(10, 10, 10)
    box = LightBox((faces,) * 3, cells, media, (0.0, 0.1), (1.0,), 1.0, 1.0, 1.0)
    zones = zone_tables(box, None, paths=0.1)
    assert zones.kinds.shape == (10, 10, 10)
    assert len(zones.optics) <= MOST_KINDS
    largest = 1 / zones.rows[..., 6].astype(float)
    assert (largest >= totals(box) * (1 - 1e-6)).all()
    assert (largest <= totals(box) * 1.05).all()


@pytest.mark.parametrize("indices", [(1.0,), (1.5, 1.1)])
def test_zones_change_the_work_and_not_the_light(indices):
    """Absorbed shares of the three media and what leaves, each within its own errors; half the collisions."""
    box = bone_and_muscle(indices)
    source = [LightSource("beam", (0.0, 0.0, 0.0), (0.3, 0.1, -1.0), radius=0.0002, sine=0.17)]
    runs = {
        paths: [shine(box, source, Play(3_000, seed, least=0.05, zone_paths=paths)) for seed in range(1, 9)]
        for paths in (WHOLE, 8.0)
    }
    assert all(light.balance_error < 1e-6 for lights in runs.values() for light in lights)

    def told(light):
        by_medium = [float(light.absorbed[box.media == k].sum()) for k in range(3)]
        near = float(light.absorbed[:, :, 10:30][:, 10:30].sum())
        deep = float((light.fluence * box_volumes(box))[box.media == 0].sum())
        return [*by_medium, near, deep, light.above, light.below, light.sides]

    whole, cut = (np.array([told(light) for light in runs[paths]]) for paths in (WHOLE, 8.0))
    error = np.sqrt((whole.var(axis=0, ddof=1) + cut.var(axis=0, ddof=1)) / 8)
    off = np.abs(whole.mean(axis=0) - cut.mean(axis=0)) / np.maximum(error, 1e-12)
    assert off.max() < 4.5, off
    collisions = [sum(light.collisions for light in runs[paths]) for paths in (WHOLE, 8.0)]
    assert collisions[1] < 0.5 * collisions[0]


def box_volumes(box):
    x, y, z = (np.diff(f) for f in box.faces)
    return x[:, None, None] * y[None, :, None] * z[None, None, :]


def test_zones_give_the_same_to_the_last_bit_for_any_number_of_threads():
    from numba import config

    box, source = bone_and_muscle(), [LightSource("point", (0.0, 0.0, 0.0))]
    one = shine(box, source, Play(4_000, threads=1))
    many = shine(box, source, Play(4_000, threads=config.NUMBA_NUM_THREADS))
    assert np.array_equal(one.fluence, many.fluence)
    assert one.collisions == many.collisions


def test_a_clear_stretch_between_scattering_ones_lets_light_through_unchanged():
    """Zones without any interaction: a beam through them arrives whole."""
    faces = np.arange(31) * 1e-3
    media = np.ones((30, 30, 30), np.uint16)
    media[:, :, :3] = 0
    box = LightBox(
        (faces,) * 3, media, (Medium(2_000.0, 0.0), Medium(0.0, 0.0)), (0.0, 0.03), (1.0,), 1.0, 1.0, 1.0
    )
    light = shine(box, [LightSource("beam", (0.0155, 0.0155, 0.001))], Play(20_000, zone_paths=3.0))
    # 2 mm of the absorbing medium, then 27 mm of nothing.
    assert light.below == pytest.approx(np.exp(-4.0), abs=5 * light.error_below)
    assert light.direct_below == light.below


def test_a_width_below_zero_is_refused():
    with pytest.raises(InputError, match="zones"):
        Play(100, zone_paths=0.0)
