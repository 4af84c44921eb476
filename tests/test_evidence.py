"""The evidence base: values as read, sources that exist, assumptions that show."""

import math
from collections.abc import Iterator

import pytest
from pydantic import BaseModel

from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence import criteria, instruments, kinetics, limits, measurements, store, tissues
from neurolysis.quantity import Quantity, Value
from neurolysis.scene import Limit

# density, specific heat, k, perfusion ml/min/kg, metabolic heat, sigma at 500 kHz: typed from the notes
EXPECTED = {
    "muscle": (1090.4, 3421.2, 0.495, 36.74, 0.906, 0.446),
    "fat": (911, 2348.3, 0.2115, 32.71, 0.507, 0.0248),
    "bone_cortical": (1908, 1312.8, 0.32, 10, 0.155, 0.0222),
    "bone_cancellous": (1178.3, 2274, 0.3125, 30, 0.465, 0.0867),
    "marrow_yellow": (980, 2065, 0.192, 30, 0.465, 0.0044),
    "nerve": (1075, 3613, 0.49, 160.33, 2.483, 0.111),
    "spinal_cord": (1075, 3630, 0.513, 160.33, 2.483, 0.111),
    "blood": (1049.75, 3617, 0.517, 10000, 0, 0.748),
    "csf": (1007, 4095.5, 0.573, 0, 0, 2.0),
    "liver": (1078.75, 3540.2, 0.519, 860.5, 9.931, 0.148),
    "skin": (1109, 3390.5, 0.372, 106.4, 1.648, 0.178),
    "tendon": (1142, 3432, 0.469, 29, 0.449, 0.391),
    "cartilage": (1099.5, 3568, 0.487, 35, 0.542, 0.201),
    "dura": (1174, 3364, 0.44, 380, 5.885, 0.503),
    "connective": (1026.5, 2372.4, 0.395, 37.2, 0.576, 0.2),
}
LOW_FREQUENCY = {
    "muscle": 0.354,
    "fat": 0.0222,
    "csf": 0.156,
    "nerve": 0.0789,
    "blood": 0.996,
    "dura": 0.579,
}


def shipped() -> Iterator[tuple[str, Value]]:
    """Everything this package answers with, by name."""
    yield from ((name, tissues.tissue_properties(name)) for name in tissues.tissue_names())
    yield from ((row.name, row) for row in tissues.hu_ranges())
    yield from ((name, kinetics.kinetics(name)) for name in kinetics.kinetics_ids())
    yield "cem43", kinetics.cem43_record()
    yield from ((kind, limit) for kind in limits.limit_kinds() for limit in limits.limits_for(kind))
    yield from ((name, instruments.instrument(name)) for name in instruments.instrument_ids())
    yield from ((name, instruments.generator(name)) for name in instruments.generator_ids())
    yield from (
        (row.id, row) for row in (*criteria.lesion_criteria("plan"), *criteria.lesion_criteria("bench"))
    )


def quantities(value: object) -> Iterator[Quantity]:
    if isinstance(value, Quantity):
        yield value
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from quantities(getattr(value, name))
    elif isinstance(value, tuple):
        for item in value:
            yield from quantities(item)


def test_every_number_has_a_source_or_is_an_assumption_with_its_reason():
    seen = 0
    for name, value in shipped():
        store.check_sources(value, name)
        for number in quantities(value):
            seen += 1
            if number.basis == "assumption":
                assert number.source.startswith("assumption: "), (name, number)
                assert len(number.source) > 40, (name, number)
            else:
                assert number.source in store.sources(), (name, number)
    assert seen > 400


def test_every_source_named_in_a_text_exists():
    import re

    known = set(store.sources())
    pattern = re.compile(r"\(([a-z]+(?:_[a-z]+)*_(?:\d{4}|case_1|tutorial|constants|manual|survey|fit))\)")
    named = {found for _, value in shipped() for found in pattern.findall(value.canonical_json())}
    assert named <= known
    assert {"rf_case_1", "rfa_tutorial", "na_2013"} <= named


FROM_MEMORY = (
    "physics-rf.md section 8",
    "chemical-anesthesia.md section 9",
    "clinical-evidence.md section 11",
    "laser-surgical-nerve.md section 6",
)


def test_sources_say_where_they_were_read_and_none_is_from_memory():
    for source in store.sources().values():
        assert any(
            file in source.read_in
            for file in (
                "physics-rf.md",
                "imaging.md",
                "rf_case_1",
                "lesion_sizes.csv",
                "laser_surgery_nerve.csv",
                "clinical-evidence.md",
                "clinical_evidence.csv",
                "chemical-anesthesia.md",
                "laser-surgical-nerve.md",
                "excerpt of the page at this address",
            )
        )
        assert not [part for part in FROM_MEMORY if part in source.read_in], source.id
        assert source.confidence in ("V", "C", "definition")
        assert source.read_at == source.read_in
    with pytest.raises(UnknownNameError, match="gabriel_1996"):
        store.source("nobody_2030")


