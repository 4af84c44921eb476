"""A nerve as an elastic band that slides along its bed: strain, tension and excursion on a line.

With u(s) the displacement of the nerve along its course and b(s) that of the bed, balance of an element is

    dN/ds + k (b - u) = 0,    N = max(0, EA (e0 + du/ds)),

N tension, EA axial stiffness, e0 the strain in the resting position, k the shear stiffness between nerve and
bed (force per length and displacement): small where the nerve glides, large where scar holds it. Tethers and
what lies beyond the ends are springs to the bed. A slack nerve carries no compression: the energy is convex
and piecewise quadratic: Newton's method with an exact line search ends after finitely many steps.

Linear elements, the bed lumped to the nodes: the matrix is tridiagonal and monotone for any k (no
oscillation in a stiff scar), and displacement and mid-element strain converge like the squared step.
With constant coefficients the answer is the shear-lag solution (cosh, tanh of s / sqrt(EA / k)).

The nerve's own relaxation is a standard linear solid, integrated exactly for strain that changes linearly
within a step. Contact in three dimensions, friction and the bed's own relaxation are left out. SI throughout.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from neurolysis.errors import InputError, SolverError

Array = NDArray[np.float64]

MOST_STEPS = 100
TOLERANCE = 1e-10
"""Force left over, as a part of the largest force, at which the nerve is in balance."""
FLOOR = 1e-13
"""Stiffness against rigid motion, as a part of the largest one: a loose piece of nerve stays with its bed."""


ROUNDING = 1e-14
"""What rounding leaves of a force, as a part of stiffness times displacement."""


@dataclass(frozen=True)
class Band:
    """A nerve and what holds it; n elements between n + 1 nodes.

    Attributes:
        nodes_m: (n + 1,) places along the course, growing.
        stiffness_n: (n,) axial stiffness EA of each element; 0 where the nerve is cut.
        bed_pa: (n,) shear stiffness k of each element's bed, N/m per m.
        pre_strain: (n,) strain in the resting position.
        springs_n_per_m: (n + 1,) tethers, and at the ends what lies beyond, to the bed.
    """

    nodes_m: Array
    stiffness_n: Array
    bed_pa: Array
    pre_strain: Array
    springs_n_per_m: Array

    def __post_init__(self) -> None:
        n = len(self.nodes_m) - 1
        if n < 1 or not np.all(np.diff(self.nodes_m) > 0):
            raise InputError("a nerve needs places that grow along its course", found=len(self.nodes_m))
        for name in ("stiffness_n", "bed_pa", "pre_strain", "springs_n_per_m"):
            values = getattr(self, name)
            wanted = n + 1 if name == "springs_n_per_m" else n
            if values.shape != (wanted,) or not np.isfinite(values).all():
                raise InputError(f"{name}: one finite number each", found=values.shape, allowed=(wanted,))
            if name != "pre_strain" and np.any(values < 0):
                raise InputError(f"{name} may not be negative", found=float(values.min()))

    @property
    def lengths_m(self) -> Array:
        """Lengths of the elements, (n,)."""
        return np.diff(self.nodes_m)

    @property
    def middles_m(self) -> Array:
        """Middles of the elements, (n,): where strain and tension are known best."""
        return 0.5 * (self.nodes_m[1:] + self.nodes_m[:-1])

    @property
    def held_n_per_m(self) -> Array:
        """Springs from each node to the bed, (n + 1,): half of either element's bed, and tethers."""
        half = 0.5 * self.bed_pa * self.lengths_m
        held = self.springs_n_per_m.copy()
        held[:-1] += half
        held[1:] += half
        return held

    def between(self, low_m: float, high_m: float) -> NDArray[np.bool_]:
        """Which elements (n,) lie between two places, by their middles."""
        found: NDArray[np.bool_] = (self.middles_m >= low_m) & (self.middles_m <= high_m)
        return found

    def freed(self, low_m: float, high_m: float, bed_pa: float) -> Band:
        """The band with scar between two places taken down to ``bed_pa`` and the tethers there divided.

        Springs at the two ends of the band stand for the nerve beyond them and stay.
        """
        part = self.between(low_m, high_m)
        inner = (self.nodes_m >= low_m) & (self.nodes_m <= high_m)
        inner[[0, -1]] = False
        return replace(
            self,
            bed_pa=np.where(part, np.minimum(self.bed_pa, bed_pa), self.bed_pa),
            springs_n_per_m=np.where(inner, 0.0, self.springs_n_per_m),
        )

    def cut(self, low_m: float, high_m: float) -> Band:
        """The band without the nerve between two places."""
        part = self.between(low_m, high_m)
        return replace(self, stiffness_n=np.where(part, 0.0, self.stiffness_n))


