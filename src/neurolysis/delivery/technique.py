"""What a technique is: one module registers one :class:`Technique`, and everything else is generated.

The command ``simulate``, the report's section, the page's form and the comparison table read this
record; none of them knows a technique by name. Adding one touches its module, its data and its tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any, Literal
from typing import Protocol as Interface

from pydantic import BaseModel

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.exposure import Exposure
from neurolysis.instrument import InstrumentKind
from neurolysis.plan import Notice, Numerics, Plan, Protocol
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import Scene


class Progress(Interface):
    """Called with the done fraction (0 to 1) and what is being done; may raise to cancel."""

    def __call__(self, fraction: float, message: str) -> None: ...  # noqa: D102


def silent(fraction: float, message: str) -> None:
    """A progress that shows nothing."""


@dataclass(frozen=True)
class Option:
    """One option of ``neurolysis simulate NAME``; ``default`` None means it must be given."""

    name: str
    kind: type[float] | type[int] | type[str] | type[bool]
    help: str
    default: float | int | str | bool | None = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    required: bool = True


@dataclass(frozen=True)
class Chart:
    """A chart of the report: series of the exposure against time, on one axis of one unit."""

    title: str
    unit: str
    series: tuple[tuple[str, str], ...]
    """Pairs of series name in ``Exposure.series`` and label."""


@dataclass(frozen=True)
class LineChart:
    """A chart of the report along the target nerve: fields of ``Exposure.along`` on one axis of one unit.

    ``levels`` gives what is drawn across it: (value, label).
    """

    title: str
    unit: str
    series: tuple[tuple[str, str], ...]
    levels: Callable[[], tuple[tuple[float, str], ...]] = tuple


@dataclass(frozen=True)
class InstrumentUse:
    """What a technique works through, and how the pictures of it are read.

    Attributes:
        kinds: the listed instruments that fit.
        name: what people call it.
        end: its end, which pictures show white; shaft: the rest, which they show grey.
        end_field: the protocol's field with the length of that end, mm; the instrument's own where empty.
    """

    kinds: tuple[InstrumentKind, ...]
    name: str
    end: str
    shaft: str = "shaft"
    end_field: str = ""

    @property
    def key(self) -> str:
        """The line of a key."""
        return f"{self.name}: {self.end} white, {self.shaft} grey"

    def end_mm(self, protocol: Protocol) -> float | None:
        """Length of the white end as the protocol says, mm; None: the instrument's own active tip."""
        return float(getattr(protocol, self.end_field)) if self.end_field else None


class ValidationRow(Value):
    """A published measurement beside what the model gives for it.

    ``simulated`` holds one text per assumed input (for instance the starting temperature);
    ``verdict`` "cannot say" where an input of the measurement is unknown, "not computable" where it
    is missing altogether.
    """

    id: str
    source: str
    quantity: str
    measured: str
    simulated: Mapping[str, str]
    criterion: str
    verdict: Literal["pass", "fail", "cannot say", "not computable"]
    reason: str = ""


@dataclass(frozen=True)
class Bench:
    """A piece of physics that a technique rests on, run alone as ``neurolysis simulate NAME``.

    Attributes:
        name: the sub-command; no technique has the same.
        title: what people read.
        options: options of the command.
        simulate: runs it from option values; returns plain data for ``--json``.
    """

    name: str
    title: str
    options: tuple[Option, ...]
    simulate: Callable[[Mapping[str, Any], Mapping[str, str], Progress], dict[str, Any]]


@dataclass(frozen=True)
class Technique:
    """One way of treating a nerve.

    Attributes:
        name: the id used in cases, commands and hashes.
        title: what people read.
        protocol: the recipe's model.
        expose: simulates a plan in a scene.
        notices: rules that can be checked before simulation (place, setting, devices).
        summary: the setting in words, as (label, value) pairs for the report's first page.
        assumptions: numbers without a source that this plan uses; named on the report's first page.
        charts: what the report draws against time.
        options: options of the command ``simulate``.
        simulate: runs ``simulate`` from option values; returns plain data for ``--json``.
        simulate_case: runs a bench case file (plain data) of this technique.
        validate: the published measurements the model is held against.
        schemas: further published schemas, by name.
        line_charts: what the report draws along the target nerve.
        places_instrument: whether a plan needs placements; an open operation has none.
        instrument: what it works through; None where nothing is said of it, or nothing is placed.
        benches: pieces of its physics that can be run alone.
    """

    name: str
    title: str
    protocol: type[Protocol]
    expose: Callable[[Scene, Plan, Progress], Exposure]
    notices: Callable[[Scene, Plan], tuple[Notice, ...]]
    summary: Callable[[Plan], tuple[tuple[str, str], ...]]
    assumptions: Callable[[Scene, Plan], tuple[tuple[str, Quantity], ...]]
    charts: tuple[Chart, ...]
    options: tuple[Option, ...]
    simulate: Callable[[Mapping[str, Any], Mapping[str, str], Progress], dict[str, Any]]
    simulate_case: Callable[[Mapping[str, Any], bool, str, Progress], dict[str, Any]]
    validate: Callable[[Progress], Sequence[ValidationRow]]
    schemas: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    default_numerics: Numerics = field(default_factory=Numerics)
    line_charts: tuple[LineChart, ...] = ()
    places_instrument: bool = True
    instrument: InstrumentUse | None = None
    benches: tuple[Bench, ...] = ()


def deferred(module: str, name: str) -> Callable[..., Any]:
    """A function of a module that is imported when it is first called."""

    def call(*given: Any) -> Any:
        return getattr(import_module(module), name)(*given)

    return call


def setting_value(text: str, name: str) -> float | bool | None:
    """What ``--set NAME=TEXT`` means; InputError where it is no number, true, false or none."""
    plain = text.strip().lower()
    if plain in ("true", "false"):
        return plain == "true"
    if plain in ("none", "null"):
        return None
    try:
        return float(text)
    except ValueError:
        raise InputError(
            "not a number", where=f"--set {name}", found=text, allowed="a number, true, false or none"
        ) from None


def techniques() -> dict[str, Technique]:
    """Every technique by name: each module or package of this folder that defines ``TECHNIQUE``."""
    import neurolysis.delivery

    found: dict[str, Technique] = {}
    for module in iter_modules(neurolysis.delivery.__path__, "neurolysis.delivery."):
        item = getattr(import_module(module.name), "TECHNIQUE", None)
        if isinstance(item, Technique):
            found[item.name] = item
    return found


def technique(name: str) -> Technique:
    """One technique; UnknownNameError lists the registered ones."""
    known = techniques()
    if name not in known:
        raise UnknownNameError("unknown technique", found=name, allowed=sorted(known))
    return known[name]


def benches() -> dict[str, Bench]:
    """Every bench of every technique by name."""
    return {bench.name: bench for item in techniques().values() for bench in item.benches}


def simulable(name: str) -> Technique | Bench:
    """What ``simulate`` can run under this name; UnknownNameError lists techniques and benches."""
    known: dict[str, Technique | Bench] = {**benches(), **techniques()}
    if name not in known:
        raise UnknownNameError("unknown technique", found=name, allowed=sorted(known))
    return known[name]


def protocol_models() -> dict[str, type[Protocol]]:
    """Protocol models by technique name, for reading plans."""
    return {name: item.protocol for name, item in techniques().items()}
