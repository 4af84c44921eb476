"""A small SVG writer: elements as text, everything that comes from outside escaped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

import numpy as np

from neurolysis.geometry import FloatArray
from neurolysis.report.palette import FONT, INK, PDF_FONT, WHITE

Attribute = str | float | int | None


_FORBIDDEN = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
"""Characters no XML document may hold, however they are written."""


def escaped(text: str) -> str:
    """Text as markup that shows exactly it, without characters that XML forbids."""
    return escape(_FORBIDDEN.sub("", text), quote=True)


def number(value: float) -> str:
    """A coordinate with at most two decimals and no trailing zeros."""
    text = f"{value:.2f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def element(name: str, *children: str, **attributes: Attribute) -> str:
    """``<name ...>children</name>``: children are markup, attribute values are escaped.

    Underscores in attribute names become hyphens; None leaves an attribute out.
    """
    head = "".join(
        f' {key.replace("_", "-")}="{_value(value)}"'
        for key, value in attributes.items()
        if value is not None and value != ""
    )
    inner = "".join(children)
    return f"<{name}{head}>{inner}</{name}>" if inner else f"<{name}{head}/>"


def _value(value: str | float | int) -> str:
    return escaped(value) if isinstance(value, str) else number(float(value))


def text(
    x: float,
    y: float,
    content: str,
    *,
    size: float = FONT,
    fill: str = INK,
    anchor: str = "start",
    weight: str | None = None,
    halo: str | None = None,
) -> str:
    """One line of escaped text; ``halo`` draws an edge of that colour behind the letters."""
    edge: dict[str, Attribute] = (
        {"stroke": halo, "stroke_width": 3, "stroke_linejoin": "round", "paint_order": "stroke"}
        if halo
        else {}
    )
    return element(
        "text",
        escaped(content),
        x=x,
        y=y,
        font_size=size,
        fill=fill,
        text_anchor=None if anchor == "start" else anchor,
        font_weight=weight,
        **edge,
    )


def line(
    x1: float, y1: float, x2: float, y2: float, *, stroke: str, width: float = 1.0, dash: str = ""
) -> str:
    """A straight line."""
    return element(
        "line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=width, stroke_dasharray=dash
    )


def rectangle(x: float, y: float, width: float, height: float, **attributes: Attribute) -> str:
    """A rectangle."""
    return element("rect", x=x, y=y, width=max(width, 0.0), height=max(height, 0.0), **attributes)


def path(data: str, **attributes: Attribute) -> str:
    """A path; without data nothing at all."""
    return element("path", d=data, **attributes) if data else ""


def path_data(lines: Iterable[FloatArray], *, close: bool = False) -> str:
    """Path data of polylines (n, 2) in figure units; a polyline that ends where it began is closed."""
    parts = []
    for points in lines:
        if len(points) < 2:
            continue
        closed = close or bool(np.allclose(points[0], points[-1]))
        kept = points[:-1] if closed and np.allclose(points[0], points[-1]) else points
        body = "L".join(f"{number(x)} {number(y)}" for x, y in kept.tolist())
        parts.append(f"M{body}{'Z' if closed else ''}")
    return "".join(parts)


def cased(data: str, *, stroke: str, width: float = 1.6, dash: str = "", casing: str = WHITE) -> str:
    """A line that can be read on any grey: a wider pale line beneath a coloured one."""
    shape: dict[str, Attribute] = {"fill": "none", "stroke_linejoin": "round"}
    beneath = path(data, stroke=casing, stroke_width=width + 1.8, stroke_opacity=0.75, **shape)
    return beneath + path(data, stroke=stroke, stroke_width=width, stroke_dasharray=dash, **shape)


def clipped(name: str, width: float, height: float, *children: str) -> str:
    """Children cut to the rectangle from (0, 0); ``name`` must be unique on the page."""
    clip = element("clipPath", rectangle(0, 0, width, height), id=name)
    return element("defs", clip) + element("g", *children, clip_path=f"url(#{name})")


def drawing(width: float, height: float, *children: str, title: str) -> str:
    """The whole figure; ``title`` is read out by screen readers."""
    return element(
        "svg",
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {number(width)} {number(height)}",
        width=width,
        height=height,
        font_family=PDF_FONT,
        role="img",
        aria_label=title,
    )
