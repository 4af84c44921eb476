"""From the protocol to the solver's phases and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from neurolysis.delivery.radiofrequency.protocol import RadiofrequencyProtocol
from neurolysis.instrument import Generator

if TYPE_CHECKING:
    from neurolysis.physics.problem import Limits
    from neurolysis.physics.schedule import Phase

UNLIMITED = 1e9


def phases(protocol: RadiofrequencyProtocol, start_c: float, refresh_s: float) -> tuple[Phase, ...]:
    """The stretches between breakpoints; ``start_c`` is where the ramp begins."""
    from neurolysis.physics.schedule import NO_CEILING_C, POWER, TEMPERATURE, VOLTAGE, Phase

    ceiling = protocol.temperature_ceiling_c or NO_CEILING_C
    if protocol.mode == "temperature":
        target = float(protocol.set_temperature_c or 0.0)
        hold = protocol.duration_s - protocol.ramp_s
        return (
            Phase(protocol.ramp_s, TEMPERATURE, start_c, target, ceiling_c=ceiling),
            Phase(hold, TEMPERATURE, target, target, ceiling_c=ceiling, refresh_s=refresh_s),
        )
    mode = POWER if protocol.mode == "power" else VOLTAGE
    value = float((protocol.power_w if mode == POWER else protocol.voltage_v) or 0.0)
    early = min(10.0, protocol.duration_s / 2)
    first = Phase(early, mode, value, value, protocol.duty, ceiling)
    rest = Phase(protocol.duration_s - early, mode, value, value, protocol.duty, ceiling, refresh_s)
    return first, rest


def limits(generator: Generator | None, path_ohm: float) -> Limits:
    """The generator's limits; none at all without a generator (an ideal source)."""
    from neurolysis.physics.problem import Limits

    if generator is None:
        return Limits(UNLIMITED, UNLIMITED, UNLIMITED, 0.0, UNLIMITED, path_ohm)
    return Limits(
        power=generator.maximum_power_w.value,
        voltage=generator.maximum_voltage_v.value,
        current=generator.maximum_current_a.value,
        low_ohm=generator.minimum_impedance_ohm.value,
        high_ohm=generator.maximum_impedance_ohm.value,
        path_ohm=path_ohm,
    )
