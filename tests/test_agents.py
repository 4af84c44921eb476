"""Injected agents as data, their rules, and the command: strengths, doses, hard rules, bad input."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from neurolysis.app.simulate import simulate
from neurolysis.delivery.technique import technique
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.injectates import (
    injectate,
    injectate_names,
    mixture_viscosity_mpa_s,
    porous_body,
    solution_density_g_per_ml,
    still_fluid,
)
from neurolysis.evidence.instruments import instrument
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.geometry import Curve, Volume
from neurolysis.plan import Notice, Placement, Plan, TargetName
from neurolysis.planning.anaesthesia import anaesthesia_notices
from neurolysis.quantity import Quantity
from neurolysis.scene import Nerve, Scene, Structure, TissueMap

NAME = "chemical"
TODAY = date(2026, 11, 2)


def assumed(value: float, unit: str = "mm") -> Quantity:
    """A number made up for a test."""
    return Quantity(value=value, unit=unit, basis="assumption", source="assumption: made up for a test")


def block(structures: tuple[Structure, ...] = ()) -> Scene:
    """Fat everywhere, 60 mm wide, 2 mm voxels, with a nerve along x at z = 4 mm."""
    shape, affine = (31, 31, 31), np.diag([2.0, 2.0, 2.0, 1.0])
    affine[:3, 3] = -30
    image = Volume(array=np.full(shape, -100, np.int16), affine=affine)
    nerve = Nerve(
        name="a nerve", catalogue_id="intercostal_nerve", side="left", radius_mm=assumed(1.0),
        curve=Curve.from_array([[-25, 0, 4], [25, 0, 4]]), position_sd_mm=assumed(1.0), is_target=True,
    )  # fmt: skip
    return Scene(
        image=image,
        tissues=TissueMap(volume=image.with_array(np.zeros(shape, np.uint8)), names=("fat",), outside="fat"),
        properties={"fat": tissue_properties("fat")},
        nerves=(nerve,),
        structures=structures,
    )


def box(
    scene: Scene, low: tuple[int, int, int], high: tuple[int, int, int], name: str, kind: str
) -> Structure:
    """A structure filling a box of voxels."""
    mask = np.zeros(scene.image.shape, np.uint8)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = 1
    return Structure(name=name, kind=kind, mask=scene.image.with_array(mask))


def plan(
    position: str | None = "prone", tip: tuple[float, float, float] = (0, 0, 0), **recipe: object
) -> Plan:
    """One needle from above (+z)."""
    item = technique(NAME)
    data = {"agent": "ethanol", "concentration_percent": 95, "volume_ml": 1, **recipe}
    needle = instrument("needle_22g_90mm")
    return Plan(
        case_id="t", case_hash="0", scene_hash="0", evidence_version="0", software_version="0",
        target=TargetName(nerve="intercostal_nerve", side="left"), anaesthesia="none",
        protocol=item.protocol.model_validate(data),
        placements=(Placement.between(needle, tip, (tip[0], tip[1], tip[2] + 50)),),
        position=position, numerics=item.default_numerics.replace(finest_mm=1.5, extent_mm=25.0),
    )  # fmt: skip


def codes(notices: tuple[Notice, ...], severity: str | None = None) -> set[str]:
    """Codes of notices, of one severity where asked."""
    return {n.code for n in notices if severity in (None, n.severity)}


# --- data ----------------------------------------------------------------------------------------------


def test_every_agent_is_complete_and_sourced() -> None:
    """Agents read, with thresholds, vehicles, an injury curve each."""
    from neurolysis.evidence.agent_injury import agent_injury

    assert set(injectate_names()) == {"ethanol", "phenol", "glycerol"} == set(agent_injury().agents)
    for name in injectate_names():
        agent = injectate(name)
        assert agent.thresholds
        assert agent.solutions
        assert agent.diffusivity_m2_per_s.low is not None
        assert agent.diffusivity_m2_per_s.high is not None


@pytest.mark.parametrize(
    ("agent", "vehicle", "percent"),
    [
        ("ethanol", "water", 110.0),
        ("ethanol", "water", 30.0),
        ("phenol", "water", 8.0),
        ("phenol", "glycerin", 20.0),
    ],
)
def test_strengths_that_do_not_exist_are_refused(agent: str, vehicle: str, percent: float) -> None:
    """110 % alcohol, phenol beyond what water holds: refused with what is allowed."""
    with pytest.raises(InputError, match="no such strength"):
        injectate(agent).require_strength(percent, vehicle, "test")


def test_viscosity_goes_from_tissue_fluid_to_the_agent() -> None:
    """Ends are the fluid's and the pure liquid's; ethanol and water together are thicker than either."""
    solution = injectate("ethanol").solution("water")
    found = mixture_viscosity_mpa_s(
        solution, 1.0, np.linspace(0, 1, 101), still_fluid().viscosity_mpa_s.value
    )
    assert found[0] == pytest.approx(0.6925)
    assert found[-1] == pytest.approx(0.794 * (0.949 / 0.794) ** 0.3, rel=1e-6)
    assert found.max() > 1.5


def test_unknown_densities_are_refused() -> None:
    """No density of a phenol solution was read: asking for it says so."""
    assert solution_density_g_per_ml(injectate("ethanol"), "water", 100) == pytest.approx(0.789)
    with pytest.raises(UnknownNameError, match="density"):
        solution_density_g_per_ml(injectate("phenol"), "glycerin", 6)


def test_the_porous_body_says_what_is_assumed() -> None:
    """Fat's permeability is read; what a fascia leaves is an assumption that says so."""
    body = porous_body()
    assert body.tissue("fat").permeability_m2.basis != "assumption"
    assert body.fascia_factor.basis == "assumption"
    assert body.tissue("liver") == body.tissue("muscle")


