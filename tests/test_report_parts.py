"""The report's parts by themselves: colours, numbers, planes, contours, axes, strips, escaping."""

from __future__ import annotations

import itertools
import math
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neurolysis.evidence.instruments import find_cannula
from neurolysis.geometry import Volume
from neurolysis.plan import Placement
from neurolysis.planning.target_paths import PlacedPath
from neurolysis.quantity import Quantity
from neurolysis.report import needle, palette, svg, text
from neurolysis.report.axes import ticks
from neurolysis.report.contour import Raster
from neurolysis.report.document import Table
from neurolysis.report.html import css_string
from neurolysis.report.pdf import available
from neurolysis.report.plane import BELOW_ALL, Plane, View, needle_planes, read_mask, read_volume
from neurolysis.report.strip import runs, shortened
from neurolysis.report.target_pages import clearance_chart

# ---------------------------------------------------------------- colours

VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
                   [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
                     [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
                   [0.004733, 0.691367, 0.303900]],
}  # fmt: skip
"""Linear RGB as seen, full severity: the matrices of the physiologically based model of 2009."""


def linear(colour: str) -> np.ndarray:
    channel = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    return np.where(channel <= 0.04045, channel / 12.92, ((channel + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    """CIE L*a*b* of linear RGB, white point D65."""
    to_xyz = [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.119192, 0.9503041],
    ]
    ratio = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.95047, 1.0, 1.08883])
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("vision", sorted(VISION))
def test_the_four_colours_stay_apart_for_every_reader(vision: str) -> None:
    seen = {name: lab(np.array(VISION[vision]) @ linear(c)) for name, c in palette.SEMANTIC.items()}
    gaps = {
        pair: float(np.linalg.norm(seen[pair[0]] - seen[pair[1]])) for pair in itertools.combinations(seen, 2)
    }
    assert min(gaps.values()) > 20, gaps


def contrast(first: str, second: str) -> float:
    dark, light = sorted(float(linear(c) @ [0.2126, 0.7152, 0.0722]) for c in (first, second))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(
    ("colour", "ground"),
    [(palette.INK, palette.WHITE), (palette.MUTED, palette.WHITE), (palette.MUTED, palette.PANEL),
     (palette.ACCENT, palette.WHITE), (palette.DANGER, palette.WHITE), (palette.WHITE, palette.DANGER),
     (palette.WHITE, palette.NERVE)],
)  # fmt: skip
def test_text_can_be_read_on_its_ground(colour: str, ground: str) -> None:
    assert contrast(colour, ground) >= 4.5


# ---------------------------------------------------------------- numbers and words


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.000668, "6.68×10⁻⁴"), (3.73e6, "3.73×10⁶"), (1090.4, "1090"), (0.4464, "0.446"), (-3.25, "−3.25"),
     (0.0, "0"), (80.0, "80"), (99.96, "100"), (None, "–"), (float("nan"), "–"), (12345.0, "12345")],
)  # fmt: skip
def test_numbers_are_written_for_people(value: float | None, shown: str) -> None:
    assert text.number(value) == shown


@given(st.floats(min_value=1e-3, max_value=9.9e4) | st.floats(min_value=-9.9e4, max_value=-1e-3))
def test_a_written_number_is_the_number_to_three_digits(value: float) -> None:
    assert float(text.number(value).replace("−", "-")) == pytest.approx(value, rel=5.1e-3)


@pytest.mark.parametrize(
    ("share", "shown"),
    [
        (0.0, "0\u00a0%"),
        (1.0, "100\u00a0%"),
        (0.999, "> 99\u00a0%"),
        (0.001, "< 1\u00a0%"),
        (0.42, "42\u00a0%"),
    ],
)
def test_a_chance_is_never_rounded_to_certainty(share: float, shown: str) -> None:
    assert text.percent(share) == shown


def test_a_small_negative_length_is_not_minus_zero() -> None:
    assert text.millimetres(-0.04) == "0.0\u00a0mm"
    assert text.millimetres(-0.4) == "−0.4\u00a0mm"


