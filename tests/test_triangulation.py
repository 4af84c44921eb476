"""The tip from two views: exact on known poses, errors as stated, too like views refused."""

from __future__ import annotations

import numpy as np
import pytest
from tests.xrays import carm_of, entry, lps

from neurolysis.errors import InputError
from neurolysis.localization.fluoroscopy.carm import Angles, CArm
from neurolysis.localization.fluoroscopy.triangulation import Errors, rotation_about, triangulate

POINT = np.array([12.0, -5.0, 20.0])


def two(apart_deg: float) -> list[tuple[CArm, tuple[float, float]]]:
    """Two exact views of one point, so far apart."""
    views = []
    for lao in (0.0, apart_deg):
        carm = CArm.at(
            (10, 0, 15), Angles(lao_deg=lao), "prone", source_detector_mm=1020, pixel_mm=0.3, columns=1024,
            rows=1024,
        )  # fmt: skip
        column, row = carm.project(POINT)
        views.append((carm, (float(column), float(row))))
    return views


def test_the_known_tip_is_found_exactly() -> None:
    """Two X-rays with a needle, pose and pixel exact by construction."""
    views = [(carm_of(k), tuple(entry(k)["needle"]["tip_pixel_col_row"])) for k in ("img04", "img05")]
    found = triangulate(views)  # type: ignore[arg-type]
    assert np.array(found.point_mm) == pytest.approx(
        np.array(lps(entry("img04")["needle"]["tip_ras"])), abs=1e-6
    )
    assert found.miss_mm < 1e-6
    assert found.angle_deg == pytest.approx(60.0, abs=4)
    assert not found.warnings


@pytest.mark.parametrize(
    ("apart", "pixel", "angle", "shift", "expected_95"),
    [
        (30, 1, 0.0, 0.0, 0.95),
        (60, 1, 0.0, 0.0, 0.54),
        (90, 1, 0.0, 0.0, 0.47),
        (30, 1, 0.5, 0.5, 2.35),
        (60, 1, 0.5, 0.5, 1.43),
        (90, 1, 0.5, 0.5, 1.23),
        (90, 2, 1.0, 1.0, 2.37),
    ],
)
def test_errors_follow_the_published_trial(
    apart: float, pixel: float, angle: float, shift: float, expected_95: float
) -> None:
    """An earlier simulation by other hands gave these 95th percentiles; ours lie within a third."""
    found = triangulate(two(apart), Errors(pixel=pixel, angle_deg=angle, shift_mm=shift))
    assert found.error_95_mm == pytest.approx(expected_95, rel=0.35)


def test_a_wrong_angle_hurts_more_away_from_the_isocentre() -> None:
    """One degree moves a tip 50 mm away by about 0.9 mm more than one at the isocentre."""
    near = triangulate(two(90), Errors(pixel=0.5, angle_deg=1.0)).error_95_mm
    views = [
        (carm, tuple(float(v) for v in carm.project(POINT + np.array([0, 0, 50.0])))) for carm, _ in two(90)
    ]
    far = triangulate(views, Errors(pixel=0.5, angle_deg=1.0)).error_95_mm  # type: ignore[arg-type]
    assert far > 2 * near


def test_depth_gets_worse_as_views_get_alike() -> None:
    """30 degrees is worse than 60, 60 than 90; the covariance is largest along the beams."""
    ends = [triangulate(two(apart), Errors()).error_95_mm for apart in (30, 60, 90)]
    assert ends[0] > ends[1] > ends[2]
    covariance = np.array(triangulate(two(30), Errors()).covariance_mm2)
    assert np.linalg.eigvalsh(covariance)[-1] > 3 * np.linalg.eigvalsh(covariance)[0]


def test_views_too_alike_are_refused_or_warned_about() -> None:
    """Below 10 degrees no answer, below 30 a warning."""
    with pytest.raises(InputError, match="too alike"):
        triangulate(two(8))
    assert "degrees apart" in triangulate(two(25)).warnings[0]


def test_a_wrong_pixel_is_noticed() -> None:
    """Twenty pixels off across the epipolar line: more than the stated errors explain."""
    views = two(90)
    carm, (column, row) = views[1]
    found = triangulate([views[0], (carm, (column, row + 20))])
    assert any("wrong pixel" in words for words in found.warnings)


def test_bad_input_is_refused() -> None:
    """One view, or a pixel outside its image."""
    views = two(60)
    with pytest.raises(InputError, match="two views"):
        triangulate(views[:1])
    with pytest.raises(InputError, match="outside the image"):
        triangulate([views[0], (views[1][0], (2000.0, 5.0))])


def test_a_turn_about_a_point_leaves_it_there() -> None:
    """And the shift is added."""
    move = rotation_about(np.array([10.0, -20, 5]), POINT, np.array([1.0, 2, 3]))
    assert move.apply(POINT) == pytest.approx(POINT + np.array([1, 2, 3]))
