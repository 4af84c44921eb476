"""The exposure of an operation: fields along the nerve, tables, the first answer, and what must be said."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurolysis.delivery.surgical.expose import Operation
from neurolysis.delivery.surgical.model import MEMBERS
from neurolysis.delivery.surgical.protocol import ReleaseProtocol
from neurolysis.delivery.surgical.tables import all_tables, in_approach, pressure_rows
from neurolysis.evidence.nerve_mechanics import StrainThreshold, nerve_mechanics
from neurolysis.exposure import OPERATED, Answer, Exposure, LabelledField, LineFields
from neurolysis.geometry import FloatArray
from neurolysis.physics.mechanics import curve_pressure_pa
from neurolysis.plan import Notice, Plan, Severity
from neurolysis.scene import Nerve, Scene

PA_PER_MMHG = 133.322
"""Definition of the millimetre of mercury."""
BALANCE_LIMIT = 1e-6
BEND_REACH_MM = 15.0


def wrap(scene: Scene, plan: Plan, protocol: ReleaseProtocol, done: Operation) -> Exposure:
    """Everything a report and a record need of an operation."""
    worst = max(
        state.balance_error
        for found in done.found.values()
        for state in (found.free, found.before, found.after, found.again)
    )
    return Exposure.on_nerves(
        {done.nerve.name: line_fields(protocol, done)},
        technique=protocol.technique,
        time_s=done.time_s,
        series={f"tension_{name}_n": values for name, values in done.tension_n.items()},
        series_units={f"tension_{name}_n": "N" for name in done.tension_n},
        verdict_allowed=False,
        notices=tuple(notices(scene, protocol, done, worst)),
        numerics=plan.numerics,
        solver={
            "elements": len(done.middle.arc_mm),
            "axial_stiffness_n": float(done.course.axial_n),
            "balance_error": float(worst),
            "newton_steps": max(done.middle.before.steps, done.middle.after.steps),
            "stretches_tried": max(one.tried for items in done.smallest.values() for one in items),
        },
        plan_hash=plan.content_hash(),
        answer=removed_answer(done) if protocol.mode == "neurectomy" else freed_answer(done),
        tables=tuple(all_tables(scene, plan, protocol, done)),
    )


# ---------------------------------------------------------------- fields along the nerve


def line_fields(protocol: ReleaseProtocol, done: Operation) -> LineFields:
    """Fields at the middles of the elements."""
    found = done.middle
    arc = found.arc_mm
    points = at_arc(done.nerve, arc)
    data = {**_strains(done), **_forces(protocol, done, points), **_pressures(protocol, arc)}
    return LineFields(
        nerve=done.nerve.name,
        arc_mm=arc,
        points_mm=points,
        fields={
            name: LabelledField(name=name, unit=unit, array=np.asarray(values, float), description=words)
            for name, (unit, values, words) in data.items()
        },
        stretches_mm={OPERATED: done.freed_mm, "scar": tuple(held.span_mm for held in done.course.scars)},
    )


def at_arc(nerve: Nerve, arc_mm: FloatArray) -> FloatArray:
    """LPS points (n, 3) of a nerve at places along it, linear between close stations."""
    stations, points = nerve.curve.resample(0.25)
    return np.stack([np.interp(arc_mm, stations, points[:, k]) for k in range(3)], axis=-1)


Column = tuple[str, FloatArray, str]


def _strains(done: Operation) -> dict[str, Column]:
    found = done.middle
    states = {"unscarred": found.free, "before": found.before, "after": found.after, "rescarred": found.again}
    columns: dict[str, Column] = {}
    for name, state in states.items():
        columns[f"strain_{name}_percent"] = ("%", found.strain_percent(state), f"strain, {name}, middle scar")
        if state is not found.free:
            columns[f"change_{name}_percent"] = (
                "%",
                found.change_percent(state),
                "against the unscarred nerve",
            )
        columns[f"excursion_{name}_mm"] = ("mm", found.excursion_mm(state), "movement against the bed")
    for member in MEMBERS:
        one = done.found[member]
        columns[f"change_before_{member}_percent"] = ("%", one.change_percent(one.before), f"{member} scar")
        columns[f"change_after_{member}_percent"] = ("%", one.change_percent(one.after), f"{member} scar")
    return columns


def _forces(protocol: ReleaseProtocol, done: Operation, points_mm: FloatArray) -> dict[str, Column]:
    found = done.middle
    bend = curvature_per_m(points_mm)
    width = np.full(len(bend), 2e-3 * done.course.radius_mm)
    columns: dict[str, Column] = {}
    for name, state in (("before", found.before), ("after", found.after)):
        pressure = curve_pressure_pa(state.tension_n, bend, width) / PA_PER_MMHG
        columns[f"tension_{name}_n"] = ("N", state.tension_n, "tension of the nerve at once")
        columns[f"curve_pressure_{name}_mmhg"] = (
            "mmHg",
            pressure,
            "on the inner side of bends, each over 3 cm",
        )
    held = found.band_before.bed_pa / 1e3
    return {**columns, "scar_kpa": ("kPa", held, "shear stiffness of what holds the nerve")}


def curvature_per_m(points_mm: FloatArray) -> FloatArray:
    """Curvature (n,), 1/m, of the circle through points (n, 3) that lie 15 mm apart; 0 near the ends.

    A course drawn by eye has corners, which over a shorter reach would pass for bends.
    """
    step = float(np.linalg.norm(np.diff(points_mm, axis=0), axis=1).mean())
    reach = max(1, round(BEND_REACH_MM / max(step, 1e-6)))
    result = np.zeros(len(points_mm))
    if len(points_mm) <= 2 * reach:
        return result
    first, middle, last = points_mm[: -2 * reach], points_mm[reach:-reach], points_mm[2 * reach :]
    one, two = middle - first, last - middle
    sides = [np.linalg.norm(side, axis=1) for side in (one, two, last - first)]
    result[reach:-reach] = 2e3 * np.linalg.norm(np.cross(one, two), axis=1) / np.prod(sides, axis=0)
    return result


def _pressures(protocol: ReleaseProtocol, arc_mm: FloatArray) -> dict[str, Column]:
    if not protocol.tunnels:
        return {}
    values = np.zeros(len(arc_mm))
    for tunnel in protocol.tunnels:
        inside = (arc_mm >= tunnel.from_mm) & (arc_mm <= tunnel.to_mm)
        values[inside] = np.maximum(values[inside], tunnel.pressure_mmhg)
    return {"tunnel_pressure_before_mmhg": ("mmHg", values, "entered")}


# ---------------------------------------------------------------- the first answer


def worst_change(done: Operation, when: str) -> dict[str, float]:
    """Largest change of strain against the unscarred nerve, percentage points.

    By member, and for the middle one at the ends of the stated movement.
    """
    return {
        name: max(0.0, float(found.change_percent(getattr(found, when)).max()))
        for name, found in (*done.found.items(), *done.ends.items())
    }


def reached(change_percent: float) -> StrainThreshold | None:
    """The highest threshold that a change passes; None below all."""
    passed = [item for item in nerve_mechanics().strain_thresholds if change_percent > item.percent]
    return passed[-1] if passed else None


def freed_answer(done: Operation) -> Answer:
    """What freeing does to the strain that scar adds."""
    before, after = worst_change(done, "before"), worst_change(done, "after")
    at_worst = reached(max(after.values()))
    lowest = nerve_mechanics().strain_thresholds[0]
    words = f"Below {lowest.percent:g} % after freeing"
    if at_worst is not None:
        words = f"Passes {at_worst.percent:g} % even after freeing"
    if not done.freed_mm:
        words = "Nothing is freed in this plan"
    return Answer(
        label="What does freeing do to the strain that scar adds?",
        answer=words,
        tone=at_worst.tone if at_worst else "plain",
        number=f"{before['middle']:.1f} → {after['middle']:.1f} %",
        number_note="largest added strain, before → after, middle scar; "
        f"over scar and movement {_range(before)} → {_range(after)} %",
        details=(
            _smallest_words(done),
            "Thresholds are of animal nerves; a change below them is no promise.",
        ),
    )


def _range(values: dict[str, float]) -> str:
    return f"{min(values.values()):.1f}–{max(values.values()):.1f}"


def _smallest_words(done: Operation) -> str:
    parts = []
    for item in done.smallest["middle"]:
        what = "nothing" if item.span_mm is None else f"{item.span_mm[0]:.0f}–{item.span_mm[1]:.0f} mm"
        parts.append(f"{what} for {item.threshold_percent:g} %")
    return f"Smallest single stretch to free (middle scar): {', '.join(parts)}."


def removed_answer(done: Operation) -> Answer:
    """What removal leaves."""
    low, high = done.freed_mm[0]
    gap = done.middle.gap_mm or 0.0
    return Answer(
        label="What does removal leave?",
        answer="The nerve is divided for good",
        tone="warn",
        number=f"{gap:.1f} mm",
        number_note=f"gap between the stumps under the movement; {high - low:.1f} mm are removed",
        details=("What it served stays numb. Where the stumps come to lie is not computed.",),
    )


# ---------------------------------------------------------------- what must be said


def notices(
    scene: Scene, protocol: ReleaseProtocol, done: Operation, balance_error: float
) -> Iterator[Notice]:
    """What the simulation found that a reader must see."""
    if protocol.mode != "neurectomy":
        yield from _strain_notices(done)
    yield from _pressure_notices(protocol)
    near = [row[0] for row in in_approach(scene, protocol, done)]
    if near:
        text = (
            f"In the approach, within {reach_mm(protocol):g} mm of the operated stretch: {', '.join(near)}."
        )
        yield Notice(severity="warn", code="approach.near", text=text)
    if balance_error > BALANCE_LIMIT:
        text = f"Forces along the nerve do not balance: {balance_error:.1e} of the largest force."
        yield Notice(severity="stop", code="balance", text=text, overridable=False)
    text = (
        "The nerve is a band on a line: contact in three dimensions, friction, swelling and healing are left "
        "out. Strain is shown for loose, middle and tight scar, since no stiffness of adhesions was read."
    )
    yield Notice(severity="info", code="mechanics.line", text=text)


def reach_mm(protocol: ReleaseProtocol) -> float:
    """How near a structure is named."""
    return protocol.approach_mm or nerve_mechanics().approach_mm.value


def _strain_notices(done: Operation) -> Iterator[Notice]:
    for when, words in (("after", "after freeing"), ("again", "if scar comes back")):
        change = worst_change(done, when)
        passed = reached(max(change.values()))
        if passed is None or not done.freed_mm:
            continue
        text = (
            f"Scar still adds up to {max(change.values()):.1f} % of strain {words} (over scar and "
            f"movement {_range(change)} %): {passed.text}."
        )
        severity: Severity = "warn" if when == "after" else "info"
        yield Notice(severity=severity, code=f"strain.{when}", text=text, source=passed.sources[0])


def _pressure_notices(protocol: ReleaseProtocol) -> Iterator[Notice]:
    for name, after, _, stage, source in pressure_rows(protocol, after=True):
        if after is None:
            text = f"{name}: the pressure after the operation cannot be said; enter after_mmhg."
            yield Notice(severity="info", code="pressure.unknown", text=text)
        elif stage:
            text = f"{name}: up to {after:.0f} mmHg remain; {stage}."
            yield Notice(severity="warn", code="pressure.after", text=text, source=source)
