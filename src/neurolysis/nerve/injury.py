"""Injury of every nerve and structure of a scene under one exposure.

Along each nerve: peak temperature, CEM43 (flagged where it is held for lack of a source), ln Omega and
Omega of every kinetics in the exposure, killed fraction per fibre class, and for every criterion the
longest continuous lesioned length with its spread under the nerve's uncertain place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from neurolysis.evidence.agent_injury import agent_injury
from neurolysis.evidence.kinetics import cem43_record, kinetics
from neurolysis.evidence.limits import limit_kinds, limits_for
from neurolysis.exposure import Exposure, LesionCriterion
from neurolysis.geometry import FloatArray
from neurolysis.injury import CriterionInjury, Injury, NerveInjury, StructureInjury
from neurolysis.nerve.agent_dose import BAND, killed_share
from neurolysis.nerve.along import (
    CEM43,
    CONTACT,
    DOSE_FLOOR,
    LOG_DAMAGE,
    LOWEST,
    PEAK,
    PERCENT,
    SHARE,
    Sampler,
    Spread,
    displaced_courses,
    excess,
    lesioned_lengths,
    normal_samples,
    scaled,
    scaled_threshold,
)
from neurolysis.nerve.coverage import coverage, criteria_disagree
from neurolysis.nerve.injury_rules import InjuryRules, injury_rules
from neurolysis.nerve.lesion import Lesion
from neurolysis.nerve.line_injury import assess_along
from neurolysis.nerve.structures import Ground, assess_neighbour, assess_structure
from neurolysis.quantity import Quantity
from neurolysis.scene import FibreClass, Nerve, Scene

NERVE_KINETICS = "nerve_heat"
NEIGHBOUR = "nerve_neighbour"
OMEGA_CAP = 1e6
"""Omega is shown up to here; beyond it nothing is left to kill."""


def assess(scene: Scene, exposure: Exposure) -> Injury:
    """What every nerve and every structure at risk of a scene suffers.

    Raises:
        UnknownNameError: a criterion of the exposure names a field it does not hold.
    """
    if not exposure.has_grid:
        return assess_along(scene, exposure)
    ground = Ground(exposure)
    nerves = tuple(assess_nerve(scene, ground, nerve) for nerve in scene.nerves)
    return Injury(
        exposure_hash=exposure.content_hash(),
        damage_start=_damage_start(exposure),
        nerves=nerves,
        structures=_structures(scene, ground),
        notes=_notes(exposure, nerves),
    )


def size_error(exposure: Exposure) -> float:
    """Relative standard deviation of the lesion's size that the model states of itself, 0 if none.

    Counted are those ``model_errors`` whose conditions speak of a size or the lesion: in "mm" (of the
    narrowest lesion's width), "%" or "1". Without a standard deviation a quarter of the range low to high is
    taken, or else the value itself. Several add in squares.
    """
    widths = [size.width_mm for size in exposure.lesions if size.width_mm > 0]
    parts = {"mm": 1 / min(widths) if widths else 0.0, "%": 0.01, "1": 1.0}
    found = [e for e in exposure.model_errors if e.unit in parts and _on_size(e)]
    return float(np.sqrt(sum((_deviation(error) * parts[error.unit]) ** 2 for error in found)))


def _on_size(error: Quantity) -> bool:
    return any(word in error.conditions.lower() for word in ("lesion", "size"))


def _deviation(error: Quantity) -> float:
    if error.standard_deviation is not None:
        return error.standard_deviation
    if error.low is not None and error.high is not None:
        return (error.high - error.low) / 4
    return abs(error.value)


def assess_nerve(scene: Scene, ground: Ground, nerve: Nerve) -> NerveInjury:
    """One nerve under one exposure."""
    rules = injury_rules()
    course = Course.along(ground, nerve, rules)
    found = tuple(course.by_criterion(criterion, rules) for criterion in ground.exposure.criteria)
    undecided = frozenset(c.id for c in ground.exposure.criteria if course.lower_bound(c))
    verdict, reason = coverage(
        found,
        undecided,
        rules,
        verdict_allowed=ground.exposure.verdict_allowed,
        outside_mm=course.outside_mm,
    )
    profiles = course.profiles(scene.body_temperature_c) | course.killed_band(nerve)
    return NerveInjury(
        nerve=nerve.name,
        is_target=nerve.is_target,
        review=nerve.review,
        arc_mm=tuple(course.arc_mm.tolist()),
        points_mm=tuple(map(tuple, course.points_mm.tolist())),
        profiles={name: tuple(values.tolist()) for name, values in profiles.items()},
        profile_units={name: _unit(ground.exposure, name) for name in profiles},
        killed_fraction=course.killed_fraction(nerve),
        selectivity_note=_selectivity(ground.exposure),
        by_criterion=found,
        criteria_disagree=criteria_disagree(found, undecided, rules),
        critical_length_mm=rules.critical_length.value,
        critical_length_source=rules.critical_length.source,
        coverage=verdict,
        coverage_reason=reason,
        grade=rules.grade(course.reached(found), course.lowest_c()),
        outside_grid_mm=course.outside_mm,
    )


@dataclass(frozen=True)
class Course:
    """A nerve's stations with the exposure sampled there, and at all its other possible places.

    Attributes:
        arc_mm: (m,) stations; points_mm: (m, 3) LPS.
        here: the fields at the drawn position.
        elsewhere: the fields at the sampled positions (n, m).
    """

    ground: Ground
    arc_mm: FloatArray
    points_mm: FloatArray
    here: Sampler
    elsewhere: Sampler

    @classmethod
    def along(cls, ground: Ground, nerve: Nerve, rules: InjuryRules) -> Course:
        """Stations of a nerve and its displaced copies."""
        exposure = ground.exposure
        arc, points = nerve.curve.resample(rules.station_step_mm)
        here = Sampler.at(exposure, points)
        places = displaced_courses(
            points,
            _anchor(here, exposure.criteria[0]),
            Spread(nerve.position_sd_mm.value, size_error(exposure)),
            np.array(exposure.frame.rotation)[:, 2],
            (ground.lesion or Lesion(exposure, exposure.criteria[0])).centre_mm,
            normal_samples(rules.samples, rules.seed),
        )
        return cls(ground, arc, points, here, Sampler.at(exposure, places))

    @property
    def outside_mm(self) -> float:
        """Length of the course beyond the grid: steps with an end outside."""
        both = self.here.inside[1:] & self.here.inside[:-1]
        return float(np.diff(self.arc_mm)[~both].sum())

    def by_criterion(self, criterion: LesionCriterion, rules: InjuryRules) -> CriterionInjury:
        """Lesioned lengths by one criterion, at the drawn position and over the sampled ones."""
        here, elsewhere = (
            excess(criterion, sampler.scaled(criterion.field)) for sampler in (self.here, self.elsewhere)
        )
        longest, total = lesioned_lengths(here, 0.0, self.arc_mm)
        spread, _ = lesioned_lengths(elsewhere, 0.0, self.arc_mm)
        low, high = np.percentile(spread, [5, 95])
        bound = " (a lower bound on this nerve)" if self.lower_bound(criterion) else ""
        return CriterionInjury(
            criterion=criterion.id,
            label=criterion.label + bound,
            longest_lesioned_mm=float(longest),
            lesioned_mm=float(total),
            length_p5_mm=float(low),
            length_p95_mm=float(high),
            probability_any=float(np.mean(spread > 0)),
            probability_critical=float(np.mean(spread >= rules.critical_length.value)),
        )

    def lower_bound(self, criterion: LesionCriterion) -> bool:
        """Whether a CEM43 criterion is missed somewhere on the nerve only because its rate was held."""
        if criterion.field != CEM43:
            return False
        missed = self.here.scaled(CEM43) < scaled_threshold(criterion)
        return bool(np.any(missed & self.held()))

    def held(self) -> np.ndarray:
        """Stations where CEM43 is a lower bound: hotter than the range its rate has a source in."""
        if PEAK not in self.ground.exposure.fields:
            return np.zeros(len(self.arc_mm), dtype=bool)
        return np.asarray(self.here.values(PEAK) > cem43_record().valid_high_c)

    def reached(self, found: Sequence[CriterionInjury]) -> bool:
        """Whether any criterion reaches the nerve, or may do so beyond the computed box."""
        lesion = self.ground.lesion
        cut = lesion is not None and lesion.reaches_border and self.outside_mm > 0
        return cut or any(item.lesioned_mm > 0 for item in found)

    def lowest_c(self) -> float | None:
        """Lowest temperature on the course within the grid; None where nothing was cooled."""
        if LOWEST not in self.ground.exposure.fields or not self.here.inside.any():
            return None
        return float(np.nanmin(self.here.values(LOWEST)))

    def profiles(self, body_temperature_c: float) -> dict[str, FloatArray]:
        """Every field the assessment uses along the course, (m,) each.

        Stations beyond the grid stand at body temperature and no dose; ``inside_grid`` tells them.
        """
        exposure = self.ground.exposure
        names = dict.fromkeys([PEAK, LOWEST, CEM43, SHARE, CONTACT, *(c.field for c in exposure.criteria)])
        names |= dict.fromkeys(name for name in exposure.fields if name.startswith(LOG_DAMAGE))
        found: dict[str, FloatArray] = {}
        for name in names:
            if name not in exposure.fields:
                continue
            found[name] = self.here.values(name, outside=_nothing(name, body_temperature_c))
            if name.startswith(LOG_DAMAGE):
                found[_omega(name)] = np.exp(np.minimum(found[name], np.log(OMEGA_CAP)))
        if CEM43 in found:
            found["cem43_lower_bound"] = self.held().astype(float)
        return {**found, "inside_grid": self.here.inside.astype(float)}

    def killed_fraction(self, nerve: Nerve) -> Mapping[FibreClass, tuple[float, ...]]:
        """Killed share (m,), the same for every class (all, where they are unknown).

        Heat: 1 - exp(-Omega) of the nerve fit. An injected agent: the middle of its band.
        """
        band = self.killed_band(nerve)
        if band:
            killed = band["killed_middle"]
        elif LOG_DAMAGE + NERVE_KINETICS in self.ground.exposure.fields:
            ln_omega = self.here.values(LOG_DAMAGE + NERVE_KINETICS, outside=np.log(DOSE_FLOOR))
            killed = -np.expm1(-np.exp(np.minimum(ln_omega, np.log(OMEGA_CAP))))
        else:
            return {}
        classes: Sequence[FibreClass] = nerve.fibres or get_args(FibreClass)
        return {fibre: tuple(killed.tolist()) for fibre in classes}

    def killed_band(self, nerve: Nerve) -> dict[str, FloatArray]:
        """Killed share of the cross-section (m,) by an injected agent: mild, middle, severe; else nothing.

        The mild end takes the narrow spread of the agent, the severe end the wide one. What surrounds the
        nerve is taken as its highest concentration for the time that gives the same product of both.
        """
        exposure = self.ground.exposure
        agent = exposure.solver.get("agent")
        if not isinstance(agent, str) or PERCENT not in exposure.fields:
            return {}
        found = {}
        for member, tail in zip(BAND, ("_narrow", "", "_wide"), strict=True):
            peak = self.here.values(PERCENT + tail, outside=0.0)
            contact = self.here.values(CONTACT + tail, outside=0.0)
            minutes = np.divide(contact, peak, out=np.zeros_like(peak), where=peak > 1e-6)
            found[f"killed_{member}"] = killed_share(
                agent, peak, minutes, radius_mm=nerve.radius_mm.value, member=member
            )
        return found


def _anchor(here: Sampler, criterion: LesionCriterion) -> int:
    """The station where the treatment acts most; the middle one where all lie beyond the grid."""
    values = excess(criterion, here.scaled(criterion.field, outside=-criterion.sign * np.inf))
    return int(values.argmax()) if here.inside.any() else len(values) // 2


def _nothing(field: str, body_temperature_c: float) -> float:
    """A field's value in tissue that was not treated."""
    if field.startswith(LOG_DAMAGE):
        return float(scaled(field, -np.inf))
    return body_temperature_c if "temperature_c" in field else 0.0


def _omega(field: str) -> str:
    return "omega_" + field.removeprefix(LOG_DAMAGE)


def _unit(exposure: Exposure, profile: str) -> str:
    return exposure.fields[profile].unit if profile in exposure.fields else "1"


def _structures(scene: Scene, ground: Ground) -> tuple[StructureInjury, ...]:
    given = [assess_structure(ground, structure) for structure in scene.structures]
    limits = limits_for(NEIGHBOUR) if NEIGHBOUR in limit_kinds() else ()
    others = [assess_neighbour(ground, nerve, limits) for nerve in scene.nerves if not nerve.is_target]
    return (*given, *others)


def _selectivity(exposure: Exposure) -> str:
    """What is known of fibre classes under this kind of treatment."""
    if LOWEST in exposure.fields:
        return injury_rules().cold_selectivity.note
    return agent_injury().same_for_all_fibres if SHARE in exposure.fields else injury_rules().selectivity.note


def _damage_start(exposure: Exposure) -> str:
    if SHARE in exposure.fields:
        return "lethal concentration for the lethal time, in the nerve"
    start = exposure.solver.get("damage_start_c")
    if isinstance(start, int | float):
        return f"{start:g} C"
    return str(start) if start is not None else "not stated by the simulation"


def _notes(exposure: Exposure, nerves: Sequence[NerveInjury]) -> tuple[str, ...]:
    rules = injury_rules()
    notes = [
        "The criteria are different definitions of 'lesioned'; they are shown side by side and not averaged.",
        _selectivity(exposure),
    ]
    if LOWEST in exposure.fields:
        notes.append(rules.cold_return.note)
    if SHARE in exposure.fields:
        notes.append(
            "Killed share: the agent diffuses into the nerve through its sheath; mild, middle "
            "and severe take "
            "every constant, and the spread of the agent, at one end. The constants were set by hand between "
            "animal experiments."
        )
    if LOG_DAMAGE + NERVE_KINETICS in exposure.fields:
        notes.append(f"Killed fraction is 1 - exp(-Omega). {kinetics(NERVE_KINETICS).warning}")
    if CEM43 in exposure.fields:
        notes.append(cem43_record().warning)
    error = size_error(exposure)
    size = f", the lesion's size by {error:.0%} (SD)" if error else "; the lesion's size is not varied"
    notes.append(
        f"Chances are over {rules.samples} places of the nerve, moved as a whole square to its course by its "
        f"stated standard deviation{size}."
    )
    if any(nerve.outside_grid_mm > 0 for nerve in nerves):
        notes.append("Parts of a nerve beyond the computed box are counted as not lesioned.")
    return tuple(notes)
