"""Needle paths: limits, clearances by hand, closed forms of the chance to hit, the real CT."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.app.cases import load_case
from neurolysis.app.demo import demo_case
from neurolysis.case import Case
from neurolysis.errors import InputError
from neurolysis.geometry import Curve, Volume
from neurolysis.localization.scene_builder import build_scene
from neurolysis.planning import target_paths
from neurolysis.planning.path_hits import hit_of_line, hit_of_point, moved_tips, nerve_distances, probability
from neurolysis.planning.path_limits import PathLimits
from neurolysis.planning.path_maps import exact_gaps, make_maps, obstacles_of
from neurolysis.planning.path_scores import directions, tilt_deg
from neurolysis.planning.paths import find_paths, path_clearances, reach_for
from neurolysis.planning.target_paths import (
    PathChoices,
    TargetPaths,
    all_structures,
    located,
    paths_to_target,
    placed_paths,
)
from neurolysis.scene import Scene, Structure, TissueMap

NERVE = Curve.from_array([[-10.0, 0.0, 0.0], [10.0, 0.0, 0.0]])
LIMITS = PathLimits(length_mm=60.0, radius_mm=0.4, active_mm=10.0, up=(0.0, 1.0, 0.0))


def body(bone_at: tuple[int, int] | None = None) -> tuple[Volume, TissueMap]:
    """A ball of soft tissue, radius 40 mm, in air; a plate of bone in two planes along y where asked."""
    shape, affine = (61, 61, 61), np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -60
    image = Volume(array=np.full(shape, -1000, np.int16), affine=affine)
    points = image.to_lps(np.argwhere(np.ones(shape, bool))).reshape(*shape, 3)
    inside = np.linalg.norm(points, axis=-1) <= 40
    numbers = np.where(inside, 40, -1000).astype(np.int16)
    tissue = np.where(inside, 0, 1).astype(np.uint8)
    if bone_at is not None:
        plate = inside & (points[..., 1] >= bone_at[0]) & (points[..., 1] <= bone_at[1])
        tissue[plate] = 2
    image = image.with_array(numbers)
    names = ("muscle", "air", "bone_cortical")
    return image, TissueMap(volume=image.with_array(tissue), names=names, outside="air")


def ball(image: Volume, centre: tuple[float, float, float], radius: float, **more: object) -> Structure:
    """A structure filling a ball."""
    points = image.to_lps(np.argwhere(np.ones(image.shape, bool))).reshape(*image.shape, 3)
    mask = (np.linalg.norm(points - np.array(centre), axis=-1) <= radius).astype(np.uint8)
    return Structure(name="ball", kind="vessel", mask=image.with_array(mask), **more)


def test_directions_cover_the_half_of_a_sphere_evenly() -> None:
    """Unit vectors, all above the table, their mean half way up as the half sphere's is."""
    towards = directions(4000, (0.0, 1.0, 0.0))
    assert np.linalg.norm(towards, axis=1) == pytest.approx(1.0)
    assert towards[:, 1].min() > 0
    assert towards.mean(axis=0) == pytest.approx([0.0, 0.5, 0.0], abs=0.01)


def test_tilt_is_told_as_head_feet_and_sideways() -> None:
    """45 degrees to the head; 30 degrees to the left."""
    towards = np.array([[0, 1.0, 1.0], [np.sin(np.radians(30)), np.cos(np.radians(30)), 0]])
    head_feet, sideways = tilt_deg(towards / np.linalg.norm(towards, axis=1, keepdims=True))
    assert abs(head_feet[0]) == pytest.approx(45.0)
    assert head_feet[1] == pytest.approx(0.0)
    assert abs(sideways[1]) == pytest.approx(30.0)


def test_the_skin_lies_where_the_body_ends() -> None:
    """In a ball of 40 mm every way from the middle is about 40 mm long."""
    image, tissues = body()
    maps = make_maps(image, tissues, (), np.zeros(3), 58.0)
    found = find_paths(maps, tissues, LIMITS, Curve.from_array([[-1.0, 0, 0], [1.0, 0, 0]]), count=500)
    assert len(found.offers) == 5
    for offer in found.offers:
        assert offer.length_mm == pytest.approx(40.0, abs=3.0)
        assert offer.entry_mm[1] > 0


def test_a_shaft_too_short_gives_no_path() -> None:
    """Refused with the reason."""
    image, tissues = body()
    maps = make_maps(image, tissues, (), np.zeros(3), 58.0)
    with pytest.raises(InputError, match="skin is not in the image"):
        find_paths(maps, tissues, LIMITS.replace(length_mm=20.0), NERVE, count=200)


def test_bone_casts_a_shadow() -> None:
    """A plate of bone between back and target leaves no path from the back, and says why."""
    image, tissues = body((10, 16))
    maps = make_maps(image, tissues, (), np.zeros(3), 58.0)
    found = find_paths(maps, tissues, LIMITS, NERVE, count=1000)
    assert all(abs(offer.direction_to_hub[1]) < 0.5 for offer in found.offers)
    assert found.ruled_out["bone is in the way"] > 300


