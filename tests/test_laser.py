"""Light that heats: optics and their doubt, source, coagulation, charring, three members, errors."""

from __future__ import annotations

import json
import math
from functools import cache

import numpy as np
import pytest
from scipy.special import erfc

from neurolysis.app.demo import demo_case
from neurolysis.app.plan_case import load_case
from neurolysis.cli import run as command
from neurolysis.delivery.laser.expose import expose
from neurolysis.delivery.laser.members import MEMBERS, optics
from neurolysis.delivery.laser.problem import needle_rods, sources_of
from neurolysis.delivery.laser.protocol import LaserProtocol
from neurolysis.delivery.laser.rules import assumptions, notices, summary
from neurolysis.delivery.laser.simulate import LaserBench, bench_of, report, run_bench, simulate
from neurolysis.delivery.laser.solve import LEVELS, Lamp, Recipe, levels, mixtures
from neurolysis.delivery.laser.validation import (
    NOT_COMPUTABLE,
    _light_row,
    _nerve_rows,
    _not_computable,
)
from neurolysis.delivery.technique import benches, silent, simulable, technique
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.instruments import instrument
from neurolysis.evidence.optics import char, coagulated, spectrum, wavelengths_nm
from neurolysis.evidence.readings import reading
from neurolysis.evidence.tissues import tissue_properties
from neurolysis.geometry import Volume
from neurolysis.plan import Numerics, Placement, Plan, TargetName
from neurolysis.scene import Scene, TissueMap

COARSE = Numerics(finest_mm=0.6, extent_mm=16.0, cooldown_to_c=None)
PLAIN = {
    "power_w": 0.8, "duration_s": 16.0, "char_share": 0.44, "absorption_per_mm": 0.05,
    "reduced_scattering_per_mm": 0.6, "thermal_conductivity_w_per_m_k": 0.5,
    "heat_capacity_j_per_m3_k": 3.7e6,
    "blood_heat_capacity_j_per_m3_k": 3.8e6, "finest_mm": 0.6, "extent_mm": 16.0, "charring": "never",
    "photons": 4000,
}  # fmt: skip


@cache
def solved(**changes):
    case = LaserBench.model_validate({**PLAIN, **changes})
    bed, lit = run_bench(case, silent)
    return case, bed, lit


def protocol(**changes):
    return LaserProtocol.model_validate(
        {"wavelength_nm": 980, "power_w": 1.0, "duration_s": 12, "photons": 3000, **changes}
    )


def scene(size_mm=50.0, air=False):
    n = 26
    step = size_mm / n
    affine = np.diag([step, step, step, 1.0])
    affine[:3, 3] = -0.5 * size_mm + 0.5 * step
    index = np.zeros((n, n, n), np.uint8)
    if air:
        index[affine[0, 3] + step * np.arange(n) > 6.0] = 1
    image = Volume(array=np.zeros((n, n, n), np.float32), affine=affine)
    tissues = TissueMap(volume=image.with_array(index), names=("muscle", "air"), outside="muscle")
    return Scene(image=image, tissues=tissues, properties={"muscle": tissue_properties("muscle")})


def plan_of(recipe, tips=((0.0, 0.0, 0.0),), **rest):
    needle = instrument("needle_20g_150mm")
    placements = tuple(
        Placement(instrument=needle, tip_mm=tip, direction_to_hub=(0.0, 0.0, 1.0), **rest) for tip in tips
    )
    return Plan(
        case_id="t", case_hash="c", scene_hash="s", evidence_version="e", software_version="v",
        target=TargetName(nerve="n", side="left", bony_level="L3", joint="L3-L4"), anaesthesia="none",
        protocol=recipe, placements=placements, numerics=COARSE,
    )  # fmt: skip


# ---------------------------------------------------------------- optics


def test_every_coefficient_is_a_printed_number_with_the_range_of_all_sources():
    found = spectrum(980).tissue("muscle")
    assert found.absorption_per_mm.value == reading("LO-16").number
    assert found.absorption_per_mm.low == pytest.approx(0.1 * reading("LO-25").number)
    assert found.absorption_per_mm.high == reading("LO-29").number
    rows = {810: ("LO-07", "LO-06", "LO-04", "LO-08"), 980: ("LO-16", "LO-15", "LO-13", "LO-17")}
    for wavelength, ids in rows.items():
        for tissue, id in zip(("muscle", "fat", "bone_cortical", "skin"), ids, strict=True):
            assert spectrum(wavelength).tissue(tissue).absorption_per_mm.value == reading(id).number
    for wavelength in wavelengths_nm():
        for item in spectrum(wavelength).tissues.values():
            for number in (item.absorption_per_mm, item.reduced_scattering_per_mm):
                assert number.low <= number.value <= number.high


