"""Flow and transport of an injected agent: exact solutions, orders of convergence, balances, refusals."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurolysis.errors import InputError
from neurolysis.physics import transport
from neurolysis.physics.backend import load_jax
from neurolysis.physics.flow import SCALE, flow_arrays, solve_flow
from neurolysis.physics.grid import Axis, TensorGrid
from neurolysis.physics.infusion import Spread, StepRule, run_infusion
from neurolysis.physics.porous import Fluid, Infusion, Medium, Source
from neurolysis.physics.transport import Carried, Stream, advance

jnp = load_jax().numpy

ML = 1e-6
PLAIN = Fluid(np.array([1e-3, 1e-3]), np.array([1000.0, 1000.0]))


def cube(count: int, side_mm: float) -> TensorGrid:
    """A cube of even cells round the origin."""
    axis = Axis(np.linspace(-0.5, 0.5, count + 1) * side_mm * 1e-3)
    return TensorGrid((axis,) * 3)


def medium(grid: TensorGrid, **changes: object) -> Medium:
    """One tissue everywhere, fat-like, without losses."""
    one = np.ones(grid.shape)
    k = 1e-11 * one
    values: dict[str, object] = {
        "open": np.ones(grid.shape, bool),
        "permeability": (k,) * one.ndim,
        "porosity": 0.2 * one,
        "water": 0.2 * one,
        "storage": 1e-8 * one,
        "leak": 0.0 * one,
        "perfusion": 0.0 * one,
        "diffusivity": 0.0 * one,
    }
    return Medium(**{**values, **changes})  # type: ignore[arg-type]


def source_at(cell: tuple[int, ...], volume_ml: float = 1.0, minutes: float = 1.0) -> Source:
    """A point source."""
    return Source(np.array([cell]), np.ones(1), volume_ml * ML / (60 * minutes), 0.0, 60 * minutes)


def pressures(problem: Infusion, dt: float = 1e9) -> tuple[np.ndarray, object]:
    """Steady pressure (Pa) and the flow of a problem's first source."""
    arrays = flow_arrays(problem)
    zeros = jnp.zeros(problem.grid.shape, jnp.float32)
    inflow = np.zeros(problem.grid.shape)
    one = problem.sources[0]
    np.add.at(inflow, tuple(one.cells.T), SCALE * one.rate_m3_per_s * one.shares)
    flow = solve_flow(
        arrays, zeros, arrays.pores, zeros, jnp.asarray(inflow, jnp.float32), jnp.float32(dt),
        jnp.float32(1e-6), jnp.float32(1.0), jnp.float32(1.0),
    )  # fmt: skip
    return np.asarray(flow.pressure, float), flow


# --- pressure ------------------------------------------------------------------------------------------


def test_pressure_round_a_point_follows_darcys_law() -> None:
    """Between two radii p1 - p2 = Q mu / (4 pi k) (1 / r1 - 1 / r2), in the same box far from its faces."""
    grid = cube(65, 97.5)
    problem = Infusion(grid, medium(grid), PLAIN, (source_at((32, 32, 32)),), 60.0)
    p, _ = pressures(problem)
    q = problem.sources[0].rate_m3_per_s
    line, x = p[32:, 32, 32], grid.axes[0].centres[32:]
    near, far = 8, 20
    exact = q * 1e-3 / (4 * np.pi * 1e-11) * (1 / x[near] - 1 / x[far])
    assert line[near] - line[far] == pytest.approx(exact, rel=0.02)


def test_pressure_between_cylinders_is_exact_on_rings() -> None:
    """p(r) = Q mu / (2 pi k H) ln(R / r): the ring conductances hold the logarithm exactly."""
    rings = Axis(np.linspace(0.0, 20e-3, 41), radial=True)
    height = Axis(np.linspace(0.0, 8e-3, 9))
    grid = TensorGrid((rings, height))
    cells = np.array([[0, k] for k in range(8)])
    source = Source(cells, np.full(8, 1 / 8), 1e-8, 0.0, 60.0)
    one = np.ones(grid.shape)
    # Hardly any flow along the axis: the ends of the cylinder count as closed.
    tissue = medium(grid, permeability=(1e-11 * one, 1e-20 * one))
    p, _ = pressures(Infusion(grid, tissue, PLAIN, (source,), 60.0))
    r = rings.centres
    exact = 1e-8 * 1e-3 / (2 * np.pi * 1e-11 * 8e-3) * np.log(20e-3 / r)
    assert p[1:, 4] == pytest.approx(exact[1:], rel=2e-3)


