"""Hold the models against published measurements; failures are shown, not hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from neurolysis.app.steps import Steps
from neurolysis.delivery.technique import Progress, ValidationRow, silent, technique, techniques


@dataclass(frozen=True)
class Validation:
    """Rows of each technique, in the order of its table."""

    rows: Mapping[str, tuple[ValidationRow, ...]]

    def counts(self) -> dict[str, int]:
        """How many rows ended with each verdict."""
        verdicts = Counter(row.verdict for rows in self.rows.values() for row in rows)
        return {name: verdicts.get(name, 0) for name in ("pass", "fail", "cannot say", "not computable")}


def validate(name: str | None = None, *, progress: Progress = silent) -> Validation:
    """Run the published measurements of one technique, or of all.

    Raises:
        UnknownNameError: listing the techniques.
    """
    chosen = techniques() if name is None else {name: technique(name)}
    steps = Steps(progress, tuple((key, 1.0) for key in chosen))
    rows = {}
    for key, item in chosen.items():
        with steps.part(key, f"validating {item.title}") as within:
            rows[key] = tuple(item.validate(within))
    return Validation(rows=rows)
