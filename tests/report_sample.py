"""A small planned case with smooth heat round a needle: what the report's tests write up."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurolysis.case import Case
from neurolysis.delivery.technique import Chart, Technique
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.evidence.instruments import find_cannula, generator, generator_ids
from neurolysis.evidence.limits import limits_for
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.exposure import EnergyBalance, Exposure, LabelledField, LesionSize
from neurolysis.geometry import Curve, Volume
from neurolysis.nerve.injury import assess
from neurolysis.plan import Notice, Numerics, Placement, Plan, Protocol, TargetName
from neurolysis.planning.result import PlanResult
from neurolysis.quantity import Quantity
from neurolysis.scene import Nerve, Scene, Structure, TissueMap

TISSUES = ("air", "muscle", "fat", "bone_cancellous")
NASTY = "<script>alert(1)</script> \" onload='x' & #panic() \\ $1$ *b* @ref ]]> {{ 7*7 }}"


class Recipe(Protocol):
    technique: str = "warm"
    schema_version: int = 1
    temperature_c: float = 80.0


def warm(title: str = "Warming") -> Technique:
    """A technique with only what the report asks of it."""

    def unused(*args: Any) -> Any:
        raise AssertionError("the report must not run the technique")

    return Technique(
        name="warm", title=title, protocol=Recipe, expose=unused, notices=unused,
        summary=lambda plan: (("Setting", "80 °C for 90 s"), ("Tip", "18G, 10 mm, straight")),
        assumptions=unused,
        charts=(Chart("Temperature", "°C", (("tip_c", "tip sensor"), ("tissue_c", "hottest tissue"))),
                Chart("Power", "W", (("power_w", "power"),)), Chart("Absent", "V", (("none", "none"),))),
        options=(), simulate=unused, simulate_case=unused, validate=unused,
    )  # fmt: skip


def phantom() -> tuple[Volume, Volume]:
    """A block of muscle with a plate of bone, some fat and a canal, 60 mm wide: image and tissue indices."""
    affine = np.diag([1.5, 1.5, 1.5, 1.0])
    affine[:3, 3] = -30.0
    shape = (41, 41, 41)
    x, y, z = np.stack(np.meshgrid(*[np.arange(n) * 1.5 - 30 for n in shape], indexing="ij"))
    tissue = np.ones(shape, dtype=np.int16)
    tissue[y > 20] = 2
    tissue[(np.abs(y + 6) < 4) & (np.abs(z) < 9) & (x > -22)] = 3
    hu = np.choose(tissue, [-1000.0, 55.0, -95.0, 520.0]) + 25 * np.sin(x * 1.3) * np.cos(z * 0.9)
    return Volume(array=hu.astype(np.float32), affine=affine, name="ct.nii.gz"), Volume(
        array=tissue, affine=affine
    )


def guess(value: float) -> Quantity:
    source = "assumption: no spread was read anywhere"
    return Quantity(value=value, unit="mm", basis="assumption", source=source)


def make_scene() -> Scene:
    image, tissue = phantom()
    x, y, _ = np.moveaxis(image.to_lps(np.stack(np.indices(image.shape), axis=-1)), -1, 0)
    canal = image.with_array((((x + 18) ** 2 + (y + 14) ** 2) < 49).astype(np.uint8))
    course = [(14.0 - 8 * t, -12 + 11 * t - 3 * t * t, 14.0 - 14 * t) for t in np.linspace(0, 2, 30)]
    return Scene(
        image=image,
        tissues=TissueMap(volume=tissue, names=TISSUES, outside="muscle", notes=("made of blocks",)),
        properties={name: tissue_properties(name) for name in TISSUES[1:]},
        nerves=(
            Nerve(name="L2 medial branch", catalogue_id="lumbar_medial_branch_L2", side="left",
                  curve=Curve(points_mm=tuple(course)), radius_mm=guess(0.5), position_sd_mm=guess(1.5),
                  is_target=True, review="derived, unreviewed", derivation="from the phantom's plate"),
        ),
        structures=(
            Structure(name="spinal canal", kind="spinal_canal", mask=canal, limits=limits_for("spinal_canal"),
                      review="derived, unreviewed", derivation="a cylinder", position_sd_mm=1.0),
            Structure(name="skin", kind="skin", mask=None, unknown_reason="skin outside image",
                      limits=limits_for("skin")),
        ),
    )  # fmt: skip


def make_plan(scene: Scene) -> Plan:
    placement = Placement.between(find_cannula(18, 10), (6.0, -1.0, 0.0), (12.0, 14.0, -12.0))
    return Plan(
        case_id="phantom-1", case_hash="c" * 64, scene_hash=scene.content_hash(), evidence_version="e" * 16,
        software_version="0.0.test", anaesthesia="none planned", protocol=Recipe(), placements=(placement,),
        target=TargetName(nerve="lumbar_medial_branch_L2", side="left", bony_level="L3", joint="L3-4"),
        generator=generator(generator_ids()[0]),
    )  # fmt: skip


def make_exposure(plan: Plan) -> Exposure:
    """Heat that falls off smoothly round the active tip, with dose and damage to match."""
    axis = np.concatenate([-np.geomspace(20, 0.25, 26), np.geomspace(0.25, 20, 26)])
    axes = (axis, axis, axis + 5.0)
    x, y, z = np.meshgrid(*axes, indexing="ij")
    reach = np.sqrt(x**2 + y**2 + (np.maximum(np.abs(z - 5.0) - 3.5, 0.0)) ** 2)
    peak = 37 + 46 / (1 + (reach / 2.6) ** 2.2)
    log_damage = np.clip((peak - 50.5) * 0.45, -60, 40)
    cem = 1.5 * 2.0 ** np.minimum(peak - 43, 2.0) * 8
    fields = {"peak_temperature_c": (peak, "°C"), "cem43_min": (cem, "min"),
              "log_damage_nerve_heat": (log_damage, "ln")}  # fmt: skip
    time = np.linspace(0, 110, 111)
    tip = np.where(time < 90, np.minimum(37 + 4.3 * time, 80), 37 + 43 * np.exp(-(time - 90) / 12))
    criteria = lesion_criteria("plan")
    steps = [np.gradient(a) for a in axes]
    return Exposure(
        technique="warm", frame=plan.placements[0].frame(), axes_mm=axes,
        cell_volume_mm3=steps[0][:, None, None] * steps[1][None, :, None] * steps[2][None, None, :],
        fields={n: LabelledField(name=n, unit=u, array=a) for n, (a, u) in fields.items()},
        instrument=reach < 0.6, time_s=time,
        series={"tip_c": tip, "tissue_c": tip + 4 * (time > 8),
                "power_w": np.where(time < 90, 9 - time / 30, 0)},
        series_units={"tip_c": "°C", "tissue_c": "°C", "power_w": "W"},
        criteria=criteria,
        lesions=tuple(
            LesionSize(criterion=c.id, width_mm=9.2 - k, length_mm=14.1 - k, volume_mm3=640.0 - 60 * k,
                       distal_extent_mm=2.2, proximal_extent_mm=-0.4)
            for k, c in enumerate(criteria)
        ),
        energy=EnergyBalance(supplied_j=410, metabolic_j=3, stored_j=300, out_boundary_j=60,
                             out_perfusion_j=40, out_coolant_j=0, out_needle_j=11, error=0.004),
        outside_image_fraction=0.07,
        model_errors=(
            Quantity(value=9.0, unit="%", source="nt1100_manual", basis="computed",
                     conditions="lesion width against bench measurements"),
        ),
        numerics=Numerics(), solver={"cells": 140608, "iterations": 31, "damage_start_c": 43.0},
        plan_hash=plan.content_hash(),
    )  # fmt: skip


CASE = {
    "id": "phantom-1",
    "patient": {"id": "P-0042", "birth_year": 1961, "sex": "female"},
    "complaint": "low back pain, left",
    "image": {"path": "ct.nii.gz", "contrast": False, "attribution": "made for this test"},
    "labels": [{"path": "labels.nii.gz", "scheme": "blocks", "origin": "drawn by hand"}],
    "target": {"nerve": "lumbar_medial_branch_L2", "side": "left", "bony_level": "L3", "joint": "L3-4",
               "level_counted": "from the sacrum upwards", "transitional_vertebra": False},
}  # fmt: skip
NOTICES = (
    Notice(
        severity="stop",
        code="limit.peak",
        text="Canal: peak temperature 51 °C.",
        source="cosman_gonzalez_2011",
    ),
    Notice(severity="warn", code="bone", text="The tip lies 0.8 mm in bone."),
    Notice(severity="info", code="joint", text="The joint has another branch."),
)


def make_result(**case: Any) -> PlanResult:
    scene = make_scene()
    plan = make_plan(scene)
    exposure = make_exposure(plan)
    assumed = scene.properties["muscle"].conductivity_slope_per_c
    items = (*((f"{name}: conductivity slope", assumed) for name in TISSUES[1:]),
             ("L2 medial branch: place", scene.target().position_sd_mm))  # fmt: skip
    return PlanResult(
        case=Case.model_validate({**CASE, **case}), scene=scene, plan=plan, exposure=exposure,
        injury=assess(scene, exposure), notices=NOTICES, assumptions=items,
    )  # fmt: skip