def test_heavy_fluid_rests_in_a_closed_box() -> None:
    """A box full of heavy fluid does not move; its pressure rises downwards by (rho - rho0) g h."""
    grid = cube(16, 32.0)
    fluid = Fluid(np.array([1e-3, 1e-3]), np.array([1000.0, 1200.0]))
    problem = Infusion(
        grid, medium(grid), fluid, (source_at((8, 8, 8), 1e-6),), 60.0, gravity=(0, 0, -9.81), sealed=True
    )
    arrays = flow_arrays(problem)
    ones, zeros = jnp.ones(grid.shape, jnp.float32), jnp.zeros(grid.shape, jnp.float32)
    flow = solve_flow(
        arrays, ones, arrays.pores, zeros, zeros, jnp.float32(1.0), jnp.float32(1e-7), jnp.float32(1.0),
        jnp.float32(1.0),
    )  # fmt: skip
    p = np.asarray(flow.pressure, float)
    rise = p[8, 8, 2] - p[8, 8, 13]
    assert rise == pytest.approx(200 * 9.81 * 11 * 2e-3, rel=1e-3)
    speed = max(float(np.abs(np.asarray(f)).max()) for f in flow.flux) / SCALE / (2e-3) ** 2
    assert speed < 1e-3 * 1e-11 * 200 * 9.81 / 1e-3


def test_walls_let_nothing_through() -> None:
    """A wall across the box keeps the far side at rest."""
    grid = cube(24, 24.0)
    inside = np.ones(grid.shape, bool)
    inside[14] = False
    p, flow = pressures(Infusion(grid, medium(grid, open=inside), PLAIN, (source_at((6, 12, 12)),), 60.0))
    assert np.abs(p[15:]).max() < 1e-5 * p.max()
    assert float(np.abs(np.asarray(flow.flux[0])[14:16]).max()) == 0.0  # type: ignore[attr-defined]


def test_jumps_of_permeability_do_not_break_the_solver() -> None:
    """Contrast of a thousand with scattered walls: it converges, and what goes in comes out."""
    from scipy.ndimage import gaussian_filter

    grid = cube(32, 48.0)
    noise = np.random.default_rng(3)
    k = np.where(gaussian_filter(noise.standard_normal(grid.shape), 3) > 0, 1e-11, 1e-14)
    inside = gaussian_filter(noise.standard_normal(grid.shape), 3) < 0.05
    inside[14:18, 14:18, 14:18] = True
    tissue = medium(grid, permeability=(k, k, 5 * k), open=inside)
    _, flow = pressures(Infusion(grid, tissue, PLAIN, (source_at((16, 16, 16)),), 60.0))
    ends = sum(
        float(np.asarray(f, float).take(-1, a).sum() - np.asarray(f, float).take(0, a).sum())
        for a, f in enumerate(flow.flux)  # type: ignore[attr-defined]
    )
    assert ends == pytest.approx(SCALE * ML / 60, rel=1e-3)
    assert int(flow.iterations) < 120  # type: ignore[attr-defined]


# --- transport -----------------------------------------------------------------------------------------


