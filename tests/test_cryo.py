"""Freezing as a technique: protocol, command, exposure, what it does to nerves and structures, rules."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest
from scipy.stats import ncx2

from neurolysis.app.cases import load_case
from neurolysis.app.demo import demo_case
from neurolysis.app.simulate import complete_values, simulate
from neurolysis.delivery.cryo import validation
from neurolysis.delivery.cryo.bench import NUMERICS, FreezingBench, report_case, run_case, simulate_case
from neurolysis.delivery.cryo.expose import expose, prepare
from neurolysis.delivery.cryo.protocol import CryoProtocol, stretches
from neurolysis.delivery.cryo.rules import assumptions, expected_return, notices, summary
from neurolysis.delivery.cryo.simulate import OPTIONS, bench_case
from neurolysis.delivery.cryo.wrap import GRID_ERROR
from neurolysis.delivery.heat.measures import NEVER_S, require_energy
from neurolysis.delivery.technique import silent, technique
from neurolysis.errors import InputError, SolverError, UnknownNameError
from neurolysis.evidence.criteria import lesion_criteria
from neurolysis.evidence.freezing import freezing_body
from neurolysis.evidence.instruments import find_cannula, instrument
from neurolysis.evidence.limits import limits_for
from neurolysis.evidence.measurements import lesion_measurements
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.exposure import EnergyBalance, LabelledField
from neurolysis.geometry import Volume
from neurolysis.nerve.along import LOWEST, PEAK, main_measure
from neurolysis.nerve.injury import assess, size_error
from neurolysis.nerve.injury_rules import injury_rules
from neurolysis.nerve.lesion import Lesion, largest_lesion
from neurolysis.nerve.structures import Ground, worst_within
from neurolysis.plan import Placement, Plan, TargetName
from neurolysis.planning.rules import Facts, technique_rule
from neurolysis.planning.skin import skin_at_depth
from neurolysis.report.strip import strip_figure
from neurolysis.scene import Scene, TissueMap

from .made_by_hand import AXIS, by, exposure, one, scene, straight, structure

COARSE = NUMERICS.replace(finest_mm=0.5, extent_mm=16.0, growth=1.25, time_step_s=5.0)
SHORT = CryoProtocol(tip_temperature_c=-70, freeze_s=40, thaw_s=10)
PROBE = "cold_probe_1.3mm_5mm"


# ---------------------------------------------------------------- protocol


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tip_temperature_c": -95}, "colder than any tip read for nitrous oxide"),
        ({"tip_temperature_c": 5}, "less than or equal to -10"),
        ({"ramp_s": 40}, "must be shorter than freeze_s"),
        ({"cycles": 0}, "greater than or equal to 1"),
        ({"maximum_power_w": -1}, "greater than 0"),
        ({"speed": 1}, "Extra inputs"),
    ],
)
def test_an_impossible_protocol_says_why(changes, says):
    with pytest.raises(ValueError, match=says):
        CryoProtocol(**{"tip_temperature_c": -70, "freeze_s": 40, **changes})


def test_an_unknown_gas_lists_the_known_ones():
    with pytest.raises(UnknownNameError, match="argon"):
        CryoProtocol(gas="xenon", tip_temperature_c=-70, freeze_s=40)
    assert CryoProtocol(gas="argon", tip_temperature_c=-130, freeze_s=40).gas == "argon"


def test_cycles_become_stretches():
    common = {"start_c": 37.0, "tip_c": -70.0, "freeze_s": 60.0, "power_w": None}
    passive = stretches(**common, ramp_s=5.0, cycles=2, thaw_s=30.0, thaw_c=None)
    assert [(s.duration_s, s.flow, s.heats) for s in passive] == 2 * [
        (5.0, True, False), (55.0, True, False), (30.0, False, True)
    ]  # fmt: skip
    active = stretches(**common, ramp_s=0.0, cycles=1, thaw_s=30.0, thaw_c=20.0)
    assert [(s.flow, s.start_c, s.end_c) for s in active] == [(True, -70, -70), (True, 20, 20)]
    assert len(stretches(**common, ramp_s=0.0, cycles=3, thaw_s=0.0, thaw_c=None)) == 3


# ---------------------------------------------------------------- the command


@cache
def run(**options):
    return simulate("cryo", {k.replace("_", "-"): v for k, v in options.items()}, axisymmetric=True)


def width(found, criterion="ice_0c"):
    return found["lesion"][criterion]["width_mm"]


def test_the_command_gives_nested_isotherms_and_a_closed_balance():
    found = run()
    assert width(found, "isotherm_m20c") < width(found, "isotherm_m5c") < width(found)
    assert found["energy_balance_error"] < 1e-4
    profile = found["profile"]
    assert profile["lowest_temperature_c"] == sorted(profile["lowest_temperature_c"])
    for near, far in zip(profile["seconds_below_0c"], profile["seconds_below_m20c"], strict=True):
        assert near >= far
    trace = found["trace"]
    assert min(trace["probe_temperature_c"]) == pytest.approx(-70, abs=0.3)
    assert trace["ice_ml"][-1] < max(trace["ice_ml"])
    energy = found["energy"]
    given = -energy["stored_j"] - energy["out_perfusion_j"] - energy["out_boundary_j"]
    assert energy["out_coolant_j"] == pytest.approx(given, rel=1e-3)


def test_ice_grows_with_cold_time_and_cycles_and_shrinks_with_a_weak_probe():
    base = width(run())
    assert width(run(tip_temperature_c=-50.0)) < base < width(run(tip_temperature_c=-85.0))
    assert width(run(freeze_s=60.0)) < base < width(run(cycles=2))
    weak = run(power_w=2.0)
    assert width(weak) < base
    assert max(weak["trace"]["power_w"]) <= 2.0001


def test_perfusion_stops_the_ice():
    still = simulate("cryo", {}, ["perfusion_per_s=0"], axisymmetric=True)
    strong = simulate("cryo", {}, ["perfusion_per_s=0.01"], axisymmetric=True)
    assert width(strong) < width(run()) < width(still)


@pytest.mark.parametrize(
    ("options", "settings", "error", "says"),
    [
        ({"gas": "helium"}, [], UnknownNameError, "nitrous_oxide"),
        ({"tip-temperature-c": -120.0}, [], InputError, "colder than any tip read"),
        ({"tissue": "cheese"}, [], UnknownNameError, "muscle"),
        ({"cold-mm": 1.0}, [], InputError, "at least twice radius_mm"),
        ({"body-temperature-c": 1.0}, [], InputError, "temperature_c"),
        ({}, ["speed=3"], UnknownNameError, "tissue.latent_j_per_m3"),
        ({}, ["film_w_per_m2_k=much"], InputError, "not a number"),
        ({}, ["freezing_low_c=4"], InputError, "freezing_low_c must lie below"),
        ({}, ["latent_j_per_m3=-1"], InputError, "greater than or equal to 0"),
        ({"wind": 1}, [], UnknownNameError, "probe-mm"),
        ({"finest-mm": -1.0}, [], InputError, "--finest-mm"),
    ],
)
def test_bad_input_of_the_command(options, settings, error, says):
    with pytest.raises(error, match=says):
        simulate("cryo", options, settings, axisymmetric=True)


def test_a_case_file_needs_every_number():
    with pytest.raises(InputError, match="probe"):
        simulate_case({"tissue": {}}, True, "file.json", silent)


def test_every_property_can_be_set():
    options = complete_values(technique("cryo"), {})
    for section in ("probe", "tissue", "domain", "protocol"):
        model = FreezingBench.model_fields[section].annotation
        for name in model.model_fields:
            case = bench_case(options, {})
            old = getattr(getattr(case, section), name)
            text = "none" if old is None else str(old)
            assert bench_case(options, {f"{section}.{name}": text}) == case


# ---------------------------------------------------------------- in a scene


def muscle_block(air=False, half_mm=18.0):
    n = 37
    step = 2 * half_mm / n
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = -half_mm + 0.5 * step
    index = np.zeros((n, n, n), np.uint8)
    if air:
        index[affine[0, 3] + step * np.arange(n) > 4.0] = 1
    image = Volume(array=np.zeros((n, n, n), np.float32), affine=affine)
    tissues = TissueMap(volume=image.with_array(index), names=("muscle", "air"), outside="muscle")
    return Scene(image=image, tissues=tissues, properties={"muscle": tissue_properties("muscle")})


def plan_of(protocol=SHORT, *placements, **rest):
    return Plan(
        case_id="t", case_hash="c", scene_hash="s", evidence_version="e", software_version="v",
        target=TargetName(nerve="n", side="left"), anaesthesia="none", protocol=protocol,
        placements=placements or (at(),), numerics=rest.pop("numerics", COARSE), **rest,
    )  # fmt: skip


def at(tip=(0.0, 0.0, -2.5), direction=(0.0, 0.0, 1.0), probe=PROBE):
    return Placement(instrument=instrument(probe), tip_mm=tip, direction_to_hub=direction)


@cache
def frozen():
    return expose(muscle_block(), plan_of(), silent)


def test_the_exposure_holds_cold_fields_sizes_and_a_balance():
    found = frozen()
    assert main_measure(found) == LOWEST
    lowest = found.field(LOWEST).array
    assert lowest.min() == pytest.approx(-70, abs=0.5)
    assert (found.field("temperature_c").array >= lowest - 1e-4).all()
    below = found.field("seconds_below_m20c").array
    assert (below[lowest > -19.9] == 0).all()
    assert (below[lowest < -25] > 0).all()
    grown = found.field("lesion_time_s").array
    np.testing.assert_array_equal(grown < NEVER_S, lowest <= -20.0)
    assert 0 < grown.min() < grown[grown < NEVER_S].max() <= found.time_s[-1]
    assert found.energy is not None
    assert found.energy.error < 1e-4
    assert found.energy.out_coolant_j > 0 > found.energy.stored_j
    sizes = {size.criterion: size for size in found.lesions}
    ice, deep = sizes["ice_0c"], sizes["isotherm_m20c"]
    assert ice.width_mm > deep.width_mm > 1.3
    assert ice.distal_extent_mm > deep.distal_extent_mm > 0
    mask = found.lesion_mask(lesion_criteria("cold")[0])
    assert found.cell_volume_mm3[mask].sum() == pytest.approx(deep.volume_mm3, rel=0.2)
    flat = run(freeze_s=40.0, thaw_s=10.0)
    assert ice.width_mm == pytest.approx(width(flat), rel=0.07)


def test_air_beside_the_probe_is_no_tissue_and_takes_no_ice():
    found = expose(muscle_block(air=True), plan_of(), silent)
    x = found.axes_mm[0]
    assert (found.field(LOWEST).array[x > 5.5] > 30).all()
    assert found.energy is not None
    assert found.energy.error < 1e-4


@pytest.mark.parametrize(
    ("placements", "says"),
    [
        ((at(), at(tip=(6.0, 0, 0), direction=(0.6, 0.0, 0.8))), "must be parallel"),
        ((Placement(instrument=find_cannula(18, 10, "curved"), tip_mm=(0, 0, 0),
                    direction_to_hub=(0, 0, 1)),), "must be straight"),
    ],
)  # fmt: skip
def test_probes_that_cannot_be_solved_are_refused(placements, says):
    with pytest.raises(InputError, match=says):
        prepare(muscle_block(), placements, COARSE)


def test_two_parallel_probes_share_one_grid():
    prepared = prepare(muscle_block(), (at(), at(tip=(6.0, 0.0, -2.5))), COARSE)
    share = np.asarray(prepared.problem.film_share)
    x = prepared.grid.axes[0].centres * 1e3
    assert share[np.abs(x) < 1].sum() == pytest.approx(1.0, rel=1e-5)
    assert share[np.abs(x - 6) < 1].sum() == pytest.approx(1.0, rel=1e-5)


def test_a_broken_balance_gives_no_result():
    terms = dict.fromkeys(EnergyBalance.model_fields, 0.0)
    require_energy(EnergyBalance(**{**terms, "error": 0.04}), "freezing solver")
    with pytest.raises(SolverError, match="freezing solver: the energy balance is broken"):
        require_energy(EnergyBalance(**{**terms, "error": 0.06}), "freezing solver")


# ---------------------------------------------------------------- nerves and structures, by hand


def cold_ball(axis=AXIS, edge_mm=4.0, slope=5.0, centre=(0, 0, 0)):
    """Lowest temperature that rises linearly with distance: -20 C at ``edge_mm``, 37 C far away."""
    mesh = np.meshgrid(axis, axis, axis, indexing="ij")
    distance = np.sqrt(sum((m - c) ** 2 for m, c in zip(mesh, centre, strict=True)))
    return np.minimum(37.0, -20.0 + slope * (distance - edge_mm))


def cooled(values=None):
    made = exposure()
    values = cold_ball() if values is None else values
    field = LabelledField(name=LOWEST, unit="°C", array=values)
    return made.model_copy(
        update={"fields": {LOWEST: field}, "criteria": lesion_criteria("cold"),
                "solver": {"damage_start_c": -20.0}}
    )  # fmt: skip


def test_lengths_along_a_nerve_are_the_chords_of_the_cold_ball():
    nerve = assess(scene((straight(2.0),)), cooled()).target()
    for criterion, radius in (("isotherm_m20c", 4.0), ("isotherm_m5c", 7.0), ("ice_0c", 8.0)):
        assert by(nerve, criterion).longest_lesioned_mm == pytest.approx(2 * np.sqrt(radius**2 - 4), abs=0.15)
    assert nerve.coverage == "covered"
    assert nerve.grade.grade == "II"
    assert PEAK not in nerve.profiles
    assert min(nerve.profiles[LOWEST]) == pytest.approx(-30, abs=0.7)
    assert nerve.killed_fraction == {}
    assert "freezing" in nerve.selectivity_note


@pytest.mark.parametrize(("offset", "grade"), [(1.0, "II"), (5.0, "indeterminate"), (9.5, "none")])
def test_the_grade_follows_how_cold_the_nerve_gets(offset, grade):
    nerve = assess(scene((straight(offset),)), cooled()).target()
    assert nerve.grade.grade == grade


def test_a_nerve_colder_than_was_read_has_no_grade():
    nerve = assess(scene((straight(0.0),)), cooled(cold_ball(edge_mm=8.0, slope=12.0))).target()
    assert nerve.grade.grade == "indeterminate"
    assert "-89" in nerve.grade.rule
    assert injury_rules().grade(True).grade == "indeterminate"
    assert "grade III" in injury_rules().grade(True).rule
    assert "grade III" not in injury_rules().grade(True, -40.0).rule


def test_the_spread_of_the_place_counts_in_the_cold_too():
    nerve = assess(scene((straight(6.0, sd=2.0),)), cooled()).target()
    found = by(nerve, "isotherm_m20c")
    assert found.longest_lesioned_mm == 0
    # Moved square to itself by two normal numbers: the square of the distance is a chi-square.
    assert found.probability_any == pytest.approx(ncx2.cdf((4 / 2) ** 2, 2, (6 / 2) ** 2), abs=0.02)
    assert nerve.coverage == "not covered"


def test_the_lesion_is_the_cold_side_and_its_edge_is_exact():
    made = cooled()
    lesion = Lesion(made, lesion_criteria("cold")[0])
    assert lesion.exists
    assert lesion.volume_mm3 == pytest.approx(4 / 3 * np.pi * 64, rel=0.05)
    np.testing.assert_allclose(np.linalg.norm(lesion.edge_mm, axis=1), 4.0, atol=0.05)
    assert lesion.contains([[0, 0, 3.8], [0, 0, 4.2], [0, 0, 50]]).tolist() == [True, False, False]
    largest = largest_lesion(made)
    assert largest is not None
    assert largest.criterion.id == "ice_0c"


def test_a_structure_is_read_at_its_coldest_even_between_voxel_centres():
    """A slab whose face, not its voxels' centres, lies nearest to the cold."""
    wall = structure(lambda x, y, z: (x > 8.9) & (x < 11), kind="skin", limits=limits_for("skin"))
    made = cooled()
    found = assess(scene((straight(0.0),), (wall,)), made).structures[0]
    face = 9.0  # voxel centres at 9.5: their near face
    assert found.lowest_temperature_c == pytest.approx(-20 + 5 * (face - 4), abs=0.2)
    assert found.peak_temperature_c is None
    assert found.distance_to_lesion_mm == pytest.approx(1.0, abs=0.1)
    assert {check.limit.metric for check in found.checks} == {LOWEST, "distance_to_lesion_mm"}
    verdicts = {c.limit.metric: c.verdict for c in found.checks if c.limit.stop is not None}
    assert verdicts[LOWEST] == "warn"
    nearer = assess(scene((straight(0.0),), (wall.model_copy(update={"position_sd_mm": 2.0}),)), made)
    assert "which would be 'stop'" in nearer.structures[0].checks[0].reason


