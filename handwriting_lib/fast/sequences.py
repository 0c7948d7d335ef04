"""Recurrent layers over whole sequences, with a backward pass written by hand.

Autograd records a Python loop point by point and keeps every intermediate tensor. The
functions here run the same loop in place, keep only what the backward pass needs, and
write out that pass with the derivatives of chapter 05 (peephole LSTM) and chapter 09
(soft window). A `Backend` does the work between two matrix products. The gradient of a
weight is one matrix product over the whole sequence, at the end.

`matmul_dtype` is the type of the matrix products: `torch.bfloat16` halves their time on
processors that support it. States and sums stay in the type of the input, and a copy of
what the products read is kept in their type (`hs_low`). Inside, time comes first,
`(T, B, ...)`, so that one point of all lines is one block of memory.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import linear

from .._deprecation import renamed_attributes
from ..alphabet import check_symbols
from ..parts.lstm import LSTMState, LSTMTrace, PeepholeLSTM, peephole_gradient
from ..parts.window import WindowTrace
from .backend import Backend, backend_for
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


class _PeepholeSequence(torch.autograd.Function):
    """Maps `z_input (T, B, 4H), h, c, weight_hh, peephole` to `h (T, B, H), last c`."""

    @staticmethod
    def forward(
        ctx: Any,
        z_input: Tensor,
        h: Tensor,
        c: Tensor,
        weight_hh: Tensor,
        peephole: Tensor,
        matmul_dtype: torch.dtype,
        gate_limit: float | None,
    ) -> tuple[Tensor, Tensor]:
        # Overwrites z_input; the caller must own it.
        ctx.backend = backend_for(z_input)
        trace = peephole_forward(
            ctx.backend, z_input, h, c, weight_hh, peephole, matmul_dtype
        )
        gates, _, hs_low, cs, tanh_c = trace
        ctx.save_for_backward(gates, hs_low, cs, tanh_c, weight_hh, peephole)
        ctx.limit = gate_limit
        return trace.hs[1:], trace.cs[-1]

    @staticmethod
    @once_differentiable  # a second derivative is an error, not a wrong number
    def backward(ctx: Any, d_hs: Tensor, d_last_c: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        gates, hs_low, cs, tanh_c, weight_hh, peephole = ctx.saved_tensors
        trace = LSTMTrace(gates, hs_low, hs_low, cs, tanh_c)
        d_c = d_last_c.clone(memory_format=torch.contiguous_format)
        d_z, d_h, d_peephole = peephole_backward(
            ctx.backend, trace, weight_hh, peephole, d_hs, d_c, ctx.limit
        )
        d_weight = _product_over_time(d_z, trace.hs_low[:-1])
        return d_z, d_h, d_c, d_weight, d_peephole, None, None


def _product_over_time(d_z: Tensor, x: Tensor) -> Tensor:
    """The gradient `(N, I)` of a weight from `(T, B, N)` and `(T, B, I)`."""
    d_flat = d_z.flatten(0, 1).to(x.dtype)
    return (d_flat.t() @ x.flatten(0, 1)).to(d_z.dtype)


class _LinearIn(torch.autograd.Function):
    """Maps `x` to `x @ weight.T + bias`, with products in a type of their own."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, matmul_dtype: torch.dtype
    ) -> Tensor:
        x_low, weight_low = x.to(matmul_dtype), weight.to(matmul_dtype)
        ctx.save_for_backward(x_low, weight_low)
        ctx.full = x.dtype
        if matmul_dtype != x.dtype:
            return linear(x_low, weight_low).to(x.dtype).add_(bias)
        # a product may be a view, which the caller could not overwrite
        product = PackedWeight(weight).product(x, bias)
        return x.new_empty(0).set_(product)  # type: ignore[call-overload]

    @staticmethod
    @once_differentiable  # a second derivative is an error, not a wrong number
    def backward(ctx: Any, d_out: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        x, weight = ctx.saved_tensors
        d_flat = d_out.flatten(0, -2).to(x.dtype)
        d_x = None
        if ctx.needs_input_grad[0]:
            d_x = PackedWeight(weight.t()).product(d_flat).to(ctx.full).view_as(x)
        d_weight = d_flat.t() @ x.flatten(0, -2)
        return d_x, d_weight.to(ctx.full), d_out.flatten(0, -2).sum(0), None


def linear_in(
    x: Tensor, weight: Tensor, bias: Tensor, matmul_dtype: torch.dtype | None = None
) -> Tensor:
    """`torch.nn.functional.linear` with its products in the type `matmul_dtype`."""
    return _LinearIn.apply(x, weight, bias, matmul_dtype or x.dtype)


def peephole_sequence(
    x: Tensor,
    layer: PeepholeLSTM,
    state: LSTMState,
    matmul_dtype: torch.dtype | None = None,
    gate_limit: float | None = None,
) -> tuple[Tensor, LSTMState]:
    """Run a peephole layer over whole lines: the same as `layer.forward`, but faster.

    Args:
        x: `(T, B, I)` input, time first.
        layer: layer whose weights are used.
        state: state before the first point, `(B, H)` each.
        matmul_dtype: type of the matrix products; None keeps that of `x`.
        gate_limit: limit on the derivatives at the inputs of the gates; see
            `parts.lstm.clip_derivative`.

    Returns:
        The outputs `(T, B, H)` and the state after the last point.
    """
    matmul_dtype = matmul_dtype or x.dtype
    z_input = linear_in(x, layer.weight_ih, layer.bias, matmul_dtype)
    h, c = _PeepholeSequence.apply(
        z_input, state.h, state.c, layer.weight_hh, layer.peephole, matmul_dtype,
        gate_limit,
    )  # fmt: skip
    return h, LSTMState(h[-1], c)


@renamed_attributes(products="matmul_dtype")
class FusedPeepholeLSTM(PeepholeLSTM):
    """A `PeepholeLSTM` with the same weights and a fused `forward`.

    Attributes:
        matmul_dtype: type of the matrix products, such as `torch.bfloat16`; None keeps
            that of the input.

    Example:
        >>> import torch
        >>> layer = FusedPeepholeLSTM(3, 8)
        >>> x = torch.randn(2, 5, 3)
        >>> torch.allclose(layer(x)[0], PeepholeLSTM.forward(layer, x)[0], atol=1e-6)
        True
    """

    matmul_dtype: torch.dtype | None = None

    def forward(
        self,
        x: Tensor,
        state: LSTMState | None = None,
        gate_limit: float | None = None,
    ) -> tuple[Tensor, LSTMState]:
        state = self.initial_state(x.shape[0]) if state is None else state
        h, state = peephole_sequence(
            x.transpose(0, 1), self, state, self.matmul_dtype, gate_limit
        )
        return h.transpose(0, 1), state


class WindowedOutput(NamedTuple):
    """The outputs of the first layer and its window for whole lines, time first."""

    h: Tensor  # (T, B, H)
    w: Tensor  # (T, B, V) window vectors
    phi: Tensor  # (T, B, U); no gradient flows through it
    c: Tensor  # (B, H) the last cell
    kappa: Tensor  # (B, K) the last position of each component


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


class _WindowedSequence(torch.autograd.Function):
    """The first layer, whose input includes the window that it moves itself."""

    @staticmethod
    def forward(
        ctx: Any,
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
        text_mask: Tensor,
        matmul_dtype: torch.dtype,
        gate_limit: float | None,
    ) -> tuple[Tensor, ...]:
        # Overwrites z_input; the caller must own it.
        ctx.backend = backend_for(z_input)
        trace, window = windowed_forward(
            ctx.backend, z_input, h, c, w, kappa, weight, peephole, window_weight,
            window_bias, text, text_mask.to(z_input.dtype), matmul_dtype,
        )  # fmt: skip
        ctx.save_for_backward(*trace, *window, weight, peephole, window_weight)
        ctx.limit = gate_limit
        ctx.mark_non_differentiable(window.phis)
        w, h = trace.hs[1:].tensor_split([w.shape[1]], -1)
        return h, w, window.phis, trace.cs[-1], window.kappas[-1]

    @staticmethod
    @once_differentiable  # a second derivative is an error, not a wrong number
    def backward(  # type: ignore[override]
        ctx: Any, d_hs: Tensor, d_ws: Tensor, _phi: Tensor, d_c: Tensor, d_kappa: Tensor
    ) -> tuple[Any, ...]:
        *saved, weight, peephole, window_weight = ctx.saved_tensors
        trace, window = LSTMTrace(*saved[:5]), WindowTrace(*saved[5:])
        symbols = d_ws.shape[2]
        d_c, d_kappa = (
            d.clone(memory_format=torch.contiguous_format) for d in (d_c, d_kappa)
        )
        d_z, d_moves, d_wh, d_peephole = windowed_backward(
            ctx.backend, trace, window, weight, peephole, window_weight,
            d_hs, d_ws, d_c, d_kappa, ctx.limit,
        )  # fmt: skip
        d_weight = _product_over_time(d_z, trace.hs_low[:-1])
        h = trace.hs[1:, :, symbols:].flatten(0, 1)
        flat_moves = d_moves.flatten(0, 1)
        return (
            d_z, d_wh[:, symbols:], d_c, d_wh[:, :symbols], d_kappa,
            d_weight, d_peephole, flat_moves.t() @ h, flat_moves.sum(0),
            None, None, None, None,
        )  # fmt: skip


def windowed_sequence(
    x: Tensor,
    layer: PeepholeLSTM,
    window: torch.nn.Linear,
    state: LSTMState,
    w: Tensor,
    kappa: Tensor,
    text: Tensor,
    text_mask: Tensor,
    matmul_dtype: torch.dtype | None = None,
    gate_limit: float | None = None,
) -> WindowedOutput:
    """Run the first layer and its soft window (Graves 2013, eqs 46 to 52) over lines.

    Args:
        x: `(T, B, 3)` points, time first.
        layer: layer with `3 + V` inputs: the point, then the previous window vector.
        window: linear map from `H` to `3K`, the logarithms of alpha, beta and the step
            of kappa.
        state: state of the layer before the first point, `(B, H)` each.
        w: `(B, V)` window vector before the first point.
        kappa: `(B, K)` positions of the window's components before the first point.
        text: `(B, U)` int64 symbols.
        text_mask: `(B, U)` bool mask, true for characters and the end slot.
        matmul_dtype: type of the matrix products; None keeps that of `x`.
        gate_limit: limit on the derivatives at the inputs of the gates; see
            `parts.lstm.clip_derivative`.
    """
    points = x.shape[-1]
    check_symbols(text, layer.weight_ih.shape[1] - points)
    z_input = linear(x, layer.weight_ih[:, :points], layer.bias)
    weight = torch.cat([layer.weight_ih[:, points:], layer.weight_hh], 1)
    return WindowedOutput(
        *_WindowedSequence.apply(
            z_input, state.h, state.c, w, kappa, weight, layer.peephole,
            window.weight, window.bias, text, text_mask, matmul_dtype or x.dtype,
            gate_limit,
        )
    )  # fmt: skip