def test_a_wavelength_without_coefficients_is_refused_and_one_made_up_says_so():
    with pytest.raises(UnknownNameError, match="980 nm"):
        spectrum(900)
    assert spectrum(808).wavelength_nm == 810
    made = spectrum(1470).tissue("muscle").absorption_per_mm
    assert made.basis == "assumption"
    assert made.value > 20 * spectrum(980).tissue("muscle").absorption_per_mm.value


def test_char_and_coagulation_follow_from_the_rows_read():
    layer, rate = reading("LO-53").number * 1e-3, reading("LO-52").number
    assert char().absorbed() == pytest.approx(1 - math.exp(-layer * rate))
    assert char().absorbed("low") < char().absorbed() < char().absorbed("high")
    assert coagulated().absorption_ratio.value == pytest.approx(
        reading("LO-26").number / reading("LO-25").number, abs=1e-3
    )
    assert coagulated().scattering_ratio.low == pytest.approx(1.1)


def test_members_take_light_near_and_far_and_air_lets_it_through():
    found = {m: optics(["muscle", "air"], spectrum(980), m) for m in MEMBERS}
    for name in ("absorption", "reduced"):
        values = [getattr(found[m], name)[0] for m in ("deep", "middle", "shallow")]
        assert values == sorted(values)
        assert all(getattr(o, name)[1] == 0 for o in found.values())


def test_mixtures_keep_native_tissue_and_reach_the_coagulated_one():
    made = optics(["muscle"], spectrum(980), "middle")
    media = mixtures(made)
    assert len(media) == LEVELS + 1
    assert media[0].scattering * (1 - media[0].g) == pytest.approx(made.reduced[0])
    assert media[-1].scattering * (1 - media[-1].g) == pytest.approx(made.reduced[0] * made.scattering_ratio)
    assert media[-1].absorption == pytest.approx(made.absorption[0] * made.absorption_ratio)
    reduced = [m.scattering * (1 - m.g) for m in media]
    assert reduced == sorted(reduced)
    np.testing.assert_array_equal(levels(np.array([-60.0, -10.0, 5.0])), [0, 0, LEVELS])


# ---------------------------------------------------------------- light into heat


def test_energy_adds_up_and_what_is_supplied_is_the_light_absorbed():
    case, bed, lit = solved()
    found = report(case, bed, lit)
    assert found["energy_balance_error"] < 5e-3
    emitted = case.power_w * case.duration_s
    assert found["energy"]["supplied_j"] == pytest.approx(emitted * float(lit.first.absorbed.sum()), rel=5e-3)
    assert found["light"]["balance_error"] < 1e-9
    assert found["lesion"]["isotherm_45c"]["width_mm"] > found["lesion"]["isotherm_50c"]["width_mm"]


def test_a_carbonised_tip_that_takes_everything_heats_as_a_point_source_does():
    """T - T0 = P / (4 pi k r) erfc(r / sqrt(4 a t)), exact in an endless medium."""
    _, bed, lit = solved(charring="from_start", char_share=1.0, power_w=0.05, duration_s=40.0)
    t, k, c = 40.0, 0.5, 3.7e6
    x = bed.grid.axes[0].centres
    j, m = (int(np.argmin(np.abs(bed.grid.axes[n].centres))) for n in (1, 2))
    # The source lies on the low face of cell m: half of it is in either cell.
    temperature = 0.5 * (lit.result.state.temperature[:, j, m] + lit.result.state.temperature[:, j, m - 1])
    z = abs(bed.grid.axes[2].centres[m])
    r = np.hypot(x, z)
    inside = (np.abs(x) > 2e-3) & (np.abs(x) < 8e-3)
    exact = 37 + 0.05 / (4 * np.pi * k * r) * erfc(r / np.sqrt(4 * k / c * t))
    rise = np.asarray(temperature)[inside] - 37
    np.testing.assert_allclose(rise, (exact - 37)[inside], rtol=0.04, atol=0.03)


