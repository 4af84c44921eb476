"""The plane of an ultrasound image, how a needle lies to it, and the simulated image with its exact truth."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

import neurolysis
from neurolysis.cli import run
from neurolysis.errors import InputError
from neurolysis.localization.ultrasound.bmode import sonogram
from neurolysis.localization.ultrasound.placing import probe_over
from neurolysis.localization.ultrasound.probe import Probe, needle_sight
from neurolysis.scene import Scene, TissueMap

from .made_by_hand import block, nerve, properties

DEMO = Path(neurolysis.__file__).parent / "data/demo"
numbers = st.floats(-1, 1, allow_nan=False)
directions = st.tuples(numbers, numbers, numbers).filter(lambda v: np.linalg.norm(v) > 0.2)


def straight_down(**more: float) -> Probe:
    """Face middle at (0, -20, 0), across to the patient's left (x), beam to the back (y)."""
    return Probe.at([0, -20, 0], [1, 0, 0], [0, 1, 0], **{"width_mm": 40, "depth_mm": 40, **more})


@given(directions, directions, st.floats(-10, 200), st.floats(-10, 200))
def test_pixel_and_place_are_each_others_inverse(beam, across, column, row) -> None:
    """Any probe: a pixel's place lies in the plane and comes back to the pixel."""
    if np.linalg.norm(np.cross(beam, across)) < 0.05:
        return
    probe = Probe.at([1, 2, 3], across, beam)
    pixel, away = probe.to_pixel(probe.to_lps([column, row]))
    assert pixel == pytest.approx([column, row], abs=1e-6)
    assert abs(away) < 1e-9


def test_first_and_last_pixel_by_hand() -> None:
    """400 x 400 pixels of 0.1 mm: the first is half a pixel inside the image's corner."""
    probe = straight_down()
    assert probe.shape == (400, 400)
    assert probe.to_lps([0, 0]) == pytest.approx([-19.95, -19.95, 0])
    assert probe.to_lps([399, 399]) == pytest.approx([19.95, 19.95, 0])
    assert probe.normal == pytest.approx([0, 0, 1])


@pytest.mark.parametrize(
    ("tip", "hub", "approach", "plane", "face"),
    [
        ((0, 0, 0), (-30, -30, 0), "in-plane", 0, 45),
        ((0, 0, 0), (-30, 0, 0), "in-plane", 0, 0),
        ((0, 0, 0), (0, -30, 0), "in-plane", 0, 90),
        ((0, 0, 0), (0, -30, 30), "out-of-plane", 45, 45),
        ((0, 0, 0), (0, 0, 30), "out-of-plane", 90, 0),
        ((0, 0, 0), (30, 0, 30), "oblique", 45, 0),
    ],
)
def test_approach_and_angles_by_hand(tip, hub, approach, plane, face) -> None:
    """45 degrees down along, along, straight down, 45 degrees down across, straight across, askew."""
    sight = needle_sight(straight_down(), tip, hub, (0, 4, 3))
    assert sight.approach == approach
    assert sight.plane_angle_deg == pytest.approx(plane, abs=1e-6)
    assert sight.face_angle_deg == pytest.approx(face, abs=1e-6)
    assert sight.tip_depth_mm == pytest.approx(20)
    assert sight.target_depth_mm == pytest.approx(24)
    assert sight.target_off_plane_mm == pytest.approx(3)
    assert sight.tip_to_target_mm == pytest.approx(5)
    assert sight.tip_in_image


def test_seen_length_by_hand() -> None:
    """Along the plane all of it up to the image's edge; across it the slice's thickness."""
    along = needle_sight(straight_down(), (0, 0, 0), (-30, 0, 0))
    assert along.seen_length_mm == pytest.approx(20, abs=0.05)
    assert along.mirrored_share == 1
    across = needle_sight(straight_down(slice_mm=2.0), (0, 0, -10), (0, 0, 30))
    assert across.seen_length_mm == pytest.approx(2.0, abs=0.05)
    assert not across.tip_in_image
    assert "dot" in across.words


