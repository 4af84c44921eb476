"""The demonstration: plan the case that is shipped with the program."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from neurolysis.app.plan_case import PlannedFiles, plan_case
from neurolysis.delivery.technique import Progress, silent


def demo_case() -> Path:
    """The folder of the shipped case."""
    return Path(str(resources.files("neurolysis"))) / "data" / "demo"


def run_demo(out: Path, *, overwrite: bool = False, progress: Progress = silent) -> PlannedFiles:
    """Plan the shipped case into ``out``; see :func:`neurolysis.app.plan_case.plan_case`."""
    return plan_case(demo_case(), out, overwrite=overwrite, progress=progress)