def test_pulses_heat_as_their_average_does():
    _, _, even = solved()
    _, _, pulsed = solved(power_w=1.6, duty=0.5)
    np.testing.assert_allclose(pulsed.result.state.peak, even.result.state.peak, atol=0.05)


def test_coagulation_renews_the_light_and_holds_it_back():
    hot = {"power_w": 3.0, "duration_s": 24.0}
    _, bed, same = solved(**hot, coagulated_scattering_ratio=1.0)
    _, _, more = solved(**hot, coagulated_scattering_ratio=10.0)
    assert more.renewals > 1
    assert more.coagulated.max() > 0.99
    z = bed.grid.axes[2].centres
    ahead = z < -8e-3
    before = more.first.fluence[:, :, ahead].sum()
    assert more.last.fluence[:, :, ahead].sum() < 0.9 * before
    assert same.last.fluence[:, :, ahead].sum() == pytest.approx(
        same.first.fluence[:, :, ahead].sum(), rel=0.1
    )


def test_cool_tissue_is_lit_once():
    _, _, lit = solved(power_w=0.05)
    assert lit.renewals == 1
    assert lit.charred_s is None


def test_a_dry_tip_chars_only_where_the_protocol_lets_it():
    hot = {"power_w": 4.0, "duration_s": 12.0, "absorption_per_mm": 1.0}
    _, _, never = solved(**hot)
    _, _, dries = solved(**hot, charring="when_dry")
    assert never.charred_s is None
    assert dries.charred_s is not None
    assert dries.charred_s > 0
    first = solved(**hot, charring="from_start")[2]
    assert first.charred_s == 0


def test_the_heat_of_a_carbonised_tip_is_taken_from_the_light():
    case, bed, _ = solved()
    made = optics(["muscle"], spectrum(980), "middle")
    sums = {}
    for charring in ("never", "from_start"):
        lamp = Lamp(bed, made, Recipe(1.0, 1.0, 10.0, charring, 4000, case.seed))
        from neurolysis.physics.treatment import initial_state

        state = lamp(initial_state(bed.problem), 0.0)
        sums[charring] = (float(state.joule.sum()), float(state.joule.ravel()[np.unique(bed.tips)].sum()))
        assert float(state.conductance) == pytest.approx(sums[charring][0], rel=1e-5)
    light = float(lamp.last.absorbed.sum())
    assert sums["never"][0] == pytest.approx(light, rel=1e-4)
    assert sums["from_start"][0] == pytest.approx((1 - made.char_share) * light + made.char_share, rel=1e-4)
    assert sums["from_start"][1] > made.char_share


# ---------------------------------------------------------------- plans


@cache
def exposed(two=False, **changes):
    tips = ((0.0, 0.0, 0.0), (6.0, 0.0, 0.0)) if two else ((0.0, 0.0, 0.0),)
    return expose(scene(), plan_of(protocol(**changes), tips), silent)


def test_a_plan_is_shown_three_times_and_gets_no_verdict():
    found = exposed()
    assert not found.verdict_allowed
    assert found.energy.error < 0.01
    for name in (
        "peak_temperature_c",
        "peak_temperature_c_shallow",
        "peak_temperature_c_deep",
        "light_per_mm2",
    ):
        assert name in found.fields
    ids = [c.id for c in found.criteria]
    assert {"isotherm_50c", "isotherm_50c_shallow", "isotherm_50c_deep"} <= set(ids)
    peaks = [
        float(found.fields[f"peak_temperature_c{tail}"].array.max()) for tail in ("_shallow", "", "_deep")
    ]
    assert peaks == sorted(peaks, reverse=True)
    assert set(found.series) == set(found.series_units)
    for chart in technique("laser").charts:
        assert all(name in found.series for name, _ in chart.series)
    assert all(values.max() <= 120 for name, values in found.series.items() if name.endswith("_c"))


def test_the_fibre_shines_away_from_the_needle():
    found = exposed()
    heat, z = found.fields["heat_w_per_m3"].array * found.cell_volume_mm3, found.axes_mm[2]
    assert heat[:, :, z < 0].sum() > 1.5 * heat[:, :, z > 0].sum()


