"""The three members of every prediction: constants that spread the agent little, as expected, and far.

No constant of spread was measured for these agents in these tissues, so a single contour would be a lie.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from neurolysis.evidence.agent_injury import end_of
from neurolysis.evidence.injectates import Injectate, exchange_half_time_min, porous_body

Member = Literal["narrow", "middle", "wide"]
MEMBERS: tuple[Member, ...] = ("narrow", "middle", "wide")

End = Literal["low", "value", "high"]
_FAR: dict[Member, End] = {"narrow": "low", "middle": "value", "wide": "high"}
_NEAR: dict[Member, End] = {"narrow": "high", "middle": "value", "wide": "low"}


@dataclass(frozen=True)
class Constants:
    """One member's constants that all tissues share, SI; tissues are asked by :meth:`tissue`."""

    member: Member
    diffusivity: float
    exchange_per_s: float
    perfusion_share: float
    grain_ratio: float
    fascia_factor: float
    backflow_m: float
    storage_per_pa: float
    leak_per_pa_s: float
    rest_share: float

    def tissue(self, name: str) -> tuple[float, float, float]:
        """Permeability (m2), porosity and water of a tissue.

        Permeability stays at its value: it sets the pressure, hardly the place of the agent. Less room in
        the pores carries the same volume further.
        """
        record = porous_body().tissue(name)
        near = _NEAR[self.member]
        porosity = end_of(record.porosity, near)
        return record.permeability_m2.value, porosity, max(porosity, end_of(record.water, near))


def constants(agent: Injectate, member: Member) -> Constants:
    """The constants of one member for one agent."""
    body = porous_body()
    far, near = _FAR[member], _NEAR[member]
    stops = agent.stops_perfusion and member == "wide"
    return Constants(
        member=member,
        diffusivity=end_of(agent.diffusivity_m2_per_s, far),
        exchange_per_s=math.log(2) / (60 * end_of(exchange_half_time_min(), far)),
        perfusion_share=0.0 if stops else 1.0,
        grain_ratio=end_of(body.grain_ratio, far),
        fascia_factor=end_of(body.fascia_factor, near),
        backflow_m=1e-3 * end_of(body.backflow_mm, far),
        storage_per_pa=1 / body.stiffness_pa.value,
        leak_per_pa_s=end_of(body.leak_per_pa_s, near),
        rest_share=end_of(body.rest_share, far),
    )