def drift(count: int, turns: int = 40) -> float:
    """Mean error after a smooth bump has moved 0.2 of a periodic-like line in a straight flow."""
    axis = Axis(np.linspace(0.0, 1.0, count + 1))
    side = Axis(np.linspace(0.0, 1.0, 4))
    grid = TensorGrid((axis, side, side))
    x = axis.centres
    volumes = jnp.asarray(grid.volumes, jnp.float32)
    start = np.exp(-(((x - 0.3) / 0.1) ** 2))
    state = Carried(volumes, jnp.asarray(np.broadcast_to(start[:, None, None], grid.shape), jnp.float32))
    area = 1 / 9
    flux = (
        jnp.full((count + 1, 3, 3), area, jnp.float32),
        jnp.zeros((count, 4, 3), jnp.float32),
        jnp.zeros((count, 3, 4), jnp.float32),
    )
    zeros = jnp.zeros(grid.shape, jnp.float32)
    spread = tuple(
        jnp.zeros(tuple(n + (k == a) for k, n in enumerate(grid.shape)), jnp.float32) for a in range(3)
    )
    steps = turns * count // 40
    end, _, _ = advance(state, Stream(flux, zeros, zeros, spread, zeros), 0.2, count=steps)
    exact = np.exp(-(((x - 0.5) / 0.1) ** 2))
    return float(np.abs(np.asarray(end.part)[:, 1, 1] - exact).mean())


def test_moving_a_bump_converges_at_second_order() -> None:
    """Halving the cells divides the mean error by nearly four (the peak is clipped: a little less)."""
    errors = [drift(count) for count in (40, 80, 160)]
    orders = [np.log2(a / b) for a, b in pairwise(errors)]
    assert min(orders) > 1.6, (errors, orders)


def test_a_sharp_front_stays_within_its_bounds() -> None:
    """A step in a diverging flow neither overshoots nor goes below zero."""
    grid = cube(24, 24.0)
    found = run_infusion(Infusion(grid, medium(grid), PLAIN, (source_at((12, 12, 12), 1.0),), 90.0))
    assert found.bounds[0] >= -1e-6
    assert found.bounds[1] <= 1 + 1e-5


def test_diffusion_widens_by_two_d_t() -> None:
    """The variance along an axis grows by 2 D t, whatever the shape (exact for pure diffusion)."""
    grid = cube(32, 32.0)
    d = 1e-8
    problem = Infusion(
        grid,
        medium(grid, diffusivity=d * np.ones(grid.shape)),
        PLAIN,
        (source_at((16, 16, 16), 0.02, 0.02),),
        600.0,
    )
    rule = StepRule(after_longest_s=20.0)
    ends = [run_infusion(_until(problem, t), rule=rule) for t in (200.0, 600.0)]
    x = grid.axes[0].centres
    variances = []
    for end in ends:
        weight = end.part.sum(axis=(1, 2)) / end.part.sum()
        variances.append(float((weight * x**2).sum() - (weight * x).sum() ** 2))
    assert variances[1] - variances[0] == pytest.approx(2 * d * 400.0, rel=0.02)


def _until(problem: Infusion, total_s: float) -> Infusion:
    from dataclasses import replace

    return replace(problem, total_s=total_s)


