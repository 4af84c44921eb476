"""A second engine for light in plane layers: Monte Carlo eXtreme (pmcx on a CUDA GPU, pmcxcl by OpenCL).

Optional, to compare with. The layers become slices of even cubic voxels, one column that repeats sideways
without end; faces to the outside refract. What leaves is told apart by the face it leaves through.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import reduce
from importlib import import_module
from math import gcd, isfinite, lcm
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError, SolverError

PACKAGES = ("pmcx", "pmcxcl")
"""Tried in this order: CUDA, then OpenCL."""
ADVICE = (
    "pip install 'neurolysis[light-peer]' (pmcxcl, needs an OpenCL driver), "
    "or pip install pmcx (needs an NVIDIA GPU)"
)
FINEST_CM = Fraction(1, 10**6)
LEAST_SLICES, MOST_SLICES = 8, 2000
ACROSS = 8
"""Voxels of the repeating column; how many makes no difference to the answer."""
GATE_S = 1e-7
"""Photons are followed this long: 20 m of way. What is left then is told as ``late``."""
OPENCL_OPTION = "-cl-std=CL3.0"
"""Without it the kernel does not build on Intel's runtime for CPUs."""
MOST_PHOTONS = 10**8


@dataclass(frozen=True)
class PeerSlab:
    """Shares of the light sent in, before specular reflection is counted."""

    reflected: float
    transmitted: float
    absorbed: float
    absorbed_by_layer: tuple[float, ...]
    error_reflected: float
    error_transmitted: float
    photons: int
    engine: str
    elapsed_s: float

    @property
    def late(self) -> float:
        """What was still on its way at the end; with statistical error in it."""
        return 1.0 - self.reflected - self.transmitted - self.absorbed


def config(layers: Sequence[Mapping[str, float]], outside: float, photons: int, seed: int) -> dict[str, Any]:
    """What the engine is told: voxels in the thickest slices that all layers are whole numbers of.

    Args:
        layers: mua-per-cm, mus-per-cm, g, n, thickness-cm of each, from where the light comes.
        outside: refractive index on both sides.

    Raises:
        InputError: a half space, layers that need too many voxels, too many photons.
    """
    if not 1 <= photons <= MOST_PHOTONS:
        raise InputError(
            "number of photons", where="--photons", found=photons, allowed=f"1 to {MOST_PHOTONS:g}"
        )
    slices, size_cm = _slices([layer["thickness-cm"] for layer in layers])
    column = np.repeat(np.arange(1, len(layers) + 1), slices).astype(np.uint8)
    prop = [[0.0, 0.0, 1.0, outside]]
    prop += [[0.1 * a["mua-per-cm"], 0.1 * a["mus-per-cm"], a["g"], a["n"]] for a in layers]
    refracts = any(layer["n"] != outside for layer in layers)
    return {
        "nphoton": photons, "seed": seed, "vol": np.tile(column, (ACROSS, ACROSS, 1)), "prop": prop,
        "unitinmm": 10.0 * float(size_cm), "tstart": 0.0, "tend": GATE_S, "tstep": GATE_S,
        "srcpos": [ACROSS / 2, ACROSS / 2, 0.0], "srcdir": [0.0, 0.0, 1.0], "issrcfrom0": 1,
        "isreflect": int(refracts), "bc": f"cc{'r' if refracts else '_'}cc{'r' if refracts else '_'}001001",
        "outputtype": "energy", "issavedet": 1, "savedetflag": "pv", "maxdetphoton": photons, "issaveexit": 1,
    }  # fmt: skip


