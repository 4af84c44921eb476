"""Structures at risk against fields made by hand, with the peak where a sloppy mask would miss it."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from neurolysis.exposure import LabelledField
from neurolysis.geometry import Volume
from neurolysis.nerve.injury import assess
from neurolysis.nerve.lesion import Lesion
from neurolysis.nerve.limits import check_limit, verdict
from neurolysis.nerve.masks import Mask
from neurolysis.scene import Structure

from .made_by_hand import (
    AXIS,
    LIMITS,
    RADIUS_MM,
    SLOPE_C_PER_MM,
    ball,
    block,
    doses,
    exposure,
    nerve,
    one,
    scene,
    shift,
    straight,
    structure,
)

# --- structures --------------------------------------------------------------------------------------


def test_distance_from_a_wall_to_the_ball():
    """The wall's face lies at x = 7; the largest criterion is the 45 C ball of 5.25 mm."""
    wall = structure(lambda x, y, z: x > 7)
    found = assess(scene(structures=[wall]), exposure()).structures[0]
    edge = RADIUS_MM + 5 / SLOPE_C_PER_MM
    assert found.distance_to_lesion_mm == pytest.approx(7 - edge, abs=0.03)
    assert found.peak_temperature_c == pytest.approx(50 + SLOPE_C_PER_MM * (RADIUS_MM - 7), abs=0.05)
    assert found.peak_point_mm[0] == pytest.approx(7)
    assert [check.verdict for check in found.checks] == ["ok", "ok", "warn"]
    assert found.checks[2].margin == pytest.approx(7 - edge, abs=0.03)


def test_overlap_is_negative_by_its_depth():
    wall = structure(lambda x, y, z: x > 3)
    found = assess(scene(structures=[wall]), exposure()).structures[0]
    edge = RADIUS_MM + 5 / SLOPE_C_PER_MM
    assert found.distance_to_lesion_mm == pytest.approx(3 - edge, abs=0.05)
    assert [check.verdict for check in found.checks] == ["stop", "cannot say", "stop"]
    assert "lower bound" in found.checks[1].reason


@pytest.mark.parametrize("peak_at", [(0.5, 0.5, 0.5), (0.45, 0.0, 0.0), (0.3, -0.4, 0.2)])
def test_a_peak_between_voxel_centres_is_not_missed(peak_at):
    """Voxels of 4 mm, a spike 0.6 mm wide between their centres; the grid has a cell on it."""
    axes = tuple(np.sort(np.append(np.arange(-12.0, 12.1, 1.0), 4 * p + 1e-3)) for p in peak_at)
    mesh = np.meshgrid(*axes, indexing="ij")
    gap = np.sqrt(sum((m - (4 * p + 1e-3)) ** 2 for m, p in zip(mesh, peak_at, strict=True)))
    peak = 37 + 20 * np.exp(-((gap / 0.3) ** 2))
    made = exposure().model_copy(
        update={
            "axes_mm": axes,
            "cell_volume_mm3": np.ones(peak.shape),
            "fields": {
                "peak_temperature_c": LabelledField(name="peak_temperature_c", unit="°C", array=peak),
                "cem43_min": LabelledField(name="cem43_min", unit="min", array=doses(peak)[0]),
                "log_damage_nerve_heat": LabelledField(
                    name="log_damage_nerve_heat", unit="ln", array=doses(peak)[1]
                ),
            },
        }
    )
    image = Volume(array=np.zeros((7, 7, 7)), affine=np.diag([4.0, 4, 4, 1]) + shift(-12))
    cord = structure(lambda x, y, z: (abs(x) < 5) & (abs(y) < 5) & (abs(z) < 5), image)
    found = assess(scene(structures=[cord], image=image), made).structures[0]
    assert found.peak_temperature_c == pytest.approx(57.0, abs=1e-6)
    np.testing.assert_allclose(found.peak_point_mm, 4 * np.array(peak_at) + 1e-3, atol=1e-9)