def test_source_text_is_citation_or_the_assumption_itself():
    assert "Gabriel" in store.source_text("gabriel_1996")
    assert store.source_text("assumption: not read") == "assumption: not read"
    with pytest.raises(UnknownNameError):
        store.source_text("somewhere")


def test_checking_refuses_unknown_sources_and_disguised_assumptions():
    good = {"value": 1.0, "unit": "1", "source": "gabriel_1996"}
    store.check_sources(Quantity(**good), "here")
    for bad in (
        {"source": "invented_1999"},
        {"source": "assumption: looks about right to us"},
        {"source": "gabriel_1996", "basis": "assumption"},
        {"source": "assumption:", "basis": "assumption"},
    ):
        with pytest.raises(InputError, match="here"):
            store.check_sources(Quantity(**{**good, **bad}), "here")


def test_data_files_refuse_repeated_keys_and_unknown_names(tmp_path):
    (tmp_path / "twice.yaml").write_text("a: 1\na: 2\n")
    (tmp_path / "broken.yaml").write_text("a: [1\n")
    with pytest.raises(InputError, match="twice"):
        store.load_yaml("twice.yaml", tmp_path)
    with pytest.raises(InputError, match=r"broken\.yaml"):
        store.load_yaml("broken.yaml", tmp_path)
    with pytest.raises(UnknownNameError, match=r"tissues\.yaml"):
        store.load_yaml("nothing.yaml")


def test_loaded_data_cannot_be_changed_for_others():
    store.load_yaml("tissues.yaml")["tissues"].clear()
    assert "muscle" in store.load_yaml("tissues.yaml")["tissues"]


def test_evidence_version_follows_the_files(tmp_path, monkeypatch):
    before = store.evidence_version()
    assert len(before) == 16
    assert int(before, 16) > 0
    folder = tmp_path / "evidence" / "data"
    folder.mkdir(parents=True)
    (folder / "a.yaml").write_text("a: 1\n")
    monkeypatch.setattr(store, "_PACKAGE", tmp_path)
    monkeypatch.setattr(store, "versioned_folders", lambda: (folder,))
    one = store.evidence_version.__wrapped__()
    (folder / "a.yaml").write_text("a: 2\n")
    two = store.evidence_version.__wrapped__()
    (folder / "a.yaml").rename(folder / "b.yaml")
    assert len({before, one, two, store.evidence_version.__wrapped__()}) == 4


@pytest.mark.parametrize("name", EXPECTED)
def test_tissue_constants_equal_the_notes(name):
    density, heat, conduction, rate, metabolic, sigma = EXPECTED[name]
    tissue = tissues.tissue_properties(name)
    assert tissue.name == name
    assert tissue.density_kg_per_m3.value == density
    assert tissue.specific_heat_j_per_kg_k.value == heat
    assert tissue.thermal_conductivity_w_per_m_k.value == conduction
    assert tissue.metabolic_heat_w_per_kg.value == metabolic
    assert tissue.conductivity_s_per_m.value == sigma
    # Perfusion: ml/min/kg times density, in 1/s; the notes print three digits.
    assert tissue.perfusion_per_s.value == pytest.approx(rate * density * 1e-6 / 60, rel=4e-3)
    assert tissue.perfusion_per_s.basis == "computed"
    assert tissue.perfusion_per_s.unit == "1/s"


def test_every_tissue_was_checked_and_none_carries_low_frequency_conductivity():
    assert set(tissues.tissue_names()) == set(EXPECTED)
    for name, wrong in LOW_FREQUENCY.items():
        assert tissues.tissue_properties(name).conductivity_s_per_m.value != wrong
        assert "500 kHz" in tissues.tissue_properties(name).conductivity_s_per_m.conditions


def test_conductivity_slope_is_an_assumption_everywhere():
    for name in tissues.tissue_names():
        slope = tissues.tissue_properties(name).conductivity_slope_per_c
        assert (slope.value, slope.low, slope.high, slope.basis) == (0.015, 0.0, 0.02, "assumption")
        assert slope in tissues.tissue_properties(name).assumptions()


