"""Photon transport: published and exact answers, conservation, streams, sources, errors."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.plain_light import plain

from neurolysis.cli import run
from neurolysis.delivery.laser.light_bench import layers_of, report, slab
from neurolysis.errors import InputError, UnknownNameError
from neurolysis.evidence.readings import reading
from neurolysis.physics.grid import graded_faces
from neurolysis.physics.light import LightBox, LightSource, Medium, Play, shine, specular

DOWN = LightSource("beam", (0.0, 0.0, 0.0))
THREE = {"mua-per-cm": "1,1,2", "mus-per-cm": "100,10,10", "g": "0.9,0,0.7", "n": "1.37",
         "thickness-cm": "0.1,0.1,0.2"}  # fmt: skip


def options(**changes):
    plain = {"mua-per-cm": "10", "mus-per-cm": "90", "g": "0.75", "n": "1.0", "thickness-cm": "0.02"}
    return plain | {name.replace("_", "-"): value for name, value in changes.items()}


def shone(chosen, photons=300_000, above=1.0, below=1.0, **play):
    layers = layers_of(chosen)
    light = shine(
        slab(layers, above, below), [DOWN], Play(photons, **play), entering=specular(above, layers[0]["n"])
    )
    return light, report(light)


def block(medium, half=0.03, finest=0.00025, others=()):
    faces = graded_faces([0.0], -half, half, finest=finest, growth=1.06, coarsest=0.002, centred=True)
    shape = (len(faces) - 1,) * 3
    return LightBox(
        (faces,) * 3, np.zeros(shape, np.uint16), (medium, *others), (-half, half), (1.0,), 1.0, 1.0, 1.0
    )


def chandrasekhar(albedo):
    """1 - H(1) sqrt(1 - a) of an isotropically scattering half space; H by its integral equation."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    mu, w = 0.5 * (nodes + 1), 0.5 * weights
    h = np.ones_like(mu)
    for _ in range(2000):
        new = 1 / (np.sqrt(1 - albedo) + 0.5 * albedo * (w * mu * h / (mu[:, None] + mu)).sum(axis=1))
        if np.abs(new - h).max() < 1e-13:
            break
        h = new
    at_one = 1 / (np.sqrt(1 - albedo) + 0.5 * albedo * (w * mu * h / (1 + mu)).sum())
    return 1 - at_one * np.sqrt(1 - albedo)


def test_a_slab_is_that_of_van_de_hulst():
    light, found = shone(options())
    assert found["reflectance_total"] == pytest.approx(reading("LB-01").number, abs=3 * light.error_above)
    assert found["transmittance_total"] == pytest.approx(reading("LB-02").number, abs=3 * light.error_below)
    unscattered = math.exp(-2)
    error = math.sqrt(unscattered * (1 - unscattered) / light.photons)
    assert found["transmittance_unscattered"] == pytest.approx(unscattered, abs=4 * error)


def test_a_half_space_with_refraction_is_that_of_giovanelli():
    light, found = shone(options(g="0", n="1.5", thickness_cm="inf"))
    assert found["reflectance_total"] == pytest.approx(
        reading("LB-10").number, abs=3 * light.error_above + 5e-4
    )
    assert found["reflectance_specular"] == pytest.approx(0.04)


def test_three_layers_are_those_of_the_established_program():
    light, found = shone(options(**{k.replace("-", "_"): v for k, v in THREE.items()}))
    rows = {"LB-18": 0, "LB-19": 1, "LB-20": 2}
    assert light.above == pytest.approx(reading("LB-15").number, abs=3 * light.error_above + 1e-3)
    assert light.below == pytest.approx(reading("LB-17").number, abs=3 * light.error_below + 6e-4)
    for name, layer in rows.items():
        assert light.absorbed.ravel()[layer] == pytest.approx(reading(name).number, abs=2.5e-3)
    assert found["absorbed"] == pytest.approx(reading("LB-16").number, abs=2.5e-3)


