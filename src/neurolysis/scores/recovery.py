"""Recovery scores: is the patient awake and well enough to leave the recovery room, or to go home?"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Literal

from pydantic import Field

from neurolysis.errors import InputError
from neurolysis.evidence.store import load_yaml, pick
from neurolysis.quantity import Value, parse
from neurolysis.scores.registry import DATA

FILE = "recovery.yaml"
ALDRETE = "aldrete"
UNITS = ("mmHg", "percent")


class RecoveryScale(Value):
    """One scale: three answers an item, worth 0, 1 and 2 points."""

    id: str
    title: str
    ready_at: int
    maximum: int
    source: str
    rows: tuple[str, ...] = ()
    items: dict[str, tuple[str, str, str]] = Field(min_length=1)


class RecoveryScore(Value):
    """A scored check; ``total`` None while items are missing; ``ready`` only with a full score."""

    scale: str
    title: str
    total: int | None
    ready_at: int
    maximum: int
    ready: bool | None
    missing: tuple[str, ...] = ()
    note: str = ""


@cache
def scales() -> Mapping[str, RecoveryScale]:
    """Every recovery scale by id."""
    rows = load_yaml(FILE, DATA).items()
    return {id: parse(RecoveryScale, {"id": id, **row}, f"{FILE}: {id}") for id, row in rows}


def recovery_score(
    scale: str,
    items: Mapping[str, int | None],
    *,
    blood_pressure_unit: Literal["mmHg", "percent"] | None = None,
) -> RecoveryScore:
    """Score one check.

    Args:
        scale: ``aldrete``, ``padss`` or ``modified_padss``.
        items: 0, 1 or 2 by item; None was not looked at.
        blood_pressure_unit: of the Aldrete item: sources differ, so the site must say; no default.

    Raises:
        UnknownNameError: no such scale.
        InputError: an item that does not exist, points that are not 0, 1 or 2, or an Aldrete score
            without the unit of its blood pressure item.
    """
    chosen = pick(scales(), scale, "recovery scale")
    where = f"recovery: {scale}"
    unknown = sorted(set(items) - set(chosen.items))
    if unknown:
        raise InputError("no such item", where=where, found=unknown, allowed=list(chosen.items))
    for name, points in items.items():
        if points is not None and (isinstance(points, bool) or points not in (0, 1, 2)):
            raise InputError("points of an item", where=f"{where}.{name}", found=points, allowed="0, 1, 2")
    note = ""
    if scale == ALDRETE:
        if blood_pressure_unit not in UNITS:
            raise InputError(
                "sources differ on the unit of the blood pressure item: the site must choose",
                where=f"{where}.blood_pressure_unit",
                found=blood_pressure_unit,
                allowed=UNITS,
            )
        note = f"blood pressure item in {blood_pressure_unit}, chosen by the site"
    missing = tuple(name for name in chosen.items if items.get(name) is None)
    total = None if missing else int(sum(points for points in items.values() if points is not None))
    return RecoveryScore(
        scale=scale,
        title=chosen.title,
        total=total,
        ready_at=chosen.ready_at,
        maximum=chosen.maximum,
        ready=None if total is None else total >= chosen.ready_at,
        missing=missing,
        note=note,
    )
