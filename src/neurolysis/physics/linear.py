"""Linear operators on tensor grids and conjugate gradients, on JAX.

An operator is a diagonal and one padded array of link conductances per axis; applying it is one
fused pass over the grid in any number of dimensions.
"""

from __future__ import annotations

from typing import Any

from neurolysis.physics.backend import load_jax

jax = load_jax()
import jax.numpy as jnp  # noqa: E402

Array = Any
NOTHING = 1e-12


def _pad(link: Array, axis: int) -> Array:
    width = [(0, 0)] * link.ndim
    width[axis] = (1, 1)
    return jnp.pad(link, width)


def _slices(ndim: int, axis: int, start: int) -> tuple[slice, ...]:
    inner = [slice(1, -1)] * ndim
    inner[axis] = slice(start, None if start == 2 else start - 2)
    return tuple(inner)


def split(link: Array, axis: int) -> tuple[Array, Array]:
    """A padded link (n + 1 along axis) as the links below and above each cell."""
    low = [slice(None)] * link.ndim
    high = [slice(None)] * link.ndim
    low[axis], high[axis] = slice(None, -1), slice(1, None)
    return link[tuple(low)], link[tuple(high)]


def graph_laplacian(links: tuple[Array, ...], extra: Array) -> tuple[Array, tuple[Array, ...]]:
    """Diagonal and padded links of ``sum of links (x - neighbour) + extra x``."""
    padded = tuple(_pad(link, axis) for axis, link in enumerate(links))
    diagonal = extra
    for axis, link in enumerate(padded):
        below, above = split(link, axis)
        diagonal = diagonal + below + above
    return diagonal, padded


def apply_operator(diagonal: Array, padded: tuple[Array, ...], x: Array) -> Array:
    """The operator of :func:`graph_laplacian` times x (grid shape)."""
    ndim = x.ndim
    wide = jnp.pad(x, 1)
    result = diagonal * x
    for axis, link in enumerate(padded):
        below, above = split(link, axis)
        result = result - below * wide[_slices(ndim, axis, 0)] - above * wide[_slices(ndim, axis, 2)]
    return result


def conjugate_gradients(
    operator: Any, precondition: Any, rhs: Array, start: Array, tolerance: Array, limit: int,
    *, energy: bool = False,
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Solution, iterations and final residual relative to ``rhs`` (both in the preconditioned norm).

    Args:
        energy: hold the residual against the energy ``x . rhs`` of the solution so far instead, which a good
            preconditioner makes nearly the same number and which costs no preconditioning.
    """
    residual = rhs - operator(start)
    z = precondition(residual)
    rz = jnp.vdot(residual, z)
    known = None if energy else jnp.vdot(rhs, precondition(rhs))

    def reference(x: Array) -> Array:
        # With nothing to solve for (power off, nothing warm) the floor ends the loop before it divides
        # rounding by rounding; a rise of a millikelvin in one cell lies a hundred times above it.
        return jnp.maximum(jnp.vdot(x, rhs) if known is None else known, NOTHING)

    def going(carry: Any) -> Array:
        x, _, _, rz, count = carry
        return (rz > tolerance**2 * reference(x)) & (count < limit)

    def step(carry: Any) -> Any:
        x, r, p, rz, count = carry
        ap = operator(p)
        alpha = rz / jnp.vdot(p, ap)
        x = x + alpha * p
        r = r - alpha * ap
        z = precondition(r)
        rz_new = jnp.vdot(r, z)
        return x, r, z + (rz_new / rz) * p, rz_new, count + 1

    x, _, _, rz, count = jax.lax.while_loop(going, step, (start, residual, z, rz, 0))
    return x, count, jnp.sqrt(jnp.abs(rz) / reference(x))


def fast_inverse(modes: tuple[Array, ...], inverse: Array, x: Array) -> Array:
    """Apply the constant-coefficient inverse of :mod:`fast_diagonal` to x (grid shape)."""
    return from_modes(modes, to_modes(modes, x) * inverse)


def to_modes(modes: tuple[Array, ...], x: Array) -> Array:
    """Q^T along every axis: first axis from the left, last from the right, so nothing is transposed."""
    shape = x.shape
    x = (modes[0].T @ x.reshape(shape[0], -1)).reshape(shape) @ modes[-1]
    return jnp.einsum("jb,ijk->ibk", modes[1], x) if len(shape) == 3 else x


def from_modes(modes: tuple[Array, ...], x: Array) -> Array:
    """Q along every axis."""
    shape = x.shape
    if len(shape) == 3:
        x = jnp.einsum("bj,ijk->ibk", modes[1], x)
    return (modes[0] @ x.reshape(shape[0], -1)).reshape(shape) @ modes[-1].T
