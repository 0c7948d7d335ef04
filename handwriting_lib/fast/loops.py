"""Loops of recurrent layers over the points of lines, forwards and backwards.

Autograd records a Python loop point by point and keeps every intermediate tensor. The
loops here run in place, keep only what the backward pass needs, and write out that pass
with the derivatives of chapter 05 (peephole LSTM) and chapter 09 (soft window). A
`Backend` does the work between two matrix products. The gradient of a weight is one
matrix product over the whole sequence, at the end.

`matmul_dtype` is the type of the matrix products. States and sums stay in the type of
the input, and a copy of what the products read is kept in their type (`hs_low`). Time
comes first, `(T, B, ...)`, so that one point of all lines is one block of memory.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..parts.lstm import LSTMTrace, peephole_gradient
from ..parts.window import WindowTrace
from .backend import Backend
from .products import PackedWeight


def _new_trace(
    z_input: Tensor, before: Tensor, c: Tensor, matmul_dtype: torch.dtype
) -> LSTMTrace:
    """Allocate a trace of T points, which takes `z_input` as its buffer of gate values.

    Args:
        z_input: `(T, B, 4H)` part of the gates' inputs that is known beforehand.
        before: `(B, R)` row that the recurrent weights read at the first point.
        c: `(B, H)` cell before the first point.
        matmul_dtype: type of the matrix products.
    """
    steps = len(z_input)
    hs = z_input.new_empty(steps + 1, *before.shape)
    low = hs if matmul_dtype == hs.dtype else torch.empty_like(hs, dtype=matmul_dtype)
    cs = z_input.new_empty(steps + 1, *c.shape)
    hs[0], low[0], cs[0] = before, before, c
    return LSTMTrace(z_input, hs, low, cs, torch.empty_like(cs[1:]))


def _low_rows(trace: LSTMTrace) -> Tensor | list[None]:
    """The low-precision copy of every row, or None per row if there is no copy."""
    if trace.hs_low is trace.hs:
        return [None] * len(trace.hs)
    return trace.hs_low


def peephole_forward(
    backend: Backend,
    z_input: Tensor,
    h: Tensor,
    c: Tensor,
    weight_hh: Tensor,
    peephole: Tensor,
    matmul_dtype: torch.dtype,
) -> LSTMTrace:
    """Run a peephole layer over T points; overwrites `z_input` `(T, B, 4H)`."""
    trace = _new_trace(z_input, h, c, matmul_dtype)
    recurrent = PackedWeight(weight_hh.to(matmul_dtype))
    low = _low_rows(trace)
    z, row, cell, tanh, own = map(
        backend.array, (trace.gates, trace.hs, trace.cs, trace.tanh_c, peephole)
    )
    for t in range(len(z_input)):
        product = backend.read(recurrent.product(trace.hs_low[t]))
        backend.forward_gates(
            z[t], product, cell[t], own, cell[t + 1], tanh[t], row[t + 1], 0, low[t + 1]
        )
    return trace


def peephole_backward(
    backend: Backend,
    trace: LSTMTrace,
    weight_hh: Tensor,
    peephole: Tensor,
    d_hs: Tensor,
    d_c: Tensor,
    limit: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Run the loop backwards; `d_c` becomes the derivative of the initial cell.

    Returns:
        The derivatives of `z_input`, of `h` before the first point, and of `peephole`.
    """
    gates, _, hs_low, cs, tanh_c = trace
    d_z, d_hs = torch.empty_like(gates), d_hs.contiguous()
    d_low = None
    if hs_low.dtype != d_z.dtype:
        d_low = torch.empty_like(d_z[0], dtype=hs_low.dtype)
    d_next, bound = torch.zeros_like(hs_low[0]), math.inf if limit is None else limit
    recurrent = PackedWeight(weight_hh.t().to(hs_low.dtype))
    d_out, values, cell, tanh, d_cell, own, d_inputs = map(
        backend.array, (d_hs, gates, cs, tanh_c, d_c, peephole, d_z)
    )
    for t in range(len(gates) - 1, -1, -1):
        backend.backward_gates(
            d_out[t], backend.read(d_next), values[t], cell[t], tanh[t], d_cell, own,
            d_inputs[t], bound, d_low,
        )  # fmt: skip
        d_next = recurrent.product(d_z[t] if d_low is None else d_low)
    return d_z, d_next.to(d_z.dtype), peephole_gradient(d_z, cs)


