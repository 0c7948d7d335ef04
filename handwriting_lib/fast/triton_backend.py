"""The operations of a `Backend` on a GPU: one Triton kernel where torch launches ten.

At one point of a line there is little to compute, and a GPU spends its time launching
kernels. Here each operation between two matrix products is one kernel: the gates and
the cell, the window, and the backward pass of each. What the next matrix product reads
is also written in its type (`low`), if that type differs.

Triton comes with the CUDA builds of torch. Its interpreter runs the same kernels on a
CPU, slowly, for the tests.
"""

from __future__ import annotations

import math

import triton
import triton.language as tl
from torch import Tensor

from .backend import Backend
from .torch_backend import TorchBackend

CELLS = 256  # cells per program of a gates kernel
SLOTS = 32  # characters per iteration of a window kernel


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
def _tanh(x):
    e = tl.exp(-2 * tl.abs(x))  # at most 1, so nothing overflows
    size = (1 - e) / (1 + e)
    return tl.where(x < 0, -size, size)


@triton.jit
def _forward_gates(
    z, recurrent, c, peephole, new_c, tanh_c, h, h_row, low, low_row,
    hidden, cells, CELLS: tl.constexpr,
):  # fmt: skip
    """Turn `z` `(B, 4H)` into gate values; fill `new_c`, `tanh_c`, `h` and `low`."""
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    inside = cell < cells
    row, column = cell // hidden, cell % hidden
    at = row * 4 * hidden + column
    kind = z.dtype.element_ty
    z_i = tl.load(z + at, inside) + tl.load(recurrent + at, inside).to(kind)
    at_f, at_g, at_o = at + hidden, at + 2 * hidden, at + 3 * hidden
    z_f = tl.load(z + at_f, inside) + tl.load(recurrent + at_f, inside).to(kind)
    z_g = tl.load(z + at_g, inside) + tl.load(recurrent + at_g, inside).to(kind)
    z_o = tl.load(z + at_o, inside) + tl.load(recurrent + at_o, inside).to(kind)
    old = tl.load(c + cell, inside)
    i = _sigmoid(z_i + old * tl.load(peephole + column, inside))
    f = _sigmoid(z_f + old * tl.load(peephole + hidden + column, inside))
    g = _tanh(z_g)
    new = f * old + i * g
    o = _sigmoid(z_o + new * tl.load(peephole + 2 * hidden + column, inside))
    squashed = _tanh(new)
    tl.store(z + at, i, inside)
    tl.store(z + at_f, f, inside)
    tl.store(z + at_g, g, inside)
    tl.store(z + at_o, o, inside)
    tl.store(new_c + cell, new, inside)
    tl.store(tanh_c + cell, squashed, inside)
    tl.store(h + row * h_row + column, o * squashed, inside)
    tl.store(low + row * low_row + column, o * squashed, inside)


