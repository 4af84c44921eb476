"""The radiofrequency technique in a scene: protocols, shapes of needle, pairs, rules, options."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from neurolysis.case import Implant
from neurolysis.delivery.radiofrequency import geometry
from neurolysis.delivery.radiofrequency.expose import expose, prepare
from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.delivery.radiofrequency.rules import notices, summary
from neurolysis.delivery.radiofrequency.simulate import bench_case
from neurolysis.delivery.radiofrequency.validation import validate
from neurolysis.delivery.technique import deferred, silent, technique, techniques
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.instruments import find_cannula, generator, instrument
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.geometry import Volume
from neurolysis.plan import Numerics, Placement, Plan, TargetName
from neurolysis.scene import Scene, Structure, TissueMap

COARSE = Numerics(finest_mm=0.5, extent_mm=25.0)
HEAT_80 = RadiofrequencyProtocol(set_temperature_c=80.0, ramp_s=5.0, duration_s=20.0)


def block(size_mm=60.0, fluid=False, air=False):
    """A block of muscle round the origin; with a slab of fluid or of air beside the needle."""
    n, step = 41, size_mm / 41
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = -0.5 * size_mm + 0.5 * step
    index = np.zeros((n, n, n), np.uint8)
    x = affine[0, 3] + step * np.arange(n)
    if air:
        index[x > 6.0] = 1
    names = ("muscle", "air")
    image = Volume(array=np.zeros((n, n, n), np.float32), affine=affine)
    tissues = TissueMap(volume=image.with_array(index), names=names, outside="muscle")
    structures = ()
    if fluid:
        mask = np.zeros((n, n, n), np.uint8)
        mask[(x > 4.0) & (x < 8.0)] = 1
        canal = Structure(name="canal", kind="spinal_canal", mask=image.with_array(mask), fluid_filled=True)
        structures = (canal,)
    return Scene(
        image=image,
        tissues=tissues,
        properties={"muscle": tissue_properties("muscle")},
        structures=structures,
    )


def place(cannula, tip=(0.0, 0.0, -5.0), direction=(0.0, 0.0, 1.0), **rest):
    return Placement(instrument=cannula, tip_mm=tip, direction_to_hub=direction, **rest)


def plan_of(protocol, *placements, **rest):
    return Plan(
        case_id="t",
        case_hash="c",
        scene_hash="s",
        evidence_version="e",
        software_version="v",
        target=TargetName(nerve="n", side="left", bony_level="L3", joint="L3-L4"),
        anaesthesia="none",
        protocol=protocol,
        placements=placements or (place(find_cannula(18, 10)),),
        numerics=rest.pop("numerics", COARSE),
        **rest,
    )


@cache
def straight():
    return expose(block(), plan_of(HEAT_80, generator=generator("generic")), silent)


def test_the_sensor_follows_the_protocol_and_the_run_goes_on_until_it_is_cool():
    found = straight()
    tip = found.series["tip_temperature_c"]
    at = found.time_s.searchsorted([5.0, 20.0])
    np.testing.assert_allclose(tip[at], 80.0, atol=0.2)
    assert tip[-1] <= 43.0
    assert found.time_s[-1] > 20.0
    assert found.series["power_w"][-1] == 0.0
    assert found.energy.error < 0.01


def test_peak_is_at_least_the_end_and_lesions_nest():
    found = straight()
    assert (found.field("peak_temperature_c").array >= found.field("temperature_c").array - 1e-3).all()
    sizes = {lesion.criterion: lesion for lesion in found.lesions}
    assert sizes["isotherm_45c"].volume_mm3 > sizes["isotherm_50c"].volume_mm3 > 0
    assert sizes["isotherm_50c"].length_mm > 10.0


def test_a_generator_limit_holds_the_tip_back_and_is_said():
    weak = generator("generic")
    weak = weak.replace(maximum_power_w=weak.maximum_power_w.replace(value=0.5))
    found = expose(block(), plan_of(HEAT_80, generator=weak), silent)
    assert found.series["power_w"].max() <= 0.5 * 1.001
    assert "generator.limited" in {notice.code for notice in found.notices}
    assert found.series["tip_temperature_c"].max() < 79.0


def test_impedance_out_of_range_stops_the_generator():
    strict = generator("generic")
    strict = strict.replace(minimum_impedance_ohm=strict.minimum_impedance_ohm.replace(value=500.0))
    found = expose(block(), plan_of(HEAT_80, generator=strict), silent)
    assert found.series["power_w"].max() == 0.0
    stops = [n for n in found.notices if n.severity == "stop"]
    assert [n.code for n in stops] == ["generator.impedance"]


def test_pulsed_keeps_its_ceiling_and_never_gives_a_verdict():
    protocol = RadiofrequencyProtocol(
        mode="pulsed",
        voltage_v=45,
        pulse_width_ms=20,
        pulse_rate_hz=2,
        temperature_ceiling_c=42,
        duration_s=30,
    )
    found = expose(block(), plan_of(protocol), silent)
    assert found.series["tip_temperature_c"].max() <= 42.1
    assert not found.verdict_allowed
    text = next(n.text for n in found.notices if n.code == "pulsed.no_verdict")
    assert "kV/m" in text


def test_power_control_boils_and_stays_near_the_boiling_range_while_water_lasts():
    protocol = RadiofrequencyProtocol(mode="power", power_w=10.0, duration_s=12.0)
    found = expose(block(), plan_of(protocol), silent)
    assert found.series["hottest_tissue_c"].max() > 99.0
    assert "tissue.boils" in {notice.code for notice in found.notices}
    assert found.energy.error < 0.01


def test_a_bipolar_pair_heats_between_its_tips_and_needs_both_roles():
    needle = find_cannula(20, 10)
    protocol = HEAT_80.replace(bipolar=True)
    one = place(needle, (-4.0, 0.0, -5.0))
    other = place(needle, (4.0, 0.0, -5.0), role="return")
    found = expose(block(), plan_of(protocol, one, other), silent)
    middle, outside = found.sample("peak_temperature_c", [[0.0, 0.0, 0.0], [-8.0, 0.0, 0.0]])
    assert middle > outside + 3.0
    mirrored = found.sample("peak_temperature_c", [[-4.0, 2.0, 0.0], [4.0, 2.0, 0.0]])
    assert abs(mirrored[0] - mirrored[1]) < 1.0
    with pytest.raises(InputError, match="role 'return'"):
        prepare(block(), (one,), protocol, COARSE)
    with pytest.raises(InputError, match="no placement of role 'return'"):
        prepare(block(), (one, other), HEAT_80, COARSE)


def test_a_cooled_tip_reads_below_the_tissue_it_heats():
    protocol = RadiofrequencyProtocol(mode="power", power_w=3.0, duration_s=20.0)
    cooled = instrument("cooled_17g_4mm")
    found = expose(block(), plan_of(protocol, place(cooled)), silent)
    assert found.series["hottest_tissue_c"].max() > found.series["tip_temperature_c"].max() + 3.0
    assert found.energy.out_coolant_j > 1.0


@pytest.mark.parametrize("shape", ["curved", "tined"])
def test_bent_and_tined_tips_are_solved(shape):
    cannula = find_cannula(20, 10, "curved") if shape == "curved" else instrument("tined_18g_5mm")
    found = expose(block(), plan_of(HEAT_80, place(cannula), numerics=COARSE), silent)
    assert abs(found.series["tip_temperature_c"].max() - 80.0) < 0.5
    assert found.energy.error < 0.01


def test_a_fluid_space_that_warms_is_shown_both_ways():
    warm = expose(block(fluid=True), plan_of(HEAT_80), silent)
    as_tissue = warm.field("peak_temperature_c").array
    as_fluid = warm.field("peak_temperature_c_fluid_fixed").array
    points = np.array([[6.0, 0.0, 0.0]])
    assert warm.sample("peak_temperature_c_fluid_fixed", points)[0] < 37.2
    assert warm.sample("peak_temperature_c", points)[0] > 38.0
    assert as_fluid.max() > 70.0
    assert as_tissue.shape == as_fluid.shape


def test_air_carries_neither_current_nor_heat():
    beside_air = expose(block(air=True), plan_of(HEAT_80), silent)
    assert beside_air.sample("peak_temperature_c", [[9.0, 0.0, 0.0]])[0] == pytest.approx(37.0, abs=0.01)
    assert beside_air.series["impedance_ohm"][0] > straight().series["impedance_ohm"][0]


def test_the_result_does_not_depend_on_where_the_image_grid_lies():
    shifted = block(size_mm=63.0)
    found = expose(shifted, plan_of(HEAT_80), silent)
    for mine, other in zip(found.lesions, straight().lesions, strict=True):
        assert mine.width_mm == pytest.approx(other.width_mm, rel=1e-3, abs=1e-3)


def test_the_part_of_a_lesion_beyond_the_image_is_told():
    assert straight().outside_image_fraction == 0.0
    small = expose(block(size_mm=8.0), plan_of(HEAT_80), silent)
    assert 0.3 < small.outside_image_fraction < 1.0


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"set_temperature_c": 200.0}, "set_temperature_c"),
        ({"set_temperature_c": None}, "set_temperature_c"),
        ({"ramp_s": 30.0}, "ramp"),
        ({"duration_s": 0.0}, "duration_s"),
        ({"mode": "power"}, "power_w"),
        ({"mode": "pulsed", "voltage_v": 45.0, "pulse_width_ms": 90.0, "pulse_rate_hz": 20.0,
          "temperature_ceiling_c": 42.0}, "overlap"),
        ({"mode": "boil"}, "mode"),
        ({"colour": "red"}, "colour"),
    ],
)  # fmt: skip
def test_a_protocol_that_makes_no_sense_is_refused(change, word):
    with pytest.raises(ValueError, match=word):
        RadiofrequencyProtocol.model_validate({**dict(HEAT_80), **change})


def codes(**rest):
    return {notice.code: notice for notice in notices(block(), plan_of(HEAT_80, **rest))}


def test_unknown_pad_metal_and_fluid_are_said():
    found = codes()
    assert {"return.pad_unknown", "metal.unknown", "fluid.ignored", "generator.unknown"} <= set(found)
    assert "unreliable" in found["return.pad_unknown"].text
    assert found["metal.unknown"].severity == "warn"


def test_electronic_implants_stop_and_near_metal_warns():
    pacemaker = Implant(name="pacemaker", electronic=True)
    screw = Implant(name="pedicle screw", electronic=False, distance_mm=12.0)
    far = Implant(name="hip", electronic=False, distance_mm=200.0)
    found = codes(implants=(pacemaker, screw, far))
    assert found["implant.electronic"].severity == "stop"
    assert "pedicle screw" in found["metal.near"].text
    assert set(codes(implants=(far,))) & {"metal.near", "metal.unknown", "implant.electronic"} == set()


def test_fluid_at_the_tip_is_named():
    found = codes(fluid_at_tip_ml=0.5, fluid_name="lidocaine 2 %")
    assert "0.5 mL of lidocaine 2 %" in found["fluid.ignored"].text
    assert found["fluid.ignored"].severity == "warn"
    assert "fluid.none" in codes(fluid_at_tip_ml=0.0)


def test_the_setting_is_told_in_words():
    rows = dict(summary(plan_of(HEAT_80)))
    assert rows["Setting"] == "80 °C"
    assert rows["Duration"] == "20 s"


def test_a_curved_needle_bends_at_its_bend_and_keeps_its_shaft_along_z():
    cannula = find_cannula(20, 10, "curved")
    line = geometry.centre_line(cannula, 60.0)
    bend = line[1]
    assert np.linalg.norm(bend) == pytest.approx(cannula.bend_length_mm)
    shaft = line[2] - line[1]
    np.testing.assert_allclose(shaft[:2], 0.0, atol=1e-9)
    angle = np.rad2deg(np.arccos((bend / np.linalg.norm(bend)) @ [0, 0, 1]))
    assert angle == pytest.approx(cannula.bend_angle_deg)


OPTIONS = {
    "gauge": 18,
    "tip-mm": 10.0,
    "temperature-c": 80.0,
    "duration-s": 90.0,
    "ramp-s": 10.0,
    "tissue": "muscle",
    "body-temperature-c": 37.0,
}


def test_any_property_can_be_set_by_name():
    case = bench_case(OPTIONS, {"conductivity_s_per_m": "0.6", "cannula.radius_mm": "0.5"})
    assert case.tissue.conductivity_s_per_m == 0.6
    assert case.cannula.radius_mm == 0.5
    with pytest.raises(UnknownNameError, match=r"domain\.radius_mm"):
        bench_case(OPTIONS, {"radius_mm": "0.5"})
    with pytest.raises(UnknownNameError, match="tissue"):
        bench_case(OPTIONS, {"wetness": "1"})
    with pytest.raises(InputError, match="wet"):
        bench_case(OPTIONS, {"perfusion_per_s": "wet"})


def test_an_unknown_gauge_or_tissue_lists_what_there_is():
    with pytest.raises((UnknownNameError, InputError), match="18"):
        bench_case({**OPTIONS, "gauge": 7}, {})
    with pytest.raises(UnknownNameError, match="muscle"):
        bench_case({**OPTIONS, "tissue": "cheese"}, {})
    with pytest.raises(InputError, match="tip"):
        bench_case({**OPTIONS, "tip-mm": 0.0}, {})


def test_the_registry_finds_the_technique_and_lists_it():
    assert "radiofrequency" in techniques()
    with pytest.raises(UnknownNameError, match="radiofrequency"):
        technique("magic")


@pytest.mark.verify
def test_validation_shows_failures_and_never_passes_an_unknown_start():
    rows = {(row.id, row.quantity): row for row in validate(silent)}
    assert rows["COSMAN14_GAUGE", "width ratio"].verdict == "fail"
    assert rows["COSMAN14_T2_T1", "width ratio"].verdict == "cannot say"
    assert rows["BOGDUK87", "width"].verdict == "not computable"
    assert "pass" not in {row.verdict for row in rows.values()}
    assert set(rows["COSMAN14_LEN", "length minus tip"].simulated) == {"start 21 °C", "start 37 °C"}


def test_a_deferred_function_is_imported_when_it_is_called() -> None:
    import sys

    name = "colorsys"
    sys.modules.pop(name, None)
    call = deferred(name, "rgb_to_hsv")
    assert name not in sys.modules
    assert call(1.0, 0.0, 0.0) == (0.0, 1.0, 1.0)
    assert name in sys.modules