@dataclass(frozen=True)
class Motion:
    """What a movement imposes.

    Attributes:
        bed_m: (n + 1,) displacement of the bed along the course.
        start_m, end_m: imposed displacement of the nerve's ends; None leaves an end to its spring.
        start_n, end_n: forces on the ends, along the course.
    """

    bed_m: Array
    start_m: float | None = None
    end_m: float | None = None
    start_n: float = 0.0
    end_n: float = 0.0

    def scaled(self, share: float) -> Motion:
        """A part of the movement."""

        def part(value: float | None) -> float | None:
            return None if value is None else share * value

        return Motion(
            share * self.bed_m, part(self.start_m), part(self.end_m), share * self.start_n, share * self.end_n
        )


@dataclass(frozen=True)
class State:
    """The nerve at rest under a movement.

    Attributes:
        displacement_m: (n + 1,) of the nerve; excursion_m: the same against the bed.
        strain: (n,) with the resting strain; below zero the nerve is slack by that much.
        tension_n: (n,), never negative.
        held_n: (n + 1,) force of bed and springs on each node, along the course.
        balance_error: largest force left over at a node, and of the whole nerve, as a part of the largest
            force there is.
        energy_j: stored in nerve, bed and springs.
    """

    displacement_m: Array
    excursion_m: Array
    strain: Array
    tension_n: Array
    held_n: Array
    balance_error: float
    energy_j: float
    steps: int


def stations(length_m: float, breaks_m: Sequence[float], step_m: float) -> Array:
    """Nodes from 0 to a length, not further apart than ``step_m``, with every break among them.

    Raises:
        InputError: a length or step that is not positive.
    """
    if not (length_m > 0 and step_m > 0):
        raise InputError("length and step must be positive", found=(length_m, step_m))
    inner = [place for place in breaks_m if 1e-9 * length_m < place < (1 - 1e-9) * length_m]
    marks = np.unique(np.array([0.0, *inner, length_m]))
    marks = marks[np.append(True, np.diff(marks) > 1e-9 * length_m)]
    parts = [
        np.linspace(low, high, max(1, int(np.ceil((high - low) / step_m - 1e-9))) + 1)[:-1]
        for low, high in pairwise(marks.tolist())
    ]
    return np.append(np.concatenate(parts), length_m)


def continuation_n_per_m(stiffness_n: float, bed_pa: float) -> float:
    """Spring that stands for an endless nerve beyond an end: sqrt(EA k), exact for the shear-lag solution."""
    return float(np.sqrt(stiffness_n * bed_pa))


def solve_band(band: Band, motion: Motion, start: Array | None = None) -> State:
    """The elastic nerve under a movement; ``start`` is a first guess of the displacement.

    Raises:
        InputError: nothing holds the nerve; SolverError: no answer within :data:`MOST_STEPS` steps.
    """
    law = Law(band.stiffness_n, band.stiffness_n * band.pre_strain)
    return _solve(band, motion, law, start)


