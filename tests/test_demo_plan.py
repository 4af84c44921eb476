"""The shipped demonstration planned end to end: the real technique on the real image."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from neurolysis.app.cases import load_case
from neurolysis.geometry import Curve
from neurolysis.localization.scene_builder import build_scene
from neurolysis.nerve.injury import assess
from neurolysis.planning.make import make_plan
from neurolysis.planning.simulate import simulate_plan

from .made_by_hand import quantity


@pytest.fixture(scope="module")
def real():
    """The shipped demonstration, planned and simulated as it is."""
    case, folder = load_case(Path(str(files("neurolysis"))) / "data" / "demo")
    scene = build_scene(case, folder)
    return simulate_plan(case, scene, make_plan(case, scene))


def test_a_real_plan_reaches_the_nerve_and_spares_the_canal(real):
    target = real.injury.target()
    lengths = {item.criterion: item.longest_lesioned_mm for item in target.by_criterion}
    assert lengths["isotherm_45c"] > lengths["isotherm_50c"] > 5
    assert target.coverage in ("covered", "partly covered")
    canal = next(s for s in real.injury.structures if s.kind == "spinal_canal")
    assert canal.peak_temperature_c < 45
    assert canal.distance_to_lesion_mm > 2
    assert {check.verdict for check in canal.checks} <= {"ok", "warn"}


def test_a_real_plan_says_what_its_image_lacks(real):
    codes = {notice.code for notice in real.notices}
    assert {"skin.unknown", "labels.unreviewed", "anatomy.derived", "shaft.leaves_image"} <= codes
    assert {"image.contrast", "tip.at_bone", "implants.unknown", "case.demonstration"} <= codes
    assert [n.text for n in real.notices if n.severity == "stop"] == []
    assert real.plan.protocol.technique == "radiofrequency"


def test_a_real_plan_names_its_assumptions(real):
    labels = [label for label, _ in real.assumptions]
    assert "critical lesioned length" in labels
    assert any("thermocouple" in label for label in labels)
    assert any("spinal canal" in label for label in labels)
    assert len(set(labels)) == len(labels)


def test_a_real_plan_agrees_with_the_lesion_its_solver_reports(real):
    """A nerve laid along the needle's axis crosses the whole of the lesion's length."""
    place = real.plan.placements[0]
    hub = np.array(place.direction_to_hub)
    along = real.scene.target().replace(
        curve=Curve.from_array([np.array(place.tip_mm) - 15 * hub, np.array(place.tip_mm) + 18 * hub]),
        position_sd_mm=quantity(0.0),
    )
    found = assess(real.scene.model_copy(update={"nerves": (along,), "structures": ()}), real.exposure)
    length = next(i for i in found.target().by_criterion if i.criterion == "isotherm_50c").lesioned_mm
    reported = next(size for size in real.exposure.lesions if size.criterion == "isotherm_50c").length_mm
    assert length == pytest.approx(reported, abs=0.6)