def test_a_steep_needle_mirrors_its_echo_away() -> None:
    """A mirror at angle a turns the beam by 2 a: at 10 degrees it meets the face again, at 45 it does not."""
    flat = needle_sight(straight_down(), (0, -5, 0), (-20, -5 - 20 * np.tan(np.radians(10)), 0))
    steep = needle_sight(straight_down(), (0, 0, 0), (-20, -20, 0))
    assert flat.mirrored_share > 0.9
    assert steep.mirrored_share < 0.1


def test_bad_probes_are_refused() -> None:
    """Parallel directions, a direction that is none, tip and hub in one place."""
    with pytest.raises(InputError, match="along its beam"):
        Probe.at([0, 0, 0], [0, 1, 0], [0, 1, 0])
    with pytest.raises(ValidationError, match="square"):
        Probe(face_mm=(0, 0, 0), across=(1, 0, 0), beam=(0.8, 0.6, 0))
    with pytest.raises(InputError, match="direction"):
        needle_sight(straight_down(), (1, 1, 1), (1, 1, 1))


# ------------------------------------------------------------------ simulated image


def layered(bone_from_mm: float = 5.0, nerves=(), left_only: bool = False) -> Scene:
    """60 mm of muscle with bone from a depth (y) on; one nerve along z where wanted."""
    image = block((60, 60, 60))
    points = image.to_lps(np.moveaxis(np.indices(image.shape), 0, -1))
    bone = points[..., 1] > bone_from_mm
    if left_only:
        bone &= points[..., 0] > 0
    names = ("muscle", "bone")
    tissues = TissueMap(volume=image.with_array(bone.astype(np.int16)), names=names, outside="muscle")
    return Scene(image=image, tissues=tissues, properties={n: properties(n) for n in names}, nerves=nerves)


def test_places_in_the_picture_are_exact() -> None:
    """Bone's front, the nerve's section, and the shadow, where the scene has them, to a pixel or a voxel."""
    course = nerve([[-8, -5, -20], [-8, -5, 20]])
    made = sonogram(layered(5.0, (course,)), straight_down())
    rows, columns = np.nonzero(made.nerve)
    centre = made.probe.to_pixel([-8, -5, 0])[0]
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(centre), abs=0.5)
    assert made.nerve.sum() * 0.01 == pytest.approx(np.pi * 0.5**2, rel=0.05)
    brightest = made.picture[200:].astype(float).mean(axis=1).argmax() + 200
    front = made.probe.to_pixel([0, 5, 0])[0][1]
    assert abs(brightest - front) <= 6  # half a voxel of 1 mm
    assert made.picture[330:].max() < 10
    assert made.shadow[330:].all()
    assert not made.shadow[: int(front) - 6].any()


def test_shadow_falls_only_behind_bone() -> None:
    """Bone on one side: the other side stays bright at the same depth."""
    made = sonogram(layered(-5.0, left_only=True), straight_down())
    assert made.picture[300:, 230:].mean() < 10
    assert made.picture[300:, :170].mean() > 60


def test_speckle_is_fully_developed() -> None:
    """Mean over spread of a Rayleigh envelope is sqrt(pi / (4 - pi)) = 1.913."""
    from neurolysis.localization.ultrasound import bmode

    look, probe = bmode.echo_settings(), straight_down(pixel_mm=0.05)
    echo = bmode._echoes(np.zeros(probe.shape), probe, look, 10.0, np.random.default_rng(1))
    inner = echo[50:-50, 50:-50]
    assert inner.mean() / inner.std() == pytest.approx(1.913, rel=0.05)
    coarse = bmode._echoes(
        np.zeros(straight_down().shape), straight_down(), look, 10.0, np.random.default_rng(1)
    )
    assert coarse.mean() == pytest.approx(inner.mean(), rel=0.05), "brightness depends on the pixel's size"