def test_clearance_is_measured_to_the_voxel_faces() -> None:
    """A needle along y passes a box of voxels whose face lies at x = 9 mm: 9 mm less the shaft."""
    image, tissues = body()
    mask = np.zeros(image.shape, np.uint8)
    mask[35:38, 28:33, 28:33] = 1  # voxel 35 is centred at x = 10 mm, its face at 9 mm
    one = Structure(name="box", kind="vessel", mask=image.with_array(mask))
    maps = make_maps(image, tissues, obstacles_of((one,)), np.zeros(3), 58.0)
    depth = np.arange(0.0, 40.0, 0.5)
    points = np.column_stack([0 * depth, depth, 0 * depth])
    (clear,) = path_clearances(maps, points, depth, 0.4)
    assert clear.gap_mm == pytest.approx(9.0 - 0.4, abs=1e-6)
    assert exact_gaps(maps.obstacles[0], np.array([[10.0, 0, 0]]), 30.0)[0] <= 0


def test_offers_keep_clear_and_are_ranked() -> None:
    """No offer crosses the structure or its spread; the rank follows the slack in whole millimetres."""
    image, tissues = body()
    vessel = ball(image, (0, 20, 0), 8.0, position_sd_mm=2.0)
    maps = make_maps(image, tissues, obstacles_of((vessel,)), np.zeros(3), 58.0)
    found = find_paths(maps, tissues, LIMITS, NERVE, count=2000)
    assert found.ruled_out["ball is in the way"] > 0
    for offer in found.offers:
        assert offer.clearances[0].gap_mm >= offer.clearances[0].margin_mm == 2.0
    slack = [np.floor(offer.slack_mm) for offer in found.offers]
    assert [offer.rank for offer in found.offers] == [1, 2, 3, 4, 5]
    assert slack == sorted(slack, reverse=True)


@pytest.mark.parametrize(("approach", "low", "high"), [("parallel", 0, 30), ("perpendicular", 60, 90)])
def test_the_approach_is_kept(approach: str, low: float, high: float) -> None:
    """Along the nerve or square to it, within the limit."""
    image, tissues = body()
    maps = make_maps(image, tissues, (), np.zeros(3), 58.0)
    asked = LIMITS.replace(approach=approach, within_deg=30.0, up=None)
    found = find_paths(maps, tissues, asked, NERVE, count=3000)
    assert found.offers
    for offer in found.offers:
        assert offer.angle_deg is not None
        assert low - 1e-6 <= offer.angle_deg <= high + 1e-6


@settings(max_examples=12, deadline=None)
@given(reach=st.floats(0.5, 8.0), sd=st.floats(0.5, 5.0))
def test_sampled_chances_meet_the_closed_forms(reach: float, sd: float) -> None:
    """A point against a line without end (Rayleigh), and against a point (Maxwell)."""
    line = Curve.from_array([[-500.0, 0, 0], [500.0, 0, 0]])
    away = nerve_distances(np.zeros(3), np.array([0, 80.0, 0]), 0.0, line, (sd, 0.0), samples=8000)
    assert probability(away <= reach).value == pytest.approx(hit_of_line(reach, sd), abs=0.025)
    tips, _ = moved_tips(np.zeros(3), sd, 8000, 1)
    share = float((np.linalg.norm(tips, axis=1) <= reach).mean())
    assert share == pytest.approx(hit_of_point(reach, sd), abs=0.025)
    assert hit_of_line(reach_for(0.8, sd), sd) == pytest.approx(0.8)


@cache
def celiac() -> tuple[Case, Scene, TargetPaths]:
    """Paths to the celiac plexus on the shipped CT."""
    case, folder = load_case(demo_case("celiac"))
    scene = build_scene(case, folder)
    found = located(case, scene)
    assert found is not None
    return case, scene, paths_to_target(case, scene, found, PathChoices(candidates=4000))


def test_paths_on_a_real_ct_start_at_the_back_and_avoid_the_aorta() -> None:
    """Prone: every entry is behind the tip, skin lies there, nothing labelled is crossed."""
    _, scene, found = celiac()
    assert found.search.offers
    for offer in found.search.offers:
        assert offer.entry_mm[1] > offer.tip_mm[1] + 50
        assert min(one.gap_mm for one in offer.clearances) > 0
        assert offer.met is not None
        assert 0 < offer.met.value < 1
        outside = np.array(offer.entry_mm) + 6.0 * np.array(offer.direction_to_hub)
        assert scene.image.sample([outside])[0] < -200
    assert found.unseen


def test_laid_needles_are_measured_the_same_way() -> None:
    """The demonstration's own needles have entries, clearances and a chance to meet the plexus."""
    case, scene, _ = celiac()
    assert case.treatment is not None
    from neurolysis.planning.make import make_plan

    paths = placed_paths(case, scene, make_plan(case, scene).placements)
    assert [one.number for one in paths] == [1, 2]
    for one in paths:
        assert one.length_mm is not None
        assert one.length_mm < 200
        assert one.clearances[0].gap_mm <= one.clearances[-1].gap_mm
    assert len(all_structures(case, scene)) >= len(scene.structures)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (PathChoices(margins_mm={"dragon": 3.0}), "margin for a kind"),
        (PathChoices(margins_mm={"vessel": -3.0}), "at least 0"),
        (PathChoices(reach_mm=0.0), "above 0"),
        (PathChoices(placement_sd_mm=-1.0), "at least 0"),
    ],
)
def test_bad_choices_are_refused(choices: PathChoices, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its reason, before anything is searched."""
    case, scene, _ = celiac()
    monkeypatch.setattr(target_paths, "maps_around", lambda *_: pytest.fail("the search has begun"))
    found = located(case, scene)
    assert found is not None
    with pytest.raises(InputError, match=words):
        paths_to_target(case, scene, found, choices)