def test_spreads_stand_only_where_several_values_were_read():
    muscle = tissues.tissue_properties("muscle")
    assert muscle.conductivity_s_per_m.low is None
    assert muscle.thermal_conductivity_w_per_m_k.high is None
    liver = tissues.tissue_properties("liver")
    assert liver.conductivity_s_per_m.low == 0.122
    assert liver.perfusion_per_s.low == 0.0036
    skin = tissues.tissue_properties("skin").conductivity_s_per_m
    assert (skin.low, skin.high) == (0.0042, 0.178)


def test_unknown_tissue_lists_the_tissues():
    with pytest.raises(UnknownNameError, match="bone_cortical"):
        tissues.tissue_properties("disc")


def test_hu_ranges_cover_the_scale_without_gaps():
    rows = tissues.hu_ranges()
    assert rows[0].low_hu is None
    assert rows[-1].high_hu is None
    assert [a.high_hu for a in rows[:-1]] == [b.low_hu for b in rows[1:]]
    assert [row.tissue for row in rows] == ["air", "fat", "muscle", "bone_cancellous", "bone_cortical"]
    assert {row.basis for row in rows} == {"assumption"}
    assert {row.tissue for row in rows} - {"air"} <= set(tissues.tissue_names())
    assert "contrast" in tissues.hu_warning()
    with pytest.raises(ValueError, match="must lie below"):
        tissues.HuRange(
            name="x", tissue="fat", low_hu=5, high_hu=5, basis="assumption", source="assumption: x"
        )


def test_nerve_fit_gives_the_doses_it_was_fitted_to():
    nerve = kinetics.kinetics("nerve_heat")
    for temperature, damage in ((43, 0.67), (44, 1.48), (45, 3.25)):
        assert 3600 * math.exp(nerve.log_rate_per_s(temperature)) == pytest.approx(damage, abs=0.006)
    for temperature, minutes in ((43, 61.9), (44, 28.1), (45, 12.8)):
        dose = nerve.half_effect_damage / math.exp(nerve.log_rate_per_s(temperature)) / 60
        assert dose == pytest.approx(minutes, abs=0.06)
    assert nerve.activation_energy.value - nerve.activation_energy.low == pytest.approx(94415.6)
    assert not nerve.extrapolated(44)
    assert nerve.extrapolated(45.1)
    assert "extrapolated" in nerve.warning


def test_rounding_the_nerve_fit_is_refused():
    nerve = kinetics.kinetics("nerve_heat")
    with pytest.raises(ValueError, match="two forms differ"):
        nerve.replace(activation_energy=nerve.activation_energy.replace(value=659000.0))
    with pytest.raises(ValueError, match="two forms differ"):
        nerve.replace(gas_constant_j_per_mol_k=8.314)


def test_reference_bench_pair_is_the_bench_files_own():
    bench = kinetics.kinetics("reference_bench")
    assert bench.ln_frequency_factor_per_s == pytest.approx(math.log(7.39e39), rel=1e-14)
    assert bench.activation_energy.value == 2.577e5
    assert bench.gas_constant_j_per_mol_k == 8.314
    # The notes: damage 1 in 90 s at 48.7 C, and at 37 C within about an hour.
    assert 90 * math.exp(bench.log_rate_per_s(48.7)) == pytest.approx(1.0, rel=0.05)
    assert 57 * 60 * math.exp(bench.log_rate_per_s(37.0)) == pytest.approx(1.0, rel=0.05)
    assert bench.extrapolated(50)
    with pytest.raises(UnknownNameError, match="nerve_heat"):
        kinetics.kinetics("henriques")


def test_thermal_dose_brings_the_nerve_doses_together():
    dose = kinetics.cem43_record()
    ratio, reference = dose.ratio_above.value, dose.reference_temperature_c
    minutes = [time * ratio ** (reference - t) for t, time in ((43, 58), (44, 32), (45, 12))]
    assert minutes == [58, 64, 48]
    assert dose.ratio_above.low == pytest.approx(1 / 2.67, abs=5e-4)
    assert dose.ratio_above.high == pytest.approx(1 / 1.81, abs=5e-4)
    assert (dose.valid_low_c, dose.valid_high_c) == (43, 45)
    assert dose.ratio_below.basis == "assumption"


def test_limits_per_kind():
    assert {"spinal_canal", "segmental_nerve", "skin", "vessel", "nerve_neighbour"} <= set(
        limits.limit_kinds()
    )
    for kind in limits.limit_kinds():
        assert limits.kind_title(kind)
        for limit in limits.limits_for(kind):
            assert limit.metric in limits.METRICS
            falls = limit.metric in ("distance_to_lesion_mm", "lowest_temperature_c")
            assert limit.direction == ("below" if falls else "above")
            assert limit.reason
    with pytest.raises(UnknownNameError, match="spinal_canal"):
        limits.limits_for("aorta")


