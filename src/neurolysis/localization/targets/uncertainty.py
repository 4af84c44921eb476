"""The parts of a target's spread, and how one more part (a registration's error) is carried into it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pydantic import Field

from neurolysis.geometry import Volume
from neurolysis.quantity import Basis, Quantity, Value
from neurolysis.scene import Nerve


class ErrorPart(Value):
    """One cause of doubt about a place: a standard deviation in each direction, mm.

    ``standard_deviation_mm`` None is a cause that is known to be there without a number for it.
    """

    name: str = Field(min_length=1)
    standard_deviation_mm: float | None = Field(ge=0, le=100)
    basis: Basis
    source: str = Field(min_length=1)


def combined_mm(parts: Sequence[ErrorPart]) -> float:
    """Root of the sum of squares of the known parts, mm (independent causes)."""
    return math.sqrt(sum((part.standard_deviation_mm or 0.0) ** 2 for part in parts))


def as_quantity(parts: Sequence[ErrorPart]) -> Quantity:
    """The known parts together as one number that names them; an assumption where any part is one."""
    known = [part for part in parts if part.standard_deviation_mm is not None]
    named = "; ".join(f"{part.name} {part.standard_deviation_mm:.1f} mm" for part in known)
    assumed = [part for part in known if part.basis == "assumption"]
    unknown = [part.name for part in parts if part.standard_deviation_mm is None]
    text = f"{named}, as independent causes" + (
        f"; without a number: {', '.join(unknown)}" if unknown else ""
    )
    return Quantity(
        value=round(combined_mm(parts), 3),
        unit="mm",
        conditions=text,
        basis="assumption" if assumed else "site",
        source=f"assumption: {text}" if assumed else text,
    )


def carry_error(nerve: Nerve, part: ErrorPart) -> Nerve:
    """The nerve with one more cause of doubt in its spread, such as the error of a registration.

    The spread grows as the root of the sum of squares. A part without a number leaves the spread as it
    is and is named in the derivation.
    """
    before = nerve.position_sd_mm
    if part.standard_deviation_mm is None:
        return nerve.replace(derivation=f"{nerve.derivation}; not counted: {part.name}".strip("; "))
    value = math.hypot(before.value, part.standard_deviation_mm)
    text = (
        f"{before.value:.1f} mm before, with {part.name} {part.standard_deviation_mm:.1f} mm ({part.source})"
    )
    assumed = "assumption" in (before.basis, part.basis)
    grown = Quantity(
        value=value,
        low=None if before.low is None else math.hypot(before.low, part.standard_deviation_mm),
        high=None if before.high is None else math.hypot(before.high, part.standard_deviation_mm),
        unit="mm",
        conditions=before.conditions,
        basis="assumption" if assumed else "computed",
        source=f"assumption: {text}; before: {before.source}" if assumed else before.source,
    )
    return nerve.replace(
        position_sd_mm=grown, derivation=f"{nerve.derivation}; spread holds {part.name}".strip("; ")
    )


def picking_error(given_mm: Sequence[float | None], image: Volume) -> ErrorPart:
    """The doubt of picked points: the largest that was entered, or half a voxel's diagonal.

    Half a diagonal is the least a point picked on voxels can be off, so it is an assumption that says so.
    """
    entered = [value for value in given_mm if value is not None]
    if len(entered) == len(given_mm):
        return ErrorPart(
            name="picking",
            standard_deviation_mm=max(entered),
            basis="site",
            source="entered with the landmarks (position_sd_mm)",
        )
    least = 0.5 * float((image.spacing_mm**2).sum() ** 0.5)
    return ErrorPart(
        name="picking",
        standard_deviation_mm=max([least, *entered]),
        basis="assumption",
        source="assumption: no picking error was entered for every landmark; half a voxel's diagonal is the "
        "least it can be",
    )
