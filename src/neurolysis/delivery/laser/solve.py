"""Light and heat together: photons heat tissue, heat coagulates it, and coagulated tissue scatters more."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neurolysis.delivery.laser.members import Optics
from neurolysis.delivery.laser.protocol import Charring
from neurolysis.delivery.technique import Progress
from neurolysis.geometry import FloatArray

if TYPE_CHECKING:
    from neurolysis.physics.grid import TensorGrid
    from neurolysis.physics.light import Light, LightSource, Medium
    from neurolysis.physics.problem import Problem
    from neurolysis.physics.treatment import Result, State

LEVELS = 8
"""Steps from native to coagulated optics."""
RENEW_ABOVE = 0.01
"""Light is traced again once tissue that absorbs this share has changed."""
ROULETTE_BELOW = 0.05
"""Weight below which a photon plays roulette: heat is smooth, so a few heavy late photons do no harm."""
UNLIMITED = 1e9


@dataclass(frozen=True)
class Bed:
    """What all members share: heat problem, tissue per cell, sources, cells of the fibres' ends.

    ``tips`` flat cell indices (n, 8) and ``tip_weights`` spread the heat of a carbonised end.
    """

    problem: Problem
    grid: TensorGrid
    tissue: NDArray[np.int64]
    sources: tuple[LightSource, ...]
    tips: NDArray[np.int32]
    tip_weights: FloatArray


@dataclass(frozen=True)
class Recipe:
    """What is delivered: power of all fibres (W), duty, duration (s), charring, photons and seed, steps."""

    power_w: float
    duty: float
    duration_s: float
    charring: Charring
    photons: int
    seed: int
    step_s: float = 1.0
    tolerance: float = 1e-4
    cooldown_to_c: float | None = None


@dataclass(frozen=True)
class Lit:
    """One member solved: heat, the first and the last light, renewals, when the tip charred (None: never)."""

    result: Result
    first: Light
    last: Light
    renewals: int
    charred_s: float | None
    coagulated: NDArray[np.float64]
    light_s: float


class Lamp:
    """Renews the heat source between chunks of time steps; its only state is what was traced last."""

    def __init__(self, bed: Bed, optics: Optics, recipe: Recipe) -> None:
        """Nothing is traced before the first chunk."""
        self.bed, self.optics, self.recipe = bed, optics, recipe
        self.level = np.full(bed.tissue.shape, -1, np.int64)
        self.first: Light | None = None
        self.last: Light | None = None
        self.renewals, self.charred_s, self.light_s = 0, None, 0.0
        self.charred_s = 0.0 if recipe.charring == "from_start" else None
        self._source: Any = None

    def __call__(self, state: State, time_s: float) -> State:
        """The state with the heat source as tissue now is."""
        level = levels(np.asarray(state.ln_damage[0], float))
        chars = self._chars_now(state)
        if chars:
            self.charred_s = time_s
        if self.last is None or self._has_changed(level):
            self._trace(level)
        elif not chars:
            return state
        return self._with_source(state)

    def _chars_now(self, state: State) -> bool:
        """Whether the tip carbonises here: all water at the hottest place has boiled away."""
        if self.recipe.charring != "when_dry" or self.charred_s is not None:
            return False
        p = self.bed.problem
        dry = p.materials.boil_c + 0.5 * p.materials.boil_width_c
        return float(np.asarray(state.temperature).ravel()[self.bed.tips].max()) + p.zero_c > dry

    def _has_changed(self, level: NDArray[np.int64]) -> bool:
        assert self.last is not None  # noqa: S101
        moved = np.abs(level - self.level) / LEVELS
        return float((self.last.absorbed * moved).sum()) > RENEW_ABOVE * float(self.last.absorbed.sum())

    def _trace(self, level: NDArray[np.int64]) -> None:
        from neurolysis.physics.light import LightBox, Play, shine

        faces = tuple(axis.faces for axis in self.bed.grid.axes)
        media = (self.bed.tissue * (LEVELS + 1) + level).astype(np.uint16)
        planes = (float(faces[2][0]), float(faces[2][-1]))
        box = LightBox(
            (faces[0], faces[1], faces[2]), media, mixtures(self.optics), planes, (1.0,), 1.0, 1.0, 1.0
        )
        play = Play(self.recipe.photons, self.recipe.seed + self.renewals, ROULETTE_BELOW)
        self.last = shine(box, self.bed.sources, play)
        self.first = self.first or self.last
        self.level = level
        self.renewals += 1
        self.light_s += self.last.elapsed_s

    def _with_source(self, state: State) -> State:
        import jax.numpy as jnp

        assert self.last is not None  # noqa: S101
        heat = self.last.absorbed.astype(np.float64)
        if self.charred_s is not None:
            share = self.optics.char_share
            heat = (1.0 - share) * heat
            weights = self.bed.tip_weights / self.bed.tip_weights.sum()
            np.add.at(heat.ravel(), self.bed.tips.ravel(), share * weights.ravel())
        heat = heat * np.asarray(self.bed.problem.heat_free)
        return state._replace(
            joule=jnp.asarray(heat, state.joule.dtype),
            conductance=jnp.asarray(heat.sum(), state.conductance.dtype),
        )


def levels(ln_damage: FloatArray) -> NDArray[np.int64]:
    """Coagulated share 1 - exp(-Omega) in steps of 1 / LEVELS."""
    share = -np.expm1(-np.exp(np.minimum(ln_damage, 3.0)))
    found: NDArray[np.int64] = np.rint(LEVELS * share).astype(np.int64)
    return found


def mixtures(optics: Optics) -> tuple[Medium, ...]:
    """Media of every tissue at every level: tissue's scattering at its g, what coagulation adds as isotropic.

    The extra scattering acts by its reduced coefficient alone, as light in coagulated tissue is diffuse
    within a fraction of a millimetre; forward peaks there would only cost time.
    """
    from neurolysis.physics.light import Medium

    found = []
    for absorption, reduced, g in zip(optics.absorption, optics.reduced, optics.g, strict=True):
        native = reduced / (1.0 - g)
        for level in range(LEVELS + 1):
            share = level / LEVELS
            extra = share * (optics.scattering_ratio - 1.0) * reduced
            total = native + extra
            mean = native * g / total if total > 0 else 0.0
            found.append(Medium(absorption * (1.0 + share * (optics.absorption_ratio - 1.0)), total, mean))
    return tuple(found)


def solve(bed: Bed, optics: Optics, recipe: Recipe, progress: Progress) -> Lit:
    """Run a treatment and the cooling after it with one member's optics.

    Raises:
        SolverError: the heat equation did not converge, or photons do not add up.
    """
    from neurolysis.physics.problem import Limits
    from neurolysis.physics.schedule import VOLTAGE, Phase, make_steps, power_off_steps
    from neurolysis.physics.treatment import run

    lamp = Lamp(bed, optics, recipe)
    drive = math.sqrt(recipe.power_w)
    step_s = min(recipe.step_s, recipe.duration_s / 8)
    steps = make_steps((Phase(recipe.duration_s, VOLTAGE, drive, drive, recipe.duty),), step_s)
    # The heat source comes from the lamp: no potential is solved.
    steps = steps._replace(refresh=np.zeros_like(steps.refresh))
    cooling = recipe.cooldown_to_c is not None
    result = run(
        bed.problem,
        Limits(UNLIMITED, UNLIMITED, UNLIMITED, 0.0, UNLIMITED, 0.0),
        steps,
        tolerance=recipe.tolerance,
        vaporises=True,
        progress=progress,
        cooldown=(lambda number: power_off_steps(number, step_s)) if cooling else None,
        cooldown_to_c=recipe.cooldown_to_c,
        between=lamp,
    )
    assert lamp.first is not None and lamp.last is not None  # noqa: S101, PT018
    share = -np.expm1(-np.exp(np.minimum(np.asarray(result.state.ln_damage[0], float), 3.0)))
    return Lit(result, lamp.first, lamp.last, lamp.renewals, lamp.charred_s, share, lamp.light_s)
