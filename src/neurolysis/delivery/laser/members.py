"""The three members of every prediction: light that stays near the fibre, as printed, and that goes far.

Printed coefficients of one tissue differ by 2 to 50 times, so a single contour would be a lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from neurolysis.evidence.optics import Spectrum, char, coagulated
from neurolysis.quantity import Quantity
from neurolysis.scene import AIR

Member = Literal["shallow", "middle", "deep"]
MEMBERS: tuple[Member, ...] = ("shallow", "middle", "deep")
SUFFIX: dict[Member, str] = {"shallow": "_shallow", "middle": "", "deep": "_deep"}
WORDS: dict[Member, str] = {
    "shallow": "if light stays near the fibre",
    "middle": "as printed",
    "deep": "if light goes far",
}
PER_M = 1000.0
"""1/mm in 1/m."""


@dataclass(frozen=True)
class Optics:
    """One member's optics, SI: absorption, reduced scattering (1/m) and g of every tissue, and their changes.

    ``scattering_ratio`` and ``absorption_ratio`` hold when fully coagulated; ``char_share`` of the light is
    left in the carbonised layer.
    """

    absorption: tuple[float, ...]
    reduced: tuple[float, ...]
    g: tuple[float, ...]
    scattering_ratio: float
    absorption_ratio: float
    char_share: float


def _end(number: Quantity, member: Member) -> float:
    ends = {"shallow": number.high, "middle": number.value, "deep": number.low}
    found = ends[member]
    return number.value if found is None else found


def optics(names: Sequence[str], spectrum: Spectrum, member: Member) -> Optics:
    """Optics of tissues by name; air lets light through."""
    changed = coagulated()
    rows = [None if name == AIR else spectrum.tissue(name) for name in names]
    return Optics(
        absorption=tuple(PER_M * _end(r.absorption_per_mm, member) if r else 0.0 for r in rows),
        reduced=tuple(PER_M * _end(r.reduced_scattering_per_mm, member) if r else 0.0 for r in rows),
        g=tuple(r.anisotropy.value if r else 0.0 for r in rows),
        scattering_ratio=_end(changed.scattering_ratio, member),
        absorption_ratio=_end(changed.absorption_ratio, member),
        char_share=char().absorbed(),
    )