def test_a_quantity_shows_its_range() -> None:
    item = Quantity(value=0, unit="%", low=-10, high=10, source="x")
    assert text.quantity(item) == "0\u00a0% (−10 to 10)"
    assert text.quantity(item.replace(value=2.0, low=1, unit="mm")) == "2\u00a0mm (1–10)"


@pytest.mark.parametrize(
    ("direction", "letters"),
    [((1, 0, 0), ("L", "")), ((0, -1, 0), ("A", "")), ((0, 0.1, -1), ("I", "")), ((-1, 0.9, 0), ("R", "P"))],
)
def test_directions_have_their_letters(direction: tuple[float, ...], letters: tuple[str, str]) -> None:
    assert text.directions(direction) == letters


def test_the_course_is_told_from_straight_back() -> None:
    assert text.course((0.0, 1.0, 0.0)).startswith("hub 0°")
    tilted = (math.sin(math.radians(30)), math.cos(math.radians(30)), 0.0)
    assert text.course(tilted).startswith("hub 30° to the left of straight back")
    assert text.course((0.0, 1.0, -1.0)).endswith("45° towards the feet")


def test_lists_and_names() -> None:
    assert [text.listed(x) for x in ([], ["a"], ["a", "b", "c"])] == ["", "a", "a, b and c"]
    assert text.name("conductivity_s_per_m") == "conductivity"
    assert text.name("cem43_min") == "CEM43 dose"
    assert text.reason("assumption: because") == "because"


# ---------------------------------------------------------------- escaping


@given(st.text(max_size=40))
def test_any_text_is_a_whole_css_string(words: str) -> None:
    made = css_string(words)
    body = re.sub(r"\\[0-9a-f]{6} ", lambda m: chr(int(m[0][1:7], 16)), made[1:-1])
    assert (made[0], made[-1], body) == ('"', '"', words)
    assert not set(made[1:-1]) & set("\"'<>\n;}")


@given(st.text(min_size=1, max_size=40))
def test_any_text_survives_in_a_drawing_but_for_letters_no_drawing_may_hold(words: str) -> None:
    drawn = svg.drawing(10, 10, svg.text(1, 1, words), title=words)
    root = ElementTree.fromstring(drawn)  # noqa: S314 (made here)
    found = "".join(root.itertext())
    assert [c for c in found if c.isprintable()] == [c for c in words if c.isprintable()]
    assert len(root.attrib.get("aria-label", "")) <= len(words)


# ---------------------------------------------------------------- planes


@pytest.fixture
def plane() -> Plane:
    right = np.array([0.0, 0.6, 0.8])
    return Plane(np.array([5.0, -3.0, 2.0]), right, np.array([1.0, 0.0, 0.0]), (10.0, 6.0))


def test_grid_points_lie_where_the_plane_says(plane: Plane) -> None:
    across, along, points = plane.grid(0.5)
    assert points.shape == (len(along), len(across), 3)
    offsets = plane.project(points)
    assert np.allclose(offsets[..., 0], across[None, :])
    assert np.allclose(offsets[..., 1], along[:, None])
    assert np.allclose(offsets[..., 2], 0)
    assert (across[0], along[-1]) == (-10.0, 6.0)


def test_a_view_has_up_at_its_top(plane: Plane) -> None:
    view = View.of_width(plane, 200.0)
    assert view.size == (200.0, 120.0)
    top_right = plane.origin_mm + 10 * plane.right + 6 * plane.up
    assert view.points(top_right) == pytest.approx([200.0, 0.0])


class _Plan:
    """As much of a plan as the planes need."""

    def __init__(self, *placements: Placement) -> None:
        self.placements = placements


