"""Tables of an operation: strain, smallest stretches, pressures, approach, what was read of outcomes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from neurolysis.delivery.surgical.expose import Operation
from neurolysis.delivery.surgical.protocol import ReleaseProtocol, Tunnel
from neurolysis.evidence.nerve_mechanics import nerve_mechanics
from neurolysis.exposure import ResultTable
from neurolysis.geometry import FloatArray
from neurolysis.nerve.masks import Mask
from neurolysis.plan import Plan
from neurolysis.scene import Scene

SCAR = "scar"


def all_tables(scene: Scene, plan: Plan, protocol: ReleaseProtocol, done: Operation) -> Iterator[ResultTable]:
    """Every table that has rows."""
    tables = (
        strain_table(done),
        smallest_table(done),
        pressure_table(protocol),
        extent_table(done),
        approach_table(scene, protocol, done),
        outcome_table(plan),
    )
    yield from (table for table in tables if table.rows)


def strain_table(done: Operation) -> ResultTable:
    """Highest strain and highest change, by member."""
    rows = []
    named = {f"{member} scar": found for member, found in done.found.items()}
    named |= {f"middle scar, {words}": found for words, found in done.ends.items()}
    for label, found in named.items():
        before, after, again = (found.change_percent(s) for s in (found.before, found.after, found.again))
        rows.append(
            (
                label,
                _clean(found.strain_percent(found.free).max()),
                _clean(found.strain_percent(found.before).max()),
                _clean(before.max()),
                _clean(found.arc_mm[int(before.argmax())]) if before.max() > 1e-9 else None,
                *(_above(found.arc_mm, before, t.percent) for t in nerve_mechanics().strain_thresholds),
                _clean(after.max()),
                _clean(again.max()),
            )
        )
    levels = [f"> mm above {t.percent:g} %" for t in nerve_mechanics().strain_thresholds]
    sources = tuple(s for t in nerve_mechanics().strain_thresholds for s in t.sources)
    return ResultTable(
        title="Strain of the nerve under the movement, %",
        columns=(
            "Scar", ">Without scar", ">Before", ">Added by scar", ">at, mm", *levels,
            ">Added after", ">Added if scar returns",
        ),
        rows=tuple(rows),
        note="Added: change against the same nerve without scar, in percentage points. Levels are of animal "
        "nerves (held for 2 h); strains of nerves in moving cadaver limbs exceed them, so only the change is "
        "held against them.",
        sources=tuple(dict.fromkeys(sources)),
    )  # fmt: skip


def _clean(value: float) -> float:
    """A plain number without the noise of rounding."""
    return round(float(value), 6) + 0.0


def _above(arc_mm: FloatArray, values: FloatArray, level: float) -> float:
    """Length of the course above a level, mm; stations stand for what is nearest to them."""
    return _clean(np.gradient(arc_mm)[values > level].sum()) if len(arc_mm) > 1 else 0.0


def smallest_table(done: Operation) -> ResultTable:
    """The smallest single stretch to free, by member and threshold."""
    rows = [
        (
            f"{member} scar", f"{item.threshold_percent:g} %",
            *(item.span_mm or (None, None)), item.length_mm, _clean(item.change_percent),
        )
        for member, items in done.smallest.items()
        for item in items
    ]  # fmt: skip
    rung = max((item.rung_mm for items in done.smallest.values() for item in items), default=1.0)
    return ResultTable(
        title="Smallest single stretch whose freeing keeps the added strain at or below a level",
        columns=("Scar", "Level", ">From, mm", ">To, mm", ">Length, mm", ">Added strain left, %"),
        rows=tuple(rows) if done.course.bound_mm else (),
        note=f"Every stretch on a ladder of {rung:.2g} mm was tried, shortest first. A length of 0: nothing "
        "has to be freed for this level. Several short stretches together were not tried.",
    )


# ---------------------------------------------------------------- pressure


def pressure_rows(
    protocol: ReleaseProtocol, *, after: bool
) -> Iterator[tuple[str, float | None, float | None, str, str]]:
    """(tunnel, highest and lowest pressure, stage of blood flow at the highest, its source)."""
    for tunnel in protocol.tunnels:
        low, high = _after(protocol, tunnel) if after else (tunnel.pressure_mmhg, tunnel.pressure_mmhg)
        stage = nerve_mechanics().stage(high) if high is not None else None
        yield tunnel.name, high, low, stage.text if stage else "", stage.source if stage else ""


def _after(protocol: ReleaseProtocol, tunnel: Tunnel) -> tuple[float | None, float | None]:
    """Pressure range once freed over the tunnel's whole length; as before where it is not, else None."""
    if not any(s.from_mm <= tunnel.from_mm and s.to_mm >= tunnel.to_mm for s in protocol.freed):
        return tunnel.pressure_mmhg, tunnel.pressure_mmhg
    if tunnel.after_mmhg is not None:
        return tunnel.after_mmhg, tunnel.after_mmhg
    opened = nerve_mechanics().opened.get(tunnel.kind)
    if opened is None:
        return None, None
    return tunnel.pressure_mmhg / opened.factor_high, tunnel.pressure_mmhg / opened.factor_low