# --- hard rules ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("agent", "extra", "roots", "stops"),
    [
        ("ethanol", {}, "uppermost", False),
        ("ethanol", {}, "lowermost", True),
        (
            "phenol",
            {"vehicle": "glycerin", "concentration_percent": 6, "density_g_per_ml": 1.25},
            "lowermost",
            False,
        ),
        (
            "phenol",
            {"vehicle": "glycerin", "concentration_percent": 6, "density_g_per_ml": 1.25},
            "uppermost",
            True,
        ),
        ("ethanol", {}, None, True),
    ],
)
def test_intrathecal_position_is_a_hard_rule(
    agent: str, extra: dict[str, object], roots: str | None, stops: bool
) -> None:
    """A light agent wants its roots uppermost, a heavy one lowermost; the opposite stops for good."""
    made = plan(agent=agent, space="subarachnoid", target_roots=roots, volume_ml=0.5, **extra)
    found = [n for n in technique(NAME).notices(block(), made) if n.code.startswith("intrathecal")]
    assert bool(found) == stops
    assert all(n.severity == "stop" and not n.overridable for n in found)


def test_intrathecal_phenol_without_a_density_stops() -> None:
    """Only memory knows it: the site enters it or there is no plan."""
    made = plan(
        agent="phenol",
        vehicle="glycerin",
        concentration_percent=6,
        space="subarachnoid",
        target_roots="lowermost",
    )
    assert "intrathecal.density" in codes(technique(NAME).notices(block(), made), "stop")


def test_an_agent_as_dense_as_spinal_fluid_stops() -> None:
    """Neither rises nor sinks for certain: no place of the roots is right."""
    for roots in ("uppermost", "lowermost"):
        made = plan(space="subarachnoid", target_roots=roots, density_g_per_ml=1.0006)
        assert "intrathecal.density" in codes(technique(NAME).notices(block(), made), "stop")


def test_an_intrathecal_injection_ends_in_the_canal() -> None:
    """Planned there with the outlet elsewhere: a stop; without a canal in the labels: cannot say."""
    made, scene = plan(space="subarachnoid", target_roots="uppermost"), block()
    assert "outlet.canal_unknown" in codes(technique(NAME).notices(scene, made), "warn")
    for low, code in (((0, 0, 0), True), ((12, 12, 12), False)):
        canal = box(scene, low, tuple(k + 7 for k in low), "spinal canal", "spinal_canal")  # type: ignore[arg-type]
        found = technique(NAME).notices(scene.model_copy(update={"structures": (canal,)}), made)
        assert ("outlet.not_in_canal" in codes(found, "stop")) == code
        assert "outlet.in_canal" not in codes(found)


def test_an_outlet_in_a_vessel_always_stops() -> None:
    """A tip in a lumen is a stop that nobody can set aside; in the canal too, unless that is the space."""
    scene = block()
    aorta = box(scene, (12, 12, 12), (19, 19, 19), "aorta", "vessel")
    found = technique(NAME).notices(scene.model_copy(update={"structures": (aorta,)}), plan())
    assert any(n.code == "outlet.in_vessel" and not n.overridable for n in found)
    canal = box(scene, (12, 12, 12), (19, 19, 19), "spinal canal", "spinal_canal")
    found = technique(NAME).notices(scene.model_copy(update={"structures": (canal,)}), plan())
    assert "outlet.in_canal" in codes(found, "stop")


