"""Compiled loops of the transport step: implicit upwind where cells are flushed fast, limited flux elsewhere.

All arrays are (planes, lines, cells) in single precision; faces along an axis have one entry more than
cells. ``wide`` arrays have one ghost cell at both ends of every line. Only the stretch of each line that
the agent can reach is computed (``first`` to ``last``), as most of a grid holds none. Loops over planes run
in parallel; no sum crosses a plane, so the result does not depend on the number of threads.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit, prange

Array = Any
SETTLED = 5e-7
"""The implicit cells are solved to this change of concentration."""
SWEEPS = 500
ZERO, HALF, ONE, TINY = np.float32(0.0), np.float32(0.5), np.float32(1.0), np.float32(1e-20)
"""In single precision, as a plain number would raise whole loops to double."""

_loop = njit(parallel=True, fastmath=True, cache=True)
_serial = njit(fastmath=True, cache=True)
_inline = njit(inline="always")


@_loop
def stretches(part: Array, keep: Array, seen: float, first: Array, last: Array) -> None:
    """First and one past the last cell of every line with agent or with a cell to ``keep``."""
    planes, lines, cells = part.shape
    for i in prange(planes):
        for j in range(lines):
            row, held = part[i, j], keep[i, j]
            low, high = cells, 0
            for k in range(cells):
                if row[k] > seen or held[k]:
                    low = k
                    break
            for k in range(cells - 1, low - 1, -1):
                if row[k] > seen or held[k]:
                    high = k + 1
                    break
            first[i, j], last[i, j] = low, high


@_loop
def grow_stretches(first: Array, last: Array, cells: int, new_first: Array, new_last: Array) -> None:
    """Every stretch with one cell around it, also those of the four lines beside; it never shrinks."""
    planes, lines = first.shape
    for i in prange(planes):
        im, ip = max(np.int64(i) - 1, 0), min(np.int64(i) + 1, planes - 1)
        for j in range(lines):
            jm, jp = max(j - 1, 0), min(j + 1, lines - 1)
            low = min(min(first[im, j], first[ip, j]), min(first[i, jm], first[i, jp]))
            high = max(max(last[im, j], last[ip, j]), max(last[i, jm], last[i, jp]))
            low, high = min(low, first[i, j]), max(high, last[i, j])
            if low < high:
                new_first[i, j] = min(new_first[i, j], max(low - 1, 0))
                new_last[i, j] = max(new_last[i, j], min(high + 1, cells))


@_serial
def solve_fast(
    order: Array, carry: Array, part: Array, pores: Array, growth: Array, fx: Array, fy: Array, fz: Array,
    sx: Array, sy: Array, sz: Array, taken: Array, source: Array, since: float, dt: float,
) -> int:  # fmt: skip
    """New concentrations of the fast cells, put into the wide array ``carry``; the number of sweeps.

    ``(held + dt (outflow + taken)) c = content + dt (inflow of c)``: sweeps go down the pressure (``order``),
    as the flow does, so that one or two are enough; weight may turn some of it round and need more.
    """
    planes, lines, cells = part.shape
    for sweep in range(SWEEPS):
        change = 0.0
        for n in range(len(order)):
            i, rest = divmod(order[n], lines * cells)
            j, k = divmod(rest, cells)
            a, b = fx[i, j, k], fx[i + 1, j, k]
            c, d = fy[i, j, k], fy[i, j + 1, k]
            e, f = fz[i, j, k], fz[i, j, k + 1]
            here = part[i, j, k]
            gain, loss = np.float64(source[i, j, k]), np.float64(taken[i, j, k])
            if i > 0:
                gain += max(a, 0.0) * carry[i - 1, j, k + 1] + sx[i, j, k] * (part[i - 1, j, k] - here)
            if i < planes - 1:
                gain += max(-b, 0.0) * carry[i + 1, j, k + 1] + sx[i + 1, j, k] * (part[i + 1, j, k] - here)
            if j > 0:
                gain += max(c, 0.0) * carry[i, j - 1, k + 1] + sy[i, j, k] * (part[i, j - 1, k] - here)
            if j < lines - 1:
                gain += max(-d, 0.0) * carry[i, j + 1, k + 1] + sy[i, j + 1, k] * (part[i, j + 1, k] - here)
            if k > 0:
                gain += max(e, 0.0) * carry[i, j, k] + sz[i, j, k] * (part[i, j, k - 1] - here)
            if k < cells - 1:
                gain += max(-f, 0.0) * carry[i, j, k + 2] + sz[i, j, k + 1] * (part[i, j, k + 1] - here)
            loss += max(-a, 0.0) + max(b, 0.0) + max(-c, 0.0) + max(d, 0.0) + max(-e, 0.0) + max(f, 0.0)
            before = pores[i, j, k] + since * growth[i, j, k]
            new = (before * here + dt * gain) / (before + dt * growth[i, j, k] + dt * loss)
            change = max(change, abs(new - carry[i, j, k + 1]))
            carry[i, j, k + 1] = new
        if change < SETTLED:
            return sweep + 1
    return SWEEPS


@_loop
def low_order(
    first: Array, last: Array, carry: Array, slow: Array, part: Array, pores: Array, growth: Array,
    fx: Array, fy: Array, fz: Array, sx: Array, sy: Array, sz: Array, taken: Array, source: Array,
    since: float, dt: float, low: Array, top: Array, bottom: Array, leaked: Array,
) -> None:  # fmt: skip
    """Concentration after an upwind and diffusive step, and the higher and lower of old and new (wide)."""
    planes, lines, _ = part.shape
    for i in prange(planes):
        im, ip = max(np.int64(i) - 1, 0), min(np.int64(i) + 1, planes - 1)
        wm, wp = np.float32(i > 0), np.float32(i < planes - 1)
        for j in range(lines):
            jm, jp = max(j - 1, 0), min(j + 1, lines - 1)
            vm, vp = np.float32(j > 0), np.float32(j < lines - 1)
            mid, cxm, cxp, cym, cyp = carry[i, j], carry[im, j], carry[ip, j], carry[i, jm], carry[i, jp]
            old, pxm, pxp, pym, pyp = part[i, j], part[im, j], part[ip, j], part[i, jm], part[i, jp]
            fxa, fxb, fya, fyb, fza = fx[i, j], fx[i + 1, j], fy[i, j], fy[i, j + 1], fz[i, j]
            sxa, sxb, sya, syb, sza = sx[i, j], sx[i + 1, j], sy[i, j], sy[i, j + 1], sz[i, j]
            room, grown, drain, inflow, free = (
                pores[i, j],
                growth[i, j],
                taken[i, j],
                source[i, j],
                slow[i, j],
            )
            out, high, less = low[i, j], top[i, j], bottom[i, j]
            total = 0.0
            for k in range(first[i, j], last[i, j]):
                c = mid[k + 1]
                net = (
                    max(fxa[k], ZERO) * (wm * cxm[k + 1]) + min(fxa[k], ZERO) * c
                    - max(fxb[k], ZERO) * c - min(fxb[k], ZERO) * (wp * cxp[k + 1])
                    + max(fya[k], ZERO) * (vm * cym[k + 1]) + min(fya[k], ZERO) * c
                    - max(fyb[k], ZERO) * c - min(fyb[k], ZERO) * (vp * cyp[k + 1])
                    + max(fza[k], ZERO) * mid[k] + min(fza[k], ZERO) * c
                    - max(fza[k + 1], ZERO) * c - min(fza[k + 1], ZERO) * mid[k + 2]
                )  # fmt: skip
                here = old[k]
                evened = (
                    sxa[k] * (pxm[k] - here) + sxb[k] * (pxp[k] - here) + sya[k] * (pym[k] - here)
                    + syb[k] * (pyp[k] - here)
                )  # fmt: skip
                before = room[k] + since * grown[k]
                content = before * here + dt * (inflow[k] + net + evened)
                new = content / max(before + dt * grown[k] + dt * drain[k], TINY)
                out[k + 1] = free[k + 1] * new + (ONE - free[k + 1]) * c
            for k in range(first[i, j], last[i, j]):
                # Diffusion along the line needs the old neighbours; apart, so that the long loop has no ends.
                change = ZERO
                if k > 0:
                    change += sza[k] * (old[k - 1] - old[k])
                if k < len(old) - 1:
                    change += sza[k + 1] * (old[k + 1] - old[k])
                held = room[k] + (since + dt) * grown[k] + dt * drain[k]
                out[k + 1] += free[k + 1] * dt * change / max(held, TINY)
                total += drain[k] * out[k + 1]
                high[k + 1] = max(out[k + 1], old[k])
                less[k + 1] = min(out[k + 1], old[k])
            leaked[i, j] = total
            high[0], less[0] = high[1], less[1]
            high[-1], less[-1] = high[-2], less[-2]


@_loop
def second_order(
    first: Array, last: Array, slow: Array, part: Array, pores: Array, fx: Array, fy: Array, fz: Array,
    dt: float, mx: Array, my: Array, mz: Array,
) -> None:  # fmt: skip
    """Agent that the second-order flux moves through the lower faces of every cell beyond the upwind one."""
    planes, lines, _ = part.shape
    for i in prange(planes):
        im = max(np.int64(i) - 1, 0)
        for j in range(lines):
            jm = max(j - 1, 0)
            # The line above must have its lower faces too, even where only this one is in reach.
            end = last[i, j]
            old, below, beside = part[i, j], part[im, j], part[i, jm]
            room, room_below, room_beside = pores[i, j], pores[im, j], pores[i, jm]
            free, free_below, free_beside = slow[i, j], slow[im, j], slow[i, jm]
            qx, qy, qz = fx[i, j], fy[i, j], fz[i, j]
            for k in range(first[i, j], end):
                size = dt * abs(qx[k])
                share = max(ONE - size / max(min(room[k], room_below[k]), TINY), ZERO)
                mx[i, j, k] = HALF * size * share * (old[k] - below[k]) * free[k + 1] * free_below[k + 1]
                size = dt * abs(qy[k])
                share = max(ONE - size / max(min(room[k], room_beside[k]), TINY), ZERO)
                my[i, j, k] = HALF * size * share * (old[k] - beside[k]) * free[k + 1] * free_beside[k + 1]
            for k in range(max(first[i, j], 1), end):
                size = dt * abs(qz[k])
                share = max(ONE - size / max(min(room[k], room[k - 1]), TINY), ZERO)
                mz[i, j, k] = HALF * size * share * (old[k] - old[k - 1]) * free[k + 1] * free[k]


@_inline
def _in(lower: float, upper: float) -> float:
    """What enters a cell through its lower face and its upper one (positive moves go up the axis)."""
    return max(lower, ZERO) + max(-upper, ZERO)


@_loop
def limits(
    first: Array, last: Array, pores: Array, growth: Array, until: float, low: Array, top: Array,
    bottom: Array, mx: Array, my: Array, mz: Array, room: Array, stock: Array,
) -> None:  # fmt: skip
    """Share of the second-order gains and losses that each cell can bear (wide; Zalesak)."""
    planes, lines, _ = pores.shape
    for i in prange(planes):
        im, ip = max(np.int64(i) - 1, 0), min(np.int64(i) + 1, planes - 1)
        for j in range(lines):
            jm, jp = max(j - 1, 0), min(j + 1, lines - 1)
            here, rooms, stocks = low[i, j], room[i, j], stock[i, j]
            t, txm, txp, tym, typ = top[i, j], top[im, j], top[ip, j], top[i, jm], top[i, jp]
            b, bxm, bxp, bym, byp = bottom[i, j], bottom[im, j], bottom[ip, j], bottom[i, jm], bottom[i, jp]
            xa, xb, ya, yb, za = mx[i, j], mx[i + 1, j], my[i, j], my[i, j + 1], mz[i, j]
            held, grown = pores[i, j], growth[i, j]
            for k in range(first[i, j], last[i, j]):
                n = k + 1
                most = max(max(max(t[n], txm[n]), max(txp[n], tym[n])), max(max(typ[n], t[n - 1]), t[n + 1]))
                least = min(min(min(b[n], bxm[n]), min(bxp[n], bym[n])), min(min(byp[n], b[n - 1]), b[n + 1]))
                gain = _in(xa[k], xb[k]) + _in(ya[k], yb[k]) + _in(za[k], za[k + 1])
                loss = _in(-xa[k], -xb[k]) + _in(-ya[k], -yb[k]) + _in(-za[k], -za[k + 1])
                amount = held[k] + until * grown[k]
                rooms[n] = min(max((most - here[n]) * amount / max(gain, TINY), ZERO), ONE)
                stocks[n] = min(max((here[n] - least) * amount / max(loss, TINY), ZERO), ONE)


@_inline
def _allowed(move: float, room: float, stock: float, room_below: float, stock_below: float) -> float:
    """What of a move through a face its two cells can bear; ``room``, ``stock``: of the cell above it."""
    return max(move, ZERO) * min(room, stock_below) + min(move, ZERO) * min(room_below, stock)


@_loop
def apply_moves(
    first: Array, last: Array, pores: Array, growth: Array, until: float, low: Array, room: Array,
    stock: Array, mx: Array, my: Array, mz: Array, part: Array,
) -> None:  # fmt: skip
    """``part`` becomes the low-order result with as much of the moves as keeps it among its neighbours."""
    planes, lines, _ = pores.shape
    for i in prange(planes):
        im, ip = max(np.int64(i) - 1, 0), min(np.int64(i) + 1, planes - 1)
        for j in range(lines):
            jm, jp = max(j - 1, 0), min(j + 1, lines - 1)
            r, rxm, rxp, rym, ryp = room[i, j], room[im, j], room[ip, j], room[i, jm], room[i, jp]
            s, sxm, sxp, sym, syp = stock[i, j], stock[im, j], stock[ip, j], stock[i, jm], stock[i, jp]
            xa, xb, ya, yb, za = mx[i, j], mx[i + 1, j], my[i, j], my[i, j + 1], mz[i, j]
            held, grown, here, out = pores[i, j], growth[i, j], low[i, j], part[i, j]
            for k in range(first[i, j], last[i, j]):
                n = k + 1
                change = (
                    _allowed(xa[k], r[n], s[n], rxm[n], sxm[n])
                    - _allowed(xb[k], rxp[n], sxp[n], r[n], s[n])
                    + _allowed(ya[k], r[n], s[n], rym[n], sym[n])
                    - _allowed(yb[k], ryp[n], syp[n], r[n], s[n])
                    + _allowed(za[k], r[n], s[n], r[n - 1], s[n - 1])
                    - _allowed(za[k + 1], r[n + 1], s[n + 1], r[n], s[n])
                )  # fmt: skip
                out[k] = here[n] + change / max(held[k] + until * grown[k], TINY)
