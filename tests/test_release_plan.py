"""An operation planned on the shipped case: rules, errors, report and record."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from neurolysis.app.cases import load_case
from neurolysis.app.demo import demo_case
from neurolysis.app.dicom import export_dicom
from neurolysis.app.plan_record import plan_record
from neurolysis.case import Case
from neurolysis.delivery.surgical.expose import course_of
from neurolysis.delivery.surgical.protocol import ReleaseProtocol
from neurolysis.delivery.technique import technique
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.exposure import Exposure, LabelledField, LineFields, ResultTable
from neurolysis.localization.scene_builder import build_scene
from neurolysis.nerve.masks import Mask
from neurolysis.plan import Plan
from neurolysis.planning.anaesthesia import prepare_case
from neurolysis.planning.make import make_plan
from neurolysis.planning.prognosis import prognose
from neurolysis.planning.result import PlanResult
from neurolysis.planning.simulate import simulate_plan
from neurolysis.report.build import make_document
from neurolysis.report.first_page import where
from neurolysis.report.html import page
from neurolysis.scene import Scene

from .dicom_case import write_case

# ---------------------------------------------------------------- the demonstration


@cache
def real() -> tuple[Case, Scene, Plan, PlanResult]:
    """The shipped case, planned and simulated once."""
    case, folder = load_case(demo_case("meralgia"))
    scene = build_scene(case, folder)
    plan = make_plan(case, scene)
    return case, scene, plan, simulate_plan(case, scene, plan)


def changed(change: Callable[[dict[str, Any]], None]) -> Plan:
    """The shipped plan with its protocol changed."""
    case, scene, _, _ = real()
    assert case.treatment is not None
    protocol = json.loads(json.dumps(case.treatment.protocol))
    change(protocol)
    return make_plan(case.replace(treatment=case.treatment.replace(protocol=protocol)), scene)


def codes(plan: Plan) -> set[str]:
    """What fired."""
    return {notice.code for notice in plan.notices}


def test_the_demonstration_frees_all_that_scar_adds() -> None:
    _, scene, plan, result = real()
    assert plan.placements == ()
    line = result.exposure.along[scene.target().name]
    before, after = (line.fields[f"change_{when}_percent"].array for when in ("before", "after"))
    assert 8 < before.max() < 15
    assert np.abs(after).max() < 1e-6
    where = line.arc_mm[int(before.argmax())]
    assert 98 < where < 124
    assert result.injury.target().coverage == "no verdict"
    assert result.injury.target().profiles["change_before_percent"] == tuple(before.tolist())
    assert float(result.exposure.solver["balance_error"]) < 1e-9
    assert result.exposure.answer is not None
    assert result.exposure.answer.answer.startswith("Below 8 %")


def test_the_demonstration_names_what_lies_near_and_the_depth_of_the_skin() -> None:
    _, scene, _, result = real()
    found = {s.structure: s for s in result.injury.structures}
    skin = found["skin over the operated stretch"]
    assert skin.distance_to_course_mm is not None
    assert 5 < skin.distance_to_course_mm < 30
    line = result.exposure.along[scene.target().name]
    colon = next(s for s in scene.structures if s.name == "colon")
    assert colon.mask is not None
    gap = np.linalg.norm(
        Mask(colon.mask).centres()[:, None, :] - line.operated_mm()[None, ::4, :], axis=-1
    ).min()
    told = found["colon"].distance_to_course_mm
    assert told is not None
    assert gap - 1.5 - 2.7 <= told <= gap - 1.5 + 0.5  # to the voxel's face, less the nerve's radius


def test_the_demonstration_quotes_what_was_read_of_outcomes() -> None:
    _, _, _, result = real()
    table = next(t for t in result.exposure.tables if t.title.startswith("What was read"))
    relief = {row[1]: row[3] for row in table.rows if row[2] == "Complete relief"}
    assert relief == {"surgical release": 63.0, "neurectomy": 85.0, "injection": 22.0}


@pytest.mark.parametrize(("modality", "value"), [("surgical_release", 63.0), ("neurectomy", 85.0)])
def test_the_prognosis_answers_for_either_operation(modality: str, value: float) -> None:
    found = prognose("meralgia_paresthetica", "lateral_femoral_cutaneous_nerve", modality)
    relief = [p for p in found.benefits if p.outcome == "complete_relief"]
    assert [p.value for p in relief] == [value]


def test_assumptions_name_every_number_without_a_source() -> None:
    _, _, _, result = real()
    labels = {label for label, _ in result.assumptions}
    assert {
        "scar",
        "bed of the nerve",
        "front of the hip: lengthening of the bed",
        "strain at rest",
    } <= labels
    assert not any("lesioned" in label for label in labels)


def test_rules_fire_and_stay_quiet() -> None:
    _, _, plan, _ = real()
    assert "anaesthesia.not_named" not in codes(plan)
    assert "carpal.no_gain" not in codes(plan)
    assert "anaesthesia.not_named" in codes(changed(lambda p: p.pop("anaesthesia")))
    assert "movement.missing" in codes(changed(lambda p: p.pop("joints")))
    assert "internal.unknown" in codes(changed(lambda p: p.update(mode="internal")))
    assert "neurectomy.final" in codes(changed(lambda p: p.update(mode="neurectomy")))
    carpal = changed(lambda p: p["tunnels"][0].update(kind="carpal_tunnel"))
    assert "carpal.no_gain" in codes(carpal)
    assert any("read again" in n.text for n in carpal.notices)
    seen = changed(lambda p: p["scars"][0].update(found_by="operation"))
    assert "scar.assumed" not in codes(seen)
    assert "scar.none" in codes(changed(lambda p: (p.pop("scars"), p.pop("tunnels"))))


def test_its_anaesthesia_is_the_operations_and_asks_for_no_needle_path() -> None:
    case, scene, plan, _ = real()
    assert case.evaluated is not None
    found = prepare_case(case, case.evaluated, scene=scene, placements=plan.placements)
    assert not [need for need in found.needs if "needle" in need or "order" in need or "lesion" in need]
    assert found.block.track.text.endswith("Its anaesthesia: general.")
    assert not [n for n in plan.notices if "needle" in n.text and n.code.startswith("anaesthesia")]
    assert case.treatment is not None
    protocol = {k: v for k, v in case.treatment.protocol.items() if k != "anaesthesia"}
    silent = case.replace(treatment=case.treatment.replace(protocol=protocol))
    told = prepare_case(silent, case.evaluated, scene=scene)
    assert [need for need in told.needs if "treatment.protocol.anaesthesia" in need]


def test_a_nerve_of_no_level_is_shown_without_empty_rows_of_level_and_joint() -> None:
    _, _, _, result = real()
    assert [label for label, _ in where(result).rows] == ["Nerve", "Side"]


def test_freeing_too_little_is_said() -> None:
    case, scene, _, _ = real()
    plan = changed(lambda p: p.update(freed=[{"from_mm": 98, "to_mm": 100}]))
    result = simulate_plan(case, scene, plan)
    assert "strain.after" in {n.code for n in result.notices}
    assert result.exposure.answer is not None
    assert result.exposure.answer.tone == "warn"


def test_removal_is_answered_as_such() -> None:
    case, scene, _, _ = real()
    result = simulate_plan(case, scene, changed(lambda p: p.update(mode="neurectomy")))
    assert result.exposure.answer is not None
    assert "divided" in result.exposure.answer.answer
    assert float(result.exposure.answer.number.split()[0]) >= 25.0


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (lambda p: p.update(freed=[{"from_mm": 10, "to_mm": 500}]), InputError, r"freed.*0 to 169"),
        (lambda p: p.update(scars=[{"from_mm": 10, "to_mm": 500}]), InputError, "beyond the ends"),
        (lambda p: p.update(scars=[{"structure": "moon"}]), UnknownNameError, "colon"),
        (lambda p: p.update(scars=[{"structure": "urinary bladder"}]), InputError, "does not touch"),
        (lambda p: p.update(pulls=[{"motion": "dance", "end": "last"}]), UnknownNameError, "ulnar_elbow"),
        (lambda p: p.update(mode="magic"), InputError, "external"),
    ],
)
def test_an_impossible_plan_says_where(
    change: Callable[[dict[str, Any]], None], error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=re.compile(says, re.DOTALL)):
        changed(change)


def test_an_operation_takes_no_needle() -> None:
    case, scene, _, _ = real()
    assert case.treatment is not None
    given = case.treatment.replace(instrument="needle_22g_90mm")
    with pytest.raises(InputError, match="places no instrument"):
        make_plan(case.replace(treatment=given), scene)
    bare = case.treatment.replace(technique="radiofrequency", protocol={})
    with pytest.raises(InputError, match=r"placements"):
        make_plan(case.replace(treatment=bare), scene)


def test_scar_from_a_labelled_structure_in_the_scene() -> None:
    _, scene, plan, _ = real()
    line = scene.target().curve.as_array()
    colon = next(s for s in scene.structures if s.name == "colon")
    assert colon.mask is not None
    array = np.zeros_like(colon.mask.array)
    index = np.round(colon.mask.to_index(line[7:10])).astype(int)
    array[tuple(index.T)] = 1
    scar = colon.model_copy(update={"name": "scar", "kind": "scar", "mask": colon.mask.with_array(array)})
    protocol = ReleaseProtocol.model_validate({"scars": [{"structure": "scar", "found_by": "labels"}]})
    found = course_of(scene.model_copy(update={"structures": (*scene.structures, scar)}), protocol, 0.5)
    spans = [held.span_mm for held in found.scars]
    assert spans
    assert all(95 < low < high < 130 for low, high in spans)
    assert isinstance(plan.protocol, ReleaseProtocol)


def test_the_plan_of_an_operation_goes_out_as_dicom(tmp_path: Path) -> None:
    """Segmented nerve and report; no needle and no lesion, so nothing is measured."""
    folder = write_case(tmp_path / "case")
    file = folder / "case.yaml"
    data = yaml.safe_load(file.read_text("utf-8"))
    freed = [{"from_mm": 10, "to_mm": 30}]
    data["treatment"] = {
        "technique": "release",
        "position": "prone",
        "protocol": {"freed": freed, "scars": freed, "pulls": [{"motion": "sural_ankle", "end": "last"}]},
    }
    file.write_text(yaml.safe_dump(data), "utf-8")
    found = export_dicom(file, tmp_path / "out")
    assert found["files"] == ["report.dcm", "segments.dcm"]


# ---------------------------------------------------------------- report and record


def test_the_report_of_a_delivery_without_a_grid_stands() -> None:
    _, _, _, result = real()
    document = make_document(result, technique("release"))
    html = page(document)
    assert "Strain added by scar before the operation" in html
    assert "Smallest single stretch" in html
    assert "The lesion" not in html
    assert "nan" not in re.sub(r"[a-z]*nan[a-z]+|[a-z]+nan[a-z]*", "", html.lower())
    assert [s.id for s in document.sections][:2] == ["along", "place"]


def test_the_record_holds_answer_tables_and_profiles() -> None:
    _, _, _, result = real()
    data = json.loads(plan_record(result, {}).text())
    assert data["answer"]["number"].endswith("%")
    assert {t["title"] for t in data["tables"]} >= {"Length to be exposed"}
    assert data["lesions"] == []
    assert len(data["injury"]["nerves"][0]["profiles"]["tension_before_n"]) == len(
        data["injury"]["nerves"][0]["arc_mm"]
    )


def test_line_fields_go_into_an_xarray_dataset() -> None:
    pytest.importorskip("xarray")
    _, scene, _, result = real()
    data = result.exposure.to_xarray()
    found = data["nerve_1_tension_before_n"]
    assert found.attrs["nerve"] == scene.target().name
    assert found.attrs["units"] == "N"
    assert (
        float(found.max())
        == result.exposure.along[scene.target().name].fields["tension_before_n"].array.max()
    )


def test_line_fields_must_fit_their_stations() -> None:
    arc, points = np.arange(3.0), np.zeros((3, 3))
    wrong = LabelledField(name="a", unit="1", array=np.zeros(4))
    with pytest.raises(ValueError, match="3 stations"):
        LineFields(nerve="n", arc_mm=arc, points_mm=points, fields={"a": wrong})
    with pytest.raises(ValueError, match="stations but points"):
        LineFields(nerve="n", arc_mm=arc, points_mm=points[:2], fields={})
    with pytest.raises(ValueError, match="differ in number"):
        ResultTable(title="t", columns=("a", "b"), rows=(("x",),))


def test_the_hash_of_an_exposure_holds_its_line_fields() -> None:
    _, _, _, result = real()
    exposure: Exposure = result.exposure
    name, line = next(iter(exposure.along.items()))
    field = line.fields["change_before_percent"]
    other = field.model_copy(update={"array": field.array + 1e-9})
    moved = line.model_copy(update={"fields": {**line.fields, "change_before_percent": other}})
    assert exposure.model_copy(update={"along": {name: moved}}).content_hash() != exposure.content_hash()
    assert not exposure.has_grid