@triton.jit
def _backward_gates(
    d_out, d_next, next_row, gates, c, tanh_c, d_c, peephole, d_z, d_low, limit,
    hidden, cells, LIMITED: tl.constexpr, CELLS: tl.constexpr,
):  # fmt: skip
    """Fill `d_z` and `d_low`; turn `d_c` into that of the previous point."""
    cell = tl.program_id(0) * CELLS + tl.arange(0, CELLS)
    inside = cell < cells
    row, column = cell // hidden, cell % hidden
    at = row * 4 * hidden + column
    at_f, at_g, at_o = at + hidden, at + 2 * hidden, at + 3 * hidden
    kind = gates.dtype.element_ty
    i, f = tl.load(gates + at, inside), tl.load(gates + at_f, inside)
    g, o = tl.load(gates + at_g, inside), tl.load(gates + at_o, inside)
    squashed = tl.load(tanh_c + cell, inside)
    d_h = tl.load(d_out + cell, inside)
    d_h += tl.load(d_next + row * next_row + column, inside).to(kind)
    d_o = d_h * squashed * o * (1 - o)
    if LIMITED:
        d_o = tl.minimum(tl.maximum(d_o, -limit), limit)
    d = tl.load(d_c + cell, inside) + d_h * o * (1 - squashed * squashed)
    d += d_o * tl.load(peephole + 2 * hidden + column, inside)
    d_i = d * g * i * (1 - i)
    d_f = d * tl.load(c + cell, inside) * f * (1 - f)
    d_g = d * i * (1 - g * g)
    if LIMITED:
        d_i = tl.minimum(tl.maximum(d_i, -limit), limit)
        d_f = tl.minimum(tl.maximum(d_f, -limit), limit)
        d_g = tl.minimum(tl.maximum(d_g, -limit), limit)
    d = d * f + d_i * tl.load(peephole + column, inside)
    d += d_f * tl.load(peephole + hidden + column, inside)
    tl.store(d_c + cell, d, inside)
    tl.store(d_z + at, d_i, inside)
    tl.store(d_z + at_f, d_f, inside)
    tl.store(d_z + at_g, d_g, inside)
    tl.store(d_z + at_o, d_o, inside)
    tl.store(d_low + at, d_i, inside)
    tl.store(d_low + at_f, d_f, inside)
    tl.store(d_low + at_g, d_g, inside)
    tl.store(d_low + at_o, d_o, inside)


@triton.jit
def _forward_window(
    move, kappa, new_kappa, phi, text, mask, w, w_row, low, low_row,
    slots, symbols, components,
    K: tl.constexpr, V: tl.constexpr, SLOTS: tl.constexpr,
):  # fmt: skip
    """For one line, turn `move` into exponentials; fill `new_kappa`, `phi` and `w`."""
    line = tl.program_id(0)
    k, v = tl.arange(0, K), tl.arange(0, V)
    real = k < components
    at = move + line * 3 * components + k
    alpha = tl.where(real, tl.exp(tl.load(at, real, 0.0)), 0.0)
    beta = tl.exp(tl.load(at + components, real, 0.0))
    step = tl.exp(tl.load(at + 2 * components, real, 0.0))
    tl.store(at, alpha, real)
    tl.store(at + components, beta, real)
    tl.store(at + 2 * components, step, real)
    place = tl.load(kappa + line * components + k, real, 0.0) + step
    tl.store(new_kappa + line * components + k, place, real)
    read = tl.zeros([V], move.dtype.element_ty)
    for first in range(0, slots, SLOTS):
        u = first + tl.arange(0, SLOTS)
        there = u < slots
        distance = place[:, None] - (u + 1)[None, :]
        bump = alpha[:, None] * tl.exp(-beta[:, None] * distance * distance)
        weight = tl.sum(bump, 0) * tl.load(mask + line * slots + u, there, 0.0)
        tl.store(phi + line * slots + u, weight, there)
        letter = tl.load(text + line * slots + u, there, 0)
        hit = letter[:, None] == v[None, :]
        read += tl.sum(tl.where(hit, weight[:, None], 0.0), 0)
    tl.store(w + line * w_row + v, read, v < symbols)
    tl.store(low + line * low_row + v, read, v < symbols)


