"""The catalogue of nerves: which there are, where each crosses bone, which joints it serves.

The only list of nerves and targets; the data stand in ``nerve/data``. A plan names nerve, bony level
and joint, so that a wrong level cannot hide: :func:`target_problems` holds the three against each other.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from neurolysis.case import Target
from neurolysis.evidence.store import ASSUMPTION, load_yaml, pick, read_value, source_text
from neurolysis.nerve.targets import TargetEntry, target_of
from neurolysis.plan import Notice
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import FibreClass

DATA = Path(__file__).parent / "data"
FILES = ("lumbar.yaml",)


class NerveEntry(Value):
    """One nerve of the catalogue.

    ``level`` is the segment it comes from, ``bony_level`` the vertebra it crosses at ``place``
    (``bony_level_names`` are other names of it), ``joints`` those it serves. An empty
    ``fibre_classes`` is "not read". ``anatomy_source`` is where levels and joints come from.
    """

    id: str
    title: str
    region: str
    kind: Literal["medial branch", "dorsal ramus"]
    level: str
    bony_level: str
    bony_level_names: tuple[str, ...] = ()
    place: str
    joints: tuple[str, ...] = Field(min_length=1)
    paired: bool
    diameter_mm: Quantity
    fibre_classes: tuple[FibreClass, ...]
    fibres_note: str
    anatomy_source: str = Field(min_length=1)


class JointSupply(Value):
    """The branches of one joint; ``not_in_catalogue`` names those it has beside the listed ones."""

    joint: str
    branches: tuple[str, ...] = Field(min_length=1)
    not_in_catalogue: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _two_branches(self) -> Self:
        if len(self.branches) + len(self.not_in_catalogue) != 2:
            raise ValueError("each facet joint has two branches")
        return self


class ApproachAngle(Value):
    """An angle of the needle that lies along the nerve: range over the levels, and range of their SD."""

    name: str
    region: str
    low: float
    high: float
    sd_low: float = Field(ge=0)
    sd_high: float = Field(ge=0)
    unit: Literal["deg"]
    levels: tuple[str, ...]
    conditions: str
    source: str

    @property
    def middle(self) -> float:
        """Middle of the range: a start for planning, not a value any source states."""
        return 0.5 * (self.low + self.high)


def nerve_ids() -> tuple[str, ...]:
    """Ids of every nerve in the catalogue."""
    return tuple(_nerves())


def nerve_entry(id: str) -> NerveEntry:
    """One nerve; UnknownNameError lists the ids."""
    return pick(_nerves(), id, "nerve")


def expected_bony_level(id: str) -> str:
    """The vertebra this nerve crosses, for instance ``L3`` for the L2 medial branch."""
    return nerve_entry(id).bony_level


def joints_served(id: str) -> tuple[str, ...]:
    """The joints this nerve serves, for instance ``("L2-3", "L3-4")``."""
    return nerve_entry(id).joints


def joint_names() -> tuple[str, ...]:
    """Every joint of the catalogue."""
    return tuple(_joints())


def joint_supply(joint: str) -> JointSupply:
    """The two branches of a joint (``L3-4``, also written ``L3-L4`` or ``L3/4``).

    Raises:
        UnknownNameError: listing the joints.
    """
    return pick(_joints(), normal_joint(joint), "joint")


def approach_angles(id: str) -> tuple[ApproachAngle, ...]:
    """Angles at which a needle lies along this nerve, as read; empty where none were read."""
    entry = nerve_entry(id)
    return tuple(row for row in _approach() if entry.region == row.region and entry.level in row.levels)


def target_problems(target: Target) -> tuple[Notice, ...]:
    """What is wrong with a target's name; empty when nerve, side, level and joint agree.

    All are stops that nobody can override, but for an unanswered question about a transitional
    vertebra, which warns. A target of :mod:`neurolysis.nerve.targets` that the nerve catalogue does not
    hold is checked for its side alone; where it is named by a spinal level, that this is not checked warns.

    Raises:
        UnknownNameError: neither a nerve of the catalogue nor a target.
    """
    if target.nerve not in _nerves():
        return _general_problems(target, target_of(target.nerve))
    entry = nerve_entry(target.nerve)
    checks = (_side(target, entry), _level(target, entry), _joint(target, entry))
    return tuple(notice for notice in (*checks, _counted(target), _transitional(target)) if notice)


def joint_notes(target: Target) -> tuple[Notice, ...]:
    """Which other branch the treated joint has: one nerve alone does not denervate it."""
    joint = normal_joint(target.joint or "")
    if joint not in _joints() or target.nerve not in _nerves():
        return ()
    supply = _joints()[joint]
    others = [_with_level(other) for other in supply.branches if other != target.nerve]
    text = f"{joint} has two branches; this target is one, the other is {_join(others, supply)}."
    return (Notice(severity="info", code="joint.other_branch", text=text, source=_rule(target.nerve)),)


def normal_joint(joint: str) -> str:
    """A joint's name in the catalogue's form: ``L3-L4``, ``l3/4`` and ``L3-4`` are ``L3-4``."""
    upper, _, lower = joint.upper().replace(" ", "").replace("/", "-").partition("-")
    if lower[:1] == upper[:1] and lower[1:].isdigit():
        lower = lower[1:]
    return f"{upper}-{lower}"


def _general_problems(target: Target, entry: TargetEntry) -> tuple[Notice, ...]:
    """The checks of a target that is no single nerve of the catalogue."""
    title, found = entry.title, target.side
    if entry.nerves:
        text = f"'{entry.id}' is several nerves: name the one that is treated ({', '.join(entry.nerves)})."
        return (_general_stop("target.not_one_nerve", text, entry),)
    notices = []
    if entry.paired and found not in ("left", "right"):
        text = f"The target '{title}' is paired: the side must be left or right, found '{found}'."
        notices.append(_general_stop("side.missing", text, entry))
    if entry.spinal_level:
        said = f" as given ({target.bony_level})" if target.bony_level else ""
        text = f"The nerve catalogue holds no levels of '{title}': the level{said} is not checked."
        notices.append(Notice(severity="warn", code="level.unchecked", text=text, source=entry.source))
    return tuple(notices)


def _general_stop(code: str, text: str, entry: TargetEntry) -> Notice:
    return Notice(severity="stop", code=code, text=text, source=entry.source, overridable=False)


def _with_level(id: str) -> str:
    entry = nerve_entry(id)
    return f"the {entry.title} at {entry.bony_level}"


def _join(others: list[str], supply: JointSupply) -> str:
    missing = [f"{name}, which is not in the catalogue" for name in supply.not_in_catalogue]
    return " and ".join([*others, *missing])


def _stop(code: str, text: str, entry: NerveEntry) -> Notice:
    return Notice(severity="stop", code=code, text=text, source=_rule(entry.id), overridable=False)


def _rule(id: str) -> str:
    return nerve_entry(id).anatomy_source


def _side(target: Target, entry: NerveEntry) -> Notice | None:
    if not entry.paired or target.side in ("left", "right"):
        return None
    text = f"The {entry.title} is paired: the side must be left or right, found '{target.side}'."
    return _stop("side.missing", text, entry)


def _level(target: Target, entry: NerveEntry) -> Notice | None:
    names = {name.casefold() for name in (entry.bony_level, *entry.bony_level_names)}
    if target.bony_level is not None and target.bony_level.strip().casefold() in names:
        return None
    text = f"The {entry.title} crosses {entry.bony_level}, the target says {target.bony_level or 'nothing'}."
    return _stop("level.mismatch", text, entry)


def _joint(target: Target, entry: NerveEntry) -> Notice | None:
    if normal_joint(target.joint or "") in entry.joints:
        return None
    text = (
        f"The {entry.title} serves {' and '.join(entry.joints)}, the target says {target.joint or 'nothing'}."
    )
    return _stop("joint.mismatch", text, entry)


def _counted(target: Target) -> Notice | None:
    if target.level_counted is not None and target.level_counted.strip():
        return None
    text = "The vertebral level has not been counted; a plan for an uncounted level cannot be approved."
    return _stop("level.uncounted", text, nerve_entry(target.nerve))


def _transitional(target: Target) -> Notice | None:
    entry = nerve_entry(target.nerve)
    if target.transitional_vertebra:
        text = "There is a transitional vertebra: level names are not safe until they are settled."
        return _stop("level.transitional", text, entry)
    if target.transitional_vertebra is None:
        text = "The case does not say whether there is a transitional vertebra."
        return Notice(severity="warn", code="level.transitional_unknown", text=text, source=_rule(entry.id))
    return None


@cache
def _nerves() -> Mapping[str, NerveEntry]:
    found = {
        name: read_value(NerveEntry, {"id": name, **row}, f"{file}: {name}")
        for file in FILES
        for name, row in _data(file)["nerves"].items()
    }
    for entry in found.values():
        if not entry.anatomy_source.startswith(ASSUMPTION):
            source_text(entry.anatomy_source)
    return MappingProxyType(found)


@cache
def _joints() -> Mapping[str, JointSupply]:
    return MappingProxyType(
        {
            joint: read_value(JointSupply, {"joint": joint, **row}, f"{file}: {joint}")
            for file in FILES
            for joint, row in _data(file)["joints"].items()
        }
    )


@cache
def _approach() -> tuple[ApproachAngle, ...]:
    return tuple(
        read_value(
            ApproachAngle,
            {"levels": table["levels"], "region": table["region"], **row},
            f"{file}: {row['name']}",
        )
        for file in FILES
        for table in (_data(file)["approach"],)
        for row in table["records"]
    )


def _data(file: str) -> Any:
    return load_yaml(file, DATA)