def test_ice_in_the_skin_and_a_frozen_neighbour_stop():
    wall = structure(lambda x, y, z: (x > 5.9) & (x < 8), kind="skin", limits=limits_for("skin"))
    neighbour = straight(2.0, name="other", is_target=False)
    found = assess(scene((straight(0.0), neighbour), (wall,)), cooled())
    skin, other = found.structures
    assert {c.verdict for c in skin.checks if c.limit.metric == LOWEST} == {"stop"}
    assert {c.verdict for c in other.checks if c.limit.metric == LOWEST} == {"stop"}
    assert other.lowest_temperature_c == pytest.approx(-20 + 5 * (1.5 - 4), abs=0.8)


def test_the_worst_within_reach_of_a_mask_is_the_coldest():
    from neurolysis.nerve.masks import Mask

    wall = structure(lambda x, y, z: (x > 8.9) & (x < 11))
    assert wall.mask is not None
    ground = Ground(cooled())
    assert worst_within(ground, Mask(wall.mask), LOWEST, 3.0, 6.0) == pytest.approx(-10, abs=1.5)
    skin = skin_at_depth(cooled(), at(tip=(0.0, 0.0, 0.0)), 6.0)
    assert skin.lowest_temperature_c == pytest.approx(-10, abs=0.3)


