"""Whether a nerve is covered: one rule over all criteria, with its reason in words."""

from __future__ import annotations

from collections.abc import Sequence

from neurolysis.injury import Coverage, CriterionInjury
from neurolysis.nerve.injury_rules import InjuryRules


def coverage(
    found: Sequence[CriterionInjury],
    undecided: frozenset[str],
    rules: InjuryRules,
    *,
    verdict_allowed: bool,
    outside_mm: float,
) -> tuple[Coverage, str]:
    """The verdict and its reason.

    Args:
        found: the nerve by every criterion.
        undecided: ids of criteria that are only a lower bound on this nerve; they take no part.
        verdict_allowed: False for deliveries that never count as covered.
        outside_mm: length of the nerve beyond the computed box.

    The strictest criterion rules: *covered* when each reaches the critical length at the drawn position
    and at the stated chance; *not covered* when some criterion leaves the nerve untouched at its drawn
    position; *partly covered* in between.
    """
    if not verdict_allowed:
        return (
            "no verdict",
            "This kind of delivery or target gets fields and evidence, never a verdict by nerve length.",
        )
    deciding = [item for item in found if item.criterion not in undecided]
    if not deciding:
        return "no verdict", "No criterion can be decided on this nerve."
    verdict = _verdict(deciding, rules)
    return verdict, _reason(verdict, found, undecided, rules, outside_mm)


def criteria_disagree(
    found: Sequence[CriterionInjury], undecided: frozenset[str], rules: InjuryRules
) -> bool:
    """Whether the criteria that decide differ in longest lesioned length by more than the stated amount."""
    lengths = [item.longest_lesioned_mm for item in found if item.criterion not in undecided]
    return bool(lengths) and max(lengths) - min(lengths) > rules.disagreement.value


def _verdict(deciding: Sequence[CriterionInjury], rules: InjuryRules) -> Coverage:
    if min(item.longest_lesioned_mm for item in deciding) <= 0:
        return "not covered"
    long_enough = all(item.longest_lesioned_mm >= rules.critical_length.value for item in deciding)
    likely = all((item.probability_critical or 0.0) >= rules.covered_probability.value for item in deciding)
    return "covered" if long_enough and likely else "partly covered"


def _reason(
    verdict: Coverage,
    found: Sequence[CriterionInjury],
    undecided: frozenset[str],
    rules: InjuryRules,
    outside_mm: float,
) -> str:
    critical = rules.critical_length.value
    chance = rules.covered_probability.value
    parts = [
        f"Rule: covered when every criterion reaches {critical:g} mm without a gap at the drawn position and "
        f"in {chance:.0%} of positions; not covered when some criterion leaves the nerve untouched; "
        f"else partly covered."
    ]
    parts += [_by_criterion(item, item.criterion in undecided, critical) for item in found]
    if outside_mm > 0:
        parts.append(f"{outside_mm:.1f} mm of the nerve lies outside the computed box: not lesioned.")
    return " ".join([*parts, f"Hence {verdict}."])


def _by_criterion(item: CriterionInjury, left_out: bool, critical_mm: float) -> str:
    text = f"{item.label}: {item.longest_lesioned_mm:.1f} mm"
    if left_out:
        return f"{text}, takes no part."
    if item.probability_critical is None:
        return f"{text}."
    return f"{text}, {critical_mm:g} mm in {item.probability_critical:.0%}."