def test_an_outlet_in_a_nerve_warns() -> None:
    """Within the nerve's radius the agent is injected into it."""
    assert "outlet.in_nerve" in codes(technique(NAME).notices(block(), plan(tip=(0, 0, 4.5))), "warn")


def test_phenol_above_a_gram_takes_a_recorded_override() -> None:
    """The alert of 1 g and the institution's ceiling stop; an override is recorded and warns."""
    strong = {"agent": "phenol", "concentration_percent": 6, "volume_ml": 20}
    notices = technique(NAME).notices
    assert {"dose.ceiling"} <= codes(notices(block(), plan(**strong)), "stop")
    assert "dose.no_ceiling" in codes(notices(block(), plan(**strong)), "warn")
    allowed = plan(**strong, ceiling_override="Dr. Example: no other way, monitored")
    assert "dose.ceiling" not in codes(notices(block(), allowed), "stop")
    assert "dose.ceiling_overridden" in codes(notices(block(), allowed), "warn")
    low = plan(agent="phenol", concentration_percent=6, volume_ml=5, ceiling_g=0.2)
    assert "dose.ceiling" in codes(notices(block(), low), "stop")


def test_blood_alcohol_is_in_proportion_to_the_measured_dose() -> None:
    """10 mL of absolute alcohol gives the measured 29.9 mg/dL back, 20 mL twice as much."""
    from neurolysis.delivery.chemical.rules import blood_alcohol_mg_per_dl

    assert blood_alcohol_mg_per_dl(7.89)[0] == pytest.approx(29.9)
    assert blood_alcohol_mg_per_dl(15.78) == pytest.approx((59.8, 21.0, 98.6))


def test_an_admixture_dilutes() -> None:
    """14 mL of alcohol with 1 mL of contrast: 14/15 of the strength, and the dose counts agent only."""
    made = plan(concentration_percent=90, volume_ml=15, admixture_ml=1, admixture="contrast").protocol
    assert made.injected_percent == pytest.approx(84)  # type: ignore[attr-defined]
    assert made.total_g(2, 0.789) == pytest.approx(2 * 14 * 0.9 * 0.789)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "bad",
    [
        {"concentration_percent": 110},
        {"volume_ml": 0},
        {"agent": "formalin"},
        {"admixture_ml": 2, "admixture": "x"},
        {"admixture_ml": 0.1},
        {"rate_ml_per_min": -1},
        {"vehicle": "oil"},
    ],
)
def test_bad_protocols_are_refused(bad: dict[str, object]) -> None:
    """Each with its field."""
    with pytest.raises((ValueError, InputError, UnknownNameError)):
        plan(**bad)


# --- in a scene ----------------------------------------------------------------------------------------


def test_an_injection_reaches_the_nerve_and_spares_what_is_walled_off() -> None:
    """Beside the outlet the nerve is killed; an organ stays free inside; members are nested."""
    from neurolysis.nerve.injury import assess

    scene = block()
    organ = box(scene, (20, 8, 8), (31, 23, 23), "organ", "organ")
    cord = box(scene, (0, 0, 0), (3, 31, 31), "cord", "spinal_cord")
    scene = scene.model_copy(update={"structures": (organ, cord)})
    found = technique(NAME).expose(scene, plan(volume_ml=2), lambda f, m: None)
    inside = np.asarray(organ.mask.sample(found.frame.apply(  # type: ignore[union-attr]
        np.stack(np.meshgrid(*found.axes_mm, indexing="ij"), axis=-1)), order=0)) > 0  # fmt: skip
    assert float(found.field("peak_concentration_percent").array[inside].max()) == 0.0
    volumes = {size.criterion: size.volume_mm3 for size in found.lesions}
    assert volumes["ethanol_35_narrow"] < volumes["ethanol_35"] < volumes["ethanol_35_wide"]
    assert found.solver["mass_balance_error"] < 1e-3  # type: ignore[operator]
    injury = assess(scene, found)
    nerve = injury.target()
    assert max(nerve.profiles["killed_middle"]) > 0.5
    assert max(nerve.profiles["killed_mild"]) <= max(nerve.profiles["killed_severe"])
    assert "alike" in nerve.selectivity_note
    free = next(s for s in injury.structures if s.structure == "cord")
    assert free.agent_share is not None
    assert free.agent_share < 0.25
    assert all(check.limit.metric != "peak_temperature_c" for check in free.checks)


