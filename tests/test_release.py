"""Freeing or removing a nerve: members, search, tables, rules, command, the demonstration and its report."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from neurolysis.app.simulate import simulate
from neurolysis.cli import run
from neurolysis.delivery.surgical.expose import touched
from neurolysis.delivery.surgical.model import MEMBERS, Course, Held, solve_member, tension_over_time
from neurolysis.delivery.surgical.protocol import ReleaseProtocol
from neurolysis.delivery.surgical.search import ladder, smallest
from neurolysis.delivery.surgical.tables import pressure_rows
from neurolysis.delivery.surgical.validation import strain_between, validate
from neurolysis.delivery.surgical.wrap import curvature_per_m, reached
from neurolysis.delivery.technique import silent
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.nerve_mechanics import nerve_mechanics
from neurolysis.geometry import Curve, Volume
from neurolysis.nerve.masks import Mask
from neurolysis.quantity import Quantity
from neurolysis.scene import Nerve

STIFF = 1e6
"""Scar so stiff (kPa) that the nerve moves with its bed."""


def course(**changes: Any) -> Course:
    """A nerve of 200 mm with scar over a joint in its middle."""
    values: dict[str, Any] = {
        "length_mm": 200.0, "radius_mm": 1.5, "modulus_mpa": 0.173, "bed_kpa": 0.05,
        "scars": (Held((90.0, 110.0), (5.0, 50.0, 500.0)),), "joints": (((80.0, 120.0), 6.0),),
    }  # fmt: skip
    return Course(**{**values, **changes})


# ---------------------------------------------------------------- members


def test_scar_that_holds_makes_the_nerve_take_the_strain_of_its_bed() -> None:
    bound = course(scars=(Held((60.0, 140.0), (STIFF,) * 3),))
    found = solve_member(bound, "middle", [])
    inside = (found.arc_mm > 85) & (found.arc_mm < 115)
    assert found.strain_percent(found.before)[inside] == pytest.approx(15.0, rel=1e-3)
    assert found.change_percent(found.before)[inside].max() < 15.0


def test_tighter_scar_adds_more_strain_and_freeing_all_of_it_leaves_none() -> None:
    peaks = []
    for member in MEMBERS:
        found = solve_member(course(), member, [(90.0, 110.0)])
        peaks.append(found.change_percent(found.before).max())
        assert np.abs(found.change_percent(found.after)).max() < 1e-6
        assert found.change_percent(found.again) == pytest.approx(
            found.change_percent(found.before), abs=1e-9
        )
        assert found.before.balance_error < 1e-9
    assert peaks == sorted(peaks)
    assert peaks[0] < peaks[1] < peaks[2]


def test_strain_grows_in_proportion_to_a_movement_that_leaves_no_slack() -> None:
    small, large = (solve_member(course(joints=(((80.0, 120.0), mm),)), "middle", []) for mm in (2.0, 6.0))
    assert large.change_percent(large.before).max() == pytest.approx(
        3 * small.change_percent(small.before).max()
    )


def test_part_of_the_scar_coming_back_adds_part_of_the_strain() -> None:
    changes = []
    for share in (0.0, 0.2, 1.0):
        found = solve_member(course(), "middle", [(90.0, 110.0)], again=share)
        changes.append(float(found.change_percent(found.again).max()))
    assert changes[0] == pytest.approx(0.0, abs=1e-6)
    assert changes[0] < changes[1] < changes[2]


def test_a_band_at_one_place_splits_the_movement() -> None:
    tied = course(scars=(), tethers=((100.0, 1000.0),), pull_last_mm=4.0, joints=())
    found = solve_member(tied, "middle", [])
    left, right = found.arc_mm < 99, found.arc_mm > 101
    assert found.before.tension_n[left].max() < 0.01 * found.before.tension_n[right].min()
    freed = solve_member(tied, "middle", [(99.0, 101.0)])
    assert np.abs(freed.change_percent(freed.after)).max() < 1e-6


def test_removal_leaves_a_gap_of_what_was_removed_and_what_draws_back() -> None:
    loose = course(scars=(), joints=(), bed_kpa=1e-9, pre_strain=0.1)
    found = solve_member(loose, "middle", [(95.0, 105.0)], remove=True)
    assert found.gap_mm is not None
    assert found.gap_mm > 10.0
    assert found.after.tension_n.max() < 1e-3 * found.before.tension_n.min()
    gone = (found.arc_mm > 95) & (found.arc_mm < 105)
    for state in (found.after, found.again):
        assert np.all(found.strain_percent(state)[gone] == 0)
        assert found.strain_percent(state).max() < 10


def test_a_held_movement_lets_tension_fall_by_the_share_read() -> None:
    bound = course(scars=(Held((0.0, 200.0), (STIFF,) * 3),), relaxed=(0.48, 3600.0, 600.0))
    _, tension = tension_over_time(bound, solve_member(bound, "middle", []), 3600.0)
    assert tension["before"][-1] / tension["before"][0] == pytest.approx(0.52, rel=1e-3)


def test_a_place_beyond_the_nerve_is_refused() -> None:
    with pytest.raises(InputError, match=r"beyond the ends.*0 to 200\.0 mm"):
        course(scars=(Held((190.0, 230.0), (1.0, 1.0, 1.0)),))


# ---------------------------------------------------------------- the smallest stretch


def test_the_smallest_stretch_is_smaller_than_every_other_that_does() -> None:
    one = course()
    best = smallest(one, "middle", [4.0])[0]
    assert best.span_mm is not None
    rungs = ladder(one).tolist()
    for low in rungs:
        for high in [r for r in rungs if low < r and r - low < best.length_mm - 1e-9]:
            found = solve_member(one, "middle", [(low, high)])
            assert found.change_percent(found.after).max() > 4.0
    freed = solve_member(one, "middle", [best.span_mm])
    assert freed.change_percent(freed.after).max() == pytest.approx(best.change_percent, abs=0.2)
    assert best.change_percent <= 4.0


def test_nothing_is_freed_where_scar_adds_little_and_all_where_every_bit_counts() -> None:
    easy, strict = smallest(course(), "middle", [1e-9, 90.0])
    assert easy.threshold_percent == 1e-9
    assert easy.span_mm == pytest.approx((90.0, 110.0))
    assert strict.span_mm is None
    assert strict.length_mm == 0.0


def test_a_lower_level_never_asks_for_less() -> None:
    lengths = [s.length_mm for s in smallest(course(), "tight", [1.0, 4.0, 8.0, 12.0])]
    assert all(a >= b for a, b in pairwise(lengths))


def test_a_nerve_that_nothing_holds_needs_nothing() -> None:
    assert smallest(course(scars=()), "middle", [8.0])[0].span_mm is None


# ---------------------------------------------------------------- thresholds, pressures, bends


@pytest.mark.parametrize(("change", "id_"), [(7.9, None), (8.1, "harmless_2h"), (15.2, "flow_stop")])
def test_thresholds_are_held_against_the_change(change: float, id_: str | None) -> None:
    passed = reached(change)
    assert (passed.id if passed else None) == id_


@pytest.mark.parametrize(
    ("mmhg", "id_"), [(19.0, None), (20.0, "venular"), (45.0, "arteriolar"), (60.0, "standstill")]
)
def test_stages_of_blood_flow(mmhg: float, id_: str | None) -> None:
    stage = nerve_mechanics().stage(mmhg)
    assert (stage.id if stage else None) == id_


TUNNEL = {"name": "tunnel", "from_mm": 10, "to_mm": 20, "pressure_mmhg": 32, "measured_by": "catheter"}


def pressures(freed: list[dict[str, float]], **tunnel: Any) -> tuple[float | None, float | None]:
    """Lowest and highest pressure after an operation."""
    protocol = ReleaseProtocol.model_validate({"freed": freed, "tunnels": [{**TUNNEL, **tunnel}]})
    row = next(pressure_rows(protocol, after=True))
    return row[2], row[1]


def test_pressure_after_comes_from_compliance_an_entry_or_is_unknown() -> None:
    whole = [{"from_mm": 5, "to_mm": 25}]
    assert pressures(whole, kind="carpal_tunnel") == pytest.approx((32 / 3.7, 32 / 2.6))
    assert pressures(whole, after_mmhg=6) == (6, 6)
    assert pressures(whole) == (None, None)
    assert pressures([{"from_mm": 5, "to_mm": 15}]) == (32, 32)  # half a tunnel is not opened


def test_curvature_of_a_circle_and_of_a_line() -> None:
    angle = np.linspace(0, np.pi, 200)
    circle = 50.0 * np.stack([np.cos(angle), np.sin(angle), 0 * angle], axis=-1)
    bend = curvature_per_m(circle)
    assert bend[bend > 0] == pytest.approx(20.0, rel=1e-3)
    assert np.allclose(curvature_per_m(np.outer(np.arange(100.0), [1.0, 1.0, 0.0])), 0.0)


def test_scar_from_labels_is_where_the_nerve_touches_it() -> None:
    points = tuple((float(x), 0.0, 0.0) for x in range(0, 101, 10))
    fact = {"unit": "mm", "basis": "assumption", "source": "assumption: a nerve made for this test"}
    nerve = Nerve(
        name="n", catalogue_id="", side="left", curve=Curve(points_mm=points),
        radius_mm=Quantity(value=1.0, **fact), position_sd_mm=Quantity(value=0.0, **fact),
    )  # fmt: skip
    array = np.zeros((101, 11, 11), np.uint8)
    array[40:61, :, :] = 1
    affine = np.eye(4)
    affine[:3, 3] = [0, -5, -5]
    spans = list(touched(nerve, Mask(Volume(array=array, affine=affine))))
    assert spans == [pytest.approx((38.5, 61.5), abs=0.6)]
    array = np.zeros((101, 11, 11), np.uint8)
    array[40:61, 9:, :] = 1
    assert list(touched(nerve, Mask(Volume(array=array, affine=affine)))) == []


# ---------------------------------------------------------------- protocol


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"mode": "neurectomy"}, "exactly one stretch"),
        ({"freed": [{"from_mm": 5, "to_mm": 5}]}, "must be beyond"),
        ({"freed": [{"from_mm": 0, "to_mm": 9}, {"from_mm": 8, "to_mm": 12}]}, "overlap"),
        ({"scars": [{"from_mm": 5}]}, "both from_mm and to_mm"),
        ({"scars": [{}]}, "a stretch .* or a structure"),
        ({"scars": [{"from_mm": 9, "to_mm": 5}]}, "must be beyond"),
        ({"pulls": [{"motion": "x", "end": "last"}, {"motion": "y", "end": "last"}]}, "one pull at most"),
        ({"pre_strain_percent": 40}, "less than or equal to 30"),
        ({"anaesthesia": "magic"}, "general"),
        ({"colour": 1}, "Extra inputs"),
        ({"tunnels": [{**TUNNEL, "pressure_mmhg": -1}]}, "greater than or equal to 0"),
    ],
)
def test_an_impossible_protocol_is_refused(data: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        ReleaseProtocol.model_validate(data)


# ---------------------------------------------------------------- command and validation


def told(**changes: Any) -> dict[str, Any]:
    """``simulate`` with some options."""
    return simulate("release", {name.replace("_", "-"): value for name, value in changes.items()})


def test_the_command_returns_strain_balance_and_time(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["simulate", "release", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    middle = found["members"]["middle"]
    assert middle["before"]["added_strain_percent"] > 8
    assert middle["after"]["added_strain_percent"] == pytest.approx(0.0, abs=1e-6)
    assert found["balance_error"] < 1e-9
    assert found["elapsed_s"] > 0
    assert found["exposure_length_mm"] == 30
    assert middle["smallest_to_free"][0]["length_mm"] < 30


def test_a_bench_file_gives_what_the_options_gave(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = told()
    file = tmp_path / "case.json"
    file.write_text(json.dumps(first["case"]))
    assert run(["simulate", "release", "--case", str(file), "--json"]) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["members"] == json.loads(json.dumps(first["members"]))


def test_a_published_pull_replaces_the_joint() -> None:
    found = told(motion="ulnar_elbow")
    assert found["case"]["pull_last_mm"] == pytest.approx(10.5)
    assert found["case"]["joints"] == []


@pytest.mark.parametrize(
    ("options", "settings", "says"),
    [
        ({"mode": "magic"}, (), "external"),
        ({"motion": "dance"}, (), "ulnar_elbow"),
        ({"scar-to-mm": 900.0}, (), "0 to 200 mm"),
        ({"length-mm": -3.0}, (), "--length-mm: .*above 1, up to 1500 mm"),
        ({"tether-at-mm": 30.0}, (), "its place and its stiffness"),
        ({}, ("colour=1",), "modulus_mpa"),
        ({}, ("modulus_mpa=soft",), "not a number"),
        ({}, ("scar_kpa=-1",), "positive, growing"),
        ({"mode": "neurectomy", "scar-to-mm": 0.0}, (), "exactly one stretch"),
    ],
)
def test_bad_options_say_what_is_allowed(
    options: dict[str, Any], settings: tuple[str, ...], says: str
) -> None:
    with pytest.raises(InputError, match=says):
        simulate("release", options, settings)


def test_there_is_no_axisymmetric_answer() -> None:
    with pytest.raises(InputError, match="along a line"):
        simulate("release", {}, axisymmetric=True)


def test_bound_lengths_raise_strain_by_their_ratio() -> None:
    """The exact answer behind the row on restricted gliding: strain goes with one over the free length."""
    whole, half = (float(strain_between(length, 0.1, 1e-3).max()) for length in (0.1, 0.05))
    assert half / whole == pytest.approx(2.0, rel=0.1)


def test_validation_keeps_its_failures_and_judges_nothing_it_was_made_from() -> None:
    rows = validate(silent)
    by = {(row.id, row.quantity): row for row in rows}
    verdicts = {row.verdict for row in rows}
    assert verdicts == {"pass", "fail", "cannot say", "not computable"}
    gliding = next(row for row in rows if row.id == "SR-04")
    assert gliding.verdict == "cannot say"
    assert all("6 %" not in quantity.split("at ")[-1] for id_, quantity in by if id_ == "SS-05")
    assert all((row.criterion and row.reason) or row.verdict == "pass" for row in rows)


def test_the_record_of_mechanics_keeps_assumed_and_read_apart() -> None:
    record = nerve_mechanics()
    assert record.modulus_mpa.basis == "sourced"
    assert record.scar_kpa.basis == "assumption"
    assert record.scar_kpa.low is not None
    assert record.motion("sciatic_hip_60").excursion_mm.value == 12.4
    with pytest.raises(UnknownNameError, match="ulnar_elbow"):
        record.motion("dance")


def test_members_differ_only_in_scar() -> None:
    one = course()
    same = replace(one, scars=(Held((90.0, 110.0), (50.0, 50.0, 50.0)),))
    peaks = {m: float(solve_member(same, m, []).before.strain.max()) for m in MEMBERS}
    assert len(set(peaks.values())) == 1
