"""The skin against bodies of known shape: on every side, off the table, and not where a lung is cut."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.ndimage import binary_dilation

from neurolysis.app.cases import load_case
from neurolysis.app.demo import demo_case
from neurolysis.case import Case, ImageSource, Patient
from neurolysis.geometry import FloatArray, Volume
from neurolysis.localization.schemes import Labels
from neurolysis.localization.skin import body_mask, cut_mm, find_skin
from neurolysis.localization.structures import Surroundings, skin_structure
from neurolysis.scene import Structure

from .phantoms import flipped

ALL = {"left", "right", "front", "back", "head", "feet"}
CASE = Case(id="c", patient=Patient(id="p"), image=ImageSource(path="ct.nii.gz"))
Shape = Callable[[FloatArray, FloatArray, FloatArray], FloatArray]


def image(hu: Shape, spacing: float = 2.0, half: float = 50.0) -> Volume:
    """CT numbers of a function of x, y, z on a cube about the origin; axes stored as y, -z, -x."""
    count = round(2 * half / spacing)
    affine = np.zeros((4, 4))
    affine[1, 0], affine[2, 1], affine[0, 2] = spacing, -spacing, -spacing
    edge = half - spacing / 2
    affine[:, 3] = edge, -edge, edge, 1
    empty = Volume(array=np.zeros((count,) * 3), affine=affine, name="body")
    x, y, z = np.moveaxis(empty.to_lps(np.moveaxis(np.indices(empty.shape), 0, -1)), -1, 0)
    return empty.with_array(np.asarray(hu(x, y, z), float))


def ball(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    return np.where(x**2 + y**2 + z**2 < 40**2, 40.0, -1000.0)


def trunk(x: FloatArray, y: FloatArray, z: FloatArray) -> FloatArray:
    """A cylinder 80 mm wide that runs through the image from head to feet."""
    return np.where(x**2 + y**2 < 40**2, 40.0, -1000.0)


def skin_of(volume: Volume, centre: tuple[float, float, float] | None, case: Case = CASE) -> Structure:
    place = None if centre is None else np.array(centre)
    return skin_structure(case, Surroundings(image=volume, labels=Labels(), centre_mm=place))


def test_the_skin_of_a_ball_is_its_whole_surface_and_no_deeper_than_two_millimetres() -> None:
    volume = image(ball)
    found = find_skin(volume)
    assert found is not None
    assert set(found.sides) == ALL
    surface = found.body & binary_dilation(~found.body)
    assert (found.mask == surface).all(), "voxels of 2 mm: one layer, every voxel with air at a face"


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_side_is_the_patients_not_the_files(axis: int) -> None:
    """Half a ball, flat at the image's edge at the back, stored any way round."""
    cut = image(lambda x, y, z: ball(x, y - 30, z))
    for volume in (cut, flipped(cut, axis)):
        found = find_skin(volume)
        assert found is not None
        assert set(found.sides) == ALL - {"back"}
        assert cut_mm(volume, found.body, np.zeros(3)) == pytest.approx(np.hypot(49, np.sqrt(2)))


def test_a_trunk_has_skin_around_and_none_at_its_ends() -> None:
    found = find_skin(image(trunk))
    assert found is not None
    assert set(found.sides) == ALL - {"head", "feet"}
    assert cut_mm(image(trunk), found.body, np.zeros(3)) is None


def test_a_table_is_no_skin() -> None:
    """A plate 4 mm behind the back: the skin ends before it."""
    volume = image(lambda x, y, z: np.where((y > 44) & (y < 47), 200.0, trunk(x, y, z)))
    found = find_skin(volume)
    assert found is not None
    assert "back" in found.sides
    assert volume.to_lps(np.argwhere(found.mask))[:, 1].max() < 40


@pytest.mark.parametrize(("beyond", "seen"), [(-1000.0, True), (-800.0, False)])
def test_a_lung_that_the_image_cuts_is_no_outside(beyond: float, seen: bool) -> None:
    """Behind the front half lies either air or lung, to the image's edge."""
    found = find_skin(image(lambda x, y, z: np.where(y < 0, beyond, 40.0)))
    assert (found is not None) is seen
    assert found is None or found.sides == ("front",)


def test_less_than_half_a_side_is_not_seen() -> None:
    """Air beyond a corner of the body only."""
    assert find_skin(image(lambda x, y, z: np.where((x > 10) & (y > 10), -1000.0, 40.0))) is None


def test_a_body_without_an_end_has_no_skin() -> None:
    volume = image(lambda x, y, z: 40.0 + 0 * x)
    assert find_skin(volume) is None
    assert skin_of(volume, (0, 0, 0)).unknown_reason == "skin outside image"
    assert body_mask(volume).all()


def test_skin_nearer_than_that_in_the_image_is_not_passed_over() -> None:
    """The front is cut 20 mm before the target; the back's skin, 30 mm away, must not stand for it."""
    volume = image(lambda x, y, z: np.where(y > 30, -1000.0, 40.0))
    near = skin_of(volume, (0, -30, 0))
    assert near.mask is None
    assert near.unknown_reason.startswith("the image ends inside the body 19 mm from the target")
    assert skin_of(volume, (0, 15, 0)).mask is not None, "the back is nearer than any cut edge"
    assert skin_of(volume, None).mask is not None, "no target, no nearest"


def test_a_depth_in_the_case_is_named_beside_the_reason() -> None:
    volume = image(lambda x, y, z: np.where(y > 30, -1000.0, 40.0))
    reason = skin_of(volume, (0, -30, 0), CASE.replace(skin_depth_mm=41.0)).unknown_reason
    assert "the image ends" in reason
    assert "41 mm" in reason


def test_numbers_of_another_modality_tell_no_skin() -> None:
    mr = CASE.replace(image=ImageSource(path="mr.nii.gz", modality="MR"))
    assert skin_of(image(ball), (0, 0, 0), mr).mask is None


def test_the_skin_of_the_groin_is_seen_in_front() -> None:
    """A real CT around a hip: the nerve lies under the skin of the front and the right side."""
    from neurolysis.localization.scene_builder import build_scene

    scene = build_scene(*load_case(demo_case("meralgia")))
    (skin,) = [one for one in scene.structures if one.kind == "skin"]
    assert skin.derivation.startswith("outermost layer of the body towards right, front")
    assert skin.mask is not None
    gap = skin.mask.to_lps(np.argwhere(skin.mask.array)) - scene.target().curve.as_array().mean(axis=0)
    assert 30 < np.linalg.norm(gap, axis=1).min() < 40
