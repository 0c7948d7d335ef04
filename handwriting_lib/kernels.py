"""The loops of `fused` on a GPU: one Triton kernel for what torch does in ten.

At one point of a line there is little to compute. A GPU spends its time on starting
kernels, so here everything between two matrix products is one kernel: the gates and
the cell, the window, and the backward pass of each. The numbers are those of the loops
in `fused`. Triton comes with the CUDA builds of torch; its interpreter runs the same
kernels on a CPU, slowly, for the tests.

Matrices that go into products are kept twice where `products` is another type than that
of the states: `hs` and `hs_low`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from .lstm import LSTMTrace, peephole_gradient
from .window import WindowTrace

CELLS = 256  # cells that one program of a gates kernel works on
SLOTS = 32  # characters that a window kernel takes at a time


@triton.jit
def _sigmoid(x):
    return 1 / (1 + tl.exp(-x))


@triton.jit
def _tanh(x):
    e = tl.exp(-2 * tl.abs(x))  # at most 1: nothing overflows
    size = (1 - e) / (1 + e)
    return tl.where(x < 0, -size, size)


@triton.jit
def _forward_gates(
    z, recurrent, c, peephole, new_c, tanh_c, h, h_row, low, low_row,
    hidden, cells, CELLS: tl.constexpr,
):  # fmt: skip
    """`z` `(B, 4H)` becomes the gate values; fills `new_c`, `tanh_c`, `h`, `low`."""
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
    """Fills `d_z`, and `d_low` alike; `d_c` becomes that of the point before."""
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
    """One line: `move` becomes alpha, beta, step; fills `new_kappa`, `phi`, `w`."""
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
    """One line: fills `d_move`; `d_kappa` becomes that of the point before."""
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


def _in_products(like: Tensor, products: torch.dtype) -> Tensor | None:
    """A second buffer in the type of products; None where one will do."""
    if products == like.dtype:
        return None
    return torch.empty_like(like, dtype=products)


def _grid(cells: int) -> tuple[int]:
    return (triton.cdiv(cells, CELLS),)


def _trace(z_input: Tensor, c: Tensor, width: int, products: torch.dtype) -> LSTMTrace:
    """Room for T points; `z_input` `(T, B, 4H)` becomes the gates."""
    steps, batch, hidden = *z_input.shape[:2], c.shape[1]
    hs = z_input.new_empty(steps + 1, batch, width)
    cs = z_input.new_empty(steps + 1, batch, hidden)
    cs[0] = c
    low = _in_products(hs, products)
    low = hs if low is None else low
    return LSTMTrace(z_input, hs, low, cs, torch.empty_like(cs[1:]))


def _step_gates(trace: LSTMTrace, t: int, recurrent: Tensor, peephole: Tensor) -> None:
    """Point t of all lines: from the product to h, which ends the row of `hs`."""
    h = trace.hs[t + 1, :, -peephole.shape[1] :]
    low = trace.hs_low[t + 1, :, -peephole.shape[1] :]
    cells = trace.cs[0].numel()
    _forward_gates[_grid(cells)](
        trace.gates[t], recurrent, trace.cs[t], peephole, trace.cs[t + 1],
        trace.tanh_c[t], h, h.stride(0), low, low.stride(0), h.shape[1], cells, CELLS,
    )  # fmt: skip


def peephole_forward(
    z_input: Tensor,
    h: Tensor,
    c: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    products: torch.dtype,
) -> LSTMTrace:
    """`fused.peephole_forward`."""
    trace = _trace(z_input, c, h.shape[1], products)
    trace.hs[0] = h
    trace.hs_low[0] = h
    weight = weight_hh.to(products).t()
    recurrent = trace.hs_low.new_empty(z_input.shape[1:])
    for t in range(len(z_input)):
        torch.mm(trace.hs_low[t], weight, out=recurrent)
        _step_gates(trace, t, recurrent, peephole)
    return trace


def _backward_point(
    trace: LSTMTrace, t: int, d_out: Tensor, d_next: Tensor, d_c: Tensor,
    peephole: Tensor, d_z: Tensor, d_low: Tensor | None, limit: float | None,
) -> Tensor:  # fmt: skip
    """Fills `d_z` `(B, 4H)`; returns it in the type of products."""
    cells = d_c.numel()
    low = d_z if d_low is None else d_low
    _backward_gates[_grid(cells)](
        d_out, d_next, d_next.stride(0), trace.gates[t], trace.cs[t],
        trace.tanh_c[t], d_c, peephole, d_z, low,
        0.0 if limit is None else limit, d_c.shape[1], cells, limit is not None, CELLS,
    )  # fmt: skip
    return low


def peephole_backward(
    trace: LSTMTrace,
    weight_hh: Tensor,
    peephole: Tensor,
    products: torch.dtype,
    d_hs: Tensor,
    d_c: Tensor,
    limit: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """`fused.peephole_backward`."""
    weight = weight_hh.to(products)
    d_z, d_hs = torch.empty_like(trace.gates), d_hs.contiguous()
    d_low = _in_products(d_z[0], products)
    d_next = torch.zeros_like(trace.hs_low[0])
    for t in range(len(d_z) - 1, -1, -1):
        low = _backward_point(
            trace, t, d_hs[t], d_next, d_c, peephole, d_z[t], d_low, limit
        )
        torch.mm(low, weight, out=d_next)
    return d_z, d_next.to(d_z.dtype), peephole_gradient(d_z, trace.cs)


def windowed_forward(
    z_input: Tensor,
    h: Tensor,
    c: Tensor,
    w: Tensor,
    kappa: Tensor,
    weight: Tensor,
    peephole: Tensor,
    window_weight: Tensor,
    window_bias: Tensor,
    text: Tensor,
    mask: Tensor,
    products: torch.dtype,
) -> tuple[LSTMTrace, WindowTrace]:
    """`fused.windowed_forward`."""
    steps, batch, _ = z_input.shape
    symbols, components, slots = w.shape[1], kappa.shape[1], text.shape[1]
    trace = _trace(z_input, c, symbols + h.shape[1], products)
    trace.hs[0, :, :symbols], trace.hs[0, :, symbols:] = w, h
    trace.hs_low[0] = trace.hs[0]
    kappas = z_input.new_empty(steps + 1, batch, components)
    kappas[0] = kappa
    moves = z_input.new_empty(steps, batch, 3 * components)
    phis = z_input.new_empty(steps, batch, slots)
    text, mask = text.contiguous(), mask.contiguous()
    low_weight, window_t = weight.to(products).t(), window_weight.t()
    recurrent = trace.hs_low.new_empty(z_input.shape[1:])
    for t in range(steps):
        torch.mm(trace.hs_low[t], low_weight, out=recurrent)
        _step_gates(trace, t, recurrent, peephole)
        after, low = trace.hs[t + 1], trace.hs_low[t + 1]
        torch.addmm(window_bias, after[:, symbols:], window_t, out=moves[t])
        _forward_window[(batch,)](
            moves[t], kappas[t], kappas[t + 1], phis[t], text, mask,
            after, after.stride(0), low, low.stride(0), slots, symbols, components,
            triton.next_power_of_2(components), triton.next_power_of_2(symbols), SLOTS,
        )  # fmt: skip
    return trace, WindowTrace(kappas, moves, phis, text, mask)


def windowed_backward(
    trace: LSTMTrace,
    window: WindowTrace,
    weight: Tensor,
    peephole: Tensor,
    window_weight: Tensor,
    products: torch.dtype,
    d_hs: Tensor,
    d_ws: Tensor,
    d_c: Tensor,
    d_kappa: Tensor,
    limit: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """`fused.windowed_backward`."""
    low_weight = weight.to(products)
    batch, slots = window.text.shape
    components = d_kappa.shape[1]
    symbols = d_ws.shape[2]
    d_hs, d_ws = d_hs.contiguous(), d_ws.contiguous()
    d_z, d_moves = torch.empty_like(trace.gates), torch.empty_like(window.moves)
    d_low = _in_products(d_z[0], products)
    d_next = torch.zeros_like(trace.hs_low[0])
    d_h = torch.empty_like(d_hs[0])
    for t in range(len(d_z) - 1, -1, -1):
        _backward_window[(batch,)](
            d_ws[t], d_next, d_next.stride(0), window.moves[t], window.kappas[t + 1],
            window.text, window.mask, d_kappa, d_moves[t], slots, symbols, components,
            triton.next_power_of_2(components), SLOTS,
        )  # fmt: skip
        torch.addmm(d_hs[t], d_moves[t], window_weight, out=d_h)
        low = _backward_point(
            trace, t, d_h, d_next[:, symbols:], d_c, peephole, d_z[t], d_low, limit
        )
        torch.mm(low, low_weight, out=d_next)
    d_wh = d_next.to(d_z.dtype)
    return d_z, d_moves, d_wh, peephole_gradient(d_z, trace.cs)