def test_the_needle_is_drawn_where_it_is() -> None:
    """Bright along its line to the tip's pixel, dark beyond; hidden behind bone; one seed, one image."""
    scene, probe = layered(25.0), straight_down()
    needle = ((0.0, 0.0, 0.0), (-40.0, 0.0, 0.0))
    with_it, without = sonogram(scene, probe, needle, seed=4), sonogram(scene, probe, seed=4)
    assert with_it.tip_px == pytest.approx(tuple(probe.to_pixel([0, 0, 0])[0]))
    changed = np.argwhere(with_it.picture > without.picture)
    tip_row, tip_column = round(with_it.tip_px[1]), round(with_it.tip_px[0])
    assert set(changed[:, 0]) <= {tip_row, tip_row + 10, tip_row - 1, tip_row + 9}
    assert changed[:, 1].max() == pytest.approx(tip_column, abs=1)
    assert np.array_equal(without.picture, sonogram(scene, probe, seed=4).picture)
    hidden = sonogram(layered(-10.0), probe, needle, seed=4)
    assert hidden.tip_hidden()
    assert not with_it.tip_hidden()


@settings(max_examples=8, deadline=None)
@given(st.floats(-8, 8), st.floats(-8, 8))
def test_the_nerve_moves_with_the_scene(x: float, y: float) -> None:
    """Wherever the nerve lies, its section in the picture lies there."""
    made = sonogram(layered(25.0, (nerve([[x, y, -20], [x, y, 20]]),)), straight_down())
    rows, columns = np.nonzero(made.nerve)
    assert (columns.mean(), rows.mean()) == pytest.approx(tuple(made.probe.to_pixel([x, y, 0])[0]), abs=1)


def test_bad_simulations_are_refused() -> None:
    """A frequency no probe has, a plane outside the scene, an approach that is none."""
    with pytest.raises(InputError, match="frequency"):
        sonogram(layered(), straight_down(), frequency_mhz=50)
    far = Probe.at([500, 0, 0], [1, 0, 0], [0, 1, 0])
    with pytest.raises(InputError, match="outside the scene"):
        sonogram(layered(), far)
    with pytest.raises(InputError, match="no such approach"):
        probe_over(layered(), np.zeros(3), np.array([0, -50.0, 0]), approach="sideways")


def test_the_probe_stands_over_the_needle() -> None:
    """In-plane the whole needle lies in the plane; out-of-plane only the tip; a shift moves it off."""
    image = block((60, 60, 60))
    body = image.with_array(np.where(np.indices(image.shape)[1] < 8, -1000, 40).astype(np.int16))
    names = ("muscle",)
    scene = Scene(
        image=body,
        tissues=TissueMap(volume=image, names=names, outside="muscle"),
        properties={"muscle": properties()},
    )
    tip, hub = np.array([0.0, 5.0, 0.0]), np.array([40.0, -45.0, 0.0])
    laid = probe_over(scene, tip, hub, approach="in-plane")
    assert laid.words == "on the skin"
    assert laid.probe.face_mm[1] == pytest.approx(-21.5, abs=1.01)  # air up to index 8, 8 - 29.5
    assert needle_sight(laid.probe, tip, hub).approach == "in-plane"
    across = probe_over(scene, tip, hub, approach="out-of-plane")
    assert needle_sight(across.probe, tip, hub).approach == "out-of-plane"
    moved = probe_over(scene, tip, hub, approach="in-plane", shift_mm=3)
    assert abs(needle_sight(moved.probe, tip, hub).tip_off_plane_mm) == pytest.approx(3)
    assert not needle_sight(moved.probe, tip, hub).tip_in_image


def test_the_command_rehearses_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The demo's needle in-plane: the picture and what is said of it."""
    out = tmp_path / "sim.png"
    assert run(["simulate-ultrasound", str(DEMO), "--out", str(out), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert out.is_file()
    assert said["sight"]["approach"] == "in-plane"
    assert said["sight"]["plane_angle_deg"] == pytest.approx(0, abs=1e-6)
    assert said["tip_hidden"] in (True, False)
    assert "edge of the image" in said["face"]
    assert "by eye" in said["simulated"]
    assert run(["simulate-ultrasound", str(DEMO), "--out", str(out)]) == 5