def _slices(thickness_cm: Sequence[float]) -> tuple[list[int], Fraction]:
    """Voxels of every layer, and their size (cm)."""
    if not all(isfinite(t) for t in thickness_cm):
        raise InputError(
            "this engine has no half space", where="--thickness-cm", found="inf", allowed="a number"
        )
    exact = [Fraction(t).limit_denominator(10**6) for t in thickness_cm]
    if min(exact) < FINEST_CM:
        raise InputError("too thin for this engine", where="--thickness-cm", found=min(thickness_cm),
                         allowed=f"{float(FINEST_CM):g} cm and more")  # fmt: skip
    below = lcm(*(t.denominator for t in exact))
    size = Fraction(reduce(gcd, [int(t * below) for t in exact]), below)
    size /= max(1, -(-LEAST_SLICES * size // sum(exact)))
    counts = [int(t / size) for t in exact]
    if sum(counts) > MOST_SLICES:
        raise InputError(
            "the layers share no size of voxel that is coarse enough", where="--thickness-cm",
            found=f"{sum(counts)} voxels", allowed=f"{MOST_SLICES}",
        )  # fmt: skip
    return counts, size


def engine() -> tuple[str, Any]:
    """The package that is installed, with its name.

    Raises:
        InputError: neither is, or neither can load its compiled part; with the command that installs one.
    """
    for name in PACKAGES:
        try:
            with _quiet():
                package = import_module(name)
        except ImportError:
            continue
        # A package whose compiled part cannot be loaded is imported all the same, without what it is for.
        if hasattr(package, "run"):
            return name, package
    raise InputError("this engine is not installed", where="--engine", found="mcx", allowed=ADVICE)


def slab_by_mcx(layers: Sequence[Mapping[str, float]], outside: float, photons: int, seed: int) -> PeerSlab:
    """Trace photons through plane layers with the other engine.

    Raises:
        InputError: it is not installed, or cannot do these layers.
        SolverError: it failed (no device, no driver), or told impossible numbers.
    """
    name, package = engine()
    told = config(layers, outside, photons, seed)
    if name == "pmcxcl":
        told["compileropt"] = OPENCL_OPTION
    began = time.perf_counter()
    try:
        with _quiet():
            found = package.run(told)
    except Exception as broken:  # the engine raises what its binding makes of an error
        raise SolverError(
            "the other engine failed", where=name, found=str(broken)[:200], allowed=ADVICE
        ) from broken
    if not isinstance(found, dict) or "detp" not in found:
        raise SolverError("the other engine gave no result", where=name, allowed=ADVICE)
    return _read(found, told, layers, f"{name} {_version(package, name)}", time.perf_counter() - began)


def _version(package: Any, name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return str(getattr(package, "__version__", "of unknown version"))


def _read(
    found: Mapping[str, Any], told: Mapping[str, Any], layers: Sequence[Mapping[str, float]], name: str,
    elapsed_s: float,
) -> PeerSlab:  # fmt: skip
    weights, upward = _left(found["detp"], told, layers)
    count = int(told["nphoton"])
    energy = np.squeeze(np.asarray(found["flux"], float))
    stat = found["stat"]
    absorbed = float(stat["energyabs"]) / float(stat["energytot"])
    by_layer = [float(energy[told["vol"] == k + 1].sum()) for k in range(len(layers))]
    scale = absorbed / sum(by_layer) if sum(by_layer) > 0 else 0.0

    def share(mask: NDArray[np.bool_]) -> tuple[float, float]:
        mean, squares = weights[mask].sum() / count, (weights[mask] ** 2).sum() / count
        return float(mean), float(np.sqrt(max(squares - mean**2, 0.0) / count))

    (back, back_error), (through, through_error) = share(upward), share(~upward)
    runtime = float(stat.get("runtime", 0.0)) / 1e3
    result = PeerSlab(
        back, through, absorbed, tuple(scale * one for one in by_layer), back_error, through_error, count,
        name, runtime or elapsed_s,
    )  # fmt: skip
    if abs(result.late) > 0.01 + 5 * (back_error + through_error):
        raise SolverError("shares do not add up to one", where=name, found=f"{1 - result.late:.4f}")
    return result


def _left(
    detected: Any, told: Mapping[str, Any], layers: Sequence[Mapping[str, float]]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Weights of the photons that left, and whether each went back where it came from.

    One binding gives named arrays, the other rows: path in every layer (voxels), then its direction.
    """
    if isinstance(detected, Mapping):
        paths, direction = np.asarray(detected["ppath"], float), np.asarray(detected["v"], float)
    else:
        rows = np.asarray(detected, float).T
        paths, direction = rows[:, : len(layers)], rows[:, -3:]
    absorption = np.array([0.1 * layer["mua-per-cm"] for layer in layers])
    return np.exp(-(paths * float(told["unitinmm"])) @ absorption), direction[:, 2] < 0


@contextmanager
def _quiet() -> Iterator[None]:
    """Send what the engine's own code prints to the error output: the answer alone belongs on the other."""
    sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)
