"""The celiac demonstration: quadrants, declared approaches, contrast that is no bone, bad landmarks."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from neurolysis.app.cases import load_case
from neurolysis.app.demo import DEMOS, demo_case
from neurolysis.case import Case
from neurolysis.delivery.technique import silent, technique
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.instruments import instrument
from neurolysis.exposure import Exposure
from neurolysis.localization.scene_builder import build_scene
from neurolysis.nerve.along import SHARE
from neurolysis.nerve.masks import Mask
from neurolysis.plan import Placement, Plan
from neurolysis.planning.make import make_plan
from neurolysis.planning.quadrants import QUADRANTS, quadrant_coverage, quadrant_notices
from neurolysis.planning.rules import case_notices
from neurolysis.scene import Scene

ORIGIN_MM = np.array([37.5, 9.5, -249.0])


@cache
def prepared() -> tuple[Case, Path, Scene, Plan]:
    """The shipped case with its scene and a plan on a coarse grid."""
    case, folder = load_case(demo_case("celiac"))
    scene = build_scene(case, folder)
    plan = make_plan(case, scene)
    return case, folder, scene, plan.replace(numerics=plan.numerics.replace(finest_mm=3.0, coarsest_mm=5.0))


@cache
def simulated() -> Exposure:
    """The spread on that grid."""
    _, _, scene, plan = prepared()
    return technique("chemical").expose(scene, plan, silent)


def painted(where: str) -> Exposure:
    """The exposure with the agent only in one quadrant round the artery's origin."""
    exposure = simulated()
    mesh = np.meshgrid(*exposure.axes_mm, indexing="ij")
    away = exposure.frame.apply(np.stack(mesh, axis=-1)) - ORIGIN_MM
    here = (away[..., 2] > 0) if "upper" in where else (away[..., 2] <= 0)
    here &= (away[..., 0] > 0) if "left" in where else (away[..., 0] <= 0)
    fields = dict(exposure.fields)
    for tail in ("", "_narrow", "_wide"):
        old = fields[SHARE + tail]
        fields[SHARE + tail] = old.model_copy(update={"array": np.where(here, 2.0, 0.0).astype(np.float32)})
    return exposure.model_copy(update={"fields": fields})


@pytest.mark.parametrize("quadrant", QUADRANTS)
def test_agent_in_one_quadrant_fills_that_one_only(quadrant: str) -> None:
    """Right of the patient is -x, above is +z, counted from the artery's origin."""
    _, _, scene, plan = prepared()
    found = quadrant_coverage(scene, plan, painted(quadrant))
    assert found is not None
    assert found.shares["middle"][quadrant] == pytest.approx(1.0)
    assert found.filled == {"little": 1, "middle": 1, "far": 1}
    assert found.review == "picked, unreviewed"


def test_the_demonstration_fills_the_lower_quadrants_and_keeps_its_balances() -> None:
    """Both outlets lie below the origin; what is injected is accounted for in every member."""
    _, _, scene, plan = prepared()
    found = quadrant_coverage(scene, plan, simulated())
    assert found is not None
    middle = found.shares["middle"]
    assert min(middle["lower right"], middle["lower left"]) > max(middle["upper left"], 0.5)
    assert all("caudad" in words and "antecrural" in words for words in found.needles)
    solver = simulated().solver
    assert max(float(solver["volume_balance_error"]), float(solver["mass_balance_error"])) < 1e-3


def test_without_the_picked_origin_there_is_no_verdict() -> None:
    """The missing landmark is named."""
    _, _, scene, plan = prepared()
    found = quadrant_coverage(scene.model_copy(update={"landmarks": ()}), plan, simulated())
    assert found is not None
    assert "celiac_artery_origin" in found.missing
    assert found.filled == {}
    assert [n.code for n in quadrant_notices(found)] == ["quadrants.unknown"]


def test_a_path_through_the_aorta_stops_unless_it_is_declared() -> None:
    """Trans-aortic is a named approach; a tip that stays in the lumen is another rule and always stops."""
    case, _, scene, _ = prepared()
    aorta = next(s for s in scene.structures if "aorta" in s.name.casefold())
    assert aorta.mask is not None
    middle = Mask(aorta.mask).centres()[::50]
    near = middle[np.argmin(np.abs(middle[:, 2] - ORIGIN_MM[2]))]
    needle = instrument("needle_20g_200mm")
    tip = tuple(float(v) for v in near - np.array([0, 20.0, 0]))
    hub = tuple(float(v) for v in near + np.array([0, 60.0, 0]))
    placement = Placement.between(needle, tip, hub)
    assert case.treatment is not None

    def codes(declared: str) -> dict[str, str]:
        told = case.replace(treatment=case.treatment.replace(declared_approach=declared))
        notices = case_notices(told, scene, (placement,))
        return {n.code: n.severity for n in notices if "aorta" in n.text.casefold()}

    assert codes("").get("path.through_structure") == "stop"
    assert codes("trans-aortic").get("path.declared") == "warn"


def test_contrast_in_vessels_is_no_bone() -> None:
    """The aorta is bright on this scan; the labels win, and it is blood, not bone."""
    _, _, scene, _ = prepared()
    aorta = next(s for s in scene.structures if "aorta" in s.name.casefold())
    assert aorta.mask is not None
    inside = aorta.mask.array > 0
    assert np.median(scene.image.array[inside]) > 150
    names = np.array(scene.tissues.names)[scene.tissues.volume.array[inside]]
    assert not any("bone" in name for name in set(names))


def test_a_landmark_outside_the_image_is_refused() -> None:
    """Where it is, and which one."""
    case, folder, _, _ = prepared()
    bad = case.landmarks[0].replace(point_mm=(0.0, 0.0, 900.0))
    with pytest.raises(InputError, match=r"landmarks\.0"):
        build_scene(case.replace(landmarks=(bad, *case.landmarks[1:])), folder)


def test_demonstrations_have_names() -> None:
    """Each folder is there; an unknown name lists them."""
    for name in DEMOS:
        assert (demo_case(name) / "case.yaml").is_file()
    with pytest.raises(UnknownNameError, match="celiac"):
        demo_case("elbow")


def test_sources_of_the_quadrants_are_numbered_in_the_report() -> None:
    """No bare id stands where a reader expects a number."""
    from neurolysis.report.citations import Citations

    from .report_sample import make_result

    _, _, scene, plan = prepared()
    found = quadrant_coverage(scene, plan, painted("upper left"))
    assert found is not None
    told = found.model_copy(update={"sources": ("inj_deci7", "inj_deci1")})
    cited = Citations.of(replace(make_result(), quadrants=told))
    assert cited.cite("inj_deci1").startswith("[")