def diffused_ball(count: int) -> float:
    """Relative error at the middle of a ball of agent that only diffuses (Crank 1975, section 3.3.1)."""
    from scipy.special import erf

    grid = cube(count, 24.0)
    centres = grid.centres()
    radius, d, time_s = 4e-3, 1e-9, 1000.0
    distance = np.linalg.norm(centres, axis=-1)
    width = grid.axes[0].widths[0]
    # Cells cut by the surface hold their share, so that the ball's volume does not depend on the grid.
    share = np.clip(0.5 - (distance - radius) / width, 0, 1)
    share *= 4 / 3 * np.pi * radius**3 / (share.sum() * width**3)
    state = Carried(jnp.asarray(grid.volumes * SCALE, jnp.float32), jnp.asarray(share, jnp.float32))
    spread, flux = [], []
    for axis in range(3):
        inner = tuple(n - (k == axis) for k, n in enumerate(grid.shape))
        ends = [(1, 1) if k == axis else (0, 0) for k in range(3)]
        spread.append(np.pad(np.full(inner, SCALE * d * width), ends))
        flux.append(np.zeros_like(spread[-1]))
    zeros = np.zeros(grid.shape)
    steps = int(np.ceil(time_s / (0.1 * width**2 / d)))
    end, _, _ = advance(state, Stream(tuple(flux), zeros, zeros, tuple(spread), zeros), time_s, count=steps)
    length = 2 * np.sqrt(d * time_s)
    exact = erf(radius / length) - 2 * radius / (length * np.sqrt(np.pi)) * np.exp(-((radius / length) ** 2))
    middle = np.asarray(end.part)[count // 2, count // 2, count // 2]
    return abs(float(middle) - float(exact)) / float(exact)


def test_a_ball_of_agent_diffuses_as_crank_says() -> None:
    """The middle of a diffusing ball follows the exact solution, closer on finer grids."""
    coarse, fine = diffused_ball(17), diffused_ball(33)
    assert fine < 0.02
    assert fine < coarse


def carried_point_source(count: int, *, cut: bool = True) -> float:
    """Largest error, part of the peak, of agent released at a point in a straight flow that also diffuses.

    ``cut``: in steps chosen here, else in as many as the transport itself chooses.
    Exact (unit release): C = (4 pi D t)^(-3/2) exp(-|x - x0 - u t|^2 / (4 D t)), t from 0.2 to 0.5.
    """
    d, speed, since, until = 0.005, 1.0, 0.2, 0.5
    long, side = Axis(np.linspace(0.0, 1.0, count + 1)), Axis(np.linspace(-0.25, 0.25, count // 2 + 1))
    grid = TensorGrid((long, side, side))
    width = 1.0 / count

    def exact(t: float) -> np.ndarray:
        away = grid.centres() - np.array([0.1 + speed * t, 0.0, 0.0])
        found: np.ndarray = np.exp(-(away**2).sum(axis=-1) / (4 * d * t)) / (4 * np.pi * d * t) ** 1.5
        return found

    whole = exact(since).max()
    flux, spread = [], []
    for axis in range(3):
        inner = tuple(n - (k == axis) for k, n in enumerate(grid.shape))
        spread.append(np.pad(np.full(inner, d * width), [(1, 1) if k == axis else (0, 0) for k in range(3)]))
        flux.append(np.full_like(spread[-1], speed * width**2 if axis == 0 else 0.0))
    zeros = np.zeros(grid.shape)
    state = Carried(grid.volumes.astype(np.float32), (exact(since) / whole).astype(np.float32))
    # Steps in which no cell is flushed by flow and diffusion together: all of it is the limited scheme.
    steps = int(np.ceil((until - since) * (speed / width + 6 * d / width**2) / 0.45))
    stream = Stream(tuple(flux), zeros, zeros, tuple(spread), zeros)
    end, _, _ = advance(state, stream, until - since, count=steps if cut else None)
    return float(np.abs(np.asarray(end.part) * whole - exact(until)).max() / exact(until).max())


def test_a_point_source_is_carried_and_diffuses_at_once() -> None:
    """Within 2 % of the peak, and about four times closer on cells of half the size."""
    coarse, fine = carried_point_source(40), carried_point_source(80)
    assert fine < 0.02
    assert coarse / fine > 2.8


def test_steps_set_by_diffusion_leave_the_flow_its_second_order() -> None:
    """Steps that diffusion asks for once made every cell fast, and the flow first order: ten times worse."""
    assert carried_point_source(40, cut=False) < 1.5 * carried_point_source(40)


def filled(count: int) -> dict[float, float]:
    """Volume (mL) at or above parts of the injected strength after 2 mL into pores of 0.2."""
    grid = cube(count, 48.0)
    middle = (count // 2,) * 3
    found = run_infusion(Infusion(grid, medium(grid), PLAIN, (source_at(middle, 2.0, 1.0),), 61.0))
    return {part: float(grid.volumes[found.part >= part].sum()) / ML for part in (0.1, 0.5, 0.9)}


def test_an_injection_fills_a_ball_of_its_volume_over_the_porosity() -> None:
    """Without diffusion or losses the agent fills V / phi = 10 mL, with a front that fine grids sharpen."""
    coarse, fine = filled(24), filled(48)
    assert fine[0.5] == pytest.approx(10.0, rel=0.045)
    assert abs(fine[0.5] - 10.0) <= abs(coarse[0.5] - 10.0) + 0.05
    assert fine[0.9] < 10.0 < fine[0.1]
    assert fine[0.1] - fine[0.9] < 0.7 * (coarse[0.1] - coarse[0.9])


@pytest.mark.parametrize("worth", [1, 10**9])
def test_the_threads_do_not_change_the_result(worth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """All threads and a single one give the same bits; a small grid takes one by itself."""
    from numba import get_num_threads, set_num_threads

    grid = cube(20, 30.0)
    problem = Infusion(grid, medium(grid), PLAIN, (source_at((10, 10, 10), 0.5),), 90.0)
    threads, used = get_num_threads(), []
    apply_moves = transport.upstream.apply_moves

    def noted(*given: object) -> None:
        used.append(get_num_threads())
        apply_moves(*given)

    plain = run_infusion(problem).part
    monkeypatch.setattr(transport, "CELLS_A_THREAD", worth)
    monkeypatch.setattr(transport.upstream, "apply_moves", noted)
    assert np.array_equal(plain, run_infusion(problem).part)
    assert set(used) == {threads if worth == 1 else 1}
    assert get_num_threads() == threads, "what the caller had set is set again"
    set_num_threads(threads)


def test_everything_injected_is_accounted_for() -> None:
    """Still water, blood, leak, walls, gravity and thick fluid at once: volume and agent kept to 0.1 %."""
    grid = cube(32, 48.0)
    one = np.ones(grid.shape)
    inside = np.ones(grid.shape, bool)
    inside[20:, :, :12] = False
    tissue = medium(
        grid, open=inside, water=0.6 * one, storage=1e-5 * one, leak=1e-6 * one, perfusion=1e-3 * one,
        diffusivity=1e-9 * one,
    )  # fmt: skip
    fluid = Fluid(np.array([0.7e-3, 2e-3, 0.9e-3]), np.array([1000.0, 900.0, 790.0]), exchange_per_s=0.01)
    sources = (source_at((14, 16, 16), 3.0), source_at((10, 18, 20), 2.0))
    found = run_infusion(Infusion(grid, tissue, fluid, sources, 600.0, gravity=(0, -9.81, 0)))
    assert found.volume_error < 1e-3
    assert found.mass_error < 1e-3
    terms = found.trace.agent_mm3
    assert min(float(terms[name][-1]) for name in ("mobile", "still", "blood", "leaked")) > 0
    assert found.bounds[0] >= -1e-6
    assert found.bounds[1] <= 1 + 1e-5


def test_a_light_agent_rises() -> None:
    """Where weight may act, a light agent ends above the needle and a heavy one below it."""
    grid = cube(32, 48.0)
    heights = {}
    for name, density in (("light", 790.0), ("heavy", 1260.0)):
        fluid = Fluid(np.array([1e-3, 1e-3]), np.array([1000.0, density]))
        problem = Infusion(
            grid, medium(grid), fluid, (source_at((16, 16, 16)),), 400.0, gravity=(0, 0, -9.81)
        )
        part = run_infusion(problem).part
        z = grid.axes[2].centres
        heights[name] = float((part.sum(axis=(0, 1)) * z).sum() / part.sum())
    assert heights["light"] > 2e-3 > -2e-3 > heights["heavy"]


def test_the_tissue_at_rest_holds_its_fluid() -> None:
    """With little permeability left at rest, weight moves the agent hardly at all."""
    from dataclasses import replace

    grid = cube(24, 36.0)
    fluid = Fluid(np.array([1e-3, 1e-3]), np.array([1000.0, 790.0]))
    free = Infusion(grid, medium(grid), fluid, (source_at((12, 12, 12)),), 300.0, gravity=(0, 0, -9.81))
    tight = replace(free, rest_share=1e-3)
    z = grid.axes[2].centres

    def height(found: Spread) -> float:
        return float((found.part.sum(axis=(0, 1)) * z).sum() / found.part.sum())

    held, risen = height(run_infusion(tight)), height(run_infusion(free))
    assert abs(held - height(run_infusion(replace(tight, gravity=())))) < 0.1 * (risen - held)


@settings(max_examples=8, deadline=None)
@given(
    porosity=st.floats(0.05, 0.9),
    decades=st.floats(-14, -10),
    volume_ml=st.floats(0.05, 1.5),
    extra=st.floats(0.0, 0.5),
)
def test_balances_hold_for_any_tissue(
    porosity: float, decades: float, volume_ml: float, extra: float
) -> None:
    """Property: volume and agent are conserved and bounded whatever the constants are."""
    grid = cube(16, 32.0)
    one = np.ones(grid.shape)
    tissue = medium(
        grid, permeability=(10**decades * one,) * 3, porosity=porosity * one,
        water=min(1.0, porosity + extra) * one, storage=1e-6 * one, diffusivity=1e-9 * one,
    )  # fmt: skip
    fluid = Fluid(np.array([1e-3, 1e-3]), np.array([1000.0, 1000.0]), exchange_per_s=0.02)
    found = run_infusion(Infusion(grid, tissue, fluid, (source_at((8, 8, 8), volume_ml),), 120.0))
    assert found.volume_error < 1e-3
    assert found.mass_error < 1e-3
    assert found.bounds[0] >= -1e-6
    assert found.bounds[1] <= 1 + 1e-4


# --- refusals ------------------------------------------------------------------------------------------


def test_a_closed_space_that_cannot_give_way_is_refused() -> None:
    """A sealed box needs a storage or a leak; a pocket of wall inside an open box too."""
    grid = cube(12, 12.0)
    stiff = medium(grid, storage=np.zeros(grid.shape))
    with pytest.raises(InputError, match="closed space"):
        Infusion(grid, stiff, PLAIN, (source_at((6, 6, 6)),), 60.0, sealed=True)
    pocket = np.ones(grid.shape, bool)
    pocket[3:10, 3:10, 3:10] = False
    pocket[5:8, 5:8, 5:8] = True
    stiff = medium(grid, storage=np.zeros(grid.shape), open=pocket)
    with pytest.raises(InputError, match="closed space"):
        Infusion(grid, stiff, PLAIN, (source_at((6, 6, 6)),), 60.0)
    Infusion(grid, medium(grid, open=pocket), PLAIN, (source_at((6, 6, 6)),), 60.0)


def test_a_closed_space_that_leaks_keeps_its_volume() -> None:
    """A sealed box with a leak: what goes in drains or stays, nothing else."""
    grid = cube(12, 24.0)
    one = np.ones(grid.shape)
    tissue = medium(grid, storage=1e-7 * one, leak=1e-6 * one)
    found = run_infusion(Infusion(grid, tissue, PLAIN, (source_at((6, 6, 6), 0.5),), 600.0, sealed=True))
    assert found.volume_error < 1e-3
    assert float(found.trace.agent_mm3["crossed"][-1]) == 0.0


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"porosity": 0.0}, "porosity"),
        ({"porosity": 1.5}, "porosity"),
        ({"water": 0.1}, "water"),
        ({"storage": -1.0}, "storage"),
        ({"perfusion": np.nan}, "perfusion"),
    ],
)
def test_bad_tissue_is_refused(change: dict[str, float], words: str) -> None:
    """Each bad constant is named."""
    grid = cube(8, 8.0)
    with pytest.raises(InputError, match=words):
        medium(grid, **{name: value * np.ones(grid.shape) for name, value in change.items()})


def test_bad_sources_and_fluids_are_refused() -> None:
    """Nothing injected, a source in a wall, shares that do not add up, a run that ends too early."""
    grid = cube(8, 8.0)
    good = source_at((4, 4, 4))
    inside = np.ones(grid.shape, bool)
    inside[4, 4, 4] = False
    with pytest.raises(InputError, match="nothing is injected"):
        Infusion(grid, medium(grid), PLAIN, (), 60.0)
    with pytest.raises(InputError, match="wall"):
        Infusion(grid, medium(grid, open=inside), PLAIN, (good,), 60.0)
    with pytest.raises(InputError, match="ends before"):
        Infusion(grid, medium(grid), PLAIN, (good,), 30.0)
    with pytest.raises(InputError, match="add up"):
        Source(np.array([[4, 4, 4]]), np.array([0.5]), 1e-8, 0.0, 60.0)
    with pytest.raises(InputError, match="rate"):
        source_at((4, 4, 4), 0.0)
    with pytest.raises(InputError, match="above 0"):
        Fluid(np.array([0.0, 1.0]), np.array([1000.0, 1000.0]))