@pytest.mark.parametrize("hub", [(40, 10, -20), (0, 30, 0), (1, 0, 60), (-60, 1, 1)])
def test_two_planes_hold_the_needle_and_the_third_is_square_to_it(hub: tuple[float, float, float]) -> None:
    placement = Placement.between(
        find_cannula(18, 10), (3.0, 4.0, 5.0), tuple(t + h for t, h in zip((3, 4, 5), hub, strict=True))
    )
    first, second, square = needle_planes(_Plan(placement), 15.0)  # type: ignore[arg-type]
    axis = placement.frame().apply([[0, 0, 0], [0, 0, 5], [0, 0, 14]])
    for holding in (first, second):
        assert np.allclose(holding.project(axis)[:, [0, 2]], 0, atol=1e-9)
        assert np.all(np.diff(holding.project(axis)[:, 1]) > 0), "the hub is up"
    assert np.allclose(square.project(axis[1]), 0, atol=1e-9)
    assert abs(square.normal @ np.array(placement.direction_to_hub)) == pytest.approx(1.0)
    assert abs(first.normal @ second.normal) < 1e-9
    assert square.up[2] >= -1e-12, "the head is up"


def test_two_needles_share_a_plane() -> None:
    cannula = find_cannula(18, 10)
    pair = [Placement.between(cannula, (x, 0.0, z), (x, 50.0, z)) for x, z in ((0.0, 0.0), (5.0, 7.0))]
    first, *_ = needle_planes(_Plan(*pair), 20.0)  # type: ignore[arg-type]
    tips = np.array([placement.tip_mm for placement in pair])
    assert np.allclose(first.project(tips)[:, 2], 0, atol=1e-9)
    assert first.project(tips).mean(axis=0)[0] == pytest.approx(0.0)


def test_reading_a_part_of_a_volume_is_reading_the_volume(plane: Plane) -> None:
    generator = np.random.default_rng(1)
    affine = np.array([[0, 0, 1.5, -12.0], [-1.0, 0, 0, 9.0], [0, -2.0, 0, 14.0], [0, 0, 0, 1.0]])
    volume = Volume(array=generator.normal(size=(24, 12, 20)), affine=affine)
    points = plane.grid(0.7)[2]
    assert np.allclose(read_volume(volume, points, outside=-7.0), volume.sample(points, outside=-7.0))
    labels = volume.with_array((volume.array > 0.3).astype(np.int16) * 3)
    wanted = labels.with_array((labels.array == 3).astype(float)).sample(points)
    members = np.array([False, False, False, True])
    assert np.allclose(read_mask(labels, members, points), wanted)
    assert np.allclose(read_mask(labels, None, points), wanted)
    far = points + 500.0
    assert np.all(read_volume(volume, far, outside=-7.0) == -7.0)
    assert np.all(read_mask(labels, None, far) == 0)


# ---------------------------------------------------------------- contours


def disc(view: View, radius_mm: float, centre: tuple[float, float] = (0.0, 0.0)) -> Raster:
    across, along, _ = view.plane.grid(0.25)
    distance = np.hypot(across[None, :] - centre[0], along[:, None] - centre[1])
    return Raster(view, across, along, radius_mm - distance)


def test_a_disc_has_its_radius_in_the_drawing(plane: Plane) -> None:
    view = View.of_width(plane, 200.0)
    (line,) = disc(view, 4.0).lines(0.0)
    radius = np.hypot(line[:, 0] - 100.0, line[:, 1] - 60.0) / view.scale
    assert np.all(np.abs(radius - 4.0) < 0.02)
    assert disc(view, 4.0).line_data(0.0).endswith("Z")
    assert disc(view, 4.0).lines(50.0) == []


def test_an_area_cut_by_the_edge_is_closed_along_it(plane: Plane) -> None:
    view = View.of_width(plane, 200.0)
    raster = disc(view, 4.0, (10.0, 0.0))
    numbers = [float(x) for x in re.findall(r"-?[\d.]+", raster.area_data(0.0))]
    xs, ys = np.array(numbers[::2]), np.array(numbers[1::2])
    area = 0.5 * abs(np.sum(xs * np.roll(ys, -1) - ys * np.roll(xs, -1))) / view.scale**2
    assert area == pytest.approx(0.5 * math.pi * 16, rel=0.06)
    assert xs.max() <= 200.0 + 0.25 * view.scale


