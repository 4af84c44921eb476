"""The other engine of light: what it is told, what is read back, and its answers where it is installed."""

from __future__ import annotations

import json
import math
from importlib.util import find_spec

import numpy as np
import pytest

from neurolysis.cli import run
from neurolysis.delivery.laser.light_bench import layers_of, report, slab
from neurolysis.errors import InputError, NeurolysisError, SolverError
from neurolysis.physics.light import LightSource, Play, shine, specular
from neurolysis.physics.light_mcx import PACKAGES, _read, config, engine, slab_by_mcx

SLAB = {"mua-per-cm": "10", "mus-per-cm": "90", "g": "0.75", "n": "1.0", "thickness-cm": "0.02"}
THREE = {"mua-per-cm": "1,1,2", "mus-per-cm": "100,10,10", "g": "0.9,0,0.7", "n": "1.37",
         "thickness-cm": "0.1,0.1,0.2"}  # fmt: skip
INSTALLED = any(find_spec(name) for name in PACKAGES)


def works():
    """Whether an engine is installed and has a device."""
    try:
        engine()
        slab_by_mcx(layers_of(SLAB), 1.0, 1000, 1)
    except NeurolysisError:
        return False
    return True


def test_layers_become_whole_numbers_of_cubic_voxels():
    told = config(layers_of(THREE), 1.0, 1000, 3)
    column = told["vol"][0, 0]
    assert (told["vol"] == column).all()
    counts = [int((column == k).sum()) for k in (1, 2, 3)]
    assert counts == [2, 2, 4]
    assert told["unitinmm"] * 2 == pytest.approx(1.0)
    assert told["prop"][1] == [pytest.approx(0.1), pytest.approx(10.0), 0.9, 1.37]
    assert (told["isreflect"], told["bc"]) == (1, "ccrccr001001")
    thin = config(layers_of(SLAB), 1.0, 1000, 3)
    assert (thin["isreflect"], thin["bc"]) == (0, "cc_cc_001001")
    assert thin["vol"].shape[2] * thin["unitinmm"] == pytest.approx(0.2)
    odd = config(layers_of({**THREE, "thickness-cm": "0.03,0.1,0.25"}), 1.0, 1000, 3)
    assert [int((odd["vol"][0, 0] == k).sum()) for k in (1, 2, 3)] == [3, 10, 25]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"thickness-cm": "inf"}, "half space"),
        ({"mua-per-cm": "1,1", "thickness-cm": "0.00012347,0.4"}, "size of voxel"),
        ({"thickness-cm": "0.0000003"}, "too thin"),
    ],
)
def test_layers_it_cannot_do_are_refused(changes, text):
    with pytest.raises(InputError, match=text):
        config(layers_of({**SLAB, **changes}), 1.0, 1000, 1)


def test_too_many_photons_are_refused():
    with pytest.raises(InputError, match="number of photons"):
        config(layers_of(SLAB), 1.0, 10**9, 1)


def hand_made(as_mapping):
    """Four photons sent, three left: two back after 0.1 and 0.2 mm, one through after 0.3 mm, 1 per mm."""
    layers = layers_of(SLAB)
    told = config(layers, 1.0, 4, 1)
    paths = np.array([[0.1], [0.2], [0.3]]) / told["unitinmm"]
    direction = np.array([[0, 0.6, -0.8], [0, 0, -1], [0, 0, 1.0]])
    detected = {"ppath": paths, "v": direction} if as_mapping else np.column_stack([paths, direction]).T
    gone = np.exp([-0.1, -0.2, -0.3])
    kept = 4 - gone.sum()
    flux = np.full(told["vol"].shape, kept / 4 / told["vol"].size)[..., None]
    stat = {"energyabs": kept, "energytot": 4.0, "runtime": 2}
    return _read({"detp": detected, "flux": flux, "stat": stat}, told, layers, "by hand", 1.0), gone


@pytest.mark.parametrize("as_mapping", [True, False])
def test_what_left_is_weighed_by_its_way_and_told_apart_by_its_direction(as_mapping):
    found, gone = hand_made(as_mapping)
    assert found.reflected == pytest.approx((gone[0] + gone[1]) / 4)
    assert found.transmitted == pytest.approx(gone[2] / 4)
    assert found.absorbed_by_layer == (pytest.approx(found.absorbed),)
    assert found.late == pytest.approx(0, abs=1e-12)
    assert found.elapsed_s == pytest.approx(0.002)
    mean = gone[2] / 4
    assert found.error_transmitted == pytest.approx(math.sqrt((gone[2] ** 2 / 4 - mean**2) / 4))


def test_shares_that_do_not_add_up_are_no_result():
    layers = layers_of(SLAB)
    told = config(layers, 1.0, 1000, 1)
    detected = {"ppath": np.zeros((1000, 1)), "v": np.tile([0, 0, 1.0], (1000, 1))}
    flux = np.ones((*told["vol"].shape, 1))
    with pytest.raises(SolverError, match="add up"):
        _read(
            {"detp": detected, "flux": flux, "stat": {"energyabs": 500.0, "energytot": 1000.0}},
            told,
            layers,
            "x",
            1,
        )


def options(**changes):
    return [
        f"--{name}={value}" for name, value in {**SLAB, "photons": 1000, "engine": "mcx", **changes}.items()
    ]


@pytest.mark.skipif(INSTALLED, reason="an engine is installed here")
def test_without_the_package_the_command_says_what_to_install(capsys):
    assert run(["simulate", "light", *options(), "--json"]) == 2
    told = json.loads(capsys.readouterr().out)["error"]
    assert "not installed" in told["problem"]
    assert "neurolysis[" in told["allowed"]


def test_bad_engines_and_two_indices_outside_are_refused(capsys):
    assert run(["simulate", "light", *options(engine="fast"), "--json"]) == 2
    assert "own" in json.loads(capsys.readouterr().out)["error"]["allowed"]
    assert run(["simulate", "light", *options(**{"n-below": 1.5}), "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["where"] == "--n-below"


@pytest.mark.skipif(not INSTALLED, reason="neither pmcx nor pmcxcl is installed")
@pytest.mark.parametrize("chosen", [SLAB, THREE], ids=["slab", "three layers"])
def test_both_engines_give_the_same_light(chosen):
    if not works():
        pytest.skip("the engine has no device here")
    layers, photons = layers_of(chosen), 100_000
    mirror = specular(1.0, layers[0]["n"])
    theirs = slab_by_mcx(layers, 1.0, photons, 5)
    box = slab(layers, 1.0, 1.0)
    ours = report(shine(box, [LightSource("beam", (0.0, 0.0, 0.0))], Play(photons, 5), entering=mirror))
    rows = (
        (mirror + (1 - mirror) * theirs.reflected, ours["reflectance_total"], theirs.error_reflected,
         ours["standard_error_reflectance"]),
        ((1 - mirror) * theirs.transmitted, ours["transmittance_total"], theirs.error_transmitted,
         ours["standard_error_transmittance"]),
    )  # fmt: skip
    for a, b, first, second in rows:
        assert abs(a - b) < 4 * math.hypot(first, second)
    for a, b in zip(theirs.absorbed_by_layer, ours["absorbed_by_layer"], strict=True):
        assert (1 - mirror) * a == pytest.approx(b, abs=0.006)