@pytest.mark.verify
def test_three_layers_agree_with_a_second_program():
    """The printed sample runs disagree with each other in transmittance; another program decides."""
    layers = layers_of(THREE)
    columns = [np.array([row[name] for row in layers]) for name in ("mua-per-cm", "mus-per-cm", "g")]
    faces = np.concatenate([[0.0], np.cumsum([row["thickness-cm"] for row in layers])])
    back, through, error, kept = plain(1_000_000, *columns, faces, 1.37, 5)
    light = shine(slab(layers, 1.0, 1.0), [DOWN], Play(1_000_000, seed=6), entering=specular(1.0, 1.37))
    assert light.below == pytest.approx(through, abs=3.5 * math.hypot(error, light.error_below))
    assert light.above == pytest.approx(back, abs=3.5 * math.hypot(light.error_above, light.error_above))
    assert light.absorbed.sum() == pytest.approx(kept, abs=1.5e-3)


@pytest.mark.parametrize("albedo", [0.5, 0.9, 0.99])
def test_isotropic_half_spaces_are_exact(albedo):
    exact = chandrasekhar(albedo)
    light, _ = shone(
        options(mua_per_cm=f"{1 - albedo:g}", mus_per_cm=f"{albedo:g}", g="0", thickness_cm="inf"), 200_000
    )
    assert light.above == pytest.approx(exact, abs=3.5 * light.error_above)


@pytest.mark.parametrize(("albedo", "name"), [(0.5, "LB-36"), (0.8, "LB-37"), (0.99, "LB-40")])
def test_the_half_space_formula_gives_the_values_read(albedo, name):
    assert chandrasekhar(albedo) == pytest.approx(reading(name).number, abs=2e-6)


@pytest.mark.parametrize("tau", [0.0, 0.5])
def test_a_clear_plate_reflects_between_its_faces_as_the_series_says(tau):
    r = 0.04
    _light, found = shone(options(mua_per_cm=f"{tau}", mus_per_cm="0", n="1.5", thickness_cm="1"), 200_000)
    passed = (1 - r) ** 2 * math.exp(-tau) / (1 - r * r * math.exp(-2 * tau))
    assert found["transmittance_total"] == pytest.approx(passed, abs=4e-3)
    back = r + r * (1 - r) ** 2 * math.exp(-2 * tau) / (1 - r * r * math.exp(-2 * tau))
    assert found["reflectance_total"] == pytest.approx(back, abs=4e-3)


def test_refraction_between_layers_bends_and_reflects():
    """Clear layers of index 1 (1.5) 2 between air: intensities add over faces, by the exact recursion."""
    _light, found = shone(
        options(mua_per_cm="0,0", mus_per_cm="0,0", n="1.5,2.5", thickness_cm="1,1"), 200_000
    )
    faces = [specular(1.0, 1.5), specular(1.5, 2.5), specular(2.5, 1.0)]
    r, t = faces[0], 1 - faces[0]
    for face in faces[1:]:
        r, t = r + t * t * face / (1 - r * face), t * (1 - face) / (1 - r * face)
    assert found["transmittance_total"] == pytest.approx(t, abs=5e-3)


def test_a_cell_with_many_collisions_elsewhere_changes_nothing():
    """Null collisions: layers as cells of one refractive layer against layers of their own."""
    layers = layers_of(THREE)
    own = slab(layers, 1.0, 1.0)
    joined = LightBox(
        own.faces, own.media, own.optics, (own.planes[0], own.planes[-1]), (1.37,), 1.0, 1.0, 1.37
    )
    entering = specular(1.0, 1.37)
    a = shine(own, [DOWN], Play(150_000), entering=entering)
    b = shine(joined, [DOWN], Play(150_000, seed=7), entering=entering)
    assert a.above == pytest.approx(b.above, abs=4 * math.hypot(a.error_above, b.error_above))
    assert a.below == pytest.approx(b.below, abs=4 * math.hypot(a.error_below, b.error_below))
    np.testing.assert_allclose(a.absorbed, b.absorbed, atol=4e-3)