def test_two_fibres_share_one_exposure_and_each_has_its_own_power():
    one, two = exposed(), exposed(two=True)
    assert two.energy.supplied_j == pytest.approx(2 * one.energy.supplied_j, rel=0.02)
    x = two.axes_mm[0]
    heat = (two.fields["heat_w_per_m3"].array * two.cell_volume_mm3).sum(axis=(1, 2))
    assert heat[x < 3].sum() == pytest.approx(heat[x > 3].sum(), rel=0.05)


def test_a_diffuser_heats_along_its_length():
    found = exposed(power_w=3.0, emitter="diffuser", diffuser_length_mm=8.0, fibre_beyond_needle_mm=9.0)
    sizes = {s.criterion: s for s in found.lesions}
    bare = {s.criterion: s for s in exposed().lesions}
    assert sizes["isotherm_45c"].length_mm > bare["isotherm_45c"].length_mm
    size = sizes["isotherm_45c"]
    middle = 0.5 * (size.proximal_extent_mm - size.distal_extent_mm)
    assert middle == pytest.approx(4.0, abs=0.7)


def test_light_passes_air_and_heats_none_of_it():
    found = expose(scene(air=True), plan_of(protocol(), ((0.0, 0.0, 0.0),)), silent)
    points = found.axes_mm[0] > 7.5
    assert found.fields["heat_w_per_m3"].array[points].max() == 0


def test_labels_of_ignorance_are_there():
    found = notices(scene(), plan_of(protocol(power_w=3.0, duration_s=600)))
    by_code = {n.code: n for n in found}
    assert "extrapolated from liver, muscle, brain and disc" in by_code["evidence.extrapolated"].text
    assert "No outcome data" in by_code["evidence.extrapolated"].text
    assert by_code["tip.may_char"].severity == "warn"
    assert "2 to 50" in by_code["optics.disagree"].text
    assert "light.eyes" in by_code
    short = {n.code: n for n in notices(scene(), plan_of(protocol(power_w=1.0)))}
    assert "tip.may_char" not in short
    touching = plan_of(protocol(), ((0.0, 0.0, 0.0), (0.3, 0.0, 0.0)))
    assert "fibres.touch" in {n.code for n in notices(scene(), touching) if n.severity == "stop"}
    made = {n.code: n.text for n in notices(scene(), plan_of(protocol(wavelength_nm=1470)))}
    assert "assumption" in made["optics.disagree"]


def test_assumptions_name_what_no_source_supports():
    named = dict(assumptions(scene(), plan_of(protocol())))
    assert all(number.basis == "assumption" for number in named.values())
    assert any("anisotropy" in label for label in named)
    assert "muscle: absorption of light" in dict(assumptions(scene(), plan_of(protocol(wavelength_nm=1470))))
    rows = dict(summary(plan_of(protocol(mode="pulsed", pulse_ms=100, pulse_rate_hz=2))))
    assert rows["Power"] == "1 W in pulses of 100 ms at 2 Hz"
    assert rows["Energy"] == "2.4 J"


def test_the_demonstration_is_a_whole_plan_of_light():
    case, _ = load_case(demo_case("light"))
    assert case.demonstration
    assert case.treatment.technique == "laser"
    assert technique("laser").protocol.model_validate({"technique": "laser", **case.treatment.protocol})


def test_the_needle_ends_behind_the_fibre():
    plan = plan_of(protocol())
    frames = [plan.placements[0].frame()]
    (rod,) = needle_rods(frames, plan.placements, 5.0)
    assert rod.points[0, 2] - rod.radius == pytest.approx(5e-3)
    (source,) = sources_of(frames, protocol())
    np.testing.assert_allclose(source.axis, (0, 0, -1), atol=1e-12)
    assert source.sine == pytest.approx(0.22 / 1.3)


# ---------------------------------------------------------------- commands, validation, bad input


def test_the_command_gives_lesions_of_all_members_with_their_balance():
    options = {o.name: o.default for o in technique("laser").options}
    options |= {"power-w": 1.0, "duration-s": 12.0, "photons": 3000}
    found = simulate(options, {"finest_mm": "0.6", "extent_mm": "16"}, silent)
    assert set(found["members"]) == set(MEMBERS)
    assert found["energy_balance_error"] < 0.01
    assert found["elapsed_s"] > 0
    assert found["case"]["extent_mm"] == 16
    sizes = [found["members"][m]["lesion"]["isotherm_45c"]["volume_mm3"] for m in MEMBERS]
    assert min(sizes) < max(sizes)


