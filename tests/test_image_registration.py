"""Registration: landmarks, surfaces and images with known moves, and failure that is said."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import neurolysis
from neurolysis.cli import run
from neurolysis.errors import InputError
from neurolysis.geometry import RigidTransform, Volume
from neurolysis.localization.images import read_image
from neurolysis.localization.registration.landmarks import register_landmarks
from neurolysis.localization.registration.result import ImageRegistration, turned
from neurolysis.localization.registration.surface import register_surfaces, surface_of
from neurolysis.localization.registration.volumes import agreement, register_volumes
from neurolysis.localization.targets.uncertainty import carry_error

from .made_by_hand import straight

DEMO = Path(neurolysis.__file__).parent / "data/demo"
CORNERS = np.array([[0, 0, 0], [40, 0, 5], [0, 50, 0], [10, 5, 60], [-30, 20, 20], [25, 40, 45.0]])


def known_move(turn_deg=(4, -5, 6), shift_mm=(6, -4, 5), about=(0, 0, 0)) -> RigidTransform:
    rotation, centre = turned(np.radians(turn_deg)), np.array(about, float)
    return RigidTransform.from_arrays(rotation, centre - rotation @ centre + shift_mm)


def apart_mm(found: RigidTransform, true: RigidTransform, points: np.ndarray) -> float:
    """Mean distance (mTRE) of points of the moving image under two moves."""
    return float(np.linalg.norm(found.apply(points) - true.apply(points), axis=1).mean())


# ------------------------------------------------------------------ landmarks


@settings(max_examples=12, deadline=None)
@given(
    st.tuples(*3 * [st.floats(-170, 170)]),
    st.tuples(*3 * [st.floats(-200, 200)]),
    st.integers(3, 6),
)
def test_exact_pairs_give_the_exact_move(turn, shift, number) -> None:
    """Any rigid move comes back from three or more exact pairs, never a mirror image."""
    true = known_move(turn, shift)
    found = register_landmarks(CORNERS[:number], true.apply(CORNERS[:number]), 0.5)
    assert found.verdict == "found"
    assert apart_mm(found.move, true, CORNERS) < 1e-6
    assert np.linalg.det(np.array(found.move.rotation)) == pytest.approx(1)


@pytest.mark.parametrize("target", [(5, 20, 20), (100, 0, 0), (0, -120, 80)])
def test_the_error_at_a_target_is_what_repeats_show(target) -> None:
    """500 repeats of picking with 0.8 mm in either image: the stated error is theirs within 8 %."""
    rng, sd = np.random.default_rng(3), 0.8
    true = known_move()
    fixed = true.apply(CORNERS)
    at = true.apply(np.array(target, float))
    errors, stated = [], 0.0
    for _ in range(500):
        found = register_landmarks(
            CORNERS + rng.normal(size=CORNERS.shape) * sd, fixed + rng.normal(size=fixed.shape) * sd, sd
        )
        errors.append(found.move.apply(np.array(target, float)) - at)
        stated += found.error_sd_mm(at) / 500
    seen = float(np.sqrt((np.array(errors) ** 2).mean()))
    assert stated == pytest.approx(seen, rel=0.08)


def test_a_picking_error_is_estimated_from_what_is_left() -> None:
    """Many pairs: the residual's standard deviation is that of a pair, root two of one image's."""
    rng = np.random.default_rng(0)
    points = rng.uniform(-50, 50, (400, 3))
    moved = known_move().apply(points) + rng.normal(size=points.shape)
    assert register_landmarks(points, moved).measures["pair_sd_mm"] == pytest.approx(1.0, rel=0.05)


def test_swapped_landmarks_fail() -> None:
    """Two pairs exchanged: no success is claimed, and the reason names one of them."""
    fixed = known_move().apply(CORNERS)
    fixed[[1, 2]] = fixed[[2, 1]]
    found = register_landmarks(CORNERS, fixed, 1.0)
    assert found.verdict == "failed"
    assert "pair" in found.reason
    assert found.error_part((0, 0, 0)).standard_deviation_mm is None


@pytest.mark.parametrize(
    ("points", "sd", "words"),
    [
        (CORNERS[:2], 1.0, "pairs"),
        (np.outer(np.arange(5), [10.0, 5, 0]), 1.0, "on a line"),
        (np.full((4, 3), np.nan), 1.0, "finite"),
        (CORNERS, 0.0, "picking error"),
        (CORNERS, 50.0, "picking error"),
    ],
)
def test_bad_landmarks_are_refused(points, sd, words) -> None:
    """Too few, in a line, not finite, an error that is none."""
    with pytest.raises(InputError, match=words):
        register_landmarks(points, points, sd)


def test_the_error_grows_the_spread_of_a_target() -> None:
    """3 mm of place and 4 mm of registration are 5 mm; a failed registration leaves it and says so."""
    nerve = straight(0.0, sd=3.0)
    covariance = np.zeros((6, 6))
    covariance[3:, 3:] = 16 * np.eye(3)
    base = register_landmarks(CORNERS, CORNERS, 1.0).model_dump()
    made = ImageRegistration.model_validate({**base, "covariance": tuple(map(tuple, covariance.tolist()))})
    grown = carry_error(nerve, made.error_part((0, 0, 0)))
    assert grown.position_sd_mm.value == pytest.approx(5.0)
    assert "registration" in grown.derivation
    failed = ImageRegistration.model_validate({**made.model_dump(), "verdict": "failed"})
    kept = carry_error(nerve, failed.error_part((0, 0, 0)))
    assert kept.position_sd_mm.value == 3.0
    assert "not counted: registration" in kept.derivation


def test_a_turn_counts_more_far_away() -> None:
    """A turn of 0.01 rad about z: 1 mm at 100 mm to the side, nothing on the axis."""
    covariance = np.zeros((6, 6))
    covariance[2, 2] = 0.01**2
    base = register_landmarks(CORNERS, CORNERS, 1.0).model_dump()
    changes = {"covariance": tuple(map(tuple, covariance.tolist())), "centre_mm": (1, 2, 3)}
    made = ImageRegistration.model_validate({**base, **changes})
    assert made.error_sd_mm((101, 2, 3)) == pytest.approx(1 / np.sqrt(3))
    assert made.error_sd_mm((1, 2, 80)) == 0


# ------------------------------------------------------------------ surfaces


def grid(shape, spacing, corner) -> Volume:
    affine = np.diag([*np.array(spacing, float), 1.0])
    affine[:3, 3] = corner
    return Volume(array=np.zeros(shape, np.uint8), affine=affine)


def solid(image: Volume, where) -> Volume:
    points = image.to_lps(np.moveaxis(np.indices(image.shape), 0, -1))
    return image.with_array(where(points).astype(np.uint8))


def crooked(points: np.ndarray) -> np.ndarray:
    """A body with two different arms: no move but none leaves it as it is."""
    x, y, z = np.moveaxis(points, -1, 0)
    body = (np.abs(x) < 18) & (np.abs(y) < 12) & (np.abs(z) < 10)
    return body | ((y > 0) & (y < 34) & (np.abs(x - 6) < 5) & (np.abs(z) < 5)) | (
        (x > 0) & (x < 40) & (np.abs(y + 6) < 5) & (np.abs(z - 5) < 5)
    )  # fmt: skip


def test_surfaces_of_a_shape_find_the_move() -> None:
    """Drawn on two grids of other voxels, 6 degrees and 8 mm apart: below half a voxel."""
    true = known_move((6, -4, 5), (5, 6, -3))
    moving = solid(grid((66, 60, 40), (1.0, 1.0, 1.0), (-24, -18, -18)), crooked)
    fixed = solid(
        grid((64, 64, 40), (1.2, 1.1, 1.3), (-28, -24, -26)), lambda p: crooked(true.inverse().apply(p))
    )
    found = register_surfaces(surface_of(moving), surface_of(fixed))
    assert found.verdict == "found", found.reason
    places = np.argwhere(moving.array > 0)[::50]
    assert apart_mm(found.move, true, moving.to_lps(places)) < 0.5
    assert found.measures["gap_rms_mm"] < 1


@pytest.mark.parametrize(
    "where",
    [
        lambda p: np.linalg.norm(p, axis=-1) < 15,
        lambda p: np.linalg.norm(p[..., :2], axis=-1) < 8,
    ],
)
def test_a_ball_and_a_tube_do_not_hold(where) -> None:
    """A ball may turn and a tube slide: their surfaces fit perfectly and say nothing."""
    image = solid(grid((40, 40, 40), (1, 1, 1), (-19.5, -19.5, -19.5)), where)
    found = register_surfaces(surface_of(image), surface_of(image, seed=1))
    assert found.verdict == "failed", found.measures
    assert "does not hold" in found.reason


def test_different_shapes_fail() -> None:
    """A ball against the crooked body."""
    moving = solid(grid((66, 60, 40), (1.0, 1.0, 1.0), (-24, -18, -18)), crooked)
    other = solid(grid((80, 80, 80), (1, 1, 1), (-40, -40, -40)), lambda p: np.linalg.norm(p, axis=-1) < 30)
    assert register_surfaces(surface_of(moving), surface_of(other)).verdict == "failed"


def test_too_little_surface_is_refused() -> None:
    """One voxel has six faces."""
    image = grid((9, 9, 9), (1, 1, 1), (0, 0, 0))
    one = image.array.copy()
    one[4, 4, 4] = 1
    with pytest.raises(InputError, match="too little surface"):
        surface_of(image.with_array(one))


# ------------------------------------------------------------------ images


@cache
def demo_ct() -> Volume:
    return read_image(DEMO / "ct.nii.gz")


def moved_image(image: Volume, move: RigidTransform, spacing_mm: float, seen=lambda values: values) -> Volume:
    """What a second scanner sees of the moved body: other voxels, other grey values, noise."""
    number = np.floor((np.array(image.shape) - 1) * image.spacing_mm / spacing_mm).astype(int)
    affine = np.array(image.affine)
    affine[:3, :3] *= spacing_mm / image.spacing_mm
    blank = Volume(array=np.zeros(number, np.float32), affine=affine)
    points = blank.to_lps(np.moveaxis(np.indices(blank.shape), 0, -1))
    values = image.sample(move.inverse().apply(points), outside=float(image.array.min()))
    rng = np.random.default_rng(1)
    return blank.with_array((seen(values) + rng.normal(size=values.shape) * 15).astype(np.float32))


def like_mr(values: np.ndarray) -> np.ndarray:
    """Grey values of another order: bone and air dark, soft tissue bright."""
    return 300 * np.exp(-(((values - 60) / 150) ** 2)) + 40 * (values > -300)


def demo_move() -> RigidTransform:
    image = demo_ct()
    return known_move(about=image.to_lps((np.array(image.shape) - 1) / 2))


def places_in(image: Volume) -> np.ndarray:
    return image.to_lps(np.random.default_rng(5).uniform(0.1, 0.9, (200, 3)) * (np.array(image.shape) - 1))


@pytest.mark.parametrize("seen", [lambda values: values, like_mr], ids=["CT", "like MR"])
def test_a_known_move_of_a_real_ct_is_found(seen) -> None:
    """9 degrees and 9 mm, other voxels, noise, and once the grey values of an MR: mTRE below 0.5 mm."""
    fixed = moved_image(demo_ct(), demo_move(), 2.0, seen)
    found = register_volumes(fixed, demo_ct())
    assert found.verdict == "found", found.reason
    assert apart_mm(found.move, demo_move(), places_in(demo_ct())) < 0.5
    at = demo_move().apply(places_in(demo_ct())[0])
    assert 0.15 < found.error_sd_mm(at) < 1.0
    assert found.error_part(at).basis == "assumption", "the shared part is an assumption and says so"


def test_images_of_nothing_in_common_fail() -> None:
    """A CT and noise: no success is claimed."""
    coarse = moved_image(demo_ct(), RigidTransform(), 4.0)
    noise = coarse.with_array(np.random.default_rng(0).normal(size=coarse.shape).astype(np.float32))
    assert register_volumes(coarse, noise).verdict == "failed"


@pytest.mark.verify
@pytest.mark.parametrize("seed", range(4))
def test_random_moves_are_found_or_said_to_fail(seed: int) -> None:
    """Moves of up to 15 degrees and 20 mm of the chest scan: within 1 mm, or "failed"."""
    from .xrays import FOLDER

    image = read_image(FOLDER / "ct.nii.gz")
    rng = np.random.default_rng(seed)
    centre = image.to_lps((np.array(image.shape) - 1) / 2)
    true = known_move(rng.uniform(-15, 15, 3), rng.uniform(-20, 20, 3), centre)
    found = register_volumes(moved_image(image, true, 3.0, like_mr if seed % 2 else np.asarray), image)
    if found.verdict == "found":
        assert apart_mm(found.move, true, places_in(image)) < 1.0


def test_agreement_by_hand() -> None:
    """An image with itself: the ratio is two; with an independent one: about one."""
    rng = np.random.default_rng(0)
    one = Volume(array=rng.uniform(size=(40, 40, 40)).astype(np.float32), affine=np.eye(4))
    other = one.with_array(rng.uniform(size=one.shape).astype(np.float32))
    points = np.moveaxis(np.indices(one.shape), 0, -1).reshape(-1, 3).astype(float)
    assert agreement(one, one, RigidTransform(), points)[0] == pytest.approx(1, abs=0.01)
    assert agreement(one, other, RigidTransform(), points)[0] < 0.005
    apart = RigidTransform(translation_mm=(20, 0, 0))
    assert agreement(one, one, apart, points)[1] == pytest.approx(0.5, abs=0.03)


# ------------------------------------------------------------------ command


def write_nifti(path: Path, image: Volume) -> Path:
    import nibabel

    ras = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    nibabel.save(nibabel.Nifti1Image(image.array, ras), path)
    return path


def test_the_command_carries_the_target(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Landmarks of the demo case moved by a known move: the target lies where it must, its spread grown."""
    fixed = write_nifti(tmp_path / "fixed.nii", moved_image(demo_ct(), demo_move(), 2.0))
    points = demo_ct().to_lps(np.array([[0.3, 0.3, 0.3], [0.7, 0.3, 0.4], [0.4, 0.7, 0.6], [0.6, 0.5, 0.3]])
                               * (np.array(demo_ct().shape) - 1))  # fmt: skip
    pairs = [
        {"name": f"p{k}", "moving_mm": p.tolist(), "fixed_mm": demo_move().apply(p).tolist()}
        for k, p in enumerate(points)
    ]
    file = tmp_path / "pairs.yaml"
    file.write_text(yaml.safe_dump({"pairs": pairs, "picking_sd_mm": 1.0}))
    argv = ["register-images", str(fixed), str(DEMO), "--method", "landmarks", "--pairs", str(file)]
    argv += ["--picture", str(tmp_path / "look.png"), "--out", str(tmp_path / "move.json"), "--json"]
    assert run(argv) == 0
    said = json.loads(capsys.readouterr().out)
    assert apart_mm(RigidTransform.model_validate(said["move"]), demo_move(), points) < 1e-6
    target = said["target"]
    before, part = target["position_sd_before_mm"], target["registration_sd_mm"]
    assert target["position_sd_mm"]["value"] == pytest.approx(np.hypot(before, part), rel=1e-3)
    assert part > 0.5
    assert json.loads((tmp_path / "move.json").read_text())["verdict"] == "found"
    with Image.open(tmp_path / "look.png") as picture:
        assert picture.size == (900, 300)
    assert run(argv) == 5


