"""Numbers and names as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from neurolysis.evidence.store import ASSUMPTION
from neurolysis.geometry import Point, unit_vector
from neurolysis.quantity import Quantity

NBSP = "\u00a0"
MINUS = "\u2212"
NO_NUMBER = "–"
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_UNITLESS = {"", "1", "-", "none", "dimensionless"}

NAMES = {
    "peak_temperature_c": "peak temperature",
    "lowest_temperature_c": "lowest temperature",
    "temperature_c": "temperature",
    "cem43_min": "CEM43 dose",
    "distance_to_lesion_mm": "distance to lesion",
    "killed_fraction": "killed fraction",
    "agent_share": "share of the least neurolytic concentration",
}
"""Field and metric names in words; others lose their unit suffix and underscores."""

UNIT_SUFFIXES = ("_s_per_m", "_w_per_m_k", "_kg_per_m3", "_j_per_kg_k", "_j_per_m3_k", "_w_per_m2_k",
                 "_w_per_kg", "_per_s", "_per_c", "_v_per_m", "_mm3", "_mm", "_min", "_ohm", "_khz",
                 "_hz", "_deg", "_c", "_s", "_w", "_v", "_a", "_j", "_ml")  # fmt: skip


def number(value: float | None, digits: int = 3) -> str:
    """A number with ``digits`` significant digits, a true minus, and powers of ten in words of digits."""
    if value is None or not math.isfinite(value):
        return NO_NUMBER
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e5:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        return f"{_trimmed(mantissa)}×10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    decimals = max(digits - 1 - math.floor(math.log10(abs(value))), 0)
    return _trimmed(f"{value:.{decimals}f}")


def _trimmed(text: str) -> str:
    short = text.rstrip("0").rstrip(".") if "." in text else text
    return ("0" if short in {"-0", ""} else short).replace("-", MINUS)


def fixed(value: float | None, decimals: int = 1) -> str:
    """A number with a fixed count of decimals, for columns that are compared down the page."""
    if value is None or not math.isfinite(value):
        return NO_NUMBER
    text = f"{value:.{decimals}f}"
    return (text[1:] if float(text) == 0 and text.startswith("-") else text).replace("-", MINUS)


def with_unit(text: str, unit: str) -> str:
    """A number's text and its unit, never parted by a line break."""
    unitless = unit.strip().lower() in _UNITLESS or text == NO_NUMBER
    return text if unitless else f"{text}{NBSP}{unit.strip()}"


def millimetres(value: float | None, decimals: int = 1) -> str:
    """A length, mm."""
    return with_unit(fixed(value, decimals), "mm")


def celsius(value: float | None, decimals: int = 1) -> str:
    """A temperature, °C."""
    return with_unit(fixed(value, decimals), "°C")


def percent(fraction: float | None) -> str:
    """A fraction of one as per cent; never rounded to a certainty it is not."""
    if fraction is None or not math.isfinite(fraction):
        return NO_NUMBER
    if 0 < fraction < 0.005:
        return f"< 1{NBSP}%"
    if 0.995 < fraction < 1:
        return f"> 99{NBSP}%"
    return f"{100 * fraction:.0f}{NBSP}%"


def interval(low: float | None, high: float | None, decimals: int = 1) -> str:
    """``low–high``, or nothing where either is unknown."""
    if low is None or high is None:
        return ""
    return f"{fixed(low, decimals)}–{fixed(high, decimals)}"


def quantity(item: Quantity, digits: int = 4) -> str:
    """Value, unit and the range or standard deviation it may take."""
    text = with_unit(number(item.value, digits), item.unit)
    if item.low is not None and item.high is not None:
        dash = " to " if item.low < 0 else "–"
        return f"{text} ({number(item.low, digits)}{dash}{number(item.high, digits)})"
    if item.standard_deviation:
        return f"{text} (SD {number(item.standard_deviation, digits)})"
    return text


def reason(source: str) -> str:
    """An assumption's reason without its prefix; other source texts as they are."""
    return source.removeprefix(ASSUMPTION).strip()


def name(key: str) -> str:
    """A field's or metric's name in words."""
    if key in NAMES:
        return NAMES[key]
    for suffix in UNIT_SUFFIXES:
        if key.endswith(suffix) and len(key) > len(suffix):
            return key.removesuffix(suffix).replace("_", " ")
    return key.replace("_", " ")


def sentence(text: str) -> str:
    """The text with a capital first letter."""
    return text[:1].upper() + text[1:]


def listed(items: Iterable[str]) -> str:
    """``a, b and c``."""
    words = list(items)
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}" if words else ""


def place(point_mm: Point | Sequence[float]) -> str:
    """A place in LPS millimetres."""
    x, y, z = point_mm
    return f"L{NBSP}{fixed(x)}, P{NBSP}{fixed(y)}, S{NBSP}{fixed(z)}{NBSP}mm"


def directions(vector: Sequence[float]) -> tuple[str, str]:
    """The anatomical letters a direction (3,) points to, strongest first: one letter, or two if oblique."""
    import numpy as np

    unit = unit_vector(vector)
    order = np.argsort(-np.abs(unit))
    letters = [("L", "R"), ("P", "A"), ("S", "I")]
    found = [letters[k][0 if unit[k] > 0 else 1] for k in order[:2]]
    oblique = abs(unit[order[1]]) > math.sin(math.radians(22.5))
    return found[0], found[1] if oblique else ""


def course(direction_to_hub: Sequence[float]) -> str:
    """Where the needle comes from, as angles off the line straight back (posterior)."""
    x, y, z = unit_vector(direction_to_hub)
    sideways = math.degrees(math.atan2(x, y))
    lengthwise = math.degrees(math.asin(max(-1.0, min(1.0, z))))
    first = f"{fixed(abs(sideways), 0)}° to the {'left' if sideways > 0 else 'right'} of straight back"
    second = f"{fixed(abs(lengthwise), 0)}° towards the {'head' if lengthwise > 0 else 'feet'}"
    return f"hub {first}, {second}"