def test_limits_of_heat_and_of_cold_do_not_meet():
    wall = structure(lambda x, y, z: (x > 8.9) & (x < 11), kind="skin", limits=limits_for("skin"))
    hot = assess(scene((straight(0.0),), (wall,)), exposure(criteria=(one("isotherm_50c"),))).structures[0]
    assert {c.limit.metric for c in hot.checks} == {PEAK, "distance_to_lesion_mm"}
    unknown = wall.model_copy(update={"mask": None, "unknown_reason": "outside the image"})
    cold = assess(scene((straight(0.0),), (unknown,)), cooled()).structures[0]
    assert PEAK not in {c.limit.metric for c in cold.checks}


def test_the_strip_speaks_of_cold():
    made = cooled()
    nerve = assess(scene((straight(2.0),)), made).target()
    figure = strip_figure(made, nerve)
    assert "Lowest temperature" in figure.alt
    assert "Lowest temperature, °C" in figure.svg
    assert "eak temperature" not in figure.svg + figure.alt


# ---------------------------------------------------------------- rules


def codes(found):
    return {notice.code: notice.severity for notice in found}


def test_rules_of_probe_and_temperature():
    block = muscle_block()
    plain = codes(notices(block, plan_of()))
    assert plain == {"ice.unmeasured": "info", "return.expected": "info"}
    warm = plan_of(CryoProtocol(tip_temperature_c=-15, freeze_s=40))
    assert codes(notices(block, warm))["tip.warm"] == "stop"
    cold = plan_of(CryoProtocol(gas="argon", tip_temperature_c=-130, freeze_s=40))
    assert codes(notices(block, cold))["tip.colder_than_read"] == "warn"
    hot = Placement(instrument=find_cannula(18, 10), tip_mm=(0, 0, 0), direction_to_hub=(0, 0, 1))
    assert codes(notices(block, plan_of(SHORT, hot)))["probe.kind"] == "stop"
    assert "probe.several" in codes(notices(block, plan_of(SHORT, at(), at(tip=(6.0, 0, 0)))))


