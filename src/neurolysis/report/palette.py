"""Colours and sizes of every figure and page, fixed in one place.

Four things keep one colour everywhere: the nerve, the lesion, the isotherms and the structures at risk.
The four stay apart for readers with protanopia, deuteranopia and tritanopia (a test simulates the three),
and none is told apart by colour alone: each also has its own line, label or pattern.
"""

from __future__ import annotations

NERVE = "#0077BB"
LESION = "#D9480F"
ISOTHERM = "#F2B701"
DANGER = "#AA3377"

INK = "#1B2730"
MUTED = "#55626E"
RULE = "#D3DAE0"
PANEL = "#F3F6F8"
ACCENT = "#0F5C6E"
WHITE = "#FFFFFF"

BONE = "#FFF6DC"
SHAFT = "#7C8891"
TIP = "#FFFFFF"

SEMANTIC = {"nerve": NERVE, "lesion": LESION, "isotherm": ISOTHERM, "danger": DANGER}
"""The colours with a meaning, by what they mean."""

LINES = ((ACCENT, ""), (INK, "6 3"), (MUTED, "2 3"), (MUTED, "9 3 2 3"))
"""Colour and dash pattern of the lines of a chart, in order; none of them has a meaning elsewhere."""

CRITERION_DASHES = ("", "7 3", "2 2.5", "9 3 2 3", "4 2")
"""Dash patterns that tell lesion criteria apart."""

PDF_FONT = "Libertinus Serif"
"""The font inside figures; in the PDF it is the one the engine carries, on screen the page's own wins."""

FONT = 11.0
SMALL = 9.5
"""Font sizes inside figures, in figure units."""

FULL_WIDTH = 720.0
HALF_WIDTH = 350.0
"""Widths of figures in figure units; one unit is the same length on paper in every figure."""