def test_a_failed_registration_stops_and_writes_no_move(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 3, a reason, and no file of a move."""
    pairs = [
        {"name": f"p{k}", "moving_mm": a, "fixed_mm": b}
        for k, (a, b) in enumerate(zip(_inside([0, 1, 2, 3]), _inside([1, 0, 2, 3]), strict=True))
    ]
    file = tmp_path / "pairs.yaml"
    file.write_text(yaml.safe_dump({"pairs": pairs, "picking_sd_mm": 0.5}))
    ct = str(DEMO / "ct.nii.gz")
    argv = ["register-images", ct, ct, "--method", "landmarks", "--pairs", str(file), "--json"]
    assert run([*argv, "--out", str(tmp_path / "move.json")]) == 3
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "failed"
    assert said["error_at_centre_mm"] is None
    assert not (tmp_path / "move.json").exists()


def _inside(order: list[int]) -> list[list[float]]:
    shares = np.array([[0.2, 0.2, 0.2], [0.8, 0.3, 0.3], [0.3, 0.8, 0.5], [0.5, 0.4, 0.8]])[order]
    return demo_ct().to_lps(shares * (np.array(demo_ct().shape) - 1)).tolist()


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--method", "magic"], "no such method"),
        (["--method", "landmarks"], "file of pairs"),
        (["--method", "surface"], "label maps"),
        (["--method", "landmarks", "--pairs", "none.yaml"], "cannot be read"),
        (["--picture", "look.jpg"], "PNG"),
    ],
)
def test_bad_commands_are_refused(more, words, capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2 and what is allowed."""
    ct = str(DEMO / "ct.nii.gz")
    assert run(["register-images", ct, ct, *more]) == 2
    assert words in capsys.readouterr().err


def test_surfaces_of_the_demo_labels_by_command(capsys: pytest.CaptureFixture[str]) -> None:
    """The same map on both sides: no move."""
    ct, labels = str(DEMO / "ct.nii.gz"), str(DEMO / "labels_vertebra.nii.gz")
    argv = ["register-images", ct, ct, "--method", "surface", "--json", "--label", "22"]
    assert run([*argv, "--fixed-labels", labels, "--moving-labels", labels]) == 0
    said = json.loads(capsys.readouterr().out)
    move = RigidTransform.model_validate(said["move"])
    assert apart_mm(move, RigidTransform(), places_in(demo_ct())) < 0.2
