"""Everything one planned case holds, from facts to verdict, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from neurolysis.approval import Approval, export_mark
from neurolysis.case import Case
from neurolysis.exposure import Exposure
from neurolysis.injury import Injury
from neurolysis.plan import Notice, Plan
from neurolysis.planning.quadrants import QuadrantCoverage
from neurolysis.quantity import Quantity
from neurolysis.scene import Scene


@dataclass(frozen=True)
class PlanResult:
    """A plan with its simulation and injury assessment.

    Attributes:
        notices: everything that fired: the plan's own, the simulation's and the injury's, worst first.
        assumptions: (where used, number) for each number without a source that this result rests on.
        quadrants: coverage round the celiac artery, where that is the target.
    """

    case: Case
    scene: Scene
    plan: Plan
    exposure: Exposure
    injury: Injury
    notices: tuple[Notice, ...]
    assumptions: tuple[tuple[str, Quantity], ...]
    approval: Approval | None = None
    quadrants: QuadrantCoverage | None = None

    @property
    def mark(self) -> str:
        """DRAFT, or who approved this very plan."""
        return export_mark(self.plan, self.approval)
