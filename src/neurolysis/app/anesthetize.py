"""Step 3 of a case: is the planned anaesthesia safe, does it numb what it should, and what is missing?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neurolysis.app.cases import load_case
from neurolysis.approval import RESEARCH_USE

if TYPE_CHECKING:
    from neurolysis.anesthesia.prepare import Step3
    from neurolysis.case import Case
    from neurolysis.plan import Placement
    from neurolysis.scene import Scene

TODAY_NOTE = "the case gives no day (evaluated): today's date was used"


@dataclass(frozen=True)
class Anesthetized:
    """What the command answers."""

    step: Step3
    remarks: tuple[str, ...]
    html: Path | None = None
    pdf: Path | None = None

    @property
    def stopped(self) -> bool:
        """Whether a stop is open."""
        return self.step.answer == "stop"


def anesthetize(case_path: Path, *, on: date | None = None, out: Path | None = None) -> Anesthetized:
    """Step 3 of the case at ``case_path``, on a day (the case's own, else today).

    With ``out`` the pages and room cards are written there as anaesthesia.html and anaesthesia.pdf.

    Raises:
        InputError: the case, or its images.
        UnknownNameError: an agent, site, nerve or instrument that is not in the catalogue.
    """
    from neurolysis.planning.anaesthesia import prepare_case

    case, folder = load_case(case_path)
    day, remarks = day_of(case, on)
    scene, placements = anatomy(case, folder)
    step = prepare_case(case, day, scene=scene, placements=placements)
    if out is None:
        return Anesthetized(step, remarks)
    from neurolysis.app.pages import write_pages
    from neurolysis.report.anesthesia_pages import anesthesia_document

    return Anesthetized(step, remarks, *write_pages(anesthesia_document(case, step), out, "anaesthesia"))


def day_of(case: Case, on: date | None) -> tuple[date, tuple[str, ...]]:
    """The day a command works for, and what to say of it."""
    if on is not None:
        return on, ()
    if case.evaluated is not None:
        return case.evaluated, ()
    return date.today(), (TODAY_NOTE,)


def anatomy(case: Case, folder: Path) -> tuple[Scene | None, tuple[Placement, ...]]:
    """Scene and placements of a case with an image, a target and a treatment; nothing without."""
    if case.image is None or case.target is None or case.treatment is None:
        return None, ()
    from neurolysis.localization.scene_builder import build_scene
    from neurolysis.planning.make import make_plan

    scene = build_scene(case, folder)
    return scene, make_plan(case, scene).placements


def anesthetized_data(found: Anesthetized) -> dict[str, Any]:
    """The answer as plain data for ``--json``."""
    return {
        **found.step.model_dump(mode="json"),
        "remarks": list(found.remarks),
        "html": str(found.html) if found.html else None,
        "pdf": str(found.pdf) if found.pdf else None,
        "research_use": RESEARCH_USE,
    }


def anesthetized_text(found: Anesthetized) -> str:
    """The answer in words for the terminal."""
    return "\n".join(_lines(found.step))


def _lines(step: Step3) -> Iterator[str]:
    share = "unknown share" if step.dose.cap_share is None else f"{step.dose.cap_share:.0%}"
    yield f"Anaesthesia: {step.answer}. Dose {step.dose.answer}: {share} of the lowest caps."
    yield f"  weight  {step.dose.weight_text}"
    for name, mg in step.dose.total_mg.items():
        yield f"  {name}  {mg:g} mg"
    for item in step.dose.applied():
        yield f"  reduce  {item.text}"
    for check in step.dose.caps:
        mark = "governs" if check.governs else "       "
        limit = "unknown" if check.reduced_mg is None else f"{check.reduced_mg:.4g} mg"
        yield f"    {mark}  {limit:>9}  {check.text} ({check.who}) [{', '.join(check.sources)}]"
    yield from (f"  plasma  {text}" for text in step.dose.toxic_text)
    yield f"  track   {step.block.track.text}"
    yield f"  nerve   {step.block.nerve.text}"
    yield from (f"  time    {item.text}" for item in step.block.timing)
    yield f"  motor test after the anaesthetic: {step.block.motor_test}"
    yield from (f"  {n.severity.upper()} [{n.code}] {n.text}" for n in step.notices)
    if step.needs:
        yield "  needs:"
        yield from (f"    - {text}" for text in step.needs)
    yield f"  cards for the room: {', '.join(card.title for card in step.cards)}"
    yield RESEARCH_USE