def test_every_property_can_be_set_and_an_unknown_one_lists_them():
    options = {o.name: o.default for o in technique("laser").options} | {"power-w": 1.0, "duration-s": 12.0}
    assert bench_of(options, {"absorption_per_mm": "0.2"}, "deep").absorption_per_mm == 0.2
    assert bench_of(options, {"damage_start_c": "none"}, "deep").damage_start_c is None
    with pytest.raises(UnknownNameError, match="absorption_per_mm"):
        bench_of(options, {"colour": "1"}, "deep")
    with pytest.raises(InputError, match="wet"):
        bench_of(options, {"absorption_per_mm": "wet"}, "deep")
    with pytest.raises(InputError, match="three dimensions"):
        simulate({**options, "axisymmetric": True}, {}, silent)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"wavelength_nm": 900}, "980 nm"),
        ({"wavelength_nm": 532}, "808"),
        ({"power_w": 0}, "greater than 0"),
        ({"mode": "pulsed"}, "pulse_ms"),
        ({"mode": "pulsed", "pulse_ms": 600, "pulse_rate_hz": 2}, "overlap"),
        ({"emitter": "diffuser"}, "diffuser_length_mm"),
        ({"emitter": "diffuser", "diffuser_length_mm": 20}, "beyond the needle"),
        ({"colour": "red"}, "colour"),
        ({"charring": "maybe"}, "when_dry"),
    ],
)
def test_a_bad_protocol_says_what_is_allowed(changes, says):
    with pytest.raises((ValueError, UnknownNameError), match=says):
        protocol(**changes)


def test_a_return_placement_is_refused():
    with pytest.raises(InputError, match="no return"):
        expose(scene(), plan_of(protocol(), role="return"), silent)


def test_a_bench_file_holds_every_number_and_a_wrong_one_is_named(tmp_path, capsys):
    file = tmp_path / "case.json"
    file.write_text(json.dumps({**PLAIN, "power_w": -1}))
    assert command(["simulate", "laser", "--case", str(file), "--json"]) != 0
    assert "power_w" in capsys.readouterr().out


def test_light_is_listed_as_a_bench():
    assert benches()["light"].title
    with pytest.raises(UnknownNameError, match="light"):
        simulable("darkness")


def test_rows_that_cannot_be_computed_say_why_and_light_rows_can_fail():
    rows = {row.id: row for row in _not_computable()}
    assert set(rows) == set(NOT_COMPUTABLE)
    assert all(row.verdict == "not computable" and row.reason for row in rows.values())
    slab = {"mua-per-cm": "10", "mus-per-cm": "90", "g": "0.75", "n": "1.0", "thickness-cm": "0.02"}
    assert _light_row("LB-01", "reflectance_total", slab, 0.0, seed=3).verdict == "pass"
    assert _light_row("LB-01", "reflectance_total", {**slab, "g": "0.7"}, 0.0, seed=3).verdict == "fail"
    (nerve,) = _nerve_rows()
    assert nerve.verdict == "cannot say"


@pytest.mark.verify
def test_validation_brackets_the_rat_tumours_and_hides_no_failure():
    from neurolysis.delivery.laser.validation import validate

    rows = {row.id: row for row in validate(silent)}
    assert rows["LB-02"].verdict == "pass"
    assert rows["LL-03"].verdict == "pass"
    assert rows["LL-09"].verdict == "cannot say"
    assert {row.verdict for row in rows.values()} <= {"pass", "fail", "cannot say", "not computable"}


@pytest.mark.verify
def test_more_photons_and_finer_cells_hardly_change_the_lesion():
    widths = {}
    for name, change in {
        "plain": {}, "photons": {"photons": 80_000}, "fine": {"finest_mm": 0.3}, "steps": {"time_step_s": 0.5}
    }.items():  # fmt: skip
        case = LaserBench.model_validate({**PLAIN, "power_w": 1.5, "photons": 20_000, **change})
        bed, lit = run_bench(case, silent)
        widths[name] = report(case, bed, lit)["lesion"]["isotherm_45c"]["volume_mm3"]
    for name in ("photons", "fine", "steps"):
        assert widths[name] == pytest.approx(widths["plain"], rel=0.06)