def pressure_table(protocol: ReleaseProtocol) -> ResultTable:
    """Pressures before and after, with what was read of blood flow at such a pressure."""
    rows = []
    pairs = zip(pressure_rows(protocol, after=False), pressure_rows(protocol, after=True), strict=True)
    for tunnel, (before, then) in zip(protocol.tunnels, pairs, strict=True):
        rows.append((before[0], tunnel.measured_by, before[1], before[3] or "below every stage read",
                     then[2], then[1], (then[3] or "below every stage read") if then[1] is not None
                     else "cannot say"))  # fmt: skip
    sources = {stage.source for stage in nerve_mechanics().pressure_stages}
    return ResultTable(
        title="Pressure on the nerve, mmHg, and blood flow within it",
        columns=("Tunnel", "Measured by", ">Before", "Flow", ">After, from", ">to", "Flow"),
        rows=tuple(rows),
        note="Stages begin at the low end of the ranges read (external pressure on animal nerve); how long "
        "it lasts is not in them. A carpal tunnel's pressure after opening is the pressure before, divided "
        "by the rise of its compliance: the same tissue in a wider-yielding arch.",
        sources=tuple(sorted(sources)),
    )


# ---------------------------------------------------------------- extent and approach


def extent_table(done: Operation) -> ResultTable:
    """How long an exposure the operation takes."""
    rows: list[tuple[str, float, float | None]] = []
    for low, high in done.freed_mm:
        stations, points = done.nerve.curve.resample(0.25)
        ends = [np.array([np.interp(p, stations, points[:, k]) for k in range(3)]) for p in (low, high)]
        rows.append((f"{low:.0f}–{high:.0f} mm", high - low, float(np.linalg.norm(ends[1] - ends[0]))))
    if rows:
        rows.append(("all together", sum(row[1] for row in rows), None))
    return ResultTable(
        title="Length to be exposed",
        columns=("Stretch, from the first point drawn", ">Along the nerve, mm", ">Straight, mm"),
        rows=tuple(rows),
    )


def in_approach(
    scene: Scene, protocol: ReleaseProtocol, done: Operation
) -> list[tuple[str, str, float, str]]:
    """(name, kind, distance mm, review) of what lies near the operated stretch, nearest first."""
    points = _operated(done)
    if not len(points):
        return []
    reach = protocol.approach_mm or nerve_mechanics().approach_mm.value
    own = done.nerve.radius_mm.value
    found = [
        (s.name, s.kind, float(Mask(s.mask).distance_mm(points).min()) - own, s.review)
        for s in scene.structures
        if s.mask is not None and s.kind != SCAR
    ]
    found += [
        (n.name, "nerve", float(n.curve.distance_mm(points).min()) - own - n.radius_mm.value, n.review)
        for n in scene.nerves
        if n.name != done.nerve.name
    ]
    near = [(name, kind, max(gap, 0.0), review) for name, kind, gap, review in found if gap <= reach]
    return sorted(near, key=lambda row: row[2])


def _operated(done: Operation) -> FloatArray:
    stations, points = done.nerve.curve.resample(0.5)
    inside = np.zeros(len(stations), dtype=bool)
    for low, high in done.freed_mm:
        inside |= (stations >= low) & (stations <= high)
    return points[inside]


def approach_table(scene: Scene, protocol: ReleaseProtocol, done: Operation) -> ResultTable:
    """What lies near the operated stretch."""
    rows = [(name, kind.replace("_", " "), gap, review) for name, kind, gap, review
            in in_approach(scene, protocol, done)]  # fmt: skip
    reach = protocol.approach_mm or nerve_mechanics().approach_mm.value
    return ResultTable(
        title=f"In the approach: within {reach:g} mm of the operated stretch",
        columns=("Structure", "Kind", ">Distance, mm", "Outline"),
        rows=tuple(rows),
        note="Surface to surface. Only what the scene holds; small vessels and branches are not in it.",
    )


# ---------------------------------------------------------------- outcomes


def outcome_table(plan: Plan) -> ResultTable:
    """What was read of operations on this nerve, and of what they were compared with."""
    from neurolysis.evidence.clinical import find_evidence
    from neurolysis.evidence.vocabulary import family
    from neurolysis.nerve.targets import target_ids, target_of

    rows, sources = [], []
    target = plan.target.nerve
    known = target in target_ids()
    for row in find_evidence(target=target_of(target).id) if known else ():
        if not {"surgical_release", "neurectomy"} & {*row.modalities} and row.arm != "comparator":
            continue
        interval = "" if row.low is None or row.high is None else f"{row.low:g} to {row.high:g}"
        rows.append((row.id, ", ".join(row.modalities).replace("_", " "), family(row.family).title, row.value,
                     interval, row.unit, row.n))  # fmt: skip
        sources.append(row.source)
    return ResultTable(
        title="What was read of operations on this nerve",
        columns=("Row", "Treatment", "Outcome", ">Value", "Interval", "Unit", ">Patients"),
        rows=tuple(rows),
        note="Strain is not tied to relief by anything that was read: these figures stand beside the "
        "simulation, not upon it.",
        sources=tuple(dict.fromkeys(sources)),
    )
