"""The bench ``light``: plane layers under a narrow beam, the problem that published tables solve."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from neurolysis.delivery.technique import Bench, Option, Progress
from neurolysis.errors import InputError, UnknownNameError

if TYPE_CHECKING:
    from neurolysis.physics.light import Light, LightBox

PER_CM = 100.0
CM = 0.01
LAYER_OPTIONS = ("mua-per-cm", "mus-per-cm", "g", "n", "thickness-cm")
OPTIONS = (
    Option("mua-per-cm", str, "absorption; one number, or one a layer with commas between", unit="1/cm"),
    Option("mus-per-cm", str, "scattering, likewise", unit="1/cm"),
    Option("g", str, "anisotropy of scattering (Henyey-Greenstein), likewise", "0"),
    Option("n", str, "refractive index, likewise", "1.0"),
    Option("thickness-cm", str, "thickness, likewise; 'inf' for a half space", unit="cm"),
    Option("n-above", float, "refractive index where the light comes from", 1.0),
    Option("n-below", float, "refractive index behind the slab", 1.0),
    Option("photons", int, "photons traced", 1_000_000),
    Option("seed", int, "seed; the same gives the same numbers whatever the number of threads", 1),
    Option("threads", int, "threads; 0 takes all", 0),
    Option("roulette-below", float, "weight below which a photon plays roulette", 1e-4),
    Option(
        "engine",
        str,
        "own, or mcx to compare with (pmcx or pmcxcl, installed apart)",
        "own",
        choices=("own", "mcx"),
    ),
)


def _numbers(options: Mapping[str, Any], name: str) -> list[float]:
    text = str(options[name])
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InputError(
            "not numbers", where=f"--{name}", found=text, allowed="numbers, commas between"
        ) from None


def layers_of(options: Mapping[str, Any]) -> list[dict[str, float]]:
    """One mapping a layer; a single number holds for every layer.

    Raises:
        InputError: not a number, out of range, or lists of different length.
    """
    columns = {name: _numbers(options, name) for name in LAYER_OPTIONS}
    count = max(len(values) for values in columns.values())
    for name, values in columns.items():
        if len(values) not in (1, count):
            raise InputError(
                "one number, or one a layer", where=f"--{name}", found=len(values), allowed=(1, count)
            )
        columns[name] = values * (count // len(values))
    _check(columns)
    return [{name: values[k] for name, values in columns.items()} for k in range(count)]


RANGES = {
    "mua-per-cm": (0.0, 1e5), "mus-per-cm": (0.0, 1e6), "g": (-0.999, 0.999), "n": (1.0, 4.0),
    "thickness-cm": (1e-7, math.inf),
}  # fmt: skip


def _check(columns: Mapping[str, list[float]]) -> None:
    for name, values in columns.items():
        low, high = RANGES[name]
        for value in values:
            if not low <= value <= high:
                raise InputError(
                    "out of range", where=f"--{name}", found=value, allowed=f"{low:g} to {high:g}"
                )
    if math.isinf(columns["thickness-cm"][-1]) and columns["mua-per-cm"][-1] < 1e-6:
        raise InputError(
            "light in a half space that does not absorb never ends",
            where="--mua-per-cm",
            found=columns["mua-per-cm"][-1],
            allowed="1e-6 or more",
        )
    if any(math.isinf(t) for t in columns["thickness-cm"][:-1]):
        raise InputError("only the last layer may be a half space", where="--thickness-cm")


NUMBERS: Mapping[str, tuple[float, float]] = {
    "n-above": (1.0, 4.0), "n-below": (1.0, 4.0), "photons": (1, 1e11), "seed": (0, 2**63 - 1),
    "roulette-below": (0.0, 0.999),
}  # fmt: skip


def _check_numbers(options: Mapping[str, Any]) -> None:
    """InputError where a single number is out of its range; threads may not outnumber those there are."""
    from numba import config

    numba: Any = config
    most = {"threads": (0, int(numba.NUMBA_NUM_THREADS))}
    for name, (low, high) in {**NUMBERS, **most}.items():
        if not low <= float(options[name]) <= high:
            allowed = f"{low:g} to {high:g}"
            raise InputError("out of range", where=f"--{name}", found=options[name], allowed=allowed)


def slab(layers: list[dict[str, float]], above: float, below: float) -> LightBox:
    """A box without sides whose z cells are the layers; a half space has what lies below equal to itself."""
    from neurolysis.physics.light import LightBox, Medium
    from neurolysis.physics.light_zones import OPEN

    depth = np.concatenate([[0.0], np.cumsum([CM * row["thickness-cm"] for row in layers])])
    planes = np.minimum(depth, OPEN)
    wide = np.array([-OPEN, OPEN])
    media = tuple(Medium(PER_CM * r["mua-per-cm"], PER_CM * r["mus-per-cm"], r["g"]) for r in layers)
    cells = np.arange(len(layers), dtype=np.uint16).reshape(1, 1, -1)
    indices = tuple(row["n"] for row in layers)
    last = below if np.isfinite(depth[-1]) else indices[-1]
    return LightBox(
        (wide, wide, planes), cells, media, tuple(planes.tolist()), indices, above, last, indices[0]
    )


def simulate(options: Mapping[str, Any], changes: Mapping[str, str], progress: Progress) -> dict[str, Any]:
    """Run the bench and return plain data."""
    from neurolysis.physics.light import LightSource, Play, shine, specular

    if changes:
        raise UnknownNameError(
            "no property to set", where="--set", found=sorted(changes), allowed=LAYER_OPTIONS
        )
    layers = layers_of(options)
    _check_numbers(options)
    above = float(options["n-above"])
    if options["engine"] == "mcx":
        return by_mcx(layers, above, options, progress)
    box = slab(layers, above, float(options["n-below"]))
    count = int(options["photons"])
    play = Play(
        count, int(options["seed"]), float(options["roulette-below"]), threads=int(options["threads"]) or None
    )
    start = LightSource("beam", (0.0, 0.0, 0.0))
    progress(0.0, "tracing photons")
    # The first call in a process may compile or load the loops; that is no part of the speed.
    shine(box, [start], Play(64, play.seed, play.least, threads=play.threads))
    light = shine(box, [start], play, entering=specular(above, layers[0]["n"]))
    progress(1.0, "done")
    return {
        "case": {"layers": layers, "n_above": above, "n_below": box.below, "seed": play.seed},
        **report(light),
    }


def by_mcx(
    layers: list[dict[str, float]], above: float, options: Mapping[str, Any], progress: Progress
) -> dict[str, Any]:
    """The same problem by the other engine; specular reflection is counted as the bench counts it.

    Raises:
        InputError: different indices on the two sides, or what :func:`slab_by_mcx` refuses.
    """
    from neurolysis.physics.light import specular
    from neurolysis.physics.light_mcx import slab_by_mcx

    if float(options["n-below"]) != above:
        raise InputError(
            "this engine has one refractive index outside", where="--n-below", found=options["n-below"],
            allowed=f"{above:g}, as above",
        )  # fmt: skip
    progress(0.0, "tracing photons")
    found = slab_by_mcx(layers, above, int(options["photons"]), int(options["seed"]))
    progress(1.0, "done")
    mirror = specular(above, layers[0]["n"])
    reflected, transmitted = (1 - mirror) * found.error_reflected, (1 - mirror) * found.error_transmitted
    return {
        "case": {"layers": layers, "n_above": above, "n_below": above, "seed": int(options["seed"])},
        "engine": found.engine,
        "reflectance_total": mirror + (1 - mirror) * found.reflected,
        "reflectance_specular": mirror,
        "transmittance_total": (1 - mirror) * found.transmitted,
        "absorbed": (1 - mirror) * found.absorbed,
        "absorbed_by_layer": [(1 - mirror) * share for share in found.absorbed_by_layer],
        "not_followed_to_the_end": (1 - mirror) * found.late,
        "standard_error": max(reflected, transmitted),
        "standard_error_reflectance": reflected,
        "standard_error_transmittance": transmitted,
        "photons": found.photons,
        "photons_per_ms": found.photons / (1e3 * found.elapsed_s),
        "elapsed_s": found.elapsed_s,
    }


def report(light: Light) -> dict[str, Any]:
    """What became of the light, as shares of what was sent in."""
    reflected, transmitted = light.error_above, light.error_below
    return {
        "reflectance_total": light.specular + light.above,
        "reflectance_specular": light.specular,
        "transmittance_total": light.below,
        "transmittance_unscattered": light.direct_below,
        "absorbed": float(light.absorbed.sum()),
        "absorbed_by_layer": light.absorbed.ravel().tolist(),
        "standard_error": max(reflected, transmitted),
        "standard_error_reflectance": reflected,
        "standard_error_transmittance": transmitted,
        "roulette_gain": light.gain,
        "roulette_loss": light.loss,
        "energy_balance_error": light.balance_error,
        "photons": light.photons,
        "collisions_per_photon": light.collisions / light.photons,
        "photons_per_ms": light.photons_per_ms,
        "elapsed_s": light.elapsed_s,
    }


LIGHT = Bench("light", "Light in a plane slab of layers", OPTIONS, simulate)
