"""The nouns: saved and loaded without loss, one hash for one value, errors that help, and approval."""

from __future__ import annotations

import json
import math
from datetime import UTC, date, datetime
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from neurolysis.approval import DRAFT, Approval, Override, approve, export_mark
from neurolysis.assessment import Assessment
from neurolysis.case import Case, GivenNerve, Patient
from neurolysis.delivered import Delivered
from neurolysis.errors import InputError, SafetyStop, UnknownNameError
from neurolysis.exposure import LesionCriterion, LesionSize
from neurolysis.geometry import Curve, RigidTransform
from neurolysis.injury import Injury
from neurolysis.instrument import Cannula, Generator
from neurolysis.outcome import Outcome
from neurolysis.plan import Notice, Numerics, Placement, Plan, Protocol, TargetName
from neurolysis.prognosis import Prediction, Prognosis
from neurolysis.quantity import Quantity, Timed, Value, canonical_json, parse
from neurolysis.scene import Landmark, Limit, Nerve, TissueProperties

from .strategies import CASES, QUANTITIES

NOON = datetime(2026, 3, 4, 12, 0, tzinfo=UTC)


class Frost(Protocol):
    """A protocol of a technique that exists in this test only."""

    technique: Literal["frost"] = "frost"
    schema_version: Literal[1] = 1
    temperature_c: float = -70.0


def quantity(value: float, unit: str = "mm", **more: Any) -> Quantity:
    """A sourced quantity."""
    return Quantity(value=value, unit=unit, source="test", **more)


def cannula(**changes: Any) -> Cannula:
    """A plain straight cannula."""
    data: dict[str, Any] = {
        "id": "c",
        "name": "C",
        "gauge": 18,
        "outer_radius_mm": quantity(0.6),
        "active_tip_mm": 10,
        "shaft_length_mm": 100,
        "thermocouple_from_apex_mm": quantity(1.0),
        "thermal_conductivity_w_per_m_k": quantity(16, "W/(m K)"),
        "heat_capacity_j_per_m3_k": quantity(4e6, "J/(m3 K)"),
    }
    return Cannula.model_validate({**data, **changes})


def plan(**changes: Any) -> Plan:
    """A small plan."""
    data: dict[str, Any] = {
        "case_id": "case-1",
        "case_hash": "0" * 64,
        "scene_hash": "1" * 64,
        "evidence_version": "e1",
        "software_version": "0.1.0",
        "target": TargetName(nerve="n", side="left", bony_level="L3", joint="L2-3"),
        "anaesthesia": "none yet",
        "protocol": Frost(),
        "placements": (Placement.between(cannula(), (0, 0, 0), (3, 0, 4)),),
    }
    return Plan(**{**data, **changes})


VALUES: tuple[Value, ...] = (
    quantity(1.0, low=0.5, high=2.0),
    Timed(time_s=1.5, value=0.1),
    RigidTransform.along_axis((1, 2, 3), (1, 1, 1)),
    Curve(points_mm=((0, 0, 0), (1.1, 0, 0))),
    cannula(),
    Generator(
        id="g",
        name="G",
        frequency_khz=quantity(500, "kHz"),
        maximum_power_w=quantity(50, "W"),
        maximum_voltage_v=quantity(100, "V"),
        maximum_current_a=quantity(1, "A"),
        minimum_impedance_ohm=quantity(20, "ohm"),
        maximum_impedance_ohm=quantity(1000, "ohm"),
    ),
    TissueProperties(
        name="muscle",
        conductivity_s_per_m=quantity(0.45, "S/m"),
        conductivity_slope_per_c=quantity(0.015, "1/C"),
        thermal_conductivity_w_per_m_k=quantity(0.5, "W/(m K)"),
        density_kg_per_m3=quantity(1090, "kg/m3"),
        specific_heat_j_per_kg_k=quantity(3400, "J/(kg K)"),
        perfusion_per_s=quantity(0.0007, "1/s"),
        metabolic_heat_w_per_kg=quantity(1, "W/kg"),
    ),
    Nerve(
        name="n",
        catalogue_id="n",
        side="left",
        curve=Curve(points_mm=((0, 0, 0), (0, 0, 5))),
        radius_mm=quantity(0.5),
        position_sd_mm=quantity(1.0),
        fibres=("A-delta", "C"),
    ),
    Limit(metric="peak_temperature_c", unit="C", direction="above", warn=42, stop=45, source="s"),
    Landmark(name="x", point_mm=(1, 2, 3)),
    Numerics(),
    Notice(severity="warn", code="a", text="b"),
    Approval(plan_hash="0" * 64, name="Dr A", time=NOON),
    LesionCriterion(id="i", label="I", field="f", threshold=50, unit="C", source="s"),
    LesionSize(
        criterion="i", width_mm=5, length_mm=9, volume_mm3=100, distal_extent_mm=-1, proximal_extent_mm=0
    ),
    Injury(exposure_hash="0" * 64, damage_start="43 C", nerves=(), structures=()),
    Assessment(
        case_id="c", case_hash="0" * 64, evidence_version="e", evaluated=date(2026, 1, 2), stopped=False
    ),
    Prognosis(
        technique="t",
        condition="c",
        target="n",
        plan_hash="0" * 64,
        evidence_version="e",
        benefits=(Prediction(outcome="relief", unit="%", value=50, low=40, high=60, provenance="evidence"),),
    ),
    Delivered(case_id="c", plan_hash=None, steps=({"start": NOON, "technique": "frost", "instrument": "c"},)),
    Outcome(case_id="c", visits=({"day": date(2026, 5, 1), "relief_percent": 50},)),
)


@pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)
def test_saved_and_loaded_without_loss(value: Value) -> None:
    back = type(value).model_validate(json.loads(json.dumps(value.model_dump(mode="json"))))
    assert back == value
    assert back.content_hash() == value.content_hash()


@settings(max_examples=60)
@given(value=CASES | QUANTITIES)
def test_cases_and_quantities_are_saved_and_loaded_without_loss(value: Value) -> None:
    back = type(value).model_validate_json(value.canonical_json())
    assert back == value
    assert back.content_hash() == value.content_hash()


def test_a_plan_comes_back_with_its_own_protocol() -> None:
    first = plan(protocol=Frost(temperature_c=-60))
    back = Plan.read(json.loads(first.canonical_json()), {"frost": Frost}, "plan.json")
    assert back == first
    assert isinstance(back.protocol, Frost)
    assert back.content_hash() == first.content_hash()


def test_a_plan_of_an_unknown_technique_is_refused_with_the_list() -> None:
    data = json.loads(plan().canonical_json())
    with pytest.raises(UnknownNameError, match=r"plan.json: protocol.technique.*frost.*allowed: lamp"):
        Plan.read(data, {"lamp": Frost}, "plan.json")
    with pytest.raises(InputError, match="needs a protocol"):
        Plan.read({**data, "protocol": None}, {"frost": Frost}, "plan.json")


FIXED = Case(
    id="fixed-1",
    title="Änderung",
    patient=Patient(id="p", birth_year=1960, weight_kg=70.1, weight_date=date(2026, 1, 2)),
    conditions=("a", "b"),
    allergies=(),
    skin_depth_mm=1e-7,
    notes="one\ntwo",
)
FIXED_HASH = "cdb31e3454922f56a63519bd16e5a2fb4e16938e713adc874873602df69380d1"


def test_the_hash_of_a_fixed_case_never_changes() -> None:
    """Results carry hashes: a change here makes every saved plan look changed. Raise schema_version then."""
    assert FIXED.content_hash() == FIXED_HASH


def test_canonical_json() -> None:
    text = canonical_json({"b": 0.1 + 0.2, "a": [1e-7, 1.0, "é"], "c": None})
    assert text == '{"a":[1e-07,1.0,"é"],"b":0.30000000000000004,"c":null}'
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": math.nan})


@settings(max_examples=200)
@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_floats_survive_exactly(value: float) -> None:
    back = json.loads(canonical_json([value]))[0]
    assert back == value
    assert math.copysign(1, back) == math.copysign(1, value)


@given(case=CASES)
@settings(max_examples=30)
def test_equal_values_have_equal_hashes_and_others_do_not(case: Case) -> None:
    assert case.replace(notes=case.notes).content_hash() == case.content_hash()
    assert case.replace(notes=case.notes + "!").content_hash() != case.content_hash()


def test_the_order_of_keys_does_not_matter() -> None:
    data = FIXED.model_dump(mode="json")
    assert Case.model_validate(dict(reversed(data.items()))).content_hash() == FIXED.content_hash()


