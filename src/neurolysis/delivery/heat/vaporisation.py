"""Constants of boiling and of the skin's surface: none had a source in what was read, all are assumptions."""

from __future__ import annotations

from neurolysis.quantity import Quantity

_NONE_READ = "assumption: no source for it was read; it acts only where tissue passes 99 C"

LATENT_HEAT_J_PER_M3 = Quantity(
    value=1.8e9,
    unit="J/m3",
    low=1.4e9,
    high=2.2e9,
    basis="assumption",
    source=_NONE_READ + " (water of soft tissue turned to steam)",
)
BOILING_C = Quantity(
    value=100.0,
    unit="°C",
    basis="assumption",
    source=_NONE_READ
    + "; a liver solver cuts at 110 C (gosmart_liver) and one source has k fall above 100 C",
)
BOILING_WIDTH_C = Quantity(value=2.0, unit="K", basis="assumption", source=_NONE_READ)
STEAM_CONDUCTIVITY_RATIO = Quantity(
    value=0.01, unit="1", low=0.001, high=0.1, basis="assumption", source=_NONE_READ
)
SKIN_FILM_W_PER_M2_K = Quantity(
    value=10.0,
    unit="W/(m2 K)",
    low=5.0,
    high=25.0,
    basis="assumption",
    source="assumption: no film coefficient of skin in still air was read",
)
ROOM_C = Quantity(
    value=22.0, unit="°C", low=18.0, high=26.0, basis="assumption", source="assumption: room temperature"
)
CONDUCTIVITY_CAP_C = Quantity(
    value=100.0,
    unit="°C",
    basis="assumption",
    source="assumption: the reference bench case holds conductivity above 100 C (rf_case_1)",
)
"""Above this conductivity no longer rises."""


def boiling_assumptions() -> tuple[tuple[str, Quantity], ...]:
    """Numbers of boiling and of the skin's surface, named where they act."""
    return (
        ("latent heat of boiling tissue", LATENT_HEAT_J_PER_M3),
        ("boiling point", BOILING_C),
        ("conductivity of steamed tissue, share of the tissue's", STEAM_CONDUCTIVITY_RATIO),
    )