def test_the_expected_return_is_distance_over_rate_and_says_what_it_leaves_out():
    text = expected_return(90.0).text
    assert "45 to 90 days" in text
    assert "25 days" in text
    assert "was not read as a number" in text
    assert "distance_to_end_organ_mm" in expected_return(None).text


def test_summary_and_assumptions_name_what_the_plan_rests_on():
    rows = dict(summary(plan_of()))
    assert rows["Freezing"] == "1 × 40 s"
    assert rows["Tip"].startswith("-70 °C")
    labels = [label for label, _ in assumptions(muscle_block(), plan_of())]
    assert "probe: outer radius" in labels
    assert "muscle: latent heat against the table's" in labels
    assert all(number.basis == "assumption" for _, number in assumptions(muscle_block(), plan_of()))


@pytest.mark.parametrize(("result", "severity"), [("absent", None), ("present", "stop"), (None, "warn")])
def test_cold_disease_is_asked_when_freezing_is_planned(result, severity):
    case, _ = load_case(demo_case("freezing"))
    others = tuple(f for f in case.findings if f.name != "cold_disease")
    asked = next(f for f in case.findings if f.name == "cold_disease")
    findings = others if result is None else (*others, asked.replace(result=result))
    found = list(technique_rule(Facts(case.replace(findings=findings), muscle_block(), ())))
    assert [n.severity for n in found] == ([] if severity is None else [severity])
    heat, _ = load_case(demo_case("medial-branch"))
    assert list(technique_rule(Facts(heat, muscle_block(), ()))) == []


