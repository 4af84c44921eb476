"""Hold the models against published measurements; failures are shown, not hidden."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from neurolysis.app.steps import Steps
from neurolysis.delivery.technique import Progress, ValidationRow, silent, techniques
from neurolysis.errors import UnknownNameError


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
        UnknownNameError: listing the techniques and ``anesthesia``.
    """
    known = _validations()
    if name is not None and name not in known:
        raise UnknownNameError("nothing to validate of this name", found=name, allowed=sorted(known))
    chosen = known if name is None else {name: known[name]}
    steps = Steps(progress, tuple((key, 1.0) for key in chosen))
    rows = {}
    for key, (title, run) in chosen.items():
        with steps.part(key, f"validating {title}") as within:
            rows[key] = tuple(run(within))
    return Validation(rows=rows)


def _validations() -> dict[str, tuple[str, Callable[[Progress], Sequence[ValidationRow]]]]:
    """What can be validated: title and function by name."""
    found: dict[str, tuple[str, Callable[[Progress], Sequence[ValidationRow]]]] = {
        name: (item.title, item.validate) for name, item in techniques().items()
    }
    return {**found, "anesthesia": ("plasma levels of local anaesthetics", _plasma_levels)}


def _plasma_levels(progress: Progress) -> tuple[ValidationRow, ...]:
    """Published plasma peaks beside the model's."""
    from neurolysis.anesthesia.validation import CRITERION, check_peaks, unit_of

    progress(0.0, "plasma levels")
    return tuple(
        ValidationRow(
            id=check.id,
            source=check.source,
            quantity=check.quantity,
            measured=f"{check.measured:g} {unit_of(check.quantity)}",
            simulated={
                "": f"{check.predicted:.3g} ({check.p5:.3g} to {check.p95:.3g}), ratio {check.ratio:g}"
            },
            criterion=CRITERION,
            verdict=check.verdict,
            reason=check.reason,
        )
        for check in check_peaks()
    )