def test_no_contour_is_drawn_along_the_edge_of_what_is_known(plane: Plane) -> None:
    view = View.of_width(plane, 200.0)
    raster = disc(view, 4.0)
    half = np.where(raster.across_mm[None, :] > 0, BELOW_ALL, raster.values)
    lines = Raster(view, raster.across_mm, raster.along_mm, half).lines(0.0)
    points = np.concatenate(lines)
    radius = np.hypot(points[:, 0] - 100.0, points[:, 1] - 60.0) / view.scale
    assert np.all(np.abs(radius - 4.0) < 0.02)


# ---------------------------------------------------------------- charts, strips, tables


@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4), st.integers(2, 9))
def test_ticks_span_the_values_and_are_few(low: float, span: float, about: int) -> None:
    found = ticks(low, low + span, about)
    step = found[1] - found[0]
    assert found[0] <= low + 1e-6 * step
    assert found[-1] >= low + span - 1e-6 * step
    assert 2 <= len(found) <= 2 * about + 3
    assert np.allclose(np.diff(found), step)


def test_stretches_above_a_threshold_end_between_stations() -> None:
    arc = np.array([0.0, 1.0, 2.0, 3.0, 4.0, 5.0])
    values = np.array([40.0, 60.0, 60.0, 40.0, 45.0, 55.0])
    assert list(runs(arc, values, 50.0)) == [(0.5, 2.5), (4.5, 5.0)]
    assert list(runs(arc, values, 61.0)) == []
    assert list(runs(arc, values, 30.0)) == [(0.0, 5.0)]
    beyond = np.where(arc < 1, -np.inf, values)
    assert next(runs(arc, beyond, 50.0)) == (1.0, 2.5)


def test_long_labels_are_cut_before_they_run_into_the_strip() -> None:
    assert shortened("50 °C peak (something long)") == "50 °C peak"
    assert len(shortened("x" * 80)) == 34


def test_a_bent_tip_is_drawn_bent() -> None:
    straight, curved = find_cannula(18, 10), find_cannula(18, 10, "curved")
    for cannula, corners in ((straight, 2), (curved, 3)):
        (rod,) = needle.rods(Placement.between(cannula, (0.0, 0.0, 0.0), (0.0, 50.0, 0.0)))
        assert len(rod.points_mm) == corners
        assert np.allclose(rod.points_mm[0], 0)


def test_what_is_bare_is_what_the_protocol_says_where_it_says_so() -> None:
    placement = Placement.between(find_cannula(18, 10), (0.0, 0.0, 0.0), (0.0, 50.0, 0.0))
    assert [rod.bare_mm for rod in needle.rods(placement)] == [10.0]
    assert [rod.bare_mm for rod in needle.rods(placement, 4.5)] == [4.5]


LONG = "L2 segmental nerve, left (segmental nerve in the foraminal zone, derived from its labels)"


def test_long_names_of_structures_stay_inside_the_clearance_chart() -> None:
    path = PlacedPath.model_construct(
        number=1,
        profile_depth_mm=(0.0, 10.0, 20.0),
        profiles_mm={LONG: (2.0, 3.0, 4.0), "skin": (9.0, 4.0, 1.0)},
    )
    figure = clearance_chart(path)
    assert figure is not None
    root = ElementTree.fromstring(figure.svg)  # noqa: S314 (made here)
    words = [one for one in root.iter() if one.tag.endswith("text") and one.get("x") == "80"]
    assert " ".join(one.text or "" for one in words) == f"{LONG} skin"
    assert max(len(one.text or "") for one in words) * 0.53 * palette.FONT + 80 < palette.HALF_WIDTH
    heights = [float(one.get("y", "")) for one in words]
    assert min(np.diff(heights)) >= palette.FONT, "lines do not lie on each other"
    assert heights[-1] < float(root.get("viewBox", "").split()[3])


def test_a_table_with_a_row_of_another_width_is_refused() -> None:
    with pytest.raises(ValueError, match="2 heads"):
        Table("broken", ("a", "b"), (("1",),))


def test_the_engine_is_named() -> None:
    engine = available()
    assert engine["engine"] == "typst"
    assert re.fullmatch(r"\d+\.\d+.*", engine["version"])