def test_frozen_constants_stay_between_those_of_the_tissue_and_the_table():
    body, muscle = freezing_body(), tissue_properties("muscle")
    for name in ("muscle", "fat", "bone_cortical", "bone_cancellous", "nerve"):
        made = body.constants(tissue_properties(name), muscle)
        assert made.frozen_conductivity > made.warm_conductivity
        assert made.frozen_capacity < made.warm_capacity
    assert body.constants(muscle, muscle).frozen_conductivity == pytest.approx(2.0)


# ---------------------------------------------------------------- validation


def test_rows_without_a_tip_temperature_are_not_computable_and_none_is_dropped():
    own = [item for item in lesion_measurements() if item.technique == "cryo"]
    assert {item.id for item in own} >= set(validation.NEEDLES)
    for item in own:
        if item.id not in validation.NEEDLES:
            assert validation._row(item, item.statements[0]).verdict == "not computable"
    heat = [item for item in lesion_measurements() if item.technique == "radiofrequency"]
    assert len(heat) + len(own) + 1 == len(lesion_measurements())  # one row is resistive heating


# ---------------------------------------------------------------- error of the grid


def test_the_size_error_of_the_grid_is_in_every_result():
    found = frozen()
    assert found.model_errors == (GRID_ERROR,)
    assert size_error(found) == pytest.approx(0.025)
    told = run()["grid_error"]
    assert (told["low"], told["high"], told["unit"]) == (0.0, 5.0, "%")


