"""Plans from cases and their simulation, with a small technique of this file's own: a hot ball."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from pydantic import Field

from neurolysis.approval import DRAFT, approve
from neurolysis.case import Case
from neurolysis.delivery.technique import Technique
from neurolysis.errors import InputError, SafetyStop, UnknownNameError
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.exposure import Exposure, LabelledField, LesionSize
from neurolysis.geometry import Curve, Volume
from neurolysis.plan import Notice, Numerics, Plan, Protocol
from neurolysis.planning.assumptions import tissues_in_box
from neurolysis.planning.make import make_plan
from neurolysis.planning.simulate import simulate_plan, worst_first
from neurolysis.quantity import Quantity
from neurolysis.scene import Limit, Nerve, Scene, Structure, TissueMap, TissueProperties

AXIS = np.arange(-10.0, 10.01, 0.5)
LIMITS = (
    Limit(
        metric="peak_temperature_c", unit="°C", direction="above", warn=45, stop=50, source="nt1100_manual"
    ),
    Limit(
        metric="distance_to_lesion_mm",
        unit="mm",
        direction="below",
        warn=2,
        basis="assumption",
        source="assumption: a margin for this test alone",
    ),
)


class BallProtocol(Protocol):
    """A ball of a radius about the apex."""

    technique: Literal["ball"]
    schema_version: Literal[1] = 1
    radius_mm: float = Field(gt=0, le=8)


def expose(scene, plan, progress):
    progress(0.5, "heating the ball")
    mesh = np.meshgrid(AXIS, AXIS, AXIS, indexing="ij")
    radius = plan.protocol.radius_mm
    peak = np.maximum(37.0, 50 + 5 * (radius - np.sqrt(sum(m**2 for m in mesh))))
    fields = {
        "peak_temperature_c": ("°C", peak),
        "cem43_min": ("min", np.where(peak > 43, 1.5 * 0.5 ** (43 - np.minimum(peak, 45)), 0.0)),
        "log_damage_nerve_heat": ("ln", np.where(peak > 43, 0.79 * (peak - 48.2), -1e30)),
    }
    return Exposure(
        technique="ball",
        frame=plan.placements[0].frame(),
        axes_mm=(AXIS, AXIS, AXIS),
        cell_volume_mm3=np.full(peak.shape, 0.125),
        fields={name: LabelledField(name=name, unit=u, array=a) for name, (u, a) in fields.items()},
        instrument=np.zeros(peak.shape, dtype=bool),
        time_s=np.array([0.0]),
        series={},
        series_units={},
        criteria=lesion_criteria("plan"),
        lesions=(
            LesionSize(
                criterion="isotherm_50c",
                width_mm=2 * radius,
                length_mm=2 * radius,
                volume_mm3=1,
                distal_extent_mm=1,
                proximal_extent_mm=1,
                reaches_boundary=radius > 7,
            ),
        ),
        outside_image_fraction=0.25 if radius > 7 else 0.0,
        notices=(Notice(severity="info", code="ball.note", text="a ball"),),
        numerics=plan.numerics,
        solver={"damage_start_c": 43.0},
        plan_hash=plan.content_hash(),
    )


def own_notices(scene, plan):
    pad = plan.return_pad
    text = "no pad" if pad is None else f"pad at the {pad.site}"
    return (Notice(severity="warn" if pad is None else "info", code="ball.pad", text=text),)


OWN = Quantity(value=1.0, unit="1", basis="assumption", source="assumption: a number of the ball")
BALL = Technique(
    name="ball",
    title="Hot ball",
    protocol=BallProtocol,
    expose=expose,
    notices=own_notices,
    summary=lambda plan: (),
    assumptions=lambda scene, plan: (("ball", OWN),),
    charts=(),
    options=(),
    simulate=lambda options, sets, progress: {},
    simulate_case=lambda data, flag, where, progress: {},
    validate=lambda progress: (),
    default_numerics=Numerics(extent_mm=20.0),
)
REGISTRY = {"ball": BALL}


def quantity(value, unit="mm", basis="sourced", source="x"):
    return Quantity(value=value, unit=unit, basis=basis, source=source)


def tissue(name):
    fields = [f for f in TissueProperties.model_fields if f not in ("name", "note")]
    numbers = {field: quantity(1.0, "1") for field in fields}
    numbers["perfusion_per_s"] = quantity(0.1, "1/s", "assumption", f"assumption: perfusion of {name}")
    return TissueProperties(name=name, **numbers)


def wall(at=6.0, **rest):
    volume = image()
    mask = np.zeros(volume.shape, np.uint8)
    mask[volume.to_lps(np.moveaxis(np.indices(volume.shape), 0, -1))[..., 1] > at] = 1
    values = {
        "name": "spinal canal",
        "kind": "spinal_canal",
        "mask": volume.with_array(mask),
        "limits": LIMITS,
        "review": "derived, unreviewed",
        "position_sd_mm": 0.5,
        "derivation": "from the posterior elements",
    }
    return Structure(**{**values, **rest})


def image():
    affine = np.diag([1.0, 1.0, 1.0, 1.0])
    affine[:3, 3] = -20
    return Volume(array=np.zeros((41, 41, 41), np.int16), affine=affine)


def a_scene(structures=(), air_below=-100.0, offset=0.0):
    volume = image()
    index = np.zeros(volume.shape, np.uint8)
    index[:, :, volume.to_lps(np.array([[0, 0, k] for k in range(41)]))[:, 2] < air_below] = 1
    nerve = Nerve(
        name="left L2 medial branch",
        catalogue_id="lumbar_medial_branch_L2",
        side="left",
        curve=Curve.from_array([[-9, offset, 0], [9, offset, 0]]),
        radius_mm=quantity(1.0),
        position_sd_mm=quantity(0.5, basis="assumption", source="assumption: drawn by eye"),
        is_target=True,
    )
    return Scene(
        image=volume,
        tissues=TissueMap(volume=volume.with_array(index), names=("muscle", "air", "fat"), outside="muscle"),
        properties={name: tissue(name) for name in ("muscle", "fat")},
        nerves=(nerve,),
        structures=structures,
    )


def a_case(treatment=None, **changes):
    values = {
        "id": "case-1",
        "patient": {"id": "p1"},
        "image": {"path": "ct.nii.gz", "contrast": False},
        "allergies": [],
        "implants": [],
        "target": {
            "nerve": "lumbar_medial_branch_L2",
            "side": "left",
            "bony_level": "L3",
            "joint": "L3-4",
            "level_counted": "from the sacrum",
            "transitional_vertebra": False,
        },
        "treatment": {
            "technique": "ball",
            "protocol": {"radius_mm": 5.0},
            "instrument": "cannula_18g_10mm",
            "generator": "generic",
            "return_pad_site": "left thigh",
            "placements": [
                {"instrument": "cannula_18g_10mm", "tip_mm": [0, 0, 0], "towards_hub_mm": [0, 0, 15]}
            ],
            **(treatment or {}),
        },
    }
    return Case.model_validate({**values, **changes})


def plan_of(case=None, scene=None):
    return make_plan(
        case or a_case(),
        scene or a_scene(),
        evidence_version="e1",
        software_version="0.1",
        registry=REGISTRY,
    )


def result_of(case=None, scene=None, progress=lambda fraction, text: None):
    case, scene = case or a_case(), scene or a_scene()
    return simulate_plan(case, scene, plan_of(case, scene), progress, registry=REGISTRY)


def placed(**changes):
    place = {"instrument": "cannula_18g_10mm", "tip_mm": [0, 0, 0], "towards_hub_mm": [0, 0, 15]}
    return {"placements": [{**place, **changes}]}


OUTSIDE = placed(tip_mm=[0, 0, 19], towards_hub_mm=[0, 0, 40])


# --- making a plan -----------------------------------------------------------------------------------


def test_a_plan_carries_the_hashes_of_what_it_was_made_from():
    case, scene = a_case(), a_scene()
    plan = plan_of(case, scene)
    assert plan.case_hash == case.content_hash()
    assert plan.scene_hash == scene.content_hash()
    assert (plan.evidence_version, plan.software_version) == ("e1", "0.1")
    assert plan.protocol == BallProtocol(technique="ball", radius_mm=5.0)
    assert plan.target.bony_level == "L3"
    assert plan.numerics.extent_mm == 20.0
    assert plan.generator is not None
    assert "no local anaesthetic" in plan.anaesthesia


def test_versions_are_those_of_the_shipped_program_unless_given():
    from neurolysis import __version__
    from neurolysis.evidence.store import evidence_version

    plan = make_plan(a_case(), a_scene(), registry=REGISTRY)
    assert (plan.evidence_version, plan.software_version) == (evidence_version(), __version__)


def test_a_pair_keeps_its_roles():
    first = placed()["placements"][0]
    second = {**first, "tip_mm": [6, 0, 0], "towards_hub_mm": [6, 0, 15], "role": "return"}
    plan = plan_of(a_case({"placements": [first, second]}))
    assert [placement.role for placement in plan.placements] == ["active", "return"]


def test_a_plan_is_read_back_without_loss():
    plan = plan_of()
    again = Plan.read(plan.model_dump(mode="json"), {"ball": BallProtocol}, "plan.json")
    assert again == plan
    assert again.content_hash() == plan.content_hash()


def test_another_setting_is_another_plan():
    other = plan_of(a_case({"protocol": {"radius_mm": 5.5}}))
    assert other.content_hash() != plan_of().content_hash()


def test_the_rules_and_the_techniques_own_notices_are_in_the_plan():
    codes = {notice.code for notice in plan_of(a_case({"return_pad_site": None})).notices}
    assert {"joint.other_branch", "skin.unknown", "ball.pad"} <= codes


def test_a_pad_without_its_resistance_is_an_assumption():
    pad = plan_of().return_pad
    assert pad.path_resistance_ohm.basis == "assumption"
    given = a_case(
        {"return_path_resistance_ohm": {"value": 60, "unit": "ohm", "basis": "site", "source": "s"}}
    )
    assert plan_of(given).return_pad.path_resistance_ohm.value == 60


@pytest.mark.parametrize(
    ("treatment", "error", "words"),
    [
        ({"technique": "steam"}, UnknownNameError, ["treatment.technique", "steam", "ball"]),
        ({"instrument": "cannula_99g"}, UnknownNameError, ["treatment.instrument", "cannula_18g_10mm"]),
        ({"generator": "none"}, UnknownNameError, ["treatment.generator", "generic"]),
        ({"protocol": {"radius_mm": 200}}, InputError, ["treatment.protocol", "radius_mm", "200"]),
        ({"protocol": {"radius_mm": 5, "speed": 1}}, InputError, ["speed", "radius_mm"]),
        ({"protocol": {"technique": "x"}}, InputError, ["protocol.technique", "ball"]),
        ({"placements": []}, InputError, ["treatment.placements"]),
        (placed(instrument="nothing"), UnknownNameError, ["treatment.placements.0.instrument"]),
        (placed(instrument="cannula_20g_10mm"), InputError, ["none of its placements"]),
        (placed(towards_hub_mm=[0, 0, 0]), InputError, ["treatment.placements.0.towards_hub_mm"]),
        (OUTSIDE, InputError, ["placements.0.tip_mm", "outside the image", "z -20.5"]),
    ],
)
def test_bad_input_names_its_field_and_what_is_allowed(treatment, error, words):
    with pytest.raises(error) as caught:
        plan_of(a_case(treatment))
    assert str(caught.value).startswith("case.yaml: ")
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("field", ["target", "treatment"])
def test_a_case_without_target_or_treatment_makes_no_plan(field):
    with pytest.raises(InputError, match=field):
        plan_of(a_case().replace(**{field: None}))


def test_a_tip_outside_the_body_makes_no_plan():
    with pytest.raises(InputError, match="outside the body") as caught:
        plan_of(scene=a_scene(air_below=8.0))
    assert "treatment.placements.0.tip_mm" in str(caught.value)


def test_a_tip_partly_in_air_makes_a_plan_that_cannot_be_approved():
    plan = plan_of(scene=a_scene(air_below=2.0))
    assert "tip.in_air" in {notice.code for notice in plan.notices if notice.severity == "stop"}


def test_a_wrong_level_makes_a_plan_that_cannot_be_approved():
    from datetime import UTC, datetime

    target = {**a_case().target.model_dump(), "bony_level": "L2"}
    result = result_of(a_case(target=target))
    assert result.mark == DRAFT
    with pytest.raises(SafetyStop, match=r"level\.mismatch"):
        approve(result.plan, result.notices, name="Dr A", time=datetime(2025, 1, 1, tzinfo=UTC))


# --- simulating it -----------------------------------------------------------------------------------


def test_a_result_holds_exposure_injury_and_verdict():
    result = result_of()
    target = result.injury.target()
    assert target.coverage == "covered"
    chord = next(i for i in target.by_criterion if i.criterion == "isotherm_50c").longest_lesioned_mm
    assert chord == pytest.approx(10, abs=0.1)
    assert result.exposure.plan_hash == result.plan.content_hash()
    assert result.injury.exposure_hash == result.exposure.content_hash()


def test_notices_come_worst_first_and_once():
    result = result_of(scene=a_scene([wall(4.5)]))
    ranks = [("stop", "warn", "info").index(notice.severity) for notice in result.notices]
    assert ranks == sorted(ranks)
    assert len(set(result.notices)) == len(result.notices)
    codes = [notice.code for notice in result.notices]
    assert codes[0] == "limit.peak_temperature_c"
    assert {"limit.distance_to_lesion_mm", "ball.note", "ball.pad", "criteria.disagree"} <= set(codes)


def test_a_limit_that_stops_says_what_was_found():
    result = result_of(scene=a_scene([wall(4.5)]))
    notice = result.notices[0]
    assert notice.severity == "stop"
    assert notice.text.startswith("spinal canal: peak temperature 5")
    assert "stop 50" in notice.text
    assert notice.source == "nt1100_manual"


def test_a_limit_that_cannot_be_judged_warns():
    unknown = Structure(name="dura", kind="spinal_canal", mask=None, unknown_reason="not seen", limits=LIMITS)
    result = result_of(scene=a_scene([unknown]))
    (notice,) = [n for n in result.notices if n.code == "limit.cannot_say"]
    assert notice.severity == "warn"
    assert "not seen" in notice.text
    assert "peak temperature, distance to the lesion" in notice.text


def test_a_nerve_that_is_missed_warns():
    result = result_of(scene=a_scene(offset=7.0))
    assert "coverage" in {notice.code for notice in result.notices if notice.severity == "warn"}
    assert "coverage" not in {notice.code for notice in result_of().notices}


def test_a_lesion_beyond_image_and_box_is_said():
    codes = {n.code for n in result_of(a_case({"protocol": {"radius_mm": 7.5}})).notices}
    assert {"lesion.beyond_image", "lesion.beyond_box"} <= codes


def test_skin_is_judged_by_the_depth_the_case_gives():
    near = result_of(a_case(skin_depth_mm=7.0)).injury.structures[-1]
    assert near.kind == "skin"
    assert near.peak_temperature_c == pytest.approx(40.0, abs=0.1)
    assert near.distance_to_lesion_mm == pytest.approx(1.0, abs=0.05)
    far = result_of(a_case(skin_depth_mm=60.0)).injury.structures[-1]
    assert far.distance_to_lesion_mm == pytest.approx(54.0, abs=0.1)
    assert {check.verdict for check in far.checks} == {"ok"}
    assert "60 mm up the needle" in far.note


def test_a_given_depth_replaces_the_unknown_skin_but_not_a_seen_one():
    unknown = Structure(name="skin", kind="skin", mask=None, unknown_reason="not in view")
    case = a_case(skin_depth_mm=60.0)
    skins = [s for s in result_of(case, a_scene([unknown])).injury.structures if s.kind == "skin"]
    assert [s.peak_temperature_c for s in skins] == [37.0]
    seen = wall(8.0, name="skin", kind="skin")
    kept = [s for s in result_of(case, a_scene([seen])).injury.structures if s.kind == "skin"]
    assert [s.note for s in kept if "up the needle" in s.note] == []
    assert len(kept) == 1


def test_assumptions_name_where_each_is_used():
    labels = dict(result_of(scene=a_scene([wall()])).assumptions)
    assert labels["ball"] == OWN
    assert labels["left L2 medial branch: place (standard deviation)"].value == 0.5
    assert labels["spinal canal: place (standard deviation)"].value == 0.5
    assert labels["critical lesioned length"].value == 5
    assert labels["limit of spinal canal: distance to lesion (warn)"].value == 2
    assert "muscle: perfusion" in labels
    assert "fat: perfusion" not in labels
    assert all(number.basis == "assumption" for number in labels.values())


def test_an_assumption_the_technique_names_is_not_named_twice():
    shared = tissue("muscle").perfusion_per_s
    told = Technique(**{**BALL.__dict__, "assumptions": lambda scene, plan: (("blood flow", shared),)})
    case, scene = a_case(), a_scene()
    result = simulate_plan(case, scene, plan_of(case, scene), registry={"ball": told})
    assert [label for label, number in result.assumptions if number == shared] == ["blood flow"]


def test_tissues_in_the_box_include_the_one_assumed_beyond_the_image():
    scene = a_scene(air_below=-5.0)
    exposure = expose(scene, plan_of(scene=scene), lambda fraction, text: None)
    assert set(tissues_in_box(scene, exposure)) == {"muscle", "air"}
    far = exposure.model_copy(update={"axes_mm": (AXIS + 100, AXIS, AXIS)})
    assert tissues_in_box(scene, far) == ("muscle",)


def test_progress_rises_to_one_and_can_cancel():
    seen = []
    result_of(progress=lambda fraction, text: seen.append(fraction))
    assert seen == sorted(seen)
    assert seen[-1] == 1.0

    def cancel(fraction, text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        result_of(progress=cancel)


def test_a_plan_of_an_unknown_technique_is_not_simulated():
    with pytest.raises(UnknownNameError, match="ball"):
        simulate_plan(a_case(), a_scene(), plan_of(), registry={})


def test_the_order_within_a_severity_is_kept():
    notices = [Notice(severity=s, code=c, text=c) for s, c in (("info", "a"), ("stop", "b"), ("info", "c"))]
    assert [n.code for n in worst_first([*notices, notices[0]])] == ["b", "a", "c"]