@dataclass(frozen=True)
class Law:
    """Tension of every element (n,): max(0, slope * du/ds + offset)."""

    slope_n: Array
    offset_n: Array

    def tension_n(self, gradient: Array) -> Array:
        """Tension (n,) at displacement gradients (n,)."""
        found: Array = np.maximum(0.0, self.slope_n * gradient + self.offset_n)
        return np.where(self.slope_n > 0, found, 0.0)

    def energy_j(self, gradient: Array, lengths_m: Array) -> float:
        """Energy of the elements."""
        slope = np.where(self.slope_n > 0, self.slope_n, 1.0)
        return float(np.sum(lengths_m * self.tension_n(gradient) ** 2 / (2 * slope)))


def _solve(band: Band, motion: Motion, law: Law, start: Array | None) -> State:
    from scipy.linalg import solveh_banded

    lengths, held = band.lengths_m, band.held_n_per_m
    fixed = _fixed(motion, len(held))
    if not fixed and not np.any(held > 0):
        raise InputError("nothing holds the nerve: no bed, no tether and no imposed end")
    u = (motion.bed_m if start is None else start).astype(np.float64).copy()
    for node, value in fixed.items():
        u[node] = value
    loads = _loads(motion, len(held))
    for step in range(1, MOST_STEPS + 1):
        stretch = law.slope_n * np.diff(u) / lengths + law.offset_n
        left = _left_over(law, lengths, held, u, motion, loads)
        left[list(fixed)] = 0.0
        # the first step takes every element as taut: one solve, then, where none is slack
        taut = law.slope_n if step == 1 else np.where(stretch >= 0, law.slope_n, 0.0)
        move = solveh_banded(_matrix(taut / lengths, held, fixed), left, check_finite=False)
        u = u + _line_search(law, lengths, held, u, move, left, motion, loads) * move
        found = _state(band, motion, law, u, step)
        if found.balance_error <= TOLERANCE:
            return found
    raise SolverError(f"no balance of the nerve within {MOST_STEPS} steps")


def _left_over(law: Law, lengths: Array, held: Array, u: Array, motion: Motion, loads: Array) -> Array:
    """Force left over at each node, (n + 1,)."""
    tension = law.tension_n(np.diff(u) / lengths)
    left: Array = loads + held * (motion.bed_m - u) + np.append(tension, 0.0) - np.append(0.0, tension)
    return left


def _matrix(slope: Array, held: Array, fixed: dict[int, float]) -> Array:
    """The tridiagonal matrix, upper banded (2, n + 1); imposed nodes stand alone."""
    diagonal = held + np.append(slope, 0.0) + np.append(0.0, slope)
    beside = np.append(0.0, -slope)
    diagonal += FLOOR * max(float(diagonal.max()), 1e-300)
    for node in fixed:
        diagonal[node] = 1.0
        beside[max(node, 1)] = 0.0
    return np.stack([beside, diagonal])


def _fixed(motion: Motion, nodes: int) -> dict[int, float]:
    ends = {0: motion.start_m, nodes - 1: motion.end_m}
    return {node: value for node, value in ends.items() if value is not None}


def _loads(motion: Motion, nodes: int) -> Array:
    loads = np.zeros(nodes)
    loads[0] += motion.start_n
    loads[-1] += motion.end_n
    return loads


def _line_search(
    law: Law, lengths: Array, held: Array, u: Array, move: Array, left: Array, motion: Motion, loads: Array
) -> float:
    """Part of a Newton step where the energy is least along it: its slope, which grows, is nought there."""

    def downhill(size: float) -> float:
        return float(_left_over(law, lengths, held, u + size * move, motion, loads) @ move)

    whole = downhill(1.0)
    if whole >= -1e-12 * abs(float(left @ move)):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if downhill(middle) > 0 else (low, middle)
    return low if low > 0 else high