@pytest.mark.verify
@pytest.mark.parametrize(
    "changes",
    [
        {}, {"tip-temperature-c": -40.0, "freeze-s": 60.0}, {"cycles": 2}, {"freeze-s": 40.0},
        {"probe-mm": 2.0, "cold-mm": 10.0, "freeze-s": 180.0},
    ],
)  # fmt: skip
def test_sizes_on_a_grid_three_times_finer_are_larger_by_what_is_stated(changes):
    case = bench_case({**{option.name: option.default for option in OPTIONS}, **changes}, {})
    own = NUMERICS.replace(finest_mm=0.3)
    fine = own.replace(finest_mm=0.1, growth=1.05, coarsest_mm=1.0)
    (a, b) = (
        report_case(case, *run_case(case, axisymmetric=True, numerics=numerics))["lesion"]
        for numerics in (own, fine)
    )
    for criterion in a:
        for size in ("width_mm", "length_mm"):
            short = 100 * (b[criterion][size] / a[criterion][size] - 1)
            assert 0.0 < short < 3.7
            assert short < GRID_ERROR.high


@pytest.mark.verify
def test_validation_of_ice_says_what_it_said():
    rows = validation.validate(silent)
    assert len(rows) == 9
    ran = [row for row in rows if row.simulated]
    assert {row.verdict for row in ran} == {"cannot say"}
    by_id = {row.id: row for row in ran}
    for id, measured in (("LITTRUP_2.4MM_X3", 41.0), ("LITTRUP_2.4MM_X4", 49.0)):
        values = [float(text) for text in by_id[id].simulated.values()]
        assert min(values) <= measured * 1.05
        assert max(values) >= measured * 0.95