def windowed_forward(
    backend: Backend,
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
    matmul_dtype: torch.dtype,
) -> tuple[LSTMTrace, WindowTrace]:
    """Run the layer with the window; overwrites `z_input` `(T, B, 4H)`."""
    steps, batch, _ = z_input.shape
    symbols, components, slots = w.shape[1], kappa.shape[1], text.shape[1]
    # The recurrent weights read one row: w of the previous point, then h.
    trace = _new_trace(z_input, torch.cat([w, h], 1), c, matmul_dtype)
    kappas = z_input.new_empty(steps + 1, batch, components)
    kappas[0] = kappa
    moves = z_input.new_empty(steps, batch, 3 * components)  # alpha, beta, step
    phis = z_input.new_empty(steps, batch, slots)
    window = WindowTrace(kappas, moves, phis, text.contiguous(), mask.contiguous())
    recurrent, window_t = PackedWeight(weight.to(matmul_dtype)), window_weight.t()
    low = _low_rows(trace)
    z, row, cell, tanh, own = map(
        backend.array, (trace.gates, trace.hs, trace.cs, trace.tanh_c, peephole)
    )
    place, move, phi, letters, there = map(backend.array, window)
    for t in range(steps):
        product = backend.read(recurrent.product(trace.hs_low[t]))
        backend.forward_gates(
            z[t], product, cell[t], own, cell[t + 1], tanh[t], row[t + 1], symbols,
            low[t + 1],
        )  # fmt: skip
        torch.addmm(window_bias, trace.hs[t + 1, :, symbols:], window_t, out=moves[t])
        backend.forward_window(
            move[t], place[t], place[t + 1], phi[t], letters, there, row[t + 1], 0,
            symbols, low[t + 1],
        )  # fmt: skip
    return trace, window


def windowed_backward(
    backend: Backend,
    trace: LSTMTrace,
    window: WindowTrace,
    weight: Tensor,
    peephole: Tensor,
    window_weight: Tensor,
    d_hs: Tensor,
    d_ws: Tensor,
    d_c: Tensor,
    d_kappa: Tensor,
    limit: float | None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Run the loop backwards; `d_c` and `d_kappa` become those before the first point.

    Returns:
        The derivatives of `z_input`, of `moves` before their exponential, of `w` and
        `h` before the first point (concatenated), and of `peephole`.
    """
    gates, _, hs_low, cs, tanh_c = trace
    kappas, moves, _, text, mask = window
    d_z, d_moves = torch.empty_like(gates), torch.empty_like(moves)
    d_hs, d_ws = d_hs.contiguous(), d_ws.contiguous()
    d_low = None
    if hs_low.dtype != d_z.dtype:
        d_low = torch.empty_like(d_z[0], dtype=hs_low.dtype)
    d_next, bound = torch.zeros_like(hs_low[0]), math.inf if limit is None else limit
    recurrent, d_h = PackedWeight(weight.t().to(hs_low.dtype)), torch.empty_like(d_c)
    d_read, move, place, letters, there, d_place, d_move = map(
        backend.array, (d_ws, moves, kappas, text, mask, d_kappa, d_moves)
    )
    values, cell, tanh, d_out, d_cell, own, d_inputs = map(
        backend.array, (gates, cs, tanh_c, d_h, d_c, peephole, d_z)
    )
    for t in range(len(gates) - 1, -1, -1):
        after = backend.read(d_next)
        backend.backward_window(
            d_read[t], after, move[t], place[t + 1], letters, there, d_place, d_move[t]
        )
        torch.addmm(d_hs[t], d_moves[t], window_weight, out=d_h)
        backend.backward_gates(
            d_out, after, values[t], cell[t], tanh[t], d_cell, own, d_inputs[t], bound,
            d_low,
        )  # fmt: skip
        d_next = recurrent.product(d_z[t] if d_low is None else d_low)
    return d_z, d_moves, d_next.to(d_z.dtype), peephole_gradient(d_z, cs)
