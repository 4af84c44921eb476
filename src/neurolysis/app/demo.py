"""The demonstrations: plan a case that is shipped with the program."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from neurolysis.app.plan_case import PlannedFiles, plan_case
from neurolysis.delivery.technique import Progress, silent
from neurolysis.errors import UnknownNameError

DEMOS = {
    "medial-branch": "demo",
    "celiac": "celiac",
    "phenol": "phenol",
    "meralgia": "meralgia",
    "freezing": "freezing",
    "light": "light",
}
"""Shipped cases by name, with their folders; the first is shown when none is named."""


def demo_case(name: str = "medial-branch") -> Path:
    """The folder of a shipped case; UnknownNameError lists them."""
    if name not in DEMOS:
        raise UnknownNameError("no such demonstration", found=name, allowed=tuple(DEMOS))
    return Path(str(resources.files("neurolysis"))) / "data" / DEMOS[name]


def run_demo(
    out: Path, name: str = "medial-branch", *, overwrite: bool = False, progress: Progress = silent
) -> PlannedFiles:
    """Plan a shipped case into ``out``; see :func:`neurolysis.app.plan_case.plan_case`."""
    return plan_case(demo_case(name), out, overwrite=overwrite, progress=progress)
