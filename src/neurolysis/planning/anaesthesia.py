"""Anaesthesia of a case joined to its anatomy: path, nerve, conditions, and the stops a plan inherits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date

import numpy as np

from neurolysis.anesthesia.block import OperationBy, Path, TargetNerve
from neurolysis.anesthesia.dose import CONDITIONS
from neurolysis.anesthesia.prepare import Step3, prepare
from neurolysis.case import Case
from neurolysis.delivery.technique import techniques
from neurolysis.evidence.store import evidence_version
from neurolysis.nerve.catalogue import nerve_entry, nerve_ids
from neurolysis.plan import Notice, Placement
from neurolysis.scene import Scene

SKIN = "skin"
STEP_MM = 0.5


def prepare_case(
    case: Case, on: date, *, scene: Scene | None = None, placements: tuple[Placement, ...] = ()
) -> Step3:
    """Step 3 of a case.

    Args:
        on: the day of the procedure.
        scene: the anatomy, if there is an image; placements: where the needles lie in it.

    Raises:
        UnknownNameError: an agent or site that is not in the catalogue.
    """
    return prepare(
        case,
        on,
        path=needle_length(case, scene, placements),
        nerve=target_nerve(case, scene),
        conditions=conditions_of(case),
        evidence_version=evidence_version(),
        target_group=case.target.nerve if case.target else "",
        neurolytic=_neurolytic(case),
        mixed_in=_mixed_in(case),
    )


def anaesthesia_notices(case: Case, scene: Scene, placements: tuple[Placement, ...]) -> Iterator[Notice]:
    """What a plan must say of the anaesthesia: its stops, and that it is missing or cannot be judged."""
    if case.anaesthesia is None:
        text = "The case plans no local anaesthetic: step 3 is not part of this plan."
        yield Notice(severity="warn", code="anaesthesia.missing", text=text)
        return
    if case.evaluated is None:
        text = "The case has no day (evaluated): doses cannot be held against a weight or an age of that day."
        yield Notice(severity="warn", code="anaesthesia.no_day", text=text)
    day, judged = (case.evaluated, case) if case.evaluated else (date.max, _undated(case))
    found = prepare_case(judged, day, scene=scene, placements=placements)
    yield from (notice for notice in found.notices if notice.severity == "stop")
    if found.answer == "cannot say":
        text = f"Anaesthesia cannot be judged: needs {'; '.join(found.needs)}."
        yield Notice(severity="warn", code="anaesthesia.cannot_say", text=text)


def _undated(case: Case) -> Case:
    """The case without what a day is needed for: limits in mg still hold, those per kg cannot be said."""
    return case.replace(patient=case.patient.replace(weight_date=None, birth_year=None))


def anaesthesia_text(case: Case) -> str:
    """The planned anaesthesia for the plan and its report: doses, order, sedation, arrangements."""
    plan = case.anaesthesia
    if plan is None:
        return "The case plans no local anaesthetic. The clinician decides on local anaesthetic and sedation."
    parts = [
        f"{i.purpose}: {i.agent} {i.mg_per_ml / 10:g} %, {i.volume_ml:g} mL ({i.mg:g} mg)"
        for i in plan.injections
    ]
    doses = "; ".join(parts) or "The case plans no local anaesthetic"
    order = f" Order: {', then '.join(plan.order)}." if plan.order else ""
    return (
        f"{doses}.{order} Sedation: {plan.sedation or 'not said'}; fasting: {_said(plan.fasting_confirmed)}; "
        f"escort: {_said(plan.escort_arranged)}. Checked by neurolysis anesthetize."
    )


def _said(answer: bool | None) -> str:
    return {True: "confirmed", False: "no", None: "not said"}[answer]


def needle_length(case: Case, scene: Scene | None, placements: tuple[Placement, ...]) -> Path:
    """Path from skin to tip: the depth in the case, else where the needle leaves the skin in the image."""
    operation = _operation(case)
    if operation is not None:
        return Path(text="an open operation, no needle is placed", operation=operation)
    active = [placement for placement in placements if placement.role == "active"]
    radius = active[0].instrument.outer_radius_mm.value if active else None
    if case.skin_depth_mm is not None:
        return Path(length_mm=case.skin_depth_mm, text="depth given in the case", needle_radius_mm=radius)
    if scene is None:
        return Path(
            length_mm=None, text="the case has no image and gives no skin_depth_mm", needle_radius_mm=radius
        )
    if not active:
        return Path(length_mm=None, text="no needle is placed", needle_radius_mm=radius)
    skins = [s for s in scene.structures if s.kind == SKIN and s.mask is not None]
    if not skins:
        return Path(length_mm=None, text="skin outside image", needle_radius_mm=radius)
    found = [length for one in active if (length := _to_skin(scene, one)) is not None]
    if len(found) < len(active):
        return Path(
            length_mm=None, text="the needle does not meet skin in the image", needle_radius_mm=radius
        )
    return Path(length_mm=max(found), text="measured in the image", needle_radius_mm=radius)


def _to_skin(scene: Scene, placement: Placement) -> float | None:
    """Distance, mm, from the tip to the last skin the needle's line meets; None where it meets none."""
    skin = next(s.mask for s in scene.structures if s.kind == SKIN and s.mask is not None)
    along = np.arange(0.0, 400.0, STEP_MM)
    points = np.array(placement.tip_mm) + along[:, None] * np.array(placement.direction_to_hub)
    inside = skin.sample(points, order=0, outside=0.0) > 0
    return float(along[np.nonzero(inside)[0].max()]) if inside.any() else None


def target_nerve(case: Case, scene: Scene | None) -> TargetNerve:
    """The nerve to be numbed with its diameter: of the scene, else of the catalogue, else unknown."""
    if scene is not None:
        for nerve in scene.nerves:
            if nerve.is_target:
                source = nerve.radius_mm.source
                return TargetNerve(
                    name=nerve.name, diameter_mm=2 * nerve.radius_mm.value, diameter_source=source
                )
    if case.target is None:
        return TargetNerve(name="the target (none is named)")
    if case.target.nerve in nerve_ids():
        entry = nerve_entry(case.target.nerve)
        return TargetNerve(
            name=entry.title, diameter_mm=entry.diameter_mm.value, diameter_source=entry.diameter_mm.source
        )
    return TargetNerve(name=case.target.nerve.replace("_", " "))


def conditions_of(case: Case) -> Mapping[str, bool | None]:
    """Conditions that change a dose, by name: True, False, or None where the case does not say."""
    return {name: _stated(case, name) for name in CONDITIONS}


def _stated(case: Case, name: str) -> bool | None:
    results = {finding.result for finding in case.findings if finding.name == name}
    if "present" in results:
        return True
    return False if results == {"absent"} else None


def _operation(case: Case) -> OperationBy | None:
    """The anaesthesia an open operation names; None where the treatment is no operation."""
    chosen = techniques().get(case.treatment.technique) if case.treatment else None
    if chosen is None or chosen.places_instrument or case.treatment is None:
        return None
    named = case.treatment.protocol.get("anaesthesia")
    names: tuple[OperationBy, ...] = ("general", "regional", "local")
    return next((name for name in names if name == named), "not named")


def _neurolytic(case: Case) -> bool:
    protocol = case.treatment.protocol if case.treatment else {}
    return protocol.get("agent") is not None


def _mixed_in(case: Case) -> str:
    """What the treatment mixes into its agent, as written; empty where it mixes nothing in."""
    protocol = case.treatment.protocol if case.treatment else {}
    return str(protocol.get("admixture") or "") if protocol.get("admixture_ml") else ""
