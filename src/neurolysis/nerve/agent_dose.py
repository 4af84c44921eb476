"""Injury of a nerve by an agent around it: how much of its cross-section is killed, as a band.

Concentration, time and sheath count together: what surrounds the nerve diffuses in through the sheath, and
a ring dies where its concentration stays at the lethal one for the lethal time. The three members of a band
(mild, middle, severe) take every constant at the same end.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neurolysis.evidence.agent_injury import AgentInjury, Case3, agent_injury, end_of
from neurolysis.physics.sheath import bathe

BAND: tuple[Case3, ...] = ("mild", "middle", "severe")
_ENDS = {"mild": ("low", "high"), "middle": ("value", "value"), "severe": ("high", "low")}
"""For each member: the end of constants that help the agent in, and of those that hinder it."""
REST_S = 120.0
"""How long the nerve is followed after its bath."""


def killed_share(
    agent: str,
    percent: ArrayLike,
    minutes: ArrayLike,
    *,
    radius_mm: float,
    member: Case3 = "middle",
    bare: bool = False,
    record: AgentInjury | None = None,
) -> NDArray[np.float64]:
    """Share (n,) of a nerve's cross-section that is killed, 0 to 1.

    Args:
        agent: an agent with an injury curve.
        percent: concentration round the nerve (n,); minutes: how long (n,).
        radius_mm: of the nerve.
        bare: True for a nerve without its sheath.

    Raises:
        UnknownNameError: no injury curve for this agent; lists those there are.
    """
    record = record or agent_injury()
    helps, hinders = _ENDS[member]
    dose = record.dose(agent)
    need_s = 60.0 * end_of(dose.lethal_min, hinders)  # type: ignore[arg-type]
    bathed = bathe(
        np.asarray(percent, float),
        60.0 * np.asarray(minutes, float),
        radius_m=radius_mm * 1e-3,
        diffusivity=end_of(record.nerve_diffusivity_m2_per_s, helps),  # type: ignore[arg-type]
        sheath=1.0 if bare else end_of(record.sheath_factor, helps),  # type: ignore[arg-type]
        above=end_of(dose.lethal_percent, hinders),  # type: ignore[arg-type]
        rest_s=REST_S,
    )
    killed: NDArray[np.float64] = (bathed.shares * (bathed.above_s >= need_s)).sum(axis=-1)
    return killed
