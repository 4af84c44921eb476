"""Everything a page lists to choose from, as plain data; it never changes while the program runs."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from neurolysis.approval import RESEARCH_USE
from neurolysis.quantity import Value

if TYPE_CHECKING:
    from neurolysis.delivery.technique import InstrumentUse


@cache
def catalogue() -> dict[str, Any]:
    """Techniques with their forms, instruments, questionnaires, body map, conditions, targets, findings."""
    from neurolysis.anesthesia.absorption import sites
    from neurolysis.anesthesia.agents import agents
    from neurolysis.evaluation.body_map import body_areas
    from neurolysis.evaluation.facts import drug_classes, vocabulary
    from neurolysis.evidence.instruments import generator, generator_ids
    from neurolysis.localization.fluoroscopy.carm import VIEWS
    from neurolysis.localization.schemes import scheme_names
    from neurolysis.localization.targets.rules import findable_targets
    from neurolysis.nerve.conditions import conditions
    from neurolysis.nerve.targets import targets
    from neurolysis.planning.approval_rules import approval_rules
    from neurolysis.scores.registry import instruments

    return {
        "techniques": _techniques(),
        "modalities": _modalities(),
        "instruments": _instruments(),
        "generators": [_plain(generator(name)) for name in generator_ids()],
        "questionnaires": _questionnaires(),
        "scales": [_plain(one) for one in instruments().values()],
        "body_map": {"shapes": _shapes(), "areas": {id: _plain(area) for id, area in body_areas().items()}},
        "conditions": [_plain(one) for one in conditions().values()],
        "targets": [_plain(one) for one in targets().values()],
        "nerves": _nerves(),
        "findable": list(findable_targets()),
        "findings": [{"name": id, **_plain(one)} for id, one in vocabulary().items()],
        "drugs": [_plain(one) for one in drug_classes().values()],
        "agents": [_plain(one) for one in agents().values()],
        "absorption_sites": [_plain(one) for one in sites().values()],
        "recovery_scales": _recovery(),
        "label_schemes": list(scheme_names()),
        "demos": _demos(),
        "stops": _plain(approval_rules()),
        "views": {name: _plain(angles) for name, angles in VIEWS.items()},
        "case_schema": _case_schema(),
        "research_use": RESEARCH_USE,
    }


def _plain(value: Value) -> dict[str, Any]:
    return value.model_dump(mode="json")


def _techniques() -> list[dict[str, Any]]:
    from neurolysis.delivery.technique import techniques

    return [
        {
            "name": item.name,
            "title": item.title,
            "protocol_schema": item.protocol.model_json_schema(),
            "places_instrument": item.places_instrument,
            "instrument": _use(item.instrument),
            "default_numerics": _plain(item.default_numerics),
            "options": [
                {
                    "name": option.name,
                    "kind": option.kind.__name__,
                    "help": option.help,
                    "default": option.default,
                    "unit": option.unit,
                    "choices": list(option.choices),
                    "required": option.required,
                }
                for option in item.options
            ],
            "charts": [
                {"title": chart.title, "unit": chart.unit, "series": [list(pair) for pair in chart.series]}
                for chart in item.charts
            ],
            "line_charts": [
                {
                    "title": chart.title,
                    "unit": chart.unit,
                    "series": [list(pair) for pair in chart.series],
                    "levels": [list(level) for level in chart.levels()],
                }
                for chart in item.line_charts
            ],
        }
        for item in techniques().values()
    ]


def _use(use: InstrumentUse | None) -> dict[str, Any] | None:
    return None if use is None else {"kinds": list(use.kinds), "end_field": use.end_field, "key": use.key}


def _instruments() -> list[dict[str, Any]]:
    from neurolysis.evidence.instruments import instrument, instrument_ids, instrument_kind

    return [{**_plain(instrument(name)), "kind": instrument_kind(name)} for name in instrument_ids()]


def _modalities() -> list[dict[str, Any]]:
    from neurolysis.evidence.vocabulary import modalities

    return [_plain(one) for one in modalities().values()]


def _questionnaires() -> dict[str, Any]:
    """The FHIR definition of each questionnaire whose items are shipped."""
    from neurolysis.scores.registry import form, instruments

    return {item.id: form(item.id) for item in instruments().values() if item.form}


def _shapes() -> Any:
    from neurolysis.evaluation.facts import DATA
    from neurolysis.evidence.store import load_yaml

    return load_yaml("body_shapes.yaml", DATA)["views"]


def _nerves() -> list[dict[str, Any]]:
    from neurolysis.localization.targets.rules import findable_targets
    from neurolysis.nerve.catalogue import nerve_entry, nerve_ids

    findable = set(findable_targets())
    return [{**_plain(nerve_entry(name)), "has_rule": name in findable} for name in nerve_ids()]


def _recovery() -> Any:
    from neurolysis.scores.recovery import scales

    return {name: _plain(one) for name, one in scales().items()}


def _demos() -> list[dict[str, str]]:
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import DEMOS, demo_case

    return [{"id": name, "name": name, "title": load_case(demo_case(name))[0].title} for name in DEMOS]


def _case_schema() -> dict[str, Any]:
    from neurolysis.app.schema import json_schema

    return json_schema("case")
