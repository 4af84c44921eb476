"""Grids graded round a straight instrument, for heat and for cold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurolysis.geometry import FloatArray
from neurolysis.plan import Numerics

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid

MM = 1e-3


def finest_mm(radius_mm: float, numerics: Numerics, *, flat: bool = False) -> float:
    """Cell size at the tip: as asked, else min(0.3 mm, radius / 1.5).

    A third of the radius in (r, z): in two dimensions half the size costs a hundredth of a second.
    """
    return numerics.finest_mm or min(0.3, radius_mm / (3.0 if flat else 1.5))


def apart(places: list[float], least: float) -> list[float]:
    """Rising places of which those no further than ``least`` beyond the last one kept are left out."""
    kept: list[float] = []
    for place in places:
        if not kept or place - kept[-1] > least:
            kept.append(float(place))
    return kept


def graded(
    marks: list[float], low: float, high: float, finest: float, numerics: Numerics, centred: bool
) -> FloatArray:
    """Faces of one axis from ``low`` to ``high``, finest (mm) at ``marks``; the rest in metres."""
    from neurolysis.physics.grid import graded_faces

    return graded_faces(
        marks, low, high, finest=finest * MM, growth=numerics.growth, coarsest=numerics.coarsest_mm * MM,
        centred=centred,
    )  # fmt: skip


def bench_grid(
    radius_mm: float, tip_mm: float, wide_mm: float, half_mm: float, numerics: Numerics, axisymmetric: bool
) -> TensorGrid:
    """Grid of a bench case in metres: apex of one straight rod at the origin, z towards the hub.

    Args:
        radius_mm, tip_mm: of the rod and of its bare or cold part.
        wide_mm, half_mm: radius and half length of the cylinder round the middle of that part.
    """
    from neurolysis.physics.grid import Axis, TensorGrid

    radius, tip, half, wide = radius_mm * MM, tip_mm * MM, half_mm * MM, wide_mm * MM
    finest = finest_mm(radius_mm, numerics, flat=axisymmetric)
    z = graded([0.0, tip], tip / 2 - half, tip / 2 + half, finest, numerics, False)
    if axisymmetric:
        r = graded([0.0, radius], 0.0, wide, finest, numerics, False)
        return TensorGrid((Axis(r, radial=True), Axis(z)))
    x = graded([0.0], -wide, wide, finest, numerics, True)
    return TensorGrid((Axis(x), Axis(x.copy()), Axis(z)))