def test_a_voxel_smaller_than_the_cells_is_not_missed():
    """A single voxel of 0.2 mm between the centres of 3 mm cells takes the interpolated temperature."""
    axis = np.arange(-12.0, 12.1, 3.0)
    peak = 40 + np.meshgrid(axis, axis, axis, indexing="ij")[0] / 3
    image = Volume(array=np.zeros((3, 3, 3)), affine=np.diag([0.2, 0.2, 0.2, 1.0]) + shift(1.3))
    dot = structure(
        lambda x, y, z: (abs(x - 1.5) < 0.05) & (abs(y - 1.5) < 0.05) & (abs(z - 1.5) < 0.05), image
    )
    found = assess(scene(structures=[dot], image=image), exposure(peak, axis)).structures[0]
    assert found.peak_temperature_c == pytest.approx(40 + 1.6 / 3)


def test_an_unknown_structure_cannot_be_judged():
    unknown = Structure(name="skin", kind="skin", mask=None, unknown_reason="outside image", limits=LIMITS)
    found = assess(scene(structures=[unknown]), exposure()).structures[0]
    assert found.peak_temperature_c is None
    assert {check.verdict for check in found.checks} == {"cannot say"}
    assert all(check.reason == "outside image" for check in found.checks)


def test_a_structure_beyond_the_grid_is_bounded_by_the_grids_rim():
    image = block((80, 8, 8))
    far = structure(lambda x, y, z: x > 30, image)
    hot = exposure(ball(radius=11.0))
    found = assess(scene(structures=[far], image=image), hot).structures[0]
    assert found.peak_temperature_c == pytest.approx(50 + SLOPE_C_PER_MM * (11 - 12))
    assert found.peak_point_mm is None
    assert "outside the computed box" in found.note


def test_a_lesion_cut_by_the_box_gives_no_all_clear_on_distance():
    image = block((80, 8, 8))
    far = structure(lambda x, y, z: x > 30, image)
    found = assess(scene(structures=[far], image=image), exposure(ball(radius=13.0))).structures[0]
    assert found.checks[2].verdict == "cannot say"
    assert "out of the computed box" in found.checks[2].reason


def test_an_uncertain_place_warns_but_does_not_stop():
    wall = structure(lambda x, y, z: x > 6, position_sd_mm=2.0)
    sure = structure(lambda x, y, z: x > 6)
    found, nominal = assess(scene(structures=[wall, sure]), exposure()).structures
    assert found.peak_temperature_c == nominal.peak_temperature_c == pytest.approx(42.0, abs=0.05)
    assert [check.verdict for check in nominal.checks] == ["ok", "ok", "warn"]
    assert [check.verdict for check in found.checks] == ["warn", "ok", "warn"]
    assert "50.0 °C" in found.checks[0].reason
    assert "'stop'" in found.checks[0].reason
    assert "-1.2 mm" in found.checks[2].reason


def test_the_spread_is_read_between_coarse_cells():
    """Cells 4 mm apart, a temperature that falls along x: 1.5 mm before the face at x = 6 it is 44.5 C."""
    axis = np.arange(-12.0, 12.1, 4.0)
    falling = 49 - np.meshgrid(axis, axis, axis, indexing="ij")[0]
    image = block((20, 20, 20))
    wall = structure(lambda x, y, z: x > 6, image, position_sd_mm=1.5)
    found = assess(scene(structures=[wall], image=image), exposure(falling, axis)).structures[0]
    assert found.peak_temperature_c == pytest.approx(43.0)
    assert "the peak is 44.5 °C" in found.note


def test_a_fluid_alternative_is_shown_and_held_against_the_limit():
    warmer = ball() + 6
    other = {
        "peak_temperature_c_fluid_fixed": LabelledField(
            name="peak_temperature_c_fluid_fixed", unit="°C", array=warmer
        )
    }
    wall = structure(lambda x, y, z: x > 6, fluid_filled=True)
    found = assess(scene(structures=[wall]), exposure(fields=other)).structures[0]
    assert found.alternatives["fluid_fixed"] == pytest.approx(found.peak_temperature_c + 6, abs=1e-6)
    assert found.checks[0].verdict == "warn"
    assert "fluid fixed" in found.checks[0].reason