@triton.jit
def _backward_window(
    d_w, d_next, next_row, move, kappa, text, mask, d_kappa, d_move,
    slots, symbols, components, K: tl.constexpr, SLOTS: tl.constexpr,
):  # fmt: skip
    """For one line, fill `d_move`; turn `d_kappa` into that of the previous point."""
    line = tl.program_id(0)
    k = tl.arange(0, K)
    real = k < components
    kind = move.dtype.element_ty
    at = line * 3 * components + k
    alpha = tl.load(move + at, real, 0.0)
    beta = tl.load(move + at + components, real, 0.0)
    step = tl.load(move + at + 2 * components, real, 0.0)
    place = tl.load(kappa + line * components + k, real, 0.0)
    zeroth = tl.zeros([K], kind)
    first_moment = tl.zeros([K], kind)
    second = tl.zeros([K], kind)
    for first in range(0, slots, SLOTS):
        u = first + tl.arange(0, SLOTS)
        there = u < slots
        letter = tl.load(text + line * slots + u, there, 0)
        d_phi = tl.load(d_w + line * symbols + letter, there, 0.0)
        d_phi += tl.load(d_next + line * next_row + letter, there, 0.0).to(kind)
        d_phi *= tl.load(mask + line * slots + u, there, 0.0)
        distance = place[:, None] - (u + 1)[None, :]
        bump = alpha[:, None] * tl.exp(-beta[:, None] * distance * distance)
        weighted = bump * d_phi[None, :]
        zeroth += tl.sum(weighted, 1)
        first_moment += tl.sum(weighted * distance, 1)
        second += tl.sum(weighted * distance * distance, 1)
    own = line * components + k
    d_place = tl.load(d_kappa + own, real, 0.0) - 2 * beta * first_moment
    tl.store(d_kappa + own, d_place, real)
    tl.store(d_move + at, zeroth, real)
    tl.store(d_move + at + components, -beta * second, real)
    tl.store(d_move + at + 2 * components, d_place * step, real)


class TritonBackend(TorchBackend):
    """The Triton backend; operations without a kernel run in plain torch.

    The arguments are described in `Backend`.
    """

    name = "triton"

    def forward_gates(
        self,
        z: Tensor,
        recurrent: Tensor,
        c: Tensor,
        peephole: Tensor,
        new_c: Tensor,
        tanh_c: Tensor,
        row: Tensor,
        first: int,
        low: Tensor | None = None,
    ) -> None:
        hidden, cells = c.shape[1], c.numel()
        own = slice(first, first + hidden)
        h = row[:, own]
        copy = h if low is None else low[:, own]
        _forward_gates[(triton.cdiv(cells, CELLS),)](
            z, recurrent, c, peephole, new_c, tanh_c, h, h.stride(0),
            copy, copy.stride(0), hidden, cells, CELLS,
        )  # fmt: skip

    def backward_gates(
        self,
        d_out: Tensor,
        d_next: Tensor,
        gates: Tensor,
        c: Tensor,
        tanh_c: Tensor,
        d_c: Tensor,
        peephole: Tensor,
        d_z: Tensor,
        limit: float,
        d_low: Tensor | None = None,
    ) -> None:
        hidden, cells = c.shape[1], c.numel()
        limited = limit < math.inf
        _backward_gates[(triton.cdiv(cells, CELLS),)](
            d_out, d_next[:, -hidden:], d_next.stride(0), gates, c, tanh_c, d_c,
            peephole, d_z, d_z if d_low is None else d_low, limit if limited else 0.0,
            hidden, cells, limited, CELLS,
        )  # fmt: skip

    def forward_window(
        self,
        moves: Tensor,
        kappa: Tensor,
        new_kappa: Tensor,
        phi: Tensor,
        text: Tensor,
        mask: Tensor,
        row: Tensor,
        first: int,
        symbols: int,
        low: Tensor | None = None,
    ) -> None:
        own = slice(first, first + symbols)
        w, components = row[:, own], kappa.shape[1]
        copy = w if low is None else low[:, own]
        _forward_window[(len(text),)](
            moves, kappa, new_kappa, phi, text, mask, w, w.stride(0),
            copy, copy.stride(0), text.shape[1], symbols, components,
            triton.next_power_of_2(components), triton.next_power_of_2(symbols), SLOTS,
        )  # fmt: skip

    def backward_window(
        self,
        d_w: Tensor,
        d_next: Tensor,
        moves: Tensor,
        kappa: Tensor,
        text: Tensor,
        mask: Tensor,
        d_kappa: Tensor,
        d_moves: Tensor,
    ) -> None:
        components = kappa.shape[1]
        _backward_window[(len(text),)](
            d_w, d_next, d_next.stride(0), moves, kappa, text, mask, d_kappa, d_moves,
            text.shape[1], d_w.shape[1], components,
            triton.next_power_of_2(components), SLOTS,
        )  # fmt: skip


BACKEND: Backend = TritonBackend()
