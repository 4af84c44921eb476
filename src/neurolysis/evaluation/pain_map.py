"""The body outline as a picture: marked areas of pain, and areas that may go numb or weak.

Our own drawing (``data/body_shapes.yaml``). Areas are told apart by pattern as well as colour.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from html import escape
from typing import Any

from neurolysis.case import PainArea
from neurolysis.evaluation.body_map import body_areas, check_areas
from neurolysis.evaluation.facts import DATA
from neurolysis.evidence.store import load_yaml

FILE = "body_shapes.yaml"
GAP, TOP, HEIGHT = 14, 20, 424
VIEWS = ("front", "back", "right", "left", "head")
SKIN, LINE, PAIN, NUMB, WEAK = "#f6efe8", "#8d8177", "#b3261e", "#1f5f8b", "#6a4c93"
Corners = Sequence[Sequence[float]]


def body_svg(
    marked: Sequence[PainArea],
    *,
    numb: Sequence[str] = (),
    weak: Sequence[str] = (),
    side: str | None = None,
    views: Sequence[str] = VIEWS,
    say: Callable[[str], str] = str,
    label: str = "",
) -> str:
    """The outline with its areas filled.

    Args:
        marked: areas of pain; the main one is filled more strongly.
        numb: ids of areas that may go numb; weak: that may lose strength; both on ``side`` (None: both).
        views: which outlines are drawn.
        say: puts the titles of the outlines into another language.
        label: what a screen reader says; by default the areas by name, in English.

    Raises:
        UnknownNameError: an area that is not on the map.
        InputError: a side that an area does not have.
    """
    check_areas(marked)
    parts, x = [], 0
    for name in views:
        view = _views()[name]
        fills = [*_fills(marked, name), *_lost(numb, name, side, "numb"), *_lost(weak, name, side, "weak")]
        parts.append(
            f'<g transform="translate({x} {TOP})">{"".join(_view(name, view, fills, say(view["title"])))}</g>'
        )
        x += view["width"] + GAP
    width = x - GAP
    areas = ", ".join(_spoken(marked, numb, weak)) or "no area marked"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {TOP + HEIGHT}" role="img" '
        f'aria-label="{escape(label or f"Body outline: {areas}")}">{_patterns()}{"".join(parts)}</svg>'
    )


def view_titles() -> tuple[str, ...]:
    """Titles of every outline, for translation."""
    return tuple(view["title"] for view in _views().values())


def views_of(areas: Iterable[str]) -> tuple[str, ...]:
    """Front and back, and the face or the sides where an area is drawn on them."""
    seen = {view for name in areas for view in body_areas()[name].views}
    return tuple(view for view in VIEWS if view in ("front", "back") or view in seen)


def _spoken(marked: Sequence[PainArea], numb: Sequence[str], weak: Sequence[str]) -> Iterator[str]:
    for area in marked:
        yield f"pain in {' '.join(filter(None, (area.side, body_areas()[area.area].title)))}"
    yield from (f"may go numb: {body_areas()[name].title}" for name in numb)
    yield from (f"may become weak: {body_areas()[name].title}" for name in weak)


def _fills(marked: Iterable[PainArea], view: str) -> Iterator[tuple[str, str, str]]:
    """(area, side or middle, kind of fill) for pain, drawn in one view."""
    for area in marked:
        if view in body_areas()[area.area].views:
            yield area.area, area.side or "midline", "main" if area.main else "pain"


def _lost(names: Sequence[str], view: str, side: str | None, kind: str) -> Iterator[tuple[str, str, str]]:
    for name in names:
        known = body_areas()[name]
        if view not in known.views:
            continue
        sides = [side] if side in ("left", "right") else ["left", "right"]
        yield from ((name, one, kind) for one in (sides if known.sided else ["midline"]))


def _view(
    name: str, view: Mapping[str, Any], fills: Iterable[tuple[str, str, str]], title: str
) -> Iterator[str]:
    outline = _outline(view)
    yield f'<clipPath id="body-{name}"><path d="{outline}"/></clipPath>'
    yield f'<path d="{outline}" fill="{SKIN}" stroke="{LINE}" stroke-width="1.4"/>'
    yield f'<g clip-path="url(#body-{name})">'
    for area, side, kind in fills:
        corners = _corners(view, area, side)
        if corners:
            yield f'<path d="{_polygon(corners)}" {_style(kind)}/>'
    yield "</g>"
    for x, y in view.get("eyes", ()):
        yield f'<ellipse cx="{x}" cy="{y}" rx="7" ry="4" fill="none" stroke="{LINE}"/>'
    if "mouth" in view:
        yield f'<path d="{_smooth(view["mouth"], closed=False)}" fill="none" stroke="{LINE}"/>'
    middle = view["width"] / 2
    font = 'font-family="sans-serif" font-size="11" fill="#4a4440" text-anchor="middle"'
    yield f'<text x="{middle}" y="-6" {font}>{escape(title)}</text>'
    if "half_is" in view:
        other = "L" if view["half_is"] == "right" else "R"
        own = "R" if view["half_is"] == "right" else "L"
        y = 90 if name == "head" else 60
        yield f'<text x="{0.14 * view["width"]}" y="{y}" {font}>{own}</text>'
        yield f'<text x="{0.86 * view["width"]}" y="{y}" {font}>{other}</text>'


def _style(kind: str) -> str:
    if kind in ("main", "pain"):
        opacity = 0.85 if kind == "main" else 0.5
        return f'fill="{PAIN}" fill-opacity="{opacity}"'
    colour = NUMB if kind == "numb" else WEAK
    return f'fill="url(#fill-{kind})" stroke="{colour}" stroke-width="1"'


def _patterns() -> str:
    dots = f'<circle cx="3" cy="3" r="1.5" fill="{NUMB}"/>'
    lines = f'<path d="M0 6L6 0" stroke="{WEAK}" stroke-width="1.4"/>'
    both = (("numb", dots), ("weak", lines))
    return (
        "<defs>"
        + "".join(
            f'<pattern id="fill-{name}" width="6" height="6" patternUnits="userSpaceOnUse">'
            f'<rect width="6" height="6" fill="#ffffff" fill-opacity="0.55"/>{drawn}</pattern>'
            for name, drawn in both
        )
        + "</defs>"
    )


def _corners(view: Mapping[str, Any], area: str, side: str) -> Corners:
    """Corners of an area on one side in a view; empty where it is not drawn there."""
    own = view.get("own_areas", {}).get(area)
    if own is not None:
        return _flipped(own["corners"], view) if own["side"] == side else ()
    if area in view.get("middle_areas", {}):
        return list(view["middle_areas"][area])
    if area not in view.get("areas", {}):
        return ()
    corners = view["areas"][area]
    return corners if side == view["half_is"] else _mirrored(corners, view)


def _mirrored(corners: Corners, view: Mapping[str, Any]) -> Corners:
    return [(2 * view["middle"] - x, y) for x, y in corners]


def _flipped(corners: Corners, view: Mapping[str, Any]) -> Corners:
    return [(view["width"] - x, y) for x, y in corners] if view.get("flip") else corners


def _outline(view: Mapping[str, Any]) -> str:
    half = view["outline"]
    if view.get("closed"):
        return _smooth(_flipped(half, view), closed=True)
    other = [(x, y) for x, y in reversed(_mirrored(half, view)) if x != view["middle"]]
    return _smooth([*half, *other], closed=True)


def _polygon(corners: Corners) -> str:
    return "M" + "L".join(f"{x:g} {y:g}" for x, y in corners) + "Z"


def _smooth(points: Corners, *, closed: bool) -> str:
    """A smooth curve through points (Catmull-Rom as cubic pieces)."""
    count = len(points)

    def at(k: int) -> Sequence[float]:
        return points[k % count] if closed else points[min(max(k, 0), count - 1)]

    pieces = [f"M{points[0][0]:g} {points[0][1]:g}"]
    for k in range(count if closed else count - 1):
        before, here, there, after = at(k - 1), at(k), at(k + 1), at(k + 2)
        first = [h + (t - b) / 6 for h, t, b in zip(here, there, before, strict=True)]
        second = [t - (a - h) / 6 for t, a, h in zip(there, after, here, strict=True)]
        numbers = " ".join(f"{value:.1f}" for value in (*first, *second, *there))
        pieces.append(f"C{numbers}")
    return "".join(pieces) + ("Z" if closed else "")


@cache
def _views() -> Mapping[str, Mapping[str, Any]]:
    views: Mapping[str, Mapping[str, Any]] = load_yaml(FILE, DATA)["views"]
    return views