def test_an_outlet_in_bone_is_refused() -> None:
    """A wall takes no fluid: the field and the place are named."""
    scene = block()
    bone = TissueMap(
        volume=scene.image.with_array(np.ones(scene.image.shape, np.uint8)), names=("fat", "bone_cortical"),
        outside="fat",
    )  # fmt: skip
    scene = scene.model_copy(
        update={"tissues": bone, "properties": {n: tissue_properties(n) for n in ("fat", "bone_cortical")}}
    )
    with pytest.raises(InputError, match="wall"):
        technique(NAME).expose(scene, plan(), lambda f, m: None)


def test_a_layer_runs_where_its_weight_takes_it() -> None:
    """Prone, head up: light alcohol lies under the back wall and runs headwards; sizes are entered."""
    sizes = {"space_width_mm": 15.0, "space_height_mm": 15.0}
    made = plan(space="subarachnoid", target_roots="uppermost", volume_ml=0.5, **sizes)
    made = made.replace(position_tilt_deg=15.0)
    found = technique(NAME).expose(block(), made, lambda f, m: None)
    field = found.field("peak_concentration_percent").array
    z = found.axes_mm[2]
    centre = float((field.sum(axis=(0, 1)) * z).sum() / field.sum())
    assert centre > 5.0
    held = found.frame.apply([0.0, float(found.axes_mm[1][-1]), 0.0]) - found.frame.apply([0.0, 0.0, 0.0])
    assert held[1] > 0
    assert field[:, -1].max() > 90
    assert field[:, 0].max() == 0
    with pytest.raises(InputError, match="subarachnoid"):
        technique(NAME).expose(
            block(), plan(space="subarachnoid", target_roots="uppermost"), lambda f, m: None
        )


def test_a_cistern_needs_its_volume() -> None:
    """Without it a stop; with it the surplus must leave."""
    made = plan(agent="glycerol", concentration_percent=100, volume_ml=0.3, space="cistern")
    assert "cistern.volume_unknown" in codes(technique(NAME).notices(block(), made), "stop")
    made = plan(
        agent="glycerol", concentration_percent=100, volume_ml=0.3, space="cistern", space_volume_ml=0.2
    )
    found = technique(NAME).expose(block(), made, lambda f, m: None)
    assert "cistern.spill" in codes(found.notices, "warn")
    assert float(found.field("peak_concentration_percent").array.max()) <= 100


# --- the command ---------------------------------------------------------------------------------------


def test_simulate_gives_what_is_promised() -> None:
    """Spread, balances, trace, time and grid; the flat path agrees with the full one."""
    options = {"agent": "ethanol", "concentration-percent": 95.0, "volume-ml": 0.5, "observe-min": 2.0}
    options["finest-mm"] = 1.5
    full = simulate(NAME, options)
    flat = simulate(NAME, options, axisymmetric=True)
    assert {"spread", "volume_balance_error", "mass_balance_error", "trace", "elapsed_s", "grid"} <= set(full)
    assert full["volume_balance_error"] < 1e-3
    assert full["mass_balance_error"] < 1e-3
    assert flat["spread"][0]["volume_ml"] == pytest.approx(full["spread"][0]["volume_ml"], rel=0.03)
    by_member = {m: rows[1]["volume_ml"] for m, rows in full["members"].items()}
    assert by_member["narrow"] < by_member["middle"] < by_member["wide"]


@pytest.mark.parametrize(
    "bad",
    [
        {"concentration-percent": 110.0},
        {"volume-ml": 0.0},
        {"agent": "lye"},
        {"tissue": "cheese"},
    ],
)
def test_simulate_refuses_bad_input(bad: dict[str, object]) -> None:
    """110 % alcohol, 0 mL, names that are not there."""
    with pytest.raises((InputError, UnknownNameError)):
        simulate(NAME, {"agent": "ethanol", "concentration-percent": 95.0, "volume-ml": 1.0, **bad})


