"""Diffusion into a nerve and layers in a channel, against exact solutions."""

from __future__ import annotations

import numpy as np
import pytest

from neurolysis.errors import InputError
from neurolysis.evidence.agent_injury import agent_injury
from neurolysis.nerve.agent_dose import BAND, killed_share
from neurolysis.physics.gravity_current import Channel, run_layer
from neurolysis.physics.sheath import bathe


def test_a_bathed_cylinder_fills_as_crank_says() -> None:
    """Mean concentration of a bare cylinder: 1 - sum 4 / a_n^2 exp(-D a_n^2 t / R^2) (Crank 1975, 5.23)."""
    from scipy.special import jn_zeros

    radius, d, time_s = 0.5e-3, 5e-10, 120.0
    roots = jn_zeros(0, 200)
    exact = 1 - float((4 / roots**2 * np.exp(-d * roots**2 * time_s / radius**2)).sum())
    found = bathe(np.ones(1), np.array([time_s]), radius_m=radius, diffusivity=d, sheath=1.0, above=0.5)
    assert float((found.shares * found.concentration[0]).sum()) == pytest.approx(exact, rel=0.01)


def test_a_sheath_slows_the_uptake() -> None:
    """A tighter sheath lets less in, in the same time."""
    held = [
        float((b.shares * b.concentration[0]).sum())
        for b in (
            bathe(np.ones(1), np.array([60.0]), radius_m=5e-4, diffusivity=5e-10, sheath=s, above=0.5)
            for s in (0.01, 0.1, 1.0)
        )
    ]
    assert held[0] < held[1] < held[2]


@pytest.mark.parametrize("bad", [{"radius_m": 0.0}, {"diffusivity": -1.0}, {"sheath": 0.0}, {"sheath": 2.0}])
def test_bad_nerves_are_refused(bad: dict[str, float]) -> None:
    """Radius, diffusivity and sheath have their ranges."""
    good = {"radius_m": 5e-4, "diffusivity": 5e-10, "sheath": 0.5}
    with pytest.raises(InputError, match="nerve"):
        bathe(np.ones(1), np.ones(1), above=0.5, **{**good, **bad})


def test_the_band_is_ordered_and_grows_with_concentration_and_time() -> None:
    """More agent, or longer, never kills less; mild never more than severe."""
    percents, minutes = np.array([0.0, 5.0, 20.0, 50.0, 95.0]), np.array([0.0, 0.1, 1.0, 10.0])
    for agent in agent_injury().agents:
        by_member = [
            np.array([killed_share(agent, percents, np.full(5, t), radius_mm=0.6, member=m) for t in minutes])
            for m in BAND
        ]
        for table in by_member:
            assert np.all(np.diff(table, axis=0) >= -1e-12)
            assert np.all(np.diff(table, axis=1) >= -1e-12)
            assert np.all(table[0] == 0)
            assert np.all(table[:, 0] == 0)
        assert np.all(by_member[0] <= by_member[1])
        assert np.all(by_member[1] <= by_member[2])


def test_one_model_holds_both_alcohol_experiments() -> None:
    """10-50 % on bare nerve injures a rim and spares the core; 30 % round a nerve does nothing."""
    rims = [
        float(killed_share("ethanol", [c], [t], radius_mm=0.5, bare=True)[0])
        for c, t in ((10.0, 0.25), (50.0, 0.25), (50.0, 1.0))
    ]
    assert 0 < rims[0] < rims[1] < rims[2] < 0.95
    diluted = 30 * 0.124 / 0.755
    for member in BAND:
        assert killed_share("ethanol", [diluted], [60.0], radius_mm=0.5, member=member)[0] == 0


def test_a_viscous_layer_spreads_as_huppert_says() -> None:
    """Front of a constant volume on the level: 1.411 (g' A^3 / (3 nu))^(1/5) t^(1/5)."""
    x = np.linspace(-0.3, 0.3, 601)
    area, g, nu = 1e-4, 1.0, 1e-4
    layer = run_layer(
        Channel(x, 0.02, 10.0, 0.0), reduced_gravity=g, viscosity_m2_per_s=nu,
        rate_m3_per_s=area * 0.02 / 0.01,
        inflow_s=0.01, inflow_cells=np.array([300]), times_s=np.array([4.0, 16.0]),
    )  # fmt: skip
    for t, h in zip((4.0, 16.0), layer.thickness, strict=True):
        reach = float(x[h > 0.02 * h.max()].max())
        # Huppert's current runs one way from a wall: the two-sided one carries half the volume each way.
        one_way = 1.411 * (g * (area / 2) ** 3 / (3 * nu)) ** 0.2 * t**0.2
        assert reach == pytest.approx(one_way, rel=0.04)
    assert layer.volume_error < 1e-3


def test_a_layer_on_a_slope_runs_down_it() -> None:
    """The middle of the volume moves the way the slope falls; its volume is kept."""
    x = np.linspace(-0.15, 0.15, 301)
    middles = []
    for slope in (-0.2, 0.0, 0.2):
        layer = run_layer(
            Channel(x, 0.015, 0.015, slope), reduced_gravity=2.0, viscosity_m2_per_s=1e-6, rate_m3_per_s=1e-8,
            inflow_s=30.0, inflow_cells=np.array([150]), times_s=np.array([30.0]),
        )  # fmt: skip
        h = layer.thickness[-1]
        middles.append(float((h * x).sum() / h.sum()))
        assert layer.volume_error < 1e-2
    assert middles[0] < -1e-3 < middles[1] < 1e-3 < middles[2]