def test_values_are_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        FIXED.title = "other"  # type: ignore[misc]


@pytest.mark.parametrize("value", [FIXED, *VALUES], ids=lambda value: type(value).__name__)
def test_an_unknown_field_names_itself_and_what_is_allowed(value: Value) -> None:
    data = {**value.model_dump(mode="json"), "colour": "blue"}
    with pytest.raises(InputError) as caught:
        parse(type(value), data, "file.yaml")
    text = str(caught.value)
    assert text.startswith("file.yaml: ")
    assert "field 'colour'" in text
    assert all(name in text for name in type(value).model_fields)


def test_an_error_deep_inside_names_the_whole_path() -> None:
    data = {**FIXED.model_dump(mode="json"), "patient": {"id": "p", "wieght_kg": 70}}
    with pytest.raises(InputError, match=r"case.yaml: field 'patient.wieght_kg'.*allowed here: .*weight_kg"):
        parse(Case, data, "case.yaml")
    data = {"id": "a", "patient": {"id": "p", "weight_kg": -5, "height_cm": 400}}
    with pytest.raises(InputError) as caught:
        parse(Case, data, "case.yaml")
    text = str(caught.value)
    assert (
        "field 'patient.weight_kg': Input should be greater than 0 (found: -5; allowed: above 0, up to 400)"
        in text
    )
    assert (
        "field 'patient.height_cm': Input should be less than or equal to 250 "
        "(found: 400; allowed: above 30, up to 250)" in text
    )


def _number_fields(value: Value) -> list[str]:
    fields = type(value).model_fields
    return [name for name, field in fields.items() if field.annotation in (float, float | None)]


NUMBER_FIELDS = [(value, name) for value in (FIXED, *VALUES) for name in _number_fields(value)]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, "nan"], ids=str)
@pytest.mark.parametrize(
    ("value", "name"), NUMBER_FIELDS, ids=[f"{type(v).__name__}.{n}" for v, n in NUMBER_FIELDS]
)
def test_nan_and_infinity_are_refused(value: Value, name: str, bad: object) -> None:
    with pytest.raises(ValidationError, match=name):
        type(value).model_validate({**value.model_dump(), name: bad})


def test_nan_in_a_point_is_refused() -> None:
    with pytest.raises(ValidationError):
        Curve(points_mm=((0, 0, 0), (math.nan, 0, 0)))


def test_a_nerve_with_one_point_is_refused() -> None:
    data = {"name": "n", "points_mm": [[0, 0, 0]], "radius_mm": quantity(1), "position_sd_mm": quantity(1)}
    with pytest.raises(InputError, match=r"points_mm.*at least 2"):
        parse(GivenNerve, data, "case.yaml")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"active_tip_mm": 0}, "greater than 0"),
        ({"active_tip_mm": 200, "shaft_length_mm": 100}, "less than or equal to 60"),
        ({"active_tip_mm": 50, "shaft_length_mm": 40}, "shorter than the shaft"),
        ({"gauge": 5}, "greater than or equal to 10"),
        ({"shape": "curved"}, "bend_angle_deg"),
        ({"shape": "tined"}, "tines"),
        ({"shape": "cooled"}, "cooling"),
        ({"thermocouple_from_apex_mm": {"value": 20, "unit": "mm", "source": "s"}}, "within the active tip"),
    ],
)
def test_an_impossible_cannula_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        cannula(**changes)


def test_a_quantity_lies_in_its_own_range_and_names_its_source() -> None:
    with pytest.raises(ValidationError, match="outside its own range"):
        quantity(3.0, low=0.0, high=2.0)
    with pytest.raises(ValidationError, match="source"):
        Quantity(value=1, unit="mm", source="")
    with pytest.raises(ValidationError, match="basis"):
        Quantity(value=1, unit="mm", source="s", basis="guess")  # type: ignore[arg-type]


def test_a_limit_stops_beyond_its_warning() -> None:
    common: dict[str, Any] = {"metric": "m", "unit": "C", "source": "s"}
    with pytest.raises(ValidationError, match="stop must lie beyond warn"):
        Limit(direction="above", warn=45, stop=42, **common)
    with pytest.raises(ValidationError, match="stop must lie beyond warn"):
        Limit(direction="below", warn=2, stop=5, **common)
    with pytest.raises(ValidationError, match="needs a warn or a stop"):
        Limit(direction="below", **common)