@pytest.mark.parametrize("g", [-0.3, 0.0, 0.01, 0.8])
def test_absorbed_light_spreads_by_the_exact_mean_square_distance(g):
    """E[r2] = 2 / (mua (mua + mus')) from a point in an endless medium, for any phase function."""
    mua, mus = 50.0, 1000.0
    box = block(Medium(mua, mus, g), half=0.06)
    light = shine(box, [LightSource("point", (0.0, 0.0, 0.0))], Play(60_000, least=1e-3))
    parts = []
    for axis in range(3):
        f = box.faces[axis]
        mean = (f[1:] ** 3 - f[:-1] ** 3) / (3 * np.diff(f))
        others = tuple(k for k in range(3) if k != axis)
        parts.append((light.absorbed.sum(axis=others) * mean).sum())
    exact = 2 / (mua * (mua + mus * (1 - g))) / 3
    np.testing.assert_allclose(np.array(parts), exact, rtol=0.025)
    assert light.absorbed.sum() == pytest.approx(1.0, abs=0.01)


def test_deep_fluence_decays_as_the_manual_says():
    """Half space, mua 0.1, mus 100 per cm, g 0.9: decay 1.73 per cm (LB-25)."""
    z = np.concatenate([np.linspace(0, 0.02, 41), [0.05, 0.1]])
    wide = np.array([-1e30, 1e30])
    media = np.zeros((1, 1, len(z) - 1), np.uint16)
    box = LightBox((wide, wide, z), media, (Medium(10.0, 1e4, 0.9),), (0.0, 0.1), (1.0,), 1.0, 1.0, 1.0)
    light = shine(box, [DOWN], Play(12_000, least=1e-2))
    centres = 0.5 * (z[1:] + z[:-1])
    deep = (centres > 0.005) & (centres < 0.018)
    slope = np.polyfit(centres[deep], np.log(light.fluence[0, 0, deep]), 1)[0]
    assert -slope / 100 == pytest.approx(reading("LB-25").number, rel=0.06)


# ---------------------------------------------------------------- conservation and streams


@settings(max_examples=12)
@given(
    mua=st.floats(0, 50),
    mus=st.floats(0, 200),
    g=st.floats(-0.9, 0.98),
    n=st.floats(1, 2),
    cm=st.floats(0.01, 1),
)
def test_every_photon_is_accounted_for(mua, mus, g, n, cm):
    light, found = shone(
        options(mua_per_cm=str(mua), mus_per_cm=str(mus), g=str(g), n=str(n), thickness_cm=str(cm)), 3000,
        least=0.01,
    )  # fmt: skip
    assert light.balance_error < 1e-9
    assert found["energy_balance_error"] < 1e-6
    assert min(light.above, light.below, light.sides, light.gain, light.loss) >= 0
    assert light.absorbed.min() >= 0


def test_roulette_gains_and_losses_are_their_own_terms_and_cancel_in_the_mean():
    light, _ = shone(options(thickness_cm="inf"), 100_000, least=0.2)
    assert light.gain > 0.01
    assert light.loss > 0.01
    assert light.gain == pytest.approx(light.loss, rel=0.1)
    fine, _ = shone(options(thickness_cm="inf"), 100_000)
    assert light.above == pytest.approx(fine.above, abs=4 * math.hypot(light.error_above, fine.error_above))


def test_the_result_is_the_same_to_the_last_bit_for_any_number_of_threads():
    from numba import config

    box = block(Medium(100.0, 3000.0, 0.9), half=0.01, finest=0.0005)
    source = [LightSource("beam", (0.0, 0.0, 0.0), (0.3, 0.2, 0.9), radius=2e-4, sine=0.2)]
    one = shine(box, source, Play(40_000, threads=1))
    many = shine(box, source, Play(40_000, threads=config.NUMBA_NUM_THREADS))
    np.testing.assert_array_equal(one.fluence, many.fluence)
    assert (one.above, one.below, one.sides, one.gain) == (many.above, many.below, many.sides, many.gain)
    other = shine(box, source, Play(40_000, seed=2))
    assert other.above != one.above


def test_the_error_shown_is_the_scatter_of_repeats():
    runs = [shone(options(), 5000, seed=k)[0] for k in range(24)]
    scatter = np.std([r.above for r in runs], ddof=1)
    assert scatter == pytest.approx(np.mean([r.error_above for r in runs]), rel=0.45)