@pytest.mark.parametrize(
    ("name", "options", "settings", "where", "allowed"),
    [
        (NAME, {"volume-ml": 0.0}, (), "--volume-ml", "above 0, up to 100 mL"),
        (NAME, {"rate-ml-per-min": -1.0}, (), "--rate-ml-per-min", "above 0, up to 100 mL/min"),
        (NAME, {"density-g-per-ml": -1.0}, (), "--density-g-per-ml", "above 0.5, below 2 g/mL; 0: not given"),
        (NAME, {"concentration-percent": 110.0}, (), "--concentration-percent", "50 to 100 % v/v"),
        (NAME, {}, ("porosity=2",), "--set porosity", "above 0, up to 1"),
        ("radiofrequency", {"temperature-c": -300.0}, (), "--temperature-c", "above 0, up to 95 °C"),
    ],
)
def test_an_error_names_the_option_and_what_it_may_be(
    name: str, options: dict[str, object], settings: tuple[str, ...], where: str, allowed: str
) -> None:
    """In the words that were typed, whatever the technique's own fields are called."""
    known = {"agent": "ethanol", "concentration-percent": 95.0, "volume-ml": 1.0} if name == NAME else {}
    with pytest.raises(InputError) as caught:
        simulate(name, {**known, **options}, settings)
    assert (caught.value.where, caught.value.allowed) == (where, allowed)
    assert caught.value.found is not None


def test_every_wrong_option_is_named() -> None:
    """Two slips, one error that names both."""
    with pytest.raises(InputError, match=r"--volume-ml: .*--rate-ml-per-min: "):
        simulate(NAME, {"agent": "ethanol", "concentration-percent": 95.0, "volume-ml": 0.0,
                        "rate-ml-per-min": 0.0})  # fmt: skip


def test_a_property_can_be_set() -> None:
    """``--set`` holds for every member; an unknown name lists what there is."""
    options = {"agent": "ethanol", "concentration-percent": 95.0, "volume-ml": 0.5, "observe-min": 1.0}
    found = simulate(NAME, options, ["porosity=0.5", "water=0.5"], axisymmetric=True)
    assert found["case"]["porosity"] == 0.5
    with pytest.raises(UnknownNameError, match="property"):
        simulate(NAME, options, ["colour=red"])


def test_validation_shows_what_fails() -> None:
    """Every row has a verdict; the infusion in brain is computed, the rows without inputs say so."""
    rows = {row.id: row for row in technique(NAME).validate(lambda f, m: None)}
    assert rows["MAZOC-30"].verdict == "pass"
    assert float(rows["C1-33"].simulated["pores 0.2"]) == pytest.approx(5.0, rel=0.15)
    assert rows["C1-33"].verdict == "fail"
    assert rows["C1-10"].verdict == "not computable"


def test_the_anaesthesia_knows_an_agent_is_injected() -> None:
    """Step 3 is told that a neurolytic follows."""
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import demo_case

    case, _ = load_case(demo_case("celiac"))
    assert case.treatment is not None
    assert case.treatment.protocol["agent"] == "ethanol"
    list(anaesthesia_notices(case, block(), ()))


def test_a_dose_stops_the_plan_with_and_without_a_day() -> None:
    """Without the day of the case limits per kg cannot be said; those in mg hold all the same."""
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import demo_case
    from neurolysis.case import GivenInjection

    case, _ = load_case(demo_case("celiac"))
    assert case.anaesthesia is not None
    heavy = GivenInjection(agent="lidocaine", concentration_percent=1, volume_ml=60, dose_mg=600,
                           purpose="track", site="infiltration")  # fmt: skip
    told = case.replace(anaesthesia=case.anaesthesia.replace(injections=(heavy,)))
    for day in (case.evaluated, None):
        found = tuple(anaesthesia_notices(told.replace(evaluated=day), block(), ()))
        assert {"dose.cap", "dose.over"} <= codes(found, "stop")
        assert ("anaesthesia.no_day" in codes(found, "warn")) == (day is None)


def test_the_plan_says_sedation_fasting_and_escort() -> None:
    """All three stand in the plan's own words, also where the case is silent."""
    from neurolysis.app.cases import load_case
    from neurolysis.app.demo import demo_case
    from neurolysis.case import Anaesthesia
    from neurolysis.planning.anaesthesia import anaesthesia_text

    case, _ = load_case(demo_case("celiac"))
    silent = anaesthesia_text(case.replace(anaesthesia=Anaesthesia()))
    assert "Sedation: not said; fasting: not said; escort: not said" in silent
    told = Anaesthesia(sedation="moderate", fasting_confirmed=True, escort_arranged=False)
    assert "Sedation: moderate; fasting: confirmed; escort: no" in anaesthesia_text(
        case.replace(anaesthesia=told)
    )