def test_a_prediction_needs_its_interval() -> None:
    with pytest.raises(ValidationError, match="why it has none"):
        Prediction(outcome="o", unit="%", value=1, provenance="physics")
    with pytest.raises(ValidationError, match="both its ends"):
        Prediction(outcome="o", unit="%", value=1, low=0, provenance="physics")
    with pytest.raises(ValidationError, match="the basis is 'none found'"):
        Prediction(outcome="o", unit="%", value=None, provenance="evidence")
    with pytest.raises(ValidationError, match="outside its interval"):
        Prediction(outcome="o", unit="%", value=1, low=2, high=3, provenance="physics")
    assert (
        Prediction(outcome="o", unit="%", value=None, basis="none found", provenance="evidence").value is None
    )


# ---------------------------------------------------------------- approval


STOP = Notice(severity="stop", code="path", text="the path is not clear")
HARD = Notice(severity="stop", code="dose", text="above the cap", overridable=False)
WARN = Notice(severity="warn", code="bone", text="the tip is in bone")
PATH_SET_ASIDE = Override(code="path", name="Dr B", reason="cleared on the radiograph")


def test_every_plan_is_a_draft_until_it_is_approved() -> None:
    assert export_mark(plan()) == DRAFT == "DRAFT"


def test_an_approved_plan_names_the_person_and_how() -> None:
    item = plan()
    typed = approve(item, (WARN,), name="Dr A", time=NOON)
    assert export_mark(item, typed) == "APPROVED by Dr A (name typed, not authenticated), 2026-03-04 12:00"
    known = approve(item, (), name="Dr A", time=NOON, authenticated=True)
    assert export_mark(item, known) == "APPROVED by Dr A, 2026-03-04 12:00"


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol": Frost(temperature_c=-69.999)},
        {"placements": (Placement.between(cannula(), (0, 0, 1e-9), (3, 0, 4)),)},
        {"scene_hash": "2" * 64},
        {"numerics": Numerics(time_step_s=0.5)},
        {"notices": (WARN,)},
    ],
)
def test_any_change_of_the_plan_makes_it_a_draft_again(changes: dict[str, Any]) -> None:
    item = plan()
    approval = approve(item, (), name="Dr A", time=NOON)
    assert export_mark(item.replace(**changes), approval) == DRAFT
    assert export_mark(item, approval) != DRAFT


@pytest.mark.parametrize("where", ["plan", "findings"])
def test_a_stop_forbids_approval_wherever_it_was_found(where: str) -> None:
    item = plan(notices=(STOP,)) if where == "plan" else plan()
    found = () if where == "plan" else (STOP,)
    with pytest.raises(SafetyStop, match=r"case-1.*\[path\] the path is not clear") as caught:
        approve(item, found, name="Dr A", time=NOON)
    assert caught.value.exit_code == 3
    done = approve(item, found, name="Dr A", time=NOON, overrides=(PATH_SET_ASIDE,))
    assert done.overrides == (PATH_SET_ASIDE,)


def test_another_stops_override_does_not_count() -> None:
    other = Override(code="skin", name="Dr B", reason="measured")
    with pytest.raises(SafetyStop):
        approve(plan(), (STOP,), name="Dr A", time=NOON, overrides=(other,))


def test_a_stop_that_may_not_be_overridden_stays() -> None:
    excuse = Override(code="dose", name="Dr B", reason="I insist")
    with pytest.raises(SafetyStop, match="above the cap"):
        approve(plan(), (HARD,), name="Dr A", time=NOON, overrides=(excuse,))


def test_an_override_needs_a_name_and_a_reason() -> None:
    for name, reason in (("", "a reason"), ("Dr B", ""), ("Dr B", "no")):
        with pytest.raises(ValidationError):
            Override(code="level", name=name, reason=reason)


@given(notices=st.lists(st.sampled_from([STOP, HARD, WARN]), max_size=5))
def test_approval_succeeds_only_without_open_stops(notices: list[Notice]) -> None:
    stops = [notice for notice in notices if notice.severity == "stop"]
    if stops:
        with pytest.raises(SafetyStop):
            approve(plan(), notices, name="Dr A", time=NOON)
    else:
        assert approve(plan(), notices, name="Dr A", time=NOON).name == "Dr A"
