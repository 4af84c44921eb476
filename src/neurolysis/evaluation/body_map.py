"""Areas of the body outline: names, and on which views and sides each is drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Literal

from neurolysis.case import PainArea
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evaluation.facts import DATA
from neurolysis.evidence.store import load_yaml
from neurolysis.quantity import Value, parse

FILE = "body_map.yaml"


class BodyArea(Value):
    """One area; ``sided`` says that it exists left and right."""

    id: str
    title: str
    views: tuple[Literal["front", "back", "left", "right", "head"], ...]
    sided: bool


@cache
def body_areas() -> Mapping[str, BodyArea]:
    """Every area by id."""
    rows = load_yaml(FILE, DATA).items()
    return {id: parse(BodyArea, {"id": id, **row}, f"{FILE}: {id}") for id, row in rows}


def check_areas(marked: Iterable[PainArea]) -> None:
    """Refuse an area that is not on the map, or a side that it does not have.

    Raises:
        UnknownNameError: listing the areas.
        InputError: a side is missing, or given for an area without sides.
    """
    for area in marked:
        if area.area not in body_areas():
            raise UnknownNameError(
                "unknown area", where="pain", found=area.area, allowed=sorted(body_areas())
            )
        known = body_areas()[area.area]
        if known.sided and area.side not in ("left", "right"):
            raise InputError(
                "this area has two sides", where=f"pain: {area.area}", found=area.side, allowed="left, right"
            )
        if not known.sided and area.side in ("left", "right"):
            raise InputError(
                "this area has no sides", where=f"pain: {area.area}", found=area.side, allowed="midline"
            )
