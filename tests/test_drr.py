"""Simulated X-rays: exact chords, the independent renderer, and pictures."""

from __future__ import annotations

import numpy as np
import pytest
from tests.xrays import attenuation, carm_of, xray

from neurolysis.errors import InputError
from neurolysis.geometry import Volume
from neurolysis.localization.fluoroscopy.carm import Angles, CArm
from neurolysis.localization.fluoroscopy.drr import WATER_PER_MM, Attenuation, shades, simulated_xray


def water(shape: tuple[int, int, int] = (41, 41, 41), spacing: float = 2.0) -> Volume:
    """A cube of water in air round the origin; its faces lie half way to the next voxel."""
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = [-(n - 1) / 2 * spacing for n in shape]
    array = np.full(shape, -1000, np.int16)
    array[10:-10, 10:-10, 10:-10] = 0
    return Volume(array=array, affine=affine)


@pytest.mark.parametrize("angles", [Angles(), Angles(lao_deg=90), Angles(lao_deg=-90), Angles(lao_deg=180)])
def test_a_cube_of_water_gives_its_thickness(angles: Angles) -> None:
    """21 voxels of 2 mm: the ray through the middle crosses 42 mm."""
    made = simulated_xray(
        Attenuation.of(water()), CArm.at((0, 0, 0), angles, "prone", pixel_mm=3.0, columns=65, rows=65)
    )
    assert made[32, 32] == pytest.approx(42 * WATER_PER_MM, rel=1e-4)
    assert made[0, 0] == 0


def test_an_oblique_ray_crosses_a_longer_way() -> None:
    """At 30 degrees the middle ray crosses 42 / cos(30) mm."""
    carm = CArm.at((0, 0, 0), Angles(lao_deg=30), "supine", pixel_mm=3.0, columns=65, rows=65)
    made = simulated_xray(Attenuation.of(water()), carm)
    assert made[32, 32] == pytest.approx(42 / np.cos(np.radians(30)) * WATER_PER_MM, rel=0.01)


def test_skipping_planes_and_halving_the_volume_keep_the_integral() -> None:
    """Coarser, not biased."""
    whole = Attenuation.of(water())
    carm = CArm.at((0, 0, 0), Angles(lao_deg=20, cranial_deg=10), "supine", pixel_mm=5.0, columns=33, rows=33)
    exact = simulated_xray(whole, carm)
    assert simulated_xray(whole, carm, every=2).sum() == pytest.approx(exact.sum(), rel=0.06)
    assert simulated_xray(whole.halved(), carm).sum() == pytest.approx(exact.sum(), rel=0.06)


@pytest.mark.parametrize("key", ["img00", "img01", "img02", "img03"])
def test_an_independent_renderer_gives_the_same_picture(key: str) -> None:
    """Full resolution and SciPy there, 2.8 mm and our rays here: correlation above 0.995, same mean."""
    made, other = simulated_xray(attenuation(), carm_of(key)), xray(key)
    assert np.corrcoef(made.ravel(), other.ravel())[0, 1] > 0.995
    assert made.mean() == pytest.approx(other.mean(), rel=0.02)


def test_bone_is_dark_and_air_is_bright() -> None:
    """Grey values of the picture."""
    made = simulated_xray(attenuation(), carm_of("img00"))
    picture = shades(made)
    assert picture.shape == made.shape
    cube = simulated_xray(Attenuation.of(water()), CArm.at((0, 0, 0), Angles(), "prone"))
    assert shades(cube)[cube == 0].min() == 245
    assert shades(np.zeros((8, 8), np.float32)).min() == 255
    spine = picture[100:160, 120:136].mean()
    assert spine < picture[100:160, 60:76].mean()


def test_a_single_slice_is_refused() -> None:
    """No X-ray through one slice."""
    with pytest.raises(InputError, match="needs a volume"):
        Attenuation.of(Volume(array=np.zeros((4, 4, 1), np.int16), affine=np.eye(4)))
