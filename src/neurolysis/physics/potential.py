"""Quasi-static potential and Joule heat for unit applied voltage, and what steam does to conductivity.

div(s(T) grad u) = 0 with metal held at its share of the voltage, insulated shafts, and a grounded,
open or insulated outer boundary. Conjugate gradients preconditioned by fast diagonalisation.
"""

from __future__ import annotations

from typing import Any

from neurolysis.physics.backend import load_jax
from neurolysis.physics.linear import (
    apply_operator,
    conjugate_gradients,
    fast_inverse,
    graph_laplacian,
    split,
)
from neurolysis.physics.problem import Problem

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any


def conductivity(p: Problem, temperature: Array) -> Array:
    """Electrical conductivity, S/m, at a rise above the start.

    Linear in temperature, held above the cap, falling as steam forms.
    """
    m = p.materials
    warm = m.conductivity * (1 + m.slope * (jnp.minimum(temperature + p.zero_c, m.cap_c) - 37.0))
    steam = steam_fraction(p, temperature)
    return jnp.maximum(warm, 1e-6) * (1 - steam + steam * m.steam_conductivity)


def steam_fraction(p: Problem, temperature: Array) -> Array:
    """Share of the tissue's water turned to steam, 0 to 1, where latent heat is set; at a rise."""
    m = p.materials
    share = jnp.clip((temperature + p.zero_c - m.boil_c) / m.boil_width_c + 0.5, 0.0, 1.0)
    return jnp.where(m.latent > 0, share, 0.0)


def enthalpy(p: Problem, temperature: Array) -> Array:
    """Heat content per cell, J, zero at 0 C: capacity times T plus latent heat of steam."""
    return p.materials.capacity * temperature + p.materials.latent * steam_fraction(p, temperature)


def _electric_links(p: Problem, sigma: Array) -> tuple[Array, ...]:
    links = []
    for axis, (low, high) in enumerate(zip(p.electric_low, p.electric_high, strict=True)):
        below, above = split(sigma, axis)
        links.append(1.0 / (low / below + high / above))
    return tuple(links)


def solve_potential(
    p: Problem, sigma: Array, start: Array, tolerance: Array
) -> tuple[Array, Array, Array, Array]:
    """Unit potential, Joule heat per cell (W at 1 V), conductance (S, from the currents), iterations."""
    links = _electric_links(p, sigma)
    diagonal, padded = graph_laplacian(links, sigma * p.ground)

    def operator(x: Array) -> Array:
        return p.free * apply_operator(diagonal, padded, p.free * x)

    # A cell cut close to the metal is all but held: its own diagonal inverts it, the fast inverse the rest.
    zero = jnp.zeros_like(diagonal)
    jacobi = p.free / jnp.where(diagonal > 0, diagonal, 1.0)
    tied = -jacobi * apply_operator(zero, padded, 1 - p.free)
    loose = jnp.sqrt(jnp.maximum(p.free - tied, 0.0))

    def precondition(r: Array) -> Array:
        return loose * fast_inverse(p.modes, p.inverse, loose * r) + tied * jacobi * r

    # It starts where its links to metal pull it, else those links alone would set the tolerance.
    lifted = p.held - jacobi * apply_operator(zero, padded, p.held)
    rhs = -p.free * apply_operator(diagonal, padded, lifted)
    first = p.free * (start - lifted)
    free, count, _ = conjugate_gradients(operator, precondition, rhs, first, tolerance, 400)
    u = free + lifted
    current = apply_operator(diagonal, padded, u)
    conductance = jnp.sum((p.held * current).astype(jnp.float64)).astype(u.dtype)
    return u, _joule_heat(p, sigma, links, u), conductance, count


def _joule_heat(p: Problem, sigma: Array, links: tuple[Array, ...], u: Array) -> Array:
    """Heat per cell for unit voltage: each link's g (du)^2 goes to its sides by their resistance."""
    heat = sigma * p.ground * u**2
    for axis, link in enumerate(links):
        below, _above = split(sigma, axis)
        u_low, u_high = split(u, axis)
        power = link * (u_high - u_low) ** 2
        low = jnp.nan_to_num(link * p.electric_low[axis] / below)
        # A link that ends on metal: half to either end, as a linear element would load its nodes.
        # All of it in the tissue would sit too far from the metal and heat the tissue too much.
        ends_on_metal = (p.electric_low[axis] == 0) | (p.electric_high[axis] == 0)
        low = jnp.where(ends_on_metal, 0.5, low)
        width_low = [(0, 0)] * u.ndim
        width_high = [(0, 0)] * u.ndim
        width_low[axis], width_high[axis] = (0, 1), (1, 0)
        heat = heat + jnp.pad(power * low, width_low) + jnp.pad(power * (1 - low), width_high)
    return heat