def test_the_time_gate_stops_late_light():
    medium = Medium(0.0, 2000.0, 0.0)
    box = block(medium, half=0.01, finest=0.0005)
    source = [LightSource("point", (0.0, 0.0, 0.0))]
    gated = shine(box, source, Play(20_000, gate_s=1e-11))
    assert gated.late == pytest.approx(1.0, abs=1e-12)
    free = shine(box, source, Play(20_000))
    assert free.late == 0
    assert free.above + free.below + free.sides == pytest.approx(1.0)


# ---------------------------------------------------------------- sources and numbers


def test_a_bare_fibre_lights_its_cone_and_nothing_else():
    box = block(Medium(50.0, 0.0), half=0.02, finest=0.0005)
    sine = 0.3
    light = shine(
        box, [LightSource("beam", (0.0, 0.0, 0.0), (0.0, 0.0, -1.0), radius=1e-3, sine=sine)], Play(50_000)
    )
    centres = [0.5 * (f[1:] + f[:-1]) for f in box.faces]
    x, y, z = np.meshgrid(*centres, indexing="ij")
    reach = 1e-3 + np.maximum(-z, 0) * sine / math.sqrt(1 - sine**2) + 2e-3
    lit = light.absorbed > 0
    assert lit.any()
    assert not (lit & (np.hypot(x, y) > reach)).any()
    assert not (lit & (z > 5e-4)).any()


def test_light_without_scattering_falls_off_as_beer_says():
    box = block(Medium(300.0, 0.0), half=0.02, finest=0.0005)
    light = shine(box, [LightSource("beam", (0.0, 0.0, 0.0))], Play(300_000))
    f = box.faces[2]
    along = light.absorbed.sum(axis=(0, 1))
    exact = np.exp(-300 * np.maximum(f[:-1], 0)) - np.exp(-300 * np.maximum(f[1:], 0))
    np.testing.assert_allclose(along, exact, atol=2e-3)


def test_a_diffuser_lights_its_length_evenly_and_all_round():
    box = block(Medium(2000.0, 0.0), half=0.02, finest=0.0005)
    source = LightSource("diffuser", (0.0, 0.0, -0.005), (0.0, 0.0, 1.0), radius=5e-4, length=0.01)
    light = shine(box, [source], Play(100_000))
    centres = [0.5 * (f[1:] + f[:-1]) for f in box.faces]
    z = light.absorbed.sum(axis=(0, 1))
    assert z[np.abs(centres[2]) < 0.0062].sum() > 0.99
    halves = light.absorbed[centres[0] > 0].sum(), light.absorbed[centres[0] < 0].sum()
    assert halves[0] == pytest.approx(halves[1], rel=0.02)
    inner = light.absorbed.sum(axis=2)[np.hypot(*np.meshgrid(centres[0], centres[1], indexing="ij")) < 2e-4]
    assert inner.sum() < 1e-3


def test_several_fibres_share_the_power():
    box = block(Medium(5000.0, 0.0), half=0.02, finest=0.0005)
    both = [
        LightSource("point", (-0.01, 0.0, 0.0), share=3.0),
        LightSource("point", (0.01, 0.0, 0.0), share=1.0),
    ]
    light = shine(box, both, Play(40_000))
    x = 0.5 * (box.faces[0][1:] + box.faces[0][:-1])
    assert light.absorbed[x < 0].sum() == pytest.approx(0.75, abs=1e-3)


def test_the_kernels_own_functions_are_those_of_the_library():
    from neurolysis.physics.light_kernel import fresnel, log_single, sin_cos_turn

    u = np.concatenate([np.logspace(-9.6, 0, 2000), np.linspace(0.5, 1, 500)]).astype(np.float32)
    logs = np.array([log_single(x) for x in u], float)
    np.testing.assert_allclose(logs, np.log(u.astype(float)), rtol=4e-7, atol=1e-7)
    turns = np.linspace(-0.5, 0.5, 1001).astype(np.float32)
    pairs = np.array([sin_cos_turn(v) for v in turns], float)
    angle = 2 * np.pi * turns.astype(float)
    np.testing.assert_allclose(pairs, np.column_stack([np.sin(angle), np.cos(angle)]), atol=6e-7)
    assert fresnel(1.0, 1.5, 1.0) == pytest.approx((0.04, 1.0))
    assert fresnel(1.5, 1.0, 0.5) == (1.0, 0.0)
    brewster = math.cos(math.atan(1.5))
    assert fresnel(1.0, 1.5, brewster)[0] == pytest.approx(0.5 * ((1.5**2 - 1) / (1.5**2 + 1)) ** 2)


