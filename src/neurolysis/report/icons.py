"""Icon arrays: 100 people, always the same 100, filled for those to whom something happened."""

from __future__ import annotations

from neurolysis.report.palette import ACCENT, DANGER, MUTED
from neurolysis.report.svg import element

COUNT, ACROSS, STEP = 100, 20, 11.0
LIGHT = 0.38


def icon_array(low: float, high: float, *, harm: bool = False, found: bool = True) -> str:
    """100 people as SVG: solid up to ``low``, lighter up to ``high``, empty beyond.

    Args:
        low, high: people of 100, 0 to 100; equal where there is no interval.
        harm: drawn in the colour of harms.
        found: False draws an empty, hatched array: no figure was found.

    Raises:
        ValueError: not 0 <= low <= high <= 100.
    """
    if not 0 <= low <= high <= COUNT:
        raise ValueError(f"people of 100: 0 <= low <= high <= 100, found {low} and {high}")
    colour = DANGER if harm else ACCENT
    solid, light = (round(low), round(high)) if found else (0, 0)
    parts = [_person(k, colour, solid, light, found) for k in range(COUNT)]
    width, height = ACROSS * STEP, COUNT // ACROSS * 20.0
    return element(
        "svg", *parts, xmlns="http://www.w3.org/2000/svg", viewBox=f"0 0 {width:g} {height:g}", role="img"
    )


def _person(number: int, colour: str, solid: int, light: int, found: bool) -> str:
    x, y = (number % ACROSS) * STEP + 5.5, number // ACROSS * 20.0
    filled = number < light
    look: dict[str, str | float | None] = {
        "fill": colour if filled else "#ffffff",
        "fill_opacity": 1.0 if number < solid or not filled else LIGHT,
        "stroke": colour if filled else MUTED,
        "stroke_width": 0.7,
        "stroke_dasharray": None if found else "1.2 1.2",
    }
    head = element("circle", cx=x, cy=y + 4.2, r=2.6, **look)
    body = element("path", d=f"M{x - 3.8:g} {y + 17:g}V{y + 11:g}a3.8 3.8 0 0 1 7.6 0V{y + 17:g}Z", **look)
    return head + body
