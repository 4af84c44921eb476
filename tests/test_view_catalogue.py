"""What the page lists to choose from: instruments that fit, agents with their strengths, limits as schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest
from pydantic import ValidationError

from neurolysis.app.demo import demo_case
from neurolysis.app.view_catalogue import catalogue
from neurolysis.app.view_preview import preview_key
from neurolysis.delivery.technique import techniques
from neurolysis.errors import InputError, NeurolysisError
from neurolysis.evidence.injectates import injectate, injectate_names
from neurolysis.evidence.instruments import instrument_ids, instrument_kind

RECIPES: Mapping[str, Mapping[str, Any]] = {
    "radiofrequency": {"set_temperature_c": 80.0, "duration_s": 90.0},
    "cryo": {"tip_temperature_c": -60.0, "freeze_s": 120.0},
    "laser": {"wavelength_nm": 980.0, "power_w": 5.0, "duration_s": 60.0},
    "chemical": {"agent": "phenol", "concentration_percent": 6.0, "volume_ml": 1.0},
    "release": {},
}


@cache
def technique_info(name: str) -> dict[str, Any]:
    return next(one for one in catalogue()["techniques"] if one["name"] == name)


def limits(schema: Mapping[str, Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Each field with the rules that hold for these values, as the page lays them together."""
    fields = {name: dict(one) for name, one in schema["properties"].items()}
    for rule in schema.get("allOf", ()):
        wanted, needed = rule["if"]["properties"], rule["if"]["required"]
        there = all(
            value.get(name, fields[name].get("default")) == one["const"] for name, one in wanted.items()
        )
        if there and all(name in value for name in needed):
            for name, more in rule["then"]["properties"].items():
                fields[name] |= more
    return fields


def test_every_technique_lists_instruments_of_its_own_kinds_only() -> None:
    listed = {one["id"]: one["kind"] for one in catalogue()["instruments"]}
    assert listed == {name: instrument_kind(name) for name in instrument_ids()}
    for name, item in techniques().items():
        use = technique_info(name)["instrument"]
        assert technique_info(name)["places_instrument"] is item.places_instrument
        assert (use is not None) is item.places_instrument
        if use:
            fitting = [one for one, kind in listed.items() if kind in use["kinds"]]
            assert 0 < len(fitting) < len(listed)
    assert {kind: sum(k == kind for k in listed.values()) for kind in set(listed.values())} == {
        "electrode": len(listed) - 8, "injection needle": 5, "cold probe": 3,
    }  # fmt: skip


def test_keys_of_pictures_say_what_each_instrument_has() -> None:
    keys = {name: item.instrument.key for name, item in techniques().items() if item.instrument}
    assert len(set(keys.values())) == len(keys)
    assert [name for name, key in keys.items() if "active tip" in key or "insulated" in key] == [
        "radiofrequency"
    ]
    item = techniques()["laser"]
    protocol = item.protocol.model_validate({**RECIPES["laser"], "fibre_beyond_needle_mm": 7.0})
    assert item.instrument is not None
    assert item.instrument.end_mm(protocol) == 7.0


@pytest.mark.parametrize("agent", injectate_names())
def test_an_agents_vehicles_and_strengths_are_those_the_protocol_takes(agent: str) -> None:
    schema, model = technique_info("chemical")["protocol_schema"], techniques()["chemical"].protocol
    assert {one["const"] for one in schema["properties"]["agent"]["oneOf"]} == set(injectate_names())
    base = {**RECIPES["chemical"], "agent": agent}
    offered = [one["const"] for one in limits(schema, base)["vehicle"]["oneOf"]]
    assert set(offered) == set(injectate(agent).solutions)
    for vehicle in offered:
        found = limits(schema, {**base, "vehicle": vehicle})["concentration_percent"]
        for strength in (found["minimum"], found["maximum"]):
            model.model_validate({**base, "vehicle": vehicle, "concentration_percent": strength})
        for strength in (found["minimum"] * 0.99, found["maximum"] * 1.01):
            with pytest.raises((ValidationError, NeurolysisError)):
                model.model_validate({**base, "vehicle": vehicle, "concentration_percent": strength})


def test_the_coldest_tip_of_a_gas_is_the_fields_limit() -> None:
    schema, model = technique_info("cryo")["protocol_schema"], techniques()["cryo"].protocol
    for gas in [one["const"] for one in schema["properties"]["gas"]["oneOf"]]:
        value = {**RECIPES["cryo"], "gas": gas}
        coldest = limits(schema, value)["tip_temperature_c"]["minimum"]
        model.model_validate({**value, "tip_temperature_c": coldest})
        with pytest.raises(ValidationError):
            model.model_validate({**value, "tip_temperature_c": coldest - 1.0})


@pytest.mark.parametrize("name", ["radiofrequency", "laser"])
def test_what_a_rule_of_the_schema_requires_the_protocol_requires(name: str) -> None:
    schema, model = technique_info(name)["protocol_schema"], techniques()[name].protocol
    ruled = [rule for rule in schema["allOf"] if rule["then"]["required"]]
    assert ruled
    for rule in ruled:
        value = {**RECIPES[name], **{field: one["const"] for field, one in rule["if"]["properties"].items()}}
        missing = [field for field in rule["then"]["required"] if field not in value]
        if missing:
            with pytest.raises(ValidationError, match=missing[0]):
                model.model_validate(value)


def test_an_operation_has_nothing_to_preview_and_says_so() -> None:
    with pytest.raises(InputError, match="no instrument to preview"):
        preview_key(demo_case("meralgia"))


def test_the_catalogue_is_plain_data() -> None:
    json.dumps(catalogue(), allow_nan=False)