def find(kind: str, metric: str, field: str) -> Limit:
    found = [
        row for row in limits.limits_for(kind) if row.metric == metric and getattr(row, field) is not None
    ]
    assert len(found) == 1
    return found[0]


def test_neighbours_warn_at_45_and_stop_at_50():
    for kind in ("spinal_canal", "spinal_cord", "segmental_nerve", "nerve_neighbour"):
        assert find(kind, "peak_temperature_c", "warn").warn == 45
        assert find(kind, "peak_temperature_c", "stop").stop == 50
    assert find("segmental_nerve", "cem43_min", "warn").warn == 48
    canal = find("spinal_canal", "cem43_min", "stop")
    assert (canal.warn, canal.stop, canal.source) == (2, 9, "van_rhoon_2013")
    assert all(limit.basis == "assumption" for limit in limits.limits_for("skin"))


def test_lesion_criteria_by_purpose():
    plan = {row.id: row for row in criteria.lesion_criteria("plan")}
    bench = {row.id: row for row in criteria.lesion_criteria("bench")}
    assert list(plan) == ["isotherm_50c", "isotherm_45c", "cem43_50", "nerve_arrhenius_1"]
    assert list(bench) == ["isotherm_50c", "isotherm_45c", "arrhenius_1"]
    assert plan["isotherm_50c"].field == "peak_temperature_c"
    assert bench["isotherm_45c"].field == "temperature_c"
    assert (plan["nerve_arrhenius_1"].field, plan["nerve_arrhenius_1"].threshold) == (
        "log_damage_nerve_heat",
        0.0,
    )
    assert (bench["arrhenius_1"].field, bench["arrhenius_1"].threshold) == ("log_damage_reference_bench", 0.0)
    assert (plan["cem43_50"].field, plan["cem43_50"].threshold) == ("cem43_min", 50.0)
    assert [plan["isotherm_50c"].threshold, plan["isotherm_45c"].threshold] == [50.0, 45.0]
    for row in (*plan.values(), *bench.values()):
        assert row.source in store.sources()
    with pytest.raises(UnknownNameError, match="bench, cold, plan"):
        criteria.lesion_criteria("site")


@pytest.mark.parametrize(
    ("gauge", "tip_mm", "ohm"), [(22, 5, 190), (18, 10, 99), (16, 10, 90), (20, 10, 111)]
)
def test_radii_give_the_printed_spheroid_resistance(gauge, tip_mm, ohm):
    b, p = instruments.find_cannula(gauge, tip_mm).outer_radius_mm.value * 1e-3, 0.5e-3 * tip_mm
    c = math.sqrt(p * p - b * b)
    assert math.log((p + c) / (p - c)) / (8 * math.pi * 0.446 * c) == pytest.approx(ohm, abs=0.5)


def test_radii_shrink_with_gauge_and_say_what_they_rest_on():
    needles = [instruments.find_cannula(gauge, 10) for gauge in range(16, 24)]
    radii = [needle.outer_radius_mm.value for needle in needles]
    assert radii == sorted(radii, reverse=True)
    basis = {needle.gauge: needle.outer_radius_mm.basis for needle in needles}
    assert {g for g, b in basis.items() if b == "assumption"} == {17, 19, 21, 23}
    assert basis[20] == "sourced"
    assert needles[4].outer_radius_mm.value == 0.45


def test_family_holds_every_gauge_tip_and_shape():
    ids = instruments.instrument_ids()
    assert len(ids) == len(set(ids)) == 8 * 6 * 2 + 2 + 1 + 5 + 3
    plain = [name for name in ids if not name.startswith(("needle_", "cold_probe_"))]
    assert len(ids) - len(plain) == 5 + 3
    for name in plain:
        needle = instruments.instrument(name)
        assert needle.id == name
        assert 16 <= needle.gauge <= 23
        assert 2 <= needle.active_tip_mm <= 15
        assert instruments.find_cannula(needle.gauge, needle.active_tip_mm, needle.shape) == needle
    assert {instruments.instrument(name).shape for name in ids} == {"straight", "curved", "cooled", "tined"}


def test_any_tip_of_the_range_is_made_and_others_are_refused():
    assert instruments.find_cannula(18, 7.5).id == "cannula_18g_7.5mm"
    for tip in (0, 1.9, 15.1, -5, math.nan):
        with pytest.raises(InputError, match="2 to 15 mm"):
            instruments.find_cannula(18, tip)
    with pytest.raises(UnknownNameError, match="16, 17, 18"):
        instruments.find_cannula(14, 10)
    with pytest.raises(UnknownNameError, match="straight, curved, cooled, tined"):
        instruments.find_cannula(18, 10, "bent")
    with pytest.raises(UnknownNameError, match="cooled_17g_4mm"):
        instruments.find_cannula(18, 10, "cooled")
    with pytest.raises(UnknownNameError, match="cannula_18g_10mm"):
        instruments.instrument("cannula_99g_10mm")