def test_a_metric_the_simulation_lacks_cannot_be_judged():
    made = exposure()
    peak_only = {"peak_temperature_c": made.fields["peak_temperature_c"]}
    made = made.model_copy(update={"fields": peak_only, "criteria": (one("isotherm_50c"),)})
    found = assess(scene([straight(0.0)], [structure(lambda x, y, z: x > 8)]), made)
    assert found.structures[0].checks[1].verdict == "cannot say"
    assert found.target().killed_fraction == {}


def test_no_lesion_has_no_distance():
    cold = exposure(np.full((len(AXIS),) * 3, 38.0))
    found = assess(scene(structures=[structure(lambda x, y, z: x > 8)]), cold).structures[0]
    assert found.distance_to_lesion_mm is None
    assert found.checks[2].verdict == "ok"
    assert "no lesion" in found.checks[2].reason


def test_another_nerve_is_a_structure_at_risk():
    """Its tube of 0.5 mm runs 8 mm from the centre, square to the x axis."""
    root = nerve([[0, 8, -9], [0, 8, 9]], name="root", is_target=False)
    found = assess(scene([straight(0.0), root]), exposure()).structures[0]
    edge = RADIUS_MM + 5 / SLOPE_C_PER_MM
    assert found.kind == "nerve_neighbour"
    assert found.distance_to_lesion_mm == pytest.approx(7.5 - edge, abs=0.03)
    assert found.peak_temperature_c == pytest.approx(37.0, abs=0.05)


def test_a_nerve_that_runs_through_the_lesion_overlaps_it():
    root = nerve([[0, 2, -9], [0, 2, 9]], name="root", is_target=False, sd=1.0)
    found = assess(scene([straight(0.0), root]), exposure()).structures[0]
    edge = RADIUS_MM + 5 / SLOPE_C_PER_MM
    assert found.distance_to_lesion_mm == pytest.approx(1.5 - edge, abs=0.15)
    assert "stop" in {check.verdict for check in found.checks}


# --- masks and limits --------------------------------------------------------------------------------


def test_distance_to_a_mask_is_exact_to_its_faces():
    """Against every box, on voxels of very different sides in a turned frame."""
    rng = np.random.default_rng(3)
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [20, -35, 50], degrees=True).as_matrix() @ np.diag(
        [0.7, 0.7, 2.5]
    )
    volume = Volume(array=(rng.random((9, 9, 5)) < 0.2).astype(np.uint8), affine=affine)
    points = rng.uniform(-6, 12, (400, 3))
    centres = volume.to_lps(np.argwhere(volume.array))
    axes = affine[:3, :3] / volume.spacing_mm
    gap = np.abs((points[:, None] - centres[None]) @ axes) - volume.spacing_mm / 2
    exact = np.linalg.norm(np.maximum(gap, 0), axis=-1).min(axis=1)
    np.testing.assert_allclose(Mask(volume).distance_mm(points), exact, atol=1e-9)


def test_the_edge_of_a_ball_lies_on_the_ball():
    edge = Lesion(exposure(), one("isotherm_50c")).edge_mm
    np.testing.assert_allclose(np.linalg.norm(edge, axis=1), RADIUS_MM, atol=0.03)


def test_a_value_on_the_bound_has_reached_it():
    assert verdict(LIMITS[0], 50.0) == "stop"
    assert verdict(LIMITS[2], 0.0) == "stop"
    assert verdict(LIMITS[2], 2.1) == "ok"
    assert check_limit(LIMITS[0], 44.0).margin == pytest.approx(6)
    assert check_limit(LIMITS[1], 50.0).margin == pytest.approx(-2)
