"""The pictures of the spread in time against balls of agent worked out by hand."""

from __future__ import annotations

from xml.etree import ElementTree

import numpy as np
import pytest

from neurolysis.exposure import Exposure, LabelledField
from neurolysis.planning.result import PlanResult
from neurolysis.report.plane import View
from neurolysis.report.spread_views import (
    ARRIVAL,
    LIGHT,
    STEPS,
    _Solids,
    moments,
    shading,
    sight,
    spread_figure,
    surface,
)

from .report_sample import make_result

AXIS = np.arange(-20.0, 20.1, 0.5)
RADIUS_MM, MM_PER_MIN = 9.0, 3.0


def with_ball(radius_mm: float = RADIUS_MM, at: tuple[float, float, float] = (0, 0, 0)) -> PlanResult:
    """The sample's result with an agent that grows as a ball, 3 mm a minute, and stops at a radius."""
    result = make_result()
    mesh = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
    away = np.sqrt(sum((m - c) ** 2 for m, c in zip(mesh, at, strict=True)))
    arrival = np.where(away <= radius_mm, away / MM_PER_MIN, 1e4)
    made = result.exposure.model_copy(
        update={
            "axes_mm": (AXIS, AXIS, AXIS),
            "cell_volume_mm3": np.full(arrival.shape, 0.125),
            "instrument": np.zeros(arrival.shape, bool),
            "fields": {ARRIVAL: LabelledField(name=ARRIVAL, unit="min", array=arrival)},
            "time_s": np.linspace(0, 600, 11),
        }
    )
    return result_with(result, made)


def result_with(result: PlanResult, exposure: Exposure) -> PlanResult:
    from dataclasses import replace

    return replace(result, exposure=exposure)


def test_moments_are_those_of_a_growing_ball() -> None:
    """A quarter of a ball's volume has 0.63 of its radius, reached after as much of the time."""
    found = moments(with_ball().exposure)
    whole = 4 / 3 * np.pi * RADIUS_MM**3 / 1000
    assert [m.volume_ml for m in found] == pytest.approx([whole * k for k in (0.25, 0.5, 0.75, 1)], rel=0.02)
    radii = [RADIUS_MM * share ** (1 / 3) for share in (0.25, 0.5, 0.75, 1)]
    assert [m.minutes for m in found] == pytest.approx([r / MM_PER_MIN for r in radii], rel=0.02)


def test_what_is_never_reached_has_no_picture() -> None:
    assert spread_figure(make_result()) is None, "heat has no arrival"
    assert spread_figure(with_ball(radius_mm=-1.0)) is None


def test_a_surface_is_met_between_two_samples() -> None:
    """Values that cross zero at 2.25 steps; a line that starts inside; one that meets nothing."""
    rows = np.array([[[-2.25, -1.25, -0.25, 0.75], [1.0, 1.0, -1.0, -1.0], [-1.0, -1.0, -1.0, -1.0]]])
    np.testing.assert_allclose(surface(rows), [[2.25, 0.0, np.nan]])


def test_a_plane_is_brightest_when_it_faces_the_light() -> None:
    """Planes of every slope; depth grows away from the reader, rows run down."""
    rows, columns = np.mgrid[0:5, 0:5].astype(float)
    flat = shading(np.zeros((5, 5)))
    assert np.ptp(flat) == 0
    towards = -LIGHT[0] / LIGHT[2] * columns * -1
    facing = shading(towards + LIGHT[1] / LIGHT[2] * -rows)
    assert facing[2, 2] == pytest.approx(1.0)
    assert facing[2, 2] > flat[2, 2] > shading(-3 * towards)[2, 2]


def test_the_picture_of_a_ball_is_a_disc_of_its_size_and_grows_with_it() -> None:
    result = with_ball(at=(0.0, 0.0, 5.0))
    view = View.of_width(sight(result.plan, result.exposure), 170.0)
    solid = _Solids(result, view)
    pixel_mm = 2 * view.plane.half_mm[0] / (STEPS - 1)
    sizes = []
    for minutes in (1.0, 2.0, 3.0):
        colours = solid.picture(minutes).astype(int)
        disc = colours[..., 0] - colours[..., 2] > 40
        sizes.append(np.sqrt(disc.sum() * pixel_mm**2 / np.pi))
        np.testing.assert_allclose(np.argwhere(disc).mean(axis=0), (STEPS - 1) / 2, atol=1.5)
    assert sizes == pytest.approx([3.0, 6.0, 9.0], abs=1.0)
    assert sizes[0] < sizes[1] < sizes[2]


@pytest.mark.parametrize(("side", "sees"), [("left", 1), ("right", -1)])
def test_it_is_looked_at_from_the_needles_and_the_targets_side(side: str, sees: int) -> None:
    result = with_ball()
    plan = result.plan.replace(target=result.plan.target.replace(side=side))
    plane = sight(plan, result.exposure)
    assert plane.normal[0] * sees > 0
    assert plane.normal[:2] @ np.array(plan.placements[0].direction_to_hub)[:2] > 0
    assert plane.up[2] > 0.7, "the head is up"
    assert np.abs(plane.right[2]) < 1e-12


def test_the_figure_says_every_moment_and_is_sound() -> None:
    figure = spread_figure(with_ball())
    assert figure is not None
    root = ElementTree.fromstring(figure.svg)  # noqa: S314
    words = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    for moment in moments(with_ball().exposure):
        assert f"{round(moment.minutes, 1):g} min" in words
        assert f"{round(moment.volume_ml, 1):g} mL after" in figure.alt
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) == 4
    ids = [one.get("id") for one in root.iter("{http://www.w3.org/2000/svg}clipPath")]
    assert len(set(ids)) == 4