# ---------------------------------------------------------------- the command, and bad input


def answer(capsys, *arguments):
    code = run(["simulate", "light", *arguments, "--json"])
    out, _ = capsys.readouterr()
    return code, json.loads(out)


def test_the_command_answers_with_the_keys_asked_for(capsys):
    code, found = answer(
        capsys, "--mua-per-cm", "10", "--mus-per-cm", "90", "--g", "0.75", "--n", "1.0", "--thickness-cm",
        "0.02", "--photons", "20000",
    )  # fmt: skip
    assert code == 0
    assert found["reflectance_total"] == pytest.approx(0.09739, abs=3 * found["standard_error"])
    assert found["transmittance_total"] == pytest.approx(0.66096, abs=3 * found["standard_error"])
    assert found["photons_per_ms"] > 0
    assert found["elapsed_s"] > 0


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"mua-per-cm": "-1"}, "0 to"),
        ({"g": "1"}, "-0.999"),
        ({"n": "0.5"}, "1 to 4"),
        ({"mua-per-cm": "ten"}, "numbers"),
        ({"thickness-cm": "inf,1"}, "half space"),
        ({"mua-per-cm": "1,2", "mus-per-cm": "1,2,3"}, "one a layer"),
        ({"photons": "0"}, "1 to 1e+11"),
    ],
)
def test_bad_options_say_what_is_allowed(capsys, changes, says):
    given = {"mua-per-cm": "10", "mus-per-cm": "90", "thickness-cm": "0.02"} | changes
    code, found = answer(capsys, *[x for name, value in given.items() for x in (f"--{name}", value)])
    assert code != 0
    assert says in json.dumps(found)


def test_bad_boxes_and_sources_are_refused():
    with pytest.raises(InputError, match="absorption"):
        Medium(-1.0, 1.0)
    with pytest.raises(InputError, match="anisotropy"):
        Medium(1.0, 1.0, 1.0)
    box = block(Medium(1.0, 1.0), half=0.01, finest=0.001)
    with pytest.raises(InputError, match="outside"):
        shine(box, [LightSource("point", (1.0, 0.0, 0.0))], Play(10))
    with pytest.raises(InputError, match="needs a source"):
        shine(box, [], Play(10))
    with pytest.raises(InputError, match="roulette"):
        Play(10, chance=1.5)
    wrong = np.ones((1, 1, 1), np.uint16)
    wide = np.array([0.0, 1.0])
    with pytest.raises(InputError, match="among the optics"):
        LightBox((wide,) * 3, wrong, (Medium(1.0, 1.0),), (0.0, 1.0), (1.0,), 1.0, 1.0, 1.0)


def test_the_bench_has_no_property_to_set():
    from neurolysis.app.simulate import simulate

    with pytest.raises(UnknownNameError, match="no property"):
        simulate("light", options(), ["x=1"])


@pytest.mark.parametrize(
    "name",
    ["seed=-1", "threads=-3", "threads=9999", "n-above=0.5", "n-below=nan", "photons=0", "roulette-below=5"],
)
def test_a_single_number_out_of_range_names_its_option(name, capsys):
    option = name.split("=")[0]
    found = run(["simulate", "light", *[f"--{k}={v}" for k, v in options().items()], f"--{name}", "--json"])
    told = json.loads(capsys.readouterr().out)["error"]
    assert (found, told["where"]) == (2, f"--{option}")
    assert " to " in told["allowed"]


def test_a_seed_below_zero_is_refused():
    with pytest.raises(InputError, match="seed"):
        Play(10, -1)