def test_assumptions_of_an_instrument_show():
    def labels(name):
        return [label for label, _ in instruments.instrument_assumptions(instruments.instrument(name))]

    assert "outer radius" not in labels("cannula_18g_10mm")
    assert "outer radius" in labels("cannula_19g_10mm")
    assert "bend angle" in labels("cannula_18g_10mm_curved")
    assert {"coolant temperature", "film coefficient of the coolant"} <= set(labels("cooled_17g_4mm"))
    assert "length of a tine" in labels("tined_18g_5mm")
    steel = instruments.instrument("cannula_18g_10mm").thermal_conductivity_w_per_m_k
    assert (steel.value, steel.low, steel.basis) == (16, 3, "assumption")


def test_tines_leave_the_wall_within_the_tip_and_spread_evenly():
    needle = instruments.instrument("tined_18g_5mm")
    assert len(needle.tines) == 3
    for tine in needle.tines:
        assert math.hypot(*tine.start_mm[:2]) == pytest.approx(needle.outer_radius_mm.value)
        assert 0 < tine.start_mm[2] < needle.active_tip_mm
        assert math.dist(tine.start_mm, tine.end_mm) == pytest.approx(4.0)
        assert math.hypot(*tine.end_mm[:2]) > math.hypot(*tine.start_mm[:2])
    for axis in (0, 1):
        assert sum(tine.end_mm[axis] for tine in needle.tines) == pytest.approx(0, abs=1e-12)


def test_generator_has_a_sourced_frequency_and_assumed_limits():
    (name,) = instruments.generator_ids()
    machine = instruments.generator(name)
    assert (
        machine.frequency_khz.low <= 460 <= machine.frequency_khz.value <= machine.frequency_khz.high == 550
    )
    assert machine.frequency_khz.basis == "sourced"
    assumed = [label for label, _ in instruments.generator_assumptions(machine)]
    assert len(assumed) == 5
    assert "maximum power" in assumed
    with pytest.raises(UnknownNameError, match=name):
        instruments.generator("brand")


def test_measurements_hold_every_row_of_the_table():
    rows = {row.id: row for row in measurements.lesion_measurements()}
    assert len(rows) == 31
    gas = rows["APPL_GAS_MONO"]
    assert (gas.gauge, gas.time_s, gas.n, gas.width_mm, gas.width_sd_mm) == (15, 900, 6, 40.5, 4.0)
    assert rows["COSMAN14_GAUGE"].temperature_c == 80
    assert rows["BOGDUK87"].width_mm == 4
    for row in rows.values():
        assert row.source_id in store.sources()
        for other in row.conflicts_with:
            assert row.id in rows[other].conflicts_with
    assert measurements.measurement("BOGDUK87") == rows["BOGDUK87"]
    with pytest.raises(UnknownNameError, match="BOGDUK87"):
        measurements.measurement("BOGDUK88")


def test_statements_repeat_only_what_the_row_says():
    import re

    for row in measurements.lesion_measurements():
        cells = {row.width_mm, row.width_sd_mm, row.length_mm, row.length_sd_mm}
        written = {float(text) for text in re.findall(r"\d+(?:\.\d+)?", row.notes)} | cells
        for statement in row.statements:
            if statement.quantity in ("nerve_effect", "ordering", "distal_extent"):
                continue
            numbers = (statement.value, statement.low, statement.high, statement.standard_deviation)
            assert {number for number in numbers if number is not None} <= written, row.id
            assert set(statement.numerator.values()) <= written, row.id
            assert set(statement.denominator.values()) <= written, row.id


def test_missing_inputs_leave_out_what_a_row_varies():
    assert measurements.measurement("COSMAN14_GAUGE").missing_inputs() == ("tip_length_mm",)
    assert measurements.measurement("COSMAN14_T2_T1").missing_inputs() == (
        "gauge",
        "tip_length_mm",
        "temperature_c",
    )
    assert len(measurements.measurement("BOGDUK87").missing_inputs()) == 4


def test_statements_without_content_are_refused():
    with pytest.raises(ValueError, match="value or a bound"):
        measurements.Statement(quantity="width", unit="mm")
    with pytest.raises(ValueError, match="both sides"):
        measurements.Statement(quantity="width_ratio", unit="1", low=1, numerator={"gauge": 16})