def _state(band: Band, motion: Motion, law: Law, u: Array, steps: int) -> State:
    lengths, held = band.lengths_m, band.held_n_per_m
    gradient = np.diff(u) / lengths
    tension = law.tension_n(gradient)
    hold = held * (motion.bed_m - u)
    left = _left_over(law, lengths, held, u, motion, _loads(motion, len(u)))
    fixed = list(_fixed(motion, len(u)))
    reactions = -left[fixed]
    whole = float(hold.sum() + reactions.sum()) + motion.start_n + motion.end_n
    forces = np.concatenate([tension, hold, reactions, [motion.start_n, motion.end_n]])
    left[fixed] = 0.0
    worst = max(abs(whole), float(np.abs(left).max()))
    # where forces cancel or vanish, what rounding leaves of large stiffnesses is no imbalance
    moved = max(float(np.abs(u).max()), float(np.abs(motion.bed_m).max()))
    stiff = float(held.max()) + float((law.slope_n / lengths).max())
    noise = ROUNDING * (moved * stiff + float(np.abs(law.offset_n).max()))
    largest = max(float(np.abs(forces).max()), noise / TOLERANCE)
    energy = law.energy_j(gradient, lengths) + 0.5 * float(np.sum(held * (u - motion.bed_m) ** 2))
    return State(
        displacement_m=u,
        excursion_m=u - motion.bed_m,
        strain=gradient + band.pre_strain,
        tension_n=tension,
        held_n=hold,
        balance_error=worst / largest if largest > 0 else 0.0,
        energy_j=energy,
        steps=steps,
    )


# ---------------------------------------------------------------- relaxation


@dataclass(frozen=True)
class Relaxation:
    """A standard linear solid: held at one strain, stress falls by ``share``, time constant ``time_s``.

    E(t) = E (1 - share (1 - exp(-t / time_s))), E the stiffness at once.
    """

    share: float
    time_s: float

    def __post_init__(self) -> None:
        if not (0 <= self.share < 1 and self.time_s > 0):
            raise InputError("relaxation: share in [0, 1), time above 0", found=(self.share, self.time_s))

    @classmethod
    def through(cls, fall: float, after_s: float, time_s: float) -> Relaxation:
        """The solid whose stress has fallen by ``fall`` after a time."""
        return cls(fall / -float(np.expm1(-after_s / time_s)), time_s)

    def left(self, time_s: float) -> float:
        """Part of the first stress left after a time at one strain."""
        return 1 + self.share * float(np.expm1(-time_s / self.time_s))


def solve_history(
    band: Band, motions: Sequence[Motion], times_s: Sequence[float], solid: Relaxation
) -> Iterator[State]:
    """The nerve through a course of movements at growing times; before the first it lay relaxed at rest.

    The first movement is made at once. Between times strain changes linearly, for which the solid's memory
    is integrated exactly: h <- exp(-dt/T) h + share EA (1 - exp(-dt/T)) T / dt * (change of strain).
    """
    slow, quick = (1 - solid.share) * band.stiffness_n, solid.share * band.stiffness_n
    memory = np.zeros_like(slow)
    strain, time, u = band.pre_strain.copy(), float(times_s[0]), None
    for motion, now in zip(motions, times_s, strict=True):
        step = (float(now) - time) / solid.time_s
        fade, part = (1.0, 1.0) if step <= 0 else (float(np.exp(-step)), float(-np.expm1(-step) / step))
        slope = slow + part * quick
        offset = slow * band.pre_strain + fade * memory + part * quick * (band.pre_strain - strain)
        law = Law(slope, offset)
        found = _solve(band, motion, law, u)
        u, time = found.displacement_m, float(now)
        # a slack element keeps the strain at which its tension is nought: less is a fold, not a strain
        least = band.pre_strain - np.divide(offset, slope, out=np.zeros_like(offset), where=slope > 0)
        reached = np.maximum(found.strain, least)
        memory = fade * memory + part * quick * (reached - strain)
        strain = reached
        yield found


# ---------------------------------------------------------------- what a tense nerve does to its bed


def curve_pressure_pa(tension_n: Array, curvature_per_m: Array, width_m: Array) -> Array:
    """Pressure (n,) of a tense nerve on the inner side of a bend: N times curvature over its width.

    Balance of forces across the course of a string; exact for a string on a smooth curved bed.
    """
    found: Array = tension_n * curvature_per_m / width_m
    return found
