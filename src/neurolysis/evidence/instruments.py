"""Instruments: needles made by rule from gauge, tip and shape, and generators."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.store import load_yaml, pick, quantity, read_value
from neurolysis.instrument import Cannula, Generator, InstrumentKind, TipShape
from neurolysis.quantity import Quantity

SHAPES: tuple[TipShape, ...] = ("straight", "curved", "cooled", "tined")
FILE = "instruments.yaml"
COLD = "cold_probe_"
"""How the ids of probes that freeze begin."""


def instrument_ids() -> tuple[str, ...]:
    """Ids of every listed needle."""
    return tuple(_listed())


def instrument(id: str) -> Cannula:
    """One listed needle; UnknownNameError lists the ids."""
    return pick(_listed(), id, "instrument")


def find_cannula(gauge: int, tip_mm: float, shape: str = "straight") -> Cannula:
    """The needle of a gauge, active tip (mm) and shape.

    Straight and curved needles are made for any tip within the family's range, listed or not;
    cooled and tined ones exist only as listed.

    Raises:
        UnknownNameError: no such gauge, shape, or cooled or tined needle; lists what there is.
        InputError: the tip length is outside the range.
    """
    data = load_yaml(FILE)
    if shape not in SHAPES:
        raise UnknownNameError("unknown tip shape", found=shape, allowed=SHAPES)
    if gauge not in data["gauges"]:
        raise UnknownNameError("unknown gauge", found=gauge, allowed=data["gauges"])
    if shape in ("straight", "curved"):
        _check_tip(tip_mm, data["tip_range_mm"])
        return _plain(data, int(gauge), tip_mm, shape)
    for needle in _listed().values():
        if (needle.shape, needle.gauge, needle.active_tip_mm) == (shape, gauge, tip_mm):
            return needle
    listed = [needle.id for needle in _listed().values() if needle.shape == shape]
    raise UnknownNameError(f"no such {shape} needle", found=f"{gauge}G, {tip_mm} mm", allowed=listed)


def instrument_assumptions(needle: Cannula) -> tuple[tuple[str, Quantity], ...]:
    """Every number of a catalogue needle that has no source, with what people call it."""
    data = load_yaml(FILE)
    named = [
        ("outer radius", needle.outer_radius_mm),
        ("thermocouple from apex", needle.thermocouple_from_apex_mm),
        ("thermal conductivity of the needle", needle.thermal_conductivity_w_per_m_k),
        ("heat capacity of the needle", needle.heat_capacity_j_per_m3_k),
        ("shaft length", _geometry(data, "shaft_length_mm", needle.shaft_length_mm)),
    ]
    if needle.shape == "curved":
        named.append(("bend angle", _geometry(data, "bend_angle_deg", needle.bend_angle_deg)))
        named.append(("length of the bend", _geometry(data, "bend_length_mm", needle.bend_length_mm)))
    if needle.cooling is not None:
        named.append(("coolant temperature", needle.cooling.coolant_temperature_c))
        named.append(("film coefficient of the coolant", needle.cooling.film_coefficient_w_per_m2_k))
    if needle.id.startswith(COLD):
        named.append(
            ("length that gets cold", quantity(needle.active_tip_mm, data["cold_shared"]["tip"], FILE))
        )
    if needle.tines:
        named.append(("length of a tine", _tine_length(data, needle)))
    return tuple((label, number) for label, number in named if number.basis == "assumption")


def generator_ids() -> tuple[str, ...]:
    """Ids of the generators."""
    return tuple(_generators())


def generator(id: str) -> Generator:
    """One generator; UnknownNameError lists the ids."""
    return pick(_generators(), id, "generator")


def generator_assumptions(machine: Generator) -> tuple[tuple[str, Quantity], ...]:
    """Every limit of a generator that has no source, with what people call it."""
    # A field's name ends in its unit, which the number carries itself.
    named = {" ".join(name.split("_")[:-1]): value for name, value in machine if isinstance(value, Quantity)}
    return tuple((label, number) for label, number in named.items() if number.basis == "assumption")


def instrument_kind(id: str) -> InstrumentKind:
    """What a listed instrument is made for; UnknownNameError lists the ids."""
    return _kinds()[instrument(id).id]


@cache
def _kinds() -> Mapping[str, InstrumentKind]:
    families = _families()
    return MappingProxyType({needle.id: kind for kind, needles in families.items() for needle in needles})


@cache
def _listed() -> Mapping[str, Cannula]:
    return MappingProxyType({needle.id: needle for family in _families().values() for needle in family})


@cache
def _families() -> Mapping[InstrumentKind, tuple[Cannula, ...]]:
    data = load_yaml(FILE)
    plain = [
        _plain(data, gauge, tip, shape)
        for gauge in data["gauges"]
        for tip in data["tips_mm"]
        for shape in ("straight", "curved")
    ]
    cooled = [_cooled(data, row) for row in data["cooled"]]
    tined = [_tined(data, row) for row in data["tined"]]
    injection = [_injection(data, row) for row in data["injection"]]
    cold = [_cold(data, row) for row in data["cold"]]
    return MappingProxyType(
        {
            "electrode": (*plain, *cooled, *tined),
            "injection needle": tuple(injection),
            "cold probe": tuple(cold),
        }
    )


def _plain(data: Mapping[str, Any], gauge: int, tip_mm: float, shape: str) -> Cannula:
    if shape == "straight":
        return _build(data, f"cannula_{gauge}g_{tip_mm:g}mm", gauge, tip_mm, "straight")
    bend = {
        "bend_angle_deg": data["geometry"]["bend_angle_deg"]["value"],
        "bend_length_mm": tip_mm,
    }
    return _build(data, f"cannula_{gauge}g_{tip_mm:g}mm_curved", gauge, tip_mm, "curved", **bend)


def _cooled(data: Mapping[str, Any], row: Mapping[str, Any]) -> Cannula:
    gauge, tip_mm = row["gauge"], row["tip_mm"]
    cooling = data["cooling"]
    return _build(data, f"cooled_{gauge}g_{tip_mm:g}mm", gauge, tip_mm, "cooled", cooling=cooling)


def _injection(data: Mapping[str, Any], row: Mapping[str, Any]) -> Cannula:
    """A plain needle: what counts as its active tip is the bevel that fluid leaves by."""
    gauge, length = row["gauge"], row["length_mm"]
    name = f"needle_{gauge}g_{length:g}mm"
    needle = _build(data, name, gauge, row["outlet_mm"], "straight")
    return needle.replace(name=f"{gauge}G injection needle, {length:g} mm", shaft_length_mm=float(length))


def _cold(data: Mapping[str, Any], row: Mapping[str, Any]) -> Cannula:
    """A probe that freezes: what counts as its active tip is the length that gets cold."""
    diameter, tip = row["diameter_mm"], row["tip_mm"]
    shared = data["cold_shared"]
    needle = _build(
        data,
        f"{COLD}{diameter:g}mm_{tip:g}mm",
        row["gauge"],
        tip,
        "straight",
        outer_radius_mm={**shared["outer_radius_mm"], "value": diameter / 2},
        thermal_conductivity_w_per_m_k=shared["thermal_conductivity_w_per_m_k"],
    )
    return needle.replace(name=f"{diameter:g} mm cold probe, {tip:g} mm cold tip")


def _tined(data: Mapping[str, Any], row: Mapping[str, Any]) -> Cannula:
    gauge, tip_mm = row["gauge"], row["tip_mm"]
    tines = _tines(row, data["gauges"][gauge]["value"])
    return _build(data, f"tined_{gauge}g_{tip_mm:g}mm", gauge, tip_mm, "tined", tines=tines)


def _tines(row: Mapping[str, Any], radius_mm: float) -> list[dict[str, Any]]:
    """Tines that leave the wall ``exit_mm`` from the apex, spread evenly and splayed forwards."""
    splay = math.radians(row["splay_deg"])
    out, down = row["tine_length_mm"] * math.sin(splay), row["tine_length_mm"] * math.cos(splay)
    tines = []
    for turn in (2 * math.pi * i / row["count"] for i in range(row["count"])):
        x, y = math.cos(turn), math.sin(turn)
        start = (radius_mm * x, radius_mm * y, row["exit_mm"])
        end = ((radius_mm + out) * x, (radius_mm + out) * y, row["exit_mm"] - down)
        tines.append({"start_mm": start, "end_mm": end, "radius_mm": row["tine_radius_mm"]})
    return tines


def _build(data: Mapping[str, Any], name: str, gauge: int, tip_mm: float, shape: str, **rest: Any) -> Cannula:
    row = {
        "id": name,
        "name": f"{gauge}G, {tip_mm:g} mm active tip, {shape}",
        "gauge": gauge,
        "outer_radius_mm": rest.get("outer_radius_mm") or data["gauges"][gauge],
        "active_tip_mm": tip_mm,
        "shaft_length_mm": data["geometry"]["shaft_length_mm"]["value"],
        "shape": shape,
        **data["shared"],
        **rest,
    }
    return read_value(Cannula, row, f"{FILE}: {name}")


def _check_tip(tip_mm: float, allowed: tuple[float, float]) -> None:
    low, high = allowed
    if not low <= tip_mm <= high:
        raise InputError("active tip outside the family's range", found=tip_mm, allowed=f"{low} to {high} mm")


def _geometry(data: Mapping[str, Any], name: str, value: float) -> Quantity:
    return quantity(value, data["geometry"][name], f"{FILE}: geometry.{name}")


def _tine_length(data: Mapping[str, Any], needle: Cannula) -> Quantity:
    length = math.dist(needle.tines[0].start_mm, needle.tines[0].end_mm)
    record = {"unit": "mm", "basis": "assumption", "source": data["tined_source"]}
    return quantity(round(length, 6), record, f"{FILE}: tined")


@cache
def _generators() -> Mapping[str, Generator]:
    rows = load_yaml("generators.yaml")
    return MappingProxyType(
        {
            name: read_value(Generator, {"id": name, **row}, f"generators.yaml: {name}")
            for name, row in rows.items()
        }
    )
